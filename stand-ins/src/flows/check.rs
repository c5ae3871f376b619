//! Finds the faults of a set of flows: what Connect would refuse, what it would accept but not do as meant, and what a
//! caller must never experience. Each fault names the file and the block.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::attributes::{self, BROUGHT_ALONG, PARAMETERS, PLACEHOLDERS, READ_FROM_CONTACTS, SYSTEM};
use super::language::{self, ActionType, Next, Results};
use super::{Action, Fault, Flow, references, strings};

/// Reads flows and checks them, each by itself and all of them together.
pub fn check(texts: &BTreeMap<String, String>) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut flows = Vec::new();
    for (name, text) in texts {
        match Flow::parse(name, text) {
            Ok(flow) => flows.push(flow),
            Err(fault) => faults.push(fault),
        }
    }
    for flow in &flows {
        let mut check = Check { flow, faults: &mut faults };
        check.envelope();
        check.metadata();
        for action in &flow.actions {
            check.action(action);
        }
        check.way_through();
        check.lambda_answers();
        check.views();
        check.what_callers_meet();
    }
    // A block that can't be read may set the attributes that others read.
    if flows.len() == texts.len() {
        attributes_that_go_nowhere(&flows, &mut faults);
    }
    faults.sort();
    faults.dedup();
    faults
}

struct Check<'a> {
    flow: &'a Flow,
    faults: &'a mut Vec<Fault>,
}

impl<'a> Check<'a> {
    fn fault(&mut self, block: Option<&str>, what: impl Into<String>) {
        let block = block.map(str::to_owned);
        self.faults.push(Fault { flow: self.flow.name.clone(), block, what: what.into() });
    }

    fn envelope(&mut self) {
        let flow = self.flow;
        if flow.json["Version"] != "2019-10-30" {
            self.fault(None, "has a version that Connect does not know");
        }
        if flow.actions.len() > language::MAX_ACTIONS {
            self.fault(None, format!("has more than {} blocks", language::MAX_ACTIONS));
        }
        if flow.content().chars().count() > language::MAX_CONTENT {
            self.fault(None, format!("has more than {} characters", language::MAX_CONTENT));
        }
        if flow.action(&flow.start).is_none() {
            self.fault(None, format!("starts with \"{}\", which is not one of its blocks", flow.start));
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

    fn action(&mut self, action: &Action) {
        let block = Some(action.identifier.as_str());
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
        let alternatives = action_type.exactly_one_of;
        if !alternatives.is_empty() && alternatives.iter().filter(|name| is_given(name)).count() != 1 {
            self.fault(block, format!("needs exactly one of the parameters {}", alternatives.join(", ")));
        }
    }

    fn branches(&mut self, action: &Action, action_type: &ActionType) {
        let block = Some(action.identifier.as_str());
        match (action_type.next, &action.next) {
            (Next::Required, None) => self.fault(block, "has no NextAction"),
            (Next::Terminal | Next::Endless, Some(_)) => self.fault(block, "has a NextAction, which it can't have"),
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
        let can_be_interrupted = action.parameters.get("InterruptFrequencySeconds").is_some();
        if action_type.results == Results::Interruption && can_be_interrupted == action.conditions.is_empty() {
            self.fault(block, "needs both InterruptFrequencySeconds and a branch for MessagesInterrupted, or none");
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
        let namespace = reference.split('.').nth(1).unwrap_or_default();
        if !["External", "Attributes", "Views"].contains(&namespace) && !SYSTEM.contains(&reference) {
            self.fault(block, format!("refers to {reference}, which nothing sets"));
        }
    }

    /// Every dollar sign begins a reference or a placeholder of the template. If not, one is misspelt.
    fn dollars(&mut self, action: &Action, text: &str) {
        for (start, _) in text.match_indices('$') {
            let rest = &text[start + 1..];
            let placeholder = rest.strip_prefix('{').and_then(|rest| rest.split_once('}')).map(|(name, _)| name);
            if !rest.starts_with('.') && !placeholder.is_some_and(|name| PLACEHOLDERS.contains(&name)) {
                let what = format!("holds ${rest}, which is neither a reference nor a placeholder of the template");
                self.fault(Some(&action.identifier), what);
            }
        }
    }

    /// Every block can be reached.
    fn way_through(&mut self) {
        let reached = self.reached_without(|_, _| false);
        for action in &self.flow.actions {
            if !reached.contains(action.identifier.as_str()) {
                self.fault(Some(&action.identifier), "can't be reached");
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

    /// Every attribute that a block reads from `$.External` is in the answer of the function that was invoked last.
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
            let invoked = last_invoked.get(action.identifier.as_str()).into_iter().flatten().flatten();
            let answers: Vec<_> = invoked.filter_map(|function| attributes::answers_of(function)).flatten().collect();
            for reference in strings(&action.parameters).into_iter().flat_map(references) {
                let Some(name) = reference.strip_prefix("$.External.") else { continue };
                if !answers.iter().any(|answer| answer == name) {
                    let what =
                        format!("reads {reference}, which is not in the answer of the function invoked before it");
                    self.fault(Some(&action.identifier), what);
                }
            }
        }
        for action in &flow.actions {
            let block = Some(action.identifier.as_str());
            if let Some(function) = action.parameters["LambdaFunctionARN"].as_str()
                && attributes::answers_of(function).is_none()
            {
                self.fault(block, format!("invokes {function}, which is not one of our functions"));
            }
            for name in
                action.parameters["LambdaInvocationAttributes"].as_object().into_iter().flat_map(|names| names.keys())
            {
                if !PARAMETERS.contains(&name.as_str()) && !name.starts_with("var_") {
                    self.fault(block, format!("passes {name}, which the function does not look for"));
                }
            }
        }
    }

    /// Every form field that a block reads is in a form of this flow.
    fn views(&mut self) {
        let fields: Vec<&str> = self.flow.actions.iter().flat_map(fields).collect();
        for action in &self.flow.actions {
            for reference in strings(&action.parameters).into_iter().flat_map(references) {
                let field = reference.strip_prefix("$.Views.ViewResultData.FormData.");
                if reference.starts_with("$.Views.") && !field.is_some_and(|field| fields.contains(&field)) {
                    let what = format!("reads {reference}, which no form of this flow asks for");
                    self.fault(Some(&action.identifier), what);
                }
            }
        }
    }

    /// What a caller must never experience: silence during a lookup, a call that ends without a word, and a text that
    /// is not for callers.
    fn what_callers_meet(&mut self) {
        let flow = self.flow;
        if flow.actions.iter().any(|action| action.action_type == "ShowView") {
            // An agent's guide. No caller hears it.
            return;
        }
        let greets = flow.actions.iter().any(|action| action.action_type == "TransferContactToQueue");
        let in_silence = self.reached_without(|action, _| !action.spoken().is_empty());
        for action in &flow.actions {
            let block = Some(action.identifier.as_str());
            let is_lambda = action.action_type == "InvokeLambdaFunction";
            if greets && is_lambda && in_silence.contains(action.identifier.as_str()) {
                self.fault(
                    block,
                    "can be reached before the caller has heard anything, so the caller waits in silence",
                );
            }
            let hangs_up_after =
                |target: &str| flow.action(target).is_some_and(|target| target.action_type == "DisconnectParticipant");
            if action.spoken().is_empty() && action.targets().any(hangs_up_after) {
                self.fault(block, "ends the call without a word");
            }
        }
        self.what_is_spoken();
    }

    /// No prompt speaks the confidence. Only confirmed callers hear something personal.
    fn what_is_spoken(&mut self) {
        let flow = self.flow;
        // If all other branches lead elsewhere, the value is certain on this way.
        let is_only_way = |action: &Action, target: &str, reference: &str, value: &str| {
            let mut conditions = action.conditions.iter().filter(|branch| branch.next == target);
            action.parameters["ComparisonValue"] == reference
                && conditions.all(|branch| branch.operator == "Equals" && branch.operand == value)
                && action.next.as_deref() != Some(target)
                && action.errors.iter().all(|branch| branch.next != target)
        };
        let reached_without_value = |reference: &'static str, value: &'static str| {
            self.reached_without(|action, target| is_only_way(action, target, reference, value))
        };
        let unconfirmed = reached_without_value("$.External.lookup_status", "matched");
        let by_anybody = reached_without_value("$.External.last_issue_source", "call_summary");
        for action in &flow.actions {
            let spoken = action.spoken();
            for reference in spoken.iter().flat_map(|text| references(text)) {
                let name = reference.rsplit('.').next().unwrap_or_default();
                let what = if name.contains("confidence") {
                    "speaks the confidence"
                } else if unconfirmed.contains(action.identifier.as_str()) {
                    "speaks something personal to a caller who may be unconfirmed"
                } else if name == "last_issue" && by_anybody.contains(action.identifier.as_str()) {
                    "may speak an agent's notes"
                } else {
                    continue;
                };
                self.fault(Some(&action.identifier), format!("{what}: {reference}"));
            }
        }
    }
}

/// Why a condition can never be met, or is not accepted by Connect. `None` if it is possible.
fn impossible(action: &Action, results: Results, operator: &str, operand: &str) -> Option<String> {
    if !language::OPERATORS.contains(&operator) {
        return Some(format!("compares with the unknown operator {operator}"));
    }
    if results != Results::Value && operator != "Equals" {
        return Some(format!("compares with {operator}, but only Equals is possible"));
    }
    let is_possible = match results {
        Results::None => return Some("has a condition, which it can't have".to_owned()),
        Results::Value => !operand.is_empty() && (!operator.starts_with("Number") || operand.parse::<f64>().is_ok()),
        Results::Key => matches!(operand, "0" | "1" | "2" | "3" | "4" | "5" | "6" | "7" | "8" | "9" | "*" | "#"),
        Results::Interruption => operand == "MessagesInterrupted",
        Results::ViewAction => {
            let view = language::managed_view(&action.parameters["ViewResource"]);
            let known = language::VIEWS.iter().find(|(name, _)| view == Some(name));
            known.is_some_and(|(_, actions)| actions.contains(&operand))
        }
    };
    (!is_possible).then(|| format!("has a branch for {operand:?}, which can't occur"))
}

/// The names of the fields that a form asks for.
fn fields(action: &Action) -> Vec<&str> {
    let sections = action.parameters["ViewData"]["Sections"].as_array();
    let items = sections.into_iter().flatten().filter_map(|section| section["Items"].as_array());
    items.flatten().filter_map(|item| item["Name"].as_str()).collect()
}

/// Attributes that are read but never set, or set but never read: probably a name is misspelt.
fn attributes_that_go_nowhere(flows: &[Flow], faults: &mut Vec<Fault>) {
    let mut set: BTreeMap<&str, (&Flow, &Action)> = BTreeMap::new();
    let mut read: BTreeMap<&str, (&Flow, &Action)> = BTreeMap::new();
    for flow in flows {
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
        let is_read = read.contains_key(name) || READ_FROM_CONTACTS.contains(name) || name.starts_with("var_");
        if !is_read {
            faults.push(fault(place, format!("sets the attribute {name}, which nothing reads")));
        }
    }
}
