//! The names by which flows and functions hand things to one another. Nothing in Connect notices a misspelt one: it reads
//! as empty.

/// What the identify function answers, with the default of `STICKY_CALLS_VARIABLES`.
pub const IDENTIFY_ANSWERS: [&str; 22] = [
    "customer_ref",
    "confidence",
    "is_returning_caller",
    "match_found",
    "last_issue",
    "last_issue_source",
    "has_open_intents",
    "open_intent",
    "open_intent_status",
    "open_intent_attempts",
    "open_intent_count",
    "identity_level",
    "recommendation",
    "call_id",
    "call_start",
    "lookup_status",
    "lookup_reason",
    "lookup_source",
    "var_name",
    "var_tier",
    "var_resolution",
    "var_call_date",
];

/// What the save function answers.
pub const SAVE_ANSWERS: [&str; 5] = ["success", "save_status", "error", "call_id", "saved_words"];

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

/// What the answers of the function behind this ARN, or its placeholder, are called.
pub fn answers_of(function_arn: &str) -> Option<&'static [&'static str]> {
    match function_arn {
        "${IdentifyFunctionArn}" => Some(&IDENTIFY_ANSWERS),
        "${SaveFunctionArn}" => Some(&SAVE_ANSWERS),
        _ => None,
    }
}
