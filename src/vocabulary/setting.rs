//! Our own environment variables. Lambda's are in [`crate::config`].

words! {
    /// A setting: an environment variable, its default, and what it takes. A blank default means that it is unset.
    pub enum Setting: form -> SettingForm {
        /// The API key itself, for local runs. It is used instead of the secret.
        ApiKey = "STICKY_CALLS_API_KEY" =>
            unset("a key that fits a header, or STICKY_CALLS_API_KEY_SECRET_ARN", "the API is not called"),
        /// ARN of the Secrets Manager secret with the API key, as plain text or as `api_key` in JSON.
        ApiKeySecretArn = "STICKY_CALLS_API_KEY_SECRET_ARN" => unset("an ARN", "nothing takes its place"),
        /// Address of the API: https, or plain http to `localhost`, a loopback address or `host.docker.internal`. If it
        /// is set and unusable, even blank, nothing is sent anywhere.
        ApiUrl = "STICKY_CALLS_API_URL" =>
            defaults_to(
                "https://api.stickycalls.com",
                "an https URL, or plain http to a loopback address or host.docker.internal",
            ).or("the API is not called"),
        /// The handler of this function: `identify` or `start_call`, `save` or `end_call`. Unset, the event decides.
        /// The template sets it.
        Action = "STICKY_CALLS_ACTION" => unset("start_call, identify, end_call or save", "the event decides"),
        /// The name under which metrics are counted. The template sets the stack's name.
        Service = "STICKY_CALLS_SERVICE" => defaults_to("sticky-connect", "at most 255 visible ASCII characters"),
        /// Milliseconds within which a flow gets its answer, from 100 to 7000.
        TimeoutMs = "STICKY_CALLS_TIMEOUT_MS" => defaults_to("2500", "a whole number from 100 to 7000"),
        /// The confidence from which a caller counts as returning: more than 0, at most 1.
        ReturningThreshold = "STICKY_CALLS_RETURNING_THRESHOLD" => defaults_to("0.7", "more than 0, at most 1"),
        /// Names of the parameters or attributes that identify one customer. Blank means none.
        ExternalIds = "STICKY_CALLS_EXTERNAL_IDS" => defaults_to("customer_id,email", "names, separated by commas"),
        /// Names of the stored variables that a flow gets as `var_<name>` and may write back. Blank means none.
        Variables = "STICKY_CALLS_VARIABLES" =>
            defaults_to(
                "name,tier,resolution,call_date",
                "names of letters, digits, - and _, separated by commas",
            ).or("others are left out"),
        /// Numbers that are not a customer's: whole numbers, or beginnings followed by `*`.
        InternalNumbers = "STICKY_CALLS_INTERNAL_NUMBERS" =>
            unset("numbers, or their beginnings followed by *, separated by commas", "others are left out"),
        /// Name of the DynamoDB table. Unset, there is no cache, and nothing is known of earlier saves. The template
        /// sets it.
        Table = "STICKY_CALLS_TABLE" => unset("the name of a table", "there is none"),
        /// Seconds for which an answer of the API is reused, from 0 to 86400. 0 keeps no answers.
        CacheTtlSeconds = "STICKY_CALLS_CACHE_TTL_SECONDS" => defaults_to("300", "a whole number from 0 to 86400"),
        /// URL of the outbox's queue. Unset, there is no outbox. The template sets it.
        OutboxQueueUrl = "STICKY_CALLS_OUTBOX_QUEUE_URL" => unset("the URL of a queue", "there is no outbox"),
        /// Which contact records are saved: `identified` (contacts that identify was asked about) or `all`.
        Records = "STICKY_CALLS_RECORDS" => defaults_to("identified", "identified or all"),
        /// Summaries by Contact Lens: `on` to save them for calls about which nobody typed anything. It needs the table.
        ContactLens = "STICKY_CALLS_CONTACT_LENS" => defaults_to("off", "off, or on with STICKY_CALLS_TABLE"),
        /// The circuit breaker: `on`, or `off` to ask an API that is down every time. The template does not set it.
        Guard = "STICKY_CALLS_GUARD" => defaults_to("on", "on or off"),
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

/// A setting that has a default.
const fn defaults_to(default: &'static str, takes: &'static str) -> SettingForm {
    SettingForm { default, takes, instead: None }
}

/// A setting that may be unset, and what happens if it is malformed.
const fn unset(takes: &'static str, instead: &'static str) -> SettingForm {
    SettingForm { default: "", takes, instead: Some(instead) }
}

impl SettingForm {
    const fn or(self, instead: &'static str) -> Self {
        Self { instead: Some(instead), ..self }
    }
}
