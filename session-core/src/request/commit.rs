//! The end of a request: what it changed is written or dropped, and what the client is told.

use crate::error::SessionError;
use crate::manager::SessionManager;
use crate::session::Session;
use crate::state::{Phase, SaveKind, State};
use crate::time::Timestamp;
use crate::token::Directive;

impl SessionManager {
    /// Writes what the request changed, in one atomic step, and says what the client must be
    /// told. From then on the session cannot create, renew or destroy.
    ///
    /// If the session ended while the request was under way, its changes are dropped, an
    /// event says so, and there is nothing to tell.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    /// # .block_on(async {
    /// # use session_core::{Directive, MemoryStore, SessionManager};
    /// # let manager = SessionManager::new(MemoryStore::new());
    /// let session = manager.open(&[]).await?;
    /// session.insert("colour", "blue")?;
    /// let Directive::Hold(token) = manager.commit(&session).await? else { unreachable!() };
    ///
    /// let session = manager.open(&[token.as_str()]).await?; // only read
    /// assert_eq!(session.get::<String>("colour")?.as_deref(), Some("blue"));
    /// assert_eq!(manager.commit(&session).await?, Directive::Nothing);
    /// # Ok::<_, session_core::SessionError>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// [`SessionError::Store`] if the store failed, [`SessionError::Contended`] if too many others
    /// wrote, [`SessionError::TooManySessions`], or what a closure of [`Session::update`] ran into.
    /// Nothing was written then, unless it is
    /// [`StoreError::OutcomeUnknown`](crate::store::StoreError::OutcomeUnknown). Answer with an
    /// error, and with what [`abort`](Self::abort) says.
    pub async fn commit(&self, session: &Session) -> Result<Directive, SessionError> {
        self.conclude(session, SaveKind::Commit).await
    }

    /// [`commit`](Self::commit) for a response that must not carry a new token, such as `101` or
    /// `304` over HTTP: nothing is created or renewed; data of a session that the client knows
    /// is written. Only of what an explicit [`save`](Session::save) has created before is the
    /// client told.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    /// # .block_on(async {
    /// # use session_core::{Directive, MemoryStore, SessionManager};
    /// # let manager = SessionManager::new(MemoryStore::new());
    /// # let session = manager.open(&[]).await?;
    /// # session.insert("cart", 3)?;
    /// # let Directive::Hold(token) = manager.commit(&session).await? else { unreachable!() };
    /// let new = manager.open(&[]).await?;
    /// new.insert("colour", "blue")?;
    /// assert_eq!(manager.commit_keeping_token(&new).await?, Directive::Nothing);
    /// assert!(new.is_new()); // nobody could be told of a token, so nothing is stored
    ///
    /// let known = manager.open(&[token.as_str()]).await?;
    /// known.insert("colour", "blue")?;
    /// manager.commit_keeping_token(&known).await?;
    /// assert!(manager.open(&[token.as_str()]).await?.contains_key("colour"));
    /// # Ok::<_, session_core::SessionError>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// As `commit`.
    pub async fn commit_keeping_token(&self, session: &Session) -> Result<Directive, SessionError> {
        self.conclude(session, SaveKind::CommitKeepingToken).await
    }

    async fn conclude(&self, session: &Session, kind: SaveKind) -> Result<Directive, SessionError> {
        let cell = &session.inner.cell;
        // Held to the end, so that no clone saves between what is written and what is sent.
        let _turn = self.turn_to_write(cell).await?;
        match self.save_in_turn(cell, kind).await {
            Ok(()) => self.confirm(cell).await?,
            Err(SessionError::Gone) => {}
            Err(error) => return Err(error),
        }
        loop {
            // A clone may have destroyed the session while it was written.
            self.delete_pending(cell, kind).await?;
            let now = self.now();
            let mut state = cell.state();
            if state.next_deletion(kind).is_none() {
                return Ok(self.close_with(&mut state, Phase::Closed, now));
            }
        }
    }

    /// The request ends in this phase; what the client is told.
    fn close_with(&self, state: &mut State, phase: Phase, now: Timestamp) -> Directive {
        state.phase = phase;
        state.deletions.clear();
        state.announcement(now, &self.settings().rotation, |stored| self.sign(stored))
    }

    /// Drops what a failed request changed, but for what it saved and for the sessions that it
    /// destroyed, which are deleted. Says what the client must be told of those.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    /// # .block_on(async {
    /// # use session_core::{Directive, MemoryStore, SessionManager};
    /// # let manager = SessionManager::new(MemoryStore::new());
    /// # let session = manager.open(&[]).await?;
    /// # session.insert("cart", 3)?;
    /// # let Directive::Hold(token) = manager.commit(&session).await? else { unreachable!() };
    /// let session = manager.open(&[token.as_str()]).await?;
    /// session.insert("cart", 4)?;
    /// assert_eq!(manager.abort(&session).await, Directive::Nothing);
    /// assert_eq!(session.get("cart")?, Some(3)); // as it is stored
    /// # Ok::<_, session_core::SessionError>(()) }).unwrap();
    /// ```
    pub async fn abort(&self, session: &Session) -> Directive {
        let cell = &session.inner.cell;
        // Without the turn too, if a save that nobody polls has it.
        let _turn = self.turn(cell, self.settings().timeouts.call).await;
        cell.state().begin_save();
        let confirmed = self.confirm(cell).await.is_ok();
        loop {
            // A failure leaves an event; the response is an error already.
            let failed = self.delete_pending(cell, SaveKind::Save).await.is_err();
            let now = self.now();
            let mut state = cell.state();
            if !failed && state.next_deletion(SaveKind::Save).is_some() {
                continue;
            }
            if !confirmed {
                state.withdraw_token();
            }
            state.discard();
            return self.close_with(&mut state, Phase::Abandoned, now);
        }
    }

    /// Whether there is nothing to commit. If so, that is settled: from here on the session cannot
    /// create, renew or destroy, as after a [`commit`](Self::commit). So a layer can spare itself
    /// the commit of a session that was only read.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    /// # .block_on(async {
    /// # use session_core::{MemoryStore, SessionManager};
    /// # let manager = SessionManager::new(MemoryStore::new());
    /// let session = manager.open(&[]).await?;
    /// assert!(manager.close(&session)); // nothing to commit
    /// assert!(matches!(session.renew(), Err(session_core::SessionError::Detached)));
    ///
    /// let session = manager.open(&[]).await?;
    /// session.insert("colour", "blue")?;
    /// assert!(!manager.close(&session)); // commit it
    /// # Ok::<_, session_core::SessionError>(()) }).unwrap();
    /// ```
    pub fn close(&self, session: &Session) -> bool {
        let now = self.now();
        let mut state = session.state();
        let has_nothing = !state.needs_commit(now);
        if has_nothing {
            state.phase = Phase::Closed;
        }
        has_nothing
    }

    /// Takes note that the request is over, whatever came of it: from here on the session cannot
    /// create, renew or destroy, since no client could be told. What it has changed and not saved
    /// is kept for a [`save`](Session::save).
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    /// # .block_on(async {
    /// # use session_core::{Directive, MemoryStore, SessionManager};
    /// # let manager = SessionManager::new(MemoryStore::new());
    /// # let session = manager.open(&[]).await?;
    /// # session.insert("cart", 3)?;
    /// # let Directive::Hold(token) = manager.commit(&session).await? else { unreachable!() };
    /// let session = manager.open(&[token.as_str()]).await?;
    /// session.insert("cart", 4)?;
    /// manager.detach(&session);
    /// session.save().await?; // the client knows this session
    /// assert_eq!(manager.open(&[token.as_str()]).await?.get("cart")?, Some(4));
    /// assert!(matches!(session.renew(), Err(session_core::SessionError::Detached)));
    /// # Ok::<_, session_core::SessionError>(()) }).unwrap();
    /// ```
    pub fn detach(&self, session: &Session) {
        let mut state = session.state();
        if state.phase == Phase::Open {
            state.phase = Phase::Closed;
        }
    }
}
