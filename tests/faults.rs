//! Every fault of the API, with both handlers: the flow always gets an answer with the right reason before Lambda's
//! time-out.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may panic")]

use std::time::Duration;

use serde_json::{Value, json};
use stand_ins::events::event;
use stand_ins::log::lines;
use stand_ins::stack::Stack;
use stand_ins::sticky_calls::Fault;

const BOOTSTRAP: &str = env!("CARGO_BIN_EXE_bootstrap");

/// Long enough for a retry after a short wait, and short enough for a test that waits until it is over.
const BUDGET: (&str, &str) = ("STICKY_CALLS_TIMEOUT_MS", "400");

/// Asserts that with the API as `arrange` sets it up, both handlers give this reason and send this many requests. For a
/// save, `conflict` is a success.
async fn both_get(reason: &str, attempts: usize, variables: &[(&str, &str)], arrange: impl Fn(&Stack)) {
    for handler in ["start_call", "end_call"] {
        let mut stack = Stack::start(BOOTSTRAP, &[&[("STICKY_CALLS_ACTION", handler)], variables].concat()).await;
        arrange(&stack);
        let answer = stack.invoke(&event("returning_caller")).await;
        let is_flat = answer.as_object().unwrap().values().all(Value::is_string);
        assert!(is_flat, "{answer}");
        if handler == "start_call" {
            assert_eq!(answer["lookup_status"], "unavailable", "{answer}");
            assert_eq!(answer["lookup_reason"], reason, "{answer}");
            assert_eq!(answer["is_returning_caller"], "false");
        } else {
            let status = if reason == "conflict" { "saved" } else { "failed" };
            assert_eq!(answer["save_status"], status, "{answer}");
            assert_eq!(answer["error"], reason, "{answer}");
            assert_eq!(answer["success"], (status == "saved").to_string());
        }
        assert_eq!(stack.api.received().len(), attempts, "{handler}: requests sent");
        let log = stack.function.stop().await;
        let line = answered(&log);
        assert_eq!(line["reason"], reason, "{log}");
        assert_eq!(line["handler"], handler);
    }
}

fn answered(log: &str) -> Value {
    lines(log, "answered").remove(0)
}

/// The same with a fault that does not end.
async fn both_get_for(reason: &str, attempts: usize, fault: Fault) {
    both_get(reason, attempts, &[BUDGET], |stack| stack.api.fail_always(Some(fault.clone()))).await;
}

#[tokio::test]
async fn every_status_has_its_reason_and_only_a_5xx_is_retried() {
    for (status, reason, attempts) in [
        (400, "rejected", 1),
        (401, "unauthorized", 1),
        (402, "quota_exhausted", 1),
        (403, "unauthorized", 1),
        (404, "rejected", 1),
        (409, "conflict", 1),
        (413, "rejected", 1),
        (429, "rate_limited", 1),
        (500, "server_error", 2),
        (502, "server_error", 2),
        (503, "server_error", 2),
        (204, "invalid_response", 1),
        (202, "invalid_response", 1),
        (304, "invalid_response", 1),
    ] {
        both_get_for(reason, attempts, Fault::status(status)).await;
    }
}

#[tokio::test]
async fn a_429_is_retried_only_if_its_retry_after_fits() {
    both_get_for("rate_limited", 2, Fault::status_and_retry_after(429, "0")).await;
    both_get_for("rate_limited", 1, Fault::status_and_retry_after(429, "60")).await;
    both_get_for("rate_limited", 1, Fault::status_and_retry_after(429, "soon")).await;
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_its_target_does_not_get_the_key() {
    let elsewhere = stand_ins::sticky_calls::StickyCalls::start().await;
    for status in [301, 302, 307, 308] {
        let headers = vec![("Location", format!("{}/v1/calls/start", elsewhere.url()))];
        both_get_for("invalid_response", 1, Fault::Answer { status, headers, body: b"{}".to_vec() }).await;
    }
    assert_eq!(elsewhere.connections(), 0);
}

#[tokio::test]
async fn an_answer_that_is_not_a_json_object_is_invalid() {
    for body in
        [&b"<html><body>Sign in</body></html>"[..], b"", b"null", b"[]", b"\"ok\"", b"{\"a\":", b"{\xff\"a\":1}"]
    {
        both_get_for("invalid_response", 1, Fault::body(body)).await;
    }
}

#[tokio::test]
async fn an_answer_with_a_byte_order_mark_or_a_broken_byte_is_still_read() {
    let known = r#"{"identity":{"confidence":0.9},"variables":{"last_issue":"Invoice @","name":"Jane"}}"#;
    for (broken, issue) in [
        (format!("\u{feff}{known}").into_bytes(), "Invoice @"),
        (known.bytes().map(|byte| if byte == b'@' { 0xff } else { byte }).collect(), "Invoice \u{fffd}"),
        (known.bytes().map(|byte| if byte == b'@' { 0x01 } else { byte }).collect(), "Invoice  "),
    ] {
        let mut stack = Stack::start(BOOTSTRAP, &[]).await;
        stack.api.fail_next(Fault::body(broken));
        let answer = stack.invoke(&event("returning_caller")).await;
        let read = ["lookup_status", "var_name", "last_issue"].map(|name| answer[name].as_str().unwrap());
        assert_eq!(read, ["matched", "Jane", issue]);
    }
}

#[tokio::test]
async fn if_the_api_hangs_or_sends_slowly_the_answer_is_a_time_out() {
    both_get_for("timeout", 1, Fault::Hang).await;
    both_get_for("timeout", 1, Fault::Drip).await;
    both_get_for("timeout", 1, Fault::Delay(Duration::from_secs(60))).await;
}

#[tokio::test]
async fn the_configured_budget_replaces_the_default() {
    let mut stack = Stack::start(BOOTSTRAP, &[("STICKY_CALLS_TIMEOUT_MS", "100")]).await;
    stack.api.fail_always(Some(Fault::Hang));
    stack.invoke(&event("returning_caller")).await;
    let line = answered(&stack.function.stop().await);
    assert!((100..2_500).contains(&line["total_ms"].as_u64().unwrap()), "{line}");
}

#[tokio::test]
async fn a_429_is_retried_after_the_wait_that_it_asks_for() {
    let mut stack = Stack::start(BOOTSTRAP, &[]).await;
    stack.api.fail_next(Fault::status_and_retry_after(429, "1"));
    assert_eq!(stack.invoke(&event("returning_caller")).await["lookup_status"], "matched");
    let line = answered(&stack.function.stop().await);
    assert!(line["api_ms"].as_u64().unwrap() >= 1_000, "{line}");
}

#[tokio::test]
async fn a_proxy_in_the_environment_is_not_used() {
    let proxy = stand_ins::sticky_calls::StickyCalls::start().await;
    let url = proxy.url();
    let variables = ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"].map(|name| (name, url.as_str()));
    let mut stack = Stack::start(BOOTSTRAP, &variables).await;
    assert_eq!(stack.invoke(&event("returning_caller")).await["lookup_status"], "matched");
    assert_eq!(proxy.connections(), 0);
}

#[tokio::test]
async fn a_request_whose_connection_breaks_is_retried_once() {
    both_get_for("network", 2, Fault::Reset).await;
    both_get_for("network", 2, Fault::Close).await;
    both_get_for("network", 2, Fault::CutBody).await;
    both_get_for("network", 2, Fault::Raw(b"SSH-2.0-OpenSSH_9.6\r\n".to_vec())).await;
}

#[tokio::test]
async fn an_answer_over_the_size_limit_is_not_read_to_its_end() {
    let hundred = 100 * 1024 * 1024;
    both_get("invalid_response", 1, &[], |stack| stack.api.fail_always(Some(Fault::Huge(hundred)))).await;
    let declared = format!("HTTP/1.1 200 -\r\nContent-Length: {hundred}\r\n\r\n").into_bytes();
    both_get("invalid_response", 1, &[], |stack| stack.api.fail_always(Some(Fault::Raw(declared.clone())))).await;

    let mut stack = Stack::start(BOOTSTRAP, &[]).await;
    stack.api.fail_always(Some(Fault::Huge(hundred)));
    stack.invoke(&event("returning_caller")).await;
    // The rest that was sent is in the socket buffers.
    assert!(stack.api.bytes_sent() < hundred / 4, "{}", stack.api.bytes_sent());
}

#[tokio::test]
async fn an_answer_is_read_up_to_the_size_limit() {
    let body = |length| json!({"padding": "x".repeat(length - r#"{"padding":""}"#.len())}).to_string();
    let mut stack = Stack::start(BOOTSTRAP, &[]).await;
    stack.api.fail_next(Fault::body(body(256 * 1024)));
    assert_eq!(stack.invoke(&event("returning_caller")).await["lookup_status"], "new");
    stack.api.fail_next(Fault::body(body(256 * 1024 + 1)));
    assert_eq!(stack.invoke(&event("returning_caller")).await["lookup_reason"], "invalid_response");
}

#[tokio::test]
async fn a_caller_is_known_if_the_retry_succeeds() {
    for fault in
        [Fault::status(503), Fault::Reset, Fault::Close, Fault::CutBody, Fault::status_and_retry_after(429, "0")]
    {
        let mut stack = Stack::start(BOOTSTRAP, &[]).await;
        stack.api.fail_next(fault.clone());
        assert_eq!(stack.invoke(&event("returning_caller")).await["lookup_status"], "matched", "{fault:?}");
        assert_eq!(answered(&stack.function.stop().await)["attempts"], 2);
    }
}

#[tokio::test]
async fn an_api_that_cannot_be_reached_is_a_network_failure() {
    // Nothing listens on this port: it was free a moment ago.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let refused = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    // No resolver asks a name server about a label of 64 characters, so this fails without one too.
    let unresolvable = format!("https://{}.invalid", "a".repeat(64));
    for url in [refused, unresolvable] {
        both_get("network", 0, &[("STICKY_CALLS_API_URL", &url)], |_| ()).await;
    }
}

#[tokio::test]
async fn without_a_usable_url_or_key_nothing_is_sent_anywhere() {
    for setting in [
        ("STICKY_CALLS_API_URL", "http://api.stickycalls.com"),
        ("STICKY_CALLS_API_URL", "not a url"),
        ("STICKY_CALLS_API_URL", ""),
        ("STICKY_CALLS_API_KEY", ""),
        ("STICKY_CALLS_API_KEY", "sk\u{1}"),
    ] {
        both_get("misconfigured", 0, &[setting], |_| ()).await;
        let mut stack = Stack::start(BOOTSTRAP, &[setting]).await;
        stack.invoke(&event("returning_caller")).await;
        assert_eq!(stack.api.connections(), 0, "{setting:?}");
    }
}
