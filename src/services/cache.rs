//! The cache: the API's answers to a start, stored in the table for a few minutes.
//!
//! An answer is stored under a keyed hash of *all* hints that identified the caller. So two people who share a phone
//! never get each other's answer. A save invalidates the answers from before it, but it may know fewer hints than
//! identify did, so it can't find them. Instead it writes tombstones: one for the `customer_ref`, or, if the save has
//! none, one for each hint. An answer is used only if its request is newer than every tombstone for its customer and
//! its hints.
//!
//! All times are from the clock of the function that writes them; `CLOCK_SKEW` allows for clocks that differ.

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::keyed_hash::KeyedHash;
use crate::aws::{self, Row, Table};
use crate::sticky_calls::{ApiKey, CustomerRef, EndRequest, StartAnswer, StartRequest, Started};

/// How far two functions' clocks may differ. A tombstone also invalidates answers to requests that came so soon after
/// it.
const CLOCK_SKEW: SignedDuration = SignedDuration::from_secs(2);

/// How long a tombstone is kept: longer than any answer.
const TOMBSTONE_TTL: SignedDuration = SignedDuration::from_hours(25);

/// When the API was asked, or when the save came, in milliseconds since 1970.
const AT: &str = "at_ms";
/// The customer in an answer.
const CUSTOMER_REF: &str = "customer_ref";
/// The answer, as JSON.
const ANSWER: &str = "answer";

/// The cached answers.
pub struct Cache {
    table: Table,
    ttl: SignedDuration,
}

impl Cache {
    /// The cache in this table, whose answers may be used for `ttl`.
    pub fn new(table: Table, ttl: SignedDuration) -> Self {
        Self { table, ttl }
    }

    /// The cached answer for the same hints, if it is fresh and no save has invalidated it.
    ///
    /// # Errors
    ///
    /// Fails if the table does not answer before `deadline`.
    pub async fn find(
        &self,
        request: &StartRequest,
        key: &ApiKey,
        deadline: Instant,
    ) -> Result<Option<StartAnswer>, aws::Error> {
        let hashes = KeyedHash::new(key);
        let id = answer_id(&hashes, request);
        let hints = hashes.of_hints(&request.identity_hints).into_iter().map(hint_tombstone_id);
        let wanted: Vec<_> = std::iter::once(id.clone()).chain(hints).collect();
        let rows = self.table.read(&wanted, deadline).await?;
        let (kept, mut tombstones): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| row.id == id);
        let Some(kept) = kept.into_iter().next() else { return Ok(None) };
        let Some(customer_ref) = kept.text(CUSTOMER_REF) else { return Ok(None) };
        tombstones.extend(self.table.read(&[customer_tombstone_id(customer_ref)], deadline).await?);
        Ok(self.is_usable(&kept, &tombstones, Timestamp::now()).then(|| answer(&kept)).flatten())
    }

    /// Stores the API's answer to a request that was sent at `asked`. An answer without a `customer_ref` is not stored,
    /// because no save could invalidate it.
    ///
    /// # Errors
    ///
    /// Fails if the table does not confirm it before `deadline`.
    pub async fn keep(
        &self,
        request: &StartRequest,
        started: &Started,
        key: &ApiKey,
        asked: Timestamp,
        deadline: Instant,
    ) -> Result<(), aws::Error> {
        let Some(customer_ref) = &started.answer.customer_ref else { return Ok(()) };
        let expires_at = asked.saturating_add(self.ttl).map_or(0, Timestamp::as_second);
        let row = Row::new(answer_id(&KeyedHash::new(key), request), expires_at)
            .with_number(AT, asked.as_millisecond())
            .with_text(CUSTOMER_REF, customer_ref.as_str())
            .with_text(ANSWER, started.json.clone());
        self.table.write(&[row], deadline).await
    }

    /// The ids of the tombstones of a save: for the customer in its `request`, and for the `customer_ref` in the API's
    /// answer. Without a `key` hints can't be hashed; then no answer was stored under them either.
    pub fn tombstones(request: &EndRequest, customer_ref: Option<&CustomerRef>, key: Option<&ApiKey>) -> Vec<String> {
        let hints = request.identity_hints.as_ref();
        let customers =
            [request.customer_ref.as_ref(), customer_ref, hints.and_then(|hints| hints.customer_ref.as_ref())];
        let by_customer =
            customers.into_iter().flatten().map(|customer_ref| customer_tombstone_id(customer_ref.as_str()));
        let by_hint = hints.zip(key).map(|(hints, key)| KeyedHash::new(key).of_hints(hints)).unwrap_or_default();
        let mut ids: Vec<_> = by_customer.chain(by_hint.into_iter().map(hint_tombstone_id)).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// Writes tombstones with the current time.
    ///
    /// # Errors
    ///
    /// Fails if the table does not confirm all of them before `deadline`.
    pub async fn write_tombstones(&self, tombstones: &[String], deadline: Instant) -> Result<(), aws::Error> {
        let now = Timestamp::now();
        let expires_at = now.saturating_add(TOMBSTONE_TTL).map_or(0, Timestamp::as_second);
        let row = |id: &String| Row::new(id.clone(), expires_at).with_number(AT, now.as_millisecond());
        self.table.write(&tombstones.iter().map(row).collect::<Vec<_>>(), deadline).await
    }

    /// Whether an answer from before `then` may still be in use. If not, a tombstone is useless.
    pub fn may_hold_answers_from_before(&self, then: Timestamp) -> bool {
        then.saturating_add(self.ttl).is_ok_and(|end| end > Timestamp::now())
    }

    /// Whether a cached answer may be used `now`. DynamoDB deletes late, so its age is checked here. An answer from the
    /// future is refused too.
    fn is_usable(&self, kept: &Row, tombstones: &[Row], now: Timestamp) -> bool {
        let asked = kept.number(AT).unwrap_or_default();
        let age = SignedDuration::from_millis(now.as_millisecond().saturating_sub(asked));
        let is_fresh = age < self.ttl && age >= -CLOCK_SKEW;
        let skew = i64::try_from(CLOCK_SKEW.as_millis()).unwrap_or(i64::MAX);
        let came = |tombstone: &Row| tombstone.number(AT).unwrap_or(i64::MAX);
        is_fresh && tombstones.iter().all(|tombstone| came(tombstone).saturating_add(skew) < asked)
    }
}

/// The answer in a row, or `None` if it can't be read. `call_start` is removed: it is the start of the earlier call.
fn answer(kept: &Row) -> Option<StartAnswer> {
    let answer = StartAnswer::parse(kept.text(ANSWER)?)?;
    Some(StartAnswer { call_start: None, ..answer })
}

/// The cache's key: everything in the request about the caller and the line, and nothing about the call.
fn answer_id(hashes: &KeyedHash, request: &StartRequest) -> String {
    let StartRequest { call_id: _, identity_hints, telco } = request;
    format!("answer:{}", hashes.of(&serde_json::json!([identity_hints, telco])))
}

fn hint_tombstone_id(hash: String) -> String {
    format!("hint:{hash}")
}

/// Not hashed, so that it stays valid when the API's key changes.
fn customer_tombstone_id(customer_ref: &str) -> String {
    format!("customer:{customer_ref}")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use secrecy::SecretString;

    use super::*;
    use crate::aws::Access;
    use crate::https::Https;
    use crate::sticky_calls::{IdentityHints, LineType, Telco};

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
    fn two_people_who_share_a_phone_never_share_a_cached_answer() {
        let id = |request: &StartRequest| answer_id(&hashes("sk_test_1"), request);
        let jane = question("+12025550101", "C-1001");
        assert_eq!(id(&jane), id(&StartRequest { call_id: "call_002".to_owned(), ..jane.clone() }));

        let john = question("+12025550101", "C-1002");
        let mut mobile = jane.clone();
        mobile.telco = Some(Telco { line_type: LineType::Mobile });
        let mut at_work = jane.clone();
        at_work.identity_hints.ani = Some("+12025550199".to_owned());
        let mut known = jane.clone();
        known.identity_hints.customer_ref = CustomerRef::new("cust_1".to_owned());
        let mut other_line = jane.clone();
        other_line.identity_hints.dnis = Some("+12025550150".to_owned());
        for other in [john, mobile, at_work, known, other_line] {
            assert_ne!(id(&jane), id(&other), "{other:?}");
        }
    }

    #[test]
    fn the_tables_keys_show_no_number_and_no_id_and_change_with_the_api_key() {
        let request = question("+12025550101", "C-1001");
        let all = |key: &str| {
            let hashes = hashes(key);
            let answer = answer_id(&hashes, &request).replace("answer:", "");
            [vec![answer], hashes.of_hints(&request.identity_hints)].concat()
        };
        let one = all("sk_test_1");
        assert_eq!(one.len(), 3);
        for hash in &one {
            assert!(hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()), "{hash}");
        }
        assert!(all("sk_test_2").iter().all(|hash| !one.contains(hash)));
    }

    fn cache() -> Cache {
        let credentials = aws_sdk_dynamodb::config::Credentials::new("id", "key", None, None, "test");
        let access = Access { region: "eu-central-1".to_owned(), credentials, endpoint: None };
        Cache::new(access.clients(&Https::new().unwrap()).unwrap().table("table"), SignedDuration::from_secs(300))
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_770_460_200 + second).unwrap()
    }

    fn row(second: i64) -> Row {
        Row::default().with_number(AT, at(second).as_millisecond())
    }

    #[test]
    fn a_cached_answer_is_used_until_its_configured_age() {
        let cache = cache();
        assert!(cache.is_usable(&row(0), &[], at(0)));
        assert!(cache.is_usable(&row(0), &[], at(299)));
        assert!(!cache.is_usable(&row(0), &[], at(300)));
        assert!(!cache.is_usable(&row(10), &[], at(0)), "from the future");
    }

    #[test]
    fn a_save_invalidates_answers_from_before_it_and_from_just_after_it() {
        let cache = cache();
        assert!(!cache.is_usable(&row(0), &[row(10)], at(20)), "asked before the save");
        assert!(!cache.is_usable(&row(11), &[row(10)], at(20)), "asked by a clock that may be ahead");
        assert!(cache.is_usable(&row(13), &[row(10)], at(20)), "asked after the save");
        assert!(!cache.is_usable(&row(13), &[row(1), row(12)], at(20)), "one of several");
    }

    #[test]
    fn a_cached_answer_has_no_call_start() {
        let json = r#"{"customer_ref":"cust_1","call_start":"2026-02-07T10:30:00.000Z","identity":{"confidence":0.9}}"#;
        let kept = Row::default().with_text(ANSWER, json);
        let answer = answer(&kept).unwrap();
        assert_eq!((answer.call_start, answer.confidence), (None, 0.9));
        assert_eq!(super::answer(&Row::default().with_text(ANSWER, "[]")), None);
    }
}
