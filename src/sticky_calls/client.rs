//! The client of the Sticky Calls API.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use reqwest::header::{AUTHORIZATION, RETRY_AFTER};
use reqwest::{RequestBuilder, StatusCode, Url};
use serde::Serialize;
use tokio::time::{Instant, sleep, timeout_at};

use super::first_connection::FirstConnection;
use super::network_thread::NetworkThread;
use super::retry::{Retry, retry_after};
use super::{ApiKey, BaseUrl, EndAnswer, EndRequest, Error, StartAnswer, StartRequest};
use crate::budget;
use crate::https::Https;
use crate::json;
use crate::vocabulary::Reason;

/// How long an unused connection is kept. Lambda freezes the function between calls, so nobody notices when the other
/// side closes it; servers and gateways do that after 60 s or more.
const MAX_IDLE: Duration = Duration::from_secs(30);

/// The largest answer that is read. The API's answers are much smaller.
const MAX_ANSWER_BYTES: usize = 256 * 1024;

/// The result of a call to the API, and its attempts.
#[derive(Debug)]
pub struct Call<T> {
    /// The answer or the failure.
    pub result: Result<T, Error>,
    /// The attempts, the retry included.
    pub attempts: Attempts,
}

/// How often the API was asked, and how long that took, waits included.
#[derive(Clone, Copy, Debug, Default)]
pub struct Attempts {
    /// How often the API was asked.
    pub count: u32,
    /// The time from the first attempt's beginning to the last one's end.
    pub latency: Duration,
}

impl std::ops::Add for Attempts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { count: self.count + other.count, latency: self.latency + other.latency }
    }
}

/// The answer to a start.
#[derive(Clone, Debug, PartialEq)]
pub struct Started {
    /// The API's answer.
    pub answer: StartAnswer,
    /// Its JSON.
    pub json: String,
}

/// The client: built once, used for every call of an execution environment.
pub struct Client {
    /// Replaced after an answer about another call, so that its connection is not used again.
    transport: Mutex<Arc<Transport>>,
    https: Https,
    /// For [`Client::open_first_connection`] alone.
    opener: reqwest::Client,
    start_url: Url,
    end_url: Url,
}

/// The HTTP clients, and the thread on which they work: a connection can only be used on the thread that opened it.
struct Transport {
    network: NetworkThread,
    pooled: reqwest::Client,
    /// For the attempt after a broken connection. It opens a new one, because the pooled ones may be broken too.
    unpooled: reqwest::Client,
}

impl Transport {
    fn new(https: &Https, pooled: reqwest::ClientBuilder) -> Result<Self, BuildError> {
        Ok(Self {
            network: NetworkThread::start()?,
            pooled: pooled.build()?,
            unpooled: http(https).pool_max_idle_per_host(0).build()?,
        })
    }
}

/// Why the client could not be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The address is not a URL.
    #[error("the API's URL is not a URL")]
    Url,
    /// The HTTP client refused its settings.
    #[error(transparent)]
    Http(#[from] reqwest::Error),
    /// The operating system gave no thread.
    #[error(transparent)]
    Thread(#[from] std::io::Error),
}

impl Client {
    /// Builds the client for the API at `url`. Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// Fails if the HTTP clients can't be built, or the address is not a URL.
    pub fn new(url: &BaseUrl, https: &Https) -> Result<Self, BuildError> {
        let endpoint = |path| Url::parse(&format!("{}{path}", url.as_str())).map_err(|_| BuildError::Url);
        let first = FirstConnection::new(MAX_IDLE);
        let transport = Transport::new(https, http(https).connector_layer(first.taker()))?;
        Ok(Self {
            transport: Mutex::new(Arc::new(transport)),
            https: https.clone(),
            opener: http(https).connector_layer(first.keeper()).build()?,
            start_url: endpoint("/v1/calls/start")?,
            end_url: endpoint("/v1/calls/end")?,
        })
    }

    /// Opens the connection that the first call will use, and waits for it until `deadline`. A connection that takes
    /// longer is used by a later call. No request is sent over it. If it fails, the first call opens a connection
    /// itself.
    pub async fn open_first_connection(&self, deadline: Instant) {
        // The opener never gets its connection, so its request never leaves and its answer is always an error.
        let request = self.opener.get(self.start_url.clone()).send();
        let _ = timeout_at(deadline, self.transport().network.begin(request)).await;
    }

    /// `POST /v1/calls/start`: asks who is calling, and is done before `deadline`.
    pub async fn start_call(&self, request: &StartRequest, key: &ApiKey, deadline: Instant) -> Call<Started> {
        let read = |json: String, call_id: &str| Ok(Started { answer: StartAnswer::to_call(&json, call_id)?, json });
        self.call(&self.start_url, request, &request.call_id, key, read, deadline).await
    }

    /// `POST /v1/calls/end`: saves what happened, and is done before `deadline`.
    pub async fn end_call(&self, request: &EndRequest, key: &ApiKey, deadline: Instant) -> Call<EndAnswer> {
        let read = |json: String, call_id: &str| EndAnswer::to_call(&json, call_id);
        self.call(&self.end_url, request, &request.call_id, key, read, deadline).await
    }

    async fn call<T: Send + 'static>(
        &self,
        url: &Url,
        request: &impl Serialize,
        call_id: &str,
        key: &ApiKey,
        read: Read<T>,
        deadline: Instant,
    ) -> Call<T> {
        let began = Instant::now();
        let mut retry = Retry::once_before(deadline);
        let transport = self.transport();
        let mut http = &transport.pooled;
        let mut count = 0;
        let result = loop {
            // With no time left nothing is sent: the save would be reported as failed although the API has it.
            if Instant::now() >= deadline {
                break Err(Error::Timeout);
            }
            count += 1;
            let attempt = match request_to(http, url, key, request) {
                Ok(request) => {
                    let attempt = attempt(request, call_id.to_owned(), read);
                    timeout_at(deadline, transport.network.run(attempt)).await
                }
                Err(error) => break Err(error),
            };
            let error = match attempt.unwrap_or(Some(Err(Error::Timeout))).unwrap_or(Err(Error::Panicked)) {
                Ok(answer) => break Ok(answer),
                Err(error) => error,
            };
            let Some(wait) = retry.wait_after(&error) else { break Err(error) };
            tracing::debug!(reason = error.reason().as_str(), detail = %error, wait_ms = wait.as_millis(), "retrying");
            if let Error::Network { .. } = error {
                http = &transport.unpooled;
            }
            sleep(wait).await;
        };
        if let Err(Error::OtherCall) = result {
            // The next answer on this connection may be another call's too.
            self.renew_transport(&transport);
        }
        Call { result, attempts: Attempts { count, latency: began.elapsed() } }
    }

    fn transport(&self) -> Arc<Transport> {
        Arc::clone(&self.transport.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces `old`, unless another call has done so.
    fn renew_transport(&self, old: &Arc<Transport>) {
        let mut current = self.transport.lock().unwrap_or_else(PoisonError::into_inner);
        if Arc::ptr_eq(&current, old) {
            match Transport::new(&self.https, http(&self.https)) {
                Ok(fresh) => *current = Arc::new(fresh),
                Err(error) => tracing::error!(%error, "the API's connections could not be replaced"),
            }
        }
    }
}

/// A request with the key, ready to be sent.
fn request_to(
    http: &reqwest::Client,
    url: &Url,
    key: &ApiKey,
    request: &impl Serialize,
) -> Result<RequestBuilder, Error> {
    let no_key = || Error::NoKey { reason: Reason::Misconfigured, detail: "the key does not fit a header".to_owned() };
    let authorization = key.authorization().ok_or_else(no_key)?;
    Ok(http.post(url.clone()).header(AUTHORIZATION, authorization).json(request))
}

/// Reads the body of an answer to a request about a call, by its `call_id`.
type Read<T> = fn(String, &str) -> Result<T, Error>;

async fn attempt<T>(request: RequestBuilder, call_id: String, read: Read<T>) -> Result<T, Error> {
    let response = request.send().await?;
    match response.status() {
        StatusCode::OK | StatusCode::CREATED => read(json::repaired(body(response).await?), &call_id),
        status if status.is_client_error() || status.is_server_error() => {
            let header = response.headers().get(RETRY_AFTER);
            let retry_after = header.and_then(|header| retry_after(header, SystemTime::now()));
            Err(Error::Status { status, retry_after })
        }
        _ => Err(Error::InvalidResponse { detail: "a 1xx, 2xx or 3xx status other than 200 and 201" }),
    }
}

/// What the clients share.
fn http(https: &Https) -> reqwest::ClientBuilder {
    https
        .client()
        .user_agent(concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(budget::CONNECT)
        .pool_idle_timeout(MAX_IDLE)
        // A batch uses as many at once.
        .pool_max_idle_per_host(budget::ITEMS_AT_ONCE)
}

/// Reads an answer's body. Stops as soon as it is larger than [`MAX_ANSWER_BYTES`].
async fn body(mut response: reqwest::Response) -> Result<Vec<u8>, Error> {
    let too_large = Error::InvalidResponse { detail: "the answer is too large" };
    if response.content_length().is_some_and(|length| length > MAX_ANSWER_BYTES as u64) {
        return Err(too_large);
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > MAX_ANSWER_BYTES {
            return Err(too_large);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
