//! A clock for tests, which stands still until it is moved.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::time::{Clock, Sleep, Timestamp};

/// A clock for tests, which stands still until it is moved.
///
/// A [`sleep`](Clock::sleep) ends once the clock has been moved far enough. A
/// [`pause`](Clock::pause) yields to other tasks once. Then it moves the clock to the end of the
/// pause by itself, because no test does.
///
/// ```
/// use session_core::{Clock, ManualClock, Timestamp};
/// use std::time::Duration;
///
/// let clock = ManualClock::new(Timestamp::from_millis(1_000));
/// clock.advance(Duration::from_secs(1));
/// assert_eq!(clock.now(), Timestamp::from_millis(2_000));
/// ```
pub struct ManualClock {
    state: Mutex<Manual>,
}

struct Manual {
    now: Timestamp,
    /// By the time at which each ends, and a unique number.
    sleeping: BTreeMap<(Timestamp, u64), Waker>,
    sleeps: u64,
}

impl ManualClock {
    /// A clock that shows `now`.
    pub fn new(now: Timestamp) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(Manual {
                now,
                sleeping: BTreeMap::new(),
                sleeps: 0,
            }),
        })
    }

    /// Moves the clock forward, and wakes every sleep that ends by then.
    pub fn advance(&self, by: Duration) {
        self.move_to(|now| now + by);
    }

    fn move_to(&self, then: impl FnOnce(Timestamp) -> Timestamp) {
        let mut state = self.lock();
        state.now = then(state.now);
        let now = state.now;
        let mut over = Vec::new();
        while let Some(first) = state
            .sleeping
            .first_entry()
            .filter(|first| first.key().0 <= now)
        {
            over.push(first.remove());
        }
        drop(state);
        over.into_iter().for_each(Waker::wake);
    }

    /// The time that this clock shows.
    pub fn now(&self) -> Timestamp {
        self.lock().now
    }

    fn lock(&self) -> MutexGuard<'_, Manual> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for ManualClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ManualClock")
            .field("now", &self.now())
            .finish_non_exhaustive()
    }
}

impl Clock for Arc<ManualClock> {
    fn now(&self) -> Timestamp {
        (**self).now()
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        let mut state = self.lock();
        state.sleeps += 1;
        Box::pin(ManualSleep {
            place: (state.now + duration, state.sleeps),
            clock: Self::clone(self),
        })
    }

    /// This clock is never set back.
    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.now().as_millis())
    }

    fn pause(&self, duration: Duration) -> Sleep {
        let (clock, until) = (Self::clone(self), self.now() + duration);
        let mut gave_way = false;
        Box::pin(std::future::poll_fn(move |context| {
            if std::mem::replace(&mut gave_way, true) {
                clock.move_to(|now| now.max(until));
                return Poll::Ready(());
            }
            context.waker().wake_by_ref();
            Poll::Pending
        }))
    }
}

struct ManualSleep {
    place: (Timestamp, u64),
    clock: Arc<ManualClock>,
}

impl Future for ManualSleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.clock.lock();
        if state.now >= self.place.0 {
            return Poll::Ready(());
        }
        // The last waker counts. The one before is dropped without the lock.
        let before = state.sleeping.insert(self.place, context.waker().clone());
        drop(state);
        drop(before);
        Poll::Pending
    }
}

impl Drop for ManualSleep {
    fn drop(&mut self) {
        let waker = self.clock.lock().sleeping.remove(&self.place);
        drop(waker);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: Duration = Duration::from_millis(1);

    fn waiting(clock: &ManualClock) -> usize {
        clock.lock().sleeping.len()
    }

    fn poll(sleep: &mut Sleep) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        sleep.as_mut().poll(&mut context).is_ready()
    }

    #[test]
    fn a_clock_forgets_whom_it_has_woken() {
        let clock = ManualClock::new(Timestamp::default());
        let mut sleeps: Vec<_> = [10, 20].map(|n| clock.sleep(STEP * n)).into();
        assert!(!sleeps.iter_mut().any(poll));
        assert_eq!(waiting(&clock), 2);
        clock.advance(STEP * 9);
        assert_eq!(waiting(&clock), 2);
        clock.advance(STEP);
        assert_eq!(waiting(&clock), 1);
        clock.advance(STEP * 10);
        assert_eq!(waiting(&clock), 0);
        assert!(sleeps.iter_mut().all(poll));
    }

    #[test]
    fn a_sleep_has_one_place_however_often_it_is_polled_and_none_once_it_was_dropped() {
        let clock = ManualClock::new(Timestamp::default());
        for _ in 0..1_000 {
            let mut dropped = clock.sleep(STEP);
            assert!(!poll(&mut dropped));
        }
        assert_eq!(waiting(&clock), 0);
        let [mut one, mut other] = [clock.sleep(STEP), clock.sleep(STEP)];
        for _ in 0..1_000 {
            assert!(!poll(&mut one) && !poll(&mut other));
        }
        assert_eq!(waiting(&clock), 2);
        drop(one);
        clock.advance(STEP);
        assert!(poll(&mut other));
    }

    #[test]
    fn a_pause_ends_though_nobody_moves_the_clock() {
        let clock = ManualClock::new(Timestamp::default());
        let mut sleep = clock.sleep(STEP * 3);
        assert!(!poll(&mut sleep));
        let mut pauses = [STEP * 2, STEP, STEP * 3].map(|pause| clock.pause(pause));
        for pause in &mut pauses {
            assert!(!poll(pause), "the others first");
        }
        assert_eq!(clock.now(), Timestamp::default());
        for (pause, millis) in pauses.iter_mut().zip([2, 2, 3]) {
            assert!(poll(pause));
            assert_eq!(
                clock.now(),
                Timestamp::from_millis(millis),
                "they pass side by side"
            );
        }
        assert_eq!(waiting(&clock), 0);
        assert!(poll(&mut sleep));
    }
}
