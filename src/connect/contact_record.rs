//! A contact record: what Connect streams about a contact once it is over.
//!
//! After [AWS's data model](https://docs.aws.amazon.com/connect/latest/adminguide/ctr-data-model.html). One record is one
//! segment of a call: a transferred call has several. It comes at least once, and again when attributes change later.

use super::Contact;
use crate::json::Object;

/// A contact record, read as leniently as an event.
#[derive(Clone, Debug)]
pub struct ContactRecord<'a> {
    data: Object<'a>,
    contact: Contact<'a>,
}

impl<'a> ContactRecord<'a> {
    /// Reads a record of the stream, or `None` where it is of another kind. Agent events have no contact id, and the
    /// events of Contact Lens, which may share a stream, say that they are events.
    pub fn parse(json: &'a str) -> Option<Self> {
        let data = Object::parse(json)?;
        data.text("ContactId").filter(|id| !id.trim().is_empty())?;
        data.is_null("EventType").then(|| Self { contact: Contact::from_record(data.clone()), data })
    }

    /// The contact, with its attributes as they were when the record was made.
    pub fn contact(&self) -> &Contact<'a> {
        &self.contact
    }

    /// Whether it is a step-by-step guide on an agent's screen, which is a contact of its own.
    pub fn is_agent_guide(&self) -> bool {
        let subtype = self.data.object("SegmentAttributes").and_then(|all| all.object("connect:Subtype"));
        subtype.and_then(|subtype| subtype.text("ValueString")).is_some_and(|kind| kind == "connect:Guide")
    }

    /// Whether the call went on in another segment.
    pub fn has_next(&self) -> bool {
        !self.data.is_null("NextContactId")
    }

    /// Whether the call was transferred out of this segment.
    pub fn was_transferred(&self) -> bool {
        !self.data.is_null("TransferredToEndpoint") || !self.data.is_null("TransferCompletedTimestamp")
    }

    /// Whether an agent took the call in this segment.
    pub fn had_an_agent(&self) -> bool {
        !self.data.is_null("Agent")
    }

    /// Whether no agent took the call, neither in this segment nor in one before it.
    pub fn nobody_took_it(&self) -> bool {
        !self.had_an_agent() && self.data.is_null("PreviousContactId")
    }

    /// When the record was last changed, RFC 3339, as Connect writes it.
    pub fn last_update(&self) -> Option<String> {
        self.data.text("LastUpdateTimestamp")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_contact_record_is_none() {
        let agent_event = r#"{"AWSAccountId":"1","AgentARN":"arn","EventType":"STATE_CHANGE","EventId":"e"}"#;
        let contact_lens = r#"{"ContactId":"c","EventType":"STARTED","Version":"1.0.0"}"#;
        for text in
            ["", "null", "[]", "{}", "text", r#"{"ContactId":null}"#, r#"{"ContactId":" "}"#, agent_event, contact_lens]
        {
            assert!(ContactRecord::parse(text).is_none(), "{text}");
        }
        assert!(ContactRecord::parse(r#"{"ContactId":"c","EventType":null}"#).is_some());
    }

    #[test]
    fn a_record_tells_the_segments_of_a_call_apart() {
        let record = |inner: &str| format!(r#"{{"ContactId":"c"{inner}}}"#);
        let last = record(r#","NextContactId":null,"Agent":{"Username":"a"},"TransferredToEndpoint":null"#);
        let last = ContactRecord::parse(&last).unwrap();
        assert!(!last.has_next() && !last.was_transferred() && !last.nobody_took_it() && !last.is_agent_guide());

        let transferred = record(r#","NextContactId":"n","TransferredToEndpoint":{"Address":"q"}"#);
        let transferred = ContactRecord::parse(&transferred).unwrap();
        assert!(transferred.has_next() && transferred.was_transferred());
        let completed = record(r#","TransferCompletedTimestamp":"2026-02-07T10:30:00Z""#);
        assert!(ContactRecord::parse(&completed).unwrap().was_transferred());

        assert!(ContactRecord::parse(&record(r#","Agent":null,"PreviousContactId":null"#)).unwrap().nobody_took_it());
        assert!(!ContactRecord::parse(&record(r#","PreviousContactId":"p""#)).unwrap().nobody_took_it());
    }

    #[test]
    fn an_agent_guide_is_known_by_its_subtype() {
        let guide = r#"{"ContactId":"c","SegmentAttributes":{"connect:Subtype":{"ValueString":"connect:Guide"}}}"#;
        let sms = guide.replace("Guide", "SMS");
        assert!(ContactRecord::parse(guide).unwrap().is_agent_guide());
        assert!(!ContactRecord::parse(&sms).unwrap().is_agent_guide());
    }

    #[test]
    fn its_contact_reads_attributes_and_endpoints_like_an_events() {
        let record = r#"{"ContactId":"second","InitialContactId":"first","Attributes":{"customer_ref":"cust_1","n":7},
            "CustomerEndpoint":{"Address":"+12025550101","Type":"TELEPHONE_NUMBER"},"InitiationTimestamp":"2026-02-07T10:30:00Z"}"#;
        let record = ContactRecord::parse(record).unwrap();
        let contact = record.contact();
        assert_eq!(contact.value("customer_ref").as_deref(), Some("cust_1"));
        assert_eq!(contact.value("n").as_deref(), Some("7"));
        assert_eq!(contact.call_id().as_deref(), Some("first"));
        assert_eq!(contact.customer_number().unwrap().as_str(), "+12025550101");
        assert_eq!(contact.initiation_timestamp().as_deref(), Some("2026-02-07T10:30:00Z"));
    }
}
