//! Knows everything about sessions and nothing about HTTP.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::crypto::DerivedKey;
use crate::event::Events;
use crate::manager::{Queues, StoreCalls};
use crate::record::{Lifetime, SessionId};
use crate::settings::Settings;
use crate::state::Stored;
use crate::store::{RecordKey, SessionStore};
use crate::time::Timestamp;
use crate::token::{ClientToken, DeviceBinding, DeviceProofs, Tokens};

/// Opens sessions by the tokens that clients present, and commits them.
///
/// It knows nothing of HTTP, so a WebSocket, a job queue or a test can use it. It is cheap to
/// clone, and clones share everything. [`Session`](crate::Session) has a complete example.
///
/// ```
/// use session_core::{Codec, KeyRing, Lifetime, MemoryStore, SessionManager};
///
/// let manager = SessionManager::builder(MemoryStore::new())
///     .keys(KeyRing::generate().unwrap()) // tokens are signed, forged ones never reach the store
///     .lifetime(Lifetime::aal2())
///     .codec(Codec::Postcard)
///     .build()
///     .unwrap();
/// assert_eq!(manager.scope(), "__Host-id");
/// ```
#[derive(Clone)]
pub struct SessionManager {
    pub(crate) shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) calls: StoreCalls,
    pub(crate) settings: Settings,
    pub(crate) tokens: Tokens,
    /// There are some if sessions are bound to devices.
    pub(crate) device_proofs: Option<DeviceProofs>,
    pub(crate) queues: Arc<Queues>,
    /// One for each of the keys, newest first; one of none where there is no ring.
    pub(crate) csrf_keys: Vec<DerivedKey>,
}

impl SessionManager {
    /// The name under which this manager's sessions are kept apart from others.
    pub fn scope(&self) -> &str {
        &self.shared.settings.scope
    }

    /// The lifetime of new sessions.
    pub fn lifetime(&self) -> Lifetime {
        self.shared.settings.lifetime
    }

    /// How many characters a token may have. A transport that is built over this manager later
    /// checks whether it can carry that many.
    pub fn max_token(&self) -> usize {
        self.shared.settings.max_token
    }

    /// Whether sessions are bound to devices.
    pub fn device_binding(&self) -> DeviceBinding {
        self.shared.settings.device_binding
    }

    /// The store.
    pub fn store(&self) -> &dyn SessionStore {
        self.shared.calls.store()
    }

    /// Whether both are the same manager, or clones of it.
    ///
    /// ```
    /// use session_core::{MemoryStore, SessionManager};
    ///
    /// let manager = SessionManager::new(MemoryStore::new());
    /// assert!(manager.is_same(&manager.clone()));
    /// assert!(!manager.is_same(&SessionManager::new(MemoryStore::new())));
    /// ```
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    /// The current time by this manager's clock.
    ///
    /// A transport calls this when a request arrives, and later passes the time to
    /// [`begin_at`](Self::begin_at), which has an example.
    pub fn now(&self) -> Timestamp {
        self.shared.calls.now()
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.shared.settings
    }

    pub(crate) fn calls(&self) -> &StoreCalls {
        &self.shared.calls
    }

    pub(crate) fn events(&self) -> &Events {
        self.shared.calls.events()
    }

    /// Reports that a device did not sign a challenge as it should: an event has this reason.
    ///
    /// A transport calls it where it refuses what a device has signed, before any session is asked
    /// for it. The session is that of the client, where it is known.
    ///
    /// ```
    /// use session_core::{Event, MemoryStore, Refusal, SessionManager};
    ///
    /// let manager = SessionManager::builder(MemoryStore::new())
    ///     .observer(|event: &Event<'_>| {
    ///         assert_eq!(event.refusal, Some(Refusal::SignedChallenge));
    ///         assert_eq!(event.reason, "the signature is wrong");
    ///     })
    ///     .build()
    ///     .unwrap();
    /// manager.report_refused_challenge(None, "the signature is wrong");
    /// ```
    pub fn report_refused_challenge(&self, session: Option<SessionId>, reason: &'static str) {
        self.events().challenge_refused(session, reason, self.now());
    }

    pub(crate) fn device_proofs(&self) -> Option<&DeviceProofs> {
        self.shared.device_proofs.as_ref()
    }

    /// A session's token as it stands, for the client to keep for so long.
    pub(crate) fn token(&self, stored: &Stored, max_age: Option<Duration>) -> Option<ClientToken> {
        let token = ClientToken::new(self.sign(stored)?, max_age);
        let proofs = self.device_proofs().filter(|_| stored.may_be_bound);
        // Without random numbers there is none, and the session stays unbound.
        let challenge = proofs.and_then(|by| by.challenge(&stored.record, self.now()).ok());
        Some(token.with_device_challenge(challenge))
    }

    /// The text of a session's token as it stands.
    fn sign(&self, stored: &Stored) -> Option<String> {
        match (&stored.key, stored.token.secret()) {
            (RecordKey::Sealed { token, .. }, _) => Some(token.to_string()),
            (RecordKey::Id(id), Some(secret)) => {
                let tokens = &self.shared.tokens;
                Some(tokens.write(*id, secret, stored.record.epoch))
            }
            (RecordKey::Id(_), None) => None,
        }
    }
}

impl fmt::Debug for SessionManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionManager")
            .field("store", &self.shared.calls)
            .field("settings", &self.shared.settings)
            .field("tokens", &self.shared.tokens)
            .finish_non_exhaustive()
    }
}
