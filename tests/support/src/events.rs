//! The sample events in `events/`.

use std::path::PathBuf;

use serde_json::Value;

/// The folder of the sample events.
pub fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../events"))
}

/// The text of `events/<name>.json`.
pub fn text(name: &str) -> String {
    let path = folder().join(format!("{name}.json"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The event `events/<name>.json`.
pub fn event(name: &str) -> Value {
    serde_json::from_str(&text(name)).unwrap_or_else(|error| panic!("events/{name}.json: {error}"))
}

/// An event with a changed value in its contact, at a path like `/CustomerEndpoint/Address`.
pub fn with_contact(mut event: Value, path: &str, value: impl Into<Value>) -> Value {
    set(&mut event["Details"]["ContactData"], path, value.into());
    event
}

/// An event with another parameter.
pub fn with_parameter(mut event: Value, name: &str, value: impl Into<Value>) -> Value {
    event["Details"]["Parameters"][name] = value.into();
    event
}

/// An event with another contact attribute.
pub fn with_attribute(mut event: Value, name: &str, value: impl Into<Value>) -> Value {
    event["Details"]["ContactData"]["Attributes"][name] = value.into();
    event
}

fn set(value: &mut Value, path: &str, to: Value) {
    let place = path.trim_start_matches('/').split('/').fold(value, |value, key| &mut value[key]);
    *place = to;
}
