//! A set of sessions whose time and store a test decides.

use std::sync::Arc;
use std::time::Duration;

use session_core::{ConfigError, ManualClock, SessionManager, Timestamp};

use crate::error::{DefaultResponse, Error};
use crate::layer::SessionLayerBuilder;
use crate::layer::session_layer::SessionLayer;
use crate::testing::client::TestClient;
use crate::testing::store::{StoreFault, TestStore};

/// When every test begins: 2023-11-14T22:13:20Z.
const START: Timestamp = Timestamp::from_millis(1_700_000_000_000);

/// Sessions for a test: in memory, on a clock that stands still, over a store that fails on demand.
///
/// ```
/// use session_http::testing::{StoreFault, TestSessions};
/// use std::time::Duration;
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let sessions = TestSessions::new();
/// let ann = sessions.signed_in("user:ann").await?;
///
/// sessions.fail_store(StoreFault::Unavailable);
/// assert!(ann.session().await.is_err());
/// sessions.repair_store();
///
/// sessions.advance(Duration::from_secs(3 * 3600)); // beyond the idle timeout
/// assert!(ann.session().await?.is_new());
/// # Ok::<_, session_http::Error>(()) }).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct TestSessions<H = DefaultResponse> {
    layer: SessionLayer<H>,
    store: TestStore,
    clock: Arc<ManualClock>,
}

impl TestSessions {
    /// Sessions with the defaults of [`SessionLayer::new`].
    #[expect(
        clippy::expect_used,
        clippy::missing_panics_doc,
        reason = "the defaults agree, which each test that calls this shows"
    )]
    pub fn new() -> Self {
        Self::with(|settings| settings).expect("the defaults agree")
    }

    /// Sessions with settings of your own, such as keys, a rotation or a header.
    ///
    /// ```
    /// use session_http::testing::TestSessions;
    /// use session_http::{HeaderConfig, KeyRing};
    ///
    /// let ring = KeyRing::new([1; 32]).unwrap();
    /// let sessions = TestSessions::with(|settings| {
    ///     settings.keys(ring).header(HeaderConfig::default())
    /// })
    /// .unwrap();
    /// assert_eq!(sessions.layer().name(), "x-session-token");
    /// ```
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if the settings contradict each other.
    pub fn with(
        set: impl FnOnce(SessionLayerBuilder) -> SessionLayerBuilder,
    ) -> Result<Self, ConfigError> {
        let (store, clock) = (TestStore::new(), ManualClock::new(START));
        let builder = SessionLayer::builder(store.clone());
        let builder = builder.clock(Arc::clone(&clock));
        let layer = set(builder).build()?;
        Ok(Self {
            layer,
            store,
            clock,
        })
    }
}

impl<H> TestSessions<H> {
    /// Sessions behind the application's own layer, which `make` builds from a store and a clock.
    ///
    /// If `make` does not use the clock, [`advance`](Self::advance) has no effect. If it does not
    /// use the store, [`fail_store`](Self::fail_store) has no effect.
    ///
    /// ```
    /// use http::{Request, Response, StatusCode};
    /// use session_http::manager::{Clock, SessionStore};
    /// use session_http::testing::{StoreFault, TestSessions};
    /// use session_http::{CookieConfig, Error, SessionExt, SessionLayer};
    /// use tower::service_fn;
    ///
    /// // In the application, which calls `sessions(RedisStore::.., SystemClock)`:
    /// type Sessions = SessionLayer<fn(&Error) -> Response<String>>;
    ///
    /// fn sessions(store: impl SessionStore, clock: impl Clock) -> Sessions {
    ///     SessionLayer::builder(store)
    ///         .cookie(CookieConfig::new("__Host-shop"))
    ///         .clock(clock)
    ///         .build()
    ///         .unwrap()
    ///         .on_error(page)
    /// }
    ///
    /// fn page(error: &Error) -> Response<String> {
    ///     let mut response = Response::new("Come back in a minute.".to_owned());
    ///     *response.status_mut() = error.status();
    ///     response
    /// }
    ///
    /// // In its tests:
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let sessions = TestSessions::made_by(sessions);
    /// let mut service = sessions.layer().layer(service_fn(async |request: Request<()>| {
    ///     request.session().await?.insert("seen", true)?;
    ///     Ok::<_, Error>(Response::new(String::new()))
    /// }));
    /// sessions.fail_store(StoreFault::Unavailable);
    /// let response = sessions.client().call(&mut service, Request::new(())).await?;
    /// assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    /// assert_eq!(response.body(), "Come back in a minute."); // the page of the application
    /// # Ok::<_, Error>(()) }).unwrap();
    /// ```
    pub fn made_by(make: impl FnOnce(TestStore, Arc<ManualClock>) -> SessionLayer<H>) -> Self {
        let (store, clock) = (TestStore::new(), ManualClock::new(START));
        Self {
            layer: make(store.clone(), Arc::clone(&clock)),
            store,
            clock,
        }
    }

    /// The layer to put around the service under test.
    pub fn layer(&self) -> SessionLayer<H>
    where
        H: Clone,
    {
        self.layer.clone()
    }

    /// The manager of these sessions.
    pub fn manager(&self) -> &SessionManager {
        self.layer.manager()
    }

    /// Makes a client without a session: a browser, or an app if there is only a header.
    pub fn client(&self) -> TestClient {
        TestClient::new(&self.layer)
    }

    /// Makes a client that has just signed in with
    /// [`Session::sign_in`](session_core::Session::sign_in).
    ///
    /// The application's own login does not run. If that login also stores a role or sets a
    /// lifetime, the test does so with [`change`](TestClient::change), or sends a request to the
    /// login.
    ///
    /// # Errors
    ///
    /// The error of the sign-in or of its commit, such as that of a store that fails on demand.
    pub async fn signed_in(&self, principal: &str) -> Result<TestClient, Error> {
        TestClient::signed_in(&self.layer, principal).await
    }

    /// Moves the time forward, for the sessions and for the cookies of their clients.
    pub fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }

    /// Makes store calls fail in this way, until [`repair_store`](Self::repair_store).
    pub fn fail_store(&self, fault: StoreFault) {
        self.store.fail(fault);
    }

    /// Makes the next `calls` store calls fail in this way ([`TestStore::fail_next`]).
    pub fn fail_store_next(&self, calls: usize, fault: StoreFault) {
        self.store.fail_next(calls, fault);
    }

    /// Ends the failure: from now on no store call fails.
    pub fn repair_store(&self) {
        self.store.repair();
    }
}

impl Default for TestSessions {
    fn default() -> Self {
        Self::new()
    }
}
