//! End-call: saves through the Sticky Calls API what happened in a call, and never fails the flow.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::answer::{Answer, Report, Severity};
use crate::budget::{self, SaveDeadlines};
use crate::card_numbers;
use crate::config::{Config, Records};
use crate::connect::{Attributes, Contact, ContactRecord, attribute_name};
use crate::delivery;
use crate::fault::Fault;
use crate::identity;
use crate::reason::Reason;
use crate::services::Services;
use crate::sticky_calls::{EndRequest, IdentityHints, IntentStatus};
use crate::summary::{AGENT_NOTES, CALL_SUMMARY, FILLER, LAST_ISSUE_SOURCE, Summary};

/// What every value is called that is to be saved as a variable of the rest of its name.
const VARIABLE_PREFIX: &str = "var_";

/// Saves what happened in a call, for the flow that is about to end it; `now` is the time of the save.
///
/// It always has an answer, by `deadline`.
pub async fn handle(contact: &Contact<'_>, services: &Services, deadline: Instant, now: Timestamp) -> Answer {
    let summary = match summary(contact, &services.config, Source::Flow, now) {
        Ok(summary) => summary,
        Err(reason) => return fallback(Some(contact), reason),
    };
    if services.config.defer_to_records && !summary.holds_text() {
        return deferred(contact, &services.config);
    }
    let deadlines = SaveDeadlines::before(deadline, share_after_the_api(services));
    let delivery = delivery::to_api_or_outbox(&summary, services, deadlines).await;
    answer(Some(contact), delivery.report(&summary))
}

/// The answer where nothing was saved, with the reason.
pub fn fallback(contact: Option<&Contact<'_>>, reason: Reason) -> Answer {
    let (outcome, severity) = match reason {
        Reason::NoIdentity | Reason::OptedOut => ("skipped", Severity::Info),
        // Whatever the reason, what was said in this call is gone unless somebody enters it again.
        _ => ("failed", Severity::Error),
    };
    answer(contact, Report::new(outcome, Some(reason), severity))
}

/// The answer where the contact record shall be saved in this save's stead. The record has the contact's attributes and
/// not this block's parameters, so without a stored reference it may not be saved at all: worth a warning.
fn deferred(contact: &Contact<'_>, config: &Config) -> Answer {
    let stored = identity::customer_ref(contact.attribute("customer_ref")).is_some();
    let mut report = Report::new("deferred", None, Severity::Info);
    if !stored && config.records == Records::Identified {
        report.severity = Severity::Warn;
        report.fault = Some(Fault::DeferredInVain);
        report.detail = Some("the contact has no attribute customer_ref, so its record will not be saved".to_owned());
    }
    answer(Some(contact), report)
}

/// What a save keeps of its budget for what comes after the API was asked.
fn share_after_the_api(services: &Services) -> Duration {
    match (&services.outbox, &services.cache) {
        (Some(_), _) => budget::OUTBOX,
        (None, Some(_)) => budget::CACHE,
        (None, None) => Duration::ZERO,
    }
}

/// The four attributes of a save.
fn answer(contact: Option<&Contact<'_>>, report: Report) -> Answer {
    let success = matches!(report.outcome, "saved" | "queued" | "deferred");
    let attributes = Attributes::new([
        (attribute_name!("success"), success.to_string()),
        (attribute_name!("save_status"), report.outcome.to_owned()),
        (attribute_name!("error"), report.reason.map_or("", Reason::code).to_owned()),
        (attribute_name!("call_id"), contact.and_then(Contact::call_id).unwrap_or_default()),
    ]);
    Answer { attributes, report }
}

/// Where a save is read from. The two differ in what is sent where nobody said anything.
#[derive(Clone, Copy, Debug)]
pub enum Source<'a> {
    /// A flow's block.
    Flow,
    /// The contact record, after all of it is over.
    Record(&'a ContactRecord<'a>),
}

/// What the API is told, or why it is not.
///
/// # Errors
///
/// The reason of the `skipped` or `failed` answer.
pub fn summary(contact: &Contact<'_>, config: &Config, source: Source<'_>, now: Timestamp) -> Result<Summary, Reason> {
    if identity::has_opted_out(contact) {
        return Err(Reason::OptedOut);
    }
    let call_id = contact.call_id().ok_or(Reason::InvalidEvent)?;
    let customer_ref = identity::customer_ref(contact.value("customer_ref"));
    let identity_hints = if customer_ref.is_some() { None } else { Some(standalone_hints(contact, config)?) };
    let request = EndRequest {
        call_id,
        customer_ref,
        identity_hints,
        intent: contact.value("intent").unwrap_or_else(|| "general_inquiry".to_owned()),
        intent_status: intent_status(contact, source),
        variables: variables(contact, source, now),
    };
    Ok(Summary { contact_id: contact.contact_id(), request })
}

/// Whether somebody wrote something about the call: a summary or notes.
pub fn holds_text(contact: &Contact<'_>) -> bool {
    written(contact).is_some()
}

/// What somebody wrote, and as what.
fn written(contact: &Contact<'_>) -> Option<(String, &'static str)> {
    [CALL_SUMMARY, AGENT_NOTES].into_iter().find_map(|name| Some((contact.value(name)?, name)))
}

/// Who called, where no start gave a reference.
fn standalone_hints(contact: &Contact<'_>, config: &Config) -> Result<IdentityHints, Reason> {
    let hints = IdentityHints {
        ani: contact.customer_number().map(|number| number.as_str().to_owned()),
        external_ids: identity::external_ids(contact, config),
        ..IdentityHints::default()
    };
    if hints.are_usable() { Ok(hints) } else { Err(Reason::NoIdentity) }
}

/// A word that is none of the API's means that somebody should look; none at all means that the call went its way, or
/// that the caller gave up before anybody took it.
fn intent_status(contact: &Contact<'_>, source: Source<'_>) -> IntentStatus {
    match (contact.value("intent_status"), source) {
        (Some(word), _) => IntentStatus::parse(word.trim()).unwrap_or(IntentStatus::Open),
        (None, Source::Record(record)) if record.nobody_took_it() => IntentStatus::Abandoned,
        (None, _) => IntentStatus::Resolved,
    }
}

/// What the next call shall know. Card numbers are taken out of every text.
fn variables(contact: &Contact<'_>, source: Source<'_>, now: Timestamp) -> BTreeMap<String, String> {
    let (last_issue, last_issue_source) = match (written(contact), source) {
        (Some((text, written_as)), _) => (Some(text), Some(written_as)),
        (None, Source::Flow) => (Some(FILLER.to_owned()), None),
        // Nobody is waiting for an answer, and the filler would only bury what an earlier call left.
        (None, Source::Record(_)) => (None, None),
    };
    let call_date = contact
        .value("call_date")
        .or_else(|| contact.value("call_start"))
        .or_else(|| contact.initiation_timestamp())
        .unwrap_or_else(|| format!("{now:.3}"));

    let own = [
        ("last_issue", last_issue),
        (LAST_ISSUE_SOURCE, last_issue_source.map(str::to_owned)),
        ("resolution", contact.value(AGENT_NOTES)),
        ("call_date", Some(call_date)),
    ];
    let reserved = own.clone().map(|(name, _)| name);
    let written_back = contact
        .names_with_prefix(VARIABLE_PREFIX)
        .into_iter()
        .filter(|name| !reserved.contains(&name.as_str()))
        .filter_map(|name| contact.value(&format!("{VARIABLE_PREFIX}{name}")).map(|value| (name, value)));
    own.into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)))
        .chain(written_back)
        .map(|(name, value)| (name, card_numbers::mask(&value)))
        .collect()
}
