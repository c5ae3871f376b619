//! How a request is waited for.

use std::time::Duration;

use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use tokio::time::{Instant, timeout, timeout_at};

use super::Error;

/// A request without an answer after this long is abandoned.
const ABANDONED_AFTER: Duration = Duration::from_secs(5);

/// Waits for a request until `deadline`, and lets it go on after that: a connection that takes longer than a caller's share
/// is there for the next call, which would otherwise begin it anew.
///
/// # Errors
///
/// How the request failed, or [`Error::Timeout`]; then it may still be carried out.
pub(super) async fn finish<T, E>(
    request: impl Future<Output = Result<T, SdkError<E, HttpResponse>>> + Send + 'static,
    deadline: Instant,
) -> Result<T, Error>
where
    T: Send + 'static,
    E: ProvideErrorMetadata + std::error::Error + Send + 'static,
{
    let request = tokio::spawn(timeout(ABANDONED_AFTER, request));
    match timeout_at(deadline, request).await? {
        Ok(answer) => Ok(answer??),
        Err(_panic) => Err(Error::InvalidResponse { detail: "a bug while AWS was asked" }),
    }
}

#[cfg(test)]
mod tests {
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
    async fn a_request_that_is_never_answered_ends_after_five_seconds() {
        let began = Instant::now();
        let request = std::future::pending::<Answer>();
        assert_eq!(finish(request, began + Duration::from_secs(60)).await, Err(Error::Timeout));
        assert_eq!(began.elapsed(), ABANDONED_AFTER);
    }
}
