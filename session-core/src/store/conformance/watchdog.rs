//! Ends a case that waits for ever.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::task::Poll;
use std::time::Duration;

use futures_util::task::AtomicWaker;

/// Runs `future` for at most `limit`; `None` if it was not over by then. The time is kept by a
/// thread, since no runtime is known here; a future that never has to wait starts none.
pub(super) async fn within<F: Future>(limit: Duration, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut watchdog: Option<Watchdog> = None;
    poll_fn(|context| {
        if let Poll::Ready(output) = future.as_mut().poll(context) {
            return Poll::Ready(Some(output));
        }
        let bell = &watchdog.get_or_insert_with(|| Watchdog::new(limit)).bell;
        bell.waker.register(context.waker());
        if bell.rang.load(Ordering::Acquire) {
            return Poll::Ready(None);
        }
        Poll::Pending
    })
    .await
}

struct Watchdog {
    bell: Arc<Bell>,
    /// Dropping it ends the thread.
    _guarded: Sender<()>,
}

#[derive(Default)]
struct Bell {
    rang: AtomicBool,
    waker: AtomicWaker,
}

impl Watchdog {
    fn new(limit: Duration) -> Self {
        let bell = Arc::new(Bell::default());
        let (guarded, over) = channel();
        let thread_bell = Arc::clone(&bell);
        // Without a thread the case runs unguarded.
        let _ = std::thread::Builder::new().spawn(move || {
            if over.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
                thread_bell.rang.store(true, Ordering::Release);
                thread_bell.waker.wake();
            }
        });
        Self {
            bell,
            _guarded: guarded,
        }
    }
}
