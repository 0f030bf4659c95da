//! Changes of a session's metadata: signing in, renewing, another lifetime or label.

use bytestring::ByteString;

use crate::crypto::random_bytes;
use crate::error::SessionError;
use crate::event::Renewal;
use crate::record::{Lifetime, Record};
use crate::settings::Settings;
use crate::state::SaveKind;
use crate::time::Timestamp;
use crate::token::Secret;

/// Changes of metadata that the next commit makes.
#[derive(Clone, Default)]
pub(crate) struct MetadataEdits {
    pub(crate) renew: bool,
    pub(crate) sign_in: Option<ByteString>,
    /// The latest authentication of this principal that is known of.
    pub(crate) after: Timestamp,
    pub(crate) lifetime: Option<Lifetime>,
    pub(crate) label: Option<ByteString>,
    /// The session is bound to [`State::device`](crate::state::State::device).
    pub(crate) binds: bool,
    /// The seed of the session that is to be stored, or renewed, where a CSRF token was asked for
    /// before. Without a new seed the forms that are out stay valid.
    pub(crate) csrf_seed: Option<[u8; 16]>,
}

/// What a request asked for last, stored or not: a new session has it.
#[derive(Clone, Default)]
pub(crate) struct Requested {
    pub(crate) lifetime: Option<Lifetime>,
    pub(crate) label: Option<ByteString>,
}

impl MetadataEdits {
    /// Whether no handler asked for anything. What happens by itself sets none of it.
    pub(crate) fn is_empty(&self) -> bool {
        !self.renews() && self.lifetime.is_none() && self.label.is_none() && !self.binds
    }

    pub(crate) fn renews(&self) -> bool {
        self.renewal().is_some()
    }

    /// Why the session gets a new token and the next epoch, if it does.
    pub(crate) fn renewal(&self) -> Option<Renewal> {
        match (&self.sign_in, self.renew) {
            (Some(_), _) => Some(Renewal::SignIn),
            (None, true) => Some(Renewal::Asked),
            (None, false) => None,
        }
    }

    /// The time of an authentication that follows all that are known of.
    pub(crate) fn authenticated(&self, now: Timestamp) -> Timestamp {
        now.max(self.after)
    }

    /// The seed that the session is going to have: drawn once, so that everybody who asks gets the
    /// same.
    pub(crate) fn draw_seed(&mut self) -> Result<[u8; 16], SessionError> {
        let seed = self.csrf_seed.map_or_else(random_bytes, Ok)?;
        self.csrf_seed = Some(seed);
        Ok(seed)
    }

    /// Bytes that its names add to those of `record`.
    pub(crate) fn growth(&self, record: Option<&Record>) -> usize {
        let (principal, label) =
            record.map_or((None, None), |record| (record.principal(), record.label()));
        let more = |new: &Option<ByteString>, old: Option<&str>| {
            let old = old.map_or(0, str::len);
            new.as_ref().map_or(0, |new| new.len().saturating_sub(old))
        };
        more(&self.sign_in, principal) + more(&self.label, label)
    }

    /// The part that a save of this kind may carry out: renewals wait for the commit.
    pub(crate) fn allowed_by(&self, kind: SaveKind) -> Self {
        if kind == SaveKind::Touch {
            return Self::default();
        }
        let renewing = kind == SaveKind::Commit;
        Self {
            renew: renewing && self.renew,
            sign_in: self.sign_in.clone().filter(|_| renewing),
            after: self.after,
            csrf_seed: self.csrf_seed,
            lifetime: self.lifetime,
            label: self.label.clone(),
            binds: self.binds,
        }
    }

    /// Forgets what was carried out.
    pub(crate) fn acknowledge(&mut self, done: &Self) {
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
        self.binds &= !done.binds;
        if done.renews() {
            self.csrf_seed = None;
        }
    }

    /// Carries itself out on `record`; the new secret where that renews its token.
    pub(crate) fn apply(
        &self,
        record: &mut Record,
        now: Timestamp,
        settings: &Settings,
    ) -> Result<Option<Secret>, SessionError> {
        if self.is_empty() {
            return Ok(None);
        }
        record.last_seen = record.last_seen.max(now);
        if let Some(lifetime) = self.lifetime {
            let started = record.authenticated.unwrap_or(record.created);
            record.lifetime = lifetime;
            record.deadline = record.deadline.min(started + lifetime.absolute());
        }
        if let Some(label) = &self.label {
            record.label = Some(label.clone());
        }
        if let Some(principal) = &self.sign_in {
            record.principal = Some(principal.clone());
            record.authenticated = Some(self.authenticated(now));
            record.deadline = now + record.lifetime.absolute();
        }
        if !self.renews() {
            return Ok(None);
        }
        // A device is bound to the session of one sign-in.
        record.device = None;
        let ending = settings.rotation.rules_for(record);
        record.tokens.retire(now, &ending);
        record.epoch = record.epoch.saturating_add(1);
        if let Some(seed) = self.csrf_seed {
            record.csrf_seed = seed;
        }
        let secret = settings.new_secret()?;
        if let Some(secret) = &secret {
            record.tokens.issue(secret.hash(), record.epoch, now);
        }
        Ok(secret)
    }
}
