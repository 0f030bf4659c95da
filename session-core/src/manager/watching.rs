//! One of those that watch a session: it asks the store from time to time, for all of them.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::error::StoreError;
use crate::manager::SessionManager;
use crate::manager::watches::{Asking, Lead, Look, Step, Watch};
use crate::record::Record;
use crate::store::RecordKey;
use crate::time::Timestamp;

/// Watches the session of a key. All watchers of a key share each look at the store.
pub(crate) struct Watcher {
    manager: SessionManager,
    key: RecordKey,
    watch: Arc<Watch>,
    place: u64,
    /// How many looks it has seen.
    looks: u64,
}

impl SessionManager {
    /// Watches the session of this key. The store is asked at once if nobody has watched it, and
    /// then at each [interval](crate::SessionManagerBuilder::watch_interval).
    pub(crate) fn watch(&self, key: RecordKey) -> Watcher {
        let watch = self.calls().watches().enter(&key);
        Watcher {
            manager: self.clone(),
            key,
            place: watch.wakers.place(),
            watch,
            looks: 0,
        }
    }
}

impl Watcher {
    /// The next look at the session.
    pub(crate) async fn look(&mut self) -> Look {
        poll_fn(|context| self.poll_look(context)).await
    }

    pub(crate) const fn key(&self) -> &RecordKey {
        &self.key
    }

    fn poll_look(&mut self, context: &Context<'_>) -> Poll<Look> {
        // First of all: another watcher may finish the step before this one has looked.
        self.watch.wakers.set(self.place, context.waker().clone());
        while let Some(lead) = self.watch.lead() {
            self.go_on(lead);
            if !self.watch.take_passed_over() {
                break;
            }
        }
        let Some((look, looks)) = self.watch.seen(self.looks) else {
            return Poll::Pending;
        };
        self.looks = looks;
        Poll::Ready(look)
    }

    /// Does what is next, until that has to wait. It wakes all watchers then.
    fn go_on(&self, mut lead: Lead<'_>) {
        let waker = Waker::from(Arc::clone(&self.watch.wakers));
        let mut context = Context::from_waker(&waker);
        loop {
            let next = match lead.take() {
                Step::Due => {
                    self.watch.take_again();
                    Step::Asking(self.ask())
                }
                // What has happened meanwhile may not show in this answer: then `again` stays.
                Step::Asking(mut asking) => match asking.as_mut().poll(&mut context) {
                    Poll::Ready((answer, at)) => self.sleep(self.note(answer, at)),
                    Poll::Pending => return lead.put(Step::Asking(asking)),
                },
                Step::Asleep(_) if self.watch.take_again() => Step::Due,
                Step::Asleep(mut sleep) => match sleep.as_mut().poll(&mut context) {
                    Poll::Ready(()) => Step::Due,
                    Poll::Pending => return lead.put(Step::Asleep(sleep)),
                },
            };
            lead.put(next);
        }
    }

    fn ask(&self) -> Asking {
        let (manager, key) = (self.manager.clone(), self.key.clone());
        Box::pin(async move {
            let now = manager.now();
            (manager.calls().look(&key, now).await, now)
        })
    }

    /// Keeps an answer for all watchers, and returns the time until the next question. A failed
    /// call says nothing about the session.
    fn note(&self, answer: Result<Option<Arc<Record>>, StoreError>, at: Timestamp) -> Duration {
        let interval = self.manager.settings().watch_interval;
        match answer {
            Ok(record) => {
                let live = record.as_ref().filter(|record| record.is_live(at));
                let left = live.map_or(interval, |record| record.expires_at().duration_since(at));
                self.watch.saw(record, at);
                left.min(interval)
            }
            Err(_) => interval,
        }
    }

    fn sleep(&self, duration: Duration) -> Step {
        Step::Asleep(self.manager.calls().clock().sleep(duration))
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.watch.wakers.remove(self.place);
        self.manager.calls().watches().leave(&self.key);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "these are tests")]
mod tests {
    use std::fmt;
    use std::pin::pin;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;
    use crate::record::SessionId;
    use crate::store::memory::MemoryStore;
    use crate::time::{Clock, Sleep};

    fn watch(manager: &SessionManager, id: u8) -> Watcher {
        manager.watch(RecordKey::Id(SessionId::from_bytes([id; 16])))
    }

    fn poll(watcher: &mut Watcher) -> Poll<Look> {
        let mut context = Context::from_waker(Waker::noop());
        pin!(watcher.look()).poll(&mut context)
    }

    #[test]
    fn watchers_leave_nothing_behind() {
        let manager = SessionManager::new(MemoryStore::new());
        let shared = Arc::downgrade(&manager.shared);
        let mut watchers = [1, 1, 2].map(|id| watch(&manager, id));
        assert_eq!(manager.calls().watches().len(), 2);
        for watcher in &mut watchers {
            assert!(poll(watcher).is_ready());
            assert!(poll(watcher).is_pending());
        }
        let [first, second, other] = watchers;
        drop((first, other));
        assert_eq!(manager.calls().watches().len(), 1);
        drop(second);
        assert_eq!(manager.calls().watches().len(), 0);
        // What was to be done next is gone too, and with it the last that held the manager.
        drop(manager);
        assert!(shared.upgrade().is_none());
    }

    /// Shows no time, and runs something in the middle of the first poll of a sleep, which is over
    /// by then.
    #[derive(Default)]
    struct Interrupting {
        meanwhile: Mutex<Option<Box<dyn FnOnce() + Send>>>,
    }

    impl fmt::Debug for Interrupting {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("Interrupting")
        }
    }

    impl Clock for Arc<Interrupting> {
        fn now(&self) -> Timestamp {
            Timestamp::default()
        }

        fn sleep(&self, _: Duration) -> Sleep {
            let meanwhile = self.meanwhile.lock().unwrap().take();
            let mut meanwhile = meanwhile;
            let mut is_over = false;
            Box::pin(poll_fn(move |context| {
                if is_over {
                    return Poll::Ready(());
                }
                if let Some(meanwhile) = meanwhile.take() {
                    is_over = true;
                    context.waker().wake_by_ref();
                    meanwhile();
                }
                Poll::Pending
            }))
        }
    }

    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// On two threads: the sleep ends while one watcher polls it, so the other one finds nothing to
    /// do; and the first one leaves.
    #[test]
    fn a_watcher_that_comes_while_another_leads_does_not_depend_on_it() {
        let clock = Arc::new(Interrupting::default());
        let builder = SessionManager::builder(MemoryStore::new()).clock(Arc::clone(&clock));
        let manager = builder.build().unwrap();
        let mut leads = watch(&manager, 1);
        let stays = Arc::new(Mutex::new(watch(&manager, 1)));
        let woken = Arc::new(Woken(AtomicUsize::new(0)));
        let (other, counter) = (Arc::clone(&stays), Arc::clone(&woken));
        *clock.meanwhile.lock().unwrap() = Some(Box::new(move || {
            let waker = Waker::from(Arc::clone(&counter));
            let mut context = Context::from_waker(&waker);
            let mut stays = other.lock().unwrap();
            assert!(pin!(stays.look()).poll(&mut context).is_ready());
            assert!(pin!(stays.look()).poll(&mut context).is_pending());
            assert_eq!(counter.0.load(Ordering::Relaxed), 0);
        }));
        assert!(poll(&mut leads).is_ready());
        drop(leads);
        assert_eq!(woken.0.load(Ordering::Relaxed), 1);
        assert!(
            poll(&mut stays.lock().unwrap()).is_ready(),
            "a look of after the sleep"
        );
    }

    #[test]
    fn a_watcher_that_leaves_has_no_waker_left() {
        let manager = SessionManager::new(MemoryStore::new());
        let mut stays = watch(&manager, 1);
        for _ in 0..100 {
            let mut leaves = watch(&manager, 1);
            assert!(poll(&mut leaves).is_ready() && poll(&mut leaves).is_pending());
        }
        assert!(poll(&mut stays).is_ready() && poll(&mut stays).is_pending());
        assert_eq!(stays.watch.wakers.len(), 1);
    }
}
