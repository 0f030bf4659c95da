//! Real servers as child processes: one by itself, a cluster, one watched by sentinels, a replica
//! set.
//!
//! Everything here blocks; an async test calls it from `spawn_blocking`, or simply waits. A server
//! listens on loopback only, keeps its files in a fresh directory, and ends with the value that
//! stands for it.
//!
//! - [`Engine`]: which server, and where its binary lies.
//! - [`RedisServer`], [`Builder`]: one server. What it has in common with others is its [`Daemon`].
//! - [`RedisCluster`], [`RedisSentinel`]: several, which fail over.
//! - [`MongoServer`], [`MongoBuilder`]: one MongoDB server.
//! - [`MongoReplicaSet`]: three of them, which fail over.
//! - [`PostgresServer`]: one Postgres server.
//! - [`plain_redis`], [`plain_mongo`]: the server that the user named, or one of ours.
//! - [`Port`]: one that stays free for a server, whichever it is.
//! - [`Reply`]: what a server answers to the tests themselves.
//! - [`wait_until`]: the only way in which anything here waits.

mod binary;
mod builder;
mod child;
mod cluster;
mod daemon;
mod dir;
mod engine;
mod mongod;
mod mongod_builder;
mod mongod_command;
mod plain;
mod plain_mongo;
mod port;
mod postgres;
mod replica_set;
mod replication;
mod resp;
mod sentinel;
mod server;
mod tls;
mod wait;

pub use builder::Builder;
pub use cluster::{NODE_TIMEOUT, RedisCluster};
pub use daemon::Daemon;
pub use dir::TempDir;
pub use engine::Engine;
pub use mongod::{MongoServer, PATIENTLY};
pub use mongod_builder::MongoBuilder;
pub use plain::{Plain, plain_redis};
pub use plain_mongo::{PlainMongo, plain_mongo};
pub use port::Port;
pub use postgres::PostgresServer;
pub use replica_set::MongoReplicaSet;
pub use resp::Reply;
pub use sentinel::RedisSentinel;
pub use server::RedisServer;
pub use tls::TlsFiles;
pub use wait::wait_until;
