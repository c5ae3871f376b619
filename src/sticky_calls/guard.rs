//! The guard: an API that is down is not asked for a while, so that callers stop paying for it with silence.
//!
//! Each execution environment has its own and learns from its own calls. After a few that failed in a row it pauses; when
//! the pause is over, one call goes through as a probe while the others still don't. A probe that is answered ends it, one
//! that is not makes the next pause twice as long.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

/// How many calls in a row must fail before the API counts as down.
const FAILURES: u32 = 3;

/// The first pause. With the default budget the callers of this execution environment have waited 7.5 s in all by then.
const FIRST_PAUSE: Duration = Duration::from_secs(5);

/// The longest pause: for about as long an API that is back is not noticed.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

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
pub struct Guard {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Calls that have failed since the last one that did not.
    failures: u32,
    /// There while the API counts as down.
    pause: Option<Pause>,
}

#[derive(Clone, Copy, Debug)]
struct Pause {
    length: Duration,
    until: Instant,
    /// The same by the wall clock: whether the other one goes on while Lambda has frozen the process is not documented.
    until_on_the_wall: SystemTime,
    /// Whether a probe is under way.
    is_probed: bool,
}

impl Pause {
    fn of(length: Duration) -> Self {
        let until_on_the_wall = SystemTime::now() + length;
        Self { length, until: Instant::now() + length, until_on_the_wall, is_probed: false }
    }

    fn is_over(&self, wall: SystemTime) -> bool {
        Instant::now() >= self.until || wall >= self.until_on_the_wall
    }
}

impl Guard {
    /// Lets a call through, or not: `None` means that the API counts as down. What the call tells is to be handed to
    /// [`Admission::learn`].
    pub fn admit(&self) -> Option<Admission<'_>> {
        self.admit_at(SystemTime::now())
    }

    fn admit_at(&self, wall: SystemTime) -> Option<Admission<'_>> {
        let mut state = self.lock();
        if let Some(pause) = &mut state.pause {
            if pause.is_probed || !pause.is_over(wall) {
                return None;
            }
            pause.is_probed = true;
        }
        Some(Admission { guard: self, is_probe: state.pause.is_some() })
    }

    /// The API answered, however it came to be asked.
    pub fn answered(&self) {
        let was = std::mem::take(&mut *self.lock());
        if was.pause.is_some() {
            tracing::info!("the API is back");
        }
    }

    fn failed(&self, told_by_a_probe: bool) {
        let mut state = self.lock();
        state.failures = state.failures.saturating_add(1);
        let length = match &state.pause {
            Some(pause) if told_by_a_probe => (pause.length * 2).min(LONGEST_PAUSE),
            None if state.failures >= FAILURES => FIRST_PAUSE,
            // Too few yet; or it was under way when the pause began, and tells nothing new.
            _ => return,
        };
        state.pause = Some(Pause::of(length));
        tracing::warn!(pause_s = length.as_secs(), "the API is down: it is not asked for a while");
    }

    fn give_probe_back(&self) {
        if let Some(pause) = &mut self.lock().pause {
            pause.is_probed = false;
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
    guard: &'a Guard,
    is_probe: bool,
}

impl Admission<'_> {
    /// Learns from the call.
    pub fn learn(self, verdict: Verdict) {
        match verdict {
            Verdict::Up => self.guard.answered(),
            Verdict::Down => self.guard.failed(self.is_probe),
            Verdict::Unknown => {}
        }
    }
}

impl Drop for Admission<'_> {
    fn drop(&mut self) {
        if self.is_probe {
            self.guard.give_probe_back();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(guard: &Guard, verdict: Verdict) -> bool {
        guard.admit().map(|admission| admission.learn(verdict)).is_some()
    }

    /// A guard whose first pause has just begun.
    fn paused() -> Guard {
        let guard = Guard::default();
        for _ in 0..FAILURES {
            assert!(call(&guard, Verdict::Down));
        }
        guard
    }

    async fn pass(seconds: u64) {
        tokio::time::advance(Duration::from_secs(seconds)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn after_three_failed_calls_in_a_row_callers_stop_waiting_for_the_api() {
        let guard = Guard::default();
        assert!(call(&guard, Verdict::Down));
        assert!(call(&guard, Verdict::Down));
        assert!(call(&guard, Verdict::Down));
        assert!(!call(&guard, Verdict::Up));
        pass(4).await;
        assert!(!call(&guard, Verdict::Up));
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_is_answered_in_between_starts_the_count_over() {
        let guard = Guard::default();
        for verdict in [Verdict::Down, Verdict::Down, Verdict::Up, Verdict::Down, Verdict::Down] {
            assert!(call(&guard, verdict));
        }
        assert!(call(&guard, Verdict::Up));
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_never_asked_tells_nothing() {
        let guard = Guard::default();
        for verdict in [Verdict::Down, Verdict::Down, Verdict::Unknown] {
            assert!(call(&guard, verdict));
        }
        assert!(call(&guard, Verdict::Down), "two failures and one that was none");
        assert!(!call(&guard, Verdict::Up));
    }

    #[tokio::test(start_paused = true)]
    async fn after_the_pause_one_caller_probes_while_the_others_still_do_not_wait() {
        let guard = paused();
        pass(5).await;
        let probe = guard.admit().unwrap();
        assert!(guard.admit().is_none());
        probe.learn(Verdict::Up);
        assert!(guard.admit().is_some() && guard.admit().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn each_failed_probe_doubles_the_pause_up_to_a_minute() {
        let guard = paused();
        for seconds in [5, 10, 20, 40, 60, 60] {
            pass(seconds - 1).await;
            assert!(guard.admit().is_none(), "{seconds} s are not over");
            pass(1).await;
            assert!(call(&guard, Verdict::Down), "{seconds} s are over");
        }
        pass(60).await;
        assert!(call(&guard, Verdict::Up));
        assert!(call(&guard, Verdict::Down) && call(&guard, Verdict::Down), "it counts from the beginning again");
        assert!(call(&guard, Verdict::Down));
        pass(5).await;
        assert!(call(&guard, Verdict::Up), "the pause is the first one again");
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_was_given_up_or_never_asked_leaves_its_place_to_the_next_call() {
        let guard = paused();
        pass(5).await;
        drop(guard.admit().unwrap());
        assert!(call(&guard, Verdict::Unknown));
        assert!(call(&guard, Verdict::Up));
        assert!(guard.admit().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn calls_that_were_under_way_when_the_pause_began_do_not_lengthen_it() {
        let guard = Guard::default();
        let under_way: Vec<_> = (0..8).map(|_| guard.admit().unwrap()).collect();
        for admission in under_way {
            admission.learn(Verdict::Down);
        }
        pass(5).await;
        assert!(call(&guard, Verdict::Up));
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_is_not_the_probe_does_not_give_its_place_away() {
        let guard = Guard::default();
        let (late, later) = (guard.admit().unwrap(), guard.admit().unwrap());
        for _ in 0..FAILURES {
            call(&guard, Verdict::Down);
        }
        pass(5).await;
        let probe = guard.admit().unwrap();
        drop(late);
        later.learn(Verdict::Unknown);
        assert!(guard.admit().is_none());
        drop(probe);
        assert!(guard.admit().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_to_whoever_asked_all_the_same_ends_the_pause() {
        let guard = paused();
        guard.answered();
        assert!(call(&guard, Verdict::Down) && call(&guard, Verdict::Up));
    }

    #[tokio::test(start_paused = true)]
    async fn the_wall_clock_ends_a_pause_where_a_freeze_has_stopped_the_other_clock() {
        let guard = paused();
        assert!(guard.admit_at(SystemTime::now() + Duration::from_secs(4)).is_none());
        assert!(guard.admit_at(SystemTime::now() + Duration::from_secs(6)).is_some());
    }
}
