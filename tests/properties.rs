//! For any event and any answer of the API, the flow gets a flat string map with the handler's keys.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};
use stand_ins::events::event;
use stand_ins::stack::Stack;
use stand_ins::sticky_calls::{Fault, KEY};
use tokio::runtime::Runtime;

const BOOTSTRAP: &str = env!("CARGO_BIN_EXE_bootstrap");

const SAVE_KEYS: [&str; 5] = ["call_id", "error", "save_status", "saved_words", "success"];

/// A function that is invoked for every case, with its own runtime, and the keys of its answers.
struct Subject {
    runtime: Runtime,
    stack: Stack,
    keys: Vec<String>,
}

impl Subject {
    fn start(action: &str) -> Self {
        let runtime = Runtime::new().unwrap();
        let variables = [("STICKY_CALLS_ACTION", action), ("STICKY_CALLS_TIMEOUT_MS", "1000")];
        let mut stack = runtime.block_on(Stack::start(BOOTSTRAP, &variables));
        let usual = runtime.block_on(stack.invoke(&event("returning_caller")));
        let keys = usual.as_object().unwrap().keys().cloned().collect();
        Self { runtime, stack, keys }
    }

    fn invoke(&mut self, payload: &[u8]) -> BTreeMap<String, String> {
        let answer = self.runtime.block_on(self.stack.function.invoke_bytes(payload));
        assert!(answer.len() < 32_000);
        let secret = KEY.strip_prefix("sk_test_").unwrap();
        assert!(!String::from_utf8_lossy(&answer).contains(secret), "the key is in the answer");
        // Fails if a value is not a string.
        serde_json::from_slice(&answer).unwrap()
    }
}

fn for_both_handlers<S: Strategy>(cases: u32, strategy: S, test: impl Fn(&mut Subject, S::Value)) {
    for action in ["start_call", "end_call"] {
        let subject = std::cell::RefCell::new(Subject::start(action));
        let config = Config { cases, failure_persistence: None, ..Config::default() };
        TestRunner::new(config)
            .run(&strategy, |value| {
                test(&mut subject.borrow_mut(), value);
                Ok(())
            })
            .unwrap();
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "[+0-9 -]{0,20}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::hash_map(any::<String>(), inner, 0..6)
                .prop_map(|map| Value::from_iter(map.into_iter().collect::<Vec<_>>())),
        ]
    })
}

/// A flow event with any values in all places that the function reads.
fn any_flow_event() -> impl Strategy<Value = Value> {
    let contact = [
        "Attributes",
        "Channel",
        "ContactId",
        "InitialContactId",
        "CustomerEndpoint",
        "SystemEndpoint",
        "InitiationMethod",
    ];
    let values = [
        "call_id",
        "customer_ref",
        "customer_id",
        "email",
        "line_type",
        "returning_threshold",
        "sticky_calls_opt_out",
        "intent",
        "intent_status",
        "call_summary",
        "agent_notes",
        "call_date",
        "var_tier",
        "var_last_issue",
    ];
    let some_of =
        |names: &'static [&'static str]| prop::collection::hash_map(prop::sample::select(names), any_json(), 0..6);
    (some_of(contact.to_vec().leak()), some_of(values.to_vec().leak()), some_of(values.to_vec().leak())).prop_map(
        |(contact, attributes, parameters)| {
            let mut event = event("returning_caller");
            for (name, value) in attributes {
                event["Details"]["ContactData"]["Attributes"][name] = value;
            }
            for (name, value) in contact {
                event["Details"]["ContactData"][name] = value;
            }
            for (name, value) in parameters {
                event["Details"]["Parameters"][name] = value;
            }
            event
        },
    )
}

fn has_the_keys_of_its_handler(subject: &Subject, answer: &BTreeMap<String, String>) {
    assert!(answer.keys().eq(subject.keys.iter()), "{answer:?}");
}

#[test]
fn any_json_as_an_event_gets_the_keys_of_the_handler() {
    for_both_handlers(128, any_json(), |subject, value| {
        let answer = subject.invoke(value.to_string().as_bytes());
        has_the_keys_of_its_handler(subject, &answer);
    });
}

#[test]
fn any_bytes_as_an_event_get_the_keys_of_the_handler() {
    for_both_handlers(128, prop::collection::vec(any::<u8>(), 0..200), |subject, bytes| {
        let answer = subject.invoke(&bytes);
        has_the_keys_of_its_handler(subject, &answer);
    });
}

#[test]
fn a_flow_event_with_any_values_gets_the_keys_of_the_handler() {
    for_both_handlers(256, any_flow_event(), |subject, event| {
        let answer = subject.invoke(event.to_string().as_bytes());
        has_the_keys_of_its_handler(subject, &answer);
    });
}

#[test]
fn any_json_from_the_api_gives_the_flow_the_keys_of_the_handler() {
    let fields = ["customer_ref", "call_start", "identity", "open_intents", "variables"];
    let answers = prop_oneof![
        any_json(),
        prop::collection::hash_map(prop::sample::select(fields.to_vec()), any_json(), 0..5).prop_map(|map| json!(map)),
    ];
    for_both_handlers(128, answers, |subject, body| {
        subject.stack.api.fail_next(Fault::body(body.to_string()));
        let answer = subject.invoke(event("returning_caller").to_string().as_bytes());
        has_the_keys_of_its_handler(subject, &answer);
    });
}

#[test]
fn any_bytes_from_the_api_give_the_flow_the_keys_of_the_handler() {
    let bytes = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..200).prop_map(Fault::body),
        prop::collection::vec(any::<u8>(), 0..200).prop_map(Fault::Raw),
        (100..999_u16, any::<String>()).prop_map(|(status, body)| Fault::Answer {
            status,
            headers: Vec::new(),
            body: body.into()
        }),
    ];
    for_both_handlers(128, bytes, |subject, fault| {
        subject.stack.api.fail_always(Some(fault));
        let answer = subject.invoke(event("returning_caller").to_string().as_bytes());
        subject.stack.api.fail_always(None);
        has_the_keys_of_its_handler(subject, &answer);
    });
}

#[test]
fn a_save_answers_with_five_attributes() {
    assert_eq!(Subject::start("end_call").keys, SAVE_KEYS);
}
