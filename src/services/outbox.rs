//! The outbox: summaries that still have to be delivered, in an SQS queue.
//!
//! A message is a JSON object with a version. It holds the request to the API as it was built, so that a redelivery
//! sends the call's date, intent and variables even if the settings have changed meanwhile. Three other kinds of message
//! hold what the table did not take in time: tombstones of the cache, facts for the ledger, and halves of what Contact
//! Lens summarised.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::halves::Half;
use super::ledger::Facts;
use crate::aws::{self, MAX_DELAY, Pending, Queue};
use crate::connect::is_contact_id;
use crate::json::Object;
use crate::sticky_calls::{EndRequest, IdentityHints};
use crate::summary::{CALL_DATE, FILLER, LAST_ISSUE, RESOLUTION, Summary, WordsId};
use crate::vocabulary::Reason;

/// The version of the messages that this program writes and reads.
const VERSION: u32 = 1;

/// How often a message is received before the queue moves it to the dead-letter queue: the template's
/// `maxReceiveCount`. Twelve receives last for an outage of the API of six hours. Three more make up for receives by a
/// function that was throttled or killed.
pub const MAX_RECEIVES: u32 = 15;

/// How long a message waits after its first failed redelivery. Each further failure doubles it, up to [`LONGEST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_secs(60);

/// The longest time for which a message waits for its next redelivery.
pub const LONGEST_WAIT: Duration = Duration::from_secs(3_600);

/// How long a summary without words waits, because somebody may be writing some: as long as SQS can delay a message.
const WAIT_FOR_WORDS: Duration = MAX_DELAY;

/// How long Contact Lens' summaries and halves wait for their first delivery, so that facts (typed words, opt-outs,
/// deletions) reach the table first.
const WAIT_FOR_FACTS: Duration = FIRST_WAIT;

/// The reason in a message about which the API has not been asked yet.
const DEFERRED: &str = "deferred";

/// The reason in a message that holds tombstones.
const TOMBSTONES: &str = "tombstones";

/// The reason in a message that holds facts.
const FACTS: &str = "facts";

/// The reason in a message that holds halves.
const HALVES: &str = "halves";

/// A summary in the queue.
#[derive(Serialize, Deserialize)]
struct Message {
    version: u32,
    /// Why it is here, for an operator who looks at it.
    reason: String,
    queued_at: String,
    contact_id: Option<String>,
    request: EndRequest,
    /// Messages of earlier builds lack this field and the following ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hints: Option<IdentityHints>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    words: Option<WordsId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    summarised_contact: Option<String>,
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    may_end_call: bool,
    #[serde(default)]
    started_at: Option<String>,
    #[serde(default)]
    came_at: Option<String>,
}

fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_yes(value: &bool) -> bool {
    *value
}

/// Tombstones in the queue.
#[derive(Serialize, Deserialize)]
struct TombstonesMessage {
    version: u32,
    reason: String,
    queued_at: String,
    tombstones: Vec<String>,
}

/// Facts in the queue.
#[derive(Serialize, Deserialize)]
struct FactsMessage {
    version: u32,
    reason: String,
    queued_at: String,
    facts: Facts,
}

/// Halves in the queue.
#[derive(Serialize, Deserialize)]
struct HalvesMessage {
    version: u32,
    reason: String,
    queued_at: String,
    summarised_contact: String,
    halves: Vec<Half>,
}

/// What a message holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// A summary for the API.
    Summary {
        /// The summary.
        summary: Box<Summary>,
        /// When it was enqueued.
        since: Timestamp,
    },
    /// Tombstones for the table. They invalidate cached answers.
    Tombstones {
        /// Their ids.
        ids: Vec<String>,
        /// The time of the save that wrote them.
        since: Timestamp,
    },
    /// Facts for the ledger.
    Facts {
        /// The facts.
        facts: Facts,
        /// When they were enqueued.
        since: Timestamp,
    },
    /// Halves for the table.
    Halves {
        /// The contact that they are about.
        contact_id: String,
        /// The halves.
        halves: Vec<Half>,
        /// When they were enqueued.
        since: Timestamp,
    },
}

impl Content {
    /// Since when it waits.
    pub fn since(&self) -> Timestamp {
        let (Self::Summary { since, .. }
        | Self::Tombstones { since, .. }
        | Self::Facts { since, .. }
        | Self::Halves { since, .. }) = self;
        *since
    }
}

/// Why a message can't be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// It is not a JSON object with a version.
    #[error("not a message of the outbox")]
    NotAMessage,
    /// It was written by a newer version of this program, or by another program.
    #[error("a message of an unknown version")]
    UnknownVersion,
    /// Its version is known, but a field is missing or of the wrong type.
    #[error("a message with a missing or malformed field")]
    Malformed,
}

/// The queue of undelivered summaries.
pub struct Outbox {
    queue: Queue,
}

impl Outbox {
    /// The outbox in this queue.
    pub fn new(queue: Queue) -> Self {
        Self { queue }
    }

    /// Starts to enqueue a summary that was not delivered for `reason`. Nobody waits longer than `deadline`. If the
    /// result is `Ok`, the summary will be delivered or become a dead letter, which an alarm reports. If it is an
    /// error, the queue did not confirm that it has the message.
    ///
    /// # Errors
    ///
    /// Fails if the message can't be written.
    pub fn enqueue(&self, summary: &Summary, reason: Reason, deadline: Instant) -> Result<Pending<()>, aws::Error> {
        let is_by_contact_lens = summary.summarised_contact.is_some();
        let delay = if is_by_contact_lens { WAIT_FOR_FACTS } else { Duration::ZERO };
        self.send(summary, reason.as_str(), delay, deadline)
    }

    /// Enqueues a summary without words. It is delivered 15 minutes later, when words that somebody was writing have
    /// been saved. Done before `deadline`.
    ///
    /// # Errors
    ///
    /// Fails if the queue did not confirm that it has the message.
    pub async fn defer(&self, summary: &Summary, deadline: Instant) -> Result<(), aws::Error> {
        let mut sending = self.send(summary, DEFERRED, WAIT_FOR_WORDS, deadline)?;
        sending.wait(deadline).await.unwrap_or(Err(aws::Error::Timeout))
    }

    /// Enqueues the ids of tombstones that the table did not take. Done before `deadline`.
    ///
    /// # Errors
    ///
    /// Fails if the queue did not confirm that it has the message.
    pub async fn enqueue_tombstones(
        &self,
        ids: &[String],
        now: Timestamp,
        deadline: Instant,
    ) -> Result<(), aws::Error> {
        let message = TombstonesMessage {
            version: VERSION,
            reason: TOMBSTONES.to_owned(),
            queued_at: format!("{now:.3}"),
            tombstones: ids.to_vec(),
        };
        self.send_and_wait(serde_json::to_string(&message), Duration::ZERO, deadline).await
    }

    /// Enqueues facts that the table did not take. Done before `deadline`.
    ///
    /// # Errors
    ///
    /// Fails if the queue did not confirm that it has the message.
    pub async fn enqueue_facts(&self, facts: &Facts, now: Timestamp, deadline: Instant) -> Result<(), aws::Error> {
        let (reason, queued_at) = (FACTS.to_owned(), format!("{now:.3}"));
        let message = FactsMessage { version: VERSION, reason, queued_at, facts: facts.clone() };
        self.send_and_wait(serde_json::to_string(&message), Duration::ZERO, deadline).await
    }

    /// Enqueues halves that the table did not take. Done before `deadline`.
    ///
    /// # Errors
    ///
    /// Fails if the queue did not confirm that it has the message.
    pub async fn enqueue_halves(
        &self,
        contact_id: &str,
        halves: &[Half],
        now: Timestamp,
        deadline: Instant,
    ) -> Result<(), aws::Error> {
        let message = HalvesMessage {
            version: VERSION,
            reason: HALVES.to_owned(),
            queued_at: format!("{now:.3}"),
            summarised_contact: contact_id.to_owned(),
            halves: halves.to_vec(),
        };
        self.send_and_wait(serde_json::to_string(&message), WAIT_FOR_FACTS, deadline).await
    }

    async fn send_and_wait(
        &self,
        message: serde_json::Result<String>,
        delay: Duration,
        deadline: Instant,
    ) -> Result<(), aws::Error> {
        let mut sending = self.queue.send(&written(message)?, delay, deadline);
        sending.wait(deadline).await.unwrap_or(Err(aws::Error::Timeout))
    }

    fn send(
        &self,
        summary: &Summary,
        why: &str,
        delay: Duration,
        deadline: Instant,
    ) -> Result<Pending<()>, aws::Error> {
        Ok(self.queue.send(&written(write(summary, why, Timestamp::now()))?, delay, deadline))
    }

    /// Delays the retry of a received message by `wait`. Done before `deadline`.
    ///
    /// # Errors
    ///
    /// Fails if the queue did not confirm that.
    pub async fn delay_retry(&self, receipt_handle: &str, wait: Duration, deadline: Instant) -> Result<(), aws::Error> {
        self.queue.hide(receipt_handle, wait, deadline).await
    }
}

/// The wait before the next redelivery of a message that was received `receives` times: a minute, two, four, up to an
/// hour.
pub fn wait_after(receives: u32) -> Duration {
    let doublings = receives.saturating_sub(1).min(16);
    FIRST_WAIT.saturating_mul(1 << doublings).min(LONGEST_WAIT)
}

/// The same for facts: a quarter of it while it is short, because what a fact keeps back may wait beside it.
pub fn wait_of_facts(receives: u32) -> Duration {
    let wait = wait_after(receives);
    if wait < LONGEST_WAIT { wait / 4 } else { wait }
}

fn written(message: serde_json::Result<String>) -> Result<String, aws::Error> {
    message.map_err(|_| aws::Error::InvalidResponse { detail: "the message could not be written" })
}

/// A summary as JSON, which [`read`] reads. `why` says why it is kept.
///
/// # Errors
///
/// Never fails in practice: a summary holds only texts.
pub fn write(summary: &Summary, why: &str, now: Timestamp) -> serde_json::Result<String> {
    serde_json::to_string(&Message {
        version: VERSION,
        reason: why.to_owned(),
        queued_at: format!("{now:.3}"),
        contact_id: summary.contact_id.clone(),
        request: summary.request.clone(),
        hints: Some(summary.hints.clone()),
        words: summary.words.clone(),
        summarised_contact: summary.summarised_contact.clone(),
        may_end_call: summary.may_end_call,
        started_at: Some(format!("{:.3}", summary.started)),
        came_at: Some(format!("{:.3}", summary.came)),
    })
}

/// Reads a message's body.
///
/// # Errors
///
/// [`Unreadable`] says why it can't be read.
pub fn read(body: &str) -> Result<Content, Unreadable> {
    let message = Object::parse(body).ok_or(Unreadable::NotAMessage)?;
    let version = message.number("version").ok_or(Unreadable::NotAMessage)?;
    if version != f64::from(VERSION) {
        return Err(Unreadable::UnknownVersion);
    }
    if !message.is_null(TOMBSTONES) {
        serde_json::from_str(body).map(|message: TombstonesMessage| Content::Tombstones {
            ids: message.tombstones,
            since: time(&message.queued_at),
        })
    } else if !message.is_null(FACTS) {
        serde_json::from_str(body)
            .map(|message: FactsMessage| Content::Facts { facts: message.facts, since: time(&message.queued_at) })
    } else if !message.is_null(HALVES) {
        serde_json::from_str(body).map(|message: HalvesMessage| Content::Halves {
            contact_id: message.summarised_contact,
            halves: message.halves,
            since: time(&message.queued_at),
        })
    } else {
        serde_json::from_str(body).map(|message: Message| Content::Summary {
            since: time(&message.queued_at),
            summary: Box::new(summary(message)),
        })
    }
    .map_err(|_| Unreadable::Malformed)
}

/// The summary in a message. Values that messages of earlier builds lack are taken from the request.
fn summary(message: Message) -> Summary {
    let Message { contact_id, mut request, hints, words, summarised_contact, may_end_call, .. } = message;
    // Earlier builds sent the filler if nobody had written anything.
    if request.variables.get(LAST_ISSUE).is_some_and(|text| text.trim() == FILLER) {
        request.variables.remove(LAST_ISSUE);
    }
    let text = |name: &str| request.variables.get(name).map(String::as_str);
    let of_request = || WordsId::new(text(LAST_ISSUE), text(RESOLUTION), Some(request.intent_status.as_str()));
    let words = words.or_else(|| text(LAST_ISSUE).map(|_| of_request()));
    let came = message.came_at.as_deref().unwrap_or(&message.queued_at);
    let started = message.started_at.as_deref().or(text(CALL_DATE)).unwrap_or(&message.queued_at);
    Summary {
        contact_id: contact_id.filter(|id| is_contact_id(id)),
        hints: hints.or_else(|| request.identity_hints.clone()).unwrap_or_default(),
        words,
        summarised_contact,
        may_end_call,
        started: time(started),
        came: time(came),
        request,
    }
}

/// A time in a message. A malformed one counts as now, so that the summary is delivered all the same.
fn time(text: &str) -> Timestamp {
    text.parse().unwrap_or_else(|_| Timestamp::now())
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
        Summary {
            contact_id: Some("4a573372-1f28-4e26-b97b-0123456789ab".to_owned()),
            hints: request.identity_hints.clone().unwrap(),
            words: Some(WordsId::new(Some("summary"), None, None)),
            summarised_contact: None,
            may_end_call: true,
            started: "2026-02-07T10:00:00Z".parse().unwrap(),
            came: "2026-02-07T10:29:58.123Z".parse().unwrap(),
            request,
        }
    }

    fn read_summary(body: &str) -> Summary {
        match read(body) {
            Ok(Content::Summary { summary, .. }) => *summary,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_message_is_json_with_a_version_and_the_request_as_it_was_built() {
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
            "hints": {"ani": "+12025550101"},
            "words": summary().words,
            "started_at": "2026-02-07T10:00:00.000Z",
            "came_at": "2026-02-07T10:29:58.123Z",
        });
        assert_eq!(serde_json::from_str::<Value>(&body).unwrap(), expected);
        assert_eq!(read_summary(&body), summary());
    }

    #[test]
    fn a_text_that_does_not_look_like_a_contact_id_is_not_logged_as_one() {
        let written = Summary { contact_id: Some("+12025550101".to_owned()), ..summary() };
        let body = write(&written, "timeout", Timestamp::now()).unwrap();
        assert_eq!(read_summary(&body), Summary { contact_id: None, ..summary() });
    }

    #[test]
    fn a_message_of_an_earlier_build_is_delivered_too() {
        let body = json!({
            "version": 1, "reason": "timeout", "queued_at": "2026-02-07T10:40:00.000Z", "contact_id": null,
            "request": {
                "call_id": "call_001", "customer_ref": "cust_1", "intent": "i", "intent_status": "open",
                "variables": {"last_issue": "text", "last_issue_source": "call_summary", "call_date": "2026-02-07T10:30:00Z"},
            },
        });
        let read = read_summary(&body.to_string());
        assert_eq!(read.request.variables["last_issue"], "text");
        assert!(read.words.is_some() && read.holds_text());
        assert_eq!(read.started, "2026-02-07T10:30:00Z".parse().unwrap());
        assert_eq!(read.came, "2026-02-07T10:40:00Z".parse().unwrap());
        let filler = body.to_string().replace("\"text\"", "\"Customer called for support\"");
        let filler = read_summary(&filler.replace(r#""last_issue_source":"call_summary","#, ""));
        assert_eq!((filler.words, filler.request.variables.get("last_issue")), (None, None));
    }

    #[test]
    fn tombstones_wait_in_the_queue_like_a_summary() {
        let body =
            r#"{"version":1,"reason":"tombstones","queued_at":"2026-02-07T10:30:00.000Z","tombstones":["customer:1"]}"#;
        let since = "2026-02-07T10:30:00Z".parse().unwrap();
        assert_eq!(read(body), Ok(Content::Tombstones { ids: vec!["customer:1".to_owned()], since }));
        assert_eq!(read(r#"{"version":1,"tombstones":7}"#), Err(Unreadable::Malformed));
    }

    #[test]
    fn halves_wait_in_the_queue_and_a_summary_says_whose_it_is() {
        let body = r#"{"version":1,"reason":"halves","queued_at":"2026-02-07T10:30:00.000Z","summarised_contact":"c",
            "halves":[{"kind":"summary","text":"Wants a refund","rank":1}]}"#;
        let halves = vec![Half::of_summary("Wants a refund", true)];
        let since = "2026-02-07T10:30:00Z".parse().unwrap();
        assert_eq!(read(body), Ok(Content::Halves { contact_id: "c".to_owned(), halves, since }));
        assert_eq!(read(r#"{"version":1,"halves":7}"#), Err(Unreadable::Malformed));
        let by_contact_lens = summary().with_contact_lens("c", "Wants a refund");
        assert_eq!(read_summary(&write(&by_contact_lens, "timeout", since).unwrap()), by_contact_lens);
    }

    #[test]
    fn an_unreadable_message_is_refused_with_the_reason() {
        for body in ["", "text", "[]", "{}", r#"{"version":"1"}"#] {
            assert_eq!(read(body), Err(Unreadable::NotAMessage), "{body}");
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
    fn facts_are_tried_before_what_they_keep_back_and_for_nearly_as_long() {
        let seconds: Vec<_> = (1..=8).map(|receives| wait_of_facts(receives).as_secs()).collect();
        assert_eq!(seconds, [15, 30, 60, 120, 240, 480, 3_600, 3_600]);
    }

    #[test]
    fn an_api_that_is_down_for_six_hours_leaves_no_dead_letter() {
        let last_retry: Duration = (1..MAX_RECEIVES - 3).map(wait_after).sum();
        assert!(last_retry > Duration::from_secs(6 * 3_600), "{last_retry:?}");
    }

    proptest! {
        #[test]
        fn any_summary_comes_out_of_the_outbox_as_it_went_in(texts in prop::collection::btree_map(any::<String>(), any::<String>(), 0..5)) {
            let mut summary = summary();
            summary.request.variables = texts;
            let body = write(&summary, DEFERRED, Timestamp::now()).unwrap();
            prop_assert_eq!(read_summary(&body), summary);
        }
    }
}
