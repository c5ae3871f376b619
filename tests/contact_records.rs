//! Contact records from a stream, on the running process: which are saved, as what, and what comes again.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may panic")]

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};
use stand_ins::aws::{Aws, AwsFault, Service};
use stand_ins::events::{event, record, stream, with_attribute, with_contact, with_parameter};
use stand_ins::log::lines;
use stand_ins::runtime_api::Outcome;
use stand_ins::stack::Stack;
use stand_ins::sticky_calls::Fault;

const BOOTSTRAP: &str = env!("CARGO_BIN_EXE_bootstrap");
const JANE: &str = "00000000-0000-4000-8000-000000000001";
const SAVE: (&str, &str) = ("STICKY_CALLS_ACTION", "save");
const ALL_RECORDS: (&str, &str) = ("STICKY_CALLS_RECORDS", "all");
const DEFER: (&str, &str) = ("STICKY_CALLS_DEFER_TO_RECORDS", "true");

/// The record of Jane's call, with these values in place of its own; a path like `/Attributes/intent`.
fn janes(changes: &[(&str, Value)]) -> Value {
    changes.iter().fold(record(), |mut record, (path, value)| {
        let place = path.trim_start_matches('/').split('/').fold(&mut record, |value, key| &mut value[key]);
        *place = value.clone();
        record
    })
}

/// What the API is sent for these records, all of which must have been dealt with.
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
async fn a_caller_who_hung_up_first_has_abandoned_the_call_and_leaves_no_filler() {
    let unanswered = janes(&[
        ("/Agent", Value::Null),
        ("/Attributes", json!({"customer_ref": JANE, "intent": "technical_support"})),
    ]);
    let ends = ends(&[unanswered], &[]).await;
    assert_eq!(ends[0]["intent_status"], "abandoned");
    assert_eq!(ends[0]["intent"], "technical_support");
    assert_eq!(ends[0]["variables"], json!({"call_date": "2026-02-07T10:30:00Z"}));
}

#[tokio::test]
async fn a_call_that_an_agent_had_is_resolved_unless_somebody_said_otherwise() {
    let silent = json!({"customer_ref": JANE});
    let answered = janes(&[("/Attributes", silent.clone())]);
    assert_eq!(ends(&[answered], &[]).await[0]["intent_status"], "resolved");
    let second_segment = janes(&[
        ("/Attributes", silent.clone()),
        ("/Agent", Value::Null),
        ("/PreviousContactId", json!("4a573372-1f28-4e26-b97b-000000000030")),
    ]);
    assert_eq!(ends(&[second_segment], &[]).await[0]["intent_status"], "resolved");
    let open = janes(&[("/Attributes/intent_status", json!("Open"))]);
    assert_eq!(ends(&[open], &[]).await[0]["intent_status"], "open");
}

#[tokio::test]
async fn records_that_are_no_call_to_save_are_passed_over() {
    let not_ours = [
        janes(&[("/InitiationMethod", json!("MONITOR"))]),
        janes(&[("/InitiationMethod", json!("DISCONNECT"))]),
        janes(&[("/SegmentAttributes", json!({"connect:Subtype": {"ValueString": "connect:Guide"}}))]),
        janes(&[("/Attributes/sticky_calls_saved", json!("true"))]),
        janes(&[("/Attributes/sticky_calls_opt_out", json!("true"))]),
        janes(&[("/Attributes/customer_ref", Value::Null)]),
        janes(&[("/NextContactId", json!("n")), ("/TransferredToEndpoint", json!({"Address": "queue"}))]),
        janes(&[("/NextContactId", json!("n")), ("/TransferCompletedTimestamp", json!("2026-02-07T10:35:00Z"))]),
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
async fn an_agents_notes_are_saved_where_the_call_ended_with_that_agent_though_a_disconnect_flow_followed() {
    let followed = janes(&[("/NextContactId", json!("4a573372-1f28-4e26-b97b-000000000032"))]);
    assert_eq!(ends(&[followed], &[]).await[0]["variables"]["last_issue"], "Credit note was missing");
}

#[tokio::test]
async fn all_records_are_saved_where_that_is_asked_for_and_the_caller_is_known_by_number() {
    let unidentified = janes(&[("/Attributes", json!({}))]);
    let ends_of_all = ends(&[unidentified], &[ALL_RECORDS]).await;
    assert_eq!(ends_of_all[0]["identity_hints"], json!({"ani": "+12025550101"}));
    let anonymous = janes(&[("/Attributes", json!({})), ("/CustomerEndpoint", Value::Null)]);
    assert_eq!(ends(&[anonymous], &[ALL_RECORDS]).await, [Value::Null; 0]);
}

#[tokio::test]
async fn a_transferred_call_is_saved_once_by_its_last_segment() {
    let first = janes(&[
        ("/ContactId", json!("first")),
        ("/NextContactId", json!("last")),
        ("/TransferredToEndpoint", json!({"Address": "billing"})),
    ]);
    let last = janes(&[
        ("/ContactId", json!("last")),
        ("/InitialContactId", json!("first")),
        ("/PreviousContactId", json!("first")),
        ("/InitiationMethod", json!("TRANSFER")),
        ("/Attributes/call_summary", json!("Credit note sent by the second agent")),
    ]);
    for order in [[first.clone(), last.clone()], [last, first]] {
        let ends = ends(&order, &[]).await;
        assert_eq!(ends.len(), 1);
        assert_eq!(ends[0]["call_id"], "first");
        assert_eq!(ends[0]["variables"]["last_issue"], "Credit note sent by the second agent");
    }
}

#[tokio::test]
async fn of_repeated_and_reordered_records_of_a_call_the_fullest_is_saved_once() {
    let early = janes(&[
        ("/Attributes", json!({"customer_ref": JANE})),
        ("/LastUpdateTimestamp", json!("2026-02-07T10:36:00Z")),
    ]);
    let written = record();
    let corrected = janes(&[
        ("/Attributes/call_summary", json!("Corrected by the agent")),
        ("/LastUpdateTimestamp", json!("2026-02-07T10:50:00Z")),
    ]);
    let emptied = janes(&[
        ("/Attributes", json!({"customer_ref": JANE})),
        ("/LastUpdateTimestamp", json!("2026-02-07T11:00:00Z")),
    ]);
    let orders = [
        [&early, &written, &corrected, &emptied],
        [&emptied, &corrected, &written, &early],
        [&corrected, &early, &emptied, &written],
    ];
    for order in orders {
        let mut stack = Stack::start(BOOTSTRAP, &[SAVE]).await;
        let batch = stream(&order.map(Clone::clone));
        // At least once means that all of it comes again too.
        for _ in 0..2 {
            assert_eq!(stack.invoke(&batch).await, json!({"batchItemFailures": []}));
        }
        assert_eq!(stack.api.ended().len(), 1);
        assert_eq!(stack.api.ended()[0]["variables"]["last_issue"], "Corrected by the agent");
    }
}

#[tokio::test]
async fn a_record_made_before_a_flow_marked_the_contact_is_not_saved_beside_the_one_made_after() {
    let before = janes(&[("/Attributes", json!({"customer_ref": JANE}))]);
    let after = janes(&[("/Attributes/sticky_calls_saved", json!("true"))]);
    let other = janes(&[("/ContactId", json!("another call"))]);
    for order in [[before.clone(), after.clone(), other.clone()], [after, other, before]] {
        let ends = ends(&order, &[]).await;
        assert_eq!(ends.iter().map(|end| end["call_id"].as_str().unwrap()).collect::<Vec<_>>(), ["another call"]);
    }
}

#[tokio::test]
async fn a_batch_of_hundreds_with_anything_between_is_saved_call_by_call() {
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

/// The records of a thousand calls.
fn a_thousand() -> Vec<Value> {
    (0..1_000).map(|number| janes(&[("/ContactId", json!(format!("call {number:03}")))])).collect()
}

#[tokio::test]
async fn a_thousand_calls_in_one_batch_are_all_saved_with_eight_requests_at_once() {
    let mut stack = Stack::start(BOOTSTRAP, &[SAVE]).await;
    // None is answered before there are eight, so with fewer at once they would wait until their time is up.
    stack.api.fail_always(Some(Fault::together(8)));
    let batch = stream(&a_thousand()).to_string();
    let Outcome::Answer(answer) = stack.function.outcome(batch, Duration::from_secs(60)).await else { panic!() };
    assert_eq!(serde_json::from_slice::<Value>(&answer).unwrap(), json!({"batchItemFailures": []}));
    let ids: BTreeSet<_> = stack.api.ended().iter().map(|end| end["call_id"].as_str().unwrap().to_owned()).collect();
    assert_eq!((stack.api.received().len(), ids.len(), stack.api.most_at_once()), (1_000, 1_000, 8));
}

#[tokio::test]
async fn of_a_thousand_calls_those_for_which_lambda_leaves_no_time_come_again_and_no_others() {
    let mut stack = Stack::start(BOOTSTRAP, &[SAVE]).await;
    for _ in 0..100 {
        stack.api.fail_next(Fault::Delay(Duration::ZERO));
    }
    stack.api.fail_always(Some(Fault::Hang));
    let records = a_thousand();
    let batch = stream(&records);
    let answer = stack.invoke(&batch).await;
    let reported = answer["batchItemFailures"].as_array().unwrap();
    let come_again: BTreeSet<_> = reported.iter().map(|item| item["itemIdentifier"].as_str().unwrap()).collect();
    let saved: BTreeSet<_> = stack.api.ended().iter().map(|end| end["call_id"].as_str().unwrap().to_owned()).collect();
    assert!(!saved.is_empty());
    // Those eight that hung are the last that were sent.
    assert_eq!((reported.len(), stack.api.most_at_once()), (1_000 - saved.len(), 8));
    assert_eq!(stack.api.received().len(), saved.len() + 8);
    let sent = records.iter().zip(batch["Records"].as_array().unwrap());
    let not_saved = sent.filter(|(record, _)| !saved.contains(record["ContactId"].as_str().unwrap()));
    assert_eq!(come_again, not_saved.map(|(_, raw)| raw["kinesis"]["sequenceNumber"].as_str().unwrap()).collect());
}

#[tokio::test]
async fn a_record_that_nobody_takes_comes_again_by_its_sequence_number() {
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
async fn a_save_without_text_is_left_to_the_record_and_one_with_text_is_not() {
    let mut stack = Stack::start(BOOTSTRAP, &[SAVE, DEFER]).await;
    let silent = with_attribute(event("disconnect_flow"), "customer_ref", JANE);
    let silent = with_attribute(with_attribute(silent, "call_summary", ""), "agent_notes", " ");
    let id = "4a573372-1f28-4e26-b97b-000000000004";
    let deferred = json!({"success": "true", "save_status": "deferred", "error": "", "call_id": id});
    assert_eq!(stack.invoke(&silent).await, deferred);
    assert_eq!(stack.api.received().len(), 0);

    let anonymous = with_contact(with_attribute(silent.clone(), "customer_ref", ""), "/CustomerEndpoint", Value::Null);
    let anonymous = with_attribute(with_attribute(anonymous, "customer_id", ""), "email", "");
    assert_eq!(stack.invoke(&anonymous).await["save_status"], "skipped");
    assert_eq!(
        stack.invoke(&with_attribute(silent.clone(), "sticky_calls_opt_out", "true")).await["error"],
        "opted_out"
    );
    assert_eq!(stack.invoke(&with_parameter(silent, "agent_notes", "Will call back")).await["save_status"], "saved");
}

#[tokio::test]
async fn a_deferral_whose_record_will_not_be_saved_is_logged_louder() {
    let by_parameter = with_parameter(with_attribute(event("new_caller"), "customer_ref", ""), "customer_ref", JANE);
    let in_vain = json!("deferred_in_vain");
    for (variables, level, fault) in
        [(vec![SAVE, DEFER], "WARN", Some(&in_vain)), (vec![SAVE, DEFER, ALL_RECORDS], "INFO", None)]
    {
        let mut stack = Stack::start(BOOTSTRAP, &variables).await;
        assert_eq!(stack.invoke(&by_parameter).await["save_status"], "deferred");
        let log = stack.function.stop().await;
        let line = lines(&log, "answered").remove(0);
        assert_eq!((&line["level"], line.get("fault")), (&json!(level), fault));
    }
}

/// The agent leaves first: the disconnect flow runs before notes exist, then the agent wraps up, then the record comes.
/// Whatever fails on the way, what the agent wrote reaches the API.
#[tokio::test]
async fn what_the_agent_writes_after_the_disconnect_flow_reaches_the_api() {
    let call_id = "4a573372-1f28-4e26-b97b-000000000031";
    let disconnect =
        with_contact(with_attribute(event("disconnect_flow"), "customer_ref", JANE), "/InitialContactId", call_id);
    let disconnect = with_attribute(with_attribute(disconnect, "call_summary", ""), "agent_notes", "");
    let guide = with_contact(event("web_chat"), "/ContactId", "4a573372-1f28-4e26-b97b-000000000033");
    let notes =
        [("action", "save"), ("call_id", call_id), ("customer_ref", JANE), ("agent_notes", "Wrote a credit note")];
    let wrap_up = notes.iter().fold(guide, |event, (name, value)| with_parameter(event, name, *value));
    let with_notes = |saved: &str| {
        janes(&[(
            "/Attributes",
            json!({"customer_ref": JANE, "agent_notes": "Wrote a credit note", "sticky_calls_saved": saved}),
        )])
    };

    for wrap_up_works in [true, false] {
        let mut stack = Stack::start(BOOTSTRAP, &[SAVE, DEFER]).await;
        assert_eq!(stack.invoke(&disconnect).await["save_status"], "deferred");
        stack.api.fail_always((!wrap_up_works).then(|| Fault::status(500)));
        let wrapped_up = stack.invoke(&wrap_up).await;
        assert_eq!(wrapped_up["save_status"], if wrap_up_works { "saved" } else { "failed" });
        stack.api.fail_always(None);
        // The flow marks the contact only after `saved` or `queued`.
        let saved = if wrap_up_works { "true" } else { "" };
        stack.invoke(&stream(&[with_notes(saved)])).await;
        let ends = stack.api.ended();
        assert_eq!(ends.len(), 1);
        assert_eq!(
            (&ends[0]["call_id"], &ends[0]["variables"]["resolution"]),
            (&json!(call_id), &json!("Wrote a credit note"))
        );
    }
}

/// What was deferred was promised to the record, even where nobody writes anything after all.
#[tokio::test]
async fn a_deferred_call_in_which_nobody_wrote_anything_is_saved_by_its_record() {
    let silent = json!({"customer_ref": JANE, "intent": "billing_issue", "intent_status": "open"});
    let answered = janes(&[("/Attributes", silent), ("/NextContactId", json!("the disconnect flow's"))]);
    let saved = ends(std::slice::from_ref(&answered), &[DEFER]).await;
    assert_eq!((&saved[0]["intent"], &saved[0]["intent_status"]), (&json!("billing_issue"), &json!("open")));

    let goes_on = [("/Agent", Value::Null), ("/TransferredToEndpoint", json!({"Address": "another queue"}))];
    for (path, value) in goes_on {
        let mut elsewhere = answered.clone();
        elsewhere[path.trim_start_matches('/')] = value;
        assert_eq!(ends(&[elsewhere], &[DEFER]).await, [Value::Null; 0], "{path}");
    }
    assert_eq!(ends(&[answered], &[]).await, [Value::Null; 0], "nothing was deferred");
}

/// Jane's record, in which nobody has written anything yet.
fn silent(wrap_up: &str) -> Value {
    let attributes = json!({"customer_ref": JANE, "intent": "billing_issue", "intent_status": "open"});
    janes(&[("/Attributes", attributes), ("/Attributes/sticky_calls_wrap_up", json!(wrap_up))])
}

#[tokio::test]
async fn a_record_that_comes_while_the_agent_writes_is_saved_at_once_where_there_is_nowhere_to_keep_it() {
    assert_eq!(ends(&[silent("open")], &[]).await[0]["intent"], "billing_issue");
    for fault in [AwsFault::Hang, AwsFault::Reset, AwsFault::Status(500), AwsFault::Refused("AccessDeniedException")] {
        let aws = Aws::down(fault).await;
        let queue = ("STICKY_CALLS_OUTBOX_QUEUE_URL", "http://sqs/queue");
        let mut stack = Stack::start_in(BOOTSTRAP, &aws, &[SAVE, queue]).await;
        assert_eq!(stack.invoke(&stream(&[silent("open")])).await, json!({"batchItemFailures": []}));
        assert_eq!(stack.api.ended().len(), 1);
    }
}

#[tokio::test]
#[ignore = "needs moto's server for SQS, whose address is in STICKY_CONNECT_MOTO"]
async fn moto_a_record_that_comes_while_the_agent_writes_leaves_the_end_of_the_call_to_the_agent() {
    let aws = Aws::start().await;
    let (queue, _) = aws.create_queue(15).await;
    let mut stack = Stack::start_in(BOOTSTRAP, &aws, &[SAVE, ("STICKY_CALLS_OUTBOX_QUEUE_URL", &queue)]).await;
    let sent = |aws: &Aws| -> Vec<Value> {
        let received = aws.received(Service::Sqs).into_iter();
        received.filter(|(operation, _)| operation == "SendMessage").map(|(_, parameters)| parameters).collect()
    };
    // With text, or where nobody is writing, it is not kept back.
    let wrapped_up = janes(&[("/ContactId", json!("1")), ("/Attributes/sticky_calls_wrap_up", json!("open"))]);
    let mut skipped = silent("done");
    skipped["ContactId"] = json!("2");
    assert_eq!(stack.invoke(&stream(&[wrapped_up, skipped])).await, json!({"batchItemFailures": []}));
    assert_eq!((stack.api.ended().len(), sent(&aws).len()), (2, 0));

    assert_eq!(stack.invoke(&stream(&[silent("open")])).await, json!({"batchItemFailures": []}));
    let kept = sent(&aws).remove(0);
    assert_eq!((stack.api.ended().len(), &kept["DelaySeconds"]), (2, &json!(900)));
    assert_eq!(kept["MessageBody"].as_str().unwrap().parse::<Value>().unwrap()["reason"], "deferred");
    // A quarter of an hour later it is delivered like every message, and is no harm where the agent came first.
    let message = json!({"Records": [{"messageId": "m", "receiptHandle": "r", "eventSource": "aws:sqs",
        "body": kept["MessageBody"], "attributes": {"ApproximateReceiveCount": "1"}}]});
    for _ in 0..2 {
        assert_eq!(stack.invoke(&message).await, json!({"batchItemFailures": []}));
    }
    assert_eq!((stack.api.ended().len(), &stack.api.ended()[2]["intent"]), (3, &json!("billing_issue")));
    let log = stack.function.stop().await;
    assert!(log.contains(r#""outcome":"deferred""#), "{log}");
}

#[tokio::test]
#[ignore = "needs moto's server for SQS, whose address is in STICKY_CONNECT_MOTO"]
async fn moto_records_that_the_api_does_not_take_wait_in_the_outbox_and_none_is_reported() {
    const CALLS: usize = 120;
    let aws = Aws::start().await;
    let (queue, _) = aws.create_queue(15).await;
    let mut stack = Stack::start_in(BOOTSTRAP, &aws, &[SAVE, ("STICKY_CALLS_OUTBOX_QUEUE_URL", &queue)]).await;
    stack.api.fail_always(Some(Fault::status(503)));
    let records: Vec<_> = (0..CALLS).map(|number| janes(&[("/ContactId", json!(format!("call {number}")))])).collect();
    assert_eq!(stack.invoke(&stream(&records)).await, json!({"batchItemFailures": []}));
    assert_eq!(aws.count(&queue).await, (CALLS as u32, 0));
    stack.api.fail_always(None);
    while aws.poll(&queue, &mut stack.function).await.1 > 0 {}
    assert_eq!(stack.api.ended().len(), CALLS);
    assert_eq!(aws.count(&queue).await, (0, 0));
}

#[tokio::test]
#[ignore = "needs moto's server for SQS, whose address is in STICKY_CONNECT_MOTO"]
async fn moto_with_api_and_queue_both_down_every_record_comes_again_until_all_are_saved_once() {
    const CALLS: usize = 40;
    let aws = Aws::start().await;
    let (queue, _) = aws.create_queue(15).await;
    let mut stack = Stack::start_in(BOOTSTRAP, &aws, &[SAVE, ("STICKY_CALLS_OUTBOX_QUEUE_URL", &queue)]).await;
    stack.api.fail_always(Some(Fault::Reset));
    aws.fail(Service::Sqs, Some(AwsFault::Refused("ServiceUnavailable")));
    let records: Vec<_> = (0..CALLS).map(|number| janes(&[("/ContactId", json!(format!("call {number}")))])).collect();
    let answer = stack.invoke(&stream(&records)).await;
    assert_eq!(answer["batchItemFailures"].as_array().unwrap().len(), CALLS);
    aws.fail(Service::Sqs, None);
    assert_eq!(stack.invoke(&stream(&records)).await, json!({"batchItemFailures": []}));
    stack.api.fail_always(None);
    assert_eq!(stack.invoke(&stream(&records)).await, json!({"batchItemFailures": []}));
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
    // A function that Lambda would end so soon that not all of the records can wait for the API.
    let outcome = stack.function.outcome(stream(&records).to_string(), Duration::from_secs(4)).await;
    let Outcome::Answer(answer) = outcome else { panic!("{outcome:?}") };
    assert_eq!(serde_json::from_slice::<Value>(&answer).unwrap(), json!({"batchItemFailures": []}));
    assert_eq!(aws.count(&queue).await, (CALLS as u32, 0));
}
