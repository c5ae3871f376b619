//! Logs and metrics, and the report that both are made from.
//!
//! - [`Report`], [`Subject`]: the result of a lookup or a save, and what it was about
//! - [`log`]: log lines
//! - [`Metrics`]: the line of metrics

pub mod log;
mod metrics;
mod report;

pub use metrics::Metrics;
pub use report::{Report, Severity, Subject, milliseconds};
