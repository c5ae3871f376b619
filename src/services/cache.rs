//! The cache: answers to a start, kept for a few minutes in the table.
//!
//! An answer is kept under a keyed hash of *all* that identified the caller, so that two people who share a phone never
//! see each other's. A save invalidates what was kept before it, but it may know less of the caller than identify did. So
//! it does not look for the answer: it leaves tombstones, by the `customer_ref` that both have, or, where the save has no
//! such reference, by each single hint. An answer counts only if no tombstone is as new as the question it answered.
//!
//! All times are the writing function's clock; `CLOCK_SKEW` allows for clocks that differ.

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::keyed_hash::KeyedHash;
use crate::aws::{self, Row, Table};
use crate::sticky_calls::{ApiKey, CustomerRef, EndRequest, StartAnswer, StartRequest, Started};

/// How far two functions' clocks may differ. A tombstone invalidates answers to questions asked up to this much after it.
const CLOCK_SKEW: SignedDuration = SignedDuration::from_secs(2);

/// How long a tombstone is kept: longer than any answer can be.
const TOMBSTONE_TTL: SignedDuration = SignedDuration::from_hours(25);

/// What rows hold: when the question was asked or the save came, in milliseconds since 1970; the customer in an answer; the
/// answer, as JSON.
const AT: &str = "at_ms";
const CUSTOMER_REF: &str = "customer_ref";
const ANSWER: &str = "answer";

/// The kept answers.
pub struct Cache {
    table: Table,
    ttl: SignedDuration,
}

impl Cache {
    /// The cache in this table, whose answers may be used for `ttl`.
    pub fn new(table: Table, ttl: SignedDuration) -> Self {
        Self { table, ttl }
    }

    /// The answer that was kept for the same question, if it is fresh and no save has invalidated it.
    ///
    /// # Errors
    ///
    /// If the table does not answer before `deadline`.
    pub async fn find(
        &self,
        request: &StartRequest,
        key: &ApiKey,
        deadline: Instant,
    ) -> Result<Option<StartAnswer>, aws::Error> {
        let hashes = KeyedHash::new(key);
        let id = answer_to(&hashes, request);
        let hints = hashes.of_hints(&request.identity_hints).into_iter().map(tombstone_by_hint);
        let wanted: Vec<_> = std::iter::once(id.clone()).chain(hints).collect();
        let rows = self.table.read(&wanted, deadline).await?;
        let (kept, mut tombstones): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| row.id == id);
        let Some(kept) = kept.into_iter().next() else { return Ok(None) };
        let Some(customer_ref) = kept.text(CUSTOMER_REF) else { return Ok(None) };
        tombstones.extend(self.table.read(&[tombstone_by_customer(customer_ref)], deadline).await?);
        Ok(self.is_good(&kept, &tombstones, Timestamp::now()).then(|| answer(&kept)).flatten())
    }

    /// Keeps the API's answer to a question that was asked at `asked`. One that names no customer is not kept, since no
    /// save could invalidate it.
    ///
    /// # Errors
    ///
    /// If the table does not take it before `deadline`.
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
        let row = Row::new(answer_to(&KeyedHash::new(key), request), expires_at)
            .with_number(AT, asked.as_millisecond())
            .with_text(CUSTOMER_REF, customer_ref.as_str())
            .with_text(ANSWER, started.json.clone());
        self.table.write(&[row], deadline).await
    }

    /// The ids of the tombstones for the customer of a save: for whom it was, and if only the API knows that, for
    /// `customer_ref`, whom its answer named. Without a `key` hints can't be hashed, and no answer was kept under them.
    pub fn tombstones(request: &EndRequest, customer_ref: Option<&CustomerRef>, key: Option<&ApiKey>) -> Vec<String> {
        let hints = request.identity_hints.as_ref();
        let customers =
            [request.customer_ref.as_ref(), customer_ref, hints.and_then(|hints| hints.customer_ref.as_ref())];
        let by_customer =
            customers.into_iter().flatten().map(|customer_ref| tombstone_by_customer(customer_ref.as_str()));
        let by_hint = hints.zip(key).map(|(hints, key)| KeyedHash::new(key).of_hints(hints)).unwrap_or_default();
        let mut ids: Vec<_> = by_customer.chain(by_hint.into_iter().map(tombstone_by_hint)).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// Writes tombstones, as of now.
    ///
    /// # Errors
    ///
    /// If the table does not take all of them before `deadline`.
    pub async fn bury(&self, tombstones: &[String], deadline: Instant) -> Result<(), aws::Error> {
        let now = Timestamp::now();
        let expires_at = now.saturating_add(TOMBSTONE_TTL).map_or(0, Timestamp::as_second);
        let row = |id: &String| Row::new(id.clone(), expires_at).with_number(AT, now.as_millisecond());
        self.table.write(&tombstones.iter().map(row).collect::<Vec<_>>(), deadline).await
    }

    /// Whether an answer that was kept before `then` may still be used: without one a tombstone is of no use.
    pub fn may_have_kept_before(&self, then: Timestamp) -> bool {
        then.saturating_add(self.ttl).is_ok_and(|end| end > Timestamp::now())
    }

    /// Whether a kept answer may be used `now`. DynamoDB deletes late, so its age is looked at here; an answer from the
    /// future is as useless as an old one.
    fn is_good(&self, kept: &Row, tombstones: &[Row], now: Timestamp) -> bool {
        let asked = kept.number(AT).unwrap_or_default();
        let age = SignedDuration::from_millis(now.as_millisecond().saturating_sub(asked));
        let is_fresh = age < self.ttl && age >= -CLOCK_SKEW;
        let skew = i64::try_from(CLOCK_SKEW.as_millis()).unwrap_or(i64::MAX);
        let came = |tombstone: &Row| tombstone.number(AT).unwrap_or(i64::MAX);
        is_fresh && tombstones.iter().all(|tombstone| came(tombstone).saturating_add(skew) < asked)
    }
}

/// The answer in a row, or `None` if it can't be read. When the call started that it answered is not when this one did.
fn answer(kept: &Row) -> Option<StartAnswer> {
    let answer = StartAnswer::parse(kept.text(ANSWER)?)?;
    Some(StartAnswer { call_start: None, ..answer })
}

/// The cache's key: everything that the question says of the caller and the line, and nothing of the call.
fn answer_to(hashes: &KeyedHash, request: &StartRequest) -> String {
    let StartRequest { call_id: _, identity_hints, telco } = request;
    format!("answer:{}", hashes.of(&serde_json::json!([identity_hints, telco])))
}

fn tombstone_by_hint(hash: String) -> String {
    format!("hint:{hash}")
}

/// Plain, so that it outlives a change of the API's key.
fn tombstone_by_customer(customer_ref: &str) -> String {
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
    fn two_people_who_share_a_phone_never_share_an_entry() {
        let id = |request: &StartRequest| answer_to(&hashes("sk_test_1"), request);
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
    fn no_number_and_no_id_can_be_read_in_the_tables_keys_and_another_api_key_makes_other_ones() {
        let request = question("+12025550101", "C-1001");
        let all = |key: &str| {
            let hashes = hashes(key);
            let answer = answer_to(&hashes, &request).replace("answer:", "");
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
    fn an_answer_is_good_until_it_is_as_old_as_configured() {
        let cache = cache();
        assert!(cache.is_good(&row(0), &[], at(0)));
        assert!(cache.is_good(&row(0), &[], at(299)));
        assert!(!cache.is_good(&row(0), &[], at(300)));
        assert!(!cache.is_good(&row(10), &[], at(0)), "from the future");
    }

    #[test]
    fn a_save_invalidates_what_was_asked_before_it_and_just_after() {
        let cache = cache();
        assert!(!cache.is_good(&row(0), &[row(10)], at(20)), "asked before the save");
        assert!(!cache.is_good(&row(11), &[row(10)], at(20)), "asked by a clock that may be ahead");
        assert!(cache.is_good(&row(13), &[row(10)], at(20)), "asked after the save");
        assert!(!cache.is_good(&row(13), &[row(1), row(12)], at(20)), "one of several");
    }

    #[test]
    fn a_kept_answer_does_not_say_when_this_call_started() {
        let json = r#"{"customer_ref":"cust_1","call_start":"2026-02-07T10:30:00.000Z","identity":{"confidence":0.9}}"#;
        let kept = Row::default().with_text(ANSWER, json);
        let answer = answer(&kept).unwrap();
        assert_eq!((answer.call_start, answer.confidence), (None, 0.9));
        assert_eq!(super::answer(&Row::default().with_text(ANSWER, "[]")), None);
    }
}
