//! A flow as a [Mermaid](https://mermaid.js.org/syntax/flowchart.html) diagram.

use super::language::{self, Results};
use super::{Action, Flow};

/// Draws a flow: a node for each block, an arrow for each branch. An arrow is dotted if it is taken only after an
/// error.
pub fn draw(flow: &Flow) -> String {
    let mut lines = vec!["flowchart TD".to_owned()];
    let number = |identifier: &str| flow.actions.iter().position(|action| action.identifier == identifier);
    for (index, action) in flow.actions.iter().enumerate() {
        lines.push(format!("  b{index}{}", node(action)));
    }
    for (index, action) in flow.actions.iter().enumerate() {
        for arrow in arrows(action) {
            if let Some(target) = number(&arrow.target) {
                lines.push(format!("  b{index} {} b{target}", arrow.drawn()));
            }
        }
    }
    lines.join("\n")
}

/// A block. One that asks is a hexagon, one that compares is a rhombus, one that speaks has round corners, one that
/// invokes a function has double sides, and one that ends the flow is a circle.
fn node(action: &Action) -> String {
    let label = format!("{}{}", escape(&action.identifier), detail(action));
    let (open, close) = match action.action_type.as_str() {
        "Compare" => ("{\"", "\"}"),
        "GetParticipantInput" => ("{{\"", "\"}}"),
        "MessageParticipant" | "MessageParticipantIteratively" => ("(\"", "\")"),
        "InvokeLambdaFunction" => ("[[\"", "\"]]"),
        "DisconnectParticipant" | "EndFlowExecution" => ("((\"", "\"))"),
        _ => ("[\"", "\"]"),
    };
    format!("{open}{label}{close}")
}

/// What the block's name does not show.
fn detail(action: &Action) -> String {
    let parameters = &action.parameters;
    let text = |name: &str| parameters[name].as_str().map(escape);
    let detail = match action.action_type.as_str() {
        "Compare" => text("ComparisonValue"),
        "UpdateContactRoutingBehavior" => text("QueuePriority").map(|priority| format!("priority {priority}")),
        "CreateCallbackContact" => text("InitialCallDelaySeconds").map(|seconds| format!("after {seconds} s")),
        "MessageParticipantIteratively" => {
            text("InterruptFrequencySeconds").map(|seconds| format!("interrupted every {seconds} s"))
        }
        _ => action.spoken().first().map(|text| format!("“{}”", escape(text))),
    };
    detail.map(|detail| format!("<br/><small>{detail}</small>")).unwrap_or_default()
}

/// An arrow from one block to another.
struct Arrow {
    target: String,
    labels: Vec<String>,
    is_error: bool,
}

impl Arrow {
    fn drawn(&self) -> String {
        let line = if self.is_error { "-.->" } else { "-->" };
        if self.labels.is_empty() {
            line.to_owned()
        } else {
            format!("{line}|\"{}\"|", escape(&self.labels.join(", ")))
        }
    }
}

fn arrows(action: &Action) -> Vec<Arrow> {
    let results = language::action_type(&action.action_type).map_or(Results::None, |known| known.results);
    let mut arrows: Vec<Arrow> = Vec::new();
    let mut add = |target: &str, label: Option<String>, is_error: bool| match arrows
        .iter_mut()
        .find(|arrow| arrow.target == target)
    {
        // Branches to the same block share an arrow. It is not an error's arrow if success takes it too.
        Some(arrow) if arrow.is_error || !is_error => arrow.labels.extend(label),
        Some(_) if results == Results::None => {}
        Some(arrow) => arrow.labels.extend(label),
        None => arrows.push(Arrow { target: target.to_owned(), labels: label.into_iter().collect(), is_error }),
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
        add(&condition.next, Some(format!("{operator}{}", condition.operand)), false);
    }
    // If a block has results, NextAction repeats one of its other branches.
    if results == Results::None
        && let Some(next) = &action.next
        && !action.errors.iter().any(|branch| branch.error_type == "QueueAtCapacity")
    {
        add(next, None, false);
    }
    for branch in &action.errors {
        let (label, is_error) = match branch.error_type.as_str() {
            "NoMatchingCondition" => ("else", false),
            "InputTimeLimitExceeded" | "TimeLimitExceeded" => ("no answer", false),
            "NoMatchingError" => ("error", true),
            "QueueAtCapacity" => ("queue full", true),
            "InvalidCallbackNumber" => ("no number", true),
            "CallbackNumberNotDialable" => ("not dialable", true),
            other => (other, true),
        };
        add(&branch.next, Some(label.to_owned()), is_error);
    }
    arrows
}

/// Escapes a text for Mermaid's quotes.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;").replace('>', "&gt;")
}
