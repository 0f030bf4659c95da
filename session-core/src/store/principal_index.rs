//! The index of a store by principal: an optional trait of its own.

use async_trait::async_trait;

use crate::error::StoreError;
use crate::record::{Ended, SessionId};
use crate::store::Listed;
use crate::time::Timestamp;

/// Lists and ends the sessions of a principal.
///
/// A store that can do that returns itself from
/// [`SessionStore::principals`](crate::store::SessionStore::principals). The contract is on that
/// trait.
///
/// A store has all three methods or no index at all. The index makes
/// [`sessions_of`](crate::SessionManager::sessions_of), the sign-outs of a principal and
/// [`max_sessions`](crate::SessionManagerBuilder::max_sessions) possible.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// # use session_core::{Ended, Lifetime, MemoryStore, SessionId, Timestamp};
/// use session_core::store::{Record, SessionStore};
/// use std::sync::Arc;
///
/// # let (id, now) = (SessionId::from_bytes([7; 16]), Timestamp::from_millis(0));
/// let store = MemoryStore::new();
/// let record = Record::new(id, "id", Lifetime::default(), now).with_principal("ann");
/// store.create(&Arc::new(record), now).await?;
///
/// let index = store.principals().unwrap();
/// assert_eq!(index.list_of("ann", now).await?.len(), 1);
/// assert!(!index.delete_one_of("bob", id, Ended::default()).await?); // not his
/// assert_eq!(index.delete_all_of("ann", None, Ended::default()).await?, 1);
/// # Ok::<_, session_core::SessionError>(()) }).unwrap();
/// ```
///
/// # A store around another
///
/// A store that wraps another has an index if the inner store has one.
/// [`index_of`](crate::store::index_of) finds that index.
/// [`forward_store!`](crate::store::forward_store) writes all methods of a wrapper that changes
/// nothing.
///
/// ```
/// use session_core::store::{PrincipalIndex, SessionStore};
///
/// # trait Sketch { fn principals(&self) -> Option<&dyn PrincipalIndex>; }
/// # struct Logged<S>(S);
/// # impl<S: SessionStore> Sketch for Logged<S> {
/// fn principals(&self) -> Option<&dyn PrincipalIndex> {
///     self.0.principals() // or, to see these calls as well: `.map(|_| self as _)`
/// }
/// # }
/// # let store = Logged(session_core::MemoryStore::new());
/// # assert!(store.principals().is_some());
/// ```
#[async_trait]
pub trait PrincipalIndex: Send + Sync {
    /// The live records of a principal, and those that cannot be read.
    ///
    /// # Errors
    ///
    /// If the store failed.
    async fn list_of(&self, principal: &str, now: Timestamp) -> Result<Vec<Listed>, StoreError>;

    /// Ends one session if it belongs to this principal, and returns whether it ended one.
    ///
    /// It checks the principal in the same step, and leaves a mark as
    /// [`delete`](crate::store::SessionStore::delete) does. The session that it ended may have
    /// expired without being swept yet.
    ///
    /// # Errors
    ///
    /// If the store failed.
    async fn delete_one_of(
        &self,
        principal: &str,
        id: SessionId,
        ended: Ended,
    ) -> Result<bool, StoreError>;

    /// Ends every session of a principal except `except`, and returns how many it ended.
    ///
    /// It leaves marks as [`delete`](crate::store::SessionStore::delete) does.
    ///
    /// # Errors
    ///
    /// If the store failed.
    async fn delete_all_of(
        &self,
        principal: &str,
        except: Option<SessionId>,
        ended: Ended,
    ) -> Result<u64, StoreError>;
}
