//! Real servers as child processes: one by itself, a cluster, and one watched by sentinels.
//!
//! Everything here blocks; an async test calls it from `spawn_blocking`, or simply waits. A server listens on
//! loopback only, keeps its files in a fresh directory, and ends with the value that stands for it.
//!
//! - [`Engine`]: which server, and where its binary lies.
//! - [`RedisServer`], [`Builder`]: one server.
//! - [`RedisCluster`], [`RedisSentinel`]: several, which fail over.
//! - [`plain_redis`]: the server that the user named, or one of ours.
//! - [`Reply`]: what a server answers to the tests themselves.
//! - [`wait_until`]: the only way in which anything here waits.

mod builder;
mod child;
mod cluster;
mod dir;
mod engine;
mod plain;
mod port;
mod replication;
mod resp;
mod sentinel;
mod server;
mod tls;
mod wait;

pub use builder::Builder;
pub use cluster::RedisCluster;
pub use engine::Engine;
pub use plain::{Plain, plain_redis};
pub use resp::Reply;
pub use sentinel::RedisSentinel;
pub use server::RedisServer;
pub use tls::TlsFiles;
pub use wait::wait_until;

pub(crate) use port::Port;
