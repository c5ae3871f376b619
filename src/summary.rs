//! What a call leaves for the next one, and the words by which a save and the next start agree on it.

use crate::sticky_calls::EndRequest;

/// What is saved as the last issue where nobody wrote anything; read back it says nothing.
pub const FILLER: &str = "Customer called for support";

/// The value that holds the summary, and the source of a last issue taken from it.
pub const CALL_SUMMARY: &str = "call_summary";

/// The value that holds the agent's notes, and the source of a last issue taken from them.
pub const AGENT_NOTES: &str = "agent_notes";

/// The variable that says who wrote the last issue; it is there where somebody did.
pub const LAST_ISSUE_SOURCE: &str = "last_issue_source";

/// What the API shall be told of a call.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// The contact's id, for the log.
    pub contact_id: Option<String>,
    /// What the API is told.
    pub request: EndRequest,
}

impl Summary {
    /// Whether somebody wrote something in it: a summary or notes.
    pub fn holds_text(&self) -> bool {
        self.request.variables.contains_key(LAST_ISSUE_SOURCE)
    }
}
