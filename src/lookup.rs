//! A lookup: asks the cache, and if it has no answer the API.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::budget;
use crate::services::{Cache, Services};
use crate::sticky_calls::{ApiKey, Attempts, Call, Error, StartAnswer, StartRequest, Started};
use crate::telemetry::Metrics;
use crate::vocabulary::{Degradation, LookupSource, Reason};

/// The result of a lookup.
#[derive(Debug)]
pub struct Lookup {
    /// The answer and where it comes from, or why nobody gave one.
    pub result: Result<(StartAnswer, LookupSource), Unanswered>,
    /// The attempts at the API, if it was asked.
    pub attempts: Option<Attempts>,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unanswered {
    /// The code.
    pub reason: Reason,
    /// What the network or the API said, beyond the reason.
    pub detail: Option<String>,
}

impl From<Error> for Unanswered {
    fn from(error: Error) -> Self {
        Self { reason: error.reason(), detail: Some(error.to_string()) }
    }
}

/// Asks who is calling, and is done before `deadline`.
pub async fn lookup(request: &StartRequest, services: &Services, deadline: Instant) -> Lookup {
    let unasked = |result| Lookup { result, attempts: None };
    let Some(api) = &services.api else {
        return unasked(Err(Unanswered { reason: Reason::Misconfigured, detail: None }));
    };
    let key = match api.keys.current(deadline).await {
        Ok(key) => key,
        Err(error) => return unasked(Err(Error::from(error).into())),
    };
    let mut cache = CacheShare::new(services);
    if let Some(kept) = cache.find(request, &key, deadline).await {
        return unasked(Ok((kept, LookupSource::Cache)));
    }
    let asked = Timestamp::now();
    let Call { result, attempts } = api.start_call(request, deadline).await;
    if let Ok(started) = &result {
        cache.keep(request, started, &key, asked, deadline).await;
    }
    let result = result.map(|started| (started.answer, LookupSource::Api)).map_err(Unanswered::from);
    Lookup { result, attempts: Some(attempts) }
}

/// The cache, and the time that one caller may still spend on it: [`budget::TABLE`] for finding and storing together.
struct CacheShare<'a> {
    cache: Option<&'a Cache>,
    metrics: &'a Metrics,
    left: Duration,
}

impl<'a> CacheShare<'a> {
    fn new(services: &'a Services) -> Self {
        Self { cache: services.cache.as_ref(), metrics: &services.metrics, left: budget::TABLE }
    }

    /// The cached answer to this request. `None` if the table holds no usable one or does not answer.
    async fn find(&mut self, request: &StartRequest, key: &ApiKey, deadline: Instant) -> Option<StartAnswer> {
        let cache = self.cache?;
        let began = Instant::now();
        let found = cache.find(request, key, deadline.min(began + self.left)).await;
        self.left = self.left.saturating_sub(began.elapsed());
        found.unwrap_or_else(|error| {
            self.metrics.degraded(Degradation::TableRead, None, Some(&error), "the cache could not be read");
            None
        })
    }

    /// Stores an answer of the API, if any of the cache's time is left.
    async fn keep(&self, request: &StartRequest, started: &Started, key: &ApiKey, asked: Timestamp, deadline: Instant) {
        let Some(cache) = self.cache.filter(|_| !self.left.is_zero()) else { return };
        let deadline = deadline.min(Instant::now() + self.left);
        if let Err(error) = cache.keep(request, started, key, asked, deadline).await {
            self.metrics.degraded(Degradation::TableWrite, None, Some(&error), "the cache could not be written");
        }
    }
}
