//! Why there is no store.

use std::sync::Arc;

use session_core::ConfigError;
use session_core::store::{Cause, StoreError};

/// Why a store could not be connected.
///
/// The cause is kept as [`source`](std::error::Error::source). No text here contains a password.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// A setting is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The server could not be reached, or refused a command.
    #[error("cannot use Redis for sessions: {text}")]
    #[non_exhaustive]
    Failed {
        /// What happened, and what to do.
        text: String,
        /// The underlying error.
        #[source]
        cause: Cause,
    },
}

impl ConnectError {
    pub(crate) fn failed(error: StoreError) -> Self {
        let cause = match error {
            StoreError::Unavailable(reason) | StoreError::OutcomeUnknown(reason) => reason,
            other => Arc::new(other),
        };
        Self::Failed {
            text: cause.to_string(),
            cause,
        }
    }
}
