//! An update: as a call of the script that merges, or of the one that replaces; and what became of
//! it.

use std::sync::Arc;

use redis::{Cmd, Value as Reply};
use session_core::{Limits, Metadata, Record, SessionId, StoreError, Timestamp, Update, Values};
use tokio::time::Instant;

use crate::fault::Fault;
use crate::layout::fields::{self, Told};
use crate::layout::{self, Layout, Parts, packed};
use crate::link::Twice;
use crate::script::{REPLACE, UPDATE};
use crate::store::{GRACE, Inner, LONGEST, strange, text, ttl};

/// So many values are set by one call of a command.
const MOST_PLAIN: usize = 400;

/// What became of an update.
pub(crate) enum Answer {
    Saved {
        version: u64,
        former: Option<String>,
    },
    Conflict(Option<Arc<Record>>),
    Gone,
    /// The principal is not in its index yet.
    IndexFirst,
}

impl Inner {
    /// Once the principal is indexed, `probation` is the time that the session lives until it is
    /// confirmed.
    pub(crate) async fn update(
        &self,
        id: SessionId,
        update: &Update<'_>,
        now: Timestamp,
        probation: Option<u64>,
        until: Instant,
    ) -> Result<Answer, StoreError> {
        if self.layout == Layout::Fields {
            let call = self.merge(id, update, now, probation);
            match UPDATE.run(&self.link, &call, Twice::Never, until).await {
                // What is packed cannot be merged; it moves.
                Err(Fault::WrongType) => {}
                reply => return Answer::of(id, update.limits, reply.map_err(Fault::of_write)?),
            }
        }
        let call = self.replace(id, update, now, probation);
        let reply = REPLACE.run(&self.link, &call, Twice::Never, until).await;
        Answer::of(id, update.limits, reply.map_err(Fault::of_write)?)
    }

    /// An update as a call of the script that puts the whole record into the place of the one it
    /// was made from.
    fn replace(
        &self,
        id: SessionId,
        update: &Update<'_>,
        now: Timestamp,
        probation: Option<u64>,
    ) -> Cmd {
        let record = update.record;
        let (arguments, size) = self.layout.sizes(record);
        let mut call = REPLACE.on(&self.names.session(id), 8 + arguments, 256 + size);
        call.arg(now.as_millis()).arg(update.epoch);
        let base = made_from(update);
        match base {
            Some(base) => call.arg(base),
            None => call.arg(""),
        };
        call.arg(probation.unwrap_or_else(|| ttl(record, now)));
        call.arg(if probation.is_some() { "indexed" } else { "" });
        put_principal(record.principal(), &mut call);
        call.arg(record.deadline().as_millis());
        match base {
            Some(base) if self.layout == Layout::Packed && keeps_what_decides(update, now) => {
                packed::put_beginning(record, base, &mut call);
            }
            _ => drop(call.arg("")),
        }
        self.layout.put_record(record, &mut call);
        call
    }

    /// An update as a call of the script that merges.
    fn merge(
        &self,
        id: SessionId,
        update: &Update<'_>,
        now: Timestamp,
        probation: Option<u64>,
    ) -> Cmd {
        let changes = update.changes;
        let replaced = changes.metadata() == Metadata::Replaced;
        let seen = match changes.metadata() {
            Metadata::Touched(seen) => Some(seen),
            _ if replaced => Some(update.record.last_seen()),
            _ => None,
        };
        let (mut added, mut sets) = (0, 0);
        for (key, value) in changes.sets() {
            added += Values::entry_size(key, value);
            sets += 1;
        }
        // A clear takes all that is not set.
        let removes = || changes.removes().filter(|_| !changes.is_clear());
        let removed = removes().count();
        let mut call = UPDATE.on(
            &self.names.session(id),
            20 + 2 * sets + removed,
            128 + added,
        );
        call.arg(now.as_millis()).arg(update.epoch);
        match update.expected {
            Some(version) => call.arg(version),
            None => call.arg(""),
        };
        call.arg(update.limits.record_bytes).arg(update.limits.keys);
        call.arg(u64::try_from(GRACE.as_millis()).unwrap_or(LONGEST));
        match seen {
            Some(seen) => call.arg(seen.as_millis()),
            None => call.arg(""),
        };
        call.arg(added).arg(removed);
        let record = update.record;
        let base = made_from(update);
        // The record is what results, if nobody wrote meanwhile.
        let plain = base.filter(|_| {
            !changes.is_clear()
                && removed == 0
                && (1..=MOST_PLAIN).contains(&sets)
                && keeps_what_decides(update, now)
                && update
                    .limits
                    .check(record.limited_size(), record.values().len())
                    .is_ok()
        });
        call.arg(match plain {
            Some(_) => "plain",
            None if changes.is_clear() => "clear",
            None => "",
        });
        if let Some(base) = plain {
            call.arg("").arg(Told::StateBefore(record, base));
            call.arg(Told::State(record)).arg(Told::Head(record));
        } else if replaced {
            call.arg(Told::Head(record));
            put_principal(record.principal(), &mut call);
            match probation {
                Some(ttl) => call.arg(ttl),
                None => call.arg(""),
            };
            let metadata = record.encode_metadata();
            let pieces = fields::pieces(&metadata);
            call.arg(pieces.len());
            for piece in pieces {
                call.arg(piece);
            }
        } else {
            call.arg("");
        }
        for key in removes() {
            fields::put_name(key, &mut call);
        }
        for (key, value) in changes.sets() {
            fields::put_name(key, &mut call);
            fields::put_value(value, &mut call);
        }
        call
    }
}

/// The version that has to be there for the record to result. Made from one and to meet another:
/// none is both.
fn made_from(update: &Update<'_>) -> Option<u64> {
    let base = update.base_version();
    update
        .expected
        .is_none_or(|version| version == base)
        .then_some(base)
}

/// Whether only the version changes of what the scripts decide by.
fn keeps_what_decides(update: &Update<'_>, now: Timestamp) -> bool {
    let record = update.record;
    update.changes.metadata() == Metadata::Unchanged
        && record.epoch() == update.epoch
        && record.is_live(now)
}

/// Adds the principal behind a `p`, so that none is told from one without a name.
pub(crate) fn put_principal(principal: Option<&str>, call: &mut Cmd) {
    match principal {
        Some(principal) => call.arg(Parts([b"p", principal.as_bytes()])),
        None => call.arg(""),
    };
}

impl Answer {
    fn of(id: SessionId, limits: &Limits, reply: Reply) -> Result<Self, StoreError> {
        let saved = |version, former| match u64::try_from(version) {
            Ok(version @ 1..) => Ok(Answer::Saved { version, former }),
            _ => Err(strange()),
        };
        let parts = match reply {
            Reply::Int(0) => return Ok(Answer::Gone),
            Reply::Int(-3) => return Ok(Answer::IndexFirst),
            Reply::Int(-4) => {
                return Err(StoreError::corrupt(
                    "a field of the metadata is not what was written",
                ));
            }
            Reply::Int(version) => return saved(version, None),
            Reply::Array(parts) => parts,
            _ => return Err(strange()),
        };
        let mut parts = parts.into_iter();
        match (parts.next(), parts.next(), parts.next()) {
            // Unreadable or not, it is a conflict; who loads again will see.
            (Some(Reply::Int(-1)), Some(fresh), _) => Ok(Answer::Conflict(
                layout::read_record(id, fresh).ok().flatten(),
            )),
            (Some(Reply::Int(-2)), Some(Reply::Int(bytes)), Some(Reply::Int(keys))) => {
                let number = |n: i64| usize::try_from(n).unwrap_or(usize::MAX);
                match limits.check(number(bytes), number(keys)) {
                    Err(exceeded) => Err(exceeded.into()),
                    Ok(()) => Err(strange()),
                }
            }
            (Some(Reply::Int(version)), Some(former), _) => saved(version, text(former)),
            _ => Err(strange()),
        }
    }
}
