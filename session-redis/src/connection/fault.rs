//! What went wrong with a command, by what is known of its effect.
//!
//! That decides two things: whether the command may be sent again, and which error of the store it
//! becomes. [`Fault::of`] errs on the side of [`Fault::Lost`]: a write that was taken for refused
//! would be applied twice.

use std::sync::Arc;
use std::time::Duration;

use redis::{ErrorKind, RedisError};
use session_core::store::StoreError;

use super::connection::Topology;
use super::redacted::RedactedError;

/// Why a command has no answer of use.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// It was never sent.
    Unsent(Arc<Reason>),
    /// The server refused it and did nothing. It will be refused again.
    Refused(Arc<Reason>),
    /// The server refused it and did nothing. It may be accepted in a moment.
    RefusedForNow(Arc<Reason>),
    /// It may have been sent, and its effect is not known.
    Lost(Arc<Reason>),
    /// The server does not know the script of this hash, and did nothing.
    NoScript,
    /// Another node has to be asked, just this once. This one did nothing.
    #[cfg(feature = "cluster")]
    Ask { node: String, reason: Arc<Reason> },
    /// The key holds neither a session of the expected layout nor an index.
    WrongType,
}

/// The cause of a [`StoreError`]. It is fit for a log.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Reason {
    #[error("no connection to {servers} could be made within {after:.1?}: {last}")]
    NoConnection {
        servers: String,
        after: Duration,
        last: RedactedError,
    },
    #[error("no answer within {0:.1?}")]
    Silent(Duration),
    #[error("{0}")]
    Refused(RedactedError),
    #[error("the connection failed: {0}")]
    Broken(RedactedError),
    #[error("the answer is not of the expected form")]
    Strange,
    #[error("the task of a write ended early")]
    Stopped,
    #[error("all sessions of the principal were ended meanwhile")]
    Revoked,
}

impl Fault {
    /// What an error says about a command that was handed to a connection.
    ///
    /// While the driver looks for the nodes of a Cluster, it answers commands that are under way
    /// with the failure of its own search. So with many nodes only those errors count as refusals
    /// that nothing but a refused command has.
    pub(crate) fn of(error: &RedisError, topology: Topology) -> Self {
        let many_nodes = topology == Topology::ManyNodes;
        let text = RedactedError::of(error);
        let lost = |text| Self::Lost(Arc::new(Reason::Broken(text)));
        match error.kind() {
            ErrorKind::Server(_) | ErrorKind::Extension => {}
            ErrorKind::AuthenticationFailed
            | ErrorKind::InvalidClientConfig
            | ErrorKind::Client
            | ErrorKind::RESP3NotSupported
                if !many_nodes =>
            {
                return Self::Unsent(Arc::new(Reason::Broken(text)));
            }
            _ => return lost(text),
        }
        let refused = |text| Self::Refused(Arc::new(Reason::Refused(text)));
        let for_now = |text| Self::RefusedForNow(Arc::new(Reason::Refused(text)));
        match text.code() {
            "NOSCRIPT" => Self::NoScript,
            "WRONGTYPE" => Self::WrongType,
            #[cfg(feature = "cluster")]
            "ASK" if many_nodes && error.redirect_node().is_some() => Self::Ask {
                node: error
                    .redirect_node()
                    .map_or_else(String::new, |(node, _)| node.to_owned()),
                reason: Arc::new(Reason::Refused(text)),
            },
            "MOVED" | "ASK" if many_nodes => for_now(text),
            "TRYAGAIN" | "CLUSTERDOWN" | "READONLY" => for_now(text),
            "MOVED" | "ASK" | "OOM" | "MISCONF" | "NOREPLICAS" | "CROSSSLOT" => refused(text),
            "NOPERM" if !text.mentions("cluster") => refused(text),
            _ if many_nodes => lost(text),
            "LOADING" | "MASTERDOWN" | "BUSY" => for_now(text),
            _ => refused(text),
        }
    }

    /// An answer to a write that no server gives.
    pub(crate) fn strange() -> Self {
        Self::Lost(Arc::new(Reason::Strange))
    }

    /// The same with the reason of an earlier refusal, if the last attempt just was not answered
    /// in time: the refusal says more.
    pub(crate) fn or_earlier(self, refusal: Option<Arc<Reason>>) -> Self {
        match (self, refusal) {
            (Self::Lost(last), Some(refusal)) if matches!(*last, Reason::Silent(_)) => {
                Self::Lost(refusal)
            }
            (fault, _) => fault,
        }
    }

    /// Whether the same command may succeed in a moment.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::Unsent(_) | Self::Lost(_) | Self::RefusedForNow(_) => true,
            #[cfg(feature = "cluster")]
            Self::Ask { .. } => true,
            Self::Refused(_) | Self::NoScript | Self::WrongType => false,
        }
    }

    /// What the server said when it refused the command.
    fn refusal(&self) -> Option<&RedactedError> {
        match self {
            Self::Refused(reason) | Self::RefusedForNow(reason) => match &**reason {
                Reason::Refused(text) => Some(text),
                _ => None,
            },
            _ => None,
        }
    }

    /// Whether the server has no room for what was to be written.
    pub(crate) fn is_out_of_memory(&self) -> bool {
        self.refusal().is_some_and(|text| text.code() == "OOM")
    }

    /// Whether it will be the same again until somebody changes a setting.
    pub(crate) fn is_lasting(&self) -> bool {
        self.refusal().is_some_and(RedactedError::is_lasting)
    }

    /// The error of a read, or of a write that can be repeated: an effect that is not known does no
    /// harm.
    pub(crate) fn into_read_error(self) -> StoreError {
        match self {
            Self::Lost(reason) => StoreError::Unavailable(reason),
            other => other.into_write_error(),
        }
    }

    /// The error of a step that follows a write. The write stands, whatever the step did.
    pub(crate) fn into_confirmation_error(self) -> StoreError {
        match self.into_write_error() {
            StoreError::Unavailable(reason) => StoreError::OutcomeUnknown(reason),
            other => other,
        }
    }

    /// The error of a write.
    pub(crate) fn into_write_error(self) -> StoreError {
        match self {
            Self::Unsent(reason) | Self::Refused(reason) | Self::RefusedForNow(reason) => {
                StoreError::Unavailable(reason)
            }
            #[cfg(feature = "cluster")]
            Self::Ask { reason, .. } => StoreError::Unavailable(reason),
            Self::Lost(reason) => StoreError::OutcomeUnknown(reason),
            Self::NoScript => {
                StoreError::unavailable("the server forgets scripts as soon as it has them")
            }
            Self::WrongType => StoreError::corrupt("the key holds a value of another type"),
        }
    }
}
