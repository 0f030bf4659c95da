//! Where connections come from.

use std::fmt;
use std::num::NonZero;
use std::sync::Arc;
use std::time::Duration;

use redis::{Client, ProtocolVersion, RedisError, RedisResult};
use session_core::ConfigError;

#[cfg(feature = "cluster")]
use super::cluster::Cluster;
use super::connection::{Connection, Hooks, NewConnection, connect_single};
use super::near::Question;
#[cfg(feature = "sentinel")]
use super::sentinel::Sentinel;
use crate::config::{
    ApplicationConnection, ConnectionSettings, Credentials, Servers, Source, SourceKind,
    install_provider_for, tuned,
};

/// What makes connections to the servers of a store.
pub(crate) enum Connector {
    Client(Box<Client>),
    Application(Arc<dyn ApplicationConnection>),
    #[cfg(feature = "cluster")]
    Cluster(Arc<Cluster>),
    #[cfg(feature = "sentinel")]
    Sentinel(Arc<Sentinel>),
}

impl Connector {
    /// Sends nothing yet.
    pub(crate) fn new(source: &Source, settings: &ConnectionSettings) -> Result<Self, ConfigError> {
        let ConnectionSettings {
            credentials,
            certificates,
            ..
        } = settings;
        match &source.0 {
            SourceKind::Url(url) => {
                let servers = Servers::of_url(url)?;
                #[cfg(feature = "tls")]
                certificates.check()?;
                let servers = servers.with_credentials(settings)?;
                Self::to(servers, settings).map_err(|error| contradiction(&error.to_string()))
            }
            _ if !credentials.is_empty() || !certificates.is_empty() => Err(ConfigError::new(
                "username, password, database and certificates go with a URL; a client brings its \
                 own",
            )),
            SourceKind::Client(client) => {
                let info = client.get_connection_info().clone();
                Credentials::check(&info)?;
                install_provider_for(&info);
                let client = Client::open(tuned(info)).map_err(|error| of_client(&error))?;
                Ok(Self::Client(Box::new(client)))
            }
            SourceKind::Connection(connection) => Ok(Self::Application(Arc::clone(connection))),
            #[cfg(feature = "cluster")]
            SourceKind::Cluster(client) => {
                crate::config::install_provider();
                let client = client.as_ref().map_err(of_client)?;
                Ok(Self::Cluster(Arc::new(Cluster::of_client(
                    (**client).clone(),
                ))))
            }
        }
    }

    fn to(servers: Servers, settings: &ConnectionSettings) -> RedisResult<Self> {
        let certificates = &settings.certificates;
        match servers {
            Servers::One(info) => Ok(Self::Client(Box::new(certificates.client(info)?))),
            #[cfg(feature = "cluster")]
            Servers::Cluster(nodes) => {
                let cluster = Cluster::new(nodes, settings.timing, certificates)?;
                Ok(Self::Cluster(Arc::new(cluster)))
            }
            #[cfg(feature = "sentinel")]
            Servers::Sentinel {
                sentinels,
                name,
                server,
            } => {
                let sentinels = sentinels.into_iter().map(|info| certificates.client(info));
                Ok(Self::Sentinel(Arc::new(Sentinel {
                    sentinels: sentinels.collect::<RedisResult<_>>()?,
                    name,
                    server: certificates.client(server)?.get_connection_info().clone(),
                })))
            }
        }
    }

    /// An application's own connection may lead to a Cluster.
    pub(super) fn leads_to_one_server(&self) -> bool {
        match self {
            Self::Client(_) => true,
            Self::Application(_) => false,
            #[cfg(feature = "cluster")]
            Self::Cluster(_) => false,
            #[cfg(feature = "sentinel")]
            Self::Sentinel(_) => true,
        }
    }

    pub(crate) fn is_behind_sentinel(&self) -> bool {
        match self {
            #[cfg(feature = "sentinel")]
            Self::Sentinel(_) => true,
            _ => false,
        }
    }

    /// How many connections there are, if the application wants `set`.
    pub(crate) fn connections(&self, set: Option<usize>) -> Result<usize, ConfigError> {
        match self {
            Self::Application(_) if set.is_some_and(|set| set > 1) => Err(ConfigError::new(
                "connections(n) goes with a URL or a client; an application's connection is one",
            )),
            Self::Application(_) => Ok(1),
            // The nodes share the work already.
            #[cfg(feature = "cluster")]
            Self::Cluster(_) => Ok(set.unwrap_or(1)),
            _ => Ok(set.unwrap_or_else(|| connections_for(available_parallelism()))),
        }
    }

    /// How a server is asked whether it is what it was.
    pub(super) fn question(&self) -> Question {
        match self.is_behind_sentinel() {
            true => Question::Role,
            false => Question::Ping,
        }
    }

    /// Whether the cache in front of the store can be told of changes.
    pub(crate) fn check_near_cache(&self) -> Result<(), ConfigError> {
        let protocol = match self {
            Self::Client(client) => client.get_connection_info().redis_settings().protocol(),
            Self::Application(_) => {
                return Err(ConfigError::new(
                    "a near cache needs connections of the store's own; give it a URL or a client",
                ));
            }
            #[cfg(feature = "cluster")]
            Self::Cluster(cluster) => cluster.protocol().ok_or_else(|| {
                ConfigError::new(
                    "a near cache needs to connect to each node of a Cluster; give it a \
                     redis-cluster:// URL instead of a client",
                )
            })?,
            #[cfg(feature = "sentinel")]
            Self::Sentinel(sentinel) => sentinel.server.redis_settings().protocol(),
        };
        match protocol {
            ProtocolVersion::RESP3 => Ok(()),
            _ => Err(ConfigError::new(
                "a near cache needs RESP3, by which the server tells of changes; remove \
                 protocol=resp2 from the URL",
            )),
        }
    }

    /// A new connection, with what the driver calls while it is in use.
    pub(super) async fn connect(
        &self,
        limit: Duration,
        hooks: Hooks,
    ) -> RedisResult<NewConnection> {
        match self {
            Self::Client(client) => {
                let connection = connect_single(client, limit, Question::Ping, hooks).await?;
                Ok(connection.into())
            }
            Self::Application(connection) => {
                Ok(Connection::Application(Arc::clone(connection)).into())
            }
            #[cfg(feature = "cluster")]
            Self::Cluster(cluster) => Ok(Connection::Cluster(cluster.connect().await?).into()),
            #[cfg(feature = "sentinel")]
            Self::Sentinel(sentinel) => sentinel.connect(limit, hooks).await,
        }
    }

    /// How long an attempt to connect may take, if one server may take `limit`. Several servers
    /// come one after the other.
    pub(super) fn limit(&self, limit: Duration) -> Duration {
        match self {
            Self::Client(_) | Self::Application(_) => limit,
            #[cfg(feature = "cluster")]
            Self::Cluster(_) => limit * 4,
            #[cfg(feature = "sentinel")]
            Self::Sentinel(_) => limit * 3,
        }
    }
}

fn available_parallelism() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

/// One task reads all answers of a connection. That is about a quarter of what a process does for a
/// read of a packed session, and more for one with fields. So one task keeps up with three CPUs or
/// so, and four with one server, which has one CPU for its commands.
fn connections_for(cpus: usize) -> usize {
    (cpus / 2).clamp(1, 4)
}

fn contradiction(text: &str) -> ConfigError {
    ConfigError::new(format!(
        "the settings for Redis contradict each other: {text}"
    ))
}

/// The driver's text names settings, and in front of ` - ` no secret.
fn of_client(error: &RedisError) -> ConfigError {
    contradiction(error.to_string().split(" - ").next().unwrap_or_default())
}

impl fmt::Display for Connector {
    /// The servers' addresses, and no password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client(client) => client.get_connection_info().addr().fmt(f),
            Self::Application(_) => f.write_str("the application's connection"),
            #[cfg(feature = "cluster")]
            Self::Cluster(cluster) => cluster.fmt(f),
            #[cfg(feature = "sentinel")]
            Self::Sentinel(sentinel) => sentinel.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_more_connections_where_there_are_more_cpus() {
        let counts = [1, 2, 3, 4, 6, 8, 64].map(connections_for);
        assert_eq!(counts, [1, 1, 1, 2, 3, 4, 4]);
    }
}
