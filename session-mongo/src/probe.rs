//! A session that is written and removed again, to see whether the server takes what the store
//! writes.

use std::error::Error as _;
use std::sync::Arc;
use std::time::SystemTime;

use mongodb::options::{Acknowledgment, WriteConcern};
use session_core::{
    Changes, Codec, EndReason, Ended, Key, Lifetime, Limits, Metadata, Record, SessionId,
    SessionStore, StoreError, Timestamp, Update, Updated, Value,
};

use crate::ConnectError;
use crate::fault::{self, Reason};
use crate::operations::name;
use crate::store::MongoStore;

/// The scope, the principal and a key of what is written: nobody else's.
const PROBE: &str = "session-mongo probe";

const UNAUTHORIZED: i32 = 13;

const VALIDATOR: &str = "its validator refuses what the store writes; let it allow the fields that session-mongo documents, \
                         with a principal and without, and those of marks, or take it away";

impl MongoStore {
    /// Reads, and writes what sessions are written as: a validator may refuse it, the user may not
    /// be allowed to, or the server may have no nodes as they are asked for. A user who only reads
    /// may do so where nothing else is wanted.
    pub(crate) async fn try_out(&self, only_reads: bool) -> Result<(), ConnectError> {
        let id = SessionId::random()
            .map_err(|error| ConnectError::failed(&StoreError::unavailable(error)))?;
        let now = SystemTime::now().into();
        let read = self.load(&Key::Id(id), now).await;
        read.map_err(|error| ConnectError::failed(&error))?;
        let bare = Record::new(id, PROBE, Lifetime::aal3(), now);
        if let Err(error) = self.create(&Arc::new(bare.clone()), now).await {
            return match code(&error) {
                Some(UNAUTHORIZED) if only_reads => Ok(()),
                _ => {
                    self.remove(id).await.ok();
                    Err(self.refused(&error, "write_concern", &self.inner.writes))
                }
            };
        }
        let changed = self.change(&bare, now).await;
        // In any case; it would be removed with what has ended.
        let removed = self.remove(id).await;
        changed?;
        removed.map_err(|error| self.refused(&error, "write_concern", &self.inner.writes))
    }

    async fn change(&self, bare: &Record, now: Timestamp) -> Result<(), ConnectError> {
        let value = Value::new(Codec::Postcard, vec![1]);
        let changes = Changes::new()
            .set(PROBE, Value::new(Codec::Json, "1"))
            .set("", value);
        let signed_in = changes.clone().with_metadata(Metadata::Replaced);
        let after = signed_in.apply(&bare.clone().with_principal(PROBE));
        let changed = self.put(&after, &signed_in, now).await;
        changed.map_err(|error| self.refused(&error, "write_concern", &self.inner.writes))?;
        let touch = Changes::new().with_metadata(Metadata::Touched(now));
        let touched = self.put(&touch.apply(&after), &touch, now).await;
        touched
            .map_err(|error| self.refused(&error, "touch_write_concern", &self.inner.touches))?;
        let (id, ended) = (bare.id(), Ended::new(EndReason::Destroyed, now));
        let marked = self
            .within_writes(move |inner| async move { inner.end(id, ended).await })
            .await;
        match marked {
            Ok(true) => Ok(()),
            Ok(false) => Err(self.unfit(VALIDATOR)),
            Err(error) => Err(self.refused(&error, "write_concern", &self.inner.writes)),
        }
    }

    async fn put(
        &self,
        record: &Record,
        changes: &Changes,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let update = Update {
            record: &Arc::new(record.clone()),
            changes,
            epoch: record.epoch(),
            expected: Some(record.version() - 1),
            limits: &Limits::default(),
        };
        match self.update(&Key::Id(record.id()), update, now).await? {
            Updated::Saved { .. } => Ok(()),
            _ => Err(StoreError::unavailable(
                "a session that was just written is not there; does another program remove documents from the collection?",
            )),
        }
    }

    async fn remove(&self, id: SessionId) -> Result<(), StoreError> {
        self.within_writes(move |inner| async move {
            let deleted = inner
                .sessions
                .delete_one(name(id))
                .write_concern(inner.writes.clone());
            deleted
                .await
                .map(drop)
                .map_err(|error| fault::of_write(&error))
        })
        .await
    }

    /// What the server has refused, by name.
    fn refused(&self, error: &StoreError, setting: &str, concern: &WriteConcern) -> ConnectError {
        let plain = matches!(
            concern.w,
            Some(Acknowledgment::Majority | Acknowledgment::Nodes(1))
        ) && concern.journal != Some(true);
        match code(error) {
            Some(fault::INVALID) => self.unfit(VALIDATOR),
            Some(code) if !plain && fault::is_of_concern(code) => {
                let reason = error.source().map(ToString::to_string).unwrap_or_default();
                ConnectError::Failed {
                    text: format!(
                        "its {setting}, {}, is none that this server takes: {reason}",
                        said(concern)
                    ),
                    cause: Arc::new(error.clone()),
                }
            }
            _ => ConnectError::failed(error),
        }
    }
}

fn said(concern: &WriteConcern) -> String {
    let w = match &concern.w {
        Some(Acknowledgment::Nodes(nodes)) => nodes.to_string(),
        Some(Acknowledgment::Custom(mode)) => mode.clone(),
        _ => "majority".to_owned(),
    };
    match concern.journal {
        Some(true) => format!("w={w} and j=true"),
        _ => format!("w={w}"),
    }
}

fn code(error: &StoreError) -> Option<i32> {
    let (StoreError::Unavailable(cause)
    | StoreError::OutcomeUnknown(cause)
    | StoreError::Corrupt(cause)) = error
    else {
        return None;
    };
    match (**cause).downcast_ref::<Reason>()? {
        Reason::Refused { code, .. } => Some(*code),
        _ => None,
    }
}
