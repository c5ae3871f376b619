//! What a call leaves for the next one, and the names of the variables that hold it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::card_numbers;
use crate::hash::sha256;
use crate::sticky_calls::{EndRequest, IdentityHints, IntentStatus, takes_call_id};

/// The text that the integration guide's functions save if nobody wrote anything. It is never sent; if the API returns
/// it, it counts as empty.
pub const FILLER: &str = "Customer called for support";

/// The value that holds the summary, and the source of a last issue taken from it.
pub const CALL_SUMMARY: &str = "call_summary";

/// The value that holds the agent's notes, and the source of a last issue taken from them.
pub const AGENT_NOTES: &str = "agent_notes";

/// The source of a last issue that Contact Lens summarised, because nobody had typed anything.
pub const CONTACT_LENS: &str = "contact_lens";

/// The value that holds what became of the caller's intent.
pub const INTENT_STATUS: &str = "intent_status";

/// The intent if none is given.
pub const DEFAULT_INTENT: &str = "general_inquiry";

/// The variables that only the newest call's words may set.
pub const LAST_ISSUE: &str = "last_issue";
/// Where the last issue comes from. It is set only if somebody wrote something.
pub const LAST_ISSUE_SOURCE: &str = "last_issue_source";
/// The agent's notes.
pub const RESOLUTION: &str = "resolution";
/// When the call was.
pub const CALL_DATE: &str = "call_date";

/// What an older call was about, if a newer call has left words too.
pub const EARLIER_ISSUE: &str = "earlier_issue";
/// When that call was.
pub const EARLIER_ISSUE_DATE: &str = "earlier_issue_date";

/// What the API is told about the end of a call.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// The contact's id, for the log.
    pub contact_id: Option<String>,
    /// The request for the end of the call.
    pub request: EndRequest,
    /// What identifies the customer beside a `customer_ref`.
    pub hints: IdentityHints,
    /// The id of its words: a summary, notes, or a status that somebody chose. `None` without words.
    pub words: Option<WordsId>,
    /// The contact that Contact Lens summarised, if its words are from there.
    pub summarised_contact: Option<String>,
    /// Whether it may be the end of the call. If not, the call goes on, and the words are sent as a standalone end.
    pub may_end_call: bool,
    /// When the call started: the last issue is from the call that started last.
    pub started: Timestamp,
    /// When this came, to the millisecond: within one call, the last issue is from the words that came last.
    pub came: Timestamp,
}

/// The newest call of a customer with a text: typed, or by Contact Lens.
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
    /// Whether it has a text: a summary or notes that somebody typed, or Contact Lens' summary.
    pub fn holds_text(&self) -> bool {
        self.request.variables.contains_key(LAST_ISSUE_SOURCE)
    }

    /// Whether somebody typed something in it.
    pub fn holds_typed_text(&self) -> bool {
        self.holds_text() && self.summarised_contact.is_none()
    }

    /// The same call without what somebody typed in it.
    pub fn without_words(mut self) -> Self {
        for name in [LAST_ISSUE, LAST_ISSUE_SOURCE, RESOLUTION] {
            self.request.variables.remove(name);
        }
        Self { words: None, ..self }
    }

    /// The same call with Contact Lens' summary of this contact as its words.
    ///
    /// They count as older than everything that somebody typed about the call, so that they never replace it.
    pub fn with_contact_lens(mut self, contact_id: &str, text: &str) -> Self {
        self.request.variables.insert(LAST_ISSUE.to_owned(), text.to_owned());
        self.request.variables.insert(LAST_ISSUE_SOURCE.to_owned(), CONTACT_LENS.to_owned());
        let words = Some(WordsId::of_contact_lens(contact_id));
        Self { words, summarised_contact: Some(contact_id.to_owned()), came: Timestamp::UNIX_EPOCH, ..self }
    }

    /// The call's id and the words' id. A flow stores it as the mark of words that are safe, and it is the `call_id` of
    /// their standalone end. `None` without words.
    pub fn saved_words(&self) -> Option<String> {
        Some(self.words.as_ref()?.with_call_id(&self.request.call_id))
    }

    /// The same summary as a standalone end. The API documents it for saves that had no start, and takes it
    /// in addition to the call's own end. `None` without words: then it would add nothing.
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

    /// Its call, as the newest one.
    pub fn as_newest(&self) -> Newest {
        Newest {
            call_id: self.request.call_id.clone(),
            started_ms: self.started.as_millisecond(),
            came_ms: self.came.as_millisecond(),
            intent: self.request.intent.clone(),
            intent_status: self.request.intent_status,
        }
    }

    /// Whether `newest` is newer: another call that started later, or later words of the same call.
    pub fn is_older_than(&self, newest: &Newest) -> bool {
        match newest.call_id == self.request.call_id {
            true => newest.came_ms > self.came.as_millisecond(),
            false => newest.started_ms > self.started.as_millisecond(),
        }
    }

    /// Whether it adds nothing to a `newer` call: it has no words, and the intents are the same.
    pub fn adds_nothing_to(&self, newer: &Newest) -> bool {
        let is_another_call = newer.call_id != self.request.call_id;
        self.words.is_none() && is_another_call && newer.intent == self.request.intent
    }

    /// The request if a newer call has left words: the text becomes the earlier issue, and nothing replaces what the
    /// newer call left.
    pub fn as_earlier_issue(&self, newest: &Newest) -> EndRequest {
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

/// Identifies what somebody wrote or chose: the same words always have the same id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WordsId(String);

impl WordsId {
    /// The id of these words: summary and notes with card numbers masked, and the status as it was given.
    pub fn new(summary: Option<&str>, notes: Option<&str>, status: Option<&str>) -> Self {
        let status = status.map(card_numbers::mask);
        Self::of([(CALL_SUMMARY, summary), (AGENT_NOTES, notes), (INTENT_STATUS, status.as_deref())])
    }

    /// The id of what Contact Lens says about this contact. There is at most one summary of a contact, so a redacted
    /// one has the id of the raw one.
    pub fn of_contact_lens(contact_id: &str) -> Self {
        Self::of([(CONTACT_LENS, Some(contact_id))])
    }

    fn of<const N: usize>(texts: [(&str, Option<&str>); N]) -> Self {
        let mut all = String::new();
        for (name, text) in texts {
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

/// The contact attribute `sticky_calls_saved`: it names the words that are safe.
pub struct Mark<'a> {
    call_id: &'a str,
    words: &'a str,
}

impl<'a> Mark<'a> {
    /// Reads a mark. Returns `None` if the text is something else.
    pub fn parse(text: &'a str) -> Option<Self> {
        let (call_id, words) = text.trim().rsplit_once('.')?;
        Some(Self { call_id, words })
    }

    /// Whether it names words of this call.
    pub fn is_of(&self, call_id: &str) -> bool {
        self.call_id == call_id
    }

    /// Whether it names these words.
    pub fn names(&self, words: &WordsId) -> bool {
        self.words == words.0
    }

    /// Whether these words of this call are safe already. Connect copies attributes to related contacts, the mark
    /// together with the words. So words from attributes may have another call's mark. If the block itself was
    /// `given` the words, the mark must name this call too.
    pub fn covers(&self, words: &WordsId, call_id: &str, given: bool) -> bool {
        self.names(words) && (!given || self.is_of(call_id))
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
        Summary { contact_id: None, request, hints, words, summarised_contact: None, may_end_call: true, started, came }
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
    fn the_same_words_have_the_same_id_and_other_words_have_another_one() {
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
    fn a_mark_covers_the_words_that_it_names_but_given_ones_only_in_its_own_call() {
        let words = WordsId::new(Some("Refund"), None, None);
        let mark = format!("call.1.{}", words.0);
        let mark = Mark::parse(&mark).unwrap();
        assert!(mark.covers(&words, "call.1", true) && mark.covers(&words, "call.2", false));
        assert!(!mark.covers(&words, "call.2", true), "the same words may be meant for another call");
        assert!(!mark.covers(&WordsId::new(Some("Other"), None, None), "call.1", false));
        assert!(Mark::parse("true").is_none());
    }

    #[test]
    fn a_standalone_end_has_every_hint_about_the_customer() {
        let words = WordsId::new(Some("Refund"), None, None);
        let summary = summary(&[], Some(words.clone()));
        let standalone = summary.standalone(&summary.request).unwrap();
        assert_eq!(standalone.call_id, format!("older.{}", words.0));
        let hints = IdentityHints { customer_ref: CustomerRef::new("cust_1".to_owned()), ..summary.hints.clone() };
        assert_eq!((standalone.customer_ref, standalone.identity_hints), (None, Some(hints)));
        assert_eq!(self::summary(&[], None).standalone(&summary.request), None, "nothing was said");
    }

    #[test]
    fn what_contact_lens_says_never_replaces_what_somebody_typed_about_the_same_call() {
        let typed = summary(&[(LAST_ISSUE, "typed"), (LAST_ISSUE_SOURCE, AGENT_NOTES), (RESOLUTION, "typed")], None);
        let lens = typed.clone().without_words().with_contact_lens("c", "Paid with a card");
        let expected = [(LAST_ISSUE, "Paid with a card"), (LAST_ISSUE_SOURCE, CONTACT_LENS)];
        let expected = expected.map(|(name, text)| (name.to_owned(), text.to_owned()));
        assert_eq!(lens.request.variables, BTreeMap::from(expected));
        assert!(lens.holds_text() && !lens.holds_typed_text() && typed.holds_typed_text());
        assert!(lens.is_older_than(&typed.as_newest()) && !typed.is_older_than(&lens.as_newest()));
        let again = typed.without_words().with_contact_lens("c", "Paid by [NAME]");
        assert_eq!(again.words, lens.words, "there is one summary of a contact");
        assert!(!again.is_older_than(&lens.as_newest()));
    }

    #[test]
    fn calls_are_ordered_by_their_start_and_words_of_one_call_by_their_arrival() {
        let summary = summary(&[], None);
        assert!(summary.is_older_than(&newest("newer", "2026-02-07T10:00:01Z", "2026-02-07T10:05:00Z")));
        assert!(!summary.is_older_than(&newest("newer", "2026-02-07T10:00:00Z", "2026-02-08T10:00:00Z")));
        assert!(summary.is_older_than(&newest("older", "2026-02-07T10:00:00Z", "2026-02-07T10:10:01Z")));
        assert!(!summary.is_older_than(&newest("older", "2026-02-07T11:00:00Z", "2026-02-07T10:10:00Z")));
    }

    #[test]
    fn if_a_newer_call_has_words_all_older_words_become_the_earlier_issue() {
        let newer = newest("newer", "2026-02-07T10:30:00Z", "2026-02-07T10:40:00Z");
        let by_both = [
            (LAST_ISSUE, "Refund"),
            (LAST_ISSUE_SOURCE, CALL_SUMMARY),
            (RESOLUTION, "Asked billing"),
            (CALL_DATE, "2026-02-07"),
            ("tier", "gold"),
        ];
        let request = summary(&by_both, None).as_earlier_issue(&newer);
        let expected =
            [(EARLIER_ISSUE, "Refund / Asked billing"), (EARLIER_ISSUE_DATE, "2026-02-07"), ("tier", "gold")];
        assert_eq!(request.variables, BTreeMap::from(expected.map(|(name, text)| (name.to_owned(), text.to_owned()))));
        assert_eq!(request.intent_status, IntentStatus::Open, "the newer call decides about their common intent");

        let by_notes = [(LAST_ISSUE, "Notes"), (LAST_ISSUE_SOURCE, AGENT_NOTES), (RESOLUTION, "Notes")];
        assert_eq!(summary(&by_notes, None).as_earlier_issue(&newer).variables[EARLIER_ISSUE], "Notes");
        let other_intent = Newest { intent: "sales".to_owned(), ..newer };
        let silent = summary(&[(CALL_DATE, "2026-02-07")], None).as_earlier_issue(&other_intent);
        assert_eq!((silent.variables.len(), silent.intent_status), (0, IntentStatus::Resolved));
    }
}
