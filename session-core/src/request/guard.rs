//! One request's hold on its session, from its tokens to what its client is told.

use std::error::Error as StdError;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use crate::error::SessionError;
use crate::session::Session;
use crate::state::{Phase, SaveKind};
use crate::token::Directive;

/// The session of one request, for the transport that brings the request. It is made by
/// [`SessionManager::begin`](crate::SessionManager::begin).
///
/// The transport gives clones of the [`Session`] to handlers and keeps the guard. When the response
/// is ready, it calls [`finish`](Self::finish) and sends the client what the [`Directive`] says.
/// When the guard is dropped, the request is over, whatever happened: from then on no handle of
/// the session can create, renew or destroy one, since no client could be told. What was changed
/// and neither finished nor saved is not written.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
/// # .block_on(async {
/// # use session_core::{Directive, MemoryStore, Outcome, SessionError, SessionManager};
/// let manager = SessionManager::new(MemoryStore::new());
/// let guard = manager.begin(&[]).await?;
/// let handle = guard.session().clone(); // what a handler is given
/// handle.insert("colour", "blue")?;
/// let Directive::Hold(token) = guard.finish(Outcome::Success).await? else { unreachable!() };
///
/// let guard = manager.begin(&[token.as_str()]).await?;
/// let handle = guard.session().clone();
/// handle.insert("colour", "red")?;
/// drop(guard); // as in a task that is cancelled
/// assert!(matches!(handle.renew(), Err(SessionError::Detached)));
///
/// let guard = manager.begin(&[token.as_str()]).await?;
/// assert_eq!(guard.get::<String>("colour")?.as_deref(), Some("blue"));
/// # Ok::<_, session_core::SessionError>(()) }).unwrap();
/// ```
#[must_use = "a guard that is dropped detaches its session, and nothing is written"]
pub struct SessionGuard {
    session: Session,
}

/// How a request went, which decides what is written.
///
/// [`SessionGuard::finish`] has examples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// It succeeded: what it changed is written.
    Success,
    /// It succeeded, but its response cannot carry a new token, such as `101` or `304` over HTTP.
    /// Nothing is created, renewed or rotated. Data of a session that the client knows is written.
    /// The client is told only of what an explicit [`save`](Session::save) created before, or that
    /// its session was destroyed.
    SuccessWithoutToken,
    /// It failed: what it changed is dropped. What a handler saved stays, and sessions that it
    /// destroyed are deleted.
    Failure,
}

/// Why a request could not be finished, and what its client must be told all the same.
///
/// The error is the [`source`](StdError::source) and is not part of the text.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
/// # .block_on(async {
/// # use session_core::{
/// #     Directive, MemoryStore, OnMaxSessions, Outcome, SessionError, SessionManager,
/// # };
/// # let builder = SessionManager::builder(MemoryStore::new());
/// let manager = builder.max_sessions(1, OnMaxSessions::Refuse).build().unwrap();
/// for allowed in [true, false] {
///     let guard = manager.begin(&[]).await?;
///     guard.sign_in("user:42")?;
///     match guard.finish(Outcome::Success).await {
///         Ok(directive) => assert!(allowed && matches!(directive, Directive::Hold(_))),
///         Err(failed) => {
///             assert!(!allowed && failed.directive == Directive::Nothing);
///             assert!(matches!(failed.error, SessionError::TooManySessions { .. }));
///         }
///     }
/// }
/// # Ok::<_, session_core::SessionError>(()) }).unwrap();
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FinishError {
    /// What failed. What this request changed is then not written, except where the error is
    /// [`StoreError::OutcomeUnknown`](crate::store::StoreError::OutcomeUnknown), which means that
    /// it may have been, and where only the deletion of a session failed that was exchanged for
    /// that of another principal: the new one is stored by then.
    pub error: SessionError,
    /// What the client must be told with the error: a session that was destroyed before the
    /// failure is to be forgotten, and one that was stored before it is to be held.
    pub directive: Directive,
}

impl SessionGuard {
    pub(super) fn new(session: Session) -> Self {
        Self { session }
    }

    /// The session. Clones of it are for handlers, and may outlive the guard.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    /// # .block_on(async {
    /// # use session_core::{MemoryStore, Outcome, SessionManager};
    /// # let manager = SessionManager::new(MemoryStore::new());
    /// let guard = manager.begin(&[]).await?;
    /// guard.insert("count", 1)?;
    /// guard.finish(Outcome::Success).await?;
    /// let socket = guard.session().clone(); // a connection that stays open
    /// drop(guard);
    /// socket.insert("count", 2)?;
    /// socket.save().await?; // the client knows this session
    /// # Ok::<_, session_core::SessionError>(()) }).unwrap();
    /// ```
    pub const fn session(&self) -> &Session {
        &self.session
    }

    /// Ends the request: writes what it changed in one atomic step, or drops it, and says what the
    /// client must be told. From then on the session cannot create, renew or destroy.
    ///
    /// If the session ended while the request was under way, its changes are dropped, an event
    /// says so, and there is nothing to tell. If writing fails, the request counts as failed: what
    /// [`Outcome::Failure`] does is done, and the error has the directive.
    ///
    /// A second call writes nothing and returns [`Directive::Nothing`]. A call that was cancelled
    /// does not count: the next one goes on from what is known, and after a write whose outcome is
    /// unknown it fails and sends nothing again.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    /// # .block_on(async {
    /// # use session_core::{Directive, MemoryStore, Outcome, SessionManager};
    /// let manager = SessionManager::new(MemoryStore::new());
    /// let new = manager.begin(&[]).await?;
    /// new.insert("cart", 3)?;
    /// let Directive::Hold(token) = new.finish(Outcome::Success).await? else { unreachable!() };
    /// assert_eq!(new.finish(Outcome::Success).await?, Directive::Nothing); // it is over
    ///
    /// let failed = manager.begin(&[token.as_str()]).await?;
    /// failed.insert("cart", 4)?;
    /// assert_eq!(failed.finish(Outcome::Failure).await?, Directive::Nothing);
    /// assert_eq!(failed.get("cart")?, Some(3)); // as it is stored
    ///
    /// let silent = manager.begin(&[]).await?;
    /// silent.insert("cart", 5)?;
    /// assert_eq!(silent.finish(Outcome::SuccessWithoutToken).await?, Directive::Nothing);
    /// assert!(silent.is_new()); // nobody could be told of a token, so nothing is stored
    /// # Ok::<_, session_core::SessionError>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// [`FinishError`] with [`SessionError::Store`] if the store failed,
    /// [`SessionError::Contended`] if too many others wrote, [`SessionError::TooManySessions`], or
    /// what a closure of [`Session::update`] ran into. Answer with an error. A failed request
    /// cannot fail again: what the store refuses then is an event.
    pub async fn finish(&self, outcome: Outcome) -> Result<Directive, FinishError> {
        let manager = self.manager();
        let cell = &self.session.inner.cell;
        let failed = match outcome.commit() {
            Some(kind) => match manager.commit(cell, kind).await {
                Ok(directive) => return Ok(directive),
                Err(error) => Some(error),
            },
            None => None,
        };
        // A session that was destroyed before the failure is to be forgotten all the same.
        let directive = manager.abort(cell).await;
        match failed {
            Some(error) => Err(FinishError { error, directive }),
            None => Ok(directive),
        }
    }

    /// [`finish`](Self::finish) without waiting, where nothing is to be written: what the client
    /// must be told. `None` means that there is something; then nothing is settled, and `finish`
    /// is to be called. So a transport can spare itself a future for a session that was only read.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    /// # .block_on(async {
    /// # use session_core::{Directive, MemoryStore, Outcome, SessionError, SessionManager};
    /// # let manager = SessionManager::new(MemoryStore::new());
    /// let read = manager.begin(&[]).await?;
    /// assert_eq!(read.finish_now(Outcome::Success), Some(Directive::Nothing));
    /// assert!(matches!(read.renew(), Err(SessionError::Detached))); // it is over
    ///
    /// let changed = manager.begin(&[]).await?;
    /// changed.insert("colour", "blue")?;
    /// assert_eq!(changed.finish_now(Outcome::Success), None);
    /// assert!(matches!(changed.finish(Outcome::Success).await?, Directive::Hold(_)));
    /// # Ok::<_, session_core::SessionError>(()) }).unwrap();
    /// ```
    pub fn finish_now(&self, outcome: Outcome) -> Option<Directive> {
        let phase = match outcome.commit() {
            Some(_) => Phase::Closed,
            None => Phase::Abandoned,
        };
        let now = self.manager().now();
        let mut state = self.session.state();
        if state.phase == Phase::Open {
            if state.needs_commit(now) {
                return None;
            }
            state.phase = phase;
        }
        Some(Directive::Nothing)
    }
}

impl Outcome {
    /// The commit that a request with this outcome ends with, if any.
    const fn commit(self) -> Option<SaveKind> {
        match self {
            Self::Success => Some(SaveKind::Commit),
            Self::SuccessWithoutToken => Some(SaveKind::CommitKeepingToken),
            Self::Failure => None,
        }
    }
}

/// The session's methods, also for the transport itself.
impl Deref for SessionGuard {
    type Target = Session;

    fn deref(&self) -> &Session {
        &self.session
    }
}

impl Drop for SessionGuard {
    /// Takes note that the request is over. What it changed and did not save is kept for a handle
    /// that outlives it, which can [`save`](Session::save) it.
    fn drop(&mut self) {
        // Most sessions have no handle beside the guard by now, so nobody can use them any more.
        if Arc::strong_count(&self.session.inner) == 1 {
            return;
        }
        let mut state = self.session.state();
        if state.phase == Phase::Open {
            state.phase = Phase::Closed;
        }
    }
}

impl fmt::Debug for SessionGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SessionGuard").field(&self.session).finish()
    }
}

impl fmt::Display for FinishError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "the request could not be finished, as its session could not be written; answer with \
             an error, and send the client what the directive says",
        )
    }
}

impl StdError for FinishError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&self.error)
    }
}

/// For `?`. What the client must be told is lost.
impl From<FinishError> for SessionError {
    fn from(failed: FinishError) -> Self {
        failed.error
    }
}
