//! What a session knows in one request: what was loaded, what changed, what to tell the client.

use crate::error::StoreError;
use crate::event::Who;
use crate::record::{Arena, DeviceKey, Record, SessionId, Values};
use crate::state::{
    Current, DeletedBy, Edits, Flashes, Former, Guest, Mark, MetadataEdits, PendingDeletion,
    Requested, SaveKind, Size, Stored,
};
use crate::store::RecordKey;
use crate::time::Timestamp;

/// The state of one session in one request.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) current: Current,
    pub(crate) edits: Edits,
    pub(crate) metadata: MetadataEdits,
    /// What a handler asked for last, stored or not: a new session gets it.
    pub(crate) requested: Requested,
    pub(crate) phase: Phase,
    /// Sessions that this request has ended and that are not yet deleted.
    pub(crate) deletions: Vec<PendingDeletion>,
    /// The session that the client holds a token of was destroyed by this request.
    pub(crate) clear_client: bool,
    /// A write was sent and its outcome is not known.
    pub(crate) unknown: Option<StoreError>,
    /// What CSRF tokens are derived from while there is no session: the tokens that the client
    /// presents and that open none. There is none if the session ended under this request.
    pub(crate) form_seed: Option<[u8; 16]>,
    /// The client presented a sealed session that does not open. It holds the only copy, which may
    /// open again under other keys or settings: a handler that ends it has the client forget it.
    pub(crate) unopened: bool,
    /// Sessions that the client has a good token of, and cannot use: they are bound to a device of
    /// which the request has no proof, or their values cannot be read. They end if their own
    /// principal signs in.
    pub(crate) lost: Vec<PendingDeletion>,
    pub(crate) arena: Arena,
    /// The device that the next save binds the session to.
    pub(crate) device: Option<Box<DeviceKey>>,
    /// The flash values of earlier requests, once this one has to do with any.
    pub(crate) flashes: Option<Flashes>,
    /// What was changed before somebody was signed in; none once anything was stored since.
    pub(crate) guest: Option<Box<Guest>>,
    /// The last session that this handle had and has no more.
    pub(super) former: Option<Former>,
    /// The last change before the handler turned to the current session. A save that was planned
    /// earlier was for another one.
    pub(super) since: Mark,
    pub(super) size: Size,
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

/// What a save or a look at the store is for: an epoch of the session, and a point in the changes
/// of the request. If the handler has turned to another session since, what comes back is of no
/// use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Basis {
    pub(crate) epoch: u64,
    pub(crate) mark: Mark,
}

impl State {
    pub(crate) fn opened(current: Current) -> Self {
        let size = match &current {
            Current::Stored(stored) => Size::of(&stored.record.values),
            Current::New | Current::Barred(_) => Size::default(),
        };
        Self {
            current,
            size,
            ..Self::default()
        }
    }

    pub(crate) fn stored(&self) -> Option<&Stored> {
        match &self.current {
            Current::Stored(stored) => Some(stored),
            Current::New | Current::Barred(_) => None,
        }
    }

    pub(crate) fn stored_mut(&mut self) -> Option<&mut Stored> {
        match &mut self.current {
            Current::Stored(stored) => Some(stored),
            Current::New | Current::Barred(_) => None,
        }
    }

    pub(crate) const fn is_barred(&self) -> bool {
        matches!(self.current, Current::Barred(_))
    }

    pub(crate) fn record(&self) -> Option<&Record> {
        self.stored().map(|stored| &*stored.record)
    }

    pub(crate) fn stored_values(&self) -> Option<&Values> {
        self.record().map(|record| &record.values)
    }

    pub(crate) fn id(&self) -> Option<SessionId> {
        self.record().map(|record| record.id)
    }

    pub(crate) fn who(&self) -> Option<Who> {
        self.record().map(Who::of)
    }

    /// Whether a save that was planned at `mark` is for the current session.
    pub(crate) fn is_current(&self, mark: Mark) -> bool {
        self.since <= mark
    }

    /// The stored session as it is now, to look it up in the store.
    pub(crate) fn basis(&self) -> Option<(RecordKey, Basis)> {
        let stored = self.stored()?;
        let basis = Basis {
            epoch: stored.record.epoch,
            mark: self.edits.last(),
        };
        Some((stored.key.clone(), basis))
    }

    /// Whether a commit at `now` would do anything at all.
    pub(crate) fn needs_commit(&self, now: Timestamp) -> bool {
        let current = match &self.current {
            Current::Stored(stored) => stored.is_announced() || stored.due(now).is_any(),
            // A CSRF token was asked for: the session that it is bound to has to be stored.
            Current::New | Current::Barred(_) => self.metadata.csrf_seed.is_some(),
        };
        current || self.has_edits() || !self.deletions.is_empty() || self.clear_client
    }

    /// Whether the handler has changed anything of the session.
    pub(super) fn has_edits(&self) -> bool {
        !self.edits.is_empty() || !self.metadata.is_empty()
    }

    /// Whether dropping the session now would lose something.
    pub(crate) fn is_unsaved(&self) -> bool {
        let changed = match &self.current {
            Current::New => !self.edits.fresh().is_empty() || self.metadata.sign_in.is_some(),
            Current::Barred(_) => return false,
            Current::Stored(stored) => {
                let changes = self.edits.changes(&stored.record.values);
                !changes.keeps_values() || !self.metadata.is_empty()
            }
        };
        self.phase != Phase::Abandoned && (changed || !self.deletions.is_empty())
    }

    /// Ends the session, whatever it is; what comes later belongs to a new one.
    pub(crate) fn destroy(&mut self) {
        self.clear_client |= self.unopened && !self.is_barred();
        self.leave(DeletedBy::Handler);
        self.end_rivals();
        self.end_unreadable();
        for deletion in &mut self.deletions {
            deletion.by = DeletedBy::Handler;
        }
    }

    /// Where the client's tokens open several sessions, all of them end: with the commit, unless
    /// the handler says so.
    pub(crate) fn end_rivals(&mut self) {
        if let Current::Barred(rivals) = &mut self.current
            && !rivals.is_empty()
        {
            let rivals = rivals.drain(..);
            let deletions = rivals.map(|rival| rival.deletion(DeletedBy::SignIn));
            self.deletions.extend(deletions);
            self.end_unreadable();
        }
    }

    /// Ends the sessions whose values cannot be read. A token without proof ends nothing.
    fn end_unreadable(&mut self) {
        let unreadable = self.lost.extract_if(.., |lost| !lost.is_unproven());
        self.deletions.extend(unreadable);
    }

    /// A session of this principal was created. Those that it takes the place of end.
    pub(super) fn end_lost(&mut self, principal: Option<&str>) {
        let replaced = self.lost.extract_if(.., |lost| lost.is_of(principal));
        self.deletions.extend(replaced);
    }

    /// Turns to a new session. The old one is deleted.
    pub(super) fn leave(&mut self, by: DeletedBy) {
        // A barred request stays barred.
        if self.stored().is_some()
            && let Current::Stored(stored) = std::mem::take(&mut self.current)
        {
            self.deletions.push(stored.deletion(by));
        }
        self.discard();
        self.since = self.edits.last();
    }

    /// Drops what was changed and not saved.
    pub(crate) fn discard(&mut self) {
        self.flashes = None;
        self.guest = None;
        self.edits.reset();
        self.metadata = MetadataEdits::default();
        self.requested = Requested::default();
        self.measure();
    }

    /// The next session that a save of this kind deletes.
    pub(crate) fn next_deletion(&self, kind: SaveKind) -> Option<&PendingDeletion> {
        self.deletions.iter().find(|deletion| deletion.is_due(kind))
    }

    /// The sessions that end with this request: they take no place among those of a principal.
    pub(crate) fn ending(&self) -> Vec<SessionId> {
        let ending = self.deletions.iter().map(|deletion| deletion.who.id);
        let principal = self.metadata.sign_in.as_deref();
        let lost = self.lost.iter().filter(|lost| lost.is_of(principal));
        ending.chain(lost.map(|lost| lost.who.id)).collect()
    }

    /// Takes note that a pending deletion was carried out.
    pub(crate) fn deleted(&mut self, done: &PendingDeletion) {
        self.deletions.retain(|other| other.key != done.key);
        // The client keeps the token of a session that is not its to end.
        let keeps = self.is_barred() && self.lost.iter().any(PendingDeletion::is_unproven);
        self.clear_client |= done.client_knows && !keeps;
        self.former = Some(Former::deleted(done));
    }
}
