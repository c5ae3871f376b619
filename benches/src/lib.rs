//! What Sticky Connect costs a caller, measured beside other ways of doing it; `docs/performance.md` says how to run it,
//! and has the figures.
//!
//! - [`process`]: a process that is measured from its start
//! - [`cpu`]: the processor time of one, and a share that it is held to
//! - [`tls`]: TLS between a release binary and a stand-in
//! - [`times`]: what many measurements come to
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a benchmark may panic and prints"
)]

pub mod cpu;
pub mod process;
pub mod times;
pub mod tls;
