//! A process: its cache, and its connection.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use futures_util::future::{Either, select};
use futures_util::stream::{FuturesUnordered, StreamExt};
use session_core::store::{CachedStore, ChangeFeed, Invalidations, NearCache, SessionStore};
use session_core::{Clock, ManualClock};
use tokio::sync::Notify;

use super::link::Link;
use super::server::Server;
use super::wire::{Message, Wire};
use crate::Rng;

/// What all nodes of a site have in common.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// The leases, if there are any.
    pub near: Option<NearCache>,
    /// The bytes that a cache may hold.
    pub capacity: usize,
    /// After this time a call gives up.
    pub timeout: Duration,
}

/// A cache over a link.
pub struct Node<S> {
    /// What its requests use.
    pub store: Arc<CachedStore<Link<S>>>,
    link: Link<S>,
    clock: Arc<ManualClock>,
    invalidations: Invalidations,
    /// Who tells, and by which connection.
    feed: Mutex<Option<(u64, ChangeFeed)>>,
    /// When the last question was asked that has an answer.
    heard: Mutex<Duration>,
    rng: Rng,
    wires: AtomicU64,
    replaced: Notify,
    stopped: Notify,
}

impl<S: SessionStore> Node<S> {
    /// Without a connection, until [`run`](Self::run) is polled.
    pub fn new(
        server: &Arc<Server<S>>,
        settings: Settings,
        clock: Arc<ManualClock>,
        seed: u64,
    ) -> Arc<Self> {
        let link = Link::new(Arc::clone(server), Arc::clone(&clock), settings.timeout);
        let mut store = CachedStore::new(link.clone())
            .with_clock(Arc::clone(&clock))
            .with_capacity(settings.capacity);
        if let Some(near) = settings.near {
            store = store.with_near_cache(near);
        }
        Arc::new(Self {
            invalidations: store.invalidations(),
            store: Arc::new(store),
            link,
            clock,
            feed: Mutex::default(),
            heard: Mutex::default(),
            rng: Rng::new(seed),
            wires: AtomicU64::new(seed << 16),
            replaced: Notify::new(),
            stopped: Notify::new(),
        })
    }

    /// The present connection.
    pub fn wire(&self) -> Option<Arc<Wire>> {
        self.link.wire()
    }

    /// Ends [`run`](Self::run).
    pub fn stop(&self) {
        self.stopped.notify_one();
    }

    /// Keeps a connection until [`stop`](Self::stop) is called.
    pub async fn run(self: Arc<Self>) {
        let life = std::pin::pin!(async {
            let mut former = FuturesUnordered::new();
            loop {
                let wire = beside(&mut former, self.connection()).await;
                former.push(self.linger(wire));
                beside(&mut former, self.pass(self.rng.below(20))).await;
            }
        });
        let stopped = std::pin::pin!(self.stopped.notified());
        select(life, stopped).await;
        self.wire().inspect(|wire| wire.close());
    }

    /// Makes a new connection. What is under way on the present one still arrives.
    pub fn replace(&self) {
        self.replaced.notify_one();
    }

    /// What was asked on a former connection is still answered, for a while.
    async fn linger(&self, wire: Arc<Wire>) {
        let carries = std::pin::pin!(wire.carry_requests(&self.clock));
        let hears = std::pin::pin!(self.hear(&wire));
        let work = std::pin::pin!(select(carries, hears));
        let over = std::pin::pin!(self.pass(100));
        select(work, over).await;
        wire.close();
    }

    /// One connection, from its beginning until it ends or is replaced.
    async fn connection(&self) -> Arc<Wire> {
        let wire = Wire::new(self.wires.fetch_add(1, Ordering::Relaxed), self.rng.next());
        // Before anything is read here: what is read here the former one does not tell.
        *self.feed() = None;
        self.link.set_wire(Some(Arc::clone(&wire)));
        *lock(&self.heard) = self.invalidations.now();
        wire.request(Box::new(|wire| {
            wire.track();
            wire.tell(Message::Tracks);
        }));
        if self.is_cut(&wire).await {
            wire.close();
            *self.feed() = None;
            if self.rng.below(2) == 0 {
                self.link.set_wire(None);
            }
        }
        wire
    }

    /// Uses a connection until it ends; whether it did, and was not replaced.
    async fn is_cut(&self, wire: &Arc<Wire>) -> bool {
        let carries = std::pin::pin!(wire.carry_requests(&self.clock));
        let hears = std::pin::pin!(self.hear(wire));
        let asks = std::pin::pin!(self.ask(wire));
        let closed = std::pin::pin!(wire.closed());
        let works = std::pin::pin!(async { select(carries, hears).await });
        let ends = std::pin::pin!(async { select(asks, closed).await });
        let either = std::pin::pin!(async { select(works, ends).await });
        let replaced = std::pin::pin!(self.replaced.notified());
        matches!(select(either, replaced).await, Either::Left(_))
    }

    /// What arrives, in its order.
    async fn hear(&self, wire: &Arc<Wire>) {
        loop {
            let message = wire.message(&self.clock).await;
            let mut feed = self.feed();
            match (message, feed.as_ref()) {
                (Message::Reply(reply), _) => {
                    drop(feed);
                    reply();
                }
                (Message::Tracks, _) => {
                    *feed = Some((wire.id, self.invalidations.begin()));
                }
                (Message::Pong(asked), Some((id, feed))) if *id == wire.id => {
                    *lock(&self.heard) = asked;
                    feed.renew(asked);
                }
                (Message::Changed(changed), Some((id, feed))) if *id == wire.id => {
                    feed.changed(changed);
                }
                (Message::Pong(_) | Message::Changed(_), _) => {}
            }
        }
    }

    /// Asks three times in a lease whether the server is there, and returns when it has not
    /// answered for long.
    async fn ask(&self, wire: &Arc<Wire>) {
        let lease = self.invalidations.lease();
        let lease = lease.unwrap_or(Duration::from_millis(60));
        while self.invalidations.now() < *lock(&self.heard) + lease * 4 {
            let asked = self.invalidations.now();
            wire.request(Box::new(move |wire| wire.tell(Message::Pong(asked))));
            self.clock.sleep(lease / 3).await;
        }
    }

    async fn pass(&self, millis: usize) {
        let time = Duration::from_millis(millis as u64);
        self.clock.sleep(time).await;
    }

    fn feed(&self) -> MutexGuard<'_, Option<(u64, ChangeFeed)>> {
        lock(&self.feed)
    }

    /// What the nodes share.
    pub fn server(&self) -> &Arc<Server<S>> {
        self.link.server()
    }
}

/// Polls others too, until `work` is done.
async fn beside<T>(
    others: &mut FuturesUnordered<impl Future<Output = ()>>,
    work: impl Future<Output = T>,
) -> T {
    let mut work = std::pin::pin!(work);
    std::future::poll_fn(|context| {
        while let Poll::Ready(Some(())) = others.poll_next_unpin(context) {}
        work.as_mut().poll(context)
    })
    .await
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<S> fmt::Debug for Node<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node").finish_non_exhaustive()
    }
}
