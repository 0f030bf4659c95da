//! The contract of a store: the trait, and what each call must do.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::error::StoreError;
use crate::record::{Ended, Record};
use crate::store::{PrincipalIndex, RecordKey, RecordScan, Revalidated, Update, Updated};
use crate::time::Timestamp;

/// Where the record is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecordLocation {
    /// The server. All laws hold.
    Server,
    /// The client holds the whole record, sealed. Nothing can be revoked on the server, and
    /// concurrent requests overwrite each other. Made by [`client`](Self::client).
    #[non_exhaustive]
    Client {
        /// The bytes that sealing adds to a record, before base64url.
        overhead: usize,
        /// The number of pieces into which a token may be split, of 4,096 characters each.
        pieces: usize,
    },
}

impl RecordLocation {
    /// The client holds the whole record. Sealing adds `overhead` bytes to it, before base64url,
    /// and the token may be split into up to this many pieces of 4,096 characters.
    ///
    /// ```
    /// use session_core::store::RecordLocation;
    ///
    /// let location = RecordLocation::client(32, 1);
    /// assert!(matches!(location, RecordLocation::Client { overhead: 32, pieces: 1, .. }));
    /// ```
    pub const fn client(overhead: usize, pieces: usize) -> Self {
        Self::Client { overhead, pieces }
    }
}

/// Whether a store can lose a write that it has acknowledged, and keep the writes before it.
///
/// What counts is that a *part* of the writes can be lost. A store that loses every session at
/// once, as a store in memory does when its process ends, is durable in this sense: a session is
/// never found there in an older state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Durability {
    /// A session is never found in an older state than one that was acknowledged.
    Durable,
    /// The last acknowledged writes can be lost while the sessions stay, as in a fail-over to a
    /// replica that has not received them. Logouts, renewals and rotations can be lost too.
    MayLoseWrites,
}

/// Keeps session records: implement this trait for a store of your own.
///
/// # Contract
///
/// Each sentence has a case in the suite [`conformance`](crate::store::conformance) (feature
/// `conformance`). Every store here passes that suite, and yours should too. The names of the cases
/// are in parentheses.
///
/// - **Absent**: it is no error to load, update or delete a record that does not exist. The result
///   is `None`, `Gone` or `Ok` (`load_absent`, `update_absent`, `delete_absent`).
/// - **Key**: a store on the server names a record by its id: `create` and `update` return
///   [`RecordKey::Id`]. A sealed store returns a new [`RecordKey::Sealed`] of the record's scope
///   (`key`).
/// - **Faithful**: `load` returns exactly the record that was written, its metadata and every
///   value, for any key names and bytes (`round_trip`, `any_key_name`). A record within the default
///   [`Limits`](crate::Limits) is kept whole, or it is refused as [`StoreError::TooLarge`] and
///   nothing is written (`large_record`).
/// - **Apart**: an operation on one record changes no other, however similar their ids are
///   (`neighbours`).
/// - **Expired**: the `now` argument decides. From [`Record::expires_at`] on, `update` returns
///   `Gone`, and `load` returns `None` or the record as it was (`load_expired`, `update_expired`).
///   The manager opens no session from an expired record, but it can report the expiry. An update
///   that moves the time last seen, the absolute expiry or the lifetime moves the expiry in either
///   direction (`replaced_lifetime`).
/// - **Malformed**: if this store cannot have returned a key, the result is `None`, `Gone` or `Ok`,
///   as if the record were absent (`malformed_key`).
/// - **Taken id**: `create` never overwrites. If there is a live record of the same id, it returns
///   [`StoreError::IdTaken`], and that record stays as it was (`create_taken`).
/// - **One winner**: if one id is created many times at once, exactly one creation succeeds
///   (`create_race`).
/// - **Version not met**: if [`Update::expected_version`] is not the version of the record,
///   `update` returns `Conflict` and writes nothing (`version_not_met`). If it returns a record
///   with the conflict, that is the stored one (`conflict_record`).
/// - **Version met**: otherwise it applies the changes, and increments the version
///   (`version_met`).
/// - **Merged or refused**: changes to a stale base are applied to the stored record, or refused
///   with `Conflict`, even if the stored version is the expected one. What others wrote is never
///   lost, and no version goes back (`stale_base`).
/// - **Changes**: keys are set, removed and cleared, and [`Metadata`](crate::store::Metadata) is
///   touched or replaced, as the update says. Nothing else changes (`set_remove`, `clear`, `touch`,
///   `replace_metadata`).
/// - **Epoch**: if the record has another epoch than [`Update::epoch`], `update` returns `Gone`,
///   whatever version it has to meet: `Gone` comes before `Conflict` (`other_epoch`).
/// - **Gone while writing**: `update` never creates. Once `delete`, `delete_one_of` or
///   `delete_all_of` has returned, no update that was in flight brings a record back
///   (`no_resurrection`, `delete_race`, `delete_one_of_race`, `delete_all_of_race`).
/// - **Ended**: `delete`, `delete_one_of` and `delete_all_of` put the [mark](Ended::mark) in the
///   place of the record that they end, in the same step. An `update` can put one there too. A mark
///   is a record: `create` does not overwrite it, and [`Record::encode`] writes it. Until it
///   expires `load` returns it ([`Record::ended`] says when and why the session ended), `update`
///   returns `Gone`, `delete_one_of` returns `false`, and `list_of` and `delete_all_of` skip it
///   (`delete`, `ended`, `ended_of_principal`). From then on `load` may return `None`, and nothing
///   of the mark stays (`ended_expires`). A store that has no room for a mark ends the session
///   without one. It is no error to delete twice (`delete_twice`). It is no error either to delete
///   with an end that was long ago, which leaves no mark.
/// - **Atomic**: each operation on one record happens entirely or not at all for every reader, in
///   any interleaving. A `load` that begins after an update was saved shows that update
///   (`no_lost_update`, `no_torn_read`). `list_of`, `delete_all_of` and `delete_expired` are many
///   such operations, one for each record.
/// - **Unchanged**: `revalidate` returns `Unchanged` only if `load` would return exactly `known`.
///   Otherwise it returns the stored record, or `Gone` where `load` returns `None`. No other
///   content of the session is taken for `known`, even if it has the same version (`revalidate`,
///   `revalidate_race`).
/// - **Exact**: an update is [`exact`](Updated::Saved::exact) only if the stored record is
///   [`Update::record`], with its tag where the store keeps tags (`exact`).
/// - **Cancelled half-way**: an operation whose future is dropped has happened entirely or not at
///   all, and the store continues to work (`cancelled`).
/// - **Limits**: if a merged record exceeds [`Update::limits`], by [`Record::limited_size`] or the
///   number of its keys, and is larger than the stored one, `update` returns
///   [`StoreError::TooLarge`] and writes nothing (`merged_limits`).
/// - **Unreadable**: a record that exists but cannot be read is [`StoreError::Corrupt`], never
///   `None` and never a panic. (Only the store's own tests can damage a record.)
/// - **Unknown outcome**: a write that was sent and not answered is [`StoreError::OutcomeUnknown`],
///   and is not sent again. Any other failure is [`StoreError::Unavailable`], and nothing was
///   written. A store that waits for a server has a timeout of its own for each call. The cause of
///   an error is logged, so it holds no value, token or connection string.
/// - **Principals**: where the store has an [index](PrincipalIndex), `list_of` returns the live
///   records of a principal, of every scope, and no others. `delete_all_of` ends them all except
///   `except`, and returns their number. `delete_one_of` ends the one with this id, and returns
///   whether it belonged to the principal (`list_of`, `delete_all_of`, `delete_one_of`,
///   `principal_changes`).
/// - **Unreadable records of a principal**: `list_of` returns each of them as
///   [`Listed::Unreadable`](crate::store::Listed::Unreadable), and still returns the others.
///   `delete_all_of` and `delete_one_of` end it like any other. So one damaged record prevents no
///   sign-in, no list of sessions and no sign-out. (Only the store's own tests can damage a
///   record.)
/// - **Scanning**: where the store has a [scan](RecordScan), its pages together return every
///   session that is stored during the whole scan, at least once, each as `load` returns it. A
///   session that begins or ends meanwhile may be returned or not, and so may a mark
///   (`scan_records`, `scan_race`).
/// - **Cursors**: a cursor continues the scan, also after it was printed and parsed. One that this
///   store cannot have made is an error (`scan_cursor`).
/// - **Scanning the index**: a store that keeps an index apart from its records returns the entry
///   of every session of a principal, in the same way. Any other store returns no entry at all
///   (`scan_index`).
/// - **Mending**: where index and session agree, `mend_index` does nothing and says so. It ends no
///   session, and no session leaves the list of its principal (`mend_index`). An entry whose
///   session is about to be created stays. (Only the store's own tests can damage an index.)
/// - **Ending what cannot be read**: where `delete_unreadable` is supported, it deletes nothing
///   that can be read, and says so (`delete_unreadable`).
/// - **Sweeping**: `delete_expired` removes only expired records, is safe to run anywhere at any
///   time, and returns their number (`delete_expired`). It does not remove a record that an update
///   has kept alive meanwhile (`sweep_race`).
///
/// A sealed store ([`RecordLocation::Client`]) keeps nothing, so it cannot know that another write
/// or a deletion has replaced the key that it is given. The suite leaves those cases out.
///
/// The time is always an argument: `now` decides what has expired, not a clock of the store. An
/// engine that removes expired records by itself does so later than [`Record::expires_at`], by more
/// than the clocks of its machines can differ.
///
/// Versions and epochs count up, and stay under 2^53, so every language can hold them
/// (`large_version`). No session has an epoch of 2^45 or more: those belong to marks, and to
/// sessions on their way from one store to another.
///
/// # Example
///
/// The guide of `session-http` has a complete store of 60 lines on its page about writing stores.
#[async_trait]
pub trait SessionStore: fmt::Debug + Send + Sync + 'static {
    /// Where the record is kept.
    fn location(&self) -> RecordLocation;

    /// The time within which `load`, `create`, `update` and `delete` return, whatever they wait
    /// for.
    ///
    /// It is `None` if that is not certain. The time for which the end of a session may
    /// [wait](crate::store::NearCache::with_waiting_ends) for leases does not count.
    ///
    /// If this is at most [`Timeouts::call`](crate::Timeouts::call), the manager sets no timer for
    /// such a call. The manager asks once, when it is built.
    fn call_timeout(&self) -> Option<Duration> {
        None
    }

    /// Whether the store can lose a write that it has acknowledged.
    ///
    /// By default this is [`Durability::MayLoseWrites`], because nothing else is certain.
    ///
    /// [`SessionManagerBuilder::build`](crate::SessionManagerBuilder::build) asks once. It refuses
    /// [`OnReuse::Revoke`](crate::OnReuse::Revoke) if writes can be lost: a client whose newest
    /// token was lost looks like a thief. A store that wraps others returns the worst of their
    /// answers.
    fn durability(&self) -> Durability {
        Durability::MayLoseWrites
    }

    /// Loads a record.
    ///
    /// # Errors
    ///
    /// [`StoreError::Corrupt`] if the record cannot be read; any other if the store failed.
    async fn load(
        &self,
        key: &RecordKey,
        now: Timestamp,
    ) -> Result<Option<Arc<Record>>, StoreError>;

    /// Loads a record, unless the stored record is still `known`.
    ///
    /// `known` was loaded or written before. A cache asks this question, as an HTTP cache sends a
    /// conditional request (RFC 9110, section 13.1.2). It takes one server command, as
    /// [`load`](Self::load) does.
    ///
    /// By default it loads the record, and never answers [`Revalidated::Unchanged`]. A store that
    /// keeps version and [tag](Record::tag) alongside the record compares both.
    ///
    /// # Errors
    ///
    /// The same as `load`.
    async fn revalidate(
        &self,
        key: &RecordKey,
        known: &Arc<Record>,
        now: Timestamp,
    ) -> Result<Revalidated, StoreError> {
        let _ = known;
        Ok(self.load(key, now).await?.into())
    }

    /// Adds a record whose id is new, and returns its key.
    ///
    /// # Errors
    ///
    /// [`StoreError::IdTaken`], [`StoreError::Full`], [`StoreError::TooLarge`], or another error if
    /// the store failed.
    async fn create(&self, record: &Arc<Record>, now: Timestamp) -> Result<RecordKey, StoreError>;

    /// Changes a record in one atomic step. It never creates one.
    ///
    /// # Errors
    ///
    /// [`StoreError::TooLarge`], or another error if the store failed.
    async fn update(
        &self,
        key: &RecordKey,
        update: &Update,
        now: Timestamp,
    ) -> Result<Updated, StoreError>;

    /// Ends a session: puts the [mark](Ended::mark) in the place of its record, in one atomic step.
    ///
    /// If there is no record, that is no error, and no mark is left.
    ///
    /// # Errors
    ///
    /// If the store failed.
    async fn delete(&self, key: &RecordKey, ended: Ended) -> Result<(), StoreError>;

    /// The index by which this store lists and ends the sessions of a principal. By default there
    /// is none.
    ///
    /// [`SessionManagerBuilder::build`](crate::SessionManagerBuilder::build) refuses
    /// [`max_sessions`](crate::SessionManagerBuilder::max_sessions) over a store without one.
    fn principals(&self) -> Option<&dyn PrincipalIndex> {
        None
    }

    /// The scan by which tools read this whole store. By default there is none.
    fn scan(&self) -> Option<&dyn RecordScan> {
        None
    }

    /// Removes the records and marks that have expired by `now`, and returns how many it removed.
    ///
    /// It is for a store whose engine does not do that by itself. By default it does nothing.
    ///
    /// No manager calls it by itself. The application spawns
    /// [`SessionManager::sweep_every`](crate::SessionManager::sweep_every), which calls it from
    /// time to time. Or the store sweeps by itself, as [`MemoryStore`](crate::MemoryStore) does
    /// during creations. Otherwise the store grows with each session that it has ever had.
    ///
    /// # Errors
    ///
    /// If the store failed.
    async fn delete_expired(&self, now: Timestamp) -> Result<u64, StoreError> {
        let _ = now;
        Ok(0)
    }
}

/// The index of a store, or the error to return if there is none.
///
/// [`PrincipalIndex`] has an example of an index.
///
/// # Errors
///
/// [`StoreError::Unsupported`] if the store has none. The text says what to do.
pub fn index_of(store: &(impl SessionStore + ?Sized)) -> Result<&dyn PrincipalIndex, StoreError> {
    let missing = match store.location() {
        RecordLocation::Client { .. } => {
            "listing or ending the sessions of a principal, since only clients hold them; use a \
             store on the server, or `CookieStore::with_cut_off` to end all of them"
        }
        RecordLocation::Server => {
            "listing or ending the sessions of a principal; implement `PrincipalIndex` for the \
             store, and return it from `SessionStore::principals`"
        }
    };
    store.principals().ok_or(StoreError::Unsupported(missing))
}

/// The scan of a store, or the error to return if there is none.
///
/// ```
/// use session_core::MemoryStore;
/// use session_core::store::{RecordScan, scan_of};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let store = MemoryStore::new();
/// let page = scan_of(&store)?.scan_records(None, 100).await?;
/// assert!(page.sessions.is_empty());
/// # Ok::<_, session_core::store::StoreError>(()) }).unwrap();
/// ```
///
/// # Errors
///
/// [`StoreError::Unsupported`] if the store has none. The text says what to do.
pub fn scan_of(store: &(impl SessionStore + ?Sized)) -> Result<&dyn RecordScan, StoreError> {
    let missing = match store.location() {
        RecordLocation::Client { .. } => {
            "reading all sessions, since only clients hold them; use a store on the server"
        }
        RecordLocation::Server => {
            "reading all sessions; scan each of its inner stores by itself, or implement \
             `RecordScan` for the store and return it from `SessionStore::scan`"
        }
    };
    store.scan().ok_or(StoreError::Unsupported(missing))
}
