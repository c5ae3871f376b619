//! The Sticky Calls API as the handlers ask it: the client, with the key of the moment, behind the circuit breaker.

use std::time::Duration;

use tokio::time::Instant;

use super::circuit_breaker::{CircuitBreaker, Verdict};
use super::keys::{Keys, NoKey};
use crate::sticky_calls::{ApiKey, Attempts, Call, Client, EndAnswer, EndRequest, Error, StartRequest, Started};

/// The API, the key to it, and what is known of its health.
pub struct Api {
    client: Client,
    /// Where the key comes from.
    pub keys: Keys,
    /// `None` if it is switched off.
    breaker: Option<CircuitBreaker>,
    /// How long a caller waits. Batches wait longer.
    flow_budget: Duration,
}

impl From<NoKey> for Error {
    fn from(NoKey { reason, detail }: NoKey) -> Self {
        Self::NoKey { reason, detail }
    }
}

impl Api {
    /// Asks with `client`, and with the key that `keys` gives; with a `breaker`, not while that is open. An answer that took
    /// longer than `flow_budget` does not close it.
    pub fn new(client: Client, keys: Keys, breaker: Option<CircuitBreaker>, flow_budget: Duration) -> Self {
        Self { client, keys, breaker, flow_budget }
    }

    /// Opens the connection that the first call will use, before `deadline`.
    pub async fn open_first_connection(&self, deadline: Instant) {
        self.client.open_first_connection(deadline).await;
    }

    /// Asks who is calling, and is done before `deadline`: at once if the circuit breaker is open.
    pub async fn start_call(&self, request: &StartRequest, deadline: Instant) -> Call<Started> {
        self.unless_open(self.ask(deadline, async |key| self.client.start_call(request, key, deadline).await)).await
    }

    /// Saves what happened, and is done before `deadline`: at once if the circuit breaker is open.
    pub async fn end_call(&self, request: &EndRequest, deadline: Instant) -> Call<EndAnswer> {
        self.unless_open(self.ask(deadline, async |key| self.client.end_call(request, key, deadline).await)).await
    }

    /// The same, whether the circuit breaker is open or not.
    pub async fn end_call_regardless(&self, request: &EndRequest, deadline: Instant) -> Call<EndAnswer> {
        let call = self.ask(deadline, async |key| self.client.end_call(request, key, deadline).await).await;
        // That it failed tells little: what is sent again has failed before, and may be its own cause.
        if let (Some(breaker), Verdict::Up) = (&self.breaker, self.verdict(&call)) {
            breaker.answered();
        }
        call
    }

    /// Lets the circuit breaker decide whether to ask, and learn from the answer.
    async fn unless_open<T>(&self, ask: impl Future<Output = Call<T>>) -> Call<T> {
        let Some(breaker) = &self.breaker else { return ask.await };
        let Some(admission) = breaker.admit() else {
            return Call { result: Err(Error::CircuitOpen), attempts: Attempts::default() };
        };
        let call = ask.await;
        admission.learn(self.verdict(&call));
        call
    }

    /// Asks, and if the API refuses the key asks once more with another one, if there is one by now.
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

    /// What a call tells of the API's health. One without an attempt, for want of time or of a key, tells nothing; nor does
    /// an answer for which no caller would have waited.
    fn verdict<T>(&self, call: &Call<T>) -> Verdict {
        match &call.result {
            _ if call.attempts.count == 0 => Verdict::Unknown,
            Err(error) if error.is_an_outage() => Verdict::Down,
            _ if call.attempts.latency > self.flow_budget => Verdict::Unknown,
            _ => Verdict::Up,
        }
    }
}
