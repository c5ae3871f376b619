//! What a call costs beside the API's own time: `cargo bench --bench warm_call`.
//!
//! In one run and against the same API stand-in, in turn: a bare reqwest POST; an invocation of the release binary over
//! a stand-in for the Lambda Runtime API that asks the API; one that is skipped, so that what the Runtime API itself
//! costs can be told apart. Then the start of the process to its first answer, and what a hung API costs a flow. With
//! moto's server, whose address is in `STICKY_CONNECT_MOTO`, also the start with outbox, cache and secret configured.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a benchmark may panic and prints"
)]

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use stand_ins::aws::Aws;
use stand_ins::events::{event, with_contact};
use stand_ins::stack::Stack;
use stand_ins::sticky_calls::{Fault, KEY};

const BOOTSTRAP: &str = env!("CARGO_BIN_EXE_bootstrap");
const WARM_CALLS: usize = 3_000;
const STARTS: usize = 50;

/// An answer as the API's documentation shows it; the same for every request, so that the stand-in has nothing to do.
fn api_answer() -> Value {
    json!({
        "call_id": "call_001", "customer_ref": "a1b2c3d4-e5f6-7890-abcd-ef1234567890", "call_start": "2026-02-07T10:30:00.000Z",
        "identity": {"confidence": 0.9, "level": "very_high", "sources": ["ani:mobile", "external_id"], "recommendation": "reuse"},
        "open_intents": [{"intent": "refund_request", "status": "open", "attempt_count": 2}],
        "variables": {"name": {"value": "Jane Doe", "source": null, "ttl_seconds": 2_592_000}},
    })
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    warm_calls().await;
    starts().await;
    hung_api().await;
}

async fn warm_calls() {
    let mut stack = Stack::start(BOOTSTRAP, &[]).await;
    stack.api.fail_always(Some(Fault::body(api_answer().to_string())));
    // reqwest wants a TLS provider even for plain http.
    rustls::crypto::ring::default_provider().install_default().unwrap();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("{}/v1/calls/start", stack.api.url());
    let request = json!({"call_id": "call_001", "identity_hints": {"ani": "+12025550101", "dnis": "+12025550199"}});
    let asks = event("returning_caller");
    let skips = event("anonymous_caller");

    let (mut bare, mut asking, mut skipping) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..WARM_CALLS + 200 {
        let began = Instant::now();
        let answer = client.post(&url).bearer_auth(KEY).json(&request).send().await.unwrap();
        let _: Value = answer.json().await.unwrap();
        let post = began.elapsed();

        let began = Instant::now();
        stack.function.invoke_bytes(asks.to_string()).await;
        let ask = began.elapsed();

        let began = Instant::now();
        stack.function.invoke_bytes(skips.to_string()).await;
        let skip = began.elapsed();

        if round >= 200 {
            bare.push(post);
            asking.push(ask);
            skipping.push(skip);
        }
    }
    println!("{WARM_CALLS} warm calls each, in turn              p50        p95        p99");
    for (name, times) in [
        ("bare reqwest POST", &mut bare),
        ("invocation that asks the API", &mut asking),
        ("invocation that is skipped", &mut skipping),
    ] {
        times.sort_unstable();
        let [p50, p95, p99] = [50, 95, 99].map(|percent| micros(times[times.len() * percent / 100]));
        println!("  {name:32}  {p50:>8}   {p95:>8}   {p99:>8}");
    }
    let own = asking[WARM_CALLS / 2].saturating_sub(bare[WARM_CALLS / 2]);
    let hop = skipping[WARM_CALLS / 2];
    println!(
        "  a call over one bare POST: {}, of which the Lambda Runtime API takes up to {}",
        micros(own),
        micros(hop)
    );
}

async fn starts() {
    let mut bare = Vec::new();
    for _ in 0..STARTS {
        bare.push(start_to_first_answer(&[]).await);
    }
    report_starts("with the API alone", &mut bare);
    let Ok(moto) = std::env::var("STICKY_CONNECT_MOTO") else { return };
    let aws = Aws::start().await;
    let (queue, _) = aws.create_queue(15).await;
    let (table, secret) = (aws.create_table().await, aws.create_secret(KEY).await);
    let mut variables = aws.variables();
    for (name, value) in [
        // Past the stand-in, which opens a connection for each request.
        ("AWS_ENDPOINT_URL", &format!("http://{moto}")),
        ("STICKY_CALLS_OUTBOX_QUEUE_URL", &queue),
        ("STICKY_CALLS_CACHE_TABLE", &table),
        ("STICKY_CALLS_API_KEY_SECRET_ARN", &secret),
    ] {
        variables.push((name.to_owned(), value.clone()));
    }
    variables.push(("STICKY_CALLS_API_KEY".to_owned(), String::new()));
    let variables: Vec<_> = variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let mut configured = Vec::new();
    for _ in 0..STARTS {
        configured.push(start_to_first_answer(&variables).await);
    }
    report_starts("with outbox, cache and secret in moto", &mut configured);
}

async fn start_to_first_answer(variables: &[(&str, &str)]) -> Duration {
    let began = Instant::now();
    Stack::start(BOOTSTRAP, variables).await.invoke(&event("returning_caller")).await;
    began.elapsed()
}

fn report_starts(what: &str, times: &mut [Duration]) {
    times.sort_unstable();
    let (p50, max) = (micros(times[STARTS / 2]), micros(times[STARTS - 1]));
    println!("process start to first answer {what}, {STARTS} times: p50 {p50}, max {max}");
}

async fn hung_api() {
    let mut stack = Stack::start(BOOTSTRAP, &[("STICKY_CALLS_TIMEOUT_MS", "1500")]).await;
    stack.api.fail_always(Some(Fault::Hang));
    let mut slowest = Duration::ZERO;
    for round in 0..3 {
        let call = with_contact(event("returning_caller"), "/InitialContactId", format!("call {round}"));
        let began = Instant::now();
        stack.invoke(&call).await;
        slowest = slowest.max(began.elapsed());
    }
    println!("a hung API under STICKY_CALLS_TIMEOUT_MS=1500, slowest of 3: {} ms", slowest.as_millis());
}

fn micros(duration: Duration) -> String {
    format!("{} µs", duration.as_micros())
}
