//! The handlers, and what they return. Only they translate between Connect's terms and the API's.
//!
//! - [`start_call`]: identify, for a flow
//! - [`customer_context`]: what an agent should know about the caller, in one line
//! - [`end_call`]: save, for a flow
//! - [`stream`]: save, from batches of a Kinesis stream
//! - [`contact_records`]: what a contact record says about its call
//! - [`contact_lens`]: brings Contact Lens' summaries and contact records together
//! - [`redelivery`]: deliver what waits in the outbox
//! - [`batch`]: how a batch's items are processed, and which of them failed
//! - [`newest`]: each customer's newest call in a batch

pub mod batch;
pub mod contact_lens;
pub mod contact_records;
pub mod customer_context;
pub mod end_call;
pub mod newest;
pub mod redelivery;
pub mod start_call;
pub mod stream;

use aws_lambda_events::event::sqs::SqsBatchResponse;
use aws_lambda_events::event::streams::KinesisEventResponse;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::time::Instant;

use crate::connect::{Attributes, Contact};
use crate::services::Services;
use crate::telemetry::Report;
use crate::vocabulary::{Action, Handler, Reason};

/// A flow handler's answer.
#[derive(Debug)]
pub struct Answer {
    /// What the flow gets.
    pub attributes: Attributes,
    /// What log and metrics say.
    pub report: Report,
}

/// Answers a flow, by `deadline`; `now` is the time of the event.
pub async fn answer_flow(
    action: Action,
    contact: &Contact<'_>,
    services: &Services,
    deadline: Instant,
    now: Timestamp,
) -> Answer {
    match action {
        Action::StartCall => start_call::handle(contact, services, deadline, now).await,
        // Boxed, so that a lookup's future does not get the size of a save's.
        Action::EndCall => Box::pin(end_call::handle(contact, services, deadline, now)).await,
    }
}

/// A flow's answer if nothing was looked up or saved.
pub fn fallback(
    action: Action,
    contact: Option<&Contact<'_>>,
    services: &Services,
    reason: Reason,
    now: Timestamp,
) -> Answer {
    match action {
        Action::StartCall => start_call::fallback(contact, &services.config, reason, now),
        Action::EndCall => end_call::fallback(contact, reason),
    }
}

/// Where a batch comes from. A new source of batches is added here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// An SQS queue: the outbox.
    Queue,
    /// A Kinesis stream: contact records and Contact Lens' summaries.
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

    /// The handler that processes it.
    pub fn handler(self) -> Handler {
        match self {
            Self::Queue => Handler::Redelivery,
            Self::Stream => Handler::ContactRecords,
        }
    }

    /// Processes a batch, and is done by `deadline`. Returns the ids of the batch item failures.
    pub async fn answer(
        self,
        records: &[&RawValue],
        services: &Services,
        request_id: &str,
        deadline: Instant,
    ) -> Vec<String> {
        match self {
            Self::Queue => redelivery::handle(records, services, request_id, deadline).await,
            Self::Stream => stream::handle(records, services, request_id, deadline).await,
        }
    }

    /// An item's id, or a blank one if it has none. For a blank id [Lambda retries the whole
    /// batch](https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html), so nothing is lost.
    pub fn item_id(self, record: &RawValue) -> String {
        match self {
            Self::Queue => redelivery::message_id(record),
            Self::Stream => stream::sequence_number(record),
        }
    }

    /// The reply that makes Lambda retry these items.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_names_the_items_to_retry_and_a_blank_id_means_all_of_them() {
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

    #[test]
    fn what_is_skipped_on_purpose_is_no_failure_for_identify_nor_for_save() {
        for reason in Reason::ALL {
            let lookup =
                start_call::fallback(None, &crate::config::Config::read(|_| None).0, *reason, Timestamp::now());
            let save = end_call::fallback(None, *reason);
            let (looked_up, saved) = (lookup.report.status.as_str(), save.report.status.as_str());
            match reason.is_on_purpose() {
                true => assert_eq!((looked_up, saved), ("skipped", "skipped"), "{reason:?}"),
                false => assert_eq!((looked_up, saved), ("unavailable", "failed"), "{reason:?}"),
            }
        }
    }
}
