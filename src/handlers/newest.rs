//! Finds each customer's newest call in a batch, among those in which somebody wrote something. Several items of a
//! batch are delivered at once, so the table learns too late which of them is the newest.

use std::collections::BTreeMap;

use crate::summary::{Newest, Summary};

/// For each summary its customer's newest call among all of them, itself included.
pub fn among(summaries: &[&Summary]) -> Vec<Option<Newest>> {
    let mut newest: BTreeMap<String, Newest> = BTreeMap::new();
    for summary in summaries.iter().filter(|summary| summary.holds_text()) {
        for key in keys_written(summary) {
            let this = summary.as_newest();
            let is_newer = |known: &Newest| order(&this) >= order(known);
            if newest.get(&key).is_none_or(is_newer) {
                newest.insert(key, this);
            }
        }
    }
    let of = |summary: &&Summary| {
        let found = keys_read(summary).into_iter().filter_map(|key| newest.get(&key));
        found.max_by_key(|newest| order(newest)).cloned()
    };
    summaries.iter().map(of).collect()
}

fn order(newest: &Newest) -> (i64, i64) {
    (newest.started_ms, newest.came_ms)
}

/// The keys under which a summary's call may be the newest. Every summary is entered under its hints as "anybody's". One
/// without a `customer_ref` is entered as "somebody's" too, one with it under the reference. A caller with a reference
/// looks under that and under "somebody's": so two people with references who share a phone never meet.
fn keys_written(summary: &Summary) -> Vec<String> {
    let mut keys: Vec<_> = hints(summary).map(|hint| format!("anybody's {hint}")).collect();
    match &summary.request.customer_ref {
        Some(customer_ref) => keys.push(format!("customer {}", customer_ref.as_str())),
        None => keys.extend(hints(summary).map(|hint| format!("somebody's {hint}"))),
    }
    keys
}

/// The keys under which a summary's customer has calls.
fn keys_read(summary: &Summary) -> Vec<String> {
    match &summary.request.customer_ref {
        Some(customer_ref) => {
            let somebodys = hints(summary).map(|hint| format!("somebody's {hint}"));
            somebodys.chain([format!("customer {}", customer_ref.as_str())]).collect()
        }
        None => hints(summary).map(|hint| format!("anybody's {hint}")).collect(),
    }
}

fn hints(summary: &Summary) -> impl Iterator<Item = String> {
    let ids = summary.hints.external_ids.iter().map(|(name, id)| format!("{name} {id}"));
    ids.chain(summary.hints.ani.clone())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use jiff::Timestamp;

    use super::*;
    use crate::sticky_calls::{CustomerRef, EndRequest, IdentityHints, IntentStatus};
    use crate::summary::{LAST_ISSUE_SOURCE, WordsId};

    /// The summary of a call that started in this minute, of a customer with this reference and number.
    fn summary(call_id: &str, minute: i64, customer_ref: Option<&str>, ani: &str) -> Summary {
        let started = Timestamp::from_second(1_770_460_200 + minute * 60).unwrap();
        Summary {
            contact_id: None,
            request: EndRequest {
                call_id: call_id.to_owned(),
                customer_ref: customer_ref.and_then(|text| CustomerRef::new(text.to_owned())),
                identity_hints: None,
                intent: "i".to_owned(),
                intent_status: IntentStatus::Open,
                variables: BTreeMap::from([(LAST_ISSUE_SOURCE.to_owned(), "call_summary".to_owned())]),
            },
            hints: IdentityHints { ani: Some(ani.to_owned()), ..IdentityHints::default() },
            words: Some(WordsId::new(Some(call_id), None, None)),
            summarised_contact: None,
            may_end_call: true,
            started,
            came: started,
        }
    }

    fn newest(summaries: &[Summary]) -> Vec<String> {
        let all: Vec<_> = summaries.iter().collect();
        among(&all).into_iter().map(|newest| newest.map(|newest| newest.call_id).unwrap_or_default()).collect()
    }

    #[test]
    fn a_customer_who_called_twice_has_one_newest_call_whether_known_by_number_or_reference() {
        let by_number =
            [summary("second", 2, None, "+1"), summary("first", 1, None, "+1"), summary("other", 9, None, "+2")];
        assert_eq!(newest(&by_number), ["second", "second", "other"]);
        let known_later = [summary("first", 1, None, "+1"), summary("second", 2, Some("cust"), "+1")];
        assert_eq!(newest(&known_later), ["second", "second"]);
        let known_before = [summary("first", 1, Some("cust"), "+1"), summary("second", 2, None, "+1")];
        assert_eq!(newest(&known_before), ["second", "second"]);
    }

    #[test]
    fn people_who_share_a_phone_each_have_a_newest_call() {
        let two = [summary("hers", 1, Some("jane"), "+1"), summary("his", 2, Some("john"), "+1")];
        assert_eq!(newest(&two), ["hers", "his"]);
    }

    #[test]
    fn a_call_without_a_text_does_not_count_as_the_newest() {
        let mut silent = summary("silent", 2, None, "+1");
        silent.request.variables.clear();
        assert_eq!(newest(&[summary("spoken", 1, None, "+1"), silent]), ["spoken", "spoken"]);
    }
}
