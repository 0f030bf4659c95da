//! The connections on which the primaries of a Cluster tell of changes.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::try_join_all;
use redis::aio::MultiplexedConnection;
use redis::{ConnectionAddr, ErrorKind, RedisError, RedisResult};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::told::Near;
use super::topology::{self, Address, Topology};
use crate::connection::cluster::Cluster;
use crate::connection::connection::{Hooks, connect_node, with_host};
use crate::connection::jitter::jitter;
use crate::connection::redacted::RedactedError;

/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(250);

/// Tells of all changes whenever the Cluster is well, until the task is aborted.
/// `number` is called for the number of each term.
pub(in crate::connection) async fn watch(
    cluster: Arc<Cluster>,
    near: Arc<Near>,
    limit: Duration,
    number: impl Fn() -> u64,
) {
    let mut logged = None;
    loop {
        let told = Told {
            near: &near,
            number: number(),
        };
        let Err(failure) = tell(&cluster, &told, limit).await;
        drop(told);
        let why = RedactedError::of(&failure);
        if logged.as_ref() != Some(&why) {
            tracing::info!(
                target: "session::redis", servers = %cluster, %why,
                "the near cache asks each time for now"
            );
            logged = Some(why);
        }
        sleep(jitter(PAUSE)).await;
    }
}

/// Connects to all primaries once, and returns what will be the same until somebody changes a
/// setting.
pub(in crate::connection) async fn try_out(
    cluster: &Cluster,
    near: &Arc<Near>,
    limit: Duration,
) -> Result<(), RedactedError> {
    match Primaries::connect(cluster, near, limit).await {
        Err(error) => Some(RedactedError::of(&error))
            .filter(RedactedError::is_lasting)
            .map_or(Ok(()), Err),
        Ok(_) => Ok(()),
    }
}

/// A term of leases, which ends with this.
struct Told<'a> {
    near: &'a Arc<Near>,
    number: u64,
}

impl Drop for Told<'_> {
    fn drop(&mut self) {
        self.near.lost(0, self.number);
    }
}

enum Never {}

/// Begins terms and renews them for as long as there are the same primaries.
async fn tell(cluster: &Cluster, told: &Told<'_>, limit: Duration) -> RedisResult<Never> {
    let Told { near, number } = *told;
    let primaries = Primaries::connect(cluster, near, limit).await?;
    // Nothing between two terms.
    let mut seen = None;
    loop {
        let (began, asked) = (Instant::now(), near.now());
        // An answer that comes later renews nothing.
        let answers = timeout(near.lease(), primaries.ask());
        match answers.await.map_err(|_| error("no answer"))?? {
            None => {
                near.lost(0, number);
                seen = None;
            }
            Some(topology) if !primaries.are_of(&topology) => {
                return Err(error("the Cluster has other primaries"));
            }
            Some(topology) if seen.as_ref() == Some(&topology) => {
                near.answered(0, number, asked);
            }
            // What was read before may have moved while nobody told of it.
            Some(topology) => {
                tracing::debug!(target: "session::redis", servers = %cluster, "leases begin");
                near.tracks(0, number);
                near.answered(0, number, asked);
                seen = Some(topology);
            }
        }
        let pause = match seen {
            Some(_) => near.lease() / 3,
            None => PAUSE.min(near.lease() / 3),
        };
        let closed = primaries.closed.notified();
        if timeout_at(began + pause, closed).await.is_ok() {
            return Err(error("a connection was closed"));
        }
    }
}

/// All primaries of a Cluster, those without slots too.
struct Primaries {
    connections: Vec<MultiplexedConnection>,
    /// As the node saw it that was asked for them.
    topology: Topology,
    /// One of the connections was closed.
    closed: Arc<Notify>,
}

impl Primaries {
    async fn connect(cluster: &Cluster, near: &Arc<Near>, limit: Duration) -> RedisResult<Self> {
        let (seed, topology, addresses) = any_node(cluster, limit).await?;
        let closed = Arc::new(Notify::new());
        let connect = |address: Address| {
            let hook = Arc::clone(&closed);
            let hooks = Hooks {
                on_drop: Box::new(move || hook.notify_one()),
                near: Some(Arc::clone(near)),
            };
            let host = match (&seed, address.name) {
                // Certificates are for names.
                (ConnectionAddr::TcpTls { .. }, Some(name)) => name,
                (ConnectionAddr::TcpTls { host, .. } | ConnectionAddr::Tcp(host, _), _)
                    if address.host.is_empty() =>
                {
                    host.clone()
                }
                _ => address.host,
            };
            let place = with_host(&seed, host, address.port);
            async move {
                let client = cluster.client_of(place)?;
                let connection = connect_node(&client, limit, hooks).await?;
                let mut track = redis::cmd("CLIENT");
                track.arg("TRACKING").arg("ON").arg("BCAST");
                track.arg("PREFIX").arg(near.prefix());
                let answer = connection.clone().send_packed_command(&track).await?;
                answer.extract_error()?;
                RedisResult::Ok(connection)
            }
        };
        let connections = timeout(limit * 2, try_join_all(addresses.into_iter().map(connect)));
        Ok(Self {
            connections: connections.await.map_err(|_| error("no answer"))??,
            topology,
            closed,
        })
    }

    fn are_of(&self, topology: &Topology) -> bool {
        self.topology.has_same_primaries(topology)
    }

    /// What all of them see; nothing if they do not agree, or one of them is failing.
    async fn ask(&self) -> RedisResult<Option<Topology>> {
        let answers = try_join_all(self.connections.iter().map(ask)).await?;
        let mut answers = answers
            .into_iter()
            .map(|answer| answer.map(|(topology, _)| topology));
        let first = answers.next().flatten();
        Ok(first.filter(|first| answers.all(|other| other.as_ref() == Some(first))))
    }
}

/// What a node sees; nothing if the Cluster is not well.
async fn ask(connection: &MultiplexedConnection) -> RedisResult<Option<(Topology, Vec<Address>)>> {
    let mut question = redis::Pipeline::with_capacity(2);
    question.cmd("CLUSTER").arg("INFO");
    question.cmd("CLUSTER").arg("NODES");
    let (info, nodes): (String, String) = question.query_async(&mut connection.clone()).await?;
    Ok(topology::read(&info, &nodes))
}

/// The first node that answers: where it is, and which primaries it sees.
async fn any_node(
    cluster: &Cluster,
    limit: Duration,
) -> RedisResult<(ConnectionAddr, Topology, Vec<Address>)> {
    let mut failure = error("no node to ask");
    for node in cluster.seeds() {
        let asked = async {
            let client = cluster.client_of(node.clone())?;
            let connection = connect_node(&client, limit, Hooks::default()).await?;
            ask(&connection).await
        };
        match timeout(limit, asked).await {
            Ok(Ok(Some((topology, addresses)))) => return Ok((node.clone(), topology, addresses)),
            Ok(Ok(None)) => failure = error("a primary of the Cluster is failing"),
            Ok(Err(error)) => failure = error,
            Err(_) => failure = error("no answer"),
        }
    }
    Err(failure)
}

fn error(text: &'static str) -> RedisError {
    RedisError::from((ErrorKind::Client, text))
}
