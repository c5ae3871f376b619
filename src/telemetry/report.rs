//! What log and metrics say about a lookup or a save.

use std::time::Duration;

use crate::sticky_calls::Attempts;
use crate::vocabulary::{Handler, LookupSource, Reason, SaveStatus, Status};

/// The result of a lookup or a save.
#[derive(Clone, Debug)]
pub struct Report {
    /// `lookup_status` or `save_status`.
    pub status: Status,
    /// Why, as in `lookup_reason` or `error`.
    pub reason: Option<Reason>,
    /// The level of its log line.
    pub severity: Severity,
    /// Where the answer to a lookup comes from, if there is one.
    pub source: Option<LookupSource>,
    /// The attempts at the API, if it was asked.
    pub attempts: Option<Attempts>,
    /// What the network, the API or AWS said, beyond the reason; never a body.
    pub detail: Option<String>,
}

/// What a report is about. [`crate::telemetry::log`] says what may be logged.
#[derive(Clone, Debug)]
pub struct Subject<'a> {
    /// The id that finds the invocation in Lambda's own log lines.
    pub request_id: &'a str,
    /// Which handler it was.
    pub handler: Handler,
    /// The contact's id, if it looks like one.
    pub contact_id: Option<String>,
    /// The last two digits of the caller's number.
    pub caller_ends_in: Option<String>,
    /// How often a message of the outbox has been received.
    pub receives: Option<u32>,
    /// The time from event to answer, if a flow waits for it.
    pub answer_time: Option<Duration>,
}

impl<'a> Subject<'a> {
    /// One summary of a batch.
    pub fn of_a_batch(handler: Handler, request_id: &'a str) -> Self {
        Self { request_id, handler, contact_id: None, caller_ends_in: None, receives: None, answer_time: None }
    }
}

impl Report {
    /// A report with nothing but these values.
    pub fn new(status: Status, reason: Option<Reason>, severity: Severity) -> Self {
        Self { status, reason, severity, source: None, attempts: None, detail: None }
    }

    /// The report about a summary that neither the API nor the outbox has.
    pub fn failed(reason: Reason, detail: String) -> Self {
        let status = Status::Save(SaveStatus::Failed);
        Self { detail: Some(detail), ..Self::new(status, Some(reason), Severity::Error) }
    }

    /// The attempts, if there was at least one. Without time left, none is made.
    pub fn attempted(&self) -> Option<Attempts> {
        self.attempts.filter(|attempts| attempts.count > 0)
    }
}

/// The level of a report's log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// All is well.
    Info,
    /// A caller got less than they could have.
    Warn,
    /// An operator has to do something, or a summary is lost.
    Error,
}

/// A duration in milliseconds, as logs and metrics show it.
pub fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
