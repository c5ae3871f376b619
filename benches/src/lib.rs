//! What Sticky Connect costs a caller, measured beside other ways of doing it; `docs/performance.md` says how to run it,
//! and has the figures.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark may print, and one whose input is not what it takes it for has to stop"
)]

pub mod hot_paths;
pub mod load;
