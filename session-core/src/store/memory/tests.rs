use super::*;
use crate::record::{EndReason, Lifetime};
use crate::store::Changes;

fn of(id: u8, principal: &str) -> Arc<Record> {
    let id = SessionId::from_bytes([id; 16]);
    let record = Record::new(id, "id", Lifetime::default(), Timestamp::default());
    Arc::new(record.with_principal(principal.to_owned()))
}

/// How many ids the index holds of each principal.
fn index(store: &MemoryStore) -> Vec<(String, usize)> {
    let principals = lock(&store.principals.0);
    let mut all: Vec<_> = principals
        .iter()
        .map(|(name, ids)| (name.to_string(), ids.len()))
        .collect();
    all.sort_unstable();
    all
}

#[tokio::test]
async fn the_index_holds_nothing_that_is_not_there() {
    let (store, now) = (MemoryStore::new(), Timestamp::default());
    for record in [of(1, "ann"), of(2, "ann"), of(3, "bob")] {
        store.create(&record, now).await.unwrap();
    }
    let renamed = Arc::new(Record::clone(&of(1, "bob")).with_version(2));
    let update = Update::new(Arc::clone(&renamed), Changes::new(), 0).with_expected_version(1);
    store
        .update(&RecordKey::Id(renamed.id), &update, now)
        .await
        .unwrap();
    assert_eq!(index(&store), [("ann".into(), 1), ("bob".into(), 2)]);
    store
        .delete(&RecordKey::Id(of(2, "ann").id), Ended::default())
        .await
        .unwrap();
    assert_eq!(index(&store), [("bob".into(), 2)]);
    store
        .delete_expired(Timestamp::from_millis(u64::MAX))
        .await
        .unwrap();
    assert_eq!(index(&store), []);
}

/// Ends this many sessions of one shard.
async fn end_many(store: &MemoryStore, count: u16, ended: Ended) {
    for n in 0..count {
        let mut id = [0; 16];
        id[1..3].copy_from_slice(&n.to_be_bytes());
        let record = Record::new(
            SessionId::from_bytes(id),
            "id",
            Lifetime::default(),
            ended.at,
        );
        let key = store.create(&Arc::new(record), ended.at).await.unwrap();
        store.delete(&key, ended).await.unwrap();
    }
}

fn marks(store: &MemoryStore) -> usize {
    store
        .shards
        .iter()
        .map(|shard| lock(shard).marks.len())
        .sum()
}

#[tokio::test]
async fn marks_are_no_more_than_sessions_may_be_and_those_that_are_over_are_dropped() {
    let at = |seconds: u64| Ended::new(EndReason::Revoked, Timestamp::from_millis(seconds * 1_000));
    let small = MemoryStore::with_capacity(10 * SHARDS);
    end_many(&small, 50, at(0)).await;
    assert_eq!(marks(&small), 10);

    let moved = MemoryStore::new();
    end_many(&moved, 2, Ended::new(EndReason::Moved, at(0).at)).await;
    assert_eq!(marks(&moved), 0, "what has moved has not ended");

    let store = MemoryStore::new();
    end_many(&store, 1_024, at(0)).await;
    assert_eq!(marks(&store), 1_024);
    let mut shard = lock(&store.shards[0]);
    shard.mark(SessionId::from_bytes([32; 16]), at(60), CAPACITY);
    assert_eq!(shard.marks.len(), 1, "the others are over");
}
