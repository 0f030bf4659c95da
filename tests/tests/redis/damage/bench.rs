//! A server, a store on it, and another program that damages what is there.

use std::sync::Arc;
use std::time::SystemTime;

use redis::{Connection, ToRedisArgs};
use session_core::store::{
    Changes, PrincipalIndex, Record, RecordKey, SessionStore, StoreError, Update, Updated, Value,
};
use session_core::{Codec, Ended, Lifetime, SessionId, Timestamp};
use session_redis::{Layout, RedisStore};
use session_tests::servers::{Engine, RedisServer};
use tokio::runtime::Runtime;

use crate::connect;

pub(super) const OWNER: &str = "user:1";

/// A server, a store on it, and another program.
pub(super) struct Bench {
    pub(super) runtime: Runtime,
    pub(super) store: RedisStore,
    pub(super) other: Connection,
    pub(super) now: Timestamp,
    server: RedisServer,
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
    /// As far as another program's numbers can be trusted.
    TooLarge,
}
pub(super) use Outcome::{Absent, Conflict, Corrupt, Done, TooLarge};

impl Bench {
    pub(super) fn new(engine: Engine) -> Self {
        Self::over(engine, Layout::Fields)
    }

    pub(super) fn over(engine: Engine, layout: Layout) -> Self {
        let server = RedisServer::start(engine);
        let runtime = Runtime::new().unwrap();
        // What is damaged here by hand keeps its tag, so a cache would not look at it.
        let builder = RedisStore::builder(server.url())
            .layout(layout)
            .cache_bytes(0);
        let store = runtime.block_on(connect(builder));
        let client = redis::Client::open(server.url()).unwrap();
        Self {
            runtime,
            store,
            other: client.get_connection().unwrap(),
            now: SystemTime::now().into(),
            server,
        }
    }

    pub(super) fn url(&self) -> String {
        self.server.url()
    }

    /// Another program's command.
    pub(super) fn run<T: redis::FromRedisValue>(
        &mut self,
        name: &str,
        arguments: impl ToRedisArgs,
    ) -> T {
        redis::cmd(name)
            .arg(arguments)
            .query(&mut self.other)
            .unwrap()
    }

    /// All that is under a key, in one order.
    pub(super) fn content(&mut self, key: &str) -> Vec<Vec<u8>> {
        let mut fields = match &*self.run::<String>("TYPE", key) {
            "hash" => self.run("HGETALL", key),
            _ => vec![self.run::<Vec<u8>>("DUMP", key)],
        };
        fields.sort();
        fields
    }

    pub(super) fn record(&self) -> Arc<Record> {
        let id = SessionId::random().unwrap();
        let record = Record::new(id, "id", Lifetime::default(), self.now)
            .with_principal(OWNER)
            .with_value("a", json("1"))
            .with_value("b", json("2"));
        Arc::new(record)
    }

    pub(super) fn create(&self) -> Arc<Record> {
        let record = self.record();
        let created = self.runtime.block_on(self.store.create(&record, self.now));
        assert_eq!(created.unwrap(), RecordKey::Id(record.id()));
        record
    }

    pub(super) fn load(&self, id: SessionId) -> Outcome {
        match self.find(id) {
            Ok(Some(_)) => Done,
            Ok(None) => Absent,
            Err(outcome) => outcome,
        }
    }

    /// What lets somebody in.
    pub(super) fn find(&self, id: SessionId) -> Result<Option<Arc<Record>>, Outcome> {
        let found = self.runtime.block_on(self.store.load(&id.into(), self.now));
        let found = found.map_err(|error| corrupt(&error))?;
        assert!(found.iter().all(|record| record.id() == id));
        Ok(found.filter(|record| record.is_live(self.now)))
    }

    pub(super) fn values(&self, id: SessionId) -> Vec<(String, String)> {
        let record = self.find(id).unwrap().unwrap();
        let text = |(key, value): (&str, &Value)| {
            let value = String::from_utf8_lossy(value.bytes()).into_owned();
            (key.to_owned(), value)
        };
        record.values().iter().map(text).collect()
    }

    pub(super) fn update(&self, base: &Arc<Record>, changes: &Changes, exact: bool) -> Outcome {
        let update = Update::new(Arc::new(changes.apply(base)), changes.clone(), base.epoch())
            .with_expected_version(exact.then_some(base.version()));
        let key = base.id().into();
        match self
            .runtime
            .block_on(self.store.update(&key, &update, self.now))
        {
            Ok(Updated::Saved { .. }) => Done,
            Ok(Updated::Conflict { .. }) => Conflict,
            Ok(_) => Absent,
            Err(StoreError::TooLarge(_)) => TooLarge,
            Err(error) => corrupt(&error),
        }
    }

    pub(super) fn list(&self) -> Result<Vec<SessionId>, Outcome> {
        match self.runtime.block_on(self.store.list_of(OWNER, self.now)) {
            Ok(records) => Ok(records.iter().map(|record| record.id()).collect()),
            Err(error) => Err(corrupt(&error)),
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
        assert_eq!(self.load(id), Absent);
    }
}

#[track_caller]
pub(super) fn corrupt(error: &StoreError) -> Outcome {
    assert!(matches!(error, StoreError::Corrupt(_)), "{error:?}");
    Corrupt
}

pub(super) fn json(text: &str) -> Value {
    Value::new(Codec::Json, text.to_owned())
}

pub(super) fn set() -> Changes {
    Changes::new().set("a", json("3"))
}

pub(super) fn key(id: SessionId) -> String {
    format!("session:{}", id.encode())
}

pub(super) const INDEX: &str = "session:principal:user:1";

pub(super) fn key_of_another(bench: &Bench) -> String {
    let other = bench.record().id();
    let record = Record::new(other, "id", Lifetime::default(), bench.now);
    let record = Arc::new(record);
    let create = bench.store.create(&record, bench.now);
    key(bench.runtime.block_on(create).unwrap().id().unwrap())
}
