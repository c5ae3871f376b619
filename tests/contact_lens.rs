//! Contact Lens' summaries, on the running process: they are the words of calls about which nobody typed anything.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may panic")]

use std::time::Duration;

use serde_json::{Value, json};
use stand_ins::aws::{Aws, AwsFault, Service};
use stand_ins::events::{
    call, contact_lens, guide, queue, record_of, stream, summary_of, summary_of_chat, with, with_contact,
    with_parameters,
};
use stand_ins::function::Function;
use stand_ins::log::{lines, metrics};
use stand_ins::runtime_api::Outcome;
use stand_ins::stack::Stack;
use stand_ins::sticky_calls::{Fault, KEY};

const BOOTSTRAP: &str = env!("CARGO_BIN_EXE_bootstrap");
const QUEUE: (&str, &str) = ("STICKY_CALLS_OUTBOX_QUEUE_URL", "http://sqs.eu-central-1.amazonaws.com/1/outbox");
const TABLE: (&str, &str) = ("STICKY_CALLS_TABLE", "table");
const ON: (&str, &str) = ("STICKY_CALLS_CONTACT_LENS", "on");
const NUMBER: &str = "+13035550123";
const CALL: &str = "00000000-0000-4000-9000-000000000001";
const TEXT: &str = "The customer asked for a refund.";
const DAY: Duration = Duration::from_secs(24 * 3_600);

/// A function with a table and an outbox that saves Contact Lens' summaries.
struct World {
    aws: Aws,
    stack: Stack,
    messages_seen: usize,
}

impl World {
    async fn new() -> Self {
        Self::with(&[QUEUE, TABLE, ON]).await
    }

    async fn with(variables: &[(&str, &str)]) -> Self {
        let aws = Aws::in_memory().await;
        let stack = Stack::start_in(BOOTSTRAP, &aws, variables).await;
        Self { aws, stack, messages_seen: 0 }
    }

    /// A batch of the stream comes. Nothing of it may be retried.
    async fn comes(&mut self, records: &[Value]) {
        assert_eq!(self.stack.invoke(&stream(records)).await, json!({"batchItemFailures": []}));
    }

    /// Lambda delivers the messages that were sent since the last time. Returns what came of each: how many are retried.
    async fn deliver(&mut self) -> usize {
        let sent = self.aws.messages().split_off(self.messages_seen);
        self.messages_seen += sent.len();
        let bodies: Vec<_> = sent.iter().map(|message| message["MessageBody"].as_str().unwrap().to_owned()).collect();
        if bodies.is_empty() {
            return 0;
        }
        let answer = self.stack.invoke(&queue(&bodies)).await;
        answer["batchItemFailures"].as_array().unwrap().len()
    }

    /// DynamoDB refuses everything, or nothing any more.
    fn table_is_down(&self, is_down: bool) {
        self.aws.fail(Service::DynamoDb, is_down.then_some(AwsFault::Status(500)));
    }

    /// The API refuses everything, or nothing any more.
    fn api_is_down(&self, is_down: bool) {
        self.stack.api.fail_always(is_down.then(|| Fault::status(503)));
    }

    /// The last issue and its source, as the API has them in the end.
    fn last_issue(&self) -> (String, String) {
        self.last_issues().into_iter().rfind(|(text, _)| !text.is_empty()).unwrap_or_default()
    }

    /// The last issue and its source in each end that the API has taken.
    fn last_issues(&self) -> Vec<(String, String)> {
        let text = |end: &Value, name: &str| end["variables"][name].as_str().unwrap_or_default().to_owned();
        let ends = self.stack.api.ended();
        ends.iter().map(|end| (text(end, "last_issue"), text(end, "last_issue_source"))).collect()
    }

    fn assert_last_issues(&self, expected: &[(&str, &str)]) {
        let expected: Vec<_> =
            expected.iter().map(|(text, source)| ((*text).to_owned(), (*source).to_owned())).collect();
        assert_eq!(self.last_issues(), expected);
    }

    /// Everything in the table, as one text.
    async fn table(&self) -> String {
        Value::from(self.aws.items("table").await).to_string()
    }
}

const BY_CONTACT_LENS: (&str, &str) = (TEXT, "contact_lens");
const TYPED: (&str, &str) = ("Typed by an agent", "call_summary");
const SECOND: &str = "00000000-0000-4000-9000-000000000002";
const SILENT: (&str, &str) = ("", "");

/// The record of a call about which nobody typed anything.
fn silent() -> Value {
    record_of(CALL, NUMBER, json!({"customer_ref": "ref", "intent": "billing_issue", "intent_status": "open"}))
}

/// The record of the same call in which an agent has typed something.
fn typed() -> Value {
    with(silent(), "Attributes/call_summary", "Typed by an agent")
}

/// The record of the call's first segment, and of the second one, to which it was transferred.
fn first_segment() -> Value {
    with(silent(), "NextContactId", SECOND)
}

fn second_segment() -> Value {
    let second = with(with(silent(), "ContactId", SECOND), "InitialContactId", CALL);
    with(second, "InitiationMethod", "QUEUE_TRANSFER")
}

/// The record of the call, whose data was deleted by request.
fn deleted() -> Value {
    with(silent(), "SegmentAttributes", json!({"connect:RedactedFields": {"ValueString": "ALL"}}))
}

fn owned((text, source): (&str, &str)) -> (String, String) {
    (text.to_owned(), source.to_owned())
}

fn summary() -> Value {
    summary_of(CALL, TEXT)
}

/// The record with this mark: these 16 digits after the call's id.
fn marked(record: Value, call_id: &str, words: &str) -> Value {
    with(record, "Attributes/sticky_calls_saved", format!("{call_id}.{words}"))
}

/// The agent's guide saves for the call, with these parameters.
fn wrap_up(parameters: &[(&str, &str)]) -> Value {
    let guide = with_contact(guide("guide", CALL), "Attributes", json!({"customer_ref": "ref"}));
    let of_the_call = [("action", "save"), ("call_id", CALL), ("call_start", "2026-02-07T10:30:00Z")];
    with_parameters(guide, &[&of_the_call, parameters].concat())
}

#[tokio::test]
async fn the_summary_is_the_words_of_a_call_about_which_nobody_typed_anything() {
    let mut world = World::new().await;
    let paid = summary_of(CALL, "Paid 40 with card 4111 1111 1111 1111.");
    world.comes(&[paid]).await;
    assert_eq!(world.stack.api.received().len(), 0, "the customer is not known yet");
    world.comes(&[silent()]).await;
    let end = json!({
        "call_id": CALL,
        "customer_ref": "ref",
        "intent": "billing_issue",
        "intent_status": "open",
        "variables": {
            "last_issue": "Paid 40 with card [card number].",
            "last_issue_source": "contact_lens",
            "call_date": "2026-02-07T10:30:00Z",
        },
    });
    assert_eq!(world.stack.api.ended(), [end]);
    assert!(!world.table().await.contains("4111"));
    // The stream delivers the same record and the same summary a second time.
    world.comes(&[silent(), summary()]).await;
    world.comes(&[summary()]).await;
    assert_eq!(world.stack.api.received().len(), 1);
}

#[tokio::test]
async fn a_summary_that_comes_after_the_record_is_sent_as_a_standalone_end_even_days_later() {
    for days in [0, 6] {
        let mut world = World::new().await;
        world.comes(&[silent()]).await;
        world.aws.age(days * DAY);
        world.comes(&[summary()]).await;
        world.assert_last_issues(&[SILENT, BY_CONTACT_LENS]);
        let ends = world.stack.api.ended();
        let call_id = ends[1]["call_id"].as_str().unwrap();
        assert!(call_id.starts_with(&format!("{CALL}.")), "{call_id}");
        assert_eq!((&ends[1]["intent"], &ends[1]["intent_status"]), (&json!("billing_issue"), &json!("open")));
    }
}

#[tokio::test]
async fn a_half_that_has_waited_for_seven_days_is_not_used() {
    for (first, second) in [(summary(), silent()), (silent(), summary())] {
        let mut world = World::new().await;
        world.comes(&[first]).await;
        world.aws.age(7 * DAY);
        world.comes(&[second]).await;
        world.assert_last_issues(&[SILENT]);
    }
}

#[tokio::test]
async fn record_and_summary_in_one_batch_are_one_end() {
    for batch in [[silent(), summary()], [summary(), silent()]] {
        let mut world = World::new().await;
        world.comes(&batch).await;
        world.assert_last_issues(&[BY_CONTACT_LENS]);
        assert_eq!(world.stack.api.received().len(), 1);
    }
}

#[tokio::test]
async fn a_caller_who_calls_again_is_known_by_contact_lens_summary() {
    let mut world = World::new().await;
    world.comes(&[with(silent(), "Attributes/customer_ref", ""), summary()]).await;
    assert!(world.last_issues().is_empty(), "nobody was looked up");
    let looked_up = with(with(silent(), "Attributes/customer_ref", ""), "Attributes/lookup_status", "unavailable");
    world.comes(&[with(looked_up, "ContactId", SECOND), summary_of(SECOND, TEXT)]).await;
    let block =
        with_parameters(call("00000000-0000-4000-9000-000000000003", NUMBER), &[("returning_threshold", "0.4")]);
    let answer = world.stack.invoke(&block).await;
    assert_eq!((&answer["last_issue"], &answer["last_issue_source"]), (&json!(TEXT), &json!("contact_lens")));
    let context = answer["customer_context"].as_str().unwrap();
    assert!(context.contains(&format!("Last issue, by Contact Lens (2026-02-07): {TEXT}")), "{context}");
}

#[tokio::test]
async fn what_an_agent_typed_is_never_replaced_whatever_comes_first() {
    for batches in [
        vec![vec![summary()], vec![typed()]],
        vec![vec![typed()], vec![summary()]],
        vec![vec![typed(), summary()]],
        vec![vec![summary(), typed()]],
        vec![vec![silent(), summary(), typed()]],
        vec![vec![silent(), typed()], vec![summary()]],
    ] {
        let mut world = World::new().await;
        for batch in &batches {
            world.comes(batch).await;
        }
        world.assert_last_issues(&[TYPED]);
    }
    // The agent corrects an empty wrap-up after the summary has been sent.
    let mut world = World::new().await;
    for batch in [[silent(), summary()], [typed(), summary()]] {
        world.comes(&batch).await;
    }
    world.assert_last_issues(&[BY_CONTACT_LENS, TYPED]);
}

#[tokio::test]
async fn words_that_are_known_from_the_table_alone_keep_the_summary_out() {
    let save = wrap_up(&[("agent_notes", "Typed by an agent")]);
    // The flow stores neither the notes nor the mark.
    for is_up in [true, false] {
        let mut world = World::new().await;
        world.api_is_down(!is_up);
        let status = if is_up { "saved" } else { "queued" };
        assert_eq!(world.stack.invoke(&save).await["save_status"], status);
        world.comes(&[summary()]).await;
        world.comes(&[silent()]).await;
        world.api_is_down(false);
        assert_eq!(world.deliver().await, 0);
        let notes: Vec<_> = world.last_issues().into_iter().filter(|(text, _)| !text.is_empty()).collect();
        assert_eq!(notes, [("Typed by an agent".to_owned(), "agent_notes".to_owned())], "{status}");
    }
}

#[tokio::test]
async fn words_that_are_known_by_the_mark_alone_keep_the_summary_out() {
    let mut world = World::new().await;
    world.comes(&[summary()]).await;
    world.comes(&[marked(silent(), CALL, "0123456789abcdef")]).await;
    world.assert_last_issues(&[SILENT]);
    // What was waiting is deleted.
    assert!(!world.table().await.contains(TEXT));
}

#[tokio::test]
async fn a_status_alone_does_not_keep_the_summary_out_and_is_not_overruled_by_it() {
    for status in [json!("open"), json!("Open"), json!("resolved"), Value::Null] {
        let mut world = World::new().await;
        let answer = world.stack.invoke(&wrap_up(&[("intent", "billing_issue"), ("intent_status", "open")])).await;
        let (call_id, words) = answer["saved_words"].as_str().unwrap().rsplit_once('.').unwrap();
        // The flow has not stored the status, or another one has changed it.
        let record = with(silent(), "Attributes/intent_status", status);
        world.comes(&[marked(record, call_id, words), summary()]).await;
        world.assert_last_issues(&[SILENT, BY_CONTACT_LENS]);
        let ends = world.stack.api.ended();
        assert_eq!((&ends[1]["intent"], &ends[1]["intent_status"]), (&json!("billing_issue"), &json!("open")));
    }
    // The form spells it as a person reads it, and chooses no intent. The flow stores nothing of it.
    for spelt in ["Open", "OPEN", "open"] {
        let mut world = World::new().await;
        let answer = world.stack.invoke(&wrap_up(&[("intent_status", spelt)])).await;
        let (call_id, words) = answer["saved_words"].as_str().unwrap().rsplit_once('.').unwrap();
        let record = with(silent(), "Attributes/intent_status", Value::Null);
        world.comes(&[marked(record, call_id, words), summary()]).await;
        assert_eq!(world.last_issue(), owned(BY_CONTACT_LENS), "{spelt}");
        let ends = world.stack.api.ended();
        assert_eq!((&ends[1]["intent"], &ends[1]["intent_status"]), (&json!("billing_issue"), &json!("open")));
    }
}

#[tokio::test]
async fn a_status_that_was_chosen_while_the_table_was_down_is_not_overruled() {
    let mut world = World::new().await;
    world.table_is_down(true);
    let answer = world.stack.invoke(&wrap_up(&[("intent", "billing_issue"), ("intent_status", "open")])).await;
    let (call_id, words) = answer["saved_words"].as_str().unwrap().rsplit_once('.').unwrap();
    world.table_is_down(false);
    assert_eq!(world.deliver().await, 0);
    let record = with(silent(), "Attributes/intent_status", Value::Null);
    world.comes(&[marked(record, call_id, words), summary()]).await;
    let ends = world.stack.api.ended();
    assert_eq!((&ends[1]["variables"]["last_issue"], &ends[1]["intent_status"]), (&json!(TEXT), &json!("open")));
}

#[tokio::test]
async fn words_that_were_typed_while_the_api_was_asked_are_the_last_issue() {
    let mut world = World::new().await;
    let of_aws = world.aws.variables();
    let url = world.stack.api.url();
    let mut variables: Vec<_> = of_aws.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    variables.extend([("STICKY_CALLS_API_URL", url.as_str()), ("STICKY_CALLS_API_KEY", KEY), QUEUE, TABLE, ON]);
    let mut flow = Function::start(BOOTSTRAP, &variables).await;
    // The summary's end is sent again after a second. Until then the agent has saved.
    world.stack.api.fail_next(Fault::status_and_retry_after(429, "1"));
    let batch = stream(&[silent(), summary()]);
    let Stack { api, function } = &mut world.stack;
    let agent = async {
        while api.received().is_empty() {
            tokio::task::yield_now().await;
        }
        flow.invoke(&wrap_up(&[("call_summary", "Typed by an agent")])).await
    };
    let (_, answer) = tokio::join!(function.invoke(&batch), agent);
    assert_eq!(answer["save_status"], "saved");
    world.assert_last_issues(&[TYPED]);
}

#[tokio::test]
async fn a_late_summary_does_not_open_again_what_a_newer_call_has_settled() {
    let mut world = World::new().await;
    let open = [("intent", "billing_issue"), ("intent_status", "open")];
    assert_eq!(world.stack.invoke(&wrap_up(&open)).await["save_status"], "saved");
    let settled = with(with(typed(), "ContactId", SECOND), "InitiationTimestamp", "2026-02-08T10:30:00Z");
    world.comes(&[with(settled, "Attributes/intent_status", "resolved")]).await;
    world.comes(&[silent(), summary()]).await;
    let ends = world.stack.api.ended();
    let late = ends.last().unwrap();
    assert_eq!((&late["variables"]["earlier_issue"], &late["intent_status"]), (&json!(TEXT), &json!("resolved")));
}

#[tokio::test]
async fn the_last_segments_open_intent_is_kept_although_an_earlier_segment_was_summarised() {
    let early = with(first_segment(), "Attributes", json!({"customer_ref": "ref"}));
    for batches in [
        vec![vec![early.clone()], vec![summary()], vec![second_segment()]],
        vec![vec![summary()], vec![early, second_segment()]],
    ] {
        let mut world = World::new().await;
        for batch in &batches {
            world.comes(batch).await;
        }
        let ends = world.stack.api.ended();
        let end = ends.iter().find(|end| end["call_id"] == CALL).unwrap();
        assert_eq!((&end["intent"], &end["intent_status"]), (&json!("billing_issue"), &json!("open")));
    }
}

#[tokio::test]
async fn words_that_were_copied_from_another_call_do_not_keep_the_summary_out() {
    let mut world = World::new().await;
    let answer = world.stack.invoke(&wrap_up(&[("call_summary", "Typed by an agent")])).await;
    let (first, words) = answer["saved_words"].as_str().unwrap().rsplit_once('.').unwrap();
    // A chat is taken up again: Connect copies the attributes of the first one.
    let resumed = with(with(silent(), "ContactId", SECOND), "Attributes/intent_status", Value::Null);
    let resumed = marked(with(resumed, "Attributes/call_summary", "Typed by an agent"), first, words);
    world.comes(&[resumed, summary_of(SECOND, TEXT)]).await;
    world.assert_last_issues(&[("Typed by an agent", "call_summary"), BY_CONTACT_LENS]);
}

#[tokio::test]
async fn the_summary_of_any_segment_is_sent_with_the_calls_id() {
    let mut world = World::new().await;
    world.comes(&[first_segment()]).await;
    assert!(world.last_issues().is_empty(), "the call goes on");
    world.comes(&[summary()]).await;
    world.comes(&[second_segment()]).await;
    world.comes(&[summary_of(SECOND, "It was sent.")]).await;
    // The first segment's summary is a standalone end: the call went on, and its record may bring an open intent.
    world.assert_last_issues(&[BY_CONTACT_LENS, SILENT, ("It was sent.", "contact_lens")]);
    assert!(world.stack.api.ended().iter().all(|end| end["call_id"].as_str().unwrap().starts_with(CALL)));
}

#[tokio::test]
async fn a_contact_that_we_placed_is_saved_if_contact_lens_summarised_it() {
    let mut world = World::new().await;
    let placed = with(silent(), "InitiationMethod", "OUTBOUND");
    world.comes(&[placed]).await;
    assert!(world.last_issues().is_empty());
    world.comes(&[summary()]).await;
    world.assert_last_issues(&[BY_CONTACT_LENS]);
}

#[tokio::test]
async fn a_redacted_summary_replaces_a_raw_one_that_was_not_sent_yet() {
    let [raw, redacted] = [("Jane asked.", "Raw"), ("[NAME] asked.", "Redacted")]
        .map(|(text, output_type)| summary_of_chat(CALL, text, output_type));
    let expected = [("[NAME] asked.", "contact_lens")];
    for batches in [
        vec![vec![raw.clone(), redacted.clone(), silent()]],
        vec![vec![redacted.clone(), raw.clone(), silent()]],
        vec![vec![raw.clone()], vec![redacted.clone()], vec![silent()]],
        vec![vec![redacted.clone()], vec![raw.clone()], vec![silent()]],
        vec![vec![redacted.clone()], vec![raw.clone(), silent()]],
    ] {
        let mut world = World::new().await;
        for batch in &batches {
            world.comes(batch).await;
        }
        world.assert_last_issues(&expected);
        assert!(!world.table().await.contains("Jane asked"));
    }
    // The raw one waits in the outbox.
    let mut world = World::new().await;
    world.api_is_down(true);
    world.comes(&[silent(), raw.clone()]).await;
    world.comes(std::slice::from_ref(&redacted)).await;
    world.api_is_down(false);
    assert_eq!(world.deliver().await, 0);
    world.assert_last_issues(&expected);
    // The raw one was sent: a contact has one summary.
    let mut world = World::new().await;
    for batch in [vec![silent(), raw], vec![redacted]] {
        world.comes(&batch).await;
    }
    world.assert_last_issues(&[("Jane asked.", "contact_lens")]);
}

#[tokio::test]
async fn what_contact_lens_says_of_a_contact_that_is_never_saved_is_deleted_and_not_sent() {
    let segment = |name: &str, value: &str| with(silent(), "SegmentAttributes", json!({name: {"ValueString": value}}));
    let records = [
        with(silent(), "Attributes/sticky_calls_opt_out", "yes"),
        with(silent(), "InitiationMethod", "MONITOR"),
        with(silent(), "InitiationMethod", "EXTERNAL_OUTBOUND"),
        with(silent(), "InitiationMethod", "DISCONNECT"),
        segment("connect:Subtype", "connect:Guide"),
        segment("connect:ValidationTestType", "EXPERIENCE_VALIDATION"),
        segment("connect:RedactedFields", "ALL"),
        with(silent(), "Attributes", json!({})),
    ];
    for record in &records {
        for batches in [[vec![summary()], vec![record.clone()]], [vec![record.clone()], vec![summary()]]] {
            let mut world = World::new().await;
            for batch in &batches {
                world.comes(batch).await;
            }
            assert!(!world.table().await.contains(TEXT), "{record}");
            // An older version of the record comes late.
            world.comes(&[with(silent(), "NextContactId", "next"), summary()]).await;
            assert!(!world.table().await.contains(TEXT), "{record}");
            assert_eq!(world.stack.api.received().len(), 0, "{record}");
        }
    }
}

#[tokio::test]
async fn an_opt_out_in_any_segment_deletes_what_contact_lens_says_of_the_call() {
    let mut world = World::new().await;
    let opted_out = with(second_segment(), "Attributes/sticky_calls_opt_out", "yes");
    world.comes(&[summary()]).await;
    world.comes(&[silent(), opted_out]).await;
    world.comes(&[summary(), summary_of(SECOND, TEXT)]).await;
    assert!(!world.table().await.contains(TEXT));
    // The table has the first half, and takes nothing of what the batch says.
    let mut world = World::new().await;
    world.comes(&[first_segment()]).await;
    world.aws.fail(Service::DynamoDb, Some(AwsFault::BatchWritesRefused));
    world.comes(&[with(second_segment(), "Attributes/sticky_calls_opt_out", "yes"), summary()]).await;
    assert!(world.last_issues().is_empty());
    // The opt-out came by a flow, and the record does not show it.
    let mut world = World::new().await;
    let save = wrap_up(&[("sticky_calls_opt_out", "yes")]);
    assert_eq!(world.stack.invoke(&save).await["error"], "opted_out");
    world.comes(&[silent(), summary()]).await;
    assert!(world.last_issues().is_empty());
}

#[tokio::test]
async fn while_the_api_is_down_the_outbox_keeps_the_summary() {
    let mut world = World::new().await;
    world.api_is_down(true);
    world.comes(&[silent()]).await;
    world.comes(&[summary()]).await;
    world.comes(&[summary(), silent()]).await;
    world.api_is_down(false);
    assert_eq!(world.deliver().await, 0);
    let ends = world.last_issues();
    let with_text: Vec<_> = ends.iter().filter(|(text, _)| !text.is_empty()).collect();
    assert_eq!(with_text, [&(TEXT.to_owned(), "contact_lens".to_owned())], "{ends:?}");
    // A contact whose data is deleted meanwhile.
    let mut world = World::new().await;
    world.api_is_down(true);
    world.comes(&[summary(), silent()]).await;
    world.comes(&[deleted()]).await;
    world.aws.age(8 * DAY);
    world.api_is_down(false);
    assert_eq!(world.deliver().await, 0);
    assert!(world.last_issues().is_empty());
}

#[tokio::test]
async fn while_the_table_is_down_records_are_saved_without_words_and_the_outbox_brings_the_halves_together() {
    for fault in [AwsFault::Hang, AwsFault::Reset, AwsFault::Status(500), AwsFault::Refused("ThrottlingException")] {
        for batches in [[vec![silent()], vec![summary()]], [vec![summary()], vec![silent()]]] {
            let mut world = World::new().await;
            world.aws.fail(Service::DynamoDb, Some(fault.clone()));
            for batch in &batches {
                world.comes(batch).await;
            }
            world.assert_last_issues(&[SILENT]);
            let messages = world.aws.messages();
            let halves = messages.iter().filter(|message| message["MessageBody"].as_str().unwrap().contains("halves"));
            assert_eq!(halves.count(), 2, "{fault:?}");
            world.table_is_down(false);
            assert_eq!(world.deliver().await, 0);
            world.assert_last_issues(&[SILENT, BY_CONTACT_LENS]);
            let log = world.stack.function.stop().await;
            for line in &metrics(&log)[..2] {
                assert_eq!((&line["degraded"], line["not_kept"].as_u64()), (&json!(1), None), "{fault:?}: {line}");
            }
            assert!(!log.contains("refund") && !log.contains(NUMBER), "{log}");
        }
    }
}

#[tokio::test]
async fn what_was_typed_while_the_table_was_down_is_not_replaced_afterwards() {
    let second_typed = || with(second_segment(), "Attributes/call_summary", "Typed by an agent");
    let corrected = with(typed(), "LastUpdateTimestamp", "2026-02-08T10:30:00Z");
    for batches in [
        vec![vec![first_segment()], vec![summary()], vec![second_typed()]],
        vec![vec![silent()], vec![summary()], vec![corrected]],
    ] {
        let mut world = World::new().await;
        world.table_is_down(true);
        for batch in &batches {
            world.comes(batch).await;
        }
        world.table_is_down(false);
        assert_eq!(world.deliver().await, 0);
        assert_eq!(world.last_issue(), owned(TYPED));
    }
    // The table is short of capacity: it takes single rows, but not what a batch says.
    let mut world = World::new().await;
    world.comes(&[first_segment()]).await;
    world.aws.fail(Service::DynamoDb, Some(AwsFault::BatchWritesRefused));
    world.comes(&[second_typed()]).await;
    world.comes(&[summary()]).await;
    assert_eq!(world.last_issue(), owned(TYPED));
    // A form saves the words, and later the other segment's record shows text and mark.
    for in_one_batch in [true, false] {
        let mut world = World::new().await;
        world.table_is_down(true);
        let answer = world.stack.invoke(&wrap_up(&[("call_summary", "Typed by an agent")])).await;
        let marked = with(second_typed(), "Attributes/sticky_calls_saved", answer["saved_words"].clone());
        if in_one_batch {
            world.comes(&[first_segment(), summary(), marked]).await;
        } else {
            world.table_is_down(false);
            world.comes(&[first_segment()]).await;
            world.comes(&[marked]).await;
            world.comes(&[summary()]).await;
        }
        assert_eq!(world.last_issue(), owned(TYPED), "in one batch: {in_one_batch}");
    }
}

#[tokio::test]
async fn words_that_waited_in_the_outbox_are_the_last_issue_although_the_table_did_not_know_of_them() {
    let mut world = World::new().await;
    world.api_is_down(true);
    world.table_is_down(true);
    let save = wrap_up(&[("call_summary", "Typed by an agent")]);
    assert_eq!(world.stack.invoke(&save).await["save_status"], "queued");
    world.api_is_down(false);
    world.table_is_down(false);
    // The second segment started after the words were typed.
    let later = with(second_segment(), "InitiationTimestamp", "2099-01-01T00:00:00Z");
    world.comes(&[later, summary_of(SECOND, TEXT)]).await;
    assert_eq!(world.deliver().await, 0);
    assert_eq!(world.last_issue(), owned(TYPED));
}

#[tokio::test]
async fn words_from_before_contact_lens_was_switched_on_keep_the_summary_out() {
    let mut world = World::with(&[QUEUE, TABLE]).await;
    world.stack.invoke(&wrap_up(&[("call_summary", "Typed by an agent")])).await;
    world.stack = Stack::start_in(BOOTSTRAP, &world.aws, &[QUEUE, TABLE, ON]).await;
    world.comes(&[silent(), summary()]).await;
    let ends = Value::from(world.stack.api.ended()).to_string();
    assert!(!ends.contains(TEXT), "{ends}");
}

#[tokio::test]
async fn an_opt_out_or_a_deletion_while_the_table_is_down_is_not_forgotten() {
    for record in [deleted(), with(silent(), "Attributes/sticky_calls_opt_out", "yes")] {
        for first in [silent(), summary()] {
            let mut world = World::new().await;
            world.comes(&[with(first, "NextContactId", "next")]).await;
            world.table_is_down(true);
            world.comes(std::slice::from_ref(&record)).await;
            world.table_is_down(false);
            assert_eq!(world.deliver().await, 0);
            world.comes(&[first_segment(), summary()]).await;
            assert!(world.last_issues().is_empty(), "{record}");
            assert!(!world.table().await.contains(TEXT), "{record}");
        }
    }
    // If the outbox is down too, Lambda sends the record again.
    let mut world = World::new().await;
    world.table_is_down(true);
    world.aws.fail(Service::Sqs, Some(AwsFault::Refused("QueueDoesNotExist")));
    let batch = stream(&[deleted(), with(silent(), "ContactId", SECOND)]);
    let number = &batch["Records"][0]["kinesis"]["sequenceNumber"];
    assert_eq!(world.stack.invoke(&batch).await, json!({"batchItemFailures": [{"itemIdentifier": number}]}));
}

#[tokio::test]
async fn a_slow_table_is_waited_for_before_a_summary_is_sent() {
    let slow = || Some(AwsFault::Delay(Duration::from_millis(250)));
    // Somebody has typed something, or has opted out.
    for (parameters, expected) in
        [(("call_summary", "Typed by an agent"), owned(TYPED)), (("sticky_calls_opt_out", "yes"), Default::default())]
    {
        let mut world = World::new().await;
        world.stack.invoke(&wrap_up(&[parameters])).await;
        world.aws.fail(Service::DynamoDb, slow());
        world.comes(&[silent(), summary()]).await;
        assert_eq!(world.last_issue(), expected);
    }
    // A summary waits in the outbox. Its contact is deleted, or its redacted text comes.
    let redacted = summary_of_chat(CALL, "[NAME] asked.", "Redacted");
    for (then, expected) in [(deleted(), Default::default()), (redacted, owned(("[NAME] asked.", "contact_lens")))] {
        let mut world = World::new().await;
        world.api_is_down(true);
        world.comes(&[silent(), summary_of_chat(CALL, "Jane asked.", "Raw")]).await;
        world.comes(&[then]).await;
        world.api_is_down(false);
        world.aws.fail(Service::DynamoDb, slow());
        assert_eq!(world.deliver().await, 0);
        assert_eq!(world.last_issue(), expected);
    }
}

#[tokio::test]
async fn a_record_waits_for_no_summary_while_table_and_outbox_hang() {
    let summaries = [vec![], vec![summary_of("other", TEXT)]];
    for summaries in summaries {
        let mut world = World::new().await;
        world.aws.fail(Service::DynamoDb, Some(AwsFault::Hang));
        world.aws.fail(Service::Sqs, Some(AwsFault::Hang));
        let records =
            (100..124).map(|number| with(silent(), "ContactId", format!("00000000-0000-4000-9000-000000000{number}")));
        let batch = stream(&summaries.iter().cloned().chain(records).collect::<Vec<_>>());
        // As long as the template lets the save function run.
        let outcome = world.stack.function.outcome(batch.to_string(), Duration::from_secs(60)).await;
        let Outcome::Answer(answer) = outcome else { panic!("{outcome:?}") };
        let numbers: Vec<_> = batch["Records"].as_array().unwrap()[..summaries.len()]
            .iter()
            .map(|record| json!({"itemIdentifier": record["kinesis"]["sequenceNumber"]}))
            .collect();
        assert_eq!(serde_json::from_slice::<Value>(&answer).unwrap(), json!({"batchItemFailures": numbers}));
        assert_eq!(world.last_issues().len(), 24);
    }
}

#[tokio::test]
async fn a_contact_id_that_is_too_long_for_the_table_keeps_nothing_else_out_of_it() {
    let mut world = World::new().await;
    let long = "x".repeat(3_000);
    let opted_out = |id: &str| with(with(silent(), "ContactId", id), "Attributes/sticky_calls_opt_out", "yes");
    world.comes(&[opted_out(&long), opted_out(CALL), summary_of(&long, TEXT)]).await;
    world.comes(&[first_segment(), summary()]).await;
    assert!(world.last_issues().is_empty());
    assert!(world.aws.messages().is_empty());
}

#[tokio::test]
async fn a_half_that_another_version_left_is_kept_and_told_of() {
    let mut world = World::new().await;
    let half = json!({"version": 1, "reason": "halves", "queued_at": "2026-02-07T10:30:00Z", "summarised_contact": CALL,
        "halves": [{"kind": "record", "text": "{\"version\":2}", "rank": 1}]});
    world.stack.invoke(&queue(&[half.to_string()])).await;
    world.comes(&[summary()]).await;
    assert_eq!(world.deliver().await, 1);
    let log = world.stack.function.stop().await;
    assert!(metrics(&log).iter().all(|line| line["handler"] != "contact_records" || line["degraded"] == 1), "{log}");
}

#[tokio::test]
async fn halves_that_still_find_no_table_stay_in_the_outbox() {
    let mut world = World::new().await;
    world.table_is_down(true);
    world.comes(&[summary()]).await;
    assert_eq!(world.deliver().await, 1);
}

#[tokio::test]
async fn both_halves_in_one_batch_wait_for_the_table_too_because_it_alone_knows_what_was_typed() {
    let mut world = World::new().await;
    world.table_is_down(true);
    world.comes(&[summary(), silent()]).await;
    world.assert_last_issues(&[SILENT]);
    world.table_is_down(false);
    assert_eq!(world.deliver().await, 0);
    world.assert_last_issues(&[SILENT, BY_CONTACT_LENS]);
    let messages = world.aws.messages();
    let halves = messages.iter().find(|message| message.to_string().contains("halves")).unwrap();
    assert_eq!(halves["DelaySeconds"], 60, "what was typed gets to the table first");
}

#[tokio::test]
async fn a_summary_that_neither_table_nor_outbox_takes_is_retried_and_a_record_is_not() {
    for variables in [&[TABLE, ON][..], &[TABLE, ON, QUEUE]] {
        let mut world = World::with(variables).await;
        world.table_is_down(true);
        world.aws.fail(Service::Sqs, Some(AwsFault::Refused("QueueDoesNotExist")));
        let batch = stream(&[silent(), summary_of("other", TEXT), with(silent(), "ContactId", "third")]);
        let answer = world.stack.invoke(&batch).await;
        let failed: Vec<_> = answer["batchItemFailures"].as_array().unwrap().iter().collect();
        let of = |number: usize| json!({"itemIdentifier": batch["Records"][number]["kinesis"]["sequenceNumber"]});
        assert!(failed.contains(&&of(1)) && !failed.contains(&&of(0)), "{answer}");
        world.table_is_down(false);
        world.comes(&[summary_of("other", TEXT)]).await;
        world.comes(&[with(silent(), "ContactId", "other")]).await;
        assert!(world.last_issues().contains(&(TEXT.to_owned(), "contact_lens".to_owned())));
    }
}

#[tokio::test]
async fn without_the_setting_or_without_a_table_the_events_are_passed_over() {
    for variables in [&[QUEUE, TABLE][..], &[QUEUE, ON], &[]] {
        let mut world = World::with(variables).await;
        let events = [contact_lens(), vec![summary(), silent()]].concat();
        world.comes(&events).await;
        world.assert_last_issues(&[SILENT]);
        let rows = world.table().await;
        assert!(!rows.contains("refund") && !rows.contains("typed:"), "{rows}");
        let log = world.stack.function.stop().await;
        assert!(!log.contains("INSUFFICIENT"), "{log}");
        assert_eq!(lines(&log, "unusable setting").len(), usize::from(variables == [QUEUE, ON]), "{log}");
    }
}

#[tokio::test]
async fn failed_summaries_are_counted_by_their_code_and_every_other_event_is_ignored() {
    let failed = |code: Value| {
        let segments = json!([{"PostContactSummary": {"Status": "FAILED", "FailureCode": code}}]);
        with(summary_of("4a573372-1f28-4e26-b97b-000000000031", ""), "Segments", segments)
    };
    let codes = ["QUOTA_EXCEEDED", "QUOTA_EXCEEDED", "INTERNAL_ERROR", "SOMETHING_NEW", "Jane Doe"];
    let mut events: Vec<_> = codes.iter().map(|code| failed(json!(code))).collect();
    events.push(failed(Value::Null));
    let others = contact_lens().into_iter().filter(|event| !event.to_string().contains("PostContactSummary"));
    events.extend(others);
    let mut world = World::new().await;
    world.comes(&events).await;
    let log = world.stack.function.stop().await;
    let line = &metrics(&log)[0];
    let count = |name: &str| line[name].as_u64().unwrap_or_default();
    assert_eq!(["QUOTA_EXCEEDED", "INTERNAL_ERROR", "OTHER_FAILURE"].map(count), [2, 1, 3]);
    assert_eq!([count("received"), count("received_summaries")], [events.len() as u64, 6]);
    assert_eq!(lines(&log, "Contact Lens has no summary of a contact").len(), 6);
    assert!(!log.contains("Jane"), "{log}");
    assert!(world.aws.items("table").await.is_empty());
}

#[tokio::test]
async fn the_sample_events_leave_one_half_for_each_contact() {
    let mut world = World::new().await;
    world.comes(&contact_lens()).await;
    let table = world.table().await;
    assert!(table.contains("summary:4a573372-1f28-4e26-b97b-000000000031") && table.contains("[card number]"));
    assert!(table.contains("[NAME] reported a broken router") && !table.contains("Jane Doe reported"), "{table}");
    assert_eq!(world.aws.items("table").await.len(), 2);
}

#[tokio::test]
#[ignore = "needs moto's server for SQS and DynamoDB, whose address is in STICKY_CONNECT_MOTO"]
async fn moto_halves_meet_in_the_table_in_either_order_and_tombstones_keep_late_ones_out() {
    let aws = Aws::start().await;
    let (outbox, _) = aws.create_queue(15).await;
    let table = aws.create_table().await;
    let variables = [("STICKY_CALLS_OUTBOX_QUEUE_URL", outbox.as_str()), ("STICKY_CALLS_TABLE", &table), ON];
    let stack = Stack::start_in(BOOTSTRAP, &aws, &variables).await;
    let mut world = World { aws, stack, messages_seen: 0 };
    let contact = |number: usize| format!("00000000-0000-4000-9000-00000000001{number}");
    let silent = |number: usize| with(silent(), "ContactId", contact(number));
    let [raw, redacted] = [("Jane asked.", "Raw"), ("[NAME] asked.", "Redacted")]
        .map(|(text, output_type)| summary_of_chat(&contact(3), text, output_type));
    for batch in [
        vec![summary_of(&contact(1), TEXT)],
        vec![silent(1)],
        vec![with(silent(2), "NextContactId", "next")],
        vec![summary_of(&contact(2), TEXT)],
        vec![redacted],
        vec![raw],
        vec![silent(3)],
        vec![with(silent(4), "Attributes/sticky_calls_opt_out", "yes")],
        vec![summary_of(&contact(4), TEXT), with(silent(4), "NextContactId", "next")],
    ] {
        world.comes(&batch).await;
    }
    let expected = [BY_CONTACT_LENS, BY_CONTACT_LENS, ("[NAME] asked.", "contact_lens")];
    world.assert_last_issues(&expected);
    let rows = Value::from(world.aws.items(&table).await).to_string();
    assert!(!rows.contains("Jane asked"), "{rows}");
}
