//! The circuit breaker: an API that is down is not asked for a while, so that callers do not wait for it in silence.
//!
//! Each execution environment has its own, which learns from its own calls. It opens after three failed calls in a row.
//! After a while it is half-open: one call goes through as a probe, the others still don't. If the probe is answered,
//! the circuit breaker closes. If the probe fails, it opens for twice as long.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use crate::budget;

/// How many calls in a row must fail before the API counts as down.
const FAILURES: u32 = 3;

/// What a call says about the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It answered within the time that a caller waits, even if it refused.
    Up,
    /// It did not answer in time, could not be reached, or had an error of its own.
    Down,
    /// Nothing: it was not asked, or it answered later than a caller waits.
    Unknown,
}

/// Decides whether the API is asked.
#[derive(Debug, Default)]
pub struct CircuitBreaker {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// How many calls have failed since the last answer.
    failures: u32,
    /// `Some` while it is open or half-open.
    open: Option<Open>,
}

#[derive(Clone, Copy, Debug)]
struct Open {
    length: Duration,
    until: Instant,
    /// The same by the wall clock. Whether `Instant`'s clock goes on while Lambda freezes the process is not
    /// documented.
    until_on_the_wall: SystemTime,
    /// Whether a probe is under way.
    is_probed: bool,
}

impl Open {
    fn new(length: Duration) -> Self {
        let until_on_the_wall = SystemTime::now() + length;
        Self { length, until: Instant::now() + length, until_on_the_wall, is_probed: false }
    }

    fn is_over(&self, wall: SystemTime) -> bool {
        Instant::now() >= self.until || wall >= self.until_on_the_wall
    }
}

impl CircuitBreaker {
    /// Lets a call through. Returns `None` if the API counts as down. After the call, pass its verdict to
    /// `Admission::learn`.
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

    /// Notes that the API has answered, even if the call was not let through by [`admit`](Self::admit).
    pub fn answered(&self) {
        let was = std::mem::take(&mut *self.lock());
        if was.open.is_some() {
            tracing::info!("the circuit breaker is closed: the API answers again");
        }
    }

    fn failed(&self, is_probe: bool) {
        let mut state = self.lock();
        state.failures = state.failures.saturating_add(1);
        let length = match &state.open {
            Some(open) if is_probe => (open.length * 2).min(budget::CIRCUIT_OPEN_LONGEST),
            None if state.failures >= FAILURES => budget::CIRCUIT_OPEN_FIRST,
            // Too few failures yet. Or the call began before the circuit breaker opened: then it says nothing new.
            _ => return,
        };
        state.open = Some(Open::new(length));
        let open_s = length.as_secs();
        tracing::warn!(open_s, "the circuit breaker is open: the API is not asked for {open_s} s");
    }

    fn release_probe(&self) {
        if let Some(open) = &mut self.lock().open {
            open.is_probed = false;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call that was let through. If it is dropped without a verdict, because nobody waits any more or it panicked, it
/// says nothing. If it was the probe, the next call is the probe.
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
            self.breaker.release_probe();
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
    async fn an_answered_call_resets_the_count_of_failures() {
        let breaker = CircuitBreaker::default();
        for verdict in [Verdict::Down, Verdict::Down, Verdict::Up, Verdict::Down, Verdict::Down] {
            assert!(call(&breaker, verdict));
        }
        assert!(call(&breaker, Verdict::Up));
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_did_not_ask_the_api_neither_counts_as_a_failure_nor_resets_the_count() {
        let breaker = CircuitBreaker::default();
        for verdict in [Verdict::Down, Verdict::Down, Verdict::Unknown] {
            assert!(call(&breaker, verdict));
        }
        assert!(call(&breaker, Verdict::Down), "two failures and one call that said nothing");
        assert!(!call(&breaker, Verdict::Up));
    }

    #[tokio::test(start_paused = true)]
    async fn while_it_is_half_open_one_call_is_the_probe_and_the_others_do_not_wait() {
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
    async fn after_a_probe_without_a_verdict_the_next_call_is_the_probe() {
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
    async fn a_call_from_before_it_opened_does_not_end_the_probe() {
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
    async fn an_answer_to_a_call_that_it_did_not_let_through_closes_it() {
        let breaker = open();
        breaker.answered();
        assert!(call(&breaker, Verdict::Down) && call(&breaker, Verdict::Up));
    }

    #[tokio::test(start_paused = true)]
    async fn the_wall_clock_makes_it_half_open_if_a_freeze_has_stopped_the_monotonic_clock() {
        let breaker = open();
        assert!(breaker.admit_at(SystemTime::now() + Duration::from_secs(4)).is_none());
        assert!(breaker.admit_at(SystemTime::now() + Duration::from_secs(6)).is_some());
    }
}
