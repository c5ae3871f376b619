//! Contacts of real contact centres, on the running process: withheld numbers, consults, warm transfers, copied
//! attributes, callbacks, contacts that we placed, guides.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may panic")]

use serde_json::{Value, json};
use stand_ins::aws::Aws;
use stand_ins::events::{
    call, event, guide, queue, record_of, stream, with, with_attribute, with_contact, with_parameter, with_parameters,
};
use stand_ins::stack::Stack;
use stand_ins::sticky_calls::{Fault, StickyCalls};

const BOOTSTRAP: &str = env!("CARGO_BIN_EXE_bootstrap");
const NUMBER: &str = "+12025550177";
const ALL_RECORDS: (&str, &str) = ("STICKY_CALLS_RECORDS", "all");
const INTERNAL: (&str, &str) = ("STICKY_CALLS_INTERNAL_NUMBERS", "+12025550160,+4930*");
const QUEUE: (&str, &str) = ("STICKY_CALLS_OUTBOX_QUEUE_URL", "http://sqs.eu-central-1.amazonaws.com/1/outbox");
const TABLE: (&str, &str) = ("STICKY_CALLS_TABLE", "table");
const SAVE: (&str, &str) = ("action", "save");
const CALLBACKS: [&str; 3] = ["CALLBACK", "CALLBACK_CUSTOMER_FIRST_QUEUED", "CALLBACK_CUSTOMER_FIRST_DIALED"];

async fn stack(variables: &[(&str, &str)]) -> Stack {
    Stack::start(BOOTSTRAP, variables).await
}

/// The event, as a block that saves a summary.
fn save(event: Value) -> Value {
    with_parameters(event, &[SAVE, ("call_summary", "Wants a refund")])
}

/// The event with these texts in its contact.
fn of(event: Value, fields: &[(&str, &str)]) -> Value {
    fields.iter().fold(event, |event, (path, text)| with_contact(event, path, *text))
}

/// The record with these texts.
fn like(record: Value, fields: &[(&str, &str)]) -> Value {
    fields.iter().fold(record, |record, (path, text)| with(record, path, *text))
}

/// The record of a segment after a transfer, or of a consult, in the call `first`.
fn transferred(id: &str, first: &str, attributes: Value) -> Value {
    let how = [("InitiationMethod", "TRANSFER"), ("InitialContactId", first), ("PreviousContactId", first)];
    like(record_of(id, NUMBER, attributes), &how)
}

/// Invokes the function with a block's event. Asserts the answer's status and reason, and returns the answer.
async fn assert_answer(stack: &mut Stack, event: &Value, status: &str, reason: &str) -> Value {
    let answer = stack.invoke(event).await;
    let of_lookup = (&answer["lookup_status"], &answer["lookup_reason"]);
    let told = answer.get("save_status").map_or(of_lookup, |status| (status, &answer["error"]));
    assert_eq!(told, (&json!(status), &json!(reason)), "{event}");
    answer
}

/// Asserts that a block is skipped without a request to the API.
async fn assert_skipped(stack: &mut Stack, event: &Value, reason: &str) {
    assert_answer(stack, event, "skipped", reason).await;
    assert_eq!(stack.api.received().len(), 0, "{event}");
}

/// Invokes the function with one batch of records. None may be reported as failed.
async fn stream_records(stack: &mut Stack, records: &[Value]) {
    assert_eq!(stack.invoke(&stream(records)).await, json!({"batchItemFailures": []}));
}

/// What the API gets for these records. Each is a batch of its own.
async fn ends_of(records: &[Value], variables: &[(&str, &str)]) -> Vec<Value> {
    let mut stack = stack(variables).await;
    for record in records {
        stream_records(&mut stack, std::slice::from_ref(record)).await;
    }
    stack.api.ended()
}

/// What the API gets for a block that saves.
async fn end_of(event: &Value, variables: &[(&str, &str)]) -> Value {
    let mut stack = stack(variables).await;
    assert_answer(&mut stack, event, "saved", "").await;
    stack.only_request()
}

/// The ends that the API has: call id, last issue and status.
fn told(api: &StickyCalls) -> Vec<[String; 3]> {
    let end = |end: Value| {
        let texts = [&end["call_id"], &end["variables"]["last_issue"], &end["intent_status"]];
        texts.map(|text| text.as_str().unwrap_or_default().to_owned())
    };
    api.ended().into_iter().map(end).collect()
}

/// Whether this is the `call_id` of a standalone end with words of this call.
fn is_standalone(id: &Value, of_call: &str) -> bool {
    let words = id.as_str().and_then(|id| id.strip_prefix(of_call)?.strip_prefix('.'));
    words.is_some_and(|id| id.len() == 16 && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')))
}

#[tokio::test]
async fn a_caller_whose_number_is_withheld_is_anonymous_in_every_spelling_of_networks() {
    let mut stack = stack(&[ALL_RECORDS]).await;
    let withheld = "+266696687,+86282452253,+7378742833,+8656696,+2562533,anonymous,Restricted,unknown,,266696687,\
                    +0441234567,sip:anonymous@anonymous.invalid,+12 025 550 177,73887";
    for number in withheld.split(',') {
        assert_skipped(&mut stack, &call("withheld", number), "no_identity").await;
        assert_skipped(&mut stack, &save(call("withheld", number)), "no_identity").await;
        stream_records(&mut stack, &[record_of("withheld", number, json!({"call_summary": "Lab result"}))]).await;
        assert_eq!(stack.api.received().len(), 0, "{number}");
    }
    let known_otherwise = with_parameter(call("withheld", "+266696687"), "customer_id", "C-7");
    assert_answer(&mut stack, &known_otherwise, "new", "").await;
    let hints = &stack.only_request()["identity_hints"];
    assert_eq!((hints.get("ani"), &hints["external_ids"]), (None, &json!({"customer_id": "C-7"})));
}

#[tokio::test]
async fn the_agents_words_are_saved_before_or_after_a_consulted_colleagues_leg() {
    let leg = json!({"customer_ref": "ref", "intent": "billing_issue", "intent_status": "open"});
    let leg = transferred("leg", "main", leg);
    let written = json!({"customer_ref": "ref", "intent": "billing_issue", "intent_status": "resolved",
        "call_summary": "Invoice credited", "agent_notes": "asked a colleague"});
    let main = like(record_of("main", NUMBER, written), &[("NextContactId", "leg")]);
    let mains = vec![["main", "Invoice credited", "resolved"].map(str::to_owned)];
    for records in [[leg.clone(), main.clone()], [main.clone(), leg.clone()]] {
        // With an outbox the leg's end is deferred, until the call has ended.
        let aws = Aws::with_a_queue_alone().await;
        let mut waiting = Stack::start_in(BOOTSTRAP, &aws, &[QUEUE]).await;
        for record in &records {
            stream_records(&mut waiting, std::slice::from_ref(record)).await;
        }
        assert_eq!(told(&waiting.api), mains);
        let [message] = &aws.messages()[..] else { panic!("{:?}", aws.messages()) };
        assert_eq!(message["DelaySeconds"], 900);
        let body = message["MessageBody"].as_str().unwrap().to_owned();
        assert_eq!(waiting.invoke(&queue(&[body])).await, json!({"batchItemFailures": []}));
        assert_eq!(told(&waiting.api), mains);
        // In one batch only the words are saved, in either order.
        let mut at_once = stack(&[]).await;
        stream_records(&mut at_once, &records).await;
        let words: Vec<_> = told(&at_once.api).into_iter().filter(|[_, text, _]| !text.is_empty()).collect();
        assert_eq!(
            words.iter().map(|[_, text, status]| [text, status]).collect::<Vec<_>>(),
            [[&mains[0][1], &mains[0][2]]]
        );
    }
    // Without an outbox the leg's end is saved at once, and the words are saved too.
    let ends = ends_of(&[leg, main], &[]).await;
    assert_eq!((&ends[0]["call_id"], &ends[0]["intent_status"], ends.len()), (&json!("main"), &json!("open"), 2));
    assert!(is_standalone(&ends[1]["call_id"], "main"), "{ends:?}");
    let words = (&ends[1]["variables"]["last_issue"], &ends[1]["intent_status"]);
    assert_eq!(words, (&json!("Invoice credited"), &json!("resolved")));
}

/// A warm transfer: both agents' records with their words, and the second agent's wrap-up, which has only the
/// reference.
fn warm_transfer() -> ([Value; 2], Value) {
    let first = json!({"customer_ref": "ref", "agent_notes": "passed on to billing", "intent_status": "open"});
    let first = record_of("first", NUMBER, first);
    let first = like(first, &[("NextContactId", "second"), ("DisconnectReason", "AGENT_DISCONNECT")]);
    let second = json!({"customer_ref": "ref", "call_summary": "Refund done", "intent_status": "resolved"});
    let wrap_up = with_parameters(guide("g", "second"), &[("call_id", "first"), ("customer_ref", "ref")]);
    ([first, transferred("second", "first", second)], save(wrap_up))
}

#[tokio::test]
async fn after_a_warm_transfer_both_agents_words_are_saved() {
    let ([first, second], wrap_up) = warm_transfer();
    let third = transferred("third", "first", json!({"customer_ref": "ref", "agent_notes": "called again about it"}));
    let all = [first.clone(), second, third];
    let mut one_batch = stack(&[]).await;
    stream_records(&mut one_batch, &all).await;
    for ends in [ends_of(&all, &[]).await, one_batch.api.ended()] {
        let texts: Vec<_> = ends.iter().map(|end| &end["variables"]["last_issue"]).collect();
        assert_eq!(texts, ["passed on to billing", "Refund done", "called again about it"]);
        assert_eq!((&ends[0]["call_id"], &ends[0]["customer_ref"]), (&json!("first"), &json!("ref")));
        for end in &ends[1..] {
            assert!(is_standalone(&end["call_id"], "first") && end.get("customer_ref").is_none(), "{end}");
            assert_eq!(end["identity_hints"], json!({"customer_ref": "ref", "ani": NUMBER}));
        }
        assert_eq!(ends[1]["intent_status"], "resolved");
    }
    let mut stack = stack(&[]).await;
    stream_records(&mut stack, &[first]).await;
    let answer = assert_answer(&mut stack, &wrap_up, "saved", "").await;
    let end = stack.api.ended().remove(1);
    assert_eq!((&end["call_id"], &end["identity_hints"]), (&answer["saved_words"], &json!({"customer_ref": "ref"})));
}

#[tokio::test]
async fn if_the_first_agent_wrote_nothing_the_second_agents_words_are_the_end_of_the_call() {
    let ([first, second], wrap_up) = warm_transfer();
    let silent = with(first, "Attributes/agent_notes", "");
    for words in [stream(&[second]), wrap_up] {
        let mut stack = stack(&[]).await;
        for reason in ["AGENT_DISCONNECT", "CUSTOMER_DISCONNECT", "CONTACT_FLOW_DISCONNECT"] {
            stream_records(&mut stack, &[with(silent.clone(), "DisconnectReason", reason)]).await;
            assert_eq!(stack.api.received().len(), 0);
        }
        stack.invoke(&words).await;
        assert_eq!(stack.only_request()["call_id"], "first");
    }
}

#[tokio::test]
async fn words_are_saved_if_the_mark_names_other_words() {
    let words = json!({"customer_ref": "ref", "call_summary": "Refund asked", "agent_notes": "customer told"});
    for mark in ["true", "done", "call", ".", "call.", "call.0000000000000000", "other.0123456789abcdef"] {
        let record = with(record_of("call", NUMBER, words.clone()), "Attributes/sticky_calls_saved", mark);
        for (method, channel) in [("API", "TASK"), ("OUTBOUND", "VOICE"), ("INBOUND", "VOICE")] {
            let record = like(record.clone(), &[("InitiationMethod", method), ("Channel", channel)]);
            assert_eq!(ends_of(&[record], &[]).await.len(), 1, "{mark} {method}");
        }
        end_of(&save(with_attribute(call("call", NUMBER), "sticky_calls_saved", mark)), &[]).await;
    }
}

#[tokio::test]
async fn marked_words_are_not_saved_again_unless_a_block_gives_them_for_another_call() {
    let card = "card 4111 1111 1111 1111";
    let words = [("call_summary", "Refund asked"), ("agent_notes", card), ("intent_status", "open")];
    let given = with_parameters(call("call", NUMBER), &[&[SAVE, ("customer_ref", "ref")], &words[..]].concat());
    let mut stack = stack(&[]).await;
    let mark = assert_answer(&mut stack, &given, "saved", "").await["saved_words"].clone();
    assert!(is_standalone(&mark, "call"), "{mark}");
    let attributes = like(json!({"customer_ref": "ref", "sticky_calls_saved": mark}), &words);
    // The call's own contact, and those of a linked task and a resumed chat, which have copies of the attributes.
    for (id, channel) in [("call", "VOICE"), ("task", "TASK"), ("chat", "CHAT")] {
        stream_records(&mut stack, &[with(record_of(id, NUMBER, attributes.clone()), "Channel", channel)]).await;
        let block = with_parameter(with_contact(call(id, NUMBER), "Attributes", attributes.clone()), "action", "save");
        let answer = assert_answer(&mut stack, &block, "saved", "").await;
        assert!(is_standalone(&answer["saved_words"], id), "{answer}");
    }
    let marked = with_attribute(given, "sticky_calls_saved", mark);
    assert_answer(&mut stack, &marked, "saved", "").await;
    assert_eq!(stack.api.received().len(), 1);
    // Another call's words, and other words of the same call.
    stack.invoke(&of(marked, &[("InitialContactId", "another")])).await;
    assert_eq!(stack.api.ended()[1]["call_id"], "another");
    stream_records(&mut stack, &[record_of("call", NUMBER, with(attributes, "agent_notes", "paid"))]).await;
    assert_eq!(stack.api.ended()[2]["variables"]["resolution"], "paid");
}

#[tokio::test]
async fn a_copied_attribute_call_id_is_ignored_except_in_a_guide() {
    let copied = json!({"customer_ref": "ref", "call_id": "the voice call", "call_summary": "Second parcel"});
    for (channel, method) in [("CHAT", "API"), ("TASK", "API"), ("VOICE", "INBOUND")] {
        let how = [("Channel", channel), ("InitiationMethod", method), ("RelatedContactId", "the voice call")];
        let contact = with_contact(of(call("own", NUMBER), &how), "Attributes", copied.clone());
        let mut stack = stack(&[]).await;
        assert_eq!(stack.invoke(&contact).await["call_id"], "own");
        assert_eq!(stack.invoke(&with_parameter(contact.clone(), "action", "save")).await["call_id"], "own");
        assert!(stack.api.received().iter().all(|request| request.body["call_id"] == "own"));
        let by_parameter = with_parameters(contact, &[SAVE, ("call_id", "given")]);
        assert_eq!(end_of(&by_parameter, &[]).await["call_id"], "given");
        let record = like(record_of("own", NUMBER, copied.clone()), &how);
        assert_eq!(ends_of(&[record], &[]).await[0]["call_id"], "own");
    }
    let in_a_guide = with_contact(guide("g", "related"), "Attributes", copied);
    assert_eq!(end_of(&with_parameter(in_a_guide, "action", "save"), &[]).await["call_id"], "the voice call");
}

#[tokio::test]
async fn a_callback_is_not_looked_up_again_and_is_saved() {
    for method in CALLBACKS {
        let callback = of(call("back", NUMBER), &[("InitiationMethod", method), ("InitialContactId", "first")]);
        assert_skipped(&mut stack(&[]).await, &callback, "not_inbound").await;
        assert_eq!(end_of(&save(callback), &[]).await["call_id"], "first");
    }
}

/// Asserts the intent status of a call whose record has none.
async fn assert_status(status: &str, changes: Value) {
    let record = record_of("call", NUMBER, json!({"customer_ref": "ref", "intent": "sales"}));
    let changed = changes.as_object().unwrap().iter();
    let record = changed.fold(record, |record, (name, value)| with(record, name, value.clone()));
    assert_eq!(ends_of(&[record], &[]).await[0]["intent_status"], status, "{changes}");
}

#[tokio::test]
async fn a_call_that_ends_in_the_queue_is_abandoned_and_a_callback_that_reached_nobody_is_open() {
    let queue = json!({"Name": "Overflow"});
    for reason in [json!("CUSTOMER_DISCONNECT"), Value::Null] {
        for (method, channel) in [("INBOUND", "VOICE"), ("QUEUE_TRANSFER", "VOICE"), ("API", "CHAT")] {
            let queued = json!({"Agent": null, "Queue": queue, "DisconnectReason": reason, "InitiationMethod": method, "Channel": channel});
            assert_status("abandoned", queued).await;
        }
    }
    for method in CALLBACKS {
        for unreached in [
            json!({"Agent": null}),
            json!({"Agent": null, "Queue": queue}),
            json!({"DisconnectReason": "TELECOM_UNANSWERED"}),
            json!({"DisconnectReason": "TELECOM_BUSY", "Agent": null}),
            json!({"AnsweringMachineDetectionStatus": "VOICEMAIL_BEEP"}),
        ] {
            assert_status("open", with(unreached, "InitiationMethod", method)).await;
        }
        let heard = json!({"InitiationMethod": method, "AnsweringMachineDetectionStatus": "HUMAN_ANSWERED"});
        assert_status("resolved", heard).await;
    }
}

#[tokio::test]
async fn a_call_that_the_flow_served_is_resolved_unless_it_has_another_status() {
    for reason in ["CONTACT_FLOW_DISCONNECT", "CUSTOMER_DISCONNECT"] {
        assert_status("resolved", json!({"Agent": null, "Queue": null, "DisconnectReason": reason})).await;
    }
    assert_status("resolved", json!({"Agent": null, "DisconnectReason": "CONTACT_FLOW_DISCONNECT"})).await;
    assert_status("open", json!({"Agent": null, "Attributes/intent_status": "Open"})).await;
}

#[tokio::test]
async fn a_contact_that_we_placed_is_not_looked_up_and_its_record_is_saved_only_with_words() {
    for (method, channel, direction) in [
        ("OUTBOUND", "VOICE", ""),
        ("AGENT_REPLY", "EMAIL", ""),
        ("FLOW", "EMAIL", ""),
        ("CAMPAIGN_PREVIEW", "VOICE", "OUTBOUND"),
        ("API", "VOICE", ""),
        ("API", "VOICE", "INBOUND"),
        ("API", "CHAT", "OUTBOUND"),
        ("A_METHOD_TO_COME", "VOICE", "OUTBOUND"),
    ] {
        let direction = ("SegmentAttributes/connect:Direction/ValueString", direction);
        let how = [("InitiationMethod", method), ("Channel", channel), direction];
        let contact = of(call("placed", NUMBER), &how);
        assert_skipped(&mut stack(&[]).await, &contact, "not_inbound").await;
        end_of(&save(contact), &[]).await;
        for (attributes, ends) in [
            (json!({}), 0),
            (json!({"customer_ref": "ref", "intent_status": "open"}), 0),
            (json!({"customer_ref": "ref", "agent_notes": "told the customer"}), 1),
        ] {
            let record = like(record_of("placed", NUMBER, attributes), &how);
            assert_eq!(ends_of(&[record], &[ALL_RECORDS]).await.len(), ends, "{how:?}");
        }
    }
    // A chat and a task may have the method API too. They are the customer's.
    for (method, channel) in [("API", "CHAT"), ("API", "TASK"), ("A_METHOD_TO_COME", "VOICE")] {
        let contact = of(call("theirs", NUMBER), &[("InitiationMethod", method), ("Channel", channel)]);
        assert_answer(&mut stack(&[]).await, &contact, "new", "").await;
    }
}

#[tokio::test]
async fn the_contacts_customer_id_counts_if_the_flow_gives_no_id_and_the_customer_is_authenticated() {
    let chat = with_contact(of(event("web_chat"), &[("CustomerId", "CRM-004711")]), "Attributes", json!({}));
    let ids = async |event: &Value| {
        let mut stack = stack(&[]).await;
        stack.invoke(event).await;
        stack.api.received().first().map(|request| request.body["identity_hints"]["external_ids"].clone())
    };
    let own = Some(json!({"customer_id": "CRM-004711"}));
    assert_eq!(ids(&chat).await, own);
    assert_eq!(ids(&save(chat.clone())).await, own);
    assert_eq!(ids(&with_attribute(chat.clone(), "customer_id", "undefined")).await, own);
    assert_eq!(ids(&with_attribute(chat.clone(), "customer_id", "C-1")).await, Some(json!({"customer_id": "C-1"})));
    let record = with(record_of("chat", "", json!({"agent_notes": "sent the form"})), "CustomerId", "CRM-004711");
    assert_eq!(ends_of(&[record], &[ALL_RECORDS]).await[0]["identity_hints"], json!({"external_ids": own}));
    for (status, counts) in [("AUTHENTICATED", true), ("FAILED", false), ("TIMEOUT", false), ("", false)] {
        let status = json!({"ValueMap": {"Status": {"ValueString": status}}});
        let chat = with_contact(chat.clone(), "SegmentAttributes/connect:CustomerAuthentication", status);
        assert_eq!(ids(&chat).await.is_some(), counts, "{chat}");
    }
}

#[tokio::test]
async fn an_internal_number_identifies_nobody() {
    let by_id = json!({"external_ids": {"customer_id": "C-7"}});
    for number in ["+12025550160", "+493012345"] {
        let call = call("internal", number);
        let mut stack = stack(&[INTERNAL, ALL_RECORDS]).await;
        assert_skipped(&mut stack, &call, "internal_number").await;
        let in_a_guide = with_parameter(guide("g", "internal"), "caller_number", number);
        for event in [call.clone(), in_a_guide] {
            assert_skipped(&mut stack, &save(event), "internal_number").await;
        }
        for attributes in [json!({}), json!({"agent_notes": "n"}), json!({"lookup_status": "skipped"})] {
            stream_records(&mut stack, &[record_of("internal", number, attributes)]).await;
            assert_eq!(stack.api.received().len(), 0);
        }
        let end = end_of(&save(with_attribute(call.clone(), "customer_ref", "ref")), &[INTERNAL]).await;
        assert_eq!((&end["customer_ref"], end.get("identity_hints")), (&json!("ref"), None));
        let end = end_of(&save(with_attribute(call, "customer_id", "C-7")), &[INTERNAL]).await;
        assert_eq!(end["identity_hints"], by_id);

        let record = |notes: &str| record_of("internal", number, json!({"customer_ref": "ref", "agent_notes": notes}));
        let ends = ends_of(&[record("n"), record("corrected")], &[INTERNAL]).await;
        let standalone = json!({"customer_ref": "ref"});
        assert_eq!((&ends[0]["customer_ref"], &ends[1]["identity_hints"]), (&json!("ref"), &standalone));
        let with_id = json!({"customer_id": "C-7", "lookup_status": "skipped", "agent_notes": "n"});
        let ends = ends_of(&[record_of("internal", number, with_id)], &[INTERNAL]).await;
        assert_eq!(ends[0]["identity_hints"], by_id);
    }
}

#[tokio::test]
async fn a_guide_saves_its_call_for_the_number_that_the_call_stored() {
    let guide = guide("the guide", "the call");
    let by_parameter = with_parameter(guide.clone(), "caller_number", NUMBER);
    assert_skipped(&mut stack(&[]).await, &by_parameter, "not_inbound").await;
    assert_skipped(&mut stack(&[]).await, &save(guide.clone()), "no_identity").await;
    for guide in [by_parameter, with_attribute(guide, "caller_number", NUMBER)] {
        let end = end_of(&save(guide), &[]).await;
        assert_eq!((&end["call_id"], &end["identity_hints"]), (&json!("the call"), &json!({"ani": NUMBER})));
    }
    // In every other contact only its own address counts.
    let copied = with_attribute(call("call", NUMBER), "caller_number", "+12025550188");
    assert_eq!(end_of(&save(copied), &[]).await["identity_hints"], json!({"ani": NUMBER}));
    let record = record_of("g", NUMBER, json!({"customer_ref": "ref", "agent_notes": "n"}));
    let record = with(record, "SegmentAttributes/connect:Subtype/ValueString", "connect:Guide");
    assert_eq!(ends_of(&[record], &[ALL_RECORDS]).await, [Value::Null; 0]);
}

#[tokio::test]
async fn a_listener_or_a_third_party_is_not_taken_for_the_customer() {
    for method in ["MONITOR", "EXTERNAL_OUTBOUND"] {
        let how = [("InitiationMethod", method), ("InitialContactId", "main")];
        let leg = of(with_attribute(call("leg", NUMBER), "customer_ref", "ref"), &how);
        let mut stack = stack(&[ALL_RECORDS]).await;
        assert_skipped(&mut stack, &leg, "not_inbound").await;
        assert_skipped(&mut stack, &save(leg), "not_inbound").await;
        let written = json!({"customer_ref": "ref", "agent_notes": "n"});
        stream_records(&mut stack, &[like(record_of("leg", NUMBER, written), &how)]).await;
        assert_eq!(stack.api.received().len(), 0);
    }
}

#[tokio::test]
async fn a_simulated_contact_is_looked_up_but_not_saved_and_a_deleted_one_is_not_saved_again() {
    let test_type = json!({"connect:ValidationTestType": {"ValueString": "EXPERIENCE_VALIDATION"}});
    let simulated = with_attribute(call("test", NUMBER), "customer_ref", "ref");
    let simulated = with_contact(simulated, "SegmentAttributes", test_type.clone());
    let mut stack = stack(&[]).await;
    assert_skipped(&mut stack, &save(simulated.clone()), "simulated").await;
    assert_answer(&mut stack, &simulated, "new", "").await;
    let redacted =
        [json!({"ValueString": "Attributes"}), json!({"ValueList": []}), json!("x"), json!({}), json!(false)];
    let redacted = redacted.map(|value| json!({"connect:RedactedFields": value}));
    for segment in [&[test_type], &redacted[..]].concat() {
        let record = record_of("test", NUMBER, json!({"customer_ref": "ref", "agent_notes": "n"}));
        let record = with(record, "SegmentAttributes", segment.clone());
        assert_eq!(ends_of(&[record], &[ALL_RECORDS]).await, [Value::Null; 0], "{segment}");
    }
}

#[tokio::test]
async fn a_caller_without_a_reference_whose_lookup_was_tried_is_saved_by_number_and_id() {
    for status in ["unavailable", "skipped", "new", "matched"] {
        let tried = json!({"customer_ref": "", "lookup_status": status, "customer_id": "C-7", "call_summary": "s"});
        let ends = ends_of(&[record_of("call", NUMBER, tried)], &[]).await;
        assert_eq!(ends[0]["identity_hints"], json!({"ani": NUMBER, "external_ids": {"customer_id": "C-7"}}));
    }
    for never_asked in [json!({}), json!({"lookup_status": " "}), json!({"customer_ref": "null"})] {
        let record = record_of("call", NUMBER, with(never_asked, "call_summary", "s"));
        assert_eq!(ends_of(&[record], &[]).await, [Value::Null; 0]);
    }
}

/// The record, as that of a segment in which the customer opted out.
fn opted_out(record: Value) -> Value {
    like(record, &[("Attributes/sticky_calls_opt_out", "yes"), ("Attributes/call_summary", "")])
}

#[tokio::test]
async fn an_opt_out_in_one_record_of_a_call_applies_to_all_its_records_in_the_batch() {
    let ([first, second], _) = warm_transfer();
    let other = record_of("other", NUMBER, json!({"customer_ref": "ref", "agent_notes": "of another call"}));
    for batch in [
        [opted_out(first.clone()), second.clone(), other.clone()],
        [first.clone(), other.clone(), opted_out(second.clone())],
        [second, other, with(opted_out(first), "Attributes/customer_ref", "")],
    ] {
        let mut stack = stack(&[]).await;
        stream_records(&mut stack, &batch).await;
        assert_eq!(stack.only_request()["call_id"], "other");
    }
}

#[tokio::test]
async fn an_opt_out_applies_to_the_calls_messages_in_the_outbox_too() {
    let aws = Aws::in_memory().await;
    let mut stack = Stack::start_in(BOOTSTRAP, &aws, &[QUEUE, TABLE]).await;
    let by_flow = with_parameters(call("one", NUMBER), &[SAVE, ("sticky_calls_opt_out", "on")]);
    let by_record = stream(&[opted_out(record_of("two", NUMBER, json!({"customer_ref": "ref"})))]);
    for (id, opt_out) in [("one", by_flow), ("two", by_record), ("three", json!({}))] {
        stack.api.fail_always(Some(Fault::status(503)));
        assert_answer(&mut stack, &save(call(id, NUMBER)), "queued", "server_error").await;
        let silent = of(with_parameter(call(id, NUMBER), "action", "save"), &[("InitiationMethod", "DISCONNECT")]);
        assert_answer(&mut stack, &silent, "deferred", "").await;
        stack.api.fail_always(None);
        stack.invoke(&opt_out).await;
    }
    let bodies: Vec<_> = aws.messages().iter().map(|sent| sent["MessageBody"].as_str().unwrap().to_owned()).collect();
    assert_eq!(bodies.len(), 6);
    assert_eq!(stack.invoke(&queue(&bodies)).await, json!({"batchItemFailures": []}));
    let told = told(&stack.api);
    assert!(!told.is_empty() && told.iter().all(|[id, ..]| id.starts_with("three")), "{told:?}");
}
