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

/// A handler knows nothing of seals, so a session holds with them what it holds without.
mod limits {
    use super::*;

    const LIMIT: usize = 1_000;
    const KEYS: [&str; 4] = ["a", "b", "c", "d"];

    fn site(limits: Limits) -> (Arc<MemoryStore>, [SessionManager; 3]) {
        let store = Arc::new(MemoryStore::new());
        let build = |builder: SessionManagerBuilder| builder.limits(limits).build().unwrap();
        let plain = ValueSealing::new(ring(1)).writing_plain();
        let managers = [
            build(builder(&store)),
            build(builder(&store).seal_values(ring(1))),
            build(builder(&store).seal_values(plain)),
        ];
        (store, managers)
    }

    /// The longest text that an insert accepts.
    fn fill_up(session: &Session, key: &str) -> usize {
        let fits = |length: &usize| session.insert(key, "x".repeat(*length)).is_ok();
        (0..LIMIT).rev().find(fits).unwrap()
    }

    #[tokio::test]
    async fn as_much_fits_as_without_seals() {
        let limits = Limits::default().with_record_bytes(LIMIT).with_keys(4);
        let (_, managers) = site(limits);
        for keys in 1..=4 {
            let longest = managers.each_ref().map(|manager| async move {
                let session = manager.begin(&[]).await.unwrap();
                for key in KEYS.iter().take(keys - 1) {
                    session.insert(key, 1).unwrap();
                }
                let longest = fill_up(&session, "d");
                session.finish(Outcome::Success).await.unwrap();
                longest
            });
            for longest in longest {
                let fixed = 160 + "__Host-id".len() + (keys - 1) * (1 + 9) + 1 + 9 + 2;
                assert_eq!(longest.await, LIMIT - fixed - (keys - 1), "{keys}");
            }
        }
    }

    /// Each node may write any part of a session that another one has filled. What an insert
    /// accepts is stored.
    #[tokio::test]
    async fn a_full_session_stays_writable_wherever_its_values_are_sealed() {
        for lowered in [false, true] {
            for (first, then) in [(0, 1), (1, 2), (1, 1), (2, 1), (1, 0)] {
                full_session(lowered, first, then).await;
            }
        }
    }

    async fn full_session(lowered: bool, first: usize, then: usize) {
        let limits = Limits::default().with_record_bytes(LIMIT).with_keys(4);
        let (store, managers) = site(limits);
        let (id, token) = filled(&managers[first], |session| {
            for key in &KEYS[1..] {
                session.insert(key, 1).unwrap();
            }
            fill_up(session, "a");
        })
        .await;
        let later = match lowered {
            false => limits,
            true => limits.with_record_bytes(500).with_keys(2),
        };
        let sealing = |manager: usize| match manager {
            2 => ValueSealing::new(ring(1)).writing_plain(),
            _ => ValueSealing::new(ring(1)),
        };
        let manager = match then {
            // One without keys cannot read what was sealed, and one that read plain values can.
            0 => builder(&store).limits(later).seal_values(sealing(2)),
            then => builder(&store).limits(later).seal_values(sealing(then)),
        };
        let manager = manager.build().unwrap();
        for key in &KEYS[1..] {
            let session = manager.begin(&[&token]).await.unwrap();
            session.insert(key, 2).unwrap();
            assert!(session.insert(key, 20).is_err());
            session.save().await.unwrap();
            // A key that comes back after a save has no more and no less room.
            session.remove(key);
            session.save().await.unwrap();
            if !lowered {
                assert!(session.insert(key, 30).is_err());
                session.insert(key, 3).unwrap();
            }
            session.finish(Outcome::Success).await.unwrap();
        }
        // All of it written anew under the same keys, and so with one more change.
        let session = manager.begin(&[&token]).await.unwrap();
        let a: String = session.get("a").unwrap().unwrap();
        session.clear();
        session.insert("a", &a[..10]).unwrap();
        session.insert("a", &a).unwrap_or_else(|_| assert!(lowered));
        session.finish(Outcome::Success).await.unwrap();
        assert!(raw(&store, id).await.limited_size() <= LIMIT + 4 * OVERHEAD);
    }

    /// Two requests change a full session, each by as much as it had. What they write is longer by
    /// its seals, and is merged all the same.
    #[tokio::test]
    async fn a_merge_has_room_for_seals() {
        let limits = Limits::default().with_record_bytes(LIMIT).with_keys(4);
        let (store, [plain, manager, _]) = site(limits);
        let (id, token) = filled(&plain, |session| {
            for key in &KEYS[1..] {
                session.insert(key, 1).unwrap();
            }
            fill_up(session, "a");
        })
        .await;
        let one = manager.begin(&[&token]).await.unwrap();
        let two = manager.begin(&[&token]).await.unwrap();
        one.insert("b", 2).unwrap();
        two.insert("c", 2).unwrap();
        for session in [one, two] {
            session.finish(Outcome::Success).await.unwrap();
        }
        assert_eq!(raw(&store, id).await.limited_size(), LIMIT + 2 * OVERHEAD);
    }

    /// Two requests that fit alone and not together: the store refuses the merge, so a session
    /// outgrows its limit by no more than its seals.
    #[tokio::test]
    async fn a_merge_that_outgrows_the_limit_is_refused() {
        let limits = Limits::default().with_record_bytes(LIMIT).with_keys(4);
        let (store, [_, manager, _]) = site(limits);
        let (id, token) = filled(&manager, |session| session.insert("a", 1).unwrap()).await;
        let one = manager.begin(&[&token]).await.unwrap();
        let other = manager.begin(&[&token]).await.unwrap();
        fill_up(&one, "b");
        fill_up(&other, "c");
        one.finish(Outcome::Success).await.unwrap();
        let refused = other.finish(Outcome::Success).await.unwrap_err();
        let too_large = matches!(refused.error, SessionError::Store(StoreError::TooLarge(_)));
        assert!(too_large, "{refused:?}");
        assert!(raw(&store, id).await.limited_size() <= LIMIT + 4 * OVERHEAD);
    }

    /// What is over the limit, because the limits were lowered, does not grow by requests that each
    /// keep its size.
    #[tokio::test]
    async fn requests_that_swap_values_at_once_do_not_let_a_session_grow() {
        let limits = Limits::default().with_record_bytes(LIMIT).with_keys(8);
        let (store, [_, manager, _]) = site(limits);
        let (id, token) = filled(&manager, |session| {
            session.insert("a", "x".repeat(200)).unwrap();
            fill_up(session, "b");
        })
        .await;
        for round in 0..20 {
            let record = raw(&store, id).await;
            let first = record.values().iter().find(|(key, _)| *key != "b");
            let first = first.map_or("none".to_owned(), |(key, _)| key.to_owned());
            let one = manager.begin(&[&token]).await.unwrap();
            let two = manager.begin(&[&token]).await.unwrap();
            for (session, key) in [(&one, format!("k{round}")), (&two, format!("l{round}"))] {
                session.remove(&first);
                let _ = session.insert(&key, "x".repeat(150));
            }
            for session in [one, two] {
                drop(session.finish(Outcome::Success).await);
            }
            let size = raw(&store, id).await.limited_size();
            assert!(size <= LIMIT + 8 * OVERHEAD, "{size} in round {round}");
        }
    }
}
