//! How a connection is made, and what all kinds of them have in common.

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{
    AsyncConnectionConfig, Client, Cmd, ProtocolVersion, PushInfo, PushKind, RedisFuture,
    RedisResult, Value,
};
use tokio::task::JoinHandle;

use crate::link::Link;

/// How many commands may wait to be written to a connection.
const BUFFERED: usize = 512;

/// Where connections come from.
pub(crate) enum Connector {
    Client(Box<Client>),
    Given(Arc<dyn Given>),
    #[cfg(feature = "cluster")]
    Cluster(Box<crate::cluster::Cluster>),
    #[cfg(feature = "sentinel")]
    Sentinel(Arc<crate::sentinel::Sentinel>),
}

/// A connection, and where it leads to if that may change.
pub(crate) struct Made {
    pub(crate) connection: Connection,
    pub(crate) address: Option<String>,
}

impl From<Connection> for Made {
    fn from(connection: Connection) -> Self {
        Self {
            connection,
            address: None,
        }
    }
}

impl Connector {
    /// A new connection; `on_drop` is called when it is known to be dead, if the driver tells.
    pub(crate) async fn connect(
        &self,
        limit: Duration,
        on_drop: impl Fn() + Send + Sync + 'static,
    ) -> RedisResult<Made> {
        match self {
            Self::Client(client) => Ok(single(client, limit, on_drop).await?.into()),
            Self::Given(given) => Ok(Connection::Given(Arc::clone(given)).into()),
            #[cfg(feature = "cluster")]
            Self::Cluster(cluster) => Ok(cluster.connect().await?.into()),
            #[cfg(feature = "sentinel")]
            Self::Sentinel(sentinel) => sentinel.connect(limit, on_drop).await,
        }
    }

    /// How long all of a connection may take, if one server may take `limit`: the others come after
    /// it.
    pub(crate) fn limit(&self, limit: Duration) -> Duration {
        match self {
            Self::Client(_) | Self::Given(_) => limit,
            #[cfg(feature = "cluster")]
            Self::Cluster(_) => limit * 4,
            #[cfg(feature = "sentinel")]
            Self::Sentinel(_) => limit * 3,
        }
    }

    /// A task that tells of a new primary, where somebody knows.
    pub(crate) fn watch(&self, link: Weak<Link>) -> Option<JoinHandle<()>> {
        match self {
            #[cfg(feature = "sentinel")]
            Self::Sentinel(sentinel) => Some(tokio::spawn(Arc::clone(sentinel).watch(link))),
            _ => {
                drop(link);
                None
            }
        }
    }
}

impl fmt::Display for Connector {
    /// The servers' addresses, and no password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client(client) => client.get_connection_info().addr().fmt(f),
            Self::Given(_) => f.write_str("the application's connection"),
            #[cfg(feature = "cluster")]
            Self::Cluster(cluster) => cluster.fmt(f),
            #[cfg(feature = "sentinel")]
            Self::Sentinel(sentinel) => sentinel.fmt(f),
        }
    }
}

/// A connection to one server.
pub(crate) async fn single(
    client: &Client,
    limit: Duration,
    on_drop: impl Fn() + Send + Sync + 'static,
) -> RedisResult<Connection> {
    // Calls have deadlines of their own.
    let mut config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(limit))
        .set_response_timeout(None)
        .set_pipeline_buffer_size(BUFFERED);
    if client.get_connection_info().redis_settings().protocol() == ProtocolVersion::RESP3 {
        config = config.set_push_sender(move |push: PushInfo| {
            if push.kind == PushKind::Disconnection {
                on_drop();
            }
            Ok::<_, redis::aio::SendError>(())
        });
    }
    let connection = client
        .get_multiplexed_async_connection_with_config(&config)
        .await?;
    Ok(Connection::Single(connection))
}

/// What commands are sent on; many may be under way at once.
pub(crate) enum Connection {
    Single(MultiplexedConnection),
    Given(Arc<dyn Given>),
    #[cfg(feature = "cluster")]
    Cluster(redis::cluster_async::ClusterConnection),
}

impl Connection {
    pub(crate) async fn send(&self, command: &Cmd) -> RedisResult<Value> {
        match self {
            Self::Single(connection) => connection.clone().send_packed_command(command).await,
            Self::Given(given) => given.send(command).await,
            #[cfg(feature = "cluster")]
            Self::Cluster(connection) => crate::cluster::send(connection, command).await,
        }
    }

    /// Sends a command to a node that a slot is moving to.
    #[cfg(feature = "cluster")]
    pub(crate) async fn send_asking(&self, command: &Cmd, node: &str) -> RedisResult<Value> {
        match self {
            Self::Cluster(connection) => {
                crate::cluster::send_asking(connection, command, node).await
            }
            _ => self.send(command).await,
        }
    }

    /// Whether it leads to many nodes, or may.
    pub(crate) fn many_nodes(&self) -> bool {
        !matches!(self, Self::Single(_))
    }
}

/// A connection that the application made.
pub(crate) trait Given: Send + Sync + 'static {
    fn send<'a>(&'a self, command: &'a Cmd) -> RedisFuture<'a, Value>;
}

impl<C: ConnectionLike + Clone + Send + Sync + 'static> Given for C {
    fn send<'a>(&'a self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        let mut connection = self.clone();
        Box::pin(async move { connection.req_packed_command(command).await })
    }
}
