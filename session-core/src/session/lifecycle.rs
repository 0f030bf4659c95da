//! What a handler does with the session itself: sign in, renew, destroy, save.

use std::sync::MutexGuard;
use std::time::Duration;

use crate::error::SessionError;
use crate::record::{Lifetime, Record, SessionId};
use crate::session::Session;
use crate::state::{Phase, SaveKind, State};
use crate::time::Timestamp;

impl Session {
    /// The session's id; `None` while nothing is stored.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    /// # .block_on(async {
    /// # use session_core::{MemoryStore, SessionManager};
    /// # let session = SessionManager::new(MemoryStore::new()).begin(&[]).await?;
    /// assert!(session.is_new() && session.id().is_none());
    /// session.insert("colour", "blue")?;
    /// session.save().await?;
    /// assert!(!session.is_new() && session.id().is_some());
    /// assert!(session.created_at().unwrap() < session.expires_at().unwrap());
    /// # Ok::<_, session_core::SessionError>(()) }).unwrap();
    /// ```
    pub fn id(&self) -> Option<SessionId> {
        self.state().id()
    }

    /// Whether nothing of this session is stored yet.
    ///
    /// [`id`](Self::id) has an example.
    pub fn is_new(&self) -> bool {
        self.state().stored().is_none()
    }

    /// When the session was created; `None` while nothing is stored.
    ///
    /// [`id`](Self::id) has an example.
    pub fn created_at(&self) -> Option<Timestamp> {
        self.state().record().map(Record::created_at)
    }

    /// When the session expires unless there is more activity; `None` while nothing is stored.
    ///
    /// [`id`](Self::id) has an example.
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.state().record().map(Record::expires_at)
    }

    /// The principal that is signed in, if any.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    /// # .block_on(async {
    /// # use session_core::{MemoryStore, SessionManager};
    /// # let session = SessionManager::new(MemoryStore::new()).begin(&[]).await?;
    /// assert_eq!(session.principal(), None);
    /// session.sign_in("user:42")?;
    /// assert_eq!(session.principal().as_deref(), Some("user:42"));
    /// # Ok::<_, session_core::SessionError>(()) }).unwrap();
    /// ```
    pub fn principal(&self) -> Option<String> {
        let state = self.state();
        let stored = state.record().and_then(|record| record.principal.clone());
        state
            .metadata
            .sign_in
            .clone()
            .or(stored)
            .map(|name| name.to_string())
    }

    /// When the principal last authenticated, for step-up checks.
    ///
    /// This is the stored time, so it is `None` until a sign-in is committed.
    ///
    /// [`authenticated_within`](Self::authenticated_within) has an example.
    pub fn authenticated_at(&self) -> Option<Timestamp> {
        self.state().record()?.authenticated
    }

    /// Signs in a principal who has just authenticated, such as `user:42`.
    ///
    /// The commit renews the token, so all former tokens are invalid at once. It also restarts both
    /// timeouts and notes the time of authentication. A guest's session keeps its values.
    ///
    /// If another principal is signed in, the commit deletes the old session and creates an empty
    /// one. The call drops everything that this request set before it, the label included. It keeps
    /// only the lifetime that this request set.
    ///
    /// If a request signs in several principals, the last call wins. It drops everything that was
    /// set between two calls, so that no principal gets what was meant for another.
    ///
    /// If the session was deleted or renewed since this request was sent, the commit creates a new
    /// one for the principal. The new session has the values that this request has inserted, and
    /// the lifetime and the label that it has set, even if they were stored already.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    /// # .block_on(async {
    /// # use session_core::{Directive, MemoryStore, Outcome, SessionManager};
    /// # let manager = SessionManager::new(MemoryStore::new());
    /// # let session = manager.begin(&[]).await?;
    /// # session.insert("cart", 3)?;
    /// # let directive = session.finish(Outcome::Success).await?;
    /// # let Directive::Hold(token) = directive else { unreachable!() };
    /// let session = manager.begin(&[token.as_str()]).await?; // a guest, three things in the cart
    /// session.sign_in("user:42")?;
    /// let Directive::Hold(new) = session.finish(Outcome::Success).await? else { unreachable!() };
    ///
    /// let session = manager.begin(&[new.as_str()]).await?;
    /// assert_eq!(session.principal().as_deref(), Some("user:42"));
    /// assert_eq!(session.get("cart")?, Some(3));
    /// assert!(manager.begin(&[token.as_str()]).await?.is_new()); // the guest's token is dead
    /// # Ok::<_, session_core::SessionError>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// [`SessionError::Limit`] if the principal's name is too long, [`SessionError::Detached`] if
    /// the response has left. If there is a [maximum of
    /// sessions](crate::SessionManagerBuilder::max_sessions), the commit may fail.
    pub fn sign_in(&self, principal: &str) -> Result<(), SessionError> {
        let settings = self.settings();
        settings.limits.check_name(principal)?;
        let mut state = self.open_state()?;
        state.sign_in(principal, settings)?;
        state.end_rivals();
        Ok(())
    }

    /// Gives the session a new token at the commit. All former tokens are then invalid at once.
    ///
    /// Id, data and absolute expiry stay. Use it after a change of privilege other than a sign-in.
    /// A session that is not stored has no token to renew.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    /// # .block_on(async {
    /// # use session_core::{Directive, MemoryStore, Outcome, SessionManager};
    /// # let manager = SessionManager::new(MemoryStore::new());
    /// # let session = manager.begin(&[]).await?;
    /// # session.insert("cart", 3)?;
    /// # let directive = session.finish(Outcome::Success).await?;
    /// # let Directive::Hold(token) = directive else { unreachable!() };
    /// let session = manager.begin(&[token.as_str()]).await?;
    /// session.renew()?;
    /// let Directive::Hold(new) = session.finish(Outcome::Success).await? else { unreachable!() };
    /// assert_eq!(manager.begin(&[new.as_str()]).await?.id(), session.id());
    /// assert!(manager.begin(&[token.as_str()]).await?.is_new()); // the old token is dead
    /// # Ok::<_, session_core::SessionError>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// [`SessionError::Detached`] if the response has left.
    #[doc(alias = "cycle_id")]
    #[doc(alias = "regenerate")]
    pub fn renew(&self) -> Result<(), SessionError> {
        let mut state = self.open_state()?;
        state.metadata.renew = state.stored().is_some();
        Ok(())
    }

    /// Deletes the session from the store, and tells the client to forget its token.
    ///
    /// This is carried out at the end of the request, even if the response is an error. If the
    /// request is cancelled, the session is not deleted, unless [`save`](Self::save) has done so.
    /// An insert after a `destroy` starts a new session.
    ///
    /// The client of a sealed store holds the only copy of its session. So the response tells it to
    /// forget even a token that opens nothing now, because that token could open again under former
    /// keys or settings.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    /// # .block_on(async {
    /// # use session_core::{Directive, MemoryStore, Outcome, SessionManager};
    /// # let manager = SessionManager::new(MemoryStore::new());
    /// # let session = manager.begin(&[]).await?;
    /// # session.insert("cart", 3)?;
    /// # let directive = session.finish(Outcome::Success).await?;
    /// # let Directive::Hold(token) = directive else { unreachable!() };
    /// let session = manager.begin(&[token.as_str()]).await?;
    /// session.destroy()?;
    /// assert_eq!(session.finish(Outcome::Success).await?, Directive::Forget);
    /// assert!(manager.begin(&[token.as_str()]).await?.is_new());
    /// # Ok::<_, session_core::SessionError>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// [`SessionError::Detached`] if the response has left.
    #[doc(alias = "sign_out")]
    #[doc(alias = "logout")]
    #[doc(alias = "flush")]
    #[doc(alias = "purge")]
    #[doc(alias = "invalidate")]
    pub fn destroy(&self) -> Result<(), SessionError> {
        self.open_state()?.destroy();
        Ok(())
    }

    /// Changes the timeouts of this session, from the next save on.
    ///
    /// In a request that [signs in](Self::sign_in), the timeouts may be longer than before,
    /// whichever of the two calls comes first. Without a sign-in, the absolute expiry can only
    /// become earlier.
    ///
    /// If the request signs in another principal, the new session has this lifetime. After a
    /// [`destroy`](Self::destroy), call it again: what was set before belongs to the deleted
    /// session.
    ///
    /// [`Lifetime::new`] checks its timeouts. Make a lifetime once, at start-up or in a static, not
    /// in a handler:
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    /// # .block_on(async {
    /// # use session_core::{MemoryStore, Outcome, SessionManager};
    /// use session_core::Lifetime;
    /// use std::sync::LazyLock;
    /// use std::time::Duration;
    ///
    /// const DAY: Duration = Duration::from_secs(24 * 3600);
    /// static WEEK: LazyLock<Lifetime> = LazyLock::new(|| {
    ///     let week = Lifetime::new(7 * DAY, 90 * DAY).expect("7 days are less than 90");
    ///     week.persistent()
    /// });
    ///
    /// # let session = SessionManager::new(MemoryStore::new()).begin(&[]).await?;
    /// session.sign_in("user:42")?;
    /// session.set_lifetime(*WEEK); // "remember me"
    /// session.finish(Outcome::Success).await?;
    /// assert_eq!(session.expires_at().unwrap(), session.created_at().unwrap() + 7 * DAY);
    /// # Ok::<_, session_core::SessionError>(()) }).unwrap();
    /// ```
    ///
    /// A shorter lifetime needs no sign-in:
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    /// # .block_on(async {
    /// # use session_core::Lifetime;
    /// # use std::time::Duration;
    /// # use session_core::{MemoryStore, SessionManager};
    /// # let session = SessionManager::new(MemoryStore::new()).begin(&[]).await?;
    /// session.insert("colour", "blue")?;
    /// session.set_lifetime(Lifetime::aal3()); // 15 minutes idle
    /// session.save().await?;
    /// let quarter = Duration::from_secs(15 * 60);
    /// assert_eq!(session.expires_at().unwrap(), session.created_at().unwrap() + quarter);
    /// # Ok::<_, session_core::SessionError>(()) }).unwrap();
    /// ```
    #[doc(alias = "set_expiry")]
    pub fn set_lifetime(&self, lifetime: Lifetime) {
        self.state().request_lifetime(lifetime);
    }

    /// Sets a label for the session's owner to see, such as the name of a device.
    ///
    /// Call it after [`sign_in`](Self::sign_in), because a sign-in that switches principals drops
    /// the label. A label alone stores no session.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    /// # .block_on(async {
    /// # use session_core::{MemoryStore, Outcome, SessionManager};
    /// # let manager = SessionManager::new(MemoryStore::new());
    /// # let session = manager.begin(&[]).await?;
    /// session.sign_in("user:42")?;
    /// session.set_label("Anna's phone")?;
    /// session.finish(Outcome::Success).await?;
    ///
    /// let devices = manager.sessions_of("user:42").await?;
    /// assert_eq!(devices[0].label(), Some("Anna's phone"));
    /// # Ok::<_, session_core::SessionError>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// [`SessionError::Limit`] if the label is too long.
    pub fn set_label(&self, label: &str) -> Result<(), SessionError> {
        let settings = self.settings();
        settings.limits.check_name(label)?;
        Ok(self.state().request_label(label, settings)?)
    }

    /// Writes all unsaved changes now, whatever happens to the request later.
    ///
    /// Renewals and sign-ins still wait for the commit.
    ///
    /// After the response has left, a save also keeps the session alive, and finds out whether it
    /// has ended. It writes the activity once a [touch](crate::Lifetime::touch_interval) is due,
    /// together with any other changes. If there is nothing to write, it loads the session, so that
    /// `get` returns what others have stored since. So save whenever the client has sent something,
    /// but not on a timer: a session that nobody uses should expire. (Before the response has left,
    /// a save with nothing to write does not call the store, because the commit writes the
    /// activity.)
    ///
    /// The outcome of a save is unknown if the store returns
    /// [`StoreError::OutcomeUnknown`](crate::store::StoreError::OutcomeUnknown), or if the future
    /// is dropped while a write is under way, as by a timeout around it. Then nothing is sent
    /// again: every further save of this session and the commit fail with that error, so that no
    /// change is applied twice or lost silently. A save that had only activity to write is an
    /// exception: it may be tried again.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    /// # .block_on(async {
    /// # use session_core::{MemoryStore, Outcome, SessionManager};
    /// # let manager = SessionManager::new(MemoryStore::new());
    /// # let session = manager.begin(&[]).await?;
    /// session.insert("step", 1)?;
    /// session.save().await?;
    /// session.finish(Outcome::Failure).await?; // the request failed later on
    /// assert_eq!(session.get("step")?, Some(1));
    /// # Ok::<_, session_core::SessionError>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// - [`SessionError::Gone`] if the session has expired, was renewed, or was deleted or revoked
    ///   elsewhere.
    /// - [`SessionError::Contended`] if too many other requests wrote.
    /// - [`SessionError::Detached`] if the response has left and the client knows no session yet.
    /// - [`SessionError::Store`] if the store failed.
    /// - The errors of [`update`](Self::update).
    pub async fn save(&self) -> Result<(), SessionError> {
        self.inner
            .manager
            .save(&self.inner.cell, SaveKind::Save)
            .await
    }

    /// Whether a commit would have anything to do now.
    ///
    /// A transport calls [`SessionGuard::finish_now`](crate::SessionGuard::finish_now) instead,
    /// which checks this and ends the request in one step.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    /// # .block_on(async {
    /// # use session_core::{MemoryStore, Outcome, SessionManager};
    /// # let manager = SessionManager::new(MemoryStore::new());
    /// # let session = manager.begin(&[]).await?;
    /// assert!(!session.needs_commit());
    /// session.insert("colour", "blue")?;
    /// assert!(session.needs_commit());
    /// session.finish(Outcome::Success).await?;
    /// assert!(!session.needs_commit());
    /// # Ok::<_, session_core::SessionError>(()) }).unwrap();
    /// ```
    pub fn needs_commit(&self) -> bool {
        let now = self.inner.manager.now();
        self.state().needs_commit(now)
    }

    /// How long ago the principal authenticated, if that was at most `limit` ago.
    ///
    /// This uses the stored time, so it is `None` until a sign-in is committed.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    /// # .block_on(async {
    /// # use session_core::{ManualClock, MemoryStore, Outcome, SessionManager, Timestamp};
    /// # use std::time::Duration;
    /// # let clock = ManualClock::new(Timestamp::from_millis(0));
    /// let builder = SessionManager::builder(MemoryStore::new());
    /// let manager = builder.clock(clock.clone()).build().unwrap();
    /// let session = manager.begin(&[]).await?;
    /// session.sign_in("user:42")?;
    /// session.finish(Outcome::Success).await?;
    /// assert_eq!(session.authenticated_at(), Some(clock.now()));
    ///
    /// clock.advance(Duration::from_secs(300));
    /// let ago = session.authenticated_within(Duration::from_secs(600));
    /// assert_eq!(ago, Some(Duration::from_secs(300)));
    /// let ago = session.authenticated_within(Duration::from_secs(60));
    /// assert_eq!(ago, None); // ask for the password again
    /// # Ok::<_, session_core::SessionError>(()) }).unwrap();
    /// ```
    pub fn authenticated_within(&self, limit: Duration) -> Option<Duration> {
        let ago = self
            .inner
            .manager
            .now()
            .duration_since(self.authenticated_at()?);
        (ago <= limit).then_some(ago)
    }

    pub(crate) fn open_state(&self) -> Result<MutexGuard<'_, State>, SessionError> {
        let state = self.state();
        match state.phase {
            Phase::Open => Ok(state),
            Phase::Closed | Phase::Abandoned => Err(SessionError::Detached),
        }
    }
}
