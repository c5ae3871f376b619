//! A contact centre that plays whole calls: the flows in `flows/` block by block, the real functions behind them, and
//! callers and agents who do what a test says.
//!
//! Flows that Connect would refuse are refused here too, with their faults.

mod contact;
mod own_functions;
mod player;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use contact::queue_arn;
pub use contact::{Channel, Contact};
use own_functions::OwnFunctions;
pub use player::BotAnswer;
use player::{Ending, Response, Script};

use crate::aws::{Aws, Service};
use crate::events;
use crate::flows::attributes::{Kind, kind_of};
use crate::flows::recipes::Recipe;
use crate::flows::{self, Fault, Flow, check};
use crate::function::Function;
use crate::sticky_calls::{KEY, StickyCalls};

/// The URL of a queue that takes every message.
const QUEUE: &str = "https://sqs.eu-central-1.amazonaws.com/123456789012/outbox";

/// The contact centre.
pub struct ContactCentre {
    /// The API that its functions ask.
    pub api: StickyCalls,
    /// A block that fails.
    pub broken: Option<Failure>,
    /// Whether Lambda refuses every invocation.
    pub functions_fail: bool,
    /// Whether it is outside the opening hours.
    pub is_closed: bool,
    /// The queues that nobody works for.
    pub unstaffed_queues: BTreeSet<String>,
    /// How many contacts these queues take, callbacks included.
    pub limits: BTreeMap<String, usize>,
    /// Whether a block that stores attributes fails if it refers to something that is not set. Else that is empty.
    pub missing_values_fail: bool,
    /// The contacts that wait, with their queues.
    waiting: BTreeMap<String, String>,
    /// What the template's parameters change in the flows, by placeholder.
    settings: BTreeMap<&'static str, String>,
    flows: BTreeMap<String, Flow>,
    identify: Function,
    save: Function,
    own_functions: OwnFunctions,
    outbox: Option<Outbox>,
    contacts: u32,
}

/// The outbox.
struct Outbox {
    sqs: Aws,
    /// How many of the sent messages have been fetched.
    fetched: usize,
    waiting: Vec<String>,
}

/// A block that fails whenever it is reached.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The flow's name.
    pub flow: String,
    /// The block's identifier.
    pub block: String,
    /// How it fails.
    pub error_type: String,
}

impl Failure {
    /// A block that fails with `NoMatchingError`.
    pub fn of(flow: &str, block: &str) -> Self {
        Self { flow: flow.to_owned(), block: block.to_owned(), error_type: "NoMatchingError".to_owned() }
    }
}

/// Somebody who calls.
#[derive(Clone, Debug)]
pub struct Caller {
    number: Option<String>,
    channel: Channel,
    attributes: BTreeMap<String, String>,
    sip_headers: BTreeMap<String, String>,
    keys: Vec<Option<char>>,
    bot: Vec<BotAnswer>,
    blocks: Option<usize>,
    flow: String,
}

impl Caller {
    /// Somebody who calls from this number.
    pub fn from(number: &str) -> Self {
        Self {
            number: Some(number.to_owned()),
            channel: Channel::Voice,
            attributes: BTreeMap::new(),
            sip_headers: BTreeMap::new(),
            keys: Vec::new(),
            bot: Vec::new(),
            blocks: None,
            flow: "inbound".to_owned(),
        }
    }

    /// Somebody who withholds their number.
    pub fn anonymous() -> Self {
        Self { number: None, ..Self::from("") }
    }

    /// A task, which is nobody's call.
    pub fn task() -> Self {
        Self { channel: Channel::Task, ..Self::anonymous() }
    }

    /// Somebody in the web chat, whose customer id the web page knows.
    pub fn in_chat(customer_id: &str) -> Self {
        Self { channel: Channel::Chat, ..Self::anonymous() }.known_as(customer_id)
    }

    /// The same, whose customer id another flow has looked up before ours runs.
    pub fn known_as(self, customer_id: &str) -> Self {
        self.bringing("customer_id", customer_id)
    }

    /// The same, whose contact has this attribute before our flow runs.
    pub fn bringing(mut self, attribute: &str, value: &str) -> Self {
        self.attributes.insert(attribute.to_owned(), value.to_owned());
        self
    }

    /// The same, whose carrier announces the call with this SIP header.
    pub fn announced_with(mut self, header: &str, value: &str) -> Self {
        self.sip_headers.insert(header.to_owned(), value.to_owned());
        self
    }

    /// The same, who talks to a bot that then answers the flow so.
    pub fn talking_to_a_bot(mut self, answer: BotAnswer) -> Self {
        self.bot.push(answer);
        self
    }

    /// The same, who presses these keys, one for each question. `-` means no answer.
    pub fn pressing(mut self, keys: &str) -> Self {
        self.keys = keys.chars().map(|key| Some(key).filter(|key| *key != '-')).collect();
        self
    }

    /// The same, whose number leads to this flow.
    pub fn through(mut self, flow: &str) -> Self {
        flow.clone_into(&mut self.flow);
        self
    }

    /// The same, who hangs up after so many blocks of the flows.
    pub fn hanging_up_after(mut self, blocks: usize) -> Self {
        self.blocks = Some(blocks);
        self
    }
}

/// What an agent writes after a call.
#[derive(Clone, Copy, Debug)]
pub struct WrapUp {
    pub summary: &'static str,
    pub notes: &'static str,
    /// `open` or `resolved`.
    pub status: &'static str,
}

/// A callback in its queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Callback {
    pub queue: String,
    pub number: String,
    pub priority: u64,
}

/// Something that happens in a call.
#[derive(Clone, Debug, PartialEq)]
pub enum Moment {
    /// The caller hears this, or reads it in a chat.
    Hears(String),
    /// The caller presses a key.
    Presses(char),
    /// The caller does not answer a question.
    DoesNotAnswer,
    /// A question in a chat, where nobody can press keys.
    IsAskedInVain(String),
    /// A function was invoked, and the caller heard nothing meanwhile.
    WaitsInSilence(Duration),
    /// The caller waits in a queue between two prompts, or a chat waits for its customer.
    Waits(Duration),
    /// The caller is put into a queue.
    IsQueued { queue: String, priority: u64 },
    /// A callback waits in its queue.
    CallbackIsQueued(Callback),
    /// A callback was created, and no queue took it.
    CallbackIsLost,
    /// Contact Lens will summarise the contact.
    WillBeSummarised,
    /// Nobody's side of the call will be recorded.
    WillNotBeRecorded,
    /// The agent's workspace shows this.
    AgentSees(Value),
    /// The agent reads this message in it.
    AgentReads(String),
    /// The agent hears this before the caller is connected.
    AgentHears(String),
    /// The caller hangs up.
    HangsUp,
    /// The flow hangs up.
    IsDisconnected,
}

/// A bot that a caller has talked to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conversation {
    /// The alias of the bot.
    pub alias: String,
    /// The session attributes that the flow gave it.
    pub session_attributes: BTreeMap<String, String>,
}

/// A call, with everything that has happened in it.
#[derive(Clone, Debug)]
pub struct Call {
    /// Its contacts, guides included.
    pub contacts: Vec<Contact>,
    /// What has happened, in its order.
    pub moments: Vec<Moment>,
    /// What functions have answered to the flows, one for each wait in silence. `None` stands for no usable answer.
    pub answers: Vec<Option<BTreeMap<String, String>>>,
    /// What the caller has heard and in which voice, in its order.
    pub voices: Vec<(String, String)>,
    /// The bots that the caller has talked to, in their order.
    pub conversations: Vec<Conversation>,
    current: usize,
    shown: Option<String>,
    /// How many more blocks the caller stays for.
    blocks_left: Option<usize>,
    /// Whether the flow speaks to the agent.
    whispers: bool,
}

impl Call {
    /// What the caller has heard.
    pub fn heard(&self) -> Vec<&str> {
        let heard = self.moments.iter().filter_map(|moment| match moment {
            Moment::Hears(text) => Some(text.as_str()),
            _ => None,
        });
        heard.collect()
    }

    /// The queue that the caller was last put into, and the priority.
    pub fn queue(&self) -> Option<(&str, u64)> {
        self.moments.iter().rev().find_map(|moment| match moment {
            Moment::IsQueued { queue, priority } => Some((queue.as_str(), *priority)),
            _ => None,
        })
    }

    /// The callback, if it waits in a queue.
    pub fn callback(&self) -> Option<&Callback> {
        self.moments.iter().find_map(|moment| match moment {
            Moment::CallbackIsQueued(callback) => Some(callback),
            _ => None,
        })
    }

    /// The longest time in which the caller heard nothing but what a queue plays.
    pub fn longest_silence(&self) -> Duration {
        let silences = self.moments.iter().filter_map(|moment| match moment {
            Moment::WaitsInSilence(time) | Moment::Waits(time) => Some(*time),
            _ => None,
        });
        silences.max().unwrap_or_default()
    }

    /// What the agent has heard before the caller was connected.
    pub fn agent_heard(&self) -> Vec<&str> {
        let heard = self.moments.iter().filter_map(|moment| match moment {
            Moment::AgentHears(text) => Some(text.as_str()),
            _ => None,
        });
        heard.collect()
    }

    /// The views that the agent's workspace has shown, in their order.
    pub fn agent_saw(&self) -> Vec<&Value> {
        let views = self.moments.iter().filter_map(|moment| match moment {
            Moment::AgentSees(view) => Some(view),
            _ => None,
        });
        views.collect()
    }

    /// The messages that the agent has read in the workspace.
    pub fn agent_read(&self) -> Vec<&str> {
        let read = self.moments.iter().filter_map(|moment| match moment {
            Moment::AgentReads(text) => Some(text.as_str()),
            _ => None,
        });
        read.collect()
    }

    /// The contact that the caller is in now.
    pub fn contact(&self) -> &Contact {
        &self.contacts[self.current]
    }

    /// An attribute of that contact. Empty if it is not set.
    pub fn attribute(&self, name: &str) -> &str {
        self.contact().attributes.get(name).map(String::as_str).unwrap_or_default()
    }

    /// Whether an untouched view is shown a second time. Then it stays open until the end of the contact.
    fn is_left_open(&mut self, view: &str) -> bool {
        self.shown.replace(view.to_owned()).as_deref() == Some(view)
    }
}

impl ContactCentre {
    /// Opens with the flows of the repository, and two functions with these variables. The API knows nobody.
    pub async fn open(bootstrap: impl AsRef<Path>, variables: &[(&str, &str)]) -> Self {
        let api = StickyCalls::start().await;
        let url = api.url();
        let mut all = vec![("STICKY_CALLS_API_URL", url.as_str()), ("STICKY_CALLS_API_KEY", KEY)];
        all.extend_from_slice(variables);
        let start = |action| {
            let variables = [&all[..], &[("STICKY_CALLS_ACTION", action)]].concat();
            let bootstrap = bootstrap.as_ref().to_owned();
            async move { Function::start(bootstrap, &variables).await }
        };
        let (identify, save) = (start("identify").await, start("save").await);
        Self {
            api,
            broken: None,
            functions_fail: false,
            is_closed: false,
            unstaffed_queues: BTreeSet::new(),
            limits: BTreeMap::new(),
            missing_values_fail: false,
            waiting: BTreeMap::new(),
            settings: BTreeMap::new(),
            flows: import(&BTreeMap::new()),
            identify,
            save,
            own_functions: OwnFunctions::default(),
            outbox: None,
            contacts: 0,
        }
    }

    /// The same with an outbox, as the template sets it up, whose queue takes every message. There is a table for
    /// functions that are told so.
    pub async fn open_with_outbox(bootstrap: impl AsRef<Path>, variables: &[(&str, &str)]) -> Self {
        let sqs = Aws::in_memory().await;
        let variables = [&[("STICKY_CALLS_OUTBOX_QUEUE_URL", QUEUE)], variables].concat();
        let centre = Self::open_in(bootstrap, &sqs, &variables).await;
        Self { outbox: Some(Outbox { sqs, fetched: 0, waiting: Vec::new() }), ..centre }
    }

    /// Opens with an AWS. Its variables are set too.
    pub async fn open_in(bootstrap: impl AsRef<Path>, aws: &Aws, variables: &[(&str, &str)]) -> Self {
        let of_aws = aws.variables();
        let mut all: Vec<_> = of_aws.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        all.extend_from_slice(variables);
        Self::open(bootstrap, &all).await
    }

    /// Deploys the flows again, with another value for a placeholder of the template.
    pub fn set(&mut self, placeholder: &'static str, value: &str) {
        self.settings.insert(placeholder, value.to_owned());
        self.flows = import(&self.settings);
    }

    /// Imports a flow that is not ours.
    pub fn import(&mut self, name: &str, json: &Value) {
        let flow = Flow::parse(name, &json.to_string()).unwrap_or_else(|fault| panic!("{fault}"));
        self.flows.insert(name.to_owned(), flow);
    }

    /// Imports the flows of a recipe, which has a flow of this name.
    ///
    /// # Panics
    ///
    /// If Connect would refuse them.
    pub fn import_recipe(&mut self, flow: &str) {
        let recipe = Recipe::with(flow);
        refuse(&recipe.faults());
        self.flows.extend(parsed(&recipe.texts(), &self.settings));
    }

    /// Provides a Lambda function of the contact centre's own. Its name is the last part of its ARN. It gets the event,
    /// and fails with `None`.
    pub fn provide(&mut self, function: &str, answer: impl FnMut(&Value) -> Option<Value> + Send + 'static) {
        self.own_functions.provide(function, answer);
    }

    /// The parameters with which the flows have invoked this function of the contact centre's own.
    pub fn invocations_of(&self, function: &str) -> Vec<&Value> {
        let invoked = self.own_functions.invoked.iter().filter(|(name, _)| name == function);
        invoked.map(|(_, event)| &event["Details"]["Parameters"]).collect()
    }

    /// The numbers in its contacts' ids go on from here, so that two contact centres never give the same id.
    pub fn number_contacts_from(&mut self, first: u32) {
        self.contacts = first;
    }

    /// Plays a flow for the contact that the caller is in now.
    pub async fn run_flow(&mut self, call: &mut Call, flow: &str) {
        let ending = self.play(flow, call, call.current, Script::default()).await;
        self.note(ending, call);
    }

    /// Gives callbacks a queue of their own, `callbacks`.
    pub fn give_callbacks_a_queue(&mut self) {
        self.set("CallbackQueue", &queue_arn("callbacks"));
        self.set("OwnCallbackQueue", "yes");
    }

    /// The queue takes nobody any more.
    pub fn fill(&mut self, queue: &str) {
        self.limits.insert(queue.to_owned(), 0);
    }

    fn is_full(&self, queue: &str) -> bool {
        let waiting = self.waiting.values().filter(|waiting| waiting.as_str() == queue).count();
        self.limits.get(queue).is_some_and(|limit| waiting >= *limit)
    }

    fn flow(&self, name: &str) -> Flow {
        self.flows.get(name).unwrap_or_else(|| panic!("no flow {name}")).clone()
    }

    /// Every failure of every block of a flow.
    pub fn failures(&self, flow: &str) -> Vec<Failure> {
        let actions = self.flows.get(flow).into_iter().flat_map(|flow| &flow.actions);
        let failures = actions.flat_map(|action| {
            let errors = action.errors.iter().map(|branch| branch.error_type.clone()).filter(|error| is_failure(error));
            errors.map(|error_type| Failure { error_type, ..Failure::of(flow, &action.identifier) })
        });
        failures.collect()
    }

    /// Somebody calls. The inbound flow is played, until they are in a queue or disconnected.
    pub async fn call(&mut self, caller: Caller) -> Call {
        let id = self.next_contact_id();
        let mut contact = Contact::new(id, caller.channel, caller.number);
        contact.attributes = caller.attributes;
        contact.sip_headers = caller.sip_headers;
        let mut call = Call {
            contacts: vec![contact],
            moments: Vec::new(),
            answers: Vec::new(),
            voices: Vec::new(),
            conversations: Vec::new(),
            current: 0,
            shown: None,
            blocks_left: caller.blocks,
            whispers: false,
        };
        let script = Script { keys: caller.keys.into(), bot: caller.bot.into(), ..Script::default() };
        let ending = self.play(&caller.flow, &mut call, 0, script).await;
        self.note(ending, &mut call);
        call
    }

    /// Notes how a flow for the caller has ended.
    fn note(&mut self, ending: Ending, call: &mut Call) {
        if matches!(ending, Ending::Disconnected | Ending::HungUp) {
            self.waiting.remove(&call.contact().id);
        }
        if ending == Ending::Disconnected {
            call.moments.push(Moment::IsDisconnected);
        }
    }

    /// The caller waits in the queue for this time, and presses these keys when asked.
    pub async fn wait(&mut self, call: &mut Call, time: Duration, keys: &str) {
        let Some(flow) = call.contact().hooks.get("CustomerQueue").cloned() else { return };
        let keys = keys.chars().map(|key| Some(key).filter(|key| *key != '-')).collect();
        let script = Script { keys, patience: time, ..Script::default() };
        let ending = self.play(&flow, call, call.current, script).await;
        self.note(ending, call);
    }

    /// An agent takes the call. The whisper is played, then the guide, until the agent has closed it.
    pub async fn agent_answers(&mut self, call: &mut Call) {
        self.agent_answers_and(call, Some("Back")).await;
    }

    /// The same, but the agent presses this button, even if the guide does not show it. With `None` the agent never
    /// touches the guide.
    pub async fn agent_answers_and(&mut self, call: &mut Call, button: Option<&'static str>) {
        self.connect(call).await;
        let response = button.map_or(Response::Nothing, |button| Response::Button(button, Value::Null));
        self.guide(call, "DefaultAgentUI", response).await;
    }

    /// An agent takes the callback, and the customer answers.
    pub async fn agent_takes_the_callback(&mut self, call: &mut Call) {
        call.current = callback_of(call);
        self.agent_answers(call).await;
    }

    /// An agent takes the callback, and a machine answers.
    pub async fn callback_reaches_voicemail(&mut self, call: &mut Call) {
        call.current = callback_of(call);
        self.connect(call).await;
        call.contacts[call.current].reached_voicemail = true;
    }

    /// The contact leaves its queue, and the agent hears who it is.
    async fn connect(&mut self, call: &mut Call) {
        self.waiting.remove(&call.contact().id);
        call.contacts[call.current].had_agent = true;
        if let Some(flow) = call.contact().hooks.get("AgentWhisper").cloned() {
            call.whispers = true;
            self.play(&flow, call, call.current, Script::default()).await;
            call.whispers = false;
        }
    }

    /// The agent transfers the caller to another queue.
    pub fn transfer(&mut self, call: &mut Call, queue: &str) {
        let id = self.next_contact_id();
        let mut segment = call.contacts[call.current].follower(id, "TRANSFER");
        segment.target_queue = Some(queue.to_owned());
        call.moments.push(Moment::IsQueued { queue: queue.to_owned(), priority: segment.priority });
        call.contacts.push(segment);
        call.current = call.contacts.len() - 1;
    }

    /// The agent consults a colleague, who leaves before the agent does. Returns the id of the colleague's contact.
    pub fn consult(&mut self, call: &mut Call) -> String {
        let id = self.next_contact_id();
        let mut consulted = call.contacts[call.current].follower(id.clone(), "TRANSFER");
        consulted.had_agent = true;
        call.contacts.push(consulted);
        id
    }

    /// The agent hangs up first. The disconnect flow is played, in a contact of its own.
    pub async fn agent_leaves(&mut self, call: &mut Call) {
        self.agent_leaves_and_customer_writes(call, None).await;
    }

    /// The same in a chat, whose customer writes again after this time.
    pub async fn agent_leaves_and_customer_writes(&mut self, call: &mut Call, after: Option<Duration>) {
        let Some(flow) = call.contact().hooks.get("CustomerRemaining").cloned() else { return };
        let id = self.next_contact_id();
        let segment = call.contacts[call.current].bare_follower(id, "DISCONNECT", None);
        call.contacts.push(segment);
        let index = call.contacts.len() - 1;
        let script = Script { writes_after: after, ..Script::default() };
        let ending = self.play(&flow, call, index, script).await;
        if ending == Ending::InQueue {
            call.current = index;
        }
        self.note(ending, call);
    }

    /// The agent wraps the call up, or skips the form.
    pub async fn wrap_up(&mut self, call: &mut Call, wrap_up: Option<WrapUp>) {
        let (button, form) = button_and_form(wrap_up);
        self.guide(call, "DisconnectAgentUI", Response::Button(button, form)).await;
    }

    /// The same by the agent who had this contact of the call.
    pub async fn wrap_up_of(&mut self, call: &mut Call, contact_id: &str, wrap_up: Option<WrapUp>) {
        let now = call.current;
        let earlier = call.contacts.iter().position(|contact| contact.id == contact_id);
        call.current = earlier.unwrap_or_else(|| panic!("no contact {contact_id}"));
        self.wrap_up(call, wrap_up).await;
        call.current = now;
    }

    /// The same, but Connect streams the call's records before the agent is done.
    pub async fn wrap_up_after_the_record(&mut self, call: &mut Call, wrap_up: Option<WrapUp>) {
        let (button, form) = button_and_form(wrap_up);
        self.guide(call, "DisconnectAgentUI", Response::ButtonAfterTheRecord(button, form)).await;
    }

    /// The agent leaves the wrap-up open, until it times out.
    pub async fn wrap_up_times_out(&mut self, call: &mut Call) {
        self.guide(call, "DisconnectAgentUI", Response::Nothing).await;
    }

    /// Connect streams the records of the call's contacts so far. Returns the function's answer.
    pub async fn stream_records(&mut self, call: &Call) -> Value {
        let records: Vec<_> = call.contacts.iter().map(Contact::record).collect();
        self.save.invoke(&events::stream(&records)).await
    }

    /// Contact Lens summarises the call, if it was told to. Returns the function's answer.
    pub async fn stream_summary(&mut self, call: &Call, text: &str) -> Value {
        assert!(call.moments.contains(&Moment::WillBeSummarised), "nobody agreed: {:?}", call.moments);
        self.save.invoke(&events::stream(&[events::summary_of(&call.contact().id, text)])).await
    }

    /// Connect streams the record of one contact, which has ended before the others.
    pub async fn stream_record_of(&mut self, call: &Call, contact_id: &str) -> Value {
        let record = call.contacts.iter().find(|contact| contact.id == contact_id).map(Contact::record);
        let record = record.unwrap_or_else(|| panic!("no contact {contact_id}"));
        self.save.invoke(&events::stream(&[record])).await
    }

    /// The messages in the outbox have waited long enough, and Lambda delivers them to the function. A failed one stays
    /// for the next time. Returns how many there were.
    pub async fn deliver_outbox(&mut self) -> usize {
        let Some(outbox) = &mut self.outbox else { return 0 };
        let asked = outbox.sqs.received(Service::Sqs);
        let sent = asked.iter().skip(outbox.fetched).filter(|(operation, _)| operation == "SendMessage");
        let sent = sent.filter_map(|(_, message)| message["MessageBody"].as_str().map(str::to_owned));
        outbox.waiting.extend(sent);
        outbox.fetched = asked.len();
        let messages = std::mem::take(&mut outbox.waiting);
        for message in &messages {
            let answer = self.save.invoke(&events::queue(std::slice::from_ref(message))).await;
            if answer["batchItemFailures"] != json!([]) {
                outbox.waiting.push(message.clone());
            }
        }
        messages.len()
    }

    /// Invokes the save function with an event that does not come from a flow.
    pub async fn deliver(&mut self, event: &Value) -> Value {
        self.save.invoke(event).await
    }

    async fn guide(&mut self, call: &mut Call, event: &str, agent: Response) {
        let Some(flow) = call.contact().hooks.get(event).cloned() else { return };
        let id = self.next_contact_id();
        let guide = call.contact().guide(id);
        call.contacts.push(guide);
        let index = call.contacts.len() - 1;
        call.shown = None;
        self.play(&flow, call, index, Script { agent, ..Script::default() }).await;
    }

    fn next_contact_id(&mut self) -> String {
        self.contacts += 1;
        format!("7c1d9b5e-6f0a-4c38-9a51-{:012}", self.contacts)
    }
}

/// Whether an error means that a block failed. Other errors are a person's action or the result of a comparison.
fn is_failure(error_type: &str) -> bool {
    !["NoMatchingCondition", "InputTimeLimitExceeded", "TimeLimitExceeded"].contains(&error_type)
}

fn button_and_form(wrap_up: Option<WrapUp>) -> (&'static str, Value) {
    match wrap_up {
        None => ("Back", Value::Null),
        Some(WrapUp { summary, notes, status }) => {
            let fields = [("call_summary", summary), ("agent_notes", notes), ("intent_status", status)];
            // AWS does not say whether an empty field is in the form's data.
            let filled = fields.iter().filter(|(_, text)| !text.is_empty());
            ("Next", filled.map(|(name, text)| ((*name).to_owned(), json!(text))).collect())
        }
    }
}

/// The callback of a call.
fn callback_of(call: &Call) -> usize {
    let callback = call.contacts.iter().rposition(|contact| contact.initiation_method == "CALLBACK");
    callback.unwrap_or_else(|| panic!("no callback: {:?}", call.moments))
}

/// Fills in the flows' placeholders like the template, and refuses flows that Connect would refuse.
fn import(settings: &BTreeMap<&str, String>) -> BTreeMap<String, Flow> {
    let texts = flows::texts();
    refuse(&check::check(&texts));
    parsed(&texts, settings)
}

/// Panics if there are faults, with what they are.
fn refuse(faults: &[Fault]) {
    let faults: Vec<_> = faults.iter().map(ToString::to_string).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// The flows of these texts, with values in place of the placeholders.
fn parsed(texts: &BTreeMap<String, String>, settings: &BTreeMap<&str, String>) -> BTreeMap<String, Flow> {
    let import = |(name, text): (&String, &String)| {
        let filled =
            flows::filled(text, |placeholder| settings.get(placeholder).cloned().unwrap_or_else(|| value(placeholder)));
        (name.clone(), Flow::parse(name, &filled).unwrap_or_else(|fault| panic!("{fault}")))
    };
    texts.iter().map(import).collect()
}

/// The value of a placeholder, with the template's defaults. The last part of an ARN is a name here.
fn value(placeholder: &str) -> String {
    let instance = contact::INSTANCE;
    match (kind_of(placeholder), placeholder) {
        (_, "Partition") => "aws".to_owned(),
        (_, "Region") => "eu-central-1".to_owned(),
        (_, "CrmUrl") => "https://crm.example.com/customers/".to_owned(),
        (_, "FlowLogging" | "ContactLens") => "Disabled".to_owned(),
        (_, "CallbackQueue") => "$.Queue.ARN".to_owned(),
        (_, "OwnCallbackQueue") => "no".to_owned(),
        (_, "OwnVipQueue") => "yes".to_owned(),
        (_, "QueueArn") => queue_arn("general"),
        (_, "BillingQueueArn") => queue_arn("billing"),
        (_, "TechnicalSupportQueueArn") => queue_arn("technical_support"),
        (_, "SalesQueueArn") => queue_arn("sales"),
        (_, "EscalationQueueArn") => queue_arn("escalation"),
        (_, "VipQueueArn") => queue_arn("vip"),
        (Some(Kind::Hours), _) => format!("{instance}/operating-hours/weekdays"),
        (Some(Kind::Flow(Some(file))), _) => format!("{instance}/contact-flow/{file}"),
        (Some(Kind::Module(Some(file))), _) => format!("{instance}/flow-module/{file}"),
        (_, "IdentifyFunctionArn") => "arn:aws:lambda:eu-central-1:123456789012:function:identify".to_owned(),
        (_, "SaveFunctionArn") => "arn:aws:lambda:eu-central-1:123456789012:function:save".to_owned(),
        (_, "CrmFunctionArn") => "arn:aws:lambda:eu-central-1:123456789012:function:crm".to_owned(),
        (_, "SessionDataFunctionArn") => "arn:aws:lambda:eu-central-1:123456789012:function:session-data".to_owned(),
        (Some(Kind::Bot), _) => "arn:aws:lex:eu-central-1:123456789012:bot-alias/BOT/ALIAS".to_owned(),
        (Some(Kind::Assistant), _) => "arn:aws:wisdom:eu-central-1:123456789012:assistant/a".to_owned(),
        (Some(Kind::AiAgent), _) => "arn:aws:wisdom:eu-central-1:123456789012:ai-agent/a/agent:1".to_owned(),
        _ => panic!("unknown placeholder {placeholder}"),
    }
}
