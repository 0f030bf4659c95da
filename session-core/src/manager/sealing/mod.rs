//! Values on their way to the store and back: sealed there, opened here.
//!
//! The store and everything below it (a near cache, a store that moves sessions) sees sealed values
//! only. The session and everything above it sees opened ones only.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytestring::ByteString;

use crate::error::StoreError;
use crate::manager::{PlainValues, ValueSealing};
use crate::record::{
    Limits, Record, SEALING_OVERHEAD, SealFault, SealedForm, SealerId, SessionId, Value, ValueKeys,
    Values,
};
use crate::store::{Changes, RecordKey, SessionStore, Update, Updated};
use crate::time::Timestamp;

/// How many there were in this process.
static SEALERS: AtomicU64 = AtomicU64::new(0);

/// What seals and opens the values of a manager.
#[derive(Default)]
pub(crate) struct Sealing {
    scope: ByteString,
    sealer: Option<Sealer>,
}

struct Sealer {
    /// What it has opened is kept for nobody else.
    id: SealerId,
    keys: ValueKeys,
    plain: PlainValues,
}

impl Sealing {
    pub(super) fn new(settings: Option<&ValueSealing>, scope: &ByteString) -> Self {
        Self {
            scope: scope.clone(),
            sealer: settings.map(|settings| Sealer {
                id: SealerId(SEALERS.fetch_add(1, Ordering::Relaxed)),
                keys: ValueKeys::new(&settings.keys, scope),
                plain: settings.plain,
            }),
        }
    }

    /// Whether there are keys. If not, values are passed on as they are.
    pub(super) const fn seals(&self) -> bool {
        self.sealer.is_some()
    }

    /// Creates a record in the store, with sealed values.
    pub(super) fn create<'c>(
        &'c self,
        store: &'c dyn SessionStore,
        record: &'c Arc<Record>,
        now: Timestamp,
    ) -> Pin<Box<dyn Future<Output = Result<RecordKey, StoreError>> + Send + 'c>> {
        Box::pin(async move {
            let sealed = self.sealed(record).map_err(StoreError::unavailable)?;
            store.create(&sealed, now).await
        })
    }

    /// Carries out an update in the store, with sealed values.
    pub(super) fn update<'c>(
        &'c self,
        store: &'c dyn SessionStore,
        key: &'c RecordKey,
        update: &'c Update,
        now: Timestamp,
    ) -> Pin<Box<dyn Future<Output = Result<Updated, StoreError>> + Send + 'c>> {
        Box::pin(async move {
            let sealed = self
                .sealed_update(update)
                .map_err(StoreError::unavailable)?;
            store.update(key, &sealed, now).await
        })
    }

    fn sealed(&self, record: &Record) -> Result<Arc<Record>, SealFault> {
        let values = self.sealed_values(record)?;
        self.keep(record.id, &values, &record.values);
        let sealed = Arc::new(Record {
            values,
            sealed_form: SealedForm::unknown(),
            ..record.clone()
        });
        record.sealed_form.set_own(&sealed);
        Ok(sealed)
    }

    /// All values of a record, as the store gets them.
    fn sealed_values(&self, record: &Record) -> Result<Values, SealFault> {
        let Some(keys) = self.to_seal_with() else {
            return Ok(record.values.clone());
        };
        let sealed = keys.seal(record.id, || record.values.iter())?;
        let names = record.values.entries().map(|(key, _)| key.clone());
        Ok(Values::from_sorted(names.zip(sealed).collect()))
    }

    /// The keys, unless values are written as they are.
    fn to_seal_with(&self) -> Option<&ValueKeys> {
        let sealer = self.sealer.as_ref();
        let sealer = sealer.filter(|sealer| sealer.plain != PlainValues::Written);
        sealer.map(|sealer| &sealer.keys)
    }

    /// The update as the store gets it. What it does not change stays as the store has it, and each
    /// value that it does change is sealed once, for the record and for the changes.
    fn sealed_update(&self, update: &Update) -> Result<Update, SealFault> {
        let record = &**update.record();
        let (changes, values, hidden) = match record.sealed_form.base() {
            Some(base) => {
                let changes = match record.epoch == update.epoch() {
                    true => self.sealed_changes(record, update.changes())?,
                    false => self.sealed_changes(record, &self.changes_of_renewal(update, base))?,
                };
                let after = changes.apply(base);
                (changes, after.values, after.hidden)
            }
            // Nothing that is stored stays: these are the first values, or a mark takes its place.
            None => {
                let values = self.sealed_values(record)?;
                let form = |key: &str, _: &Value| {
                    let sealed = values.get(key).cloned();
                    sealed.ok_or(SealFault::NotSealed)
                };
                let changes = update.changes().with_forms(form)?;
                (changes, values, record.hidden)
            }
        };
        self.keep(record.id, &values, &record.values);
        let sealed = Arc::new(Record {
            values,
            hidden,
            sealed_form: SealedForm::unknown(),
            ..record.clone()
        });
        record.sealed_form.set_own(&sealed);
        // A handler knows nothing of seals, and the session has judged the record without them. So
        // they have room beside what it may hold, or beside what it holds from before limits were
        // lowered. Such a record meets its version: with what others wrote it would only grow.
        let limits = update.limits();
        let (bytes, limit) = (record.limited_size(), limits.record_bytes());
        let expected = match bytes > limit {
            true => Some(update.base_version()),
            false => update.expected_version(),
        };
        let keys = limits.keys().max(record.values.len());
        let room = keys.saturating_mul(SEALING_OVERHEAD);
        let limits = limits.with_record_bytes(bytes.max(limit).saturating_add(room));
        let sealed = update.with_forms(sealed, changes).with_limits(limits);
        Ok(sealed.with_expected_version(expected))
    }

    /// The changes of a renewal, which also write the values that are not sealed with the newest
    /// key. A sign-in moves the deadline of its session. So without this a value that nobody
    /// changes would outlive all deadlines in the form in which it was once written: plain, or
    /// sealed with a key that is to be removed.
    ///
    /// Such an update meets the version that it was planned for, so it overwrites nobody.
    fn changes_of_renewal(&self, update: &Update, base: &Record) -> Changes {
        let record = update.record();
        let rewrites = |key: &str| self.is_outdated(base.values.get(key));
        update.changes().and_rewrite(&record.values, rewrites)
    }

    /// Whether a stored value has another form than this manager would give it.
    fn is_outdated(&self, stored: Option<&Value>) -> bool {
        match self.to_seal_with() {
            Some(keys) => !stored.is_some_and(|value| keys.is_of_newest(value)),
            None => stored.is_some_and(|value| value.codec().is_sealed()),
        }
    }

    /// The update that writes those values of a stored record again that are not in the form in
    /// which this manager writes values; none if all are. It changes nothing else, and meets the
    /// version of the record. The record is of this scope.
    pub(super) fn resealing(&self, stored: &Arc<Record>) -> Result<Option<Update>, SealFault> {
        let opened = self.opened(stored)?;
        let opened = opened.as_ref().unwrap_or(&stored.values);
        let rewrites = |key: &str| self.is_outdated(stored.values.get(key));
        let changes = Changes::new().and_rewrite(opened, rewrites);
        if changes.keeps_values() {
            return Ok(None);
        }
        let changes = self.sealed_changes(stored, &changes)?;
        let after = Arc::new(changes.apply(stored));
        // What was plain grows, and nobody has to make room for that.
        let limits = Limits::default().with_room_for(&after);
        let update = Update::new(after, changes, stored.epoch)
            .with_limits(limits)
            .with_base_tag(stored.tag)
            .with_expected_version(stored.version);
        Ok(Some(update))
    }

    /// Keeps opened values with the sealed ones, for the next request that the store answers with
    /// these.
    fn keep(&self, id: SessionId, sealed: &Values, opened: &Values) {
        if let Some(sealer) = &self.sealer
            && sealed.any_sealed()
        {
            sealed.opened().keep(sealer.id, id, opened.clone());
        }
    }

    fn sealed_changes(&self, record: &Record, changes: &Changes) -> Result<Changes, SealFault> {
        let Some(keys) = self.to_seal_with() else {
            return Ok(changes.clone());
        };
        let mut sealed = keys.seal(record.id, || changes.sets())?;
        changes.with_forms(|_, _| sealed.next().ok_or(SealFault::NotSealed))
    }

    /// A record that the store has returned, with opened values. It is all of them or an error.
    pub(super) fn open(&self, record: Arc<Record>) -> Result<Arc<Record>, StoreError> {
        // Marks of ended sessions have none.
        if record.values.is_empty() {
            return Ok(record);
        }
        // It is refused once it is judged. Its values have other keys, and nobody may see them.
        if record.scope != self.scope {
            return Ok(Arc::new(Record {
                values: Values::default(),
                ..(*record).clone()
            }));
        }
        Ok(match self.opened(&record).map_err(StoreError::corrupt)? {
            None => record,
            Some(values) => {
                self.keep(record.id, &record.values, &values);
                Arc::new(Record {
                    values,
                    sealed_form: SealedForm::loaded(Arc::clone(&record)),
                    ..(*record).clone()
                })
            }
        })
    }

    /// Checks that a record of this scope can let somebody in: here, or in a process that has other
    /// keys or a newer version. Nothing is kept of its values: a list may be long, and nobody reads
    /// them.
    pub(super) fn check_opens(&self, record: &Record) -> Result<(), StoreError> {
        if record.scope != self.scope {
            return Ok(());
        }
        match self.opened(record) {
            Err(fault) if fault.is_of_the_value() => Err(StoreError::corrupt(fault)),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Whether the values of a record of this scope open here.
    pub(super) fn opens(&self, record: &Record) -> bool {
        self.opened(record).is_ok()
    }

    /// The opened values of a record of this scope; none if they are not sealed, as they all are
    /// without keys.
    fn opened(&self, record: &Record) -> Result<Option<Values>, SealFault> {
        let values = &record.values;
        let Some(sealer) = &self.sealer else {
            return match values.any_sealed() {
                true => Err(SealFault::NoKeys),
                false => Ok(None),
            };
        };
        // This one has judged them before, by the same rules.
        if let Some(opened) = values.opened().get(sealer.id, record.id) {
            return Ok(Some(opened));
        }
        let is_plain = |(_, value): (&str, &Value)| !value.codec().is_sealed();
        if sealer.plain == PlainValues::Refused && values.iter().any(is_plain) {
            return Err(SealFault::Plain);
        }
        match values.any_sealed() {
            true => sealer.keys.open(record.id, values).map(Some),
            false => Ok(Some(values.clone())),
        }
    }
}

#[cfg(test)]
mod tests;
