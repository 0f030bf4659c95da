//! A session for one handler.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use session_core::Session;

use crate::error::{DefaultResponse, OnError};
use crate::layer::session_layer::SessionLayer;
use crate::request::Slot;

/// Makes a service of one handler, which receives the request and its session.
///
/// The session is loaded before the handler runs. If the load fails, the handler does not run, and
/// the layer answers with its error response.
///
/// ```
/// use http::{Request, Response};
/// use session_http::{MemoryStore, SessionLayer, with_session};
/// use tower::ServiceExt;
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let layer = SessionLayer::new(MemoryStore::new());
/// let service = with_session(&layer, async |_request: Request<()>, session| {
///     session.insert("seen", true)?;
///     Ok::<_, session_http::SessionError>(Response::new(String::from("hello")))
/// });
/// let response = service.oneshot(Request::new(())).await.unwrap();
/// assert!(response.headers().contains_key("set-cookie"));
/// # });
/// ```
pub fn with_session<F, H, ReqB, Fut>(layer: &SessionLayer<H>, handler: F) -> WithSession<F, H>
where
    F: Fn(Request<ReqB>, Session) -> Fut,
    H: Clone,
{
    WithSession {
        handler: Arc::new(handler),
        layer: layer.clone(),
    }
}

/// A service of one handler with a session; made by [`with_session`].
pub struct WithSession<F, H = DefaultResponse> {
    handler: Arc<F>,
    layer: SessionLayer<H>,
}

/// The response future of a [`WithSession`].
pub type HandlerFuture<B, E> = Pin<Box<dyn Future<Output = Result<Response<B>, E>> + Send>>;

impl<F, H, ReqB, ResB, E, Fut> tower_service::Service<Request<ReqB>> for WithSession<F, H>
where
    F: Fn(Request<ReqB>, Session) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Response<ResB>, E>> + Send + 'static,
    H: OnError<ResB> + Clone + Send + Sync + 'static,
    ReqB: Send + 'static,
    ResB: Send + 'static,
    E: Send + 'static,
{
    type Response = Response<ResB>;
    type Error = E;
    type Future = HandlerFuture<ResB, E>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), E>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<ReqB>) -> Self::Future {
        let handler = Arc::clone(&self.handler);
        let on_error = self.layer.on_error.clone();
        let manager = self.layer.manager().clone();
        Box::pin(self.layer.call(request, |request| async move {
            // Not the innermost session: another layer may be in between.
            match Slot::find_managed(request.extensions(), &manager)
                .session()
                .await
            {
                Ok(session) => handler(request, session).await,
                Err(error) => Ok(on_error.respond(&error)),
            }
        }))
    }
}

#[cfg(feature = "hyper")]
impl<F, H, ReqB, ResB, E, Fut> hyper::service::Service<Request<ReqB>> for WithSession<F, H>
where
    F: Fn(Request<ReqB>, Session) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Response<ResB>, E>> + Send + 'static,
    H: OnError<ResB> + Clone + Send + Sync + 'static,
    ReqB: Send + 'static,
    ResB: Send + 'static,
    E: Send + 'static,
{
    type Response = Response<ResB>;
    type Error = E;
    type Future = HandlerFuture<ResB, E>;

    fn call(&self, request: Request<ReqB>) -> Self::Future {
        tower_service::Service::call(&mut self.clone(), request)
    }
}

impl<F, H: Clone> Clone for WithSession<F, H> {
    fn clone(&self) -> Self {
        Self {
            handler: Arc::clone(&self.handler),
            layer: self.layer.clone(),
        }
    }
}

impl<F, H> fmt::Debug for WithSession<F, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WithSession")
            .field("layer", &self.layer)
            .finish_non_exhaustive()
    }
}
