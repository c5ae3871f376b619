//! The names of the values that flows and functions pass to each other. Connect does not notice a misspelt name: its
//! value is empty.

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

/// The system attributes that the flows use.
pub const SYSTEM: [&str; 1] = ["$.CustomerEndpoint.Address"];

/// The placeholders that the template fills in, each as `${name}`.
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
