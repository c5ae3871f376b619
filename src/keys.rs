//! The API's key in use: fixed, or in a secret that may be rotated at any time.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use tokio::time::{Instant, timeout_at};

use crate::aws::Secret;
use crate::budget;
use crate::fault::Fault;
use crate::json::Object;
use crate::metrics::Metrics;
use crate::sticky_calls::ApiKey;

/// How long a key that was read is used before the secret is read again.
const KEPT: Duration = Duration::from_secs(300);

/// How long the last known key is used before the next try, where the secret could not be read: callers must not pay for
/// a store that is down, one after the other.
const KEPT_AFTER_A_FAILURE: Duration = Duration::from_secs(30);

/// The key, and where to read it again.
pub struct Keys {
    secret: Option<Secret>,
    known: Mutex<Known>,
    /// Held while the secret is read, so that a batch of calls reads it once.
    reading: tokio::sync::Mutex<()>,
    metrics: Arc<Metrics>,
}

/// What is known of the key.
#[derive(Debug, Default)]
struct Known {
    key: Option<ApiKey>,
    /// When the reading began that brought the key; `None` where none ever did.
    read: Option<Instant>,
    /// Until when the key is used without another look.
    good_until: Option<Instant>,
}

impl Known {
    /// A key that is looked up again only when it is due; one that is not there is always due.
    fn not_yet_due(&self, now: Instant) -> Option<ApiKey> {
        self.key.clone().filter(|_| self.good_until.is_none_or(|until| now < until))
    }

    /// The key that the secret held when it was asked at `asked`.
    fn learn(&mut self, key: ApiKey, asked: Instant) {
        *self = Self { key: Some(key), read: Some(asked), good_until: Some(asked + KEPT) };
    }

    /// The secret was asked at `asked` and did not answer.
    fn keep_on(&mut self, asked: Instant) {
        self.good_until = Some(asked + KEPT_AFTER_A_FAILURE);
    }
}

impl Keys {
    /// A key that never changes.
    pub fn fixed(key: ApiKey, metrics: Arc<Metrics>) -> Self {
        let known = Known { key: Some(key), ..Known::default() };
        Self { secret: None, known: Mutex::new(known), reading: tokio::sync::Mutex::default(), metrics }
    }

    /// The key in a secret: its text, or in a JSON object the text at `api_key`.
    pub fn in_secret(secret: Secret, metrics: Arc<Metrics>) -> Self {
        Self { secret: Some(secret), known: Mutex::default(), reading: tokio::sync::Mutex::default(), metrics }
    }

    /// The key as far as it is known, without asking anybody.
    pub fn known(&self) -> Option<ApiKey> {
        self.lock().key.clone()
    }

    /// The key to ask with. Where it is time to look at the secret again, that takes at most [`budget::KEY_REFRESH`], and
    /// where the secret can't be read the last known key is used.
    pub async fn current(&self, deadline: Instant) -> Option<ApiKey> {
        let now = Instant::now();
        if let Some(key) = self.lock().not_yet_due(now) {
            return Some(key);
        }
        let is_due = |known: &Known| known.not_yet_due(Instant::now()).is_none();
        self.read_where(is_due, deadline.min(now + budget::KEY_REFRESH)).await;
        self.known()
    }

    /// Reads the secret ahead of the first call, before `deadline`.
    pub async fn read_ahead(&self, deadline: Instant) {
        self.read_where(|_| true, deadline).await;
    }

    /// Another key than the one that the API refused when it was asked at `asked`: read again, unless somebody else has
    /// done so since. `None` where there is no other key.
    pub async fn after_refusal(&self, refused: &ApiKey, asked: Instant, deadline: Instant) -> Option<ApiKey> {
        let is_older = |known: &Known| known.read.is_none_or(|read| read <= asked);
        self.read_where(is_older, deadline.min(Instant::now() + budget::KEY_REFRESH)).await;
        self.known().filter(|key| !key.is(refused))
    }

    /// Reads the secret where that is still `needed` once it is this call's turn.
    async fn read_where(&self, needed: impl Fn(&Known) -> bool, deadline: Instant) {
        let Some(secret) = &self.secret else { return };
        let Ok(_turn) = timeout_at(deadline, self.reading.lock()).await else { return };
        if !needed(&self.lock()) {
            return;
        }
        let asked = Instant::now();
        let key = match secret.read(deadline).await {
            Ok(text) => key_in(&text).ok_or("it holds neither a key nor a JSON object with one at api_key".to_owned()),
            Err(error) => Err(error.to_string()),
        };
        match key {
            Ok(key) => self.lock().learn(key, asked),
            Err(detail) => {
                self.lock().keep_on(asked);
                self.metrics.count_fault(Fault::KeyRead);
                tracing::warn!(
                    fault = Fault::KeyRead.name(),
                    detail,
                    "the secret with the API's key could not be read"
                );
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
    use super::*;
    use crate::aws::Access;
    use crate::https::Https;

    fn metrics() -> Arc<Metrics> {
        Arc::new(Metrics::new(|_| None))
    }

    fn key(text: &str) -> ApiKey {
        ApiKey::new(SecretString::from(text)).unwrap()
    }

    fn read(secret: &str) -> Option<ApiKey> {
        key_in(&SecretString::from(secret))
    }

    #[test]
    fn a_secret_is_the_key_itself_or_an_object_that_has_it() {
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
    fn a_key_is_used_for_five_minutes_and_then_looked_up_again() {
        let began = Instant::now();
        let mut known = Known::default();
        assert!(known.not_yet_due(began).is_none());
        known.learn(key("sk_test_1"), began);
        assert!(known.not_yet_due(began + Duration::from_secs(299)).is_some());
        assert!(known.not_yet_due(began + Duration::from_secs(300)).is_none());
    }

    #[test]
    fn a_store_that_is_down_leaves_the_last_key_in_use_and_is_asked_again_after_half_a_minute() {
        let began = Instant::now();
        let mut known = Known::default();
        known.learn(key("sk_test_1"), began);
        let later = began + Duration::from_secs(300);
        known.keep_on(later);
        assert!(known.not_yet_due(later + Duration::from_secs(29)).is_some());
        assert!(known.not_yet_due(later + Duration::from_secs(30)).is_none());
        assert!(known.key.is_some());
    }

    #[test]
    fn without_any_key_every_call_looks_for_one() {
        let mut known = Known::default();
        known.keep_on(Instant::now());
        assert!(known.not_yet_due(Instant::now()).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn callers_do_not_wait_one_after_the_other_for_a_store_that_is_down() {
        let credentials = aws_sdk_secretsmanager::config::Credentials::new("id", "key", None, None, "test");
        // Nobody listens on the first port.
        let endpoint = Some("http://127.0.0.1:1".to_owned());
        let access = Access { region: "eu-central-1".to_owned(), credentials, endpoint };
        let keys = Keys::in_secret(access.clients(&Https::new().unwrap()).unwrap().secret("arn"), metrics());
        keys.lock().learn(key("sk_test_1"), Instant::now());
        tokio::time::advance(KEPT).await;
        assert!(keys.lock().not_yet_due(Instant::now()).is_none());
        let began = Instant::now();
        assert!(keys.current(began + KEPT).await.unwrap().is(&key("sk_test_1")));
        assert!(began.elapsed() <= budget::KEY_REFRESH);
        assert!(keys.lock().not_yet_due(Instant::now()).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_fixed_key_is_there_for_ever() {
        let keys = Keys::fixed(key("sk_test_1"), metrics());
        tokio::time::advance(Duration::from_secs(100_000)).await;
        assert!(keys.current(Instant::now()).await.is_some());
        assert!(keys.after_refusal(&key("sk_test_1"), Instant::now(), Instant::now()).await.is_none());
    }
}
