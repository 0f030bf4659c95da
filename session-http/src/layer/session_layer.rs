//! The layer that wraps services.

use std::fmt;
use std::sync::Arc;

use http::Response;
use session_core::SessionManager;

use crate::error::{DefaultResponse, Error};
use crate::request::Shared;

/// Wraps a service so that its requests have sessions.
///
/// It wraps tower services and, with the feature `hyper`, hyper services. The wrapped service is of
/// the same kind. A clone is cheap and shares everything, so one layer serves all connections.
///
/// The layer commits the session before the head of the response leaves. Put layers that cancel or
/// retry requests (timeouts, load shedding) outside of this one. Inside, they would cut off a
/// request half-way.
///
/// ```
/// use session_http::{MemoryStore, SessionExt, SessionLayer};
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
/// let pair = cookie.split(';').next().unwrap();
/// let request = Request::builder().header("cookie", pair).body(()).unwrap();
/// assert_eq!(service.oneshot(request).await.unwrap().body(), "visit 2");
/// # });
/// ```
#[derive(Clone)]
pub struct SessionLayer<H = DefaultResponse> {
    pub(crate) shared: Arc<Shared>,
    pub(super) on_error: H,
}

impl<H> SessionLayer<H> {
    /// The name of this layer: that of its cookie, or of its header if it has no cookie.
    pub fn name(&self) -> &str {
        self.shared.transports.name()
    }

    /// The manager of this layer's sessions.
    ///
    /// Use it to list or end the sessions of a principal, and to begin requests that do not go
    /// through this layer.
    pub fn manager(&self) -> &SessionManager {
        &self.shared.manager
    }

    /// Sets the function that makes the response if a session fails.
    ///
    /// With it, the body type needs no `Default`. The layer calls `respond`
    ///
    /// - if the commit fails;
    /// - if the service returns an `Err` and its session could not be loaded;
    /// - in axum, if a handler or an extractor returns an [`Error`], whatever failed: a load, a
    ///   [`take_now`](session_core::Session::take_now), or a value of another type than the one
    ///   asked for.
    ///
    /// Every other response stays as the handler made it. That includes a response that a handler
    /// makes from an `Error` itself, with another status or with a `Content-Type`. In frameworks
    /// other than axum, an `Err` of the service stays an `Err` if its session was loaded.
    ///
    /// In axum, services inside of this layer may have added headers to the error, such as those of
    /// CORS. These headers stay, except those that describe a body and `Cache-Control`. If
    /// `respond` sets a header too, its value counts. After a commit that failed, all headers of
    /// the handler's response are dropped. So put services that add a header to every response
    /// outside of this layer.
    ///
    /// To name the type of the layer, for example as the return type of a function, pass a function
    /// instead of a closure:
    ///
    /// ```
    /// use http::Response;
    /// use session_http::{Error, MemoryStore, SessionLayer};
    ///
    /// fn page(error: &Error) -> Response<String> {
    ///     let mut response = Response::new("Come back in a minute.".to_owned());
    ///     *response.status_mut() = error.status();
    ///     response
    /// }
    ///
    /// type Sessions = SessionLayer<fn(&Error) -> Response<String>>;
    ///
    /// fn sessions() -> Sessions {
    ///     SessionLayer::new(MemoryStore::new()).on_error(page)
    /// }
    /// # let _ = sessions();
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
}

#[cfg(feature = "testing")]
impl<H> SessionLayer<H> {
    /// The same sessions for a client under test, whose own changes are always saved: they are no
    /// responses that the application's policy knows.
    pub(crate) fn for_a_client(&self) -> SessionLayer {
        SessionLayer {
            shared: Arc::new(Shared {
                manager: self.shared.manager.clone(),
                transports: self.shared.transports.clone(),
                commit_if: Arc::new(|_, _| true),
                #[cfg(feature = "device-binding")]
                devices: self.shared.devices.clone(),
            }),
            on_error: DefaultResponse,
        }
    }
}

impl<H> fmt::Debug for SessionLayer<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionLayer")
            .field("manager", &self.shared.manager)
            .field("transports", &self.shared.transports)
            .finish_non_exhaustive()
    }
}
