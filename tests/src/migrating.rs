//! A site that changes its store.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::{Backend, YieldStore, sim};
use session_core::store::{
    Durability, Listed, MigratingStore, PrincipalIndex, Record, RecordKey, RecordLocation,
    RecordScan, Revalidated, SessionStore, StoreError, Update, Updated, async_trait,
};
use session_core::{Ended, SessionId, Timestamp};

type Yielding = Arc<YieldStore<Arc<dyn SessionStore>>>;
/// A node of the site.
pub type Node = Arc<MigratingStore<Yielding, Yielding>>;

/// Nodes of both kinds over the same two stores. As a store itself it hands each call to one or the
/// other.
#[derive(Debug)]
pub struct MigratingSite {
    /// The old kind, which stands by.
    pub waiting: Node,
    /// The new kind, which moves sessions.
    pub moving: Node,
    new: Arc<dyn SessionStore>,
    old: Arc<dyn SessionStore>,
    /// Of ten creations so many are in the new store.
    created: u64,
    /// Of ten other calls so many are made by the node that moves.
    by_moving: u64,
    calls: AtomicU64,
}

impl MigratingSite {
    /// Over two new stores.
    pub fn new(new: Backend, old: Backend, seed: u64) -> Self {
        Self::over(new.store(), old.store(), seed)
    }

    /// Over stores that are there.
    pub fn over(new: Arc<dyn SessionStore>, old: Arc<dyn SessionStore>, seed: u64) -> Self {
        let node = |seed| {
            let new = Arc::new(YieldStore::new(Arc::clone(&new), seed));
            let old = Arc::new(YieldStore::new(Arc::clone(&old), seed + 1));
            MigratingStore::new(new, old).unwrap()
        };
        Self {
            waiting: Arc::new(node(seed + 2).standing_by()),
            moving: Arc::new(node(seed)),
            new,
            old,
            created: 0,
            by_moving: 10,
            calls: AtomicU64::new(seed),
        }
    }

    /// With this many of ten creations in the new store, and this many other calls by the node that
    /// moves.
    pub const fn with(mut self, created: u64, by_moving: u64) -> Self {
        (self.created, self.by_moving) = (created, by_moving);
        self
    }

    /// Whether a node finds the session.
    pub async fn is_live(&self, id: SessionId) -> bool {
        let key = RecordKey::Id(id);
        let [waiting, moving] =
            [&self.waiting, &self.moving].map(|node| node.load(&key, sim::START));
        let live =
            |found: Option<Arc<Record>>| found.is_some_and(|record| record.ended().is_none());
        live(waiting.await.unwrap()) || live(moving.await.unwrap())
    }

    /// Whether both stores hold what a token opens.
    pub async fn is_doubled(&self, id: SessionId) -> bool {
        let mut count = 0;
        for store in [&self.new, &self.old] {
            let found = store.load(&RecordKey::Id(id), sim::START).await.unwrap();
            let marked = |record: &Arc<Record>| record.epoch() > 1 << 40;
            count += u32::from(found.is_some_and(|record| !marked(&record)));
        }
        count == 2
    }

    fn node(&self, of_ten: u64) -> &Node {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        // Not in an order that a case could be in step with.
        let drawn = (call.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) % 10;
        match drawn < of_ten {
            true => &self.moving,
            false => &self.waiting,
        }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl SessionStore for MigratingSite {
    fn location(&self) -> RecordLocation {
        RecordLocation::Server
    }

    fn call_timeout(&self) -> Option<std::time::Duration> {
        None
    }

    fn durability(&self) -> Durability {
        Durability::Durable
    }

    async fn load(
        &self,
        key: &RecordKey,
        now: Timestamp,
    ) -> Result<Option<Arc<Record>>, StoreError> {
        self.node(self.by_moving).load(key, now).await
    }

    async fn revalidate(
        &self,
        key: &RecordKey,
        known: &Arc<Record>,
        now: Timestamp,
    ) -> Result<Revalidated, StoreError> {
        self.node(self.by_moving).revalidate(key, known, now).await
    }

    async fn create(&self, record: &Arc<Record>, now: Timestamp) -> Result<RecordKey, StoreError> {
        // One store decides about one id, since nobody draws one twice.
        let of_ten = match self.created {
            0 | 10 => self.created,
            _ => u64::from(record.id().as_bytes()[0]) % 2 * 10,
        };
        self.node(of_ten).create(record, now).await
    }

    async fn update(
        &self,
        key: &RecordKey,
        update: &Update,
        now: Timestamp,
    ) -> Result<Updated, StoreError> {
        self.node(self.by_moving).update(key, update, now).await
    }

    async fn delete(&self, key: &RecordKey, ended: Ended) -> Result<(), StoreError> {
        self.node(self.by_moving).delete(key, ended).await
    }

    fn principals(&self) -> Option<&dyn PrincipalIndex> {
        Some(self)
    }

    fn scan(&self) -> Option<&dyn RecordScan> {
        None
    }

    async fn delete_expired(&self, now: Timestamp) -> Result<u64, StoreError> {
        self.node(self.by_moving).delete_expired(now).await
    }
}

#[async_trait]
impl PrincipalIndex for MigratingSite {
    async fn list_of(&self, principal: &str, now: Timestamp) -> Result<Vec<Listed>, StoreError> {
        self.node(self.by_moving).list_of(principal, now).await
    }

    async fn delete_one_of(
        &self,
        principal: &str,
        id: SessionId,
        ended: Ended,
    ) -> Result<bool, StoreError> {
        self.node(self.by_moving)
            .delete_one_of(principal, id, ended)
            .await
    }

    async fn delete_all_of(
        &self,
        principal: &str,
        except: Option<SessionId>,
        ended: Ended,
    ) -> Result<u64, StoreError> {
        self.node(self.by_moving)
            .delete_all_of(principal, except, ended)
            .await
    }
}
