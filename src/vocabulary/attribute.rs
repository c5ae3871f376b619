//! What a flow reads as `$.External.<name>`.

words! {
    /// The attributes of identify's answer, beside `var_<name>` for each stored variable that is configured.
    pub enum IdentifyAttribute: fallback -> &'static str {
        /// The API's reference for the customer. A new caller gets one too.
        CustomerRef = "customer_ref" => "the one in the event, else empty",
        /// How sure the API is, from `0.0` to `1.0`, always with a decimal point.
        Confidence = "confidence" => "`0.0`",
        /// `true` if the confidence reaches the threshold, else `false`.
        IsReturningCaller = "is_returning_caller" => "`false`",
        /// The same as `is_returning_caller`.
        MatchFound = "match_found" => "`false`",
        /// What the last call was about: one line of at most 250 characters.
        LastIssue = "last_issue" => "empty",
        /// `call_summary`, `agent_notes` or `contact_lens`. Only a `call_summary` is for speaking aloud.
        LastIssueSource = "last_issue_source" => "empty",
        /// `true` if an intent is still open, else `false`.
        HasOpenIntents = "has_open_intents" => "`false`",
        /// Name of the first open intent.
        OpenIntent = "open_intent" => "empty",
        /// Its status.
        OpenIntentStatus = "open_intent_status" => "empty",
        /// How often the caller has tried to get it resolved.
        OpenIntentAttempts = "open_intent_attempts" => "`0`",
        /// How many intents are open.
        OpenIntentCount = "open_intent_count" => "`0`",
        /// `very_high`, `high`, `medium` or `low`, as the API says.
        IdentityLevel = "identity_level" => "empty",
        /// `reuse`, `confirm` or `ignore`, as the API says.
        Recommendation = "recommendation" => "`ignore`",
        /// For an agent's screen, never for the caller's ear: one line of at most 500 characters. It says who calls and
        /// how sure that is, the open intent and its attempts, the last issue, an earlier one, and the resolution if
        /// there is room. Never empty.
        CustomerContext = "customer_context" => "says that nothing is known, and why",
        /// The id that was sent to the API. Pass it on to the save in an agent's guide.
        CallId = "call_id" => "the same, or empty if the event has no id",
        /// When the call started, in RFC 3339. Store it: Connect gives a flow no clock.
        CallStart = "call_start" => "now",
        /// `matched`, `unconfirmed`, `new`, `skipped` or `unavailable`.
        LookupStatus = "lookup_status" => "`skipped` or `unavailable`",
        /// Empty if the lookup has an answer.
        LookupReason = "lookup_reason" => "the reason",
        /// `api` or `cache`.
        LookupSource = "lookup_source" => "empty",
    }
}

words! {
    /// The attributes of save's answer.
    pub enum SaveAttribute {
        /// `true` if `save_status` is `saved`, `queued` or `deferred`, else `false`.
        Success = "success",
        /// `saved`, `queued`, `deferred`, `skipped` or `failed`.
        SaveStatus = "save_status",
        /// Empty, or the reason.
        Error = "error",
        /// The id that was sent to the API.
        CallId = "call_id",
        /// Names the words that are saved or queued: the `call_id`, a `.` and 16 hex digits. Else empty. If it is not
        /// empty, store it as the attribute `sticky_calls_saved`.
        SavedWords = "saved_words",
    }
}

words! {
    /// `lookup_source`: where the answer to a lookup comes from.
    pub enum LookupSource {
        /// The API was asked.
        Api = "api",
        /// A cached answer was used.
        Cache = "cache",
    }
}
