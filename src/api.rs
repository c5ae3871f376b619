//! The Sticky Calls API as the handlers ask it: the client, with the key of the moment.

use tokio::time::Instant;

use crate::keys::Keys;
use crate::sticky_calls::{ApiKey, Call, Client, Effort, EndAnswer, EndRequest, Error, StartRequest, Started};

/// The API and the key to it.
pub struct Api {
    client: Client,
    /// Where the key comes from.
    pub keys: Keys,
}

impl Api {
    /// Asks with `client`, and with the key that `keys` gives.
    pub fn new(client: Client, keys: Keys) -> Self {
        Self { client, keys }
    }

    /// Opens the connection that the first call will use, before `deadline`.
    pub async fn open_first_connection(&self, deadline: Instant) {
        self.client.open_first_connection(deadline).await;
    }

    /// Asks who is calling, and is done before `deadline`.
    pub async fn start_call(&self, request: &StartRequest, deadline: Instant) -> Call<Started> {
        self.ask(deadline, async |key| self.client.start_call(request, key, deadline).await).await
    }

    /// Saves what happened, and is done before `deadline`.
    pub async fn end_call(&self, request: &EndRequest, deadline: Instant) -> Call<EndAnswer> {
        self.ask(deadline, async |key| self.client.end_call(request, key, deadline).await).await
    }

    /// Asks, and where the API refuses the key asks once more with another one, where there is another by now.
    async fn ask<T>(&self, deadline: Instant, ask: impl AsyncFn(&ApiKey) -> Call<T>) -> Call<T> {
        let Some(key) = self.keys.current(deadline).await else {
            return Call { result: Err(Error::NoKey), effort: Effort::default() };
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
}
