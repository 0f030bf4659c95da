#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::sync::Arc;

use redis::PushKind;
use session_core::store::{CachedStore, NearCache, Record, RecordKey, SessionStore};
use session_core::{Lifetime, ManualClock, MemoryStore, Timestamp};

use super::*;

const LEASE: Duration = Duration::from_secs(3);
const SECOND: Duration = Duration::from_secs(1);
const START: Timestamp = Timestamp::from_millis(0);

/// A store whose cache is told by two connections.
struct Site {
    store: CachedStore<MemoryStore>,
    clock: Arc<ManualClock>,
    near: Near,
    id: SessionId,
}

impl Site {
    async fn new() -> Self {
        let clock = ManualClock::new(START);
        let store = CachedStore::new(MemoryStore::new())
            .with_near_cache(NearCache::new(LEASE))
            .with_clock(Arc::clone(&clock));
        let near = Near::new(store.invalidations(), "s:".to_owned(), 2).unwrap();
        let id = SessionId::from_bytes([7; 16]);
        let record = Record::new(id, "id", Lifetime::default(), START);
        store.create(&Arc::new(record), START).await.unwrap();
        let site = Self {
            store,
            clock,
            near,
            id,
        };
        site.load().await;
        site
    }

    async fn load(&self) {
        let key = RecordKey::Id(self.id);
        self.store.load(&key, START).await.unwrap().unwrap();
    }

    /// Whether the second of two reads asks nobody.
    async fn serves(&self) -> bool {
        self.load().await;
        let before = self.store.stats().leased;
        self.load().await;
        self.store.stats().leased > before
    }

    /// Whether a read asks nobody.
    async fn serves_at_once(&self) -> bool {
        let before = self.store.stats().leased;
        self.load().await;
        self.store.stats().leased > before
    }

    fn push(&self, data: Value) {
        self.near.pushed(&PushInfo {
            kind: PushKind::Invalidate,
            data: vec![data],
        });
    }

    /// Both connections are up and have answered.
    fn up(&self) {
        for place in [0, 1] {
            self.near.tracks(place, 1);
        }
        for place in [0, 1] {
            self.near.answered(place, 1, self.near.now());
        }
    }
}

fn names(names: &[&str]) -> Value {
    let name = |name: &&str| Value::BulkString(name.as_bytes().to_vec());
    Value::Array(names.iter().map(name).collect())
}

#[tokio::test]
async fn a_lease_needs_every_connection_and_lasts_from_the_oldest_answer() {
    let site = Site::new().await;
    assert!(!site.serves().await);
    site.near.tracks(0, 1);
    site.near.answered(0, 1, site.near.now());
    assert!(!site.serves().await, "one of two");
    site.near.tracks(1, 2);
    assert!(!site.serves().await, "without an answer");
    site.near.answered(1, 2, site.near.now());
    assert!(site.serves().await);
    site.clock.advance(SECOND);
    site.near.answered(0, 1, site.near.now());
    site.clock.advance(SECOND * 2 - Duration::from_millis(1));
    assert!(site.serves_at_once().await);
    site.clock.advance(Duration::from_millis(1));
    assert!(!site.serves().await, "the other has not answered since");
    site.near.answered(1, 2, site.near.now());
    assert!(site.serves().await);
}

#[tokio::test]
async fn a_connection_that_is_lost_or_replaced_ends_all_leases() {
    let site = Site::new().await;
    site.up();
    assert!(site.serves().await);
    site.near.lost(1, 7); // another one
    assert!(site.serves_at_once().await);
    site.near.lost(1, 1);
    assert!(!site.serves().await);
    site.near.tracks(1, 2);
    // What is late of the former connection counts no more.
    site.near.answered(1, 1, site.near.now());
    assert!(!site.serves().await);
    site.near.lost(1, 1);
    site.near.answered(1, 2, site.near.now());
    assert!(site.serves_at_once().await, "read in this term");
    // Without a word of the loss, too.
    site.near.tracks(0, 3);
    site.near.answered(0, 3, site.near.now());
    assert!(!site.serves_at_once().await, "a new term has no old leases");
    assert!(site.serves_at_once().await);
}

#[tokio::test]
async fn what_the_server_tells_ends_the_lease_of_its_session() {
    let site = Site::new().await;
    let name = format!("s:{}", site.id.encode());
    site.push(names(&[&name])); // nobody listens yet
    site.up();
    for told in [names(&["s:principal:1", &name, "s:x"]), names(&[&name])] {
        assert!(site.serves().await);
        site.push(told);
        assert!(!site.serves_at_once().await);
    }
    assert!(site.serves().await);
    for others in [
        names(&[]),
        names(&["s:principal:1", "s:", "", &name[2..], &format!("s:{name}")]),
        names(&[&format!("s:{}", SessionId::from_bytes([8; 16]).encode())]),
    ] {
        site.push(others);
        assert!(site.serves_at_once().await);
    }
}

#[tokio::test]
async fn all_leases_end_if_all_keys_have_changed_and_the_feed_goes_on() {
    let site = Site::new().await;
    site.up();
    assert!(site.serves().await);
    site.push(Value::Nil);
    assert!(!site.serves_at_once().await);
    assert!(site.serves_at_once().await, "the last answer still holds");
    site.clock.advance(LEASE);
    assert!(!site.serves().await);
    site.near.lost(0, 1);
    site.push(Value::Nil);
    site.near.answered(1, 1, site.near.now());
    assert!(!site.serves().await);
}
