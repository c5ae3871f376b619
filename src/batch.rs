//! Batches from a queue or a stream: each item on its own, a few at once, and all of them in time.

use std::panic::AssertUnwindSafe;

use futures_util::{FutureExt, StreamExt, stream};
use tokio::time::{Instant, timeout_at};

/// How many items are worked on at once, which is how many requests a function makes at once to the API and to AWS.
pub const AT_ONCE: usize = 8;

/// Does `work` for every item and gives back those for which it was not done: `work` said `false`, panicked, or was not
/// through by `deadline`. One item's fault is never another's.
pub async fn not_done<T>(
    items: impl IntoIterator<Item = T>,
    deadline: Instant,
    work: impl AsyncFn(&T) -> bool,
) -> Vec<T> {
    let one = async |item: T| {
        let done = timeout_at(deadline, AssertUnwindSafe(work(&item)).catch_unwind()).await;
        if matches!(done, Ok(Ok(true))) { None } else { Some(item) }
    };
    stream::iter(items).map(one).buffer_unordered(AT_ONCE).filter_map(std::future::ready).collect().await
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn one_items_failure_panic_or_hang_is_not_anothers() {
        let deadline = Instant::now() + Duration::from_secs(1);
        let mut left = not_done(["done", "fails", "panics", "hangs", "done too"], deadline, async |item| match *item {
            "fails" => false,
            "panics" => panic!("a bug"),
            "hangs" => std::future::pending().await,
            _ => true,
        })
        .await;
        left.sort_unstable();
        assert_eq!(left, ["fails", "hangs", "panics"]);
        assert_eq!(Instant::now(), deadline);
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_than_a_few_run_at_once() {
        let (running, most) = (Cell::new(0), Cell::new(0));
        let left = not_done(0..1_000, Instant::now() + Duration::from_secs(60), async |_| {
            running.set(running.get() + 1);
            most.set(most.get().max(running.get()));
            tokio::time::sleep(Duration::from_millis(80)).await;
            running.set(running.get() - 1);
            true
        })
        .await;
        assert!(left.is_empty());
        assert_eq!(most.get(), AT_ONCE);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_left_at_the_deadline_is_not_done() {
        let left = not_done(0..100, Instant::now() + Duration::from_millis(250), async |_| {
            tokio::time::sleep(Duration::from_millis(100)).await;
            true
        })
        .await;
        assert_eq!(left.len(), 100 - 2 * AT_ONCE);
    }
}
