//! Sealed values in Redis: nobody who reads the server reads them, and nobody who writes to it
//! makes one.

use std::time::Duration;

use session_core::store::NearCache;
use session_core::{
    OnCorrupt, OnMaxSessions, Session, SessionId, SessionManager, SessionManagerBuilder,
    ValueSealing,
};
use session_redis::{Layout, RedisStore, RedisStoreBuilder};
use session_tests::sealed::{
    SECRET, change, count_and_end, filled, is_refused, ring, write_at_once,
};
use session_tests::servers::{Engine, RedisServer, Reply};
use session_tests::{open, patient_timeouts};

use crate::connect;

const LAYOUTS: [Layout; 2] = [Layout::Fields, Layout::Packed];

async fn builder(store: RedisStoreBuilder) -> SessionManagerBuilder {
    SessionManager::builder(connect(store).await)
        .timeouts(patient_timeouts())
        .on_corrupt(OnCorrupt::Refuse)
}

async fn site(
    server: &RedisServer,
    layout: Layout,
    sealing: impl Into<ValueSealing>,
) -> SessionManager {
    let builder = builder(RedisStore::builder(server.url()).layout(layout)).await;
    builder.seal_values(sealing).build().unwrap()
}

fn key(id: SessionId) -> String {
    format!("session:{}", id.encode())
}

/// Everything that the server has of a session.
fn raw(server: &RedisServer, id: SessionId) -> Vec<u8> {
    let reply = match server.command(&["TYPE", &key(id)]).text().as_str() {
        "hash" => server.command(&["HGETALL", &key(id)]),
        _ => server.command(&["GET", &key(id)]),
    };
    let bytes = |reply: &Reply| match reply {
        Reply::Bulk(bytes) => bytes.clone(),
        other => panic!("{other:?}"),
    };
    match &reply {
        Reply::Array(items) => items.iter().flat_map(bytes).collect(),
        text => bytes(text),
    }
}

fn holds(bytes: &[u8], part: &str) -> bool {
    bytes
        .windows(part.len())
        .any(|there| there == part.as_bytes())
}

/// Copies the field of a value.
fn copy(server: &RedisServer, from: (SessionId, &str), to: (SessionId, &str)) {
    let script =
        "return redis.call('HSET', KEYS[2], ARGV[2], redis.call('HGET', KEYS[1], ARGV[1]))";
    let keys = [key(from.0), key(to.0)];
    let (one, other) = (format!(".{}", from.1), format!(".{}", to.1));
    let reply = server.command(&["EVAL", script, "2", &keys[0], &keys[1], &one, &other]);
    assert!(!reply.is_error(), "{reply:?}");
}

#[tokio::test]
async fn the_server_has_no_value_that_can_be_read() {
    for engine in Engine::ALL {
        let server = RedisServer::start(engine);
        for layout in LAYOUTS {
            let manager = site(&server, layout, ring(1)).await;
            let (token, id) = filled(&manager, |session| {
                session.sign_in("user:42").unwrap();
                session.insert("diagnosis", SECRET).unwrap();
                session.insert("list", vec!["a secret"; 3]).unwrap();
            })
            .await;
            change(&manager, &token, |session| {
                session
                    .update("list", |list: Option<Vec<String>>| {
                        let mut list = list.unwrap();
                        list.push("one more secret".to_owned());
                        list
                    })
                    .unwrap();
            })
            .await;
            let raw = raw(&server, id);
            for part in ["secret", r#""a"#, r#"["a"#] {
                assert!(!holds(&raw, part), "{layout:?}: {part}");
            }
            assert!(
                holds(&raw, "user:42") && holds(&raw, "diagnosis"),
                "{layout:?}"
            );

            // Another process, which has nothing in its memory.
            let other = site(&server, layout, ring(1)).await;
            let session = open(&other, &token).await;
            assert_eq!(session.get::<String>("diagnosis").unwrap().unwrap(), SECRET);
            assert_eq!(
                session.get::<Vec<String>>("list").unwrap().unwrap().len(),
                4
            );
        }
    }
}

#[tokio::test]
async fn a_value_that_was_copied_opens_nowhere_else() {
    let server = RedisServer::start(Engine::Redis7);
    let manager = || site(&server, Layout::Fields, ring(1));
    let fill = |session: &Session| {
        session.insert("a", SECRET).unwrap();
        session.insert("b", "theirs").unwrap();
    };
    let (token, id) = filled(&manager().await, fill).await;
    let (other_token, other) = filled(&manager().await, fill).await;
    assert!(!is_refused(&manager().await, &token).await);
    copy(&server, (id, "a"), (id, "b"));
    assert!(is_refused(&manager().await, &token).await);
    copy(&server, (id, "a"), (other, "a"));
    assert!(is_refused(&manager().await, &other_token).await);
    assert!(is_refused(&site(&server, Layout::Fields, ring(2)).await, &token).await);
}

#[tokio::test]
async fn keys_rotate_and_values_from_before_are_sealed_when_they_are_written() {
    for layout in LAYOUTS {
        let server = RedisServer::start(Engine::Redis7);
        let plain = builder(RedisStore::builder(server.url()).layout(layout)).await;
        let plain = plain.build().unwrap();
        let (token, id) = filled(&plain, |session| {
            session.sign_in("ann").unwrap();
            session.insert("a", "a secret").unwrap();
            session.insert("b", "another secret").unwrap();
        })
        .await;
        let first = site(&server, layout, ring(1)).await;
        change(&first, &token, |session| {
            assert_eq!(session.get::<String>("a").unwrap().unwrap(), "a secret");
            session.insert("a", "a newer secret").unwrap();
        })
        .await;
        let there = raw(&server, id);
        assert!(
            !holds(&there, "newer") && holds(&there, "another secret"),
            "{layout:?}"
        );
        assert!(is_refused(&plain, &token).await);

        let second = site(&server, layout, ring(2).with_older([1; 32]).unwrap()).await;
        change(&second, &token, |session| {
            assert_eq!(session.principal().as_deref(), Some("ann"));
            assert_eq!(
                session.get::<String>("a").unwrap().unwrap(),
                "a newer secret"
            );
            assert_eq!(
                session.get::<String>("b").unwrap().unwrap(),
                "another secret"
            );
            session.insert("a", "the newest secret").unwrap();
            session.insert("b", "sealed").unwrap();
        })
        .await;
        assert!(!holds(&raw(&server, id), "secret"));
        let only = ValueSealing::new(ring(2)).sealed_only();
        let third = site(&server, layout, only).await;
        let session = open(&third, &token).await;
        assert_eq!(
            session.get::<String>("a").unwrap().unwrap(),
            "the newest secret"
        );
        assert!(is_refused(&first, &token).await);
    }
}

#[tokio::test]
async fn writers_at_once_lose_nothing() {
    let server = RedisServer::start(Engine::Redis7);
    for layout in LAYOUTS {
        let store = || RedisStore::builder(server.url()).layout(layout);
        let near = NearCache::new(Duration::from_millis(50));
        let sealed = async |store| builder(store).await.seal_values(ring(1)).build().unwrap();
        let managers = [
            sealed(store()).await,
            sealed(store().near_cache(near)).await,
        ];
        let id = write_at_once(&managers).await;
        assert!(!holds(&raw(&server, id), "secret"));
    }
}

#[tokio::test]
async fn sessions_are_counted_and_ended() {
    let server = RedisServer::start(Engine::Redis7);
    for layout in LAYOUTS {
        let manager = builder(RedisStore::builder(server.url()).layout(layout)).await;
        let manager = manager
            .max_sessions(1, OnMaxSessions::RevokeOldest)
            .seal_values(ValueSealing::new(ring(1)).sealed_only())
            .build()
            .unwrap();
        count_and_end(&manager).await;
    }
}
