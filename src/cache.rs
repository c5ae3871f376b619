//! The cache: answers to a start, kept for a few minutes in a DynamoDB table.
//!
//! An answer is kept under a keyed hash of *all* that identified the caller, so that two people who share a phone never
//! see each other's. A save makes what was kept before it void, but it may know less of the caller than identify did. So
//! it does not look for the answer: it leaves marks, by the `customer_ref` that both have, or, where the save has no such
//! reference, by each single hint. An answer counts only where no mark is as new as the question it answered.
//!
//! All times are the writing function's clock; `CLOCK_SKEW` allows for clocks that differ.

use jiff::{SignedDuration, Timestamp};
use ring::hmac;
use tokio::time::Instant;

use crate::aws::{self, Row, Table};
use crate::identity;
use crate::sticky_calls::{ApiKey, EndRequest, IdentityHints, StartAnswer, StartRequest, Started};

/// How far two functions' clocks may differ. A mark voids answers to questions asked up to this much after it.
const CLOCK_SKEW: SignedDuration = SignedDuration::from_secs(2);

/// How long a mark is kept: longer than any answer can be.
const MARK_TTL: SignedDuration = SignedDuration::from_hours(25);

/// What the key of the hashes is derived for. It changes with the form of what is hashed or kept.
const PURPOSE: &str = "sticky-connect cache 1";

/// The table of kept answers.
pub struct Cache {
    table: Table,
    ttl: SignedDuration,
}

impl Cache {
    /// The cache in this table, whose answers may be used for `ttl`.
    pub fn new(table: Table, ttl: SignedDuration) -> Self {
        Self { table, ttl }
    }

    /// Opens the connection to the table ahead of the first call, before `deadline`; a failure is the first call's to
    /// handle.
    pub async fn open_first_connection(&self, deadline: Instant) {
        // An id that is never written.
        let _ = self.table.read(&["connect".to_owned()], deadline).await;
    }

    /// The answer that was kept for the same question, where it is fresh and no save has made it void.
    ///
    /// # Errors
    ///
    /// Where the table does not answer before `deadline`.
    pub async fn find(
        &self,
        request: &StartRequest,
        key: &ApiKey,
        deadline: Instant,
    ) -> Result<Option<StartAnswer>, aws::Error> {
        let hashes = Hashes::new(key);
        let id = hashes.of_question(request);
        let wanted = [vec![id.clone()], hashes.of_hints(&request.identity_hints)].concat();
        let rows = self.table.read(&wanted, deadline).await?;
        let (kept, mut marks): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| row.id == id);
        let Some(kept) = kept.into_iter().next() else { return Ok(None) };
        let Some(customer_ref) = &kept.customer_ref else { return Ok(None) };
        marks.extend(self.table.read(&[mark_by_customer(customer_ref)], deadline).await?);
        Ok(self.is_good(&kept, &marks, Timestamp::now()).then(|| answer(&kept)).flatten())
    }

    /// Keeps the API's answer to a question that was asked at `asked`. One that names no customer is not kept, since no
    /// save could make it void.
    ///
    /// # Errors
    ///
    /// Where the table does not take it before `deadline`.
    pub async fn keep(
        &self,
        request: &StartRequest,
        started: &Started,
        key: &ApiKey,
        asked: Timestamp,
        deadline: Instant,
    ) -> Result<(), aws::Error> {
        let Some(customer_ref) = identity::customer_ref(started.answer.customer_ref.clone()) else { return Ok(()) };
        let row = Row {
            id: Hashes::new(key).of_question(request),
            at_ms: asked.as_millisecond(),
            customer_ref: Some(customer_ref),
            answer: Some(started.json.clone()),
            expires_at: asked.saturating_add(self.ttl).map_or(0, Timestamp::as_second),
        };
        self.table.write(&[row], deadline).await
    }

    /// Makes void what was kept for the customer of a save: for whom it was, and where only the API knows that, for
    /// `customer_ref`, whom its answer named. Without a `key` hints can't be hashed, and no answer was kept under them.
    ///
    /// # Errors
    ///
    /// Where the table does not take it before `deadline`.
    pub async fn void(
        &self,
        request: &EndRequest,
        customer_ref: Option<&str>,
        key: Option<&ApiKey>,
        deadline: Instant,
    ) -> Result<(), aws::Error> {
        let now = Timestamp::now();
        let named = identity::customer_ref(customer_ref.map(str::to_owned));
        let mut ids: Vec<_> = request.customer_ref.iter().chain(&named).map(|named| mark_by_customer(named)).collect();
        if let (Some(hints), Some(key)) = (&request.identity_hints, key) {
            ids.extend(Hashes::new(key).of_hints(hints));
        }
        ids.sort_unstable();
        ids.dedup();
        let mark = |id| Row {
            id,
            at_ms: now.as_millisecond(),
            expires_at: now.saturating_add(MARK_TTL).map_or(0, Timestamp::as_second),
            ..Row::default()
        };
        let marks: Vec<_> = ids.into_iter().map(mark).collect();
        self.table.write(&marks, deadline).await
    }

    /// Whether a kept answer may be used `now`. DynamoDB deletes late, so its age is looked at here; an answer from the
    /// future is as useless as an old one.
    fn is_good(&self, kept: &Row, marks: &[Row], now: Timestamp) -> bool {
        let age = SignedDuration::from_millis(now.as_millisecond().saturating_sub(kept.at_ms));
        let is_fresh = age < self.ttl && age >= -CLOCK_SKEW;
        let skew = i64::try_from(CLOCK_SKEW.as_millis()).unwrap_or(i64::MAX);
        is_fresh && marks.iter().all(|mark| mark.at_ms.saturating_add(skew) < kept.at_ms)
    }
}

/// The answer in a row, or `None` where it can't be read. When the call started that it answered is not when this one
/// did.
fn answer(kept: &Row) -> Option<StartAnswer> {
    let answer = StartAnswer::parse(kept.answer.as_deref()?)?;
    Some(StartAnswer { call_start: None, ..answer })
}

/// The id of the mark by a customer: plain, so that it outlives a change of the API's key.
fn mark_by_customer(customer_ref: &str) -> String {
    format!("customer:{customer_ref}")
}

/// Keyed hashes of what identifies a caller: whoever reads the table finds no number and no id in it.
struct Hashes(hmac::Key);

impl Hashes {
    fn new(key: &ApiKey) -> Self {
        Self(key.derive(PURPOSE))
    }

    /// The id of the answer to a question: everything that the question says of the caller and the line.
    fn of_question(&self, request: &StartRequest) -> String {
        let StartRequest { call_id: _, identity_hints, telco } = request;
        self.hash("answer", &serde_json::json!([identity_hints, telco]))
    }

    /// The ids of the marks by each single hint that identifies somebody.
    fn of_hints(&self, hints: &IdentityHints) -> Vec<String> {
        let ani = hints.ani.iter().map(|ani| serde_json::json!(["ani", ani]));
        let external_ids = hints.external_ids.iter().map(|(name, id)| serde_json::json!(["external_id", name, id]));
        ani.chain(external_ids).map(|hint| self.hash("hint", &hint)).collect()
    }

    fn hash(&self, kind: &str, what: &serde_json::Value) -> String {
        let hash = hmac::sign(&self.0, what.to_string().as_bytes());
        hash.as_ref().iter().fold(format!("{kind}:"), |id, byte| id + &format!("{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use secrecy::SecretString;

    use super::*;
    use crate::aws::Access;
    use crate::https::Https;
    use crate::sticky_calls::{LineType, Telco};

    fn cache() -> Cache {
        let credentials = aws_sdk_dynamodb::config::Credentials::new("id", "key", None, None, "test");
        let access = Access { region: "eu-central-1".to_owned(), credentials, endpoint: None };
        Cache::new(access.clients(&Https::new().unwrap()).unwrap().table("table"), SignedDuration::from_secs(300))
    }

    fn key(text: &str) -> ApiKey {
        ApiKey::new(SecretString::from(text)).unwrap()
    }

    fn question(ani: &str, customer_id: &str) -> StartRequest {
        let identity_hints = IdentityHints {
            ani: Some(ani.to_owned()),
            external_ids: BTreeMap::from([("customer_id".to_owned(), customer_id.to_owned())]),
            ..IdentityHints::default()
        };
        StartRequest { call_id: "call_001".to_owned(), identity_hints, telco: None }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_770_460_200 + second).unwrap()
    }

    fn row(second: i64) -> Row {
        Row { at_ms: at(second).as_millisecond(), ..Row::default() }
    }

    #[test]
    fn two_people_who_share_a_phone_never_share_an_entry() {
        let hashes = Hashes::new(&key("sk_test_1"));
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
    fn no_number_and_no_id_can_be_read_in_a_key_and_another_api_key_makes_other_ones() {
        let request = question("+12025550101", "C-1001");
        let ids = |text: &str| {
            let hashes = Hashes::new(&key(text));
            [vec![hashes.of_question(&request)], hashes.of_hints(&request.identity_hints)].concat()
        };
        let one = ids("sk_test_1");
        assert_eq!(one.len(), 3);
        for id in &one {
            let (_, hash) = id.split_once(':').unwrap();
            assert!(hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
        }
        assert!(ids("sk_test_2").iter().all(|id| !one.contains(id)));
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
    fn a_save_makes_void_what_was_asked_before_it_and_just_after() {
        let cache = cache();
        assert!(!cache.is_good(&row(0), &[row(10)], at(20)), "asked before the save");
        assert!(!cache.is_good(&row(11), &[row(10)], at(20)), "asked by a clock that may be ahead");
        assert!(cache.is_good(&row(13), &[row(10)], at(20)), "asked after the save");
        assert!(!cache.is_good(&row(13), &[row(1), row(12)], at(20)), "one of several");
    }

    #[test]
    fn a_kept_answer_does_not_say_when_this_call_started() {
        let json = r#"{"customer_ref":"cust_1","call_start":"2026-02-07T10:30:00.000Z","identity":{"confidence":0.9}}"#;
        let kept = Row { answer: Some(json.to_owned()), ..Row::default() };
        let answer = answer(&kept).unwrap();
        assert_eq!((answer.call_start, answer.confidence), (None, 0.9));
        assert_eq!(super::answer(&Row { answer: Some("[]".to_owned()), ..Row::default() }), None);
    }
}
