//! What a record of a Kinesis stream holds: a contact record, an event of Contact Lens, or something else.

use super::ContactRecord;
use super::contact::LONGEST_ID;
use super::contact_lens::ContactLensSummary;
use crate::json::Object;

/// A record's content. Both kinds may come in one stream.
#[derive(Clone, Debug)]
pub enum StreamRecord<'a> {
    /// A contact record.
    Contact(ContactRecord<'a>),
    /// What Contact Lens summarised, or could not.
    ContactLens(ContactLensSummary),
    /// Anything else: an agent event, or an event of Contact Lens without a summary.
    Other,
}

impl<'a> StreamRecord<'a> {
    /// Reads a record's text. Returns `None` if it is not a JSON object.
    ///
    /// An event has an `EventType`, a `StreamingEventType` or `Segments`; a contact record has none of them. An agent
    /// event has no contact id.
    pub fn parse(json: &'a str) -> Option<Self> {
        let data = Object::parse(json)?;
        let has = |key: &str| !data.is_null(key);
        let is_event = has("EventType") || has("StreamingEventType") || has("Segments");
        let contact_id = data.text("ContactId").filter(|id| !id.trim().is_empty());
        Some(match contact_id {
            Some(contact_id) if contact_id.len() > LONGEST_ID && is_event => Self::Other,
            Some(contact_id) if is_event => {
                let summary = ContactLensSummary::find(json, &data, contact_id);
                summary.map_or(Self::Other, Self::ContactLens)
            }
            Some(_) => Self::Contact(ContactRecord::new(data)),
            None => Self::Other,
        })
    }

    /// The contact record, if it is one.
    pub fn contact_record(self) -> Option<ContactRecord<'a>> {
        match self {
            Self::Contact(record) => Some(record),
            Self::ContactLens(_) | Self::Other => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_of_agents_and_of_contact_lens_are_not_contact_records() {
        let agent_event = r#"{"AWSAccountId":"1","AgentARN":"arn","EventType":"STATE_CHANGE","EventId":"e"}"#;
        let contact_lens = r#"{"ContactId":"c","EventType":"STARTED","Version":"1.0.0"}"#;
        let of_a_chat = r#"{"ContactId":"c","StreamingEventType":"SEGMENTS","Version":"2.0.0"}"#;
        let of_another_version = r#"{"ContactId":"c","Segments":[],"Version":"9.0.0"}"#;
        let no_ids = [r#"{"ContactId":null}"#, r#"{"ContactId":" "}"#, "{}"];
        for text in [agent_event, contact_lens, of_a_chat, of_another_version].into_iter().chain(no_ids) {
            assert!(matches!(StreamRecord::parse(text), Some(StreamRecord::Other)), "{text}");
        }
        for text in ["", "null", "[]", "text", "{"] {
            assert!(StreamRecord::parse(text).is_none(), "{text}");
        }
        assert!(StreamRecord::parse(r#"{"ContactId":"c","EventType":null}"#).unwrap().contact_record().is_some());
    }
}
