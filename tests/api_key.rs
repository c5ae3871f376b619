//! The API's key in Secrets Manager, on the running process.
//!
//! Most tests need Secrets Manager. `outbox.rs` says how to run those by hand.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may panic")]

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use stand_ins::aws::{Aws, AwsFault, Service};
use stand_ins::events::{event, with_contact, with_parameter};
use stand_ins::log::lines;
use stand_ins::stack::Stack;
use stand_ins::sticky_calls::KEY;

const BOOTSTRAP: &str = env!("CARGO_BIN_EXE_bootstrap");
const NO_KEY: (&str, &str) = ("STICKY_CALLS_API_KEY", "");
const NO_SECRET: (&str, &str) =
    ("STICKY_CALLS_API_KEY_SECRET_ARN", "arn:aws:secretsmanager:eu-central-1:123456789012:secret:key-AbCdEf");

fn call(number: usize) -> Value {
    with_contact(event("returning_caller"), "/InitialContactId", format!("call {number}"))
}

/// The function with its key in this secret.
async fn stack(aws: &Aws, arn: &str) -> Stack {
    Stack::start_in(BOOTSTRAP, aws, &[NO_KEY, ("STICKY_CALLS_API_KEY_SECRET_ARN", arn)]).await
}

fn reads(aws: &Aws) -> usize {
    aws.received(Service::SecretsManager).len()
}

#[tokio::test]
async fn without_a_key_from_secrets_manager_the_caller_gets_the_fallback_with_the_reason() {
    for (fault, reason) in [
        (AwsFault::Hang, "timeout"),
        (AwsFault::Reset, "network"),
        (AwsFault::Status(500), "network"),
        (AwsFault::Refused("ThrottlingException"), "network"),
        (AwsFault::Refused("AccessDeniedException"), "misconfigured"),
        (AwsFault::Answer(json!({"SecretString": "{}"})), "misconfigured"),
    ] {
        let aws = Aws::down(fault.clone()).await;
        let mut stack = Stack::start_in(BOOTSTRAP, &aws, &[NO_KEY, NO_SECRET]).await;
        let answer = stack.invoke(&call(1)).await;
        assert_eq!(
            (&answer["lookup_status"], &answer["lookup_reason"]),
            (&"unavailable".into(), &reason.into()),
            "{fault:?}"
        );
        assert_eq!(stack.api.received().len(), 0);
        let log = stack.function.stop().await;
        let told = lines(&log, "the secret with the API's key could not be read").len();
        // A late read is still under way, so it may not be logged yet.
        assert!(told >= usize::from(reason != "timeout"), "{log}");
        assert!(lines(&log, "answered")[0]["detail"].as_str().unwrap().contains("the secret"), "{log}");
    }
}

#[tokio::test]
async fn a_slow_read_that_begins_at_the_start_delays_the_first_caller_and_is_not_repeated() {
    for delay in [200, 700] {
        let answer = AwsFault::AnswerAfter(Duration::from_millis(delay), json!({"SecretString": KEY}));
        let aws = Aws::down(answer).await;
        let mut stack = Stack::start_in(BOOTSTRAP, &aws, &[NO_KEY, NO_SECRET]).await;
        for number in 0..3 {
            assert_eq!(stack.invoke(&call(number)).await["lookup_status"], "matched", "{delay} ms");
        }
        assert_eq!(reads(&aws), 1, "the key came from the read that began at the start");
    }
}

/// With a budget of 300 ms no caller waits long enough for the secret. The first caller's read goes on.
#[tokio::test]
async fn a_read_that_takes_longer_than_a_caller_waits_gives_the_key_to_a_later_caller() {
    let aws = Aws::down(AwsFault::AnswerAfter(Duration::from_millis(3_500), json!({"SecretString": KEY}))).await;
    let budget = ("STICKY_CALLS_TIMEOUT_MS", "300");
    let mut stack = Stack::start_in(BOOTSTRAP, &aws, &[NO_KEY, NO_SECRET, budget]).await;
    assert_eq!(stack.invoke(&call(0)).await["lookup_reason"], "timeout");
    let began = Instant::now();
    while stack.invoke(&call(1)).await["lookup_reason"] == "timeout" {
        assert!(began.elapsed() < Duration::from_secs(20));
    }
    assert_eq!(stack.invoke(&call(2)).await["lookup_status"], "matched");
    assert_eq!(reads(&aws), 1);
}

#[tokio::test]
async fn a_start_at_which_everything_hangs_ends_before_connects_block_times_out() {
    let aws = Aws::down(AwsFault::Hang).await;
    let began = Instant::now();
    let mut stack = Stack::start_in(BOOTSTRAP, &aws, &[NO_KEY, NO_SECRET, ("STICKY_CALLS_TABLE", "cache")]).await;
    assert_eq!(stack.invoke(&call(1)).await["lookup_reason"], "timeout");
    // Connect's default for the block. Even a slow machine needs less.
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_key_in_the_environment_is_used_instead_of_the_secret() {
    let aws = Aws::down(AwsFault::Hang).await;
    let mut stack = Stack::start_in(BOOTSTRAP, &aws, &[NO_SECRET]).await;
    assert_eq!(stack.invoke(&call(1)).await["lookup_status"], "matched");
    assert_eq!(reads(&aws), 0);
}

#[tokio::test]
#[ignore = "needs moto's server for Secrets Manager, whose address is in STICKY_CONNECT_MOTO"]
async fn moto_the_key_is_read_before_the_first_call_and_kept() {
    for secret in [KEY.to_owned(), json!({"api_key": KEY}).to_string()] {
        let aws = Aws::start().await;
        let arn = aws.create_secret(&secret).await;
        let mut stack = stack(&aws, &arn).await;
        // This event needs no key. Once it is answered, the start is over.
        stack.invoke(&event("anonymous_caller")).await;
        assert_eq!(reads(&aws), 1);
        for number in 0..5 {
            assert_eq!(stack.invoke(&call(number)).await["lookup_status"], "matched");
        }
        assert_eq!(reads(&aws), 1);
        let log = stack.function.stop().await;
        assert!(!log.contains(KEY) && !log.contains("unusable setting"), "{log}");
    }
}

#[tokio::test]
#[ignore = "needs moto's server for Secrets Manager, whose address is in STICKY_CONNECT_MOTO"]
async fn moto_while_the_key_is_rotated_every_caller_is_known_and_every_summary_is_saved() {
    const CALLS: usize = 60;
    let aws = Aws::start().await;
    let arn = aws.create_secret(KEY).await;
    let mut stack = stack(&aws, &arn).await;
    for number in 0..CALLS {
        if number % 20 == 10 {
            let key = format!("sk_test_rotated_{number}");
            aws.rotate_secret(&arn, &key).await;
            stack.api.change_key(&key);
        }
        let answer = stack.invoke(&call(number)).await;
        assert_eq!(answer["lookup_status"], "matched", "call {number}: {answer}");
        let end = with_parameter(call(number), "action", "save");
        assert_eq!(stack.invoke(&end).await["save_status"], "saved");
    }
    assert_eq!(stack.api.ended().len(), CALLS);
    // Once before the first call, and once for each of three rotations.
    assert_eq!(reads(&aws), 4);
    let log = stack.function.stop().await;
    assert!(!log.contains("sk_test"), "{log}");
}

#[tokio::test]
#[ignore = "needs moto's server for Secrets Manager, whose address is in STICKY_CONNECT_MOTO"]
async fn moto_if_the_key_stays_wrong_each_call_reads_the_secret_once() {
    let aws = Aws::start().await;
    let arn = aws.create_secret("sk_test_wrong").await;
    let mut stack = stack(&aws, &arn).await;
    assert_eq!(stack.invoke(&call(1)).await["lookup_reason"], "unauthorized");
    assert_eq!((stack.api.received().len(), reads(&aws)), (1, 2));
}

#[tokio::test]
#[ignore = "needs moto's server for Secrets Manager, whose address is in STICKY_CONNECT_MOTO"]
async fn moto_if_secrets_manager_goes_down_the_last_known_key_stays_in_use() {
    let aws = Aws::start().await;
    let arn = aws.create_secret(KEY).await;
    let mut stack = stack(&aws, &arn).await;
    assert_eq!(stack.invoke(&call(1)).await["lookup_status"], "matched");
    for fault in [AwsFault::Hang, AwsFault::Reset] {
        aws.fail(Service::SecretsManager, Some(fault));
        assert_eq!(
            stack.invoke(&with_contact(call(2), "/InitialContactId", format!("{}", reads(&aws)))).await["lookup_status"],
            "matched"
        );
        stack.api.change_key("sk_test_other");
        assert_eq!(stack.invoke(&call(3)).await["lookup_reason"], "unauthorized");
        stack.api.change_key(KEY);
    }
}

#[tokio::test]
#[ignore = "needs moto's server for Secrets Manager, whose address is in STICKY_CONNECT_MOTO"]
async fn moto_if_secrets_manager_was_down_at_the_start_the_next_call_reads_the_secret() {
    let aws = Aws::start().await;
    let arn = aws.create_secret(KEY).await;
    aws.fail(Service::SecretsManager, Some(AwsFault::Hang));
    let mut stack = stack(&aws, &arn).await;
    let waited = Instant::now();
    assert_eq!(stack.invoke(&call(1)).await["lookup_reason"], "timeout");
    aws.fail(Service::SecretsManager, None);
    // The read that hangs is abandoned after five seconds.
    while stack.invoke(&call(2)).await["lookup_status"] != "matched" {
        assert!(waited.elapsed() < Duration::from_secs(20));
    }
}
