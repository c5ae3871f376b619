//! Process start, and the Lambda Runtime API.

use std::cell::Cell;
use std::convert::Infallible;
use std::io;

use lambda_runtime::{Context, LambdaEvent, LambdaInvocation, Runtime, service_fn};
use serde_json::value::RawValue;
use tower::util::{MapRequestLayer, MapResponseLayer};

use crate::app::{App, Invocation, Reply};
use crate::config::{Config, NotInLambda};
use crate::services::Services;
use crate::telemetry::log;
use crate::vocabulary::Degradation;

/// Why the process ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Neither Lambda nor a substitute for it has started the process.
    #[error(
        "This program is started by AWS Lambda, and {missing} is not set. Two commands to try it in the folder of the \
         project, with Rust and nothing else:\n\n\
         Whole calls, with what each lookup and each save answers:\n  \
         cargo run --example phone_call\n\
         One event, as a flow's block sends it:\n  \
         cargo run --example phone_call -- events/returning_caller.json"
    )]
    NotInLambda {
        /// The variable that is missing.
        missing: &'static str,
    },
    /// The Lambda Runtime API failed; Lambda starts another process.
    #[error("the Lambda Runtime API failed: {0}")]
    Runtime(#[source] lambda_runtime::Error),
}

impl From<NotInLambda> for Error {
    fn from(NotInLambda { missing }: NotInLambda) -> Self {
        Self::NotInLambda { missing }
    }
}

/// What the process does for the Runtime API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// It asks for its first invocation.
    Starts,
    /// It has an invocation that is not answered, or whose answer is not handed over.
    Answers,
    /// It has answered, and asks for the next invocation.
    Waits,
}

impl Phase {
    /// Whether this error means that the environment has ended: the Runtime API is gone, and no invocation is lost.
    fn has_ended(self, error: &(dyn std::error::Error + 'static)) -> bool {
        // A request without the head of an answer. If an answer breaks off after that, an invocation may be lost.
        let Some(unanswered) = error.downcast_ref::<hyper_util::client::legacy::Error>() else { return false };
        match self {
            // If nobody listens, the Runtime API's address is wrong.
            Self::Starts => !unanswered.is_connect() && is_closed(unanswered),
            Self::Answers => false,
            Self::Waits => unanswered.is_connect() || is_closed(unanswered),
        }
    }
}

/// Whether the other side has closed or reset the connection, in place of an answer.
fn is_closed(error: &(dyn std::error::Error + 'static)) -> bool {
    let closed = |cause: &hyper::Error| cause.is_incomplete_message() || cause.is_closed() || cause.is_canceled();
    let causes = std::iter::successors(Some(error), |cause| cause.source());
    causes.filter_map(|cause| cause.downcast_ref()).any(closed) || io_errors(error).next().is_some()
}

/// Answers invocations until Lambda ends the process, or the Runtime API is gone while no invocation is open: then
/// Lambda, or what stands in for it, has ended the environment.
///
/// # Errors
///
/// [`Error::NotInLambda`] at once if Lambda's own variables are not set; [`Error::Runtime`] if the Runtime API fails.
pub async fn run() -> Result<(), Error> {
    let (config, malformed) = Config::from_environment()?;
    log::start(config.log);
    let services = Services::new(config);
    services.metrics.set_malformed_settings(malformed.len());
    for setting in malformed {
        let (variable, expected, degradation) = (setting.variable, setting.expected, Degradation::Setting);
        tracing::warn!(variable, expected, degradation = degradation.as_str(), "unusable setting {variable}");
    }
    services.warm_up().await;
    let app = App::new(services);
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "started");

    let app = &app;
    let handler = service_fn(move |event: LambdaEvent<Box<RawValue>>| async move {
        Ok::<_, Infallible>(answer(app, &event.payload, &event.context).await)
    });
    let phase = Cell::new(Phase::Starts);
    let begin = |invocation| {
        phase.set(Phase::Answers);
        json_or_null(invocation)
    };
    let runtime = Runtime::new(handler)
        .layer(MapResponseLayer::new(|()| phase.set(Phase::Waits)))
        .layer(MapRequestLayer::new(begin));
    let Err(error) = runtime.run().await else { return Ok(()) };
    // Not the error's own text: it may quote what the function was invoked with.
    let detail = os_error(error.as_ref());
    if phase.get().has_ended(error.as_ref()) {
        tracing::info!(detail, "the environment has ended");
        return Ok(());
    }
    tracing::error!(detail, "the Lambda Runtime API failed");
    Err(Error::Runtime(error))
}

/// The I/O errors among an error's causes, from the outermost to the innermost.
fn io_errors<'a>(error: &'a (dyn std::error::Error + 'static)) -> impl Iterator<Item = &'a io::Error> {
    std::iter::successors(Some(error), |cause| cause.source()).filter_map(|cause| cause.downcast_ref())
}

/// The operating system's message, if an error of its own is the cause.
fn os_error(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    io_errors(error).last().filter(|error| error.raw_os_error().is_some()).map(ToString::to_string)
}

async fn answer(app: &App, payload: &RawValue, context: &Context) -> Reply {
    let invocation = Invocation { request_id: &context.request_id, deadline_ms: context.deadline };
    app.answer(payload.get(), invocation).await
}

/// Replaces a payload that is not JSON with `null`. The handler answers that with the fallback. The runtime library
/// would report the payload to Connect as an error, and log it word for word.
fn json_or_null(mut invocation: LambdaInvocation) -> LambdaInvocation {
    if serde_json::from_slice::<&RawValue>(&invocation.body).is_err() {
        invocation.body = "null".into();
    }
    invocation
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_quotes_the_operating_system_and_no_other_error() {
        let refused = io::Error::from_raw_os_error(111);
        let around = io::Error::other(Error::Runtime(Box::new(refused)));
        assert_eq!(os_error(&around), Some("Connection refused (os error 111)".to_owned()));
        let quoting: lambda_runtime::Error = "invalid value: Jane Doe".into();
        assert_eq!(os_error(quoting.as_ref()), None);
        assert_eq!(os_error(&io::Error::other(quoting)), None);
    }
}
