//! One invocation: from the event to the answer, whatever happens in between.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::SystemTime;

use futures_util::FutureExt;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::time::{Instant, timeout_at};

use crate::budget::{self, Budget, time_left};
use crate::connect::{Attributes, Contact, PhoneNumber};
use crate::dispatch::{Route, route};
use crate::handlers::{Answer, BatchReply, Source, answer_flow, fallback};
use crate::services::Services;
use crate::telemetry::{Subject, milliseconds};
use crate::vocabulary::{Action, Handler, Metric, Reason};

/// Answers invocations.
pub struct App {
    services: Services,
}

/// What Lambda says about an invocation, beside the event.
#[derive(Clone, Copy, Debug)]
pub struct Invocation<'a> {
    /// The id that finds the invocation in Lambda's own log lines.
    pub request_id: &'a str,
    /// When Lambda stops waiting, in milliseconds since 1970.
    pub deadline_ms: u64,
}

/// What Lambda gets back.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Reply {
    /// For a flow: `$.External`.
    Flow(Attributes),
    /// For a queue or a stream: its batch item failures.
    Batch(BatchReply),
}

impl App {
    /// Answers with these services.
    pub fn new(services: Services) -> Self {
        Self { services }
    }

    /// Answers one event, whatever it holds, in time and without an error. Logs one line about it and writes one line
    /// of metrics.
    pub async fn answer(&self, payload: &str, invocation: Invocation<'_>) -> Reply {
        // A handler's panic is caught inside; this catches one around the handlers.
        let reply = AssertUnwindSafe(self.answer_event(payload, invocation)).catch_unwind().await;
        reply.unwrap_or_else(|_panic| {
            let after_a_panic = AssertUnwindSafe(|| self.reply_after_a_panic(payload, invocation.request_id));
            catch_unwind(after_a_panic).unwrap_or_else(|_panic| reply_without_reading(payload))
        })
    }

    async fn answer_event(&self, payload: &str, invocation: Invocation<'_>) -> Reply {
        let arrived = Instant::now();
        let lambda_leaves = time_left(invocation.deadline_ms, SystemTime::now());
        let request_id = invocation.request_id;
        let of_a_flow = || Budget::of_a_flow(arrived, self.services.config.timeout, lambda_leaves);
        match route(payload, self.services.config.action, &self.services.metrics) {
            Route::Flow(action, contact) => {
                Reply::Flow(self.answer_flow(action, Some(&contact), request_id, of_a_flow()).await)
            }
            Route::Unknown(action) => Reply::Flow(self.answer_flow(action, None, request_id, of_a_flow()).await),
            Route::Batch(source, records) => {
                let budget = Budget::of_a_batch(arrived, lambda_leaves);
                Reply::Batch(self.answer_batch(source, &records, request_id, budget).await)
            }
        }
    }

    async fn answer_flow(
        &self,
        action: Action,
        contact: Option<&Contact<'_>>,
        request_id: &str,
        budget: Budget,
    ) -> Attributes {
        let (services, now) = (&self.services, Timestamp::now());
        let work = async {
            match contact {
                Some(contact) => answer_flow(action, contact, services, budget.deadline(), now).await,
                None => fallback(action, None, services, Reason::InvalidEvent, now),
            }
        };
        // A handler's future is large. Without the box each function that it passes through would copy it.
        let answer = in_time(budget.deadline(), Box::pin(work), |reason| {
            // What made the handler panic may make this panic too.
            catch_unwind(AssertUnwindSafe(|| fallback(action, contact, services, reason, now)))
                .unwrap_or_else(|_panic| fallback(action, None, services, reason, now))
        })
        .await;
        // A panic while logging must not lose a finished answer.
        let _ = catch_unwind(AssertUnwindSafe(|| {
            let number = contact.and_then(Contact::customer_number);
            let subject = Subject {
                request_id,
                handler: action.handler(),
                contact_id: contact.and_then(Contact::contact_id),
                caller_ends_in: number.as_ref().map(PhoneNumber::last_two_digits).map(str::to_owned),
                receives: None,
                answer_time: Some(budget.spent()),
            };
            let metrics = &services.metrics;
            match contact {
                Some(_) => metrics.record(&answer.report, &subject),
                // A scheduled ping, or a test event from the console: no caller waits and no summary is lost.
                None => metrics.record_no_flow_event(&answer.report, &subject),
            }
            metrics.write(action.handler(), request_id);
        }));
        answer.attributes
    }

    /// Answers a batch. Logs one line about each summary, then one about the batch.
    async fn answer_batch(
        &self,
        source: Source,
        records: &[&RawValue],
        request_id: &str,
        budget: Budget,
    ) -> BatchReply {
        let to_retry = source.answer(records, &self.services, request_id, budget.deadline()).await;
        let (handler, received, retried) = (source.handler().as_str(), records.len(), to_retry.len());
        let total_ms = milliseconds(budget.spent());
        if retried == 0 {
            tracing::info!(request_id, handler, received, retried, total_ms, "batch {request_id}");
        } else {
            tracing::warn!(request_id, handler, received, retried, total_ms, "batch {request_id}");
        }
        self.write_batch_metrics(source.handler(), received, request_id);
        source.reply(to_retry)
    }

    fn write_batch_metrics(&self, handler: Handler, received: usize, request_id: &str) {
        self.count_received(handler, received);
        self.services.metrics.write(handler, request_id);
    }

    fn count_received(&self, handler: Handler, received: usize) {
        if Metric::Received.handlers().contains(&handler) {
            let received = u64::try_from(received).unwrap_or(u64::MAX);
            self.services.metrics.measure(Metric::Received, received);
        }
    }

    /// The reply after a panic outside the handlers: a flow gets its fallback, and the whole batch is retried.
    fn reply_after_a_panic(&self, payload: &str, request_id: &str) -> Reply {
        let (handler, reply) = self.fallback_for(payload);
        self.services.metrics.write(handler, request_id);
        reply
    }

    /// Builds and counts the reply after a panic. Returns it with its handler.
    fn fallback_for(&self, payload: &str) -> (Handler, Reply) {
        let metrics = &self.services.metrics;
        match route(payload, self.services.config.action, metrics) {
            Route::Flow(action, _) | Route::Unknown(action) => {
                let answer = fallback(action, None, &self.services, Reason::Internal, Timestamp::now());
                metrics.count(&answer.report, action.handler());
                (action.handler(), Reply::Flow(answer.attributes))
            }
            Route::Batch(source, records) => {
                metrics.count_reason(Reason::Internal);
                self.count_received(source.handler(), records.len());
                let to_retry = records.iter().map(|record| source.item_id(record)).collect();
                (source.handler(), Reply::Batch(source.reply(to_retry)))
            }
        }
    }
}

/// The reply if that panics too; it does not read the event. A flow gets an empty object, which Connect accepts. For a
/// batch, an empty object would mean success. A blank id makes Lambda retry the whole batch.
fn reply_without_reading(payload: &str) -> Reply {
    match payload.contains("\"eventSource\"") {
        true => Reply::Batch(Source::Queue.reply(vec![String::new()])),
        false => Reply::Flow(Attributes::default()),
    }
}

/// Runs `work`, which has until `deadline`. If it hangs, the fallback is the answer, a moment after the deadline. If it
/// panics, the fallback is the answer at once.
async fn in_time(deadline: Instant, work: impl Future<Output = Answer>, fallback: impl Fn(Reason) -> Answer) -> Answer {
    match timeout_at(deadline + budget::GRACE, AssertUnwindSafe(work).catch_unwind()).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(_panic)) => fallback(Reason::Internal),
        Err(_elapsed) => fallback(Reason::Timeout),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::{Value, json};

    use super::*;
    use crate::config::Config;
    use crate::handlers::end_call;

    fn fallback(reason: Reason) -> Answer {
        end_call::fallback(None, reason)
    }

    fn in_one_second() -> Instant {
        Instant::now() + Duration::from_secs(1)
    }

    #[tokio::test(start_paused = true)]
    async fn a_handler_that_panics_still_gives_the_flow_its_fallback() {
        let before_waiting = async { panic!("a bug") };
        let after_waiting = async {
            tokio::time::sleep(Duration::from_millis(10)).await;
            panic!("a bug")
        };
        assert_eq!(in_time(in_one_second(), before_waiting, fallback).await.report.reason, Some(Reason::Internal));
        assert_eq!(in_time(in_one_second(), after_waiting, fallback).await.report.reason, Some(Reason::Internal));
    }

    #[tokio::test(start_paused = true)]
    async fn a_handler_that_hangs_gives_the_flow_its_fallback_at_the_deadline() {
        let began = Instant::now();
        let answer = in_time(in_one_second(), std::future::pending(), fallback).await;
        assert_eq!(answer.report.reason, Some(Reason::Timeout));
        assert_eq!(began.elapsed(), Duration::from_millis(1_020));
    }

    #[tokio::test(start_paused = true)]
    async fn a_handler_that_answers_at_once_is_used_even_if_no_time_is_left() {
        let answer = in_time(Instant::now(), async { fallback(Reason::NoIdentity) }, fallback).await;
        assert_eq!(answer.report.reason, Some(Reason::NoIdentity));
    }

    #[test]
    fn after_a_second_panic_a_flow_still_gets_an_answer_and_a_batch_is_retried() {
        let reply = |payload: &str| serde_json::to_value(reply_without_reading(payload)).unwrap();
        assert_eq!(reply(r#"{"Details":{"ContactData":{}}}"#), json!({}));
        let all = json!({"batchItemFailures": [{"itemIdentifier": ""}]});
        assert_eq!(reply(r#"{"Records":[{"messageId":"m1","eventSource":"aws:sqs"}]}"#), all);
    }

    #[test]
    fn after_a_panic_outside_the_handlers_a_flow_gets_the_fallback_and_the_whole_batch_is_retried() {
        let app = App::new(Services::new(Config::read(|_| None).0));
        let fallback = |payload: &str| {
            let (handler, reply) = app.fallback_for(payload);
            let line = app.services.metrics.line(handler, "request-0", Timestamp::now());
            (serde_json::to_value(reply).unwrap(), serde_json::from_str::<Value>(&line).unwrap())
        };
        let (answer, line) = fallback(r#"{"Details":{"ContactData":{}}}"#);
        assert_eq!((&answer["lookup_status"], &answer["lookup_reason"]), (&json!("unavailable"), &json!("internal")));
        assert_eq!(["unavailable", "internal", "needs_operator"].map(|name| &line[name]), [1, 1, 1]);
        let (answer, line) = fallback(r#"{"Details":{"ContactData":{},"Parameters":{"action":"save"}}}"#);
        assert_eq!(answer["save_status"], "failed");
        assert_eq!(["failed", "not_kept", "internal"].map(|name| &line[name]), [1, 1, 1]);
        let messages = r#"{"Records":[{"eventSource":"aws:sqs","messageId":"m1"},{"eventSource":"aws:sqs"}]}"#;
        let (reply, line) = fallback(messages);
        assert_eq!(reply, json!({"batchItemFailures": [{"itemIdentifier": "m1"}, {"itemIdentifier": ""}]}));
        assert_eq!((&line["handler"], &line["internal"]), (&json!("redelivery"), &json!(1)));
        let records = r#"{"Records":[{"eventSource":"aws:kinesis","kinesis":{"sequenceNumber":"7"}}]}"#;
        let (reply, line) = fallback(records);
        assert_eq!(reply, json!({"batchItemFailures": [{"itemIdentifier": "7"}]}));
        assert_eq!(["received", "internal"].map(|name| &line[name]), [1, 1]);
    }
}
