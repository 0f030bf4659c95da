//! An update: as a call of the script that merges, or of the one that replaces; and what came of
//! it.

use std::sync::Arc;

use redis::{Cmd, Value as Reply};
use session_core::store::{Metadata, Record, StoreError, Update, Values};
use session_core::{SessionId, Timestamp};
use tokio::time::{Duration, Instant};

use super::commands::{Commands, GRACE, millis, ttl};
use super::script::{REPLACE, UPDATE};
use super::session::text;
use crate::connection::Fault;
use crate::layout::{
    Content, Layout, Summary, damaged, pieces, put_beginning, put_name, put_optional,
    put_principal, put_tag, put_value, read_record,
};

/// One call of a command sets at most this many values.
const MOST_PLAIN: usize = 400;

/// What came of an update.
pub(crate) enum UpdateOutcome {
    Saved {
        version: u64,
        /// Nothing that others wrote was merged, and the tag is the record's.
        exact: bool,
        /// The principal that the session had before, if it is not theirs any more.
        former: Option<String>,
    },
    Conflict(Option<Arc<Record>>),
    Gone,
    /// Nothing was written. The principal has to be in its index first.
    IndexFirst,
}

impl Commands {
    /// Updates a session that is there. A probation says that its principal is indexed, and for
    /// how long it lives until its writer has confirmed it.
    pub(crate) async fn update(
        &self,
        id: SessionId,
        update: &Update,
        now: Timestamp,
        probation: Option<Duration>,
        until: Instant,
    ) -> Result<UpdateOutcome, StoreError> {
        if self.layout == Layout::Fields {
            let call = self.merge(id, update, now, probation);
            match UPDATE.run(&self.link, &call, until).await {
                // It is packed, so it cannot be merged. It is written whole, as fields.
                Err(Fault::WrongType) => {}
                reply => return UpdateOutcome::of(id, update, reply),
            }
        }
        let call = self.replace(id, update, now, probation);
        let reply = REPLACE.run(&self.link, &call, until).await;
        UpdateOutcome::of(id, update, reply)
    }

    /// The script that puts the whole record into the place of the one it was made from.
    fn replace(
        &self,
        id: SessionId,
        update: &Update,
        now: Timestamp,
        probation: Option<Duration>,
    ) -> Cmd {
        let record = update.record();
        let (arguments, size) = self.layout.sizes(record);
        let mut call = REPLACE.on(&self.names.session(id), 8 + arguments, 256 + size);
        call.arg(now.as_millis()).arg(update.epoch());
        let base = required_content(update);
        put_optional(base, &mut call);
        call.arg(probation.map_or_else(|| ttl(record, now), millis));
        put_optional(probation.map(|_| "indexed"), &mut call);
        put_principal(record.principal(), &mut call);
        call.arg(record.absolute_expiry().as_millis());
        match base {
            Some(base) if self.layout == Layout::Packed && only_version_moves(update, now) => {
                put_beginning(record, base, &mut call);
            }
            _ => drop(call.arg("")),
        }
        self.layout.put_record(record, &mut call);
        call
    }

    /// The script that merges.
    fn merge(
        &self,
        id: SessionId,
        update: &Update,
        now: Timestamp,
        probation: Option<Duration>,
    ) -> Cmd {
        let (changes, record) = (update.changes(), update.record());
        let (mut added, mut sets) = (0, 0);
        for (key, value) in changes.sets() {
            added += Values::entry_size(key, value);
            sets += 1;
        }
        // A clear removes all that is not set.
        let removes = || changes.removes().filter(|_| !changes.is_clear());
        let removed = removes().count();
        // Without its tag nobody knows whether it is there.
        let base = update.base_tag().map(|_| Content::of_base(update));
        let (arguments, size) = (22 + 2 * sets + removed, 176 + added);
        let mut call = UPDATE.on(&self.names.session(id), arguments, size);
        call.arg(now.as_millis()).arg(update.epoch());
        put_optional(Content::expected(update), &mut call);
        put_optional(base, &mut call);
        put_tag(record, &mut call);
        call.arg(update.limits().record_bytes())
            .arg(update.limits().keys());
        call.arg(millis(GRACE));
        let seen = match changes.metadata() {
            Metadata::Touched(seen) => Some(seen),
            Metadata::Replaced => Some(record.last_seen()),
            _ => None,
        };
        put_optional(seen.map(Timestamp::as_millis), &mut call);
        call.arg(added).arg(removed);
        // What `plain.lua` needs: the record results if nobody wrote meanwhile.
        let plain = base.is_some() && required_content(update).is_some() && {
            !changes.is_clear()
                && removed == 0
                && (1..=MOST_PLAIN).contains(&sets)
                && only_version_moves(update, now)
                && update
                    .limits()
                    .check(record.limited_size(), record.values().len())
                    .is_ok()
        };
        call.arg(match plain {
            true => "plain",
            false if changes.is_clear() => "clear",
            false => "",
        });
        if plain {
            call.arg("")
                .arg(Summary::State(record))
                .arg(Summary::Head(record));
        } else if changes.metadata() == Metadata::Replaced {
            call.arg(Summary::Head(record));
            put_principal(record.principal(), &mut call);
            put_optional(probation.map(millis), &mut call);
            let metadata = record.encode_metadata();
            let pieces = pieces(&metadata);
            call.arg(pieces.len());
            for piece in pieces {
                call.arg(piece);
            }
        } else {
            call.arg("");
        }
        for key in removes() {
            put_name(key, &mut call);
        }
        for (key, value) in changes.sets() {
            put_name(key, &mut call);
            put_value(value, &mut call);
        }
        call
    }
}

/// What has to be there for the record to result. `None` if the update was made from one version
/// and has to meet another.
fn required_content(update: &Update) -> Option<Content> {
    let base = update.base_version();
    update
        .expected_version()
        .is_none_or(|version| version == base)
        .then(|| Content::of_base(update))
}

/// Whether nothing that the scripts decide by changes, except the content.
fn only_version_moves(update: &Update, now: Timestamp) -> bool {
    let record = update.record();
    update.changes().metadata() == Metadata::Unchanged
        && record.epoch() == update.epoch()
        && record.is_live(now)
}

impl UpdateOutcome {
    fn of(id: SessionId, update: &Update, reply: Result<Reply, Fault>) -> Result<Self, StoreError> {
        let strange = || Fault::strange().into_write_error();
        let saved = |version, exact: bool, former| match u64::try_from(version) {
            Ok(version @ 1..) => Ok(Self::Saved {
                version,
                exact: exact && update.record().tag().is_some(),
                former,
            }),
            _ => Err(strange()),
        };
        let parts = match reply.map_err(Fault::into_write_error)? {
            Reply::Int(0) => return Ok(Self::Gone),
            Reply::Int(-3) => return Ok(Self::IndexFirst),
            Reply::Int(-4) => return Err(damaged()),
            Reply::Int(version) => return saved(version, true, None),
            Reply::Array(parts) => parts,
            _ => return Err(strange()),
        };
        let mut parts = parts.into_iter();
        match (parts.next(), parts.next(), parts.next()) {
            // Whether it can be read or not, it is a conflict. The next load tells.
            (Some(Reply::Int(-1)), Some(fresh), _) => {
                Ok(Self::Conflict(read_record(id, fresh).ok().flatten()))
            }
            (Some(Reply::Int(-2)), Some(Reply::Int(bytes)), Some(Reply::Int(keys))) => {
                let number = |n: i64| usize::try_from(n).unwrap_or(usize::MAX);
                match update.limits().check(number(bytes), number(keys)) {
                    Err(exceeded) => Err(exceeded.into()),
                    Ok(()) => Err(strange()),
                }
            }
            (Some(Reply::Int(version)), Some(former), exact) => {
                saved(version, exact.is_some(), text(former))
            }
            _ => Err(strange()),
        }
    }
}
