//! What each reason means to somebody who has just deployed, and what to do about it.

use sticky_connect::reason::Reason;

/// What to say of a reason.
pub(crate) struct Advice {
    pub(crate) what: &'static str,
    pub(crate) to_do: &'static str,
}

/// The reason's.
pub(crate) fn about(reason: Reason) -> Advice {
    let (what, to_do) = match reason {
        Reason::Misconfigured => (
            "the function has no key that it can use, or no usable URL of the API",
            "Look at ApiKeySecretArn: the secret must be there, in this region, with the key as its whole text or as \
             api_key in JSON; one that is encrypted with a key of your own needs kms:Decrypt for both functions' roles. \
             ApiUrl must be https.",
        ),
        Reason::Unauthorized => (
            "the API refuses the key: it is wrong or revoked",
            "Put a key that is valid into the secret (`aws secretsmanager put-secret-value`). The functions read it at the \
             next call; there is nothing to deploy.",
        ),
        Reason::QuotaExhausted => {
            ("the credits at Sticky Calls are used up", "Buy credits or raise the plan. There is nothing to deploy.")
        }
        Reason::Timeout => (
            "the API did not answer in time",
            "Where the functions are in a VPC, it needs a way out (a NAT gateway). Else the API is slow or down: look at its \
             status, and run this again.",
        ),
        Reason::Network => (
            "the function can't connect to the API, or the connection broke",
            "The next line tells which: a name that is not found or a connection that is refused is a wrong ApiUrl or a \
             VPC without a way out; a reset is the API's side.",
        ),
        Reason::ServerError => {
            ("the API itself fails", "Nothing is wrong in AWS. Look at the API's status, and run this again.")
        }
        Reason::CircuitOpen => (
            "the API has been down for the calls before this one, so the function leaves it alone for a while",
            "Run this again in a minute: it then asks again, and says what is wrong with the API.",
        ),
        Reason::RateLimited => (
            "the API takes no more requests for now",
            "Run this again in a minute. Where it stays, your calls are over the plan's limit.",
        ),
        Reason::InvalidResponse => {
            ("what answers is not the Sticky Calls API", "Look at ApiUrl, and at a proxy or firewall between.")
        }
        Reason::Rejected => (
            "the API does not take the request",
            "Look at ApiUrl. Where it is right, the API has changed: roll back, or see whether there is a newer version.",
        ),
        Reason::Conflict => (
            "the API says that this call was there before, and it never was",
            "Look at ApiUrl: what answers may be a test system. Then run this again.",
        ),
        Reason::InternalNumber => (
            "InternalNumbers holds the number that this call comes from, so the API was not asked",
            "Take numbers that begin with +120255501 out of InternalNumbers: they are nobody's.",
        ),
        Reason::OutboxUnavailable => (
            "neither the API nor the outbox took the summary",
            "Two things are wrong: what identify says above, and the queue of the output OutboxUrl, or the permission to send \
             to it.",
        ),
        Reason::Internal => (
            "a bug in the function was caught",
            "Roll back to the version before, and report what the function's log says.",
        ),
        Reason::NoIdentity | Reason::NotInbound | Reason::OptedOut | Reason::Simulated | Reason::InvalidEvent => (
            "the function does not take the sample event for a call",
            "Run the smoke command of the version that is deployed. Where it is the same, roll back and report it.",
        ),
    };
    Advice { what, to_do }
}
