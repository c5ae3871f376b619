//! Process start, and the Lambda Runtime API.

use std::convert::Infallible;

use lambda_runtime::{Context, LambdaEvent, LambdaInvocation, Runtime, service_fn};
use serde_json::value::RawValue;
use tower::util::MapRequestLayer;

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
        "This program is started by AWS Lambda, and {missing} is not set. To try it here:\n  \
         cargo run --example phone_call                             whole calls, no AWS account needed\n  \
         sam local invoke IdentifyFunction -e events/new_caller.json   one event, with the SAM CLI and Docker"
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

/// Answers invocations until Lambda ends the process.
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
    Runtime::new(handler).layer(MapRequestLayer::new(json_or_null)).run().await.map_err(|error| {
        // Not the error's own text: it may quote what the function was invoked with.
        tracing::error!(detail = os_error(error.as_ref()), "the Lambda Runtime API failed");
        Error::Runtime(error)
    })
}

/// The operating system's message, if an error of its own is the cause.
fn os_error(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    let causes = std::iter::successors(Some(error), |cause| cause.source());
    let innermost = causes.filter_map(|cause| cause.downcast_ref::<std::io::Error>()).last();
    innermost.filter(|error| error.raw_os_error().is_some()).map(ToString::to_string)
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
    use std::io;

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
