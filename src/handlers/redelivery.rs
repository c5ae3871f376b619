//! Redelivery: messages of the outbox's queue, delivered to the API at last.
//!
//! Lambda deletes the messages that are not reported back. One that is reported is retried: after a while that grows with
//! each try, until the queue moves it to its dead letters. A message is never queued a second time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aws_lambda_events::event::sqs::SqsMessage;
use jiff::Timestamp;
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::batch::{self, to_retry};
use super::newest;
use crate::budget::SaveDeadlines;
use crate::delivery;
use crate::services::Services;
use crate::services::outbox::{self, Kept};
use crate::summary::{Newest, Summary};
use crate::telemetry::{Report, Severity, Subject};
use crate::vocabulary::{Degradation, Handler, Metric, Reason, SaveStatus, Status};

/// Delivers the messages of a batch before `deadline`. Gives back the ids of those that are to be retried.
pub async fn handle(records: &[&RawValue], services: &Services, request_id: &str, deadline: Instant) -> Vec<String> {
    let subject = || Subject::of_a_batch(Handler::Redelivery, request_id);
    let deliver = async |call: &Call<'_>| {
        let mut failed = Vec::new();
        let mut delivered = BTreeSet::new();
        for message in &call.messages {
            // SQS may hold the same words twice.
            let words = message.summary().and_then(Summary::saved_words);
            let is_a_copy = words.as_ref().is_some_and(|words| delivered.contains(words));
            if is_a_copy || redeliver(message, services, subject(), deadline).await {
                delivered.extend(words);
            } else {
                failed.push(message.id());
            }
        }
        failed
    };
    let abandoned = |call: &Call<'_>, reason| {
        for _ in &call.messages {
            let report = Report { status: QUEUED, ..Report::failed(reason, batch::ABANDONED.to_owned()) };
            services.metrics.record(&report, &subject());
        }
    };
    let ids = |call: &Call<'_>| call.messages.iter().map(Message::id).collect();
    to_retry(calls(records), deadline, ids, async |call| deliver(call).await, |call, reason| abandoned(call, reason))
        .await
}

/// The status of what is retried: nothing is lost, and after the last retry an alarm tells of the dead letter.
const QUEUED: Status = Status::Save(SaveStatus::Queued);

/// The messages about one call, in the order in which their words came: they are delivered one after the other.
struct Call<'a> {
    messages: Vec<Message<'a>>,
}

/// A message of the batch.
struct Message<'a> {
    raw: &'a RawValue,
    sqs: Option<SqsMessage>,
    /// What it holds, or why it can't be read.
    kept: Result<Kept, String>,
    /// The newest call of its customer in the batch.
    newest: Option<Newest>,
}

impl<'a> Message<'a> {
    fn read(raw: &'a RawValue) -> Self {
        let sqs: Option<SqsMessage> = serde_json::from_str(raw.get()).ok();
        let kept = match &sqs {
            Some(sqs) => outbox::read(sqs.body.as_deref().unwrap_or_default()).map_err(|why| why.to_string()),
            None => Err("no message of a queue".to_owned()),
        };
        Self { raw, sqs, kept, newest: None }
    }

    fn id(&self) -> String {
        batch::Source::Queue.item_id(self.raw)
    }

    fn summary(&self) -> Option<&Summary> {
        match &self.kept {
            Ok(Kept::Summary { summary, .. }) => Some(summary),
            _ => None,
        }
    }
}

/// The calls of a batch. A message about no call is on its own.
fn calls<'a>(records: &[&'a RawValue]) -> Vec<Call<'a>> {
    let mut messages: Vec<_> = records.iter().map(|raw| Message::read(raw)).collect();
    let newest = newest::among(&messages.iter().filter_map(Message::summary).collect::<Vec<_>>());
    let with_summary = messages.iter_mut().filter(|message| message.summary().is_some());
    with_summary.zip(newest).for_each(|(message, newest)| message.newest = newest);
    messages.sort_by_key(|message| message.summary().map(|summary| summary.came));
    let mut calls: Vec<Call<'a>> = Vec::new();
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    for message in messages {
        let call_id = message.summary().map(|summary| summary.request.call_id.clone());
        let place = call_id.map_or(calls.len(), |call_id| *places.entry(call_id).or_insert(calls.len()));
        match calls.get_mut(place) {
            Some(call) => call.messages.push(message),
            None => calls.push(Call { messages: vec![message] }),
        }
    }
    calls
}

/// Whether a message may be deleted: what it holds is where it belongs, or is not wanted.
async fn redeliver(message: &Message<'_>, services: &Services, subject: Subject<'_>, deadline: Instant) -> bool {
    let count = message.sqs.as_ref().and_then(|sqs| sqs.attributes.get("ApproximateReceiveCount"));
    let receives = count.and_then(|count| count.parse().ok()).unwrap_or(1);
    let subject = Subject { receives: Some(receives), ..subject };
    let deadlines = SaveDeadlines::of_a_message(deadline);
    let is_done = match &message.kept {
        Ok(Kept::Summary { summary, since }) => {
            let delivery = delivery::from_outbox(summary, message.newest.as_ref(), services, deadlines).await;
            let is_done = delivery.is_done();
            let mut report = delivery.report();
            if !is_done {
                report = Report { status: QUEUED, severity: Severity::Warn, ..report };
                services.metrics.measure(Metric::OutboxWait, seconds_since(*since));
            }
            services.metrics.record(&report, &Subject { contact_id: summary.contact_id.clone(), ..subject });
            is_done
        }
        Ok(Kept::Tombstones { ids, since }) => {
            let is_done = bury(ids, *since, services, deadlines.api).await;
            if !is_done {
                services.metrics.measure(Metric::OutboxWait, seconds_since(*since));
            }
            is_done
        }
        Err(why) => {
            let mut report = Report::failed(Reason::InvalidEvent, why.clone());
            if receives > 1 {
                // An operator has been told, and will be again by the alarm on the dead letters.
                report.severity = Severity::Warn;
            }
            services.metrics.record(&report, &subject);
            // At once, so that it gets to the dead letters soon.
            delay_retry(Duration::ZERO, message, services, deadline).await;
            return false;
        }
    };
    if !is_done {
        delay_retry(outbox::wait_after(receives), message, services, deadline).await;
    }
    is_done
}

fn seconds_since(then: Timestamp) -> u64 {
    u64::try_from(Timestamp::now().duration_since(then).as_secs()).unwrap_or_default()
}

/// Writes the tombstones of a save that was at `since`, if the cache may still hold what they invalidate. Whether that is
/// done.
async fn bury(ids: &[String], since: Timestamp, services: &Services, deadline: Instant) -> bool {
    let Some(cache) = services.cache.as_ref().filter(|cache| cache.may_have_kept_before(since)) else { return true };
    let Err(error) = cache.bury(ids, deadline).await else { return true };
    let what = "the cache may hold what was known before a save";
    services.metrics.degraded(Degradation::CacheInvalidation, None, Some(&error), what);
    false
}

/// Says when a message is to be retried. If the queue does not take that, it is after the queue's own visibility time-out.
async fn delay_retry(wait: Duration, message: &Message<'_>, services: &Services, deadline: Instant) {
    let receipt_handle = message.sqs.as_ref().and_then(|sqs| sqs.receipt_handle.as_ref());
    let (Some(outbox), Some(receipt_handle)) = (&services.outbox, receipt_handle) else { return };
    if let Err(error) = outbox.delay_retry(receipt_handle, wait, deadline).await {
        let what = format!("the retry of message {} could not be delayed", message.id());
        services.metrics.degraded(Degradation::RetryDelay, None, Some(&error), what);
    }
}
