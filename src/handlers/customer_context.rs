//! `customer_context`: what an agent should know about the caller, in one line.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::connect::{attribute_text, one_line};
use crate::sticky_calls::{OpenIntent, StartAnswer};
use crate::summary;
use crate::vocabulary::{LookupStatus, Reason};

/// The longest context, in characters.
const MAX_CHARS: usize = 500;

/// The variable with the caller's name. It is shown if it is one of `STICKY_CALLS_VARIABLES`.
pub const NAME: &str = "name";

/// The line for people: never empty, and never for the caller's ear. It says who calls and how sure that is, then the
/// open intent and its attempts, the last issue and its resolution, and an earlier one.
///
/// `last_issue` and `name` are texts for a flow; empty if there is none. What the API recommends to ignore is not told.
pub fn customer_context(
    status: LookupStatus,
    reason: Option<Reason>,
    answer: &StartAnswer,
    intent: Option<&OpenIntent>,
    last_issue: &str,
    name: &str,
) -> String {
    let confidence = format!("confidence {}", confidence(answer.confidence));
    let (who, is_known) = match status {
        LookupStatus::Matched if name.is_empty() => (format!("Returning caller, {confidence}."), true),
        LookupStatus::Matched => (format!("Returning caller: {name}, {confidence}."), true),
        LookupStatus::Unconfirmed => {
            let name = if name.is_empty() { "a known caller" } else { name };
            (format!("Probably {name}, not confirmed, {confidence}: ask before you say anything personal."), true)
        }
        LookupStatus::New => ("First call: nothing is known about this caller.".to_owned(), false),
        LookupStatus::Skipped => ("Nothing is known: the caller was not looked up".to_owned(), false),
        LookupStatus::Unavailable => ("Nothing is known: the lookup did not answer".to_owned(), false),
    };
    let mut line = who;
    if let Some(reason) = reason {
        line += &format!(" ({}).", reason.as_str());
    }
    if is_known {
        if let Some(OpenIntent { name, attempts, .. }) = intent {
            line += &format!(" Open: {}, attempts so far: {attempts}.", attribute_text(name));
        }
        line += &issue("Last issue", last_issue, variable(answer, summary::CALL_DATE));
        let resolution = attribute_text(variable(answer, summary::RESOLUTION));
        if resolution != last_issue {
            line += &issue("Resolution", &resolution, "");
        }
        let earlier = attribute_text(variable(answer, summary::EARLIER_ISSUE));
        line += &issue("Earlier issue", &earlier, variable(answer, summary::EARLIER_ISSUE_DATE));
    }
    one_line(&line, MAX_CHARS)
}

fn variable<'a>(answer: &'a StartAnswer, name: &str) -> &'a str {
    answer.variables.get(name).map(String::as_str).unwrap_or_default()
}

/// A sentence about an issue, or nothing if there is none.
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
            ("resolution", "Asked accounting"),
            ("earlier_issue", "Router broke down"),
            ("earlier_issue_date", "2025-12-24T08:00:00Z"),
        ];
        StartAnswer {
            confidence: 0.9,
            open_intents: vec![OpenIntent { name: "billing_issue".to_owned(), status: None, attempts: 2 }],
            variables: variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            ..StartAnswer::default()
        }
    }

    #[test]
    fn the_agent_reads_who_calls_how_sure_that_is_and_what_is_open() {
        let line = customer_context(
            LookupStatus::Matched,
            None,
            &john(),
            john().open_intents.first(),
            "Invoice 4711 is wrong",
            "John Doe",
        );
        assert_eq!(
            line,
            "Returning caller: John Doe, confidence 0.9. Open: billing_issue, attempts so far: 2. \
             Last issue (2026-01-30): Invoice 4711 is wrong. Resolution: Asked accounting. \
             Earlier issue (2025-12-24): Router broke down."
        );
        let nameless = customer_context(LookupStatus::Matched, None, &StartAnswer::default(), None, "", "");
        assert_eq!(nameless, "Returning caller, confidence 0.0.");
    }

    #[test]
    fn notes_that_are_the_last_issue_are_not_shown_twice() {
        let line = customer_context(LookupStatus::Matched, None, &john(), None, "Asked accounting", "");
        assert_eq!(line.matches("Asked accounting").count(), 1, "{line}");
    }

    #[test]
    fn the_agent_is_told_to_ask_an_unconfirmed_caller_first() {
        let line =
            customer_context(LookupStatus::Unconfirmed, None, &john(), john().open_intents.first(), "", "John Doe");
        let expected =
            "Probably John Doe, not confirmed, confidence 0.9: ask before you say anything personal. Open: bill";
        assert!(line.starts_with(expected), "{line}");
        let line = customer_context(LookupStatus::Unconfirmed, None, &StartAnswer::default(), None, "", "");
        assert!(line.starts_with("Probably a known caller, not confirmed"), "{line}");
    }

    #[test]
    fn nothing_is_told_of_a_match_that_the_api_recommends_to_ignore() {
        let line = customer_context(
            LookupStatus::New,
            None,
            &john(),
            john().open_intents.first(),
            "Invoice 4711 is wrong",
            "John Doe",
        );
        assert_eq!(line, "First call: nothing is known about this caller.");
    }

    #[test]
    fn the_agent_reads_why_nothing_is_known() {
        let nobody = StartAnswer::default();
        let skipped = customer_context(LookupStatus::Skipped, Some(Reason::NoIdentity), &nobody, None, "", "");
        assert_eq!(skipped, "Nothing is known: the caller was not looked up (no_identity).");
        let unavailable = customer_context(LookupStatus::Unavailable, Some(Reason::Timeout), &nobody, None, "", "");
        assert_eq!(unavailable, "Nothing is known: the lookup did not answer (timeout).");
    }

    proptest! {
        #[test]
        fn whatever_the_api_says_it_is_one_line_that_is_neither_empty_nor_too_long(
            confidence in any::<f64>(),
            texts in prop::collection::vec(".{0,600}", 6),
            status in prop::sample::select(LookupStatus::ALL),
        ) {
            let names = ["call_date", "earlier_issue", "earlier_issue_date"];
            let answer = StartAnswer {
                confidence,
                open_intents: vec![OpenIntent { name: texts[3].clone(), status: None, attempts: 1 }],
                variables: names.iter().zip(&texts).map(|(name, text)| ((*name).to_owned(), text.clone()))
                    .collect::<BTreeMap<_, _>>(),
                ..StartAnswer::default()
            };
            let line = customer_context(status, None, &answer, answer.open_intents.first(), &texts[4], &texts[5]);
            prop_assert!((1..=500).contains(&line.chars().count()));
            prop_assert!(!line.trim().is_empty() && !line.chars().any(char::is_control));
        }
    }
}
