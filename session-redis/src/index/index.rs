//! What all that uses an index has in common.

use std::sync::Arc;

use session_core::store::{Listed, StoreError};
use session_core::{SessionId, Timestamp};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::score::Score;
use crate::commands::{Commands, Entry, Repair};
use crate::connection::{Fault, Reason};

/// How many sessions of a principal are read, or deleted, at once.
const AT_ONCE: usize = 32;

/// The index of one principal, in one operation.
#[derive(Clone)]
pub(crate) struct Index {
    pub(super) commands: Arc<Commands>,
    pub(super) principal: Arc<str>,
    /// When the operation has to be over.
    pub(super) until: Instant,
}

impl Index {
    pub(crate) fn of(principal: &str, commands: &Arc<Commands>, until: Instant) -> Self {
        Self {
            commands: Arc::clone(commands),
            principal: principal.into(),
            until,
        }
    }

    /// Removes the entry of a session that was deleted. If that fails, whoever next looks at the
    /// entry finds it out.
    pub(crate) async fn remove_deleted(&self, id: SessionId) {
        if let Err(fault) = self
            .commands
            .remove_entry(&self.principal, id, self.until)
            .await
        {
            tracing::debug!(
                target: "session::redis", ?fault,
                "an index keeps the entry of a session that is gone"
            );
        }
    }

    /// Removes the entry of a session that another principal has now, unless it has come back.
    pub(crate) async fn remove_departed(&self, id: SessionId) {
        if let Err(error) = self.try_remove_departed(id).await {
            tracing::debug!(
                target: "session::redis", ?error,
                "an index keeps the entry of a session that has left"
            );
        }
    }

    async fn try_remove_departed(&self, id: SessionId) -> Result<(), StoreError> {
        // As one that has been missing for ever.
        let mark = Score::missed(Timestamp::from_millis(0))?;
        let entry = Entry {
            id,
            score: mark as f64,
        };
        self.mark(&[entry], mark)
            .await
            .map_err(Fault::into_read_error)?;
        if self.commands.owner(id, self.until).await?.as_deref() != Some(&*self.principal) {
            self.repair(&[Repair::Remove(entry)])
                .await
                .map_err(Fault::into_read_error)?;
        }
        Ok(())
    }

    pub(super) async fn mark(&self, entries: &[Entry], mark: i64) -> Result<(), Fault> {
        self.commands
            .mark_entries(&self.principal, entries, mark, self.until)
            .await
    }

    /// Returns how many entries were removed.
    pub(super) async fn repair(&self, repairs: &[Repair]) -> Result<usize, Fault> {
        self.commands
            .repair_entries(&self.principal, repairs, self.until)
            .await
    }

    /// The session of an entry, if it is there and this principal's.
    pub(super) async fn find(&self, id: SessionId) -> Result<Option<Listed>, StoreError> {
        match self.commands.load(id, self.until).await {
            Ok(record) => {
                let theirs = record.filter(|record| record.principal() == Some(&self.principal));
                Ok(theirs.map(Listed::Record))
            }
            Err(error @ StoreError::Corrupt(_)) => {
                // If it names no principal, it belongs to this index.
                let owner = self.commands.owner(id, self.until).await?;
                let theirs = owner.is_none_or(|owner| *owner == *self.principal);
                Ok(theirs.then_some(Listed::unreadable(id, error)))
            }
            Err(error) => Err(error),
        }
    }

    /// Does something with the session of each entry, some at once. The answers are in no order.
    pub(super) async fn each<F, T>(
        &self,
        entries: Vec<Entry>,
        act: impl Fn(Self, SessionId) -> F,
    ) -> Result<Vec<(Entry, Result<T, StoreError>)>, StoreError>
    where
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
        T: Send + 'static,
    {
        let mut done = Vec::with_capacity(entries.len());
        let mut tasks = JoinSet::new();
        for entry in entries {
            if tasks.len() >= AT_ONCE {
                done.extend(next(&mut tasks).await?);
            }
            let task = act(self.clone(), entry.id);
            tasks.spawn(async move { (entry, task.await) });
        }
        while let Some(answer) = next(&mut tasks).await? {
            done.push(answer);
        }
        Ok(done)
    }
}

async fn next<T: 'static>(tasks: &mut JoinSet<T>) -> Result<Option<T>, StoreError> {
    let stopped = |_| StoreError::Unavailable(Arc::new(Reason::Stopped));
    tasks.join_next().await.transpose().map_err(stopped)
}
