//! A client that sends requests, and has a session.

use std::future::poll_fn;
use std::sync::{Mutex, MutexGuard, PoisonError};

use http::{HeaderMap, Request, Response};
use session_core::{Session, SessionError};

use crate::error::Error;
use crate::layer::session_layer::SessionLayer;
use crate::request::{Install, RequestGuard, SessionExt, Slot};
use crate::testing::jar::Jar;

/// A client under test: a browser, or an app that has its token in a header.
///
/// It puts its cookies or its token into each request, and keeps those that the response gives it.
/// So a test can follow one person over several requests. It works for any [`SessionLayer`], over
/// any store. [`TestSessions`](crate::testing::TestSessions) makes clients of its own layer.
///
/// The client tells cookies apart by name alone: it ignores path, domain and `Secure`. A cookie
/// expires according to its `Max-Age` or `Expires`, by the clock of the sessions. A clone is
/// another client that has copied the cookies, as a thief does.
///
/// ```
/// use http::{Request, Response};
/// use session_http::{MemoryStore, SessionLayer, testing::TestClient, with_session};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let layer = SessionLayer::new(MemoryStore::new());
/// let mut service = with_session(&layer, async |_: Request<()>, session| {
///     let visits = session.update("visits", |visits: Option<u64>| visits.unwrap_or(0) + 1)?;
///     Ok::<_, session_http::SessionError>(Response::new(visits.to_string()))
/// });
///
/// let browser = TestClient::new(&layer);
/// browser.call(&mut service, Request::new(())).await?;
/// let response = browser.call(&mut service, Request::new(())).await?;
/// assert_eq!(response.body(), "2");
/// assert_eq!(browser.session().await.unwrap().get("visits")?, Some(2));
/// # Ok::<_, session_http::SessionError>(()) }).unwrap();
/// ```
#[derive(Debug)]
pub struct TestClient {
    layer: SessionLayer,
    jar: Mutex<Jar>,
}

impl TestClient {
    /// Makes a client without a session.
    ///
    /// It is a browser if the layer has a cookie, and otherwise an app that uses the header.
    pub fn new<H>(layer: &SessionLayer<H>) -> Self {
        let layer = layer.for_a_client();
        Self {
            jar: Mutex::new(Jar::new(&layer.shared.transports)),
            layer,
        }
    }

    /// Makes a client that has just signed in with [`Session::sign_in`].
    ///
    /// The application's own login does not run.
    ///
    /// # Errors
    ///
    /// The error of the sign-in or of its commit.
    pub async fn signed_in<H>(layer: &SessionLayer<H>, principal: &str) -> Result<Self, Error> {
        let client = Self::new(layer);
        client.change(|session| session.sign_in(principal)).await?;
        Ok(client)
    }

    /// Turns the client into an app that uses the layer's header.
    ///
    /// Use it if the layer has both a cookie and a header. The client starts without a session. If
    /// the layer has no header, the client stays a browser.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use http::Request;
    /// use session_http::{CookieConfig, HeaderConfig, testing::TestSessions};
    ///
    /// let sessions = TestSessions::with(|settings| {
    ///     settings.cookie(CookieConfig::default()).header(HeaderConfig::default())
    /// })
    /// .unwrap();
    /// let app = sessions.client().by_header();
    /// app.change(|session| session.sign_in("user:42")).await.unwrap();
    /// let request = app.request(Request::new(()));
    /// assert!(request.headers().contains_key("x-session-token"));
    /// assert!(!request.headers().contains_key("cookie"));
    /// # });
    /// ```
    #[must_use]
    pub fn by_header(self) -> Self {
        *self.jar() = Jar::by_header(&self.layer.shared.transports);
        self
    }

    /// Returns the request as this client sends it: with its cookies, or with its token in the
    /// header.
    ///
    /// If the request already has a token header, that one stays. If it has cookies, those of the
    /// client are added.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use http::Request;
    /// use session_http::testing::TestSessions;
    ///
    /// let ann = TestSessions::new().signed_in("user:ann").await.unwrap();
    /// let request = ann.request(Request::get("/cart").body(()).unwrap());
    /// assert!(request.headers()["cookie"].to_str().unwrap().starts_with("__Host-id="));
    /// # });
    /// ```
    pub fn request<B>(&self, mut request: Request<B>) -> Request<B> {
        let now = self.layer.manager().now();
        self.jar().attach(request.headers_mut(), now);
        request
    }

    /// Keeps the cookies or the token that a response gives to this client.
    ///
    /// [`call`](Self::call) does so by itself.
    pub fn receive<B>(&self, response: &Response<B>) {
        let now = self.layer.manager().now();
        self.jar().receive(response.headers(), now);
    }

    /// Sends a request to a tower service, such as an axum `Router`.
    ///
    /// The client keeps the cookies or the token of the response.
    ///
    /// # Errors
    ///
    /// The error of the service.
    pub async fn call<S, B, R>(
        &self,
        service: &mut S,
        request: Request<B>,
    ) -> Result<Response<R>, S::Error>
    where
        S: tower_service::Service<Request<B>, Response = Response<R>>,
    {
        poll_fn(|context| service.poll_ready(context)).await?;
        let response = service.call(self.request(request)).await?;
        self.receive(&response);
        Ok(response)
    }

    /// Sends a request to a hyper service.
    ///
    /// The client keeps the cookies or the token of the response.
    ///
    /// # Errors
    ///
    /// The error of the service.
    #[cfg(feature = "hyper")]
    pub async fn call_hyper<S, B, R>(
        &self,
        service: &S,
        request: Request<B>,
    ) -> Result<Response<R>, S::Error>
    where
        S: hyper::service::Service<Request<B>, Response = Response<R>>,
    {
        let response = service.call(self.request(request)).await?;
        self.receive(&response);
        Ok(response)
    }

    /// Returns the session of this client, so that a test can inspect it.
    ///
    /// The test sees who is signed in, and what is stored. This does not count as a request: it
    /// records no activity, rotates no token and uses up no flash value. But it presents the
    /// client's token, so a stolen token is noticed here too.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use session_http::testing::TestSessions;
    ///
    /// let sessions = TestSessions::new();
    /// let ann = sessions.signed_in("user:ann").await?;
    /// let session = ann.session().await?;
    /// assert_eq!(session.principal().as_deref(), Some("user:ann"));
    /// assert_eq!(session.get::<u32>("cart")?, None);
    ///
    /// sessions.manager().sign_out_everywhere("user:ann").await?;
    /// assert!(ann.session().await?.is_new()); // she has no live session
    /// # Ok::<_, session_http::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// If the store failed.
    pub async fn session(&self) -> Result<Session, Error> {
        let mut request = self.request(Request::new(()));
        // Dropped at the end, as if the request had been cancelled: nothing is committed.
        let _guard = match Slot::install(&self.layer.shared, &mut request) {
            Install::Done(slot) => Some(RequestGuard(slot)),
            Install::AlreadyThere | Install::Clash(_) => None,
        };
        request.session().await
    }

    /// Changes the session as a handler does, and saves it.
    ///
    /// `change` can insert values, sign in or sign out. The client keeps the token that it gets.
    /// The layer's [`commit_if`](crate::layer::SessionLayerBuilder::commit_if) is not called.
    /// Returns what `change` returns. If that is an error, nothing is saved, and only a `destroy`
    /// is carried out.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use session_http::testing::TestSessions;
    ///
    /// let guest = TestSessions::new().client();
    /// guest.change(|session| session.insert("cart", ["tea"])).await?;
    /// let cart: Option<Vec<String>> = guest.session().await?.get("cart")?;
    /// assert_eq!(cart.unwrap(), ["tea"]);
    ///
    /// let before = guest.token();
    /// guest.change(|session| session.renew()).await?;
    /// assert_ne!(guest.token(), before);
    /// # Ok::<_, session_http::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// The error of the load, of `change` or of the commit.
    pub async fn change<T>(
        &self,
        change: impl FnOnce(&Session) -> Result<T, SessionError>,
    ) -> Result<T, Error> {
        let failed = |error: &Error| Response::new(Err(error.clone()));
        let layer = self.layer.clone().on_error(failed);
        let request = self.request(Request::new(()));
        let response = layer.call(request, |request| async move {
            let session = request.session().await?;
            Ok::<_, Error>(Response::new(Ok(change(&session)?)))
        });
        let response = response.await?;
        self.receive(&response);
        response.into_body()
    }

    /// The token that this client would send now, if it has one. It changes with each sign-in,
    /// renewal and rotation. A sealed session is its own token, so that token changes with each
    /// write.
    pub fn token(&self) -> Option<String> {
        let mut headers = HeaderMap::new();
        self.jar().attach(&mut headers, self.layer.manager().now());
        let transports = &self.layer.shared.transports;
        let carried = transports.carried(&headers);
        let tokens = transports.of(carried.by).tokens(&carried.headers);
        tokens.first().map(ToString::to_string)
    }

    fn jar(&self) -> MutexGuard<'_, Jar> {
        self.jar.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clone for TestClient {
    fn clone(&self) -> Self {
        Self {
            layer: self.layer.clone(),
            jar: Mutex::new(self.jar().clone()),
        }
    }
}
