//! The process as Lambda runs it: unknown payloads, deadlines, log lines, and a start outside of Lambda.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may panic")]

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use stand_ins::events::{event, text, with_contact, with_parameter};
use stand_ins::runtime_api::Outcome;
use stand_ins::stack::Stack;
use stand_ins::sticky_calls::Fault;

const BOOTSTRAP: &str = env!("CARGO_BIN_EXE_bootstrap");

fn lines(log: &str) -> Vec<Value> {
    log.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}"))).collect()
}

#[tokio::test]
async fn an_unknown_payload_gets_the_handlers_fallback() {
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    let payloads: [&[u8]; 14] = [
        b"",
        b"null",
        b"[]",
        b"[1,2,3]",
        b"\"text\"",
        b"42",
        b"true",
        b"{}",
        b"{\"Details\":",
        b"not json",
        b"\xff\xfe\xfd",
        b"{\"Details\":{\"ContactData\":[]}}",
        b"{\"Records\":[]}",
        deep.as_bytes(),
    ];
    for (pinned, status) in [("", "unavailable"), ("identify", "unavailable"), ("save", "failed")] {
        let mut stack = Stack::start(BOOTSTRAP, &[("STICKY_CALLS_ACTION", pinned)]).await;
        for payload in payloads {
            let answer: Value = serde_json::from_slice(&stack.function.invoke_bytes(payload).await).unwrap();
            let (outcome, reason) =
                if status == "failed" { ("save_status", "error") } else { ("lookup_status", "lookup_reason") };
            assert_eq!(answer[outcome], status, "{:?}", String::from_utf8_lossy(payload).get(..20));
            assert_eq!(answer[reason], "invalid_event");
        }
        assert_eq!(stack.api.received().len(), 0);
    }
}

#[tokio::test]
async fn an_event_with_very_deep_nesting_is_answered_like_any_other() {
    let deep = format!("{}{}", "{\"a\":".repeat(50_000), "1".to_owned() + &"}".repeat(50_000));
    let event = text("returning_caller").replace("\"References\": {}", &format!("\"References\": {deep}"));
    assert!(event.contains("{\"a\":{\"a\":"));
    let mut stack = Stack::start(BOOTSTRAP, &[]).await;
    let answer: Value = serde_json::from_slice(&stack.function.invoke_bytes(event).await).unwrap();
    assert_eq!(answer["lookup_status"], "matched");
}

#[tokio::test]
async fn if_lambda_leaves_less_than_the_budget_the_answer_comes_before_lambdas_deadline() {
    for handler in ["identify", "save"] {
        let variables = [("STICKY_CALLS_ACTION", handler), ("STICKY_CALLS_TIMEOUT_MS", "7000")];
        let mut stack = Stack::start(BOOTSTRAP, &variables).await;
        stack.api.fail_always(Some(Fault::Hang));
        let payload = event("returning_caller").to_string();
        let outcome = stack.function.outcome(payload, Duration::from_millis(800)).await;
        assert!(matches!(outcome, Outcome::Answer(_)), "{outcome:?}");
    }
}

#[tokio::test]
async fn if_the_deadline_has_almost_passed_the_flow_gets_the_fallback_and_nothing_is_sent() {
    let mut stack = Stack::start(BOOTSTRAP, &[]).await;
    let soon = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + Duration::from_millis(150);
    let outcome = stack.function.outcome_until(event("returning_caller").to_string(), soon.as_millis()).await;
    let Outcome::Answer(body) = outcome else { panic!("{outcome:?}") };
    assert_eq!(serde_json::from_slice::<Value>(&body).unwrap()["lookup_reason"], "timeout");
    assert_eq!(stack.api.received().len(), 0);
}

#[tokio::test]
async fn a_deadline_in_the_past_counts_as_unknown() {
    let mut stack = Stack::start(BOOTSTRAP, &[]).await;
    for deadline_ms in [0, 600_000] {
        let call = with_contact(event("returning_caller"), "/InitialContactId", format!("call {deadline_ms}"));
        let outcome = stack.function.outcome_until(call.to_string(), deadline_ms).await;
        let Outcome::Answer(body) = outcome else { panic!("{outcome:?}") };
        assert_eq!(serde_json::from_slice::<Value>(&body).unwrap()["lookup_status"], "matched");
    }
}

#[tokio::test]
async fn a_lookup_that_hung_does_not_affect_the_next_one() {
    let mut stack = Stack::start(BOOTSTRAP, &[("STICKY_CALLS_TIMEOUT_MS", "200")]).await;
    stack.api.fail_next(Fault::Hang);
    assert_eq!(stack.invoke(&event("returning_caller")).await["lookup_reason"], "timeout");
    assert_eq!(stack.invoke(&event("returning_caller")).await["lookup_status"], "matched");
}

#[tokio::test]
async fn each_invocation_logs_one_line_about_its_result() {
    let mut stack = Stack::start(BOOTSTRAP, &[]).await;
    stack.invoke(&event("returning_caller")).await;
    stack.api.fail_next(Fault::status(401));
    stack.invoke(&event("new_caller")).await;
    stack.invoke(&event("anonymous_caller")).await;
    stack.invoke(&event("disconnect_flow")).await;
    let log = lines(&stack.function.stop().await);
    let answered: Vec<_> =
        log.iter().filter(|line| line["message"].as_str().unwrap().starts_with("answered")).collect();
    assert_eq!(answered.len(), 4);

    let matched = answered[0];
    matched["timestamp"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    assert_eq!(matched["level"], "INFO");
    assert_eq!(matched["message"], "answered contact 4a573372-1f28-4e26-b97b-000000000002");
    assert_eq!(matched["request_id"], "request-0");
    assert_eq!(matched["contact_id"], "4a573372-1f28-4e26-b97b-000000000002");
    assert_eq!(matched["handler"], "start_call");
    assert_eq!(matched["status"], "matched");
    assert_eq!(matched["attempts"], 1);
    assert_eq!(matched["caller_ends_in"], "01");
    assert!(matched["api_ms"].is_u64() && matched["total_ms"].is_u64());
    assert_eq!(matched.get("reason"), None);

    let unauthorized = answered[1];
    assert_eq!(unauthorized["level"], "ERROR");
    assert_eq!(unauthorized["status"], "unavailable");
    assert_eq!(unauthorized["reason"], "unauthorized");
    assert_eq!(unauthorized["detail"], "the API answered 401");

    let skipped = answered[2];
    assert_eq!(skipped["status"], "skipped");
    assert_eq!(skipped["reason"], "no_identity");
    assert_eq!(skipped["attempts"], 0);
    assert_eq!(skipped.get("api_ms"), None);

    assert_eq!(answered[3]["handler"], "end_call");
    assert_eq!(answered[3]["status"], "saved");
}

#[tokio::test]
async fn an_unusable_setting_is_logged_with_its_name_but_not_its_value() {
    let variables = [("STICKY_CALLS_TIMEOUT_MS", "sk_prod_pasted_into_the_wrong_field")];
    let mut stack = Stack::start(BOOTSTRAP, &variables).await;
    assert_eq!(stack.invoke(&event("returning_caller")).await["lookup_status"], "matched");
    let log = stack.function.stop().await;
    assert!(!log.contains("pasted"));
    let warnings: Vec<_> = lines(&log).into_iter().filter(|line| line["level"] == "WARN").collect();
    assert_eq!(warnings.len(), 1);
    assert_eq!(warnings[0]["variable"], "STICKY_CALLS_TIMEOUT_MS");
}

#[tokio::test]
async fn an_unknown_action_is_logged_without_its_value() {
    let mut stack = Stack::start(BOOTSTRAP, &[]).await;
    stack.invoke(&with_parameter(event("returning_caller"), "action", "Jane's secret")).await;
    let log = stack.function.stop().await;
    assert!(!log.contains("secret"));
    assert!(log.contains("the parameter action is unknown and ignored (contact "));
}

#[tokio::test]
async fn lambdas_log_level_and_format_are_used() {
    async fn log_of(variables: &[(&str, &str)]) -> String {
        let mut stack = Stack::start(BOOTSTRAP, variables).await;
        stack.api.fail_next(Fault::status(500));
        stack.invoke(&event("returning_caller")).await;
        stack.function.stop().await
    }
    let has = |log: &str, level: &str| lines(log).iter().any(|line| line["level"] == level);
    let debug = log_of(&[("AWS_LAMBDA_LOG_LEVEL", "DEBUG")]).await;
    assert!(has(&debug, "DEBUG") && has(&debug, "INFO"));
    let info = log_of(&[]).await;
    assert!(!has(&info, "DEBUG") && has(&info, "INFO"));
    for level in ["WARN", "ERROR", "FATAL", "error"] {
        let log = log_of(&[("AWS_LAMBDA_LOG_LEVEL", level)]).await;
        assert_eq!(lines(&log).iter().map(|line| &line["message"]).collect::<Vec<_>>(), ["metrics"], "{level}");
        assert!(has(&log, &level.to_ascii_uppercase()), "else Lambda drops the line: {log}");
    }
    let text = log_of(&[("AWS_LAMBDA_LOG_FORMAT", "Text")]).await;
    let (metrics, text): (Vec<_>, Vec<_>) = text.lines().partition(|line| line.starts_with('{'));
    assert_eq!(serde_json::from_str::<Value>(metrics[0]).unwrap()["matched"], 1);
    assert!(text.iter().any(|line| line.contains("status=\"matched\"")), "{text:?}");
}

#[test]
fn a_start_outside_of_lambda_prints_what_to_do_instead() {
    let output = Command::new(BOOTSTRAP).env_clear().output().unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("AWS_LAMBDA_RUNTIME_API is not set"), "{said}");
    assert!(said.contains("\n  cargo run --example phone_call\n"), "{said}");
    assert!(said.contains("\n  cargo run --example phone_call -- events/returning_caller.json\n"), "{said}");
    assert!(!said.contains("panicked"), "{said}");
    assert!(output.stdout.is_empty());
}

#[tokio::test]
async fn the_end_of_the_environment_is_no_error() {
    for invocations in 0..=2 {
        let mut stack = Stack::start(BOOTSTRAP, &[]).await;
        for _ in 0..invocations {
            stack.invoke(&event("anonymous_caller")).await;
        }
        stack.function.waits().await;
        let (status, log) = stack.function.end_environment().await;
        assert!(status.success(), "{status}: {log}");
        let log = lines(&log);
        assert!(log.iter().all(|line| line["level"] == "INFO"), "{log:?}");
        assert_eq!(log.last().unwrap()["message"], "the environment has ended");
    }
}

#[tokio::test]
async fn an_answer_that_can_not_be_handed_over_is_an_error() {
    let mut stack = Stack::start(BOOTSTRAP, &[]).await;
    stack.api.fail_next(Fault::Delay(Duration::from_millis(500)));
    let payload = event("returning_caller").to_string();
    let answer = stack.function.outcome(payload, Duration::from_secs(5));
    tokio::time::timeout(Duration::from_millis(250), answer).await.unwrap_err();
    let (status, log) = stack.function.end_environment().await;
    assert!(!status.success());
    let last = lines(&log).pop().unwrap();
    assert_eq!((&last["level"], &last["message"]), (&"ERROR".into(), &"the Lambda Runtime API failed".into()));
}

/// Starts `bootstrap` with this address of the Runtime API, and returns its last line once it has ended.
fn last_line_with(runtime_api: &str) -> Value {
    let lambda = [
        ("AWS_LAMBDA_RUNTIME_API", runtime_api),
        ("AWS_LAMBDA_FUNCTION_NAME", "sticky-connect"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
    ];
    let output = Command::new(BOOTSTRAP).env_clear().envs(lambda).output().unwrap();
    let last = lines(&String::from_utf8(output.stdout).unwrap()).pop().unwrap();
    assert_eq!(output.status.success(), last["level"] == "INFO", "{last}");
    last
}

#[test]
fn a_runtime_api_that_was_never_there_is_an_error() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    for address in [nobody.as_str(), "nobody.invalid:9001"] {
        let last = last_line_with(address);
        assert_eq!((&last["level"], &last["message"]), (&"ERROR".into(), &"the Lambda Runtime API failed".into()));
    }
}

#[test]
fn a_runtime_api_that_breaks_off_an_invocation_or_speaks_no_http_is_an_error_and_one_that_closes_is_not() {
    let cut = "HTTP/1.1 200 OK\r\nContent-Length: 5000\r\nLambda-Runtime-Aws-Request-Id: 1\r\n\r\n{\"Details\":";
    for (answer, level) in [(cut, "ERROR"), ("SSH-2.0-OpenSSH_9.2\r\n", "ERROR"), ("", "INFO")] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let server = std::thread::spawn(move || {
            let mut connection = listener.accept().unwrap().0;
            let _request = connection.read(&mut [0; 4096]).unwrap();
            connection.write_all(answer.as_bytes()).unwrap();
        });
        assert_eq!(last_line_with(&address)["level"], level, "{answer}");
        server.join().unwrap();
    }
}
