//! A summary's way: to the API, and where that fails to the outbox. What is never to happen is that it is neither.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use futures_util::future::join;
use tokio::time::Instant;

use crate::answer::{Report, Severity};
use crate::aws;
use crate::budget::{self, SaveDeadlines};
use crate::fault::Fault;
use crate::outbox::Outbox;
use crate::reason::Reason;
use crate::services::Services;
use crate::sticky_calls::Effort;
use crate::summary::Summary;

/// What became of a summary.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Where it is now.
    pub outcome: Outcome,
    /// What the call to the API took, where it was called.
    pub effort: Option<Effort>,
    /// What the API or the outbox said, beyond the reason.
    pub detail: Option<String>,
}

/// Where a summary is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The API took it.
    Saved,
    /// The API had an end of this call before: a repeated block, or another flow of the same call.
    SavedBefore,
    /// The API did not take it, for this reason, and the outbox did.
    Queued(Reason),
    /// The API has not been asked yet, and the outbox has it.
    Deferred,
    /// Nobody took it.
    Failed(Reason),
}

impl Delivery {
    /// Whether the summary is in safe hands.
    pub fn is_safe(&self) -> bool {
        !matches!(self.outcome, Outcome::Failed(_))
    }

    /// What the log says of it.
    pub fn report(self, summary: &Summary) -> Report {
        let (outcome, reason, severity) = match self.outcome {
            Outcome::Saved => ("saved", None, Severity::Info),
            // The API takes one end of a call, so what somebody wrote since then is not taken any more.
            Outcome::SavedBefore if summary.holds_text() => ("saved", Some(Reason::Conflict), Severity::Warn),
            Outcome::SavedBefore => ("saved", Some(Reason::Conflict), Severity::Info),
            Outcome::Queued(reason) if reason.needs_an_operator() => ("queued", Some(reason), Severity::Error),
            Outcome::Queued(reason) => ("queued", Some(reason), Severity::Warn),
            Outcome::Deferred => ("deferred", None, Severity::Info),
            Outcome::Failed(reason) => ("failed", Some(reason), Severity::Error),
        };
        // After a first try the text that the API has may be this very one: the answer got lost.
        let tried_before = self.effort.is_some_and(|effort| effort.attempts > 1);
        let text_is_lost = self.outcome == Outcome::SavedBefore && summary.holds_text() && !tried_before;
        let fault = text_is_lost.then_some(Fault::TextNotTaken);
        Report { effort: self.effort, fault, detail: self.detail, ..Report::new(outcome, reason, severity) }
    }
}

/// Delivers a summary to the API, or else to the outbox where there is one. While the API is down, it goes to the outbox
/// first; where there is none, or it does not take the summary, the API is asked all the same.
pub async fn to_api_or_outbox(summary: &Summary, services: &Services, deadlines: SaveDeadlines) -> Delivery {
    let Some(outbox) = &services.outbox else { return to_api(summary, services, deadlines).await };
    let mut delivery = ask_api(summary, services, deadlines, Asking::WhereItIsUp).await;
    if let Outcome::Failed(reason @ Reason::CircuitOpen) = delivery.outcome {
        if keep(outbox, summary, reason, services, soon(deadlines)).await.is_ok() {
            return Delivery { outcome: Outcome::Queued(reason), ..delivery };
        }
        delivery = to_api(summary, services, deadlines).await;
    }
    let Outcome::Failed(reason) = delivery.outcome else { return delivery };
    match keep(outbox, summary, reason, services, deadlines.all).await {
        Ok(()) => Delivery { outcome: Outcome::Queued(reason), ..delivery },
        Err(error) => {
            let api = delivery.detail.as_deref().unwrap_or(reason.code());
            let detail = Some(format!("the API: {api}; the outbox: {error}"));
            Delivery { outcome: Outcome::Failed(Reason::OutboxUnavailable), detail, ..delivery }
        }
    }
}

/// Puts a summary into the outbox, and makes void what the cache holds meanwhile.
async fn keep(
    outbox: &Outbox,
    summary: &Summary,
    reason: Reason,
    services: &Services,
    deadline: Instant,
) -> Result<(), aws::Error> {
    join(outbox.keep(summary, reason, deadline), void_cache(summary, None, services, deadline)).await.0
}

/// Until when the outbox is waited for where it goes first: short, and half of the API's time at most, so that a queue that
/// hangs leaves some for the API. Where the API has none left, the outbox has the rest.
fn soon(deadlines: SaveDeadlines) -> Instant {
    let now = Instant::now();
    if deadlines.api <= now {
        return deadlines.all;
    }
    now + budget::OUTBOX.min((deadlines.api - now) / 2)
}

/// Leaves the API's one end of this call to what an agent may still be writing: the outbox delivers the summary later, and
/// where something has been saved by then the API does not take it. Without an outbox it is delivered now.
pub async fn after_the_wrap_up(summary: &Summary, services: &Services, deadlines: SaveDeadlines) -> Delivery {
    if let Some(outbox) = &services.outbox
        && outbox.keep_until_wrapped_up(summary, soon(deadlines)).await.is_ok()
    {
        return Delivery { outcome: Outcome::Deferred, effort: None, detail: None };
    }
    to_api_or_outbox(summary, services, deadlines).await
}

/// Delivers a summary to the API alone, whether it is down or not.
pub async fn to_api(summary: &Summary, services: &Services, deadlines: SaveDeadlines) -> Delivery {
    ask_api(summary, services, deadlines, Asking::Regardless).await
}

/// Whether the API is asked while it is down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asking {
    WhereItIsUp,
    Regardless,
}

async fn ask_api(summary: &Summary, services: &Services, deadlines: SaveDeadlines, asking: Asking) -> Delivery {
    let failed = |reason, effort, detail| Delivery { outcome: Outcome::Failed(reason), effort, detail };
    let Some(api) = &services.api else { return failed(Reason::Misconfigured, None, None) };
    let call = async {
        match asking {
            Asking::WhereItIsUp => api.end_call(&summary.request, deadlines.api).await,
            Asking::Regardless => api.end_call_regardless(&summary.request, deadlines.api).await,
        }
    };
    // A panic on the way to the API must not keep the summary from the outbox.
    let call = AssertUnwindSafe(call).catch_unwind().await;
    let Ok(call) = call else { return failed(Reason::Internal, None, None) };
    let effort = Some(call.effort);
    let (outcome, named) = match call.result {
        Ok(answer) => (Outcome::Saved, answer.customer_ref),
        Err(error) if error.reason() == Reason::Conflict => (Outcome::SavedBefore, None),
        Err(error) => return failed(error.reason(), effort, Some(error.to_string())),
    };
    void_cache(summary, named.as_deref(), services, deadlines.all).await;
    Delivery { outcome, effort, detail: None }
}

/// Makes void what the cache holds for the customer of a summary. It costs a save [`budget::CACHE`] at most, and never its
/// outcome.
async fn void_cache(summary: &Summary, customer_ref: Option<&str>, services: &Services, deadline: Instant) {
    let Some(cache) = &services.cache else { return };
    let key = services.api.as_ref().and_then(|api| api.keys.known());
    let deadline = deadline.min(Instant::now() + budget::CACHE);
    if let Err(error) = cache.void(&summary.request, customer_ref, key.as_ref(), deadline).await {
        let (contact_id, fault) = (summary.contact_id.as_deref(), Fault::CacheVoid);
        services.metrics.count_fault(fault);
        tracing::warn!(contact_id, fault = fault.name(), detail = %error, "the cache may hold what was known before this save");
    }
}
