//! Whether every change is told at the moment, and what was told.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::{PushInfo, Value};
use session_core::SessionId;
use session_core::store::{ChangeFeed, Invalidations};

/// What the connections of a store tell its cache.
pub(crate) struct Near {
    cache: Invalidations,
    lease: Duration,
    /// How the names of sessions begin.
    prefix: String,
    told: Mutex<Told>,
}

struct Told {
    /// For each place of a connection, the one that tracks.
    connections: Box<[Option<Tracking>]>,
    /// There is one while all of them track.
    feed: Option<ChangeFeed>,
}

/// A connection on which the server tells of changes.
struct Tracking {
    number: u64,
    /// When the last question was asked that it has answered.
    asked: Option<Duration>,
}

impl Near {
    /// Nothing, if the cache has no leases.
    pub(crate) fn new(cache: Invalidations, prefix: String, connections: usize) -> Option<Self> {
        Some(Self {
            lease: cache.lease()?,
            cache,
            prefix,
            told: Mutex::new(Told {
                connections: (0..connections).map(|_| None).collect(),
                feed: None,
            }),
        })
    }

    pub(super) const fn lease(&self) -> Duration {
        self.lease
    }

    #[cfg(feature = "cluster")]
    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The time by which leases are measured.
    pub(super) fn now(&self) -> Duration {
        self.cache.now()
    }

    /// The connection of this number takes this place, and tracks what is read on it.
    pub(in crate::connection) fn tracks(&self, place: usize, number: u64) {
        let mut told = self.told();
        // Whatever was in this place before.
        told.feed = None;
        told.connections[place] = Some(Tracking {
            number,
            asked: None,
        });
        if told.connections.iter().all(Option::is_some) {
            told.feed = Some(self.cache.begin());
        }
    }

    /// The connection of this number is of no use any more.
    pub(in crate::connection) fn lost(&self, place: usize, number: u64) {
        let mut told = self.told();
        if told.connections[place].as_ref().map(|it| it.number) == Some(number) {
            told.connections[place] = None;
            told.feed = None;
        }
    }

    /// The connection of this number has answered a question of that time.
    pub(super) fn answered(&self, place: usize, number: u64, asked: Duration) {
        let mut told = self.told();
        if let Some(tracking) = &mut told.connections[place]
            && tracking.number == number
        {
            tracking.asked = Some(asked);
            told.renew();
        }
    }

    /// The server has told of something, on any connection. What one that is replaced tells does no
    /// harm.
    pub(in crate::connection) fn pushed(&self, push: &PushInfo) {
        let mut told = self.told();
        let Some(feed) = &told.feed else {
            return;
        };
        match &push.data[..] {
            [Value::Array(names)] => {
                for id in names.iter().filter_map(|name| self.session(name)) {
                    feed.changed(id);
                }
            }
            // All keys have changed (`FLUSHALL`), or it is not known which. Tracking goes on.
            _ => {
                told.feed = Some(self.cache.begin());
                told.renew();
            }
        }
    }

    /// The session of this name. Indexes are read as well, and their names are none.
    fn session(&self, name: &Value) -> Option<SessionId> {
        let Value::BulkString(name) = name else {
            return None;
        };
        let id = name.strip_prefix(self.prefix.as_bytes())?;
        std::str::from_utf8(id).ok()?.parse().ok()
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Told {
    /// Each connection has told of all changes up to its last answer. So the oldest one counts.
    fn renew(&self) {
        let asked = self.connections.iter().map(|it| it.as_ref()?.asked);
        let oldest: Option<Duration> = asked.min().flatten();
        if let (Some(feed), Some(asked)) = (&self.feed, oldest) {
            feed.renew(asked);
        }
    }
}

#[cfg(test)]
mod tests;
