//! Every sample event, with an API that knows Jane. The expected answers are in `tests/answers/`.
//!
//! The release binary must give the same answers under AWS's own emulator, which `.ci/run` fetches. By hand:
//! `STICKY_CONNECT_EMULATOR=path/to/aws-lambda-rie-x86_64 cargo test --release --test events -- --ignored emulator`;
//! `STICKY_CONNECT_BOOTSTRAP` names another binary, such as a released one.
//!
//! Both functions of a release must give them in containers too, with `sam local invoke`: see `.ci/container`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may panic"
)]

use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, Instant};

use aws_lambda_events::event::connect::ConnectEvent;
use serde_json::Value;
use stand_ins::emulator::Emulator;
use stand_ins::events::{event, folder, text};
use stand_ins::sam_local::SamLocal;
use stand_ins::stack::{Stack, jane};
use stand_ins::sticky_calls::{CALL_START, Fault, KEY, StickyCalls};

const BOOTSTRAP: &str = env!("CARGO_BIN_EXE_bootstrap");

/// The names of the sample events.
fn samples() -> Vec<String> {
    let files = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let mut names: Vec<_> = files.map(|path| path.file_stem().unwrap().to_string_lossy().into_owned()).collect();
    names.sort();
    assert!(names.len() >= 12, "{names:?}");
    names
}

/// Compares an answer with the one in `tests/answers/`. The current time is replaced by `[now]`.
fn assert_is_the_expected_answer(sample: &str, mut answer: Value) {
    if let Some(start) = answer.get_mut("call_start").filter(|start| *start != CALL_START) {
        assert!(start.as_str().unwrap().parse::<jiff::Timestamp>().is_ok(), "{start}");
        *start = "[now]".into();
    }
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("answers");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_json_snapshot!(sample, answer));
}

#[tokio::test]
async fn every_sample_event_gets_its_answer() {
    for sample in samples() {
        let mut stack = Stack::start(BOOTSTRAP, &[]).await;
        let answer = stack.invoke(&event(&sample)).await;
        assert_is_the_expected_answer(&sample, answer);
    }
}

/// The function under AWS's emulator, with these variables.
async fn under_the_emulator(api: &StickyCalls, variables: &[(&str, &str)]) -> Emulator {
    let emulator = std::env::var("STICKY_CONNECT_EMULATOR").expect("the emulator's path in STICKY_CONNECT_EMULATOR");
    let bootstrap = std::env::var("STICKY_CONNECT_BOOTSTRAP").unwrap_or_else(|_| BOOTSTRAP.to_owned());
    let url = api.url();
    let for_the_api = [("STICKY_CALLS_API_URL", url.as_str()), ("STICKY_CALLS_API_KEY", KEY)];
    Emulator::start(Path::new(&emulator), Path::new(&bootstrap), &[&for_the_api, variables].concat()).await
}

#[tokio::test]
#[ignore = "needs AWS's runtime interface emulator, whose path is in STICKY_CONNECT_EMULATOR"]
async fn every_sample_event_gets_its_answer_under_awss_emulator() {
    for sample in samples() {
        let api = StickyCalls::start().await;
        api.remember(jane());
        let answer = under_the_emulator(&api, &[]).await.invoke(&text(&sample)).await;
        let answer = serde_json::from_str(&answer).unwrap_or_else(|_| panic!("{sample}: {answer}"));
        assert_is_the_expected_answer(&sample, answer);
    }
}

// The stand-in sends on a thread of its own, so that it does not delay this test's timers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs AWS's runtime interface emulator, whose path is in STICKY_CONNECT_EMULATOR"]
async fn if_the_api_hangs_or_is_down_a_flow_is_answered_within_its_budget_under_awss_emulator() {
    let chunked = b"HTTP/1.1 200 -\r\nTransfer-Encoding: chunked\r\n\r\n";
    let faults = [
        (Fault::Hang, "timeout"),
        (Fault::Endless(b"", b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n"), "timeout"),
        (Fault::Endless(chunked, b"0"), "timeout"),
        (Fault::Endless(chunked, b"1\r\n \r\n"), "invalid_response"),
        (Fault::status(500), "server_error"),
        (Fault::Reset, "network"),
    ];
    for (fault, reason) in faults {
        let api = StickyCalls::start().await;
        api.fail_always(Some(fault));
        let function = under_the_emulator(&api, &[("STICKY_CALLS_TIMEOUT_MS", "1500")]).await;
        let began = Instant::now();
        let answer: Value = serde_json::from_str(&function.invoke(&text("returning_caller")).await).unwrap();
        assert_eq!(answer["lookup_reason"], reason);
        // Less than the default budget. A slow machine may take longer than the configured one.
        assert!(began.elapsed() < Duration::from_millis(2_400), "{:?}", began.elapsed());
        let answer: Value = serde_json::from_str(&function.invoke(&text("save")).await).unwrap();
        assert_eq!(answer["save_status"], "failed");
        assert_eq!(answer["error"], reason);
    }
}

/// `sam local invoke`, as `.ci/container` sets it up.
fn sam_local() -> SamLocal {
    let sam = std::env::var("STICKY_CONNECT_SAM").expect("the SAM CLI's path in STICKY_CONNECT_SAM");
    let host = std::env::var("STICKY_CONNECT_CONTAINER_HOST").expect("an address in STICKY_CONNECT_CONTAINER_HOST");
    let release = std::env::var("STICKY_CONNECT_RELEASE").expect("an unpacked release in STICKY_CONNECT_RELEASE");
    SamLocal::new(Path::new(&sam), Path::new(&release), host.parse().expect("an address"))
}

/// The function that gives the expected answer to an event. The template pins each function to its handler: identify
/// would look up the contact of a disconnect flow, and an unknown event gets the fallback of the function's handler.
/// Batches go to save.
fn function_of(sample: &str) -> &'static str {
    match sample {
        "save" | "disconnect_flow" | "contact_records" | "contact_lens" | "outbox_messages" => "SaveFunction",
        _ => "IdentifyFunction",
    }
}

#[tokio::test]
#[ignore = "needs a Docker engine and the SAM CLI: .ci/container has both"]
async fn every_sample_event_gets_its_answer_in_a_container() {
    let containers = sam_local();
    for sample in samples() {
        let api = StickyCalls::start_on(containers.host()).await;
        api.remember(jane());
        let url = containers.url(api.port());
        let function = function_of(&sample);
        let (answer, log) = containers.invoke(function, &sample, &[("STICKY_CALLS_API_URL", &url)]).await;
        assert_is_the_expected_answer(&sample, answer);
        assert!(log.contains("\"level\":\"INFO\"") && !log.contains("\"level\":\"ERROR\""), "{log}");
        // This includes batches: one record of each is a summary. Contact Lens is off.
        let is_saved = function == "SaveFunction" && sample != "contact_lens";
        assert_eq!(api.ended().len(), usize::from(is_saved), "{sample}");
    }
}

#[tokio::test]
#[ignore = "needs a Docker engine and the SAM CLI: .ci/container has both"]
async fn if_the_api_is_down_a_flow_gets_the_fallback_in_a_container() {
    let containers = sam_local();
    // Nothing listens on this port once the listener is dropped.
    let port = TcpListener::bind((containers.host(), 0)).unwrap().local_addr().unwrap().port();
    let url = containers.url(port);
    for (function, sample, status, outcome, reason) in [
        ("IdentifyFunction", "returning_caller", "lookup_status", "unavailable", "lookup_reason"),
        ("SaveFunction", "save", "save_status", "failed", "error"),
    ] {
        let (answer, _) = containers.invoke(function, sample, &[("STICKY_CALLS_API_URL", &url)]).await;
        assert_eq!((&answer[status], &answer[reason]), (&outcome.into(), &"network".into()));
    }
}

/// Why events are read with our own types: the published ones refuse events that production sends.
#[test]
fn the_published_event_type_refuses_some_sample_events() {
    let refused: Vec<_> =
        samples().into_iter().filter(|sample| serde_json::from_str::<ConnectEvent>(&text(sample)).is_err()).collect();
    let batches = ["contact_lens", "contact_records", "outbox_messages"];
    let refused: Vec<_> = refused.iter().filter(|sample| !batches.contains(&sample.as_str())).collect();
    assert_eq!(refused, ["malformed", "task", "typed_parameters", "web_chat", "webrtc"]);
}
