//! What goes around sessions, and what inside.
//!
//! From the outside in: what may cut a request short (timeouts, load shedding, buffers, catching
//! panics), then sessions, then what only looks or shapes (compression, CORS, traces, limits of
//! bodies). Compression, CORS, traces and limits may be on either side. A timeout or a catch-panic
//! inside of sessions works as well: it answers 408 or 500, which saves nothing.

use std::any::Any;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use session_http::layer::SessionService;
use session_http::{Error, SessionExt, SessionLayer};
use tower::{BoxError, Service, ServiceBuilder, ServiceExt, service_fn};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::cors::{AllowOrigin, CorsLayer};
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::timeout::TimeoutLayer;
use tower_http::trace::TraceLayer;

/// A body for everything here.
pub type Body = Full<Bytes>;

/// Counts visits; `/slow` never answers, `/panic` panics, both after they have written.
pub async fn handler<B>(request: Request<B>) -> Result<Response<Body>, Error> {
    let path = request.uri().path().to_owned();
    let session = request.session().await?;
    let visits = session.update("visits", |visits: Option<u64>| visits.unwrap_or(0) + 1)?;
    match &*path {
        "/slow" => std::future::pending().await,
        "/panic" => panic!("as asked"),
        _ => Ok(Response::new(
            format!("visit {visits} {}", "and on ".repeat(20)).into(),
        )),
    }
}

/// Any service here, of any body: boxed, so that one test serves all.
pub type Boxed = tower::util::BoxCloneService<Request<Body>, Response<BoxedBody>, BoxError>;
/// Its body.
pub type BoxedBody = UnsyncBoxBody<Bytes, BoxError>;

/// tower-http with sessions inside of it.
pub fn around(sessions: SessionLayer) -> Boxed {
    boxed(
        ServiceBuilder::new()
            .layer(CatchPanicLayer::custom(panicked))
            .layer(TraceLayer::new_for_http())
            .layer(TimeoutLayer::with_status_code(
                StatusCode::REQUEST_TIMEOUT,
                Duration::from_secs(5),
            ))
            .layer(cors())
            .layer(CompressionLayer::new())
            .layer(RequestBodyLimitLayer::new(64))
            .layer(sessions)
            .service(service_fn(handler)),
    )
}

/// tower-http inside of sessions.
pub fn inside(sessions: SessionLayer) -> Boxed {
    boxed(
        ServiceBuilder::new()
            .layer(sessions.on_error(unavailable))
            // Catching panics and tracing leave bodies without a default, of types that one cannot
            // name.
            .map_response(|response: Response<_>| response.map(BodyExt::boxed_unsync))
            .layer(CatchPanicLayer::custom(panicked))
            .layer(TraceLayer::new_for_http())
            .layer(RequestBodyLimitLayer::new(64))
            .layer(CompressionLayer::new())
            .layer(cors())
            .layer(TimeoutLayer::with_status_code(
                StatusCode::REQUEST_TIMEOUT,
                Duration::from_secs(5),
            ))
            .service(service_fn(handler)),
    )
}

/// A buffer and load shedding, outside of sessions: who is turned away never had one.
pub fn shedding(sessions: SessionLayer) -> Boxed {
    boxed(
        ServiceBuilder::new()
            .load_shed()
            .buffer(16)
            .concurrency_limit(1)
            .layer(sessions)
            .service(service_fn(handler)),
    )
}

/// The same inside of sessions: who is turned away is an `Err` of the service, and saves nothing.
pub fn shedding_inside(sessions: SessionLayer) -> Boxed {
    boxed(
        ServiceBuilder::new()
            .layer(sessions)
            .load_shed()
            .buffer(16)
            .concurrency_limit(1)
            .service(service_fn(handler)),
    )
}

fn cors() -> CorsLayer {
    CorsLayer::new()
        .allow_origin(AllowOrigin::exact(http::HeaderValue::from_static(
            "https://shop.example",
        )))
        .allow_credentials(true) // without it browsers send no cookie from another origin
}

fn unavailable<E>(error: &Error) -> Response<UnsyncBoxBody<Bytes, E>> {
    let mut response = Response::new(UnsyncBoxBody::default());
    *response.status_mut() = error.status();
    response
}

fn panicked(_: Box<dyn Any + Send>) -> Response<Body> {
    let mut response = Response::new(Body::from("that did not work"));
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    response
}

fn boxed<S, B>(service: S) -> Boxed
where
    S: Service<Request<Body>, Response = Response<B>, Future: Send> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    let boxed =
        |response: Response<B>| response.map(|body| body.map_err(Into::into).boxed_unsync());
    service
        .map_response(boxed)
        .map_err(Into::into)
        .boxed_clone()
}

/// A body that has no default, and cannot be shared between threads.
pub struct Odd(std::cell::Cell<Option<Bytes>>);

impl http_body::Body for Odd {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, Self::Error>>> {
        std::task::Poll::Ready(self.0.take().map(|data| Ok(http_body::Frame::data(data))))
    }
}

/// Such a body needs `on_error`, since the layer cannot make one by itself.
pub fn odd(
    sessions: SessionLayer,
) -> SessionService<
    impl Service<Request<Odd>, Response = Response<Odd>, Error = Error, Future: Send> + Clone,
    impl Fn(&Error) -> Response<Odd> + Clone,
> {
    let sessions = sessions.on_error(|error: &Error| {
        let mut response = Response::new(Odd(std::cell::Cell::new(Some("sorry".into()))));
        *response.status_mut() = error.status();
        response
    });
    sessions.layer(service_fn(async |request: Request<Odd>| {
        let text = handler(request).await?;
        let bytes = text
            .into_body()
            .collect()
            .await
            .unwrap_or_default()
            .to_bytes();
        Ok(Response::new(Odd(std::cell::Cell::new(Some(bytes)))))
    }))
}

/// A request with such a body.
pub fn odd_request() -> Request<Odd> {
    Request::new(Odd(std::cell::Cell::new(None)))
}
