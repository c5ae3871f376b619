//! The demo and the API stand-in as a person meets them: processes with arguments, standard input and output.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may panic")]

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;
use std::time::Duration;

use serde_json::{Value, json};
use stand_ins::build;
use stand_ins::events::event;
use stand_ins::function::Function;
use stand_ins::sticky_calls::{KEY, PORT};
use sticky_connect::vocabulary::{IdentifyAttribute, SaveAttribute, Setting};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader as AsyncBufReader, Lines};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStdout, Command as AsyncCommand};

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

/// Writes a file for the demo, and returns its path.
fn file(name: &str, contents: impl AsRef<[u8]>) -> String {
    let path = format!("{FILES}/{name}");
    std::fs::write(&path, contents).unwrap();
    path
}

/// What the demo prints about these files, in one line.
fn shown(files: &[String]) -> String {
    in_one_line(&printed(&files.iter().map(String::as_str).collect::<Vec<_>>(), ""))
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
    // The function reads JSON that is too much for a `serde_json::Value`.
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let events = [
        ("[]", "it is an array"),
        (&deep, "it is an array"),
        ("{\"Details\":{\"ContactData\":7,\"note\":\"\\ud83d\"}}", "Details.ContactData is a number"),
        ("{\"Details\":{\"ContactData\":7,\"huge\":1e999}}", "Details.ContactData is a number"),
        ("{}", "it has no Details.ContactData"),
        ("{\"Details\":{\"ContactData\":7}}", "Details.ContactData is a number"),
        ("{\"Details\":{\"ContactData\":{}}}", "Details.ContactData has neither an InitialContactId"),
        ("{\"Records\":null}", "it has no Details.ContactData"),
        ("{\"Records\":[]}", "Records is empty"),
        ("{\"Records\":\"x\"}", "Records is a text"),
        ("{\"Records\":{}}", "Records is an object"),
        ("{\"Records\":[{\"eventSource\":\"aws:sqs\"},7]}", "Records.1 is a number"),
        ("{\"Records\":[{\"eventSource\":\"aws:s3\"}]}", "its Records do not all come from aws:sqs"),
    ];
    let files = events.iter().enumerate().map(|(number, (text, _))| file(&format!("no_event_{number}.json"), text));
    let shown = shown(&files.collect::<Vec<_>>());
    // One after the other: each is about its own file.
    let mut reasons = shown.split("is no event ").skip(1);
    for (text, reason) in events {
        let said = reasons.next().unwrap_or_default();
        assert!(said.starts_with(reason), "{text}: {said}");
    }
}

#[test]
fn a_file_that_is_not_utf_8_says_how_to_save_it() {
    let utf_16 = |text: &str| text.encode_utf16().collect::<Vec<_>>();
    let little = |text: &str| utf_16(text).iter().flat_map(|unit| unit.to_le_bytes()).collect::<Vec<_>>();
    let big = |text: &str| utf_16(text).iter().flat_map(|unit| unit.to_be_bytes()).collect::<Vec<_>>();
    let mark = "it begins with a byte order mark: save it as UTF-8 without one";
    let mark_16 = "it begins with a byte order mark of UTF-16: save it as UTF-8 without one";
    let encodings = [
        ("\u{feff}{}".into(), mark),
        (little("\u{feff}{}\r\n"), mark_16),
        (big("\u{feff}{}\r\n"), mark_16),
        (little("{}"), "it is UTF-16: save it as UTF-8"),
        (big("{}"), "it is UTF-16: save it as UTF-8"),
    ];
    let files = encodings.iter().enumerate().map(|(number, (bytes, _))| file(&format!("encoding_{number}"), bytes));
    let shown = shown(&files.collect::<Vec<_>>());
    let mut reasons = shown.split("is not JSON ").skip(1);
    for (bytes, reason) in encodings {
        let said = reasons.next().unwrap_or_default();
        assert!(said.starts_with(&format!("{reason} API is not asked")), "{bytes:?}: {said}");
    }
}

#[test]
fn what_can_not_be_printed_is_replaced_and_never_a_blank() {
    let contact = json!({"ContactId": "\u{1b}", "CustomerEndpoint": {"Address": "+12025550142"}});
    let flow_event = json!({"Details": {"ContactData": contact, "Parameters": {"customer_id": "\u{1b}[1m"}}});
    let item = json!({"eventSource": "aws:sqs", "messageId": "\u{1b}", "body": ""});
    let files = [
        file("binary", b"\x01\x1b\x1b\n\x7fELF\0"),
        file("invisible", "\u{200b}\n"),
        file("escape\u{1b}[31m\n", flow_event.to_string()),
        file("unprintable_id", json!({"Records": [item]}).to_string()),
    ];
    // Wide enough for a table in two columns.
    let output = program("examples/phone_call").args(files).env("COLUMNS", "100").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(!text.contains(|character: char| character.is_control() && character != '\n'), "{text:?}");
    let shown = in_one_line(&text);
    for part in [
        "the line \u{fffd}\u{fffd}\u{fffd} API",
        "the line is blank API",
        "escape\u{fffd}[31m API is asked",
        "customer_id \u{fffd}[1m API answers",
        "match_found false call_id \u{fffd} ",
        "1 of 1 failed: \u{fffd}.",
    ] {
        assert!(shown.contains(part), "{part}: {text}");
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
fn a_batch_is_counted_however_deep_an_item_is() {
    let deep = format!("{}{}", "[".repeat(500), "]".repeat(500));
    let record = format!("{{\"eventSource\":\"aws:sqs\",\"messageId\":\"m1\",\"body\":\"\",\"deep\":{deep}}}");
    let shown = shown(&[file("deep_batch.json", format!("{{\"Records\":[{record}]}}"))]);
    assert!(shown.contains("1 of 1 failed: m1. The queue delivers it again"), "{shown}");
}

// Other systems refuse such a name.
#[cfg(target_os = "linux")]
#[test]
fn a_name_that_is_not_utf_8_is_read_all_the_same() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    let path = Path::new(FILES).join(OsStr::from_bytes(b"na\xefve.json"));
    std::fs::write(&path, "[]").unwrap();
    let output = program("examples/phone_call").arg(&path).output().unwrap();
    let shown = in_one_line(&String::from_utf8(output.stdout).unwrap());
    assert!(output.status.success() && shown.contains("na\u{fffd}ve.json is no event it is an array"), "{shown}");
    for path in ["examples/phone_call", "sticky-calls"] {
        let output = program(path).arg(OsStr::from_bytes(b"--\xef\x1b")).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{path}");
        assert!(String::from_utf8(output.stderr).unwrap().starts_with("unknown option --\u{fffd}\u{fffd}\n"), "{path}");
    }
}

#[test]
fn two_dashes_end_the_options() {
    assert!(printed(&["--"], "").starts_with("\nSomebody calls for the first time"));
    assert!(printed(&["--", "-"], "[]").contains("standard input"));
    let output = demo(&["events/save.json", "--", "--help"], "");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("cannot read --help: "));
    assert!(printed(&["--help", "--", "x"], "").starts_with("Shows what"));
}

// Only Linux has such a file.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_says_what_could_not_be_written() {
    let runs = [
        ("examples/phone_call", "--help"),
        ("examples/phone_call", "-"),
        ("sticky-calls", "-h"),
        ("sticky-calls", "--"),
    ];
    for (path, argument) in runs {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let output = program(path).arg(argument).stdin(Stdio::null()).stdout(full).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{path} {argument}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.starts_with("cannot write to standard output: No space left"), "{path} {argument}: {said}");
    }
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

/// The API stand-in as a process.
struct ApiStandIn {
    lines: Lines<AsyncBufReader<ChildStdout>>,
    url: String,
    _process: Child,
}

impl ApiStandIn {
    /// Starts it, and reads up to the place where requests are shown.
    async fn start() -> Self {
        let mut process =
            AsyncCommand::from(program("sticky-calls")).args(["--port", "0"]).kill_on_drop(true).spawn().unwrap();
        let lines = AsyncBufReader::new(process.stdout.take().unwrap()).lines();
        let mut api = Self { lines, url: String::new(), _process: process };
        api.url = api.line().await.split_whitespace().last().unwrap().to_owned();
        while !api.line().await.starts_with("env.json is for port") {}
        assert_eq!(api.line().await, "");
        api
    }

    async fn line(&mut self) -> String {
        tokio::time::timeout(Duration::from_secs(5), self.lines.next_line()).await.unwrap().unwrap().unwrap()
    }

    /// Sends a request, and waits for the answer.
    async fn ask(&self, path: &str, body: &str) {
        let mut stream = TcpStream::connect(self.url.strip_prefix("http://").unwrap()).await.unwrap();
        let head = format!("POST {path} HTTP/1.1\r\nAuthorization: Bearer {KEY}\r\nContent-Length: {}", body.len());
        stream.write_all(format!("{head}\r\n\r\n{body}").as_bytes()).await.unwrap();
        assert!(stream.read(&mut [0; 100]).await.unwrap() > 0);
    }
}

#[tokio::test]
async fn each_request_to_the_api_stand_in_is_one_line_that_leaves_the_terminal_as_it_is() {
    let mut api = ApiStandIn::start().await;
    let hints = json!({"ani": "+12025550111\u{1b}[2J", "external_ids": {"a\r\nb": "\u{9b}31m"}});
    let lookup = json!({"call_id": "one\u{1b}]0;title\u{7}\nPOST", "identity_hints": hints});
    api.ask("/v1/calls/start", &lookup.to_string()).await;
    api.ask("/v1/\u{9b}31m", &json!({"call_id": "\u{1b}"}).to_string()).await;
    let summary = json!({"call_id": "two", "intent": "a\u{2028}b", "variables": {"last_issue": "x\r\ny\0"}});
    api.ask("/v1/calls/end", &summary.to_string()).await;
    let [lookup, unknown, save] = [api.line().await, api.line().await, api.line().await];
    assert!(lookup.contains("call one\u{fffd}]0;title\u{fffd} POST") && lookup.contains("→  200: "), "{lookup:?}");
    assert!(unknown.starts_with("POST /v1/\u{fffd}31m  call \u{fffd}  →  404: "), "{unknown:?}");
    assert!(save.contains("“x  y\u{fffd}”  →  "), "{save:?}");
    let is_unfit = |character: char| character.is_control() || character == '\u{2028}';
    assert!(![lookup, unknown, save].concat().contains(is_unfit));
}

#[tokio::test]
async fn the_api_stand_in_serves_a_function_and_says_what_it_answers() {
    let mut api = ApiStandIn::start().await;
    let variables = [("STICKY_CALLS_API_URL", api.url.as_str()), ("STICKY_CALLS_API_KEY", KEY)];
    let mut function = Function::start(BOOTSTRAP, &variables).await;
    assert_eq!(function.invoke(&event("returning_caller")).await["lookup_status"], "matched");
    assert_eq!(function.invoke(&event("returning_caller")).await["lookup_reason"], "conflict");
    assert_eq!(function.invoke(&event("save")).await["save_status"], "saved");
    let [matched, conflict, saved] = [api.line().await, api.line().await, api.line().await];
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
        (&["--", "--help"], "unknown argument \"--help\"\n"),
    ] {
        let output = program("sticky-calls").args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert!(String::from_utf8(output.stderr).unwrap().starts_with(reason));
    }
}
