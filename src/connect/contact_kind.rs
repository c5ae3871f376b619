//! What kind of contact it is, and whether it is looked up and saved. Nothing else decides this for flows; of the
//! records, `handlers/contact_records.rs` leaves out more.
//!
//! The kind follows from [the initiation
//! method](https://docs.aws.amazon.com/connect/latest/adminguide/contact-initiation-methods.html), the channel and the
//! [segment attributes](https://docs.aws.amazon.com/connect/latest/adminguide/connect-attrib-list.html). Connect may
//! add methods; a contact with an unknown method counts as a customer's.

/// What a contact is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContactKind {
    /// A step-by-step guide on an agent's screen. It belongs to a call's contact.
    Guide,
    /// A supervisor who listens in.
    Listener,
    /// The leg of a third party that an agent has dialled.
    ThirdParty,
    /// The contact in which a disconnect flow runs.
    DisconnectFlow,
    /// A call that goes on after a transfer, or a consulted colleague's leg.
    Continued,
    /// A callback.
    Callback,
    /// A contact that we placed ourselves.
    PlacedByUs,
    /// A contact that a customer began.
    Customers,
}

/// Which records of a kind of contact are saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordRule {
    /// No record.
    Never,
    /// Records in which somebody wrote something.
    OnlyWithText,
    /// Every record.
    Always,
}

impl ContactKind {
    /// The kind of a contact with this `InitiationMethod`, `Channel`, `connect:Subtype` and `connect:Direction`. The
    /// first rule that fits decides.
    pub(super) fn new(
        method: Option<&str>,
        channel: Option<&str>,
        subtype: Option<&str>,
        direction: Option<&str>,
    ) -> Self {
        if subtype == Some("connect:Guide") {
            return Self::Guide;
        }
        match method.unwrap_or_default() {
            "MONITOR" => Self::Listener,
            "EXTERNAL_OUTBOUND" => Self::ThirdParty,
            "DISCONNECT" => Self::DisconnectFlow,
            "TRANSFER" | "QUEUE_TRANSFER" => Self::Continued,
            "CALLBACK" | "CALLBACK_CUSTOMER_FIRST_QUEUED" | "CALLBACK_CUSTOMER_FIRST_DIALED" => Self::Callback,
            "OUTBOUND" | "AGENT_REPLY" | "CAMPAIGN_PREVIEW" | "FLOW" => Self::PlacedByUs,
            // Customers' chats and tasks have the method `API` too. A voice contact with it is a call that we placed.
            "API" if channel == Some("VOICE") => Self::PlacedByUs,
            _ if direction == Some("OUTBOUND") => Self::PlacedByUs,
            _ => Self::Customers,
        }
    }

    /// Whether identify looks it up: only a contact that a customer began.
    pub fn is_identified(self) -> bool {
        self == Self::Customers
    }

    /// Whether a flow's save is about the customer's call.
    pub fn is_saved_by_flows(self) -> bool {
        !matches!(self, Self::Listener | Self::ThirdParty)
    }

    /// Which of its records are saved.
    pub fn record_rule(self) -> RecordRule {
        match self {
            Self::Guide | Self::Listener | Self::ThirdParty | Self::DisconnectFlow => RecordRule::Never,
            Self::PlacedByUs => RecordRule::OnlyWithText,
            Self::Continued | Self::Callback | Self::Customers => RecordRule::Always,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Contact;
    use super::*;

    /// The contact of an event with these fields.
    fn kind(fields: &str) -> ContactKind {
        Contact::from_flow_event(&format!(r#"{{"Details":{{"ContactData":{{{fields}}}}}}}"#)).unwrap().kind()
    }

    fn by_method(method: &str) -> ContactKind {
        kind(&format!(r#""InitiationMethod":"{method}","Channel":"VOICE""#))
    }

    fn with_segment(method: &str, channel: &str, segment: &str) -> ContactKind {
        kind(&format!(r#""InitiationMethod":"{method}","Channel":"{channel}","SegmentAttributes":{segment}"#))
    }

    #[test]
    fn each_kind_of_contact_is_recognised_and_looked_up_and_saved_by_its_rule() {
        use ContactKind::{Callback, Continued, Customers, DisconnectFlow, Guide, Listener, PlacedByUs, ThirdParty};
        use RecordRule::{Always, Never, OnlyWithText};
        const OUTBOUND: &str = r#"{"connect:Direction":{"ValueString":"OUTBOUND"}}"#;
        const GUIDE: &str = r#"{"connect:Subtype":{"ValueString":"connect:Guide"}}"#;
        let rows = [
            (with_segment("API", "CHAT", GUIDE), Guide, false, true, Never),
            // The rows are tried from the top.
            (with_segment("DISCONNECT", "CHAT", GUIDE), Guide, false, true, Never),
            (by_method("MONITOR"), Listener, false, false, Never),
            (by_method("EXTERNAL_OUTBOUND"), ThirdParty, false, false, Never),
            (by_method("DISCONNECT"), DisconnectFlow, false, true, Never),
            (by_method("TRANSFER"), Continued, false, true, Always),
            (by_method("QUEUE_TRANSFER"), Continued, false, true, Always),
            (with_segment("TRANSFER", "VOICE", OUTBOUND), Continued, false, true, Always),
            (by_method("CALLBACK"), Callback, false, true, Always),
            (by_method("CALLBACK_CUSTOMER_FIRST_QUEUED"), Callback, false, true, Always),
            (by_method("CALLBACK_CUSTOMER_FIRST_DIALED"), Callback, false, true, Always),
            (by_method("OUTBOUND"), PlacedByUs, false, true, OnlyWithText),
            (by_method("AGENT_REPLY"), PlacedByUs, false, true, OnlyWithText),
            (by_method("CAMPAIGN_PREVIEW"), PlacedByUs, false, true, OnlyWithText),
            (by_method("FLOW"), PlacedByUs, false, true, OnlyWithText),
            (by_method("API"), PlacedByUs, false, true, OnlyWithText),
            (with_segment("API", "CHAT", OUTBOUND), PlacedByUs, false, true, OnlyWithText),
            (with_segment("SOMETHING_NEW", "CHAT", OUTBOUND), PlacedByUs, false, true, OnlyWithText),
            (by_method("INBOUND"), Customers, true, true, Always),
            (by_method("WEBRTC_API"), Customers, true, true, Always),
            (by_method("SOMETHING_NEW"), Customers, true, true, Always),
            (with_segment("API", "CHAT", "{}"), Customers, true, true, Always),
            (
                with_segment("API", "TASK", r#"{"connect:Direction":{"ValueString":"INBOUND"}}"#),
                Customers,
                true,
                true,
                Always,
            ),
        ];
        for (number, (kind, expected, identified, saved, record)) in rows.into_iter().enumerate() {
            assert_eq!(kind, expected, "row {number}");
            assert_eq!(
                (kind.is_identified(), kind.is_saved_by_flows(), kind.record_rule()),
                (identified, saved, record)
            );
        }
    }

    #[test]
    fn a_contact_with_a_missing_or_mistyped_method_or_segment_attribute_counts_as_a_customers() {
        for fields in [
            "",
            r#""InitiationMethod":null"#,
            r#""InitiationMethod":7"#,
            r#""InitiationMethod":["MONITOR"]"#,
            r#""InitiationMethod":"monitor""#,
            r#""InitiationMethod":"API""#,
            r#""InitiationMethod":"API","Channel":null"#,
        ] {
            assert_eq!(kind(fields), ContactKind::Customers, "{fields}");
        }
        for segment in [
            "null",
            "[]",
            r#""connect:Guide""#,
            r#"{"connect:Subtype":"connect:Guide"}"#,
            r#"{"connect:Subtype":{"ValueString":null}}"#,
            r#"{"connect:Subtype":{"ValueString":["connect:Guide"]}}"#,
            r#"{"connect:Subtype":{"ValueInteger":1},"connect:Direction":"OUTBOUND"}"#,
            r#"{"connect:Direction":{"ValueMap":{"OUTBOUND":{}}}}"#,
        ] {
            assert_eq!(with_segment("INBOUND", "VOICE", segment), ContactKind::Customers, "{segment}");
        }
    }
}
