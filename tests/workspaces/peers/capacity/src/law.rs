//! How memory grows with the number of sessions.
//!
//! All of it is a straight line, except for the tables of Redis: each has a pointer for each of its
//! places, and their number is the next power of two.

use crate::cost::{MongoSpace, Redis, RedisMemory};

/// Bytes of a pointer in a table of Redis.
const POINTER: u64 = 8;

/// A straight line: what an empty server takes, and what each session adds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Line {
    pub fixed: f64,
    pub per_session: f64,
}

impl Line {
    /// Through two points, each a number of sessions and bytes.
    pub fn through(from: (u64, f64), to: (u64, f64)) -> Self {
        let per_session = (to.1 - from.1) / (to.0 as f64 - from.0 as f64);
        Self {
            fixed: from.1 - per_session * from.0 as f64,
            per_session,
        }
    }

    pub fn at(self, sessions: u64) -> f64 {
        self.fixed + self.per_session * sessions as f64
    }
}

/// The growth of the memory of Redis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RedisLaw {
    /// Without the tables.
    pub line: Line,
    /// Keys of a session, and how many of them have an expiry.
    pub keys: f64,
    pub expires: f64,
}

impl RedisLaw {
    /// From the last two of these sizes.
    pub fn of(measured: &[RedisMemory]) -> Option<Self> {
        let [.., from, to] = measured else {
            return None;
        };
        let flat = |at: &RedisMemory| at.used as f64 - tables(at.keys as f64, at.expires as f64);
        Some(Self {
            line: Line::through((from.sessions, flat(from)), (to.sessions, flat(to))),
            keys: to.keys as f64 / to.sessions as f64,
            expires: to.expires as f64 / to.sessions as f64,
        })
    }

    /// `used_memory` of a server that holds so many sessions.
    pub fn used(&self, sessions: u64) -> f64 {
        let n = sessions as f64;
        self.line.at(sessions) + tables(self.keys * n, self.expires * n)
    }

    /// Bytes of a session at the worst size: the tables have just doubled.
    pub fn worst_per_session(&self) -> f64 {
        self.line.per_session + 2.0 * POINTER as f64 * (self.keys + self.expires)
    }
}

/// Bytes of the tables of keys and of expiries.
fn tables(keys: f64, expires: f64) -> f64 {
    let places = |entries: f64| (entries.ceil() as u64).next_power_of_two();
    (POINTER * (places(keys) + places(expires))) as f64
}

/// What the process takes for each byte in use, at the largest size that was measured.
pub fn fragmentation(redis: &Redis) -> f64 {
    let ratio = |at: &RedisMemory| at.rss as f64 / at.used as f64;
    redis.memory.last().map_or(1.0, ratio)
}

/// A line through the last two sizes.
pub fn mongo(measured: &[MongoSpace], bytes: impl Fn(&MongoSpace) -> u64) -> Option<Line> {
    let [.., from, to] = measured else {
        return None;
    };
    let point = |at: &MongoSpace| (at.sessions, bytes(at) as f64);
    Some(Line::through(point(from), point(to)))
}

/// What the cache of MongoDB holds of sessions that were read. Those that were just made take more
/// in a small collection and less in a large one, of which it has written pages to the disk.
pub fn cached(space: &MongoSpace) -> u64 {
    space.cache_read
}

/// How far a prediction is off, as a share of what was measured.
pub fn error(predicted: f64, measured: u64) -> f64 {
    (predicted / measured as f64 - 1.0).abs()
}
