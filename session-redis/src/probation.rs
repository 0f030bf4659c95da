//! Signing in: the index is written first, then the session on probation, then the index is looked
//! at again.
//!
//! `principals.rs` says why.

use std::sync::Arc;
use std::time::Duration;

use redis::Value as Reply;
use session_core::{
    EndReason, Ended, Key, OwnedUpdate, Record, SessionId, StoreError, Timestamp, Updated,
};
use tokio::time::{Instant, sleep, timeout_at};

use crate::change::Answer;
use crate::fault::{Fault, Reason};
use crate::link::Twice;
use crate::script::{CONFIRM, INDEX, SETTLE};
use crate::store::{GRACE, Inner, strange};

/// An index stays this much longer than the sessions in it, and each entry: it is not renewed when
/// they are, and by then the clocks of those who renew them may differ.
const INDEX_GRACE: Duration = Duration::from_secs(24 * 3600);
/// Before it is tried once more to take a session off probation.
const PAUSE: Duration = Duration::from_millis(250);

impl Inner {
    /// How long a session lives that was written and is not confirmed yet: longer than its writer
    /// takes to confirm it.
    fn probation(&self) -> Duration {
        self.link.timing().deadline * 2 + Duration::from_secs(10)
    }

    /// The same in milliseconds.
    pub(crate) fn provisional(&self) -> u64 {
        millis(self.probation())
    }

    /// Adds a session with a principal. It goes on if the caller goes away.
    pub(crate) async fn create_indexed(
        self: Arc<Self>,
        record: Arc<Record>,
        now: Timestamp,
        until: Instant,
    ) -> Result<Key, StoreError> {
        finish(until, async move {
            let (id, principal) = (record.id(), record.principal().unwrap_or_default());
            let grown = self.index(principal, &record, now, until).await?;
            self.create(&record, now, Some(self.provisional()), until)
                .await?;
            let kept = self
                .confirm(principal, &record, record.version(), now)
                .await?;
            if grown {
                self.tidy(principal, &record, now, until).await;
            }
            match kept {
                true => Ok(Key::Id(id)),
                // It was ended with the others, and nobody is to be told of it.
                false => Err(StoreError::Unavailable(Arc::new(Reason::Revoked))),
            }
        })
        .await
    }

    /// Changes a session whose principal is new to it. It goes on if the caller goes away.
    pub(crate) async fn update_indexed(
        self: Arc<Self>,
        id: SessionId,
        owned: OwnedUpdate,
        now: Timestamp,
        until: Instant,
    ) -> Result<Updated, StoreError> {
        finish(until, async move {
            let update = owned.as_update();
            let record = update.record;
            let principal = record.principal().unwrap_or_default();
            let grown = self.index(principal, record, now, until).await?;
            let probation = Some(self.provisional());
            let updated = self.update(id, &update, now, probation, until).await?;
            let (version, former) = match updated {
                Answer::Saved { version, former } => (version, former),
                Answer::Conflict(fresh) => return Ok(Updated::Conflict(fresh)),
                Answer::Gone => return Ok(Updated::Gone),
                Answer::IndexFirst => return Err(strange()),
            };
            let kept = self.confirm(principal, record, version, now).await?;
            if let Some(former) = former {
                self.leave(&former, id, until).await;
            }
            if grown {
                self.tidy(principal, record, now, until).await;
            }
            Ok(match kept {
                true => Updated::Saved {
                    key: Key::Id(id),
                    version,
                },
                false => Updated::Gone,
            })
        })
        .await
    }

    /// Before the session is written. Says whether the index has grown, and is no new one.
    async fn index(
        &self,
        principal: &str,
        record: &Record,
        now: Timestamp,
        until: Instant,
    ) -> Result<bool, StoreError> {
        let mut call = INDEX.on(&self.names.index(principal), 4, 80);
        call.arg(record.id().encode())
            .arg(record.deadline().as_millis());
        call.arg(now.as_millis()).arg(millis(INDEX_GRACE));
        let done = INDEX.run(&self.link, &call, Twice::Harmless, until).await;
        // An entry without a session is none, so nothing was written.
        done.map(|grown| grown == Reply::Int(1))
            .map_err(Fault::of_read)
    }

    /// After it was written: takes it off probation, or ends it if it was revoked meanwhile. It
    /// tries for almost as long as the probation lasts, since with it would end what the session
    /// held before.
    async fn confirm(
        &self,
        principal: &str,
        record: &Record,
        version: u64,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let end = Instant::now() + self.probation() - Duration::from_secs(2);
        loop {
            let until = self.link.until().min(end);
            match self
                .confirm_once(principal, record, version, now, until)
                .await
            {
                Ok(kept) => return Ok(kept),
                Err(fault) if fault.may_pass() && Instant::now() + PAUSE < end => {
                    sleep(PAUSE).await;
                }
                // By now something was written.
                Err(fault) => return Err(fault.of_confirmation()),
            }
        }
    }

    async fn confirm_once(
        &self,
        principal: &str,
        record: &Record,
        version: u64,
        now: Timestamp,
        until: Instant,
    ) -> Result<bool, Fault> {
        let id = record.id();
        let mut call = CONFIRM.on(&self.names.index(principal), 2, 48);
        call.arg(id.encode()).arg(record.deadline().as_millis());
        let kept = CONFIRM
            .run(&self.link, &call, Twice::Harmless, until)
            .await?;
        if kept != Reply::Int(1) {
            let ended = Ended::new(EndReason::Revoked, now);
            self.end(id, Some(principal), ended, until).await?;
            return Ok(false);
        }
        let mut call = SETTLE.on(&self.names.session(id), 4, 48);
        call.arg(version).arg(now.as_millis()).arg(millis(GRACE));
        call.arg(self.layout.hint());
        let there = SETTLE
            .run(&self.link, &call, Twice::Harmless, until)
            .await?;
        Ok(there == Reply::Int(1))
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Runs steps that belong together to their end, whether somebody waits for it or not; and waits
/// until then at most.
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
