//! Whether a server and its collection can keep sessions: asked once, by `connect`.

use std::time::{Duration, SystemTime};

use mongodb::bson::{DateTime, Document, doc};
use mongodb::error::ErrorKind;

use session_core::StoreError;

use crate::ConnectError;
use crate::fault;
use crate::store::{GRACE, MongoStore, PRIMARY};

/// Clocks that differ by more are worth a warning.
const NOTABLE: Duration = Duration::from_secs(5);
/// What the server says to a user that may not ask.
const UNAUTHORIZED: i32 = 13;

impl MongoStore {
    /// Compares the server's clock with this machine's. The server removes sessions by its own, a
    /// minute after they ended by the application's: so far it may be ahead.
    pub(crate) async fn look_at_clock(&self, removes: bool) -> Result<(), ConnectError> {
        let inner = self.inner.clone();
        let criteria = match removes {
            true => PRIMARY,
            false => inner.reads.clone(),
        };
        let before = SystemTime::now();
        let answer = self
            .ask("admin", doc! { "hello": 1 }, Some(criteria))
            .await?;
        let after = SystemTime::now();
        let Some(server) = answer.and_then(|answer| answer.get_datetime("localTime").ok().copied())
        else {
            return Ok(());
        };
        match skew(server, before, after) {
            Skew::Ahead(ahead) if removes && ahead > GRACE => Err(ConnectError::Clock { ahead }),
            Skew::Ahead(ahead) if ahead > NOTABLE => {
                tracing::warn!(target: "session::mongo", ?ahead, "the clock of the MongoDB server is ahead of this machine's");
                Ok(())
            }
            Skew::Behind(behind) if behind > NOTABLE => {
                tracing::warn!(target: "session::mongo", ?behind, "the clock of the MongoDB server is behind this machine's");
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Refuses collections of a kind, or with a setting, with which sessions would go wrong. One
    /// that is not there yet will be made as it should be; and a user who may not ask is not
    /// refused for that.
    pub(crate) async fn examine(&self) -> Result<(), ConnectError> {
        let space = self.inner.sessions.namespace();
        let list = doc! { "listCollections": 1, "filter": { "name": &space.coll } };
        let answer = self.ask(&space.db, list, None).await?;
        let list = doc! { "listIndexes": &space.coll };
        let collections = answer.as_ref().map(first_batch).unwrap_or_default();
        if let Some(reason) = collections.first().and_then(|listed| unfit(listed)) {
            return Err(self.unfit(reason));
        }
        let answer = self.ask(&space.db, list, None).await?;
        let indexes = answer.as_ref().map(first_batch).unwrap_or_default();
        if indexes.iter().any(|index| refuses_equals(index)) {
            return Err(self.unfit(
                "it has a unique index besides that on _id, which would refuse sessions of one principal and the marks of \
                 those that have ended; drop that index",
            ));
        }
        Ok(())
    }

    pub(crate) fn unfit(&self, reason: &'static str) -> ConnectError {
        ConnectError::UnfitCollection {
            collection: self.inner.sessions.namespace().to_string(),
            reason,
        }
    }

    /// What the server answers; `None` where it does not know the command or the collection, or the
    /// user may not ask.
    async fn ask(
        &self,
        database: &str,
        command: Document,
        criteria: Option<mongodb::options::SelectionCriteria>,
    ) -> Result<Option<Document>, ConnectError> {
        const NOT_KNOWN: i32 = 59;
        const NOT_THERE: i32 = 26;

        let database = self.inner.sessions.client().database(database);
        // Connections are made first, and that may take longer than an operation.
        let limit = self.inner.deadline * 4;
        let asked = self.once(limit, async move {
            let run = database.run_command(command);
            match criteria {
                Some(criteria) => run.selection_criteria(criteria).await,
                None => run.await,
            }
        });
        match asked.await {
            Ok(Ok(answer)) => Ok(Some(answer)),
            Ok(Err(error)) => match &*error.kind {
                ErrorKind::Command(refused)
                    if [UNAUTHORIZED, NOT_KNOWN, NOT_THERE].contains(&refused.code) =>
                {
                    Ok(None)
                }
                _ => Err(ConnectError::failed(&fault::of_read(&error))),
            },
            Err(late) => Err(ConnectError::failed(&StoreError::unavailable(late))),
        }
    }
}

/// What a command answers that lists something.
fn first_batch(answer: &Document) -> Vec<&Document> {
    let batch = answer
        .get_document("cursor")
        .and_then(|cursor| cursor.get_array("firstBatch"));
    let each = batch.into_iter().flatten();
    each.filter_map(|listed| listed.as_document()).collect()
}

/// Whether an index allows one document only where several are alike in other fields than `_id`.
fn refuses_equals(index: &Document) -> bool {
    let unique = index.get_bool("unique").is_ok_and(|unique| unique);
    unique
        && index
            .get_document("key")
            .is_ok_and(|key| !key.contains_key("_id"))
}

/// Why a collection, as the server lists it, is not fit for sessions.
fn unfit(listed: &Document) -> Option<&'static str> {
    match listed.get_str("type") {
        Ok("view") => {
            return Some(
                "it is a view, into which nobody can write; name the collection that it shows",
            );
        }
        Ok("timeseries") => {
            return Some(
                "it is a time series, whose documents cannot be changed; name another collection",
            );
        }
        _ => {}
    }
    let options = listed.get_document("options").ok()?;
    let collation = options.get_document("collation").ok();
    let locale = collation.and_then(|collation| collation.get_str("locale").ok());
    if locale.is_some_and(|locale| locale != "simple") {
        return Some(
            "its collation takes texts for equal that are not, so one principal could be taken for another; \
             name a collection without a collation",
        );
    }
    if options.get_bool("capped").is_ok_and(|capped| capped) {
        return Some(
            "it is capped, so the server would remove live sessions to make room; name another collection",
        );
    }
    if options.contains_key("encryptedFields") {
        return Some(
            "it has encrypted fields, which the store does not know of; name another collection",
        );
    }
    None
}

/// How a server's clock differs from this machine's, at least: the answer was under way for some
/// time.
#[derive(Debug, PartialEq, Eq)]
enum Skew {
    None,
    Ahead(Duration),
    Behind(Duration),
}

fn skew(server: DateTime, before: SystemTime, after: SystemTime) -> Skew {
    let server = server.to_system_time();
    // It tells of whole milliseconds.
    let before = before
        .checked_sub(Duration::from_millis(1))
        .unwrap_or(before);
    match (server.duration_since(after), before.duration_since(server)) {
        (Ok(ahead), _) if !ahead.is_zero() => Skew::Ahead(ahead),
        (_, Ok(behind)) if !behind.is_zero() => Skew::Behind(behind),
        _ => Skew::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_differs_by_what_the_way_does_not_explain() {
        let at = |millis| SystemTime::UNIX_EPOCH + Duration::from_millis(millis);
        let seconds = Duration::from_secs;
        for (server, expected) in [
            (100_000, Skew::None),
            (99_999, Skew::None),
            (103_000, Skew::None),
            (163_000, Skew::Ahead(seconds(60))),
            (39_999, Skew::Behind(seconds(60))),
        ] {
            let server = DateTime::from_millis(server);
            assert_eq!(skew(server, at(100_000), at(103_000)), expected, "{server}");
        }
    }
}
