//! What a session knows in one request: what was loaded, what changed, what to tell the client.

use std::sync::Arc;

use bytestring::ByteString;

use crate::error::StoreError;
use crate::event::Who;
use crate::record::Arena;
use crate::record::entry_size;
use crate::record::{LimitExceeded, Record, SessionId, TokenMaintenance, Value, Values};
use crate::settings::Settings;
use crate::state::Barred;
use crate::state::Flashes;
use crate::state::Guest;
use crate::state::PlannedWrite;
use crate::state::{Edits, UpdateFn};
use crate::state::{MetadataEdits, Requested};
use crate::state::{PendingDeletion, Stored};
use crate::store::{Key, Metadata};
use crate::time::Timestamp;
use crate::token::Rotation;
use crate::token::{ClientToken, Directive};

/// The state of one session in one request.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) base: Option<Stored>,
    pub(crate) edits: Edits,
    pub(crate) metadata: MetadataEdits,
    pub(crate) asked: Requested,
    /// Sessions that this request destroyed and that are not yet deleted.
    pub(crate) deletions: Vec<PendingDeletion>,
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
    pub(crate) fn opened(base: Option<Stored>, barred: Option<Box<Barred>>) -> Self {
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
        self.edits.view(self.stored(), key)
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
        settings: &Settings,
    ) -> Result<(), LimitExceeded> {
        if !self.edits.changes_key(&key) && self.view(&key) == Some(&value) {
            self.edits.keep(key, value);
            return Ok(());
        }
        self.size = self.size_with(&key, &value, settings)?;
        self.edits.set(key, Some(value));
        Ok(())
    }

    /// Adds a closure to a key's changes, unless the session would then hold too much.
    pub(crate) fn update(
        &mut self,
        key: ByteString,
        update: UpdateFn,
        result: Value,
        settings: &Settings,
    ) -> Result<(), LimitExceeded> {
        self.size = self.size_with(&key, &result, settings)?;
        self.edits.update(key, update, result);
        Ok(())
    }

    fn size_with(
        &self,
        key: &str,
        value: &Value,
        settings: &Settings,
    ) -> Result<(usize, usize), LimitExceeded> {
        let (bytes, count) = self.size_without(key);
        let size = (bytes + entry_size(key, value), count + 1);
        self.check(size, settings)?;
        Ok(size)
    }

    /// Whether entries of this size and number may be stored: what was stored under other limits
    /// may stay, change and shrink.
    fn check(
        &self,
        (entries, count): (usize, usize),
        settings: &Settings,
    ) -> Result<(), LimitExceeded> {
        let bytes = entries + self.metadata_size(settings);
        let outgrows = |old: &Record| bytes > old.limited_size() || count > old.values.len();
        match &self.base {
            Some(base) if !outgrows(&base.record) => Ok(()),
            _ => settings.check(bytes, count),
        }
    }

    fn metadata_size(&self, settings: &Settings) -> usize {
        let stored = match &self.base {
            Some(base) => base.record.limited_size() - base.record.values.size(),
            None => settings.fresh_metadata,
        };
        stored
            + self
                .metadata
                .growth(self.base.as_ref().map(|base| &*base.record))
    }

    /// Changes what the next commit makes of the metadata, unless the session would then be too
    /// large.
    pub(crate) fn intend(
        &mut self,
        metadata: MetadataEdits,
        settings: &Settings,
    ) -> Result<(), LimitExceeded> {
        let before = std::mem::replace(&mut self.metadata, metadata);
        let checked = self.check(self.size, settings);
        if checked.is_err() {
            self.metadata = before;
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
            self.edits.set(key, None);
        }
        there
    }

    /// Removes every key.
    pub(crate) fn clear(&mut self) {
        self.edits.clear();
        self.size = (0, 0);
        self.flashes = Some(Flashes::default());
    }

    pub(crate) fn measure(&mut self) {
        self.size = self.edits.measure(self.stored());
    }

    /// Whether a commit at `now` would do anything at all.
    pub(crate) fn needs_commit(&self, now: Timestamp) -> bool {
        let due =
            |base: &Stored| base.record.touch_due(now) || base.record.owed || base.upkeep.due(now);
        !self.edits.is_empty()
            || !self.deletions.is_empty()
            || !self.metadata.is_empty()
            || (self.base.is_none() && self.metadata.csrf_seed.is_some())
            || self.tell
            || self.forget
            || self.base.as_ref().is_some_and(due)
    }

    /// Whether dropping the session now would lose something.
    pub(crate) fn is_unsaved(&self) -> bool {
        let changed = match &self.base {
            Some(base) => {
                let changes = self.edits.changes(&base.record.values);
                !changes.keeps_values() || !self.metadata.is_empty()
            }
            None => !self.edits.fresh().is_empty() || self.metadata.sign_in.is_some(),
        };
        self.phase != Phase::Abandoned
            && self.barred.is_none()
            && (changed || !self.deletions.is_empty())
    }

    /// Ends the session, whatever it is; what comes later belongs to a new one.
    pub(crate) fn destroy(&mut self) {
        self.forget |= self.unopened && self.barred.is_none();
        self.leave(false);
        self.end_rivals();
        for deletions in &mut self.deletions {
            deletions.implied = false;
        }
    }

    /// Where the client's tokens open several sessions, all of them end: with the commit, unless
    /// the handler says so.
    pub(crate) fn end_rivals(&mut self) {
        let rivals = self
            .barred
            .iter_mut()
            .flat_map(|barred| barred.rivals.drain(..));
        self.deletions
            .extend(rivals.map(|base| base.deletions(true)));
    }

    /// Turns to a new session. The old one ends: at once, or if that is implied, with the commit.
    pub(crate) fn leave(&mut self, implied: bool) {
        if let Some(base) = self.base.take() {
            self.deletions.push(base.deletions(implied));
        }
        self.tell = false;
        self.generation += 1;
        self.discard();
    }

    /// Drops what was changed and not saved.
    pub(crate) fn discard(&mut self) {
        self.flashes = None;
        self.guest = None;
        self.edits.reset();
        self.metadata = MetadataEdits::default();
        self.asked = Requested::default();
        self.measure();
    }

    /// Takes note that a session may have been created of which no client will be told.
    pub(crate) fn abandon(&mut self, record: &Record) {
        self.deletions.push(PendingDeletion {
            key: Key::Id(record.id),
            who: Who::of(record),
            held: false,
            implied: false,
        });
    }

    /// Takes note that `job` created the session.
    pub(crate) fn created(&mut self, job: PlannedWrite, key: Key) {
        if job.generation != self.generation {
            // The handler destroyed it while it was being created.
            self.deletions.push(PendingDeletion {
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
        self.acknowledge(&job);
        if !self.metadata.renews() {
            self.metadata.csrf_seed = None;
        }
        self.base = Some(Stored {
            key,
            record: job.record,
            secret: job.secret,
            held: false,
            old_key: false,
            stale: false,
            presented: false,
            upkeep: TokenMaintenance::default(),
        });
        self.measure();
    }

    /// Takes note that `job` was applied and made `version`.
    pub(crate) fn updated(
        &mut self,
        job: PlannedWrite,
        key: Key,
        version: u64,
        settings: &Settings,
    ) {
        if job.generation != self.generation {
            return;
        }
        self.acknowledge(&job);
        if let Some(base) = &mut self.base {
            self.tell |= job.secret.is_some() || settings.is_sealed() || job.again;
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
                true => base.replace(job.record, &settings.rotation),
                false => base.record = job.record,
            }
        }
        self.measure();
    }

    fn acknowledge(&mut self, job: &PlannedWrite) {
        self.guest = None;
        self.edits.acknowledge(
            &job.savepoint,
            &job.record.values,
            self.phase == Phase::Open,
        );
        self.metadata.acknowledge(&job.metadata);
    }

    /// The session on the server whose token is about to be told, if it was written before the save
    /// that runs: its key, epoch and generation.
    pub(crate) fn to_confirm(&self) -> Option<(Key, u64, u32)> {
        let base = self.base.as_ref().filter(|_| self.tell && !self.written)?;
        base.key.id()?;
        Some((base.key.clone(), base.record.epoch, self.generation))
    }

    /// The next destroyed session to delete.
    pub(crate) fn next_deletion(&self, implied_too: bool) -> Option<&PendingDeletion> {
        self.deletions
            .iter()
            .find(|deletions| implied_too || !deletions.implied)
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
        match self.metadata.sign_in {
            Some(_) => self.edits.start_over(),
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
        sign: impl Fn(&Stored) -> Option<String>,
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
