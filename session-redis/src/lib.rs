//! Sessions in Redis or Valkey, shared by many servers.
//!
//! [`RedisStore`] is a [`SessionStore`](session_core::SessionStore) that keeps each session as a
//! hash: a field for each value, so that requests of one session which change different keys all
//! survive, and the metadata beside them; or, as [`Layout::Packed`], as one text. Each operation is
//! one command, or one script that checks and writes in the same step; the server expires what has
//! ended.
//!
//! ```no_run
//! # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use session_core::SessionManager;
//! use session_redis::RedisStore;
//!
//! let store = RedisStore::connect("redis://127.0.0.1/").await?; // or SessionLayer::new(store) of session-http
//! let manager = SessionManager::new(store);
//!
//! let session = manager.open(&[]).await?;
//! session.insert("visits", 1)?;
//! let told = manager.commit(&session).await?; // what to tell the client
//! # let _ = told;
//! # Ok(()) }
//! ```
//!
//! # Servers
//!
//! Redis 6.2 or later and Valkey: one server, over TCP, TLS or a Unix socket; a Cluster; behind
//! Sentinel. [`Source`] lists the URLs, and what else a store can be made from. Reads go to
//! primaries. The store needs a tokio runtime with time and I/O, as `#[tokio::main]` makes it.
//!
//! | feature | of `session-http` | what it brings |
//! |---|---|---|
//! | `cluster` | `redis-cluster` | `redis-cluster://` |
//! | `sentinel` | `redis-sentinel` | `redis-sentinel://` |
//! | `tls` | `redis-tls` | `rediss://`, by rustls. Where the application has chosen no provider of cryptography for it, this crate chooses ring. |
//!
//! # How a session lies there
//!
//! ```text
//! 127.0.0.1:6379> HGETALL session:dQ41IIZH_1MlJ-C0yf18-A
//! 1) ".cart"    2) "[{\"item\":\"tea\",\"count\":2}]"
//! 3) ".visits"  4) "3"
//! 5) "s"        6) "4 1795316260737 55 2"
//! 7) "h"        8) "0 1796525860737 7200000 196"
//! 9) "p"       10) "user:42"
//! 11) "m"      12) "\x01u\x0e5 ..."  (and m1, m2)
//! ```
//!
//! | field | content | written |
//! |---|---|---|
//! | `.` and a key | that value: JSON as it is; another codec behind a zero byte and the codec's tag | with its value |
//! | `s` | version, time last seen, size and number of the values | by every update |
//! | `h` | epoch, deadline, idle timeout, size without values | by creation and when metadata is replaced |
//! | `p` | the principal, where there is one | likewise |
//! | `w` | with which version its probation began (below), while it lasts | by creation with a principal, and when that changes |
//! | `m`, `m1`, `m2`, `m3` | all metadata, as [`Record::encode_metadata`](session_core::Record::encode_metadata) has it, in pieces of 64 bytes; what is longer than four of them lies in `m` | likewise |
//!
//! Times are milliseconds. The hash expires one minute after the session, since clocks differ;
//! until then updates and `list` go by the time they are told, and `load` hands back an expired
//! session as it was. The ids of a principal's sessions are a sorted set, `session:principal:` and
//! the principal, by their deadlines.
//!
//! A hash with few fields, none of them longer than 64 bytes, takes the server half the memory (its
//! settings `hash-max-listpack-entries` and `-value`). A session with three small values takes 330
//! bytes in Redis 7, one with eight values, of which two are longer, 1,270.
//!
//! Other programs may read, but should not write: what they add is not counted in `s`, and of two
//! writes at once the last one wins. A hash that they left under a session's name, with no field of
//! the metadata, is no session, and no session is created over it.
//!
//! ## As one text
//!
//! With [`Layout::Packed`] the same session is a string: a line, the principal, and the session as
//! [`Record::encode`](session_core::Record::encode) has it.
//!
//! ```text
//! 127.0.0.1:6379> GET session:dQ41IIZH_1MlJ-C0yf18-A
//! "0 4 1795316260737 0 1796525860737 7200000 7\nuser:42\x01u\x0e5 ..."
//! ```
//!
//! The line: with which version its probation began, or 0; version, time last seen, epoch,
//! deadline, idle timeout; and how many bytes the principal has, or nothing where there is none. An
//! update replaces the whole text, if it still has the version that was loaded.
//!
//! ## Marks
//!
//! A session that is deleted leaves a [mark](session_core::Ended::mark) under its key for one
//! minute, in the store's own layout and in the same step. The mark has no principal and no values,
//! and is in no index; it takes about 230 bytes. A session that expires leaves none.
//!
//! # Which layout
//!
//! | a session of eight values | [`Fields`](Layout::Fields) | [`Packed`](Layout::Packed) |
//! |---|---|---|
//! | memory in Redis 7, values as JSON / postcard | 1,272 / 1,200 bytes | 712 / 584 bytes |
//! | in Redis 8 | 1,240 / 1,168 | 704 / 576 |
//! | in Valkey 9 | 1,080 / 1,000 | 640 / 544 |
//! | on the wire, as JSON: load, update of one value | 766, about 320 bytes | 617, 759 bytes |
//! | requests that write the same session at once | merged by the server | one after the other: who comes second is handed the fresh session, and writes again |
//! | with `redis-cli`, from other languages | each value readable | the line |
//!
//! Packed is for many sessions that are read far more than written, and small. Fields are for those
//! that are looked at by other programs, that many requests write at once, or that are large: an
//! update sends what has changed and no more.
//!
//! **Moving.** A session is read in whichever layout it lies, and its next write moves it, in the
//! same step. A session of the other layout costs one command more to read; to move one to fields
//! costs one more to write. So a site changes its layout by setting it, server by server; meanwhile
//! all of them read and write all sessions, the laws hold between them, and the user needs the
//! commands of both layouts. Who cannot read the other one is a server with a version of this crate
//! from before there were two.
//!
//! # What an operation takes
//!
//! | operation | commands |
//! |---|---|
//! | load | `HGETALL`, packed `GET`; of the other layout a script besides |
//! | create, update, renewal, touch, without a new principal | one script each |
//! | delete | one script; with a principal `ZREM` beside it |
//! | create with a principal | four scripts: index, create, look at the index again, let it live |
//! | the same, where the principal has other sessions | besides `ZRANGE` of at most 16 old entries of the index; for each of them a script, and a load if it is not there; a script if one is missing |
//! | set or change a principal, or sign in again | five: the update is refused until the index is written; and for a former principal `ZADD` and two scripts |
//! | list | `ZRANGE` for each 500 entries, and a load for each; a script for each 500 if one is missing |
//! | delete one of a principal | one script, which looks whose it is; `ZREM` beside it if it was theirs; `ZSCORE` if it says no principal |
//! | delete all of a principal | `ZRANGE`, `ZADD` and a script for each 500 entries, and a script for each |
//!
//! Scripts are called by their hash (`EVALSHA`); a server that does not know one is sent it whole
//! (`EVAL`), once.
//!
//! # When a server fails
//!
//! Each operation ends within the [deadline](RedisStoreBuilder::deadline), 1.5 s, whatever it waits
//! for; `list` and `delete_all` have as much for each 500 sessions. A request that reads and writes
//! makes two operations.
//!
//! | what happens | what a request sees |
//! |---|---|
//! | The connection is closed. | It is made anew at once, by one task for all. A request waits for it; a read whose answer was lost is sent again; a write whose answer was lost is [`OutcomeUnknown`](session_core::StoreError::OutcomeUnknown) and never sent again, but for what only ends sessions: sent again it does no harm. Then `delete_one` says `false` and `delete_all` does not count what the first time has ended. |
//! | Something between drops the connection and tells nobody. | A connection without traffic is probed after 15 s (TCP keepalive), so one that is dead is replaced within 30 s, before a request meets it, and what drops idle connections sees that this one is used. A write on one that died a moment ago is `OutcomeUnknown`. |
//! | The server is down. | For the first second ([`connect_timeout`](RedisStoreBuilder::connect_timeout)) requests wait, then they fail at once as [`Unavailable`](session_core::StoreError::Unavailable), until it is back. |
//! | The server hangs. | Requests fail after the deadline. A connection on which nothing is heard for two thirds of it is given up, and then it is as if the server were down. |
//! | The script is unknown (restart, `SCRIPT FLUSH`). | Nothing: it is sent whole. |
//! | The server is out of memory. | Writes are `Unavailable` and nothing is written in part; one that writes activity too may pass. Reads go on. Sessions can be ended, one or all of a principal, which makes room. |
//! | The server turns into a replica. | Writes are `Unavailable`; the store connects anew, in case the address leads to the primary by then. |
//! | A Cluster's primary fails. | Its share of the sessions is unavailable until a replica is promoted, and each request to it takes its time to fail; the others stall for up to a second. By default (`cluster-require-full-coverage yes`) a Cluster refuses all of them while nobody serves that share. |
//! | A slot moves. | Nothing: `MOVED` and `ASK` are followed. |
//! | Sentinel promotes a replica. | As when the connection is closed; the store listens to all sentinels. |
//!
//! Measured under a constant load, two cores, Redis 7.0; the election of a new primary took the
//! servers most of it: a server killed and restarted after 0.3 s: no request failed but one write
//! of unknown outcome, the longest took 0.5 s. Cluster with a node timeout of 2 s, a primary
//! killed: all was well after 3.9 s, and no request took longer than 1.5 s. Sentinel with
//! `down-after-milliseconds 1000`: well after 2.4 s.
//!
//! What was acknowledged can be lost by the servers themselves: a server without persistence that
//! restarts has lost all; replication is asynchronous, so a promoted replica may lack the last
//! writes, and a former primary that does not know of it yet takes some that are thrown away:
//! logouts among them. (`SENTINEL FAILOVER` under load lost some hundred.) Settings that narrow
//! this: `appendonly yes`, `min-replicas-to-write 1` with a short `min-replicas-max-lag`.
//!
//! # Operating it
//!
//! - **`maxmemory-policy noeviction`**. Every key here expires, so all other policies take sessions
//!   away before their time, and worse, indexes: then `list` and `delete_all` miss sessions that
//!   live.
//! - **Memory**: sessions times the sizes above, and about 100 bytes in the index for each session
//!   with a principal.
//! - **Connections**: one for each store and process; one to each node of a Cluster; one more to
//!   each sentinel. All requests share it, so a record of a megabyte holds up others.
//! - **Log**: target `session::redis`. `cannot connect` (repeated every 10 s) and `connecting anew`
//!   say why; `session` has `the store failed` for requests, at most 60 a minute.
//! - **Alarms**: on these three; in Redis on `used_memory` near `maxmemory`, `evicted_keys` above
//!   0, `rejected_connections`, and the replicas' lag.
//!
//! # Principals, and interruptions
//!
//! A session and the index of its principal may lie on different nodes, so no step covers both. The
//! index is written before the session, and looked at again after it, so `delete_all` that runs
//! meanwhile misses nothing; until then the session lives for seconds only. A process that dies
//! half-way leaves a session that ends by itself, or an entry without a session. A session that
//! ends for want of activity leaves its entry too. Such entries are taken out when their sessions
//! were found missing twice, a minute apart, by `list` or by a sign-in: each sign-in looks at 16
//! old entries at most. So an index has few more entries than its principal has sessions. It is
//! read in pages of 500 entries, and other requests pass between them. What a fail-over of the
//! index's node loses is not written again until the user signs in again.
//!
//! # Permissions
//!
//! The user needs its prefix and these commands; those of the last line are called by scripts. As a
//! line of `users.acl`, broken here:
//!
//! ```text
//! user sessions on >password resetchannels ~session:* -@all
//!     +hgetall +evalsha +eval +zrange +zadd +zrem +zscore
//!     +exists +hmget +hset +hdel +hkeys +unlink +pexpire +pttl +zremrangebyscore
//! ```
//!
//! Packed sessions take `+get +getrange +set` instead of `+hgetall +hmget +hset +hdel +hkeys`; a
//! site that moves takes them all.
//!
//! A database other than 0 takes `+select`; a Cluster `+cluster|slots +ping +asking`; behind
//! Sentinel the server takes `+role`. The sentinels' own user, if they have one, takes
//! `&+switch-master +sentinel|get-master-addr-by-name +sentinel|master +subscribe`.

// On docs.rs what takes a feature says so.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod builder;
mod change;
#[cfg(feature = "cluster")]
mod cluster;
mod connector;
mod error;
mod fault;
mod layout;
mod link;
mod live;
mod principals;
mod probation;
mod said;
mod script;
#[cfg(feature = "sentinel")]
mod sentinel;
mod source;
mod store;
mod tls;

pub use builder::RedisStoreBuilder;
pub use error::ConnectError;
pub use layout::Layout;
pub use source::Source;
pub use store::RedisStore;
