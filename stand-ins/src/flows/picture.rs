//! The way of a call through a flow, as a [Mermaid](https://mermaid.js.org/syntax/flowchart.html) diagram.

use super::language::{self, FlowType, Results};
use super::{Action, Flow, words};

/// The actions that only store or set something for later blocks.
const LEFT_OUT: [&str; 5] = [
    "UpdateFlowLoggingBehavior",
    "UpdateContactAttributes",
    "UpdateContactEventHooks",
    "UpdateContactTargetQueue",
    "UpdateContactTextToSpeechVoice",
];

/// Draws the way of a call: a node for each block that asks, tells, decides, invokes or ends something, and an arrow for
/// each branch. Blocks of a flow that only store or set something are left out, and so are branches for errors, which
/// lead on to serving the caller.
pub fn draw(flow: &Flow) -> String {
    let mut lines = vec!["flowchart TD".to_owned()];
    let drawn: Vec<&Action> = drawn(flow);
    let number = |action: &Action| drawn.iter().position(|other| other.identifier == action.identifier);
    for (index, action) in drawn.iter().enumerate() {
        lines.push(format!("  b{index}{}", node(flow, action)));
    }
    for (index, action) in drawn.iter().enumerate() {
        for (target, labels) in arrows(flow, action) {
            let Some(target) = number(target) else { continue };
            let label = if labels.is_empty() { String::new() } else { format!("|\"{}\"|", escape(&labels.join(", "))) };
            lines.push(format!("  b{index} -->{label} b{target}"));
        }
    }
    lines.join("\n")
}

/// The blocks that are drawn, in the file's order: those that the start leads to without the ones that are left out.
fn drawn(flow: &Flow) -> Vec<&Action> {
    let mut reached: Vec<&Action> = Vec::new();
    let mut open: Vec<&Action> = onward(flow, &flow.start).into_iter().collect();
    while let Some(action) = open.pop() {
        if !reached.iter().any(|known| known.identifier == action.identifier) {
            reached.push(action);
            open.extend(arrows(flow, action).into_iter().map(|(target, _)| target));
        }
    }
    let is_drawn = |action: &&Action| reached.iter().any(|known| known.identifier == action.identifier);
    flow.actions.iter().filter(is_drawn).collect()
}

/// The first block from here on that is not left out.
fn onward<'a>(flow: &'a Flow, identifier: &str) -> Option<&'a Action> {
    let mut action = flow.action(identifier)?;
    while is_left_out(flow, action) {
        action = flow.action(action.next.as_deref()?)?;
    }
    Some(action)
}

/// Whether a block is not drawn. In a module, blocks that store attributes are drawn: that is what it is for.
fn is_left_out(flow: &Flow, action: &Action) -> bool {
    let is_stored_by_a_module = flow.flow_type == FlowType::Module && action.action_type == "UpdateContactAttributes";
    LEFT_OUT.contains(&action.action_type.as_str()) && !is_stored_by_a_module
}

/// Whether a block ends the flow and does nothing else.
fn is_end(action: &Action) -> bool {
    language::action_type(&action.action_type).is_some_and(|known| known.is_terminal)
}

/// A block. One that asks is a hexagon, one that compares is a rhombus, one that speaks has round corners, one that
/// invokes a function or a module has double sides, one after which the flow ends has round ends, and the end itself is
/// a circle.
fn node(flow: &Flow, action: &Action) -> String {
    let label = format!("{}{}", escape(&action.identifier), detail(action));
    let is_last = arrows(flow, action).is_empty();
    let (open, close) = match action.action_type.as_str() {
        "Compare" | "CheckHoursOfOperation" | "CheckMetricData" => ("{\"", "\"}"),
        "GetParticipantInput" => ("{{\"", "\"}}"),
        _ if is_end(action) => ("((\"", "\"))"),
        _ if is_last => ("([\"", "\"])"),
        "MessageParticipant" | "MessageParticipantIteratively" => ("(\"", "\")"),
        "InvokeLambdaFunction" | "InvokeFlowModule" => ("[[\"", "\"]]"),
        _ => ("[\"", "\"]"),
    };
    format!("{open}{label}{close}")
}

/// What the block's name does not show.
fn detail(action: &Action) -> String {
    let parameters = &action.parameters;
    let text = |name: &str| parameters[name].as_str().map(escape);
    let detail = match action.action_type.as_str() {
        "UpdateContactRoutingBehavior" => text("QueuePriority").map(|priority| format!("priority {priority}")),
        "Wait" => text("TimeLimitSeconds").map(|seconds| format!("{seconds} s")),
        _ => action.spoken().first().map(|text| format!("“{}”", escape(&words(text)))),
    };
    detail.map(|detail| format!("<br/><small>{detail}</small>")).unwrap_or_default()
}

/// The arrows from a block, each with its target and labels. Branches to the same block share one; if all of them do, it
/// has no label.
fn arrows<'a>(flow: &'a Flow, action: &Action) -> Vec<(&'a Action, Vec<String>)> {
    let results = language::action_type(&action.action_type).map_or(Results::None, |known| known.results);
    let mut arrows: Vec<(&Action, Vec<String>)> = Vec::new();
    // What is said last is drawn as the end.
    let shows_ends = action.action_type != "MessageParticipant";
    let mut add = |target: &str, label: Option<String>| match onward(flow, target) {
        None => {}
        Some(target) if is_end(target) && !shows_ends => {}
        Some(target) => match arrows.iter_mut().find(|(known, _)| known.identifier == target.identifier) {
            Some((_, labels)) => labels.extend(label),
            None => arrows.push((target, label.into_iter().collect())),
        },
    };
    for condition in &action.conditions {
        let operator = match condition.operator.as_str() {
            "Equals" => "",
            "TextStartsWith" => "starts with ",
            "TextEndsWith" => "ends with ",
            "TextContains" => "contains ",
            "NumberGreaterThan" => "over ",
            "NumberGreaterOrEqualTo" => "at least ",
            "NumberLessThan" => "under ",
            _ => "at most ",
        };
        add(&condition.next, Some(format!("{operator}{}", condition.operand)));
    }
    // If a block has results, or leads on elsewhere, NextAction repeats one of its other branches.
    let leaves = ["TransferContactToQueue", "TransferToFlow"].contains(&action.action_type.as_str());
    if results == Results::None && !leaves {
        action.next.iter().for_each(|next| add(next, None));
    }
    for branch in &action.errors {
        let label = match branch.error_type.as_str() {
            "NoMatchingCondition" if results != Results::None => "else",
            "InputTimeLimitExceeded" | "TimeLimitExceeded" => "no answer",
            "QueueAtCapacity" => "queue full",
            "InvalidCallbackNumber" => "no number",
            "CallbackNumberNotDialable" => "not dialable",
            _ if action.action_type == "CreateCallbackContact" => "not possible",
            _ => continue,
        };
        add(&branch.next, Some(label.to_owned()));
    }
    if let [(_, labels)] = arrows.as_mut_slice()
        && results != Results::None
    {
        labels.clear();
    }
    arrows
}

/// Escapes a text for Mermaid's quotes.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;").replace('>', "&gt;")
}
