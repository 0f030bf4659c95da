//! Finding a session on its way, and taking it further.

use std::sync::Arc;

use super::both::both;
use super::forms::{Place, flipped, frozen, is_frozen, is_place, thawed};
use super::{Found, MOST_ROUNDS, MigratingStore};
use crate::error::StoreError;
use crate::record::{EndReason, Ended, Limits, Record, SessionId};
use crate::store::{Key, SessionStore, Update, Updated};
use crate::time::Timestamp;

impl<N: SessionStore, O: SessionStore> MigratingStore<N, O> {
    /// Looks at the old store, then at the new one where that says more.
    pub(super) async fn find(&self, key: &Key, now: Timestamp) -> Result<Found, StoreError> {
        let old = remembered(self.old.load(key, now).await?, now);
        let is_session = |record: &&Arc<Record>| !is_frozen(record) && record.ended().is_none();
        if let Some(record) = old.as_ref().filter(is_session) {
            return Ok(Found::Old(Arc::clone(record)));
        }
        let new = remembered(self.new.load(key, now).await?, now);
        Ok(match (old, new) {
            // Whatever the old store says: what is left over there may have ended with others of a
            // former principal.
            (_, Some(record)) if !is_place(&record) => match record.ended() {
                Some(_) => Found::Ended(record),
                None => Found::New(record),
            },
            (Some(frozen), Some(place)) if place.epoch == frozen.epoch => Found::Between(frozen),
            (Some(mark), place) if mark.ended().is_some() => {
                // Somebody who had frozen the record may be about to fill the place, before
                // `delete` comes to it. Who says that the session has ended makes
                // sure that it has.
                if let (Some(_), Some(ended)) = (place, mark.ended()) {
                    self.new.delete(key, ended).await?;
                }
                Found::Ended(mark)
            }
            (None, Some(_)) => {
                // The same, where the mark is over.
                self.new.delete(key, NO_MARK).await?;
                Found::Nowhere
            }
            _ => Found::Nowhere,
        })
    }

    /// The same for who wants to end it. A session that is in the new store is there whatever the
    /// old one says, so it can be ended while that one is down.
    pub(super) async fn find_to_end(&self, key: &Key, now: Timestamp) -> Result<Found, StoreError> {
        let found = self.find(key, now).await;
        let Err(StoreError::Unavailable(_) | StoreError::OutcomeUnknown(_)) = found else {
            return found;
        };
        match self.new.load(key, now).await {
            Ok(Some(record)) if !is_place(&record) && record.ended().is_none() => {
                Ok(Found::New(record))
            }
            _ => found,
        }
    }

    /// Takes the steps that are left, as far as nobody else does.
    pub(super) async fn go_on(
        &self,
        key: &Key,
        found: Found,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let frozen = match found {
            Found::Old(record) => match self.reserve(key, &record, now).await? {
                Some(place) => self.freeze(key, &record, place, now).await?,
                None => None,
            },
            Found::Between(frozen) => Some(frozen),
            Found::New(_) | Found::Ended(_) | Found::Nowhere => None,
        };
        match frozen {
            Some(frozen) => self.fill(key, &frozen, now).await,
            None => Ok(()),
        }
    }

    /// The epoch of a place in the new store that is right for `record`; `None` if that has moved
    /// meanwhile.
    pub(super) async fn reserve(
        &self,
        key: &Key,
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
            // Of an earlier version of the record, which was written since: one more, until it is
            // right.
            let next = Arc::new(place.for_record(record).with_version(there.version + 1));
            replace(&self.new, key, &there, &next, now).await?;
        }
        Ok(None)
    }

    /// `None` if somebody has written, frozen or ended the record meanwhile.
    pub(super) async fn freeze(
        &self,
        key: &Key,
        record: &Record,
        place: u64,
        now: Timestamp,
    ) -> Result<Option<Arc<Record>>, StoreError> {
        let frozen = Arc::new(frozen(record, place));
        let done = replace(&self.old, key, record, &frozen, now).await?;
        Ok(done.then_some(frozen))
    }

    /// Ends what is in the old store by freezing it for a place that there never is; `false` if it
    /// has changed meanwhile.
    pub(super) async fn end_in_old(&self, key: &Key, record: &Record) -> Result<bool, StoreError> {
        let frozen = frozen(record, Place::draw()?.epoch());
        end(&self.old, key, record, frozen).await
    }

    /// Ends what is in the new store by putting a place there that nothing names; `false` if it has
    /// changed meanwhile.
    pub(super) async fn end_in_new(&self, key: &Key, record: &Record) -> Result<bool, StoreError> {
        let place = Place::draw()?
            .for_record(record)
            .with_version(record.version + 1);
        end(&self.new, key, record, place).await
    }

    pub(super) async fn delete_one_in_both(
        &self,
        principal: &str,
        id: SessionId,
        ended: Ended,
    ) -> Result<bool, StoreError> {
        let old = self.old.delete_one(principal, id, ended).await;
        let (old, new) = both(old, self.new.delete_one(principal, id, ended).await)?;
        Ok(old || new)
    }

    pub(super) async fn fill(
        &self,
        key: &Key,
        frozen: &Record,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let record = thawed(frozen);
        let place = Place::of(frozen).for_record(&record);
        if replace(&self.new, key, &place, &Arc::new(record), now).await?
            && self.old.delete(key, NO_MARK).await.is_err()
        {
            // It is not looked at any more, and expires.
            tracing::debug!(
                target: "session",
                "a session has moved; what is left of it in the old store was not deleted"
            );
        }
        Ok(())
    }
}

/// What moves has not ended: the mark that its deletion leaves is over at once.
const NO_MARK: Ended = Ended::new(EndReason::Moved, Timestamp::from_millis(0));

/// Without a mark whose time is over, or that what has moved left behind.
pub(super) fn remembered(loaded: Option<Arc<Record>>, now: Timestamp) -> Option<Arc<Record>> {
    let is_kept = |record: &Record, ended| ended != NO_MARK && record.is_live(now);
    loaded.filter(|record| record.ended().is_none_or(|ended| is_kept(record, ended)))
}

/// When a record was last seen, and had not expired: whatever its end leaves behind is kept about
/// as long as it would have been.
pub(super) fn in_its_life(record: &Record) -> Timestamp {
    let last = record.expires().as_millis().saturating_sub(1);
    record.last_seen().min(Timestamp::from_millis(last))
}

/// Puts what is no session in the place of one; `false` if that has changed meanwhile.
async fn end(
    store: &impl SessionStore,
    key: &Key,
    record: &Record,
    after: Record,
) -> Result<bool, StoreError> {
    let (epoch, now) = (after.epoch, in_its_life(record));
    match replace(store, key, record, &Arc::new(after), now).await {
        // Nobody else has drawn this epoch.
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
    key: &Key,
    before: &Record,
    after: &Arc<Record>,
    now: Timestamp,
) -> Result<bool, StoreError> {
    // What is moved was within limits once, and lowered limits lock nobody out.
    const MOST: usize = usize::MAX >> 12;

    let limits = Limits {
        record_bytes: MOST,
        keys: MOST,
        key_bytes: MOST,
    };
    let changes = flipped(before, after);
    let update = Update {
        record: after,
        changes: &changes,
        epoch: before.epoch,
        expected: Some(before.version),
        limits: &limits,
    };
    Ok(matches!(
        store.update(key, update, now).await?,
        Updated::Saved { .. }
    ))
}
