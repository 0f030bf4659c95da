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
use self::steps::{in_its_life, remembered};
use crate::config_error::ConfigError;
use crate::error::StoreError;
use crate::record::{Ended, Record, SessionId};
use crate::store::{Capability, Durability, Key, Listed, SessionStore, Update, Updated};
use crate::time::Timestamp;

/// Rounds that one update goes before it gives up. A round is lost only to somebody who got
/// further, and no session moves twice.
const MOST_ROUNDS: usize = 32;
/// Rounds in which a session that is to move, or to end, tries to meet its version.
const MOST_MEETINGS: usize = 4;

/// Moves sessions from one store to another while the site goes on, with nobody signed out.
///
/// What is in the new store is read there; what is not, in the old one. Creations go to the new
/// store, and a session moves with the next write to it: its data, a touch (at most a minute apart
/// for who is active), a renewal. `delete`, `delete_one` and `delete_all` end sessions in both,
/// `list` shows both.
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
/// 3. Whatever the last node of step 1 wrote has moved or expired after one idle timeout, the
///    longest where sessions differ, and a minute (by default 2 h 1 min). Give the nodes the new
///    store alone.
///
/// While sessions move, what is in the new store costs what it costs there: a read one command, a
/// write one. What is still in the old one costs a read more, and its first write about seven
/// commands, once. A token of no session costs three, a creation two.
///
/// # When a store is down
///
/// Both stores are needed while sessions move.
///
/// | what is down | what goes on | what fails |
/// |---|---|---|
/// | the old store | requests of sessions that have moved | creations, and requests of all others |
/// | the new store, empty as it may be | requests of sessions that have not moved | creations, and requests of all others |
///
/// Creations need both, since an id must be taken in neither. `list` fails where one store is down.
/// What ends sessions ends them in the store that is up, and then fails as
/// [`StoreError::OutcomeUnknown`], because the other may hold more: call it again when both are up.
/// `delete_one` succeeds where the session is in the store that is up.
///
/// # Contract
///
/// It keeps the contract of [`SessionStore`], if both stores do, under all conditions: any number
/// of nodes, of requests of one session at the same time, and calls that are cancelled, fail or die
/// at any point. Both stores must keep records on the server: what is sealed into cookies cannot be
/// moved.
///
/// How it does so is worth knowing to who changes it. A session has a record in the old store, `o`,
/// and one in the new store, `n`. It moves in four steps, each one atomic operation of one store:
///
/// 1. *Reserve*: `create` puts an empty **place** where `n` will be. It has the session's
///    principal, no values and no tokens, and an epoch drawn at random from numbers that no session
///    reaches: no writer of the session meets it, and no two places of a session are alike.
/// 2. *Freeze*: `update`, meeting the version that was read, puts the place's epoch on `o` and
///    hides its tokens. The values stay. From here on whoever writes `o` is told `Gone` and looks
///    again.
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
/// A mark beside a record of the old store is that of a place: of a former principal's, or of an
/// end that did not reach the old store. Nothing moves while it is there, and writes go to `o`.
///
/// A call that finds a mark and a place ends that too. A frozen record that is left over keeps the
/// principal of then, and gets a mark when all sessions of that one end: that says nothing of `n`.
/// What a move clears away leaves a mark that is over from the start: it counts as nothing.
///
/// `o` is never written after it was frozen and never comes back; `n` never becomes a place again
/// but by ending. So who looks at `n`, or at `o` and then at `n`, sees the session as it was at one
/// instant in between. Whoever finds a session between two steps takes the next one, so nobody
/// waits for who died there; what a cancelled call has done moved the session a step and changed
/// nothing that can be seen.
///
/// - **No lost update.** Freezing meets a version, so nothing is written to `o` between what was
///   read and what is moved. It happens once: of many who try, one meets version and epoch. The
///   place is filled once: after that its epoch is another.
/// - **No resurrection.** `delete` ends `o`, then `n`. Who had not frozen `o` before finds nothing
///   to freeze, and leaves a place at most. Who had, fills the place before `n` is deleted, and
///   then that is what is deleted, or finds it gone: an update does not create. A place that
///   somebody late makes anew has another epoch, and no frozen record names it. `delete_all` is the
///   same: the place has the principal, so it ends too. Who finds a place and nothing in the old
///   store takes the place away before saying so, so nobody who is late fills it in between.
/// - **`delete_one` ends a session in one step**, at the version whose owner was read: in `o` by
///   freezing it for a place that there never is; in `n` by putting a place there that nothing
///   names (`delete_one` of the new store would take the place of somebody late for a session, and
///   say that it has ended one). What lies between is filled first. So of many who end a session
///   one is told that it has, and `false` means that nothing of theirs was there: it was somebody
///   else's, or had ended. Who has lost four rounds to writers deletes in both stores without
///   meeting a version: that ends the session too, and only then what somebody late has left may
///   count as one.
/// - **What is left over does no harm.** A frozen record beside a record is not looked at; once
///   that one has ended, be it by a timeout that was made shorter, it is *frozen and anything
///   else*. An empty place opens for no token, and expires with the session that it was for.
pub struct MigratingStore<N, O> {
    new: N,
    old: O,
    moving: bool,
}

/// Where a session was found.
enum Found {
    Nowhere,
    New(Arc<Record>),
    Old(Arc<Record>),
    /// Frozen, and its place is there.
    Between(Arc<Record>),
    /// It has ended: the mark that says so.
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
        let moving = true;
        Ok(Self { new, old, moving })
    }

    /// The same for a site whose nodes do not all know the new store yet: finds sessions in both,
    /// moves none, and creates in the old one.
    #[must_use]
    pub fn standing_by(mut self) -> Self {
        self.moving = false;
        self
    }
}

/// A step of the way that was not answered wrote nothing of what the caller wanted, and may be
/// taken again.
fn on_the_way(error: StoreError) -> StoreError {
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
        if self.moving {
            let new = match self.new.load(key, now).await {
                // What is in the old store, and not frozen, is the session whatever the new one
                // holds.
                Err(error @ StoreError::Unavailable(_)) => {
                    let old = self.old.load(key, now).await?;
                    let old = remembered(old, now).filter(|record| !is_frozen(record));
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
            Found::New(record) | Found::Old(record) => Some(record),
            Found::Between(frozen) => Some(Arc::new(thawed(&frozen))),
            Found::Ended(mark) => Some(mark),
            Found::Nowhere => None,
        })
    }

    async fn create(&self, record: &Arc<Record>, now: Timestamp) -> Result<Key, StoreError> {
        let key = Key::Id(record.id);
        if self.moving {
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
            // A place and a frozen record are of epochs that no update has: to them it is gone.
            // What finds no place, because a mark is where it would be, is written where it lies.
            if !self.moving || round >= MOST_MEETINGS {
                match self.old.update(key, update, now).await? {
                    Updated::Gone => {}
                    done => return Ok(done),
                }
            }
            match self.new.update(key, update, now).await {
                Ok(Updated::Gone) => {}
                // It cannot move now; what is in the old store is written there.
                Err(error @ StoreError::Unavailable(_)) if self.moving => {
                    return match self.old.update(key, update, now).await? {
                        Updated::Gone => Err(error),
                        done => Ok(done),
                    };
                }
                done => return done,
            }
            let found = self.find(key, now).await.map_err(on_the_way)?;
            let (record, epoch) = match &found {
                Found::New(record) | Found::Old(record) => (record, record.epoch),
                Found::Between(frozen) => (frozen, thawed(frozen).epoch),
                Found::Ended(_) | Found::Nowhere => return Ok(Updated::Gone),
            };
            // A store may hand back what has expired.
            if epoch != update.epoch || !record.is_live(now) {
                return Ok(Updated::Gone);
            }
            if self.moving || matches!(found, Found::Between(_)) {
                self.go_on(key, found, now).await.map_err(on_the_way)?;
            }
        }
        Ok(Updated::Conflict(None))
    }

    async fn delete(&self, key: &Key, ended: Ended) -> Result<(), StoreError> {
        let old = self.old.delete(key, ended).await;
        both(old, self.new.delete(key, ended).await).map(drop)
    }

    async fn list(&self, principal: &str, now: Timestamp) -> Result<Vec<Listed>, StoreError> {
        // In this order, so that what moves meanwhile is in one of them.
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
            let done = match self.find_to_end(&key, now).await {
                // What is left over of it was no session any more; a store without an index says
                // so.
                Ok(Found::Ended(_) | Found::Nowhere) => {
                    return self
                        .delete_one_in_both(principal, id, ended)
                        .await
                        .map(|_| false);
                }
                // What cannot be read is to end all the same, as far as a store can be reached.
                Err(_) => return self.delete_one_in_both(principal, id, ended).await,
                Ok(Found::New(record) | Found::Old(record) | Found::Between(record))
                    if record.principal() != Some(principal) =>
                {
                    return Ok(false);
                }
                // Others write it all the time: it is to end all the same.
                Ok(Found::New(_) | Found::Old(_)) if round >= MOST_MEETINGS => {
                    self.delete_one_in_both(principal, id, ended).await?
                }
                Ok(Found::New(record)) => self.end_in_new(&key, &record).await?,
                Ok(Found::Old(record)) => self.end_in_old(&key, &record).await?,
                Ok(Found::Between(frozen)) => {
                    let filled = self.fill(&key, &frozen, in_its_life(&frozen)).await;
                    filled.map_err(on_the_way)?;
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
        // What is just moving is in both, and to be counted once.
        let listed = match self.list(principal, ended.at).await {
            Ok(listed) => Some(
                listed
                    .into_iter()
                    .filter(|listed| Some(listed.id()) != except),
            ),
            Err(error @ StoreError::Unsupported(_)) => return Err(error),
            // They are to end all the same, as far as a store can be reached.
            Err(_) => None,
        };
        let old = self.old.delete_all(principal, except, ended).await;
        let (old, new) = both(old, self.new.delete_all(principal, except, ended).await)?;
        let Some(listed) = listed else {
            return Ok(old + new);
        };
        let mut count = 0;
        for listed in listed {
            // One that has become another principal's meanwhile lives.
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
            .field("moving", &self.moving)
            .finish()
    }
}

#[cfg(test)]
mod tests;
