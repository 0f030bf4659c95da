//! The end of a request: what it changed is written or dropped, and what the client is told.

use std::time::Duration;

use tokio::sync::MutexGuard;

use crate::error::Error;
use crate::manager::SessionManager;
use crate::session::Session;
use crate::state::Cell;
use crate::state::Phase;
use crate::state::SaveKind;
use crate::time::{Elapsed, within};
use crate::token::Directive;

impl SessionManager {
    /// Writes what the request changed, in one atomic step, and says what the client must be
    /// told. From then on the session cannot create, renew or destroy.
    ///
    /// If the session ended while the request was under way, its changes are dropped, an
    /// event says so, and there is nothing to tell.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// # use session_core::{Directive, MemoryStore, SessionManager};
    /// # let manager = SessionManager::new(MemoryStore::new());
    /// let session = manager.open(&[]).await?;
    /// session.insert("colour", "blue")?;
    /// let Directive::Hold(token) = manager.commit(&session).await? else { unreachable!() };
    ///
    /// let session = manager.open(&[token.as_str()]).await?; // only read
    /// assert_eq!(session.get::<String>("colour")?.as_deref(), Some("blue"));
    /// assert_eq!(manager.commit(&session).await?, Directive::Nothing);
    /// # Ok::<_, session_core::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Store`] if the store failed, [`Error::Contended`] if too many others wrote,
    /// [`Error::TooManySessions`], or what a closure of [`Session::update`] ran into. Nothing
    /// was written then, unless it is
    /// [`StoreError::OutcomeUnknown`](crate::StoreError::OutcomeUnknown). Answer with an error, and
    /// with what [`abort`](Self::abort) says.
    pub async fn commit(&self, session: &Session) -> Result<Directive, Error> {
        self.conclude(session, SaveKind::Commit).await
    }

    /// [`commit`](Self::commit) for a response that must not carry a new token, such as `101` or
    /// `304` over HTTP: nothing is created or renewed; data of a session that the client knows
    /// is written. Only of what an explicit [`save`](Session::save) has created before is the
    /// client told.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
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
    /// # Ok::<_, session_core::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// As `commit`.
    pub async fn commit_keeping_token(&self, session: &Session) -> Result<Directive, Error> {
        self.conclude(session, SaveKind::CommitKeepingToken).await
    }

    async fn conclude(&self, session: &Session, kind: SaveKind) -> Result<Directive, Error> {
        let cell = &session.inner.cell;
        // Held to the end, so that no clone saves between what is written and what is told.
        let _turn = self.turn_to_write(cell).await?;
        match self.write_in_turn(cell, kind).await {
            Ok(()) => self.confirm(cell).await?,
            Err(Error::Gone) => {}
            Err(error) => return Err(error),
        }
        loop {
            // A clone may have destroyed the session while it was written.
            self.delete_pending(cell, kind).await?;
            let now = self.now();
            let mut state = cell.state();
            if state.next_deletion(kind == SaveKind::Commit).is_some() {
                continue;
            }
            state.phase = Phase::Closed;
            state.deletions.clear();
            let directive = state.directive(now, &self.settings().rotation, |base| self.sign(base));
            state.tell = false;
            state.forget = false;
            return Ok(directive);
        }
    }

    /// The turn of a save or a commit, which fails without it.
    pub(crate) async fn turn_to_write<'i>(
        &self,
        cell: &'i Cell,
    ) -> Result<MutexGuard<'i, ()>, Error> {
        let limit = self.shared.deadlines.commit;
        let turn = self.turn(cell, limit).await;
        turn.inspect_err(|_| {
            let who = cell.state().who();
            self.shared
                .events
                .contended(who.as_ref(), 0, limit, self.now());
        })
    }

    /// Saves of one handle take turns. One that nobody polls any more must not hold up the
    /// others for ever.
    pub(crate) async fn turn<'i>(
        &self,
        cell: &'i Cell,
        limit: Duration,
    ) -> Result<MutexGuard<'i, ()>, Error> {
        if let Ok(turn) = cell.turn.try_lock() {
            return Ok(turn);
        }
        let turn = Box::pin(cell.turn.lock());
        within(&*self.shared.clock, limit, turn)
            .await
            .map_err(|Elapsed| Error::Contended)
    }

    /// Drops what a failed request changed, but for what it saved and for the sessions that it
    /// destroyed, which are deleted. Says what the client must be told of those.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// # use session_core::{Directive, MemoryStore, SessionManager};
    /// # let manager = SessionManager::new(MemoryStore::new());
    /// # let session = manager.open(&[]).await?;
    /// # session.insert("cart", 3)?;
    /// # let Directive::Hold(token) = manager.commit(&session).await? else { unreachable!() };
    /// let session = manager.open(&[token.as_str()]).await?;
    /// session.insert("cart", 4)?;
    /// assert_eq!(manager.abort(&session).await, Directive::Nothing);
    /// assert_eq!(session.get("cart")?, Some(3)); // as it is stored
    /// # Ok::<_, session_core::Error>(()) }).unwrap();
    /// ```
    pub async fn abort(&self, session: &Session) -> Directive {
        let cell = &session.inner.cell;
        // Without the turn too, if a save that nobody polls has it.
        let _turn = self.turn(cell, self.shared.deadlines.call).await;
        cell.state().written = false;
        let confirmed = self.confirm(cell).await.is_ok();
        loop {
            // A failure leaves an event; the response is an error already.
            let failed = self.delete_pending(cell, SaveKind::Save).await.is_err();
            let now = self.now();
            let mut state = cell.state();
            if !failed && state.next_deletion(false).is_some() {
                continue;
            }
            state.tell &= confirmed;
            state.discard();
            state.deletions.clear();
            state.phase = Phase::Abandoned;
            return state.directive(now, &self.settings().rotation, |base| self.sign(base));
        }
    }
}
