//! The settings of a layer.

use std::fmt;
use std::sync::Arc;

use http::{HeaderMap, StatusCode};
use session_core::store::{RecordLocation, SessionStore};
use session_core::{ConfigError, SessionManager, SessionManagerBuilder};

use crate::error::DefaultResponse;
use crate::layer::session_layer::SessionLayer;
use crate::request::{CommitPolicy, Shared};
use crate::transport::{CookieConfig, HeaderConfig, Transports};

impl SessionLayer {
    /// A layer over `store` with the defaults: the cookie `__Host-id`, 2 hours idle, 14 days
    /// absolute, JSON. Tokens carry no MAC; [`SessionLayerBuilder::keys`] adds one.
    pub fn new(store: impl SessionStore) -> Self {
        let transports = Transports::new(None, None, store.location());
        let manager =
            SessionManager::for_transport(store, transports.name(), transports.max_token());
        assemble(manager, transports, Arc::new(commit_by_default))
    }

    /// A layer with settings of your own.
    pub fn builder(store: impl SessionStore) -> SessionLayerBuilder {
        SessionLayerBuilder::new(SessionManager::builder(store))
    }

    /// A layer over existing sessions: those of another layer, or of a manager of your own. So one
    /// set of sessions can serve browsers by a cookie in one place, and apps by a header in
    /// another. Each layer accepts the tokens of the other, and signing somebody out everywhere
    /// revokes their sessions of both.
    ///
    /// Put such layers side by side. Around one request they share one session, which the outermost
    /// one loads, commits and announces, by its own cookie or header. One layer can have
    /// [both](SessionLayerBuilder::header).
    ///
    /// ```
    /// use http::{Request, Response};
    /// use session_http::{HeaderConfig, MemoryStore, SessionExt, SessionLayer};
    /// use tower::{ServiceExt, service_fn};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let pages = SessionLayer::new(MemoryStore::new());
    /// let api = SessionLayer::over(pages.manager()).header(HeaderConfig::default());
    /// let api = api.build().unwrap();
    ///
    /// let sign_in = service_fn(async |request: Request<()>| {
    ///     request.session().await?.sign_in("user:42")?;
    ///     Ok::<_, session_http::Error>(Response::new(()))
    /// });
    /// let by_cookie = pages.layer(sign_in).oneshot(Request::new(())).await.unwrap();
    /// let by_header = api.layer(sign_in).oneshot(Request::new(())).await.unwrap();
    /// assert!(by_cookie.headers().contains_key("set-cookie"));
    /// assert!(by_header.headers().contains_key("x-session-token"));
    /// assert_eq!(pages.manager().sign_out_everywhere("user:42").await.unwrap(), 2);
    /// # });
    /// ```
    pub fn over(manager: &SessionManager) -> SessionLayerBuilder<SessionManager> {
        SessionLayerBuilder::new(manager.clone())
    }
}

/// Settings of a [`SessionLayer`].
///
/// What [`SessionLayer::builder`] makes has the settings of its sessions too. What
/// [`SessionLayer::over`] makes has only those of the layer: its sessions have their settings from
/// the manager.
pub struct SessionLayerBuilder<M = SessionManagerBuilder> {
    pub(super) manager: M,
    cookie: Option<CookieConfig>,
    header: Option<HeaderConfig>,
    commit_if: CommitPolicy,
}

/// What every layer can set: how tokens travel, and when a session is saved.
impl<M> SessionLayerBuilder<M> {
    fn new(manager: M) -> Self {
        Self {
            manager,
            cookie: None,
            header: None,
            commit_if: Arc::new(commit_by_default),
        }
    }

    /// The cookie that carries the token. Default: [`CookieConfig::default`], unless there is a
    /// [`header`](Self::header).
    #[must_use]
    pub fn cookie(mut self, cookie: CookieConfig) -> Self {
        self.cookie = Some(cookie);
        self
    }

    /// The header that carries the token, for clients without cookies. Default: none.
    ///
    /// A layer with a header has no cookie, unless [`cookie`](Self::cookie) is called too, before
    /// or after. With both, each request is served by one of them:
    ///
    /// - A request that has the header is served by the header. Its cookies are ignored, and the
    ///   response gives a token in the header only. An app that has no token yet sends the header
    ///   empty.
    /// - Every other request is served by the cookie.
    ///
    /// [The guide](crate::guide::security#a-cookie-and-a-header) says what that means for security.
    /// The layer has the name of its cookie, and
    /// [`session_named`](crate::SessionExt::session_named) takes either name.
    ///
    /// ```
    /// use http::{Request, Response};
    /// use session_http::{CookieConfig, HeaderConfig, MemoryStore, SessionLayer, with_session};
    /// use tower::ServiceExt;
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let both = SessionLayer::builder(MemoryStore::new())
    ///     .cookie(CookieConfig::default())
    ///     .header(HeaderConfig::default())
    ///     .build()
    ///     .unwrap();
    /// let service = with_session(&both, async |_: Request<()>, session| {
    ///     session.insert("seen", true)?;
    ///     Ok::<_, session_http::SessionError>(Response::new(()))
    /// });
    ///
    /// let response = service.clone().oneshot(Request::new(())).await.unwrap();
    /// assert!(response.headers().contains_key("set-cookie")); // a browser
    ///
    /// let request = Request::builder().header("x-session-token", "").body(()).unwrap();
    /// let response = service.oneshot(request).await.unwrap();
    /// assert!(response.headers().contains_key("x-session-token")); // an app
    /// assert!(!response.headers().contains_key("set-cookie"));
    /// # });
    /// ```
    #[must_use]
    pub fn header(mut self, header: HeaderConfig) -> Self {
        self.header = Some(header);
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
}

/// A layer over sessions of its own.
impl SessionLayerBuilder {
    /// The layer.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if settings contradict each other.
    pub fn build(self) -> Result<SessionLayer, ConfigError> {
        let transports = Transports::new(self.cookie, self.header, self.manager.location());
        transports.check()?;
        let (name, max_token) = (transports.name(), transports.max_token());
        let manager = self.manager.for_transport(name, max_token).build()?;
        transports.check_lifetime(manager.lifetime())?;
        Ok(assemble(manager, transports, self.commit_if))
    }
}

/// A layer over existing sessions.
impl SessionLayerBuilder<SessionManager> {
    /// The layer.
    ///
    /// ```
    /// use session_http::{HeaderConfig, Lifetime, MemoryStore, SessionLayer, SessionManager};
    /// use std::time::Duration;
    ///
    /// let year = Duration::from_secs(365 * 24 * 3600);
    /// let manager = SessionManager::builder(MemoryStore::new())
    ///     .lifetime(Lifetime::new(year, 2 * year).unwrap().persistent())
    ///     .build()
    ///     .unwrap();
    /// let over = || SessionLayer::over(&manager);
    /// assert!(over().build().is_err()); // no browser keeps a cookie for two years
    /// assert!(over().header(HeaderConfig::default()).build().is_ok());
    /// ```
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if settings contradict each other, or if the manager's sessions do not fit:
    /// if they live longer than a cookie can, or if a sealed session may be larger than what the
    /// cookie or header can carry.
    pub fn build(self) -> Result<SessionLayer, ConfigError> {
        let location = self.manager.store().location();
        let transports = Transports::new(self.cookie, self.header, location);
        transports.check()?;
        transports.check_lifetime(self.manager.lifetime())?;
        let narrowest = transports.narrowest();
        let (largest, fits) = (self.manager.max_token(), narrowest.max_token());
        if matches!(location, RecordLocation::Client { .. }) && largest > fits {
            return Err(ConfigError::new(format!(
                "the manager makes sealed sessions of up to {largest} characters, and {:?} \
                 carries {fits}; build the manager with `max_token({fits})`",
                narrowest.name()
            )));
        }
        Ok(assemble(self.manager, transports, self.commit_if))
    }
}

fn assemble(
    manager: SessionManager,
    transports: Transports,
    commit_if: CommitPolicy,
) -> SessionLayer {
    SessionLayer {
        shared: Arc::new(Shared {
            manager,
            transports,
            commit_if,
        }),
        on_error: DefaultResponse,
    }
}

impl<M: fmt::Debug> fmt::Debug for SessionLayerBuilder<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionLayerBuilder")
            .field("manager", &self.manager)
            .field("cookie", &self.cookie)
            .field("header", &self.header)
            .finish_non_exhaustive()
    }
}

/// The default commit policy: whether a response with this head means that the request succeeded.
///
/// It does, unless it is a 5xx or a 408, or has a `grpc-status` header other than 0.
///
/// ```
/// use http::{HeaderMap, StatusCode};
/// use session_http::layer::commit_by_default;
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
