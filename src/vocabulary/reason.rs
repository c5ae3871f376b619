//! Why a caller was not looked up, or a summary not delivered.

words! {
    /// The closed list of reasons: the same word in `lookup_reason`, in `error`, in the logs and in the metrics.
    pub enum Reason: what_to_do -> &'static str {
        /// There is nothing to recognise the caller by: no phone number, no customer id, no `customer_ref`.
        NoIdentity = "no_identity" =>
            "Nothing, if the caller withholds the number. Else pass a `customer_id` to identify.",
        /// The number is in `STICKY_CALLS_INTERNAL_NUMBERS`.
        InternalNumber = "internal_number" =>
            "Nothing. If it is a customer's number, take it out of the parameter `InternalNumbers`.",
        /// The contact is not a customer's new contact: it is a transfer, a callback, an outbound call, a guide or a
        /// listener.
        NotInbound = "not_inbound" => "Nothing.",
        /// The contact carries `sticky_calls_opt_out`.
        OptedOut = "opted_out" => "Nothing, if the caller opted out. Else look at which flow sets the attribute.",
        /// Amazon Connect simulates the contact to test a flow: it is looked up and never saved.
        Simulated = "simulated" => "Nothing.",
        /// The event is not a flow event, or it has no `call_id` of at most 128 characters.
        InvalidEvent = "invalid_event" =>
            "If a flow got this, look at what its block passes as `call_id`. A test event from the Lambda \
             console also gets it.",
        /// The API key or the API's URL is missing or cannot be used.
        Misconfigured = "misconfigured" =>
            "Look in the log for \"unusable setting\", which names the variable, or \"the secret with the \
             API's key could not be read\", which says why. `ApiKeySecretArn` must be the ARN of a secret in \
             this region that holds the key as plain text or as `api_key` in JSON. A secret with a KMS key of \
             your own needs `kms:Decrypt` for both roles.",
        /// There was no answer, no connection, or no API key within the time budget.
        Timeout = "timeout" =>
            "Look at `detail` in the log: it names the secret if the key was late. Else the API is slow: look \
             at its status. Functions in a VPC need a way to the internet.",
        /// The connection was refused or reset, or DNS or TLS failed, or the answer was cut short; or Secrets Manager
        /// could not be reached or throttled the request.
        Network = "network" =>
            "`detail` in the log says which. A name that is not found or a refused connection points to \
             `ApiUrl` or to a VPC without a way to the internet.",
        /// The answer is not a JSON object, is over 256 KiB, has a status of 2xx or 3xx other than 200 and 201, or does
        /// not answer what was asked.
        InvalidResponse = "invalid_response" =>
            "Look at `ApiUrl`, and at a proxy or firewall in between. If these are right, the API has \
             changed.",
        /// The API answered 401 or 403: the key is wrong or revoked.
        Unauthorized = "unauthorized" =>
            "Put a valid key into the secret (`aws secretsmanager put-secret-value`). Nothing has to be \
             deployed: a function reads the secret again at the next refusal.",
        /// The API answered 402: the credits are used up.
        QuotaExhausted = "quota_exhausted" => "Buy credits. Nothing has to be deployed.",
        /// The API answered 409: this `call_id` was used before.
        Conflict = "conflict" =>
            "For a lookup: see whether a flow invokes identify twice, or sets a `call_id` that is not new for \
             each call. For a save it loses nothing.",
        /// The API answered 429: too many requests.
        RateLimited = "rate_limited" => "Ask the vendor for a higher limit, or raise `CacheTtlSeconds`.",
        /// The API answered with another 4xx.
        Rejected = "rejected" =>
            "Look at `ApiUrl`. If it is right, `detail` in the log says what the API refused; it never takes \
             such a request later.",
        /// The API answered 5xx.
        ServerError = "server_error" => "Look at the API's status. Saves wait in the outbox meanwhile.",
        /// The circuit breaker is open: the API failed several times in a row and is not asked for up to a minute.
        CircuitOpen = "circuit_open" =>
            "Look at the reasons before it: `timeout`, `network` or `server_error`. The functions ask the API \
             again by themselves.",
        /// Neither the API nor the outbox took a summary.
        OutboxUnavailable = "outbox_unavailable" =>
            "`detail` in the log says what the API and what SQS said. Look at the queue in the output \
             `OutboxUrl` and at the function's role.",
        /// A bug in the function was caught.
        Internal = "internal" =>
            "The ERROR line \"panicked\" names the place. Go back to the version before, and report it.",
    }
}

impl Reason {
    /// Whether a lookup or a save is skipped for it, on purpose. For every other reason it has failed.
    pub const fn is_on_purpose(self) -> bool {
        matches!(self, Self::NoIdentity | Self::InternalNumber | Self::NotInbound | Self::OptedOut | Self::Simulated)
    }

    /// Whether the cause stays until an operator does something about it: these are logged as errors.
    pub const fn needs_an_operator(self) -> bool {
        matches!(self, Self::Misconfigured | Self::Unauthorized | Self::QuotaExhausted | Self::Internal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_found_by_its_code_and_nothing_else_is() {
        for reason in Reason::ALL {
            assert_eq!(Reason::parse(reason.as_str()), Some(*reason));
        }
        assert_eq!(Reason::parse("Unauthorized"), None);
        assert_eq!(Reason::parse(""), None);
    }
}
