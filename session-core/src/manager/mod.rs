//! What all sessions of a manager share, and every call of the store.

mod builder;
mod in_time;
mod loading;
mod manager;
mod queue;
mod retry;
mod reuse;
mod session_limit;
mod write;

pub use builder::ManagerBuilder;
pub(crate) use in_time::{DeadlinePassed, InTime};
pub use manager::SessionManager;
pub(crate) use manager::Shared;
pub(crate) use queue::{Queues, Turn};
pub(crate) use retry::{Retry, UnknownOnDrop};
