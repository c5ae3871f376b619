//! A contact record: what Connect streams about a contact after its end.
//!
//! See [AWS's data model](https://docs.aws.amazon.com/connect/latest/adminguide/ctr-data-model.html). One record is
//! about one segment of a call; a transferred call has several. It comes at least once, and again when attributes
//! change later.

use super::contact::LONGEST_ID;
use super::{Contact, ContactKind};
use crate::json::Object;

/// The disconnect reasons of a call in which the customer talked to an agent or a flow.
const ENDS_OF_A_CALL: [&str; 3] = ["CUSTOMER_DISCONNECT", "AGENT_DISCONNECT", "CONTACT_FLOW_DISCONNECT"];

/// The beginnings of the detection states that mean a machine, a tone, or no answer.
const MACHINES: [&str; 4] = ["VOICEMAIL_", "FAX_", "SIT_TONE_", "AMD_UNANSWERED"];

/// How a call ended, according to its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// A callback that did not reach the customer.
    NotReached,
    /// The customer hung up while waiting in a queue.
    Abandoned,
    /// Everything else: an agent or a flow has served the customer.
    Served,
}

/// A contact record, read as leniently as an event.
#[derive(Clone, Debug)]
pub struct ContactRecord<'a> {
    data: Object<'a>,
    contact: Contact<'a>,
}

impl<'a> ContactRecord<'a> {
    /// The record in this JSON object, which [`StreamRecord`](super::StreamRecord) has recognised.
    pub(super) fn new(data: Object<'a>) -> Self {
        Self { contact: Contact::from_record(data.clone()), data }
    }

    /// The contact's own id, unless it is longer than Connect's ids are.
    pub fn contact_id(&self) -> Option<String> {
        self.data.text("ContactId").filter(|id| id.len() <= LONGEST_ID)
    }

    /// The contact, with its attributes at the time of the record.
    pub fn contact(&self) -> &Contact<'a> {
        &self.contact
    }

    /// Whether its data was deleted by request. Connect then [sends the record
    /// again](https://docs.aws.amazon.com/connect/latest/APIReference/API_DeleteContactData.html) with the rest of its
    /// data.
    pub fn is_redacted(&self) -> bool {
        let segment = self.data.object("SegmentAttributes").unwrap_or_default();
        segment.raw("connect:RedactedFields").is_some()
    }

    /// Whether the call went on in another segment.
    pub fn has_next(&self) -> bool {
        self.data.text("NextContactId").is_some_and(|id| !id.trim().is_empty())
    }

    /// How the call ended, for a call without an `intent_status`.
    pub fn ending(&self) -> Ending {
        let reason = self.data.text("DisconnectReason").filter(|reason| !reason.trim().is_empty());
        let had_agent = !self.data.is_null("Agent");
        if self.contact.kind() == ContactKind::Callback {
            let ended_in_a_call = reason.as_deref().is_none_or(|reason| ENDS_OF_A_CALL.contains(&reason));
            if !had_agent || !ended_in_a_call || self.a_machine_answered() {
                return Ending::NotReached;
            }
        }
        let customer_left = reason.as_deref().is_none_or(|reason| reason == "CUSTOMER_DISCONNECT");
        if !self.data.is_null("Queue") && !had_agent && customer_left { Ending::Abandoned } else { Ending::Served }
    }

    /// Whether [answering machine
    /// detection](https://docs.aws.amazon.com/connect/latest/adminguide/ctr-data-model.html) heard no person.
    fn a_machine_answered(&self) -> bool {
        let heard = self.data.text("AnsweringMachineDetectionStatus").unwrap_or_default();
        MACHINES.iter().any(|machine| heard.starts_with(machine))
    }

    /// When the record was last changed, RFC 3339, as Connect writes it.
    pub fn last_update(&self) -> Option<String> {
        self.data.text("LastUpdateTimestamp")
    }
}

#[cfg(test)]
mod tests {
    use super::super::StreamRecord;
    use super::*;

    fn parse(json: &str) -> Option<ContactRecord<'_>> {
        StreamRecord::parse(json)?.contact_record()
    }

    fn record(inner: &str) -> String {
        format!(r#"{{"ContactId":"c"{inner}}}"#)
    }

    #[test]
    fn the_last_segment_of_a_call_has_no_next_one() {
        for none in ["null", "7", r#"" ""#] {
            assert!(!parse(&record(&format!(r#","NextContactId":{none}"#))).unwrap().has_next(), "{none}");
        }
        assert!(parse(&record(r#","NextContactId":"n""#)).unwrap().has_next());
    }

    #[test]
    fn only_a_caller_who_hangs_up_in_the_queue_has_abandoned_the_call() {
        let ending = |inner: &str| parse(&record(inner)).unwrap().ending();
        let queued = r#","Queue":{"Name":"q"},"Agent":null"#;
        for reason in [r#","DisconnectReason":"CUSTOMER_DISCONNECT""#, "", r#","DisconnectReason":null"#] {
            assert_eq!(ending(&format!("{queued}{reason}")), Ending::Abandoned, "{reason}");
        }
        for inner in [
            r#","Queue":{"Name":"q"},"Agent":null,"DisconnectReason":"CONTACT_FLOW_DISCONNECT""#,
            r#","Queue":{"Name":"q"},"Agent":{"Username":"a"},"DisconnectReason":"CUSTOMER_DISCONNECT""#,
            r#","Queue":null,"Agent":null,"DisconnectReason":"CUSTOMER_DISCONNECT""#,
            "",
        ] {
            assert_eq!(ending(inner), Ending::Served, "{inner}");
        }
    }

    #[test]
    fn a_callback_is_served_only_if_it_reached_the_customer() {
        let ending =
            |inner: &str| parse(&record(&format!(r#","InitiationMethod":"CALLBACK"{inner}"#))).unwrap().ending();
        const AGENT: &str = r#","Agent":{"Username":"a"}"#;
        for inner in [
            r#","DisconnectReason":"TELECOM_UNANSWERED""#.to_owned(),
            r#","DisconnectReason":"CUSTOMER_DISCONNECT""#.to_owned(),
            format!(r#"{AGENT},"DisconnectReason":"TELECOM_BUSY""#),
            format!(
                r#"{AGENT},"DisconnectReason":"AGENT_DISCONNECT","AnsweringMachineDetectionStatus":"VOICEMAIL_BEEP""#
            ),
        ] {
            assert_eq!(ending(&inner), Ending::NotReached, "{inner}");
        }
        for reason in ["CUSTOMER_DISCONNECT", "AGENT_DISCONNECT", "CONTACT_FLOW_DISCONNECT"] {
            assert_eq!(ending(&format!(r#"{AGENT},"DisconnectReason":"{reason}""#)), Ending::Served, "{reason}");
        }
        let human = format!(r#"{AGENT},"AnsweringMachineDetectionStatus":"HUMAN_ANSWERED""#);
        assert_eq!(ending(&human), Ending::Served);
    }

    #[test]
    fn a_deleted_record_is_recognised_whatever_the_value_of_its_segment_attribute() {
        for value in [r#"{"ValueString":"ALL"}"#, r#"{"ValueList":[]}"#, "null", "7", r#""""#] {
            let redacted = record(&format!(r#","SegmentAttributes":{{"connect:RedactedFields":{value}}}"#));
            assert!(parse(&redacted).unwrap().is_redacted(), "{value}");
        }
        assert!(!parse(&record(r#","SegmentAttributes":{}"#)).unwrap().is_redacted());
    }

    #[test]
    fn a_records_contact_is_read_like_an_events() {
        let record = r#"{"ContactId":"second","InitialContactId":"first","Attributes":{"customer_ref":"cust_1","n":7},
            "CustomerEndpoint":{"Address":"+12025550101","Type":"TELEPHONE_NUMBER"},"InitiationTimestamp":"2026-02-07T10:30:00Z"}"#;
        let record = parse(record).unwrap();
        let contact = record.contact();
        assert_eq!(contact.value("customer_ref").as_deref(), Some("cust_1"));
        assert_eq!(contact.value("n").as_deref(), Some("7"));
        assert_eq!(contact.call_ids().next().as_deref(), Some("first"));
        assert_eq!(contact.customer_number().unwrap().as_str(), "+12025550101");
        assert_eq!(contact.initiation_timestamp().as_deref(), Some("2026-02-07T10:30:00Z"));
    }
}
