//! A guestbook on a plain hyper server, HTTP/1 and HTTP/2: visits, entries and a name for each
//! browser. This command shows its options:
//!
//! ```text
//! cargo run -p guestbook -- --help
//! ```
//!
//! With `--features redis`, `--store` takes every URL of `session_redis::Source`: one server, a
//! Cluster or Sentinel, over TLS or not. With `--features mongo`, it takes every URI of the driver.
//! With `--features bind`, `--bind` binds each session to the browser that signed in.
//!
//! A person who is signed in finds all their sessions at `/sessions`, as a page, or as JSON with
//! `Accept: application/json`, and can end them there (`POST /sessions/ID/revoke`,
//! `POST /sessions/revoke-others`). Every form holds a CSRF token in its field `csrf`; a program
//! gets one from `GET /csrf`. A sign-in invalidates earlier tokens.
//!
//! If the environment variable `GUESTBOOK_ADMIN_PASSWORD` is set and not empty, `/admin` is a live
//! page for whoever runs the site: what happened to sessions in the last 15 minutes, how long the
//! store took, and the last sign-ins, each of which can be ended. A browser asks for the password;
//! any name goes with it.
//!
//! These files are worth copying: `server.rs` (timeouts, a cap on connections), `form.rs` (bodies),
//! `viewed.rs` (requests that nobody looks at) and `values.rs` (typed keys, and values that another
//! version stored). `admin/` is a whole to copy: an observer, and the page that shows what it saw.

mod admin;
mod device;
mod failing;
mod form;
mod handler;
mod options;
mod page;
mod refusal;
mod server;
mod sessions;
mod stores;
mod time;
#[cfg(feature = "bind")]
mod tls;
mod transport;
mod values;
mod viewed;

use std::env;
use std::io::{self, Write};
use std::process::ExitCode;

use tracing::Level;

use admin::Admin;
use options::Options;
use refusal::BoxError;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("guestbook: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), BoxError> {
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
    let admin = Admin::from_env()?;
    let layer = options.layer(admin.as_ref().map(Admin::recorder)).await?;
    server::serve(&options, layer, admin).await
}
