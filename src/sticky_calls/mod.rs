//! The Sticky Calls API's edge: two calls, what they send, what they answer, how they fail.
//!
//! - [`Client`]: `POST /v1/calls/start` and `POST /v1/calls/end`, within a deadline
//! - `retry`: which failures are retried, and when
//! - `first_connection`: the connection that is opened while the function starts
//! - `network_thread`: the thread that sends requests and reads answers, so that no answer delays the budget's timer
//! - [`CustomerRef`]: the API's reference for a customer
//! - [`StartRequest`], [`EndRequest`], [`StartAnswer`], [`EndAnswer`]: the API's own terms
//! - [`Error`]: how a call fails, and with which reason

mod access;
mod answers;
mod client;
mod customer_ref;
mod error;
mod first_connection;
mod network_thread;
mod requests;
mod retry;

pub use access::{ApiKey, BaseUrl};
pub use answers::{EndAnswer, OpenIntent, Recommendation, StartAnswer};
pub use client::{Attempts, Call, Client, Started};
pub use customer_ref::{CustomerRef, is_placeholder};
pub use error::Error;
pub use requests::{EndRequest, IdentityHints, IntentStatus, LineType, StartRequest, Telco, takes_call_id};
