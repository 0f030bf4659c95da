//! Sessions that were left between two steps.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

use std::time::Duration;

use super::forms::{Place, frozen};
use super::*;
use crate::{Changes, Codec, Lifetime, Limits, MemoryStore};

type Moving = MigratingStore<Arc<MemoryStore>, Arc<MemoryStore>>;

const NOW: Timestamp = Timestamp::from_millis(1_000);

fn stores() -> Moving {
    MigratingStore::new(Arc::default(), Arc::default()).unwrap()
}

fn record() -> Record {
    Record::new(SessionId::from_bytes([7; 16]), "id", Lifetime::default(), NOW)
        .with_principal("ann")
        .with_value("a", Codec::Json.encode(&1).unwrap())
}

fn key() -> Key {
    Key::Id(record().id())
}

/// Writes `b` at this time.
async fn write(store: &Moving, now: Timestamp) -> Updated {
    let changes = Changes::new().set("b", Codec::Json.encode(&2).unwrap());
    let after = Arc::new(changes.apply(&record()));
    let update = Update {
        record: &after,
        changes: &changes,
        epoch: 0,
        expected: None,
        limits: &Limits::default(),
    };
    store.update(&key(), update, now).await.unwrap()
}

async fn expect_ended(store: &Moving) {
    assert!(store.load(&key(), NOW).await.unwrap().is_none());
    assert!(matches!(write(store, NOW).await, Updated::Gone));
    assert!(store.list("ann", NOW).await.unwrap().is_empty());
    assert!(!store.delete_one("ann", record().id()).await.unwrap());
}

/// The frozen record and its place, each where it belongs.
async fn frozen_halfway(store: &Moving) -> Record {
    let place = Place::draw().unwrap();
    let frozen = frozen(&record(), place.epoch());
    store.old.create(&Arc::new(frozen.clone()), NOW).await.unwrap();
    let place = Arc::new(place.for_record(&record()));
    store.new.create(&place, NOW).await.unwrap();
    frozen
}

#[tokio::test]
async fn who_is_late_fills_no_place_of_a_session_that_was_said_to_have_ended() {
    let store = stores();
    let frozen = frozen_halfway(&store).await;
    // Somebody ends it, and has come to the old store only.
    store.old.delete(&key()).await.unwrap();
    assert!(store.load(&key(), NOW).await.unwrap().is_none());
    store.fill(&key(), &frozen, NOW).await.unwrap();
    expect_ended(&store).await;
}

#[tokio::test]
async fn no_place_fits_but_the_one_that_is_named() {
    for standing_by in [false, true] {
        let mut store = stores();
        store.moving = !standing_by;
        let frozen = frozen_halfway(&store).await;
        // The session ended in the new store, and somebody who was late has made a place anew.
        store.new.delete(&key()).await.unwrap();
        let place = Arc::new(Place::draw().unwrap().for_record(&record()));
        store.new.create(&place, NOW).await.unwrap();
        expect_ended(&store).await;
        store.fill(&key(), &frozen, NOW).await.unwrap();
        expect_ended(&store).await;
    }
}

#[tokio::test]
async fn one_is_ended_wherever_it_lies() {
    for standing_by in [false, true] {
        for lies in 0..4 {
            let mut store = stores();
            store.moving = !standing_by;
            match lies {
                0 => drop(store.old.create(&Arc::new(record()), NOW).await.unwrap()),
                1 => drop(store.new.create(&Arc::new(record()), NOW).await.unwrap()),
                2 => drop(frozen_halfway(&store).await),
                _ => {
                    // With a place of an earlier version, and of another owner.
                    let earlier = record().with_principal("bob");
                    let place = Arc::new(Place::draw().unwrap().for_record(&earlier));
                    store.new.create(&place, NOW).await.unwrap();
                    store
                        .old
                        .create(&Arc::new(record().with_version(3)), NOW)
                        .await
                        .unwrap();
                }
            }
            let id = record().id();
            assert!(!store.delete_one("bob", id).await.unwrap(), "{lies}");
            assert!(store.load(&key(), NOW).await.unwrap().is_some(), "{lies}");
            assert!(store.delete_one("ann", id).await.unwrap(), "{lies}");
            assert_eq!((store.new.len(), store.old.len()), (0, 0), "{lies}");
            expect_ended(&store).await;
        }
    }
}

/// Of two who have found it in the new store, and somebody who has read it in the old one long ago.
#[tokio::test]
async fn of_many_who_end_what_has_moved_one_is_told_so() {
    let store = stores();
    store.old.create(&Arc::new(record()), NOW).await.unwrap();
    assert!(matches!(write(&store, NOW).await, Updated::Saved { .. }));
    let Found::New(found) = store.find(&key(), NOW).await.unwrap() else {
        panic!("it has moved");
    };
    assert!(store.delete_one("ann", record().id()).await.unwrap());
    assert!(store.reserve(&key(), &record(), NOW).await.unwrap().is_some());
    assert!(!store.end_in_new(&key(), &found, NOW).await.unwrap());
    expect_ended(&store).await;
}

/// It has said that it ended it, and was cut off before it could take it away.
#[tokio::test]
async fn what_was_ended_in_either_store_and_still_lies_there_is_no_session() {
    for moved in [false, true] {
        let store = stores();
        let place = if moved { &store.new } else { &store.old };
        place.create(&Arc::new(record()), NOW).await.unwrap();
        let ended = match moved {
            true => store.end_in_new(&key(), &record(), NOW).await,
            false => store.end_in_old(&key(), &record(), NOW).await,
        };
        assert!(ended.unwrap());
        assert_eq!(store.new.len() + store.old.len(), 1);
        expect_ended(&store).await;
    }
}

#[tokio::test]
async fn what_is_left_over_is_no_session_of_anybody() {
    let store = stores();
    let place = Arc::new(Place::draw().unwrap().for_record(&record()));
    store.new.create(&place, NOW).await.unwrap();
    assert!(!store.delete_one("ann", record().id()).await.unwrap());
    assert!(store.new.is_empty());
}

/// The store in memory hands back what has expired.
#[tokio::test]
async fn what_has_expired_is_handed_back_as_it_was_and_never_moves() {
    let then = record().expires();
    for lies in 0..3 {
        let store = stores();
        match lies {
            0 => drop(store.old.create(&Arc::new(record()), NOW).await.unwrap()),
            1 => drop(store.new.create(&Arc::new(record()), NOW).await.unwrap()),
            _ => drop(frozen_halfway(&store).await),
        }
        let lengths = (store.new.len(), store.old.len());
        let found = store.load(&key(), then).await.unwrap().unwrap();
        assert_eq!(*found, record(), "{lies}");
        assert!(matches!(write(&store, then).await, Updated::Gone), "{lies}");
        assert!(store.list("ann", then).await.unwrap().is_empty(), "{lies}");
        assert_eq!((store.new.len(), store.old.len()), lengths, "{lies}");
    }
}

/// Its timeout was made shorter in the new store, and what is left of it in the old one does not know.
#[tokio::test]
async fn what_has_expired_is_not_listed_for_what_is_left_of_it() {
    let store = stores();
    let minute = Duration::from_secs(60);
    let frozen = frozen(&record(), Place::draw().unwrap().epoch());
    store.old.create(&Arc::new(frozen), NOW).await.unwrap();
    let brief = Lifetime::new(minute, minute).unwrap();
    let brief = Record::new(record().id(), "id", brief, NOW).with_principal("ann");
    store.new.create(&Arc::new(brief), NOW).await.unwrap();
    assert_eq!(store.list("ann", NOW).await.unwrap().len(), 1);
    assert!(store.list("ann", NOW.plus(minute)).await.unwrap().is_empty());
}
