//! Degradations: something went wrong, but the flow's answer is still good.

use super::Metric;

words! {
    /// A failure that no answer shows: the same word in the logs and in the metrics.
    pub enum Degradation: total -> Metric {
        /// The table did not answer in time. It counted as empty; a summary by Contact Lens waits in the outbox.
        TableRead = "table_read_failed" => Metric::Degraded,
        /// The table did not store something in time: an answer, words, an opt-out, or half of what Contact Lens
        /// summarised.
        TableWrite = "table_write_failed" => Metric::Degraded,
        /// The table did not store a save's tombstones in time. The outbox delivers them; until then the cache may hold
        /// what was known before the save.
        CacheInvalidation = "cache_invalidation_failed" => Metric::Degraded,
        /// The secret with the API key could not be read. A key that is already known stays in use.
        KeyRead = "key_read_failed" => Metric::Degraded,
        /// The retry of an outbox message could not be delayed, so it comes sooner or later than planned.
        RetryDelay = "retry_delay_failed" => Metric::Degraded,
        /// A setting is malformed, and its default is used. Counted in every invocation until it is mended.
        Setting = "unusable_settings" => Metric::NeedsOperator,
        /// A flow passed an `action` or a `returning_threshold` that cannot be used, or an unclear
        /// `sticky_calls_opt_out`.
        Parameter = "unusable_parameters" => Metric::NeedsOperator,
        /// A record of the stream is not a JSON object, so nothing of it is saved.
        Record = "unreadable_records" => Metric::NotKept,
        /// A contact record holds a summary or notes, and there is no customer to save them for.
        TextNotSaved = "text_not_saved" => Metric::NotKept,
    }
}
