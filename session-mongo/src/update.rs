//! Changing one session.
//!
//! - **Two ways to write, and one to find out.** First comes an `update` of the version that was
//!   loaded: its result is known, and it costs the server less than a `findAndModify`. Where
//!   somebody else has written since, an update that may merge is then put on whatever version is
//!   there, by a `findAndModify` that hands back the new version. If that matched nothing either,
//!   the record is read, and `Update::replace_in` decides as it does for a store in memory. What it
//!   lets pass is written on the version that was read. An update that may merge and whose result
//!   exceeds the limits, as after limits were lowered, begins with the `findAndModify`.
//! - **Updates of one version share commands** where there are many: see
//!   [`shared_updates`](crate::shared_updates).
//! - **A merge counts sizes too high.** It does not know what it overwrites, so it adds all that it
//!   sets. Where the sum may exceed a limit it matches nothing, and the way through `replace_in`
//!   counts again. So limits cost no read, unless one merge adds half of what a session may hold.

use std::sync::Arc;

use mongodb::action::Action;
use mongodb::bson::{Bson, Document, doc};
use mongodb::options::{ReturnDocument, WriteConcern};
use session_core::store::{Metadata, Record, StoreError, Tag, Update, Updated, Value, Values};
use session_core::{SessionId, Timestamp};
use tokio::time::Instant;

use crate::bson::{date, number};
use crate::document::{self, by_id};
use crate::fault::{self, Reason};
use crate::sessions::{PRIMARY, Sessions, Statement, fits};

/// An update that sets at least this many bytes is sent alone: small ones would wait for it.
const LARGE: usize = 16 * 1024;

impl Sessions {
    pub(crate) async fn update(
        self: Arc<Self>,
        id: SessionId,
        update: Update,
        now: Timestamp,
    ) -> Result<Updated, StoreError> {
        fits(update.record())?;
        OneUpdate {
            sessions: &self,
            id,
            update,
            now,
        }
        .run()
        .await
    }
}

struct OneUpdate<'a> {
    sessions: &'a Arc<Sessions>,
    id: SessionId,
    update: Update,
    now: Timestamp,
}

impl OneUpdate<'_> {
    async fn run(&self) -> Result<Updated, StoreError> {
        let until = Instant::now() + self.sessions.deadline;
        let (record, expected) = (self.update.record(), self.update.expected_version());
        let merges = expected.is_none();
        // What was stored under larger limits is merged at once, and costs no command more.
        let within_limits = self
            .update
            .limits()
            .check(record.limited_size(), record.values().len())
            .is_ok();
        // An update that has to meet another version than it was made from is merged with that one.
        let base = self.update.base_version();
        let meets_base = expected.is_none_or(|version| version == base);
        let base_tag = self.update.base_tag();
        if meets_base && (within_limits || !merges) && self.replace(base, base_tag, record).await? {
            return Ok(match base_tag.and(record.tag()) {
                Some(_) => Updated::replaced(self.id, record.version()),
                None => self.saved(record.version()),
            });
        }
        if merges && let Some(version) = self.merge().await? {
            return Ok(self.saved(version));
        }
        // The session is gone or of another version, a limit was near, or somebody changed the
        // lifetime. The record tells. Where it can be written and is not, somebody else was faster
        // again.
        while Instant::now() < until {
            let Some(current) = self.sessions.find(self.id, PRIMARY).await? else {
                return Ok(Updated::Gone);
            };
            let mut after = Arc::clone(&current);
            match self.update.replace_in(&mut after, self.now)? {
                Updated::Saved { .. } => {}
                refused => return Ok(refused),
            }
            if self
                .replace(current.version(), current.tag(), &after)
                .await?
            {
                return Ok(self.saved(after.version()));
            }
        }
        Err(StoreError::Unavailable(Arc::new(Reason::Late(
            self.sessions.deadline,
        ))))
    }

    fn saved(&self, version: u64) -> Updated {
        Updated::saved(self.id, version)
    }

    /// Puts the changes on the content that is named, so that `after` results. `false` if the
    /// session is not there with this content. The tag is compared since versions repeat after a
    /// fail-over that has lost writes.
    async fn replace(
        &self,
        version: u64,
        tag: Option<Tag>,
        after: &Record,
    ) -> Result<bool, StoreError> {
        let mut filter = self.live();
        filter.insert("v", number(version));
        if let Some(tag) = tag {
            filter.insert("tag", document::tag(tag));
        }
        let mut set = document::counts(after);
        let mut unset = Document::new();
        if self.update.changes().metadata() != Metadata::Unchanged {
            set.extend(document::activity(after));
        }
        self.values(&mut set, &mut unset);
        if self.update.changes().metadata() == Metadata::Replaced {
            set.extend(document::metadata(after));
            if after.principal().is_none() {
                unset.insert("principal", "");
            }
        }
        let concern = self.concern();
        let statement = Statement {
            id: self.id,
            filter,
            change: operators([("$set", set), ("$unset", unset)]),
            base_version: version,
            tag: after.tag(),
            concern,
        };
        let changed: usize = self.update.changes().sets().map(size_of_entry).sum();
        match statement.concern.is_none() && changed < LARGE {
            true => self.sessions.share(statement).await,
            false => self.sessions.update_one(statement).await,
        }
    }

    /// Puts the changes on whatever version is there; says which one results.
    async fn merge(&self) -> Result<Option<u64>, StoreError> {
        let (record, changes, limits) = (
            self.update.record(),
            self.update.changes(),
            self.update.limits(),
        );
        let mut filter = self.live();
        // To a number of another type, which another program has put there, the server would add
        // all the same.
        filter.insert("v", doc! { "$type": "long" });
        let (mut set, mut unset, mut max) = Default::default();
        let mut inc = doc! { "v": 1_i64 };
        self.values(&mut set, &mut unset);
        let tag = record.tag().unwrap_or_else(Tag::draw);
        set.insert("tag", document::tag(tag.merged()));
        let keys = changes.sets().count();
        if keys > 0 {
            let bytes = changes.sets().map(size_of_entry).sum();
            for (field, limit, added) in [
                ("size", limits.record_bytes(), bytes),
                ("keys", limits.keys(), keys),
            ] {
                filter.insert(field, doc! { "$lte": number(limit) - number(added) });
                inc.insert(field, number(added));
            }
        }
        if let Metadata::Touched(_) = changes.metadata() {
            // The end of the session follows from these two, so they must be those that are known.
            filter.insert("idle", document::idle(record));
            filter.insert("deadline", date(record.absolute_expiry()));
            max = document::activity(record);
        }
        let change = operators([
            ("$set", set),
            ("$unset", unset),
            ("$max", max),
            ("$inc", inc),
        ]);
        let mut session = self.sessions.session().await?;
        let update = self
            .sessions
            .collection
            .find_one_and_update(filter, change)
            .projection(doc! { "v": 1, "_id": 0 })
            .return_document(ReturnDocument::After)
            .optional(self.concern(), |update, concern| {
                update.write_concern(concern)
            })
            .optional(session.as_mut(), |update, session| update.session(session));
        let Some(updated) = update.await.map_err(fault::of_update)? else {
            return Ok(None);
        };
        self.sessions.wrote(session.as_ref());
        let version = updated.get_i64("v").ok().map(u64::try_from);
        match version {
            Some(Ok(version)) => Ok(Some(version)),
            _ => Err(StoreError::corrupt("the version is not what was written")),
        }
    }

    /// The session, if it is live and of the epoch that was loaded. None of these fields has an
    /// index, which would cost the fast path by the id.
    fn live(&self) -> Document {
        let mut filter = by_id(self.id);
        filter.insert("epoch", number(self.update.epoch()));
        filter.insert("ends", doc! { "$gt": date(self.now) });
        filter
    }

    /// What sets and removes the values that change.
    fn values(&self, set: &mut Document, unset: &mut Document) {
        let changes = self.update.changes();
        if changes.is_clear() {
            set.insert("data", document::data(changes.sets()));
            return;
        }
        let field = |key| format!("data.{}", document::escape(key));
        let sets = changes
            .sets()
            .map(|(key, value)| (field(key), document::bson_of(value)));
        set.extend(sets);
        unset.extend(changes.removes().map(|key| (field(key), "".into())));
    }

    /// The write concern, where it is not that of the store.
    fn concern(&self) -> Option<WriteConcern> {
        let changes = self.update.changes();
        let is_touch = matches!(changes.metadata(), Metadata::Touched(_)) && changes.keeps_values();
        is_touch.then(|| self.sessions.touches.clone())
    }
}

fn size_of_entry((key, value): (&str, &Value)) -> usize {
    Values::entry_size(key, value)
}

/// The operators that have fields: the server refuses one without.
fn operators<const N: usize>(all: [(&str, Document); N]) -> Document {
    let used = all.into_iter().filter(|(_, fields)| !fields.is_empty());
    used.map(|(operator, fields)| (operator.to_owned(), Bson::Document(fields)))
        .collect()
}
