//! Stores whose calls take time, or let others run.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use session_core::store::StoreError;
use session_core::{Clock, ManualClock};

use crate::sim::pause;
use crate::{Around, Call, Hook, Rng};

/// Lets time pass on a clock around every call of the store in it, half of it on the way there and
/// half on the way back, as a network does.
pub type SlowStore<S> = Around<S, Latency>;

/// Gives way up to twice before and after every call of the store in it, so that others run at each
/// point where a request waits.
pub type YieldStore<S> = Around<S, GiveWay>;

/// A pause on one side of a call.
pub trait Pause: fmt::Debug + Send + Sync + 'static {
    /// Takes it.
    fn pause(&self) -> impl Future<Output = ()> + Send;
}

/// Pauses that take time.
#[derive(Debug)]
pub struct Latency {
    clock: Arc<ManualClock>,
    half: Duration,
}

impl Pause for Latency {
    async fn pause(&self) {
        self.clock.sleep(self.half).await;
    }
}

/// Pauses in which others run.
#[derive(Debug)]
pub struct GiveWay {
    rng: Rng,
}

impl Pause for GiveWay {
    async fn pause(&self) {
        for _ in 0..self.rng.below(3) {
            pause().await;
        }
    }
}

impl<S> SlowStore<S> {
    /// Each call takes `latency`.
    pub fn new(inner: S, clock: Arc<ManualClock>, latency: Duration) -> Self {
        let half = latency / 2;
        Self {
            inner,
            hook: Latency { clock, half },
        }
    }
}

impl<S> YieldStore<S> {
    /// How often it gives way is drawn from `seed`.
    pub const fn new(inner: S, seed: u64) -> Self {
        let rng = Rng::new(seed ^ 0x5eed);
        Self {
            inner,
            hook: GiveWay { rng },
        }
    }
}

impl<P: Pause> Hook for P {
    async fn around<T: Send>(
        &self,
        _: Call,
        inner: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        self.pause().await;
        let answer = inner.await;
        self.pause().await;
        answer
    }

    fn call_timeout(&self, _: Option<Duration>) -> Option<Duration> {
        None
    }
}
