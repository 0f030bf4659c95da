//! What the answer of the store makes of the state, and what the client is told in the end.

use std::sync::Arc;
use std::time::Duration;

use crate::event::Who;
use crate::record::Record;
use crate::settings::Settings;
use crate::state::{
    Announce, Basis, Current, DeletedBy, Former, MetadataEdits, OwnValues, PendingDeletion, Phase,
    PlannedCreate, PlannedUpdate, Savepoint, State, Stored, TokenChange, TokenState,
};
use crate::store::RecordKey;
use crate::time::Timestamp;
use crate::token::{ClientToken, Directive, Rotation};

impl State {
    /// A save begins: what was written before it may have ended since.
    pub(crate) fn begin_save(&mut self) {
        if let Some(stored) = self.stored_mut()
            && stored.announce == Announce::Written
        {
            stored.announce = Announce::Confirm;
        }
    }

    /// Takes note that the session was created, and has this key.
    pub(crate) fn created(&mut self, planned: PlannedCreate, key: RecordKey) {
        if !self.is_current(planned.savepoint.mark) {
            // The handler destroyed it while it was being created.
            return self.abandon(key, &planned.record);
        }
        self.guest = None;
        self.end_lost(planned.metadata.sign_in.as_deref());
        self.acknowledge(&planned.savepoint, &planned.metadata, &planned.record);
        if !self.metadata.renews() {
            self.metadata.csrf_seed = None;
        }
        self.current = Current::Stored(Stored {
            may_be_bound: planned.metadata.sign_in.is_some(),
            ..Stored::created(key, planned.record, planned.secret)
        });
        self.measure();
    }

    /// Takes note that a session is stored of which no client will be told.
    pub(crate) fn abandon(&mut self, key: RecordKey, record: &Record) {
        self.deletions.push(PendingDeletion {
            key,
            who: Who::of(record),
            client_knows: false,
            by: DeletedBy::Handler,
        });
    }

    /// Takes note that the update was applied and made `version`.
    pub(crate) fn updated(
        &mut self,
        planned: PlannedUpdate,
        key: RecordKey,
        version: u64,
        settings: &Settings,
    ) {
        if !self.is_current(planned.savepoint.mark) {
            return;
        }
        if !planned.is_maintenance() {
            self.guest = None;
        }
        self.end_lost(planned.metadata.sign_in.as_deref());
        self.acknowledge(&planned.savepoint, &planned.metadata, planned.record());
        if let Some(stored) = self.stored_mut() {
            let moves_tokens = planned.moves_tokens();
            let sends = settings.is_sealed() || !matches!(planned.token, TokenChange::Keep);
            if sends || stored.is_announced() {
                stored.announce = Announce::Written;
            }
            match planned.token {
                TokenChange::Keep => {}
                TokenChange::SendAgain => stored.token.sign_anew(),
                TokenChange::Replace(secret) => stored.token = TokenState::Issued(secret),
            }
            stored.key = key;
            let record = planned.update.into_record();
            stored.may_be_bound |= planned.metadata.renews() && record.principal.is_some();
            stored.stale = record.version != version;
            match moves_tokens {
                true => stored.replace(record, &settings.rotation),
                false => stored.record = record,
            }
        }
        self.measure();
    }

    fn acknowledge(&mut self, savepoint: &Savepoint, metadata: &MetadataEdits, saved: &Record) {
        let own_values = match self.phase {
            Phase::Open => OwnValues::Keep,
            Phase::Closed | Phase::Abandoned => OwnValues::Forget,
        };
        let values = &saved.values;
        self.edits.acknowledge(savepoint, values, own_values);
        self.metadata.acknowledge(metadata);
    }

    /// Takes note of what others have made of the record.
    pub(crate) fn reloaded(&mut self, record: Arc<Record>, rotation: &Rotation) {
        self.guest = None;
        if let Some(stored) = self.stored_mut() {
            stored.replace(record, rotation);
            stored.stale = false;
        }
        self.measure();
    }

    /// Takes note that the session ended while this request was changing it. Only a sign-in
    /// goes on, with this request's own values.
    pub(crate) fn gone(&mut self) -> Option<Who> {
        let who = self.who();
        self.former = self.stored().map(Former::gone).or(self.former);
        self.current = Current::barred();
        match self.metadata.sign_in {
            Some(_) => self.edits.start_over(),
            None => self.discard(),
        }
        self.measure();
        who
    }

    /// Takes note that activity or a rotation, and nothing else, is perhaps not written: nothing is
    /// lost.
    pub(crate) fn unwritten(&mut self) -> Option<Who> {
        self.stored_mut()?.stale = true;
        self.who()
    }

    /// The session whose token is about to be sent, if it was written before the save that runs. A
    /// sealed one is its own proof.
    pub(crate) fn to_confirm(&self) -> Option<(RecordKey, Basis)> {
        let stored = self.stored()?;
        match stored.announce == Announce::Confirm && stored.key.id().is_some() {
            true => self.basis(),
            false => None,
        }
    }

    /// The token is not sent: it is not known whether the session still is.
    pub(crate) fn withdraw_token(&mut self) {
        if let Some(stored) = self.stored_mut() {
            stored.announce = Announce::No;
        }
    }

    /// What the client is to be told of what has been written, once. `token` makes a session's
    /// token.
    #[inline]
    pub(crate) fn announcement(
        &mut self,
        now: Timestamp,
        rotation: &Rotation,
        token: impl Fn(&Stored, Option<Duration>) -> Option<ClientToken>,
    ) -> Directive {
        let clear_client = std::mem::take(&mut self.clear_client);
        match self.stored_mut().filter(|stored| stored.is_announced()) {
            Some(stored) => {
                stored.announce = Announce::No;
                let token = token(stored, rotation.max_age(&stored.record, now));
                token.map_or(Directive::Nothing, Directive::Hold)
            }
            None if clear_client => Directive::Forget,
            None => Directive::Nothing,
        }
    }
}
