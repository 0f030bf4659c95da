//! The index of a principal: a sorted set of its sessions' ids, by their deadlines.
//!
//! Session and index lie on different nodes of a Cluster, so no step covers both. The order of the steps makes up for
//! it: the index is written first, and afterwards looked at again. Whoever ends all sessions marks the entry, ends the
//! session and takes the entry out; so either they find the session, or its writer finds the mark and ends it itself. Until then a
//! session lives on [probation](Inner::provisional): if its writer dies in between, so does the session.
//!
//! Nobody takes an entry out of which a session may live: it is marked, then the session is looked for, and then the entry goes
//! only if the mark is still there. Whoever writes a session after that look writes its entry before it, which removes the mark, or
//! confirms it afterwards, and finds no entry.

mod score;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use redis::{FromRedisValue, Value as Reply, cmd};
use session_core::{Key, Record, SessionId, StoreError, Timestamp, Updated};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::fault::Reason;
use crate::link::Twice;
use crate::script::{CONFIRM, HEAL, INDEX, SETTLE};
use crate::store::{Answer, Change, GRACE, Inner};
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
    /// How long a session lives that was written and is not confirmed yet, in milliseconds: longer than its
    /// writer takes to confirm it.
    pub(crate) fn provisional(&self) -> u64 {
        let time = self.link.timing().deadline * 2 + Duration::from_secs(10);
        u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
    }

    /// Adds a session with a principal. It goes on if the caller goes away.
    pub(crate) async fn create_indexed(
        self: Arc<Self>,
        record: Arc<Record>,
        now: Timestamp,
        until: Instant,
    ) -> Result<Key, StoreError> {
        finish(async move {
            let (id, principal) = (record.id(), record.principal().unwrap_or_default());
            self.index(principal, &record, now, until).await?;
            self.create(&record, now, Some(self.provisional()), until).await?;
            // If it was revoked meanwhile it was created, and then ended with the others.
            self.confirm(principal, &record, record.version(), now, until)
                .await?;
            Ok(Key::Id(id))
        })
        .await
    }

    /// Changes a session whose principal is new to it. It goes on if the caller goes away.
    pub(crate) async fn update_indexed(
        self: Arc<Self>,
        change: Change,
        record: Arc<Record>,
        now: Timestamp,
        until: Instant,
    ) -> Result<Updated, StoreError> {
        finish(async move {
            let principal = record.principal().unwrap_or_default();
            self.index(principal, &record, now, until).await?;
            let (version, former) = match self.update(&change, until).await? {
                Answer::Saved { version, former } => (version, former),
                Answer::Conflict(fresh) => return Ok(Updated::Conflict(fresh)),
                Answer::Gone => return Ok(Updated::Gone),
                Answer::IndexFirst => return Err(crate::layout::unexpected()),
            };
            let kept = self.confirm(principal, &record, version, now, until).await?;
            if let Some(former) = former {
                self.leave(&former, change.id, until).await;
            }
            Ok(match kept {
                true => Updated::Saved {
                    key: Key::Id(change.id),
                    version,
                },
                false => Updated::Gone,
            })
        })
        .await
    }

    /// Before the session is written.
    async fn index(
        &self,
        principal: &str,
        record: &Record,
        now: Timestamp,
        until: Instant,
    ) -> Result<(), StoreError> {
        let mut call = INDEX.on(&self.names.index(principal), 4, 80);
        call.arg(record.id().encode()).arg(record.deadline().as_millis());
        call.arg(now.as_millis()).arg(millis(GRACE));
        let done = INDEX.run(&self.link, &call, Twice::Harmless, until).await;
        // An entry without a session is none, so nothing was written.
        done.map(drop).map_err(|fault| fault.of_read())
    }

    /// After it was written: takes it off probation, or ends it if it was revoked meanwhile.
    async fn confirm(
        &self,
        principal: &str,
        record: &Record,
        version: u64,
        now: Timestamp,
        until: Instant,
    ) -> Result<bool, StoreError> {
        let id = record.id();
        let mut call = CONFIRM.on(&self.names.index(principal), 2, 48);
        call.arg(id.encode()).arg(record.deadline().as_millis());
        let kept = CONFIRM.run(&self.link, &call, Twice::Harmless, until).await;
        // By now something was written.
        if kept.map_err(|fault| fault.of_confirmation())? != Reply::Int(1) {
            let ended = self.delete(id, Some(principal), until).await;
            ended.map_err(unknown)?;
            return Ok(false);
        }
        let mut call = SETTLE.on(&self.names.session(id), 3, 48);
        call.arg(version).arg(now.as_millis()).arg(millis(GRACE));
        let there = SETTLE.run(&self.link, &call, Twice::Harmless, until).await;
        Ok(there.map_err(|fault| fault.of_confirmation())? == Reply::Int(1))
    }

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
            let mut owner = cmd("HGET");
            owner.arg(self.names.session(id)).arg("p");
            let owner = self.link.call(&owner, Twice::Harmless, until).await;
            match owner.map_err(|fault| fault.of_read())? {
                Reply::BulkString(owner) if owner == former.as_bytes() => Ok(()),
                _ => self.heal(former, &[(id, mark as f64, None)], until).await,
            }
        };
        if let Err(error) = left.await {
            tracing::debug!(target: "session::redis", ?error, "an index keeps the entry of a session that has left");
        }
    }

    pub(crate) async fn list(
        self: &Arc<Self>,
        principal: &str,
        now: Timestamp,
        until: Instant,
    ) -> Result<Vec<Arc<Record>>, StoreError> {
        let mut records = Vec::new();
        let mut missing = HashSet::new();
        // Read before the sessions are.
        let mut entries = self.entries(principal, until).await?;
        let ids: Vec<_> = entries.iter().map(|(id, _)| *id).collect();
        let loaded = self
            .each(&ids, |inner, id| async move { inner.load(id, until).await })
            .await?;
        for (id, record) in loaded {
            match record {
                Some(record) if record.principal() == Some(principal) && record.is_live(now) => {
                    records.push(record);
                }
                // It will be gone before long, or is somebody else's.
                Some(record) if record.principal() == Some(principal) => {}
                _ => {
                    missing.insert(id);
                }
            }
        }
        entries.retain(|(id, _)| missing.contains(id));
        if let Err(error) = self.heal(principal, &steps(entries, now), until).await {
            tracing::debug!(target: "session::redis", ?error, "an index could not be healed");
        }
        records.sort_by_key(|record| (record.created(), record.id()));
        Ok(records)
    }

    pub(crate) async fn delete_all(
        self: &Arc<Self>,
        principal: &str,
        except: Option<SessionId>,
        until: Instant,
    ) -> Result<u64, StoreError> {
        let entries = self.entries(principal, until).await?;
        let ids = entries.into_iter().map(|(id, _)| id);
        let ids: Vec<_> = ids.filter(|id| Some(*id) != except).collect();
        let mark = Score::revoked()?;
        self.mark(principal, &ids, mark, until).await?;
        let owner: Arc<str> = principal.into();
        let ended = self.each(&ids, |inner, id| {
            let owner = Arc::clone(&owner);
            async move { inner.delete(id, Some(&owner), until).await }
        });
        let ended = ended.await?.into_iter().map(|(_, (count, _))| count).sum();
        let steps: Vec<_> = ids.iter().map(|id| (*id, mark as f64, None)).collect();
        self.heal(principal, &steps, until).await?;
        Ok(ended)
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

    async fn entries(&self, principal: &str, until: Instant) -> Result<Vec<(SessionId, f64)>, StoreError> {
        let mut command = cmd("ZRANGE");
        command
            .arg(self.names.index(principal))
            .arg(0)
            .arg(-1)
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
fn steps(entries: Vec<(SessionId, f64)>, now: Timestamp) -> Vec<Step> {
    let step = |(id, score): (SessionId, f64)| match Score::of(score) {
        Score::Deadline => Some((id, score, Some(Score::missed(now).ok()?))),
        Score::Missed(when) if u64::from(score::seconds(now)).saturating_sub(when) <= MISSED => None,
        Score::Missed(_) | Score::Revoked => Some((id, score, None)),
    };
    entries.into_iter().filter_map(step).collect()
}

/// What a step says that failed after something was written.
fn unknown(error: StoreError) -> StoreError {
    match error {
        StoreError::Unavailable(cause) => StoreError::OutcomeUnknown(cause),
        other => other,
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

async fn next<T: 'static>(tasks: &mut JoinSet<Result<T, StoreError>>) -> Result<Option<T>, StoreError> {
    match tasks.join_next().await {
        None => Ok(None),
        Some(Ok(answer)) => answer.map(Some),
        Some(Err(_)) => Err(StoreError::Unavailable(Arc::new(Reason::Stopped))),
    }
}

/// Runs steps that belong together to their end, whether somebody waits for it or not.
async fn finish<T: Send + 'static>(
    steps: impl Future<Output = Result<T, StoreError>> + Send + 'static,
) -> Result<T, StoreError> {
    let ended = tokio::spawn(steps).await;
    ended.unwrap_or_else(|_| Err(StoreError::OutcomeUnknown(Arc::new(Reason::Stopped))))
}
