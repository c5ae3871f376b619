//! Who the caller is: turns Connect's values into the API's identity hints.

use std::collections::BTreeMap;

use crate::config::Config;
use crate::connect::Contact;
use crate::sticky_calls::{CustomerRef, IdentityHints, is_placeholder, takes_call_id};
use crate::telemetry::Metrics;
use crate::vocabulary::Degradation;

/// The API's `call_id` for this contact: the first of its ids that is short enough. `None` if no id is.
pub fn call_id(contact: &Contact<'_>) -> Option<String> {
    contact.call_ids().find(|id| takes_call_id(id))
}

/// When the call started: the value `call_start`, which an earlier block stored. `None` if the attribute `call_id`
/// names another call: then both attributes were copied from another contact.
pub fn call_start(contact: &Contact<'_>) -> Option<String> {
    let is_copied = contact.attribute("call_id").is_some_and(|id| Some(id) != call_id(contact));
    contact.value("call_start").filter(|_| !is_copied)
}

/// The reference that an earlier segment stored: the block's parameter, else the contact attribute.
pub fn known_ref(contact: &Contact<'_>) -> Option<CustomerRef> {
    let stored = [contact.parameter("customer_ref"), contact.attribute("customer_ref")];
    stored.into_iter().flatten().find_map(CustomerRef::new)
}

/// Whether the caller's number is one of ours.
pub fn is_internal(contact: &Contact<'_>, config: &Config) -> bool {
    contact.customer_address().is_some_and(|address| config.internal_numbers.contain(&address))
}

/// The caller's number, unless it is withheld or internal, and the customer's external ids. Both may be missing.
pub fn hints(contact: &Contact<'_>, config: &Config) -> IdentityHints {
    let number = contact.customer_number().filter(|_| !is_internal(contact, config));
    IdentityHints {
        ani: number.map(|number| number.as_str().to_owned()),
        external_ids: external_ids(contact, config),
        ..IdentityHints::default()
    }
}

/// The customer's external ids: every value named in `STICKY_CALLS_EXTERNAL_IDS`. If `customer_id` is named but not
/// given, the contact's own customer id is used; for `email`, the address of an e-mail contact.
fn external_ids(contact: &Contact<'_>, config: &Config) -> BTreeMap<String, String> {
    let given = |name: &String| {
        let own = || match name.as_str() {
            "customer_id" => contact.customer_id(),
            "email" => contact.customer_email(),
            _ => None,
        };
        let is_one = |id: &String| !is_placeholder(id);
        let id = contact
            .parameter(name)
            .filter(is_one)
            .or_else(|| contact.attribute(name).filter(is_one))
            .or_else(|| own().filter(is_one))?;
        let id = if name == "email" { id.trim().to_lowercase() } else { id };
        Some((name.clone(), id))
    };
    config.external_ids.iter().filter_map(given).collect()
}

/// Whether the customer has opted out: then they are not looked up, and nothing is saved. A text that is neither yes
/// nor no counts as an opt-out, because saving against a customer's will would be the worse mistake.
pub fn has_opted_out(contact: &Contact<'_>) -> bool {
    opt_out(contact) != OptOut::No
}

/// Counts and logs an opt-out that says neither yes nor no.
pub fn check_opt_out(contact: &Contact<'_>, metrics: &Metrics) {
    if opt_out(contact) == OptOut::Unclear {
        let what = "sticky_calls_opt_out is neither yes nor no, and counts as yes";
        metrics.degraded(Degradation::Parameter, contact.contact_id().as_deref(), None, what);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OptOut {
    No,
    Yes,
    Unclear,
}

fn opt_out(contact: &Contact<'_>) -> OptOut {
    let Some(text) = contact.value("sticky_calls_opt_out") else { return OptOut::No };
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "yes" | "1" | "on" => OptOut::Yes,
        "false" | "no" | "0" | "off" => OptOut::No,
        _ => OptOut::Unclear,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(variables: &[(&str, &str)]) -> Config {
        let value = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        Config::read(value).0
    }

    fn event(contact: &str, parameters: &str) -> String {
        format!(r#"{{"Details":{{"ContactData":{{{contact}}},"Parameters":{{{parameters}}}}}}}"#)
    }

    fn hints_of(contact: &str, parameters: &str) -> IdentityHints {
        let event = event(contact, parameters);
        hints(&Contact::from_flow_event(&event).unwrap(), &config(&[]))
    }

    fn ids(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, id)| ((*name).to_owned(), (*id).to_owned())).collect()
    }

    #[test]
    fn a_call_start_that_was_copied_with_another_calls_id_is_ignored() {
        let event = |attributes: &str| {
            format!(r#"{{"Details":{{"ContactData":{{"ContactId":"c","Attributes":{{{attributes}}}}}}}}}"#)
        };
        let start = |attributes: &str| call_start(&Contact::from_flow_event(&event(attributes)).unwrap());
        assert_eq!(start(r#""call_start":"t""#).as_deref(), Some("t"));
        assert_eq!(start(r#""call_start":"t","call_id":"c""#).as_deref(), Some("t"));
        assert_eq!(start(r#""call_start":"t","call_id":"other""#), None);
    }

    #[test]
    fn a_call_id_that_is_too_long_for_the_api_counts_as_absent() {
        let id = |length| {
            let event = format!(r#"{{"Details":{{"ContactData":{{"ContactId":"{}"}}}}}}"#, "é".repeat(length));
            call_id(&Contact::from_flow_event(&event).unwrap()).map(|id| id.chars().count())
        };
        assert_eq!(id(128), Some(128));
        assert_eq!(id(129), None);
        let event = format!(
            r#"{{"Details":{{"ContactData":{{"ContactId":"c","InitialContactId":"{0}"}},"Parameters":{{"call_id":"{0}"}}}}}}"#,
            "7".repeat(129)
        );
        assert_eq!(call_id(&Contact::from_flow_event(&event).unwrap()).as_deref(), Some("c"));
    }

    #[test]
    fn a_placeholder_identifies_nobody() {
        for value in [
            "true",
            "false",
            "0",
            "\"000\"",
            "0.0",
            "\"null\"",
            "\"Undefined\"",
            "\"NONE\"",
            "\"nil\"",
            "\"NaN\"",
            "\"unknown\"",
            "\"Anonymous\"",
            "\"N/A\"",
            "\"na\"",
            "\"-\"",
            "\" null \"",
            "\"0000000\"",
            "\"True\"",
        ] {
            let hints = hints_of("", &format!(r#""customer_id":{value},"email":{value}"#));
            assert!(!hints.are_usable(), "{value}: {hints:?}");
            let text = value.trim_matches('"').to_owned();
            assert_eq!(CustomerRef::new(text), None, "{value}");
        }
        for id in ["C-1001", "1", "007", "none@example.com", "nobody", "10"] {
            assert_eq!(hints_of("", &format!(r#""customer_id":"{id}""#)).external_ids, ids(&[("customer_id", id)]));
        }
    }

    #[test]
    fn an_id_is_used_instead_of_a_placeholder() {
        let contact = r#""Attributes":{"customer_id":"C-2"},"CustomerId":"C-3""#;
        assert_eq!(hints_of(contact, r#""customer_id":"null""#).external_ids, ids(&[("customer_id", "C-2")]));
        let contact = r#""Attributes":{"customer_id":"unknown"},"CustomerId":"C-3""#;
        assert_eq!(hints_of(contact, "").external_ids, ids(&[("customer_id", "C-3")]));
        assert!(!hints_of(r#""CustomerId":"none""#, "").are_usable());
    }

    #[test]
    fn an_email_address_is_the_same_in_upper_and_lower_case() {
        let given = hints_of("", r#""email":" Jane.Doe@Example.COM ""#).external_ids;
        assert_eq!(given, ids(&[("email", "jane.doe@example.com")]));
        let contact = r#""CustomerEndpoint":{"Type":"EMAIL_ADDRESS","Address":"Jane.Doe@example.com"}"#;
        assert_eq!(hints_of(contact, "").external_ids, given);
    }

    #[test]
    fn an_internal_or_withheld_number_is_not_a_hint() {
        let from = |address: &str| event(&format!(r#""CustomerEndpoint":{{"Address":"{address}"}}"#), "");
        let ani = |address: &str| {
            let event = from(address);
            let config = config(&[("STICKY_CALLS_INTERNAL_NUMBERS", "+1202555016*")]);
            hints(&Contact::from_flow_event(&event).unwrap(), &config).ani
        };
        assert_eq!(ani("+12025550101").as_deref(), Some("+12025550101"));
        for address in
            ["+12025550160", "+266696687", "+86282452253", "+7378742833", "+8656696", "+2562533", "anonymous"]
        {
            assert_eq!(ani(address), None, "{address}");
        }
    }

    #[test]
    fn an_opt_out_is_yes_no_or_unclear() {
        let said = |value: &str| {
            let event = event("", &format!(r#""sticky_calls_opt_out":{value}"#));
            opt_out(&Contact::from_flow_event(&event).unwrap())
        };
        for value in ["true", "\"TRUE\"", "\"Yes\"", "1", "\" on \""] {
            assert_eq!(said(value), OptOut::Yes, "{value}");
        }
        for value in ["false", "\"False\"", "\"NO\"", "0", "\"off\"", "\" \"", "null", "{}"] {
            assert_eq!(said(value), OptOut::No, "{value}");
        }
        for value in ["\"maybe\"", "\"y\"", "2", "\"opted out\""] {
            assert_eq!(said(value), OptOut::Unclear, "{value}");
        }
    }
}
