//! The contract: each operation, and what the cache makes of it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::cache::{Cache, Found, Ticket};
use super::cached_store::CachedStore;
use super::entries::Identity;
use crate::error::StoreError;
use crate::record::{Ended, Record, SessionId};
use crate::store::{
    Durability, IndexMend, IndexPage, Listed, PrincipalIndex, RecordKey, RecordLocation,
    RecordScan, Revalidated, ScanCursor, ScanPage, SessionStore, Update, Updated, index_of,
    scan_of,
};
use crate::time::Timestamp;

/// A write of this process. Whatever happens to it, what is cached counts no more once it is over:
/// a write that is not answered, or whose caller has left, may have been applied.
struct OwnWrite<'c> {
    cache: &'c Cache,
    id: Option<SessionId>,
}

impl OwnWrite<'_> {
    /// It was applied, and the session has this content now, if that is known.
    fn done(mut self, record: Option<&Arc<Record>>) {
        if let Some(id) = self.id.take() {
            self.cache.wrote(id, record);
        }
    }
}

impl Drop for OwnWrite<'_> {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            self.cache.changed(id);
        }
    }
}

impl<S: SessionStore> CachedStore<S> {
    fn write(&self, key: &RecordKey) -> OwnWrite<'_> {
        self.write_to(key.id())
    }

    fn write_to(&self, id: Option<SessionId>) -> OwnWrite<'_> {
        OwnWrite {
            cache: &self.cache,
            id: id.filter(|_| self.is_on()),
        }
    }

    fn is_on(&self) -> bool {
        self.cache.capacity() > 0
    }

    /// Asks the store for a record that this process does not hold.
    async fn ask(
        &self,
        key: &RecordKey,
        id: SessionId,
        now: Timestamp,
        asked: Ticket,
    ) -> Result<Option<Arc<Record>>, StoreError> {
        let record = self.store.load(key, now).await?;
        self.cache.loaded(id, record.as_ref(), asked);
        Ok(record)
    }

    /// Asks the store whether a record is still the one that this process holds.
    async fn ask_again(
        &self,
        key: &RecordKey,
        known: &Arc<Record>,
        now: Timestamp,
        asked: Ticket,
    ) -> Result<Revalidated, StoreError> {
        let answer = self.store.revalidate(key, known, now).await?;
        let record = match &answer {
            Revalidated::Unchanged => {
                self.cache.unchanged(known, asked);
                return Ok(answer);
            }
            // From a store that only loads.
            Revalidated::Changed(record) if Identity::of(known).is_of(record) => {
                self.cache.unchanged(known, asked);
                return Ok(Revalidated::Unchanged);
            }
            Revalidated::Changed(record) => Some(record),
            Revalidated::Gone => None,
        };
        self.cache.loaded(known.id, record, asked);
        Ok(answer)
    }

    /// After the end of a session: waits until no other process has a lease on it.
    async fn outwait_leases(&self) {
        if let Some(near) = self.near.filter(|near| near.waits_for_leases()) {
            self.clock.sleep(near.lease()).await;
        }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: SessionStore> SessionStore for CachedStore<S> {
    fn location(&self) -> RecordLocation {
        self.store.location()
    }

    /// That of the inner store. The time for which the end of a session waits for leases does not
    /// count.
    fn call_timeout(&self) -> Option<Duration> {
        self.store.call_timeout()
    }

    fn durability(&self) -> Durability {
        self.store.durability()
    }

    // Written out as `async_trait` would: without a cache the store's own future is returned, and
    // not one more around it.
    fn load<'s, 'k, 'f>(
        &'s self,
        key: &'k RecordKey,
        now: Timestamp,
    ) -> Pin<Box<dyn Future<Output = Result<Option<Arc<Record>>, StoreError>> + Send + 'f>>
    where
        's: 'f,
        'k: 'f,
        Self: 'f,
    {
        let Some(id) = key.id().filter(|_| self.is_on()) else {
            return self.store.load(key, now);
        };
        Box::pin(async move {
            match self.cache.find(id, now, &*self.clock) {
                Found::Leased(record) => Ok(Some(record)),
                Found::Unknown(asked) => self.ask(key, id, now, asked).await,
                Found::Unconfirmed(known, asked) => {
                    Ok(match self.ask_again(key, &known, now, asked).await? {
                        Revalidated::Unchanged => Some(known),
                        Revalidated::Changed(record) => Some(record),
                        Revalidated::Gone => None,
                    })
                }
            }
        })
    }

    async fn revalidate(
        &self,
        key: &RecordKey,
        known: &Arc<Record>,
        now: Timestamp,
    ) -> Result<Revalidated, StoreError> {
        let Some(id) = key.id().filter(|id| self.is_on() && *id == known.id) else {
            return self.store.revalidate(key, known, now).await;
        };
        match self.cache.find(id, now, &*self.clock) {
            Found::Leased(record) => Ok(match Arc::ptr_eq(&record, known) {
                true => Revalidated::Unchanged,
                false => Revalidated::Changed(record),
            }),
            Found::Unconfirmed(_, asked) | Found::Unknown(asked) => {
                self.ask_again(key, known, now, asked).await
            }
        }
    }

    async fn create(&self, record: &Arc<Record>, now: Timestamp) -> Result<RecordKey, StoreError> {
        let write = self.write_to(Some(record.id));
        let key = self.store.create(record, now).await?;
        write.done(Some(record));
        Ok(key)
    }

    async fn update(
        &self,
        key: &RecordKey,
        update: &Update,
        now: Timestamp,
    ) -> Result<Updated, StoreError> {
        let write = self.write(key);
        let updated = self.store.update(key, update, now).await?;
        match &updated {
            Updated::Saved { exact, .. } => write.done(exact.then_some(update.record())),
            Updated::Conflict { current } => write.done(current.as_ref()),
            Updated::Gone => write.done(None),
        }
        // Where it is gone, another call may have ended it a moment ago.
        let is_over = !matches!(updated, Updated::Conflict { .. });
        if is_over && update.record().ended().is_some() {
            self.outwait_leases().await;
        }
        Ok(updated)
    }

    async fn delete(&self, key: &RecordKey, ended: Ended) -> Result<(), StoreError> {
        let write = self.write(key);
        self.store.delete(key, ended).await?;
        write.done(None);
        self.outwait_leases().await;
        Ok(())
    }

    fn principals(&self) -> Option<&dyn PrincipalIndex> {
        self.store.principals().map(|_| self as _)
    }

    fn scan(&self) -> Option<&dyn RecordScan> {
        self.store.scan().map(|_| self as _)
    }

    async fn delete_expired(&self, now: Timestamp) -> Result<u64, StoreError> {
        self.store.delete_expired(now).await
    }
}

#[async_trait]
impl<S: SessionStore> PrincipalIndex for CachedStore<S> {
    async fn list_of(&self, principal: &str, now: Timestamp) -> Result<Vec<Listed>, StoreError> {
        index_of(&self.store)?.list_of(principal, now).await
    }

    async fn delete_one_of(
        &self,
        principal: &str,
        id: SessionId,
        ended: Ended,
    ) -> Result<bool, StoreError> {
        let write = self.write_to(Some(id));
        let index = index_of(&self.store)?;
        let deleted = index.delete_one_of(principal, id, ended).await?;
        match deleted {
            true => write.done(None),
            false => drop(write),
        }
        // If there was none, another call may have ended it a moment ago.
        self.outwait_leases().await;
        Ok(deleted)
    }

    async fn delete_all_of(
        &self,
        principal: &str,
        except: Option<SessionId>,
        ended: Ended,
    ) -> Result<u64, StoreError> {
        let write = OwnWriteOfMany {
            cache: &self.cache,
            principal,
        };
        let index = index_of(&self.store)?;
        let count = index.delete_all_of(principal, except, ended).await?;
        drop(write);
        self.outwait_leases().await;
        Ok(count)
    }
}

/// Nothing of a scan is cached, and mending changes no session.
#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: SessionStore> RecordScan for CachedStore<S> {
    async fn scan_records(
        &self,
        from: Option<&ScanCursor>,
        most: usize,
    ) -> Result<ScanPage, StoreError> {
        scan_of(&self.store)?.scan_records(from, most).await
    }

    async fn scan_index(
        &self,
        from: Option<&ScanCursor>,
        most: usize,
    ) -> Result<IndexPage, StoreError> {
        scan_of(&self.store)?.scan_index(from, most).await
    }

    async fn mend_index(
        &self,
        principal: &str,
        id: SessionId,
        now: Timestamp,
    ) -> Result<IndexMend, StoreError> {
        let scan = scan_of(&self.store)?;
        scan.mend_index(principal, id, now).await
    }

    /// This process may hold the record as it was before the damage.
    async fn delete_unreadable(&self, id: SessionId, ended: Ended) -> Result<bool, StoreError> {
        let write = self.write_to(Some(id));
        let scan = scan_of(&self.store)?;
        let deleted = scan.delete_unreadable(id, ended).await?;
        match deleted {
            true => write.done(None),
            false => drop(write),
        }
        // If there was none, another call may have ended it a moment ago.
        self.outwait_leases().await;
        Ok(deleted)
    }
}

/// The end of all sessions of a principal. However far it came, what is cached of them counts no
/// more.
struct OwnWriteOfMany<'c> {
    cache: &'c Cache,
    principal: &'c str,
}

impl Drop for OwnWriteOfMany<'_> {
    fn drop(&mut self) {
        self.cache.changed_of(self.principal);
    }
}
