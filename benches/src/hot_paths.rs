//! What runs on every call, each as a function of its size, for `benches/hot_paths.rs` (time, allocations) and
//! `benches/instructions.rs` (instructions).
//!
//! A hot path begins where bytes have come in and ends where bytes go out, and leaves out the network in between, which
//! `benches/process.rs` counts. Everything that goes in is made beforehand and is the same in every run.

use std::hint::black_box;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use serde_json::{Value, json, to_vec};
use stand_ins::events::{event, record, stream, with_attribute, with_contact, with_parameter};
use stand_ins::sticky_calls::KEY;
use sticky_connect::answer::Line;
use sticky_connect::app::{App, Invocation, Reply};
use sticky_connect::config::Config;
use sticky_connect::connect::{Contact, ContactRecord};
use sticky_connect::dispatch::{Handler, Route, route};
use sticky_connect::end_call::{self, Source};
use sticky_connect::metrics::Metrics;
use sticky_connect::services::Services;
use sticky_connect::sticky_calls::StartAnswer;
use sticky_connect::{logging, start_call};
use tokio::runtime::{Builder, Runtime};

/// A hot path, with what goes into it.
pub type HotPath = Box<dyn Fn()>;

/// What Lambda calls the invocation; its own ids are as long.
const REQUEST_ID: &str = "8f507cfc-xmpl-4697-b07a-ac58fc914c95";

/// From the event to the handler that it is for: all of the event is looked at once. `attribute_bytes` is what the contact
/// carries in attributes that nobody asks for; Connect allows 32 KB of them.
pub fn route_event(attribute_bytes: usize) -> HotPath {
    let metrics = Metrics::new(|_| None);
    let event = with_attributes(event("returning_caller"), attribute_bytes).to_string();
    Box::new(move || match route(black_box(&event), None, &metrics) {
        Route::Flow(action, contact) => drop(black_box((action, contact))),
        other => panic!("{other:?}"),
    })
}

/// From the contact of a call that starts to the body that the API is sent.
pub fn start_request(attribute_bytes: usize) -> HotPath {
    let config = config(&[]);
    // The rest of the process owns it too.
    let event = with_attributes(event("returning_caller"), attribute_bytes).to_string().leak();
    let contact = Contact::from_flow_event(event).expect("a flow event");
    Box::new(move || {
        let request = start_call::request(black_box(&contact), &config).expect("a caller to ask about");
        black_box(to_vec(&request).expect("JSON"));
    })
}

/// From the API's answer to what a flow gets. The answer weighs `answer_bytes`, of which the flow gets the first 250
/// characters of each variable.
pub fn map_answer(answer_bytes: usize) -> HotPath {
    let names = ["name", "tier", "resolution", "call_date", "last_issue"];
    map(answer(&names, answer_bytes), config(&[]))
}

/// The same with an answer of as many `variables`, all of which are configured.
pub fn map_variables(variables: usize) -> HotPath {
    let names: Vec<_> = (0..variables).map(|number| format!("v{number}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    map(answer(&names, 120 * variables), config(&[("STICKY_CALLS_VARIABLES", &names.join(","))]))
}

fn map(answer: String, config: Config) -> HotPath {
    let event = event("returning_caller").to_string().leak();
    let contact = Contact::from_flow_event(event).expect("a flow event");
    let services = Services::new(config, Metrics::new(|_| None));
    Box::new(move || {
        let body = String::from_utf8(black_box(answer.as_bytes()).to_vec()).expect("UTF-8");
        let read = StartAnswer::parse(&body).expect("an answer");
        let answer = start_call::answered(&contact, &services, &read, "api", now());
        assert_eq!(answer.report.outcome, "matched");
        black_box(to_vec(&Reply::Flow(answer.attributes)).expect("JSON"));
    })
}

/// From the contact of a call that ends to the body that the API is sent: a summary of `text_bytes`, with numbers of which
/// some are cards' and masked.
pub fn end_request(text_bytes: usize) -> HotPath {
    end(with_parameter(event("save"), "call_summary", text(text_bytes)), config(&[]))
}

/// The same with as many `variables` to write back.
pub fn end_variables(variables: usize) -> HotPath {
    let names: Vec<_> = (0..variables).map(|number| format!("v{number}")).collect();
    let event =
        names.iter().fold(event("save"), |event, name| with_attribute(event, &format!("var_{name}"), text(100)));
    end(event, config(&[("STICKY_CALLS_VARIABLES", &names.join(","))]))
}

fn end(event: Value, config: Config) -> HotPath {
    let event = event.to_string().leak();
    let contact = Contact::from_flow_event(event).expect("a flow event");
    Box::new(move || {
        let summary = end_call::summary(black_box(&contact), &config, Source::Flow, now()).expect("a summary");
        black_box(to_vec(&summary.request).expect("JSON"));
    })
}

/// From a contact record to the body that the API is sent.
pub fn record_request(attribute_bytes: usize) -> HotPath {
    let config = config(&[]);
    let mut record = record();
    fill(&mut record["Attributes"], attribute_bytes);
    let record = record.to_string();
    Box::new(move || {
        let record = ContactRecord::parse(black_box(&record)).expect("a record");
        let source = Source::Record(&record);
        let summary = end_call::summary(record.contact(), &config, source, now()).expect("a summary");
        black_box(to_vec(&summary.request).expect("JSON"));
    })
}

/// The line of metrics, and before it what is counted and logged of one lookup.
pub fn log_and_metrics() -> HotPath {
    start_logging();
    let event = event("returning_caller").to_string().leak();
    let contact = Contact::from_flow_event(event).expect("a flow event");
    let services = Services::new(config(&[]), Metrics::new(|_| None));
    let answer = start_call::answered(&contact, &services, &StartAnswer::default(), "api", now());
    Box::new(move || {
        let line = Line {
            message: "answered",
            request_id: REQUEST_ID,
            handler: Handler::StartCall,
            contact_id: contact.contact_id(),
            caller_ends_in: Some("01".to_owned()),
            receives: None,
            total: Some(Duration::from_millis(81)),
        };
        services.metrics.record(&answer.report, &line);
        let left = Duration::from_millis(2_419);
        black_box(services.metrics.line(Handler::StartCall, REQUEST_ID, left, None, now()));
    })
}

/// A whole invocation for which the API is not asked: the caller withholds the number. It writes its lines of log and
/// metrics to standard output, as it does in Lambda.
pub fn skipped_call(attribute_bytes: usize) -> HotPath {
    invocation(with_attributes(event("anonymous_caller"), attribute_bytes))
}

/// A whole batch of as many contact `records`, all of which a flow has saved before: each is decoded and read, none sent.
pub fn saved_records(records: usize) -> HotPath {
    let mut record = record();
    let text = record.to_string();
    let read = ContactRecord::parse(&text).expect("a record");
    let summary = end_call::summary(read.contact(), &config(&[]), Source::Record(&read), now()).expect("a summary");
    record["Attributes"]["sticky_calls_saved"] = summary.saved_words().expect("words").into();
    invocation(stream(&vec![record; records]))
}

fn invocation(event: Value) -> HotPath {
    start_logging();
    let app = App::new(Services::new(config(&[]), Metrics::new(|_| None)));
    let runtime = runtime();
    let event = event.to_string();
    let deadline_ms = in_an_hour();
    Box::new(move || {
        let invocation = Invocation { request_id: REQUEST_ID, deadline_ms };
        let reply = runtime.block_on(app.answer(black_box(&event), invocation));
        black_box(to_vec(&reply).expect("JSON"));
    })
}

/// What a process does before its first call: the settings, and the clients of all that can be configured. Nothing is sent.
pub fn build_services() -> HotPath {
    let all = [
        ("STICKY_CALLS_TABLE", "cache"),
        ("STICKY_CALLS_OUTBOX_QUEUE_URL", "https://sqs.eu-central-1.amazonaws.com/123456789012/outbox"),
        ("AWS_REGION", "eu-central-1"),
        ("AWS_ACCESS_KEY_ID", "id"),
        ("AWS_SECRET_ACCESS_KEY", "key"),
        ("AWS_SESSION_TOKEN", "token"),
    ];
    let runtime = runtime();
    Box::new(move || {
        let _in_runtime = runtime.enter();
        let services = Services::new(config(black_box(&all)), Metrics::new(|_| None));
        assert!(services.api.is_some() && services.cache.is_some() && services.outbox.is_some());
    })
}

fn config(variables: &[(&str, &str)]) -> Config {
    let value_of = |name: &str| variables.iter().find_map(|(key, value)| (*key == name).then(|| (*value).to_owned()));
    let lookup = |name: &str| if name == "STICKY_CALLS_API_KEY" { Some(KEY.to_owned()) } else { value_of(name) };
    let (config, malformed) = Config::read(lookup);
    assert!(malformed.is_empty(), "{malformed:?}");
    config
}

fn start_logging() {
    logging::start(|_| None);
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// The time of the call, which is written into answers and requests.
fn now() -> Timestamp {
    Timestamp::constant(1_770_460_200, 0)
}

fn in_an_hour() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time after 1970");
    u64::try_from((now + Duration::from_secs(3_600)).as_millis()).expect("milliseconds")
}

/// The event with this much more in its contact attributes.
fn with_attributes(event: Value, bytes: usize) -> Value {
    let mut attributes = event["Details"]["ContactData"]["Attributes"].clone();
    fill(&mut attributes, bytes);
    with_contact(event, "/Attributes", attributes)
}

/// Adds attributes of some 200 bytes each, as CRM look-ups leave them, until they weigh `bytes`.
fn fill(attributes: &mut Value, bytes: usize) {
    for number in 0..bytes / 200 {
        attributes[format!("crm_field_{number:03}")] = text(180).into();
    }
}

/// An answer of the API's that weighs `bytes`, most of it in the values of these variables.
fn answer(names: &[&str], bytes: usize) -> String {
    let value = text(bytes / names.len());
    let variable =
        |name: &&str| ((*name).to_owned(), json!({"value": value, "source": null, "ttl_seconds": 2_592_000}));
    json!({
        "call_id": "4a573372-1f28-4e26-b97b-000000000002",
        "customer_ref": "a1b2c3d4-e5f6-7890-abcd-ef1234567890",
        "call_start": "2026-02-07T10:30:00.000Z",
        "identity": {
            "confidence": 0.9,
            "level": "very_high",
            "sources": ["ani:mobile", "external_id"],
            "recommendation": "reuse",
        },
        "open_intents": [{"intent": "refund_request", "status": "open", "attempt_count": 2}],
        "variables": names.iter().map(variable).collect::<serde_json::Map<_, _>>(),
    })
    .to_string()
}

/// A text of this many bytes as agents write it: line breaks, quotes, numbers that are no cards', and one that is.
fn text(bytes: usize) -> String {
    const NOTE: &str = "Called about order 20260207 from 202-555-0101, said \"it never came\".\n\
                        Paid with 4111 1111 1111 1111; sent again, arrives on Monday. ";
    NOTE.chars().cycle().take(bytes).collect()
}
