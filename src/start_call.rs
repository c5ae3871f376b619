//! Start-call: asks the Sticky Calls API who is calling and maps its answer to `$.External`.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::answer::{Answer, Report, Severity};
use crate::budget;
use crate::cache::Cache;
use crate::config::{Config, Threshold};
use crate::connect::{Attributes, Contact, attribute_name, attribute_text};
use crate::fault::Fault;
use crate::identity;
use crate::metrics::Metrics;
use crate::reason::Reason;
use crate::services::Services;
use crate::sticky_calls::{
    ApiKey, Error, IdentityHints, LineType, Recommendation, StartAnswer, StartRequest, Started, Telco,
};
use crate::summary;

/// Identifies the caller; `now` is the time of the call.
///
/// It always has an answer, by `deadline`: the same attributes on every path.
pub async fn handle(contact: &Contact<'_>, services: &Services, deadline: Instant, now: Timestamp) -> Answer {
    let config = &services.config;
    identity::check_opt_out(contact, &services.metrics);
    let request = match request(contact, config) {
        Ok(request) => request,
        Err(reason) => return fallback(Some(contact), config, reason, now),
    };
    let Some(api) = &services.api else { return fallback(Some(contact), config, Reason::Misconfigured, now) };
    let key = match api.keys.current(deadline).await {
        Ok(key) => key,
        Err(error) => return unanswered(contact, config, &error.into(), now),
    };
    let mut cache = CacheShare::new(services);
    if let Some(kept) = cache.find(&request, &key, deadline).await {
        let mut answer = answered(contact, services, &kept, "cache", now);
        answer.report.cache_hit = Some(true);
        return answer;
    }
    let asked = Timestamp::now();
    let call = api.start_call(&request, deadline).await;
    let mut answer = match call.result {
        Ok(started) => {
            cache.keep(&request, &started, &key, asked, deadline).await;
            answered(contact, services, &started.answer, "api", now)
        }
        Err(error) => unanswered(contact, config, &error, now),
    };
    answer.report.cache_hit = services.cache.is_some().then_some(false);
    answer.report.effort = Some(call.effort);
    answer
}

/// The cache, and what one caller may still spend on it: [`budget::TABLE`] for looking and keeping together.
struct CacheShare<'a> {
    cache: Option<&'a Cache>,
    metrics: &'a Metrics,
    left: Duration,
}

impl<'a> CacheShare<'a> {
    fn new(services: &'a Services) -> Self {
        Self { cache: services.cache.as_ref(), metrics: &services.metrics, left: budget::TABLE }
    }

    /// The kept answer to this question. Where the cache does not answer, the API shall be asked.
    async fn find(&mut self, request: &StartRequest, key: &ApiKey, deadline: Instant) -> Option<StartAnswer> {
        let cache = self.cache?;
        let began = Instant::now();
        let found = cache.find(request, key, deadline.min(began + self.left)).await;
        self.left = self.left.saturating_sub(began.elapsed());
        found.unwrap_or_else(|error| {
            self.metrics.count_fault(Fault::TableRead);
            tracing::warn!(fault = Fault::TableRead.name(), detail = %error, "the cache could not be read");
            None
        })
    }

    /// Keeps an answer of the API's, where there is time left for it.
    async fn keep(&self, request: &StartRequest, started: &Started, key: &ApiKey, asked: Timestamp, deadline: Instant) {
        let Some(cache) = self.cache else { return };
        if self.left.is_zero() {
            return;
        }
        let deadline = deadline.min(Instant::now() + self.left);
        if let Err(error) = cache.keep(request, started, key, asked, deadline).await {
            self.metrics.count_fault(Fault::TableWrite);
            tracing::warn!(fault = Fault::TableWrite.name(), detail = %error, "the cache could not be written");
        }
    }
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
    Answer { attributes, report: report(&lookup, severity) }
}

/// The fallback for what the API said or failed to say.
fn unanswered(contact: &Contact<'_>, config: &Config, error: &Error, now: Timestamp) -> Answer {
    let mut answer = fallback(Some(contact), config, error.reason(), now);
    answer.report.detail = Some(error.to_string());
    answer
}

/// The answer to the flow where the API gave one: `answer`, weighed by the threshold, with the `source` that it came from
/// (`api` or `cache`).
pub fn answered(
    contact: &Contact<'_>,
    services: &Services,
    answer: &StartAnswer,
    source: &'static str,
    now: Timestamp,
) -> Answer {
    let returning = threshold(contact, services).is_met_by(answer.confidence);
    let status = match answer.recommendation {
        _ if returning => "matched",
        Recommendation::Reuse | Recommendation::Confirm => "unconfirmed",
        Recommendation::Ignore => "new",
    };
    let lookup = Lookup { status, reason: None, source, returning };
    let attributes = attributes(Some(contact), &services.config, answer, &lookup, now);
    Answer { attributes, report: report(&lookup, Severity::Info) }
}

fn report(lookup: &Lookup, severity: Severity) -> Report {
    let Lookup { status, reason, source, returning: _ } = *lookup;
    Report { source, ..Report::new(status, reason, severity) }
}

/// What the API is asked, or why it is not.
///
/// # Errors
///
/// The reason of the `skipped` answer, or [`Reason::InvalidEvent`].
pub fn request(contact: &Contact<'_>, config: &Config) -> Result<StartRequest, Reason> {
    if identity::has_opted_out(contact) {
        return Err(Reason::OptedOut);
    }
    let call_id = contact.call_id().ok_or(Reason::InvalidEvent)?;
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
        let (contact_id, fault) = (contact.contact_id(), Fault::Parameter);
        services.metrics.count_fault(fault);
        tracing::warn!(contact_id, fault = fault.name(), "malformed returning_threshold parameter ignored");
        configured
    })
}

/// What came of the lookup as a whole.
struct Lookup {
    status: &'static str,
    reason: Option<Reason>,
    source: &'static str,
    returning: bool,
}

/// `$.External`, line by line as the table in `docs/reference.md` has it. An attribute is added here, in that table and in the
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
    let customer_ref = identity::customer_ref(answer.customer_ref.clone()).or_else(|| identity::known_ref(contact?));
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
    let text = answer.variables.get(summary::LAST_ISSUE).map(|text| attribute_text(text)).unwrap_or_default();
    if text.is_empty() || text.trim() == summary::FILLER {
        return (String::new(), "");
    }
    let source = match answer.variables.get(summary::LAST_ISSUE_SOURCE).map(String::as_str) {
        Some(summary::CALL_SUMMARY) => summary::CALL_SUMMARY,
        Some(summary::AGENT_NOTES) => summary::AGENT_NOTES,
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
