//! The index of a principal: a sorted set of its sessions' ids, by their deadlines.
//!
//! Session and index lie on different nodes of a Cluster, so no step covers both. The order of the steps makes up for
//! it: the index is written first, and afterwards looked at again. Whoever ends all sessions marks the entry, ends the
//! session and takes the entry out; so either they find the session, or its writer finds the mark and ends it itself. Until then a
//! session lives on [probation](crate::probation): if its writer dies in between, so does the session.
//!
//! Nobody takes an entry out of which a session may live: it is marked, then the session is looked for, and then the entry goes
//! only if the mark is still there. Whoever writes a session after that look writes its entry before it, which removes the mark, or
//! confirms it afterwards, and finds no entry.

mod score;

use std::collections::HashSet;
use std::sync::Arc;

use redis::{FromRedisValue, Value as Reply, cmd};
use session_core::{Listed, SessionId, StoreError, Timestamp};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::fault::{Fault, Reason};
use crate::link::Twice;
use crate::script::{HEAL, OWNER};
use crate::store::{Inner, Spared, text};
use score::Score;

/// How many sessions of a principal are asked for, or ended, at once.
const AT_ONCE: usize = 32;
/// How many entries one command names.
const BATCH: usize = 500;
/// How many seconds an entry's session must have been missing: whoever writes one after its entry takes no longer. Clocks
/// that differ by more cost who signs in just then the session, and nothing else.
const MISSED: u64 = 60;

/// An entry as it was read, and the mark that comes in its place, or `None` to take it out.
type Step = (SessionId, f64, Option<i64>);

impl Inner {
    /// Takes the entry of a session that has ended for good out of its index. What fails is found
    /// out by whoever looks there next.
    pub(crate) async fn forget(&self, principal: &str, id: SessionId, until: Instant) {
        let mut command = cmd("ZREM");
        command.arg(self.names.index(principal)).arg(id.encode());
        if let Err(fault) = self.link.call(&command, Twice::Harmless, until).await {
            tracing::debug!(target: "session::redis", ?fault, "an index keeps the entry of a session that is gone");
        }
    }

    /// Takes the entry of a session that has changed hands out of its former index, unless it has come back by now.
    pub(crate) async fn leave(&self, former: &str, id: SessionId, until: Instant) {
        let left = async {
            // As one that has been missing for ever.
            let mark = Score::missed(Timestamp::from_millis(0))?;
            self.mark(former, &[id], mark, until).await?;
            match self.owner(id, until).await? {
                Some(owner) if owner == former => Ok(()),
                _ => self.heal(former, &[(id, mark as f64, None)], until).await,
            }
        };
        if let Err(error) = left.await {
            tracing::debug!(target: "session::redis", ?error, "an index keeps the entry of a session that has left");
        }
    }

    /// Whose a session is, where it is somebody's.
    async fn owner(&self, id: SessionId, until: Instant) -> Result<Option<String>, StoreError> {
        let mut call = OWNER.on(&self.names.session(id), 1, 8);
        call.arg(self.layout.hint());
        let owner = OWNER.run(&self.link, &call, Twice::Harmless, until).await;
        owner.map(text).map_err(Fault::of_read)
    }

    /// Each batch has a deadline of its own: somebody may have very many.
    pub(crate) async fn list(
        self: &Arc<Self>,
        principal: &str,
        now: Timestamp,
    ) -> Result<Vec<Listed>, StoreError> {
        let owner: Arc<str> = principal.into();
        let mut listed = Vec::new();
        // Read before the sessions are.
        let entries = self.entries(principal, 0, -1, self.link.until()).await?;
        for batch in entries.chunks(BATCH) {
            let until = self.link.until();
            let mut missing = HashSet::new();
            let ids: Vec<_> = batch.iter().map(|(id, _)| *id).collect();
            let loaded = self.each(&ids, |inner, id| {
                let owner = Arc::clone(&owner);
                async move { inner.find(&owner, id, until).await }
            });
            for (id, found) in loaded.await? {
                match found {
                    // It will be gone before long.
                    Some(Listed::Record(record)) if !record.is_live(now) => {}
                    Some(found) => listed.push(found),
                    None => {
                        missing.insert(id);
                    }
                }
            }
            let gone = batch.iter().filter(|(id, _)| missing.contains(id));
            if let Err(error) = self.heal(principal, &steps(gone, now), until).await {
                tracing::debug!(target: "session::redis", ?error, "an index could not be healed");
            }
        }
        listed.sort_by_key(|listed| (listed.record().map(|record| record.created()), listed.id()));
        Ok(listed)
    }

    /// The session of an entry in this principal's index, if it is there and theirs.
    async fn find(
        &self,
        principal: &str,
        id: SessionId,
        until: Instant,
    ) -> Result<Option<Listed>, StoreError> {
        match self.load(id, until).await {
            Ok(record) => {
                let theirs = record.filter(|record| record.principal() == Some(principal));
                Ok(theirs.map(Listed::Record))
            }
            Err(error @ StoreError::Corrupt(_)) => {
                // Where it does not say whose it is, the index does.
                let owner = self.owner(id, until).await?;
                let theirs = owner.is_none_or(|owner| owner == principal);
                Ok(theirs.then_some(Listed::Unreadable { id, error }))
            }
            Err(error) => Err(error),
        }
    }

    /// Ends a session if it is of this principal; says how many that were. One that is damaged and does not say whose it
    /// is, is theirs if it is in their index.
    pub(crate) async fn end_one(
        &self,
        principal: &str,
        id: SessionId,
        until: Instant,
    ) -> Result<u64, StoreError> {
        let ended = self.delete(id, Some(principal), until).await?;
        match ended.spared {
            Spared::Unowned if self.is_indexed(principal, id, until).await? => {
                self.end_damaged(id, until).await
            }
            _ => Ok(ended.count),
        }
    }

    /// The same for an entry that was seen in their index. A damaged one ends whatever it says.
    async fn end_indexed(&self, principal: &str, id: SessionId, until: Instant) -> Result<u64, StoreError> {
        let ended = self.delete(id, Some(principal), until).await?;
        match ended.spared {
            Spared::Nothing => Ok(ended.count),
            Spared::Unowned | Spared::AnothersOwn => self.end_damaged(id, until).await,
        }
    }

    async fn end_damaged(&self, id: SessionId, until: Instant) -> Result<u64, StoreError> {
        match self.load(id, until).await {
            Err(StoreError::Corrupt(_)) => Ok(self.delete(id, None, until).await?.count),
            Ok(_) => Ok(0),
            Err(error) => Err(error),
        }
    }

    async fn is_indexed(&self, principal: &str, id: SessionId, until: Instant) -> Result<bool, StoreError> {
        let mut command = cmd("ZSCORE");
        command.arg(self.names.index(principal)).arg(id.encode());
        let score = self.link.call(&command, Twice::Harmless, until).await;
        match score {
            Ok(score) => Ok(score != Reply::Nil),
            // There is no index.
            Err(Fault::WrongType) => Ok(false),
            Err(fault) => Err(fault.of_read()),
        }
    }

    /// Batch by batch, each with a deadline of its own: what was done stays done, and the next call goes on from there.
    pub(crate) async fn delete_all(
        self: &Arc<Self>,
        principal: &str,
        except: Option<SessionId>,
    ) -> Result<u64, StoreError> {
        let owner: Arc<str> = principal.into();
        let (mut ended, mut kept) = (0, 0);
        let mut done = HashSet::new();
        loop {
            let until = self.link.until();
            let last = kept + BATCH as i64 - 1;
            let entries = self.entries(principal, kept, last, until).await?;
            let read = entries.len();
            let ids = entries.into_iter().map(|(id, _)| id);
            let ids: Vec<_> = ids.filter(|id| Some(*id) != except && done.insert(*id)).collect();
            if ids.is_empty() {
                if read < BATCH {
                    return Ok(ended);
                }
                // What stays is in the way.
                kept += BATCH as i64;
                continue;
            }
            let mark = Score::revoked()?;
            self.mark(principal, &ids, mark, until).await?;
            let deleted = self.each(&ids, |inner, id| {
                let owner = Arc::clone(&owner);
                async move { inner.end_indexed(&owner, id, until).await }
            });
            ended += deleted.await?.into_iter().map(|(_, count)| count).sum::<u64>();
            let steps: Vec<_> = ids.iter().map(|id| (*id, mark as f64, None)).collect();
            self.heal(principal, &steps, until).await?;
            if read < BATCH {
                return Ok(ended);
            }
        }
    }

    /// Marks the entries that are there.
    async fn mark(
        &self,
        principal: &str,
        ids: &[SessionId],
        mark: i64,
        until: Instant,
    ) -> Result<(), StoreError> {
        for batch in ids.chunks(BATCH) {
            let mut command = cmd("ZADD");
            command.arg(self.names.index(principal)).arg("XX");
            for id in batch {
                command.arg(mark).arg(id.encode());
            }
            let marked = self.link.call(&command, Twice::Harmless, until).await;
            marked.map_err(|fault| fault.of_read())?;
        }
        Ok(())
    }

    async fn entries(
        &self,
        principal: &str,
        first: i64,
        last: i64,
        until: Instant,
    ) -> Result<Vec<(SessionId, f64)>, StoreError> {
        let mut command = cmd("ZRANGE");
        command
            .arg(self.names.index(principal))
            .arg(first)
            .arg(last)
            .arg("WITHSCORES");
        let reply = self.link.call(&command, Twice::Harmless, until).await;
        let entries = Vec::<(Vec<u8>, f64)>::from_redis_value(reply.map_err(|fault| fault.of_read())?);
        let entries = entries.map_err(|_| crate::layout::unexpected())?;
        // What is no id, another program has put there.
        let id = |name: &[u8]| std::str::from_utf8(name).ok()?.parse().ok();
        let entries = entries.into_iter();
        Ok(entries
            .filter_map(|(name, score)| Some((id(&name)?, score)))
            .collect())
    }

    /// Does something with each session, some at once; the answers are in no order.
    async fn each<F, T>(
        self: &Arc<Self>,
        ids: &[SessionId],
        act: impl Fn(Arc<Self>, SessionId) -> F,
    ) -> Result<Vec<(SessionId, T)>, StoreError>
    where
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
        T: Send + 'static,
    {
        let mut done = Vec::with_capacity(ids.len());
        let mut tasks = JoinSet::new();
        for id in ids {
            if tasks.len() >= AT_ONCE {
                done.extend(next(&mut tasks).await?);
            }
            let (id, task) = (*id, act(Arc::clone(self), *id));
            tasks.spawn(async move { task.await.map(|answer| (id, answer)) });
        }
        while let Some(answer) = next(&mut tasks).await? {
            done.push(answer);
        }
        Ok(done)
    }

    /// Carries the steps out, where the entries are still as they were read.
    async fn heal(&self, principal: &str, steps: &[Step], until: Instant) -> Result<(), StoreError> {
        for batch in steps.chunks(BATCH) {
            let mut call = HEAL.on(&self.names.index(principal), 3 * batch.len(), 64 * batch.len());
            for (id, score, mark) in batch {
                call.arg(id.encode()).arg(score.to_string());
                match mark {
                    Some(mark) => call.arg(*mark),
                    None => call.arg(""),
                };
            }
            let healed = HEAL.run(&self.link, &call, Twice::Harmless, until).await;
            healed.map_err(|fault| fault.of_read())?;
        }
        Ok(())
    }
}

/// What becomes of entries without a session. A session may be on its way, so the first time they are only marked.
fn steps<'a>(entries: impl Iterator<Item = &'a (SessionId, f64)>, now: Timestamp) -> Vec<Step> {
    let step = |&(id, score): &(SessionId, f64)| match Score::of(score) {
        Score::Deadline => Some((id, score, Some(Score::missed(now).ok()?))),
        Score::Missed(when) if u64::from(score::seconds(now)).saturating_sub(when) <= MISSED => None,
        Score::Missed(_) | Score::Revoked => Some((id, score, None)),
    };
    entries.filter_map(step).collect()
}

async fn next<T: 'static>(tasks: &mut JoinSet<Result<T, StoreError>>) -> Result<Option<T>, StoreError> {
    match tasks.join_next().await {
        None => Ok(None),
        Some(Ok(answer)) => answer.map(Some),
        Some(Err(_)) => Err(StoreError::Unavailable(Arc::new(Reason::Stopped))),
    }
}
