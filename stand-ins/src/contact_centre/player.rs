//! Plays one flow, block by block, as Amazon Connect does.

use std::collections::{BTreeMap, VecDeque};
use std::pin::Pin;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use super::contact::{Channel, Contact};
use super::{Call, Callback, ContactCentre, Conversation, Moment};
use crate::flows::language::{MAX_ANSWER_BYTES, MAX_ATTRIBUTE_BYTES};
use crate::flows::{Action, Condition, pauses, references, words};
use crate::runtime_api::Outcome;

/// The most blocks in one run. A run with more is an endless loop.
const MOST_STEPS: usize = 500;

/// How long a spoken word takes: 150 words a minute.
const A_WORD: Duration = Duration::from_millis(400);

/// What the caller or the agent does in a flow.
#[derive(Clone, Debug, Default)]
pub(super) struct Script {
    /// The keys that a caller presses, one for each question. `None` means no answer. After the last key the caller
    /// does not answer.
    pub keys: VecDeque<Option<char>>,
    /// How long a caller waits in a queue.
    pub patience: Duration,
    /// How long after the agent has left the customer writes again in a chat.
    pub writes_after: Option<Duration>,
    /// What an agent does with a view.
    pub agent: Response,
    /// What bots answer the flow, one for each conversation. After the last one the caller says nothing to a bot.
    pub bot: VecDeque<BotAnswer>,
}

/// What a bot answers the flow at the end of a conversation.
#[derive(Clone, Debug, Default)]
pub struct BotAnswer {
    /// The intent.
    pub intent: String,
    /// The session attributes that it has set. An AI agent sets `Tool`, and what it passed to that tool.
    pub session_attributes: BTreeMap<String, String>,
}

/// What an agent does with a view.
#[derive(Clone, Debug, Default)]
pub(super) enum Response {
    /// Leaves it open until it times out.
    #[default]
    Nothing,
    /// Presses this button, with these values in the form.
    Button(&'static str, Value),
    /// The same, after Connect has streamed the call's records so far.
    ButtonAfterTheRecord(&'static str, Value),
}

/// How a flow ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// The contact is in a queue.
    InQueue,
    /// The caller or the agent was disconnected.
    Disconnected,
    /// The caller has hung up.
    HungUp,
    /// The flow has ended, and the contact goes on.
    GoesOn,
}

/// The branch that a block takes.
enum Way {
    /// The branch for success.
    Next,
    /// The branch for this result, else the one for no matching condition.
    Result(String),
    /// The branch for this error.
    Error(String),
    /// The beginning of another flow.
    Flow(String),
    /// No branch: the flow ends.
    End(Ending),
}

/// One run of a flow, for one contact of a call.
struct Run<'a> {
    call: &'a mut Call,
    contact: usize,
    script: Script,
    /// `$.External`.
    external: BTreeMap<String, String>,
    /// `$.Views.ViewResultData`.
    view_result: Value,
    /// `$.Lex`.
    lex: BotAnswer,
    /// `$.Wisdom.SessionArn`.
    session_arn: Option<String>,
}

impl ContactCentre {
    /// Plays the flow of this name for a contact of a call.
    pub(super) async fn play(&mut self, name: &str, call: &mut Call, contact: usize, script: Script) -> Ending {
        let mut run = Run {
            call,
            contact,
            script,
            external: BTreeMap::new(),
            view_result: Value::Null,
            lex: BotAnswer::default(),
            session_arn: None,
        };
        self.run(name.to_owned(), &mut run).await
    }

    /// Plays a flow or a module. It is boxed, because a flow's blocks may play others.
    fn run<'a>(&'a mut self, mut name: String, run: &'a mut Run<'_>) -> Pin<Box<dyn Future<Output = Ending> + 'a>> {
        Box::pin(async move {
            let mut flow = self.flow(&name);
            let mut identifier = flow.start.clone();
            for _ in 0..MOST_STEPS {
                if run.hangs_up() {
                    run.call.moments.push(Moment::HangsUp);
                    return Ending::HungUp;
                }
                let action = flow.action(&identifier).unwrap_or_else(|| panic!("{name}: no block {identifier:?}"));
                let broken = self.broken.as_ref().filter(|broken| broken.flow == name && broken.block == identifier);
                let way = match broken {
                    Some(broken) => error(&broken.error_type),
                    None => self.step(action, run).await,
                };
                let next = match way {
                    Way::End(ending) => return ending,
                    Way::Flow(other) => {
                        name = other;
                        flow = self.flow(&name);
                        run.external.clear();
                        identifier.clone_from(&flow.start);
                        continue;
                    }
                    Way::Next => action.next.as_deref(),
                    Way::Error(error_type) => action.on_error(&error_type),
                    Way::Result(result) => {
                        let met = action.conditions.iter().find(|condition| is_met(condition, &result));
                        met.map(|condition| condition.next.as_str()).or_else(|| action.on_error("NoMatchingCondition"))
                    }
                };
                identifier = next.unwrap_or_else(|| panic!("{name}: {identifier:?} leads nowhere")).to_owned();
            }
            panic!("{name} is an endless loop, at {identifier:?}");
        })
    }

    /// Runs one block.
    async fn step(&mut self, action: &Action, run: &mut Run<'_>) -> Way {
        let parameters = &action.parameters;
        let text = |name: &str| parameters[name].as_str().unwrap_or_default();
        match action.action_type.as_str() {
            "UpdateFlowLoggingBehavior" => Way::Next,
            "MessageParticipant" => run.is_told(&action.spoken().concat()),
            "MessageParticipantIteratively" => run.wait_in_queue(action),
            "GetParticipantInput" => run.ask(&action.spoken().concat()),
            "ConnectParticipantWithLexBot" => run.talk_to_a_bot(action),
            "UpdateContactTextToSpeechVoice" => run.set_voice(text("TextToSpeechVoice")),
            "UpdateContactData" => run.set_properties(parameters),
            "CreateWisdomSession" => {
                run.session_arn = Some(format!("{}/session/{}", text("WisdomAssistantArn"), run.contact().id));
                Way::Next
            }
            "Compare" => Way::Result(run.value_of(text("ComparisonValue")).unwrap_or_default()),
            "CheckHoursOfOperation" => Way::Result(if self.is_closed { "False" } else { "True" }.to_owned()),
            "CheckMetricData" => {
                let of_the_contact = run.contact().target_queue.clone();
                let named = parameters["QueueId"].as_str().map(|queue| last_part(queue).to_owned());
                let queue = named.or(of_the_contact).unwrap_or_default();
                Way::Result(if self.unstaffed_queues.contains(&queue) { "0" } else { "3" }.to_owned())
            }
            "Wait" => run.wait_for_the_customer(text("TimeLimitSeconds")),
            "UpdateContactAttributes" => self.update_attributes(text("TargetContact"), &parameters["Attributes"], run),
            "UpdateContactEventHooks" => {
                for (event, flow) in parameters["EventHooks"].as_object().into_iter().flatten() {
                    let Some(flow) = run.resolve(flow.as_str().unwrap_or_default()) else {
                        return error("NoMatchingError");
                    };
                    run.contact().hooks.insert(event.clone(), last_part(&flow).to_owned());
                }
                Way::Next
            }
            "UpdateContactTargetQueue" => match run.resolve(text("QueueId")) {
                Some(queue) => {
                    run.contact().target_queue = Some(last_part(&queue).to_owned());
                    Way::Next
                }
                None => error("NoMatchingError"),
            },
            "UpdateContactRoutingBehavior" => {
                run.contact().priority = text("QueuePriority").parse().expect("a priority");
                Way::Next
            }
            "UpdateContactRecordingAndAnalyticsBehavior" => run.summarise(parameters),
            "TransferContactToQueue" => self.transfer_to_queue(run),
            "TransferToFlow" => Way::Flow(last_part(text("ContactFlowId")).to_owned()),
            "InvokeFlowModule" => self.invoke_module(last_part(text("FlowModuleId")), run).await,
            "UpdateContactCallbackNumber" => run.set_callback_number(text("CallbackNumber")),
            "CreateCallbackContact" => self.create_callback(text("QueueId"), text("ContactFlowId"), run).await,
            "InvokeLambdaFunction" => self.invoke_function(parameters, run).await,
            "ShowView" => self.show_view(action, run).await,
            "DisconnectParticipant" => Way::End(Ending::Disconnected),
            "EndFlowExecution" | "EndFlowModuleExecution" => Way::End(Ending::GoesOn),
            other => panic!("{:?} is of the unknown type {other}", action.identifier),
        }
    }

    /// Sets attributes on a contact and on all contacts that share them. If one can't be set, none is. AWS does not say
    /// what a reference to nothing does: it reads as empty, or the block fails.
    fn update_attributes(&self, target: &str, attributes: &Value, run: &mut Run<'_>) -> Way {
        let is_missing = |text: &Value| run.resolve(text.as_str().unwrap_or_default()).is_none();
        if self.missing_values_fail && attributes.as_object().into_iter().flatten().any(|(_, text)| is_missing(text)) {
            return error("NoMatchingError");
        }
        let attributes = run.resolve_all(attributes);
        let target = match target {
            "Related" => run.contact().related_id.clone(),
            _ => Some(run.contact().id.clone()),
        };
        let Some(target) = run.call.contacts.iter().find(|contact| Some(&contact.id) == target.as_ref()) else {
            return error("NoMatchingError");
        };
        let mut all = target.attributes.clone();
        all.extend(attributes.clone());
        if all.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() > MAX_ATTRIBUTE_BYTES {
            return error("NoMatchingError");
        }
        let initial_id = target.initial_id.clone();
        for contact in run.call.contacts.iter_mut().filter(|contact| contact.initial_id == initial_id) {
            contact.attributes.extend(attributes.clone());
        }
        Way::Next
    }

    fn transfer_to_queue(&mut self, run: &mut Run<'_>) -> Way {
        let Some(queue) = run.contact().target_queue.clone() else { return error("NoMatchingError") };
        if self.is_full(&queue) {
            return error("QueueAtCapacity");
        }
        let (id, priority) = (run.contact().id.clone(), run.contact().priority);
        self.waiting.insert(id, queue.clone());
        run.contact().queue = Some(queue.clone());
        let moment = match (run.contact().initiation_method, run.contact().callback_number.clone()) {
            ("CALLBACK", Some(number)) => Moment::CallbackIsQueued(Callback { queue, number, priority }),
            _ => Moment::IsQueued { queue, priority },
        };
        run.call.moments.push(moment);
        Way::End(Ending::InQueue)
    }

    async fn invoke_module(&mut self, name: &str, run: &mut Run<'_>) -> Way {
        // A module does not see its caller's answers, nor the caller the module's.
        let external = std::mem::take(&mut run.external);
        let (lex, session_arn) = (std::mem::take(&mut run.lex), run.session_arn.take());
        let ending = self.run(name.to_owned(), run).await;
        (run.external, run.lex, run.session_arn) = (external, lex, session_arn);
        match ending {
            Ending::GoesOn => Way::Next,
            other => Way::End(other),
        }
    }

    /// A callback is a contact of its own, for which its creation flow runs. Callbacks count towards a queue's limit, and
    /// one for a full queue is refused.
    async fn create_callback(&mut self, queue: &str, flow: &str, run: &mut Run<'_>) -> Way {
        let queue = run.resolve(queue).map(|queue| last_part(&queue).to_owned());
        let (Some(queue), Some(_)) = (queue, run.contact().callback_number.clone()) else {
            return error("NoMatchingError");
        };
        if !run.is_voice() || self.is_full(&queue) {
            return error("NoMatchingError");
        }
        let id = self.next_contact_id();
        let callback = run.contact().bare_follower(id, "CALLBACK", Some(queue));
        run.call.contacts.push(callback);
        let index = run.call.contacts.len() - 1;
        let ending = self.play(last_part(flow), run.call, index, Script::default()).await;
        if ending != Ending::InQueue {
            run.call.moments.push(Moment::CallbackIsLost);
        }
        Way::Next
    }

    /// Invokes a function. An answer that is too late, too long or not a flat object of texts is an error.
    async fn invoke_function(&mut self, parameters: &Value, run: &mut Run<'_>) -> Way {
        let text = |name: &str| parameters[name].as_str().unwrap_or_default();
        let limit = text("InvocationTimeLimitSeconds").parse().map(Duration::from_secs).expect("seconds");
        let event = run.event(&parameters["LambdaInvocationAttributes"]);
        let began = Instant::now();
        let outcome = match last_part(text("LambdaFunctionARN")) {
            _ if self.functions_fail => Outcome::Error(Vec::new()),
            "identify" => self.identify.outcome(event.to_string(), limit).await,
            "save" => self.save.outcome(event.to_string(), limit).await,
            own => match self.own_functions.invoke(own, event) {
                Some(answer) => Outcome::Answer(answer.to_string().into_bytes()),
                None => Outcome::Error(Vec::new()),
            },
        };
        run.call.moments.push(Moment::WaitsInSilence(began.elapsed()));
        let answer = match outcome {
            Outcome::Answer(body) if body.len() < MAX_ANSWER_BYTES => serde_json::from_slice(&body).ok(),
            _ => None,
        };
        run.external = answer.clone().unwrap_or_default();
        let way = if answer.is_some() { Way::Next } else { error("NoMatchingError") };
        run.call.answers.push(answer);
        way
    }

    async fn show_view(&mut self, action: &Action, run: &mut Run<'_>) -> Way {
        let view = run.resolve_values(&action.identifier, &action.parameters["ViewData"]);
        run.call.moments.push(Moment::AgentSees(view));
        let (button, form) = match std::mem::take(&mut run.script.agent) {
            Response::Nothing if run.call.is_left_open(&action.identifier) => return Way::End(Ending::Disconnected),
            Response::Nothing => return error("TimeLimitExceeded"),
            Response::Button(button, form) => (button, form),
            Response::ButtonAfterTheRecord(button, form) => {
                self.stream_records(run.call).await;
                (button, form)
            }
        };
        run.view_result = json!({"FormData": form});
        Way::Result(button.to_owned())
    }
}

impl Run<'_> {
    fn contact(&mut self) -> &mut Contact {
        &mut self.call.contacts[self.contact]
    }

    fn is_voice(&mut self) -> bool {
        self.contact().channel == Channel::Voice
    }

    /// Whether the caller hangs up before the next block. That counts only the flows that the caller is in: no guide,
    /// whisper or creation flow.
    fn hangs_up(&mut self) -> bool {
        let contact = self.contact();
        let is_elsewhere = contact.related_id.is_some() || contact.initiation_method == "CALLBACK";
        match &mut self.call.blocks_left {
            _ if is_elsewhere || self.call.whispers => false,
            Some(0) => true,
            Some(left) => {
                *left -= 1;
                false
            }
            None => false,
        }
    }

    /// A message to the caller, in a guide or a whisper to the agent.
    ///
    /// # Panics
    ///
    /// If it refers to something that is not set, which would be heard.
    fn hears(&mut self, text: &str) {
        let resolved = self.resolve(text).filter(|text| !text.trim().is_empty());
        let text = words(&resolved.unwrap_or_else(|| panic!("something in {text:?} is not set")));
        let is_guide = self.contact().related_id.is_some();
        if !is_guide && !self.call.whispers {
            let voice = self.contact().voice.clone();
            self.call.voices.push((voice, text.clone()));
        }
        self.call.moments.push(match (is_guide, self.call.whispers) {
            (true, _) => Moment::AgentReads(text),
            (false, true) => Moment::AgentHears(text),
            (false, false) => Moment::Hears(text),
        });
    }

    /// A message. Nobody can be told anything in a task. In a queue its pauses take the caller's patience.
    fn is_told(&mut self, text: &str) -> Way {
        if self.contact().channel == Channel::Task {
            return error("NoMatchingError");
        }
        self.hears(text);
        let pause = Duration::from_secs(pauses(text));
        if !pause.is_zero() && self.contact().queue.is_some() && !self.call.whispers {
            let pause = pause.min(self.script.patience);
            self.call.moments.push(Moment::Waits(pause));
            self.script.patience -= pause;
            if self.script.patience.is_zero() {
                return Way::End(Ending::GoesOn);
            }
        }
        Way::Next
    }

    /// Asks for a key. Without a Lex bot only calls can do that.
    fn ask(&mut self, question: &str) -> Way {
        if !self.is_voice() {
            self.call.moments.push(Moment::IsAskedInVain(question.to_owned()));
            return error("NoMatchingError");
        }
        self.hears(question);
        match self.script.keys.pop_front().flatten() {
            None => {
                self.call.moments.push(Moment::DoesNotAnswer);
                error("InputTimeLimitExceeded")
            }
            Some(key) => {
                self.call.moments.push(Moment::Presses(key));
                Way::Result(key.to_string())
            }
        }
    }

    /// Connects the caller with a bot, until it answers the flow.
    fn talk_to_a_bot(&mut self, action: &Action) -> Way {
        if self.contact().channel == Channel::Task {
            return error("NoMatchingError");
        }
        self.hears(&action.spoken().concat());
        let alias = self.resolve(action.parameters["LexV2Bot"]["AliasArn"].as_str().unwrap_or_default());
        let Some(alias) = alias else { return error("NoMatchingError") };
        let session_attributes = self.resolve_all(&action.parameters["LexSessionAttributes"]);
        self.call.conversations.push(Conversation { alias, session_attributes: session_attributes.clone() });
        let Some(answer) = self.script.bot.pop_front() else {
            let silence = "InputTimeLimitExceeded";
            return error(if action.on_error(silence).is_some() { silence } else { "NoMatchingError" });
        };
        self.lex = answer;
        for (name, value) in session_attributes {
            self.lex.session_attributes.entry(name).or_insert(value);
        }
        if action.conditions.is_empty() { Way::Next } else { Way::Result(self.lex.intent.clone()) }
    }

    fn set_voice(&mut self, voice: &str) -> Way {
        match self.resolve(voice).filter(|voice| !voice.is_empty()) {
            None => error("NoMatchingError"),
            Some(voice) => {
                self.contact().voice = voice;
                Way::Next
            }
        }
    }

    /// Sets properties of the contact: all of them, or none if one has no value.
    ///
    /// # Panics
    ///
    /// If a property is not one that the player knows.
    fn set_properties(&mut self, properties: &Value) -> Way {
        let properties = properties.as_object().into_iter().flatten();
        let resolved = properties.map(|(name, text)| Some((name, self.resolve(text.as_str()?)?)));
        let Some(resolved) = resolved.collect::<Option<Vec<_>>>() else { return error("NoMatchingError") };
        for (name, value) in resolved {
            let contact = self.contact();
            match name.as_str() {
                "LanguageCode" => contact.language = value,
                "CustomerId" => contact.customer_id = Some(value),
                "WisdomSessionArn" => contact.ai_session = Some(value),
                other => panic!("a contact has no {other} here"),
            }
        }
        Way::Next
    }

    /// The prompts of a queue, again and again, until the caller's patience ends or they are interrupted. Only calls
    /// have them.
    fn wait_in_queue(&mut self, action: &Action) -> Way {
        if !self.is_voice() {
            return error("NoMatchingError");
        }
        let seconds = action.parameters["InterruptFrequencySeconds"].as_str().and_then(|text| text.parse().ok());
        let interrupted = seconds.map(Duration::from_secs).filter(|after| *after <= self.script.patience);
        let mut left = interrupted.unwrap_or(self.script.patience);
        self.script.patience -= left;
        while !left.is_zero() {
            // Of a recorded prompt it is not known how long it is.
            if action.spoken().is_empty() {
                self.call.moments.push(Moment::Waits(std::mem::take(&mut left)));
            }
            for text in action.spoken() {
                self.hears(text);
                let spoken = A_WORD * words(text).split_whitespace().count() as u32;
                left = left.saturating_sub(spoken);
                let pause = Duration::from_secs(pauses(text)).min(left);
                self.call.moments.push(Moment::Waits(pause));
                left -= pause;
            }
        }
        match interrupted {
            None => Way::End(Ending::GoesOn),
            Some(_) => Way::Result("MessagesInterrupted".to_owned()),
        }
    }

    /// A chat waits until the customer writes, or until the time is over. A call can't.
    fn wait_for_the_customer(&mut self, seconds: &str) -> Way {
        if self.is_voice() {
            return error("NoMatchingError");
        }
        let limit = Duration::from_secs(seconds.parse().expect("seconds"));
        // In a queue the chat waits for an agent.
        if self.contact().queue.is_some() {
            if limit > self.script.patience {
                return Way::End(Ending::GoesOn);
            }
            self.script.patience -= limit;
        }
        let written = self.script.writes_after.take().filter(|after| *after < limit);
        self.call.moments.push(Moment::Waits(written.unwrap_or(limit)));
        Way::Result(if written.is_some() { "CustomerReturned" } else { "WaitCompleted" }.to_owned())
    }

    /// Has Contact Lens summarise the contact or leave it alone, if the block is for its channel.
    fn summarise(&mut self, parameters: &Value) -> Way {
        let is_for_calls = parameters.get("VoiceBehavior").is_some();
        if self.is_voice() != is_for_calls {
            return error("ChannelMismatch");
        }
        let recorded = parameters.pointer("/VoiceBehavior/VoiceRecordingBehavior/RecordedParticipants");
        let is_off = recorded.and_then(Value::as_array).is_some_and(Vec::is_empty);
        self.call.moments.push(if is_off { Moment::WillNotBeRecorded } else { Moment::WillBeSummarised });
        Way::Next
    }

    fn set_callback_number(&mut self, reference: &str) -> Way {
        match self.value_of(reference).filter(|number| number.starts_with('+')) {
            None => error("InvalidCallbackNumber"),
            number => {
                self.contact().callback_number = number;
                Way::Next
            }
        }
    }

    /// The event for a function.
    fn event(&mut self, parameters: &Value) -> Value {
        let parameters = json!(self.resolve_all(parameters));
        self.contact().event(&parameters)
    }

    /// A text with the values of its references. Returns `None` if one of them is not set.
    fn resolve(&self, text: &str) -> Option<String> {
        references(text)
            .into_iter()
            .try_fold(text.to_owned(), |text, reference| Some(text.replacen(reference, &self.value_of(reference)?, 1)))
    }

    fn value_of(&self, reference: &str) -> Option<String> {
        let contact = &self.call.contacts[self.contact];
        if let Some(name) = reference.strip_prefix("$.External.") {
            self.external.get(name).cloned()
        } else if let Some(name) = reference.strip_prefix("$.Attributes.") {
            contact.attributes.get(name).cloned()
        } else if let Some(name) = reference.strip_prefix("$.Lex.SessionAttributes.") {
            self.lex.session_attributes.get(name).cloned()
        } else if reference == "$.Wisdom.SessionArn" {
            self.session_arn.clone()
        } else if let Some(path) = reference.strip_prefix("$.Views.ViewResultData.") {
            let value = self.view_result.pointer(&format!("/{}", path.replace('.', "/")));
            value.and_then(Value::as_str).map(str::to_owned)
        } else {
            contact.system_attribute(reference)
        }
    }

    /// Texts with the values of their references. What is not set is empty.
    fn resolve_all(&self, texts: &Value) -> BTreeMap<String, String> {
        let resolved = |text: &str| {
            references(text).into_iter().fold(text.to_owned(), |text, reference| {
                text.replacen(reference, &self.value_of(reference).unwrap_or_default(), 1)
            })
        };
        let texts = texts.as_object().into_iter().flatten();
        texts.map(|(name, text)| (name.clone(), resolved(text.as_str().unwrap_or_default()))).collect()
    }

    /// The data of a view, with the values of its references.
    ///
    /// # Panics
    ///
    /// If one of them is not set or empty: the agent would see the reference or a gap.
    fn resolve_values(&self, block: &str, value: &Value) -> Value {
        match value {
            Value::String(text) => {
                let empty = |reference: &&str| self.value_of(reference).unwrap_or_default().trim().is_empty();
                let unset = references(text).into_iter().find(empty);
                assert!(unset.is_none(), "{block:?} shows {text:?}, and {unset:?} is not set");
                self.resolve(text).into()
            }
            Value::Array(items) => items.iter().map(|item| self.resolve_values(block, item)).collect(),
            Value::Object(entries) => {
                let entries = entries.iter().map(|(name, value)| (name.clone(), self.resolve_values(block, value)));
                Value::Object(entries.collect::<Map<_, _>>())
            }
            other => other.clone(),
        }
    }
}

fn error(error_type: &str) -> Way {
    Way::Error(error_type.to_owned())
}

fn is_met(condition: &Condition, value: &str) -> bool {
    let operand = condition.operand.as_str();
    let numbers = || Some((value.parse::<f64>().ok()?, operand.parse::<f64>().ok()?));
    match condition.operator.as_str() {
        "Equals" => value == operand,
        "TextStartsWith" => value.starts_with(operand),
        "TextEndsWith" => value.ends_with(operand),
        "TextContains" => value.contains(operand),
        "NumberGreaterThan" => numbers().is_some_and(|(value, operand)| value > operand),
        "NumberGreaterOrEqualTo" => numbers().is_some_and(|(value, operand)| value >= operand),
        "NumberLessThan" => numbers().is_some_and(|(value, operand)| value < operand),
        _ => numbers().is_some_and(|(value, operand)| value <= operand),
    }
}

/// The last part of an ARN. In these flows it is a name.
pub(super) fn last_part(arn: &str) -> &str {
    arn.rsplit(['/', ':']).next().unwrap_or_default()
}
