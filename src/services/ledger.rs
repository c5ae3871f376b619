//! The ledger: what the table knows about calls that are over. It answers four questions. Which words are saved or
//! queued already? Which is a customer's newest call with a text? In which calls has the customer opted out? Which calls
//! need no summary by Contact Lens, because somebody has typed something?
//!
//! Saves work without it. If the table is slow or down, the ledger counts as empty. Then words may be saved twice, and
//! older words may replace newer ones, but no words are lost.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::try_join_all;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::halves;
use super::keyed_hash::KeyedHash;
use crate::aws::{self, Condition, Row, Table};
use crate::hash::sha256;
use crate::sticky_calls::{ApiKey, CustomerRef, EndRequest, IntentStatus};
use crate::summary::{Newest, Summary};
use crate::vocabulary::Reason;

/// How long a row is kept: longer than the outbox keeps anything.
const TTL: SignedDuration = SignedDuration::from_hours(15 * 24);

/// What the rows hold.
const STATE: &str = "words_state";
const CUSTOMER_REF: &str = "customer_ref";
const CALL_ID: &str = "call_id";
const STARTED: &str = "started_ms";
const CAME: &str = "came_ms";
const INTENT: &str = "intent";
const INTENT_STATUS: &str = "intent_status";

/// The state of words that the API has. For words in the outbox, the state is the reason why they are there.
const TAKEN: &str = "taken";

/// An entry is replaced by a call that started later, or by later words of the same call.
const UNLESS_OLDER: Condition = Condition {
    expression: "attribute_not_exists(id) OR (call_id = :call_id AND came_ms <= :came_ms) \
                 OR (call_id <> :call_id AND started_ms < :started_ms)",
    names: &[CALL_ID, STARTED, CAME],
};

/// Where words are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WordsState {
    /// The API has them.
    Taken,
    /// The outbox has them, since the API did not take them for this reason.
    Queued(Reason),
}

impl WordsState {
    /// The text in a row: `taken`, or the reason.
    fn as_str(self) -> &'static str {
        match self {
            Self::Taken => TAKEN,
            Self::Queued(reason) => reason.as_str(),
        }
    }

    fn parse(word: &str) -> Option<Self> {
        if word == TAKEN { Some(Self::Taken) } else { Reason::parse(word).map(Self::Queued) }
    }
}

/// What the table must know about calls because it keeps something from being sent later.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// The ids of calls in which the customer has opted out.
    pub opted_out: BTreeSet<String>,
    /// The ids of calls about which somebody has typed something.
    pub typed: BTreeSet<String>,
    /// The ids of contacts whose summary by Contact Lens is not to be saved.
    pub not_summarised: BTreeSet<String>,
    /// What somebody has chosen about a call without typing anything, by the call's id.
    #[serde(default)]
    pub chosen: BTreeMap<String, Chosen>,
}

/// A status that somebody has chosen about a call without typing anything, with the intent that it is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chosen {
    /// The intent.
    pub intent: String,
    /// Its status.
    pub intent_status: IntentStatus,
}

impl Facts {
    /// What the words of a summary say: that somebody has typed something about its call, or has chosen a status.
    pub fn of_words(summary: &Summary) -> Self {
        let EndRequest { call_id, intent, intent_status, .. } = summary.request.clone();
        if summary.holds_typed_text() {
            Self { typed: BTreeSet::from([call_id]), ..Self::default() }
        } else if summary.words.is_some() && !summary.holds_text() {
            Self { chosen: BTreeMap::from([(call_id, Chosen { intent, intent_status })]), ..Self::default() }
        } else {
            Self::default()
        }
    }

    /// Whether there are no facts.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What the ledger knows about a summary. The default is the answer of an empty ledger.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// Where its words are, if they are saved or queued already.
    pub words: Option<WordsState>,
    /// Its customer's newest call with a text.
    pub newest: Option<Newest>,
    /// Whether the customer has opted out in this call.
    pub is_opted_out: bool,
    /// Of a summary by Contact Lens: whether somebody has typed something about this call.
    pub has_typed_words: bool,
    /// Of a summary by Contact Lens: the intent and the status that somebody has chosen without typing anything.
    pub chosen_status: Option<Chosen>,
}

/// The ledger.
pub struct Ledger {
    table: Table,
    notes_typed_words: bool,
}

impl Ledger {
    /// The ledger in this table. It notes about which calls somebody typed something only if it `notes_typed_words`.
    pub fn new(table: Table, notes_typed_words: bool) -> Self {
        Self { table, notes_typed_words }
    }

    /// What is known about a summary. Without a `key` nothing is found by hints.
    ///
    /// # Errors
    ///
    /// Fails if the table does not answer before `deadline`.
    pub async fn look_up(
        &self,
        summary: &Summary,
        key: Option<&ApiKey>,
        deadline: Instant,
    ) -> Result<Known, aws::Error> {
        let (words, opt_out) = (words_id(summary), opt_out_id(&summary.request.call_id));
        let call_id = &summary.request.call_id;
        let by_contact_lens = summary.summarised_contact.as_ref().map(|_| [typed_id(call_id), status_id(call_id)]);
        let mut wanted = newest_ids(summary, None, key);
        wanted.push(opt_out.clone());
        wanted.extend(words.clone().into_iter().chain(by_contact_lens.iter().flatten().cloned()));
        let now = Timestamp::now().as_second();
        let rows = self.table.read(&wanted, deadline).await?;
        // DynamoDB deletes late.
        let rows: Vec<_> = rows.into_iter().filter(|row| row.expires_at > now).collect();
        let row = |id: &str| rows.iter().find(|row| row.id == id);
        let state = words.and_then(|id| WordsState::parse(row(&id)?.text(STATE)?));
        let customer_ref = summary.request.customer_ref.as_ref().map(CustomerRef::as_str);
        let of_this_customer = |row: &&Row| match (row.text(CUSTOMER_REF), customer_ref) {
            // Found by a hint, but another customer's: they share a phone or an address.
            (Some(theirs), Some(ours)) => theirs == ours,
            _ => true,
        };
        let newest = rows.iter().filter(of_this_customer).filter_map(newest);
        let newest = newest.max_by_key(|newest| (newest.started_ms, newest.came_ms));
        // Contact Lens' summaries of one call are equally old, so what is newer was typed.
        let of_this_call = newest.as_ref().filter(|newest| newest.call_id == *call_id);
        let came_later = of_this_call.is_some_and(|newest| newest.came_ms > summary.came.as_millisecond());
        let [typed, chosen] = by_contact_lens.map_or([None, None], |ids| ids.map(|id| row(&id)));
        Ok(Known {
            words: state,
            is_opted_out: row(&opt_out).is_some(),
            has_typed_words: typed.is_some() || summary.summarised_contact.is_some() && came_later,
            chosen_status: chosen.and_then(chosen_in),
            newest,
        })
    }

    /// Notes where the words of a summary are now, and that its call may be its customer's newest one. The customer is
    /// the one in the summary, and the `customer_ref` in the API's answer.
    ///
    /// # Errors
    ///
    /// Fails if the table does not confirm all rows before `deadline`. Some may have been written.
    pub async fn note_words(
        &self,
        summary: &Summary,
        state: WordsState,
        customer_ref: Option<&CustomerRef>,
        key: Option<&ApiKey>,
        deadline: Instant,
    ) -> Result<(), aws::Error> {
        let Some(id) = words_id(summary) else { return Ok(()) };
        let mut words = vec![Row::new(id, expires_at()).with_text(STATE, state.as_str())];
        words.extend(self.rows_of(&Facts::of_words(summary)));
        let ids = if summary.holds_text() { newest_ids(summary, customer_ref, key) } else { Vec::new() };
        let entries: Vec<_> = ids.into_iter().map(|id| entry(id, summary, customer_ref)).collect();
        let newest = entries.iter().map(|row| self.table.write_if(row, UNLESS_OLDER, deadline));
        let (words, newest) =
            futures_util::future::join(self.table.write(&words, deadline), try_join_all(newest)).await;
        words.and(newest.map(|_| ()))
    }

    /// Notes these facts. The halves of a contact that is not to be summarised are deleted.
    ///
    /// # Errors
    ///
    /// Fails if the table does not confirm all rows before `deadline`. Some may have been written.
    pub async fn note_facts(&self, facts: &Facts, deadline: Instant) -> Result<(), aws::Error> {
        self.table.write(&self.rows_of(facts), deadline).await
    }

    /// The rows that say these facts, without what Contact Lens alone needs if it is not switched on.
    fn rows_of(&self, facts: &Facts) -> Vec<Row> {
        let expires_at = expires_at();
        let opted_out = facts.opted_out.iter().map(|call_id| Row::new(opt_out_id(call_id), expires_at));
        let barred = facts.not_summarised.iter().flat_map(|contact_id| halves::tombstones(contact_id, expires_at));
        let typed = facts.typed.iter().map(|call_id| Row::new(typed_id(call_id), expires_at));
        let chosen = facts.chosen.iter().map(|(call_id, chosen)| {
            let row = Row::new(status_id(call_id), expires_at).with_text(INTENT, chosen.intent.clone());
            row.with_text(INTENT_STATUS, chosen.intent_status.as_str())
        });
        let for_contact_lens = barred.chain(typed).chain(chosen).filter(|_| self.notes_typed_words);
        opted_out.chain(for_contact_lens).collect()
    }
}

fn expires_at() -> i64 {
    Timestamp::now().saturating_add(TTL).map_or(0, Timestamp::as_second)
}

fn words_id(summary: &Summary) -> Option<String> {
    Some(format!("words:{}", sha256(summary.saved_words()?.as_bytes())))
}

fn opt_out_id(call_id: &str) -> String {
    format!("opt-out:{}", sha256(call_id.as_bytes()))
}

fn typed_id(call_id: &str) -> String {
    format!("typed:{}", sha256(call_id.as_bytes()))
}

fn status_id(call_id: &str) -> String {
    format!("status:{}", sha256(call_id.as_bytes()))
}

fn chosen_in(row: &Row) -> Option<Chosen> {
    let intent_status = IntentStatus::parse(row.text(INTENT_STATUS)?)?;
    Some(Chosen { intent: row.text(INTENT)?.to_owned(), intent_status })
}

/// The ids under which the newest call of a summary's customer is found. The reference is not hashed, so that it stays
/// valid when the API's key changes.
fn newest_ids(summary: &Summary, customer_ref: Option<&CustomerRef>, key: Option<&ApiKey>) -> Vec<String> {
    let named = summary.request.customer_ref.iter().chain(customer_ref).map(CustomerRef::as_str);
    let mut ids: Vec<_> = named.map(|customer_ref| format!("newest:customer:{customer_ref}")).collect();
    let hashes = key.map(|key| KeyedHash::new(key).of_hints(&summary.hints)).unwrap_or_default();
    ids.extend(hashes.into_iter().map(|hash| format!("newest:hint:{hash}")));
    ids.sort_unstable();
    ids.dedup();
    ids
}

fn entry(id: String, summary: &Summary, customer_ref: Option<&CustomerRef>) -> Row {
    let Newest { call_id, started_ms, came_ms, intent, intent_status } = summary.as_newest();
    let row = Row::new(id, expires_at())
        .with_text(CALL_ID, call_id)
        .with_number(STARTED, started_ms)
        .with_number(CAME, came_ms)
        .with_text(INTENT, intent)
        .with_text(INTENT_STATUS, intent_status.as_str());
    match summary.request.customer_ref.as_ref().or(customer_ref) {
        Some(customer_ref) => row.with_text(CUSTOMER_REF, customer_ref.as_str()),
        None => row,
    }
}

fn newest(row: &Row) -> Option<Newest> {
    Some(Newest {
        call_id: row.text(CALL_ID)?.to_owned(),
        started_ms: row.number(STARTED)?,
        came_ms: row.number(CAME)?,
        intent: row.text(INTENT)?.to_owned(),
        intent_status: IntentStatus::parse(row.text(INTENT_STATUS)?)?,
    })
}
