//! Whole calls, played through the contact flows and the real functions: what callers hear, which queue they get to,
//! what agents see, and what the API gets.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may panic"
)]

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use stand_ins::aws::Aws;
use stand_ins::contact_centre::{Call, Callback, Caller, ContactCentre, Failure, Moment, WrapUp};
use stand_ins::flows::prompt;
use stand_ins::sticky_calls::{Customer, Fault};

const BOOTSTRAP: &str = env!("CARGO_BIN_EXE_bootstrap");

fn greeting() -> &'static str {
    prompt("inbound", "Greet")
}

fn menu() -> &'static str {
    prompt("inbound", "Menu")
}

fn same_issue() -> &'static str {
    prompt("inbound", "Same issue")
}

fn full() -> &'static str {
    prompt("inbound", "Offer a callback")
}

fn promise() -> &'static str {
    prompt("inbound", "Promise a callback")
}

fn apology() -> &'static str {
    prompt("inbound", "Apologise")
}

/// The welcome that says what the last call was about.
fn welcome(last_issue: &str) -> String {
    prompt("inbound", "Welcome back with the last issue").replace("$.External.last_issue", last_issue)
}

const SETTLED: WrapUp = WrapUp { summary: "Credit note was missing", notes: "Sent it by e-mail", status: "resolved" };

/// What the API gets for it, for John's open intent.
const JOHN_SETTLED: &str = "cust_john: billing_issue resolved, Credit note was missing";

/// A contact centre as the template sets it up. The API knows no customer.
async fn centre() -> ContactCentre {
    ContactCentre::open_with_outbox(BOOTSTRAP, &[]).await
}

/// The same, with these customers.
async fn centre_that_knows(customers: &[Customer]) -> ContactCentre {
    let centre = centre().await;
    customers.iter().cloned().for_each(|customer| centre.api.remember(customer));
    centre
}

/// Two that know John, one without and one with an outbox. The API must get the same words from both.
async fn centres_that_know_john() -> [ContactCentre; 2] {
    let without_outbox = ContactCentre::open(BOOTSTRAP, &[]).await;
    without_outbox.api.remember(john());
    [centre_that_knows(&[john()]).await, without_outbox]
}

/// A customer with a number, an id, an open billing issue and a summary of the last call.
fn john() -> Customer {
    let variables = [
        ("last_issue", "Invoice 4711 charges the setup fee twice"),
        ("last_issue_source", "call_summary"),
        ("resolution", "Asked accounting"),
        ("call_date", "2026-01-30T09:15:00.000Z"),
        ("name", "John Doe"),
    ];
    Customer {
        customer_ref: "cust_john".to_owned(),
        ani: Some("+12025550102".to_owned()),
        external_ids: owned(&[("customer_id", "C-1002")]),
        open_intents: vec![("billing_issue".to_owned(), 2)],
        variables: owned(&variables),
    }
}

fn owned(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// John, with other variables.
fn john_with(variables: &[(&str, &str)]) -> Customer {
    let mut john = john();
    john.variables.extend(owned(variables));
    john
}

/// John, with this open intent.
fn john_about(intent: &str) -> Customer {
    Customer { open_intents: vec![(intent.to_owned(), 1)], ..john() }
}

/// A call from John's number, with his id from the shop's CRM.
fn from_john() -> Caller {
    Caller::from("+12025550102").known_as("C-1002")
}

/// A customer with an open intent, and a last issue from this source.
fn somebody(customer_ref: &str, number: &str, customer_id: &str, intent: &str, source: &str) -> Customer {
    Customer {
        customer_ref: customer_ref.to_owned(),
        ani: Some(number.to_owned()),
        external_ids: owned(&[("customer_id", customer_id)]),
        open_intents: vec![(intent.to_owned(), 1)],
        variables: owned(&[("last_issue", "A wrong invoice"), ("last_issue_source", source)]),
    }
}

/// The ends that the API took, one line for each.
fn ends(centre: &ContactCentre) -> Vec<String> {
    let text = |end: &Value, names: &[&str]| {
        let text = names.iter().find_map(|name| end.pointer(name)?.as_str());
        text.unwrap_or("-").to_owned()
    };
    let line = |end: &Value| {
        let customer = text(end, &["/customer_ref", "/identity_hints/customer_ref", "/identity_hints/ani"]);
        let (intent, status) = (text(end, &["/intent"]), text(end, &["/intent_status"]));
        format!("{customer}: {intent} {status}, {}", text(end, &["/variables/last_issue"]))
    };
    centre.api.ended().iter().map(line).collect()
}

/// Those with words.
fn words(centre: &ContactCentre) -> Vec<String> {
    ends(centre).into_iter().filter(|end| !end.ends_with(", -")).collect()
}

/// How many ends were sent to the API, taken or not.
fn ends_told(centre: &ContactCentre) -> usize {
    centre.api.received().iter().filter(|request| request.path == "/v1/calls/end").count()
}

/// Whether the caller got into a queue, got a callback or heard a goodbye. A call must never just end.
fn was_served(call: &Call) -> bool {
    let was_told = call.heard().last().is_some_and(|text| text.ends_with("Goodbye."));
    call.queue().is_some() || was_told
}

#[tokio::test]
async fn a_first_time_caller_chooses_from_the_menu_and_the_agent_learns_that_it_is_the_first_call() {
    let mut centre = centre().await;
    let mut call = centre.call(Caller::from("+12025550177").pressing("1")).await;
    assert_eq!(call.heard(), [greeting(), menu()]);
    assert_eq!(call.queue(), Some(("billing", 5)));
    let attributes =
        ["lookup_status", "customer_context", "intent", "intent_status", "caller_confidence", "customer_ref"];
    let reference = &centre.api.customers()[0].customer_ref;
    assert_eq!(
        attributes.map(|name| call.attribute(name)),
        ["new", "First call", "billing_issue", "open", "0.0", reference]
    );
    assert_eq!(call.attribute("call_id"), call.contact().id);

    centre.agent_answers(&mut call).await;
    assert_eq!(call.agent_saw()[0]["Description"], "First call");
    centre.agent_leaves(&mut call).await;
    assert_eq!(call.heard().last(), Some(&prompt("disconnect", "Say goodbye")));
    assert_eq!(ends(&centre), [""; 0], "somebody may be writing");
    let open = WrapUp { summary: "Invoice 4711 charges the setup fee twice", notes: "", status: "open" };
    centre.wrap_up(&mut call, Some(open)).await;
    centre.stream_records(&call).await;
    let expected = [format!("{reference}: billing_issue open, Invoice 4711 charges the setup fee twice")];
    assert_eq!((ends(&centre), ends_told(&centre)), (expected.to_vec(), 1), "the record is not saved again");
    assert_eq!(centre.deliver_outbox().await, 1);
    assert_eq!(ends(&centre), expected, "the end without words changed nothing");
}

#[tokio::test]
async fn the_callers_choice_becomes_the_open_intent_and_leads_to_its_queue() {
    let mut centre = centre().await;
    let choices =
        [("1", "billing_issue", "billing"), ("2", "technical_support", "technical_support"), ("3", "sales", "sales")];
    for (key, intent, queue) in choices {
        let call = centre.call(Caller::anonymous().pressing(key)).await;
        assert_eq!(call.queue(), Some((queue, 5)));
        assert_eq!((call.attribute("intent"), call.attribute("intent_status")), (intent, "open"));
    }
}

#[tokio::test]
async fn a_returning_caller_is_welcomed_back_with_the_open_billing_issue_and_gets_priority() {
    let mut centre = centre_that_knows(&[john()]).await;
    let mut call = centre.call(from_john().pressing("1")).await;
    let welcome = welcome("Invoice 4711 charges the setup fee twice");
    assert_eq!(call.heard(), [greeting(), &welcome, same_issue()]);
    assert_eq!(call.queue(), Some(("billing", 2)));
    let attributes =
        ["lookup_status", "customer_context", "intent", "intent_status", "caller_confidence", "customer_ref"];
    let expected = ["matched", "Returning caller", "billing_issue", "open", "0.9", "cust_john"];
    assert_eq!(attributes.map(|name| call.attribute(name)), expected);

    centre.agent_answers(&mut call).await;
    let guide = call.agent_saw()[0].to_string();
    for shown in [
        "John Doe",
        "Returning caller",
        "0.9",
        "Last issue: Invoice 4711 charges the setup fee twice",
        "Last resolution: Asked accounting",
        "Last call: 2026-01-30T09:15:00.000Z",
        "Open intent: billing_issue",
        "Attempts so far: 2",
        "https://crm.example.com/customers/C-1002",
    ] {
        assert!(guide.contains(shown), "{shown}: {guide}");
    }
    centre.wrap_up(&mut call, Some(SETTLED)).await;
    assert_eq!(ends(&centre), [JOHN_SETTLED]);
    assert_eq!(centre.api.customers()[0].open_intents, [], "only the wrap-up resolves it");
}

/// The steps of the README for a newcomer.
#[tokio::test]
async fn with_a_lower_threshold_a_caller_is_welcomed_back_by_number_alone() {
    let trial = [("STICKY_CALLS_RETURNING_THRESHOLD", "0.4")];
    let mut centre = ContactCentre::open_with_outbox(BOOTSTRAP, &trial).await;
    let newcomer = || Caller::from("+12025550177").pressing("1");
    let mut call = centre.call(newcomer()).await;
    centre.agent_answers(&mut call).await;
    assert_eq!(call.agent_saw()[0]["Description"], "First call");
    centre.agent_leaves(&mut call).await;
    centre.wrap_up(&mut call, Some(WrapUp { summary: "Try it out", notes: "", status: "open" })).await;
    let mut again = centre.call(newcomer()).await;
    assert_eq!(again.heard()[1], welcome("Try it out"));
    assert_eq!(again.queue(), Some(("billing", 2)));
    centre.agent_answers(&mut again).await;
    assert!(again.agent_saw()[0].to_string().contains("Last issue: Try it out"));
}

#[tokio::test]
async fn a_returning_caller_who_calls_about_something_else_gets_the_menu_and_no_priority() {
    let mut centre = centre_that_knows(&[john()]).await;
    for keys in ["23", "93"] {
        let call = centre.call(from_john().pressing(keys)).await;
        assert_eq!(call.heard()[2..], [same_issue(), menu()]);
        assert_eq!((call.queue(), call.attribute("intent")), (Some(("sales", 5)), "sales"));
    }
}

#[tokio::test]
async fn a_returning_caller_who_presses_nothing_gets_to_the_queue_of_the_open_intent() {
    let mut centre = centre_that_knows(&[john()]).await;
    let call = centre.call(from_john()).await;
    assert!(call.moments.contains(&Moment::DoesNotAnswer));
    assert_eq!((call.queue(), call.attribute("intent")), (Some(("billing", 2)), "billing_issue"));
}

#[tokio::test]
async fn every_open_intent_with_a_queue_is_spoken_by_its_label_and_routed_to_its_queue() {
    let labels = [
        ("billing_issue", "Welcome back with billing", "billing"),
        ("technical_support", "Welcome back with technical support", "technical_support"),
        ("escalation", "Welcome back with an escalation", "escalation"),
    ];
    for (intent, welcome, queue) in labels {
        let mut john = john_with(&[("last_issue_source", "agent_notes")]);
        john.open_intents = vec![(intent.to_owned(), 1)];
        let mut centre = centre_that_knows(&[john]).await;
        let call = centre.call(from_john().pressing("1")).await;
        assert_eq!(call.heard(), [greeting(), prompt("inbound", welcome), same_issue()]);
        assert_eq!((call.queue(), call.attribute("intent")), (Some((queue, 2)), intent));
    }
}

#[tokio::test]
async fn an_agents_notes_are_never_read_to_the_caller() {
    let mut john = john_with(&[("last_issue_source", "agent_notes"), ("last_issue", "Difficult customer")]);
    john.open_intents.clear();
    let mut centre = centre_that_knows(&[john]).await;
    let mut call = centre.call(from_john().pressing("2")).await;
    assert_eq!(call.heard(), [greeting(), prompt("inbound", "Welcome back"), menu()]);
    assert_eq!(call.queue(), Some(("technical_support", 5)));
    centre.agent_answers(&mut call).await;
    assert!(call.agent_saw()[0].to_string().contains("Last issue: Difficult customer"), "the agent reads them");
}

#[tokio::test]
async fn the_filler_of_an_earlier_call_is_not_read_to_the_caller() {
    let john = john_with(&[("last_issue", "Customer called for support")]);
    let mut centre = centre_that_knows(&[john]).await;
    let call = centre.call(from_john().pressing("1")).await;
    assert_eq!(call.heard()[1], prompt("inbound", "Welcome back with billing"));
}

#[tokio::test]
async fn a_last_issue_that_the_caller_calls_about_again_becomes_an_open_intent() {
    let mut john = john();
    john.open_intents.clear();
    let mut centre = centre_that_knows(&[john]).await;
    let call = centre.call(from_john().pressing("1")).await;
    assert_eq!((call.queue(), call.attribute("intent")), (Some(("general", 5)), "general_inquiry"));
    assert_eq!(call.attribute("intent_status"), "open");
}

#[tokio::test]
async fn an_open_intent_without_a_queue_goes_to_the_general_queue_with_priority() {
    let mut centre = centre_that_knows(&[john_about("refund_request")]).await;
    let call = centre.call(from_john().pressing("1")).await;
    assert_eq!((call.queue(), call.attribute("intent")), (Some(("general", 2)), "refund_request"));
    let silent = centre.call(from_john().pressing("-3")).await;
    assert_eq!((silent.heard()[3], silent.queue()), (menu(), Some(("sales", 5))));
}

#[tokio::test]
async fn an_unconfirmed_caller_hears_nothing_personal_and_is_routed_by_the_open_intent() {
    let mut centre = centre_that_knows(&[john()]).await;
    let mut call = centre.call(Caller::from("+12025550102")).await;
    assert_eq!(call.heard(), [greeting(), prompt("inbound", "Greet softly")]);
    assert_eq!((call.queue(), call.attribute("intent")), (Some(("billing", 2)), "billing_issue"));
    assert_eq!(call.attribute("lookup_status"), "unconfirmed");
    centre.agent_answers(&mut call).await;
    assert!(call.agent_saw()[0]["Description"].as_str().unwrap().contains("not confirmed"));
    assert!(call.agent_saw()[0].to_string().contains("Last issue: Invoice 4711"), "the agent may know");
}

#[tokio::test]
async fn an_unconfirmed_caller_gets_to_the_queue_of_the_open_intent_or_hears_the_menu_if_it_has_none() {
    for (intent, queue) in [("technical_support", "technical_support"), ("escalation", "escalation")] {
        let mut centre = centre_that_knows(&[john_about(intent)]).await;
        let call = centre.call(Caller::from("+12025550102")).await;
        assert_eq!((call.queue(), call.attribute("intent")), (Some((queue, 2)), intent));
    }
    let mut centre = centre_that_knows(&[john_about("refund_request")]).await;
    let call = centre.call(Caller::from("+12025550102").pressing("3")).await;
    assert_eq!((call.heard()[2], call.queue()), (menu(), Some(("sales", 5))));
}

#[tokio::test]
async fn an_unconfirmed_caller_without_an_open_intent_chooses_from_the_menu() {
    let mut john = john();
    john.open_intents.clear();
    let mut centre = centre_that_knows(&[john]).await;
    let call = centre.call(Caller::from("+12025550102").pressing("3")).await;
    assert_eq!(call.heard(), [greeting(), prompt("inbound", "Greet softly"), menu()]);
    assert_eq!(call.queue(), Some(("sales", 5)));
}

#[tokio::test]
async fn a_vip_goes_to_the_vip_queue_at_the_highest_priority() {
    let by_tier = john_with(&[("tier", "vip")]);
    let by_reference = Customer { customer_ref: "vip_john".to_owned(), ..john() };
    for vip in [by_tier, by_reference] {
        let mut centre = centre_that_knows(&[vip]).await;
        let call = centre.call(from_john().pressing("1")).await;
        assert_eq!((call.queue(), call.attribute("intent")), (Some(("vip", 1)), "billing_issue"));
        let elsewhere = centre.call(from_john().pressing("22")).await;
        assert_eq!((elsewhere.queue(), elsewhere.attribute("intent")), (Some(("vip", 1)), "technical_support"));
    }
}

#[tokio::test]
async fn only_a_confirmed_vip_gets_to_the_vip_queue() {
    let mut centre = centre_that_knows(&[john_with(&[("tier", "vip")])]).await;
    let call = centre.call(Caller::from("+12025550102")).await;
    assert_eq!(call.queue(), Some(("billing", 2)));
    let somebody = john_with(&[("tier", "gold")]);
    let mut centre = centre_that_knows(&[somebody]).await;
    assert_eq!(centre.call(from_john()).await.queue(), Some(("billing", 2)));
}

#[tokio::test]
async fn an_anonymous_caller_is_served_like_others_and_nothing_is_saved() {
    let mut centre = centre().await;
    let mut call = centre.call(Caller::anonymous().pressing("2")).await;
    assert_eq!(call.heard(), [greeting(), menu()]);
    assert_eq!(call.queue(), Some(("technical_support", 5)));
    assert_eq!(["customer_ref", "lookup_status", "caller_confidence"].map(|name| call.attribute(name)), [""; 3]);
    centre.agent_answers(&mut call).await;
    assert!(call.agent_saw()[0]["Description"].as_str().unwrap().starts_with("Not known"));
    centre.agent_leaves(&mut call).await;
    centre.wrap_up(&mut call, Some(SETTLED)).await;
    assert_eq!(call.agent_read(), [""; 0], "nothing went wrong");
    centre.stream_records(&call).await;
    assert_eq!((centre.api.received().len(), centre.deliver_outbox().await), (0, 0));
}

#[tokio::test]
async fn with_the_api_down_callers_are_served_and_keep_the_attributes_of_earlier_flows() {
    for fault in [Fault::status(503), Fault::status(401), Fault::status(402), Fault::Reset, Fault::CutBody] {
        let mut centre = centre_that_knows(&[john()]).await;
        centre.api.fail_always(Some(fault));
        let call = centre.call(from_john().bringing("customer_ref", "cust_stored").pressing("1")).await;
        assert_eq!(call.heard(), [greeting(), menu()]);
        assert_eq!(call.queue(), Some(("billing", 5)));
        assert_eq!(call.attribute("customer_ref"), "cust_stored");
        assert_eq!((call.attribute("lookup_status"), call.attribute("call_id")), ("unavailable", &*call.contact().id));
        assert!(!call.attribute("lookup_reason").is_empty() && !call.attribute("call_start").is_empty());
    }
}

#[tokio::test]
async fn if_the_lookup_failed_the_agents_words_are_saved_by_number_and_id() {
    for mut centre in centres_that_know_john().await {
        centre.api.fail_always(Some(Fault::status(503)));
        let mut call = centre.call(from_john().pressing("1")).await;
        centre.agent_answers(&mut call).await;
        centre.api.fail_always(None);
        centre.agent_leaves(&mut call).await;
        centre.wrap_up(&mut call, Some(SETTLED)).await;
        centre.stream_records(&call).await;
        centre.deliver_outbox().await;
        assert_eq!(words(&centre), ["+12025550102: billing_issue resolved, Credit note was missing"]);
        assert_eq!(centre.api.customers().len(), 1);
        assert_eq!(centre.api.customers()[0].variables["last_issue"], SETTLED.summary);
    }
}

#[tokio::test]
async fn if_lambda_refused_the_lookup_the_call_is_saved_by_the_contact_record() {
    let mut centre = centre_that_knows(&[john()]).await;
    centre.functions_fail = true;
    let call = centre.call(from_john().pressing("1")).await;
    centre.functions_fail = false;
    assert_eq!(call.attribute("lookup_status"), "unavailable");
    centre.stream_records(&call).await;
    assert_eq!(ends(&centre), ["+12025550102: billing_issue open, -"]);
    assert_eq!(centre.api.ended()[0]["call_id"], *call.contact().id);
}

#[tokio::test]
async fn with_the_api_hanging_the_caller_waits_no_longer_than_the_budget() {
    let mut centre = ContactCentre::open_with_outbox(BOOTSTRAP, &[("STICKY_CALLS_TIMEOUT_MS", "300")]).await;
    centre.api.fail_always(Some(Fault::Hang));
    let call = centre.call(from_john().pressing("1")).await;
    assert_eq!((call.heard(), call.queue()), (vec![greeting(), menu()], Some(("billing", 5))));
    let silence = call.moments.iter().find_map(|moment| match moment {
        Moment::WaitsInSilence(silence) => Some(*silence),
        _ => None,
    });
    assert!(silence.unwrap() < Duration::from_secs(2), "{silence:?}");
}

#[tokio::test]
async fn if_lambda_refuses_every_invocation_callers_are_served_and_the_agent_can_hang_up() {
    let mut centre = centre_that_knows(&[john()]).await;
    centre.functions_fail = true;
    let mut call = centre.call(from_john().pressing("1")).await;
    assert_eq!((call.heard(), call.queue()), (vec![greeting(), menu()], Some(("billing", 5))));
    centre.agent_answers(&mut call).await;
    centre.agent_leaves(&mut call).await;
    assert_eq!(call.heard().last(), Some(&prompt("disconnect", "Say goodbye")));
    assert_eq!(call.attribute("sticky_calls_saved"), "");
}

#[tokio::test]
async fn every_caller_is_served_whichever_block_of_the_inbound_flow_fails() {
    let vip = somebody("vip_jane", "+12025550101", "C-1001", "billing_issue", "call_summary");
    let of_notes = |number: u32, intent: &str| {
        somebody(
            &format!("cust_{number}"),
            &format!("+120255503{number}"),
            &format!("C-3{number}"),
            intent,
            "agent_notes",
        )
    };
    let others = [of_notes(10, "billing_issue"), of_notes(11, "technical_support"), of_notes(12, "escalation")];
    let settled =
        Customer { open_intents: Vec::new(), ..somebody("cust_13", "+12025550313", "C-313", "", "call_summary") };
    let unnamed = of_notes(14, "refund_request");
    let mut centre = centre_that_knows(&[&[john(), vip, settled, unnamed], &others[..]].concat()).await;
    let callers = |new: usize| {
        let known = |number: &str, id: &str, keys: &str| Caller::from(number).known_as(id).pressing(keys);
        [
            Caller::from(&format!("+1202555{new:04}")).pressing("1"),
            Caller::anonymous().pressing("3"),
            Caller::anonymous().pressing("92"),
            from_john().pressing("1"),
            from_john().pressing("22"),
            from_john(),
            Caller::from("+12025550102"),
            known("+12025550101", "C-1001", "1"),
            known("+12025550310", "C-310", "1"),
            known("+12025550311", "C-311", "1"),
            known("+12025550312", "C-312", "1"),
            known("+12025550313", "C-313", "1"),
            known("+12025550314", "C-314", "1"),
            Caller::in_chat("C-1002"),
        ]
    };
    let failures = centre.failures("inbound");
    assert!(failures.len() > 35, "{failures:?}");
    for (number, failure) in failures.into_iter().enumerate() {
        centre.broken = Some(failure.clone());
        for caller in callers(1_000 + number) {
            let call = centre.call(caller.clone()).await;
            assert!(was_served(&call), "{failure:?}: {call:#?}");
            // Only without the last queue or the transfer itself the caller does not get into a queue.
            let is_last = ["General queue", "Transfer to queue"].contains(&failure.block.as_str());
            assert!(call.queue().is_some() || is_last, "{failure:?}: {:?}", call.heard());
        }
    }
}

#[tokio::test]
async fn the_agents_words_are_saved_once_or_twice_whichever_block_fails_at_the_end_of_the_call() {
    let failures = centre().await;
    let failures = [failures.failures("disconnect"), failures.failures("wrap-up")].concat();
    assert!(failures.len() > 12, "{failures:?}");
    for failure in failures {
        for mut centre in centres_that_know_john().await {
            let mut call = centre.call(from_john().pressing("1")).await;
            centre.agent_answers(&mut call).await;
            centre.broken = Some(failure.clone());
            centre.agent_leaves(&mut call).await;
            centre.wrap_up(&mut call, Some(SETTLED)).await;
            centre.broken = None;
            centre.stream_records(&call).await;
            centre.deliver_outbox().await;
            let variables: Vec<_> = centre.api.ended().iter().map(|end| end["variables"].clone()).collect();
            let times = |name: &str, text: &str| variables.iter().filter(|variables| variables[name] == text).count();
            let times = [times("last_issue", SETTLED.summary), times("resolution", SETTLED.notes)];
            // Without the form there is no text.
            match failure.block.as_str() {
                "Ask the agent" => assert_eq!((times, ends(&centre).len()), ([0, 0], 1)),
                block => assert!(times.iter().all(|times| (1..=2).contains(times)), "{block}: {times:?}"),
            }
        }
    }
}

#[tokio::test]
async fn a_call_without_words_in_which_the_caller_hangs_up_first_is_saved_once() {
    for mut centre in centres_that_know_john().await {
        let mut call = centre.call(from_john().pressing("1")).await;
        centre.agent_answers(&mut call).await;
        centre.wrap_up(&mut call, None).await;
        assert_eq!(call.agent_read(), [""; 0], "there was nothing to save");
        centre.stream_records(&call).await;
        // The record comes after the agent's wrap-up, so the end does not have to wait.
        assert_eq!(ends(&centre), ["cust_john: billing_issue open, -"]);
        centre.stream_records(&call).await;
        centre.deliver_outbox().await;
        assert_eq!(ends(&centre), ["cust_john: billing_issue open, -"]);
        let last_issue = &centre.api.customers()[0].variables["last_issue"];
        assert_eq!(last_issue, "Invoice 4711 charges the setup fee twice", "the last issue is not replaced");
    }
}

#[tokio::test]
async fn a_callback_that_does_not_reach_the_caller_is_saved_by_its_contact_record() {
    let mut centre = centre_that_knows(&[john()]).await;
    centre.full_queues.insert("billing".to_owned());
    let call = centre.call(from_john().pressing("11")).await;
    assert!(call.callback().is_some());
    centre.stream_records(&call).await;
    assert_eq!(ends(&centre), ["cust_john: billing_issue open, -"]);
    assert_eq!(centre.api.ended()[0]["call_id"], call.contacts[0].id.as_str());
}

#[tokio::test]
async fn a_call_that_is_abandoned_in_the_queue_is_saved_by_the_contact_record() {
    let mut centre = centre_that_knows(&[john()]).await;
    let call = centre.call(from_john().pressing("1")).await;
    centre.stream_records(&call).await;
    assert_eq!(ends(&centre), ["cust_john: billing_issue open, -"]);
}

#[tokio::test]
async fn words_from_a_flow_are_saved_when_the_agent_leaves_and_not_again_by_the_record() {
    for mut centre in centres_that_know_john().await {
        let caller = from_john().bringing("call_summary", "Asked for a copy of the invoice").pressing("1");
        let mut call = centre.call(caller).await;
        centre.agent_answers(&mut call).await;
        centre.agent_leaves(&mut call).await;
        let expected = ["cust_john: billing_issue open, Asked for a copy of the invoice"];
        assert_eq!(ends(&centre), expected);
        let mark = call.attribute("sticky_calls_saved");
        assert!(mark.starts_with(&format!("{}.", call.contacts[0].id)), "{mark}");
        centre.stream_records(&call).await;
        assert_eq!(
            (ends(&centre), ends_told(&centre), centre.deliver_outbox().await),
            (expected.map(str::to_owned).to_vec(), 1, 0)
        );
    }
}

#[tokio::test]
async fn without_an_outbox_an_end_without_words_is_saved_at_once_and_words_follow_as_a_standalone_end() {
    let mut centre = ContactCentre::open(BOOTSTRAP, &[]).await;
    centre.api.remember(john());
    let mut call = centre.call(from_john().pressing("1")).await;
    centre.agent_answers(&mut call).await;
    centre.agent_leaves(&mut call).await;
    assert_eq!(ends(&centre), ["cust_john: billing_issue open, -"]);
    assert_eq!(call.attribute("sticky_calls_saved"), "", "there were no words");
    centre.wrap_up(&mut call, Some(SETTLED)).await;
    assert_eq!(call.agent_read(), [""; 0], "nothing went wrong");
    assert_eq!(ends(&centre), ["cust_john: billing_issue open, -", JOHN_SETTLED]);
    let ended = centre.api.ended();
    let [of_the_call, of_the_words] = ended.as_slice() else { panic!("{ended:?}") };
    assert_eq!(of_the_call["call_id"], *call.contacts[0].id);
    let words_id =
        of_the_words["call_id"].as_str().unwrap().strip_prefix(&format!("{}.", call.contacts[0].id)).unwrap();
    assert!(words_id.len() == 16 && words_id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{words_id}");
    assert_eq!(of_the_words.get("customer_ref"), None);
    assert_eq!(of_the_words["identity_hints"]["customer_ref"], "cust_john");
    assert_eq!(of_the_words["call_id"], call.attribute("sticky_calls_saved"));
    let told = ends_told(&centre);
    centre.stream_records(&call).await;
    assert_eq!(ends_told(&centre), told, "the record holds no other words");
}

#[tokio::test]
async fn a_contact_is_marked_only_after_its_words_are_safe() {
    let mut centre = ContactCentre::open(BOOTSTRAP, &[]).await;
    centre.api.remember(john());
    let mut call = centre.call(from_john().pressing("1")).await;
    centre.agent_answers(&mut call).await;
    centre.api.fail_always(Some(Fault::status(500)));
    centre.agent_leaves(&mut call).await;
    centre.wrap_up(&mut call, Some(SETTLED)).await;
    assert!(call.agent_read().last().unwrap().starts_with(prompt("wrap-up", "Could not save")));
    assert!(call.contacts.iter().all(|contact| !contact.attributes.contains_key("sticky_calls_saved")));
    centre.api.fail_always(None);
    centre.stream_records(&call).await;
    assert_eq!(ends(&centre), [JOHN_SETTLED]);
}

/// What happens at the end of a call if the agent leaves first. The order can vary.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Step {
    Disconnect,
    WrapUp,
    Record,
}

async fn take(step: Step, centre: &mut ContactCentre, call: &mut Call, wrap_up: Option<WrapUp>) {
    match step {
        Step::Disconnect => centre.agent_leaves(call).await,
        Step::WrapUp => centre.wrap_up(call, wrap_up).await,
        Step::Record => drop(centre.stream_records(call).await),
    }
}

#[tokio::test]
async fn the_agents_words_are_saved_once_in_any_order_of_disconnect_record_and_wrap_up() {
    use Step::{Disconnect, Record, WrapUp};
    let orders = [
        [Disconnect, WrapUp, Record],
        [WrapUp, Disconnect, Record],
        [WrapUp, Record, Disconnect],
        [Disconnect, Record, WrapUp],
        [Record, Disconnect, WrapUp],
        [Record, WrapUp, Disconnect],
    ];
    for order in orders {
        for mut centre in centres_that_know_john().await {
            let mut call = centre.call(from_john().pressing("1")).await;
            centre.agent_answers(&mut call).await;
            for step in order {
                take(step, &mut centre, &mut call, Some(SETTLED)).await;
            }
            // Connect sends it again if attributes have changed since.
            centre.stream_records(&call).await;
            centre.deliver_outbox().await;
            assert_eq!(words(&centre), [JOHN_SETTLED], "{order:?}");
            assert_eq!(centre.api.customers()[0].variables["resolution"], SETTLED.notes);
            let ended = centre.api.ended();
            let of_the_call = ended.iter().filter(|end| end["call_id"] == *call.contacts[0].id).count();
            assert_eq!(of_the_call, 1, "{order:?}");
        }
    }
}

/// The outbox is a queue of moto's SQS.
#[tokio::test]
#[ignore = "needs moto's server for SQS, whose address is in STICKY_CONNECT_MOTO"]
async fn moto_queued_words_are_marked_too_and_delivered_later() {
    let aws = Aws::start().await;
    let (queue, _) = aws.create_queue(15).await;
    let mut centre = ContactCentre::open_in(BOOTSTRAP, &aws, &[("STICKY_CALLS_OUTBOX_QUEUE_URL", &queue)]).await;
    centre.api.remember(john());
    for by_wrap_up in [false, true] {
        let mut call = centre.call(from_john().bringing("call_summary", "Wants a copy").pressing("1")).await;
        centre.agent_answers(&mut call).await;
        centre.api.fail_always(Some(Fault::status(503)));
        if by_wrap_up {
            centre.wrap_up(&mut call, Some(SETTLED)).await;
        } else {
            centre.agent_leaves(&mut call).await;
        }
        centre.api.fail_always(None);
        assert!(call.attribute("sticky_calls_saved").starts_with(&call.contacts[0].id), "{call:#?}");
        centre.stream_records(&call).await;
    }
    assert_eq!(ends(&centre), [""; 0]);
    for message in aws.receive(&queue).await {
        centre.deliver(&json!({"Records": [message]})).await;
    }
    assert_eq!(ends(&centre), ["cust_john: billing_issue open, Wants a copy", JOHN_SETTLED]);
}

#[tokio::test]
async fn the_agents_words_are_saved_once_although_the_record_came_before_the_wrap_up_was_done() {
    for order in [[Step::Disconnect, Step::WrapUp], [Step::WrapUp, Step::Disconnect]] {
        for mut centre in centres_that_know_john().await {
            let mut call = centre.call(from_john().pressing("1")).await;
            centre.agent_answers(&mut call).await;
            for step in order {
                match step {
                    Step::WrapUp => centre.wrap_up_after_the_record(&mut call, Some(SETTLED)).await,
                    other => take(other, &mut centre, &mut call, None).await,
                }
            }
            centre.stream_records(&call).await;
            centre.deliver_outbox().await;
            assert_eq!(words(&centre), [JOHN_SETTLED], "{order:?}");
        }
    }
}

#[tokio::test]
async fn an_agent_who_writes_nothing_leaves_the_intent_open_and_the_call_is_saved_once() {
    for mut centre in centres_that_know_john().await {
        let mut call = centre.call(from_john().pressing("1")).await;
        centre.agent_answers(&mut call).await;
        centre.agent_leaves(&mut call).await;
        centre.wrap_up_times_out(&mut call).await;
        centre.stream_records(&call).await;
        centre.deliver_outbox().await;
        assert_eq!(ends(&centre), ["cust_john: billing_issue open, -"]);
    }
}

#[tokio::test]
async fn if_the_agent_leaves_a_field_empty_the_other_fields_are_saved() {
    let summary = WrapUp { notes: "", ..SETTLED };
    let notes = WrapUp { summary: "", ..SETTLED };
    for (wrap_up, last_issue) in [(summary, SETTLED.summary), (notes, SETTLED.notes)] {
        let mut centre = centre().await;
        let mut call = centre.call(Caller::from("+12025550177").pressing("1")).await;
        let reference = call.attribute("customer_ref").to_owned();
        centre.agent_answers(&mut call).await;
        // The save function can't be reached, so the record's attributes are all there is.
        centre.functions_fail = true;
        centre.wrap_up(&mut call, Some(wrap_up)).await;
        centre.functions_fail = false;
        centre.stream_records(&call).await;
        assert_eq!(ends(&centre), [format!("{reference}: billing_issue resolved, {last_issue}")]);
    }
}

#[tokio::test]
async fn notes_that_the_agent_corrects_the_next_day_are_saved_too() {
    for mut centre in centres_that_know_john().await {
        let mut call = centre.call(from_john().pressing("1")).await;
        centre.agent_answers(&mut call).await;
        centre.wrap_up(&mut call, Some(SETTLED)).await;
        centre.stream_records(&call).await;
        call.contacts[0].attributes.insert("agent_notes".to_owned(), "Sent it by post".to_owned());
        for _ in 0..2 {
            centre.stream_records(&call).await;
        }
        centre.deliver_outbox().await;
        assert_eq!(words(&centre), [JOHN_SETTLED; 2]);
        assert_eq!(centre.api.customers()[0].variables["resolution"], "Sent it by post");
    }
}

#[tokio::test]
async fn a_transferred_call_is_looked_up_once_and_the_last_agents_words_are_saved_once() {
    for mut centre in centres_that_know_john().await {
        let mut call = centre.call(from_john().pressing("1")).await;
        centre.agent_answers(&mut call).await;
        centre.transfer(&mut call, "technical_support");
        assert_eq!(call.queue(), Some(("technical_support", 2)));
        centre.agent_answers(&mut call).await;
        assert_eq!(call.agent_saw().len(), 2, "the second agent sees the guide too");
        centre.agent_leaves(&mut call).await;
        centre.wrap_up(&mut call, Some(SETTLED)).await;
        centre.stream_records(&call).await;
        centre.deliver_outbox().await;
        assert_eq!(words(&centre), [JOHN_SETTLED]);
        let is_of_the_call = |end: &Value| end["call_id"].as_str().unwrap().starts_with(&call.contacts[0].id);
        assert!(centre.api.ended().iter().all(is_of_the_call), "{:?}", centre.api.ended());
        let lookups = centre.api.received().iter().filter(|request| request.path == "/v1/calls/start").count();
        assert_eq!(lookups, 1);
    }
}

/// The wrap-up of the agent who transfers the call.
const HANDED_OVER: WrapUp = WrapUp { summary: "Portal shows no invoice", notes: "", status: "open" };

/// What the API gets for it.
const JOHN_HANDED_OVER: &str = "cust_john: billing_issue open, Portal shows no invoice";

#[tokio::test]
async fn the_words_of_both_agents_of_a_transferred_call_are_saved() {
    for first_writes_first in [true, false] {
        for mut centre in centres_that_know_john().await {
            let mut call = centre.call(from_john().pressing("1")).await;
            centre.agent_answers(&mut call).await;
            let first = call.contact().id.clone();
            centre.transfer(&mut call, "technical_support");
            if first_writes_first {
                // While the second agent is talking.
                centre.wrap_up_of(&mut call, &first, Some(HANDED_OVER)).await;
            }
            centre.agent_answers(&mut call).await;
            centre.agent_leaves(&mut call).await;
            centre.wrap_up(&mut call, Some(SETTLED)).await;
            if !first_writes_first {
                centre.wrap_up_of(&mut call, &first, Some(HANDED_OVER)).await;
            }
            assert_eq!(call.agent_read(), [""; 0], "neither agent sees an error");
            centre.stream_records(&call).await;
            centre.deliver_outbox().await;
            let mut expected = vec![JOHN_HANDED_OVER, JOHN_SETTLED];
            if !first_writes_first {
                expected.reverse();
            }
            assert_eq!(words(&centre), expected);
        }
    }
}

#[tokio::test]
async fn if_the_save_function_cannot_be_reached_both_agents_words_are_saved_from_their_records() {
    for mut centre in centres_that_know_john().await {
        let mut call = centre.call(from_john().pressing("1")).await;
        centre.agent_answers(&mut call).await;
        let first = call.contact().id.clone();
        centre.transfer(&mut call, "technical_support");
        centre.functions_fail = true;
        centre.wrap_up_of(&mut call, &first, Some(HANDED_OVER)).await;
        assert!(call.agent_read()[0].starts_with(prompt("wrap-up", "Could not save")));
        centre.functions_fail = false;
        centre.stream_record_of(&call, &first).await;
        centre.agent_answers(&mut call).await;
        centre.functions_fail = true;
        centre.wrap_up(&mut call, Some(SETTLED)).await;
        centre.functions_fail = false;
        centre.stream_records(&call).await;
        assert_eq!(words(&centre), [JOHN_HANDED_OVER, JOHN_SETTLED]);
    }
}

#[tokio::test]
async fn the_first_agents_words_are_not_saved_again_as_the_second_agents() {
    for mut centre in centres_that_know_john().await {
        let mut call = centre.call(from_john().pressing("1")).await;
        centre.agent_answers(&mut call).await;
        let first = call.contact().id.clone();
        centre.transfer(&mut call, "technical_support");
        centre.wrap_up_of(&mut call, &first, Some(HANDED_OVER)).await;
        centre.agent_answers(&mut call).await;
        centre.wrap_up(&mut call, Some(WrapUp { summary: "", ..SETTLED })).await;
        centre.stream_records(&call).await;
        centre.deliver_outbox().await;
        let seconds = format!("cust_john: billing_issue resolved, {}", SETTLED.notes);
        assert_eq!(words(&centre), [JOHN_HANDED_OVER, &seconds]);
        assert_eq!(centre.api.ended()[1]["variables"]["last_issue_source"], "agent_notes");
    }
}

#[tokio::test]
async fn the_agents_words_are_saved_although_a_consulted_colleagues_record_came_first() {
    for mut centre in centres_that_know_john().await {
        let mut call = centre.call(from_john().pressing("1")).await;
        centre.agent_answers(&mut call).await;
        let colleagues = centre.consult(&mut call);
        centre.stream_record_of(&call, &colleagues).await;
        centre.wrap_up(&mut call, Some(SETTLED)).await;
        centre.stream_records(&call).await;
        centre.deliver_outbox().await;
        assert_eq!(words(&centre), [JOHN_SETTLED]);
        assert_eq!(centre.api.customers()[0].open_intents, [], "it stays resolved");
    }
}

#[tokio::test]
async fn a_transferred_call_without_words_is_saved_by_the_last_segments_contact_record() {
    for mut centre in centres_that_know_john().await {
        let mut call = centre.call(from_john().pressing("1")).await;
        centre.agent_answers(&mut call).await;
        centre.transfer(&mut call, "technical_support");
        centre.agent_answers(&mut call).await;
        centre.stream_records(&call).await;
        // With an outbox it is deferred: a consulted colleague's record looks the same, and the agent may be writing.
        let waited = centre.deliver_outbox().await;
        assert_eq!(ends(&centre), ["cust_john: billing_issue open, -"], "{waited}");
        assert_eq!(ends_told(&centre), 1);
    }
}

#[tokio::test]
async fn a_guide_ends_if_the_agent_closes_it_or_it_fails_and_stays_open_if_nobody_touches_it() {
    let mut settled = john();
    settled.open_intents.clear();
    for has_crm in [true, false] {
        let mut centre = centre_that_knows(&[settled.clone()]).await;
        if !has_crm {
            centre.remove_crm();
        }
        let guides = [
            (from_john(), if has_crm { "Show the caller with a link" } else { "Show the caller" }),
            (Caller::from("+12025550178"), "Show a new caller"),
            (Caller::anonymous(), "Show an unknown caller"),
        ];
        for (caller, block) in guides {
            let call = centre.call(caller).await;
            for (button, times) in [(Some("Back"), 1), (Some("Other"), 1), (None, 2)] {
                let mut call = call.clone();
                centre.agent_answers_and(&mut call, button).await;
                assert_eq!(call.agent_saw().len(), times, "{block} {button:?}");
                let shows_link = call.agent_saw()[0].to_string().contains("crm.example.com");
                assert_eq!(shows_link, block == "Show the caller with a link", "{block}");
            }
            centre.broken = Some(Failure::of("agent-guide", block));
            let mut call = call.clone();
            centre.agent_answers_and(&mut call, Some("Back")).await;
            assert_eq!(call.agent_saw(), [&Value::Null; 0]);
            centre.broken = None;
        }
    }
}

#[tokio::test]
async fn a_chat_customer_is_known_by_the_web_pages_id_and_gets_no_menu() {
    let mut centre = centre_that_knows(&[john_with(&[("tier", "gold")])]).await;
    let mut call = centre.call(Caller::in_chat("C-1002")).await;
    // The id alone is not enough for a welcome, and nobody can press keys in a chat.
    assert_eq!(call.heard(), [greeting(), prompt("inbound", "Greet softly")]);
    assert_eq!(call.queue(), Some(("billing", 2)));
    centre.wait(&mut call, Duration::from_secs(600), "").await;
    assert_eq!(call.heard().len(), 2, "a waiting chat gets no prompts");
    centre.agent_answers(&mut call).await;
    centre.wrap_up(&mut call, Some(SETTLED)).await;
    centre.stream_records(&call).await;
    assert_eq!(ends(&centre), [JOHN_SETTLED]);
    let stranger = centre.call(Caller::in_chat("C-9999")).await;
    assert_eq!((stranger.heard(), stranger.queue()), (vec![greeting()], Some(("general", 5))));
}

#[tokio::test]
async fn a_caller_who_has_opted_out_is_neither_looked_up_nor_saved() {
    let mut centre = centre_that_knows(&[john()]).await;
    let mut call = centre.call(from_john().bringing("sticky_calls_opt_out", "true").pressing("1")).await;
    assert_eq!((call.heard(), call.queue()), (vec![greeting(), menu()], Some(("billing", 5))));
    centre.agent_answers(&mut call).await;
    centre.agent_leaves(&mut call).await;
    centre.wrap_up(&mut call, Some(SETTLED)).await;
    centre.stream_records(&call).await;
    assert_eq!((centre.api.received().len(), centre.deliver_outbox().await), (0, 0));
}

#[tokio::test]
async fn a_caller_who_presses_a_wrong_key_is_asked_again_and_then_served_without_a_choice() {
    let mut centre = centre().await;
    for keys in ["9-", "-9", "--", "99"] {
        let call = centre.call(Caller::anonymous().pressing(keys)).await;
        assert_eq!(
            call.heard(),
            [greeting().to_owned(), menu().to_owned(), prompt("inbound", "Menu again").to_owned()]
        );
        assert_eq!(call.queue(), Some(("general", 5)));
    }
    for (keys, queue) in [("91", "billing"), ("92", "technical_support"), ("93", "sales"), ("-1", "billing")] {
        assert_eq!(centre.call(Caller::anonymous().pressing(keys)).await.queue(), Some((queue, 5)));
    }
    for block in ["Menu", "Menu again"] {
        centre.broken = Some(Failure::of("inbound", block));
        let call = centre.call(Caller::anonymous().pressing("9")).await;
        assert_eq!((call.queue(), call.attribute("intent")), (Some(("general", 5)), ""), "nobody chose for the caller");
    }
}

#[tokio::test]
async fn if_the_queue_is_full_a_callback_is_offered_and_an_open_intent_gives_it_priority() {
    let mut centre = centre_that_knows(&[john()]).await;
    centre.full_queues.insert("billing".to_owned());
    let returning = centre.call(from_john().pressing("11")).await;
    assert_eq!(returning.heard()[3..], [full(), promise()]);
    let number = "+12025550102".to_owned();
    let first = Callback { queue: "billing".to_owned(), number, after_seconds: 5, priority: 2 };
    assert_eq!(returning.callback(), Some(&first));
    let stranger = centre.call(Caller::from("+12025550177").pressing("11")).await;
    let number = "+12025550177".to_owned();
    let later = Callback { queue: "billing".to_owned(), number, after_seconds: 60, priority: 5 };
    assert_eq!((stranger.callback(), stranger.heard().last()), (Some(&later), Some(&promise())));
    let called_back = stranger.contacts.last().unwrap();
    assert_eq!(
        (called_back.initiation_method, called_back.attributes["intent"].as_str()),
        ("CALLBACK", "billing_issue")
    );
}

#[tokio::test]
async fn an_unconfirmed_caller_or_one_without_an_open_intent_is_called_back_without_priority() {
    let settled =
        Customer { open_intents: Vec::new(), ..somebody("cust_13", "+12025550313", "C-313", "", "call_summary") };
    let mut centre = centre_that_knows(&[john(), settled]).await;
    centre.full_queues.extend(["billing".to_owned(), "general".to_owned()]);
    let unconfirmed = centre.call(Caller::from("+12025550102").pressing("1")).await;
    let without_open_intent = centre.call(Caller::from("+12025550313").known_as("C-313").pressing("11")).await;
    for call in [unconfirmed, without_open_intent] {
        assert_eq!(call.callback().map(|callback| callback.after_seconds), Some(60), "{:?}", call.heard());
    }
}

#[tokio::test]
async fn a_callback_is_promised_only_if_it_could_be_created() {
    let mut centre = centre_that_knows(&[john()]).await;
    centre.full_queues.insert("billing".to_owned());
    for failure in centre.failures("inbound") {
        if !["Set callback number", "Call back", "Call back ahead of others"].contains(&failure.block.as_str()) {
            continue;
        }
        centre.broken = Some(failure.clone());
        for caller in [
            from_john().pressing("11"),
            Caller::anonymous().pressing("11"),
            Caller::from("+12025550177").pressing("11"),
        ] {
            let call = centre.call(caller).await;
            assert!(was_served(&call), "{failure:?}");
            assert_eq!(call.callback().is_some(), call.heard().contains(&promise()), "{failure:?}: {:?}", call.heard());
        }
    }
    centre.broken = Some(Failure::of("inbound", "Transfer to queue"));
    let call = centre.call(from_john().pressing("11")).await;
    assert_eq!(call.heard().last(), Some(&promise()), "a failed transfer offers a callback, like a full queue");
}

#[tokio::test]
async fn if_the_queue_is_full_a_caller_who_gets_no_callback_hears_why_or_an_apology() {
    let mut centre = centre().await;
    centre.full_queues.extend(["billing".to_owned(), "general".to_owned()]);
    for keys in ["1", "19"] {
        let declined = centre.call(Caller::from("+12025550176").pressing(keys)).await;
        assert_eq!(declined.heard().last(), Some(&apology()));
    }
    let declined = centre.call(Caller::from("+12025550177").pressing("1")).await;
    assert_eq!(declined.heard()[2..], [full(), apology()]);
    let anonymous = centre.call(Caller::anonymous().pressing("11")).await;
    let no_number = prompt("inbound", "No number to call back");
    assert_eq!(anonymous.heard()[2..], [full(), no_number]);
    let chat = centre.call(Caller::in_chat("C-1")).await;
    assert_eq!(chat.heard(), [greeting(), apology()]);
    for call in [declined, anonymous, chat] {
        assert_eq!((call.callback(), call.moments.last()), (None, Some(&Moment::IsDisconnected)));
    }
}

#[tokio::test]
async fn a_caller_who_waits_too_long_is_offered_a_callback_and_can_go_on_waiting() {
    let offer = prompt("queue", "Offer a callback");
    let wait = prompt("queue", "Wait");
    let mut centre = centre_that_knows(&[john()]).await;
    let mut patient = centre.call(from_john().pressing("1")).await;
    centre.wait(&mut patient, Duration::from_secs(119), "1").await;
    assert_eq!(patient.heard()[3..], [wait]);
    centre.wait(&mut patient, Duration::from_secs(300), "-1").await;
    assert_eq!(patient.heard()[4..], [wait, offer, wait, offer, promise()]);
    let number = "+12025550102".to_owned();
    assert_eq!(
        patient.callback(),
        Some(&Callback { queue: "billing".to_owned(), number, after_seconds: 5, priority: 2 })
    );

    let mut stranger = centre.call(Caller::from("+12025550177").pressing("1")).await;
    centre.wait(&mut stranger, Duration::from_secs(120), "1").await;
    assert_eq!(stranger.callback().map(|callback| (callback.after_seconds, callback.priority)), Some((60, 5)));

    let mut undecided = centre.call(Caller::from("+12025550179").pressing("1")).await;
    centre.wait(&mut undecided, Duration::from_secs(300), "92").await;
    assert_eq!((undecided.heard()[2..].len(), undecided.callback()), (5, None));

    let mut anonymous = centre.call(Caller::anonymous().pressing("1")).await;
    centre.wait(&mut anonymous, Duration::from_secs(120), "1").await;
    assert_eq!(anonymous.heard()[4..], [prompt("queue", "No number to call back"), wait]);
    assert_eq!(anonymous.callback(), None);
}

#[tokio::test]
async fn every_waiting_caller_stays_in_the_queue_or_is_called_back_whichever_block_fails() {
    let mut centre = centre_that_knows(&[john()]).await;
    let failures = centre.failures("queue");
    assert!(failures.len() > 5, "{failures:?}");
    for failure in failures {
        let mut call = centre.call(from_john().pressing("1")).await;
        centre.broken = Some(failure.clone());
        centre.wait(&mut call, Duration::from_secs(300), "11").await;
        centre.broken = None;
        let is_disconnected = call.moments.last() == Some(&Moment::IsDisconnected);
        let is_promised = call.callback().is_some();
        assert_eq!(is_disconnected, is_promised, "{failure:?}: {call:#?}");
        assert!(is_promised || !call.heard().contains(&promise()), "{failure:?}: {call:#?}");
    }
}

#[tokio::test]
async fn callers_hear_the_same_as_new_callers_if_the_api_sends_an_invalid_answer() {
    for body in ["", "[]", "{}", "{\"identity\":{\"confidence\":\"high\"}}"] {
        let mut centre = centre().await;
        centre.api.fail_always(Some(Fault::body(body)));
        let call = centre.call(from_john().pressing("1")).await;
        assert_eq!((call.heard(), call.queue()), (vec![greeting(), menu()], Some(("billing", 5))), "{body}");
    }
}
