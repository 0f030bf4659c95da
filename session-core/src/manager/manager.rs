//! Knows everything about sessions and nothing about HTTP.

use std::fmt;
use std::sync::Arc;

use crate::crypto::DerivedKey;
use crate::event::Events;
use crate::manager::ManagerBuilder;
use crate::manager::Queues;
use crate::record::Lifetime;
use crate::session::Session;
use crate::settings::OnReuse;
use crate::settings::Settings;
use crate::settings::{Deadlines, OnCorrupt};
use crate::state::Phase;
use crate::state::Stored;
use crate::store::{Key, SessionStore};
use crate::time::{Clock, Timestamp};
use crate::token::Tokens;

/// Opens sessions by the tokens that clients present, and commits them.
///
/// It knows nothing of HTTP, so a WebSocket, a job queue or a test can drive it. Cheap to clone;
/// clones share everything. [`Session`] has an example of a whole round.
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
    pub(crate) store: Arc<dyn SessionStore>,
    /// The store's own deadline is no later than the one for its calls.
    pub(crate) keeps_time: bool,
    pub(crate) settings: Settings,
    pub(crate) tokens: Tokens,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) deadlines: Deadlines,
    pub(crate) on_corrupt: OnCorrupt,
    pub(crate) on_reuse: OnReuse,
    pub(crate) queues: Arc<Queues>,
    pub(crate) events: Events,
    /// One for each of the keys, newest first; one of none where there is no ring.
    pub(crate) csrf_keys: Vec<DerivedKey>,
}

impl SessionManager {
    /// A manager with the defaults. Its tokens carry no MAC: give it
    /// [`keys`](ManagerBuilder::keys) where forged tokens should never reach the store.
    pub fn new(store: impl SessionStore) -> Self {
        Self::builder(store).make()
    }

    /// A manager with the defaults, for a transport of this name whose tokens may have so many
    /// characters.
    ///
    /// ```
    /// use session_core::{MemoryStore, SessionManager};
    ///
    /// let manager = SessionManager::for_transport(MemoryStore::new(), "__Host-shop", 4096);
    /// assert_eq!(manager.scope(), "__Host-shop");
    /// ```
    pub fn for_transport(store: impl SessionStore, name: &str, max_token: usize) -> Self {
        Self::builder(store).for_transport(name, max_token).make()
    }

    /// A manager with settings of your own.
    pub fn builder(store: impl SessionStore) -> ManagerBuilder {
        ManagerBuilder::new(Arc::new(store))
    }

    /// The name under which this manager's sessions are kept apart from others.
    pub fn scope(&self) -> &str {
        &self.shared.settings.scope
    }

    /// The lifetime of new sessions.
    pub fn lifetime(&self) -> Lifetime {
        self.shared.settings.lifetime
    }

    /// The store.
    pub fn store(&self) -> &dyn SessionStore {
        &*self.shared.store
    }

    /// Whether both are one manager or clones of one.
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

    /// Whether there is nothing to commit. If so, that is settled: from here on the session cannot
    /// create, renew or destroy, as after a [`commit`](Self::commit). So a layer can spare itself
    /// the commit of a session that was only read.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// # use session_core::{MemoryStore, SessionManager};
    /// # let manager = SessionManager::new(MemoryStore::new());
    /// let session = manager.open(&[]).await?;
    /// assert!(manager.close(&session)); // nothing to commit
    /// assert!(matches!(session.renew(), Err(session_core::Error::Detached)));
    ///
    /// let session = manager.open(&[]).await?;
    /// session.insert("colour", "blue")?;
    /// assert!(!manager.close(&session)); // commit it
    /// # Ok::<_, session_core::Error>(()) }).unwrap();
    /// ```
    pub fn close(&self, session: &Session) -> bool {
        let now = self.now();
        let mut state = session.state();
        let settled = !state.needs_commit(now);
        if settled {
            state.phase = Phase::Closed;
        }
        settled
    }

    /// Takes note that the request is over, whatever came of it: from here on the session cannot
    /// create, renew or destroy, since no client could be told. What it has changed and not saved
    /// is kept for a [`save`](Session::save).
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// # use session_core::{Directive, MemoryStore, SessionManager};
    /// # let manager = SessionManager::new(MemoryStore::new());
    /// # let session = manager.open(&[]).await?;
    /// # session.insert("cart", 3)?;
    /// # let Directive::Hold(token) = manager.commit(&session).await? else { unreachable!() };
    /// let session = manager.open(&[token.as_str()]).await?;
    /// session.insert("cart", 4)?;
    /// manager.detach(&session);
    /// session.save().await?; // the client knows this session
    /// assert_eq!(manager.open(&[token.as_str()]).await?.get("cart")?, Some(4));
    /// assert!(matches!(session.renew(), Err(session_core::Error::Detached)));
    /// # Ok::<_, session_core::Error>(()) }).unwrap();
    /// ```
    pub fn detach(&self, session: &Session) {
        let mut state = session.state();
        if state.phase == Phase::Open {
            state.phase = Phase::Closed;
        }
    }

    /// The time by this manager's clock. A transport notes it when a request arrives, for
    /// [`open_at`](Self::open_at), which has an example.
    pub fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.shared.settings
    }

    /// The text of a session's token as it stands.
    pub(crate) fn sign(&self, base: &Stored) -> Option<String> {
        match (&base.key, &base.secret) {
            (Key::Sealed { token, .. }, _) => Some(token.to_string()),
            (Key::Id(id), Some(secret)) => {
                Some(self.shared.tokens.write(*id, secret, base.record.epoch))
            }
            (Key::Id(_), None) => None,
        }
    }
}

impl fmt::Debug for SessionManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionManager")
            .field("store", &self.shared.store)
            .field("settings", &self.shared.settings)
            .field("tokens", &self.shared.tokens)
            .finish_non_exhaustive()
    }
}
