//! By what a caller may be recognised: Connect's values as the API's identity hints.

use std::collections::BTreeMap;

use crate::config::Config;
use crate::connect::Contact;
use crate::fault::Fault;
use crate::metrics::Metrics;
use crate::sticky_calls::IdentityHints;

/// The longest `customer_ref`, in characters. A longer one counts as absent; it is never cut, since the stump would be
/// another customer's or nobody's.
const MAX_CUSTOMER_REF_CHARS: usize = 256;

/// What stands in an id's place where a look-up found none. As an id each would be one customer, and everybody without an
/// id that one.
const PLACEHOLDERS: [&str; 12] =
    ["true", "false", "null", "undefined", "none", "nil", "nan", "unknown", "anonymous", "n/a", "na", "-"];

/// A `customer_ref` that can be used, or `None`.
pub fn customer_ref(text: Option<String>) -> Option<String> {
    text.filter(|text| !stands_for_nothing(text) && text.chars().count() <= MAX_CUSTOMER_REF_CHARS)
}

/// The reference that an earlier segment stored: the block's parameter, else the contact attribute.
pub fn known_ref(contact: &Contact<'_>) -> Option<String> {
    customer_ref(contact.parameter("customer_ref")).or_else(|| customer_ref(contact.attribute("customer_ref")))
}

/// Whether a text is blank, zeros alone, or a placeholder, in upper or lower case.
fn stands_for_nothing(text: &str) -> bool {
    let text = text.trim().to_lowercase();
    // A zero as JSON may write it too: 0.0.
    text.bytes().all(|byte| matches!(byte, b'0' | b'.')) || PLACEHOLDERS.contains(&text.as_str())
}

/// Whether the caller's number is one of ours.
pub fn is_internal(contact: &Contact<'_>, config: &Config) -> bool {
    contact.customer_address().is_some_and(|address| config.internal_numbers.contain(&address))
}

/// Who called: the caller's number, unless it was withheld or is one of ours, and the ids of this one customer. Empty if
/// there is neither.
pub fn hints(contact: &Contact<'_>, config: &Config) -> IdentityHints {
    let number = contact.customer_number().filter(|_| !is_internal(contact, config));
    IdentityHints {
        ani: number.map(|number| number.as_str().to_owned()),
        external_ids: external_ids(contact, config),
        ..IdentityHints::default()
    }
}

/// The ids by which this one customer is known elsewhere: every value named in `STICKY_CALLS_EXTERNAL_IDS`. Where they are
/// named and not given, the contact's own customer id fills `customer_id`, and the address of an e-mail contact `email`.
fn external_ids(contact: &Contact<'_>, config: &Config) -> BTreeMap<String, String> {
    let given = |name: &String| {
        let own = || match name.as_str() {
            "customer_id" => contact.customer_id(),
            "email" => contact.customer_email(),
            _ => None,
        };
        let is_one = |id: &String| !stands_for_nothing(id);
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

/// Whether the customer wants to be forgotten: then nobody is asked about them, and nothing is saved. A text that is no
/// answer to that counts as a yes, since a no would be the worse mistake.
pub fn has_opted_out(contact: &Contact<'_>) -> bool {
    opt_out(contact) != OptOut::No
}

/// Tells of an opt-out that says neither yes nor no.
pub fn check_opt_out(contact: &Contact<'_>, metrics: &Metrics) {
    if opt_out(contact) == OptOut::Unclear {
        let (contact_id, fault) = (contact.contact_id(), Fault::Parameter);
        metrics.count_fault(fault);
        tracing::warn!(contact_id, fault = fault.name(), "sticky_calls_opt_out is neither yes nor no: taken for a yes");
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
    fn what_stands_for_nothing_identifies_nobody() {
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
            assert_eq!(customer_ref(Some(text)), None, "{value}");
        }
        for id in ["C-1001", "1", "007", "none@example.com", "nobody", "10"] {
            assert_eq!(hints_of("", &format!(r#""customer_id":"{id}""#)).external_ids, ids(&[("customer_id", id)]));
        }
    }

    #[test]
    fn an_id_that_stands_for_nothing_makes_way_for_one_that_does_not() {
        let contact = r#""Attributes":{"customer_id":"C-2"},"CustomerId":"C-3""#;
        assert_eq!(hints_of(contact, r#""customer_id":"null""#).external_ids, ids(&[("customer_id", "C-2")]));
        let contact = r#""Attributes":{"customer_id":"unknown"},"CustomerId":"C-3""#;
        assert_eq!(hints_of(contact, "").external_ids, ids(&[("customer_id", "C-3")]));
        assert!(!hints_of(r#""CustomerId":"none""#, "").are_usable());
    }

    #[test]
    fn an_email_is_the_same_however_it_was_written() {
        let given = hints_of("", r#""email":" Jane.Doe@Example.COM ""#).external_ids;
        assert_eq!(given, ids(&[("email", "jane.doe@example.com")]));
        let contact = r#""CustomerEndpoint":{"Type":"EMAIL_ADDRESS","Address":"Jane.Doe@example.com"}"#;
        assert_eq!(hints_of(contact, "").external_ids, given);
    }

    #[test]
    fn a_number_of_ours_or_a_withheld_one_is_no_hint() {
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
    fn an_opt_out_is_a_yes_unless_it_is_a_no() {
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
