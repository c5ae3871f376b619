//! The result of a lookup or a save.

use super::Handler;

words! {
    /// `lookup_status`: what came of a lookup.
    pub enum LookupStatus {
        /// The API knows the caller, and the confidence reaches the threshold.
        Matched = "matched",
        /// The confidence is below the threshold, but the API recommends `reuse` or `confirm`.
        Unconfirmed = "unconfirmed",
        /// The API does not know the caller. It has created a `customer_ref`.
        New = "new",
        /// The API was not asked, on purpose. `lookup_reason` says why.
        Skipped = "skipped",
        /// The API was asked and gave no usable answer, or could not be asked. `lookup_reason` says why.
        Unavailable = "unavailable",
    }
}

words! {
    /// `save_status`: what came of a save.
    pub enum SaveStatus {
        /// The API has it, as the end of the call or as a standalone end. With `error` = `conflict` it had it before.
        Saved = "saved",
        /// It was not delivered, and the outbox has it. `error` says why.
        Queued = "queued",
        /// It holds no words and waits in the outbox for 15 minutes, because somebody may still write some.
        Deferred = "deferred",
        /// It is not to be saved. `error` says why.
        Skipped = "skipped",
        /// It was neither delivered nor kept, or the event is invalid. `error` says why, and an ERROR line in the log
        /// has the contact id.
        Failed = "failed",
    }
}

impl SaveStatus {
    /// Whether the flow is told that all is well.
    pub const fn is_success(self) -> bool {
        matches!(self, Self::Saved | Self::Queued | Self::Deferred)
    }
}

/// Either of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Of a lookup.
    Lookup(LookupStatus),
    /// Of a save.
    Save(SaveStatus),
}

impl Status {
    /// The word itself.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lookup(status) => status.as_str(),
            Self::Save(status) => status.as_str(),
        }
    }

    /// Every status that a handler's lookups or saves can have.
    pub fn of(handler: Handler) -> Vec<Self> {
        let saves = SaveStatus::ALL.iter().copied();
        match handler {
            Handler::StartCall => LookupStatus::ALL.iter().copied().map(Self::Lookup).collect(),
            // What waited for words is delivered or dropped, and never deferred again.
            Handler::Redelivery => saves.filter(|status| *status != SaveStatus::Deferred).map(Self::Save).collect(),
            _ => saves.map(Self::Save).collect(),
        }
    }
}
