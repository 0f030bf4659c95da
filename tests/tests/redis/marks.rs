//! The marks that ended sessions leave in Redis: for a minute, in either layout, also on a server
//! without room.

use std::sync::Arc;
use std::time::Duration;

use session_core::store::{PrincipalIndex, Record, RecordKey, SessionStore};
use session_core::{Clock, EndReason, Ended, Lifetime, SessionId, SystemClock, Timestamp};
use session_redis::{Layout, RedisStore};
use session_tests::servers::{Engine, RedisServer};

use crate::connect;

const LAYOUTS: [Layout; 2] = [Layout::Fields, Layout::Packed];

async fn over(server: &RedisServer, layout: Layout) -> RedisStore {
    connect(RedisStore::builder(server.url()).layout(layout)).await
}

async fn create(store: &RedisStore, principal: Option<&str>, now: Timestamp) -> SessionId {
    let id = SessionId::random().unwrap();
    let record = Record::new(id, "id", Lifetime::default(), now);
    let record = match principal {
        Some(principal) => record.with_principal(principal.to_owned()),
        None => record,
    };
    store.create(&Arc::new(record), now).await.unwrap();
    id
}

fn key(id: SessionId) -> String {
    format!("session:{}", id.encode())
}

async fn mark(store: &RedisStore, id: SessionId, now: Timestamp) -> Option<Ended> {
    store.load(&id.into(), now).await.unwrap()?.ended()
}

#[tokio::test]
async fn a_mark_is_small_and_gone_after_a_minute_and_no_index_has_it() {
    for engine in Engine::ALL {
        let server = RedisServer::start(engine);
        for layout in LAYOUTS {
            let store = over(&server, layout).await;
            let now = SystemClock.now();
            let ended = Ended::new(EndReason::Revoked, now);
            let mut ids = Vec::new();
            for _ in 0..4 {
                ids.push(create(&store, Some("ann"), now).await);
            }
            store.delete(&ids[0].into(), ended).await.unwrap();
            assert!(store.delete_one_of("ann", ids[1], ended).await.unwrap());
            assert_eq!(store.delete_all_of("ann", None, ended).await.unwrap(), 2);
            for id in &ids {
                assert_eq!(mark(&store, *id, now).await, Some(ended), "{layout:?}");
                let left = server.command(&["PTTL", &key(*id)]).integer();
                assert!((1..=60_000).contains(&left), "{left}");
                let bytes = server.command(&["MEMORY", "USAGE", &key(*id)]).integer();
                assert!(bytes <= 280, "{engine} {layout:?}: {bytes}");
                let over = now + Duration::from_secs(60);
                assert_eq!(mark(&store, *id, over).await, None);
            }
            let index = server.command(&["EXISTS", "session:principal:ann"]);
            assert_eq!(index.integer(), 0, "{layout:?}");
            server.command(&["FLUSHALL"]);
        }
    }
}

#[tokio::test]
async fn the_first_mark_stays_and_stores_of_both_layouts_know_it() {
    let server = RedisServer::start(Engine::Redis7);
    let now = SystemClock.now();
    for layout in LAYOUTS {
        for other in LAYOUTS {
            for ends in LAYOUTS {
                let store = over(&server, layout).await;
                let (other, ends) = (over(&server, other).await, over(&server, ends).await);
                let id = create(&store, Some("ann"), now).await;
                let first = Ended::new(EndReason::Exchanged, now);
                ends.delete(&id.into(), first).await.unwrap();
                let again = Ended::new(EndReason::Revoked, now + Duration::from_secs(1));
                other.delete(&id.into(), again).await.unwrap();
                assert!(!other.delete_one_of("ann", id, again).await.unwrap());
                assert_eq!(other.delete_all_of("ann", None, again).await.unwrap(), 0);
                for store in [&store, &other, &ends] {
                    assert_eq!(mark(store, id, now).await, Some(first));
                    assert!(store.list_of("ann", now).await.unwrap().is_empty());
                }
            }
        }
    }
}

#[tokio::test]
async fn a_mark_comes_in_place_of_its_session_on_a_server_without_room() {
    for engine in Engine::ALL {
        for layout in LAYOUTS {
            let server = RedisServer::start(engine);
            let store = over(&server, layout).await;
            let now = SystemClock.now();
            let id = create(&store, None, now).await;
            let theirs = create(&store, Some("ann"), now).await;
            server.command(&["CONFIG", "SET", "maxmemory", "1"]);
            let ended = Ended::new(EndReason::Destroyed, now);
            store.delete(&id.into(), ended).await.unwrap();
            assert_eq!(store.delete_all_of("ann", None, ended).await.unwrap(), 1);
            for id in [id, theirs] {
                // What ended makes room for the mark. Without one it would have ended too.
                assert_eq!(
                    mark(&store, id, now).await,
                    Some(ended),
                    "{engine} {layout:?}"
                );
            }
        }
    }
}

#[tokio::test]
async fn an_end_without_a_time_leaves_nothing() {
    let server = RedisServer::start(Engine::Redis7);
    for layout in LAYOUTS {
        let store = over(&server, layout).await;
        let now = SystemClock.now();
        let id = create(&store, None, now).await;
        for at in [
            Timestamp::default(),
            Timestamp::from_millis(now.as_millis() - 60_000),
        ] {
            store
                .delete(&RecordKey::Id(id), Ended::new(EndReason::Revoked, at))
                .await
                .unwrap();
            assert_eq!(server.command(&["EXISTS", &key(id)]).integer(), 0);
        }
    }
}
