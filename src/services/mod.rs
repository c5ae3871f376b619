//! What handlers can use, built from the configuration.
//!
//! - [`Api`], [`Keys`]: the Sticky Calls API with its current key, behind the [`CircuitBreaker`]
//! - [`Cache`]: the API's answers, for callers who call again
//! - [`Ledger`]: what is known about calls that are over: words that are safe, the newest call, opt-outs
//! - [`Halves`]: contact records that wait for Contact Lens' summary, and summaries that wait for their record
//! - [`Outbox`]: summaries that still have to be delivered

mod api;
mod cache;
mod circuit_breaker;
mod halves;
mod keyed_hash;
mod keys;
mod ledger;
pub mod outbox;

use std::sync::Arc;

use futures_util::future::join3;
use jiff::SignedDuration;
use tokio::time::Instant;

pub use api::Api;
pub use cache::Cache;
pub use circuit_breaker::CircuitBreaker;
pub use halves::{Half, HalfKind, Halves};
pub use keys::{Keys, NoKey};
pub use ledger::{Chosen, Facts, Known, Ledger, WordsState};
pub use outbox::Outbox;

use crate::aws::{Access, Clients, Table};
use crate::budget;
use crate::config::{Config, KeySource};
use crate::https::Https;
use crate::sticky_calls::Client;
use crate::telemetry::Metrics;

/// What an execution environment keeps from one invocation to the next.
pub struct Services {
    /// The settings.
    pub config: Config,
    /// The Sticky Calls API. `None` if it is not configured: then nothing is sent anywhere.
    pub api: Option<Api>,
    /// The outbox, if a queue is configured.
    pub outbox: Option<Outbox>,
    /// The cache, if a table is configured and answers may be cached.
    pub cache: Option<Cache>,
    /// The ledger, if a table is configured.
    pub ledger: Option<Ledger>,
    /// The halves, if a table is configured.
    pub halves: Option<Halves>,
    table: Option<Table>,
    /// What is counted and measured in an invocation.
    pub metrics: Arc<Metrics>,
}

impl Services {
    /// Builds what is configured. Nothing is sent yet.
    pub fn new(config: Config) -> Self {
        let metrics = Arc::new(Metrics::new(&config));
        let https = Https::new().inspect_err(|error| tracing::error!(%error, "TLS could not be set up")).ok();
        let aws = config.aws.as_ref().zip(https.as_ref()).and_then(|(access, https)| aws(access, https));
        let api = https.as_ref().and_then(|https| api(&config, https, aws.as_ref(), &metrics));
        let outbox = config.outbox_queue_url.as_ref().zip(aws.as_ref()).map(|(url, aws)| Outbox::new(aws.queue(url)));
        let table = config.table.as_ref().zip(aws.as_ref()).map(|(name, aws)| aws.table(name));
        let ttl = SignedDuration::try_from(config.cache_ttl).unwrap_or(SignedDuration::MAX);
        let cache = table.clone().filter(|_| !ttl.is_zero()).map(|table| Cache::new(table, ttl));
        let ledger = table.clone().map(|table| Ledger::new(table, config.contact_lens));
        let halves = table.clone().map(Halves::new);
        Self { config, api, outbox, cache, ledger, halves, table, metrics }
    }

    /// Reads the API's key and opens the connections that the first call will use: all at once, and for at most
    /// [`budget::WARM_UP`]. Failures are ignored: the first call will meet them too.
    pub async fn warm_up(&self) {
        let deadline = Instant::now() + budget::WARM_UP;
        let key = async {
            if let Some(api) = &self.api {
                api.keys.read_ahead(deadline).await;
            }
        };
        let connection = async {
            if let Some(api) = &self.api {
                api.open_first_connection(deadline).await;
            }
        };
        let table = async {
            if let Some(table) = &self.table {
                table.open_first_connection(deadline).await;
            }
        };
        join3(key, connection, table).await;
    }
}

fn aws(access: &Access, https: &Https) -> Option<Clients> {
    access.clients(https).inspect_err(|error| tracing::error!(%error, "the AWS clients could not be built")).ok()
}

fn api(config: &Config, https: &Https, aws: Option<&Clients>, metrics: &Arc<Metrics>) -> Option<Api> {
    let access = config.api.as_ref()?;
    let keys = match &access.key {
        KeySource::Fixed(key) => Keys::fixed(key.clone(), Arc::clone(metrics)),
        KeySource::Secret(arn) => Keys::in_secret(aws?.secret(arn), Arc::clone(metrics)),
    };
    let client = Client::new(&access.url, https)
        .inspect_err(|error| tracing::error!(%error, "the API client could not be built"))
        .ok()?;
    Some(Api::new(client, keys, config.circuit_breaker.then(CircuitBreaker::default), config.timeout))
}
