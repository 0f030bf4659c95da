//! `Session::ended` resolves when a session ends: at once in the process where that happens, within
//! an interval elsewhere, and with one load in each interval, however many watch (laws 2, 6 and
//! 13).

mod ends;
mod own;
mod sealed;
mod sharing;

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use futures_util::FutureExt;
use session_core::{EndReason, Ended, Session, SessionManager};

const INTERVAL: Duration = Duration::from_secs(5);
const MILLI: Duration = Duration::from_millis(1);
const IDLE: Duration = Duration::from_secs(7_200);

fn now<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().unwrap()
}

/// Somebody who waits for the end of a session, and is polled only when that was asked for.
struct Socket {
    ended: Pin<Box<dyn Future<Output = Ended> + Send>>,
    woken: Arc<Woken>,
}

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Socket {
    fn of(session: &Session) -> Self {
        Self {
            ended: Box::pin(session.ended()),
            woken: Arc::new(Woken(AtomicBool::new(true))),
        }
    }

    /// What it has ended with, if it was woken and has.
    fn poll(&mut self) -> Option<Ended> {
        loop {
            let ended = self.poll_once();
            if ended.is_some() || !self.woken.0.load(Ordering::Relaxed) {
                return ended;
            }
        }
    }

    fn poll_once(&mut self) -> Option<Ended> {
        if !self.woken.0.swap(false, Ordering::Relaxed) {
            return None;
        }
        let waker = Waker::from(Arc::clone(&self.woken));
        match self.ended.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(ended) => Some(ended),
            Poll::Pending => None,
        }
    }

    fn reason(&mut self) -> Option<EndReason> {
        self.poll().map(|ended| ended.reason)
    }
}

async fn end_everywhere(manager: &SessionManager) {
    manager.sign_out_everywhere("ann").await.unwrap();
}
