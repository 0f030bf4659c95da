//! Stores in a map, which differ in what an entry is and in how one is updated.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use session_core::store::{
    Durability, Listed, PrincipalIndex, Record, RecordKey, RecordLocation, RecordScan, Revalidated,
    SessionStore, StoreError, Tag, Update, Updated,
};
use session_core::{Ended, SessionId, Timestamp};

/// What is kept of one session.
pub trait Entry: fmt::Debug + Send + Sized + 'static {
    /// What is kept of this record.
    fn new(record: &Arc<Record>) -> Self;

    /// Whether it is neither expired nor a mark.
    fn is_live(&self, now: Timestamp) -> bool;

    /// How often it was written, and the tag of the last write.
    fn written(&self) -> (u64, Option<Tag>);

    /// The epoch of its token.
    fn epoch(&self) -> u64;

    /// Whose it is.
    fn principal(&self) -> Option<&str>;

    /// The whole record.
    ///
    /// # Errors
    ///
    /// If it cannot be put together.
    fn record(&self) -> Result<Arc<Record>, StoreError>;

    /// Updates it, unless another write came first; whether it did. `is_base`: it is what the
    /// request has loaded.
    ///
    /// # Errors
    ///
    /// If it would exceed a limit.
    fn update(&mut self, update: &Update, is_base: bool) -> Result<bool, StoreError>;
}

/// A map of sessions under one lock.
#[derive(Debug)]
pub struct MapStore<E> {
    entries: Mutex<HashMap<SessionId, E>>,
    /// Whether a conflict comes with the stored record.
    hands_back: bool,
    /// The fault of a store that takes another content of the same version for the same.
    compares_versions_alone: bool,
}

/// What a store held at some time.
#[derive(Clone, Debug)]
pub struct Snapshot<E>(HashMap<SessionId, E>);

impl<E: Entry> MapStore<E> {
    /// An empty store. Its conflicts come without the stored record, so that it has to be loaded.
    pub fn new() -> Self {
        Self {
            entries: Mutex::default(),
            hands_back: false,
            compares_versions_alone: false,
        }
    }

    /// An empty store, whose conflicts come with the stored record.
    pub fn that_hands_back() -> Self {
        Self {
            hands_back: true,
            ..Self::new()
        }
    }

    /// A broken one, which takes another content of the same version for the same.
    pub fn that_compares_versions_alone() -> Self {
        Self {
            compares_versions_alone: true,
            ..Self::new()
        }
    }

    /// What it holds now.
    pub fn snapshot(&self) -> Snapshot<E>
    where
        E: Clone,
    {
        Snapshot(self.entries().clone())
    }

    /// Holds what it held at some time, as after a fail-over that has lost what was written since.
    pub fn restore(&self, snapshot: Snapshot<E>) {
        *self.entries() = snapshot.0;
    }

    /// Whether what is stored is this very record.
    fn is(&self, entry: &E, known: &Record) -> bool {
        let (version, tag) = entry.written();
        let same_tag = tag == known.tag() || self.compares_versions_alone;
        version == known.version() && same_tag
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<SessionId, E>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts marks in the place of some, and says how many those were.
    fn end(&self, ends: impl Fn(&SessionId, &E) -> bool, ended: Ended) -> u64 {
        let mut entries = self.entries();
        let ending = entries.iter_mut().filter(|(id, entry)| ends(id, entry));
        let marked = ending.map(|(id, entry)| *entry = E::new(&Arc::new(ended.mark(*id))));
        marked.count() as u64
    }
}

impl<E: Entry> Default for MapStore<E> {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<E: Entry> SessionStore for MapStore<E> {
    fn location(&self) -> RecordLocation {
        RecordLocation::Server
    }

    fn call_timeout(&self) -> Option<Duration> {
        None
    }

    fn durability(&self) -> Durability {
        Durability::Durable
    }

    async fn load(&self, key: &RecordKey, _: Timestamp) -> Result<Option<Arc<Record>>, StoreError> {
        let Some(id) = key.id() else { return Ok(None) };
        // An expired one too, so that its expiry can be told.
        self.entries().get(&id).map(E::record).transpose()
    }

    async fn revalidate(
        &self,
        key: &RecordKey,
        known: &Arc<Record>,
        _: Timestamp,
    ) -> Result<Revalidated, StoreError> {
        let Some(id) = key.id() else {
            return Ok(Revalidated::Gone);
        };
        Ok(match self.entries().get(&id) {
            None => Revalidated::Gone,
            Some(entry) if known.tag().is_some() && self.is(entry, known) => Revalidated::Unchanged,
            Some(entry) => Revalidated::Changed(entry.record()?),
        })
    }

    async fn create(&self, record: &Arc<Record>, now: Timestamp) -> Result<RecordKey, StoreError> {
        let (id, mut entries) = (record.id(), self.entries());
        if entries.get(&id).is_some_and(|taken| taken.is_live(now)) {
            return Err(StoreError::IdTaken);
        }
        entries.insert(id, E::new(record));
        Ok(RecordKey::Id(id))
    }

    async fn update(
        &self,
        key: &RecordKey,
        update: &Update,
        now: Timestamp,
    ) -> Result<Updated, StoreError> {
        let mut entries = self.entries();
        let found = key.id().and_then(|id| entries.get_mut(&id));
        let live = found.filter(|entry| entry.is_live(now) && entry.epoch() == update.epoch());
        let Some(entry) = live else {
            return Ok(Updated::Gone);
        };
        let (version, tag) = entry.written();
        let differ = tag.zip(update.base_tag()).is_some_and(|(a, b)| a != b);
        let is_base = version == update.base_version() && !differ;
        let updated = entry.update(update, is_base)?;
        let version = entry.written().0;
        match updated {
            true if is_base => Ok(Updated::replaced(key.clone(), version)),
            true => Ok(Updated::saved(key.clone(), version)),
            false if self.hands_back => Ok(Updated::conflict(entry.record()?)),
            false => Ok(Updated::conflict(None)),
        }
    }

    async fn delete(&self, key: &RecordKey, ended: Ended) -> Result<(), StoreError> {
        self.end(|id, _| Some(*id) == key.id(), ended);
        Ok(())
    }

    fn principals(&self) -> Option<&dyn PrincipalIndex> {
        Some(self)
    }

    fn scan(&self) -> Option<&dyn RecordScan> {
        None
    }

    async fn delete_expired(&self, now: Timestamp) -> Result<u64, StoreError> {
        let mut entries = self.entries();
        let before = entries.len();
        entries.retain(|_, entry| entry.is_live(now));
        Ok((before - entries.len()) as u64)
    }
}

#[async_trait]
impl<E: Entry> PrincipalIndex for MapStore<E> {
    async fn list_of(&self, principal: &str, now: Timestamp) -> Result<Vec<Listed>, StoreError> {
        let entries = self.entries();
        let theirs = entries
            .values()
            .filter(|entry| entry.principal() == Some(principal) && entry.is_live(now));
        theirs
            .map(|entry| entry.record().map(Listed::from))
            .collect()
    }

    async fn delete_one_of(
        &self,
        principal: &str,
        id: SessionId,
        ended: Ended,
    ) -> Result<bool, StoreError> {
        let is_it = |other: &_, entry: &E| *other == id && entry.principal() == Some(principal);
        Ok(self.end(is_it, ended) > 0)
    }

    async fn delete_all_of(
        &self,
        principal: &str,
        except: Option<SessionId>,
        ended: Ended,
    ) -> Result<u64, StoreError> {
        let ends = |id: &_, entry: &E| entry.principal() == Some(principal) && Some(*id) != except;
        Ok(self.end(ends, ended))
    }
}
