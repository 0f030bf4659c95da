//! The index of a principal: a sorted set of its sessions' ids, by their deadlines.
//!
//! Session and index lie on different nodes of a Cluster, so no step covers both. The order of the
//! steps makes up for it: the index is written first, and afterwards looked at again. Whoever ends
//! all sessions marks the entry, ends the session and takes the entry out; so either they find the
//! session, or its writer finds the mark and ends it itself. Until then a session lives on
//! [probation](crate::probation): if its writer dies in between, so does the session.
//!
//! Nobody takes an entry out of which a session may live: it is marked, then the session is looked
//! for, and then the entry goes only if the mark is still there. Whoever writes a session after
//! that look writes its entry before it, which removes the mark, or confirms it afterwards, and
//! finds no entry.

mod pages;
mod score;
mod tidy;

use std::collections::HashSet;
use std::sync::Arc;

use redis::{Value as Reply, cmd};
use session_core::{Ended, Listed, SessionId, StoreError, Timestamp};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::fault::{Fault, Reason};
use crate::link::Twice;
use crate::script::{HEAL, OWNER};
use crate::store::{Inner, Spared, text};
use pages::Pages;
use score::Score;

/// How many sessions of a principal are asked for, or ended, at once.
const AT_ONCE: usize = 32;
/// How many seconds an entry's session must have been missing: whoever writes one after its entry
/// takes no longer. Clocks that differ by more cost who signs in just then the session, and nothing
/// else.
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

    /// Takes the entry of a session that has changed hands out of its former index, unless it has
    /// come back by now.
    pub(crate) async fn leave(&self, former: &str, id: SessionId, until: Instant) {
        let left = async {
            // As one that has been missing for ever.
            let mark = Score::missed(Timestamp::from_millis(0))?;
            let marked = self.mark(former, &[id], mark, until).await;
            marked.map_err(Fault::of_read)?;
            if self.owner(id, until).await?.as_deref() == Some(former) {
                return Ok(());
            }
            let healed = self.heal(former, &[(id, mark as f64, None)], until).await;
            healed.map(drop).map_err(Fault::of_read)
        };
        let left: Result<(), StoreError> = left.await;
        if let Err(error) = left {
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

    /// Page by page, each with a deadline of its own: somebody may have very many. What has no
    /// session leaves the index on the way, so the next one has less to read.
    pub(crate) async fn list(
        self: &Arc<Self>,
        principal: &str,
        now: Timestamp,
    ) -> Result<Vec<Listed>, StoreError> {
        let owner: Arc<str> = principal.into();
        let (mut listed, mut seen) = (Vec::new(), HashSet::new());
        let mut pages = Pages::default();
        // Read before the sessions are.
        while let Some(mut entries) = pages.next(self, principal, self.link.until()).await? {
            let until = self.link.until();
            entries.retain(|(id, _)| seen.insert(*id));
            let found = self.each(entries.iter().map(|(id, _)| *id), |inner, id| {
                let owner = Arc::clone(&owner);
                async move { inner.find(&owner, id, until).await }
            });
            let mut missing = HashSet::new();
            for (id, found) in found.await? {
                match found? {
                    // It will be gone before long.
                    Some(Listed::Record(record)) if !record.is_live(now) => {}
                    Some(found) => listed.push(found),
                    None => {
                        missing.insert(id);
                    }
                }
            }
            entries.retain(|(id, _)| missing.contains(id));
            match self.heal(principal, &steps(&entries, now), until).await {
                Ok(taken) => pages.taken_out(taken),
                Err(error) => {
                    tracing::debug!(target: "session::redis", ?error, "an index could not be healed");
                }
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

    /// Ends a session if it is of this principal; says how many that were. One that is damaged and
    /// does not say whose it is, is theirs if it is in their index.
    pub(crate) async fn end_one(
        &self,
        principal: &str,
        id: SessionId,
        ended: Ended,
        until: Instant,
    ) -> Result<u64, StoreError> {
        let deleted = self.delete(id, Some(principal), ended, until).await?;
        match deleted.spared {
            Spared::Unowned if self.is_indexed(principal, id, until).await? => {
                self.end_damaged(id, ended, until).await
            }
            _ => Ok(deleted.count),
        }
    }

    /// The same for an entry that was seen in their index. A damaged one ends whatever it says.
    async fn end_indexed(
        &self,
        principal: &str,
        id: SessionId,
        ended: Ended,
        until: Instant,
    ) -> Result<u64, StoreError> {
        let deleted = self.delete(id, Some(principal), ended, until).await?;
        match deleted.spared {
            Spared::Nothing => Ok(deleted.count),
            Spared::Unowned | Spared::AnothersOwn => self.end_damaged(id, ended, until).await,
        }
    }

    async fn end_damaged(
        &self,
        id: SessionId,
        ended: Ended,
        until: Instant,
    ) -> Result<u64, StoreError> {
        match self.load(id, until).await {
            Err(StoreError::Corrupt(_)) => Ok(self.delete(id, None, ended, until).await?.count),
            Ok(_) => Ok(0),
            Err(error) => Err(error),
        }
    }

    async fn is_indexed(
        &self,
        principal: &str,
        id: SessionId,
        until: Instant,
    ) -> Result<bool, StoreError> {
        let mut command = cmd("ZSCORE");
        command.arg(self.names.index(principal)).arg(id.encode());
        let score = self.link.call(&command, Twice::Harmless, until).await;
        Ok(score.map_err(Fault::of_read)? != Reply::Nil)
    }

    /// Page by page, each with a deadline of its own: what was done stays done, and the next call
    /// goes on from there.
    pub(crate) async fn delete_all(
        self: &Arc<Self>,
        principal: &str,
        except: Option<SessionId>,
        ended: Ended,
    ) -> Result<u64, StoreError> {
        let owner: Arc<str> = principal.into();
        let (mut total, mut seen) = (0, HashSet::new());
        let mut pages = Pages::default();
        while let Some(mut entries) = pages.next(self, principal, self.link.until()).await? {
            let until = self.link.until();
            entries.retain(|(id, _)| Some(*id) != except && seen.insert(*id));
            if entries.is_empty() {
                continue;
            }
            self.mark_revoked(principal, &mut entries, until).await?;
            let deleted = self.each(entries.iter().map(|(id, _)| *id), |inner, id| {
                let owner = Arc::clone(&owner);
                async move { inner.end_indexed(&owner, id, ended, until).await }
            });
            let (mut failure, mut done) = (None, HashSet::new());
            for (id, deleted) in deleted.await? {
                match deleted {
                    Ok(count) => {
                        total += count;
                        done.insert(id);
                    }
                    // The others end all the same.
                    Err(error) => failure = Some(error),
                }
            }
            let gone = entries.iter().filter(|(id, _)| done.contains(id));
            let steps: Vec<_> = gone.map(|(id, score)| (*id, *score, None)).collect();
            match self.heal(principal, &steps, until).await {
                Ok(taken) => pages.taken_out(taken),
                // Somebody has to change a setting, and is to know.
                Err(fault) if fault.is_lasting() => return Err(fault.of_read()),
                // The sessions have ended, which is what was asked for.
                Err(error) => {
                    tracing::debug!(target: "session::redis", ?error, "an index keeps entries of sessions that are gone");
                }
            }
            if let Some(error) = failure {
                return Err(error);
            }
        }
        Ok(total)
    }

    /// Marks entries as those of sessions that are about to be ended. Where the server has no room
    /// for that they keep their scores: to end a session makes room, and nobody signs in meanwhile.
    async fn mark_revoked(
        &self,
        principal: &str,
        entries: &mut [(SessionId, f64)],
        until: Instant,
    ) -> Result<(), StoreError> {
        let mark = Score::revoked()?;
        let ids: Vec<_> = entries.iter().map(|(id, _)| *id).collect();
        match self.mark(principal, &ids, mark, until).await {
            Ok(()) => entries
                .iter_mut()
                .for_each(|(_, score)| *score = mark as f64),
            Err(fault) if fault.is_out_of_memory() => {}
            Err(fault) => return Err(fault.of_read()),
        }
        Ok(())
    }

    /// Marks the entries that are there.
    async fn mark(
        &self,
        principal: &str,
        ids: &[SessionId],
        mark: i64,
        until: Instant,
    ) -> Result<(), Fault> {
        let mut command = cmd("ZADD");
        command.arg(self.names.index(principal)).arg("XX");
        for id in ids {
            command.arg(mark).arg(id.encode());
        }
        self.link
            .call(&command, Twice::Harmless, until)
            .await
            .map(drop)
    }

    /// Does something with each session, some at once; the answers are in no order.
    async fn each<F, T>(
        self: &Arc<Self>,
        ids: impl Iterator<Item = SessionId>,
        act: impl Fn(Arc<Self>, SessionId) -> F,
    ) -> Result<Vec<(SessionId, Result<T, StoreError>)>, StoreError>
    where
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
        T: Send + 'static,
    {
        let mut done = Vec::new();
        let mut tasks = JoinSet::new();
        for id in ids {
            if tasks.len() >= AT_ONCE {
                done.extend(next(&mut tasks).await?);
            }
            let task = act(Arc::clone(self), id);
            tasks.spawn(async move { (id, task.await) });
        }
        while let Some(answer) = next(&mut tasks).await? {
            done.push(answer);
        }
        Ok(done)
    }

    /// Carries the steps out, where the entries are still as they were read; says how many were
    /// taken out.
    async fn heal(&self, principal: &str, steps: &[Step], until: Instant) -> Result<usize, Fault> {
        if steps.is_empty() {
            return Ok(0);
        }
        let mut call = HEAL.on(
            &self.names.index(principal),
            3 * steps.len(),
            64 * steps.len(),
        );
        for (id, score, mark) in steps {
            call.arg(id.encode()).arg(score.to_string());
            match mark {
                Some(mark) => call.arg(*mark),
                None => call.arg(""),
            };
        }
        match HEAL.run(&self.link, &call, Twice::Harmless, until).await? {
            Reply::Int(taken) => Ok(usize::try_from(taken).unwrap_or(0)),
            _ => Ok(0),
        }
    }
}

/// What becomes of entries without a session. A session may be on its way, so the first time they
/// are only marked.
fn steps(entries: &[(SessionId, f64)], now: Timestamp) -> Vec<Step> {
    let step = |&(id, score): &(SessionId, f64)| match Score::of(score) {
        Score::Deadline => Some((id, score, Some(Score::missed(now).ok()?))),
        Score::Missed(when) if u64::from(score::seconds(now)).saturating_sub(when) <= MISSED => {
            None
        }
        Score::Missed(_) | Score::Revoked => Some((id, score, None)),
    };
    entries.iter().filter_map(step).collect()
}

async fn next<T: 'static>(tasks: &mut JoinSet<T>) -> Result<Option<T>, StoreError> {
    match tasks.join_next().await {
        None => Ok(None),
        Some(Ok(answer)) => Ok(Some(answer)),
        Some(Err(_)) => Err(StoreError::Unavailable(Arc::new(Reason::Stopped))),
    }
}
