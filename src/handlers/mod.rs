//! The handlers, and what they hand back. They are the only place in which Connect's terms become the API's and back.
//!
//! - [`start_call`]: identify, for a flow
//! - [`end_call`]: save, for a flow
//! - [`contact_records`]: save, from a stream of contact records
//! - [`redelivery`]: what the outbox still holds
//! - [`batch`]: what a batch is, where it comes from, and how its items are worked on; [`newest`]: the newest call in one

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
        // So that a lookup does not carry a save's larger future about.
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

/// Works on a batch, and is done by `deadline`. Gives back the ids of the items that are to be retried.
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
