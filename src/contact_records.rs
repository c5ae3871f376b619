//! Contact records: what Connect streams about each contact once it is over, saved like the end of a call.
//!
//! A disconnect flow does not run when the caller hangs up first, and runs before an agent has written notes; the record
//! comes for every contact and after that. It comes at least once, and again whenever attributes change. The API takes
//! one end of a call, so a second one does no harm, but the first one is all that it takes: of a call's records in one
//! batch the fullest is sent.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aws_lambda_events::encodings::Base64Data;
use aws_lambda_events::event::streams::KinesisEventResponse;
use jiff::Timestamp;
use serde_json::value::RawValue;
use tokio::time::Instant;

use crate::answer::{Line, Report};
use crate::batch;
use crate::budget::SaveDeadlines;
use crate::config::{Config, Records};
use crate::connect::{Contact, ContactRecord};
use crate::delivery;
use crate::dispatch::Handler;
use crate::end_call::{self, Source};
use crate::fault::Fault;
use crate::identity;
use crate::json::Object;
use crate::reason::Reason;
use crate::services::Services;
use crate::summary::Summary;

/// The longest that one record waits for the API, before it goes to the outbox.
const PATIENCE: Duration = Duration::from_secs(5);

/// How contacts came to be that are no call of a customer's: a supervisor who listened in, and a disconnect flow.
const NO_CALLS: [&str; 2] = ["MONITOR", "DISCONNECT"];

/// The attribute that a flow sets after its save was `saved` or `queued`.
const SAVED_BY_A_FLOW: &str = "sticky_calls_saved";

/// The attribute that says how far the agent's wrap-up guide is: [`OPEN`] while the agent is writing.
const WRAP_UP: &str = "sticky_calls_wrap_up";

/// What that attribute holds until the agent has saved or skipped the wrap-up.
const OPEN: &str = "open";

/// Saves the contact records of a batch before `deadline`. One that can't be delivered goes to the outbox; where that
/// fails too, its sequence number is in the answer, and Lambda starts over from the lowest of them.
pub async fn handle(
    records: &[&RawValue],
    services: &Services,
    request_id: &str,
    deadline: Instant,
) -> KinesisEventResponse {
    let calls = calls(records, services, request_id, Timestamp::now());
    let half = Instant::now() + deadline.saturating_duration_since(Instant::now()) / 2;
    let save = async |call: &Call| {
        // An API that hangs must not use up the time that the outbox needs for all the others.
        let deadlines = SaveDeadlines { api: half.min(Instant::now() + PATIENCE), all: deadline };
        let summary = &call.fullest.summary;
        let delivery = match call.fullest.is_being_wrapped_up {
            true => delivery::after_the_wrap_up(summary, services, deadlines).await,
            false => delivery::to_api_or_outbox(summary, services, deadlines).await,
        };
        let is_safe = delivery.is_safe();
        services.metrics.record(&delivery.report(summary), &call.fullest.line(request_id));
        is_safe
    };
    let tell = |call: &Call, reason| {
        let report = Report::failed(reason, batch::GIVEN_UP.to_owned());
        services.metrics.record(&report, &call.fullest.line(request_id));
    };
    let not_done = batch::not_done(calls.into_values(), deadline, save, tell);
    let mut answer = KinesisEventResponse::default();
    answer.set_failures(not_done.await.into_iter().flat_map(|call| call.sequence_numbers));
    answer
}

/// The answer that brings the whole batch back.
pub fn all_of_it(records: &[&RawValue]) -> KinesisEventResponse {
    let mut answer = KinesisEventResponse::default();
    answer.set_failures(records.iter().map(|record| sequence_number(&kinesis(record))));
    answer
}

/// The records of one call in a batch.
struct Call {
    sequence_numbers: Vec<String>,
    fullest: Entry,
}

impl Call {
    fn add(&mut self, sequence_number: String, entry: Entry) {
        self.sequence_numbers.push(sequence_number);
        if entry.rank >= self.fullest.rank {
            self.fullest = entry;
        }
    }
}

/// What one record says.
struct Entry {
    summary: Summary,
    /// How much it says: whether somebody wrote something, and how late it is.
    rank: (bool, Option<Timestamp>),
    /// Whether nobody has written anything and somebody may be about to.
    is_being_wrapped_up: bool,
}

impl Entry {
    fn line<'a>(&self, request_id: &'a str) -> Line<'a> {
        Line {
            contact_id: self.summary.contact_id.clone(),
            ..Line::about_a_summary(Handler::ContactRecords, request_id)
        }
    }
}

/// What is to be saved of a batch, by call. A record that a flow has marked speaks for those that were made before the
/// mark.
fn calls(records: &[&RawValue], services: &Services, request_id: &str, now: Timestamp) -> BTreeMap<String, Call> {
    let mut calls: BTreeMap<String, Call> = BTreeMap::new();
    let mut saved_by_a_flow = BTreeSet::new();
    for record in records {
        let kinesis = kinesis(record);
        let text = text(&kinesis).unwrap_or_default();
        let Some(contact_record) = ContactRecord::parse(&text) else {
            if Object::parse(&text).is_none() {
                let (sequence_number, fault) = (sequence_number(&kinesis), Fault::Record);
                services.metrics.count_fault(fault);
                tracing::warn!(request_id, sequence_number, fault = fault.name(), "a record could not be read");
            }
            continue;
        };
        if is_saved_by_a_flow(&contact_record) {
            saved_by_a_flow.extend(contact_record.contact().call_id());
        } else if let Some(entry) = entry(&contact_record, services, request_id, now) {
            let number = sequence_number(&kinesis);
            match calls.get_mut(&entry.summary.request.call_id) {
                Some(call) => call.add(number, entry),
                None => {
                    let call_id = entry.summary.request.call_id.clone();
                    calls.insert(call_id, Call { sequence_numbers: vec![number], fullest: entry });
                }
            }
        }
    }
    calls.retain(|call_id, _| !saved_by_a_flow.contains(call_id));
    calls
}

/// What a record says, where it is to be saved.
fn entry(record: &ContactRecord<'_>, services: &Services, request_id: &str, now: Timestamp) -> Option<Entry> {
    let (config, contact) = (&services.config, record.contact());
    if !is_a_customers_call(record) {
        return None;
    }
    let summary = summary(record, config, now)
        .inspect_err(|reason| tell_what_is_lost(*reason, contact, services, request_id))
        .ok()?;
    if record.has_next() && !ended_with_an_agent(record, &summary, config) {
        return None;
    }
    let last_update = record.last_update().and_then(|text| text.parse().ok());
    let is_being_wrapped_up = !summary.holds_text() && contact.value(WRAP_UP).is_some_and(|text| text.trim() == OPEN);
    Some(Entry { rank: (summary.holds_text(), last_update), is_being_wrapped_up, summary })
}

/// Tells of a call that is not saved although something was said in it. Mostly there is nobody to save it for, or nobody who
/// wants it, and nothing to tell.
fn tell_what_is_lost(reason: Reason, contact: &Contact<'_>, services: &Services, request_id: &str) {
    let contact_id = contact.contact_id();
    if reason == Reason::InvalidEvent {
        let line = Line { contact_id, ..Line::about_a_summary(Handler::ContactRecords, request_id) };
        let report = Report::failed(reason, "the call's id is longer than the API takes".to_owned());
        services.metrics.record(&report, &line);
    } else if reason == Reason::NoIdentity && end_call::holds_text(contact) {
        let fault = Fault::TextNotSaved;
        services.metrics.count_fault(fault);
        tracing::warn!(contact_id, fault = fault.name(), "nobody to save for what was written in this contact");
    }
}

/// Of a call's segments the last one is saved; of the others only one in which the call ended with an agent, and which has
/// a next one just because a disconnect flow ran. That the agent has written something tells it. Where the disconnect
/// flow's own save may have been left to this record, an agent who has written nothing must be enough: while the caller
/// waited in a queue, from where calls go on without a transfer too, there was none.
fn ended_with_an_agent(record: &ContactRecord<'_>, summary: &Summary, config: &Config) -> bool {
    let had_an_agent = summary.holds_text() || (config.defer_to_records && record.had_an_agent());
    had_an_agent && !record.was_transferred()
}

fn is_saved_by_a_flow(record: &ContactRecord<'_>) -> bool {
    record.contact().value(SAVED_BY_A_FLOW).is_some_and(|text| text.trim().eq_ignore_ascii_case("true"))
}

fn is_a_customers_call(record: &ContactRecord<'_>) -> bool {
    let method = record.contact().initiation_method().unwrap_or_default();
    !NO_CALLS.contains(&method.as_str()) && !record.is_agent_guide()
}

/// What the API is told, or why it is not: by default only of contacts that were identified.
fn summary(record: &ContactRecord<'_>, config: &Config, now: Timestamp) -> Result<Summary, Reason> {
    let contact = record.contact();
    let was_identified = identity::customer_ref(contact.value("customer_ref")).is_some();
    if was_identified || config.records == Records::All {
        end_call::summary(contact, config, Source::Record(record), now)
    } else if identity::has_opted_out(contact) {
        Err(Reason::OptedOut)
    } else {
        Err(Reason::NoIdentity)
    }
}

/// What Kinesis says of a record, its data included.
fn kinesis<'a>(record: &'a RawValue) -> Object<'a> {
    Object::parse(record.get()).and_then(|record| record.object("kinesis")).unwrap_or_default()
}

/// The text of a record's data, which Kinesis hands over in Base64.
fn text(kinesis: &Object<'_>) -> Option<String> {
    let data: Base64Data = serde_json::from_str(kinesis.raw("data")?).ok()?;
    String::from_utf8(data.0).ok()
}

/// A record's sequence number. A blank one makes Lambda take the whole batch for failed, which loses nothing.
fn sequence_number(kinesis: &Object<'_>) -> String {
    kinesis.text("sequenceNumber").unwrap_or_default()
}
