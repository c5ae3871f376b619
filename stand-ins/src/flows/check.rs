//! Finds the faults of a set of flows: what is neither documented nor seen in flows that Connect has taken, so that it
//! would probably refuse them. Each fault names the file and the block.
//!
//! [`super::promises`] finds mistakes that Connect would accept.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::attributes::{Kind, NAMESPACES, SYSTEM, Surroundings, kind_of, placeholder};
use super::language::{self, ActionType, FlowType, Results};
use super::{Action, Fault, Flow, promises, references, strings};

/// Reads flows and checks them, each by itself and all of them together.
pub fn check(texts: &BTreeMap<String, String>) -> Vec<Fault> {
    check_in(texts, &Surroundings::default())
}

/// The same in other surroundings than the stack's defaults.
pub fn check_in(texts: &BTreeMap<String, String>, surroundings: &Surroundings) -> Vec<Fault> {
    let mut unread = Vec::new();
    let mut flows = Vec::new();
    for (name, text) in texts {
        match Flow::parse(name, text) {
            Ok(flow) => flows.push(flow),
            Err(fault) => unread.push(fault),
        }
    }
    // A file that can't be read may hold what the others need.
    if unread.is_empty() { faults_in(&flows.iter().collect::<Vec<_>>(), surroundings) } else { unread }
}

/// The faults of these flows, which are all that there are.
pub fn faults(flows: &[&Flow]) -> Vec<Fault> {
    faults_in(flows, &Surroundings::default())
}

fn faults_in(flows: &[&Flow], surroundings: &Surroundings) -> Vec<Fault> {
    let mut faults = Vec::new();
    for flow in flows {
        let mut check = Check { flow, flows, faults: &mut faults };
        check.envelope();
        check.metadata();
        for action in &flow.actions {
            check.action(action);
        }
    }
    promises::check(flows, surroundings, &mut faults);
    faults.sort();
    faults.dedup();
    faults
}

struct Check<'a> {
    flow: &'a Flow,
    flows: &'a [&'a Flow],
    faults: &'a mut Vec<Fault>,
}

impl Check<'_> {
    fn fault(&mut self, block: Option<&str>, what: impl Into<String>) {
        let block = block.map(str::to_owned);
        self.faults.push(Fault { flow: self.flow.name.clone(), block, what: what.into() });
    }

    fn envelope(&mut self) {
        let flow = self.flow;
        if flow.json["Version"] != "2019-10-30" {
            self.fault(None, "has a version that Connect does not know");
        }
        self.keys(None, &flow.json, &["Version", "StartAction", "Metadata", "Actions", "Settings"]);
        if flow.actions.len() > language::MAX_ACTIONS {
            self.fault(None, format!("has more than {} blocks", language::MAX_ACTIONS));
        }
        if flow.size > language::MAX_CONTENT {
            self.fault(None, format!("has more than {} characters", language::MAX_CONTENT));
        }
        if flow.action(&flow.start).is_none() {
            self.fault(None, format!("starts with \"{}\", which is not one of its blocks", flow.start));
        }
        // `CreateContactFlow` refuses an empty text anywhere.
        if ["Metadata", "Settings"].iter().any(|part| strings(&flow.json[part]).contains(&"")) {
            self.fault(None, "holds an empty text");
        }
        let mut seen = BTreeSet::new();
        for identifier in flow.actions.iter().map(|action| action.identifier.as_str()) {
            if !seen.insert(identifier) {
                self.fault(Some(identifier), "is there twice");
            }
            if identifier.is_empty() || identifier.chars().count() > language::MAX_IDENTIFIER {
                self.fault(
                    Some(identifier),
                    format!("has no identifier of 1 to {} characters", language::MAX_IDENTIFIER),
                );
            }
            let forbidden = identifier.contains(|c| language::FORBIDDEN_IN_IDENTIFIERS.contains(c));
            if forbidden || language::FORBIDDEN_IDENTIFIERS.contains(&identifier) {
                self.fault(Some(identifier), "has an identifier that Connect does not take");
            }
        }
    }

    /// The console imports a flow only if each block has a position.
    fn metadata(&mut self) {
        let flow = self.flow;
        let metadata = &flow.json["Metadata"];
        let is_place = |place: &Value| place["x"].is_number() && place["y"].is_number();
        for key in ["name", "status", "hash"].into_iter().filter(|key| metadata[key].is_null()) {
            self.fault(None, format!("has no {key} in its Metadata"));
        }
        if flow.flow_type == FlowType::Module && !metadata["type"].is_null() {
            self.fault(None, "has the Settings of a module and the type of a flow");
        }
        if !is_place(&metadata["entryPointPosition"]) {
            self.fault(None, "has no entryPointPosition in its Metadata");
        }
        for action in &flow.actions {
            if !is_place(&metadata["ActionMetadata"][&action.identifier]["position"]) {
                self.fault(Some(&action.identifier), "has no position in the Metadata");
            }
        }
        for block in metadata["ActionMetadata"].as_object().into_iter().flat_map(|blocks| blocks.keys()) {
            if flow.action(block).is_none() {
                self.fault(Some(block), "is only in the Metadata");
            }
        }
    }

    /// A part of a flow has no keys but these.
    fn keys(&mut self, block: Option<&str>, part: &Value, known: &[&str]) {
        for key in part.as_object().into_iter().flat_map(|part| part.keys()) {
            if !known.contains(&key.as_str()) {
                self.fault(block, format!("has the unknown key {key}"));
            }
        }
    }

    fn action(&mut self, action: &Action) {
        let block = Some(action.identifier.as_str());
        self.keys(block, &action.json, &["Identifier", "Type", "Parameters", "Transitions"]);
        let transitions = &action.json["Transitions"];
        self.keys(block, transitions, &["NextAction", "Conditions", "Errors"]);
        for branch in transitions["Errors"].as_array().into_iter().flatten() {
            self.keys(block, branch, &["NextAction", "ErrorType"]);
        }
        for branch in transitions["Conditions"].as_array().into_iter().flatten() {
            self.keys(block, branch, &["NextAction", "Condition"]);
            self.keys(block, &branch["Condition"], &["Operator", "Operands"]);
        }
        if strings(&action.json).contains(&"") {
            self.fault(block, "holds an empty text");
        }
        let Some(action_type) = language::action_type(&action.action_type) else {
            return self.fault(block, format!("is of the unknown type {}", action.action_type));
        };
        if !action_type.flow_types.contains(&self.flow.flow_type) {
            self.fault(block, format!("is a {}, which this kind of flow can't have", action_type.name));
        }
        self.parameters(action, action_type);
        self.branches(action, action_type);
        for text in strings(&action.parameters) {
            for reference in references(text) {
                self.reference(action, text, reference);
            }
            self.dollars(action, text);
        }
        for operand in action.conditions.iter().map(|branch| branch.operand.as_str()) {
            self.dollars(action, operand);
            if !references(operand).is_empty() {
                self.fault(block, format!("compares with the reference {operand}, but only texts are possible"));
            }
        }
        match action_type.name {
            "UpdateContactEventHooks" => self.hook(action),
            "TransferToFlow" | "CreateCallbackContact" => self.leads_to_a_contact_flow(action),
            "GetParticipantInput" => self.input(action),
            "ShowView" => self.view(action),
            "UpdateContactRecordingAndAnalyticsBehavior" => self.recording(action),
            _ => {}
        }
    }

    fn parameters(&mut self, action: &Action, action_type: &ActionType) {
        let block = Some(action.identifier.as_str());
        let given = action.parameters.as_object().into_iter().flatten();
        for (name, value) in given {
            match action_type.parameters.iter().find(|parameter| parameter.name == name) {
                None => self.fault(block, format!("has the unknown parameter {name}")),
                Some(parameter) if !parameter.shape.takes(value) => {
                    let what = format!("has the parameter {name} wrong: {value} is not {}", parameter.shape);
                    self.fault(block, what);
                }
                Some(_) => {}
            }
        }
        let is_given = |name: &str| action.parameters.get(name).is_some();
        for parameter in action_type.parameters.iter().filter(|parameter| parameter.is_required) {
            if !is_given(parameter.name) {
                self.fault(block, format!("lacks the parameter {}", parameter.name));
            }
        }
        for alternatives in action_type.exactly_one_of {
            if alternatives.iter().filter(|name| is_given(name)).count() != 1 {
                self.fault(block, format!("needs exactly one of the parameters {}", alternatives.join(", ")));
            }
        }
        if is_given("QueueId") && is_given("AgentId") {
            self.fault(block, "has both QueueId and AgentId");
        }
    }

    fn branches(&mut self, action: &Action, action_type: &ActionType) {
        let block = Some(action.identifier.as_str());
        match (action_type.is_terminal, &action.next) {
            (false, None) => self.fault(block, "has no NextAction"),
            (true, Some(_)) => self.fault(block, "has a NextAction, which it can't have"),
            (true, None) if action.json["Transitions"] != Value::Object(Map::new()) => {
                self.fault(block, "ends the flow and has Transitions");
            }
            _ => {}
        }
        for error in action_type.errors {
            if action.on_error(error).is_none() {
                self.fault(block, format!("lacks the error branch {error}"));
            }
        }
        let mut seen = BTreeSet::new();
        for error in action.errors.iter().map(|branch| branch.error_type.as_str()) {
            if !action_type.errors.contains(&error) && !action_type.optional_errors.contains(&error) {
                self.fault(block, format!("has the error branch {error}, which it can't have"));
            }
            if !seen.insert(error) {
                self.fault(block, format!("has the error branch {error} twice"));
            }
        }
        let mut seen = BTreeSet::new();
        for condition in &action.conditions {
            if !seen.insert((&condition.operator, &condition.operand)) {
                self.fault(block, format!("has a branch for {:?} twice", condition.operand));
            }
            if let Some(what) = impossible(action, action_type.results, &condition.operator, &condition.operand) {
                self.fault(block, what);
            }
        }
        for result in certain_results(action, action_type.results) {
            if !action.conditions.iter().any(|branch| branch.operand == result) {
                self.fault(block, format!("lacks a branch for {result}"));
            }
        }
        for target in action.targets() {
            if self.flow.action(target).is_none() {
                self.fault(block, format!("leads to \"{target}\", which is not a block of this flow"));
            }
        }
    }

    fn reference(&mut self, action: &Action, text: &str, reference: &str) {
        let block = Some(action.identifier.as_str());
        // It is not documented whether Connect would read what follows as a part of the name.
        let ends_clearly = text.match_indices(reference).all(|(start, _)| {
            let after = text[start + reference.len()..].chars().next();
            after.is_none_or(|c| c.is_whitespace() || c.is_ascii_alphanumeric())
        });
        if reference.ends_with('.') || !ends_clearly {
            self.fault(block, format!("refers to {reference} without a space after the name"));
        }
        let has_a_name = NAMESPACES.iter().any(|namespace| {
            reference.strip_prefix(namespace).is_some_and(|name| !name.is_empty() && !name.starts_with('.'))
        });
        if !has_a_name && !SYSTEM.contains(&reference) {
            self.fault(block, format!("refers to {reference}, which nothing sets"));
        }
    }

    /// Every dollar sign begins a reference or a placeholder of the template. If not, one is misspelt.
    fn dollars(&mut self, action: &Action, text: &str) {
        for (start, _) in text.match_indices('$') {
            let rest = &text[start + 1..];
            let name = rest.strip_prefix('{').and_then(|rest| rest.split_once('}')).map(|(name, _)| name);
            let is_placeholder = name.and_then(kind_of).is_some();
            if !rest.starts_with('.') && !is_placeholder {
                let what = format!("holds ${rest}, which is neither a reference nor a placeholder of the template");
                self.fault(Some(&action.identifier), what);
            }
        }
    }

    /// A contact goes on in a contact flow, and in no other kind.
    fn leads_to_a_contact_flow(&mut self, action: &Action) {
        let named = action.parameters["ContactFlowId"].as_str().and_then(placeholder);
        let Some(Kind::Flow(Some(file))) = named else { return };
        if self.flows.iter().any(|flow| flow.name == file && flow.flow_type != FlowType::ContactFlow) {
            let what = format!("leads to flows/{file}.json, which is not a contact flow");
            self.fault(Some(&action.identifier), what);
        }
    }

    /// A hook leads to a flow of the event's kind.
    fn hook(&mut self, action: &Action) {
        for (event, flow) in action.parameters["EventHooks"].as_object().into_iter().flatten() {
            let Some(Kind::Flow(Some(file))) = flow.as_str().and_then(placeholder) else { continue };
            let hooked = self.flows.iter().find(|flow| flow.name == file);
            let is_right = hooked
                .is_some_and(|hooked| language::flow_for(event).and_then(FlowType::parse) == Some(hooked.flow_type));
            if !is_right {
                let what = format!("hooks {event} to flows/{file}.json, which is not a flow for that");
                self.fault(Some(&action.identifier), what);
            }
        }
    }

    /// A menu has other branches than a question whose answer is stored.
    fn input(&mut self, action: &Action) {
        let block = Some(action.identifier.as_str());
        let is_menu = action.parameters["StoreInput"] != "True";
        for error in ["NoMatchingCondition", "InputTimeLimitExceeded"] {
            match (is_menu, action.on_error(error).is_some()) {
                (true, false) => self.fault(block, format!("lacks the error branch {error}")),
                (false, true) => self.fault(block, format!("has the error branch {error}, which it can't have")),
                _ => {}
            }
        }
        if is_menu && ["DTMFConfiguration", "InputValidation"].iter().any(|name| !action.parameters[name].is_null()) {
            self.fault(block, "is a menu, which can't have DTMFConfiguration or InputValidation");
        }
        if !is_menu && (!action.conditions.is_empty() || action.parameters["InputValidation"].is_null()) {
            self.fault(block, "stores its input, so it needs InputValidation and can't have conditions");
        }
    }

    /// A view has what it needs, and a branch for each of its buttons.
    fn view(&mut self, action: &Action) {
        let block = Some(action.identifier.as_str());
        if !action.parameters["ViewResource"]["Id"].as_str().is_some_and(|id| id.starts_with("arn:")) {
            self.fault(block, "does not name its view by an ARN");
        }
        // Of other views, and of those that somebody made, it is not known what they need.
        let Some(view) = language::managed_view(&action.parameters["ViewResource"]) else { return };
        let data = &action.parameters["ViewData"];
        for needed in view.needs {
            let is_shown = match &data[needed] {
                Value::Null | Value::Bool(_) | Value::Number(_) => false,
                Value::Array(items) => !items.is_empty(),
                Value::String(_) | Value::Object(_) => true,
            };
            if !is_shown {
                self.fault(block, format!("shows the view {} without {needed}", view.name));
            }
        }
        for button in ["Back", "Next"] {
            let has_branch = action.conditions.iter().any(|branch| branch.operand == button);
            if !data[button].is_null() && !has_branch {
                self.fault(block, format!("lacks a branch for {button}"));
            }
        }
        for item in items(action) {
            let is_whole = ["Type", "Name", "Label"].iter().all(|key| item[key].is_string());
            let has_options = item["Type"] != "RadioGroup" || item["Options"].is_array();
            if !is_whole || !has_options {
                self.fault(block, "has a field without Type, Name, Label or Options");
            }
        }
        if view.name == "form" && fields(action).is_empty() {
            self.fault(block, "shows a form without a field");
        }
    }

    fn recording(&mut self, action: &Action) {
        let block = Some(action.identifier.as_str());
        let error = "InFlightRedactionConfigurationFailed";
        if !action.parameters["ChatBehavior"].is_null() && action.on_error(error).is_none() {
            self.fault(block, format!("lacks the error branch {error}"));
        }
        let voice = &action.parameters["VoiceBehavior"];
        let recorded = voice["VoiceRecordingBehavior"]["RecordedParticipants"].as_array().map_or(0, Vec::len);
        if !voice["VoiceAnalyticsBehavior"].is_null() && recorded < 2 {
            self.fault(block, "analyses a call of which it does not record both sides");
        }
    }
}

/// The names of the fields that a form asks for.
pub(super) fn fields(action: &Action) -> Vec<&str> {
    items(action).filter_map(|item| item["Name"].as_str()).collect()
}

fn items(action: &Action) -> impl Iterator<Item = &Value> {
    let sections = action.parameters["ViewData"]["Sections"].as_array().into_iter().flatten();
    sections.filter_map(|section| section["Items"].as_array()).flatten()
}

/// The results that must have a branch each.
fn certain_results(action: &Action, results: Results) -> Vec<&str> {
    match results {
        Results::Both(one, other) => vec![one, other],
        Results::Interruption if action.parameters.get("InterruptFrequencySeconds").is_some() => {
            vec!["MessagesInterrupted"]
        }
        Results::Wait => {
            let events = action.parameters["Events"].as_array().into_iter().flatten().filter_map(Value::as_str);
            events.chain(["WaitCompleted"]).collect()
        }
        _ => Vec::new(),
    }
}

/// Why a condition can never be met, or is not known to be taken by Connect. `None` if it is possible.
fn impossible(action: &Action, results: Results, operator: &str, operand: &str) -> Option<String> {
    if !language::OPERATORS.contains(&operator) {
        return Some(format!("compares with the unknown operator {operator}"));
    }
    let of_numbers = operator.starts_with("Number") && operand.parse::<f64>().is_ok();
    if matches!(results, Results::Metric) {
        let metric = action.parameters["MetricType"].as_str().unwrap_or_default();
        let is_possible = match metric.starts_with("NumberOfAgents") {
            true => (operator, operand) == ("NumberGreaterThan", "0"),
            false => of_numbers || (operator == "Equals" && operand.parse::<f64>().is_ok()),
        };
        return (!is_possible).then(|| format!("has a branch for {operand:?}, which can't occur"));
    }
    if results != Results::Value && operator != "Equals" {
        return Some(format!("compares with {operator}, but only Equals is possible"));
    }
    let is_possible = match results {
        Results::None | Results::Metric => return Some("has a condition, which it can't have".to_owned()),
        Results::Value => !operand.is_empty() && (!operator.starts_with("Number") || of_numbers),
        Results::Key => matches!(operand, "0" | "1" | "2" | "3" | "4" | "5" | "6" | "7" | "8" | "9" | "*" | "#"),
        Results::ViewAction => {
            let view = language::managed_view(&action.parameters["ViewResource"]);
            view.is_none_or(|view| view.actions.contains(&operand))
        }
        Results::Interruption => {
            operand == "MessagesInterrupted" && action.parameters.get("InterruptFrequencySeconds").is_some()
        }
        Results::Both(..) | Results::Wait => certain_results(action, results).contains(&operand),
    };
    (!is_possible).then(|| format!("has a branch for {operand:?}, which can't occur"))
}
