//! Requests of this process that conflict over one session, one after the other.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

use crate::record::{Record, SessionId};

/// After this many turns in a row the queue rests, so that other processes get theirs: where they
/// were met lately, and where they may be starving unseen.
const TURNS_AMONG_OTHERS: u32 = 32;
const TURNS_ALONE: u32 = 256;
/// Another process counts as met for this many turns.
const WARY_TURNS: u32 = 256;

/// A queue for each session that is contended at the moment, in the order of arrival. Who leaves
/// hands over the record that it saved, so that the next one need not load it.
#[derive(Debug, Default)]
pub(crate) struct Queues {
    lanes: Mutex<HashMap<SessionId, Lane>>,
    /// How many lanes there are: what a request looks at that conflicts with nobody.
    count: AtomicUsize,
}

#[derive(Debug, Default)]
struct Lane {
    baton: Arc<AsyncMutex<Baton>>,
    /// How many hold or await its turn; the last one out removes the lane.
    places: usize,
}

/// What each turn leaves to the next.
#[derive(Debug, Default)]
struct Baton {
    record: Option<Arc<Record>>,
    /// Turns since the queue rested, or since another process wrote.
    turns: u32,
    /// Turns for which another process counts as met.
    wary: u32,
}

impl Queues {
    /// Whether anybody queues for this session.
    pub(crate) fn has(&self, id: SessionId) -> bool {
        self.count.load(Ordering::Relaxed) > 0 && self.lock().contains_key(&id)
    }

    /// Waits for this session's turn. Dropping the future, or the turn, leaves the queue.
    pub(crate) async fn join(self: &Arc<Self>, id: SessionId) -> Turn {
        let (baton, place) = self.enter(id);
        let mut baton = baton.lock_owned().await;
        baton.turns += 1;
        baton.wary = baton.wary.saturating_sub(1);
        Turn {
            baton,
            _place: place,
        }
    }

    fn enter(self: &Arc<Self>, id: SessionId) -> (Arc<AsyncMutex<Baton>>, Place) {
        let mut lanes = self.lock();
        let lane = lanes.entry(id).or_default();
        lane.places += 1;
        let baton = Arc::clone(&lane.baton);
        self.count.store(lanes.len(), Ordering::Relaxed);
        let queues = Arc::clone(self);
        (baton, Place { queues, id })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SessionId, Lane>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }
}

/// The right to write a contended session; fields drop in this order.
#[derive(Debug)]
pub(crate) struct Turn {
    baton: OwnedMutexGuard<Baton>,
    _place: Place,
}

impl Turn {
    /// What the one before saved.
    pub(crate) fn handed_over(&mut self) -> Option<Arc<Record>> {
        self.baton.record.take()
    }

    /// What the next one starts from.
    pub(crate) fn hand_over(&mut self, record: Arc<Record>) {
        self.baton.record = Some(record);
    }

    /// Takes note that another process has written.
    pub(crate) fn met_another(&mut self) {
        self.baton.turns = 0;
        self.baton.wary = WARY_TURNS;
    }

    /// Whether it is time to let other processes write. Then nothing is handed over: they may have.
    pub(crate) fn rests(&mut self) -> bool {
        let most = match self.baton.wary {
            0 => TURNS_ALONE,
            _ => TURNS_AMONG_OTHERS,
        };
        let rests = self.baton.turns > most;
        if rests {
            self.baton.turns = 0;
            self.baton.record = None;
        }
        rests
    }
}

#[derive(Debug)]
struct Place {
    queues: Arc<Queues>,
    id: SessionId,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut lanes = self.queues.lock();
        if let Some(lane) = lanes.get_mut(&self.id) {
            lane.places -= 1;
            if lane.places == 0 {
                lanes.remove(&self.id);
            }
        }
        self.queues.count.store(lanes.len(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    #[test]
    fn a_queue_leaves_nothing_behind() {
        let queues = Arc::new(Queues::default());
        let id = SessionId::from_bytes([1; 16]);
        let mut context = Context::from_waker(Waker::noop());
        let mut first = Box::pin(queues.join(id));
        let Poll::Ready(turn) = first.as_mut().poll(&mut context) else {
            panic!("nobody was before")
        };
        {
            let mut waiting = pin!(queues.join(id));
            assert!(waiting.as_mut().poll(&mut context).is_pending());
            assert_eq!(queues.len(), 1);
        } // a cancelled commit
        drop(turn);
        assert_eq!(queues.len(), 0);
    }
    #[test]
    fn a_queue_is_seen_while_somebody_is_in_it() {
        let queues = Arc::new(Queues::default());
        let [id, other] = [1, 2].map(|n| SessionId::from_bytes([n; 16]));
        assert!(!queues.has(id));
        let turn = at_once(queues.join(id));
        assert!(queues.has(id) && !queues.has(other));
        drop(turn);
        assert!(!queues.has(id));
    }

    #[test]
    fn a_queue_rests_now_and_then_and_more_often_among_others() {
        let queues = Arc::new(Queues::default());
        let id = SessionId::from_bytes([1; 16]);
        let _stays = queues.enter(id);
        let turns_until_rest = || {
            let rested = (1..).find(|_| at_once(queues.join(id)).rests());
            rested.unwrap_or_default()
        };
        assert_eq!(turns_until_rest(), TURNS_ALONE + 1);
        at_once(queues.join(id)).met_another();
        assert_eq!(turns_until_rest(), TURNS_AMONG_OTHERS + 1);
        // Nobody was met again for long: it is alone.
        for _ in 0..WARY_TURNS {
            turns_until_rest();
        }
        assert_eq!(turns_until_rest(), TURNS_ALONE + 1);
    }

    fn at_once<T>(future: impl Future<Output = T>) -> T {
        match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(output) => output,
            Poll::Pending => panic!("nobody was before"),
        }
    }
}
