//! Requests of this process that conflict over one session, one after the other.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

use crate::{Record, SessionId};

/// A queue for each session that is contended at the moment. Who leaves hands over the
/// record that it saved, so that the next one need not load it.
#[derive(Debug, Default)]
pub(crate) struct Queues {
    lanes: Mutex<HashMap<SessionId, Lane>>,
}

#[derive(Debug, Default)]
struct Lane {
    record: Arc<AsyncMutex<Option<Arc<Record>>>>,
    /// How many hold or await its turn; the last one out removes the lane.
    places: usize,
}

impl Queues {
    /// Waits for this session's turn. Dropping the future, or the turn, leaves the queue.
    pub(crate) async fn join(self: &Arc<Self>, id: SessionId) -> Turn {
        let (record, place) = self.enter(id);
        Turn {
            record: record.lock_owned().await,
            _place: place,
        }
    }

    fn enter(self: &Arc<Self>, id: SessionId) -> (Arc<AsyncMutex<Option<Arc<Record>>>>, Place) {
        let mut lanes = self.lock();
        let lane = lanes.entry(id).or_default();
        lane.places += 1;
        let record = Arc::clone(&lane.record);
        let queues = Arc::clone(self);
        (record, Place { queues, id })
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
    record: OwnedMutexGuard<Option<Arc<Record>>>,
    _place: Place,
}

impl Turn {
    /// What the one before saved.
    pub(crate) fn handed_over(&mut self) -> Option<Arc<Record>> {
        self.record.take()
    }

    /// What the next one starts from.
    pub(crate) fn hand_over(&mut self, record: Arc<Record>) {
        *self.record = Some(record);
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
}
