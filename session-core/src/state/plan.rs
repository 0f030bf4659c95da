//! What a save has to write: decided here, without I/O.

use std::sync::Arc;

use crate::crypto::random_bytes_of_three;
use crate::error::Error;
use crate::record::{Record, SessionId};
use crate::settings::Settings;
use crate::state::PlannedWrite;
use crate::state::Savepoint;
use crate::state::Stored;
use crate::state::{MetadataEdits, SaveKind};
use crate::state::{Phase, State};
use crate::store::{Changes, Key, Metadata};
use crate::time::Timestamp;
use crate::token::Secret;

/// What a save has to do.
#[expect(
    clippy::large_enum_variant,
    reason = "it is savepoint apart where it was made; a box would cost every write an allocation"
)]
pub(crate) enum Plan {
    Nothing,
    /// There is something to store, and it may not be: say so.
    Withhold(&'static str),
    Write(PlannedWrite),
    /// The session gets a lifetime that is over: it ends.
    End,
}

/// What is to be done with a client's token.
struct Tokens {
    /// It gets a successor.
    rotate: bool,
    /// It is told once more, unchanged.
    again: bool,
    /// The client is to hear of it, and this write cannot tell: a later one has to.
    owed: bool,
}

const KEEPING_TOKEN: &str = "the response cannot carry a new token";

impl State {
    /// Decides what a save has to write.
    pub(crate) fn plan(
        &mut self,
        now: Timestamp,
        kind: SaveKind,
        settings: &Settings,
    ) -> Result<Plan, Error> {
        let mut metadata = self.metadata.due(kind);
        if self.barred.is_some() && metadata.sign_in.is_none() {
            let waits = kind == SaveKind::Save && self.metadata.sign_in.is_some();
            return Ok(match waits || self.is_idle() {
                true => Plan::Nothing,
                false => Plan::Withhold(
                    "its token was renewed, or it ended, since this request was sent",
                ),
            });
        }
        if self.base.is_some() && metadata.renews() {
            metadata.csrf_seed = Some(self.metadata.draw_seed()?);
        }
        let mut plan = match &self.base {
            Some(base) => self.plan_update(base, metadata, now, kind, settings)?,
            None => self.plan_create(metadata, now, kind, settings)?,
        };
        if let Plan::Write(job) = &mut plan {
            job.savepoint = self.edits.take();
            self.guest = None;
        }
        Ok(plan)
    }

    fn is_idle(&self) -> bool {
        self.edits.is_empty() && self.metadata.is_empty()
    }

    fn plan_create(
        &mut self,
        metadata: MetadataEdits,
        now: Timestamp,
        kind: SaveKind,
        settings: &Settings,
    ) -> Result<Plan, Error> {
        let values = self.edits.fresh();
        if values.is_empty() && metadata.sign_in.is_none() && metadata.csrf_seed.is_none() {
            return Ok(match (&self.metadata.sign_in, kind) {
                (Some(_), SaveKind::CommitKeepingToken) => Plan::Withhold(KEEPING_TOKEN),
                _ => Plan::Nothing,
            });
        }
        match kind {
            _ if self.phase != Phase::Open => return Err(Error::Detached),
            SaveKind::CommitKeepingToken => return Ok(Plan::Withhold(KEEPING_TOKEN)),
            SaveKind::Save | SaveKind::Commit => {}
        }
        let asked = &self.asked;
        let lifetime = metadata
            .lifetime
            .or(asked.lifetime)
            .unwrap_or(settings.lifetime);
        // One call of the system for all of it.
        let [id, secret, seed] = random_bytes_of_three()?;
        let mut record = Record::new(
            SessionId::from_bytes(id),
            settings.scope.clone(),
            lifetime,
            now,
        );
        record.values = values;
        record.csrf_seed = *self.metadata.csrf_seed.get_or_insert(seed);
        record.label = metadata.label.as_ref().or(asked.label.as_ref()).cloned();
        if let Some(principal) = &metadata.sign_in {
            record.principal = Some(principal.clone());
            record.authenticated = Some(metadata.authenticated(now));
        }
        let secret = (!settings.is_sealed()).then(|| Secret::from_bytes(secret));
        if let Some(secret) = &secret {
            record.tokens.issue(secret.hash(), record.epoch, now);
        }
        settings.check_record(&record)?;
        Ok(Plan::Write(PlannedWrite {
            creates: true,
            key: Key::Id(record.id),
            epoch: record.epoch,
            record: Arc::new(record),
            secret,
            changes: Changes::new(),
            expected: None,
            reload: false,
            generation: self.generation,
            again: false,
            savepoint: Savepoint::default(),
            metadata,
        }))
    }

    fn plan_update(
        &self,
        base: &Stored,
        metadata: MetadataEdits,
        now: Timestamp,
        kind: SaveKind,
        settings: &Settings,
    ) -> Result<Plan, Error> {
        let old = &*base.record;
        let changes = self.edits.changes(&old.values);
        let asked = !changes.keeps_values() || !metadata.is_empty();
        // A save before the response writes activity beside other changes only: the commit follows.
        // After it, to save is what keeps a session alive.
        let saves = kind != SaveKind::Save || asked;
        let touched = (saves || self.phase != Phase::Open) && old.touch_due(now);
        let upkeep = self.upkeep(base, &metadata, now, kind, touched, settings);
        let set_back = touched && old.is_ahead(now);
        let replaced = !metadata.is_empty()
            || (saves && base.upkeep.confirms())
            || upkeep.rotate
            || upkeep.owed != old.owed
            || set_back;
        if !asked && !replaced && !touched {
            return Ok(Plan::Nothing);
        }
        let sealed = settings.is_sealed();
        if sealed && (self.phase != Phase::Open || kind == SaveKind::CommitKeepingToken) {
            // Every write of a sealed session is a new token.
            return match (self.phase, !asked) {
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
        if set_back {
            record.bring_back(now);
        }
        let mut secret = metadata.apply(&mut record, now, settings)?;
        record.owed = upkeep.owed;
        if replaced && secret.is_none() {
            record.last_seen = record.last_seen.max(now);
            secret = upkeep.rotate.then(Secret::random).transpose()?;
            let current = base.presented && !base.upkeep.is_superseded();
            if let Some(presented) = base.secret.as_ref().filter(|_| current) {
                let rules = settings.rotation.rules_for(&record);
                let successor = secret.as_ref().map(Secret::hash);
                record
                    .tokens
                    .advance(&presented.hash(), successor, now, &rules);
            }
        }
        if old.is_live(now) && !record.is_live(now) {
            return Ok(Plan::End);
        }
        if record.outgrows(old) {
            settings.check_record(&record)?;
        }
        let versioned = replaced || self.edits.depends_on_stored();
        Ok(Plan::Write(PlannedWrite {
            creates: false,
            key: base.key.clone(),
            epoch: old.epoch,
            record: Arc::new(record),
            secret,
            changes,
            expected: versioned.then_some(old.version),
            // What has expired was kept alive by another request, or is gone.
            reload: (base.stale && versioned) || !old.is_live(now),
            generation: self.generation,
            again: upkeep.again,
            savepoint: Savepoint::default(),
            metadata,
        }))
    }

    /// What beside the handler's changes is to be done with the client's token.
    fn upkeep(
        &self,
        base: &Stored,
        metadata: &MetadataEdits,
        now: Timestamp,
        kind: SaveKind,
        touched: bool,
        settings: &Settings,
    ) -> Tokens {
        let rotates = settings.rotation.is_on();
        let lifetime = metadata.lifetime.unwrap_or(base.record.lifetime);
        let writes = touched || !metadata.is_empty();
        // Another `Max-Age`, or the token signed with the newest key. Where tokens rotate, the
        // `Max-Age` moves with them.
        let news = lifetime != base.record.lifetime
            || writes && base.old_key && !base.upkeep.is_superseded()
            || writes && lifetime.is_persistent() && !rotates;
        let owed = base.record.owed || news;
        // A save may be followed by no answer, so that it cannot tell.
        let may_tell = kind == SaveKind::Commit && !base.upkeep.is_superseded();
        // No token is told twice where tokens rotate: of two answers that overtake each other the
        // later one could bring back what the earlier one has replaced.
        let may_rotate = may_tell && self.phase == Phase::Open && base.upkeep.rotates();
        let again = may_tell && owed && !rotates;
        let rotate = may_rotate && !metadata.renews() && (owed || base.upkeep.rotation_due(now));
        // The client hears of a token that was created in this request, and of a sealed one, in any
        // case.
        let tells = again || rotate || metadata.renews() || self.tell || settings.is_sealed();
        Tokens {
            rotate,
            again,
            owed: owed && !tells,
        }
    }
}
