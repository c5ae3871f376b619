//! `customer_context`: what an agent should know about the caller, in one line.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::connect::{attribute_text, one_line};
use crate::sticky_calls::{OpenIntent, StartAnswer};
use crate::summary;
use crate::vocabulary::{LookupStatus, Reason};

/// The longest context, in characters.
const MAX_CHARS: usize = 500;

/// The variable with the caller's name.
pub const NAME: &str = "name";

/// What a flow may know of the caller. Each text is one line. What is not known is empty.
#[derive(Clone, Debug, Default)]
pub struct Known<'a> {
    /// The first open intent.
    pub intent: Option<&'a OpenIntent>,
    /// What the last call was about.
    pub last_issue: String,
    /// Where that comes from.
    pub last_issue_source: &'a str,
    /// The variable `name`, if it is one of `STICKY_CALLS_VARIABLES`.
    pub name: String,
    /// The variable `resolution`, if it is one of them.
    pub resolution: String,
}

/// The line for people: never empty, and never for the caller's ear. It says who calls and how sure that is, then the
/// open intent and its attempts, the last issue, an earlier one, and as far as there is room the resolution.
/// Leaves out what the API recommends to ignore.
pub fn customer_context(
    status: LookupStatus,
    reason: Option<Reason>,
    answer: &StartAnswer,
    known: &Known<'_>,
) -> String {
    let confidence = format!("confidence {}", confidence((answer.confidence * 100.0).round() / 100.0));
    let name = known.name.as_str();
    let (who, is_known) = match status {
        LookupStatus::Matched if name.is_empty() => (format!("Returning caller, {confidence}."), true),
        LookupStatus::Matched => (format!("Returning caller: {name}, {confidence}."), true),
        LookupStatus::Unconfirmed => {
            let name = if name.is_empty() { "a known caller" } else { name };
            (format!("Probably {name}, not confirmed, {confidence}: ask before you say anything personal."), true)
        }
        LookupStatus::New => ("New caller: nothing is known.".to_owned(), false),
        LookupStatus::Skipped => ("Nothing is known: the caller was not looked up".to_owned(), false),
        LookupStatus::Unavailable => ("Nothing is known: the lookup did not answer".to_owned(), false),
    };
    let mut line = who;
    if let Some(reason) = reason {
        line += &format!(" ({}).", reason.as_str());
    }
    if is_known {
        if let Some(OpenIntent { name, attempts, .. }) = known.intent {
            line += &format!(" Open: {}, attempts so far: {attempts}.", attribute_text(name));
        }
        let label = match known.last_issue_source {
            summary::CONTACT_LENS => "Last issue, by Contact Lens",
            _ => "Last issue",
        };
        line += &issue(label, &known.last_issue, variable(answer, summary::CALL_DATE));
        let earlier = attribute_text(variable(answer, summary::EARLIER_ISSUE));
        line += &issue("Earlier issue", &earlier, variable(answer, summary::EARLIER_ISSUE_DATE));
        if known.resolution != known.last_issue {
            line += &issue("Resolution", &known.resolution, "");
        }
    }
    one_line(&line, MAX_CHARS)
}

fn variable<'a>(answer: &'a StartAnswer, name: &str) -> &'a str {
    answer.variables.get(name).map(String::as_str).unwrap_or_default()
}

/// A sentence about an issue. Empty if its text is.
fn issue(label: &str, text: &str, date: &str) -> String {
    let date = date.parse::<Timestamp>().ok().map(|time| format!(" ({})", time.to_zoned(TimeZone::UTC).date()));
    match text.trim() {
        "" => String::new(),
        text => format!(" {label}{}: {text}{}", date.unwrap_or_default(), full_stop_after(text)),
    }
}

fn full_stop_after(text: &str) -> &'static str {
    if text.ends_with(['.', '!', '?', '…']) { "" } else { "." }
}

/// A confidence as text. It always has a decimal point, as flows compare it.
pub fn confidence(confidence: f64) -> String {
    // Adding zero turns -0 into 0.
    let text = (confidence + 0.0).to_string();
    if text.contains('.') { text } else { text + ".0" }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn john() -> StartAnswer {
        let variables = [
            ("call_date", "2026-01-30T09:15:00.000Z"),
            ("earlier_issue", "Router broke down"),
            ("earlier_issue_date", "2025-12-24T08:00:00Z"),
        ];
        StartAnswer {
            confidence: 0.9,
            variables: variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            ..StartAnswer::default()
        }
    }

    /// The line about John.
    fn about_john(status: LookupStatus, last_issue: &str, resolution: &str) -> String {
        let intent = OpenIntent { name: "billing_issue".to_owned(), status: None, attempts: 2 };
        let texts = [last_issue, "John Doe", resolution].map(str::to_owned);
        let [last_issue, name, resolution] = texts;
        customer_context(
            status,
            None,
            &john(),
            &Known { intent: Some(&intent), last_issue, last_issue_source: "", name, resolution },
        )
    }

    /// The line about somebody of whom the API says nothing.
    fn about_nobody(status: LookupStatus, reason: Option<Reason>) -> String {
        customer_context(status, reason, &StartAnswer::default(), &Known::default())
    }

    #[test]
    fn the_agent_reads_who_calls_how_sure_that_is_and_what_is_open() {
        assert_eq!(
            about_john(LookupStatus::Matched, "Invoice 4711 is wrong", "Asked accounting"),
            "Returning caller: John Doe, confidence 0.9. Open: billing_issue, attempts so far: 2. \
             Last issue (2026-01-30): Invoice 4711 is wrong. Earlier issue (2025-12-24): Router broke down. \
             Resolution: Asked accounting."
        );
        assert_eq!(about_nobody(LookupStatus::Matched, None), "Returning caller, confidence 0.0.");
    }

    #[test]
    fn the_agent_reads_that_contact_lens_wrote_the_last_issue() {
        let last_issue = "The customer asked for a refund.".to_owned();
        let known = Known { last_issue, last_issue_source: summary::CONTACT_LENS, ..Known::default() };
        let line = customer_context(LookupStatus::Matched, None, &john(), &known);
        assert!(
            line.contains("Last issue, by Contact Lens (2026-01-30): The customer asked for a refund. E"),
            "{line}"
        );
    }

    #[test]
    fn notes_that_are_the_last_issue_are_not_shown_twice() {
        let line = about_john(LookupStatus::Matched, "Asked accounting", "Asked accounting");
        assert_eq!(line.matches("Asked accounting").count(), 1, "{line}");
    }

    #[test]
    fn the_agent_is_told_to_ask_an_unconfirmed_caller_first() {
        let line = about_john(LookupStatus::Unconfirmed, "", "");
        let expected =
            "Probably John Doe, not confirmed, confidence 0.9: ask before you say anything personal. Open: bill";
        assert!(line.starts_with(expected), "{line}");
        let nameless = about_nobody(LookupStatus::Unconfirmed, None);
        assert!(nameless.starts_with("Probably a known caller, not confirmed"), "{nameless}");
    }

    #[test]
    fn nothing_is_told_of_a_match_that_the_api_recommends_to_ignore() {
        let line = about_john(LookupStatus::New, "Invoice 4711 is wrong", "Asked accounting");
        assert_eq!(line, "New caller: nothing is known.");
    }

    #[test]
    fn the_agent_reads_why_nothing_is_known() {
        let skipped = about_nobody(LookupStatus::Skipped, Some(Reason::NoIdentity));
        assert_eq!(skipped, "Nothing is known: the caller was not looked up (no_identity).");
        let unavailable = about_nobody(LookupStatus::Unavailable, Some(Reason::Timeout));
        assert_eq!(unavailable, "Nothing is known: the lookup did not answer (timeout).");
    }

    proptest! {
        #[test]
        fn whatever_the_api_says_it_is_one_line_that_is_neither_empty_nor_too_long(
            confidence in any::<f64>(),
            texts in prop::collection::vec(".{0,600}", 7),
            status in prop::sample::select(LookupStatus::ALL),
            reason in prop::option::of(prop::sample::select(Reason::ALL)),
        ) {
            let names = ["call_date", "earlier_issue", "earlier_issue_date"];
            let variables: BTreeMap<_, _> =
                names.iter().zip(&texts).map(|(name, text)| ((*name).to_owned(), text.clone())).collect();
            let answer = StartAnswer { confidence, variables, ..StartAnswer::default() };
            let intent = OpenIntent { name: texts[3].clone(), status: None, attempts: 1 };
            let [last_issue, name, resolution] = [4, 5, 6].map(|text| attribute_text(&texts[text]));
            let known = Known { intent: Some(&intent), last_issue, last_issue_source: "", name, resolution };
            let line = customer_context(status, reason, &answer, &known);
            prop_assert!((1..=500).contains(&line.chars().count()));
            prop_assert!(!line.trim().is_empty() && !line.chars().any(char::is_control));
        }
    }
}
