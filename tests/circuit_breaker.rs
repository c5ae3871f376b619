//! The circuit breaker while the API is down: only the first callers wait, and no summary is lost. The tests in
//! `src/services/circuit_breaker.rs` show on a paused clock for how long it stays open.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may panic")]

use std::time::Duration;

use serde_json::{Value, json};
use stand_ins::aws::{Aws, AwsFault, Service};
use stand_ins::events::{event, record, stream, with_contact, with_parameter};
use stand_ins::log::lines;
use stand_ins::stack::Stack;
use stand_ins::sticky_calls::Fault;

const BOOTSTRAP: &str = env!("CARGO_BIN_EXE_bootstrap");
const JANE: &str = "00000000-0000-4000-8000-000000000001";
const BUDGET: (&str, &str) = ("STICKY_CALLS_TIMEOUT_MS", "400");
const NO_QUEUE: (&str, &str) = ("STICKY_CALLS_OUTBOX_QUEUE_URL", "http://sqs.eu-central-1.amazonaws.com/1/outbox");

/// Jane's call with this number.
fn call(number: usize) -> Value {
    with_contact(event("returning_caller"), "/InitialContactId", format!("call {number}"))
}

/// The end of that call.
fn end_of_call(number: usize) -> Value {
    let event = with_parameter(call(number), "action", "save");
    with_parameter(event, "call_summary", format!("summary {number}"))
}

/// Three callers meet an API with this fault. Returns the `lookup_reason` of each.
async fn three_callers_meet(stack: &mut Stack, fault: Fault) -> Vec<Value> {
    stack.api.fail_always(Some(fault));
    let mut reasons = Vec::new();
    for number in 1..=3 {
        reasons.push(stack.invoke(&call(number)).await["lookup_reason"].take());
    }
    reasons
}

#[tokio::test]
async fn after_three_callers_have_waited_for_an_api_that_is_down_the_next_ones_get_the_fallback_at_once() {
    for (fault, reason) in [(Fault::Hang, "timeout"), (Fault::Reset, "network"), (Fault::status(503), "server_error")] {
        let mut stack = Stack::start(BOOTSTRAP, &[BUDGET]).await;
        assert_eq!(three_callers_meet(&mut stack, fault).await, [reason, reason, reason]);
        let asked = stack.api.received().len();
        stack.api.fail_always(None);
        for number in 4..=6 {
            let answer = stack.invoke(&call(number)).await;
            assert_eq!(
                (&answer["lookup_status"], &answer["lookup_reason"]),
                (&json!("unavailable"), &json!("circuit_open"))
            );
        }
        assert_eq!(stack.api.received().len(), asked, "{reason}: nothing was sent");
        let log = stack.function.stop().await;
        assert_eq!(lines(&log, "the circuit breaker is open").len(), 1, "{log}");
    }
}

#[tokio::test]
async fn an_api_that_refuses_or_sends_an_invalid_answer_does_not_count_as_down() {
    for fault in [400, 401, 402, 403, 409, 429].map(Fault::status).into_iter().chain([Fault::body("no JSON")]) {
        let mut stack = Stack::start(BOOTSTRAP, &[BUDGET]).await;
        three_callers_meet(&mut stack, fault.clone()).await;
        stack.api.fail_always(None);
        assert_eq!(stack.invoke(&call(4)).await["lookup_status"], "matched", "{fault:?}");
    }
}

#[tokio::test]
async fn lookups_without_time_to_ask_the_api_do_not_open_it() {
    let mut stack = Stack::start(BOOTSTRAP, &[]).await;
    for number in 1..=5 {
        let soon = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() + 150;
        stack.function.outcome_until(call(number).to_string(), soon).await;
    }
    assert_eq!(stack.api.received().len(), 0);
    assert_eq!(stack.invoke(&call(6)).await["lookup_status"], "matched");
}

#[tokio::test]
async fn if_it_is_switched_off_the_api_is_asked_for_every_caller() {
    let mut stack = Stack::start(BOOTSTRAP, &[BUDGET, ("STICKY_CALLS_GUARD", "off")]).await;
    three_callers_meet(&mut stack, Fault::Reset).await;
    assert_eq!(stack.invoke(&call(4)).await["lookup_reason"], "network");
}

#[tokio::test]
async fn without_an_outbox_a_save_asks_the_api_even_if_it_counts_as_down() {
    let mut stack = Stack::start(BOOTSTRAP, &[BUDGET]).await;
    three_callers_meet(&mut stack, Fault::Reset).await;
    assert_eq!(stack.invoke(&end_of_call(1)).await["error"], "network");
    stack.api.fail_always(None);
    assert_eq!(stack.invoke(&call(4)).await["lookup_reason"], "circuit_open");
    assert_eq!(stack.invoke(&end_of_call(2)).await["save_status"], "saved");
    assert_eq!(stack.invoke(&call(5)).await["lookup_status"], "matched", "the save has shown that the API is back");
    assert_eq!(lines(&stack.function.stop().await, "the circuit breaker is closed").len(), 1);
}

#[tokio::test]
async fn if_the_outbox_fails_a_save_asks_the_api_even_if_it_counts_as_down() {
    for fault in [AwsFault::Reset, AwsFault::Hang, AwsFault::Refused("QueueDoesNotExist")] {
        let aws = Aws::down(fault.clone()).await;
        let mut stack = Stack::start_in(BOOTSTRAP, &aws, &[NO_QUEUE]).await;
        three_callers_meet(&mut stack, Fault::status(503)).await;
        stack.api.fail_always(None);
        assert_eq!(stack.invoke(&end_of_call(1)).await["save_status"], "saved", "{fault:?}");
        assert!(!aws.received(Service::Sqs).is_empty(), "the outbox is tried first");
        assert_eq!(stack.api.ended()[0]["variables"]["last_issue"], "summary 1");
    }
}

#[tokio::test]
async fn if_the_outbox_hangs_a_save_with_little_time_still_has_some_for_the_api() {
    let aws = Aws::down(AwsFault::Hang).await;
    let little = ("STICKY_CALLS_TIMEOUT_MS", "1000");
    let mut stack = Stack::start_in(BOOTSTRAP, &aws, &[NO_QUEUE, little]).await;
    three_callers_meet(&mut stack, Fault::status(503)).await;
    stack.api.fail_always(None);
    assert_eq!(stack.invoke(&end_of_call(1)).await["save_status"], "saved");
}

#[tokio::test]
async fn while_it_is_open_a_save_with_outbox_and_api_both_hanging_is_answered_within_the_budget() {
    let aws = Aws::down(AwsFault::Hang).await;
    let variables = [NO_QUEUE, ("STICKY_CALLS_TABLE", "cache"), BUDGET];
    let mut stack = Stack::start_in(BOOTSTRAP, &aws, &variables).await;
    three_callers_meet(&mut stack, Fault::Hang).await;
    // If the budget had ended it, the error would be `timeout`.
    assert_eq!(stack.invoke(&end_of_call(1)).await["error"], "outbox_unavailable");
}

#[tokio::test]
async fn with_api_and_outbox_both_down_the_log_has_both_errors() {
    let aws = Aws::down(AwsFault::Refused("QueueDoesNotExist")).await;
    let mut stack = Stack::start_in(BOOTSTRAP, &aws, &[NO_QUEUE]).await;
    three_callers_meet(&mut stack, Fault::status(503)).await;
    let answer = stack.invoke(&end_of_call(1)).await;
    assert_eq!((&answer["save_status"], &answer["error"]), (&json!("failed"), &json!("outbox_unavailable")));
    let line = lines(&stack.function.stop().await, "answered").pop().unwrap();
    assert_eq!(line["detail"], "the API: the API answered 503; the outbox: QueueDoesNotExist");
}

#[tokio::test]
async fn a_redelivery_asks_the_api_even_if_it_counts_as_down_and_its_success_closes_the_circuit_breaker() {
    let mut stack = Stack::start(BOOTSTRAP, &[BUDGET]).await;
    three_callers_meet(&mut stack, Fault::status(503)).await;
    stack.api.fail_always(None);
    let answer = stack.invoke(&event("outbox_messages")).await;
    assert_eq!(answer["batchItemFailures"].as_array().unwrap().len(), 1, "the message without a summary");
    assert_eq!(stack.api.ended().len(), 1);
    assert_eq!(stack.invoke(&call(4)).await["lookup_status"], "matched");
}

#[tokio::test]
async fn a_redelivery_that_is_answered_later_than_a_caller_waits_does_not_close_it() {
    let mut stack = Stack::start(BOOTSTRAP, &[BUDGET]).await;
    three_callers_meet(&mut stack, Fault::Delay(Duration::from_millis(900))).await;
    stack.invoke(&event("outbox_messages")).await;
    assert_eq!(stack.api.ended().len(), 1);
    assert_eq!(stack.invoke(&call(4)).await["lookup_reason"], "circuit_open");
}

#[tokio::test]
async fn failed_redeliveries_do_not_open_it() {
    let mut stack = Stack::start(BOOTSTRAP, &[BUDGET]).await;
    stack.api.fail_always(Some(Fault::status(500)));
    for _ in 0..4 {
        stack.invoke(&event("outbox_messages")).await;
    }
    stack.api.fail_always(None);
    assert_eq!(stack.invoke(&call(1)).await["lookup_status"], "matched");
}

#[tokio::test]
#[ignore = "needs moto's server for SQS, whose address is in STICKY_CONNECT_MOTO"]
async fn moto_while_it_is_open_saves_and_records_are_enqueued_without_asking_the_api() {
    let aws = Aws::start().await;
    let (queue, _) = aws.create_queue(15).await;
    let mut stack = Stack::start_in(BOOTSTRAP, &aws, &[("STICKY_CALLS_OUTBOX_QUEUE_URL", &queue)]).await;
    three_callers_meet(&mut stack, Fault::status(503)).await;
    let asked = stack.api.received().len();
    let answer = stack.invoke(&end_of_call(1)).await;
    assert_eq!((&answer["save_status"], &answer["error"]), (&json!("queued"), &json!("circuit_open")));
    let mut janes = record();
    janes["Attributes"]["customer_ref"] = json!(JANE);
    assert_eq!(stack.invoke(&stream(&[janes])).await, json!({"batchItemFailures": []}));
    assert_eq!(stack.api.received().len(), asked, "nothing was sent");
    assert_eq!(aws.count(&queue).await, (2, 0));

    stack.api.fail_always(None);
    let (failures, received) = aws.poll(&queue, &mut stack.function).await;
    assert_eq!((failures.len(), received), (0, 2));
    assert_eq!(stack.api.ended().len(), 2);
}

/// The message is sent once. Waiting for it a second time must not send it again.
#[tokio::test]
async fn while_it_is_open_a_slow_queue_gets_each_summary_once_and_the_flow_gets_queued() {
    let slow = AwsFault::AnswerAfter(Duration::from_millis(600), json!({"MessageId": "m"}));
    let aws = Aws::down(slow).await;
    let mut stack = Stack::start_in(BOOTSTRAP, &aws, &[NO_QUEUE]).await;
    three_callers_meet(&mut stack, Fault::status(503)).await;
    for number in 1..=2 {
        let answer = stack.invoke(&end_of_call(number)).await;
        assert_eq!(answer["save_status"], "queued", "{answer}");
        assert_eq!(aws.received(Service::Sqs).len(), number);
    }
}
