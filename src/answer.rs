//! What a handler hands back: the answer to the flow, and what the log says of it.

use crate::connect::Attributes;
use crate::reason::Reason;
use crate::sticky_calls::Effort;

/// A handler's answer.
#[derive(Debug)]
pub struct Answer {
    /// What the flow gets.
    pub attributes: Attributes,
    /// `lookup_status` or `save_status`.
    pub outcome: &'static str,
    /// Why it is no better, as in `lookup_reason` or `error`.
    pub reason: Option<Reason>,
    /// How loudly to log it.
    pub severity: Severity,
    /// What the call to the API took, where it was called.
    pub effort: Option<Effort>,
    /// What the network or the API said, beyond the reason; never a body.
    pub detail: Option<String>,
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
