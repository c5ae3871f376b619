//! Why a caller was not looked up, or a summary not delivered.

/// The closed list of codes; the same word in `lookup_reason`, in `error` and in the logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Nothing to recognise the caller by: no number in E.164, no external id, no `customer_ref`.
    NoIdentity,
    /// The number is one of ours (`STICKY_CALLS_INTERNAL_NUMBERS`).
    InternalNumber,
    /// The contact continues another one or was placed by us; it is no new call.
    NotInbound,
    /// The contact carries `sticky_calls_opt_out`.
    OptedOut,
    /// Connect simulates the contact, for a test of the flows: it is looked up and never saved.
    Simulated,
    /// No flow event, or no usable `call_id` in it.
    InvalidEvent,
    /// The API's URL or key is missing or unusable.
    Misconfigured,
    /// The API did not answer within the budget.
    Timeout,
    /// Refused, reset, DNS, TLS, or a body that ends early.
    Network,
    /// No JSON object, over the size cap, a 2xx/3xx that is neither 200 nor 201, or an answer to something else than what was
    /// asked.
    InvalidResponse,
    /// 401 or 403: the key is wrong or revoked.
    Unauthorized,
    /// 402: credits or quota are used up.
    QuotaExhausted,
    /// 409: this `call_id` was used before.
    Conflict,
    /// 429.
    RateLimited,
    /// Every other 4xx.
    Rejected,
    /// 5xx.
    ServerError,
    /// The API has been down, and is not asked for a while.
    CircuitOpen,
    /// Neither the API nor the outbox took a summary.
    OutboxUnavailable,
    /// A panic of ours, caught.
    Internal,
}

impl Reason {
    /// All of them. Its length is taken from the last one, so that none is forgotten here.
    pub const ALL: [Self; Self::Internal as usize + 1] = [
        Self::NoIdentity,
        Self::InternalNumber,
        Self::NotInbound,
        Self::OptedOut,
        Self::Simulated,
        Self::InvalidEvent,
        Self::Misconfigured,
        Self::Timeout,
        Self::Network,
        Self::InvalidResponse,
        Self::Unauthorized,
        Self::QuotaExhausted,
        Self::Conflict,
        Self::RateLimited,
        Self::Rejected,
        Self::ServerError,
        Self::CircuitOpen,
        Self::OutboxUnavailable,
        Self::Internal,
    ];

    /// The reason with this code, or `None` where it is none of ours.
    pub fn parse(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.code() == code)
    }

    /// The code, as flows, logs and `docs/reference.md` write it.
    pub fn code(self) -> &'static str {
        match self {
            Self::NoIdentity => "no_identity",
            Self::InternalNumber => "internal_number",
            Self::NotInbound => "not_inbound",
            Self::OptedOut => "opted_out",
            Self::Simulated => "simulated",
            Self::InvalidEvent => "invalid_event",
            Self::Misconfigured => "misconfigured",
            Self::Timeout => "timeout",
            Self::Network => "network",
            Self::InvalidResponse => "invalid_response",
            Self::Unauthorized => "unauthorized",
            Self::QuotaExhausted => "quota_exhausted",
            Self::Conflict => "conflict",
            Self::RateLimited => "rate_limited",
            Self::Rejected => "rejected",
            Self::ServerError => "server_error",
            Self::CircuitOpen => "circuit_open",
            Self::OutboxUnavailable => "outbox_unavailable",
            Self::Internal => "internal",
        }
    }

    /// Whether the cause stays until an operator does something about it: these are logged as errors.
    pub fn needs_an_operator(self) -> bool {
        matches!(self, Self::Misconfigured | Self::Unauthorized | Self::QuotaExhausted | Self::Internal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_found_by_its_code_and_nothing_else_is() {
        for (place, reason) in Reason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, place);
            assert_eq!(Reason::parse(reason.code()), Some(reason));
        }
        assert_eq!(Reason::parse("Unauthorized"), None);
        assert_eq!(Reason::parse(""), None);
    }
}
