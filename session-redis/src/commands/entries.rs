//! The commands on the index of a principal.

use redis::{Cmd, FromRedisValue, Value as Reply, cmd};
use session_core::store::{Record, StoreError};
use session_core::{SessionId, Timestamp};
use tokio::time::{Duration, Instant};

use super::commands::{Commands, millis};
use super::script::{ADOPT, CONFIRM, HEAL, INDEX};
use crate::connection::Fault;
use crate::layout::unexpected;

/// An index stays this much longer than its sessions, and so does each entry: it is not renewed
/// when they are, and the clocks of those who renew them may differ.
const GRACE: Duration = Duration::from_secs(24 * 3600);

/// An entry as it was read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Entry {
    pub(crate) id: SessionId,
    pub(crate) score: f64,
}

/// What to do with an entry, if it still has the score that was read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Repair {
    /// Gives it this score.
    Mark(Entry, i64),
    Remove(Entry),
}

/// Whether a sign-in made an index longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Growth {
    /// The entry came to others.
    Grown,
    /// The entry is the first one, or was there before.
    NotGrown,
}

/// A name and its score. What is no id, another program has put there.
pub(crate) type RawEntry = (Vec<u8>, f64);

/// Those entries that name a session.
pub(crate) fn session_entries(entries: Vec<RawEntry>) -> Vec<Entry> {
    let entry = |(name, score): (Vec<u8>, f64)| {
        let id = std::str::from_utf8(&name).ok()?.parse().ok()?;
        Some(Entry { id, score })
    };
    entries.into_iter().filter_map(entry).collect()
}

impl Commands {
    /// Adds an entry for a session that is about to be written.
    pub(crate) async fn add_entry(
        &self,
        principal: &str,
        record: &Record,
        now: Timestamp,
        until: Instant,
    ) -> Result<Growth, Fault> {
        let mut call = INDEX.on(&self.names.index(principal), 4, 80);
        call.arg(record.id().encode())
            .arg(record.absolute_expiry().as_millis());
        call.arg(now.as_millis()).arg(millis(GRACE));
        match INDEX.run(&self.link, &call, until).await? {
            Reply::Int(1) => Ok(Growth::Grown),
            _ => Ok(Growth::NotGrown),
        }
    }

    /// Returns whether the entry of a session that was just written is there and not revoked. If it
    /// was marked as missing, it gets its score back.
    pub(crate) async fn confirm_entry(
        &self,
        principal: &str,
        record: &Record,
        until: Instant,
    ) -> Result<bool, Fault> {
        let mut call = CONFIRM.on(&self.names.index(principal), 2, 48);
        call.arg(record.id().encode())
            .arg(record.absolute_expiry().as_millis());
        let kept = CONFIRM.run(&self.link, &call, until).await?;
        Ok(kept == Reply::Int(1))
    }

    /// Gives entries this score, if they are there.
    pub(crate) async fn mark_entries(
        &self,
        principal: &str,
        entries: &[Entry],
        mark: i64,
        until: Instant,
    ) -> Result<(), Fault> {
        let mut command = self.on_index("ZADD", principal);
        command.arg("XX");
        for entry in entries {
            command.arg(mark).arg(entry.id.encode());
        }
        self.send(&command, until).await.map(drop)
    }

    /// Returns how many entries were removed.
    pub(crate) async fn repair_entries(
        &self,
        principal: &str,
        repairs: &[Repair],
        until: Instant,
    ) -> Result<usize, Fault> {
        if repairs.is_empty() {
            return Ok(0);
        }
        let (arguments, size) = (3 * repairs.len(), 64 * repairs.len());
        let mut call = HEAL.on(&self.names.index(principal), arguments, size);
        for repair in repairs {
            let (Repair::Mark(entry, _) | Repair::Remove(entry)) = repair;
            call.arg(entry.id.encode()).arg(entry.score.to_string());
            match repair {
                Repair::Mark(_, mark) => call.arg(*mark),
                Repair::Remove(_) => call.arg(""),
            };
        }
        match HEAL.run(&self.link, &call, until).await? {
            Reply::Int(removed) => Ok(usize::try_from(removed).unwrap_or(0)),
            _ => Ok(0),
        }
    }

    /// Removes an entry, whatever its score is.
    pub(crate) async fn remove_entry(
        &self,
        principal: &str,
        id: SessionId,
        until: Instant,
    ) -> Result<(), Fault> {
        let mut command = self.on_index("ZREM", principal);
        command.arg(id.encode());
        self.send(&command, until).await.map(drop)
    }

    pub(crate) async fn has_entry(
        &self,
        principal: &str,
        id: SessionId,
        until: Instant,
    ) -> Result<bool, StoreError> {
        let score = self.entry_score(principal, id, until).await?;
        Ok(score.is_some())
    }

    /// The score of an entry, if it is there.
    pub(crate) async fn entry_score(
        &self,
        principal: &str,
        id: SessionId,
        until: Instant,
    ) -> Result<Option<f64>, StoreError> {
        let mut command = self.on_index("ZSCORE", principal);
        command.arg(id.encode());
        let score = self.send(&command, until).await;
        let score = score.map_err(Fault::into_read_error)?;
        FromRedisValue::from_redis_value(score).map_err(|_| unexpected())
    }

    /// Adds an entry that is missing, with a mark for its score. Returns whether it was missing.
    pub(crate) async fn adopt_entry(
        &self,
        principal: &str,
        id: SessionId,
        mark: i64,
        (deadline, now): (Timestamp, Timestamp),
        until: Instant,
    ) -> Result<bool, Fault> {
        let mut call = ADOPT.on(&self.names.index(principal), 5, 96);
        call.arg(id.encode()).arg(mark).arg(deadline.as_millis());
        call.arg(now.as_millis()).arg(millis(GRACE));
        let added = ADOPT.run(&self.link, &call, until).await?;
        Ok(added == Reply::Int(1))
    }

    /// A number of entries from this rank on, in the order of scores, then of names.
    pub(crate) async fn entries_by_rank(
        &self,
        principal: &str,
        first: usize,
        count: usize,
        until: Instant,
    ) -> Result<Vec<RawEntry>, StoreError> {
        let mut command = self.on_index("ZRANGE", principal);
        command.arg(first).arg(first + count - 1).arg("WITHSCORES");
        self.entries(command, until).await
    }

    /// A number of entries between two scores, after some that are skipped.
    pub(crate) async fn entries_by_score(
        &self,
        principal: &str,
        [from, to]: &[String; 2],
        skip: u64,
        count: usize,
        until: Instant,
    ) -> Result<Vec<RawEntry>, StoreError> {
        let mut command = self.on_index("ZRANGE", principal);
        command.arg(from).arg(to).arg("BYSCORE");
        command.arg("LIMIT").arg(skip).arg(count).arg("WITHSCORES");
        self.entries(command, until).await
    }

    async fn entries(&self, command: Cmd, until: Instant) -> Result<Vec<RawEntry>, StoreError> {
        let reply = self.send(&command, until).await;
        let reply = reply.map_err(Fault::into_read_error)?;
        FromRedisValue::from_redis_value(reply).map_err(|_| unexpected())
    }

    pub(super) fn on_index(&self, command: &str, principal: &str) -> Cmd {
        let mut command = cmd(command);
        command.arg(self.names.index(principal));
        command
    }
}
