//! How a batch's items are processed, and which of them failed.
//!
//! A few items are processed at once, and all before the deadline. A queue's items are independent. A stream's are
//! enqueued in order, because Lambda retries everything from the first failed item on.

use std::panic::AssertUnwindSafe;

use futures_util::{FutureExt, StreamExt, stream};
use tokio::time::{Instant, timeout_at};

use crate::budget::ITEMS_AT_ONCE;
use crate::turn::{Line, Turn};
use crate::vocabulary::Reason;

/// The detail in an abandoned item's report.
pub const ABANDONED: &str = "abandoned";

/// Does `work` for every item and returns the ids to retry; `work` returns those of its item. If `work` panics or does
/// not end by `deadline`, the item is abandoned: all of its `ids` are retried, and `abandoned` gets the reason. No
/// item's failure affects another item.
pub async fn to_retry<T>(
    items: impl IntoIterator<Item = T>,
    deadline: Instant,
    ids: impl Fn(&T) -> Vec<String>,
    work: impl AsyncFn(&T) -> Vec<String>,
    abandoned: impl Fn(&T, Reason),
) -> Vec<String> {
    let one = async |item: T| {
        in_time(deadline, Box::pin(work(&item))).await.unwrap_or_else(|reason| {
            abandoned(&item, reason);
            ids(&item)
        })
    };
    stream::iter(items).map(one).buffer_unordered(ITEMS_AT_ONCE).concat().await
}

/// Does `work` for every item of a stream, a few at once, and returns the `ids` of the failed ones. `work` gets its
/// item's [`Turn`], and returns whether it succeeded. After a failure no other item is started: Lambda retries
/// everything from there on, so it would be processed twice.
pub async fn to_retry_in_order<T>(
    items: impl IntoIterator<Item = T>,
    deadline: Instant,
    ids: impl Fn(&T) -> Vec<String>,
    work: impl AsyncFn(&T, &Turn<'_>) -> bool,
    abandoned: impl Fn(&T, Reason),
) -> Vec<String> {
    let line = Line::default();
    let one = async |(number, item): (usize, T)| {
        if line.has_stopped() {
            return ids(&item);
        }
        let turn = line.turn(number);
        let result = in_time(deadline, Box::pin(work(&item, &turn))).await;
        if result != Ok(true) {
            line.stop();
        }
        if let Err(reason) = result {
            abandoned(&item, reason);
        }
        // The items before this one are done by the same deadline.
        let _ = timeout_at(deadline, line.wait_for(number)).await;
        line.set_done(number);
        if result == Ok(true) { Vec::new() } else { ids(&item) }
    };
    stream::iter(items.into_iter().enumerate()).map(one).buffered(ITEMS_AT_ONCE).concat().await
}

/// The result of `work`, or why it was abandoned. `work` is boxed: the future of a delivery is large, and every function
/// that takes it would copy it.
async fn in_time<T>(deadline: Instant, work: impl Future<Output = T>) -> Result<T, Reason> {
    match timeout_at(deadline, AssertUnwindSafe(work).catch_unwind()).await {
        Ok(Ok(result)) => Ok(result),
        Ok(Err(_panic)) => Err(Reason::Internal),
        Err(_elapsed) => Err(Reason::Timeout),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::time::Duration;

    use super::*;

    fn id<T: ToString>(item: &T) -> Vec<String> {
        vec![item.to_string()]
    }

    fn in_ms(ms: u64) -> Instant {
        Instant::now() + Duration::from_millis(ms)
    }

    #[tokio::test(start_paused = true)]
    async fn an_item_that_fails_panics_or_hangs_does_not_affect_the_others() {
        let deadline = in_ms(1_000);
        let work = async |item: &&str| match *item {
            "fails" => id(item),
            "panics" => panic!("a bug"),
            "hangs" => std::future::pending().await,
            _ => Vec::new(),
        };
        let told = RefCell::new(Vec::new());
        let abandoned = |item: &&'static str, reason| told.borrow_mut().push((*item, reason));
        let items = ["done", "fails", "panics", "hangs", "done too"];
        let mut left = to_retry(items, deadline, id, work, abandoned).await;
        left.sort_unstable();
        assert_eq!(left, ["fails", "hangs", "panics"]);
        assert_eq!(told.into_inner(), [("panics", Reason::Internal), ("hangs", Reason::Timeout)]);
        assert_eq!(Instant::now(), deadline);
    }

    #[tokio::test(start_paused = true)]
    async fn at_most_eight_items_are_processed_at_once() {
        let (running, most) = (Cell::new(0), Cell::new(0));
        let work = async |_: &_| {
            running.set(running.get() + 1);
            most.set(most.get().max(running.get()));
            tokio::time::sleep(Duration::from_millis(80)).await;
            running.set(running.get() - 1);
            Vec::new()
        };
        assert_eq!(to_retry(0..1_000, in_ms(60_000), id, work, |_, _| {}).await, [""; 0]);
        assert_eq!(most.get(), ITEMS_AT_ONCE);
    }

    #[tokio::test(start_paused = true)]
    async fn items_that_are_not_done_at_the_deadline_are_retried() {
        let work = async |_: &_| {
            tokio::time::sleep(Duration::from_millis(100)).await;
            Vec::new()
        };
        let left = to_retry(0..100, in_ms(250), id, work, |_, _| {}).await;
        assert_eq!(left.len(), 100 - 2 * ITEMS_AT_ONCE);
    }

    fn ids(numbers: impl IntoIterator<Item = usize>) -> Vec<String> {
        numbers.into_iter().map(|number| number.to_string()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_record_has_failed_no_other_record_is_started() {
        let started = RefCell::new(Vec::new());
        let work = async |number: &usize, _: &Turn<'_>| {
            started.borrow_mut().push(*number);
            tokio::time::sleep(Duration::from_millis(if *number == 2 { 1 } else { 5 })).await;
            *number != 2
        };
        let left = to_retry_in_order(0..100, in_ms(60_000), id, work, |_, _| {}).await;
        assert_eq!(started.into_inner(), (0..ITEMS_AT_ONCE).collect::<Vec<_>>());
        assert_eq!(left, ids([2].into_iter().chain(ITEMS_AT_ONCE..100)));
    }

    #[tokio::test(start_paused = true)]
    async fn turns_come_in_the_order_of_the_stream_and_end_with_the_first_failure() {
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
        let left = to_retry_in_order(0..20, in_ms(60_000), id, work, |_, _| {}).await;
        assert_eq!(sent.into_inner(), [0, 1, 2, 3, 4, 5]);
        assert_eq!(left, ids(5..20));
    }

    #[tokio::test(start_paused = true)]
    async fn a_record_that_panics_or_hangs_delays_the_others_until_the_deadline_at_most() {
        let deadline = in_ms(1_000);
        let work = async |item: &&str, turn: &Turn<'_>| match *item {
            "panics" => panic!("a bug"),
            "hangs" => std::future::pending().await,
            _ => turn.comes().await,
        };
        let told = RefCell::new(Vec::new());
        let abandoned = |item: &&'static str, reason| told.borrow_mut().push((*item, reason));
        let items = ["sent", "hangs", "waits", "panics"];
        assert_eq!(to_retry_in_order(items, deadline, id, work, abandoned).await, ["hangs", "waits", "panics"]);
        assert_eq!(Instant::now(), deadline);
        let mut told = told.into_inner();
        told.sort_unstable_by_key(|(item, _)| *item);
        // The one that waits is not abandoned: its turn did not come.
        assert_eq!(told, [("hangs", Reason::Timeout), ("panics", Reason::Internal)]);
        assert!(Turn::at_once().comes().await);
    }
}
