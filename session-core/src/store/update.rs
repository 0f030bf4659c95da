//! What a store is asked to write.

use std::sync::Arc;

use crate::error::StoreError;
use crate::record::{Limits, Record, Tag};
use crate::store::{Changes, Metadata, Updated};
use crate::time::Timestamp;

/// An update that meets any version. Versions stay under 2^53.
const ANY: u64 = u64::MAX;

/// An update that a store has to carry out in one atomic step.
///
/// A store that holds its records in memory, or reads one under a lock, leaves the decision to
/// [`replace_in`](Self::replace_in). A store whose server decides compares [`epoch`](Self::epoch)
/// and [`expected_version`](Self::expected_version) there. A store that carries updates out in a
/// task of its own clones them: values are shared and not copied.
///
/// The manager makes updates. Tests of stores and stores that wrap others make them too:
///
/// ```
/// # use session_core::{Codec, Lifetime, SessionId, Timestamp};
/// use session_core::store::{Changes, Record, Update, Updated};
/// use std::sync::Arc;
///
/// # let (id, now) = (SessionId::from_bytes([0; 16]), Timestamp::from_millis(0));
/// # let record = Record::new(id, "__Host-id", Lifetime::default(), now);
/// # let one = Codec::Json.encode(&1).unwrap();
/// let loaded = Arc::new(record);
/// let changes = Changes::new().set("a", one);
/// let update = Update::new(Arc::new(changes.apply(&loaded)), changes, loaded.epoch());
/// assert_eq!((update.base_version(), update.expected_version()), (1, None));
///
/// let mut current = Arc::clone(&loaded); // as the store holds it
/// let updated = update.replace_in(&mut current, now).unwrap();
/// assert!(matches!(updated, Updated::Saved { version: 2, .. }));
/// assert!(Arc::ptr_eq(&current, update.record())); // nobody else wrote
/// ```
#[derive(Clone, Debug)]
pub struct Update {
    record: Arc<Record>,
    changes: Changes,
    epoch: u64,
    base_tag: Option<Tag>,
    /// [`ANY`], or the version. No `Option`, because the future of each commit holds an update.
    expected_version: u64,
    limits: Limits,
}

impl Update {
    /// Makes the update of a request that loaded a record of this epoch and changed it.
    ///
    /// `record` is the result, and `changes` is what differs. The update meets any version, within
    /// the default limits.
    ///
    /// [`Update`] has an example.
    pub fn new(record: Arc<Record>, changes: Changes, epoch: u64) -> Self {
        Self {
            record,
            changes,
            epoch,
            base_tag: None,
            expected_version: ANY,
            limits: Limits::default(),
        }
    }

    /// Sets the version that the record must still have; `None` allows any version.
    ///
    /// ```
    /// # use session_core::{Lifetime, SessionId, Timestamp};
    /// use session_core::store::{Changes, Record, Update, Updated};
    /// use std::sync::Arc;
    ///
    /// # let (id, now) = (SessionId::from_bytes([0; 16]), Timestamp::from_millis(0));
    /// # let loaded = Record::new(id, "__Host-id", Lifetime::default(), now);
    /// let changes = Changes::new().remove("a");
    /// let record = Arc::new(changes.apply(&loaded));
    /// let update = Update::new(record, changes, 0).with_expected_version(loaded.version());
    ///
    /// let mut current = Arc::new(loaded.with_version(5)); // others wrote
    /// let updated = update.replace_in(&mut current, now).unwrap();
    /// assert!(matches!(updated, Updated::Conflict { current: Some(_), .. }));
    /// assert_eq!(current.version(), 5); // nothing was written
    /// ```
    #[must_use]
    pub fn with_expected_version(self, version: impl Into<Option<u64>>) -> Self {
        Self {
            // No record has so high a version, so it is met by none.
            expected_version: version.into().map_or(ANY, |version| version.min(ANY - 1)),
            ..self
        }
    }

    /// Sets the tag of the record that the request loaded.
    ///
    /// With a tag, other content of the same version is not taken for the loaded record. Versions
    /// repeat after a fail-over that has lost writes.
    ///
    /// ```
    /// # use session_core::{Codec, Lifetime, SessionId, Timestamp};
    /// use session_core::store::{Changes, Record, Update, Updated};
    /// use std::sync::Arc;
    ///
    /// # let (id, now) = (SessionId::from_bytes([0; 16]), Timestamp::from_millis(0));
    /// # let one = Codec::Json.encode(&1).unwrap();
    /// # let first = Record::new(id, "__Host-id", Lifetime::default(), now);
    /// let lost = Changes::new().set("a", one.clone()).apply(&first); // by a fail-over
    /// let changes = Changes::new().set("b", one.clone());
    /// let update = Update::new(Arc::new(changes.apply(&lost)), changes, 0)
    ///     .with_base_tag(lost.tag())
    ///     .with_expected_version(lost.version());
    ///
    /// let other = Changes::new().set("c", one).apply(&first);
    /// assert_eq!(other.version(), lost.version());
    /// let updated = update.replace_in(&mut Arc::new(other), now).unwrap();
    /// assert!(matches!(updated, Updated::Conflict { .. }));
    /// ```
    #[must_use]
    pub fn with_base_tag(self, tag: Option<Tag>) -> Self {
        Self {
            base_tag: tag,
            ..self
        }
    }

    /// Sets the limits of the resulting record.
    ///
    /// ```
    /// # use session_core::{Codec, Lifetime, SessionId, Timestamp};
    /// use session_core::Limits;
    /// use session_core::store::{Changes, Record, StoreError, Update};
    /// use std::sync::Arc;
    ///
    /// # let (id, now) = (SessionId::from_bytes([0; 16]), Timestamp::from_millis(0));
    /// # let loaded = Record::new(id, "__Host-id", Lifetime::default(), now);
    /// # let one = Codec::Json.encode(&1).unwrap();
    /// let changes = Changes::new().set("a", one.clone());
    /// let record = Arc::new(changes.apply(&loaded));
    /// let update = Update::new(record, changes, 0).with_limits(Limits::default().with_keys(1));
    ///
    /// // Another request has set another key, so the record would have two.
    /// let mut current = Arc::new(Changes::new().set("b", one).apply(&loaded));
    /// let refused = update.replace_in(&mut current, now);
    /// assert!(matches!(refused, Err(StoreError::TooLarge(_))));
    /// ```
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// The record as this request leaves it.
    ///
    /// It is correct if nothing was written since the request loaded the version
    /// [`base_version`](Self::base_version). A request does not see the result of a merge: before
    /// its next update, load again, or keep the older base.
    pub const fn record(&self) -> &Arc<Record> {
        &self.record
    }

    /// What this request changed.
    pub const fn changes(&self) -> &Changes {
        &self.changes
    }

    /// The epoch that was loaded. For this request, a record of another epoch is gone.
    pub const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The version that the record must still have, if the changes cannot be merged. An update that
    /// [replaces the metadata](Metadata::Replaced) always has one:
    /// [`base_version`](Self::base_version), unless another was set.
    ///
    /// ```
    /// # use session_core::{Lifetime, SessionId, Timestamp};
    /// use session_core::store::{Changes, Metadata, Record, Update};
    /// use std::sync::Arc;
    ///
    /// # let (id, now) = (SessionId::from_bytes([0; 16]), Timestamp::from_millis(0));
    /// let record = Record::new(id, "__Host-id", Lifetime::default(), now).with_principal("ann");
    /// let replaces = Changes::new().with_metadata(Metadata::Replaced);
    /// let update = Update::new(Arc::new(record.with_version(5)), replaces, 0);
    /// assert_eq!(update.expected_version(), Some(4));
    /// ```
    pub fn expected_version(&self) -> Option<u64> {
        match (self.expected_version, self.changes.metadata()) {
            (ANY, Metadata::Replaced) => Some(self.base_version()),
            (ANY, _) => None,
            (expected, _) => Some(expected),
        }
    }

    /// The version that was loaded. A store that can only replace records has to meet it.
    pub fn base_version(&self) -> u64 {
        self.record.version.saturating_sub(1)
    }

    /// The tag of the record that was loaded, if the store keeps tags.
    ///
    /// If a live record of this epoch has this tag, nobody has written since, and the result is
    /// [`record`](Self::record) itself. A store can write it without loading the record first, in
    /// one statement that compares tag, [epoch](Self::epoch) and expiry. `None` if the update has
    /// to meet another [version](Self::expected_version) than the one that was loaded.
    ///
    /// ```
    /// # use session_core::{Lifetime, SessionId, Timestamp};
    /// use session_core::store::{Changes, Record, Update};
    /// use std::sync::Arc;
    ///
    /// # let (id, now) = (SessionId::from_bytes([0; 16]), Timestamp::from_millis(0));
    /// let loaded = Record::new(id, "__Host-id", Lifetime::default(), now).with_version(4);
    /// let after = Arc::new(Changes::new().apply(&loaded));
    /// let update = Update::new(after, Changes::new(), 0).with_base_tag(loaded.tag());
    /// assert_eq!(update.base_tag(), loaded.tag());
    /// assert_eq!(update.clone().with_expected_version(Some(4)).base_tag(), loaded.tag());
    /// assert_eq!(update.with_expected_version(Some(5)).base_tag(), None);
    /// ```
    pub fn base_tag(&self) -> Option<Tag> {
        self.base_tag.filter(|_| {
            let expected = self.expected_version();
            expected.is_none_or(|expected| expected == self.base_version())
        })
    }

    /// The limits of the resulting record.
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Applies this update at `now` to `current`, and returns the result for the manager.
    ///
    /// `current` is the record that a store holds under its lock. It is replaced only if the result
    /// is [`Updated::Saved`]: by [`record`](Self::record) itself if nothing was written since it
    /// was loaded, and by a merged record otherwise. A store that has to know the result first
    /// calls this on a clone of the `Arc`.
    ///
    /// [`Update`] has an example.
    ///
    /// # Errors
    ///
    /// [`StoreError::TooLarge`] if the resulting record exceeds the limits.
    pub fn replace_in(
        &self,
        current: &mut Arc<Record>,
        now: Timestamp,
    ) -> Result<Updated, StoreError> {
        if !current.is_live(now) || current.epoch != self.epoch {
            return Ok(Updated::Gone);
        }
        let is_base = current.is_of_write(self.base_version(), self.base_tag);
        let is_expected = |expected| match expected == self.base_version() {
            true => is_base,
            false => expected == current.version,
        };
        if !self.expected_version().is_none_or(is_expected) {
            return Ok(Updated::conflict(Arc::clone(current)));
        }
        *current = match is_base {
            true => Arc::clone(&self.record),
            false => {
                let mut merged = self.changes.apply(current);
                // It meets the version, so nobody else's metadata is lost.
                if self.changes.metadata() == Metadata::Replaced {
                    merged = Record {
                        values: merged.values.clone(),
                        version: merged.version,
                        ..(*self.record).clone()
                    };
                }
                merged.tag = self.record.tag.map(Tag::merged);
                if merged.outgrows(current) {
                    self.limits.check_record(&merged)?;
                }
                Arc::new(merged)
            }
        };
        Ok(match is_base {
            true => Updated::replaced(current.id, current.version),
            false => Updated::saved(current.id, current.version),
        })
    }

    /// The same update with its values in another form.
    #[cfg(feature = "sealed-values")]
    pub(crate) const fn with_forms(&self, record: Arc<Record>, changes: Changes) -> Self {
        Self {
            record,
            changes,
            epoch: self.epoch,
            base_tag: self.base_tag,
            expected_version: self.expected_version,
            limits: self.limits,
        }
    }

    /// The record by value.
    pub(crate) fn into_record(self) -> Arc<Record> {
        self.record
    }
}
