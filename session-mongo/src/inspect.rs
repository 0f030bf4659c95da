//! Whether a server and its collection can keep sessions. `connect` asks once: what is wrong here
//! would show with the first session otherwise, or never.

use std::time::{Duration, SystemTime};

use mongodb::action::Action;
use mongodb::bson::{DateTime, Document, doc};
use mongodb::options::SelectionCriteria;
use session_core::store::StoreError;

use crate::detach::within;
use crate::direct::DirectStore;
use crate::document::GRACE;
use crate::error::ConnectError;
use crate::fault::{self, UNAUTHORIZED};
use crate::sessions::PRIMARY;
use crate::settings::Indexes;

/// Clocks that differ by more are worth a warning.
const NOTABLE: Duration = Duration::from_secs(5);

impl DirectStore {
    /// Compares the server's clock with this machine's. With the index the server removes sessions
    /// by its own clock, a minute after they ended by the application's: so far it may be ahead.
    pub(crate) async fn check_clock(&self, indexes: Indexes) -> Result<(), ConnectError> {
        let removes = indexes == Indexes::Made;
        let collection = &self.sessions.collection;
        let reads = collection
            .selection_criteria()
            .filter(|_| !removes)
            .unwrap_or(&PRIMARY);
        let before = SystemTime::now();
        let answer = self
            .ask("admin", doc! { "hello": 1 }, Some(reads.clone()))
            .await?;
        let after = SystemTime::now();
        let server = answer.and_then(|answer| answer.get_datetime("localTime").ok().copied());
        match server.map(|server| skew(server, before, after)) {
            Some(Skew::Ahead(ahead)) if removes && ahead > GRACE => {
                return Err(ConnectError::Clock { ahead });
            }
            Some(Skew::Ahead(ahead)) if ahead > NOTABLE => tracing::warn!(
                target: "session::mongo",
                ?ahead,
                "the clock of the MongoDB server is ahead of this machine's"
            ),
            Some(Skew::Behind(behind)) if behind > NOTABLE => tracing::warn!(
                target: "session::mongo",
                ?behind,
                "the clock of the MongoDB server is behind this machine's"
            ),
            _ => {}
        }
        Ok(())
    }

    /// Refuses a collection of a kind, or with a setting, with which sessions would go wrong. One
    /// that does not exist yet will be made as it should be, and a user who may not ask is not
    /// refused for that.
    pub(crate) async fn check_collection(&self) -> Result<(), ConnectError> {
        let space = self.sessions.collection.namespace();
        let list = doc! { "listCollections": 1, "filter": { "name": &space.coll } };
        let answer = self.ask(&space.db, list, None).await?;
        if let Some(reason) = answer
            .as_ref()
            .and_then(|answer| unfit(first_batch(answer).next()?))
        {
            return Err(self.unfit(reason));
        }
        let answer = self
            .ask(&space.db, doc! { "listIndexes": &space.coll }, None)
            .await?;
        if answer.is_some_and(|answer| first_batch(&answer).any(refuses_equals)) {
            return Err(self.unfit(
                "it has a unique index besides that on _id, which would refuse sessions of one \
                 principal and the marks of those that have ended; drop that index",
            ));
        }
        Ok(())
    }

    pub(crate) fn unfit(&self, reason: &'static str) -> ConnectError {
        ConnectError::UnfitCollection {
            collection: self.sessions.collection.namespace().to_string(),
            reason,
        }
    }

    /// What the server answers; `None` where it does not know the command or the collection, or the
    /// user may not ask.
    async fn ask(
        &self,
        database: &str,
        command: Document,
        criteria: Option<SelectionCriteria>,
    ) -> Result<Option<Document>, ConnectError> {
        const UNKNOWN_COMMAND: i32 = 59;
        const NO_COLLECTION: i32 = 26;

        let database = self.sessions.collection.client().database(database);
        let run = async move {
            let run = database.run_command(command);
            run.optional(criteria, |run, criteria| run.selection_criteria(criteria))
                .await
        };
        // The client makes its connections first, and that may take longer than an operation.
        match within(self.sessions.deadline * 4, run).await {
            Ok(Ok(answer)) => Ok(Some(answer)),
            Ok(Err(error)) => match fault::code(&error) {
                Some(UNAUTHORIZED | UNKNOWN_COMMAND | NO_COLLECTION) => Ok(None),
                _ => Err(ConnectError::failed(&fault::of_read(error))),
            },
            Err(late) => Err(ConnectError::failed(&StoreError::unavailable(late))),
        }
    }
}

/// The items in the answer of a command that lists.
fn first_batch(answer: &Document) -> impl Iterator<Item = &Document> {
    let cursor = answer.get_document("cursor");
    let batch = cursor.and_then(|cursor| cursor.get_array("firstBatch"));
    batch
        .into_iter()
        .flatten()
        .filter_map(|listed| listed.as_document())
}

/// Whether an index refuses documents that differ in nothing but `_id`.
fn refuses_equals(index: &Document) -> bool {
    index.get_bool("unique").is_ok_and(|unique| unique)
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
        Some(
            "its collation takes texts for equal that are not, so one principal could be taken \
             for another; name a collection without a collation",
        )
    } else if options.get_bool("capped").is_ok_and(|capped| capped) {
        Some(
            "it is capped, so the server would remove live sessions to make room; name another \
             collection",
        )
    } else if options.contains_key("encryptedFields") {
        Some("it has encrypted fields, which the store does not know of; name another collection")
    } else {
        None
    }
}

/// By how much a server's clock differs from this machine's, at least. The answer was under way for
/// some time, and differences up to that may be none.
#[derive(Debug, PartialEq, Eq)]
enum Skew {
    None,
    Ahead(Duration),
    Behind(Duration),
}

fn skew(server: DateTime, before: SystemTime, after: SystemTime) -> Skew {
    let server = server.to_system_time();
    // The server cuts its time to whole milliseconds.
    let before = before - Duration::from_millis(1);
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
