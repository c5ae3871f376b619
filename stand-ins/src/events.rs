//! The sample events in `events/`.

use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// The folder of the sample events.
pub fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../events"))
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

/// The event with this value in its contact, at a path like `/CustomerEndpoint/Address`.
pub fn with_contact(mut event: Value, path: &str, value: impl Into<Value>) -> Value {
    set(&mut event["Details"]["ContactData"], path, value.into());
    event
}

/// The event with this parameter.
pub fn with_parameter(mut event: Value, name: &str, value: impl Into<Value>) -> Value {
    event["Details"]["Parameters"][name] = value.into();
    event
}

/// The event with this contact attribute.
pub fn with_attribute(mut event: Value, name: &str, value: impl Into<Value>) -> Value {
    event["Details"]["ContactData"]["Attributes"][name] = value.into();
    event
}

/// The event with these parameters beside its own.
pub fn with_parameters(event: Value, parameters: &[(&str, &str)]) -> Value {
    parameters.iter().fold(event, |event, (name, value)| with_parameter(event, name, *value))
}

/// The event or record with this value at a path like `/CustomerEndpoint/Address`.
pub fn with(mut event: Value, path: &str, value: impl Into<Value>) -> Value {
    set(&mut event, path, value.into());
    event
}

/// A call from this number, at a block without parameters.
pub fn call(id: &str, number: &str) -> Value {
    let contact =
        [("ContactId", id), ("InitialContactId", id), ("PreviousContactId", id), ("CustomerEndpoint/Address", number)];
    contact.iter().fold(event("new_caller"), |event, (name, value)| with_contact(event, name, *value))
}

/// The agent's guide for a call: a chat without a number.
pub fn guide(id: &str, related_to: &str) -> Value {
    let contact =
        [("ContactId", id), ("InitialContactId", id), ("PreviousContactId", id), ("RelatedContactId", related_to)];
    let guide = contact.iter().fold(event("web_chat"), |event, (name, value)| with_contact(event, name, *value));
    let guide = with_contact(guide, "Attributes", json!({}));
    with_contact(guide, "SegmentAttributes", json!({"connect:Subtype": {"ValueString": "connect:Guide"}}))
}

/// The record of a call from this number that an agent had and the caller ended.
pub fn record_of(id: &str, number: &str, attributes: Value) -> Value {
    let record = with(with(record(), "ContactId", id), "CustomerEndpoint/Address", number);
    with(record, "Attributes", attributes)
}

/// The contact record of Jane's call that an agent wrapped up: the first in `events/contact_records.json`.
pub fn record() -> Value {
    data(&event("contact_records")).swap_remove(0)
}

/// What the records of a Kinesis event hold, except what is no JSON.
fn data(event: &Value) -> Vec<Value> {
    let records = event["Records"].as_array().expect("records").iter();
    let bytes =
        records.map(|record| STANDARD.decode(record["kinesis"]["data"].as_str().expect("text")).expect("Base64"));
    bytes.filter_map(|bytes| serde_json::from_slice(&bytes).ok()).collect()
}

/// The events of Contact Lens in `events/contact_lens.json`.
pub fn contact_lens() -> Vec<Value> {
    data(&event("contact_lens"))
}

/// Contact Lens' summary of a call.
pub fn summary_of(contact_id: &str, text: &str) -> Value {
    let event = json!({"Version": "1.0.0", "Channel": "VOICE", "AccountId": "123456789012", "LanguageCode": "en-US",
        "InstanceId": "c8c0e68d-2200-4265-82c0-000000000000", "EventType": "SEGMENTS", "ContactId": contact_id});
    with(event, "Segments", segments(text))
}

/// Contact Lens' summary of a chat, with this `OutputType`.
pub fn summary_of_chat(contact_id: &str, text: &str, output_type: &str) -> Value {
    let event = json!({"Version": "2.0.0", "Channel": "CHAT", "AccountId": "123456789012",
        "InstanceId": "c8c0e68d-2200-4265-82c0-000000000000", "StreamingEventType": "SEGMENTS",
        "StreamingSettings": {"LanguageCode": "en-US", "Output": "RedactedAndRaw"}, "OutputType": output_type});
    with(with(event, "ContactId", contact_id), "Segments", segments(text))
}

fn segments(text: &str) -> Value {
    json!([{"PostContactSummary": {"Content": text, "Status": "COMPLETED"}}])
}

/// A Kinesis event with these records.
pub fn stream(records: &[Value]) -> Value {
    let record = |(number, record): (usize, &Value)| {
        json!({
            "kinesis": {
                "kinesisSchemaVersion": "1.0",
                "partitionKey": "4a573372-1f28-4e26-b97b-000000000031",
                "sequenceNumber": format!("4959033827149025660855969253836157109592157598913658{number:04}"),
                "data": STANDARD.encode(record.to_string()),
                "approximateArrivalTimestamp": 1_770_460_200.5,
            },
            "eventSource": "aws:kinesis",
            "eventVersion": "1.0",
            "eventID": format!("shardId-000000000006:{number}"),
            "eventName": "aws:kinesis:record",
            "invokeIdentityArn": "arn:aws:iam::123456789012:role/save",
            "awsRegion": "eu-central-1",
            "eventSourceARN": "arn:aws:kinesis:eu-central-1:123456789012:stream/contact-records",
        })
    };
    json!({"Records": records.iter().enumerate().map(record).collect::<Vec<_>>()})
}

/// An SQS event with these message bodies, each received for the first time.
pub fn queue(bodies: &[String]) -> Value {
    let record = |(number, body): (usize, &String)| {
        json!({
            "messageId": format!("059f36b4-87a3-44ab-83d2-{number:012}"),
            "receiptHandle": "AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a",
            "body": body,
            "attributes": {
                "ApproximateReceiveCount": "1",
                "SentTimestamp": "1770460200000",
                "SenderId": "AIDAIENQZJOLO23YVJ4VO",
                "ApproximateFirstReceiveTimestamp": "1770460201000",
            },
            "messageAttributes": {},
            "md5OfBody": "e4e68fb7bd0e697a0ae8f1bb342846b3",
            "eventSource": "aws:sqs",
            "eventSourceARN": "arn:aws:sqs:eu-central-1:123456789012:outbox",
            "awsRegion": "eu-central-1",
        })
    };
    json!({"Records": bodies.iter().enumerate().map(record).collect::<Vec<_>>()})
}

fn set(value: &mut Value, path: &str, to: Value) {
    let place = path.trim_start_matches('/').split('/').fold(value, |value, key| &mut value[key]);
    *place = to;
}
