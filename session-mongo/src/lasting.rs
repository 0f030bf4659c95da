//! An operation of the driver that nobody has to wait for to its end.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::runtime::Handle;
use tokio::time::{Instant, timeout_at};

/// A future that is polled where it is awaited, without a task of its own, and goes on in one if it
/// is dropped before it has ended.
pub(crate) struct Lasting<T: Send + 'static> {
    operation: Option<Pin<Box<dyn Future<Output = T> + Send>>>,
    until: Instant,
    runtime: Handle,
}

impl<T: Send + 'static> Lasting<T> {
    /// In the end it is dropped at `until`.
    pub(crate) fn new(
        operation: impl Future<Output = T> + Send + 'static,
        until: Instant,
        runtime: Handle,
    ) -> Self {
        Self {
            operation: Some(Box::pin(operation)),
            until,
            runtime,
        }
    }
}

impl<T: Send + 'static> Future for Lasting<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        // Out of its place, so that one that panics is over.
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

impl<T: Send + 'static> Drop for Lasting<T> {
    fn drop(&mut self) {
        if let Some(operation) = self.operation.take() {
            let until = self.until;
            self.runtime.spawn(async move {
                // Nobody is there to be told.
                let _ = timeout_at(until, operation).await;
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

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

    #[tokio::test]
    async fn it_goes_on_when_it_is_dropped_but_not_for_ever() {
        let now = Instant::now();
        for (time, until, counted) in [(MOMENT * 2, MOMENT * 100, 2), (MOMENT * 100, MOMENT * 2, 1)]
        {
            let count = Arc::default();
            let lasting = Lasting::new(counting(&count, time), now + until, Handle::current());
            assert!(tokio::time::timeout(MOMENT, lasting).await.is_err());
            assert_eq!(count.load(Ordering::Relaxed), 0);
            tokio::time::sleep(MOMENT * 10).await;
            assert_eq!(count.load(Ordering::Relaxed), counted);
        }
    }

    #[tokio::test]
    async fn what_has_ended_needs_no_task() {
        let until = Instant::now() + MOMENT;
        assert_eq!(Lasting::new(async { 7 }, until, Handle::current()).await, 7);
    }
}
