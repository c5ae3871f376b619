//! The handlers, and what they return. Only they translate between Connect's terms and the API's.
//!
//! - [`start_call`]: identify, for a flow
//! - [`end_call`]: save, for a flow
//! - [`contact_records`]: save, from a stream of contact records
//! - [`redelivery`]: deliver what waits in the outbox
//! - [`batch`]: the source of a batch, how its items are processed, and which of them failed
//! - [`newest`]: each customer's newest call in a batch

pub mod batch;
pub mod contact_records;
pub mod end_call;
pub mod newest;
pub mod redelivery;
pub mod start_call;

use jiff::Timestamp;
use serde_json::value::RawValue;
use tokio::time::Instant;

use crate::connect::{Attributes, Contact};
use crate::services::Services;
use crate::telemetry::Report;
use crate::vocabulary::{Action, Reason};

use batch::Source;

/// A flow handler's answer.
#[derive(Debug)]
pub struct Answer {
    /// What the flow gets.
    pub attributes: Attributes,
    /// What log and metrics say.
    pub report: Report,
}

/// Answers a flow, by `deadline`; `now` is the time of the event.
pub async fn answer_flow(
    action: Action,
    contact: &Contact<'_>,
    services: &Services,
    deadline: Instant,
    now: Timestamp,
) -> Answer {
    match action {
        Action::StartCall => start_call::handle(contact, services, deadline, now).await,
        // Boxed, so that a lookup's future does not get the size of a save's.
        Action::EndCall => Box::pin(end_call::handle(contact, services, deadline, now)).await,
    }
}

/// A flow's answer if nothing was looked up or saved.
pub fn fallback(
    action: Action,
    contact: Option<&Contact<'_>>,
    services: &Services,
    reason: Reason,
    now: Timestamp,
) -> Answer {
    match action {
        Action::StartCall => start_call::fallback(contact, &services.config, reason, now),
        Action::EndCall => end_call::fallback(contact, reason),
    }
}

/// Processes a batch, and is done by `deadline`. Returns the ids of the batch item failures.
pub async fn answer_batch(
    source: Source,
    records: &[&RawValue],
    services: &Services,
    request_id: &str,
    deadline: Instant,
) -> Vec<String> {
    match source {
        Source::Queue => redelivery::handle(records, services, request_id, deadline).await,
        Source::Stream => contact_records::handle(records, services, request_id, deadline).await,
    }
}
