//! Metrics: one line per invocation in [CloudWatch's embedded metric
//! format](https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html).
//!
//! A function that always answers never counts as an error in AWS's own metrics. So this counts what callers got, in
//! the words of [`crate::vocabulary`].

use std::collections::BTreeMap;
use std::fmt::Display;
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde::Serialize;

use super::report::milliseconds;
use super::{Report, Severity, Subject, log};
use crate::config::{Config, LogLevel};
use crate::vocabulary::{
    Degradation, Handler, LookupStatus, Metric, MetricUnit, NAMESPACE, Reason, SaveStatus, Status, StatusMetric,
    SummaryFailure,
};

/// The most values of one metric in a line; the format allows no more.
const MAX_VALUES: usize = 100;

/// Counts during an invocation, and writes the line at its end. Lambda gives a process one invocation at a time.
#[derive(Debug)]
pub struct Metrics {
    service: String,
    level: LogLevel,
    malformed_settings: AtomicU64,
    counted: Mutex<Counted>,
}

#[derive(Debug, Default)]
struct Counted {
    by_handler: Values,
    by_service: Values,
}

/// Counts and measured values.
#[derive(Debug, Default, Serialize)]
#[serde(transparent)]
struct Values(BTreeMap<&'static str, Value>);

#[derive(Debug)]
struct Value {
    unit: MetricUnit,
    values: Vec<u64>,
}

impl Serialize for Value {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.unit {
            MetricUnit::Count => self.values.iter().sum::<u64>().serialize(serializer),
            _ => self.values.serialize(serializer),
        }
    }
}

impl Values {
    fn add(&mut self, name: &'static str, unit: MetricUnit, value: u64) {
        let known = &mut self.0.entry(name).or_insert_with(|| Value { unit, values: Vec::new() }).values;
        let is_full = known.len() == MAX_VALUES;
        match (unit, known.first_mut()) {
            (MetricUnit::Count, Some(sum)) => *sum += value,
            _ if is_full => {}
            _ => known.push(value),
        }
    }

    fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    fn count(&mut self, name: &'static str, count: u64) {
        self.add(name, MetricUnit::Count, count);
    }
}

impl Metrics {
    /// Metrics of the service that the configuration names.
    ///
    /// Lambda [drops lines](https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html)
    /// below the configured level. A line without a level counts as INFO. Alarms must not depend on that setting, so
    /// the line has a level that passes.
    pub fn new(config: &Config) -> Self {
        let level = config.log.level.max(LogLevel::Info);
        let (malformed_settings, counted) = (AtomicU64::default(), Mutex::default());
        Self { service: config.service.clone(), level, malformed_settings, counted }
    }

    /// Counts and logs one lookup or save.
    pub fn record(&self, report: &Report, subject: &Subject<'_>) {
        self.count(report, subject.handler);
        if let Some(time) = subject.answer_time {
            self.measure(Metric::AnswerTime, milliseconds(time));
        }
        log::report(report, subject);
    }

    /// Counts and logs an event that did not come from a flow. Only its reason counts: it is neither a lookup nor a
    /// save.
    pub fn record_no_flow_event(&self, report: &Report, subject: &Subject<'_>) {
        if let Some(reason) = report.reason {
            self.count_reason(reason);
        }
        log::report(&Report { severity: Severity::Warn, ..report.clone() }, subject);
    }

    /// Counts one lookup or save of a handler.
    pub fn count(&self, report: &Report, handler: Handler) {
        let mut counted = self.lock();
        if StatusMetric::is_counted(report.status) {
            counted.by_handler.count(report.status.as_str(), 1);
        }
        match report.status {
            // So that the average of `unavailable` is the share of lookups without an answer.
            Status::Lookup(LookupStatus::Matched | LookupStatus::Unconfirmed | LookupStatus::New) => {
                counted.by_handler.count(LookupStatus::Unavailable.as_str(), 0);
            }
            Status::Save(SaveStatus::Failed) => counted.by_service.count(Metric::NotKept.as_str(), 1),
            _ => {}
        }
        if let Some(attempts) = report.attempted() {
            // The API was asked. Writes a 0, so that the alarm turns OK once nothing needs an operator any more.
            counted.by_service.count(Metric::NeedsOperator.as_str(), 0);
            if handler.answers_flows() {
                counted.measure(Metric::ApiTime, milliseconds(attempts.latency));
            }
        }
        drop(counted);
        if let Some(reason) = report.reason {
            self.count_reason(reason);
        }
    }

    /// Counts a reason without a report.
    pub fn count_reason(&self, reason: Reason) {
        let mut counted = self.lock();
        counted.by_service.count(reason.as_str(), 1);
        if reason.needs_an_operator() {
            counted.by_service.count(Metric::NeedsOperator.as_str(), 1);
        }
    }

    /// Counts and logs a degradation. `what` describes it, `detail` is what the other side said.
    pub fn degraded(
        &self,
        degradation: Degradation,
        contact_id: Option<&str>,
        detail: Option<&dyn Display>,
        what: impl Display,
    ) {
        self.count_degradation(degradation);
        let (name, detail) = (degradation.as_str(), detail.map(ToString::to_string));
        match contact_id {
            Some(contact_id) => {
                tracing::warn!(contact_id, degradation = name, detail, "{what} (contact {contact_id})");
            }
            None => tracing::warn!(degradation = name, detail, "{what}"),
        }
    }

    /// Counts a degradation.
    pub fn count_degradation(&self, degradation: Degradation) {
        let mut counted = self.lock();
        counted.by_service.count(degradation.as_str(), 1);
        let total = degradation.total();
        // A table that is slow once shows in several degradations of one call.
        let is_counted = total == Metric::Degraded && counted.by_service.has(total.as_str());
        counted.by_service.count(total.as_str(), u64::from(!is_counted));
    }

    /// Counts and logs that Contact Lens could not summarise a contact. Nothing is wrong with the contact itself.
    pub fn summary_failed(&self, failure: SummaryFailure, contact_id: Option<&str>) {
        self.lock().by_service.count(failure.as_str(), 1);
        tracing::info!(contact_id, failure_code = failure.as_str(), "Contact Lens has no summary of a contact");
    }

    /// Sets how many malformed settings each line counts. A process has them until it ends, and their alarm must not turn
    /// OK before.
    pub fn set_malformed_settings(&self, count: usize) {
        self.malformed_settings.store(u64::try_from(count).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Takes a measured value.
    pub fn measure(&self, metric: Metric, value: u64) {
        self.lock().measure(metric, value);
    }

    /// Ends an invocation: writes the line to standard output, from where it gets to CloudWatch, and resets the counts.
    pub fn write(&self, handler: Handler, request_id: &str) {
        let mut line = self.line(handler, request_id, Timestamp::now());
        line.push('\n');
        // An error means that nobody reads standard output any more. The caller must not notice.
        let _ = std::io::stdout().lock().write_all(line.as_bytes());
    }

    /// The line without its line break, with the time `now`. Resets the counts.
    pub fn line(&self, handler: Handler, request_id: &str, now: Timestamp) -> String {
        let Counted { by_handler, mut by_service } = std::mem::take(&mut *self.lock());
        let malformed = self.malformed_settings.load(Ordering::Relaxed);
        if malformed > 0 {
            by_service.count(Degradation::Setting.as_str(), malformed);
            by_service.count(Metric::NeedsOperator.as_str(), malformed);
        }
        let directives =
            [Directive::new(&["service", "handler"], &by_handler), Directive::new(&["service"], &by_service)];
        let line = EmbeddedMetrics {
            // A directive without metrics is left out: CloudWatch would refuse the line.
            metadata: Metadata {
                timestamp: now.as_millisecond(),
                directives: directives.into_iter().flatten().collect(),
            },
            service: &self.service,
            handler: handler.as_str(),
            level: self.level.as_str(),
            timestamp: format!("{now:.3}"),
            message: "metrics",
            request_id,
            by_handler,
            by_service,
        };
        // This can't fail: all keys are text.
        serde_json::to_string(&line).unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, Counted> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counted {
    fn measure(&mut self, metric: Metric, value: u64) {
        let values = if metric.handlers().is_empty() { &mut self.by_service } else { &mut self.by_handler };
        values.add(metric.as_str(), metric.unit(), value);
    }
}

/// The line. The names are those of its specification.
#[derive(Serialize)]
struct EmbeddedMetrics<'a> {
    #[serde(rename = "_aws")]
    metadata: Metadata,
    service: &'a str,
    handler: &'static str,
    level: &'static str,
    timestamp: String,
    message: &'static str,
    request_id: &'a str,
    #[serde(flatten)]
    by_handler: Values,
    #[serde(flatten)]
    by_service: Values,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Metadata {
    timestamp: i64,
    #[serde(rename = "CloudWatchMetrics")]
    directives: Vec<Directive>,
}

/// Tells CloudWatch which fields of the line are metrics, and which are their dimensions.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Directive {
    namespace: &'static str,
    dimensions: [&'static [&'static str]; 1],
    metrics: Vec<Definition>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Definition {
    name: &'static str,
    unit: &'static str,
}

impl Directive {
    /// `None` if there are no values.
    fn new(dimensions: &'static [&'static str], values: &Values) -> Option<Self> {
        let metrics: Vec<_> =
            values.0.iter().map(|(name, value)| Definition { name, unit: value.unit.as_str() }).collect();
        (!metrics.is_empty()).then_some(Self { namespace: NAMESPACE, dimensions: [dimensions], metrics })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::sticky_calls::Attempts;

    fn metrics(level: Option<&str>) -> Metrics {
        let (config, _) = Config::read(|variable| match variable {
            "STICKY_CALLS_SERVICE" => Some("sticky".to_owned()),
            "AWS_LAMBDA_LOG_LEVEL" => level.map(str::to_owned),
            _ => None,
        });
        Metrics::new(&config)
    }

    fn line(metrics: &Metrics, handler: Handler) -> serde_json::Value {
        let now = "2026-02-07T10:30:00Z".parse().unwrap();
        serde_json::from_str(&metrics.line(handler, "request-0", now)).unwrap()
    }

    fn lookup(status: LookupStatus, reason: Option<Reason>) -> Report {
        let attempts = Some(Attempts { count: 2, latency: Duration::from_millis(80) });
        Report { attempts, ..Report::new(Status::Lookup(status), reason, Severity::Info) }
    }

    fn save(status: SaveStatus, reason: Option<Reason>) -> Report {
        Report {
            attempts: lookup(LookupStatus::New, None).attempts,
            ..Report::new(Status::Save(status), reason, Severity::Info)
        }
    }

    fn definition(name: &str, unit: &str) -> serde_json::Value {
        json!({"Name": name, "Unit": unit})
    }

    #[test]
    fn a_lookup_leaves_a_line_as_cloudwatch_specifies_it() {
        let metrics = metrics(None);
        metrics.count(&lookup(LookupStatus::Unavailable, Some(Reason::Unauthorized)), Handler::StartCall);
        metrics.measure(Metric::AnswerTime, 92);
        let expected = json!({
            "_aws": {"Timestamp": 1_770_460_200_000_u64, "CloudWatchMetrics": [
                {"Namespace": "StickyConnect", "Dimensions": [["service", "handler"]], "Metrics": [
                    definition("unavailable", "Count"),
                ]},
                {"Namespace": "StickyConnect", "Dimensions": [["service"]], "Metrics": [
                    definition("answer_ms", "Milliseconds"), definition("api_ms", "Milliseconds"),
                    definition("needs_operator", "Count"), definition("unauthorized", "Count"),
                ]},
            ]},
            "service": "sticky", "handler": "start_call",
            "timestamp": "2026-02-07T10:30:00.000Z", "level": "INFO", "message": "metrics", "request_id": "request-0",
            "unavailable": 1, "unauthorized": 1, "needs_operator": 1, "api_ms": [80], "answer_ms": [92],
        });
        assert_eq!(line(&metrics, Handler::StartCall), expected);
    }

    #[test]
    fn the_average_of_unavailable_is_the_share_of_lookups_without_an_answer() {
        let metrics = metrics(None);
        for (status, unavailable) in [
            (LookupStatus::Matched, json!(0)),
            (LookupStatus::Unconfirmed, json!(0)),
            (LookupStatus::New, json!(0)),
            (LookupStatus::Unavailable, json!(1)),
            (LookupStatus::Skipped, json!(null)),
        ] {
            metrics.count(&lookup(status, None), Handler::StartCall);
            assert_eq!(line(&metrics, Handler::StartCall)["unavailable"], unavailable, "{status:?}");
        }
    }

    #[test]
    fn each_call_is_counted_only_in_its_own_line() {
        let metrics = metrics(None);
        metrics.count_degradation(Degradation::TableRead);
        metrics.count(&lookup(LookupStatus::Matched, None), Handler::StartCall);
        let first = line(&metrics, Handler::StartCall);
        assert_eq!((&first["matched"], &first["table_read_failed"]), (&json!(1), &json!(1)));
        let second = line(&metrics, Handler::StartCall);
        assert_eq!((second.get("matched"), second.get("table_read_failed")), (None, None));
        assert_eq!(second["_aws"]["CloudWatchMetrics"], json!([]));
    }

    #[test]
    fn a_batch_is_one_line_whatever_it_holds() {
        let metrics = metrics(None);
        for _ in 0..150 {
            metrics.count(&save(SaveStatus::Saved, None), Handler::ContactRecords);
            metrics.measure(Metric::OutboxWait, 60);
        }
        metrics.count(&save(SaveStatus::Queued, Some(Reason::CircuitOpen)), Handler::ContactRecords);
        metrics.measure(Metric::Received, 151);
        let line = line(&metrics, Handler::ContactRecords);
        let counts = ["saved", "queued", "circuit_open", "received"];
        assert_eq!(counts.map(|name| line[name].as_u64().unwrap()), [150, 1, 1, 151]);
        // The format allows no more.
        assert_eq!(line["outbox_wait_s"].as_array().unwrap().len(), 100);
        assert_eq!(line.get("api_ms"), None, "nobody waits for a batch");
    }

    #[test]
    fn a_call_that_asked_the_api_says_that_nothing_has_to_be_mended_and_no_other_does() {
        let metrics = metrics(None);
        metrics.count(&lookup(LookupStatus::Matched, None), Handler::StartCall);
        assert_eq!(line(&metrics, Handler::StartCall)["needs_operator"], 0);
        metrics.count(&Report { attempts: None, ..lookup(LookupStatus::Skipped, None) }, Handler::StartCall);
        assert_eq!(line(&metrics, Handler::StartCall).get("needs_operator"), None);
    }

    #[test]
    fn an_invocation_is_degraded_once_however_often_the_table_fails() {
        let metrics = metrics(None);
        for degradation in [Degradation::TableRead, Degradation::TableWrite, Degradation::CacheInvalidation] {
            metrics.count_degradation(degradation);
        }
        let line = line(&metrics, Handler::EndCall);
        assert_eq!((&line["degraded"], &line["table_write_failed"]), (&json!(1), &json!(1)));
    }

    #[test]
    fn the_line_is_never_below_the_level_that_lambda_lets_through() {
        for (level, claimed) in
            [(None, "INFO"), (Some("DEBUG"), "INFO"), (Some("warn"), "WARN"), (Some("FATAL"), "FATAL")]
        {
            assert_eq!(line(&metrics(level), Handler::EndCall)["level"], claimed);
        }
    }

    #[test]
    fn each_total_for_alarms_adds_up_its_reasons_degradations_and_statuses() {
        let total = |count: &dyn Fn(&Metrics)| {
            let metrics = metrics(None);
            count(&metrics);
            let line = line(&metrics, Handler::EndCall);
            let totals =
                Metric::ALL.iter().filter(|metric| metric.is_a_total() && line[metric.as_str()].as_u64() > Some(0));
            totals.copied().collect::<Vec<_>>()
        };
        for degradation in Degradation::ALL {
            assert_eq!(total(&|metrics| metrics.count_degradation(*degradation)), [degradation.total()]);
            assert!(degradation.total().is_a_total());
        }
        for reason in Reason::ALL {
            let expected: &[_] = if reason.needs_an_operator() { &[Metric::NeedsOperator] } else { &[] };
            assert_eq!(total(&|metrics| metrics.count_reason(*reason)), expected, "{reason:?}");
        }
        for handler in [Handler::EndCall, Handler::ContactRecords, Handler::Redelivery] {
            assert_eq!(total(&|metrics| metrics.count(&save(SaveStatus::Failed, None), handler)), [Metric::NotKept]);
        }
        assert_eq!(total(&|metrics| metrics.count(&save(SaveStatus::Queued, None), Handler::EndCall)), []);
    }
}
