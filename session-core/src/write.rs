//! From a plan to one atomic write, and round again on a conflict.

use std::sync::Arc;

use crate::attempts::{Attempts, InDoubt};
use crate::event::Who;
use crate::intent::Occasion;
use crate::job::Job;
use crate::manager::SessionManager;
use crate::plan::Plan;
use crate::session::Inner;
use crate::{Error, Key, Record, StoreError, Timestamp, Update, Updated};

/// Ids drawn for one creation before giving up; a second draw is already a wonder.
const MOST_DRAWS: u32 = 4;

impl SessionManager {
    /// Carries out what is unsaved, as far as the occasion allows.
    pub(crate) async fn write(&self, inner: &Inner, occasion: Occasion) -> Result<(), Error> {
        let _turn = self.turn(inner, self.shared.deadlines.commit).await?;
        self.write_in_turn(inner, occasion).await
    }

    pub(crate) async fn write_in_turn(&self, inner: &Inner, occasion: Occasion) -> Result<(), Error> {
        {
            let mut state = inner.state();
            state.written = false;
            if let Some(unknown) = &state.unknown {
                return Err(unknown.clone().into());
            }
        }
        if occasion == Occasion::Commit {
            self.make_room(inner).await?;
        }
        let mut attempts = Attempts::new(self);
        loop {
            // Who signs in as another keeps the old session until the new one is there.
            self.delete_doomed(inner, Occasion::Save).await?;
            let now = self.now();
            let plan = inner.state().plan(now, occasion, self.rules())?;
            match plan {
                Plan::Nothing => return Ok(()),
                Plan::Withhold(reason) => return self.withhold(inner, occasion, reason),
                Plan::End => inner.state().destroy(),
                Plan::Create(job) => {
                    let signed_in = job.signed_in();
                    if self.create(inner, job, now, &mut attempts).await? {
                        return self.written(inner, signed_in, occasion).await;
                    }
                }
                Plan::Update(job) => {
                    let upkeep = occasion != Occasion::Save && job.is_upkeep();
                    let signed_in = job.signed_in();
                    match self.update(inner, job, now, &mut attempts).await {
                        Ok(true) => return self.written(inner, signed_in, occasion).await,
                        Ok(false) => {}
                        Err(error) if upkeep && !matches!(error, Error::Gone) => {
                            let who = inner.state().unwritten();
                            if let Some(who) = who {
                                self.shared.events.unwritten(&who, &error, now);
                            }
                            return Ok(());
                        }
                        Err(error) => return Err(error),
                    }
                }
            }
        }
    }

    /// What follows a write.
    async fn written(&self, inner: &Inner, signed_in: Option<Who>, occasion: Occasion) -> Result<(), Error> {
        if let Some(who) = signed_in {
            self.keep_to_cap(inner, &who).await?;
        }
        self.delete_doomed(inner, occasion).await
    }

    /// What may not be stored is dropped at a commit, and an error to an explicit save.
    fn withhold(&self, inner: &Inner, occasion: Occasion, reason: &'static str) -> Result<(), Error> {
        if occasion == Occasion::Save {
            return Err(Error::Gone);
        }
        let now = self.now();
        let who = {
            let mut state = inner.state();
            state.discard();
            state.who()
        };
        self.shared.events.unsaved(who.as_ref(), reason, now);
        Ok(())
    }

    /// Deletes what the handler destroyed. A session stays on the list until it is deleted, so
    /// that a save that fails or is cancelled leaves it to the commit, and that one to the abort.
    pub(crate) async fn delete_doomed(&self, inner: &Inner, occasion: Occasion) -> Result<(), Error> {
        loop {
            let implied_too = occasion == Occasion::Commit;
            let Some(doomed) = inner.state().next_doomed(implied_too).cloned() else {
                return Ok(());
            };
            self.delete(&doomed.key, &doomed.who).await?;
            self.shared.events.destroyed(&doomed.who, self.now());
            let mut state = inner.state();
            state.doomed.retain(|other| other.key != doomed.key);
            state.forget |= doomed.held;
        }
    }

    /// Deletes one record. To say so twice does no harm.
    pub(crate) async fn delete(&self, key: &Key, who: &Who) -> Result<(), Error> {
        let call = (*self.shared.store).delete(key);
        let deleted = self.in_time(call, StoreError::outcome_unknown).await;
        deleted.map_err(|error| {
            self.shared.events.delete_failed(who, &error, self.now());
            error.into()
        })
    }

    /// Makes sure that a token is told only of a session that is there: one that a handler saved may have
    /// been ended by somebody else since.
    pub(crate) async fn confirm(&self, inner: &Inner) -> Result<(), Error> {
        let Some((key, epoch, generation)) = inner.state().to_confirm() else {
            return Ok(());
        };
        let now = self.now();
        let found = self.fetch(&key, now).await?;
        let there = found.is_some_and(|record| record.is_live(now) && record.epoch() == epoch);
        let gone = {
            let mut state = inner.state();
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

    /// One attempt to create; `false` if the id was taken and another one should be drawn.
    async fn create(
        &self,
        inner: &Inner,
        job: Job,
        now: Timestamp,
        attempts: &mut Attempts<'_>,
    ) -> Result<bool, Error> {
        let record = Arc::clone(&job.record);
        let in_doubt = InDoubt::new(inner);
        let call = (*self.shared.store).create(&job.record, now);
        let created = self.in_time(call, StoreError::outcome_unknown).await;
        match in_doubt.resolve(created) {
            Ok(key) => {
                let signed_in = job.renews().is_some();
                inner.state().created(job, key);
                self.shared.events.created(&record, now);
                if signed_in {
                    self.shared.events.renewed(&record, true, now);
                }
                Ok(true)
            }
            Err(StoreError::IdTaken) if attempts.draws < MOST_DRAWS => {
                attempts.draws += 1;
                Ok(false)
            }
            Err(error) => {
                self.shared.events.store_failed(&error, now);
                let counts = record.principal.is_some() && self.rules().cap.is_some();
                if counts && matches!(error, StoreError::OutcomeUnknown(_)) {
                    // Nobody will ever hold a token of it, and it would take the place of another session.
                    inner.state().abandon(&record);
                }
                Err(error.into())
            }
        }
    }

    /// One attempt to update; `false` if the state was brought up to date and another one may do.
    async fn update<'m>(
        &'m self,
        inner: &Inner,
        job: Job,
        now: Timestamp,
        attempts: &mut Attempts<'m>,
    ) -> Result<bool, Error> {
        let (key, epoch, generation) = (job.key.clone(), job.epoch, job.generation);
        if job.reload {
            let fresh = self.fetch(&key, now).await?;
            return self.rebase(inner, fresh, epoch, generation, now).map(|()| false);
        }
        let update = Update {
            record: &job.record,
            changes: &job.changes,
            epoch,
            expected: job.expected,
            limits: &self.rules().limits,
        };
        let in_doubt = InDoubt::new(inner);
        let call = (*self.shared.store).update(&key, update, now);
        let updated = self.in_time(call, StoreError::outcome_unknown).await;
        let updated = in_doubt.resolve(updated);
        match updated.inspect_err(|error| self.shared.events.store_failed(error, now))? {
            Updated::Saved { key, version } => {
                let record = Arc::clone(&job.record);
                let (renewed, rotated) = (job.renews(), job.rotates());
                attempts.hand_over(&record, version);
                inner.state().updated(job, key, version, self.rules());
                if let Some(signed_in) = renewed {
                    self.shared.events.renewed(&record, signed_in, now);
                }
                if rotated {
                    self.shared.events.rotated(&record, now);
                }
                Ok(true)
            }
            Updated::Conflict(fresh) => {
                self.shared.events.conflict(&job.record, attempts.count, now);
                if job.is_upkeep() && job.moves_tokens() {
                    // Somebody else wrote, and has rotated; or the next request will.
                    inner.state().unwritten();
                    return Ok(true);
                }
                let handed_over = attempts.wait(job.record.id()).await?;
                let newest = [fresh, handed_over]
                    .into_iter()
                    .flatten()
                    .max_by_key(|record| record.version());
                let fresh = match newest {
                    // A version no newer than ours is what has just been refused.
                    Some(record) if record.version() >= job.record.version() => Some(record),
                    _ => self.fetch(&key, self.now()).await?,
                };
                self.rebase(inner, fresh, epoch, generation, now).map(|()| false)
            }
            Updated::Gone => self.rebase(inner, None, epoch, generation, now).map(|()| false),
        }
    }

    /// Puts the request's changes on top of what the store has by now. A session that has ended, or whose token was renewed,
    /// since it was loaded is [`Error::Gone`], unless this request signs in: that starts a new one.
    fn rebase(
        &self,
        inner: &Inner,
        fresh: Option<Arc<Record>>,
        epoch: u64,
        generation: u32,
        now: Timestamp,
    ) -> Result<(), Error> {
        let fresh = fresh.filter(|record| record.is_live(now) && record.epoch() == epoch);
        if fresh.is_none() {
            let over = {
                let mut state = inner.state();
                let over = state.generation == generation && state.intent.sign_in.is_none();
                over.then(|| state.gone())
            };
            if let Some(who) = over {
                self.gone(who, now);
                return Err(Error::Gone);
            }
        }
        let codec = self.rules().codec;
        loop {
            let (replays, mut arena) = {
                let mut state = inner.state();
                let stored = fresh.as_ref().map(|record| record.values());
                (state.pending.replays(stored), std::mem::take(&mut state.arena))
            };
            // The application's closures run without the lock.
            let results = replays
                .iter()
                .map(|replay| replay.run(codec, &mut arena))
                .collect::<Result<_, _>>();
            let mut state = inner.state();
            state.arena = arena;
            if state.generation != generation {
                return Ok(()); // the handler has destroyed it meanwhile
            }
            if !state.pending.adopt(&replays, results?) {
                continue;
            }
            return match fresh {
                Some(record) => {
                    state.loaded_anew(record, &self.rules().rotation);
                    Ok(())
                }
                None => {
                    let who = state.gone();
                    drop(state);
                    self.gone(who, now);
                    Ok(()) // what is planned next is a creation, for who signs in
                }
            };
        }
    }
}
