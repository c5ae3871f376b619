//! Batches from a queue or a stream: a few items at once, and all of them in time. A queue's items are each on their own;
//! a stream's are done in order as far as it matters, since Lambda begins again at the first that was not.

use std::cell::Cell;
use std::panic::AssertUnwindSafe;

use futures_util::{FutureExt, StreamExt, stream};
use tokio::sync::watch;
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

/// Does `work` for every item of a stream, a few at once, and gives back those for which it was not done. After the first
/// that fails no other is started: Lambda begins again there, and what would be done now would be done twice. `work` is
/// handed its item's [`Turn`].
pub async fn not_done_in_order<T>(
    items: impl IntoIterator<Item = T>,
    deadline: Instant,
    work: impl AsyncFn(&T, &Turn<'_>) -> bool,
    tell: impl Fn(&T, Reason),
) -> Vec<T> {
    let line = Line::default();
    let one = async |(number, item): (usize, T)| {
        if line.has_stopped.get() {
            return Some(item);
        }
        let turn = Turn { line: Some((&line, number)) };
        let given_up = match timeout_at(deadline, AssertUnwindSafe(work(&item, &turn)).catch_unwind()).await {
            Ok(Ok(true)) => None,
            Ok(Ok(false)) => Some(None),
            Ok(Err(_panic)) => Some(Some(Reason::Internal)),
            Err(_elapsed) => Some(Some(Reason::Timeout)),
        };
        if let Some(reason) = given_up {
            line.has_stopped.set(true);
            if let Some(reason) = reason {
                tell(&item, reason);
            }
        }
        // Those behind are at the same deadline at the latest.
        let _ = timeout_at(deadline, line.wait_for(number)).await;
        line.served.send_modify(|served| *served = (*served).max(number + 1));
        given_up.map(|_| item)
    };
    let all = stream::iter(items.into_iter().enumerate()).map(one).buffered(AT_ONCE);
    all.filter_map(std::future::ready).collect().await
}

/// The items of a stream's batch, as they follow one another.
struct Line {
    /// How many of the first ones are through.
    served: watch::Sender<usize>,
    /// Whether one has failed.
    has_stopped: Cell<bool>,
}

impl Default for Line {
    fn default() -> Self {
        Self { served: watch::Sender::new(0), has_stopped: Cell::new(false) }
    }
}

impl Line {
    /// Waits until all items before this one are through.
    async fn wait_for(&self, number: usize) {
        // The other end is in this very value.
        let _ = self.served.subscribe().wait_for(|served| *served >= number).await;
    }
}

/// When an item may be sent to the outbox: in the order of the stream, and not after another one was refused. So no item is
/// queued that Lambda will bring again.
pub struct Turn<'a> {
    line: Option<(&'a Line, usize)>,
}

impl Turn<'_> {
    /// The turn of whoever stands in no line: it is always theirs.
    pub fn at_once() -> Self {
        Self { line: None }
    }

    /// Waits for the turn. It does not come if an item before this one has failed.
    pub async fn comes(&self) -> bool {
        let Some((line, number)) = self.line else { return true };
        line.wait_for(number).await;
        !line.has_stopped.get()
    }
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
    async fn of_a_stream_nothing_is_started_after_the_first_that_fails() {
        let deadline = Instant::now() + Duration::from_secs(60);
        let started = RefCell::new(Vec::new());
        let work = async |number: &usize, _: &Turn<'_>| {
            started.borrow_mut().push(*number);
            tokio::time::sleep(Duration::from_millis(if *number == 2 { 1 } else { 5 })).await;
            *number != 2
        };
        let left = not_done_in_order(0..100, deadline, work, |_, _| {}).await;
        assert_eq!(started.into_inner(), (0..AT_ONCE).collect::<Vec<_>>());
        assert_eq!(left, [vec![2], (AT_ONCE..100).collect()].concat());
    }

    #[tokio::test(start_paused = true)]
    async fn turns_come_in_the_order_of_the_stream_whoever_is_ready_first_and_end_with_the_first_refusal() {
        let deadline = Instant::now() + Duration::from_secs(60);
        let sent = RefCell::new(Vec::new());
        let work = async |number: &usize, turn: &Turn<'_>| {
            // The later ones are ready first.
            tokio::time::sleep(Duration::from_millis(100 - *number as u64)).await;
            if !turn.comes().await {
                return false;
            }
            sent.borrow_mut().push(*number);
            *number != 5
        };
        let left = not_done_in_order(0..20, deadline, work, |_, _| {}).await;
        assert_eq!(sent.into_inner(), [0, 1, 2, 3, 4, 5]);
        assert_eq!(left, (5..20).collect::<Vec<_>>());
    }

    #[tokio::test(start_paused = true)]
    async fn of_a_stream_too_a_panic_or_a_hang_holds_up_nobody_beyond_the_deadline() {
        let deadline = Instant::now() + Duration::from_secs(1);
        let work = async |item: &&str, turn: &Turn<'_>| match *item {
            "panics" => panic!("a bug"),
            "hangs" => std::future::pending().await,
            _ => turn.comes().await,
        };
        let told = RefCell::new(Vec::new());
        let tell = |item: &&'static str, reason| told.borrow_mut().push((*item, reason));
        let left = not_done_in_order(["sent", "hangs", "waits", "panics"], deadline, work, tell).await;
        assert_eq!(left, ["hangs", "waits", "panics"]);
        assert_eq!(Instant::now(), deadline);
        let mut told = told.into_inner();
        told.sort_unstable_by_key(|(item, _)| *item);
        // The one that waits is not given up: its turn did not come.
        assert_eq!(told, [("hangs", Reason::Timeout), ("panics", Reason::Internal)]);
        assert!(Turn::at_once().comes().await);
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
