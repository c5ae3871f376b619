//! What logs and metrics say, and the report that both are made of.
//!
//! - [`Report`], [`Subject`]: what came of a lookup or a save, and whose it was
//! - [`log`]: log lines
//! - [`Metrics`]: the line of metrics

pub mod log;
mod metrics;
mod report;

pub use metrics::Metrics;
pub use report::{Report, Severity, Subject, milliseconds};
