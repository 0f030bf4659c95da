//! A manager, with what a test asks about what it did.

use std::sync::Arc;
use std::time::Duration;

use session_core::{Deadlines, ManagerBuilder, ManualClock, SessionManager, SessionStore};

use crate::CountingStore;
use crate::story::clock;

/// A store whose calls are counted.
pub type Counted<S = Arc<dyn SessionStore>> = Arc<CountingStore<S>>;

/// A manager with these settings, its store, and its clock, which stands still.
pub fn stage<S: SessionStore>(
    store: S,
    set: impl FnOnce(ManagerBuilder) -> ManagerBuilder,
) -> (SessionManager, Counted<S>, Arc<ManualClock>) {
    let (store, clock) = (CountingStore::new(store), clock());
    let builder = SessionManager::builder(Arc::clone(&store)).clock(Arc::clone(&clock));
    (set(builder).build().unwrap(), store, clock)
}

/// What a store waits for an answer where a machine may be busy.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// The deadlines of a manager over such a store: an answer that the store waits for is in time.
pub const PATIENT: Deadlines = Deadlines {
    call: Duration::from_secs(40),
    commit: Duration::from_secs(40),
};

/// A manager that no busy machine keeps waiting too long.
pub fn patient(store: impl SessionStore) -> SessionManager {
    let builder = SessionManager::builder(store).deadlines(PATIENT);
    builder.build().unwrap()
}
