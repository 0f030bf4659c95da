//! A store that keeps each value by itself.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use session_core::store::{
    ByteString, Changes, Metadata, Record, StoreError, Tag, Update, Value, Values,
};
use session_core::{LimitExceeded, Timestamp};

use crate::map::{Entry, MapStore};

/// Keeps sessions as a Redis hash or a MongoDB document would: a field for each value, and the
/// metadata as bytes that are not read on the server, beside what it decides updates by. Updates
/// merge field by field.
pub type FieldStore = MapStore<Hash>;

/// The fields of one session.
#[derive(Clone, Debug)]
pub struct Hash {
    version: u64,
    tag: Option<Tag>,
    last_seen: Timestamp,
    head: Head,
    values: BTreeMap<ByteString, Value>,
    /// What the values add to the size.
    size: usize,
}

/// What only a replacement of the metadata moves.
#[derive(Clone, Debug)]
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
            deadline: record.absolute_expiry(),
            idle: record.lifetime().idle(),
            principal: record.principal().map(str::to_owned),
            size: record.limited_size() - entries,
        }
    }
}

impl Hash {
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
    fn merge(&mut self, update: &Update) -> Result<(), LimitExceeded> {
        let changes = update.changes();
        // Such an update has met its version, so its record is what results.
        let replaced = changes.metadata() == Metadata::Replaced;
        let head = replaced.then(|| Head::new(update.record()));
        let (size, count) = self.measure(changes);
        let whole = size + head.as_ref().unwrap_or(&self.head).size;
        if whole > self.size + self.head.size || count > self.values.len() {
            update.limits().check(whole, count)?;
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
            self.last_seen = update.record().last_seen();
            self.head = head;
        } else if let Metadata::Touched(seen) = changes.metadata() {
            self.last_seen = self.last_seen.max(seen);
        }
        Ok(())
    }
}

impl Entry for Hash {
    fn new(record: &Arc<Record>) -> Self {
        let head = Head::new(record);
        let values = record.values().iter();
        Self {
            version: record.version(),
            tag: record.tag(),
            last_seen: record.last_seen(),
            size: record.limited_size() - head.size,
            head,
            values: values
                .map(|(key, value)| (key.into(), value.clone()))
                .collect(),
        }
    }

    fn is_live(&self, now: Timestamp) -> bool {
        now < (self.last_seen + self.head.idle).min(self.head.deadline)
    }

    fn written(&self) -> (u64, Option<Tag>) {
        (self.version, self.tag)
    }

    fn epoch(&self) -> u64 {
        self.head.epoch
    }

    fn principal(&self) -> Option<&str> {
        self.head.principal.as_deref()
    }

    fn record(&self) -> Result<Arc<Record>, StoreError> {
        let values = self.values.iter();
        let values = values
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        let metadata = self.head.metadata.clone();
        let record = Record::from_parts(metadata, self.version, self.last_seen, values)?;
        Ok(Arc::new(record.with_tag(self.tag)))
    }

    fn update(&mut self, update: &Update, is_base: bool) -> Result<bool, StoreError> {
        let is_expected = |version| match version == update.base_version() {
            true => is_base,
            false => version == self.version,
        };
        if !update.expected_version().is_none_or(is_expected) {
            return Ok(false);
        }
        self.merge(update)?;
        let tag = update.record().tag();
        self.tag = match is_base {
            true => tag,
            false => tag.map(Tag::merged),
        };
        Ok(true)
    }
}
