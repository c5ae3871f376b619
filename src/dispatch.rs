//! Which handler an event reaches.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::connect::Contact;
use crate::handlers::Source;
use crate::json::Object;
use crate::telemetry::Metrics;
use crate::vocabulary::{Action, Degradation};

/// Where an event goes.
#[derive(Debug)]
pub enum Route<'a> {
    /// A flow event, for this handler.
    Flow(Action, Contact<'a>),
    /// A batch from this source.
    Batch(Source, Vec<&'a RawValue>),
    /// An unknown event: this handler's fallback, with `invalid_event`.
    Unknown(Action),
}

/// Decides where an event goes. A flow event: the block's `action` decides, else the handler that the function is
/// pinned to, else the `InitiationMethod`. A batch: the source of its records decides.
pub fn route<'a>(payload: &'a str, pinned: Option<Action>, metrics: &Metrics) -> Route<'a> {
    let event = Object::parse(payload).unwrap_or_default();
    if let Some(contact) = Contact::in_event(&event) {
        let action = requested_action(&contact, metrics).or(pinned).unwrap_or_else(|| by_initiation_method(&contact));
        return Route::Flow(action, contact);
    }
    let records = event.array("Records");
    match source(&records) {
        Some(source) => Route::Batch(source, records),
        None => Route::Unknown(pinned.unwrap_or(Action::StartCall)),
    }
}

/// The source, if all records have the same one.
fn source(records: &[&RawValue]) -> Option<Source> {
    let mut sources = records.iter().map(|record| source_of(record));
    let first = sources.next()??;
    sources.all(|source| source == Some(first)).then_some(first)
}

/// A record's source. Nothing else of the record is read.
fn source_of(record: &RawValue) -> Option<Source> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Record<'a> {
        #[serde(borrow)]
        event_source: Cow<'a, str>,
    }
    let record: Record<'_> = serde_json::from_str(record.get()).ok()?;
    Source::parse(&record.event_source)
}

fn requested_action(contact: &Contact<'_>, metrics: &Metrics) -> Option<Action> {
    let word = contact.parameter("action")?;
    let action = Action::parse(word.trim());
    if action.is_none() {
        // The value is not logged: a parameter can hold anything.
        let what = "the parameter action is unknown and ignored";
        metrics.degraded(Degradation::Parameter, contact.contact_id().as_deref(), None, what);
    }
    action
}

fn by_initiation_method(contact: &Contact<'_>) -> Action {
    if contact.is_a_disconnect_flow() { Action::EndCall } else { Action::StartCall }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn reached(payload: &str, pinned: Option<Action>) -> (&'static str, Action) {
        match route(payload, pinned, &Metrics::new(&Config::read(|_| None).0)) {
            Route::Flow(action, _) => ("flow", action),
            Route::Batch(source, _) => (source.handler().as_str(), Action::EndCall),
            Route::Unknown(action) => ("unknown", action),
        }
    }

    fn event(action: &str, method: &str) -> String {
        format!(
            r#"{{"Details":{{"ContactData":{{"InitiationMethod":"{method}"}},"Parameters":{{"action":{action}}}}}}}"#
        )
    }

    #[test]
    fn row_1_the_block_decides() {
        for (word, action) in [
            ("start_call", Action::StartCall),
            ("identify", Action::StartCall),
            ("end_call", Action::EndCall),
            ("save", Action::EndCall),
        ] {
            let asked = event(&format!("\"{word}\""), "DISCONNECT");
            for pinned in [None, Some(Action::StartCall), Some(Action::EndCall)] {
                assert_eq!(reached(&asked, pinned), ("flow", action), "{word}");
            }
        }
    }

    #[test]
    fn row_2_the_pinned_handler_decides_if_the_block_names_no_known_action() {
        for action in ["null", "\"\"", "\"delete\"", "7", "{}"] {
            assert_eq!(
                reached(&event(action, "INBOUND"), Some(Action::EndCall)),
                ("flow", Action::EndCall),
                "{action}"
            );
            assert_eq!(reached(&event(action, "DISCONNECT"), Some(Action::StartCall)), ("flow", Action::StartCall));
        }
    }

    #[test]
    fn rows_3_and_4_a_disconnect_flow_saves_and_every_other_contact_is_identified() {
        assert_eq!(reached(&event("null", "DISCONNECT"), None), ("flow", Action::EndCall));
        for method in ["INBOUND", "TRANSFER", "API", "SOMETHING_NEW", ""] {
            assert_eq!(reached(&event("null", method), None), ("flow", Action::StartCall), "{method}");
        }
    }

    #[test]
    fn row_7_an_unknown_event_gets_the_pinned_handlers_fallback() {
        for payload in ["null", "[]", "{}", "", "\u{0}", r#"{"Records":[]}"#] {
            assert_eq!(reached(payload, None), ("unknown", Action::StartCall), "{payload:?}");
            assert_eq!(reached(payload, Some(Action::EndCall)), ("unknown", Action::EndCall), "{payload:?}");
        }
    }

    #[test]
    fn rows_5_and_6_a_batch_goes_to_the_handler_of_its_source() {
        let batch = |sources: &[&str]| {
            let records: Vec<_> = sources.iter().map(|source| format!(r#"{{"eventSource":"{source}"}}"#)).collect();
            format!(r#"{{"Records":[{}]}}"#, records.join(","))
        };
        for pinned in [None, Some(Action::StartCall), Some(Action::EndCall)] {
            assert_eq!(reached(&batch(&["aws:sqs", "aws:sqs"]), pinned).0, "redelivery");
            assert_eq!(reached(&batch(&["aws:kinesis"]), pinned).0, "contact_records");
            let otherwise = [
                batch(&[]),
                batch(&["aws:s3"]),
                batch(&["aws:sqs", "aws:kinesis"]),
                r#"{"Records":[{"eventSource":"aws:sqs"},7]}"#.to_owned(),
                r#"{"Records":{"eventSource":"aws:sqs"}}"#.to_owned(),
            ];
            for payload in otherwise {
                assert_eq!(reached(&payload, pinned), ("unknown", pinned.unwrap_or(Action::StartCall)), "{payload}");
            }
        }
        let both = r#"{"Details":{"ContactData":{}},"Records":[{"eventSource":"aws:sqs"}]}"#;
        assert_eq!(reached(both, None), ("flow", Action::StartCall));
    }
}
