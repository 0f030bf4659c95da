//! From a plan to one atomic write, and round again on a conflict.

use std::pin::Pin;
use std::sync::Arc;

use crate::error::{SessionError, StoreError};
use crate::event::{Commit, CommitOutcome, Who};
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

/// What is next after an attempt to write.
enum Step<'m> {
    Again,
    Over(CommitOutcome),
    /// Somebody has signed in: whether there are too many sessions now is to be looked at.
    SignedIn(Pin<Box<dyn Future<Output = Result<(), SessionError>> + Send + 'm>>),
    /// It failed, and the response is sent all the same.
    MayFail,
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
    fn run(
        manager: &'m SessionManager,
        cell: &'m Cell,
        kind: SaveKind,
    ) -> impl Future<Output = Result<(), SessionError>> + 'm {
        let now = manager.now();
        let mut save = Self {
            manager,
            cell,
            kind,
            now,
            retry: Retry::new(now),
        };
        async move {
            let saved = save.carry_out().await;
            save.report(saved)
        }
    }

    async fn carry_out(&mut self) -> Result<CommitOutcome, SessionError> {
        {
            let mut state = self.cell.state();
            state.begin_save();
            if let Some(unknown) = &state.unknown {
                return Err(unknown.clone().into());
            }
        }
        if let Some(limit) = self.manager.limit_of(self.kind) {
            Box::pin(self.manager.make_room(self.cell, limit)).await?;
            self.now = self.manager.now();
            self.retry = Retry::new(self.now);
        }
        let mut look = Look::NotYet;
        let mut unchanged = CommitOutcome::Unneeded;
        let outcome = loop {
            // Here and not where it is found out: the future would have room for a plan across it.
            if look == Look::Due {
                look = Look::Done;
                Box::pin(self.look_again()).await?;
                self.now = self.manager.now();
            }
            // Who signs in as another keeps the old session until the new one is there.
            if self
                .manager
                .delete_pending(self.cell, SaveKind::Save)
                .await?
            {
                self.now = self.manager.now();
                unchanged = CommitOutcome::Written;
            }
            let plan = self
                .cell
                .state()
                .plan(self.now, self.kind, self.manager.settings())?;
            // By reference: taken apart, the future would have room for two plans.
            let written = match &plan {
                Plan::Nothing if look == Look::NotYet && self.outlived_its_response() => {
                    look = Look::Due;
                    continue;
                }
                Plan::Nothing => return Ok(unchanged),
                Plan::Withhold(reason) => return self.withhold(reason),
                Plan::End => {
                    self.cell.state().destroy();
                    continue;
                }
                Plan::Create(planned) => self.create(planned).await,
                Plan::Update(planned) => self.update(planned).await,
                Plan::Reload(planned) => Box::pin(self.reload(planned)).await,
            };
            let step = self.came_of(plan, written)?;
            match step {
                Step::Again => {}
                Step::Over(outcome) => break outcome,
                Step::SignedIn(limited) => {
                    limited.await?;
                    break CommitOutcome::Written;
                }
                Step::MayFail => return Ok(CommitOutcome::Failed),
            }
            self.now = self.manager.now();
        };
        self.manager.delete_pending(self.cell, self.kind).await?;
        Ok(outcome)
    }

    /// Takes note of what came of a plan, and says what is next.
    fn came_of(
        &self,
        plan: Plan,
        written: Result<Attempt, SessionError>,
    ) -> Result<Step<'m>, SessionError> {
        match written {
            Ok(Attempt::Wrote(key, version)) => {
                let counted = self.counted(&plan);
                self.acknowledge(plan, key, version);
                let Some((limit, who)) = counted else {
                    return Ok(Step::Over(CommitOutcome::Written));
                };
                let (manager, cell) = (self.manager, self.cell);
                Ok(Step::SignedIn(Box::pin(async move {
                    manager.keep_to_limit(cell, limit, &who).await
                })))
            }
            Ok(Attempt::Unneeded) => Ok(Step::Over(CommitOutcome::Unneeded)),
            Ok(Attempt::Again) => Ok(Step::Again),
            Err(error) if plan.may_fail(self.kind) && !matches!(error, SessionError::Gone) => {
                let who = self.cell.state().unwritten();
                if let Some(who) = who {
                    self.manager.events().unwritten(&who, &error, self.now);
                }
                Ok(Step::MayFail)
            }
            Err(error) => Err(error),
        }
    }

    /// Tells observers how it ended.
    fn report(&self, saved: Result<CommitOutcome, SessionError>) -> Result<(), SessionError> {
        let outcome = match &saved {
            Ok(outcome) => *outcome,
            Err(SessionError::Gone) => CommitOutcome::Gone,
            Err(_) => CommitOutcome::Failed,
        };
        self.manager.events().committed(&Commit {
            outcome,
            attempts: self.retry.attempts,
        });
        saved.map(drop)
    }

    /// Whether a handler saves after the response has left. If there is nothing to write, nobody
    /// but the store can say whether the session still is.
    fn outlived_its_response(&self) -> bool {
        self.kind == SaveKind::Save && self.cell.state().phase != Phase::Open
    }

    /// What may not be stored is dropped at a commit, and an error to an explicit save.
    fn withhold(&self, reason: &'static str) -> Result<CommitOutcome, SessionError> {
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
        Ok(CommitOutcome::Dropped)
    }

    /// One attempt to create; if the id was taken another one should be drawn.
    async fn create(&mut self, planned: &PlannedCreate) -> Result<Attempt, SessionError> {
        self.retry.attempts += 1;
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
        self.retry.attempts += 1;
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
