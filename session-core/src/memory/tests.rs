use super::*;
use crate::{Changes, Lifetime, Limits};

fn of(id: u8, principal: &str) -> Arc<Record> {
    let id = SessionId::from_bytes([id; 16]);
    let record = Record::new(id, "id", Lifetime::default(), Timestamp::default());
    Arc::new(record.with_principal(principal.to_owned()))
}

/// How many ids the index holds of each principal.
fn index(store: &MemoryStore) -> Vec<(String, usize)> {
    let principals = lock(&store.principals);
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
    let update = Update {
        record: &renamed,
        changes: &Changes::new(),
        epoch: 0,
        expected: Some(1),
        limits: &Limits::default(),
    };
    store.update(&Key::Id(renamed.id), update, now).await.unwrap();
    assert_eq!(index(&store), [("ann".into(), 1), ("bob".into(), 2)]);
    store
        .delete(&Key::Id(of(2, "ann").id), Ended::default())
        .await
        .unwrap();
    assert_eq!(index(&store), [("bob".into(), 2)]);
    store
        .delete_expired(Timestamp::from_millis(u64::MAX))
        .await
        .unwrap();
    assert_eq!(index(&store), []);
}
