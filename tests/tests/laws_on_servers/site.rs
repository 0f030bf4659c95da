//! Two managers over one store, with connections of their own, on a clock that the test moves.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use session_core::store::SessionStore;
use session_core::{
    Clock, KeyRing, SessionManager, SessionManagerBuilder, Sleep, SystemClock, Timestamp,
};
use session_mongo::MongoStore;
use session_redis::RedisStore;
use session_tests::servers::MongoServer;
use session_tests::{PATIENCE, patient_timeouts};

/// The system's clock, some time ahead.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ahead(Arc<AtomicU64>);

impl Ahead {
    pub(crate) fn advance(&self, by: Duration) {
        self.0
            .fetch_add(u64::try_from(by.as_millis()).unwrap(), Ordering::SeqCst);
    }
}

impl Clock for Ahead {
    fn now(&self) -> Timestamp {
        SystemClock.now() + Duration::from_millis(self.0.load(Ordering::SeqCst))
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        SystemClock.sleep(duration)
    }
}

/// Two processes over one store, with connections of their own and a clock that the test moves.
pub(crate) struct Site {
    pub(crate) name: &'static str,
    stores: [Arc<dyn SessionStore>; 2],
    pub(crate) clock: Ahead,
}

impl Site {
    pub(crate) fn new(name: &'static str, stores: [Arc<dyn SessionStore>; 2]) -> Self {
        let clock = Ahead::default();
        Self {
            name,
            stores,
            clock,
        }
    }

    pub(crate) fn managers(
        &self,
        set: impl Fn(SessionManagerBuilder) -> SessionManagerBuilder,
    ) -> [SessionManager; 2] {
        [0, 1].map(|at| {
            let builder = SessionManager::builder(Arc::clone(&self.stores[at]))
                .clock(self.clock.clone())
                .timeouts(patient_timeouts())
                .keys(KeyRing::new([7; 32]).unwrap());
            set(builder).build().unwrap()
        })
    }
}

pub(crate) async fn redis(url: String) -> [Arc<dyn SessionStore>; 2] {
    let store = async || {
        let builder = RedisStore::builder(&url).call_timeout(PATIENCE);
        Arc::new(builder.connect().await.unwrap()) as Arc<dyn SessionStore>
    };
    [store().await, store().await]
}

pub(crate) async fn mongo(server: &MongoServer) -> [Arc<dyn SessionStore>; 2] {
    let store = async || {
        let builder = MongoStore::builder(server.patient_uri()).call_timeout(PATIENCE);
        Arc::new(builder.connect().await.unwrap()) as Arc<dyn SessionStore>
    };
    [store().await, store().await]
}
