//! Which session a handle watches, and what the handle itself knows of its end.

use crate::record::{EndReason, SessionId};
use crate::state::{ANY_EPOCH, Current, Former, State};
use crate::store::RecordKey;
use crate::time::Timestamp;

/// What a handle watches, when somebody asks it to.
pub(crate) enum Watched {
    /// Nothing is stored yet.
    Nothing,
    /// This session, which it has or had.
    Session {
        id: SessionId,
        /// None for a session that was sealed and that the handle has no more.
        key: Option<RecordKey>,
        epoch: u64,
        expires: Option<Timestamp>,
    },
    /// The session of its token ended before this request could open it, or it has several.
    Over,
}

/// How a handle stands to the session that it watches.
pub(crate) enum Holding {
    /// It has it, in this epoch.
    Yes { key: RecordKey, epoch: u64 },
    /// A handler has ended it, and it is still to be deleted.
    Ending,
    /// It has it no more. The reason is known if this handle ended it.
    No(Option<EndReason>),
}

impl State {
    /// What this handle watches from now on. A session that is about to be created comes before the
    /// one that it replaces.
    pub(crate) fn watched(&self, sealed: bool) -> Watched {
        match &self.current {
            Current::Stored(stored) => {
                return Watched::Session {
                    id: stored.record.id,
                    key: Some(stored.key.clone()),
                    epoch: stored.record.epoch,
                    expires: Some(stored.record.expires_at()),
                };
            }
            Current::New if self.has_edits() => return Watched::Nothing,
            Current::Barred(_) if self.metadata.sign_in.is_some() => return Watched::Nothing,
            Current::New | Current::Barred(_) => {}
        }
        let ending = self.deletions.last().map(|ending| Watched::Session {
            id: ending.who.id,
            key: Some(ending.key.clone()),
            epoch: ANY_EPOCH,
            expires: None,
        });
        let former = || {
            self.former
                .map(|Former { id, epoch, .. }| Watched::Session {
                    id,
                    key: (!sealed).then_some(RecordKey::Id(id)),
                    epoch,
                    expires: None,
                })
        };
        ending.or_else(former).unwrap_or(match self.is_barred() {
            true => Watched::Over,
            false => Watched::Nothing,
        })
    }

    /// How this handle stands to the session of this id.
    pub(crate) fn holding(&self, id: SessionId) -> Holding {
        if let Some(stored) = self.stored().filter(|stored| stored.record.id == id) {
            return Holding::Yes {
                key: stored.key.clone(),
                epoch: stored.record.epoch,
            };
        }
        if self.deletions.iter().any(|ending| ending.who.id == id) {
            return Holding::Ending;
        }
        let former = self.former.filter(|former| former.id == id);
        Holding::No(former.and_then(|former| former.reason))
    }
}
