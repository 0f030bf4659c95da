//! Who is notified of events, and how.

use std::fmt;
use std::sync::Arc;

use crate::event::{Commit, Event, Opening, StoreCall};

/// Receives each [`Event`], for example to count events or to keep an audit trail.
///
/// The other methods are for figures: what each request opened, each store call, each commit. By
/// default they do nothing. `MetricsObserver` (feature `metrics`) is an observer that counts
/// everything.
///
/// It is called in the middle of requests, outside of all locks. It must be quick, and must neither
/// block nor panic. It receives every event: a client can cause as many `Refused` events as it
/// sends requests.
///
/// The log (target `session`) has the same events without the principal. It gets at most 60 lines a
/// minute of each kind and reason. A line says how many lines before it were left out
/// (`suppressed`). Events below `INFO` (`Loaded`, `Rotated`, `Conflict`) have no such limit.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use session_core::{Event, EventKind, MemoryStore, Outcome, SessionManager};
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicU64, Ordering};
///
/// let created = Arc::new(AtomicU64::new(0));
/// let counter = Arc::clone(&created);
/// let manager = SessionManager::builder(MemoryStore::new())
///     .observer(move |event: &Event<'_>| {
///         if event.kind == EventKind::Created {
///             counter.fetch_add(1, Ordering::Relaxed);
///         }
///     })
///     .build()
///     .unwrap();
///
/// let session = manager.begin(&[]).await?;
/// session.insert("colour", "blue")?;
/// session.finish(Outcome::Success).await?;
/// assert_eq!(created.load(Ordering::Relaxed), 1);
/// # Ok::<_, session_core::SessionError>(()) }).unwrap();
/// ```
pub trait Observer: Send + Sync + 'static {
    /// Receives an event.
    fn observe(&self, event: &Event<'_>);

    /// Receives what the tokens of a request opened.
    fn opened(&self, opening: &Opening) {
        let _ = opening;
    }

    /// Receives a store call that is over, with its outcome and how long it took.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    /// # .block_on(async {
    /// use session_core::{Event, MemoryStore, Observer, SessionManager};
    /// use session_core::{Outcome, StoreCall, StoreOperation};
    /// use std::sync::Arc;
    /// use std::sync::atomic::{AtomicUsize, Ordering};
    ///
    /// /// Counts the bytes that are written.
    /// struct Written(Arc<AtomicUsize>);
    ///
    /// impl Observer for Written {
    ///     fn observe(&self, _: &Event<'_>) {}
    ///
    ///     fn store_call(&self, call: &StoreCall) {
    ///         assert_eq!(call.operation, StoreOperation::Create);
    ///         self.0.fetch_add(call.bytes, Ordering::Relaxed);
    ///     }
    /// }
    ///
    /// let written = Arc::new(AtomicUsize::new(0));
    /// let manager = SessionManager::builder(MemoryStore::new())
    ///     .observer(Written(Arc::clone(&written)))
    ///     .build()
    ///     .unwrap();
    /// let session = manager.begin(&[]).await?;
    /// session.insert("colour", "blue")?;
    /// session.finish(Outcome::Success).await?;
    /// assert!(written.load(Ordering::Relaxed) > 100);
    /// # Ok::<_, session_core::SessionError>(()) }).unwrap();
    /// ```
    fn store_call(&self, call: &StoreCall) {
        let _ = call;
    }

    /// Receives a commit that is over, or a handler's own save.
    fn committed(&self, commit: &Commit) {
        let _ = commit;
    }
}

impl<F: Fn(&Event<'_>) + Send + Sync + 'static> Observer for F {
    fn observe(&self, event: &Event<'_>) {
        self(event);
    }
}

/// The observers of a manager.
#[derive(Clone, Default)]
pub(crate) struct Observers(Vec<Arc<dyn Observer>>);

impl Observers {
    pub(crate) fn add(&mut self, observer: impl Observer) {
        self.0.push(Arc::new(observer));
    }

    /// Whether there is none.
    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Has each of them receive something.
    ///
    /// They receive nothing while the thread panics. Some events happen while a request that
    /// panicked is dropped, and an observer that panics then would abort the process.
    pub(super) fn notify(&self, receive: impl Fn(&dyn Observer)) {
        if self.is_empty() || std::thread::panicking() {
            return;
        }
        for observer in &self.0 {
            receive(&**observer);
        }
    }
}

impl fmt::Debug for Observers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.len())
    }
}
