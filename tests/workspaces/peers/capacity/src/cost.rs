//! What is measured of a store and its server.

use std::fmt::Debug;

/// The costs of all stores.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Costs {
    pub packed: Redis,
    pub fields: Redis,
    pub mongo: Mongo,
}

/// The costs of Redis with sessions in one layout.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Redis {
    /// The smallest size first.
    pub memory: &'static [RedisMemory],
    pub requests: Requests,
}

/// What `INFO` says of a server that holds so many sessions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RedisMemory {
    pub sessions: u64,
    /// Of sessions and of the indexes of principals.
    pub keys: u64,
    /// Of these, the keys with an expiry.
    pub expires: u64,
    /// `used_memory`.
    pub used: u64,
    /// `used_memory_dataset`: without tables and buffers.
    pub dataset: u64,
    /// `used_memory_rss`: what the process takes from the system.
    pub rss: u64,
}

/// The costs of MongoDB.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mongo {
    /// The smallest size first.
    pub space: &'static [MongoSpace],
    pub requests: Requests,
}

/// What `collStats` says of a collection that holds so many sessions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MongoSpace {
    pub sessions: u64,
    /// `size`: of all documents, not compressed.
    pub data: u64,
    /// `storageSize`: the file of the documents, compressed.
    pub storage: u64,
    /// `totalIndexSize`: the files of the indexes.
    pub indexes: u64,
    /// In the cache after the sessions were made: documents and indexes.
    pub cache_made: u64,
    /// In the cache of a server that was started again, and has read all of it.
    pub cache_read: u64,
}

/// The costs of each kind of request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Requests {
    /// Reads a session that this process does not hold.
    pub load: Request,
    /// Reads a session that the cache of this process holds, and the server says is unchanged.
    pub unchanged: Request,
    /// Loads a session and writes one value.
    pub write: Request,
    /// Has no session yet, stores all values, and signs in.
    pub sign_in: Request,
    /// Loads a session and destroys it.
    pub sign_out: Request,
}

/// What one request costs the server of the store.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Request {
    /// That clients send.
    pub commands: f64,
    /// Of the server's process, user and system, under load of many tasks.
    pub cpu_us: f64,
    /// That the server receives and sends, without headers of TCP and IP.
    pub bytes_in: f64,
    pub bytes_out: f64,
    /// That each replica has to be sent.
    pub replicated: f64,
}

impl Requests {
    /// In the order of the page, with their names there.
    pub fn each(&self) -> [(&'static str, Request); 5] {
        [
            ("read, session loaded", self.load),
            ("read, session unchanged", self.unchanged),
            ("write", self.write),
            ("sign-in", self.sign_in),
            ("sign-out", self.sign_out),
        ]
    }
}

impl Costs {
    /// The text of `costs.rs`.
    pub fn source(&self, how: &str) -> String {
        format!(
            "//! The figures of one run, written by\n//! `{how}`.\n\n\
             use crate::cost::{{Costs, Mongo, MongoSpace, Redis, RedisMemory, Request, Requests}};\
             \n\n/// What was measured.\npub const COSTS: Costs = {};\n",
            pretty(self)
        )
    }
}

/// As source: a slice is behind a reference.
fn pretty(value: &impl Debug) -> String {
    format!("{value:#?}")
        .replace("memory: [", "memory: &[")
        .replace("space: [", "space: &[")
}
