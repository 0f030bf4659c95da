//! Which servers, as an application names them.

use std::sync::Arc;

use redis::aio::ConnectionLike;
use redis::{Client, Cmd, RedisFuture, Value};

/// Where the sessions are: a URL, a client, or a connection.
///
/// One server:
///
/// - `redis://[user:password@]host[:port][/database]`; `valkey://` is the same.
/// - `rediss://..` and `valkeys://..`, over TLS (feature `tls`).
/// - `unix:///path/to/socket[?db=1&user=..&pass=..]`; `redis+unix://` and `valkey+unix://` are the
///   same.
/// - A [`redis::Client`]: the server of that client, by a connection of the store's own.
///
/// Several servers:
///
/// - `redis-cluster://[user:password@]host[:port][,host[:port]..]`: a Cluster, found by some of its
///   nodes (feature `cluster`).
/// - A `redis::cluster::ClusterClientBuilder`: the Cluster of that builder, by connections of the
///   store's own (feature `cluster`).
/// - `redis-sentinel://[user:password@]host[:port][,host[:port]..][/database]#name`: the primary
///   that Sentinel calls `name` (feature `sentinel`). The user and password are the server's.
/// - `rediss-cluster://` and `rediss-sentinel://`: both over TLS.
///
/// Or a connection that the application has: [`Source::connection`].
///
/// Percent-encode `/`, `?`, `#` and `%` in a username and a password, and `:` in a username. Or set
/// both with [`RedisStoreBuilder::password`](crate::RedisStoreBuilder::password) and `username`. A
/// username needs a password, because the driver would not send it alone.
///
/// After `?` a URL may have `protocol=resp2`, for a proxy that does not know RESP3. Then the store
/// notices that a connection was closed only with its next call.
///
/// From a client, the store takes the address, login and certificates. From the builder of a
/// Cluster client, it takes everything except the retries: by default the driver sends a write
/// again if its answer was lost, and the write would be applied twice.
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
pub struct Source(pub(crate) SourceKind);

pub(crate) enum SourceKind {
    Url(String),
    Client(Box<Client>),
    Connection(Arc<dyn ApplicationConnection>),
    #[cfg(feature = "cluster")]
    Cluster(redis::RedisResult<Box<redis::cluster::ClusterClient>>),
}

impl std::fmt::Debug for SourceKind {
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
    /// A connection that the application has made: a `MultiplexedConnection`, a
    /// `ConnectionManager`, a `ClusterConnection`, or anything else that is cheap to clone.
    ///
    /// Prefer a URL or a client if you have the choice. The store cannot replace this connection:
    /// once a `MultiplexedConnection` is closed, every call fails. Nor can it keep the connection
    /// from sending a write twice, as a `ClusterConnection` does unless it was made with
    /// `retries(0)`.
    pub fn connection(connection: impl ConnectionLike + Clone + Send + Sync + 'static) -> Self {
        Self(SourceKind::Connection(Arc::new(connection)))
    }
}

impl From<&str> for Source {
    fn from(url: &str) -> Self {
        Self(SourceKind::Url(url.to_owned()))
    }
}

impl From<String> for Source {
    fn from(url: String) -> Self {
        Self(SourceKind::Url(url))
    }
}

impl From<&String> for Source {
    fn from(url: &String) -> Self {
        Self(SourceKind::Url(url.clone()))
    }
}

impl From<Client> for Source {
    fn from(client: Client) -> Self {
        Self(SourceKind::Client(Box::new(client)))
    }
}

#[cfg(feature = "cluster")]
impl From<redis::cluster::ClusterClientBuilder> for Source {
    fn from(builder: redis::cluster::ClusterClientBuilder) -> Self {
        let client = builder.retries(0).overall_response_timeout(None).build();
        Self(SourceKind::Cluster(client.map(Box::new)))
    }
}

/// A connection that the application has made, whatever its type is.
pub(crate) trait ApplicationConnection: Send + Sync + 'static {
    fn send<'a>(&'a self, command: &'a Cmd) -> RedisFuture<'a, Value>;
}

impl<C: ConnectionLike + Clone + Send + Sync + 'static> ApplicationConnection for C {
    fn send<'a>(&'a self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        let mut connection = self.clone();
        Box::pin(async move { connection.req_packed_command(command).await })
    }
}
