//! What Connect takes in a flow, as far as that is known: the actions that are documented or seen in 120 exported flows
//! of other people, with their parameters, branches and limits.
//!
//! Each action is described on its page in AWS's [flow language
//! reference](https://docs.aws.amazon.com/connect/latest/APIReference/flow-language-actions.html). Where exported flows
//! differ from a page, both are taken. Only Connect itself can say that it takes a flow.

use std::fmt;

use serde_json::Value;

use super::attributes::{self, Kind};
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
    /// An inbound flow, a disconnect flow, a callback's creation flow or an agent guide.
    ContactFlow,
    /// The flow for callers who wait in a queue.
    CustomerQueue,
    /// What an agent hears before the caller is connected.
    AgentWhisper,
    /// A module, which contact flows invoke.
    Module,
}

impl FlowType {
    /// Reads the name in a flow's `Metadata`. A module has none.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "contactFlow" => Some(Self::ContactFlow),
            "customerQueue" => Some(Self::CustomerQueue),
            "agentWhisper" => Some(Self::AgentWhisper),
            _ => None,
        }
    }

    /// Its name in Connect's API and in CloudFormation. A module is a resource of its own, without a type.
    pub fn api_name(self) -> Option<&'static str> {
        match self {
            Self::ContactFlow => Some("CONTACT_FLOW"),
            Self::CustomerQueue => Some("CUSTOMER_QUEUE"),
            Self::AgentWhisper => Some("AGENT_WHISPER"),
            Self::Module => None,
        }
    }
}

/// What Connect takes for one type of action.
pub struct ActionType {
    pub name: &'static str,
    pub parameters: &'static [Parameter],
    /// Exactly one parameter of each of these groups is required.
    pub exactly_one_of: &'static [&'static [&'static str]],
    /// The errors that it must have a branch for.
    pub errors: &'static [&'static str],
    /// The errors that it may have a branch for.
    pub optional_errors: &'static [&'static str],
    pub results: Results,
    pub is_terminal: bool,
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
    /// The same, or one reference.
    NumberOrReference(u64, u64),
    /// A language such as `en-US`.
    Language,
    /// One reference and nothing else.
    Reference,
    /// The ARN of such a thing, or one reference and nothing else.
    Arn(Kind),
    /// An object of texts, whose keys a flow can refer to.
    Texts,
    /// An object of texts under any names.
    TextsUnderAnyName,
    /// The ARN of a flow under the name of one event.
    EventHook,
    /// A list of messages, each with one source.
    Messages,
    /// A list of these words.
    Words(&'static [&'static str]),
    /// An object with these entries.
    Object(&'static [Parameter]),
    /// An object.
    Map,
    /// Any value. The check refuses an empty text anywhere in a block.
    Anything,
}

/// The sources of a message.
pub const MESSAGE_SOURCES: [&str; 4] = ["Text", "SSML", "PromptId", "Media"];

impl Shape {
    /// Whether Connect takes this value. A placeholder of the template counts as a static value.
    pub fn takes(&self, value: &Value) -> bool {
        let text = value.as_str();
        let is_placeholder = text.is_some_and(|text| attributes::placeholder(text) == Some(Kind::Word));
        let is_text = |value: &Value| value.as_str().is_some_and(|text| !text.is_empty());
        match self {
            Self::Prompt => text.is_some_and(|text| (1..=MAX_PROMPT).contains(&text.chars().count())),
            Self::Text => is_text(value),
            Self::Word(words) => is_placeholder || text.is_some_and(|text| words.contains(&text)),
            Self::Number(least, most) => {
                let number = text.and_then(|text| Some((text, text.parse::<u64>().ok()?)));
                number.is_some_and(|(text, number)| (*least..=*most).contains(&number) && text == number.to_string())
            }
            Self::Reference => text.is_some_and(|text| references(text) == [text]),
            Self::Arn(kind) => text.is_some_and(|text| kind.is_named_by(text) || references(text) == [text]),
            Self::Texts => value.as_object().is_some_and(|texts| {
                !texts.is_empty() && texts.iter().all(|(name, value)| is_attribute_name(name) && is_text(value))
            }),
            Self::TextsUnderAnyName => value.as_object().is_some_and(|texts| {
                !texts.is_empty() && texts.iter().all(|(name, value)| !name.is_empty() && is_text(value))
            }),
            Self::EventHook => value.as_object().is_some_and(|hooks| {
                let is_hook = |(event, flow): (&String, &Value)| {
                    flow_for(event).is_some() && Self::Arn(Kind::Flow(None)).takes(flow)
                };
                hooks.len() == 1 && hooks.iter().all(is_hook)
            }),
            Self::Messages => value.as_array().is_some_and(|messages| {
                let is_source = |(name, value): (&String, &Value)| match name.as_str() {
                    "Text" | "SSML" => Self::Prompt.takes(value),
                    "PromptId" => Self::Arn(Kind::Prompt).takes(value),
                    "Media" => MEDIA.takes(value),
                    _ => false,
                };
                let has_one_source = |message: &Value| {
                    message.as_object().is_some_and(|sources| sources.len() == 1 && sources.iter().all(is_source))
                };
                !messages.is_empty() && messages.iter().all(has_one_source)
            }),
            Self::NumberOrReference(least, most) => {
                Self::Number(*least, *most).takes(value) || Self::Reference.takes(value)
            }
            Self::Language => text.is_some_and(|text| {
                text.split_once('-').is_some_and(|(language, region)| {
                    (2..=3).contains(&language.len())
                        && language.bytes().all(|byte| byte.is_ascii_lowercase())
                        && region.len() == 2
                        && region.bytes().all(|byte| byte.is_ascii_uppercase())
                })
            }),
            Self::Words(words) => value
                .as_array()
                .is_some_and(|list| list.iter().all(|word| word.as_str().is_some_and(|word| words.contains(&word)))),
            Self::Object(entries) => value.as_object().is_some_and(|given| {
                let known = |name: &str| entries.iter().find(|entry| entry.name == name);
                entries.iter().all(|entry| !entry.is_required || given.contains_key(entry.name))
                    && given.iter().all(|(name, value)| known(name).is_some_and(|entry| entry.shape.takes(value)))
            }),
            Self::Map => value.is_object(),
            Self::Anything => true,
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
            Self::NumberOrReference(least, most) => {
                write!(f, "a whole number from {least} to {most}, or one reference")
            }
            Self::Language => f.write_str("a language such as en-US"),
            Self::Reference => f.write_str("one reference and nothing else"),
            Self::Arn(kind) => write!(f, "the ARN of {kind} or one reference and nothing else"),
            Self::Texts => f.write_str("an object of texts under names of letters, digits, - and _"),
            Self::TextsUnderAnyName => f.write_str("an object of texts"),
            Self::EventHook => f.write_str("the ARN of a flow under the name of one event"),
            Self::Messages => write!(f, "a list of messages with exactly one of {} each", MESSAGE_SOURCES.join(", ")),
            Self::Words(words) => write!(f, "a list of {}", words.join(", ")),
            Self::Object(entries) => {
                let names: Vec<_> = entries.iter().map(|entry| entry.name).collect();
                write!(f, "an object of {}, as documented", names.join(", "))
            }
            Self::Map => f.write_str("an object"),
            Self::Anything => f.write_str("a value"),
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
    /// Each of these, and no other: both must have a branch.
    Both(&'static str, &'static str),
    /// A number of agents, contacts or seconds.
    Metric,
    /// The end of a wait.
    Wait,
}

const CONTACT_FLOW: &[FlowType] = &[FlowType::ContactFlow, FlowType::Module];
const CUSTOMER_QUEUE: &[FlowType] = &[FlowType::CustomerQueue];
const NOT_IN_WHISPERS: &[FlowType] = &[FlowType::ContactFlow, FlowType::CustomerQueue, FlowType::Module];
const NO_WAY_BACK: &[FlowType] = &[FlowType::CustomerQueue, FlowType::AgentWhisper];
const EVERYWHERE: &[FlowType] =
    &[FlowType::ContactFlow, FlowType::CustomerQueue, FlowType::AgentWhisper, FlowType::Module];
const NO_MATCHING_ERROR: &[&str] = &["NoMatchingError"];
const NO_MATCHING_CONDITION: &[&str] = &["NoMatchingCondition"];

/// The type of flow that can be hooked to an event; `None` for an unknown event.
pub fn flow_for(event: &str) -> Option<&'static str> {
    match event {
        "CustomerRemaining" | "DefaultAgentUI" | "DisconnectAgentUI" | "PauseContact" | "ResumeContact" => {
            Some("contactFlow")
        }
        "CustomerQueue" => Some("customerQueue"),
        "AgentWhisper" => Some("agentWhisper"),
        "CustomerWhisper" => Some("customerWhisper"),
        "AgentHold" => Some("agentHold"),
        "CustomerHold" => Some("customerHold"),
        _ => None,
    }
}

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

/// One of AWS's own views, according to its page and AWS's samples.
pub struct View {
    pub name: &'static str,
    /// What an agent can do with it.
    pub actions: &'static [&'static str],
    /// The data without which it shows nothing.
    pub needs: &'static [&'static str],
}

/// The views that our flows use.
pub const VIEWS: [View; 2] = [
    View { name: "detail", actions: &["Back", "ActionSelected"], needs: &["Heading", "Sections"] },
    View { name: "form", actions: &["Back", "Next", "Step"], needs: &["Sections", "Next"] },
];

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
    is_terminal: false,
    flow_types: EVERYWHERE,
};

const TRUE_OR_FALSE: Shape = Shape::Word(&["True", "False"]);
const MEDIA: Shape = Shape::Object(&[
    required("Uri", Shape::Text),
    required("SourceType", Shape::Word(&["S3"])),
    optional("MediaType", Shape::Word(&["Audio"])),
]);
const PARTICIPANTS: Shape = Shape::Words(&["Agent", "Customer"]);
const ON_OR_OFF: Shape = Shape::Object(&[required("Enabled", TRUE_OR_FALSE)]);
const REDACTION: Shape = Shape::Object(&[
    required("Enabled", TRUE_OR_FALSE),
    optional("RedactionResults", Shape::Text),
    optional("RedactionMaskMode", Shape::Word(&["EntityType", "PII"])),
    optional("RedactionEntities", Shape::Anything),
    optional("DeliverUnprocessedMessages", TRUE_OR_FALSE),
]);
const SUMMARIES: Shape =
    Shape::Object(&[required("SummaryModes", Shape::Words(&["PostContact", "AutomatedInteraction"]))]);
const VOICE_ANALYTICS: Shape = Shape::Object(&[
    required("Enabled", TRUE_OR_FALSE),
    optional("AnalyticsLanguage", Shape::Language),
    optional("AnalyticsModes", Shape::Words(&["RealTime", "PostContact", "AutomatedInteraction"])),
    optional("ConversationalAnalyticsRedactionConfiguration", REDACTION),
    optional("SentimentConfiguration", ON_OR_OFF),
    optional("SummaryConfiguration", SUMMARIES),
]);
const VOICE_RECORDING: Shape = Shape::Object(&[
    required("RecordedParticipants", PARTICIPANTS),
    optional("IVRRecordingBehavior", Shape::Word(&["Enabled", "Disabled"])),
]);
const CHAT_ANALYTICS: Shape = Shape::Object(&[
    required("Enabled", TRUE_OR_FALSE),
    optional("AnalyticsLanguage", Shape::Language),
    optional("AnalyticsModes", Shape::Words(&["ContactLens"])),
    optional("ConversationalAnalyticsRedactionConfiguration", REDACTION),
    optional("InFlightChatRedactionConfiguration", REDACTION),
    optional("SentimentConfiguration", ON_OR_OFF),
    optional("SummaryConfiguration", SUMMARIES),
]);
const QUEUE_OR_AGENT: [&str; 2] = ["QueueId", "AgentId"];

/// The actions.
pub static ACTIONS: [ActionType; 33] = [
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
        // Required by its page, and missing in most exported flows.
        errors: &[],
        optional_errors: NO_MATCHING_ERROR,
        ..PLAIN
    },
    ActionType {
        name: "MessageParticipant",
        parameters: &[
            optional("Text", Shape::Prompt),
            optional("SSML", Shape::Prompt),
            optional("PromptId", Shape::Arn(Kind::Prompt)),
            optional("Media", MEDIA),
        ],
        exactly_one_of: &[&MESSAGE_SOURCES],
        ..PLAIN
    },
    ActionType {
        name: "MessageParticipantIteratively",
        parameters: &[
            required("Messages", Shape::Messages),
            optional("InterruptFrequencySeconds", Shape::Number(1, u64::MAX)),
            optional("ContinueMessagingDuringInterrupt", TRUE_OR_FALSE),
        ],
        errors: &[],
        optional_errors: NO_MATCHING_ERROR,
        results: Results::Interruption,
        flow_types: CUSTOMER_QUEUE,
        ..PLAIN
    },
    ActionType {
        name: "GetParticipantInput",
        parameters: &[
            optional("Text", Shape::Prompt),
            optional("SSML", Shape::Prompt),
            optional("PromptId", Shape::Arn(Kind::Prompt)),
            optional("Media", MEDIA),
            required("InputTimeLimitSeconds", Shape::Number(1, 180)),
            optional("StoreInput", TRUE_OR_FALSE),
            optional("InputValidation", Shape::Anything),
            optional("InputEncryption", Shape::Anything),
            optional("DTMFConfiguration", Shape::Anything),
        ],
        exactly_one_of: &[&MESSAGE_SOURCES],
        errors: NO_MATCHING_ERROR,
        optional_errors: &["NoMatchingCondition", "InputTimeLimitExceeded", "InvalidPhoneNumber"],
        results: Results::Key,
        flow_types: NOT_IN_WHISPERS,
        ..PLAIN
    },
    ActionType {
        name: "ConnectParticipantWithLexBot",
        parameters: &[
            optional("Text", Shape::Prompt),
            optional("SSML", Shape::Prompt),
            optional("PromptId", Shape::Arn(Kind::Prompt)),
            optional("Media", MEDIA),
            optional("LexV2Bot", Shape::Object(&[required("AliasArn", Shape::Arn(Kind::Bot))])),
            optional("LexBot", Shape::Anything),
            // Lex reads some of them itself, such as x-amz-lex:q-in-connect:ai-agent-arn.
            optional("LexSessionAttributes", Shape::TextsUnderAnyName),
            optional("LexInitializationData", Shape::Anything),
            optional("LexTimeoutSeconds", Shape::Anything),
        ],
        exactly_one_of: &[&MESSAGE_SOURCES, &["LexV2Bot", "LexBot"]],
        optional_errors: &["NoMatchingCondition", "InputTimeLimitExceeded"],
        results: Results::Value,
        flow_types: NOT_IN_WHISPERS,
        ..PLAIN
    },
    ActionType {
        name: "Compare",
        parameters: &[required("ComparisonValue", Shape::Reference)],
        errors: NO_MATCHING_CONDITION,
        results: Results::Value,
        ..PLAIN
    },
    ActionType {
        name: "Loop",
        parameters: &[required("LoopCount", Shape::NumberOrReference(0, 100))],
        errors: &[],
        optional_errors: NO_MATCHING_ERROR,
        results: Results::Both("ContinueLooping", "DoneLooping"),
        ..PLAIN
    },
    ActionType {
        name: "CheckHoursOfOperation",
        // Optional on its page; required by somebody who asked a live instance.
        parameters: &[optional("HoursOfOperationId", Shape::Arn(Kind::Hours))],
        results: Results::Both("True", "False"),
        flow_types: NOT_IN_WHISPERS,
        ..PLAIN
    },
    ActionType {
        name: "CheckMetricData",
        parameters: &[
            required("MetricType", Shape::Word(&METRICS)),
            optional("QueueId", Shape::Arn(Kind::Queue)),
            optional("AgentId", Shape::Text),
        ],
        errors: &["NoMatchingCondition", "NoMatchingError"],
        results: Results::Metric,
        flow_types: NOT_IN_WHISPERS,
        ..PLAIN
    },
    ActionType {
        name: "Wait",
        parameters: &[
            // The name in exported flows and the one on its page.
            optional("TimeLimitSeconds", Shape::Number(1, 604_800)),
            optional("TimeoutSeconds", Shape::Number(1, 604_800)),
            optional("Events", Shape::Words(&["CustomerReturned", "BotParticipantDisconnected"])),
        ],
        exactly_one_of: &[&["TimeLimitSeconds", "TimeoutSeconds"]],
        optional_errors: &["ParticipantNotFound"],
        results: Results::Wait,
        flow_types: NOT_IN_WHISPERS,
        ..PLAIN
    },
    ActionType {
        name: "UpdateContactAttributes",
        parameters: &[
            required("Attributes", Shape::Texts),
            optional("TargetContact", Shape::Word(&["Current", "Related"])),
        ],
        ..PLAIN
    },
    ActionType { name: "UpdateFlowAttributes", parameters: &[required("FlowAttributes", Shape::Anything)], ..PLAIN },
    ActionType {
        name: "UpdateContactData",
        parameters: &[
            optional("Name", Shape::Text),
            optional("Description", Shape::Text),
            optional("LanguageCode", Shape::Text),
            optional("CustomerId", Shape::Text),
            optional("References", Shape::Anything),
            optional("WisdomSessionArn", Shape::Text),
            optional("IsVoiceIdStreamingEnabled", Shape::Text),
            optional("IsVoiceAuthenticationEnabled", Shape::Text),
            optional("IsFraudDetectionEnabled", Shape::Text),
            optional("VoiceAuthenticationThreshold", Shape::Anything),
            optional("VoiceAuthenticationResponseTime", Shape::Anything),
            optional("FraudDetectionThreshold", Shape::Anything),
            optional("TargetContact", Shape::Word(&["Current", "Related"])),
        ],
        ..PLAIN
    },
    ActionType {
        name: "CreateWisdomSession",
        parameters: &[
            required("WisdomAssistantArn", Shape::Arn(Kind::Assistant)),
            // Not on its page; exported flows have it.
            optional("OrchestrationAIAgentConfiguration", Shape::Map),
        ],
        ..PLAIN
    },
    ActionType { name: "TagContact", parameters: &[required("Tags", Shape::Texts)], ..PLAIN },
    ActionType {
        name: "UpdateContactEventHooks",
        parameters: &[required("EventHooks", Shape::EventHook), optional("EventHooksConfiguration", Shape::Map)],
        ..PLAIN
    },
    ActionType {
        name: "UpdateContactTargetQueue",
        parameters: &[optional("QueueId", Shape::Arn(Kind::Queue)), optional("AgentId", Shape::Text)],
        exactly_one_of: &[&QUEUE_OR_AGENT],
        flow_types: CONTACT_FLOW,
        ..PLAIN
    },
    ActionType {
        name: "TransferContactToQueue",
        parameters: &[optional("QueueId", Shape::Arn(Kind::Queue))],
        errors: &["QueueAtCapacity", "NoMatchingError"],
        flow_types: CONTACT_FLOW,
        ..PLAIN
    },
    ActionType {
        name: "DequeueContactAndTransferToQueue",
        parameters: &[optional("QueueId", Shape::Arn(Kind::Queue)), optional("AgentId", Shape::Text)],
        exactly_one_of: &[&QUEUE_OR_AGENT],
        errors: &["QueueAtCapacity", "NoMatchingError"],
        flow_types: CUSTOMER_QUEUE,
        ..PLAIN
    },
    ActionType {
        name: "TransferToFlow",
        parameters: &[required("ContactFlowId", Shape::Arn(Kind::Flow(None)))],
        flow_types: CONTACT_FLOW,
        ..PLAIN
    },
    ActionType {
        name: "InvokeFlowModule",
        parameters: &[required("FlowModuleId", Shape::Arn(Kind::Module(None)))],
        // Two people who asked a live instance had to have it; exported flows don't.
        optional_errors: NO_MATCHING_CONDITION,
        flow_types: CONTACT_FLOW,
        ..PLAIN
    },
    ActionType {
        name: "UpdateContactRoutingBehavior",
        parameters: &[
            optional("QueuePriority", Shape::Number(1, i64::MAX as u64)),
            optional("QueueTimeAdjustmentSeconds", Shape::Number(1, i64::MAX as u64)),
        ],
        exactly_one_of: &[&["QueuePriority", "QueueTimeAdjustmentSeconds"]],
        errors: &[],
        flow_types: CONTACT_FLOW,
        ..PLAIN
    },
    ActionType {
        name: "UpdateContactRoutingCriteria",
        parameters: &[required("RoutingCriteria", Shape::Anything)],
        flow_types: NOT_IN_WHISPERS,
        ..PLAIN
    },
    ActionType {
        name: "UpdateContactCallbackNumber",
        parameters: &[required("CallbackNumber", Shape::Reference)],
        errors: &["InvalidCallbackNumber", "CallbackNumberNotDialable"],
        flow_types: NOT_IN_WHISPERS,
        ..PLAIN
    },
    ActionType {
        name: "CreateCallbackContact",
        parameters: &[
            optional("QueueId", Shape::Arn(Kind::Queue)),
            optional("AgentId", Shape::Text),
            optional("ContactFlowId", Shape::Arn(Kind::Flow(None))),
            optional("CallerId", Shape::Text),
            required("InitialCallDelaySeconds", Shape::Number(1, 259_200)),
            required("MaximumConnectionAttempts", Shape::Number(1, u64::MAX)),
            required("RetryDelaySeconds", Shape::Number(1, 259_200)),
        ],
        flow_types: NOT_IN_WHISPERS,
        ..PLAIN
    },
    ActionType {
        name: "InvokeLambdaFunction",
        parameters: &[
            required("LambdaFunctionARN", Shape::Arn(Kind::Function)),
            required("InvocationTimeLimitSeconds", Shape::Number(1, 8)),
            optional("InvocationType", Shape::Word(&["SYNCHRONOUS", "ASYNCHRONOUS"])),
            optional("LambdaInvocationAttributes", Shape::Texts),
            optional(
                "ResponseValidation",
                Shape::Object(&[required("ResponseType", Shape::Word(&["STRING_MAP", "JSON"]))]),
            ),
        ],
        ..PLAIN
    },
    ActionType {
        name: "UpdateContactRecordingBehavior",
        parameters: &[required("RecordingBehavior", Shape::Anything), optional("AnalyticsBehavior", Shape::Anything)],
        errors: &[],
        flow_types: NOT_IN_WHISPERS,
        ..PLAIN
    },
    ActionType {
        name: "UpdateContactRecordingAndAnalyticsBehavior",
        parameters: &[
            optional(
                "VoiceBehavior",
                Shape::Object(&[
                    required("VoiceRecordingBehavior", VOICE_RECORDING),
                    optional("VoiceAnalyticsBehavior", VOICE_ANALYTICS),
                ]),
            ),
            optional("ChatBehavior", Shape::Object(&[required("ChatAnalyticsBehavior", CHAT_ANALYTICS)])),
            optional(
                "ScreenRecordingBehavior",
                Shape::Object(&[required("ScreenRecordedParticipants", Shape::Words(&["Agent"]))]),
            ),
        ],
        exactly_one_of: &[&["VoiceBehavior", "ChatBehavior", "ScreenRecordingBehavior"]],
        errors: &["NoMatchingError", "ChannelMismatch"],
        optional_errors: &["InFlightRedactionConfigurationFailed"],
        flow_types: NOT_IN_WHISPERS,
        ..PLAIN
    },
    ActionType {
        name: "ShowView",
        parameters: &[
            required("ViewResource", Shape::Object(&[required("Id", Shape::Text), optional("Version", Shape::Text)])),
            required("InvocationTimeLimitSeconds", Shape::Number(1, u64::MAX)),
            optional("ViewData", Shape::Map),
            optional("SensitiveDataConfiguration", Shape::Anything),
        ],
        errors: &["NoMatchingCondition", "NoMatchingError", "TimeLimitExceeded"],
        results: Results::ViewAction,
        flow_types: CONTACT_FLOW,
        ..PLAIN
    },
    ActionType { name: "DisconnectParticipant", errors: &[], is_terminal: true, flow_types: NOT_IN_WHISPERS, ..PLAIN },
    ActionType { name: "EndFlowExecution", errors: &[], is_terminal: true, flow_types: NO_WAY_BACK, ..PLAIN },
    ActionType {
        name: "EndFlowModuleExecution",
        errors: &[],
        is_terminal: true,
        flow_types: &[FlowType::Module],
        ..PLAIN
    },
];

/// What `CheckMetricData` can look at. Of agents it can only say whether there are any.
pub const METRICS: [&str; 5] = [
    "NumberOfAgentsAvailable",
    "NumberOfAgentsStaffed",
    "NumberOfAgentsOnline",
    "OldestContactInQueueAgeSeconds",
    "NumberOfContactsInQueue",
];

/// A name that a flow can refer to.
fn is_attribute_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
}

/// The action type of this name.
pub fn action_type(name: &str) -> Option<&'static ActionType> {
    ACTIONS.iter().find(|action| action.name == name)
}

/// AWS's own view in an ARN like `arn:aws:connect:eu-central-1:aws:view/detail:1`, if our flows use it.
pub fn managed_view(resource: &Value) -> Option<&'static View> {
    let (_, view) = resource["Id"].as_str()?.split_once(":aws:view/")?;
    let name = view.split(':').next()?;
    VIEWS.iter().find(|view| view.name == name)
}
