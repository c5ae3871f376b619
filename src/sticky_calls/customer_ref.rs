//! The API's reference for a customer.

use serde::{Deserialize, Serialize};

/// The longest reference, in characters. A longer one counts as absent. It is never cut, because the rest could be
/// another customer's reference.
const MAX_CHARS: usize = 256;

/// Texts that flows pass if they found no id. Taken as ids, they would turn everybody without an id into one customer.
const PLACEHOLDERS: [&str; 12] =
    ["true", "false", "null", "undefined", "none", "nil", "nan", "unknown", "anonymous", "n/a", "na", "-"];

/// A customer's reference: opaque, given by the API, stored by flows.
///
/// It is not checked again when it is read from the outbox: it was checked before it was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CustomerRef(String);

impl CustomerRef {
    /// Takes a reference. Returns `None` if the text is a placeholder or too long.
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

/// Whether a text means "no id": it is blank, only zeros, or a placeholder in upper or lower case.
pub fn is_placeholder(text: &str) -> bool {
    let text = text.trim().to_lowercase();
    // JSON may write zero as 0.0.
    text.bytes().all(|byte| matches!(byte, b'0' | b'.')) || PLACEHOLDERS.contains(&text.as_str())
}
