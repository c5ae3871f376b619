//! The Sticky Calls API for the handlers: the client, with the current key, behind the circuit breaker.

use std::time::Duration;

use tokio::time::Instant;

use super::circuit_breaker::{CircuitBreaker, Verdict};
use super::keys::{Keys, NoKey};
use crate::sticky_calls::{ApiKey, Attempts, Call, Client, EndAnswer, EndRequest, Error, StartRequest, Started};

/// The API's client, its key and its circuit breaker.
pub struct Api {
    client: Client,
    /// Where the key comes from.
    pub keys: Keys,
    /// `None` if the circuit breaker is switched off.
    breaker: Option<CircuitBreaker>,
    /// How long a caller waits for an answer. Batches wait longer.
    flow_budget: Duration,
}

impl From<NoKey> for Error {
    fn from(NoKey { reason, detail }: NoKey) -> Self {
        Self::NoKey { reason, detail }
    }
}

impl Api {
    /// The API behind `client`, with the key from `keys`. It is not asked while `breaker` is open. An answer that took
    /// longer than `flow_budget` does not close `breaker`.
    pub fn new(client: Client, keys: Keys, breaker: Option<CircuitBreaker>, flow_budget: Duration) -> Self {
        Self { client, keys, breaker, flow_budget }
    }

    /// Opens the connection that the first call will use, before `deadline`.
    pub async fn open_first_connection(&self, deadline: Instant) {
        self.client.open_first_connection(deadline).await;
    }

    /// Asks who is calling, and is done before `deadline`. If the circuit breaker is open, it fails at once.
    pub async fn start_call(&self, request: &StartRequest, deadline: Instant) -> Call<Started> {
        self.unless_open(self.ask(deadline, async |key| self.client.start_call(request, key, deadline).await)).await
    }

    /// Saves what happened, and is done before `deadline`. If the circuit breaker is open, it fails at once.
    pub async fn end_call(&self, request: &EndRequest, deadline: Instant) -> Call<EndAnswer> {
        self.unless_open(self.ask(deadline, async |key| self.client.end_call(request, key, deadline).await)).await
    }

    /// The same, even if the circuit breaker is open.
    pub async fn end_call_regardless(&self, request: &EndRequest, deadline: Instant) -> Call<EndAnswer> {
        let call = self.ask(deadline, async |key| self.client.end_call(request, key, deadline).await).await;
        // A failure does not count: the message has failed before, and may itself be the cause.
        if let (Some(breaker), Verdict::Up) = (&self.breaker, self.verdict(&call)) {
            breaker.answered();
        }
        call
    }

    /// Asks unless the circuit breaker is open, which learns from the answer.
    async fn unless_open<T>(&self, ask: impl Future<Output = Call<T>>) -> Call<T> {
        let Some(breaker) = &self.breaker else { return ask.await };
        let Some(admission) = breaker.admit() else {
            return Call { result: Err(Error::CircuitOpen), attempts: Attempts::default() };
        };
        let call = ask.await;
        admission.learn(self.verdict(&call));
        call
    }

    /// Asks. If the API refuses the key and the secret holds another one by now, asks once more with that.
    async fn ask<T>(&self, deadline: Instant, ask: impl AsyncFn(&ApiKey) -> Call<T>) -> Call<T> {
        let key = match self.keys.current(deadline).await {
            Ok(key) => key,
            Err(error) => return Call { result: Err(error.into()), attempts: Attempts::default() },
        };
        let began = Instant::now();
        let refused = match ask(&key).await {
            Call { result: Err(error), attempts } if error.is_about_the_key() => Call { result: Err(error), attempts },
            call => return call,
        };
        let Some(key) = self.keys.after_refusal(&key, began, deadline).await else { return refused };
        tracing::info!("the API refused the key, and the secret holds another one: asking again");
        let call = ask(&key).await;
        Call { attempts: refused.attempts + call.attempts, ..call }
    }

    /// What a call says about the API's health. It says nothing if the API was not asked, because there was no time or
    /// no key. It says nothing either if the answer took longer than a caller waits.
    fn verdict<T>(&self, call: &Call<T>) -> Verdict {
        match &call.result {
            _ if call.attempts.count == 0 => Verdict::Unknown,
            Err(error) if error.is_an_outage() => Verdict::Down,
            _ if call.attempts.latency > self.flow_budget => Verdict::Unknown,
            _ => Verdict::Up,
        }
    }
}
