//! What an application may be told of its sessions, and how it listens.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

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
    /// A token opened no session, or a principal had too many sessions to sign in once more.
    Refused,
    /// The application ended it in one of its own requests.
    Destroyed,
    /// A token came after its end by time. Told about once by each process.
    Expired,
    /// It was ended from elsewhere: signed out by its owner, over the maximum, or because a token
    /// was reused. Where several ended in one step there is one event, without a session.
    Revoked,
    /// Another request changed it first: the commit goes round again, or leaves a rotation to the
    /// other one.
    Conflict,
    /// A commit gave up with [`Error::Contended`](crate::Error::Contended), because other requests
    /// wrote the session all the time. [`Event::count`] says how many attempts it made,
    /// [`Event::waited`] for how long.
    Contended,
    /// It ended, or was renewed, while a request was changing it. What the request wrote is
    /// dropped.
    Gone,
    /// Changes were not saved.
    Unsaved,
    /// The store failed.
    StoreFailed,
    /// Its record cannot be read.
    Corrupt,
}

/// One turn in a session's life. It holds no token, key or value, and no whole id.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Event<'a> {
    /// What has happened.
    pub kind: EventKind,
    /// The short hash of the session's id, where it is known.
    pub session: Option<ShortId>,
    /// Who was signed in.
    pub principal: Option<&'a str>,
    /// Why, or how, in a few words for people; not to be matched on.
    pub reason: &'a str,
    /// How many sessions it is about: 1, or more where several sessions of a principal ended in
    /// one step. Of [`EventKind::Contended`]: how many attempts to write were in vain.
    pub count: u64,
    /// For how long a commit waited before it gave up ([`EventKind::Contended`]); zero for all
    /// other kinds.
    pub waited: Duration,
    /// When it was noticed.
    pub at: Timestamp,
}

/// Is told of each [`Event`], to count them or to keep an audit trail.
///
/// It is called in the middle of requests, outside of all locks: it must be quick, and must neither
/// block nor panic. Nothing is left out: a client can make as many `Refused` events as it sends
/// requests. The log, target `session`, has the same events without the principal. It gets at most
/// 60 lines a minute of each kind and each reason, and says how many were left out (`suppressed`).
/// Only what is logged below `INFO` (`Loaded`, `Rotated`, `Conflict`) has no such limit.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use session_core::{Event, EventKind, MemoryStore, SessionManager};
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
/// let session = manager.open(&[]).await?;
/// session.insert("colour", "blue")?;
/// manager.commit(&session).await?;
/// assert_eq!(created.load(Ordering::Relaxed), 1);
/// # Ok::<_, session_core::Error>(()) }).unwrap();
/// ```
pub trait Observer: Send + Sync + 'static {
    /// Takes note of an event.
    fn observe(&self, event: &Event<'_>);
}

impl<F: Fn(&Event<'_>) + Send + Sync + 'static> Observer for F {
    fn observe(&self, event: &Event<'_>) {
        self(event);
    }
}

/// The observer of a manager, if it has one.
#[derive(Clone, Default)]
pub(crate) struct Audience(pub(crate) Option<Arc<dyn Observer>>);

impl fmt::Debug for Audience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "one" } else { "none" })
    }
}
