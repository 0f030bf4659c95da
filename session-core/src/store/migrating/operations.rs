//! The operations of the contract, on two stores.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::both::both;
use super::forms::{is_frozen, is_place, thawed};
use super::steps::{while_it_lived, without_old_marks};
use super::{Location, MOST_ROUNDS, MOST_VERSIONED_ROUNDS, MigratingStore};
use crate::error::StoreError;
use crate::record::{Ended, Record, SessionId};
use crate::store::{
    Durability, Listed, PrincipalIndex, RecordKey, RecordLocation, RecordScan, Revalidated,
    SessionStore, Update, Updated, index_of,
};
use crate::time::Timestamp;

/// The error of a step that moves a session. One that was not answered wrote nothing of what the
/// caller wanted, and may be taken again.
fn as_unavailable(error: StoreError) -> StoreError {
    match error {
        StoreError::OutcomeUnknown(cause) => StoreError::Unavailable(cause),
        error => error,
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<N: SessionStore, O: SessionStore> SessionStore for MigratingStore<N, O> {
    fn location(&self) -> RecordLocation {
        RecordLocation::Server
    }

    /// `None`, because an operation here may take several operations of both stores.
    fn call_timeout(&self) -> Option<Duration> {
        None
    }

    /// The worse of the two stores' answers.
    fn durability(&self) -> Durability {
        match (self.new.durability(), self.old.durability()) {
            (Durability::Durable, Durability::Durable) => Durability::Durable,
            _ => Durability::MayLoseWrites,
        }
    }

    async fn load(
        &self,
        key: &RecordKey,
        now: Timestamp,
    ) -> Result<Option<Arc<Record>>, StoreError> {
        Ok(match self.look(key, None, now).await? {
            Revalidated::Changed(record) => Some(record),
            Revalidated::Unchanged | Revalidated::Gone => None,
        })
    }

    /// What the new store has of a session is the session, so that store alone is asked first. It
    /// is in neither form that a session takes while it moves.
    async fn revalidate(
        &self,
        key: &RecordKey,
        known: &Arc<Record>,
        now: Timestamp,
    ) -> Result<Revalidated, StoreError> {
        self.look(key, Some(known), now).await
    }

    async fn create(&self, record: &Arc<Record>, now: Timestamp) -> Result<RecordKey, StoreError> {
        let key = RecordKey::Id(record.id);
        if self.is_moving() {
            match self.old.load(&key, now).await? {
                Some(_) => Err(StoreError::IdTaken),
                None => self.new.create(record, now).await,
            }
        } else {
            match self.new.load(&key, now).await? {
                Some(_) => Err(StoreError::IdTaken),
                None => self.old.create(record, now).await,
            }
        }
    }

    async fn update(
        &self,
        key: &RecordKey,
        update: &Update,
        now: Timestamp,
    ) -> Result<Updated, StoreError> {
        for round in 0..MOST_ROUNDS {
            // Places and frozen records have epochs that no update has, so they answer `Gone`. A
            // session that cannot move, because a mark is where its place would be, is written in
            // the old store.
            if !self.is_moving() || round >= MOST_VERSIONED_ROUNDS {
                match self.old.update(key, update, now).await? {
                    Updated::Gone => {}
                    done => return Ok(done),
                }
            }
            match self.new.update(key, update, now).await {
                Ok(Updated::Gone) => {}
                // It cannot move now, so it is written in the old store if it is there.
                Err(error @ StoreError::Unavailable(_)) if self.is_moving() => {
                    return match self.old.update(key, update, now).await? {
                        Updated::Gone => Err(error),
                        done => Ok(done),
                    };
                }
                done => return done,
            }
            let found = self.find(key, now).await.map_err(as_unavailable)?;
            let (record, epoch) = match &found {
                Location::New(record) | Location::Old(record) => (record, record.epoch),
                Location::Frozen(frozen) => (frozen, thawed(frozen).epoch),
                Location::Ended(_) | Location::Absent => return Ok(Updated::Gone),
            };
            // A store may hand back what has expired.
            if epoch != update.epoch() || !record.is_live(now) {
                return Ok(Updated::Gone);
            }
            if self.is_moving() || matches!(found, Location::Frozen(_)) {
                self.advance(key, found, now)
                    .await
                    .map_err(as_unavailable)?;
            }
        }
        Ok(Updated::conflict(None))
    }

    async fn delete(&self, key: &RecordKey, ended: Ended) -> Result<(), StoreError> {
        let old = self.old.delete(key, ended).await;
        both(old, self.new.delete(key, ended).await).map(drop)
    }

    /// An index, if both stores have one.
    fn principals(&self) -> Option<&dyn PrincipalIndex> {
        self.new
            .principals()
            .and(self.old.principals())
            .map(|_| self as _)
    }

    /// None. What the two stores hold of a session on its way are places and frozen records, and
    /// only together do they say where it is. A tool scans each of the two stores by itself.
    fn scan(&self) -> Option<&dyn RecordScan> {
        None
    }

    async fn delete_expired(&self, now: Timestamp) -> Result<u64, StoreError> {
        let old = self.old.delete_expired(now).await;
        let (old, new) = both(old, self.new.delete_expired(now).await)?;
        Ok(old + new)
    }
}

impl<N: SessionStore, O: SessionStore> MigratingStore<N, O> {
    /// The session as it is stored, or that it is still `known`.
    async fn look(
        &self,
        key: &RecordKey,
        known: Option<&Arc<Record>>,
        now: Timestamp,
    ) -> Result<Revalidated, StoreError> {
        let is_session = |record: &Record| !is_place(record) && record.ended().is_none();
        if self.is_moving() {
            let known = known.filter(|known| is_session(known));
            let asked = match known {
                Some(known) => self.new.revalidate(key, known, now).await,
                None => self.new.load(key, now).await.map(Revalidated::from),
            };
            match asked {
                // An unfrozen record in the old store is the session, whatever the new one holds.
                // So sessions that have not moved are still served.
                Err(error @ StoreError::Unavailable(_)) => {
                    let old = self.old.load(key, now).await?;
                    let old = without_old_marks(old, now).filter(|record| !is_frozen(record));
                    return old.map(Revalidated::Changed).ok_or(error);
                }
                Err(error) => return Err(error),
                Ok(Revalidated::Unchanged) => return Ok(Revalidated::Unchanged),
                Ok(Revalidated::Changed(record)) if is_session(&record) => {
                    return Ok(Revalidated::Changed(record));
                }
                Ok(Revalidated::Changed(_) | Revalidated::Gone) => {}
            }
        }
        Ok(match self.find(key, now).await? {
            Location::New(record) | Location::Old(record) => Revalidated::Changed(record),
            Location::Frozen(frozen) => Revalidated::Changed(Arc::new(thawed(&frozen))),
            Location::Ended(mark) => Revalidated::Changed(mark),
            Location::Absent => Revalidated::Gone,
        })
    }
}

#[async_trait]
impl<N: SessionStore, O: SessionStore> PrincipalIndex for MigratingStore<N, O> {
    async fn list_of(&self, principal: &str, now: Timestamp) -> Result<Vec<Listed>, StoreError> {
        // In this order, so that a session that moves meanwhile is in one of the two.
        let old = index_of(&self.old)?.list_of(principal, now).await?;
        let new = index_of(&self.new)?.list_of(principal, now).await?;
        let is = |listed: &Listed, form: fn(&Record) -> bool| {
            listed.record().is_some_and(|record| form(record))
        };
        let (places, new): (Vec<_>, Vec<_>) =
            new.into_iter().partition(|listed| is(listed, is_place));
        let mut all: HashMap<SessionId, Listed> = new
            .into_iter()
            .map(|listed| (listed.id(), listed))
            .collect();
        for listed in old.into_iter().chain(places) {
            let id = listed.id();
            if all.contains_key(&id) {
                continue;
            }
            let found = match is(&listed, is_frozen) || is(&listed, is_place) {
                true => match self.load(&RecordKey::Id(id), now).await {
                    Ok(found) => found.map(Listed::Record),
                    Err(error @ StoreError::Corrupt(_)) => Some(Listed::unreadable(id, error)),
                    Err(error) => return Err(error),
                },
                false => Some(listed),
            };
            let theirs =
                |record: &Record| record.principal() == Some(principal) && record.is_live(now);
            let found = found.filter(|found| found.record().is_none_or(|record| theirs(record)));
            all.extend(found.map(|listed| (id, listed)));
        }
        Ok(all.into_values().collect())
    }

    async fn delete_one_of(
        &self,
        principal: &str,
        id: SessionId,
        ended: Ended,
    ) -> Result<bool, StoreError> {
        let (key, now) = (RecordKey::Id(id), ended.at);
        for round in 0..MOST_ROUNDS {
            let done = match self.find_to_delete(&key, now).await {
                // It has ended, and only leftovers of it are deleted.
                Ok(Location::Ended(_) | Location::Absent) => {
                    return self
                        .delete_one_in_both(principal, id, ended)
                        .await
                        .map(|_| false);
                }
                // A record that cannot be read, or a store that is down: each store that can be
                // reached deletes what it has.
                Err(_) => return self.delete_one_in_both(principal, id, ended).await,
                Ok(Location::New(record) | Location::Old(record) | Location::Frozen(record))
                    if record.principal() != Some(principal) =>
                {
                    return Ok(false);
                }
                // Writers were faster each time; without a version it is deleted in any case.
                Ok(Location::New(_) | Location::Old(_)) if round >= MOST_VERSIONED_ROUNDS => {
                    self.delete_one_in_both(principal, id, ended).await?
                }
                Ok(Location::New(record)) => self.delete_from_new(&key, &record).await?,
                Ok(Location::Old(record)) => self.delete_from_old(&key, &record).await?,
                Ok(Location::Frozen(frozen)) => {
                    let filled = self.fill(&key, &frozen, while_it_lived(&frozen)).await;
                    filled.map_err(as_unavailable)?;
                    false
                }
            };
            if done {
                if self.delete(&key, ended).await.is_err() {
                    tracing::debug!(
                        target: "session",
                        "a session has ended; what is left of it was not deleted"
                    );
                }
                return Ok(true);
            }
        }
        Err(StoreError::unavailable(
            "others write or move this session all the time; end it again",
        ))
    }

    async fn delete_all_of(
        &self,
        principal: &str,
        except: Option<SessionId>,
        ended: Ended,
    ) -> Result<u64, StoreError> {
        // A session that is just moving is in both stores, and is counted once.
        let listed = match self.list_of(principal, ended.at).await {
            Ok(listed) => Some(
                listed
                    .into_iter()
                    .filter(|listed| Some(listed.id()) != except),
            ),
            // They are deleted all the same, in each store that can be reached.
            Err(_) => None,
        };
        let old = index_of(&self.old)?
            .delete_all_of(principal, except, ended)
            .await;
        let (old, new) = both(
            old,
            index_of(&self.new)?
                .delete_all_of(principal, except, ended)
                .await,
        )?;
        let Some(listed) = listed else {
            return Ok(old + new);
        };
        let mut count = 0;
        for listed in listed {
            // A session that has become another principal's meanwhile lives, and is not counted.
            let found = self.load(&RecordKey::Id(listed.id()), ended.at).await;
            let lives = |record: Arc<Record>| record.ended().is_none() && record.is_live(ended.at);
            count += u64::from(!found.is_ok_and(|found| found.is_some_and(lives)));
        }
        Ok(count)
    }
}
