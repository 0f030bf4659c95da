//! From what a request changed to one atomic write, and to what the client is told.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Elapsed, within};
use crate::event;
use crate::id::random_bytes;
use crate::intent::Occasion;
use crate::job::Job;
use crate::manager::SessionManager;
use crate::open::DeadlinePassed;
use crate::plan::Plan;
use crate::queue::Turn;
use crate::session::Inner;
use crate::state::Phase;
use tokio::sync::MutexGuard;

use crate::{Directive, Error, Record, Session, StoreError, Timestamp, Update, Updated};

/// Ids drawn for one creation before giving up; a second draw is already a wonder.
const MOST_DRAWS: u32 = 4;
/// Attempts of one commit at a contended session.
const MOST_ATTEMPTS: u32 = 256;
/// The longest pause between two attempts, and the shortest cap of it.
const PAUSE_CAP: Duration = Duration::from_millis(32);
const PAUSE_FIRST: Duration = Duration::from_millis(1);

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
    /// [`Error::Store`] if the store failed, [`Error::Contended`] if too many others wrote, or what a closure
    /// of [`Session::update`] ran into. Nothing was written then, unless it is
    /// [`StoreError::OutcomeUnknown`]. Answer with an error, and with what [`abort`](Self::abort) says.
    pub async fn commit(&self, session: &Session) -> Result<Directive, Error> {
        self.conclude(session, Occasion::Commit).await
    }

    /// [`commit`](Self::commit) for a response that must not carry a new token, such as `101` or `304` over HTTP:
    /// nothing is created or renewed; data of a session that the client knows is written. Only of what an
    /// explicit [`save`](Session::save) has created before is the client told.
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
        self.conclude(session, Occasion::CommitKeepingToken).await
    }

    async fn conclude(&self, session: &Session, occasion: Occasion) -> Result<Directive, Error> {
        let inner = &session.inner;
        // Held to the end, so that no clone saves between what is written and what is told.
        let _turn = self.turn(inner, self.shared.deadlines.commit).await?;
        match self.write_in_turn(inner, occasion).await {
            Ok(()) => self.confirm(inner).await?,
            Err(Error::Gone) => {}
            Err(error) => return Err(error),
        }
        loop {
            // A clone may have destroyed the session while it was written.
            self.delete_doomed(inner, occasion).await?;
            let now = self.now();
            let mut state = inner.state();
            if state.next_doomed(occasion == Occasion::Commit).is_some() {
                continue;
            }
            state.phase = Phase::Closed;
            state.doomed.clear();
            let directive = state.directive(now, |base| self.sign(base));
            state.tell = false;
            state.forget = false;
            return Ok(directive);
        }
    }

    /// Saves of one handle take turns. One that nobody polls any more must not hold up the
    /// others for ever.
    async fn turn<'i>(&self, inner: &'i Inner, limit: Duration) -> Result<MutexGuard<'i, ()>, Error> {
        if let Ok(turn) = inner.turn.try_lock() {
            return Ok(turn);
        }
        let turn = Box::pin(inner.turn.lock());
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
        let inner = &session.inner;
        // Without the turn too, if a save that nobody polls has it.
        let _turn = self.turn(inner, self.shared.deadlines.call).await;
        inner.state().written = false;
        let confirmed = self.confirm(inner).await.is_ok();
        loop {
            // A failure leaves an event; the response is an error already.
            let failed = self.delete_doomed(inner, Occasion::Save).await.is_err();
            let now = self.now();
            let mut state = inner.state();
            if !failed && state.next_doomed(false).is_some() {
                continue;
            }
            state.tell &= confirmed;
            state.discard();
            state.doomed.clear();
            state.phase = Phase::Abandoned;
            return state.directive(now, |base| self.sign(base));
        }
    }

    /// Carries out what is unsaved, as far as the occasion allows.
    pub(crate) async fn write(&self, inner: &Inner, occasion: Occasion) -> Result<(), Error> {
        let _turn = self.turn(inner, self.shared.deadlines.commit).await?;
        self.write_in_turn(inner, occasion).await
    }

    async fn write_in_turn(&self, inner: &Inner, occasion: Occasion) -> Result<(), Error> {
        {
            let mut state = inner.state();
            state.written = false;
            if let Some(unknown) = &state.unknown {
                return Err(unknown.clone().into());
            }
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
                    if self.create(inner, job, now, &mut attempts).await? {
                        return self.delete_doomed(inner, occasion).await;
                    }
                }
                Plan::Update(job) => {
                    let touching = occasion != Occasion::Save && job.only_touches();
                    match self.update(inner, job, now, &mut attempts).await {
                        Ok(true) => return self.delete_doomed(inner, occasion).await,
                        Ok(false) => {}
                        Err(error) if touching && !matches!(error, Error::Gone) => {
                            let id = inner.state().touch_failed();
                            if let Some(id) = id {
                                self.shared.provoked.touch_failed(id, &error, now);
                            }
                            return Ok(());
                        }
                        Err(error) => return Err(error),
                    }
                }
            }
        }
    }

    /// What may not be stored is dropped at a commit, and an error to an explicit save.
    fn withhold(&self, inner: &Inner, occasion: Occasion, reason: &'static str) -> Result<(), Error> {
        if occasion == Occasion::Save {
            return Err(Error::Gone);
        }
        let now = self.now();
        let id = {
            let mut state = inner.state();
            state.discard();
            state.id()
        };
        self.shared.provoked.unsaved(id, reason, now);
        Ok(())
    }

    /// Deletes what the handler destroyed. A session stays on the list until it is deleted, so
    /// that a save that fails or is cancelled leaves it to the commit, and that one to the abort.
    async fn delete_doomed(&self, inner: &Inner, occasion: Occasion) -> Result<(), Error> {
        loop {
            let implied_too = occasion == Occasion::Commit;
            let Some(doomed) = inner.state().next_doomed(implied_too).cloned() else {
                return Ok(());
            };
            let call = (*self.shared.store).delete(&doomed.key);
            let deleted = within(&*self.shared.clock, self.shared.deadlines.call, call)
                .await
                .unwrap_or_else(|Elapsed| Err(StoreError::outcome_unknown(DeadlinePassed)));
            if let Err(error) = deleted {
                self.shared.provoked.delete_failed(doomed.id, &error, self.now());
                return Err(error.into());
            }
            event::destroyed(doomed.id);
            let mut state = inner.state();
            state.doomed.retain(|other| other.key != doomed.key);
            state.forget |= doomed.held;
        }
    }

    /// Makes sure that a token is told only of a session that is there: one that a handler saved may have
    /// been ended by somebody else since.
    async fn confirm(&self, inner: &Inner) -> Result<(), Error> {
        let Some((key, epoch, generation)) = inner.state().to_confirm() else {
            return Ok(());
        };
        let now = self.now();
        let found = self.fetch(&key, now).await?;
        let there = found.is_some_and(|record| record.is_live(now) && record.epoch() == epoch);
        let id = {
            let mut state = inner.state();
            let over = !there && state.generation == generation;
            over.then(|| state.gone()).flatten()
        };
        event::gone(id);
        Ok(())
    }

    /// One attempt to create; `false` if the id was taken and another one should be drawn.
    async fn create(
        &self,
        inner: &Inner,
        job: Job,
        now: Timestamp,
        attempts: &mut Attempts<'_>,
    ) -> Result<bool, Error> {
        let id = job.record.id();
        let in_doubt = InDoubt::new(inner);
        let call = (*self.shared.store).create(&job.record, now);
        let created = within(&*self.shared.clock, self.shared.deadlines.call, call).await;
        match in_doubt.resolve(created) {
            Ok(key) => {
                let signed_in = job.renews().is_some();
                inner.state().created(job, key);
                event::created(id);
                if signed_in {
                    event::renewed(id, true);
                }
                Ok(true)
            }
            Err(StoreError::IdTaken) if attempts.draws < MOST_DRAWS => {
                attempts.draws += 1;
                Ok(false)
            }
            Err(error) => Err(error.into()),
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
        let updated = within(&*self.shared.clock, self.shared.deadlines.call, call).await;
        match in_doubt.resolve(updated)? {
            Updated::Saved { key, version } => {
                let id = job.record.id();
                let renewed = job.renews();
                attempts.hand_over(&job.record, version);
                inner.state().updated(job, key, version, self.rules());
                if let Some(signed_in) = renewed {
                    event::renewed(id, signed_in);
                }
                Ok(true)
            }
            Updated::Conflict(fresh) => {
                let id = job.record.id();
                event::conflict(id, attempts.count);
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
            if let Some(id) = over {
                event::gone(id);
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
                    state.loaded_anew(record);
                    Ok(())
                }
                None => {
                    let id = state.gone();
                    drop(state);
                    event::gone(id);
                    Ok(()) // what is planned next is a creation, for who signs in
                }
            };
        }
    }
}

/// While a write is under way nobody knows its outcome; if the future is dropped then, that stays so.
struct InDoubt<'a> {
    inner: Option<&'a Inner>,
}

impl<'a> InDoubt<'a> {
    fn new(inner: &'a Inner) -> Self {
        Self { inner: Some(inner) }
    }

    /// The outcome, where there is one.
    fn resolve<T>(mut self, outcome: Result<Result<T, StoreError>, Elapsed>) -> Result<T, StoreError> {
        let outcome = outcome.unwrap_or_else(|Elapsed| Err(StoreError::outcome_unknown(DeadlinePassed)));
        if let (Some(inner), Err(error @ StoreError::OutcomeUnknown(_))) = (self.inner, &outcome) {
            inner.state().unknown = Some(error.clone());
        }
        self.inner = None;
        outcome
    }
}

impl Drop for InDoubt<'_> {
    fn drop(&mut self) {
        if let Some(inner) = self.inner {
            inner.state().unknown = Some(StoreError::outcome_unknown("the save was cancelled"));
        }
    }
}

/// The attempts of one commit: the first one at once, after a conflict in the queue of the session.
struct Attempts<'m> {
    manager: &'m SessionManager,
    until: Timestamp,
    count: u32,
    draws: u32,
    turn: Option<Turn>,
}

impl<'m> Attempts<'m> {
    fn new(manager: &'m SessionManager) -> Self {
        Self {
            manager,
            until: manager.now().plus(manager.shared.deadlines.commit),
            count: 0,
            draws: 0,
            turn: None,
        }
    }

    /// Waits until another attempt makes sense; what the one before in the queue saved.
    async fn wait(&mut self, id: crate::SessionId) -> Result<Option<Arc<Record>>, Error> {
        self.count += 1;
        let clock = &*self.manager.shared.clock;
        let left = self.until.since(clock.now());
        if left.is_zero() || self.count >= MOST_ATTEMPTS {
            return Err(Error::Contended);
        }
        if self.turn.is_none() {
            let join = Box::pin(self.manager.shared.queues.join(id));
            let turn = within(clock, left, join)
                .await
                .map_err(|Elapsed| Error::Contended)?;
            return Ok(self.turn.insert(turn).handed_over());
        }
        // Whoever still interferes is in another process, or came without a conflict.
        let cap = (PAUSE_FIRST * 2u32.saturating_pow(self.count)).min(PAUSE_CAP);
        let share = u32::from_le_bytes(random_bytes()?);
        clock.sleep((cap.min(left) / 1024) * (share % 1024)).await;
        Ok(None)
    }

    /// Leaves the saved record to the next one, if nothing else was merged into it.
    fn hand_over(&mut self, record: &Arc<Record>, version: u64) {
        if let Some(turn) = &mut self.turn {
            if record.version() == version {
                turn.hand_over(Arc::clone(record));
            }
        }
    }
}
