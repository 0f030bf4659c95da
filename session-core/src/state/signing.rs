//! Who signs in, and what they find: a guest's session goes on, that of somebody else ends.

use bytestring::ByteString;

use crate::record::{Lifetime, LimitExceeded};
use crate::settings::Settings;
use crate::state::Edits;
use crate::state::Flashes;
use crate::state::MetadataEdits;
use crate::state::State;
use crate::time::Timestamp;

/// What a request had changed before it signed somebody in. Whoever signs in next in the same
/// request gets this, and nothing that was set for the one before.
#[derive(Clone)]
pub(crate) struct Guest {
    edits: Edits,
    flashes: Option<Flashes>,
    /// To be written, and asked for.
    labels: [Option<ByteString>; 2],
}

impl State {
    /// Signs a principal in with the next commit. Where another one is signed in, their session is
    /// left. Several of one request take turns: only the last one is signed in.
    pub(crate) fn sign_in(
        &mut self,
        principal: &str,
        settings: &Settings,
    ) -> Result<(), LimitExceeded> {
        let differs = |other: &str| other != principal;
        let stored = self.base.as_ref().and_then(|base| base.record.principal());
        let earlier = self.metadata.sign_in.as_deref();
        if stored.is_some_and(differs) {
            return self.exchange(principal, settings);
        }
        if !earlier.is_some_and(differs) {
            if earlier.is_none() && stored.is_none() {
                self.guest = Some(Box::new(self.as_guest()));
            }
            return self.intend_sign_in(principal, settings);
        }
        // What was stored since may be the other one's.
        let Some(guest) = self.guest.take() else {
            return self.exchange(principal, settings);
        };
        let before = self.as_guest();
        self.become_guest(&guest);
        let signed = self.intend_sign_in(principal, settings);
        if signed.is_err() {
            self.become_guest(&before);
        }
        self.guest = Some(guest);
        signed
    }

    /// Asks for another lifetime.
    pub(crate) fn ask_lifetime(&mut self, lifetime: Lifetime) {
        let stored = self.base.as_ref().map(|base| base.record.lifetime);
        self.metadata.lifetime = Some(lifetime).filter(|_| stored != Some(lifetime));
        self.asked.lifetime = Some(lifetime);
    }

    /// Asks for another label.
    pub(crate) fn ask_label(
        &mut self,
        label: &str,
        settings: &Settings,
    ) -> Result<(), LimitExceeded> {
        let stored = self.base.as_ref().and_then(|base| base.record.label());
        let differs = stored != Some(label);
        let label = ByteString::from(label);
        let metadata = MetadataEdits {
            label: Some(label.clone()).filter(|_| differs),
            ..self.metadata.clone()
        };
        self.intend(metadata, settings)?;
        self.asked.label = Some(label);
        Ok(())
    }

    /// Leaves the session for an empty one of this principal, with the lifetime that the request
    /// asked for.
    fn exchange(&mut self, principal: &str, settings: &Settings) -> Result<(), LimitExceeded> {
        settings.check(settings.fresh_metadata + principal.len(), 0)?;
        let lifetime = self.asked.lifetime;
        self.leave(true);
        if let Some(lifetime) = lifetime {
            self.ask_lifetime(lifetime);
        }
        self.guest = Some(Box::new(self.as_guest()));
        self.intend_sign_in(principal, settings)
    }

    fn intend_sign_in(
        &mut self,
        principal: &str,
        settings: &Settings,
    ) -> Result<(), LimitExceeded> {
        let metadata = MetadataEdits {
            sign_in: Some(ByteString::from(principal)),
            after: Timestamp::default(),
            ..self.metadata.clone()
        };
        self.intend(metadata, settings)
    }

    fn as_guest(&self) -> Guest {
        Guest {
            edits: self.edits.clone(),
            flashes: self.flashes.clone(),
            labels: [self.metadata.label.clone(), self.asked.label.clone()],
        }
    }

    fn become_guest(&mut self, guest: &Guest) {
        self.edits.restore(&guest.edits);
        self.flashes.clone_from(&guest.flashes);
        [self.metadata.label, self.asked.label] = guest.labels.clone();
        self.measure();
    }
}
