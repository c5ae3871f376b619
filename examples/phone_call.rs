//! A day in a contact centre that remembers its callers: what they hear, which queue they get to, what the agents see,
//! and what is saved for the next call.
//!
//! `cargo run --example phone_call` plays whole calls through the contact flows in `flows/`, with the real `bootstrap`
//! process and a stand-in for the Sticky Calls API. `cargo run --example phone_call -- events/save.json` invokes the
//! function with one or more events of your own instead; the API knows the customer of the sample events. It needs no
//! key, no network and no Docker.
#![allow(clippy::indexing_slicing, reason = "a missing key of a JSON value reads as null")]

use std::error::Error;
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use stand_ins::build;
use stand_ins::contact_centre::{Call, Caller, ContactCentre, Moment, WrapUp};
use stand_ins::function::Function;
use stand_ins::stack::jane;
use stand_ins::sticky_calls::{Fault, KEY, StickyCalls};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let files: Vec<String> = std::env::args().skip(1).collect();
    // The binary that Lambda would run. `cargo run --example` does not build it by itself.
    let bootstrap = build::bootstrap(&["--example", "phone_call"])?;
    if files.is_empty() {
        play_calls(&bootstrap).await?;
    } else {
        play_files(&bootstrap, &files).await?;
    }
    Ok(())
}

/// The calls of the day.
async fn play_calls(bootstrap: &Path) -> io::Result<()> {
    let settings = [
        ("STICKY_CALLS_TABLE", "table"),
        ("STICKY_CALLS_CONTACT_LENS", "on"),
        // Each call is looked up, so that there is something to see.
        ("STICKY_CALLS_CACHE_TTL_SECONDS", "0"),
    ];
    let mut day = Day { centre: ContactCentre::open_with_outbox(bootstrap, &settings).await, shown: 0 };
    day.centre.api.remember(jane());
    let from_mark = || Caller::from("+12025550142").known_as("C-2042");
    let from_jane = || Caller::from("+12025550101").known_as("C-1001");

    title("Somebody calls for the first time, and the agent leaves the matter open")?;
    let mut call = day.call(from_mark().pressing("1")).await?;
    day.agent_takes(&mut call).await?;
    day.agent_leaves(&mut call).await?;
    let summary = "Invoice 4711 charges the setup fee twice";
    day.agent_writes(&mut call, WrapUp { summary, notes: "Asked accounting", status: "open" }).await?;

    title("The same caller calls again")?;
    let mut call = day.call(from_mark().pressing("1")).await?;
    day.agent_takes(&mut call).await?;
    narrate("the caller hangs up first, so that no disconnect flow runs")?;
    let notes = "Credit note sent by e-mail";
    day.agent_writes(&mut call, WrapUp { summary: "Credit note was missing", notes, status: "resolved" }).await?;

    title("Somebody calls from the same number: it may be another person")?;
    day.call(Caller::from("+12025550142").pressing("2")).await?;

    title("A VIP, whose agent transfers the call: both agents' words are saved")?;
    let mut call = day.call(from_jane().pressing("1")).await?;
    day.agent_takes(&mut call).await?;
    let said = call.moments.len();
    day.centre.transfer(&mut call, "technical_support");
    show(&call, said)?;
    day.agent_writes(&mut call, WrapUp { summary: "Portal shows no invoice", notes: "", status: "open" }).await?;
    day.agent_takes(&mut call).await?;
    day.agent_leaves(&mut call).await?;
    day.agent_writes(&mut call, WrapUp { summary: "Portal showed an old invoice", notes: "", status: "resolved" })
        .await?;

    let from_ann = || Caller::from("+12025550163").known_as("C-3063");
    title("Nobody types anything: Contact Lens summarises the call")?;
    day.centre.set("ContactLens", "Enabled");
    let mut call = day.call(from_ann().pressing("21")).await?;
    day.agent_takes(&mut call).await?;
    narrate("the caller hangs up, and the agent skips the form")?;
    day.centre.wrap_up(&mut call, None).await;
    day.record(&call).await?;
    narrate("a little later the summary comes")?;
    let summary = "The customer reported a router that restarts every hour. The agent will send a new one.";
    day.summary(&call, summary).await?;

    title("The same caller calls again: the agent reads the summary, and the caller does not hear it")?;
    let mut call = day.call(from_ann().pressing("22")).await?;
    day.agent_takes(&mut call).await?;
    day.centre.set("ContactLens", "Disabled");

    title("Somebody who withholds the number")?;
    let mut call = day.call(Caller::anonymous().pressing("3")).await?;
    day.agent_takes(&mut call).await?;

    title("A customer in the web chat: the page knows only an id")?;
    let mut call = day.call(Caller::in_chat("C-2042")).await?;
    day.agent_takes(&mut call).await?;

    title("All lines are busy")?;
    day.centre.give_callbacks_a_queue();
    day.centre.fill("billing");
    day.call(Caller::from("+12025550177").pressing("11")).await?;
    day.centre.limits.clear();

    title("Somebody hangs up in the queue: the contact record saves the call")?;
    let mut call = day.call(Caller::from("+12025550188").pressing("2")).await?;
    let said = call.moments.len();
    day.centre.wait(&mut call, Duration::from_secs(130), "-").await;
    show(&call, said)?;
    narrate("the caller hangs up")?;
    day.record(&call).await?;

    title("The API is down")?;
    day.centre.api.fail_always(Some(Fault::status(503)));
    let mut call = day.call(from_jane().pressing("1")).await?;
    day.agent_takes(&mut call).await?;

    title("The API hangs")?;
    day.centre.api.fail_always(Some(Fault::Hang));
    day.call(from_jane().pressing("1")).await?;
    Ok(())
}

/// The contact centre, and how many of the saved ends have been shown.
struct Day {
    centre: ContactCentre,
    shown: usize,
}

impl Day {
    async fn call(&mut self, caller: Caller) -> io::Result<Call> {
        let call = self.centre.call(caller).await;
        show(&call, 0)?;
        Ok(call)
    }

    async fn agent_takes(&mut self, call: &mut Call) -> io::Result<()> {
        let said = call.moments.len();
        self.centre.agent_answers(call).await;
        show(call, said)
    }

    async fn agent_leaves(&mut self, call: &mut Call) -> io::Result<()> {
        narrate("the agent hangs up first")?;
        let said = call.moments.len();
        self.centre.agent_leaves(call).await;
        show(call, said)
    }

    /// The agent wraps up, and then the contact record comes.
    async fn agent_writes(&mut self, call: &mut Call, wrap_up: WrapUp) -> io::Result<()> {
        line("agent writes", &format!("“{}”, {}", wrap_up.summary, wrap_up.status))?;
        self.centre.wrap_up(call, Some(wrap_up)).await;
        self.record(call).await
    }

    async fn record(&mut self, call: &Call) -> io::Result<()> {
        self.centre.stream_records(call).await;
        self.show_saves()
    }

    async fn summary(&mut self, call: &Call, text: &str) -> io::Result<()> {
        self.centre.stream_summary(call, text).await;
        self.show_saves()
    }

    /// Shows what was saved since the last time.
    fn show_saves(&mut self) -> io::Result<()> {
        for end in &self.centre.api.ended()[self.shown..] {
            let text = |name: &str| end.pointer(name).and_then(Value::as_str).unwrap_or("nothing new");
            let (intent, status) = (text("/intent"), text("/intent_status"));
            let by = if end["variables"]["last_issue_source"] == "contact_lens" { " (by Contact Lens)" } else { "" };
            line("is saved", &format!("{intent}, {status}: {}{by}", text("/variables/last_issue")))?;
        }
        self.shown = self.centre.api.ended().len();
        Ok(())
    }
}

/// Shows what has happened in a call since the moment with this number.
fn show(call: &Call, since: usize) -> io::Result<()> {
    for moment in &call.moments[since..] {
        match moment {
            Moment::Hears(text) => line("caller hears", &format!("“{text}”")),
            Moment::Presses(key) => line("caller presses", &key.to_string()),
            Moment::DoesNotAnswer => line("caller", "does not answer"),
            Moment::WaitsInSilence(time) => line("silence", &format!("{:.2} s", time.as_secs_f64())),
            Moment::Waits(time) => line("caller waits", &format!("{} s", time.as_secs())),
            Moment::IsQueued { queue, priority } => line("goes to", &format!("{queue} queue, priority {priority}")),
            Moment::CallbackIsQueued(callback) => {
                let (queue, priority) = (&callback.queue, callback.priority);
                line("is called back", &format!("at {}: {queue} queue, priority {priority}", callback.number))
            }
            Moment::CallbackIsLost => line("callback", "no queue took it"),
            Moment::IsAskedInVain(question) => line("chat", &format!("can't answer “{question}”")),
            Moment::WillBeSummarised => line("Contact Lens", "will summarise it"),
            Moment::WillNotBeRecorded => line("Contact Lens", "will not record it"),
            Moment::AgentHears(text) => line("agent hears", &format!("“{text}”")),
            Moment::HangsUp => line("caller", "hangs up"),
            Moment::AgentSees(view) => show_view(view),
            Moment::AgentReads(text) => line("agent reads", &format!("“{text}”")),
            Moment::IsDisconnected => line("flow", "hangs up"),
        }?;
    }
    Ok(())
}

/// Shows what is on the agent's screen.
fn show_view(view: &Value) -> io::Result<()> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    line("agent sees", &format!("{}: {}", text(&view["Heading"]), text(&view["Description"])))?;
    let bar = view["AttributeBar"].as_array().into_iter().flatten();
    let bar = bar.map(|entry| match entry["Url"].as_str() {
        Some(url) => format!("{}: {url}", text(&entry["Label"])),
        None => format!("{}: {}", text(&entry["Label"]), text(&entry["Value"])),
    });
    let sections = view["Sections"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned);
    bar.chain(sections).try_for_each(|shown| line("", &shown))
}

fn title(text: &str) -> io::Result<()> {
    writeln!(io::stdout(), "\n{text}\n")
}

fn narrate(text: &str) -> io::Result<()> {
    line("·", text)
}

fn line(who: &str, what: &str) -> io::Result<()> {
    writeln!(io::stdout(), "  {who:>15}  {what}")
}

async fn play_files(bootstrap: &Path, files: &[String]) -> Result<(), Box<dyn Error>> {
    let api = StickyCalls::start().await;
    api.remember(jane());
    let url = api.url();
    let variables = [("STICKY_CALLS_API_URL", url.as_str()), ("STICKY_CALLS_API_KEY", KEY)];
    let mut function = Function::start(bootstrap, &variables).await;
    for file in files {
        let payload = std::fs::read(file).map_err(|error| format!("{file}: {error}"))?;
        let answer = function.invoke_bytes(payload).await;
        title(&format!("{file}: the flow gets"))?;
        table(&serde_json::from_slice(&answer)?)?;
    }
    Ok(())
}

/// Shows the attributes, one on each line. Of the empty ones only the names are shown.
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
