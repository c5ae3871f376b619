//! A day in a contact centre that remembers its callers: what they hear, which queue they get to, what the agents see,
//! what Connect gets from each lookup and each save, and what is saved for the next call.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use stand_ins::contact_centre::{Call, Caller, ContactCentre, Moment, WrapUp};
use stand_ins::stack::jane;
use stand_ins::sticky_calls::Fault;

use crate::answer::{Source, attributes, in_words, kind};
use crate::screen::Screen;

/// Plays the calls of the day.
pub(crate) async fn play(bootstrap: &Path, screen: Screen) -> io::Result<()> {
    let mut day = Day::begin(bootstrap, screen).await;
    day.first_call_and_second().await?;
    day.same_number().await?;
    day.transfer().await?;
    day.contact_lens().await?;
    day.withheld_number_and_chat().await?;
    day.queues().await?;
    day.api_is_down().await
}

/// The contact centre, and what has been shown of it.
struct Day {
    centre: ContactCentre,
    /// How many of the saved ends have been shown.
    shown: usize,
    screen: Screen,
}

/// The calls.
impl Day {
    async fn first_call_and_second(&mut self) -> io::Result<()> {
        self.screen.title("Somebody calls for the first time, and the agent leaves the matter open")?;
        let mut call = self.call(mark().pressing("1")).await?;
        self.agent_takes(&mut call).await?;
        self.agent_leaves(&mut call).await?;
        let summary = "Invoice 4711 charges the setup fee twice";
        self.agent_writes(&mut call, WrapUp { summary, notes: "Asked accounting", status: "open" }).await?;

        self.screen.title("The same caller calls again")?;
        let mut call = self.call(mark().pressing("1")).await?;
        self.agent_takes(&mut call).await?;
        self.narrate("the caller hangs up first, so that no disconnect flow runs")?;
        let notes = "Credit note sent by e-mail";
        self.agent_writes(&mut call, WrapUp { summary: "Credit note was missing", notes, status: "resolved" }).await
    }

    async fn same_number(&mut self) -> io::Result<()> {
        self.screen.title("Somebody calls from the same number: it may be another person")?;
        self.call(Caller::from("+12025550142").pressing("2")).await.map(drop)
    }

    async fn transfer(&mut self) -> io::Result<()> {
        self.screen.title("A VIP, whose agent transfers the call: both agents' words are saved")?;
        let mut call = self.call(from_jane().pressing("1")).await?;
        self.agent_takes(&mut call).await?;
        let said = call.moments.len();
        self.centre.transfer(&mut call, "technical_support");
        self.show(&call, said)?;
        self.agent_writes(&mut call, WrapUp { summary: "Portal shows no invoice", notes: "", status: "open" }).await?;
        self.agent_takes(&mut call).await?;
        self.agent_leaves(&mut call).await?;
        let summary = "Portal showed an old invoice";
        self.agent_writes(&mut call, WrapUp { summary, notes: "", status: "resolved" }).await
    }

    async fn contact_lens(&mut self) -> io::Result<()> {
        let from_ann = || Caller::from("+12025550163").known_as("C-3063");
        self.screen.title("Nobody types anything: Contact Lens summarises the call")?;
        self.centre.set("ContactLens", "Enabled");
        let mut call = self.call(from_ann().pressing("21")).await?;
        self.agent_takes(&mut call).await?;
        self.narrate("the caller hangs up, and the agent skips the form")?;
        self.wrap_up(&mut call, None).await?;
        self.record(&call).await?;
        self.narrate("a little later the summary comes")?;
        let summary = "The customer reported a router that restarts every hour. The agent will send a new one.";
        self.summary(&call, summary).await?;

        self.screen
            .title("The same caller calls again: the agent reads the summary, and the caller does not hear it")?;
        let mut call = self.call(from_ann().pressing("22")).await?;
        self.agent_takes(&mut call).await?;
        self.centre.set("ContactLens", "Disabled");
        Ok(())
    }

    async fn withheld_number_and_chat(&mut self) -> io::Result<()> {
        self.screen.title("Somebody who withholds the number")?;
        let mut call = self.call(Caller::anonymous().pressing("3")).await?;
        self.agent_takes(&mut call).await?;

        self.screen.title("A customer in the web chat: the page knows only an id")?;
        let mut call = self.call(Caller::in_chat("C-2042")).await?;
        self.agent_takes(&mut call).await
    }

    async fn queues(&mut self) -> io::Result<()> {
        self.screen.title("All lines are busy")?;
        self.centre.give_callbacks_a_queue();
        self.centre.fill("billing");
        self.call(Caller::from("+12025550177").pressing("11")).await?;
        self.centre.limits.clear();

        self.screen.title("Somebody hangs up in the queue: the contact record saves the call")?;
        let mut call = self.call(Caller::from("+12025550188").pressing("2")).await?;
        let said = call.moments.len();
        self.centre.wait(&mut call, Duration::from_secs(130), "-").await;
        self.show(&call, said)?;
        self.narrate("the caller hangs up")?;
        self.record(&call).await
    }

    async fn api_is_down(&mut self) -> io::Result<()> {
        self.screen.title("The API is down")?;
        self.centre.api.fail_always(Some(Fault::status(503)));
        let mut call = self.call(from_jane().pressing("1")).await?;
        self.agent_takes(&mut call).await?;

        self.screen.title("The API hangs")?;
        self.centre.api.fail_always(Some(Fault::Hang));
        self.call(from_jane().pressing("1")).await.map(drop)
    }
}

fn mark() -> Caller {
    Caller::from("+12025550142").known_as("C-2042")
}

fn from_jane() -> Caller {
    Caller::from("+12025550101").known_as("C-1001")
}

/// The steps of a call.
impl Day {
    async fn begin(bootstrap: &Path, screen: Screen) -> Self {
        let settings = [
            ("STICKY_CALLS_TABLE", "table"),
            ("STICKY_CALLS_CONTACT_LENS", "on"),
            // Each call is looked up, so that there is something to see.
            ("STICKY_CALLS_CACHE_TTL_SECONDS", "0"),
        ];
        let centre = ContactCentre::open_with_outbox(bootstrap, &settings).await;
        centre.api.remember(jane());
        Self { centre, shown: 0, screen }
    }

    async fn call(&mut self, caller: Caller) -> io::Result<Call> {
        let call = self.centre.call(caller).await;
        self.show(&call, 0)?;
        Ok(call)
    }

    async fn agent_takes(&mut self, call: &mut Call) -> io::Result<()> {
        let said = call.moments.len();
        self.centre.agent_answers(call).await;
        self.show(call, said)
    }

    async fn agent_leaves(&mut self, call: &mut Call) -> io::Result<()> {
        self.narrate("the agent hangs up first")?;
        let said = call.moments.len();
        self.centre.agent_leaves(call).await;
        self.show(call, said)?;
        self.show_saves()
    }

    /// The agent wraps up, and then the contact record comes.
    async fn agent_writes(&mut self, call: &mut Call, wrap_up: WrapUp) -> io::Result<()> {
        self.screen.line("agent writes", &format!("“{}”, {}", wrap_up.summary, wrap_up.status))?;
        self.wrap_up(call, Some(wrap_up)).await?;
        self.record(call).await
    }

    async fn wrap_up(&mut self, call: &mut Call, wrap_up: Option<WrapUp>) -> io::Result<()> {
        let answered = call.answers.len();
        self.centre.wrap_up(call, wrap_up).await;
        // Not the form itself, but what its save answers.
        call.answers[answered..].iter().try_for_each(|answer| self.show_answer(answer.as_ref()))?;
        self.show_saves()
    }

    async fn record(&mut self, call: &Call) -> io::Result<()> {
        let answer = self.centre.stream_records(call).await;
        self.narrate("Connect streams the contact records")?;
        self.show_batch(call.contacts.len(), &answer)
    }

    async fn summary(&mut self, call: &Call, text: &str) -> io::Result<()> {
        let answer = self.centre.stream_summary(call, text).await;
        self.show_batch(1, &answer)
    }
}

/// What is shown.
impl Day {
    fn narrate(&self, text: &str) -> io::Result<()> {
        self.screen.line("·", text)
    }

    /// Shows what has happened in a call since the moment with this number.
    fn show(&self, call: &Call, since: usize) -> io::Result<()> {
        let (before, now) = call.moments.split_at(since);
        let earlier = before.iter().filter(|moment| matches!(moment, Moment::WaitsInSilence(_))).count();
        let mut answers = call.answers.iter().skip(earlier);
        for moment in now {
            self.show_moment(moment)?;
            if let Moment::WaitsInSilence(_) = moment {
                self.show_answer(answers.next().and_then(Option::as_ref))?;
            }
        }
        Ok(())
    }

    fn show_moment(&self, moment: &Moment) -> io::Result<()> {
        let (who, what) = match moment {
            Moment::Hears(text) => ("caller hears", format!("“{text}”")),
            Moment::Presses(key) => ("caller presses", key.to_string()),
            Moment::DoesNotAnswer => ("caller", "does not answer".to_owned()),
            Moment::WaitsInSilence(time) => ("silence", format!("{:.2} s", time.as_secs_f64())),
            Moment::Waits(time) => ("caller waits", format!("{} s", time.as_secs())),
            Moment::IsQueued { queue, priority } => ("goes to", format!("{queue} queue, priority {priority}")),
            Moment::CallbackIsQueued(callback) => {
                let (queue, priority) = (&callback.queue, callback.priority);
                ("is called back", format!("at {}: {queue} queue, priority {priority}", callback.number))
            }
            Moment::CallbackIsLost => ("callback", "no queue took it".to_owned()),
            Moment::IsAskedInVain(question) => ("chat", format!("can't answer “{question}”")),
            Moment::WillBeSummarised => ("Contact Lens", "will summarise it".to_owned()),
            Moment::WillNotBeRecorded => ("Contact Lens", "will not record it".to_owned()),
            Moment::AgentHears(text) => ("agent hears", format!("“{text}”")),
            Moment::HangsUp => ("caller", "hangs up".to_owned()),
            Moment::AgentSees(view) => return self.show_view(view),
            Moment::AgentReads(text) => ("agent reads", format!("“{text}”")),
            Moment::IsDisconnected => ("flow", "hangs up".to_owned()),
        };
        self.screen.line(who, &what)
    }

    /// Shows the attributes that a flow has got from a function.
    fn show_answer(&self, answer: Option<&BTreeMap<String, String>>) -> io::Result<()> {
        let Some(answer) = answer else { return self.screen.line("function", "no answer: the block takes Error") };
        let answer = json!(answer);
        self.screen.line(kind(&answer), "answers, and the flow reads as $.External:")?;
        self.screen.table(&attributes(&answer))
    }

    /// Shows what became of a batch of a stream, and what was saved by it.
    fn show_batch(&mut self, received: usize, answer: &Value) -> io::Result<()> {
        self.screen.line("save answers", &in_words(Source::Stream, received, answer))?;
        self.show_saves()
    }

    /// Shows what was saved since the last time.
    fn show_saves(&mut self) -> io::Result<()> {
        let ended = self.centre.api.ended();
        for end in &ended[self.shown..] {
            let text = |name: &str| end.pointer(name).and_then(Value::as_str);
            let (intent, status) = (text("/intent").unwrap_or("no intent"), text("/intent_status"));
            let words = text("/variables/last_issue").unwrap_or("no words, so the last issue stays");
            let by = if end["variables"]["last_issue_source"] == "contact_lens" { " (by Contact Lens)" } else { "" };
            let status = status.unwrap_or("without a status");
            self.screen.line("API keeps", &format!("{intent}, {status}: {words}{by}"))?;
        }
        self.shown = ended.len();
        Ok(())
    }

    /// Shows what is on the agent's screen.
    fn show_view(&self, view: &Value) -> io::Result<()> {
        let text = |value: &Value| value.as_str().unwrap_or("nothing").to_owned();
        self.screen.line("agent sees", &format!("{}: {}", text(&view["Heading"]), text(&view["Description"])))?;
        let bar = view["AttributeBar"].as_array().into_iter().flatten();
        let bar = bar.map(|entry| match entry["Url"].as_str() {
            Some(url) => format!("{}: {url}", text(&entry["Label"])),
            None => format!("{}: {}", text(&entry["Label"]), text(&entry["Value"])),
        });
        let sections = view["Sections"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned);
        bar.chain(sections).try_for_each(|shown| self.screen.line("", &shown))
    }
}
