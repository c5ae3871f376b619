//! Hashes: plain ones of words and calls, and keyed ones of what identifies a caller, so that whoever reads the table finds
//! no number and no id in its keys. There a plain hash would not do: there are few enough phone numbers to try them all.

use ring::digest::{SHA256, digest};
use ring::hmac;

use crate::sticky_calls::{ApiKey, IdentityHints, StartRequest};

/// What the key of the hashes is derived for. It changes with the form of what is hashed or kept.
const PURPOSE: &str = "sticky-connect table 1";

/// A SHA-256 in hex digits.
pub fn sha256(bytes: &[u8]) -> String {
    hex(digest(&SHA256, bytes).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.filter_map(|digit| char::from_digit(digit.into(), 16)).collect()
}

/// Hashes by a key that is derived from the API's.
pub struct KeyedHash(hmac::Key);

impl KeyedHash {
    /// Hashes by this key of the API's. Another key gives other hashes.
    pub fn new(key: &ApiKey) -> Self {
        Self(key.derive(PURPOSE))
    }

    /// The hash of a question: everything that it says of the caller and the line, and nothing of the call.
    pub fn of_question(&self, request: &StartRequest) -> String {
        let StartRequest { call_id: _, identity_hints, telco } = request;
        self.hash(&serde_json::json!([identity_hints, telco]))
    }

    /// The hashes of each single hint that identifies somebody by itself, a `customer_ref` aside.
    pub fn of_hints(&self, hints: &IdentityHints) -> Vec<String> {
        let ani = hints.ani.iter().map(|ani| serde_json::json!(["ani", ani]));
        let external_ids = hints.external_ids.iter().map(|(name, id)| serde_json::json!(["external_id", name, id]));
        ani.chain(external_ids).map(|hint| self.hash(&hint)).collect()
    }

    fn hash(&self, what: &serde_json::Value) -> String {
        hex(hmac::sign(&self.0, what.to_string().as_bytes()).as_ref())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use secrecy::SecretString;

    use super::*;
    use crate::sticky_calls::{LineType, Telco};

    fn hashes(key: &str) -> KeyedHash {
        KeyedHash::new(&ApiKey::new(SecretString::from(key)).unwrap())
    }

    fn question(ani: &str, customer_id: &str) -> StartRequest {
        let identity_hints = IdentityHints {
            ani: Some(ani.to_owned()),
            external_ids: BTreeMap::from([("customer_id".to_owned(), customer_id.to_owned())]),
            ..IdentityHints::default()
        };
        StartRequest { call_id: "call_001".to_owned(), identity_hints, telco: None }
    }

    #[test]
    fn a_hash_is_written_in_hex_digits() {
        // The digest of "abc" in FIPS 180-4's own example.
        assert_eq!(sha256(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn two_people_who_share_a_phone_never_share_an_entry() {
        let hashes = hashes("sk_test_1");
        let jane = question("+12025550101", "C-1001");
        let other_call = StartRequest { call_id: "call_002".to_owned(), ..jane.clone() };
        assert_eq!(hashes.of_question(&jane), hashes.of_question(&other_call));

        let john = question("+12025550101", "C-1002");
        let mut mobile = jane.clone();
        mobile.telco = Some(Telco { line_type: LineType::Mobile });
        let mut at_work = jane.clone();
        at_work.identity_hints.ani = Some("+12025550199".to_owned());
        let mut known = jane.clone();
        known.identity_hints.customer_ref = Some("cust_1".to_owned());
        let mut other_line = jane.clone();
        other_line.identity_hints.dnis = Some("+12025550150".to_owned());
        for other in [john, mobile, at_work, known, other_line] {
            assert_ne!(hashes.of_question(&jane), hashes.of_question(&other), "{other:?}");
        }
    }

    #[test]
    fn no_number_and_no_id_can_be_read_in_a_hash_and_another_api_key_makes_other_ones() {
        let request = question("+12025550101", "C-1001");
        let all = |key: &str| {
            let hashes = hashes(key);
            [vec![hashes.of_question(&request)], hashes.of_hints(&request.identity_hints)].concat()
        };
        let one = all("sk_test_1");
        assert_eq!(one.len(), 3);
        for hash in &one {
            assert!(hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()), "{hash}");
        }
        assert!(all("sk_test_2").iter().all(|hash| !one.contains(hash)));
    }
}
