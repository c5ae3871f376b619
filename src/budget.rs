//! Every share of time there is, and how many things are done at once.
//!
//! Connect's block waits 3 s unless its author changed that, and the caller hears silence meanwhile. The budget counts
//! from the event's arrival and holds everything: connecting, the retry, waits, the answer. No other module has a
//! duration of its own that a caller could feel.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// How long the function's start may wait for the API's key and for its first connections. A caller may be waiting
/// behind it, whose flow block gives up 3 s after it asked, with a budget of 2.5 s still to come.
pub const WARM_UP: Duration = Duration::from_millis(400);

/// Of the time that Lambda leaves, what is reserved for handing the answer over.
const RESERVE_FOR_ANSWERING: Duration = Duration::from_millis(200);

/// How much longer than the work's own deadline an invocation waits for the work, so that a summary that was delivered or
/// enqueued at the last moment is not taken for a lost one.
pub const GRACE: Duration = Duration::from_millis(20);

/// What a save reserves for the outbox, after the API was tried; at most half of its time.
pub const OUTBOX: Duration = Duration::from_millis(500);

/// The outbox does not answer in less.
pub const LEAST_FOR_THE_OUTBOX: Duration = Duration::from_millis(50);

/// What the table may cost: a lookup, for finding and keeping an answer together; a save, for looking at what is known
/// before it, and for what it leaves afterwards.
pub const TABLE: Duration = Duration::from_millis(150);

/// What reading a known key of the API's again may cost a call.
pub const KEY_REFRESH: Duration = Duration::from_millis(300);

/// What a call that waits for its first key reserves for the API; at most half of what it has.
pub const LEFT_FOR_THE_API: Duration = Duration::from_millis(500);

/// How long a key that was read is used before the secret is read again.
pub const KEY_IN_USE: Duration = Duration::from_secs(300);

/// How long the last known key is used before the next read, if the secret could not be read: callers must not pay for a
/// store that is down, one after the other.
pub const KEY_IN_USE_AFTER_A_FAILURE: Duration = Duration::from_secs(30);

/// A request to AWS without an answer after this long is abandoned, unless somebody waits longer for it.
pub const AWS_ABANDONED_AFTER: Duration = Duration::from_secs(5);

/// The longest that connecting may take, to the API as to AWS: DNS, TCP and TLS together.
pub const CONNECT: Duration = Duration::from_secs(1);

/// The pause before the second of AWS's attempts, which doubles up to the longest. The SDK's own, a second, is longer than
/// any share of a caller's budget.
pub const AWS_FIRST_PAUSE: Duration = Duration::from_millis(20);
/// See [`AWS_FIRST_PAUSE`].
pub const AWS_LONGEST_PAUSE: Duration = Duration::from_millis(200);

/// The pause before the API is asked again after a 5xx; its error page asks for a back-off.
pub const API_BACK_OFF: Duration = Duration::from_millis(100);

/// What must be left for the second attempt, so that it has a chance to be answered.
pub const LEAST_FOR_AN_ATTEMPT: Duration = Duration::from_millis(100);

/// How long the circuit breaker stays open at first. With the default budget the callers of this execution environment have
/// waited 7.5 s in all by then.
pub const CIRCUIT_OPEN_FIRST: Duration = Duration::from_secs(5);

/// The longest that the circuit breaker stays open: for about as long an API that is back is not noticed.
pub const CIRCUIT_OPEN_LONGEST: Duration = Duration::from_secs(60);

/// The longest that a batch may take, a minute being the save function's time-out. No caller waits for it.
const BATCH: Duration = Duration::from_secs(55);

/// The longest that one contact record waits for the API, before it goes to the outbox.
const RECORD: Duration = Duration::from_secs(5);

/// The longest that one message of the outbox waits for the API. No caller waits with it, so a slow API gets its time.
const MESSAGE: Duration = Duration::from_secs(10);

/// Of a batch's time, what is reserved for delaying the retry of what could not be delivered.
const RETRY_DELAYS: Duration = Duration::from_secs(1);

/// How many items of a batch are worked on at once, which is how many requests a function makes at once to the API and to
/// AWS.
pub const ITEMS_AT_ONCE: usize = 8;

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
    /// Those of a save that a flow waits for until `deadline`, and that reserves `share` for what comes after the API.
    pub fn of_a_flow(deadline: Instant, share: Duration) -> Self {
        let left = deadline.saturating_duration_since(Instant::now());
        Self { api: deadline - share.min(left / 2), second_request: Duration::ZERO, all: deadline }
    }

    /// Those of one record in a batch that is half over at `half` and ends at `deadline`. An API that hangs must not use up
    /// what the outbox needs for all the others.
    pub fn of_a_record(half: Instant, deadline: Instant) -> Self {
        Self { api: half.min(Instant::now() + RECORD), second_request: RECORD, all: deadline }
    }

    /// Those of one message of the outbox in a batch that ends at `deadline`.
    pub fn of_a_message(deadline: Instant) -> Self {
        let all = deadline.checked_sub(RETRY_DELAYS).unwrap_or(deadline);
        Self { api: all.min(Instant::now() + MESSAGE), second_request: MESSAGE, all }
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
    async fn a_save_reserves_half_a_second_for_the_outbox() {
        let now = Instant::now();
        let save = SaveDeadlines::of_a_flow(now + FLOW, OUTBOX);
        assert_eq!(save.api - now, Duration::from_millis(2_000));
        assert_eq!(save.all - now, FLOW);
    }

    #[tokio::test(start_paused = true)]
    async fn a_save_with_little_time_shares_it_between_the_api_and_the_outbox() {
        let now = Instant::now();
        let save = SaveDeadlines::of_a_flow(now + Duration::from_millis(300), OUTBOX);
        assert_eq!(save.api - now, Duration::from_millis(150));
        assert_eq!(
            SaveDeadlines::of_a_flow(now, OUTBOX),
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
