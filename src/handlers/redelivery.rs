//! Redelivery: delivers the messages of the outbox to the API.
//!
//! A message that can't be delivered is reported as a batch item failure; Lambda deletes the others. It is retried
//! after a delay that grows with each attempt, until the queue moves it to the dead-letter queue. It is never enqueued
//! again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aws_lambda_events::event::sqs::SqsMessage;
use jiff::Timestamp;
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::batch::{self, to_retry};
use super::contact_lens::{self, Pairing};
use super::newest;
use crate::budget::{self, SaveDeadlines};
use crate::delivery::{self, Delivery, Outcome};
use crate::json::Object;
use crate::services::Services;
use crate::services::outbox::{self, Content};
use crate::summary::{Newest, Summary};
use crate::telemetry::{Report, Severity, Subject};
use crate::vocabulary::{Degradation, Handler, Metric, Reason, SaveStatus, Status};

/// Delivers the messages of a batch before `deadline`. Returns the ids of the batch item failures.
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
        for message in &call.messages {
            message.measure_wait(services);
            let report = Report { status: QUEUED, ..Report::failed(reason, batch::ABANDONED.to_owned()) };
            services.metrics.record(&report, &subject());
        }
    };
    let ids = |call: &Call<'_>| call.messages.iter().map(Message::id).collect();
    // What the table must know comes first: something else in the batch may be kept back by it.
    let (facts, others): (Vec<_>, Vec<_>) = calls(records).into_iter().partition(Call::holds_facts);
    let mut left = to_retry(facts, deadline, ids, deliver, abandoned).await;
    left.extend(to_retry(others, deadline, ids, deliver, abandoned).await);
    left
}

/// The status of a message that is retried: nothing is lost. After the last retry it is a dead letter, and an alarm
/// fires.
const QUEUED: Status = Status::Save(SaveStatus::Queued);

/// The messages about one call, in the order in which their words came. They are delivered one after the other.
struct Call<'a> {
    messages: Vec<Message<'a>>,
}

impl Call<'_> {
    fn holds_facts(&self) -> bool {
        self.messages.iter().any(|message| matches!(message.content, Ok(Content::Facts { .. })))
    }
}

/// A message of the batch.
struct Message<'a> {
    raw: &'a RawValue,
    sqs: Option<SqsMessage>,
    /// What it holds, or why it can't be read.
    content: Result<Content, String>,
    /// Its customer's newest call in the batch.
    newest: Option<Newest>,
}

impl<'a> Message<'a> {
    fn read(raw: &'a RawValue) -> Self {
        let sqs: Option<SqsMessage> = serde_json::from_str(raw.get()).ok();
        let content = match &sqs {
            Some(sqs) => outbox::read(sqs.body.as_deref().unwrap_or_default()).map_err(|why| why.to_string()),
            None => Err("not an SQS message".to_owned()),
        };
        Self { raw, sqs, content, newest: None }
    }

    fn id(&self) -> String {
        message_id(self.raw)
    }

    /// Measures how long it has waited, if it can be read.
    fn measure_wait(&self, services: &Services) {
        if let Ok(content) = &self.content {
            services.metrics.measure(Metric::OutboxWait, seconds_since(content.since()));
        }
    }

    fn summary(&self) -> Option<&Summary> {
        match &self.content {
            Ok(Content::Summary { summary, .. }) => Some(summary),
            _ => None,
        }
    }
}

/// A message's id, or a blank one if it has none.
pub fn message_id(record: &RawValue) -> String {
    Object::parse(record.get()).and_then(|message| message.text("messageId")).unwrap_or_default()
}

/// The calls of a batch. A message without a summary is a call of its own.
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

/// Delivers a message. Returns whether it may be deleted: its content is delivered, or is not to be saved.
async fn redeliver(message: &Message<'_>, services: &Services, subject: Subject<'_>, deadline: Instant) -> bool {
    let count = message.sqs.as_ref().and_then(|sqs| sqs.attributes.get("ApproximateReceiveCount"));
    let receives = count.and_then(|count| count.parse().ok()).unwrap_or(1);
    let subject = Subject { receives: Some(receives), ..subject };
    let deadlines = SaveDeadlines::of_a_message(deadline);
    let is_done = match &message.content {
        Ok(Content::Summary { summary, .. }) => deliver(summary, message, services, &subject, deadlines).await,
        Ok(Content::Facts { facts, .. }) => {
            let is_done = delivery::note_facts(facts, services, within(budget::PAIRING, deadlines)).await;
            if !is_done {
                message.measure_wait(services);
            }
            is_done
        }
        Ok(Content::Halves { contact_id, halves, .. }) => {
            match contact_lens::pair(contact_id, halves, services, within(budget::PAIRING, deadlines)).await {
                Pairing::Paired(summary) => deliver(&summary, message, services, &subject, deadlines).await,
                Pairing::NothingToSend => true,
                Pairing::TableFailed => {
                    message.measure_wait(services);
                    false
                }
            }
        }
        Ok(Content::Tombstones { ids, since }) => {
            let is_done = write_tombstones(ids, *since, services, deadlines.api).await;
            if !is_done {
                message.measure_wait(services);
            }
            is_done
        }
        Err(why) => {
            let mut report = Report::failed(Reason::InvalidEvent, why.clone());
            if receives > 1 {
                // The first receive has logged an ERROR. The alarm on dead letters will fire too.
                report.severity = Severity::Warn;
            }
            services.metrics.record(&report, &subject);
            // Retried at once, so that it becomes a dead letter soon.
            delay_retry(Duration::ZERO, message, services, deadline).await;
            return false;
        }
    };
    if !is_done {
        let wait = match &message.content {
            Ok(Content::Facts { .. }) => outbox::wait_of_facts(receives),
            _ => outbox::wait_after(receives),
        };
        delay_retry(wait, message, services, deadline).await;
    }
    is_done
}

/// Delivers a summary to the API. Returns whether nothing is left to do.
async fn deliver(
    summary: &Summary,
    message: &Message<'_>,
    services: &Services,
    subject: &Subject<'_>,
    deadlines: SaveDeadlines,
) -> bool {
    let delivery = match contact_lens::with_latest_text(summary, services, within(budget::PAIRING, deadlines)).await {
        Ok(Some(summary)) => delivery::from_outbox(&summary, message.newest.as_ref(), services, deadlines).await,
        Ok(None) => Delivery::of(Outcome::Skipped(None)),
        Err(error) => Delivery::failed_by_the_table(&error),
    };
    let is_done = delivery.is_done();
    let mut report = delivery.report();
    if !is_done {
        report = Report { status: QUEUED, severity: Severity::Warn, ..report };
        message.measure_wait(services);
    }
    services.metrics.record(&report, &Subject { contact_id: summary.contact_id.clone(), ..subject.clone() });
    is_done
}

/// A deadline this much later, but not after the API's.
fn within(share: Duration, deadlines: SaveDeadlines) -> Instant {
    deadlines.api.min(Instant::now() + share)
}

fn seconds_since(then: Timestamp) -> u64 {
    u64::try_from(Timestamp::now().duration_since(then).as_secs()).unwrap_or_default()
}

/// Writes the tombstones of a save that was at `since`, if the cache may still hold answers from before it. Returns
/// whether nothing is left to do.
async fn write_tombstones(ids: &[String], since: Timestamp, services: &Services, deadline: Instant) -> bool {
    let Some(cache) = services.cache.as_ref().filter(|cache| cache.may_hold_answers_from_before(since)) else {
        return true;
    };
    let Err(error) = cache.write_tombstones(ids, deadline).await else { return true };
    let what = "the cache may hold what was known before a save";
    services.metrics.degraded(Degradation::CacheInvalidation, None, Some(&error), what);
    false
}

/// Delays the retry of a message by `wait`. If that fails, it is retried after the queue's own visibility time-out.
async fn delay_retry(wait: Duration, message: &Message<'_>, services: &Services, deadline: Instant) {
    let receipt_handle = message.sqs.as_ref().and_then(|sqs| sqs.receipt_handle.as_ref());
    let (Some(outbox), Some(receipt_handle)) = (&services.outbox, receipt_handle) else { return };
    if let Err(error) = outbox.delay_retry(receipt_handle, wait, deadline).await {
        let what = format!("the retry of message {} could not be delayed", message.id());
        services.metrics.degraded(Degradation::RetryDelay, None, Some(&error), what);
    }
}
