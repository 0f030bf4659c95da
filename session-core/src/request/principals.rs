//! All sessions of one principal: listed and ended from anywhere.

use std::fmt;

use crate::error::SessionError;
use crate::manager::SessionManager;
use crate::record::{EndReason, Ended, Record, SessionId};
use crate::session::Session;
use crate::store::{Listed, RecordKey};
use crate::time::Timestamp;

/// One of the sessions of a principal, as its owner may see it; from
/// [`SessionManager::sessions_of`].
///
/// A session whose record is damaged is listed too, so that its owner can
/// [`end`](SessionManager::end) it: see [`is_readable`](Self::is_readable).
#[derive(Clone)]
pub struct SessionInfo(Listed);

impl SessionInfo {
    /// The session's id, for [`SessionManager::end`].
    ///
    /// [`encode`](SessionId::encode) it into a form, and `parse` what comes back. It is not a
    /// secret, but it should not be public either. Events have its [short hash](SessionId::short).
    pub fn id(&self) -> SessionId {
        self.0.id()
    }

    /// Whether the session's record can be read.
    ///
    /// If not, only the id is known. The times are then [`Timestamp::default()`] (1970), the label
    /// and the time of authentication are `None`, and the scope is empty. A page can say "a damaged
    /// session" and offer to end it. Such a session lets nobody in, and it may have expired.
    pub fn is_readable(&self) -> bool {
        self.0.record().is_some()
    }

    /// Whether this is the session of the given handle.
    pub fn is(&self, session: &Session) -> bool {
        session.id() == Some(self.id())
    }

    /// When the session was created.
    pub fn created_at(&self) -> Timestamp {
        self.record()
            .map_or_else(Timestamp::default, Record::created_at)
    }

    /// When the session was last active. This may be out of date by at most
    /// [`Lifetime::touch_interval`](crate::Lifetime::touch_interval).
    pub fn last_seen(&self) -> Timestamp {
        self.record()
            .map_or_else(Timestamp::default, Record::last_seen)
    }

    /// When the session expires unless there is more activity.
    pub fn expires_at(&self) -> Timestamp {
        self.record()
            .map_or_else(Timestamp::default, Record::expires_at)
    }

    /// When the principal signed in.
    pub fn authenticated_at(&self) -> Option<Timestamp> {
        self.record()?.authenticated
    }

    /// Since when the session is bound to a device ([`DeviceBinding`](crate::DeviceBinding));
    /// `None` if it is not.
    pub fn bound_at(&self) -> Option<Timestamp> {
        self.record()?.bound_at()
    }

    /// The label from the application ([`Session::set_label`]), such as the name of a device.
    pub fn label(&self) -> Option<&str> {
        self.record()?.label()
    }

    /// The [scope](crate::SessionManagerBuilder::scope) of the session's manager.
    pub fn scope(&self) -> &str {
        self.record().map_or("", Record::scope)
    }

    fn record(&self) -> Option<&Record> {
        self.0.record().map(|record| &**record)
    }
}

impl fmt::Debug for SessionInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionInfo")
            .field("id", &self.id())
            .field("is_readable", &self.is_readable())
            .field("created_at", &self.created_at())
            .field("last_seen", &self.last_seen())
            .finish_non_exhaustive()
    }
}

/// Lists and ends the sessions of a principal.
///
/// A principal belongs to the whole store. If several managers share a store under different
/// scopes, the sessions of a principal in all scopes are listed and ended together. If the
/// principals of several applications are different people, each application needs a prefix, or a
/// store, of its own.
impl SessionManager {
    /// The live sessions of a principal, the most recently active first.
    ///
    /// Sessions whose records cannot be [read](SessionInfo::is_readable) are at the end. For each
    /// of these there is an event of the kind [`Corrupt`](crate::EventKind::Corrupt).
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    /// # .block_on(async {
    /// # use session_core::{MemoryStore, Outcome, SessionManager};
    /// # let manager = SessionManager::new(MemoryStore::new());
    /// let phone = manager.begin(&[]).await?;
    /// phone.sign_in("user:42")?;
    /// phone.set_label("Anna's phone")?;
    /// phone.finish(Outcome::Success).await?;
    ///
    /// let sessions = manager.sessions_of("user:42").await?;
    /// assert_eq!(sessions[0].label(), Some("Anna's phone"));
    /// assert!(sessions[0].is(&phone));
    /// # Ok::<_, session_core::SessionError>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// [`StoreError::Unsupported`](crate::store::StoreError::Unsupported) if the store has no index
    /// of principals, such as a sealed store. Another error if the store failed.
    pub async fn sessions_of(&self, principal: &str) -> Result<Vec<SessionInfo>, SessionError> {
        let mut sessions = self.calls().list_of(principal).await?;
        let order = |listed: &Listed| {
            (
                listed.record().map(|record| record.last_seen),
                *listed.id().as_bytes(),
            )
        };
        sessions.sort_unstable_by_key(|listed| std::cmp::Reverse(order(listed)));
        Ok(sessions.into_iter().map(SessionInfo).collect())
    }

    /// Ends every session of a principal, of every scope, and returns how many there were.
    ///
    /// The next request of each session finds that it has ended, and a request that is under way
    /// can no longer write to it. A sign-in that is under way at the same moment may take effect
    /// afterwards.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    /// # .block_on(async {
    /// # use session_core::{Directive, MemoryStore, Outcome, SessionManager};
    /// # let manager = SessionManager::new(MemoryStore::new());
    /// let session = manager.begin(&[]).await?;
    /// session.sign_in("user:42")?;
    /// let directive = session.finish(Outcome::Success).await?;
    /// let Directive::Hold(token) = directive else { unreachable!() };
    ///
    /// assert_eq!(manager.sign_out_everywhere("user:42").await?, 1);
    /// assert!(manager.begin(&[token.as_str()]).await?.is_new());
    /// # Ok::<_, session_core::SessionError>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// The same as [`sessions_of`](Self::sessions_of). If it fails half-way, some sessions have
    /// ended and others have not: call it again.
    pub async fn sign_out_everywhere(&self, principal: &str) -> Result<u64, SessionError> {
        let text = "signed out everywhere";
        Ok(self.calls().delete_all_of(principal, None, text).await?)
    }

    /// Ends all other sessions of the signed-in principal, and returns how many there were.
    ///
    /// It ends sessions of every scope. Use it for "sign out my other devices". If nobody is signed
    /// in, it does nothing.
    ///
    /// It takes effect at once, whatever happens to this request. So after a change of password,
    /// call it once the new password is stored. This session keeps its token. Call
    /// [`renew`](Session::renew) too, in case somebody holds a copy of that token.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    /// # .block_on(async {
    /// # use session_core::{MemoryStore, Outcome, SessionManager};
    /// # let manager = SessionManager::new(MemoryStore::new());
    /// # let (phone, laptop) = (manager.begin(&[]).await?, manager.begin(&[]).await?);
    /// for session in [&phone, &laptop] {
    ///     session.sign_in("user:42")?;
    ///     session.finish(Outcome::Success).await?;
    /// }
    /// assert_eq!(manager.sign_out_others(&phone).await?, 1);
    /// assert!(manager.sessions_of("user:42").await?[0].is(&phone));
    /// # Ok::<_, session_core::SessionError>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// The same as [`sign_out_everywhere`](Self::sign_out_everywhere).
    pub async fn sign_out_others(&self, session: &Session) -> Result<u64, SessionError> {
        match session.principal() {
            Some(principal) => {
                let (but, text) = (session.id(), "signed out by another session");
                Ok(self.calls().delete_all_of(&principal, but, text).await?)
            }
            None => Ok(0),
        }
    }

    /// Ends one session of a principal, by its id, and returns whether the principal had it.
    ///
    /// The store checks the principal in the same step, so an id that somebody guessed or saw does
    /// no harm. To end the session of the current request, use [`destroy`](Session::destroy), so
    /// that its client forgets the token.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    /// # .block_on(async {
    /// # use session_core::{MemoryStore, Outcome, SessionManager};
    /// # let manager = SessionManager::new(MemoryStore::new());
    /// let phone = manager.begin(&[]).await?;
    /// phone.sign_in("user:42")?;
    /// phone.finish(Outcome::Success).await?;
    ///
    /// let id = phone.id().unwrap();
    /// assert!(!manager.end("user:7", id).await?); // not theirs
    /// assert!(manager.end("user:42", id).await?);
    /// # Ok::<_, session_core::SessionError>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// The same as [`sessions_of`](Self::sessions_of).
    pub async fn end(&self, principal: &str, id: SessionId) -> Result<bool, SessionError> {
        let (reason, text) = (EndReason::Revoked, "ended by its owner");
        Ok(self
            .calls()
            .delete_one_of(principal, id, reason, text)
            .await?)
    }

    /// When and why the session with this id ended.
    ///
    /// The store knows this for a minute after the end. The result is `None` if the session has not
    /// ended, has expired, or ended longer ago.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    /// # .block_on(async {
    /// # use session_core::{EndReason, MemoryStore, Outcome, SessionManager};
    /// # let manager = SessionManager::new(MemoryStore::new());
    /// # let session = manager.begin(&[]).await?;
    /// session.sign_in("user:42")?;
    /// session.finish(Outcome::Success).await?;
    /// let id = session.id().unwrap();
    /// assert_eq!(manager.why_ended(id).await?, None);
    ///
    /// manager.sign_out_everywhere("user:42").await?; // from anywhere
    /// assert_eq!(manager.why_ended(id).await?.unwrap().reason, EndReason::Revoked);
    /// # Ok::<_, session_core::SessionError>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// [`SessionError::Store`] if the store failed.
    pub async fn why_ended(&self, id: SessionId) -> Result<Option<Ended>, SessionError> {
        let now = self.now();
        let found = self.calls().look(&RecordKey::Id(id), now).await?;
        let ended = found.and_then(|record| record.ended());
        Ok(ended.filter(|ended| ended.concerns(now)))
    }
}
