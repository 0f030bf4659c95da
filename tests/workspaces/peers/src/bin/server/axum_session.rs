//! axum_session on axum.

use std::fmt::Debug;
use std::time::Duration;

use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use axum_session::{
    DatabasePool, Session, SessionConfig, SessionLayer, SessionNullPool, SessionStore,
};
use http::StatusCode;
use session_peers::{BoxError, User, axum_session_pool, next_visit, values};

use crate::DONE;

/// How long it holds a session in its own memory.
pub enum Hold {
    /// An hour after the last request for it.
    Default,
    /// Until the request is answered.
    Request,
}

pub async fn memory() -> Result<Router, BoxError> {
    app(None::<SessionNullPool>, SessionConfig::default()).await
}

pub async fn redis(url: &str, hold: Hold) -> Result<Router, BoxError> {
    let config = match hold {
        Hold::Default => SessionConfig::default(),
        Hold::Request => SessionConfig::default().with_memory_lifetime(Duration::ZERO.try_into()?),
    };
    app(Some(axum_session_pool(url)?), config).await
}

async fn app<P>(pool: Option<P>, config: SessionConfig) -> Result<Router, BoxError>
where
    P: DatabasePool + Clone + Debug + Send + Sync + 'static,
{
    let store = SessionStore::new(pool, config).await?;
    let app = Router::new().route("/untouched", get(async || DONE));
    let app = app.route("/read", get(read::<P>));
    let app = app.route("/write", get(write::<P>));
    let app = app.route("/create", get(create::<P>));
    let app = app.route("/logout", get(logout::<P>));
    let app = app.route("/set/{number}", get(set::<P>));
    let app = app.route("/number", get(number::<P>));
    Ok(app.layer(SessionLayer::new(store)))
}

async fn read<P>(session: Session<P>) -> Result<&'static str, StatusCode>
where
    P: DatabasePool + Clone + Debug + Send + Sync + 'static,
{
    match session.get::<User>("user") {
        Some(_) => Ok(DONE),
        None => Err(StatusCode::NOT_FOUND),
    }
}

async fn write<P>(session: Session<P>) -> &'static str
where
    P: DatabasePool + Clone + Debug + Send + Sync + 'static,
{
    session.set("visits", next_visit());
    DONE
}

async fn create<P>(session: Session<P>) -> &'static str
where
    P: DatabasePool + Clone + Debug + Send + Sync + 'static,
{
    macro_rules! insert {
        ($key:literal, $value:expr) => {
            session.set($key, $value);
        };
    }
    values!(insert);
    DONE
}

async fn logout<P>(session: Session<P>) -> &'static str
where
    P: DatabasePool + Clone + Debug + Send + Sync + 'static,
{
    session.destroy();
    DONE
}

async fn set<P>(session: Session<P>, number: Path<u64>) -> &'static str
where
    P: DatabasePool + Clone + Debug + Send + Sync + 'static,
{
    session.set("number", number.0);
    DONE
}

async fn number<P>(session: Session<P>) -> String
where
    P: DatabasePool + Clone + Debug + Send + Sync + 'static,
{
    let number: Option<u64> = session.get("number");
    number.unwrap_or_default().to_string()
}
