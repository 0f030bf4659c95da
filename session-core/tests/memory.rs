//! The memory store: its bound, its sweeping, its index. The contract is the suite's.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use session_core::store::{
    Changes, Listed, Metadata, PrincipalIndex, Record, RecordKey, RecordLocation, RecordScan,
    ScanCursor, SessionStore, StoreError, Update, Updated, Value,
};
use session_core::{Codec, EndReason, Ended, Lifetime, MemoryStore, SessionId, Timestamp};

fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis)
}

/// All ids with one first byte share a shard, as do those of bytes that differ by 32.
fn id(first: u8, n: u16) -> SessionId {
    let mut bytes = [0; 16];
    bytes[0] = first;
    bytes[14..].copy_from_slice(&n.to_be_bytes());
    SessionId::from_bytes(bytes)
}

/// Lives for ten seconds.
fn record(id: SessionId, now: Timestamp) -> Arc<Record> {
    let ten = Duration::from_secs(10);
    Arc::new(Record::new(id, "id", Lifetime::new(ten, ten).unwrap(), now))
}

fn of_principal(id: SessionId, principal: &str) -> Arc<Record> {
    Arc::new(Record::clone(&record(id, at(0))).with_principal(principal.to_owned()))
}

async fn create(
    store: &MemoryStore,
    id: SessionId,
    now: Timestamp,
) -> Result<RecordKey, StoreError> {
    store.create(&record(id, now), now).await
}

async fn listed(store: &MemoryStore, principal: &str, now: Timestamp) -> Vec<SessionId> {
    let list = store.list_of(principal, now).await.unwrap();
    let mut ids: Vec<_> = list.iter().map(|record| record.id()).collect();
    ids.sort_unstable();
    ids
}

/// Puts `after` in the place of what is stored.
async fn replace(store: &MemoryStore, after: Record) -> Updated {
    let after = Arc::new(after.clone().with_version(after.version() + 1));
    let update = Update::new(
        Arc::clone(&after),
        Changes::new().with_metadata(Metadata::Replaced),
        after.epoch(),
    )
    .with_expected_version(after.version() - 1);
    store
        .update(&RecordKey::Id(after.id()), &update, at(0))
        .await
        .unwrap()
}

#[tokio::test]
async fn it_counts_what_it_holds() {
    let store = MemoryStore::default();
    assert_eq!(store.location(), RecordLocation::Server);
    assert!(store.is_empty());
    assert_eq!(store.len(), 0);
    let key = create(&store, id(1, 0), at(0)).await.unwrap();
    create(&store, id(2, 0), at(0)).await.unwrap();
    assert_eq!(key, RecordKey::Id(id(1, 0)));
    assert!(!store.is_empty());
    assert_eq!(store.len(), 2);
    assert_eq!(
        format!("{store:?}"),
        "MemoryStore { len: 2, capacity: 1000000, .. }"
    );
    let taken = create(&store, id(1, 0), at(0)).await.unwrap_err();
    assert!(matches!(taken, StoreError::IdTaken));
    assert_eq!(store.len(), 2);
    store.delete(&key, Ended::default()).await.unwrap();
    store.delete(&key, Ended::default()).await.unwrap();
    assert_eq!(store.len(), 1);
}

#[tokio::test]
async fn an_expired_record_makes_room_for_one_of_its_id() {
    let store = MemoryStore::new();
    store
        .create(&of_principal(id(1, 0), "user"), at(0))
        .await
        .unwrap();
    let error = create(&store, id(1, 0), at(9_999)).await.unwrap_err();
    assert!(matches!(error, StoreError::IdTaken));
    create(&store, id(1, 0), at(10_000)).await.unwrap();
    assert_eq!(store.len(), 1);
    assert!(listed(&store, "user", at(10_000)).await.is_empty());
}

#[tokio::test]
async fn sharing_instead_of_copying() {
    let store = MemoryStore::new();
    let record = record(id(1, 0), at(0));
    let key = store.create(&record, at(0)).await.unwrap();
    let loaded = store.load(&key, at(9_999)).await.unwrap().unwrap();
    assert!(Arc::ptr_eq(&loaded, &record));
    let expired = store.load(&key, at(10_000)).await.unwrap().unwrap();
    assert!(
        !expired.is_live(at(10_000)),
        "it has not been swept, and lets nobody in"
    );
    assert_eq!(store.len(), 1);
}

#[tokio::test]
async fn a_full_store_refuses() {
    let store = MemoryStore::with_capacity(2);
    create(&store, id(1, 0), at(0)).await.unwrap();
    create(&store, id(2, 0), at(0)).await.unwrap();
    let error = create(&store, id(3, 0), at(0)).await.unwrap_err();
    assert!(matches!(error, StoreError::Full { capacity: 2 }));
    assert_eq!(store.len(), 2);
    store
        .delete(&RecordKey::Id(id(1, 0)), Ended::default())
        .await
        .unwrap();
    create(&store, id(3, 0), at(0)).await.unwrap();
    let error = create(&store, id(4, 0), at(0)).await.unwrap_err();
    assert!(matches!(error, StoreError::Full { capacity: 2 }));
    let none = MemoryStore::with_capacity(0);
    let error = create(&none, id(1, 0), at(0)).await.unwrap_err();
    assert!(matches!(error, StoreError::Full { capacity: 0 }));
}

#[tokio::test]
async fn a_full_store_sweeps_at_most_once_a_second() {
    let store = MemoryStore::with_capacity(2);
    create(&store, id(1, 0), at(0)).await.unwrap();
    create(&store, id(2, 0), at(500)).await.unwrap();
    // The first creation that finds no place sweeps, and one record has expired.
    create(&store, id(3, 0), at(10_000)).await.unwrap();
    assert_eq!(store.len(), 2);
    // Another one has expired since, but somebody has just looked.
    let error = create(&store, id(4, 0), at(10_999)).await.unwrap_err();
    assert!(matches!(error, StoreError::Full { .. }));
    create(&store, id(4, 0), at(11_000)).await.unwrap();
    assert_eq!(store.len(), 2);
    // And once more: the next look is due at 12,000.
    store
        .delete(&RecordKey::Id(id(3, 0)), Ended::default())
        .await
        .unwrap();
    create(&store, id(5, 0), at(1_500)).await.unwrap();
    let error = create(&store, id(6, 0), at(11_999)).await.unwrap_err();
    assert!(matches!(error, StoreError::Full { .. }));
    create(&store, id(6, 0), at(12_000)).await.unwrap();
}

/// However far the clock was ahead when a full store was swept, and however long ago that was.
#[tokio::test]
async fn a_full_store_is_swept_again_after_the_clock_was_set_back() {
    const DAY: u64 = 86_400_000;
    for ahead in [60_000, DAY, 365 * DAY, 1 << 52] {
        let store = MemoryStore::with_capacity(1);
        let key = create(&store, id(1, 0), at(ahead)).await.unwrap();
        let full = create(&store, id(2, 0), at(ahead)).await.unwrap_err();
        assert!(matches!(full, StoreError::Full { .. }));
        store.delete(&key, Ended::default()).await.unwrap();
        // Set back. That one ends after ten seconds.
        create(&store, id(3, 0), at(0)).await.unwrap();
        let times = [
            (9_999, false),
            (10_998, false),
            (10_999, true),
            (50_000, true),
        ];
        for (n, (now, swept)) in (0..).zip(times) {
            let created = create(&store, id(4, n), at(now)).await;
            assert_eq!(created.is_ok(), swept, "{ahead} {now}");
            if let Ok(key) = created {
                store.delete(&key, Ended::default()).await.unwrap();
                create(&store, id(3, 0), at(0)).await.unwrap();
            }
        }
    }
}

#[tokio::test]
async fn creations_sweep_their_shard() {
    let store = MemoryStore::new();
    for n in 0..64 {
        create(&store, id(1, n), at(0)).await.unwrap();
    }
    create(&store, id(2, 0), at(0)).await.unwrap();
    assert_eq!(store.len(), 65);
    // The 65th creation in the shard of byte 1 sweeps it; 33 is of the same one.
    create(&store, id(33, 0), at(10_000)).await.unwrap();
    assert_eq!(store.len(), 2, "the new one, and the one in another shard");
    // The count begins anew: 63 more do not sweep, the next one does.
    let short = |n| record(id(1, n), at(0));
    for n in 0..63 {
        store.create(&short(n), at(10_000)).await.unwrap();
    }
    assert_eq!(store.len(), 2 + 63);
    create(&store, id(1, 100), at(10_000)).await.unwrap();
    assert_eq!(store.len(), 3);
}

/// What survived a sweep is not swept again and again, but what has expired since goes before
/// the shard has doubled.
#[tokio::test]
async fn a_large_shard_is_swept_once_it_has_doubled() {
    let store = MemoryStore::new();
    for n in 0..100 {
        create(&store, id(1, n), at(0)).await.unwrap();
    }
    for n in 100..=200 {
        create(&store, id(1, n), at(10_000)).await.unwrap();
    }
    assert!(
        store.len() <= 101,
        "{} records, of which 101 are live",
        store.len()
    );
}

#[tokio::test]
async fn sweeping_says_how_many() {
    let store = MemoryStore::new();
    for n in 0..40 {
        let started = if n < 30 { at(0) } else { at(1) };
        create(&store, id(n, 0), started).await.unwrap();
    }
    assert_eq!(store.delete_expired(at(9_999)).await.unwrap(), 0);
    assert_eq!(store.delete_expired(at(10_000)).await.unwrap(), 30);
    assert_eq!(store.len(), 10);
    assert_eq!(store.delete_expired(at(10_000)).await.unwrap(), 0);
    assert_eq!(store.delete_expired(at(10_001)).await.unwrap(), 10);
    assert!(store.is_empty());
}

#[tokio::test]
async fn sessions_of_a_principal() {
    let store = MemoryStore::new();
    for n in 0..3 {
        store
            .create(&of_principal(id(n, 0), "ann"), at(0))
            .await
            .unwrap();
    }
    store
        .create(&of_principal(id(9, 0), "bob"), at(0))
        .await
        .unwrap();
    create(&store, id(10, 0), at(0)).await.unwrap();
    assert_eq!(
        listed(&store, "ann", at(0)).await,
        [id(0, 0), id(1, 0), id(2, 0)]
    );
    assert_eq!(listed(&store, "bob", at(9_999)).await, [id(9, 0)]);
    assert!(listed(&store, "bob", at(10_000)).await.is_empty());
    assert!(listed(&store, "", at(0)).await.is_empty());
    assert_eq!(
        store
            .delete_all_of("nobody", None, Ended::default())
            .await
            .unwrap(),
        0
    );
    assert_eq!(
        store
            .delete_all_of("ann", Some(id(1, 0)), Ended::default())
            .await
            .unwrap(),
        2
    );
    assert_eq!(listed(&store, "ann", at(0)).await, [id(1, 0)]);
    assert_eq!(store.len(), 3);
    assert_eq!(
        store
            .delete_all_of("ann", Some(id(9, 0)), Ended::default())
            .await
            .unwrap(),
        1
    );
    assert_eq!(
        store
            .delete_all_of("ann", None, Ended::default())
            .await
            .unwrap(),
        0
    );
    assert_eq!(
        store
            .delete_all_of("bob", None, Ended::default())
            .await
            .unwrap(),
        1
    );
    assert_eq!(store.len(), 1);
}

#[tokio::test]
async fn the_index_follows_a_change_of_principal() {
    let store = MemoryStore::new();
    let first = record(id(1, 0), at(0));
    store.create(&first, at(0)).await.unwrap();
    let ann = Record::clone(&first).with_principal("ann");
    assert!(matches!(
        replace(&store, ann.clone()).await,
        Updated::Saved { version: 2, .. }
    ));
    assert_eq!(listed(&store, "ann", at(0)).await, [id(1, 0)]);
    let bob = ann.with_version(2).with_principal("bob");
    assert!(matches!(
        replace(&store, bob).await,
        Updated::Saved { version: 3, .. }
    ));
    assert!(listed(&store, "ann", at(0)).await.is_empty());
    assert_eq!(
        store
            .delete_all_of("ann", None, Ended::default())
            .await
            .unwrap(),
        0
    );
    assert_eq!(listed(&store, "bob", at(0)).await, [id(1, 0)]);
    let nobody = Record::clone(&first).with_version(3);
    assert!(matches!(
        replace(&store, nobody).await,
        Updated::Saved { version: 4, .. }
    ));
    assert!(listed(&store, "bob", at(0)).await.is_empty());
}

#[tokio::test]
async fn an_update_says_what_it_came_to() {
    let store = MemoryStore::new();
    let first = record(id(1, 0), at(0));
    let key = store.create(&first, at(0)).await.unwrap();
    let stale = Record::clone(&first).with_version(7);
    let Updated::Conflict {
        current: Some(there),
        ..
    } = replace(&store, stale.clone()).await
    else {
        unreachable!("version 7 is not there")
    };
    assert!(Arc::ptr_eq(&there, &first));

    let changes = Changes::new().set("a", Value::new(Codec::Json, &b"1"[..]));
    let left = Arc::new(changes.apply(&stale));
    let update = Update::new(left, changes, 0);
    let Updated::Saved {
        key: saved,
        version,
        ..
    } = store.update(&key, &update, at(0)).await.unwrap()
    else {
        unreachable!("it merges")
    };
    assert_eq!((saved, version), (key.clone(), 2));
    let expired = store.update(&key, &update, at(10_000)).await.unwrap();
    assert!(matches!(expired, Updated::Gone));
    store.delete(&key, Ended::default()).await.unwrap();
    assert!(matches!(
        store.update(&key, &update, at(0)).await.unwrap(),
        Updated::Gone
    ));
    let sealed = RecordKey::sealed("id", "abc");
    assert!(store.load(&sealed, at(0)).await.unwrap().is_none());
    assert!(matches!(
        store.update(&sealed, &update, at(0)).await.unwrap(),
        Updated::Gone
    ));
    store.delete(&sealed, Ended::default()).await.unwrap();
}

#[tokio::test]
async fn pointers_forward_everything() {
    let inner: Arc<MemoryStore> = Arc::default();
    let stores: [Box<dyn SessionStore>; 2] = [
        Box::new(Arc::clone(&inner)),
        Box::new(Box::new(Arc::clone(&inner)) as Box<dyn SessionStore>),
    ];
    for (n, store) in (0..).zip(stores) {
        let record = of_principal(id(1, n), "ann");
        let key = store.create(&record, at(0)).await.unwrap();
        assert_eq!(store.location(), RecordLocation::Server);
        assert!(store.load(&key, at(0)).await.unwrap().is_some());
        assert_eq!(
            store
                .principals()
                .unwrap()
                .list_of("ann", at(0))
                .await
                .unwrap()
                .len(),
            1
        );
        let changes = Changes::new();
        let update = Update::new(Arc::clone(&record), changes.clone(), 1);
        let other_epoch = store.update(&key, &update, at(0)).await.unwrap();
        assert!(matches!(other_epoch, Updated::Gone));
        let update = Update::new(Arc::clone(&record), changes, 0).with_expected_version(9);
        let conflict = store.update(&key, &update, at(0)).await.unwrap();
        assert!(matches!(
            conflict,
            Updated::Conflict {
                current: Some(_),
                ..
            }
        ));
        assert_eq!(
            store
                .principals()
                .unwrap()
                .delete_all_of("ann", None, Ended::default())
                .await
                .unwrap(),
            1
        );
        let ended = Ended::new(EndReason::Exchanged, at(0));
        let record = of_principal(id(2, n), "ann");
        let key = store.create(&record, at(0)).await.unwrap();
        store.delete(&key, ended).await.unwrap();
        assert_eq!(
            store.load(&key, at(0)).await.unwrap().unwrap().ended(),
            Some(ended)
        );
        store
            .create(&of_principal(id(3, n), "ann"), at(0))
            .await
            .unwrap();
        assert_eq!(store.delete_expired(at(10_000)).await.unwrap(), 1);
    }
}

/// Reads the whole store in pages, while others write, with each cursor printed and parsed.
#[tokio::test(flavor = "multi_thread")]
async fn a_scan_finds_ten_thousand_sessions_beside_writers() {
    const KEPT: u32 = 10_000;
    let store: Arc<MemoryStore> = Arc::default();
    let name = |n: u32| format!("user:{}", n % 700);
    let numbered = |n: u32, kept: bool| {
        let mut bytes = [u8::from(kept); 16];
        // Spread over all shards.
        bytes[..4].copy_from_slice(&n.wrapping_mul(0x9e37_79b9).to_le_bytes());
        SessionId::from_bytes(bytes)
    };
    for n in 0..KEPT {
        let record = of_principal(numbered(n, true), &name(n));
        store.create(&record, at(0)).await.unwrap();
    }
    let stop = Arc::new(AtomicBool::new(false));
    let writer = tokio::spawn({
        let (store, stop) = (Arc::clone(&store), Arc::clone(&stop));
        async move {
            let mut written = 0;
            while !stop.load(Ordering::Relaxed) || written < 1_000 {
                let record = of_principal(numbered(written % 5_000, false), &name(written));
                if let Ok(key) = store.create(&record, at(0)).await {
                    store.delete(&key, Ended::default()).await.unwrap();
                }
                written += 1;
                tokio::task::yield_now().await;
            }
        }
    });
    let (mut found, mut entries) = (HashSet::new(), HashSet::new());
    let mut from: Option<ScanCursor> = None;
    loop {
        let page = store.scan_records(from.as_ref(), 97).await.unwrap();
        assert!(page.sessions.len() <= 97);
        found.extend(page.sessions.iter().map(Listed::id));
        let Some(next) = page.next else { break };
        from = Some(next.to_string().parse().unwrap());
    }
    from = None;
    loop {
        let page = store.scan_index(from.as_ref(), 97).await.unwrap();
        assert!(page.entries.len() <= 97);
        entries.extend(page.entries);
        let Some(next) = page.next else { break };
        from = Some(next.to_string().parse().unwrap());
    }
    stop.store(true, Ordering::Relaxed);
    writer.await.unwrap();
    for n in 0..KEPT {
        let id = numbered(n, true);
        assert!(found.contains(&id), "{n}");
        assert!(entries.contains(&(name(n).into(), id)), "{n}");
    }
}
