//! By what a caller may be recognised: Connect's values as the API's identity hints.

use std::collections::BTreeMap;

use crate::config::Config;
use crate::connect::Contact;

/// The longest `customer_ref`, in characters. A longer one counts as absent; it is never cut, since the stump would be
/// another customer's or nobody's.
const MAX_CUSTOMER_REF_CHARS: usize = 256;

/// A `customer_ref` that can be used, or `None`.
pub fn customer_ref(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.trim().is_empty() && text.chars().count() <= MAX_CUSTOMER_REF_CHARS)
}

/// Whether the caller's number is one of ours.
pub fn is_internal(contact: &Contact<'_>, config: &Config) -> bool {
    contact.customer_address().is_some_and(|address| config.internal_numbers.contain(&address))
}

/// The ids by which this one customer is known elsewhere: every value named in `STICKY_CALLS_EXTERNAL_IDS`. The address
/// of an e-mail contact fills `email` where that is named and not given.
pub fn external_ids(contact: &Contact<'_>, config: &Config) -> BTreeMap<String, String> {
    let given = |name: &String| {
        let value = contact.value(name).or_else(|| contact.customer_email().filter(|_| name == "email"))?;
        Some((name.clone(), value))
    };
    config.external_ids.iter().filter_map(given).collect()
}

/// Whether the customer wants to be forgotten: then nobody is asked about them, and nothing is saved.
pub fn has_opted_out(contact: &Contact<'_>) -> bool {
    contact.value("sticky_calls_opt_out").is_some_and(|text| text.trim().eq_ignore_ascii_case("true"))
}
