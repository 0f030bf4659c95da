//! A session that is written and removed again, to see whether the server takes what the store
//! writes.
//!
//! A validator, a kind of collection or a write concern may refuse it; that would show with the
//! first session otherwise. It costs a few commands once.

use std::error::Error as _;
use std::sync::Arc;
use std::time::SystemTime;

use mongodb::options::{Acknowledgment, WriteConcern};
use session_core::store::{
    Changes, Metadata, Record, RecordKey, SessionStore, StoreError, Update, Updated, Value,
};
use session_core::{Codec, EndReason, Ended, Lifetime, SessionId, Timestamp};

use crate::delete::Deleted;
use crate::direct::{Access, DirectStore};
use crate::document::by_id;
use crate::error::ConnectError;
use crate::fault::{self, UNAUTHORIZED};
use crate::settings::Indexes;

/// The scope, the principal and a key of the session: nobody else has them.
const PROBE: &str = "session-mongo probe";

const VALIDATOR: &str = "its validator refuses what the store writes; let it allow the fields \
     that session-mongo documents, with a principal and without, and those of marks, or take it \
     away";

impl DirectStore {
    /// Reads, and writes in each way that sessions are written. A user who may only read passes
    /// where the store makes no indexes.
    pub(crate) async fn probe(&self, indexes: Indexes) -> Result<(), ConnectError> {
        let id = SessionId::random()
            .map_err(|error| ConnectError::failed(&StoreError::unavailable(error)))?;
        let now = SystemTime::now().into();
        let read = self.load(&RecordKey::Id(id), now).await;
        read.map_err(|error| ConnectError::failed(&error))?;
        let bare = Record::new(id, PROBE, Lifetime::aal3(), now);
        if let Err(error) = self.create(&Arc::new(bare.clone()), now).await {
            if indexes == Indexes::Skipped && fault::code_of(&error) == Some(UNAUTHORIZED) {
                return Ok(());
            }
            self.remove(id).await.ok();
            return Err(self.refused_write(&error));
        }
        let changed = self.change(&bare, now).await;
        // It is removed in any case; if that fails, the server will remove it as one that ended.
        let removed = self.remove(id).await;
        changed?;
        removed.map_err(|error| self.refused_write(&error))
    }

    async fn change(&self, bare: &Record, now: Timestamp) -> Result<(), ConnectError> {
        let value = Value::new(Codec::Postcard, vec![1]);
        let sign_in = Changes::new()
            .set(PROBE, Value::new(Codec::Json, "1"))
            .set("", value)
            .with_metadata(Metadata::Replaced);
        let after = sign_in.apply(&bare.clone().with_principal(PROBE));
        let signed_in = self.put(&after, &sign_in, now).await;
        signed_in.map_err(|error| self.refused_write(&error))?;
        let touch = Changes::new().with_metadata(Metadata::Touched(now));
        let touched = self.put(&touch.apply(&after), &touch, now).await;
        let touches = &self.sessions.touches;
        touched.map_err(|error| self.refused(&error, "touch_write_concern", touches))?;
        let ended = Ended::new(EndReason::Destroyed, now);
        match self
            .call(Access::Write, self.sessions().delete(bare.id(), ended))
            .await
        {
            Ok(Deleted::Marked(_)) => Ok(()),
            Ok(Deleted::Unmarked(_)) => Err(self.unfit(VALIDATOR)),
            Err(error) => Err(self.refused_write(&error)),
        }
    }

    async fn put(
        &self,
        record: &Record,
        changes: &Changes,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let update = Update::new(Arc::new(record.clone()), changes.clone(), record.epoch())
            .with_expected_version(record.version() - 1);
        match self
            .update(&RecordKey::Id(record.id()), &update, now)
            .await?
        {
            Updated::Saved { .. } => Ok(()),
            _ => Err(StoreError::unavailable(
                "a session that was just written is not there; does another program remove \
                 documents from the collection?",
            )),
        }
    }

    async fn remove(&self, id: SessionId) -> Result<(), StoreError> {
        let sessions = self.sessions();
        let removal = async move {
            sessions
                .collection
                .delete_one(by_id(id))
                .await
                .map_err(fault::of_write)
        };
        self.call(Access::Write, removal).await.map(drop)
    }

    fn refused_write(&self, error: &StoreError) -> ConnectError {
        let writes = self
            .sessions
            .collection
            .write_concern()
            .cloned()
            .unwrap_or_default();
        self.refused(error, "write_concern", &writes)
    }

    /// Names what the server has refused: what was written, or the write concern of this setting.
    fn refused(&self, error: &StoreError, setting: &str, concern: &WriteConcern) -> ConnectError {
        // A server that takes writes at all takes this one.
        let plain = matches!(
            concern.w,
            Some(Acknowledgment::Majority | Acknowledgment::Nodes(1))
        ) && concern.journal != Some(true);
        match fault::code_of(error) {
            Some(fault::INVALID) => self.unfit(VALIDATOR),
            Some(code) if !plain && fault::is_of_write_concern(code) => {
                let reason = error.source().map(ToString::to_string).unwrap_or_default();
                let concern = as_text(concern);
                ConnectError::Failed {
                    text: format!(
                        "its {setting}, {concern}, is none that this server takes: {reason}"
                    ),
                    cause: Arc::new(error.clone()),
                }
            }
            _ => ConnectError::failed(error),
        }
    }
}

fn as_text(concern: &WriteConcern) -> String {
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
