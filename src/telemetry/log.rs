//! Log lines.
//!
//! What is logged: one line when the function starts and one when its environment ends, one for each malformed setting
//! or parameter, one for each invocation (`answered …`, or a `summary …` for each summary and then `batch`), one for
//! each degradation, one when the circuit breaker opens and one when it closes, failures of the process itself, and at
//! DEBUG each retry.
//!
//! What is never logged, at any level: the API key, a whole phone number, a name, an e-mail address, a summary, notes,
//! variables, a raw request or response body. Of a number the last two digits are logged.
//!
//! Only lines of this crate are printed: at TRACE, dependencies would print raw events and headers. The line from which
//! CloudWatch makes metrics is not a log line; [`Metrics`](super::Metrics) writes it at every level.

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt;

use super::report::milliseconds;
use super::{Report, Severity, Subject};
use crate::config::{LogConfig, LogLevel};

/// Starts logging to standard output. A panic is logged with its place alone, because its message may quote a text.
pub fn start(config: LogConfig) {
    let ours = Targets::new().with_target(env!("CARGO_CRATE_NAME"), filter(config.level));
    let lines = tracing_subscriber::registry().with(ours);
    // An error means that logging has been started before, by a test.
    let _ = if config.is_text {
        tracing::subscriber::set_global_default(lines.with(fmt::layer().with_ansi(false).with_target(false)))
    } else {
        let json = fmt::layer().json().flatten_event(true).with_current_span(false).with_span_list(false);
        tracing::subscriber::set_global_default(lines.with(json.with_target(false)))
    };
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        tracing::error!(place, "panicked");
    }));
}

/// `tracing` has no FATAL, so it becomes ERROR.
fn filter(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Trace => LevelFilter::TRACE,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Error | LogLevel::Fatal => LevelFilter::ERROR,
    }
}

/// Logs the line about one lookup or save.
pub(super) fn report(report: &Report, subject: &Subject<'_>) {
    let attempts = report.attempted();
    let message = match (subject.handler.answers_flows(), &subject.contact_id) {
        (true, Some(contact_id)) => format!("answered contact {contact_id}"),
        (true, None) => "answered".to_owned(),
        (false, Some(contact_id)) => format!("summary of contact {contact_id}"),
        (false, None) => "summary".to_owned(),
    };
    macro_rules! at {
        ($level:ident) => {
            tracing::$level!(
                request_id = subject.request_id,
                contact_id = subject.contact_id,
                handler = subject.handler.as_str(),
                status = report.status.as_str(),
                reason = report.reason.map(|reason| reason.as_str()),
                detail = report.detail,
                source = report.source.map(|source| source.as_str()),
                attempts = attempts.map_or(0, |attempts| attempts.count),
                api_ms = attempts.map(|attempts| milliseconds(attempts.latency)),
                receives = subject.receives,
                total_ms = subject.answer_time.map(milliseconds),
                caller_ends_in = subject.caller_ends_in,
                "{message}"
            )
        };
    }
    match report.severity {
        Severity::Info => at!(info),
        Severity::Warn => at!(warn),
        Severity::Error => at!(error),
    }
}
