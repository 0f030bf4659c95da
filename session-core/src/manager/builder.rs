//! The settings of a manager.

use std::sync::Arc;
use std::time::Duration;

use bytestring::ByteString;

use crate::crypto::KeyRing;
use crate::event::{Observer, Observers};
use crate::manager::SessionManager;
#[cfg(feature = "sealed-values")]
use crate::manager::ValueSealing;
use crate::record::{Codec, Lifetime, Limits};
use crate::settings::{OnCorrupt, OnMaxSessions, OnReuse, SessionLimit, Timeouts};
use crate::store::{RecordLocation, SessionStore};
use crate::time::{Clock, SystemClock};
use crate::token::{DeviceBinding, Rotation};

impl SessionManager {
    /// Makes a manager with the default settings.
    ///
    /// Its tokens carry no MAC: set [`keys`](SessionManagerBuilder::keys) if forged tokens should
    /// never reach the store.
    pub fn new(store: impl SessionStore) -> Self {
        Self::builder(store).make()
    }

    /// Makes a manager with the default settings, for a transport.
    ///
    /// The transport has this name, and its tokens may have at most `max_token` characters.
    /// `session-http` uses this for a layer that has no settings.
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

    /// Returns a builder for a manager with settings of your own.
    pub fn builder(store: impl SessionStore) -> SessionManagerBuilder {
        SessionManagerBuilder::new(Arc::new(store))
    }
}

/// The settings of a [`SessionManager`]; made by [`SessionManager::builder`].
///
/// ```
/// use session_core::{Timeouts, Lifetime, Limits, MemoryStore, OnCorrupt, SessionManager};
/// use std::time::Duration;
///
/// let manager = SessionManager::builder(MemoryStore::new())
///     .scope("__Host-shop")
///     .lifetime(Lifetime::aal1())
///     .limits(Limits::default().with_keys(16))
///     .timeouts(Timeouts::default().with_call(Duration::from_millis(500)))
///     .on_corrupt(OnCorrupt::Refuse)
///     .build()
///     .unwrap();
/// assert_eq!((manager.scope(), manager.lifetime()), ("__Host-shop", Lifetime::aal1()));
/// ```
#[derive(Debug)]
pub struct SessionManagerBuilder {
    pub(super) store: Arc<dyn SessionStore>,
    pub(super) scope: Option<ByteString>,
    pub(super) keys: Option<KeyRing>,
    pub(super) lifetime: Lifetime,
    pub(super) codec: Codec,
    pub(super) limits: Limits,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) timeouts: Timeouts,
    pub(super) on_corrupt: OnCorrupt,
    pub(super) rotation: Rotation,
    pub(super) on_reuse: OnReuse,
    pub(super) device_binding: DeviceBinding,
    pub(super) session_limit: Option<SessionLimit>,
    pub(super) watch_interval: Duration,
    pub(super) observers: Observers,
    pub(super) max_token: Option<usize>,
    #[cfg(feature = "sealed-values")]
    pub(super) sealing: Option<ValueSealing>,
}

impl SessionManagerBuilder {
    pub(crate) fn new(store: Arc<dyn SessionStore>) -> Self {
        Self {
            store,
            scope: None,
            keys: None,
            lifetime: Lifetime::default(),
            codec: Codec::default(),
            limits: Limits::default(),
            clock: Arc::new(SystemClock),
            timeouts: Timeouts::default(),
            on_corrupt: OnCorrupt::default(),
            rotation: Rotation::off(),
            on_reuse: OnReuse::default(),
            device_binding: DeviceBinding::off(),
            session_limit: None,
            watch_interval: Duration::from_secs(5),
            observers: Observers::default(),
            max_token: None,
            #[cfg(feature = "sealed-values")]
            sealing: None,
        }
    }

    /// Sets the name that keeps these sessions apart from others. Default: `__Host-id`.
    ///
    /// This name is part of each record and of every derived key. The HTTP layer uses the name of
    /// its transport.
    #[must_use]
    pub fn scope(mut self, scope: impl Into<ByteString>) -> Self {
        self.scope = Some(scope.into());
        self
    }

    /// Sets the keys that sign tokens. Default: no keys, and tokens without a MAC.
    ///
    /// The newest key signs. A token that no key verifies is not accepted. A MAC shows that a token
    /// was issued, so [theft](OnReuse) is noticed however old the token is. CSRF tokens are made
    /// with the keys too. A sealed store has keys of its own, so `build` refuses these keys over
    /// it.
    #[must_use]
    pub fn keys(mut self, keys: KeyRing) -> Self {
        self.keys = Some(keys);
        self
    }

    /// Sets how long new sessions live. Default: 2 hours idle, 14 days absolute.
    #[must_use]
    pub fn lifetime(mut self, lifetime: Lifetime) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// Sets how values are encoded. Default: JSON.
    #[must_use]
    pub fn codec(mut self, codec: Codec) -> Self {
        self.codec = codec;
        self
    }

    /// Sets how much a session may hold. Default: [`Limits::default`].
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets where the time comes from. Default: [`SystemClock`].
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Sets how long a store call may take, and how long a commit. Default: 2 s and 10 s.
    #[must_use]
    pub fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// Sets what happens to a request whose record cannot be read. Default:
    /// [`OnCorrupt::StartEmpty`].
    #[must_use]
    pub fn on_corrupt(mut self, policy: OnCorrupt) -> Self {
        self.on_corrupt = policy;
        self
    }

    /// Sets how often tokens are replaced. Default: [`Rotation::off`].
    #[must_use]
    pub fn rotation(mut self, rotation: Rotation) -> Self {
        self.rotation = rotation;
        self
    }

    /// Sets what to do when a client presents a token that was already rotated away.
    ///
    /// Default: [`OnReuse::Report`]. `build` refuses [`OnReuse::Revoke`] without a
    /// [`rotation`](Self::rotation), and over a store that can lose acknowledged writes
    /// ([`SessionStore::durability`]).
    #[must_use]
    pub fn on_reuse(mut self, policy: OnReuse) -> Self {
        self.on_reuse = policy;
        self
    }

    /// Sets whether sessions are bound to the device on which somebody signed in. Default:
    /// [`DeviceBinding::off`].
    ///
    /// The manager does its part for any transport:
    ///
    /// - A [token](crate::ClientToken) that is sent with a sign-in comes with a
    ///   [challenge](crate::ClientToken::device_challenge).
    /// - [`Session::bind_device_now`](crate::Session::bind_device_now) binds the session to a key
    ///   that has signed the challenge.
    /// - [`begin_with_proofs`](SessionManager::begin_with_proofs) takes the proofs of a request.
    /// - [`bound_session`](SessionManager::bound_session) gives a client its next proof.
    ///
    /// The transport verifies signatures. `build` refuses this without [`keys`](Self::keys), with
    /// which proofs are made, and over a sealed store, where a copy from before the binding would
    /// stay valid.
    ///
    /// - Every manager over the store needs this setting: one without it accepts the token alone.
    /// - A session from before is bound at the next sign-in.
    /// - Versions of this library that do not know devices cannot read the record of a bound
    ///   session. So update all servers before you switch this on.
    #[must_use]
    pub fn bound(mut self, binding: DeviceBinding) -> Self {
        self.device_binding = binding;
        self
    }

    /// Sets how many live sessions a principal may have in this scope. Default: any number.
    ///
    /// `beyond` says what happens to a sign-in beyond that number.
    ///
    /// A session that the same request destroys does not count: after `destroy()` and
    /// `sign_in(..)`, only the new session counts.
    ///
    /// While sign-ins are in flight, the limit can be exceeded briefly. Once they have all
    /// returned, and the store has answered them, the limit holds exactly. With
    /// `OnMaxSessions::Refuse`, a process counts only sessions whose values it can open, so
    /// processes with different keys of `seal_values` can exceed it together. Each sign-in costs
    /// two additional listings of sessions. `build` refuses a limit over a store without an [index
    /// of principals](SessionStore::principals).
    ///
    /// A sign-in that is cancelled half-way (by a timeout around the service) can leave a session
    /// that counts towards the limit although no client has its token. It expires, or
    /// [`sign_out_everywhere`](SessionManager::sign_out_everywhere) revokes it.
    ///
    /// A session whose record cannot be read counts as well. It is the first to be ended, whatever
    /// its scope, and no sign-in is refused because of it. No sign-in is refused because of a
    /// session whose values cannot be read in this process for want of a key of `seal_values`
    /// either.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    /// # .block_on(async {
    /// use session_core::{MemoryStore, OnMaxSessions, Outcome, SessionManager};
    ///
    /// let manager = SessionManager::builder(MemoryStore::new())
    ///     .max_sessions(1, OnMaxSessions::RevokeOldest)
    ///     .build()
    ///     .unwrap();
    /// for _ in 0..2 {
    ///     let session = manager.begin(&[]).await?;
    ///     session.sign_in("user:42")?;
    ///     session.finish(Outcome::Success).await?;
    /// }
    /// assert_eq!(manager.sessions_of("user:42").await?.len(), 1); // the second one
    /// # Ok::<_, session_core::SessionError>(()) }).unwrap();
    /// ```
    #[must_use]
    pub fn max_sessions(mut self, most: usize, beyond: OnMaxSessions) -> Self {
        self.session_limit = Some(SessionLimit { most, beyond });
        self
    }

    /// Sets how often the store is asked about a session that a handle
    /// [watches](crate::Session::ended). Default: 5 s.
    ///
    /// There is one load in each interval, which all handles of the session in this process share.
    /// `build` refuses an interval below a millisecond.
    #[must_use]
    pub fn watch_interval(mut self, interval: Duration) -> Self {
        self.watch_interval = interval;
        self
    }

    /// Adds an observer, which is notified of each event. Default: none. The log is written in any
    /// case.
    #[must_use]
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.observers.add(observer);
        self
    }

    /// Sets how many characters a sealed session, which is its own token, may have at most.
    ///
    /// Default: 4,096 for each [piece](RecordLocation::Client) that the store allows. The HTTP
    /// layer sets what its cookie or header can carry.
    #[must_use]
    pub fn max_token(mut self, characters: usize) -> Self {
        self.max_token = Some(characters);
        self
    }

    /// Sets the keys that seal values in the store. Default: values are stored as they are.
    ///
    /// Whoever reads the database then reads no value. With
    /// [`sealed_only`](ValueSealing::sealed_only), whoever writes to it can make none. Each value
    /// is encrypted and authenticated (XChaCha20-Poly1305), and opens only in its session, in this
    /// scope, under its name. The newest key seals, and all keys open. To rotate, put a new key
    /// behind the current one in every process, then in front: so none meets a value that it cannot
    /// open, and nobody is signed out. Losing all keys is losing all values.
    ///
    /// - **A new site sets [`ValueSealing::new(keys).sealed_only()`](ValueSealing::sealed_only)**
    ///   from the first day, as the example does. Without it, values from before stay readable.
    ///   They are sealed when they are next written, or when somebody signs in to their session.
    ///   Until `sealed_only` is set, **somebody who can write to the database can put a plain value
    ///   in the place of a sealed one**. Set it once all values from before are gone.
    /// - **What a reader still sees**: the principal, the label, times, the scope, names of keys,
    ///   hashes of tokens, and of each value its exact length and the id of its key. So whoever
    ///   knows that a value is `true` or `false` sees which one it is. They also see what CSRF
    ///   tokens are derived from: without [`keys`](Self::keys) they can make the CSRF tokens of a
    ///   session.
    /// - **Metadata is not authenticated.** Somebody who can write to the database can still change
    ///   who is signed in, admit a token of their own to a session, remove a value, put back an
    ///   older value of the same session and key, or bring back a whole session that has ended.
    /// - A value that does not open is [`StoreError::Corrupt`](crate::store::StoreError::Corrupt),
    ///   and [`on_corrupt`](Self::on_corrupt) says what happens then. If that is
    ///   [`OnCorrupt::StartEmpty`], a sign-in of the same principal ends the session, and so does a
    ///   [`destroy`](crate::Session::destroy). A process without the keys
    ///   can open none: [`writing_plain`](ValueSealing::writing_plain) says how to begin while
    ///   older processes run.
    /// - A session with a value that its key does not open lets nobody in, so it is the first that
    ///   [`max_sessions`](Self::max_sessions) ends. So is one with a plain value, if `sealed_only`
    ///   refuses it. One that was sealed with a key that this process does not have is ended no
    ///   sooner than others, because another process may have the key.
    /// - Sealing adds 46 bytes to each value in the store. The [limits](Self::limits) are those of
    ///   values before they are sealed.
    /// - A list of sessions opens their values, to find those that do not open.
    ///
    /// `build` refuses this over a sealed store, which seals whole sessions.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    /// # .block_on(async {
    /// use session_core::store::{RecordKey, SessionStore};
    /// use session_core::{KeyRing, MemoryStore, Outcome, SessionManager, ValueSealing};
    ///
    /// let keys = KeyRing::generate().unwrap(); // a site keeps its keys: `KeyRing::from_env`
    /// let manager = SessionManager::builder(MemoryStore::new())
    ///     .seal_values(ValueSealing::new(keys).sealed_only())
    ///     .build()
    ///     .unwrap();
    /// let session = manager.begin(&[]).await?;
    /// session.insert("diagnosis", "acrophobia")?;
    /// session.save().await?;
    /// assert_eq!(session.get::<String>("diagnosis")?.as_deref(), Some("acrophobia"));
    ///
    /// let key = RecordKey::Id(session.id().unwrap());
    /// let stored = manager.store().load(&key, session.created_at().unwrap()).await?.unwrap();
    /// let value = stored.values().get("diagnosis").unwrap();
    /// assert!(!value.bytes().windows(5).any(|part| part == b"phobi"));
    /// # Ok::<_, session_core::SessionError>(()) }).unwrap();
    /// ```
    #[cfg(feature = "sealed-values")]
    #[must_use]
    pub fn seal_values(mut self, sealing: impl Into<ValueSealing>) -> Self {
        self.sealing = Some(sealing.into());
        self
    }

    /// Sets what a transport requires: the name of its sessions and the size of its tokens.
    ///
    /// The sessions are kept apart under `name`, unless a scope was set. Tokens have at most
    /// `max_token` characters. `session-http` uses this for a layer with settings. Another
    /// transport that builds managers for its users needs it too.
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

    /// Where the store keeps its records. A transport asks before it builds the manager.
    pub fn location(&self) -> RecordLocation {
        self.store.location()
    }
}
