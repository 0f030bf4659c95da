//! A guestbook on a plain hyper server, HTTP/1 and HTTP/2: visits, entries and a name for each
//! browser.
//!
//! ```text
//! cargo run --release --example guestbook -- --help
//! ```
//!
//! says which options there are. For Redis every URL of `session_redis::Source` will do: one
//! server, a Cluster, Sentinel, over TLS or not. For MongoDB every URI of the driver will.
//!
//! A person who is signed in finds all their sessions at `/sessions`, as a page or by `Accept:
//! application/json`, and can end them there (`POST /sessions/ID/revoke`, `POST
//! /sessions/revoke-others`). Every form holds a CSRF token in its field `csrf`; a program asks
//! `GET /csrf` for one. A sign-in voids those from before.
//!
//! Worth copying: `server.rs` (timeouts, a cap on connections), `form.rs` (bodies), `viewed.rs`
//! (requests that nobody looks at), `values.rs` (typed keys, and values of another version).

mod device;
mod failing;
mod form;
mod handler;
mod options;
mod page;
mod refusal;
mod server;
mod sessions;
mod time;
mod values;
mod viewed;

use std::env;
use std::io::{self, Write};

use tracing::Level;

use options::Options;
use refusal::BoxError;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    if env::args()
        .skip(1)
        .any(|option| ["--help", "-h"].contains(&option.as_str()))
    {
        return Ok(io::stdout().write_all(options::USAGE.as_bytes())?);
    }
    let level = env::var("RUST_LOG")
        .ok()
        .and_then(|level| level.parse().ok());
    tracing_subscriber::fmt()
        .with_max_level(level.unwrap_or(Level::INFO))
        .init();
    let options = Options::from_args(env::args().skip(1))?;
    let layer = options.layer().await?;
    server::serve(&options, layer).await
}
