//! What went wrong with a command, by what is known of its effect.

use std::sync::Arc;
use std::time::Duration;

use redis::{ErrorKind, RedisError};
use session_core::StoreError;

use crate::said::Said;

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
    #[error("no connection to {servers} could be made within {after:.1?}: {last}")]
    NoConnection {
        servers: String,
        after: Duration,
        last: Said,
    },
    #[error("no answer within {0:.1?}")]
    Silent(Duration),
    #[error("{0}")]
    Refused(Said),
    #[error("the connection failed: {0}")]
    Broken(Said),
    #[error("the answer is not of the expected form")]
    Strange,
    #[error("the task of a write ended early")]
    Stopped,
    #[error("all sessions of the principal were ended meanwhile")]
    Revoked,
}

impl Fault {
    /// What an error says about a command that was handed to a connection. A connection to many
    /// nodes answers commands that are under way with the failure of other ones, its own, when it
    /// looks for the nodes anew: there only what nothing else is refused with counts as a refusal.
    pub(crate) fn of(error: &RedisError, many_nodes: bool) -> Self {
        let said = Said::of(error);
        let refused = |again, said| Self::Refused {
            again,
            reason: Arc::new(Reason::Refused(said)),
        };
        let lost = |said| Self::Lost(Arc::new(Reason::Broken(said)));
        match error.kind() {
            ErrorKind::Server(_) | ErrorKind::Extension => {}
            ErrorKind::AuthenticationFailed
            | ErrorKind::InvalidClientConfig
            | ErrorKind::Client
            | ErrorKind::RESP3NotSupported
                if !many_nodes =>
            {
                return Self::Unsent(Arc::new(Reason::Broken(said)));
            }
            _ => return lost(said),
        }
        match said.code() {
            "NOSCRIPT" => Self::NoScript,
            "WRONGTYPE" => Self::WrongType,
            #[cfg(feature = "cluster")]
            "ASK" if many_nodes && error.redirect_node().is_some() => Self::Ask {
                node: error
                    .redirect_node()
                    .map_or_else(String::new, |(node, _)| node.to_owned()),
                reason: Arc::new(Reason::Refused(said)),
            },
            "MOVED" | "ASK" => refused(many_nodes, said),
            "TRYAGAIN" | "CLUSTERDOWN" | "READONLY" => refused(true, said),
            "OOM" | "MISCONF" | "NOREPLICAS" | "CROSSSLOT" => refused(false, said),
            "NOPERM" if !said.is_about("cluster") => refused(false, said),
            _ if many_nodes => lost(said),
            "LOADING" | "MASTERDOWN" | "BUSY" => refused(true, said),
            _ => refused(false, said),
        }
    }

    /// The same with the reason of an earlier refusal, where the last attempt was only not answered
    /// in time: that tells more.
    pub(crate) fn for_which(self, refusal: Option<Arc<Reason>>) -> Self {
        match (self, refusal) {
            (Self::Lost(last), Some(refusal)) if matches!(*last, Reason::Silent(_)) => {
                Self::Lost(refusal)
            }
            (fault, _) => fault,
        }
    }

    /// Whether it may be another time.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::Unsent(_) | Self::Lost(_) => true,
            Self::Refused { again, .. } => *again,
            #[cfg(feature = "cluster")]
            Self::Ask { .. } => true,
            Self::NoScript | Self::WrongType => false,
        }
    }

    /// Whether the server has no room for what was to be written.
    pub(crate) fn is_out_of_memory(&self) -> bool {
        match self {
            Self::Refused { reason, .. } => {
                matches!(&**reason, Reason::Refused(said) if said.code() == "OOM")
            }
            _ => false,
        }
    }

    /// Whether it will be the same again until somebody changes a setting.
    pub(crate) fn is_lasting(&self) -> bool {
        match self {
            Self::Refused { reason, .. } => {
                matches!(&**reason, Reason::Refused(said) if said.is_lasting())
            }
            _ => false,
        }
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
            Self::NoScript => {
                StoreError::unavailable("the server forgets scripts as soon as it has them")
            }
            Self::WrongType => StoreError::corrupt("the key holds a value of another type"),
        }
    }
}
