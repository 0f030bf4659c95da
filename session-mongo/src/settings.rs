//! Which settings a store can work with, whatever the server is.

use std::time::Duration;

use mongodb::options::{Acknowledgment, ReadPreference, SelectionCriteria, WriteConcern};
use session_core::ConfigError;
use session_core::store::NearCache;

/// Nodes of a replica set, at most.
const MOST_NODES: u32 = 50;
/// The driver refuses to read from nodes that may be less far behind.
const LEAST_STALENESS: Duration = Duration::from_secs(90);
/// Three beats in it are 30 writes a second for each process.
const LEAST_LEASE: Duration = Duration::from_millis(100);
const LONGEST_LEASE: Duration = Duration::from_secs(60);
/// The bytes of the name of a database.
const LONGEST_DATABASE: usize = 63;
/// The bytes of database and collection, with a dot between them.
const LONGEST_NAMESPACE: usize = 255;

/// Whether the store makes its indexes. With them the server removes what has ended, by its own
/// clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Indexes {
    Made,
    /// The user may not make them, or may only read.
    Skipped,
}

/// How long the server may be waited for, so that there is time left to say so before the deadline.
pub(crate) fn server_wait(deadline: Duration) -> Duration {
    deadline * 4 / 5
}

/// Refuses a write concern that leaves open whether a session was written, and one that no server
/// takes. `origin` says where it was set.
pub(crate) fn check_concern(origin: &str, concern: &WriteConcern) -> Result<(), ConfigError> {
    let fault = match &concern.w {
        Some(Acknowledgment::Nodes(0)) => {
            "w=0 asks for no answer, so nobody would know whether a session was written or ended; \
             use a majority, or at least one node"
        }
        Some(Acknowledgment::Nodes(nodes)) if *nodes > MOST_NODES => {
            "w is more than 50, and a replica set has no more nodes than that; use a majority"
        }
        Some(Acknowledgment::Custom(name)) if name.trim().is_empty() => {
            "w is empty; use a majority, a number of nodes, or the name of a mode of the replica \
             set"
        }
        _ => match concern.w_timeout {
            Some(limit) if i32::try_from(limit.as_millis()).is_err() => {
                "wtimeout is more than the 24 days that a server takes; it should be less than the \
                 deadline"
            }
            _ => return Ok(()),
        },
    };
    Err(ConfigError::new(format!(
        "{origin} cannot be used for sessions: {fault}"
    )))
}

/// Refuses leases that beats could not hold up, or that nobody would want, and a cache that holds
/// nothing.
pub(crate) fn check_near_cache(
    near: NearCache,
    cache_bytes: Option<usize>,
) -> Result<(), ConfigError> {
    let lease = near.lease();
    if lease < LEAST_LEASE || lease > LONGEST_LEASE {
        return Err(ConfigError::new(format!(
            "the lease of the near cache must be between 100 ms and 60 s, not {lease:?}"
        )));
    }
    if cache_bytes == Some(0) {
        return Err(ConfigError::new(
            "a near cache needs room for records; cache_bytes(0) leaves none",
        ));
    }
    Ok(())
}

/// Refuses what the driver refuses with each read.
pub(crate) fn check_reads(criteria: &SelectionCriteria) -> Result<(), ConfigError> {
    let SelectionCriteria::ReadPreference(preference) = criteria else {
        return Ok(());
    };
    let options = match preference {
        ReadPreference::Secondary { options }
        | ReadPreference::PrimaryPreferred { options }
        | ReadPreference::SecondaryPreferred { options }
        | ReadPreference::Nearest { options } => options.as_ref(),
        _ => None,
    };
    match options.and_then(|options| options.max_staleness) {
        // The driver takes zero for no limit.
        Some(staleness) if !staleness.is_zero() && staleness < LEAST_STALENESS => {
            Err(ConfigError::new(format!(
                "read_from cannot be used: its max_staleness is {staleness:?}, and MongoDB takes \
                 90 s or more"
            )))
        }
        _ => Ok(()),
    }
}

/// Refuses names that no server takes, and databases that are no place for sessions.
pub(crate) fn check_names(database: &str, collection: &str) -> Result<(), ConfigError> {
    let fault = match (database, collection) {
        ("", _) => "the name of the database is empty",
        ("local", _) => {
            "the database `local` is never replicated: a fail-over would end all sessions; name \
             another one"
        }
        ("config", _) => "the database `config` is the server's own; name another one",
        _ if database.len() > LONGEST_DATABASE => "the name of the database has more than 63 bytes",
        _ if database.contains(['/', '\\', '.', '"', '$', ' ']) => {
            "the name of the database contains one of / \\ . \" $ and space, which MongoDB does \
             not allow"
        }
        (_, "") => "the name of the collection is empty",
        _ if collection.contains('$') => {
            "the name of the collection contains a $, which MongoDB does not allow"
        }
        _ if collection.starts_with("system.") => {
            "the name of the collection begins with system., which MongoDB keeps for itself"
        }
        _ if collection.starts_with('.') || collection.ends_with('.') => {
            "the name of the collection begins or ends with a dot, which MongoDB does not allow"
        }
        _ if database.len() + 1 + collection.len() > LONGEST_NAMESPACE => {
            "the names of database and collection have more than 254 bytes together"
        }
        _ if database
            .chars()
            .chain(collection.chars())
            .any(char::is_control) =>
        {
            "the name of the database or collection contains a control character; was a line \
             break read with it?"
        }
        _ => return Ok(()),
    };
    Err(ConfigError::new(fault))
}

#[cfg(test)]
mod tests {
    use mongodb::options::ReadPreferenceOptions;

    use super::*;
    use crate::MongoStore;

    const HOST: &str = "mongodb://127.0.0.1:1/shop";

    async fn refused(builder: crate::MongoStoreBuilder, reason: &str) {
        let said = match builder.lazy().await {
            Err(error) => error.to_string(),
            Ok(store) => format!("{store:?}"),
        };
        assert!(said.contains(reason), "{said}");
    }

    #[tokio::test]
    async fn a_write_that_nobody_answers_is_refused_wherever_it_is_asked_for() {
        for uri in ["?w=0", "?w=0&journal=true", "?w=0&wtimeoutMS=5"] {
            let uri = format!("{HOST}{uri}");
            refused(MongoStore::builder(&uri), "w=0").await;
            let client = mongodb::Client::with_uri_str(&uri).await;
            if let Ok(client) = client {
                refused(MongoStore::builder(client.clone()), "w=0").await;
                refused(MongoStore::builder(client.database("shop")), "w=0").await;
                let collection = client
                    .database("shop")
                    .collection::<mongodb::bson::Document>("s");
                refused(MongoStore::builder(collection), "w=0").await;
            }
        }
        let none = WriteConcern::nodes(0);
        let mut journaled = none.clone();
        journaled.journal = Some(true);
        for concern in [none, journaled] {
            let builder = || MongoStore::builder(HOST);
            refused(
                builder().write_concern(concern.clone()),
                "write_concern cannot",
            )
            .await;
            refused(
                builder().touch_write_concern(concern.clone()),
                "touch_write_concern cannot",
            )
            .await;
        }
    }

    /// Who says it of the store means it.
    #[tokio::test]
    async fn what_the_builder_says_counts_more_than_the_uri() {
        let builder = MongoStore::builder(format!("{HOST}?w=0"));
        let store = builder.write_concern(WriteConcern::majority()).lazy().await;
        assert!(store.is_ok(), "{store:?}");
    }

    #[tokio::test]
    async fn write_concerns_that_no_server_takes_are_refused() {
        let mut late = WriteConcern::majority();
        late.w_timeout = Some(Duration::MAX);
        for (concern, reason) in [
            (WriteConcern::nodes(51), "more than 50"),
            (WriteConcern::nodes(u32::MAX), "more than 50"),
            (WriteConcern::custom(""), "w is empty"),
            (WriteConcern::custom(" "), "w is empty"),
            (late, "wtimeout"),
        ] {
            let builder = || MongoStore::builder(HOST);
            refused(builder().write_concern(concern.clone()), reason).await;
            refused(builder().touch_write_concern(concern), reason).await;
        }
        for (options, reason) in [
            ("?w=", "w is empty"),
            ("?w=51", "more than 50"),
            ("?w=-1", "wrong value"),
            ("?wtimeoutMS=3000000000", "wtimeout"),
        ] {
            refused(MongoStore::builder(format!("{HOST}{options}")), reason).await;
        }
        for options in [
            "?w=majority",
            "?w=1",
            "?w=50",
            "?w=dc2",
            "?journal=true",
            "?wtimeoutMS=0",
        ] {
            refused(
                MongoStore::builder(format!("{HOST}{options}")),
                "MongoStore",
            )
            .await;
        }
    }

    #[tokio::test]
    async fn a_read_preference_that_the_driver_refuses_is_refused() {
        let secondary = |seconds| {
            let mut options = ReadPreferenceOptions::default();
            options.max_staleness = Some(Duration::from_secs(seconds));
            let options = Some(options);
            SelectionCriteria::ReadPreference(ReadPreference::SecondaryPreferred { options })
        };
        refused(
            MongoStore::builder(HOST).read_from(secondary(89)),
            "max_staleness",
        )
        .await;
        for seconds in [0, 90] {
            refused(
                MongoStore::builder(HOST).read_from(secondary(seconds)),
                "MongoStore",
            )
            .await;
        }
    }

    #[tokio::test]
    async fn names_that_no_server_takes_are_refused() {
        let long = "s".repeat(64);
        for name in [
            "", "a b", "a.b", "a/b", "a$b", "a\"b", "a\\b", "a\0", "shop\n", &long,
        ] {
            refused(MongoStore::builder(HOST).database(name), "database").await;
        }
        refused(
            MongoStore::builder(HOST).database("local"),
            "never replicated",
        )
        .await;
        refused(MongoStore::builder(HOST).database("config"), "server's own").await;
        let long = "s".repeat(252);
        for name in [
            "",
            "a$b",
            "system.views",
            ".a",
            "a.",
            "a\0",
            "sessions\n",
            &long,
        ] {
            refused(MongoStore::builder(HOST).collection(name), "collection").await;
        }
        for name in ["sessions", "a.b", "a b", "é", &"s".repeat(250)] {
            refused(MongoStore::builder(HOST).collection(name), "MongoStore").await;
        }
        // Also where the application has made them.
        let client = mongodb::Client::with_uri_str(HOST).await.unwrap();
        refused(
            MongoStore::builder(client.database("local")),
            "never replicated",
        )
        .await;
        let collection = client
            .database("shop")
            .collection::<mongodb::bson::Document>("a$b");
        refused(MongoStore::builder(collection), "$").await;
    }
}
