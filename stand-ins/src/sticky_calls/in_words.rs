//! What the API knows, is asked and answers, in words for a person at a terminal. The data is made up, so nothing is
//! hidden.

use serde_json::Value;

use super::{Customer, KEY, Received};

impl Customer {
    /// Who it is, what is open and what earlier calls left: one text for each.
    pub fn in_words(&self) -> Vec<String> {
        let ids = self.external_ids.iter().map(|(name, id)| format!("{name} {id}"));
        let known_by: Vec<_> = self.ani.iter().cloned().chain(ids).collect();
        let known_by = if known_by.is_empty() { "no number and no id".to_owned() } else { known_by.join(", ") };
        let open: Vec<_> = self
            .open_intents
            .iter()
            .map(|(intent, attempts)| format!("{intent}, attempts so far: {attempts}"))
            .collect();
        let open = if open.is_empty() { "no open intent".to_owned() } else { format!("open: {}", open.join("; ")) };
        let variables = self.variables.iter().map(|(name, value)| format!("{name}: {value}"));
        [format!("customer {}", self.customer_ref), format!("known by {known_by}"), open]
            .into_iter()
            .chain(variables)
            .collect()
    }
}

impl Received {
    /// The request and its answer in one line, whatever was asked: a text of others must not change the terminal. Line
    /// breaks become spaces, other control characters U+FFFD.
    pub fn in_one_line(&self) -> String {
        let line = format!("{} {}  {}  →  {}", self.method, self.path, self.asked(), self.answered());
        line.replace(char::is_whitespace, " ").replace(char::is_control, "\u{fffd}")
    }

    /// What was asked: the call, who it is about, and what to keep.
    pub fn asked(&self) -> String {
        let text = |path: &str| self.body.pointer(path).and_then(Value::as_str);
        let named = |name: &str, path: &str| text(path).map(|text| format!("{name} {text}"));
        let ids = self.body.pointer("/identity_hints/external_ids").and_then(Value::as_object);
        let ids = ids.into_iter().flatten().filter_map(|(name, id)| Some(format!("{name} {}", id.as_str()?)));
        let parts =
            [named("call", "/call_id"), named("customer", "/customer_ref"), named("number", "/identity_hints/ani")];
        let kept = [
            text("/intent").map(|intent| format!("{intent} is {}", text("/intent_status").unwrap_or("without status"))),
            text("/variables/last_issue").map(|words| format!("“{words}”")),
        ];
        let parts: Vec<_> = parts.into_iter().flatten().chain(ids).chain(kept.into_iter().flatten()).collect();
        if parts.is_empty() { "nothing that the API knows".to_owned() } else { parts.join(", ") }
    }

    /// The status, and what was answered.
    pub fn answered(&self) -> String {
        let Some((status, body)) = &self.answer else { return "nothing: a fault".to_owned() };
        let text = |path: &str| body.pointer(path).and_then(Value::as_str).unwrap_or("nothing");
        let what = match (status, self.path.as_str()) {
            (200, "/v1/calls/start") => {
                let confidence = body.pointer("/identity/confidence").and_then(Value::as_f64).unwrap_or_default();
                let open = body["open_intents"].as_array().into_iter().flatten();
                let open: Vec<_> = open.filter_map(|intent| intent["intent"].as_str()).collect();
                let open = if open.is_empty() { "nothing".to_owned() } else { open.join(", ") };
                let (customer, advice) = (text("/customer_ref"), text("/identity/recommendation"));
                format!("customer {customer}, confidence {confidence:.1}, {advice}, open: {open}")
            }
            (200, _) => format!("saved for customer {}", text("/customer_ref")),
            (401, _) => format!("the key is not {KEY}"),
            (404, _) => "the API has no such path".to_owned(),
            (409, _) => "this call_id was used before. To repeat the call, start this API again, or change \
                         InitialContactId in the event"
                .to_owned(),
            _ => format!("{}: {}", text("/error"), text("/message")),
        };
        format!("{status}: {what}")
    }
}
