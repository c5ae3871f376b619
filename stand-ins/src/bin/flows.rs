//! Checks the contact flows in `flows/` and brings up to date what is made from them: their copies in `template.yaml` and
//! their pictures in `docs/flows.md`.
//!
//! `cargo run --package stand-ins --bin flows`; with `-- --check` it changes nothing and fails where something is out of
//! date.

use std::process::ExitCode;

use stand_ins::flows::copies::COPIES;
use stand_ins::flows::{Flow, check, texts};

fn main() -> ExitCode {
    let check_only = std::env::args().nth(1).as_deref() == Some("--check");
    let texts = texts();
    let faults = check::check(&texts);
    for fault in &faults {
        eprintln!("{fault}");
    }
    if !faults.is_empty() {
        return ExitCode::FAILURE;
    }
    let flows: Vec<Flow> = texts.iter().map(|(name, text)| Flow::parse(name, text).expect("a checked flow")).collect();
    println!("{} flows are in order", flows.len());
    let mut is_current = true;
    for copy in COPIES {
        let (now, renewed) = copy.now_and_renewed(&flows);
        if now == renewed {
            println!("{} is up to date", copy.file);
        } else if check_only {
            eprintln!("{} is out of date: cargo run --package stand-ins --bin flows", copy.file);
            is_current = false;
        } else {
            std::fs::write(copy.path(), renewed).unwrap_or_else(|error| panic!("{}: {error}", copy.file));
            println!("{} was brought up to date", copy.file);
        }
    }
    if is_current { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
