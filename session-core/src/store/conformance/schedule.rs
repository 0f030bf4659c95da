//! Runs futures interleaved in an order that a seed repeats, inside the calling task.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::task::AtomicWaker;

use super::rng::Rng;
use super::trial::Check;

pub(super) type Task<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Boxes a future as a task.
pub(super) fn task<'a, T>(future: impl Future<Output = T> + Send + 'a) -> Task<'a, T> {
    Box::pin(future)
}

/// How often children are polled before the runtime gets its turn.
const BURST: usize = 128;

/// Runs all tasks to their end and hands back what they return, in the order of the tasks.
/// Of those that can go on, a random one goes on next.
pub(super) fn interleave<'a, T: Unpin>(
    rng: &mut Rng,
    tasks: Vec<Task<'a, T>>,
) -> Interleave<'a, T> {
    let parent = Arc::new(AtomicWaker::new());
    let children = tasks
        .into_iter()
        .map(|task| Child {
            state: State::Running(task),
            signal: Arc::new(Signal {
                woken: AtomicBool::new(true),
                parent: Arc::clone(&parent),
            }),
        })
        .collect();
    Interleave {
        rng: rng.fork(),
        parent,
        children,
    }
}

/// Runs all tasks likewise; fails if one of them does.
pub(super) async fn run_all<T: Unpin>(
    rng: &mut Rng,
    tasks: Vec<Task<'_, Check<T>>>,
) -> Check<Vec<T>> {
    interleave(rng, tasks).await.into_iter().collect()
}

/// What [`interleave`] returns.
pub(super) struct Interleave<'a, T> {
    rng: Rng,
    parent: Arc<AtomicWaker>,
    children: Vec<Child<'a, T>>,
}

struct Child<'a, T> {
    state: State<'a, T>,
    signal: Arc<Signal>,
}

enum State<'a, T> {
    Running(Task<'a, T>),
    Done(T),
    Taken,
}

/// Remembers which child was woken and wakes the task that runs them all.
struct Signal {
    woken: AtomicBool,
    parent: Arc<AtomicWaker>,
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        self.parent.wake();
    }
}

impl<T> Child<'_, T> {
    fn can_go_on(&self) -> bool {
        matches!(self.state, State::Running(_)) && self.signal.woken.load(Ordering::Acquire)
    }

    fn go_on(&mut self) {
        self.signal.woken.store(false, Ordering::Release);
        if let State::Running(task) = &mut self.state {
            let waker = Waker::from(Arc::clone(&self.signal));
            if let Poll::Ready(output) = task.as_mut().poll(&mut Context::from_waker(&waker)) {
                self.state = State::Done(output);
            }
        }
    }
}

impl<T: Unpin> Future for Interleave<'_, T> {
    type Output = Vec<T>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Vec<T>> {
        let this = self.get_mut();
        // Before any look at a child: a wake from now on reaches the runtime.
        this.parent.register(context.waker());
        for _ in 0..BURST {
            let mut ready: Vec<_> = this
                .children
                .iter_mut()
                .filter(|child| child.can_go_on())
                .collect();
            if ready.is_empty() {
                break;
            }
            let next = this.rng.below(ready.len());
            ready[next].go_on();
        }
        if this.children.iter().any(Child::can_go_on) {
            context.waker().wake_by_ref();
        }
        if this
            .children
            .iter()
            .any(|child| matches!(child.state, State::Running(_)))
        {
            return Poll::Pending;
        }
        Poll::Ready(
            this.children
                .iter_mut()
                .filter_map(
                    |child| match std::mem::replace(&mut child.state, State::Taken) {
                        State::Done(output) => Some(output),
                        State::Running(_) | State::Taken => None,
                    },
                )
                .collect(),
        )
    }
}

/// Polls a future this many times at most and then drops it, wherever it stands.
pub(super) async fn cut_short<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    let mut future = Box::pin(future);
    let mut left = polls;
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// Gives the other tasks a turn.
pub(super) async fn turn() {
    let mut waited = false;
    poll_fn(|context| {
        if waited {
            return Poll::Ready(());
        }
        waited = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Gives the other tasks this many turns.
pub(super) async fn take_turns(count: usize) {
    for _ in 0..count {
        turn().await;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::sync::Mutex;
    use std::sync::atomic::AtomicUsize;

    use super::*;

    fn block_on<F: Future>(future: F) -> F::Output {
        tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap()
            .block_on(future)
    }

    fn order(seed: u64) -> String {
        let order = Mutex::new(String::new());
        let step = async |name| {
            for _ in 0..2 {
                order.lock().unwrap().push(name);
                turn().await;
            }
        };
        let mut rng = Rng::new(seed, "order", 1);
        block_on(interleave(&mut rng, vec![task(step('a')), task(step('b'))]));
        order.into_inner().unwrap()
    }

    #[test]
    fn every_order_occurs_and_a_seed_repeats_it() {
        let orders: HashSet<_> = (0..100).map(order).collect();
        let all = ["aabb", "abab", "abba", "baab", "baba", "bbaa"];
        assert_eq!(orders, all.map(str::to_owned).into());
        assert_eq!(order(5), order(5));
    }

    #[test]
    fn results_come_in_the_order_of_the_tasks() {
        let tasks = (0..300).map(|n| {
            task(async move {
                turn().await;
                n
            })
        });
        let results = block_on(interleave(&mut Rng::new(1, "", 1), tasks.collect()));
        assert_eq!(results, (0..300).collect::<Vec<_>>());
    }

    #[test]
    fn a_wake_from_another_thread_arrives() {
        let mut tasks = Vec::new();
        for n in 0..8 {
            tasks.push(task(async move {
                let (answer, answered) = tokio::sync::oneshot::channel();
                std::thread::spawn(move || answer.send(n));
                answered.await.unwrap()
            }));
        }
        let results = block_on(interleave(&mut Rng::new(1, "", 1), tasks));
        assert_eq!(results, (0..8).collect::<Vec<_>>());
    }

    #[test]
    fn what_is_cut_short_is_dropped_after_its_polls() {
        let polls = AtomicUsize::new(0);
        let endless = async || {
            loop {
                polls.fetch_add(1, Ordering::Relaxed);
                turn().await;
            }
        };
        assert_eq!(block_on(cut_short(3, endless())), None::<()>);
        assert_eq!(polls.load(Ordering::Relaxed), 3);
        assert_eq!(block_on(cut_short(0, endless())), None);
        assert_eq!(polls.load(Ordering::Relaxed), 3);
        assert_eq!(block_on(cut_short(1, async { 7 })), Some(7));
    }
}
