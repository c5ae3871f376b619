//! One invocation: from the event to the answer, whatever happens in between.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, SystemTime};

use futures_util::FutureExt;
use jiff::Timestamp;
use tokio::time::{Instant, timeout_at};

use crate::answer::{Answer, Severity};
use crate::budget::{Budget, time_left};
use crate::config::Config;
use crate::connect::{Attributes, Contact, PhoneNumber};
use crate::dispatch::{Action, Route, route};
use crate::reason::Reason;
use crate::sticky_calls::Client;
use crate::{end_call, start_call};

/// What an execution environment keeps from one invocation to the next.
pub struct App {
    config: Config,
    api: Option<Client>,
}

/// What Lambda says of an invocation beside the event.
#[derive(Clone, Copy, Debug)]
pub struct Invocation<'a> {
    /// The id that finds the invocation in Lambda's own log lines.
    pub request_id: &'a str,
    /// When Lambda gives up, in milliseconds since 1970.
    pub deadline_ms: u64,
}

impl App {
    /// Sets up what all invocations share. Without a usable URL and key the API is never called.
    pub fn new(config: Config) -> Self {
        let api = config.api.as_ref().and_then(|access| {
            Client::new(&access.url, &access.key)
                .inspect_err(|error| tracing::error!(%error, "the API client could not be built"))
                .ok()
        });
        Self { config, api }
    }

    /// Opens the connection to the API ahead of the first call, bounded; a failure is the first call's to handle.
    pub async fn open_first_connection(&self) {
        if let Some(api) = &self.api {
            api.open_first_connection().await;
        }
    }

    /// Answers one event, whatever it holds, within the budget and without an error; logs one line about it.
    pub async fn answer(&self, payload: &str, invocation: Invocation<'_>) -> Attributes {
        // The guard inside looks after the handlers; this looks after everything around them. Should even the simplest
        // fallback panic, an empty object is still an answer that Connect takes.
        let answer = AssertUnwindSafe(self.answer_event(payload, invocation)).catch_unwind().await;
        answer.unwrap_or_else(|_panic| {
            let action = self.config.action.unwrap_or(Action::StartCall);
            let fallback = || self.fallback(action, None, Reason::Internal, Timestamp::now()).attributes;
            catch_unwind(AssertUnwindSafe(fallback)).unwrap_or_default()
        })
    }

    async fn answer_event(&self, payload: &str, invocation: Invocation<'_>) -> Attributes {
        let budget = Budget::start(self.config.timeout, time_left(invocation.deadline_ms, SystemTime::now()));
        let now = Timestamp::now();
        let (action, contact) = match route(payload, self.config.action) {
            Route::Flow(action, contact) => (action, Some(contact)),
            Route::Unknown(action) => (action, None),
        };
        let contact = contact.as_ref();
        let work = self.handle(action, contact, budget.deadline(), now);
        let answer = guard(budget.deadline(), work, |reason| {
            // What made the handler panic may do so again here.
            catch_unwind(AssertUnwindSafe(|| self.fallback(action, contact, reason, now)))
                .unwrap_or_else(|_panic| self.fallback(action, None, reason, now))
        })
        .await;
        // A finished answer is not given up for a log line.
        let _ = catch_unwind(AssertUnwindSafe(|| log(action, contact, invocation, &answer, &budget)));
        answer.attributes
    }

    async fn handle(&self, action: Action, contact: Option<&Contact<'_>>, deadline: Instant, now: Timestamp) -> Answer {
        let api = self.api.as_ref();
        match (action, contact) {
            (Action::StartCall, Some(contact)) => start_call::handle(contact, &self.config, api, deadline, now).await,
            (Action::EndCall, Some(contact)) => end_call::handle(contact, &self.config, api, deadline, now).await,
            (action, None) => self.fallback(action, None, Reason::InvalidEvent, now),
        }
    }

    fn fallback(&self, action: Action, contact: Option<&Contact<'_>>, reason: Reason, now: Timestamp) -> Answer {
        match action {
            Action::StartCall => start_call::fallback(contact, &self.config, reason, now),
            Action::EndCall => end_call::fallback(contact, reason),
        }
    }
}

/// Runs `work` so that it has an answer by `deadline` even where it hangs, and an answer where it panics.
async fn guard(deadline: Instant, work: impl Future<Output = Answer>, fallback: impl Fn(Reason) -> Answer) -> Answer {
    match timeout_at(deadline, AssertUnwindSafe(work).catch_unwind()).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(_panic)) => fallback(Reason::Internal),
        Err(_elapsed) => fallback(Reason::Timeout),
    }
}

/// The one line that every invocation leaves; what it may hold is said in `logging`.
fn log(action: Action, contact: Option<&Contact<'_>>, invocation: Invocation<'_>, answer: &Answer, budget: &Budget) {
    macro_rules! line {
        ($level:ident) => {
            tracing::$level!(
                request_id = invocation.request_id,
                contact_id = contact.and_then(Contact::contact_id),
                handler = action.name(),
                outcome = answer.outcome,
                reason = answer.reason.map(Reason::code),
                detail = answer.detail,
                attempts = answer.effort.map_or(0, |effort| effort.attempts),
                api_ms = answer.effort.map(|effort| milliseconds(effort.latency)),
                total_ms = milliseconds(budget.spent()),
                caller_ends_in = contact.and_then(Contact::customer_number).as_ref().map(PhoneNumber::last_two_digits),
                "answered"
            )
        };
    }
    match answer.severity {
        Severity::Info => line!(info),
        Severity::Warn => line!(warn),
        Severity::Error => line!(error),
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert_eq!(guard(in_one_second(), before_waiting, fallback).await.reason, Some(Reason::Internal));
        assert_eq!(guard(in_one_second(), after_waiting, fallback).await.reason, Some(Reason::Internal));
    }

    #[tokio::test(start_paused = true)]
    async fn a_handler_that_hangs_gives_the_flow_its_fallback_at_the_deadline() {
        let began = Instant::now();
        let answer = guard(in_one_second(), std::future::pending(), fallback).await;
        assert_eq!(answer.reason, Some(Reason::Timeout));
        assert_eq!(began.elapsed(), Duration::from_secs(1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_handler_that_is_done_at_once_is_heard_even_where_no_time_is_left() {
        let answer = guard(Instant::now(), async { fallback(Reason::NoIdentity) }, fallback).await;
        assert_eq!(answer.reason, Some(Reason::NoIdentity));
    }
}
