//! The contact in an event, read leniently.
//!
//! Production events differ from [the documented
//! sample](https://docs.aws.amazon.com/connect/latest/adminguide/connect-lambda-functions.html): endpoints are `null`
//! for chats, absent values are `null` rather than missing, parameters may be numbers, booleans or nested. So
//! everything is optional here, and a value of the wrong type counts as absent.

use super::{ContactKind, PhoneNumber};
use crate::json::Object;

/// The lengths of the groups in a contact id: a UUID. In AWS's sample the last group is masked and has 11 characters.
const CONTACT_ID_GROUPS: [std::ops::RangeInclusive<usize>; 5] = [8..=8, 4..=4, 4..=4, 4..=4, 11..=12];

/// The longest contact id that [Connect's API](https://docs.aws.amazon.com/connect/latest/APIReference/API_DescribeContact.html)
/// takes.
pub(super) const LONGEST_ID: usize = 256;

/// A contact, with the attributes and the block's parameters that came with it.
#[derive(Clone, Debug)]
pub struct Contact<'a> {
    data: Object<'a>,
    attributes: Object<'a>,
    parameters: Object<'a>,
    kind: ContactKind,
}

impl<'a> Contact<'a> {
    /// The contact of a flow event: a JSON object whose `Details.ContactData` is an object. Returns `None` for anything
    /// else.
    pub fn from_flow_event(payload: &'a str) -> Option<Self> {
        Self::in_event(&Object::parse(payload)?)
    }

    /// The same for an event that has been parsed.
    pub fn in_event(event: &Object<'a>) -> Option<Self> {
        let details = event.object("Details")?;
        let data = details.object("ContactData")?;
        Some(Self::new(data, details.object("Parameters").unwrap_or_default()))
    }

    /// The contact of a contact record, which has the same fields and no parameters.
    pub(super) fn from_record(record: Object<'a>) -> Self {
        Self::new(record, Object::default())
    }

    fn new(data: Object<'a>, parameters: Object<'a>) -> Self {
        let attributes = data.object("Attributes").unwrap_or_default();
        let segment = data.object("SegmentAttributes").unwrap_or_default();
        let value = |name: &str| segment.object(name)?.text("ValueString");
        let (method, channel) = (data.text("InitiationMethod"), data.text("Channel"));
        let (subtype, direction) = (value("connect:Subtype"), value("connect:Direction"));
        let kind = ContactKind::new(method.as_deref(), channel.as_deref(), subtype.as_deref(), direction.as_deref());
        Self { data, attributes, parameters, kind }
    }

    /// A value that the flow passed: the block's parameter, else the contact attribute. A blank value counts as absent,
    /// a number or boolean as its text.
    pub fn value(&self, name: &str) -> Option<String> {
        self.parameter(name).or_else(|| self.attribute(name))
    }

    /// A contact attribute. Unlike a parameter, it is in the contact record too.
    pub fn attribute(&self, name: &str) -> Option<String> {
        not_blank(self.attributes.scalar(name)?)
    }

    /// A parameter of this flow block.
    pub fn parameter(&self, name: &str) -> Option<String> {
        not_blank(self.parameters.scalar(name)?)
    }

    /// The ids that may identify the call, the best first: the block's parameter `call_id`, the id of the call's first
    /// segment, this segment's own id. So the id stays the same over transfers and in a disconnect flow. An agent's
    /// guide is a contact of its own: after the parameter, its attribute `call_id` counts, then the contact that it is
    /// related to.
    ///
    /// Other contacts' attribute `call_id` is ignored. Connect copies attributes to related contacts (linked tasks,
    /// resumed chats), and a copied id is another call's.
    pub fn call_ids(&self) -> impl Iterator<Item = String> {
        let own = match self.kind {
            ContactKind::Guide => [self.attribute("call_id"), self.text("RelatedContactId")],
            _ => [self.text("InitialContactId"), self.text("ContactId")],
        };
        std::iter::once(self.parameter("call_id")).chain(own).flatten()
    }

    /// What the contact is.
    pub fn kind(&self) -> ContactKind {
        self.kind
    }

    /// Whether Connect [simulates the
    /// contact](https://docs.aws.amazon.com/connect/latest/adminguide/testing-simulation.html) to test a flow.
    pub fn is_simulated(&self) -> bool {
        let test_type = self.segment_attribute("connect:ValidationTestType");
        test_type.and_then(|value| value.text("ValueString")).is_some_and(|text| !text.trim().is_empty())
    }

    /// Whether its method is `TRANSFER`: the segment after a transfer, or a consulted colleague's.
    pub fn is_a_transfer(&self) -> bool {
        self.text("InitiationMethod").as_deref() == Some("TRANSFER")
    }

    /// The customer's id, as the chat's back end or the flow has set it on the contact. If the customer had to
    /// [authenticate](https://docs.aws.amazon.com/connect/latest/adminguide/customer-auth.html) and did not, `None`.
    pub fn customer_id(&self) -> Option<String> {
        self.text("CustomerId").filter(|_| self.is_authentic())
    }

    /// Whether no authentication was required, or it succeeded. The form of the status in an event is not
    /// documented, so it is read in every form that segment attributes have.
    fn is_authentic(&self) -> bool {
        const NAME: &str = "connect:CustomerAuthentication";
        let segment = self.data.object("SegmentAttributes").unwrap_or_default();
        if segment.is_null(NAME) {
            return true;
        }
        let Some(authentication) = segment.object(NAME) else { return false };
        let status = |of: &Object<'_>| of.text("Status").or_else(|| of.object("Status")?.text("ValueString"));
        let said = authentication
            .object("ValueMap")
            .and_then(|map| status(&map))
            .or_else(|| status(&authentication))
            .or_else(|| authentication.text("ValueString"));
        said.as_deref() == Some("AUTHENTICATED")
    }

    fn segment_attribute(&self, name: &str) -> Option<Object<'a>> {
        self.data.object("SegmentAttributes")?.object(name)
    }

    /// The contact id, for the log. `None` if it does not [look like one](is_contact_id): a malformed event could hold
    /// personal data there.
    pub fn contact_id(&self) -> Option<String> {
        self.text("ContactId").filter(|id| is_contact_id(id))
    }

    /// Whether a disconnect flow runs in it.
    pub fn is_a_disconnect_flow(&self) -> bool {
        self.text("InitiationMethod").as_deref() == Some("DISCONNECT")
    }

    /// When the contact began, RFC 3339. Contact records have it; AWS's flow events do not have it today.
    pub fn initiation_timestamp(&self) -> Option<String> {
        self.text("InitiationTimestamp")
    }

    /// The customer's address, unchanged: a number, an extension, an e-mail address, … An agent's guide has no address,
    /// so the value `caller_number` is used.
    pub fn customer_address(&self) -> Option<String> {
        match self.kind {
            ContactKind::Guide => self.value("caller_number"),
            _ => self.address("CustomerEndpoint"),
        }
    }

    /// The caller's number (ANI), unless it is withheld.
    pub fn customer_number(&self) -> Option<PhoneNumber> {
        PhoneNumber::parse(&self.customer_address()?).filter(|number| !number.is_withheld())
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

/// Whether a text looks like a contact id, and so is not personal data.
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
    fn a_parameter_is_used_before_an_attribute_and_a_blank_value_counts_as_absent() {
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
        let id = |inner: &str| contact(&event(inner)).call_ids().next();
        let copied = r#""Attributes":{"call_id":"another call's"},"InitialContactId":"first""#;
        assert_eq!(id(copied).as_deref(), Some("first"));
        assert_eq!(id(r#""InitialContactId":"first","ContactId":"third""#).as_deref(), Some("first"));
        assert_eq!(id(r#""InitialContactId":null,"ContactId":"third""#).as_deref(), Some("third"));
        assert_eq!(id(r#""InitialContactId":7"#), None);
    }

    /// A guide with these fields and parameters.
    fn guide(fields: &str, parameters: &str) -> String {
        let subtype = r#""SegmentAttributes":{"connect:Subtype":{"ValueString":"connect:Guide"}}"#;
        format!(r#"{{"Details":{{"ContactData":{{{subtype}{fields}}},"Parameters":{{{parameters}}}}}}}"#)
    }

    #[test]
    fn a_guides_call_id_is_its_parameter_then_its_attribute_then_the_related_contact() {
        let fields = r#","ContactId":"guide","InitialContactId":"guide","RelatedContactId":"call""#;
        let with_attribute = format!(r#"{fields},"Attributes":{{"call_id":"attribute"}}"#);
        let id = |fields: &str, parameters: &str| contact(&guide(fields, parameters)).call_ids().next();
        assert_eq!(id(&with_attribute, r#""call_id":"parameter""#).as_deref(), Some("parameter"));
        assert_eq!(id(&with_attribute, "").as_deref(), Some("attribute"));
        assert_eq!(id(fields, r#""call_id":" ""#).as_deref(), Some("call"));
        assert_eq!(id(r#","ContactId":"guide","InitialContactId":"guide""#, ""), None);
    }

    #[test]
    fn a_guides_caller_is_the_number_that_the_call_stored() {
        let number = |fields: &str, parameters: &str| {
            contact(&guide(fields, parameters)).customer_number().map(|number| number.as_str().to_owned())
        };
        assert_eq!(number("", r#""caller_number":"+12025550101""#).as_deref(), Some("+12025550101"));
        assert_eq!(number(r#","Attributes":{"caller_number":"+12025550102"}"#, "").as_deref(), Some("+12025550102"));
        assert_eq!(number("", r#""caller_number":"+266696687""#), None, "withheld");
        let call = r#"{"Details":{"ContactData":{"Attributes":{"caller_number":"+12025550102"}}}}"#;
        assert_eq!(contact(call).customer_number(), None, "a contact of its own has a number of its own");
    }

    #[test]
    fn a_customer_id_counts_unless_a_required_authentication_did_not_succeed() {
        let id = |segment: &str| {
            let event =
                format!(r#"{{"Details":{{"ContactData":{{"CustomerId":"C-1","SegmentAttributes":{segment}}}}}}}"#);
            contact(&event).customer_id()
        };
        let status = |value: &str| format!(r#"{{"connect:CustomerAuthentication":{value}}}"#);
        for segment in [
            "null".to_owned(),
            "{}".to_owned(),
            status("null"),
            status(r#"{"ValueMap":{"Status":{"ValueString":"AUTHENTICATED"}}}"#),
            status(r#"{"Status":"AUTHENTICATED"}"#),
            status(r#"{"ValueString":"AUTHENTICATED"}"#),
        ] {
            assert_eq!(id(&segment).as_deref(), Some("C-1"), "{segment}");
        }
        for value in [
            "7",
            "[]",
            "\"AUTHENTICATED\"",
            "{}",
            r#"{"ValueMap":{"Status":{"ValueString":"FAILED"}}}"#,
            r#"{"ValueMap":{"Status":{"ValueString":"UNAUTHENTICATED"}}}"#,
            r#"{"ValueMap":{"Other":{"ValueString":"AUTHENTICATED"}}}"#,
        ] {
            assert_eq!(id(&status(value)), None, "{value}");
        }
    }

    #[test]
    fn a_simulated_contact_is_recognised_by_its_test_type() {
        let simulated = |segment: &str| {
            contact(&format!(r#"{{"Details":{{"ContactData":{{"SegmentAttributes":{segment}}}}}}}"#)).is_simulated()
        };
        assert!(simulated(r#"{"connect:ValidationTestType":{"ValueString":"EXPERIENCE_VALIDATION"}}"#));
        for segment in ["null", "{}", r#"{"connect:ValidationTestType":null}"#, r#"{"connect:ValidationTestType":7}"#] {
            assert!(!simulated(segment), "{segment}");
        }
    }

    #[test]
    fn a_contact_id_is_logged_only_if_it_looks_like_one() {
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
}
