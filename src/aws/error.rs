//! How a request to AWS fails.

use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use crate::vocabulary::Reason;

/// Parts of the error codes that mean throttling.
const THROTTLED: [&str; 4] = ["Throttl", "TooManyRequests", "LimitExceeded", "SlowDown"];

/// Why a request to AWS failed. It never holds what was sent or received.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No answer before the deadline.
    #[error("no answer in time")]
    Timeout,
    /// The connection failed or broke.
    #[error("{detail}")]
    Network {
        /// What the network said.
        detail: String,
    },
    /// The service can't answer now: it throttles, or it has an error of its own.
    #[error("{code}")]
    Unavailable {
        /// Its error code: `ThrottlingException`, `InternalServerError`, …
        code: String,
    },
    /// The service refused.
    #[error("{code}")]
    Refused {
        /// Its error code: `AccessDeniedException`, `QueueDoesNotExist`, …
        code: String,
    },
    /// The answer can't be read, or lacks what was asked for.
    #[error("{detail}")]
    InvalidResponse {
        /// What is wrong with it.
        detail: &'static str,
    },
}

impl Error {
    /// Its code in the closed list.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Timeout => Reason::Timeout,
            Self::Network { .. } | Self::Unavailable { .. } => Reason::Network,
            Self::Refused { .. } | Self::InvalidResponse { .. } => Reason::Misconfigured,
        }
    }
}

impl<E> From<SdkError<E, HttpResponse>> for Error
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    fn from(error: SdkError<E, HttpResponse>) -> Self {
        match &error {
            SdkError::ServiceError(service) => {
                let code = service.err().code().unwrap_or("refused without a code").to_owned();
                let status = service.raw().status();
                let is_throttled = status.as_u16() == 429 || THROTTLED.iter().any(|word| code.contains(word));
                if is_throttled || status.is_server_error() {
                    Self::Unavailable { code }
                } else {
                    Self::Refused { code }
                }
            }
            SdkError::TimeoutError(_) => Self::Timeout,
            SdkError::DispatchFailure(failure) if failure.is_timeout() => Self::Timeout,
            SdkError::DispatchFailure(failure) => {
                let mut cause: Option<&dyn std::error::Error> = failure.as_connector_error().map(|error| error as _);
                while let Some(deeper) = cause.and_then(|error| error.source()) {
                    cause = Some(deeper);
                }
                let detail = cause.map_or_else(|| "the connection failed".to_owned(), ToString::to_string);
                Self::Network { detail }
            }
            SdkError::ConstructionFailure(_) => Self::InvalidResponse { detail: "the request could not be built" },
            _ => Self::InvalidResponse { detail: "the answer could not be read" },
        }
    }
}

impl From<tokio::time::error::Elapsed> for Error {
    fn from(_: tokio::time::error::Elapsed) -> Self {
        Self::Timeout
    }
}
