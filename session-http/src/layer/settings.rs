//! The settings of the sessions of a layer: those of its manager, by the same names.

use std::time::Duration;

#[cfg(feature = "device-binding")]
use session_core::DeviceBinding;
#[cfg(feature = "sealed-values")]
use session_core::ValueSealing;
use session_core::{
    Clock, Codec, KeyRing, Lifetime, Limits, Observer, OnCorrupt, OnMaxSessions, OnReuse, Rotation,
    SessionManagerBuilder, Timeouts,
};

use crate::layer::SessionLayerBuilder;

/// The settings of the sessions, for a layer over sessions of its own.
impl SessionLayerBuilder {
    /// Sets the keys that sign tokens. Default: no keys.
    ///
    /// With keys, forged tokens never reach the store, and theft is noticed
    /// ([`on_reuse`](Self::on_reuse)): the manager recognizes every rotated token that a client
    /// presents again, however old it is. Without keys it recognizes only the last few. The keys
    /// also protect CSRF tokens: somebody who can read the store cannot make one.
    ///
    /// A cookie store has keys of its own, so `build` refuses these keys over a cookie store.
    #[must_use]
    pub fn keys(self, keys: KeyRing) -> Self {
        self.set(|manager| manager.keys(keys))
    }

    /// Sets the keys that seal values in the store. Default: values are stored as they are.
    ///
    /// Whoever reads the database then reads no value, and whoever writes to it can make none. Each
    /// value opens only in its session, in this scope, under its key. The newest key seals, and all
    /// keys open, so keys rotate without signing anybody out. Metadata (the principal, the label,
    /// times, names of keys, sizes) stays readable, and is not authenticated.
    ///
    /// A new site sets [`ValueSealing::sealed_only`] from the first day, as the example does.
    /// **Until it is set, somebody who can write to the database can put a plain value in the place
    /// of a sealed one.** Without it, values from before stay readable. They are sealed when they
    /// are next written, or when somebody signs in to their session.
    ///
    /// [The guide](crate::guide::operating) says how to begin and how to rotate, and
    /// [`SessionManagerBuilder::seal_values`](session_core::SessionManagerBuilder::seal_values) has
    /// the details.
    ///
    /// A cookie store seals whole sessions, so `build` refuses this over a cookie store.
    ///
    /// ```
    /// use session_http::{KeyRing, MemoryStore, SessionLayer, ValueSealing};
    ///
    /// # let keys = || KeyRing::new([1; 32]).unwrap();
    /// let sealing = ValueSealing::new(keys()).sealed_only(); // keys of `KeyRing::from_env`
    /// let layer = SessionLayer::builder(MemoryStore::new()).seal_values(sealing).build();
    /// assert!(layer.is_ok());
    /// # #[cfg(feature = "cookie")] {
    /// use session_http::cookie::CookieStore;
    ///
    /// let refused = SessionLayer::builder(CookieStore::encrypted(keys())).seal_values(keys());
    /// assert!(refused.build().is_err());
    /// # }
    /// ```
    #[cfg(feature = "sealed-values")]
    #[must_use]
    pub fn seal_values(self, sealing: impl Into<ValueSealing>) -> Self {
        self.set(|manager| manager.seal_values(sealing))
    }

    /// Sets how long sessions live.
    ///
    /// Default: 2 hours idle, 14 days absolute, and a cookie that the browser drops when it closes.
    #[must_use]
    pub fn lifetime(self, lifetime: Lifetime) -> Self {
        self.set(|manager| manager.lifetime(lifetime))
    }

    /// Sets how often tokens are replaced. Default: [`Rotation::off`].
    ///
    /// The client gets its next token with a response that is sent anyway. `build` refuses a
    /// rotation over a cookie store.
    #[must_use]
    pub fn rotation(self, rotation: Rotation) -> Self {
        self.set(|manager| manager.rotation(rotation))
    }

    /// Sets what to do when a client presents a token that was already rotated away.
    ///
    /// Such a token was probably stolen. Default: [`OnReuse::Report`]. `build` refuses
    /// [`OnReuse::Revoke`] without a [`rotation`](Self::rotation), and over a store that can lose
    /// acknowledged writes
    /// ([`SessionStore::durability`](session_core::store::SessionStore::durability)).
    #[must_use]
    pub fn on_reuse(self, policy: OnReuse) -> Self {
        self.set(|manager| manager.on_reuse(policy))
    }

    /// Sets whether sessions are bound to the device on which somebody signed in. Default:
    /// [`DeviceBinding::off`].
    ///
    /// With [`require`](DeviceBinding::require), a copy of the cookie opens nothing without the
    /// browser's key. This needs a browser that knows Device Bound Session Credentials (W3C draft);
    /// any other one ignores it. It also needs [`keys`](Self::keys), HTTPS, and the two routes of
    /// [`crate::device`], which has an example.
    ///
    /// `build` refuses it
    ///
    /// - without keys, and over a cookie store;
    /// - with a [`header`](Self::header), because a device is proved by a cookie only;
    /// - if the cookie is `Partitioned`, or its name does not begin with `__Host-`: a neighbouring
    ///   host could plant another session beside it.
    ///
    /// Before you require proofs, observe, and see that sessions are bound: the
    /// [observer](Self::observer) gets an event [`Bound`](crate::EventKind::Bound) for each. If
    /// nothing serves the two routes, no session is ever bound, and nobody is refused.
    ///
    /// - A browser registers after a sign-in. A session from before stays unbound until the next
    ///   one, and so does one whose registration failed.
    /// - Every layer over the store needs this setting: one without it accepts the cookie alone.
    /// - Versions of this library that do not know devices cannot read the record of a bound
    ///   session. So update all servers before you switch this on.
    #[cfg(feature = "device-binding")]
    #[must_use]
    pub fn bound(self, binding: DeviceBinding) -> Self {
        self.set(|manager| manager.bound(binding))
    }

    /// Sets how many live sessions a principal may have in this scope. Default: any number.
    ///
    /// `beyond` says what happens to a sign-in beyond that number.
    ///
    /// While sign-ins are in flight, the limit can be exceeded briefly. Once they have all
    /// returned, and the store has answered them, the limit holds exactly. With
    /// `OnMaxSessions::Refuse`, a process counts only sessions whose values it can open, so
    /// processes with different keys of `seal_values` can exceed it together. Each sign-in costs
    /// two additional listings of sessions. `build` refuses a limit over a store without an [index
    /// of principals](session_core::store::SessionStore::principals), such as a cookie store.
    ///
    /// With [`OnMaxSessions::Refuse`], the handler's `sign_in` succeeds and the commit fails. The
    /// client gets a 409 with an empty body, unless
    /// [`SessionLayer::on_error`](crate::SessionLayer::on_error) makes a page. A sign-in that is
    /// cancelled half-way can leave a session that counts towards the limit although no client has
    /// its token.
    #[must_use]
    pub fn max_sessions(self, most: usize, beyond: OnMaxSessions) -> Self {
        self.set(|manager| manager.max_sessions(most, beyond))
    }

    /// Sets how often the store is asked about a session that a handle
    /// [watches](session_core::Session::ended). Default: 5 s.
    ///
    /// There is one load in each interval, which all handles of the session in this process share.
    /// `build` refuses an interval below a millisecond.
    #[must_use]
    pub fn watch_interval(self, interval: Duration) -> Self {
        self.set(|manager| manager.watch_interval(interval))
    }

    /// Adds an observer, which is notified of each event. Default: none. The log is written in any
    /// case.
    #[must_use]
    pub fn observer(self, observer: impl Observer) -> Self {
        self.set(|manager| manager.observer(observer))
    }

    /// Sets how values are encoded. Default: JSON.
    #[must_use]
    pub fn codec(self, codec: Codec) -> Self {
        self.set(|manager| manager.codec(codec))
    }

    /// Sets how much a session may hold. Default: [`Limits::default`].
    #[must_use]
    pub fn limits(self, limits: Limits) -> Self {
        self.set(|manager| manager.limits(limits))
    }

    /// Sets how long a store call may take, and how long a commit. Default: 2 s and 10 s.
    #[must_use]
    pub fn timeouts(self, timeouts: Timeouts) -> Self {
        self.set(|manager| manager.timeouts(timeouts))
    }

    /// Sets what happens to a request whose record cannot be read. Default:
    /// [`OnCorrupt::StartEmpty`].
    #[must_use]
    pub fn on_corrupt(self, policy: OnCorrupt) -> Self {
        self.set(|manager| manager.on_corrupt(policy))
    }

    /// Sets where the time comes from. Default: the system's clock.
    #[must_use]
    pub fn clock(self, clock: impl Clock) -> Self {
        self.set(|manager| manager.clock(clock))
    }

    /// Sets the name that keeps these sessions apart from others in the same store.
    ///
    /// Default: the name of the cookie, or of the header if there is no cookie.
    ///
    /// A token opens no session of another scope. So set the scope to its former value when you
    /// rename the cookie, or when you add a cookie to a layer that has only a header.
    ///
    /// ```
    /// use session_http::{CookieConfig, MemoryStore, SessionLayer};
    ///
    /// let layer = SessionLayer::builder(MemoryStore::new())
    ///     .cookie(CookieConfig::new("__Host-shop"))
    ///     .scope("shop") // stays when the cookie gets another name
    ///     .build()?;
    /// assert_eq!((layer.name(), layer.manager().scope()), ("__Host-shop", "shop"));
    /// # Ok::<_, session_http::ConfigError>(())
    /// ```
    #[must_use]
    pub fn scope(self, scope: impl Into<String>) -> Self {
        self.set(|manager| manager.scope(scope.into()))
    }

    /// Sets how many characters a sealed session may have at most. Default: what the cookie or
    /// header can carry.
    #[must_use]
    pub fn max_token(self, characters: usize) -> Self {
        self.set(|manager| manager.max_token(characters))
    }

    fn set(mut self, set: impl FnOnce(SessionManagerBuilder) -> SessionManagerBuilder) -> Self {
        self.manager = set(self.manager);
        self
    }
}
