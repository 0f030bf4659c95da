//! A save meets what others have made of its session.

use std::sync::Arc;

use crate::error::{SessionError, StoreError};
use crate::event::Who;
use crate::manager::SessionManager;
use crate::manager::save::{Attempt, Save};
use crate::record::Record;
use crate::state::{Basis, Current, PlannedReload, PlannedUpdate};
use crate::time::Timestamp;

impl Save<'_> {
    /// Asks the store for the session of a handle that outlived its response. Nobody else would
    /// tell the handle that it ended.
    pub(super) async fn look_again(&self) -> Result<(), SessionError> {
        let basis = {
            let state = self.cell.state();
            match &state.current {
                Current::New => return Ok(()),
                Current::Barred(_) => return Err(SessionError::Gone),
                Current::Stored(_) => state.basis(),
            }
        };
        let Some((key, basis)) = basis else {
            return Ok(());
        };
        let fresh = self.manager.calls().load(&key, self.now).await?;
        self.rebase(basis, fresh).map(drop)
    }

    /// Loads the session again, because what is known of it cannot be relied on.
    pub(super) async fn reload(&self, planned: &PlannedReload) -> Result<Attempt, SessionError> {
        let fresh = self.manager.calls().load(&planned.key, self.now).await?;
        self.rebase(planned.basis, fresh)
    }

    /// After a conflict: waits until another attempt makes sense, and gets what that one has to
    /// meet.
    pub(super) async fn meet(
        &mut self,
        planned: &PlannedUpdate,
        fresh: Option<Arc<Record>>,
    ) -> Result<Attempt, SessionError> {
        let (events, record) = (self.manager.events(), planned.record());
        events.conflict(record, self.retry.count, self.now);
        if planned.is_maintenance() && planned.moves_tokens() {
            // Somebody else wrote, and has rotated; or the next request will.
            self.cell.state().unwritten();
            return Ok(Attempt::Unneeded);
        }
        let fresh = self.retry.wait(self.manager, record, fresh).await?;
        self.rebase_on_newer(planned, fresh).await
    }

    /// Waits behind those that queue for the session, and gets what an attempt has to meet.
    pub(super) async fn line_up(
        &mut self,
        planned: &PlannedUpdate,
    ) -> Result<Attempt, SessionError> {
        let handed_over = self.retry.line_up(self.manager, planned.record()).await?;
        match handed_over {
            // What merges need not know what is there.
            _ if planned.update.expected_version().is_none() => Ok(Attempt::Again),
            Some(record) if record.version < planned.record().version => Ok(Attempt::Again),
            known => self.rebase_on_newer(planned, known).await,
        }
    }

    /// Rebases on what the store has by now: on `known` if that is it, or else it is loaded.
    async fn rebase_on_newer(
        &self,
        planned: &PlannedUpdate,
        known: Option<Arc<Record>>,
    ) -> Result<Attempt, SessionError> {
        // A version no newer than ours is what has just been refused.
        let newer = known.filter(|record| record.version >= planned.record().version);
        let fresh = match newer {
            Some(record) => Some(record),
            None => {
                let now = self.manager.now();
                self.manager.calls().load(&planned.key, now).await?
            }
        };
        self.rebase(planned.basis(), fresh)
    }

    /// Puts the request's changes on top of what the store has by now. The next plan writes them.
    ///
    /// A session that has ended since it was loaded, or whose token was renewed (which is another
    /// epoch), is [`SessionError::Gone`]: what was loaded before must not be written after it. Only
    /// a request that signs in goes on, because that starts a new session.
    pub(super) fn rebase(
        &self,
        basis: Basis,
        fresh: Option<Arc<Record>>,
    ) -> Result<Attempt, SessionError> {
        let manager = self.manager;
        let is_same =
            |record: &Arc<Record>| record.is_live(self.now) && record.epoch == basis.epoch;
        let fresh = fresh.filter(is_same);
        // Nobody of this scope has written that, and its values are not ours to go on with.
        if let Some(record) = &fresh
            && record.scope != manager.settings().scope
        {
            let error = StoreError::corrupt("the record is of another scope");
            let id = Some(record.id);
            manager.events().corrupt(id, None, &error, self.now);
            return Err(error.into());
        }
        if fresh.is_none() {
            let mut state = self.cell.state();
            if state.is_current(basis.mark) && state.metadata.sign_in.is_none() {
                let who = state.gone();
                drop(state);
                manager.note_gone(who, self.now);
                return Err(SessionError::Gone);
            }
        }
        loop {
            let (replays, mut arena) = {
                let mut state = self.cell.state();
                let stored = fresh.as_ref().map(|record| &record.values);
                let replays = state.edits.replays(stored);
                (replays, std::mem::take(&mut state.arena))
            };
            // The application's closures run without the lock, so another clone of the handle may
            // change the session meanwhile.
            let results = replays
                .iter()
                .map(|replay| replay.run(manager.settings().codec, &mut arena))
                .collect::<Result<_, _>>();
            let mut state = self.cell.state();
            state.arena = arena;
            if !state.is_current(basis.mark) {
                return Ok(Attempt::Again); // it has destroyed the session
            }
            if !state.edits.adopt(&replays, results?) {
                continue; // it has changed one of the keys
            }
            match fresh {
                Some(record) => state.reloaded(record, &manager.settings().rotation),
                None => {
                    // The next plan is a creation, for whoever signs in.
                    let who = state.gone();
                    drop(state);
                    manager.note_gone(who, self.now);
                }
            }
            return Ok(Attempt::Again);
        }
    }
}

impl SessionManager {
    /// Tells that a session ended under a request.
    pub(super) fn note_gone(&self, who: Option<Who>, now: Timestamp) {
        if let Some(who) = who {
            self.events().gone(&who, now);
        }
    }
}
