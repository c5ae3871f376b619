//! Whole calls, played through the contact flows and the real functions: what callers hear, which queue they get to,
//! what agents see, and what the API gets.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may panic"
)]

mod agents;
mod callbacks;
mod callers;
mod chats;
mod modules;
mod recipes;
mod saves;
mod stories;

use std::collections::{BTreeMap, BTreeSet};
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
    prompt("route", "Offer a callback while full")
}

fn promise() -> &'static str {
    prompt("route", "Say goodbye before the callback")
}

fn apology() -> &'static str {
    prompt("route", "Say goodbye")
}

/// The welcome that says what the last call was about.
fn welcome(last_issue: &str) -> String {
    prompt("inbound", "Welcome back with the last issue").replace("$.Attributes.last_issue", last_issue)
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
