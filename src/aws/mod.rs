//! AWS's edge: one queue, one table and one secret.
//!
//! - [`Access`]: region, credentials and endpoint from Lambda's environment; builds what all three clients share
//! - [`Queue`]: one SQS queue: send a message, hide a received one
//! - [`Table`]: one DynamoDB table of [`Row`]s that expire
//! - [`Secret`]: one secret in Secrets Manager
//! - [`Error`]: how a request to any of them fails

mod access;
mod error;
mod http;
mod queue;
mod request;
mod secret;
mod table;

pub use access::{Access, Clients};
pub use error::Error;
pub use queue::{MAX_DELAY, MAX_VISIBILITY, Queue};
pub use request::Pending;
pub use secret::Secret;
pub use table::{Condition, Row, Table};
