//! A service whose requests have sessions.

use std::fmt;
use std::task::{Context, Poll};

use http::{Request, Response};

use crate::error::{DefaultResponse, Error, OnError};
use crate::future::ResponseFuture;
use crate::layer::SessionLayer;
use crate::slot::{Install, Slot};

/// A service whose requests have sessions; made by [`SessionLayer::layer`].
///
/// A tower service if the inner one is, and with the feature `hyper` a hyper service if the
/// inner one is. Its error type is the inner one's.
#[derive(Clone)]
pub struct SessionService<S, H = DefaultResponse> {
    inner: S,
    layer: SessionLayer<H>,
}

impl<S, H> SessionService<S, H> {
    pub(crate) fn new(inner: S, layer: SessionLayer<H>) -> Self {
        Self { inner, layer }
    }

    /// The wrapped service.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The wrapped service.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<H: Clone> SessionLayer<H> {
    /// Prepares the request, then calls the inner service with it.
    pub(crate) fn call<ReqB, ResB, E, F>(
        &self,
        mut request: Request<ReqB>,
        inner: impl FnOnce(Request<ReqB>) -> F,
    ) -> ResponseFuture<F, ResB, E, H>
    where
        F: Future<Output = Result<Response<ResB>, E>>,
    {
        // The extensions leave the request for a moment, since its headers are read meanwhile.
        let mut extensions = std::mem::take(request.extensions_mut());
        let install = Slot::install(&self.shared, request.headers(), &mut extensions);
        *request.extensions_mut() = extensions;
        let on_error = self.on_error.clone();
        match install {
            Install::Done(slot) => ResponseFuture::new(inner(request), Some(slot), on_error),
            Install::AlreadyThere => ResponseFuture::new(inner(request), None, on_error),
            Install::Clash => {
                ResponseFuture::refused(Error::TwoManagers(self.name().to_owned()), on_error)
            }
        }
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
