//! A store that keeps each value by itself.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use session_core::{
    ByteString, Capability, Changes, Durability, Ended, Key, LimitExceeded, Listed, Metadata,
    Record, SessionId, SessionStore, StoreError, Timestamp, Update, Updated, Value, Values,
};

/// Keeps sessions as a Redis hash or a MongoDB document would: a field for each value, and the
/// metadata as bytes that are not read on the server, beside what it decides updates by. Updates
/// merge field by field.
#[derive(Debug, Default)]
pub struct FieldStore {
    hashes: Mutex<HashMap<SessionId, Hash>>,
}

#[derive(Debug)]
struct Hash {
    version: u64,
    last_seen: Timestamp,
    head: Head,
    values: BTreeMap<ByteString, Value>,
    /// What the values add to the size.
    size: usize,
}

/// What only a replacement of the metadata moves.
#[derive(Debug)]
struct Head {
    metadata: Vec<u8>,
    epoch: u64,
    deadline: Timestamp,
    idle: Duration,
    principal: Option<String>,
    /// The size without any value.
    size: usize,
}

impl Head {
    fn new(record: &Record) -> Self {
        let entries = record.values().iter();
        let entries: usize = entries
            .map(|(key, value)| Values::entry_size(key, value))
            .sum();
        Self {
            metadata: record.encode_metadata(),
            epoch: record.epoch(),
            deadline: record.deadline(),
            idle: record.lifetime().idle(),
            principal: record.principal().map(str::to_owned),
            size: record.limited_size() - entries,
        }
    }
}

impl Hash {
    fn new(record: &Record) -> Self {
        let head = Head::new(record);
        let values = record.values().iter();
        Self {
            version: record.version(),
            last_seen: record.last_seen(),
            size: record.limited_size() - head.size,
            head,
            values: values
                .map(|(key, value)| (key.into(), value.clone()))
                .collect(),
        }
    }

    fn is_live(&self, now: Timestamp) -> bool {
        now < self.last_seen.plus(self.head.idle).min(self.head.deadline)
    }

    fn is_of(&self, principal: &str) -> bool {
        self.head.principal.as_deref() == Some(principal)
    }

    fn record(&self) -> Result<Arc<Record>, StoreError> {
        let values = self.values.iter();
        let values = values
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        let metadata = self.head.metadata.clone();
        let record = Record::from_parts(metadata, self.version, self.last_seen, values)?;
        Ok(Arc::new(record))
    }

    /// Size and number of the values once these changes are made.
    fn measure(&self, changes: &Changes) -> (usize, usize) {
        let (mut size, mut count) = match changes.is_clear() {
            true => (0, 0),
            false => (self.size, self.values.len()),
        };
        let changed = changes.removes().chain(changes.sets().map(|(key, _)| key));
        for key in changed.filter(|_| !changes.is_clear()) {
            if let Some(value) = self.values.get(key) {
                size -= Values::entry_size(key, value);
                count -= 1;
            }
        }
        for (key, value) in changes.sets() {
            size += Values::entry_size(key, value);
            count += 1;
        }
        (size, count)
    }

    /// Changes the fields, all of them or none.
    fn merge(&mut self, update: Update<'_>) -> Result<(), LimitExceeded> {
        let changes = update.changes;
        // Such an update has met its version, so its record is what results.
        let replaced = changes.metadata() == Metadata::Replaced;
        let head = replaced.then(|| Head::new(update.record));
        let (size, count) = self.measure(changes);
        let whole = size + head.as_ref().unwrap_or(&self.head).size;
        if whole > self.size + self.head.size || count > self.values.len() {
            update.limits.check(whole, count)?;
        }
        self.version += 1;
        self.size = size;
        if changes.is_clear() {
            self.values.clear();
        }
        for key in changes.removes() {
            self.values.remove(key);
        }
        for (key, value) in changes.sets() {
            self.values.insert(key.into(), value.clone());
        }
        if let Some(head) = head {
            self.last_seen = update.record.last_seen();
            self.head = head;
        } else if let Metadata::Touched(seen) = changes.metadata() {
            self.last_seen = self.last_seen.max(seen);
        }
        Ok(())
    }
}

impl FieldStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    fn hashes(&self) -> MutexGuard<'_, HashMap<SessionId, Hash>> {
        self.hashes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn retain(&self, kept: impl Fn(&SessionId, &Hash) -> bool) -> u64 {
        let mut hashes = self.hashes();
        let before = hashes.len();
        hashes.retain(|id, hash| kept(id, hash));
        (before - hashes.len()) as u64
    }

    /// Puts marks in the place of some, and says how many those were.
    fn end(&self, ends: impl Fn(&SessionId, &Hash) -> bool, ended: Ended) -> u64 {
        let mut hashes = self.hashes();
        let ending = hashes.iter_mut().filter(|(id, hash)| ends(id, hash));
        ending
            .map(|(id, hash)| *hash = Hash::new(&ended.mark(*id)))
            .count() as u64
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl SessionStore for FieldStore {
    fn capability(&self) -> Capability {
        Capability::Server
    }

    fn deadline(&self) -> Option<Duration> {
        None
    }

    fn durability(&self) -> Durability {
        Durability::Durable
    }

    async fn load(&self, key: &Key, _: Timestamp) -> Result<Option<Arc<Record>>, StoreError> {
        let Some(id) = key.id() else { return Ok(None) };
        let hashes = self.hashes();
        // An expired one too, so that its expiry can be told.
        hashes.get(&id).map(Hash::record).transpose()
    }

    async fn create(&self, record: &Arc<Record>, now: Timestamp) -> Result<Key, StoreError> {
        let mut hashes = self.hashes();
        if hashes
            .get(&record.id())
            .is_some_and(|taken| taken.is_live(now))
        {
            return Err(StoreError::IdTaken);
        }
        hashes.insert(record.id(), Hash::new(record));
        Ok(Key::Id(record.id()))
    }

    async fn update(
        &self,
        key: &Key,
        update: Update<'_>,
        now: Timestamp,
    ) -> Result<Updated, StoreError> {
        let Some(id) = key.id() else {
            return Ok(Updated::Gone);
        };
        let mut hashes = self.hashes();
        let found = hashes.get_mut(&id);
        let live = found.filter(|hash| hash.is_live(now) && hash.head.epoch == update.epoch);
        let Some(hash) = live else {
            return Ok(Updated::Gone);
        };
        if update
            .expected
            .is_some_and(|version| version != hash.version)
        {
            return Ok(Updated::Conflict(None));
        }
        hash.merge(update)?;
        Ok(Updated::Saved {
            key: key.clone(),
            version: hash.version,
        })
    }

    async fn delete(&self, key: &Key, ended: Ended) -> Result<(), StoreError> {
        if let Some(id) = key.id() {
            self.end(|other, _| *other == id, ended);
        }
        Ok(())
    }

    async fn list(&self, principal: &str, now: Timestamp) -> Result<Vec<Listed>, StoreError> {
        let hashes = self.hashes();
        let theirs = hashes
            .values()
            .filter(|hash| hash.is_of(principal) && hash.is_live(now));
        theirs.map(|hash| hash.record().map(Listed::from)).collect()
    }

    async fn delete_one(
        &self,
        principal: &str,
        id: SessionId,
        ended: Ended,
    ) -> Result<bool, StoreError> {
        Ok(self.end(|other, hash| *other == id && hash.is_of(principal), ended) > 0)
    }

    async fn delete_all(
        &self,
        principal: &str,
        except: Option<SessionId>,
        ended: Ended,
    ) -> Result<u64, StoreError> {
        Ok(self.end(
            |id, hash| hash.is_of(principal) && Some(*id) != except,
            ended,
        ))
    }

    async fn delete_expired(&self, now: Timestamp) -> Result<u64, StoreError> {
        Ok(self.retain(|_, hash| hash.is_live(now)))
    }
}
