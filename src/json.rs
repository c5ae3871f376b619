//! Lenient reading of JSON that others wrote: events from Connect, answers from the API.
//!
//! Either side may leave a value out, send `null`, or send another type than documented, and one odd value must not
//! cost the others. So nothing is deserialised whole: an [`Object`] keeps its values as raw text and looks at one only
//! when it is asked for. Raw text is skipped without recursion, which makes any depth of nesting safe, and numbers keep
//! all their digits.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Visitor};
use serde_json::value::RawValue;

/// The text of what somebody sent as JSON, with as little lost as must be: without a byte order mark, bytes that are no
/// UTF-8 as U+FFFD, and, if it can't be read otherwise, control characters as spaces.
pub fn repaired(bytes: Vec<u8>) -> String {
    let text = String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
    let text = text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text);
    let is_broken = text.contains(is_control) && serde_json::from_str::<&RawValue>(&text).is_err();
    if is_broken { text.replace(is_control, " ") } else { text }
}

/// A character that JSON's strings may hold only escaped.
fn is_control(character: char) -> bool {
    character < ' '
}

/// A JSON object. Where a key is repeated the last value holds, as in JavaScript.
#[derive(Clone, Debug, Default)]
pub struct Object<'a>(BTreeMap<Text<'a>, &'a RawValue>);

impl<'a> Object<'a> {
    /// Reads one JSON object, or `None` where `json` is anything else.
    pub fn parse(json: &'a str) -> Option<Self> {
        serde_json::from_str(json).ok().map(Self)
    }

    /// The object at `key`.
    pub fn object(&self, key: &str) -> Option<Self> {
        Self::parse(self.raw(key)?)
    }

    /// The objects in the array at `key`; what is no object in it is passed over.
    pub fn objects(&self, key: &str) -> Vec<Self> {
        self.array(key).iter().filter_map(|element| Self::parse(element.get())).collect()
    }

    /// The elements of the array at `key`, unread; none where there is no array.
    pub fn array(&self, key: &str) -> Vec<&'a RawValue> {
        self.raw(key).and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default()
    }

    /// The string at `key`. Half a surrogate pair in it becomes U+FFFD: a summary cut inside an emoji is still a summary.
    pub fn text(&self, key: &str) -> Option<String> {
        // What is no string is not left to the parser, whose error would cost more than the reading of one.
        let json = self.raw(key).filter(|json| json.starts_with('"'))?;
        serde_json::from_str::<Text<'_>>(json).ok().map(|text| text.0.into_owned())
    }

    /// The string at `key`, or a number or boolean there as its text, digit for digit.
    pub fn scalar(&self, key: &str) -> Option<String> {
        let json = self.raw(key)?;
        match json.as_bytes().first()? {
            b'"' => self.text(key),
            b't' | b'f' | b'-' | b'0'..=b'9' => Some(json.to_owned()),
            _ => None,
        }
    }

    /// Whether there is nothing at `key`: it is missing or `null`.
    pub fn is_null(&self, key: &str) -> bool {
        self.raw(key).is_none_or(|json| json == "null")
    }

    /// The number at `key`.
    pub fn number(&self, key: &str) -> Option<f64> {
        serde_json::from_str(self.raw(key)?).ok()
    }

    /// Every key, in alphabetical order.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(|key| &*key.0)
    }

    /// The value at `key`, unread.
    pub fn raw(&self, key: &str) -> Option<&'a str> {
        self.0.get(key).map(|value| value.get())
    }
}

/// A JSON string that may hold half a surrogate pair, which `String` would refuse. One without escapes, as nearly every
/// key is, is not copied.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Text<'a>(Cow<'a, str>);

impl std::borrow::Borrow<str> for Text<'_> {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;

        impl<'de> Visitor<'de> for Bytes {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_bytes<E>(self, bytes: &'de [u8]) -> Result<Text<'de>, E> {
                Ok(Text(String::from_utf8_lossy(bytes)))
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Text<'de>, E> {
                Ok(Text(String::from_utf8_lossy(bytes).into_owned().into()))
            }
        }

        // Asked for bytes, serde_json hands half a surrogate pair over as it is instead of refusing it.
        deserializer.deserialize_bytes(Bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_of_the_wrong_type_counts_as_absent_and_costs_no_other() {
        let object = Object::parse(r#"{"a":[1],"b":"text","c":null,"d":{"e":"in"},"f":0.5,"g":true}"#).unwrap();
        assert_eq!(object.text("a"), None);
        assert_eq!(object.text("b").as_deref(), Some("text"));
        assert_eq!(object.text("c"), None);
        assert_eq!(object.text("f"), None);
        assert_eq!(object.number("f"), Some(0.5));
        assert_eq!(object.number("b"), None);
        assert_eq!(object.scalar("g").as_deref(), Some("true"));
        assert_eq!(object.scalar("d"), None);
        assert_eq!(object.object("d").unwrap().text("e").as_deref(), Some("in"));
        assert!(object.object("b").is_none());
    }

    #[test]
    fn only_an_object_is_an_object() {
        for json in ["null", "[]", "1", "\"{}\"", "", "{", "{} {}", "{\"a\":}"] {
            assert!(Object::parse(json).is_none(), "{json}");
        }
    }

    #[test]
    fn a_number_keeps_all_its_digits_as_text() {
        let object = Object::parse(r#"{"id":12345678901234567890123456789,"price":1.50,"huge":1e999}"#).unwrap();
        assert_eq!(object.scalar("id").as_deref(), Some("12345678901234567890123456789"));
        assert_eq!(object.scalar("price").as_deref(), Some("1.50"));
        assert_eq!(object.number("huge"), None);
    }

    #[test]
    fn nesting_of_any_depth_is_skipped_without_recursion() {
        let deep = format!("{{\"deep\":{}{},\"a\":\"b\"}}", "[".repeat(500_000), "]".repeat(500_000));
        let object = Object::parse(&deep).unwrap();
        assert_eq!(object.text("a").as_deref(), Some("b"));
        assert_eq!(object.text("deep"), None);
        assert!(object.object("deep").is_none());
        assert!(object.objects("deep").is_empty());
    }

    #[test]
    fn half_an_emoji_costs_one_character_and_not_the_text() {
        let object = Object::parse(r#"{"note\ud83d":"sad \ud83d","ok":"\ud83d\ude00"}"#).unwrap();
        assert!(object.text("note\u{fffd}\u{fffd}\u{fffd}").unwrap().starts_with("sad \u{fffd}"));
        assert_eq!(object.text("ok").as_deref(), Some("\u{1f600}"));
    }

    #[test]
    fn a_mark_before_or_a_broken_byte_inside_json_costs_no_more_than_it_must() {
        let read = |bytes: &[u8]| {
            let text = repaired(bytes.to_vec());
            let object = Object::parse(&text)?;
            Some((object.text("a")?, object.text("b")?))
        };
        let both = |a: &str| Some((a.to_owned(), "kept".to_owned()));
        assert_eq!(read(b"\xef\xbb\xbf{\"a\":\"x\",\"b\":\"kept\"}"), both("x"));
        assert_eq!(read(b"{\"a\":\"x\xff\",\"b\":\"kept\"}"), both("x\u{fffd}"));
        assert_eq!(read(b"{\"a\":\"x\x01y\nz\",\n\t\"b\":\"kept\"}"), both("x y z"));
        assert_eq!(read(b"{\n\t\"a\":\"x\\n\",\"b\":\"kept\"}"), both("x\n"));
        assert_eq!(read(b"{\"a\":\"x\",\xff\"b\":\"kept\"}"), None, "outside of a text there is nothing to repair");
    }

    #[test]
    fn of_a_repeated_key_the_last_value_holds() {
        assert_eq!(Object::parse(r#"{"a":"1","a":"2"}"#).unwrap().text("a").as_deref(), Some("2"));
    }

    #[test]
    fn objects_in_an_array_are_found_between_other_things() {
        let object = Object::parse(r#"{"list":[1,{"a":"1"},null,"x",{"a":"2"}],"none":{}}"#).unwrap();
        let found: Vec<_> = object.objects("list").iter().filter_map(|element| element.text("a")).collect();
        assert_eq!(found, ["1", "2"]);
        assert!(object.objects("none").is_empty());
    }
}
