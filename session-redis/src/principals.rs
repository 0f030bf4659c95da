//! The index of a principal: a sorted set of its sessions' ids, by their deadlines.
//!
//! Session and index lie on different nodes of a Cluster, so no step covers both. The order of the steps makes up for
//! it: the index is written first, and afterwards looked at again. Whoever ends all sessions marks the entry, ends the
//! session and takes the entry out; so either they find the session, or its writer finds the mark and ends it itself. Until then a
//! session lives on [probation](Inner::provisional): if its writer dies in between, so does the session.

use std::sync::Arc;
use std::time::Duration;

use redis::{FromRedisValue, Value as Reply, cmd};
use session_core::{Key, Record, SessionId, StoreError, Timestamp, Updated};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::fault::Reason;
use crate::link::Twice;
use crate::script::{CONFIRM, HEAL, INDEX};
use crate::store::{Answer, Change, GRACE, Inner, ttl};

/// How many sessions of a principal are asked for, or ended, at once.
const AT_ONCE: usize = 32;
/// How many entries one command names.
const BATCH: usize = 500;
/// How long an entry's session must have been missing. Whoever writes one after its entry takes no longer.
const MISSED: Duration = Duration::from_secs(60);

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
            self.create(&record, now, self.provisional(), until).await?;
            // If it was revoked meanwhile it was created, and then ended with the others.
            self.confirm(principal, &record, ttl(&record, now), until).await?;
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
        ttl: u64,
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
            let kept = self.confirm(principal, &record, ttl, until).await?;
            if let Some(former) = former {
                self.forget(&former, change.id, until).await;
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
        ttl: u64,
        until: Instant,
    ) -> Result<bool, StoreError> {
        let id = record.id();
        let mut call = CONFIRM.on(&self.names.index(principal), 2, 48);
        call.arg(id.encode()).arg(record.deadline().as_millis());
        let kept = CONFIRM.run(&self.link, &call, Twice::Harmless, until).await;
        // By now something was written.
        if kept.map_err(|fault| fault.of_confirmation())? != Reply::Int(1) {
            self.delete(id, Some(principal), until).await?;
            return Ok(false);
        }
        let mut command = cmd("PEXPIRE");
        command.arg(self.names.session(id)).arg(ttl);
        let there = self.link.call(&command, Twice::Harmless, until).await;
        Ok(there.map_err(|fault| fault.of_confirmation())? == Reply::Int(1))
    }

    /// Takes the entry of a session that has ended, or changed hands, out of its index. What fails is found
    /// out by whoever looks there next.
    pub(crate) async fn forget(&self, principal: &str, id: SessionId, until: Instant) {
        let mut command = cmd("ZREM");
        command.arg(self.names.index(principal)).arg(id.encode());
        if let Err(fault) = self.link.call(&command, Twice::Harmless, until).await {
            tracing::debug!(target: "session::redis", ?fault, "an index keeps the entry of a session that is gone");
        }
    }

    pub(crate) async fn list(
        self: &Arc<Self>,
        principal: &str,
        now: Timestamp,
        until: Instant,
    ) -> Result<Vec<Arc<Record>>, StoreError> {
        let mut records = Vec::new();
        let mut missing = Vec::new();
        let ids = self.entries(principal, until).await?;
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
                _ => missing.push(id),
            }
        }
        self.heal(principal, &missing, now, until).await;
        records.sort_by_key(|record| (record.created(), record.id()));
        Ok(records)
    }

    pub(crate) async fn delete_all(
        self: &Arc<Self>,
        principal: &str,
        except: Option<SessionId>,
        until: Instant,
    ) -> Result<u64, StoreError> {
        let index = self.names.index(principal);
        let mut ids = self.entries(principal, until).await?;
        ids.retain(|id| Some(*id) != except);
        for batch in ids.chunks(BATCH) {
            let mut mark = cmd("ZADD");
            mark.arg(&index).arg("XX");
            for id in batch {
                mark.arg(-1).arg(id.encode());
            }
            let marked = self.link.call(&mark, Twice::Harmless, until).await;
            marked.map_err(|fault| fault.of_read())?;
        }
        let owner: Arc<str> = principal.into();
        let ended = self.each(&ids, |inner, id| {
            let owner = Arc::clone(&owner);
            async move { inner.delete(id, Some(&owner), until).await }
        });
        let ended = ended.await?.into_iter().map(|(_, (count, _))| count).sum();
        for batch in ids.chunks(BATCH) {
            let mut command = cmd("ZREM");
            command.arg(&index);
            for id in batch {
                command.arg(id.encode());
            }
            let removed = self.link.call(&command, Twice::Harmless, until).await;
            removed.map_err(|fault| fault.of_read())?;
        }
        Ok(ended)
    }

    async fn entries(&self, principal: &str, until: Instant) -> Result<Vec<SessionId>, StoreError> {
        let mut command = cmd("ZRANGE");
        command.arg(self.names.index(principal)).arg(0).arg(-1);
        let reply = self.link.call(&command, Twice::Harmless, until).await;
        let names = Vec::<Vec<u8>>::from_redis_value(reply.map_err(|fault| fault.of_read())?);
        let names = names.map_err(|_| crate::layout::unexpected())?;
        // What is no id, another program has put there.
        let id = |name: Vec<u8>| std::str::from_utf8(&name).ok()?.parse().ok();
        Ok(names.into_iter().filter_map(id).collect())
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

    async fn heal(&self, principal: &str, missing: &[SessionId], now: Timestamp, until: Instant) {
        for batch in missing.chunks(BATCH) {
            let mut call = HEAL.on(
                &self.names.index(principal),
                2 + batch.len(),
                24 * (2 + batch.len()),
            );
            call.arg(now.as_millis()).arg(millis(MISSED));
            for id in batch {
                call.arg(id.encode());
            }
            if let Err(fault) = HEAL.run(&self.link, &call, Twice::Harmless, until).await {
                tracing::debug!(target: "session::redis", ?fault, "an index could not be healed");
            }
        }
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
