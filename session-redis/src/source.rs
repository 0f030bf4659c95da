//! Which servers, as an application names them.

use std::sync::Arc;
use std::time::Duration;

use redis::aio::ConnectionLike;
use redis::io::tcp::socket2::TcpKeepalive;
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
/// | a `redis::cluster::ClusterClientBuilder` | its Cluster, by connections of the store's own (feature `cluster`) |
/// | [`Source::connection`] | a connection that the application has |
///
/// In a username and a password `/`, `?`, `#` and `%` are percent-encoded, and in a username `:`
/// too; or set them with [`RedisStoreBuilder::password`](crate::RedisStoreBuilder::password). A
/// username goes with a password: without one the driver would not send it.
///
/// Behind `?` a URL may have `protocol=resp2` for what lies between and knows no RESP3: then a
/// connection that was closed is only noticed by the next call. Of a client the store takes the
/// address, login and certificates, of the builder of a Cluster client all but the retries: by
/// default the driver sends a write again whose answer was lost, and it would be applied twice.
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
    Cluster(redis::RedisResult<Box<redis::cluster::ClusterClient>>),
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
    /// A connection that the application has: a `MultiplexedConnection`, a `ConnectionManager`, a
    /// `ClusterConnection`, or anything that is as cheap to clone.
    ///
    /// The store cannot make it anew: a `MultiplexedConnection` that is closed stays so, and then
    /// every call fails. Nor can it keep such a connection from sending a write twice, as a
    /// `ClusterConnection` does that was not made with `retries(0)`. A URL or a client is better
    /// where there is a choice.
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
impl From<redis::cluster::ClusterClientBuilder> for Source {
    fn from(builder: redis::cluster::ClusterClientBuilder) -> Self {
        let client = builder.retries(0).overall_response_timeout(None).build();
        Self(Kind::Cluster(client.map(Box::new)))
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
        // As the driver does; and a scheme has no case.
        let url = url.trim_matches(|c: char| c <= ' ');
        let (scheme, rest) = url.split_once("://").ok_or_else(unknown)?;
        let scheme = &*scheme.to_ascii_lowercase();
        // Hosts, paths and names are shown; a part of a password is not to be taken for one.
        let authority = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        if !scheme.ends_with("unix") && rest[authority..].contains('@') {
            return Err(ConfigError::new(
                "the Redis URL has an @ too late; percent-encode / ? # @ in the username and password, or set them apart",
            ));
        }
        let (scheme, kind) = match scheme.split_once('-') {
            Some((scheme @ ("redis" | "rediss" | "valkey" | "valkeys"), kind)) => (scheme, kind),
            Some(_) => return Err(unknown()),
            None if !SCHEMES.contains(&scheme) => return Err(unknown()),
            None => (scheme, ""),
        };
        match kind {
            "" => Ok(Self::One(info(&format!("{scheme}://{rest}"))?)),
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
                        ConfigError::new(
                            "the redis-sentinel URL lacks the name of the primary: append #name",
                        )
                    })?;
                // Names are shown; what follows a # in a password is not to be taken for one.
                if name.contains(['@', '#', '/', '?', ':', '&', '=']) {
                    return Err(ConfigError::new(
                        "the redis-sentinel URL ends with #name, and a name has none of @ # / ? : & =; percent-encode a # in the password as %23",
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
    host.rsplit_once(':')
        .is_some_and(|(_, port)| !port.contains(']'))
}

/// After so long without traffic the system asks whether the other end is still there, again after
/// this time, and so often before it gives the connection up. What was sent is waited for as long,
/// where the system can be told.
const IDLE: Duration = Duration::from_secs(15);
const PROBE: Duration = Duration::from_secs(5);
const PROBES: u32 = 3;

const SCHEMES: [&str; 7] = [
    "redis",
    "rediss",
    "valkey",
    "valkeys",
    "unix",
    "redis+unix",
    "valkey+unix",
];
/// What may stand behind the `?`.
const PARAMETERS: [&str; 4] = ["protocol", "db", "user", "pass"];

fn unknown() -> ConfigError {
    ConfigError::new(
        "not a URL of Redis: it begins with redis://, rediss://, unix://, redis-cluster:// or redis-sentinel://",
    )
}

/// One address, with what every connection here wants.
fn info(url: &str) -> Result<ConnectionInfo, ConfigError> {
    let socket = url
        .split_once("://")
        .is_some_and(|(scheme, _)| scheme.ends_with("unix"));
    look_at(url, socket)?;
    let (_, query) = url.split_once('?').unwrap_or((url, ""));
    for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
        let name = parameter.split('=').next().unwrap_or_default();
        if !PARAMETERS.contains(&name) || (!socket && name != "protocol") {
            return Err(ConfigError::new(
                "the Redis URL has a parameter that is not known; there is protocol, and for sockets db, user and pass",
            ));
        }
    }
    let secure = url.starts_with("rediss://") || url.starts_with("valkeys://");
    if secure && !cfg!(feature = "tls") {
        return Err(ConfigError::new(
            "TLS needs the feature `tls` of session-redis",
        ));
    }
    let info = url.into_connection_info().map_err(|error| wrong(&error))?;
    if info.redis_settings().db() < 0 {
        return Err(ConfigError::new(
            "the number of the database in the Redis URL is negative",
        ));
    }
    if matches!(info.addr(), ConnectionAddr::TcpTls { insecure: true, .. }) {
        return Err(ConfigError::new(
            "#insecure is not supported: give the server's root certificate instead",
        ));
    }
    match query.contains("protocol=") {
        true => Ok(undelayed(info)),
        false => Ok(tuned(info)),
    }
}

/// What the driver would pass over or refuse with another cause.
fn look_at(url: &str, socket: bool) -> Result<(), ConfigError> {
    let wrong = |text| Err(ConfigError::new(text));
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let (address, query) = rest.split_once('?').unwrap_or((rest, ""));
    // A username and a password may have an &; a path is shown, and a part of a password is not to
    // be taken for one.
    let end = address.find(['/', '#']).unwrap_or(address.len());
    let (authority, path) = address.split_at(end);
    let misplaced = match socket {
        true => path.split('&').skip(1).any(|part| part.contains('=')),
        false => path.contains('&'),
    };
    if misplaced {
        return wrong(
            "the Redis URL has an & before its ?; the first parameter stands behind ?, the others behind &; in the path of a socket write it as %26",
        );
    }
    let secure = url.starts_with("rediss://") || url.starts_with("valkeys://");
    if !secure && (path.contains('#') || query.contains('#')) {
        return wrong(
            "the Redis URL has a # and a fragment behind it; the #name of a primary goes with redis-sentinel://, and in a path or a password a # is written as %23",
        );
    }
    let hosts = authority.rsplit('@').next().unwrap_or_default();
    if !socket && hosts.contains(',') {
        return wrong(
            "the Redis URL names several hosts; that is for redis-cluster:// and for redis-sentinel://",
        );
    }
    Ok(())
}

/// The driver's text says which part is wrong, and names no secret.
fn wrong(error: &redis::RedisError) -> ConfigError {
    let text = error.to_string();
    let text = text.split(" - ").next().unwrap_or_default();
    ConfigError::new(format!(
        "the Redis URL is wrong ({text}); it is like redis://user:password@host:6379/0, with / ? # @ percent-encoded in user and password"
    ))
}

/// The same, with a protocol that tells at once that a connection was closed.
pub(crate) fn tuned(info: ConnectionInfo) -> ConnectionInfo {
    let settings = info
        .redis_settings()
        .clone()
        .set_protocol(ProtocolVersion::RESP3);
    undelayed(info).set_redis_settings(settings)
}

fn undelayed(info: ConnectionInfo) -> ConnectionInfo {
    let mut tcp = info.tcp_settings().clone().set_nodelay(true);
    if tcp.keepalive().is_none() {
        let keepalive = TcpKeepalive::new().with_time(IDLE).with_interval(PROBE);
        tcp = tcp.set_keepalive(keepalive.with_retries(PROBES));
    }
    #[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
    if tcp.user_timeout().is_none() {
        tcp = tcp.set_user_timeout(PROBE * PROBES);
    }
    info.set_tcp_settings(tcp)
}

#[cfg(all(test, feature = "cluster", feature = "sentinel", feature = "tls"))]
mod tests;
