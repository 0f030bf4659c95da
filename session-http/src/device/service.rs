//! The service that serves both paths.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::{Request, Response};
use pin_project_lite::pin_project;

use crate::device::{refresh, register};
use crate::error::Error;
use crate::request::Slot;

/// Serves the two paths of a layer that binds sessions, in front of a service.
///
/// Put it inside of the [`SessionLayer`](crate::SessionLayer). It answers requests for the layer's
/// [paths](crate::layer::SessionLayerBuilder::device_paths) by [`register`] and [`refresh`], and
/// hands on all others. If the layer binds no sessions, it hands on everything. Outside of every
/// layer, it answers everything with 500. An [`Error`] becomes an empty response with its
/// [status](Error::status).
///
/// [The module](crate::device) has an example.
#[derive(Clone, Copy, Debug, Default)]
pub struct DeviceRoutes;

impl DeviceRoutes {
    /// Wraps `service`, as [`tower_layer::Layer`] does. That trait need not be in scope.
    pub const fn layer<S>(self, service: S) -> DeviceService<S> {
        DeviceService { inner: service }
    }
}

impl<S> tower_layer::Layer<S> for DeviceRoutes {
    type Service = DeviceService<S>;

    fn layer(&self, service: S) -> Self::Service {
        Self::layer(*self, service)
    }
}

/// A service with the two paths in front; made by [`DeviceRoutes::layer`].
///
/// It is a tower service if the inner service is one. With the feature `hyper`, it is also a hyper
/// service if the inner service is one.
#[derive(Clone, Debug)]
pub struct DeviceService<S> {
    inner: S,
}

impl<S> DeviceService<S> {
    fn call<ReqB, ResB, E, F>(
        request: Request<ReqB>,
        inner: impl FnOnce(Request<ReqB>) -> F,
    ) -> DeviceFuture<F>
    where
        F: Future<Output = Result<Response<ResB>, E>>,
        ReqB: 'static,
    {
        let answer: Option<Answer> = match route(&request) {
            // Outside of the layer, nothing would ever be bound.
            _ if !Slot::is_there(request.extensions()) => {
                Some(Box::pin(async { Err(Error::MissingLayer) }))
            }
            Some(Route::Register) => Some(Box::pin(register(&request))),
            Some(Route::Refresh) => Some(Box::pin(refresh(&request))),
            None => None,
        };
        let stage = match answer {
            Some(answer) => Stage::Own { answer },
            None => Stage::Inner {
                future: inner(request),
            },
        };
        DeviceFuture { stage }
    }
}

enum Route {
    Register,
    Refresh,
}

fn route<B>(request: &Request<B>) -> Option<Route> {
    let slot = Slot::find_binding(request.extensions())?;
    let paths = slot.layer().devices.as_ref()?.routing();
    match request.uri().path() {
        path if path == paths.register => Some(Route::Register),
        path if path == paths.refresh => Some(Route::Refresh),
        _ => None,
    }
}

type Answer = Pin<Box<dyn Future<Output = Result<Response<String>, Error>> + Send>>;

pin_project! {
    /// The response of a [`DeviceService`]. For a request that it hands on, it boxes nothing.
    pub struct DeviceFuture<F> {
        #[pin]
        stage: Stage<F>,
    }
}

pin_project! {
    #[project = StageProjection]
    enum Stage<F> {
        Inner { #[pin] future: F },
        Own { answer: Answer },
    }
}

impl<F, B, E> Future for DeviceFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: From<String>,
{
    type Output = Result<Response<B>, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().stage.project() {
            StageProjection::Inner { future } => future.poll(context),
            StageProjection::Own { answer } => {
                let response = match ready!(answer.as_mut().poll(context)) {
                    Ok(response) => response,
                    Err(error) => {
                        let mut response = Response::new(String::new());
                        *response.status_mut() = error.status();
                        response
                    }
                };
                Poll::Ready(Ok(response.map(B::from)))
            }
        }
    }
}

impl<S, ReqB, ResB> tower_service::Service<Request<ReqB>> for DeviceService<S>
where
    S: tower_service::Service<Request<ReqB>, Response = Response<ResB>>,
    ReqB: 'static,
    ResB: From<String>,
{
    type Response = Response<ResB>;
    type Error = S::Error;
    type Future = DeviceFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<ReqB>) -> Self::Future {
        let inner = &mut self.inner;
        Self::call(request, |request| inner.call(request))
    }
}

#[cfg(feature = "hyper")]
impl<S, ReqB, ResB> hyper::service::Service<Request<ReqB>> for DeviceService<S>
where
    S: hyper::service::Service<Request<ReqB>, Response = Response<ResB>>,
    ReqB: 'static,
    ResB: From<String>,
{
    type Response = Response<ResB>;
    type Error = S::Error;
    type Future = DeviceFuture<S::Future>;

    fn call(&self, request: Request<ReqB>) -> Self::Future {
        Self::call(request, |request| self.inner.call(request))
    }
}

impl<F> fmt::Debug for DeviceFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceFuture").finish_non_exhaustive()
    }
}
