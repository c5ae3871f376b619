//! The connection that is opened while the function starts, and waits for the first call.
//!
//! Lambda gives a function more CPU while it starts than afterwards, and no caller is on the line yet: the best time
//! for DNS, TCP and the TLS handshake. `reqwest` has no method to connect without sending anything. Any request would
//! reach the API, perhaps as an error in its log or a credit on the bill. So one client fails on purpose: its connector
//! stores the finished connection here instead of returning it. The other client's connector takes it from here for the
//! first call.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Instant;
use tower::util::BoxCloneSyncService;
use tower::{BoxError, Layer, Service};

/// A place for one connection. It is not used once it is older than `max_age`.
///
/// `C` is `reqwest`'s type of a connection, which is private.
pub(super) struct FirstConnection<C> {
    kept: Arc<Mutex<Option<(C, Instant)>>>,
    max_age: Duration,
}

impl<C> FirstConnection<C> {
    pub(super) fn new(max_age: Duration) -> Self {
        Self { kept: Arc::default(), max_age }
    }

    /// For the client that opens the connection and does not get it.
    pub(super) fn keeper(&self) -> ConnectorLayer<C> {
        ConnectorLayer { first: self.clone(), role: Role::Keep }
    }

    /// For the client that makes the calls.
    pub(super) fn taker(&self) -> ConnectorLayer<C> {
        ConnectorLayer { first: self.clone(), role: Role::Take }
    }

    fn keep(&self, connection: C) {
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some((connection, Instant::now()));
    }

    fn take(&self) -> Option<C> {
        let (connection, since) = self.kept.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        (since.elapsed() < self.max_age).then_some(connection)
    }
}

// Not derived: a derive would require `C: Clone`.
impl<C> Clone for FirstConnection<C> {
    fn clone(&self) -> Self {
        Self { kept: Arc::clone(&self.kept), max_age: self.max_age }
    }
}

#[derive(Clone, Copy)]
enum Role {
    Keep,
    Take,
}

/// Puts a [`Connector`] around the connector of a client.
pub(super) struct ConnectorLayer<C> {
    first: FirstConnection<C>,
    role: Role,
}

impl<C> Clone for ConnectorLayer<C> {
    fn clone(&self) -> Self {
        Self { first: self.first.clone(), role: self.role }
    }
}

impl<R, C> Layer<BoxCloneSyncService<R, C, BoxError>> for ConnectorLayer<C> {
    type Service = Connector<R, C>;

    fn layer(&self, inner: BoxCloneSyncService<R, C, BoxError>) -> Connector<R, C> {
        Connector { inner, first: self.first.clone(), role: self.role }
    }
}

/// A connector that stores the connection it opens, or takes the stored one.
pub(super) struct Connector<R, C> {
    inner: BoxCloneSyncService<R, C, BoxError>,
    first: FirstConnection<C>,
    role: Role,
}

impl<R, C> Clone for Connector<R, C> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), first: self.first.clone(), role: self.role }
    }
}

impl<R, C: Send + 'static> Service<R> for Connector<R, C> {
    type Response = C;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<C, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, target: R) -> Self::Future {
        match self.role {
            Role::Keep => {
                let connecting = self.inner.call(target);
                let first = self.first.clone();
                Box::pin(async move {
                    first.keep(connecting.await?);
                    Err("the connection is kept for the first call".into())
                })
            }
            Role::Take => match self.first.take() {
                Some(connection) => Box::pin(std::future::ready(Ok(connection))),
                None => Box::pin(self.inner.call(target)),
            },
        }
    }
}
