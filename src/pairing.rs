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
    /// The table did not take this half or was not read. So the other one may not be found, and nobody knows whether the
    /// contact is to be summarised.
    NotLeft,
}

/// The half of a contact record that was updated then. `call` is what the record says, without words.
pub fn record_half(call: &Summary, updated: Option<Timestamp>) -> Option<Half> {
    let text = outbox::write(call, CONTACT_LENS, Timestamp::now()).ok()?;
    Some(Half::of_record(text, updated))
}

/// Leaves these halves of a contact in the table, and looks for the other one, before `deadline`.
pub async fn pair(contact_id: &str, at_hand: &[Half], services: &Services, deadline: Instant) -> Pairing {
    let Some(table) = &services.halves else { return Pairing::NotLeft };
    if let Err(error) = leave(contact_id, at_hand, table, deadline).await {
        let what = "half of a call that Contact Lens summarises was not left in the table";
        degraded(Degradation::TableWrite, contact_id, services, Some(&error), what);
        return Pairing::NotLeft;
    }
    let found = match table.look_up(contact_id, deadline).await {
        Ok(found) => found,
        Err(error) => {
            let what = "the table was not read for the other half of a call that Contact Lens summarises";
            degraded(Degradation::TableRead, contact_id, services, Some(&error), what);
            return Pairing::NotLeft;
        }
    };
    let of = |kind| Half::highest(kind, &found);
    match (of(HalfKind::Record), of(HalfKind::Summary)) {
        (Some(record), Some(summary)) if !record.is_tombstone() && !summary.is_tombstone() => {
            let Ok(Content::Summary { summary: call, .. }) = outbox::read(&record.text) else {
                let what = "another version has left half of a call that Contact Lens summarises";
                degraded(Degradation::TableRead, contact_id, services, None, what);
                return Pairing::NotLeft;
            };
            Pairing::Pair(Box::new(call.with_contact_lens(contact_id, &summary.text)))
        }
        _ => Pairing::Single,
    }
}

/// A summary from the outbox as it should be delivered now. If Contact Lens' redacted text has come since, it takes the
/// raw one's place. Returns `None` if the contact is not to be summarised any more.
///
/// # Errors
///
/// Fails if the table does not answer before `deadline`.
pub async fn renewed(summary: &Summary, services: &Services, deadline: Instant) -> Result<Option<Summary>, aws::Error> {
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
