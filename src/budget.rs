//! Every share of time, and how much is done at once.
//!
//! Connect's block waits 3 s unless its author changed that. The caller hears silence meanwhile. The budget starts when
//! the event arrives and includes everything: connecting, the retry, waits, the answer. No other module has a duration
//! that a caller could notice.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// How long the function's start may wait for the API's key and for its first connections. A caller may already be
/// waiting: the flow block times out after 3 s, and the budget of 2.5 s starts only after the start.
pub const WARM_UP: Duration = Duration::from_millis(400);

/// The part of Lambda's time that is reserved for returning the answer.
const RESERVE_FOR_ANSWERING: Duration = Duration::from_millis(200);

/// How long an invocation waits for its work after the deadline. So a summary that was delivered or enqueued at the
/// last moment is not reported as lost.
pub const GRACE: Duration = Duration::from_millis(20);

/// What a save reserves for the outbox, after the API was asked; at most half of its time.
pub const OUTBOX: Duration = Duration::from_millis(500);

/// The least time that the outbox is given: SQS needs as long to answer.
pub const LEAST_FOR_THE_OUTBOX: Duration = Duration::from_millis(50);

/// What the table may cost. A lookup has it once, for finding and storing an answer together. A save has it twice: for
/// reading what is known, and for writing afterwards.
pub const TABLE: Duration = Duration::from_millis(150);

/// What a batch may spend on pairing contact records with Contact Lens' summaries in the table. No caller waits for it.
pub const PAIRING: Duration = Duration::from_secs(1);

/// What a call may spend on reading the API's key again, if a key is known.
pub const KEY_REFRESH: Duration = Duration::from_millis(300);

/// What a call that waits for the first key reserves for the API; at most half of its time.
pub const LEFT_FOR_THE_API: Duration = Duration::from_millis(500);

/// How long a key that was read is used before the secret is read again.
pub const KEY_IN_USE: Duration = Duration::from_secs(300);

/// How long the last known key is used before the next read, if the secret could not be read. Else each caller would
/// wait for a store that is down.
pub const KEY_IN_USE_AFTER_A_FAILURE: Duration = Duration::from_secs(30);

/// A request to AWS is abandoned if it has no answer after this time, unless its caller waits longer.
pub const AWS_ABANDONED_AFTER: Duration = Duration::from_secs(5);

/// The longest time for connecting to the API or to AWS: DNS, TCP and TLS together.
pub const CONNECT: Duration = Duration::from_secs(1);

/// The pause before the second attempt at AWS. It doubles with each attempt, up to [`AWS_LONGEST_PAUSE`]. The SDK's
/// default of a second is longer than any share of a caller's budget.
pub const AWS_FIRST_PAUSE: Duration = Duration::from_millis(20);
/// The longest pause between two attempts at AWS.
pub const AWS_LONGEST_PAUSE: Duration = Duration::from_millis(200);

/// The pause before the API is asked again after a 5xx. The API's page about errors asks for a back-off.
pub const API_BACK_OFF: Duration = Duration::from_millis(100);

/// The least time that must be left for a second attempt: less would not bring an answer.
pub const LEAST_FOR_AN_ATTEMPT: Duration = Duration::from_millis(100);

/// How long the circuit breaker stays open the first time. With the default budget, this execution environment's
/// callers have waited 7.5 s in all before it opens.
pub const CIRCUIT_OPEN_FIRST: Duration = Duration::from_secs(5);

/// The longest time for which the circuit breaker stays open. So it takes up to that long to notice that
/// the API is up again.
pub const CIRCUIT_OPEN_LONGEST: Duration = Duration::from_secs(60);

/// The longest time for a batch; the save function's time-out is a minute. No caller waits for it.
const BATCH: Duration = Duration::from_secs(55);

/// The longest time for which one contact record waits for the API. Then it goes to the outbox.
const RECORD: Duration = Duration::from_secs(5);

/// The longest time for which one message of the outbox waits for the API. No caller waits, so a slow API gets more
/// time.
const MESSAGE: Duration = Duration::from_secs(10);

/// The part of a batch's time that is reserved for delaying retries.
const RETRY_DELAYS: Duration = Duration::from_secs(1);

/// How many items of a batch are processed at once. A function makes that many requests at once, to the API and to AWS.
pub const ITEMS_AT_ONCE: usize = 8;

/// The deadlines of a save.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SaveDeadlines {
    /// The API must have answered.
    pub api: Instant,
    /// How much longer a standalone end may take than the call's own end; zero for a flow.
    pub second_request: Duration,
    /// Everything must be done.
    pub all: Instant,
}

impl SaveDeadlines {
    /// The deadlines of a save that a flow waits for until `deadline`. It reserves `share` for what comes after the
    /// API.
    pub fn of_a_flow(deadline: Instant, share: Duration) -> Self {
        let left = deadline.saturating_duration_since(Instant::now());
        Self { api: deadline - share.min(left / 2), second_request: Duration::ZERO, all: deadline }
    }

    /// The deadlines of one record, in a batch that is half over at `halfway` and ends at `deadline`. An API that hangs
    /// must not use up the time that the outbox needs for the other records.
    pub fn of_a_record(halfway: Instant, deadline: Instant) -> Self {
        Self { api: halfway.min(Instant::now() + RECORD), second_request: RECORD, all: deadline }
    }

    /// The deadlines of one message of the outbox, in a batch that ends at `deadline`.
    pub fn of_a_message(deadline: Instant) -> Self {
        let all = deadline.checked_sub(RETRY_DELAYS).unwrap_or(deadline);
        Self { api: all.min(Instant::now() + MESSAGE), second_request: MESSAGE, all }
    }
}

/// The time of an invocation.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    arrived: Instant,
    deadline: Instant,
}

impl Budget {
    /// The budget of an event that a flow waits for: `limit`, or less if Lambda leaves less. A reserve for answering is
    /// subtracted from Lambda's time.
    ///
    /// `lambda_leaves` is what [`time_left`] returned when the event arrived; `None` means that Lambda's deadline is
    /// unknown.
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
/// `None` if the deadline is in the past: some local runtimes send the time-out itself instead of a time.
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
    async fn a_call_gets_the_whole_flow_budget_if_lambda_leaves_more() {
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
    async fn a_slow_api_has_five_seconds_for_a_record_and_no_more_than_the_first_half_of_the_batch() {
        let (began, seconds) = (Instant::now(), Duration::from_secs);
        let record = || SaveDeadlines::of_a_record(began + seconds(27), began + seconds(54));
        assert_eq!((record().api, record().all), (began + seconds(5), began + seconds(54)));
        tokio::time::advance(seconds(25)).await;
        assert_eq!((record().api, record().all), (began + seconds(27), began + seconds(54)));
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
    async fn the_time_spent_counts_from_the_arrival() {
        let budget = Budget::of_a_flow(Instant::now(), FLOW, None);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(budget.spent(), Duration::from_secs(1));
    }

    #[test]
    fn a_deadline_in_the_past_counts_as_unknown() {
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
