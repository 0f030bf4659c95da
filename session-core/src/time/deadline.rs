//! A future with a deadline.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::time::{Clock, Sleep};

/// The deadline has passed.
#[derive(Debug)]
pub(crate) struct Elapsed;

/// Runs `future` for at most `limit`.
pub(crate) const fn within<F>(clock: &dyn Clock, limit: Duration, future: F) -> Within<'_, F> {
    Within {
        clock,
        limit,
        future,
        timer: Timer(None),
    }
}

/// The future that [`within`] returns.
pub(crate) struct Within<'c, F> {
    clock: &'c dyn Clock,
    limit: Duration,
    future: F,
    timer: Timer,
}

impl<F: Future + Unpin> Future for Within<'_, F> {
    type Output = Result<F::Output, Elapsed>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        if let Poll::Ready(output) = Pin::new(&mut this.future).poll(context) {
            return Poll::Ready(Ok(output));
        }
        let elapsed = this.timer.poll(this.clock, this.limit, context);
        elapsed.map(|()| Err(Elapsed))
    }
}

/// A timer that is made only once somebody has to wait for it, so a store that answers at once pays
/// nothing for its deadline.
#[derive(Default)]
pub(crate) struct Timer(Option<Sleep>);

impl Timer {
    /// Ready once `limit` has passed since this was first called.
    pub(crate) fn poll(
        &mut self,
        clock: &dyn Clock,
        limit: Duration,
        context: &mut Context<'_>,
    ) -> Poll<()> {
        let timer = self.0.get_or_insert_with(|| clock.sleep(limit));
        timer.as_mut().poll(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::ManualClock;
    use crate::time::Timestamp;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
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
