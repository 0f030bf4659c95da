//! What several saves of a request, or of a queue, make of a record: the store, a cache and the
//! limits agree on each of them.

use super::*;

/// A store that keeps values one by one: it writes the changes, and lets a cache keep the record
/// of an update only if that is the same.
#[derive(Debug, Default)]
struct Fieldwise {
    inner: MemoryStore,
    exact: Mutex<u32>,
}

#[async_trait]
impl SessionStore for Fieldwise {
    fn location(&self) -> RecordLocation {
        RecordLocation::Server
    }

    async fn load(
        &self,
        key: &RecordKey,
        now: Timestamp,
    ) -> Result<Option<Arc<Record>>, StoreError> {
        self.inner.load(key, now).await
    }

    async fn create(&self, record: &Arc<Record>, now: Timestamp) -> Result<RecordKey, StoreError> {
        self.inner.create(record, now).await
    }

    async fn update(
        &self,
        key: &RecordKey,
        update: &Update,
        now: Timestamp,
    ) -> Result<Updated, StoreError> {
        let before = self.inner.load(key, now).await?.unwrap();
        let updated = self.inner.update(key, update, now).await?;
        if matches!(updated, Updated::Saved { exact: true, .. }) {
            let kept = update.record();
            assert_eq!(update.changes().apply(&before).values(), kept.values());
            *self.exact.lock().unwrap() += 1;
        }
        Ok(updated)
    }

    async fn delete(&self, key: &RecordKey, ended: Ended) -> Result<(), StoreError> {
        self.inner.delete(key, ended).await
    }
}

fn over(store: &Arc<Fieldwise>) -> SessionManagerBuilder {
    SessionManager::builder(Arc::clone(store)).clock(ManualClock::new(NOW))
}

#[tokio::test]
async fn a_cache_keeps_what_a_store_of_single_values_has() {
    let store = Arc::new(Fieldwise::default());
    let plain = over(&store).build().unwrap();
    let manager = over(&store).seal_values(ring(1)).build().unwrap();
    let stops = ValueSealing::new(ring(1)).writing_plain();
    let stops = over(&store).seal_values(stops).build().unwrap();
    let (id, mut token) = filled(&plain, |session| {
        session.insert("a", "1").unwrap();
        session.insert("b", "1").unwrap();
    })
    .await;
    for manager in [&manager, &stops, &manager] {
        let session = manager.begin(&[&token]).await.unwrap();
        for n in 0..3 {
            session.insert("n", n).unwrap();
            session.save().await.unwrap();
        }
        session.remove("b");
        session.save().await.unwrap();
        session.insert("b", "2").unwrap();
        session.sign_in("ann").unwrap();
        let Directive::Hold(renewed) = session.finish(Outcome::Success).await.unwrap() else {
            panic!("no token")
        };
        token = renewed.as_str().to_owned();
        assert_eq!(read(manager, &token, "a").await.unwrap(), "1");
    }
    assert_eq!(*store.exact.lock().unwrap(), 15);
    let sealed = named(["a", "b", "n"].map(|key| (key, Codec::Sealed)));
    assert_eq!(codecs(&*raw(&store.inner, id).await), sealed);
}

/// The one who creates a session goes on with what the store has of it.
#[tokio::test]
async fn a_save_after_the_first_one_seals_only_what_it_changes() {
    let store = Arc::new(Fieldwise::default());
    let manager = over(&store).seal_values(ring(1)).build().unwrap();
    let session = manager.begin(&[]).await.unwrap();
    session.insert("a", "1").unwrap();
    session.save().await.unwrap();
    let id = session.id().unwrap();
    let first = raw(&store.inner, id).await;
    for n in 0..3 {
        session.insert("n", n).unwrap();
        session.save().await.unwrap();
        let record = raw(&store.inner, id).await;
        assert_eq!(record.values().get("a"), first.values().get("a"));
    }
    assert_eq!(*store.exact.lock().unwrap(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_is_handed_over_is_what_the_store_has() {
    let store = Arc::new(Fieldwise::default());
    let plain = SessionManager::builder(Arc::clone(&store)).build().unwrap();
    let manager = SessionManager::builder(Arc::clone(&store)).seal_values(ring(1));
    let manager = manager.build().unwrap();
    let (id, token) = filled(&plain, |session| {
        session.insert("other", "stays").unwrap();
    })
    .await;
    let tasks = (0..50).map(|_| {
        let (manager, token) = (manager.clone(), token.clone());
        tokio::spawn(async move {
            let session = manager.begin(&[&token]).await.unwrap();
            let add = |n: Option<u64>| n.unwrap_or(0) + 1;
            session.update("n", add).unwrap();
            tokio::task::yield_now().await;
            session.finish(Outcome::Success).await.unwrap();
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    let session = manager.begin(&[&token]).await.unwrap();
    assert_eq!(session.get("n").unwrap(), Some(50_u64));
    let id = RecordKey::Id(id);
    let record = store.inner.load(&id, Timestamp::default()).await.unwrap();
    let mixed = named([("n", Codec::Sealed), ("other", Codec::Json)]);
    assert_eq!(codecs(&record.unwrap()), mixed);
}

mod limits {
    use super::*;

    const LIMIT: usize = 1_000;

    struct Full {
        store: Arc<MemoryStore>,
        manager: SessionManager,
        id: SessionId,
        token: String,
    }

    /// A session of 940 bytes from before sealing, over which a node seals.
    async fn full(sealing: impl Into<ValueSealing>, keys: &[&str]) -> Full {
        let store = Arc::new(MemoryStore::new());
        let limits = Limits::default().with_record_bytes(LIMIT);
        let before = builder(&store).limits(limits).build().unwrap();
        let fixed = 160 + "__Host-id".len() + keys.len() * (1 + 9);
        let (id, token) = filled(&before, |session| {
            for key in &keys[1..] {
                session.insert(key, 1).unwrap();
            }
            let rest = 940 - fixed - (keys.len() - 1) - 2;
            session.insert(keys[0], "x".repeat(rest)).unwrap();
        })
        .await;
        assert_eq!(raw(&store, id).await.limited_size(), 940);
        let manager = builder(&store).limits(limits).seal_values(sealing);
        let manager = manager.build().unwrap();
        Full {
            store,
            manager,
            id,
            token,
        }
    }

    /// What an insert accepts the commit stores, also after a save.
    #[tokio::test]
    async fn a_value_that_comes_back_after_a_save_is_refused_by_the_insert_or_stored() {
        let full = full(ring(1), &["a", "b"]).await;
        let session = full.manager.begin(&[&full.token]).await.unwrap();
        session.remove("b");
        session.save().await.unwrap();
        // 929 bytes, and 57 for a sealed `b`.
        session.insert("b", 2).unwrap();
        assert!(session.insert("b", "x".repeat(14)).is_err());
        session.insert("b", "x".repeat(13)).unwrap();
        session.finish(Outcome::Success).await.unwrap();
        let record = raw(&full.store, full.id).await;
        assert_eq!(record.limited_size(), LIMIT);
        let mixed = named([("a", Codec::Json), ("b", Codec::Sealed)]);
        assert_eq!(codecs(&record), mixed);
    }

    #[tokio::test]
    async fn a_second_save_does_not_outgrow_the_limit() {
        let full = full(ring(1), &["a", "b", "c", "d", "e"]).await;
        let session = full.manager.begin(&[&full.token]).await.unwrap();
        for n in 2..5 {
            session.insert("n", n).unwrap();
            session.save().await.unwrap();
            let size = raw(&full.store, full.id).await.limited_size();
            assert_eq!(size, 940 + 11 + OVERHEAD);
        }
        session.insert("n", 1234).unwrap();
        assert!(session.insert("n", 12345).is_err());
        session.finish(Outcome::Success).await.unwrap();
        let record = raw(&full.store, full.id).await;
        assert_eq!(record.limited_size(), LIMIT);
    }

    /// Nothing is counted for a seal that is not made.
    #[tokio::test]
    async fn a_node_that_writes_plain_values_has_room_for_all_of_them() {
        let plain = ValueSealing::new(ring(1)).writing_plain();
        let full = full(plain, &["a", "b"]).await;
        change(&full.manager, &full.token, |session| {
            assert!(session.insert("n", "x".repeat(60 - 12 + 1)).is_err());
            session.insert("n", "x".repeat(60 - 12)).unwrap();
        })
        .await;
        assert_eq!(raw(&full.store, full.id).await.limited_size(), LIMIT);
    }

    /// What is sealed there keeps the size of its seal until it changes.
    #[tokio::test]
    async fn a_node_that_writes_plain_values_counts_the_seals_of_others() {
        let full = full(ring(1), &["a", "b"]).await;
        change(&full.manager, &full.token, |session| {
            session.insert("b", 2).unwrap();
        })
        .await;
        assert_eq!(
            raw(&full.store, full.id).await.limited_size(),
            940 + OVERHEAD
        );
        let limits = Limits::default().with_record_bytes(LIMIT);
        let plain = ValueSealing::new(ring(1)).writing_plain();
        let stops = builder(&full.store).limits(limits).seal_values(plain);
        let stops = stops.build().unwrap();
        change(&stops, &full.token, |session| {
            assert!(session.insert("n", 12345).is_err());
            session.insert("n", 1234).unwrap();
        })
        .await;
        assert_eq!(raw(&full.store, full.id).await.limited_size(), LIMIT);
        change(&stops, &full.token, |session| {
            session.insert("b", 1).unwrap();
            session.insert("n", "x".repeat(2 + OVERHEAD)).unwrap();
        })
        .await;
        assert_eq!(raw(&full.store, full.id).await.limited_size(), LIMIT);
    }
}
