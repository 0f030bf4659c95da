//! A server that has lost acknowledged writes, as a fail-over loses them: versions repeat, and
//! nobody takes what was lost for what is there.

use std::sync::Arc;

use session_core::store::{Changes, Record, RecordKey, SessionStore, Update, Updated};
use session_core::{Clock, Codec, Lifetime, SessionId, SystemClock};
use session_redis::{Layout, RedisStore};
use session_tests::servers::{Engine, RedisServer};

use crate::connect;

/// A session as the server had it before it lost what came after.
struct Copy {
    name: String,
    bytes: Vec<u8>,
}

impl Copy {
    fn of(connection: &mut redis::Connection, id: SessionId) -> Self {
        let name = format!("session:{}", id.encode());
        let bytes = redis::cmd("DUMP").arg(&name).query(connection).unwrap();
        Self { name, bytes }
    }

    fn is_all_that_is_left(&self, connection: &mut redis::Connection) {
        let mut restore = redis::cmd("RESTORE");
        restore.arg(&self.name).arg(3_600_000).arg(&self.bytes);
        restore.arg("REPLACE").exec(connection).unwrap();
    }
}

fn setting(record: &Record, key: &str, number: u64, meets: bool) -> Update {
    let changes = Changes::new().set(key.to_owned(), Codec::Json.encode(&number).unwrap());
    let after = Arc::new(changes.apply(record));
    Update::new(after, changes, record.epoch())
        .with_base_tag(record.tag())
        .with_expected_version(meets.then_some(record.version()))
}

fn number(record: &Record, key: &str) -> Option<u64> {
    record
        .values()
        .get(key)
        .map(|value| value.decode().unwrap())
}

async fn load(store: &RedisStore, key: &RecordKey) -> Arc<Record> {
    store.load(key, SystemClock.now()).await.unwrap().unwrap()
}

#[tokio::test]
async fn what_was_lost_is_not_served_and_nothing_is_written_on_top_of_it() {
    let now = SystemClock.now();
    for layout in [Layout::Fields, Layout::Packed] {
        let server = RedisServer::start(Engine::Redis7);
        let connect = || connect(RedisStore::builder(server.url()).layout(layout));
        let (here, there) = (connect().await, connect().await);
        let client = redis::Client::open(server.url()).unwrap();
        let mut connection = client.get_connection().unwrap();
        let record = Record::new(SessionId::random().unwrap(), "id", Lifetime::default(), now);
        let key = here.create(&Arc::new(record), now).await.unwrap();
        let copy = Copy::of(&mut connection, key.id().unwrap());

        // Version 2, which this process holds from now on.
        let lost = setting(&*load(&here, &key).await, "lost", 1, true);
        here.update(&key, &lost, now).await.unwrap();
        let held = load(&here, &key).await;
        assert_eq!((held.version(), number(&held, "lost")), (2, Some(1)));

        copy.is_all_that_is_left(&mut connection);
        assert_eq!(load(&here, &key).await.version(), 1, "{layout:?}");
        // Version 2 again, by somebody else.
        here.update(&key, &lost, now).await.unwrap();
        // What others have changed is read whole once. From then on it is asked for by its tag.
        assert_eq!(number(&*load(&here, &key).await, "lost"), Some(1));
        let unchanged = here.cache_stats().unchanged;
        assert_eq!(number(&*load(&here, &key).await, "lost"), Some(1));
        assert_eq!(here.cache_stats().unchanged, unchanged + 1);
        copy.is_all_that_is_left(&mut connection);
        let other = setting(&*load(&there, &key).await, "other", 2, true);
        there.update(&key, &other, now).await.unwrap();

        let seen = load(&here, &key).await;
        assert_eq!(seen.version(), held.version());
        let numbers = ["lost", "other"].map(|key| number(&seen, key));
        assert_eq!(numbers, [None, Some(2)], "{layout:?}");
        let again = load(&here, &key).await;
        assert_eq!(again, seen);

        // An update of what was lost does not meet what is there, though the version is the same.
        let met = setting(&held, "late", 3, true);
        let updated = here.update(&key, &met, now).await.unwrap();
        assert!(matches!(updated, Updated::Conflict { .. }), "{updated:?}");
        // One that merges is merged with what is there, and its writer does not know the result.
        let merges = setting(&held, "late", 4, false);
        let updated = here.update(&key, &merges, now).await.unwrap();
        let merged = match layout {
            Layout::Packed => matches!(updated, Updated::Conflict { .. }),
            _ => matches!(updated, Updated::Saved { exact: false, .. }),
        };
        assert!(merged, "{layout:?} {updated:?}");
        for store in [&here, &there] {
            let seen = load(store, &key).await;
            let late = (layout == Layout::Fields).then_some(4);
            let numbers = ["lost", "other", "late"].map(|key| number(&seen, key));
            assert_eq!(numbers, [None, Some(2), late], "{layout:?}");
        }
    }
}
