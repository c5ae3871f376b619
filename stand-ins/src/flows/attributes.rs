//! The names of the values that flows and functions pass to each other. Connect does not notice a misspelt name: its
//! value is empty.

use std::fmt;
use std::sync::LazyLock;

use serde_json::Value;

/// The words of the code. `UPDATE=1 cargo test --test generated` writes the file.
static VOCABULARY: LazyLock<Value> = LazyLock::new(|| {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/template/vocabulary.json");
    let text = std::fs::read_to_string(path).expect("the vocabulary is there");
    serde_json::from_str(&text).expect("the vocabulary is JSON")
});

/// The attributes in the answer of the function with this ARN or placeholder, with the default of
/// `STICKY_CALLS_VARIABLES`. Returns `None` if it is not one of our functions.
pub fn answers_of(function_arn: &str) -> Option<&'static [String]> {
    static IDENTIFY: LazyLock<Vec<String>> = LazyLock::new(|| answers("start_call"));
    static SAVE: LazyLock<Vec<String>> = LazyLock::new(|| answers("end_call"));
    match function_arn {
        "${IdentifyFunctionArn}" => Some(&IDENTIFY),
        "${SaveFunctionArn}" => Some(&SAVE),
        _ => None,
    }
}

/// What surrounds flows, beside the defaults of the stack.
#[derive(Clone, Copy, Debug, Default)]
pub struct Surroundings {
    /// What `STICKY_CALLS_VARIABLES` names in addition to its default.
    pub variables: &'static [&'static str],
    /// The functions of the contact centre's own, by ARN or placeholder, with the attributes in their answers.
    pub functions: &'static [(&'static str, &'static [&'static str])],
}

impl Surroundings {
    /// Whether the function with this ARN or placeholder is known.
    pub fn knows(&self, function_arn: &str) -> bool {
        answers_of(function_arn).is_some() || self.own(function_arn).is_some()
    }

    /// Whether the answer of the function with this ARN or placeholder has this attribute.
    pub fn answers(&self, function_arn: &str, attribute: &str) -> bool {
        let variable = attribute.strip_prefix("var_").filter(|_| function_arn == "${IdentifyFunctionArn}");
        variable.is_some_and(|name| self.variables.contains(&name))
            || answers_of(function_arn).is_some_and(|answers| answers.iter().any(|known| known == attribute))
            || self.own(function_arn).is_some_and(|answers| answers.contains(&attribute))
    }

    /// What a function of the contact centre's own answers.
    fn own(&self, function_arn: &str) -> Option<&'static [&'static str]> {
        self.functions.iter().find(|(known, _)| *known == function_arn).map(|(_, answers)| *answers)
    }
}

fn answers(handler: &str) -> Vec<String> {
    let entries = |list: &str| VOCABULARY[list].as_array().into_iter().flatten();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let answered = entries("attributes").filter(|attribute| attribute["handler"] == handler);
    let mut names: Vec<_> = answered.map(|attribute| text(&attribute["name"])).collect();
    if handler == "start_call" {
        let variables = entries("settings").find(|setting| setting["name"] == "STICKY_CALLS_VARIABLES");
        let variables = variables.map(|setting| text(&setting["default"])).unwrap_or_default();
        names.extend(variables.split(',').map(|name| format!("var_{name}")));
    }
    names
}

/// The block parameters that the functions read.
pub const PARAMETERS: [&str; 15] = [
    "action",
    "call_id",
    "customer_ref",
    "caller_number",
    "customer_id",
    "email",
    "line_type",
    "returning_threshold",
    "sticky_calls_opt_out",
    "call_summary",
    "agent_notes",
    "intent",
    "intent_status",
    "call_date",
    "call_start",
];

/// The contact attributes that the functions read, from an event or from a contact record.
pub const READ_FROM_CONTACTS: [&str; 15] = [
    "call_id",
    "customer_ref",
    "customer_id",
    "email",
    "line_type",
    "sticky_calls_opt_out",
    "sticky_calls_saved",
    "caller_number",
    "lookup_status",
    "call_summary",
    "agent_notes",
    "intent",
    "intent_status",
    "call_date",
    "call_start",
];

/// The attributes that a contact may have before our flows run: from a chat's start, or from another flow of the
/// contact centre that looked into the CRM.
pub const BROUGHT_ALONG: [&str; 1] = ["customer_id"];

/// The attributes that our module stores under other names than the function's, for flows of other people. Under its own
/// name a variable would be written back by the save, cut to what a flow gets.
pub const FOR_OTHER_FLOWS: [&str; 3] = ["customer_name", "last_resolution", "last_call_date"];

/// What only agents may read. No prompt speaks it.
pub const FOR_AGENTS_EYES: [&str; 5] =
    ["customer_context", "last_resolution", "resolution", "agent_notes", "call_summary"];

/// [System attributes](https://docs.aws.amazon.com/connect/latest/adminguide/connect-attrib-list.html).
pub const SYSTEM: [&str; 17] = [
    "$.Channel",
    "$.ContactId",
    "$.CustomerEndpoint.Address",
    "$.CustomerEndpoint.Type",
    "$.CustomerId",
    "$.InitialContactId",
    "$.InitiationMethod",
    "$.InstanceARN",
    "$.LanguageCode",
    "$.PreviousContactId",
    "$.Queue.ARN",
    "$.Queue.Name",
    "$.StoredCustomerInput",
    "$.SystemEndpoint.Address",
    "$.SystemEndpoint.Type",
    "$.Views.Action",
    "$.Wisdom.SessionArn",
];

/// The namespaces of references. Each needs a name after it.
pub const NAMESPACES: [&str; 7] = [
    "$.External.",
    "$.Attributes.",
    "$.Views.ViewResultData.",
    "$.FlowAttributes.",
    "$.Lex.",
    "$.Customer.",
    "$.Media.Sip.Headers.",
];

/// What an ARN in a flow names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Function,
    /// A flow; ours with its file's name.
    Flow(Option<&'static str>),
    /// A module; ours with its file's name.
    Module(Option<&'static str>),
    Queue,
    Hours,
    Prompt,
    /// An alias of a Lex bot.
    Bot,
    /// An assistant, in which sessions of AI agents are created.
    Assistant,
    AiAgent,
    /// A placeholder of the template that stands for no ARN.
    Word,
}

impl Kind {
    /// The thing's name in its ARN.
    fn path(self) -> &'static str {
        match self {
            Self::Function => ":function:",
            Self::Flow(_) => "/contact-flow/",
            Self::Module(_) => "/flow-module/",
            Self::Queue => "/queue/",
            Self::Hours => "/operating-hours/",
            Self::Prompt => "/prompt/",
            Self::Bot => ":bot-alias/",
            Self::Assistant => ":assistant/",
            Self::AiAgent => ":ai-agent/",
            Self::Word => "",
        }
    }

    /// Whether this text is the ARN or the id of such a thing, or the template's placeholder for one.
    pub fn is_named_by(self, text: &str) -> bool {
        let is_id = text.len() == 36 && text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
        match placeholder(text) {
            Some(kind) => std::mem::discriminant(&kind) == std::mem::discriminant(&self),
            None => is_id || (text.starts_with("arn:") && text.contains(self.path())),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Function => "a function",
            Self::Flow(_) => "a flow",
            Self::Module(_) => "a module",
            Self::Queue => "a queue",
            Self::Hours => "hours of operation",
            Self::Prompt => "a prompt",
            Self::Bot => "an alias of a bot",
            Self::Assistant => "an assistant",
            Self::AiAgent => "an AI agent",
            Self::Word => "nothing",
        })
    }
}

/// The placeholders that the template fills in, each as `${name}`, with what they stand for.
const PLACEHOLDERS: [(&str, Kind); 27] = [
    ("IdentifyFunctionArn", Kind::Function),
    ("SaveFunctionArn", Kind::Function),
    ("IdentifyModuleArn", Kind::Module(Some("identify"))),
    ("SaveModuleArn", Kind::Module(Some("save"))),
    ("ContactLensModuleArn", Kind::Module(Some("contact-lens"))),
    ("RouteFlowArn", Kind::Flow(Some("route"))),
    ("CallbackFlowArn", Kind::Flow(Some("callback"))),
    ("QueueFlowArn", Kind::Flow(Some("queue"))),
    ("DisconnectFlowArn", Kind::Flow(Some("disconnect"))),
    ("AgentGuideFlowArn", Kind::Flow(Some("agent-guide"))),
    ("AgentWhisperFlowArn", Kind::Flow(Some("agent-whisper"))),
    ("WrapUpFlowArn", Kind::Flow(Some("wrap-up"))),
    ("QueueArn", Kind::Queue),
    ("BillingQueueArn", Kind::Queue),
    ("TechnicalSupportQueueArn", Kind::Queue),
    ("SalesQueueArn", Kind::Queue),
    ("EscalationQueueArn", Kind::Queue),
    ("VipQueueArn", Kind::Queue),
    // A queue of callbacks' own, or the caller's: $.Queue.ARN.
    ("CallbackQueue", Kind::Queue),
    ("OwnCallbackQueue", Kind::Word),
    ("OwnVipQueue", Kind::Word),
    ("HoursArn", Kind::Hours),
    ("ContactLens", Kind::Word),
    ("CrmUrl", Kind::Word),
    ("FlowLogging", Kind::Word),
    ("Partition", Kind::Word),
    ("Region", Kind::Word),
];

/// The placeholders that only the recipes' flows have.
const PLACEHOLDERS_OF_RECIPES: [(&str, Kind); 6] = [
    ("IdentifyLanguageModuleArn", Kind::Module(Some("identify-language"))),
    ("CrmFunctionArn", Kind::Function),
    ("SessionDataFunctionArn", Kind::Function),
    ("LexBotAliasArn", Kind::Bot),
    ("AssistantArn", Kind::Assistant),
    ("AiAgentArn", Kind::AiAgent),
];

/// What a text stands for that is nothing but a placeholder. Returns `None` for any other text.
pub fn placeholder(text: &str) -> Option<Kind> {
    let name = text.strip_prefix("${")?.strip_suffix('}')?;
    kind_of(name)
}

/// What the placeholder of this name stands for. Returns `None` for an unknown one.
pub fn kind_of(name: &str) -> Option<Kind> {
    let mut known = PLACEHOLDERS.iter().chain(&PLACEHOLDERS_OF_RECIPES);
    known.find(|(known, _)| *known == name).map(|(_, kind)| *kind)
}
