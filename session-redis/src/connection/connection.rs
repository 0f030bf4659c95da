//! A connection of the driver, whatever it leads to.

use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, Cmd, ProtocolVersion, PushInfo, PushKind, RedisResult, Value,
};

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

/// Connects to one server. The driver calls `on_drop` when it learns that the connection is dead.
pub(super) async fn connect_single(
    client: &Client,
    limit: Duration,
    on_drop: impl Fn() + Send + Sync + 'static,
) -> RedisResult<Connection> {
    let mut config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(limit))
        // Calls have deadlines of their own.
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
