//! A whole server on a free port, which it prints: with ours, with others' sessions, or with none.
//!
//! `server none`, `server ours memory`, `server ours redis URL`, `server tower-sessions memory`,
//! and so on. Paths: `/create`, whose cookie the others are for: `/untouched`, `/read`, `/write`,
//! and `/logout`. `/read` answers 404 where nobody is signed in. `/set/N` keeps a number that
//! `/number` says, 0 where there is none.

mod actix;
mod axum_session;

use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use http::StatusCode;
use session_http::axum::CurrentSession;
use session_http::redis::Layout;
use session_http::{MemoryStore, SessionLayer};
use session_peers::{BoxError, Cache, User, next_visit, redis_store, values};

fn main() -> Result<(), BoxError> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if let ["actix-session", "redis", url] = *arguments {
        return actix::serve(url);
    }
    tokio::runtime::Runtime::new()?.block_on(serve(&arguments))
}

async fn serve(arguments: &[&str]) -> Result<(), BoxError> {
    let app = match *arguments {
        ["none"] => bare(),
        ["ours", "memory"] => ours(SessionLayer::new(MemoryStore::new())),
        ["ours", store, url] => {
            let cache = match store {
                "redis" => Cache::Default,
                "redis-uncached" => Cache::Off,
                "redis-near" => Cache::Near,
                "redis-near-waiting" => Cache::NearWaiting,
                _ => return Err("no such store".into()),
            };
            ours(SessionLayer::new(cache.redis(url, Layout::Fields).await?))
        }
        ["tower-sessions", "memory"] => {
            let store = tower_sessions::MemoryStore::default();
            v15::app().layer(tower_sessions::SessionManagerLayer::new(store))
        }
        ["tower-sessions", "redis", url] => {
            let store = redis_store(url).await?;
            v14::app().layer(tower_sessions_14::SessionManagerLayer::new(store))
        }
        ["axum_session", "memory"] => axum_session::memory().await?,
        ["axum_session", "redis", url] => {
            axum_session::redis(url, axum_session::Hold::Default).await?
        }
        // Holds a session in its own memory for as long as a request takes.
        ["axum_session", "redis-unheld", url] => {
            axum_session::redis(url, axum_session::Hold::Request).await?
        }
        _ => return Err("server none | WHO STORE [URL]".into()),
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    Ok(axum::serve(listener, app).await?)
}

const DONE: &str = "done\n";

fn bare() -> Router {
    let mut app = Router::new();
    for path in ["/untouched", "/read", "/write", "/create", "/logout"] {
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
    async fn set(session: CurrentSession, number: Path<u64>) -> Answer {
        session.insert("number", number.0)?;
        Ok(DONE)
    }
    async fn number(session: CurrentSession) -> Result<String, session_http::Error> {
        let number: Option<u64> = session.get("number")?;
        Ok(number.unwrap_or_default().to_string())
    }
    async fn logout(session: CurrentSession) -> Answer {
        session.destroy()?;
        Ok(DONE)
    }
    let app = Router::new().route("/untouched", get(async || DONE));
    let app = app.route("/read", get(read)).route("/write", get(write));
    let app = app
        .route("/create", get(create))
        .route("/logout", get(logout));
    let app = app.route("/set/{number}", get(set));
    app.route("/number", get(number)).layer(layer)
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

            async fn set(session: Session, number: Path<u64>) -> Result<&'static str, StatusCode> {
                let written = session.insert("number", number.0).await;
                written.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
                Ok(DONE)
            }

            async fn number(session: Session) -> Result<String, StatusCode> {
                let number = session.get::<u64>("number").await;
                let number = number.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
                Ok(number.unwrap_or_default().to_string())
            }

            async fn logout(session: Session) -> Result<&'static str, StatusCode> {
                let flushed = session.flush().await;
                flushed.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
                Ok(DONE)
            }

            pub(super) fn app() -> Router {
                let app = Router::new().route("/untouched", get(async || DONE));
                let app = app.route("/read", get(read)).route("/write", get(write));
                let app = app
                    .route("/create", get(create))
                    .route("/logout", get(logout));
                let app = app.route("/set/{number}", get(set));
                app.route("/number", get(number))
            }
        }
    };
}

version!(v15, tower_sessions);
version!(v14, tower_sessions_14);
