//! What went wrong with a command, by what is known of its effect.

use std::sync::Arc;
use std::time::Duration;

use redis::{ErrorKind, RedisError, ServerErrorKind};
use session_core::StoreError;

/// Why a command has no answer of use.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// It was never sent.
    Unsent(Arc<Reason>),
    /// The server refused it; nothing was done. It may be worth to try `again` in a moment.
    Refused { again: bool, reason: Arc<Reason> },
    /// It was sent, perhaps; what became of it is not known.
    Lost(Arc<Reason>),
    /// The server does not know the script of this hash; nothing was done.
    NoScript,
    /// Another node has to be asked, just this once; nothing was done.
    #[cfg(feature = "cluster")]
    Ask { node: String, reason: Arc<Reason> },
    /// The key holds something else than a session or an index.
    WrongType,
}

/// What lies beneath: the cause of the [`StoreError`], and so fit for a log.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Reason {
    #[error("no connection to {servers} could be made within {after:?}: {last}")]
    NoConnection {
        servers: String,
        after: Duration,
        last: String,
    },
    #[error("no answer within {0:?}")]
    Silent(Duration),
    #[error("{hint}")]
    Refused {
        hint: &'static str,
        #[source]
        error: RedisError,
    },
    #[error("the connection failed: {0}")]
    Broken(#[source] RedisError),
    #[error("the task of a write ended early")]
    Stopped,
}

impl Fault {
    /// What an error says about a command that was handed to a connection. A connection to many
    /// nodes answers commands that are under way with the failure of other ones, its own, when it
    /// looks for the nodes anew.
    pub(crate) fn of(error: RedisError, many_nodes: bool) -> Self {
        use ServerErrorKind as Kind;
        let refused = |again, hint, error| Self::Refused {
            again,
            reason: Arc::new(Reason::Refused { hint, error }),
        };
        match error.kind() {
            ErrorKind::Server(Kind::NoScript) => Self::NoScript,
            #[cfg(feature = "cluster")]
            ErrorKind::Server(Kind::Ask) if many_nodes && error.redirect_node().is_some() => Self::Ask {
                node: error
                    .redirect_node()
                    .map_or_else(String::new, |(node, _)| node.to_owned()),
                reason: Arc::new(Reason::Refused {
                    hint: "a slot of the Cluster is moving",
                    error,
                }),
            },
            ErrorKind::Server(Kind::Moved | Kind::Ask) if !many_nodes => refused(
                false,
                "the server is a node of a Cluster; connect with a redis-cluster:// URL",
                error,
            ),
            ErrorKind::Server(Kind::BusyLoading | Kind::MasterDown) if many_nodes => Self::lost(error),
            ErrorKind::Server(Kind::Moved | Kind::Ask | Kind::TryAgain | Kind::ClusterDown) => refused(
                true,
                "the Cluster has no primary for this session at the moment",
                error,
            ),
            ErrorKind::Server(Kind::BusyLoading | Kind::MasterDown) => {
                refused(true, "the server is not ready yet", error)
            }
            ErrorKind::Server(Kind::ReadOnly) => refused(
                true,
                "the server is a read-only replica; connect to the primary, or by way of Sentinel",
                error,
            ),
            ErrorKind::Server(Kind::NoPerm) => refused(
                false,
                "the user lacks a permission; session-redis documents the commands it needs",
                error,
            ),
            ErrorKind::Server(_) | ErrorKind::Extension => match error.code() {
                Some("WRONGTYPE") => Self::WrongType,
                // Redis before 7 wraps what a command in a script answered.
                _ if error.detail().is_some_and(|text| text.contains("WRONGTYPE")) => Self::WrongType,
                // Redis 7.0 answers so to a command in a script.
                _ if error
                    .detail()
                    .is_some_and(|text| text.contains("The user executing the script can't")) =>
                {
                    refused(
                        false,
                        "the user lacks a permission; session-redis documents the commands it needs",
                        error,
                    )
                }
                Some("OOM") => refused(false, "the server is out of memory; raise its maxmemory", error),
                Some("NOAUTH" | "WRONGPASS") => refused(
                    false,
                    "the server wants a username and password, or other ones",
                    error,
                ),
                _ => refused(false, "the server refused a command", error),
            },
            ErrorKind::AuthenticationFailed
            | ErrorKind::InvalidClientConfig
            | ErrorKind::Client
            | ErrorKind::RESP3NotSupported
                if !many_nodes =>
            {
                Self::Unsent(Arc::new(Reason::Broken(error)))
            }
            _ => Self::lost(error),
        }
    }

    fn lost(error: RedisError) -> Self {
        Self::Lost(Arc::new(Reason::Broken(error)))
    }

    /// What a reader or a deletion tells: nothing was written, or once more does no harm.
    pub(crate) fn of_read(self) -> StoreError {
        match self {
            Self::Lost(reason) => StoreError::Unavailable(reason),
            other => other.of_write(),
        }
    }

    /// What a step after a write tells: the write stands, and what comes of it is not known.
    pub(crate) fn of_confirmation(self) -> StoreError {
        match self.of_write() {
            StoreError::Unavailable(reason) => StoreError::OutcomeUnknown(reason),
            other => other,
        }
    }

    /// What a write tells.
    pub(crate) fn of_write(self) -> StoreError {
        match self {
            Self::Unsent(reason) | Self::Refused { reason, .. } => StoreError::Unavailable(reason),
            #[cfg(feature = "cluster")]
            Self::Ask { reason, .. } => StoreError::Unavailable(reason),
            Self::Lost(reason) => StoreError::OutcomeUnknown(reason),
            Self::NoScript => StoreError::unavailable("the server forgets scripts as soon as it has them"),
            Self::WrongType => StoreError::corrupt("the key holds a value of another type"),
        }
    }
}
