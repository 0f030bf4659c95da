//! Loads of many requests in one command.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::TryStreamExt;
use mongodb::bson::{Bson, doc};
use mongodb::options::ReadConcern;
use session_core::store::StoreError;
use session_core::{SessionId, Timestamp};

use crate::document;
use crate::fault::{self, Reason};
use crate::sessions::{Loaded, Sessions};
use crate::together::{self, Batch, Queue};

/// Documents of this mean size are loaded one by one: a command costs as much as some of these
/// bytes, and a small session would wait for the large ones that it is loaded with.
const LARGE: usize = 16 * 1024;

#[derive(Clone)]
struct Together(Arc<Sessions>);

impl Sessions {
    /// The session for a request, or its mark. An expired session is handed back while it is there,
    /// so that its expiry can be told. A mark that is over is not: the server may be slow to remove
    /// it.
    pub(crate) async fn load(self: Arc<Self>, id: SessionId, now: Timestamp) -> Loaded {
        let found = if self.mean_size.load(Ordering::Relaxed) >= LARGE {
            self.find(id, None).await?
        } else {
            let found = together::ask(&Together(self), id).await;
            found.unwrap_or_else(|| Err(StoreError::unavailable(Reason::NoRuntime)))?
        };
        Ok(found.filter(|record| record.ended().is_none() || record.is_live(now)))
    }

    /// The records of many ids in one command. Each is read after all of them were asked for.
    async fn find_all(&self, ids: &[SessionId]) -> Result<HashMap<SessionId, Loaded>, StoreError> {
        let names: Vec<_> = ids.iter().map(|id| Bson::String(id.encode())).collect();
        let find = self.collection.find(doc! { "_id": { "$in": names } });
        let found: Vec<_> = match self.session().await? {
            Some(mut session) => {
                let find = find.session(&mut session);
                let mut found = find.read_concern(ReadConcern::majority()).await;
                let found = found
                    .as_mut()
                    .map_err(|error| fault::of_read(error.clone()))?;
                found.stream(&mut session).try_collect().await
            }
            None => find.await.map_err(fault::of_read)?.try_collect().await,
        }
        .map_err(fault::of_read)?;
        let mut records = HashMap::with_capacity(found.len());
        for document in found {
            if let Some(id) = document::id_of(&document) {
                self.note_size(&document);
                records.insert(id, document::read(id, document).map(Some));
            }
        }
        Ok(records)
    }
}

impl Batch for Together {
    type Question = SessionId;
    type Answer = Loaded;

    fn queue(&self) -> &Queue<SessionId, Loaded> {
        &self.0.loads
    }

    fn limit(&self) -> Duration {
        self.0.abandoned()
    }

    async fn alone(&self, id: SessionId) -> Loaded {
        self.0.find(id, None).await
    }

    async fn together(&self, ids: Vec<SessionId>) -> Vec<Loaded> {
        if let [id] = ids[..] {
            return vec![self.alone(id).await];
        }
        let found = self.0.find_all(&ids).await;
        let answer = |id| match &found {
            Ok(records) => records.get(id).cloned().unwrap_or(Ok(None)),
            Err(error) => Err(error.clone()),
        };
        ids.iter().map(answer).collect()
    }
}
