//! How long things may take.

use std::time::Duration;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Timing {
    /// An operation of the store, with all that it waits for.
    pub(crate) deadline: Duration,
    /// An attempt to connect. While there is no connection, calls wait as long for one.
    pub(crate) connect: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            deadline: Duration::from_millis(1500),
            connect: Duration::from_secs(1),
        }
    }
}

impl Timing {
    /// How long a connection may leave all of its commands unanswered before it is replaced.
    pub(crate) fn silence(&self) -> Duration {
        self.deadline * 2 / 3
    }
}
