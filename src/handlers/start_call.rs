//! Start-call: asks the Sticky Calls API who is calling, and maps its answer to `$.External`.

use jiff::Timestamp;
use tokio::time::Instant;

use super::Answer;
use super::customer_context::{Known, NAME, confidence, customer_context};
use crate::config::{Config, Threshold};
use crate::connect::{Attributes, Contact, attribute_text};
use crate::identity;
use crate::lookup::lookup;
use crate::services::Services;
use crate::sticky_calls::{CustomerRef, IdentityHints, LineType, Recommendation, StartAnswer, StartRequest, Telco};
use crate::summary;
use crate::telemetry::{Report, Severity};
use crate::vocabulary::{Degradation, IdentifyAttribute, LookupSource, LookupStatus, Reason, Status};

/// Identifies the caller; `now` is the time of the call.
///
/// There is always an answer by `deadline`, and it always has the same attributes.
pub async fn handle(contact: &Contact<'_>, services: &Services, deadline: Instant, now: Timestamp) -> Answer {
    let config = &services.config;
    identity::check_opt_out(contact, &services.metrics);
    let request = match request(contact, config) {
        Ok(request) => request,
        Err(reason) => return fallback(Some(contact), config, reason, now),
    };
    let lookup = lookup(&request, services, deadline).await;
    let mut answer = match lookup.result {
        Ok((found, source)) => answered(contact, services, &found, source, now),
        Err(unanswered) => {
            let mut answer = fallback(Some(contact), config, unanswered.reason, now);
            answer.report.detail = unanswered.detail;
            answer
        }
    };
    answer.report.attempts = lookup.attempts;
    answer
}

/// The answer if the API was not asked or gave no answer: the attributes of an unknown caller, with the reason.
pub fn fallback(contact: Option<&Contact<'_>>, config: &Config, reason: Reason, now: Timestamp) -> Answer {
    let (status, severity) = match reason {
        reason if reason.is_on_purpose() => (LookupStatus::Skipped, Severity::Info),
        reason if reason.needs_an_operator() => (LookupStatus::Unavailable, Severity::Error),
        _ => (LookupStatus::Unavailable, Severity::Warn),
    };
    let outcome = Outcome { status, reason: Some(reason), source: None };
    Answer {
        attributes: attributes(contact, config, &StartAnswer::default(), outcome, now),
        report: Report::new(Status::Lookup(status), Some(reason), severity),
    }
}

/// The answer to the flow if the API or the cache gave one. The threshold decides about the status.
pub fn answered(
    contact: &Contact<'_>,
    services: &Services,
    answer: &StartAnswer,
    source: LookupSource,
    now: Timestamp,
) -> Answer {
    let is_returning = threshold(contact, services).is_met_by(answer.confidence);
    let status = match answer.recommendation {
        _ if is_returning => LookupStatus::Matched,
        Recommendation::Reuse | Recommendation::Confirm => LookupStatus::Unconfirmed,
        Recommendation::Ignore => LookupStatus::New,
    };
    let outcome = Outcome { status, reason: None, source: Some(source) };
    Answer {
        attributes: attributes(Some(contact), &services.config, answer, outcome, now),
        report: Report { source: Some(source), ..Report::new(Status::Lookup(status), None, Severity::Info) },
    }
}

/// What the API is asked, or why it is not asked.
///
/// # Errors
///
/// The reason for the `skipped` answer, or [`Reason::InvalidEvent`].
pub fn request(contact: &Contact<'_>, config: &Config) -> Result<StartRequest, Reason> {
    if identity::has_opted_out(contact) {
        return Err(Reason::OptedOut);
    }
    let call_id = identity::call_id(contact).ok_or(Reason::InvalidEvent)?;
    if !contact.kind().is_identified() {
        return Err(Reason::NotInbound);
    }
    if identity::is_internal(contact, config) {
        return Err(Reason::InternalNumber);
    }
    let identity_hints = IdentityHints {
        dnis: contact.system_number().map(|number| number.as_str().to_owned()),
        customer_ref: identity::known_ref(contact),
        ..identity::hints(contact, config)
    };
    if !identity_hints.are_usable() {
        return Err(Reason::NoIdentity);
    }
    let line_type = contact.value("line_type").and_then(|word| LineType::parse(&word));
    Ok(StartRequest { call_id, identity_hints, telco: line_type.map(|line_type| Telco { line_type }) })
}

/// The configured threshold, unless this flow block has one of its own.
fn threshold(contact: &Contact<'_>, services: &Services) -> Threshold {
    let configured = services.config.returning_threshold;
    let Some(text) = contact.parameter("returning_threshold") else { return configured };
    Threshold::parse(&text).unwrap_or_else(|| {
        let what = "the parameter returning_threshold is malformed and ignored";
        services.metrics.degraded(Degradation::Parameter, contact.contact_id().as_deref(), None, what);
        configured
    })
}

/// How a lookup ended.
#[derive(Clone, Copy)]
struct Outcome {
    status: LookupStatus,
    /// Why it was skipped or has no answer.
    reason: Option<Reason>,
    /// Where the answer comes from.
    source: Option<LookupSource>,
}

/// `$.External`: every attribute of the vocabulary, then the configured variables.
fn attributes(
    contact: Option<&Contact<'_>>,
    config: &Config,
    answer: &StartAnswer,
    outcome: Outcome,
    now: Timestamp,
) -> Attributes {
    let is_returning = (outcome.status == LookupStatus::Matched).to_string();
    // A flow stores the reference that it gets, so an empty one must not replace one that it already has.
    let customer_ref = answer.customer_ref.clone().or_else(|| identity::known_ref(contact?));
    let (last_issue, last_issue_source) = last_issue(answer);
    // An intent whose name is blank does not count.
    let intents = || answer.open_intents.iter().filter(|intent| !attribute_text(&intent.name).is_empty());
    let intent = intents().next();
    let intent_status = intent.and_then(|intent| intent.status.as_deref());
    let configured = |name: &str| {
        let variable = config.variables.iter().find(|variable| variable.name == name);
        let value = variable.and_then(|variable| answer.variables.get(&variable.name));
        value.map(|text| attribute_text(text)).unwrap_or_default()
    };
    let known = || Known {
        intent,
        last_issue: last_issue.clone(),
        last_issue_source,
        name: configured(NAME),
        resolution: configured(summary::RESOLUTION),
    };

    let value = |attribute: IdentifyAttribute| match attribute {
        IdentifyAttribute::CustomerRef => customer_ref.as_ref().map_or("", CustomerRef::as_str).to_owned(),
        IdentifyAttribute::Confidence => confidence(answer.confidence),
        IdentifyAttribute::IsReturningCaller | IdentifyAttribute::MatchFound => is_returning.clone(),
        IdentifyAttribute::LastIssue => last_issue.clone(),
        IdentifyAttribute::LastIssueSource => last_issue_source.to_owned(),
        IdentifyAttribute::HasOpenIntents => intent.is_some().to_string(),
        IdentifyAttribute::OpenIntent => intent.map(|intent| attribute_text(&intent.name)).unwrap_or_default(),
        IdentifyAttribute::OpenIntentStatus => intent_status.map(attribute_text).unwrap_or_default(),
        IdentifyAttribute::OpenIntentAttempts => intent.map_or(0, |intent| intent.attempts).to_string(),
        IdentifyAttribute::OpenIntentCount => intents().count().to_string(),
        IdentifyAttribute::IdentityLevel => answer.level.unwrap_or_default().to_owned(),
        IdentifyAttribute::Recommendation => answer.recommendation.as_str().to_owned(),
        IdentifyAttribute::CustomerContext => customer_context(outcome.status, outcome.reason, answer, &known()),
        IdentifyAttribute::CallId => contact.and_then(identity::call_id).unwrap_or_default(),
        IdentifyAttribute::CallStart => format!("{:.3}", answer.call_start.unwrap_or(now)),
        IdentifyAttribute::LookupStatus => outcome.status.as_str().to_owned(),
        IdentifyAttribute::LookupReason => outcome.reason.map_or("", Reason::as_str).to_owned(),
        IdentifyAttribute::LookupSource => outcome.source.map_or("", LookupSource::as_str).to_owned(),
    };
    let fixed = IdentifyAttribute::ALL.iter().map(|name| ((*name).into(), value(*name)));
    let variables = config.variables.iter().map(|variable| {
        let value = answer.variables.get(&variable.name);
        (variable.attribute.clone(), value.map(|text| attribute_text(text)).unwrap_or_default())
    });
    Attributes::new(fixed.chain(variables))
}

/// The last issue and its source. Both are empty if the text is the integration guide's filler.
fn last_issue(answer: &StartAnswer) -> (String, &'static str) {
    let text = answer.variables.get(summary::LAST_ISSUE).map(|text| attribute_text(text)).unwrap_or_default();
    if text.is_empty() || text.trim() == summary::FILLER {
        return (String::new(), "");
    }
    let source = match answer.variables.get(summary::LAST_ISSUE_SOURCE).map(String::as_str) {
        Some(summary::CALL_SUMMARY) => summary::CALL_SUMMARY,
        Some(summary::AGENT_NOTES) => summary::AGENT_NOTES,
        Some(summary::CONTACT_LENS) => summary::CONTACT_LENS,
        _ => "",
    };
    (text, source)
}
