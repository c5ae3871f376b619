//! What Sticky Connect costs a caller, measured beside other ways of doing it; `docs/performance.md` says how to run it,
//! and has the figures.
//!
//! - [`cpu`]: the processor time of a process, and a share that it is held to
//! - [`hot_paths`]: what runs on every call
//! - [`process`]: a process that is measured from its start
//! - [`times`]: what many measurements come to
//! - [`tls`]: TLS between a release binary and a stand-in
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark may panic and prints"
)]

pub mod cpu;
pub mod hot_paths;
pub mod process;
pub mod times;
pub mod tls;
