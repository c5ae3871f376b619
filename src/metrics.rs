//! Metrics: one line per invocation in [CloudWatch's embedded metric
//! format](https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html).
//!
//! A function that always answers is invisible to AWS's own error metrics, so this counts what callers got. The names are
//! the words of the log and the answers: outcomes, reasons, faults. The dimensions are the function and the handler; what
//! calls for an operator is by the function alone, so that an alarm need not add the handlers up. Nothing else is a
//! dimension: each of its values would be a metric of its own, on the bill too.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use crate::answer::{Line, Report, Severity, milliseconds};
use crate::dispatch::Handler;
use crate::fault::Fault;
use crate::reason::Reason;

/// The namespace in CloudWatch.
const NAMESPACE: &str = "StickyConnect";

/// The most values of one metric that a line may hold.
const MAX_VALUES: usize = 100;

/// How many lookups and saves had a reason that stays until an operator does something about it.
const NEEDS_OPERATOR: &str = "needs_operator";

/// How often the API was asked, retries included.
const API_ATTEMPTS: &str = "api_attempts";

/// How long the API took, each time that it was asked.
const API_MS: &str = "api_ms";

/// How many lookups the cache answered, of those for which it was looked at.
const CACHE_HITS: &str = "cache_hits";

/// A batch as a whole.
#[derive(Clone, Copy, Debug)]
pub struct Batch {
    /// How many messages or records came.
    pub received: usize,
    /// How many of them shall come again.
    pub come_again: usize,
}

/// Counts during an invocation, and writes the line at its end. Lambda gives a process one invocation at a time.
#[derive(Debug)]
pub struct Metrics {
    function_name: String,
    level: String,
    counted: Mutex<Counted>,
    is_warm: AtomicBool,
}

#[derive(Debug, Default)]
struct Counted {
    /// What came of lookups and saves, and why.
    by_handler: Counts,
    /// What calls for an operator, whichever handler met it.
    by_function: Counts,
    api_ms: Vec<u64>,
}

#[derive(Debug, Default, Serialize)]
struct Counts(BTreeMap<&'static str, u64>);

impl Counts {
    fn add(&mut self, name: &'static str, count: u64) {
        *self.0.entry(name).or_default() += count;
    }

    fn names(&self) -> impl Iterator<Item = &'static str> {
        self.0.keys().copied()
    }
}

impl Metrics {
    /// Metrics of the function whose environment variables `lookup` gives.
    ///
    /// Lambda [drops lines](https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html) below
    /// the level that it was told, those without a level as if they said INFO. Alarms must not depend on that setting, so
    /// the line has the level that is let through.
    pub fn new(lookup: impl Fn(&str) -> Option<String>) -> Self {
        let level = lookup("AWS_LAMBDA_LOG_LEVEL").map(|word| word.to_ascii_uppercase());
        Self {
            function_name: lookup("AWS_LAMBDA_FUNCTION_NAME").unwrap_or_default(),
            level: level
                .filter(|word| ["WARN", "ERROR", "FATAL"].contains(&word.as_str()))
                .unwrap_or("INFO".to_owned()),
            counted: Mutex::default(),
            is_warm: AtomicBool::default(),
        }
    }

    /// Counts what came of one lookup or save, and logs it.
    pub fn record(&self, report: &Report, line: &Line<'_>) {
        self.count(report);
        report.log(line);
    }

    /// Counts and logs an event that is no flow's, by its reason alone: it is no lookup and no save.
    pub fn record_no_flow_event(&self, report: &Report, line: &Line<'_>) {
        if let Some(reason) = report.reason {
            self.lock().count_reason(reason);
        }
        Report { severity: Severity::Warn, ..report.clone() }.log(line);
    }

    /// Counts what came of one lookup or save.
    pub fn count(&self, report: &Report) {
        let mut counted = self.lock();
        counted.by_handler.add(report.outcome, 1);
        if let Some(reason) = report.reason {
            counted.count_reason(reason);
        }
        if let Some(hit) = report.cache_hit {
            counted.by_handler.add(CACHE_HITS, u64::from(hit));
        }
        if let Some(effort) = report.asked() {
            counted.by_handler.add(API_ATTEMPTS, u64::from(effort.attempts));
            counted.api_ms.push(milliseconds(effort.latency));
        }
    }

    /// Counts a fault that no report holds.
    pub fn count_fault(&self, fault: Fault) {
        self.lock().by_function.add(fault.name(), 1);
    }

    /// Counts a panic around the handler of a batch, which leaves no report.
    pub fn count_panic(&self) {
        self.lock().count_reason(Reason::Internal);
    }

    /// Ends an invocation: writes what was counted, to where CloudWatch reads it, and starts over. `remaining` is what was
    /// left of the budget.
    pub fn write(&self, handler: Handler, request_id: &str, remaining: Duration, batch: Option<Batch>) {
        let mut line = self.line(handler, request_id, remaining, batch, Timestamp::now());
        line.push('\n');
        // Whoever reads it has gone; the caller must not notice.
        let _ = std::io::stdout().lock().write_all(line.as_bytes());
    }

    /// The line without its end, as of `now`; what was counted starts over.
    pub fn line(
        &self,
        handler: Handler,
        request_id: &str,
        remaining: Duration,
        batch: Option<Batch>,
        now: Timestamp,
    ) -> String {
        let Counted { mut by_handler, mut by_function, mut api_ms } = std::mem::take(&mut *self.lock());
        handler.outcomes().iter().for_each(|outcome| by_handler.add(outcome, 0));
        by_handler.add(API_ATTEMPTS, 0);
        by_handler.add("cold_start", u64::from(!self.is_warm.swap(true, Ordering::Relaxed)));
        by_handler.add("remaining_ms", milliseconds(remaining));
        if let Some(batch) = batch {
            by_handler.add("received", batch.received as u64);
            by_handler.add("come_again", batch.come_again as u64);
        }
        by_function.add(NEEDS_OPERATOR, 0);
        api_ms.truncate(MAX_VALUES);
        let api_ms = Some(api_ms).filter(|values| !values.is_empty());
        let names = by_handler.names().chain(api_ms.as_ref().map(|_| API_MS));
        let directives = [
            Directive::new(&["FunctionName", "Handler"], names),
            Directive::new(&["FunctionName"], by_function.names()),
        ];
        let line = EmbeddedMetrics {
            metadata: Metadata { timestamp: now.as_millisecond(), directives },
            function_name: &self.function_name,
            handler: handler.name(),
            level: &self.level,
            timestamp: format!("{now:.3}"),
            message: "metrics",
            request_id,
            by_handler,
            by_function,
            api_ms,
        };
        // All of its keys are text, so there is nothing that could not be written.
        serde_json::to_string(&line).unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, Counted> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counted {
    fn count_reason(&mut self, reason: Reason) {
        self.by_handler.add(reason.code(), 1);
        self.by_function.add(NEEDS_OPERATOR, u64::from(reason.needs_an_operator()));
    }
}

/// The line, in the words of its specification.
#[derive(Serialize)]
struct EmbeddedMetrics<'a> {
    #[serde(rename = "_aws")]
    metadata: Metadata,
    #[serde(rename = "FunctionName")]
    function_name: &'a str,
    #[serde(rename = "Handler")]
    handler: &'static str,
    level: &'a str,
    timestamp: String,
    message: &'static str,
    request_id: &'a str,
    #[serde(flatten)]
    by_handler: Counts,
    #[serde(flatten)]
    by_function: Counts,
    #[serde(skip_serializing_if = "Option::is_none")]
    api_ms: Option<Vec<u64>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Metadata {
    timestamp: i64,
    #[serde(rename = "CloudWatchMetrics")]
    directives: [Directive; 2],
}

/// Tells CloudWatch which of the line's fields are metrics, and which are their dimensions.
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
    fn new(dimensions: &'static [&'static str], metrics: impl Iterator<Item = &'static str>) -> Self {
        let metrics = metrics.map(|name| Definition { name, unit: unit(name) }).collect();
        Self { namespace: NAMESPACE, dimensions: [dimensions], metrics }
    }
}

fn unit(name: &str) -> &'static str {
    if name.ends_with("_ms") { "Milliseconds" } else { "Count" }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::sticky_calls::Effort;

    fn metrics(level: Option<&str>) -> Metrics {
        Metrics::new(|variable| match variable {
            "AWS_LAMBDA_FUNCTION_NAME" => Some("identify".to_owned()),
            "AWS_LAMBDA_LOG_LEVEL" => level.map(str::to_owned),
            _ => None,
        })
    }

    fn line(metrics: &Metrics, handler: Handler, batch: Option<Batch>) -> Value {
        let now = "2026-02-07T10:30:00Z".parse().unwrap();
        serde_json::from_str(&metrics.line(handler, "request-0", Duration::from_millis(2_420), batch, now)).unwrap()
    }

    fn asked_once_in(ms: u64) -> Option<Effort> {
        Some(Effort { attempts: 1, latency: Duration::from_millis(ms) })
    }

    #[test]
    fn a_lookup_leaves_a_line_as_cloudwatch_specifies_it() {
        let metrics = metrics(None);
        let effort = Some(Effort { attempts: 2, latency: Duration::from_millis(80) });
        let refused = Report::new("unavailable", Some(Reason::Unauthorized), Severity::Error);
        metrics.count(&Report { effort, cache_hit: Some(false), ..refused });
        let count = |name: &str| json!({"Name": name, "Unit": "Count"});
        let ms = |name: &str| json!({"Name": name, "Unit": "Milliseconds"});
        let expected = json!({
            "_aws": {"Timestamp": 1_770_460_200_000_u64, "CloudWatchMetrics": [
                {"Namespace": "StickyConnect", "Dimensions": [["FunctionName", "Handler"]], "Metrics": [
                    count("api_attempts"), count("cache_hits"), count("cold_start"), count("matched"),
                    count("new"), ms("remaining_ms"), count("skipped"), count("unauthorized"), count("unavailable"),
                    count("unconfirmed"), ms("api_ms"),
                ]},
                {"Namespace": "StickyConnect", "Dimensions": [["FunctionName"]], "Metrics": [count("needs_operator")]},
            ]},
            "FunctionName": "identify", "Handler": "start_call",
            "timestamp": "2026-02-07T10:30:00.000Z", "level": "INFO", "message": "metrics", "request_id": "request-0",
            "matched": 0, "unconfirmed": 0, "new": 0, "skipped": 0, "unavailable": 1, "unauthorized": 1,
            "needs_operator": 1, "cache_hits": 0, "cold_start": 1, "api_attempts": 2, "api_ms": [80], "remaining_ms": 2_420,
        });
        assert_eq!(line(&metrics, Handler::StartCall, None), expected);
    }

    #[test]
    fn each_call_is_counted_in_its_own_line_alone() {
        let metrics = metrics(None);
        metrics.count_fault(Fault::TableRead);
        metrics.count(&Report::new("matched", None, Severity::Info));
        let first = line(&metrics, Handler::StartCall, None);
        assert_eq!(
            (&first["matched"], &first["table_read_failed"], &first["cold_start"]),
            (&json!(1), &json!(1), &json!(1))
        );
        let second = line(&metrics, Handler::StartCall, None);
        assert_eq!(
            (&second["matched"], second.get("table_read_failed"), &second["cold_start"]),
            (&json!(0), None, &json!(0))
        );
    }

    #[test]
    fn a_batch_is_one_line_whatever_it_holds() {
        let metrics = metrics(None);
        for ms in 0..150 {
            metrics.count(&Report { effort: asked_once_in(ms), ..Report::new("saved", None, Severity::Info) });
        }
        metrics.count(&Report::new("queued", Some(Reason::CircuitOpen), Severity::Warn));
        let line = line(&metrics, Handler::ContactRecords, Some(Batch { received: 151, come_again: 0 }));
        let counts = ["saved", "queued", "circuit_open", "failed", "api_attempts", "received", "come_again"];
        assert_eq!(counts.map(|name| line[name].as_u64().unwrap()), [150, 1, 1, 0, 150, 151, 0]);
        // The most that the format takes.
        assert_eq!(line["api_ms"].as_array().unwrap().len(), 100);
    }

    #[test]
    fn the_line_is_never_below_the_level_that_lambda_lets_through() {
        for (level, claimed) in
            [(None, "INFO"), (Some("DEBUG"), "INFO"), (Some("warn"), "WARN"), (Some("FATAL"), "FATAL")]
        {
            assert_eq!(line(&metrics(level), Handler::EndCall, None)["level"], claimed);
        }
    }

    #[test]
    fn every_metric_of_a_line_is_one_number_or_up_to_a_hundred() {
        let metrics = metrics(None);
        let faults = [
            Fault::TableRead,
            Fault::TableWrite,
            Fault::CacheVoid,
            Fault::KeyRead,
            Fault::PutOff,
            Fault::Setting,
            Fault::Parameter,
            Fault::Record,
            Fault::TextNotSaved,
        ];
        for fault in faults {
            metrics.count_fault(fault);
        }
        metrics.count_panic();
        let line = line(&metrics, Handler::Redelivery, Some(Batch { received: 1, come_again: 1 }));
        let directives = line["_aws"]["CloudWatchMetrics"].as_array().unwrap();
        let definitions = directives.iter().flat_map(|directive| directive["Metrics"].as_array().unwrap());
        assert!(definitions.into_iter().all(|metric| line[metric["Name"].as_str().unwrap()].is_u64()), "{line}");
        assert_eq!((&line["internal"], &line["needs_operator"]), (&json!(1), &json!(1)));
        assert!(faults.iter().all(|fault| line[fault.name()] == 1), "{line}");
    }
}
