//! Contact Lens' summaries: the words of calls about which nobody typed anything.
//!
//! A summary names a contact and no customer, and comes before or after the contact record. So the half that has come is
//! written to the table, and then the other one is looked for there. Whoever sees both has the call's words.

use futures_util::{StreamExt, stream};
use jiff::Timestamp;
use tokio::time::Instant;

use crate::aws;
use crate::budget::ITEMS_AT_ONCE;
use crate::connect::is_contact_id;
use crate::services::outbox::{self, Content};
use crate::services::{Half, HalfKind, Halves, Services};
use crate::summary::{CONTACT_LENS, Summary};
use crate::vocabulary::Degradation;

/// What came of a contact's halves.
#[derive(Clone, Debug, PartialEq)]
pub enum Pairing {
    /// Both are there: the call, with Contact Lens' summary as its words.
    Paired(Box<Summary>),
    /// The other half has not come yet, and will find this one in the table. Or the summary is not to be saved.
    NothingToSend,
    /// The table failed, so the halves may not find each other. They have to be kept elsewhere.
    TableFailed,
}

/// What is at hand of a contact.
pub struct Unpaired {
    contact_id: String,
    /// The call, if its record is at hand.
    pub call_id: Option<String>,
    /// One half, or several of which the best counts.
    pub halves: Vec<Half>,
}

/// The record's half. `updated` is its last update, `may_end_call` whether it is the call's last record.
pub fn half_of_record(summary: &Summary, may_end_call: bool, updated: Option<Timestamp>) -> Option<Half> {
    let call = Summary { may_end_call, ..summary.clone().without_words() };
    let text = outbox::write(&call, CONTACT_LENS, Timestamp::now()).ok()?;
    Some(Half::of_record(text, updated))
}

impl Unpaired {
    /// Nothing yet of this contact.
    pub fn of(contact_id: String) -> Self {
        Self { contact_id, call_id: None, halves: Vec::new() }
    }

    /// The contact's id, if it looks like one.
    pub fn contact_id(&self) -> Option<String> {
        Some(self.contact_id.clone()).filter(|id| is_contact_id(id))
    }

    /// Whether Contact Lens' summary is at hand.
    pub fn holds_summary(&self) -> bool {
        self.halves.iter().any(Half::is_summary)
    }

    /// Leaves the halves in the table, and looks for the other one, before `deadline`.
    pub async fn pair(&self, services: &Services, deadline: Instant) -> Pairing {
        pair(&self.contact_id, &self.halves, services, deadline).await
    }

    /// Puts the halves into the outbox before `deadline`. Returns whether the outbox has them.
    pub async fn enqueue(&self, services: &Services, deadline: Instant) -> bool {
        let Some(outbox) = &services.outbox else { return false };
        let enqueued = outbox.enqueue_halves(&self.contact_id, &self.halves, Timestamp::now(), deadline).await;
        // The table's failure is counted.
        let _ = enqueued.as_ref().inspect_err(|error| {
            tracing::warn!(detail = %error, "the outbox did not take half of a call that Contact Lens summarises either");
        });
        enqueued.is_ok()
    }
}

/// Puts all of these into the outbox before `deadline`, in any order.
pub async fn enqueue_at_once(all: impl IntoIterator<Item = Unpaired>, services: &Services, deadline: Instant) {
    let one = async |unpaired: Unpaired| unpaired.enqueue(services, deadline).await;
    stream::iter(all).map(one).buffer_unordered(ITEMS_AT_ONCE).count().await;
}

/// Leaves these halves of a contact in the table, and looks for the other one, before `deadline`.
pub async fn pair(contact_id: &str, at_hand: &[Half], services: &Services, deadline: Instant) -> Pairing {
    let Some(table) = &services.halves else { return Pairing::TableFailed };
    if let Err(error) = leave(contact_id, at_hand, table, deadline).await {
        let what = "half of a call that Contact Lens summarises was not left in the table";
        degraded(Degradation::TableWrite, contact_id, services, Some(&error), what);
        return Pairing::TableFailed;
    }
    let found = match table.look_up(contact_id, deadline).await {
        Ok(found) => found,
        Err(error) => {
            let what = "the table was not read for the other half of a call that Contact Lens summarises";
            degraded(Degradation::TableRead, contact_id, services, Some(&error), what);
            return Pairing::TableFailed;
        }
    };
    let of = |kind| Half::highest(kind, &found);
    match (of(HalfKind::Record), of(HalfKind::Summary)) {
        (Some(record), Some(summary)) if !record.is_tombstone() && !summary.is_tombstone() => {
            let Ok(Content::Summary { summary: call, .. }) = outbox::read(&record.text) else {
                let what = "another version has left half of a call that Contact Lens summarises";
                degraded(Degradation::TableRead, contact_id, services, None, what);
                return Pairing::TableFailed;
            };
            Pairing::Paired(Box::new(call.with_contact_lens(contact_id, &summary.text)))
        }
        _ => Pairing::NothingToSend,
    }
}

/// A summary from the outbox with Contact Lens' latest text: a redacted one may have come since. Returns `None` if the
/// contact is not to be summarised any more.
///
/// # Errors
///
/// Fails if the table does not answer before `deadline`.
pub async fn with_latest_text(
    summary: &Summary,
    services: &Services,
    deadline: Instant,
) -> Result<Option<Summary>, aws::Error> {
    let (Some(contact_id), Some(table)) = (&summary.summarised_contact, &services.halves) else {
        return Ok(Some(summary.clone()));
    };
    let found = table.look_up(contact_id, deadline).await.inspect_err(|error| {
        let what = "the table was not read for what Contact Lens has said since";
        degraded(Degradation::TableRead, contact_id, services, Some(error), what);
    })?;
    Ok(match Half::highest(HalfKind::Summary, &found) {
        Some(half) if half.is_tombstone() => None,
        Some(half) => Some(summary.clone().with_contact_lens(contact_id, &half.text)),
        None => Some(summary.clone()),
    })
}

async fn leave(contact_id: &str, halves: &[Half], table: &Halves, deadline: Instant) -> Result<(), aws::Error> {
    for half in halves {
        table.leave(contact_id, half, deadline).await?;
    }
    Ok(())
}

/// Counts and logs a degradation.
fn degraded(degradation: Degradation, contact_id: &str, services: &Services, error: Option<&aws::Error>, what: &str) {
    let contact_id = Some(contact_id).filter(|id| is_contact_id(id));
    services.metrics.degraded(degradation, contact_id, error.map(|error| error as _), what);
}
