//! Redelivery: messages of the outbox's queue, delivered to the API at last.
//!
//! Lambda deletes the messages that are not reported back. One that is comes again: after a while that grows with each
//! try, until the queue moves it to its dead letters. A message is never queued a second time.

use std::time::Duration;

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsMessage};
use jiff::Timestamp;
use serde_json::value::RawValue;
use tokio::time::Instant;

use crate::answer::{Line, Report, Severity};
use crate::aws;
use crate::batch;
use crate::budget::SaveDeadlines;
use crate::delivery;
use crate::dispatch::Handler;
use crate::fault::Fault;
use crate::json::Object;
use crate::outbox::{self, Kept};
use crate::reason::Reason;
use crate::services::Services;

/// The longest that one message waits for the API. No caller waits with it, so an API that is slow gets its time.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is kept of the batch's time to put messages off that could not be delivered.
const PUTTING_OFF: Duration = Duration::from_secs(1);

/// Delivers the messages of a batch before `deadline`, and answers with the ids of those that shall come again.
pub async fn handle(
    records: &[&RawValue],
    services: &Services,
    request_id: &str,
    deadline: Instant,
) -> SqsBatchResponse {
    let line = || Line::about_a_summary(Handler::Redelivery, request_id);
    let deliver = async |record: &&RawValue| match serde_json::from_str(record.get()) {
        Ok(message) => redeliver(&message, services, line(), deadline).await,
        Err(_) => {
            let report = Report::failed(Reason::InvalidEvent, "no message of a queue".to_owned());
            services.metrics.record(&report, &line());
            false
        }
    };
    let tell = |_: &&RawValue, reason| {
        let report = Report { outcome: "queued", ..Report::failed(reason, batch::GIVEN_UP.to_owned()) };
        services.metrics.record(&report, &line());
    };
    let not_done = batch::not_done(records.iter().copied(), deadline, deliver, tell);
    let mut answer = SqsBatchResponse::default();
    answer.set_failures(not_done.await.into_iter().map(message_id));
    answer
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

/// Whether a message may be deleted: the API has what it holds.
async fn redeliver(message: &SqsMessage, services: &Services, line: Line<'_>, deadline: Instant) -> bool {
    let receives = message.attributes.get("ApproximateReceiveCount").and_then(|count| count.parse().ok()).unwrap_or(1);
    let line = Line { receives: Some(receives), ..line };
    let kept = match outbox::read(message.body.as_deref().unwrap_or_default()) {
        Ok(kept) => kept,
        Err(why) => {
            let mut report = Report::failed(Reason::InvalidEvent, why.to_string());
            if receives > 1 {
                // An operator has been told, and will be again by the alarm on the dead letters.
                report.severity = Severity::Warn;
            }
            services.metrics.record(&report, &line);
            // At once, so that it gets to the dead letters soon.
            come_again_after(Duration::ZERO, message, services, deadline).await;
            return false;
        }
    };
    let (report, contact_id, is_done) = match kept {
        Kept::Summary(summary) => {
            let delivery = delivery::from_outbox(&summary, services, deadlines(deadline)).await;
            let is_done = delivery.is_done();
            (delivery.report(), summary.contact_id, is_done)
        }
        Kept::Tombstones { ids, since } => {
            let error = bury(&ids, since, services, deadlines(deadline).api).await.err();
            let report = error.map(|error| Report::failed(Reason::OutboxUnavailable, error.to_string()));
            let is_done = report.is_none();
            (report.unwrap_or(Report::new("saved", None, Severity::Info)), None, is_done)
        }
    };
    if is_done {
        services.metrics.record(&report, &Line { contact_id, ..line });
    } else {
        // Nothing is lost: it is delivered again, and after the last time an alarm tells of it.
        let report = Report { outcome: "queued", severity: Severity::Warn, ..report };
        come_again_after(outbox::wait_after(receives), message, services, deadline).await;
        services.metrics.record(&report, &Line { contact_id, ..line });
    }
    is_done
}

/// Writes the tombstones of a save that was at `since`, if the cache may still hold what they invalidate.
async fn bury(ids: &[String], since: Timestamp, services: &Services, deadline: Instant) -> Result<(), aws::Error> {
    match &services.cache {
        Some(cache) if cache.may_have_kept_before(since) => cache.bury(ids, deadline).await,
        _ => Ok(()),
    }
}

/// The deadlines of one message in a batch that ends at `deadline`.
fn deadlines(deadline: Instant) -> SaveDeadlines {
    let now = Instant::now();
    let left = deadline.saturating_duration_since(now);
    SaveDeadlines { api: now + left.saturating_sub(PUTTING_OFF).min(PATIENCE), all: deadline }
}

/// Says when a message shall come again. Where the queue does not take that, it comes after the queue's own visibility
/// time-out.
async fn come_again_after(wait: Duration, message: &SqsMessage, services: &Services, deadline: Instant) {
    let (Some(outbox), Some(receipt_handle)) = (&services.outbox, &message.receipt_handle) else { return };
    if let Err(error) = outbox.put_off(receipt_handle, wait, deadline).await {
        let (message_id, fault) = (&message.message_id, Fault::PutOff);
        services.metrics.count_fault(fault);
        tracing::warn!(message_id, fault = fault.name(), detail = %error, "a message could not be put off");
    }
}
