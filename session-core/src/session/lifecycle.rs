//! What a handler does with the session itself: sign in, renew, destroy, save.

use std::sync::MutexGuard;
use std::time::Duration;

use crate::error::SessionError;
use crate::record::{Lifetime, Record, SessionId};
use crate::session::Session;
use crate::state::{Phase, SaveKind, State};
use crate::time::Timestamp;

impl Session {
    /// The session's name; `None` while nothing is stored.
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

    /// Whether nothing is stored of this session yet.
    ///
    /// [`id`](Self::id) has an example.
    pub fn is_new(&self) -> bool {
        self.state().stored().is_none()
    }

    /// When it was created; `None` while nothing is stored.
    ///
    /// [`id`](Self::id) has an example.
    pub fn created_at(&self) -> Option<Timestamp> {
        self.state().record().map(Record::created_at)
    }

    /// When it ends unless there is more activity; `None` while nothing is stored.
    ///
    /// [`id`](Self::id) has an example.
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.state().record().map(Record::expires_at)
    }

    /// Who is signed in.
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

    /// When the principal last authenticated, as stored, so `None` until a sign-in is committed;
    /// for step-up checks.
    ///
    /// [`authenticated_within`](Self::authenticated_within) has an example.
    pub fn authenticated_at(&self) -> Option<Timestamp> {
        self.state().record()?.authenticated
    }

    /// Binds the session to a principal who has just authenticated, such as `user:42`.
    ///
    /// The commit renews the token (all former ones are dead at once), restarts both timeouts and
    /// notes the time of authentication. A guest's session keeps what it holds.
    ///
    /// If another principal is signed in, the commit deletes the old session and creates an empty
    /// one. What this request has set before the call is dropped, a label too. Only the lifetime
    /// that it asked for goes along.
    ///
    /// If a request signs in several principals, the last call wins. What was set between two
    /// calls is dropped, so that no principal gets what was meant for another.
    ///
    /// If the session was deleted or renewed since this request was sent, the commit creates a new
    /// one for the principal. It has what this request has inserted, and the lifetime and the label
    /// that this request has set, even where all that was stored already.
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
    /// [`SessionError::Limit`] if the name is too long, [`SessionError::Detached`] if the response
    /// has left. Under a [maximum of sessions](crate::SessionManagerBuilder::max_sessions) the
    /// commit may fail.
    pub fn sign_in(&self, principal: &str) -> Result<(), SessionError> {
        let settings = self.settings();
        settings.limits.check_name(principal)?;
        let mut state = self.open_state()?;
        state.sign_in(principal, settings)?;
        state.end_rivals();
        Ok(())
    }

    /// Gives the session a new token at the commit; all former ones are dead at once. Id, data and
    /// absolute expiry stay. It is for changes of privilege other than signing in. A session that
    /// is not stored has no token to renew.
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

    /// Ends the session: it is deleted from the store, and the response tells the client to forget
    /// its token. This is carried out even if the response turns out to be an error. After a
    /// cancelled request nobody is left to do it, unless [`save`](Self::save) did. An insert after
    /// it starts a new session.
    ///
    /// The client of a sealed store holds the only copy of its session. So the response tells a
    /// client to forget a token that does not open now, too: it could open again under former keys
    /// or settings.
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

    /// Gives this session other timeouts from the next save on.
    ///
    /// In a request that [signs in](Self::sign_in) they may be longer than before, whichever of the
    /// two calls comes first. Without a sign-in the absolute expiry can only come nearer.
    ///
    /// If the request signs in another principal, the new session has this lifetime. After a
    /// [`destroy`](Self::destroy) call it again: what was set before belongs to the session that
    /// ends.
    ///
    /// [`Lifetime::new`] checks its timeouts. Make a lifetime once, at start-up or in a static, and
    /// not in a handler:
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
    /// A shorter one needs no sign-in:
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

    /// Names the session for its owner, such as the name of a device. Call it after
    /// [`sign_in`](Self::sign_in): one that switches principals drops it. A label alone stores
    /// no session.
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
    /// [`SessionError::Limit`] if the name is too long.
    pub fn set_label(&self, label: &str) -> Result<(), SessionError> {
        let settings = self.settings();
        settings.limits.check_name(label)?;
        Ok(self.state().request_label(label, settings)?)
    }

    /// Writes what is unsaved now, whatever happens to the request. Renewals and sign-ins
    /// wait for the commit.
    ///
    /// After the response has left, a save is also how a handle keeps its session alive, and learns
    /// of its end. It writes the activity once a [touch](crate::Lifetime::touch_interval) is due,
    /// with other changes where there are any. Where there is nothing to write it loads the
    /// session, so that `get` returns what others have stored since. So save whenever the client
    /// has sent something, and not by a timer: a session that nobody uses should end. (Before the
    /// response has left, a save with nothing to write asks nobody; the commit writes the
    /// activity.)
    ///
    /// If its outcome is unknown
    /// ([`StoreError::OutcomeUnknown`](crate::store::StoreError::OutcomeUnknown), or the future was
    /// dropped while a write was under way, as a timeout around it does), nothing is sent
    /// again: every further save of this session and the commit fail with that error, so that
    /// no change is applied twice or lost in silence. A save that had only activity to write is an
    /// exception, and may be tried again.
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
    /// [`SessionError::Gone`] if the session has ended: it expired, was renewed, or was deleted or
    /// revoked elsewhere. [`SessionError::Contended`] if too many others wrote,
    /// [`SessionError::Detached`] if the response has left and there is no session yet that the
    /// client knows, [`SessionError::Store`] if the store failed, or as for
    /// [`update`](Self::update).
    pub async fn save(&self) -> Result<(), SessionError> {
        self.inner
            .manager
            .save(&self.inner.cell, SaveKind::Save)
            .await
    }

    /// Whether a commit would have anything to do now. A transport calls
    /// [`SessionGuard::finish_now`](crate::SessionGuard::finish_now) instead, which asks and ends
    /// the request in one step.
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

    /// How long ago the principal authenticated, if at most `limit`; as stored, so `None` until a
    /// sign-in is committed.
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
