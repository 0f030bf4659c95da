//! The settings of a layer.

use std::fmt;
use std::sync::Arc;

use http::{HeaderMap, StatusCode};
use session_core::{
    Codec, ConfigError, KeyRing, Lifetime, ManagerBuilder, Observer, OnMaxSessions, OnReuse,
    Rotation, SessionManager, SessionStore,
};

use crate::error::DefaultResponse;
use crate::layer::SessionLayer;
use crate::request::{CommitPolicy, Shared};
use crate::transport::{CookieConfig, CookieTransport, HeaderConfig, Transport};

impl SessionLayer {
    /// A layer over `store` with the defaults: the cookie `__Host-id`, 2 hours idle, 14 days
    /// absolute, JSON. Tokens carry no MAC; [`LayerBuilder::keys`] adds one.
    pub fn new(store: impl SessionStore) -> Self {
        let transport = CookieTransport::new(CookieConfig::default(), store.capability());
        let manager = SessionManager::for_transport(store, transport.name(), transport.max_token());
        assemble(manager, Box::new(transport), Arc::new(commit_by_default))
    }

    /// A layer with settings of your own.
    pub fn builder(store: impl SessionStore) -> LayerBuilder {
        let manager = SessionManager::builder(store);
        let transport = CookieTransport::new(CookieConfig::default(), manager.capability());
        LayerBuilder {
            manager,
            transport: Box::new(transport),
            commit_if: Arc::new(commit_by_default),
        }
    }
}

/// Settings of a [`SessionLayer`]; made by [`SessionLayer::builder`].
pub struct LayerBuilder {
    manager: ManagerBuilder,
    transport: Box<dyn Transport>,
    commit_if: CommitPolicy,
}

impl LayerBuilder {
    /// The cookie that carries the token. Default: [`CookieConfig::default`].
    #[must_use]
    pub fn cookie(mut self, cookie: CookieConfig) -> Self {
        self.transport = Box::new(CookieTransport::new(cookie, self.manager.capability()));
        self
    }

    /// Carries the token in a header instead of a cookie, for clients without cookies. Default: a
    /// cookie.
    #[must_use]
    pub fn header(mut self, header: HeaderConfig) -> Self {
        self.transport = Box::new(header);
        self
    }

    /// Signs tokens, so that forged ones never reach the store, and so that theft shows
    /// ([`on_reuse`](Self::on_reuse)). With keys, the manager recognizes every rotated token that a
    /// client presents again, however old it is; without keys only the last few. CSRF tokens are
    /// made with the keys too, so that somebody who can read the store can make none. Default: no
    /// keys. A cookie store has keys of its own, and `build` refuses these over it.
    #[must_use]
    pub fn keys(self, keys: KeyRing) -> Self {
        self.manager(|manager| manager.keys(keys))
    }

    /// How long sessions live. Default: 2 hours idle, 14 days absolute, and a cookie that ends with
    /// the browser.
    #[must_use]
    pub fn lifetime(self, lifetime: Lifetime) -> Self {
        self.manager(|manager| manager.lifetime(lifetime))
    }

    /// Replaces tokens on a schedule. The client gets its next token with a response that is sent
    /// anyway. Default: [`Rotation::off`]. Over a cookie store `build` refuses a rotation.
    #[must_use]
    pub fn rotation(self, rotation: Rotation) -> Self {
        self.manager(|manager| manager.rotation(rotation))
    }

    /// What to do when a client presents a token that was already rotated away, which means that it
    /// was probably stolen. Default: [`OnReuse::Report`]. `build` refuses [`OnReuse::Revoke`]
    /// without a [`rotation`](Self::rotation), and over a store that can lose acknowledged writes
    /// ([`SessionStore::durability`]).
    #[must_use]
    pub fn on_reuse(self, policy: OnReuse) -> Self {
        self.manager(|manager| manager.on_reuse(policy))
    }

    /// How many live sessions a principal may have in this scope, and what happens to a sign-in
    /// beyond that. Default: any number.
    ///
    /// While sign-ins are in flight the limit can be exceeded briefly. Once they have all returned,
    /// and the store answered them, it holds exactly. A sign-in costs two more listings. Over a
    /// store that cannot [list](SessionStore::list) it fails, and over a cookie store `build`
    /// refuses the limit.
    ///
    /// With [`OnMaxSessions::Refuse`] the handler's `sign_in` succeeds and the commit fails, with
    /// 409 and an empty body. [`SessionLayer::on_error`] can give it a page. A sign-in that is
    /// cancelled half-way can leave a session that counts although no client has its token.
    #[must_use]
    pub fn max_sessions(self, most: usize, beyond: OnMaxSessions) -> Self {
        self.manager(|manager| manager.max_sessions(most, beyond))
    }

    /// Who is notified of each event. Default: nobody. The log is written in any case.
    #[must_use]
    pub fn observer(self, observer: impl Observer) -> Self {
        self.manager(|manager| manager.observer(observer))
    }

    /// How values are written. Default: JSON.
    #[must_use]
    pub fn codec(self, codec: Codec) -> Self {
        self.manager(|manager| manager.codec(codec))
    }

    /// Any other setting of the manager: limits, deadlines, clock, scope.
    ///
    /// ```
    /// use session_core::{Limits, MemoryStore};
    /// use session_http::SessionLayer;
    ///
    /// let small = Limits { record_bytes: 10_000, ..Limits::default() };
    /// let layer = SessionLayer::builder(MemoryStore::new())
    ///     .manager(|manager| manager.limits(small))
    ///     .build();
    /// assert!(layer.is_ok());
    /// ```
    #[must_use]
    pub fn manager(mut self, set: impl FnOnce(ManagerBuilder) -> ManagerBuilder) -> Self {
        self.manager = set(self.manager);
        self
    }

    /// Whether a response with this head means that the request succeeded, so that its session is
    /// saved. Default: [`commit_by_default`].
    #[must_use]
    pub fn commit_if(
        mut self,
        policy: impl Fn(StatusCode, &HeaderMap) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.commit_if = Arc::new(policy);
        self
    }

    /// The layer.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if settings contradict each other.
    pub fn build(self) -> Result<SessionLayer, ConfigError> {
        self.transport.check()?;
        let (name, max_token) = (self.transport.name(), self.transport.max_token());
        let manager = self.manager.for_transport(name, max_token).build()?;
        self.transport.check_lifetime(manager.lifetime())?;
        Ok(assemble(manager, self.transport, self.commit_if))
    }
}

fn assemble(
    manager: SessionManager,
    transport: Box<dyn Transport>,
    commit_if: CommitPolicy,
) -> SessionLayer {
    SessionLayer {
        shared: Arc::new(Shared {
            manager,
            transport,
            commit_if,
        }),
        on_error: DefaultResponse,
    }
}

impl fmt::Debug for LayerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LayerBuilder")
            .field("manager", &self.manager)
            .field("transport", &self.transport)
            .finish_non_exhaustive()
    }
}

/// The default commit policy: whether a response with this head means that the request succeeded.
///
/// It does, unless it is a 5xx or a 408, or has a `grpc-status` header other than 0.
///
/// ```
/// use http::{HeaderMap, StatusCode};
/// use session_http::commit_by_default;
///
/// assert!(commit_by_default(StatusCode::NOT_FOUND, &HeaderMap::new()));
/// assert!(!commit_by_default(StatusCode::BAD_GATEWAY, &HeaderMap::new()));
/// ```
pub fn commit_by_default(status: StatusCode, headers: &HeaderMap) -> bool {
    let grpc_failed = headers
        .get("grpc-status")
        .is_some_and(|code| code.as_bytes() != b"0");
    !status.is_server_error() && status != StatusCode::REQUEST_TIMEOUT && !grpc_failed
}
