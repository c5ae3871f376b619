//! One invocation: from the event to the answer, whatever happens in between.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, SystemTime};

use aws_lambda_events::event::sqs::SqsBatchResponse;
use aws_lambda_events::event::streams::KinesisEventResponse;
use futures_util::FutureExt;
use jiff::Timestamp;
use serde::Serialize;
use tokio::time::{Instant, timeout_at};

use crate::answer::{Answer, Line, milliseconds};
use crate::budget::{self, Budget, time_left};
use crate::connect::{Attributes, Contact, PhoneNumber};
use crate::dispatch::{Action, Handler, Route, route};
use crate::metrics::Batch;
use crate::reason::Reason;
use crate::services::Services;
use crate::{contact_records, end_call, redelivery, start_call};

/// Answers invocations.
pub struct App {
    services: Services,
}

/// What Lambda says of an invocation beside the event.
#[derive(Clone, Copy, Debug)]
pub struct Invocation<'a> {
    /// The id that finds the invocation in Lambda's own log lines.
    pub request_id: &'a str,
    /// When Lambda gives up, in milliseconds since 1970.
    pub deadline_ms: u64,
}

/// What Lambda is handed back.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Reply {
    /// For a flow: `$.External`.
    Flow(Attributes),
    /// For the outbox's queue: the messages that shall come again.
    Redelivery(SqsBatchResponse),
    /// For a stream: the records that shall come again.
    ContactRecords(KinesisEventResponse),
}

impl App {
    /// Answers with these services.
    pub fn new(services: Services) -> Self {
        Self { services }
    }

    /// Answers one event, whatever it holds, in time and without an error; logs one line about it and writes one of metrics.
    pub async fn answer(&self, payload: &str, invocation: Invocation<'_>) -> Reply {
        // The handlers are looked after inside; this looks after everything around them.
        let answer = AssertUnwindSafe(self.answer_event(payload, invocation)).catch_unwind().await;
        answer.unwrap_or_else(|_panic| {
            let last_resort = AssertUnwindSafe(|| self.last_resort(payload, invocation.request_id));
            catch_unwind(last_resort).unwrap_or_else(|_panic| last_word(payload))
        })
    }

    async fn answer_event(&self, payload: &str, invocation: Invocation<'_>) -> Reply {
        let arrived = Instant::now();
        let lambda_leaves = time_left(invocation.deadline_ms, SystemTime::now());
        let request_id = invocation.request_id;
        let of_a_flow = || Budget::of_a_flow(arrived, self.services.config.timeout, lambda_leaves);
        let of_a_batch = || Budget::of_a_batch(arrived, lambda_leaves);
        match route(payload, self.services.config.action, &self.services.metrics) {
            Route::Flow(action, contact) => {
                Reply::Flow(self.answer_flow(action, Some(&contact), request_id, of_a_flow()).await)
            }
            Route::Unknown(action) => Reply::Flow(self.answer_flow(action, None, request_id, of_a_flow()).await),
            Route::Redelivery(records) => {
                let budget = of_a_batch();
                let answer = redelivery::handle(&records, &self.services, request_id, budget.deadline()).await;
                let batch = Batch { received: records.len(), come_again: answer.batch_item_failures.len() };
                self.record_batch(Handler::Redelivery, request_id, batch, &budget);
                Reply::Redelivery(answer)
            }
            Route::ContactRecords(records) => {
                let budget = of_a_batch();
                let answer = contact_records::handle(&records, &self.services, request_id, budget.deadline()).await;
                let batch = Batch { received: records.len(), come_again: answer.batch_item_failures.len() };
                self.record_batch(Handler::ContactRecords, request_id, batch, &budget);
                Reply::ContactRecords(answer)
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
        let now = Timestamp::now();
        // A handler's future holds all that it may come to ask, and would be copied by everything it is handed through.
        let work = Box::pin(self.handle(action, contact, budget.deadline(), now));
        let answer = in_time(budget.deadline(), work, |reason| {
            // What made the handler panic may do so again here.
            catch_unwind(AssertUnwindSafe(|| self.fallback(action, contact, reason, now)))
                .unwrap_or_else(|_panic| self.fallback(action, None, reason, now))
        })
        .await;
        // A finished answer is not given up for a log line.
        let _ = catch_unwind(AssertUnwindSafe(|| {
            let number = contact.and_then(Contact::customer_number);
            let line = Line {
                message: "answered",
                request_id,
                handler: action.handler(),
                contact_id: contact.and_then(Contact::contact_id),
                caller_ends_in: number.as_ref().map(PhoneNumber::last_two_digits).map(str::to_owned),
                receives: None,
                total: Some(budget.spent()),
            };
            let metrics = &self.services.metrics;
            match contact {
                Some(_) => metrics.record(&answer.report, &line),
                // A scheduled ping, a test event of the console's: no caller was waiting and no summary is lost.
                None => metrics.record_no_flow_event(&answer.report, &line),
            }
            metrics.write(action.handler(), request_id, budget.remaining(), None);
        }));
        answer.attributes
    }

    async fn handle(&self, action: Action, contact: Option<&Contact<'_>>, deadline: Instant, now: Timestamp) -> Answer {
        let services = &self.services;
        match (action, contact) {
            (Action::StartCall, Some(contact)) => start_call::handle(contact, services, deadline, now).await,
            // So that a lookup does not carry a save's larger future about.
            (Action::EndCall, Some(contact)) => Box::pin(end_call::handle(contact, services, deadline, now)).await,
            (action, None) => self.fallback(action, None, Reason::InvalidEvent, now),
        }
    }

    fn fallback(&self, action: Action, contact: Option<&Contact<'_>>, reason: Reason, now: Timestamp) -> Answer {
        match action {
            Action::StartCall => start_call::fallback(contact, &self.services.config, reason, now),
            Action::EndCall => end_call::fallback(contact, reason),
        }
    }

    /// The one line about a batch, after those about its summaries.
    fn record_batch(&self, handler: Handler, request_id: &str, batch: Batch, budget: &Budget) {
        let Batch { received, come_again } = batch;
        let (name, total_ms) = (handler.name(), milliseconds(budget.spent()));
        if come_again == 0 {
            tracing::info!(request_id, handler = name, received, come_again, total_ms, "batch");
        } else {
            tracing::warn!(request_id, handler = name, received, come_again, total_ms, "batch");
        }
        self.services.metrics.write(handler, request_id, budget.remaining(), Some(batch));
    }

    /// The answer after a panic outside of the handlers: a flow goes on, and a batch comes again as a whole.
    fn last_resort(&self, payload: &str, request_id: &str) -> Reply {
        let (handler, batch, reply) = self.last_answer(payload);
        self.services.metrics.write(handler, request_id, Duration::ZERO, batch);
        reply
    }

    /// That answer, counted, and what its line of metrics says it was.
    fn last_answer(&self, payload: &str) -> (Handler, Option<Batch>, Reply) {
        let metrics = &self.services.metrics;
        let all = |records: &[_]| Some(Batch { received: records.len(), come_again: records.len() });
        match route(payload, self.services.config.action, metrics) {
            Route::Flow(action, _) | Route::Unknown(action) => {
                let answer = self.fallback(action, None, Reason::Internal, Timestamp::now());
                metrics.count(&answer.report);
                (action.handler(), None, Reply::Flow(answer.attributes))
            }
            Route::Redelivery(records) => {
                metrics.count_panic();
                (Handler::Redelivery, all(&records), Reply::Redelivery(redelivery::all_of_it(&records)))
            }
            Route::ContactRecords(records) => {
                metrics.count_panic();
                (Handler::ContactRecords, all(&records), Reply::ContactRecords(contact_records::all_of_it(&records)))
            }
        }
    }
}

/// The answer where even the simplest one panics, without a look into the event. Connect takes an empty object; Lambda
/// would take one for a batch that is done, but with a blank id the whole batch comes again.
fn last_word(payload: &str) -> Reply {
    if !payload.contains("\"eventSource\"") {
        return Reply::Flow(Attributes::default());
    }
    let mut all = SqsBatchResponse::default();
    all.set_failures([""]);
    Reply::Redelivery(all)
}

/// Runs `work`, which is to be done by `deadline`, so that there is an answer a moment later even where it hangs, and an
/// answer where it panics.
async fn in_time(deadline: Instant, work: impl Future<Output = Answer>, fallback: impl Fn(Reason) -> Answer) -> Answer {
    match timeout_at(deadline + budget::GRACE, AssertUnwindSafe(work).catch_unwind()).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(_panic)) => fallback(Reason::Internal),
        Err(_elapsed) => fallback(Reason::Timeout),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::config::Config;
    use crate::metrics::Metrics;

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
    async fn a_handler_that_is_done_at_once_is_heard_even_where_no_time_is_left() {
        let answer = in_time(Instant::now(), async { fallback(Reason::NoIdentity) }, fallback).await;
        assert_eq!(answer.report.reason, Some(Reason::NoIdentity));
    }

    #[test]
    fn after_a_bug_in_that_too_a_flow_goes_on_and_a_batch_comes_again() {
        let last_word = |payload: &str| serde_json::to_value(last_word(payload)).unwrap();
        assert_eq!(last_word(r#"{"Details":{"ContactData":{}}}"#), json!({}));
        let all = json!({"batchItemFailures": [{"itemIdentifier": ""}]});
        assert_eq!(last_word(r#"{"Records":[{"messageId":"m1","eventSource":"aws:sqs"}]}"#), all);
    }

    #[test]
    fn after_a_bug_around_the_handlers_a_flow_goes_on_and_a_batch_comes_again_as_a_whole() {
        let app = App::new(Services::new(Config::read(|_| None).0, Metrics::new(|_| None)));
        let last_resort = |payload: &str| {
            let (handler, batch, reply) = app.last_answer(payload);
            let line = app.services.metrics.line(handler, "", Duration::ZERO, batch, Timestamp::now());
            let line: Value = serde_json::from_str(&line).unwrap();
            let counted = ["internal", "needs_operator", "received", "come_again"].map(|name| line[name].as_u64());
            (serde_json::to_value(reply).unwrap(), line["Handler"].clone(), counted)
        };
        let (reply, handler, counted) = last_resort(r#"{"Details":{"ContactData":{}}}"#);
        assert_eq!((&reply["lookup_reason"], handler), (&json!("internal"), json!("start_call")));
        assert_eq!(counted, [Some(1), Some(1), None, None]);
        let messages = r#"{"Records":[{"eventSource":"aws:sqs","messageId":"m1"},{"eventSource":"aws:sqs"}]}"#;
        let all = json!({"batchItemFailures": [{"itemIdentifier": "m1"}, {"itemIdentifier": ""}]});
        assert_eq!(last_resort(messages), (all, json!("redelivery"), [1, 1, 2, 2].map(Some)));
        let records = r#"{"Records":[{"eventSource":"aws:kinesis","kinesis":{"sequenceNumber":"7"}}]}"#;
        let all = json!({"batchItemFailures": [{"itemIdentifier": "7"}]});
        assert_eq!(last_resort(records), (all, json!("contact_records"), [1, 1, 1, 1].map(Some)));
    }
}
