//! Batches of a Kinesis stream: what Connect says about contacts after their end. A batch may hold [contact
//! records](contact_records), and [Contact Lens' summaries](contact_lens) of the same contacts.
//!
//! Everything is read first. Then what the table must know is noted, halves are paired, and the calls are saved, in the
//! order of the stream.

use std::collections::{BTreeMap, BTreeSet};

use aws_lambda_events::encodings::Base64Data;
use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::batch::{self, to_retry_in_order};
use super::contact_lens::{self, Pairing, Unpaired};
use super::contact_records;
use super::newest;
use crate::budget::{self, SaveDeadlines};
use crate::connect::{ContactRecord, StreamRecord, SummaryOutcome, is_contact_id};
use crate::delivery::{self, Outcome};
use crate::identity;
use crate::json;
use crate::services::{Facts, Half, Services};
use crate::summary::{Newest, Summary};
use crate::telemetry::{Report, Subject};
use crate::turn::Turn;
use crate::vocabulary::{Degradation, Handler, Metric, SummaryFailure};

/// Saves what a batch holds before `deadline`. What the API does not take goes to the outbox. If neither takes
/// something, it stops the batch: Lambda retries it and all that was not started. Returns the sequence numbers of that.
pub async fn handle(records: &[&RawValue], services: &Services, request_id: &str, deadline: Instant) -> Vec<String> {
    let halfway = Instant::now() + deadline.saturating_duration_since(Instant::now()) / 2;
    let batch = Batch::read(records, services, request_id, Timestamp::now());
    let Batch { mut items, unpaired, facts, must_be_noted, .. } = batch;
    let are_noted = delivery::note_facts(&facts, services, within_pairing(halfway)).await;
    items.extend(pairs(unpaired, services, halfway).await);
    let calls = calls(items, &facts);
    let save = async |call: &Call, turn: &Turn<'_>| {
        for item in &call.items {
            let deadlines = SaveDeadlines::of_a_record(halfway, deadline);
            let is_done = match &item.work {
                Work::Save(save) => save.deliver(services, request_id, deadlines, turn).await,
                Work::EnqueueSummary(halves) => {
                    turn.comes().await && halves.enqueue(services, within_pairing(deadline)).await
                }
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
    let mut to_retry = to_retry_in_order(calls, deadline, Call::sequence_numbers, save, abandoned).await;
    // After the records, because nothing else in the batch waits for it.
    if !are_noted && !delivery::enqueue_facts(&facts, services, within_pairing(deadline)).await {
        to_retry.extend(must_be_noted);
    }
    to_retry
}

/// A deadline for the table or the outbox, where no caller waits, but not after this one.
fn within_pairing(deadline: Instant) -> Instant {
    deadline.min(Instant::now() + budget::PAIRING)
}

fn subject(contact_id: Option<String>, request_id: &str) -> Subject<'_> {
    Subject { contact_id, ..Subject::of_a_batch(Handler::ContactRecords, request_id) }
}

/// Something to do.
struct Item {
    source: Source,
    work: Work,
}

/// The records that something is from.
#[derive(Clone, Default)]
struct Source {
    /// Where in the batch the first of them is.
    position: i64,
    sequence_numbers: Vec<String>,
}

/// What is to be done.
enum Work {
    /// To save a call.
    Save(Box<Save>),
    /// To enqueue a summary by Contact Lens that the table did not take.
    EnqueueSummary(Unpaired),
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

impl Item {
    fn call_id(&self) -> Option<&String> {
        match &self.work {
            Work::Save(save) => Some(&save.summary.request.call_id),
            Work::EnqueueSummary(_) => None,
        }
    }

    fn contact_id(&self) -> Option<String> {
        match &self.work {
            Work::Save(save) => save.summary.contact_id.clone(),
            Work::EnqueueSummary(halves) => halves.contact_id(),
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
            delivery::note_facts(&facts, services, within_pairing(deadlines.all)).await;
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

/// The items of one call, in the order of the stream: they are done one after the other.
struct Call {
    items: Vec<Item>,
}

impl Call {
    fn sequence_numbers(&self) -> Vec<String> {
        self.items.iter().flat_map(|item| &item.source.sequence_numbers).cloned().collect()
    }
}

/// The calls of a batch, in the order of the stream, and then what is only enqueued. What belongs to no call that is
/// known is a call of its own.
///
/// Everything is left out of a call in which the customer has opted out, and Contact Lens' summary of a call about which
/// somebody has typed something. An end without words is left out if there are words that may be the end.
fn calls(mut items: Vec<Item>, facts: &Facts) -> Vec<Call> {
    items.retain(|item| {
        let Some(call_id) = item.call_id() else { return true };
        let is_by_contact_lens = item.saves(|summary| summary.summarised_contact.is_some());
        !(facts.opted_out.contains(call_id) || is_by_contact_lens && facts.typed.contains(call_id))
    });
    let ends = items.iter().filter(|item| item.saves(|summary| summary.words.is_some() && summary.may_end_call));
    let ended: BTreeSet<_> = ends.filter_map(Item::call_id).cloned().collect();
    items.retain(|item| {
        item.saves(|summary| summary.words.is_some()) || item.call_id().is_none_or(|call_id| !ended.contains(call_id))
    });
    // What neither table nor outbox takes must not hold up the records behind it.
    items.sort_by_key(|item| (matches!(item.work, Work::EnqueueSummary(_)), item.source.position));
    let saves = || {
        items.iter().filter_map(|item| match &item.work {
            Work::Save(save) => Some(&save.summary),
            Work::EnqueueSummary(_) => None,
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
    /// What may be paired, by contact id, with the records that it is from.
    unpaired: BTreeMap<String, (Source, Unpaired)>,
    /// What the table must know.
    facts: Facts,
    /// The sequence numbers of the records of opted-out and deleted contacts: no later record says it again.
    must_be_noted: Vec<String>,
}

impl Batch {
    fn read(records: &[&RawValue], services: &Services, request_id: &str, now: Timestamp) -> Self {
        let mut batch = Self::default();
        let mut summaries = 0;
        for (position, record) in (0..).zip(records) {
            let kinesis = Kinesis::read(record);
            let text = kinesis.text();
            let source = || Source { position, sequence_numbers: vec![kinesis.sequence_number()] };
            match StreamRecord::parse(&text) {
                Some(StreamRecord::Contact(record)) => {
                    // Within one call, words that come later in the batch must count as newer.
                    let now = now.saturating_add(SignedDuration::from_millis(position)).unwrap_or(now);
                    batch.add_record(&record, source(), services, request_id, now);
                }
                Some(StreamRecord::ContactLens(summary)) if services.config.contact_lens => {
                    summaries += 1;
                    match summary.outcome {
                        SummaryOutcome::Completed { text, is_redacted } => {
                            let half = Half::of_summary(&text, is_redacted);
                            batch.unpaired(summary.contact_id, source()).halves.push(half);
                        }
                        SummaryOutcome::Failed { code } => {
                            let failure = SummaryFailure::parse(&code).unwrap_or(SummaryFailure::OtherFailure);
                            let contact_id = Some(summary.contact_id).filter(|id| is_contact_id(id));
                            services.metrics.summary_failed(failure, contact_id.as_deref());
                        }
                    }
                }
                Some(StreamRecord::ContactLens(_) | StreamRecord::Other) => {}
                None => {
                    let what = format!("the record {} could not be read", kinesis.sequence_number());
                    services.metrics.degraded(Degradation::Record, None, None, what);
                }
            }
        }
        if summaries > 0 {
            services.metrics.measure(Metric::ReceivedSummaries, summaries);
        }
        batch.drop_what_is_barred();
        batch
    }

    /// Adds a record: a call to save, half of a pair, or nothing.
    fn add_record(
        &mut self,
        record: &ContactRecord<'_>,
        source: Source,
        services: &Services,
        request_id: &str,
        now: Timestamp,
    ) {
        if identity::has_opted_out(record.contact()) {
            identity::check_opt_out(record.contact(), &services.metrics);
            self.facts.opted_out.extend(identity::call_id(record.contact()));
            self.bar_summary(record, source, services);
            return;
        }
        let report =
            |report: Report| services.metrics.record(&report, &subject(record.contact().contact_id(), request_id));
        let Some(call) = contact_records::read(record, services, report, now) else {
            self.bar_summary(record, source, services);
            return;
        };
        if call.is_typed && services.config.contact_lens {
            self.facts.typed.insert(call.summary.request.call_id.clone());
            self.bar_summary(record, source.clone(), services);
        } else if let Some((half, contact_id)) = call.half.zip(record.contact_id()) {
            let unpaired = self.unpaired(contact_id, source.clone());
            unpaired.call_id = Some(call.summary.request.call_id.clone());
            unpaired.halves.push(half);
        }
        if call.is_saved {
            let (waits_for_words, last_update) = (call.waits_for_words, call.last_update);
            self.add_save(Save { summary: call.summary, waits_for_words, last_update, newest: None }, source);
        }
    }

    /// Notes that Contact Lens' summary of a record's contact is not to be saved.
    fn bar_summary(&mut self, record: &ContactRecord<'_>, source: Source, services: &Services) {
        if !services.config.contact_lens {
            return;
        }
        self.facts.not_summarised.extend(record.contact_id());
        if record.is_redacted() || identity::has_opted_out(record.contact()) {
            self.must_be_noted.extend(source.sequence_numbers);
        }
    }

    fn add_save(&mut self, save: Save, source: Source) {
        let saved_words = save.summary.saved_words();
        let place = saved_words.unwrap_or_else(|| save.summary.request.call_id.clone());
        let same = self.places.get(&place).and_then(|place| self.items.get_mut(*place));
        match same.map(|item| (&mut item.work, &mut item.source)) {
            Some((Work::Save(same), of_same)) => {
                same.add(save);
                of_same.sequence_numbers.extend(source.sequence_numbers);
            }
            _ => {
                self.places.insert(place, self.items.len());
                self.items.push(Item { source, work: Work::Save(Box::new(save)) });
            }
        }
    }

    fn unpaired(&mut self, contact_id: String, source: Source) -> &mut Unpaired {
        let new = || (Source { position: source.position, ..Source::default() }, Unpaired::of(contact_id.clone()));
        let (of_contact, unpaired) = self.unpaired.entry(contact_id.clone()).or_insert_with(new);
        of_contact.sequence_numbers.extend(source.sequence_numbers);
        unpaired
    }

    /// Drops what would be paired although somebody typed something or the customer has opted out.
    fn drop_what_is_barred(&mut self) {
        let Facts { opted_out, typed, not_summarised, .. } = &mut self.facts;
        self.unpaired.retain(|contact_id, (_, unpaired)| {
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
async fn pairs(unpaired: BTreeMap<String, (Source, Unpaired)>, services: &Services, halfway: Instant) -> Vec<Item> {
    let deadline = within_pairing(halfway);
    let one = async |(source, unpaired): (Source, Unpaired)| match unpaired.pair(services, deadline).await {
        Pairing::Paired(summary) => {
            let save = Save { summary: *summary, waits_for_words: false, last_update: None, newest: None };
            Some(Item { source, work: Work::Save(Box::new(save)) })
        }
        Pairing::NothingToSend => None,
        Pairing::TableFailed => Some(Item { source, work: Work::EnqueueSummary(unpaired) }),
    };
    let items: Vec<_> = join_all(unpaired.into_values().map(one)).await.into_iter().flatten().collect();
    // A contact record is saved without its half. It must not wait, nor be retried, if the outbox does not take that.
    let is_a_record = |item: &Item| matches!(&item.work, Work::EnqueueSummary(kept) if !kept.holds_summary());
    let (records, others): (Vec<_>, Vec<_>) = items.into_iter().partition(is_a_record);
    let halves = records.into_iter().filter_map(|item| match item.work {
        Work::EnqueueSummary(halves) => Some(halves),
        Work::Save(_) => None,
    });
    contact_lens::enqueue_at_once(halves, services, within_pairing(halfway)).await;
    others
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
