//! A server that nodes share, and that tells them what has changed, over a network that a test has
//! in its hands.
//!
//! - [`Server`]: a store, who reads what of it, and what it held at each moment.
//! - [`Wire`]: a connection, on which requests and messages keep their order, and which can fall
//!   silent in either direction.
//! - [`Link`]: the store of a node, which sends its calls over the present connection.
//! - [`Node`]: a cache over a link, and the task that keeps a connection.

mod link;
mod node;
mod server;
mod wire;

pub use link::Link;
pub use node::{Node, Settings};
pub use server::{Content, Server};
pub use wire::{Direction, Wire};
