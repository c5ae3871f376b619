//! End-call: saves what happened in a call through the Sticky Calls API. It never fails the flow.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::Answer;
use crate::budget::{self, SaveDeadlines};
use crate::card_numbers;
use crate::config::Config;
use crate::connect::{Attributes, Contact, ContactRecord, Ending};
use crate::delivery;
use crate::identity;
use crate::services::{Facts, Services};
use crate::sticky_calls::{EndRequest, IntentStatus};
use crate::summary::{
    AGENT_NOTES, CALL_DATE, CALL_SUMMARY, DEFAULT_INTENT, FILLER, INTENT_STATUS, LAST_ISSUE, LAST_ISSUE_SOURCE, Mark,
    RESOLUTION, Summary, WordsId,
};
use crate::telemetry::{Report, Severity};
use crate::turn::Turn;
use crate::vocabulary::{Reason, SaveAttribute, SaveStatus, Status};

/// The prefix of values that are saved as variables: `var_tier` is saved as `tier`.
const VARIABLE_PREFIX: &str = "var_";

/// The attribute in which flows store `saved_words`.
const MARK: &str = "sticky_calls_saved";

/// Saves what happened in a call, for the flow that is about to end it; `now` is the time of the save.
///
/// There is always an answer by `deadline`.
pub async fn handle(contact: &Contact<'_>, services: &Services, deadline: Instant, now: Timestamp) -> Answer {
    identity::check_opt_out(contact, &services.metrics);
    let summary = match summary(contact, &services.config, Source::Flow, now) {
        Ok(summary) => summary,
        Err(reason) => {
            if let (Reason::OptedOut, Some(call_id)) = (reason, identity::call_id(contact)) {
                let facts = Facts { opted_out: BTreeSet::from([call_id]), ..Facts::default() };
                delivery::note_or_enqueue_facts(&facts, services, deadline).await;
            }
            return fallback(Some(contact), reason);
        }
    };
    if is_marked(&summary, contact) {
        let report = Report::new(Status::Save(SaveStatus::Saved), None, Severity::Info);
        return answer(Some(contact), report, summary.saved_words());
    }
    let deadlines = SaveDeadlines::of_a_flow(deadline, share_after_the_api(services));
    let delivery = match summary.words {
        // The agent may be writing notes.
        None => delivery::defer(&summary, services, deadlines, &Turn::at_once()).await,
        Some(_) => delivery::to_api_or_outbox(&summary, None, services, deadlines, &Turn::at_once()).await,
    };
    let saved_words = summary.saved_words().filter(|_| delivery.keeps_words());
    answer(Some(contact), delivery.report(), saved_words)
}

/// The answer with the reason why nothing was saved.
pub fn fallback(contact: Option<&Contact<'_>>, reason: Reason) -> Answer {
    let (status, severity) = match reason.is_on_purpose() {
        true => (SaveStatus::Skipped, Severity::Info),
        // The call's words are lost, unless somebody enters them again.
        false => (SaveStatus::Failed, Severity::Error),
    };
    answer(contact, Report::new(Status::Save(status), Some(reason), severity), None)
}

/// The part of a save's budget that is reserved for the time after the API was asked.
fn share_after_the_api(services: &Services) -> Duration {
    match (&services.outbox, &services.ledger) {
        (Some(_), _) => budget::OUTBOX,
        (None, Some(_)) => budget::TABLE,
        (None, None) => Duration::ZERO,
    }
}

/// The answer with its attributes.
fn answer(contact: Option<&Contact<'_>>, report: Report, saved_words: Option<String>) -> Answer {
    let is_success = matches!(report.status, Status::Save(status) if status.is_success());
    let value = |attribute: SaveAttribute| match attribute {
        SaveAttribute::Success => is_success.to_string(),
        SaveAttribute::SaveStatus => report.status.as_str().to_owned(),
        SaveAttribute::Error => report.reason.map_or("", Reason::as_str).to_owned(),
        SaveAttribute::CallId => contact.and_then(identity::call_id).unwrap_or_default(),
        SaveAttribute::SavedWords => saved_words.clone().unwrap_or_default(),
    };
    let attributes = Attributes::new(SaveAttribute::ALL.iter().map(|name| ((*name).into(), value(*name))));
    Answer { attributes, report }
}

/// What a save is read from. The two differ in what is sent if nobody wrote anything.
#[derive(Clone, Copy, Debug)]
pub enum Source<'a> {
    /// A flow's block.
    Flow,
    /// The contact record, after the end of the contact.
    Record(&'a ContactRecord<'a>),
}

/// What the API is told, or why it is not told.
///
/// # Errors
///
/// The reason for the `skipped` or `failed` answer.
pub fn summary(contact: &Contact<'_>, config: &Config, source: Source<'_>, now: Timestamp) -> Result<Summary, Reason> {
    if identity::has_opted_out(contact) {
        return Err(Reason::OptedOut);
    }
    let call_id = identity::call_id(contact).ok_or(Reason::InvalidEvent)?;
    if contact.is_simulated() {
        return Err(Reason::Simulated);
    }
    if !contact.kind().is_saved_by_flows() {
        return Err(Reason::NotInbound);
    }
    let customer_ref = identity::known_ref(contact);
    let hints = identity::hints(contact, config);
    if customer_ref.is_none() && !hints.are_usable() {
        return Err(if identity::is_internal(contact, config) { Reason::InternalNumber } else { Reason::NoIdentity });
    }
    let texts = Texts::of(contact);
    let call_start = identity::call_start(contact);
    let started = [call_start.clone(), contact.initiation_timestamp()].into_iter().flatten();
    let request = EndRequest {
        call_id,
        identity_hints: customer_ref.is_none().then(|| hints.clone()),
        customer_ref,
        intent: contact.value("intent").unwrap_or_else(|| DEFAULT_INTENT.to_owned()),
        intent_status: intent_status(contact, source),
        variables: variables(contact, &texts, config, call_start, now),
    };
    Ok(Summary {
        contact_id: contact.contact_id(),
        request,
        hints,
        words: words(contact, &texts, source),
        summarised_contact: None,
        may_end_call: true,
        started: started.filter_map(|text| text.parse().ok()).next().unwrap_or(now),
        came: to_the_millisecond(now),
    })
}

/// Whether the contact has a mark that these words are safe.
pub fn is_marked(summary: &Summary, contact: &Contact<'_>) -> bool {
    let (Some(words), Some(mark)) = (&summary.words, contact.attribute(MARK)) else { return false };
    let given = [CALL_SUMMARY, AGENT_NOTES, INTENT_STATUS].iter().any(|name| contact.parameter(name).is_some());
    Mark::parse(&mark).is_some_and(|mark| mark.covers(words, &summary.request.call_id, given))
}

/// Whether somebody is known to have typed something about this call: the contact holds a text, or a mark of the call.
/// A text with another call's mark was copied together with it. A mark of a status alone does not count; the status may
/// have been changed since.
pub fn has_typed_words(summary: &Summary, contact: &Contact<'_>) -> bool {
    let Some(mark) = contact.attribute(MARK) else { return holds_text(contact) };
    match Mark::parse(&mark) {
        Some(mark) if mark.is_of(&summary.request.call_id) => {
            let names = |status: Option<&str>| mark.names(&WordsId::new(None, None, status));
            let spelt = |word: &str| [word.to_owned(), word.to_uppercase(), capitalised(word)];
            let is_a_status =
                IntentStatus::ALL.iter().flat_map(|status| spelt(status.as_str())).any(|word| names(Some(&word)));
            holds_text(contact) || !(is_a_status || names(None) || names(contact.value(INTENT_STATUS).as_deref()))
        }
        Some(mark) => holds_text(contact) && !summary.words.as_ref().is_some_and(|words| mark.names(words)),
        None => holds_text(contact),
    }
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect()
}

/// Whether somebody wrote something about the call: a summary or notes.
pub fn holds_text(contact: &Contact<'_>) -> bool {
    [CALL_SUMMARY, AGENT_NOTES].iter().any(|name| text(contact, name).is_some())
}

/// A text that somebody wrote: the block's parameter, else the contact attribute. The integration guide's filler does
/// not count.
fn text(contact: &Contact<'_>, name: &str) -> Option<String> {
    let is_written = |text: &String| text.trim() != FILLER;
    contact.parameter(name).filter(is_written).or_else(|| contact.attribute(name).filter(is_written))
}

/// What somebody wrote, without card numbers.
struct Texts {
    summary: Option<String>,
    notes: Option<String>,
}

impl Texts {
    fn of(contact: &Contact<'_>) -> Self {
        let [summary, notes] = [CALL_SUMMARY, AGENT_NOTES].map(|name| Some(card_numbers::mask(&text(contact, name)?)));
        Self { summary, notes }
    }

    /// The last issue for the next call, and its source.
    fn last_issue(&self) -> Option<(&String, &'static str)> {
        let summary = self.summary.as_ref().map(|text| (text, CALL_SUMMARY));
        summary.or_else(|| self.notes.as_ref().map(|text| (text, AGENT_NOTES)))
    }
}

/// The id of the words: what somebody wrote, or a status that was given to the block. `None` without words.
fn words(contact: &Contact<'_>, texts: &Texts, source: Source<'_>) -> Option<WordsId> {
    let has_given_status = matches!(source, Source::Flow) && contact.parameter(INTENT_STATUS).is_some();
    if !has_given_status && texts.last_issue().is_none() {
        return None;
    }
    let status = contact.value(INTENT_STATUS);
    Some(WordsId::new(texts.summary.as_deref(), texts.notes.as_deref(), status.as_deref()))
}

/// The intent's status. An unknown one counts as open, so that somebody looks at it. If none is given, the contact
/// record decides; in a flow the call counts as resolved.
fn intent_status(contact: &Contact<'_>, source: Source<'_>) -> IntentStatus {
    match (contact.value(INTENT_STATUS), source) {
        (Some(word), _) => IntentStatus::parse(word.trim()).unwrap_or(IntentStatus::Open),
        (None, Source::Record(record)) => match record.ending() {
            Ending::NotReached => IntentStatus::Open,
            Ending::Abandoned => IntentStatus::Abandoned,
            Ending::Served => IntentStatus::Resolved,
        },
        (None, Source::Flow) => IntentStatus::Resolved,
    }
}

/// The variables for the next call. Card numbers are masked in every text.
fn variables(
    contact: &Contact<'_>,
    texts: &Texts,
    config: &Config,
    call_start: Option<String>,
    now: Timestamp,
) -> BTreeMap<String, String> {
    // A call that nobody wrote about must not replace an earlier call's last issue.
    let (last_issue, source) = texts.last_issue().unzip();
    let call_date = contact
        .value("call_date")
        .or(call_start)
        .or_else(|| contact.initiation_timestamp())
        .unwrap_or_else(|| format!("{now:.3}"));
    let own = [
        (LAST_ISSUE, last_issue.cloned()),
        (LAST_ISSUE_SOURCE, source.map(str::to_owned)),
        (RESOLUTION, texts.notes.clone()),
        (CALL_DATE, Some(card_numbers::mask(&call_date))),
    ];
    let is_own = |name: &&str| [LAST_ISSUE, LAST_ISSUE_SOURCE, RESOLUTION, CALL_DATE].contains(name);
    let names = config.variables.iter().map(|variable| variable.name.as_str()).filter(|name| !is_own(name));
    let written_back = names.map(|name| {
        let value = contact.value(&format!("{VARIABLE_PREFIX}{name}"));
        (name, value.map(|value| card_numbers::mask(&value)))
    });
    own.into_iter().chain(written_back).filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

/// Rounded as in the outbox's messages and the table's rows.
fn to_the_millisecond(time: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(time.as_millisecond()).unwrap_or(time)
}
