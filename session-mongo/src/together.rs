//! Questions that come while others are under way are put to the server together.
//!
//! A command costs both sides far more than what it is about. At 64 tasks a `find` of one session
//! took 50 us of the server's time and 20 of the driver's; one of sixteen sessions took 8 and 4 for
//! each of them. So a few questions go by themselves. What comes while they are under way waits
//! until one of them is back, and all that has gathered by then is one question. Nobody waits for
//! others to come.
//!
//! A connection may hang, and its answer with it. So nobody waits for another's answer for longer
//! than [`TURN`].

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::timeout;

/// How many are under way at once before others wait.
const ABREAST: usize = 4;
/// How many are asked together at most.
const MOST: usize = 32;
/// How long a question waits for its turn at most.
const TURN: Duration = Duration::from_millis(20);

/// One kind of question, and how many of it are asked together.
pub(crate) trait Batch: Clone + Send + 'static {
    type Question: Send + 'static;
    type Answer: Send + 'static;

    fn queue(&self) -> &Queue<Self::Question, Self::Answer>;

    /// How long many may take. By then nobody waits for an answer any more, and a write is better
    /// not carried out.
    fn limit(&self) -> Duration;

    /// Asks one.
    fn alone(&self, question: Self::Question) -> impl Future<Output = Self::Answer> + Send;

    /// Asks many: an answer for each, in their order.
    fn together(
        &self,
        questions: Vec<Self::Question>,
    ) -> impl Future<Output = Vec<Self::Answer>> + Send;
}

/// The questions that wait.
pub(crate) struct Queue<Q, A>(Mutex<State<Q, A>>);

struct State<Q, A> {
    under_way: usize,
    waiting: VecDeque<Waiting<Q, A>>,
    /// The number of the first that waits: one more for each that was taken.
    first: u64,
}

struct Waiting<Q, A> {
    question: Q,
    answer: oneshot::Sender<A>,
}

impl<Q, A> Default for Queue<Q, A> {
    fn default() -> Self {
        Self(Mutex::new(State {
            under_way: 0,
            waiting: VecDeque::new(),
            first: 0,
        }))
    }
}

/// The answer to a question, which is asked alone or with others. `None` if the task that asked has
/// ended without one.
pub(crate) async fn ask<B: Batch>(batch: &B, question: B::Question) -> Option<B::Answer> {
    let (number, answer) = match batch.queue().enter(question) {
        Turn::Now(question) => {
            let _ticket = Ticket::new(batch);
            return Some(batch.alone(question).await);
        }
        Turn::Later(number, answer) => (number, answer),
    };
    let mut answer = pin!(answer);
    if let Ok(answered) = timeout(TURN, &mut answer).await {
        return answered.ok();
    }
    if batch.queue().waits_no_more(number) {
        drop(Ticket::new(batch));
    }
    answer.await.ok()
}

enum Turn<Q, A> {
    /// One more is under way.
    Now(Q),
    /// The number in the queue, and where the answer comes.
    Later(u64, oneshot::Receiver<A>),
}

impl<Q, A> Queue<Q, A> {
    fn enter(&self, question: Q) -> Turn<Q, A> {
        let mut state = self.lock();
        if state.under_way < ABREAST {
            state.under_way += 1;
            return Turn::Now(question);
        }
        let (answer, receiver) = oneshot::channel();
        let number = state.first + state.waiting.len() as u64;
        state.waiting.push_back(Waiting { question, answer });
        Turn::Later(number, receiver)
    }

    /// If this one still waits, one more is under way, however many there are.
    fn waits_no_more(&self, number: u64) -> bool {
        let mut state = self.lock();
        let waits = state.first <= number;
        state.under_way += usize::from(waits);
        waits
    }

    /// Takes the questions to ask next. If none waits, one command fewer is under way.
    fn next(&self) -> Option<Vec<Waiting<Q, A>>> {
        let mut state = self.lock();
        let mut taken = Vec::new();
        while taken.len() < MOST
            && let Some(waiting) = state.waiting.pop_front()
        {
            state.first += 1;
            // Some have gone meanwhile.
            if !waiting.answer.is_closed() {
                taken.push(waiting);
            }
        }
        if taken.is_empty() {
            state.under_way -= 1;
            return None;
        }
        Some(taken)
    }

    fn lock(&self) -> MutexGuard<'_, State<Q, A>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One that is under way. When it is dropped, what waits by then is asked in a task, whose ticket
/// is dropped in its turn.
struct Ticket<B: Batch> {
    batch: B,
    runtime: Option<Handle>,
}

impl<B: Batch> Ticket<B> {
    fn new(batch: &B) -> Self {
        Self {
            batch: batch.clone(),
            runtime: Handle::try_current().ok(),
        }
    }
}

impl<B: Batch> Drop for Ticket<B> {
    fn drop(&mut self) {
        let Some(taken) = self.batch.queue().next() else {
            return;
        };
        let ticket = Self {
            batch: self.batch.clone(),
            runtime: self.runtime.clone(),
        };
        let asking = async move {
            let (questions, answers): (Vec<_>, Vec<_>) = taken
                .into_iter()
                .map(|waiting| (waiting.question, waiting.answer))
                .unzip();
            let together = timeout(ticket.batch.limit(), ticket.batch.together(questions));
            let answered = together.await.unwrap_or_default();
            for (answer, waiting) in answered.into_iter().zip(answers) {
                waiting.send(answer).ok();
            }
        };
        // Without a runtime, or with one that ends, nobody gets an answer.
        match &self.runtime {
            Some(runtime) => drop(runtime.spawn(asking)),
            None => drop(asking),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::Semaphore;
    use tokio::task::JoinSet;

    use super::*;

    /// Answers each question with itself, once it may.
    #[derive(Clone)]
    struct Echo(Arc<Shared>);

    struct Shared {
        queue: Queue<usize, usize>,
        may: Semaphore,
        sizes: Mutex<Vec<usize>>,
    }

    impl Echo {
        fn new() -> Self {
            Self(Arc::new(Shared {
                queue: Queue::default(),
                may: Semaphore::new(0),
                sizes: Mutex::default(),
            }))
        }

        async fn answer(&self, size: usize) {
            self.0.sizes.lock().unwrap().push(size);
            self.0.may.acquire().await.unwrap().forget();
        }

        /// So many questions at once, in their order.
        async fn ask(&self, questions: std::ops::Range<usize>) -> JoinSet<()> {
            let mut all = JoinSet::new();
            for question in questions {
                let echo = self.clone();
                all.spawn(async move {
                    assert_eq!(ask(&echo, question).await, Some(question));
                });
                tokio::task::yield_now().await;
            }
            all
        }

        fn sizes(&self) -> Vec<usize> {
            self.0.sizes.lock().unwrap().clone()
        }
    }

    impl Batch for Echo {
        type Question = usize;
        type Answer = usize;

        fn queue(&self) -> &Queue<usize, usize> {
            &self.0.queue
        }

        fn limit(&self) -> Duration {
            TURN * 100
        }

        async fn alone(&self, question: usize) -> usize {
            self.answer(1).await;
            question
        }

        async fn together(&self, questions: Vec<usize>) -> Vec<usize> {
            self.answer(questions.len()).await;
            questions
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_meanwhile_is_one_question() {
        let echo = Echo::new();
        let all = echo.ask(0..4 + 40).await;
        assert_eq!(echo.sizes(), [1; 4]);
        echo.0.may.add_permits(2);
        tokio::task::yield_now().await;
        tokio::task::yield_now().await;
        assert_eq!(echo.sizes(), [1, 1, 1, 1, 32, 8]);
        echo.0.may.add_permits(100);
        all.join_all().await;
        // All are over, so the next ones are alone again.
        echo.ask(0..4).await.join_all().await;
        assert_eq!(echo.sizes(), [1, 1, 1, 1, 32, 8, 1, 1, 1, 1]);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_long_for_answers_that_do_not_come() {
        let echo = Echo::new();
        let first = echo.ask(0..4).await;
        let second = echo.ask(4..7).await;
        tokio::time::sleep(TURN / 2).await;
        assert_eq!(echo.sizes(), [1; 4]);
        tokio::time::sleep(TURN).await;
        assert_eq!(echo.sizes(), [1, 1, 1, 1, 3]);
        echo.0.may.add_permits(100);
        first.join_all().await;
        second.join_all().await;
        echo.ask(0..4).await.join_all().await;
        assert_eq!(echo.sizes(), [1, 1, 1, 1, 3, 1, 1, 1, 1]);
    }

    #[tokio::test(start_paused = true)]
    async fn many_that_take_too_long_are_given_up() {
        let echo = Echo::new();
        let first = echo.ask(0..4).await;
        let late = echo.clone();
        let late = tokio::spawn(async move { ask(&late, 4).await });
        tokio::time::sleep(TURN * 99).await;
        assert!(!late.is_finished());
        tokio::time::sleep(TURN * 3).await;
        assert_eq!(late.await.unwrap(), None);
        assert_eq!(echo.0.queue.lock().under_way, 4);
        echo.0.may.add_permits(4);
        first.join_all().await;
        assert_eq!(echo.0.queue.lock().under_way, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_gone_is_not_asked_for() {
        let echo = Echo::new();
        let first = echo.ask(0..4).await;
        let mut gone = echo.ask(4..9).await;
        gone.abort_all();
        while gone.join_next().await.is_some() {}
        let third = echo.ask(9..10).await;
        echo.0.may.add_permits(100);
        first.join_all().await;
        third.join_all().await;
        assert_eq!(echo.sizes(), [1; 5]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_question_that_panics_leaves_the_others_their_turn() {
        #[derive(Clone)]
        struct Panics(Echo);
        impl Batch for Panics {
            type Question = usize;
            type Answer = usize;
            fn queue(&self) -> &Queue<usize, usize> {
                &self.0.0.queue
            }
            fn limit(&self) -> Duration {
                TURN
            }
            async fn alone(&self, _: usize) -> usize {
                panic!("as told")
            }
            async fn together(&self, _: Vec<usize>) -> Vec<usize> {
                panic!("as told")
            }
        }
        let panics = Panics(Echo::new());
        for _ in 0..9 {
            let panics = panics.clone();
            assert!(
                tokio::spawn(async move { ask(&panics, 1).await })
                    .await
                    .is_err()
            );
        }
        assert_eq!(panics.queue().lock().under_way, 0);
    }
}
