//! What a store is asked to write.

use std::sync::Arc;

use crate::error::StoreError;
use crate::record::{Limits, Record};
use crate::store::Changes;
use crate::time::Timestamp;

/// An update that a store has to carry out in one atomic step.
///
/// A store that holds its records in memory, or reads one under a lock, leaves the decision to
/// [`apply_to`](Self::apply_to). A store whose server decides compares [`epoch`](Self::epoch) and
/// [`expected`](Self::expected) there.
#[derive(Clone, Copy, Debug)]
pub struct Update<'a> {
    /// The record as this request leaves it. It is correct if nothing was written since the request
    /// loaded the record, under [`base_version`](Self::base_version). A request has not seen the
    /// result of a merge: before its next update load again, or keep the older base.
    pub record: &'a Arc<Record>,
    /// What this request changed.
    pub changes: &'a Changes,
    /// The epoch that was loaded. A record of another epoch is gone for this request.
    pub epoch: u64,
    /// The version that the record must still have, if the changes cannot be merged.
    pub expected: Option<u64>,
    /// The limits of the resulting record.
    pub limits: &'a Limits,
}

/// An [`Update`] that outlives its caller, for a store that carries it out in its own task.
///
/// ```
/// # use session_core::{Lifetime, SessionId, Timestamp};
/// use session_core::Limits;
/// use session_core::store::{Changes, OwnedUpdate, Record, Update};
/// use std::sync::Arc;
///
/// # let (id, now) = (SessionId::from_bytes([0; 16]), Timestamp::from_millis(0));
/// # let loaded = Record::new(id, "__Host-id", Lifetime::default(), now);
/// let changes = Changes::new().remove("a");
/// let record = Arc::new(changes.apply(&loaded));
/// let limits = Limits::default();
/// let owned = OwnedUpdate::from(Update {
///     record: &record,
///     changes: &changes,
///     epoch: 0,
///     expected: Some(1),
///     limits: &limits,
/// });
/// assert_eq!(owned.as_update().expected, Some(1));
/// ```
#[derive(Clone, Debug)]
pub struct OwnedUpdate {
    record: Arc<Record>,
    changes: Changes,
    epoch: u64,
    expected: Option<u64>,
    limits: Limits,
}

impl OwnedUpdate {
    /// The update.
    pub const fn as_update(&self) -> Update<'_> {
        Update {
            record: &self.record,
            changes: &self.changes,
            epoch: self.epoch,
            expected: self.expected,
            limits: &self.limits,
        }
    }
}

impl From<Update<'_>> for OwnedUpdate {
    fn from(update: Update<'_>) -> Self {
        Self {
            record: Arc::clone(update.record),
            changes: update.changes.clone(),
            epoch: update.epoch,
            expected: update.expected,
            limits: *update.limits,
        }
    }
}

/// The result of an [`Update`] on the record that a store holds.
#[derive(Clone, Debug)]
pub enum Applied {
    /// Put this record in its place.
    Record(Arc<Record>),
    /// It has not the version that the update must meet.
    Conflict,
    /// It has expired, or has another epoch.
    Gone,
}

impl Update<'_> {
    /// The version that was loaded. A store that can only replace records has to meet it.
    pub fn base_version(&self) -> u64 {
        self.record.version.saturating_sub(1)
    }

    /// The result of this update on `current`, the record that the store holds at `now`. If nothing
    /// was written since it was loaded, that is [`record`](Self::record) itself, not a copy.
    ///
    /// ```
    /// # use session_core::{Codec, Lifetime, SessionId, Timestamp};
    /// use session_core::Limits;
    /// use session_core::store::{Applied, Changes, Record, Update};
    /// use std::sync::Arc;
    ///
    /// # let id = SessionId::from_bytes([0; 16]);
    /// # let now = Timestamp::from_millis(0);
    /// # let loaded = Record::new(id, "__Host-id", Lifetime::default(), now);
    /// # let one = Codec::Json.encode(&1).unwrap();
    /// # let limits = Limits::default();
    /// let changes = Changes::new().set("a", one.clone());
    /// let record = Arc::new(changes.apply(&loaded));
    /// let update = Update {
    ///     record: &record,
    ///     changes: &changes,
    ///     epoch: 0,
    ///     expected: None,
    ///     limits: &limits,
    /// };
    /// let Ok(Applied::Record(after)) = update.apply_to(&loaded, now) else { unreachable!() };
    /// assert!(Arc::ptr_eq(&after, &record)); // nobody else wrote
    ///
    /// let other = Changes::new().set("b", one).apply(&loaded); // somebody did
    /// let Ok(Applied::Record(after)) = update.apply_to(&other, now) else { unreachable!() };
    /// assert_eq!((after.version(), after.values().len()), (3, 2));
    ///
    /// let exact = Update { expected: Some(1), ..update };
    /// assert!(matches!(exact.apply_to(&other, now), Ok(Applied::Conflict)));
    /// assert!(matches!(update.apply_to(&loaded, loaded.expires_at()), Ok(Applied::Gone)));
    /// ```
    ///
    /// # Errors
    ///
    /// [`StoreError::TooLarge`] if the resulting record exceeds the limits.
    pub fn apply_to(&self, current: &Record, now: Timestamp) -> Result<Applied, StoreError> {
        if !current.is_live(now) || current.epoch != self.epoch {
            return Ok(Applied::Gone);
        }
        if self
            .expected
            .is_some_and(|expected| expected != current.version)
        {
            return Ok(Applied::Conflict);
        }
        if current.version == self.base_version() {
            return Ok(Applied::Record(Arc::clone(self.record)));
        }
        let merged = self.changes.apply(current);
        if merged.outgrows(current) {
            self.limits.check_record(&merged)?;
        }
        Ok(Applied::Record(Arc::new(merged)))
    }
}
