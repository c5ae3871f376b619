//! What a handler hands back: the answer to the flow, and what the log says of it.

use std::time::Duration;

use crate::connect::Attributes;
use crate::dispatch::Handler;
use crate::reason::Reason;
use crate::sticky_calls::Effort;

/// A flow handler's answer.
#[derive(Debug)]
pub struct Answer {
    /// What the flow gets.
    pub attributes: Attributes,
    /// What the log says.
    pub report: Report,
}

/// What log and metrics say of a call that was looked up or a summary that was delivered.
#[derive(Clone, Debug)]
pub struct Report {
    /// `lookup_status` or `save_status`.
    pub outcome: &'static str,
    /// Why it is no better, as in `lookup_reason` or `error`.
    pub reason: Option<Reason>,
    /// How loudly to log it.
    pub severity: Severity,
    /// `lookup_source`: where the answer to a lookup comes from; empty where there is none.
    pub source: &'static str,
    /// Whether the cache had the answer to a lookup, where it was looked at.
    pub cache_hit: Option<bool>,
    /// What the call to the API took, where it was called.
    pub effort: Option<Effort>,
    /// What the network, the API or AWS said, beyond the reason; never a body.
    pub detail: Option<String>,
}

/// What a line in the log says beside the report; what it may hold is said in [`crate::logging`].
#[derive(Clone, Debug)]
pub struct Line<'a> {
    /// `answered` for an invocation by a flow, `summary` for one of a batch's.
    pub message: &'static str,
    /// The id that finds the invocation in Lambda's own lines.
    pub request_id: &'a str,
    /// Which handler it was.
    pub handler: Handler,
    /// The contact's id, where it looks like one.
    pub contact_id: Option<String>,
    /// The last two digits of the caller's number.
    pub caller_ends_in: Option<String>,
    /// How often a message of the outbox has been received.
    pub receives: Option<u32>,
    /// The time since the event arrived, where a flow waits for it.
    pub total: Option<Duration>,
}

impl<'a> Line<'a> {
    /// A line about one summary of a batch.
    pub fn about_a_summary(handler: Handler, request_id: &'a str) -> Self {
        let (contact_id, caller_ends_in) = (None, None);
        Self { message: "summary", request_id, handler, contact_id, caller_ends_in, receives: None, total: None }
    }
}

impl Report {
    /// A report that says no more than this.
    pub fn new(outcome: &'static str, reason: Option<Reason>, severity: Severity) -> Self {
        Self { outcome, reason, severity, source: "", cache_hit: None, effort: None, detail: None }
    }

    /// The report of a summary that nobody has taken.
    pub fn failed(reason: Reason, detail: String) -> Self {
        Self { detail: Some(detail), ..Self::new("failed", Some(reason), Severity::Error) }
    }

    /// What the call to the API took, where one was made.
    pub fn asked(&self) -> Option<Effort> {
        self.effort.filter(|effort| effort.attempts > 0)
    }

    /// Logs one line.
    pub fn log(&self, line: &Line<'_>) {
        macro_rules! at {
            ($level:ident) => {
                tracing::$level!(
                    request_id = line.request_id,
                    contact_id = line.contact_id,
                    handler = line.handler.name(),
                    outcome = self.outcome,
                    reason = self.reason.map(Reason::code),
                    detail = self.detail,
                    source = Some(self.source).filter(|source| !source.is_empty()),
                    attempts = self.asked().map_or(0, |effort| effort.attempts),
                    api_ms = self.asked().map(|effort| milliseconds(effort.latency)),
                    receives = line.receives,
                    total_ms = line.total.map(milliseconds),
                    caller_ends_in = line.caller_ends_in,
                    "{}",
                    line.message
                )
            };
        }
        match self.severity {
            Severity::Info => at!(info),
            Severity::Warn => at!(warn),
            Severity::Error => at!(error),
        }
    }
}

/// A duration as the log has it.
pub fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// How loudly an answer is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// All is well.
    Info,
    /// A caller got less than they could have.
    Warn,
    /// An operator has to do something, or a summary is lost.
    Error,
}
