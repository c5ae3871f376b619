//! The modules in flows of other people: one block before the menu, one in the disconnect flow.

use super::*;

/// A block of a contact centre's own flow.
fn block(identifier: &str, action_type: &str, parameters: Value, next: &str, errors: &[&str]) -> Value {
    let errors: Vec<_> = errors.iter().map(|error| json!({"ErrorType": error, "NextAction": next})).collect();
    json!({
        "Identifier": identifier, "Type": action_type, "Parameters": parameters,
        "Transitions": {"NextAction": next, "Errors": errors},
    })
}

fn module(identifier: &str, module: &str, next: &str) -> Value {
    let parameters = json!({"FlowModuleId": format!("arn:aws:connect:r:1:instance/i/flow-module/{module}")});
    block(identifier, "InvokeFlowModule", parameters, next, &["NoMatchingError", "NoMatchingCondition"])
}

fn message(identifier: &str, text: &str, next: &str) -> Value {
    block(identifier, "MessageParticipant", json!({"Text": text}), next, &["NoMatchingError"])
}

fn end(identifier: &str) -> Value {
    json!({"Identifier": identifier, "Type": "DisconnectParticipant", "Parameters": {}, "Transitions": {}})
}

fn flow(actions: Vec<Value>) -> Value {
    json!({
        "Version": "2019-10-30", "StartAction": actions[0]["Identifier"], "Actions": actions,
        "Metadata": {"type": "contactFlow"},
    })
}

/// A contact centre whose own flows have one block of ours each. Its inbound flow greets, tells what it knows, and puts
/// the caller into a queue.
async fn their_centre(customers: &[Customer]) -> ContactCentre {
    with_their_flows(centre_that_knows(customers).await)
}

fn with_their_flows(mut centre: ContactCentre) -> ContactCentre {
    let hook =
        json!({"EventHooks": {"CustomerRemaining": "arn:aws:connect:r:1:instance/i/contact-flow/their-disconnect"}});
    let queue = json!({"QueueId": "arn:aws:connect:r:1:instance/i/queue/theirs"});
    centre.import(
        "their-inbound",
        &flow(vec![
            message("Hello", "This is Example Ltd.", "Memory"),
            module("Memory", "identify", "Hook"),
            block("Hook", "UpdateContactEventHooks", hook, "Menu", &["NoMatchingError"]),
            message("Menu", "For anything, hold the line.", "Queue"),
            block("Queue", "UpdateContactTargetQueue", queue, "Transfer", &["NoMatchingError"]),
            block("Transfer", "TransferContactToQueue", json!({}), "End", &["QueueAtCapacity", "NoMatchingError"]),
            end("End"),
        ]),
    );
    centre.import(
        "their-disconnect",
        &flow(vec![module("Memory", "save", "Bye"), message("Bye", "Goodbye from Example Ltd.", "End"), end("End")]),
    );
    centre.import(
        "their-transfer",
        &flow(vec![module("Memory", "identify", "Bye"), message("Bye", "One moment.", "End"), end("End")]),
    );
    centre
}

fn from_john() -> Caller {
    super::from_john().through("their-inbound")
}

#[tokio::test]
async fn one_block_before_the_menu_and_one_in_the_disconnect_flow_give_a_flow_a_memory() {
    for missing_values_fail in [false, true] {
        let mut centre = their_centre(&[john()]).await;
        centre.missing_values_fail = missing_values_fail;
        let mut call = centre.call(from_john().bringing("call_summary", "Wants a copy")).await;
        assert_eq!(call.heard(), ["This is Example Ltd.", "For anything, hold the line."]);
        assert_eq!(call.queue(), Some(("theirs", 5)));
        let expected = [
            ("customer_ref", "cust_john"),
            ("lookup_status", "matched"),
            ("is_returning_caller", "true"),
            ("confidence", "0.9"),
            ("last_issue", "Invoice 4711 charges the setup fee twice"),
            ("last_issue_source", "call_summary"),
            ("open_intent", "billing_issue"),
            ("caller_number", "+12025550102"),
            ("customer_name", "John Doe"),
            ("last_resolution", "Asked accounting"),
        ];
        assert_eq!(expected.map(|(name, _)| (name, call.attribute(name))), expected);
        assert!(call.attribute("customer_context").starts_with("Returning caller: John Doe"));
        assert_eq!(call.attribute("call_id"), call.contact().id);
        centre.agent_answers(&mut call).await;
        centre.agent_leaves(&mut call).await;
        assert_eq!(call.heard().last(), Some(&"Goodbye from Example Ltd."));
        assert_eq!(words(&centre), ["cust_john: general_inquiry resolved, Wants a copy"]);
        assert!(call.attribute("sticky_calls_saved").starts_with(&call.contacts[0].id));
        centre.stream_records(&call).await;
        assert_eq!(ends_told(&centre), 1, "the record is not saved again");
    }
}

/// The steps of the README for a newcomer.
#[tokio::test]
async fn who_calls_twice_through_a_flow_with_the_module_is_known_the_second_time() {
    let trial = ContactCentre::open_with_outbox(BOOTSTRAP, &[("STICKY_CALLS_RETURNING_THRESHOLD", "0.4")]).await;
    let mut centre = with_their_flows(trial);
    let newcomer = || Caller::from("+12025550177").through("their-inbound");
    let first = centre.call(newcomer()).await;
    assert_eq!(first.attribute("lookup_status"), "new");
    let second = centre.call(newcomer()).await;
    assert_eq!(second.attribute("lookup_status"), "matched");
    assert!(second.attribute("customer_context").starts_with("Returning caller, "), "{second:?}");
}

#[tokio::test]
async fn a_call_that_nobody_wrote_about_keeps_the_mark_of_earlier_words() {
    let mut centre = their_centre(&[john()]).await;
    let mut call = centre.call(from_john().bringing("sticky_calls_saved", "earlier.0123456789abcdef")).await;
    centre.agent_answers(&mut call).await;
    centre.agent_leaves(&mut call).await;
    assert_eq!(call.attribute("sticky_calls_saved"), "earlier.0123456789abcdef");
}

/// The attributes of an earlier lookup of the same call.
const KNOWN: [(&str, &str); 4] = [
    ("customer_ref", "cust_stored"),
    ("is_returning_caller", "true"),
    ("last_issue", "A wrong invoice"),
    ("customer_context", "Returning caller"),
];

#[tokio::test]
async fn a_lookup_without_an_answer_wipes_nothing() {
    let stored = KNOWN.iter().fold(from_john(), |caller, (name, value)| caller.bringing(name, value));
    let anonymous = KNOWN[1..]
        .iter()
        .fold(Caller::anonymous().through("their-inbound"), |caller, (name, value)| caller.bringing(name, value));
    for (caller, fault, status, reason) in [
        (stored.clone(), Some(Fault::status(503)), "unavailable", "server_error"),
        (stored.bringing("sticky_calls_opt_out", "yes"), None, "skipped", "opted_out"),
        (anonymous, None, "skipped", "no_identity"),
    ] {
        let mut centre = their_centre(&[john()]).await;
        centre.api.fail_always(fault);
        let before = centre.call(caller.clone().hanging_up_after(1)).await.contact().attributes.clone();
        let call = centre.call(caller).await;
        let caller_has_number = call.contact().number.is_some();
        let told = ["lookup_status", "lookup_reason", "call_id"].map(|name| call.attribute(name));
        assert_eq!(told, [status, reason, &call.contact().id]);
        let new: Vec<_> =
            call.contact().attributes.iter().filter(|(name, value)| before.get(*name) != Some(value)).collect();
        let names: Vec<_> = new.iter().map(|(name, _)| name.as_str()).collect();
        let number = caller_has_number.then_some("caller_number");
        let expected = ["call_id", "call_start"].into_iter().chain(number).chain(["lookup_reason", "lookup_status"]);
        assert_eq!(names, expected.collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn the_module_stores_nothing_for_a_contact_that_is_not_the_callers_first() {
    let mut centre = their_centre(&[john()]).await;
    let mut call = centre.call(from_john()).await;
    centre.agent_answers(&mut call).await;
    centre.transfer(&mut call, "theirs");
    let before = call.contact().attributes.clone();
    centre.run_flow(&mut call, "their-transfer").await;
    assert_eq!(call.contact().attributes, before);
}

/// A linked contact has a copy of another contact's attributes.
#[tokio::test]
async fn what_was_copied_from_another_contact_is_not_believed_if_lambda_refuses_the_lookup() {
    let mut centre = centre_that_knows(&[john()]).await;
    centre.functions_fail = true;
    let copied = [
        ("lookup_status", "matched"),
        ("last_issue", "A secret"),
        ("last_issue_source", "call_summary"),
        ("confidence", "0.95"),
        ("customer_tier", "vip"),
    ];
    let caller = copied.iter().fold(super::from_john(), |caller, (name, value)| caller.bringing(name, value));
    let call = centre.call(caller.pressing("1")).await;
    assert_eq!((call.heard(), call.queue()), (vec![greeting(), menu()], Some(("billing", 5))));
    assert_eq!(call.attribute("lookup_status"), "unavailable");
}

#[tokio::test]
async fn a_lookup_that_lambda_refuses_is_noted_so_that_the_record_is_saved() {
    let mut centre = their_centre(&[john()]).await;
    centre.functions_fail = true;
    let call = centre.call(from_john()).await;
    assert_eq!((call.attribute("lookup_status"), call.attribute("caller_number")), ("unavailable", "+12025550102"));
    centre.functions_fail = false;
    centre.stream_records(&call).await;
    assert_eq!(ends(&centre).len(), 1);
}

#[tokio::test]
async fn the_callers_flow_goes_on_whichever_block_of_a_module_fails() {
    let mut centre = their_centre(&[john()]).await;
    let failures = [centre.failures("identify"), centre.failures("save")].concat();
    assert!(failures.len() > 10, "{failures:?}");
    for failure in failures {
        for (caller, missing_values_fail) in
            [(from_john(), false), (Caller::in_chat("C-1002").through("their-inbound"), true)]
        {
            (centre.broken, centre.missing_values_fail) = (Some(failure.clone()), missing_values_fail);
            let mut call = centre.call(caller).await;
            assert_eq!(call.queue(), Some(("theirs", 5)), "{failure:?}");
            centre.agent_answers(&mut call).await;
            centre.agent_leaves(&mut call).await;
            assert_eq!(call.heard().last(), Some(&"Goodbye from Example Ltd."), "{failure:?}");
        }
    }
}

/// Whether Contact Lens will summarise the call or chat.
fn is_summarised(call: &Call) -> bool {
    call.moments.contains(&Moment::WillBeSummarised)
}

#[tokio::test]
async fn contact_lens_summarises_only_if_it_is_switched_on_and_the_caller_agrees() {
    let consent = prompt("contact-lens", "Ask for consent");
    let mut centre = centre().await;
    let call = centre.call(Caller::from("+12025550171").pressing("1")).await;
    assert!(!is_summarised(&call) && !call.heard().contains(&consent));
    centre.set("ContactLens", "Enabled");
    for (keys, agrees) in [("11", true), ("12", false), ("1-", false), ("19", false)] {
        let call = centre.call(Caller::from("+12025550172").pressing(keys)).await;
        assert_eq!(call.heard().last(), Some(&consent));
        assert_eq!((is_summarised(&call), call.queue()), (agrees, Some(("billing", 5))), "{keys}");
        // A flow of the contact centre's own may have switched recording on before.
        assert_eq!(call.moments.contains(&Moment::WillNotBeRecorded), !agrees, "{keys}");
    }
    let chat = centre.call(Caller::in_chat("C-9")).await;
    assert!(is_summarised(&chat));
    assert_eq!(chat.heard().last(), Some(&prompt("contact-lens", "Tell the customer")));
}

#[tokio::test]
async fn a_callback_is_summarised_if_the_caller_agreed_and_nobody_is_asked_twice() {
    let mut centre = centre().await;
    centre.set("ContactLens", "Enabled");
    let mut call = centre.call(Caller::from("+12025550172").pressing("11")).await;
    centre.wait(&mut call, Duration::from_secs(130), "1").await;
    let summarised = call.moments.iter().filter(|moment| **moment == Moment::WillBeSummarised).count();
    assert_eq!((summarised, call.callback().is_some()), (2, true));
    let refused = centre.call(Caller::from("+12025550173").bringing("contact_lens_consent", "no").pressing("1")).await;
    assert!(!refused.heard().contains(&prompt("contact-lens", "Ask for consent")));
    assert!(!is_summarised(&refused));
}
