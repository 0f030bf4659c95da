//! What is sealed, opened and kept.
#![allow(clippy::unwrap_used, reason = "these are tests")]

use super::*;
use crate::crypto::KeyRing;
use crate::record::{Codec, Lifetime};

const NOW: Timestamp = Timestamp::from_millis(1_000);

fn sealing(settings: &ValueSealing) -> Sealing {
    Sealing::new(Some(settings), &ByteString::from_static("id"))
}

fn ring(first: u8) -> KeyRing {
    KeyRing::new([first; 32]).unwrap()
}

fn value(text: &str) -> Value {
    Codec::Json.encode(text).unwrap()
}

fn record() -> Record {
    let id = SessionId::from_bytes([7; 16]);
    let record = Record::new(id, "id", Lifetime::default(), NOW);
    record
        .with_value("a", value("one"))
        .with_value("b", value("two"))
}

/// As a store hands it out: nothing but its bytes.
fn stored(record: &Record) -> Arc<Record> {
    Arc::new(Record::decode(record.encode()).unwrap())
}

/// Where the opened bytes of a value are.
fn place(opened: &Record) -> *const u8 {
    opened.values.get("a").unwrap().bytes().as_ptr()
}

#[test]
fn values_are_opened_once_for_each_manager() {
    let settings = ValueSealing::new(ring(1));
    let one = sealing(&settings);
    let stored = stored(&one.sealed(&record()).unwrap());
    let first = one.open(Arc::clone(&stored)).unwrap();
    let again = one.open(Arc::clone(&stored)).unwrap();
    assert_eq!(first.values, record().values);
    assert_eq!(place(&first), place(&again));
    // A touch has the same values, and a change has not.
    let touch = Changes::new().apply(&stored);
    assert_eq!(place(&one.open(Arc::new(touch)).unwrap()), place(&first));
    let changed = Changes::new().remove("b").apply(&stored);
    assert_ne!(place(&one.open(Arc::new(changed)).unwrap()), place(&first));
    let other = sealing(&settings).open(Arc::clone(&stored)).unwrap();
    assert_ne!(place(&other), place(&first));
    assert_eq!(other.values, first.values);
}

#[test]
fn what_one_manager_has_opened_is_refused_by_a_stricter_one() {
    let lenient = sealing(&ValueSealing::new(ring(1)));
    let sealed = lenient.sealed(&record()).unwrap();
    let mixed = Arc::new(Changes::new().set("a", value("plain")).apply(&sealed));
    assert!(lenient.open(Arc::clone(&mixed)).is_ok());
    for other in [
        ValueSealing::new(ring(1)).sealed_only(),
        ValueSealing::new(ring(2)),
    ] {
        assert!(sealing(&other).open(Arc::clone(&mixed)).is_err());
    }
    let keyless = Sealing::new(None, &ByteString::from_static("id"));
    assert!(keyless.open(Arc::clone(&mixed)).is_err());
    // The same values under another id are not those of that session.
    let mut moved = (*mixed).clone();
    moved.id = SessionId::from_bytes([8; 16]);
    assert!(lenient.open(Arc::new(moved)).is_err());
}

#[test]
fn what_is_written_need_not_be_opened() {
    let one = sealing(&ValueSealing::new(ring(1)));
    let record = record();
    let sealed = one.sealed(&record).unwrap();
    let opened = one.open(Arc::clone(&sealed)).unwrap();
    assert_eq!(place(&opened), place(&record));

    let changes = Changes::new().set("b", value("three"));
    let after = Arc::new(changes.apply(&opened));
    let update = Update::new(Arc::clone(&after), changes, opened.epoch);
    let written = one.sealed_update(&update).unwrap();
    let opened = one.open(Arc::clone(written.record())).unwrap();
    assert_eq!(
        (place(&opened), &opened.values),
        (place(&after), &after.values)
    );
    let shown = format!("{:?}{:?}", written.record(), written.record().values);
    assert!(!shown.contains("three"));
    let bytes = written.record().encode();
    assert!(!bytes.windows(5).any(|part| part == b"three"));
}

/// A store may check what it writes, whatever version it meets.
#[test]
fn a_store_has_room_for_what_a_session_holds_from_before() {
    let one = sealing(&ValueSealing::new(ring(1)));
    let old = Limits::default().with_record_bytes(100).with_keys(1);
    let base = one.open(stored(&record())).unwrap();
    let changes = Changes::new().set("a", value("two")).set("b", value("one"));
    let after = Arc::new(changes.apply(&base));
    let update = Update::new(after, changes, base.epoch).with_limits(old);
    let written = one.sealed_update(&update).unwrap();
    let limits = written.limits();
    assert_eq!(limits.record_bytes(), written.record().limited_size());
    assert_eq!(written.expected_version(), Some(base.version));
}

/// The stored bytes of `a` after a renewal that changes nothing of it.
fn renewed(sealing: &Sealing, base: &Arc<Record>) -> Vec<u8> {
    let opened = sealing.open(Arc::clone(base)).unwrap();
    let mut after = Changes::new().apply(&opened);
    after.epoch += 1;
    let changes = Changes::new().with_metadata(crate::store::Metadata::Replaced);
    let update = Update::new(Arc::new(after), changes, opened.epoch);
    let written = sealing.sealed_update(&update).unwrap();
    written.record().values.get("a").unwrap().bytes().to_vec()
}

#[test]
fn a_renewal_writes_what_is_not_of_the_newest_key() {
    let one = sealing(&ValueSealing::new(ring(1)));
    let base = stored(&one.sealed(&record()).unwrap());
    let bytes = base.values.get("a").unwrap().bytes().to_vec();
    assert_eq!(renewed(&one, &base), bytes);
    let newer = ring(2).with_older([1; 32]).unwrap();
    let newer = sealing(&ValueSealing::new(newer));
    let after = renewed(&newer, &base);
    assert_ne!(after[1..5], bytes[1..5], "it is of another key");
    let plain = stored(&record());
    assert_ne!(
        renewed(&one, &plain),
        plain.values.get("a").unwrap().bytes()
    );
    let ending = sealing(&ValueSealing::new(ring(1)).writing_plain());
    assert_eq!(renewed(&ending, &base), value("one").bytes());
}
