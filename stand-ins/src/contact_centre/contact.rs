//! A contact of Amazon Connect.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// The number that callers dial.
const DIALLED: &str = "+12025550100";

/// The instance that the flows run in.
pub(super) const INSTANCE: &str =
    "arn:aws:connect:eu-central-1:123456789012:instance/11111111-2222-3333-4444-555555555555";

/// The channel of a contact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    Voice,
    Chat,
    Task,
}

/// One contact of a call: its first segment, one after a transfer, the segment of a disconnect flow, a callback, or an
/// agent's guide.
#[derive(Clone, Debug)]
pub struct Contact {
    pub id: String,
    pub initial_id: String,
    pub previous_id: Option<String>,
    pub next_id: Option<String>,
    /// The contact that a guide belongs to.
    pub related_id: Option<String>,
    pub channel: Channel,
    pub initiation_method: &'static str,
    pub number: Option<String>,
    /// The headers with which the carrier announced the call.
    pub sip_headers: BTreeMap<String, String>,
    pub attributes: BTreeMap<String, String>,
    /// The language that a flow has set.
    pub language: String,
    /// The voice of the prompts.
    pub voice: String,
    /// The id that a flow has set as a property of the contact.
    pub customer_id: Option<String>,
    /// The session of AI agents that a flow has set.
    pub ai_session: Option<String>,
    /// The flows that run at events, by the events' names.
    pub hooks: BTreeMap<String, String>,
    /// The queue that a transfer would go to.
    pub target_queue: Option<String>,
    pub priority: u64,
    pub callback_number: Option<String>,
    /// The queue that it has waited in.
    pub queue: Option<String>,
    pub had_agent: bool,
    /// Whether a machine answered a callback.
    pub reached_voicemail: bool,
}

impl Contact {
    /// The priority of a contact in a queue, if no flow sets another.
    const DEFAULT_PRIORITY: u64 = 5;

    /// The voice and the language if no flow sets others.
    pub(super) const DEFAULT_VOICE: &str = "Joanna";
    const DEFAULT_LANGUAGE: &str = "en-US";

    pub(super) fn new(id: String, channel: Channel, number: Option<String>) -> Self {
        let initiation_method = match channel {
            Channel::Voice => "INBOUND",
            Channel::Chat | Channel::Task => "API",
        };
        Self {
            initial_id: id.clone(),
            id,
            previous_id: None,
            next_id: None,
            related_id: None,
            channel,
            initiation_method,
            number: number.clone(),
            sip_headers: BTreeMap::new(),
            attributes: BTreeMap::new(),
            language: Self::DEFAULT_LANGUAGE.to_owned(),
            voice: Self::DEFAULT_VOICE.to_owned(),
            customer_id: None,
            ai_session: None,
            hooks: BTreeMap::new(),
            target_queue: None,
            priority: Self::DEFAULT_PRIORITY,
            callback_number: number,
            queue: None,
            had_agent: false,
            reached_voicemail: false,
        }
    }

    /// The next segment after this one. It has the same attributes and hooks: all contacts with the same
    /// `InitialContactId` share their attributes
    /// ([contact attributes](https://docs.aws.amazon.com/connect/latest/adminguide/what-is-a-contact-attribute.html)).
    pub(super) fn follower(&mut self, id: String, initiation_method: &'static str) -> Self {
        self.next_id = Some(id.clone());
        Self {
            previous_id: Some(self.id.clone()),
            next_id: None,
            id,
            initiation_method,
            queue: None,
            had_agent: false,
            reached_voicemail: false,
            ..self.clone()
        }
    }

    /// The same without hooks and with the default priority: AWS does not say that such a contact gets those of the one
    /// before.
    pub(super) fn bare_follower(
        &mut self,
        id: String,
        initiation_method: &'static str,
        target_queue: Option<String>,
    ) -> Self {
        let (hooks, priority) = (BTreeMap::new(), Self::DEFAULT_PRIORITY);
        Self { hooks, priority, target_queue, ..self.follower(id, initiation_method) }
    }

    /// The agent's guide for this contact: a chat of its own, with a copy of the current attributes.
    pub(super) fn guide(&self, id: String) -> Self {
        let (related_id, attributes) = (Some(self.id.clone()), self.attributes.clone());
        Self { related_id, attributes, ..Self::new(id, Channel::Chat, None) }
    }

    /// A [system attribute](https://docs.aws.amazon.com/connect/latest/adminguide/connect-attrib-list.html) that the flows
    /// use; `None` if it has no value.
    pub(super) fn system_attribute(&self, reference: &str) -> Option<String> {
        match reference {
            "$.Channel" => Some(self.channel.name().to_owned()),
            "$.CustomerEndpoint.Address" => self.number.clone(),
            "$.CustomerId" => self.customer_id.clone(),
            "$.LanguageCode" => Some(self.language.clone()),
            "$.Queue.ARN" => self.target_queue.as_ref().map(|queue| queue_arn(queue)),
            "$.Queue.Name" => self.target_queue.clone(),
            "$.InitiationMethod" => Some(self.initiation_method.to_owned()),
            other => match other.strip_prefix("$.Media.Sip.Headers.") {
                Some(header) => self.sip_headers.get(header).cloned(),
                None => panic!("no system attribute {other}"),
            },
        }
    }

    /// The event with which a flow's block invokes a function for this contact.
    pub fn event(&self, parameters: &Value) -> Value {
        json!({
            "Name": "ContactFlowEvent",
            "Details": {
                "ContactData": {
                    "Attributes": self.attributes,
                    "AwsRegion": "eu-central-1",
                    "Channel": self.channel.name(),
                    "ContactId": self.id,
                    "CustomerEndpoint": endpoint(self.number.as_deref()),
                    "CustomerId": self.customer_id,
                    "Description": null,
                    "InitialContactId": self.initial_id,
                    "InitiationMethod": self.initiation_method,
                    "InstanceARN": INSTANCE,
                    "LanguageCode": self.language,
                    "MediaStreams": {"Customer": {"Audio": null}},
                    "Name": null,
                    "PreviousContactId": self.previous_id.as_ref().unwrap_or(&self.id),
                    "Queue": queue(self.target_queue.as_deref()),
                    "References": {},
                    "RelatedContactId": self.related_id,
                    "SegmentAttributes": self.segment_attributes(),
                    "SystemEndpoint": endpoint(self.number.as_ref().map(|_| DIALLED)),
                    "Tags": {},
                },
                "Parameters": parameters,
            },
        })
    }

    /// The contact record that Connect streams after its end.
    pub fn record(&self) -> Value {
        let agent = self.had_agent.then(|| json!({"ARN": format!("{INSTANCE}/agent/a"), "Username": "agent"}));
        json!({
            "AWSAccountId": "123456789012",
            "AWSContactTraceRecordFormatVersion": "2017-03-10",
            "Agent": agent,
            "AnsweringMachineDetectionStatus": self.reached_voicemail.then_some("VOICEMAIL_BEEP"),
            "Attributes": self.attributes,
            "Channel": self.channel.name(),
            "ContactId": self.id,
            "CustomerEndpoint": endpoint(self.number.as_deref()),
            "DisconnectReason": "CUSTOMER_DISCONNECT",
            "DisconnectTimestamp": "2026-02-07T10:35:00Z",
            "InitialContactId": self.previous_id.as_ref().map(|_| &self.initial_id),
            "InitiationMethod": self.initiation_method,
            "InitiationTimestamp": "2026-02-07T10:30:00Z",
            "InstanceARN": INSTANCE,
            "LastUpdateTimestamp": "2026-02-07T10:37:00Z",
            "NextContactId": self.next_id,
            "PreviousContactId": self.previous_id,
            "Queue": queue(self.queue.as_deref()),
            "SegmentAttributes": self.segment_attributes(),
            "SystemEndpoint": endpoint(self.number.as_ref().map(|_| DIALLED)),
            // Only NextContactId shows a transfer. This is for calls that leave Connect.
            "TransferCompletedTimestamp": null,
            "TransferredToEndpoint": null,
        })
    }

    fn segment_attributes(&self) -> Value {
        let subtype = match (self.channel, &self.related_id) {
            (_, Some(_)) => "connect:Guide",
            (Channel::Voice, None) => "connect:Telephony",
            (Channel::Chat, None) => "connect:Chat",
            (Channel::Task, None) => "connect:Task",
        };
        json!({"connect:Subtype": {"ValueString": subtype}})
    }
}

impl Channel {
    fn name(self) -> &'static str {
        match self {
            Self::Voice => "VOICE",
            Self::Chat => "CHAT",
            Self::Task => "TASK",
        }
    }
}

/// The ARN of a queue.
pub(super) fn queue_arn(queue: &str) -> String {
    format!("{INSTANCE}/queue/{queue}")
}

fn queue(name: Option<&str>) -> Value {
    name.map_or(Value::Null, |name| json!({"ARN": queue_arn(name), "Name": name}))
}

fn endpoint(number: Option<&str>) -> Value {
    number.map_or(Value::Null, |number| json!({"Address": number, "Type": "TELEPHONE_NUMBER"}))
}
