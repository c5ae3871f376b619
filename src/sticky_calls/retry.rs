//! Which failures are retried, and when.

use std::time::{Duration, SystemTime};

use jiff::fmt::rfc2822::DateTimeParser;
use reqwest::header::HeaderValue;
use tokio::time::Instant;

use super::Error;
use crate::budget;
use crate::vocabulary::Reason;

/// The one retry of a call, before its deadline.
#[derive(Debug)]
pub(super) struct Retry {
    deadline: Instant,
    left: u32,
}

impl Retry {
    pub(super) fn once_before(deadline: Instant) -> Self {
        Self { deadline, left: 1 }
    }

    /// How long to wait before the retry after `error`. Returns `None` if there is no retry.
    ///
    /// - A connection that failed or broke is retried at once.
    /// - A 5xx is retried after the wait that it asks for if that fits, else after [`budget::API_BACK_OFF`].
    /// - A 429 is retried only if the wait that it asks for fits.
    /// - A time-out is not retried: it has used up the caller's time. Nor is any other failure: the answer would be the
    ///   same.
    pub(super) fn wait_after(&mut self, error: &Error) -> Option<Duration> {
        let asked = match error {
            Error::Status { retry_after, .. } => *retry_after,
            _ => None,
        };
        let wait = match error.reason() {
            Reason::Network => Duration::ZERO,
            Reason::ServerError => asked.filter(|wait| self.leaves_time_after(*wait)).unwrap_or(budget::API_BACK_OFF),
            Reason::RateLimited => asked?,
            _ => return None,
        };
        self.left = self.left.checked_sub(1)?;
        self.leaves_time_after(wait).then_some(wait)
    }

    /// Whether an attempt fits after `wait`. Without a wait, any time left is enough. After a wait there must be enough
    /// time for an answer.
    fn leaves_time_after(&self, wait: Duration) -> bool {
        let least = if wait.is_zero() { Duration::ZERO } else { budget::LEAST_FOR_AN_ATTEMPT };
        let next = wait.checked_add(least).and_then(|time| Instant::now().checked_add(time));
        next.is_some_and(|next| next <= self.deadline)
    }
}

/// Reads `Retry-After`: seconds or a date ([RFC 9110, section
/// 10.2.3](https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3)). Returns `None` if it is neither.
pub(super) fn retry_after(header: &HeaderValue, now: SystemTime) -> Option<Duration> {
    let text = header.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = DateTimeParser::new().parse_timestamp(text).ok()?;
    Some(SystemTime::from(date).duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use reqwest::StatusCode;

    use super::*;

    fn status(status: u16, retry_after: Option<u64>) -> Error {
        Error::Status {
            status: StatusCode::from_u16(status).unwrap(),
            retry_after: retry_after.map(Duration::from_secs),
        }
    }

    fn wait(error: &Error, left: Duration) -> Option<Duration> {
        Retry::once_before(Instant::now() + left).wait_after(error)
    }

    const PLENTY: Duration = Duration::from_millis(2_500);

    #[tokio::test(start_paused = true)]
    async fn a_broken_connection_is_retried_at_once_and_a_5xx_after_a_pause() {
        let broken = Error::Network { detail: "Connection reset by peer".to_owned() };
        assert_eq!(wait(&broken, PLENTY), Some(Duration::ZERO));
        for code in [500, 502, 503, 504, 599] {
            assert_eq!(wait(&status(code, None), PLENTY), Some(budget::API_BACK_OFF), "{code}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_429_is_retried_only_if_its_retry_after_fits() {
        assert_eq!(wait(&status(429, Some(0)), PLENTY), Some(Duration::ZERO));
        assert_eq!(wait(&status(429, Some(2)), PLENTY), Some(Duration::from_secs(2)));
        assert_eq!(wait(&status(429, Some(3)), PLENTY), None);
        assert_eq!(wait(&status(429, Some(u64::MAX)), PLENTY), None);
        assert_eq!(wait(&status(429, None), PLENTY), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_5xx_is_retried_after_its_retry_after_if_that_fits() {
        assert_eq!(wait(&status(503, Some(1)), PLENTY), Some(Duration::from_secs(1)));
        assert_eq!(wait(&status(503, Some(30)), PLENTY), Some(budget::API_BACK_OFF));
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_that_a_retry_would_only_repeat_is_not_retried() {
        let invalid = Error::InvalidResponse { detail: "not a JSON object" };
        for error in [Error::Timeout, invalid] {
            assert_eq!(wait(&error, PLENTY), None);
        }
        for code in [400, 401, 402, 403, 404, 409, 413] {
            assert_eq!(wait(&status(code, Some(0)), PLENTY), None, "{code}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn there_is_one_retry_and_no_retry_if_time_is_short() {
        let mut retry = Retry::once_before(Instant::now() + PLENTY);
        assert_eq!(retry.wait_after(&status(500, None)), Some(budget::API_BACK_OFF));
        assert_eq!(retry.wait_after(&status(500, None)), None);
        let broken = Error::Network { detail: "Connection reset by peer".to_owned() };
        assert_eq!(wait(&broken, Duration::from_millis(1)), Some(Duration::ZERO));
        assert_eq!(wait(&status(500, None), Duration::from_millis(199)), None);
        assert_eq!(wait(&status(500, None), Duration::from_millis(200)), Some(budget::API_BACK_OFF));
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        let read = |text: &str| retry_after(&HeaderValue::from_str(text).unwrap(), now);
        assert_eq!(read("7"), Some(Duration::from_secs(7)));
        // 784111777 is the date in RFC 9110's own example.
        assert_eq!(read("Sun, 06 Nov 1994 08:49:39 GMT"), Some(Duration::from_secs(2)));
        assert_eq!(read("Sun, 06 Nov 1994 08:49:00 GMT"), Some(Duration::ZERO));
        for text in ["", "soon", "-1", "1.5"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
