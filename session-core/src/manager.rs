//! Knows everything about sessions and nothing about HTTP.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytestring::ByteString;

use crate::event::Provoked;
use crate::queue::Queues;
use crate::rules::Rules;
use crate::state::{Base, Phase};
use crate::token::Tokens;
use crate::{
    Capability, Clock, Codec, ConfigError, Key, KeyRing, Lifetime, Limits, Session, SessionStore,
    SystemClock, Timestamp,
};

/// Opens sessions by the tokens that clients present, and commits them.
///
/// It knows nothing of HTTP, so a WebSocket, a job queue or a test can drive it. Cheap to clone; clones share everything.
/// [`Session`] has an example of a whole round.
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
    pub(crate) rules: Rules,
    pub(crate) tokens: Tokens,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) deadlines: Deadlines,
    pub(crate) on_corrupt: OnCorrupt,
    pub(crate) queues: Arc<Queues>,
    pub(crate) provoked: Provoked,
}

/// How long things may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// One call of the store. A store has a deadline of its own and should answer sooner;
    /// this one is for stores that do not. Default 2 s.
    pub call: Duration,
    /// How long a commit begins new attempts, and waits for other writers of the session; beyond it
    /// comes [`Error::Contended`](crate::Error::Contended). The calls that it has begun have their own
    /// deadline. Default 10 s.
    pub commit: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            call: Duration::from_secs(2),
            commit: Duration::from_secs(10),
        }
    }
}

/// What becomes of a request whose record is there and cannot be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnCorrupt {
    /// It goes on without a session, and an event says so; what it stores goes into a new
    /// one. The unreadable record stays until it expires. The default.
    #[default]
    StartAnew,
    /// It fails with [`StoreError::Corrupt`](crate::StoreError::Corrupt), as does every request with that token until
    /// the record expires or is repaired.
    Refuse,
}

/// The scope where none is given: the name of the default cookie.
const SCOPE: &str = "__Host-id";

/// Settings of a [`SessionManager`]; made by [`SessionManager::builder`].
///
/// ```
/// use session_core::{Deadlines, Lifetime, Limits, MemoryStore, OnCorrupt, SessionManager};
/// use std::time::Duration;
///
/// let manager = SessionManager::builder(MemoryStore::new())
///     .scope("__Host-shop")
///     .lifetime(Lifetime::aal1())
///     .limits(Limits { keys: 16, ..Limits::default() })
///     .deadlines(Deadlines { call: Duration::from_millis(500), ..Deadlines::default() })
///     .on_corrupt(OnCorrupt::Refuse)
///     .build()
///     .unwrap();
/// assert_eq!((manager.scope(), manager.lifetime()), ("__Host-shop", Lifetime::aal1()));
/// ```
#[derive(Debug)]
pub struct ManagerBuilder {
    store: Arc<dyn SessionStore>,
    scope: Option<ByteString>,
    keys: Option<KeyRing>,
    lifetime: Lifetime,
    codec: Codec,
    limits: Limits,
    clock: Arc<dyn Clock>,
    deadlines: Deadlines,
    on_corrupt: OnCorrupt,
    max_token: Option<usize>,
}

impl SessionManager {
    /// A manager with the defaults. Its tokens carry no MAC: give it
    /// [`keys`](ManagerBuilder::keys) where forged tokens should never reach the store.
    pub fn new(store: impl SessionStore) -> Self {
        Self::builder(store).make()
    }

    /// A manager with the defaults, for a transport of this name whose tokens may have so many characters.
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
        ManagerBuilder {
            store: Arc::new(store),
            scope: None,
            keys: None,
            lifetime: Lifetime::default(),
            codec: Codec::default(),
            limits: Limits::default(),
            clock: Arc::new(SystemClock),
            deadlines: Deadlines::default(),
            on_corrupt: OnCorrupt::default(),
            max_token: None,
        }
    }

    /// The name under which this manager's sessions are kept apart from others.
    pub fn scope(&self) -> &str {
        &self.shared.rules.scope
    }

    /// The lifetime of new sessions.
    pub fn lifetime(&self) -> Lifetime {
        self.shared.rules.lifetime
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
    /// create, renew or destroy, as after a [`commit`](Self::commit). So a layer can spare itself the commit of a
    /// session that was only read.
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
    /// create, renew or destroy, since no client could be told. What it has changed and not saved is kept for a
    /// [`save`](Session::save).
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

    pub(crate) fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }

    pub(crate) fn rules(&self) -> &Rules {
        &self.shared.rules
    }

    /// The text of a session's token as it stands.
    pub(crate) fn sign(&self, base: &Base) -> Option<String> {
        match (&base.key, &base.secret) {
            (Key::Sealed { token, .. }, _) => Some(token.to_string()),
            (Key::Id(id), Some(secret)) => Some(self.shared.tokens.write(*id, secret, base.record.epoch)),
            (Key::Id(_), None) => None,
        }
    }
}

impl fmt::Debug for SessionManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionManager")
            .field("store", &self.shared.store)
            .field("rules", &self.shared.rules)
            .field("tokens", &self.shared.tokens)
            .finish_non_exhaustive()
    }
}

impl ManagerBuilder {
    /// The name under which these sessions are kept apart: part of each record and of every
    /// derived key. Default `__Host-id`; the HTTP layer takes its transport's name.
    #[must_use]
    pub fn scope(mut self, scope: impl Into<ByteString>) -> Self {
        self.scope = Some(scope.into());
        self
    }

    /// Signs tokens with the newest of these keys and accepts no token that none of them
    /// verifies. Without keys tokens carry no MAC. A sealed store has keys of its own and
    /// takes none here.
    #[must_use]
    pub fn keys(mut self, keys: KeyRing) -> Self {
        self.keys = Some(keys);
        self
    }

    /// How long new sessions live. Default 2 hours idle, 14 days absolute.
    #[must_use]
    pub fn lifetime(mut self, lifetime: Lifetime) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// How values are written. Default JSON.
    #[must_use]
    pub fn codec(mut self, codec: Codec) -> Self {
        self.codec = codec;
        self
    }

    /// How much a session may hold.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Where the time comes from. Default [`SystemClock`].
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// How long a call of the store and a commit may take.
    #[must_use]
    pub fn deadlines(mut self, deadlines: Deadlines) -> Self {
        self.deadlines = deadlines;
        self
    }

    /// What becomes of a request whose record cannot be read. Default [`OnCorrupt::StartAnew`].
    #[must_use]
    pub fn on_corrupt(mut self, policy: OnCorrupt) -> Self {
        self.on_corrupt = policy;
        self
    }

    /// How many characters a token may have; matters for sealed sessions, whose token is
    /// the session. Default 4,096 for each cookie that the store allows; the HTTP layer knows better.
    #[must_use]
    pub fn max_token(mut self, characters: usize) -> Self {
        self.max_token = Some(characters);
        self
    }

    /// What a transport has to say where nothing was set: sessions are kept apart under its
    /// name, and its tokens may have so many characters.
    ///
    /// ```
    /// use session_core::{MemoryStore, SessionManager};
    ///
    /// let builder = SessionManager::builder(MemoryStore::new()).scope("shop");
    /// let manager = builder.for_transport("__Host-id", 4096).build().unwrap();
    /// assert_eq!(manager.scope(), "shop"); // what was set stays
    /// ```
    #[must_use]
    pub fn for_transport(mut self, name: &str, max_token: usize) -> Self {
        self.scope.get_or_insert_with(|| name.into());
        self.max_token = Some(self.max_token.map_or(max_token, |own| own.min(max_token)));
        self
    }

    /// Who keeps the records of the store.
    pub fn capability(&self) -> Capability {
        self.store.capability()
    }

    /// The manager.
    ///
    /// ```
    /// use session_core::{MemoryStore, SessionManager};
    ///
    /// let refused = SessionManager::builder(MemoryStore::new()).scope("").build().unwrap_err();
    /// assert_eq!(refused.to_string(), "the scope is empty; give the sessions a name");
    /// ```
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if settings contradict each other.
    pub fn build(self) -> Result<SessionManager, ConfigError> {
        let scope = self.scope.as_deref().unwrap_or(SCOPE);
        if scope.is_empty() {
            return Err(ConfigError::new("the scope is empty; give the sessions a name"));
        }
        if scope.len() > self.limits.key_bytes {
            return Err(ConfigError::new(
                "the scope is longer than a key may be; use a shorter name",
            ));
        }
        if self.keys.is_some() && matches!(self.store.capability(), Capability::Client { .. }) {
            return Err(ConfigError::new(
                "a sealed store has keys of its own; give the keys to the store only",
            ));
        }
        if self.deadlines.call.is_zero() || self.deadlines.commit.is_zero() {
            return Err(ConfigError::new("a deadline is zero; nothing could ever succeed"));
        }
        Ok(self.make())
    }

    fn make(self) -> SessionManager {
        let capability = self.store.capability();
        let scope = self.scope.unwrap_or_else(|| ByteString::from_static(SCOPE));
        let cookies = match capability {
            Capability::Client { cookies, .. } => cookies,
            Capability::Server => 1,
        };
        SessionManager {
            shared: Arc::new(Shared {
                tokens: Tokens::new(self.keys.as_ref(), &scope),
                rules: Rules {
                    fresh_metadata: Rules::fresh_metadata(&scope),
                    scope,
                    lifetime: self.lifetime,
                    codec: self.codec,
                    limits: self.limits,
                    capability,
                    max_token: self.max_token.unwrap_or(4096 * cookies),
                },
                store: self.store,
                clock: self.clock,
                deadlines: self.deadlines,
                on_corrupt: self.on_corrupt,
                queues: Arc::default(),
                provoked: Provoked::default(),
            }),
        }
    }
}
