//! Values on their way to the store and back: sealed there, opened here.
//!
//! The store and everything below it (a near cache, a store that moves sessions) sees sealed values
//! only. The session and everything above it sees opened ones only.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytestring::ByteString;

use crate::crypto::KeyRing;
use crate::error::StoreError;
use crate::record::{Record, SEALING_OVERHEAD, SealFault, SealedForm, Value, ValueKeys, Values};
use crate::store::{Changes, RecordKey, SessionStore, Update, Updated};
use crate::time::Timestamp;

/// How values are sealed in the store
/// ([`seal_values`](crate::SessionManagerBuilder::seal_values)).
///
/// A new site sets [`sealed_only`](Self::sealed_only) from its first day, as here. A [`KeyRing`]
/// alone is the same as `ValueSealing::new(keys)`, which also reads plain values.
///
/// Of [`sealed_only`](Self::sealed_only) and [`writing_plain`](Self::writing_plain) the last call
/// applies: they say what happens to plain values, and exclude each other.
///
/// ```
/// use session_core::{KeyRing, MemoryStore, SessionManager, ValueSealing};
///
/// # let keys = KeyRing::generate().unwrap();
/// let sealing = ValueSealing::new(keys).sealed_only();
/// assert!(SessionManager::builder(MemoryStore::new()).seal_values(sealing).build().is_ok());
/// ```
#[derive(Clone, Debug)]
pub struct ValueSealing {
    keys: KeyRing,
    plain: PlainValues,
}

/// What happens to values that are not sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PlainValues {
    /// They are read, and sealed when they are next written.
    Read,
    /// A record that has one is corrupt.
    Refused,
    /// They are read, and new ones are written.
    Written,
}

impl ValueSealing {
    /// Seals values with the newest of these keys, and opens them with all of them.
    ///
    /// Values that were written before are read, and sealed when they are next written, or when
    /// somebody signs in to their session. Until [`sealed_only`](Self::sealed_only) is set,
    /// somebody who can write to the database can put a plain value in the place of a sealed one.
    ///
    /// [`ValueSealing`] has an example.
    pub const fn new(keys: KeyRing) -> Self {
        Self {
            keys,
            plain: PlainValues::Read,
        }
    }

    /// Refuses values that are not sealed. A session that has one is
    /// [corrupt](crate::store::StoreError::Corrupt).
    ///
    /// A new site sets it from the first day. A site that had plain values sets it once all of them
    /// are gone: after the longest absolute timeout ([`Lifetime`](crate::Lifetime)) since all nodes
    /// seal. Only with it does sealing protect values against somebody who can write to the
    /// database.
    ///
    /// If [`writing_plain`](Self::writing_plain) was set, this replaces it.
    ///
    /// [`ValueSealing`] has an example.
    #[must_use]
    pub fn sealed_only(self) -> Self {
        Self {
            plain: PlainValues::Refused,
            ..self
        }
    }

    /// Opens sealed values, but writes values as they are.
    ///
    /// Use it for one deployment before sealing begins, if old and new processes run side by side
    /// during a deployment: a process without the keys cannot read what another one has sealed. Use
    /// it also to stop sealing. After [`sealed_only`](Self::sealed_only), first deploy
    /// `ValueSealing::new(keys)` on all nodes: those that refuse plain values cannot read what this
    /// one writes.
    ///
    /// If [`sealed_only`](Self::sealed_only) was set, this replaces it.
    ///
    /// ```
    /// use session_core::{KeyRing, MemoryStore, SessionManager, ValueSealing};
    ///
    /// # let keys = KeyRing::generate().unwrap();
    /// let sealing = ValueSealing::new(keys).writing_plain();
    /// assert!(SessionManager::builder(MemoryStore::new()).seal_values(sealing).build().is_ok());
    /// ```
    #[must_use]
    pub fn writing_plain(self) -> Self {
        Self {
            plain: PlainValues::Written,
            ..self
        }
    }
}

impl From<KeyRing> for ValueSealing {
    fn from(keys: KeyRing) -> Self {
        Self::new(keys)
    }
}

/// What seals and opens the values of a manager.
#[derive(Default)]
pub(crate) struct Sealing {
    scope: ByteString,
    sealer: Option<Sealer>,
}

struct Sealer {
    keys: ValueKeys,
    plain: PlainValues,
}

impl Sealing {
    pub(super) fn new(settings: Option<&ValueSealing>, scope: &ByteString) -> Self {
        Self {
            scope: scope.clone(),
            sealer: settings.map(|settings| Sealer {
                keys: ValueKeys::new(&settings.keys, scope),
                plain: settings.plain,
            }),
        }
    }

    /// Bytes by which a value that is written is longer in the store.
    pub(super) fn overhead(&self) -> usize {
        self.to_seal_with().map_or(0, |_| SEALING_OVERHEAD)
    }

    /// Bytes by which any value is longer in the store, at most.
    pub(super) fn most_overhead(&self) -> usize {
        self.sealer.as_ref().map_or(0, |_| SEALING_OVERHEAD)
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
        let sealed = Arc::new(Record {
            values,
            ..record.clone()
        });
        record.sealed_form.write(&sealed);
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
                    false => self.sealed_changes(record, &self.renewed(update, base))?,
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
        let sealed = Arc::new(Record {
            values,
            hidden,
            sealed_form: SealedForm::unknown(),
            ..record.clone()
        });
        record.sealed_form.write(&sealed);
        Ok(update.with_forms(sealed, changes))
    }

    /// The changes of a renewal, which write all values again. A sign-in moves the deadline of its
    /// session. So without this a value that nobody changes would outlive all deadlines in the form
    /// in which it was once written: plain, or sealed with a key that is to be removed.
    ///
    /// Such an update meets the version that it was planned for, so it overwrites nobody. A plain
    /// value that has no room for a seal stays as it is.
    fn renewed(&self, update: &Update, base: &Record) -> Changes {
        let record = update.record();
        let was_sealed = |key: &str| {
            let value = base.values.get(key);
            value.is_some_and(|value| value.codec().is_sealed())
        };
        if self.to_seal_with().is_none() {
            return update.changes().and_rewrite(&record.values, was_sealed);
        }
        let size = record.limited_size() + record.values.len() * SEALING_OVERHEAD;
        let excess = size.saturating_sub(update.limits().record_bytes());
        let mut stay = excess.div_ceil(SEALING_OVERHEAD);
        let rewrites = |key: &str| {
            let stays = stay > 0 && !was_sealed(key);
            stay -= usize::from(stays);
            !stays
        };
        update.changes().and_rewrite(&record.values, rewrites)
    }

    fn sealed_changes(&self, record: &Record, changes: &Changes) -> Result<Changes, SealFault> {
        let Some(keys) = self.to_seal_with() else {
            return Ok(changes.clone());
        };
        let mut sealed = keys.seal(record.id, || changes.sets())?.into_iter();
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
            Some(values) => Arc::new(Record {
                values,
                sealed_form: SealedForm::of_same(Arc::clone(&record)),
                ..(*record).clone()
            }),
        })
    }

    /// Whether the values of a record open, if it is of this scope.
    pub(super) fn judge(&self, record: &Record) -> Result<(), StoreError> {
        match record.scope == self.scope {
            true => self.opened(record).map(drop).map_err(StoreError::corrupt),
            false => Ok(()),
        }
    }

    /// The opened values of a record of this scope; none if they are not sealed, as they all are
    /// without keys.
    fn opened(&self, record: &Record) -> Result<Option<Values>, SealFault> {
        let mut sealed = record
            .values
            .iter()
            .map(|(_, value)| value.codec().is_sealed());
        let Some(sealer) = &self.sealer else {
            return match sealed.any(|is_sealed| is_sealed) {
                true => Err(SealFault::NoKeys),
                false => Ok(None),
            };
        };
        if sealer.plain == PlainValues::Refused && !sealed.all(|is_sealed| is_sealed) {
            return Err(SealFault::Plain);
        }
        sealer.keys.open(record.id, &record.values).map(Some)
    }
}
