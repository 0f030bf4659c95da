//! How the cache in front of a store learns of changes that others make: Redis' client tracking.
//!
//! [`told`] knows whether all changes are told at the moment, and is what the driver hands pushes
//! to. [`ask`] keeps a connection's lease: it asks three times in each lease whether the server is
//! there. [`cluster`] does both in a Cluster, and [`topology`] reads what its nodes say of it.
//!
//! # One server
//!
//! The connections that read are the ones that the server tells (`CLIENT TRACKING ON`, RESP3). It
//! remembers each key that a connection reads, also in a script, and when the key changes, expires
//! or is evicted it sends a push on that connection, behind the replies that it sent before. The
//! driver calls its hook for a push before it hands on any later reply. So a reply that the store
//! sees after a push is newer than it, and one that it saw before is invalidated by it.
//!
//! - **Tracking is on before a call uses the connection**; one that cannot track is no connection.
//! - **One connection that is lost ends the term** of all leases. The next term begins when all
//!   connections track. A lease lasts from the oldest of their last answered questions.
//! - **No `NOLOOP`**: with it the server says nothing of a key that it evicts, or finds expired,
//!   while it serves a command of this connection.
//! - **Behind Sentinel the question is `ROLE`** and not `PING`: a primary that was demoted answers,
//!   but not as primary.
//!
//! # A Cluster
//!
//! The driver's connections in a Cluster come and go unseen. So the store has one more connection
//! to each primary, on which the node tells of every change under the prefix (`BCAST`), whoever
//! reads. A change is then heard after or before the reply of another connection. Neither does
//! harm: a load that was under way when a change is told is not leased.
//!
//! The question to each primary is `CLUSTER INFO` and `CLUSTER NODES`. A lease is renewed only if
//! every primary answers, none that has slots is failing, and all see what was seen when the term
//! began: the same primaries, slots and current epoch. A replica is promoted only after a majority
//! of them has voted in a new epoch, so the vote is seen before the replica is written to. (A
//! `CLUSTER FAILOVER TAKEOVER` has no vote. It is seen when the nodes hear of it.)

mod ask;
#[cfg(feature = "cluster")]
mod cluster;
mod told;
#[cfg(feature = "cluster")]
mod topology;

pub(super) use self::ask::{Question, keep_asking};
#[cfg(feature = "cluster")]
pub(super) use self::cluster::{try_out, watch};
pub(crate) use self::told::Near;
