//! The contract between sessions and whatever keeps them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::error::StoreError;
use crate::record::{Ended, Record, SessionId};
use crate::store::{Key, Listed, Update};
use crate::time::Timestamp;

/// What became of an update that the store could carry out or refuse.
#[derive(Clone, Debug)]
pub enum Updated {
    /// It was applied.
    Saved {
        /// What names the record from now on.
        key: Key,
        /// The version that it has now.
        version: u64,
    },
    /// The record is not of the version that the update had to meet; nothing was written.
    /// The store adds the record that it has, if that is at hand without another command.
    Conflict(Option<Arc<Record>>),
    /// There is no such record any more; nothing was written.
    Gone,
}

/// Who keeps the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Capability {
    /// The server. All laws hold.
    Server,
    /// The client holds the whole record, sealed. Nothing can be revoked on the server and
    /// parallel requests overwrite each other.
    Client {
        /// Bytes that sealing adds to a record before it is written as base64url.
        overhead: usize,
        /// Over how many cookies a token may be spread.
        cookies: usize,
    },
}

/// Whether a store can lose a write that it has acknowledged, and keep the writes before it.
///
/// What counts is that a *part* of the writes can be lost. A store that loses every session at
/// once, as one in memory does when its process ends, is durable in this sense: nobody finds an
/// older state of a session there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Durability {
    /// A session is never found in an older state than one that was acknowledged.
    Durable,
    /// The last acknowledged writes can be lost while the sessions stay, as at a fail-over to a
    /// replica that has not received them. A logout, a renewal and a rotation can be lost too.
    MayLoseWrites,
}

/// Keeps session records: implement this to bring a store of your own.
///
/// # Contract
///
/// Each sentence is a case of the suite in [`conformance`](crate::conformance) (feature
/// `conformance`), which every store here passes and yours should. The name of the case stands in
/// parentheses.
///
/// - **Absent**: to load, update or delete what is not there is no error. It is `None`, `Gone` and
///   `Ok` (`load_absent`, `update_absent`, `delete_absent`).
/// - **Key**: a store on the server names a record by its id: `create` and `update` hand back
///   [`Key::Id`]. A sealed store hands back a new [`Key::Sealed`] of the record's scope (`key`).
/// - **Faithful**: `load` returns the very record that was written, metadata and every value, for
///   any key names and bytes (`round_trip`, `any_key_name`). A record within the default
///   [`Limits`](crate::Limits) is kept whole, or refused as [`StoreError::TooLarge`] and nothing is
///   written (`large_record`).
/// - **Apart**: what is done to one record touches no other, however alike their ids are
///   (`neighbours`).
/// - **Expired**: from [`Record::expires`] on, at the `now` that is handed in, `update` says `Gone`
///   and `load` says `None`, or hands back the record as it was, so that the manager can tell an
///   expiry from a stranger's token: nobody is let in by it (`load_expired`, `update_expired`). An
///   update that moves the time last seen, the deadline or the lifetime moves the expiry, either
///   way (`replaced_lifetime`).
/// - **Malformed**: a key that this store could not have handed out is `None`, `Gone` and `Ok`, as
///   if absent (`malformed_key`).
/// - **Taken id**: `create` never overwrites; a live record of the same id makes it
///   [`StoreError::IdTaken`] and stays as it was (`create_taken`).
/// - **One winner**: of many creations of one id at once exactly one succeeds (`create_race`).
/// - **Version not met**: where [`Update::expected`] is not the version of the record, `update`
///   says `Conflict` and writes nothing (`version_not_met`); a record it hands back is the stored
///   one (`conflict_record`).
/// - **Version met**: otherwise it applies the changes and the version is one more (`version_met`).
/// - **Merged or refused**: without `expected`, changes of a stale base are applied to what is
///   there, or refused with `Conflict`; what others wrote is never lost (`stale_base`).
/// - **Changes**: keys that are set, removed and cleared, and [`Metadata`](crate::Metadata) that is
///   touched or replaced, are so afterwards and nothing else is (`set_remove`, `clear`, `touch`,
///   `replace_metadata`).
/// - **Epoch**: a record of another epoch than [`Update::epoch`] is `Gone`, whatever version the
///   update has to meet: `Gone` comes before `Conflict` (`other_epoch`).
/// - **Gone while writing**: `update` never creates; once `delete`, `delete_one` or `delete_all`
///   has returned, no update that was under way brings a record back (`no_resurrection`,
///   `delete_race`, `delete_one_race`, `delete_all_race`).
/// - **Ended**: `delete`, `delete_one` and `delete_all` put the [mark](Ended::mark) in the place of
///   the record that they end, in the same step. An `update` may put one there too. A mark is a
///   record: `create` does not overwrite it, and [`Record::encode`] writes it. Until it expires
///   `load` returns it ([`Record::ended`] says when and why the session ended), `update` says
///   `Gone`, `delete_one` says `false`, and `list` and `delete_all` leave it out (`delete`,
///   `ended`, `ended_of_principal`). From then on it may be `None`, and nothing of it stays
///   (`ended_expires`). A store that has no room for a mark ends the session without one. Deleting
///   twice is fine (`delete_twice`), and so is an end that is long over: it leaves no mark.
/// - **Atomic**: each operation on one record happens entirely or not at all for everyone who
///   looks, in any interleaving, and a `load` that begins after an update was saved shows it
///   (`no_lost_update`, `no_torn_read`). `list`, `delete_all` and `delete_expired` are many such
///   operations, one for each record.
/// - **Cancelled half-way**: an operation whose future is dropped has happened entirely or not at
///   all, and the store goes on (`cancelled`).
/// - **Limits**: a merged record that passes [`Update::limits`], by [`Record::limited_size`] or the
///   number of its keys, and is larger than what was there, is [`StoreError::TooLarge`] and nothing
///   is written (`merged_limits`).
/// - **Unreadable**: a record that is there and cannot be read is [`StoreError::Corrupt`], never
///   `None` and never a panic. (Only the store's own tests can damage a record.)
/// - **Unknown outcome**: a write that was sent and not answered is [`StoreError::OutcomeUnknown`]
///   and is not sent again; any other failure is [`StoreError::Unavailable`] and wrote nothing.
///   Each call has a deadline of the store's own. The cause of an error is logged: it holds no
///   value, token or connection string.
/// - **Principals**: `list` returns the live records of a principal, of every scope, and no others;
///   `delete_all` ends them all but `except` and says how many; `delete_one` ends the one of this
///   id and says whether it was theirs. A store without an index says [`StoreError::Unsupported`]
///   to all three (`list`, `delete_all`, `delete_one`, `principal_changes`).
/// - **Unreadable records of a principal**: `list` names one as [`Listed::Unreadable`] and returns
///   the others all the same; `delete_all` and `delete_one` end it like any other. So one damaged
///   record keeps nobody from signing in, looking at their sessions or signing out. (Only the
///   store's own tests can damage a record.)
/// - **Sweeping**: `delete_expired` removes expired records only, is safe to run anywhere at any
///   time and says how many it removed (`delete_expired`). A record that an update has kept alive
///   meanwhile is not removed (`sweep_race`).
///
/// A sealed store ([`Capability::Client`]) keeps nothing, so what another write or a deletion did
/// cannot be seen by a key from before it; the suite leaves those cases out.
///
/// The time is always an argument: `now` decides what has expired, not a clock of the store's. An
/// engine that expires by itself does so after [`Record::expires`], by more than the clocks of its
/// machines may differ.
///
/// Versions and epochs count from below and stay under 2^53, so every language can hold them
/// (`large_version`). Epochs from 2^45 on are no session's: marks have such, and sessions on their
/// way from one store to another.
///
/// # Example
///
/// The repository's README has a complete store of some 80 lines.
#[async_trait]
pub trait SessionStore: fmt::Debug + Send + Sync + 'static {
    /// Who keeps the record.
    fn capability(&self) -> Capability;

    /// Within which time `load`, `create`, `update` and `delete` end by themselves, whatever they
    /// wait for; `None` if that is not certain.
    ///
    /// Where this is no longer than [`Deadlines::call`](crate::Deadlines::call) the manager sets no
    /// timer of its own to such a call. It is asked once, when the manager is made.
    fn deadline(&self) -> Option<Duration> {
        None
    }

    /// Whether the store can lose a write that it has acknowledged. Unless implemented, that is
    /// [`Durability::MayLoseWrites`], because nothing else is certain.
    ///
    /// [`ManagerBuilder::build`](crate::ManagerBuilder::build) asks once. It refuses
    /// [`OnReuse::Revoke`](crate::OnReuse::Revoke) where writes can be lost: a client whose newest
    /// token was lost looks like a thief. A store that wraps others answers with the worst of their
    /// answers.
    fn durability(&self) -> Durability {
        Durability::MayLoseWrites
    }

    /// Finds a record.
    ///
    /// # Errors
    ///
    /// [`StoreError::Corrupt`] for a record that cannot be read; any other for a store that failed.
    async fn load(&self, key: &Key, now: Timestamp) -> Result<Option<Arc<Record>>, StoreError>;

    /// Adds a record whose id is new, and hands back the key that names it.
    ///
    /// # Errors
    ///
    /// [`StoreError::IdTaken`], [`StoreError::Full`], [`StoreError::TooLarge`], or a store that
    /// failed.
    async fn create(&self, record: &Arc<Record>, now: Timestamp) -> Result<Key, StoreError>;

    /// Changes a record in one atomic step that never creates.
    ///
    /// # Errors
    ///
    /// [`StoreError::TooLarge`], or a store that failed.
    async fn update(
        &self,
        key: &Key,
        update: Update<'_>,
        now: Timestamp,
    ) -> Result<Updated, StoreError>;

    /// Ends a session: the [mark](Ended::mark) takes the place of its record, in one atomic step.
    /// What is not there is fine, and leaves no mark.
    ///
    /// # Errors
    ///
    /// A store that failed.
    async fn delete(&self, key: &Key, ended: Ended) -> Result<(), StoreError>;

    /// The live records of a principal, and those that cannot be read.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unsupported`] unless implemented, or a store that failed.
    async fn list(&self, principal: &str, now: Timestamp) -> Result<Vec<Listed>, StoreError> {
        let _ = (principal, now);
        Err(StoreError::Unsupported(
            "listing the sessions of a principal; implement `SessionStore::list`, `delete_one` \
             and `delete_all`",
        ))
    }

    /// Ends one session if it is of this principal, which is checked in the same step, and leaves a
    /// mark as [`delete`](Self::delete) does. Says whether it ended one that had not expired or was
    /// not yet swept.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unsupported`] unless implemented, or a store that failed.
    async fn delete_one(
        &self,
        principal: &str,
        id: SessionId,
        ended: Ended,
    ) -> Result<bool, StoreError> {
        let _ = (principal, id, ended);
        Err(StoreError::Unsupported(
            "ending a session of a principal; implement `SessionStore::delete_one`",
        ))
    }

    /// Ends every session of a principal except `except`, and leaves marks as
    /// [`delete`](Self::delete) does; says how many it ended.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unsupported`] unless implemented, or a store that failed.
    async fn delete_all(
        &self,
        principal: &str,
        except: Option<SessionId>,
        ended: Ended,
    ) -> Result<u64, StoreError> {
        let _ = (principal, except, ended);
        Err(StoreError::Unsupported(
            "ending the sessions of a principal; implement `SessionStore::delete_all`",
        ))
    }

    /// Removes what has expired by `now`, records and marks, for a store whose engine does not do
    /// that by itself; says how many it removed. Unless implemented it does nothing.
    ///
    /// No manager calls it. The application of such a store does, from a task of its own, once a
    /// minute for example, or the store itself, as [`MemoryStore`](crate::MemoryStore) does while
    /// it creates. Otherwise the store grows with each session that it has ever had.
    ///
    /// # Errors
    ///
    /// A store that failed.
    async fn delete_expired(&self, now: Timestamp) -> Result<u64, StoreError> {
        let _ = now;
        Ok(0)
    }
}

macro_rules! forward {
    ($pointer:ty) => {
        #[async_trait]
        #[deny(clippy::missing_trait_methods)]
        impl<S: SessionStore + ?Sized> SessionStore for $pointer {
            fn capability(&self) -> Capability {
                (**self).capability()
            }

            fn deadline(&self) -> Option<Duration> {
                (**self).deadline()
            }

            fn durability(&self) -> Durability {
                (**self).durability()
            }

            async fn load(
                &self,
                key: &Key,
                now: Timestamp,
            ) -> Result<Option<Arc<Record>>, StoreError> {
                (**self).load(key, now).await
            }

            async fn create(
                &self,
                record: &Arc<Record>,
                now: Timestamp,
            ) -> Result<Key, StoreError> {
                (**self).create(record, now).await
            }

            async fn update(
                &self,
                key: &Key,
                update: Update<'_>,
                now: Timestamp,
            ) -> Result<Updated, StoreError> {
                (**self).update(key, update, now).await
            }

            async fn delete(&self, key: &Key, ended: Ended) -> Result<(), StoreError> {
                (**self).delete(key, ended).await
            }

            async fn list(
                &self,
                principal: &str,
                now: Timestamp,
            ) -> Result<Vec<Listed>, StoreError> {
                (**self).list(principal, now).await
            }

            async fn delete_one(
                &self,
                principal: &str,
                id: SessionId,
                ended: Ended,
            ) -> Result<bool, StoreError> {
                (**self).delete_one(principal, id, ended).await
            }

            async fn delete_all(
                &self,
                principal: &str,
                except: Option<SessionId>,
                ended: Ended,
            ) -> Result<u64, StoreError> {
                (**self).delete_all(principal, except, ended).await
            }

            async fn delete_expired(&self, now: Timestamp) -> Result<u64, StoreError> {
                (**self).delete_expired(now).await
            }
        }
    };
}

forward!(Arc<S>);
forward!(Box<S>);
forward!(&'static S);
