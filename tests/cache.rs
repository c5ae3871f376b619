//! Cached answers for a caller who calls again, on the running process.
//!
//! Most tests need DynamoDB. `outbox.rs` says how to run those by hand.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may panic")]

use std::collections::BTreeSet;

use serde_json::{Value, json};
use stand_ins::aws::{Aws, AwsFault, Service};
use stand_ins::events::{event, with_attribute, with_contact, with_parameter};
use stand_ins::log::lines;
use stand_ins::stack::Stack;
use stand_ins::sticky_calls::{CALL_START, Fault};

const BOOTSTRAP: &str = env!("CARGO_BIN_EXE_bootstrap");
const JANE: &str = "00000000-0000-4000-8000-000000000001";

/// Jane's call with this number.
fn call(number: usize) -> Value {
    let event = with_contact(event("returning_caller"), "/ContactId", format!("4a573372-1f28-4e26-b97b-{number:012}"));
    with_contact(event, "/InitialContactId", format!("call {number}"))
}

/// A save for call `number` that knows only the customer's reference.
fn save(number: usize) -> Value {
    let event = with_contact(event("web_chat"), "/InitialContactId", format!("call {number}"));
    let values =
        [("action", "save"), ("customer_ref", JANE), ("call_summary", "Wants a callback"), ("customer_id", "")];
    values.iter().fold(event, |event, (name, value)| with_parameter(event, name, *value))
}

/// The same, but it knows only the phone number.
fn save_by_number(number: usize) -> Value {
    let event = with_attribute(call(number), "customer_id", "");
    let values = [("action", "save"), ("customer_id", ""), ("call_summary", "Wants a callback")];
    values.iter().fold(event, |event, (name, value)| with_parameter(event, name, *value))
}

/// The same, but it knows only an e-mail address that identify did not know.
fn save_by_address(number: usize) -> Value {
    let event = with_contact(
        with_attribute(event("web_chat"), "customer_id", ""),
        "/InitialContactId",
        format!("call {number}"),
    );
    let values = [
        ("action", "save"),
        ("customer_id", ""),
        ("email", "jane.doe@example.com"),
        ("call_summary", "Wants a callback"),
    ];
    values.iter().fold(event, |event, (name, value)| with_parameter(event, name, *value))
}

struct Setting {
    aws: Aws,
    table: String,
    stack: Stack,
}

impl Setting {
    async fn new(variables: &[(&str, &str)]) -> Self {
        let aws = Aws::start().await;
        let table = aws.create_table().await;
        let stack = {
            let all = [&[("STICKY_CALLS_TABLE", table.as_str())], variables].concat();
            Stack::start_in(BOOTSTRAP, &aws, &all).await
        };
        Self { aws, table, stack }
    }

    /// The `lookup_source` of a call's answer.
    async fn source(&mut self, event: &Value) -> String {
        let answer = self.stack.invoke(event).await;
        answer["lookup_source"].as_str().unwrap().to_owned()
    }

    /// Makes everything in the table older.
    async fn pass(&self, seconds: i64) {
        for mut item in self.aws.items(&self.table).await {
            let Some(at) = item["at_ms"]["N"].as_str() else { continue };
            let at: i64 = at.parse().unwrap();
            item["at_ms"]["N"] = json!((at - seconds * 1_000).to_string());
            let put = json!({"TableName": self.table, "Item": item});
            self.aws.ask(Service::DynamoDb, "PutItem", put).await;
        }
    }
}

#[tokio::test]
async fn if_the_table_is_slow_or_down_calls_are_looked_up_and_saved_all_the_same() {
    for fault in
        [AwsFault::Hang, AwsFault::Reset, AwsFault::Status(500), AwsFault::Refused("ResourceNotFoundException")]
    {
        let aws = Aws::down(fault.clone()).await;
        let mut stack = Stack::start_in(BOOTSTRAP, &aws, &[("STICKY_CALLS_TABLE", "cache")]).await;
        let answer = stack.invoke(&call(1)).await;
        assert_eq!(
            (&answer["lookup_status"], &answer["lookup_source"]),
            (&json!("matched"), &json!("api")),
            "{fault:?}"
        );
        assert_eq!(stack.invoke(&save(1)).await["save_status"], "saved", "{fault:?}");
        let log = stack.function.stop().await;
        assert!(log.contains("the cache could not be read"), "{log}");
        let used_up = matches!(fault, AwsFault::Hang);
        assert_eq!(log.contains("the cache could not be written"), !used_up, "{log}");
        for told in [
            "the table was not read",
            "may be sent to the API twice",
            "the cache may hold what was known before this save",
        ] {
            assert!(log.contains(told), "{told}: {log}");
        }
    }
}

#[tokio::test]
async fn with_table_and_api_both_hanging_the_answer_comes_within_the_budget() {
    let aws = Aws::down(AwsFault::Hang).await;
    let variables = [("STICKY_CALLS_TABLE", "cache"), ("STICKY_CALLS_TIMEOUT_MS", "600")];
    let mut stack = Stack::start_in(BOOTSTRAP, &aws, &variables).await;
    stack.api.fail_always(Some(Fault::Hang));
    assert_eq!(stack.invoke(&call(1)).await["lookup_reason"], "timeout");
    let log = stack.function.stop().await;
    let line = lines(&log, "answered").pop().unwrap();
    assert!((600..2_500).contains(&line["total_ms"].as_u64().unwrap()), "{line}");
    assert!((300..600).contains(&line["api_ms"].as_u64().unwrap()), "{line}");
}

#[tokio::test]
#[ignore = "needs moto's server for DynamoDB, whose address is in STICKY_CONNECT_MOTO"]
async fn moto_a_caller_who_calls_again_gets_the_same_answer_from_the_cache() {
    let mut at = Setting::new(&[]).await;
    let mut first = at.stack.invoke(&call(1)).await;
    let mut second = at.stack.invoke(&call(2)).await;
    assert_eq!((&first["lookup_source"], &second["lookup_source"]), (&json!("api"), &json!("cache")));
    assert_eq!(first["call_start"], CALL_START);
    let start: jiff::Timestamp = second["call_start"].as_str().unwrap().parse().unwrap();
    assert!((jiff::Timestamp::now().as_second() - start.as_second()).abs() < 60, "{start}");
    for answer in [&mut first, &mut second] {
        for name in ["lookup_source", "call_start", "call_id"] {
            answer.as_object_mut().unwrap().remove(name);
        }
    }
    assert_eq!(first, second);
    assert_eq!(at.stack.api.received().len(), 1);

    // The reads are strongly consistent, else they could miss a tombstone.
    let reads = at.aws.received(Service::DynamoDb).into_iter().filter(|(operation, _)| operation == "BatchGetItem");
    assert!(reads.into_iter().all(|(_, read)| read["RequestItems"][&at.table]["ConsistentRead"] == true));
    let log = at.stack.function.stop().await;
    let line = lines(&log, "answered").pop().unwrap();
    assert_eq!((&line["source"], &line["attempts"]), (&json!("cache"), &json!(0)));
}

#[tokio::test]
#[ignore = "needs moto's server for DynamoDB, whose address is in STICKY_CONNECT_MOTO"]
async fn moto_threshold_and_variables_are_applied_to_a_cached_answer() {
    let mut at = Setting::new(&[]).await;
    assert_eq!(at.stack.invoke(&call(1)).await["lookup_status"], "matched");
    let strict = at.stack.invoke(&with_parameter(call(2), "returning_threshold", "0.95")).await;
    assert_eq!((&strict["lookup_status"], &strict["lookup_source"]), (&json!("unconfirmed"), &json!("cache")));
}

#[tokio::test]
#[ignore = "needs moto's server for DynamoDB, whose address is in STICKY_CONNECT_MOTO"]
async fn moto_two_people_who_share_a_phone_never_get_each_others_answer() {
    let mut at = Setting::new(&[]).await;
    assert_eq!(at.source(&call(1)).await, "api");
    let john = at.stack.invoke(&with_parameter(call(2), "customer_id", "C-2002")).await;
    assert_eq!(
        (&john["lookup_source"], &john["lookup_status"], &john["last_issue"]),
        (&json!("api"), &json!("new"), &json!(""))
    );
    assert_eq!(at.source(&with_parameter(call(3), "customer_id", "")).await, "api");
    assert_eq!(at.source(&call(4)).await, "cache");
}

#[tokio::test]
#[ignore = "needs moto's server for DynamoDB, whose address is in STICKY_CONNECT_MOTO"]
async fn moto_after_a_save_the_caller_does_not_get_the_answer_from_before_it() {
    for save in [save, save_by_number, save_by_address] {
        let mut at = Setting::new(&[]).await;
        assert_eq!(at.source(&call(1)).await, "api");
        assert_eq!(at.source(&call(2)).await, "cache");
        assert_eq!(at.stack.invoke(&save(2)).await["save_status"], "saved");
        let back = at.stack.invoke(&call(3)).await;
        assert_eq!((&back["lookup_source"], &back["last_issue"]), (&json!("api"), &json!("Wants a callback")));
        // Some time after the save, answers are cached again.
        at.pass(10).await;
        assert_eq!(at.source(&call(4)).await, "api");
        assert_eq!(at.source(&call(5)).await, "cache");
    }
}

#[tokio::test]
#[ignore = "needs moto's server for DynamoDB and SQS, whose address is in STICKY_CONNECT_MOTO"]
async fn moto_a_queued_save_and_its_redelivery_invalidate_cached_answers_too() {
    for save in [save, save_by_number] {
        let aws = Aws::start().await;
        let table = aws.create_table().await;
        let (queue, _) = aws.create_queue(15).await;
        let variables = [("STICKY_CALLS_TABLE", table.as_str()), ("STICKY_CALLS_OUTBOX_QUEUE_URL", queue.as_str())];
        let stack = Stack::start_in(BOOTSTRAP, &aws, &variables).await;
        let mut at = Setting { aws, table, stack };
        assert_eq!(at.source(&call(1)).await, "api");
        at.stack.api.fail_always(Some(Fault::status(500)));
        assert_eq!(at.stack.invoke(&save(1)).await["save_status"], "queued");
        at.stack.api.fail_always(None);
        at.pass(10).await;
        assert_eq!(at.source(&call(2)).await, "api");
        assert_eq!(at.source(&call(3)).await, "cache");
        assert_eq!(at.aws.poll(&queue, &mut at.stack.function).await.1, 1);
        let back = at.stack.invoke(&call(4)).await;
        assert_eq!((&back["lookup_source"], &back["last_issue"]), (&json!("api"), &json!("Wants a callback")));
    }
}

#[tokio::test]
#[ignore = "needs moto's server for DynamoDB, whose address is in STICKY_CONNECT_MOTO"]
async fn moto_a_cached_answer_is_not_used_after_five_minutes_even_if_dynamodb_has_not_deleted_it() {
    let mut at = Setting::new(&[]).await;
    assert_eq!(at.source(&call(1)).await, "api");
    let before = jiff::Timestamp::now().as_second();
    let expires: i64 = at.aws.items(&at.table).await[0]["expires_at"]["N"].as_str().unwrap().parse().unwrap();
    assert!((before + 290..=before + 300).contains(&expires), "{expires}");
    at.pass(290).await;
    assert_eq!(at.source(&call(2)).await, "cache");
    at.pass(10).await;
    assert_eq!(at.source(&call(3)).await, "api");
}

#[tokio::test]
#[ignore = "needs moto's server for DynamoDB, whose address is in STICKY_CONNECT_MOTO"]
async fn moto_only_answers_of_the_api_are_cached() {
    let mut at = Setting::new(&[]).await;
    for fault in [Fault::status(500), Fault::status(409), Fault::body("[]"), Fault::body("{}"), Fault::Reset] {
        at.stack.api.fail_always(Some(fault));
        at.stack.invoke(&call(1)).await;
    }
    at.stack.invoke(&with_parameter(call(2), "sticky_calls_opt_out", "true")).await;
    at.stack.invoke(&event("anonymous_caller")).await;
    assert_eq!(at.aws.items(&at.table).await, [Value::Null; 0]);
}

#[tokio::test]
#[ignore = "needs moto's server for DynamoDB, whose address is in STICKY_CONNECT_MOTO"]
async fn moto_the_tables_keys_and_the_log_show_no_number_and_no_id() {
    let mut at = Setting::new(&[("AWS_LAMBDA_LOG_LEVEL", "TRACE")]).await;
    at.stack.invoke(&call(1)).await;
    at.stack.invoke(&save_by_number(1)).await;
    at.stack.invoke(&save(2)).await;
    let items = at.aws.items(&at.table).await;
    let kinds: BTreeSet<_> =
        items.iter().map(|item| item["id"]["S"].as_str().unwrap().rsplit_once(':').unwrap().0).collect();
    assert_eq!(kinds, BTreeSet::from(["answer", "customer", "hint", "newest:customer", "newest:hint", "words"]));
    let log = at.stack.function.stop().await;
    let keys: Vec<_> = items.iter().map(|item| item["id"]["S"].as_str().unwrap().to_owned()).collect();
    for personal in ["2025550101", "C-1001", "jane.doe@example.com", "Wants a callback"] {
        assert!(!keys.iter().any(|key| key.contains(personal)), "{keys:?}");
        assert!(!log.contains(personal), "{log}");
    }
}

#[tokio::test]
#[ignore = "needs moto's server for DynamoDB, whose address is in STICKY_CONNECT_MOTO"]
async fn moto_while_the_table_hangs_callers_get_the_apis_answers() {
    let mut at = Setting::new(&[]).await;
    assert_eq!(at.source(&call(1)).await, "api");
    at.aws.fail(Service::DynamoDb, Some(AwsFault::Hang));
    assert_eq!(at.source(&call(2)).await, "api");
    assert_eq!(at.stack.invoke(&call(3)).await["lookup_status"], "matched");
    at.aws.fail(Service::DynamoDb, None);
    assert_eq!(at.source(&call(4)).await, "cache");
}
