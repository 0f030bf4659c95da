//! The session of a request as the store has it.

use std::sync::Arc;

use crate::event::Who;
use crate::record::{Record, TokenMaintenance};
use crate::state::{DeletedBy, PendingDeletion};
use crate::store::RecordKey;
use crate::time::Timestamp;
use crate::token::{Rotation, Secret};

/// The session that this request works on.
#[derive(Default)]
pub(crate) enum Current {
    /// Nothing is stored yet.
    #[default]
    New,
    /// The request is anonymous and mute: it stores nothing and its response sends no token, unless
    /// somebody signs in. Either its session ended or was renewed meanwhile, or it is bound to a
    /// device and the request has no proof of that, or its tokens open
    /// several sessions: these, which end if somebody signs in or out.
    Barred(Vec<Stored>),
    /// The session is stored: it was loaded, or saved in this request.
    Stored(Stored),
}

impl Current {
    /// A request whose session ended or was renewed meanwhile.
    pub(crate) const fn barred() -> Self {
        Self::Barred(Vec::new())
    }

    /// What a request works on whose tokens open nothing.
    pub(crate) const fn barred_if(barred: bool) -> Self {
        match barred {
            true => Self::barred(),
            false => Self::New,
        }
    }
}

/// A session as it was loaded, or last saved.
pub(crate) struct Stored {
    pub(crate) key: RecordKey,
    pub(crate) record: Arc<Record>,
    pub(crate) token: TokenState,
    pub(crate) announce: Announce,
    /// The client presented a token of it. Where the session is destroyed, the client is told.
    pub(crate) client_knows: bool,
    /// Others wrote too when this was last saved: it has to be loaded before anything relies on its
    /// version.
    pub(crate) stale: bool,
    /// Somebody has signed in or was renewed in this request: the client's device may be offered to
    /// bind it.
    pub(crate) may_be_bound: bool,
}

/// The client's token of a session.
pub(crate) enum TokenState {
    /// The sealed record itself, or none yet.
    Sealed,
    /// The client presented the token of this secret.
    Presented {
        secret: Secret,
        /// It was signed with an older key.
        old_key: bool,
        /// What it asks of the commit.
        maintenance: TokenMaintenance,
    },
    /// This request has issued the token of this secret.
    Issued(Secret),
}

/// Whether the response sends the session's token to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Announce {
    /// What the client holds is as good as before.
    No,
    /// The save that runs, or ran last, has written the session: the commit sends its token.
    Written,
    /// An earlier save has written it, and the token was not sent yet. Somebody else may have ended
    /// the session since, so the commit has to look before it sends the token.
    Confirm,
}

/// What is due by itself, without anything that a handler asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Due {
    /// The time of the last activity has to be written.
    pub(crate) touch: bool,
    /// The client is owed its token again: an earlier write could not send it.
    pub(crate) owed: bool,
    /// The presented token has to be noted as confirmed.
    pub(crate) confirm: bool,
    /// The token is to be rotated by the schedule.
    pub(crate) rotate: bool,
}

impl Due {
    pub(crate) fn is_any(self) -> bool {
        self != Self::default()
    }
}

impl Stored {
    /// One that a client's token has opened.
    pub(crate) fn opened(key: RecordKey, record: Arc<Record>, token: TokenState) -> Self {
        Self {
            key,
            record,
            token,
            announce: Announce::No,
            client_knows: true,
            stale: false,
            may_be_bound: false,
        }
    }

    /// One that this request has created.
    pub(crate) fn created(key: RecordKey, record: Arc<Record>, secret: Option<Secret>) -> Self {
        Self {
            key,
            record,
            token: secret.map_or(TokenState::Sealed, TokenState::Issued),
            announce: Announce::Written,
            client_knows: false,
            stale: false,
            may_be_bound: false,
        }
    }

    /// Whether the client must be sent the token.
    pub(crate) fn is_announced(&self) -> bool {
        self.announce != Announce::No
    }

    /// What is due at `now`.
    #[inline]
    pub(crate) fn due(&self, now: Timestamp) -> Due {
        let maintenance = self.token.maintenance();
        Due {
            touch: self.record.touch_due(now),
            owed: self.record.owed,
            confirm: maintenance.confirms(),
            rotate: maintenance.rotation_due(now),
        }
    }

    /// Takes note of another record of the session.
    pub(crate) fn replace(&mut self, record: Arc<Record>, rotation: &Rotation) {
        self.record = record;
        if let TokenState::Presented {
            secret,
            maintenance,
            ..
        } = &mut self.token
        {
            let rules = rotation.rules_for(&self.record);
            *maintenance = self.record.tokens.maintenance(&secret.hash(), &rules);
        }
    }

    pub(crate) fn deletion(self, by: DeletedBy) -> PendingDeletion {
        PendingDeletion {
            who: Who::of(&self.record),
            key: self.key,
            client_knows: self.client_knows,
            by,
        }
    }
}

impl TokenState {
    /// What the token proves; none with a sealed store.
    pub(crate) const fn secret(&self) -> Option<&Secret> {
        match self {
            Self::Sealed => None,
            Self::Presented { secret, .. } | Self::Issued(secret) => Some(secret),
        }
    }

    /// What the token asks of the commit.
    #[inline]
    pub(crate) fn maintenance(&self) -> TokenMaintenance {
        match self {
            Self::Presented { maintenance, .. } => *maintenance,
            Self::Sealed | Self::Issued(_) => TokenMaintenance::default(),
        }
    }

    /// Whether the client presented it and it was signed with an older key.
    pub(crate) const fn is_by_old_key(&self) -> bool {
        matches!(self, Self::Presented { old_key: true, .. })
    }

    /// The token goes to the client, signed with the newest key.
    pub(crate) fn sign_anew(&mut self) {
        if let Self::Presented { old_key, .. } = self {
            *old_key = false;
        }
    }
}
