//! A manager, with what a test asks about what it did.

use std::sync::Arc;
use std::time::Duration;

use session_core::store::SessionStore;
use session_core::{ManualClock, SessionManager, SessionManagerBuilder, Timeouts};

use crate::CountingStore;
use crate::story::clock;

/// A store whose calls are counted.
pub type Counted<S = Arc<dyn SessionStore>> = Arc<CountingStore<S>>;

/// A manager with these settings, its store, and its clock, which stands still.
pub fn stage<S: SessionStore>(
    store: S,
    set: impl FnOnce(SessionManagerBuilder) -> SessionManagerBuilder,
) -> (SessionManager, Counted<S>, Arc<ManualClock>) {
    let (store, clock) = (CountingStore::new(store), clock());
    let builder = SessionManager::builder(Arc::clone(&store)).clock(Arc::clone(&clock));
    (set(builder).build().unwrap(), store, clock)
}

/// What a store waits for an answer where a machine may be busy.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// The timeouts of a manager over such a store: an answer that the store waits for is in time.
pub fn patient_timeouts() -> Timeouts {
    Timeouts::default()
        .with_call(PATIENCE * 2)
        .with_commit(PATIENCE * 2)
}

/// A manager that no busy machine keeps waiting too long.
pub fn patient(store: impl SessionStore) -> SessionManager {
    let builder = SessionManager::builder(store).timeouts(patient_timeouts());
    builder.build().unwrap()
}
