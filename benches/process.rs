//! Instructions of the whole process, dependencies and all:
//!
//!     cargo bench --package benchmarks --bench process
//!
//! It runs the release binary under Valgrind between stand-ins for the Lambda Runtime API and the Sticky Calls API, and
//! prints a path and its instructions per line. They differ by a little from run to run, since bytes come in other portions
//! and hash maps in another order. `python3 .ci/instructions.py` compares them with those in `instructions.json`.

use std::error::Error;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use stand_ins::build::build;
use stand_ins::events;
use stand_ins::runtime_api::{Outcome, RuntimeApi};
use stand_ins::sticky_calls::{Fault, KEY, StickyCalls};
use tokio::process::Command;
use tokio::time::sleep;

/// How many warm calls the cost of one is taken from.
const WARM_CALLS: u64 = 20;

/// Under Valgrind all is some fifty times slower.
const LAMBDA_TIMEOUT: Duration = Duration::from_secs(60);

/// For the process to ask for the next call, after its answer.
const A_MOMENT: Duration = Duration::from_millis(500);

/// An outbox, for what the AWS SDK costs a process: its client is built at the start, and nothing is sent before a save
/// fails.
const WITH_OUTBOX: [(&str, &str); 5] = [
    ("STICKY_CALLS_OUTBOX_QUEUE_URL", "https://sqs.eu-central-1.amazonaws.com/123456789012/outbox"),
    ("AWS_REGION", "eu-central-1"),
    ("AWS_ACCESS_KEY_ID", "id"),
    ("AWS_SECRET_ACCESS_KEY", "key"),
    ("AWS_SESSION_TOKEN", "token"),
];

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let bootstrap = build("--bin", "bootstrap")?;
    let first = instructions(&bootstrap, &[], 1).await?;
    println!("process::first_answer {first}");
    println!("process::first_answer_with_outbox {}", instructions(&bootstrap, &WITH_OUTBOX, 1).await?);
    let many = instructions(&bootstrap, &[], 1 + WARM_CALLS).await?;
    println!("process::warm_call {}", (many - first) / WARM_CALLS);
    Ok(())
}

/// The instructions of a process from its start to the answer of its last call.
async fn instructions(bootstrap: &Path, variables: &[(&str, &str)], calls: u64) -> Result<u64, Box<dyn Error>> {
    let runtime_api = RuntimeApi::start().await;
    let api = StickyCalls::start().await;
    api.fail_always(Some(Fault::body(answer())));
    let profile = bootstrap.with_file_name("bootstrap.callgrind");
    let mut process = Command::new("valgrind")
        .arg("--tool=callgrind")
        .arg(format!("--callgrind-out-file={}", profile.display()))
        .arg(bootstrap)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("AWS_LAMBDA_RUNTIME_API", runtime_api.address())
        .env("AWS_LAMBDA_FUNCTION_NAME", "sticky-connect")
        .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
        .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
        .env("STICKY_CALLS_API_URL", api.url())
        .env("STICKY_CALLS_API_KEY", KEY)
        // Else a busy machine would make retries and fallbacks of it.
        .env("STICKY_CALLS_TIMEOUT_MS", "7000")
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    for _ in 0..calls {
        let answer = runtime_api.invoke(events::text("returning_caller"), LAMBDA_TIMEOUT).await;
        let Outcome::Answer(body) = answer else { return Err(format!("the flow would see {answer:?}").into()) };
        if !String::from_utf8_lossy(&body).contains(r#""lookup_status":"matched""#) {
            return Err("the API's answer did not reach the flow".into());
        }
    }
    sleep(A_MOMENT).await;
    // Valgrind writes the profile of a process that is terminated.
    let id = process.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)).ok_or("the process ended")?;
    kill_process(id, Signal::TERM)?;
    process.wait().await?;
    total(&std::fs::read_to_string(profile)?).ok_or("a profile without a total".into())
}

/// The total in a profile, of all threads.
fn total(profile: &str) -> Option<u64> {
    profile.lines().find_map(|line| line.strip_prefix("totals: "))?.trim().parse().ok()
}

/// What the API says of somebody whom it knows, the same to every call.
fn answer() -> Vec<u8> {
    json!({
        "call_id": "4a573372-1f28-4e26-b97b-000000000002",
        "customer_ref": "a1b2c3d4-e5f6-7890-abcd-ef1234567890",
        "call_start": "2026-02-07T10:30:00.000Z",
        "identity": {"confidence": 0.9, "level": "very_high", "sources": ["ani:mobile"], "recommendation": "reuse"},
        "open_intents": [{"intent": "refund_request", "status": "open", "attempt_count": 2}],
        "variables": {"name": {"value": "Jane Doe", "source": null, "ttl_seconds": 2_592_000}},
    })
    .to_string()
    .into_bytes()
}
