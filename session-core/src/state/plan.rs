//! What a save has to write: decided here, without I/O.

use std::sync::Arc;

use crate::crypto::random_bytes_of_three;
use crate::error::SessionError;
use crate::event::{Renewal, Who};
use crate::record::{Record, SessionId};
use crate::settings::Settings;
use crate::state::{
    Basis, Current, Due, MetadataEdits, PendingDeletion, Phase, PlannedCreate, PlannedReload,
    PlannedUpdate, SaveKind, Savepoint, State, Stored, TokenChange, TokenState,
};
use crate::store::{Changes, Metadata, Update};
use crate::time::Timestamp;
use crate::token::Secret;

/// What a save has to do.
pub(crate) enum Plan {
    Nothing,
    /// There is something to store, and it may not be: say so.
    Withhold(&'static str),
    Create(PlannedCreate),
    Update(PlannedUpdate),
    /// What was loaded cannot be relied on: load it again, and plan again.
    Reload(PlannedReload),
    /// The session gets a lifetime that is over: it ends.
    End,
}

impl Plan {
    /// Who signs in by it.
    pub(crate) fn signed_in(&self) -> Option<Who> {
        let (metadata, record) = match self {
            Self::Create(planned) => (&planned.metadata, &planned.record),
            Self::Update(planned) => (&planned.metadata, planned.record()),
            Self::Nothing | Self::Withhold(_) | Self::Reload(_) | Self::End => return None,
        };
        (metadata.renewal() == Some(Renewal::SignIn)).then(|| Who::of(record))
    }

    /// Whether nothing is lost if it fails: no handler asked for what it writes.
    pub(crate) fn may_fail(&self, kind: SaveKind) -> bool {
        let is_maintenance = match self {
            Self::Update(planned) => planned.is_maintenance(),
            Self::Reload(planned) => planned.is_maintenance,
            Self::Nothing | Self::Withhold(_) | Self::Create(_) | Self::End => false,
        };
        is_maintenance && !kind.is_explicit()
    }
}

const KEEPING_TOKEN: &str = "the response cannot carry a new token";
const UNPROVEN: &str = "its session is bound to a device, and the request has no proof of that";
const BARRED: &str = "its token was renewed, or it ended, since this request was sent";

impl State {
    /// Decides what a save has to write.
    pub(crate) fn plan(
        &mut self,
        now: Timestamp,
        kind: SaveKind,
        settings: &Settings,
    ) -> Result<Plan, SessionError> {
        let mut metadata = self.metadata.allowed_by(kind);
        let mut plan = match &self.current {
            Current::New | Current::Barred(_) if kind == SaveKind::Touch => {
                return Ok(Plan::Nothing);
            }
            Current::Barred(_) if metadata.sign_in.is_none() => {
                let waits = kind == SaveKind::Save && self.metadata.sign_in.is_some();
                return Ok(match waits || !self.has_edits() {
                    true => Plan::Nothing,
                    false if self.lost.iter().any(PendingDeletion::is_unproven) => {
                        Plan::Withhold(UNPROVEN)
                    }
                    false => Plan::Withhold(BARRED),
                });
            }
            Current::New | Current::Barred(_) => self.plan_create(metadata, now, kind, settings)?,
            Current::Stored(stored) => {
                if metadata.renews() {
                    metadata.csrf_seed = Some(self.metadata.draw_seed()?);
                }
                self.plan_update(stored, metadata, now, kind, settings)?
            }
        };
        match &mut plan {
            Plan::Create(PlannedCreate { savepoint, .. })
            | Plan::Update(PlannedUpdate { savepoint, .. }) => {
                *savepoint = match kind {
                    SaveKind::Touch => Savepoint::of_nothing(self.since),
                    SaveKind::Save | SaveKind::Commit | SaveKind::CommitKeepingToken => {
                        self.edits.take()
                    }
                };
            }
            Plan::Reload(_) => {}
            Plan::Nothing | Plan::Withhold(_) | Plan::End => return Ok(plan),
        }
        match &plan {
            // It stores nothing of whoever has signed in.
            Plan::Update(planned) if planned.is_maintenance() => {}
            _ => self.guest = None,
        }
        Ok(plan)
    }

    fn plan_create(
        &mut self,
        metadata: MetadataEdits,
        now: Timestamp,
        kind: SaveKind,
        settings: &Settings,
    ) -> Result<Plan, SessionError> {
        let values = self.edits.fresh();
        if values.is_empty() && metadata.sign_in.is_none() && metadata.csrf_seed.is_none() {
            return Ok(match (&self.metadata.sign_in, kind) {
                (Some(_), SaveKind::CommitKeepingToken) => Plan::Withhold(KEEPING_TOKEN),
                _ => Plan::Nothing,
            });
        }
        match kind {
            _ if self.phase != Phase::Open => return Err(SessionError::Detached),
            SaveKind::CommitKeepingToken => return Ok(Plan::Withhold(KEEPING_TOKEN)),
            SaveKind::Save | SaveKind::Touch | SaveKind::Commit => {}
        }
        let requested = &self.requested;
        let lifetime = metadata.lifetime.or(requested.lifetime);
        // One call of the system for all of it.
        let [id, secret, seed] = random_bytes_of_three()?;
        let mut record = Record::new(
            SessionId::from_bytes(id),
            settings.scope.clone(),
            lifetime.unwrap_or(settings.lifetime),
            now,
        );
        record.values = values;
        record.csrf_seed = *self.metadata.csrf_seed.get_or_insert(seed);
        record.label = metadata
            .label
            .as_ref()
            .or(requested.label.as_ref())
            .cloned();
        if let Some(principal) = &metadata.sign_in {
            record.principal = Some(principal.clone());
            record.authenticated = Some(metadata.authenticated(now));
        }
        let secret = (!settings.is_sealed()).then(|| Secret::from_bytes(secret));
        if let Some(secret) = &secret {
            record.tokens.issue(secret.hash(), record.epoch, now);
        }
        settings.check_record(&record)?;
        Ok(Plan::Create(PlannedCreate {
            record: Arc::new(record),
            secret,
            metadata,
            savepoint: Savepoint::default(),
        }))
    }

    /// What a save of a stored session writes, all of it in one update:
    ///
    /// | what | which save writes it | how | laws |
    /// |---|---|---|---|
    /// | values | any | merges [1] | 1, 7 |
    /// | label, lifetime | any | replaces | 7 |
    /// | sign-in, renewal | a commit | replaces: next epoch, new secret | 3, 11 |
    /// | last activity | a commit, a touch, one that writes anyway, a late one [2] | merges | 6 |
    /// | confirmation | a commit, one that writes anyway | replaces | 10, 12 |
    /// | rotation | a commit [3] | replaces: a successor beside the token | 10 |
    /// | token sent again | a commit [3], where tokens do not rotate | with what is written | 6 |
    /// | token owed | one that should send it again and cannot | replaces | 6 |
    /// | times ahead of the clock | with the last activity | replaces | 9 |
    ///
    /// To replace the metadata is to rely on what was loaded, so such an update meets the loaded
    /// version. One that merges does not, and conflicts with nobody.
    ///
    /// 1. It meets the loaded version if a value was computed from a stored one.
    /// 2. After the response no commit follows: to save is then what keeps a session alive.
    /// 3. Not of a superseded token: its successor is what the client goes on with.
    fn plan_update(
        &self,
        stored: &Stored,
        metadata: MetadataEdits,
        now: Timestamp,
        kind: SaveKind,
        settings: &Settings,
    ) -> Result<Plan, SessionError> {
        let old = &*stored.record;
        let due = stored.due(now);
        let changes = match kind {
            SaveKind::Touch => Changes::new(),
            SaveKind::Save | SaveKind::Commit | SaveKind::CommitKeepingToken => {
                self.edits.changes(&old.values)
            }
        };
        let has_edits = !changes.keeps_values() || !metadata.is_empty();
        // A save before the response leaves maintenance to the commit, unless it writes anyway.
        let maintains = !kind.is_explicit() || has_edits;
        let is_activity = kind == SaveKind::Touch || self.phase != Phase::Open;
        let touches = due.touch && (maintains || is_activity);
        let due = Due {
            touch: touches,
            ..due
        };
        let step = self.token_step(stored, &metadata, due, kind, settings);
        let owed = step == TokenStep::Owe;
        let set_back = touches && old.is_ahead(now);
        let replaces = !metadata.is_empty()
            || (maintains && due.confirm)
            || step == TokenStep::Rotate
            || owed != due.owed
            || set_back;
        if !(has_edits || replaces || touches) {
            return Ok(Plan::Nothing);
        }
        // Every write of a sealed session is a new token, which this save has to be able to send.
        let sends = self.phase == Phase::Open && kind != SaveKind::CommitKeepingToken;
        if settings.is_sealed() && !sends {
            return match self.phase {
                _ if !has_edits => Ok(Plan::Nothing),
                Phase::Open => Ok(Plan::Withhold(KEEPING_TOKEN)),
                Phase::Closed | Phase::Abandoned => Err(SessionError::Detached),
            };
        }
        let changes = changes.with_metadata(match (replaces, touches) {
            (true, _) => Metadata::Replaced,
            (false, true) => Metadata::Touched(now),
            (false, false) => Metadata::Unchanged,
        });
        let mut record = changes.apply(old);
        if set_back {
            record.bring_back(now);
        }
        let mut secret = metadata.apply(&mut record, now, settings)?;
        if metadata.binds {
            self.bind_record(&mut record, now)?;
        }
        record.owed = owed;
        if replaces && secret.is_none() {
            record.last_seen = record.last_seen.max(now);
            secret = (step == TokenStep::Rotate)
                .then(Secret::random)
                .transpose()?;
            // A token that this request has issued, or one that is superseded, confirms nothing.
            if let TokenState::Presented {
                secret: presented,
                maintenance,
                ..
            } = &stored.token
                && !maintenance.is_superseded()
            {
                let rules = settings.rotation.rules_for(&record);
                let successor = secret.as_ref().map(Secret::hash);
                let hash = presented.hash();
                record.tokens.advance(&hash, successor, now, &rules);
            }
        }
        if old.is_live(now) && !record.is_live(now) {
            return Ok(Plan::End);
        }
        if record.outgrows(old) {
            settings.check_record(&record)?;
        }
        let computes = kind != SaveKind::Touch && self.edits.depends_on_stored();
        let meets_version = replaces || computes;
        // What has expired was kept alive by another request, or is gone.
        if (stored.stale && meets_version) || !old.is_live(now) {
            return Ok(Plan::Reload(PlannedReload {
                key: stored.key.clone(),
                basis: Basis {
                    epoch: old.epoch,
                    mark: self.edits.last(),
                },
                is_maintenance: !has_edits,
            }));
        }
        Ok(Plan::Update(PlannedUpdate {
            key: stored.key.clone(),
            update: Update::new(Arc::new(record), changes, old.epoch)
                .with_base_tag(old.tag)
                .with_expected_version(meets_version.then_some(old.version))
                .with_limits(settings.limits),
            token: match (secret, step) {
                (Some(secret), _) => TokenChange::Replace(secret),
                (None, TokenStep::SendAgain) => TokenChange::SendAgain,
                (None, _) => TokenChange::Keep,
            },
            metadata,
            savepoint: Savepoint::default(),
        }))
    }

    /// What is to be done with the client's token, apart from what a handler asked for.
    fn token_step(
        &self,
        stored: &Stored,
        metadata: &MetadataEdits,
        due: Due,
        kind: SaveKind,
        settings: &Settings,
    ) -> TokenStep {
        let maintenance = stored.token.maintenance();
        let rotates = settings.rotation.is_on();
        let lifetime = metadata.lifetime.unwrap_or(stored.record.lifetime);
        let writes = due.touch || !metadata.is_empty();
        // Another `Max-Age`, or the token signed with the newest key. Where tokens rotate, the
        // `Max-Age` moves with them.
        let news = lifetime != stored.record.lifetime
            || writes && stored.token.is_by_old_key() && !maintenance.is_superseded()
            || writes && lifetime.is_persistent() && !rotates;
        let owed = due.owed || news;
        // A save may be followed by no answer, so that it cannot send anything.
        let may_send = kind == SaveKind::Commit && !maintenance.is_superseded();
        let may_rotate = may_send && self.phase == Phase::Open && maintenance.rotates();
        if may_rotate && !metadata.renews() && (owed || due.rotate) {
            return TokenStep::Rotate;
        }
        // No token is sent twice where tokens rotate: of two answers that overtake each other the
        // later one could bring back what the earlier one has replaced.
        if may_send && owed && !rotates {
            return TokenStep::SendAgain;
        }
        // The client is sent a token that was renewed or created in this request, and a sealed one,
        // in any case.
        let sends = metadata.renews() || stored.is_announced() || settings.is_sealed();
        match owed && !sends {
            true => TokenStep::Owe,
            false => TokenStep::Keep,
        }
    }
}

/// What becomes of the client's token in an update, apart from what a handler asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TokenStep {
    Keep,
    /// The client is to hear of it, and this write cannot send it: a later one has to.
    Owe,
    /// It is sent once more, unchanged.
    SendAgain,
    /// It gets a successor.
    Rotate,
}
