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
/// - A [`redis::Client`]: its server, by a connection of the store's own.
///
/// Several servers:
///
/// - `redis-cluster://[user:password@]host[:port][,host[:port]..]`: a Cluster, by some of its nodes
///   (feature `cluster`).
/// - A `redis::cluster::ClusterClientBuilder`: its Cluster, by connections of the store's own
///   (feature `cluster`).
/// - `redis-sentinel://[user:password@]host[:port][,host[:port]..][/database]#name`: the primary
///   that Sentinel calls `name` (feature `sentinel`). The user and password are the server's.
/// - `rediss-cluster://` and `rediss-sentinel://`: both over TLS.
///
/// Or a connection that the application has: [`Source::connection`].
///
/// In a username and a password `/`, `?`, `#` and `%` are percent-encoded, and in a username `:`
/// too. Or set them with [`RedisStoreBuilder::password`](crate::RedisStoreBuilder::password). A
/// username goes with a password, because the driver would not send it alone.
///
/// Behind `?` a URL may have `protocol=resp2`, for a proxy that knows no RESP3. Then the store
/// notices only with its next call that a connection was closed.
///
/// The store takes the address, login and certificates of a client. It takes everything of the
/// builder of a Cluster client except the retries: by default the driver sends a write again if
/// its answer was lost, and it would be applied twice.
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
    /// Prefer a URL or a client where there is a choice. The store cannot replace this connection:
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
