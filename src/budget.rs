//! How much time an invocation may take, and the shares in it.
//!
//! Connect's block waits 3 s unless its author changed that, and the caller hears silence meanwhile. The budget counts
//! from the event's arrival and holds everything: connecting, the retry, waits, the answer.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// Kept of the time that Lambda leaves, for handing the answer over.
const RESERVE_FOR_ANSWERING: Duration = Duration::from_millis(200);

/// The longest that a batch may take, a minute being the save function's time-out: summaries from the outbox, or contact
/// records. No caller waits for it.
const BATCH: Duration = Duration::from_secs(55);

/// What is kept of a save's budget for the outbox, after the API was tried; at most half.
pub const OUTBOX: Duration = Duration::from_millis(500);

/// A share that is too short for the outbox to answer in.
pub const LEAST_FOR_THE_OUTBOX: Duration = Duration::from_millis(50);

/// What the table may cost a caller who is identified, looking for an answer and keeping one together; what it may cost a
/// save to look at it beforehand; and to write into it afterwards.
pub const TABLE: Duration = Duration::from_millis(150);

/// What reading a known key of the API's again may cost a call.
pub const KEY_REFRESH: Duration = Duration::from_millis(300);

/// What a call that waits for its first key keeps for the API; at most half of what it has.
pub const LEFT_FOR_THE_API: Duration = Duration::from_millis(500);

/// How much longer than the work's own deadline an invocation waits for the work, so that a summary that was delivered or
/// queued at the last moment is not taken for one that was lost.
pub const GRACE: Duration = Duration::from_millis(20);

/// The deadlines of a save.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SaveDeadlines {
    /// The API must have answered.
    pub api: Instant,
    /// How much longer a second request may take, which words need that come after the end of their call.
    pub second_request: Duration,
    /// Everything must be done.
    pub all: Instant,
}

impl SaveDeadlines {
    /// Those of a save that a flow waits for until `deadline`, and that keeps `share` for what comes after the API.
    pub fn before(deadline: Instant, share: Duration) -> Self {
        let left = deadline.saturating_duration_since(Instant::now());
        Self { api: deadline - share.min(left / 2), second_request: Duration::ZERO, all: deadline }
    }
}

/// What an invocation may still spend.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    arrived: Instant,
    deadline: Instant,
}

impl Budget {
    /// The budget of an event that a flow waits for: `limit`, cut to what Lambda leaves less a reserve for answering.
    ///
    /// `lambda_leaves` is [`time_left`]'s answer at the time of arrival; `None` means that Lambda's deadline is unknown.
    pub fn of_a_flow(arrived: Instant, limit: Duration, lambda_leaves: Option<Duration>) -> Self {
        let cut = lambda_leaves.map_or(limit, |left| limit.min(left.saturating_sub(RESERVE_FOR_ANSWERING)));
        Self { arrived, deadline: arrived + cut }
    }

    /// The budget of a batch.
    pub fn of_a_batch(arrived: Instant, lambda_leaves: Option<Duration>) -> Self {
        Self::of_a_flow(arrived, BATCH, lambda_leaves)
    }

    /// When the work must be done.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// What is left of it.
    pub fn remaining(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
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
        assert_eq!(left(Budget::of_a_flow(Instant::now(), FLOW, Some(Duration::from_secs(5)))), FLOW);
        assert_eq!(left(Budget::of_a_flow(Instant::now(), FLOW, None)), FLOW);
    }

    #[tokio::test(start_paused = true)]
    async fn a_function_that_ends_sooner_cuts_the_budget_and_keeps_a_reserve() {
        assert_eq!(
            left(Budget::of_a_flow(Instant::now(), FLOW, Some(Duration::from_secs(1)))),
            Duration::from_millis(800)
        );
        assert_eq!(left(Budget::of_a_flow(Instant::now(), FLOW, Some(Duration::from_millis(50)))), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_save_keeps_half_a_second_for_the_outbox() {
        let now = Instant::now();
        let save = SaveDeadlines::before(now + FLOW, OUTBOX);
        assert_eq!(save.api - now, Duration::from_millis(2_000));
        assert_eq!(save.all - now, FLOW);
    }

    #[tokio::test(start_paused = true)]
    async fn a_save_with_little_time_shares_it_between_the_api_and_the_outbox() {
        let now = Instant::now();
        let save = SaveDeadlines::before(now + Duration::from_millis(300), OUTBOX);
        assert_eq!(save.api - now, Duration::from_millis(150));
        assert_eq!(
            SaveDeadlines::before(now, OUTBOX),
            SaveDeadlines { api: now, second_request: Duration::ZERO, all: now }
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_batch_may_take_as_long_as_the_save_function_or_lambda_leaves() {
        assert_eq!(left(Budget::of_a_batch(Instant::now(), Some(Duration::from_secs(60)))), Duration::from_secs(55));
        assert_eq!(
            left(Budget::of_a_batch(Instant::now(), Some(Duration::from_secs(5)))),
            Duration::from_millis(4_800)
        );
        assert_eq!(left(Budget::of_a_batch(Instant::now(), None)), Duration::from_secs(55));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_spent_counts_from_the_arrival() {
        let budget = Budget::of_a_flow(Instant::now(), FLOW, None);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(budget.spent(), Duration::from_secs(1));
        assert_eq!(budget.remaining(), Duration::from_millis(1_500));
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(budget.remaining(), Duration::ZERO);
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
