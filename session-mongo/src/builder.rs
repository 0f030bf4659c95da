//! The settings of a store.

use std::sync::Arc;
use std::time::Duration;

use mongodb::bson::RawDocumentBuf;
use mongodb::options::{ClientOptions, SelectionCriteria, WriteConcern};
use mongodb::{Client, Collection, Database};
use session_core::ConfigError;

use crate::ConnectError;
use crate::store::{Inner, MongoStore, PRIMARY};

const DATABASE: &str = "sessions";
const COLLECTION: &str = "sessions";
const DEADLINE: Duration = Duration::from_millis(1500);

/// Where the sessions are: a URI, or a client, database or collection that the application has.
///
/// A client made here from a URI has settings that suit sessions where the URI says nothing: up to 64 connections, 8 of them being made at once, a
/// heartbeat and a limit for connecting of 1 s, and four fifths of the deadline to find a server, so that a write which found none is known not
/// to be written. One that the application has keeps its own.
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

/// The settings of a [`MongoStore`]: made by [`MongoStore::builder`], used up by [`connect`](Self::connect) or [`lazy`](Self::lazy).
#[derive(Debug)]
#[must_use = "a builder does nothing until it is told to `connect`"]
pub struct MongoStoreBuilder {
    source: Source,
    database: Option<String>,
    collection: Option<String>,
    deadline: Duration,
    writes: Option<WriteConcern>,
    touches: Option<WriteConcern>,
    reads: SelectionCriteria,
    indexes: bool,
}

impl MongoStoreBuilder {
    pub(crate) fn new(source: Source) -> Self {
        Self {
            source,
            database: None,
            collection: None,
            deadline: DEADLINE,
            writes: None,
            touches: None,
            reads: PRIMARY,
            indexes: true,
        }
    }

    /// The database; that of the URI if not set, else `sessions`.
    pub fn database(mut self, name: impl Into<String>) -> Self {
        self.database = Some(name.into());
        self
    }

    /// The collection; `sessions` if not set.
    pub fn collection(mut self, name: impl Into<String>) -> Self {
        self.collection = Some(name.into());
        self
    }

    /// How long one operation may take with all that it waits for; 1.5 s if not set. It should be less than
    /// [`Deadlines::call`](session_core::Deadlines::call) of the session manager (2 s), which knows less of what happened.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// How many nodes must have a write before it counts; the collection's own if not set, and a majority where that says
    /// nothing, for which the server waits four fifths of the deadline. One that is set here should say how long, too: a write that
    /// waits for nodes which are down holds its connection.
    pub fn write_concern(mut self, concern: WriteConcern) -> Self {
        self.writes = Some(concern);
        self
    }

    /// The same for a write of activity alone, which may be lost without harm; one node if not set.
    pub fn touch_write_concern(mut self, concern: WriteConcern) -> Self {
        self.touches = Some(concern);
        self
    }

    /// Where sessions are read; at the primary if not set. Elsewhere a session may be read as it was before the last write, or
    /// before its end: a logout takes effect only once it has been replicated.
    pub fn read_from(mut self, criteria: SelectionCriteria) -> Self {
        self.reads = criteria;
        self
    }

    /// Makes no indexes, for a user that may not, or a server where they are made in another way
    /// ([`create_indexes`](MongoStore::create_indexes)). Without them nothing removes sessions that have ended but
    /// [`delete_expired`](session_core::SessionStore::delete_expired), and those of a principal are looked for in all.
    pub fn without_indexes(mut self) -> Self {
        self.indexes = false;
        self
    }

    /// A store that is connected and has its indexes.
    ///
    /// # Errors
    ///
    /// [`ConnectError`], which says what to do.
    pub async fn connect(self) -> Result<MongoStore, ConnectError> {
        let indexes = self.indexes;
        let store = self.lazy().await?;
        if indexes {
            store.create_indexes().await?;
        }
        store.try_out().await?;
        Ok(store)
    }

    /// A store that connects when it is first used, and makes no indexes by itself: until the server can be
    /// reached, its calls fail as [`StoreError::Unavailable`](session_core::StoreError::Unavailable).
    ///
    /// # Errors
    ///
    /// A setting that is wrong, or a name that does not resolve in a `mongodb+srv` URI.
    pub async fn lazy(self) -> Result<MongoStore, ConfigError> {
        if self.deadline < Duration::from_millis(1) || self.deadline > Duration::from_secs(60) {
            let text = format!("deadline must be between 1 ms and 60 s, not {:?}", self.deadline);
            return Err(ConfigError::new(text));
        }
        let sessions = self.sessions().await?;
        let majority = sessions
            .write_concern()
            .is_none()
            .then(|| majority(self.deadline));
        Ok(MongoStore {
            inner: Arc::new(Inner {
                sessions,
                deadline: self.deadline,
                writes: self.writes.or(majority),
                touches: self.touches.or_else(|| Some(WriteConcern::nodes(1))),
                reads: self.reads,
            }),
        })
    }

    async fn sessions(&self) -> Result<Collection<RawDocumentBuf>, ConfigError> {
        let named = self.collection.as_deref().unwrap_or(COLLECTION);
        let database = match &self.source.0 {
            Kind::Uri(uri) => self.database_of(&client(uri, self.deadline).await?),
            Kind::Client(client) => self.database_of(client),
            Kind::Database(database) if self.database.is_none() => database.clone(),
            Kind::Collection(collection) if self.database.is_none() && self.collection.is_none() => {
                return Ok(collection.clone());
            }
            _ => return Err(ConfigError::new("the database or collection is named twice")),
        };
        Ok(database.collection(named))
    }

    fn database_of(&self, client: &Client) -> Database {
        match &self.database {
            Some(name) => client.database(name),
            None => client
                .default_database()
                .unwrap_or_else(|| client.database(DATABASE)),
        }
    }
}

/// The server, too, waits no longer than it matters: a write that no majority takes would hold its connection until one does.
fn majority(deadline: Duration) -> WriteConcern {
    let mut concern = WriteConcern::majority();
    concern.w_timeout = Some(share(deadline));
    concern
}

/// What may be waited for, so that there is time to tell of it before the deadline.
fn share(deadline: Duration) -> Duration {
    deadline * 4 / 5
}

async fn client(uri: &str, deadline: Duration) -> Result<Client, ConfigError> {
    // The driver's texts may quote the URI, password and all.
    let wrong = |_| {
        ConfigError::new(
            "the MongoDB URI is wrong, or its name does not resolve; it is like mongodb://user:password@host:27017/database",
        )
    };
    let mut options = ClientOptions::parse(uri).await.map_err(wrong)?;
    options.max_pool_size.get_or_insert(64);
    options.max_connecting.get_or_insert(8);
    options.heartbeat_freq.get_or_insert(Duration::from_secs(1));
    options.connect_timeout.get_or_insert(Duration::from_secs(1));
    options.server_selection_timeout.get_or_insert(share(deadline));
    Client::with_options(options)
        .map_err(|_| ConfigError::new("the settings in the MongoDB URI contradict each other"))
}
