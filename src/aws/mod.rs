//! AWS's edge: the queue, the table and the secret, each behind the one thing that is wanted of it.
//!
//! - [`Access`]: region, credentials and endpoint, as Lambda's environment has them; builds what all three clients share
//! - [`Queue`]: one SQS queue: send a message, hide one
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
