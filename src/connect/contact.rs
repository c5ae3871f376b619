//! The contact in an event, read leniently.
//!
//! What production sends is wider than [the documented
//! sample](https://docs.aws.amazon.com/connect/latest/adminguide/connect-lambda-functions.html): endpoints are `null`
//! for chats, absent things are `null` rather than missing, parameters may be numbers, booleans or nested. So
//! everything is optional here and a value of the wrong type is no value.

use super::PhoneNumber;
use crate::json::Object;

/// The API's limit for a `call_id`, in characters.
const MAX_CALL_ID_CHARS: usize = 128;

/// The lengths of the groups in a contact id: a UUID, of which AWS's documentation masks a part.
const CONTACT_ID_GROUPS: [std::ops::RangeInclusive<usize>; 5] = [8..=8, 4..=4, 4..=4, 4..=4, 11..=12];

/// A contact, with the attributes and the block's parameters that came with it.
#[derive(Clone, Debug)]
pub struct Contact<'a> {
    data: Object<'a>,
    attributes: Object<'a>,
    parameters: Object<'a>,
}

impl<'a> Contact<'a> {
    /// The contact of a flow event: a JSON object whose `Details.ContactData` is an object. `None` for anything else.
    pub fn from_flow_event(payload: &'a str) -> Option<Self> {
        let details = Object::parse(payload)?.object("Details")?;
        let data = details.object("ContactData")?;
        let attributes = data.object("Attributes").unwrap_or_default();
        let parameters = details.object("Parameters").unwrap_or_default();
        Some(Self { data, attributes, parameters })
    }

    /// The contact of a contact record, which has the same fields and no parameters.
    pub(super) fn from_record(record: Object<'a>) -> Self {
        let attributes = record.object("Attributes").unwrap_or_default();
        Self { data: record, attributes, parameters: Object::default() }
    }

    /// A value that the flow handed over: the block's parameter, else the contact attribute. Blank counts as absent; a
    /// number or boolean as its text.
    pub fn value(&self, name: &str) -> Option<String> {
        self.parameter(name).or_else(|| self.attribute(name))
    }

    /// A contact attribute: what a contact record will have too.
    pub fn attribute(&self, name: &str) -> Option<String> {
        not_blank(self.attributes.scalar(name)?)
    }

    /// A parameter of this very flow block.
    pub fn parameter(&self, name: &str) -> Option<String> {
        not_blank(self.parameters.scalar(name)?)
    }

    /// Names of all parameters and attributes that start with `prefix`, each without it and once.
    pub fn names_with_prefix(&self, prefix: &str) -> Vec<String> {
        let mut names: Vec<_> = self
            .parameters
            .keys()
            .chain(self.attributes.keys())
            .filter_map(|name| name.strip_prefix(prefix))
            .filter(|rest| !rest.trim().is_empty())
            .map(str::to_owned)
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The API's `call_id`: the value `call_id`, else the id of the call's first segment, else this segment's own; so it
    /// stays the same over transfers, in a disconnect flow, and in an agent guide that passes it on.
    ///
    /// `None` where there is none of them or it is longer than the API takes.
    pub fn call_id(&self) -> Option<String> {
        self.value("call_id")
            .or_else(|| self.text("InitialContactId"))
            .or_else(|| self.text("ContactId"))
            .filter(|id| id.chars().count() <= MAX_CALL_ID_CHARS)
    }

    /// The contact id, for the log: only where it [looks like one](is_contact_id), since a malformed event could hold
    /// anything there.
    pub fn contact_id(&self) -> Option<String> {
        self.text("ContactId").filter(|id| is_contact_id(id))
    }

    /// How the contact came to be; an open set: `INBOUND`, `TRANSFER`, `DISCONNECT`, …
    pub fn initiation_method(&self) -> Option<String> {
        self.text("InitiationMethod")
    }

    /// `VOICE`, `CHAT`, `TASK` or `EMAIL`.
    pub fn channel(&self) -> Option<String> {
        self.text("Channel")
    }

    /// When the contact began, RFC 3339. Contact records have it; flow events as AWS sends them today don't.
    pub fn initiation_timestamp(&self) -> Option<String> {
        self.text("InitiationTimestamp")
    }

    /// The customer's address as it stands: a number, an extension, an e-mail address, …
    pub fn customer_address(&self) -> Option<String> {
        self.address("CustomerEndpoint")
    }

    /// The caller's number (ANI).
    pub fn customer_number(&self) -> Option<PhoneNumber> {
        PhoneNumber::parse(&self.customer_address()?)
    }

    /// The number that was called (DNIS).
    pub fn system_number(&self) -> Option<PhoneNumber> {
        PhoneNumber::parse(&self.address("SystemEndpoint")?)
    }

    /// The address that an e-mail contact came from.
    pub fn customer_email(&self) -> Option<String> {
        let kind = self.data.object("CustomerEndpoint")?.text("Type")?;
        self.customer_address().filter(|address| kind == "EMAIL_ADDRESS" && address.contains('@'))
    }

    fn address(&self, endpoint: &str) -> Option<String> {
        self.data.object(endpoint)?.text("Address")
    }

    fn text(&self, name: &str) -> Option<String> {
        not_blank(self.data.text(name)?)
    }
}

/// Whether a text looks like a contact id and not like anything personal.
pub fn is_contact_id(text: &str) -> bool {
    let mut groups = text.split('-');
    let matches = CONTACT_ID_GROUPS.iter().all(|length| {
        groups.next().is_some_and(|group| {
            length.contains(&group.len()) && group.bytes().all(|byte| byte.is_ascii_alphanumeric())
        })
    });
    matches && groups.next().is_none()
}

fn not_blank(text: String) -> Option<String> {
    (!text.trim().is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contact(json: &str) -> Contact<'_> {
        Contact::from_flow_event(json).unwrap()
    }

    #[test]
    fn a_flow_event_is_one_whose_contact_data_is_an_object() {
        for payload in
            ["", "null", "[]", "{}", r#"{"Details":null}"#, r#"{"Details":{}}"#, r#"{"Details":{"ContactData":[]}}"#]
        {
            assert!(Contact::from_flow_event(payload).is_none(), "{payload}");
        }
        assert!(Contact::from_flow_event(r#"{"Details":{"ContactData":{}}}"#).is_some());
    }

    #[test]
    fn a_parameter_goes_before_an_attribute_and_blank_counts_as_absent() {
        let event = r#"{"Details":{"ContactData":{"Attributes":{"a":"attribute","b":"attribute","c":true,"d":null}},
            "Parameters":{"a":"parameter","b":"  ","n":42,"o":{"x":"y"}}}}"#;
        let contact = contact(event);
        assert_eq!(contact.value("a").as_deref(), Some("parameter"));
        assert_eq!(contact.value("b").as_deref(), Some("attribute"));
        assert_eq!(contact.value("c").as_deref(), Some("true"));
        assert_eq!(contact.value("n").as_deref(), Some("42"));
        assert_eq!(contact.value("o"), None);
        assert_eq!(contact.value("d"), None);
        assert_eq!(contact.parameter("c"), None);
    }

    #[test]
    fn a_call_keeps_its_id_over_transfers() {
        let event =
            |inner: &str| format!(r#"{{"Details":{{"ContactData":{{{inner}}},"Parameters":{{"call_id":" "}}}}}}"#);
        let id = |inner: &str| contact(&event(inner)).call_id();
        assert_eq!(
            id(r#""Attributes":{"call_id":"passed on"},"InitialContactId":"first""#).as_deref(),
            Some("passed on")
        );
        assert_eq!(id(r#""InitialContactId":"first","ContactId":"third""#).as_deref(), Some("first"));
        assert_eq!(id(r#""InitialContactId":null,"ContactId":"third""#).as_deref(), Some("third"));
        assert_eq!(id(r#""InitialContactId":7"#), None);
    }

    #[test]
    fn a_call_id_over_the_limit_of_the_api_is_none() {
        let id = |length| {
            let event = format!(r#"{{"Details":{{"ContactData":{{"ContactId":"{}"}}}}}}"#, "é".repeat(length));
            contact(&event).call_id().map(|id| id.chars().count())
        };
        assert_eq!(id(128), Some(128));
        assert_eq!(id(129), None);
    }

    #[test]
    fn a_contact_id_is_logged_only_where_it_looks_like_one() {
        let logged =
            |id: &str| contact(&format!(r#"{{"Details":{{"ContactData":{{"ContactId":"{id}"}}}}}}"#)).contact_id();
        assert!(logged("4a573372-1f28-4e26-b97b-XXXXXXXXXXX").is_some());
        assert!(logged("4a573372-1f28-4e26-b97b-0123456789ab").is_some());
        for id in ["+12025550123", "Jane Doe", "jane@example.com", "4a573372-1f28-4e26-b97b-0123456789ab-x", ""] {
            assert_eq!(logged(id), None, "{id}");
        }
    }

    #[test]
    fn chats_have_no_endpoints_and_emails_have_an_address() {
        let chat = r#"{"Details":{"ContactData":{"CustomerEndpoint":null}}}"#;
        assert_eq!(contact(chat).customer_number(), None);
        assert_eq!(contact(chat).system_number(), None);
        let email =
            r#"{"Details":{"ContactData":{"CustomerEndpoint":{"Address":"jane@example.com","Type":"EMAIL_ADDRESS"}}}}"#;
        assert_eq!(contact(email).customer_email().as_deref(), Some("jane@example.com"));
        assert_eq!(contact(email).customer_number(), None);
        let voip =
            r#"{"Details":{"ContactData":{"CustomerEndpoint":{"Address":"sip:jane@example.com","Type":"VOIP"}}}}"#;
        assert_eq!(contact(voip).customer_email(), None);
    }

    #[test]
    fn names_with_a_prefix_come_once_from_parameters_and_attributes() {
        let event = r#"{"Details":{"ContactData":{"Attributes":{"var_tier":"gold","var_":"x","name":"y"}},
            "Parameters":{"var_tier":"vip","var_name":"Jane"}}}"#;
        assert_eq!(contact(event).names_with_prefix("var_"), ["name", "tier"]);
    }
}
