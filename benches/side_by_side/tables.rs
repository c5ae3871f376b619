//! What was measured, as the tables of `docs/performance.md`.

use std::fs;
use std::time::Duration;

use crate::cpu::Share;
use crate::times::{Times, ms, ratio};

use crate::measure::{Starts, Warm};
use crate::way::{Kind, Way};

type MeasuredStarts = [(Option<Share>, Vec<Starts>)];
type MeasuredWarm = [(u64, Option<Share>, Vec<Warm>)];

const MB: f64 = 1e6;

/// Of a processor, what Lambda gives a function of 128 MB.
const PERCENT: f64 = 7.24;

/// From the start of the process to its first answer.
pub fn starts(ways: &[Way], measured: &MeasuredStarts) {
    for (share, starts) in measured {
        let hello = starts[place(ways, Kind::Hello)].first_answer.median();
        println!("### Process start to first answer over TLS, {}, in ms\n", within(*share));
        println!("| | median | 5th to 95th percentile | × hello | processor time | page faults |");
        println!("|---|---:|---:|---:|---:|---:|");
        for (way, Starts { first_answer, cpu, vitals, .. }) in ways.iter().zip(starts) {
            println!(
                "| {} | {} | {} to {} | {} | {} | {} |",
                way.kind.name(),
                ms(first_answer.median()),
                ms(first_answer.percentile(5)),
                ms(first_answer.percentile(95)),
                ratio(first_answer.median(), hello),
                if cpu.count() > 0 { ms(cpu.median()) } else { "not counted".to_owned() },
                vitals.page_faults,
            );
        }
        let count = |kind| starts[place(ways, kind)].first_answer.count();
        println!(
            "\n{} starts each, {} of the tutorial. A first connection (DNS, TCP, TLS) takes {} ms of the raw POST.\n",
            count(Kind::StickyConnect),
            count(Kind::Tutorial),
            ms(starts[place(ways, Kind::RawPost)].handshake.median()),
        );
    }
}

/// Calls of a process that has answered before.
pub fn warm(ways: &[Way], measured: &MeasuredWarm) {
    for (delay, share, warm) in measured {
        let api = if *delay == 0 { "at once".to_owned() } else { format!("after {delay} ms") };
        println!("### Warm calls over TLS, API answers {api}, {}, in ms\n", within(*share));
        println!("| | p50 | p95 | p99 | × raw POST |\n|---|---:|---:|---:|---:|");
        for (way, Warm { calls, .. }) in ways.iter().zip(warm) {
            let ratio = match way.kind {
                // Each of its calls reads and writes the cache, which is moto here: a figure of moto's.
                Kind::StickyConnectWithAll => continue,
                // It makes no POST.
                Kind::Hello => String::new(),
                _ => ratio(calls.median(), raw(ways, warm).median()),
            };
            let [p50, p95, p99] = [50, 95, 99].map(|percent| ms(calls.percentile(percent)));
            println!("| {} | {p50} | {p95} | {p99} | {ratio} |", way.kind.name());
        }
        println!("\n{} calls each.\n", warm[0].calls.count());
    }
}

/// What the processes take after all these calls.
pub fn memory(ways: &[Way], measured: &[Warm]) {
    println!("### Memory after the warm calls\n");
    println!("| | peak, MB | threads |\n|---|---:|---:|");
    for (way, Warm { vitals, .. }) in ways.iter().zip(measured) {
        println!("| {} | {:.1} | {} |", way.kind.name(), vitals.peak as f64 / MB, vitals.threads);
    }
    println!();
}

/// The bounds that Sticky Connect is held to.
pub fn bounds(ways: &[Way], measured: &MeasuredStarts, warm: &MeasuredWarm) {
    println!("### Bounds\n\n| | bound | measured | |\n|---|---:|---:|---|");
    let of = |kind| place(ways, kind);
    for (share, starts) in measured {
        let [hello, raw, ours] = [Kind::Hello, Kind::RawPost, Kind::StickyConnect].map(|kind| &starts[of(kind)]);
        if share.is_some() {
            let name = format!("first answer over TLS, ms, {}", within(*share));
            bound_line(&name, 100.0, in_ms(ours.first_answer.median()));
        } else {
            let bound = hello.first_answer.median().mul_f64(1.3) + raw.handshake.median();
            bound_line("first answer ≤ 1.3 × hello + a handshake, ms", in_ms(bound), in_ms(ours.first_answer.median()));
            if ours.cpu.count() > 0 {
                let name = format!("first answer over TLS, ms, at an even {PERCENT} % of a processor");
                bound_line(&name, 100.0, in_ms(evenly(ours.cpu.median())));
            }
        }
    }
    for (delay, share, warm) in warm {
        let over = in_ms(warm[of(Kind::StickyConnect)].calls.median()) / in_ms(raw(ways, warm).median()) - 1.0;
        if *delay == 0 && share.is_none() {
            let ours = warm[of(Kind::StickyConnect)].calls.median();
            let micros = ours.saturating_sub(raw(ways, warm).median()).as_micros();
            println!("| warm call over a raw POST, API at once, µs | | {micros} | reported |");
        }
        if *delay == 80 && share.is_none() {
            bound_line("warm call over a raw POST, API after 80 ms, %", 2.0, over * 100.0);
        }
    }
    let peak = |kind| warm[0].2[of(kind)].vitals.peak as f64 / MB;
    bound_line("peak memory with nothing optional, MB", 12.0, peak(Kind::StickyConnect));
    bound_line("peak memory with outbox, cache and secret, MB", 16.0, peak(Kind::StickyConnectWithAll));
    let executable = &ways[of(Kind::StickyConnect)].program.command[0];
    bound_line("executable, MB", 9.0, fs::metadata(executable).unwrap().len() as f64 / MB);
    println!();
}

fn bound_line(what: &str, bound: f64, measured: f64) {
    let verdict = if measured <= bound { "holds" } else { "**does not hold**" };
    println!("| {what} | {bound:.2} | {measured:.2} | {verdict} |");
}

fn raw<'a>(ways: &[Way], warm: &'a [Warm]) -> &'a Times {
    &warm[place(ways, Kind::RawPost)].calls
}

fn place(ways: &[Way], kind: Kind) -> usize {
    ways.iter().position(|way| way.kind == kind).unwrap()
}

fn within(share: Option<Share>) -> String {
    let Some(Share { quota, period }) = share else { return "a whole processor".to_owned() };
    let percent = 100.0 * quota.as_secs_f64() / period.as_secs_f64();
    format!("{percent:.2} % of one in periods of {} ms", period.as_millis())
}

/// How long this processor time takes where each moment has that share of a processor.
fn evenly(cpu: Duration) -> Duration {
    cpu.mul_f64(100.0 / PERCENT)
}

fn in_ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
