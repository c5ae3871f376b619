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

use crate::cpu::{ControlGroup, Share};
use crate::measure::Rounds;
use crate::stage::Stage;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let rounds = if std::env::args().any(|argument| argument == "--quick") { Rounds::QUICK } else { Rounds::FULL };
    let stage = Stage::set().await;
    let ways = stage.ways();
    let mut shares = vec![None];
    // Lambda's period is not documented; the kernel's own default is the long one.
    let of_128_mb = [20, 100].map(|ms| Some(Share::of_128_mb(Duration::from_millis(ms))));
    // Tried before anything is measured, so that nothing else that fails is taken for it.
    match ControlGroup::new(&format!("sticky-connect-{}-tried", std::process::id()), of_128_mb[0]) {
        Ok(_) => shares.extend(of_128_mb),
        Err(error) => println!("not measured at the share of a 128 MB function: {error}\n"),
    }
    let mut starts = Vec::new();
    for &share in &shares {
        starts.push((share, measure::starts(&ways, share, rounds).await.unwrap()));
    }
    tables::starts(&ways, &starts);
    let mut warm = Vec::new();
    let throttled = shares.get(1).map(|share| (0, *share));
    for (delay, share) in [(0, None), (80, None)].into_iter().chain(throttled) {
        stage.answer_after(Duration::from_millis(delay));
        warm.push((delay, share, measure::warm(&ways, share, rounds.warm(delay, share)).await.unwrap()));
    }
    tables::warm(&ways, &warm);
    tables::memory(&ways, &warm[0].2);
    tables::bounds(&ways, &starts, &warm);
}
