//! A pointer to a store is a store.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::error::StoreError;
use crate::record::{Ended, Record};
use crate::store::{
    Durability, PrincipalIndex, RecordKey, RecordLocation, Revalidated, SessionStore, Update,
    Updated,
};
use crate::time::Timestamp;

macro_rules! forward {
    ($pointer:ty) => {
        #[async_trait]
        #[deny(clippy::missing_trait_methods)]
        impl<S: SessionStore + ?Sized> SessionStore for $pointer {
            fn location(&self) -> RecordLocation {
                (**self).location()
            }

            fn call_timeout(&self) -> Option<Duration> {
                (**self).call_timeout()
            }

            fn durability(&self) -> Durability {
                (**self).durability()
            }

            async fn load(
                &self,
                key: &RecordKey,
                now: Timestamp,
            ) -> Result<Option<Arc<Record>>, StoreError> {
                (**self).load(key, now).await
            }

            async fn revalidate(
                &self,
                key: &RecordKey,
                known: &Arc<Record>,
                now: Timestamp,
            ) -> Result<Revalidated, StoreError> {
                (**self).revalidate(key, known, now).await
            }

            async fn create(
                &self,
                record: &Arc<Record>,
                now: Timestamp,
            ) -> Result<RecordKey, StoreError> {
                (**self).create(record, now).await
            }

            async fn update(
                &self,
                key: &RecordKey,
                update: &Update,
                now: Timestamp,
            ) -> Result<Updated, StoreError> {
                (**self).update(key, update, now).await
            }

            async fn delete(&self, key: &RecordKey, ended: Ended) -> Result<(), StoreError> {
                (**self).delete(key, ended).await
            }

            fn principals(&self) -> Option<&dyn PrincipalIndex> {
                (**self).principals()
            }

            async fn delete_expired(&self, now: Timestamp) -> Result<u64, StoreError> {
                (**self).delete_expired(now).await
            }
        }
    };
}

forward!(Arc<S>);
forward!(Box<S>);
