//! How much time one flow invocation may take.
//!
//! Connect's block waits 3 s unless its author changed that, and the caller hears silence meanwhile. The budget counts
//! from the event's arrival and holds everything: connecting, the retry, waits, the answer.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// Kept of the time that Lambda leaves, for handing the answer over.
const RESERVE_FOR_ANSWERING: Duration = Duration::from_millis(200);

/// What an invocation may still spend.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    arrived: Instant,
    deadline: Instant,
}

impl Budget {
    /// The budget of an event that arrives now: `limit`, cut to what Lambda leaves less a reserve for answering.
    ///
    /// `lambda_leaves` is [`time_left`]'s answer; `None` means that Lambda's deadline is unknown.
    pub fn start(limit: Duration, lambda_leaves: Option<Duration>) -> Self {
        let arrived = Instant::now();
        let cut = lambda_leaves.map_or(limit, |left| limit.min(left.saturating_sub(RESERVE_FOR_ANSWERING)));
        Self { arrived, deadline: arrived + cut }
    }

    /// When the work must be done.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// The time since the event arrived.
    pub fn spent(&self) -> Duration {
        self.arrived.elapsed()
    }
}

/// The time until the deadline in an invocation's `Lambda-Runtime-Deadline-Ms`, in milliseconds since 1970.
///
/// A deadline in the past means "unknown": some local runtimes send one counted from 1970 itself.
pub fn time_left(deadline_ms: u64, now: SystemTime) -> Option<Duration> {
    let deadline = UNIX_EPOCH.checked_add(Duration::from_millis(deadline_ms))?;
    deadline.duration_since(now).ok().filter(|left| !left.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLOW: Duration = Duration::from_millis(2_500);

    fn left(budget: Budget) -> Duration {
        budget.deadline() - Instant::now()
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_gets_the_whole_flow_budget_where_lambda_leaves_more() {
        assert_eq!(left(Budget::start(FLOW, Some(Duration::from_secs(5)))), FLOW);
        assert_eq!(left(Budget::start(FLOW, None)), FLOW);
    }

    #[tokio::test(start_paused = true)]
    async fn a_function_that_ends_sooner_cuts_the_budget_and_keeps_a_reserve() {
        assert_eq!(left(Budget::start(FLOW, Some(Duration::from_secs(1)))), Duration::from_millis(800));
        assert_eq!(left(Budget::start(FLOW, Some(Duration::from_millis(50)))), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_spent_counts_from_the_arrival() {
        let budget = Budget::start(FLOW, None);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(budget.spent(), Duration::from_secs(1));
        assert_eq!(left(budget), Duration::from_millis(1_500));
    }

    #[test]
    fn a_deadline_in_the_past_means_unknown() {
        let now = UNIX_EPOCH + Duration::from_millis(1_000_000);
        assert_eq!(time_left(1_005_000, now), Some(Duration::from_secs(5)));
        assert_eq!(time_left(600_000, now), None);
        assert_eq!(time_left(1_000_000, now), None);
        assert_eq!(time_left(0, now), None);
    }

    #[test]
    fn a_deadline_in_the_far_future_does_no_harm() {
        assert!(time_left(u64::MAX, UNIX_EPOCH).is_none_or(|left| left > FLOW));
    }
}
