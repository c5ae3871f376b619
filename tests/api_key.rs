//! The API's key in Secrets Manager, on the running process.
//!
//! Most of it needs Secrets Manager; how to run that by hand is said in `outbox.rs`.
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
async fn a_store_that_gives_no_key_leaves_the_caller_a_stranger_and_says_why() {
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
        // One that is late is still under way.
        assert!(told >= usize::from(reason != "timeout"), "{log}");
        assert!(lines(&log, "answered")[0]["detail"].as_str().unwrap().contains("the secret"), "{log}");
    }
}

#[tokio::test]
async fn a_store_that_takes_longer_than_the_start_waits_costs_the_first_caller_that_time_and_no_more() {
    for delay in [200, 700] {
        let answer = AwsFault::AnswerAfter(Duration::from_millis(delay), json!({"SecretString": KEY}));
        let aws = Aws::down(answer).await;
        let mut stack = Stack::start_in(BOOTSTRAP, &aws, &[NO_KEY, NO_SECRET]).await;
        for number in 0..3 {
            assert_eq!(stack.invoke(&call(number)).await["lookup_status"], "matched", "{delay} ms");
        }
        assert_eq!(reads(&aws), 1, "the read that the start began is the one that brought the key");
    }
}

/// With a budget of 300 ms no caller waits long enough for the store; the read that the first one began goes on.
#[tokio::test]
async fn a_read_that_no_caller_can_wait_for_brings_the_key_to_a_later_one() {
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
async fn a_start_at_which_everything_hangs_is_over_before_connect_gives_the_call_up() {
    let aws = Aws::down(AwsFault::Hang).await;
    let began = Instant::now();
    let mut stack = Stack::start_in(BOOTSTRAP, &aws, &[NO_KEY, NO_SECRET, ("STICKY_CALLS_TABLE", "cache")]).await;
    assert_eq!(stack.invoke(&call(1)).await["lookup_reason"], "timeout");
    // Connect's block waits that long when its author changed nothing; a machine however slow needs less for this.
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_key_of_its_own_goes_before_the_secret() {
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
        // An event that asks nobody anything: once it is answered, the start is over.
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
async fn moto_a_key_that_is_rotated_in_the_middle_of_traffic_costs_no_caller_and_no_summary() {
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
async fn moto_a_key_that_stays_wrong_is_looked_up_once_a_call() {
    let aws = Aws::start().await;
    let arn = aws.create_secret("sk_test_wrong").await;
    let mut stack = stack(&aws, &arn).await;
    assert_eq!(stack.invoke(&call(1)).await["lookup_reason"], "unauthorized");
    assert_eq!((stack.api.received().len(), reads(&aws)), (1, 2));
}

#[tokio::test]
#[ignore = "needs moto's server for Secrets Manager, whose address is in STICKY_CONNECT_MOTO"]
async fn moto_a_store_that_goes_down_leaves_the_last_known_key_in_use() {
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
async fn moto_a_store_that_was_down_at_the_start_is_asked_again_by_the_next_call() {
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
