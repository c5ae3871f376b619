//! Who answers an event.

words! {
    /// Who answers an event, as logs and metrics name it.
    pub enum Handler {
        /// Identify: looks a caller up when a call starts.
        StartCall = "start_call",
        /// Save: keeps what happened when a flow says that a call has ended.
        EndCall = "end_call",
        /// Save, from a batch of contact records out of the Kinesis stream.
        ContactRecords = "contact_records",
        /// Delivers a batch of messages from the outbox.
        Redelivery = "redelivery",
    }
}

impl Handler {
    /// Whether a flow waits for its answer. The others answer batches.
    pub const fn answers_flows(self) -> bool {
        matches!(self, Self::StartCall | Self::EndCall)
    }
}

/// What a flow asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// A call starts: identify the caller.
    StartCall,
    /// A call ends: save what happened.
    EndCall,
}

impl Action {
    /// The words for it, in the parameter `action` and in `STICKY_CALLS_ACTION`.
    pub const WORDS: [(&'static str, Self); 4] = [
        ("start_call", Self::StartCall),
        ("identify", Self::StartCall),
        ("end_call", Self::EndCall),
        ("save", Self::EndCall),
    ];

    /// Reads one of the four words.
    pub fn parse(word: &str) -> Option<Self> {
        Self::WORDS.iter().find_map(|(known, action)| (*known == word).then_some(*action))
    }

    /// The handler that does it.
    pub fn handler(self) -> Handler {
        match self {
            Self::StartCall => Handler::StartCall,
            Self::EndCall => Handler::EndCall,
        }
    }
}
