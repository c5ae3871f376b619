//! Pairs contact records with Contact Lens' summaries. What is at hand of a contact is left in the table, and then the
//! other half is looked for there. Whoever sees both has the words of a call about which nobody typed anything.

use jiff::Timestamp;
use tokio::time::Instant;

use crate::aws;
use crate::connect::is_contact_id;
use crate::services::outbox::{self, Content};
use crate::services::{Half, HalfKind, Halves, Services};
use crate::summary::{CONTACT_LENS, Summary};
use crate::vocabulary::Degradation;

/// What came of a contact's halves.
#[derive(Clone, Debug, PartialEq)]
pub enum Pairing {
    /// Both are there: the call, with Contact Lens' summary as its words.
    Pair(Box<Summary>),
    /// The other half has not come yet, and will find this one in the table; or the contact is not to be summarised.
    Single,
    /// The table did not take this half or was not read, so the other one may not be found.
    NotLeft,
}

/// The half of a contact record that was updated then. `call` is what the record says, without words.
pub fn record_half(call: &Summary, updated: Option<Timestamp>) -> Option<Half> {
    let text = outbox::write(call, CONTACT_LENS, Timestamp::now()).ok()?;
    Some(Half::of_record(text, updated))
}

/// Leaves these halves of a contact in the table, and looks for the other one, before `deadline`.
pub async fn pair(contact_id: &str, at_hand: &[Half], services: &Services, deadline: Instant) -> Pairing {
    let Some(table) = &services.halves else { return Pairing::Single };
    let left = leave(contact_id, at_hand, table, deadline).await;
    let found = table.look_up(contact_id, deadline).await;
    if let Err(error) = &left {
        let what = "half of a call that Contact Lens summarises was not left in the table";
        degraded(Degradation::TableWrite, contact_id, services, error, what);
    }
    if let Err(error) = &found {
        let what = "the table was not read for the other half of a call that Contact Lens summarises";
        degraded(Degradation::TableRead, contact_id, services, error, what);
    }
    let is_certain = left.is_ok() && found.is_ok();
    let known = [at_hand, &found.unwrap_or_default()].concat();
    match both(contact_id, &known) {
        Known::Both(summary) => Pairing::Pair(summary),
        Known::Tombstone => Pairing::Single,
        Known::One if is_certain => Pairing::Single,
        Known::One => Pairing::NotLeft,
    }
}

/// A summary from the outbox as it should be delivered now. If Contact Lens' redacted text has come since, it takes the
/// raw one's place. Returns `None` if the contact is not to be summarised any more.
pub async fn renewed(summary: &Summary, services: &Services, deadline: Instant) -> Option<Summary> {
    let (Some(contact_id), Some(table)) = (&summary.summarised_contact, &services.halves) else {
        return Some(summary.clone());
    };
    let found = table.look_up(contact_id, deadline).await.unwrap_or_else(|error| {
        let what = "the table was not read for a redacted text of Contact Lens";
        degraded(Degradation::TableRead, contact_id, services, &error, what);
        Vec::new()
    });
    match Half::highest(HalfKind::Summary, &found) {
        Some(half) if half.is_tombstone() => None,
        Some(half) => Some(summary.clone().with_contact_lens(contact_id, &half.text)),
        None => Some(summary.clone()),
    }
}

/// Leaves tombstones for these contacts, which are not to be summarised, before `deadline`. What the table holds of them
/// is deleted.
pub async fn bury(contact_ids: &[String], services: &Services, deadline: Instant) {
    let Some(table) = services.halves.as_ref().filter(|_| !contact_ids.is_empty()) else { return };
    if let Err(error) = table.bury(contact_ids, deadline).await {
        let what = "what Contact Lens says about contacts that are not to be summarised was not deleted from the table";
        services.metrics.degraded(Degradation::TableWrite, None, Some(&error), what);
    }
}

async fn leave(contact_id: &str, halves: &[Half], table: &Halves, deadline: Instant) -> Result<(), aws::Error> {
    for half in halves {
        table.leave(contact_id, half, deadline).await?;
    }
    Ok(())
}

/// What is known of a contact's halves.
enum Known {
    Both(Box<Summary>),
    One,
    Tombstone,
}

fn both(contact_id: &str, halves: &[Half]) -> Known {
    if halves.iter().any(Half::is_tombstone) {
        return Known::Tombstone;
    }
    let of = |kind| Half::highest(kind, halves);
    let (Some(record), Some(summary)) = (of(HalfKind::Record), of(HalfKind::Summary)) else { return Known::One };
    match outbox::read(&record.text) {
        Ok(Content::Summary { summary: call, .. }) => {
            Known::Both(Box::new(call.with_contact_lens(contact_id, &summary.text)))
        }
        _ => Known::One,
    }
}

/// Counts and logs a degradation.
fn degraded(degradation: Degradation, contact_id: &str, services: &Services, error: &aws::Error, what: &str) {
    let contact_id = Some(contact_id).filter(|id| is_contact_id(id));
    services.metrics.degraded(degradation, contact_id, Some(error), what);
}
