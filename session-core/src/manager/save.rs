//! From a plan to one atomic write, and round again on a conflict.

use std::sync::Arc;

use crate::error::{SessionError, StoreError};
use crate::event::Who;
use crate::manager::{Retry, SessionManager, UnknownOnDrop};
use crate::settings::SessionLimit;
use crate::state::{Cell, Phase, Plan, PlannedCreate, PlannedUpdate, SaveKind};
use crate::store::{RecordKey, Updated};
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
    pub(super) retry: Retry,
}

/// What came of one attempt to write.
pub(super) enum Attempt {
    /// The record has this key and version now.
    Wrote(RecordKey, u64),
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
    pub(crate) async fn save(&self, cell: &Cell, kind: SaveKind) -> Result<(), SessionError> {
        let _turn = self.turn_to_write(cell).await?;
        self.save_in_turn(cell, kind).await
    }

    /// [`save`](Self::save) by somebody who has the turn.
    pub(crate) fn save_in_turn<'m>(
        &'m self,
        cell: &'m Cell,
        kind: SaveKind,
    ) -> impl Future<Output = Result<(), SessionError>> + 'm {
        Save::run(self, cell, kind)
    }

    /// The limit of sessions that a save of this kind has to look at: only a commit signs in.
    fn limit_of(&self, kind: SaveKind) -> Option<SessionLimit> {
        let limit = self.settings().session_limit;
        limit.filter(|_| kind == SaveKind::Commit)
    }
}

impl<'m> Save<'m> {
    async fn run(
        manager: &'m SessionManager,
        cell: &'m Cell,
        kind: SaveKind,
    ) -> Result<(), SessionError> {
        {
            let mut state = cell.state();
            state.begin_save();
            if let Some(unknown) = &state.unknown {
                return Err(unknown.clone().into());
            }
        }
        if let Some(limit) = manager.limit_of(kind) {
            Box::pin(manager.make_room(cell, limit)).await?;
        }
        let now = manager.now();
        let retry = Retry::new(now);
        let mut save = Self {
            manager,
            cell,
            kind,
            now,
            retry,
        };
        let mut look = Look::NotYet;
        loop {
            // Here and not where it is found out: the future would have room for a plan across it.
            if look == Look::Due {
                look = Look::Done;
                Box::pin(save.look_again()).await?;
                save.now = manager.now();
            }
            // Who signs in as another keeps the old session until the new one is there.
            if manager.delete_pending(cell, SaveKind::Save).await? {
                save.now = manager.now();
            }
            let plan = cell.state().plan(save.now, save.kind, manager.settings())?;
            // By reference: taken apart, the future would have room for two plans.
            let written = match &plan {
                Plan::Nothing if look == Look::NotYet && save.outlived_its_response() => {
                    look = Look::Due;
                    continue;
                }
                Plan::Nothing => return Ok(()),
                Plan::Withhold(reason) => return save.withhold(reason),
                Plan::End => {
                    cell.state().destroy();
                    continue;
                }
                Plan::Create(planned) => save.create(planned).await,
                Plan::Update(planned) => save.update(planned).await,
                Plan::Reload(planned) => Box::pin(save.reload(planned)).await,
            };
            match written {
                Ok(Attempt::Wrote(key, version)) => {
                    let counted = save.counted(&plan);
                    save.acknowledge(plan, key, version);
                    if let Some((limit, who)) = counted {
                        Box::pin(manager.keep_to_limit(cell, limit, &who)).await?;
                    }
                    break;
                }
                Ok(Attempt::Unneeded) => break,
                Ok(Attempt::Again) => {}
                Err(error) if plan.may_fail(save.kind) && !matches!(error, SessionError::Gone) => {
                    let who = cell.state().unwritten();
                    if let Some(who) = who {
                        manager.events().unwritten(&who, &error, save.now);
                    }
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
            save.now = manager.now();
        }
        manager.delete_pending(cell, save.kind).await.map(drop)
    }

    /// Whether a handler saves after the response has left. If there is nothing to write, nobody
    /// but the store can say whether the session still is.
    fn outlived_its_response(&self) -> bool {
        self.kind == SaveKind::Save && self.cell.state().phase != Phase::Open
    }

    /// What may not be stored is dropped at a commit, and an error to an explicit save.
    fn withhold(&self, reason: &'static str) -> Result<(), SessionError> {
        if self.kind == SaveKind::Save {
            return Err(SessionError::Gone);
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

    /// One attempt to create; if the id was taken another one should be drawn.
    async fn create(&mut self, planned: &PlannedCreate) -> Result<Attempt, SessionError> {
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
                    let key = RecordKey::Id(planned.record.id);
                    self.cell.state().abandon(key, &planned.record);
                }
                Err(error.into())
            }
        }
    }

    /// One attempt to update.
    async fn update(&mut self, planned: &PlannedUpdate) -> Result<Attempt, SessionError> {
        if self.retry.would_overtake(self.manager, planned.record().id) && !planned.is_maintenance()
        {
            return Box::pin(self.line_up(planned)).await;
        }
        let unknown = match planned.is_maintenance() {
            false => UnknownOnDrop::new(self.cell),
            // Twice is the same as once. Whether it was written shows once the session is loaded.
            true => {
                self.cell.state().unwritten();
                UnknownOnDrop::unneeded()
            }
        };
        let calls = self.manager.calls();
        let call = calls.update(&planned.key, &planned.update, self.now);
        match unknown.resolve(call.await)? {
            Updated::Saved { key, version, .. } => {
                self.retry.hand_over(planned.record(), version);
                Ok(Attempt::Wrote(key, version))
            }
            Updated::Conflict { current } => Box::pin(self.meet(planned, current)).await,
            Updated::Gone => self.rebase(planned.basis(), None),
        }
    }

    /// Who signs in by this plan, where the sessions of a principal are limited.
    fn counted(&self, plan: &Plan) -> Option<(SessionLimit, Who)> {
        self.manager.settings().session_limit.zip(plan.signed_in())
    }

    /// Takes note of what was written.
    fn acknowledge(&self, plan: Plan, key: RecordKey, version: u64) {
        let (events, now) = (self.manager.events(), self.now);
        let (record, renewal) = match plan {
            Plan::Create(planned) => {
                let written = (Arc::clone(&planned.record), planned.metadata.renewal());
                self.cell.state().created(planned, key);
                events.created(&written.0, now);
                written
            }
            Plan::Update(planned) => {
                let written = (Arc::clone(planned.record()), planned.metadata.renewal());
                let (rotates, binds) = (planned.rotates(), planned.binds());
                let settings = self.manager.settings();
                self.cell.state().updated(planned, key, version, settings);
                if rotates {
                    events.rotated(&written.0, now);
                }
                if binds {
                    events.bound(&written.0, now);
                }
                written
            }
            Plan::Nothing | Plan::Withhold(_) | Plan::Reload(_) | Plan::End => return,
        };
        if let Some(renewal) = renewal {
            events.renewed(&record, renewal, now);
            self.manager
                .calls()
                .watches()
                .changed(&RecordKey::Id(record.id));
        }
    }
}
