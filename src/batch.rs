//! Batches from a queue or a stream: each item on its own, a few at once, and all of them in time.

use std::panic::AssertUnwindSafe;

use futures_util::{FutureExt, StreamExt, stream};
use tokio::time::{Instant, timeout_at};

use crate::reason::Reason;

/// How many items are worked on at once, which is how many requests a function makes at once to the API and to AWS.
pub const AT_ONCE: usize = 8;

/// What a report says of an item that was given up.
pub const GIVEN_UP: &str = "a bug, or the time was up";

/// Does `work` for every item and gives back those for which it was not done: `work` said `false`, panicked, or was not
/// through by `deadline`. One item's fault is never another's. Of an item that was given up nothing is known but why, which
/// `tell` is told.
pub async fn not_done<T>(
    items: impl IntoIterator<Item = T>,
    deadline: Instant,
    work: impl AsyncFn(&T) -> bool,
    tell: impl Fn(&T, Reason),
) -> Vec<T> {
    let one = async |item: T| {
        let given_up = match timeout_at(deadline, AssertUnwindSafe(work(&item)).catch_unwind()).await {
            Ok(Ok(true)) => return None,
            Ok(Ok(false)) => return Some(item),
            Ok(Err(_panic)) => Reason::Internal,
            Err(_elapsed) => Reason::Timeout,
        };
        tell(&item, given_up);
        Some(item)
    };
    stream::iter(items).map(one).buffer_unordered(AT_ONCE).filter_map(std::future::ready).collect().await
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_items_failure_panic_or_hang_is_not_anothers() {
        let deadline = Instant::now() + Duration::from_secs(1);
        let work = async |item: &&str| match *item {
            "fails" => false,
            "panics" => panic!("a bug"),
            "hangs" => std::future::pending().await,
            _ => true,
        };
        let told = RefCell::new(Vec::new());
        let tell = |item: &&'static str, reason| told.borrow_mut().push((*item, reason));
        let mut left = not_done(["done", "fails", "panics", "hangs", "done too"], deadline, work, tell).await;
        left.sort_unstable();
        assert_eq!(left, ["fails", "hangs", "panics"]);
        assert_eq!(told.into_inner(), [("panics", Reason::Internal), ("hangs", Reason::Timeout)]);
        assert_eq!(Instant::now(), deadline);
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_than_a_few_run_at_once() {
        let (running, most) = (Cell::new(0), Cell::new(0));
        let work = async |_: &_| {
            running.set(running.get() + 1);
            most.set(most.get().max(running.get()));
            tokio::time::sleep(Duration::from_millis(80)).await;
            running.set(running.get() - 1);
            true
        };
        let left = not_done(0..1_000, Instant::now() + Duration::from_secs(60), work, |_, _| {}).await;
        assert!(left.is_empty());
        assert_eq!(most.get(), AT_ONCE);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_left_at_the_deadline_is_not_done() {
        let work = async |_: &_| {
            tokio::time::sleep(Duration::from_millis(100)).await;
            true
        };
        let left = not_done(0..100, Instant::now() + Duration::from_millis(250), work, |_, _| {}).await;
        assert_eq!(left.len(), 100 - 2 * AT_ONCE);
    }
}
