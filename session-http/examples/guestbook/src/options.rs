//! What the command line says, and the layer that follows from it.

use std::net::SocketAddr;
use std::time::Duration;

use session_core::store::Durability;
use session_core::{KeyError, KeyRing, Limits, OnMaxSessions, OnReuse, Rotation};
use session_http::SessionLayer;
#[cfg(feature = "bind")]
use session_http::device::DeviceBinding;
use session_http::layer::SessionLayerBuilder;
use tracing::warn;

use crate::admin::Recorder;
use crate::refusal::BoxError;
use crate::stores;

/// What `--help` prints.
pub(crate) const USAGE: &str = "\
A guestbook: visits, entries and a name for each browser.

  --listen ADDR     where to listen; 127.0.0.1:3000 by default
  --store NAME      where sessions are kept: memory (the default), cookie (build with
                    --features cookie), redis://.. (--features redis), mongodb://..
                    (--features mongo), or failing, which fails on purpose
  --rotate SECONDS  replaces tokens that are older than this; without it, tokens change
                    only when somebody signs in. Set SESSION_KEYS too: then an old
                    token that is presented again revokes its session. (Over Redis,
                    which may forget a rotation, it is only logged. A cookie store
                    can neither rotate tokens nor list sessions.)
  --bind            binds the session of a sign-in to the browser, so that a stolen cookie
                    opens nothing elsewhere (build with --features bind). Browsers
                    bind only over TLS: the server makes a certificate for localhost,
                    and logs the hash of its public key. A browser that does not know
                    bindings works as before.
  --connections N   how many connections may be open at once; 900 by default, which
                    suits a limit of 1,024 open files (ulimit -n)
  --help            prints this

SESSION_KEYS signs tokens, or seals cookies: base64, newest first, separated by commas;
`openssl rand -base64 32` makes one. GUESTBOOK_ADMIN_PASSWORD opens a live page for operators
at /admin; without it there is none. RUST_LOG (error to trace) sets how much is logged.
";

/// How many bytes a session may have. A hundred entries fit, even if each letter is escaped.
const LARGEST_SESSION: usize = 256 * 1024;

/// How many sessions one person may have. Without a limit, a program that signs in again and again
/// would make a list of any length, and a request that shows it would keep others waiting.
const MOST_SESSIONS: usize = 100;

pub(crate) struct Options {
    pub(crate) listen: SocketAddr,
    /// How many connections may be open at once.
    pub(crate) connections: usize,
    /// Whether sign-ins are bound to the browser, which takes TLS.
    pub(crate) bind: bool,
    store: String,
    rotation: Rotation,
}

impl Options {
    pub(crate) fn from_args(mut args: impl Iterator<Item = String>) -> Result<Self, BoxError> {
        let mut options = Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 3000)),
            connections: 900,
            bind: false,
            store: "memory".to_owned(),
            rotation: Rotation::off(),
        };
        while let Some(flag) = args.next() {
            if flag == "--bind" {
                options.bind = true;
                continue;
            }
            if !["--listen", "--connections", "--store", "--rotate"].contains(&flag.as_str()) {
                return Err(format!(
                    "{flag} is not an option; the options are --listen ADDR, --connections N, \
                     --store NAME, --rotate SECONDS, --bind and --help"
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
                    let few = 1..=100_000; // a semaphore of tokio has room for more
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

    /// The layer over the store that was asked for, and what watches it.
    pub(crate) async fn layer(&self, observer: Option<Recorder>) -> Result<SessionLayer, BoxError> {
        let builder = self.builder().await?.rotation(self.rotation);
        let builder = match observer {
            Some(observer) => builder.observer(observer),
            None => builder,
        };
        #[cfg(feature = "bind")]
        let builder = match self.bind {
            true => builder.bound(DeviceBinding::require()),
            false => builder,
        };
        Ok(builder.build()?)
    }

    async fn builder(&self) -> Result<SessionLayerBuilder, BoxError> {
        let keys = match KeyRing::from_env("SESSION_KEYS") {
            Ok(keys) => Some(keys),
            Err(KeyError::NoVariable(_)) => None,
            Err(error) => return Err(format!("SESSION_KEYS: {error}").into()),
        };
        let keys = match keys {
            None if self.bind || self.store == "cookie" => {
                warn!("SESSION_KEYS is not set: the sessions end with this process");
                Some(KeyRing::generate()?)
            }
            keys => keys,
        };
        if self.store == "cookie"
            && let Some(keys) = keys
        {
            return stores::cookie(keys);
        }
        let store = stores::open(&self.store).await?;
        // With keys, a token that is presented after its overlap is known to be one of ours:
        // somebody has a copy. But where a fail-over can lose acknowledged writes, as in Redis, it
        // may lose the last rotations, and then owners look like thieves. There, such a token is
        // only reported.
        let shows_theft = self.rotation.is_on() && store.durability() == Durability::Durable;
        // No session of this program comes near this limit. The default is 1 MiB.
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
