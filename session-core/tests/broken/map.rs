//! A store that is right, with many points at which others get their turn, until it is given a
//! fault.

use std::collections::{HashMap, HashSet};
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex as Plain};
use std::task::Poll;
use std::time::Duration;

use async_trait::async_trait;
use session_core::store::{
    Changes, Listed, PrincipalIndex, Record, RecordKey, RecordLocation, RecordScan, Revalidated,
    SessionStore, StoreError, Tag, Update, Updated,
};
use session_core::{EndReason, Ended, SessionId, Timestamp};
use tokio::sync::{Mutex, MutexGuard};

use super::Fault;

pub(super) type Records = HashMap<String, Arc<Record>>;

#[derive(Debug, Default)]
pub(crate) struct MapStore {
    pub(super) fault: Option<Fault>,
    pub(super) only_replaces: bool,
    lists_nothing: bool,
    scans_nothing: bool,
    records: Mutex<Records>,
    /// What some of the faults remember.
    pub(super) former: Plain<HashMap<String, Arc<Record>>>,
    /// The tags of what it has written, for a fault that keeps them apart.
    tags: Plain<HashMap<String, Option<Tag>>>,
    deleted: Plain<HashSet<String>>,
    locked: AtomicBool,
}

impl MapStore {
    /// Without a fault.
    pub(crate) fn right() -> Self {
        Self::default()
    }

    /// Without a fault, but it never merges.
    pub(crate) fn replacing() -> Self {
        Self {
            only_replaces: true,
            ..Self::default()
        }
    }

    /// Without a fault, and without an index of principals.
    pub(crate) fn unindexed() -> Self {
        Self {
            lists_nothing: true,
            ..Self::default()
        }
    }

    /// Without a fault, and without a scan.
    pub(crate) fn unscanned() -> Self {
        Self {
            scans_nothing: true,
            ..Self::default()
        }
    }

    pub(crate) fn broken(fault: Fault) -> Self {
        Self {
            fault: Some(fault),
            ..Self::default()
        }
    }

    pub(super) fn has(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    pub(super) fn name(&self, id: SessionId) -> String {
        let name = id.encode();
        if self.has(Fault::IgnoresCase) {
            name.to_lowercase()
        } else {
            name
        }
    }

    fn name_of(&self, key: &RecordKey) -> Option<String> {
        match key {
            RecordKey::Id(id) => Some(self.name(*id)),
            RecordKey::Sealed { token, .. } if self.has(Fault::TrustsMalformedKeys) => {
                Some(token.to_string())
            }
            RecordKey::Sealed { .. } if self.has(Fault::PanicsOnMalformedKeys) => {
                panic!("not an id")
            }
            _ => None,
        }
    }

    pub(super) async fn lock(&self) -> MutexGuard<'_, Records> {
        turn().await;
        if self.has(Fault::LeaksItsLock) {
            while self.locked.swap(true, Ordering::Acquire) {
                turn().await;
            }
            turn().await;
            self.locked.store(false, Ordering::Release);
        }
        let records = self.records.lock().await;
        turn().await;
        records
    }

    /// Lets go of the lock for a while, as no atomic step may.
    async fn gap<'a>(&'a self, records: MutexGuard<'a, Records>) -> MutexGuard<'a, Records> {
        drop(records);
        turn().await;
        self.lock().await
    }

    /// Puts the mark in the place of a record; whether there was one that had not ended.
    pub(super) fn end(&self, records: &mut Records, id: SessionId, ended: Ended) -> bool {
        let name = self.name(id);
        let mark = match self.fault {
            Some(Fault::LeavesNoMark) => return records.remove(&name).is_some(),
            Some(Fault::MarksForgetWhy) => Ended::new(EndReason::Destroyed, ended.at).mark(id),
            Some(Fault::MarksKeepValues) => {
                let mark = ended.mark(id);
                let values = records.get(&name).map(|record| record.values().clone());
                let values: Vec<_> = values.iter().flat_map(|values| values.iter()).collect();
                values.into_iter().fold(mark, |mark, (key, value)| {
                    mark.with_value(key, value.clone())
                })
            }
            Some(Fault::MarksStay) => {
                Ended::new(ended.reason, ended.at + Duration::from_secs(60)).mark(id)
            }
            _ => ended.mark(id),
        };
        let there = match self.fault {
            Some(Fault::MarksTheAbsent) => true,
            _ => records.contains_key(&name),
        };
        if !there {
            return false;
        }
        let before = records.insert(name, Arc::new(mark));
        before.is_some_and(|before| before.ended().is_none())
    }

    async fn put<'a>(
        &'a self,
        mut records: MutexGuard<'a, Records>,
        name: String,
        before: &Arc<Record>,
        after: Arc<Record>,
    ) {
        let former = Arc::clone(before);
        self.former.lock().unwrap().insert(name.clone(), former);
        match self.fault {
            Some(Fault::WritesInTwoSteps) => {
                let half = before.values().iter().map(|(key, _)| key).take(1);
                let half = half
                    .fold(Changes::new(), Changes::remove)
                    .apply(&after)
                    .with_version(after.version());
                records.insert(name.clone(), Arc::new(half));
                records = self.gap(records).await;
            }
            Some(Fault::UpdateTakesOut) => {
                records.remove(&name);
                turn().await;
            }
            Some(Fault::UpdateReadsThenWrites) if !records.contains_key(&name) => return,
            _ => turn().await,
        }
        records.insert(name.clone(), self.kept(&after));
        if self.has(Fault::TagsInTwoSteps) {
            drop(records);
            turn().await;
            self.tags.lock().unwrap().insert(name, after.tag());
        }
    }
}

#[async_trait]
impl SessionStore for MapStore {
    fn location(&self) -> RecordLocation {
        RecordLocation::Server
    }

    async fn load(
        &self,
        key: &RecordKey,
        now: Timestamp,
    ) -> Result<Option<Arc<Record>>, StoreError> {
        let Some(name) = self.name_of(key) else {
            return Ok(None);
        };
        let records = self.lock().await;
        let found = records
            .get(&name)
            .filter(|record| self.is_live(record, now))
            .cloned();
        if let (None, Some(id), true) = (&found, key.id(), self.has(Fault::LoadMakesOne)) {
            return Ok(Some(Arc::new(Record::new(
                id,
                "id",
                session_core::Lifetime::default(),
                now,
            ))));
        }
        if let Some(found) = found.as_ref().filter(|record| !record.is_live(now)) {
            return Ok(Some(self.expired(found, now)));
        }
        if self.has(Fault::ReadsBehind)
            && found
                .as_ref()
                .is_some_and(|record| record.version() % 3 == 0)
        {
            return Ok(self.former.lock().unwrap().get(&name).cloned());
        }
        Ok(found)
    }

    async fn revalidate(
        &self,
        key: &RecordKey,
        known: &Arc<Record>,
        now: Timestamp,
    ) -> Result<Revalidated, StoreError> {
        let loaded = self.load(key, now).await?;
        let Some(record) = &loaded else {
            let expired = self.has(Fault::RevalidatesExpired) && !known.is_live(now);
            return Ok(match expired {
                true => Revalidated::Unchanged,
                false => Revalidated::Gone,
            });
        };
        let of_known = |tag: Option<Tag>| tag.is_some() && tag == known.tag();
        let is_known = match self.fault {
            Some(Fault::ComparesVersions) => record.version() == known.version(),
            Some(Fault::TouchKeepsTheTag) => of_known(record.tag()),
            Some(Fault::RevalidatesEnded) if record.ended().is_some() => true,
            Some(Fault::TagsInTwoSteps) => {
                let tags = self.tags.lock().unwrap();
                let tag = key.id().and_then(|id| tags.get(&self.name(id)).copied());
                of_known(tag.unwrap_or(record.tag()))
            }
            _ => record.version() == known.version() && of_known(record.tag()),
        };
        Ok(match (is_known, self.fault) {
            (true, _) => Revalidated::Unchanged,
            (false, Some(Fault::RevalidatesToNothing)) => Revalidated::Gone,
            (false, _) => loaded.into(),
        })
    }

    async fn create(&self, record: &Arc<Record>, now: Timestamp) -> Result<RecordKey, StoreError> {
        let name = self.name(record.id());
        let mut records = self.lock().await;
        let taken = records.get(&name).is_some_and(|taken| taken.is_live(now));
        if taken && !self.has(Fault::CreateOverwrites) {
            return Err(StoreError::IdTaken);
        }
        if self.has(Fault::CreateChecksThenActs) {
            records = self.gap(records).await;
        }
        records.insert(name, self.kept(record));
        Ok(RecordKey::Id(record.id()))
    }

    async fn update(
        &self,
        key: &RecordKey,
        update: &Update,
        now: Timestamp,
    ) -> Result<Updated, StoreError> {
        let Some(name) = self.name_of(key) else {
            return Ok(Updated::Gone);
        };
        let mut records = self.lock().await;
        let Some(current) = records.get(&name).cloned() else {
            if self.has(Fault::UpdateUpserts) {
                records.insert(name, Arc::clone(update.record()));
                return Ok(Updated::saved(key.clone(), update.record().version()));
            }
            return Ok(Updated::Gone);
        };
        if matches!(
            self.fault,
            Some(Fault::UpdateReadsThenWrites | Fault::UpdateReadsThenUpserts)
        ) {
            records = self.gap(records).await;
        }
        let mut after = Arc::clone(&current);
        match self.replace_in(update, &mut after, now)? {
            Updated::Saved { version, exact, .. } => {
                self.put(records, name, &current, after).await;
                let mut key = key.clone();
                if let (Some(id), true) = (key.id(), self.has(Fault::HandsBackWrongKey)) {
                    key = RecordKey::Id(SessionId::from_bytes(id.as_bytes().map(|byte| !byte)));
                }
                Ok(match exact {
                    true => Updated::replaced(key, version),
                    false => Updated::saved(key, version),
                })
            }
            Updated::Conflict { .. } if self.has(Fault::ConflictsWithTheWrongRecord) => {
                Ok(Updated::conflict(Arc::clone(update.record())))
            }
            refused => Ok(refused),
        }
    }

    async fn delete(&self, key: &RecordKey, ended: Ended) -> Result<(), StoreError> {
        let Some(name) = self.name_of(key) else {
            return Ok(());
        };
        let mut records = self.lock().await;
        let first = self.deleted.lock().unwrap().insert(name.clone());
        match self.fault {
            Some(Fault::DeleteWantsIt) if !records.contains_key(&name) => {
                return Err(StoreError::unavailable("no such record"));
            }
            Some(Fault::DeleteOnce) if !first => {
                return Err(StoreError::unavailable("deleted before"));
            }
            Some(Fault::DeletesLater) if first => return Ok(()),
            Some(Fault::DeleteGivesWay) => {
                let before = records.get(&name).cloned();
                records = self.gap(records).await;
                if records.get(&name) != before.as_ref() {
                    return Ok(());
                }
            }
            _ => {}
        }
        if let Some(id) = key.id() {
            self.end(&mut records, id, ended);
        }
        Ok(())
    }

    fn principals(&self) -> Option<&dyn PrincipalIndex> {
        (!self.lists_nothing).then_some(self)
    }

    fn scan(&self) -> Option<&dyn RecordScan> {
        (!self.scans_nothing).then_some(self)
    }

    async fn delete_expired(&self, now: Timestamp) -> Result<u64, StoreError> {
        let mut records = self.lock().await;
        let hour = Duration::from_secs(3600);
        let horizon = if self.has(Fault::SweepsEarly) {
            now + hour
        } else {
            now
        };
        let expired: Vec<_> = records
            .iter()
            .filter(|(_, record)| !record.is_live(horizon))
            .map(|(name, _)| name.clone())
            .collect();
        if self.has(Fault::SweepLooksThenActs) {
            records = self.gap(records).await;
        }
        let count = expired
            .iter()
            .filter_map(|name| records.remove(name))
            .count();
        Ok(if self.has(Fault::SweepsInSilence) {
            0
        } else {
            count as u64
        })
    }
}

#[async_trait]
impl PrincipalIndex for MapStore {
    async fn list_of(&self, principal: &str, now: Timestamp) -> Result<Vec<Listed>, StoreError> {
        let records = self.lock().await;
        if self.has(Fault::ListsAll) {
            return Ok(records
                .values()
                .filter(|record| record.is_live(now))
                .cloned()
                .map(Listed::from)
                .collect());
        }
        let mut theirs = self.theirs(&records, principal);
        theirs.retain(|record| record.is_live(now) || self.has(Fault::ListsExpired));
        Ok(theirs.into_iter().map(Listed::from).collect())
    }

    async fn delete_one_of(
        &self,
        principal: &str,
        id: SessionId,
        ended: Ended,
    ) -> Result<bool, StoreError> {
        let mut records = self.lock().await;
        let found = records.get(&self.name(id)).cloned();
        let theirs = found.as_ref().is_some_and(|record| match self.fault {
            Some(Fault::EndsAnyones) => true,
            Some(Fault::EndsOfNamesakes) => record
                .principal()
                .is_some_and(|owner| owner.eq_ignore_ascii_case(principal)),
            _ => self.owner(record).as_deref() == Some(principal),
        });
        if !theirs {
            return Ok(self.has(Fault::EndsNothing));
        }
        if matches!(
            self.fault,
            Some(Fault::EndLooksThenActs | Fault::EndGivesWay)
        ) {
            records = self.gap(records).await;
        }
        if self.has(Fault::EndGivesWay) && records.get(&self.name(id)) != found.as_ref() {
            return Ok(false);
        }
        let theirs = self.end(&mut records, id, ended);
        Ok(theirs && !self.has(Fault::EndsInSilence))
    }

    async fn delete_all_of(
        &self,
        principal: &str,
        except: Option<SessionId>,
        ended: Ended,
    ) -> Result<u64, StoreError> {
        let mut records = self.lock().await;
        let theirs = self.theirs(&records, principal);
        if self.has(Fault::EndsAllLooksThenActs) {
            records = self.gap(records).await;
        }
        let count = theirs
            .iter()
            .filter(|record| Some(record.id()) != except || self.has(Fault::ExceptsNobody))
            .map(|record| match self.fault {
                Some(Fault::EndsAllWithoutMarks) => drop(records.remove(&self.name(record.id()))),
                _ => drop(self.end(&mut records, record.id(), ended)),
            })
            .count();
        Ok(if self.has(Fault::CountsExcepted) {
            theirs.len()
        } else {
            count
        } as u64)
    }
}

/// Gives others their turn.
pub(crate) async fn turn() {
    let mut waited = false;
    poll_fn(|context| {
        if waited {
            return Poll::Ready(());
        }
        waited = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
