//! A server, a store on it, and another program that changes what is there.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use mongodb::bson::{Document, doc};
use mongodb::{Client, Collection};
use session_core::store::{
    Changes, PrincipalIndex, Record, RecordKey, SessionStore, StoreError, Update, Updated, Value,
};
use session_core::{Codec, Ended, Lifetime, Limits, SessionId, Timestamp};
use session_mongo::MongoStore;
use session_tests::servers::MongoServer;
use tokio::runtime::Runtime;

pub(super) const OWNER: &str = "user:1";

/// A server, a store on it, and another program.
pub(super) struct Bench {
    pub(super) runtime: Runtime,
    pub(super) store: MongoStore,
    pub(super) other: Collection<Document>,
    pub(super) now: Timestamp,
    _server: MongoServer,
}

/// What an operation came to, if it is one of the answers that a damaged session may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It is readable, and was changed.
    Done,
    /// `None`, or `Gone`.
    Absent,
    Conflict,
    Corrupt,
    TooLarge,
    /// By the server, which wrote nothing.
    Refused,
}
pub(super) use Outcome::{Absent, Conflict, Corrupt, Done, Refused, TooLarge};

impl Bench {
    pub(super) fn new() -> Self {
        let server = MongoServer::start();
        let runtime = Runtime::new().unwrap();
        let builder =
            MongoStore::builder(server.patient_uri()).call_timeout(Duration::from_secs(20));
        let store = runtime.block_on(builder.connect()).unwrap();
        let client = runtime
            .block_on(Client::with_uri_str(server.patient_uri()))
            .unwrap();
        Self {
            runtime,
            store,
            other: client.database("sessions").collection("sessions"),
            now: SystemTime::now().into(),
            _server: server,
        }
    }

    /// Another program's update.
    pub(super) fn change(&self, id: SessionId, change: Document) {
        let change = self.other.update_one(by(id), change);
        let done = self.runtime.block_on(async { change.await }).unwrap();
        assert_eq!(done.matched_count, 1);
    }

    pub(super) fn document(&self, id: SessionId) -> Option<Document> {
        let find = self.other.find_one(by(id));
        self.runtime.block_on(async { find.await }).unwrap()
    }

    pub(super) fn add(&self, document: &Document) {
        let insert = self.other.insert_one(document);
        self.runtime.block_on(async { insert.await }).unwrap();
    }

    pub(super) fn record(&self) -> Record {
        let id = SessionId::random().unwrap();
        Record::new(id, "id", Lifetime::default(), self.now)
            .with_principal(OWNER)
            .with_value("a", json("1"))
            .with_value("b", json("2"))
    }

    pub(super) fn create(&self) -> Arc<Record> {
        self.keep(self.record())
    }

    pub(super) fn keep(&self, record: Record) -> Arc<Record> {
        let record = Arc::new(record);
        let created = self.runtime.block_on(self.store.create(&record, self.now));
        assert_eq!(created.unwrap(), RecordKey::Id(record.id()));
        record
    }

    /// What lets somebody in.
    pub(super) fn find(&self, id: SessionId) -> Result<Option<Arc<Record>>, Outcome> {
        let found = self.runtime.block_on(self.store.load(&id.into(), self.now));
        let found = found.map_err(|error| failed(&error))?;
        assert!(found.iter().all(|record| record.id() == id));
        Ok(found.filter(|record| record.is_live(self.now)))
    }

    pub(super) fn load(&self, id: SessionId) -> Outcome {
        match self.find(id) {
            Ok(Some(_)) => Done,
            Ok(None) => Absent,
            Err(outcome) => outcome,
        }
    }

    pub(super) fn values(&self, id: SessionId) -> Vec<(String, String)> {
        let record = self.find(id).unwrap().unwrap();
        let text = |(key, value): (&str, &Value)| {
            let value = String::from_utf8_lossy(value.bytes()).into_owned();
            (key.to_owned(), value)
        };
        record.values().iter().map(text).collect()
    }

    pub(super) fn update(&self, base: &Record, changes: &Changes, exact: bool) -> Outcome {
        let limits = Limits::default();
        let update = update(&self.store, base, changes, exact, &limits, self.now);
        self.runtime.block_on(update)
    }

    pub(super) fn list(&self) -> Result<Vec<SessionId>, Outcome> {
        match self.runtime.block_on(self.store.list_of(OWNER, self.now)) {
            Ok(records) => Ok(records.iter().map(|record| record.id()).collect()),
            Err(error) => Err(failed(&error)),
        }
    }

    /// The same, and whether each can be read.
    pub(super) fn list_all(&self) -> Vec<(SessionId, bool)> {
        let listed = self
            .runtime
            .block_on(self.store.list_of(OWNER, self.now))
            .unwrap();
        let each = listed.iter();
        each.map(|listed| (listed.id(), listed.record().is_some()))
            .collect()
    }

    pub(super) fn delete_one(&self, id: SessionId) -> bool {
        self.runtime
            .block_on(self.store.delete_one_of(OWNER, id, Ended::default()))
            .unwrap()
    }

    pub(super) fn delete_all(&self) -> u64 {
        self.runtime
            .block_on(self.store.delete_all_of(OWNER, None, Ended::default()))
            .unwrap()
    }

    pub(super) fn delete(&self, id: SessionId) {
        self.runtime
            .block_on(self.store.delete(&id.into(), Ended::default()))
            .unwrap();
        // At most a mark is there, which is over.
        let left = self.document(id);
        assert!(
            left.iter().all(|left| left.get_str("ended").is_ok()),
            "{left:?}"
        );
    }
}

pub(super) async fn update(
    store: &MongoStore,
    base: &Record,
    changes: &Changes,
    exact: bool,
    limits: &Limits,
    now: Timestamp,
) -> Outcome {
    let update = Update::new(Arc::new(changes.apply(base)), changes.clone(), base.epoch())
        .with_expected_version(exact.then_some(base.version()))
        .with_limits(*limits);
    match store.update(&base.id().into(), &update, now).await {
        Ok(Updated::Saved { .. }) => Done,
        Ok(Updated::Conflict { .. }) => Conflict,
        Ok(_) => Absent,
        Err(StoreError::TooLarge(_)) => TooLarge,
        Err(error) => failed(&error),
    }
}

#[track_caller]
fn failed(error: &StoreError) -> Outcome {
    match error {
        StoreError::Corrupt(_) => Corrupt,
        StoreError::Unavailable(_) => {
            let text = std::error::Error::source(error).unwrap().to_string();
            assert!(text.starts_with("the server refused"), "{text}");
            Refused
        }
        _ => unreachable!("{error:?}"),
    }
}

pub(super) fn by(id: SessionId) -> Document {
    doc! { "_id": id.encode() }
}

pub(super) fn json(text: &str) -> Value {
    Value::new(Codec::Json, text.to_owned())
}

pub(super) fn set() -> Changes {
    Changes::new().set("a", json("3"))
}
