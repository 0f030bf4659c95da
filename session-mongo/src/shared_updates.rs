//! Updates of many requests in one command.
//!
//! # Which of them matched
//!
//! A command of many updates is answered with the number of those that matched, and not with their
//! names. So each is sent as an upsert that the server must refuse: it would insert another `_id`
//! than it looks for. One that matches inserts nothing, and is an update as any other. One that
//! matches nothing is an error in the answer, under its number, and nothing was written. The first
//! time, it is tried out with a session of nobody whether the server does so.
//!
//! # What came of one if there is no answer
//!
//! The driver resends no such command. Each write has a tag of its own, so what came of it can be
//! looked up: if the session has the tag the write was applied. If it still has the content that
//! the write looked for, the write is sent again, by itself. If others have written since, nobody
//! knows, and the outcome is unknown as it is without an answer.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use mongodb::action::Action;
use mongodb::bson::{self, Document, doc};
use session_core::SessionId;
use session_core::store::{Record, StoreError};

use crate::bson::number;
use crate::document::{self, by_id};
use crate::fault::{self, Reason};
use crate::sessions::{PRIMARY, Sessions, Statement};
use crate::together::{self, Batch, Queue};

/// What the server answers to an update that would insert another `_id` than it looks for.
const IMMUTABLE_FIELD: i32 = 66;
/// How often a write is looked up that was not answered.
const LOOKS: usize = 3;

/// What came of one of many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Applied,
    Unmatched,
    /// It was not applied, for another reason.
    Refused,
    Unknown,
}

#[derive(Clone)]
struct Updates(Arc<Sessions>);

impl Sessions {
    /// Carries an update out, alone or with others. `false` if it matched nothing.
    pub(crate) async fn share(self: &Arc<Self>, statement: Statement) -> Result<bool, StoreError> {
        let answer = together::ask(&Updates(Arc::clone(self)), statement).await;
        answer.unwrap_or_else(|| Err(StoreError::OutcomeUnknown(Arc::new(Reason::NoRuntime))))
    }

    /// Carries an update out by itself. `false` if it matched nothing.
    pub(crate) async fn update_one(&self, statement: Statement) -> Result<bool, StoreError> {
        let mut session = self.session().await?;
        let update = self
            .collection
            .update_one(statement.filter, statement.change)
            .optional(statement.concern, |update, concern| {
                update.write_concern(concern)
            })
            .optional(session.as_mut(), |update, session| update.session(session));
        let matched = update.await.map_err(fault::of_update)?.matched_count;
        self.wrote(session.as_ref());
        Ok(matched > 0)
    }

    /// Carries many out in one command.
    async fn update_all(&self, statements: &[Statement]) -> Result<Vec<Outcome>, StoreError> {
        let mut session = self.session().await?;
        let space = self.collection.namespace();
        let database = self.collection.client().database(&space.db);
        let update = |statement: &Statement| {
            let mut change = statement.change.clone();
            change.insert("$setOnInsert", doc! { "_id": 0 });
            doc! { "q": &statement.filter, "u": change, "upsert": true }
        };
        let updates: Vec<_> = statements.iter().map(update).collect();
        let mut command = doc! { "update": space.coll, "updates": updates, "ordered": false };
        if let Some(concern) = self.collection.write_concern() {
            let concern = bson::serialize_to_bson(concern)
                .map_err(|_| StoreError::unavailable(Reason::Driver("for a write concern")))?;
            command.insert("writeConcern", concern);
        }
        let run = database
            .run_command(command)
            .optional(session.as_mut(), |run, session| run.session(session));
        match run.await {
            Ok(answer) => {
                let outcomes = outcomes(&answer, statements.len());
                if outcomes.contains(&Outcome::Applied) {
                    self.wrote(session.as_ref());
                }
                Ok(outcomes)
            }
            Err(error) if fault::was_not_executed(&error) => {
                Ok(vec![Outcome::Refused; statements.len()])
            }
            Err(error) => match fault::of_write(error) {
                StoreError::OutcomeUnknown(_) => Ok(vec![Outcome::Unknown; statements.len()]),
                known => Err(known),
            },
        }
    }

    /// Whether the server refuses what it has to refuse. Nobody knows if it does not answer.
    async fn can_share(&self) -> bool {
        let tried = self.shares.get_or_try_init(|| self.try_to_share()).await;
        tried.copied().unwrap_or(false)
    }

    async fn try_to_share(&self) -> Result<bool, StoreError> {
        let nobody = SessionId::random().map_err(StoreError::unavailable)?;
        let mut filter = by_id(nobody);
        filter.insert("v", -1_i64);
        let try_out = Statement {
            id: nobody,
            filter,
            change: doc! { "$set": { "v": -1_i64 } },
            base_version: 0,
            tag: None,
            concern: None,
        };
        match self.update_all(&[try_out]).await?[..] {
            [Outcome::Unmatched] => Ok(true),
            [Outcome::Unknown] => Err(StoreError::unavailable(Reason::Driver("for no answer"))),
            _ => {
                // It may have inserted something.
                let inserted = doc! { "_id": { "$in": [nobody.encode(), 0] }, "v": -1_i64 };
                self.remove(inserted).await?;
                Ok(false)
            }
        }
    }

    /// What came of a write that was not answered. It may still be on its way; if it arrives after
    /// one of these steps it finds what it looks for no more, or changes nothing.
    async fn look_up(&self, statement: &Statement) -> Result<bool, StoreError> {
        let unknown = |error: StoreError| match error {
            StoreError::Unavailable(cause) => StoreError::OutcomeUnknown(cause),
            other => other,
        };
        let overtaken = Reason::Driver("before it said what came of a write");
        let Some(tag) = statement.tag else {
            return Err(StoreError::OutcomeUnknown(Arc::new(overtaken)));
        };
        for _ in 0..LOOKS {
            // It changes nothing, and waits until as many nodes have the write as there should.
            let mut applied = by_id(statement.id);
            applied.insert("tag", document::tag(tag));
            let confirmation = Statement {
                filter: applied,
                change: doc! { "$set": { "tag": document::tag(tag) } },
                ..statement.clone()
            };
            if self.update_one(confirmation).await.map_err(unknown)?
                || self.update_one(statement.clone()).await.map_err(unknown)?
            {
                return Ok(true);
            }
            let found = self.find(statement.id, PRIMARY).await.map_err(unknown)?;
            let is_over = |record: &Record| {
                record.ended().is_some() || record.version() <= statement.base_version + 1
            };
            match found {
                Some(record) if record.tag() == Some(tag) => {}
                Some(record) if !is_over(&record) => break,
                _ => return Ok(false),
            }
        }
        Err(StoreError::OutcomeUnknown(Arc::new(overtaken)))
    }
}

impl Batch for Updates {
    type Question = Statement;
    type Answer = Result<bool, StoreError>;

    fn queue(&self) -> &Queue<Statement, Self::Answer> {
        &self.0.updates
    }

    fn limit(&self) -> Duration {
        self.0.abandoned()
    }

    async fn alone(&self, statement: Statement) -> Self::Answer {
        self.0.update_one(statement).await
    }

    async fn together(&self, statements: Vec<Statement>) -> Vec<Self::Answer> {
        let outcomes = if statements.len() == 1 || !self.0.can_share().await {
            Ok(vec![Outcome::Refused; statements.len()])
        } else {
            self.0.update_all(&statements).await
        };
        let outcomes = match outcomes {
            Ok(outcomes) => outcomes,
            Err(error) => return vec![Err(error); statements.len()],
        };
        let answers = outcomes
            .into_iter()
            .zip(statements)
            .map(async |(outcome, statement)| match outcome {
                Outcome::Applied => Ok(true),
                Outcome::Unmatched => Ok(false),
                Outcome::Refused => self.0.update_one(statement).await,
                Outcome::Unknown => self.0.look_up(&statement).await,
            });
        join_all(answers).await
    }
}

/// What an answer says about each of `count` updates, in their order.
fn outcomes(answer: &Document, count: usize) -> Vec<Outcome> {
    let failures: HashMap<_, _> = answer
        .get_array("writeErrors")
        .into_iter()
        .flatten()
        .filter_map(|failure| {
            let failure = failure.as_document()?;
            let index = usize::try_from(failure.get_i32("index").ok()?).ok()?;
            Some((index, failure.get_i32("code").ok()?))
        })
        .collect();
    let applied = count.saturating_sub(failures.len());
    // An answer that does not add up, or that no majority has confirmed, says nothing.
    let is_sure = answer
        .get_i32("n")
        .is_ok_and(|n| i64::from(n) == number(applied))
        && !answer.contains_key("upserted")
        && !answer.contains_key("writeConcernError");
    (0..count)
        .map(|index| match failures.get(&index) {
            Some(&IMMUTABLE_FIELD) => Outcome::Unmatched,
            Some(_) => Outcome::Refused,
            None if is_sure => Outcome::Applied,
            None => Outcome::Unknown,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::Outcome::{Applied, Refused, Unknown, Unmatched};
    use super::*;

    #[test]
    fn an_answer_says_what_came_of_each() {
        let failure = |index: i32, code: i32| doc! { "index": index, "code": code };
        for (answer, expected) in [
            (doc! { "n": 3 }, [Applied; 3]),
            (
                doc! { "n": 1, "writeErrors": [failure(0, 66), failure(2, 121)] },
                [Unmatched, Applied, Refused],
            ),
            // It does not add up.
            (doc! { "n": 2 }, [Unknown; 3]),
            (
                doc! { "n": 2, "writeErrors": [failure(0, 66), failure(2, 121)] },
                [Unmatched, Unknown, Refused],
            ),
            (doc! {}, [Unknown; 3]),
            (
                doc! { "n": 3, "upserted": [{ "index": 1, "_id": 0 }] },
                [Unknown; 3],
            ),
            // No majority has it yet.
            (
                doc! { "n": 2, "writeErrors": [failure(1, 66)], "writeConcernError": {} },
                [Unknown, Unmatched, Unknown],
            ),
        ] {
            assert_eq!(outcomes(&answer, 3), expected, "{answer}");
        }
    }
}
