//! The measuring itself: the ways in turn, so that whatever else the machine does hits all of them alike.

use std::io;
use std::time::Duration;

use crate::cpu::Share;
use crate::process::Vitals;
use crate::times::Times;
use crate::way::{Kind, Running, Way};

/// How often things are measured.
#[derive(Clone, Copy, Debug)]
pub struct Rounds {
    /// Starts with a whole processor, and with a share of one.
    starts: (usize, usize),
    /// Warm calls: at once, after 80 ms, with a share of a processor.
    warm: (usize, usize, usize),
}

impl Rounds {
    pub const FULL: Self = Self { starts: (100, 20), warm: (2_000, 200, 100) };
    pub const QUICK: Self = Self { starts: (5, 3), warm: (100, 10, 10) };

    /// How many warm calls there are.
    pub fn warm(self, delay: u64, share: Option<Share>) -> usize {
        match (delay, share) {
            (_, Some(_)) => self.warm.2,
            (0, None) => self.warm.0,
            _ => self.warm.1,
        }
    }
}

/// What one way's starts came to.
#[derive(Clone, Debug, Default)]
pub struct Starts {
    /// From the start of the process to its first answer.
    pub first_answer: Times,
    /// The processor time in it.
    pub cpu: Times,
    /// Of the last process, at its first answer.
    pub vitals: Vitals,
    /// How much longer the first request took than later ones, which have a connection: DNS, TCP and TLS. Of the bare
    /// request alone, since nobody else tells.
    pub handshake: Times,
}

/// What one way's warm calls came to.
#[derive(Clone, Debug, Default)]
pub struct Warm {
    pub calls: Times,
    /// At the end of all of them.
    pub vitals: Vitals,
}

/// Starts every way again and again. Python is a hundred times slower at a share of a processor, so it is started less
/// often there.
pub async fn starts(ways: &[Way], share: Option<Share>, rounds: Rounds) -> io::Result<Vec<Starts>> {
    let mut all = vec![Starts::default(); ways.len()];
    let count = if share.is_none() { rounds.starts.0 } else { rounds.starts.1 };
    for round in 0..count {
        for (way, starts) in ways.iter().zip(&mut all) {
            if way.kind == Kind::Tutorial && share.is_some() && round % 5 != 0 {
                continue;
            }
            let (mut running, took) = way.start(share).await?;
            starts.vitals = running.vitals()?;
            starts.first_answer.add(took);
            starts.vitals.cpu.into_iter().for_each(|cpu| starts.cpu.add(cpu));
            if way.kind == Kind::RawPost {
                starts.handshake.add(handshake(&mut running).await?);
            }
            running.end().await?;
        }
    }
    Ok(all)
}

/// The first request of a process that has made one, over its later ones.
async fn handshake(running: &mut Running) -> io::Result<Duration> {
    let mut later = Times::default();
    for _ in 0..5 {
        later.add(running.once().await?.took);
    }
    Ok(running.first.saturating_sub(later.median()))
}

/// Calls every way again and again.
pub async fn warm(ways: &[Way], share: Option<Share>, count: usize) -> io::Result<Vec<Warm>> {
    let mut all = vec![Warm::default(); ways.len()];
    let mut running = Vec::new();
    for way in ways {
        running.push(way.start(share).await?.0);
    }
    for round in 0..count + count / 10 {
        for (running, warm) in running.iter_mut().zip(&mut all) {
            let answer = running.once().await?;
            running.check(&answer);
            if round >= count / 10 {
                warm.calls.add(answer.took);
            }
            // Calls do not come one right after the other, and what one has used of a share shall not be missing from
            // the next.
            if let Some(share) = share {
                tokio::time::sleep(2 * share.period).await;
            }
        }
    }
    for (running, warm) in running.into_iter().zip(&mut all) {
        warm.vitals = running.vitals()?;
        running.end().await?;
    }
    Ok(all)
}
