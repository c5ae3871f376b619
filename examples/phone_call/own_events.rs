//! Events from files or from standard input: what is wrong with them, what the API is asked and answers, what the
//! function logs, and what it answers.

use std::error::Error;
use std::ffi::OsStr;
use std::io::{self, Read};
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use serde_json::value::RawValue;
use stand_ins::function::{Function, LAMBDA_TIMEOUT};
use stand_ins::runtime_api::Outcome;
use stand_ins::stack::{Stack, jane};
use stand_ins::sticky_calls::Customer;
use sticky_connect::json::Object;
use sticky_connect::vocabulary::Reason;

use crate::answer::{Source, attributes, in_words, kind, leaves};
use crate::screen::{Screen, is_blank, one_line};

/// How long the log's last line may take to get here.
const PATIENCE: Duration = Duration::from_secs(2);

/// What the function is invoked with.
pub(crate) struct Event {
    name: String,
    payload: Vec<u8>,
}

impl Event {
    /// Reads a file. `-` stands for standard input.
    ///
    /// # Errors
    ///
    /// Fails with the file's name if it can't be read.
    pub(crate) fn read(name: &OsStr) -> Result<Self, String> {
        let is_stdin = name == "-";
        let read = if is_stdin { read_stdin() } else { std::fs::read(name) };
        let name = if is_stdin { "standard input".to_owned() } else { one_line(&name.to_string_lossy()) };
        let payload = read.map_err(|error| format!("cannot read {name}: {error}"))?;
        Ok(Self { name, payload })
    }

    /// The JSON value that it is. It is read as the function reads it: unlike a [`Value`], it may be of any depth.
    fn json(&self) -> serde_json::Result<&str> {
        // A line break at the end is no line of its own.
        serde_json::from_slice::<&RawValue>(self.payload.trim_ascii_end()).map(RawValue::get)
    }
}

fn read_stdin() -> io::Result<Vec<u8>> {
    let mut payload = Vec::new();
    io::stdin().read_to_end(&mut payload)?;
    Ok(payload)
}

/// Invokes the function with these events, one after the other.
pub(crate) async fn play(bootstrap: &Path, events: &[Event], screen: Screen) -> Result<(), Box<dyn Error>> {
    let mut stack = Stack::start(bootstrap, &[]).await;
    screen.title("Before the first event")?;
    show_customer(&jane(), screen)?;
    screen.line("function has", "no table, no outbox, and Contact Lens is off")?;
    for event in events {
        screen.title(&event.name)?;
        let (known, asked) = (stack.api.customers(), stack.api.received().len());
        let logged = stack.function.printed().lines().count();
        let outcome = stack.function.outcome(event.payload.clone(), LAMBDA_TIMEOUT).await;
        show_faults(event, &outcome, screen)?;
        show_requests(&stack, asked, screen)?;
        show_log(&log_since(&stack.function, logged).await, screen)?;
        show_outcome(event, &outcome, screen)?;
        for customer in stack.api.customers().iter().filter(|customer| !known.contains(customer)) {
            show_customer(customer, screen)?;
        }
    }
    Ok(())
}

/// Shows what the API knows about a customer.
fn show_customer(customer: &Customer, screen: Screen) -> io::Result<()> {
    let mut who = "API knows";
    for known in customer.in_words() {
        screen.line(who, &known)?;
        who = "";
    }
    Ok(())
}

/// Shows why the function can't use an event: it is not JSON, or it is JSON and no event.
fn show_faults(event: &Event, outcome: &Outcome, screen: Screen) -> io::Result<()> {
    if let Some(reason) = why_it_can_not_be_json(&event.payload) {
        return screen.line("is not JSON", reason);
    }
    match event.json() {
        Err(error) => show_syntax_error(event, &error, screen),
        Ok(json) if is_unusable(outcome) => screen.line("is no event", &why_it_is_no_event(json)),
        Ok(_) => Ok(()),
    }
}

/// Why a file can't be JSON, if its first bytes tell. `>` in Windows PowerShell writes UTF-16 with a byte order mark.
fn why_it_can_not_be_json(payload: &[u8]) -> Option<&'static str> {
    match payload {
        payload if payload.trim_ascii().is_empty() => Some("it is empty"),
        [0xef, 0xbb, 0xbf, ..] => Some("it begins with a byte order mark: save it as UTF-8 without one"),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => {
            Some("it begins with a byte order mark of UTF-16: save it as UTF-8 without one")
        }
        [b'{' | b'[', 0, ..] | [0, b'{' | b'[', ..] => Some("it is UTF-16: save it as UTF-8"),
        _ => None,
    }
}

fn show_syntax_error(event: &Event, error: &serde_json::Error, screen: Screen) -> io::Result<()> {
    let (line, column) = (error.line(), error.column());
    let reason = error.to_string();
    let reason = reason.strip_suffix(&format!(" at line {line} column {column}")).unwrap_or(&reason);
    screen.line("is not JSON", &format!("line {line}, column {column}: {reason}"))?;
    screen.line("the line", &excerpt(&event.payload, line, column))
}

fn is_unusable(outcome: &Outcome) -> bool {
    let answer = answer(outcome);
    ["lookup_reason", "error"].iter().any(|name| answer[name] == Reason::InvalidEvent.as_str())
}

/// What stands around a column of a line. Both count from 1, as in the errors of `serde_json`.
fn excerpt(payload: &[u8], line: usize, column: usize) -> String {
    const AROUND: usize = 30;
    let text = String::from_utf8_lossy(payload);
    let line: Vec<char> = text.lines().nth(line.saturating_sub(1)).unwrap_or_default().chars().collect();
    // The column counts bytes, of which a line has more than characters.
    let begin = column.min(line.len()).saturating_sub(AROUND);
    let end = line.len().min(begin + 2 * AROUND);
    let before = if begin > 0 { "…" } else { "" };
    let after = if end < line.len() { "…" } else { "" };
    let shown = one_line(&line[begin..end].iter().collect::<String>());
    if is_blank(&shown) { "is blank".to_owned() } else { format!("{before}{shown}{after}") }
}

/// Why the function answers `invalid_event`.
fn why_it_is_no_event(json: &str) -> String {
    let Some(event) = Object::parse(json) else {
        return format!("it is {}, and an event is an object", type_of(json));
    };
    let details = event.object("Details").unwrap_or_default();
    match (present(&details, "ContactData"), present(&event, "Records")) {
        (Some(contact), _) if contact.starts_with('{') => {
            "Details.ContactData has neither an InitialContactId nor a ContactId, and no parameter call_id is set"
                .to_owned()
        }
        (Some(contact), _) => {
            format!("Details.ContactData is {}, and in a flow's event it is an object", type_of(contact))
        }
        (None, Some(records)) => why_it_is_no_batch(records, &event.array("Records")),
        (None, None) => {
            "it has no Details.ContactData, which a flow sends, and no Records, which a queue or a stream sends"
                .to_owned()
        }
    }
}

/// Why no handler takes a batch. `json` is all its records.
fn why_it_is_no_batch(json: &str, records: &[&RawValue]) -> String {
    let mut types = records.iter().map(|record| type_of(record.get())).enumerate();
    let odd = types.find(|(_, its_type)| *its_type != "an object");
    match odd {
        _ if !json.starts_with('[') => format!("Records is {}, and in a batch it is an array", type_of(json)),
        _ if records.is_empty() => "Records is empty, and a batch has at least one record".to_owned(),
        Some((number, its_type)) => format!("Records.{number} is {its_type}, and a record is an object"),
        None => "its Records do not all come from aws:sqs, nor all from aws:kinesis, by their eventSource".to_owned(),
    }
}

/// The value at a key, unless it is `null`.
fn present<'a>(object: &Object<'a>, key: &str) -> Option<&'a str> {
    object.raw(key).filter(|json| *json != "null")
}

/// What a JSON value is: its first character tells.
fn type_of(json: &str) -> &'static str {
    match json.as_bytes().first() {
        Some(b'{') => "an object",
        Some(b'[') => "an array",
        Some(b'"') => "a text",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        _ => "a number",
    }
}

/// Shows what the API was asked since the request with this number, and what it has answered.
fn show_requests(stack: &Stack, since: usize, screen: Screen) -> io::Result<()> {
    let received = stack.api.received();
    if received.len() == since {
        return screen.line("API", "is not asked");
    }
    for request in &received[since..] {
        screen.line("API is asked", &format!("{} {}", request.method, request.path))?;
        screen.table(&leaves(&request.body, ""))?;
        screen.line("API answers", &request.answered())?;
    }
    Ok(())
}

/// The lines that the function has logged for an invocation, after so many lines before it.
async fn log_since(function: &Function, lines: usize) -> Vec<Value> {
    let ended = tokio::time::Instant::now() + PATIENCE;
    loop {
        let printed = function.printed();
        let log: Vec<Value> = printed.lines().skip(lines).filter_map(|line| serde_json::from_str(line).ok()).collect();
        // The line of metrics is an invocation's last one.
        if log.iter().any(|line| line["message"] == "metrics") || tokio::time::Instant::now() > ended {
            return log;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn show_log(log: &[Value], screen: Screen) -> io::Result<()> {
    // The first is about the process, the second is for CloudWatch.
    let is_about_the_event = |line: &&Value| line["message"] != "started" && line["message"] != "metrics";
    for line in log.iter().filter(is_about_the_event) {
        let [level, message] = ["level", "message"].map(|name| line[name].as_str().unwrap_or("without text"));
        // The contact is in the message too.
        let shown = ["timestamp", "level", "message", "contact_id"];
        let mut fields: Vec<_> = leaves(line, "");
        fields.retain(|(name, _)| !shown.contains(&name.as_str()));
        fields.sort_by_key(|(name, _)| !["status", "reason", "detail"].contains(&name.as_str()));
        let fields: Vec<_> = fields.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        screen.line("function logs", &format!("{level} {message}; {}", fields.join(", ")))?;
    }
    Ok(())
}

fn show_outcome(event: &Event, outcome: &Outcome, screen: Screen) -> io::Result<()> {
    let answer = match outcome {
        Outcome::Answer(_) => answer(outcome),
        Outcome::Error(body) => return screen.line("it fails", &String::from_utf8_lossy(body)),
        Outcome::TimedOut => return screen.line("it fails", "no answer before Lambda's time-out"),
    };
    if answer["batchItemFailures"].is_array() {
        let event = event.json().ok().and_then(Object::parse).unwrap_or_default();
        let records = event.objects("Records");
        // They all have the same source, else the answer would be another.
        let source = records.first().and_then(|record| record.text("eventSource"));
        let source = if source.as_deref() == Some("aws:sqs") { Source::Queue } else { Source::Stream };
        return screen.line("AWS gets", &in_words(source, records.len(), &answer));
    }
    screen.line("the flow gets", &format!("the answer of {}, which it reads as $.External:", kind(&answer)))?;
    screen.table(&attributes(&answer))
}

fn answer(outcome: &Outcome) -> Value {
    match outcome {
        Outcome::Answer(body) => serde_json::from_slice(body).unwrap_or_default(),
        Outcome::Error(_) | Outcome::TimedOut => Value::Null,
    }
}
