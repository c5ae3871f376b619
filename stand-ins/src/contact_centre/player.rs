//! Plays one flow, block by block, as Amazon Connect does.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use super::contact::{Channel, Contact};
use super::{Call, Callback, ContactCentre, Moment};
use crate::flows::language::{MAX_ANSWER_BYTES, MAX_ATTRIBUTE_BYTES};
use crate::flows::{Action, Condition, references};
use crate::runtime_api::Outcome;

/// The most blocks in one run. A run with more is an endless loop.
const MOST_STEPS: usize = 500;

/// What the caller or the agent does in a flow.
#[derive(Clone, Debug, Default)]
pub(super) struct Script {
    /// The keys that a caller presses, one for each question. `None` means no answer. After the last key the caller
    /// does not answer.
    pub keys: VecDeque<Option<char>>,
    /// How long a caller waits in a queue.
    pub patience: Duration,
    /// What an agent does with a view.
    pub agent: Response,
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
    /// The caller is in a queue.
    InQueue,
    /// The caller or the agent was disconnected.
    Disconnected,
    /// The flow has ended and the caller goes on waiting.
    GoesOnWaiting,
}

/// The branch that a block takes.
enum Way {
    /// The branch for success.
    Next,
    /// The branch for this result, else the one for no matching condition.
    Result(String),
    /// The branch for this error.
    Error(String),
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
}

impl ContactCentre {
    /// Plays the flow of this name for a contact of a call.
    pub(super) async fn play(&mut self, name: &str, call: &mut Call, contact: usize, script: Script) -> Ending {
        let flow = self.flows.get(name).unwrap_or_else(|| panic!("no flow {name}")).clone();
        let mut run = Run { call, contact, script, external: BTreeMap::new(), view_result: Value::Null };
        let mut identifier = flow.start.clone();
        for _ in 0..MOST_STEPS {
            let action = flow.action(&identifier).unwrap_or_else(|| panic!("{name}: no block {identifier:?}"));
            let broken = self.broken.as_ref().filter(|broken| broken.flow == name && broken.block == identifier);
            let way = match broken {
                Some(broken) => error(&broken.error_type),
                None => self.step(action, &mut run).await,
            };
            let next = match way {
                Way::End(ending) => return ending,
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
    }

    /// Runs one block.
    async fn step(&mut self, action: &Action, run: &mut Run<'_>) -> Way {
        let parameters = &action.parameters;
        let text = |name: &str| parameters[name].as_str().unwrap_or_default();
        match action.action_type.as_str() {
            "UpdateFlowLoggingBehavior" | "UpdateContactTextToSpeechVoice" => Way::Next,
            "MessageParticipant" => {
                run.hears(text("Text"));
                Way::Next
            }
            "MessageParticipantIteratively" => run.wait_in_queue(action),
            "GetParticipantInput" => run.ask(text("Text")),
            "Compare" => Way::Result(run.resolve(text("ComparisonValue"))),
            "UpdateContactAttributes" => Self::update_attributes(text("TargetContact"), &parameters["Attributes"], run),
            "UpdateContactEventHooks" => {
                for (event, flow) in parameters["EventHooks"].as_object().into_iter().flatten() {
                    let flow = last_part(flow.as_str().unwrap_or_default()).to_owned();
                    run.contact().hooks.insert(event.clone(), flow);
                }
                Way::Next
            }
            "UpdateContactTargetQueue" => {
                run.contact().target_queue = Some(last_part(text("QueueId")).to_owned());
                Way::Next
            }
            "UpdateContactRoutingBehavior" => {
                run.contact().priority = text("QueuePriority").parse().expect("a priority");
                Way::Next
            }
            "TransferContactToQueue" => self.transfer_to_queue(run),
            "UpdateContactCallbackNumber" => run.set_callback_number(text("CallbackNumber")),
            "CreateCallbackContact" => {
                let after_seconds = text("InitialCallDelaySeconds").parse().expect("seconds");
                self.create_callback(after_seconds, run)
            }
            "InvokeLambdaFunction" => self.invoke_function(parameters, run).await,
            "ShowView" => self.show_view(action, run).await,
            "DisconnectParticipant" => Way::End(Ending::Disconnected),
            "EndFlowExecution" => Way::End(Ending::GoesOnWaiting),
            other => panic!("{:?} is of the unknown type {other}", action.identifier),
        }
    }

    /// Sets attributes on a contact and on all contacts that share them. If one can't be set, none is.
    fn update_attributes(target: &str, attributes: &Value, run: &mut Run<'_>) -> Way {
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

    fn transfer_to_queue(&self, run: &mut Run<'_>) -> Way {
        let Some(queue) = run.contact().target_queue.clone() else { return error("NoMatchingError") };
        if self.full_queues.contains(&queue) {
            return error("QueueAtCapacity");
        }
        let priority = run.contact().priority;
        run.call.moments.push(Moment::IsQueued { queue, priority });
        Way::End(Ending::InQueue)
    }

    fn create_callback(&mut self, after_seconds: u64, run: &mut Run<'_>) -> Way {
        let id = self.next_contact_id();
        let from = run.contact();
        let (Some(queue), Some(number)) = (from.target_queue.clone(), from.callback_number.clone()) else {
            return error("NoMatchingError");
        };
        let callback = from.follower(id, "CALLBACK");
        let promised = Callback { queue, number, after_seconds, priority: callback.priority };
        run.call.contacts.push(callback);
        run.call.moments.push(Moment::IsPromisedACallback(promised));
        Way::Next
    }

    /// Invokes a function. An answer that is too late, too long or not a flat object of texts is an error.
    async fn invoke_function(&mut self, parameters: &Value, run: &mut Run<'_>) -> Way {
        let text = |name: &str| parameters[name].as_str().unwrap_or_default();
        let limit = text("InvocationTimeLimitSeconds").parse().map(Duration::from_secs).expect("seconds");
        let event = run.event(&parameters["LambdaInvocationAttributes"]);
        let began = Instant::now();
        let function = match last_part(text("LambdaFunctionARN")) {
            "identify" => &mut self.identify,
            _ => &mut self.save,
        };
        let outcome = match self.functions_fail {
            true => Outcome::Error(Vec::new()),
            false => function.outcome(event.to_string(), limit).await,
        };
        run.call.moments.push(Moment::WaitsInSilence(began.elapsed()));
        let answer = match outcome {
            Outcome::Answer(body) if body.len() < MAX_ANSWER_BYTES => serde_json::from_slice(&body).ok(),
            _ => None,
        };
        run.external = answer.clone().unwrap_or_default();
        if answer.is_some() { Way::Next } else { error("NoMatchingError") }
    }

    async fn show_view(&mut self, action: &Action, run: &mut Run<'_>) -> Way {
        let view = run.resolve_values(&action.parameters["ViewData"]);
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

    /// A message to the caller, or in a guide to the agent.
    fn hears(&mut self, text: &str) {
        let text = self.resolve(text);
        let is_guide = self.contact().related_id.is_some();
        self.call.moments.push(if is_guide { Moment::AgentReads(text) } else { Moment::Hears(text) });
    }

    /// Asks for a key. Without a Lex bot only calls can do that.
    fn ask(&mut self, question: &str) -> Way {
        if !self.is_voice() {
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

    /// The prompts of a queue, until the caller's patience ends or they are interrupted. Only calls have them.
    fn wait_in_queue(&mut self, action: &Action) -> Way {
        if !self.is_voice() {
            return error("NoMatchingError");
        }
        for text in action.spoken() {
            self.hears(text);
        }
        let seconds = action.parameters["InterruptFrequencySeconds"].as_str().and_then(|text| text.parse().ok());
        match seconds.map(Duration::from_secs).filter(|after| *after <= self.script.patience) {
            None => Way::End(Ending::GoesOnWaiting),
            Some(after) => {
                self.script.patience -= after;
                self.call.moments.push(Moment::Waits(after));
                Way::Result("MessagesInterrupted".to_owned())
            }
        }
    }

    fn set_callback_number(&mut self, reference: &str) -> Way {
        let number = self.resolve(reference);
        if !number.starts_with('+') {
            return error("InvalidCallbackNumber");
        }
        self.contact().callback_number = Some(number);
        Way::Next
    }

    /// The event for a function.
    fn event(&mut self, parameters: &Value) -> Value {
        let parameters = json!(self.resolve_all(parameters));
        self.contact().event(&parameters)
    }

    /// A text with the values of its references. A missing value is empty.
    fn resolve(&self, text: &str) -> String {
        references(text).into_iter().fold(text.to_owned(), |text, reference| {
            text.replacen(reference, &self.value_of(reference).unwrap_or_default(), 1)
        })
    }

    fn value_of(&self, reference: &str) -> Option<String> {
        let contact = &self.call.contacts[self.contact];
        if let Some(name) = reference.strip_prefix("$.External.") {
            self.external.get(name).cloned()
        } else if let Some(name) = reference.strip_prefix("$.Attributes.") {
            contact.attributes.get(name).cloned()
        } else if let Some(path) = reference.strip_prefix("$.Views.ViewResultData.") {
            let value = self.view_result.pointer(&format!("/{}", path.replace('.', "/")));
            value.and_then(Value::as_str).map(str::to_owned)
        } else if reference == "$.CustomerEndpoint.Address" {
            contact.number.clone()
        } else {
            None
        }
    }

    fn resolve_all(&self, texts: &Value) -> BTreeMap<String, String> {
        let texts = texts.as_object().into_iter().flatten();
        texts.map(|(name, text)| (name.clone(), self.resolve(text.as_str().unwrap_or_default()))).collect()
    }

    fn resolve_values(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => self.resolve(text).into(),
            Value::Array(items) => items.iter().map(|item| self.resolve_values(item)).collect(),
            Value::Object(entries) => {
                let entries = entries.iter().map(|(name, value)| (name.clone(), self.resolve_values(value)));
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
fn last_part(arn: &str) -> &str {
    arn.rsplit(['/', ':']).next().unwrap_or_default()
}
