//! From a request to its session.

use std::future::Future;

use http::{Extensions, Request, request::Parts};
use session_core::Session;

use crate::error::Error;
use crate::request::slot::Slot;

/// Gives access to the session of a request.
///
/// It is implemented for [`Request`], its [`Parts`], and [`Extensions`].
/// [`SessionLayer`](crate::SessionLayer) has an example.
///
/// The futures borrow nothing. So the request can be taken apart while a session is loaded, and
/// handlers are `Send` whatever the body is.
///
/// This trait is sealed, so that later versions can add methods.
pub trait SessionExt: Sealed {
    /// Returns the request's session. It is loaded once, on first use.
    ///
    /// With several layers, this is the session of the innermost layer that has work to do. If the
    /// same layer is applied twice, the inner one has no work to do.
    ///
    /// # Errors
    ///
    /// [`Error::MissingLayer`], or [`Error::Session`] if the store failed. If the service returns
    /// this error, the layer answers with its error response.
    fn session(&self) -> impl Future<Output = Result<Session, Error>> + Send + 'static;

    /// Returns the session of the layer whose cookie or header has this name.
    ///
    /// Cookie names are case-sensitive, header names are not.
    ///
    /// ```
    /// use http::{Request, Response};
    /// use session_http::{CookieConfig, MemoryStore, SessionExt, SessionLayer};
    /// use tower::{ServiceExt, service_fn};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let users = SessionLayer::new(MemoryStore::new());
    /// let admins = SessionLayer::builder(MemoryStore::new())
    ///     .cookie(CookieConfig::new("__Host-admin"))
    ///     .build()
    ///     .unwrap();
    /// let service = users.layer(admins.layer(service_fn(async |request: Request<()>| {
    ///     request.session_named("__Host-id").await?.insert("who", "a user")?;
    ///     request.session_named("__Host-admin").await?.insert("who", "an admin")?;
    ///     Ok::<_, session_http::Error>(Response::new(()))
    /// })));
    /// let response = service.oneshot(Request::new(())).await.unwrap();
    /// assert_eq!(response.headers().get_all("set-cookie").iter().count(), 2);
    /// # });
    /// ```
    ///
    /// # Errors
    ///
    /// The same as [`session`](Self::session), and [`Error::NoSuchName`].
    fn session_named(
        &self,
        name: &str,
    ) -> impl Future<Output = Result<Session, Error>> + Send + 'static;
}

/// Keeps [`SessionExt`] from being implemented elsewhere.
pub trait Sealed {}

impl Sealed for Extensions {}
impl<B> Sealed for Request<B> {}
impl Sealed for Parts {}

impl SessionExt for Extensions {
    fn session(&self) -> impl Future<Output = Result<Session, Error>> + Send + 'static {
        Slot::find(self, None).session()
    }

    fn session_named(
        &self,
        name: &str,
    ) -> impl Future<Output = Result<Session, Error>> + Send + 'static {
        Slot::find(self, Some(name)).session()
    }
}

impl<B> SessionExt for Request<B> {
    fn session(&self) -> impl Future<Output = Result<Session, Error>> + Send + 'static {
        self.extensions().session()
    }

    fn session_named(
        &self,
        name: &str,
    ) -> impl Future<Output = Result<Session, Error>> + Send + 'static {
        self.extensions().session_named(name)
    }
}

impl SessionExt for Parts {
    fn session(&self) -> impl Future<Output = Result<Session, Error>> + Send + 'static {
        self.extensions.session()
    }

    fn session_named(
        &self,
        name: &str,
    ) -> impl Future<Output = Result<Session, Error>> + Send + 'static {
        self.extensions.session_named(name)
    }
}
