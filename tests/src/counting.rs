//! A store that counts its calls.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use session_core::store::StoreError;

use crate::{Around, Call, Hook};

/// Counts each kind of call of the store in it.
pub type CountingStore<S> = Around<S, Counters>;

/// The calls so far.
#[derive(Debug, Default)]
pub struct Counters {
    loads: AtomicU64,
    creates: AtomicU64,
    updates: AtomicU64,
    deletes: AtomicU64,
    others: AtomicU64,
}

/// How many calls there were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Calls of `load`.
    pub loads: u64,
    /// Calls of `create`.
    pub creates: u64,
    /// Calls of `update`.
    pub updates: u64,
    /// Calls of `delete`.
    pub deletes: u64,
    /// Calls of `list_of`, `delete_one_of`, `delete_all_of` and `delete_expired`.
    pub others: u64,
}

impl Counts {
    /// No calls.
    pub const NONE: Self = Self {
        loads: 0,
        creates: 0,
        updates: 0,
        deletes: 0,
        others: 0,
    };
    /// One `load`.
    pub const LOAD: Self = Self {
        loads: 1,
        ..Self::NONE
    };
    /// One `create`.
    pub const CREATE: Self = Self {
        creates: 1,
        ..Self::NONE
    };
    /// One `load` and one `update`.
    pub const LOAD_UPDATE: Self = Self {
        updates: 1,
        ..Self::LOAD
    };
    /// One `load` and one `delete`.
    pub const LOAD_DELETE: Self = Self {
        deletes: 1,
        ..Self::LOAD
    };
}

impl<S> CountingStore<S> {
    /// Nothing counted yet.
    pub fn new(inner: S) -> Arc<Self> {
        let hook = Counters::default();
        Arc::new(Self { inner, hook })
    }

    /// The calls since this was last asked.
    pub fn take(&self) -> Counts {
        let take = |count: &AtomicU64| count.swap(0, Ordering::Relaxed);
        Counts {
            loads: take(&self.hook.loads),
            creates: take(&self.hook.creates),
            updates: take(&self.hook.updates),
            deletes: take(&self.hook.deletes),
            others: take(&self.hook.others),
        }
    }
}

impl Hook for Counters {
    async fn around<T: Send>(
        &self,
        call: Call,
        inner: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        let counter = match call {
            Call::Load => &self.loads,
            Call::Create => &self.creates,
            Call::Update => &self.updates,
            Call::Delete => &self.deletes,
            Call::List | Call::DeleteMany => &self.others,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        inner.await
    }
}
