//! What the faults make of records and updates.

use std::sync::Arc;

use session_core::store::{Changes, Metadata, Record, StoreError, Tag, Update, Updated, Value};
use session_core::{Codec, Timestamp};

use super::Fault;
use super::map::{MapStore, Records};

impl MapStore {
    /// A record as this store keeps it.
    pub(super) fn kept(&self, record: &Arc<Record>) -> Arc<Record> {
        let keep = |changes: Changes| {
            let kept = changes.apply(record).with_version(record.version());
            Arc::new(kept.with_tag(record.tag()))
        };
        match self.fault {
            Some(Fault::ForgetsMetadata) => {
                let bare = Record::new(
                    record.id(),
                    record.scope(),
                    record.lifetime(),
                    record.created_at(),
                );
                Arc::new(
                    values(record).fold(bare, |bare, (key, value)| bare.with_value(key, value)),
                )
            }
            Some(Fault::RewritesJson) => keep(values(record).fold(
                Changes::new(),
                |changes, (key, value)| match value.decode::<serde_json::Value>() {
                    Ok(json) => changes.set(key, Codec::Json.encode(&json).unwrap()),
                    Err(_) => changes,
                },
            )),
            Some(Fault::DropsDottedKeys) => keep(
                values(record)
                    .filter(|(key, _)| key.contains('.'))
                    .fold(Changes::new(), |changes, (key, _)| changes.remove(key)),
            ),
            Some(Fault::DropsTheThousandth) => keep(
                values(record)
                    .skip(999)
                    .fold(Changes::new(), |changes, (key, _)| changes.remove(key)),
            ),
            Some(Fault::CountsWith32Bits) => {
                let version = record.version() & u64::from(u32::MAX);
                Arc::new(Record::clone(record).with_version(version))
            }
            _ => Arc::clone(record),
        }
    }

    pub(super) fn is_live(&self, record: &Record, now: Timestamp) -> bool {
        let mut expires = record.expires_at();
        if self.has(Fault::NeverShortens) {
            let former = self.former.lock().unwrap();
            expires = former
                .get(&self.name(record.id()))
                .map_or(expires, |former| former.expires_at().max(expires));
        }
        now < expires
            || matches!(
                self.fault,
                Some(Fault::RevivesExpired | Fault::EmptiesExpired)
            )
    }

    /// What a load shows of a record that has expired.
    pub(super) fn expired(&self, record: &Arc<Record>, now: Timestamp) -> Arc<Record> {
        let changes = match self.fault {
            Some(Fault::RevivesExpired) => Changes::new().with_metadata(Metadata::Touched(now)),
            Some(Fault::EmptiesExpired) => Changes::new().clear(),
            _ => return Arc::clone(record),
        };
        Arc::new(changes.apply(record).with_version(record.version()))
    }

    pub(super) fn replace_in(
        &self,
        update: &Update,
        current: &mut Arc<Record>,
        now: Timestamp,
    ) -> Result<Updated, StoreError> {
        let before = Arc::clone(current);
        let mut expected = update.expected_version();
        if self.only_replaces {
            expected = expected.or(Some(update.base_version()));
        }
        let (mut epoch, mut limits) = (update.epoch(), *update.limits());
        match self.fault {
            Some(Fault::IgnoresExpected) => expected = None,
            Some(Fault::UpdatesMarks) if before.ended().is_some() => epoch = before.epoch(),
            Some(Fault::IgnoresEpoch) if before.ended().is_none() => epoch = before.epoch(),
            Some(Fault::IgnoresLimits) => {
                limits = limits.with_record_bytes(usize::MAX).with_keys(usize::MAX);
            }
            _ => {}
        }
        let former = self.has(Fault::NeverShortens) && self.is_live(&before, now);
        let has_tag = update
            .base_tag()
            .is_some_and(|tag| before.tag() == Some(tag));
        if has_tag && self.has(Fault::TrustsTheTagOfRenewed) && before.ended().is_none() {
            epoch = before.epoch();
        }
        let expired =
            self.has(Fault::UpdatesExpired) || has_tag && self.has(Fault::TrustsTheTagOfExpired);
        let now = if former || expired {
            before.created_at()
        } else {
            now
        };
        let twisted = Update::new(Arc::clone(update.record()), update.changes().clone(), epoch)
            .with_base_tag(update.base_tag())
            .with_expected_version(expected)
            .with_limits(limits);
        let updated = twisted.replace_in(current, now)?;
        let Updated::Saved { key, .. } = updated else {
            return Ok(updated);
        };
        *current = self.twist(update, &before, Arc::clone(current));
        let exact = match self.fault {
            Some(Fault::MergesExactly | Fault::RetagsExactly) => true,
            Some(Fault::ExactByVersion) => before.version() == update.base_version(),
            _ => Arc::ptr_eq(current, update.record()),
        };
        Ok(match exact {
            true => Updated::replaced(key, current.version()),
            false => Updated::saved(key, current.version()),
        })
    }

    /// What comes of an update, with the fault in it.
    pub(super) fn twist(
        &self,
        update: &Update,
        current: &Record,
        after: Arc<Record>,
    ) -> Arc<Record> {
        let changes = update.changes();
        let with = |all: &mut dyn Iterator<Item = (String, Value)>| {
            Arc::new(all.fold((*after).clone(), |after, (key, value)| {
                after.with_value(key, value)
            }))
        };
        match (self.fault, changes.metadata()) {
            (Some(Fault::VersionStandsStill), _) => {
                Arc::new((*after).clone().with_version(current.version()))
            }
            (Some(Fault::LastWriterWins), _) => Arc::new(
                (**update.record())
                    .clone()
                    .with_version(current.version() + 1),
            ),
            (Some(Fault::KeepsRemoved), _) => with(
                &mut values(current)
                    .filter(|(key, _)| changes.removes().any(|removed| removed == key)),
            ),
            (Some(Fault::ClearsNothing), _) if changes.is_clear() => {
                with(&mut values(current).filter(|(key, _)| after.values().get(key).is_none()))
            }
            (Some(Fault::DropsTouch), Metadata::Touched(_)) => Arc::new(
                changes
                    .clone()
                    .with_metadata(Metadata::Unchanged)
                    .apply(current),
            ),
            (Some(Fault::TouchKeepsTheTag), Metadata::Touched(_))
                if changes.sets().count() == 0 =>
            {
                Arc::new((*after).clone().with_tag(current.tag()))
            }
            (Some(Fault::RetagsExactly), _) => {
                Arc::new((*after).clone().with_tag(Some(Tag::draw())))
            }
            (Some(Fault::KeepsMetadata), Metadata::Replaced) => Arc::new(changes.apply(current)),
            _ => after,
        }
    }

    pub(super) fn theirs(&self, records: &Records, principal: &str) -> Vec<Arc<Record>> {
        records
            .values()
            .filter(|record| self.owner(record).as_deref() == Some(principal))
            .cloned()
            .collect()
    }

    /// Whose it is, as the index has it.
    pub(super) fn owner(&self, record: &Record) -> Option<String> {
        let former = self.former.lock().unwrap();
        let first = self
            .has(Fault::IndexesCreations)
            .then(|| former.get(&self.name(record.id())))
            .flatten();
        first
            .map_or(record.principal(), |record| record.principal())
            .map(str::to_owned)
    }
}

fn values(record: &Record) -> impl Iterator<Item = (String, Value)> {
    record
        .values()
        .iter()
        .map(|(key, value)| (key.to_owned(), value.clone()))
}
