//! Waiting for an operation of the driver, within a deadline.
//!
//! To drop a future of the driver would cost a connection. So an operation whose deadline has
//! passed, or whose caller has gone, goes on in a task of its own. Until then it is polled where it
//! is awaited, without a task, and with one timer.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::{Instant, timeout_at};

use crate::fault::Reason;

/// Waits for an operation until the deadline.
///
/// A detached operation ends after four deadlines: else a client that waits for ever would gather
/// tasks for ever, and would write when nobody remembers.
pub(crate) async fn within<T: Send + 'static>(
    deadline: Duration,
    operation: impl Future<Output = T> + Send + 'static,
) -> Result<T, Reason> {
    let runtime = Handle::try_current().map_err(|_| Reason::NoRuntime)?;
    let began = Instant::now();
    let operation = Detaching {
        operation: Some(Box::pin(operation)),
        until: began + deadline * 4,
        runtime,
    };
    let answer = timeout_at(began + deadline, operation).await;
    answer.map_err(|_| Reason::Late(began.elapsed()))
}

/// A future that goes on in a task, `until` then, if it is dropped before it has ended.
struct Detaching<T: Send + 'static> {
    operation: Option<Pin<Box<dyn Future<Output = T> + Send>>>,
    until: Instant,
    runtime: Handle,
}

impl<T: Send + 'static> Future for Detaching<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        // It is taken out while it is polled, so one that panics is never polled again.
        let Some(mut operation) = self.operation.take() else {
            return Poll::Pending;
        };
        let polled = operation.as_mut().poll(context);
        if polled.is_pending() {
            self.operation = Some(operation);
        }
        polled
    }
}

impl<T: Send + 'static> Drop for Detaching<T> {
    fn drop(&mut self) {
        if let Some(operation) = self.operation.take() {
            // Nobody waits for the answer.
            self.runtime.spawn(timeout_at(self.until, operation));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    const MOMENT: Duration = Duration::from_millis(20);

    /// Adds one to a count when it is over, and one when it ends.
    fn counting(
        count: &Arc<AtomicUsize>,
        time: Duration,
    ) -> impl Future<Output = ()> + Send + 'static {
        struct Over(Arc<AtomicUsize>);
        impl Drop for Over {
            fn drop(&mut self) {
                self.0.fetch_add(1, Ordering::Relaxed);
            }
        }
        let count = Arc::clone(count);
        async move {
            let over = Over(count);
            tokio::time::sleep(time).await;
            over.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn it_goes_on_after_the_deadline_but_not_for_ever() {
        for (time, counted) in [(MOMENT * 2, 2), (MOMENT * 100, 1)] {
            let count = Arc::default();
            let late = within(MOMENT, counting(&count, time)).await;
            assert!(matches!(late, Err(Reason::Late(_))), "{late:?}");
            assert_eq!(count.load(Ordering::Relaxed), 0);
            tokio::time::sleep(MOMENT * 10).await;
            assert_eq!(count.load(Ordering::Relaxed), counted);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn it_goes_on_when_its_caller_goes_away() {
        let count = Arc::default();
        let operation = within(MOMENT * 100, counting(&count, MOMENT * 2));
        assert!(
            timeout_at(Instant::now() + MOMENT, operation)
                .await
                .is_err()
        );
        assert_eq!(count.load(Ordering::Relaxed), 0);
        tokio::time::sleep(MOMENT * 10).await;
        assert_eq!(count.load(Ordering::Relaxed), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn what_has_ended_needs_no_task() {
        assert!(matches!(within(MOMENT, async { 7 }).await, Ok(7)));
    }
}
