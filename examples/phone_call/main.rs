//! Sticky Connect at work, in a terminal: `cargo run --example phone_call -- --help`. It needs no key, no network and
//! no Docker: the real `bootstrap` process runs between stand-ins of AWS Lambda and the Sticky Calls API.
//!
//! - [`day`]: whole calls through the contact flows in `flows/`
//! - [`own_events`]: events from files or from standard input
//! - [`answer`]: what the function answers
//! - [`screen`]: lines and tables that fit the terminal
#![allow(clippy::indexing_slicing, reason = "a missing key of a JSON value reads as null")]

mod answer;
mod day;
mod own_events;
mod screen;

use std::error::Error;
use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use screen::{Screen, one_line, print};
use stand_ins::build;

const USAGE: &str = "\
Shows what Sticky Connect does, without a key, an AWS account or Docker.

Usage: cargo run --example phone_call [-- EVENT...]

Without an EVENT it plays a day in a contact centre: what callers hear, which
queue they get to, what agents see, what is saved, and the flat attributes
($.External) that Connect gets from each lookup and each save.

An EVENT is a JSON file, as Lambda hands it to the function, or - for standard
input. For each one it shows what the API is asked and answers, what the
function logs, and what the flow or the queue gets. The API knows the customer
of the sample events in events/, and keeps what one event tells it for the next.

  -h, --help   this text
  --           ends the options: each name after it is an EVENT

Examples:

  cargo run --example phone_call
  cargo run --example phone_call -- events/returning_caller.json
  cargo run --example phone_call -- events/save.json events/outbox_messages.json
  echo '{\"Details\":' | cargo run --example phone_call -- -

Lines are as wide as the terminal, or as COLUMNS says. NO_COLOR=1 turns the
colours off.
";

/// What the arguments ask for.
enum Request {
    Help,
    Day,
    Events(Vec<OsString>),
    Unknown(OsString),
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let result = match requested(std::env::args_os().skip(1)) {
        Request::Help => print(USAGE.trim_end()).map_err(Into::into),
        Request::Day => play_day().await,
        Request::Events(names) => play_events(&names).await,
        Request::Unknown(option) => {
            let option = one_line(&option.to_string_lossy());
            let _ = write!(io::stderr(), "unknown option {option}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match result {
        Err(error) if !is_closed_pipe(error.as_ref()) => {
            let _ = writeln!(io::stderr(), "{error}");
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    }
}

fn requested(arguments: impl Iterator<Item = OsString>) -> Request {
    let mut arguments: Vec<_> = arguments.collect();
    let options = arguments.iter().position(|argument| argument == "--").unwrap_or(arguments.len());
    let names = arguments.split_off(options);
    if arguments.iter().any(|argument| argument == "-h" || argument == "--help") {
        return Request::Help;
    }
    let is_option = |argument: &&OsString| argument.as_encoded_bytes().starts_with(b"-") && *argument != "-";
    if let Some(option) = arguments.iter().find(is_option) {
        return Request::Unknown(option.clone());
    }
    arguments.extend(names.into_iter().skip(1));
    if arguments.is_empty() { Request::Day } else { Request::Events(arguments) }
}

/// Nobody reads on, as after `| head`. That is no failure.
fn is_closed_pipe(error: &(dyn Error + 'static)) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

async fn play_day() -> Result<(), Box<dyn Error>> {
    let screen = Screen::of_this_terminal();
    day::play(&bootstrap()?, screen).await?;
    screen.title("What next")?;
    screen.text("One event, as a flow's block sends it; a file of your own works too:")?;
    screen.command("cargo run --example phone_call -- events/returning_caller.json")?;
    screen.text("In your own AWS account: README.md, “Install it”.")?;
    Ok(())
}

async fn play_events(names: &[OsString]) -> Result<(), Box<dyn Error>> {
    let screen = Screen::of_this_terminal();
    // Before anything is built or played: a wrong name shows at once.
    let events = names.iter().map(|name| own_events::Event::read(name)).collect::<Result<Vec<_>, _>>()?;
    own_events::play(&bootstrap()?, &events, screen).await?;
    screen.title("What next")?;
    screen.text("An event of your own: copy one from events/, change it, and name your file here. Whole calls:")?;
    screen.command("cargo run --example phone_call")?;
    Ok(())
}

/// The binary that Lambda would run. `cargo run --example` does not build it by itself.
fn bootstrap() -> Result<std::path::PathBuf, Box<dyn Error>> {
    build::bootstrap(&["--example", "phone_call"])
}
