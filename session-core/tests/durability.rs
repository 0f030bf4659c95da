//! Whether a store can lose acknowledged writes, and what a manager makes of that.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use session_core::store::{
    Durability, MigratingStore, Record, RecordKey, RecordLocation, SessionStore, StoreError,
    Update, Updated, async_trait,
};
use session_core::{
    Ended, MemoryStore, OnReuse, Rotation, SessionManager, SessionManagerBuilder, Timestamp,
};

/// A store that does not say whether it can lose writes.
#[derive(Debug, Default)]
struct Silent(MemoryStore);

#[async_trait]
impl SessionStore for Silent {
    fn location(&self) -> RecordLocation {
        self.0.location()
    }

    async fn load(
        &self,
        key: &RecordKey,
        now: Timestamp,
    ) -> Result<Option<Arc<Record>>, StoreError> {
        self.0.load(key, now).await
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
}

fn migrating(new: impl SessionStore, old: impl SessionStore) -> Arc<dyn SessionStore> {
    Arc::new(MigratingStore::new(new, old).unwrap())
}

/// Each store, and whether it keeps what it has acknowledged.
fn stores() -> Vec<(&'static str, Arc<dyn SessionStore>, bool)> {
    let memory = MemoryStore::new;
    let silent = Silent::default;
    vec![
        ("memory", Arc::new(memory()), true),
        ("boxed", Arc::new(Box::new(memory())), true),
        ("of no word", Arc::new(silent()), false),
        ("of no word, boxed", Arc::new(Box::new(silent())), false),
        ("between good ones", migrating(memory(), memory()), true),
        ("to one of no word", migrating(silent(), memory()), false),
        ("from one of no word", migrating(memory(), silent()), false),
    ]
}

fn rotating(store: &Arc<dyn SessionStore>) -> SessionManagerBuilder {
    SessionManager::builder(Arc::clone(store)).rotation(Rotation::default())
}

#[test]
fn a_store_keeps_what_it_acknowledged_only_if_it_says_so() {
    for (name, store, durable) in stores() {
        assert_eq!(store.durability() == Durability::Durable, durable, "{name}");
    }
}

#[test]
fn theft_ends_no_session_of_a_store_that_can_lose_writes_unless_that_is_accepted() {
    for (name, store, durable) in stores() {
        let build = |policy| rotating(&store).on_reuse(policy).build();
        assert!(build(OnReuse::Report).is_ok(), "{name}");
        assert!(build(OnReuse::RevokeDespiteLostWrites).is_ok(), "{name}");
        match build(OnReuse::Revoke) {
            Ok(_) => assert!(durable, "{name}"),
            Err(refused) => {
                assert!(!durable, "{name}");
                let text = refused.to_string();
                for word in [
                    "fail-over",
                    "OnReuse::Report",
                    "RevokeDespiteLostWrites",
                    "durability",
                ] {
                    assert!(text.contains(word), "{text}");
                }
            }
        }
    }
}

#[test]
fn a_policy_without_a_rotation_is_refused_whatever_the_store() {
    for policy in [OnReuse::Revoke, OnReuse::RevokeDespiteLostWrites] {
        let builder = SessionManager::builder(MemoryStore::new()).on_reuse(policy);
        assert!(builder.build().is_err(), "{policy:?}");
    }
}
