//! Log lines.
//!
//! What is logged: one line when the function starts, one per malformed setting or parameter, one per invocation
//! (`answered`, or `batch` after a `summary` for each of its own), one per fault that an answer does not show, one when
//! the API is taken for down and one when it is back, failures of the process itself, and at DEBUG each retry. The line
//! that CloudWatch makes metrics of is none of these: [`crate::metrics`] writes it at every level. What never is, at
//! any level: the API key, a whole phone number, a name, an e-mail address, a summary, notes, variables, a raw request
//! or response body. A number shows its last two digits.
//!
//! That holds for dependencies too, which at TRACE print raw events and headers: only lines of this crate get through.

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt;

/// Starts logging to standard output as Lambda's [advanced logging
/// controls](https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-logformat.html) say:
/// `AWS_LAMBDA_LOG_LEVEL` (INFO where unset) and `AWS_LAMBDA_LOG_FORMAT` (JSON unless it is `Text`). `lookup` gives the
/// value of an environment variable. A panic is logged by its place alone, since its message may quote a text.
pub fn start(lookup: impl Fn(&str) -> Option<String>) {
    let level = level(lookup("AWS_LAMBDA_LOG_LEVEL").as_deref());
    let ours = Targets::new().with_target(env!("CARGO_CRATE_NAME"), level);
    let is_text = lookup("AWS_LAMBDA_LOG_FORMAT").is_some_and(|format| format.eq_ignore_ascii_case("text"));
    let lines = tracing_subscriber::registry().with(ours);
    // An error means that somebody else, a test, has started logging before.
    let _ = if is_text {
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

/// Lambda's words for a level. There is no FATAL here, so it is the next one below.
fn level(word: Option<&str>) -> LevelFilter {
    match word.map(str::to_ascii_uppercase).as_deref() {
        Some("TRACE") => LevelFilter::TRACE,
        Some("DEBUG") => LevelFilter::DEBUG,
        Some("WARN") => LevelFilter::WARN,
        Some("ERROR" | "FATAL") => LevelFilter::ERROR,
        _ => LevelFilter::INFO,
    }
}
