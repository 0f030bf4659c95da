//! Why there is no store.

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

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
    /// There is an index of the same name or on the same field, with other options.
    #[error(
        "the collection {collection} has another index on {field:?}; drop that one, or make the \
         store with `indexes(false)` if it does as well"
    )]
    #[non_exhaustive]
    OtherIndex {
        /// Database and collection.
        collection: String,
        /// The field that the index is on.
        field: &'static str,
    },
    /// The collection has a kind or a setting with which sessions would not work correctly.
    #[error("the collection {collection} cannot keep sessions: {reason}")]
    #[non_exhaustive]
    UnfitCollection {
        /// Database and collection.
        collection: String,
        /// Why, and what to do.
        reason: &'static str,
    },
    /// The server's clock is too far ahead of this machine's.
    ///
    /// The server removes expired sessions by its own clock, after waiting a minute. Its clock is
    /// ahead by more than that minute, so people would be signed out while they are active.
    #[error(
        "the clock of the MongoDB server is {ahead:.1?} ahead of this machine's, so it would \
         remove sessions before they end; synchronize the clocks of both, as by NTP"
    )]
    #[non_exhaustive]
    Clock {
        /// By how much, at least.
        ahead: Duration,
    },
    /// A near cache is not possible here.
    #[error("there can be no near cache: {reason}")]
    #[non_exhaustive]
    NearCache {
        /// Why, and what to do.
        reason: &'static str,
    },
    /// The server could not be reached, or refused an operation.
    #[error("cannot use MongoDB for sessions: {text}")]
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
    pub(crate) fn failed(error: &StoreError) -> Self {
        let text = error
            .source()
            .map_or_else(|| error.to_string(), ToString::to_string);
        Self::Failed {
            text,
            cause: Arc::new(error.clone()),
        }
    }
}
