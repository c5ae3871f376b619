//! Our own environment variables. Lambda's are in [`crate::config`].

words! {
    /// A setting: an environment variable, its default, and what it takes. A blank default means that it is unset.
    pub enum Setting: form -> SettingForm {
        /// The API key itself, for local runs. It is used instead of the secret.
        ApiKey = "STICKY_CALLS_API_KEY" => SettingForm {
            default: "", takes: "a key that fits a header, or STICKY_CALLS_API_KEY_SECRET_ARN", instead: Some("else the API is not called"),
        },
        /// ARN of the Secrets Manager secret with the API key, as plain text or as `api_key` in JSON.
        ApiKeySecretArn = "STICKY_CALLS_API_KEY_SECRET_ARN" => SettingForm { default: "", takes: "an ARN", instead: None },
        /// Address of the API: https, or plain http to `localhost`, a loopback address or `host.docker.internal`. If it
        /// is set and unusable, even blank, nothing is sent anywhere.
        ApiUrl = "STICKY_CALLS_API_URL" => SettingForm {
            default: "https://api.stickycalls.com",
            takes: "an https URL, or plain http to a loopback address or host.docker.internal", instead: Some("the API is not called"),
        },
        /// The handler of this function: `identify` or `start_call`, `save` or `end_call`. Unset, the event decides.
        /// The template sets it.
        Action = "STICKY_CALLS_ACTION" => SettingForm {
            default: "", takes: "start_call, identify, end_call or save", instead: Some("the event decides"),
        },
        /// The name under which metrics are counted. The template sets the stack's name.
        Service = "STICKY_CALLS_SERVICE" => SettingForm {
            default: "sticky-connect", takes: "at most 255 visible ASCII characters", instead: None,
        },
        /// Milliseconds within which a flow gets its answer, from 100 to 7000.
        TimeoutMs = "STICKY_CALLS_TIMEOUT_MS" => SettingForm { default: "2500", takes: "a whole number from 100 to 7000", instead: None },
        /// The confidence from which a caller counts as returning: more than 0, at most 1.
        ReturningThreshold = "STICKY_CALLS_RETURNING_THRESHOLD" => SettingForm {
            default: "0.7", takes: "more than 0, at most 1", instead: None,
        },
        /// Names of the parameters or attributes that identify one customer. Blank means none.
        ExternalIds = "STICKY_CALLS_EXTERNAL_IDS" => SettingForm {
            default: "customer_id,email", takes: "names, separated by commas", instead: None,
        },
        /// Names of the stored variables that a flow gets as `var_<name>` and may write back. Blank means none.
        Variables = "STICKY_CALLS_VARIABLES" => SettingForm {
            default: "name,tier,resolution,call_date",
            takes: "names of letters, digits, - and _, separated by commas", instead: Some("others are left out"),
        },
        /// Numbers that are not a customer's: whole numbers, or beginnings followed by `*`.
        InternalNumbers = "STICKY_CALLS_INTERNAL_NUMBERS" => SettingForm {
            default: "", takes: "numbers, or their beginnings followed by *, separated by commas", instead: Some("others are left out"),
        },
        /// Name of the DynamoDB table. Unset, there is no cache, and nothing is known of earlier saves. The template
        /// sets it.
        Table = "STICKY_CALLS_TABLE" => SettingForm { default: "", takes: "the name of a table", instead: Some("there is none") },
        /// Seconds for which an answer of the API is reused, from 0 to 86400. 0 keeps no answers.
        CacheTtlSeconds = "STICKY_CALLS_CACHE_TTL_SECONDS" => SettingForm {
            default: "300", takes: "a whole number from 0 to 86400", instead: None,
        },
        /// URL of the outbox's queue. Unset, there is no outbox. The template sets it.
        OutboxQueueUrl = "STICKY_CALLS_OUTBOX_QUEUE_URL" => SettingForm {
            default: "", takes: "the URL of a queue", instead: Some("there is no outbox"),
        },
        /// Which contact records are saved: `identified` (contacts that identify was asked about) or `all`.
        Records = "STICKY_CALLS_RECORDS" => SettingForm { default: "identified", takes: "identified or all", instead: None },
        /// The circuit breaker: `on`, or `off` to ask an API that is down every time. The template does not set it.
        Guard = "STICKY_CALLS_GUARD" => SettingForm { default: "on", takes: "on or off", instead: None },
    }
}

/// What a setting may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SettingForm {
    /// The value that is used if it is unset or malformed.
    pub default: &'static str,
    /// What would be right, for the log.
    pub takes: &'static str,
    /// What happens if it is malformed, unless the default takes its place.
    pub instead: Option<&'static str>,
}
