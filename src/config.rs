//! The environment variables, read once, here and nowhere else.
//!
//! Unset means the default. If a value is malformed, the variable's name is reported and the default is used: a
//! function that does not start would block calls. The API's URL is the exception. If it is set but unusable, nothing
//! is sent anywhere, because the default would send a test system's callers to production.

use std::time::Duration;

use aws_sdk_sqs::config::Credentials;
use secrecy::SecretString;

use crate::aws;
use crate::connect::AttributeName;
use crate::sticky_calls::{ApiKey, BaseUrl};
use crate::vocabulary::{Action, Setting, SettingForm};

/// The variables that Lambda sets for every function and that its runtime library needs.
const SET_BY_LAMBDA: [&str; 4] = [
    "AWS_LAMBDA_RUNTIME_API",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
];

/// The longest list of names, in bytes. Lambda allows 4 KB for all variables of a function together.
const MAX_LIST_BYTES: usize = 4_096;

/// Everything that can be configured.
#[derive(Clone, Debug)]
pub struct Config {
    /// `STICKY_CALLS_API_URL` and `STICKY_CALLS_API_KEY`; `None` if one of them is missing or unusable.
    pub api: Option<ApiAccess>,
    /// `STICKY_CALLS_ACTION`: the handler that this function is pinned to.
    pub action: Option<Action>,
    /// `STICKY_CALLS_TIMEOUT_MS`: the flow budget.
    pub timeout: Duration,
    /// `STICKY_CALLS_RETURNING_THRESHOLD`: the confidence from which a caller counts as returning.
    pub returning_threshold: Threshold,
    /// `STICKY_CALLS_EXTERNAL_IDS`: the values that identify a customer beside the number.
    pub external_ids: Vec<String>,
    /// `STICKY_CALLS_VARIABLES`: the stored variables that a flow gets.
    pub variables: Vec<Variable>,
    /// `STICKY_CALLS_INTERNAL_NUMBERS`: our own numbers, which are not a customer's.
    pub internal_numbers: InternalNumbers,
    /// `STICKY_CALLS_OUTBOX_QUEUE_URL`: the queue of summaries that still have to be delivered.
    pub outbox_queue_url: Option<String>,
    /// `STICKY_CALLS_TABLE`: the DynamoDB table of the ledger and the cache.
    pub table: Option<String>,
    /// `STICKY_CALLS_CACHE_TTL_SECONDS`: how long a cached answer may be used. Zero switches the cache off.
    pub cache_ttl: Duration,
    /// `STICKY_CALLS_RECORDS`: which contact records are saved.
    pub records: Records,
    /// `STICKY_CALLS_CONTACT_LENS`: whether Contact Lens' summaries are saved. Only with a table.
    pub contact_lens: bool,
    /// `STICKY_CALLS_GUARD`: whether there is a circuit breaker.
    pub circuit_breaker: bool,
    /// `STICKY_CALLS_SERVICE`: the name under which metrics are counted.
    pub service: String,
    /// Lambda's own variables for AWS; `None` if nothing above needs AWS, or if they are not set.
    pub aws: Option<aws::Access>,
    /// Lambda's own variables for logs.
    pub log: LogConfig,
}

/// How to log, as Lambda's [advanced logging
/// controls](https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-logformat.html) say.
#[derive(Clone, Copy, Debug)]
pub struct LogConfig {
    /// `AWS_LAMBDA_LOG_LEVEL`: INFO if it is unset or unknown.
    pub level: LogLevel,
    /// `AWS_LAMBDA_LOG_FORMAT`: whether it is `Text`. Anything else means JSON.
    pub is_text: bool,
}

/// Lambda's levels, from the least to the most severe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Everything.
    Trace,
    /// Also each retry.
    Debug,
    /// The default.
    Info,
    /// A caller got less than they could have.
    Warn,
    /// An operator has to do something.
    Error,
    /// The same as ERROR: nothing is logged at this level.
    Fatal,
}

impl LogLevel {
    const ALL: [Self; 6] = [Self::Trace, Self::Debug, Self::Info, Self::Warn, Self::Error, Self::Fatal];

    /// Lambda's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Trace => "TRACE",
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Warn => "WARN",
            Self::Error => "ERROR",
            Self::Fatal => "FATAL",
        }
    }
}

/// A variable that Lambda sets is missing: neither Lambda nor a substitute for it has started the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotInLambda {
    /// The variable.
    pub missing: &'static str,
}

/// The API's URL and key.
#[derive(Clone, Debug)]
pub struct ApiAccess {
    /// Where the API is.
    pub url: BaseUrl,
    /// Where the key comes from. It is sent to this URL alone.
    pub key: KeySource,
}

/// Where the API's key comes from.
#[derive(Clone, Debug)]
pub enum KeySource {
    /// `STICKY_CALLS_API_KEY`. It is used instead of a secret, so that a local run needs no Secrets Manager.
    Fixed(ApiKey),
    /// `STICKY_CALLS_API_KEY_SECRET_ARN`: a secret of AWS Secrets Manager.
    Secret(String),
}

/// Which contact records are saved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Records {
    /// Those of contacts that identify was asked about: they have a `customer_ref` or a `lookup_status`.
    #[default]
    Identified,
    /// All whose caller can be recognised.
    All,
}

impl Records {
    fn parse(word: &str) -> Option<Self> {
        match word {
            "identified" => Some(Self::Identified),
            "all" => Some(Self::All),
            _ => None,
        }
    }
}

/// A variable whose value could not be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// The variable's name. Its value is not kept: it may be a secret that was pasted into the wrong field.
    pub variable: &'static str,
    /// What the variable should hold, and what happens instead.
    pub expected: String,
}

impl Config {
    /// Reads the process's environment variables. Also returns those that can't be used, for the log.
    ///
    /// # Errors
    ///
    /// [`NotInLambda`] if one of Lambda's own variables is missing.
    pub fn from_environment() -> Result<(Self, Vec<Malformed>), NotInLambda> {
        let lookup = |name: &str| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned());
        match SET_BY_LAMBDA.into_iter().find(|name| lookup(name).is_none()) {
            Some(missing) => Err(NotInLambda { missing }),
            None => Ok(Self::read(lookup)),
        }
    }

    /// Reads the configuration through `lookup`, which returns the value of a variable if it is set.
    pub fn read(lookup: impl Fn(&str) -> Option<String>) -> (Self, Vec<Malformed>) {
        let mut read = Reader { lookup, malformed: Vec::new() };
        let mut config = Self {
            api: read.api_access(),
            action: read.optional(Setting::Action, Action::parse),
            timeout: read.defaulted(Setting::TimeoutMs, timeout),
            returning_threshold: read.defaulted(Setting::ReturningThreshold, Threshold::parse),
            external_ids: read.list(Setting::ExternalIds, |name| Some(name.to_owned())),
            variables: read.list(Setting::Variables, Variable::parse),
            internal_numbers: InternalNumbers(read.list(Setting::InternalNumbers, InternalNumber::parse)),
            outbox_queue_url: read.optional(Setting::OutboxQueueUrl, web_url),
            table: read.optional(Setting::Table, table_name),
            cache_ttl: read.defaulted(Setting::CacheTtlSeconds, cache_ttl),
            records: read.defaulted(Setting::Records, Records::parse),
            contact_lens: read.defaulted(Setting::ContactLens, switch),
            circuit_breaker: read.defaulted(Setting::Guard, switch),
            service: read.defaulted(Setting::Service, service),
            aws: None,
            log: read.log_config(),
        };
        if config.contact_lens && config.table.is_none() {
            read.malformed(Setting::ContactLens);
            config.contact_lens = false;
        }
        if config.needs_aws() {
            config.aws = read.aws_access();
        }
        (config, read.malformed)
    }

    fn needs_aws(&self) -> bool {
        let key_is_a_secret = matches!(&self.api, Some(ApiAccess { key: KeySource::Secret(_), .. }));
        key_is_a_secret || self.outbox_queue_url.is_some() || self.table.is_some()
    }
}

struct Reader<F> {
    lookup: F,
    malformed: Vec<Malformed>,
}

impl<F: Fn(&str) -> Option<String>> Reader<F> {
    fn api_access(&mut self) -> Option<ApiAccess> {
        // A blank URL does not mean the default: somebody who cleared it did not ask for production.
        let url = match (self.lookup)(Setting::ApiUrl.as_str()) {
            None => BaseUrl::parse(Setting::ApiUrl.form().default),
            Some(text) => self.usable(Setting::ApiUrl, BaseUrl::parse(text.trim())),
        };
        let key = match (self.text(Setting::ApiKey), self.text(Setting::ApiKeySecretArn)) {
            (Some(text), _) => {
                self.usable(Setting::ApiKey, ApiKey::new(SecretString::from(text)).map(KeySource::Fixed))
            }
            (None, Some(arn)) => Some(KeySource::Secret(arn)),
            (None, None) => self.usable(Setting::ApiKey, None),
        };
        Some(ApiAccess { url: url?, key: key? })
    }

    fn aws_access(&mut self) -> Option<aws::Access> {
        let endpoint = self.not_blank("AWS_ENDPOINT_URL").and_then(|text| {
            let expected = "a URL; AWS's own endpoints are used";
            self.usable_variable("AWS_ENDPOINT_URL", expected, web_url(&text))
        });
        // A stand-in for AWS takes any credentials, and AWS's emulator of Lambda passes on blank ones.
        let local = endpoint.as_ref().map(|_| "us-east-1".to_owned());
        let mut set_by_lambda = |variable| {
            let value = self.not_blank(variable).or_else(|| local.clone());
            self.usable_variable(variable, "set by Lambda; no queue, table or secret is used", value)
        };
        let region = set_by_lambda("AWS_REGION");
        let key_id = set_by_lambda("AWS_ACCESS_KEY_ID");
        let key = set_by_lambda("AWS_SECRET_ACCESS_KEY");
        let token = self.not_blank("AWS_SESSION_TOKEN");
        let credentials = Credentials::new(key_id?, key?, token, None, "Lambda's environment");
        Some(aws::Access { region: region?, credentials, endpoint })
    }

    fn log_config(&self) -> LogConfig {
        let word = (self.lookup)("AWS_LAMBDA_LOG_LEVEL").unwrap_or_default();
        let level = LogLevel::ALL.into_iter().find(|level| level.as_str().eq_ignore_ascii_case(&word));
        let is_text = (self.lookup)("AWS_LAMBDA_LOG_FORMAT").is_some_and(|format| format.eq_ignore_ascii_case("text"));
        LogConfig { level: level.unwrap_or(LogLevel::Info), is_text }
    }

    /// A setting that may be unset.
    fn optional<T>(&mut self, setting: Setting, parse: impl Fn(&str) -> Option<T>) -> Option<T> {
        let text = self.text(setting)?;
        self.usable(setting, parse(&text))
    }

    /// A setting that has a default. A test checks that every default can be used.
    fn defaulted<T: Default>(&mut self, setting: Setting, parse: impl Fn(&str) -> Option<T>) -> T {
        self.optional(setting, &parse).or_else(|| parse(setting.form().default)).unwrap_or_default()
    }

    /// A list. If it is set but blank, it is empty, so that a default list can be switched off. If an entry is
    /// malformed, only that entry is dropped.
    fn list<T>(&mut self, setting: Setting, parse: impl Fn(&str) -> Option<T>) -> Vec<T> {
        let set = (self.lookup)(setting.as_str());
        let usable = set.and_then(|text| self.usable(setting, (text.len() <= MAX_LIST_BYTES).then_some(text)));
        let text = usable.unwrap_or_else(|| setting.form().default.to_owned());
        let entries: Vec<_> = text.split(',').map(str::trim).filter(|entry| !entry.is_empty()).map(parse).collect();
        if entries.iter().any(Option::is_none) {
            self.malformed(setting);
        }
        entries.into_iter().flatten().collect()
    }

    fn text(&self, setting: Setting) -> Option<String> {
        self.not_blank(setting.as_str())
    }

    fn not_blank(&self, variable: &str) -> Option<String> {
        (self.lookup)(variable).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
    }

    fn usable<T>(&mut self, setting: Setting, value: Option<T>) -> Option<T> {
        if value.is_none() {
            self.malformed(setting);
        }
        value
    }

    fn malformed(&mut self, setting: Setting) {
        let SettingForm { default, takes, instead } = setting.form();
        let instead = instead.map_or_else(|| format!("{default} is used"), str::to_owned);
        let expected = format!("{takes}; {instead}");
        self.malformed.push(Malformed { variable: setting.as_str(), expected });
    }

    fn usable_variable<T>(&mut self, variable: &'static str, expected: &str, value: Option<T>) -> Option<T> {
        if value.is_none() {
            self.malformed.push(Malformed { variable, expected: expected.to_owned() });
        }
        value
    }
}

fn timeout(text: &str) -> Option<Duration> {
    let ms = text.parse().ok().filter(|ms| (100..=7_000).contains(ms))?;
    Some(Duration::from_millis(ms))
}

fn cache_ttl(text: &str) -> Option<Duration> {
    let seconds = text.parse().ok().filter(|seconds| *seconds <= 86_400)?;
    Some(Duration::from_secs(seconds))
}

fn switch(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "on" => Some(true),
        "off" => Some(false),
        _ => None,
    }
}

/// A metric's dimension, [as CloudWatch takes
/// it](https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_Dimension.html).
fn service(text: &str) -> Option<String> {
    let valid = text.len() <= 255 && !text.starts_with(':') && text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    valid.then(|| text.to_owned())
}

/// A URL of AWS, or of a stand-in for it.
fn web_url(text: &str) -> Option<String> {
    let url = reqwest::Url::parse(text).ok()?;
    (matches!(url.scheme(), "http" | "https") && url.has_host()).then(|| text.to_owned())
}

/// A table's name or ARN. Whether the table exists is not checked here.
fn table_name(text: &str) -> Option<String> {
    let valid = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-:/".contains(&byte));
    (valid && (3..=1_024).contains(&text.len())).then(|| text.to_owned())
}

/// The confidence from which a caller counts as returning: more than 0, at most 1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Threshold(f64);

impl Threshold {
    /// Reads a threshold. Returns `None` if it is out of range: at 0 every stranger would be a returning caller.
    pub fn parse(text: &str) -> Option<Self> {
        text.trim().parse().ok().filter(|value| *value > 0.0 && *value <= 1.0).map(Self)
    }

    /// Whether `confidence` is enough.
    pub fn is_met_by(self, confidence: f64) -> bool {
        confidence >= self.0
    }
}

/// A stored variable that a flow gets as `$.External.var_<name>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// Its name at the API.
    pub name: String,
    /// Its name in the answer.
    pub attribute: AttributeName,
}

impl Variable {
    fn parse(name: &str) -> Option<Self> {
        let attribute = AttributeName::parse(&format!("var_{name}")).ok()?;
        Some(Self { name: name.to_owned(), attribute })
    }
}

/// Our own numbers: a colleague's, or a line that forwards calls.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InternalNumbers(Vec<InternalNumber>);

impl InternalNumbers {
    /// Whether `address`, the unchanged address of an endpoint, is one of them.
    pub fn contain(&self, address: &str) -> bool {
        self.0.iter().any(|number| match number {
            InternalNumber::Exactly(number) => address == number,
            InternalNumber::StartingWith(prefix) => address.starts_with(prefix),
        })
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum InternalNumber {
    Exactly(String),
    StartingWith(String),
}

impl InternalNumber {
    fn parse(text: &str) -> Option<Self> {
        let (number, open) = text.strip_suffix('*').map_or((text, false), |prefix| (prefix, true));
        let digits = number.strip_prefix('+').unwrap_or(number);
        let valid = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        valid.then(|| if open { Self::StartingWith(number.to_owned()) } else { Self::Exactly(number.to_owned()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(set: &[(&str, &str)]) -> (Config, Vec<&'static str>) {
        let (config, malformed) =
            Config::read(|name| set.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()));
        (config, malformed.iter().map(|entry| entry.variable).collect())
    }

    const KEY: (&str, &str) = ("STICKY_CALLS_API_KEY", "sk_test_1");

    #[test]
    fn unset_means_the_default() {
        let (config, malformed) = read(&[KEY]);
        assert_eq!(malformed, [""; 0]);
        assert_eq!(config.api.unwrap().url.as_str(), "https://api.stickycalls.com");
        assert_eq!(
            (config.service.as_str(), config.log.level, config.log.is_text),
            ("sticky-connect", LogLevel::Info, false)
        );
        assert_eq!(config.action, None);
        assert_eq!(config.timeout, Duration::from_millis(2_500));
        assert_eq!(config.returning_threshold, Threshold(0.7));
        assert_eq!(config.external_ids, ["customer_id", "email"]);
        let names: Vec<_> = config.variables.iter().map(|variable| variable.attribute.as_str()).collect();
        assert_eq!(names, ["var_name", "var_tier", "var_resolution", "var_call_date"]);
        assert_eq!(config.internal_numbers, InternalNumbers::default());
        assert_eq!((config.outbox_queue_url, config.table), (None, None));
        assert_eq!(config.cache_ttl, Duration::from_secs(300));
        assert_eq!(config.records, Records::Identified);
        assert!(config.circuit_breaker && !config.contact_lens);
        assert!(config.aws.is_none());
    }

    /// What Lambda sets for every function.
    const LAMBDA: [(&str, &str); 4] = [
        ("AWS_REGION", "eu-central-1"),
        ("AWS_ACCESS_KEY_ID", "ASIAEXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", "verysecret"),
        ("AWS_SESSION_TOKEN", "verysecrettoo"),
    ];

    #[test]
    fn queue_table_and_secret_are_used_with_lambdas_region_and_credentials() {
        let (config, malformed) = read(
            &[
                &LAMBDA[..],
                &[
                    ("STICKY_CALLS_API_KEY_SECRET_ARN", "arn:aws:secretsmanager:eu-central-1:1:secret:key"),
                    ("STICKY_CALLS_OUTBOX_QUEUE_URL", "https://sqs.eu-central-1.amazonaws.com/1/outbox"),
                    ("STICKY_CALLS_TABLE", "table"),
                    ("STICKY_CALLS_CACHE_TTL_SECONDS", "60"),
                    ("STICKY_CALLS_RECORDS", "all"),
                    ("STICKY_CALLS_CONTACT_LENS", "on"),
                    ("STICKY_CALLS_GUARD", "off"),
                    ("AWS_ENDPOINT_URL", "http://127.0.0.1:5005"),
                ],
            ]
            .concat(),
        );
        assert_eq!(malformed, [""; 0]);
        assert!(matches!(config.api.unwrap().key, KeySource::Secret(arn) if arn.ends_with(":key")));
        assert!(config.outbox_queue_url.unwrap().ends_with("/outbox"));
        assert_eq!((config.table.as_deref(), config.cache_ttl), (Some("table"), Duration::from_secs(60)));
        assert_eq!(config.records, Records::All);
        assert!(!config.circuit_breaker);
        let aws = config.aws.unwrap();
        assert_eq!((aws.region.as_str(), aws.endpoint.as_deref()), ("eu-central-1", Some("http://127.0.0.1:5005")));
        assert_eq!(aws.credentials.session_token(), Some("verysecrettoo"));
        assert!(!format!("{aws:?}").contains("verysecret"), "{aws:?}");
    }

    #[test]
    fn lambdas_variables_for_aws_are_read_only_if_aws_is_needed() {
        let (config, malformed) = read(&[&LAMBDA[..], &[KEY]].concat());
        assert!(config.aws.is_none() && malformed.is_empty());
        let (config, malformed) = read(&[KEY, ("STICKY_CALLS_TABLE", "table")]);
        assert!(config.aws.is_none());
        assert_eq!(malformed, ["AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"]);
        let local = [KEY, ("STICKY_CALLS_TABLE", "table"), ("AWS_ENDPOINT_URL", "http://127.0.0.1:5005")];
        let (config, malformed) = read(&local);
        assert!(config.aws.is_some() && malformed.is_empty());
    }

    #[test]
    fn a_key_is_used_instead_of_a_secret() {
        let (config, malformed) = read(&[KEY, ("STICKY_CALLS_API_KEY_SECRET_ARN", "arn")]);
        assert!(matches!(config.api.unwrap().key, KeySource::Fixed(_)) && malformed.is_empty());
        let (config, _) = read(&[("STICKY_CALLS_API_KEY", " "), ("STICKY_CALLS_API_KEY_SECRET_ARN", "arn")]);
        assert!(matches!(config.api.unwrap().key, KeySource::Secret(_)));
    }

    #[test]
    fn a_malformed_value_is_reported_by_name_and_the_default_is_used() {
        for (variable, value) in [
            ("STICKY_CALLS_ACTION", "start"),
            ("STICKY_CALLS_TIMEOUT_MS", "99"),
            ("STICKY_CALLS_TIMEOUT_MS", "7001"),
            ("STICKY_CALLS_TIMEOUT_MS", "2.5"),
            ("STICKY_CALLS_TIMEOUT_MS", "-1"),
            ("STICKY_CALLS_RETURNING_THRESHOLD", "0"),
            ("STICKY_CALLS_RETURNING_THRESHOLD", "1.01"),
            ("STICKY_CALLS_RETURNING_THRESHOLD", "NaN"),
            ("STICKY_CALLS_RETURNING_THRESHOLD", "high"),
            ("STICKY_CALLS_OUTBOX_QUEUE_URL", "Outbox"),
            ("STICKY_CALLS_OUTBOX_QUEUE_URL", "arn:aws:sqs:eu-central-1:1:outbox"),
            ("STICKY_CALLS_TABLE", "a table"),
            ("STICKY_CALLS_CACHE_TTL_SECONDS", "-1"),
            ("STICKY_CALLS_CACHE_TTL_SECONDS", "86401"),
            ("STICKY_CALLS_RECORDS", "none"),
            ("STICKY_CALLS_CONTACT_LENS", "yes"),
            // There is no table.
            ("STICKY_CALLS_CONTACT_LENS", "on"),
            ("STICKY_CALLS_GUARD", "true"),
            ("STICKY_CALLS_SERVICE", "café"),
        ] {
            let (config, malformed) = read(&[KEY, (variable, value)]);
            assert_eq!(malformed, [variable], "{value}");
            let (default, _) = read(&[KEY]);
            assert_eq!(config.action, default.action);
            assert_eq!(config.timeout, default.timeout);
            assert_eq!(config.returning_threshold, default.returning_threshold);
            assert_eq!(config.outbox_queue_url, default.outbox_queue_url);
            assert_eq!((config.table, config.cache_ttl), (default.table, default.cache_ttl));
            assert_eq!(config.records, default.records);
            assert_eq!((config.circuit_breaker, config.service), (default.circuit_breaker, default.service));
        }
    }

    #[test]
    fn a_malformed_entry_of_a_list_is_dropped_and_the_others_are_used() {
        let (config, malformed) = read(&[
            KEY,
            ("STICKY_CALLS_VARIABLES", "name,first name,tier"),
            ("STICKY_CALLS_INTERNAL_NUMBERS", "+1202*,*,+1202-555,77"),
        ]);
        assert_eq!(malformed, ["STICKY_CALLS_VARIABLES", "STICKY_CALLS_INTERNAL_NUMBERS"]);
        assert_eq!(
            config.variables.iter().map(|variable| variable.name.as_str()).collect::<Vec<_>>(),
            ["name", "tier"]
        );
        assert!(["+12025550100", "77"].iter().all(|number| config.internal_numbers.contain(number)));
        assert!(!config.internal_numbers.contain("+4930"));
    }

    #[test]
    fn the_ends_of_a_range_belong_to_it() {
        for (ms, threshold) in [("100", "0.0001"), ("7000", "1")] {
            let set = [KEY, ("STICKY_CALLS_TIMEOUT_MS", ms), ("STICKY_CALLS_RETURNING_THRESHOLD", threshold)];
            let (config, malformed) = read(&set);
            assert_eq!(malformed, [""; 0]);
            assert_eq!(config.timeout.as_millis().to_string(), ms);
            assert_eq!(config.returning_threshold, Threshold(threshold.parse().unwrap()));
        }
    }

    #[test]
    fn a_list_too_long_for_lambda_is_malformed() {
        let long = "name,".repeat(1_000);
        assert_eq!(read(&[KEY, ("STICKY_CALLS_VARIABLES", &long)]).1, ["STICKY_CALLS_VARIABLES"]);
    }

    #[test]
    fn a_blank_setting_is_unset_and_a_blank_list_is_empty() {
        let (config, malformed) = read(&[
            KEY,
            ("STICKY_CALLS_ACTION", ""),
            ("STICKY_CALLS_TIMEOUT_MS", " "),
            ("STICKY_CALLS_EXTERNAL_IDS", ""),
            ("STICKY_CALLS_VARIABLES", " , "),
        ]);
        assert_eq!(malformed, [""; 0]);
        assert_eq!(config.timeout, Duration::from_millis(2_500));
        assert!(config.external_ids.is_empty());
        assert!(config.variables.is_empty());
    }

    #[test]
    fn a_url_that_is_set_but_unusable_never_becomes_production() {
        for url in ["", " ", "http://api.stickycalls.com", "api.stickycalls.com", "ftp://localhost", "\u{fffd}"] {
            let (config, malformed) = read(&[KEY, ("STICKY_CALLS_API_URL", url)]);
            assert!(config.api.is_none(), "{url:?}");
            assert_eq!(malformed, ["STICKY_CALLS_API_URL"], "{url:?}");
        }
    }

    #[test]
    fn a_missing_or_unusable_key_is_reported() {
        for set in [&[][..], &[("STICKY_CALLS_API_KEY", " ")], &[("STICKY_CALLS_API_KEY", "sk\ntest")]] {
            let (config, malformed) = read(set);
            assert!(config.api.is_none());
            assert_eq!(malformed, ["STICKY_CALLS_API_KEY"]);
        }
    }

    #[test]
    fn internal_numbers_are_exact_or_the_beginning_of_one() {
        let (config, _) = read(&[KEY, ("STICKY_CALLS_INTERNAL_NUMBERS", "+12025550100, +4930*,77*")]);
        for (address, internal) in [
            ("+12025550100", true),
            ("+120255501001", false),
            ("+49301234567", true),
            ("+4930", true),
            ("+4940", false),
            ("7712", true),
            ("+7712", false),
        ] {
            assert_eq!(config.internal_numbers.contain(address), internal, "{address}");
        }
    }

    #[test]
    fn every_default_can_be_used() {
        for setting in Setting::ALL.iter().filter(|setting| !setting.form().default.is_empty()) {
            let (_, malformed) = read(&[KEY, (setting.as_str(), setting.form().default)]);
            assert_eq!(malformed, [""; 0], "{setting:?}");
        }
    }

    #[test]
    fn a_malformed_setting_is_logged_with_what_it_should_hold_and_what_happens_instead() {
        let set = |name: &str| match name {
            "STICKY_CALLS_TIMEOUT_MS" => Some("soon".to_owned()),
            "STICKY_CALLS_OUTBOX_QUEUE_URL" => Some("outbox".to_owned()),
            _ => KEY.1.to_owned().into(),
        };
        let (_, malformed) = Config::read(|name| {
            set(name).filter(|_| [KEY.0, "STICKY_CALLS_TIMEOUT_MS", "STICKY_CALLS_OUTBOX_QUEUE_URL"].contains(&name))
        });
        let expected: Vec<_> = malformed.iter().map(|entry| entry.expected.as_str()).collect();
        assert_eq!(
            expected,
            ["a whole number from 100 to 7000; 2500 is used", "the URL of a queue; there is no outbox"]
        );
    }

    #[test]
    fn lambdas_log_settings_are_read_in_any_case_and_anything_else_is_info_in_json() {
        let log = |level: &str, format: &str| {
            let (config, _) = read(&[KEY, ("AWS_LAMBDA_LOG_LEVEL", level), ("AWS_LAMBDA_LOG_FORMAT", format)]);
            (config.log.level, config.log.is_text)
        };
        assert_eq!(log("debug", "Text"), (LogLevel::Debug, true));
        assert_eq!(log("FATAL", "JSON"), (LogLevel::Fatal, false));
        assert_eq!(log("loud", "XML"), (LogLevel::Info, false));
    }

    #[test]
    fn printing_the_configuration_shows_no_key() {
        let (config, _) = read(&[("STICKY_CALLS_API_KEY", "sk_test_verysecret")]);
        assert!(!format!("{config:?}").contains("verysecret"));
    }
}
