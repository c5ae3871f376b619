//! Two calls by the same caller, and what Amazon Connect would see of them.
//!
//! `cargo run --example phone_call` starts a stand-in for the Sticky Calls API and the real `bootstrap` process under a
//! stand-in for Lambda, plays a first call, its end, and a second call, and prints what the flow finds in `$.External`.
//! `cargo run --example phone_call -- events/save.json` plays an event of yours instead, or several, against an API that
//! knows the customer of the sample events. No key, no network, no Docker.
#![allow(clippy::indexing_slicing, reason = "a missing key of a JSON value reads as null")]

use std::error::Error;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;
use stand_ins::events::{event, with_attribute, with_contact, with_parameter};
use stand_ins::function::Function;
use stand_ins::stack::jane;
use stand_ins::sticky_calls::{KEY, StickyCalls};

/// The settings of a shop that is content to know its callers by number; the README says what that means.
const KNOWN_BY_NUMBER: (&str, &str) = ("STICKY_CALLS_RETURNING_THRESHOLD", "0.4");

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let files: Vec<String> = std::env::args().skip(1).collect();
    let bootstrap = build_bootstrap()?;
    let api = StickyCalls::start().await;
    let url = api.url();
    let mut variables = vec![("STICKY_CALLS_API_URL", url.as_str()), ("STICKY_CALLS_API_KEY", KEY)];
    if files.is_empty() {
        variables.push(KNOWN_BY_NUMBER);
        play_two_calls(&mut Function::start(bootstrap, &variables).await).await?;
    } else {
        api.remember(jane());
        play_files(&mut Function::start(bootstrap, &variables).await, &files).await?;
    }
    Ok(())
}

/// The binary that Lambda would run, in the profile of this example. `cargo run --example` does not build it by itself.
fn build_bootstrap() -> Result<PathBuf, Box<dyn Error>> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let profile = if cfg!(debug_assertions) { "dev" } else { "release" };
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let build = ["build", "--bin", "bootstrap", "--profile", profile, "--manifest-path", manifest];
    let mut command = Command::new(cargo);
    command.args(build);
    // What `cargo run` says of this package would make the build scripts of dependencies run again.
    let of_this_package = |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
    for (name, _) in std::env::vars().filter(|(name, _)| of_this_package(name)) {
        command.env_remove(name);
    }
    if !command.status()?.success() {
        return Err("bootstrap could not be built".into());
    }
    let example = std::env::current_exe()?;
    let profile_folder = example.ancestors().nth(2).ok_or("the example is not where cargo puts it")?;
    Ok(profile_folder.join("bootstrap"))
}

async fn play_two_calls(function: &mut Function) -> io::Result<()> {
    let first_call = event("new_caller");
    say("A caller rings for the first time. The flow invokes identify and finds:")?;
    let first = function.invoke(&first_call).await;
    table(&first)?;

    say("They talk about a wrong invoice. The agent leaves it open, and the flow invokes save, which answers:")?;
    let end = with_attribute(first_call.clone(), "customer_ref", first["customer_ref"].clone());
    let end = with_attribute(end, "call_start", first["call_start"].clone());
    let end = with_parameter(end, "action", "save");
    let end = with_parameter(end, "intent", "billing_issue");
    let end = with_parameter(end, "intent_status", "open");
    let end = with_parameter(end, "call_summary", "Invoice 4711 charges the setup fee twice");
    table(&function.invoke(&end).await)?;

    say("The same number rings again. The flow invokes identify and finds:")?;
    let again = with_contact(first_call, "/ContactId", "7c1d9b5e-6f0a-4c38-9a51-000000000002");
    let again = with_contact(again, "/InitialContactId", "7c1d9b5e-6f0a-4c38-9a51-000000000002");
    table(&function.invoke(&again).await)
}

async fn play_files(function: &mut Function, files: &[String]) -> Result<(), Box<dyn Error>> {
    for file in files {
        let payload = std::fs::read(file).map_err(|error| format!("{file}: {error}"))?;
        let answer = function.invoke_bytes(payload).await;
        say(&format!("{file}: the flow finds"))?;
        table(&serde_json::from_slice(&answer)?)?;
    }
    Ok(())
}

fn say(text: &str) -> io::Result<()> {
    writeln!(io::stdout(), "\n{text}\n")
}

/// The attributes, one a line; those that say nothing are only named.
fn table(answer: &Value) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let attributes: Vec<_> =
        answer.as_object().into_iter().flatten().filter_map(|(name, value)| Some((name, value.as_str()?))).collect();
    let width = attributes.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    for (name, value) in attributes.iter().filter(|(_, value)| !value.is_empty()) {
        writeln!(out, "  $.External.{name:width$}  {value}")?;
    }
    let empty: Vec<_> =
        attributes.iter().filter(|(_, value)| value.is_empty()).map(|(name, _)| name.as_str()).collect();
    if !empty.is_empty() {
        writeln!(out, "  empty: {}", empty.join(", "))?;
    }
    Ok(())
}
