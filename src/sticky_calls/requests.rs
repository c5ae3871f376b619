//! What the two calls send.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::CustomerRef;

/// The longest `call_id` that the API takes, in characters.
const MAX_CALL_ID_CHARS: usize = 128;

/// Whether the API takes this `call_id`.
pub fn takes_call_id(call_id: &str) -> bool {
    call_id.chars().count() <= MAX_CALL_ID_CHARS
}

/// `POST /v1/calls/start`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StartRequest {
    /// Unique for the call, and [short enough](takes_call_id).
    pub call_id: String,
    /// Who it could be. With no hint but `dnis`, the API answers 400.
    pub identity_hints: IdentityHints,
    /// What is known of the line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub telco: Option<Telco>,
}

/// What may identify a customer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct IdentityHints {
    /// The caller's number, E.164.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ani: Option<String>,
    /// The number that was called, E.164. It identifies nobody by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dnis: Option<String>,
    /// Ids of this one customer, the same on every call: CRM id, account number, e-mail address, …
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub external_ids: BTreeMap<String, String>,
    /// The reference that the API gave earlier.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customer_ref: Option<CustomerRef>,
}

impl IdentityHints {
    /// Whether they could identify somebody.
    pub fn are_usable(&self) -> bool {
        self.ani.is_some() || self.customer_ref.is_some() || !self.external_ids.is_empty()
    }
}

/// What is known of the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Telco {
    /// The kind of line.
    pub line_type: LineType,
}

/// The kinds of line that the API knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LineType {
    /// A mobile phone. It identifies a caller better than the others.
    Mobile,
    /// A landline.
    Landline,
    /// A line over the internet.
    Voip,
    /// Looked up, but not known.
    Unknown,
}

impl LineType {
    /// Reads one of the API's four words.
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "mobile" => Some(Self::Mobile),
            "landline" => Some(Self::Landline),
            "voip" => Some(Self::Voip),
            "unknown" => Some(Self::Unknown),
            _ => None,
        }
    }
}

/// `POST /v1/calls/end`. It can be deserialised too, because the outbox stores it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EndRequest {
    /// The `call_id` of the call's start.
    pub call_id: String,
    /// The reference that the start gave.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customer_ref: Option<CustomerRef>,
    /// Instead of a `customer_ref`: the API then matches or creates the customer ("standalone end").
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity_hints: Option<IdentityHints>,
    /// What the customer wanted.
    pub intent: String,
    /// What became of it.
    pub intent_status: IntentStatus,
    /// The variables for the next call. They are sent as plain strings; the API returns them as objects.
    pub variables: BTreeMap<String, String>,
}

/// What became of an intent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IntentStatus {
    /// Somebody still has to look after it.
    Open,
    /// Done.
    Resolved,
    /// The customer hung up without getting it resolved.
    Abandoned,
}

impl IntentStatus {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Open, Self::Resolved, Self::Abandoned];

    /// The API's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Resolved => "resolved",
            Self::Abandoned => "abandoned",
        }
    }

    /// Reads one of the API's three words, in any case.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str().eq_ignore_ascii_case(word))
    }
}
