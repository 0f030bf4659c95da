//! What a cache in front of a store promises to those who make one.
#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::sync::Arc;
use std::time::Duration;

use session_core::store::{
    CachedStore, NearCache, Record, RecordKey, RecordLocation, RecordScan, ScanCursor, ScanPage,
    SessionStore, StoreError, Update, Updated, async_trait, scan_of,
};
use session_core::{
    Clock, Directive, Ended, Lifetime, ManualClock, MemoryStore, Outcome, SessionId,
    SessionManager, Timestamp,
};

const SECOND: Duration = Duration::from_secs(1);

/// Returns another copy for each load, as a store on a server does, and only knows plain loads.
#[derive(Debug, Default)]
struct Plain(MemoryStore);

#[async_trait]
impl SessionStore for Plain {
    fn location(&self) -> RecordLocation {
        self.0.location()
    }

    async fn load(
        &self,
        key: &RecordKey,
        now: Timestamp,
    ) -> Result<Option<Arc<Record>>, StoreError> {
        let found = self.0.load(key, now).await?;
        Ok(found.map(|record| Arc::new(Record::clone(&record))))
    }

    async fn create(&self, record: &Arc<Record>, now: Timestamp) -> Result<RecordKey, StoreError> {
        self.0.create(record, now).await
    }

    async fn update(
        &self,
        key: &RecordKey,
        update: &Update,
        now: Timestamp,
    ) -> Result<Updated, StoreError> {
        self.0.update(key, update, now).await
    }

    async fn delete(&self, key: &RecordKey, ended: Ended) -> Result<(), StoreError> {
        self.0.delete(key, ended).await
    }

    fn scan(&self) -> Option<&dyn RecordScan> {
        Some(self)
    }
}

/// It takes every record for a damaged one.
#[async_trait]
impl RecordScan for Plain {
    async fn scan_records(
        &self,
        from: Option<&ScanCursor>,
        most: usize,
    ) -> Result<ScanPage, StoreError> {
        scan_of(&self.0)?.scan_records(from, most).await
    }

    async fn delete_unreadable(&self, id: SessionId, ended: Ended) -> Result<bool, StoreError> {
        let key = RecordKey::Id(id);
        let found = self.0.load(&key, ended.at).await?;
        let is_there = found.is_some_and(|record| record.ended().is_none());
        if is_there {
            self.0.delete(&key, ended).await?;
        }
        Ok(is_there)
    }
}

fn record() -> Arc<Record> {
    let id = SessionId::from_bytes([7; 16]);
    Arc::new(Record::new(
        id,
        "id",
        Lifetime::default(),
        Timestamp::default(),
    ))
}

fn clock_at(millis: u64) -> Arc<ManualClock> {
    ManualClock::new(Timestamp::from_millis(millis))
}

/// The deadline of a call is for a server that does not answer, and not for leases.
#[tokio::test]
async fn an_end_may_wait_for_leases_longer_than_a_call_may_take() {
    let clock = clock_at(1_000_000);
    let near = NearCache::new(SECOND * 5).with_waiting_ends();
    let store = CachedStore::new(MemoryStore::new())
        .with_near_cache(near)
        .with_clock(Arc::clone(&clock));
    let builder = SessionManager::builder(store).clock(Arc::clone(&clock));
    let manager = builder.build().unwrap();
    let session = manager.begin(&[]).await.unwrap();
    session.insert("a", 1).unwrap();
    let Directive::Hold(token) = session.finish(Outcome::Success).await.unwrap() else {
        unreachable!()
    };

    let session = manager.begin(&[token.as_str()]).await.unwrap();
    session.destroy().unwrap();
    let began = clock.now();
    let ends = tokio::spawn(async move { session.finish(Outcome::Success).await });
    while !ends.is_finished() {
        tokio::task::yield_now().await;
        clock.advance(SECOND / 10);
    }
    ends.await.unwrap().unwrap();
    assert!(clock.now().duration_since(began) >= near.lease());
}

/// Its leases were measured by another clock.
#[tokio::test]
async fn what_was_told_by_another_clock_counts_no_more() {
    let [early, late] = [0, 1_000_000].map(clock_at);
    let store = CachedStore::new(MemoryStore::new())
        .with_near_cache(NearCache::new(SECOND))
        .with_clock(late);
    let invalidations = store.invalidations();
    let store = store.with_clock(Arc::clone(&early));
    let (record, now) = (record(), early.now());
    let key = store.create(&record, now).await.unwrap();
    let feed = invalidations.begin();
    feed.renew(invalidations.now());
    early.advance(SECOND * 2);
    for _ in 0..3 {
        store.load(&key, now).await.unwrap();
    }
    assert_eq!(store.stats().leased, 0);
}

/// A store that cannot say "unchanged" sends the record again. The cache sees by the tag that it is
/// the same.
#[tokio::test]
async fn a_record_that_comes_again_is_unchanged() {
    let store = CachedStore::new(Plain::default());
    let (record, now) = (record(), Timestamp::default());
    let key = store.create(&record, now).await.unwrap();
    for _ in 0..4 {
        let loaded = store.load(&key, now).await.unwrap().unwrap();
        assert!(Arc::ptr_eq(&loaded, &record), "one copy is kept");
    }
    let stats = store.stats();
    assert_eq!((stats.unchanged, stats.changed), (4, 0));
}

/// A process may hold a record from before it was damaged.
#[tokio::test]
async fn what_was_ended_as_unreadable_is_cached_no_more() {
    let clock = clock_at(1_000);
    let store = CachedStore::new(Plain::default())
        .with_near_cache(NearCache::new(SECOND))
        .with_clock(Arc::clone(&clock));
    let (record, now) = (record(), clock.now());
    let key = store.create(&record, now).await.unwrap();
    let invalidations = store.invalidations();
    let feed = invalidations.begin();
    feed.renew(invalidations.now());
    for _ in 0..2 {
        store.load(&key, now).await.unwrap();
    }
    assert_eq!(store.stats().leased, 1);
    let ended = Ended::new(session_core::EndReason::Revoked, now);
    let scan = scan_of(&store).unwrap();
    assert!(scan.delete_unreadable(record.id(), ended).await.unwrap());
    let found = store.load(&key, now).await.unwrap();
    assert!(found.is_none_or(|found| found.ended().is_some()));
}

/// Another process may have a lease on it. If there was nothing to end, another call may have ended
/// it a moment ago.
#[tokio::test]
async fn ending_what_is_unreadable_waits_for_leases() {
    let clock = clock_at(1_000);
    let near = NearCache::new(SECOND * 5).with_waiting_ends();
    let store = CachedStore::new(Plain::default())
        .with_near_cache(near)
        .with_clock(Arc::clone(&clock));
    let store = Arc::new(store);
    let record = record();
    store.create(&record, clock.now()).await.unwrap();
    for is_there in [true, false] {
        let began = clock.now();
        let ended = Ended::new(session_core::EndReason::Revoked, began);
        let (store, id) = (Arc::clone(&store), record.id());
        let deletes = tokio::spawn(async move {
            let scan = scan_of(&store)?;
            scan.delete_unreadable(id, ended).await
        });
        while !deletes.is_finished() {
            tokio::task::yield_now().await;
            clock.advance(SECOND / 10);
        }
        assert_eq!(deletes.await.unwrap().unwrap(), is_there);
        assert!(clock.now().duration_since(began) >= near.lease());
    }
}
