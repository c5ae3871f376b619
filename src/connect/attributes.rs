//! The answer to a flow: `$.External`.

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde::{Serialize, Serializer};

use crate::vocabulary::{IdentifyAttribute, SaveAttribute};

/// The largest answer, in bytes of JSON. AWS says "32 KB" and does not say whether a KB has 1,000 or 1,024 bytes; this
/// is the smaller value.
pub const MAX_BYTES: usize = 32_000;

/// The longest text in an answer, in characters: as much as a flow can sensibly speak or show.
const MAX_TEXT_CHARS: usize = 250;

/// A key of `$.External`: letters, digits, `-` and `_`. A flow can't reference a key with other characters ([AWS's
/// rules for a function's
/// response](https://docs.aws.amazon.com/connect/latest/adminguide/connect-lambda-functions.html)).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AttributeName(Cow<'static, str>);

/// The text is not an attribute name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidName;

impl AttributeName {
    /// A name that comes from configuration.
    ///
    /// # Errors
    ///
    /// [`InvalidName`] if it is empty or holds anything but ASCII letters, digits, `-` and `_`.
    pub fn parse(name: &str) -> Result<Self, InvalidName> {
        if is_attribute_name(name) { Ok(Self(Cow::Owned(name.to_owned()))) } else { Err(InvalidName) }
    }

    /// The name itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<IdentifyAttribute> for AttributeName {
    fn from(attribute: IdentifyAttribute) -> Self {
        Self(Cow::Borrowed(attribute.as_str()))
    }
}

impl From<SaveAttribute> for AttributeName {
    fn from(attribute: SaveAttribute) -> Self {
        Self(Cow::Borrowed(attribute.as_str()))
    }
}

// The code compiles only if a flow can reference every name in it.
const _: () = {
    let mut names = IdentifyAttribute::ALL;
    while let [name, rest @ ..] = names {
        assert!(is_attribute_name(name.as_str()));
        names = rest;
    }
    let mut names = SaveAttribute::ALL;
    while let [name, rest @ ..] = names {
        assert!(is_attribute_name(name.as_str()));
        names = rest;
    }
};

const fn is_attribute_name(name: &str) -> bool {
    let mut rest = name.as_bytes();
    let valid = !rest.is_empty();
    while let [byte, tail @ ..] = rest {
        if !(byte.is_ascii_alphanumeric() || *byte == b'-' || *byte == b'_') {
            return false;
        }
        rest = tail;
    }
    valid
}

/// The flat attributes that a flow reads as `$.External.<name>`.
///
/// All values are strings, so that it passes the flow block's validation both as STRING_MAP and as JSON. A flow can
/// reference every name. No name occurs twice. It is never larger than [`MAX_BYTES`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes(Vec<(AttributeName, String)>);

impl Attributes {
    /// Takes names and values in the order of their importance. If a name is repeated, its first value counts.
    ///
    /// If they are larger than [`MAX_BYTES`], values are blanked from the last on until they fit. If the names alone
    /// are too large, the last ones are left out.
    pub fn new(values: impl IntoIterator<Item = (AttributeName, String)>) -> Self {
        let mut names = BTreeSet::new();
        let mut kept: Vec<_> = values.into_iter().filter(|(name, _)| names.insert(name.clone())).collect();
        let mut bytes = "{}".len() + kept.iter().map(|(name, value)| entry_len(name, value)).sum::<usize>();
        for (name, value) in kept.iter_mut().rev() {
            if bytes <= MAX_BYTES {
                break;
            }
            bytes -= entry_len(name, value) - entry_len(name, "");
            value.clear();
        }
        while bytes > MAX_BYTES
            && let Some((name, value)) = kept.pop()
        {
            bytes -= entry_len(&name, &value);
        }
        Self(kept)
    }

    /// The value of an attribute, if it is set.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find_map(|(key, value)| (key == name).then_some(value))
    }

    /// Every attribute, in the order given.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl Serialize for Attributes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

/// Bytes of `"name":"value",`. The last entry has no comma; it is counted all the same.
fn entry_len(name: &AttributeName, value: &str) -> usize {
    json_len(name.as_str()) + ":".len() + json_len(value) + ",".len()
}

/// Bytes of a string in JSON, quotes and escapes included, as serde_json writes it.
fn json_len(text: &str) -> usize {
    let escaped = |byte| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0c => 2,
        0..0x20 => 6,
        _ => 1,
    };
    2 + text.bytes().map(escaped).sum::<usize>()
}

/// Makes a stored text fit for a flow: one line of at most 250 characters. A text of nothing but spaces becomes empty.
pub fn attribute_text(text: &str) -> String {
    one_line(text, MAX_TEXT_CHARS)
}

/// A text as one line of at most `most` characters. Control characters and line breaks become spaces; a text of nothing
/// but spaces becomes empty.
pub fn one_line(text: &str, most: usize) -> String {
    let is_line_break = |c| matches!(c, '\u{2028}' | '\u{2029}');
    let line: String =
        text.chars().take(most).map(|c| if c.is_control() || is_line_break(c) { ' ' } else { c }).collect();
    if line.trim().is_empty() { String::new() } else { line }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_that_a_flow_cannot_reference_is_refused() {
        for name in ["", "a b", "a.b", "größe", "$", "a[0]", "a\n"] {
            assert_eq!(AttributeName::parse(name), Err(InvalidName), "{name:?}");
        }
        assert_eq!(AttributeName::parse("var_last-issue2").unwrap().as_str(), "var_last-issue2");
    }

    fn named(name: &str, value: &str) -> (AttributeName, String) {
        (AttributeName::parse(name).unwrap(), value.to_owned())
    }

    #[test]
    fn an_answer_that_would_be_too_large_is_blanked_from_the_last_value_on() {
        let half = "x".repeat(MAX_BYTES / 2);
        let attributes = Attributes::new([
            named("first", "kept"),
            named("second", &half),
            named("third", &half),
            named("last", "small"),
        ]);
        assert_eq!(attributes.get("first"), Some("kept"));
        assert_eq!(attributes.get("second"), Some(half.as_str()));
        assert_eq!(attributes.get("third"), Some(""));
        assert_eq!(attributes.get("last"), Some(""));
    }

    #[test]
    fn the_first_value_of_a_repeated_name_counts() {
        let attributes = Attributes::new([named("a", "1"), named("b", "2"), named("a", "3")]);
        assert_eq!(attributes.iter().collect::<Vec<_>>(), [("a", "1"), ("b", "2")]);
    }

    #[test]
    fn a_text_is_cut_after_250_characters_and_never_inside_one() {
        assert_eq!(attribute_text(&"é".repeat(300)), "é".repeat(250));
        assert_eq!(attribute_text(&"👍".repeat(300)).chars().count(), 250);
        assert_eq!(attribute_text("short"), "short");
    }

    #[test]
    fn control_characters_and_line_breaks_become_spaces() {
        assert_eq!(attribute_text("a\nb\tc\u{0}d\u{2028}e\u{85}f"), "a b c d e f");
    }

    #[test]
    fn a_text_of_nothing_but_spaces_becomes_empty() {
        assert_eq!(attribute_text(" \n\t \u{a0}"), "");
    }

    proptest! {
        #[test]
        fn an_answer_is_a_flat_string_map_under_the_limit_whatever_its_values(
            pairs in prop::collection::vec(("[a-zA-Z0-9_-]{1,20}", any::<String>(), any::<char>(), 0..9_000_usize), 0..20)
        ) {
            let attributes = Attributes::new(pairs.iter().map(|(name, text, filling, length)| {
                named(name, &(text.to_owned() + &filling.to_string().repeat(*length)))
            }));
            let json = serde_json::to_string(&attributes).unwrap();
            prop_assert!(json.len() <= MAX_BYTES);
            let read: std::collections::BTreeMap<String, String> = serde_json::from_str(&json).unwrap();
            prop_assert_eq!(read.len(), attributes.iter().count());
            prop_assert!(pairs.iter().all(|(name, ..)| read.contains_key(name)));
        }

        #[test]
        fn the_size_of_a_string_is_counted_as_serde_json_writes_it(text: String) {
            prop_assert_eq!(json_len(&text), serde_json::to_string(&text).unwrap().len());
        }
    }
}
