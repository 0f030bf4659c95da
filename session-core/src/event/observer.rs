//! The events that an application can observe, and how it does.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::event::Refusal;
use crate::record::ShortId;
use crate::time::Timestamp;

/// What has happened to a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EventKind {
    /// It was stored for the first time.
    Created,
    /// A token opened it.
    Loaded,
    /// Its token was renewed, by a sign-in or another change of privilege.
    Renewed,
    /// Its token was rotated on [schedule](crate::Rotation).
    Rotated,
    /// A token came back after it was rotated away: somebody has a copy.
    Reused,
    /// It was bound to a device ([`DeviceBinding`](crate::DeviceBinding)).
    Bound,
    /// A token opened it without proof of the device that it is bound to: its client has lost the
    /// proof, or somebody has a copy of the token. [`Event::reason`] says whether the request was
    /// served.
    Unproven,
    /// A token opened no session, a device proved nothing, or a principal had
    /// too many sessions to sign in again: [`Event::refusal`] says which.
    Refused,
    /// The application ended it, in a request of the session itself.
    Destroyed,
    /// A token was presented after its session had expired. Each process reports that once.
    Expired,
    /// It was ended from elsewhere: its owner signed it out, its principal had too many sessions,
    /// or a token was reused. If several sessions ended in one step, there is one event, without a
    /// session.
    Revoked,
    /// Another request changed it first. The commit tries again, or leaves a rotation to the other
    /// request.
    Conflict,
    /// A commit gave up with [`SessionError::Contended`](crate::SessionError::Contended), because
    /// other requests kept writing to the session. [`Event::count`] says how many attempts it made,
    /// [`Event::waited`] for how long.
    Contended,
    /// It ended, or was renewed, while a request was changing it. The changes of that request were
    /// dropped.
    Gone,
    /// Changes were not saved.
    Unsaved,
    /// The store failed.
    StoreFailed,
    /// Its record cannot be read.
    Corrupt,
    /// A value is not of the type that was asked for. It reads as absent, because its key was made
    /// with [`or_discard`](crate::TypedKey::or_discard). [`Event::reason`] is the name of that key.
    Undecodable,
}

/// Something that happened to a session.
///
/// It contains no token, no value and no complete id. It does not contain the name of a key either,
/// except for [`EventKind::Undecodable`].
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Event<'a> {
    /// What has happened.
    pub kind: EventKind,
    /// The short hash of the session's id, if it is known.
    pub session: Option<ShortId>,
    /// Who was signed in.
    pub principal: Option<&'a str>,
    /// Why or how it happened, in a few words for people. Do not match on it.
    pub reason: &'a str,
    /// Why a token or a sign-in was refused, for [`EventKind::Refused`].
    pub refusal: Option<Refusal>,
    /// The number of sessions: 1, or more if several sessions of a principal ended in one step. For
    /// [`EventKind::Contended`], the number of attempts to write that failed.
    pub count: u64,
    /// How long a commit waited before it gave up, for [`EventKind::Contended`]; zero for all other
    /// kinds.
    pub waited: Duration,
    /// When it was noticed.
    pub at: Timestamp,
}

/// Receives each [`Event`], for example to count events or to keep an audit trail.
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
}

impl<F: Fn(&Event<'_>) + Send + Sync + 'static> Observer for F {
    fn observe(&self, event: &Event<'_>) {
        self(event);
    }
}

/// The observer of a manager, if it has one.
#[derive(Clone, Default)]
pub(crate) struct OptionalObserver(pub(crate) Option<Arc<dyn Observer>>);

impl OptionalObserver {
    /// Makes the event and sends it, if there is an observer.
    ///
    /// There is none while the thread panics. Some events happen while a request that panicked is
    /// dropped, and an observer that panics then would abort the process.
    pub(super) fn notify<'a>(&self, event: impl FnOnce() -> Event<'a>) {
        if let Some(observer) = &self.0
            && !std::thread::panicking()
        {
            observer.observe(&event());
        }
    }
}

impl fmt::Debug for OptionalObserver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "one" } else { "none" })
    }
}
