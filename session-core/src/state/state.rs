//! What a session knows in one request: what was loaded, what changed, what to tell the client.

use std::sync::Arc;

use bytestring::ByteString;

use crate::error::StoreError;
use crate::event::Who;
use crate::record::Arena;
use crate::record::entry_size;
use crate::record::{LimitExceeded, Record, SessionId, Value, Values};
use crate::settings::Rules;
use crate::state::Barred;
use crate::state::Flashes;
use crate::state::Guest;
use crate::state::Job;
use crate::state::{Asked, Intent};
use crate::state::{Base, Doomed};
use crate::state::{Pending, UpdateFn};
use crate::store::{Key, Metadata};
use crate::time::Timestamp;
use crate::token::{ClientToken, Directive};
use crate::token::{Rotation, Upkeep};

/// The state of one session in one request.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) base: Option<Base>,
    pub(crate) pending: Pending,
    pub(crate) intent: Intent,
    pub(crate) asked: Asked,
    /// Sessions that this request destroyed and that are not yet deleted.
    pub(crate) doomed: Vec<Doomed>,
    /// The client must hear of the current token.
    pub(crate) tell: bool,
    /// The session that the client holds a token of was destroyed by this request.
    pub(crate) forget: bool,
    /// The request is anonymous and mute.
    pub(crate) barred: Option<Box<Barred>>,
    /// What CSRF tokens are derived from while there is no session: the tokens that the client
    /// presents and that open none. There is none if the session ended under this request.
    pub(crate) form_seed: Option<[u8; 16]>,
    /// The client presented a sealed session that does not open. It holds the only copy, which may
    /// open again under other keys or settings: a handler that ends it has the client forget it.
    pub(crate) unopened: bool,
    pub(crate) phase: Phase,
    /// Counts the sessions that the handler destroyed, so that a write that was under way
    /// for one of them is not taken for the next.
    pub(crate) generation: u32,
    /// The save that runs, or ran last, wrote the current session.
    pub(crate) written: bool,
    /// A write was sent and its outcome is not known.
    pub(crate) unknown: Option<StoreError>,
    pub(crate) arena: Arena,
    /// The flash values of earlier requests, once this one has to do with any.
    pub(crate) flashes: Option<Flashes>,
    /// What was changed before somebody was signed in; none once anything was stored since.
    pub(crate) guest: Option<Box<Guest>>,
    /// Bytes and number of the entries that the handler sees.
    size: (usize, usize),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The response has not left.
    #[default]
    Open,
    /// It has: no client can be told of a token.
    Closed,
    /// The request failed; its changes are dropped on purpose.
    Abandoned,
}

impl State {
    pub(crate) fn opened(base: Option<Base>, barred: Option<Box<Barred>>) -> Self {
        let values = base.as_ref().map(|base| &base.record.values);
        let size = values.map_or((0, 0), |values| (values.size(), values.len()));
        Self {
            base,
            barred,
            size,
            ..Self::default()
        }
    }

    pub(crate) fn stored(&self) -> Option<&Values> {
        self.base.as_ref().map(|base| &base.record.values)
    }

    pub(crate) fn id(&self) -> Option<SessionId> {
        self.base.as_ref().map(|base| base.record.id)
    }

    pub(crate) fn who(&self) -> Option<Who> {
        self.base.as_ref().map(|base| Who::of(&base.record))
    }

    pub(crate) fn view(&self, key: &str) -> Option<&Value> {
        self.pending.view(self.stored(), key)
    }

    pub(crate) fn count(&self) -> usize {
        self.size.1
    }

    /// `key` as shared bytes.
    pub(crate) fn shared_key(&mut self, key: &str) -> ByteString {
        let stored = self
            .base
            .as_ref()
            .and_then(|base| base.record.values.key(key));
        stored.cloned().unwrap_or_else(|| self.arena.text(key))
    }

    /// Sets a key, unless the session would then hold too much.
    pub(crate) fn put(
        &mut self,
        key: ByteString,
        value: Value,
        rules: &Rules,
    ) -> Result<(), LimitExceeded> {
        if !self.pending.changes_key(&key) && self.view(&key) == Some(&value) {
            self.pending.keep(key, value);
            return Ok(());
        }
        self.size = self.size_with(&key, &value, rules)?;
        self.pending.set(key, Some(value));
        Ok(())
    }

    /// Adds a closure to a key's changes, unless the session would then hold too much.
    pub(crate) fn update(
        &mut self,
        key: ByteString,
        update: UpdateFn,
        result: Value,
        rules: &Rules,
    ) -> Result<(), LimitExceeded> {
        self.size = self.size_with(&key, &result, rules)?;
        self.pending.update(key, update, result);
        Ok(())
    }

    fn size_with(
        &self,
        key: &str,
        value: &Value,
        rules: &Rules,
    ) -> Result<(usize, usize), LimitExceeded> {
        let (bytes, count) = self.size_without(key);
        let size = (bytes + entry_size(key, value), count + 1);
        self.check(size, rules)?;
        Ok(size)
    }

    /// Whether entries of this size and number may be stored: what was stored under other limits
    /// may stay, change and shrink.
    fn check(&self, (entries, count): (usize, usize), rules: &Rules) -> Result<(), LimitExceeded> {
        let bytes = entries + self.metadata_size(rules);
        let outgrows = |old: &Record| bytes > old.limited_size() || count > old.values.len();
        match &self.base {
            Some(base) if !outgrows(&base.record) => Ok(()),
            _ => rules.check(bytes, count),
        }
    }

    fn metadata_size(&self, rules: &Rules) -> usize {
        let stored = match &self.base {
            Some(base) => base.record.limited_size() - base.record.values.size(),
            None => rules.fresh_metadata,
        };
        stored
            + self
                .intent
                .growth(self.base.as_ref().map(|base| &*base.record))
    }

    /// Changes what the next commit makes of the metadata, unless the session would then be too
    /// large.
    pub(crate) fn intend(&mut self, intent: Intent, rules: &Rules) -> Result<(), LimitExceeded> {
        let before = std::mem::replace(&mut self.intent, intent);
        let checked = self.check(self.size, rules);
        if checked.is_err() {
            self.intent = before;
        }
        checked
    }

    fn size_without(&self, key: &str) -> (usize, usize) {
        let (bytes, count) = self.size;
        match self.view(key) {
            Some(old) => (bytes - entry_size(key, old), count - 1),
            None => (bytes, count),
        }
    }

    /// Removes a key; whether it was there.
    pub(crate) fn remove(&mut self, key: &str) -> bool {
        let there = self.view(key).is_some();
        if there {
            self.size = self.size_without(key);
            let key = self.shared_key(key);
            self.pending.set(key, None);
        }
        there
    }

    /// Removes every key.
    pub(crate) fn clear(&mut self) {
        self.pending.clear();
        self.size = (0, 0);
        self.flashes = Some(Flashes::default());
    }

    pub(crate) fn measure(&mut self) {
        self.size = self.pending.measure(self.stored());
    }

    /// Whether a commit at `now` would do anything at all.
    pub(crate) fn needs_commit(&self, now: Timestamp) -> bool {
        let due =
            |base: &Base| base.record.touch_due(now) || base.record.owed || base.upkeep.due(now);
        !self.pending.is_empty()
            || !self.doomed.is_empty()
            || !self.intent.is_empty()
            || (self.base.is_none() && self.intent.csrf_seed.is_some())
            || self.tell
            || self.forget
            || self.base.as_ref().is_some_and(due)
    }

    /// Whether dropping the session now would lose something.
    pub(crate) fn is_unsaved(&self) -> bool {
        let changed = match &self.base {
            Some(base) => {
                let changes = self.pending.changes(&base.record.values);
                !changes.keeps_values() || !self.intent.is_empty()
            }
            None => !self.pending.fresh().is_empty() || self.intent.sign_in.is_some(),
        };
        self.phase != Phase::Abandoned
            && self.barred.is_none()
            && (changed || !self.doomed.is_empty())
    }

    /// Ends the session, whatever it is; what comes later belongs to a new one.
    pub(crate) fn destroy(&mut self) {
        self.forget |= self.unopened && self.barred.is_none();
        self.leave(false);
        self.end_rivals();
        for doomed in &mut self.doomed {
            doomed.implied = false;
        }
    }

    /// Where the client's tokens open several sessions, all of them end: with the commit, unless
    /// the handler says so.
    pub(crate) fn end_rivals(&mut self) {
        let rivals = self
            .barred
            .iter_mut()
            .flat_map(|barred| barred.rivals.drain(..));
        self.doomed.extend(rivals.map(|base| base.doomed(true)));
    }

    /// Turns to a new session. The old one ends: at once, or if that is implied, with the commit.
    pub(crate) fn leave(&mut self, implied: bool) {
        if let Some(base) = self.base.take() {
            self.doomed.push(base.doomed(implied));
        }
        self.tell = false;
        self.generation += 1;
        self.discard();
    }

    /// Drops what was changed and not saved.
    pub(crate) fn discard(&mut self) {
        self.flashes = None;
        self.guest = None;
        self.pending.reset();
        self.intent = Intent::default();
        self.asked = Asked::default();
        self.measure();
    }

    /// Takes note that a session may have been created of which no client will be told.
    pub(crate) fn abandon(&mut self, record: &Record) {
        self.doomed.push(Doomed {
            key: Key::Id(record.id),
            who: Who::of(record),
            held: false,
            implied: false,
        });
    }

    /// Takes note that `job` created the session.
    pub(crate) fn created(&mut self, job: Job, key: Key) {
        if job.generation != self.generation {
            // The handler destroyed it while it was being created.
            self.doomed.push(Doomed {
                who: Who::of(&job.record),
                key,
                held: false,
                implied: false,
            });
            return;
        }
        self.tell = true;
        self.written = true;
        self.barred = None;
        self.settle(&job);
        if !self.intent.renews() {
            self.intent.csrf_seed = None;
        }
        self.base = Some(Base {
            key,
            record: job.record,
            secret: job.secret,
            held: false,
            old_key: false,
            stale: false,
            presented: false,
            upkeep: Upkeep::default(),
        });
        self.measure();
    }

    /// Takes note that `job` was applied and made `version`.
    pub(crate) fn updated(&mut self, job: Job, key: Key, version: u64, rules: &Rules) {
        if job.generation != self.generation {
            return;
        }
        self.settle(&job);
        if let Some(base) = &mut self.base {
            self.tell |= job.secret.is_some() || rules.is_sealed() || job.again;
            self.written = true;
            base.old_key &= !job.again && job.secret.is_none();
            base.key = key;
            base.stale = job.record.version != version;
            let other_tokens = job.changes.metadata() == Metadata::Replaced;
            if let Some(secret) = job.secret {
                base.secret = Some(secret);
                base.presented = false;
            }
            match other_tokens {
                true => base.replace(job.record, &rules.rotation),
                false => base.record = job.record,
            }
        }
        self.measure();
    }

    fn settle(&mut self, job: &Job) {
        self.guest = None;
        self.pending
            .settle(&job.taken, &job.record.values, self.phase == Phase::Open);
        self.intent.settle(&job.intent);
    }

    /// The session on the server whose token is about to be told, if it was written before the save
    /// that runs: its key, epoch and generation.
    pub(crate) fn to_confirm(&self) -> Option<(Key, u64, u32)> {
        let base = self.base.as_ref().filter(|_| self.tell && !self.written)?;
        base.key.id()?;
        Some((base.key.clone(), base.record.epoch, self.generation))
    }

    /// The next destroyed session to delete.
    pub(crate) fn next_doomed(&self, implied_too: bool) -> Option<&Doomed> {
        self.doomed
            .iter()
            .find(|doomed| implied_too || !doomed.implied)
    }

    /// Takes note of what others have made of the record.
    pub(crate) fn loaded_anew(&mut self, record: Arc<Record>, rotation: &Rotation) {
        self.guest = None;
        if let Some(base) = &mut self.base {
            base.replace(record, rotation);
            base.stale = false;
        }
        self.measure();
    }

    /// Takes note that the session ended while this request was changing it. Only a sign-in
    /// goes on, with this request's own values.
    pub(crate) fn gone(&mut self) -> Option<Who> {
        let who = self.who();
        self.base = None;
        self.tell = false;
        self.barred = Some(Box::default());
        match self.intent.sign_in {
            Some(_) => self.pending.start_over(),
            None => self.discard(),
        }
        self.measure();
        who
    }

    /// Takes note that activity or a rotation, and nothing else, was not written: nothing is lost.
    pub(crate) fn unwritten(&mut self) -> Option<Who> {
        self.unknown = None;
        self.base.as_mut()?.stale = true;
        self.who()
    }

    /// What the client must be told of what has been written.
    pub(crate) fn directive(
        &self,
        now: Timestamp,
        rotation: &Rotation,
        sign: impl Fn(&Base) -> Option<String>,
    ) -> Directive {
        match &self.base {
            Some(base) if self.tell => match sign(base) {
                Some(text) => {
                    Directive::Hold(ClientToken::new(text, rotation.max_age(&base.record, now)))
                }
                None => Directive::Nothing,
            },
            _ if self.forget => Directive::Forget,
            _ => Directive::Nothing,
        }
    }
}

#[cfg(test)]
mod tests;
