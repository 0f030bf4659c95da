//! Where the time comes from, and how to wait.

use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use crate::time::Timestamp;

/// A future that is ready after some time. [`Clock::sleep`] returns it.
pub type Sleep = Pin<Box<dyn Future<Output = ()> + Send + 'static>>;

/// Where the time comes from, and how to wait for it.
///
/// [`SystemClock`] is the default. Tests use a [`ManualClock`](crate::ManualClock). A program on a
/// runtime other than tokio can implement it with the timer of that runtime.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// The time now.
    fn now(&self) -> Timestamp;

    /// A future that is ready once `duration` has passed.
    fn sleep(&self, duration: Duration) -> Sleep;

    /// The time since some fixed moment. It never goes back, even if somebody sets the time of day.
    /// Leases of a [near cache](crate::store::NearCache) are measured with it.
    ///
    /// By default it is the operating system's monotonic clock.
    fn monotonic(&self) -> Duration {
        static START: OnceLock<Instant> = OnceLock::new();
        START.get_or_init(Instant::now).elapsed()
    }

    /// A pause of about `duration` between two attempts to write a session that others write too.
    ///
    /// By default it is a [`sleep`](Self::sleep). A clock that stands still until a test moves it
    /// should let a pause end by itself, as [`ManualClock`](crate::ManualClock) does: no test moves
    /// the clock in the middle of a commit.
    fn pause(&self, duration: Duration) -> Sleep {
        self.sleep(duration)
    }
}

/// The operating system's clock.
///
/// Within a tokio runtime that has a time driver, as that of `#[tokio::main]` does,
/// [`sleep`](Clock::sleep) is tokio's. Elsewhere each sleep costs a thread. That is correct, but a
/// [`Clock`] over the timer of your runtime costs less. A sleep is made only when a store does not
/// answer at once.
///
/// tokio does not say whether a runtime has a time driver: it panics. The first sleep in a runtime
/// that has none catches this panic, whose text goes to the panic hook. From then on all sleeps of
/// the process use threads. If panics abort the process, this one cannot be caught: enable the time
/// driver.
///
/// ```
/// use session_core::{Clock, SystemClock, Timestamp};
///
/// assert!(SystemClock.now() > Timestamp::from_millis(1_600_000_000_000));
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

/// Whether a tokio runtime without a time driver was found.
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
        // Without a thread there is no timer. To end at once keeps the deadline.
        if thread.is_ok() {
            let _ = over.await;
        }
    })
}
