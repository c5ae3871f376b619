//! Finds mistakes that Connect accepts and that break what our flows promise: a misspelt name, which reads as empty; a
//! block that nobody reaches; and what a caller must never experience.

use std::collections::{BTreeMap, BTreeSet};

use super::attributes::{
    BROUGHT_ALONG, FOR_AGENTS_EYES, FOR_OTHER_FLOWS, Kind, PARAMETERS, READ_FROM_CONTACTS, Surroundings, answers_of,
    placeholder,
};
use super::check::fields;
use super::language::FlowType;
use super::{Action, Condition, Fault, Flow, longest_pause, references, strings};

/// The flow that is made for each event.
const HOOKS: [(&str, &str); 5] = [
    ("CustomerQueue", "queue"),
    ("CustomerRemaining", "disconnect"),
    ("AgentWhisper", "agent-whisper"),
    ("DefaultAgentUI", "agent-guide"),
    ("DisconnectAgentUI", "wrap-up"),
];

/// The longest break in SSML, in seconds ([breaks](https://docs.aws.amazon.com/polly/latest/dg/break-tag.html)).
const MAX_BREAK: u64 = 10;

/// Checks flows, each by itself and all of them together.
pub(super) fn check(flows: &[&Flow], surroundings: &Surroundings, faults: &mut Vec<Fault>) {
    for flow in flows {
        let mut check = Check { flow, flows, surroundings, faults };
        check.every_block_can_be_reached();
        check.loops_take_time();
        check.lambda_answers();
        check.form_fields();
        check.hooks();
        check.callbacks();
        check.ssml();
        check.views_show_what_is_set();
        check.recordings();
        check.what_callers_meet();
    }
    attributes_that_go_nowhere(flows, surroundings, faults);
    flows_that_name_each_other(flows, faults);
}

struct Check<'a> {
    flow: &'a Flow,
    flows: &'a [&'a Flow],
    surroundings: &'a Surroundings,
    faults: &'a mut Vec<Fault>,
}

impl<'a> Check<'a> {
    fn fault(&mut self, block: &str, what: impl Into<String>) {
        self.faults.push(Fault { flow: self.flow.name.clone(), block: Some(block.to_owned()), what: what.into() });
    }

    fn every_block_can_be_reached(&mut self) {
        let reached = self.reached_without(|_, _| false);
        for action in &self.flow.actions {
            if !reached.contains(action.identifier.as_str()) {
                self.fault(&action.identifier, "can't be reached");
            }
        }
    }

    /// A loop takes time, whatever fails in it. Else the flow spins, and its caller hears nothing.
    fn loops_take_time(&mut self) {
        let flow = self.flow;
        for action in &flow.actions {
            let mut reached = BTreeSet::new();
            let mut open: Vec<_> = action.targets_at_once().collect();
            while let Some(identifier) = open.pop() {
                let Some(next) = flow.action(identifier).filter(|_| reached.insert(identifier)) else { continue };
                open.extend(next.targets_at_once());
            }
            if reached.contains(action.identifier.as_str()) {
                self.fault(&action.identifier, "is in a loop that takes no time if its blocks fail");
            }
        }
    }

    /// The blocks that can be reached from the start without a branch for which `closed` is true.
    fn reached_without(&self, closed: impl Fn(&Action, &str) -> bool) -> BTreeSet<&'a str> {
        let flow = self.flow;
        let mut reached = BTreeSet::new();
        let mut open = vec![flow.start.as_str()];
        while let Some(identifier) = open.pop() {
            let Some(action) = flow.action(identifier) else { continue };
            if reached.insert(action.identifier.as_str()) {
                open.extend(action.targets().filter(|target| !closed(action, target)));
            }
        }
        reached
    }

    /// Every attribute that a block reads from `$.External` is in the answer of the function that was invoked last. What
    /// a module was answered can't be seen outside of it.
    fn lambda_answers(&mut self) {
        let flow = self.flow;
        let mut last_invoked: BTreeMap<&str, BTreeSet<Option<&str>>> = BTreeMap::new();
        let mut open = vec![(flow.start.as_str(), None)];
        while let Some((identifier, last)) = open.pop() {
            let Some(action) = flow.action(identifier) else { continue };
            if last_invoked.entry(action.identifier.as_str()).or_default().insert(last) {
                let invoked = action.parameters["LambdaFunctionARN"].as_str();
                open.extend(action.targets().map(|target| (target, invoked.or(last))));
            }
        }
        for action in &flow.actions {
            let invoked: Vec<_> =
                last_invoked.get(action.identifier.as_str()).into_iter().flatten().flatten().collect();
            for reference in strings(&action.parameters).into_iter().flat_map(references) {
                let Some(name) = reference.strip_prefix("$.External.") else { continue };
                if !invoked.iter().any(|function| self.surroundings.answers(function, name)) {
                    let what =
                        format!("reads {reference}, which is not in the answer of the function invoked before it");
                    self.fault(&action.identifier, what);
                }
            }
        }
        for action in &flow.actions {
            let block = action.identifier.as_str();
            let Some(function) = action.parameters["LambdaFunctionARN"].as_str() else { continue };
            if !self.surroundings.knows(function) {
                self.fault(block, format!("invokes {function}, which is not one of our functions"));
            }
            let is_ours = answers_of(function).is_some();
            for name in
                action.parameters["LambdaInvocationAttributes"].as_object().into_iter().flat_map(|names| names.keys())
            {
                if is_ours && !PARAMETERS.contains(&name.as_str()) && !name.starts_with("var_") {
                    self.fault(block, format!("passes {name}, which the function does not look for"));
                }
            }
        }
    }

    /// Every form field that a block reads is in each form of this flow: any of them may have been shown.
    fn form_fields(&mut self) {
        let forms: Vec<Vec<&str>> = self.flow.actions.iter().map(fields).filter(|form| !form.is_empty()).collect();
        for action in &self.flow.actions {
            for reference in strings(&action.parameters).into_iter().flat_map(references) {
                let field = reference.strip_prefix("$.Views.ViewResultData.FormData.");
                let is_asked =
                    field.is_some_and(|field| !forms.is_empty() && forms.iter().all(|form| form.contains(&field)));
                if reference.starts_with("$.Views.ViewResultData.") && !is_asked {
                    let what = format!("reads {reference}, which a form of this flow does not ask for");
                    self.fault(&action.identifier, what);
                }
            }
        }
    }

    /// Each event runs the flow that is made for it.
    fn hooks(&mut self) {
        let flow = self.flow;
        for action in &flow.actions {
            for (event, hooked) in action.parameters["EventHooks"].as_object().into_iter().flatten() {
                let made_for_it = HOOKS.iter().find(|(known, _)| known == event).map(|(_, file)| *file);
                if let Some(Kind::Flow(Some(file))) = hooked.as_str().and_then(placeholder)
                    && Some(file) != made_for_it
                {
                    self.fault(&action.identifier, format!("runs flows/{file}.json at {event}"));
                }
            }
        }
    }

    /// AWS documents a callback's priority for what its creation flow sets.
    fn callbacks(&mut self) {
        let flow = self.flow;
        for action in flow.actions.iter().filter(|action| action.action_type == "CreateCallbackContact") {
            if action.parameters["ContactFlowId"].is_null() {
                self.fault(&action.identifier, "creates a callback without a creation flow");
            }
        }
    }

    /// A text that is not SSML makes the block fail.
    fn ssml(&mut self) {
        let flow = self.flow;
        for action in &flow.actions {
            let messages = action.parameters["Messages"].as_array().into_iter().flatten().chain([&action.parameters]);
            for text in messages.filter_map(|message| message["SSML"].as_str()) {
                let is_whole = text.starts_with("<speak>") && text.ends_with("</speak>");
                let tags = text.matches('<').count();
                let closed = text.matches("/>").count() + 2 * text.matches("</").count();
                if !is_whole || tags != closed || text.matches('>').count() != tags {
                    self.fault(&action.identifier, "has SSML with a tag that does not end");
                }
                if longest_pause(text) > MAX_BREAK {
                    self.fault(&action.identifier, format!("has a break of more than {MAX_BREAK} s"));
                }
            }
        }
    }

    /// A view shows an attribute only after a block has asked whether it or `customer_context` is set: the identify module
    /// sets both or neither.
    fn views_show_what_is_set(&mut self) {
        let flow = self.flow;
        let reached_without_asking_for = |name: &str| {
            let reference = format!("$.Attributes.{name}");
            self.reached_without(|action, target| {
                action.parameters["ComparisonValue"] == reference.as_str() && leads_only_by(action, target, |_| true)
            })
        };
        let without_context = reached_without_asking_for("customer_context");
        let mut unsure = Vec::new();
        for action in flow.actions.iter().filter(|action| action.action_type == "ShowView") {
            let block = action.identifier.as_str();
            for reference in strings(&action.parameters).into_iter().flat_map(references) {
                let Some(name) = reference.strip_prefix("$.Attributes.") else { continue };
                if without_context.contains(block) && reached_without_asking_for(name).contains(block) {
                    unsure.push((block, reference));
                }
            }
        }
        for (block, reference) in unsure {
            self.fault(block, format!("shows {reference} and does not know whether it is set"));
        }
    }

    /// A call is recorded only after its caller has pressed 1, now or before.
    fn recordings(&mut self) {
        let flow = self.flow;
        let without_consent = self.reached_without(|action, target| {
            let agrees = |value| leads_only_by(action, target, |branch| is_equal(branch, value));
            (action.action_type == "GetParticipantInput" && agrees("1"))
                || (action.parameters["ComparisonValue"] == "$.Attributes.contact_lens_consent" && agrees("yes"))
        });
        for action in &flow.actions {
            let records = !action.parameters["VoiceBehavior"]["VoiceAnalyticsBehavior"].is_null();
            if records && without_consent.contains(action.identifier.as_str()) {
                self.fault(&action.identifier, "can record a call whose caller did not agree");
            }
        }
    }

    /// What a caller must never experience: silence during a lookup, a call that ends without a word, and a text that
    /// is not for callers.
    fn what_callers_meet(&mut self) {
        let flow = self.flow;
        if self.is_a_creation_flow() {
            return self.creation_flow();
        }
        if flow.flow_type == FlowType::AgentWhisper {
            return self.whisper();
        }
        if flow.actions.iter().any(|action| action.action_type == "ShowView") {
            // An agent's guide. No caller hears it.
            return;
        }
        self.silence_during_a_lookup();
        self.last_words();
        self.what_is_spoken();
    }

    /// Whether a callback is created with this flow.
    fn is_a_creation_flow(&self) -> bool {
        let blocks = self.flows.iter().flat_map(|flow| flow.actions.iter());
        let mut created = blocks.filter(|action| action.action_type == "CreateCallbackContact");
        created.any(|action| {
            let flow = action.parameters["ContactFlowId"].as_str().and_then(placeholder);
            matches!(flow, Some(Kind::Flow(Some(file))) if file == self.flow.name)
        })
    }

    /// Nobody is on the line when a callback is created.
    fn creation_flow(&mut self) {
        let flow = self.flow;
        for action in flow.actions.iter().filter(|action| action.is_heard()) {
            self.fault(&action.identifier, "speaks in a callback's creation flow, where nobody is on the line");
        }
        if !flow.actions.iter().any(|action| action.action_type == "TransferContactToQueue") {
            self.fault(&flow.start, "begins a callback's creation flow that does not queue the callback");
        }
    }

    /// An agent's whisper names no customer and tells no story: who sits beside the agent may hear it.
    fn whisper(&mut self) {
        let flow = self.flow;
        for action in &flow.actions {
            for reference in action.spoken().into_iter().flat_map(references) {
                if !reference.starts_with("$.Queue.") {
                    self.fault(&action.identifier, format!("whispers {reference}"));
                }
            }
        }
    }

    fn silence_during_a_lookup(&mut self) {
        let flow = self.flow;
        if flow.flow_type == FlowType::Module {
            return;
        }
        let in_silence = self.reached_without(|action, _| action.is_heard());
        for action in &flow.actions {
            let module = action.parameters["FlowModuleId"].as_str().and_then(placeholder);
            let is_lookup = action.parameters["LambdaFunctionARN"] == "${IdentifyFunctionArn}"
                || matches!(module, Some(Kind::Module(Some(file))) if file.starts_with("identify"));
            if is_lookup && in_silence.contains(action.identifier.as_str()) {
                let what = "can be reached before the caller has heard anything, so the caller waits in silence";
                self.fault(&action.identifier, what);
            }
        }
    }

    /// A call ends after a message, not after a question or a wait.
    fn last_words(&mut self) {
        let flow = self.flow;
        // Whether a message was the last thing on the way to a block, for each way.
        let mut before: BTreeMap<&str, BTreeSet<bool>> = BTreeMap::new();
        let mut open = vec![(flow.start.as_str(), false)];
        while let Some((identifier, was_told)) = open.pop() {
            let Some(action) = flow.action(identifier) else { continue };
            if before.entry(action.identifier.as_str()).or_default().insert(was_told) {
                let is_told = match action.action_type.as_str() {
                    "MessageParticipant" => true,
                    "GetParticipantInput"
                    | "Wait"
                    | "MessageParticipantIteratively"
                    | "ConnectParticipantWithLexBot" => false,
                    _ => was_told,
                };
                open.extend(action.targets().map(|target| (target, is_told)));
            }
        }
        for action in flow.actions.iter().filter(|action| action.action_type == "DisconnectParticipant") {
            if before.get(action.identifier.as_str()).is_some_and(|told| told.contains(&false)) {
                self.fault(&action.identifier, "can end the call without a word");
            }
        }
    }

    /// No prompt speaks the confidence or what is for agents. Only confirmed callers hear something personal. A bot may
    /// say what it is given, so the same holds for that.
    fn what_is_spoken(&mut self) {
        let flow = self.flow;
        let reached_without_value = |name: &str, value: &str| {
            let compared = [format!("$.Attributes.{name}"), format!("$.External.{name}")];
            self.reached_without(|action, target| {
                compared.iter().any(|compared| action.parameters["ComparisonValue"] == compared.as_str())
                    && leads_only_by(action, target, |branch| is_equal(branch, value))
            })
        };
        let unconfirmed = reached_without_value("lookup_status", "matched");
        let by_anybody = reached_without_value("last_issue_source", "call_summary");
        for action in &flow.actions {
            let spoken = [("", action.spoken()), (", through a bot", action.given_to_a_bot())];
            let spoken = spoken.iter().flat_map(|(how, texts)| texts.iter().map(move |text| (how, text)));
            for (how, reference) in spoken.flat_map(|(how, text)| references(text).into_iter().map(move |it| (how, it)))
            {
                let name = reference.rsplit('.').next().unwrap_or_default();
                let what = if name.contains("confidence") {
                    "speaks the confidence"
                } else if FOR_AGENTS_EYES.contains(&name) {
                    "speaks what is for agents alone"
                } else if unconfirmed.contains(action.identifier.as_str()) {
                    "speaks something personal to a caller who may be unconfirmed"
                } else if name == "last_issue" && by_anybody.contains(action.identifier.as_str()) {
                    "may speak an agent's notes"
                } else {
                    continue;
                };
                self.fault(&action.identifier, format!("{what}{how}: {reference}"));
            }
        }
    }
}

/// Whether a block leads to this target by conditions alone, and each of them is one of these.
fn leads_only_by(action: &Action, target: &str, is_one: impl Fn(&Condition) -> bool) -> bool {
    action.conditions.iter().filter(|branch| branch.next == target).all(is_one)
        && action.next.as_deref() != Some(target)
        && action.errors.iter().all(|branch| branch.next != target)
}

fn is_equal(branch: &Condition, value: &str) -> bool {
    branch.operator == "Equals" && branch.operand == value
}

/// A flow that names another stands after it in the template, so two can't name each other, nor one itself.
fn flows_that_name_each_other(flows: &[&Flow], faults: &mut Vec<Fault>) {
    let named = |action: &Action| {
        let texts = strings(&action.parameters).into_iter();
        texts
            .filter_map(|text| match placeholder(text) {
                Some(Kind::Flow(Some(file)) | Kind::Module(Some(file))) => Some(file),
                _ => None,
            })
            .collect::<Vec<_>>()
    };
    for flow in flows {
        for action in &flow.actions {
            let mut open = named(action);
            let mut seen = BTreeSet::new();
            while let Some(file) = open.pop() {
                if file == flow.name {
                    faults.push(Fault {
                        flow: flow.name.clone(),
                        block: Some(action.identifier.clone()),
                        what: "names a flow that needs this one first".to_owned(),
                    });
                }
                if seen.insert(file) {
                    let others = flows.iter().filter(|other| other.name == file);
                    open.extend(others.flat_map(|other| other.actions.iter()).flat_map(named));
                }
            }
        }
    }
}

/// Attributes that are read but never set, or set but never read: probably a name is misspelt.
fn attributes_that_go_nowhere(flows: &[&Flow], surroundings: &Surroundings, faults: &mut Vec<Fault>) {
    let mut set: BTreeMap<&str, (&Flow, &Action)> = BTreeMap::new();
    let mut read: BTreeMap<&str, (&Flow, &Action)> = BTreeMap::new();
    for &flow in flows {
        for action in &flow.actions {
            let names = action.parameters["Attributes"].as_object().into_iter().flat_map(|names| names.keys());
            set.extend(names.map(|name| (name.as_str(), (flow, action))));
            let references = strings(&action.parameters).into_iter().flat_map(references);
            let names = references.filter_map(|reference| reference.strip_prefix("$.Attributes."));
            read.extend(names.map(|name| (name, (flow, action))));
        }
    }
    let fault = |(flow, action): &(&Flow, &Action), what: String| Fault {
        flow: flow.name.clone(),
        block: Some(action.identifier.clone()),
        what,
    };
    for (name, place) in &read {
        if !set.contains_key(name) && !BROUGHT_ALONG.contains(name) {
            faults.push(fault(place, format!("reads $.Attributes.{name}, which nothing sets")));
        }
    }
    for (name, place) in &set {
        let is_used = read.contains_key(name)
            || READ_FROM_CONTACTS.contains(name)
            || FOR_OTHER_FLOWS.contains(name)
            || surroundings.answers("${IdentifyFunctionArn}", name);
        if !is_used {
            faults.push(fault(place, format!("sets the attribute {name}, which nothing reads")));
        }
    }
}
