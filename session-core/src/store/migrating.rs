//! From one store to another, with nobody signed out.
//!
//! - **A place in the new store, then a frozen record in the old one.** To copy and then delete
//!   would let the copy undo a logout in between. So an empty place that opens for nobody is
//!   reserved first. One versioned update freezes the record and names the place. Then only that
//!   place can be filled, once. Places and frozen records have epochs that no session reaches, so
//!   every store keeps them without knowing of it.
//! - **`delete_one_of` meets a version**, so that of many calls one reports the end. After four
//!   rounds lost to writers it deletes in both stores without one.
//! - **What a move leaves in the old store is a mark that is over from the start**, and counts at
//!   no time.
//! - **An unfrozen record in the old store is the session**, whatever the new one has. So while the
//!   new store is down, sessions that have not moved are read and written in the old one.

mod both;
mod forms;
mod operations;
mod steps;

use std::sync::Arc;

use crate::config_error::ConfigError;
use crate::record::Record;
use crate::store::{RecordLocation, SessionStore};

/// Rounds after which an update gives up. A round is lost only to another call that got further,
/// and no session moves twice.
const MOST_ROUNDS: usize = 32;
/// Rounds in which a session is moved or deleted at the version that was read. After that it is
/// written where it is, or deleted whatever its version is.
const MOST_VERSIONED_ROUNDS: usize = 4;

/// Moves sessions from one store to another while the site runs, without signing anybody out.
///
/// A session that is in the new store is read there, and any other session in the old one. New
/// sessions are created in the new store. A session moves with the next write to it: a change of
/// its data, a renewal, or a touch. (Touches are at most a minute apart while somebody is active.)
/// `delete`, `delete_one_of` and `delete_all_of` delete sessions in both stores, and `list_of`
/// returns those of both. There is an index of principals only if both stores have one.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use session_core::{Directive, MemoryStore, Outcome, SessionManager};
/// use session_core::store::MigratingStore;
/// use std::sync::Arc;
///
/// let (old, new) = (Arc::new(MemoryStore::new()), Arc::new(MemoryStore::new()));
/// let before = SessionManager::new(Arc::clone(&old));
/// let session = before.begin(&[]).await?;
/// session.insert("cart", 3)?;
/// let Directive::Hold(token) = session.finish(Outcome::Success).await? else { unreachable!() };
///
/// let store = MigratingStore::new(Arc::clone(&new), Arc::clone(&old)).unwrap();
/// let manager = SessionManager::new(store);
/// let session = manager.begin(&[token.as_str()]).await?;
/// assert_eq!(session.get("cart")?, Some(3)); // read in the old store
/// session.insert("paid", true)?;
/// session.finish(Outcome::Success).await?;
/// assert_eq!((old.len(), new.len()), (0, 1)); // moved with this write
/// # Ok::<_, session_core::SessionError>(()) }).unwrap();
/// ```
///
/// # On a site of several nodes
///
/// 1. Give every node the store with [`standing_by`](Self::standing_by): it finds sessions in both
///    stores and still keeps them in the old one. A node without this store would not find the
///    sessions that other nodes have moved.
/// 2. When all nodes have it, give them the store without `standing_by`. From then on sessions
///    move.
/// 3. After one idle timeout and a minute (by default 2 h 1 min), every session that a node of step
///    1 wrote has moved or expired. Where idle timeouts differ, the longest counts. Then give the
///    nodes the new store alone.
///
/// While sessions move, a session in the new store costs what it always costs there: one command
/// for a read, and one for a write. A read of a session in the old store costs one more. The first
/// write to it costs about seven commands, once. A token that opens no session costs three, and a
/// creation costs two.
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
/// Creations need both, since neither store may hold the id already. `list_of` fails if one store
/// is down. Deletions delete sessions in the store that is up, and then fail as
/// [`StoreError::OutcomeUnknown`](crate::store::StoreError::OutcomeUnknown), because the other
/// store may hold more: call them again when both are up. `delete_one_of` succeeds if the session
/// is in the store that is up.
///
/// # Contract
///
/// If both stores keep the contract of [`SessionStore`], this store keeps it too, under all
/// conditions: with any number of nodes, with any number of parallel requests of one session, and
/// with calls that are cancelled, fail or die at any point. Both stores must keep records on the
/// server: sessions that are sealed into cookies cannot be moved.
///
/// The rest of this section is for those who change the code, and explains how that works. A
/// session has a record in the old store, `o`, and one in the new store, `n`. It moves in four
/// steps, each of which is one atomic operation of one store:
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
/// | frozen, a [mark](crate::Ended::mark) or nothing | a record | lives, and is `n` |
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
/// was at one instant in between. A call that finds a session between two steps takes the next
/// step, so no call waits for one that died there. A cancelled call has moved the session a step,
/// and has changed nothing that can be seen.
///
/// - **No lost update.** Freezing meets a version, so nothing is written to `o` between the read
///   and the move. It happens once: of many calls that try, one meets version and epoch. The place
///   is filled once: after that its epoch is another.
/// - **No resurrection.** `delete` deletes `o`, then `n`. A mover that had not frozen `o` before
///   finds nothing to freeze, and leaves a place at most. A mover that had frozen it either fills
///   the place before `n` is deleted, and then the filled record is deleted, or finds the place
///   gone: an update does not create. A place that a late mover reserves again has another epoch,
///   and no frozen record names it. `delete_all_of` is the same: the place has the principal, so it
///   is deleted too. A call that finds a place and nothing in the old store deletes the place
///   before it says so, so no late mover fills it in between.
/// - **`delete_one_of` deletes a session in one step**, at the version whose owner was read: in `o`
///   by freezing it for a place that never exists, in `n` by putting a place there that nothing
///   names. (`delete_one_of` of the new store would take the place of a late mover for a session,
///   and say that it has deleted one.) A session between the two is filled first. So of many calls
///   that delete a session one returns `true`, and `false` means that the principal had no such
///   session: it was somebody else's, or had ended. A call that has lost four rounds to writers
///   deletes in both stores without meeting a version. That deletes the session too; only then what
///   a late mover has left may count as one.
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
    /// [`ConfigError`] if one of the two stores keeps its records with the client.
    pub fn new(new: N, old: O) -> Result<Self, ConfigError> {
        if new.location() != RecordLocation::Server || old.location() != RecordLocation::Server {
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

    /// Moves no sessions yet, for a site whose nodes do not all know the new store.
    ///
    /// The store then finds sessions in both stores, and creates them in the old one.
    #[must_use]
    pub fn standing_by(mut self) -> Self {
        self.phase = Phase::StandingBy;
        self
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
