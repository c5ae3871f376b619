//! Keyed hashes of what identifies a caller, so that the table's keys show no number and no id. A plain hash would not
//! be enough: there are so few phone numbers that one can try them all.

use ring::hmac;

use crate::hash::hex;
use crate::sticky_calls::{ApiKey, IdentityHints};

/// The purpose for which the hashes' key is derived. Change it if rows of an older build must not be found any more:
/// because a stored value has another form, or the hints of tombstones have.
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

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use secrecy::SecretString;

    use super::*;

    #[test]
    fn two_customers_have_no_hash_in_common_unless_they_share_the_very_hint() {
        let hashes = KeyedHash::new(&ApiKey::new(SecretString::from("sk_test_1")).unwrap());
        let of = |ani: &str, name: &str, id: &str| {
            let external_ids = BTreeMap::from([(name.to_owned(), id.to_owned())]);
            let hints = IdentityHints { ani: Some(ani.to_owned()), external_ids, ..IdentityHints::default() };
            hashes.of_hints(&hints).into_iter().collect::<BTreeSet<_>>()
        };
        let jane = of("+12025550101", "customer_id", "C-1001");
        let at_her_phone = of("+12025550101", "customer_id", "C-1002");
        assert_eq!(jane.intersection(&at_her_phone).count(), 1);
        for stranger in [
            of("+12025550102", "customer_id", "C-1002"),
            of("+12025550102", "loyalty_card", "C-1001"),
            of("C-1001", "ani", "+12025550101"),
        ] {
            assert!(jane.is_disjoint(&stranger), "{stranger:?}");
        }
    }
}
