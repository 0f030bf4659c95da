//! What all services of one layer share.

use std::sync::Arc;

use http::{HeaderMap, StatusCode};
use session_core::SessionManager;

use crate::transport::Transport;

/// What all services of one layer share.
pub(crate) struct Shared {
    pub(crate) manager: SessionManager,
    pub(crate) transport: Transport,
    pub(crate) commit_if: Policy,
}

pub(crate) type Policy = Arc<dyn Fn(StatusCode, &HeaderMap) -> bool + Send + Sync>;
