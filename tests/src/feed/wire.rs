//! A connection.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use session_core::{Clock, ManualClock, SessionId};
use tokio::sync::Notify;

use crate::Rng;

/// What a client sends.
pub(super) type Request = Box<dyn FnOnce(&Arc<Wire>) + Send>;

/// What a server sends.
pub(super) enum Message {
    /// The answer to a call. It wakes the task that waits for it.
    Reply(Box<dyn FnOnce() + Send>),
    /// It tells of every change of what is read from now on.
    Tracks,
    /// An answer to a question that was sent at this time.
    Pong(Duration),
    /// Somebody has written or ended this.
    Changed(SessionId),
}

/// One of the two ways of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the client.
    ToServer,
    /// From the server.
    ToClient,
}

/// A connection. What is sent arrives late, in its order, and once.
pub struct Wire {
    /// Its number.
    pub(super) id: u64,
    rng: Rng,
    requests: Queue<Request>,
    messages: Queue<Message>,
    tracks: AtomicBool,
    closed: AtomicBool,
    closing: Notify,
}

struct Queue<T> {
    items: Mutex<VecDeque<T>>,
    more: Notify,
    /// Nothing arrives any more, and nobody notices.
    silent: AtomicBool,
}

impl<T> Queue<T> {
    fn new() -> Self {
        Self {
            items: Mutex::default(),
            more: Notify::new(),
            silent: AtomicBool::new(false),
        }
    }

    fn items(&self) -> MutexGuard<'_, VecDeque<T>> {
        self.items.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, item: T) {
        if !self.silent.load(Ordering::Relaxed) {
            self.items().push_back(item);
            self.more.notify_one();
        }
    }

    async fn next(&self) -> T {
        loop {
            let item = self.items().pop_front();
            match item {
                Some(item) => return item,
                None => self.more.notified().await,
            }
        }
    }

    fn fall_silent(&self) {
        self.silent.store(true, Ordering::Relaxed);
        let lost = std::mem::take(&mut *self.items());
        // Whoever waits for an answer is told that there is none.
        drop(lost);
    }
}

impl Wire {
    pub(super) fn new(id: u64, seed: u64) -> Arc<Self> {
        Arc::new(Self {
            id,
            rng: Rng::new(seed),
            requests: Queue::new(),
            messages: Queue::new(),
            tracks: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            closing: Notify::new(),
        })
    }

    /// From now on nothing arrives in this direction, and nobody is told.
    pub fn cut(&self, direction: Direction) {
        match direction {
            // What a call waits for stays open, so that it has to give up by itself.
            Direction::ToServer => self.requests.fall_silent(),
            Direction::ToClient => self.messages.fall_silent(),
        }
    }

    /// Both ends know that it is over.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        self.requests.fall_silent();
        self.messages.fall_silent();
        self.closing.notify_one();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    pub(super) async fn closed(&self) {
        while !self.is_closed() {
            self.closing.notified().await;
        }
    }

    pub(super) fn track(&self) {
        self.tracks.store(true, Ordering::Relaxed);
    }

    pub(super) fn tracks(&self) -> bool {
        self.tracks.load(Ordering::Relaxed)
    }

    pub(super) fn request(&self, request: Request) {
        self.requests.push(request);
    }

    pub(super) fn tell(&self, message: Message) {
        self.messages.push(message);
    }

    /// Carries requests to the server.
    pub(super) async fn carry_requests(self: &Arc<Self>, clock: &Arc<ManualClock>) {
        loop {
            let request = self.requests.next().await;
            self.delay(clock).await;
            if !self.requests.silent.load(Ordering::Relaxed) {
                request(self);
            }
        }
    }

    /// The next message that has arrived.
    pub(super) async fn message(&self, clock: &Arc<ManualClock>) -> Message {
        loop {
            let message = self.messages.next().await;
            self.delay(clock).await;
            if !self.messages.silent.load(Ordering::Relaxed) {
                return message;
            }
        }
    }

    /// Most are quick, and some stand still for longer than a lease.
    async fn delay(&self, clock: &Arc<ManualClock>) {
        let millis = match self.rng.below(24) {
            0 => self.rng.below(80),
            1..=6 => self.rng.below(8),
            _ => return,
        };
        clock.sleep(Duration::from_millis(millis as u64)).await;
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire")
            .field("id", &self.id)
            .field("closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}
