//! Creating, finding and changing one document.

use std::sync::Arc;

use mongodb::bson::{Bson, Document, RawDocumentBuf, doc};
use mongodb::options::{ReadConcern, ReturnDocument, SelectionCriteria, WriteConcern};
use session_core::{
    Applied, Changes, Key, LimitExceeded, Metadata, OwnedUpdate, Record, SessionId, StoreError,
    Timestamp, Update, Updated, Values,
};
use tokio::time::Instant;

use crate::document;
use crate::fault::{self, Reason};
use crate::store::{Inner, PRIMARY};

pub(crate) fn name(id: SessionId) -> Document {
    doc! { "_id": id.encode() }
}

impl Inner {
    pub(crate) async fn find(
        &self,
        id: SessionId,
        criteria: SelectionCriteria,
    ) -> Result<Option<Arc<Record>>, StoreError> {
        // What a majority does not have yet is read too: else an update that was saved might not be
        // seen.
        let found = self
            .sessions
            .find_one(name(id))
            .read_concern(ReadConcern::local())
            .selection_criteria(criteria);
        let found = found.await.map_err(|error| fault::of_read(&error))?;
        // A collection may take one text for another.
        let same = |document: &RawDocumentBuf| document::id_of(document) == Some(id);
        let found = found.filter(same);
        found
            .map(|document| document::read(id, document))
            .transpose()
    }

    pub(crate) async fn create(&self, record: &Record, now: Timestamp) -> Result<Key, StoreError> {
        fits(record)?;
        let document = RawDocumentBuf::try_from(document::of_record(record))
            .map_err(|_| StoreError::corrupt("the record is no document"))?;
        for last in [false, true] {
            let inserted = self
                .sessions
                .insert_one(&document)
                .write_concern(self.writes.clone());
            match inserted.await {
                Ok(_) => return Ok(Key::Id(record.id())),
                Err(error) if !fault::is_duplicate(&error) => return Err(fault::of_write(&error)),
                Err(_) if last => break,
                Err(_) => {}
            }
            // What has expired and is not swept yet is as good as gone.
            let mut expired = name(record.id());
            expired.insert("ends", doc! { "$lte": document::date(now) });
            let deleted = self
                .sessions
                .delete_one(expired)
                .write_concern(self.writes.clone())
                .await
                .map_err(|error| fault::of_write(&error))?;
            if deleted.deleted_count == 0 {
                break;
            }
        }
        Err(StoreError::IdTaken)
    }

    /// One operation, where the version is there that the update was made from. Otherwise it is
    /// merged, if it may be; and only if nothing matched, the record is read to tell why.
    pub(crate) async fn update(
        &self,
        id: SessionId,
        owned: &OwnedUpdate,
        now: Timestamp,
    ) -> Result<Updated, StoreError> {
        let update = owned.as_update();
        fits(update.record)?;
        let until = Instant::now() + self.deadline;
        let (record, limits) = (update.record, update.limits);
        let merges = update.expected.is_none() && update.changes.metadata() != Metadata::Replaced;
        let mut applied = None;
        // Too much is known to be so by who reads what is there.
        let fits = limits
            .check(record.limited_size(), record.values().len())
            .is_ok();
        if fits || !merges {
            let version = update.expected.unwrap_or(update.base_version());
            applied = self.replace(id, &update, version, record, now).await?;
        }
        if applied.is_none() && merges {
            applied = self.merge(id, &update, now).await?;
        }
        if let Some(version) = applied {
            return Ok(Updated::Saved {
                key: Key::Id(id),
                version,
            });
        }
        // Each time somebody else was faster; when nobody waits any more it ends.
        while Instant::now() < until {
            let Some(current) = self.find(id, PRIMARY).await? else {
                return Ok(Updated::Gone);
            };
            let after = match update.apply_to(&current, now)? {
                Applied::Gone => return Ok(Updated::Gone),
                Applied::Conflict => return Ok(Updated::Conflict(Some(current))),
                Applied::Record(after) => after,
            };
            // A limit was near, or somebody moved the lifetime: now the result is known.
            if let Some(version) = self
                .replace(id, &update, current.version(), &after, now)
                .await?
            {
                return Ok(Updated::Saved {
                    key: Key::Id(id),
                    version,
                });
            }
        }
        Err(StoreError::Unavailable(Arc::new(Reason::Late(
            self.deadline,
        ))))
    }

    /// Puts the changes on the version that is known, so that `after` results.
    async fn replace(
        &self,
        id: SessionId,
        update: &Update<'_>,
        version: u64,
        after: &Record,
        now: Timestamp,
    ) -> Result<Option<u64>, StoreError> {
        let mut filter = self.live(id, update, now);
        filter.insert("v", document::number(version));
        let mut set = document::counts(after);
        if update.changes.metadata() != Metadata::Unchanged {
            set.extend(document::activity(after));
        }
        let mut unset = Document::new();
        values(update.changes, &mut set, &mut unset);
        if update.changes.metadata() == Metadata::Replaced {
            set.extend(document::head(after));
            if after.principal().is_none() {
                unset.insert("principal", "");
            }
        }
        let change = operators([("$set", set), ("$unset", unset)]);
        let concern = self.concern(update.changes);
        let updated = self
            .sessions
            .update_one(filter, change)
            .write_concern(concern);
        let updated = updated.await.map_err(|error| fault::of_update(&error))?;
        Ok((updated.matched_count > 0).then_some(after.version()))
    }

    /// Puts the changes on whatever version is there.
    async fn merge(
        &self,
        id: SessionId,
        update: &Update<'_>,
        now: Timestamp,
    ) -> Result<Option<u64>, StoreError> {
        let changes = update.changes;
        let mut filter = self.live(id, update, now);
        // Another program may have put something there that counts as a number and is none of ours.
        filter.insert("v", doc! { "$type": "long" });
        let (mut set, mut unset, mut most, mut add) = (
            Document::new(),
            Document::new(),
            Document::new(),
            doc! { "v": 1_i64 },
        );
        values(changes, &mut set, &mut unset);
        // What is there under the same keys is not known, so sizes are counted too high; where that
        // may reach a limit nothing matches, and the slow way counts anew.
        let bytes: usize = changes
            .sets()
            .map(|(key, value)| Values::entry_size(key, value))
            .sum();
        let keys = changes.sets().count();
        if keys > 0 {
            let room = |limit: usize, added: usize| {
                document::number_of(limit) - document::number_of(added)
            };
            filter.insert(
                "size",
                doc! { "$lte": room(update.limits.record_bytes, bytes) },
            );
            filter.insert("keys", doc! { "$lte": room(update.limits.keys, keys) });
            add.insert("size", document::number_of(bytes));
            add.insert("keys", document::number_of(keys));
        }
        if let Metadata::Touched(_) = changes.metadata() {
            // When it ends follows from these.
            filter.insert("idle", document::idle(update.record));
            filter.insert("deadline", document::date(update.record.deadline()));
            most = document::activity(update.record);
        }
        let change = operators([
            ("$set", set),
            ("$unset", unset),
            ("$max", most),
            ("$inc", add),
        ]);
        let concern = self.concern(changes);
        let updated = self
            .sessions
            .find_one_and_update(filter, change)
            .projection(doc! { "v": 1, "_id": 0 })
            .return_document(ReturnDocument::After)
            .write_concern(concern);
        let Some(updated) = updated.await.map_err(|error| fault::of_update(&error))? else {
            return Ok(None);
        };
        let version = updated
            .get_i64("v")
            .ok()
            .and_then(|version| u64::try_from(version).ok());
        version
            .map(Some)
            .ok_or_else(|| StoreError::corrupt("the version is not what was written"))
    }

    /// The session, if it is live and of the epoch that was loaded. None of these fields has an
    /// index, which would cost the fast path by the id.
    fn live(&self, id: SessionId, update: &Update<'_>, now: Timestamp) -> Document {
        let mut filter = name(id);
        filter.insert("epoch", document::number(update.epoch));
        filter.insert("ends", doc! { "$gt": document::date(now) });
        filter
    }

    fn concern(&self, changes: &Changes) -> WriteConcern {
        match changes.metadata() {
            Metadata::Touched(_) if changes.keeps_values() => self.touches.clone(),
            _ => self.writes.clone(),
        }
    }
}

/// A document holds 16 MiB; names of fields and the like need some of it.
fn fits(record: &Record) -> Result<(), StoreError> {
    const LIMIT: usize = 15 * 1024 * 1024;
    match record.size() {
        ..=LIMIT => Ok(()),
        size => Err(LimitExceeded::RecordBytes { size, limit: LIMIT }.into()),
    }
}

/// What sets and removes the values that change.
fn values(changes: &Changes, set: &mut Document, unset: &mut Document) {
    if changes.is_clear() {
        let mut data = Document::new();
        for (key, value) in changes.sets() {
            data.insert(document::escape(key), document::bson_of(value));
        }
        set.insert("data", data);
        return;
    }
    for (key, value) in changes.sets() {
        set.insert(
            format!("data.{}", document::escape(key)),
            document::bson_of(value),
        );
    }
    for key in changes.removes() {
        unset.insert(format!("data.{}", document::escape(key)), "");
    }
}

/// The server refuses operators without fields.
fn operators<const N: usize>(all: [(&str, Document); N]) -> Document {
    let used = all.into_iter().filter(|(_, fields)| !fields.is_empty());
    used.map(|(operator, fields)| (operator.to_owned(), Bson::Document(fields)))
        .collect()
}
