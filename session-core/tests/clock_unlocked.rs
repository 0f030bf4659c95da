//! A clock is the application's: it is asked under no lock of ours.
#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use session_core::{
    Clock, MemoryStore, Outcome, Session, SessionManager, Sleep, SystemClock, Timestamp,
};

#[derive(Clone, Debug, Default)]
struct Curious(Arc<Mutex<Option<Session>>>);

impl Clock for Curious {
    fn now(&self) -> Timestamp {
        let session = self.0.lock().unwrap().clone();
        let _ = session.map(|session| session.is_new());
        SystemClock.now()
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        SystemClock.sleep(duration)
    }
}

#[test]
fn a_clock_may_look_at_a_session() {
    let (done, waits) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let clock = Curious::default();
            let manager = SessionManager::builder(MemoryStore::new())
                .clock(clock.clone())
                .build()
                .unwrap();
            let session = manager.begin(&[]).await.unwrap();
            session.insert("a", 1).unwrap();
            *clock.0.lock().unwrap() = Some(session.clone());
            session.finish(Outcome::Success).await.unwrap();
            session.needs_commit();
            *clock.0.lock().unwrap() = None;
        });
        done.send(()).unwrap();
    });
    waits.recv_timeout(Duration::from_secs(5)).unwrap();
}
