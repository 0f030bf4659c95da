//! Signing in: the four steps that the head of the folder describes.

use std::sync::Arc;
use std::time::Duration;

use session_core::store::{Record, RecordKey, StoreError, Update, Updated};
use session_core::{EndReason, Ended, SessionId, Timestamp};
use tokio::time::{Instant, sleep, timeout_at};

use super::index::Index;
use crate::commands::{Growth, UpdateOutcome};
use crate::connection::{Fault, Reason};

/// The pause before a confirmation is tried again.
const PAUSE: Duration = Duration::from_millis(250);
/// A confirmation is given up this long before the probation is over.
const MARGIN: Duration = Duration::from_secs(2);

/// What a writer finds after it has written a session on probation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Confirmation {
    Kept,
    /// It was ended together with all others of its principal, or deleted.
    Ended,
}

impl Index {
    /// How long a session lives that was written and is not confirmed yet.
    fn probation(&self) -> Duration {
        self.commands.deadline() * 2 + Duration::from_secs(10)
    }

    /// Adds a session with this principal. The steps are done even if the caller is cancelled.
    pub(crate) async fn create(
        self,
        record: Arc<Record>,
        now: Timestamp,
    ) -> Result<RecordKey, StoreError> {
        finish(self.until, async move {
            let growth = self.add(&record, now).await?;
            let probation = Some(self.probation());
            self.commands
                .create(&record, now, probation, self.until)
                .await?;
            let confirmation = self.confirm(&record, record.version(), now).await?;
            if growth == Growth::Grown {
                self.tidy(&record, now).await;
            }
            match confirmation {
                Confirmation::Kept => Ok(RecordKey::Id(record.id())),
                Confirmation::Ended => Err(StoreError::Unavailable(Arc::new(Reason::Revoked))),
            }
        })
        .await
    }

    /// Updates a session to which this principal is new. The steps are done even if the caller is
    /// cancelled.
    pub(crate) async fn update(
        self,
        id: SessionId,
        update: Update,
        now: Timestamp,
    ) -> Result<Updated, StoreError> {
        finish(self.until, async move {
            let record = update.record();
            let growth = self.add(record, now).await?;
            let probation = Some(self.probation());
            let updated = self
                .commands
                .update(id, &update, now, probation, self.until)
                .await?;
            let (version, exact, former) = match updated {
                UpdateOutcome::Saved {
                    version,
                    exact,
                    former,
                } => (version, exact, former),
                UpdateOutcome::Conflict(fresh) => return Ok(Updated::conflict(fresh)),
                UpdateOutcome::Gone => return Ok(Updated::Gone),
                UpdateOutcome::IndexFirst => return Err(Fault::strange().into_write_error()),
            };
            let confirmation = self.confirm(record, version, now).await?;
            if let Some(former) = former {
                Self::of(&former, &self.commands, self.until)
                    .remove_departed(id)
                    .await;
            }
            if growth == Growth::Grown {
                self.tidy(record, now).await;
            }
            Ok(match confirmation {
                Confirmation::Kept if exact => Updated::replaced(id, version),
                Confirmation::Kept => Updated::saved(id, version),
                Confirmation::Ended => Updated::Gone,
            })
        })
        .await
    }

    /// Step 1. An entry without a session does no harm, so a failure means that nothing was
    /// written.
    async fn add(&self, record: &Record, now: Timestamp) -> Result<Growth, StoreError> {
        let added = self
            .commands
            .add_entry(&self.principal, record, now, self.until)
            .await;
        added.map_err(Fault::into_read_error)
    }

    /// Steps 3 and 4. They are tried for almost as long as the probation lasts, since it would end
    /// what the session held before. The operation may be over by then.
    pub(super) async fn confirm(
        &self,
        record: &Record,
        version: u64,
        now: Timestamp,
    ) -> Result<Confirmation, StoreError> {
        let end = Instant::now() + self.probation() - MARGIN;
        loop {
            let until = self.commands.until().min(end);
            match self.confirm_once(record, version, now, until).await {
                Ok(confirmation) => return Ok(confirmation),
                Err(fault) if fault.may_pass() && Instant::now() + PAUSE < end => {
                    sleep(PAUSE).await;
                }
                Err(fault) => return Err(fault.into_confirmation_error()),
            }
        }
    }

    async fn confirm_once(
        &self,
        record: &Record,
        version: u64,
        now: Timestamp,
        until: Instant,
    ) -> Result<Confirmation, Fault> {
        let id = record.id();
        if !self
            .commands
            .confirm_entry(&self.principal, record, until)
            .await?
        {
            let ended = Ended::new(EndReason::Revoked, now);
            self.commands
                .delete(id, Some(&self.principal), ended, until)
                .await?;
            return Ok(Confirmation::Ended);
        }
        match self.commands.end_probation(id, version, now, until).await? {
            true => Ok(Confirmation::Kept),
            false => Ok(Confirmation::Ended),
        }
    }
}

/// Does all steps, whether the caller waits or not. The caller waits until then at most.
async fn finish<T: Send + 'static>(
    until: Instant,
    steps: impl Future<Output = Result<T, StoreError>> + Send + 'static,
) -> Result<T, StoreError> {
    let began = Instant::now();
    let reason = match timeout_at(until, tokio::spawn(steps)).await {
        Ok(Ok(answer)) => return answer,
        Ok(Err(_)) => Reason::Stopped,
        Err(_) => Reason::Silent(began.elapsed()),
    };
    Err(StoreError::OutcomeUnknown(Arc::new(reason)))
}
