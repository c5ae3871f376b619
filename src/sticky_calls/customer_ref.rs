//! The API's reference for a customer.

use serde::{Deserialize, Serialize};

/// The longest reference, in characters. A longer one counts as absent; it is never cut, since the stump would be another
/// customer's or nobody's.
const MAX_CHARS: usize = 256;

/// What stands in an id's place if a look-up found none. As an id each would be one customer, and everybody without an id
/// that one.
const PLACEHOLDERS: [&str; 12] =
    ["true", "false", "null", "undefined", "none", "nil", "nan", "unknown", "anonymous", "n/a", "na", "-"];

/// A customer's reference: opaque, given by the API, stored by flows.
///
/// What is read back from the outbox was checked when it was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CustomerRef(String);

impl CustomerRef {
    /// Takes a reference, or `None` if the text is a placeholder or too long.
    pub fn new(text: String) -> Option<Self> {
        (!is_placeholder(&text) && text.chars().count() <= MAX_CHARS).then_some(Self(text))
    }

    /// The reference itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<CustomerRef> for String {
    fn from(CustomerRef(text): CustomerRef) -> Self {
        text
    }
}

/// Whether a text stands for no id: blank, zeros alone, or a placeholder, in upper or lower case.
pub fn is_placeholder(text: &str) -> bool {
    let text = text.trim().to_lowercase();
    // A zero as JSON may write it too: 0.0.
    text.bytes().all(|byte| matches!(byte, b'0' | b'.')) || PLACEHOLDERS.contains(&text.as_str())
}
