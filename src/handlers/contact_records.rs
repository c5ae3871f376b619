//! Contact records: Connect streams one about each contact after its end. Each is saved like the end of a call.
//!
//! A disconnect flow does not run if the caller hangs up first, and it runs before an agent has written notes. The
//! contact record comes for every contact, and after the notes. It comes at least once, and again whenever attributes
//! change. Of the contacts whose records are saved, one with words is always saved, and one without words only if it is
//! the last segment's.

use std::collections::{BTreeMap, BTreeSet};

use aws_lambda_events::encodings::Base64Data;
use jiff::{SignedDuration, Timestamp};
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::batch::{self, to_retry_in_order};
use super::end_call::{self, Source};
use super::newest;
use crate::budget::SaveDeadlines;
use crate::config::{Config, Records};
use crate::connect::{Contact, ContactRecord, RecordRule};
use crate::delivery;
use crate::identity;
use crate::json::{self, Object};
use crate::services::Services;
use crate::summary::{Newest, Summary};
use crate::telemetry::{Report, Subject};
use crate::turn::Turn;
use crate::vocabulary::{Degradation, Handler, Reason};

/// Saves the contact records of a batch before `deadline`. One that the API does not take goes to the outbox. A record
/// that neither takes stops the batch: Lambda retries it and all that were not started. Returns the sequence numbers of
/// those.
pub async fn handle(records: &[&RawValue], services: &Services, request_id: &str, deadline: Instant) -> Vec<String> {
    let half = Instant::now() + deadline.saturating_duration_since(Instant::now()) / 2;
    let Batch { mut entries, opted_out } = read(records, services, request_id, Timestamp::now());
    let opted_out: Vec<_> = opted_out.into_iter().collect();
    delivery::note_opt_outs(&opted_out, services, SaveDeadlines::of_a_record(half, deadline).api).await;
    let newest = newest::among(&entries.iter().map(|entry| &entry.summary).collect::<Vec<_>>());
    entries.iter_mut().zip(newest).for_each(|(entry, newest)| entry.newest = newest);
    let save = async |call: &Call, turn: &Turn<'_>| {
        for entry in &call.entries {
            let deadlines = SaveDeadlines::of_a_record(half, deadline);
            let delivery = match entry.waits_for_words {
                true => delivery::defer(&entry.summary, services, deadlines, turn).await,
                false => {
                    delivery::to_api_or_outbox(&entry.summary, entry.newest.as_ref(), services, deadlines, turn).await
                }
            };
            let is_done = delivery.is_done();
            services.metrics.record(&delivery.report(), &entry.subject(request_id));
            if !is_done {
                return false;
            }
        }
        true
    };
    let abandoned = |call: &Call, reason| {
        for entry in &call.entries {
            let report = Report::failed(reason, batch::ABANDONED.to_owned());
            services.metrics.record(&report, &entry.subject(request_id));
        }
    };
    to_retry_in_order(calls(entries), deadline, Call::sequence_numbers, save, abandoned).await
}

/// What is to be saved of a batch.
struct Batch {
    entries: Vec<Entry>,
    /// The calls in which the customer has opted out.
    opted_out: BTreeSet<String>,
}

/// A summary to save, from one record or from several with the same words.
struct Entry {
    sequence_numbers: Vec<String>,
    summary: Summary,
    /// Whether it has no words and somebody may be writing some.
    waits_for_words: bool,
    last_update: Option<Timestamp>,
    /// Its customer's newest call in the batch, among those in which somebody wrote something.
    newest: Option<Newest>,
}

impl Entry {
    fn subject<'a>(&self, request_id: &'a str) -> Subject<'a> {
        Subject {
            contact_id: self.summary.contact_id.clone(),
            ..Subject::of_a_batch(Handler::ContactRecords, request_id)
        }
    }
}

/// The entries of one call, in the order of the stream: they are saved one after the other.
struct Call {
    entries: Vec<Entry>,
}

impl Call {
    fn sequence_numbers(&self) -> Vec<String> {
        self.entries.iter().flat_map(|entry| &entry.sequence_numbers).cloned().collect()
    }
}

/// The calls of a batch, in the order of the stream.
fn calls(entries: Vec<Entry>) -> Vec<Call> {
    let mut calls: Vec<Call> = Vec::new();
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    for entry in entries {
        let place = *places.entry(entry.summary.request.call_id.clone()).or_insert(calls.len());
        match calls.get_mut(place) {
            Some(call) => call.entries.push(entry),
            None => calls.push(Call { entries: vec![entry] }),
        }
    }
    calls
}

/// Reads the records of a batch. All entries of an opted-out call are dropped. Records with the same words become one
/// entry. An entry without words is dropped if another entry of the same call has words.
fn read(records: &[&RawValue], services: &Services, request_id: &str, now: Timestamp) -> Batch {
    let mut opted_out = BTreeSet::new();
    let mut entries: Vec<Entry> = Vec::new();
    // The index of each entry, by its words' id; without words, by its call's id.
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    for (number, record) in (0..).zip(records) {
        let kinesis = kinesis(record);
        let text = text(&kinesis).unwrap_or_default();
        let sequence_number = kinesis.text("sequenceNumber").unwrap_or_default();
        // Within one call, words that come later in the batch must count as newer.
        let now = now.saturating_add(SignedDuration::from_millis(number)).unwrap_or(now);
        let Some(record) = ContactRecord::parse(&text) else {
            if Object::parse(&text).is_none() {
                let what = format!("the record {sequence_number} could not be read");
                services.metrics.degraded(Degradation::Record, None, None, what);
            }
            continue;
        };
        if identity::has_opted_out(record.contact()) {
            identity::check_opt_out(record.contact(), &services.metrics);
            opted_out.extend(identity::call_id(record.contact()));
            continue;
        }
        let Some(mut entry) = entry(&record, services, request_id, now) else { continue };
        entry.sequence_numbers.push(sequence_number);
        let saved_words = entry.summary.saved_words();
        let place = saved_words.unwrap_or_else(|| entry.summary.request.call_id.clone());
        match places.get(&place).and_then(|place| entries.get_mut(*place)) {
            Some(same) => same.add(entry),
            None => {
                places.insert(place, entries.len());
                entries.push(entry);
            }
        }
    }
    let with_words = entries.iter().filter(|entry| entry.summary.words.is_some());
    let with_words: BTreeSet<_> = with_words.map(|entry| entry.summary.request.call_id.clone()).collect();
    entries.retain(|entry| {
        let call_id = &entry.summary.request.call_id;
        !opted_out.contains(call_id) && (entry.summary.words.is_some() || !with_words.contains(call_id))
    });
    Batch { entries, opted_out }
}

impl Entry {
    /// Adds another record with the same words. The one that was updated last counts. If one of them need not wait,
    /// neither waits.
    fn add(&mut self, mut other: Self) {
        self.sequence_numbers.append(&mut other.sequence_numbers);
        let waits_for_words = self.waits_for_words && other.waits_for_words;
        if other.last_update >= self.last_update {
            other.sequence_numbers = std::mem::take(&mut self.sequence_numbers);
            *self = other;
        }
        self.waits_for_words = waits_for_words;
    }
}

/// A record's entry. Returns `None` if the record is not to be saved.
fn entry(record: &ContactRecord<'_>, services: &Services, request_id: &str, now: Timestamp) -> Option<Entry> {
    let contact = record.contact();
    let rule = contact.kind().record_rule();
    let has_text = end_call::holds_text(contact);
    let is_wanted = match rule {
        RecordRule::Never => false,
        RecordRule::OnlyWithText => has_text,
        RecordRule::Always => has_text || !record.has_next(),
    };
    if !is_wanted || record.is_redacted() || contact.is_simulated() {
        return None;
    }
    let summary = summary(record, &services.config, now)
        .inspect_err(|reason| report_unsaved(*reason, contact, services, request_id))
        .ok()?;
    if end_call::is_marked(&summary, contact) {
        return None;
    }
    Some(Entry {
        sequence_numbers: Vec::new(),
        // It may be a consulted colleague's record, while the call goes on.
        waits_for_words: !has_text && contact.is_a_transfer(),
        summary,
        last_update: record.last_update().and_then(|text| text.parse().ok()),
        newest: None,
    })
}

/// Reports a call that should be saved but can't be. Most calls that are not saved are no loss: they have no words, or
/// the customer has opted out.
fn report_unsaved(reason: Reason, contact: &Contact<'_>, services: &Services, request_id: &str) {
    let contact_id = contact.contact_id();
    if reason == Reason::InvalidEvent {
        let subject = Subject { contact_id, ..Subject::of_a_batch(Handler::ContactRecords, request_id) };
        let report = Report::failed(reason, "the call's id is longer than the API takes".to_owned());
        services.metrics.record(&report, &subject);
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
    kinesis(record).text("sequenceNumber").unwrap_or_default()
}

/// What Kinesis says of a record, its data included.
fn kinesis<'a>(record: &'a RawValue) -> Object<'a> {
    Object::parse(record.get()).and_then(|record| record.object("kinesis")).unwrap_or_default()
}

/// The text of a record's data, which Kinesis hands over in Base64.
fn text(kinesis: &Object<'_>) -> Option<String> {
    let data: Base64Data = serde_json::from_str(kinesis.raw("data")?).ok()?;
    Some(json::repaired(data.0))
}
