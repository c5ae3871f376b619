//! What Connect accepts in a flow: the actions that our flows use, with their parameters and branches.
//!
//! Each action is described on its page in AWS's [flow language
//! reference](https://docs.aws.amazon.com/connect/latest/APIReference/flow-language-actions.html). In flows that the
//! console exports, every block but a terminal one has a `NextAction`.

use std::fmt;

use serde_json::Value;

use super::references;

/// The most blocks in a flow.
pub const MAX_ACTIONS: usize = 250;

/// The longest identifier of a block, in characters.
pub const MAX_IDENTIFIER: usize = 50;

/// The characters that an identifier must not hold.
pub const FORBIDDEN_IN_IDENTIFIERS: &str = "%:(\\/)=$,;[]{}";

/// The identifiers that no block may have.
pub const FORBIDDEN_IDENTIFIERS: [&str; 10] = [
    "__proto__",
    "constructor",
    "__defineGetter__",
    "__defineSetter__",
    "toString",
    "hasOwnProperty",
    "isPrototypeOf",
    "propertyIsEnumerable",
    "toLocaleString",
    "valueOf",
];

/// The longest text of a prompt, in characters ([limits of
/// text-to-speech](https://docs.aws.amazon.com/connect/latest/adminguide/get-customer-input.html)).
pub const MAX_PROMPT: usize = 3_000;

/// The longest content of a flow, in characters
/// ([`AWS::Connect::ContactFlow`](https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-resource-connect-contactflow.html)).
pub const MAX_CONTENT: usize = 256_000;

/// The size in bytes that a function's answer must not reach.
pub const MAX_ANSWER_BYTES: usize = 32 * 1024;

/// The most bytes that the attributes of a contact take together.
pub const MAX_ATTRIBUTE_BYTES: usize = 32_768;

/// The kind of a flow. Not every action is possible in every kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlowType {
    /// An inbound flow, a disconnect flow or an agent guide.
    ContactFlow,
    /// The flow for callers who wait in a queue.
    CustomerQueue,
}

impl FlowType {
    /// Reads the name in a flow's `Metadata`.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "contactFlow" => Some(Self::ContactFlow),
            "customerQueue" => Some(Self::CustomerQueue),
            _ => None,
        }
    }

    /// Its name in Connect's API and in CloudFormation.
    pub fn api_name(self) -> &'static str {
        match self {
            Self::ContactFlow => "CONTACT_FLOW",
            Self::CustomerQueue => "CUSTOMER_QUEUE",
        }
    }
}

/// What Connect accepts for one type of action.
pub struct ActionType {
    pub name: &'static str,
    pub parameters: &'static [Parameter],
    /// Exactly one of these parameters is required.
    pub exactly_one_of: &'static [&'static str],
    /// The errors that it must have a branch for.
    pub errors: &'static [&'static str],
    /// The errors that it may have a branch for.
    pub optional_errors: &'static [&'static str],
    pub results: Results,
    pub next: Next,
    pub flow_types: &'static [FlowType],
}

/// A parameter of an action.
pub struct Parameter {
    pub name: &'static str,
    pub is_required: bool,
    pub shape: Shape,
}

/// What a parameter holds.
pub enum Shape {
    /// Text that a caller hears or reads.
    Prompt,
    /// Any text, which may hold references.
    Text,
    /// One of these words. A reference is not possible.
    Word(&'static [&'static str]),
    /// A whole number in this range, written as text. A reference is not possible.
    Number(u64, u64),
    /// One reference and nothing else.
    Reference,
    /// An object of texts, whose keys a flow can refer to.
    Texts,
    /// An object of one text with one of these keys.
    OneText(&'static [&'static str]),
    /// A list of objects of one text each.
    Messages,
    /// An object that holds texts under these keys, the first of which is required.
    Object(&'static [&'static str]),
    /// The data of a view.
    ViewData,
}

impl Shape {
    /// Whether Connect accepts this value. A placeholder of the template counts as a static value.
    pub fn takes(&self, value: &Value) -> bool {
        let text = value.as_str();
        let is_placeholder = text.is_some_and(|text| text.starts_with("${") && text.ends_with('}'));
        let is_text = |value: &Value| value.as_str().is_some_and(|text| !text.is_empty());
        match self {
            Self::Prompt => text.is_some_and(|text| (1..=MAX_PROMPT).contains(&text.chars().count())),
            Self::Text => is_text(value),
            Self::Word(words) => is_placeholder || text.is_some_and(|text| words.contains(&text)),
            Self::Number(least, most) => {
                let number = text.and_then(|text| text.parse().ok());
                is_placeholder || number.is_some_and(|number: u64| (*least..=*most).contains(&number))
            }
            Self::Reference => text.is_some_and(|text| references(text) == [text]),
            Self::Texts => value.as_object().is_some_and(|texts| {
                !texts.is_empty() && texts.iter().all(|(name, value)| is_attribute_name(name) && is_text(value))
            }),
            Self::OneText(keys) => value.as_object().is_some_and(|texts| {
                texts.len() == 1 && texts.iter().all(|(key, value)| keys.contains(&key.as_str()) && is_text(value))
            }),
            Self::Messages => value.as_array().is_some_and(|messages| {
                !messages.is_empty() && messages.iter().all(|message| is_text(&message["Text"]))
            }),
            Self::Object(keys) => value.as_object().is_some_and(|texts| {
                texts.contains_key(keys[0])
                    && texts.iter().all(|(key, value)| keys.contains(&key.as_str()) && is_text(value))
            }),
            Self::ViewData => value.is_object(),
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Prompt => write!(f, "a text of up to {MAX_PROMPT} characters"),
            Self::Text => f.write_str("a text"),
            Self::Word(words) => write!(f, "one of {}", words.join(", ")),
            Self::Number(least, u64::MAX) => write!(f, "a whole number from {least} on, in quotes"),
            Self::Number(least, most) => write!(f, "a whole number from {least} to {most}, in quotes"),
            Self::Reference => f.write_str("one reference and nothing else"),
            Self::Texts => f.write_str("an object of texts under names of letters, digits, - and _"),
            Self::OneText(keys) => write!(f, "an object of one text under one of {}", keys.join(", ")),
            Self::Messages => f.write_str("a list of texts"),
            Self::Object(keys) => write!(f, "an object of {}", keys.join(", ")),
            Self::ViewData => f.write_str("an object"),
        }
    }
}

/// The results of an action, besides errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Results {
    /// There is only one result.
    None,
    /// A value. All comparisons are possible.
    Value,
    /// A key that was pressed.
    Key,
    /// What an agent did with a view.
    ViewAction,
    /// An interruption.
    Interruption,
}

/// Whether an action has a `NextAction`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    Required,
    /// The flow ends here: no transitions at all.
    Terminal,
    /// It goes on until something else happens.
    Endless,
}

const BOTH: &[FlowType] = &[FlowType::ContactFlow, FlowType::CustomerQueue];
const CONTACT_FLOW: &[FlowType] = &[FlowType::ContactFlow];
const CUSTOMER_QUEUE: &[FlowType] = &[FlowType::CustomerQueue];
const NO_MATCHING_ERROR: &[&str] = &["NoMatchingError"];

/// The events that a flow can be hooked to.
pub const EVENTS: [&str; 10] = [
    "AgentHold",
    "AgentWhisper",
    "CustomerHold",
    "CustomerQueue",
    "CustomerRemaining",
    "CustomerWhisper",
    "DefaultAgentUI",
    "DisconnectAgentUI",
    "PauseContact",
    "ResumeContact",
];

/// The operators of a comparison.
pub const OPERATORS: [&str; 8] = [
    "Equals",
    "TextStartsWith",
    "TextEndsWith",
    "TextContains",
    "NumberGreaterThan",
    "NumberGreaterOrEqualTo",
    "NumberLessThan",
    "NumberLessOrEqualTo",
];

/// What an agent can do with AWS's own views, according to their pages and AWS's samples.
pub const VIEWS: [(&str, &[&str]); 2] = [("detail", &["Back", "ActionSelected"]), ("form", &["Back", "Next", "Step"])];

const fn required(name: &'static str, shape: Shape) -> Parameter {
    Parameter { name, is_required: true, shape }
}

const fn optional(name: &'static str, shape: Shape) -> Parameter {
    Parameter { name, is_required: false, shape }
}

/// The defaults of an action. The table below says what is different for each.
const PLAIN: ActionType = ActionType {
    name: "",
    parameters: &[],
    exactly_one_of: &[],
    errors: NO_MATCHING_ERROR,
    optional_errors: &[],
    results: Results::None,
    next: Next::Required,
    flow_types: BOTH,
};

/// The actions.
pub static ACTIONS: [ActionType; 17] = [
    ActionType {
        name: "UpdateFlowLoggingBehavior",
        parameters: &[required("FlowLoggingBehavior", Shape::Word(&["Enabled", "Disabled"]))],
        errors: &[],
        ..PLAIN
    },
    ActionType {
        name: "UpdateContactTextToSpeechVoice",
        parameters: &[
            required("TextToSpeechVoice", Shape::Text),
            optional("TextToSpeechEngine", Shape::Text),
            optional("TextToSpeechStyle", Shape::Text),
        ],
        ..PLAIN
    },
    ActionType {
        name: "MessageParticipant",
        parameters: &[
            optional("Text", Shape::Prompt),
            optional("SSML", Shape::Prompt),
            optional("PromptId", Shape::Text),
            optional("Media", Shape::Object(&["Uri", "SourceType", "MediaType"])),
        ],
        exactly_one_of: &["Text", "SSML", "PromptId", "Media"],
        ..PLAIN
    },
    ActionType {
        name: "MessageParticipantIteratively",
        parameters: &[
            required("Messages", Shape::Messages),
            optional("InterruptFrequencySeconds", Shape::Number(1, u64::MAX)),
        ],
        errors: &[],
        optional_errors: NO_MATCHING_ERROR,
        results: Results::Interruption,
        next: Next::Endless,
        flow_types: CUSTOMER_QUEUE,
        ..PLAIN
    },
    ActionType {
        name: "GetParticipantInput",
        parameters: &[
            optional("Text", Shape::Prompt),
            optional("SSML", Shape::Prompt),
            optional("PromptId", Shape::Text),
            required("InputTimeLimitSeconds", Shape::Number(1, 180)),
            // With stored input the block has other branches.
            required("StoreInput", Shape::Word(&["False"])),
        ],
        exactly_one_of: &["Text", "SSML", "PromptId"],
        errors: &["NoMatchingCondition", "InputTimeLimitExceeded", "NoMatchingError"],
        results: Results::Key,
        ..PLAIN
    },
    ActionType {
        name: "Compare",
        parameters: &[required("ComparisonValue", Shape::Reference)],
        errors: &["NoMatchingCondition"],
        results: Results::Value,
        ..PLAIN
    },
    ActionType {
        name: "UpdateContactAttributes",
        parameters: &[
            required("Attributes", Shape::Texts),
            required("TargetContact", Shape::Word(&["Current", "Related"])),
        ],
        ..PLAIN
    },
    ActionType {
        name: "UpdateContactEventHooks",
        parameters: &[required("EventHooks", Shape::OneText(&EVENTS))],
        ..PLAIN
    },
    ActionType {
        name: "UpdateContactTargetQueue",
        parameters: &[optional("QueueId", Shape::Text), optional("AgentId", Shape::Text)],
        exactly_one_of: &["QueueId", "AgentId"],
        flow_types: CONTACT_FLOW,
        ..PLAIN
    },
    ActionType {
        name: "TransferContactToQueue",
        errors: &["QueueAtCapacity", "NoMatchingError"],
        flow_types: CONTACT_FLOW,
        ..PLAIN
    },
    ActionType {
        name: "UpdateContactRoutingBehavior",
        parameters: &[
            optional("QueuePriority", Shape::Number(1, i64::MAX as u64)),
            optional("QueueTimeAdjustmentSeconds", Shape::Number(1, i64::MAX as u64)),
        ],
        exactly_one_of: &["QueuePriority", "QueueTimeAdjustmentSeconds"],
        errors: &[],
        flow_types: CONTACT_FLOW,
        ..PLAIN
    },
    ActionType {
        name: "UpdateContactCallbackNumber",
        parameters: &[required("CallbackNumber", Shape::Reference)],
        errors: &["InvalidCallbackNumber", "CallbackNumberNotDialable"],
        ..PLAIN
    },
    ActionType {
        name: "CreateCallbackContact",
        parameters: &[
            optional("QueueId", Shape::Text),
            required("InitialCallDelaySeconds", Shape::Number(1, 259_200)),
            required("MaximumConnectionAttempts", Shape::Number(1, u64::MAX)),
            required("RetryDelaySeconds", Shape::Number(1, 259_200)),
        ],
        ..PLAIN
    },
    ActionType {
        name: "InvokeLambdaFunction",
        parameters: &[
            required("LambdaFunctionARN", Shape::Text),
            required("InvocationTimeLimitSeconds", Shape::Number(1, 8)),
            // An asynchronous invocation needs another block for its answer. Our flows have none.
            required("InvocationType", Shape::Word(&["SYNCHRONOUS"])),
            optional("LambdaInvocationAttributes", Shape::Texts),
            required("ResponseValidation", Shape::OneText(&["ResponseType"])),
        ],
        ..PLAIN
    },
    ActionType {
        name: "ShowView",
        parameters: &[
            required("ViewResource", Shape::Object(&["Id", "Version"])),
            required("InvocationTimeLimitSeconds", Shape::Number(1, u64::MAX)),
            optional("ViewData", Shape::ViewData),
        ],
        errors: &["NoMatchingCondition", "NoMatchingError", "TimeLimitExceeded"],
        results: Results::ViewAction,
        flow_types: CONTACT_FLOW,
        ..PLAIN
    },
    ActionType { name: "DisconnectParticipant", errors: &[], next: Next::Terminal, ..PLAIN },
    ActionType { name: "EndFlowExecution", errors: &[], next: Next::Terminal, flow_types: CUSTOMER_QUEUE, ..PLAIN },
];

/// A name that a flow can refer to.
fn is_attribute_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
}

/// The action type of this name.
pub fn action_type(name: &str) -> Option<&'static ActionType> {
    ACTIONS.iter().find(|action| action.name == name)
}

/// The short name of AWS's own view in an ARN like `arn:aws:connect:eu-central-1:aws:view/detail:1`.
pub fn managed_view(resource: &Value) -> Option<&str> {
    let (_, view) = resource["Id"].as_str()?.split_once(":aws:view/")?;
    view.split(':').next()
}
