//! A store that fails on demand, and waits once for others.

use std::fmt;
use std::future::{Future, poll_fn};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use session_core::store::{
    Durability, IndexMend, IndexPage, Listed, PrincipalIndex, Record, RecordKey, RecordLocation,
    RecordScan, Revalidated, ScanCursor, ScanPage, SessionStore, StoreError, Update, Updated,
    async_trait, index_of, scan_of,
};
use session_core::{Ended, MemoryStore, SessionId, Timestamp};

/// How a [`TestStore`] fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreFault {
    /// Every call fails, as if the server could not be reached:
    /// [`StoreError::Unavailable`](session_core::store::StoreError::Unavailable).
    Unavailable,
    /// Sessions can be loaded, but every write fails as unavailable. So the handler runs, and its
    /// commit fails.
    ReadOnly,
    /// Sessions can be loaded. Every write is carried out, but its answer is lost:
    /// [`StoreError::OutcomeUnknown`](session_core::store::StoreError::OutcomeUnknown).
    OutcomeUnknown,
}

/// A store that fails on demand, over a [`MemoryStore`] or any other. Clones share everything.
///
/// A load yields once before it returns, as a load over a network does. So concurrent requests of a
/// test, such as those in a `tokio::join!`, really overlap: each has loaded the session before the
/// first one saves it.
///
/// [`TestSessions`](crate::testing::TestSessions) has one.
///
/// ```
/// use session_core::store::StoreError;
/// use session_core::{SessionError, SessionManager};
/// use session_http::testing::{StoreFault, TestStore};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let store = TestStore::new();
/// let manager = SessionManager::new(store.clone());
/// store.fail_next(1, StoreFault::Unavailable);
/// let failed = manager.sessions_of("user:42").await;
/// assert!(matches!(failed, Err(SessionError::Store(StoreError::Unavailable(_)))));
/// assert!(manager.sessions_of("user:42").await.is_ok());
/// # });
/// ```
#[derive(Clone)]
pub struct TestStore {
    inner: Arc<dyn SessionStore>,
    outage: Arc<Mutex<Option<Outage>>>,
}

/// How the store fails, and for how long.
#[derive(Clone, Copy, Debug)]
struct Outage {
    fault: StoreFault,
    /// How many calls are still to fail; `None` if all of them, until the store is repaired.
    calls: Option<usize>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Call {
    Read,
    Write,
}

impl TestStore {
    /// An empty store in memory.
    pub fn new() -> Self {
        Self::over(MemoryStore::new())
    }

    /// Makes a store of your own fail on demand.
    pub fn over(store: impl SessionStore) -> Self {
        Self {
            inner: Arc::new(store),
            outage: Arc::default(),
        }
    }

    /// Makes calls fail in this way, until [`repair`](Self::repair).
    pub fn fail(&self, fault: StoreFault) {
        *self.outage() = Some(Outage { fault, calls: None });
    }

    /// Makes the next `calls` calls fail in this way.
    ///
    /// Later calls succeed again. A call that succeeds in spite of the fault, such as a load from a
    /// [read-only](StoreFault::ReadOnly) store, does not count.
    pub fn fail_next(&self, calls: usize, fault: StoreFault) {
        let calls = Some(calls);
        *self.outage() = Some(Outage { fault, calls });
    }

    /// Ends the failure: from now on no call fails.
    pub fn repair(&self) {
        *self.outage() = None;
    }

    fn outage(&self) -> MutexGuard<'_, Option<Outage>> {
        self.outage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What happens to the next call.
    fn next_fault(&self, call: Call) -> Option<StoreFault> {
        let mut outage = self.outage();
        let Outage { fault, calls } = outage.as_mut()?;
        let fault = *fault;
        if call == Call::Read && fault != StoreFault::Unavailable {
            return None;
        }
        if let Some(calls) = calls {
            match calls.checked_sub(1) {
                Some(left) => *calls = left,
                None => {
                    *outage = None;
                    return None;
                }
            }
        }
        Some(fault)
    }

    async fn read<T>(
        &self,
        answer: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        match self.next_fault(Call::Read) {
            None => answer.await,
            Some(_) => unavailable(),
        }
    }

    async fn write<T>(
        &self,
        answer: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        match self.next_fault(Call::Write) {
            None => answer.await,
            Some(StoreFault::OutcomeUnknown) => {
                answer.await?;
                Err(StoreError::outcome_unknown("the answer was lost on demand"))
            }
            Some(_) => unavailable(),
        }
    }
}

/// Lets others run once.
async fn give_way() {
    let mut given = false;
    poll_fn(|context| match std::mem::replace(&mut given, true) {
        true => Poll::Ready(()),
        false => {
            context.waker().wake_by_ref();
            Poll::Pending
        }
    })
    .await;
}

fn unavailable<T>() -> Result<T, StoreError> {
    Err(StoreError::unavailable("unavailable on demand"))
}

impl Default for TestStore {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for TestStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestStore")
            .field("inner", &self.inner)
            .field("outage", &*self.outage())
            .finish()
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl SessionStore for TestStore {
    fn location(&self) -> RecordLocation {
        self.inner.location()
    }

    fn call_timeout(&self) -> Option<Duration> {
        // One of zero says that no call waits, and a load does.
        let timeout = self.inner.call_timeout();
        timeout.filter(|timeout| !timeout.is_zero())
    }

    fn durability(&self) -> Durability {
        self.inner.durability()
    }

    async fn load(
        &self,
        key: &RecordKey,
        now: Timestamp,
    ) -> Result<Option<Arc<Record>>, StoreError> {
        let loaded = self.read(self.inner.load(key, now)).await;
        give_way().await;
        loaded
    }

    async fn revalidate(
        &self,
        key: &RecordKey,
        known: &Arc<Record>,
        now: Timestamp,
    ) -> Result<Revalidated, StoreError> {
        let answer = self.read(self.inner.revalidate(key, known, now)).await;
        give_way().await;
        answer
    }

    async fn create(&self, record: &Arc<Record>, now: Timestamp) -> Result<RecordKey, StoreError> {
        self.write(self.inner.create(record, now)).await
    }

    async fn update(
        &self,
        key: &RecordKey,
        update: &Update,
        now: Timestamp,
    ) -> Result<Updated, StoreError> {
        self.write(self.inner.update(key, update, now)).await
    }

    async fn delete(&self, key: &RecordKey, ended: Ended) -> Result<(), StoreError> {
        self.write(self.inner.delete(key, ended)).await
    }

    fn principals(&self) -> Option<&dyn PrincipalIndex> {
        self.inner.principals().map(|_| self as _)
    }

    fn scan(&self) -> Option<&dyn RecordScan> {
        self.inner.scan().map(|_| self as _)
    }

    async fn delete_expired(&self, now: Timestamp) -> Result<u64, StoreError> {
        self.write(self.inner.delete_expired(now)).await
    }
}

#[async_trait]
impl PrincipalIndex for TestStore {
    async fn list_of(&self, principal: &str, now: Timestamp) -> Result<Vec<Listed>, StoreError> {
        self.read(index_of(&self.inner)?.list_of(principal, now))
            .await
    }

    async fn delete_one_of(
        &self,
        principal: &str,
        id: SessionId,
        ended: Ended,
    ) -> Result<bool, StoreError> {
        self.write(index_of(&self.inner)?.delete_one_of(principal, id, ended))
            .await
    }

    async fn delete_all_of(
        &self,
        principal: &str,
        except: Option<SessionId>,
        ended: Ended,
    ) -> Result<u64, StoreError> {
        self.write(index_of(&self.inner)?.delete_all_of(principal, except, ended))
            .await
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl RecordScan for TestStore {
    async fn scan_records(
        &self,
        from: Option<&ScanCursor>,
        most: usize,
    ) -> Result<ScanPage, StoreError> {
        self.read(scan_of(&self.inner)?.scan_records(from, most))
            .await
    }

    async fn scan_index(
        &self,
        from: Option<&ScanCursor>,
        most: usize,
    ) -> Result<IndexPage, StoreError> {
        self.read(scan_of(&self.inner)?.scan_index(from, most))
            .await
    }

    async fn mend_index(
        &self,
        principal: &str,
        id: SessionId,
        now: Timestamp,
    ) -> Result<IndexMend, StoreError> {
        self.write(scan_of(&self.inner)?.mend_index(principal, id, now))
            .await
    }

    async fn delete_unreadable(&self, id: SessionId, ended: Ended) -> Result<bool, StoreError> {
        self.write(scan_of(&self.inner)?.delete_unreadable(id, ended))
            .await
    }
}
