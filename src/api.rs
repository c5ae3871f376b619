//! The Sticky Calls API as the handlers ask it: the client, with the key of the moment, behind the guard.

use std::time::Duration;

use tokio::time::Instant;

use crate::keys::{Keys, NoKey};
use crate::sticky_calls::{
    ApiKey, Call, Client, Effort, EndAnswer, EndRequest, Error, Guard, StartRequest, Started, Verdict,
};

/// The API, the key to it, and what is known of its health.
pub struct Api {
    client: Client,
    /// Where the key comes from.
    pub keys: Keys,
    /// `None` where it is switched off.
    guard: Option<Guard>,
    /// How long a caller waits. Batches wait longer.
    patience: Duration,
}

impl From<NoKey> for Error {
    fn from(NoKey { reason, detail }: NoKey) -> Self {
        Self::NoKey { reason, detail }
    }
}

impl Api {
    /// Asks with `client`, and with the key that `keys` gives; with a `guard`, not while the API is down. An answer that
    /// took longer than `patience` does not show that it is back.
    pub fn new(client: Client, keys: Keys, guard: Option<Guard>, patience: Duration) -> Self {
        Self { client, keys, guard, patience }
    }

    /// Opens the connection that the first call will use, before `deadline`.
    pub async fn open_first_connection(&self, deadline: Instant) {
        self.client.open_first_connection(deadline).await;
    }

    /// Asks who is calling, and is done before `deadline`: at once where the API is down.
    pub async fn start_call(&self, request: &StartRequest, deadline: Instant) -> Call<Started> {
        self.where_it_is_up(self.ask(deadline, async |key| self.client.start_call(request, key, deadline).await)).await
    }

    /// Saves what happened, and is done before `deadline`: at once where the API is down.
    pub async fn end_call(&self, request: &EndRequest, deadline: Instant) -> Call<EndAnswer> {
        self.where_it_is_up(self.ask(deadline, async |key| self.client.end_call(request, key, deadline).await)).await
    }

    /// The same, whether the API is down or not.
    pub async fn end_call_regardless(&self, request: &EndRequest, deadline: Instant) -> Call<EndAnswer> {
        let call = self.ask(deadline, async |key| self.client.end_call(request, key, deadline).await).await;
        // That it failed tells little: what is sent again has failed before, and the fault may be its own.
        if let (Some(guard), Verdict::Up) = (&self.guard, self.verdict(&call)) {
            guard.answered();
        }
        call
    }

    /// Lets the guard decide whether to ask, and learn from the answer.
    async fn where_it_is_up<T>(&self, ask: impl Future<Output = Call<T>>) -> Call<T> {
        let Some(guard) = &self.guard else { return ask.await };
        let Some(admission) = guard.admit() else {
            return Call { result: Err(Error::CircuitOpen), effort: Effort::default() };
        };
        let call = ask.await;
        admission.learn(self.verdict(&call));
        call
    }

    /// Asks, and where the API refuses the key asks once more with another one, where there is another by now.
    async fn ask<T>(&self, deadline: Instant, ask: impl AsyncFn(&ApiKey) -> Call<T>) -> Call<T> {
        let key = match self.keys.current(deadline).await {
            Ok(key) => key,
            Err(error) => return Call { result: Err(error.into()), effort: Effort::default() },
        };
        let began = Instant::now();
        let refused = match ask(&key).await {
            Call { result: Err(error), effort } if error.is_about_the_key() => Call { result: Err(error), effort },
            call => return call,
        };
        let Some(key) = self.keys.after_refusal(&key, began, deadline).await else { return refused };
        tracing::info!("the API refused the key, and the secret holds another one: asking again");
        let call = ask(&key).await;
        Call { effort: refused.effort + call.effort, ..call }
    }

    /// What a call tells of the API's health. One without an attempt, for want of time or of a key, tells nothing; nor does
    /// an answer for which no caller would have waited.
    fn verdict<T>(&self, call: &Call<T>) -> Verdict {
        match &call.result {
            _ if call.effort.attempts == 0 => Verdict::Unknown,
            Err(error) if error.is_an_outage() => Verdict::Down,
            _ if call.effort.latency > self.patience => Verdict::Unknown,
            _ => Verdict::Up,
        }
    }
}
