//! axum_session, which answers reads from a memory of its own, with and without Redis behind it.
//!
//! Settings are its defaults. Its pool keeps a connection for each task: with its default of 16
//! kept connections it would open a new one for most commands of 64 tasks.

use std::convert::Infallible;
use std::fmt::Debug;

use axum::body::Body;
use axum_session::{
    DatabasePool, Session, SessionConfig, SessionLayer, SessionNullPool, SessionStore,
};
use axum_session_redispool::SessionRedisPool;
use http::{Request, Response, StatusCode};
use tower::{Layer, ServiceExt};

use crate::subject::{Job, Subject, Tower};
use crate::{BoxError, User, next_visit, values};

const NAME: &str = "axum_session 0.22";

async fn handle<P>(request: Request<()>, job: Job) -> Result<Response<Body>, Infallible>
where
    P: DatabasePool + Clone + Debug + Send + Sync + 'static,
{
    let mut response = Response::new(Body::empty());
    let Some(session) = request.extensions().get::<Session<P>>() else {
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        return Ok(response);
    };
    match job {
        Job::Untouched => {}
        Job::Read => {
            if session.get::<User>("user").is_none() {
                *response.status_mut() = StatusCode::NOT_FOUND;
            }
        }
        Job::Write => session.set("visits", next_visit()),
        Job::Create => {
            macro_rules! insert {
                ($key:literal, $value:expr) => {
                    session.set($key, $value);
                };
            }
            values!(insert);
        }
    }
    Ok(response)
}

fn subject<P>(
    tasks: usize,
    pool: impl AsyncFnOnce() -> Result<Option<P>, BoxError>,
) -> Result<Box<dyn Subject>, BoxError>
where
    P: DatabasePool + Clone + Debug + Send + Sync + 'static,
{
    let tower = Tower::new(NAME, tasks, async || {
        let store = SessionStore::new(pool().await?, SessionConfig::default()).await?;
        let layer = SessionLayer::new(store);
        // The layer starts a task for each service that it makes, so each is made only once.
        let services = Job::ALL.map(|job| {
            let inner = tower::service_fn(move |request| handle::<P>(request, job));
            layer.layer(inner)
        });
        Ok(move |job| {
            let service = services[job as usize].clone();
            service.map_response(|response: Response<Body>| response.map(drop))
        })
    });
    Ok(Box::new(tower?))
}

pub fn memory(tasks: usize) -> Result<Box<dyn Subject>, BoxError> {
    subject(tasks, async || Ok(None::<SessionNullPool>))
}

pub fn redis(url: &str, tasks: usize) -> Result<Box<dyn Subject>, BoxError> {
    subject(tasks, async || Ok(Some(redis_pool(url)?)))
}

/// Keeps as many connections as there are tasks at most.
pub fn redis_pool(url: &str) -> Result<SessionRedisPool, BoxError> {
    let client = redis::Client::open(url)?;
    Ok(redis_pool::RedisPool::new(client, 64, Some(512)).into())
}
