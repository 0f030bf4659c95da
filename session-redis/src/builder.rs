//! The settings of a store, and how it is made from them.

use std::time::Duration;

use session_core::ConfigError;
use session_core::store::{CachedStore, NearCache};

use crate::config::{ConnectionSettings, Source};
use crate::connection::{Connector, Link};
use crate::direct::DirectStore;
use crate::error::ConnectError;
use crate::layout::{KeyNames, Layout};
use crate::store::RedisStore;

const PREFIX: &str = "session:";
const SHORTEST: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_secs(60);
const SHORTEST_LEASE: Duration = Duration::from_millis(10);
/// A process that needs more than this has another problem.
const MOST_CONNECTIONS: usize = 64;

impl RedisStore {
    /// Connects to the servers that a URL names, with default settings. [`Source`] lists the forms
    /// of URLs.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), session_redis::ConnectError> {
    /// use session_redis::RedisStore;
    ///
    /// let store = RedisStore::connect("redis://127.0.0.1/").await?;
    /// # let _ = store;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ConnectError`], which says what to do.
    pub async fn connect(url: impl AsRef<str>) -> Result<Self, ConnectError> {
        Self::builder(url.as_ref()).connect().await
    }

    /// Returns a builder for a store with settings of your own. [`RedisStoreBuilder`] has an
    /// example.
    pub fn builder(source: impl Into<Source>) -> RedisStoreBuilder {
        RedisStoreBuilder {
            source: source.into(),
            prefix: PREFIX.to_owned(),
            layout: Layout::default(),
            settings: ConnectionSettings::default(),
            cache_bytes: None,
            near_cache: None,
        }
    }
}

/// The settings of a [`RedisStore`]; made by [`RedisStore::builder`].
///
/// [`connect`](Self::connect) or [`lazy`](Self::lazy) makes a store from them.
///
/// ```
/// use session_redis::RedisStore;
/// use std::time::Duration;
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let store = RedisStore::builder("redis://127.0.0.1:6379/0")
///     .prefix("shop:session:")
///     .username("shop")
///     .password("secret")
///     .call_timeout(Duration::from_secs(1))
///     .lazy()?;
/// # let _ = store;
/// # Ok::<_, session_core::ConfigError>(()) }).unwrap();
/// ```
#[derive(Debug)]
#[must_use = "a builder does nothing until it is told to `connect`"]
pub struct RedisStoreBuilder {
    source: Source,
    prefix: String,
    layout: Layout,
    settings: ConnectionSettings,
    cache_bytes: Option<usize>,
    near_cache: Option<NearCache>,
}

impl RedisStoreBuilder {
    /// Sets how the names of all keys begin. Default: `session:`.
    ///
    /// The store touches no other key. No other store's prefix may begin with this one. Do not use
    /// braces: they would put all sessions on one node of a Cluster.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Sets how sessions are written. Default: [`Layout::Fields`].
    ///
    /// The store also reads sessions of the other layout, which costs one more command, and moves
    /// them to this layout with their next write. So the nodes of one site may differ until all of
    /// them have the setting.
    ///
    /// ```
    /// use session_redis::{Layout, RedisStore};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    /// # .block_on(async {
    /// let store = RedisStore::builder("redis://127.0.0.1/").layout(Layout::Packed).lazy()?;
    /// assert!(format!("{store:?}").contains("Packed"));
    /// # Ok::<_, session_core::ConfigError>(()) }).unwrap();
    /// ```
    pub fn layout(mut self, layout: Layout) -> Self {
        self.layout = layout;
        self
    }

    /// Sets how many bytes of records a process caches. Default: 16 MiB; 0 switches the cache off.
    ///
    /// For a cached record, the server only confirms that it is unchanged, and does not send it
    /// again. The server is asked each time, so the cache does not delay any change.
    ///
    /// ```
    /// use session_redis::RedisStore;
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    /// # .block_on(async {
    /// let store = RedisStore::builder("redis://127.0.0.1/").cache_bytes(64 << 20).lazy()?;
    /// assert!(format!("{store:?}").contains("67108864"));
    /// # Ok::<_, session_core::ConfigError>(()) }).unwrap();
    /// ```
    pub fn cache_bytes(mut self, bytes: usize) -> Self {
        self.cache_bytes = Some(bytes);
        self
    }

    /// Answers reads without a command, for a site that accepts the staleness that [`NearCache`]
    /// describes. Default: off. A lease is between 10 ms and 60 s.
    ///
    /// The server reports each change to the store by RESP3 (`CLIENT TRACKING`). So the near cache
    /// needs a URL or a client, and in a Cluster a URL. It also needs further permissions, which
    /// the crate's documentation lists. While a server reports no changes, every read asks it, as
    /// without a near cache.
    ///
    /// ```
    /// use session_core::store::NearCache;
    /// use session_redis::RedisStore;
    /// use std::time::Duration;
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    /// # .block_on(async {
    /// let near = NearCache::new(Duration::from_secs(1));
    /// let store = RedisStore::builder("redis://127.0.0.1/").near_cache(near).lazy()?;
    /// assert!(format!("{store:?}").contains("lease: 1s"));
    ///
    /// // A proxy without RESP3 cannot pass on the server's reports.
    /// let old = RedisStore::builder("redis://127.0.0.1/?protocol=resp2").near_cache(near).lazy();
    /// assert!(old.is_err());
    /// # Ok::<_, session_core::ConfigError>(()) }).unwrap();
    /// ```
    pub fn near_cache(mut self, near: NearCache) -> Self {
        self.near_cache = Some(near);
        self
    }

    /// Sets how long one operation may take, from 1 ms to 60 s. Default: 1.5 s.
    ///
    /// That includes all that the operation waits for, such as a connection.
    ///
    /// It should be less than [`Timeouts::call`](session_core::Timeouts::call) of the session
    /// manager (2 s), because the manager knows less of what happened. The store replaces a
    /// connection that leaves commands unanswered for two thirds of this time. A node of a Cluster
    /// has a third of it to answer, because the driver holds up all other nodes when one hangs.
    pub fn call_timeout(mut self, deadline: Duration) -> Self {
        self.settings.timing.deadline = deadline;
        self
    }

    /// Sets how long an attempt to connect to a server may take, from 1 ms to 60 s. Default: 1 s.
    ///
    /// While there is no connection, calls wait that long for one. After that, calls fail at once
    /// until there is a connection again. Behind Sentinel an attempt may take three times as long,
    /// and in a Cluster four times, because there is more than one server to connect to.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.settings.timing.connect = timeout;
        self
    }

    /// Sets how many connections the store has to the server, from 1 to 64.
    ///
    /// Default: one for every two CPUs that the process may use, but at least 1 and at most 4.
    ///
    /// All writes to one session take the same connection, so they reach the server in the order in
    /// which they were sent. Each connection is replaced separately when it fails. One task reads
    /// all answers of a connection, and one task uses at most one CPU. So more connections help
    /// where many CPUs read many sessions. On 2 CPUs, one connection was the fastest for reads. If
    /// commands arrive on more connections, the server answers fewer of them with one write.
    ///
    /// In a Cluster, this is the number of connections to each node. The default there is 1,
    /// because the nodes share the work already. It cannot be set for an [application's
    /// connection](Source::connection), which is a single connection.
    ///
    /// ```
    /// use session_redis::RedisStore;
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    /// # .block_on(async {
    /// let store = RedisStore::builder("redis://127.0.0.1/").connections(2).lazy()?;
    /// assert!(format!("{store:?}").contains("connections: 2"));
    /// # Ok::<_, session_core::ConfigError>(()) }).unwrap();
    /// ```
    pub fn connections(mut self, connections: usize) -> Self {
        self.settings.connections = Some(connections);
        self
    }

    /// Sets the user, instead of the URL's. A user needs a password, which is `""` for a user that
    /// has none.
    pub fn username(mut self, username: impl Into<String>) -> Self {
        self.settings.credentials.username = Some(username.into());
        self
    }

    /// Sets the password, instead of the URL's.
    pub fn password(mut self, password: impl Into<String>) -> Self {
        self.settings.credentials.password = Some(password.into());
        self
    }

    /// Sets the number of the database, instead of the URL's. A Cluster has only one, 0.
    pub fn database(mut self, database: u32) -> Self {
        self.settings.credentials.database = Some(database.into());
        self
    }

    /// Sets the user for the sentinels. Default: the sentinels' default user. The user in the URL
    /// is for the server.
    #[cfg(feature = "sentinel")]
    pub fn sentinel_username(mut self, username: impl Into<String>) -> Self {
        self.settings.sentinel_credentials.username = Some(username.into());
        self
    }

    /// Sets the password for the sentinels, if they need one. The password in the URL is for the
    /// server.
    #[cfg(feature = "sentinel")]
    pub fn sentinel_password(mut self, password: impl Into<String>) -> Self {
        self.settings.sentinel_credentials.password = Some(password.into());
        self
    }

    /// Sets the certificates, in PEM form, of the authorities that may vouch for the server.
    ///
    /// Default: the system's certificates. A text that contains no certificate is refused when the
    /// store is built.
    #[cfg(feature = "tls")]
    pub fn root_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.settings.certificates.roots = Some(pem.into());
        self
    }

    /// Sets the certificate and the key, in PEM form, that the store presents to the server.
    #[cfg(feature = "tls")]
    pub fn client_certificate(
        mut self,
        certificate: impl Into<Vec<u8>>,
        key: impl Into<Vec<u8>>,
    ) -> Self {
        self.settings.certificates.client = Some((certificate.into(), key.into()));
        self
    }

    /// Makes a store that is connected, and checks that it may read and delete under its prefix.
    ///
    /// # Errors
    ///
    /// [`ConnectError`], which says what to do.
    pub async fn connect(self) -> Result<RedisStore, ConnectError> {
        let store = self.lazy()?;
        store.direct().try_out().await?;
        Ok(store)
    }

    /// Makes a store that connects when it is first used.
    ///
    /// Until the server can be reached, its calls fail as
    /// [`StoreError::Unavailable`](session_core::store::StoreError::Unavailable).
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if a setting is wrong.
    pub fn lazy(self) -> Result<RedisStore, ConfigError> {
        let timing = self.settings.timing;
        for (name, time) in [
            ("call_timeout", timing.deadline),
            ("connect_timeout", timing.connect),
        ] {
            if time < SHORTEST || time > LONGEST {
                return Err(ConfigError::new(format!(
                    "{name} must be between 1 ms and 60 s, not {time:?}"
                )));
            }
        }
        if self.prefix.is_empty() {
            return Err(ConfigError::new(
                "the prefix is empty; all keys of the database would be the store's",
            ));
        }
        if let Some(connections) = self.settings.connections
            && !(1..=MOST_CONNECTIONS).contains(&connections)
        {
            return Err(ConfigError::new(format!(
                "connections must be between 1 and {MOST_CONNECTIONS}, not {connections}"
            )));
        }
        let connector = Connector::new(&self.source, &self.settings)?;
        let connections = connector.connections(self.settings.connections)?;
        if let Some(near) = self.near_cache {
            check_near_cache(near, self.cache_bytes)?;
            connector.check_near_cache()?;
        }
        if !self.settings.sentinel_credentials.is_empty() && !connector.is_behind_sentinel() {
            return Err(ConfigError::new(
                "sentinel_username and sentinel_password go with a redis-sentinel:// URL",
            ));
        }
        let names = KeyNames {
            prefix: self.prefix,
        };
        let link = Link::new(connector, timing, connections);
        let mut cached = CachedStore::new(DirectStore::new(link, names, self.layout));
        if let Some(bytes) = self.cache_bytes {
            cached = cached.with_capacity(bytes);
        }
        if let Some(near) = self.near_cache {
            cached = cached.with_near_cache(near);
            cached.inner().tell(cached.invalidations());
        }
        Ok(RedisStore::new(cached))
    }
}

fn check_near_cache(near: NearCache, cache_bytes: Option<usize>) -> Result<(), ConfigError> {
    let lease = near.lease();
    if lease < SHORTEST_LEASE || lease > LONGEST {
        return Err(ConfigError::new(format!(
            "the lease of a near cache must be between 10 ms and 60 s, not {lease:?}"
        )));
    }
    if cache_bytes == Some(0) {
        return Err(ConfigError::new(
            "a near cache needs room for records; cache_bytes(0) leaves none",
        ));
    }
    Ok(())
}

#[cfg(all(test, feature = "cluster", feature = "sentinel", feature = "tls"))]
mod tests;
