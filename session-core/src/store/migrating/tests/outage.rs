//! What goes on, and what ends, while one of the two stores is down.

use super::*;

/// One session in each store.
async fn in_each() -> MigratingStore<Watched, Watched> {
    let store = MigratingStore::new(Watched::default(), Watched::default()).unwrap();
    for (at, place) in [(1, &store.new), (2, &store.old)] {
        place.create(&Arc::new(of(at)), NOW).await.unwrap();
    }
    store
}

fn of(id: u8) -> Record {
    Record::new(
        SessionId::from_bytes([id; 16]),
        "id",
        Lifetime::default(),
        NOW,
    )
    .with_principal("ann")
}

impl MigratingStore<Watched, Watched> {
    /// The old store or the new one, and the other.
    fn split(&self, old: bool) -> [&Watched; 2] {
        match old {
            true => [&self.old, &self.new],
            false => [&self.new, &self.old],
        }
    }
}

#[tokio::test]
async fn what_one_store_cannot_end_the_other_ends_all_the_same() {
    for old in [false, true] {
        let store = in_each().await;
        let [down, up] = store.split(old);
        down.down.store(true, Ordering::Relaxed);
        let ended = store.delete_all_of("ann", None, ENDED).await;
        assert!(
            matches!(ended, Err(StoreError::OutcomeUnknown(_))),
            "{old}: {ended:?}"
        );
        assert_eq!((up.store.len(), down.store.len()), (0, 1), "{old}");
        down.down.store(false, Ordering::Relaxed);
        assert_eq!(
            store.delete_all_of("ann", None, ENDED).await.unwrap(),
            1,
            "{old}"
        );
        assert!(store.list_of("ann", NOW).await.unwrap().is_empty(), "{old}");
    }
}

#[tokio::test]
async fn one_ends_where_it_is_while_the_other_store_is_down() {
    for old in [false, true] {
        let store = in_each().await;
        let [down, up] = store.split(old);
        let (out_of_reach, within_reach) = if old { (of(2), of(1)) } else { (of(1), of(2)) };
        down.down.store(true, Ordering::Relaxed);
        assert!(
            !store
                .delete_one_of("bob", within_reach.id(), ENDED)
                .await
                .unwrap(),
            "{old}"
        );
        assert!(
            store
                .delete_one_of("ann", within_reach.id(), ENDED)
                .await
                .unwrap(),
            "{old}"
        );
        let failed = store.delete_one_of("ann", out_of_reach.id(), ENDED).await;
        assert!(
            matches!(failed, Err(StoreError::OutcomeUnknown(_))),
            "{old}: {failed:?}"
        );
        down.down.store(false, Ordering::Relaxed);
        assert_eq!(store.list_of("ann", NOW).await.unwrap().len(), 1, "{old}");
        assert!(
            store
                .delete_one_of("ann", out_of_reach.id(), ENDED)
                .await
                .unwrap(),
            "{old}"
        );
        assert!(up.store.is_empty(), "{old}");
    }
}

#[tokio::test]
async fn a_deletion_reaches_the_store_that_is_up() {
    for old in [false, true] {
        let store = in_each().await;
        let [down, up] = store.split(old);
        let within_reach = if old { of(1) } else { of(2) };
        down.down.store(true, Ordering::Relaxed);
        let deleted = store.delete(&RecordKey::Id(within_reach.id()), ENDED).await;
        assert!(
            matches!(deleted, Err(StoreError::OutcomeUnknown(_))),
            "{old}: {deleted:?}"
        );
        assert!(up.store.is_empty(), "{old}");
    }
}

#[tokio::test]
async fn where_both_are_down_nothing_was_written() {
    let store = in_each().await;
    for place in [&store.new, &store.old] {
        place.down.store(true, Ordering::Relaxed);
    }
    let id = of(1).id();
    for failed in [
        store.delete_all_of("ann", None, ENDED).await.map(drop),
        store.delete_one_of("ann", id, ENDED).await.map(drop),
        store.delete(&RecordKey::Id(id), ENDED).await,
    ] {
        assert!(
            matches!(failed, Err(StoreError::Unavailable(_))),
            "{failed:?}"
        );
    }
}

/// What is in the old store, and not frozen, is the session whatever the new one holds.
#[tokio::test]
async fn sessions_of_the_old_store_go_on_while_the_new_one_is_down() {
    let store = MigratingStore::new(Watched::default(), Watched::default()).unwrap();
    store.old.create(&Arc::new(record()), NOW).await.unwrap();
    store.new.create(&Arc::new(of(1)), NOW).await.unwrap();
    store.new.down.store(true, Ordering::Relaxed);
    let found = store.load(&key(), NOW).await.unwrap().unwrap();
    assert_eq!(*found, record());
    assert!(matches!(
        write(&store, NOW).await,
        Updated::Saved { version: 2, .. }
    ));
    let found = store.load(&key(), NOW).await.unwrap().unwrap();
    assert_eq!(found.values().len(), 2);
    // What may have moved is not said to be gone, and nothing begins.
    for id in [of(1).id(), of(3).id()] {
        let failed = store.load(&RecordKey::Id(id), NOW).await;
        assert!(
            matches!(failed, Err(StoreError::Unavailable(_))),
            "{failed:?}"
        );
    }
    let failed = store.create(&Arc::new(of(3)), NOW).await;
    assert!(
        matches!(failed, Err(StoreError::Unavailable(_))),
        "{failed:?}"
    );
    // It moves as soon as it can.
    store.new.down.store(false, Ordering::Relaxed);
    assert!(matches!(
        write(&store, NOW).await,
        Updated::Saved { version: 3, .. }
    ));
    assert_eq!((store.new.store.len(), store.old.store.len()), (2, 0));
}

#[tokio::test]
async fn sessions_that_have_moved_go_on_while_the_old_store_is_down() {
    let store = MigratingStore::new(Watched::default(), Watched::default()).unwrap();
    store.new.create(&Arc::new(record()), NOW).await.unwrap();
    store.old.down.store(true, Ordering::Relaxed);
    assert_eq!(*store.load(&key(), NOW).await.unwrap().unwrap(), record());
    assert!(matches!(
        write(&store, NOW).await,
        Updated::Saved { version: 2, .. }
    ));
    let failed = store.load(&RecordKey::Id(of(3).id()), NOW).await;
    assert!(
        matches!(failed, Err(StoreError::Unavailable(_))),
        "{failed:?}"
    );
}

/// A place may have been left in the new store, of which a mark is left then.
#[tokio::test]
async fn a_session_whose_end_did_not_reach_the_old_store_goes_on_there() {
    let store = MigratingStore::new(Watched::default(), Watched::default()).unwrap();
    store.old.create(&Arc::new(record()), NOW).await.unwrap();
    let place = Place::draw().unwrap().for_record(&record());
    store.new.create(&Arc::new(place), NOW).await.unwrap();
    store.old.down.store(true, Ordering::Relaxed);
    let failed = store.delete(&key(), ENDED).await;
    assert!(
        matches!(failed, Err(StoreError::OutcomeUnknown(_))),
        "{failed:?}"
    );
    store.old.down.store(false, Ordering::Relaxed);
    assert_eq!(*store.load(&key(), NOW).await.unwrap().unwrap(), record());
    let written = write(&store, NOW).await;
    assert!(
        matches!(written, Updated::Saved { version: 2, .. }),
        "{written:?}"
    );
    store.delete(&key(), ENDED).await.unwrap();
    assert!(is_over(store.load(&key(), NOW).await.unwrap()));
    assert!(matches!(write(&store, NOW).await, Updated::Gone));
}
