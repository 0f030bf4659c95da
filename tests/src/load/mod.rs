//! A constant load of readers and writers on a store whose servers fail.

mod report;
mod timed;
mod writer;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use session_core::store::SessionStore;
use session_core::{SessionManager, Timeouts};
use tokio::task::JoinHandle;

pub use self::report::Report;
pub use self::timed::{Call, Calls, Outcome, TimedStore};
use self::writer::Writer;

/// Readers and writers that never rest.
#[derive(Debug)]
pub struct Load {
    store: Arc<TimedStore<Arc<dyn SessionStore>>>,
    stop: Arc<AtomicBool>,
    lag: Arc<AtomicU64>,
    writers: Vec<JoinHandle<Writer>>,
    others: Vec<JoinHandle<()>>,
}

impl Load {
    /// Writers, each of which counts in a session of its own, and as many readers of these. Returns
    /// when each session is there.
    pub async fn start(store: impl SessionStore, writers: usize) -> Self {
        Self::start_with(store, writers, Timeouts::default()).await
    }

    /// The same, with timeouts of the manager's.
    pub async fn start_with(store: impl SessionStore, writers: usize, timeouts: Timeouts) -> Self {
        let load = Self::begin(store, writers, timeouts);
        load.until(
            "each writer has written",
            Duration::from_secs(20),
            |calls| calls.iter().filter(|call| is_written(call)).count() >= 2 * writers,
        )
        .await;
        load
    }

    /// The same, while nothing may be there yet.
    pub fn begin(store: impl SessionStore, writers: usize, timeouts: Timeouts) -> Self {
        let store: Arc<dyn SessionStore> = Arc::new(store);
        let store = Arc::new(TimedStore::new(store));
        let manager = SessionManager::builder(Arc::clone(&store))
            .timeouts(timeouts)
            .build()
            .unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let lag = Arc::new(AtomicU64::new(0));
        let mut others = vec![tokio::spawn(watch_lag(Arc::clone(&lag), Arc::clone(&stop)))];
        let mut tasks = Vec::new();
        for _ in 0..writers {
            let token = Arc::new(Mutex::new(None));
            tasks.push(tokio::spawn(write(
                Writer::new(manager.clone()),
                Arc::clone(&token),
                Arc::clone(&stop),
            )));
            others.push(tokio::spawn(read(
                manager.clone(),
                token,
                Arc::clone(&stop),
            )));
        }
        Self {
            store,
            stop,
            lag,
            writers: tasks,
            others,
        }
    }

    /// How long after `from` all was well again: no call failed or took long for 200 ms. Fails the
    /// test if that is not so after `limit`.
    pub async fn well_after(&self, from: Instant, limit: Duration) -> Duration {
        let patience = Instant::now() + limit + Duration::from_secs(10);
        let after = loop {
            if let Some(after) = report::well(&self.store.calls(), from) {
                break after;
            }
            self.assert_before(patience, "all is well again");
            tokio::time::sleep(Duration::from_millis(10)).await;
        };
        assert!(
            after <= limit + self.worst_lag(),
            "all was well only after {after:?}, not {limit:?}"
        );
        after
    }

    /// Waits until what is known of all calls `is` as it should be.
    pub async fn until(&self, what: &str, limit: Duration, mut is: impl FnMut(&[Call]) -> bool) {
        let deadline = Instant::now() + limit;
        while !is(&self.store.calls().over) {
            self.assert_before(deadline, what);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn assert_before(&self, deadline: Instant, what: &str) {
        assert!(
            Instant::now() < deadline,
            "waited in vain until {what}; the last calls: {:?}",
            self.store
                .calls()
                .over
                .iter()
                .rev()
                .take(8)
                .collect::<Vec<_>>()
        );
    }

    /// How many calls are over.
    pub fn calls(&self) -> usize {
        self.store.calls().over.len()
    }

    /// How late a task that only sleeps was woken at worst: that much is the machine's fault and
    /// not the store's.
    pub fn worst_lag(&self) -> Duration {
        Duration::from_millis(self.lag.load(Ordering::Relaxed))
    }

    /// Ends the load, and compares what is stored with what was acknowledged.
    ///
    /// Whatever happens, no write may be there twice, no call may take longer than `deadline` and a
    /// quarter of a second, and none may fail other than as unavailable or unknown.
    pub async fn finish(self, deadline: Duration) -> Report {
        self.stop.store(true, Ordering::Relaxed);
        let mut report = Report::default();
        for task in self.others {
            task.await.unwrap();
        }
        for task in self.writers {
            let (tally, lost) = task.await.unwrap().check().await;
            report.acknowledged += tally.acknowledged + tally.gone;
            report.lost += lost;
            report.gone += tally.gone;
        }
        let lag = Duration::from_millis(self.lag.load(Ordering::Relaxed));
        report.count(&self.store.calls().over);
        assert!(
            report.longest <= deadline + Duration::from_millis(250) + lag,
            "a call took {:?}",
            report.longest
        );
        report
    }
}

fn is_written(call: &Call) -> bool {
    !call.is_load && call.outcome == Outcome::Done
}

async fn write(
    mut writer: Writer,
    token: Arc<Mutex<Option<String>>>,
    stop: Arc<AtomicBool>,
) -> Writer {
    while !stop.load(Ordering::Relaxed) {
        writer.step().await;
        *token.lock().unwrap() = writer.token();
    }
    writer
}

async fn read(manager: SessionManager, token: Arc<Mutex<Option<String>>>, stop: Arc<AtomicBool>) {
    while !stop.load(Ordering::Relaxed) {
        let token = token.lock().unwrap().clone();
        // What comes of it is taken down below.
        let _ = manager.begin(token.as_deref().as_slice()).await;
        Writer::pause().await;
    }
}

async fn watch_lag(lag: Arc<AtomicU64>, stop: Arc<AtomicBool>) {
    let nap = Duration::from_millis(20);
    while !stop.load(Ordering::Relaxed) {
        let began = Instant::now();
        tokio::time::sleep(nap).await;
        let late = began.elapsed().saturating_sub(nap);
        lag.fetch_max(u64::try_from(late.as_millis()).unwrap(), Ordering::Relaxed);
    }
}
