//! Delivers a summary: to the API, and if that fails to the outbox. A summary that neither has is reported as `failed`.
//!
//! Words are never refused. The API takes one end for each `call_id`. Words that come later are sent as a standalone
//! end. A 409 to the standalone end means that the API has these very words; a 409 to the call's own end does not.

use std::fmt::Display;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use futures_util::future::join;
use jiff::Timestamp;
use tokio::time::Instant;

use crate::aws::{self, Pending};
use crate::budget::{self, SaveDeadlines};
use crate::services::{Cache, Chosen, Facts, Known, Outbox, Services, WordsState};
use crate::sticky_calls::{ApiKey, Attempts, Call, CustomerRef, EndAnswer, EndRequest};
use crate::summary::{DEFAULT_INTENT, Newest, Summary};
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
    /// The API had it before: these very words, or an end of the call if the summary has no words.
    SavedBefore(Option<Reason>),
    /// It was not delivered, for this reason. The outbox has it.
    Queued(Reason),
    /// It has no words. It waits in the outbox, because somebody may be writing some.
    Deferred,
    /// It is not saved: the customer has opted out, a newer call has the same intent, or it is Contact Lens' summary and
    /// somebody has typed words.
    Skipped(Option<Reason>),
    /// Neither the API nor the outbox has it.
    Failed(Reason),
}

impl Delivery {
    /// A delivery for which the API was not asked.
    pub fn of(outcome: Outcome) -> Self {
        Self { outcome, attempts: None, detail: None }
    }

    /// A delivery that stopped because the table did not answer.
    pub fn failed_by_the_table(error: &aws::Error) -> Self {
        let detail = Some(format!("the table: {error}"));
        Self { detail, ..Self::of(Outcome::Failed(error.reason())) }
    }

    /// Whether nothing is left to do: the summary is delivered, enqueued or skipped.
    pub fn is_done(&self) -> bool {
        !matches!(self.outcome, Outcome::Failed(_))
    }

    /// Whether the API or the outbox has the words.
    pub fn keeps_words(&self) -> bool {
        matches!(self.outcome, Outcome::Saved | Outcome::SavedBefore(_) | Outcome::Queued(_))
    }

    /// The report for log and metrics.
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

/// Delivers a summary to the API, or else to the outbox. While the circuit breaker is open, the outbox is tried first;
/// if it fails, the API is asked although the circuit breaker is open.
///
/// A batch passes the customer's `newest` call in it, and the `turn` that the summary waits for before it is enqueued.
pub async fn to_api_or_outbox(
    summary: &Summary,
    newest: Option<&Newest>,
    services: &Services,
    deadlines: SaveDeadlines,
    turn: &Turn<'_>,
) -> Delivery {
    let (key, known) = match look_up(summary, newest, services, deadlines.api).await {
        Ok(found) => found,
        Err(error) => return without_the_table(summary, error, services, deadlines, turn).await,
    };
    if let Some(outcome) = settled(&known) {
        return Delivery::of(outcome);
    }
    if let Some(WordsState::Queued(reason)) = known.words {
        return Delivery::of(Outcome::Queued(reason));
    }
    let work = Work { summary, request: request(summary, &known), services, key, deadlines };
    let Some(outbox) = &services.outbox else { return work.ask_api(Asking::Regardless).await };
    let mut unfinished = None;
    let mut delivery = work.ask_api(Asking::UnlessOpen).await;
    if let Outcome::Failed(reason @ Reason::CircuitOpen) = delivery.outcome {
        if work.queue(outbox, reason, &mut unfinished, short_deadline, turn).await.is_ok() {
            return Delivery { outcome: Outcome::Queued(reason), ..delivery };
        }
        delivery = work.ask_api(Asking::Regardless).await;
    }
    let Outcome::Failed(reason) = delivery.outcome else { return delivery };
    work.queue_undelivered(outbox, reason, unfinished, delivery, turn).await
}

/// Contact Lens' summary goes to the outbox if the table is down: only the table knows whether it is to be sent.
async fn without_the_table(
    summary: &Summary,
    error: aws::Error,
    services: &Services,
    deadlines: SaveDeadlines,
    turn: &Turn<'_>,
) -> Delivery {
    let delivery = Delivery::failed_by_the_table(&error);
    let Some(outbox) = &services.outbox else { return delivery };
    let work = Work { summary, request: summary.request.clone(), services, key: None, deadlines };
    work.queue_undelivered(outbox, error.reason(), None, delivery, turn).await
}

/// What has become of a summary by what is known, if nothing is left to do for it.
fn settled(known: &Known) -> Option<Outcome> {
    match known.words {
        _ if known.is_opted_out => Some(Outcome::Skipped(Some(Reason::OptedOut))),
        Some(WordsState::Taken) => Some(Outcome::SavedBefore(None)),
        None if known.has_typed_words => Some(Outcome::Skipped(None)),
        Some(WordsState::Queued(_)) | None => None,
    }
}

/// The request to the API, adapted to what is known: a status that somebody has chosen about this call, and a newer call.
fn request(summary: &Summary, known: &Known) -> EndRequest {
    let mut summary = summary.clone();
    if let Some(Chosen { intent, intent_status }) = &known.chosen_status {
        summary.request.intent_status = *intent_status;
        if intent != DEFAULT_INTENT {
            summary.request.intent.clone_from(intent);
        }
    }
    match known.newest.as_ref().filter(|newest| summary.is_older_than(newest)) {
        Some(newer) => summary.as_earlier_issue(newer),
        None => summary.request,
    }
}

/// Defers a summary without words, because somebody may still be writing some. The API takes one end for each
/// `call_id`, and the words should be that end. The outbox delivers the summary later; if the words are saved by then,
/// the API answers 409 and nothing is lost. Without an outbox, or if it fails, the summary is delivered now.
pub async fn defer(summary: &Summary, services: &Services, deadlines: SaveDeadlines, turn: &Turn<'_>) -> Delivery {
    if let Some(outbox) = &services.outbox
        && turn.comes().await
        && outbox.defer(summary, short_deadline(deadlines)).await.is_ok()
    {
        return Delivery::of(Outcome::Deferred);
    }
    to_api_or_outbox(summary, None, services, deadlines, turn).await
}

/// Delivers a summary from the outbox to the API, even if the circuit breaker is open. `newest` is the customer's
/// newest call in the batch.
pub async fn from_outbox(
    summary: &Summary,
    newest: Option<&Newest>,
    services: &Services,
    deadlines: SaveDeadlines,
) -> Delivery {
    let (key, known) = match look_up(summary, newest, services, deadlines.api).await {
        Ok(found) => found,
        Err(error) => return Delivery::failed_by_the_table(&error),
    };
    // `Queued` needs no check: the queued words are these.
    if let Some(outcome) = settled(&known) {
        return Delivery::of(outcome);
    }
    let newer = known.newest.as_ref().filter(|newest| summary.is_older_than(newest));
    if newer.is_some_and(|newer| summary.adds_nothing_to(newer)) {
        return Delivery::of(Outcome::Skipped(None));
    }
    let request = request(summary, &known);
    Work { summary, request, services, key, deadlines }.ask_api(Asking::Regardless).await
}

/// Writes facts to the table before `deadline`. Returns whether nothing is left to do.
pub async fn note_facts(facts: &Facts, services: &Services, deadline: Instant) -> bool {
    let Some(ledger) = services.ledger.as_ref().filter(|_| !facts.is_empty()) else { return true };
    let Err(error) = ledger.note_facts(facts, deadline).await else { return true };
    let what = "an opt-out, or what is known of a call that Contact Lens may summarise, was not written to the table";
    services.metrics.degraded(Degradation::TableWrite, None, Some(&error), what);
    false
}

/// Enqueues facts that the table did not take, before `deadline`. Returns whether the outbox has them.
pub async fn enqueue_facts(facts: &Facts, services: &Services, deadline: Instant) -> bool {
    let Some(outbox) = services.outbox.as_ref().filter(|_| !facts.is_empty()) else { return facts.is_empty() };
    let enqueued = outbox.enqueue_facts(facts, Timestamp::now(), deadline).await;
    // The table's failure is counted.
    let _ = enqueued.as_ref().inspect_err(|error| tracing::warn!(detail = %error, "the outbox did not take it either"));
    enqueued.is_ok()
}

/// Writes facts to the table, or else enqueues them: each in the table's share of a flow's time, and before `deadline`.
pub async fn note_or_enqueue_facts(facts: &Facts, services: &Services, deadline: Instant) {
    if !note_facts(facts, services, deadline.min(Instant::now() + budget::TABLE)).await {
        enqueue_facts(facts, services, deadline.min(Instant::now() + budget::TABLE)).await;
    }
}

/// The API's key, and what the ledger and the batch know about a summary. A ledger that does not answer in its share of
/// time counts as empty. But Contact Lens' summary is not sent before the ledger has answered.
async fn look_up(
    summary: &Summary,
    newest: Option<&Newest>,
    services: &Services,
    deadline: Instant,
) -> Result<(Option<ApiKey>, Known), aws::Error> {
    let Some(ledger) = &services.ledger else { return Ok((None, Known::default())) };
    let key = match &services.api {
        Some(api) => api.keys.current(deadline).await.ok(),
        None => None,
    };
    let is_by_contact_lens = summary.summarised_contact.is_some();
    let share = if is_by_contact_lens { budget::PAIRING } else { budget::TABLE };
    let mut known = match ledger.look_up(summary, key.as_ref(), deadline.min(Instant::now() + share)).await {
        Ok(known) => known,
        Err(error) => {
            let what = match is_by_contact_lens {
                true => "the table was not read, so Contact Lens' summary has to wait",
                false => "the table was not read, and counts as empty",
            };
            degraded(Degradation::TableRead, summary, services, &error, what);
            if is_by_contact_lens {
                return Err(error);
            }
            Known::default()
        }
    };
    // The entry of this call itself does not count: a batch delivers one call's words one after the other.
    let in_batch = newest.filter(|newest| newest.call_id != summary.request.call_id);
    let both = known.newest.into_iter().chain(in_batch.cloned());
    known.newest = both.max_by_key(|newest| (newest.started_ms, newest.came_ms));
    Ok((key, known))
}

/// How long to wait for the outbox if it is tried first: a short time, and at most half of the API's, so that a queue
/// that hangs leaves time for the API. If hardly any time is left for the API, the outbox gets all of it.
fn short_deadline(deadlines: SaveDeadlines) -> Instant {
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

/// What came of sending a summary.
enum Sent {
    /// The API has answered, or could not be reached.
    Answered(Call<EndAnswer>),
    /// It is not to be sent any more.
    Withdrawn(Delivery),
    /// The API is not configured.
    Nowhere,
}

/// The delivery of one summary.
struct Work<'a> {
    summary: &'a Summary,
    /// The request to the API, adapted to what is known.
    request: EndRequest,
    services: &'a Services,
    /// For the table's keyed hashes.
    key: Option<ApiKey>,
    deadlines: SaveDeadlines,
}

impl Work<'_> {
    async fn ask_api(&self, asking: Asking) -> Delivery {
        let failed = |reason, attempts, detail| Delivery { outcome: Outcome::Failed(reason), attempts, detail };
        // After a panic here the summary must still get to the outbox.
        let sent = AssertUnwindSafe(self.end_call(asking)).catch_unwind().await;
        let Ok(sent) = sent else { return failed(Reason::Internal, None, None) };
        let Call { result, attempts } = match sent {
            Sent::Answered(call) => call,
            Sent::Withdrawn(delivery) => return delivery,
            Sent::Nowhere => return failed(Reason::Misconfigured, None, None),
        };
        let (outcome, customer_ref) = match result {
            Ok(EndAnswer { customer_ref }) => (Outcome::Saved, customer_ref),
            Err(error) if error.reason() == Reason::Conflict => (Outcome::SavedBefore(Some(Reason::Conflict)), None),
            Err(error) => return failed(error.reason(), Some(attempts), Some(error.to_string())),
        };
        self.note(WordsState::Taken, customer_ref.as_ref()).await;
        Delivery { outcome, attempts: Some(attempts), detail: None }
    }

    /// Sends the end of the call. If the API already has one and the summary has words, sends them as a standalone end.
    /// If the call goes on, sends the words as a standalone end at once.
    async fn end_call(&self, asking: Asking) -> Sent {
        let SaveDeadlines { api, second_request, all } = self.deadlines;
        let standalone = self.summary.standalone(&self.request);
        if let Some(standalone) = standalone.as_ref().filter(|_| !self.summary.may_end_call) {
            return self.send(standalone, asking, api).await.map_or(Sent::Nowhere, Sent::Answered);
        }
        let Some(first) = self.send(&self.request, asking, api).await else { return Sent::Nowhere };
        let is_refused = matches!(&first.result, Err(error) if error.reason() == Reason::Conflict);
        let Some(standalone) = standalone.filter(|_| is_refused) else { return Sent::Answered(first) };
        let deadline = (api + second_request).min(all);
        if self.summary.summarised_contact.is_some()
            && let Some(delivery) = self.withdrawn(first.attempts, deadline).await
        {
            return Sent::Withdrawn(delivery);
        }
        let Some(second) = self.send(&standalone, asking, deadline).await else { return Sent::Nowhere };
        Sent::Answered(Call { result: second.result, attempts: first.attempts + second.attempts })
    }

    /// What has become of Contact Lens' summary if it is not to be sent any more: somebody may have ended the call with
    /// typed words while the API was asked.
    async fn withdrawn(&self, attempts: Attempts, deadline: Instant) -> Option<Delivery> {
        let delivery = match look_up(self.summary, None, self.services, deadline).await {
            Ok((_, known)) => Delivery { attempts: Some(attempts), ..Delivery::of(settled(&known)?) },
            Err(error) => Delivery::failed_by_the_table(&error),
        };
        Some(delivery)
    }

    async fn send(&self, request: &EndRequest, asking: Asking, deadline: Instant) -> Option<Call<EndAnswer>> {
        let api = self.services.api.as_ref()?;
        Some(match asking {
            Asking::UnlessOpen => api.end_call(request, deadline).await,
            Asking::Regardless => api.end_call_regardless(request, deadline).await,
        })
    }

    /// Enqueues what was not delivered for this reason, and returns what became of it.
    async fn queue_undelivered(
        &self,
        outbox: &Outbox,
        reason: Reason,
        mut unfinished: Option<Pending<()>>,
        delivery: Delivery,
        turn: &Turn<'_>,
    ) -> Delivery {
        match self.queue(outbox, reason, &mut unfinished, |deadlines| deadlines.all, turn).await {
            Ok(()) => Delivery { outcome: Outcome::Queued(reason), ..delivery },
            Err(error) => {
                let undelivered = match (&delivery.detail, &delivery.attempts) {
                    (Some(of_the_table), None) => of_the_table.clone(),
                    (detail, _) => format!("the API: {}", detail.as_deref().unwrap_or(reason.as_str())),
                };
                let detail = Some(format!("{undelivered}; the outbox: {error}"));
                Delivery { outcome: Outcome::Failed(Reason::OutboxUnavailable), detail, ..delivery }
            }
        }
    }

    /// Waits for the summary's turn, enqueues it, and waits for SQS until `deadline`. If SQS is late, the request goes on
    /// and is left in `unfinished`: the next call waits for it instead of sending a second one.
    async fn queue(
        &self,
        outbox: &Outbox,
        reason: Reason,
        unfinished: &mut Option<Pending<()>>,
        deadline: fn(SaveDeadlines) -> Instant,
        turn: &Turn<'_>,
    ) -> Result<(), aws::Error> {
        if !turn.comes().await {
            return Err(aws::Error::InvalidResponse {
                detail: "not asked, because an earlier item of the batch failed",
            });
        }
        let mut sending = match unfinished.take() {
            Some(sending) => sending,
            None => outbox.enqueue(self.summary, reason, self.deadlines.all)?,
        };
        match sending.wait(deadline(self.deadlines)).await {
            Some(result) => result?,
            None => {
                *unfinished = Some(sending);
                return Err(aws::Error::Timeout);
            }
        }
        self.note(WordsState::Queued(reason), None).await;
        Ok(())
    }

    /// Writes to the table that the words are safe, and the tombstones that invalidate the customer's cached answers.
    /// `customer_ref` is the reference in the API's answer. This takes at most [`budget::TABLE`], and as much again if
    /// the tombstones have to be enqueued. A failure does not change the save's outcome.
    async fn note(&self, state: WordsState, customer_ref: Option<&CustomerRef>) {
        let deadline = self.deadlines.all.min(Instant::now() + budget::TABLE);
        let words = async {
            let Some(ledger) = &self.services.ledger else { return };
            let noted = ledger.note_words(self.summary, state, customer_ref, self.key().as_ref(), deadline).await;
            if let Err(error) = noted {
                let what = "the table does not know that these words are safe: they may be sent to the API twice";
                degraded(Degradation::TableWrite, self.summary, self.services, &error, what);
                if self.services.config.contact_lens {
                    let deadline = self.deadlines.all.min(Instant::now() + budget::TABLE);
                    enqueue_facts(&Facts::of_words(self.summary), self.services, deadline).await;
                }
            }
        };
        join(words, self.invalidate_cache(customer_ref, deadline)).await;
    }

    async fn invalidate_cache(&self, customer_ref: Option<&CustomerRef>, deadline: Instant) {
        let Some(cache) = &self.services.cache else { return };
        let tombstones = Cache::tombstones(&self.summary.request, customer_ref, self.key().as_ref());
        let Err(error) = cache.write_tombstones(&tombstones, deadline).await else { return };
        let what = "the cache may hold what was known before this save";
        degraded(Degradation::CacheInvalidation, self.summary, self.services, &error, what);
        let Some(outbox) = &self.services.outbox else { return };
        let deadline = self.deadlines.all.min(Instant::now() + budget::TABLE);
        if let Err(error) = outbox.enqueue_tombstones(&tombstones, Timestamp::now(), deadline).await {
            // Counted above.
            let contact_id = self.summary.contact_id.as_deref();
            tracing::warn!(contact_id, detail = %error, "the outbox did not take the tombstones either");
        }
    }

    /// The API's key. It may have been read since the delivery began.
    fn key(&self) -> Option<ApiKey> {
        self.services.api.as_ref().and_then(|api| api.keys.known()).or_else(|| self.key.clone())
    }
}

/// Counts and logs a degradation of a save.
fn degraded(degradation: Degradation, summary: &Summary, services: &Services, error: &aws::Error, what: impl Display) {
    services.metrics.degraded(degradation, summary.contact_id.as_deref(), Some(error), what);
}
