//! From a plan to one atomic write, and round again on a conflict.

use std::sync::Arc;

use crate::error::{Error, StoreError};
use crate::event::Who;
use crate::manager::SessionManager;
use crate::manager::{Retry, UnknownOnDrop};
use crate::record::{EndReason, Record};
use crate::state::Cell;
use crate::state::Phase;
use crate::state::Plan;
use crate::state::PlannedWrite;
use crate::state::SaveKind;
use crate::store::{Key, Update, Updated};
use crate::time::Timestamp;

/// Ids drawn for one creation before giving up; a second draw is already a wonder.
const MOST_DRAWS: u32 = 4;

/// What came of one attempt to write.
enum Attempt {
    /// The record has this key and version now.
    Wrote(Key, u64),
    /// The state was brought up to date, and another attempt may do.
    Again,
    /// Somebody else has done it, or the next request will.
    Unneeded,
}

impl SessionManager {
    /// Carries out what is unsaved, as far as the occasion allows.
    pub(crate) async fn write(&self, cell: &Cell, kind: SaveKind) -> Result<(), Error> {
        let _turn = self.turn_to_write(cell).await?;
        self.write_in_turn(cell, kind).await
    }

    pub(crate) async fn write_in_turn(&self, cell: &Cell, kind: SaveKind) -> Result<(), Error> {
        {
            let mut state = cell.state();
            state.written = false;
            if let Some(unknown) = &state.unknown {
                return Err(unknown.clone().into());
            }
        }
        // What few requests need is boxed here and below: the future of a request that writes is
        // then small.
        if let Some(session_limit) = self
            .settings()
            .session_limit
            .filter(|_| kind == SaveKind::Commit)
        {
            Box::pin(self.make_room(cell, session_limit)).await?;
        }
        let mut now = self.now();
        let mut attempts = Retry::new(self, now);
        let (mut look, mut looked) = (false, false);
        loop {
            if look && !looked {
                looked = true;
                Box::pin(self.look_again(cell, now)).await?;
                now = self.now();
            }
            // Who signs in as another keeps the old session until the new one is there.
            if self.delete_pending(cell, SaveKind::Save).await? {
                now = self.now();
            }
            let job = match self.plan(cell, kind, now)? {
                Plan::Nothing
                    if looked || kind != SaveKind::Save || cell.state().phase == Phase::Open =>
                {
                    return Ok(());
                }
                Plan::Nothing => {
                    // Not here: the future of every write would have room for a plan across it.
                    look = true;
                    continue;
                }
                Plan::Withhold(reason) => return self.withhold(cell, kind, reason),
                Plan::End => {
                    cell.state().destroy();
                    continue;
                }
                Plan::Write(job) => job,
            };
            let written = match job.creates {
                true => self.create(cell, &job, now, &mut attempts).await,
                false => self.update(cell, &job, now, &mut attempts).await,
            };
            match written {
                Ok(Attempt::Wrote(key, version)) => {
                    let counted = self
                        .settings()
                        .session_limit
                        .and_then(|session_limit| Some((session_limit, job.signed_in()?)));
                    self.acknowledge(cell, job, key, version, now);
                    if let Some((session_limit, who)) = counted {
                        Box::pin(self.keep_to_limit(cell, session_limit, &who)).await?;
                    }
                    break;
                }
                Ok(Attempt::Unneeded) => break,
                Ok(Attempt::Again) => {}
                Err(error) if job.may_fail(kind) && !matches!(error, Error::Gone) => {
                    let who = cell.state().unwritten();
                    if let Some(who) = who {
                        self.shared.events.unwritten(&who, &error, now);
                    }
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
            now = self.now();
        }
        self.delete_pending(cell, kind).await.map(drop)
    }

    /// Asks the store for the session of a handle that outlived its response. Nobody else would
    /// tell the handle that it ended.
    async fn look_again(&self, cell: &Cell, now: Timestamp) -> Result<(), Error> {
        let (base, generation, barred) = {
            let state = cell.state();
            let base = state.base.as_ref();
            let base = base.map(|base| (base.key.clone(), base.record.epoch));
            (base, state.generation, state.barred.is_some())
        };
        let Some((key, epoch)) = base else {
            return if barred { Err(Error::Gone) } else { Ok(()) };
        };
        let fresh = self.fetch(&key, now).await?;
        self.rebase(cell, (epoch, generation), fresh, now).map(drop)
    }

    fn plan(&self, cell: &Cell, kind: SaveKind, now: Timestamp) -> Result<Plan, Error> {
        cell.state().plan(now, kind, self.settings())
    }

    /// Takes note of what was written.
    fn acknowledge(&self, cell: &Cell, job: PlannedWrite, key: Key, version: u64, now: Timestamp) {
        let events = &self.shared.events;
        let record = Arc::clone(&job.record);
        let (creates, renewed, rotated) = (job.creates, job.renews(), job.rotates());
        match creates {
            true => cell.state().created(job, key),
            false => cell.state().updated(job, key, version, self.settings()),
        }
        if creates {
            events.created(&record, now);
        }
        if let Some(signed_in) = renewed {
            events.renewed(&record, signed_in, now);
        }
        if rotated {
            events.rotated(&record, now);
        }
    }

    /// What may not be stored is dropped at a commit, and an error to an explicit save.
    fn withhold(&self, cell: &Cell, kind: SaveKind, reason: &'static str) -> Result<(), Error> {
        if kind == SaveKind::Save {
            return Err(Error::Gone);
        }
        let now = self.now();
        let who = {
            let mut state = cell.state();
            state.discard();
            state.who()
        };
        self.shared.events.unsaved(who.as_ref(), reason, now);
        Ok(())
    }

    /// Deletes what the handler destroyed; whether that was anything. A session stays on the list
    /// until it is deleted, so that a save that fails or is cancelled leaves it to the commit,
    /// and that one to the abort.
    pub(crate) async fn delete_pending(&self, cell: &Cell, kind: SaveKind) -> Result<bool, Error> {
        let implied_too = kind == SaveKind::Commit;
        if cell.state().next_deletion(implied_too).is_none() {
            return Ok(false);
        }
        Box::pin(async move {
            loop {
                let Some(deletions) = cell.state().next_deletion(implied_too).cloned() else {
                    return Ok(true);
                };
                self.delete(&deletions.key, &deletions.who, deletions.reason())
                    .await?;
                self.shared.events.destroyed(&deletions.who, self.now());
                let mut state = cell.state();
                state.deletions.retain(|other| other.key != deletions.key);
                state.forget |= deletions.held;
            }
        })
        .await
    }

    /// Deletes one record. To say so twice does no harm.
    async fn delete(&self, key: &Key, who: &Who, reason: EndReason) -> Result<(), Error> {
        let call = (*self.shared.store).delete(key, self.ended(reason));
        let deleted = self.in_time(call, StoreError::outcome_unknown).await;
        deleted.map_err(|error| {
            self.shared.events.delete_failed(who, &error, self.now());
            error.into()
        })
    }

    /// Makes sure that a token is told only of a session that is there: one that a handler saved
    /// may have been ended by somebody else since.
    pub(crate) async fn confirm(&self, cell: &Cell) -> Result<(), Error> {
        let to_confirm = cell.state().to_confirm();
        match to_confirm {
            Some((key, epoch, generation)) => {
                Box::pin(self.confirm_that(cell, key, epoch, generation)).await
            }
            None => Ok(()),
        }
    }

    async fn confirm_that(
        &self,
        cell: &Cell,
        key: Key,
        epoch: u64,
        generation: u32,
    ) -> Result<(), Error> {
        let now = self.now();
        let found = self.fetch(&key, now).await?;
        let there = found.is_some_and(|record| record.is_live(now) && record.epoch() == epoch);
        let gone = {
            let mut state = cell.state();
            let over = !there && state.generation == generation;
            over.then(|| state.gone()).flatten()
        };
        self.gone(gone, now);
        Ok(())
    }

    fn gone(&self, who: Option<Who>, now: Timestamp) {
        if let Some(who) = who {
            self.shared.events.gone(&who, now);
        }
    }

    /// One attempt to create; if the id was taken another one should be drawn.
    async fn create(
        &self,
        cell: &Cell,
        job: &PlannedWrite,
        now: Timestamp,
        attempts: &mut Retry<'_>,
    ) -> Result<Attempt, Error> {
        let in_doubt = UnknownOnDrop::new(cell);
        let call = (*self.shared.store).create(&job.record, now);
        let created = self.in_time(call, StoreError::outcome_unknown).await;
        match in_doubt.resolve(created) {
            Ok(key) => Ok(Attempt::Wrote(key, job.record.version)),
            Err(StoreError::IdTaken) if attempts.draws < MOST_DRAWS => {
                attempts.draws += 1;
                Ok(Attempt::Again)
            }
            Err(error) => {
                self.shared.events.store_failed(&error, now);
                let counts =
                    job.record.principal.is_some() && self.settings().session_limit.is_some();
                if counts && matches!(error, StoreError::OutcomeUnknown(_)) {
                    // Nobody will ever hold a token of it, and it would take the place of another
                    // session.
                    cell.state().abandon(&job.record);
                }
                Err(error.into())
            }
        }
    }

    /// One attempt to update.
    async fn update<'m>(
        &'m self,
        cell: &Cell,
        job: &PlannedWrite,
        now: Timestamp,
        attempts: &mut Retry<'m>,
    ) -> Result<Attempt, Error> {
        if job.reload {
            return Box::pin(self.reload(cell, job, now)).await;
        }
        if attempts.would_overtake(job.record.id()) && !job.is_upkeep() {
            return Box::pin(self.line_up(cell, job, now, attempts)).await;
        }
        let update = Update {
            record: &job.record,
            changes: &job.changes,
            epoch: job.epoch,
            expected: job.expected,
            limits: &self.settings().limits,
        };
        let in_doubt = UnknownOnDrop::new(cell);
        let call = (*self.shared.store).update(&job.key, update, now);
        let updated = self.in_time(call, StoreError::outcome_unknown).await;
        match self.noted(in_doubt.resolve(updated), now)? {
            Updated::Saved { key, version } => {
                attempts.hand_over(&job.record, version);
                Ok(Attempt::Wrote(key, version))
            }
            Updated::Conflict(fresh) => Box::pin(self.meet(cell, job, fresh, now, attempts)).await,
            Updated::Gone => self.rebase(cell, (job.epoch, job.generation), None, now),
        }
    }

    async fn reload(
        &self,
        cell: &Cell,
        job: &PlannedWrite,
        now: Timestamp,
    ) -> Result<Attempt, Error> {
        let fresh = self.fetch(&job.key, now).await?;
        self.rebase(cell, (job.epoch, job.generation), fresh, now)
    }

    /// After a conflict: waits until another attempt makes sense, and gets what that one has to
    /// meet.
    async fn meet<'m>(
        &'m self,
        cell: &Cell,
        job: &PlannedWrite,
        fresh: Option<Arc<Record>>,
        now: Timestamp,
        attempts: &mut Retry<'m>,
    ) -> Result<Attempt, Error> {
        self.shared
            .events
            .conflict(&job.record, attempts.count, now);
        if job.is_upkeep() && job.moves_tokens() {
            // Somebody else wrote, and has rotated; or the next request will.
            cell.state().unwritten();
            return Ok(Attempt::Unneeded);
        }
        let fresh = match attempts.wait(&job.record, fresh).await? {
            // A version no newer than ours is what has just been refused.
            Some(record) if record.version() >= job.record.version() => Some(record),
            _ => self.fetch(&job.key, self.now()).await?,
        };
        self.rebase(cell, (job.epoch, job.generation), fresh, now)
    }

    /// Waits behind those that queue for the session, and gets what an attempt has to meet.
    async fn line_up<'m>(
        &'m self,
        cell: &Cell,
        job: &PlannedWrite,
        now: Timestamp,
        attempts: &mut Retry<'m>,
    ) -> Result<Attempt, Error> {
        let fresh = match attempts.line_up(&job.record).await? {
            // What merges need not know what is there.
            _ if job.expected.is_none() => return Ok(Attempt::Again),
            Some(record) if record.version() >= job.record.version() => Some(record),
            Some(_) => return Ok(Attempt::Again),
            None => self.fetch(&job.key, self.now()).await?,
        };
        self.rebase(cell, (job.epoch, job.generation), fresh, now)
    }

    /// Puts the request's changes on top of what the store has by now. A session that has ended, or
    /// whose token was renewed, since it was loaded is [`Error::Gone`], unless this request
    /// signs in: that starts a new one.
    fn rebase(
        &self,
        cell: &Cell,
        (epoch, generation): (u64, u32),
        fresh: Option<Arc<Record>>,
        now: Timestamp,
    ) -> Result<Attempt, Error> {
        let fresh = fresh.filter(|record| record.is_live(now) && record.epoch() == epoch);
        if fresh.is_none() {
            let over = {
                let mut state = cell.state();
                let over = state.generation == generation && state.metadata.sign_in.is_none();
                over.then(|| state.gone())
            };
            if let Some(who) = over {
                self.gone(who, now);
                return Err(Error::Gone);
            }
        }
        let codec = self.settings().codec;
        loop {
            let (replays, mut arena) = {
                let mut state = cell.state();
                let stored = fresh.as_ref().map(|record| record.values());
                (
                    state.edits.replays(stored),
                    std::mem::take(&mut state.arena),
                )
            };
            // The application's closures run without the lock.
            let results = replays
                .iter()
                .map(|replay| replay.run(codec, &mut arena))
                .collect::<Result<_, _>>();
            let mut state = cell.state();
            state.arena = arena;
            if state.generation != generation {
                return Ok(Attempt::Again); // the handler has destroyed it meanwhile
            }
            if !state.edits.adopt(&replays, results?) {
                continue;
            }
            return match fresh {
                Some(record) => {
                    state.loaded_anew(record, &self.settings().rotation);
                    Ok(Attempt::Again)
                }
                None => {
                    let who = state.gone();
                    drop(state);
                    self.gone(who, now);
                    Ok(Attempt::Again) // what is planned next is a creation, for who signs in
                }
            };
        }
    }
}
