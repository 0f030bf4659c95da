//! What every session of a manager goes by.

use std::time::Duration;

use bytestring::ByteString;

use crate::error::SessionError;
use crate::record::{Codec, Lifetime, Limit, LimitExceeded, Limits, Record, SessionId};
use crate::store::RecordLocation;
use crate::time::Timestamp;
use crate::token::{DeviceBinding, Rotation, Secret};

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
    pub(crate) device_binding: DeviceBinding,
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

    /// Whether a session may have this size and number of keys, before its values are sealed.
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

/// How long store calls and commits may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    pub(crate) call: Duration,
    pub(crate) commit: Duration,
}

impl Timeouts {
    /// Sets how long one store call may take. Default: 2 s.
    ///
    /// This limit is for stores that have no timeout of their own. A store that has one
    /// ([`SessionStore::call_timeout`](crate::store::SessionStore::call_timeout)) should answer
    /// sooner.
    #[must_use]
    pub const fn with_call(mut self, timeout: Duration) -> Self {
        self.call = timeout;
        self
    }

    /// Sets how long a commit keeps trying, and waits for other writers. Default: 10 s.
    ///
    /// After this time the commit fails with [`SessionError::Contended`], and an event of that name
    /// reports it. Calls that have begun by then have their own timeout.
    ///
    /// Requests of one process that conflict over a session are written one after the other, in the
    /// order in which they came. Processes take turns. So within this time a session accepts about
    /// as many writes as the store can answer one after the other: some 5,000 at 2 ms each,
    /// whatever the number of processes.
    #[must_use]
    pub const fn with_commit(mut self, timeout: Duration) -> Self {
        self.commit = timeout;
        self
    }

    /// How long one store call may take.
    pub const fn call(&self) -> Duration {
        self.call
    }

    /// How long a commit keeps trying.
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

/// What happens to a request whose record exists but cannot be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnCorrupt {
    /// The request continues without a session, and an event reports it. What the request stores
    /// goes into a new session. The unreadable record stays until it expires. The default.
    #[default]
    StartEmpty,
    /// The request fails with [`StoreError::Corrupt`](crate::store::StoreError::Corrupt), and so
    /// does every request with that token until the record expires or is repaired.
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
    /// fails with [`SessionError::TooManySessions`]. Over HTTP the client gets a 409 with an empty
    /// body, unless `SessionLayer::on_error` makes another response. If several sign-ins race past
    /// the limit, one that already succeeded may be revoked instead of the one that is refused.
    Refuse,
}

/// The most sessions of one principal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SessionLimit {
    pub(crate) most: usize,
    pub(crate) beyond: OnMaxSessions,
}

/// What to do when a client presents a token that was rotated away and whose overlap is over.
///
/// In that case two parties hold tokens of the session, and one of them is not the client (RFC
/// 9700, 4.14.2).
///
/// An event reports the reuse in any case. Revoking the session is the safe answer if tokens are
/// [signed](crate::SessionManagerBuilder::keys) and the store loses no acknowledged write. If the
/// store may lose one ([`Durability`](crate::store::Durability)), as Redis may at a fail-over, a
/// client whose newest token was lost looks like a thief. At a planned fail-over nearly every
/// active client does.
///
/// A MAC holds the epoch modulo 4. So a token that is exactly 4, 8, .. renewals old counts as a
/// token of the current epoch, and this setting applies to it.
///
/// ```
/// use session_core::{MemoryStore, OnReuse, Rotation, SessionManager};
///
/// let builder = SessionManager::builder(MemoryStore::new()).rotation(Rotation::default());
/// assert!(builder.on_reuse(OnReuse::Revoke).build().is_ok()); // it loses all writes or none
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnReuse {
    /// The request continues without a session; the session stays. The default.
    #[default]
    Report,
    /// The session is revoked, for everybody. `build` refuses this over a store that can lose
    /// acknowledged writes.
    Revoke,
    /// The session is revoked, over any store. Use it for a site that accepts that each fail-over
    /// of its store signs out people whose last rotation was lost.
    RevokeDespiteLostWrites,
}

impl OnReuse {
    /// Whether the session is revoked.
    pub(crate) const fn revokes(self) -> bool {
        matches!(self, Self::Revoke | Self::RevokeDespiteLostWrites)
    }
}
