//! Values that are sealed in the store: who reads or writes the database reads none and makes none.
#![allow(clippy::panic, clippy::unwrap_used, reason = "these are tests")]

use std::error::Error as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use session_core::store::{
    CachedStore, Changes, MigratingStore, NearCache, Record, RecordKey, RecordLocation,
    SessionStore, StoreError, Update, Updated, Value,
};
use session_core::{
    Codec, Directive, EndReason, Ended, Event, EventKind, KeyRing, Lifetime, Limits, ManualClock,
    MemoryStore, OnCorrupt, OnMaxSessions, Outcome, Rotation, Session, SessionError, SessionId,
    SessionManager, SessionManagerBuilder, Timestamp, ValueSealing,
};

mod lists;
mod meetings;
mod renewals;
mod reseal;
mod saves;
mod unopened;

const NOW: Timestamp = Timestamp::from_millis(1_000_000_000);
const OVERHEAD: usize = 46;

fn ring(byte: u8) -> KeyRing {
    KeyRing::new([byte; 32]).unwrap()
}

fn builder(store: &Arc<MemoryStore>) -> SessionManagerBuilder {
    let clock = ManualClock::new(NOW);
    SessionManager::builder(Arc::clone(store))
        .clock(clock)
        .on_corrupt(OnCorrupt::Refuse)
}

fn sealing(store: &Arc<MemoryStore>, sealing: impl Into<ValueSealing>) -> SessionManager {
    builder(store).seal_values(sealing).build().unwrap()
}

fn plain(store: &Arc<MemoryStore>) -> SessionManager {
    builder(store).build().unwrap()
}

/// A new session that a request has filled, and its token.
async fn filled(manager: &SessionManager, fill: impl FnOnce(&Session)) -> (SessionId, String) {
    let session = manager.begin(&[]).await.unwrap();
    fill(&session);
    let handle = Session::clone(&session);
    let directive = session.finish(Outcome::Success).await.unwrap();
    let Directive::Hold(token) = directive else {
        panic!("no token")
    };
    (handle.id().unwrap(), token.as_str().to_owned())
}

/// A request that changes its session.
async fn change(manager: &SessionManager, token: &str, change: impl FnOnce(&Session)) {
    let session = manager.begin(&[token]).await.unwrap();
    assert!(!session.is_new());
    change(&session);
    session.finish(Outcome::Success).await.unwrap();
}

async fn read(manager: &SessionManager, token: &str, key: &str) -> Option<String> {
    let session = manager.begin(&[token]).await.unwrap();
    assert!(!session.is_new());
    session.get(key).unwrap()
}

async fn raw(store: &MemoryStore, id: SessionId) -> Arc<Record> {
    store.load(&id.into(), NOW).await.unwrap().unwrap()
}

/// What somebody does who writes to the database.
async fn put(store: &MemoryStore, id: SessionId, key: &str, value: Value) {
    let old = raw(store, id).await;
    let changes = Changes::new().set(key, value);
    let update = Update::new(Arc::new(changes.apply(&old)), changes, old.epoch());
    let updated = store.update(&id.into(), &update, NOW).await.unwrap();
    assert!(matches!(updated, Updated::Saved { .. }));
}

/// The cause of the refusal.
async fn refused(manager: &SessionManager, token: &str) -> String {
    match manager.begin(&[token]).await {
        Err(SessionError::Store(error @ StoreError::Corrupt(_))) => {
            error.source().unwrap().to_string()
        }
        other => panic!("it was not refused: {other:?}"),
    }
}

fn codecs(record: &Record) -> Vec<(String, Codec)> {
    let values = record.values().iter();
    values
        .map(|(key, value)| (key.to_owned(), value.codec()))
        .collect()
}

fn named<const N: usize>(codecs: [(&str, Codec); N]) -> Vec<(String, Codec)> {
    codecs.map(|(key, codec)| (key.to_owned(), codec)).into()
}

fn holds(bytes: &[u8], part: &str) -> bool {
    bytes
        .windows(part.len())
        .any(|there| there == part.as_bytes())
}

#[tokio::test]
async fn the_store_has_no_value_that_can_be_read() {
    for codec in [Codec::Json, Codec::Postcard] {
        let store = Arc::new(MemoryStore::new());
        let manager = builder(&store).codec(codec).seal_values(ring(1)).build();
        let manager = manager.unwrap();
        let (id, token) = filled(&manager, |session| {
            session.sign_in("user:42").unwrap();
            session.insert("a", "a secret of Ann").unwrap();
            session.insert("n", 42_u32).unwrap();
        })
        .await;
        change(&manager, &token, |session| {
            session.insert("b", "another secret").unwrap();
        })
        .await;

        let record = raw(&store, id).await;
        let bytes = record.encode();
        assert!(!holds(&bytes, "secret") && holds(&bytes, "user:42"));
        let sealed = named(["a", "b", "n"].map(|key| (key, Codec::Sealed)));
        assert_eq!(codecs(&record), sealed);
        assert_eq!(Record::decode(bytes).unwrap(), *record);

        assert_eq!(
            read(&manager, &token, "a").await.unwrap(),
            "a secret of Ann"
        );
        let session = manager.begin(&[&token]).await.unwrap();
        assert_eq!(session.get::<u32>("n").unwrap(), Some(42));
        assert_eq!(session.keys(), ["a", "b", "n"]);
    }
}

#[tokio::test]
async fn a_value_is_sealed_anew_with_each_write_and_not_without_one() {
    let store = Arc::new(MemoryStore::new());
    let manager = sealing(&store, ring(1));
    let (id, token) = filled(&manager, |session| {
        session.insert("a", "same").unwrap();
        session.insert("b", "same").unwrap();
    })
    .await;
    let value = async |key: &str| raw(&store, id).await.values().get(key).unwrap().clone();
    let (a, b) = (value("a").await, value("b").await);
    assert_ne!(a, b);
    assert_eq!(a.bytes().len(), r#""same""#.len() + OVERHEAD);

    change(&manager, &token, |session| {
        session.insert("a", "same").unwrap(); // no write
    })
    .await;
    assert_eq!(raw(&store, id).await.version(), 1);
    change(&manager, &token, |session| {
        session.insert("b", "other").unwrap();
    })
    .await;
    assert_eq!(value("a").await, a);
    let other = value("b").await;
    change(&manager, &token, |session| {
        session.set_label("a label").unwrap();
    })
    .await;
    assert_eq!((value("a").await, value("b").await), (a, other));
}

/// Several saves of one request, and a removal among them.
#[tokio::test]
async fn each_save_of_a_request_writes_what_the_one_before_wrote() {
    let store = Arc::new(MemoryStore::new());
    let manager = sealing(&store, ring(1));
    let (id, token) = filled(&manager, |session| session.insert("a", "1").unwrap()).await;
    let session = manager.begin(&[&token]).await.unwrap();
    for key in ["b", "c", "d"] {
        session.insert(key, key).unwrap();
        session.save().await.unwrap();
        assert!(session.get::<String>(key).unwrap().is_some());
    }
    session.remove("b");
    session.save().await.unwrap();
    session.finish(Outcome::Success).await.unwrap();
    let sealed = named(["a", "c", "d"].map(|key| (key, Codec::Sealed)));
    assert_eq!(codecs(&*raw(&store, id).await), sealed);
    for (key, value) in [
        ("a", Some("1")),
        ("b", None),
        ("c", Some("c")),
        ("d", Some("d")),
    ] {
        assert_eq!(read(&manager, &token, key).await.as_deref(), value);
    }
    change(&manager, &token, |session| session.clear()).await;
    assert!(raw(&store, id).await.values().is_empty());
    change(&manager, &token, |session| {
        session.insert("e", "e").unwrap();
    })
    .await;
    assert_eq!(read(&manager, &token, "e").await.unwrap(), "e");
}

mod changed_in_the_database {
    use super::*;

    /// A session with a sealed value, its bytes, and its manager.
    async fn one() -> (Arc<MemoryStore>, SessionManager, SessionId, String, Vec<u8>) {
        let store = Arc::new(MemoryStore::new());
        let manager = sealing(&store, ring(1));
        let (id, token) = filled(&manager, |session| session.insert("a", 1).unwrap()).await;
        let bytes = raw(&store, id)
            .await
            .values()
            .get("a")
            .unwrap()
            .bytes()
            .to_vec();
        (store, manager, id, token, bytes)
    }

    fn sealed(bytes: impl Into<Vec<u8>>) -> Value {
        Value::new(Codec::Sealed, bytes.into())
    }

    #[tokio::test]
    async fn no_bit_of_a_sealed_value_can_be_flipped() {
        let (store, manager, id, token, bytes) = one().await;
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            put(&store, id, "a", sealed(changed)).await;
            let cause = refused(&manager, &token).await;
            let expected = match bit / 8 {
                0 => "a value is sealed in a form that this version does not know",
                1..5 => "a value is sealed with a key that is not among the keys",
                _ => "a sealed value does not open: it was changed",
            };
            assert!(cause.starts_with(expected), "{bit}: {cause}");
        }
        put(&store, id, "a", sealed(bytes)).await;
        change(&manager, &token, |session| {
            assert_eq!(session.get("a").unwrap(), Some(1));
        })
        .await;
    }

    #[tokio::test]
    async fn no_sealed_value_can_be_cut_or_lengthened() {
        let (store, manager, id, token, bytes) = one().await;
        for length in 0..bytes.len() {
            put(&store, id, "a", sealed(&bytes[..length])).await;
            let cause = refused(&manager, &token).await;
            assert!(
                cause.starts_with("a sealed value does not open"),
                "{length}"
            );
        }
        put(&store, id, "a", sealed([&bytes[..], b"\0"].concat())).await;
        refused(&manager, &token).await;
    }

    #[tokio::test]
    async fn a_sealed_value_opens_only_where_it_was_sealed() {
        let (store, manager, id, token, bytes) = one().await;
        put(&store, id, "b", sealed(&*bytes)).await;
        refused(&manager, &token).await;

        let (other, token) = filled(&manager, |session| session.insert("a", 2).unwrap()).await;
        put(&store, other, "a", sealed(&*bytes)).await;
        refused(&manager, &token).await;

        // The same keys in another scope.
        let elsewhere = builder(&store).scope("other").seal_values(ring(1)).build();
        let elsewhere = elsewhere.unwrap();
        let (other, token) = filled(&elsewhere, |session| session.insert("a", 2).unwrap()).await;
        put(&store, other, "a", sealed(&*bytes)).await;
        refused(&elsewhere, &token).await;
    }

    /// Names and scopes that are alike once they are put together.
    #[tokio::test]
    async fn no_two_places_are_alike() {
        let store = Arc::new(MemoryStore::new());
        let manager = sealing(&store, ring(1));
        let (id, token) = filled(&manager, |session| session.insert("ab", 1).unwrap()).await;
        let bytes = raw(&store, id)
            .await
            .values()
            .get("ab")
            .unwrap()
            .bytes()
            .to_vec();
        for key in ["a", "abc", "", "ab\0", "AB"] {
            put(&store, id, key, sealed(&*bytes)).await;
            refused(&manager, &token).await;
            let old = raw(&store, id).await;
            let changes = Changes::new().remove(key);
            let update = Update::new(Arc::new(changes.apply(&old)), changes, 0);
            store.update(&id.into(), &update, NOW).await.unwrap();
        }
        change(&manager, &token, |_| {}).await;
    }

    #[tokio::test]
    async fn other_keys_open_nothing() {
        let (store, _, _, token, _) = one().await;
        let cause = refused(&sealing(&store, ring(2)), &token).await;
        assert_eq!(
            cause,
            "a value is sealed with a key that is not among the keys of `seal_values`; add the key"
        );
    }

    /// A program that knows nothing of the keys reads no value as another one.
    #[tokio::test]
    async fn without_keys_a_sealed_value_is_refused() {
        let (store, _, _, token, _) = one().await;
        let cause = refused(&plain(&store), &token).await;
        assert_eq!(
            cause,
            "a value is sealed, and this program has no keys for it; set `seal_values`"
        );
    }

    #[tokio::test]
    async fn what_does_not_open_is_an_event_and_a_new_session_by_default() {
        let (store, _, id, token, bytes) = one().await;
        let events = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&events);
        let manager = builder(&store)
            .on_corrupt(OnCorrupt::StartEmpty)
            .observer(move |event: &Event<'_>| seen.lock().unwrap().push(event.kind))
            .seal_values(ring(1))
            .build()
            .unwrap();
        put(&store, id, "b", sealed(bytes)).await;
        let session = manager.begin(&[&token]).await.unwrap();
        assert!(session.is_new() && session.keys().is_empty());
        assert!(events.lock().unwrap().contains(&EventKind::Corrupt));
    }

    /// A commit that meets it writes nothing.
    #[tokio::test]
    async fn what_does_not_open_fails_a_commit_that_meets_it() {
        let (store, manager, id, token, bytes) = one().await;
        let session = manager.begin(&[&token]).await.unwrap();
        session
            .update("a", |n: Option<u32>| n.unwrap_or(0) + 1)
            .unwrap();
        put(&store, id, "b", sealed(bytes)).await;
        let before = raw(&store, id).await;
        let error = session.finish(Outcome::Success).await.unwrap_err();
        let is_corrupt = matches!(error.error, SessionError::Store(StoreError::Corrupt(_)));
        assert!(is_corrupt, "{error:?}");
        assert_eq!(raw(&store, id).await, before);
    }

    /// A record that was copied whole, in a store that does not notice.
    #[tokio::test]
    async fn a_record_of_another_session_opens_nothing() {
        let store = Arc::new(Swapped::default());
        let manager = SessionManager::builder(Arc::clone(&store))
            .on_corrupt(OnCorrupt::Refuse)
            .seal_values(ring(1))
            .build()
            .unwrap();
        let (id, token) = filled(&manager, |session| session.insert("a", 1).unwrap()).await;
        let (_, mine) = filled(&manager, |session| session.insert("a", 2).unwrap()).await;
        assert_eq!(
            manager.begin(&[&token]).await.unwrap().get("a").unwrap(),
            Some(1)
        );
        *store.instead.lock().unwrap() = Some(id);
        assert_eq!(
            refused(&manager, &mine).await,
            format!("the record is that of session {}", id.short())
        );
    }

    /// Returns another record than it was asked for.
    #[derive(Debug, Default)]
    struct Swapped {
        inner: MemoryStore,
        instead: Mutex<Option<SessionId>>,
    }

    #[async_trait]
    impl SessionStore for Swapped {
        fn location(&self) -> RecordLocation {
            RecordLocation::Server
        }

        async fn load(
            &self,
            key: &RecordKey,
            now: Timestamp,
        ) -> Result<Option<Arc<Record>>, StoreError> {
            let instead = self.instead.lock().unwrap().map(RecordKey::Id);
            self.inner.load(instead.as_ref().unwrap_or(key), now).await
        }

        async fn create(
            &self,
            record: &Arc<Record>,
            now: Timestamp,
        ) -> Result<RecordKey, StoreError> {
            self.inner.create(record, now).await
        }

        async fn update(
            &self,
            key: &RecordKey,
            update: &Update,
            now: Timestamp,
        ) -> Result<Updated, StoreError> {
            self.inner.update(key, update, now).await
        }

        async fn delete(&self, key: &RecordKey, ended: Ended) -> Result<(), StoreError> {
            self.inner.delete(key, ended).await
        }
    }
}

mod keys {
    use super::*;

    #[tokio::test]
    async fn keys_rotate_and_nobody_is_signed_out() {
        let store = Arc::new(MemoryStore::new());
        let old = sealing(&store, ring(1));
        let (id, token) = filled(&old, |session| {
            session.sign_in("ann").unwrap();
            session.insert("a", "first").unwrap();
            session.insert("b", "first").unwrap();
        })
        .await;
        // First every process can open what the new key will seal, then the new key seals.
        let before = sealing(&store, ring(1).with_older([2; 32]).unwrap());
        let after = sealing(&store, ring(2).with_older([1; 32]).unwrap());
        change(&after, &token, |session| {
            assert_eq!(session.principal().as_deref(), Some("ann"));
            session.insert("a", "second").unwrap();
        })
        .await;
        let ids = async || {
            let record = raw(&store, id).await;
            ["a", "b"].map(|key| record.values().get(key).unwrap().bytes()[1..5].to_vec())
        };
        let [new, still_old] = ids().await;
        assert_ne!(new, still_old);
        for manager in [&before, &after] {
            assert_eq!(read(manager, &token, "a").await.unwrap(), "second");
            assert_eq!(read(manager, &token, "b").await.unwrap(), "first");
        }
        refused(&old, &token).await;
        refused(&sealing(&store, ring(2)), &token).await;
        change(&after, &token, |session| {
            session.insert("b", "second").unwrap();
        })
        .await;
        assert_eq!(ids().await, [new.clone(), new]);
        assert_eq!(
            read(&sealing(&store, ring(2)), &token, "b").await.unwrap(),
            "second"
        );
    }

    #[tokio::test]
    async fn values_from_before_are_read_and_sealed_when_they_are_written() {
        let store = Arc::new(MemoryStore::new());
        let (id, token) = filled(&plain(&store), |session| {
            session.insert("a", "from before").unwrap();
            session.insert("b", "from before").unwrap();
        })
        .await;
        let manager = sealing(&store, ring(1));
        assert_eq!(read(&manager, &token, "a").await.unwrap(), "from before");
        change(&manager, &token, |session| {
            session.set_label("label").unwrap();
        })
        .await;
        assert_eq!(
            codecs(&*raw(&store, id).await),
            named([("a", Codec::Json), ("b", Codec::Json)])
        );
        change(&manager, &token, |session| {
            session.insert("b", "new").unwrap();
        })
        .await;
        assert_eq!(
            codecs(&*raw(&store, id).await),
            named([("a", Codec::Json), ("b", Codec::Sealed)])
        );

        let strict = sealing(&store, ValueSealing::new(ring(1)).sealed_only());
        assert_eq!(
            refused(&strict, &token).await,
            "a value is not sealed, and `sealed_only` refuses it; was it written by somebody else?"
        );
        change(&manager, &token, |session| {
            session.insert("a", "new").unwrap();
        })
        .await;
        assert_eq!(read(&strict, &token, "a").await.unwrap(), "new");
        put(&store, id, "a", Value::new(Codec::Json, r#""forged""#)).await;
        assert_eq!(read(&manager, &token, "a").await.unwrap(), "forged");
        refused(&strict, &token).await;
    }

    #[tokio::test]
    async fn values_are_written_as_they_are_before_sealing_begins() {
        let store = Arc::new(MemoryStore::new());
        let ready = sealing(&store, ValueSealing::new(ring(1)).writing_plain());
        let (id, token) = filled(&ready, |session| session.insert("a", "1").unwrap()).await;
        assert_eq!(codecs(&*raw(&store, id).await), named([("a", Codec::Json)]));
        let manager = sealing(&store, ring(1));
        change(&manager, &token, |session| {
            session.insert("b", "2").unwrap();
        })
        .await;
        change(&ready, &token, |session| session.insert("c", "3").unwrap()).await;
        let record = raw(&store, id).await;
        let expected = named([("a", Codec::Json), ("b", Codec::Sealed), ("c", Codec::Json)]);
        assert_eq!(codecs(&record), expected);
        // Two saves: the second one does not know what the store has of the first.
        let session = ready.begin(&[&token]).await.unwrap();
        session.insert("d", "4").unwrap();
        session.save().await.unwrap();
        session.insert("e", "5").unwrap();
        session.finish(Outcome::Success).await.unwrap();
        for manager in [&ready, &manager] {
            for (key, value) in [("a", "1"), ("b", "2"), ("c", "3"), ("d", "4"), ("e", "5")] {
                assert_eq!(read(manager, &token, key).await.unwrap(), value);
            }
        }
    }

    /// How sealing begins and how it ends, in the steps of the guide: in each one, nodes of two
    /// neighbouring steps open what the other one writes.
    #[tokio::test]
    async fn nodes_of_neighbouring_steps_read_each_other() {
        let new = || ValueSealing::new(ring(1));
        let store = Arc::new(MemoryStore::new());
        let steps = [
            new().writing_plain(),
            new(),
            new().sealed_only(),
            new(),
            new().writing_plain(),
        ];
        let nodes = steps.map(|step| sealing(&store, step));
        let without = [plain(&store), plain(&store)];
        let nodes: Vec<_> = std::iter::once(&without[0])
            .chain(&nodes)
            .chain(&without[1..])
            .collect();
        for pair in nodes.windows(2) {
            let (_, token) = filled(pair[0], |session| session.insert("a", "0").unwrap()).await;
            for (at, node) in [0, 1, 0, 1].into_iter().enumerate() {
                assert!(read(pair[node], &token, "a").await.is_some());
                let key = format!("k{at}");
                change(pair[node], &token, |session| {
                    session.insert("a", at.to_string()).unwrap();
                    session.insert(&key, "1").unwrap();
                })
                .await;
                for node in pair {
                    assert_eq!(read(node, &token, "a").await, Some(at.to_string()));
                }
            }
        }
        // From the strict step to plain values at once, a node refuses what another one writes.
        let (_, token) = filled(nodes[5], |session| session.insert("a", "0").unwrap()).await;
        refused(nodes[3], &token).await;
    }

    #[test]
    fn a_sealed_store_and_a_sealed_codec_are_refused() {
        #[derive(Debug)]
        struct OnClient;

        #[async_trait]
        impl SessionStore for OnClient {
            fn location(&self) -> RecordLocation {
                RecordLocation::client(40, 1)
            }

            async fn load(
                &self,
                _: &RecordKey,
                _: Timestamp,
            ) -> Result<Option<Arc<Record>>, StoreError> {
                Ok(None)
            }

            async fn create(&self, _: &Arc<Record>, _: Timestamp) -> Result<RecordKey, StoreError> {
                Err(StoreError::IdTaken)
            }

            async fn update(
                &self,
                _: &RecordKey,
                _: &Update,
                _: Timestamp,
            ) -> Result<Updated, StoreError> {
                Ok(Updated::Gone)
            }

            async fn delete(&self, _: &RecordKey, _: Ended) -> Result<(), StoreError> {
                Ok(())
            }
        }

        let refused = SessionManager::builder(OnClient)
            .seal_values(ring(1))
            .build();
        assert_eq!(
            refused.unwrap_err().to_string(),
            "a sealed store seals whole sessions already; leave out `seal_values`"
        );
        let refused = SessionManager::builder(MemoryStore::new())
            .codec(Codec::Sealed)
            .build();
        assert_eq!(
            refused.unwrap_err().to_string(),
            "`Codec::Sealed` marks what `seal_values` has sealed; choose `Codec::Json` or \
             `Codec::Postcard`, and set `seal_values` to have values sealed"
        );
        let fault = Codec::Sealed.encode(&1).unwrap_err();
        assert_eq!(
            fault.category(),
            "a sealed value, which only a manager with `seal_values` makes and opens"
        );
        assert_eq!(
            Value::new(Codec::Sealed, "1").decode::<u8>().unwrap_err(),
            fault
        );
        assert_eq!(Codec::from_tag(2), Some(Codec::Sealed));
        assert_eq!(Codec::Sealed.tag(), 2);
    }

    #[test]
    fn no_key_is_shown() {
        let sealing = ValueSealing::new(ring(77)).sealed_only();
        let shown = format!("{sealing:?}");
        assert_eq!(
            shown,
            "ValueSealing { keys: KeyRing { keys: 1, .. }, plain: Refused }"
        );
    }
}

mod laws {
    use super::*;

    #[tokio::test]
    async fn writers_of_different_keys_both_survive() {
        let store = Arc::new(MemoryStore::new());
        let [one, other] = [(); 2].map(|()| sealing(&store, ring(1)));
        let (id, token) = filled(&one, |session| session.insert("a", "0").unwrap()).await;
        let first = one.begin(&[&token]).await.unwrap();
        let second = other.begin(&[&token]).await.unwrap();
        first.insert("b", "1").unwrap();
        second.insert("c", "2").unwrap();
        second.finish(Outcome::Success).await.unwrap();
        first.finish(Outcome::Success).await.unwrap();
        for (key, value) in [("a", "0"), ("b", "1"), ("c", "2")] {
            assert_eq!(read(&one, &token, key).await.unwrap(), value);
        }
        assert_eq!(raw(&store, id).await.version(), 3);
    }

    #[tokio::test]
    async fn an_update_runs_again_on_what_another_process_wrote() {
        let store = Arc::new(MemoryStore::new());
        let [one, other] = [(); 2].map(|()| sealing(&store, ring(1)));
        let (_, token) = filled(&one, |session| session.insert("n", 0_u64).unwrap()).await;
        let add = |n: Option<u64>| n.unwrap_or(0) + 1;
        let first = one.begin(&[&token]).await.unwrap();
        let second = other.begin(&[&token]).await.unwrap();
        first.update("n", add).unwrap();
        second.update("n", add).unwrap();
        second.finish(Outcome::Success).await.unwrap();
        first.finish(Outcome::Success).await.unwrap();
        let session = one.begin(&[&token]).await.unwrap();
        assert_eq!(session.get("n").unwrap(), Some(2_u64));
    }

    /// They queue, and each hands over what it wrote.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_hundred_updates_at_once_all_count() {
        let store = Arc::new(MemoryStore::new());
        let managers = [(); 2].map(|()| {
            let builder = SessionManager::builder(Arc::clone(&store));
            builder.seal_values(ring(1)).build().unwrap()
        });
        let (id, token) = filled(&managers[0], |session| {
            session.insert("n", 0_u64).unwrap();
            session.insert("other", "stays").unwrap();
        })
        .await;
        let tasks = (0..100).map(|at| {
            let (manager, token) = (managers[at % 2].clone(), token.clone());
            tokio::spawn(async move {
                let session = manager.begin(&[&token]).await.unwrap();
                session
                    .update("n", |n: Option<u64>| n.unwrap_or(0) + 1)
                    .unwrap();
                tokio::task::yield_now().await;
                session.finish(Outcome::Success).await.unwrap();
            })
        });
        for task in tasks.collect::<Vec<_>>() {
            task.await.unwrap();
        }
        let session = managers[0].begin(&[&token]).await.unwrap();
        assert_eq!(session.get("n").unwrap(), Some(100_u64));
        assert_eq!(
            session.get::<String>("other").unwrap().as_deref(),
            Some("stays")
        );
        let sealed = named(["n", "other"].map(|key| (key, Codec::Sealed)));
        let record = store
            .load(&id.into(), Timestamp::default())
            .await
            .unwrap()
            .unwrap();
        assert_eq!(codecs(&record), sealed);
    }

    #[tokio::test]
    async fn sessions_are_listed_limited_and_ended() {
        let store = Arc::new(MemoryStore::new());
        let manager = builder(&store)
            .max_sessions(1, OnMaxSessions::RevokeOldest)
            .seal_values(ValueSealing::new(ring(1)).sealed_only())
            .build()
            .unwrap();
        let sign_in = |session: &Session| {
            session.sign_in("ann").unwrap();
            session.insert("a", "1").unwrap();
        };
        let (first, token) = filled(&manager, sign_in).await;
        let (second, _) = filled(&manager, sign_in).await;
        let listed = manager.sessions_of("ann").await.unwrap();
        assert_eq!(listed.len(), 1);
        assert!(listed[0].is_readable() && listed[0].id() == second);
        // The mark of the first one is no session, and nothing in it is sealed.
        assert!(manager.begin(&[&token]).await.unwrap().is_new());
        let ended = manager.why_ended(first).await.unwrap().unwrap();
        assert_eq!(ended.reason, EndReason::TooMany);
        assert_eq!(manager.sign_out_everywhere("ann").await.unwrap(), 1);
        let ended = manager.why_ended(second).await.unwrap().unwrap();
        assert_eq!(ended.reason, EndReason::Revoked);
    }

    /// Its keys are others, so its values do not open here. It is refused for its scope.
    #[tokio::test]
    async fn a_session_of_another_scope_is_not_corrupt() {
        let store = Arc::new(MemoryStore::new());
        let elsewhere = builder(&store).scope("other").seal_values(ring(2)).build();
        let (_, token) = filled(&elsewhere.unwrap(), |session| {
            session.insert("a", "1").unwrap();
        })
        .await;
        let session = sealing(&store, ring(1)).begin(&[&token]).await.unwrap();
        assert!(session.is_new() && session.keys().is_empty());
    }

    #[tokio::test]
    async fn a_touch_leaves_values_as_they_are() {
        let store = Arc::new(MemoryStore::new());
        let clock = ManualClock::new(NOW);
        let manager = SessionManager::builder(Arc::clone(&store))
            .clock(Arc::clone(&clock))
            .lifetime(Lifetime::new(Duration::from_secs(60), Duration::from_secs(600)).unwrap())
            .seal_values(ring(1))
            .build()
            .unwrap();
        let (id, token) = filled(&manager, |session| session.insert("a", "1").unwrap()).await;
        let before = raw(&store, id).await;
        clock.advance(Duration::from_secs(40));
        change(&manager, &token, |_| {}).await;
        let after = raw(&store, id).await;
        assert!(after.last_seen() > before.last_seen());
        assert_eq!(after.values(), before.values());
    }

    #[tokio::test]
    async fn a_near_cache_holds_sealed_values() {
        let memory = Arc::new(MemoryStore::new());
        let near = CachedStore::new(Arc::clone(&memory))
            .with_near_cache(NearCache::new(Duration::from_secs(5)));
        let manager = SessionManager::builder(near);
        let manager = manager.seal_values(ring(1)).build().unwrap();
        let (id, token) = filled(&manager, |session| session.insert("a", "1").unwrap()).await;
        for n in 0..3 {
            change(&manager, &token, |session| {
                session.insert("n", n).unwrap();
            })
            .await;
            assert_eq!(read(&manager, &token, "a").await.unwrap(), "1");
        }
        let key = RecordKey::Id(id);
        let cached = manager
            .store()
            .load(&key, Timestamp::default())
            .await
            .unwrap()
            .unwrap();
        assert_eq!(
            codecs(&cached),
            named(["a", "n"].map(|key| (key, Codec::Sealed)))
        );
    }

    #[tokio::test]
    async fn sealed_values_move_to_another_store() {
        let [new, old] = [(); 2].map(|()| Arc::new(MemoryStore::new()));
        let (id, token) = filled(&sealing(&old, ring(1)), |session| {
            session.insert("a", "1").unwrap();
        })
        .await;
        let moving = MigratingStore::new(Arc::clone(&new), Arc::clone(&old)).unwrap();
        let manager = SessionManager::builder(moving).clock(ManualClock::new(NOW));
        let manager = manager.seal_values(ring(1)).build().unwrap();
        change(&manager, &token, |session| {
            session.insert("b", "2").unwrap();
        })
        .await;
        let there = raw(&new, id).await;
        assert_eq!(
            codecs(&there),
            named(["a", "b"].map(|key| (key, Codec::Sealed)))
        );
        assert_eq!(
            read(&sealing(&new, ring(1)), &token, "a").await.unwrap(),
            "1"
        );
    }
}
