//! Redelivery: messages of the outbox's queue, delivered to the API at last.
//!
//! Lambda deletes the messages that are not reported back. One that is reported is retried: after a while that grows with
//! each try, until the queue moves it to its dead letters. A message is never queued a second time.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsMessage};
use jiff::Timestamp;
use serde_json::value::RawValue;
use tokio::time::Instant;

use crate::answer::{Line, Report, Severity};
use crate::batch;
use crate::budget::SaveDeadlines;
use crate::delivery;
use crate::dispatch::Handler;
use crate::fault::Fault;
use crate::json::Object;
use crate::newest;
use crate::outbox::{self, Kept};
use crate::reason::Reason;
use crate::services::Services;
use crate::summary::{Newest, Summary};

/// The longest that one message waits for the API. No caller waits with it, so an API that is slow gets its time.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is kept of the batch's time to delay the retry of what could not be delivered.
const DELAYING: Duration = Duration::from_secs(1);

/// Delivers the messages of a batch before `deadline`, and answers with the ids of those that are to be retried.
pub async fn handle(
    records: &[&RawValue],
    services: &Services,
    request_id: &str,
    deadline: Instant,
) -> SqsBatchResponse {
    let line = || Line::about_a_summary(Handler::Redelivery, request_id);
    let deliver = async |call: &Call<'_>| {
        let mut not_done = Vec::new();
        let mut delivered = BTreeSet::new();
        for message in &call.messages {
            // SQS may hold the same words twice.
            let words = message.summary().and_then(Summary::saved_words);
            let is_a_copy = words.as_ref().is_some_and(|words| delivered.contains(words));
            if is_a_copy || redeliver(message, services, line(), deadline).await {
                delivered.extend(words);
            } else {
                not_done.push(message_id(message.raw));
            }
        }
        call.not_done.replace(not_done);
        true
    };
    let tell = |call: &Call<'_>, reason| {
        for _ in &call.messages {
            let report = Report { outcome: "queued", ..Report::failed(reason, batch::GIVEN_UP.to_owned()) };
            services.metrics.record(&report, &line());
        }
    };
    let calls = calls(records);
    // What is not said to be done is retried.
    let _ =
        batch::not_done(calls.iter(), deadline, async |call| deliver(call).await, |call, reason| tell(call, reason))
            .await;
    let mut answer = SqsBatchResponse::default();
    answer.set_failures(calls.into_iter().flat_map(|call| call.not_done.into_inner()));
    answer
}

/// The messages about one call, in the order in which their words came: they are delivered one after the other.
struct Call<'a> {
    messages: Vec<Message<'a>>,
    /// The ids of those that are to be retried; at first all of them.
    not_done: RefCell<Vec<String>>,
}

/// A message of the batch.
struct Message<'a> {
    raw: &'a RawValue,
    sqs: Option<SqsMessage>,
    /// What it holds, or why nothing.
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

    fn summary(&self) -> Option<&Summary> {
        match &self.kept {
            Ok(Kept::Summary(summary)) => Some(summary),
            _ => None,
        }
    }
}

/// The calls of a batch; what is about none is one of its own.
fn calls<'a>(records: &[&'a RawValue]) -> Vec<Call<'a>> {
    let mut messages: Vec<_> = records.iter().map(|raw| Message::read(raw)).collect();
    let newest = newest::among(&messages.iter().filter_map(Message::summary).collect::<Vec<_>>());
    let with_summary = messages.iter_mut().filter(|message| message.summary().is_some());
    with_summary.zip(newest).for_each(|(message, newest)| message.newest = newest);
    messages.sort_by_key(|message| message.summary().map(|summary| summary.came));
    let mut calls: Vec<Call<'a>> = Vec::new();
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    for message in messages {
        let id = message_id(message.raw);
        let call_id = message.summary().map(|summary| summary.request.call_id.clone());
        let place = call_id.map_or(calls.len(), |call_id| *places.entry(call_id).or_insert(calls.len()));
        match calls.get_mut(place) {
            Some(call) => {
                call.messages.push(message);
                call.not_done.get_mut().push(id);
            }
            None => calls.push(Call { messages: vec![message], not_done: RefCell::new(vec![id]) }),
        }
    }
    calls
}

/// The answer that brings the whole batch back.
pub fn all_of_it(records: &[&RawValue]) -> SqsBatchResponse {
    let mut answer = SqsBatchResponse::default();
    answer.set_failures(records.iter().copied().map(message_id));
    answer
}

/// A message's id. A blank one makes [Lambda take the whole batch for
/// failed](https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html), which loses nothing.
fn message_id(record: &RawValue) -> String {
    Object::parse(record.get()).and_then(|message| message.text("messageId")).unwrap_or_default()
}

/// Whether a message may be deleted: what it holds is where it belongs, or is not wanted.
async fn redeliver(message: &Message<'_>, services: &Services, line: Line<'_>, deadline: Instant) -> bool {
    let count = message.sqs.as_ref().and_then(|sqs| sqs.attributes.get("ApproximateReceiveCount"));
    let receives = count.and_then(|count| count.parse().ok()).unwrap_or(1);
    let line = Line { receives: Some(receives), ..line };
    let is_done = match &message.kept {
        Ok(Kept::Summary(summary)) => {
            let newest = message.newest.as_ref();
            let delivery = delivery::from_outbox(summary, newest, services, deadlines(deadline)).await;
            let is_done = delivery.is_done();
            let mut report = delivery.report();
            if !is_done {
                // Nothing is lost: it is delivered again, and after the last time an alarm tells of it.
                report = Report { outcome: "queued", severity: Severity::Warn, ..report };
            }
            services.metrics.record(&report, &Line { contact_id: summary.contact_id.clone(), ..line });
            is_done
        }
        Ok(Kept::Tombstones { ids, since }) => bury(ids, *since, services, deadlines(deadline).api).await,
        Err(why) => {
            let mut report = Report::failed(Reason::InvalidEvent, why.clone());
            if receives > 1 {
                // An operator has been told, and will be again by the alarm on the dead letters.
                report.severity = Severity::Warn;
            }
            services.metrics.record(&report, &line);
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

/// Writes the tombstones of a save that was at `since`, if the cache may still hold what they invalidate; whether that is
/// done.
async fn bury(ids: &[String], since: Timestamp, services: &Services, deadline: Instant) -> bool {
    let Some(cache) = services.cache.as_ref().filter(|cache| cache.may_have_kept_before(since)) else { return true };
    let Err(error) = cache.bury(ids, deadline).await else { return true };
    let fault = Fault::CacheVoid;
    services.metrics.count_fault(fault);
    tracing::warn!(fault = fault.name(), detail = %error, "the cache may hold what was known before a save");
    false
}

/// The deadlines of one message in a batch that ends at `deadline`.
fn deadlines(deadline: Instant) -> SaveDeadlines {
    let all = deadline.checked_sub(DELAYING).unwrap_or(deadline);
    SaveDeadlines { api: all.min(Instant::now() + PATIENCE), second_request: PATIENCE, all }
}

/// Says when a message is to be retried. If the queue does not take that, it is after the queue's own visibility time-out.
async fn delay_retry(wait: Duration, message: &Message<'_>, services: &Services, deadline: Instant) {
    let receipt_handle = message.sqs.as_ref().and_then(|sqs| sqs.receipt_handle.as_ref());
    let (Some(outbox), Some(receipt_handle)) = (&services.outbox, receipt_handle) else { return };
    if let Err(error) = outbox.put_off(receipt_handle, wait, deadline).await {
        let (message_id, fault) = (message_id(message.raw), Fault::PutOff);
        services.metrics.count_fault(fault);
        tracing::warn!(message_id, fault = fault.name(), detail = %error, "the retry of a message could not be delayed");
    }
}
