//! The indexes, made by the store.

use std::time::Duration;

use mongodb::IndexModel;
use mongodb::bson::{Document, doc};
use mongodb::error::{Error, ErrorKind};
use mongodb::options::IndexOptions;

use session_core::StoreError;

use crate::ConnectError;
use crate::fault;
use crate::store::MongoStore;

/// An index of these options is there under another name, or this name with other options.
const OTHER_OPTIONS: [i32; 2] = [85, 86];

/// How long one index may take to be made: there may be many sessions already.
const LIMIT: Duration = Duration::from_secs(60);

impl MongoStore {
    /// Makes the indexes that are not there yet: one by which the server removes sessions that have
    /// ended, and one by which those of a principal are found. Many servers may do so at once.
    /// Each may take a minute where many sessions are there already. [`connect`](Self::connect) has
    /// done it.
    ///
    /// # Errors
    ///
    /// [`ConnectError`], which says what to do.
    pub async fn create_indexes(&self) -> Result<(), ConnectError> {
        self.look_at_clock(true).await?;
        self.examine().await?;
        self.make_indexes().await
    }

    pub(crate) async fn make_indexes(&self) -> Result<(), ConnectError> {
        let expiry = IndexOptions::builder()
            .name("session_expires".to_owned())
            .expire_after(Duration::ZERO)
            .build();
        let principal = IndexOptions::builder()
            .name("session_principal".to_owned())
            .partial_filter_expression(doc! { "principal": { "$exists": true } })
            .build();
        self.create_index("expires", expiry).await?;
        self.create_index("principal", principal).await
    }

    async fn create_index(
        &self,
        field: &'static str,
        options: IndexOptions,
    ) -> Result<(), ConnectError> {
        let keys: Document = doc! { field: 1 };
        let model = IndexModel::builder().keys(keys).options(options).build();
        let sessions = self.inner.sessions.clone();
        // By the store's own, which is known to be fit.
        let mut concern = self.inner.writes.clone();
        concern.w_timeout = Some(LIMIT);
        let made = self
            .once(LIMIT, async move {
                sessions.create_index(model).write_concern(concern).await
            })
            .await;
        match made {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) if is_other(&error) => Err(ConnectError::OtherIndex {
                collection: self.inner.sessions.namespace().to_string(),
                field,
            }),
            Ok(Err(error)) => Err(ConnectError::failed(&fault::of_read(&error))),
            // It goes on being built.
            Err(late) => Err(ConnectError::failed(&StoreError::unavailable(late))),
        }
    }
}

fn is_other(error: &Error) -> bool {
    matches!(&*error.kind, ErrorKind::Command(command) if OTHER_OPTIONS.contains(&command.code))
}
