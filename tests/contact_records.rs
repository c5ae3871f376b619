//! Contact records from a stream, on the running process: which are saved, with which request, and which are retried.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may panic")]

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};
use stand_ins::aws::{Aws, AwsFault, Service};
use stand_ins::events::{record, stream};
use stand_ins::runtime_api::Outcome;
use stand_ins::stack::Stack;
use stand_ins::sticky_calls::Fault;

const BOOTSTRAP: &str = env!("CARGO_BIN_EXE_bootstrap");
const JANE: &str = "00000000-0000-4000-8000-000000000001";
const SAVE: (&str, &str) = ("STICKY_CALLS_ACTION", "save");
const ALL_RECORDS: (&str, &str) = ("STICKY_CALLS_RECORDS", "all");
const NO_QUEUE: (&str, &str) = ("STICKY_CALLS_OUTBOX_QUEUE_URL", "http://sqs.eu-central-1.amazonaws.com/1/outbox");

/// The record of Jane's call with these values, each at a path like `/Attributes/intent`.
fn janes(changes: &[(&str, Value)]) -> Value {
    changes.iter().fold(record(), |mut record, (path, value)| {
        let place = path.trim_start_matches('/').split('/').fold(&mut record, |value, key| &mut value[key]);
        *place = value.clone();
        record
    })
}

/// The function's answer to these records, within the save function's own time-out.
async fn answer(stack: &mut Stack, records: &[Value]) -> Value {
    let outcome = stack.function.outcome(stream(records).to_string(), Duration::from_secs(60)).await;
    let Outcome::Answer(answer) = outcome else { panic!("{outcome:?}") };
    serde_json::from_slice(&answer).unwrap()
}

/// What the API gets for these records. None may be reported as failed.
async fn ends(records: &[Value], variables: &[(&str, &str)]) -> Vec<Value> {
    let mut stack = Stack::start(BOOTSTRAP, &[&[SAVE], variables].concat()).await;
    assert_eq!(stack.invoke(&stream(records)).await, json!({"batchItemFailures": []}));
    stack.api.ended()
}

#[tokio::test]
async fn a_call_is_saved_from_its_record_with_what_the_agent_wrote() {
    let expected = json!({
        "call_id": "4a573372-1f28-4e26-b97b-000000000031",
        "customer_ref": JANE,
        "intent": "billing_issue",
        "intent_status": "resolved",
        "variables": {
            "last_issue": "Credit note was missing",
            "last_issue_source": "call_summary",
            "resolution": "Sent again, card [card number] charged",
            "call_date": "2026-02-07T10:30:00Z",
            "tier": "vip",
        },
    });
    assert_eq!(ends(&[record()], &[]).await, [expected]);
}

#[tokio::test]
async fn a_call_that_the_caller_ended_in_the_queue_is_saved_as_abandoned_and_without_words() {
    let unanswered = janes(&[
        ("/Agent", Value::Null),
        ("/Queue", json!({"Name": "billing"})),
        ("/Attributes", json!({"customer_ref": JANE, "intent": "technical_support"})),
    ]);
    let ends = ends(&[unanswered], &[]).await;
    assert_eq!(ends[0]["intent_status"], "abandoned");
    assert_eq!(ends[0]["intent"], "technical_support");
    assert_eq!(ends[0]["variables"], json!({"call_date": "2026-02-07T10:30:00Z"}));
}

#[tokio::test]
async fn a_call_that_an_agent_had_is_resolved_unless_it_has_another_status() {
    let silent = json!({"customer_ref": JANE});
    let answered = janes(&[("/Attributes", silent.clone())]);
    assert_eq!(ends(&[answered], &[]).await[0]["intent_status"], "resolved");
    let by_the_flow = janes(&[("/Attributes", silent), ("/Agent", Value::Null), ("/Queue", Value::Null)]);
    assert_eq!(ends(&[by_the_flow], &[]).await[0]["intent_status"], "resolved");
    let open = janes(&[("/Attributes/intent_status", json!("Open"))]);
    assert_eq!(ends(&[open], &[]).await[0]["intent_status"], "open");
}

#[tokio::test]
async fn records_of_contacts_that_are_not_to_be_saved_are_skipped() {
    let not_ours = [
        janes(&[("/InitiationMethod", json!("MONITOR"))]),
        janes(&[("/InitiationMethod", json!("DISCONNECT"))]),
        janes(&[("/SegmentAttributes", json!({"connect:Subtype": {"ValueString": "connect:Guide"}}))]),
        janes(&[("/Attributes/sticky_calls_opt_out", json!("true"))]),
        janes(&[("/Attributes/customer_ref", Value::Null)]),
        janes(&[("/NextContactId", json!("n")), ("/Attributes", json!({"customer_ref": JANE}))]),
        json!({"AWSAccountId": "1", "AgentARN": "arn", "EventType": "HEART_BEAT", "EventId": "e"}),
        json!([]),
        json!("text"),
        Value::Null,
    ];
    for record in not_ours {
        assert_eq!(ends(std::slice::from_ref(&record), &[]).await, [Value::Null; 0], "{record}");
    }
}

#[tokio::test]
async fn an_agents_words_are_saved_from_the_record_of_any_segment() {
    let followed = janes(&[("/NextContactId", json!("4a573372-1f28-4e26-b97b-000000000032"))]);
    assert_eq!(ends(&[followed], &[]).await[0]["variables"]["last_issue"], "Credit note was missing");
}

#[tokio::test]
async fn with_the_setting_all_the_records_of_unidentified_callers_are_saved_by_number() {
    let unidentified = janes(&[("/Attributes", json!({}))]);
    let ends_of_all = ends(&[unidentified], &[ALL_RECORDS]).await;
    assert_eq!(ends_of_all[0]["identity_hints"], json!({"ani": "+12025550101"}));
    let anonymous = janes(&[("/Attributes", json!({})), ("/CustomerEndpoint", Value::Null)]);
    assert_eq!(ends(&[anonymous], &[ALL_RECORDS]).await, [Value::Null; 0]);
}

#[tokio::test]
async fn every_call_in_a_large_batch_is_saved_although_some_records_are_unreadable() {
    const CALLS: usize = 300;
    let mut records = Vec::new();
    for number in 0..CALLS {
        records.push(janes(&[("/ContactId", json!(format!("call {number:03}")))]));
        records.push(json!({"EventType": "HEART_BEAT", "EventId": number}));
    }
    let mut batch = stream(&records);
    let raw = batch["Records"].as_array_mut().unwrap();
    for data in ["", "////", "bm90IGpzb24=", "no base64!"] {
        let mut odd = raw[0].clone();
        odd["kinesis"]["data"] = json!(data);
        raw.push(odd);
    }
    raw.push(json!({"eventSource": "aws:kinesis", "kinesis": null}));
    let mut stack = Stack::start(BOOTSTRAP, &[SAVE]).await;
    assert_eq!(stack.invoke(&batch).await, json!({"batchItemFailures": []}));
    let mut ids: Vec<_> = stack.api.ended().iter().map(|end| end["call_id"].as_str().unwrap().to_owned()).collect();
    ids.sort();
    assert_eq!(ids, (0..CALLS).map(|number| format!("call {number:03}")).collect::<Vec<_>>());
    // A few connections, not one for each.
    assert!(stack.api.connections() <= 9, "{}", stack.api.connections());
}

/// Each text is saved once or twice, and a record without words does not replace the last issue.
#[tokio::test]
async fn every_text_of_a_call_is_saved_although_its_records_are_repeated_and_reordered() {
    let silent =
        |time: &str| janes(&[("/Attributes", json!({"customer_ref": JANE})), ("/LastUpdateTimestamp", json!(time))]);
    let (early, emptied) = (silent("2026-02-07T10:36:00Z"), silent("2026-02-07T11:00:00Z"));
    let written = record();
    let corrected = janes(&[("/Attributes/call_summary", json!("Corrected by the agent"))]);
    let orders = [
        [&early, &written, &corrected, &emptied],
        [&emptied, &corrected, &written, &early],
        [&corrected, &early, &emptied, &written],
    ];
    for order in orders {
        let mut stack = Stack::start(BOOTSTRAP, &[SAVE]).await;
        let batch = stream(&order.map(Clone::clone));
        // Connect delivers at least once, so all records may come twice.
        for _ in 0..3 {
            assert_eq!(stack.invoke(&batch).await, json!({"batchItemFailures": []}));
        }
        let mut texts: Vec<_> = stack
            .api
            .ended()
            .iter()
            .map(|end| end["variables"]["last_issue"].as_str().unwrap_or_default().to_owned())
            .collect();
        assert!(texts.len() <= 4, "{texts:?}");
        texts.sort_unstable();
        texts.dedup();
        assert_eq!(texts, ["Corrected by the agent", "Credit note was missing"]);
    }
}

#[tokio::test]
async fn a_transferred_call_without_words_is_deferred_if_there_is_an_outbox_and_else_saved_at_once() {
    let transferred = janes(&[
        ("/InitiationMethod", json!("TRANSFER")),
        ("/Attributes", json!({"customer_ref": JANE, "intent": "billing_issue", "intent_status": "open"})),
    ]);
    assert_eq!(ends(std::slice::from_ref(&transferred), &[]).await[0]["intent"], "billing_issue");
    for fault in [AwsFault::Hang, AwsFault::Reset, AwsFault::Status(500), AwsFault::Refused("AccessDeniedException")] {
        let aws = Aws::down(fault).await;
        let mut stack = Stack::start_in(BOOTSTRAP, &aws, &[SAVE, NO_QUEUE]).await;
        assert_eq!(stack.invoke(&stream(std::slice::from_ref(&transferred))).await, json!({"batchItemFailures": []}));
        assert_eq!(stack.api.ended().len(), 1);
    }
    let aws = Aws::down(AwsFault::Answer(json!({"MessageId": "m"}))).await;
    let mut stack = Stack::start_in(BOOTSTRAP, &aws, &[SAVE, NO_QUEUE]).await;
    // A record with words, or of a call that was not transferred, is not deferred.
    let mut spoken = transferred.clone();
    (spoken["ContactId"], spoken["Attributes"]["agent_notes"]) = (json!("1"), json!("Sent a form"));
    let mut first_hand = transferred.clone();
    (first_hand["ContactId"], first_hand["InitiationMethod"]) = (json!("2"), json!("INBOUND"));
    stack.invoke(&stream(&[transferred, spoken, first_hand])).await;
    let sent = aws.received(Service::Sqs);
    assert_eq!((stack.api.ended().len(), sent.len(), &sent[0].1["DelaySeconds"]), (2, 1, &json!(900)));
    // Fifteen minutes later it is delivered like every message. It does no harm that the call is saved already.
    let message = json!({"Records": [{"messageId": "m", "receiptHandle": "r", "eventSource": "aws:sqs",
        "body": sent[0].1["MessageBody"], "attributes": {"ApproximateReceiveCount": "1"}}]});
    for _ in 0..2 {
        assert_eq!(stack.invoke(&message).await, json!({"batchItemFailures": []}));
    }
    assert_eq!((stack.api.ended().len(), &stack.api.ended()[2]["intent"]), (3, &json!("billing_issue")));
}

/// The records of a thousand calls.
fn a_thousand() -> Vec<Value> {
    (0..1_000).map(|number| janes(&[("/ContactId", json!(format!("call {number:03}")))])).collect()
}

#[tokio::test]
async fn a_thousand_calls_in_one_batch_are_all_saved_eight_at_a_time() {
    let mut stack = Stack::start(BOOTSTRAP, &[SAVE]).await;
    // The API answers only when eight requests wait, so with fewer at once they would time out.
    stack.api.fail_always(Some(Fault::together(8)));
    let batch = stream(&a_thousand()).to_string();
    let Outcome::Answer(answer) = stack.function.outcome(batch, Duration::from_secs(60)).await else { panic!() };
    assert_eq!(serde_json::from_slice::<Value>(&answer).unwrap(), json!({"batchItemFailures": []}));
    let ids: BTreeSet<_> = stack.api.ended().iter().map(|end| end["call_id"].as_str().unwrap().to_owned()).collect();
    assert_eq!((stack.api.received().len(), ids.len(), stack.api.most_at_once()), (1_000, 1_000, 8));
}

#[tokio::test]
async fn only_the_calls_from_the_first_failed_one_on_are_retried() {
    let mut stack = Stack::start(BOOTSTRAP, &[SAVE]).await;
    for _ in 0..100 {
        stack.api.fail_next(Fault::Delay(Duration::ZERO));
    }
    stack.api.fail_always(Some(Fault::Hang));
    let records = a_thousand();
    let batch = stream(&records);
    let answer = stack.invoke(&batch).await;
    let reported = answer["batchItemFailures"].as_array().unwrap();
    let retried: BTreeSet<_> = reported.iter().map(|item| item["itemIdentifier"].as_str().unwrap()).collect();
    let saved: BTreeSet<_> = stack.api.ended().iter().map(|end| end["call_id"].as_str().unwrap().to_owned()).collect();
    assert!(!saved.is_empty());
    // After the first failure no other call is started: the seven that were sent with it are the last.
    assert_eq!((reported.len(), stack.api.most_at_once()), (1_000 - saved.len(), 8));
    assert!((1..=8).contains(&(stack.api.received().len() - saved.len())));
    let sent = records.iter().zip(batch["Records"].as_array().unwrap());
    let not_saved = sent.filter(|(record, _)| !saved.contains(record["ContactId"].as_str().unwrap()));
    assert_eq!(retried, not_saved.map(|(_, raw)| raw["kinesis"]["sequenceNumber"].as_str().unwrap()).collect());
}

#[tokio::test]
async fn a_record_that_neither_api_nor_outbox_takes_is_reported_by_its_sequence_number() {
    let good = janes(&[("/ContactId", json!("good"))]);
    let bad = janes(&[("/ContactId", json!("bad"))]);
    let other = json!({"EventType": "HEART_BEAT"});
    let batch = stream(&[other.clone(), bad.clone(), other, bad, good]);
    let aws = Aws::down(AwsFault::Status(500)).await;
    let queue = ("STICKY_CALLS_OUTBOX_QUEUE_URL", "http://sqs.eu-central-1.amazonaws.com/1/outbox");
    for variables in [vec![SAVE], vec![SAVE, queue]] {
        let mut stack = Stack::start_in(BOOTSTRAP, &aws, &variables).await;
        stack.api.refuse_call("bad");
        let answer = stack.invoke(&batch).await;
        let mut numbers: Vec<_> =
            answer["batchItemFailures"].as_array().unwrap().iter().map(|item| &item["itemIdentifier"]).collect();
        numbers.sort_by_key(|number| number.as_str().unwrap().to_owned());
        let of = |index: usize| &batch["Records"][index]["kinesis"]["sequenceNumber"];
        assert_eq!(numbers, [of(1), of(3)], "{answer}");
        assert_eq!(stack.api.ended().len(), 1);
    }
}

#[tokio::test]
#[ignore = "needs moto's server for SQS, whose address is in STICKY_CONNECT_MOTO"]
async fn moto_records_that_the_api_does_not_take_are_enqueued_and_not_reported() {
    const CALLS: usize = 120;
    let aws = Aws::start().await;
    let (queue, _) = aws.create_queue(15).await;
    let mut stack = Stack::start_in(BOOTSTRAP, &aws, &[SAVE, ("STICKY_CALLS_OUTBOX_QUEUE_URL", &queue)]).await;
    stack.api.fail_always(Some(Fault::status(503)));
    let records: Vec<_> = (0..CALLS).map(|number| janes(&[("/ContactId", json!(format!("call {number}")))])).collect();
    assert_eq!(answer(&mut stack, &records).await, json!({"batchItemFailures": []}));
    assert_eq!(aws.count(&queue).await, (CALLS as u32, 0));
    stack.api.fail_always(None);
    while aws.poll(&queue, &mut stack.function).await.1 > 0 {}
    assert_eq!(stack.api.ended().len(), CALLS);
    assert_eq!(aws.count(&queue).await, (0, 0));
}

#[tokio::test]
#[ignore = "needs moto's server for SQS and DynamoDB, whose address is in STICKY_CONNECT_MOTO"]
async fn moto_with_api_and_queue_both_down_every_record_is_retried_until_all_are_saved_once() {
    const CALLS: usize = 40;
    let aws = Aws::start().await;
    let (queue, _) = aws.create_queue(15).await;
    let table = aws.create_table().await;
    let variables = [SAVE, ("STICKY_CALLS_OUTBOX_QUEUE_URL", queue.as_str()), ("STICKY_CALLS_TABLE", &table)];
    let mut stack = Stack::start_in(BOOTSTRAP, &aws, &variables).await;
    stack.api.fail_always(Some(Fault::Reset));
    aws.fail(Service::Sqs, Some(AwsFault::Refused("ServiceUnavailable")));
    let records: Vec<_> = (0..CALLS).map(|number| janes(&[("/ContactId", json!(format!("call {number}")))])).collect();
    let reported = answer(&mut stack, &records).await;
    assert_eq!(reported["batchItemFailures"].as_array().unwrap().len(), CALLS);
    aws.fail(Service::Sqs, None);
    assert_eq!(answer(&mut stack, &records).await, json!({"batchItemFailures": []}));
    stack.api.fail_always(None);
    assert_eq!(answer(&mut stack, &records).await, json!({"batchItemFailures": []}));
    while aws.poll(&queue, &mut stack.function).await.1 > 0 {}
    assert_eq!(stack.api.ended().len(), CALLS);
}

#[tokio::test]
#[ignore = "needs moto's server for SQS, whose address is in STICKY_CONNECT_MOTO"]
async fn moto_an_api_that_hangs_leaves_the_outbox_time_for_every_record_of_a_batch() {
    const CALLS: usize = 40;
    let aws = Aws::start().await;
    let (queue, _) = aws.create_queue(15).await;
    let mut stack = Stack::start_in(BOOTSTRAP, &aws, &[SAVE, ("STICKY_CALLS_OUTBOX_QUEUE_URL", &queue)]).await;
    stack.api.fail_always(Some(Fault::Hang));
    let records: Vec<_> = (0..CALLS).map(|number| janes(&[("/ContactId", json!(format!("call {number}")))])).collect();
    // Lambda's deadline is so near that not all records can wait for the API.
    let outcome = stack.function.outcome(stream(&records).to_string(), Duration::from_secs(4)).await;
    let Outcome::Answer(answer) = outcome else { panic!("{outcome:?}") };
    assert_eq!(serde_json::from_slice::<Value>(&answer).unwrap(), json!({"batchItemFailures": []}));
    assert_eq!(aws.count(&queue).await, (CALLS as u32, 0));
}
