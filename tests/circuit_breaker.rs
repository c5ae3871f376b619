//! An API that is down: the first callers pay for it, the others don't, and no summary is dropped. When the pauses end is
//! shown on a paused clock, in `src/sticky_calls/guard.rs`.
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

/// Jane rings for the nth time.
fn call(number: usize) -> Value {
    with_contact(event("returning_caller"), "/InitialContactId", format!("call {number}"))
}

/// The end of that call.
fn end_of_call(number: usize) -> Value {
    let event = with_parameter(call(number), "action", "save");
    with_parameter(event, "call_summary", format!("summary {number}"))
}

/// How the lookups of three callers end whom an API that fails like this makes wait.
async fn three_callers_meet(stack: &mut Stack, fault: Fault) -> Vec<Value> {
    stack.api.fail_always(Some(fault));
    let mut reasons = Vec::new();
    for number in 1..=3 {
        reasons.push(stack.invoke(&call(number)).await["lookup_reason"].take());
    }
    reasons
}

#[tokio::test]
async fn after_three_callers_have_met_an_api_that_is_down_the_next_ones_get_the_fallback_at_once() {
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
async fn an_api_that_refuses_or_talks_nonsense_is_not_down() {
    for fault in [400, 401, 402, 403, 409, 429].map(Fault::status).into_iter().chain([Fault::body("no JSON")]) {
        let mut stack = Stack::start(BOOTSTRAP, &[BUDGET]).await;
        three_callers_meet(&mut stack, fault.clone()).await;
        stack.api.fail_always(None);
        assert_eq!(stack.invoke(&call(4)).await["lookup_status"], "matched", "{fault:?}");
    }
}

#[tokio::test]
async fn callers_whose_time_was_up_before_the_api_was_asked_say_nothing_about_it() {
    let mut stack = Stack::start(BOOTSTRAP, &[]).await;
    for number in 1..=5 {
        let soon = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() + 150;
        stack.function.outcome_until(call(number).to_string(), soon).await;
    }
    assert_eq!(stack.api.received().len(), 0);
    assert_eq!(stack.invoke(&call(6)).await["lookup_status"], "matched");
}

#[tokio::test]
async fn switched_off_it_lets_every_caller_ask() {
    let mut stack = Stack::start(BOOTSTRAP, &[BUDGET, ("STICKY_CALLS_GUARD", "off")]).await;
    three_callers_meet(&mut stack, Fault::Reset).await;
    assert_eq!(stack.invoke(&call(4)).await["lookup_reason"], "network");
}

#[tokio::test]
async fn a_save_without_an_outbox_asks_an_api_that_is_down_all_the_same() {
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
async fn a_save_whose_outbox_fails_asks_an_api_that_is_down_all_the_same() {
    for fault in [AwsFault::Reset, AwsFault::Hang, AwsFault::Refused("QueueDoesNotExist")] {
        let aws = Aws::down(fault.clone()).await;
        let mut stack = Stack::start_in(BOOTSTRAP, &aws, &[NO_QUEUE]).await;
        three_callers_meet(&mut stack, Fault::status(503)).await;
        stack.api.fail_always(None);
        assert_eq!(stack.invoke(&end_of_call(1)).await["save_status"], "saved", "{fault:?}");
        assert!(!aws.received(Service::Sqs).is_empty(), "the outbox goes first");
        assert_eq!(stack.api.ended()[0]["variables"]["last_issue"], "summary 1");
    }
}

#[tokio::test]
async fn a_save_with_little_time_whose_outbox_hangs_still_has_some_for_the_api() {
    let aws = Aws::down(AwsFault::Hang).await;
    let little = ("STICKY_CALLS_TIMEOUT_MS", "1000");
    let mut stack = Stack::start_in(BOOTSTRAP, &aws, &[NO_QUEUE, little]).await;
    three_callers_meet(&mut stack, Fault::status(503)).await;
    stack.api.fail_always(None);
    assert_eq!(stack.invoke(&end_of_call(1)).await["save_status"], "saved");
}

#[tokio::test]
async fn a_save_with_everything_hanging_while_the_api_counts_as_down_stays_inside_the_budget() {
    let aws = Aws::down(AwsFault::Hang).await;
    let variables = [NO_QUEUE, ("STICKY_CALLS_TABLE", "cache"), BUDGET];
    let mut stack = Stack::start_in(BOOTSTRAP, &aws, &variables).await;
    three_callers_meet(&mut stack, Fault::Hang).await;
    // Else the budget would have ended it, with `timeout`.
    assert_eq!(stack.invoke(&end_of_call(1)).await["error"], "outbox_unavailable");
}

#[tokio::test]
async fn with_api_and_outbox_both_down_an_operator_is_told_what_both_said() {
    let aws = Aws::down(AwsFault::Refused("QueueDoesNotExist")).await;
    let mut stack = Stack::start_in(BOOTSTRAP, &aws, &[NO_QUEUE]).await;
    three_callers_meet(&mut stack, Fault::status(503)).await;
    let answer = stack.invoke(&end_of_call(1)).await;
    assert_eq!((&answer["save_status"], &answer["error"]), (&json!("failed"), &json!("outbox_unavailable")));
    let line = lines(&stack.function.stop().await, "answered").pop().unwrap();
    assert_eq!(line["detail"], "the API: the API answered 503; the outbox: QueueDoesNotExist");
}

#[tokio::test]
async fn a_message_of_the_outbox_is_delivered_regardless_and_shows_that_the_api_is_back() {
    let mut stack = Stack::start(BOOTSTRAP, &[BUDGET]).await;
    three_callers_meet(&mut stack, Fault::status(503)).await;
    stack.api.fail_always(None);
    let answer = stack.invoke(&event("outbox_messages")).await;
    assert_eq!(answer["batchItemFailures"].as_array().unwrap().len(), 1, "the one that holds no summary");
    assert_eq!(stack.api.ended().len(), 1);
    assert_eq!(stack.invoke(&call(4)).await["lookup_status"], "matched");
}

#[tokio::test]
async fn an_api_that_answers_a_message_later_than_any_caller_waits_is_not_back() {
    let mut stack = Stack::start(BOOTSTRAP, &[BUDGET]).await;
    three_callers_meet(&mut stack, Fault::Delay(Duration::from_millis(900))).await;
    stack.invoke(&event("outbox_messages")).await;
    assert_eq!(stack.api.ended().len(), 1);
    assert_eq!(stack.invoke(&call(4)).await["lookup_reason"], "circuit_open");
}

#[tokio::test]
async fn messages_that_the_api_fails_on_do_not_keep_callers_from_it() {
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
async fn moto_saves_and_records_go_straight_to_the_outbox_while_the_api_is_down() {
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

/// The message is on its way once; waiting for it a second time must not send it again.
#[tokio::test]
async fn a_queue_that_is_slow_while_the_api_is_down_gets_each_summary_once_and_the_flow_hears_so() {
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
