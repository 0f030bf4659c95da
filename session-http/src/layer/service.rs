//! A service whose requests have sessions.

use std::fmt;
use std::task::{Context, Poll};

use http::{Request, Response};

use crate::error::{DefaultResponse, OnError};
use crate::layer::ResponseFuture;
use crate::layer::session_layer::SessionLayer;
use crate::request::{Install, Slot};

/// A service whose requests have sessions; made by [`SessionLayer::layer`].
///
/// It is a tower service if the inner service is one. With the feature `hyper`, it is also a hyper
/// service if the inner service is one. Its error type is that of the inner service.
#[derive(Clone)]
pub struct SessionService<S, H = DefaultResponse> {
    inner: S,
    layer: SessionLayer<H>,
}

impl<S, H> SessionService<S, H> {
    /// The wrapped service.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The wrapped service.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<H> SessionLayer<H> {
    /// Wraps `service`, as [`tower_layer::Layer`] does. That trait need not be in scope.
    pub fn layer<S>(&self, service: S) -> SessionService<S, H>
    where
        H: Clone,
    {
        SessionService {
            inner: service,
            layer: self.clone(),
        }
    }

    /// Installs a slot in the request, and calls the inner service with it.
    pub(crate) fn call<ReqB, ResB, E, F>(
        &self,
        mut request: Request<ReqB>,
        inner: impl FnOnce(Request<ReqB>) -> F,
    ) -> ResponseFuture<F, ResB, E, H>
    where
        F: Future<Output = Result<Response<ResB>, E>>,
        H: Clone,
    {
        let on_error = self.on_error.clone();
        match Slot::install(&self.shared, &mut request) {
            Install::Done(slot) => ResponseFuture::new(inner(request), Some(slot), on_error),
            Install::AlreadyThere => ResponseFuture::new(inner(request), None, on_error),
            Install::Clash(error) => ResponseFuture::refused(error, on_error),
        }
    }
}

impl<S, H: Clone> tower_layer::Layer<S> for SessionLayer<H> {
    type Service = SessionService<S, H>;

    fn layer(&self, service: S) -> Self::Service {
        Self::layer(self, service)
    }
}

impl<S, H, ReqB, ResB> tower_service::Service<Request<ReqB>> for SessionService<S, H>
where
    S: tower_service::Service<Request<ReqB>, Response = Response<ResB>>,
    H: OnError<ResB> + Clone,
{
    type Response = Response<ResB>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, ResB, S::Error, H>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<ReqB>) -> Self::Future {
        let inner = &mut self.inner;
        self.layer.call(request, |request| inner.call(request))
    }
}

#[cfg(feature = "hyper")]
impl<S, H, ReqB, ResB> hyper::service::Service<Request<ReqB>> for SessionService<S, H>
where
    S: hyper::service::Service<Request<ReqB>, Response = Response<ResB>>,
    H: OnError<ResB> + Clone,
{
    type Response = Response<ResB>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, ResB, S::Error, H>;

    fn call(&self, request: Request<ReqB>) -> Self::Future {
        self.layer.call(request, |request| self.inner.call(request))
    }
}

impl<S: fmt::Debug, H> fmt::Debug for SessionService<S, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionService")
            .field("inner", &self.inner)
            .field("layer", &self.layer)
            .finish()
    }
}
