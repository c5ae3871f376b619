//! What is counted and measured beside statuses, reasons and degradations.
//!
//! Statuses are counted by `service` and `handler`. Everything else is counted by `service` alone, so that an alarm
//! looks at one metric. There is no other dimension: AWS charges for each of its values as for another metric.

use super::{Handler, LookupStatus, SaveStatus, Status};

/// The namespace in CloudWatch.
pub const NAMESPACE: &str = "StickyConnect";

words! {
    /// A metric that is not a status, a reason or a degradation.
    pub enum Metric: unit -> MetricUnit {
        /// What fails until an operator does something.
        NeedsOperator = "needs_operator" => MetricUnit::Count,
        /// Invocations in which table, key or outbox failed.
        Degraded = "degraded" => MetricUnit::Count,
        /// What nobody keeps: saves with the status `failed`, and words that can't be saved.
        NotKept = "not_kept" => MetricUnit::Count,
        /// What came from the streams in a batch: contact records and events of Contact Lens.
        Received = "received" => MetricUnit::Count,
        /// Those of them that are summaries by Contact Lens, completed or failed.
        ReceivedSummaries = "received_summaries" => MetricUnit::Count,
        /// Milliseconds that the API took for one lookup or save of a flow, retries included.
        ApiTime = "api_ms" => MetricUnit::Milliseconds,
        /// Milliseconds from a flow event's arrival to its answer: what the caller waited.
        AnswerTime = "answer_ms" => MetricUnit::Milliseconds,
        /// Seconds since a message was enqueued, for each message that a redelivery read and could not deliver.
        OutboxWait = "outbox_wait_s" => MetricUnit::Seconds,
    }
}

impl Metric {
    /// The handlers by which it is counted, beside the service. Most are counted by the service alone.
    pub const fn handlers(self) -> &'static [Handler] {
        match self {
            // Messages of the outbox are not counted: its alarm looks at the queue itself.
            Self::Received | Self::ReceivedSummaries => &[Handler::ContactRecords],
            _ => &[],
        }
    }

    /// Whether it is the sum of other metrics. Alarms look at the sum.
    pub const fn is_a_total(self) -> bool {
        matches!(self, Self::NeedsOperator | Self::Degraded | Self::NotKept)
    }
}

/// A unit, as CloudWatch names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricUnit {
    /// How often.
    Count,
    /// A time.
    Milliseconds,
    /// A longer time.
    Seconds,
}

impl MetricUnit {
    /// CloudWatch's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Count => "Count",
            Self::Milliseconds => "Milliseconds",
            Self::Seconds => "Seconds",
        }
    }
}

/// A status as a metric of its handler. What was skipped is counted by its reason alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatusMetric {
    /// The status.
    pub status: Status,
    /// Whose it is.
    pub handler: Handler,
}

impl StatusMetric {
    /// Those of a handler.
    pub fn of(handler: Handler) -> Vec<Self> {
        let counted = Status::of(handler).into_iter().filter(|status| Self::is_counted(*status));
        counted.map(|status| Self { status, handler }).collect()
    }

    /// Whether a status is a metric.
    pub const fn is_counted(status: Status) -> bool {
        !matches!(status, Status::Lookup(LookupStatus::Skipped) | Status::Save(SaveStatus::Skipped))
    }
}
