//! The indexes, made by the store.

use std::time::Duration;

use mongodb::IndexModel;
use mongodb::bson::doc;
use mongodb::options::IndexOptions;

use session_core::store::StoreError;

use crate::detach::within;
use crate::direct::DirectStore;
use crate::error::ConnectError;
use crate::fault;

/// The server has an index with these options under another name, or one of this name with other
/// options.
const OTHER_OPTIONS: [i32; 2] = [85, 86];

/// How long one index may take to be made: there may be many sessions already.
const LIMIT: Duration = Duration::from_secs(60);

impl DirectStore {
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
        let model = IndexModel::builder()
            .keys(doc! { field: 1 })
            .options(options)
            .build();
        let collection = self.sessions.collection.clone();
        let mut concern = collection.write_concern().cloned().unwrap_or_default();
        concern.w_timeout = Some(LIMIT);
        let creation = async move { collection.create_index(model).write_concern(concern).await };
        match within(LIMIT, creation).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error))
                if fault::code(&error).is_some_and(|code| OTHER_OPTIONS.contains(&code)) =>
            {
                Err(ConnectError::OtherIndex {
                    collection: self.sessions.collection.namespace().to_string(),
                    field,
                })
            }
            Ok(Err(error)) => Err(ConnectError::failed(&fault::of_read(error))),
            // The server goes on to build it.
            Err(late) => Err(ConnectError::failed(&StoreError::unavailable(late))),
        }
    }
}
