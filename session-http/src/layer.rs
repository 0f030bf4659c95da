//! Wraps services with sessions.

use std::fmt;
use std::sync::Arc;

use http::{HeaderMap, Response, StatusCode};
use session_core::{
    Codec, ConfigError, KeyRing, Lifetime, ManagerBuilder, Observer, OnMaxSessions, OnReuse,
    Rotation, SessionManager, SessionStore,
};

use crate::cookie_config::CookieConfig;
use crate::error::{DefaultResponse, Error};
use crate::header_config::HeaderConfig;
use crate::service::SessionService;
use crate::shared::{Policy, Shared};
use crate::transport::Transport;

/// Wraps a service so that its requests have sessions.
///
/// Works for tower services and, with the feature `hyper`, for hyper's own; the wrapped service is
/// of the same kind. Cheap to clone; clones share everything, so one layer serves all connections.
/// Its commit is done before the head of the response leaves. Put layers that cancel or
/// retry requests (timeouts, load shedding) outside of this one, or they see a request
/// that was cut off half-way.
///
/// ```
/// use session_core::MemoryStore;
/// use session_http::{SessionExt, SessionLayer};
/// use http::{Request, Response};
/// use tower::{ServiceExt, service_fn};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let sessions = SessionLayer::new(MemoryStore::new());
/// let service = sessions.layer(service_fn(async |request: Request<()>| {
///     let session = request.session().await?;
///     let visits = session.update("visits", |visits: Option<u64>| visits.unwrap_or(0) + 1)?;
///     Ok::<_, session_http::Error>(Response::new(format!("visit {visits}")))
/// }));
///
/// let first = service.clone().oneshot(Request::new(())).await.unwrap();
/// assert_eq!(first.body(), "visit 1");
/// let cookie = first.headers()["set-cookie"].to_str().unwrap();
/// assert!(cookie.starts_with("__Host-id="));
///
/// let request = Request::builder().header("cookie", cookie.split(';').next().unwrap()).body(()).unwrap();
/// assert_eq!(service.oneshot(request).await.unwrap().body(), "visit 2");
/// # });
/// ```
#[derive(Clone)]
pub struct SessionLayer<H = DefaultResponse> {
    pub(crate) shared: Arc<Shared>,
    pub(crate) on_error: H,
}

/// The commit policy where none is given: whether a response with this head means that the request
/// succeeded.
///
/// It does unless it is a 5xx, a 408, or has a `grpc-status` header other than 0.
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

impl SessionLayer {
    /// A layer over `store` with the defaults: the cookie `__Host-id`, 2 hours idle, 14 days
    /// absolute, JSON. Tokens carry no MAC; [`LayerBuilder::keys`] adds one.
    pub fn new(store: impl SessionStore) -> Self {
        let defaults = CookieConfig::default();
        let capability = store.capability();
        let transport = Transport::cookie(defaults, capability);
        let manager = SessionManager::for_transport(store, transport.name(), transport.max_token());
        Self::assemble(manager, transport, Arc::new(commit_by_default))
    }

    fn assemble(manager: SessionManager, transport: Transport, commit_if: Policy) -> Self {
        Self {
            shared: Arc::new(Shared {
                manager,
                transport,
                commit_if,
            }),
            on_error: DefaultResponse,
        }
    }

    /// A layer with settings of your own.
    pub fn builder(store: impl SessionStore) -> LayerBuilder {
        let manager = SessionManager::builder(store);
        LayerBuilder {
            transport: Transport::cookie(CookieConfig::default(), manager.capability()),
            manager,
            commit_if: Arc::new(commit_by_default),
        }
    }
}

impl<H> SessionLayer<H> {
    /// The name of this layer's sessions: that of the cookie or the header.
    pub fn name(&self) -> &str {
        self.shared.transport.name()
    }

    /// The manager behind it, to open and commit sessions without a request.
    pub fn manager(&self) -> &SessionManager {
        &self.shared.manager
    }

    /// Answers with `respond` where a session fails: where the commit fails, and where the
    /// service returns an error after its session could not be loaded. The body needs no
    /// `Default` then.
    ///
    /// ```
    /// use http::Response;
    /// use session_core::MemoryStore;
    /// use session_http::{Error, SessionLayer};
    ///
    /// let layer = SessionLayer::new(MemoryStore::new()).on_error(|error: &Error| {
    ///     let mut response = Response::new("Come back in a minute.".to_owned());
    ///     *response.status_mut() = error.status();
    ///     response
    /// });
    /// # let _ = layer;
    /// ```
    pub fn on_error<F, B>(self, respond: F) -> SessionLayer<F>
    where
        F: Fn(&Error) -> Response<B> + Clone,
    {
        SessionLayer {
            shared: self.shared,
            on_error: respond,
        }
    }

    /// Wraps `service`. (As [`tower_layer::Layer`] does, without the trait in scope.)
    pub fn layer<S>(&self, service: S) -> SessionService<S, H>
    where
        H: Clone,
    {
        SessionService::new(service, self.clone())
    }
}

impl<S, H: Clone> tower_layer::Layer<S> for SessionLayer<H> {
    type Service = SessionService<S, H>;

    fn layer(&self, service: S) -> Self::Service {
        Self::layer(self, service)
    }
}

impl<H> fmt::Debug for SessionLayer<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionLayer")
            .field("manager", &self.shared.manager)
            .field("transport", &self.shared.transport)
            .finish_non_exhaustive()
    }
}

/// Settings of a [`SessionLayer`]; made by [`SessionLayer::builder`].
pub struct LayerBuilder {
    manager: ManagerBuilder,
    transport: Transport,
    commit_if: Policy,
}

impl LayerBuilder {
    /// The cookie that carries the token. Default: [`CookieConfig::default`].
    #[must_use]
    pub fn cookie(mut self, cookie: CookieConfig) -> Self {
        self.transport = Transport::cookie(cookie, self.manager.capability());
        self
    }

    /// Carries the token in a header instead of a cookie, for clients without cookies.
    #[must_use]
    pub fn header(mut self, header: HeaderConfig) -> Self {
        self.transport = Transport::Header(header);
        self
    }

    /// Signs tokens, so that forged ones never reach the store, and so that theft shows
    /// ([`on_reuse`](Self::on_reuse)): an old token that comes back is told from a forged one
    /// however old it is; without keys only the last few are. CSRF tokens are made with them
    /// too, so that whoever can read the store can make none. (A cookie store has keys of its own;
    /// over one `build` refuses these.)
    #[must_use]
    pub fn keys(self, keys: KeyRing) -> Self {
        self.manager(|manager| manager.keys(keys))
    }

    /// How long sessions live. Default 2 hours idle, 14 days absolute, ending with the browser.
    #[must_use]
    pub fn lifetime(self, lifetime: Lifetime) -> Self {
        self.manager(|manager| manager.lifetime(lifetime))
    }

    /// Replaces tokens on a schedule: a response that is sent anyway brings the client the next
    /// one. Default [`Rotation::off`]. (Over a cookie store `build` refuses it.)
    #[must_use]
    pub fn rotation(self, rotation: Rotation) -> Self {
        self.manager(|manager| manager.rotation(rotation))
    }

    /// What to do when a client presents a token that was already rotated away. Default
    /// [`OnReuse::Report`]. Without a [`rotation`](Self::rotation), and over a store that can lose
    /// acknowledged writes ([`SessionStore::durability`]), `build` refuses [`OnReuse::Revoke`].
    #[must_use]
    pub fn on_reuse(self, policy: OnReuse) -> Self {
        self.manager(|manager| manager.on_reuse(policy))
    }

    /// How many live sessions a principal may have in this scope, and what becomes of a sign-in
    /// beyond that. Default any number.
    ///
    /// It holds exactly once all sign-ins that run at the same time have returned, if the store
    /// answered them. A sign-in costs two more listings, and fails over a store that cannot
    /// [list](SessionStore::list); over a cookie store `build` refuses it.
    /// With [`OnMaxSessions::Refuse`] the handler's `sign_in` succeeds and the commit fails, with
    /// 409 and an empty body: give it a page with [`SessionLayer::on_error`]. A sign-in that is
    /// cancelled half-way may leave a session that counts and of which no client knows.
    #[must_use]
    pub fn max_sessions(self, most: usize, beyond: OnMaxSessions) -> Self {
        self.manager(|manager| manager.max_sessions(most, beyond))
    }

    /// Who is told of each event. Default nobody; the log is written in any case.
    #[must_use]
    pub fn observer(self, observer: impl Observer) -> Self {
        self.manager(|manager| manager.observer(observer))
    }

    /// How values are written. Default JSON.
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

    /// Whether a response with this head means that the request succeeded, so that its
    /// session is saved. Default: [`commit_by_default`].
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
        Ok(SessionLayer::assemble(
            manager,
            self.transport,
            self.commit_if,
        ))
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
