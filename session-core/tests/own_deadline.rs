//! A store that keeps a deadline of its own spares the manager a timer for each call.
#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use session_core::store::{
    Record, RecordKey, RecordLocation, SessionStore, StoreError, Update, Updated, async_trait,
};
use session_core::{
    Clock, Directive, Ended, MemoryStore, Outcome, SessionManager, Sleep, SystemClock, Timeouts,
    Timestamp,
};

/// Does not answer at once.
#[derive(Debug)]
struct Waits {
    inner: MemoryStore,
    deadline: Option<Duration>,
}

#[async_trait]
impl SessionStore for Waits {
    fn location(&self) -> RecordLocation {
        self.inner.location()
    }

    fn call_timeout(&self) -> Option<Duration> {
        self.deadline
    }

    async fn load(
        &self,
        key: &RecordKey,
        now: Timestamp,
    ) -> Result<Option<Arc<Record>>, StoreError> {
        tokio::task::yield_now().await;
        self.inner.load(key, now).await
    }

    async fn create(&self, record: &Arc<Record>, now: Timestamp) -> Result<RecordKey, StoreError> {
        tokio::task::yield_now().await;
        self.inner.create(record, now).await
    }

    async fn update(
        &self,
        key: &RecordKey,
        update: &Update,
        now: Timestamp,
    ) -> Result<Updated, StoreError> {
        tokio::task::yield_now().await;
        self.inner.update(key, update, now).await
    }

    async fn delete(&self, key: &RecordKey, ended: Ended) -> Result<(), StoreError> {
        tokio::task::yield_now().await;
        self.inner.delete(key, ended).await
    }
}

/// Counts the timers.
#[derive(Clone, Debug, Default)]
struct Counting(Arc<AtomicUsize>);

impl Clock for Counting {
    fn now(&self) -> Timestamp {
        SystemClock.now()
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        self.0.fetch_add(1, Ordering::Relaxed);
        SystemClock.sleep(duration)
    }
}

#[tokio::test]
async fn the_manager_makes_no_timer_where_the_store_has_one() {
    let call = Timeouts::default().call();
    let moment = Duration::from_millis(1);
    for (deadline, timers) in [
        (None, 5),
        (Some(call + moment), 5),
        (Some(call), 0),
        (Some(Duration::ZERO), 0),
    ] {
        let inner = MemoryStore::new();
        let clock = Counting::default();
        // However it is held.
        let store: Arc<dyn SessionStore> = Arc::new(Waits { inner, deadline });
        let builder = SessionManager::builder(store).clock(clock.clone());
        let manager = builder.build().unwrap();
        let session = manager.begin(&[]).await.unwrap();
        session.insert("a", 1).unwrap();
        let Directive::Hold(token) = session.finish(Outcome::Success).await.unwrap() else {
            unreachable!()
        };
        for number in [2, 3] {
            let session = manager.begin(&[token.as_str()]).await.unwrap();
            match number {
                2 => session.insert("a", number).unwrap(),
                _ => session.destroy().unwrap(),
            }
            session.finish(Outcome::Success).await.unwrap();
        }
        // A creation, two loads, an update and a deletion.
        assert_eq!(clock.0.load(Ordering::Relaxed), timers, "{deadline:?}");
    }
}
