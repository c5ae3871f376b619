//! What Sticky Connect costs a caller, measured beside other ways of doing it; `docs/performance.md` says how to run it,
//! and has the figures.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a benchmark whose input is not what it takes it for has to stop"
)]

pub mod hot_paths;
