//! What every session of a manager goes by.

use std::time::Duration;

use bytestring::ByteString;

use crate::error::SessionError;
use crate::record::{Codec, Lifetime, Limit, LimitExceeded, Limits, Record, SessionId};
use crate::store::RecordLocation;
use crate::time::Timestamp;
use crate::token::{Rotation, Secret};

/// What every session of a manager goes by.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) scope: ByteString,
    pub(crate) lifetime: Lifetime,
    pub(crate) codec: Codec,
    pub(crate) limits: Limits,
    pub(crate) rotation: Rotation,
    pub(crate) session_limit: Option<SessionLimit>,
    pub(crate) timeouts: Timeouts,
    pub(crate) on_corrupt: OnCorrupt,
    pub(crate) on_reuse: OnReuse,
    /// How often the store is asked for a session that somebody watches.
    pub(crate) watch_interval: Duration,
    pub(crate) location: RecordLocation,
    /// Characters that a sealed token may have.
    pub(crate) max_token: usize,
    /// What the metadata of a new session takes at most.
    pub(crate) fresh_metadata: usize,
}

impl Settings {
    pub(crate) const fn is_sealed(&self) -> bool {
        matches!(self.location, RecordLocation::Client { .. })
    }

    pub(crate) fn new_secret(&self) -> Result<Option<Secret>, SessionError> {
        match self.is_sealed() {
            true => Ok(None),
            false => Secret::random().map(Some),
        }
    }

    /// What the metadata of a new session takes at most.
    pub(crate) fn fresh_metadata(scope: &ByteString) -> usize {
        let id = SessionId::from_bytes([0; 16]);
        Record::new(id, scope.clone(), Lifetime::default(), Timestamp::default()).limited_size()
    }

    pub(crate) fn check_record(&self, record: &Record) -> Result<(), LimitExceeded> {
        self.check(record.limited_size(), record.values.len())
    }

    pub(crate) fn check(&self, bytes: usize, keys: usize) -> Result<(), LimitExceeded> {
        self.limits.check(bytes, keys)?;
        if let RecordLocation::Client { overhead, .. } = self.location {
            let size = ((bytes + overhead) * 4).div_ceil(3);
            if size > self.max_token {
                let limit = self.max_token;
                return Err(LimitExceeded::new(Limit::TokenBytes, size, limit));
            }
        }
        Ok(())
    }
}

/// How long things may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    pub(crate) call: Duration,
    pub(crate) commit: Duration,
}

impl Timeouts {
    /// The same with this time for one call of the store. Default: 2 s.
    ///
    /// A store that keeps time itself
    /// ([`SessionStore::call_timeout`](crate::store::SessionStore::call_timeout)) should answer
    /// sooner. This is for stores that do not.
    #[must_use]
    pub const fn with_call(mut self, timeout: Duration) -> Self {
        self.call = timeout;
        self
    }

    /// The same with this time in which a commit begins new attempts, and waits for other writers
    /// of the session. Default: 10 s.
    ///
    /// Beyond it the commit fails with [`SessionError::Contended`], and there is an event of that
    /// name. The calls that it has begun have their own timeout.
    ///
    /// Requests of one process that conflict over a session are written one after the other, in
    /// the order in which they came. Processes take turns. So a session takes about as many
    /// writes in this time as the store answers one after the other: at 2 ms each some 5,000,
    /// whatever the number of processes.
    #[must_use]
    pub const fn with_commit(mut self, timeout: Duration) -> Self {
        self.commit = timeout;
        self
    }

    /// How long one call of the store may take.
    pub const fn call(&self) -> Duration {
        self.call
    }

    /// How long a commit begins new attempts.
    pub const fn commit(&self) -> Duration {
        self.commit
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            call: Duration::from_secs(2),
            commit: Duration::from_secs(10),
        }
    }
}

/// What happens to a request whose record is there and cannot be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnCorrupt {
    /// It goes on without a session, and an event says so; what it stores goes into a new
    /// one. The unreadable record stays until it expires. The default.
    #[default]
    StartEmpty,
    /// It fails with [`StoreError::Corrupt`](crate::store::StoreError::Corrupt), as does every
    /// request with that token until the record expires or is repaired.
    Refuse,
}

/// What happens to a sign-in beyond the maximum
/// ([`SessionManagerBuilder::max_sessions`](crate::SessionManagerBuilder::max_sessions)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnMaxSessions {
    /// The principal's session that signed in first is revoked.
    RevokeOldest,
    /// The sign-in fails: [`sign_in`](crate::Session::sign_in) itself succeeds, and the commit
    /// fails with [`SessionError::TooManySessions`]. HTTP answers with 409 and an empty body, or as
    /// `SessionLayer::on_error` says. If several sign-ins race past the limit, one that already
    /// succeeded may be revoked instead of the one that is refused.
    Refuse,
}

/// The most sessions of one principal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SessionLimit {
    pub(crate) most: usize,
    pub(crate) beyond: OnMaxSessions,
}

/// What to do when a client presents a token that was rotated away and whose overlap is over: two
/// parties hold tokens of the session, and one of them is not the client (RFC 9700, 4.14.2).
///
/// An event says so in any case. To end the session is the safe answer where tokens are
/// [signed](crate::SessionManagerBuilder::keys) and the store loses no acknowledged write. With one
/// that may ([`Durability`](crate::store::Durability)), such as Redis at a fail-over, a client
/// whose newest token was lost looks like a thief: at a planned fail-over nearly everybody who is
/// active does.
///
/// A MAC holds the epoch modulo 4. So a token that is exactly 4, 8, .. renewals old counts as one
/// of the present epoch, and comes under this rule.
///
/// ```
/// use session_core::{MemoryStore, OnReuse, Rotation, SessionManager};
///
/// let builder = SessionManager::builder(MemoryStore::new()).rotation(Rotation::default());
/// assert!(builder.on_reuse(OnReuse::Revoke).build().is_ok()); // this store loses no single write
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnReuse {
    /// The request continues without a session; the session stays. The default.
    #[default]
    Report,
    /// The session is revoked, for everybody. Over a store that can lose acknowledged writes
    /// `build` refuses this.
    Revoke,
    /// The same over any store. For a site that accepts that each fail-over of its store signs out
    /// people whose last rotation was lost.
    RevokeDespiteLostWrites,
}

impl OnReuse {
    /// Whether the session is revoked.
    pub(crate) const fn revokes(self) -> bool {
        matches!(self, Self::Revoke | Self::RevokeDespiteLostWrites)
    }
}
