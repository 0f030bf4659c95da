//! Many readers at once, whose questions are one command: each gets the answer to its own.

use std::sync::Arc;
use std::time::Duration;

use session_core::store::{Changes, Record, RecordKey, SessionStore, StoreError, Update};
use session_core::{Clock, Codec, Ended, Lifetime, SessionId, SystemClock};
use session_redis::{Layout, RedisStore};
use session_tests::servers::{Engine, RedisServer};
use tokio::task::JoinSet;

use crate::connect;

const SESSIONS: usize = 300;

/// What was done to a session behind the reader's back.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Kept,
    Written,
    OtherLayout,
    Ended,
    Removed,
    Damaged,
    Foreign,
}

const FATES: [Fate; 10] = [
    Fate::Kept,
    Fate::Kept,
    Fate::Written,
    Fate::Kept,
    Fate::OtherLayout,
    Fate::Ended,
    Fate::Kept,
    Fate::Removed,
    Fate::Damaged,
    Fate::Foreign,
];

async fn write(store: &RedisStore, key: &RecordKey, number: u64) {
    let now = SystemClock.now();
    let record = store.load(key, now).await.unwrap().unwrap();
    let changes = Changes::new().set("a", Codec::Json.encode(&number).unwrap());
    let update = Update::new(
        Arc::new(changes.apply(&record)),
        changes.clone(),
        record.epoch(),
    )
    .with_base_tag(record.tag());
    store.update(key, &update, now).await.unwrap();
}

/// How many commands have asked for sessions. Scripts call `GET` too, so it counts only where it
/// is not `by_script` that stores ask.
fn calls(server: &RedisServer, by_script: bool) -> usize {
    let stats = server.command(&["INFO", "commandstats"]).text();
    let of = |name: &str| -> usize {
        let calls = stats.split(&format!("cmdstat_{name}:calls=")).nth(1);
        let number = calls.and_then(|calls| calls.split(',').next());
        number.map_or(0, |number| number.parse().unwrap())
    };
    match by_script {
        true => of("evalsha"),
        false => of("evalsha") + of("get") + of("mget"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_gets_its_own_answer() {
    // A packed session that is small is asked for in another way.
    for (layout, size) in [
        (Layout::Fields, 8),
        (Layout::Packed, 8),
        (Layout::Packed, 2000),
    ] {
        let by_script = layout == Layout::Fields || size > 1024;
        let text = Codec::Json.encode(&"x".repeat(size)).unwrap();
        let server = RedisServer::start(Engine::Redis7);
        let builder = || RedisStore::builder(server.url()).layout(layout);
        let (reader, writer) = (connect(builder()).await, connect(builder()).await);
        let other = match layout {
            Layout::Packed => Layout::Fields,
            _ => Layout::Packed,
        };
        let unlike = connect(builder().layout(other)).await;
        let now = SystemClock.now();
        let mut keys = Vec::new();
        for n in 0..SESSIONS {
            let id = SessionId::random().unwrap();
            let record = Record::new(id, "id", Lifetime::default(), now)
                .with_value("a", Codec::Json.encode(&n).unwrap())
                .with_value("text", text.clone());
            keys.push(reader.create(&Arc::new(record), now).await.unwrap());
        }
        for (n, key) in keys.iter().enumerate() {
            let name = format!("session:{}", key.id().unwrap().encode());
            match FATES[n % FATES.len()] {
                Fate::Kept => {}
                Fate::Written => write(&writer, key, 1_000_000 + n as u64).await,
                Fate::OtherLayout => write(&unlike, key, 1_000_000 + n as u64).await,
                Fate::Ended => writer.delete(key, Ended::default()).await.unwrap(),
                Fate::Removed => drop(server.command(&["DEL", &name])),
                Fate::Damaged => {
                    server.command(&["DEL", &name]);
                    match layout {
                        Layout::Packed => server.command(&["SET", &name, "damaged"]),
                        _ => server.command(&["HSET", &name, "s", "damaged"]),
                    };
                }
                Fate::Foreign => {
                    server.command(&["DEL", &name]);
                    server.command(&["SADD", &name, "a"]);
                }
            }
        }
        server.command(&["SCRIPT", "FLUSH"]);
        let before = calls(&server, by_script);
        let mut all = JoinSet::new();
        for (n, key) in keys.iter().cloned().enumerate() {
            let reader = reader.clone();
            all.spawn(async move { (n, reader.load(&key, now).await) });
        }
        let answers = all.join_all().await;
        assert_eq!(answers.len(), SESSIONS);
        for (n, answer) in answers {
            let number =
                |record: &Record| -> usize { record.values().get("a").unwrap().decode().unwrap() };
            match (FATES[n % FATES.len()], answer) {
                (Fate::Kept, Ok(Some(record))) => assert_eq!(number(&record), n),
                (Fate::Written | Fate::OtherLayout, Ok(Some(record))) => {
                    assert_eq!(number(&record), 1_000_000 + n);
                }
                (Fate::Ended | Fate::Removed, Ok(None)) => {}
                (Fate::Damaged, Err(StoreError::Corrupt(_))) => {}
                (Fate::Foreign, Err(StoreError::Unavailable(_) | StoreError::Corrupt(_))) => {}
                (_, answer) => panic!("{layout:?} {size} {n}: {answer:?}"),
            }
        }
        // One by one it would be a command for each, and one more for each that has another layout.
        let asked = calls(&server, by_script) - before;
        assert!(asked < SESSIONS, "{layout:?} {size}: {asked}");
    }
}

/// A reader that is not polled any more holds up nobody.
#[tokio::test]
async fn who_has_gone_or_stands_still_holds_up_nobody() {
    let server = RedisServer::start(Engine::Redis7);
    let store = connect(RedisStore::builder(server.url())).await;
    let now = SystemClock.now();
    let mut keys = Vec::new();
    for _ in 0..20 {
        let id = SessionId::random().unwrap();
        let record = Record::new(id, "id", Lifetime::default(), now);
        keys.push(store.create(&Arc::new(record), now).await.unwrap());
    }
    let mut loads: Vec<_> = keys.iter().map(|key| store.load(key, now)).collect();
    for load in &mut loads {
        let polled = futures_util::poll!(load.as_mut());
        assert!(polled.is_pending());
    }
    // Of those that have begun, the last one alone is polled again.
    let last = loads.pop().unwrap();
    let found = tokio::time::timeout(Duration::from_secs(10), last).await;
    assert!(found.unwrap().unwrap().is_some());
    drop(loads);
    for key in &keys {
        assert!(store.load(key, now).await.unwrap().is_some());
    }
}
