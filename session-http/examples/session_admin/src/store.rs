//! The store that a URL names.

use clap::{Args, ValueEnum};
use session_core::store::SessionStore;
use session_http::mongo::MongoStore;
use session_http::redis::{Layout, RedisStore};

use crate::output::{Failure, with_causes};

/// The settings of a store that are not in its URL.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args)]
pub(crate) struct StoreOptions {
    /// What the keys begin with (Redis)
    #[arg(long)]
    pub(crate) prefix: Option<String>,
    /// How sessions are stored (Redis)
    #[arg(long)]
    pub(crate) layout: Option<LayoutName>,
    /// The database (MongoDB)
    #[arg(long)]
    pub(crate) database: Option<String>,
    /// The collection (MongoDB)
    #[arg(long)]
    pub(crate) collection: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LayoutName {
    Fields,
    Packed,
}

/// Where sessions are. The URL may have a password, so it is never shown.
#[derive(PartialEq, Eq)]
pub(crate) struct Place {
    url: String,
    options: StoreOptions,
}

impl Place {
    /// The store of an argument, or of an environment variable. Arguments are in the list of
    /// processes, with the passwords in them.
    pub(crate) fn of(
        argument: Option<String>,
        variable: &'static str,
        options: StoreOptions,
    ) -> Result<Self, Failure> {
        let url = match argument {
            Some(url) => url,
            None => std::env::var(variable).map_err(|_| {
                Failure::usage(format!(
                    "no store is named; set the environment variable {variable} to its URL, or \
                     pass the URL"
                ))
            })?,
        };
        Self::new(url, options)
    }

    fn new(url: String, options: StoreOptions) -> Result<Self, Failure> {
        let is_mongo = url.starts_with("mongodb");
        let is_redis = !is_mongo && url.contains("://");
        if !is_mongo && !is_redis {
            return Err(Failure::usage(
                "this is no store; pass a URL of Redis (redis://..) or MongoDB (mongodb://..)",
            ));
        }
        if is_redis && (options.database.is_some() || options.collection.is_some()) {
            return Err(Failure::usage(
                "--database and --collection are for MongoDB; a database of Redis is in its URL",
            ));
        }
        if is_mongo && (options.prefix.is_some() || options.layout.is_some()) {
            return Err(Failure::usage("--prefix and --layout are for Redis"));
        }
        Ok(Self { url, options })
    }

    /// Connects. It caches nothing, so that it shows what is stored.
    pub(crate) async fn open(&self) -> Result<Box<dyn SessionStore>, Failure> {
        match self.url.starts_with("mongodb") {
            true => self.mongo().await,
            false => self.redis().await,
        }
    }

    async fn redis(&self) -> Result<Box<dyn SessionStore>, Failure> {
        let mut builder = RedisStore::builder(self.url.as_str()).cache_bytes(0);
        if let Some(prefix) = &self.options.prefix {
            builder = builder.prefix(prefix);
        }
        if let Some(layout) = self.options.layout {
            builder = builder.layout(match layout {
                LayoutName::Fields => Layout::Fields,
                LayoutName::Packed => Layout::Packed,
            });
        }
        let store = builder.connect().await;
        Ok(Box::new(store.map_err(|error| failed(&error))?))
    }

    async fn mongo(&self) -> Result<Box<dyn SessionStore>, Failure> {
        let mut builder = MongoStore::builder(self.url.as_str()).cache_bytes(0);
        if let Some(database) = &self.options.database {
            builder = builder.database(database);
        }
        if let Some(collection) = &self.options.collection {
            builder = builder.collection(collection);
        }
        let store = builder.connect().await;
        Ok(Box::new(store.map_err(|error| failed(&error))?))
    }
}

fn failed(error: &dyn std::error::Error) -> Failure {
    Failure::failed(with_causes(error))
}
