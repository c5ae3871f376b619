//! A summary's way: to the API, and if that fails to the outbox. What is never to happen is that it is neither.
//!
//! Words are never refused. The API takes one end of a `call_id`; words that come after it are sent as a standalone end of
//! their own. Only what a standalone end is answered with 409 is known to be there.

use std::fmt::Display;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use futures_util::future::join;
use jiff::Timestamp;
use tokio::time::Instant;

use crate::aws::{self, Pending};
use crate::budget::{self, SaveDeadlines};
use crate::services::{Cache, Known, Outbox, Services, WordsState};
use crate::sticky_calls::{ApiKey, Attempts, Call, CustomerRef, EndAnswer, EndRequest};
use crate::summary::{Newest, Summary};
use crate::telemetry::{Report, Severity};
use crate::turn::Turn;
use crate::vocabulary::{Degradation, Reason, SaveStatus, Status};

/// What became of a summary.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Where it is now.
    pub outcome: Outcome,
    /// The attempts at the API, if it was asked.
    pub attempts: Option<Attempts>,
    /// What the API or the outbox said, beyond the reason.
    pub detail: Option<String>,
}

/// Where a summary is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The API took it.
    Saved,
    /// It was there before: the API has these very words, or it has an end of a call about which this says nothing more.
    SavedBefore(Option<Reason>),
    /// The API did not take it, for this reason, and the outbox did.
    Queued(Reason),
    /// It holds no words, and waits in the outbox for those that somebody may be writing.
    Deferred,
    /// It is not wanted: the customer has opted out, or a newer call has said something about the same intent.
    Skipped(Option<Reason>),
    /// Nobody took it.
    Failed(Reason),
}

impl Delivery {
    fn of(outcome: Outcome) -> Self {
        Self { outcome, attempts: None, detail: None }
    }

    /// Whether the summary is in safe hands, or not wanted.
    pub fn is_done(&self) -> bool {
        !matches!(self.outcome, Outcome::Failed(_))
    }

    /// Whether the API or the outbox has the words.
    pub fn keeps_words(&self) -> bool {
        matches!(self.outcome, Outcome::Saved | Outcome::SavedBefore(_) | Outcome::Queued(_))
    }

    /// What the log says of it.
    pub fn report(self) -> Report {
        let (status, reason, severity) = match self.outcome {
            Outcome::Saved => (SaveStatus::Saved, None, Severity::Info),
            Outcome::SavedBefore(reason) => (SaveStatus::Saved, reason, Severity::Info),
            Outcome::Queued(reason) if reason.needs_an_operator() => {
                (SaveStatus::Queued, Some(reason), Severity::Error)
            }
            Outcome::Queued(reason) => (SaveStatus::Queued, Some(reason), Severity::Warn),
            Outcome::Deferred => (SaveStatus::Deferred, None, Severity::Info),
            Outcome::Skipped(reason) => (SaveStatus::Skipped, reason, Severity::Info),
            Outcome::Failed(reason) => (SaveStatus::Failed, Some(reason), Severity::Error),
        };
        Report { attempts: self.attempts, detail: self.detail, ..Report::new(Status::Save(status), reason, severity) }
    }
}

/// Delivers a summary to the API, or else to the outbox. While the circuit breaker is open the outbox goes first; if that
/// refuses the summary, the API is asked all the same. A batch passes the `newest` call of the customer that it holds, and the `turn` of
/// this summary to be sent to the outbox.
pub async fn to_api_or_outbox(
    summary: &Summary,
    newest: Option<&Newest>,
    services: &Services,
    deadlines: SaveDeadlines,
    turn: &Turn<'_>,
) -> Delivery {
    let (key, known) = look(summary, newest, services, deadlines.api).await;
    if known.is_opted_out {
        return Delivery::of(Outcome::Skipped(Some(Reason::OptedOut)));
    }
    match known.words {
        Some(WordsState::Taken) => return Delivery::of(Outcome::SavedBefore(None)),
        Some(WordsState::Queued(reason)) => return Delivery::of(Outcome::Queued(reason)),
        None => {}
    }
    let newer = known.newest.filter(|newest| summary.is_older_than(newest));
    let request = newer.map_or_else(|| summary.request.clone(), |newer| summary.beside(&newer));
    let work = Work { summary, request, services, key, deadlines };
    let Some(outbox) = &services.outbox else { return work.ask_api(Asking::Regardless).await };
    let mut begun = None;
    let mut delivery = work.ask_api(Asking::UnlessOpen).await;
    if let Outcome::Failed(reason @ Reason::CircuitOpen) = delivery.outcome {
        if work.queue(outbox, reason, &mut begun, soon, turn).await.is_ok() {
            return Delivery { outcome: Outcome::Queued(reason), ..delivery };
        }
        delivery = work.ask_api(Asking::Regardless).await;
    }
    let Outcome::Failed(reason) = delivery.outcome else { return delivery };
    match work.queue(outbox, reason, &mut begun, |deadlines| deadlines.all, turn).await {
        Ok(()) => Delivery { outcome: Outcome::Queued(reason), ..delivery },
        Err(error) => {
            let api = delivery.detail.as_deref().unwrap_or(reason.as_str());
            let detail = Some(format!("the API: {api}; the outbox: {error}"));
            Delivery { outcome: Outcome::Failed(Reason::OutboxUnavailable), detail, ..delivery }
        }
    }
}

/// Leaves the API's one end of this call to words that somebody may still be writing: the outbox delivers the summary later,
/// and if words have been saved by then it does no harm. Without an outbox, or if that refuses it, it is delivered now.
pub async fn after_the_words(
    summary: &Summary,
    services: &Services,
    deadlines: SaveDeadlines,
    turn: &Turn<'_>,
) -> Delivery {
    if let Some(outbox) = &services.outbox
        && turn.comes().await
        && outbox.defer(summary, soon(deadlines)).await.is_ok()
    {
        return Delivery::of(Outcome::Deferred);
    }
    to_api_or_outbox(summary, None, services, deadlines, turn).await
}

/// Delivers a summary that the outbox holds to the API, whether the circuit breaker is open or not. `newest` is the newest call of the
/// customer that the batch holds.
pub async fn from_outbox(
    summary: &Summary,
    newest: Option<&Newest>,
    services: &Services,
    deadlines: SaveDeadlines,
) -> Delivery {
    let (key, known) = look(summary, newest, services, deadlines.api).await;
    if known.is_opted_out {
        return Delivery::of(Outcome::Skipped(Some(Reason::OptedOut)));
    }
    // Words that are queued are these.
    if known.words == Some(WordsState::Taken) {
        return Delivery::of(Outcome::SavedBefore(None));
    }
    let newer = known.newest.filter(|newest| summary.is_older_than(newest));
    if newer.as_ref().is_some_and(|newer| summary.says_nothing_beside(newer)) {
        return Delivery::of(Outcome::Skipped(None));
    }
    let request = newer.map_or_else(|| summary.request.clone(), |newer| summary.beside(&newer));
    Work { summary, request, services, key, deadlines }.ask_api(Asking::Regardless).await
}

/// Leaves in the table, before `deadline`, that the customers have opted out in these calls, for what still waits of them in
/// the outbox.
pub async fn note_opt_outs(call_ids: &[String], services: &Services, deadline: Instant) {
    let Some(ledger) = services.ledger.as_ref().filter(|_| !call_ids.is_empty()) else { return };
    if let Err(error) = ledger.note_opt_outs(call_ids, deadline).await {
        let what = "an opt-out was not left in the table";
        services.metrics.degraded(Degradation::TableWrite, None, Some(&error), what);
    }
}

/// The API's key, and what is known of a summary: by the ledger, and by the batch that it came in. If the ledger does not
/// answer in its share of time it counts as empty.
async fn look(
    summary: &Summary,
    newest: Option<&Newest>,
    services: &Services,
    deadline: Instant,
) -> (Option<ApiKey>, Known) {
    let Some(ledger) = &services.ledger else { return (None, Known::default()) };
    let key = match &services.api {
        Some(api) => api.keys.current(deadline).await.ok(),
        None => None,
    };
    let deadline = deadline.min(Instant::now() + budget::TABLE);
    let mut known = ledger.look(summary, key.as_ref(), deadline).await.unwrap_or_else(|error| {
        degraded(Degradation::TableRead, summary, services, &error, "the table was not read, and counts as empty");
        Known::default()
    });
    // One call's words follow one another in the batch; that it holds later ones makes none of them older.
    let in_batch = newest.filter(|newest| newest.call_id != summary.request.call_id);
    let both = known.newest.into_iter().chain(in_batch.cloned());
    known.newest = both.max_by_key(|newest| (newest.started_ms, newest.came_ms));
    (key, known)
}

/// Until when the outbox is waited for if it goes first: short, and half of the API's time at most, so that a queue that
/// hangs leaves some for the API. If the API has hardly any left, the outbox has the rest.
fn soon(deadlines: SaveDeadlines) -> Instant {
    let now = Instant::now();
    let share = budget::OUTBOX.min(deadlines.api.saturating_duration_since(now) / 2);
    if share < budget::LEAST_FOR_THE_OUTBOX { deadlines.all } else { now + share }
}

/// Whether the API is asked while the circuit breaker is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asking {
    UnlessOpen,
    Regardless,
}

/// A summary on its way.
struct Work<'a> {
    summary: &'a Summary,
    /// What the API is told of it, given what is known.
    request: EndRequest,
    services: &'a Services,
    /// For the table's keyed hashes.
    key: Option<ApiKey>,
    deadlines: SaveDeadlines,
}

impl Work<'_> {
    async fn ask_api(&self, asking: Asking) -> Delivery {
        let failed = |reason, attempts, detail| Delivery { outcome: Outcome::Failed(reason), attempts, detail };
        // A panic on the way to the API must not keep the summary from the outbox.
        let call = AssertUnwindSafe(self.end_call(asking)).catch_unwind().await;
        let Ok(call) = call else { return failed(Reason::Internal, None, None) };
        let Some(Call { result, attempts }) = call else { return failed(Reason::Misconfigured, None, None) };
        let (outcome, customer_ref) = match result {
            Ok(EndAnswer { customer_ref }) => (Outcome::Saved, customer_ref),
            Err(error) if error.reason() == Reason::Conflict => (Outcome::SavedBefore(Some(Reason::Conflict)), None),
            Err(error) => return failed(error.reason(), Some(attempts), Some(error.to_string())),
        };
        self.note(WordsState::Taken, customer_ref.as_ref()).await;
        Delivery { outcome, attempts: Some(attempts), detail: None }
    }

    /// Sends the end of the call, and if the API has one and there are words in this, sends them as an end of their own.
    /// `None` if the API is not configured.
    async fn end_call(&self, asking: Asking) -> Option<Call<EndAnswer>> {
        let SaveDeadlines { api, second_request, all } = self.deadlines;
        let first = self.send(&self.request, asking, api).await?;
        let is_refused = matches!(&first.result, Err(error) if error.reason() == Reason::Conflict);
        match self.summary.standalone(&self.request).filter(|_| is_refused) {
            Some(standalone) => {
                let deadline = (api + second_request).min(all);
                let second = self.send(&standalone, asking, deadline).await?;
                Some(Call { result: second.result, attempts: first.attempts + second.attempts })
            }
            None => Some(first),
        }
    }

    async fn send(&self, request: &EndRequest, asking: Asking, deadline: Instant) -> Option<Call<EndAnswer>> {
        let api = self.services.api.as_ref()?;
        Some(match asking {
            Asking::UnlessOpen => api.end_call(request, deadline).await,
            Asking::Regardless => api.end_call_regardless(request, deadline).await,
        })
    }

    /// Puts the summary into the outbox when it is its turn, from when on that is waited for until `deadline`. What has
    /// `begun` and is not over then goes on, and is waited for the next time.
    async fn queue(
        &self,
        outbox: &Outbox,
        reason: Reason,
        begun: &mut Option<Pending<()>>,
        deadline: fn(SaveDeadlines) -> Instant,
        turn: &Turn<'_>,
    ) -> Result<(), aws::Error> {
        if !turn.comes().await {
            return Err(aws::Error::InvalidResponse { detail: "not asked, since it refused what came before" });
        }
        let mut sending = match begun.take() {
            Some(sending) => sending,
            None => outbox.enqueue(self.summary, reason, self.deadlines.all)?,
        };
        match sending.wait(deadline(self.deadlines)).await {
            Some(result) => result?,
            None => {
                *begun = Some(sending);
                return Err(aws::Error::Timeout);
            }
        }
        self.note(WordsState::Queued(reason), None).await;
        Ok(())
    }

    /// Leaves in the table that the words are safe, and tombstones for what the cache holds of the customer, of whom the API
    /// may have named a `customer_ref`. It costs a save [`budget::TABLE`] at most, as much again if the
    /// outbox has to deliver the tombstones, and never its outcome.
    async fn note(&self, state: WordsState, customer_ref: Option<&CustomerRef>) {
        let deadline = self.deadlines.all.min(Instant::now() + budget::TABLE);
        let words = async {
            let Some(ledger) = &self.services.ledger else { return };
            let noted = ledger.note_words(self.summary, state, customer_ref, self.key().as_ref(), deadline).await;
            if let Err(error) = noted {
                let what = "the table does not know that these words are safe: they may be taken twice";
                degraded(Degradation::TableWrite, self.summary, self.services, &error, what);
            }
        };
        join(words, self.invalidate_cache(customer_ref, deadline)).await;
    }

    async fn invalidate_cache(&self, customer_ref: Option<&CustomerRef>, deadline: Instant) {
        let Some(cache) = &self.services.cache else { return };
        let tombstones = Cache::tombstones(&self.summary.request, customer_ref, self.key().as_ref());
        let Err(error) = cache.bury(&tombstones, deadline).await else { return };
        let what = "the cache may hold what was known before this save";
        degraded(Degradation::CacheInvalidation, self.summary, self.services, &error, what);
        let Some(outbox) = &self.services.outbox else { return };
        let deadline = self.deadlines.all.min(Instant::now() + budget::TABLE);
        if let Err(error) = outbox.enqueue_tombstones(&tombstones, Timestamp::now(), deadline).await {
            let what = "the outbox does not deliver what invalidates the cache either";
            degraded(Degradation::CacheInvalidation, self.summary, self.services, &error, what);
        }
    }

    /// The API's key: it may have come after the first look.
    fn key(&self) -> Option<ApiKey> {
        self.services.api.as_ref().and_then(|api| api.keys.known()).or_else(|| self.key.clone())
    }
}

/// Counts and logs what went wrong beside a summary.
fn degraded(degradation: Degradation, summary: &Summary, services: &Services, error: &aws::Error, what: impl Display) {
    services.metrics.degraded(degradation, summary.contact_id.as_deref(), Some(error), what);
}
