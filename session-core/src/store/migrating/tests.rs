//! Sessions that were left between two steps.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

mod damaged;
mod outage;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;

use super::forms::{Place, frozen, is_place};
use super::*;
use crate::error::StoreError;
use crate::record::{Codec, EndReason, Ended, Lifetime, SessionId};
use crate::store::memory::MemoryStore;
use crate::store::{Changes, Listed, PrincipalIndex, RecordKey, Update, Updated};
use crate::time::Timestamp;

type Moving = MigratingStore<Arc<MemoryStore>, Arc<MemoryStore>>;

const NOW: Timestamp = Timestamp::from_millis(100_000);
const ENDED: Ended = Ended::new(EndReason::Revoked, NOW);

fn phase(standing_by: bool) -> Phase {
    match standing_by {
        true => Phase::StandingBy,
        false => Phase::Moving,
    }
}

fn stores() -> Moving {
    MigratingStore::new(Arc::default(), Arc::default()).unwrap()
}

fn record() -> Record {
    Record::new(
        SessionId::from_bytes([7; 16]),
        "id",
        Lifetime::default(),
        NOW,
    )
    .with_principal("ann")
    .with_value("a", Codec::Json.encode(&1).unwrap())
}

fn key() -> RecordKey {
    RecordKey::Id(record().id())
}

/// Writes `b` at this time.
async fn write<N: SessionStore, O: SessionStore>(
    store: &MigratingStore<N, O>,
    now: Timestamp,
) -> Updated {
    let changes = Changes::new().set("b", Codec::Json.encode(&2).unwrap());
    let after = Arc::new(changes.apply(&record()));
    let update = Update::new(Arc::clone(&after), changes.clone(), 0);
    store.update(&key(), &update, now).await.unwrap()
}

/// Whether there is no session any more.
fn is_over(found: Option<Arc<Record>>) -> bool {
    found.is_none_or(|record| record.ended().is_some())
}

async fn expect_ended(store: &Moving) {
    assert!(is_over(store.load(&key(), NOW).await.unwrap()));
    assert!(matches!(write(store, NOW).await, Updated::Gone));
    assert!(store.list_of("ann", NOW).await.unwrap().is_empty());
    assert!(
        !store
            .delete_one_of("ann", record().id(), ENDED)
            .await
            .unwrap()
    );
}

/// The frozen record and its place, each where it belongs.
async fn frozen_halfway(store: &Moving) -> Record {
    let place = Place::draw().unwrap();
    let frozen = frozen(&record(), place.epoch());
    store
        .old
        .create(&Arc::new(frozen.clone()), NOW)
        .await
        .unwrap();
    let place = Arc::new(place.for_record(&record()));
    store.new.create(&place, NOW).await.unwrap();
    frozen
}

#[tokio::test]
async fn who_is_late_fills_no_place_of_a_session_that_was_said_to_have_ended() {
    let store = stores();
    let frozen = frozen_halfway(&store).await;
    // Somebody ends it, and has come to the old store only.
    store.old.delete(&key(), ENDED).await.unwrap();
    assert!(is_over(store.load(&key(), NOW).await.unwrap()));
    store.fill(&key(), &frozen, NOW).await.unwrap();
    expect_ended(&store).await;
}

#[tokio::test]
async fn no_place_fits_but_the_one_that_is_named() {
    for standing_by in [false, true] {
        let mut store = stores();
        store.phase = phase(standing_by);
        let frozen = frozen_halfway(&store).await;
        // The session ended in the new store, long ago, and somebody who was late has made another
        // place.
        let long_ago = Ended::new(EndReason::Revoked, Timestamp::from_millis(0));
        store.new.delete(&key(), long_ago).await.unwrap();
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
            store.phase = phase(standing_by);
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
            assert!(
                !store.delete_one_of("bob", id, ENDED).await.unwrap(),
                "{lies}"
            );
            assert!(store.load(&key(), NOW).await.unwrap().is_some(), "{lies}");
            assert!(
                store.delete_one_of("ann", id, ENDED).await.unwrap(),
                "{lies}"
            );
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
    let Location::New(found) = store.find(&key(), NOW).await.unwrap() else {
        panic!("it has moved");
    };
    assert!(
        store
            .delete_one_of("ann", record().id(), ENDED)
            .await
            .unwrap()
    );
    assert!(
        store
            .reserve(&key(), &record(), NOW)
            .await
            .unwrap()
            .is_none()
    );
    assert!(!store.delete_from_new(&key(), &found).await.unwrap());
    expect_ended(&store).await;
}

/// What is left of it in the old store says nothing, whatever time it is.
#[tokio::test]
async fn what_has_moved_has_not_ended() {
    for now in [Timestamp::default(), NOW, record().expires_at()] {
        let store = stores();
        store.old.create(&Arc::new(record()), NOW).await.unwrap();
        assert!(matches!(write(&store, NOW).await, Updated::Saved { .. }));
        assert!(matches!(
            store.find(&key(), now).await.unwrap(),
            Location::New(_)
        ));
        assert_eq!((store.old.len(), store.new.len()), (0, 1));
    }
}

/// It is of another principal meanwhile, and what is left over of it in the old store ended with
/// those of the former one.
#[tokio::test]
async fn what_is_left_over_ends_without_what_has_moved() {
    let store = stores();
    let frozen = frozen(&record(), Place::draw().unwrap().epoch());
    store.old.create(&Arc::new(frozen), NOW).await.unwrap();
    let bob = Arc::new(record().with_principal("bob"));
    store.new.create(&bob, NOW).await.unwrap();
    assert_eq!(store.delete_all_of("ann", None, ENDED).await.unwrap(), 0);
    for standing_by in [false, true] {
        let store = MigratingStore {
            new: Arc::clone(&store.new),
            old: Arc::clone(&store.old),
            phase: phase(standing_by),
        };
        assert_eq!(
            store.load(&key(), NOW).await.unwrap(),
            Some(Arc::clone(&bob))
        );
        assert!(matches!(
            store.find(&key(), NOW).await.unwrap(),
            Location::New(_)
        ));
    }
    assert!(
        store
            .delete_one_of("bob", record().id(), ENDED)
            .await
            .unwrap()
    );
    expect_ended(&store).await;
}

/// It has said that it ended it, and was cut off before it could take it away.
#[tokio::test]
async fn what_was_ended_in_either_store_and_still_lies_there_is_no_session() {
    for moved in [false, true] {
        let store = stores();
        let place = if moved { &store.new } else { &store.old };
        let record = Arc::new(record());
        place.create(&record, NOW).await.unwrap();
        let ended = match moved {
            true => store.delete_from_new(&key(), &record).await,
            false => store.delete_from_old(&key(), &record).await,
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
    assert!(
        !store
            .delete_one_of("ann", record().id(), ENDED)
            .await
            .unwrap()
    );
    assert!(store.new.is_empty());
}

/// The store in memory hands back what has expired.
#[tokio::test]
async fn what_has_expired_is_handed_back_as_it_was_and_never_moves() {
    let then = record().expires_at();
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
        assert!(
            store.list_of("ann", then).await.unwrap().is_empty(),
            "{lies}"
        );
        assert_eq!((store.new.len(), store.old.len()), lengths, "{lies}");
    }
}

/// Its timeout was made shorter in the new store, and what is left of it in the old one does not
/// know.
#[tokio::test]
async fn what_has_expired_is_not_listed_for_what_is_left_of_it() {
    let store = stores();
    let minute = Duration::from_secs(60);
    let frozen = frozen(&record(), Place::draw().unwrap().epoch());
    store.old.create(&Arc::new(frozen), NOW).await.unwrap();
    let brief = Lifetime::new(minute, minute).unwrap();
    let brief = Record::new(record().id(), "id", brief, NOW).with_principal("ann");
    store.new.create(&Arc::new(brief), NOW).await.unwrap();
    assert_eq!(store.list_of("ann", NOW).await.unwrap().len(), 1);
    assert!(store.list_of("ann", NOW + minute).await.unwrap().is_empty());
}

/// A store whose session somebody else writes between any two calls of ours, and that notes how
/// long it has to keep what it is given.
#[derive(Debug, Default)]
struct Watched {
    store: MemoryStore,
    busy: bool,
    /// What it does is not answered.
    mute: bool,
    down: AtomicBool,
    /// No session in it can be read.
    damaged: bool,
    longest: std::sync::Mutex<Duration>,
}

impl Watched {
    fn up(&self) -> Result<(), StoreError> {
        match self.down.load(Ordering::Relaxed) {
            true => Err(StoreError::unavailable("it is down")),
            false => Ok(()),
        }
    }
}

#[async_trait]
impl SessionStore for Watched {
    fn location(&self) -> RecordLocation {
        RecordLocation::Server
    }

    async fn load(
        &self,
        key: &RecordKey,
        now: Timestamp,
    ) -> Result<Option<Arc<Record>>, StoreError> {
        self.up()?;
        let found = self.store.load(key, now).await?;
        if self.damaged
            && found
                .as_ref()
                .is_some_and(|record| record.ended().is_none())
        {
            return Err(StoreError::corrupt("it is damaged"));
        }
        if let Some(record) = found
            .as_ref()
            .filter(|record| self.busy && !is_place(record))
        {
            let changes = Changes::new().set("b", Codec::Json.encode(&record.version()).unwrap());
            let after = Arc::new(changes.apply(record));
            let update = Update::new(Arc::clone(&after), changes.clone(), record.epoch());
            self.store.update(key, &update, NOW).await?;
        }
        Ok(found)
    }

    async fn create(&self, record: &Arc<Record>, now: Timestamp) -> Result<RecordKey, StoreError> {
        self.up()?;
        self.store.create(record, now).await
    }

    async fn update(
        &self,
        key: &RecordKey,
        update: &Update,
        now: Timestamp,
    ) -> Result<Updated, StoreError> {
        self.up()?;
        let rest = update.record().expires_at().duration_since(now);
        self.longest
            .lock()
            .map(|mut longest| *longest = rest.max(*longest))
            .unwrap();
        let updated = self.store.update(key, update, now).await;
        match self.mute {
            true => Err(StoreError::outcome_unknown("the answer was lost")),
            false => updated,
        }
    }

    async fn delete(&self, key: &RecordKey, ended: Ended) -> Result<(), StoreError> {
        self.up()?;
        self.store.delete(key, ended).await
    }

    fn principals(&self) -> Option<&dyn PrincipalIndex> {
        Some(self)
    }
}

#[async_trait]
impl PrincipalIndex for Watched {
    async fn list_of(&self, principal: &str, now: Timestamp) -> Result<Vec<Listed>, StoreError> {
        self.up()?;
        let listed = self.store.list_of(principal, now).await?;
        let unreadable =
            |listed: Listed| Listed::unreadable(listed.id(), StoreError::corrupt("it is damaged"));
        Ok(match self.damaged {
            true => listed.into_iter().map(unreadable).collect(),
            false => listed,
        })
    }

    async fn delete_one_of(
        &self,
        principal: &str,
        id: SessionId,
        ended: Ended,
    ) -> Result<bool, StoreError> {
        self.up()?;
        self.store.delete_one_of(principal, id, ended).await
    }

    async fn delete_all_of(
        &self,
        principal: &str,
        except: Option<SessionId>,
        ended: Ended,
    ) -> Result<u64, StoreError> {
        self.up()?;
        self.store.delete_all_of(principal, except, ended).await
    }
}

fn late() -> Timestamp {
    Timestamp::from_millis(1_800_000_000_000)
}

/// Whoever is signed out may be the one who writes all the time.
#[tokio::test]
async fn a_session_ends_however_busy_it_is() {
    let busy = |busy| Watched {
        busy,
        ..Watched::default()
    };
    for moved in [false, true] {
        let store = MigratingStore::new(busy(moved), busy(!moved)).unwrap();
        let place = if moved { &store.new } else { &store.old };
        place.create(&Arc::new(record()), NOW).await.unwrap();
        assert!(
            store
                .delete_one_of("ann", record().id(), ENDED)
                .await
                .unwrap(),
            "{moved}"
        );
        assert_eq!(
            (store.new.store.len(), store.old.store.len()),
            (0, 0),
            "{moved}"
        );
    }
}

/// A store that makes a time to live of what is left keeps nothing longer than the session.
#[tokio::test]
async fn what_an_end_leaves_behind_is_kept_no_longer_than_the_session() {
    let store = MigratingStore::new(Watched::default(), Arc::new(MemoryStore::new())).unwrap();
    let record =
        Record::new(record().id(), "id", Lifetime::default(), late()).with_principal("ann");
    store
        .create(&Arc::new(record.clone()), late())
        .await
        .unwrap();
    assert!(
        store
            .delete_one_of("ann", record.id(), ENDED)
            .await
            .unwrap()
    );
    let longest = *store.new.longest.lock().unwrap();
    assert!(
        longest <= Duration::from_secs(15 * 24 * 3600),
        "{longest:?}"
    );
}

/// An end whose answer was lost is told from one that did not happen.
#[tokio::test]
async fn an_end_that_was_not_answered_is_looked_for() {
    let mute = || Watched {
        mute: true,
        ..Watched::default()
    };
    for moved in [false, true] {
        let store = MigratingStore::new(mute(), mute()).unwrap();
        let place = if moved { &store.new } else { &store.old };
        place.create(&Arc::new(record()), NOW).await.unwrap();
        assert!(
            store
                .delete_one_of("ann", record().id(), ENDED)
                .await
                .unwrap()
        );
        assert!(is_over(store.load(&key(), NOW).await.unwrap()));
        assert!(
            !store
                .delete_one_of("ann", record().id(), ENDED)
                .await
                .unwrap()
        );
    }
}
