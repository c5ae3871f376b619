//! The thread that sends requests to the API and reads its answers.
//!
//! The budget's timer runs on the main thread. If a server sends data without a pause, parsing it never waits. On the
//! same thread, that would keep the timer from firing: with an endless chunk-size line, answers came seconds late. With
//! two threads, the operating system divides the processor between them.

use std::io;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};

/// The thread's name, as a process listing shows it.
const NAME: &str = "network";

/// A thread with a runtime for network input and output. It ends some time after this is dropped.
pub(super) struct NetworkThread {
    runtime: Handle,
    /// The thread ends when this is dropped.
    _running: oneshot::Sender<()>,
}

impl NetworkThread {
    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// Fails if the operating system does not create the thread, or what it needs to wait for sockets.
    pub(super) fn start() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_io().enable_time().build()?;
        let handle = runtime.handle().clone();
        let (running, ended) = oneshot::channel();
        std::thread::Builder::new().name(NAME.to_owned()).spawn(move || {
            // This waits until the sender is dropped, which is an error here.
            let _ = runtime.block_on(ended);
        })?;
        Ok(Self { runtime: handle, _running: running })
    }

    /// Runs `work` on the thread and returns its result, or `None` if it panicked. If the returned future is dropped,
    /// the work is aborted at its next wait.
    pub(super) async fn run<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> Option<T> {
        let mut tasks = JoinSet::new();
        tasks.spawn_on(work, &self.runtime);
        tasks.join_next().await?.ok()
    }

    /// Starts `work` on the thread. It goes on even if nobody waits for it.
    pub(super) fn begin<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
        self.runtime.spawn(work)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn work_runs_on_the_thread_and_a_panic_stays_there() {
        let thread = NetworkThread::start().unwrap();
        let name = thread.run(async { std::thread::current().name().map(str::to_owned) }).await;
        assert_eq!(name, Some(Some(NAME.to_owned())));
        assert_eq!(thread.run(async { panic!("a bug") }).await, None::<()>);
        assert_eq!(thread.run(async { 1 }).await, Some(1));
    }

    #[tokio::test]
    async fn work_that_nobody_waits_for_any_more_is_aborted() {
        let thread = NetworkThread::start().unwrap();
        let (held, mut aborted) = oneshot::channel::<()>();
        let work = async move {
            let _held = held;
            std::future::pending::<()>().await;
        };
        assert!(timeout(Duration::from_millis(1), thread.run(work)).await.is_err());
        assert!((&mut aborted).await.is_err(), "the work was dropped");
    }

    #[tokio::test]
    async fn work_that_never_waits_does_not_delay_a_timer_here() {
        let thread = NetworkThread::start().unwrap();
        let (finish, finished) = mpsc::channel::<()>();
        let work = async move {
            // Blocks the thread, like parsing without end.
            let _ = finished.recv();
        };
        assert!(timeout(Duration::from_millis(10), thread.run(work)).await.is_err());
        drop(finish);
        assert_eq!(thread.run(async { 1 }).await, Some(1), "it goes on afterwards");
    }
}
