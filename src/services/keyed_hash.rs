//! Keyed hashes of what identifies a caller, so that the table's keys show no number and no id. A plain hash would not
//! be enough: there are so few phone numbers that one can try them all.

use ring::hmac;

use crate::hash::hex;
use crate::sticky_calls::{ApiKey, IdentityHints};

/// The purpose for which the hashes' key is derived. It must change if the form of the hashed or stored values changes.
const PURPOSE: &str = "sticky-connect table 1";

/// Hashes with a key that is derived from the API's key.
pub(super) struct KeyedHash(hmac::Key);

impl KeyedHash {
    /// Hashes with a key derived from this one. Another API key gives other hashes.
    pub(super) fn new(key: &ApiKey) -> Self {
        Self(key.derive(PURPOSE))
    }

    /// The hash of a JSON value.
    pub(super) fn of(&self, what: &serde_json::Value) -> String {
        hex(hmac::sign(&self.0, what.to_string().as_bytes()).as_ref())
    }

    /// The hash of each hint that identifies somebody by itself, except a `customer_ref`.
    pub(super) fn of_hints(&self, hints: &IdentityHints) -> Vec<String> {
        let ani = hints.ani.iter().map(|ani| serde_json::json!(["ani", ani]));
        let external_ids = hints.external_ids.iter().map(|(name, id)| serde_json::json!(["external_id", name, id]));
        ani.chain(external_ids).map(|hint| self.of(&hint)).collect()
    }
}
