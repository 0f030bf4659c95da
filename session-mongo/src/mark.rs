//! How the end of a session is kept: a small document in the place of the session's, for a minute.

use mongodb::bson::{DateTime, Document, doc};
use session_core::{EndReason, Ended, Record, SessionId, Timestamp};

use crate::document::date;

/// The fields of a mark after `_id`. It has none that belongs to the session, and no principal, so
/// the index of principals does not hold it. It has no grace: late requests are known by it for as
/// long as the clocks agree.
pub(crate) fn fields(ended: Ended) -> Document {
    // When it is over does not depend on the id.
    let over = date(ended.mark(SessionId::from_bytes([0; 16])).expires());
    doc! {
        "ended": name(ended.reason),
        "at": date(ended.at),
        "ends": over,
        "expires": over,
    }
}

/// What stands for a session of this id that has ended: who sees only that takes it for one that
/// ended long ago.
pub(crate) fn read(id: SessionId, ended: &str, at: Option<DateTime>) -> Record {
    let at = at.and_then(|at| u64::try_from(at.timestamp_millis()).ok());
    let at = Timestamp::from_millis(at.unwrap_or_default());
    Ended::new(reason(ended), at).mark(id)
}

/// What no mark matches. A session may be damaged in any way, and matches.
pub(crate) fn none() -> Document {
    doc! { "$not": { "$type": "string" } }
}

const NAMES: [(EndReason, &str); 5] = [
    (EndReason::Destroyed, "destroyed"),
    (EndReason::Exchanged, "exchanged"),
    (EndReason::Revoked, "revoked"),
    (EndReason::TooMany, "too many"),
    (EndReason::Reused, "reused"),
];

fn name(reason: EndReason) -> &'static str {
    let known = NAMES.iter().find(|(known, _)| *known == reason);
    known.map_or("revoked", |(_, name)| name)
}

/// A newer version of this program may know more of them.
fn reason(name: &str) -> EndReason {
    let known = NAMES.iter().find(|(_, known)| *known == name);
    known.map_or(EndReason::Revoked, |(reason, _)| *reason)
}
