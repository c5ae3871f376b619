//! Lenient reading of JSON that others wrote: events from Connect, answers from the API.
//!
//! Either side may leave a value out, send `null`, or send another type than documented. One odd value must not make
//! the others unreadable. So nothing is deserialised whole: an [`Object`] keeps its values as raw text, and reads a
//! value only when it is needed. Raw text is skipped without recursion, so any depth of nesting is safe. Numbers keep
//! all their digits.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Visitor};
use serde_json::value::RawValue;

/// Repairs the text of JSON that somebody sent: removes a byte order mark, replaces bytes that are not UTF-8 with
/// U+FFFD, and, if the text can't be read otherwise, replaces control characters with spaces.
pub fn repaired(bytes: Vec<u8>) -> String {
    let text = String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
    let text = text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text);
    // Below the space is what must be escaped in a JSON string.
    let is_broken = text.bytes().any(|byte| byte < b' ') && serde_json::from_str::<&RawValue>(&text).is_err();
    if is_broken { text.replace(|character| character < ' ', " ") } else { text }
}

/// A JSON object. If a key is repeated, the last value counts, as in JavaScript.
#[derive(Clone, Debug, Default)]
pub struct Object<'a>(BTreeMap<Text<'a>, &'a RawValue>);

impl<'a> Object<'a> {
    /// Reads one JSON object. Returns `None` if `json` is anything else.
    pub fn parse(json: &'a str) -> Option<Self> {
        serde_json::from_str(json).ok().map(Self)
    }

    /// The object at `key`.
    pub fn object(&self, key: &str) -> Option<Self> {
        Self::parse(self.raw(key)?)
    }

    /// The objects in the array at `key`. Its other elements are skipped.
    pub fn objects(&self, key: &str) -> Vec<Self> {
        self.array(key).iter().filter_map(|element| Self::parse(element.get())).collect()
    }

    /// The elements of the array at `key`, unread. Empty if there is no array.
    pub fn array(&self, key: &str) -> Vec<&'a RawValue> {
        self.raw(key).and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default()
    }

    /// The string at `key`. Half a surrogate pair in it becomes U+FFFD: a summary that was cut inside an emoji is kept.
    pub fn text(&self, key: &str) -> Option<String> {
        // Checked here because the parser's error costs more time than reading a string.
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

/// A JSON string that may hold half a surrogate pair, which `String` would refuse. A string without escapes is not
/// copied; nearly every key is one.
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

        // For bytes, serde_json passes half a surrogate pair on as it is. For a string it would refuse it.
        deserializer.deserialize_bytes(Bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_of_the_wrong_type_counts_as_absent_and_the_others_are_read() {
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
    fn anything_but_one_json_object_is_refused() {
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
    fn half_an_emoji_is_replaced_and_the_rest_of_the_text_is_read() {
        let object = Object::parse(r#"{"note\ud83d":"sad \ud83d","ok":"\ud83d\ude00"}"#).unwrap();
        assert!(object.text("note\u{fffd}\u{fffd}\u{fffd}").unwrap().starts_with("sad \u{fffd}"));
        assert_eq!(object.text("ok").as_deref(), Some("\u{1f600}"));
    }

    #[test]
    fn a_byte_order_mark_is_removed_and_a_broken_byte_is_replaced() {
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
    fn the_last_value_of_a_repeated_key_counts() {
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
