//! How a call to the API fails.

use std::error::Error as _;
use std::time::Duration;

use reqwest::StatusCode;

use crate::vocabulary::Reason;

/// Why the API did not take a request, or gave no usable answer.
///
/// It never holds a body: the API's may echo personal data.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// There is no key to send.
    #[error("{detail}")]
    NoKey {
        /// Why: the code of the closed list.
        reason: Reason,
        /// The detail for the log.
        detail: String,
    },
    /// The API was not asked, because the circuit breaker is open.
    #[error("not asked: the circuit breaker is open")]
    CircuitOpen,
    /// No complete answer before the deadline.
    #[error("no answer in time")]
    Timeout,
    /// The connection failed or broke: refused, reset, DNS, TLS, a body that was cut short.
    #[error("{detail}")]
    Network {
        /// What the network said.
        detail: String,
    },
    /// An answer that can't be used.
    #[error("{detail}")]
    InvalidResponse {
        /// What is wrong with it.
        detail: &'static str,
    },
    /// The answer is about another call than the request.
    #[error("the answer is about another call")]
    OtherCall,
    /// No connection within [`CONNECT`](crate::budget::CONNECT).
    #[error("no connection in time")]
    NotConnected,
    /// A panic while the API was asked.
    #[error("a bug: a panic while the API was asked")]
    Panicked,
    /// A 4xx or 5xx.
    #[error("the API answered {}", status.as_u16())]
    Status {
        /// The status: 4xx or 5xx.
        status: StatusCode,
        /// How long the API asks to wait before the retry.
        retry_after: Option<Duration>,
    },
}

impl Error {
    /// The code of the closed list.
    pub fn reason(&self) -> Reason {
        match self {
            Self::NoKey { reason, .. } => *reason,
            Self::CircuitOpen => Reason::CircuitOpen,
            Self::Timeout | Self::NotConnected => Reason::Timeout,
            Self::Network { .. } => Reason::Network,
            Self::InvalidResponse { .. } | Self::OtherCall => Reason::InvalidResponse,
            Self::Panicked => Reason::Internal,
            Self::Status { status, .. } => match status.as_u16() {
                401 | 403 => Reason::Unauthorized,
                402 => Reason::QuotaExhausted,
                409 => Reason::Conflict,
                429 => Reason::RateLimited,
                400..500 => Reason::Rejected,
                _ => Reason::ServerError,
            },
        }
    }
}

impl Error {
    /// Whether another key might help.
    pub fn is_about_the_key(&self) -> bool {
        matches!(self, Self::Status { status: StatusCode::UNAUTHORIZED, .. })
    }

    /// Whether the API is down, as far as one call can tell.
    pub fn is_an_outage(&self) -> bool {
        matches!(self.reason(), Reason::Timeout | Reason::Network | Reason::ServerError)
    }
}

impl From<reqwest::Error> for Error {
    fn from(error: reqwest::Error) -> Self {
        if error.is_timeout() {
            return if error.is_connect() { Self::NotConnected } else { Self::Timeout };
        }
        // The innermost cause is the clearest ("Connection refused"). The outer ones repeat it with the URL.
        let mut cause: &dyn std::error::Error = &error;
        while let Some(deeper) = cause.source() {
            cause = deeper;
        }
        let detail = if error.source().is_some() { cause.to_string() } else { "the connection failed".to_owned() };
        Self::Network { detail }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_4xx_and_5xx_has_its_reason() {
        for (status, code) in [
            (400, "rejected"),
            (401, "unauthorized"),
            (402, "quota_exhausted"),
            (403, "unauthorized"),
            (404, "rejected"),
            (408, "rejected"),
            (409, "conflict"),
            (413, "rejected"),
            (422, "rejected"),
            (429, "rate_limited"),
            (499, "rejected"),
            (500, "server_error"),
            (502, "server_error"),
            (503, "server_error"),
            (504, "server_error"),
            (599, "server_error"),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(Error::Status { status, retry_after: None }.reason().as_str(), code, "{status}");
        }
    }
}
