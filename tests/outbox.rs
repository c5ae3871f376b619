//! The outbox: summaries that the API does not take are enqueued, delivered later, and never lost.
//!
//! Most tests need SQS. By hand, with `pip install 'moto[server]'` and `moto_server -H 127.0.0.1 -p 5005`:
//! `STICKY_CONNECT_MOTO=127.0.0.1:5005 cargo test -- --ignored moto`.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may panic")]

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};
use stand_ins::aws::{Aws, AwsFault, Service};
use stand_ins::events::{event, queue, with_attribute, with_contact, with_parameter};
use stand_ins::log::lines;
use stand_ins::runtime_api::Outcome;
use stand_ins::stack::Stack;
use stand_ins::sticky_calls::{Fault, KEY, StickyCalls};

const BOOTSTRAP: &str = env!("CARGO_BIN_EXE_bootstrap");
const JANE: &str = "00000000-0000-4000-8000-000000000001";
const SAVE: (&str, &str) = ("STICKY_CALLS_ACTION", "save");
const NO_QUEUE: (&str, &str) = ("STICKY_CALLS_OUTBOX_QUEUE_URL", "http://sqs.eu-central-1.amazonaws.com/1/outbox");

/// The end of call `number`.
fn end_of_call(number: usize) -> Value {
    let event = with_attribute(event("returning_caller"), "customer_ref", JANE);
    let event = with_contact(event, "/ContactId", format!("4a573372-1f28-4e26-b97b-{number:012}"));
    let event = with_parameter(event, "call_id", format!("call {number}"));
    let event = with_parameter(event, "call_date", format!("2026-02-07T10:30:00.{number:03}Z"));
    with_parameter(event, "call_summary", format!("summary {number}"))
}

/// The message about call `number` in the outbox.
fn kept(number: usize) -> String {
    let request = json!({"call_id": format!("call {number}"), "customer_ref": JANE, "intent": "i", "intent_status": "open",
        "variables": {"call_date": "d"}});
    json!({"version": 1, "reason": "timeout", "queued_at": "t", "contact_id": null, "request": request}).to_string()
}

/// The call ids of the ends that the API has.
fn ended(api: &StickyCalls) -> Vec<String> {
    let mut ids: Vec<_> = api.ended().iter().map(|end| end["call_id"].as_str().unwrap().to_owned()).collect();
    ids.sort();
    ids
}

#[tokio::test]
async fn with_api_and_queue_both_down_the_flow_gets_failed_and_the_log_has_an_error() {
    for fault in [AwsFault::Reset, AwsFault::Hang, AwsFault::Status(503), AwsFault::Refused("QueueDoesNotExist")] {
        let aws = Aws::down(fault.clone()).await;
        let mut stack = Stack::start_in(BOOTSTRAP, &aws, &[SAVE, NO_QUEUE]).await;
        stack.api.fail_always(Some(Fault::status(503)));
        let answer = stack.invoke(&end_of_call(7)).await;
        let expected = json!({"success": "false", "save_status": "failed", "error": "outbox_unavailable", "call_id": "call 7", "saved_words": ""});
        assert_eq!(answer, expected, "{fault:?}");
        let log = stack.function.stop().await;
        let line = &lines(&log, "answered")[0];
        assert_eq!(line["level"], "ERROR");
        assert_eq!(line["contact_id"], "4a573372-1f28-4e26-b97b-000000000007");
        assert!(line["detail"].as_str().unwrap().starts_with("the API: the API answered 503; the outbox: "), "{line}");
        assert!(!aws.received(Service::Sqs).is_empty());
    }
}

#[tokio::test]
async fn with_api_and_queue_both_hanging_the_answer_comes_within_the_budget() {
    let aws = Aws::down(AwsFault::Hang).await;
    let mut stack = Stack::start_in(BOOTSTRAP, &aws, &[SAVE, NO_QUEUE, ("STICKY_CALLS_TIMEOUT_MS", "1200")]).await;
    stack.api.fail_always(Some(Fault::Hang));
    assert_eq!(stack.invoke(&end_of_call(1)).await["error"], "outbox_unavailable");
    let line = lines(&stack.function.stop().await, "answered").remove(0);
    assert!((1_200..3_000).contains(&line["total_ms"].as_u64().unwrap()), "{line}");
    // The queue had half a second of it.
    assert!((600..1_200).contains(&line["api_ms"].as_u64().unwrap()), "{line}");
}

#[tokio::test]
async fn a_proxy_in_the_environment_is_not_used_for_the_queue() {
    let proxy = StickyCalls::start().await;
    let url = proxy.url();
    let proxies =
        ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY"].map(|name| (name, url.as_str()));
    let aws = Aws::down(AwsFault::Refused("AccessDeniedException")).await;
    let mut stack = Stack::start_in(BOOTSTRAP, &aws, &[&[SAVE, NO_QUEUE], &proxies[..]].concat()).await;
    stack.api.fail_always(Some(Fault::status(503)));
    stack.invoke(&end_of_call(1)).await;
    assert_eq!((proxy.connections(), aws.received(Service::Sqs).len()), (0, 1));
}

#[tokio::test]
async fn without_an_outbox_a_save_that_the_api_does_not_take_fails() {
    let mut stack = Stack::start(BOOTSTRAP, &[SAVE]).await;
    stack.api.fail_always(Some(Fault::status(503)));
    assert_eq!(stack.invoke(&end_of_call(1)).await["error"], "server_error");
}

#[tokio::test]
async fn only_the_failed_messages_of_a_batch_are_retried() {
    let mut stack = Stack::start(BOOTSTRAP, &[SAVE]).await;
    let message = |number: usize, body: String| {
        json!({"messageId": format!("m{number}"), "receiptHandle": "r", "body": body, "eventSource": "aws:sqs",
            "attributes": {"ApproximateReceiveCount": "1"}})
    };
    let kept = |number: usize| message(number, kept(number));
    let poison = message(3, "poison".to_owned());
    let unknown = message(4, json!({"version": 2}).to_string());
    let odd = json!({"messageId": "m5", "eventSource": "aws:sqs", "body": 7});
    let event = json!({"Records": [kept(1), kept(2), poison, unknown, odd, kept(1)]});
    let answer = stack.invoke(&event).await;
    let mut failed: Vec<_> = answer["batchItemFailures"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["itemIdentifier"].as_str().unwrap())
        .collect();
    failed.sort_unstable();
    assert_eq!(failed, ["m3", "m4", "m5"]);
    assert_eq!(ended(&stack.api), ["call 1", "call 2"]);

    let mut again = message(3, "poison".to_owned());
    again["attributes"]["ApproximateReceiveCount"] = json!("2");
    stack.invoke(&json!({"Records": [again]})).await;

    stack.api.fail_always(Some(Fault::status(500)));
    let answer = stack.invoke(&json!({"Records": [kept(8)]})).await;
    assert_eq!(answer, json!({"batchItemFailures": [{"itemIdentifier": "m8"}]}));
    let log = stack.function.stop().await;
    let unreadable = lines(&log, "summary").into_iter().filter(|line| line["reason"] == "invalid_event");
    let levels: Vec<_> = unreadable.map(|line| line["level"].clone()).collect();
    assert_eq!(levels, ["ERROR", "ERROR", "ERROR", "WARN"], "an error once, and a warning at the retry: {log}");
    assert!(lines(&log, "batch").iter().all(|line| line["level"] == "WARN"), "{log}");
}

#[tokio::test]
async fn the_same_words_twice_in_a_batch_are_delivered_once() {
    let mut stack = Stack::start(BOOTSTRAP, &[SAVE]).await;
    let mut body: Value = serde_json::from_str(&kept(1)).unwrap();
    body["request"]["variables"] = json!({"last_issue": "once", "last_issue_source": "call_summary"});
    let batch = queue(&[body.to_string(), body.to_string(), kept(2)]);
    assert_eq!(stack.invoke(&batch).await, json!({"batchItemFailures": []}));
    assert_eq!(ended(&stack.api), ["call 1", "call 2"]);
}

#[tokio::test]
async fn a_block_that_runs_again_gets_queued_and_its_words_are_not_enqueued_twice() {
    let aws = Aws::in_memory().await;
    let mut stack = Stack::start_in(BOOTSTRAP, &aws, &[SAVE, NO_QUEUE, ("STICKY_CALLS_TABLE", "table")]).await;
    stack.api.fail_always(Some(Fault::status(500)));
    let first = stack.invoke(&end_of_call(1)).await;
    assert_eq!((&first["save_status"], &first["error"]), (&json!("queued"), &json!("server_error")));
    stack.api.fail_always(None);
    assert_eq!(stack.invoke(&end_of_call(1)).await, first);
    assert_eq!((aws.messages().len(), stack.api.ended().len()), (1, 0));
}

#[tokio::test]
async fn a_thousand_summaries_in_one_batch_are_all_delivered_eight_at_a_time() {
    let mut stack = Stack::start(BOOTSTRAP, &[SAVE]).await;
    // The API answers only when eight requests wait, so with fewer at once they would time out.
    stack.api.fail_always(Some(Fault::together(8)));
    let mut bodies: Vec<_> = (0..1_000).map(kept).collect();
    bodies.insert(500, "poison".to_owned());
    let batch = queue(&bodies);
    let Outcome::Answer(answer) = stack.function.outcome(batch.to_string(), Duration::from_secs(60)).await else {
        panic!()
    };
    let poison = json!({"batchItemFailures": [{"itemIdentifier": batch["Records"][500]["messageId"]}]});
    assert_eq!(serde_json::from_slice::<Value>(&answer).unwrap(), poison);
    let ids: BTreeSet<_> = ended(&stack.api).into_iter().collect();
    assert_eq!((stack.api.received().len(), ids.len(), stack.api.most_at_once()), (1_000, 1_000, 8));
}

#[tokio::test]
async fn only_the_messages_for_which_lambda_leaves_no_time_are_retried() {
    let mut stack = Stack::start(BOOTSTRAP, &[SAVE]).await;
    for _ in 0..100 {
        stack.api.fail_next(Fault::Delay(Duration::ZERO));
    }
    stack.api.fail_always(Some(Fault::Hang));
    let batch = queue(&(0..1_000).map(kept).collect::<Vec<_>>());
    let answer = stack.invoke(&batch).await;
    let reported = answer["batchItemFailures"].as_array().unwrap();
    let retried: BTreeSet<_> = reported.iter().map(|item| item["itemIdentifier"].as_str().unwrap()).collect();
    let delivered: BTreeSet<_> = ended(&stack.api).into_iter().collect();
    assert!(!delivered.is_empty());
    // The eight that hung are the last that were sent.
    assert_eq!((reported.len(), stack.api.most_at_once()), (1_000 - delivered.len(), 8));
    assert_eq!(stack.api.received().len(), delivered.len() + 8);
    let sent = batch["Records"].as_array().unwrap().iter().enumerate();
    let not_delivered = sent.filter(|(number, _)| !delivered.contains(&format!("call {number}")));
    assert_eq!(retried, not_delivered.map(|(_, message)| message["messageId"].as_str().unwrap()).collect());
}

#[tokio::test]
#[ignore = "needs moto's server for SQS, whose address is in STICKY_CONNECT_MOTO"]
async fn moto_two_hundred_calls_are_enqueued_while_the_api_is_down_and_each_is_saved_once_afterwards() {
    const CALLS: usize = 200;
    let aws = Aws::start().await;
    let (queue, dead) = aws.create_queue(15).await;
    let variables = [SAVE, ("STICKY_CALLS_OUTBOX_QUEUE_URL", &queue), ("AWS_LAMBDA_LOG_LEVEL", "TRACE")];
    let mut stack = Stack::start_in(BOOTSTRAP, &aws, &variables).await;
    let faults = [
        Fault::status(503),
        Fault::status(401),
        Fault::status(402),
        Fault::status(429),
        Fault::status(400),
        Fault::Reset,
        Fault::CutBody,
    ];
    for number in 0..CALLS {
        stack.api.fail_always(Some(faults[number % faults.len()].clone()));
        let answer = stack.invoke(&end_of_call(number)).await;
        assert_eq!((&answer["save_status"], &answer["success"]), (&json!("queued"), &json!("true")), "{answer}");
    }
    assert_eq!(ended(&stack.api), [""; 0]);
    assert_eq!(aws.count(&queue).await, (CALLS as u32, 0));

    // Lambda receives the messages at once. They fail, their retry is delayed, and after the delay they are retried.
    let (stay, received) = aws.poll(&queue, &mut stack.function).await;
    assert_eq!((stay.len(), received), (10, 10));
    assert_eq!(aws.count(&queue).await, (CALLS as u32 - 10, 10));
    for record in &stay {
        aws.make_visible(&queue, record).await;
    }
    stack.api.fail_always(None);
    let mut delivered = 0;
    loop {
        let (stay, received) = aws.poll(&queue, &mut stack.function).await;
        assert_eq!(stay, [Value::Null; 0]);
        delivered += received;
        if received == 0 {
            break;
        }
    }
    assert_eq!(delivered, CALLS);
    let ids: BTreeSet<_> = ended(&stack.api).into_iter().collect();
    assert_eq!((ended(&stack.api).len(), ids.len()), (CALLS, CALLS));
    for end in stack.api.ended() {
        let number: usize = end["call_id"].as_str().unwrap().trim_start_matches("call ").parse().unwrap();
        assert_eq!(end["variables"]["last_issue"], format!("summary {number}"));
        assert_eq!(end["variables"]["call_date"], format!("2026-02-07T10:30:00.{number:03}Z"));
    }
    assert_eq!((aws.count(&queue).await, aws.count(&dead).await), ((0, 0), (0, 0)));
    let sent = aws.received(Service::Sqs).into_iter().filter(|(operation, _)| operation == "SendMessage").count();
    assert_eq!(sent, CALLS, "a redelivered message is never queued again");
    let log = stack.function.stop().await;
    for personal in ["2025550101", "C-1001", JANE, "summary 1", "general_inquiry", "wJalrXUtnFEMI", KEY] {
        assert!(!log.contains(personal), "{personal}");
    }
}

#[tokio::test]
#[ignore = "needs moto's server for SQS, whose address is in STICKY_CONNECT_MOTO"]
async fn moto_a_summary_is_enqueued_with_the_reason_why_the_api_did_not_take_it() {
    let aws = Aws::start().await;
    let (queue, _) = aws.create_queue(15).await;
    let outbox = ("STICKY_CALLS_OUTBOX_QUEUE_URL", queue.as_str());
    let cases = [
        ("timeout", Fault::Hang),
        ("network", Fault::Reset),
        ("invalid_response", Fault::body("[]")),
        ("unauthorized", Fault::status(403)),
        ("quota_exhausted", Fault::status(402)),
        ("rate_limited", Fault::status(429)),
        ("rejected", Fault::status(404)),
        ("server_error", Fault::status(500)),
    ];
    let mut stack = Stack::start_in(BOOTSTRAP, &aws, &[SAVE, outbox]).await;
    for (number, (reason, fault)) in cases.iter().enumerate() {
        stack.api.fail_always(Some(fault.clone()));
        let answer = stack.invoke(&end_of_call(number)).await;
        let call_id = format!("call {number}");
        let read = ["success", "save_status", "error", "call_id"].map(|name| answer[name].as_str().unwrap());
        assert_eq!(read, ["true", "queued", *reason, &call_id]);
        assert!(answer["saved_words"].as_str().unwrap().starts_with(&format!("{call_id}.")), "{answer}");
    }
    for unusable in [("STICKY_CALLS_API_KEY", ""), ("STICKY_CALLS_API_URL", "http://elsewhere.example.com")] {
        let mut stack = Stack::start_in(BOOTSTRAP, &aws, &[SAVE, outbox, unusable]).await;
        assert_eq!(stack.invoke(&end_of_call(99)).await["error"], "misconfigured");
    }
    let mut reasons = BTreeSet::new();
    while let records @ [_, ..] = aws.receive(&queue).await.as_slice() {
        for record in records {
            let body: Value = serde_json::from_str(record["body"].as_str().unwrap()).unwrap();
            assert_eq!(body["version"], 1);
            assert!(body["contact_id"].as_str().unwrap().starts_with("4a573372-"));
            reasons.insert(body["reason"].as_str().unwrap().to_owned());
        }
    }
    let expected: BTreeSet<_> =
        cases.iter().map(|(reason, _)| (*reason).to_owned()).chain(["misconfigured".to_owned()]).collect();
    assert_eq!(reasons, expected);
}

#[tokio::test]
#[ignore = "needs moto's server for SQS, whose address is in STICKY_CONNECT_MOTO"]
async fn moto_the_retry_of_a_message_is_delayed_longer_after_each_failure() {
    let aws = Aws::start().await;
    let (queue, _) = aws.create_queue(15).await;
    let mut stack = Stack::start_in(BOOTSTRAP, &aws, &[SAVE, ("STICKY_CALLS_OUTBOX_QUEUE_URL", &queue)]).await;
    stack.api.fail_always(Some(Fault::status(500)));
    stack.invoke(&end_of_call(1)).await;
    for _ in 0..8 {
        let (stay, _) = aws.poll(&queue, &mut stack.function).await;
        aws.make_visible(&queue, &stay[0]).await;
    }
    let delay = |(operation, parameters): (String, Value)| {
        (operation == "ChangeMessageVisibility").then(|| parameters["VisibilityTimeout"].as_u64().unwrap() / 60)
    };
    let minutes: Vec<_> = aws.received(Service::Sqs).into_iter().filter_map(delay).collect();
    assert_eq!(minutes, [1, 2, 4, 8, 16, 32, 60, 60]);
}

#[tokio::test]
#[ignore = "needs moto's server for SQS, whose address is in STICKY_CONNECT_MOTO"]
async fn moto_an_unreadable_message_becomes_a_dead_letter_and_the_other_nine_are_delivered() {
    let aws = Aws::start().await;
    let (queue, dead) = aws.create_queue(3).await;
    let mut stack = Stack::start_in(BOOTSTRAP, &aws, &[SAVE, ("STICKY_CALLS_OUTBOX_QUEUE_URL", &queue)]).await;
    stack.api.fail_always(Some(Fault::status(500)));
    for number in 0..9 {
        stack.invoke(&end_of_call(number)).await;
    }
    stack.api.fail_always(None);
    aws.ask(Service::Sqs, "SendMessage", json!({"QueueUrl": queue, "MessageBody": "{\"version\":1,\"request\":7}"}))
        .await;

    let (stay, received) = aws.poll(&queue, &mut stack.function).await;
    assert_eq!((stay.len(), received), (1, 10));
    assert_eq!(ended(&stack.api).len(), 9);
    // Its retry is not delayed, so it can be received again at once.
    for _ in 0..2 {
        assert_eq!(aws.poll(&queue, &mut stack.function).await.1, 1);
    }
    assert_eq!(aws.poll(&queue, &mut stack.function).await.1, 0);
    assert_eq!((aws.count(&queue).await, aws.count(&dead).await), ((0, 0), (1, 0)));
    assert_eq!(ended(&stack.api).len(), 9);
}

#[tokio::test]
#[ignore = "needs moto's server for SQS, whose address is in STICKY_CONNECT_MOTO"]
async fn moto_a_summary_whose_answers_were_lost_or_that_was_enqueued_twice_is_saved_twice_at_most() {
    let aws = Aws::start().await;
    let (queue, _) = aws.create_queue(15).await;
    let mut stack = Stack::start_in(BOOTSTRAP, &aws, &[SAVE, ("STICKY_CALLS_OUTBOX_QUEUE_URL", &queue)]).await;
    // The API takes it, but neither attempt gets the answer.
    stack.api.fail_next(Fault::TakenThenReset);
    stack.api.fail_next(Fault::Reset);
    assert_eq!(stack.invoke(&end_of_call(1)).await["save_status"], "queued");
    // Connect runs a block again; SQS delivers a message again.
    stack.api.fail_always(Some(Fault::status(500)));
    for _ in 0..3 {
        assert_eq!(stack.invoke(&end_of_call(2)).await["save_status"], "queued");
    }
    stack.api.fail_always(None);
    let records = aws.receive(&queue).await;
    assert_eq!(records.len(), 4);
    for _ in 0..2 {
        let answer = stack.function.invoke(&json!({"Records": records})).await;
        assert_eq!(answer, json!({"batchItemFailures": []}));
    }
    let standalone = |id: &String| id.split_once('.').map(|(call, _)| call.to_owned());
    let calls: Vec<_> = ended(&stack.api).iter().map(|id| standalone(id).unwrap_or(id.clone())).collect();
    assert_eq!(calls, ["call 1", "call 1", "call 2", "call 2"]);
}

#[tokio::test]
#[ignore = "needs moto's server for SQS, whose address is in STICKY_CONNECT_MOTO"]
async fn moto_a_summary_with_unusual_characters_is_delivered_unchanged() {
    let aws = Aws::start().await;
    let (queue, _) = aws.create_queue(15).await;
    let mut stack = Stack::start_in(BOOTSTRAP, &aws, &[SAVE, ("STICKY_CALLS_OUTBOX_QUEUE_URL", &queue)]).await;
    let text = "\u{0}\u{1f}\u{7f}\u{85}\u{2028}\u{fffd}\u{fffe}\u{ffff}👍 \"\\\n";
    stack.api.fail_always(Some(Fault::status(500)));
    let answer = stack.invoke(&with_parameter(end_of_call(1), "call_summary", text)).await;
    assert_eq!(answer["save_status"], "queued");
    // SQS would refuse these two characters; moto does not.
    let (_, sent) = aws.received(Service::Sqs).remove(0);
    assert!(!sent["MessageBody"].as_str().unwrap().contains(['\u{fffe}', '\u{ffff}']));
    stack.api.fail_always(None);
    assert_eq!(aws.poll(&queue, &mut stack.function).await.0, [Value::Null; 0]);
    assert_eq!(stack.api.ended()[0]["variables"]["last_issue"], text);
}

#[tokio::test]
#[ignore = "needs moto's server for SQS, whose address is in STICKY_CONNECT_MOTO"]
async fn moto_a_queue_that_is_slow_or_breaks_a_connection_still_gets_the_summary() {
    let aws = Aws::start().await;
    let (queue, _) = aws.create_queue(15).await;
    let mut stack = Stack::start_in(BOOTSTRAP, &aws, &[SAVE, ("STICKY_CALLS_OUTBOX_QUEUE_URL", &queue)]).await;
    stack.api.fail_always(Some(Fault::Hang));
    aws.fail(Service::Sqs, Some(AwsFault::Delay(Duration::from_millis(300))));
    assert_eq!(stack.invoke(&end_of_call(1)).await["save_status"], "queued");
    assert_eq!(aws.count(&queue).await, (1, 0));
}

#[tokio::test]
#[ignore = "needs moto's server for SQS, whose address is in STICKY_CONNECT_MOTO"]
async fn moto_a_summary_is_not_lost_if_the_queue_takes_it_without_an_answer() {
    let aws = Aws::start().await;
    let (queue, _) = aws.create_queue(15).await;
    let mut stack = Stack::start_in(BOOTSTRAP, &aws, &[SAVE, ("STICKY_CALLS_OUTBOX_QUEUE_URL", &queue)]).await;
    stack.api.fail_always(Some(Fault::status(500)));
    aws.fail(Service::Sqs, Some(AwsFault::TakenThenHang));
    assert_eq!(stack.invoke(&end_of_call(1)).await["error"], "outbox_unavailable");
    aws.fail(Service::Sqs, None);
    // The flow got `failed`, so it saves again.
    assert_eq!(stack.invoke(&end_of_call(1)).await["save_status"], "queued");
    stack.api.fail_always(None);
    assert_eq!(aws.poll(&queue, &mut stack.function).await, (Vec::new(), 2));
    let ids = ended(&stack.api);
    assert!(ids[0] == "call 1" && ids[1..].iter().all(|id| id.starts_with("call 1.")) && ids.len() <= 2, "{ids:?}");
}
