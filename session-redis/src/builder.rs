//! The settings of a store.

use std::sync::Arc;
use std::time::Duration;

use redis::ConnectionInfo;
use session_core::ConfigError;

use crate::ConnectError;
#[cfg(feature = "cluster")]
use crate::cluster::Cluster;
use crate::connector::Connector;
use crate::layout::{Layout, Names};
use crate::link::{Link, Timing};
#[cfg(feature = "sentinel")]
use crate::sentinel::Sentinel;
use crate::source::{Kind, Servers, Source};
use crate::store::RedisStore;
use crate::tls::Certificates;

const PREFIX: &str = "session:";
const DEADLINE: Duration = Duration::from_millis(1500);
const CONNECT: Duration = Duration::from_secs(1);

/// The settings of a [`RedisStore`]: made by [`RedisStore::builder`], used up by
/// [`connect`](Self::connect) or [`lazy`](Self::lazy).
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
///     .deadline(Duration::from_secs(1))
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
    timing: Timing,
    login: Login,
    #[cfg(feature = "sentinel")]
    sentinels: Login,
    certificates: Certificates,
}

#[derive(Default)]
struct Login {
    username: Option<String>,
    password: Option<String>,
    database: Option<i64>,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login")
            .field("database", &self.database)
            .finish_non_exhaustive()
    }
}

impl RedisStoreBuilder {
    pub(crate) fn new(source: Source) -> Self {
        Self {
            source,
            prefix: PREFIX.to_owned(),
            layout: Layout::default(),
            timing: Timing {
                deadline: DEADLINE,
                connect: CONNECT,
            },
            login: Login::default(),
            #[cfg(feature = "sentinel")]
            sentinels: Login::default(),
            certificates: Certificates::default(),
        }
    }

    /// What the names of all keys begin with; `session:` if not set. The store touches nothing
    /// else. No other store's prefix may begin with this one. Braces would put all sessions on
    /// one node of a Cluster.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// How sessions are written; [`Layout::Fields`] if not set. Those of the other layout are read
    /// all the same, by one command more, and move with their next write; so servers of one
    /// site may differ for as long as it takes to set them all.
    ///
    /// ```
    /// use session_redis::{Layout, RedisStore};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// let store = RedisStore::builder("redis://127.0.0.1/").layout(Layout::Packed).lazy()?;
    /// assert!(format!("{store:?}").contains("Packed"));
    /// # Ok::<_, session_core::ConfigError>(()) }).unwrap();
    /// ```
    pub fn layout(mut self, layout: Layout) -> Self {
        self.layout = layout;
        self
    }

    /// How long one operation may take with all that it waits for, a connection included; 1.5 s if
    /// not set.
    ///
    /// It should be less than [`Deadlines::call`](session_core::Deadlines::call) of the session
    /// manager (2 s), which knows less of what happened. A connection on which nothing was
    /// heard for two thirds of it, though something was asked, is replaced. A node of a Cluster
    /// has a third of it to answer, since the driver holds up all others when one hangs.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.timing.deadline = deadline;
        self
    }

    /// How long an attempt to connect to a server may take; 1 s if not set. While there is no
    /// connection, calls wait as long for one and then fail at once, until there is one again.
    /// Behind Sentinel and in a Cluster there is more than one server to connect to: an attempt may
    /// take three and four times as long.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.timing.connect = timeout;
        self
    }

    /// The user, instead of the URL's. It goes with a password; for a user that has none that is
    /// `""`.
    pub fn username(mut self, username: impl Into<String>) -> Self {
        self.login.username = Some(username.into());
        self
    }

    /// The password, instead of the URL's.
    pub fn password(mut self, password: impl Into<String>) -> Self {
        self.login.password = Some(password.into());
        self
    }

    /// The number of the database, instead of the URL's. A Cluster has one only, 0.
    pub fn database(mut self, database: u32) -> Self {
        self.login.database = Some(database.into());
        self
    }

    /// The user that the sentinels know; the default one if not set. The URL's is the server's.
    #[cfg(feature = "sentinel")]
    pub fn sentinel_username(mut self, username: impl Into<String>) -> Self {
        self.sentinels.username = Some(username.into());
        self
    }

    /// The password that the sentinels want, if they want one. The URL's is the server's.
    #[cfg(feature = "sentinel")]
    pub fn sentinel_password(mut self, password: impl Into<String>) -> Self {
        self.sentinels.password = Some(password.into());
        self
    }

    /// The certificates, in PEM form, of those who may vouch for the server; the system's if not
    /// set. What holds no certificate is refused when the store is built.
    #[cfg(feature = "tls")]
    pub fn root_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.certificates.roots = Some(pem.into());
        self
    }

    /// The certificate and the key, in PEM form, that the server wants of its clients.
    #[cfg(feature = "tls")]
    pub fn client_certificate(
        mut self,
        certificate: impl Into<Vec<u8>>,
        key: impl Into<Vec<u8>>,
    ) -> Self {
        self.certificates.client = Some((certificate.into(), key.into()));
        self
    }

    /// A store that is connected, and may read under its prefix.
    ///
    /// # Errors
    ///
    /// [`ConnectError`], which says what to do.
    pub async fn connect(self) -> Result<RedisStore, ConnectError> {
        let store = self.lazy()?;
        store.try_out().await?;
        Ok(store)
    }

    /// A store that connects when it is first used; until the server can be reached, its calls fail
    /// as [`StoreError::Unavailable`](session_core::StoreError::Unavailable).
    ///
    /// # Errors
    ///
    /// A setting that is wrong.
    pub fn lazy(self) -> Result<RedisStore, ConfigError> {
        let longest = Duration::from_secs(60);
        for (name, time) in [
            ("deadline", self.timing.deadline),
            ("connect_timeout", self.timing.connect),
        ] {
            if time < Duration::from_millis(1) || time > longest {
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
        let connector = match &self.source.0 {
            Kind::Url(url) => self.of_servers(Servers::of_url(url)?)?,
            _ if !self.login.is_empty() || !self.certificates.is_empty() => {
                return Err(ConfigError::new(
                    "username, password, database and certificates go with a URL; a client brings its own",
                ));
            }
            Kind::Client(client) => {
                let info = client.get_connection_info().clone();
                check_login(&info)?;
                crate::tls::prepare(&info);
                let client = redis::Client::open(crate::source::tuned(info));
                Connector::Client(Box::new(client.map_err(|error| contradiction(&error))?))
            }
            Kind::Connection(connection) => Connector::Given(Arc::clone(connection)),
            #[cfg(feature = "cluster")]
            Kind::Cluster(client) => {
                crate::tls::install();
                let client = client.as_ref().map_err(contradiction)?;
                Connector::Cluster(Box::new(Cluster::of_client((**client).clone())))
            }
        };
        #[cfg(feature = "sentinel")]
        if !self.sentinels.is_empty() && !matches!(connector, Connector::Sentinel(_)) {
            return Err(ConfigError::new(
                "sentinel_username and sentinel_password go with a redis-sentinel:// URL",
            ));
        }
        let link = Link::new(connector, self.timing);
        let names = Names {
            prefix: self.prefix,
        };
        Ok(RedisStore::new(link, names, self.layout))
    }

    fn of_servers(&self, servers: Servers) -> Result<Connector, ConfigError> {
        let (login, certificates) = (&self.login, &self.certificates);
        let wrong = |error| {
            ConfigError::new(format!(
                "the settings for Redis contradict each other: {error}"
            ))
        };
        certificates.check()?;
        match servers {
            Servers::One(info) => {
                let client = certificates.client(login.put(info)?).map_err(wrong)?;
                Ok(Connector::Client(Box::new(client)))
            }
            #[cfg(feature = "cluster")]
            Servers::Cluster(nodes) => {
                let nodes = nodes.into_iter().map(|node| login.put(node));
                let nodes = nodes.collect::<Result<Vec<_>, _>>()?;
                if nodes.iter().any(|node| node.redis_settings().db() != 0) {
                    return Err(ConfigError::new(
                        "a Cluster has database 0 only; keep data apart by prefix",
                    ));
                }
                let cluster = Cluster::new(nodes, self.timing, |builder| {
                    certificates.of_cluster(builder)
                });
                Ok(Connector::Cluster(Box::new(cluster.map_err(wrong)?)))
            }
            #[cfg(feature = "sentinel")]
            Servers::Sentinel {
                sentinels,
                name,
                server,
            } => {
                let sentinels = sentinels.into_iter().map(|sentinel| {
                    let sentinel = self.sentinels.put(sentinel)?;
                    certificates.client(sentinel).map_err(wrong)
                });
                let sentinels = sentinels.collect::<Result<_, _>>()?;
                let server = certificates.client(login.put(server)?).map_err(wrong)?;
                let server = server.get_connection_info().clone();
                Ok(Connector::Sentinel(Arc::new(Sentinel {
                    sentinels,
                    name,
                    server,
                })))
            }
            #[cfg(not(feature = "cluster"))]
            Servers::Cluster(_) => Err(ConfigError::new(
                "a Cluster needs the feature `cluster` of session-redis",
            )),
            #[cfg(not(feature = "sentinel"))]
            Servers::Sentinel { .. } => Err(ConfigError::new(
                "Sentinel needs the feature `sentinel` of session-redis",
            )),
        }
    }
}

/// The driver sends a username with a password only; the store would be somebody else.
fn check_login(info: &ConnectionInfo) -> Result<(), ConfigError> {
    let settings = info.redis_settings();
    match (settings.username(), settings.password()) {
        // As whom everybody begins.
        (None | Some("default"), _) | (_, Some(_)) => Ok(()),
        (Some(_), None) => Err(ConfigError::new(
            "a username for Redis lacks its password; set one, or password(\"\") for a user that has none",
        )),
    }
}

/// The driver's text names settings, and no secret.
fn contradiction(error: &redis::RedisError) -> ConfigError {
    let text = error.to_string();
    let text = text.split(" - ").next().unwrap_or_default();
    ConfigError::new(format!(
        "the settings for Redis contradict each other: {text}"
    ))
}

impl Login {
    fn is_empty(&self) -> bool {
        self.username.is_none() && self.password.is_none() && self.database.is_none()
    }

    fn put(&self, info: ConnectionInfo) -> Result<ConnectionInfo, ConfigError> {
        let mut settings = info.redis_settings().clone();
        if let Some(username) = &self.username {
            settings = settings.set_username(username);
        }
        if let Some(password) = &self.password {
            settings = settings.set_password(password);
        }
        if let Some(database) = self.database {
            settings = settings.set_db(database);
        }
        let info = info.set_redis_settings(settings);
        check_login(&info)?;
        Ok(info)
    }
}
