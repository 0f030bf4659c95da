//! Time as an argument: instants, and where they come from.

use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// A point in time: whole milliseconds since the Unix epoch.
///
/// ```
/// use session_core::Timestamp;
/// use std::time::Duration;
///
/// let noon = Timestamp::from_millis(43_200_000);
/// let later = noon.plus(Duration::from_secs(2));
/// assert_eq!(later.as_millis(), 43_202_000);
/// assert_eq!(later.since(noon), Duration::from_secs(2));
/// assert_eq!(noon.since(later), Duration::ZERO); // never negative
/// ```
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The instant this many milliseconds after the Unix epoch.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the Unix epoch.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// This instant moved forward, at most to the last one that can be represented.
    ///
    /// ```
    /// use session_core::Timestamp;
    /// use std::time::Duration;
    ///
    /// let last = Timestamp::from_millis(u64::MAX);
    /// assert_eq!(Timestamp::from_millis(500).plus(Duration::from_secs(1)).as_millis(), 1_500);
    /// assert_eq!(last.plus(Duration::from_secs(1)), last);
    /// ```
    #[must_use]
    pub fn plus(self, by: Duration) -> Self {
        let millis = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(millis))
    }

    /// How long after `earlier` this is; zero if it is not after it.
    ///
    /// [`Timestamp`] has an example.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl From<SystemTime> for Timestamp {
    /// Times before the epoch become the epoch.
    fn from(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Self(0).plus(since)
    }
}

impl From<Timestamp> for SystemTime {
    /// Instants that the platform cannot represent become the epoch.
    fn from(at: Timestamp) -> Self {
        UNIX_EPOCH
            .checked_add(Duration::from_millis(at.0))
            .unwrap_or(UNIX_EPOCH)
    }
}

/// A future that ends after some time; what [`Clock::sleep`] returns.
pub type Sleep = Pin<Box<dyn Future<Output = ()> + Send + 'static>>;

/// Where the time comes from, and how to wait for it.
///
/// [`SystemClock`] is the default. Tests take a [`ManualClock`](crate::ManualClock); a program on a
/// runtime other than tokio brings its own implementation with that runtime's timer.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// The time now.
    fn now(&self) -> Timestamp;

    /// A future that is ready once `duration` has passed.
    fn sleep(&self, duration: Duration) -> Sleep;

    /// A pause of about `duration` between two attempts to write a session that others write too.
    ///
    /// Unless implemented it is a [`sleep`](Self::sleep). A clock that stands still until a test
    /// moves it lets a pause end by itself, as [`ManualClock`](crate::ManualClock) does: nobody
    /// moves it in the middle of a commit.
    fn pause(&self, duration: Duration) -> Sleep {
        self.sleep(duration)
    }
}

/// The operating system's clock.
///
/// Its [`sleep`](Clock::sleep) is tokio's inside a tokio runtime that has a time driver, as that of
/// `#[tokio::main]` has. Elsewhere each sleep costs a thread, which is correct; a [`Clock`] over
/// the timer of your runtime costs less there. tokio does not say whether a runtime has a time
/// driver, it panics. So the first sleep in one that has none catches that panic, whose text goes
/// to the panic hook. From then on all sleeps of the process are made with threads. (Where a panic
/// aborts the process it cannot be caught: enable the time driver.) Sleeps are made only where a
/// store does not answer at once.
///
/// ```
/// use session_core::{Clock, SystemClock, Timestamp};
///
/// assert!(SystemClock.now() > Timestamp::from_millis(1_600_000_000_000));
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

/// Whether a tokio runtime without a time driver was met.
static TIMELESS: AtomicBool = AtomicBool::new(false);

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        SystemTime::now().into()
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        by_tokio(duration).unwrap_or_else(|| by_thread(duration))
    }
}

/// A sleep of the tokio runtime that this runs in, if it can make one.
fn by_tokio(duration: Duration) -> Option<Sleep> {
    if TIMELESS.load(Ordering::Relaxed) || tokio::runtime::Handle::try_current().is_err() {
        return None;
    }
    let sleep = catch_unwind(AssertUnwindSafe(|| tokio::time::sleep(duration)));
    match sleep {
        Ok(sleep) => Some(Box::pin(sleep)),
        Err(_) => {
            TIMELESS.store(true, Ordering::Relaxed);
            None
        }
    }
}

fn by_thread(duration: Duration) -> Sleep {
    let (done, over) = tokio::sync::oneshot::channel::<()>();
    let thread = std::thread::Builder::new().spawn(move || {
        std::thread::sleep(duration);
        drop(done);
    });
    Box::pin(async move {
        // Without a thread there is no timer; to be over at once keeps the deadline.
        if thread.is_ok() {
            let _ = over.await;
        }
    })
}

/// Why [`within`] gave up.
#[derive(Debug)]
pub(crate) struct Elapsed;

/// Runs `future` for at most `limit`. The timer is made only once the future has to
/// wait, so a store that answers at once pays nothing for its deadline.
pub(crate) const fn within<F>(clock: &dyn Clock, limit: Duration, future: F) -> Within<'_, F> {
    Within {
        clock,
        limit: Some(limit),
        future,
        timer: None,
    }
}

/// What [`within`] is. It lies in the future of every handler, so it is no larger than it has to
/// be.
pub(crate) struct Within<'c, F> {
    clock: &'c dyn Clock,
    limit: Option<Duration>,
    future: F,
    timer: Option<Sleep>,
}

impl<'c, F> Within<'c, F> {
    /// The same, for as long as it takes.
    pub(crate) const fn unlimited(clock: &'c dyn Clock, future: F) -> Self {
        let (limit, timer) = (None, None);
        Self {
            clock,
            limit,
            future,
            timer,
        }
    }
}

impl<F: Future + Unpin> Future for Within<'_, F> {
    type Output = Result<F::Output, Elapsed>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if let Poll::Ready(output) = Pin::new(&mut this.future).poll(context) {
            return Poll::Ready(Ok(output));
        }
        let Some(limit) = this.limit else {
            return Poll::Pending;
        };
        let timer = this.timer.get_or_insert_with(|| this.clock.sleep(limit));
        timer.as_mut().poll(context).map(|()| Err(Elapsed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ManualClock;
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;
    use std::task::Waker;

    /// A manual clock that counts the sleeps asked of it.
    #[derive(Debug)]
    struct Counting {
        clock: Arc<ManualClock>,
        sleeps: AtomicUsize,
    }

    impl Counting {
        fn new() -> Self {
            Self {
                clock: ManualClock::new(Timestamp::from_millis(5_000)),
                sleeps: AtomicUsize::new(0),
            }
        }

        fn sleeps(&self) -> usize {
            self.sleeps.load(Ordering::Relaxed)
        }
    }

    impl Clock for Counting {
        fn now(&self) -> Timestamp {
            self.clock.now()
        }

        fn sleep(&self, duration: Duration) -> Sleep {
            self.sleeps.fetch_add(1, Ordering::Relaxed);
            self.clock.sleep(duration)
        }
    }

    const LIMIT: Duration = Duration::from_millis(100);
    const STEP: Duration = Duration::from_millis(1);

    #[test]
    fn what_is_ready_needs_no_timer() {
        let clock = Counting::new();
        let mut context = Context::from_waker(Waker::noop());
        let mut run = std::pin::pin!(within(&clock, LIMIT, std::future::ready(7)));
        assert!(matches!(
            run.as_mut().poll(&mut context),
            Poll::Ready(Ok(7))
        ));
        assert_eq!(clock.sleeps(), 0);
    }

    #[test]
    fn what_waits_is_cut_at_the_limit() {
        let clock = Counting::new();
        let mut context = Context::from_waker(Waker::noop());
        let mut run = std::pin::pin!(within(&clock, LIMIT, std::future::pending::<()>()));
        assert!(run.as_mut().poll(&mut context).is_pending());
        clock.clock.advance(LIMIT - STEP);
        assert!(run.as_mut().poll(&mut context).is_pending());
        clock.clock.advance(STEP);
        assert!(matches!(
            run.as_mut().poll(&mut context),
            Poll::Ready(Err(Elapsed))
        ));
        assert_eq!(clock.sleeps(), 1, "one timer for all polls");
    }

    #[test]
    fn an_answer_at_the_limit_counts() {
        let clock = Counting::new();
        let mut context = Context::from_waker(Waker::noop());
        let mut polls = 0;
        let answer = std::future::poll_fn(move |_| {
            polls += 1;
            if polls < 2 {
                Poll::Pending
            } else {
                Poll::Ready("late")
            }
        });
        let mut run = std::pin::pin!(within(&clock, LIMIT, answer));
        assert!(run.as_mut().poll(&mut context).is_pending());
        clock.clock.advance(LIMIT);
        assert!(matches!(
            run.as_mut().poll(&mut context),
            Poll::Ready(Ok("late"))
        ));
    }
}
