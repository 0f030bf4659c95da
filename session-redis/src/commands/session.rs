//! The commands on a session, except updates.

use std::sync::Arc;

use redis::{Cmd, FromRedisValue, Value as Reply};
use session_core::store::{Record, StoreError};
use session_core::{Ended, SessionId, Timestamp};
use tokio::time::{Duration, Instant};

use super::commands::{Commands, GRACE, millis, ttl};
use super::script::{CREATE, DELETE, DELETE_EXAMINED, EXAMINE, OWNER, READ, SETTLE, STAND, Script};
use crate::connection::Fault;
use crate::layout::{put_optional, put_principal, read_record, unexpected};

/// What a deletion found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Deletion {
    Deleted {
        principal: Option<String>,
    },
    /// Nothing, or the mark of a session that was deleted before.
    Absent,
    /// A session that names another principal. It is still there.
    OfAnother,
    /// Something that names no principal. It is still there.
    Unowned,
}

/// How a session stands, for who mends an index.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) principal: Option<String>,
    pub(crate) on_probation: bool,
    /// Neither of an absent one, nor of one that cannot be read.
    pub(crate) expires: Option<Timestamp>,
    pub(crate) deadline: Option<Timestamp>,
}

impl Commands {
    /// An expired session too, while it is there.
    pub(crate) async fn load(
        &self,
        id: SessionId,
        until: Instant,
    ) -> Result<Option<Arc<Record>>, StoreError> {
        let reply = match self.read(id, until).await {
            // It has the other layout.
            Err(Fault::WrongType) => {
                let call = READ.on(&self.names.session(id), 0, 0);
                Box::pin(READ.run(&self.link, &call, until)).await
            }
            reply => reply,
        };
        read_record(id, reply.map_err(Fault::into_read_error)?)
    }

    /// The command that reads a session of this layout.
    pub(super) async fn read(&self, id: SessionId, until: Instant) -> Result<Reply, Fault> {
        let name = self.names.session(id);
        let mut command = Cmd::with_capacity(2, 8 + name.len());
        command.arg(self.layout.read_command()).arg(&name);
        self.send(&command, until).await
    }

    /// Adds a session. With a probation it lives only that long.
    pub(crate) async fn create(
        &self,
        record: &Record,
        now: Timestamp,
        probation: Option<Duration>,
        until: Instant,
    ) -> Result<(), StoreError> {
        let (arguments, size) = self.layout.sizes(record);
        let mut call = CREATE.on(&self.names.session(record.id()), 4 + arguments, 64 + size);
        call.arg(now.as_millis());
        call.arg(probation.map_or_else(|| ttl(record, now), millis));
        put_optional(probation.map(|_| record.version()), &mut call);
        self.layout.put_record(record, &mut call);
        let reply = CREATE.run(&self.link, &call, until).await;
        match reply.map_err(Fault::into_write_error)? {
            Reply::Int(1) => Ok(()),
            Reply::Int(0) => Err(StoreError::IdTaken),
            _ => Err(Fault::strange().into_write_error()),
        }
    }

    /// Deletes a session, and leaves a mark in its place. With a principal, only if the session is
    /// theirs.
    pub(crate) async fn delete(
        &self,
        id: SessionId,
        principal: Option<&str>,
        ended: Ended,
        until: Instant,
    ) -> Result<Deletion, Fault> {
        let call = self.deletion(&DELETE, id, principal, ended);
        self.deleted(&DELETE, &call, until).await
    }

    /// Deletes what is stored under an id and cannot be read, if nobody has changed it since it was
    /// found so.
    pub(crate) async fn delete_unreadable(
        &self,
        id: SessionId,
        ended: Ended,
        until: Instant,
    ) -> Result<Deletion, StoreError> {
        let mut call = EXAMINE.on(&self.names.session(id), 1, 8);
        call.arg(self.layout.hint());
        let reply = EXAMINE.run(&self.link, &call, until).await;
        let Reply::Array(parts) = reply.map_err(Fault::into_read_error)? else {
            return Err(unexpected());
        };
        let mut parts = parts.into_iter();
        let hash = parts.next().and_then(text).ok_or_else(unexpected)?;
        // Without a second part it is of another kind.
        match parts.next().map(|content| read_record(id, content)) {
            Some(Ok(_)) => return Ok(Deletion::Absent),
            Some(Err(StoreError::Corrupt(_))) | None => {}
            Some(Err(error)) => return Err(error),
        }
        let mut call = self.deletion(&DELETE_EXAMINED, id, None, ended);
        call.arg(hash);
        let deleted = self.deleted(&DELETE_EXAMINED, &call, until).await;
        deleted.map_err(Fault::into_write_error)
    }

    fn deletion(
        &self,
        script: &Script,
        id: SessionId,
        principal: Option<&str>,
        ended: Ended,
    ) -> Cmd {
        let mark = ended.mark(id);
        let (arguments, size) = self.layout.sizes(&mark);
        let size = 64 + size + principal.map_or(0, str::len);
        let mut call = script.on(&self.names.session(id), 4 + arguments, size);
        call.arg(self.layout.hint());
        put_principal(principal, &mut call);
        // A session that ended at the beginning of time is not to be remembered.
        if ended.at == Timestamp::default() {
            call.arg("");
        } else {
            call.arg(mark.expires_at().as_millis());
            call.arg(mark.lifetime().absolute().as_millis());
            self.layout.put_record(&mark, &mut call);
        }
        call
    }

    async fn deleted(
        &self,
        script: &Script,
        call: &Cmd,
        until: Instant,
    ) -> Result<Deletion, Fault> {
        match script.run(&self.link, call, until).await? {
            Reply::Array(parts) => Deletion::of(parts).ok_or_else(Fault::strange),
            _ => Err(Fault::strange()),
        }
    }

    /// The principal that a session names, if it is there and names one.
    pub(crate) async fn owner(
        &self,
        id: SessionId,
        until: Instant,
    ) -> Result<Option<String>, StoreError> {
        let mut call = OWNER.on(&self.names.session(id), 1, 8);
        call.arg(self.layout.hint());
        let owner = OWNER.run(&self.link, &call, until).await;
        owner.map(text).map_err(Fault::into_read_error)
    }

    /// What the index of a principal has to agree with.
    pub(crate) async fn standing(
        &self,
        id: SessionId,
        until: Instant,
    ) -> Result<Standing, StoreError> {
        let mut call = STAND.on(&self.names.session(id), 1, 8);
        call.arg(self.layout.hint());
        let reply = STAND.run(&self.link, &call, until).await;
        let Reply::Array(parts) = reply.map_err(Fault::into_read_error)? else {
            return Err(unexpected());
        };
        let mut parts = parts.into_iter();
        let Some(principal) = parts.next() else {
            return Ok(Standing::default());
        };
        let on_probation = parts.next() == Some(Reply::Int(1));
        let mut time = || {
            let millis = Option::<u64>::from_redis_value(parts.next()?).ok()?;
            millis.map(Timestamp::from_millis)
        };
        Ok(Standing {
            principal: text(principal),
            on_probation,
            expires: time(),
            deadline: time(),
        })
    }

    /// Takes a session off the probation that began with this version. Returns whether the session
    /// is there. The probation of another version stays: its writer ends it.
    pub(crate) async fn end_probation(
        &self,
        id: SessionId,
        version: u64,
        now: Timestamp,
        until: Instant,
    ) -> Result<bool, Fault> {
        let mut call = SETTLE.on(&self.names.session(id), 4, 48);
        call.arg(version).arg(now.as_millis()).arg(millis(GRACE));
        call.arg(self.layout.hint());
        let there = SETTLE.run(&self.link, &call, until).await?;
        Ok(there == Reply::Int(1))
    }
}

impl Deletion {
    fn of(parts: Vec<Reply>) -> Option<Self> {
        let mut parts = parts.into_iter();
        let Reply::Int(count) = parts.next()? else {
            return None;
        };
        let principal = parts.next().and_then(text);
        Some(match (count, parts.next()) {
            (1.., _) => Self::Deleted { principal },
            (_, Some(Reply::Int(1))) => Self::Unowned,
            _ if principal.is_some() => Self::OfAnother,
            _ => Self::Absent,
        })
    }

    /// How many sessions were deleted.
    pub(crate) fn count(&self) -> u64 {
        u64::from(matches!(self, Self::Deleted { .. }))
    }
}

/// A text that may be missing.
pub(super) fn text(reply: Reply) -> Option<String> {
    match reply {
        Reply::BulkString(bytes) => String::from_utf8(bytes).ok(),
        Reply::SimpleString(text) => Some(text),
        _ => None,
    }
}
