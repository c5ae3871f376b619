//! Contact records: Connect streams one about each contact after its end. Each is saved like the end of a call.
//!
//! A disconnect flow does not run if the caller hangs up first, and it runs before an agent has written notes. The
//! contact record comes for every contact, and after the notes. It comes at least once, and again whenever attributes
//! change. Of the contacts whose records are saved, one with words is always saved, and one without words only if it is
//! the last segment's.

use jiff::Timestamp;

use super::contact_lens;
use super::end_call::{self, Source};
use crate::config::{Config, Records};
use crate::connect::{Contact, ContactRecord, RecordRule};
use crate::identity;
use crate::services::{Half, Services};
use crate::summary::Summary;
use crate::telemetry::Report;
use crate::vocabulary::{Degradation, Reason};

/// What a contact record says about its call.
pub struct RecordedCall {
    /// What the API would be told.
    pub summary: Summary,
    /// Whether the API is told so, whatever Contact Lens says.
    pub is_saved: bool,
    /// Whether it has no words and somebody may be writing some.
    pub waits_for_words: bool,
    /// Whether somebody is known to have typed something about the call.
    pub is_typed: bool,
    /// When the record was last changed.
    pub last_update: Option<Timestamp>,
    /// What waits for Contact Lens' summary. `None` if somebody has typed something, or if no summaries are saved.
    pub half: Option<Half>,
}

/// Reads a record that came at `now`. `report` gets what can't be saved. Returns `None` if nothing of the record is to be
/// saved, whatever Contact Lens says.
pub fn read(
    record: &ContactRecord<'_>,
    services: &Services,
    report: impl FnOnce(Report),
    now: Timestamp,
) -> Option<RecordedCall> {
    let contact = record.contact();
    let is_never_saved = contact.kind().record_rule() == RecordRule::Never;
    let is_saved = is_saved_without_contact_lens(record);
    let may_be_saved = is_saved || services.config.contact_lens;
    if is_never_saved || record.is_redacted() || contact.is_simulated() || !may_be_saved {
        return None;
    }
    let summary = match summary(record, &services.config, now) {
        Ok(summary) => summary,
        Err(reason) => {
            if is_saved {
                report_unsaved(reason, contact, services, report);
            }
            return None;
        }
    };
    let is_typed = end_call::has_typed_words(&summary, contact);
    let last_update = record.last_update().and_then(|text| text.parse().ok());
    let may_end_call = !record.has_next() && !contact.is_a_transfer();
    let half = || contact_lens::half_of_record(&summary, may_end_call, last_update);
    Some(RecordedCall {
        half: (services.config.contact_lens && !is_typed).then(half).flatten(),
        is_saved: is_saved && !end_call::is_marked(&summary, contact),
        // It may be a consulted colleague's record, while the call goes on.
        waits_for_words: !end_call::holds_text(contact) && contact.is_a_transfer(),
        summary,
        is_typed,
        last_update,
    })
}

/// Whether a record is saved without a summary by Contact Lens.
fn is_saved_without_contact_lens(record: &ContactRecord<'_>) -> bool {
    let has_text = end_call::holds_text(record.contact());
    match record.contact().kind().record_rule() {
        RecordRule::Never => false,
        RecordRule::OnlyWithText => has_text,
        RecordRule::Always => has_text || !record.has_next(),
    }
}

/// Reports a call that should be saved but can't be. Most calls that are not saved are no loss: they have no words, or
/// the customer has opted out.
fn report_unsaved(reason: Reason, contact: &Contact<'_>, services: &Services, report: impl FnOnce(Report)) {
    if reason == Reason::InvalidEvent {
        report(Report::failed(reason, "the call's id is longer than the API takes".to_owned()));
    } else if reason == Reason::NoIdentity && end_call::holds_text(contact) {
        let what = "a summary or notes were not saved: no customer is known";
        services.metrics.degraded(Degradation::TextNotSaved, contact.contact_id().as_deref(), None, what);
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
