//! Start-call: asks the Sticky Calls API who is calling and maps its answer to `$.External`.

use jiff::Timestamp;
use tokio::time::Instant;

use crate::answer::{Answer, Severity};
use crate::config::{Config, Threshold};
use crate::connect::{Attributes, Contact, attribute_name, attribute_text};
use crate::end_call;
use crate::identity;
use crate::reason::Reason;
use crate::sticky_calls::{Client, IdentityHints, LineType, Recommendation, StartAnswer, StartRequest, Telco};

/// How these contacts came to be: they continue another one, or we placed the call ourselves.
const NOT_INBOUND: [&str; 7] =
    ["TRANSFER", "QUEUE_TRANSFER", "CALLBACK", "MONITOR", "OUTBOUND", "EXTERNAL_OUTBOUND", "AGENT_REPLY"];

/// Identifies the caller. `api` is `None` where the API is not configured; `now` is the time of the call.
///
/// It always has an answer, by `deadline`: the same attributes on every path.
pub async fn handle(
    contact: &Contact<'_>,
    config: &Config,
    api: Option<&Client>,
    deadline: Instant,
    now: Timestamp,
) -> Answer {
    let request = match request(contact, config) {
        Ok(request) => request,
        Err(reason) => return fallback(Some(contact), config, reason, now),
    };
    let Some(api) = api else { return fallback(Some(contact), config, Reason::Misconfigured, now) };
    let call = api.start_call(&request, deadline).await;
    let answer = match call.result {
        Ok(answer) => answered(contact, config, &answer, now),
        Err(error) => {
            Answer { detail: Some(error.to_string()), ..fallback(Some(contact), config, error.reason(), now) }
        }
    };
    Answer { effort: Some(call.effort), ..answer }
}

/// The answer where the API was not asked or did not help: what is known of nobody, with the reason.
pub fn fallback(contact: Option<&Contact<'_>>, config: &Config, reason: Reason, now: Timestamp) -> Answer {
    let (status, severity) = match reason {
        Reason::NoIdentity | Reason::InternalNumber | Reason::NotInbound | Reason::OptedOut => {
            ("skipped", Severity::Info)
        }
        reason if reason.needs_an_operator() => ("unavailable", Severity::Error),
        _ => ("unavailable", Severity::Warn),
    };
    let lookup = Lookup { status, reason: Some(reason), source: "", returning: false };
    let attributes = attributes(contact, config, &StartAnswer::default(), &lookup, now);
    Answer { attributes, outcome: status, reason: Some(reason), severity, effort: None, detail: None }
}

fn answered(contact: &Contact<'_>, config: &Config, answer: &StartAnswer, now: Timestamp) -> Answer {
    let returning = threshold(contact, config).is_met_by(answer.confidence);
    let status = match answer.recommendation {
        _ if returning => "matched",
        Recommendation::Reuse | Recommendation::Confirm => "unconfirmed",
        Recommendation::Ignore => "new",
    };
    let lookup = Lookup { status, reason: None, source: "api", returning };
    let attributes = attributes(Some(contact), config, answer, &lookup, now);
    Answer { attributes, outcome: status, reason: None, severity: Severity::Info, effort: None, detail: None }
}

/// What the API is asked, or why it is not.
fn request(contact: &Contact<'_>, config: &Config) -> Result<StartRequest, Reason> {
    if identity::has_opted_out(contact) {
        return Err(Reason::OptedOut);
    }
    let call_id = contact.call_id().ok_or(Reason::InvalidEvent)?;
    if !is_new_call(contact) {
        return Err(Reason::NotInbound);
    }
    if identity::is_internal(contact, config) {
        return Err(Reason::InternalNumber);
    }
    let identity_hints = IdentityHints {
        ani: contact.customer_number().map(|number| number.as_str().to_owned()),
        dnis: contact.system_number().map(|number| number.as_str().to_owned()),
        external_ids: identity::external_ids(contact, config),
        customer_ref: identity::customer_ref(contact.value("customer_ref")),
    };
    if !identity_hints.are_usable() {
        return Err(Reason::NoIdentity);
    }
    let line_type = contact.value("line_type").and_then(|word| LineType::parse(&word));
    Ok(StartRequest { call_id, identity_hints, telco: line_type.map(|line_type| Telco { line_type }) })
}

/// A chat or a task comes by `API` too; a voice contact by `API` is a call that we placed.
fn is_new_call(contact: &Contact<'_>) -> bool {
    let method = contact.initiation_method().unwrap_or_default();
    let placed_by_api = method == "API" && contact.channel().as_deref() == Some("VOICE");
    !placed_by_api && !NOT_INBOUND.contains(&method.as_str())
}

/// The configured threshold, unless this flow block has one of its own.
fn threshold(contact: &Contact<'_>, config: &Config) -> Threshold {
    let Some(text) = contact.parameter("returning_threshold") else { return config.returning_threshold };
    Threshold::parse(&text).unwrap_or_else(|| {
        tracing::warn!(contact_id = contact.contact_id(), "malformed returning_threshold parameter ignored");
        config.returning_threshold
    })
}

/// What came of the lookup as a whole.
struct Lookup {
    status: &'static str,
    reason: Option<Reason>,
    source: &'static str,
    returning: bool,
}

/// `$.External`, line by line as the README's table has it. An attribute is added here, in that table and in the
/// expected answers in `tests/answers/`.
fn attributes(
    contact: Option<&Contact<'_>>,
    config: &Config,
    answer: &StartAnswer,
    lookup: &Lookup,
    now: Timestamp,
) -> Attributes {
    let returning = lookup.returning.to_string();
    // A flow stores what it gets, so a reference that it already had must not come back empty.
    let customer_ref = identity::customer_ref(answer.customer_ref.clone())
        .or_else(|| identity::customer_ref(contact?.value("customer_ref")));
    let (last_issue, last_issue_source) = last_issue(answer);
    // A name of which nothing is left to read is none.
    let intents = || answer.open_intents.iter().filter(|intent| !attribute_text(&intent.name).is_empty());
    let intent = intents().next();
    let intent_status = intent.and_then(|intent| intent.status.as_deref());

    let fixed = [
        (attribute_name!("customer_ref"), customer_ref.unwrap_or_default()),
        (attribute_name!("confidence"), decimal(answer.confidence)),
        (attribute_name!("is_returning_caller"), returning.clone()),
        (attribute_name!("match_found"), returning),
        (attribute_name!("last_issue"), last_issue),
        (attribute_name!("last_issue_source"), last_issue_source.to_owned()),
        (attribute_name!("has_open_intents"), intent.is_some().to_string()),
        (attribute_name!("open_intent"), intent.map(|intent| attribute_text(&intent.name)).unwrap_or_default()),
        (attribute_name!("open_intent_status"), intent_status.map(attribute_text).unwrap_or_default()),
        (attribute_name!("open_intent_attempts"), intent.map_or(0, |intent| intent.attempts).to_string()),
        (attribute_name!("open_intent_count"), intents().count().to_string()),
        (attribute_name!("identity_level"), answer.level.unwrap_or_default().to_owned()),
        (attribute_name!("recommendation"), answer.recommendation.as_str().to_owned()),
        (attribute_name!("call_id"), contact.and_then(Contact::call_id).unwrap_or_default()),
        (attribute_name!("call_start"), format!("{:.3}", answer.call_start.unwrap_or(now))),
        (attribute_name!("lookup_status"), lookup.status.to_owned()),
        (attribute_name!("lookup_reason"), lookup.reason.map_or("", Reason::code).to_owned()),
        (attribute_name!("lookup_source"), lookup.source.to_owned()),
    ];
    let variables = config.variables.iter().map(|variable| {
        let value = answer.variables.get(&variable.name);
        (variable.attribute.clone(), value.map(|text| attribute_text(text)).unwrap_or_default())
    });
    Attributes::new(fixed.into_iter().chain(variables))
}

/// The last issue and who wrote it. A save without summary and notes left a filler that says nothing.
fn last_issue(answer: &StartAnswer) -> (String, &'static str) {
    let text = answer.variables.get("last_issue").map(|text| attribute_text(text)).unwrap_or_default();
    if text.is_empty() || text.trim() == end_call::FILLER {
        return (String::new(), "");
    }
    let source = match answer.variables.get("last_issue_source").map(String::as_str) {
        Some(end_call::CALL_SUMMARY) => end_call::CALL_SUMMARY,
        Some(end_call::AGENT_NOTES) => end_call::AGENT_NOTES,
        _ => "",
    };
    (text, source)
}

/// A confidence as flows compare it: it always has a decimal point.
fn decimal(confidence: f64) -> String {
    // Adding zero turns -0 into 0.
    let text = (confidence + 0.0).to_string();
    if text.contains('.') { text } else { text + ".0" }
}
