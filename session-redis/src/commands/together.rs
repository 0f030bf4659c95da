//! Questions that come at the same time are one command.
//!
//! A command costs the server ten times what it takes to compare two short texts, and the driver as
//! much again. So while some questions are under way, the next ones gather: for as long as the
//! tasks take that are ready to run now, and no longer. Nobody waits for an answer of the server
//! before asking, so a distant server is asked as often as before.

use std::future::poll_fn;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use redis::Value as Reply;
use session_core::SessionId;
use tokio::sync::oneshot;

use crate::layout::Content;

/// While fewer than these are under way, a question goes by itself.
const ABREAST: usize = 2;
/// How many are asked together at most: the server does nothing else meanwhile.
const MOST: usize = 64;

/// How a store asks whether a session has changed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// A script looks, and answers with the session only if it has. It takes the server several
    /// times as long as a plain read.
    Script,
    /// It is read whole, as the one text that it is.
    Whole,
}

/// The questions of one connection that gather. So a connection that hangs delays only the sessions
/// whose commands take it.
#[derive(Debug, Default)]
pub(super) struct Gatherings {
    by_script: Together,
    whole: Together,
}

impl Gatherings {
    pub(super) fn of(&self, way: Way) -> &Together {
        match way {
            Way::Script => &self.by_script,
            Way::Whole => &self.whole,
        }
    }
}

/// What somebody asks: whether a session still has this content.
#[derive(Clone, Copy)]
pub(super) struct Question {
    pub(super) id: SessionId,
    pub(super) content: Content,
    pub(super) way: Way,
}

/// Where a question stands.
pub(super) enum Place<'t> {
    /// It goes by itself. With a ticket it counts as under way.
    Alone(Option<Ticket<'t>>),
    /// It is the first of those that gather under this number, and sees to it that they are asked.
    First(u64, oneshot::Receiver<Reply>),
    /// It gathers with others, under this number.
    Next(u64, oneshot::Receiver<Reply>),
}

/// The questions that gather.
#[derive(Debug, Default)]
pub(super) struct Together(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    under_way: usize,
    /// What gathers, and its number.
    gathering: Vec<Asked>,
    number: u64,
    /// What was full before anybody asked it.
    full: Vec<(u64, Vec<Asked>)>,
}

pub(super) struct Asked {
    question: Question,
    answer: oneshot::Sender<Reply>,
}

impl Together {
    pub(super) fn enter(&self, question: Question) -> Place<'_> {
        let mut state = self.lock();
        if state.gathering.is_empty() && state.under_way < ABREAST {
            state.under_way += 1;
            return Place::Alone(Some(Ticket(self)));
        }
        if state.gathering.len() == MOST {
            let full = (state.number, std::mem::take(&mut state.gathering));
            state.full.push(full);
            state.number += 1;
        }
        let (answer, receiver) = oneshot::channel();
        state.gathering.push(Asked { question, answer });
        match state.gathering.len() {
            1 => Place::First(state.number, receiver),
            _ => Place::Next(state.number, receiver),
        }
    }

    /// What has gathered under this number once all tasks have run that are ready now.
    pub(super) async fn gather(&self, number: u64) -> Option<Batch<'_>> {
        let mut waited = false;
        poll_fn(|context| {
            if std::mem::replace(&mut waited, true) {
                return Poll::Ready(());
            }
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
        let mut asked = self.take(number);
        // Some have gone meanwhile.
        asked.retain(|asked| !asked.answer.is_closed());
        if asked.is_empty() {
            return None;
        }
        self.lock().under_way += 1;
        Some(Batch {
            asked,
            _ticket: Ticket(self),
        })
    }

    /// Takes what has gathered under this number, if nobody has yet. If it is dropped, everybody
    /// asks alone.
    pub(super) fn take(&self, number: u64) -> Vec<Asked> {
        let mut state = self.lock();
        if number == state.number {
            state.number += 1;
            return std::mem::take(&mut state.gathering);
        }
        let at = state.full.iter().position(|(full, _)| *full == number);
        at.map(|at| state.full.swap_remove(at).1)
            .unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Questions that are asked together. Those that are not answered are told when it is dropped.
pub(super) struct Batch<'t> {
    asked: Vec<Asked>,
    _ticket: Ticket<'t>,
}

impl Batch<'_> {
    pub(super) fn questions(&self) -> impl ExactSizeIterator<Item = &Question> + Clone {
        self.asked.iter().map(|asked| &asked.question)
    }

    /// Hands out the answers, which come in the order of the questions.
    pub(super) fn answer(self, answers: Vec<Reply>) {
        for (asked, answer) in self.asked.into_iter().zip(answers) {
            // Who has gone needs none.
            let _ = asked.answer.send(answer);
        }
    }
}

/// One command under way.
pub(super) struct Ticket<'t>(&'t Together);

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        self.0.lock().under_way -= 1;
    }
}

impl std::fmt::Debug for Asked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Asked").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

    use session_core::Timestamp;
    use session_core::store::Record;

    use super::*;

    fn question(n: u8) -> Question {
        let id = SessionId::from_bytes([n; 16]);
        let record = Record::new(
            id,
            "id",
            session_core::Lifetime::default(),
            Timestamp::default(),
        );
        Question {
            id,
            content: Content::of(&record),
            way: Way::Script,
        }
    }

    fn gathers(place: Place<'_>) -> (Option<u64>, oneshot::Receiver<Reply>) {
        match place {
            Place::First(number, answer) => (Some(number), answer),
            Place::Next(_, answer) => (None, answer),
            Place::Alone(_) => panic!("it goes by itself"),
        }
    }

    #[tokio::test]
    async fn a_few_go_by_themselves_and_what_comes_meanwhile_is_one_command() {
        let together = Together::default();
        let alone: Vec<_> = (0..ABREAST).map(|_| together.enter(question(0))).collect();
        assert!(alone.iter().all(|place| matches!(place, Place::Alone(_))));
        let (number, first) = gathers(together.enter(question(1)));
        let (none, second) = gathers(together.enter(question(2)));
        assert_eq!((number, none), (Some(0), None));

        let batch = together.gather(0).await.unwrap();
        let ids: Vec<_> = batch.questions().map(|q| q.id.as_bytes()[0]).collect();
        assert_eq!(ids, [1, 2]);
        // They are under way, so the next ones gather.
        drop(alone);
        let one = together.enter(question(3));
        let (number, third) = gathers(together.enter(question(4)));
        assert_eq!(number, Some(1));

        batch.answer(vec![Reply::Int(1), Reply::Int(2)]);
        assert_eq!(first.await, Ok(Reply::Int(1)));
        assert_eq!(second.await, Ok(Reply::Int(2)));
        drop(third);
        assert!(together.gather(1).await.is_none(), "nobody waits any more");
        drop(one);
        assert_eq!(together.lock().under_way, 0);
    }

    #[tokio::test]
    async fn a_command_has_a_bounded_number_of_questions() {
        let together = Together::default();
        let _alone: Vec<_> = (0..ABREAST).map(|_| together.enter(question(0))).collect();
        let mut firsts = Vec::new();
        let mut answers = Vec::new();
        for _ in 0..=2 * MOST {
            let (first, answer) = gathers(together.enter(question(1)));
            firsts.extend(first);
            answers.push(answer);
        }
        assert_eq!(firsts, [0, 1, 2]);
        let mut sizes = Vec::new();
        for number in [2, 0, 1] {
            sizes.push(together.gather(number).await.unwrap().questions().len());
        }
        assert_eq!(sizes, [1, MOST, MOST]);
    }

    #[tokio::test]
    async fn what_is_not_answered_is_told_so() {
        let together = Together::default();
        let _alone: Vec<_> = (0..ABREAST).map(|_| together.enter(question(0))).collect();
        // The task that was to ask has ended before it began.
        let (number, first) = gathers(together.enter(question(1)));
        drop(together.take(number.unwrap()));
        assert!(first.await.is_err());
        // The command has failed.
        let (number, second) = gathers(together.enter(question(1)));
        drop(together.gather(number.unwrap()).await);
        assert!(second.await.is_err());
        // An answer is missing.
        let (number, third) = gathers(together.enter(question(1)));
        let batch = together.gather(number.unwrap()).await.unwrap();
        batch.answer(Vec::new());
        assert!(third.await.is_err());
    }
}
