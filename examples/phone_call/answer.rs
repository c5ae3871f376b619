//! What the function answers: the attributes for a flow, or the batch item failures for a queue or a stream.

use serde_json::Value;
use sticky_connect::vocabulary::{IdentifyAttribute, SaveAttribute};

/// Whose answer to a flow it is.
pub(crate) fn kind(answer: &Value) -> &'static str {
    if answer.get(SaveAttribute::SaveStatus.as_str()).is_some() { "save" } else { "identify" }
}

/// The attributes in an answer to a flow, in the order of the documents; the variables are the last.
pub(crate) fn attributes(answer: &Value) -> Vec<(String, String)> {
    let identify = IdentifyAttribute::ALL.iter().map(|attribute| attribute.as_str());
    let save = SaveAttribute::ALL.iter().map(|attribute| attribute.as_str());
    let order: Vec<_> = if kind(answer) == "save" { save.collect() } else { identify.collect() };
    let mut attributes = leaves(answer, "");
    attributes.sort_by_key(|(name, _)| order.iter().position(|known| known == name).unwrap_or(order.len()));
    attributes
}

/// Where a batch comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Source {
    Queue,
    Stream,
}

/// What became of a batch: which items failed, and what happens to them.
pub(crate) fn in_words(source: Source, received: usize, answer: &Value) -> String {
    let failed = answer["batchItemFailures"].as_array().into_iter().flatten();
    let failed: Vec<_> = failed.map(|item| item["itemIdentifier"].as_str().unwrap_or_default()).collect();
    let again = match source {
        Source::Queue => "The queue delivers it again",
        Source::Stream => "Lambda sends everything from there on again",
    };
    match failed.as_slice() {
        [] => "nothing failed, all items are done (batchItemFailures: [])".to_owned(),
        // This is how a function fails all of them.
        failed if failed.contains(&"") => format!("batchItemFailures: all of {received} failed. {again}"),
        failed => format!("batchItemFailures: {} of {received} failed: {}. {again}", failed.len(), failed.join(", ")),
    }
}

/// The texts, numbers and booleans in a JSON value, each with its path.
pub(crate) fn leaves(value: &Value, path: &str) -> Vec<(String, String)> {
    let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    match value {
        Value::Object(entries) => entries.iter().flat_map(|(name, value)| leaves(value, &below(name))).collect(),
        Value::Array(items) => {
            items.iter().enumerate().flat_map(|(number, item)| leaves(item, &below(&number.to_string()))).collect()
        }
        Value::String(text) => vec![(path.to_owned(), text.clone())],
        other => vec![(path.to_owned(), other.to_string())],
    }
}
