//! Whether there is a connection, and whether a task makes one: the states, and what changes them.
//!
//! No I/O, no lock, no clock; the head of the folder has the diagram.

use std::sync::Arc;

use tokio::time::{Duration, Instant};

use super::active::ActiveConnection;
use super::redacted::RedactedError;

pub(super) enum State {
    /// There is no connection, and no task makes one. The next call begins one.
    Down {
        /// Why the last attempt failed. It outlives its task, which may end with its runtime.
        failure: Option<RedactedError>,
    },
    /// Calls wait for a task that makes a connection.
    Connecting {
        attempt: Attempt,
        /// For how long there has been no connection.
        since: Instant,
    },
    /// Calls use this connection.
    Up { active: Arc<ActiveConnection> },
    /// Calls use this connection, most of whose nodes may be well, until a task has made another.
    Replacing {
        active: Arc<ActiveConnection>,
        attempt: Attempt,
    },
}

/// What the task that connects is at.
pub(super) struct Attempt {
    /// Of the connection that is being made. The task of an older number has been superseded.
    number: u64,
    began: Instant,
    /// Why the attempt before this one failed.
    failure: Option<RedactedError>,
    outdated: Option<Outdated>,
}

/// Why the connection that is being made is of no use, as was reported meanwhile.
enum Outdated {
    Closed,
    /// It is of use only if it leads to this address.
    #[cfg(feature = "sentinel")]
    PrimaryMoved(String),
}

/// What came of the connection that a task has made.
pub(super) enum Installed {
    /// All calls use it.
    Yes { down_since: Option<Instant> },
    /// Another task was faster, or the store was dropped.
    Superseded,
    /// It was out of date before anybody could use it.
    Outdated(RedactedError),
}

impl Default for State {
    fn default() -> Self {
        Self::Down { failure: None }
    }
}

impl State {
    pub(super) fn active(&self) -> Option<&Arc<ActiveConnection>> {
        match self {
            Self::Up { active } | Self::Replacing { active, .. } => Some(active),
            Self::Down { .. } | Self::Connecting { .. } => None,
        }
    }

    fn attempt(&self) -> Option<&Attempt> {
        match self {
            Self::Connecting { attempt, .. } | Self::Replacing { attempt, .. } => Some(attempt),
            Self::Down { .. } | Self::Up { .. } => None,
        }
    }

    fn attempt_of(&mut self, number: u64) -> Option<&mut Attempt> {
        match self {
            Self::Connecting { attempt, .. } | Self::Replacing { attempt, .. }
                if attempt.number == number =>
            {
                Some(attempt)
            }
            _ => None,
        }
    }

    /// Why the last attempt failed, while there is no connection.
    pub(super) fn failure(&self) -> Option<&RedactedError> {
        match self {
            Self::Down { failure } => failure.as_ref(),
            _ => self.attempt()?.failure.as_ref(),
        }
    }

    /// Whether no task connects, or only one whose attempt began longer ago than any takes: it is
    /// in a runtime that nobody drives.
    pub(super) fn needs_task(&self, longest: Duration, now: Instant) -> bool {
        self.attempt()
            .is_none_or(|attempt| now - attempt.began > longest)
    }

    /// Another task connects from now on, with a number of its own.
    pub(super) fn begin(&mut self, number: u64, now: Instant) {
        let failure = self.failure().cloned();
        let attempt = Attempt {
            number,
            began: now,
            failure,
            outdated: None,
        };
        *self = match std::mem::take(self) {
            Self::Down { .. } => Self::Connecting {
                attempt,
                since: now,
            },
            Self::Connecting { since, .. } => Self::Connecting { attempt, since },
            Self::Up { active } | Self::Replacing { active, .. } => {
                Self::Replacing { active, attempt }
            }
        };
    }

    /// The task makes a connection of another number. `false`: it has been superseded.
    pub(super) fn attempt_again(&mut self, former: u64, number: u64, now: Instant) -> bool {
        let Some(attempt) = self.attempt_of(former) else {
            return false;
        };
        (attempt.number, attempt.began) = (number, now);
        // Servers that are asked from now on know what was reported before.
        attempt.outdated = None;
        true
    }

    /// The attempt has failed, and the task goes on.
    pub(super) fn fail(&mut self, number: u64, failure: RedactedError) {
        if let Some(attempt) = self.attempt_of(number) {
            // What a server has said tells more than an attempt without an answer.
            if !failure.is_silence() || attempt.failure.is_none() {
                attempt.failure = Some(failure);
            }
        }
    }

    /// The task ends without a connection.
    pub(super) fn abandon(&mut self, number: u64) {
        if self.attempt_of(number).is_some() {
            *self = match std::mem::take(self) {
                Self::Replacing { active, .. } => Self::Up { active },
                other => Self::Down {
                    failure: other.failure().cloned(),
                },
            };
        }
    }

    /// The task has made the connection of its number. Returns also the connection that nobody uses
    /// now, to be dropped without the lock.
    pub(super) fn install(
        &mut self,
        new: Arc<ActiveConnection>,
    ) -> (Installed, Option<Arc<ActiveConnection>>) {
        let Some(attempt) = self.attempt_of(new.number) else {
            return (Installed::Superseded, Some(new));
        };
        let outdated = match attempt.outdated.take() {
            Some(Outdated::Closed) => Some("it was closed at once".to_owned()),
            #[cfg(feature = "sentinel")]
            Some(Outdated::PrimaryMoved(address)) if new.address.as_ref() != Some(&address) => {
                Some(format!("the primary is at {address} now"))
            }
            _ => None,
        };
        if let Some(why) = outdated {
            return (Installed::Outdated(RedactedError::plain(why)), Some(new));
        }
        match std::mem::replace(self, Self::Up { active: new }) {
            Self::Connecting { since, .. } => (
                Installed::Yes {
                    down_since: Some(since),
                },
                None,
            ),
            former => (
                Installed::Yes { down_since: None },
                former.active().cloned(),
            ),
        }
    }

    /// The connection of this number is dead, whether it is in use or is being made. Returns it, to
    /// be dropped without the lock.
    pub(super) fn lose(&mut self, number: u64, now: Instant) -> Option<Arc<ActiveConnection>> {
        if let Some(attempt) = self.attempt_of(number) {
            attempt.outdated = Some(Outdated::Closed);
        }
        if self.active()?.number != number {
            return None;
        }
        let (active, other) = match std::mem::take(self) {
            Self::Up { active } => (active, Self::Down { failure: None }),
            Self::Replacing { active, attempt } => (
                active,
                Self::Connecting {
                    attempt,
                    since: now,
                },
            ),
            _ => return None,
        };
        *self = other;
        Some(active)
    }

    /// The connection that is being made, if any, has to lead to this address.
    #[cfg(feature = "sentinel")]
    pub(super) fn expect_address(&mut self, address: &str) {
        if let Self::Connecting { attempt, .. } | Self::Replacing { attempt, .. } = self
            && !matches!(attempt.outdated, Some(Outdated::Closed))
        {
            attempt.outdated = Some(Outdated::PrimaryMoved(address.to_owned()));
        }
    }
}

#[cfg(test)]
mod tests;
