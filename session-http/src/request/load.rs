//! The load of a request's session: all who wait for it carry it on.

use std::future::poll_fn;
use std::mem;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use session_core::{Session, SessionGuard};
use smallvec::SmallVec;

use crate::error::Error;

/// What a request's tokens open, for a handler.
pub(super) type LoadResult = Result<Session, Error>;

type Load = Pin<Box<dyn Future<Output = Result<SessionGuard, Error>> + Send>>;

/// A session that is loaded once, however many futures wait for it. One that waits and is then not
/// polled any more, as `select!` over `&mut future` leaves it, holds up no other.
///
/// ```text
///            a future takes the turn                    it ends
///   Idle ───────────────────────────► Polled ─────────────────► Ended
///    ▲                                │    ▲
///    │ it panics                      │    │ the next future takes the turn
///    └────────────────────────────────┤    │
///                    it has to wait   ▼    │
///                                    Parked
/// ```
///
/// The guard of the session is for the layer, and handlers get clones of the session. If the load
/// ends after the layer has taken its leave, the guard is dropped, so that the session is detached
/// before a handler has it.
#[derive(Default)]
pub(super) struct SharedLoad {
    stage: Mutex<Stage>,
    /// Made when a future has to wait.
    waiting: OnceLock<Arc<Waiting>>,
}

#[derive(Default)]
struct Stage {
    progress: Progress,
    /// The layer has taken its leave.
    is_closed: bool,
}

#[derive(Default)]
enum Progress {
    /// The load has not begun, or has panicked.
    #[default]
    Idle,
    /// The load waits, and nobody polls it.
    Parked(Load),
    /// A future has the turn to poll the load.
    Polled,
    /// The same, and another one came meanwhile that wanted it.
    Contended,
    /// With the guard, until the layer takes it.
    Ended(LoadResult, Option<SessionGuard>),
}

/// Those who wait. What wakes the load wakes all of them: nobody knows which one is still polled.
#[derive(Default)]
struct Waiting(Mutex<SmallVec<[Waker; 1]>>);

impl SharedLoad {
    /// Takes note that the layer has taken its leave. What the load has ended with, if it has; a
    /// guard only once.
    pub(super) fn close(&self) -> Option<Result<SessionGuard, Error>> {
        let mut stage = lock(&self.stage);
        stage.is_closed = true;
        match &mut stage.progress {
            Progress::Ended(Ok(_), guard) => guard.take().map(Ok),
            Progress::Ended(Err(error), _) => Some(Err(error.clone())),
            _ => None,
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        lock(&self.stage).is_closed
    }

    /// The result, if the load has ended.
    fn get(&self) -> Option<LoadResult> {
        match &lock(&self.stage).progress {
            Progress::Ended(result, _) => Some(result.clone()),
            _ => None,
        }
    }

    /// Loads by a future that is ready when it is polled, because its store waits for nothing. If
    /// the store waits all the same, the session is still to be loaded.
    pub(super) async fn try_at_once<F>(&self, start: impl FnOnce() -> F)
    where
        F: Future<Output = Result<SessionGuard, Error>>,
    {
        let Answer::Turn(turn) = self.take_turn() else {
            return;
        };
        if turn.load.is_some() {
            return;
        }
        let mut load = pin!(start());
        let once = poll_fn(|context| Poll::Ready(load.as_mut().poll(context)));
        if let Poll::Ready(loaded) = once.await {
            drop(turn.end(loaded));
        }
    }

    /// Starts the load, or joins those who wait for it.
    pub(super) fn join(&self, start: impl Fn() -> Load) -> impl Future<Output = LoadResult> {
        poll_fn(move |context| self.poll(&start, context))
    }

    fn poll(&self, start: impl Fn() -> Load, context: &Context<'_>) -> Poll<LoadResult> {
        if let Some(result) = self.get() {
            return Poll::Ready(result);
        }
        let waiting = self.waiting.get_or_init(Arc::default);
        waiting.add(context.waker());
        let mut turn = match self.take_turn() {
            Answer::Turn(turn) => turn,
            Answer::Taken => return Poll::Pending,
            Answer::Ended(result) => return Poll::Ready(result),
        };
        // The store's code runs without the lock. If it panics, the turn is given back without a
        // load, and the next one begins again.
        let mut load = turn.load.take().unwrap_or_else(start);
        let waker = Waker::from(Arc::clone(waiting));
        match load.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Pending => {
                turn.load = Some(load);
                Poll::Pending
            }
            Poll::Ready(loaded) => Poll::Ready(turn.end(loaded)),
        }
    }

    fn take_turn(&self) -> Answer<'_> {
        let mut stage = lock(&self.stage);
        let load = match mem::replace(&mut stage.progress, Progress::Polled) {
            Progress::Idle => None,
            Progress::Parked(load) => Some(load),
            Progress::Polled | Progress::Contended => {
                stage.progress = Progress::Contended;
                return Answer::Taken;
            }
            Progress::Ended(result, guard) => {
                let answer = Answer::Ended(result.clone());
                stage.progress = Progress::Ended(result, guard);
                return answer;
            }
        };
        Answer::Turn(Turn { shared: self, load })
    }
}

/// What somebody hears who wants to poll the load.
enum Answer<'s> {
    Turn(Turn<'s>),
    /// Another future has the turn.
    Taken,
    Ended(LoadResult),
}

/// The turn to poll the load. It is given back when this is dropped.
struct Turn<'s> {
    shared: &'s SharedLoad,
    load: Option<Load>,
}

impl Turn<'_> {
    fn end(self, loaded: Result<SessionGuard, Error>) -> LoadResult {
        let (result, guard) = match loaded {
            Ok(guard) => (Ok(guard.session().clone()), Some(guard)),
            Err(error) => (Err(error), None),
        };
        let mut stage = lock(&self.shared.stage);
        let (ours, late) = match stage.is_closed {
            true => (None, guard),
            false => (guard, None),
        };
        stage.progress = Progress::Ended(result.clone(), ours);
        drop(stage);
        drop(late);
        result
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let load = self.load.take();
        let is_over = load.is_none();
        let mut stage = lock(&self.shared.stage);
        let is_contended = matches!(stage.progress, Progress::Contended);
        if !matches!(stage.progress, Progress::Ended(..)) {
            stage.progress = load.map_or(Progress::Idle, Progress::Parked);
        }
        drop(stage);
        // Those who came meanwhile may have missed the call that woke the one whose turn it was.
        let is_due = is_over || is_contended;
        if let Some(waiting) = self.shared.waiting.get().filter(|_| is_due) {
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

    /// Those who still wait add themselves again.
    fn wake_all(&self) {
        let wakers = mem::take(&mut *lock(&self.0));
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
        future: Pin<Box<dyn Future<Output = LoadResult> + Send + 'o>>,
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
        fn new(load: &'o SharedLoad, start: impl Fn() -> Load + Send + Sync + 'o) -> Self {
            Self {
                future: Box::pin(load.join(start)),
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
        let load = SharedLoad::default();
        let (sender, start) = answered();
        let mut askers = [(); 3].map(|()| Asker::new(&load, start.clone()));
        assert!(askers.iter_mut().all(|asker| !asker.is_ready()));
        assert!(askers.iter().all(|asker| asker.woken() == 0));
        sender.send(()).unwrap();
        assert!(askers.iter().all(|asker| asker.woken() == 1));
        // The first one is not polled any more, and a dropped one not either.
        let [_abandoned, dropped, mut last] = askers;
        drop(dropped);
        assert!(last.is_ready());
        assert!(load.close().is_some());
    }

    #[test]
    fn those_who_are_not_polled_are_woken_by_what_another_one_was_told() {
        let load = SharedLoad::default();
        let (sender, start) = answered();
        let [mut one, mut two] = [(); 2].map(|()| Asker::new(&load, start.clone()));
        assert!(!one.is_ready() && !two.is_ready() && !one.is_ready());
        sender.send(()).unwrap();
        assert!(two.is_ready());
        assert!(one.woken() > 0 && one.is_ready());
    }

    /// Who comes while another one polls cannot poll, and what wakes the load may have come before.
    #[test]
    fn who_comes_during_a_poll_is_woken_after_it() {
        let load = Arc::new(SharedLoad::default());
        let other = Arc::clone(&load);
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
        assert!(!Asker::new(&load, start).is_ready());
        assert_eq!(alarm.0.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn after_a_panic_the_next_one_begins_again() {
        let load = SharedLoad::default();
        let mut one = Asker::new(&load, || Box::pin(async { panic!("on purpose") }));
        assert!(catch_unwind(AssertUnwindSafe(|| one.is_ready())).is_err());
        let mut two = Asker::new(&load, || Box::pin(async { Err(Error::MissingLayer) }));
        assert!(two.is_ready());
    }

    #[test]
    fn a_panic_wakes_those_who_wait() {
        let load = SharedLoad::default();
        let start = || -> Load {
            let mut has_begun = false;
            Box::pin(poll_fn(move |_| {
                assert!(!mem::replace(&mut has_begun, true), "on purpose");
                Poll::Pending
            }))
        };
        let [mut one, mut two] = [(); 2].map(|()| Asker::new(&load, start));
        assert!(!one.is_ready());
        assert!(catch_unwind(AssertUnwindSafe(|| two.is_ready())).is_err());
        assert_eq!(one.woken(), 1);
    }

    #[test]
    fn a_load_that_has_begun_or_ended_is_not_begun_at_once() {
        let load = SharedLoad::default();
        let (sender, start) = answered();
        let mut one = Asker::new(&load, start);
        let try_at_once = || {
            let tried = pin!(load.try_at_once(|| -> Load { panic!("it has begun") }));
            let mut context = Context::from_waker(Waker::noop());
            assert!(tried.poll(&mut context).is_ready());
        };
        assert!(!one.is_ready());
        try_at_once();
        sender.send(()).unwrap();
        assert!(one.is_ready());
        try_at_once();
    }
}
