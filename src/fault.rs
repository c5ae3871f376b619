//! What goes wrong although the flow has a good answer.

/// A fault that no answer shows; the same word in the logs and the metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The cache was not read, so the API was asked.
    CacheRead,
    /// An answer was not put into the cache.
    CacheWrite,
    /// A save did not make the cache's entries void: the caller may be greeted with what was known before it.
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
    /// The API had an end of this call before, and does not take what somebody has written since.
    TextNotTaken,
    /// A contact record in which somebody has written something is not saved, for want of whom to save it for.
    TextNotSaved,
    /// A save was left to a contact record that will not be saved.
    DeferredInVain,
}

impl Fault {
    /// Its name, as metrics and logs write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::CacheRead => "cache_read_failed",
            Self::CacheWrite => "cache_write_failed",
            Self::CacheVoid => "cache_void_failed",
            Self::KeyRead => "key_read_failed",
            Self::PutOff => "put_off_failed",
            Self::Setting => "unusable_settings",
            Self::Parameter => "unusable_parameters",
            Self::Record => "unreadable_records",
            Self::TextNotTaken => "text_not_taken",
            Self::TextNotSaved => "text_not_saved",
            Self::DeferredInVain => "deferred_in_vain",
        }
    }
}
