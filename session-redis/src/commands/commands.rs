//! What all commands need.

use std::time::Duration;

use redis::{Cmd, Value};
use session_core::Timestamp;
use session_core::store::Record;
use tokio::time::Instant;

use super::together::Gatherings;
use crate::connection::{Fault, Idempotency, Link};
use crate::layout::{KeyNames, Layout};

/// The server keeps a session this much longer than it lives: clocks differ, and commands take
/// their time.
pub(super) const GRACE: Duration = Duration::from_secs(60);
/// As long as the server can count, for a session that never ends.
const LONGEST: u64 = 1 << 52;

/// The commands of a store. The methods are in the files of this folder.
#[derive(Debug)]
pub(crate) struct Commands {
    pub(crate) link: Link,
    pub(crate) names: KeyNames,
    pub(crate) layout: Layout,
    /// For each connection, the questions whether sessions have changed.
    pub(super) revalidations: Box<[Gatherings]>,
}

impl Commands {
    pub(crate) fn new(link: Link, names: KeyNames, layout: Layout) -> Self {
        let revalidations = (0..link.count()).map(|_| Gatherings::default()).collect();
        Self {
            link,
            names,
            layout,
            revalidations,
        }
    }

    /// When an operation that begins now has to be over.
    pub(crate) fn until(&self) -> Instant {
        self.link.until()
    }

    /// Sends a plain command. Those that are used here are all idempotent.
    pub(super) async fn send(&self, command: &Cmd, until: Instant) -> Result<Value, Fault> {
        self.link
            .call(command, Idempotency::Idempotent, until)
            .await
    }

    /// How long one operation may take.
    pub(crate) fn deadline(&self) -> Duration {
        self.link.timing().deadline
    }
}

/// Milliseconds for which the server keeps a record.
pub(super) fn ttl(record: &Record, now: Timestamp) -> u64 {
    millis(record.expires_at().duration_since(now) + GRACE)
}

pub(super) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis())
        .unwrap_or(LONGEST)
        .min(LONGEST)
}
