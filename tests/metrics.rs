//! Every failure after which the flow still gets an answer: each is provoked, and the printed line has the metric that
//! the alarms use.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may panic")]

use std::collections::BTreeSet;

use serde_json::{Value, json};
use stand_ins::aws::{Aws, AwsFault};
use stand_ins::events::{event, record, stream, with_contact, with_parameter};
use stand_ins::log::{lines, metrics};
use stand_ins::stack::Stack;
use stand_ins::sticky_calls::{Fault, KEY};
use sticky_connect::vocabulary::{Metric, MetricUnit};

const BOOTSTRAP: &str = env!("CARGO_BIN_EXE_bootstrap");
const BUDGET: (&str, &str) = ("STICKY_CALLS_TIMEOUT_MS", "300");
const SAVE: (&str, &str) = ("STICKY_CALLS_ACTION", "save");
const TABLE: (&str, &str) = ("STICKY_CALLS_TABLE", "table");
const OUTBOX: (&str, &str) = ("STICKY_CALLS_OUTBOX_QUEUE_URL", "http://sqs.eu-central-1.amazonaws.com/1/outbox");
const SECRET: (&str, &str) = ("STICKY_CALLS_API_KEY_SECRET_ARN", "arn:aws:secretsmanager:eu-central-1:1:secret:key");

/// Jane's call with this number.
fn call(number: usize) -> Value {
    with_contact(event("returning_caller"), "/InitialContactId", format!("call {number}"))
}

/// The end of that call, with a summary.
fn end_of_call(number: usize) -> Value {
    with_parameter(with_parameter(call(number), "action", "save"), "call_summary", "Wants a callback")
}

/// The lines of metrics for these events, one for each.
async fn of_events(mut stack: Stack, events: &[Value]) -> Vec<Value> {
    for event in events {
        stack.invoke(event).await;
    }
    let lines = metrics(&stack.function.stop().await);
    assert_eq!(lines.len(), events.len(), "{lines:?}");
    lines
}

/// The same for one event on a function with these variables.
async fn of(variables: &[(&str, &str)], event: Value) -> Value {
    of_events(Stack::start(BOOTSTRAP, variables).await, &[event]).await.remove(0)
}

/// The same with this fault of the API.
async fn of_fault(variables: &[(&str, &str)], fault: Fault, event: Value) -> Value {
    let stack = Stack::start(BOOTSTRAP, &[&[BUDGET], variables].concat()).await;
    stack.api.fail_always(Some(fault));
    of_events(stack, &[event]).await.remove(0)
}

/// The same with this fault of AWS.
async fn of_aws_fault(fault: AwsFault, variables: &[(&str, &str)], event: Value) -> Value {
    let aws = Aws::down(fault).await;
    let stack = Stack::start_in(BOOTSTRAP, &aws, variables).await;
    of_events(stack, &[event]).await.remove(0)
}

/// The names that a line counts with more than 0, without the times.
fn counted(line: &Value) -> BTreeSet<&str> {
    let beside = ["_aws", "service", "handler", "level", "timestamp", "message", "request_id"];
    let fields = line.as_object().unwrap().iter().filter(|(_, value)| **value != 0);
    let is_time = |name: &str| Metric::parse(name).is_some_and(|metric| metric.unit() == MetricUnit::Milliseconds);
    fields.map(|(name, _)| name.as_str()).filter(|name| !beside.contains(name) && !is_time(name)).collect()
}

macro_rules! assert_counted {
    ($line:expr, [$($name:expr),* $(,)?] $(, $what:expr)?) => {{
        let line = $line;
        assert_eq!(counted(&line), BTreeSet::from([$($name),*]), "{line}");
        line
    }};
}

#[tokio::test]
async fn known_unconfirmed_and_new_callers_are_counted_by_their_status() {
    let line = assert_counted!(of(&[], call(1)).await, ["matched"]);
    assert_eq!((&line["service"], &line["handler"]), (&json!("sticky-connect"), &json!("start_call")));
    for name in ["api_ms", "answer_ms"] {
        let [time] = line[name].as_array().unwrap().as_slice() else { panic!("{line}") };
        assert!((0..1_250).contains(&time.as_u64().unwrap()), "{line}");
    }
    assert_eq!(of(&[("STICKY_CALLS_SERVICE", "support")], call(1)).await["service"], "support");
    let by_number = with_parameter(call(1), "customer_id", "");
    assert_counted!(of(&[], by_number).await, ["unconfirmed"]);
    assert_counted!(of(&[], event("new_caller")).await, ["new"]);
}

#[tokio::test]
async fn a_caller_who_is_skipped_is_counted_by_the_reason() {
    for (sample, reason) in
        [("anonymous_caller", "no_identity"), ("transfer", "not_inbound"), ("opted_out", "opted_out")]
    {
        let line = assert_counted!(of(&[], event(sample)).await, [reason]);
        assert_eq!(line.get("api_ms"), None);
    }
    let internal = [("STICKY_CALLS_INTERNAL_NUMBERS", "+1202555*")];
    assert_counted!(of(&internal, call(1)).await, ["internal_number"]);
}

#[tokio::test]
async fn a_caller_whose_lookup_fails_is_counted_as_unavailable_and_by_the_reason() {
    for (fault, reason) in [
        (Fault::Hang, "timeout"),
        (Fault::Reset, "network"),
        (Fault::body("<html>"), "invalid_response"),
        (Fault::status(409), "conflict"),
        (Fault::status(429), "rate_limited"),
        (Fault::status(400), "rejected"),
        (Fault::status(500), "server_error"),
    ] {
        assert_counted!(of_fault(&[], fault.clone(), call(1)).await, ["unavailable", reason]);
        let save = of_fault(&[], fault, end_of_call(1)).await;
        match reason {
            "conflict" => assert_counted!(save, ["saved", "conflict"]),
            _ => assert_counted!(save, ["failed", "not_kept", reason]),
        };
    }
    // An event that did not come from a flow, such as a scheduled ping, is neither a lookup nor a save.
    assert_counted!(of(&[], event("malformed")).await, ["invalid_event"]);
    assert_counted!(of(&[SAVE], json!({"source": "aws.events"})).await, ["invalid_event"]);
    let no_call_id = with_contact(with_contact(call(1), "/InitialContactId", ""), "/ContactId", "");
    assert_counted!(of(&[SAVE], no_call_id).await, ["failed", "not_kept", "invalid_event"]);
}

#[tokio::test]
async fn a_lookup_or_save_that_fails_until_an_operator_acts_is_counted_as_needs_operator() {
    for (status, reason) in [(401, "unauthorized"), (403, "unauthorized"), (402, "quota_exhausted")] {
        assert_counted!(of_fault(&[], Fault::status(status), call(1)).await, ["unavailable", reason, "needs_operator"]);
        assert_counted!(
            of_fault(&[], Fault::status(status), end_of_call(1)).await,
            ["failed", "not_kept", reason, "needs_operator"]
        );
    }
    let no_url = [("STICKY_CALLS_API_URL", "http://api.stickycalls.com")];
    let expected = ["unavailable", "misconfigured", "needs_operator", "unusable_settings"];
    assert_eq!(counted(&of(&no_url, call(1)).await), BTreeSet::from(expected));
    assert_counted!(
        of(&no_url, end_of_call(1)).await,
        ["failed", "not_kept", "misconfigured", "needs_operator", "unusable_settings"]
    );
}

#[tokio::test]
async fn a_setting_that_cannot_be_used_is_counted_with_every_call_until_it_is_mended() {
    let stack = Stack::start(BOOTSTRAP, &[("STICKY_CALLS_TIMEOUT_MS", "2.5 s"), ("STICKY_CALLS_GUARD", "yes")]).await;
    let lines = of_events(stack, &[call(1), call(2)]).await;
    for line in lines {
        assert_eq!((&line["unusable_settings"], &line["needs_operator"]), (&json!(2), &json!(2)));
    }
    let mended = of(&[], call(1)).await;
    assert_eq!((mended.get("unusable_settings"), &mended["needs_operator"]), (None, &json!(0)));
}

#[tokio::test]
async fn a_key_that_cannot_be_read_is_counted() {
    let fault = AwsFault::Refused("AccessDeniedException");
    let line = of_aws_fault(fault, &[("STICKY_CALLS_API_KEY", ""), SECRET], call(1)).await;
    assert_counted!(&line, ["unavailable", "misconfigured", "needs_operator", "key_read_failed", "degraded"]);
}

#[tokio::test]
async fn callers_who_get_the_fallback_while_the_circuit_breaker_is_open_are_counted() {
    let stack = Stack::start(BOOTSTRAP, &[BUDGET]).await;
    stack.api.fail_always(Some(Fault::Reset));
    let lines = of_events(stack, &[call(1), call(2), call(3), call(4)]).await;
    let last = assert_counted!(&lines[3], ["unavailable", "circuit_open"]);
    assert_eq!(last.get("api_ms"), None);
}

#[tokio::test]
async fn a_cache_that_is_down_is_counted_although_callers_do_not_notice() {
    let fault = AwsFault::Refused("ResourceNotFoundException");
    let lookup = of_aws_fault(fault.clone(), &[TABLE], call(1)).await;
    assert_counted!(&lookup, ["matched", "table_read_failed", "table_write_failed", "degraded"]);
    assert_counted!(
        of_aws_fault(fault, &[TABLE], end_of_call(1)).await,
        ["saved", "cache_invalidation_failed", "table_read_failed", "table_write_failed", "degraded"]
    );
}

#[tokio::test]
async fn a_summary_that_is_not_delivered_is_counted_whether_from_a_flow_a_record_or_the_outbox() {
    let fault = AwsFault::Refused("QueueDoesNotExist");
    let mut stack = Stack::start_in(BOOTSTRAP, &Aws::down(fault.clone()).await, &[OUTBOX]).await;
    stack.api.fail_always(Some(Fault::status(500)));
    assert_counted!(&of_events(stack, &[end_of_call(1)]).await[0], ["failed", "not_kept", "outbox_unavailable"]);

    stack = Stack::start_in(BOOTSTRAP, &Aws::down(fault).await, &[OUTBOX, SAVE]).await;
    stack.api.fail_always(Some(Fault::status(500)));
    let lines = of_events(stack, &[stream(&[record()]), event("outbox_messages")]).await;
    let records = assert_counted!(&lines[0], ["failed", "not_kept", "outbox_unavailable", "received"]);
    assert_eq!(records["handler"], "contact_records");
    let failed = ["failed", "not_kept", "invalid_event"];
    let queued = ["queued", "server_error", "outbox_wait_s", "retry_delay_failed", "degraded"];
    assert_eq!(counted(&lines[1]), failed.into_iter().chain(queued).collect(), "{}", lines[1]);
    assert_eq!((&lines[1]["handler"], &lines[1]["retry_delay_failed"]), (&json!("redelivery"), &json!(2)));
    let [wait] = lines[1]["outbox_wait_s"].as_array().unwrap().as_slice() else { panic!("{}", lines[1]) };
    assert!(wait.as_u64().unwrap() > 3_600, "the sample has waited since February: {wait}");
}

#[tokio::test]
async fn a_batch_is_one_line() {
    let records: Vec<_> = (0..20)
        .map(|number| {
            let mut record = record();
            record["ContactId"] = json!(format!("call {number}"));
            record
        })
        .collect();
    let line = assert_counted!(of(&[SAVE], stream(&records)).await, ["saved", "received"]);
    assert_eq!((&line["saved"], &line["received"]), (&json!(20), &json!(20)));
}

#[tokio::test]
async fn an_agents_words_in_a_call_that_was_never_identified_are_counted_as_not_saved() {
    let mut written = record();
    written["Attributes"]["customer_ref"] = Value::Null;
    assert_counted!(of(&[SAVE], stream(&[written.clone()])).await, ["received", "text_not_saved", "not_kept"]);
    let mut silent = written.clone();
    for name in ["call_summary", "agent_notes"] {
        silent["Attributes"][name] = Value::Null;
    }
    assert_counted!(of(&[SAVE], stream(&[silent])).await, ["received"]);
    written["Attributes"]["sticky_calls_opt_out"] = json!("true");
    assert_counted!(of(&[SAVE], stream(&[written])).await, ["received"]);
}

#[tokio::test]
async fn a_record_that_cannot_be_read_is_counted_and_one_of_another_kind_is_not() {
    let mut batch = stream(&[json!({"AgentARN": "arn", "EventType": "HEART_BEAT"}), json!("text"), json!([])]);
    batch["Records"][2]["kinesis"]["data"] = json!("not Base64!");
    let line = assert_counted!(of(&[SAVE], batch).await, ["received", "unreadable_records", "not_kept"]);
    assert_eq!(line["unreadable_records"], 2);
}

#[tokio::test]
async fn an_unusable_parameter_is_counted() {
    let misspelt = with_parameter(call(1), "action", "end-call");
    assert_counted!(of(&[], misspelt).await, ["matched", "unusable_parameters", "needs_operator"]);
    let malformed = with_parameter(call(1), "returning_threshold", "70 %");
    assert_counted!(of(&[], malformed).await, ["matched", "unusable_parameters", "needs_operator"]);
}

#[tokio::test]
async fn a_repeated_save_without_words_is_counted_as_saved() {
    let wordless = with_parameter(call(1), "action", "save");
    let lines = of_events(Stack::start(BOOTSTRAP, &[]).await, &[wordless.clone(), wordless]).await;
    assert_counted!(&lines[1], ["saved", "conflict"]);
}

#[tokio::test]
async fn a_message_that_cannot_be_read_is_counted_as_failed() {
    let mut batch = event("outbox_messages");
    batch["Records"][0]["body"] = json!(7);
    let line = of(&[SAVE], batch).await;
    assert_counted!(&line, ["failed", "not_kept", "invalid_event"]);
    assert_eq!(line["failed"], 2, "{line}");
}

#[tokio::test]
async fn no_line_of_metrics_has_personal_data() {
    let lines = of_events(Stack::start(BOOTSTRAP, &[]).await, &[call(1), end_of_call(1)]).await;
    for line in lines {
        let values = line.as_object().unwrap().values().filter_map(Value::as_str);
        let known = ["sticky-connect", "start_call", "end_call", "INFO", "metrics"];
        let other: Vec<_> = values.filter(|value| !known.contains(value) && !value.starts_with("request-")).collect();
        assert_eq!(other, [line["timestamp"].as_str().unwrap()], "{line}");
    }
}

#[tokio::test]
#[ignore = "needs moto's server for Secrets Manager, whose address is in STICKY_CONNECT_MOTO"]
async fn moto_a_caller_during_whose_call_the_key_was_rotated_is_counted_once() {
    let aws = Aws::start().await;
    let arn = aws.create_secret(KEY).await;
    let key = [("STICKY_CALLS_API_KEY", ""), ("STICKY_CALLS_API_KEY_SECRET_ARN", arn.as_str())];
    let mut stack = Stack::start_in(BOOTSTRAP, &aws, &key).await;
    stack.invoke(&call(1)).await;
    aws.rotate_secret(&arn, "sk_test_another").await;
    stack.api.change_key("sk_test_another");
    stack.invoke(&call(2)).await;
    let lines = metrics(&stack.function.stop().await);
    assert_counted!(&lines[1], ["matched"]);
    assert_eq!(lines[1]["api_ms"].as_array().unwrap().len(), 1);
}

#[tokio::test]
#[ignore = "needs moto's server for SQS and DynamoDB, whose address is in STICKY_CONNECT_MOTO"]
async fn moto_a_queued_save_and_an_answer_from_the_cache_are_counted() {
    let aws = Aws::start().await;
    let (queue, _) = aws.create_queue(15).await;
    let table = aws.create_table().await;
    let variables = [("STICKY_CALLS_OUTBOX_QUEUE_URL", queue.as_str()), ("STICKY_CALLS_TABLE", &table)];
    let mut stack = Stack::start_in(BOOTSTRAP, &aws, &variables).await;
    stack.invoke(&call(1)).await;
    stack.invoke(&call(2)).await;
    stack.api.fail_always(Some(Fault::status(402)));
    stack.invoke(&end_of_call(2)).await;
    let log = stack.function.stop().await;
    assert_eq!(lines(&log, "answered")[2]["level"], "ERROR", "it waits until an operator does something: {log}");
    let lines = metrics(&log);
    assert_counted!(&lines[0], ["matched"]);
    let cached = assert_counted!(&lines[1], ["matched"]);
    assert_eq!(cached.get("api_ms"), None, "the API was not asked");
    assert_counted!(&lines[2], ["queued", "quota_exhausted", "needs_operator"]);
}
