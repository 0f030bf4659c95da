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
#[cfg(feature = "device-binding")]
use crate::transport::{DeviceRouting, Devices};

impl SessionLayer {
    /// Makes a layer over `store` with the default settings.
    ///
    /// The defaults are the cookie `__Host-id`, 2 hours idle, 14 days absolute, and JSON. Tokens
    /// carry no MAC; [`SessionLayerBuilder::keys`] adds one.
    pub fn new(store: impl SessionStore) -> Self {
        let transports = Transports::new(None, None, store.location());
        let manager =
            SessionManager::for_transport(store, transports.name(), transports.max_token());
        SessionLayer {
            shared: Arc::new(Shared {
                manager,
                transports,
                commit_if: Arc::new(commit_by_default),
                #[cfg(feature = "device-binding")]
                devices: None,
            }),
            on_error: DefaultResponse,
        }
    }

    /// Returns a builder for a layer with settings of your own.
    pub fn builder(store: impl SessionStore) -> SessionLayerBuilder {
        SessionLayerBuilder::new(SessionManager::builder(store))
    }

    /// Returns a builder for a layer over existing sessions.
    ///
    /// Pass the manager of another layer, or a manager of your own. So one set of sessions can
    /// serve browsers by a cookie, and apps by a header. Each layer accepts the tokens of the
    /// other, and a sign-out everywhere revokes the sessions of both.
    ///
    /// Put such layers side by side. If a request passes through several of them, they share one
    /// session: the outermost layer loads it, commits it and sends its token, by its own cookie or
    /// header. A single layer can also have [both](SessionLayerBuilder::header).
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

/// The settings of a [`SessionLayer`].
///
/// A builder from [`SessionLayer::builder`] also has the settings of the sessions. A builder from
/// [`SessionLayer::over`] has only those of the layer, because the manager already has the settings
/// of its sessions.
pub struct SessionLayerBuilder<M = SessionManagerBuilder> {
    pub(super) manager: M,
    cookie: Option<CookieConfig>,
    header: Option<HeaderConfig>,
    commit_if: CommitPolicy,
    #[cfg(feature = "device-binding")]
    device_routing: DeviceRouting,
}

/// The settings of every layer: how tokens travel, and when a session is saved.
impl<M> SessionLayerBuilder<M> {
    fn new(manager: M) -> Self {
        Self {
            manager,
            cookie: None,
            header: None,
            commit_if: Arc::new(commit_by_default),
            #[cfg(feature = "device-binding")]
            device_routing: DeviceRouting::default(),
        }
    }

    /// Sets the cookie that carries the token. Default: [`CookieConfig::default`], unless there is
    /// a [`header`](Self::header).
    #[must_use]
    pub fn cookie(mut self, cookie: CookieConfig) -> Self {
        self.cookie = Some(cookie);
        self
    }

    /// Sets the header that carries the token, for clients without cookies. Default: none.
    ///
    /// A layer with a header has no cookie, unless you also call [`cookie`](Self::cookie); the
    /// order of the calls does not matter. With both, each request is served by one of them:
    ///
    /// - A request that has the header is served by the header. Its cookies are ignored, and the
    ///   response gives a token in the header only. An app that has no token yet sends an empty
    ///   header.
    /// - Every other request is served by the cookie.
    ///
    /// [The guide](crate::guide::security#a-cookie-and-a-header) explains what that means for
    /// security. Such a layer has the name of its cookie, and
    /// [`session_named`](crate::SessionExt::session_named) accepts either name.
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

    /// Sets which responses mean that the request succeeded.
    ///
    /// The session is saved if `policy` returns `true` for the head of the response. Default:
    /// [`commit_by_default`].
    #[must_use]
    pub fn commit_if(
        mut self,
        policy: impl Fn(StatusCode, &HeaderMap) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.commit_if = Arc::new(policy);
        self
    }

    /// Sets where browsers register their device, and where they prove it again, if sessions are
    /// [bound](SessionLayerBuilder::bound). Default: `/dbsc/register` and `/dbsc/refresh`.
    ///
    /// Write the paths as a browser requests them, with the prefix under which a router mounts
    /// them. [`DeviceRoutes`](crate::device::DeviceRoutes) serves them, or routes of yours. A
    /// router that strips a prefix needs routes of yours, because `DeviceRoutes` sees only what is
    /// left. [`over`](SessionLayer::over) does not take these paths from the first layer: set them
    /// again.
    ///
    /// `build` refuses what is no path, what is percent-encoded, and one path for both.
    #[cfg(feature = "device-binding")]
    #[must_use]
    pub fn device_paths(mut self, register: impl Into<String>, refresh: impl Into<String>) -> Self {
        self.device_routing.register = register.into();
        self.device_routing.refresh = refresh.into();
        self
    }

    /// Sets whose requests let the browser prove its device again, besides those of this origin, if
    /// sessions are [bound](SessionLayerBuilder::bound). Default: nobody's.
    ///
    /// A page of another origin, such as another subdomain or port, can link to this one, send a
    /// form to it, or fetch from it. If the proof has expired by then, Chromium does not prove the
    /// device first, because that origin could measure how long the request takes. With `require`
    /// the request is then anonymous. List the hosts whose requests have to work, in lower case:
    /// `login.example`, or `*.example.com` for all hosts below it, without itself. Such hosts are
    /// those of an OpenID provider, and those of pages of yours that fetch from this one. `build`
    /// refuses what can be no host. Only newer browsers know this list.
    ///
    /// [`over`](SessionLayer::over) does not take this list from the first layer: set it again.
    #[cfg(feature = "device-binding")]
    #[must_use]
    pub fn refresh_initiators(
        mut self,
        hosts: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        self.device_routing.initiators = hosts.into_iter().map(Into::into).collect();
        self
    }
}

/// A layer over sessions of its own.
impl SessionLayerBuilder {
    /// Builds the layer.
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
        let shared = Shared {
            #[cfg(feature = "device-binding")]
            devices: devices(
                &manager,
                &transports,
                self.device_routing,
                HeaderAlone::Refused,
            )?,
            manager,
            transports,
            commit_if: self.commit_if,
        };
        assemble(shared)
    }
}

/// A layer over existing sessions.
impl SessionLayerBuilder<SessionManager> {
    /// Builds the layer.
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
    /// [`ConfigError`] if settings contradict each other, or if the manager's sessions do not fit
    /// this layer. They do not fit if they live longer than a cookie can, or if a sealed session
    /// may be larger than what the cookie or header can carry.
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
        let shared = Shared {
            #[cfg(feature = "device-binding")]
            devices: devices(
                &self.manager,
                &transports,
                self.device_routing,
                HeaderAlone::Allowed,
            )?,
            manager: self.manager,
            transports,
            commit_if: self.commit_if,
        };
        assemble(shared)
    }
}

fn assemble(shared: Shared) -> Result<SessionLayer, ConfigError> {
    #[cfg(not(feature = "device-binding"))]
    if shared.manager.device_binding().is_on() {
        return Err(ConfigError::new(
            "the manager binds sessions to devices; enable the feature `device-binding` of \
             session-http",
        ));
    }
    Ok(SessionLayer {
        shared: Arc::new(shared),
        on_error: DefaultResponse,
    })
}

/// Whether a layer that has a header and no cookie may be over sessions that are bound to devices.
#[cfg(feature = "device-binding")]
#[derive(Clone, Copy, PartialEq, Eq)]
enum HeaderAlone {
    /// Nothing would ever be bound.
    Refused,
    /// Another layer binds the sessions of browsers. Those of this one stay unbound.
    Allowed,
}

/// What a layer sends and reads besides tokens if its sessions are bound to devices.
#[cfg(feature = "device-binding")]
fn devices(
    manager: &SessionManager,
    transports: &Transports,
    routing: DeviceRouting,
    header_alone: HeaderAlone,
) -> Result<Option<Devices>, ConfigError> {
    let binding = manager.device_binding();
    if !binding.is_on() {
        return Ok(None);
    }
    match transports {
        Transports::Cookie(cookie) => Devices::new(binding, routing, cookie.config()).map(Some),
        Transports::Header(_) if header_alone == HeaderAlone::Allowed => Ok(None),
        Transports::Header(_) | Transports::Both { .. } => Err(ConfigError::new(
            "sessions are bound to devices, and a device is proved by a cookie only; give the \
             clients of a header a layer of their own, with `SessionLayer::over`",
        )),
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

/// The default commit policy: returns whether the head of a response means success.
///
/// Every response means success, except a 5xx, a 408, and one with a `grpc-status` header other
/// than 0.
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
