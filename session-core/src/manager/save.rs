//! From a plan to one atomic write, and round again on a conflict.

use crate::error::{Error, StoreError};
use crate::event::Who;
use crate::manager::{Retry, SessionManager, UnknownOnDrop};
use crate::record::Record;
use crate::settings::SessionLimit;
use crate::state::{Cell, MetadataEdits, Phase, Plan, PlannedCreate, PlannedUpdate, SaveKind};
use crate::store::{Key, Update, Updated};
use crate::time::Timestamp;

/// Ids drawn for one creation before giving up; a second draw is already a wonder.
const MOST_DRAWS: u32 = 4;

/// One save of a session: a handler's own, or the commit of its request.
///
/// It plans, writes, and begins again where somebody else wrote in between. Its future lies in that
/// of every request that writes, so what few requests need is boxed.
pub(crate) struct Save<'m> {
    pub(super) manager: &'m SessionManager,
    pub(super) cell: &'m Cell,
    kind: SaveKind,
    pub(super) now: Timestamp,
    pub(super) retry: Retry<'m>,
}

/// What came of one attempt to write.
pub(super) enum Attempt {
    /// The record has this key and version now.
    Wrote(Key, u64),
    /// The state was brought up to date, and another attempt may do.
    Again,
    /// Somebody else has done it, or the next request will.
    Unneeded,
}

/// Whether a save that has nothing to write asks the store for the session.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Look {
    NotYet,
    Due,
    Done,
}

impl SessionManager {
    /// Carries out what is unsaved, as far as a save of this kind may.
    pub(crate) async fn save(&self, cell: &Cell, kind: SaveKind) -> Result<(), Error> {
        let _turn = self.turn_to_write(cell).await?;
        self.save_in_turn(cell, kind).await
    }

    /// [`save`](Self::save) by somebody who has the turn.
    pub(crate) async fn save_in_turn(&self, cell: &Cell, kind: SaveKind) -> Result<(), Error> {
        {
            let mut state = cell.state();
            state.begin_save();
            if let Some(unknown) = &state.unknown {
                return Err(unknown.clone().into());
            }
        }
        if let Some(limit) = self.limit_of(kind) {
            Box::pin(self.make_room(cell, limit)).await?;
        }
        let now = self.now();
        let save = Save {
            manager: self,
            cell,
            kind,
            now,
            retry: Retry::new(self, now),
        };
        save.run().await
    }

    /// The limit of sessions that a save of this kind has to look at: only a commit signs in.
    fn limit_of(&self, kind: SaveKind) -> Option<SessionLimit> {
        let limit = self.settings().session_limit;
        limit.filter(|_| kind == SaveKind::Commit)
    }
}

impl Save<'_> {
    async fn run(mut self) -> Result<(), Error> {
        let (manager, cell) = (self.manager, self.cell);
        let mut look = Look::NotYet;
        loop {
            // Here and not where it is found out: the future would have room for a plan across it.
            if look == Look::Due {
                look = Look::Done;
                Box::pin(self.look_again()).await?;
                self.now = manager.now();
            }
            // Who signs in as another keeps the old session until the new one is there.
            if manager.delete_pending(cell, SaveKind::Save).await? {
                self.now = manager.now();
            }
            let plan = cell.state().plan(self.now, self.kind, manager.settings())?;
            match plan {
                Plan::Nothing if look == Look::NotYet && self.outlived_its_response() => {
                    look = Look::Due;
                    continue;
                }
                Plan::Nothing => return Ok(()),
                Plan::Withhold(reason) => return self.withhold(reason),
                Plan::End => {
                    cell.state().destroy();
                    continue;
                }
                Plan::Create(planned) => {
                    if let Attempt::Wrote(key, _) = self.create(&planned).await? {
                        let signed_in = planned.signed_in();
                        self.created(planned, key);
                        self.keep_to_limit(signed_in).await?;
                        break;
                    }
                }
                Plan::Update(planned) => match self.update(&planned).await {
                    Ok(Attempt::Wrote(key, version)) => {
                        let signed_in = planned.signed_in();
                        self.updated(planned, key, version);
                        self.keep_to_limit(signed_in).await?;
                        break;
                    }
                    Ok(Attempt::Unneeded) => break,
                    Ok(Attempt::Again) => {}
                    Err(error) if planned.may_fail(self.kind) => return self.unwritten(error),
                    Err(error) => return Err(error),
                },
                Plan::Reload(planned) => match Box::pin(self.reload(&planned)).await {
                    Ok(_) => {}
                    Err(error) if planned.may_fail(self.kind) => return self.unwritten(error),
                    Err(error) => return Err(error),
                },
            }
            self.now = manager.now();
        }
        manager.delete_pending(cell, self.kind).await.map(drop)
    }

    /// Whether a handler saves after the response has left. If there is nothing to write, nobody
    /// but the store can say whether the session still is.
    fn outlived_its_response(&self) -> bool {
        self.kind == SaveKind::Save && self.cell.state().phase != Phase::Open
    }

    /// What may not be stored is dropped at a commit, and an error to an explicit save.
    fn withhold(&self, reason: &'static str) -> Result<(), Error> {
        if self.kind == SaveKind::Save {
            return Err(Error::Gone);
        }
        let now = self.manager.now();
        let who = {
            let mut state = self.cell.state();
            state.discard();
            state.who()
        };
        self.manager.events().unsaved(who.as_ref(), reason, now);
        Ok(())
    }

    /// Maintenance that fails costs nobody their response.
    fn unwritten(&self, error: Error) -> Result<(), Error> {
        if matches!(error, Error::Gone) {
            return Err(error);
        }
        let who = self.cell.state().unwritten();
        if let Some(who) = who {
            self.manager.events().unwritten(&who, &error, self.now);
        }
        Ok(())
    }

    /// One attempt to create; if the id was taken another one should be drawn.
    async fn create(&mut self, planned: &PlannedCreate) -> Result<Attempt, Error> {
        let unknown = UnknownOnDrop::new(self.cell);
        let call = self.manager.calls().create(&planned.record, self.now);
        match unknown.resolve(call.await) {
            Ok(key) => Ok(Attempt::Wrote(key, planned.record.version)),
            Err(StoreError::IdTaken) if self.retry.draws < MOST_DRAWS => {
                self.retry.draws += 1;
                Ok(Attempt::Again)
            }
            Err(error) => {
                let limited = self.manager.settings().session_limit.is_some();
                let counts = limited && planned.record.principal.is_some();
                if counts && matches!(error, StoreError::OutcomeUnknown(_)) {
                    // Nobody will ever hold a token of it, and it would take the place of another
                    // session.
                    let key = Key::Id(planned.record.id);
                    self.cell.state().abandon(key, &planned.record);
                }
                Err(error.into())
            }
        }
    }

    /// One attempt to update.
    async fn update(&mut self, planned: &PlannedUpdate) -> Result<Attempt, Error> {
        if self.retry.would_overtake(planned.record.id) && !planned.is_maintenance() {
            return Box::pin(self.line_up(planned)).await;
        }
        let update = Update {
            record: &planned.record,
            changes: &planned.changes,
            epoch: planned.epoch,
            expected: planned.expected,
            limits: &self.manager.settings().limits,
        };
        let unknown = UnknownOnDrop::new(self.cell);
        let call = self.manager.calls().update(&planned.key, update, self.now);
        match unknown.resolve(call.await)? {
            Updated::Saved { key, version } => {
                self.retry.hand_over(&planned.record, version);
                Ok(Attempt::Wrote(key, version))
            }
            Updated::Conflict(fresh) => Box::pin(self.meet(planned, fresh)).await,
            Updated::Gone => self.rebase(planned.basis(), None),
        }
    }

    /// Takes note of a creation.
    fn created(&self, planned: PlannedCreate, key: Key) {
        let (record, metadata) = (planned.record.clone(), planned.metadata.clone());
        self.cell.state().created(planned, key);
        self.manager.events().created(&record, self.now);
        self.note_renewal(&record, &metadata);
    }

    /// Takes note of an update.
    fn updated(&self, planned: PlannedUpdate, key: Key, version: u64) {
        let (record, metadata) = (planned.record.clone(), planned.metadata.clone());
        let rotates = planned.rotates();
        let settings = self.manager.settings();
        self.cell.state().updated(planned, key, version, settings);
        self.note_renewal(&record, &metadata);
        if rotates {
            self.manager.events().rotated(&record, self.now);
        }
    }

    fn note_renewal(&self, record: &Record, metadata: &MetadataEdits) {
        if metadata.renews() {
            let signed_in = metadata.sign_in.is_some();
            self.manager.events().renewed(record, signed_in, self.now);
        }
    }

    /// After a sign-in: ends the sessions of the principal that are too many.
    async fn keep_to_limit(&self, signed_in: Option<Who>) -> Result<(), Error> {
        match self.manager.settings().session_limit.zip(signed_in) {
            Some((limit, who)) => {
                let keeping = self.manager.keep_to_limit(self.cell, limit, &who);
                Box::pin(keeping).await
            }
            None => Ok(()),
        }
    }
}
