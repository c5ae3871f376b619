//! Why Contact Lens could not summarise a contact.

words! {
    /// AWS's `FailureCode`, word for word: the same in the logs and in the metrics.
    pub enum SummaryFailure {
        /// As many contacts are analysed at once as the account's quota allows.
        QuotaExceeded = "QUOTA_EXCEEDED",
        /// Too little was said.
        InsufficientConversationContent = "INSUFFICIENT_CONVERSATION_CONTENT",
        /// The summary does not meet AWS's safety guidelines.
        FailedSafetyGuidelines = "FAILED_SAFETY_GUIDELINES",
        /// The contact is analysed with settings that allow no summary, such as a language that Contact Lens does not
        /// summarise.
        InvalidAnalysisConfiguration = "INVALID_ANALYSIS_CONFIGURATION",
        /// An error within Contact Lens.
        InternalError = "INTERNAL_ERROR",
        /// Another code, or none.
        OtherFailure = "OTHER_FAILURE",
    }
}
