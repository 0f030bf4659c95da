//! What all sessions of a manager share, and every call of the store.
//!
//! [`StoreCalls`] is the only holder of the store. A [`Save`](save) plans with the state, writes
//! through it, and tries again on a conflict; [`Queues`] let the requests of one process that
//! conflict over a session go one after the other.

mod builder;
mod calls;
mod finishing;
mod manager;
mod queue;
mod rebase;
mod retry;
mod reuse;
mod save;
mod session_limit;

pub use builder::ManagerBuilder;
pub(crate) use calls::StoreCalls;
pub use manager::SessionManager;
pub(crate) use manager::Shared;
pub(crate) use queue::{Queues, Turn};
pub(crate) use retry::{Retry, UnknownOnDrop};
