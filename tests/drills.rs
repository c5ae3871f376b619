//! Whole outages, with counts: what went in, and what came out when they were over.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may panic")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use stand_ins::aws::{Aws, AwsFault, Service};
use stand_ins::contact_centre::{Caller, ContactCentre};
use stand_ins::events::{
    call, event, guide, queue, record_of, stream, summary_of, with, with_attribute, with_contact, with_parameters,
};
use stand_ins::stack::Stack;
use stand_ins::sticky_calls::{Customer, Fault, KEY, StickyCalls};
use sticky_connect::app::{App, Invocation};
use sticky_connect::config::Config;
use sticky_connect::services::Services;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;

const BOOTSTRAP: &str = env!("CARGO_BIN_EXE_bootstrap");
const QUEUE: (&str, &str) = ("STICKY_CALLS_OUTBOX_QUEUE_URL", "http://sqs.eu-central-1.amazonaws.com/1/outbox");
const TABLE: (&str, &str) = ("STICKY_CALLS_TABLE", "table");
const CUSTOMERS: usize = 60;

/// The bodies of the messages that the queue has taken.
fn bodies(aws: &Aws) -> Vec<String> {
    aws.messages().iter().map(|message| message["MessageBody"].as_str().unwrap().to_owned()).collect()
}

/// Shuffles the items, in the same way each time. The random numbers are a linear congruential generator's.
fn shuffle<T>(items: &mut [T]) {
    let mut state = 0x5713_c0de_u64;
    for last in (1..items.len()).rev() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        items.swap(last, (state >> 33) as usize % (last + 1));
    }
}

/// A customer's call in the outage. Two agents have it, one after the other, and each writes something.
struct Call {
    customer: usize,
    is_second: bool,
}

impl Call {
    fn id(&self) -> String {
        format!("call {} of customer {}", 1 + u32::from(self.is_second), self.customer)
    }

    fn number(&self) -> String {
        format!("+1303555{:04}", self.customer)
    }

    /// An agent's words. They name the customer.
    fn text(&self, agent: usize) -> String {
        format!("agent {agent} in {}.", self.id())
    }

    /// Whether the agents use the wrap-up. Half of them write elsewhere, so that only the record has their words.
    fn has_wrap_up(&self) -> bool {
        (self.customer / 2).is_multiple_of(2)
    }

    /// The attributes of its contacts. The lookup has failed.
    fn attributes(&self) -> Value {
        let (hour, minute) = (self.customer / 20 + 3 * usize::from(self.is_second), self.customer % 20 * 3);
        let start = format!("2026-02-07T1{hour}:{minute:02}:00.000Z");
        json!({"call_id": self.id(), "call_start": start, "caller_number": self.number(), "customer_ref": "",
            "lookup_status": "unavailable", "intent": "billing_issue"})
    }

    /// The block that saves an agent's wrap-up.
    fn wrap_up(&self, agent: usize) -> Value {
        let attributes = self.attributes();
        let text = |name: &str| attributes[name].as_str().unwrap();
        let parameters = [
            ("action", "save"),
            ("call_id", text("call_id")),
            ("customer_ref", ""),
            ("call_start", text("call_start")),
            ("caller_number", text("caller_number")),
            ("intent", "billing_issue"),
            ("call_summary", &self.text(agent)),
        ];
        with_parameters(with_contact(guide("g", &self.id()), "Attributes", attributes.clone()), &parameters)
    }

    /// The record of an agent's segment.
    fn record(&self, agent: usize, mark: &str) -> Value {
        let attributes = with(self.attributes(), "call_summary", self.text(agent));
        let record = record_of(&self.id(), &self.number(), with(attributes, "sticky_calls_saved", mark));
        if agent == 1 {
            return with(record, "NextContactId", "second");
        }
        let record = with(with(record, "ContactId", "second"), "InitiationMethod", "TRANSFER");
        with(record, "InitialContactId", self.id())
    }

    /// Plays the call: the lookup fails, the call ends, the agents write. No answer may fail the flow or the stream.
    async fn happen(&self, stack: &mut Stack) {
        let block = with_contact(call(&self.id(), &self.number()), "Attributes", self.attributes());
        assert_eq!(stack.invoke(&block).await["lookup_status"], "unavailable");
        let disconnect = with_contact(block, "InitiationMethod", "DISCONNECT");
        assert_eq!(stack.invoke(&disconnect).await["save_status"], "deferred");
        let mut records = Vec::new();
        for agent in [1, 2] {
            let mut mark = String::new();
            if self.has_wrap_up() {
                let answer = stack.invoke(&self.wrap_up(agent)).await;
                assert_eq!(answer["save_status"], "queued", "{answer}");
                mark = answer["saved_words"].as_str().unwrap().to_owned();
            }
            records.push(self.record(agent, &mark));
        }
        assert_eq!(stack.invoke(&stream(&records)).await, json!({"batchItemFailures": []}));
    }
}

#[tokio::test]
async fn after_six_hours_without_the_api_no_words_are_lost_the_newest_are_last_and_no_customers_are_merged() {
    let aws = Aws::in_memory().await;
    let mut stack = Stack::start_in(BOOTSTRAP, &aws, &[QUEUE, TABLE]).await;
    stack.api.fail_always(Some(Fault::status(503)));
    // Every second customer calls again three hours later.
    let first = (0..CUSTOMERS).map(|customer| Call { customer, is_second: false });
    let second = (0..CUSTOMERS).step_by(2).map(|customer| Call { customer, is_second: true });
    let calls: Vec<_> = first.chain(second).collect();
    for call in &calls {
        call.happen(&mut stack).await;
    }
    assert_eq!(stack.api.ended(), [Value::Null; 0]);
    let messages = bodies(&aws);
    let with_words = messages.iter().filter(|body| body.contains("last_issue")).count();
    let (calls_in, words_in) = (calls.len(), 2 * calls.len());
    assert_eq!((with_words, messages.len()), (words_in, words_in + calls_in), "words, and an end of each call");

    stack.api.fail_always(None);
    let mut deliveries: Vec<_> = messages.iter().chain(messages.iter().step_by(5)).cloned().collect();
    shuffle(&mut deliveries);
    for batch in deliveries.chunks(10) {
        assert_eq!(stack.invoke(&queue(batch)).await, json!({"batchItemFailures": []}));
    }

    let ends = stack.api.ended();
    let times = |text: &str| ends.iter().filter(|end| end["variables"].to_string().contains(text)).count();
    let texts: Vec<_> = calls.iter().flat_map(|call| [call.text(1), call.text(2)]).collect();
    let lost = texts.iter().filter(|text| times(text) == 0).count();
    let twice = texts.iter().filter(|text| times(text) > 1).count();
    let known = stack.api.customers();
    let last_issue_of = |call: &Call| {
        let with_number: Vec<_> = known.iter().filter(|customer| customer.ani == Some(call.number())).collect();
        let [Customer { variables, .. }] = &with_number[..] else { panic!("{with_number:?}") };
        variables["last_issue"].clone()
    };
    let newest = (0..CUSTOMERS).map(|customer| Call { customer, is_second: customer % 2 == 0 });
    let covered: Vec<_> = newest.filter(|call| last_issue_of(call) != call.text(2)).map(|call| call.id()).collect();
    let names_of = |customer: &Customer| {
        let texts = customer.variables.values();
        texts
            .filter_map(|text| text.rsplit_once("of customer "))
            .map(|(_, name)| name.to_owned())
            .collect::<BTreeSet<_>>()
    };
    let merged = known.iter().filter(|customer| names_of(customer).len() > 1).count();
    let counts = format!("of {words_in} words in {calls_in} calls, {} messages, {} ends", messages.len(), ends.len());
    assert_eq!((lost, twice, covered.len(), merged), (0, 0, 0, 0), "{counts}: {covered:?}");
    // One for each customer, and the one of the sample events.
    assert_eq!(known.len(), CUSTOMERS + 1, "{counts}");
}

#[tokio::test]
async fn a_queue_that_refuses_every_second_message_gets_each_record_once() {
    const RECORDS: usize = 20;
    let aws = Aws::in_memory().await;
    let mut stack = Stack::start_in(BOOTSTRAP, &aws, &[QUEUE]).await;
    stack.api.fail_always(Some(Fault::status(503)));
    aws.fail(Service::Sqs, Some(AwsFault::EverySecondRefused));
    let of_call = |number: usize| {
        let attributes = json!({"customer_ref": format!("ref {number}"), "call_summary": format!("summary {number}.")});
        record_of(&format!("call {number}"), &format!("+1303555{number:04}"), attributes)
    };
    let mut left = stream(&(0..RECORDS).map(of_call).collect::<Vec<_>>())["Records"].as_array().unwrap().clone();
    let number_of = |record: &Value| record["kinesis"]["sequenceNumber"].as_str().unwrap().to_owned();
    let mut attempts = 0;
    while !left.is_empty() {
        attempts += 1;
        assert!(attempts <= 2 * RECORDS, "{} of {RECORDS} are left", left.len());
        let answer = stack.invoke(&json!({"Records": left})).await;
        let reported = answer["batchItemFailures"].as_array().unwrap().iter();
        // Lambda retries from the lowest reported sequence number on.
        let lowest = reported.map(|item| item["itemIdentifier"].as_str().unwrap().to_owned()).min();
        left.retain(|record| lowest.as_ref().is_some_and(|lowest| number_of(record) >= *lowest));
    }
    let texts: BTreeSet<_> =
        bodies(&aws).iter().map(|body| body.split("summary ").nth(1).unwrap().to_owned()).collect();
    assert_eq!((bodies(&aws).len(), texts.len()), (RECORDS, RECORDS), "messages after {attempts} attempts");
}

#[tokio::test]
async fn with_the_table_down_every_save_is_delivered_and_the_outbox_invalidates_the_cache() {
    for fault in [AwsFault::Hang, AwsFault::Reset, AwsFault::Status(500), AwsFault::Refused("ThrottlingException")] {
        let aws = Aws::in_memory().await;
        let mut stack = Stack::start_in(BOOTSTRAP, &aws, &[QUEUE, TABLE]).await;
        let jane = |id: &str| with_contact(event("returning_caller"), "InitialContactId", id);
        for source in ["api", "cache"] {
            assert_eq!(stack.invoke(&jane(source)).await["lookup_source"], source);
        }
        let reference = stack.api.customers()[0].customer_ref.clone();
        let written = |id: &str, text: &str| json!({"customer_ref": reference, "call_id": id, "call_summary": text});
        let saved = with_contact(jane("one"), "Attributes", written("one", "by a flow"));
        let record = record_of("two", "+12025550101", written("two", "by a record"));

        aws.fail(Service::DynamoDb, Some(fault.clone()));
        let saved = with_parameters(saved, &[("action", "save")]);
        assert_eq!(stack.invoke(&saved).await["save_status"], "saved", "{fault:?}");
        assert_eq!(stack.invoke(&stream(&[record])).await, json!({"batchItemFailures": []}), "{fault:?}");
        stack.api.fail_always(Some(Fault::status(503)));
        let queued = with_attribute(with_contact(saved, "InitialContactId", "three"), "call_summary", "by the outbox");
        assert_eq!(stack.invoke(&queued).await["save_status"], "queued", "{fault:?}");
        stack.api.fail_always(None);
        aws.fail(Service::DynamoDb, None);

        let messages = bodies(&aws);
        let (tombstones, words): (Vec<_>, Vec<_>) = messages.into_iter().partition(|body| body.contains("tombstones"));
        assert_eq!((tombstones.len(), words.len()), (3, 1), "{fault:?}");
        assert_eq!(stack.invoke(&jane("stale")).await["lookup_source"], "cache", "{fault:?}");
        let before = stack.api.received().len();
        assert_eq!(stack.invoke(&queue(&tombstones[..1])).await, json!({"batchItemFailures": []}));
        assert_eq!(stack.api.received().len(), before, "tombstones are for the table alone");
        let answer = stack.invoke(&jane("fresh")).await;
        assert_eq!(
            (&answer["lookup_source"], &answer["last_issue"]),
            (&json!("api"), &json!("by a record")),
            "{fault:?}"
        );
        // Tombstones are not lost if the table is still down when they are delivered.
        aws.fail(Service::DynamoDb, Some(AwsFault::Status(500)));
        let answer = stack.invoke(&queue(&tombstones[1..])).await;
        assert_eq!(answer["batchItemFailures"].as_array().unwrap().len(), 2, "{fault:?}");
        aws.fail(Service::DynamoDb, None);
        let rest = [&tombstones[1..], &words].concat();
        assert_eq!(stack.invoke(&queue(&rest)).await, json!({"batchItemFailures": []}));
        assert_eq!(stack.api.ended().len(), 3, "{fault:?}");
    }
}

/// Everything that is logged, at every level.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

const CALLS: usize = 300;
const DAY: Duration = Duration::from_secs(24 * 3_600);

/// One of the three hundred calls. Each is another customer's.
#[derive(Clone, Copy)]
struct Conversation(usize);

/// How a call gets its words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Words {
    /// An agent types them: into the form of our flow, into one that stores nothing, or elsewhere, so that only the
    /// record has them.
    TypedInOurForm,
    TypedInAnotherForm,
    TypedElsewhere,
    /// Contact Lens summarises the call.
    Summarised,
    Neither,
}

impl Conversation {
    fn words(self) -> Words {
        let typed = [Words::TypedInOurForm, Words::TypedInAnotherForm, Words::TypedElsewhere];
        match self.0 % 3 {
            0 => typed[self.0 / 3 % 3],
            1 => Words::Summarised,
            _ => Words::Neither,
        }
    }

    fn is_typed(self) -> bool {
        !matches!(self.words(), Words::Summarised | Words::Neither)
    }

    /// Contact Lens also summarises every second call about which somebody typed something.
    fn is_summarised(self) -> bool {
        self.words() == Words::Summarised || self.is_typed() && (self.0 / 3).is_multiple_of(2)
    }

    fn typed(self) -> String {
        format!("Typed in call {}.", self.0)
    }

    fn summarised(self) -> String {
        format!("Contact Lens about call {}.", self.0)
    }

    fn id(self) -> String {
        format!("00000000-0000-4000-9000-{:012}", self.0)
    }

    fn number(self) -> String {
        format!("+1303555{:04}", self.0)
    }

    /// The attributes of its contact. Every second lookup has failed.
    fn attributes(self) -> Value {
        let (customer_ref, status) =
            if self.0.is_multiple_of(2) { (format!("ref {}", self.0), "new") } else { (String::new(), "unavailable") };
        json!({"call_id": self.id(), "call_start": "2026-02-07T10:30:00.000Z", "caller_number": self.number(),
            "customer_ref": customer_ref, "lookup_status": status, "intent": "billing_issue"})
    }

    /// The block that saves what an agent typed into a form.
    fn wrap_up(self) -> Value {
        let attributes = self.attributes();
        let id = self.id();
        let text = |name: &str| attributes[name].as_str().unwrap();
        let parameters = [
            ("action", "save"),
            ("call_id", &id),
            ("customer_ref", text("customer_ref")),
            ("call_summary", &self.typed()),
        ];
        with_parameters(with_contact(guide("guide", &id), "Attributes", attributes.clone()), &parameters)
    }

    fn record(self) -> Value {
        let attributes = match self.words() {
            Words::TypedInOurForm | Words::TypedElsewhere => with(self.attributes(), "call_summary", self.typed()),
            _ => self.attributes(),
        };
        record_of(&self.id(), &self.number(), attributes)
    }

    fn summary(self) -> Value {
        summary_of(&self.id(), &self.summarised())
    }
}

/// What comes to the save function.
#[derive(Clone)]
enum Incoming {
    Flow(Value),
    Record(Value),
}

/// The save function within this process, whose clock can be stopped.
struct Save {
    app: App,
    aws: Aws,
    api: StickyCalls,
    delivered: usize,
}

impl Save {
    async fn start() -> Self {
        let (aws, api) = (Aws::in_memory().await, StickyCalls::start().await);
        let mut variables: BTreeMap<String, String> = aws.variables().into_iter().collect();
        let ours = [QUEUE, TABLE, ("STICKY_CALLS_CONTACT_LENS", "on"), ("STICKY_CALLS_API_KEY", KEY)];
        variables.extend(ours.map(|(name, value)| (name.to_owned(), value.to_owned())));
        variables.insert("STICKY_CALLS_API_URL".to_owned(), api.url());
        let (config, malformed) = Config::read(|name| variables.get(name).cloned());
        assert_eq!(malformed, []);
        Self { app: App::new(Services::new(config)), aws, api, delivered: 0 }
    }

    async fn invoke(&self, event: &Value) -> Value {
        // A deadline of 0 means that it is not known.
        let invocation = Invocation { request_id: "request", deadline_ms: 0 };
        let payload = event.to_string();
        serde_json::to_value(self.app.answer(&payload, invocation).await).unwrap()
    }

    /// Everything comes in this order, the records in batches. The API is down in the middle.
    async fn take(&self, incoming: &[Incoming]) {
        let (down, up) = (incoming.len() * 4 / 10, incoming.len() * 7 / 10);
        let mut batch = Vec::new();
        for (number, incoming) in incoming.iter().enumerate() {
            self.api.fail_always((down..up).contains(&number).then(|| Fault::status(503)));
            match incoming {
                Incoming::Record(record) => batch.push(record.clone()),
                Incoming::Flow(event) => assert_eq!(self.invoke(event).await["success"], "true"),
            }
            if batch.len() == 7 {
                self.take_batch(&std::mem::take(&mut batch)).await;
            }
        }
        self.take_batch(&batch).await;
    }

    async fn take_batch(&self, batch: &[Value]) {
        if !batch.is_empty() {
            assert_eq!(self.invoke(&stream(batch)).await, json!({"batchItemFailures": []}));
        }
    }

    /// SQS delivers what waits, some of it twice.
    async fn drain(&mut self) {
        let waiting = bodies(&self.aws).split_off(self.delivered);
        self.delivered += waiting.len();
        let mut deliveries: Vec<_> = waiting.iter().chain(waiting.iter().step_by(5)).cloned().collect();
        shuffle(&mut deliveries);
        for batch in deliveries.chunks(10) {
            assert_eq!(self.invoke(&queue(batch)).await, json!({"batchItemFailures": []}));
        }
    }

    /// A day passes, for the process and for the table.
    async fn sleep_for_a_day(&self) {
        tokio::time::pause();
        tokio::time::advance(DAY).await;
        tokio::time::resume();
        self.aws.age(DAY);
    }
}

#[test]
fn of_three_hundred_calls_every_typed_text_and_every_summary_of_an_untyped_call_is_kept_and_none_is_spoken() {
    // A process has a larger stack than a test's thread, and the AWS SDK needs it if it is not optimised.
    let thread = std::thread::Builder::new().stack_size(8 << 20).spawn(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(three_hundred_calls());
    });
    thread.unwrap().join().unwrap();
}

async fn three_hundred_calls() {
    let log = Log::default();
    // Like the function itself: only its own lines.
    let ours = Targets::new().with_target("sticky_connect", tracing::Level::TRACE);
    let lines = tracing_subscriber::fmt::layer().with_writer(log.clone());
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(ours).with(lines)).unwrap();
    let mut save = Save::start().await;
    let calls = || (0..CALLS).map(Conversation);
    let known = calls().filter(|call| call.0.is_multiple_of(2));
    for call in known {
        let customer_ref = format!("ref {}", call.0);
        save.api.remember(Customer { customer_ref, ani: Some(call.number()), ..Customer::default() });
    }

    let (mut at_once, mut late) = (Vec::new(), Vec::new());
    for call in calls() {
        at_once.push(Incoming::Record(call.record()));
        if matches!(call.words(), Words::TypedInOurForm | Words::TypedInAnotherForm) {
            at_once.push(Incoming::Flow(call.wrap_up()));
        }
        if call.is_summarised() {
            let is_late = (call.0 / 3).is_multiple_of(10);
            if is_late { &mut late } else { &mut at_once }.push(Incoming::Record(call.summary()));
        }
    }
    let again: Vec<_> = at_once.iter().step_by(4).cloned().collect();
    at_once.extend(again);
    shuffle(&mut at_once);
    save.take(&at_once).await;
    save.api.fail_always(None);
    save.drain().await;
    save.sleep_for_a_day().await;
    late.extend(late.clone());
    shuffle(&mut late);
    save.take(&late).await;
    save.api.fail_always(None);
    save.drain().await;

    let ends = save.api.ended();
    let times = |text: &str| ends.iter().filter(|end| end["variables"].to_string().contains(text)).count();
    let customers = save.api.customers();
    let of = |call: Conversation| {
        let with_number: Vec<_> = customers.iter().filter(|known| known.ani == Some(call.number())).collect();
        let [Customer { variables, .. }] = &with_number[..] else { panic!("{with_number:?}") };
        let text = |name: &str| variables.get(name).cloned().unwrap_or_default();
        (text("last_issue"), text("last_issue_source"))
    };
    let count = |holds: &dyn Fn(Conversation) -> bool| calls().filter(|call| holds(*call)).count();
    let typed = count(&|call| call.is_typed() && times(&call.typed()) == 1);
    let typed_is_last = count(&|call| call.is_typed() && of(call) == (call.typed(), "call_summary".to_owned()));
    let is_kept = |call: Conversation| call.words() == Words::Summarised && times(&call.summarised()) == 1;
    let kept = count(&is_kept);
    let kept_is_last = count(&|call| is_kept(call) && of(call) == (call.summarised(), "contact_lens".to_owned()));
    let silent = count(&|call| call.words() == Words::Neither && of(call) == (String::new(), String::new()));
    // Summary and record of some came before the agent had typed anything.
    let before_typed = count(&|call| call.is_typed() && times(&call.summarised()) > 0);
    let counts = format!(
        "{CALLS} calls, {} events, {} of them a day late: {} ends, {} messages of the outbox; {before_typed} summaries \
         were sent before an agent typed something",
        at_once.len() + late.len(),
        late.len(),
        ends.len(),
        bodies(&save.aws).len(),
    );
    assert_eq!((typed, typed_is_last, kept, kept_is_last, silent), (100, 100, 100, 100, 100), "{counts}");
    assert!(before_typed < 10, "{counts}");

    let log = log.text();
    assert!(log.contains("summary of contact"), "{log}");
    for private in ["Typed in", "Lens about", "+1303555", "billing_issue", "ref 1"] {
        assert!(!log.contains(private), "{private}");
    }
    assert_that_only_typed_words_are_spoken(&customers).await;
}

/// Everybody calls again, in a contact centre that trusts every number.
async fn assert_that_only_typed_words_are_spoken(customers: &[Customer]) {
    let mut centre = ContactCentre::open(BOOTSTRAP, &[("STICKY_CALLS_RETURNING_THRESHOLD", "0.1")]).await;
    customers.iter().cloned().for_each(|customer| centre.api.remember(customer));
    let (mut spoken, mut shown) = (0, 0);
    for call in (0..CALLS).map(Conversation) {
        let mut again = centre.call(Caller::from(&call.number()).pressing("1")).await;
        centre.agent_answers(&mut again).await;
        let heard = [again.heard(), again.agent_heard()].concat().join("\n");
        assert!(!heard.contains("Lens about"), "{heard}");
        spoken += usize::from(heard.contains(&call.typed()));
        let context = again.attribute("customer_context");
        shown += usize::from(context.contains(&format!("by Contact Lens (2026-02-07): {}", call.summarised())));
        assert_eq!(again.agent_saw()[0]["Description"], context);
    }
    assert_eq!((spoken, shown), (100, 100));
}
