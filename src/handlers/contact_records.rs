//! What Connect streams about a contact after its end: its contact record, and Contact Lens' summary of it.
//!
//! A disconnect flow does not run if the caller hangs up first, and it runs before an agent has written notes. The
//! contact record comes for every contact, and after the notes. It comes at least once, and again whenever attributes
//! change. It is saved like the end of a call. Of the contacts whose records are saved, one with words is always saved,
//! and one without words only if it is the last segment's.
//!
//! If nobody typed anything about a call, Contact Lens' summary is its words. It comes before or after the contact
//! record; [`pairing`] brings the two together.

use std::collections::{BTreeMap, BTreeSet};

use aws_lambda_events::encodings::Base64Data;
use futures_util::future::join_all;
use futures_util::{StreamExt, stream};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::batch::{self, to_retry_in_order};
use super::end_call::{self, Source};
use super::newest;
use crate::budget::{self, ITEMS_AT_ONCE, SaveDeadlines};
use crate::config::{Config, Records};
use crate::connect::{Contact, ContactRecord, RecordRule, StreamRecord, SummaryOutcome, is_contact_id};
use crate::delivery::{self, Outcome};
use crate::identity;
use crate::json;
use crate::pairing::{self, Pairing};
use crate::services::{Facts, Half, Services};
use crate::summary::{Newest, Summary};
use crate::telemetry::{Report, Subject};
use crate::turn::Turn;
use crate::vocabulary::{Degradation, Handler, Metric, Reason, SummaryFailure};

/// Saves what a batch holds before `deadline`. What the API does not take goes to the outbox. If neither takes
/// something, it stops the batch: Lambda retries it and all that was not started. Returns the sequence numbers of that.
pub async fn handle(records: &[&RawValue], services: &Services, request_id: &str, deadline: Instant) -> Vec<String> {
    let half = Instant::now() + deadline.saturating_duration_since(Instant::now()) / 2;
    let Batch { mut items, unpaired, facts, .. } = Batch::read(records, services, request_id, Timestamp::now());
    let note = SaveDeadlines::of_a_record(half, deadline).api.min(Instant::now() + budget::PAIRING);
    if !delivery::note_facts(&facts.facts, services, note).await {
        items.push(facts.item());
    }
    items.extend(pairs(unpaired, services, half).await);
    let calls = calls(items, &facts.facts.typed);
    let save = async |call: &Call, turn: &Turn<'_>| {
        for item in &call.items {
            let deadlines = SaveDeadlines::of_a_record(half, deadline);
            let is_done = match &item.work {
                Work::Save(save) => save.deliver(services, request_id, deadlines, turn).await,
                Work::KeepHalves(halves) => turn.comes().await && halves.keep(services, deadlines.all).await,
                Work::KeepFacts(facts) => turn.comes().await && keep(facts, services, deadlines.all).await,
            };
            if !is_done {
                return false;
            }
        }
        true
    };
    let abandoned = |call: &Call, reason| {
        for item in &call.items {
            let report = Report::failed(reason, batch::ABANDONED.to_owned());
            services.metrics.record(&report, &subject(item.contact_id(), request_id));
        }
    };
    to_retry_in_order(calls, deadline, Call::sequence_numbers, save, abandoned).await
}

fn subject(contact_id: Option<String>, request_id: &str) -> Subject<'_> {
    Subject { contact_id, ..Subject::of_a_batch(Handler::ContactRecords, request_id) }
}

/// Something to do, from one record or from several.
struct Item {
    /// Where in the batch its first record is.
    position: i64,
    sequence_numbers: Vec<String>,
    work: Work,
}

/// What is to be done.
enum Work {
    /// To save a call.
    Save(Box<Save>),
    /// To put a summary by Contact Lens into the outbox, which the table did not take.
    KeepHalves(HalvesOfContact),
    /// To put facts into the outbox, which the table did not take.
    KeepFacts(Facts),
}

/// A call to save, from one record or from several with the same words.
struct Save {
    summary: Summary,
    /// Whether it has no words and somebody may be writing some.
    waits_for_words: bool,
    last_update: Option<Timestamp>,
    /// Its customer's newest call in the batch, among those in which somebody wrote something.
    newest: Option<Newest>,
}

/// What is at hand of a contact that Contact Lens summarises.
#[derive(Default)]
struct HalvesOfContact {
    contact_id: String,
    halves: Vec<Half>,
}

impl Item {
    fn call_id(&self) -> Option<&String> {
        match &self.work {
            Work::Save(save) => Some(&save.summary.request.call_id),
            Work::KeepHalves(_) | Work::KeepFacts(_) => None,
        }
    }

    fn contact_id(&self) -> Option<String> {
        match &self.work {
            Work::Save(save) => save.summary.contact_id.clone(),
            Work::KeepHalves(halves) => Some(halves.contact_id.clone()).filter(|id| is_contact_id(id)),
            Work::KeepFacts(_) => None,
        }
    }

    /// Whether it is to save this.
    fn saves(&self, holds: fn(&Summary) -> bool) -> bool {
        matches!(&self.work, Work::Save(save) if holds(&save.summary))
    }
}

impl Save {
    /// Delivers it. Returns whether nothing is left to do.
    async fn deliver(&self, services: &Services, request_id: &str, deadlines: SaveDeadlines, turn: &Turn<'_>) -> bool {
        let delivery = match self.waits_for_words {
            true => delivery::defer(&self.summary, services, deadlines, turn).await,
            false => delivery::to_api_or_outbox(&self.summary, self.newest.as_ref(), services, deadlines, turn).await,
        };
        let is_done = delivery.is_done();
        if let (Outcome::Skipped(_), Some(contact_id)) = (delivery.outcome, &self.summary.summarised_contact) {
            // Nobody needs the halves any more.
            let not_summarised = BTreeSet::from([contact_id.clone()]);
            let facts = Facts { not_summarised, ..Facts::default() };
            delivery::note_facts(&facts, services, deadlines.all.min(Instant::now() + budget::TABLE)).await;
        }
        services.metrics.record(&delivery.report(), &subject(self.summary.contact_id.clone(), request_id));
        is_done
    }

    /// Adds another record with the same words. The one that was updated last counts. If one of them need not wait,
    /// neither waits.
    fn add(&mut self, other: Self) {
        let waits_for_words = self.waits_for_words && other.waits_for_words;
        if other.last_update >= self.last_update {
            *self = other;
        }
        self.waits_for_words = waits_for_words;
    }
}

impl HalvesOfContact {
    /// Puts the halves into the outbox before `deadline`. Returns whether the outbox has them.
    async fn keep(&self, services: &Services, deadline: Instant) -> bool {
        let Some(outbox) = &services.outbox else { return false };
        let enqueued = outbox.enqueue_halves(&self.contact_id, &self.halves, Timestamp::now(), deadline).await;
        // The table's failure is counted.
        let _ = enqueued.as_ref().inspect_err(|error| {
            tracing::warn!(detail = %error, "the outbox did not take what Contact Lens is paired with either");
        });
        enqueued.is_ok()
    }
}

/// Puts facts into the outbox before `deadline`. Returns whether nothing is left to do. Without Contact Lens nothing is
/// sent later that they would keep back, except from the outbox itself.
async fn keep(facts: &Facts, services: &Services, deadline: Instant) -> bool {
    let is_needed = services.config.contact_lens && services.outbox.is_some();
    let deadline = if is_needed { deadline } else { deadline.min(Instant::now() + budget::PAIRING) };
    delivery::enqueue_facts(facts, services, deadline).await || !is_needed
}

/// The items of one call, in the order of the stream: they are done one after the other.
struct Call {
    items: Vec<Item>,
}

impl Call {
    fn sequence_numbers(&self) -> Vec<String> {
        self.items.iter().flat_map(|item| &item.sequence_numbers).cloned().collect()
    }
}

/// The calls of a batch, in the order of the stream. What belongs to no call that is known is a call of its own.
///
/// Contact Lens' summary is left out if something was `typed` about the call. An end without words is left out if there
/// are words that may be the end.
fn calls(mut items: Vec<Item>, typed: &BTreeSet<String>) -> Vec<Call> {
    let is_needed = |item: &Item| {
        !item.saves(|summary| summary.summarised_contact.is_some())
            || item.call_id().is_none_or(|id| !typed.contains(id))
    };
    items.retain(is_needed);
    let ends = items.iter().filter(|item| item.saves(|summary| summary.words.is_some() && summary.may_end_call));
    let ended: BTreeSet<_> = ends.filter_map(Item::call_id).cloned().collect();
    items.retain(|item| {
        item.saves(|summary| summary.words.is_some()) || item.call_id().is_none_or(|call_id| !ended.contains(call_id))
    });
    items.sort_by_key(|item| item.position);
    let saves = || {
        items.iter().filter_map(|item| match &item.work {
            Work::Save(save) => Some(&save.summary),
            Work::KeepHalves(_) | Work::KeepFacts(_) => None,
        })
    };
    let mut newest = newest::among(&saves().collect::<Vec<_>>()).into_iter();
    let mut calls: Vec<Call> = Vec::new();
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    for mut item in items {
        if let Work::Save(save) = &mut item.work {
            save.newest = newest.next().flatten();
        }
        let place = item.call_id().map_or(calls.len(), |id| *places.entry(id.clone()).or_insert(calls.len()));
        match calls.get_mut(place) {
            Some(call) => call.items.push(item),
            None => calls.push(Call { items: vec![item] }),
        }
    }
    calls
}

/// What a batch holds.
#[derive(Default)]
struct Batch {
    /// Calls to save. Records with the same words are one item.
    items: Vec<Item>,
    /// The index of each item, by its words' id; without words, by its call's id.
    places: BTreeMap<String, usize>,
    /// What may be paired, by contact id.
    unpaired: BTreeMap<String, Unpaired>,
    facts: FactsOfBatch,
}

/// What the table must know, and the records that say it.
#[derive(Default)]
struct FactsOfBatch {
    facts: Facts,
    sequence_numbers: Vec<String>,
}

impl FactsOfBatch {
    /// To put them into the outbox: after everything else, because nothing else needs them now.
    fn item(&self) -> Item {
        let (sequence_numbers, facts) = (self.sequence_numbers.clone(), self.facts.clone());
        Item { position: i64::MAX, sequence_numbers, work: Work::KeepFacts(facts) }
    }
}

/// What the batch holds of a contact that may be paired.
#[derive(Default)]
struct Unpaired {
    position: i64,
    sequence_numbers: Vec<String>,
    /// The call, if the batch holds the contact record.
    call_id: Option<String>,
    halves: Vec<Half>,
}

impl Batch {
    fn read(records: &[&RawValue], services: &Services, request_id: &str, now: Timestamp) -> Self {
        let mut batch = Self::default();
        let mut summaries = 0;
        for (position, record) in (0..).zip(records) {
            let kinesis = Kinesis::read(record);
            let text = kinesis.text();
            match StreamRecord::parse(&text) {
                Some(StreamRecord::Contact(record)) => {
                    // Within one call, words that come later in the batch must count as newer.
                    let now = now.saturating_add(SignedDuration::from_millis(position)).unwrap_or(now);
                    batch.add_record(&record, position, kinesis.sequence_number(), services, request_id, now);
                }
                Some(StreamRecord::Summary(summary)) if services.config.contact_lens => {
                    summaries += 1;
                    match summary.outcome {
                        SummaryOutcome::Completed { text, is_redacted } => {
                            let half = Half::of_summary(&text, is_redacted);
                            let number = kinesis.sequence_number();
                            batch.unpaired(summary.contact_id, position, number).halves.push(half);
                        }
                        SummaryOutcome::Failed { code } => {
                            let failure = SummaryFailure::parse(&code).unwrap_or(SummaryFailure::OtherFailure);
                            let contact_id = Some(summary.contact_id).filter(|id| is_contact_id(id));
                            services.metrics.not_summarised(failure, contact_id.as_deref());
                        }
                    }
                }
                Some(StreamRecord::Summary(_) | StreamRecord::Other) => {}
                None => {
                    let what = format!("the record {} could not be read", kinesis.sequence_number());
                    services.metrics.degraded(Degradation::Record, None, None, what);
                }
            }
        }
        if summaries > 0 {
            services.metrics.measure(Metric::ReceivedSummaries, summaries);
        }
        batch.settle();
        batch
    }

    /// Adds a record: a call to save, half of a pair, or nothing.
    fn add_record(
        &mut self,
        record: &ContactRecord<'_>,
        position: i64,
        sequence_number: String,
        services: &Services,
        request_id: &str,
        now: Timestamp,
    ) {
        let contact = record.contact();
        let summary = match identity::has_opted_out(contact) {
            true => {
                identity::check_opt_out(contact, &services.metrics);
                self.facts.facts.opted_out.extend(identity::call_id(contact));
                None
            }
            false => summary_of(record, services, request_id, now),
        };
        let Some(summary) = summary else {
            self.note_not_summarised(record, sequence_number);
            return;
        };
        let last_update = record.last_update().and_then(|text| text.parse().ok());
        if end_call::has_typed_words(&summary, contact) {
            self.facts.facts.typed.insert(summary.request.call_id.clone());
            self.note_not_summarised(record, sequence_number.clone());
        } else if services.config.contact_lens {
            let may_end_call = !record.has_next() && !contact.is_a_transfer();
            let call = Summary { may_end_call, ..summary.clone().without_words() };
            if let Some(half) = pairing::record_half(&call, last_update) {
                let unpaired = self.unpaired(record.contact_id(), position, sequence_number.clone());
                unpaired.call_id = Some(call.request.call_id);
                unpaired.halves.push(half);
            }
        }
        if is_saved_by_itself(record) && !end_call::is_marked(&summary, contact) {
            let has_text = end_call::holds_text(contact);
            // It may be a consulted colleague's record, while the call goes on.
            let waits_for_words = !has_text && contact.is_a_transfer();
            self.add_save(Save { summary, waits_for_words, last_update, newest: None }, position, sequence_number);
        }
    }

    fn note_not_summarised(&mut self, record: &ContactRecord<'_>, sequence_number: String) {
        self.facts.facts.not_summarised.insert(record.contact_id());
        self.facts.sequence_numbers.push(sequence_number);
    }

    fn add_save(&mut self, save: Save, position: i64, sequence_number: String) {
        let saved_words = save.summary.saved_words();
        let place = saved_words.unwrap_or_else(|| save.summary.request.call_id.clone());
        let same = self.places.get(&place).and_then(|place| self.items.get_mut(*place));
        match same.map(|item| (&mut item.work, &mut item.sequence_numbers)) {
            Some((Work::Save(same), sequence_numbers)) => {
                same.add(save);
                sequence_numbers.push(sequence_number);
            }
            _ => {
                self.places.insert(place, self.items.len());
                let sequence_numbers = vec![sequence_number];
                self.items.push(Item { position, sequence_numbers, work: Work::Save(Box::new(save)) });
            }
        }
    }

    fn unpaired(&mut self, contact_id: String, position: i64, sequence_number: String) -> &mut Unpaired {
        let new = || Unpaired { position, ..Unpaired::default() };
        let unpaired = self.unpaired.entry(contact_id).or_insert_with(new);
        unpaired.sequence_numbers.push(sequence_number);
        unpaired
    }

    /// Drops all items of opted-out calls, and what would be paired although somebody typed something or the customer
    /// has opted out.
    fn settle(&mut self) {
        let Facts { opted_out, typed, not_summarised } = &mut self.facts.facts;
        self.items.retain(|item| item.call_id().is_none_or(|call_id| !opted_out.contains(call_id)));
        self.unpaired.retain(|contact_id, unpaired| {
            let call_id = unpaired.call_id.as_ref();
            if call_id.is_some_and(|call_id| opted_out.contains(call_id) || typed.contains(call_id)) {
                not_summarised.insert(contact_id.clone());
            }
            !not_summarised.contains(contact_id)
        });
    }
}

/// Looks in the table for the other half of each contact: all at once, and for [`budget::PAIRING`] at most. Returns the
/// calls whose words are Contact Lens' summary, and the summaries that the table did not take.
async fn pairs(unpaired: BTreeMap<String, Unpaired>, services: &Services, half: Instant) -> Vec<Item> {
    let deadline = half.min(Instant::now() + budget::PAIRING);
    let one = async |(contact_id, unpaired): (String, Unpaired)| {
        let Unpaired { position, sequence_numbers, halves, .. } = unpaired;
        let work = match pairing::pair(&contact_id, &halves, services, deadline).await {
            Pairing::Pair(summary) => Work::Save(Box::new(Save {
                summary: *summary,
                waits_for_words: false,
                last_update: None,
                newest: None,
            })),
            Pairing::Single => return None,
            Pairing::NotLeft => Work::KeepHalves(HalvesOfContact { contact_id, halves }),
        };
        Some(Item { position, sequence_numbers, work })
    };
    let items: Vec<_> = join_all(unpaired.into_iter().map(one)).await.into_iter().flatten().collect();
    // A contact record is saved without its half. It must not wait, nor be retried, if the outbox does not take that.
    let (records, others): (Vec<_>, Vec<_>) = items
        .into_iter()
        .partition(|item| matches!(&item.work, Work::KeepHalves(kept) if !kept.halves.iter().any(Half::is_summary)));
    let deadline = half.min(Instant::now() + budget::PAIRING);
    let keep = async |item: Item| match &item.work {
        Work::KeepHalves(halves) => halves.keep(services, deadline).await,
        _ => true,
    };
    stream::iter(records).map(keep).buffer_unordered(ITEMS_AT_ONCE).count().await;
    others
}

/// Whether a record is saved without a summary by Contact Lens.
fn is_saved_by_itself(record: &ContactRecord<'_>) -> bool {
    let has_text = end_call::holds_text(record.contact());
    match record.contact().kind().record_rule() {
        RecordRule::Never => false,
        RecordRule::OnlyWithText => has_text,
        RecordRule::Always => has_text || !record.has_next(),
    }
}

/// What the API would be told about a record's call. `None` if nothing of the record is to be saved, whatever Contact
/// Lens says about it.
fn summary_of(record: &ContactRecord<'_>, services: &Services, request_id: &str, now: Timestamp) -> Option<Summary> {
    let contact = record.contact();
    let is_never_saved = contact.kind().record_rule() == RecordRule::Never;
    if is_never_saved || record.is_redacted() || contact.is_simulated() {
        return None;
    }
    let is_saved_by_itself = is_saved_by_itself(record);
    if !is_saved_by_itself && !services.config.contact_lens {
        return None;
    }
    summary(record, &services.config, now)
        .inspect_err(|reason| {
            if is_saved_by_itself {
                report_unsaved(*reason, contact, services, request_id);
            }
        })
        .ok()
}

/// Reports a call that should be saved but can't be. Most calls that are not saved are no loss: they have no words, or
/// the customer has opted out.
fn report_unsaved(reason: Reason, contact: &Contact<'_>, services: &Services, request_id: &str) {
    let contact_id = contact.contact_id();
    if reason == Reason::InvalidEvent {
        let report = Report::failed(reason, "the call's id is longer than the API takes".to_owned());
        services.metrics.record(&report, &subject(contact_id, request_id));
    } else if reason == Reason::NoIdentity && end_call::holds_text(contact) {
        let what = "a summary or notes were not saved: no customer is known";
        services.metrics.degraded(Degradation::TextNotSaved, contact_id.as_deref(), None, what);
    }
}

/// What the API is told, or why it is not told. By default only contacts that identify was asked about are saved. Any
/// `lookup_status` shows that: a caller who could not be looked up in an outage has no reference.
fn summary(record: &ContactRecord<'_>, config: &Config, now: Timestamp) -> Result<Summary, Reason> {
    let contact = record.contact();
    let has_reference = identity::known_ref(contact).is_some();
    let was_asked_about = has_reference || contact.value("lookup_status").is_some();
    if was_asked_about || config.records == Records::All {
        end_call::summary(contact, config, Source::Record(record), now)
    } else {
        Err(Reason::NoIdentity)
    }
}

/// A record's sequence number, or a blank text if it has none.
pub fn sequence_number(record: &RawValue) -> String {
    Kinesis::read(record).sequence_number()
}

/// A record of a Kinesis event. It is read in one pass, because Contact Lens may send one for every utterance.
#[derive(Deserialize)]
struct KinesisRecord<'a> {
    #[serde(borrow)]
    kinesis: Option<Kinesis<'a>>,
}

/// What Kinesis says of a record, its data included. Each value may be of any type.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Kinesis<'a> {
    #[serde(borrow)]
    sequence_number: Option<&'a RawValue>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

impl<'a> Kinesis<'a> {
    fn read(record: &'a RawValue) -> Self {
        let record: Option<KinesisRecord<'a>> = serde_json::from_str(record.get()).ok();
        record.and_then(|record| record.kinesis).unwrap_or_default()
    }

    fn sequence_number(&self) -> String {
        self.sequence_number.and_then(|json| serde_json::from_str(json.get()).ok()).unwrap_or_default()
    }

    /// The text of the data, which Kinesis hands over in Base64. Blank if it is something else.
    fn text(&self) -> String {
        let data = self.data.and_then(|json| serde_json::from_str::<Base64Data>(json.get()).ok());
        data.map(|data| json::repaired(data.0)).unwrap_or_default()
    }
}
