//! A whole server on a free port, which it prints: axum, with ours, with tower-sessions or without
//! sessions.
//!
//! `server none`, `server ours memory`, `server ours redis URL`, `server tower-sessions memory`,
//! and so on. Paths: `/untouched`, `/read`, `/write`, and `/create`, whose cookie the others are
//! for.

use axum::Router;
use axum::routing::get;
use http::StatusCode;
use session_http::axum::CurrentSession;
use session_http::redis::RedisStore;
use session_http::{MemoryStore, SessionLayer};
use session_peers::{BoxError, User, next_visit, redis_store, values};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let app = match *arguments {
        ["none"] => bare(),
        ["ours", "memory"] => ours(SessionLayer::new(MemoryStore::new())),
        ["ours", "redis", url] => ours(SessionLayer::new(RedisStore::connect(url).await?)),
        ["tower-sessions", "memory"] => {
            let store = tower_sessions::MemoryStore::default();
            v15::app().layer(tower_sessions::SessionManagerLayer::new(store))
        }
        ["tower-sessions", "redis", url] => {
            let store = redis_store(url).await?;
            v14::app().layer(tower_sessions_14::SessionManagerLayer::new(store))
        }
        _ => return Err("server none | ours STORE | tower-sessions STORE".into()),
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    Ok(axum::serve(listener, app).await?)
}

const DONE: &str = "done\n";

fn bare() -> Router {
    let mut app = Router::new();
    for path in ["/untouched", "/read", "/write", "/create"] {
        app = app.route(path, get(async || DONE));
    }
    app
}

fn ours(layer: SessionLayer) -> Router {
    type Answer = Result<&'static str, session_http::Error>;
    async fn read(session: CurrentSession) -> Result<&'static str, StatusCode> {
        match session.get::<User>("user") {
            Ok(Some(_)) => Ok(DONE),
            _ => Err(StatusCode::NOT_FOUND),
        }
    }
    async fn write(session: CurrentSession) -> Answer {
        session.insert("visits", next_visit())?;
        Ok(DONE)
    }
    async fn create(session: CurrentSession) -> Answer {
        macro_rules! insert {
            ($key:literal, $value:expr) => {
                session.insert($key, $value)?;
            };
        }
        values!(insert);
        Ok(DONE)
    }
    let app = Router::new().route("/untouched", get(async || DONE));
    let app = app.route("/read", get(read)).route("/write", get(write));
    app.route("/create", get(create)).layer(layer)
}

/// The same for each version: their types are not the same.
macro_rules! version {
    ($module:ident, $package:ident) => {
        mod $module {
            use super::*;
            use $package::Session;

            async fn read(session: Session) -> Result<&'static str, StatusCode> {
                match session.get::<User>("user").await {
                    Ok(Some(_)) => Ok(DONE),
                    _ => Err(StatusCode::NOT_FOUND),
                }
            }

            async fn write(session: Session) -> Result<&'static str, StatusCode> {
                let written = session.insert("visits", next_visit()).await;
                written.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
                Ok(DONE)
            }

            async fn create(session: Session) -> Result<&'static str, StatusCode> {
                macro_rules! insert {
                    ($key:literal, $value:expr) => {
                        let written = session.insert($key, $value).await;
                        written.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
                    };
                }
                values!(insert);
                Ok(DONE)
            }

            pub(super) fn app() -> Router {
                let app = Router::new().route("/untouched", get(async || DONE));
                let app = app.route("/read", get(read)).route("/write", get(write));
                app.route("/create", get(create))
            }
        }
    };
}

version!(v15, tower_sessions);
version!(v14, tower_sessions_14);
