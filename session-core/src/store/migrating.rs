//! From one store to another, with nobody signed out.
//!
//! - **A place in the new store, then a frozen record in the old one.** To copy and then delete
//!   would let the copy undo a logout in between. So an empty place that opens for nobody is
//!   reserved first. One versioned update freezes the record and names the place. Then only that
//!   place can be filled, once. Places and frozen records have epochs that no session reaches, so
//!   every store keeps them without knowing of it.
//! - **`delete_one` meets a version**, so that of many calls one reports the end. After four rounds
//!   lost to writers it deletes in both stores without one.
//! - **What a move leaves in the old store is a mark that is over from the start**, and counts at
//!   no time.
//! - **An unfrozen record in the old store is the session**, whatever the new one has. So while the
//!   new store is down, sessions that have not moved are read and written in the old one.

mod both;
mod forms;
mod steps;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use self::both::both;
use self::forms::{is_frozen, is_place, thawed};
use self::steps::{while_it_lived, without_old_marks};
use crate::config_error::ConfigError;
use crate::error::StoreError;
use crate::record::{Ended, Record, SessionId};
use crate::store::{Capability, Durability, Key, Listed, SessionStore, Update, Updated};
use crate::time::Timestamp;

/// Rounds after which an update gives up. A round is lost only to another call that got further,
/// and no session moves twice.
const MOST_ROUNDS: usize = 32;
/// Rounds in which a session is moved or deleted at the version that was read. After that it is
/// written where it is, or deleted whatever its version is.
const MOST_VERSIONED_ROUNDS: usize = 4;

/// Moves sessions from one store to another while the site goes on, with nobody signed out.
///
/// A session that is in the new store is read there, any other in the old one. Creations go to the
/// new store. A session moves with the next write to it: of its data, of a touch (at most a minute
/// apart while somebody is active), or of a renewal. `delete`, `delete_one` and `delete_all` delete
/// sessions in both stores, and `list` returns those of both.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use session_core::{Directive, MemoryStore, MigratingStore, SessionManager};
/// use std::sync::Arc;
///
/// let (old, new) = (Arc::new(MemoryStore::new()), Arc::new(MemoryStore::new()));
/// let before = SessionManager::new(Arc::clone(&old));
/// let session = before.open(&[]).await?;
/// session.insert("cart", 3)?;
/// let Directive::Hold(token) = before.commit(&session).await? else { unreachable!() };
///
/// let store = MigratingStore::new(Arc::clone(&new), Arc::clone(&old)).unwrap();
/// let manager = SessionManager::new(store);
/// let session = manager.open(&[token.as_str()]).await?;
/// assert_eq!(session.get("cart")?, Some(3)); // read in the old store
/// session.insert("paid", true)?;
/// manager.commit(&session).await?;
/// assert_eq!((old.len(), new.len()), (0, 1)); // moved with this write
/// # Ok::<_, session_core::Error>(()) }).unwrap();
/// ```
///
/// # On a site of several nodes
///
/// 1. Give every node the store with [`standing_by`](Self::standing_by): it finds sessions in both
///    and still keeps them in the old one. A node without it would not find what others have moved.
/// 2. When all nodes have it, give them the store without that. From now on sessions move.
/// 3. After one idle timeout and a minute (by default 2 h 1 min), every session that a node of step
///    1 wrote has moved or expired. Where idle timeouts differ, the longest counts. Give the nodes
///    the new store alone.
///
/// While sessions move, a session in the new store costs what it costs there: one command for a
/// read, one for a write. A session in the old store costs one more for a read, and its first write
/// costs about seven commands, once. A token of no session costs three, a creation two.
///
/// # When a store is down
///
/// Both stores are needed while sessions move.
///
/// | what is down | what works | what fails |
/// |---|---|---|
/// | the old store | requests of sessions that have moved | creations and all others |
/// | the new store, even if empty | requests of sessions that have not moved | the same |
///
/// Creations need both, since an id must be taken in neither. `list` fails if one store is down.
/// Deletions delete sessions in the store that is up, and then fail as
/// [`StoreError::OutcomeUnknown`], because the other may hold more: call them again when both are
/// up. `delete_one` succeeds if the session is in the store that is up.
///
/// # Contract
///
/// It keeps the contract of [`SessionStore`], if both stores do, under all conditions: with any
/// number of nodes, with any number of parallel requests of one session, and with calls that are
/// cancelled, fail or die at any point. Both stores must keep records on the server: sessions that
/// are sealed into cookies cannot be moved.
///
/// This is how it does so, for those who change it. A session has a record in the old store, `o`,
/// and one in the new store, `n`. It moves in four steps, each one atomic operation of one store:
///
/// 1. *Reserve*: `create` puts an empty **place** where `n` will be. It has the session's
///    principal, no values and no tokens, and an epoch drawn at random from numbers that no session
///    reaches: no writer of the session meets it, and no two places of a session are alike.
/// 2. *Freeze*: `update`, meeting the version that was read, puts the place's epoch on `o` and
///    hides its tokens. The values stay. From here on a write to `o` is `Gone`, and the writer
///    looks again.
/// 3. *Fill*: `update` of the place, meeting its epoch and version, makes it the record that was
///    frozen, with its own version and epoch.
/// 4. *Clear away*: `delete` of `o`.
///
/// | `o` | `n` | the session |
/// |---|---|---|
/// | a record | nothing, a place or a mark | lives, and is `o` |
/// | frozen | the place that it names | lives, and is what was frozen |
/// | frozen, a [mark](Ended::mark) or nothing | a record | lives, and is `n` |
/// | frozen | anything else | has ended |
/// | nothing | nothing, or a place | has ended |
/// | a mark | nothing, a place or a mark | has ended |
/// | frozen or nothing | a mark | has ended |
///
/// A mark alongside a record of the old store is that of a place: the place of a former principal,
/// or one whose deletion did not reach the old store. Nothing moves while it is there, and writes
/// go to `o`.
///
/// A call that finds a mark and a place deletes the place too. A frozen record that is left over
/// keeps its principal of that time, and gets a mark when all sessions of that principal are
/// deleted: that says nothing of `n`. Clearing away leaves a mark that is over from the start: it
/// counts as nothing.
///
/// `o` is never written after it was frozen, and never comes back. `n` becomes a place again only
/// by being deleted. So a call that looks at `n`, or at `o` and then at `n`, sees the session as it
/// was at one instant in between. A call that finds a session between two steps takes the next one,
/// so none waits for one that died there. A cancelled call has moved the session a step, and has
/// changed nothing that can be seen.
///
/// - **No lost update.** Freezing meets a version, so nothing is written to `o` between the read
///   and the move. It happens once: of many calls that try, one meets version and epoch. The place
///   is filled once: after that its epoch is another.
/// - **No resurrection.** `delete` deletes `o`, then `n`. A mover that had not frozen `o` before
///   finds nothing to freeze, and leaves a place at most. A mover that had frozen it either fills
///   the place before `n` is deleted, and then the filled record is deleted, or finds the place
///   gone: an update does not create. A place that a late mover reserves again has another epoch,
///   and no frozen record names it. `delete_all` is the same: the place has the principal, so it is
///   deleted too. A call that finds a place and nothing in the old store deletes the place before
///   it says so, so no late mover fills it in between.
/// - **`delete_one` deletes a session in one step**, at the version whose owner was read: in `o` by
///   freezing it for a place that never exists, in `n` by putting a place there that nothing names.
///   (`delete_one` of the new store would take the place of a late mover for a session, and say
///   that it has deleted one.) A session between the two is filled first. So of many calls that
///   delete a session one returns `true`, and `false` means that the principal had no such session:
///   it was somebody else's, or had ended. A call that has lost four rounds to writers deletes in
///   both stores without meeting a version. That deletes the session too; only then what a late
///   mover has left may count as one.
/// - **What is left over does no harm.** A frozen record alongside a record is not looked at. Once
///   that record has ended, even by a timeout that was shortened, the frozen one is *frozen and
///   anything else*. An empty place opens for no token, and expires with its session.
pub struct MigratingStore<N, O> {
    new: N,
    old: O,
    phase: Phase,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Some nodes do not know the new store yet, so nothing moves.
    StandingBy,
    Moving,
}

/// Where a session is.
enum Location {
    Absent,
    New(Arc<Record>),
    Old(Arc<Record>),
    /// In the old store, and its place is in the new one.
    Frozen(Arc<Record>),
    /// The mark of a session that has ended.
    Ended(Arc<Record>),
}

impl<N: SessionStore, O: SessionStore> MigratingStore<N, O> {
    /// Moves sessions from `old` to `new`.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if one of the two keeps its records in the client.
    pub fn new(new: N, old: O) -> Result<Self, ConfigError> {
        if new.capability() != Capability::Server || old.capability() != Capability::Server {
            return Err(ConfigError::new(
                "sessions that are sealed into cookies cannot be moved; use a store that keeps \
                 them on the server on both sides",
            ));
        }
        Ok(Self {
            new,
            old,
            phase: Phase::Moving,
        })
    }

    fn is_moving(&self) -> bool {
        self.phase == Phase::Moving
    }

    /// The same for a site whose nodes do not all know the new store yet: finds sessions in both,
    /// moves none, and creates in the old one.
    #[must_use]
    pub fn standing_by(mut self) -> Self {
        self.phase = Phase::StandingBy;
        self
    }
}

/// The error of a step that moves a session. One that was not answered wrote nothing of what the
/// caller wanted, and may be taken again.
fn as_unavailable(error: StoreError) -> StoreError {
    match error {
        StoreError::OutcomeUnknown(cause) => StoreError::Unavailable(cause),
        error => error,
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<N: SessionStore, O: SessionStore> SessionStore for MigratingStore<N, O> {
    fn capability(&self) -> Capability {
        Capability::Server
    }

    /// None: an operation here may take several of both stores.
    fn deadline(&self) -> Option<Duration> {
        None
    }

    /// The worse of both.
    fn durability(&self) -> Durability {
        match (self.new.durability(), self.old.durability()) {
            (Durability::Durable, Durability::Durable) => Durability::Durable,
            _ => Durability::MayLoseWrites,
        }
    }

    async fn load(&self, key: &Key, now: Timestamp) -> Result<Option<Arc<Record>>, StoreError> {
        if self.is_moving() {
            let new = match self.new.load(key, now).await {
                // An unfrozen record in the old store is the session, whatever the new one holds.
                // So sessions that have not moved are still served.
                Err(error @ StoreError::Unavailable(_)) => {
                    let old = self.old.load(key, now).await?;
                    let old = without_old_marks(old, now).filter(|record| !is_frozen(record));
                    return old.map(Some).ok_or(error);
                }
                new => new?,
            };
            if let Some(record) = new.filter(|record| !is_place(record) && record.ended().is_none())
            {
                return Ok(Some(record));
            }
        }
        Ok(match self.find(key, now).await? {
            Location::New(record) | Location::Old(record) => Some(record),
            Location::Frozen(frozen) => Some(Arc::new(thawed(&frozen))),
            Location::Ended(mark) => Some(mark),
            Location::Absent => None,
        })
    }

    async fn create(&self, record: &Arc<Record>, now: Timestamp) -> Result<Key, StoreError> {
        let key = Key::Id(record.id);
        if self.is_moving() {
            match self.old.load(&key, now).await? {
                Some(_) => Err(StoreError::IdTaken),
                None => self.new.create(record, now).await,
            }
        } else {
            match self.new.load(&key, now).await? {
                Some(_) => Err(StoreError::IdTaken),
                None => self.old.create(record, now).await,
            }
        }
    }

    async fn update(
        &self,
        key: &Key,
        update: Update<'_>,
        now: Timestamp,
    ) -> Result<Updated, StoreError> {
        for round in 0..MOST_ROUNDS {
            // Places and frozen records have epochs that no update has, so they answer `Gone`. A
            // session that cannot move, because a mark is where its place would be, is written in
            // the old store.
            if !self.is_moving() || round >= MOST_VERSIONED_ROUNDS {
                match self.old.update(key, update, now).await? {
                    Updated::Gone => {}
                    done => return Ok(done),
                }
            }
            match self.new.update(key, update, now).await {
                Ok(Updated::Gone) => {}
                // It cannot move now, so it is written in the old store if it is there.
                Err(error @ StoreError::Unavailable(_)) if self.is_moving() => {
                    return match self.old.update(key, update, now).await? {
                        Updated::Gone => Err(error),
                        done => Ok(done),
                    };
                }
                done => return done,
            }
            let found = self.find(key, now).await.map_err(as_unavailable)?;
            let (record, epoch) = match &found {
                Location::New(record) | Location::Old(record) => (record, record.epoch),
                Location::Frozen(frozen) => (frozen, thawed(frozen).epoch),
                Location::Ended(_) | Location::Absent => return Ok(Updated::Gone),
            };
            // A store may hand back what has expired.
            if epoch != update.epoch || !record.is_live(now) {
                return Ok(Updated::Gone);
            }
            if self.is_moving() || matches!(found, Location::Frozen(_)) {
                self.advance(key, found, now)
                    .await
                    .map_err(as_unavailable)?;
            }
        }
        Ok(Updated::Conflict(None))
    }

    async fn delete(&self, key: &Key, ended: Ended) -> Result<(), StoreError> {
        let old = self.old.delete(key, ended).await;
        both(old, self.new.delete(key, ended).await).map(drop)
    }

    async fn list(&self, principal: &str, now: Timestamp) -> Result<Vec<Listed>, StoreError> {
        // In this order, so that a session that moves meanwhile is in one of the two.
        let old = self.old.list(principal, now).await?;
        let new = self.new.list(principal, now).await?;
        let is = |listed: &Listed, form: fn(&Record) -> bool| {
            listed.record().is_some_and(|record| form(record))
        };
        let (places, new): (Vec<_>, Vec<_>) =
            new.into_iter().partition(|listed| is(listed, is_place));
        let mut all: HashMap<SessionId, Listed> = new
            .into_iter()
            .map(|listed| (listed.id(), listed))
            .collect();
        for listed in old.into_iter().chain(places) {
            let id = listed.id();
            if all.contains_key(&id) {
                continue;
            }
            let found = match is(&listed, is_frozen) || is(&listed, is_place) {
                true => match self.load(&Key::Id(id), now).await {
                    Ok(found) => found.map(Listed::Record),
                    Err(error @ StoreError::Corrupt(_)) => Some(Listed::Unreadable { id, error }),
                    Err(error) => return Err(error),
                },
                false => Some(listed),
            };
            let theirs =
                |record: &Record| record.principal() == Some(principal) && record.is_live(now);
            let found = found.filter(|found| found.record().is_none_or(|record| theirs(record)));
            all.extend(found.map(|listed| (id, listed)));
        }
        Ok(all.into_values().collect())
    }

    async fn delete_one(
        &self,
        principal: &str,
        id: SessionId,
        ended: Ended,
    ) -> Result<bool, StoreError> {
        let (key, now) = (Key::Id(id), ended.at);
        for round in 0..MOST_ROUNDS {
            let done = match self.find_to_delete(&key, now).await {
                // It has ended, and only leftovers of it are deleted. They are deleted by
                // `delete_one` all the same, so that a store without an index can say so.
                Ok(Location::Ended(_) | Location::Absent) => {
                    return self
                        .delete_one_in_both(principal, id, ended)
                        .await
                        .map(|_| false);
                }
                // A record that cannot be read, or a store that is down: each store that can be
                // reached deletes what it has.
                Err(_) => return self.delete_one_in_both(principal, id, ended).await,
                Ok(Location::New(record) | Location::Old(record) | Location::Frozen(record))
                    if record.principal() != Some(principal) =>
                {
                    return Ok(false);
                }
                // Writers were faster each time; without a version it is deleted in any case.
                Ok(Location::New(_) | Location::Old(_)) if round >= MOST_VERSIONED_ROUNDS => {
                    self.delete_one_in_both(principal, id, ended).await?
                }
                Ok(Location::New(record)) => self.delete_from_new(&key, &record).await?,
                Ok(Location::Old(record)) => self.delete_from_old(&key, &record).await?,
                Ok(Location::Frozen(frozen)) => {
                    let filled = self.fill(&key, &frozen, while_it_lived(&frozen)).await;
                    filled.map_err(as_unavailable)?;
                    false
                }
            };
            if done {
                if self.delete(&key, ended).await.is_err() {
                    tracing::debug!(
                        target: "session",
                        "a session has ended; what is left of it was not deleted"
                    );
                }
                return Ok(true);
            }
        }
        Err(StoreError::unavailable(
            "others write or move this session all the time; end it again",
        ))
    }

    async fn delete_all(
        &self,
        principal: &str,
        except: Option<SessionId>,
        ended: Ended,
    ) -> Result<u64, StoreError> {
        // A session that is just moving is in both stores, and is counted once.
        let listed = match self.list(principal, ended.at).await {
            Ok(listed) => Some(
                listed
                    .into_iter()
                    .filter(|listed| Some(listed.id()) != except),
            ),
            Err(error @ StoreError::Unsupported(_)) => return Err(error),
            // They are deleted all the same, in each store that can be reached.
            Err(_) => None,
        };
        let old = self.old.delete_all(principal, except, ended).await;
        let (old, new) = both(old, self.new.delete_all(principal, except, ended).await)?;
        let Some(listed) = listed else {
            return Ok(old + new);
        };
        let mut count = 0;
        for listed in listed {
            // A session that has become another principal's meanwhile lives, and is not counted.
            let found = self.load(&Key::Id(listed.id()), ended.at).await;
            let lives = |record: Arc<Record>| record.ended().is_none() && record.is_live(ended.at);
            count += u64::from(!found.is_ok_and(|found| found.is_some_and(lives)));
        }
        Ok(count)
    }

    async fn delete_expired(&self, now: Timestamp) -> Result<u64, StoreError> {
        let old = self.old.delete_expired(now).await;
        let (old, new) = both(old, self.new.delete_expired(now).await)?;
        Ok(old + new)
    }
}

impl<N: std::fmt::Debug, O: std::fmt::Debug> std::fmt::Debug for MigratingStore<N, O> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MigratingStore")
            .field("new", &self.new)
            .field("old", &self.old)
            .field("moving", &(self.phase == Phase::Moving))
            .finish()
    }
}

#[cfg(test)]
mod tests;
