//! Finding a session between the two stores, and the steps in which it moves.

use std::sync::Arc;

use super::both::both;
use super::forms::{Place, changes_between, frozen, is_frozen, is_place, thawed};
use super::{Location, MOST_ROUNDS, MigratingStore};
use crate::error::StoreError;
use crate::record::{EndReason, Ended, Limits, Record, SessionId};
use crate::store::{RecordKey, SessionStore, Update, Updated, index_of};
use crate::time::Timestamp;

impl<N: SessionStore, O: SessionStore> MigratingStore<N, O> {
    /// Looks at the old store, then at the new one where that says more.
    pub(super) async fn find(
        &self,
        key: &RecordKey,
        now: Timestamp,
    ) -> Result<Location, StoreError> {
        let old = without_old_marks(self.old.load(key, now).await?, now);
        let is_session = |record: &&Arc<Record>| !is_frozen(record) && record.ended().is_none();
        if let Some(record) = old.as_ref().filter(is_session) {
            return Ok(Location::Old(Arc::clone(record)));
        }
        let new = without_old_marks(self.new.load(key, now).await?, now);
        Ok(match (old, new) {
            // Whatever the old store says: a frozen record that is left over there may have been
            // deleted with the sessions of a former principal.
            (_, Some(record)) if !is_place(&record) => match record.ended() {
                Some(_) => Location::Ended(record),
                None => Location::New(record),
            },
            (Some(frozen), Some(place)) if place.epoch == frozen.epoch => Location::Frozen(frozen),
            (Some(mark), place) if mark.ended().is_some() => {
                // A call that had frozen the record may be about to fill the place, before `delete`
                // comes to it. To say that the session has ended, this call makes sure of it.
                if let (Some(_), Some(ended)) = (place, mark.ended()) {
                    self.new.delete(key, ended).await?;
                }
                Location::Ended(mark)
            }
            (None, Some(_)) => {
                // Likewise, where the mark is over.
                self.new.delete(key, MOVED).await?;
                Location::Absent
            }
            _ => Location::Absent,
        })
    }

    /// The same for a deletion. A session in the new store is there whatever the old store says, so
    /// it can be deleted while the old one is down.
    pub(super) async fn find_to_delete(
        &self,
        key: &RecordKey,
        now: Timestamp,
    ) -> Result<Location, StoreError> {
        let found = self.find(key, now).await;
        let Err(StoreError::Unavailable(_) | StoreError::OutcomeUnknown(_)) = found else {
            return found;
        };
        match self.new.load(key, now).await {
            Ok(Some(record)) if !is_place(&record) && record.ended().is_none() => {
                Ok(Location::New(record))
            }
            _ => found,
        }
    }

    /// Takes the steps that are left, as long as no other call takes them.
    pub(super) async fn advance(
        &self,
        key: &RecordKey,
        found: Location,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let frozen = match found {
            Location::Old(record) => match self.reserve(key, &record, now).await? {
                Some(place) => self.freeze(key, &record, place, now).await?,
                None => None,
            },
            Location::Frozen(frozen) => Some(frozen),
            Location::New(_) | Location::Ended(_) | Location::Absent => None,
        };
        match frozen {
            Some(frozen) => self.fill(key, &frozen, now).await,
            None => Ok(()),
        }
    }

    /// Reserves: the epoch of a place in the new store that fits `record`; `None` if the session
    /// has moved meanwhile.
    pub(super) async fn reserve(
        &self,
        key: &RecordKey,
        record: &Record,
        now: Timestamp,
    ) -> Result<Option<u64>, StoreError> {
        let drawn = Place::draw()?;
        match self
            .new
            .create(&Arc::new(drawn.for_record(record)), now)
            .await
        {
            Ok(_) => return Ok(Some(drawn.epoch())),
            Err(StoreError::IdTaken) => {}
            Err(error) => return Err(error),
        }
        for _ in 0..MOST_ROUNDS {
            let there = self.new.load(key, now).await?;
            let Some(there) = there.filter(|there| is_place(there)) else {
                return Ok(None);
            };
            let place = Place::of(&there);
            if there.version >= place.for_record(record).version {
                return Ok(Some(place.epoch()));
            }
            // It was reserved for an earlier version of the record. Each update adds one to its
            // version, until it fits.
            let next = Arc::new(place.for_record(record).with_version(there.version + 1));
            replace(&self.new, key, &there, &next, now).await?;
        }
        Ok(None)
    }

    /// Freezes the record for the place of this epoch; `None` if another call has written, frozen
    /// or deleted it meanwhile.
    pub(super) async fn freeze(
        &self,
        key: &RecordKey,
        record: &Record,
        place: u64,
        now: Timestamp,
    ) -> Result<Option<Arc<Record>>, StoreError> {
        let frozen = Arc::new(frozen(record, place));
        let done = replace(&self.old, key, record, &frozen, now).await?;
        Ok(done.then_some(frozen))
    }

    /// Deletes a record of the old store, by freezing it for a place that never exists; `false` if
    /// it has changed meanwhile.
    pub(super) async fn delete_from_old(
        &self,
        key: &RecordKey,
        record: &Record,
    ) -> Result<bool, StoreError> {
        let frozen = frozen(record, Place::draw()?.epoch());
        delete_version(&self.old, key, record, frozen).await
    }

    /// Deletes a record of the new store, by putting a place there that nothing names; `false` if
    /// it has changed meanwhile.
    pub(super) async fn delete_from_new(
        &self,
        key: &RecordKey,
        record: &Record,
    ) -> Result<bool, StoreError> {
        let place = Place::draw()?
            .for_record(record)
            .with_version(record.version + 1);
        delete_version(&self.new, key, record, place).await
    }

    pub(super) async fn delete_one_in_both(
        &self,
        principal: &str,
        id: SessionId,
        ended: Ended,
    ) -> Result<bool, StoreError> {
        let old = index_of(&self.old)?
            .delete_one_of(principal, id, ended)
            .await;
        let (old, new) = both(
            old,
            index_of(&self.new)?
                .delete_one_of(principal, id, ended)
                .await,
        )?;
        Ok(old || new)
    }

    /// Fills the place with the record that was frozen for it, and clears away the frozen one.
    pub(super) async fn fill(
        &self,
        key: &RecordKey,
        frozen: &Record,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let record = thawed(frozen);
        let place = Place::of(frozen).for_record(&record);
        if replace(&self.new, key, &place, &Arc::new(record), now).await?
            && self.old.delete(key, MOVED).await.is_err()
        {
            // No call looks at it any more, and it expires.
            tracing::debug!(
                target: "session",
                "a session has moved; what is left of it in the old store was not deleted"
            );
        }
        Ok(())
    }
}

/// A session that has moved has not ended: the mark that its deletion in the old store leaves is
/// over at once.
const MOVED: Ended = Ended::new(EndReason::Moved, Timestamp::from_millis(0));

/// What was loaded, unless it is a mark that is over, or one that a move left behind.
pub(super) fn without_old_marks(
    loaded: Option<Arc<Record>>,
    now: Timestamp,
) -> Option<Arc<Record>> {
    let is_kept = |record: &Record, ended| ended != MOVED && record.is_live(now);
    loaded.filter(|record| record.ended().is_none_or(|ended| is_kept(record, ended)))
}

/// A time at which the record was live. An update at that time is applied even after the record has
/// expired, and what it leaves is kept about as long as the record would have been.
pub(super) fn while_it_lived(record: &Record) -> Timestamp {
    let last = record.expires_at().as_millis().saturating_sub(1);
    record.last_seen().min(Timestamp::from_millis(last))
}

/// Deletes one version of a session: puts `after`, which is no session, in its place. `false` if
/// the session has changed meanwhile.
async fn delete_version(
    store: &impl SessionStore,
    key: &RecordKey,
    record: &Record,
    after: Record,
) -> Result<bool, StoreError> {
    let (epoch, now) = (after.epoch, while_it_lived(record));
    match replace(store, key, record, &Arc::new(after), now).await {
        // No other call has drawn this epoch, so if it is there, this call was applied.
        Err(StoreError::OutcomeUnknown(cause)) => match store.load(key, now).await? {
            Some(there) if there.epoch == epoch => Ok(true),
            _ => Err(StoreError::OutcomeUnknown(cause)),
        },
        ended => ended,
    }
}

/// Puts `after` in the place of `before`; `false` if something else is there.
async fn replace(
    store: &impl SessionStore,
    key: &RecordKey,
    before: &Record,
    after: &Arc<Record>,
    now: Timestamp,
) -> Result<bool, StoreError> {
    // A session that moves was within limits once, and lowered limits lock nobody out.
    const MOST: usize = usize::MAX >> 12;

    let limits = Limits {
        record_bytes: MOST,
        keys: MOST,
        key_bytes: MOST,
    };
    let changes = changes_between(before, after);
    let update = Update::new(Arc::clone(after), changes, before.epoch)
        .with_base_tag(before.tag)
        .with_expected_version(before.version)
        .with_limits(limits);
    Ok(matches!(
        store.update(key, &update, now).await?,
        Updated::Saved { .. }
    ))
}
