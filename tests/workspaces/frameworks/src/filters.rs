//! warp: filters see one extension at a time, so one of them carries the others.

use http::{Extensions, Request};
use session_http::{Error, SessionExt, SessionLayer};
use tower::util::MapRequestLayer;
use tower::{Layer, Service};
use warp::{Filter, Rejection, Reply};

/// What a filter asks for its session.
#[derive(Clone)]
struct Carried(Extensions);

/// The filters as a service with sessions; for hyper, by way of `TowerToHyperService`.
pub fn app<B>(
    sessions: SessionLayer,
) -> impl Service<
    Request<B>,
    Response = warp::reply::Response,
    Error = std::convert::Infallible,
    Future: Send,
> + Clone
+ Send
where
    B: hyper::body::Body + Send + Sync + 'static,
    B::Data: Send + Into<bytes::Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let visits = warp::path::end().and(session()).and_then(visits);
    let carry = MapRequestLayer::new(|mut request: Request<B>| {
        let carried = Carried(request.extensions().clone()); // shares, copies no session
        request.extensions_mut().insert(carried);
        request
    });
    sessions.layer(carry.layer(warp::service(visits)))
}

/// The request's session, as an argument of a handler.
fn session() -> impl Filter<Extract = (session_http::Session,), Error = Rejection> + Clone {
    warp::ext::get::<Carried>()
        .and_then(async |carried: Carried| carried.0.session().await.map_err(refuse))
}

async fn visits(session: session_http::Session) -> Result<impl Reply, Rejection> {
    let visits = session
        .update("visits", |visits: Option<u64>| visits.unwrap_or(0) + 1)
        .map_err(|error| refuse(error.into()))?;
    Ok(format!("visit {visits}"))
}

#[derive(Debug)]
struct NoSession;

impl warp::reject::Reject for NoSession {}

/// The layer has seen the error too, and answers for a session that could not be loaded.
fn refuse(_: Error) -> Rejection {
    warp::reject::custom(NoSession)
}
