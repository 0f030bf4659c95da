//! What a session knows in one request: what was loaded, what changed, what to tell the client.

use std::sync::Arc;

use bytestring::ByteString;

use crate::arena::Arena;
use crate::pending::{Pending, Taken, UpdateFn};
use crate::record::{TOKEN_SIZE, TokenHash};
use crate::token::{Secret, random_bytes};
use crate::values::entry_size;
use crate::{
    Capability, Changes, ClientToken, Codec, Directive, Error, Key, Lifetime, LimitExceeded, Limits,
    Metadata, Record, SessionId, StoreError, Timestamp, Value, Values, event,
};

/// How long a token that a renewal retired is answered as anonymous instead of as a stranger's.
pub(crate) const RENEWAL_GRACE: std::time::Duration = std::time::Duration::from_secs(10);
/// A retired token is kept in the record as long as it may matter, and only so many of them.
const RETIRED_KEPT: usize = 8;

/// What every session of a manager goes by.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) scope: ByteString,
    pub(crate) lifetime: Lifetime,
    pub(crate) codec: Codec,
    pub(crate) limits: Limits,
    pub(crate) capability: Capability,
    /// Characters that a sealed token may have.
    pub(crate) max_token: usize,
    /// What the metadata of a new session takes at most.
    pub(crate) fresh_metadata: usize,
}

/// The state of one session in one request.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) base: Option<Base>,
    pub(crate) pending: Pending,
    pub(crate) intent: Intent,
    /// Sessions that this request destroyed and that are not yet deleted.
    pub(crate) doomed: Vec<Doomed>,
    /// The client must hear of the current token.
    pub(crate) tell: bool,
    /// The session that the client holds a token of was destroyed by this request.
    pub(crate) forget: bool,
    /// The token was renewed elsewhere, or the session ended under this request: nothing
    /// is stored and nothing sent, unless somebody signs in.
    pub(crate) muted: bool,
    pub(crate) phase: Phase,
    /// A write was sent and its outcome is not known.
    pub(crate) unknown: Option<StoreError>,
    pub(crate) arena: Arena,
    /// Bytes and number of the entries that the handler sees.
    size: (usize, usize),
}

/// The session as the store has it: loaded, or last saved.
pub(crate) struct Base {
    pub(crate) key: Key,
    pub(crate) record: Arc<Record>,
    /// What the client's token proves; none with a sealed store.
    pub(crate) secret: Option<Secret>,
    /// The client presented a token of it.
    pub(crate) held: bool,
    /// The token was signed with an older key.
    pub(crate) old_key: bool,
    /// Others wrote too when this was last saved; load it before relying on its version.
    pub(crate) stale: bool,
}

/// A session that was destroyed.
pub(crate) struct Doomed {
    pub(crate) key: Key,
    pub(crate) id: SessionId,
    pub(crate) held: bool,
}

/// Changes of metadata that the next commit makes.
#[derive(Clone, Default)]
pub(crate) struct Intent {
    pub(crate) renew: bool,
    pub(crate) sign_in: Option<ByteString>,
    pub(crate) lifetime: Option<Lifetime>,
    pub(crate) label: Option<ByteString>,
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

/// What a save is part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Occasion {
    /// The handler asked for it.
    Save,
    /// The request has succeeded.
    Commit,
    /// It has succeeded, with a response that must not carry a new token.
    CommitKeepingToken,
}

/// What a save has to do.
pub(crate) enum Plan {
    Nothing,
    /// There is something to store, and it may not be: say so.
    Withhold(&'static str),
    Create(Job),
    Update(Job),
}

/// One write.
pub(crate) struct Job {
    pub(crate) record: Arc<Record>,
    pub(crate) secret: Option<Secret>,
    pub(crate) changes: Changes,
    pub(crate) expected: Option<u64>,
    taken: Taken,
    /// The intents that it carries out.
    intent: Intent,
}

impl Job {
    /// Whether it records activity and nothing else.
    pub(crate) fn only_touches(&self) -> bool {
        self.changes.keeps_values() && matches!(self.changes.metadata(), Metadata::Touched(_))
    }

    /// Whether it renews, and whether that is a sign-in.
    pub(crate) fn renews(&self) -> Option<bool> {
        let signs_in = self.intent.sign_in.is_some();
        (self.intent.renew || signs_in).then_some(signs_in)
    }
}

impl State {
    pub(crate) fn opened(base: Option<Base>, muted: bool) -> Self {
        let mut state = Self {
            base,
            muted,
            ..Self::default()
        };
        state.measure();
        state
    }

    pub(crate) fn stored(&self) -> Option<&Values> {
        self.base.as_ref().map(|base| &base.record.values)
    }

    pub(crate) fn id(&self) -> Option<SessionId> {
        self.base.as_ref().map(|base| base.record.id)
    }

    pub(crate) fn view(&self, key: &str) -> Option<&Value> {
        self.pending.view(self.stored(), key)
    }

    pub(crate) fn count(&self) -> usize {
        self.size.1
    }

    /// `key` as shared bytes.
    pub(crate) fn shared_key(&mut self, key: &str) -> ByteString {
        let stored = self.base.as_ref().and_then(|base| base.record.values.key(key));
        stored.cloned().unwrap_or_else(|| self.arena.text(key))
    }

    /// Sets a key, unless the session would then hold too much.
    pub(crate) fn put(&mut self, key: ByteString, value: Value, rules: &Rules) -> Result<(), LimitExceeded> {
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

    fn size_with(&self, key: &str, value: &Value, rules: &Rules) -> Result<(usize, usize), LimitExceeded> {
        let (bytes, count) = self.size_without(key);
        let size = (bytes + entry_size(key, value), count + 1);
        let metadata = match &self.base {
            Some(base) => base.record.size() - base.record.values.size(),
            None => rules.fresh_metadata,
        };
        rules.check(size.0 + metadata, size.1)?;
        Ok(size)
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
    }

    pub(crate) fn measure(&mut self) {
        self.size = self.pending.measure(self.stored());
    }

    /// Whether a commit at `now` would do anything at all.
    pub(crate) fn needs_commit(&self, now: Timestamp) -> bool {
        let due = |base: &Base| touch_due(&base.record, now);
        !self.pending.is_empty()
            || !self.doomed.is_empty()
            || !self.intent.is_empty()
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
        self.phase != Phase::Abandoned && !self.muted && (changed || !self.doomed.is_empty())
    }

    /// Ends the session, whatever it is; what comes later belongs to a new one.
    pub(crate) fn destroy(&mut self) {
        if let Some(base) = self.base.take() {
            self.doomed.push(Doomed {
                id: base.record.id,
                key: base.key,
                held: base.held,
            });
        }
        self.tell = false;
        self.discard();
    }

    /// Drops what was changed and not saved.
    pub(crate) fn discard(&mut self) {
        self.pending = Pending::default();
        self.intent = Intent::default();
        self.measure();
    }

    /// Decides what a save has to write.
    pub(crate) fn plan(&self, now: Timestamp, occasion: Occasion, rules: &Rules) -> Result<Plan, Error> {
        let intent = self.intent.due(occasion);
        if self.muted && intent.sign_in.is_none() {
            return Ok(match self.is_idle() {
                true => Plan::Nothing,
                false => Plan::Withhold("its token was renewed, or it ended, since this request was sent"),
            });
        }
        match &self.base {
            Some(base) => self.plan_update(base, intent, now, occasion, rules),
            None => self.plan_create(intent, now, occasion, rules),
        }
    }

    fn is_idle(&self) -> bool {
        self.pending.is_empty() && self.intent.is_empty()
    }

    fn plan_create(
        &self,
        intent: Intent,
        now: Timestamp,
        occasion: Occasion,
        rules: &Rules,
    ) -> Result<Plan, Error> {
        let values = self.pending.fresh();
        if values.is_empty() && intent.sign_in.is_none() {
            return Ok(match (&self.intent.sign_in, occasion) {
                (Some(_), Occasion::CommitKeepingToken) => Plan::Withhold(KEEPING_TOKEN),
                _ => Plan::Nothing,
            });
        }
        match occasion {
            _ if self.phase != Phase::Open => return Err(Error::Detached),
            Occasion::CommitKeepingToken => return Ok(Plan::Withhold(KEEPING_TOKEN)),
            Occasion::Save | Occasion::Commit => {}
        }
        let lifetime = intent.lifetime.unwrap_or(rules.lifetime);
        let mut record = Record::new(SessionId::random()?, rules.scope.clone(), lifetime, now);
        record.values = values;
        record.csrf_seed = random_bytes()?;
        record.label = intent.label.clone();
        if let Some(principal) = &intent.sign_in {
            record.principal = Some(principal.clone());
            record.authenticated = Some(now);
        }
        let secret = rules.new_secret()?;
        record
            .tokens
            .extend(secret.as_ref().map(|secret| issued(secret, now, 0)));
        rules.check_record(&record)?;
        Ok(Plan::Create(Job {
            record: Arc::new(record),
            secret,
            changes: Changes::new(),
            expected: None,
            taken: self.pending.take(),
            intent,
        }))
    }

    fn plan_update(
        &self,
        base: &Base,
        intent: Intent,
        now: Timestamp,
        occasion: Occasion,
        rules: &Rules,
    ) -> Result<Plan, Error> {
        let old = &*base.record;
        let changes = self.pending.changes(&old.values);
        let touched = occasion != Occasion::Save && touch_due(old, now);
        let replaced = !intent.is_empty();
        if changes.keeps_values() && !replaced && !touched {
            return Ok(Plan::Nothing);
        }
        let sealed = rules.is_sealed();
        if sealed && (self.phase != Phase::Open || occasion == Occasion::CommitKeepingToken) {
            // Every write of a sealed session is a new token.
            return match (self.phase, changes.keeps_values() && !replaced) {
                (_, true) => Ok(Plan::Nothing),
                (Phase::Open, false) => Ok(Plan::Withhold(KEEPING_TOKEN)),
                (_, false) => Err(Error::Detached),
            };
        }
        let changes = changes.with_metadata(match (replaced, touched) {
            (true, _) => Metadata::Replaced,
            (false, true) => Metadata::Touched(now),
            (false, false) => Metadata::Unchanged,
        });
        let mut record = changes.apply(old);
        let secret = intent.apply(&mut record, now, rules)?;
        rules.check_record(&record)?;
        let versioned = replaced || self.pending.depends_on_stored();
        Ok(Plan::Update(Job {
            record: Arc::new(record),
            secret,
            changes,
            expected: versioned.then_some(old.version),
            taken: self.pending.take(),
            intent,
        }))
    }

    /// Takes note that `job` created the session.
    pub(crate) fn created(&mut self, job: Job, key: Key) {
        self.tell = true;
        self.muted = false;
        self.base = Some(Base {
            key,
            record: job.record,
            secret: job.secret,
            held: false,
            old_key: false,
            stale: false,
        });
        self.settle(&job.taken, &job.intent);
    }

    /// Takes note that `job` was applied and made `version`.
    pub(crate) fn updated(&mut self, job: Job, key: Key, version: u64, rules: &Rules) {
        if let Some(base) = &mut self.base {
            let touched = job.changes.metadata() != Metadata::Unchanged;
            let moves = job.record.lifetime.is_persistent() || base.old_key;
            let other = job.record.lifetime != base.record.lifetime;
            self.tell |= job.secret.is_some() || rules.is_sealed() || (touched && (moves || other));
            base.old_key &= !touched;
            base.key = key;
            base.stale = job.record.version != version;
            base.record = job.record;
            if let Some(secret) = job.secret {
                base.secret = Some(secret);
            }
        }
        self.settle(&job.taken, &job.intent);
    }

    fn settle(&mut self, taken: &Taken, done: &Intent) {
        self.pending.settle(taken);
        self.intent.settle(done);
        self.measure();
    }

    /// Takes note that the session ended while this request was changing it. Only a sign-in
    /// goes on, with this request's own values.
    pub(crate) fn gone(&mut self) {
        self.base = None;
        self.tell = false;
        self.muted = true;
        if self.intent.sign_in.is_none() {
            self.discard();
        }
        self.measure();
    }

    /// Takes note that activity, and nothing else, could not be written: nothing is lost.
    pub(crate) fn touch_failed(&mut self, error: &Error) {
        self.unknown = None;
        if let Some(base) = &mut self.base {
            base.stale = true;
            event::touch_failed(base.record.id, error);
        }
    }

    /// What the client must be told of what has been written.
    pub(crate) fn directive(&self, now: Timestamp, sign: impl Fn(&Base) -> Option<String>) -> Directive {
        match &self.base {
            Some(base) if self.tell => match sign(base) {
                Some(text) => {
                    let persistent = base.record.lifetime.is_persistent();
                    let max_age = persistent.then(|| base.record.expires().since(now));
                    Directive::Hold(ClientToken::new(text, max_age))
                }
                None => Directive::Nothing,
            },
            _ if self.forget => Directive::Forget,
            _ => Directive::Nothing,
        }
    }
}

const KEEPING_TOKEN: &str = "the response cannot carry a new token";

fn touch_due(record: &Record, now: Timestamp) -> bool {
    now.since(record.last_seen) >= record.lifetime.touch_interval()
}

fn issued(secret: &Secret, now: Timestamp, epoch: u64) -> TokenHash {
    TokenHash {
        hash: secret.hash(),
        issued: now,
        epoch,
        confirmed: None,
        retired: None,
    }
}

impl Intent {
    fn is_empty(&self) -> bool {
        !self.renew && self.sign_in.is_none() && self.lifetime.is_none() && self.label.is_none()
    }

    /// The part that a save on this occasion may carry out: renewals wait for the commit.
    fn due(&self, occasion: Occasion) -> Self {
        let renewing = occasion == Occasion::Commit;
        Self {
            renew: renewing && self.renew,
            sign_in: self.sign_in.clone().filter(|_| renewing),
            lifetime: self.lifetime,
            label: self.label.clone(),
        }
    }

    /// Forgets what was carried out.
    fn settle(&mut self, done: &Self) {
        self.renew &= !done.renew && done.sign_in.is_none();
        if self.sign_in == done.sign_in {
            self.sign_in = None;
        }
        if self.lifetime == done.lifetime {
            self.lifetime = None;
        }
        if self.label == done.label {
            self.label = None;
        }
    }

    /// Carries itself out on `record`; the new secret where that renews its token.
    fn apply(&self, record: &mut Record, now: Timestamp, rules: &Rules) -> Result<Option<Secret>, Error> {
        if self.is_empty() {
            return Ok(None);
        }
        record.last_seen = record.last_seen.max(now);
        if let Some(lifetime) = self.lifetime {
            let started = record.authenticated.unwrap_or(record.created);
            record.lifetime = lifetime;
            record.deadline = record.deadline.min(started.plus(lifetime.absolute()));
        }
        if let Some(label) = &self.label {
            record.label = Some(label.clone());
        }
        if let Some(principal) = &self.sign_in {
            record.principal = Some(principal.clone());
            record.authenticated = Some(now);
            record.deadline = now.plus(record.lifetime.absolute());
        }
        if !self.renew && self.sign_in.is_none() {
            return Ok(None);
        }
        record.epoch += 1;
        record.csrf_seed = random_bytes()?;
        let secret = rules.new_secret()?;
        retire(&mut record.tokens, now);
        record
            .tokens
            .extend(secret.as_ref().map(|secret| issued(secret, now, record.epoch)));
        Ok(secret)
    }
}

/// Retires all tokens, and drops those that have been so for long.
fn retire(tokens: &mut Vec<TokenHash>, now: Timestamp) {
    tokens.retain(|token| token.retired.is_none_or(|since| now.since(since) < RENEWAL_GRACE));
    let surplus = tokens.len().saturating_sub(RETIRED_KEPT);
    tokens.drain(..surplus);
    for token in tokens {
        token.retired.get_or_insert(now);
    }
}

impl Rules {
    pub(crate) const fn is_sealed(&self) -> bool {
        matches!(self.capability, Capability::Client { .. })
    }

    fn new_secret(&self) -> Result<Option<Secret>, Error> {
        match self.is_sealed() {
            true => Ok(None),
            false => Secret::random().map(Some),
        }
    }

    /// What the metadata of a new session takes at most.
    pub(crate) fn fresh_metadata(scope: &ByteString, capability: Capability) -> usize {
        let id = SessionId::from_bytes([0; 16]);
        let empty = Record::new(id, scope.clone(), Lifetime::default(), Timestamp::default());
        match capability {
            Capability::Server => empty.size() + TOKEN_SIZE,
            Capability::Client { .. } => empty.size(),
        }
    }

    fn check_record(&self, record: &Record) -> Result<(), LimitExceeded> {
        self.check(record.size(), record.values.len())
    }

    fn check(&self, bytes: usize, keys: usize) -> Result<(), LimitExceeded> {
        self.limits.check(bytes, keys)?;
        if let Capability::Client { overhead, .. } = self.capability {
            let size = ((bytes + overhead) * 4).div_ceil(3);
            if size > self.max_token {
                let limit = self.max_token;
                return Err(LimitExceeded::TokenBytes { size, limit });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
