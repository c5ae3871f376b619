//! The outbox: summaries that still have to be delivered, in an SQS queue.
//!
//! A message is a JSON object of a numbered version and holds the request to the API as it was made, so that a
//! redelivery keeps the call's date, intent and variables whatever has become of the settings meanwhile.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::aws::{self, MAX_DELAY, Queue};
use crate::connect::is_contact_id;
use crate::json::Object;
use crate::reason::Reason;
use crate::sticky_calls::EndRequest;
use crate::summary::Summary;

/// The version of the messages that are written and read here.
const VERSION: f64 = 1.0;

/// How long a message waits after its first failed redelivery. The wait doubles with each, up to [`LONGEST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_secs(60);

/// The longest that a message waits for its next redelivery.
const LONGEST_WAIT: Duration = Duration::from_secs(3_600);

/// How long a summary that nobody has written anything for is kept back while an agent may still be writing: as long as SQS
/// can.
const ROOM_FOR_THE_WRAP_UP: Duration = MAX_DELAY;

/// What a message says in place of a reason where the API has not been asked yet.
const DEFERRED: &str = "deferred";

/// A summary in the queue.
#[derive(Serialize, Deserialize)]
struct Message {
    version: u32,
    /// Why it is here, for whoever looks at it.
    reason: String,
    queued_at: String,
    contact_id: Option<String>,
    request: EndRequest,
}

/// What a message holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Kept {
    /// The summary.
    pub summary: Summary,
    /// Why the API had not taken it; `None` where that is not known, or the API had not been asked.
    pub reason: Option<Reason>,
}

/// A message that holds no summary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// It is no JSON object with a version.
    NoMessage,
    /// It was written by a newer version of this program, or by none.
    UnknownVersion,
    /// Its version is known and something in it is missing or of the wrong type.
    Malformed,
}

impl std::fmt::Display for Unreadable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::NoMessage => "no message of the outbox",
            Self::UnknownVersion => "a message of an unknown version",
            Self::Malformed => "a message that misses something",
        })
    }
}

impl std::error::Error for Unreadable {}

/// The queue of undelivered summaries.
pub struct Outbox {
    queue: Queue,
}

impl Outbox {
    /// The outbox in this queue.
    pub fn new(queue: Queue) -> Self {
        Self { queue }
    }

    /// Keeps a summary that was not delivered for `reason`, and is done before `deadline`. `Ok` means that it will be
    /// delivered, or ends where an operator is told of it.
    ///
    /// # Errors
    ///
    /// Where the queue did not say that it has the message.
    pub async fn keep(&self, summary: &Summary, reason: Reason, deadline: Instant) -> Result<(), aws::Error> {
        self.send(summary, reason.code(), Duration::ZERO, deadline).await
    }

    /// Keeps a summary that is to be delivered later, when the agent must have wrapped the call up, and is done before
    /// `deadline`. `Ok` means the same.
    ///
    /// # Errors
    ///
    /// Where the queue did not say that it has the message.
    pub async fn keep_until_wrapped_up(&self, summary: &Summary, deadline: Instant) -> Result<(), aws::Error> {
        self.send(summary, DEFERRED, ROOM_FOR_THE_WRAP_UP, deadline).await
    }

    async fn send(&self, summary: &Summary, why: &str, delay: Duration, deadline: Instant) -> Result<(), aws::Error> {
        let body = write(summary, why, Timestamp::now())
            .map_err(|_| aws::Error::InvalidResponse { detail: "the message could not be written" })?;
        self.queue.send(&body, delay, deadline).await
    }

    /// Hides a received message for `wait`, and is done before `deadline`.
    ///
    /// # Errors
    ///
    /// Where the queue does not take that.
    pub async fn put_off(&self, receipt_handle: &str, wait: Duration, deadline: Instant) -> Result<(), aws::Error> {
        self.queue.put_off(receipt_handle, wait, deadline).await
    }
}

/// The wait before the next redelivery of a message that was received `receives` times: a minute, two, four, up to an
/// hour.
pub fn wait_after(receives: u32) -> Duration {
    let doublings = receives.saturating_sub(1).min(16);
    FIRST_WAIT.saturating_mul(1 << doublings).min(LONGEST_WAIT)
}

fn write(summary: &Summary, why: &str, now: Timestamp) -> serde_json::Result<String> {
    serde_json::to_string(&Message {
        version: VERSION as u32,
        reason: why.to_owned(),
        queued_at: format!("{now:.3}"),
        contact_id: summary.contact_id.clone(),
        request: summary.request.clone(),
    })
}

/// Reads a message's body.
///
/// # Errors
///
/// Where it holds no summary, and why.
pub fn read(body: &str) -> Result<Kept, Unreadable> {
    let version = Object::parse(body).and_then(|message| message.number("version")).ok_or(Unreadable::NoMessage)?;
    if version != VERSION {
        return Err(Unreadable::UnknownVersion);
    }
    let message: Message = serde_json::from_str(body).map_err(|_| Unreadable::Malformed)?;
    // It is logged, and others than this program can write to the queue.
    let contact_id = message.contact_id.filter(|id| is_contact_id(id));
    Ok(Kept { summary: Summary { contact_id, request: message.request }, reason: Reason::parse(&message.reason) })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::sticky_calls::{IdentityHints, IntentStatus};

    fn summary() -> Summary {
        let request = EndRequest {
            call_id: "call_001".to_owned(),
            customer_ref: None,
            identity_hints: Some(IdentityHints { ani: Some("+12025550101".to_owned()), ..IdentityHints::default() }),
            intent: "billing_issue".to_owned(),
            intent_status: IntentStatus::Abandoned,
            variables: BTreeMap::from([("call_date".to_owned(), "2026-02-07".to_owned())]),
        };
        Summary { contact_id: Some("4a573372-1f28-4e26-b97b-0123456789ab".to_owned()), request }
    }

    #[test]
    fn a_message_is_versioned_json_that_holds_the_request_as_it_was() {
        let now = "2026-02-07T10:30:00Z".parse().unwrap();
        let body = write(&summary(), "server_error", now).unwrap();
        let expected = json!({
            "version": 1,
            "reason": "server_error",
            "queued_at": "2026-02-07T10:30:00.000Z",
            "contact_id": "4a573372-1f28-4e26-b97b-0123456789ab",
            "request": {
                "call_id": "call_001",
                "identity_hints": {"ani": "+12025550101"},
                "intent": "billing_issue",
                "intent_status": "abandoned",
                "variables": {"call_date": "2026-02-07"},
            },
        });
        assert_eq!(serde_json::from_str::<Value>(&body).unwrap(), expected);
        assert_eq!(read(&body), Ok(Kept { summary: summary(), reason: Some(Reason::ServerError) }));
    }

    #[test]
    fn a_contact_id_that_is_none_does_not_get_into_the_log() {
        let written = Summary { contact_id: Some("+12025550101".to_owned()), ..summary() };
        let body = write(&written, "timeout", Timestamp::now()).unwrap();
        assert_eq!(read(&body).unwrap().summary, Summary { contact_id: None, ..summary() });
    }

    #[test]
    fn a_message_that_cannot_be_read_says_why() {
        for body in ["", "text", "[]", "{}", r#"{"version":"1"}"#] {
            assert_eq!(read(body), Err(Unreadable::NoMessage), "{body}");
        }
        assert_eq!(read(r#"{"version":2,"request":{}}"#), Err(Unreadable::UnknownVersion));
        assert_eq!(read(r#"{"version":1,"request":{}}"#), Err(Unreadable::Malformed));
    }

    #[test]
    fn a_message_waits_a_minute_then_longer_up_to_an_hour() {
        let minutes: Vec<_> = (1..=9).map(|receives| wait_after(receives).as_secs() / 60).collect();
        assert_eq!(minutes, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(wait_after(0), FIRST_WAIT);
        assert_eq!(wait_after(u32::MAX), LONGEST_WAIT);
    }

    #[test]
    fn an_api_that_is_down_for_six_hours_leaves_no_dead_letter() {
        let template = include_str!("../template.yaml");
        let receives = template.lines().find_map(|line| line.trim().strip_prefix("maxReceiveCount: ")).unwrap();
        let receives: u32 = receives.parse().unwrap();
        let last_try: Duration = (1..receives).map(wait_after).sum();
        assert!(last_try > Duration::from_secs(6 * 3_600), "{last_try:?}");
    }

    proptest! {
        #[test]
        fn any_summary_comes_out_of_the_outbox_as_it_went_in(texts in prop::collection::btree_map(any::<String>(), any::<String>(), 0..5)) {
            let mut summary = summary();
            summary.request.variables = texts;
            let body = write(&summary, DEFERRED, Timestamp::now()).unwrap();
            prop_assert_eq!(read(&body), Ok(Kept { summary, reason: None }));
        }
    }
}
