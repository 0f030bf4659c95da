//! Sessions in MongoDB, shared by many servers.
//!
//! [`MongoStore`] is a [`SessionStore`](session_core::SessionStore) that keeps each session as a
//! document: a field for each value, so that requests of one session which change different keys
//! all survive, and the metadata beside them. Each operation is one command as a rule; the server
//! removes what has ended.
//!
//! ```no_run
//! # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use session_core::SessionManager;
//! use session_mongo::MongoStore;
//!
//! let store = MongoStore::connect("mongodb://127.0.0.1/shop").await?; // or SessionLayer::new(store) of session-http
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
//! MongoDB 4.4 or later, alone or as a replica set, from a URI or from a client, database or
//! collection that the application has ([`Source`]). The feature `dns` brings `mongodb+srv://`.
//!
//! The store needs a tokio runtime with time and I/O, as `#[tokio::main]` makes it.
//!
//! A sharded collection has not been tried here. By its reasoning it works once it is sharded by
//! hand with the shard key `_id`, hashed: all operations on one session name its `_id`, so each
//! goes to one shard; none needs a transaction; the indexes are not unique. `list` and `delete_all`
//! ask every shard, and a session that the balancer is just moving may escape them: ask twice, or
//! keep the balancer from this collection.
//!
//! # How a session lies there
//!
//! ```text
//! > db.sessions.findOne()
//! {
//!   _id: 'vLLnKZxgbofL0Nw-wIbi-w',
//!   v: Long('3'),
//!   size: Long('231'),
//!   keys: Long('2'),
//!   seen: ISODate('2026-11-22T04:32:58.811Z'),
//!   ends: ISODate('2026-11-22T06:32:58.811Z'),
//!   expires: ISODate('2026-11-22T06:33:58.811Z'),
//!   epoch: Long('0'),
//!   created: ISODate('2026-11-22T04:32:58.811Z'),
//!   deadline: ISODate('2026-12-06T04:32:58.811Z'),
//!   idle: Long('7200000'),
//!   meta: Binary.createFromBase64('Abyy5ymcYG6H...', 0),
//!   principal: 'user:42',
//!   data: { visits: '3', cart: '[{"item":"tea","count":2}]' }
//! }
//! ```
//!
//! | field | content | written |
//! |---|---|---|
//! | `data` | the values: JSON as text, another codec as Binary, behind the codec's tag | each with its value |
//! | `v` | version | by every update |
//! | `size`, `keys` | what limits are about, or more: merges count what they overwrite as if it were new, until somebody counts anew | with values, and by updates of a version |
//! | `seen`, `ends` | time last seen; when the session ends | with activity, at most once per touch interval |
//! | `expires` | when the server may remove it: a minute after `ends`, since clocks differ | likewise |
//! | `epoch`, `deadline`, `idle`, `created`, `principal` | as in the metadata, for the server to decide by and for people to read | by creation and when metadata is replaced |
//! | `meta` | all metadata, as [`Record::encode_metadata`](session_core::Record::encode_metadata) has it | likewise |
//!
//! People may read it all. Who changes one of the metadata's fields by hand makes the session
//! unreadable; `list` names it as such.
//!
//! When a session is ended, a mark takes the place of its document for a minute, so that a request
//! which was under way is known to be late. It has about 100 bytes, and nothing of the session but
//! its id; then the server removes it.
//!
//! ```text
//! {
//!   _id: 'vLLnKZxgbofL0Nw-wIbi-w',
//!   ended: 'revoked',                         // or 'destroyed', 'exchanged', 'too many', 'reused'
//!   at: ISODate('2026-11-22T05:00:00.000Z'),
//!   ends: ISODate('2026-11-22T05:01:00.000Z'),
//!   expires: ISODate('2026-11-22T05:01:00.000Z')
//! }
//! ```
//!
//! Any key name works: `%`, `.`, NUL, a leading `$` and the empty name are written as `%25`, `%2E`,
//! `%00`, `%24` and `%`.
//!
//! # What an operation takes
//!
//! | operation | command |
//! |---|---|
//! | load | `find` by `_id` |
//! | create | `insert`; over an id that has ended and is not removed yet `delete` and `insert` again |
//! | update | `update` by `_id`, of the version that was loaded; never an upsert |
//! | of one that may merge, where somebody else has written meanwhile | and a `findAndModify` by `_id`; never an upsert |
//! | an update that matched nothing | and a `find`, which tells whether the session has gone, is of another version, or may be too large; then, if it may be written all the same, `update` |
//! | delete | `update` by `_id`, which puts the mark there; never an upsert |
//! | list | `find` by principal |
//! | delete one of a principal | `update` by `_id` and principal, likewise |
//! | delete all of a principal | `update` by principal, likewise |
//! | delete what has expired | `delete` by expiry |
//!
//! Where a validator refuses the mark, `delete` follows: a session ends all the same.
//!
//! A merge that adds more than half of what the session may hold takes the last way, since what it
//! overwrites is counted as if it were new.
//!
//! Two indexes are made by [`connect`](MongoStoreBuilder::connect), idempotently: `session_expires`
//! on `expires`, by which the server removes what has ended, and `session_principal` on
//! `principal`, where there is one. Updates look at `_id` and at fields that have no index, so they
//! keep the fast path. A session that has ended and is not yet removed is gone all the same: only
//! `load` still hands it back as it was, so that its expiry can be told. `session_expires` removes
//! marks too, when their minute is over and the server looks, once a minute.
//!
//! # When a server fails
//!
//! Each operation ends within the [deadline](MongoStoreBuilder::deadline), 1.5 s. Afterwards, and
//! where its caller goes away, it goes on in a task of its own, for four deadlines at most: to drop
//! a future of the driver would cost a connection.
//!
//! | what happens | what a request sees |
//! |---|---|
//! | A secondary fails. | Nothing. |
//! | The primary steps down. | It waits for the next one, within the deadline. |
//! | The primary is killed, or hangs. | Until there is another, requests fail as [`Unavailable`](session_core::StoreError::Unavailable), or as [`OutcomeUnknown`](session_core::StoreError::OutcomeUnknown) where a write was under way. |
//! | No majority is left. | Writes are `OutcomeUnknown`: a node may have them. Reads go on while there is a primary. |
//! | All are down. | `Unavailable`, after four fifths of the deadline. |
//!
//! Measured under a constant load, two cores, MongoDB 6.0, three nodes with an election timeout of
//! 2 s: a step-down failed no request, the longest took 1.1 s; after `kill -9` of the primary all
//! was well in 3.1 s, after it hung in 2.7 to 6.1 s. No request took longer than 1.5 s while a
//! primary was lost. No acknowledged write was lost.
//!
//! The driver sends a write again whose answer was lost where the server knows it by number (a
//! replica set): twice is then the same as once. Elsewhere, and where that fails too, it is
//! `OutcomeUnknown` and nobody sends it again. So is most of what a replica set refuses: the driver
//! tells of the second answer only, and the first may have been lost.
//!
//! Writes wait for a majority, for four fifths of the deadline, so what was acknowledged survives
//! the loss of the primary; a write of activity alone waits for one node, since its loss does no
//! harm. Both can be set.
//!
//! A primary that is cut off from the others answers reads until it notices, 10 s by default:
//! servers on its side may accept a session for as long whose end a majority has seen. Read
//! preferences other than the primary make that the rule: right after a sign-in the session may not
//! be found there, and after a logout it may be. The store sets the read preference and the read
//! concern (`local`) itself, whatever the URI or the collection says.
//!
//! A client of the application keeps its own settings. Let its `server_selection_timeout` be
//! shorter than the deadline, and `heartbeat_freq` and `connect_timeout` about 1 s:
//! with the driver's defaults operations that nobody waits for any more go on for four deadlines,
//! and some are carried out then.
//!
//! A client belongs to the tokio runtime in which it was made. A store works from other runtimes
//! while that one runs, and when it has ended its calls fail at once.
//!
//! # What `connect` looks at
//!
//! [`connect`](MongoStoreBuilder::connect) refuses what sessions would go wrong with, and says why:
//!
//! | what | why |
//! |---|---|
//! | A collection with a collation. | Texts that differ would count as equal, so the sessions of `user:ann` and `user:Ann` would be listed and ended together. |
//! | A capped collection, a time series, a view, or one with encrypted fields. | Sessions are changed and removed one by one. |
//! | A unique index besides that on `_id`. | A principal has several sessions, and marks of sessions that ended are alike. |
//! | A validator that refuses sessions. | Each creation or sign-in would fail. |
//! | A write concern that the server cannot meet. | Each write, or each touch, would fail. |
//! | A server whose clock is ahead by more than a minute. | The server removes sessions by its own clock, a minute after they ended. |
//!
//! To see that, it writes one session of nobody and removes it again. A clock that differs by more
//! than five seconds, ahead or behind, is a warning in the log (target `session::mongo`). A server
//! that is behind keeps sessions longer than needed, and lets nobody in: whether a session has
//! ended is decided by the application's clock.
//!
//! A store that is made [`lazy`](MongoStoreBuilder::lazy) has looked at nothing of the server. Its
//! queries compare principals byte by byte all the same. Settings that no server takes are refused
//! by both.
//!
//! # Permissions
//!
//! The user needs `find`, `insert`, `update` and `remove` on the collection, and `createIndex`
//! unless the store is made [`without_indexes`](MongoStoreBuilder::without_indexes). With
//! `listCollections` on the database and `listIndexes` on the collection `connect` sees what kind
//! of collection it is; without them, it does not look. The role `readWrite` has them all.

// On docs.rs what takes a feature says so.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod builder;
mod document;
mod ending;
mod error;
mod examine;
mod fault;
mod indexes;
mod lasting;
mod mark;
mod operations;
mod probe;
mod settings;
mod store;
mod tls;
mod uri;

pub use builder::{MongoStoreBuilder, Source};
pub use error::ConnectError;
pub use store::MongoStore;
