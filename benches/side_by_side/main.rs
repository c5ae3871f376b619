//! Sticky Connect beside other ways of asking the same API: its start, its warm calls, its memory.
//!
//!     cargo bench --package benchmarks --bench side_by_side
//!
//! With `-- --quick` it takes a minute and tells little. What is measured, and what came of it, is in
//! `docs/performance.md`.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a benchmark may panic and prints"
)]

mod cpu;
mod measure;
mod process;
mod stage;
mod tables;
mod times;
mod tls;
mod way;

use std::time::Duration;

use crate::cpu::Share;

use crate::measure::Rounds;
use crate::stage::Stage;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let rounds = if std::env::args().any(|argument| argument == "--quick") { Rounds::QUICK } else { Rounds::FULL };
    let stage = Stage::set().await;
    let mut ways = stage.ways();
    // Lambda's period is not documented; the kernel's own default is the long one.
    let shares = [None, Some(20), Some(100)].map(|ms| ms.map(|ms| Share::of_128_mb(Duration::from_millis(ms))));
    let mut starts = Vec::new();
    for share in shares {
        match measure::starts(&ways, share, rounds).await {
            Ok(measured) => starts.push((share, measured)),
            Err(error) => println!("not measured at the share of a 128 MB function: {error}\n"),
        }
    }
    tables::starts(&ways, &starts);
    let mut warm = Vec::new();
    for (delay, share) in [(0, None), (80, None), (0, shares[1])] {
        stage.answer_after(Duration::from_millis(delay));
        match measure::warm(&mut ways, share, rounds.warm(delay, share)).await {
            Ok(measured) => warm.push((delay, share, measured)),
            Err(error) => println!("not measured at the share of a 128 MB function: {error}\n"),
        }
    }
    tables::warm(&ways, &warm);
    tables::memory(&ways, &warm[0].2);
    tables::bounds(&ways, &starts, &warm);
}
