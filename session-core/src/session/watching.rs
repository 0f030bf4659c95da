//! A handle that outlives its request: when its session ends, and that somebody still uses it.

use std::future::Future;

use crate::error::SessionError;
use crate::manager::{Look, SessionManager};
use crate::record::{EndReason, Ended, Record, SessionId};
use crate::session::Session;
use crate::state::{Cell, Current, Holding, SaveKind, Watched};
use crate::store::RecordKey;
use crate::time::{Timestamp, within};

impl Session {
    /// Returns a future that resolves when the session ends. Its output says when and why.
    ///
    /// Use it for what outlives a request, such as a WebSocket, a stream of events or a long poll.
    ///
    /// The future resolves when the session is destroyed, revoked or exchanged for that of another
    /// principal, when another request renews its token, and when it expires, on whichever node
    /// that happens. [`EndReason`] has the list. A renewal by this handle's own request does not
    /// resolve it. If this request destroys the session, the future resolves with the commit.
    ///
    /// The future asks the store when it is first polled, and then once in each
    /// [interval](crate::SessionManagerBuilder::watch_interval), 5 s by default. All handles of the
    /// session in this process share one load. The future also asks at once when this manager or a
    /// clone of it ends or renews the session, and when the session is due to expire. It costs
    /// nothing before it is polled or after it is dropped. While the store fails, it waits, and
    /// asks again at the next interval.
    ///
    /// If nothing is stored yet, the future waits, and watches the session from the commit that
    /// stores it. If the session ended before this request could open it, the future is ready at
    /// once, with [`EndReason::Unknown`].
    ///
    /// A sealed store keeps no sessions to ask for. With such a store, the future resolves when the
    /// copy that this handle holds expires, or when this request destroys the session. If the store
    /// has a `CutOff`, the future asks it at each interval; a session that it cuts off ends as
    /// [`EndReason::Revoked`].
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    /// # .block_on(async {
    /// # use session_core::{EndReason, MemoryStore, Outcome, SessionManager};
    /// # let manager = SessionManager::new(MemoryStore::new());
    /// # let session = manager.begin(&[]).await?;
    /// session.sign_in("user:42")?;
    /// session.finish(Outcome::Success).await?;
    /// let socket = tokio::spawn(session.ended()); // as a socket does until its client has left
    ///
    /// manager.sign_out_everywhere("user:42").await?; // from anywhere
    /// assert_eq!(socket.await.unwrap().reason, EndReason::Revoked);
    /// # Ok::<_, session_core::SessionError>(()) }).unwrap();
    /// ```
    pub fn ended(&self) -> impl Future<Output = Ended> + Send + Unpin + use<> {
        let session = self.clone();
        let watched = session.watched();
        Box::pin(async move { session.wait(watched).await })
    }

    /// Records that the session is in use, for example by a client that sends messages over a
    /// socket.
    ///
    /// It writes the time of the last activity at most once in each [touch
    /// interval](crate::Lifetime::touch_interval). In between it does not call the store, so call
    /// it for each message. It does not write changes to the session; [`save`](Self::save) does.
    /// Call neither on a timer, because a session that nobody uses should expire.
    ///
    /// A touch that failed or was cancelled may be tried again, even if its outcome is unknown,
    /// because it does no harm to record activity twice.
    ///
    /// It writes nothing while the session is not stored. It also writes nothing over a sealed
    /// store, because only a response can renew the client's copy.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    /// # .block_on(async {
    /// # use session_core::{
    /// #     ManualClock, MemoryStore, Outcome, SessionError, SessionManager, Timestamp,
    /// # };
    /// # use std::time::Duration;
    /// # let clock = ManualClock::new(Timestamp::from_millis(0));
    /// # let builder = SessionManager::builder(MemoryStore::new()).clock(clock.clone());
    /// # let manager = builder.build().unwrap();
    /// # let session = manager.begin(&[]).await?;
    /// # session.sign_in("user:42")?;
    /// # session.finish(Outcome::Success).await?;
    /// clock.advance(Duration::from_secs(60));
    /// session.touch().await?; // a message
    /// let expires = session.expires_at().unwrap();
    /// assert_eq!(expires.duration_since(clock.now()), manager.lifetime().idle());
    ///
    /// manager.sign_out_everywhere("user:42").await?;
    /// clock.advance(Duration::from_secs(60));
    /// assert!(matches!(session.touch().await, Err(SessionError::Gone)));
    /// # Ok::<_, session_core::SessionError>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// [`SessionError::Gone`] if the write finds that the session has ended or was renewed, if it
    /// has expired as far as this handle knows, or if it had ended before this request could open
    /// it. Otherwise the same as [`save`](Self::save).
    pub async fn touch(&self) -> Result<(), SessionError> {
        let (manager, cell) = (&self.inner.manager, &self.inner.cell);
        {
            let now = manager.now();
            let state = cell.state();
            match &state.current {
                Current::Barred(_) if state.metadata.sign_in.is_none() => {
                    return Err(SessionError::Gone);
                }
                Current::New | Current::Barred(_) => return Ok(()),
                Current::Stored(stored) => {
                    // Nothing but a response can carry the next copy of a sealed one.
                    let writes = !self.settings().is_sealed() && stored.record.touch_due(now);
                    if !writes {
                        let is_live = stored.record.is_live(now);
                        return is_live.then_some(()).ok_or(SessionError::Gone);
                    }
                }
            }
        }
        manager.save(cell, SaveKind::Touch).await
    }

    fn watched(&self) -> Watched {
        let sealed = self.settings().is_sealed();
        self.state().watched(sealed)
    }

    async fn wait(&self, mut watched: Watched) -> Ended {
        let (manager, cell) = (&self.inner.manager, &self.inner.cell);
        loop {
            // Made before the session is looked for, so that no creation is missed.
            let saved = cell.saved();
            if matches!(watched, Watched::Nothing) {
                watched = self.watched();
            }
            match watched {
                Watched::Nothing => saved.await,
                Watched::Over => return Ended::new(EndReason::Unknown, manager.now()),
                Watched::Session {
                    id,
                    key,
                    epoch,
                    expires,
                } => {
                    let watch = Watch {
                        manager,
                        cell,
                        id,
                        epoch,
                        expires,
                    };
                    return watch.run(key).await;
                }
            }
        }
    }
}

/// One session, watched by one handle.
struct Watch<'s> {
    manager: &'s SessionManager,
    cell: &'s Cell,
    id: SessionId,
    /// The epoch of the handle. A later one is a renewal by somebody else.
    epoch: u64,
    /// When it expires, for all that the handle knows.
    expires: Option<Timestamp>,
}

impl Watch<'_> {
    async fn run(mut self, key: Option<RecordKey>) -> Ended {
        let Some(key) = key else {
            return self.out_of_sight();
        };
        let mut watcher = self.manager.watch(key);
        loop {
            let look = watcher.look().await;
            if let Some(ended) = look.record.as_ref().and_then(|record| record.ended()) {
                return ended;
            }
            match self.holding(&look, watcher.key()).await {
                Holding::Yes { key, epoch } => {
                    self.epoch = epoch;
                    if key != *watcher.key() {
                        watcher = self.manager.watch(key);
                        continue;
                    }
                }
                Holding::No(Some(reason)) => return Ended::new(reason, look.at),
                Holding::Ending | Holding::No(None) => {}
            }
            if let Some(ended) = self.judge(&look, watcher.key()) {
                return ended;
            }
        }
    }

    /// How the handle stands to the session. Where that and the look do not agree, a request of the
    /// handle itself may be in the middle of a renewal: it is asked once it has taken note.
    async fn holding(&self, look: &Look, watched: &RecordKey) -> Holding {
        let holding = self.cell.state().holding(self.id);
        if let (Some(live), Holding::Yes { key, epoch }) = (look.live(), &holding)
            && live.epoch <= *epoch
            && key == watched
        {
            return holding;
        }
        // Without a turn of its own: whoever asks for one and is not polled, as a socket that
        // answers a message, holds up every save behind it.
        let saved = Box::pin(self.cell.saved());
        if self.cell.is_saving() {
            let (clock, limit) = (
                self.manager.calls().clock(),
                self.manager.settings().timeouts.commit,
            );
            // In any case, if nobody polls that save.
            let _ = within(clock, limit, saved).await;
        }
        self.cell.state().holding(self.id)
    }

    /// What a look at the store means to this handle; none if the session goes on.
    fn judge(&self, look: &Look, key: &RecordKey) -> Option<Ended> {
        let known = look
            .before
            .as_deref()
            .map(Record::expires_at)
            .or(self.expires);
        match (look.record.as_deref(), known) {
            (Some(record), _) if !record.is_live(look.at) => {
                Some(Ended::new(EndReason::Expired, record.expires_at()))
            }
            // An older one is of a look from before this handle was opened.
            (Some(record), _) if record.epoch > self.epoch => {
                Some(Ended::new(EndReason::Renewed, look.at))
            }
            (Some(_), _) => None,
            (None, Some(expired)) if expired <= look.at => {
                Some(Ended::new(EndReason::Expired, expired))
            }
            // What has opened, and has not expired, opens no more only if it was cut off.
            (None, _) if key.id().is_none() => Some(Ended::new(EndReason::Revoked, look.at)),
            (None, _) => Some(Ended::new(EndReason::Unknown, look.at)),
        }
    }

    /// A sealed session that the handle has no more: nobody else has it.
    fn out_of_sight(&self) -> Ended {
        let reason = match self.cell.state().holding(self.id) {
            Holding::No(Some(reason)) => reason,
            _ => EndReason::Unknown,
        };
        Ended::new(reason, self.manager.now())
    }
}
