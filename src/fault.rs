//! What goes wrong although the flow has a good answer.

/// A fault that no answer shows; the same word in the logs and the metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The table was not read in time: it counts as empty.
    TableRead,
    /// The table did not take in time what a lookup or a save left in it.
    TableWrite,
    /// The table did not take in time the tombstones that invalidate cached answers: until the outbox has delivered them, the
    /// caller may be greeted with what was known before.
    CacheVoid,
    /// The secret was not read. The last known key goes on being used, where there is one.
    KeyRead,
    /// A message that was not delivered comes again later or sooner than it should.
    PutOff,
    /// A setting can't be used, and its default is.
    Setting,
    /// A parameter of a flow block can't be used, and what holds without it is.
    Parameter,
    /// A record of the stream is no JSON object, so nothing in it is saved.
    Record,
    /// A contact record in which somebody has written something is not saved, for want of whom to save it for.
    TextNotSaved,
}

impl Fault {
    /// Its name, as metrics and logs write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::TableRead => "table_read_failed",
            Self::TableWrite => "table_write_failed",
            Self::CacheVoid => "cache_void_failed",
            Self::KeyRead => "key_read_failed",
            Self::PutOff => "put_off_failed",
            Self::Setting => "unusable_settings",
            Self::Parameter => "unusable_parameters",
            Self::Record => "unreadable_records",
            Self::TextNotSaved => "text_not_saved",
        }
    }
}
