//! The mark of a session that has ended: a small document that takes the place of the session's for
//! a minute, so that a late request is known as one.
//!
//! A mark is a document of its own form. It holds nothing of its session except `_id`, so one
//! `update` can put marks in the place of all sessions of a principal. It has no principal, so the
//! index of principals does not hold it. It has no grace: the server may remove it once it is over.

use mongodb::bson::{DateTime, Document, doc};
use session_core::store::Record;
use session_core::{EndReason, Ended, SessionId, Timestamp};

use crate::bson::{date, timestamp};

/// The fields of a mark, without `_id`.
pub(crate) fn fields(ended: Ended) -> Document {
    // When a mark is over does not depend on the id.
    let over = date(ended.mark(SessionId::from_bytes([0; 16])).expires_at());
    doc! {
        "ended": name(ended.reason),
        "at": date(ended.at),
        "ends": over,
        "expires": over,
    }
}

/// The record that a mark stands for. A mark without a time counts as one that is long over.
pub(crate) fn read(id: SessionId, ended: &str, at: Option<DateTime>) -> Record {
    let at = at.and_then(timestamp);
    Ended::new(reason(ended), at.unwrap_or(Timestamp::from_millis(0))).mark(id)
}

/// The condition on `ended` that no mark meets. Every session meets it, however damaged it is.
pub(crate) fn absent() -> Document {
    doc! { "$not": { "$type": "string" } }
}

const NAMES: [(EndReason, &str); 5] = [
    (EndReason::Destroyed, "destroyed"),
    (EndReason::Exchanged, "exchanged"),
    (EndReason::Revoked, "revoked"),
    (EndReason::TooMany, "too many"),
    (EndReason::Reused, "reused"),
];

/// A reason that this version does not know is kept, and read, as a revocation.
fn name(reason: EndReason) -> &'static str {
    let known = NAMES.iter().find(|(known, _)| *known == reason);
    known.map_or("revoked", |(_, name)| name)
}

fn reason(name: &str) -> EndReason {
    let known = NAMES.iter().find(|(_, known)| *known == name);
    known.map_or(EndReason::Revoked, |(reason, _)| *reason)
}
