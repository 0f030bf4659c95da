//! What the command line says, and the layer that follows from it.

use std::net::SocketAddr;
use std::time::Duration;

use session_core::store::{Durability, SessionStore};
use session_core::{KeyError, KeyRing, Limits, MemoryStore, OnMaxSessions, OnReuse, Rotation};
use session_http::SessionLayer;
use session_http::cookie::CookieStore;
use session_http::layer::SessionLayerBuilder;
use session_http::mongo::MongoStore;
use session_http::redis::RedisStore;
use tracing::warn;

use crate::failing::FailingStore;
use crate::refusal::BoxError;

/// What `--help` prints.
pub(crate) const USAGE: &str = "\
A guestbook: visits, entries and a name for each browser.

  --listen ADDR     where to listen; 127.0.0.1:3000 by default
  --store NAME      where sessions are kept: memory (the default), cookie,
                    redis://.., mongodb://.., or failing, which fails on purpose
  --rotate SECONDS  gives a token that is so many seconds old a successor; without it
                    tokens change when somebody signs in. For theft to show it wants
                    SESSION_KEYS: with them an old token that comes back ends its
                    session, and over Redis, which may forget a rotation, is logged.
                    (A cookie store cannot rotate, nor list sessions.)
  --connections N   how many may be open at once; 900 by default, which suits a
                    limit of 1,024 open files (ulimit -n)
  --help            prints this

SESSION_KEYS signs tokens, or seals cookies: base64, newest first, separated by commas;
`openssl rand -base64 32` makes one. RUST_LOG (error to trace) sets how much is logged.
";

/// How many bytes a session may have: a hundred entries, each letter escaped.
const LARGEST_SESSION: usize = 256 * 1024;

/// How many sessions one person may have. Without a limit a program that signs in again and again
/// makes a list of any length, and whoever opens it keeps others waiting.
const MOST_SESSIONS: usize = 100;

pub(crate) struct Options {
    pub(crate) listen: SocketAddr,
    /// How many connections may be open at once.
    pub(crate) connections: usize,
    store: String,
    rotation: Rotation,
}

impl Options {
    pub(crate) fn from_args(mut args: impl Iterator<Item = String>) -> Result<Self, BoxError> {
        let mut options = Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 3000)),
            connections: 900,
            store: "memory".to_owned(),
            rotation: Rotation::off(),
        };
        while let Some(flag) = args.next() {
            if !["--listen", "--connections", "--store", "--rotate"].contains(&flag.as_str()) {
                return Err(format!(
                    "{flag} is not an option; there are --listen ADDR, --connections N, \
                     --store NAME, --rotate SECONDS and --help"
                )
                .into());
            }
            let value = args.next().ok_or_else(|| format!("{flag} needs a value"))?;
            match flag.as_str() {
                "--listen" => {
                    let wrong = |_| {
                        format!("--listen takes an address such as 127.0.0.1:3000, not {value:?}")
                    };
                    options.listen = value.parse().map_err(wrong)?;
                }
                "--connections" => {
                    let few = 1..=100_000; // a semaphore of tokio's has room for more
                    options.connections = match value.parse() {
                        Ok(count) if few.contains(&count) => count,
                        _ => {
                            return Err(format!(
                                "--connections takes a number from 1 to 100000, not {value:?}"
                            )
                            .into());
                        }
                    };
                }
                "--rotate" => {
                    let wrong = |_| format!("--rotate takes a number of seconds, not {value:?}");
                    options.rotation = match value.parse().map_err(wrong)? {
                        0 => {
                            return Err(
                                "--rotate 0 is too often; give it 1 or more, or leave it out"
                                    .into(),
                            );
                        }
                        seconds => Rotation::every(Duration::from_secs(seconds)),
                    };
                }
                _ => options.store = value,
            }
        }
        Ok(options)
    }

    /// The layer over the store that was asked for.
    pub(crate) async fn layer(&self) -> Result<SessionLayer, BoxError> {
        let layer = self.builder().await?.rotation(self.rotation).build();
        Ok(layer.map_err(|error| error.to_string())?)
    }

    async fn builder(&self) -> Result<SessionLayerBuilder, BoxError> {
        let keys = match KeyRing::from_env("SESSION_KEYS") {
            Ok(keys) => Some(keys),
            Err(KeyError::NoVariable(_)) => None,
            Err(error) => return Err(format!("SESSION_KEYS: {error}").into()),
        };
        let store: Box<dyn SessionStore> = match self.store.as_str() {
            "cookie" => {
                let keys = match keys {
                    Some(keys) => keys,
                    None => {
                        warn!("SESSION_KEYS is not set: the sessions end with this process");
                        KeyRing::generate()?
                    }
                };
                return Ok(SessionLayer::builder(CookieStore::signed(keys)));
            }
            "memory" => Box::new(MemoryStore::new()),
            "failing" => Box::new(FailingStore),
            uri if uri.starts_with("mongo") => {
                let store = MongoStore::connect(uri).await;
                Box::new(store.map_err(|error| error.to_string())?)
            }
            url if url.contains("://") => {
                let store = RedisStore::connect(url).await;
                Box::new(store.map_err(|error| error.to_string())?)
            }
            other => {
                return Err(format!(
                    "{other:?} is not a store; there are memory, cookie, failing and URLs of Redis \
                     and MongoDB"
                )
                .into());
            }
        };
        // With keys a token that comes back after its overlap is no stranger's: somebody has a
        // copy. But where a fail-over can lose acknowledged writes, as in Redis, the last rotations
        // may be among them, and then owners look like thieves. There it is only reported.
        let shows_theft = self.rotation.is_on() && store.durability() == Durability::Durable;
        // No session of this program comes near this; without it the limit is 1 MiB.
        let limits = Limits::default().with_record_bytes(LARGEST_SESSION);
        let builder = SessionLayer::builder(store)
            .max_sessions(MOST_SESSIONS, OnMaxSessions::RevokeOldest)
            .limits(limits);
        Ok(match keys {
            Some(keys) if shows_theft => builder.keys(keys).on_reuse(OnReuse::Revoke),
            Some(keys) => builder.keys(keys),
            None => builder,
        })
    }
}
