//! From settings to a store.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use mongodb::bson::RawDocumentBuf;
use mongodb::options::{
    Acknowledgment, CollectionOptions, ReadConcern, SelectionCriteria, WriteConcern,
};
use mongodb::{Client, Collection, Database};
use session_core::ConfigError;
use session_core::store::{CachedStore, NearCache};

use tokio::sync::OnceCell;

use crate::direct::DirectStore;
use crate::error::ConnectError;
use crate::known_time::KnownTime;
use crate::near::Near;
use crate::sessions::{PRIMARY, Sessions};
use crate::settings::{
    Indexes, check_concern, check_names, check_near_cache, check_reads, server_wait,
};
use crate::store::MongoStore;
use crate::together::Queue;
use crate::uri;

const DATABASE: &str = "sessions";
const COLLECTION: &str = "sessions";
const DEADLINE: Duration = Duration::from_millis(1500);

impl MongoStore {
    /// Connects to the servers that a URI names, with default settings.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), session_mongo::ConnectError> {
    /// use session_mongo::MongoStore;
    ///
    /// let store = MongoStore::connect("mongodb://127.0.0.1:27017/shop").await?;
    /// # let _ = store;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ConnectError`], which says what to do.
    pub async fn connect(uri: impl AsRef<str>) -> Result<Self, ConnectError> {
        Self::builder(uri.as_ref()).connect().await
    }

    /// Returns a builder for a store with settings of your own.
    pub fn builder(source: impl Into<Source>) -> MongoStoreBuilder {
        MongoStoreBuilder {
            source: source.into(),
            database: None,
            collection: None,
            deadline: DEADLINE,
            writes: None,
            touches: WriteConcern::nodes(1),
            reads: PRIMARY,
            indexes: Indexes::Made,
            near: None,
            cache_bytes: None,
        }
    }
}

/// Where the sessions are: a URI, or a client, database or collection that the application has.
///
/// If the store makes a client from a URI, that client has settings that suit sessions, unless the
/// URI says otherwise. They are: up to 64 connections, of which 8 may be opened at the same time; a
/// heartbeat every second; and 1 s to connect. The client has four fifths of the deadline to find a
/// server, so a write that found no server is known not to have been applied. A client of the
/// application keeps its own settings.
#[derive(Debug)]
pub struct Source(Kind);

enum Kind {
    Uri(String),
    Client(Client),
    Database(Database),
    Collection(Collection<RawDocumentBuf>),
}

impl std::fmt::Debug for Kind {
    /// Shows no URI: there may be a password in it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Uri(_) => "Uri",
            Self::Client(_) => "Client",
            Self::Database(_) => "Database",
            Self::Collection(_) => "Collection",
        })
    }
}

impl From<&str> for Source {
    fn from(uri: &str) -> Self {
        Self(Kind::Uri(uri.to_owned()))
    }
}

impl From<String> for Source {
    fn from(uri: String) -> Self {
        Self(Kind::Uri(uri))
    }
}

impl From<&String> for Source {
    fn from(uri: &String) -> Self {
        Self(Kind::Uri(uri.clone()))
    }
}

impl From<Client> for Source {
    fn from(client: Client) -> Self {
        Self(Kind::Client(client))
    }
}

impl From<Database> for Source {
    fn from(database: Database) -> Self {
        Self(Kind::Database(database))
    }
}

impl<T: Send + Sync> From<Collection<T>> for Source {
    fn from(collection: Collection<T>) -> Self {
        Self(Kind::Collection(collection.clone_with_type()))
    }
}

/// The settings of a [`MongoStore`]; made by [`MongoStore::builder`].
///
/// [`connect`](Self::connect) or [`lazy`](Self::lazy) makes a store from them.
#[derive(Debug)]
#[must_use = "a builder does nothing until it is told to `connect`"]
pub struct MongoStoreBuilder {
    source: Source,
    database: Option<String>,
    collection: Option<String>,
    deadline: Duration,
    writes: Option<WriteConcern>,
    touches: WriteConcern,
    reads: SelectionCriteria,
    indexes: Indexes,
    near: Option<NearCache>,
    cache_bytes: Option<usize>,
}

impl MongoStoreBuilder {
    /// Sets the database. Default: that of the URI, or `sessions` if the URI names none.
    pub fn database(mut self, name: impl Into<String>) -> Self {
        self.database = Some(name.into());
        self
    }

    /// Sets the collection. Default: `sessions`.
    pub fn collection(mut self, name: impl Into<String>) -> Self {
        self.collection = Some(name.into());
        self
    }

    /// Sets how long one operation may take, from 1 ms to 60 s, including all that it waits for.
    /// Default: 1.5 s.
    ///
    /// It should be less than [`Timeouts::call`](session_core::Timeouts::call) of the session
    /// manager (2 s), because the manager knows less of what happened.
    pub fn call_timeout(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Sets how many nodes must have a write before it counts as done.
    ///
    /// Default: the collection's own write concern, or a majority if that does not say. With less
    /// than a majority, a fail-over may lose acknowledged writes, logouts included.
    ///
    /// If nothing sets how long the server waits for these nodes, it waits four fifths of the
    /// deadline, because a write that waits for nodes which are down holds its connection. A write
    /// that nobody acknowledges (`w=0`) is refused, here and in the URI: nobody would know whether
    /// a session was written or ended.
    pub fn write_concern(mut self, concern: WriteConcern) -> Self {
        self.writes = Some(concern);
        self
    }

    /// Sets how many nodes must have a write of activity alone. Default: one node.
    ///
    /// Such a write may be lost without harm. It is still acknowledged, because otherwise active
    /// people could be signed out without anybody knowing why.
    pub fn touch_write_concern(mut self, concern: WriteConcern) -> Self {
        self.touches = concern;
        self
    }

    /// Sets from which nodes sessions are read. Default: the primary.
    ///
    /// The default holds whatever the URI or the client says about read preference and read
    /// concern. On other nodes, a session may be read as it was before its last write, or before
    /// its end. Then a logout takes effect only once it has been replicated, and right after a
    /// sign-in the session may not be found.
    pub fn read_from(mut self, criteria: SelectionCriteria) -> Self {
        self.reads = criteria;
        self
    }

    /// Sets whether [`connect`](Self::connect) makes the indexes. Default: `true`.
    ///
    /// `false` is for a database user that may not make indexes or that only reads, and for a
    /// server where they are made in another way ([`create_indexes`](MongoStore::create_indexes)).
    /// Without indexes, only [`delete_expired`](session_core::store::SessionStore::delete_expired)
    /// removes expired sessions, and a search for the sessions of a principal looks at all
    /// sessions.
    pub fn indexes(mut self, make: bool) -> Self {
        self.indexes = match make {
            true => Indexes::Made,
            false => Indexes::Skipped,
        };
        self
    }

    /// Answers reads without a command, for as long as a lease holds. Default: off.
    ///
    /// A process then serves what it has read from its own memory. This is for a site that accepts
    /// a stated staleness. A lease is between 100 ms and 60 s. All nodes of a site must have the
    /// same settings. The near cache needs a replica set, of which one node is enough. [The crate's
    /// documentation](crate#the-near-cache) says how it works.
    ///
    /// ```
    /// use session_core::store::NearCache;
    /// use session_mongo::MongoStore;
    /// use std::time::Duration;
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    /// # .block_on(async {
    /// let near = NearCache::new(Duration::from_secs(1));
    /// let store = MongoStore::builder("mongodb://127.0.0.1/").near_cache(near).lazy().await?;
    /// assert_eq!(store.cache_stats().leased, 0);
    /// # Ok::<_, session_core::ConfigError>(()) }).unwrap();
    /// ```
    pub fn near_cache(mut self, near: NearCache) -> Self {
        self.near = Some(near);
        self
    }

    /// Sets how many bytes of sessions the [near cache](Self::near_cache) of a process holds at
    /// most. Default: 16 MiB. Without a near cache, no sessions are held.
    pub fn cache_bytes(mut self, bytes: usize) -> Self {
        self.cache_bytes = Some(bytes);
        self
    }

    /// Makes a store that is connected and has its indexes.
    ///
    /// It checks the collection and the server's clock, writes a test session and removes it again,
    /// and waits until the near cache, if there is one, receives changes. So it finds now what
    /// would fail with the first session ([the crate's documentation](crate#what-connect-looks-at)
    /// has a list).
    ///
    /// # Errors
    ///
    /// [`ConnectError`], which says what to do.
    pub async fn connect(self) -> Result<MongoStore, ConnectError> {
        let indexes = self.indexes;
        let store = self.lazy().await?;
        let direct = store.direct();
        direct.check_clock(indexes).await?;
        direct.check_collection().await?;
        direct.probe(indexes).await?;
        if indexes == Indexes::Made {
            direct.make_indexes().await?;
        }
        store.wait_for_near_cache().await?;
        Ok(store)
    }

    /// Makes a store that connects when it is first used, and makes no indexes by itself.
    ///
    /// Until the server can be reached, its calls fail as
    /// [`StoreError::Unavailable`](session_core::store::StoreError::Unavailable). `lazy` checks
    /// nothing on the server; [`create_indexes`](MongoStore::create_indexes) checks the collection
    /// and the clock.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if a setting is wrong, or if a name in a `mongodb+srv` URI does not resolve.
    pub async fn lazy(self) -> Result<MongoStore, ConfigError> {
        if self.deadline < Duration::from_millis(1) || self.deadline > Duration::from_secs(60) {
            return Err(ConfigError::new(format!(
                "call_timeout must be between 1 ms and 60 s, not {:?}",
                self.deadline
            )));
        }
        check_reads(&self.reads)?;
        if let Some(near) = self.near {
            check_near_cache(near, self.cache_bytes)?;
        }
        check_concern("touch_write_concern", &self.touches)?;
        if let Some(writes) = &self.writes {
            check_concern("write_concern", writes)?;
        }
        let given = self.named_collection().await?;
        let space = given.namespace();
        check_names(&space.db, &space.coll)?;
        let writes = self
            .writes
            .or_else(|| given.write_concern().cloned())
            .unwrap_or_default();
        let writes = completed(writes, Acknowledgment::Majority, self.deadline);
        check_concern("the write concern in the URI, or of the client", &writes)?;
        let options = CollectionOptions::builder()
            .selection_criteria(self.reads)
            // Reads see what a majority does not have yet, or a request might not see what the one
            // before it has saved.
            .read_concern(ReadConcern::local())
            .write_concern(writes)
            .build();
        let database = given.client().database(&space.db);
        let sessions = Arc::new(Sessions {
            collection: database.collection_with_options(&space.coll, options),
            deadline: self.deadline,
            touches: completed(self.touches, Acknowledgment::Nodes(1), self.deadline),
            loads: Queue::default(),
            updates: Queue::default(),
            shares: OnceCell::new(),
            mean_size: AtomicUsize::new(0),
            known: self.near.map(|_| KnownTime::default()),
        });
        let cached = CachedStore::new(DirectStore {
            sessions: Arc::clone(&sessions),
        });
        let Some(near) = self.near else {
            // To ask whether a session has changed costs as much as the session.
            return Ok(MongoStore::new(cached.with_capacity(0), None));
        };
        let cached = match self.cache_bytes {
            Some(bytes) => cached.with_capacity(bytes),
            None => cached,
        };
        let cached = cached.with_near_cache(near);
        let near = Near::start(sessions, cached.invalidations(), near.lease())?;
        Ok(MongoStore::new(cached, Some(near)))
    }

    async fn named_collection(&self) -> Result<Collection<RawDocumentBuf>, ConfigError> {
        let database = match &self.source.0 {
            Kind::Uri(uri) => self.database_of(&uri::client(uri, self.deadline).await?)?,
            Kind::Client(client) => self.database_of(client)?,
            Kind::Database(database) if self.database.is_none() => database.clone(),
            Kind::Collection(collection)
                if self.database.is_none() && self.collection.is_none() =>
            {
                return Ok(collection.clone());
            }
            _ => {
                return Err(ConfigError::new(
                    "the database or collection is named twice",
                ));
            }
        };
        Ok(database.collection(self.collection.as_deref().unwrap_or(COLLECTION)))
    }

    fn database_of(&self, client: &Client) -> Result<Database, ConfigError> {
        if let Some(name) = &self.database {
            return Ok(client.database(name));
        }
        match client.default_database() {
            // It may be there for the login alone.
            Some(database) if ["admin", "local", "config"].contains(&database.name()) => {
                Err(ConfigError::new(
                    "the database in the MongoDB URI is one of the server's own; name another \
                     with `database`, and this one as authSource",
                ))
            }
            Some(database) => Ok(database),
            None => Ok(client.database(DATABASE)),
        }
    }
}

/// The write concern, with these nodes where it states none. The server, too, waits no longer than
/// the answer matters: a write that its nodes do not take holds its connection until they do.
fn completed(mut concern: WriteConcern, nodes: Acknowledgment, deadline: Duration) -> WriteConcern {
    concern.w.get_or_insert(nodes);
    concern.w_timeout.get_or_insert(server_wait(deadline));
    concern
}

#[cfg(test)]
mod tests {
    use super::*;
    use mongodb::options::ReadPreference;
    use session_core::store::{Durability, SessionStore};

    #[tokio::test]
    async fn a_setting_that_cannot_work_is_named() {
        let near = || {
            let near = NearCache::new(Duration::from_secs(1));
            MongoStore::builder("mongodb://host/").near_cache(near)
        };
        near().lazy().await.unwrap();
        for (builder, says) in [
            (near().cache_bytes(0), "cache_bytes"),
            (near().call_timeout(Duration::ZERO), "call_timeout"),
        ] {
            let refused = builder.lazy().await.unwrap_err();
            assert!(refused.to_string().contains(says), "{refused}");
        }
    }

    #[tokio::test]
    async fn only_what_a_majority_has_and_the_primary_reads_is_never_lost() {
        let over = |query: &str| MongoStore::builder(format!("mongodb://host/{query}"));
        let one = || WriteConcern::nodes(1);
        let unjournaled = WriteConcern::builder()
            .w(Acknowledgment::Majority)
            .journal(false)
            .build();
        let secondary =
            SelectionCriteria::ReadPreference(ReadPreference::Secondary { options: None });
        for (name, builder, durable) in [
            ("default", over(""), true),
            (
                "touches of one node",
                over("").touch_write_concern(one()),
                true,
            ),
            (
                "a majority",
                over("").write_concern(WriteConcern::majority()),
                true,
            ),
            ("one node", over("").write_concern(one()), false),
            ("one node, by the URI", over("?w=1"), false),
            ("two nodes of we do not know how many", over("?w=2"), false),
            (
                "not in the journal",
                over("").write_concern(unjournaled),
                false,
            ),
            (
                "not in the journal, by the URI",
                over("?journal=false"),
                false,
            ),
            ("read elsewhere", over("").read_from(secondary), false),
        ] {
            let store = builder.lazy().await.unwrap();
            assert_eq!(store.durability() == Durability::Durable, durable, "{name}");
        }
    }

    #[tokio::test]
    async fn the_database_of_the_login_is_no_place_for_sessions_unless_it_is_named() {
        let store = MongoStore::builder("mongodb://host/admin")
            .database("shop")
            .lazy()
            .await;
        assert!(format!("{store:?}").contains("shop.sessions"), "{store:?}");
    }
}
