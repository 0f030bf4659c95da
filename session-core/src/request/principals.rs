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
    /// Its name, for [`SessionManager::end`]: [`encode`](SessionId::encode) it into a form, and
    /// `parse` what comes back. No secret, but none of the public's business either. Events
    /// have its [short hash](SessionId::short).
    pub fn id(&self) -> SessionId {
        self.0.id()
    }

    /// Whether its record can be read.
    ///
    /// If not, only the id is known. The times are then [`Timestamp::default()`] (1970), the label
    /// and the time of authentication are `None`, and the scope is empty. A page can say "a damaged
    /// session" and offer to end it. It lets nobody in, and it may have expired.
    pub fn is_readable(&self) -> bool {
        self.0.record().is_some()
    }

    /// Whether it is the session of this handle.
    pub fn is(&self, session: &Session) -> bool {
        session.id() == Some(self.id())
    }

    /// When it was created.
    pub fn created_at(&self) -> Timestamp {
        self.record()
            .map_or_else(Timestamp::default, Record::created_at)
    }

    /// When it was last active; behind the truth by at most
    /// [`Lifetime::touch_interval`](crate::Lifetime::touch_interval).
    pub fn last_seen(&self) -> Timestamp {
        self.record()
            .map_or_else(Timestamp::default, Record::last_seen)
    }

    /// When it ends unless there is more activity.
    pub fn expires_at(&self) -> Timestamp {
        self.record()
            .map_or_else(Timestamp::default, Record::expires_at)
    }

    /// When the principal signed in.
    pub fn authenticated_at(&self) -> Option<Timestamp> {
        self.record()?.authenticated
    }

    /// What the application calls it ([`Session::set_label`]), such as the name of a device.
    pub fn label(&self) -> Option<&str> {
        self.record()?.label()
    }

    /// The name under which its manager keeps its sessions apart.
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

/// All sessions of a principal. Principals are of the whole store: where several managers share it
/// under different scopes, their sessions are listed and ended together. Applications whose
/// principals are different people need prefixes, or stores, of their own.
impl SessionManager {
    /// The live sessions of a principal, the one that was last active at the front, and those whose
    /// records cannot be [read](SessionInfo::is_readable) at the end. For each of these there is an
    /// event of the kind [`Corrupt`](crate::EventKind::Corrupt).
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
    /// [`StoreError::Unsupported`](crate::store::StoreError::Unsupported) by a store without an
    /// index of principals, as a sealed one; or a store that failed.
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

    /// Ends every session of a principal, of every scope, and returns how many there were. Each is
    /// over with its next request, and a request under way can write to it no more. A sign-in that
    /// is under way at the same moment may come after it.
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
    /// As [`sessions_of`](Self::sessions_of). If it fails half-way, some sessions have ended: call
    /// it again.
    pub async fn sign_out_everywhere(&self, principal: &str) -> Result<u64, SessionError> {
        let text = "signed out everywhere";
        Ok(self.calls().delete_all_of(principal, None, text).await?)
    }

    /// Ends every other session of the principal who is signed in, of every scope, and returns how
    /// many there were. It is for "sign out my other devices". Where nobody is signed in it does
    /// nothing.
    ///
    /// It takes effect at once, whatever happens to this request: after a change of password, call
    /// it when the new one is stored. This session keeps its token. Call
    /// [`renew`](Session::renew) too, in case somebody holds a copy of that.
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
    /// As [`sign_out_everywhere`](Self::sign_out_everywhere).
    pub async fn sign_out_others(&self, session: &Session) -> Result<u64, SessionError> {
        match session.principal() {
            Some(principal) => {
                let (but, text) = (session.id(), "signed out by another session");
                Ok(self.calls().delete_all_of(&principal, but, text).await?)
            }
            None => Ok(0),
        }
    }

    /// Ends one session of a principal, by its id, and returns whether the principal had it. The
    /// store checks that in the same step, so an id that somebody guessed or saw does no harm. For
    /// the session at hand use [`destroy`](Session::destroy), so that its client forgets the token.
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
    /// As [`sessions_of`](Self::sessions_of).
    pub async fn end(&self, principal: &str, id: SessionId) -> Result<bool, SessionError> {
        let (reason, text) = (EndReason::Revoked, "ended by its owner");
        Ok(self
            .calls()
            .delete_one_of(principal, id, reason, text)
            .await?)
    }

    /// When and why the session of this id ended, for a minute after its end; `None` if it has not
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
    /// manager.sign_out_everywhere("user:42").await?; // from wherever
    /// assert_eq!(manager.why_ended(id).await?.unwrap().reason, EndReason::Revoked);
    /// # Ok::<_, session_core::SessionError>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// [`SessionError::Store`] if the store failed.
    pub async fn why_ended(&self, id: SessionId) -> Result<Option<Ended>, SessionError> {
        let now = self.now();
        let found = self.calls().load(&RecordKey::Id(id), now).await?;
        let ended = found.and_then(|record| record.ended());
        Ok(ended.filter(|ended| ended.concerns(now)))
    }
}
