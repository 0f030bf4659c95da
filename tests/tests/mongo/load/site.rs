//! Servers, and what is really on them.

use std::collections::BTreeMap;
use std::time::Duration;

use mongodb::bson::{Document, doc};
use session_core::SessionId;
use session_mongo::MongoStore;
use session_tests::servers::{MongoReplicaSet, MongoServer};

/// What stores are over.
pub(crate) enum Site {
    One(Box<MongoServer>),
    Set(MongoReplicaSet),
}

impl Site {
    pub(crate) fn one() -> Self {
        Self::One(Box::new(MongoServer::start()))
    }

    pub(crate) fn set() -> Self {
        Self::Set(MongoReplicaSet::start())
    }

    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::One(_) => "standalone",
            Self::Set(_) => "replica set",
        }
    }

    /// A store with connections of its own, as another process has. It is patient: machines may be
    /// busy.
    pub(crate) async fn store(&self, collection: &str) -> MongoStore {
        let uri = match self {
            Self::One(server) => server.patient_uri(),
            Self::Set(set) => set.patient_uri(),
        };
        let builder = MongoStore::builder(uri)
            .collection(collection)
            .call_timeout(Duration::from_secs(20));
        builder.connect().await.unwrap()
    }

    /// Away with what an earlier load has left.
    pub(crate) fn empty(&self) {
        self.command(doc! { "dropDatabase": 1 });
    }

    pub(crate) fn truth(&self, collection: &str) -> Truth {
        // Not what only says that a session has ended.
        let sessions = doc! { "ended": { "$exists": false } };
        let ids = self.command(doc! { "distinct": collection, "key": "_id", "query": sessions });
        let ids = ids.get_array("values").unwrap().iter();
        let ids = ids.map(|id| (id.as_str().unwrap().parse().unwrap(), ()));
        Truth {
            sessions: ids.collect(),
        }
    }

    fn command(&self, command: Document) -> Document {
        match self {
            Self::One(server) => server.command("sessions", command),
            Self::Set(set) => set.command("sessions", command),
        }
    }
}

/// What is on the primary.
#[derive(Debug)]
pub(crate) struct Truth {
    pub(crate) sessions: BTreeMap<SessionId, ()>,
}

impl Truth {
    /// No session is outside of the index: the server keeps it with the document.
    #[allow(
        clippy::unused_self,
        reason = "other stores have an index of their own"
    )]
    pub(crate) const fn lost(&self, _probation: i64) -> [SessionId; 0] {
        []
    }
}
