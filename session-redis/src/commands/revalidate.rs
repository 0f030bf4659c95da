//! The question whether sessions are still what a reader has.

use std::sync::Arc;

use redis::{Cmd, Value as Reply};
use session_core::store::{Record, Revalidated, StoreError};
use session_core::{Lifetime, SessionId, Timestamp};
use tokio::sync::oneshot;
use tokio::time::{Duration, Instant, timeout, timeout_at};

use super::commands::Commands;
use super::script::REVALIDATE;
use super::together::{Place, Question, Together, Way};
use crate::connection::Fault;
use crate::layout::{Content, Layout, is_still, read_record};

/// A session of more bytes than this is asked for alone. If it has changed, others would wait for
/// it.
const LARGE: usize = 16 * 1024;
/// A packed session of no more bytes than this goes into one packet as a rule, as the shortest
/// answer does.
const SMALL: usize = 1024;
/// A task that is to ask begins sooner than this, if its runtime runs.
const TURN: Duration = Duration::from_millis(20);

impl Commands {
    /// The session, unless it is still `known`. An expired one too, while it is there.
    pub(crate) async fn revalidate(
        self: &Arc<Self>,
        id: SessionId,
        known: &Record,
        until: Instant,
    ) -> Result<Revalidated, StoreError> {
        // Without a tag, a version that was lost in a fail-over could be taken for another.
        if known.tag().is_none() || known.id() != id {
            return Ok(self.load(id, until).await?.into());
        }
        let way = match self.layout {
            Layout::Packed if known.size() <= SMALL => Way::Whole,
            _ => Way::Script,
        };
        let content = Content::of(known);
        let question = Question { id, content, way };
        let place = match known.size() <= LARGE && self.link.leads_to_one_server() {
            true => self.gathering_of(&question).enter(question),
            false => Place::Alone(None),
        };
        let asked = match place {
            Place::Alone(_ticket) => self.ask_for_one(question, until).await,
            Place::First(number, answer) => {
                self.ask_soon(question, number, until);
                self.ask_with_others(question, number, answer, until).await
            }
            Place::Next(number, answer) => {
                self.ask_with_others(question, number, answer, until).await
            }
        };
        match asked.map_err(Fault::into_read_error)? {
            Reply::Int(1) => Ok(Revalidated::Unchanged),
            Reply::BulkString(text) if is_still(content, &text) => Ok(Revalidated::Unchanged),
            reply => Ok(read_record(id, reply)?.into()),
        }
    }

    /// The answer that comes together with others. If all of them failed, or this one says too
    /// little, what comes when it is asked alone.
    async fn ask_with_others(
        &self,
        question: Question,
        number: u64,
        answer: oneshot::Receiver<Reply>,
        until: Instant,
    ) -> Result<Reply, Fault> {
        let answer = self.wait_for(&question, number, answer, until).await;
        match (answer, question.way) {
            (None, _) => Box::pin(self.ask_for_one(question, until)).await,
            (Some(text @ Reply::BulkString(_)), Way::Whole) => Ok(text),
            // It has the other layout, or is not on the server that the others are on. A proxy also
            // says so here if it does not reach that server.
            (Some(_), Way::Whole) | (Some(Reply::Int(0)), Way::Script) => {
                Box::pin(self.ask_by_script(question, until)).await
            }
            (Some(reply), Way::Script) => Ok(reply),
        }
    }

    /// Waits for the answer of a task that asks this and more. It may be in a runtime that nobody
    /// drives, or whose thread is held up. So nobody waits until it is too late to ask alone.
    async fn wait_for(
        &self,
        question: &Question,
        number: u64,
        mut answer: oneshot::Receiver<Reply>,
        until: Instant,
    ) -> Option<Reply> {
        if let Ok(answered) = timeout(TURN, &mut answer).await {
            return answered.ok();
        }
        // If the task has not begun yet, everybody who waits for it asks alone.
        drop(self.gathering_of(question).take(number));
        let last = until.checked_sub(self.deadline() / 4).unwrap_or(until);
        timeout_at(last, answer).await.ok()?.ok()
    }

    async fn ask_for_one(&self, question: Question, until: Instant) -> Result<Reply, Fault> {
        if question.way == Way::Script {
            return self.ask_by_script(question, until).await;
        }
        match self.read(question.id, until).await {
            // It has the other layout.
            Err(Fault::WrongType) => Box::pin(self.ask_by_script(question, until)).await,
            reply => reply,
        }
    }

    /// Asks for a session as a reader does who has one, and knows nothing of it.
    pub(crate) async fn try_question(
        &self,
        id: SessionId,
        until: Instant,
    ) -> Result<(), StoreError> {
        let nothing = Record::new(id, "", Lifetime::default(), Timestamp::default());
        let question = Question {
            id,
            content: Content::of(&nothing),
            way: Way::Script,
        };
        let asked = self.ask_by_script(question, until).await;
        asked.map(drop).map_err(Fault::into_read_error)
    }

    async fn ask_by_script(&self, question: Question, until: Instant) -> Result<Reply, Fault> {
        let call = self.script_for(std::iter::once(&question));
        match REVALIDATE.run(&self.link, &call, until).await? {
            Reply::Array(mut answers) if answers.len() == 1 => {
                answers.pop().ok_or_else(Fault::strange)
            }
            _ => Err(Fault::strange()),
        }
    }

    /// Asks what has gathered, in a task of its own: a request that is not polled for a while must
    /// not hold up others.
    fn ask_soon(self: &Arc<Self>, first: Question, number: u64, until: Instant) {
        let gathering = Gathering {
            commands: Arc::clone(self),
            first,
            number,
        };
        tokio::spawn(async move {
            let commands = &gathering.commands;
            let Some(batch) = commands.gathering_of(&first).gather(number).await else {
                return;
            };
            let asked = match first.way {
                Way::Script => {
                    let call = commands.script_for(batch.questions());
                    REVALIDATE.run(&commands.link, &call, until).await
                }
                Way::Whole => {
                    let command = commands.read_all(batch.questions());
                    commands.send(&command, until).await
                }
            };
            // If it fails, everybody asks alone and gets an error of their own.
            if let Ok(Reply::Array(answers)) = asked {
                batch.answer(answers);
            }
        });
    }

    /// Where questions gather that are asked in the same way, and on the connection which the
    /// commands on this session take.
    fn gathering_of(&self, question: &Question) -> &Together {
        self.revalidations[self.link.place_of(question.id)].of(question.way)
    }

    fn read_all<'q>(&self, all: impl ExactSizeIterator<Item = &'q Question>) -> Cmd {
        let mut command = Cmd::with_capacity(1 + all.len(), 16 + all.len() * 64);
        command.arg("MGET");
        for question in all {
            command.arg(self.names.session(question.id));
        }
        command
    }

    fn script_for<'q>(&self, all: impl ExactSizeIterator<Item = &'q Question> + Clone) -> Cmd {
        let count = all.len();
        let mut call = REVALIDATE.on_many(count, count + 1, count * 96);
        for question in all.clone() {
            call.arg(self.names.session(question.id));
        }
        for question in all {
            call.arg(question.content);
        }
        call.arg(self.layout.hint());
        call
    }
}

/// A task that is to ask what gathers. A runtime that ends drops its tasks at any point, also those
/// that it has not begun.
struct Gathering {
    commands: Arc<Commands>,
    /// One of the questions.
    first: Question,
    number: u64,
}

impl Drop for Gathering {
    fn drop(&mut self) {
        drop(self.commands.gathering_of(&self.first).take(self.number));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "these are tests")]

    use super::*;
    use crate::config::{ConnectionSettings, Source};
    use crate::connection::{Connector, Link};
    use crate::layout::KeyNames;

    /// Nobody listens there.
    fn commands() -> Arc<Commands> {
        let settings = ConnectionSettings::default();
        let connector = Connector::new(&Source::from("redis://127.0.0.1:1/"), &settings).unwrap();
        let link = Link::new(connector, settings.timing, 1);
        let names = KeyNames {
            prefix: "session:".to_owned(),
        };
        Arc::new(Commands::new(link, names, Layout::default()))
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_a_task_that_does_not_run() {
        let commands = commands();
        let id = SessionId::from_bytes([7; 16]);
        let record = Record::new(id, "id", Lifetime::default(), Timestamp::default());
        let enter = || {
            let question = Question {
                id,
                content: Content::of(&record),
                way: Way::Script,
            };
            commands.gathering_of(&question).enter(question)
        };
        let _under_way = [enter(), enter()];
        // Of a runtime that nobody drives: its task never begins.
        let first = enter();
        assert!(matches!(first, Place::First(..)));
        let asked = commands.revalidate(id, &record, commands.until());
        let asked = timeout(commands.deadline() * 2, asked).await;
        // It has asked by itself, and nobody was there.
        assert!(matches!(asked.unwrap(), Err(StoreError::Unavailable(_))));
    }
}
