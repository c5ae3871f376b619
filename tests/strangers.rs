//! Nobody ever gets another customer's data, however unusual the identities of the two.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may panic")]

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use stand_ins::aws::Aws;
use stand_ins::events::{
    call, event, guide, queue, record, stream, with, with_attribute, with_contact, with_parameter, with_parameters,
};
use stand_ins::stack::Stack;
use stand_ins::sticky_calls::Fault;

const BOOTSTRAP: &str = env!("CARGO_BIN_EXE_bootstrap");
/// So low that every caller whom the API finds is a returning caller.
const THRESHOLD: (&str, &str) = ("STICKY_CALLS_RETURNING_THRESHOLD", "0.1");
const INTERNAL: (&str, &str) = ("STICKY_CALLS_INTERNAL_NUMBERS", "+12025550160,1001");
const ALL_RECORDS: (&str, &str) = ("STICKY_CALLS_RECORDS", "all");
const QUEUE: (&str, &str) = ("STICKY_CALLS_OUTBOX_QUEUE_URL", "http://sqs.eu-central-1.amazonaws.com/1/outbox");

/// Placeholders: texts in upper or lower case, and other values.
fn placeholders() -> Vec<Value> {
    let texts = [
        "true",
        "False",
        "null",
        "NULL",
        "undefined",
        "Undefined",
        "none",
        "NONE",
        "nil",
        "nan",
        "NaN",
        "unknown",
        "Anonymous",
        "n/a",
        "N/A",
        "na",
        "-",
        "0",
        "0000000",
        " null ",
        "",
        "  ",
    ];
    let values = [json!(true), json!(false), json!(0), json!(0.0), Value::Null, json!({}), json!([])];
    texts.into_iter().map(Value::from).chain(values).collect()
}

/// One of two strangers.
struct Person {
    /// It is in their contact's id and in all texts about them, and nowhere else.
    name: String,
    /// The event of a flow's block in their call.
    event: Value,
}

/// Creates the strangers, two of each kind.
#[derive(Default)]
struct Strangers {
    people: Vec<Person>,
}

impl Strangers {
    /// Adds two who differ only in their contacts' ids, and in a number that `kind` may use.
    fn add(&mut self, kind: impl Fn(&str, &str) -> Value) {
        for _ in 0..2 {
            let number = self.people.len();
            let name = format!("person-{number}.");
            let event = kind(&name, &format!("+1303555{number:04}"));
            self.people.push(Person { name, event });
        }
    }

    fn all() -> Self {
        let mut all = Self::default();
        let chat = |id: &str| {
            let ids = [("ContactId", id), ("InitialContactId", id), ("PreviousContactId", id)];
            let chat = with_contact(event("web_chat"), "Attributes", json!({}));
            ids.iter().fold(chat, |chat, (name, id)| with_contact(chat, name, *id))
        };
        for address in [
            "+266696687",
            "+86282452253",
            "+7378742833",
            "+8656696",
            "+2562533",
            "anonymous",
            "Restricted",
            "unknown",
            "",
            " ",
            "1001",
            "911",
            "+0123456789",
            "+1",
            "0012025550177",
            "sip:anonymous@anonymous.invalid",
            "+1 202 555 0177",
            "+12025550160",
        ] {
            all.add(|id, _| call(id, address));
        }
        all.add(|id, _| with_contact(call(id, ""), "CustomerEndpoint", Value::Null));
        for nothing in placeholders() {
            for name in ["customer_id", "email"] {
                all.add(|id, _| with_parameter(chat(id), name, nothing.clone()));
                all.add(|id, number| with_attribute(call(id, number), name, nothing.clone()));
            }
            all.add(|id, _| with_contact(chat(id), "CustomerId", nothing.clone()));
            all.add(|id, number| with_attribute(call(id, number), "customer_ref", nothing.clone()));
            all.add(|id, _| with_parameter(chat(id), "customer_ref", nothing.clone()));
        }
        let long = "r".repeat(257);
        all.add(|id, number| with_attribute(call(id, number), "customer_ref", long.as_str()));
        all.add(|id, _| with_attribute(chat(id), "customer_ref", long.as_str()));
        all.add(|id, _| {
            with_contact(chat(id), "CustomerEndpoint", json!({"Type": "EMAIL_ADDRESS", "Address": "none"}))
        });
        let unsure = json!({"connect:CustomerAuthentication": {"ValueMap": {"Status": {"ValueString": "FAILED"}}}});
        all.add(|id, _| {
            with_contact(with_contact(chat(id), "CustomerId", "CRM-1"), "SegmentAttributes", unsure.clone())
        });
        // Another person's contact with the id of an earlier call, and nothing else of it.
        let earlier = all.people[0].name.clone();
        all.add(|id, number| with_attribute(call(id, number), "call_id", earlier.as_str()));
        all
    }
}

/// The persons that a text names.
fn named_in(text: &str) -> BTreeSet<String> {
    let numbers = text.split("person-").skip(1).filter_map(|rest| rest.split_once('.'));
    numbers.map(|(number, _)| format!("person-{number}.")).collect()
}

/// Watches what a function knows about each person.
struct Watch {
    stack: Stack,
    /// The owner of each `customer_ref`.
    references: BTreeMap<String, String>,
}

impl Watch {
    /// Asserts that data about `name` names nobody else and has nobody else's reference.
    fn look_at(&mut self, about: &Value, name: &str, what: &Value) {
        let text = about.to_string();
        assert!(named_in(&text).iter().all(|named| named == name), "{name} {about}: {what}");
        for reference in [&about["customer_ref"], &about["identity_hints"]["customer_ref"]] {
            let Some(reference) = reference.as_str().filter(|reference| !reference.is_empty()) else { continue };
            let owner = self.references.entry(reference.to_owned()).or_insert_with(|| name.to_owned());
            assert_eq!(owner, name, "{about}: {what}");
        }
    }

    /// Plays a call: it is looked up, a flow saves words, and its record is saved. Returns the `lookup_status`.
    async fn call_from(&mut self, person: &Person) -> String {
        let Person { name, event } = person;
        let answer = self.stack.invoke(event).await;
        self.look_at(&answer, name, event);
        // A call with the same hints a moment later. It is from the same person, or identifies nobody.
        let at_once = with_contact(event.clone(), "InitialContactId", format!("{name}at once"));
        let answer_at_once = self.stack.invoke(&at_once).await;
        self.look_at(&answer_at_once, name, event);
        let mut stored = event.clone();
        for attribute in ["customer_ref", "call_start", "lookup_status"] {
            if answer[attribute] != "" {
                stored = with_attribute(stored, attribute, answer[attribute].clone());
            }
        }
        let said = format!("{name} said something");
        let words = [("action", "save"), ("call_summary", &said), ("var_name", name), ("intent", name)];
        let saved = self.stack.invoke(&with_parameters(stored.clone(), &words)).await;
        self.look_at(&saved, name, event);
        let fields =
            ["ContactId", "Channel", "CustomerEndpoint", "CustomerId", "InitiationMethod", "SegmentAttributes"];
        let record = fields
            .iter()
            .chain(&["Attributes"])
            .fold(record(), |record, field| with(record, field, stored["Details"]["ContactData"][field].clone()));
        let record = with(record, "Attributes/agent_notes", format!("{name} wrote something"));
        assert_eq!(self.stack.invoke(&stream(&[record])).await, json!({"batchItemFailures": []}));
        answer["lookup_status"].as_str().unwrap().to_owned()
    }
}

async fn nothing_crosses(stack: Stack) {
    let strangers = Strangers::all().people;
    let mut watch = Watch { stack, references: BTreeMap::new() };
    let mut statuses = BTreeMap::<_, usize>::new();
    let has_number = |person: &Person| person.event.to_string().contains("+1303555");
    for pair in strangers.chunks(2) {
        for person in pair {
            *statuses.entry(watch.call_from(person).await).or_default() += 1;
        }
        // The first person calls again, and must not get what the second one left.
        let id = format!("{}again", pair[0].name);
        let again = ["ContactId", "InitialContactId"].iter();
        let again = again.fold(pair[0].event.clone(), |event, field| with_contact(event, field, id.as_str()));
        let status = watch.call_from(&Person { name: pair[0].name.clone(), event: again }).await;
        assert_eq!(status == "matched", has_number(&pair[0]), "{}", pair[0].event);
    }
    let ends = watch.stack.api.ended();
    for end in &ends {
        let call_id = end["call_id"].as_str().unwrap();
        let name = named_in(call_id).into_iter().next().unwrap();
        watch.look_at(end, &name, &Value::Null);
    }
    for customer in watch.stack.api.customers() {
        let texts: String =
            customer.variables.into_values().chain(customer.open_intents.into_iter().map(|(name, _)| name)).collect();
        assert!(named_in(&texts).len() <= 1, "{texts}");
    }
    // Those with their own number are looked up, each as a new caller. The others have no identity.
    let new = strangers.iter().filter(|person| has_number(person)).count();
    assert_eq!(statuses, BTreeMap::from([("new".to_owned(), new), ("skipped".to_owned(), strangers.len() - new)]));
    assert!(ends.len() >= 2 * new, "{}", ends.len());
}

#[tokio::test]
async fn two_strangers_with_the_same_unusual_identity_never_get_each_others_data() {
    nothing_crosses(Stack::start(BOOTSTRAP, &[THRESHOLD, INTERNAL, ALL_RECORDS]).await).await;
}

#[tokio::test]
async fn with_a_table_two_strangers_with_the_same_unusual_identity_never_get_each_others_data() {
    let aws = Aws::in_memory().await;
    let variables = [THRESHOLD, INTERNAL, ALL_RECORDS, ("STICKY_CALLS_TABLE", "table")];
    nothing_crosses(Stack::start_in(BOOTSTRAP, &aws, &variables).await).await;
}

#[tokio::test]
async fn an_email_address_in_upper_or_lower_case_is_the_same_customer() {
    let mut stack = Stack::start(BOOTSTRAP, &[THRESHOLD]).await;
    let mail = |id: &str, address: &str| {
        let event =
            with_contact(event("email"), "CustomerEndpoint", json!({"Type": "EMAIL_ADDRESS", "Address": address}));
        with_contact(event, "InitialContactId", id)
    };
    let saved =
        with_parameters(mail("1", "Ann.Other@Example.com"), &[("action", "save"), ("call_summary", "Lost her card")]);
    assert_eq!(stack.invoke(&saved).await["save_status"], "saved");
    let chat = with_contact(event("web_chat"), "Attributes", json!({"email": " ANN.OTHER@example.COM "}));
    for event in [mail("2", "ann.other@example.com"), chat] {
        assert_eq!(stack.invoke(&event).await["last_issue"], "Lost her card", "{event}");
    }
}

#[tokio::test]
async fn an_agents_guide_is_not_looked_up_and_saves_its_own_call() {
    let mut stack = Stack::start(BOOTSTRAP, &[THRESHOLD]).await;
    let words = [("action", "save"), ("call_summary", "Lost her card")];
    stack.invoke(&with_parameters(call("anns", "+13035550001"), &words)).await;
    for guide in [guide("g", "anns"), with_attribute(guide("g", "bobs"), "caller_number", "+13035550001")] {
        let answer = stack.invoke(&guide).await;
        assert_eq!((&answer["lookup_reason"], &answer["last_issue"]), (&json!("not_inbound"), &json!("")));
    }
    let of_bobs = with_parameters(guide("g", "bobs"), &[&words[..], &[("caller_number", "+13035550002")]].concat());
    assert_eq!(stack.invoke(&of_bobs).await["call_id"], "bobs");
    assert_eq!(stack.api.ended()[1]["identity_hints"], json!({"ani": "+13035550002"}));
}

#[tokio::test]
async fn another_calls_answer_is_refused_and_its_connection_is_not_used_again() {
    let aws = Aws::with_a_queue_alone().await;
    for variables in [&[THRESHOLD][..], &[THRESHOLD, QUEUE]] {
        let mut stack = Stack::start_in(BOOTSTRAP, &aws, variables).await;
        let words = |event: Value, text: &str| with_parameters(event, &[("action", "save"), ("call_summary", text)]);
        let (ann, bob) = (call("anns", "+13035550001"), call("bobs", "+13035550002"));
        stack.invoke(&words(ann.clone(), "Lost her card")).await;
        let answer = stack.invoke(&ann).await;
        assert_eq!((&answer["lookup_status"], &answer["last_issue"]), (&json!("matched"), &json!("Lost her card")));
        let references = answer["customer_ref"].as_str().unwrap().to_owned();

        let connections = stack.api.connections();
        stack.api.fail_next(Fault::AnswerOf("anns".to_owned()));
        let answer = stack.invoke(&bob).await;
        assert_eq!(
            (&answer["lookup_status"], &answer["lookup_reason"]),
            (&json!("unavailable"), &json!("invalid_response"))
        );
        assert!(!answer.to_string().contains("Lost her card") && !answer.to_string().contains(&references), "{answer}");
        assert_eq!(stack.api.connections(), connections, "{answer}");
        assert_eq!(stack.invoke(&bob).await["lookup_status"], "new");
        assert_eq!(stack.api.connections(), connections + 1);

        stack.api.fail_next(Fault::AnswerOf("anns".to_owned()));
        let answer = stack.invoke(&words(bob.clone(), "Moved house")).await;
        let expected = if variables.contains(&QUEUE) { "queued" } else { "failed" };
        assert_eq!((&answer["save_status"], &answer["error"]), (&json!(expected), &json!("invalid_response")));
        if expected == "queued" {
            let body = aws.messages().remove(0)["MessageBody"].as_str().unwrap().to_owned();
            assert_eq!(stack.invoke(&queue(&[body])).await, json!({"batchItemFailures": []}));
        } else {
            assert_eq!(stack.invoke(&words(bob, "Moved house")).await["save_status"], "saved");
        }
        assert_eq!(stack.api.connections(), connections + 2);
        let bobs = stack.api.customers().into_iter().find(|customer| customer.ani.as_deref() == Some("+13035550002"));
        assert_eq!(bobs.unwrap().variables["last_issue"], "Moved house");
        assert_eq!(stack.api.ended().len(), 2);
    }
}

#[tokio::test]
async fn a_save_counts_as_taken_only_if_the_apis_answer_says_so() {
    let aws = Aws::with_a_queue_alone().await;
    let words = [("action", "save"), ("call_summary", "Moved house")];
    let save = with_parameters(call("bobs", "+13035550002"), &words);
    let mut stack = Stack::start_in(BOOTSTRAP, &aws, &[QUEUE]).await;
    for body in [
        json!({}),
        json!({"success": false}),
        json!({"success": true}),
        json!([]),
        json!("ok"),
        json!({"call_id": null}),
        json!({"call_id": "anns"}),
        json!({"call_id": "anns", "customer_ref": "r", "intents_updated": 1}),
        json!({"call_id": 7}),
        json!({"customer_ref": null, "call_end": null}),
        json!({"duration_seconds": 300}),
    ] {
        stack.api.fail_next(Fault::body(body.to_string()));
        let answer = stack.invoke(&save).await;
        assert_eq!(
            (&answer["save_status"], &answer["error"]),
            (&json!("queued"), &json!("invalid_response")),
            "{body}"
        );
    }
    assert_eq!(stack.api.ended(), [Value::Null; 0]);
    for body in
        [json!({"call_id": "bobs"}), json!({"call_start": "2026-02-07T10:30:00Z"}), json!({"variables_updated": 0})]
    {
        stack.api.fail_next(Fault::body(body.to_string()));
        let answer = stack.invoke(&save).await;
        assert_eq!((&answer["save_status"], &answer["error"]), (&json!("saved"), &json!("")), "{body}");
    }
}
