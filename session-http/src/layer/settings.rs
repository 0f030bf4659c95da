//! The settings of the sessions of a layer: those of its manager, by the same names.

use std::time::Duration;

use session_core::{
    Clock, Codec, KeyRing, Lifetime, Limits, Observer, OnCorrupt, OnMaxSessions, OnReuse, Rotation,
    SessionManagerBuilder, Timeouts,
};

use crate::layer::SessionLayerBuilder;

/// What a layer over sessions of its own can set: those of the sessions as well.
impl SessionLayerBuilder {
    /// Signs tokens, so that forged ones never reach the store, and so that theft shows
    /// ([`on_reuse`](Self::on_reuse)). With keys, the manager recognizes every rotated token that a
    /// client presents again, however old it is; without keys only the last few. CSRF tokens are
    /// made with the keys too, so that somebody who can read the store can make none. Default: no
    /// keys. A cookie store has keys of its own, and `build` refuses these over it.
    #[must_use]
    pub fn keys(self, keys: KeyRing) -> Self {
        self.set(|manager| manager.keys(keys))
    }

    /// How long sessions live. Default: 2 hours idle, 14 days absolute, and a cookie that ends with
    /// the browser.
    #[must_use]
    pub fn lifetime(self, lifetime: Lifetime) -> Self {
        self.set(|manager| manager.lifetime(lifetime))
    }

    /// Replaces tokens on a schedule. The client gets its next token with a response that is sent
    /// anyway. Default: [`Rotation::off`]. Over a cookie store `build` refuses a rotation.
    #[must_use]
    pub fn rotation(self, rotation: Rotation) -> Self {
        self.set(|manager| manager.rotation(rotation))
    }

    /// What to do when a client presents a token that was already rotated away, which means that it
    /// was probably stolen. Default: [`OnReuse::Report`]. `build` refuses [`OnReuse::Revoke`]
    /// without a [`rotation`](Self::rotation), and over a store that can lose acknowledged writes
    /// ([`SessionStore::durability`](session_core::store::SessionStore::durability)).
    #[must_use]
    pub fn on_reuse(self, policy: OnReuse) -> Self {
        self.set(|manager| manager.on_reuse(policy))
    }

    /// How many live sessions a principal may have in this scope, and what happens to a sign-in
    /// beyond that. Default: any number.
    ///
    /// While sign-ins are in flight the limit can be exceeded briefly. Once they have all returned,
    /// and the store answered them, it holds exactly. A sign-in costs two more listings. `build`
    /// refuses a limit over a store without an [index of
    /// principals](session_core::store::SessionStore::principals), such as a cookie store.
    ///
    /// With [`OnMaxSessions::Refuse`] the handler's `sign_in` succeeds and the commit fails, with
    /// 409 and an empty body. [`SessionLayer::on_error`](crate::SessionLayer::on_error) can give it
    /// a page. A sign-in that is cancelled half-way can leave a session that counts although no
    /// client has its token.
    #[must_use]
    pub fn max_sessions(self, most: usize, beyond: OnMaxSessions) -> Self {
        self.set(|manager| manager.max_sessions(most, beyond))
    }

    /// How often the store is asked for a session that a handle
    /// [watches](session_core::Session::ended): one load in each interval, for all handles of the
    /// session in this process together. Default: 5 s. `build` refuses less than a millisecond.
    #[must_use]
    pub fn watch_interval(self, interval: Duration) -> Self {
        self.set(|manager| manager.watch_interval(interval))
    }

    /// The observer that is notified of each event. Default: none. The log is written in any case.
    #[must_use]
    pub fn observer(self, observer: impl Observer) -> Self {
        self.set(|manager| manager.observer(observer))
    }

    /// How values are written. Default: JSON.
    #[must_use]
    pub fn codec(self, codec: Codec) -> Self {
        self.set(|manager| manager.codec(codec))
    }

    /// How much a session may hold. Default: [`Limits::default`].
    #[must_use]
    pub fn limits(self, limits: Limits) -> Self {
        self.set(|manager| manager.limits(limits))
    }

    /// How long a call of the store and a commit may take. Default: 2 s and 10 s.
    #[must_use]
    pub fn timeouts(self, timeouts: Timeouts) -> Self {
        self.set(|manager| manager.timeouts(timeouts))
    }

    /// What happens to a request whose record cannot be read. Default: [`OnCorrupt::StartEmpty`].
    #[must_use]
    pub fn on_corrupt(self, policy: OnCorrupt) -> Self {
        self.set(|manager| manager.on_corrupt(policy))
    }

    /// Where the time comes from. Default: the system's clock.
    #[must_use]
    pub fn clock(self, clock: impl Clock) -> Self {
        self.set(|manager| manager.clock(clock))
    }

    /// The name under which these sessions are kept apart from others in the same store. Default:
    /// the name of the cookie, or of the header where there is no cookie.
    ///
    /// A token opens nothing in another scope. So set the scope to its former value when you rename
    /// the cookie, or when you give a layer with a header a cookie as well.
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

    /// How many characters a sealed session may have at most. Default: what the cookie or header
    /// can carry.
    #[must_use]
    pub fn max_token(self, characters: usize) -> Self {
        self.set(|manager| manager.max_token(characters))
    }

    fn set(mut self, set: impl FnOnce(SessionManagerBuilder) -> SessionManagerBuilder) -> Self {
        self.manager = set(self.manager);
        self
    }
}
