//! The circuit breaker: an API that is down is not asked for a while, so that callers stop paying for it with silence.
//!
//! Each execution environment has its own and learns from its own calls. After a few that failed in a row it opens. When
//! its time is over it is half-open: one call goes through as a probe while the others still don't. A probe that is
//! answered closes it; one that fails opens it for twice as long.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use crate::budget;

/// How many calls in a row must fail before the API counts as down.
const FAILURES: u32 = 3;

/// What a call told of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It answered while a caller would still have waited, if only to refuse.
    Up,
    /// It did not answer in time, could not be reached, or failed itself.
    Down,
    /// Nothing: it was not asked, or its answer came later than a caller waits.
    Unknown,
}

/// Decides whether the API is asked.
#[derive(Debug, Default)]
pub struct CircuitBreaker {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Calls that have failed since the last one that did not.
    failures: u32,
    /// There while it is open or half-open.
    open: Option<Open>,
}

#[derive(Clone, Copy, Debug)]
struct Open {
    length: Duration,
    until: Instant,
    /// The same by the wall clock: whether the other one goes on while Lambda has frozen the process is not documented.
    until_on_the_wall: SystemTime,
    /// Whether a probe is under way.
    is_probed: bool,
}

impl Open {
    fn during(length: Duration) -> Self {
        let until_on_the_wall = SystemTime::now() + length;
        Self { length, until: Instant::now() + length, until_on_the_wall, is_probed: false }
    }

    fn is_over(&self, wall: SystemTime) -> bool {
        Instant::now() >= self.until || wall >= self.until_on_the_wall
    }
}

impl CircuitBreaker {
    /// Lets a call through, or not: `None` means that the API counts as down. What the call tells is to be handed to
    /// [`Admission::learn`].
    pub fn admit(&self) -> Option<Admission<'_>> {
        self.admit_at(SystemTime::now())
    }

    fn admit_at(&self, wall: SystemTime) -> Option<Admission<'_>> {
        let mut state = self.lock();
        if let Some(open) = &mut state.open {
            if open.is_probed || !open.is_over(wall) {
                return None;
            }
            open.is_probed = true;
        }
        Some(Admission { breaker: self, is_probe: state.open.is_some() })
    }

    /// The API answered, however it came to be asked.
    pub fn answered(&self) {
        let was = std::mem::take(&mut *self.lock());
        if was.open.is_some() {
            tracing::info!("the circuit breaker is closed: the API answers again");
        }
    }

    fn failed(&self, told_by_a_probe: bool) {
        let mut state = self.lock();
        state.failures = state.failures.saturating_add(1);
        let length = match &state.open {
            Some(open) if told_by_a_probe => (open.length * 2).min(budget::CIRCUIT_OPEN_LONGEST),
            None if state.failures >= FAILURES => budget::CIRCUIT_OPEN_FIRST,
            // Too few yet; or it was under way when the breaker opened, and tells nothing new.
            _ => return,
        };
        state.open = Some(Open::during(length));
        let open_s = length.as_secs();
        tracing::warn!(open_s, "the circuit breaker is open: the API is not asked for {open_s} s");
    }

    fn give_probe_back(&self) {
        if let Some(open) = &mut self.lock().open {
            open.is_probed = false;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call that was let through. Dropped without a word, because somebody stopped waiting or it panicked, it tells nothing,
/// and the next call is let through in its stead.
#[derive(Debug)]
pub struct Admission<'a> {
    breaker: &'a CircuitBreaker,
    is_probe: bool,
}

impl Admission<'_> {
    /// Learns from the call.
    pub fn learn(self, verdict: Verdict) {
        match verdict {
            Verdict::Up => self.breaker.answered(),
            Verdict::Down => self.breaker.failed(self.is_probe),
            Verdict::Unknown => {}
        }
    }
}

impl Drop for Admission<'_> {
    fn drop(&mut self) {
        if self.is_probe {
            self.breaker.give_probe_back();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(breaker: &CircuitBreaker, verdict: Verdict) -> bool {
        breaker.admit().map(|admission| admission.learn(verdict)).is_some()
    }

    /// A breaker that has just opened.
    fn open() -> CircuitBreaker {
        let breaker = CircuitBreaker::default();
        for _ in 0..FAILURES {
            assert!(call(&breaker, Verdict::Down));
        }
        breaker
    }

    async fn pass(seconds: u64) {
        tokio::time::advance(Duration::from_secs(seconds)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn after_three_failed_calls_in_a_row_callers_stop_waiting_for_the_api() {
        let breaker = CircuitBreaker::default();
        assert!(call(&breaker, Verdict::Down));
        assert!(call(&breaker, Verdict::Down));
        assert!(call(&breaker, Verdict::Down));
        assert!(!call(&breaker, Verdict::Up));
        pass(4).await;
        assert!(!call(&breaker, Verdict::Up));
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_is_answered_in_between_starts_the_count_over() {
        let breaker = CircuitBreaker::default();
        for verdict in [Verdict::Down, Verdict::Down, Verdict::Up, Verdict::Down, Verdict::Down] {
            assert!(call(&breaker, verdict));
        }
        assert!(call(&breaker, Verdict::Up));
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_never_asked_tells_nothing() {
        let breaker = CircuitBreaker::default();
        for verdict in [Verdict::Down, Verdict::Down, Verdict::Unknown] {
            assert!(call(&breaker, verdict));
        }
        assert!(call(&breaker, Verdict::Down), "two failures and one call that told nothing");
        assert!(!call(&breaker, Verdict::Up));
    }

    #[tokio::test(start_paused = true)]
    async fn half_open_one_caller_probes_while_the_others_still_do_not_wait() {
        let breaker = open();
        pass(5).await;
        let probe = breaker.admit().unwrap();
        assert!(breaker.admit().is_none());
        probe.learn(Verdict::Up);
        assert!(breaker.admit().is_some() && breaker.admit().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn each_failed_probe_doubles_the_time_up_to_a_minute() {
        let breaker = open();
        for seconds in [5, 10, 20, 40, 60, 60] {
            pass(seconds - 1).await;
            assert!(breaker.admit().is_none(), "{seconds} s are not over");
            pass(1).await;
            assert!(call(&breaker, Verdict::Down), "{seconds} s are over");
        }
        pass(60).await;
        assert!(call(&breaker, Verdict::Up));
        assert!(call(&breaker, Verdict::Down) && call(&breaker, Verdict::Down), "it counts from the beginning again");
        assert!(call(&breaker, Verdict::Down));
        pass(5).await;
        assert!(call(&breaker, Verdict::Up), "it is open for as long as the first time again");
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_was_abandoned_or_never_asked_leaves_its_place_to_the_next_call() {
        let breaker = open();
        pass(5).await;
        drop(breaker.admit().unwrap());
        assert!(call(&breaker, Verdict::Unknown));
        assert!(call(&breaker, Verdict::Up));
        assert!(breaker.admit().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn calls_that_were_under_way_when_it_opened_do_not_keep_it_open_longer() {
        let breaker = CircuitBreaker::default();
        let under_way: Vec<_> = (0..8).map(|_| breaker.admit().unwrap()).collect();
        for admission in under_way {
            admission.learn(Verdict::Down);
        }
        pass(5).await;
        assert!(call(&breaker, Verdict::Up));
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_is_not_the_probe_does_not_give_its_place_away() {
        let breaker = CircuitBreaker::default();
        let (late, later) = (breaker.admit().unwrap(), breaker.admit().unwrap());
        for _ in 0..FAILURES {
            call(&breaker, Verdict::Down);
        }
        pass(5).await;
        let probe = breaker.admit().unwrap();
        drop(late);
        later.learn(Verdict::Unknown);
        assert!(breaker.admit().is_none());
        drop(probe);
        assert!(breaker.admit().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_to_whoever_asked_all_the_same_closes_it() {
        let breaker = open();
        breaker.answered();
        assert!(call(&breaker, Verdict::Down) && call(&breaker, Verdict::Up));
    }

    #[tokio::test(start_paused = true)]
    async fn the_wall_clock_makes_it_half_open_if_a_freeze_has_stopped_the_other_clock() {
        let breaker = open();
        assert!(breaker.admit_at(SystemTime::now() + Duration::from_secs(4)).is_none());
        assert!(breaker.admit_at(SystemTime::now() + Duration::from_secs(6)).is_some());
    }
}
