//! Sticky Connect beside other ways of asking the same API: its start, its warm calls, its memory.
//!
//!     cargo bench --package benchmarks --bench side_by_side
//!
//! What is compared, and what came of it, is in `docs/performance.md`.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "a benchmark may panic and prints"
)]

mod cpu;
mod stage;
mod tables;
mod times;
mod tls;
mod way;

use std::time::Duration;

use crate::cpu::{ControlGroup, Share};
use crate::stage::Stage;
use crate::times::Times;
use crate::way::{Kind, Way};

/// What the starts of one way came to.
#[derive(Clone, Default)]
struct Starts {
    /// From the start of the process to its first answer.
    first_answer: Times,
    /// The processor time in it, if the kernel counts it for us.
    cpu: Times,
    /// What the first request took longer than later ones, which have a connection: DNS, TCP and TLS. Of the raw POST
    /// alone, since nobody else tells.
    handshake: Times,
}

/// What the warm calls of one way came to.
#[derive(Clone, Default)]
struct Warm {
    calls: Times,
    /// At the end: the most memory that was ever resident, in bytes, and how many threads there are.
    peak: u64,
    threads: u64,
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let stage = Stage::set().await;
    let ways = stage.ways();
    let mut shares = vec![None];
    // Lambda's period is not documented; the kernel's own default is the long one.
    let of_128_mb = [20, 100].map(|ms| Some(Share::of_128_mb(Duration::from_millis(ms))));
    // Tried before anything is measured, so that nothing else that fails is taken for it.
    match ControlGroup::new(of_128_mb[0]) {
        Ok(_) => shares.extend(of_128_mb),
        Err(error) => println!("not measured at the share of a 128 MB function: {error}\n"),
    }
    let mut starts = Vec::new();
    for &share in &shares {
        starts.push((share, measure_starts(&ways, share).await));
    }
    tables::starts(&ways, &starts);
    let mut warm = Vec::new();
    let throttled = shares.get(1).map(|share| (0, *share, 100));
    for (delay, share, count) in [(0, None, 2_000), (80, None, 200)].into_iter().chain(throttled) {
        stage.answer_after(Duration::from_millis(delay));
        warm.push((delay, share, measure_warm(&ways, share, count).await));
    }
    tables::warm(&ways, &warm);
    tables::memory(&ways, &warm[0].2);
    tables::bounds(&ways, &starts, &warm);
}

/// Starts the ways in turn, so that whatever else the machine does hits all of them alike.
async fn measure_starts(ways: &[Way], share: Option<Share>) -> Vec<Starts> {
    let mut all = vec![Starts::default(); ways.len()];
    for round in 0..if share.is_none() { 100 } else { 20 } {
        for (way, starts) in ways.iter().zip(&mut all) {
            // Python is a hundred times slower at a share of a processor.
            if way.kind == Kind::Tutorial && share.is_some() && round % 5 != 0 {
                continue;
            }
            let mut running = way.start(share).await;
            starts.first_answer.add(running.first_answer);
            running.cpu().into_iter().for_each(|cpu| starts.cpu.add(cpu));
            if way.kind == Kind::RawPost {
                let mut later = Times::default();
                for _ in 0..5 {
                    later.add(running.call().await);
                }
                let later = Duration::from_secs_f64(later.median() / 1e3);
                starts.handshake.add(running.first_request.saturating_sub(later));
            }
            running.end().await;
        }
    }
    all
}

/// Calls the ways in turn.
async fn measure_warm(ways: &[Way], share: Option<Share>, count: usize) -> Vec<Warm> {
    let mut all = vec![Warm::default(); ways.len()];
    let mut running = Vec::new();
    for way in ways {
        running.push(way.start(share).await);
    }
    for round in 0..count + count / 10 {
        for (running, warm) in running.iter_mut().zip(&mut all) {
            let took = running.call().await;
            if round >= count / 10 {
                warm.calls.add(took);
            }
            // Calls do not come one right after the other: what one has used of a share is there again for the next.
            if let Some(share) = share {
                tokio::time::sleep(2 * share.period).await;
            }
        }
    }
    for (running, warm) in running.into_iter().zip(&mut all) {
        (warm.peak, warm.threads) = (running.status("VmHWM:") * 1024, running.status("Threads:"));
        running.end().await;
    }
    all
}
