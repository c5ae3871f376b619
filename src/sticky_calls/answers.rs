//! What the API answers.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{CustomerRef, Error};
use crate::json::Object;

/// The fields that the documentation names for the answer to an end, without `call_id` and the duration. An answer
/// without a `call_id` must have one of them.
const FIELDS_OF_AN_END: [&str; 5] = ["customer_ref", "call_start", "call_end", "intents_updated", "variables_updated"];

/// The usable part of the API's answer to `POST /v1/calls/start`. Any field may be missing, `null` or of the wrong
/// type. The default is the answer about an unknown caller.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StartAnswer {
    /// The customer's reference. A new caller gets one too, so it does not mean that the caller is returning.
    pub customer_ref: Option<CustomerRef>,
    /// When the call started.
    pub call_start: Option<Timestamp>,
    /// How sure the API is, from 0 to 1. For a new caller it sends 0, on some pages `null`.
    pub confidence: f64,
    /// The confidence in a word: `very_high`, `high`, `medium` or `low`.
    pub level: Option<&'static str>,
    /// What the API recommends to do with the match.
    pub recommendation: Recommendation,
    /// The intents that are still open. Those without a name are left out.
    pub open_intents: Vec<OpenIntent>,
    /// The variables of earlier calls, by name.
    pub variables: BTreeMap<String, String>,
}

/// What the API recommends to do with a match.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Recommendation {
    /// Treat the caller as this customer.
    Reuse,
    /// Ask first.
    Confirm,
    /// Treat the caller as unknown.
    #[default]
    Ignore,
}

impl Recommendation {
    /// The API's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reuse => "reuse",
            Self::Confirm => "confirm",
            Self::Ignore => "ignore",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        [Self::Reuse, Self::Confirm, Self::Ignore].into_iter().find(|known| known.as_str() == word)
    }
}

/// Something that an earlier call left open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenIntent {
    /// Its name: `billing_issue`, …
    pub name: String,
    /// Its status, in the API's word.
    pub status: Option<String>,
    /// How often the customer called about it.
    pub attempts: u64,
}

impl StartAnswer {
    /// Reads the answer to a start of `call_id`.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidResponse`] if it is not a JSON object, [`Error::OtherCall`] if it is about another call.
    pub(super) fn to_call(body: &str, call_id: &str) -> Result<Self, Error> {
        let answer = object(body)?;
        check_call_id(&answer, call_id)?;
        Ok(Self::read(&answer))
    }

    /// Reads an answer's body. Returns `None` if it is not a JSON object.
    pub fn parse(body: &str) -> Option<Self> {
        Some(Self::read(&Object::parse(body)?))
    }

    fn read(answer: &Object<'_>) -> Self {
        let identity = answer.object("identity").unwrap_or_default();
        Self {
            customer_ref: answer.text("customer_ref").and_then(CustomerRef::new),
            call_start: answer.text("call_start").and_then(|text| text.parse().ok()),
            confidence: identity.number("confidence").map_or(0.0, |confidence| confidence.clamp(0.0, 1.0)),
            level: identity.text("level").and_then(|word| level(&word)),
            recommendation: identity
                .text("recommendation")
                .and_then(|word| Recommendation::parse(&word))
                .unwrap_or_default(),
            open_intents: answer.objects("open_intents").iter().filter_map(open_intent).collect(),
            variables: answer.object("variables").map(|all| variables(&all)).unwrap_or_default(),
        }
    }
}

/// The useful part of the API's answer to `POST /v1/calls/end`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EndAnswer {
    /// The customer whose call it was. The request may have had identity hints instead.
    pub customer_ref: Option<CustomerRef>,
}

impl EndAnswer {
    /// Reads the answer to an end of `call_id`.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidResponse`] if it is not a JSON object, or does not say that the end was taken;
    /// [`Error::OtherCall`] if it is about another call.
    pub(super) fn to_call(body: &str, call_id: &str) -> Result<Self, Error> {
        let answer = object(body)?;
        let names_the_call = check_call_id(&answer, call_id)?;
        if !names_the_call && FIELDS_OF_AN_END.iter().all(|field| answer.is_null(field)) {
            return Err(Error::InvalidResponse { detail: "the answer does not say that the end was taken" });
        }
        Ok(Self { customer_ref: answer.text("customer_ref").and_then(CustomerRef::new) })
    }
}

fn object(body: &str) -> Result<Object<'_>, Error> {
    Object::parse(body).ok_or(Error::InvalidResponse { detail: "the answer is not a JSON object" })
}

/// Whether an answer names the request's call. It may leave the call out, but must not name another one.
fn check_call_id(answer: &Object<'_>, call_id: &str) -> Result<bool, Error> {
    match answer.is_null("call_id") {
        true => Ok(false),
        false if answer.scalar("call_id").as_deref() == Some(call_id) => Ok(true),
        false => Err(Error::OtherCall),
    }
}

fn level(word: &str) -> Option<&'static str> {
    ["very_high", "high", "medium", "low"].into_iter().find(|known| *known == word)
}

fn open_intent(entry: &Object<'_>) -> Option<OpenIntent> {
    let name = entry.text("intent").filter(|name| !name.trim().is_empty())?;
    // The API may send 2.0. A cast of a float out of range gives the integer's largest or smallest value.
    let attempts = entry.number("attempt_count").unwrap_or_default() as u64;
    Some(OpenIntent { name, status: entry.text("status"), attempts })
}

/// The variables. They are sent as plain strings, and the API returns them as `{"value": …, "source": …, "ttl_seconds":
/// …}`. A plain string is accepted too.
fn variables(all: &Object<'_>) -> BTreeMap<String, String> {
    all.keys()
        .filter_map(|name| {
            let value = all.text(name).or_else(|| all.object(name)?.text("value"))?;
            Some((name.to_owned(), value))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sample of the vendor's API documentation, `POST /v1/calls/start`.
    const KNOWN: &str = r#"{"call_id":"call_001","customer_ref":"a1b2c3d4-e5f6-7890-abcd-ef1234567890",
        "call_start":"2026-02-07T10:30:00.000Z",
        "identity":{"confidence":0.9,"level":"very_high","sources":["ani:mobile","external_id","recency:1day"],"recommendation":"reuse"},
        "open_intents":[{"intent":"refund_request","status":"open","attempt_count":2}],
        "variables":{"name":{"value":"John Doe","source":null,"ttl_seconds":2592000}}}"#;

    #[test]
    fn the_vendors_sample_is_read_whole() {
        let answer = StartAnswer::parse(KNOWN).unwrap();
        assert_eq!(answer.customer_ref.as_ref().map(CustomerRef::as_str), Some("a1b2c3d4-e5f6-7890-abcd-ef1234567890"));
        assert_eq!(answer.call_start, "2026-02-07T10:30:00Z".parse().ok());
        assert_eq!(answer.confidence, 0.9);
        assert_eq!(answer.level, Some("very_high"));
        assert_eq!(answer.recommendation, Recommendation::Reuse);
        let refund = OpenIntent { name: "refund_request".to_owned(), status: Some("open".to_owned()), attempts: 2 };
        assert_eq!(answer.open_intents, [refund]);
        assert_eq!(answer.variables["name"], "John Doe");
    }

    #[test]
    fn a_new_caller_has_a_reference_and_a_confidence_of_zero() {
        for confidence in ["0", "null"] {
            let body = format!(
                r#"{{"customer_ref":"cust_1","identity":{{"confidence":{confidence},"level":"low","sources":[],"recommendation":"ignore"}},"open_intents":[],"variables":{{}}}}"#
            );
            let answer = StartAnswer::parse(&body).unwrap();
            let nobody = StartAnswer {
                customer_ref: CustomerRef::new("cust_1".to_owned()),
                level: Some("low"),
                ..Default::default()
            };
            assert_eq!(answer, nobody);
        }
    }

    #[test]
    fn an_empty_object_is_an_answer_about_an_unknown_caller() {
        assert_eq!(StartAnswer::parse("{}").unwrap(), StartAnswer::default());
    }

    #[test]
    fn the_answer_to_an_end_names_the_customer() {
        // The fields that the vendor's documentation names for `POST /v1/calls/end`.
        let body = r#"{"call_id":"call_001","customer_ref":"cust_1","call_start":"2026-02-07T10:30:00.000Z",
            "call_end":"2026-02-07T10:35:00.000Z","duration_seconds":300,"intents_updated":1,"variables_updated":2}"#;
        assert_eq!(EndAnswer::to_call(body, "call_001").unwrap().customer_ref, CustomerRef::new("cust_1".to_owned()));
    }

    #[test]
    fn an_end_counts_as_taken_only_if_the_answer_says_so() {
        for body in [r#"{"call_id":"c"}"#, r#"{"customer_ref":"x"}"#, r#"{"call_id":null,"variables_updated":0}"#] {
            assert!(EndAnswer::to_call(body, "c").is_ok(), "{body}");
        }
        for body in ["{}", r#"{"success":false}"#, r#"{"customer_ref":null}"#, r#"{"duration_seconds":3}"#, "[]", ""] {
            assert!(matches!(EndAnswer::to_call(body, "c"), Err(Error::InvalidResponse { .. })), "{body}");
        }
    }

    #[test]
    fn an_answer_about_another_call_is_refused() {
        for call_id in [r#""other""#, "7", "[]", r#""""#, "true"] {
            let body = format!(r#"{{"call_id":{call_id},"customer_ref":"x"}}"#);
            assert_eq!(StartAnswer::to_call(&body, "c"), Err(Error::OtherCall), "{body}");
            assert_eq!(EndAnswer::to_call(&body, "c"), Err(Error::OtherCall), "{body}");
        }
        assert!(StartAnswer::to_call("{}", "c").is_ok(), "it may leave the call out");
        assert!(StartAnswer::to_call(r#"{"call_id":7}"#, "7").is_ok());
    }

    #[test]
    fn an_answer_that_is_not_a_json_object_is_refused() {
        for body in ["", "null", "[]", "\"ok\"", "<html></html>", "{\"a\":1"] {
            assert_eq!(StartAnswer::parse(body), None, "{body}");
        }
    }

    #[test]
    fn a_field_of_the_wrong_type_counts_as_absent_and_the_others_are_read() {
        let body = r#"{"customer_ref":7,"call_start":"yesterday",
            "identity":{"confidence":"0.9","level":"extreme","recommendation":null},
            "open_intents":[{"intent":""},{"intent":7},"refund",{"intent":"billing_issue","status":1,"attempt_count":"2"},
                {"intent":"escalation","attempt_count":-3},{"intent":"x","attempt_count":2.0}],
            "variables":{"name":"Jane","tier":{"value":1},"a":null,"b":{"source":"x"},"resolution":{"value":"ok"}}}"#;
        let answer = StartAnswer::parse(body).unwrap();
        assert_eq!(answer.customer_ref, None);
        assert_eq!(answer.call_start, None);
        assert_eq!(answer.confidence, 0.0);
        assert_eq!(answer.level, None);
        assert_eq!(answer.recommendation, Recommendation::Ignore);
        let intents: Vec<_> =
            answer.open_intents.iter().map(|intent| (intent.name.as_str(), intent.attempts)).collect();
        assert_eq!(intents, [("billing_issue", 0), ("escalation", 0), ("x", 2)]);
        assert_eq!(
            answer.variables.into_iter().collect::<Vec<_>>(),
            [("name".to_owned(), "Jane".to_owned()), ("resolution".to_owned(), "ok".to_owned())]
        );
    }

    #[test]
    fn a_confidence_out_of_range_is_clamped() {
        let confidence =
            |text: &str| StartAnswer::parse(&format!(r#"{{"identity":{{"confidence":{text}}}}}"#)).unwrap().confidence;
        assert_eq!(confidence("1.7"), 1.0);
        assert_eq!(confidence("-0.2"), 0.0);
        assert_eq!(confidence("1e999"), 0.0);
    }
}
