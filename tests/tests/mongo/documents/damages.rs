//! What another program may do to a session.

use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Bson, DateTime, Document, doc};

use super::bench::{Bench, Corrupt, Done, Outcome, Refused};
use session_core::SessionId;

/// What another program did to a session, and what `load`, a versioned update, an update and a
/// clear then come to.
pub(super) struct Damage {
    pub(super) name: &'static str,
    pub(super) done: Document,
    pub(super) load: Outcome,
    pub(super) updates: [Outcome; 3],
}

impl Damage {
    pub(super) fn put(&self, bench: &Bench, id: SessionId) {
        bench.change(id, self.done.clone());
    }
}

pub(super) fn bytes(bytes: &[u8]) -> Bson {
    Bson::Binary(Binary {
        subtype: BinarySubtype::Generic,
        bytes: bytes.to_vec(),
    })
}

const LONG_AGO: DateTime = DateTime::from_millis(1_000);

fn without(name: &'static str, field: &str, updates: [Outcome; 3]) -> Damage {
    let done = doc! { "$unset": { field: "" } };
    Damage {
        name,
        done,
        load: Corrupt,
        updates,
    }
}

fn with(name: &'static str, field: &str, value: impl Into<Bson>, updates: [Outcome; 3]) -> Damage {
    let done = doc! { "$set": { field: value.into() } };
    Damage {
        name,
        done,
        load: Corrupt,
        updates,
    }
}

/// One that a reader does not notice.
fn harmless(name: &'static str, done: Document) -> Damage {
    Damage {
        name,
        done,
        load: Done,
        updates: [Done; 3],
    }
}

/// The server looks at `_id`, the end, the epoch, and where it must the version. Where these are as
/// they should be it writes what it can; otherwise the document is read, and cannot be.
pub(super) fn damages() -> Vec<Damage> {
    let read = [Corrupt; 3];
    let not_looked_at = [Done; 3];
    vec![
        harmless("nothing", doc! { "$set": { "seen_by": "another program" } }),
        harmless("without created", doc! { "$unset": { "created": "" } }),
        harmless("without expires", doc! { "$unset": { "expires": "" } }),
        harmless("without tag", doc! { "$unset": { "tag": "" } }),
        harmless("tag as text", doc! { "$set": { "tag": "1" } }),
        harmless("tags", doc! { "$set": { "tag": [1_i64, 2_i64] } }),
        harmless("another tag", doc! { "$set": { "tag": 7_i64 } }),
        harmless(
            "without sizes",
            doc! { "$unset": { "size": "", "keys": "" } },
        ),
        harmless(
            "sizes of another type",
            doc! { "$set": { "size": "much", "keys": {} } },
        ),
        harmless(
            "sizes that are none",
            doc! { "$set": { "size": f64::NAN, "keys": f64::NEG_INFINITY } },
        ),
        harmless(
            "the smallest size",
            doc! { "$set": { "size": i64::MIN, "keys": i64::MIN } },
        ),
        harmless(
            "the largest size",
            doc! { "$set": { "size": i64::MAX, "keys": i64::MAX } },
        ),
        with("size as array", "size", vec![0], [Done, Done, Done]),
        with("keys as array", "keys", vec![0], [Done, Done, Done]),
        without("without v", "v", [Corrupt, Corrupt, Corrupt]),
        without("without seen", "seen", not_looked_at),
        without("without ends", "ends", read),
        without("without epoch", "epoch", read),
        without("without deadline", "deadline", not_looked_at),
        without("without idle", "idle", not_looked_at),
        without("without meta", "meta", not_looked_at),
        without("without data", "data", not_looked_at),
        without("without principal", "principal", not_looked_at),
        with("v as Int32", "v", 1_i32, [Done, Done, Done]),
        with("v as double", "v", 1.0, [Done, Done, Done]),
        with("v as text", "v", "1", [Corrupt, Corrupt, Corrupt]),
        with("v below zero", "v", -7_i64, [Corrupt, Corrupt, Corrupt]),
        with("the largest v", "v", i64::MAX, [Corrupt, Refused, Refused]),
        with("seen as text", "seen", "now", not_looked_at),
        with("another time seen", "seen", LONG_AGO, not_looked_at),
        with("ends as number", "ends", i64::MAX, read),
        with("ends long ago", "ends", LONG_AGO, read),
        with("ends never", "ends", DateTime::MAX, not_looked_at),
        with("epoch as text", "epoch", "0", read),
        with("another epoch", "epoch", 7_i64, read),
        with("deadline long ago", "deadline", LONG_AGO, not_looked_at),
        with("another idle time", "idle", 1_i64, not_looked_at),
        with("another principal", "principal", "user:2", not_looked_at),
        with("principal as number", "principal", 1, not_looked_at),
        with("an empty meta", "meta", bytes(b""), not_looked_at),
        with(
            "another meta",
            "meta",
            bytes(b"\x01nonsense"),
            not_looked_at,
        ),
        with("meta as text", "meta", "text", not_looked_at),
        with("data as text", "data", "text", [Corrupt, Corrupt, Done]),
        with(
            "data as array",
            "data",
            Bson::Array(vec![]),
            [Corrupt, Corrupt, Done],
        ),
        with("data as null", "data", Bson::Null, [Corrupt, Corrupt, Done]),
        with("a value as number", "data.b", 2, not_looked_at),
        with(
            "a value as document",
            "data.b",
            doc! { "n": 2 },
            not_looked_at,
        ),
        with(
            "a value as array",
            "data.b",
            Bson::Array(vec![2.into()]),
            not_looked_at,
        ),
        with("a value as null", "data.b", Bson::Null, not_looked_at),
        with(
            "a value without a codec",
            "data.b",
            bytes(b""),
            not_looked_at,
        ),
        with(
            "a value of no codec",
            "data.b",
            bytes(b"\xff1"),
            not_looked_at,
        ),
        with("a name of no key", "data.%2e", "1", not_looked_at),
        with("a second name of a key", "data.b%24", "1", not_looked_at),
        Damage {
            name: "seen and ended long ago",
            done: doc! { "$set": { "ends": LONG_AGO, "seen": LONG_AGO } },
            load: Corrupt,
            updates: read,
        },
        Damage {
            name: "a document of another program",
            done: doc! { "$unset": {
                "v": "", "tag": "",
                "size": "", "keys": "", "seen": "", "ends": "", "expires": "", "epoch": "",
                "created": "", "deadline": "", "idle": "", "meta": "", "principal": "", "data": "",
            } },
            load: Corrupt,
            updates: read,
        },
    ]
}

/// Whether the server counts it among those of the principal.
pub(super) fn is_listed(document: &Document) -> bool {
    document
        .get_str("principal")
        .is_ok_and(|principal| principal == super::bench::OWNER)
}
