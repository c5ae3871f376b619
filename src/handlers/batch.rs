//! What a batch is: where it comes from, how its items are worked on, and what says which of them are to be retried.
//!
//! A few items at once, and all of them in time. A queue's items are each on their own; a stream's are done in order as far
//! as it matters, since Lambda begins again at the first that failed.

use std::panic::AssertUnwindSafe;

use aws_lambda_events::event::sqs::SqsBatchResponse;
use aws_lambda_events::event::streams::KinesisEventResponse;
use futures_util::{FutureExt, StreamExt, stream};
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::time::{Instant, timeout_at};

use crate::budget::ITEMS_AT_ONCE;
use crate::json::Object;
use crate::turn::{Line, Turn};
use crate::vocabulary::{Handler, Reason};

/// What a report says of an abandoned item.
pub const ABANDONED: &str = "a bug, or the time was up";

/// Where a batch comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// An SQS queue: the outbox.
    Queue,
    /// A Kinesis stream: contact records.
    Stream,
}

impl Source {
    /// The source with this `eventSource`.
    pub fn parse(event_source: &str) -> Option<Self> {
        match event_source {
            "aws:sqs" => Some(Self::Queue),
            "aws:kinesis" => Some(Self::Stream),
            _ => None,
        }
    }

    /// Who works on it.
    pub fn handler(self) -> Handler {
        match self {
            Self::Queue => Handler::Redelivery,
            Self::Stream => Handler::ContactRecords,
        }
    }

    /// An item's id. A blank one makes [Lambda take the whole batch for
    /// failed](https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html), which loses nothing.
    pub fn item_id(self, record: &RawValue) -> String {
        let record = Object::parse(record.get()).unwrap_or_default();
        let id = match self {
            Self::Queue => record.text("messageId"),
            Self::Stream => record.object("kinesis").and_then(|kinesis| kinesis.text("sequenceNumber")),
        };
        id.unwrap_or_default()
    }

    /// The reply that has these items retried.
    pub fn reply(self, to_retry: Vec<String>) -> BatchReply {
        match self {
            Self::Queue => {
                let mut reply = SqsBatchResponse::default();
                reply.set_failures(to_retry);
                BatchReply::Queue(reply)
            }
            Self::Stream => {
                let mut reply = KinesisEventResponse::default();
                reply.set_failures(to_retry);
                BatchReply::Stream(reply)
            }
        }
    }
}

/// AWS's partial batch response.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum BatchReply {
    /// To a queue.
    Queue(SqsBatchResponse),
    /// To a stream.
    Stream(KinesisEventResponse),
}

/// Does `work` for every item, which says which ids of it are to be retried, and gives back all of these. An item is
/// abandoned if `work` panics or is not through by `deadline`: then all of its `ids` are retried, and `abandoned` is told
/// why. One item's failure is never another's.
pub async fn to_retry<T>(
    items: impl IntoIterator<Item = T>,
    deadline: Instant,
    ids: impl Fn(&T) -> Vec<String>,
    work: impl AsyncFn(&T) -> Vec<String>,
    abandoned: impl Fn(&T, Reason),
) -> Vec<String> {
    let one = async |item: T| {
        in_time(deadline, work(&item)).await.unwrap_or_else(|reason| {
            abandoned(&item, reason);
            ids(&item)
        })
    };
    stream::iter(items).map(one).buffer_unordered(ITEMS_AT_ONCE).concat().await
}

/// Does `work` for every item of a stream, a few at once, and gives back the `ids` of the failed ones. After the first of
/// these no other is started: Lambda begins again there, and what would be done now would be done twice. `work` is handed
/// its item's [`Turn`].
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
        let result = in_time(deadline, work(&item, &line.turn(number))).await;
        if result != Ok(true) {
            line.stop();
        }
        if let Err(reason) = result {
            abandoned(&item, reason);
        }
        // Those behind are at the same deadline at the latest.
        let _ = timeout_at(deadline, line.wait_for(number)).await;
        line.is_through(number);
        if result == Ok(true) { Vec::new() } else { ids(&item) }
    };
    stream::iter(items.into_iter().enumerate()).map(one).buffered(ITEMS_AT_ONCE).concat().await
}

/// What `work` said, or why it was abandoned.
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
    async fn one_items_failure_panic_or_hang_is_not_anothers() {
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
    async fn no_more_than_a_few_run_at_once() {
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
    async fn what_is_left_at_the_deadline_is_retried() {
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
    async fn of_a_stream_nothing_is_started_after_the_first_that_fails() {
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
    async fn turns_come_in_the_order_of_the_stream_whoever_is_ready_first_and_end_with_the_first_refusal() {
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
    async fn of_a_stream_too_a_panic_or_a_hang_holds_up_nobody_beyond_the_deadline() {
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

    #[test]
    fn a_reply_names_what_is_to_be_retried_and_a_blank_id_stands_for_all_of_it() {
        let reply = |source: Source, records: &[&str]| {
            let records = records.iter().map(|record| serde_json::from_str::<&RawValue>(record).unwrap());
            serde_json::to_value(source.reply(records.map(|record| source.item_id(record)).collect())).unwrap()
        };
        let failures = |ids: &[&str]| {
            let ids: Vec<_> = ids.iter().map(|id| serde_json::json!({"itemIdentifier": id})).collect();
            serde_json::json!({"batchItemFailures": ids})
        };
        assert_eq!(reply(Source::Queue, &[]), failures(&[]));
        assert_eq!(reply(Source::Queue, &[r#"{"messageId":"m1"}"#, "{}", "7"]), failures(&["m1", "", ""]));
        let records = [r#"{"kinesis":{"sequenceNumber":"7"}}"#, r#"{"kinesis":7}"#];
        assert_eq!(reply(Source::Stream, &records), failures(&["7", ""]));
    }
}
