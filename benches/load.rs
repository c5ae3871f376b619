//! Load: what a call costs as what it carries grows, and how batches scale with their length; on Linux:
//!
//!     cargo bench --package benchmarks --bench load
//!
//! Measured on the release binary between the stand-ins of the Lambda Runtime API and of the Sticky Calls API. Wall-clock
//! times hold the stand-ins' work too, and whatever else the machine is doing; CPU time is the function's own, and what is
//! stretched where Lambda gives it a fraction of a CPU.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark may panic and prints"
)]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use stand_ins::aws::{Aws, AwsFault, Service};
use stand_ins::build::build;
use stand_ins::events::{event, queue, record, stream, with_attribute, with_parameter};
use stand_ins::function::Function;
use stand_ins::runtime_api::Outcome;
use stand_ins::stack::Stack;
use stand_ins::sticky_calls::Fault;

/// How often each input is measured. All inputs of a table take turns, so that whatever else the machine does meets all of
/// them.
const CALLS: usize = 500;

/// How often each input is sent before that.
const WARM_UP_CALLS: usize = 20;

/// What a row's CPU time must be of the first one's, so that the difference says something.
const NOTICEABLE: f64 = 1.1;

/// How often a batch is measured whose API answers at once; the median counts.
const BATCHES: usize = 5;

/// The save function's time-out in the template.
const SAVE_TIMEOUT: Duration = Duration::from_secs(60);

/// The most that Lambda hands a function as one event, in bytes.
const MAX_EVENT_BYTES: usize = 6 * 1024 * 1024;

/// The largest answer of the API's that is read, in bytes.
const MAX_ANSWER_BYTES: usize = 256 * 1024;

const KB: usize = 1_024;

/// How much text there is in a contact's attributes, in bytes; Connect keeps 32 KB.
const SIZES: [usize; 3] = [KB, 8 * KB, 32_000];

/// Texts in which a card number must be looked for.
const NUMBERS: [(&str, &str); 3] = [
    ("numbers", "Order 4711-0815 of 2026-02-07, 129.90, phone +1 202 555 0123, ticket 00012345. "),
    ("card numbers", "4111 1111 1111 1111, "),
    ("single digits", "4 7 1 1 0 8 1 5 2 "),
];

const SAVE: (&str, &str) = ("STICKY_CALLS_ACTION", "save");
const JANE: &str = "00000000-0000-4000-8000-000000000001";

/// Stops where the function does not answer as it should: then there is nothing to measure.
#[tokio::main(flavor = "current_thread")]
async fn main() {
    let given = std::env::var_os("STICKY_CONNECT_BOOTSTRAP");
    let bootstrap = &given.map_or_else(|| build("--bin", "bootstrap").unwrap(), PathBuf::from);
    attributes_at_the_start(bootstrap).await;
    attributes_at_the_end(bootstrap).await;
    answers(bootstrap).await;
    variables(bootstrap).await;
    batches(bootstrap).await;
    outages(bootstrap).await;
    hung_api(bootstrap).await;
}

/// One row of a table of warm calls.
struct Input {
    what: String,
    /// The bytes that grow from row to row.
    bytes: usize,
    event: String,
    answer: Fault,
    /// What the answer to the flow must have.
    expected: (&'static str, &'static str),
}

/// What one call took.
struct Cost {
    wall: Duration,
    cpu: Duration,
}

async fn attributes_at_the_start(bootstrap: &Path) {
    let input = |what: &str, bytes, event: Value| Input {
        what: what.to_owned(),
        bytes,
        event: event.to_string(),
        answer: Fault::body(answer(&[])),
        expected: ("lookup_status", "matched"),
    };
    let base = || event("returning_caller");
    let mut inputs = vec![input("none", 0, base())];
    for bytes in SIZES {
        let event = with_texts(base(), "note", &vec![prose(bytes / 4); 4]);
        inputs.push(input("4 long ones", bytes, event));
    }
    for bytes in SIZES {
        let event = with_texts(base(), "note", &vec![prose(30); bytes / 30]);
        inputs.push(input(&format!("{} of 30 bytes", bytes / 30), bytes, event));
    }
    let mut stack = Stack::start(bootstrap, &[]).await;
    print_warm("Start of a call, as the contact's attributes grow", &mut [(&mut stack, inputs)]).await;
}

async fn attributes_at_the_end(bootstrap: &Path) {
    let input = |what: &str, bytes, event: Value| Input {
        what: what.to_owned(),
        bytes,
        event: event.to_string(),
        answer: Fault::body(json!({"customer_ref": JANE}).to_string()),
        expected: ("save_status", "saved"),
    };
    let base = || event("save");
    let mut inputs = vec![input("none", 0, base())];
    for bytes in SIZES {
        let event = with_texts(base(), "var_note", &vec![prose(bytes / 4); 4]);
        inputs.push(input("4 long variables", bytes, event));
    }
    for bytes in SIZES {
        let event = with_texts(base(), "var_note", &vec![prose(30); bytes / 30]);
        inputs.push(input(&format!("{} variables of 30 bytes", bytes / 30), bytes, event));
    }
    for bytes in SIZES {
        inputs.push(input("a summary in prose", bytes, with_parameter(base(), "call_summary", prose(bytes))));
    }
    for (what, text) in NUMBERS {
        for bytes in SIZES {
            let text = filled(text, bytes);
            inputs.push(input(&format!("a summary of {what}"), bytes, with_parameter(base(), "call_summary", text)));
        }
    }
    let mut stack = Stack::start(bootstrap, &[SAVE]).await;
    print_warm("End of a call, as what is saved grows", &mut [(&mut stack, inputs)]).await;
}

async fn answers(bootstrap: &Path) {
    let input = |what: String, body: String, reason| Input {
        what,
        bytes: body.len(),
        event: event("returning_caller").to_string(),
        answer: Fault::body(body),
        expected: ("lookup_reason", reason),
    };
    let mut inputs = vec![input("no variables".to_owned(), answer(&[]), "")];
    for bytes in [1, 4, 16, 64, 256].map(|kilobytes| kilobytes * KB) {
        inputs.push(input("5 variables".to_owned(), answer_of(bytes, 5), ""));
    }
    for (count, bytes) in [(5, 500), (50, 5_000), (500, 50_000), (2_000, 200_000)] {
        inputs.push(input(format!("{count} variables"), answer_of(bytes, count), ""));
    }
    let too_large = answer_of(MAX_ANSWER_BYTES, 5) + " ";
    inputs.push(input("one byte too many, refused".to_owned(), too_large, "invalid_response"));
    let mut stack = Stack::start(bootstrap, &[]).await;
    print_warm("Start of a call, as the API's answer grows", &mut [(&mut stack, inputs)]).await;
}

async fn variables(bootstrap: &Path) {
    let names = |count: usize| -> Vec<String> { (0..count).map(|number| format!("note{number:04}")).collect() };
    let body = answer(&vec![prose(100); 100].into_iter().zip(names(100)).collect::<Vec<_>>());
    let mut stacks = Vec::new();
    for count in [4, 20, 100] {
        let configured = names(count).join(",");
        let stack = Stack::start(bootstrap, &[("STICKY_CALLS_VARIABLES", configured.as_str())]).await;
        let input = Input {
            what: format!("{count} configured"),
            bytes: count * 100,
            event: event("returning_caller").to_string(),
            answer: Fault::body(body.as_str()),
            expected: ("lookup_status", "matched"),
        };
        stacks.push((stack, vec![input]));
    }
    let mut turns: Vec<_> = stacks.iter_mut().map(|(stack, inputs)| (stack, std::mem::take(inputs))).collect();
    print_warm("Start of a call, as the number of configured variables grows (100 bytes each)", &mut turns).await;
}

/// Measures the inputs of all these stacks in turns and prints a row for each. Growth is the cost of a KB over the first
/// row, against that of the row before: 1 where it is linear, the ratio of their sizes where it is quadratic.
async fn print_warm(title: &str, stacks: &mut [(&mut Stack, Vec<Input>)]) {
    let mut costs: Vec<Vec<Vec<Cost>>> =
        stacks.iter().map(|(_, inputs)| inputs.iter().map(|_| Vec::with_capacity(CALLS)).collect()).collect();
    for call in 0..WARM_UP_CALLS + CALLS {
        for ((stack, inputs), costs) in stacks.iter_mut().zip(&mut costs) {
            for (input, costs) in inputs.iter().zip(costs) {
                // The second one counts: what the function does after its answer is then after one of its own kind.
                one_call(stack, input).await;
                let cost = one_call(stack, input).await;
                if call >= WARM_UP_CALLS {
                    costs.push(cost);
                }
            }
        }
    }
    println!("\n## {title}\n");
    println!("| | bytes | p50 µs | p95 µs | CPU µs | CPU µs per KB more | growth |");
    println!("|---|---:|---:|---:|---:|---:|---:|");
    let mut first = None;
    let mut before: Option<(usize, f64)> = None;
    let rows = stacks.iter().zip(&costs).flat_map(|((_, inputs), costs)| inputs.iter().zip(costs));
    for (input, costs) in rows {
        let wall = |share| micros(percentile(costs.iter().map(|cost| cost.wall), share));
        let (half, most) = (wall(0.5), wall(0.95));
        let cpu = micros(percentile(costs.iter().map(|cost| cost.cpu), 0.5));
        let (first_bytes, first_cpu) = *first.get_or_insert((input.bytes, cpu));
        print!("| {} | {} | {half:.0} | {most:.0} | {cpu:.0} |", input.what, input.bytes);
        if cpu < first_cpu * NOTICEABLE {
            println!(" | |");
            continue;
        }
        let per_kb = (cpu - first_cpu) / ((input.bytes - first_bytes) as f64 / KB as f64);
        // A smaller size begins a series of another kind.
        let smaller = before.filter(|(bytes, _)| *bytes < input.bytes);
        let growth = smaller.map(|(_, smaller)| format!("{:.1}", per_kb / smaller)).unwrap_or_default();
        println!(" {per_kb:.1} | {growth} |");
        before = Some((input.bytes, per_kb));
    }
}

async fn one_call(stack: &mut Stack, input: &Input) -> Cost {
    stack.api.fail_always(Some(input.answer.clone()));
    let payload = input.event.clone();
    let (cpu, began) = (cpu_time(&stack.function), Instant::now());
    let answer = stack.function.invoke_bytes(payload).await;
    let wall = began.elapsed();
    let cost = Cost { wall, cpu: cpu_time(&stack.function) - cpu };
    let answer: Value = serde_json::from_slice(&answer).expect("JSON");
    let (name, value) = input.expected;
    assert_eq!(answer[name], value, "{}: {answer}", input.what);
    cost
}

/// What a batch is made of.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// Messages of the outbox.
    Messages,
    /// Contact records of an ordinary size.
    Records,
    /// Contact records with notes of so many bytes each.
    LongRecords(usize),
}

impl Kind {
    fn name(self) -> String {
        match self {
            Self::Messages => "messages of the outbox".to_owned(),
            Self::Records => "contact records".to_owned(),
            Self::LongRecords(bytes) => format!("contact records with {bytes} bytes of notes"),
        }
    }

    /// The event with `count` calls of their own, as often as it is asked for.
    fn event(self, count: usize, run: usize) -> Value {
        let call_id = |number: usize| format!("4a573372-1f28-4e26-b97b-{:012}", run * 10_000 + number);
        match self {
            Self::Messages => {
                let body = |number: usize| {
                    let request = json!({
                        "call_id": call_id(number), "customer_ref": JANE, "intent": "billing_issue",
                        "intent_status": "open", "variables": {
                            "call_date": "2026-02-07T10:30:00.000Z", "last_issue": prose(200),
                            "last_issue_source": "call_summary",
                        },
                    });
                    json!({
                        "version": 1, "reason": "server_error", "queued_at": "2026-02-07T10:37:41.000Z",
                        "contact_id": call_id(number), "request": request,
                    })
                    .to_string()
                };
                queue(&(0..count).map(body).collect::<Vec<_>>())
            }
            Self::Records | Self::LongRecords(_) => {
                let one = |number: usize| {
                    let mut record = record();
                    record["ContactId"] = json!(call_id(number));
                    if let Self::LongRecords(bytes) = self {
                        // Without a summary the notes are sent twice.
                        record["Attributes"]["call_summary"] = Value::Null;
                        record["Attributes"]["agent_notes"] = json!(prose(bytes));
                    }
                    record
                };
                stream(&(0..count).map(one).collect::<Vec<_>>())
            }
        }
    }
}

/// Records as long as fit into one event a thousand at a time.
const LONG: Kind = Kind::LongRecords(2_700);

async fn batches(bootstrap: &Path) {
    let slow = Some(Fault::Delay(Duration::from_millis(80)));
    for (api, fault, runs) in [("at once", None, BATCHES), ("after 80 ms", slow, 1)] {
        println!("\n## Batches, where the API answers {api}\n");
        println!(
            "| | items | KB | ms | µs per item | growth | CPU µs per item | growth | at the API at once | peak MB |"
        );
        println!("|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|");
        for kind in [Kind::Messages, Kind::Records, LONG] {
            let mut before = None;
            for count in [1, 10, 100, 1_000] {
                let batch = batch(bootstrap, kind, count, fault.clone(), runs).await;
                let per_item = [batch.wall, batch.cpu].map(|time| micros(time) / count as f64);
                let growth = before.map_or([String::new(), String::new()], |before: [f64; 2]| {
                    [0, 1].map(|index| format!("{:.2}", per_item[index] / before[index]))
                });
                println!(
                    "| {} | {count} | {} | {:.1} | {:.0} | {} | {:.0} | {} | {} | {:.1} |",
                    kind.name(),
                    batch.bytes / KB,
                    micros(batch.wall) / 1_000.0,
                    per_item[0],
                    growth[0],
                    per_item[1],
                    growth[1],
                    batch.most_at_once,
                    batch.peak_kb as f64 / KB as f64,
                );
                before = Some(per_item);
            }
        }
    }
}

/// What a batch took.
struct Batch {
    bytes: usize,
    wall: Duration,
    cpu: Duration,
    most_at_once: usize,
    peak_kb: usize,
}

/// Sends the batch to a process of its own, `runs` times, all of which must be delivered.
async fn batch(bootstrap: &Path, kind: Kind, count: usize, fault: Option<Fault>, runs: usize) -> Batch {
    let mut stack = Stack::start(bootstrap, &[SAVE]).await;
    // The first invocation of a process does a few things once.
    deliver(&mut stack, &kind.event(1, 0).to_string()).await;
    stack.api.fail_always(fault);
    let (mut walls, mut cpus, mut bytes) = (Vec::new(), Vec::new(), 0);
    for run in 1..=runs {
        let event = kind.event(count, run).to_string();
        bytes = event.len();
        assert!(bytes <= MAX_EVENT_BYTES, "{bytes}");
        let (cpu, began) = (cpu_time(&stack.function), Instant::now());
        let come_again = deliver(&mut stack, &event).await;
        walls.push(began.elapsed());
        cpus.push(cpu_time(&stack.function) - cpu);
        assert_eq!(come_again, 0);
    }
    assert_eq!(stack.api.ended().len(), 1 + runs * count);
    Batch {
        bytes,
        wall: percentile(walls, 0.5),
        cpu: percentile(cpus, 0.5),
        most_at_once: stack.api.most_at_once(),
        peak_kb: peak_kb(&stack.function),
    }
}

/// Invokes the function with a batch, and gives back how much of it shall come again.
async fn deliver(stack: &mut Stack, event: &str) -> usize {
    match stack.function.outcome(event, SAVE_TIMEOUT).await {
        Outcome::Answer(answer) => {
            let answer: Value = serde_json::from_slice(&answer).expect("JSON");
            answer["batchItemFailures"].as_array().expect("a batch's answer").len()
        }
        other => panic!("Lambda would take the whole batch for failed: {other:?}"),
    }
}

/// A thousand items with an API that is slow or hangs, all at the same time, since each waits for the better part of a
/// minute.
async fn outages(bootstrap: &Path) {
    println!("\n## A thousand items, where the API is slow or hangs\n");
    println!("| | outbox | the API | s | delivered | in the outbox | come again | at the API at once | CPU ms |");
    println!("|---|---|---|---:|---:|---:|---:|---:|---:|");
    let slow = || Fault::Delay(Duration::from_secs(2));
    let rows = tokio::join!(
        outage(bootstrap, Kind::Messages, true, "takes 2 s", slow()),
        outage(bootstrap, Kind::Messages, true, "hangs", Fault::Hang),
        outage(bootstrap, Kind::Records, false, "takes 2 s", slow()),
        outage(bootstrap, Kind::Records, false, "hangs", Fault::Hang),
        outage(bootstrap, Kind::Records, true, "takes 2 s", slow()),
        outage(bootstrap, Kind::Records, true, "hangs", Fault::Hang),
    );
    for row in <[String; 6]>::from(rows) {
        println!("{row}");
    }
}

async fn outage(bootstrap: &Path, kind: Kind, has_outbox: bool, api: &str, fault: Fault) -> String {
    const ITEMS: usize = 1_000;
    let queue = ("STICKY_CALLS_OUTBOX_QUEUE_URL", "http://sqs.eu-central-1.amazonaws.com/1/outbox");
    let aws = Aws::down(AwsFault::Answer(json!({"MessageId": "059f36b4-87a3-44ab-83d2-66975830a7d3"}))).await;
    let variables = if has_outbox { vec![SAVE, queue] } else { vec![SAVE] };
    let mut stack = Stack::start_in(bootstrap, &aws, &variables).await;
    stack.api.fail_always(Some(fault.clone()));
    let event = kind.event(ITEMS, 0).to_string();
    let (cpu, began) = (cpu_time(&stack.function), Instant::now());
    let come_again = deliver(&mut stack, &event).await;
    let wall = began.elapsed();
    let cpu = cpu_time(&stack.function) - cpu;
    let queued = aws.received(Service::Sqs).iter().filter(|(operation, _)| operation == "SendMessage").count();
    // Those that were still being carried out when the time was up are not counted as delivered: nobody told the function.
    let delivered = ITEMS - queued - come_again;
    assert!(stack.api.ended().len() >= delivered, "reported as delivered and is not");
    format!(
        "| {} | {} | {api} | {:.1} | {delivered} | {queued} | {come_again} | {} | {:.0} |",
        kind.name(),
        if has_outbox { "yes" } else { "no" },
        wall.as_secs_f64(),
        stack.api.most_at_once(),
        micros(cpu) / 1_000.0,
    )
}

/// What a caller waits for at most. After three such calls the guard asks no more.
async fn hung_api(bootstrap: &Path) {
    println!(
        "\n## A call while the API hangs, with the default budget of 2,500 ms\n\n| | slowest of 3, ms |\n|---|---:|"
    );
    for (what, variables, name) in [("a lookup", &[][..], "returning_caller"), ("a save", &[SAVE], "save")] {
        let mut stack = Stack::start(bootstrap, variables).await;
        stack.api.fail_always(Some(Fault::Hang));
        let mut slowest = Duration::ZERO;
        for _ in 0..3 {
            let began = Instant::now();
            stack.invoke(&event(name)).await;
            slowest = slowest.max(began.elapsed());
        }
        println!("| {what} | {} |", slowest.as_millis());
    }
}

/// An event with these texts as attributes, called `<prefix>0000` and so on.
fn with_texts(event: Value, prefix: &str, texts: &[String]) -> Value {
    let named = texts.iter().enumerate();
    named.fold(event, |event, (number, text)| with_attribute(event, &format!("{prefix}{number:04}"), text.as_str()))
}

/// The API's answer about somebody whom it knows, with these variables: text, then name.
fn answer(variables: &[(String, String)]) -> String {
    let variables: serde_json::Map<_, _> = variables
        .iter()
        .map(|(text, name)| (name.clone(), json!({"value": text, "source": null, "ttl_seconds": 2_592_000})))
        .collect();
    json!({
        "call_id": "call_001", "customer_ref": JANE, "call_start": "2026-02-07T10:30:00.000Z",
        "identity": {"confidence": 0.9, "level": "very_high", "sources": ["ani"], "recommendation": "reuse"},
        "open_intents": [{"intent": "billing_issue", "status": "open", "attempt_count": 2}],
        "variables": variables,
    })
    .to_string()
}

/// An answer of `bytes` bytes with so many variables, of which the function's default ones are the first.
fn answer_of(bytes: usize, count: usize) -> String {
    let name = |number: usize| match ["name", "tier", "resolution", "call_date"].get(number) {
        Some(name) => (*name).to_owned(),
        None => format!("note{number:04}"),
    };
    let with_texts_of =
        |length: usize| answer(&(0..count).map(|number| (prose(length), name(number))).collect::<Vec<_>>());
    let around = with_texts_of(0).len();
    let body = with_texts_of(bytes.saturating_sub(around) / count);
    // Spaces around it for what the division left.
    let rest = bytes.saturating_sub(body.len());
    body + &" ".repeat(rest)
}

fn prose(bytes: usize) -> String {
    filled("The customer called about an invoice that was charged twice and would like it back. ", bytes)
}

fn filled(with: &str, bytes: usize) -> String {
    with.chars().cycle().take(bytes).collect()
}

/// The CPU time that the function has used; it has one thread.
fn cpu_time(function: &Function) -> Duration {
    let nanoseconds = proc(function, "schedstat").split_whitespace().next().and_then(|number| number.parse().ok());
    Duration::from_nanos(nanoseconds.expect("a number"))
}

/// The most memory that the function has had, in KB.
fn peak_kb(function: &Function) -> usize {
    let status = proc(function, "status");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.split_whitespace().next()?.parse().ok());
    peak.expect("a number")
}

fn proc(function: &Function, file: &str) -> String {
    let path = format!("/proc/{}/{file}", function.process_id().expect("it runs"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn percentile(times: impl IntoIterator<Item = Duration>, share: f64) -> Duration {
    let mut times: Vec<_> = times.into_iter().collect();
    times.sort_unstable();
    times[((times.len() - 1) as f64 * share).round() as usize]
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
