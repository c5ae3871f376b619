//! The demo and the API stand-in as a person meets them: processes with arguments, standard input and output.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may panic")]

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;
use std::time::Duration;

use serde_json::Value;
use stand_ins::build;
use stand_ins::events::event;
use stand_ins::function::Function;
use stand_ins::sticky_calls::{KEY, PORT};
use sticky_connect::vocabulary::{IdentifyAttribute, SaveAttribute, Setting};
use tokio::io::{AsyncBufReadExt, BufReader as AsyncBufReader};
use tokio::process::Command as AsyncCommand;

const BOOTSTRAP: &str = env!("CARGO_BIN_EXE_bootstrap");

/// For files that a test writes.
const FILES: &str = env!("CARGO_TARGET_TMPDIR");

/// The folder with the demo and the API stand-in. `cargo test --test demo` does not build them.
static PROGRAMS: LazyLock<PathBuf> = LazyLock::new(|| {
    let both = ["--example", "phone_call", "--package", "stand-ins", "--bin", "sticky-calls"];
    build::bootstrap(&both).unwrap().parent().unwrap().to_owned()
});

/// What the day prints.
static DAY: LazyLock<String> = LazyLock::new(|| printed(&[], ""));

/// What it prints about some of the sample events. Each run asks cargo first, so the tests share this one.
static EVENTS: LazyLock<String> = LazyLock::new(|| {
    let names = ["returning_caller", "save", "outbox_messages", "contact_records", "malformed", "anonymous_caller"];
    let files: Vec<_> = names.iter().map(|name| format!("events/{name}.json")).collect();
    printed(&files.iter().map(String::as_str).collect::<Vec<_>>(), "")
});

fn program(path: &str) -> Command {
    let mut command = Command::new(PROGRAMS.join(path));
    command.current_dir(env!("CARGO_MANIFEST_DIR")).env_remove("COLUMNS").env_remove("NO_COLOR");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs the demo with these arguments and this standard input.
fn demo(arguments: &[&str], input: &str) -> Output {
    let mut child = program("examples/phone_call").args(arguments).spawn().unwrap();
    // An error means that it does not read its standard input.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

/// The same, which must succeed. Returns what it has printed.
fn printed(arguments: &[&str], input: &str) -> String {
    let output = demo(arguments, input);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The same in one line, because long texts are wrapped.
fn in_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The words of the table under each line that begins with `who`.
fn tables<'a>(text: &'a str, who: &str) -> Vec<Vec<&'a str>> {
    let lines: Vec<_> = text.lines().collect();
    let heads = (0..lines.len()).filter(|number| {
        let line = lines[*number].trim_start();
        line.starts_with(who) && line.ends_with("$.External:")
    });
    let table = |head: usize| lines[head + 1..].iter().take_while(|line| line.starts_with("  │ "));
    heads.map(|head| table(head).flat_map(|line| line.split([' ', ','])).collect()).collect()
}

/// The arguments of each command for the demo that a text names.
fn commands(text: &str) -> Vec<Vec<&str>> {
    let commands = text.lines().filter_map(|line| line.strip_prefix("  cargo run --example phone_call"));
    commands.map(|rest| rest.trim_start_matches(" --").split_whitespace().collect()).collect()
}

#[test]
fn every_lookup_and_every_save_of_the_day_shows_every_attribute_by_name() {
    let lookups = tables(&DAY, "identify");
    assert!(lookups.len() > 10, "{}", *DAY);
    for table in lookups {
        for attribute in IdentifyAttribute::ALL {
            assert!(table.contains(&attribute.as_str()), "{}: {table:?}", attribute.as_str());
        }
        assert!(["var_name", "var_tier", "var_resolution", "var_call_date"].iter().all(|name| table.contains(name)));
    }
    let saves = tables(&DAY, "save");
    assert!(saves.len() > 4, "{}", *DAY);
    for table in saves {
        for attribute in SaveAttribute::ALL {
            assert!(table.contains(&attribute.as_str()), "{}: {table:?}", attribute.as_str());
        }
    }
}

#[test]
fn an_event_of_ones_own_shows_the_request_the_log_and_every_attribute() {
    let lookup = &tables(&EVENTS, "the flow gets")[0];
    for attribute in IdentifyAttribute::ALL {
        assert!(lookup.contains(&attribute.as_str()), "{}: {lookup:?}", attribute.as_str());
    }
    let shown = in_one_line(&EVENTS);
    for part in [
        "API knows customer 00000000-0000-4000-8000-000000000001",
        "API is asked POST /v1/calls/start",
        "identity_hints.external_ids.customer_id C-1001",
        "API answers 200: customer 00000000-0000-4000-8000-000000000001, confidence 0.9",
        "function logs INFO answered contact 4a573372-1f28-4e26-b97b-000000000002; status: matched",
        // What the API knows after a save.
        "last_issue: Router restarted after a firmware update",
    ] {
        assert!(shown.contains(part), "{part}: {}", *EVENTS);
    }
}

#[test]
fn no_line_is_wider_than_the_terminal_and_without_a_terminal_nothing_is_coloured() {
    let help = printed(&["--help"], "");
    let help_of_the_api = program("sticky-calls").arg("--help").output().unwrap().stdout;
    for text in [&*DAY, &*EVENTS, &help, &String::from_utf8(help_of_the_api).unwrap()] {
        assert!(!text.contains('\u{1b}'), "{text}");
        for line in text.lines() {
            assert!(line.chars().count() <= 80, "{line}");
        }
    }
    let narrow = program("examples/phone_call").arg("events/save.json").env("COLUMNS", "44").output().unwrap();
    let narrow = String::from_utf8(narrow.stdout).unwrap();
    let commands = |line: &&str| line.starts_with("  cargo run");
    assert!(narrow.lines().filter(|line| !commands(line)).all(|line| line.chars().count() <= 44), "{narrow}");
}

#[test]
fn nothing_is_shown_as_a_blank() {
    for text in [&*DAY, &*EVENTS] {
        for line in text.lines().filter(|line| !line.is_empty()) {
            assert!(!line.contains("“”") && !line.ends_with(": ") && !line.trim().is_empty(), "{line:?}");
        }
    }
}

#[test]
fn what_is_no_json_shows_its_line_and_the_reason_beside_the_fallback() {
    let shown = in_one_line(&printed(&["-"], "{\n  \"Details\": oops\n}\n"));
    assert!(shown.contains("is not JSON line 2, column 14: expected value"), "{shown}");
    assert!(shown.contains("the line \"Details\": oops"), "{shown}");
    assert!(shown.contains("lookup_reason invalid_event"), "{shown}");
    assert!(in_one_line(&printed(&["-"], "")).contains("is not JSON it is empty"));
}

#[test]
fn what_is_json_and_no_event_shows_the_reason() {
    let events = [
        ("[]", "it is an array"),
        ("{}", "it has no Details.ContactData"),
        ("{\"Details\":{\"ContactData\":7}}", "Details.ContactData is a number"),
        ("{\"Details\":{\"ContactData\":{}}}", "Details.ContactData has neither an InitialContactId"),
        ("{\"Records\":[]}", "its Records"),
    ];
    let files: Vec<_> = (1..=events.len()).map(|number| format!("{FILES}/no_event_{number}.json")).collect();
    files.iter().zip(events).for_each(|(file, (text, _))| std::fs::write(file, text).unwrap());
    let files: Vec<_> = files.iter().map(String::as_str).collect();
    let shown = in_one_line(&printed(&files, ""));
    for (text, reason) in events {
        assert!(shown.contains(&format!("is no event {reason}")), "{text}: {shown}");
    }
}

#[test]
fn a_batch_says_which_items_failed() {
    let shown = in_one_line(&EVENTS);
    let failed = "AWS gets batchItemFailures: 1 of 2 failed: 059f36b4-87a3-44ab-83d2-000000000002.";
    assert!(shown.contains(failed), "{}", *EVENTS);
    assert!(shown.contains("AWS gets nothing failed, all items are done"), "{}", *EVENTS);
}

#[test]
fn a_file_that_can_not_be_read_is_named() {
    let output = demo(&["events/save.json", "events/no_such_event.json"], "");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "");
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("cannot read events/no_such_event.json: "));
}

#[test]
fn help_is_asked_for_and_an_unknown_option_gets_it_too() {
    let help = printed(&["--help"], "");
    assert_eq!(printed(&["-h"], ""), help);
    let unknown = demo(&["--colour"], "");
    assert_eq!(unknown.status.code(), Some(2));
    let said = String::from_utf8(unknown.stderr).unwrap();
    assert!(said.starts_with("unknown option --colour\n") && said.ends_with(&help), "{said}");
}

#[test]
fn a_closed_pipe_is_no_failure() {
    let mut child = program("examples/phone_call").spawn().unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn every_command_for_the_demo_works_as_printed() {
    let outside_of_lambda = Command::new(BOOTSTRAP).env_clear().output().unwrap();
    let texts = [String::from_utf8(outside_of_lambda.stderr).unwrap(), printed(&["--help"], ""), DAY.clone()];
    assert!(texts.iter().all(|text| !commands(text).is_empty()), "{texts:?}");
    for arguments in texts.iter().flat_map(|text| commands(text)).collect::<BTreeSet<_>>() {
        // Without arguments it plays the day.
        let shown = if arguments.is_empty() { DAY.clone() } else { printed(&arguments, "") };
        assert!(shown.contains("What next"), "{arguments:?}: {shown}");
    }
}

#[test]
fn env_json_is_for_the_api_stand_in_and_for_settings_that_exist() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("env.json");
    let file: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let variables = file["Parameters"].as_object().unwrap();
    assert_eq!(variables["STICKY_CALLS_API_URL"], format!("http://host.docker.internal:{PORT}"));
    assert_eq!(variables["STICKY_CALLS_API_KEY"], KEY);
    assert!(variables.keys().all(|name| Setting::parse(name).is_some()), "{variables:?}");
    let help = program("sticky-calls").arg("--help").output().unwrap();
    assert!(help.status.success());
    assert!(String::from_utf8(help.stdout).unwrap().contains(&format!("[default: {PORT}]")));
}

#[tokio::test]
async fn the_api_stand_in_serves_a_function_and_says_what_it_answers() {
    let mut child =
        AsyncCommand::from(program("sticky-calls")).args(["--port", "0"]).kill_on_drop(true).spawn().unwrap();
    let mut lines = AsyncBufReader::new(child.stdout.take().unwrap()).lines();
    let first = lines.next_line().await.unwrap().unwrap();
    let url = first.split_whitespace().last().unwrap();
    let variables = [("STICKY_CALLS_API_URL", url), ("STICKY_CALLS_API_KEY", KEY)];
    let mut function = Function::start(BOOTSTRAP, &variables).await;
    assert_eq!(function.invoke(&event("returning_caller")).await["lookup_status"], "matched");
    assert_eq!(function.invoke(&event("returning_caller")).await["lookup_reason"], "conflict");
    assert_eq!(function.invoke(&event("save")).await["save_status"], "saved");
    let mut requests = Vec::new();
    while requests.len() < 3 {
        let line = tokio::time::timeout(Duration::from_secs(5), lines.next_line()).await.unwrap().unwrap().unwrap();
        requests.extend(Some(line).filter(|line| line.starts_with("POST ")));
    }
    let [matched, conflict, saved] = requests.try_into().unwrap();
    assert!(matched.contains("/v1/calls/start") && matched.contains("200: customer"), "{matched}");
    assert!(conflict.contains("409: this call_id was used before"), "{conflict}");
    assert!(saved.contains("/v1/calls/end") && saved.contains("technical_support is resolved"), "{saved}");
}

#[test]
fn the_api_stand_in_says_what_it_can_not_do() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let refused = program("sticky-calls").args(["--port", &port]).output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(said.starts_with(&format!("cannot listen on 127.0.0.1:{port}: Address already in use")), "{said}");
    for (arguments, reason) in [
        (&["--colour"][..], "unknown option --colour\n"),
        (&["--port", "x"], "\"x\" is no port\n"),
        (&["--host"], "\"\" is no IP address\n"),
    ] {
        let output = program("sticky-calls").args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert!(String::from_utf8(output.stderr).unwrap().starts_with(reason));
    }
}
