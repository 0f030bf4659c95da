//! What all sessions of a manager share, and every call of the store.
//!
//! [`StoreCalls`] is the only holder of the store. A [`Save`](save) plans with the state, writes
//! through it, and tries again on a conflict; [`Queues`] let the requests of one process that
//! conflict over a session go one after the other.
//!
//! - **Timeouts twice.** A store keeps its own and knows what its driver needs. The manager's is
//!   for stores that do not: for a call of one record it makes no timer if a store says that its
//!   own deadline is no later (`SessionStore::call_timeout`). No call that answers at once gets
//!   one.
//! - **Values are sealed between the manager and the store** (`sealing`), so caches and stores that
//!   move sessions keep what they are given, and need no keys. An opened record remembers what the
//!   store has of it (`SealedForm`): an update seals only what it changes, and what it leaves alone
//!   stays as it is, with its old key or without one. A renewal seals what is not of the newest
//!   key, because a sign-in moves the deadline by which plain values and old keys have to be gone.
//!   The limits are those of opened values: the store gets room for seals. Values of another scope
//!   are dropped and not opened, because such a record is refused later for its scope.
//! - **A damaged record is reported where it is read**, in `StoreCalls`, once for each call. So no
//!   caller has to remember it.
//! - **A revocation for reuse is an update to a mark.** The session was judged by a record that may
//!   be old, and a `delete` would end whatever is there by now. A sign-in that was faster has an
//!   epoch of its own and must stay. So the mark is written as metadata that replaces all, which
//!   states the epoch and the version that it meets. A conflict within the epoch is tried again.
//! - **The limit of sessions is kept by a common order**: the time of authentication, then the id.
//!   Each sign-in looks again after it is stored. So of many at once the last one sees them all,
//!   and all agree on which are too many. A sign-in takes a time after all that it has seen, so
//!   clocks that differ do not make the newest one the oldest.
//! - **The watcher that is polled asks the store for all watchers of a session.** There is no task,
//!   so the public face needs no runtime, and no leader, because a socket that waits for its client
//!   is not polled. The sleep or the call is part of the watch, and wakes all watchers.
//! - **The first look is at once.** A watcher is counted before it, so a deletion that sees no
//!   watcher happened before that look. Nothing falls between the two, and nobody takes a lock
//!   where nobody watches.

mod build;
mod builder;
mod call;
mod calls;
mod finishing;
mod manager;
mod queue;
mod rebase;
#[cfg(feature = "sealed-values")]
mod reseal;
mod retry;
mod reuse;
mod save;
#[cfg(feature = "sealed-values")]
mod sealing;
mod session_limit;
mod sweep;
#[cfg(feature = "sealed-values")]
mod value_sealing;
mod watches;
mod watching;

pub use builder::SessionManagerBuilder;
pub(crate) use calls::StoreCalls;
pub use manager::SessionManager;
pub(crate) use manager::Shared;
pub(crate) use queue::{Queues, Turn};
#[cfg(feature = "sealed-values")]
pub use reseal::Resealed;
pub(crate) use retry::{Retry, UnknownOnDrop};
#[cfg(feature = "sealed-values")]
pub(crate) use sealing::Sealing;
#[cfg(feature = "sealed-values")]
pub(crate) use value_sealing::PlainValues;
#[cfg(feature = "sealed-values")]
pub use value_sealing::ValueSealing;
pub(crate) use watches::Look;
