//! Start-call's tables, row by row, on the running process: what the API gets, when it is not asked, and what the flow
//! gets.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may panic")]

use serde_json::{Value, json};
use stand_ins::events::{event, with_attribute, with_contact, with_parameter};
use stand_ins::stack::Stack;
use stand_ins::sticky_calls::{CALL_START, Fault};

const BOOTSTRAP: &str = env!("CARGO_BIN_EXE_bootstrap");

async fn stack() -> Stack {
    Stack::start(BOOTSTRAP, &[]).await
}

/// The answer to a new caller if the API answers with `body`.
async fn answer_to(body: &Value, variables: &[(&str, &str)]) -> Value {
    let mut stack = Stack::start(BOOTSTRAP, variables).await;
    stack.api.fail_next(Fault::body(body.to_string()));
    stack.invoke(&event("new_caller")).await
}

fn names(answer: &Value) -> Vec<&String> {
    answer.as_object().unwrap().keys().collect()
}

// --- what the API gets ---

#[tokio::test]
async fn a_caller_is_looked_up_by_number_ids_and_kind_of_line() {
    let mut stack = stack().await;
    let event = with_parameter(event("returning_caller"), "email", "jane.doe@example.com");
    stack.invoke(&with_attribute(event, "customer_ref", "cust_7")).await;
    let expected = json!({
        "call_id": "4a573372-1f28-4e26-b97b-000000000002",
        "identity_hints": {
            "ani": "+12025550101",
            "dnis": "+12025550199",
            "external_ids": {"customer_id": "C-1001", "email": "jane.doe@example.com"},
            "customer_ref": "cust_7",
        },
        "telco": {"line_type": "mobile"},
    });
    assert_eq!(stack.only_request(), expected);
    let received = &stack.api.received()[0];
    assert_eq!(received.path, "/v1/calls/start");
    let header = |name| received.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    assert_eq!(header("authorization"), Some("Bearer sk_test_5tickyConnectStandIn"));
    assert_eq!(header("content-type"), Some("application/json"));
}

#[tokio::test]
async fn unknown_values_are_not_sent() {
    let mut stack = stack().await;
    let event = with_contact(event("new_caller"), "/SystemEndpoint", Value::Null);
    let event = with_parameter(event, "customer_id", "  ");
    stack.invoke(&with_parameter(event, "line_type", "satellite")).await;
    let expected = json!({
        "call_id": "4a573372-1f28-4e26-b97b-000000000001",
        "identity_hints": {"ani": "+12025550142"},
    });
    assert_eq!(stack.only_request(), expected);
}

#[tokio::test]
async fn every_kind_of_line_is_sent() {
    for line_type in ["mobile", "landline", "voip", "unknown"] {
        let mut stack = stack().await;
        stack.invoke(&with_attribute(event("new_caller"), "line_type", line_type)).await;
        assert_eq!(stack.only_request()["telco"], json!({"line_type": line_type}));
    }
}

#[tokio::test]
async fn a_numeric_customer_id_is_sent_as_text() {
    let mut stack = stack().await;
    stack.invoke(&event("typed_parameters")).await;
    assert_eq!(stack.only_request()["identity_hints"]["external_ids"], json!({"customer_id": "1001"}));
}

#[tokio::test]
async fn the_address_of_an_email_contact_is_sent_unless_the_flow_gives_another_one() {
    let mut stack = stack().await;
    let answer = stack.invoke(&event("email")).await;
    assert_eq!(stack.only_request()["identity_hints"], json!({"external_ids": {"email": "jane.doe@example.com"}}));
    assert_eq!(answer["lookup_status"], "unconfirmed");

    let given = with_contact(with_parameter(event("email"), "email", "other@example.com"), "/InitialContactId", "two");
    stack.invoke(&given).await;
    assert_eq!(stack.api.received()[1].body["identity_hints"]["external_ids"], json!({"email": "other@example.com"}));
}

#[tokio::test]
async fn only_the_configured_ids_are_sent() {
    let mut stack = Stack::start(BOOTSTRAP, &[("STICKY_CALLS_EXTERNAL_IDS", "account")]).await;
    let event = with_parameter(event("returning_caller"), "account", "A-1");
    stack.invoke(&event).await;
    assert_eq!(stack.only_request()["identity_hints"]["external_ids"], json!({"account": "A-1"}));
}

#[tokio::test]
async fn a_reference_over_256_characters_counts_as_absent() {
    let mut stack = stack().await;
    let with_length = |length| with_attribute(event("new_caller"), "customer_ref", "é".repeat(length));
    stack.invoke(&with_length(257)).await;
    assert_eq!(stack.only_request()["identity_hints"].get("customer_ref"), None);
    stack.invoke(&with_length(256)).await;
    assert_eq!(stack.api.received()[1].body["identity_hints"]["customer_ref"], "é".repeat(256));
}

// --- when the API is not asked ---

async fn skipped(event: &Value, variables: &[(&str, &str)]) -> Value {
    let mut stack = Stack::start(BOOTSTRAP, variables).await;
    let answer = stack.invoke(event).await;
    assert_eq!(stack.api.received().len(), 0);
    assert_eq!(answer["lookup_status"], "skipped");
    assert_eq!(answer["is_returning_caller"], "false");
    answer["lookup_reason"].clone()
}

#[tokio::test]
async fn an_anonymous_caller_gets_the_fallback_without_an_api_call() {
    assert_eq!(skipped(&event("anonymous_caller"), &[]).await, "no_identity");
    let nobody = with_contact(event("web_chat"), "/Attributes", json!({}));
    assert_eq!(skipped(&nobody, &[]).await, "no_identity");
}

#[tokio::test]
async fn an_internal_number_is_not_looked_up() {
    let ours = [("STICKY_CALLS_INTERNAL_NUMBERS", "+12025550101,+4930*")];
    assert_eq!(skipped(&event("returning_caller"), &ours).await, "internal_number");
    let berlin = with_contact(event("new_caller"), "/CustomerEndpoint/Address", "+4930901820");
    assert_eq!(skipped(&berlin, &ours).await, "internal_number");
    let mut stack = Stack::start(BOOTSTRAP, &ours).await;
    assert_eq!(stack.invoke(&event("new_caller")).await["lookup_status"], "new");
}

#[tokio::test]
async fn a_transfer_callback_or_outbound_contact_is_not_looked_up() {
    for method in
        ["TRANSFER", "QUEUE_TRANSFER", "CALLBACK", "MONITOR", "OUTBOUND", "EXTERNAL_OUTBOUND", "AGENT_REPLY", "API"]
    {
        let event = with_contact(event("returning_caller"), "/InitiationMethod", method);
        assert_eq!(skipped(&event, &[]).await, "not_inbound", "{method}");
    }
}

#[tokio::test]
async fn chats_tasks_and_contacts_with_an_unknown_method_are_looked_up() {
    let mut stack = stack().await;
    for name in ["web_chat", "sms", "task", "webrtc"] {
        assert_ne!(stack.invoke(&event(name)).await["lookup_status"], "skipped", "{name}");
    }
    let invented = with_contact(event("returning_caller"), "/InitiationMethod", "SOMETHING_NEW");
    assert_eq!(stack.invoke(&invented).await["lookup_status"], "matched");
}

#[tokio::test]
async fn a_customer_who_opted_out_is_not_looked_up() {
    assert_eq!(skipped(&event("opted_out"), &[]).await, "opted_out");
    let by_parameter = with_parameter(event("returning_caller"), "sticky_calls_opt_out", true);
    assert_eq!(skipped(&by_parameter, &[]).await, "opted_out");
    let mut stack = stack().await;
    let no = with_parameter(event("returning_caller"), "sticky_calls_opt_out", "false");
    assert_eq!(stack.invoke(&no).await["lookup_status"], "matched");
}

#[tokio::test]
async fn a_contact_without_a_usable_call_id_is_an_invalid_event() {
    for id in [json!(null), json!(7), json!("x".repeat(129))] {
        let mut stack = stack().await;
        let event = with_contact(with_contact(event("new_caller"), "/InitialContactId", id.clone()), "/ContactId", id);
        let answer = stack.invoke(&with_attribute(event, "customer_ref", "cust_own")).await;
        assert_eq!(answer["lookup_reason"], "invalid_event");
        assert_eq!(answer["lookup_status"], "unavailable");
        assert_eq!(answer["call_id"], "");
        assert_eq!(answer["customer_ref"], "cust_own");
        assert_eq!(stack.api.received().len(), 0);
    }
}

// --- what the flow gets ---

/// The answer has these values. All of a whole answer is in `tests/answers`.
fn assert_holds(answer: &Value, expected: &Value) {
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&answer[name], value, "{name}: {answer}");
    }
}

#[tokio::test]
async fn a_returning_caller_gets_everything_that_earlier_calls_left() {
    let expected = json!({
        "customer_ref": "00000000-0000-4000-8000-000000000001",
        "confidence": "0.9",
        "is_returning_caller": "true",
        "match_found": "true",
        "last_issue": "Disputed the January invoice",
        "last_issue_source": "call_summary",
        "has_open_intents": "true",
        "open_intent": "billing_issue",
        "open_intent_status": "open",
        "open_intent_attempts": "2",
        "open_intent_count": "1",
        "identity_level": "very_high",
        "recommendation": "reuse",
        "call_id": "4a573372-1f28-4e26-b97b-000000000002",
        "call_start": CALL_START,
        "lookup_status": "matched",
        "lookup_reason": "",
        "lookup_source": "api",
        "var_name": "Jane Doe",
        "var_tier": "vip",
        "var_resolution": "Credit note sent",
        "var_call_date": "2026-01-30T09:15:00.000Z",
    });
    assert_holds(&stack().await.invoke(&event("returning_caller")).await, &expected);
}

#[tokio::test]
async fn a_new_caller_gets_a_reference_and_is_not_returning() {
    let answer = stack().await.invoke(&event("new_caller")).await;
    assert_eq!(answer["customer_ref"], "00000000-0000-4000-8000-000000000002");
    assert_eq!(answer["confidence"], "0.0");
    assert_eq!(answer["is_returning_caller"], "false");
    assert_eq!(answer["match_found"], "false");
    assert_eq!(answer["lookup_status"], "new");
    assert_eq!(answer["recommendation"], "ignore");
    assert_eq!(answer["has_open_intents"], "false");
    assert_eq!(answer["open_intent_attempts"], "0");
    assert_eq!(answer["last_issue"], "");
}

#[tokio::test]
async fn a_caller_known_by_number_alone_is_unconfirmed_unless_the_threshold_is_lower() {
    let by_number = with_contact(event("returning_caller"), "/Attributes", json!({}));
    let by_number = with_parameter(by_number, "customer_id", Value::Null);
    let id = |event: &Value, id: &str| with_contact(event.clone(), "/InitialContactId", id);

    let mut stack = stack().await;
    let answer = stack.invoke(&id(&by_number, "one")).await;
    assert_eq!(answer["confidence"], "0.4");
    assert_eq!(answer["lookup_status"], "unconfirmed");
    assert_eq!(answer["is_returning_caller"], "false");
    assert_eq!(answer["recommendation"], "confirm");

    let for_this_block = with_parameter(id(&by_number, "two"), "returning_threshold", 0.4);
    assert_eq!(stack.invoke(&for_this_block).await["lookup_status"], "matched");
    let malformed = with_parameter(id(&by_number, "three"), "returning_threshold", "0");
    assert_eq!(stack.invoke(&malformed).await["lookup_status"], "unconfirmed");

    let mut configured = Stack::start(BOOTSTRAP, &[("STICKY_CALLS_RETURNING_THRESHOLD", "0.35")]).await;
    assert_eq!(configured.invoke(&by_number).await["is_returning_caller"], "true");
    let stricter = with_parameter(id(&by_number, "two"), "returning_threshold", "0.5");
    assert_eq!(configured.invoke(&stricter).await["is_returning_caller"], "false");
}

#[tokio::test]
async fn the_status_follows_the_threshold_first_and_the_recommendation_second() {
    for (confidence, recommendation, status) in [
        (0.7, "ignore", "matched"),
        (0.69, "reuse", "unconfirmed"),
        (0.3, "confirm", "unconfirmed"),
        (0.69, "ignore", "new"),
        (0.1, "something else", "new"),
    ] {
        let body = json!({"identity": {"confidence": confidence, "recommendation": recommendation}});
        assert_eq!(answer_to(&body, &[]).await["lookup_status"], status, "{body}");
    }
}

#[tokio::test]
async fn a_201_counts_as_an_answer_and_every_identity_level_is_passed_on() {
    for level in ["very_high", "high", "medium", "low"] {
        let mut stack = stack().await;
        let body = json!({"identity": {"level": level}}).to_string().into_bytes();
        stack.api.fail_next(Fault::Answer { status: 201, headers: Vec::new(), body });
        assert_eq!(stack.invoke(&event("new_caller")).await["identity_level"], level);
    }
    assert_eq!(answer_to(&json!({"identity": {"level": "absolute"}}), &[]).await["identity_level"], "");
}

#[tokio::test]
async fn call_start_is_the_apis_in_rfc_3339_or_now() {
    let start =
        |text: &'static str| async move { answer_to(&json!({"call_start": text}), &[]).await["call_start"].clone() };
    assert_eq!(start("2026-02-07T11:30:00+01:00").await, "2026-02-07T10:30:00.000Z");
    assert_eq!(start("2026-02-07 11:30:00+01[Europe/Berlin]").await, "2026-02-07T10:30:00.000Z");
    for text in ["yesterday", ""] {
        let now: jiff::Timestamp = start(text).await.as_str().unwrap().parse().unwrap();
        assert!((jiff::Timestamp::now().as_second() - now.as_second()).abs() < 60);
    }
}

#[tokio::test]
async fn a_confidence_always_has_a_decimal_point_and_stays_between_0_and_1() {
    for (confidence, text) in [
        (json!(0.92), "0.92"),
        (json!(0), "0.0"),
        (json!(1), "1.0"),
        (json!(null), "0.0"),
        (json!("0.9"), "0.0"),
        (json!(7.5), "1.0"),
        (json!(-1), "0.0"),
        (json!(-0.0), "0.0"),
        (json!(1e-7), "0.0000001"),
    ] {
        let body = json!({"identity": {"confidence": confidence}});
        assert_eq!(answer_to(&body, &[]).await["confidence"], text, "{body}");
    }
}

#[tokio::test]
async fn a_last_issue_is_one_line_of_at_most_250_characters_and_the_filler_is_left_out() {
    let last_issue = |text: &str, source: &str| json!({"variables": {"last_issue": {"value": text}, "last_issue_source": {"value": source}}});
    let answer = answer_to(&last_issue("one\r\ntwo\tthree", "agent_notes"), &[]).await;
    assert_eq!(answer["last_issue"], "one  two three");
    assert_eq!(answer["last_issue_source"], "agent_notes");
    let answer = answer_to(&last_issue(&"é".repeat(400), "somebody"), &[]).await;
    assert_eq!(answer["last_issue"], "é".repeat(250));
    assert_eq!(answer["last_issue_source"], "");
    let answer = answer_to(&last_issue("Customer called for support", "call_summary"), &[]).await;
    assert_eq!(answer["last_issue"], "");
    assert_eq!(answer["last_issue_source"], "");
    assert_eq!(answer_to(&last_issue(" \n ", "call_summary"), &[]).await["last_issue"], "");
}

#[tokio::test]
async fn an_open_intent_without_a_name_is_not_counted() {
    let intents = json!({"open_intents": [
        {"intent": null, "status": "open"}, {"intent": " "}, {"intent": "\u{1}"}, "refund",
        {"intent": "refund\nrequest", "status": "waiting", "attempt_count": 3}, {"intent": "billing_issue"}]});
    let answer = answer_to(&intents, &[]).await;
    assert_eq!(answer["has_open_intents"], "true");
    assert_eq!(answer["open_intent"], "refund request");
    assert_eq!(answer["open_intent_status"], "waiting");
    assert_eq!(answer["open_intent_attempts"], "3");
    assert_eq!(answer["open_intent_count"], "2");
    let answer = answer_to(&json!({"open_intents": [{"status": "open"}]}), &[]).await;
    assert_eq!(answer["has_open_intents"], "false");
    assert_eq!(answer["open_intent_count"], "0");
}

#[tokio::test]
async fn only_the_configured_variables_are_passed_on_whether_objects_or_plain_strings() {
    let body = json!({"variables": {"name": "Jane", "plan": {"value": "gold\n"}, "secret": {"value": "x"}, "n": {"value": 1}}});
    let answer = answer_to(&body, &[("STICKY_CALLS_VARIABLES", "plan, name ,n,missing")]).await;
    assert_eq!(answer["var_plan"], "gold ");
    assert_eq!(answer["var_name"], "Jane");
    assert_eq!(answer["var_n"], "");
    assert_eq!(answer["var_missing"], "");
    assert_eq!(answer.get("var_secret"), None);
    assert_eq!(answer.get("var_tier"), None);
}

#[tokio::test]
async fn variables_that_would_make_the_answer_too_large_are_blanked_from_the_last_on() {
    let names: Vec<String> = (0..60).map(|number| format!("v{number}")).collect();
    let values: serde_json::Map<_, _> =
        names.iter().map(|name| (name.clone(), json!({"value": "\u{1f600}".repeat(250)}))).collect();
    let answer = answer_to(&json!({"variables": values}), &[("STICKY_CALLS_VARIABLES", &names.join(","))]).await;
    assert!(answer.to_string().len() < 32_000);
    let is_blank: Vec<bool> = names.iter().map(|name| answer[format!("var_{name}")] == "").collect();
    let first_blank = is_blank.iter().position(|blank| *blank).unwrap();
    assert!(first_blank > 20, "{first_blank}");
    assert!(is_blank[first_blank..].iter().all(|blank| *blank));
}

#[tokio::test]
async fn a_reference_that_the_flow_already_has_is_never_replaced_by_an_empty_one() {
    let own = || with_attribute(event("new_caller"), "customer_ref", "cust_own");
    for body in [
        json!({}),
        json!({"customer_ref": null}),
        json!({"customer_ref": "x".repeat(257)}),
        json!({"customer_ref": " "}),
    ] {
        let mut stack = stack().await;
        stack.api.fail_next(Fault::body(body.to_string()));
        assert_eq!(stack.invoke(&own()).await["customer_ref"], "cust_own", "{body}");
    }
    let mut stack = stack().await;
    stack.api.fail_next(Fault::status(500));
    stack.api.fail_next(Fault::status(500));
    assert_eq!(stack.invoke(&own()).await["customer_ref"], "cust_own");
    assert_eq!(stack.invoke(&event("transfer")).await["customer_ref"], "00000000-0000-4000-8000-000000000001");
}

#[tokio::test]
async fn every_answer_has_the_same_attributes() {
    let mut stack = stack().await;
    let matched = stack.invoke(&event("returning_caller")).await;
    for name in ["new_caller", "anonymous_caller", "outbound", "malformed"] {
        let answer = stack.invoke(&event(name)).await;
        assert_eq!(names(&answer), names(&matched), "{name}");
    }
    stack.api.fail_always(Some(Fault::status(500)));
    let unavailable = stack.invoke(&with_contact(event("new_caller"), "/InitialContactId", "other")).await;
    assert_eq!(names(&unavailable), names(&matched));
}

#[tokio::test]
async fn the_fallback_has_the_values_of_an_unknown_caller() {
    let mut stack = stack().await;
    stack.api.fail_next(Fault::status(401));
    let mut answer = stack.invoke(&event("new_caller")).await;
    let now = answer["call_start"].take();
    let timestamp: jiff::Timestamp = now.as_str().unwrap().parse().unwrap();
    assert!((jiff::Timestamp::now().as_second() - timestamp.as_second()).abs() < 60);
    let expected = json!({
        "customer_ref": "", "confidence": "0.0", "is_returning_caller": "false", "match_found": "false",
        "last_issue": "", "last_issue_source": "", "has_open_intents": "false", "open_intent": "",
        "open_intent_status": "", "open_intent_attempts": "0", "open_intent_count": "0", "identity_level": "",
        "recommendation": "ignore", "call_id": "4a573372-1f28-4e26-b97b-000000000001", "call_start": null,
        "lookup_status": "unavailable", "lookup_reason": "unauthorized", "lookup_source": "",
        "var_name": "", "var_tier": "", "var_resolution": "", "var_call_date": "",
    });
    assert_holds(&answer, &expected);
}
