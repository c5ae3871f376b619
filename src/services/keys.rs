//! The API's current key: fixed, or in a secret that may be rotated at any time.
//!
//! A read of the secret goes on when the call that started it stops waiting. The next call finds the key, or waits for
//! the same read. Otherwise, with a store that takes longer than a call waits, each call would start a new read and
//! none would get the key.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::{Instant, timeout, timeout_at};

use crate::aws::{self, Secret};
use crate::budget;
use crate::json::Object;
use crate::sticky_calls::ApiKey;
use crate::telemetry::Metrics;
use crate::vocabulary::Degradation;
use crate::vocabulary::Reason;

/// Why there is no key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoKey {
    /// [`Reason::Timeout`] if the store was late, [`Reason::Network`] if it could not be reached or throttles,
    /// [`Reason::Misconfigured`] if it refused or the secret holds no key.
    pub reason: Reason,
    /// What Secrets Manager said; never the secret.
    pub detail: String,
}

impl NoKey {
    fn late() -> Self {
        Self { reason: Reason::Timeout, detail: "the secret with the key was not read in time".to_owned() }
    }

    fn unusable() -> Self {
        let detail = "the secret holds neither a key nor a JSON object with one at api_key".to_owned();
        Self { reason: Reason::Misconfigured, detail }
    }
}

impl From<aws::Error> for NoKey {
    fn from(error: aws::Error) -> Self {
        Self { reason: error.reason(), detail: format!("the secret with the key could not be read: {error}") }
    }
}

/// A read of the secret that is under way; every call that needs it waits for the same one.
type Reading = Shared<BoxFuture<'static, Result<ApiKey, NoKey>>>;

/// The key, and the secret to read it from.
pub struct Keys {
    secret: Option<Secret>,
    known: Arc<Mutex<Known>>,
    metrics: Arc<Metrics>,
}

/// What is known of the key.
#[derive(Default)]
struct Known {
    key: Option<ApiKey>,
    /// When the read that brought the key began. `None` if no read has.
    read: Option<Instant>,
    /// Until when the key is used without reading the secret again.
    good_until: Option<Instant>,
    /// The read that is under way, and when it began.
    reading: Option<(Reading, Instant)>,
}

impl Known {
    /// The key, unless the secret should be read again by now.
    fn fresh_key(&self, now: Instant) -> Option<ApiKey> {
        self.key.clone().filter(|_| self.good_until.is_none_or(|until| now < until))
    }

    /// Takes the key from a read that began at `asked`.
    fn learn(&mut self, key: ApiKey, asked: Instant) {
        self.key = Some(key);
        self.read = Some(asked);
        self.good_until = Some(asked + budget::KEY_IN_USE);
    }

    /// A read begins at `asked`. Until it ends, or for a while if it fails, calls use the known key without waiting.
    fn begin_read(&mut self, asked: Instant) {
        self.good_until = Some(asked + budget::KEY_IN_USE_AFTER_A_FAILURE);
    }
}

impl Keys {
    /// A key that never changes.
    pub fn fixed(key: ApiKey, metrics: Arc<Metrics>) -> Self {
        let known = Known { key: Some(key), ..Known::default() };
        Self { secret: None, known: Arc::new(Mutex::new(known)), metrics }
    }

    /// The key in a secret: the whole text, or in a JSON object the text at `api_key`.
    pub fn in_secret(secret: Secret, metrics: Arc<Metrics>) -> Self {
        Self { secret: Some(secret), known: Arc::default(), metrics }
    }

    /// The last known key. The secret is not read.
    pub fn known(&self) -> Option<ApiKey> {
        lock(&self.known).key.clone()
    }

    /// The current key. If the secret should be read again, this waits at most [`budget::KEY_REFRESH`], and then uses
    /// the last known key. If no key is known yet, the read may take the time until `deadline`, less
    /// [`budget::LEFT_FOR_THE_API`].
    ///
    /// # Errors
    ///
    /// [`NoKey`] if no key is known by then.
    pub async fn current(&self, deadline: Instant) -> Result<ApiKey, NoKey> {
        let now = Instant::now();
        if let Some(key) = lock(&self.known).fresh_key(now) {
            return Ok(key);
        }
        match self.known() {
            Some(known) => {
                let deadline = deadline.min(now + budget::KEY_REFRESH);
                Ok(self.read(Instant::now(), deadline).await.unwrap_or(known))
            }
            None => {
                let left = deadline.saturating_duration_since(now);
                self.read(now, deadline - budget::LEFT_FOR_THE_API.min(left / 2)).await
            }
        }
    }

    /// Reads the secret ahead of the first call. Waits until `deadline`.
    pub async fn read_ahead(&self, deadline: Instant) {
        let _ = self.read(Instant::now(), deadline).await;
    }

    /// Another key than the one that the API refused when it was asked at `asked`. Reads the secret again, unless it
    /// was read since. Returns `None` if there is no other key.
    pub async fn after_refusal(&self, refused: &ApiKey, asked: Instant, deadline: Instant) -> Option<ApiKey> {
        let deadline = deadline.min(Instant::now() + budget::KEY_REFRESH);
        let is_older = || lock(&self.known).read.is_none_or(|read| read <= asked);
        // A read that began before the refusal may bring the refused key again.
        for _ in 0..2 {
            if is_older() && self.read(Instant::now(), deadline).await.is_err() {
                break;
            }
        }
        self.known().filter(|key| !key.is(refused))
    }

    /// Waits until `deadline` for the key: from the read that is under way, else from one that begins `now`. The read
    /// goes on after that.
    async fn read(&self, now: Instant, deadline: Instant) -> Result<ApiKey, NoKey> {
        let Some(secret) = &self.secret else { return self.known().ok_or_else(NoKey::unusable) };
        let reading = {
            let mut known = lock(&self.known);
            // A read that took too long, because the function was frozen, is not waited for.
            let under_way = known.reading.clone().filter(|(_, began)| now < *began + budget::AWS_ABANDONED_AFTER);
            match under_way {
                Some((reading, _)) => reading,
                None => {
                    let work = read(secret.clone(), Arc::clone(&self.known), Arc::clone(&self.metrics), now);
                    let reading = work.boxed().shared();
                    known.reading = Some((reading.clone(), now));
                    known.begin_read(now);
                    tokio::spawn(reading.clone());
                    reading
                }
            }
        };
        timeout_at(deadline, reading).await.unwrap_or_else(|_elapsed| Err(NoKey::late()))
    }
}

/// Reads the secret, which was asked at `asked`, and stores the key in `known`.
async fn read(
    secret: Secret,
    known: Arc<Mutex<Known>>,
    metrics: Arc<Metrics>,
    asked: Instant,
) -> Result<ApiKey, NoKey> {
    let text = timeout(budget::AWS_ABANDONED_AFTER, secret.read()).await.unwrap_or(Err(aws::Error::Timeout));
    let key = text.map_err(NoKey::from).and_then(|text| key_in(&text).ok_or_else(NoKey::unusable));
    let mut known = lock(&known);
    known.reading = known.reading.take().filter(|(_, began)| *began != asked);
    match &key {
        Ok(key) => known.learn(key.clone(), asked),
        Err(error) => {
            let what = "the secret with the API's key could not be read";
            metrics.degraded(Degradation::KeyRead, None, Some(&error.detail), what);
        }
    }
    key
}

fn lock(known: &Mutex<Known>) -> MutexGuard<'_, Known> {
    known.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The key in a secret's text.
fn key_in(secret: &SecretString) -> Option<ApiKey> {
    let text = secret.expose_secret().trim();
    let key = match Object::parse(text) {
        Some(object) => object.text("api_key")?.trim().to_owned(),
        None => text.to_owned(),
    };
    ApiKey::new(SecretString::from(key))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::aws::Access;
    use crate::config::Config;
    use crate::https::Https;

    fn metrics() -> Arc<Metrics> {
        Arc::new(Metrics::new(&Config::read(|_| None).0))
    }

    fn key(text: &str) -> ApiKey {
        ApiKey::new(SecretString::from(text)).unwrap()
    }

    fn read(secret: &str) -> Option<ApiKey> {
        key_in(&SecretString::from(secret))
    }

    #[test]
    fn a_secret_holds_the_key_as_its_text_or_in_a_json_object() {
        for secret in
            ["sk_test_1", " sk_test_1\n", r#"{"api_key":"sk_test_1"}"#, r#"{"other":1,"api_key":" sk_test_1 "}"#]
        {
            assert!(read(secret).unwrap().is(&key("sk_test_1")), "{secret}");
        }
        for secret in ["", " ", "{}", r#"{"api_key":""}"#, r#"{"api_key":7}"#, r#"{"key":"sk_test_1"}"#, "two\nlines"] {
            assert!(read(secret).is_none(), "{secret}");
        }
    }

    #[test]
    fn a_key_is_used_for_five_minutes_and_then_read_again() {
        let began = Instant::now();
        let mut known = Known::default();
        assert!(known.fresh_key(began).is_none());
        known.learn(key("sk_test_1"), began);
        assert!(known.fresh_key(began + Duration::from_secs(299)).is_some());
        assert!(known.fresh_key(began + Duration::from_secs(300)).is_none());
    }

    #[test]
    fn if_the_store_is_down_the_last_key_stays_in_use_and_is_read_again_after_half_a_minute() {
        let began = Instant::now();
        let mut known = Known::default();
        known.learn(key("sk_test_1"), began);
        let later = began + Duration::from_secs(300);
        known.begin_read(later);
        assert!(known.fresh_key(later + Duration::from_secs(29)).is_some());
        assert!(known.fresh_key(later + Duration::from_secs(30)).is_none());
        assert!(known.key.is_some());
    }

    #[test]
    fn if_no_key_is_known_every_call_waits_for_one() {
        let mut known = Known::default();
        known.begin_read(Instant::now());
        assert!(known.fresh_key(Instant::now()).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn callers_do_not_wait_one_after_the_other_for_a_store_that_is_down() {
        let credentials = aws_sdk_secretsmanager::config::Credentials::new("id", "key", None, None, "test");
        // Nothing listens on port 1.
        let endpoint = Some("http://127.0.0.1:1".to_owned());
        let access = Access { region: "eu-central-1".to_owned(), credentials, endpoint };
        let keys = Keys::in_secret(access.clients(&Https::new().unwrap()).unwrap().secret("arn"), metrics());
        lock(&keys.known).learn(key("sk_test_1"), Instant::now());
        tokio::time::advance(budget::KEY_IN_USE).await;
        assert!(lock(&keys.known).fresh_key(Instant::now()).is_none());
        let began = Instant::now();
        assert!(keys.current(began + budget::KEY_IN_USE).await.unwrap().is(&key("sk_test_1")));
        assert!(began.elapsed() <= budget::KEY_REFRESH);
        // The read goes on, and the next caller does not wait for it.
        assert!(lock(&keys.known).fresh_key(Instant::now()).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_fixed_key_is_always_used() {
        let keys = Keys::fixed(key("sk_test_1"), metrics());
        tokio::time::advance(Duration::from_secs(100_000)).await;
        assert!(keys.current(Instant::now()).await.is_ok());
        assert!(keys.after_refusal(&key("sk_test_1"), Instant::now(), Instant::now()).await.is_none());
    }
}
