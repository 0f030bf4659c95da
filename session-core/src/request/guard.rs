//! One request's hold on its session, from its tokens to the directive for its client.

use std::error::Error as StdError;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use crate::error::SessionError;
use crate::event::{LiveSpan, Spanned, commit_span, record_session};
use crate::session::Session;
use crate::state::{Phase, SaveKind};
use crate::token::Directive;

/// The session of one request, for the transport; made by
/// [`SessionManager::begin`](crate::SessionManager::begin).
///
/// The transport gives clones of the [`Session`] to handlers and keeps the guard. When the response
/// is ready, it calls [`finish`](Self::finish) and sends the client what the [`Directive`] says.
/// When the guard is dropped, the request is over, whatever happened. From then on no handle can
/// create, renew or destroy a session, because no response could carry that to the client. A change
/// that was neither finished nor saved is not written, unless a handle [saves](Session::save) it
/// later.
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
    /// Nothing is created, renewed or rotated. Changes to a session that the client knows are
    /// written. The directive is [`Nothing`](Directive::Nothing), unless an explicit
    /// [`save`](Session::save) has created a session before, or the session was destroyed.
    SuccessWithoutToken,
    /// It failed: what it changed is dropped. What a handler saved stays, and sessions that it
    /// destroyed are deleted.
    Failure,
}

/// Why a request could not be finished, and what its response must still send to the client.
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
    /// What failed. The changes of this request are not written then, with two exceptions. After
    /// [`StoreError::OutcomeUnknown`](crate::store::StoreError::OutcomeUnknown) they may have been
    /// written. And when a sign-in exchanged the session for that of another principal, only the
    /// deletion of the former session may have failed: the new session is stored by then.
    pub error: SessionError,
    /// What the response must send to the client with the error: the removal of its token if the
    /// session was destroyed before the failure, or the token of a session that was stored before.
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

    /// Ends the request, and returns what the response must send to the client.
    ///
    /// The changes of the request are written in one atomic step, or dropped. From then on no
    /// handle can create, renew or destroy a session.
    ///
    /// If the session ended while the request was under way, its changes are dropped, an event
    /// reports it, and the client is sent nothing. If the write fails, the request counts as
    /// failed: it ends as with [`Outcome::Failure`], and the error has the directive.
    ///
    /// A second call writes nothing and returns [`Directive::Nothing`]. A call that was cancelled
    /// does not count: the next call continues from what is known. If the cancelled call has sent a
    /// write and its outcome is unknown, the next call fails, and does not send it again.
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
    /// assert!(silent.is_new()); // no response can carry a token, so nothing is stored
    /// # Ok::<_, session_core::SessionError>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// [`FinishError`] with [`SessionError::Store`] if the store failed,
    /// [`SessionError::Contended`] if too many other requests wrote,
    /// [`SessionError::TooManySessions`], [`SessionError::Refused`] by a closure of
    /// [`Session::try_modify`], or the error of a closure of [`Session::update`] that ran again.
    /// Answer with an error.
    ///
    /// With [`Outcome::Failure`] it returns no error. If the store fails then, an event reports it.
    pub async fn finish(&self, outcome: Outcome) -> Result<Directive, FinishError> {
        let (span, is_new) = self.commit_span(outcome);
        let finished = self.finish_in_span(outcome);
        Spanned::new(span, finished, |span, finished| {
            if is_new {
                record_session(span, self.session.id());
            }
            span.record("result", finished.as_ref().map_or("failed", |_| "done"));
        })
        .await
    }

    /// The span, and whether its session has no id yet.
    fn commit_span(&self, outcome: Outcome) -> (LiveSpan, bool) {
        let span = commit_span(outcome.label());
        let id = span.as_ref().and_then(|_| self.session.id());
        if let Some(span) = &span {
            record_session(span, id);
        }
        (span, id.is_none())
    }

    async fn finish_in_span(&self, outcome: Outcome) -> Result<Directive, FinishError> {
        let manager = self.manager();
        let cell = &self.session.inner.cell;
        let failed = match outcome.commit() {
            Some(kind) => match manager.commit(cell, kind).await {
                Ok(directive) => return Ok(directive),
                Err(error) => Some(error),
            },
            None => None,
        };
        // If a session was destroyed before the failure, the client must still forget its token.
        let directive = manager.abort(cell).await;
        match failed {
            Some(error) => Err(FinishError { error, directive }),
            None => Ok(directive),
        }
    }

    /// Finishes the request without waiting, if nothing is to be written.
    ///
    /// It then returns what the response must send to the client. Otherwise it does nothing and
    /// returns `None`: call [`finish`](Self::finish) then. So a transport needs no future for a
    /// session that was only read.
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
    const fn label(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::SuccessWithoutToken => "success_without_token",
            Self::Failure => "failure",
        }
    }

    /// The commit that a request with this outcome ends with, if any.
    const fn commit(self) -> Option<SaveKind> {
        match self {
            Self::Success => Some(SaveKind::Commit),
            Self::SuccessWithoutToken => Some(SaveKind::CommitKeepingToken),
            Self::Failure => None,
        }
    }
}

/// Gives the transport the session's methods too.
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
        // Most sessions have no other handle by now, so nobody can use them any more.
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

/// For `?`. The directive is lost.
impl From<FinishError> for SessionError {
    fn from(failed: FinishError) -> Self {
        failed.error
    }
}
