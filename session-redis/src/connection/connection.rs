//! A connection of the driver, whatever it leads to.

use std::sync::Arc;
use std::time::Duration;

#[cfg(any(feature = "cluster", feature = "sentinel"))]
use redis::ConnectionAddr;
use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, Cmd, ErrorKind, ProtocolVersion, PushInfo, PushKind,
    RedisResult, Value,
};

use super::near::{Near, Question};
use crate::config::ApplicationConnection;

/// How many commands may wait to be written to a connection.
const BUFFERED: usize = 512;

/// What commands are sent on. Many may be under way at once.
pub(crate) enum Connection {
    Single(MultiplexedConnection),
    Application(Arc<dyn ApplicationConnection>),
    #[cfg(feature = "cluster")]
    Cluster(redis::cluster_async::ClusterConnection),
}

/// How many servers a connection leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Topology {
    SingleServer,
    /// Or perhaps: of an application's connection it is not known.
    ManyNodes,
}

impl Connection {
    pub(crate) async fn send(&self, command: &Cmd) -> RedisResult<Value> {
        match self {
            Self::Single(connection) => connection.clone().send_packed_command(command).await,
            Self::Application(connection) => connection.send(command).await,
            // Boxed, so that calls to one server are not as large as those to a Cluster.
            #[cfg(feature = "cluster")]
            Self::Cluster(connection) => Box::pin(super::cluster::send(connection, command)).await,
        }
    }

    /// Sends a command to the node that a slot is moving to.
    #[cfg(feature = "cluster")]
    pub(crate) async fn send_asking(&self, command: &Cmd, node: &str) -> RedisResult<Value> {
        match self {
            Self::Cluster(connection) => {
                super::cluster::send_asking(connection, command, node).await
            }
            _ => self.send(command).await,
        }
    }

    pub(crate) fn topology(&self) -> Topology {
        match self {
            Self::Single(_) => Topology::SingleServer,
            _ => Topology::ManyNodes,
        }
    }
}

/// A new connection, and where it leads to if that may change.
pub(super) struct NewConnection {
    pub(super) connection: Connection,
    pub(super) address: Option<String>,
}

impl From<Connection> for NewConnection {
    fn from(connection: Connection) -> Self {
        Self {
            connection,
            address: None,
        }
    }
}

/// What the driver calls while a connection is in use.
pub(super) struct Hooks {
    /// The connection is known to be dead. It is called for RESP3 only.
    pub(super) on_drop: Box<dyn Fn() + Send + Sync>,
    /// The server tells of changes.
    pub(super) near: Option<Arc<Near>>,
}

impl Default for Hooks {
    fn default() -> Self {
        Self {
            on_drop: Box::new(|| ()),
            near: None,
        }
    }
}

/// Connects to a server for calls. If there is a cache to be told of changes, the server tells of
/// what is read on this connection.
pub(super) async fn connect_single(
    client: &Client,
    limit: Duration,
    question: Question,
    hooks: Hooks,
) -> RedisResult<Connection> {
    let tracks = hooks.near.is_some();
    let connection = connect_node(client, limit, hooks).await?;
    if tracks {
        question.begin(&connection).await?;
    }
    Ok(Connection::Single(connection))
}

/// Connects to a server.
pub(super) async fn connect_node(
    client: &Client,
    limit: Duration,
    hooks: Hooks,
) -> RedisResult<MultiplexedConnection> {
    let Hooks { on_drop, near } = hooks;
    let mut config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(limit))
        // Calls have deadlines of their own.
        .set_response_timeout(None)
        .set_pipeline_buffer_size(BUFFERED);
    match client.get_connection_info().redis_settings().protocol() {
        // The driver calls this for a push before it hands on any later reply.
        ProtocolVersion::RESP3 => {
            config = config.set_push_sender(move |push: PushInfo| {
                match (&push.kind, &near) {
                    (PushKind::Disconnection, _) => on_drop(),
                    (PushKind::Invalidate, Some(near)) => near.pushed(&push),
                    _ => {}
                }
                Ok::<_, redis::aio::SendError>(())
            });
        }
        _ if near.is_some() => {
            let text = "a near cache needs RESP3";
            return Err((ErrorKind::InvalidClientConfig, text).into());
        }
        _ => {}
    }
    client
        .get_multiplexed_async_connection_with_config(&config)
        .await
}

/// An address with the same settings of TLS.
#[cfg(any(feature = "cluster", feature = "sentinel"))]
pub(super) fn with_host(like: &ConnectionAddr, host: String, port: u16) -> ConnectionAddr {
    match like {
        ConnectionAddr::TcpTls {
            insecure,
            tls_params,
            ..
        } => ConnectionAddr::TcpTls {
            host,
            port,
            insecure: *insecure,
            tls_params: tls_params.clone(),
        },
        _ => ConnectionAddr::Tcp(host, port),
    }
}
