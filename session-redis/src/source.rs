//! Which servers, as an application names them.

use std::sync::Arc;

use redis::aio::ConnectionLike;
use redis::{Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, ProtocolVersion};
use session_core::ConfigError;

use crate::connector::Given;

/// Where the sessions are: a URL, a client, or a connection.
///
/// | made from | |
/// |---|---|
/// | `redis://[user:password@]host[:port][/database]` | one server; `valkey://` is the same |
/// | `rediss://..`, `valkeys://..` | over TLS (feature `tls`) |
/// | `unix:///path/to/socket[?db=1&user=..&pass=..]` | a Unix socket; `redis+unix://` is the same |
/// | `redis-cluster://[user:password@]host[:port][,host[:port]..]` | a Cluster, by some of its nodes (feature `cluster`) |
/// | `redis-sentinel://[user:password@]host[:port][,host[:port]..][/database]#name` | the primary that Sentinel calls `name` (feature `sentinel`); user and password are the server's |
/// | `rediss-cluster://`, `rediss-sentinel://` | both over TLS |
/// | a [`redis::Client`] | its server, by a connection of the store's own |
/// | a `redis::cluster::ClusterClient` | its Cluster, by connections of the store's own (feature `cluster`) |
/// | [`Source::connection`] | a connection that the application has |
///
/// Characters of a password that have a meaning in URLs are percent-encoded; or set it with
/// [`RedisStoreBuilder::password`](crate::RedisStoreBuilder::password).
///
/// A `ClusterClient` has to be made with `retries(0)`: by default the driver sends a write again whose
/// answer was lost, and it would be applied twice. The URL does that by itself.
///
/// ```
/// use session_redis::{RedisStore, Source};
///
/// let client = redis::Client::open("redis://127.0.0.1/").unwrap();
/// let by_client = RedisStore::builder(client);
/// let by_url = RedisStore::builder("redis://127.0.0.1/");
/// let from: Source = "unix:///run/redis.sock".into();
/// # let _ = (by_client, by_url, from);
/// ```
#[derive(Debug)]
pub struct Source(pub(crate) Kind);

pub(crate) enum Kind {
    Url(String),
    Client(Box<Client>),
    Connection(Arc<dyn Given>),
    #[cfg(feature = "cluster")]
    Cluster(Box<redis::cluster::ClusterClient>),
}

impl std::fmt::Debug for Kind {
    /// Shows no URL: there may be a password in it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Url(_) => "Url",
            Self::Client(_) => "Client",
            Self::Connection(_) => "Connection",
            #[cfg(feature = "cluster")]
            Self::Cluster(_) => "Cluster",
        })
    }
}

impl Source {
    /// A connection that the application has: a `MultiplexedConnection`, a `ConnectionManager`, a `ClusterConnection`, or
    /// anything that is as cheap to clone.
    ///
    /// The store cannot make it anew: a `MultiplexedConnection` that is closed stays so, and then every call
    /// fails. Nor can it keep such a connection from sending a write twice, as a `ClusterConnection` does that was not
    /// made with `retries(0)`. A URL or a client is better where there is a choice.
    pub fn connection(connection: impl ConnectionLike + Clone + Send + Sync + 'static) -> Self {
        Self(Kind::Connection(Arc::new(connection)))
    }
}

impl From<&str> for Source {
    fn from(url: &str) -> Self {
        Self(Kind::Url(url.to_owned()))
    }
}

impl From<String> for Source {
    fn from(url: String) -> Self {
        Self(Kind::Url(url))
    }
}

impl From<&String> for Source {
    fn from(url: &String) -> Self {
        Self(Kind::Url(url.clone()))
    }
}

impl From<Client> for Source {
    fn from(client: Client) -> Self {
        Self(Kind::Client(Box::new(client)))
    }
}

#[cfg(feature = "cluster")]
impl From<redis::cluster::ClusterClient> for Source {
    fn from(client: redis::cluster::ClusterClient) -> Self {
        Self(Kind::Cluster(Box::new(client)))
    }
}

/// What a URL names.
pub(crate) enum Servers {
    One(ConnectionInfo),
    #[cfg_attr(
        not(feature = "cluster"),
        allow(dead_code, reason = "an error without the feature")
    )]
    Cluster(Vec<ConnectionInfo>),
    #[cfg_attr(
        not(feature = "sentinel"),
        allow(dead_code, reason = "an error without the feature")
    )]
    Sentinel {
        sentinels: Vec<ConnectionInfo>,
        name: String,
        server: ConnectionInfo,
    },
}

impl Servers {
    pub(crate) fn of_url(url: &str) -> Result<Self, ConfigError> {
        let (scheme, rest) = url.split_once("://").ok_or_else(unknown)?;
        let (scheme, kind) = match scheme.split_once('-') {
            Some((scheme @ ("redis" | "rediss" | "valkey" | "valkeys"), kind)) => (scheme, kind),
            Some(_) => return Err(unknown()),
            None => (scheme, ""),
        };
        match kind {
            "" => Ok(Self::One(info(url)?)),
            "cluster" => {
                let (user, hosts, path) = parts(rest);
                let node = |host| info(&format!("{scheme}://{user}{host}{path}"));
                Ok(Self::Cluster(hosts.map(node).collect::<Result<_, _>>()?))
            }
            "sentinel" => {
                let (rest, name) = rest
                    .split_once('#')
                    .filter(|(_, name)| !name.is_empty())
                    .ok_or_else(|| {
                        ConfigError::new("the redis-sentinel URL lacks the name of the primary: append #name")
                    })?;
                // Names are shown; what follows a # in a password is not to be taken for one.
                if name.contains(['@', '#', '/', '?', ':']) {
                    return Err(ConfigError::new(
                        "the redis-sentinel URL has a # too many; percent-encode it as %23 in a password",
                    ));
                }
                let (user, hosts, path) = parts(rest);
                let sentinel = |host: &str| {
                    let port = if has_port(host) { "" } else { ":26379" };
                    info(&format!("{scheme}://{host}{port}"))
                };
                Ok(Self::Sentinel {
                    sentinels: hosts.map(sentinel).collect::<Result<_, _>>()?,
                    name: name.to_owned(),
                    server: info(&format!("{scheme}://{user}primary.invalid{path}"))?,
                })
            }
            _ => Err(unknown()),
        }
    }
}

/// User and password with their `@`, hosts, and what follows from `/` or `?` on.
fn parts(rest: &str) -> (&str, impl Iterator<Item = &str>, &str) {
    let authority = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(authority);
    let hosts = authority.rfind('@').map_or(0, |at| at + 1);
    let (user, hosts) = authority.split_at(hosts);
    (user, hosts.split(','), path)
}

fn has_port(host: &str) -> bool {
    host.rsplit_once(':').is_some_and(|(_, port)| !port.contains(']'))
}

fn unknown() -> ConfigError {
    ConfigError::new(
        "not a URL of Redis: it begins with redis://, rediss://, unix://, redis-cluster:// or redis-sentinel://",
    )
}

/// One address, with what every connection here wants.
fn info(url: &str) -> Result<ConnectionInfo, ConfigError> {
    let secure = url.starts_with("rediss://") || url.starts_with("valkeys://");
    if secure && !cfg!(feature = "tls") {
        return Err(ConfigError::new("TLS needs the feature `tls` of session-redis"));
    }
    // The driver's texts name no secret: they say which part is wrong.
    let wrong = |error: redis::RedisError| ConfigError::new(format!("the Redis URL is wrong: {error}"));
    let info = url.into_connection_info().map_err(wrong)?;
    if matches!(info.addr(), ConnectionAddr::TcpTls { insecure: true, .. }) {
        return Err(ConfigError::new(
            "#insecure is not supported: give the server's root certificate instead",
        ));
    }
    let tcp = info.tcp_settings().clone().set_nodelay(true);
    let mut settings = info.redis_settings().clone();
    if !url
        .rsplit_once('?')
        .is_some_and(|(_, query)| query.contains("protocol="))
    {
        // Only this tells at once that a connection was closed.
        settings = settings.set_protocol(ProtocolVersion::RESP3);
    }
    Ok(info.set_tcp_settings(tcp).set_redis_settings(settings))
}

#[cfg(all(test, feature = "cluster", feature = "sentinel", feature = "tls"))]
mod tests;
