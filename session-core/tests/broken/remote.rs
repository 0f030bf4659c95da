//! A right store behind a thread, as if over a network: callers wait for an answer, and what was
//! sent is done even if nobody waits any more.

use std::future::Future;
use std::pin::pin;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use async_trait::async_trait;
use session_core::store::{
    IndexMend, IndexPage, Listed, PrincipalIndex, Record, RecordKey, RecordLocation, RecordScan,
    ScanCursor, ScanPage, SessionStore, StoreError, Update, Updated,
};
use session_core::{Ended, MemoryStore, SessionId, Timestamp};
use tokio::sync::oneshot;

type Job = Box<dyn FnOnce(&MemoryStore) + Send>;

#[derive(Debug)]
pub(crate) struct RemoteStore {
    jobs: Mutex<Sender<Job>>,
}

impl RemoteStore {
    pub(crate) fn new() -> Self {
        let (jobs, inbox) = channel::<Job>();
        thread::spawn(move || {
            let store = MemoryStore::new();
            inbox.iter().for_each(|job| job(&store));
        });
        Self {
            jobs: Mutex::new(jobs),
        }
    }

    async fn ask<T: Send + 'static>(
        &self,
        job: impl FnOnce(&MemoryStore) -> T + Send + 'static,
    ) -> T {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |store| drop(answer.send(job(store))));
        self.jobs.lock().unwrap().send(job).unwrap();
        answered.await.unwrap()
    }
}

#[async_trait]
impl SessionStore for RemoteStore {
    fn location(&self) -> RecordLocation {
        RecordLocation::Server
    }

    async fn load(
        &self,
        key: &RecordKey,
        now: Timestamp,
    ) -> Result<Option<Arc<Record>>, StoreError> {
        let key = key.clone();
        self.ask(move |store| block_on(store.load(&key, now))).await
    }

    async fn create(&self, record: &Arc<Record>, now: Timestamp) -> Result<RecordKey, StoreError> {
        let record = Arc::clone(record);
        self.ask(move |store| block_on(store.create(&record, now)))
            .await
    }

    async fn update(
        &self,
        key: &RecordKey,
        update: &Update,
        now: Timestamp,
    ) -> Result<Updated, StoreError> {
        let (key, update) = (key.clone(), update.clone());
        self.ask(move |store| block_on(store.update(&key, &update, now)))
            .await
    }

    async fn delete(&self, key: &RecordKey, ended: Ended) -> Result<(), StoreError> {
        let key = key.clone();
        self.ask(move |store| block_on(store.delete(&key, ended)))
            .await
    }

    fn principals(&self) -> Option<&dyn PrincipalIndex> {
        Some(self)
    }

    fn scan(&self) -> Option<&dyn RecordScan> {
        Some(self)
    }

    async fn delete_expired(&self, now: Timestamp) -> Result<u64, StoreError> {
        self.ask(move |store| block_on(store.delete_expired(now)))
            .await
    }
}

#[async_trait]
impl PrincipalIndex for RemoteStore {
    async fn list_of(&self, principal: &str, now: Timestamp) -> Result<Vec<Listed>, StoreError> {
        let principal = principal.to_owned();
        self.ask(move |store| block_on(store.list_of(&principal, now)))
            .await
    }

    async fn delete_one_of(
        &self,
        principal: &str,
        id: SessionId,
        ended: Ended,
    ) -> Result<bool, StoreError> {
        let principal = principal.to_owned();
        self.ask(move |store| block_on(store.delete_one_of(&principal, id, ended)))
            .await
    }

    async fn delete_all_of(
        &self,
        principal: &str,
        except: Option<SessionId>,
        ended: Ended,
    ) -> Result<u64, StoreError> {
        let principal = principal.to_owned();
        self.ask(move |store| block_on(store.delete_all_of(&principal, except, ended)))
            .await
    }
}

#[async_trait]
impl RecordScan for RemoteStore {
    async fn scan_records(
        &self,
        from: Option<&ScanCursor>,
        most: usize,
    ) -> Result<ScanPage, StoreError> {
        let from = from.cloned();
        self.ask(move |store| block_on(store.scan_records(from.as_ref(), most)))
            .await
    }

    async fn scan_index(
        &self,
        from: Option<&ScanCursor>,
        most: usize,
    ) -> Result<IndexPage, StoreError> {
        let from = from.cloned();
        self.ask(move |store| block_on(store.scan_index(from.as_ref(), most)))
            .await
    }

    async fn mend_index(
        &self,
        principal: &str,
        id: SessionId,
        now: Timestamp,
    ) -> Result<IndexMend, StoreError> {
        let principal = principal.to_owned();
        self.ask(move |store| block_on(store.mend_index(&principal, id, now)))
            .await
    }

    async fn delete_unreadable(&self, id: SessionId, ended: Ended) -> Result<bool, StoreError> {
        self.ask(move |store| block_on(store.delete_unreadable(id, ended)))
            .await
    }
}

/// The smallest runtime: one future, and a thread that sleeps until it is woken.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}
