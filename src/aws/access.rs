//! What all AWS clients share, and how it is set up.

use std::time::Duration;

use aws_sdk_sqs::config::retry::{ReconnectMode, RetryConfig};
use aws_sdk_sqs::config::{BehaviorVersion, Credentials, Region, SharedAsyncSleep, SharedCredentialsProvider};
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_types::SdkConfig;

use super::http::http_client;
use super::{Queue, Secret, Table};
use crate::budget;
use crate::https::Https;

/// How often a request is sent, the first time included.
const ATTEMPTS: u32 = 3;

/// How long an unused connection is kept. Lambda freezes the function between calls, so nobody notices when the other
/// side closes it.
const MAX_IDLE: Duration = Duration::from_secs(15);

/// Where AWS is and who asks, as [Lambda sets
/// it](https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime).
#[derive(Clone, Debug)]
pub struct Access {
    /// `AWS_REGION`.
    pub region: String,
    /// `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN`; they outlive the execution environment.
    pub credentials: Credentials,
    /// `AWS_ENDPOINT_URL`: in place of AWS's own endpoints, for local runs.
    pub endpoint: Option<String>,
}

impl Access {
    /// Sets up what the clients share. Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// If the HTTP clients can't be built.
    pub fn clients(&self, https: &Https) -> Result<Clients, reqwest::Error> {
        let client = || https.client().connect_timeout(budget::CONNECT).read_timeout(budget::AWS_ABANDONED_AFTER);
        let pooled = client().pool_idle_timeout(MAX_IDLE).build()?;
        let http = http_client(pooled, client().pool_max_idle_per_host(0).build()?);
        // A connection may be used again after a 500: the HTTP clients can't close one on demand.
        let retry = RetryConfig::standard()
            .with_max_attempts(ATTEMPTS)
            .with_initial_backoff(budget::AWS_FIRST_PAUSE)
            .with_max_backoff(budget::AWS_LONGEST_PAUSE)
            .with_reconnect_mode(ReconnectMode::ReuseAllConnections);
        let mut shared = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(self.region.clone()))
            .credentials_provider(SharedCredentialsProvider::new(self.credentials.clone()))
            .http_client(http)
            .sleep_impl(SharedAsyncSleep::new(TokioSleep::new()))
            .retry_config(retry);
        shared.set_endpoint_url(self.endpoint.clone());
        Ok(Clients(shared.build()))
    }
}

/// Makes clients that share one HTTP client.
pub struct Clients(SdkConfig);

impl Clients {
    /// The queue at this URL.
    pub fn queue(&self, url: &str) -> Queue {
        Queue::new(&self.0, url)
    }

    /// The table of this name.
    pub fn table(&self, name: &str) -> Table {
        Table::new(&self.0, name)
    }

    /// The secret of this ARN.
    pub fn secret(&self, arn: &str) -> Secret {
        Secret::new(&self.0, arn)
    }
}
