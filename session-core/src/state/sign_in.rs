//! Who signs in, and what they find: a guest's session goes on, that of somebody else ends.

use bytestring::ByteString;

use crate::record::{Lifetime, LimitExceeded, Record};
use crate::settings::Settings;
use crate::state::{DeletedBy, Guest, MetadataEdits, State};
use crate::time::Timestamp;

impl State {
    /// Signs a principal in with the next commit. Where another one is signed in, their session is
    /// left. Several of one request take turns: only the last one is signed in.
    pub(crate) fn sign_in(
        &mut self,
        principal: &str,
        settings: &Settings,
    ) -> Result<(), LimitExceeded> {
        let differs = |other: &str| other != principal;
        let stored = self.record().and_then(Record::principal);
        let earlier = self.metadata.sign_in.as_deref();
        if stored.is_some_and(differs) {
            return self.exchange(principal, settings);
        }
        if !earlier.is_some_and(differs) {
            if earlier.is_none() && stored.is_none() {
                self.guest = Some(Box::new(self.as_guest()));
            }
            return self.request_sign_in(principal, settings);
        }
        // What was stored since may be the other one's.
        let Some(guest) = self.guest.take() else {
            return self.exchange(principal, settings);
        };
        let before = self.as_guest();
        self.become_guest(&guest);
        let signed = self.request_sign_in(principal, settings);
        if signed.is_err() {
            self.become_guest(&before);
        }
        self.guest = Some(guest);
        signed
    }

    /// Asks for another lifetime.
    pub(crate) fn request_lifetime(&mut self, lifetime: Lifetime) {
        let stored = self.record().map(|record| record.lifetime);
        self.metadata.lifetime = Some(lifetime).filter(|_| stored != Some(lifetime));
        self.requested.lifetime = Some(lifetime);
    }

    /// Asks for another label.
    pub(crate) fn request_label(
        &mut self,
        label: &str,
        settings: &Settings,
    ) -> Result<(), LimitExceeded> {
        let stored = self.record().and_then(Record::label);
        let differs = stored != Some(label);
        let label = ByteString::from(label);
        let metadata = MetadataEdits {
            label: Some(label.clone()).filter(|_| differs),
            ..self.metadata.clone()
        };
        self.change_metadata(metadata, settings)?;
        self.requested.label = Some(label);
        Ok(())
    }

    /// Leaves the session for an empty one of this principal, with the lifetime that the request
    /// asked for.
    fn exchange(&mut self, principal: &str, settings: &Settings) -> Result<(), LimitExceeded> {
        settings.check(settings.fresh_metadata + principal.len(), 0)?;
        let lifetime = self.requested.lifetime;
        self.leave(DeletedBy::SignIn);
        if let Some(lifetime) = lifetime {
            self.request_lifetime(lifetime);
        }
        self.guest = Some(Box::new(self.as_guest()));
        self.request_sign_in(principal, settings)
    }

    fn request_sign_in(
        &mut self,
        principal: &str,
        settings: &Settings,
    ) -> Result<(), LimitExceeded> {
        let metadata = MetadataEdits {
            sign_in: Some(ByteString::from(principal)),
            after: Timestamp::default(),
            ..self.metadata.clone()
        };
        self.change_metadata(metadata, settings)
    }

    fn as_guest(&self) -> Guest {
        Guest {
            edits: self.edits.clone(),
            flashes: self.flashes.clone(),
            labels: [self.metadata.label.clone(), self.requested.label.clone()],
        }
    }

    fn become_guest(&mut self, guest: &Guest) {
        self.edits.restore(&guest.edits);
        self.flashes.clone_from(&guest.flashes);
        [self.metadata.label, self.requested.label] = guest.labels.clone();
        self.measure();
    }
}
