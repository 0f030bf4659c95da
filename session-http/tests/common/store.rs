//! A memory store that counts its calls and fails when it is told to.

use std::future::pending;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use session_core::store::{
    Durability, Record, RecordKey, RecordLocation, SessionStore, StoreError, Update, Updated,
};
use session_core::{Ended, MemoryStore, Timestamp};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Load,
    Create,
    Update,
    Delete,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Down,
    Corrupt,
    Hang,
}

/// Calls of load, create, update and delete.
pub(crate) type Calls = [u32; 4];

#[derive(Debug, Default)]
pub(crate) struct TestStore {
    inner: MemoryStore,
    calls: Mutex<Calls>,
    faults: Mutex<Vec<(Call, Fault)>>,
}

impl TestStore {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    /// The calls since this was last asked.
    pub(crate) fn calls(&self) -> Calls {
        std::mem::take(&mut self.calls.lock().unwrap())
    }

    /// How many sessions there are.
    pub(crate) fn len(&self) -> usize {
        self.inner.len()
    }

    /// From now on every call of this kind fails.
    pub(crate) fn fail(&self, call: Call, fault: Fault) {
        self.faults.lock().unwrap().push((call, fault));
    }

    /// From now on nothing fails.
    pub(crate) fn repair(&self) {
        self.faults.lock().unwrap().clear();
    }

    /// Counts a call, gives way once, and fails if it is to.
    async fn enter(&self, call: Call) -> Result<(), StoreError> {
        self.calls.lock().unwrap()[call as usize] += 1;
        tokio::task::yield_now().await;
        let faults = self.faults.lock().unwrap().clone();
        match faults.iter().find(|(kind, _)| *kind == call) {
            None => Ok(()),
            Some((_, Fault::Down)) => Err(StoreError::unavailable("down on purpose")),
            Some((_, Fault::Corrupt)) => Err(StoreError::corrupt("damaged on purpose")),
            Some((_, Fault::Hang)) => pending().await,
        }
    }
}

#[async_trait]
impl SessionStore for TestStore {
    fn location(&self) -> RecordLocation {
        self.inner.location()
    }

    fn durability(&self) -> Durability {
        self.inner.durability()
    }

    async fn load(
        &self,
        key: &RecordKey,
        now: Timestamp,
    ) -> Result<Option<Arc<Record>>, StoreError> {
        self.enter(Call::Load).await?;
        self.inner.load(key, now).await
    }

    async fn create(&self, record: &Arc<Record>, now: Timestamp) -> Result<RecordKey, StoreError> {
        self.enter(Call::Create).await?;
        self.inner.create(record, now).await
    }

    async fn update(
        &self,
        key: &RecordKey,
        update: &Update,
        now: Timestamp,
    ) -> Result<Updated, StoreError> {
        self.enter(Call::Update).await?;
        self.inner.update(key, update, now).await
    }

    async fn delete(&self, key: &RecordKey, ended: Ended) -> Result<(), StoreError> {
        self.enter(Call::Delete).await?;
        self.inner.delete(key, ended).await
    }
}
