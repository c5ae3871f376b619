//! No log line has personal data or the key, even at TRACE and with every fault.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

use std::time::Duration;

use serde_json::json;
use stand_ins::events::{event, folder, text, with_contact, with_parameter};
use stand_ins::runtime_api::Outcome;
use stand_ins::stack::Stack;
use stand_ins::sticky_calls::{Fault, KEY};

const BOOTSTRAP: &str = env!("CARGO_BIN_EXE_bootstrap");

/// Personal data in the sample events and in the stand-in of the API. No log line may have it.
const PERSONAL: [&str; 22] = [
    "2025550101",
    "2025550142",
    "2025550199",
    "Jane",
    "Doe",
    "example.com",
    "example.net",
    "C-1001",
    "Disputed",
    "invoice",
    "Credit note",
    "Router",
    "power supply",
    "4111 1111 1111 1111",
    "vip",
    "billing_issue",
    "technical_support",
    "00000000-0000-4000-8000",
    "customer_id",
    "ContactData",
    "identity_hints",
    "open_cases",
];

#[tokio::test]
async fn at_trace_no_sample_event_and_no_fault_puts_personal_data_into_the_log() {
    let faults = [
        None,
        Some(Fault::status(400)),
        Some(Fault::status(500)),
        Some(Fault::body(json!({"message": "no Jane Doe at +12025550101"}).to_string())),
        Some(Fault::body("Jane Doe, +12025550101")),
        Some(Fault::Raw(b"Jane Doe +12025550101 jane.doe@example.com\r\n\r\n".to_vec())),
        Some(Fault::Raw(b"HTTP/1.1 200 OK\r\nX-Jane Doe: \x01+12025550101\r\n\r\n".to_vec())),
        Some(Fault::CutBody),
        Some(Fault::Reset),
        Some(Fault::Hang),
    ];
    for format in ["JSON", "Text"] {
        for fault in &faults {
            let log = log_of(format, fault.as_ref()).await;
            assert!(log.contains("answered"), "{log}");
            for personal in PERSONAL.into_iter().chain([KEY, "Bearer", "tickyConnectStandIn"]) {
                assert!(!log.contains(personal), "{personal} under {fault:?}:\n{log}");
            }
        }
    }
}

/// Everything that is printed while each sample event is played unchanged, as a start and as a save.
async fn log_of(format: &str, fault: Option<&Fault>) -> String {
    let variables = [
        ("AWS_LAMBDA_LOG_LEVEL", "TRACE"),
        ("AWS_LAMBDA_LOG_FORMAT", format),
        ("RUST_LOG", "trace"),
        ("RUST_BACKTRACE", "full"),
        ("STICKY_CALLS_TIMEOUT_MS", "100"),
    ];
    let mut stack = Stack::start(BOOTSTRAP, &variables).await;
    stack.api.fail_always(fault.cloned());
    let mut files: Vec<_> = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    for file in files {
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        if event(&name).get("Records").is_some() {
            // A batch takes all of Lambda's time if the API hangs, so Lambda gives it little.
            let outcome = stack.function.outcome(text(&name), Duration::from_millis(1_500)).await;
            assert!(matches!(outcome, Outcome::Answer(_)), "{name}: {outcome:?}");
            continue;
        }
        stack.invoke(&event(&name)).await;
        if name != "malformed" {
            stack.invoke(&with_parameter(event(&name), "action", "identify")).await;
            stack.invoke(&with_parameter(event(&name), "action", "save")).await;
        }
    }
    // A phone number in the wrong place.
    stack.invoke(&with_contact(event("new_caller"), "/ContactId", "+12025550101")).await;
    stack.invoke(&with_contact(event("new_caller"), "/InitiationMethod", "Jane Doe")).await;
    stack.invoke(&with_parameter(event("new_caller"), "action", "Jane Doe")).await;
    stack.invoke(&with_parameter(event("new_caller"), "returning_threshold", "+12025550101")).await;
    stack.invoke(&json!(["Jane Doe", "+12025550101"])).await;
    stack.function.invoke_bytes("{\"Details\": Jane Doe +12025550101").await;
    stack.function.invoke_bytes(b"\xffJane Doe +12025550101".to_vec()).await;
    stack.function.stop().await
}
