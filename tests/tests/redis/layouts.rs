//! Sites whose servers differ in the layout, as they do while a site moves: any session is read and
//! changed by all of them.

use std::sync::Arc;
use std::time::Duration;

use session_core::store::conformance::Suite;
use session_core::store::{
    Changes, Metadata, PrincipalIndex, Record, SessionStore, StoreError, Update, Updated,
    forward_store,
};
use session_core::{Codec, Ended, Lifetime, Outcome, SessionId, SessionManager, Timestamp};
use session_redis::{Layout, RedisStore};
use session_tests::servers::{Engine, RedisCluster, RedisServer};
use session_tests::{Rng, create, numbers, open};

use crate::connect;

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);
const LAYOUTS: [Layout; 2] = [Layout::Fields, Layout::Packed];

async fn store(url: &str, layout: Layout) -> RedisStore {
    connect(RedisStore::builder(url).layout(layout)).await
}

async fn both(url: &str) -> (RedisStore, RedisStore) {
    (store(url, LAYOUTS[0]).await, store(url, LAYOUTS[1]).await)
}

/// Each call goes to a server of one layout or the other.
#[derive(Debug)]
struct Moving {
    stores: [RedisStore; 2],
    rng: Rng,
}

impl Moving {
    async fn new(url: &str) -> Self {
        let (fields, packed) = both(url).await;
        Self {
            stores: [fields, packed],
            rng: Rng::new(7),
        }
    }

    fn any(&self) -> &RedisStore {
        &self.stores[self.rng.below(2)]
    }
}

impl SessionStore for Moving {
    forward_store!(SessionStore, |moving| moving.any());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_moving_site_keeps_the_contract() {
    for engine in Engine::ALL {
        let server = RedisServer::start(engine);
        let url = server.url();
        let suite = Suite::new(|| async { Moving::new(&url).await });
        let report = suite.rounds(32).run().await;
        assert!(report.is_success(), "{engine}: {report}");
    }
}

fn layout_of(server: &RedisServer, id: SessionId) -> Layout {
    let key = format!("session:{}", id.encode());
    match &*server.command(&["TYPE", &key]).text() {
        "hash" => Layout::Fields,
        "string" => Layout::Packed,
        other => unreachable!("{other}"),
    }
}

fn left(server: &RedisServer, id: SessionId) -> i64 {
    server
        .command(&["PTTL", &format!("session:{}", id.encode())])
        .integer()
}

/// An update as a request makes it on what it has loaded.
async fn write(
    store: &RedisStore,
    base: &Arc<Record>,
    changes: Changes,
    expected: Option<u64>,
) -> Result<Updated, StoreError> {
    let update = Update::new(Arc::new(changes.apply(base)), changes.clone(), base.epoch())
        .with_expected_version(expected);
    store.update(&base.id().into(), &update, NOW).await
}

fn number(n: u32) -> session_core::store::Value {
    Codec::Json.encode(&n).unwrap()
}

fn record() -> Record {
    Record::new(SessionId::random().unwrap(), "id", Lifetime::default(), NOW)
        .with_value("a", number(1))
        .with_value("p", Codec::Postcard.encode(&"x").unwrap())
}

async fn load(store: &RedisStore, id: SessionId) -> Arc<Record> {
    store.load(&id.into(), NOW).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_session_moves_with_its_next_write_and_only_then() {
    let server = RedisServer::start(Engine::Redis7);
    for (from, to) in [(LAYOUTS[0], LAYOUTS[1]), (LAYOUTS[1], LAYOUTS[0])] {
        let (old, new) = (
            store(&server.url(), from).await,
            store(&server.url(), to).await,
        );
        let seen = NOW + Duration::from_secs(3_600);
        let touch = || Changes::new().with_metadata(Metadata::Touched(seen));
        let plain = || Changes::new().set("b", number(2)).remove("a");
        for (name, changes, lasts) in [
            ("values", plain(), 2 * 3_600_000),
            ("activity", touch(), 3 * 3_600_000),
            (
                "both",
                plain().with_metadata(Metadata::Touched(seen)),
                3 * 3_600_000,
            ),
            ("clear", plain().clear(), 2 * 3_600_000),
            (
                "metadata",
                plain().with_metadata(Metadata::Replaced),
                2 * 3_600_000,
            ),
        ] {
            let record = Arc::new(record());
            let id = record.id();
            old.create(&record, NOW).await.unwrap();
            assert_eq!(load(&new, id).await, record, "{name}");
            assert_eq!(layout_of(&server, id), from, "{name}");

            let expected = (changes.metadata() == Metadata::Replaced).then_some(1);
            let after = changes.apply(&record);
            let saved = write(&new, &record, changes, expected).await.unwrap();
            assert!(
                matches!(saved, Updated::Saved { version: 2, .. }),
                "{name}: {saved:?}"
            );
            assert_eq!(layout_of(&server, id), to, "{name}");
            for store in [&old, &new] {
                assert_eq!(*load(store, id).await, after, "{name}");
            }
            let left = left(&server, id) - 60_000;
            assert!((lasts - 30_000..=lasts).contains(&left), "{name}: {left}");
            new.delete(&id.into(), Ended::default()).await.unwrap();
            assert!(old.load(&id.into(), NOW).await.unwrap().is_none(), "{name}");
        }
    }
}

/// What was written meanwhile, in whichever layout, is handed back.
#[tokio::test]
async fn a_stale_base_meets_a_conflict_across_layouts() {
    let server = RedisServer::start(Engine::Redis7);
    let (fields, packed) = both(&server.url()).await;
    for (one, two) in [(&fields, &packed), (&packed, &fields)] {
        let record = Arc::new(record());
        one.create(&record, NOW).await.unwrap();
        let theirs = Changes::new().set("theirs", number(1));
        let stored = theirs.apply(&record);
        write(one, &record, theirs, None).await.unwrap();
        let mine = Changes::new()
            .set("mine", number(1))
            .with_metadata(Metadata::Replaced);
        match write(two, &record, mine, Some(1)).await.unwrap() {
            Updated::Conflict {
                current: Some(fresh),
                ..
            } => assert_eq!(*fresh, stored),
            other => unreachable!("{other:?}"),
        }
        assert_eq!(*load(two, record.id()).await, stored);
    }
}

#[tokio::test]
async fn a_principal_and_its_probation_move_along() {
    let server = RedisServer::start(Engine::Redis7);
    let (fields, packed) = both(&server.url()).await;
    for (old, new) in [(&fields, &packed), (&packed, &fields)] {
        let record = Arc::new(record().with_principal("ann"));
        let id = record.id();
        old.create(&record, NOW).await.unwrap();
        assert!(left(&server, id) > 3_600_000);
        // As if whoever signed in had not looked at the index again yet.
        let key = format!("session:{}", id.encode());
        match layout_of(&server, id) {
            Layout::Packed => server.command(&["SETRANGE", &key, "0", "1"]),
            _ => server.command(&["HSET", &key, "w", "1"]),
        };
        server.command(&["PEXPIRE", &key, "30000"]);
        let set = Changes::new().set("b", number(2));
        write(new, &record, set, None).await.unwrap();
        assert!(
            (1..=30_000).contains(&left(&server, id)),
            "probation was lengthened"
        );
        assert_eq!(new.list_of("ann", NOW).await.unwrap().len(), 1);
        assert_eq!(old.list_of("ann", NOW).await.unwrap().len(), 1);

        // Who signs in as another, in the other layout, ends it, and leaves the former index.
        let base = load(old, id).await;
        let owned = Arc::new(
            (*base)
                .clone()
                .with_principal("bob")
                .with_version(base.version() + 1),
        );
        let update = Update::new(
            Arc::clone(&owned),
            Changes::new().with_metadata(Metadata::Replaced),
            0,
        )
        .with_expected_version(base.version());
        let saved = old.update(&id.into(), &update, NOW).await.unwrap();
        assert!(matches!(saved, Updated::Saved { .. }), "{saved:?}");
        assert!(left(&server, id) > 3_600_000);
        assert_eq!(new.list_of("ann", NOW).await.unwrap().len(), 0);
        assert_eq!(new.list_of("bob", NOW).await.unwrap().len(), 1);
        assert_eq!(
            server
                .command(&["EXISTS", "session:principal:ann"])
                .integer(),
            0
        );
        assert_eq!(
            new.delete_all_of("bob", None, Ended::default())
                .await
                .unwrap(),
            1
        );
        assert!(old.load(&id.into(), NOW).await.unwrap().is_none());
    }
}

/// Requests of one session, on servers of both layouts: nobody's write is lost.
async fn nothing_is_lost(url: &str) {
    let managers: Vec<_> = {
        let mut managers = Vec::new();
        for layout in [LAYOUTS, LAYOUTS].concat() {
            managers.push(SessionManager::new(store(url, layout).await));
        }
        managers
    };
    let token = create(&managers[0], [("shared", 0)]).await;
    let mut tasks = tokio::task::JoinSet::new();
    for who in 0..8_u64 {
        let (manager, token) = (managers[who as usize % 4].clone(), token.clone());
        tasks.spawn(async move {
            for _ in 0..25 {
                let session = open(&manager, &token).await;
                session.insert(&format!("own{who}"), who).unwrap();
                session
                    .update(&format!("count{who}"), |n: Option<u64>| n.unwrap_or(0) + 1)
                    .unwrap();
                session
                    .update("shared", |n: Option<u64>| n.unwrap_or(0) + 1)
                    .unwrap();
                session.finish(Outcome::Success).await.unwrap();
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    for manager in &managers[..2] {
        let numbers = numbers(open(manager, &token).await.session());
        assert_eq!(numbers["shared"], 200);
        for who in 0..8 {
            assert_eq!(
                (
                    numbers[&format!("own{who}")],
                    numbers[&format!("count{who}")]
                ),
                (who, 25)
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_update_is_lost_between_layouts() {
    for engine in Engine::ALL {
        let server = RedisServer::start(engine);
        nothing_is_lost(&server.url()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_update_is_lost_between_layouts_in_a_cluster() {
    let cluster = RedisCluster::start(Engine::Redis7);
    nothing_is_lost(&cluster.url()).await;
}
