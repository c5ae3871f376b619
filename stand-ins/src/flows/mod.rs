//! The contact flows in `flows/`, in the [flow
//! language](https://docs.aws.amazon.com/connect/latest/APIReference/flow-language.html).
//!
//! - [`language`]: what Connect is known to take: the actions, their parameters, branches and limits
//! - [`check`]: finds the faults of flows, by file and block: what Connect would refuse
//! - [`promises`]: finds mistakes that Connect accepts and that break what our flows promise
//! - [`attributes`]: the names of the values that flows and functions pass to each other
//! - [`picture`]: a flow as a Mermaid diagram
//! - [`recipes`]: the flows in `flows/recipes/`, which readers import

pub mod attributes;
pub mod check;
pub mod language;
pub mod picture;
pub mod promises;
pub mod recipes;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use serde_json::Value;

use language::FlowType;

/// Something that is wrong with a flow.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// The flow's name, which is its file's without `.json`.
    pub flow: String,
    /// The block's identifier, if it is about a block.
    pub block: Option<String>,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let folder = if recipes::has(&self.flow) { "flows/recipes" } else { "flows" };
        write!(f, "{folder}/{}.json: ", self.flow)?;
        if let Some(block) = &self.block {
            write!(f, "block \"{block}\" ")?;
        }
        f.write_str(&self.what)
    }
}

/// A contact flow.
#[derive(Clone, Debug)]
pub struct Flow {
    /// Its file's name without `.json`.
    pub name: String,
    /// What kind of flow it is.
    pub flow_type: FlowType,
    /// The whole file.
    pub json: Value,
    /// How long it is for Connect's API, in characters.
    pub size: usize,
    /// The identifier of the block that it starts with.
    pub start: String,
    /// Its blocks, in the file's order.
    pub actions: Vec<Action>,
}

/// A block of a flow.
#[derive(Clone, Debug)]
pub struct Action {
    pub identifier: String,
    pub action_type: String,
    pub parameters: Value,
    /// The next block if no other branch is taken.
    pub next: Option<String>,
    pub conditions: Vec<Condition>,
    pub errors: Vec<ErrorBranch>,
    /// The whole block.
    pub json: Value,
}

/// A branch for a result of the block.
#[derive(Clone, Debug)]
pub struct Condition {
    pub operator: String,
    pub operand: String,
    pub next: String,
}

/// A branch for an error of the block.
#[derive(Clone, Debug)]
pub struct ErrorBranch {
    pub error_type: String,
    pub next: String,
}

impl Flow {
    /// Reads a flow. Returns a fault if it is not a flow at all. [`check`] finds all other faults.
    pub fn parse(name: &str, text: &str) -> Result<Self, Fault> {
        let fault =
            |block: Option<&str>, what: String| Fault { flow: name.to_owned(), block: block.map(str::to_owned), what };
        let json: Value = serde_json::from_str(text).map_err(|error| fault(None, format!("is not JSON: {error}")))?;
        let flow_type = match json["Settings"].is_object() {
            true => Some(FlowType::Module),
            false => json["Metadata"]["type"].as_str().and_then(FlowType::parse),
        };
        let flow_type = flow_type.ok_or_else(|| fault(None, "has no known type in its Metadata".to_owned()))?;
        let start = json["StartAction"].as_str().ok_or_else(|| fault(None, "has no StartAction".to_owned()))?;
        let actions = json["Actions"].as_array().ok_or_else(|| fault(None, "has no Actions".to_owned()))?;
        let actions = actions.iter().map(|action| {
            let identifier = action["Identifier"].as_str();
            Action::parse(action).ok_or_else(|| fault(identifier, "lacks a part that every block must have".to_owned()))
        });
        let actions = actions.collect::<Result<_, _>>()?;
        let size = json.to_string().chars().count();
        Ok(Self { name: name.to_owned(), flow_type, start: start.to_owned(), actions, size, json })
    }

    /// The block with this identifier.
    pub fn action(&self, identifier: &str) -> Option<&Action> {
        self.actions.iter().find(|action| action.identifier == identifier)
    }

    /// The flow's JSON without spaces and line breaks, for Connect's API.
    pub fn content(&self) -> String {
        self.json.to_string()
    }
}

impl Action {
    fn parse(json: &Value) -> Option<Self> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let transitions = json["Transitions"].as_object()?;
        let list = |name: &str| match transitions.get(name) {
            None => Some(&[][..]),
            Some(list) => list.as_array().map(Vec::as_slice),
        };
        let conditions = list("Conditions")?.iter().map(|branch| {
            let condition = &branch["Condition"];
            let [operand] = condition["Operands"].as_array()?.as_slice() else { return None };
            let (operator, operand) = (text(&condition["Operator"])?, text(operand)?);
            Some(Condition { operator, operand, next: text(&branch["NextAction"])? })
        });
        let errors = list("Errors")?.iter().map(|branch| {
            Some(ErrorBranch { error_type: text(&branch["ErrorType"])?, next: text(&branch["NextAction"])? })
        });
        Some(Self {
            identifier: text(&json["Identifier"])?,
            action_type: text(&json["Type"])?,
            parameters: Some(&json["Parameters"]).filter(|parameters| parameters.is_object())?.clone(),
            next: match transitions.get("NextAction") {
                None => None,
                Some(next) => Some(text(next)?),
            },
            conditions: conditions.collect::<Option<_>>()?,
            errors: errors.collect::<Option<_>>()?,
            json: json.clone(),
        })
    }

    /// The next block after this error.
    pub fn on_error(&self, error_type: &str) -> Option<&str> {
        self.errors.iter().find(|branch| branch.error_type == error_type).map(|branch| branch.next.as_str())
    }

    /// The blocks that can be next.
    pub fn targets(&self) -> impl Iterator<Item = &str> {
        let conditions = self.conditions.iter().map(|branch| branch.next.as_str());
        let errors = self.errors.iter().map(|branch| branch.next.as_str());
        self.next.as_deref().into_iter().chain(conditions).chain(errors)
    }

    /// The blocks that can come next at once. A block that speaks, waits or shows a view takes time unless it fails: of
    /// its branches only the one for `NoMatchingError` counts.
    pub fn targets_at_once(&self) -> impl Iterator<Item = &str> {
        let takes_time = self.is_heard() || ["Wait", "ShowView"].contains(&&*self.action_type);
        let failed = self.errors.iter().filter(|branch| branch.error_type == "NoMatchingError");
        let failed = failed.filter(move |_| takes_time).map(|branch| branch.next.as_str());
        failed.chain(self.targets().filter(move |_| !takes_time))
    }

    /// Whether the caller hears something, be it a text or a recording.
    pub fn is_heard(&self) -> bool {
        let heard = [
            "MessageParticipant",
            "GetParticipantInput",
            "MessageParticipantIteratively",
            "ConnectParticipantWithLexBot",
        ];
        heard.contains(&&*self.action_type)
    }

    /// The texts that the caller hears, SSML included.
    pub fn spoken(&self) -> Vec<&str> {
        fn source(message: &Value) -> Option<&str> {
            message["Text"].as_str().or(message["SSML"].as_str())
        }
        match self.action_type.as_str() {
            "MessageParticipant" | "GetParticipantInput" | "ConnectParticipantWithLexBot" => {
                source(&self.parameters).into_iter().collect()
            }
            "MessageParticipantIteratively" => {
                let messages = self.parameters["Messages"].as_array();
                messages.into_iter().flatten().filter_map(source).collect()
            }
            _ => Vec::new(),
        }
    }

    /// What a bot is given for its conversation with the caller. It may say any of it.
    pub fn given_to_a_bot(&self) -> Vec<&str> {
        strings(&self.parameters["LexSessionAttributes"])
    }
}

/// The folder of the flows.
pub fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../flows"))
}

/// The text of every flow, by its name.
pub fn texts() -> BTreeMap<String, String> {
    read(&folder())
}

/// The text of every JSON file in a folder, by its name without `.json`.
fn read(folder: &Path) -> BTreeMap<String, String> {
    let files = std::fs::read_dir(folder).expect("the folder of the flows");
    let paths = files.map(|file| file.expect("a file").path()).filter(|path| path.extension() == Some("json".as_ref()));
    let read = |path: PathBuf| {
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        (name, text)
    };
    paths.map(read).collect()
}

/// A flow's text with values in place of its `${placeholders}`.
pub fn filled(text: &str, value_of: impl Fn(&str) -> String) -> String {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let (name, after) = after.split_once('}').expect("a placeholder ends");
        filled.push_str(before);
        filled.push_str(&value_of(name));
        rest = after;
    }
    filled + rest
}

/// The references in a text, such as `$.External.name`.
pub fn references(text: &str) -> Vec<&str> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let starts = text.match_indices("$.").map(|(start, _)| start);
    let reference = |start: usize| {
        let rest = &text[start + 2..];
        let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        &text[start..start + 2 + end]
    };
    starts.map(reference).collect()
}

/// Every text in a JSON value.
pub fn strings(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(items) => items.iter().flat_map(strings).collect(),
        Value::Object(entries) => entries.values().flat_map(strings).collect(),
        _ => Vec::new(),
    }
}

/// What is heard of a text: SSML without its tags.
pub fn words(text: &str) -> String {
    let mut heard = String::new();
    let mut rest = text;
    while let Some((before, tag)) = rest.split_once('<') {
        heard.push_str(before);
        rest = tag.split_once('>').map_or("", |(_, after)| after);
    }
    heard + rest
}

/// The pauses in an SSML text together, in seconds.
pub fn pauses(text: &str) -> u64 {
    breaks(text).sum()
}

/// The longest pause in an SSML text, in seconds.
pub fn longest_pause(text: &str) -> u64 {
    breaks(text).max().unwrap_or_default()
}

fn breaks(text: &str) -> impl Iterator<Item = u64> {
    let breaks = text.split("<break time=\"").skip(1);
    breaks.filter_map(|rest| rest.split_once("s\"")?.0.parse().ok())
}

/// What a block of a flow or of a recipe's flow says, as its file has it.
///
/// # Panics
///
/// If there is no such block, or it says nothing.
pub fn prompt(flow: &str, block: &str) -> &'static str {
    static PROMPTS: LazyLock<BTreeMap<(String, String), String>> = LazyLock::new(|| {
        let all = texts().into_iter().chain(recipes::texts());
        let flows = all.map(|(name, text)| Flow::parse(&name, &text).expect("a flow"));
        let of = |flow: Flow| {
            let said = flow.actions.into_iter().filter_map(move |action| {
                let text = action.spoken().first().map(|text| words(text))?;
                Some(((flow.name.clone(), action.identifier.clone()), text))
            });
            said.collect::<Vec<_>>()
        };
        flows.flat_map(of).collect()
    });
    PROMPTS.get(&(flow.to_owned(), block.to_owned())).unwrap_or_else(|| panic!("{flow}: {block} says nothing"))
}
