//! Redis Cluster.
//!
//! The driver's Cluster client is made without retries of its own. It cannot know which commands
//! are safe to send again; [`Link`](super::Link) does.

use std::fmt;

use redis::cluster::{ClusterClient, ClusterClientBuilder};
use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::{Route, RoutingInfo, SingleNodeRoutingInfo, SlotAddr};
use redis::{
    Client, Cmd, ConnectionAddr, ConnectionInfo, ErrorKind, ProtocolVersion, RedisError,
    RedisResult, Value,
};

use super::key::key_of;
use crate::config::{Certificates, Timing};

/// The nodes that are asked for all others.
pub(crate) struct Cluster {
    client: ClusterClient,
    /// Those that the application has named; none if it brings a client.
    nodes: Vec<ConnectionInfo>,
    certificates: Certificates,
}

impl Cluster {
    pub(super) fn new(
        nodes: Vec<ConnectionInfo>,
        timing: Timing,
        certificates: &Certificates,
    ) -> RedisResult<Self> {
        let tcp = nodes
            .first()
            .map(|node| node.tcp_settings().clone())
            .unwrap_or_default();
        let builder = ClusterClientBuilder::new(nodes.clone())
            .retries(0)
            // While the driver looks for the nodes, all calls wait. It tries a node that hangs
            // twice.
            .connection_timeout(timing.connect / 2)
            .response_timeout(timing.deadline / 3)
            .overall_response_timeout(None)
            .tcp_settings(tcp);
        let client = certificates.put_into(builder).build()?;
        Ok(Self {
            client,
            nodes,
            certificates: certificates.clone(),
        })
    }

    pub(super) fn of_client(client: ClusterClient) -> Self {
        Self {
            client,
            nodes: Vec::new(),
            certificates: Certificates::default(),
        }
    }

    pub(super) async fn connect(&self) -> RedisResult<ClusterConnection> {
        self.client.get_async_connection().await
    }

    /// The protocol that all nodes are spoken to in, if that is known.
    pub(super) fn protocol(&self) -> Option<ProtocolVersion> {
        Some(self.nodes.first()?.redis_settings().protocol())
    }

    /// Where those nodes are that are asked for all others.
    pub(super) fn seeds(&self) -> impl Iterator<Item = &ConnectionAddr> {
        self.nodes.iter().map(ConnectionInfo::addr)
    }

    /// A client of the node at this address.
    pub(super) fn client_of(&self, address: ConnectionAddr) -> RedisResult<Client> {
        let unknown = || RedisError::from((ErrorKind::InvalidClientConfig, "no node is known"));
        let like = self.nodes.first().ok_or_else(unknown)?;
        self.certificates.client(like.clone().set_addr(address))
    }
}

impl fmt::Display for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.nodes.is_empty() {
            return f.write_str("the application's Cluster client");
        }
        let names: Vec<_> = self.seeds().map(ToString::to_string).collect();
        f.write_str(&names.join(", "))
    }
}

/// Sends a command to the primary of its key. Reads go there too: a replica may not know yet that a
/// session was deleted.
pub(super) async fn send(connection: &ClusterConnection, command: &Cmd) -> RedisResult<Value> {
    let route = Route::with_key(key_of(command), SlotAddr::Master);
    let route = RoutingInfo::SingleNode(SingleNodeRoutingInfo::SpecificNode(route));
    connection
        .clone()
        .route_command(command.clone(), route)
        .await
}

/// Sends a command to the node that imports its slot, behind `ASKING`, which allows it. Both go on
/// one connection, one after the other.
pub(super) async fn send_asking(
    connection: &ClusterConnection,
    command: &Cmd,
    node: &str,
) -> RedisResult<Value> {
    let unknown = || RedisError::from((ErrorKind::Client, "a node without an address"));
    let (host, port) = node.rsplit_once(':').ok_or_else(unknown)?;
    let port = port.parse().map_err(|_| unknown())?;
    let route = SingleNodeRoutingInfo::ByAddress {
        host: host.into(),
        port,
    };
    let mut asking = redis::Pipeline::with_capacity(2);
    asking.cmd("ASKING").add_command(command.clone());
    let mut connection = connection.clone();
    let answers = connection.route_pipeline(asking, 0, 2, route).await?;
    answers.into_iter().next_back().ok_or_else(unknown)
}

/// Whether a command was not sent, since the driver has no connection to the node of this address.
/// It connects only to nodes that have slots. Other errors of this kind say nothing about commands
/// under way.
pub(super) fn is_unknown_node(error: &RedisError) -> bool {
    error.kind() == ErrorKind::ClusterConnectionNotFound
        && error.to_string().contains("Requested connection not found")
}
