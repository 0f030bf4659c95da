//! Who signs in, and what they find: a guest's session goes on, that of somebody else ends.

use bytestring::ByteString;

use crate::flash::Flashes;
use crate::intent::Intent;
use crate::pending::Pending;
use crate::rules::Rules;
use crate::state::State;
use crate::{LimitExceeded, Timestamp};

/// What a request had changed before it signed somebody in. Whoever signs in next in the same
/// request gets this, and nothing that was set for the one before.
#[derive(Clone)]
pub(crate) struct Guest {
    pending: Pending,
    flashes: Option<Flashes>,
    label: Option<ByteString>,
    asked_label: Option<ByteString>,
}

impl State {
    /// Signs a principal in with the next commit. Where another one is signed in, their session is
    /// left. Several of one request take turns: only the last one is signed in.
    pub(crate) fn sign_in(&mut self, principal: &str, rules: &Rules) -> Result<(), LimitExceeded> {
        let differs = |other: &str| other != principal;
        let stored = self.base.as_ref().and_then(|base| base.record.principal());
        let earlier = self.intent.sign_in.as_deref();
        if stored.is_some_and(differs) {
            return self.exchange(principal, rules);
        }
        if !earlier.is_some_and(differs) {
            if earlier.is_none() && stored.is_none() {
                self.guest = Some(Box::new(self.as_guest()));
            }
            return self.intend_sign_in(principal, rules);
        }
        // What was stored since may be the other one's.
        let Some(guest) = self.guest.take() else {
            return self.exchange(principal, rules);
        };
        let (before, intent) = (self.as_guest(), self.intent.clone());
        self.become_guest(&guest);
        let signed = self.intend_sign_in(principal, rules);
        match signed {
            Ok(()) => self.guest = Some(guest),
            Err(_) => {
                self.become_guest(&before);
                self.intent = intent;
                self.guest = Some(guest);
            }
        }
        signed
    }

    /// Leaves the session for an empty one of this principal, with the lifetime that the request
    /// asked for.
    fn exchange(&mut self, principal: &str, rules: &Rules) -> Result<(), LimitExceeded> {
        rules.check(rules.fresh_metadata + principal.len(), 0)?;
        let lifetime = self.intent.asked.lifetime;
        self.leave(true);
        if let Some(lifetime) = lifetime {
            self.intent.ask_lifetime(lifetime, None);
        }
        self.guest = Some(Box::new(self.as_guest()));
        self.intend_sign_in(principal, rules)
    }

    fn intend_sign_in(&mut self, principal: &str, rules: &Rules) -> Result<(), LimitExceeded> {
        let intent = Intent {
            sign_in: Some(ByteString::from(principal)),
            after: Timestamp::default(),
            ..self.intent.clone()
        };
        self.intend(intent, rules)
    }

    fn as_guest(&self) -> Guest {
        Guest {
            pending: self.pending.clone(),
            flashes: self.flashes.clone(),
            label: self.intent.label.clone(),
            asked_label: self.intent.asked.label.clone(),
        }
    }

    fn become_guest(&mut self, guest: &Guest) {
        self.pending.restore(&guest.pending);
        self.flashes.clone_from(&guest.flashes);
        self.intent.label.clone_from(&guest.label);
        self.intent.asked.label.clone_from(&guest.asked_label);
        self.measure();
    }
}
