//! What was measured, as the tables of `docs/performance.md`.

use std::fs;

use crate::cpu::Share;
use crate::way::{Kind, Way};
use crate::{Starts, Warm};

const MB: f64 = 1e6;

/// Of a processor, what Lambda gives a function of 128 MB.
const PERCENT: f64 = 7.24;

/// From the start of the process to its first answer.
pub fn starts(ways: &[Way], measured: &[(Option<Share>, Vec<Starts>)]) {
    for (share, starts) in measured {
        let hello = starts[place(ways, Kind::Hello)].first_answer.median();
        println!("### Process start to first answer over TLS, {}, in ms\n", within(*share));
        println!("| | median | 5th to 95th percentile | × hello | processor time |");
        println!("|---|---:|---:|---:|---:|");
        for (way, Starts { first_answer, cpu, .. }) in ways.iter().zip(starts) {
            let [low, median, high] = [5, 50, 95].map(|percent| first_answer.percentile(percent));
            let (name, times, cpu) = (way.kind.name(), median / hello, cpu.median());
            println!("| {name} | {median:.2} | {low:.2} to {high:.2} | {times:.2} | {cpu:.2} |");
        }
        let [ours, tutorial] =
            [Kind::StickyConnect, Kind::Tutorial].map(|kind| starts[place(ways, kind)].first_answer.count());
        let handshake = starts[place(ways, Kind::RawPost)].handshake.median();
        println!("\n{ours} starts each, {tutorial} of the tutorial.");
        println!("A first connection (DNS, TCP, TLS) takes {handshake:.2} ms of the raw POST.\n");
    }
}

/// Calls of a process that has answered before.
pub fn warm(ways: &[Way], measured: &[(u64, Option<Share>, Vec<Warm>)]) {
    for (delay, share, warm) in measured {
        let raw = warm[place(ways, Kind::RawPost)].calls.median();
        let api = if *delay == 0 { "at once".to_owned() } else { format!("after {delay} ms") };
        println!("### Warm calls over TLS, API answers {api}, {}, in ms\n", within(*share));
        println!("| | p50 | p95 | p99 | × raw POST |\n|---|---:|---:|---:|---:|");
        for (way, Warm { calls, .. }) in ways.iter().zip(warm) {
            let [p50, p95, p99] = [50, 95, 99].map(|percent| calls.percentile(percent));
            println!("| {} | {p50:.2} | {p95:.2} | {p99:.2} | {:.2} |", way.kind.name(), p50 / raw);
        }
        println!("\n{} calls each.\n", warm[0].calls.count());
    }
}

/// What the processes take after all these calls.
pub fn memory(ways: &[Way], measured: &[Warm]) {
    println!("### Memory after the warm calls\n\n| | peak, MB | threads |\n|---|---:|---:|");
    for (way, Warm { peak, threads, .. }) in ways.iter().zip(measured) {
        println!("| {} | {:.1} | {threads} |", way.kind.name(), *peak as f64 / MB);
    }
    println!();
}

/// The bounds that Sticky Connect is held to.
pub fn bounds(ways: &[Way], starts: &[(Option<Share>, Vec<Starts>)], warm: &[(u64, Option<Share>, Vec<Warm>)]) {
    println!("### Bounds\n\n| | bound | measured | |\n|---|---:|---:|---|");
    let [hello, raw, ours, with_all] =
        [Kind::Hello, Kind::RawPost, Kind::StickyConnect, Kind::StickyConnectWithAll].map(|kind| place(ways, kind));
    for (share, starts) in starts {
        let first = starts[ours].first_answer.median();
        if share.is_some() {
            bound(&format!("first answer over TLS, ms, {}", within(*share)), 100.0, first);
            continue;
        }
        let most = starts[hello].first_answer.median() * 1.3 + starts[raw].handshake.median();
        bound("first answer ≤ 1.3 × hello + a handshake, ms", most, first);
        if starts[ours].cpu.count() > 0 {
            // How long its processor time takes if each moment has that share of a processor.
            let evenly = starts[ours].cpu.median() * 100.0 / PERCENT;
            bound(&format!("first answer over TLS, ms, at an even {PERCENT} % of a processor"), 100.0, evenly);
        }
    }
    for (delay, _, warm) in warm.iter().filter(|(_, share, _)| share.is_none()) {
        let [ours, raw] = [ours, raw].map(|way| warm[way].calls.median());
        if *delay == 0 {
            println!("| warm call over a raw POST, API at once, µs | | {:.0} | reported |", 1e3 * (ours - raw));
        } else {
            let name = format!("warm call over a raw POST, API after {delay} ms, %");
            bound(&name, 2.0, 100.0 * (ours / raw - 1.0));
        }
    }
    let peak = |way: usize| warm[0].2[way].peak as f64 / MB;
    bound("peak memory with nothing optional, MB", 12.0, peak(ours));
    bound("peak memory with outbox, table and secret, MB", 16.0, peak(with_all));
    bound("executable, MB", 9.0, fs::metadata(&ways[ours].command[0]).unwrap().len() as f64 / MB);
}

fn bound(what: &str, most: f64, measured: f64) {
    let verdict = if measured <= most { "holds" } else { "**does not hold**" };
    println!("| {what} | {most:.2} | {measured:.2} | {verdict} |");
}

fn place(ways: &[Way], kind: Kind) -> usize {
    ways.iter().position(|way| way.kind == kind).unwrap()
}

fn within(share: Option<Share>) -> String {
    let Some(Share { period, .. }) = share else { return "a whole processor".to_owned() };
    format!("{PERCENT} % of one in periods of {} ms", period.as_millis())
}
