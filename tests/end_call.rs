//! End-call's tables, row by row, on the running process: what the API gets, and what the flow gets.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may panic")]

use serde_json::{Value, json};
use stand_ins::events::{event, with_attribute, with_contact, with_parameter};
use stand_ins::stack::Stack;
use stand_ins::sticky_calls::Fault;

const BOOTSTRAP: &str = env!("CARGO_BIN_EXE_bootstrap");
const JANE: &str = "00000000-0000-4000-8000-000000000001";

async fn stack() -> Stack {
    Stack::start(BOOTSTRAP, &[("STICKY_CALLS_ACTION", "save")]).await
}

/// What the API gets for `event`.
async fn request_for(event: &Value) -> Value {
    let mut stack = stack().await;
    let answer = stack.invoke(event).await;
    assert_eq!(answer["save_status"], "saved", "{answer}");
    stack.only_request()
}

/// A save block in Jane's call, with these values as parameters.
fn save(values: &[(&str, Value)]) -> Value {
    let event = with_attribute(event("returning_caller"), "customer_ref", JANE);
    values.iter().fold(event, |event, (name, value)| with_parameter(event, name, value.clone()))
}

#[tokio::test]
async fn a_wrapped_up_call_is_saved_with_all_that_the_agent_wrote() {
    let expected = json!({
        "call_id": "4a573372-1f28-4e26-b97b-000000000005",
        "customer_ref": JANE,
        "intent": "technical_support",
        "intent_status": "resolved",
        "variables": {
            "last_issue": "Router restarted after a firmware update",
            "last_issue_source": "call_summary",
            "resolution": "Paid with [card number], sent a new power supply",
            "call_date": "2026-02-07T10:30:00.000Z",
            "name": "Jane Doe",
            "tier": "vip",
        },
    });
    assert_eq!(request_for(&event("save")).await, expected);
}

#[tokio::test]
async fn a_disconnect_flow_saves_under_the_id_of_the_call() {
    let mut stack = Stack::start(BOOTSTRAP, &[]).await;
    let answer = stack.invoke(&event("disconnect_flow")).await;
    let id = "4a573372-1f28-4e26-b97b-000000000004";
    let expected = json!({"success": "true", "save_status": "saved", "error": "", "call_id": id, "saved_words": answer["saved_words"]});
    assert_eq!(answer, expected);
    let (call_id, words) = answer["saved_words"].as_str().unwrap().rsplit_once('.').unwrap();
    assert_eq!((call_id, words.len()), (id, 16));
    assert_eq!(stack.api.received()[0].path, "/v1/calls/end");
    assert_eq!(stack.only_request()["call_id"], id);
    assert_eq!(stack.api.customers()[0].open_intents, [("billing_issue".to_owned(), 3)]);
}

#[tokio::test]
async fn a_call_without_words_leaves_no_last_issue() {
    let request = request_for(&save(&[("call_date", json!("2026-02-01"))])).await;
    assert_eq!(request["variables"], json!({"call_date": "2026-02-01"}));
    assert_eq!(request["intent"], "general_inquiry");
    assert_eq!(request["intent_status"], "resolved");
}

#[tokio::test]
async fn the_integration_guides_filler_does_not_count_as_a_summary() {
    let filler = json!("Customer called for support");
    let request = request_for(&save(&[("call_summary", filler.clone()), ("call_date", json!("d"))])).await;
    assert_eq!(request["variables"], json!({"call_date": "d"}));
    let beside = save(&[("call_summary", filler), ("agent_notes", json!("Sent a copy")), ("call_date", json!("d"))]);
    assert_eq!(request_for(&beside).await["variables"]["last_issue"], "Sent a copy");
}

#[tokio::test]
async fn if_the_parameter_customer_ref_is_a_placeholder_the_attribute_is_used() {
    for nothing in ["null", "undefined", "0", &"r".repeat(257)] {
        let request = request_for(&save(&[("customer_ref", json!(nothing))])).await;
        assert_eq!(request["customer_ref"], JANE, "{nothing}");
    }
}

#[tokio::test]
async fn without_a_summary_the_notes_are_the_last_issue_and_named_as_its_source() {
    let request = request_for(&save(&[("agent_notes", json!("Asked for a copy")), ("call_date", json!("d"))])).await;
    let expected = json!({
        "last_issue": "Asked for a copy", "last_issue_source": "agent_notes", "resolution": "Asked for a copy", "call_date": "d",
    });
    assert_eq!(request["variables"], expected);
}

#[tokio::test]
async fn an_unknown_intent_status_is_saved_as_open() {
    for (given, sent) in [
        (json!("open"), "open"),
        (json!("RESOLVED"), "resolved"),
        (json!("Abandoned"), "abandoned"),
        (json!("escalated"), "open"),
        (json!(7), "open"),
        (json!(""), "resolved"),
        (json!({"nested": true}), "resolved"),
    ] {
        assert_eq!(request_for(&save(&[("intent_status", given.clone())])).await["intent_status"], sent, "{given}");
    }
}

#[tokio::test]
async fn the_call_date_is_the_given_one_else_the_start_of_the_call_or_contact_else_now() {
    let date = |event: Value| async move { request_for(&event).await["variables"]["call_date"].clone() };
    let with_timestamp = |event| with_contact(event, "/InitiationTimestamp", "2026-03-01T00:00:00Z");
    let all = save(&[("call_date", json!("2026-01-01")), ("call_start", json!("2026-02-01"))]);
    assert_eq!(date(with_timestamp(all)).await, "2026-01-01");
    assert_eq!(date(with_timestamp(save(&[("call_start", json!("2026-02-01"))]))).await, "2026-02-01");
    assert_eq!(date(with_timestamp(save(&[]))).await, "2026-03-01T00:00:00Z");
    let now: jiff::Timestamp = date(save(&[])).await.as_str().unwrap().parse().unwrap();
    assert!((jiff::Timestamp::now().as_second() - now.as_second()).abs() < 60);
}

#[tokio::test]
async fn variables_from_identify_can_be_written_back_but_do_not_replace_the_calls_own() {
    let event = save(&[
        ("var_tier", json!("gold")),
        ("var_age", json!(42)),
        ("var_shoe_size", json!("not configured")),
        ("var_last_issue", json!("old")),
        ("var_last_issue_source", json!("old")),
        ("var_resolution", json!("old")),
        ("var_call_date", json!("old")),
        ("var_blank", json!(" ")),
        ("call_summary", json!("new")),
        ("call_date", json!("today")),
    ]);
    let event = with_attribute(with_attribute(event, "var_tier", "silver"), "var_plan", "basic");
    let names = ("STICKY_CALLS_VARIABLES", "tier,age,plan,blank,last_issue,last_issue_source,resolution,call_date");
    let mut stack = Stack::start(BOOTSTRAP, &[("STICKY_CALLS_ACTION", "save"), names]).await;
    stack.invoke(&event).await;
    let expected = json!({
        "last_issue": "new", "last_issue_source": "call_summary", "call_date": "today", "tier": "gold", "age": "42", "plan": "basic",
    });
    assert_eq!(stack.only_request()["variables"], expected);
}

#[tokio::test]
async fn card_numbers_are_masked_in_summary_notes_and_variables() {
    let request = request_for(&save(&[
        ("call_summary", json!("pays with 4111-1111-1111-1111")),
        ("agent_notes", json!("card 378282246310005 exp 12/27")),
        ("var_name", json!(4_111_111_111_111_111_u64)),
        ("call_date", json!("2026-02-07T10:30:00.000Z")),
    ]))
    .await;
    let expected = json!({
        "last_issue": "pays with [card number]", "last_issue_source": "call_summary",
        "resolution": "card [card number] exp 12/27", "name": "[card number]", "call_date": "2026-02-07T10:30:00.000Z",
    });
    assert_eq!(request["variables"], expected);
}

#[tokio::test]
async fn without_a_reference_the_caller_is_identified_by_number_and_ids() {
    let standalone = with_parameter(event("returning_caller"), "call_summary", "Asked for opening hours");
    let request = request_for(&standalone).await;
    assert_eq!(request.get("customer_ref"), None);
    assert_eq!(request["identity_hints"], json!({"ani": "+12025550101", "external_ids": {"customer_id": "C-1001"}}));

    let with_reference = request_for(&save(&[])).await;
    assert_eq!(with_reference.get("identity_hints"), None);
    let too_long = with_attribute(event("returning_caller"), "customer_ref", "r".repeat(257));
    assert_eq!(request_for(&too_long).await["identity_hints"]["ani"], "+12025550101");
}

#[tokio::test]
async fn a_save_without_any_identity_is_skipped() {
    let mut stack = stack().await;
    let answer = stack.invoke(&event("anonymous_caller")).await;
    let id = "4a573372-1f28-4e26-b97b-000000000006";
    let expected =
        json!({"success": "false", "save_status": "skipped", "error": "no_identity", "call_id": id, "saved_words": ""});
    assert_eq!(answer, expected);
    assert_eq!(stack.api.received().len(), 0);
}

#[tokio::test]
async fn a_customer_who_opted_out_is_not_saved() {
    let mut stack = stack().await;
    let answer = stack.invoke(&save(&[("sticky_calls_opt_out", json!("TRUE")), ("call_summary", json!("text"))])).await;
    assert_eq!(answer["save_status"], "skipped");
    assert_eq!(answer["error"], "opted_out");
    assert_eq!(stack.api.received().len(), 0);
}

#[tokio::test]
async fn a_save_without_a_call_id_fails_as_an_invalid_event() {
    let event = with_contact(with_contact(save(&[]), "/InitialContactId", ""), "/ContactId", Value::Null);
    let mut stack = stack().await;
    let expected = json!({"success": "false", "save_status": "failed", "error": "invalid_event", "call_id": "", "saved_words": ""});
    assert_eq!(stack.invoke(&event).await, expected);
    assert_eq!(stack.invoke(&json!(null)).await, expected);
    assert_eq!(stack.api.received().len(), 0);
}

#[tokio::test]
async fn words_that_come_after_the_end_of_the_call_are_saved_as_a_standalone_end() {
    let mut stack = stack().await;
    let id = "4a573372-1f28-4e26-b97b-000000000002";
    let first = stack.invoke(&save(&[("agent_notes", json!("Asked for a copy"))])).await;
    let second = stack.invoke(&save(&[("agent_notes", json!("Sent a copy"))])).await;
    for answer in [&first, &second] {
        assert_eq!(
            (&answer["save_status"], &answer["error"], &answer["call_id"]),
            (&json!("saved"), &json!(""), &json!(id))
        );
    }
    let ends = stack.api.ended();
    assert_eq!((&ends[0]["call_id"], &ends[1]["call_id"]), (&json!(id), &second["saved_words"]));
    assert_eq!((ends[1].get("customer_ref"), &ends[1]["identity_hints"]["customer_ref"]), (None, &json!(JANE)));
    assert_eq!(ends[1]["identity_hints"]["ani"], "+12025550101");
    // A 409 to the standalone end means that the API has these very words.
    let repeated = stack.invoke(&save(&[("agent_notes", json!("Sent a copy"))])).await;
    assert_eq!((&repeated["save_status"], &repeated["error"]), (&json!("saved"), &json!("conflict")));
    assert_eq!((repeated["saved_words"].clone(), stack.api.ended().len()), (second["saved_words"].clone(), 2));
}

#[tokio::test]
async fn the_end_of_a_call_without_words_is_saved_once() {
    let mut stack = stack().await;
    stack.invoke(&save(&[])).await;
    let repeated = stack.invoke(&save(&[])).await;
    let id = "4a573372-1f28-4e26-b97b-000000000002";
    let expected =
        json!({"success": "true", "save_status": "saved", "error": "conflict", "call_id": id, "saved_words": ""});
    assert_eq!((repeated, stack.api.ended().len()), (expected, 1));
}

#[tokio::test]
async fn a_call_id_that_is_too_long_for_a_standalone_end_is_replaced_by_its_hash() {
    let mut stack = stack().await;
    let long = "7".repeat(128);
    for text in ["one", "two"] {
        let event = save(&[("call_id", json!(long)), ("call_summary", json!(text))]);
        let answer = stack.invoke(&event).await;
        assert!(answer["saved_words"].as_str().unwrap().starts_with(&format!("{long}.")), "{answer}");
    }
    let (hash, words) = stack.api.ended()[1]["call_id"]
        .as_str()
        .unwrap()
        .to_owned()
        .split_once('.')
        .map(|(hash, words)| (hash.len(), words.len()))
        .unwrap();
    assert_eq!((hash, words), (64, 16));
}

#[tokio::test]
async fn if_the_connection_breaks_after_the_api_took_words_it_gets_them_twice_at_most() {
    let mut stack = stack().await;
    stack.api.fail_next(Fault::TakenThenReset);
    for _ in 0..3 {
        assert_eq!(stack.invoke(&save(&[("call_summary", json!("once"))])).await["save_status"], "saved");
    }
    assert_eq!((stack.api.ended().len(), &stack.api.customers()[0].variables["last_issue"]), (2, &"once".to_owned()));
}

#[tokio::test]
async fn a_call_is_remembered_from_its_end_to_the_next_start() {
    let mut stack = Stack::start(BOOTSTRAP, &[]).await;
    let first = stack.invoke(&event("new_caller")).await;
    let end = [
        ("action", json!("end_call")),
        ("customer_ref", first["customer_ref"].clone()),
        ("intent", json!("billing_issue")),
        ("intent_status", json!("open")),
        ("call_summary", json!("Invoice is wrong")),
    ];
    let end = end.iter().fold(event("new_caller"), |event, (name, value)| with_parameter(event, name, value.clone()));
    assert_eq!(stack.invoke(&end).await["save_status"], "saved");
    let again = with_contact(event("new_caller"), "/InitialContactId", "another call");
    let again = with_parameter(again, "returning_threshold", "0.4");
    let second = stack.invoke(&again).await;
    assert_eq!(second["customer_ref"], first["customer_ref"]);
    assert_eq!(second["is_returning_caller"], "true");
    assert_eq!(second["last_issue"], "Invoice is wrong");
    assert_eq!(second["open_intent"], "billing_issue");
    assert_eq!(second["open_intent_attempts"], "1");
}
