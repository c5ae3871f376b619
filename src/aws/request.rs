//! Waits for requests to AWS.

use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};

use super::Error;
use crate::budget;

/// A request that is under way. It goes on even if nobody waits any more: a connection that takes longer than one
/// caller waits is ready for the next call, which would otherwise have to start again.
pub struct Pending<T>(JoinHandle<Result<T, Error>>);

impl<T: Send + 'static> Pending<T> {
    /// Starts a request. Nobody waits for it longer than `deadline`.
    pub(super) fn start<E>(
        request: impl Future<Output = Result<T, SdkError<E, HttpResponse>>> + Send + 'static,
        deadline: Instant,
    ) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + Send + 'static,
    {
        let longest = budget::AWS_ABANDONED_AFTER.max(deadline.saturating_duration_since(Instant::now()));
        Self(tokio::spawn(async move { Ok(timeout(longest, request).await??) }))
    }

    /// Waits for the request until `deadline`. Returns `None` if it is still under way then.
    pub async fn wait(&mut self, deadline: Instant) -> Option<Result<T, Error>> {
        let panicked = |_| Err(Error::InvalidResponse { detail: "a bug while AWS was asked" });
        Some(timeout_at(deadline, &mut self.0).await.ok()?.unwrap_or_else(panicked))
    }
}

/// Waits for a request until `deadline`, and lets it go on after that.
///
/// # Errors
///
/// How the request failed, or [`Error::Timeout`]. After a time-out it may still be carried out.
pub(super) async fn finish<T, E>(
    request: impl Future<Output = Result<T, SdkError<E, HttpResponse>>> + Send + 'static,
    deadline: Instant,
) -> Result<T, Error>
where
    T: Send + 'static,
    E: ProvideErrorMetadata + std::error::Error + Send + 'static,
{
    Pending::start(request, deadline).wait(deadline).await.unwrap_or(Err(Error::Timeout))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use aws_sdk_sqs::operation::send_message::SendMessageError;
    use tokio::time::sleep;

    use super::*;

    type Answer = Result<(), SdkError<SendMessageError, HttpResponse>>;

    #[tokio::test(start_paused = true)]
    async fn a_request_that_takes_longer_than_its_caller_waits_is_carried_out_all_the_same() {
        let done = Arc::new(AtomicBool::default());
        let shared = Arc::clone(&done);
        let request = async move {
            sleep(Duration::from_millis(700)).await;
            shared.store(true, Ordering::Relaxed);
            Answer::Ok(())
        };
        let began = Instant::now();
        assert_eq!(finish(request, began + Duration::from_millis(150)).await, Err(Error::Timeout));
        assert_eq!(began.elapsed(), Duration::from_millis(150));
        sleep(Duration::from_millis(600)).await;
        assert!(done.load(Ordering::Relaxed));
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_without_an_answer_is_abandoned_in_the_end() {
        let began = Instant::now();
        let mut pending = Pending::start(std::future::pending::<Answer>(), began);
        assert_eq!(pending.wait(began).await, None);
        assert_eq!(pending.wait(began + Duration::from_secs(60)).await, Some(Err(Error::Timeout)));
        assert_eq!(began.elapsed(), budget::AWS_ABANDONED_AFTER);
        let patient = began + Duration::from_secs(60);
        assert_eq!(finish(std::future::pending::<Answer>(), patient).await, Err(Error::Timeout));
        assert_eq!(Instant::now(), patient, "somebody waited longer");
    }
}
