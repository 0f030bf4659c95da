//! Counts visits, and keeps the sessions in an SQLite file or in Postgres.
//!
//! ```text
//! cargo run -p sql-store
//! cargo run -p sql-store -- postgres://user:password@localhost/shop
//! ```

use std::time::Duration;

use axum::{Router, routing::get};
use session_http::axum::CurrentSession;
use session_http::{Error, SessionLayer, TypedKey};
use sql_store::SqlStore;
use tokio::net::TcpListener;

const VISITS: TypedKey<u64> = TypedKey::new("visits");

async fn visit(session: CurrentSession) -> Result<String, Error> {
    let visits = session
        .at(VISITS)
        .update(|visits| visits.unwrap_or(0) + 1)?;
    Ok(format!("visit {visits}\n"))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args().nth(1);
    let url = url.as_deref().unwrap_or("sqlite:sessions.db?mode=rwc");
    let store = SqlStore::connect(url, Duration::from_secs(2)).await?;
    let sessions = SessionLayer::new(store);
    // A database removes no expired rows by itself.
    tokio::spawn(sessions.manager().sweep_every(Duration::from_secs(60)));

    let address = std::env::args().nth(2);
    let listener = TcpListener::bind(address.as_deref().unwrap_or("127.0.0.1:3000")).await?;
    println!("listening on http://{}", listener.local_addr()?);
    Ok(axum::serve(
        listener,
        Router::new().route("/", get(visit)).layer(sessions),
    )
    .await?)
}
