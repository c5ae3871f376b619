//! The environment variables, read once, here and nowhere else.
//!
//! Unset means the default. A malformed value is reported by the name of its variable and the default is used, since a
//! function that does not start blocks calls. The API's URL is the exception: set but unusable means that nothing is
//! sent anywhere, since the default would send a test system's callers to production.

use std::time::Duration;

use secrecy::SecretString;

use aws_sdk_sqs::config::Credentials;

use crate::aws;
use crate::connect::AttributeName;
use crate::dispatch::Action;
use crate::sticky_calls::{ApiKey, BaseUrl};

/// The longest a list of names may be, in bytes. Lambda allows 4 KB for all variables of a function together.
const MAX_LIST_BYTES: usize = 4_096;

/// Everything that can be configured.
#[derive(Clone, Debug)]
pub struct Config {
    /// `STICKY_CALLS_API_URL` and `STICKY_CALLS_API_KEY`; `None` where one of them is missing or unusable.
    pub api: Option<ApiAccess>,
    /// `STICKY_CALLS_ACTION`: the handler that this function is pinned to.
    pub action: Option<Action>,
    /// `STICKY_CALLS_TIMEOUT_MS`: the flow budget.
    pub timeout: Duration,
    /// `STICKY_CALLS_RETURNING_THRESHOLD`: from which confidence on a caller counts as returning.
    pub returning_threshold: Threshold,
    /// `STICKY_CALLS_EXTERNAL_IDS`: the values that identify a customer beside the number.
    pub external_ids: Vec<String>,
    /// `STICKY_CALLS_VARIABLES`: the stored variables that a flow gets.
    pub variables: Vec<Variable>,
    /// `STICKY_CALLS_INTERNAL_NUMBERS`: numbers that are ours and not a customer's.
    pub internal_numbers: InternalNumbers,
    /// `STICKY_CALLS_OUTBOX_QUEUE_URL`: where summaries wait that still have to be delivered.
    pub outbox_queue_url: Option<String>,
    /// `STICKY_CALLS_TABLE`: the DynamoDB table with what is known of calls, and the cache.
    pub table: Option<String>,
    /// `STICKY_CALLS_CACHE_TTL_SECONDS`: for how long a kept answer may be used; zero keeps none.
    pub cache_ttl: Duration,
    /// `STICKY_CALLS_RECORDS`: which contact records are saved.
    pub records: Records,
    /// `STICKY_CALLS_GUARD`: whether an API that is down is left alone for a while.
    pub guard: bool,
    /// Lambda's own variables for AWS; `None` where nothing above needs AWS, or where they are not set.
    pub aws: Option<aws::Access>,
}

/// Where the API is, and the key to it.
#[derive(Clone, Debug)]
pub struct ApiAccess {
    /// Where the API is.
    pub url: BaseUrl,
    /// The key, which goes there alone.
    pub key: KeySource,
}

/// Where the API's key comes from.
#[derive(Clone, Debug)]
pub enum KeySource {
    /// `STICKY_CALLS_API_KEY`. It goes before a secret, so that a local run needs no store.
    Fixed(ApiKey),
    /// `STICKY_CALLS_API_KEY_SECRET_ARN`: a secret of AWS Secrets Manager.
    Secret(String),
}

/// Which contact records are saved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Records {
    /// Those of contacts that identify was asked about: they carry a `customer_ref` or a `lookup_status`.
    #[default]
    Identified,
    /// All of which the caller can be recognised.
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// The variable's name. Its value is nowhere: it may be a secret that was pasted into the wrong field.
    pub variable: &'static str,
    /// What would have been right, and what happens instead.
    pub expected: &'static str,
}

impl Config {
    /// Reads the configuration through `lookup`, which gives the value of a variable where it is set.
    ///
    /// What can't be used is in the second place, for the log.
    pub fn read(lookup: impl Fn(&str) -> Option<String>) -> (Self, Vec<Malformed>) {
        let mut read = Reader { lookup, malformed: Vec::new() };
        let mut config = Self {
            api: read.api_access(),
            action: read.scalar(
                "STICKY_CALLS_ACTION",
                "start_call, identify, end_call or save; not pinned",
                Action::parse,
            ),
            timeout: read
                .scalar("STICKY_CALLS_TIMEOUT_MS", "a whole number from 100 to 7000; 2500 is used", timeout)
                .unwrap_or(Duration::from_millis(2_500)),
            returning_threshold: read
                .scalar("STICKY_CALLS_RETURNING_THRESHOLD", "more than 0, at most 1; 0.7 is used", Threshold::parse)
                .unwrap_or_default(),
            external_ids: read.list(
                "STICKY_CALLS_EXTERNAL_IDS",
                "names of parameters or attributes, separated by commas; customer_id,email is used",
                "customer_id,email",
                |name| Some(name.to_owned()),
            ),
            variables: read.list(
                "STICKY_CALLS_VARIABLES",
                "names of letters, digits, - and _, separated by commas; others are left out",
                "name,tier,resolution,call_date",
                Variable::parse,
            ),
            internal_numbers: InternalNumbers(read.list(
                "STICKY_CALLS_INTERNAL_NUMBERS",
                "numbers, or their beginnings followed by *, separated by commas; others are left out",
                "",
                InternalNumber::parse,
            )),
            outbox_queue_url: read.scalar(
                "STICKY_CALLS_OUTBOX_QUEUE_URL",
                "the URL of a queue; there is no outbox",
                web_url,
            ),
            table: read.scalar("STICKY_CALLS_TABLE", "the name of a table; there is no table", table_name),
            cache_ttl: read
                .scalar("STICKY_CALLS_CACHE_TTL_SECONDS", "a whole number from 0 to 86400; 300 is used", cache_ttl)
                .unwrap_or(Duration::from_secs(300)),
            records: read
                .scalar("STICKY_CALLS_RECORDS", "identified or all; identified is used", Records::parse)
                .unwrap_or_default(),
            guard: read.scalar("STICKY_CALLS_GUARD", "on or off; on is used", switch).unwrap_or(true),
            aws: None,
        };
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
        // A blank URL is no default either: whoever cleared it did not ask for production.
        let url = match (self.lookup)("STICKY_CALLS_API_URL") {
            None => Some(BaseUrl::production()),
            Some(text) => {
                let expected =
                    "an https URL, or plain http to a loopback address or host.docker.internal; the API is not called";
                self.usable("STICKY_CALLS_API_URL", expected, BaseUrl::parse(text.trim()))
            }
        };
        let key = match (self.not_blank("STICKY_CALLS_API_KEY"), self.not_blank("STICKY_CALLS_API_KEY_SECRET_ARN")) {
            (Some(text), _) => {
                let key = ApiKey::new(SecretString::from(text)).map(KeySource::Fixed);
                self.usable("STICKY_CALLS_API_KEY", "a key that fits a header; the API is not called", key)
            }
            (None, Some(arn)) => Some(KeySource::Secret(arn)),
            (None, None) => {
                let expected =
                    "set to the API's key, or STICKY_CALLS_API_KEY_SECRET_ARN to its secret; the API is not called";
                self.usable("STICKY_CALLS_API_KEY", expected, None)
            }
        };
        Some(ApiAccess { url: url?, key: key? })
    }

    fn aws_access(&mut self) -> Option<aws::Access> {
        let endpoint = self.scalar("AWS_ENDPOINT_URL", "a URL; AWS's own endpoints are used", web_url);
        // What stands in for AWS takes any credentials, and AWS's emulator for Lambda passes blank ones on.
        let local = endpoint.as_ref().map(|_| "us-east-1".to_owned());
        let mut set_by_lambda = |variable| {
            let value = self.not_blank(variable).or_else(|| local.clone());
            self.usable(variable, "set by Lambda; no queue, table or secret is used", value)
        };
        let region = set_by_lambda("AWS_REGION");
        let key_id = set_by_lambda("AWS_ACCESS_KEY_ID");
        let key = set_by_lambda("AWS_SECRET_ACCESS_KEY");
        let token = self.not_blank("AWS_SESSION_TOKEN");
        let credentials = Credentials::new(key_id?, key?, token, None, "Lambda's environment");
        Some(aws::Access { region: region?, credentials, endpoint })
    }

    fn scalar<T>(
        &mut self,
        variable: &'static str,
        expected: &'static str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let text = self.not_blank(variable)?;
        self.usable(variable, expected, parse(&text))
    }

    /// A list; set but blank it is an empty one, so that a default list can be switched off. A malformed entry is dropped
    /// alone.
    fn list<T>(
        &mut self,
        variable: &'static str,
        expected: &'static str,
        default: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Vec<T> {
        let set = (self.lookup)(variable);
        let usable =
            set.filter(|text| self.usable(variable, expected, (text.len() <= MAX_LIST_BYTES).then_some(())).is_some());
        let text = usable.unwrap_or_else(|| default.to_owned());
        let entries: Vec<_> = text.split(',').map(str::trim).filter(|entry| !entry.is_empty()).map(parse).collect();
        if entries.iter().any(Option::is_none) {
            self.malformed.push(Malformed { variable, expected });
        }
        entries.into_iter().flatten().collect()
    }

    fn not_blank(&self, variable: &str) -> Option<String> {
        (self.lookup)(variable).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
    }

    fn usable<T>(&mut self, variable: &'static str, expected: &'static str, value: Option<T>) -> Option<T> {
        if value.is_none() {
            self.malformed.push(Malformed { variable, expected });
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

/// An address of AWS's, or of something that stands in for it.
fn web_url(text: &str) -> Option<String> {
    let url = reqwest::Url::parse(text).ok()?;
    (matches!(url.scheme(), "http" | "https") && url.has_host()).then(|| text.to_owned())
}

/// A table's name or ARN; whether there is one shows when it is asked.
fn table_name(text: &str) -> Option<String> {
    let valid = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-:/".contains(&byte));
    (valid && (3..=1_024).contains(&text.len())).then(|| text.to_owned())
}

/// A confidence from which on a caller counts as returning: more than 0, at most 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Threshold(f64);

impl Threshold {
    /// Reads a threshold, or `None` where it is out of range: at 0 every stranger would be a returning caller.
    pub fn parse(text: &str) -> Option<Self> {
        text.trim().parse().ok().filter(|value| *value > 0.0 && *value <= 1.0).map(Self)
    }

    /// Whether `confidence` is enough.
    pub fn is_met_by(self, confidence: f64) -> bool {
        confidence >= self.0
    }
}

impl Default for Threshold {
    /// The integration guide's 0.7.
    fn default() -> Self {
        Self(0.7)
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

/// Numbers that are ours: a colleague who calls, a line that forwards.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InternalNumbers(Vec<InternalNumber>);

impl InternalNumbers {
    /// Whether `address`, an endpoint's address as it stands, is one of them.
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
    use std::collections::BTreeSet;

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
        assert_eq!(config.api.unwrap().url, BaseUrl::production());
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
        assert!(config.guard);
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
    fn queue_table_and_secret_are_used_with_what_lambda_sets() {
        let (config, malformed) = read(
            &[
                &LAMBDA[..],
                &[
                    ("STICKY_CALLS_API_KEY_SECRET_ARN", "arn:aws:secretsmanager:eu-central-1:1:secret:key"),
                    ("STICKY_CALLS_OUTBOX_QUEUE_URL", "https://sqs.eu-central-1.amazonaws.com/1/outbox"),
                    ("STICKY_CALLS_TABLE", "table"),
                    ("STICKY_CALLS_CACHE_TTL_SECONDS", "60"),
                    ("STICKY_CALLS_RECORDS", "all"),
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
        assert!(!config.guard);
        let aws = config.aws.unwrap();
        assert_eq!((aws.region.as_str(), aws.endpoint.as_deref()), ("eu-central-1", Some("http://127.0.0.1:5005")));
        assert_eq!(aws.credentials.session_token(), Some("verysecrettoo"));
        assert!(!format!("{aws:?}").contains("verysecret"), "{aws:?}");
    }

    #[test]
    fn a_function_that_needs_no_aws_does_not_look_for_it() {
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
    fn a_key_goes_before_a_secret() {
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
            ("STICKY_CALLS_GUARD", "true"),
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
            assert_eq!(config.guard, default.guard);
        }
    }

    #[test]
    fn a_malformed_entry_of_a_list_costs_none_of_the_others() {
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
    fn the_template_and_the_reference_know_every_variable_and_no_other() {
        fn variables(text: &str) -> BTreeSet<&str> {
            let words = text.split(|c: char| !c.is_ascii_uppercase() && c != '_');
            words.filter(|word| word.starts_with("STICKY_CALLS_") && !word.ends_with('_')).collect()
        }
        let read = variables(include_str!("config.rs"));
        assert_eq!(variables(include_str!("../template.yaml")), read);
        assert_eq!(variables(include_str!("../docs/reference.md")), read);
    }

    #[test]
    fn printing_the_configuration_shows_no_key() {
        let (config, _) = read(&[("STICKY_CALLS_API_KEY", "sk_test_verysecret")]);
        assert!(!format!("{config:?}").contains("verysecret"));
    }
}
