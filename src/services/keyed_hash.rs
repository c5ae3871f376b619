//! Keyed hashes of what identifies a caller, so that whoever reads the table finds no number and no id in its keys. A
//! plain hash would not do: there are few enough phone numbers to try them all.

use ring::hmac;

use crate::hash::hex;
use crate::sticky_calls::{ApiKey, IdentityHints};

/// What the key of the hashes is derived for. It changes with the form of what is hashed or kept.
const PURPOSE: &str = "sticky-connect table 1";

/// Hashes by a key that is derived from the API's.
pub(super) struct KeyedHash(hmac::Key);

impl KeyedHash {
    /// Hashes by this key of the API's. Another key gives other hashes.
    pub(super) fn new(key: &ApiKey) -> Self {
        Self(key.derive(PURPOSE))
    }

    /// The hash of any JSON.
    pub(super) fn of(&self, what: &serde_json::Value) -> String {
        hex(hmac::sign(&self.0, what.to_string().as_bytes()).as_ref())
    }

    /// The hashes of each single hint that identifies somebody by itself, a `customer_ref` aside.
    pub(super) fn of_hints(&self, hints: &IdentityHints) -> Vec<String> {
        let ani = hints.ani.iter().map(|ani| serde_json::json!(["ani", ani]));
        let external_ids = hints.external_ids.iter().map(|(name, id)| serde_json::json!(["external_id", name, id]));
        ani.chain(external_ids).map(|hint| self.of(&hint)).collect()
    }
}
