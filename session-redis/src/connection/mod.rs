//! The connections that all calls of a store share, and what happens when one fails.
//!
//! The store has connections of its own instead of the driver's connection manager, which knows
//! nothing of a server that hangs, of Sentinel, or of a Cluster. The files, from the bottom up:
//! [`redacted`], [`cluster`] and [`connection`] speak to the driver; [`sentinel`] finds the
//! primary; [`connector`] makes a connection of any kind; [`fault`] says what is known of a command
//! that failed; [`key`] says where a command goes; [`near`] has the cache in front of the store
//! told of what others change; [`common`] is what all connections share; [`active`] watches one
//! connection; [`state`] and [`reconnect`] replace it; [`link`] sends commands.
//!
//! # Several connections
//!
//! There may be several connections to the same servers. A command takes the one that its key
//! names, for two reasons. Writes to one session reach the server in the order in which they were
//! sent, also those whose callers were cancelled. And nothing is locked to choose one. (Questions
//! that are asked together take the connection of the first.) The connections know nothing of
//! each other: each has its own state, below. Only the task that listens to the sentinels is one
//! for all. With a near cache one that is made has the others made too, since leases need all.
//!
//! Each call has a timer of its own, and so has each question that waits for others. It is 4 % of
//! the instructions that a process needs to learn that a record is unchanged, with 64 tasks (270 of
//! 6,800). A list of deadlines, which is locked twice for each call as well, would save half of
//! that at most.
//!
//! # Reconnecting
//!
//! ```text
//!                        a call needs a connection
//!          ┌─────────────────────────────────────────────────┐
//!          │                                                 ▼
//!    ┌─ Down ◄──────── the task's runtime ends ──────── Connecting ◄─┐
//!    │     ▲                                                 │       │
//!    │     │ the runtime of the connection ends              │       │ one server: it was
//!    │     │                                                 │       │ closed, is silent, or
//!    │     └───────────────────── Up ◄──── a task connects ──┘       │ is a replica
//!    │                           │  ▲ │                              │
//!    │              many nodes:  ▼  │ └──────────────────────────────┘
//!    │              it failed   Replacing ── the runtime of the connection ends ──► Connecting
//!    └── the store is dropped: every state becomes Down
//! ```
//!
//! 1. Whoever finds that the connection is of no use takes it away and begins **one task** that
//!    makes another: a call that got an error or gave up, the driver's hook, a sentinel, or the end
//!    of the runtime that served it. What they found concerns the connection of one **number**; if
//!    another one is in its place by now, nothing happens.
//! 2. Calls wait for the task, within their own deadline and for `connect_timeout` from the
//!    beginning of the outage. After that they fail at once, until there is a connection.
//! 3. The task pauses, connects, and pauses again after a failure. What was reported of a
//!    connection while it was being made counts too: one that was closed, or that leads to a former
//!    primary, is not handed to calls.
//! 4. A task that makes no progress for longer than any attempt takes is in a runtime that nobody
//!    drives. The next call begins another one. The number in the state tells the old task that it
//!    has been superseded.
//!
//! A connection to many nodes stays in use until there is another one, since most of its nodes may
//! be well, and it is not replaced more than once in a second.
//!
//! A call that gives up looks whether the connection **hangs**: whether nothing was heard on it for
//! two thirds of the deadline of the store. The times of impatient calls are added up. With many
//! nodes it is only known how long these calls waited.
//!
//! # What is sent again
//!
//! [`Link::call`] decides that, and nothing else in this crate or in the driver sends a command
//! again.
//!
//! - A command that was refused did nothing. If the refusal may pass (`TRYAGAIN`, `LOADING`, ..) it
//!   is sent again.
//! - A command whose answer was lost is sent again only if it is idempotent. A write is
//!   [`OutcomeUnknown`](session_core::store::StoreError::OutcomeUnknown).
//! - A script that the server does not know is sent again with its code.
//!
//! On a connection to one server, a read gives up once nothing was heard for two thirds of the
//! deadline. The connection is replaced at that moment, so the read is not sent again into the same
//! silence.
//!
//! # What holds what
//!
//! The calls of a store hold a [`Link`]. The task that connects, the driver's hooks and the task
//! that listens to the sentinels hold what the link shares with them. When the link is dropped, it
//! takes the connection out of the state, which ends the hooks, and stops the tasks.

mod active;
#[cfg(feature = "cluster")]
mod cluster;
mod common;
mod connection;
mod connector;
mod fault;
mod jitter;
mod key;
mod link;
mod meters;
mod near;
mod reconnect;
mod redacted;
#[cfg(feature = "sentinel")]
mod sentinel;
mod state;
#[cfg(any(feature = "cluster", feature = "sentinel"))]
mod task;

pub(crate) use self::connector::Connector;
pub(crate) use self::fault::{Fault, Reason};
pub(crate) use self::link::{Idempotency, Link};
