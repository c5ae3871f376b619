//! Load: how batches scale with their length, and what an API that hangs costs; on Linux:
//!
//!     cargo bench --package benchmarks --bench load
//!
//! Measured on the release binary between the stand-ins of the Lambda Runtime API and of the Sticky Calls API. Wall-clock
//! times hold the stand-ins' work too, and whatever else the machine does; processor time is the function's own, and what
//! is stretched if Lambda gives it a fraction of a processor.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark may panic and prints"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use stand_ins::build;
use stand_ins::events::{event, queue, record, stream};
use stand_ins::runtime_api::Outcome;
use stand_ins::stack::Stack;
use stand_ins::sticky_calls::Fault;

/// How often a batch is measured if the API answers at once; the median counts.
const RUNS: usize = 5;

/// The save function's time-out in the template.
const SAVE_TIMEOUT: Duration = Duration::from_secs(60);

/// The most that Lambda hands a function as one event, in bytes.
const MAX_EVENT_BYTES: usize = 6 * 1024 * 1024;

const KB: usize = 1_024;
const SAVE: (&str, &str) = ("STICKY_CALLS_ACTION", "save");

/// What a batch is made of: each item is a call of its own, at each run.
type Batch = fn(count: usize, run: usize) -> Value;

const BATCHES: [(&str, Batch); 3] = [
    ("messages of the outbox", messages),
    ("contact records", |count, run| records(count, run, None)),
    // As long as fit into one event a thousand at a time.
    ("contact records with 2700 bytes of notes", |count, run| records(count, run, Some(2_700))),
];

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let given = std::env::var_os("STICKY_CONNECT_BOOTSTRAP");
    let bootstrap = given.map_or_else(|| build::bootstrap(&[]).unwrap(), PathBuf::from);
    let slow = Some(Fault::Delay(Duration::from_millis(80)));
    for (api, fault, runs) in [("at once", None, RUNS), ("after 80 ms", slow, 1)] {
        println!("\n## Batches, API answers {api}\n");
        println!("| | items | KB | ms | µs an item | processor time, µs an item | at the API at once | peak, MB |");
        println!("|---|---:|---:|---:|---:|---:|---:|---:|");
        for (name, batch) in BATCHES {
            for count in [1, 10, 100, 1_000] {
                let row = measure(&bootstrap, batch, count, fault.clone(), runs).await;
                println!("| {name} | {count} | {row} |");
            }
        }
    }
    hung_api(&bootstrap).await;
}

/// Sends the batch to a process of its own, `runs` times, and gives a row of the table. All of it must be delivered.
async fn measure(bootstrap: &Path, batch: Batch, count: usize, fault: Option<Fault>, runs: usize) -> String {
    let mut stack = Stack::start(bootstrap, &[SAVE]).await;
    // The first invocation of a process does a few things once.
    deliver(&mut stack, &batch(1, 0).to_string()).await;
    stack.api.fail_always(fault);
    let (mut walls, mut cpus, mut bytes) = (Vec::new(), Vec::new(), 0);
    for run in 1..=runs {
        let event = batch(count, run).to_string();
        bytes = event.len();
        assert!(bytes <= MAX_EVENT_BYTES, "{bytes}");
        let (cpu, began) = (cpu_time(&stack), Instant::now());
        deliver(&mut stack, &event).await;
        walls.push(began.elapsed());
        cpus.push(cpu_time(&stack) - cpu);
    }
    assert_eq!(stack.api.ended().len(), 1 + runs * count);
    let [wall, cpu] = [walls, cpus].map(|mut times| {
        times.sort_unstable();
        times[times.len() / 2].as_secs_f64()
    });
    format!(
        "{} | {:.1} | {:.0} | {:.0} | {} | {:.1}",
        bytes / KB,
        wall * 1e3,
        wall * 1e6 / count as f64,
        cpu * 1e6 / count as f64,
        stack.api.most_at_once(),
        peak_kb(&stack) / KB as f64,
    )
}

/// Invokes the function with a batch, no item of which may fail.
async fn deliver(stack: &mut Stack, event: &str) {
    match stack.function.outcome(event, SAVE_TIMEOUT).await {
        Outcome::Answer(answer) => {
            let answer: Value = serde_json::from_slice(&answer).expect("JSON");
            assert_eq!(answer["batchItemFailures"], json!([]));
        }
        other => panic!("Lambda would take the whole batch for failed: {other:?}"),
    }
}

fn messages(count: usize, run: usize) -> Value {
    let body = |number: usize| {
        let request = json!({
            "call_id": call_id(number, run), "customer_ref": "00000000-0000-4000-8000-000000000001",
            "intent": "billing_issue", "intent_status": "open",
            "variables": {
                "call_date": "2026-02-07T10:30:00.000Z", "last_issue": prose(200), "last_issue_source": "call_summary",
            },
        });
        let message = json!({
            "version": 1, "reason": "server_error", "queued_at": "2026-02-07T10:37:41.000Z",
            "contact_id": call_id(number, run), "request": request,
        });
        message.to_string()
    };
    queue(&(0..count).map(body).collect::<Vec<_>>())
}

fn records(count: usize, run: usize, notes: Option<usize>) -> Value {
    let one = |number: usize| {
        let mut record = record();
        record["ContactId"] = json!(call_id(number, run));
        if let Some(bytes) = notes {
            // Without a summary the notes are sent twice.
            record["Attributes"]["call_summary"] = Value::Null;
            record["Attributes"]["agent_notes"] = json!(prose(bytes));
        }
        record
    };
    stream(&(0..count).map(one).collect::<Vec<_>>())
}

fn call_id(number: usize, run: usize) -> String {
    format!("4a573372-1f28-4e26-b97b-{:012}", run * 10_000 + number)
}

fn prose(bytes: usize) -> String {
    let text = "The customer called about an invoice that was charged twice and would like it back. ";
    text.chars().cycle().take(bytes).collect()
}

/// What a caller waits for at most. After three such calls the circuit breaker opens.
async fn hung_api(bootstrap: &Path) {
    println!("\n## The API hangs, and the budget is the default of 2,500 ms\n\n| | slowest of 3, ms |\n|---|---:|");
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

/// The processor time that the function's threads have used.
fn cpu_time(stack: &Stack) -> Duration {
    let threads = fs::read_dir(format!("/proc/{}/task", process_id(stack))).unwrap();
    let used = |thread: fs::DirEntry| {
        let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<u64>().ok()
    };
    Duration::from_nanos(threads.filter_map(|thread| used(thread.ok()?)).sum())
}

/// The most memory that the function has had, in KB.
fn peak_kb(stack: &Stack) -> f64 {
    let status = fs::read_to_string(format!("/proc/{}/status", process_id(stack))).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.split_whitespace().next()?.parse().ok());
    peak.expect("a number")
}

fn process_id(stack: &Stack) -> u32 {
    stack.function.process_id().expect("it runs")
}
