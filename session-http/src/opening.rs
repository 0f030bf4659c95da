//! The opening of a request's session: everybody who waits for it carries it on.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use session_core::Session;
use smallvec::SmallVec;
use tokio::sync::OnceCell;

use crate::Error;

/// What a request's tokens open.
pub(crate) type Opened = Result<Session, Error>;

/// The load of a session. It belongs to the request and not to one of those who wait for it.
pub(crate) type Load = Pin<Box<dyn Future<Output = Opened> + Send>>;

/// A session that is opened once, however many ask for it. A future that asks and is then not
/// polled any more, as `select!` over `&mut future` leaves it, holds up no other.
#[derive(Default)]
pub(crate) struct Opening {
    opened: OnceCell<Opened>,
    step: Mutex<Step>,
    waiting: OnceLock<Arc<Waiting>>,
}

#[derive(Default)]
struct Step {
    /// The load that has begun, while nobody polls it.
    load: Option<Load>,
    /// Somebody polls it.
    taken: bool,
    /// Somebody else came meanwhile.
    missed: bool,
}

/// Those who wait. What wakes the load wakes all of them: nobody knows which one is still polled.
#[derive(Default)]
struct Waiting(Mutex<SmallVec<[Waker; 1]>>);

impl Opening {
    /// What was opened, if anything was.
    pub(crate) fn get(&self) -> Option<&Opened> {
        self.opened.get()
    }

    /// Opens it by a future that is ready when it is polled, because its store waits for nothing.
    /// If the store waits all the same, the session is still to be opened.
    pub(crate) async fn at_once<F>(&self, open: impl FnOnce() -> F)
    where
        F: Future<Output = Opened>,
    {
        let Some(_turn) = self.begin() else { return };
        let mut load = pin!(open());
        let once = poll_fn(|context| Poll::Ready(load.as_mut().poll(context)));
        if let Poll::Ready(opened) = once.await {
            // Nobody else can have opened it: that takes a turn.
            let _ = self.opened.set(opened);
        }
    }

    /// A turn, if nothing has begun.
    fn begin(&self) -> Option<Turn<'_>> {
        let mut step = lock(&self.step);
        if step.taken || step.load.is_some() || self.opened.get().is_some() {
            return None;
        }
        step.taken = true;
        Some(Turn {
            opening: self,
            load: None,
        })
    }

    /// Opens it, or joins those who wait for it.
    pub(crate) fn join(&self, start: impl Fn() -> Load) -> impl Future<Output = Opened> {
        poll_fn(move |context| self.poll(&start, context))
    }

    fn poll(&self, start: impl Fn() -> Load, context: &Context<'_>) -> Poll<Opened> {
        if let Some(opened) = self.opened.get() {
            return Poll::Ready(opened.clone());
        }
        let waiting = self.waiting.get_or_init(Arc::default);
        waiting.add(context.waker());
        let mut load = {
            let mut step = lock(&self.step);
            // It may have been opened since.
            if let Some(opened) = self.opened.get() {
                return Poll::Ready(opened.clone());
            }
            if step.taken {
                step.missed = true;
                return Poll::Pending;
            }
            step.taken = true;
            step.load.take().unwrap_or_else(start)
        };
        // The code of a store runs without the lock. If it panics, the next one begins again.
        let mut turn = Turn {
            opening: self,
            load: None,
        };
        let waker = Waker::from(Arc::clone(waiting));
        match load.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Pending => {
                turn.load = Some(load);
                Poll::Pending
            }
            Poll::Ready(opened) => {
                // Nobody else can have opened it: that takes a turn.
                let _ = self.opened.set(opened.clone());
                Poll::Ready(opened)
            }
        }
    }
}

/// Somebody polls the load, and hands it back.
struct Turn<'o> {
    opening: &'o Opening,
    load: Option<Load>,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let load = self.load.take();
        let over = load.is_none();
        let missed = {
            let mut step = lock(&self.opening.step);
            step.load = load;
            step.taken = false;
            std::mem::take(&mut step.missed)
        };
        // Who came meanwhile may have missed what woke the one whose turn it was.
        if let Some(waiting) = self.opening.waiting.get().filter(|_| over || missed) {
            waiting.wake_all();
        }
    }
}

impl Waiting {
    fn add(&self, waker: &Waker) {
        let mut wakers = lock(&self.0);
        if !wakers.iter().any(|other| other.will_wake(waker)) {
            wakers.push(waker.clone());
        }
    }

    /// Who still waits adds itself again.
    fn wake_all(&self) {
        let wakers = std::mem::take(&mut *lock(&self.0));
        wakers.into_iter().for_each(Waker::wake);
    }
}

impl Wake for Waiting {
    fn wake(self: Arc<Self>) {
        self.wake_all();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.wake_all();
    }
}

/// No code of others runs under these locks, so poison means nothing.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::oneshot;

    use super::*;

    /// One who waits, and how often it was woken.
    struct Asker<'o> {
        future: Pin<Box<dyn Future<Output = Opened> + Send + 'o>>,
        alarm: Arc<Alarm>,
    }

    #[derive(Default)]
    struct Alarm(AtomicUsize);

    impl Wake for Alarm {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    impl<'o> Asker<'o> {
        fn new(opening: &'o Opening, start: impl Fn() -> Load + Send + Sync + 'o) -> Self {
            Self {
                future: Box::pin(opening.join(start)),
                alarm: Arc::default(),
            }
        }

        fn is_ready(&mut self) -> bool {
            let waker = Waker::from(Arc::clone(&self.alarm));
            self.future
                .as_mut()
                .poll(&mut Context::from_waker(&waker))
                .is_ready()
        }

        fn woken(&self) -> usize {
            self.alarm.0.swap(0, Ordering::Relaxed)
        }
    }

    /// A load that ends when something is sent, and is begun only once.
    fn answered() -> (oneshot::Sender<()>, impl Fn() -> Load + Clone + Send + Sync) {
        let (sender, receiver) = oneshot::channel();
        let receiver = Arc::new(Mutex::new(Some(receiver)));
        let start = move || -> Load {
            let receiver = lock(&receiver).take().unwrap();
            Box::pin(async move {
                receiver.await.unwrap();
                Err(Error::MissingLayer)
            })
        };
        (sender, start)
    }

    #[test]
    fn an_answer_wakes_all_who_wait() {
        let opening = Opening::default();
        let (sender, start) = answered();
        let mut askers = [(); 3].map(|()| Asker::new(&opening, start.clone()));
        assert!(askers.iter_mut().all(|asker| !asker.is_ready()));
        assert!(askers.iter().all(|asker| asker.woken() == 0));
        sender.send(()).unwrap();
        assert!(askers.iter().all(|asker| asker.woken() == 1));
        // The first one is not polled any more, and a dropped one not either.
        let [_abandoned, dropped, mut last] = askers;
        drop(dropped);
        assert!(last.is_ready());
        assert!(opening.get().is_some());
    }

    #[test]
    fn those_who_are_not_polled_are_woken_by_what_another_one_was_told() {
        let opening = Opening::default();
        let (sender, start) = answered();
        let [mut one, mut two] = [(); 2].map(|()| Asker::new(&opening, start.clone()));
        assert!(!one.is_ready() && !two.is_ready() && !one.is_ready());
        sender.send(()).unwrap();
        assert!(two.is_ready());
        assert!(one.woken() > 0 && one.is_ready());
    }

    /// Who comes while another one polls cannot poll, and what wakes the load may have come before.
    #[test]
    fn who_comes_during_a_poll_is_woken_after_it() {
        let opening = Arc::new(Opening::default());
        let other = Arc::clone(&opening);
        let alarm = Arc::new(Alarm::default());
        let waker = Waker::from(Arc::clone(&alarm));
        let during = Mutex::new(Some(waker));
        let start = move || -> Load {
            let (other, waker) = (Arc::clone(&other), lock(&during).take().unwrap());
            Box::pin(poll_fn(move |_| {
                let polled = other.poll(|| panic!("it has begun"), &Context::from_waker(&waker));
                assert!(polled.is_pending());
                Poll::Pending
            }))
        };
        assert!(!Asker::new(&opening, start).is_ready());
        assert_eq!(alarm.0.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn after_a_panic_the_next_one_begins_again() {
        let opening = Opening::default();
        let mut one = Asker::new(&opening, || Box::pin(async { panic!("on purpose") }));
        assert!(catch_unwind(AssertUnwindSafe(|| one.is_ready())).is_err());
        let mut two = Asker::new(&opening, || Box::pin(async { Err(Error::MissingLayer) }));
        assert!(two.is_ready());
    }
}
