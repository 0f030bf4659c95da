//! Tasks in an order drawn by a seed, on a clock that stands still.

use std::cell::RefCell;
use std::future::Future;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use session_core::store::SessionStore;
use session_core::{ManualClock, SessionManager, SessionManagerBuilder, Timestamp};

use crate::Rng;

/// When every simulation begins.
pub const START: Timestamp = Timestamp::from_millis(1_700_000_000_000);
/// Nothing here waits longer than this; who does is stuck.
const STUCK: Duration = Duration::from_secs(60);
const TICK: Duration = Duration::from_millis(1);
/// So many steps a task keeps its rank, on average.
const STEPS_OF_A_RANK: usize = 12;

/// Polls tasks one at a time: always one that was woken, drawn by the seed. Once every task waits,
/// the clock moves, a millisecond at a time, until one of them is woken.
///
/// Half of the seeds draw each step anew, so that all tasks go on alike. The others give each task
/// a rank and poll the first that was woken; now and then who is polled becomes the last. So
/// somebody stands still between two steps while the others do all of theirs (Burckhardt et al., "A
/// Randomized Scheduler with Probabilistic Guarantees of Finding Bugs", 2010).
///
/// A seed repeats the schedule. Pauses that the code under test draws from the operating system
/// differ.
pub struct Sim {
    seed: u64,
    rng: Rng,
    clock: Arc<ManualClock>,
    tasks: Vec<Task>,
    ranked: bool,
    /// The last rank that was given to who became the last.
    last: i64,
}

struct Task {
    /// The highest is first.
    rank: i64,
    future: Pin<Box<dyn Future<Output = ()>>>,
    woken: Arc<Flag>,
}

/// Whether a task was woken since it was last polled.
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Flag {
    fn woken() -> Arc<Self> {
        Arc::new(Self(AtomicBool::new(true)))
    }

    fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// What a task will have returned.
#[derive(Debug)]
pub struct Output<T>(Rc<RefCell<Option<T>>>);

impl<T> Output<T> {
    /// What the task returned; only once, after it has ended.
    ///
    /// # Panics
    ///
    /// If the task has not ended.
    pub fn take(self) -> T {
        match self.0.take() {
            Some(output) => output,
            None => panic!("the task has not ended"),
        }
    }
}

impl Sim {
    /// A simulation with a clock of its own.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            rng: Rng::new(seed),
            clock: ManualClock::new(START),
            tasks: Vec::new(),
            ranked: seed & 2 != 0,
            last: 0,
        }
    }

    /// The clock, for managers.
    pub fn clock(&self) -> Arc<ManualClock> {
        Arc::clone(&self.clock)
    }

    /// A manager by this clock.
    pub fn manager(&self, store: impl SessionStore) -> SessionManager {
        self.manager_with(store, |builder| builder)
    }

    /// The same with other settings.
    pub fn manager_with(
        &self,
        store: impl SessionStore,
        set: impl FnOnce(SessionManagerBuilder) -> SessionManagerBuilder,
    ) -> SessionManager {
        let builder = SessionManager::builder(store).clock(self.clock());
        set(builder).build().unwrap()
    }

    /// The numbers by which tasks are drawn; tests may take theirs from it too.
    pub const fn rng(&self) -> &Rng {
        &self.rng
    }

    /// Adds a task; [`run`](Self::run) and [`block_on`](Self::block_on) poll it.
    pub fn spawn<T: 'static>(&mut self, future: impl Future<Output = T> + 'static) -> Output<T> {
        let output = Rc::new(RefCell::new(None));
        let slot = Rc::clone(&output);
        self.tasks.push(Task {
            rank: self.rng.below(1 << 16) as i64,
            future: Box::pin(async move {
                let value = future.await;
                slot.replace(Some(value));
            }),
            woken: Flag::woken(),
        });
        Output(output)
    }

    /// Polls until every task has ended.
    ///
    /// # Panics
    ///
    /// If the tasks wait for something that never comes.
    pub fn run(&mut self) {
        while !self.tasks.is_empty() {
            let ready: Vec<_> = (0..self.tasks.len())
                .filter(|at| self.tasks[*at].woken.is_set())
                .collect();
            match ready.len() {
                0 => self.idle(None),
                _ if self.ranked => {
                    let first = self.first_of(&ready);
                    self.poll(first);
                }
                count => self.poll(ready[self.rng.below(count)]),
            }
        }
    }

    fn first_of(&mut self, ready: &[usize]) -> usize {
        let first = ready.iter().copied().max_by_key(|at| self.tasks[*at].rank);
        let first = first.unwrap_or_default();
        if self.rng.below(STEPS_OF_A_RANK) == 0 {
            self.last -= 1;
            self.tasks[first].rank = self.last;
        }
        first
    }

    /// Polls `future` and the tasks until `future` has ended.
    ///
    /// # Panics
    ///
    /// If all of them wait for something that never comes.
    pub fn block_on<T>(&mut self, future: impl Future<Output = T>) -> T {
        let mut future = pin!(future);
        let woken = Flag::woken();
        let waker = Waker::from(Arc::clone(&woken));
        loop {
            let mut ready: Vec<_> = (0..self.tasks.len())
                .filter(|at| self.tasks[*at].woken.is_set())
                .collect();
            if woken.is_set() {
                ready.push(self.tasks.len());
            }
            let Some(&chosen) = ready.get(self.rng.below(ready.len().max(1))) else {
                self.idle(Some(&woken));
                continue;
            };
            if chosen < self.tasks.len() {
                self.poll(chosen);
                continue;
            }
            woken.0.store(false, Ordering::Relaxed);
            if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                return output;
            }
        }
    }

    fn poll(&mut self, at: usize) {
        let task = &mut self.tasks[at];
        task.woken.0.store(false, Ordering::Relaxed);
        let waker = Waker::from(Arc::clone(&task.woken));
        if task
            .future
            .as_mut()
            .poll(&mut Context::from_waker(&waker))
            .is_ready()
        {
            self.tasks.swap_remove(at);
        }
    }

    /// Lets time pass until somebody is woken.
    fn idle(&self, main: Option<&Flag>) {
        let until = self.clock.now() + STUCK;
        while self.clock.now() < until {
            self.clock.advance(TICK);
            let tasks = self.tasks.iter().map(|task| &*task.woken);
            if tasks.chain(main).any(Flag::is_set) {
                return;
            }
        }
        panic!(
            "seed {}: every task waits for something that never comes",
            self.seed
        );
    }
}

impl std::fmt::Debug for Sim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sim")
            .field("seed", &self.seed)
            .field("tasks", &self.tasks.len())
            .finish_non_exhaustive()
    }
}

/// Gives way once: pending, and woken at once.
pub async fn pause() {
    let mut paused = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut paused, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use session_core::Clock;
    use std::collections::HashSet;

    fn order(seed: u64) -> Vec<u32> {
        let mut sim = Sim::new(seed);
        let seen = Rc::new(RefCell::new(Vec::new()));
        for task in 0..4 {
            let seen = Rc::clone(&seen);
            sim.spawn(async move {
                for _ in 0..2 {
                    pause().await;
                    seen.borrow_mut().push(task);
                }
            });
        }
        sim.run();
        seen.take()
    }

    #[test]
    fn a_seed_repeats_its_order_and_seeds_differ() {
        assert_eq!(order(7), order(7));
        let orders: HashSet<_> = (0..200).map(order).collect();
        assert!(orders.len() > 100, "{}", orders.len());
    }

    #[test]
    fn time_passes_only_while_all_wait() {
        let mut sim = Sim::new(1);
        let clock = sim.clock();
        sim.block_on(async {
            pause().await;
            assert_eq!(clock.now(), START);
            clock.sleep(Duration::from_millis(250)).await;
        });
        assert_eq!(sim.clock().now(), START + Duration::from_millis(250));
    }

    #[test]
    #[should_panic(expected = "never comes")]
    fn who_is_stuck_is_found() {
        Sim::new(1).block_on(std::future::pending::<()>());
    }
}
