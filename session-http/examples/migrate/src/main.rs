//! Moves sessions from one Redis to another while people use them. Nobody is signed out.
//!
//! ```text
//! cargo run -p migrate -- old                 # the application as it is
//! cargo run -p migrate -- standing-by         # 1. on every node
//! cargo run -p migrate -- moving              # 2. once every node stands by
//! cargo run -p migrate -- new                 # 3. an idle timeout and a minute later
//! ```
//!
//! The stores are databases 0 and 1 of redis://127.0.0.1/. Any two stores can take their place.

use axum::{Router, routing::get};
use session_core::store::{MigratingStore, SessionStore};
use session_http::axum::CurrentSession;
use session_http::redis::RedisStore;
use session_http::{Error, SessionLayer, TypedKey};
use tokio::net::TcpListener;

type Store = Box<dyn SessionStore>;

const VISITS: TypedKey<u64> = TypedKey::new("visits");

type AnyError = Box<dyn std::error::Error>;

/// The store for this deployment.
fn store(stage: &str, old: Store, new: Store) -> Result<Store, AnyError> {
    Ok(match stage {
        "old" => old,
        // It finds sessions in both, and keeps them in the old one.
        "standing-by" => Box::new(MigratingStore::new(new, old)?.standing_by()),
        // A session moves with its next write.
        "moving" => Box::new(MigratingStore::new(new, old)?),
        "new" => new,
        _ => return Err("a stage is one of old, standing-by, moving and new".into()),
    })
}

async fn visit(session: CurrentSession) -> Result<String, Error> {
    let visits = session
        .at(VISITS)
        .update(|visits| visits.unwrap_or(0) + 1)?;
    Ok(format!("visit {visits}\n"))
}

fn app(sessions: SessionLayer) -> Router {
    Router::new().route("/", get(visit)).layer(sessions)
}

#[tokio::main]
async fn main() -> Result<(), AnyError> {
    let defaults = [
        "old",
        "redis://127.0.0.1/0",
        "redis://127.0.0.1/1",
        "127.0.0.1:3000",
    ];
    let mut given = std::env::args().skip(1);
    let [stage, old, new, address] =
        defaults.map(|default| given.next().unwrap_or_else(|| default.to_owned()));
    let old = RedisStore::connect(old.as_str()).await?;
    let new = RedisStore::connect(new.as_str()).await?;
    let store = store(&stage, Box::new(old), Box::new(new))?;
    let listener = TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    Ok(axum::serve(listener, app(SessionLayer::new(store))).await?)
}

#[cfg(test)]
mod tests;
