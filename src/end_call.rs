//! End-call: saves through the Sticky Calls API what happened in a call, and never fails the flow.

use std::collections::BTreeMap;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::answer::{Answer, Severity};
use crate::card_numbers;
use crate::config::Config;
use crate::connect::{Attributes, Contact, attribute_name};
use crate::identity;
use crate::reason::Reason;
use crate::sticky_calls::{Client, EndRequest, IdentityHints, IntentStatus};

/// What is saved as the last issue where nobody wrote anything; read back it says nothing.
pub(crate) const FILLER: &str = "Customer called for support";

/// The value that holds the summary, and the source of a last issue taken from it.
pub(crate) const CALL_SUMMARY: &str = "call_summary";

/// The value that holds the agent's notes, and the source of a last issue taken from them.
pub(crate) const AGENT_NOTES: &str = "agent_notes";

/// What every value is called that is to be saved as a variable of the rest of its name.
const VARIABLE_PREFIX: &str = "var_";

/// Saves what happened. `api` is `None` where the API is not configured; `now` is the time of the save.
///
/// It always has an answer, by `deadline`.
pub async fn handle(
    contact: &Contact<'_>,
    config: &Config,
    api: Option<&Client>,
    deadline: Instant,
    now: Timestamp,
) -> Answer {
    let request = match request(contact, config, now) {
        Ok(request) => request,
        Err(reason) => return fallback(Some(contact), reason),
    };
    let Some(api) = api else { return fallback(Some(contact), Reason::Misconfigured) };
    let call = api.end_call(&request, deadline).await;
    let answer = match call.result {
        Ok(()) => answer(Some(contact), "saved", None, Severity::Info),
        Err(error) if error.reason() == Reason::Conflict => saved_before(contact),
        Err(error) => Answer { detail: Some(error.to_string()), ..fallback(Some(contact), error.reason()) },
    };
    Answer { effort: Some(call.effort), ..answer }
}

/// The answer where nothing was saved, with the reason.
pub fn fallback(contact: Option<&Contact<'_>>, reason: Reason) -> Answer {
    match reason {
        Reason::NoIdentity | Reason::OptedOut => answer(contact, "skipped", Some(reason), Severity::Info),
        // Whatever the reason, what was said in this call is gone unless somebody enters it again.
        _ => answer(contact, "failed", Some(reason), Severity::Error),
    }
}

/// 409 means that this call's end was saved before: a repeated block, or another flow of the same call. What the agent
/// wrote since then would be lost, so that is logged louder.
fn saved_before(contact: &Contact<'_>) -> Answer {
    let held_text = contact.value(CALL_SUMMARY).or_else(|| contact.value(AGENT_NOTES)).is_some();
    let severity = if held_text { Severity::Warn } else { Severity::Info };
    answer(Some(contact), "saved", Some(Reason::Conflict), severity)
}

/// The four attributes of a save.
fn answer(contact: Option<&Contact<'_>>, status: &'static str, reason: Option<Reason>, severity: Severity) -> Answer {
    let attributes = Attributes::new([
        (attribute_name!("success"), (status == "saved").to_string()),
        (attribute_name!("save_status"), status.to_owned()),
        (attribute_name!("error"), reason.map_or("", Reason::code).to_owned()),
        (attribute_name!("call_id"), contact.and_then(Contact::call_id).unwrap_or_default()),
    ]);
    Answer { attributes, outcome: status, reason, severity, effort: None, detail: None }
}

/// What the API is told, or why it is not.
fn request(contact: &Contact<'_>, config: &Config, now: Timestamp) -> Result<EndRequest, Reason> {
    if identity::has_opted_out(contact) {
        return Err(Reason::OptedOut);
    }
    let call_id = contact.call_id().ok_or(Reason::InvalidEvent)?;
    let customer_ref = identity::customer_ref(contact.value("customer_ref"));
    let identity_hints = if customer_ref.is_some() { None } else { Some(standalone_hints(contact, config)?) };
    Ok(EndRequest {
        call_id,
        customer_ref,
        identity_hints,
        intent: contact.value("intent").unwrap_or_else(|| "general_inquiry".to_owned()),
        intent_status: intent_status(contact),
        variables: variables(contact, now),
    })
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

/// A word that is none of the API's means that somebody should look; none at all means that the call went its way.
fn intent_status(contact: &Contact<'_>) -> IntentStatus {
    match contact.value("intent_status") {
        Some(word) => IntentStatus::parse(word.trim()).unwrap_or(IntentStatus::Open),
        None => IntentStatus::Resolved,
    }
}

/// What the next call shall know. Card numbers are taken out of every text.
fn variables(contact: &Contact<'_>, now: Timestamp) -> BTreeMap<String, String> {
    let summary = contact.value(CALL_SUMMARY).map(|text| (text, Some(CALL_SUMMARY)));
    let notes = contact.value(AGENT_NOTES);
    let (last_issue, source) = summary
        .or_else(|| notes.clone().map(|text| (text, Some(AGENT_NOTES))))
        .unwrap_or_else(|| (FILLER.to_owned(), None));
    let call_date = contact
        .value("call_date")
        .or_else(|| contact.value("call_start"))
        .or_else(|| contact.initiation_timestamp())
        .unwrap_or_else(|| format!("{now:.3}"));

    let own = [
        ("last_issue", Some(last_issue)),
        ("last_issue_source", source.map(str::to_owned)),
        ("resolution", notes),
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
