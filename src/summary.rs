//! What a call leaves for the next one, and the words by which a save and the next start agree on it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::card_numbers;
use crate::hash::sha256;
use crate::sticky_calls::{EndRequest, IdentityHints, IntentStatus, takes_call_id};

/// What the integration guide's own functions save where nobody wrote anything. It is never sent; read back, it is nothing.
pub const FILLER: &str = "Customer called for support";

/// The value that holds the summary, and the source of a last issue taken from it.
pub const CALL_SUMMARY: &str = "call_summary";

/// The value that holds the agent's notes, and the source of a last issue taken from them.
pub const AGENT_NOTES: &str = "agent_notes";

/// The value that holds what became of the caller's intent.
pub const INTENT_STATUS: &str = "intent_status";

/// The variables that only the newest call's words may set.
pub const LAST_ISSUE: &str = "last_issue";
/// Who wrote the last issue; it is there if somebody did.
pub const LAST_ISSUE_SOURCE: &str = "last_issue_source";
/// The agent's notes.
pub const RESOLUTION: &str = "resolution";
/// When the call was.
pub const CALL_DATE: &str = "call_date";

/// What words of an older call are saved as, once a newer one has said something.
const EARLIER_ISSUE: &str = "earlier_issue";
const EARLIER_ISSUE_DATE: &str = "earlier_issue_date";

/// What the API shall be told of a call.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// The contact's id, for the log.
    pub contact_id: Option<String>,
    /// What the API is told, as the end of the call.
    pub request: EndRequest,
    /// By what the customer may be recognised beside a `customer_ref`.
    pub hints: IdentityHints,
    /// The id of the words in it: a summary, notes, or a status that somebody decided.
    pub words: Option<WordsId>,
    /// When the call started: of two calls' words, those of the newer one are the last issue.
    pub started: Timestamp,
    /// When this came, to the millisecond: of one call's words, the later ones are.
    pub came: Timestamp,
}

/// What is known of the newest call in which somebody wrote something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Newest {
    /// Its `call_id`.
    pub call_id: String,
    /// When it started, in milliseconds since 1970.
    pub started_ms: i64,
    /// When its latest words came, in milliseconds since 1970.
    pub came_ms: i64,
    /// What the customer wanted.
    pub intent: String,
    /// What became of it.
    pub intent_status: IntentStatus,
}

impl Summary {
    /// Whether somebody wrote something in it: a summary or notes.
    pub fn holds_text(&self) -> bool {
        self.request.variables.contains_key(LAST_ISSUE_SOURCE)
    }

    /// The call's id and the words' id: what a flow stores as the mark of words that are safe, and the `call_id` of the
    /// standalone end that carries them. `None` without words.
    pub fn saved_words(&self) -> Option<String> {
        Some(self.words.as_ref()?.with_call_id(&self.request.call_id))
    }

    /// The same summary as a standalone end, which the API's documentation has for saves from a back end and which it takes
    /// beside the call's own end. `None` without words: then there is nothing that the call's own end did not say.
    pub fn standalone(&self, request: &EndRequest) -> Option<EndRequest> {
        let words = self.words.as_ref()?;
        let long = words.with_call_id(&request.call_id);
        let call_id = match takes_call_id(&long) {
            true => long,
            false => words.with_call_id(&sha256(request.call_id.as_bytes())),
        };
        let hints = IdentityHints { customer_ref: request.customer_ref.clone(), ..self.hints.clone() };
        Some(EndRequest { call_id, customer_ref: None, identity_hints: Some(hints), ..request.clone() })
    }

    /// What is to be known of its call, if it turns out to be the newest one.
    pub fn as_newest(&self) -> Newest {
        Newest {
            call_id: self.request.call_id.clone(),
            started_ms: self.started.as_millisecond(),
            came_ms: self.came.as_millisecond(),
            intent: self.request.intent.clone(),
            intent_status: self.request.intent_status,
        }
    }

    /// Whether `newest` comes after this: another call that started later, or later words of the same one.
    pub fn is_older_than(&self, newest: &Newest) -> bool {
        match newest.call_id == self.request.call_id {
            true => newest.came_ms > self.came.as_millisecond(),
            false => newest.started_ms > self.started.as_millisecond(),
        }
    }

    /// Whether it says nothing that another call, which is `newer`, has not said about the same intent.
    pub fn says_nothing_beside(&self, newer: &Newest) -> bool {
        let is_another_call = newer.call_id != self.request.call_id;
        self.words.is_none() && is_another_call && newer.intent == self.request.intent
    }

    /// What the API is told if something newer is known: the text as the earlier issue, and nothing that would replace what
    /// the newer one left.
    pub fn beside(&self, newest: &Newest) -> EndRequest {
        let mut request = self.request.clone();
        let [last_issue, source, resolution, call_date] =
            [LAST_ISSUE, LAST_ISSUE_SOURCE, RESOLUTION, CALL_DATE].map(|name| request.variables.remove(name));
        let notes = resolution.filter(|_| source.as_deref() == Some(CALL_SUMMARY));
        let text = last_issue.map(|text| notes.map(|notes| format!("{text} / {notes}")).unwrap_or(text));
        if let Some(text) = text {
            request.variables.insert(EARLIER_ISSUE.to_owned(), text);
            request.variables.extend(call_date.map(|date| (EARLIER_ISSUE_DATE.to_owned(), date)));
        }
        if newest.intent == request.intent {
            request.intent_status = newest.intent_status;
        }
        request
    }
}

/// Identifies what somebody wrote or decided: the same words have the same id wherever they are read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WordsId(String);

impl WordsId {
    /// The id of these words: summary and notes with card numbers replaced, and the status as it was given.
    pub fn new(summary: Option<&str>, notes: Option<&str>, status: Option<&str>) -> Self {
        let status = status.map(card_numbers::mask);
        let mut all = String::new();
        for (name, text) in [(CALL_SUMMARY, summary), (AGENT_NOTES, notes), (INTENT_STATUS, status.as_deref())] {
            let text = text.unwrap_or_default().trim();
            all += &format!("{name} {} {text}", text.len());
        }
        let mut hash = sha256(all.as_bytes());
        hash.truncate(16);
        Self(hash)
    }

    fn with_call_id(&self, call_id: &str) -> String {
        format!("{call_id}.{}", self.0)
    }
}

/// The mark on a contact that says which words are safe: `sticky_calls_saved`.
pub struct Mark<'a> {
    call_id: &'a str,
    words: &'a str,
}

impl<'a> Mark<'a> {
    /// Reads the mark, or `None` if the text is something else.
    pub fn parse(text: &'a str) -> Option<Self> {
        let (call_id, words) = text.trim().rsplit_once('.')?;
        Some(Self { call_id, words })
    }

    /// Whether it is about these words of this call. Attributes are copied to related contacts, the mark with the words in
    /// them; words that a block was `given` were not.
    pub fn stops(&self, words: &WordsId, call_id: &str, given: bool) -> bool {
        self.words == words.0 && (!given || self.call_id == call_id)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::sticky_calls::CustomerRef;

    fn summary(variables: &[(&str, &str)], words: Option<WordsId>) -> Summary {
        let variables = variables.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
        let request = EndRequest {
            call_id: "older".to_owned(),
            customer_ref: CustomerRef::new("cust_1".to_owned()),
            identity_hints: None,
            intent: "billing_issue".to_owned(),
            intent_status: IntentStatus::Resolved,
            variables: BTreeMap::from_iter(variables),
        };
        let hints = IdentityHints { ani: Some("+12025550101".to_owned()), ..IdentityHints::default() };
        let [started, came] = ["2026-02-07T10:00:00Z", "2026-02-07T10:10:00Z"].map(|time| time.parse().unwrap());
        Summary { contact_id: None, request, hints, words, started, came }
    }

    fn newest(call_id: &str, started: &str, came: &str) -> Newest {
        let ms = |time: &str| time.parse::<Timestamp>().unwrap().as_millisecond();
        Newest {
            call_id: call_id.to_owned(),
            started_ms: ms(started),
            came_ms: ms(came),
            intent: "billing_issue".to_owned(),
            intent_status: IntentStatus::Open,
        }
    }

    #[test]
    fn the_same_words_have_the_same_id_and_other_words_another() {
        let id = WordsId::new;
        let one = id(Some("Refund"), None, Some("open"));
        assert_eq!(one, id(Some(" Refund\n"), Some(" "), Some("open")));
        assert_eq!(one.0.len(), 16);
        for other in [
            id(Some("refund"), None, Some("open")),
            id(None, Some("Refund"), Some("open")),
            id(Some("Refund"), None, None),
            id(Some("Refund"), None, Some("resolved")),
            id(Some("Refund"), Some("open"), None),
        ] {
            assert_ne!(one, other);
        }
    }

    #[test]
    fn a_mark_stops_its_own_words_and_given_ones_only_in_its_own_call() {
        let words = WordsId::new(Some("Refund"), None, None);
        let mark = format!("call.1.{}", words.0);
        let mark = Mark::parse(&mark).unwrap();
        assert!(mark.stops(&words, "call.1", true) && mark.stops(&words, "call.2", false));
        assert!(!mark.stops(&words, "call.2", true), "the same words may be meant for another call");
        assert!(!mark.stops(&WordsId::new(Some("Other"), None, None), "call.1", false));
        assert!(Mark::parse("true").is_none());
    }

    #[test]
    fn words_of_their_own_carry_everybody_who_the_customer_is() {
        let words = WordsId::new(Some("Refund"), None, None);
        let summary = summary(&[], Some(words.clone()));
        let standalone = summary.standalone(&summary.request).unwrap();
        assert_eq!(standalone.call_id, format!("older.{}", words.0));
        let hints = IdentityHints { customer_ref: CustomerRef::new("cust_1".to_owned()), ..summary.hints.clone() };
        assert_eq!((standalone.customer_ref, standalone.identity_hints), (None, Some(hints)));
        assert_eq!(self::summary(&[], None).standalone(&summary.request), None, "nothing was said");
    }

    #[test]
    fn another_call_is_newer_by_its_start_and_the_same_one_by_when_its_words_came() {
        let summary = summary(&[], None);
        assert!(summary.is_older_than(&newest("newer", "2026-02-07T10:00:01Z", "2026-02-07T10:05:00Z")));
        assert!(!summary.is_older_than(&newest("newer", "2026-02-07T10:00:00Z", "2026-02-08T10:00:00Z")));
        assert!(summary.is_older_than(&newest("older", "2026-02-07T10:00:00Z", "2026-02-07T10:10:01Z")));
        assert!(!summary.is_older_than(&newest("older", "2026-02-07T11:00:00Z", "2026-02-07T10:10:00Z")));
    }

    #[test]
    fn beside_a_newer_call_words_are_the_earlier_issue_and_none_is_left_out() {
        let newer = newest("newer", "2026-02-07T10:30:00Z", "2026-02-07T10:40:00Z");
        let by_both = [
            (LAST_ISSUE, "Refund"),
            (LAST_ISSUE_SOURCE, CALL_SUMMARY),
            (RESOLUTION, "Asked billing"),
            (CALL_DATE, "2026-02-07"),
            ("tier", "gold"),
        ];
        let request = summary(&by_both, None).beside(&newer);
        let expected =
            [(EARLIER_ISSUE, "Refund / Asked billing"), (EARLIER_ISSUE_DATE, "2026-02-07"), ("tier", "gold")];
        assert_eq!(request.variables, BTreeMap::from(expected.map(|(name, text)| (name.to_owned(), text.to_owned()))));
        assert_eq!(request.intent_status, IntentStatus::Open, "the newer call decides about their common intent");

        let by_notes = [(LAST_ISSUE, "Notes"), (LAST_ISSUE_SOURCE, AGENT_NOTES), (RESOLUTION, "Notes")];
        assert_eq!(summary(&by_notes, None).beside(&newer).variables[EARLIER_ISSUE], "Notes");
        let other_intent = Newest { intent: "sales".to_owned(), ..newer };
        let silent = summary(&[(CALL_DATE, "2026-02-07")], None).beside(&other_intent);
        assert_eq!((silent.variables.len(), silent.intent_status), (0, IntentStatus::Resolved));
    }
}
