//! The names by which flows and functions hand things to one another. Nothing in Connect notices a misspelt one: it reads
//! as empty.

use std::sync::LazyLock;

use serde_json::Value;

/// The words of the code: `UPDATE=1 cargo test --test generated` writes them.
static VOCABULARY: LazyLock<Value> = LazyLock::new(|| {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/template/vocabulary.json");
    let text = std::fs::read_to_string(path).expect("the vocabulary is there");
    serde_json::from_str(&text).expect("the vocabulary is JSON")
});

/// What the function behind this ARN, or its placeholder, answers, with the default of `STICKY_CALLS_VARIABLES`. `None` if
/// it is none of ours.
pub fn answers_of(function_arn: &str) -> Option<Vec<String>> {
    let handler = match function_arn {
        "${IdentifyFunctionArn}" => "start_call",
        "${SaveFunctionArn}" => "end_call",
        _ => return None,
    };
    let entries = |list: &str| VOCABULARY[list].as_array().into_iter().flatten();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let answered = entries("attributes").filter(|attribute| attribute["handler"] == handler);
    let mut names: Vec<_> = answered.map(|attribute| text(&attribute["name"])).collect();
    if handler == "start_call" {
        let variables = entries("settings").find(|setting| setting["name"] == "STICKY_CALLS_VARIABLES");
        let variables = variables.map(|setting| text(&setting["default"])).unwrap_or_default();
        names.extend(variables.split(',').map(|name| format!("var_{name}")));
    }
    Some(names)
}

/// What the functions look for among a block's parameters.
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

/// What the functions look for among a contact's attributes too, in an event or in a contact record.
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

/// What a contact may bring along before any flow of ours runs: from a chat's start, or from a flow of the shop's own that
/// looked into its CRM.
pub const BROUGHT_ALONG: [&str; 1] = ["customer_id"];

/// What Connect itself knows of a contact, as far as the flows use it.
pub const SYSTEM: [&str; 1] = ["$.CustomerEndpoint.Address"];

/// What the template puts into the flows, each as `${name}`.
pub const PLACEHOLDERS: [&str; 16] = [
    "IdentifyFunctionArn",
    "SaveFunctionArn",
    "DisconnectFlowArn",
    "QueueFlowArn",
    "AgentGuideFlowArn",
    "WrapUpFlowArn",
    "QueueArn",
    "BillingQueueArn",
    "TechnicalSupportQueueArn",
    "SalesQueueArn",
    "EscalationQueueArn",
    "VipQueueArn",
    "CrmUrl",
    "FlowLogging",
    "Partition",
    "Region",
];
