//! Process start, and the Lambda Runtime API.

use std::convert::Infallible;
use std::fmt;

use lambda_runtime::{Context, LambdaEvent, LambdaInvocation, Runtime, service_fn};
use serde_json::value::RawValue;
use tower::util::MapRequestLayer;

use crate::app::{App, Invocation, Reply};
use crate::config::Config;
use crate::fault::Fault;
use crate::logging;
use crate::metrics::Metrics;
use crate::services::Services;

/// What Lambda sets for every function and its runtime library can't do without.
const SET_BY_LAMBDA: [&str; 4] = [
    "AWS_LAMBDA_RUNTIME_API",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
];

/// Why the process ended.
#[derive(Debug)]
pub enum Error {
    /// It was not started by Lambda, nor by something that takes its place.
    NotInLambda {
        /// The variable that is missing.
        missing: &'static str,
    },
    /// The Lambda Runtime API failed; Lambda starts another process.
    Runtime(lambda_runtime::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotInLambda { missing } => write!(
                f,
                "This program is started by AWS Lambda, and {missing} is not set. To try it here:\n  \
                 cargo run --example phone_call                             whole calls, no AWS account needed\n  \
                 sam local invoke IdentifyFunction -e events/new_caller.json   one event, with the SAM CLI and Docker"
            ),
            Self::Runtime(error) => write!(f, "the Lambda Runtime API failed: {error}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::NotInLambda { .. } => None,
            Self::Runtime(error) => Some(error.as_ref()),
        }
    }
}

/// Answers invocations until Lambda ends the process.
///
/// # Errors
///
/// [`Error::NotInLambda`] at once where Lambda's own variables are not set; [`Error::Runtime`] where the Runtime API
/// fails.
pub async fn run() -> Result<(), Error> {
    let lookup = |name: &str| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned());
    if let Some(missing) = SET_BY_LAMBDA.into_iter().find(|name| lookup(name).is_none()) {
        return Err(Error::NotInLambda { missing });
    }
    logging::start(lookup);
    let (config, malformed) = Config::read(lookup);
    let metrics = Metrics::new(lookup);
    for setting in malformed {
        let (variable, expected, fault) = (setting.variable, setting.expected, Fault::Setting);
        metrics.count_fault(fault);
        tracing::warn!(variable, expected, fault = fault.name(), "unusable setting");
    }
    let services = Services::new(config, metrics);
    services.warm_up().await;
    let app = App::new(services);
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "started");

    let app = &app;
    let handler = service_fn(move |event: LambdaEvent<Box<RawValue>>| async move {
        Ok::<_, Infallible>(answer(app, &event.payload, &event.context).await)
    });
    Runtime::new(handler).layer(MapRequestLayer::new(readable)).run().await.map_err(|error| {
        // Not the error's own text: it may quote what the function was invoked with.
        tracing::error!(detail = said_by_the_system(error.as_ref()), "the Lambda Runtime API failed");
        Error::Runtime(error)
    })
}

/// What the operating system said of a connection, where that is behind an error.
fn said_by_the_system(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    let causes = std::iter::successors(Some(error), |cause| cause.source());
    let said = causes.filter_map(|cause| cause.downcast_ref::<std::io::Error>()).last();
    said.filter(|error| error.raw_os_error().is_some()).map(ToString::to_string)
}

async fn answer(app: &App, payload: &RawValue, context: &Context) -> Reply {
    let invocation = Invocation { request_id: &context.request_id, deadline_ms: context.deadline };
    app.answer(payload.get(), invocation).await
}

/// A payload that is no JSON becomes `null`, which is no event either but reaches the handler: the runtime library would
/// report it to Connect as an error, and log it word for word.
fn readable(mut invocation: LambdaInvocation) -> LambdaInvocation {
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
    fn of_a_broken_connection_the_system_is_heard_and_of_anything_else_nothing_is_quoted() {
        let refused = io::Error::from_raw_os_error(111);
        let around = io::Error::other(Error::Runtime(Box::new(refused)));
        assert_eq!(said_by_the_system(&around), Some("Connection refused (os error 111)".to_owned()));
        let quoting: lambda_runtime::Error = "invalid value: Jane Doe".into();
        assert_eq!(said_by_the_system(quoting.as_ref()), None);
        assert_eq!(said_by_the_system(&io::Error::other(quoting)), None);
    }
}
