//! Sealing what is stored again, with the newest key.

use session_core::Resealed;
use session_core::store::{Listed, scan_of};

use super::*;

fn both() -> KeyRing {
    ring(2).with_older([1; 32]).unwrap()
}

/// The id of the key of each value.
fn key_ids(record: &Record) -> Vec<[u8; 4]> {
    let values = record.values().iter();
    values
        .map(|(_, value)| value.bytes()[1..5].try_into().unwrap())
        .collect()
}

fn same_but_for_values(one: &Record, other: &Record) {
    let other = other.clone().with_version(one.version());
    assert_eq!(one.encode_metadata(), other.encode_metadata());
    assert_eq!(one.last_seen(), other.last_seen());
    assert_eq!(one.expires_at(), other.expires_at());
}

#[tokio::test]
async fn what_an_old_key_has_sealed_is_sealed_again_and_nothing_else_changes() {
    let store = Arc::new(MemoryStore::new());
    let old = sealing(&store, ring(1));
    let (id, token) = filled(&old, |session| {
        session.sign_in("ann").unwrap();
        session.insert("a", "one").unwrap();
        session.insert("b", "two").unwrap();
    })
    .await;
    let before = raw(&store, id).await;

    let events = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&events);
    let later = NOW + Duration::from_secs(600);
    let manager = builder(&store)
        .clock(ManualClock::new(later))
        .observer(move |event: &Event<'_>| seen.lock().unwrap().push(event.kind))
        .seal_values(both())
        .build()
        .unwrap();
    assert!(matches!(manager.reseal(&before).await, Ok(Resealed::Done)));
    let after = raw(&store, id).await;
    same_but_for_values(&before, &after);
    assert_eq!(after.version(), before.version() + 1);
    assert_eq!(key_ids(&after).len(), 2);
    assert!(
        key_ids(&after)
            .iter()
            .all(|id| !key_ids(&before).contains(id))
    );
    // It is idempotent, and a record that is old by now does no harm.
    assert!(matches!(
        manager.reseal(&after).await,
        Ok(Resealed::Current)
    ));
    assert!(matches!(
        manager.reseal(&before).await,
        Ok(Resealed::Current)
    ));
    assert_eq!(raw(&store, id).await.version(), after.version());
    assert!(events.lock().unwrap().is_empty(), "{events:?}");

    let alone = sealing(&store, ring(2));
    assert_eq!(read(&alone, &token, "a").await.as_deref(), Some("one"));
    assert_eq!(read(&alone, &token, "b").await.as_deref(), Some("two"));
}

#[tokio::test]
async fn plain_values_are_sealed_and_sealed_ones_made_plain_as_the_manager_writes() {
    let store = Arc::new(MemoryStore::new());
    let (id, token) = filled(&plain(&store), |session| {
        session.insert("a", "one").unwrap();
    })
    .await;
    let stored = raw(&store, id).await;
    let strict = sealing(&store, ValueSealing::new(ring(1)).sealed_only());
    let refused = strict.reseal(&stored).await.unwrap();
    assert!(matches!(
        refused,
        Resealed::Unopened(StoreError::Corrupt(_))
    ));
    let seals = sealing(&store, ring(1));
    assert!(matches!(seals.reseal(&stored).await, Ok(Resealed::Done)));
    let sealed = raw(&store, id).await;
    assert_eq!(codecs(&sealed), named([("a", Codec::Sealed)]));
    assert_eq!(read(&strict, &token, "a").await.as_deref(), Some("one"));
    let ends = sealing(&store, ValueSealing::new(ring(1)).writing_plain());
    assert!(matches!(ends.reseal(&sealed).await, Ok(Resealed::Done)));
    let stored = raw(&store, id).await;
    assert_eq!(codecs(&stored), named([("a", Codec::Json)]));
    let keyless = plain(&store).reseal(&sealed).await.unwrap();
    assert!(matches!(keyless, Resealed::Unopened(_)));
}

#[tokio::test]
async fn what_does_not_open_stays_as_it_is() {
    let store = Arc::new(MemoryStore::new());
    let (id, _) = filled(&sealing(&store, ring(1)), |session| {
        session.insert("a", "one").unwrap();
    })
    .await;
    let before = raw(&store, id).await;
    let stranger = sealing(&store, ring(3));
    let resealed = stranger.reseal(&before).await.unwrap();
    let Resealed::Unopened(error) = resealed else {
        panic!("{resealed:?}")
    };
    assert!(error.source().unwrap().to_string().contains("add the key"));
    assert_eq!(raw(&store, id).await, before);

    let elsewhere = builder(&store).scope("__Host-admin").seal_values(both());
    let resealed = elsewhere.build().unwrap().reseal(&before).await;
    assert!(matches!(resealed, Ok(Resealed::OtherScope)));
    let ended = Ended::new(EndReason::Revoked, NOW);
    store.delete(&id.into(), ended).await.unwrap();
    let resealed = sealing(&store, both()).reseal(&before).await;
    assert!(matches!(resealed, Ok(Resealed::Gone)));
}

/// A page of a scan may be old by the time at which its sessions are sealed.
#[tokio::test]
async fn a_record_that_has_expired_since_is_looked_for_in_the_store() {
    let store = Arc::new(MemoryStore::new());
    let (id, _) = filled(&sealing(&store, ring(1)), |session| {
        session.insert("a", "one").unwrap();
    })
    .await;
    let stored = raw(&store, id).await;
    let now = stored.expires_at();
    let manager = builder(&store).clock(ManualClock::new(now));
    let manager = manager.seal_values(both()).build().unwrap();
    assert!(matches!(manager.reseal(&stored).await, Ok(Resealed::Gone)));

    // A request has used the session, so it lives on.
    let lifetime = Lifetime::default();
    let old = Arc::new(Record::new(
        id,
        stored.scope(),
        lifetime,
        Timestamp::default(),
    ));
    let manager = sealing(&store, both());
    assert!(!old.is_live(NOW));
    assert!(matches!(manager.reseal(&old).await, Ok(Resealed::Done)));
    let after = raw(&store, id).await;
    assert_ne!(key_ids(&after), key_ids(&stored));
}

/// A store in which a request writes just before the next update.
#[derive(Debug)]
struct Faster {
    inner: Arc<MemoryStore>,
    next: Mutex<Option<(SessionId, Value)>>,
}

#[async_trait]
impl SessionStore for Faster {
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
        let next = self.next.lock().unwrap().take();
        if let Some((id, value)) = next {
            put(&self.inner, id, "a", value).await;
        }
        self.inner.update(key, update, now).await
    }

    async fn delete(&self, key: &RecordKey, ended: Ended) -> Result<(), StoreError> {
        self.inner.delete(key, ended).await
    }
}

#[tokio::test]
async fn a_request_that_writes_at_the_same_moment_wins() {
    let store = Arc::new(MemoryStore::new());
    let old = sealing(&store, ring(1));
    let (id, token) = filled(&old, |session| {
        session.insert("a", "one").unwrap();
        session.insert("b", "two").unwrap();
    })
    .await;
    let before = raw(&store, id).await;
    change(&old, &token, |session| {
        session.insert("a", "three").unwrap();
    })
    .await;
    let written = raw(&store, id).await.values().get("a").unwrap().clone();
    // Back to the state before, in which the request is about to write.
    let first = before.values().get("a").unwrap().clone();
    put(&store, id, "a", first).await;
    let faster = Faster {
        inner: Arc::clone(&store),
        next: Mutex::new(Some((id, written))),
    };
    let manager = SessionManager::builder(faster)
        .clock(ManualClock::new(NOW))
        .seal_values(both())
        .build()
        .unwrap();
    let stored = raw(&store, id).await;
    assert!(matches!(manager.reseal(&stored).await, Ok(Resealed::Done)));
    let alone = sealing(&store, ring(2));
    assert_eq!(read(&alone, &token, "a").await.as_deref(), Some("three"));
    assert_eq!(read(&alone, &token, "b").await.as_deref(), Some("two"));

    // A request that has loaded the session before it was sealed again does not lose its write.
    let request = old.begin(&[&token]).await;
    assert!(request.is_err(), "the old key alone opens nothing any more");
    let manager = sealing(&store, ring(3).with_older([2; 32]).unwrap());
    let request = alone.begin(&[&token]).await.unwrap();
    request.insert("c", "four").unwrap();
    let stored = raw(&store, id).await;
    assert!(matches!(manager.reseal(&stored).await, Ok(Resealed::Done)));
    request.finish(Outcome::Success).await.unwrap();
    for (key, value) in [("a", "three"), ("b", "two"), ("c", "four")] {
        assert_eq!(read(&manager, &token, key).await.as_deref(), Some(value));
    }
}

#[tokio::test]
async fn a_whole_store_is_sealed_again_page_by_page() {
    let store = Arc::new(MemoryStore::new());
    let old = sealing(&store, ring(1));
    for n in 0..20 {
        filled(&old, |session| session.insert("n", n).unwrap()).await;
    }
    let manager = sealing(&store, both());
    for expected in [20, 0] {
        let (mut done, mut from) = (0, None);
        loop {
            let page = scan_of(&*store).unwrap().scan_records(from.as_ref(), 3);
            let page = page.await.unwrap();
            for record in page.sessions.iter().filter_map(Listed::record) {
                let resealed = manager.reseal(record).await.unwrap();
                done += usize::from(matches!(resealed, Resealed::Done));
            }
            from = page.next;
            if from.is_none() {
                break;
            }
        }
        assert_eq!(done, expected);
    }
}
