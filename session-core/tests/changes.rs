//! Changes are merged into whatever a store holds, or refused.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use proptest::{collection, option};
use session_core::store::{Changes, Metadata, Record, StoreError, Update, Updated, Value};
use session_core::{Codec, Lifetime, Limit, LimitExceeded, Limits, SessionId, Timestamp};

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_millis(seconds * 1_000)
}

fn json(text: &str) -> Value {
    Value::new(Codec::Json, text.to_owned())
}

/// Expires at 110 s.
fn record(entries: &[(&str, &str)]) -> Record {
    let lifetime = Lifetime::new(Duration::from_secs(10), Duration::from_secs(30)).unwrap();
    let empty = Record::new(SessionId::from_bytes([1; 16]), "id", lifetime, at(100));
    entries.iter().fold(empty, |record, (key, text)| {
        record.with_value(*key, json(text))
    })
}

fn shown(record: &Record) -> String {
    let entries = record.values().iter().map(|(key, value)| {
        let text = std::str::from_utf8(value.bytes()).unwrap();
        format!("{key}={text}")
    });
    entries.collect::<Vec<_>>().join(" ")
}

#[test]
fn none_at_all() {
    let changes = Changes::new();
    assert!(changes.keeps_values());
    assert!(!changes.is_clear());
    assert_eq!(changes.metadata(), Metadata::Unchanged);
    assert_eq!((changes.sets().count(), changes.removes().count()), (0, 0));
    let before = record(&[("a", "1")]).with_principal("user").with_version(7);
    let after = changes.apply(&before);
    assert_eq!(
        after,
        before.with_version(8),
        "but for its version it is the same"
    );
}

#[test]
fn what_they_say() {
    let changes = Changes::new()
        .set("b", json("1"))
        .remove("c")
        .set("a", json("2"))
        .set("c", json("3"))
        .remove("b")
        .set("a", json("4"));
    assert!(!changes.keeps_values());
    let sets: Vec<_> = changes
        .sets()
        .map(|(key, value)| (key, value.clone()))
        .collect();
    assert_eq!(sets, [("a", json("4")), ("c", json("3"))]);
    assert_eq!(changes.removes().collect::<Vec<_>>(), ["b"]);
    let cleared = Changes::new().clear();
    assert!(cleared.is_clear() && !cleared.keeps_values());
    let touched = Changes::new().with_metadata(Metadata::Touched(at(1)));
    assert!(touched.keeps_values());
    assert_eq!(touched.metadata(), Metadata::Touched(at(1)));
}

#[test]
fn merging_before_between_and_behind() {
    let before = record(&[("b", "1"), ("d", "2"), ("f", "3")]);
    let apply = |changes: Changes| shown(&changes.apply(&before));
    let set = |key: &str| Changes::new().set(key.to_owned(), json("9"));
    assert_eq!(apply(set("a")), "a=9 b=1 d=2 f=3");
    assert_eq!(apply(set("b")), "b=9 d=2 f=3");
    assert_eq!(apply(set("c")), "b=1 c=9 d=2 f=3");
    assert_eq!(apply(set("f")), "b=1 d=2 f=9");
    assert_eq!(apply(set("g")), "b=1 d=2 f=3 g=9");
    assert_eq!(apply(set("a").set("aa", json("8"))), "a=9 aa=8 b=1 d=2 f=3");
    assert_eq!(apply(Changes::new().remove("b")), "d=2 f=3");
    assert_eq!(
        apply(Changes::new().remove("a").remove("e").remove("g")),
        "b=1 d=2 f=3"
    );
    assert_eq!(
        apply(Changes::new().remove("d").set("e", json("5"))),
        "b=1 e=5 f=3"
    );
}

#[test]
fn clearing_keeps_only_what_is_set() {
    let before = record(&[("b", "1"), ("d", "2")]);
    let apply = |changes: Changes| shown(&changes.apply(&before));
    assert_eq!(apply(Changes::new().clear()), "");
    assert_eq!(apply(Changes::new().set("c", json("9")).clear()), "c=9");
    assert_eq!(
        apply(Changes::new().clear().set("b", json("9")).remove("d")),
        "b=9"
    );
}

#[test]
fn the_later_activity_wins() {
    let before = record(&[]);
    let touch = |seconds| Changes::new().with_metadata(Metadata::Touched(at(seconds)));
    assert_eq!(touch(105).apply(&before).last_seen(), at(105));
    assert_eq!(touch(95).apply(&before).last_seen(), at(100));
    let replaced = Changes::new()
        .with_metadata(Metadata::Replaced)
        .apply(&before);
    assert_eq!(replaced, before.with_version(2));
}

struct Case {
    expected: Option<u64>,
    epoch: u64,
    now: Timestamp,
    limits: Limits,
    base: u64,
    stored: u64,
}

impl Default for Case {
    fn default() -> Self {
        Self {
            expected: None,
            epoch: 0,
            now: at(109),
            limits: Limits::default(),
            base: 4,
            stored: 4,
        }
    }
}

/// The answer to `b=2` on a stored record that holds `a=1`, what is stored then, and the record as
/// the request leaves it.
fn applied(case: &Case) -> (Result<Updated, StoreError>, Arc<Record>, Arc<Record>) {
    let before = Arc::new(record(&[("a", "1")]).with_version(case.stored));
    let changes = Changes::new().set("b", json("2"));
    let left = Arc::new(changes.apply(&record(&[]).with_version(case.base)));
    let update = Update::new(Arc::clone(&left), changes.clone(), case.epoch)
        .with_expected_version(case.expected)
        .with_limits(case.limits);
    assert_eq!(update.base_version(), case.base);
    let mut stored = Arc::clone(&before);
    let updated = update.replace_in(&mut stored, case.now);
    match &updated {
        Ok(Updated::Saved { key, version, .. }) => {
            assert_eq!((key, *version), (&before.id().into(), stored.version()));
        }
        Ok(Updated::Conflict { current, .. }) => {
            let current = current.as_ref().unwrap();
            assert!(Arc::ptr_eq(current, &before) && Arc::ptr_eq(&stored, &before));
        }
        _ => assert!(Arc::ptr_eq(&stored, &before), "nothing was written"),
    }
    (updated, stored, left)
}

fn outcome(case: &Case) -> &'static str {
    match applied(case).0.unwrap() {
        Updated::Saved { .. } => "saved",
        Updated::Conflict { .. } => "conflict",
        _ => "gone",
    }
}

#[test]
fn an_update_of_the_very_version_is_not_copied() {
    for expected in [None, Some(4)] {
        let (updated, stored, left) = applied(&Case {
            expected,
            ..Case::default()
        });
        assert!(matches!(updated, Ok(Updated::Saved { version: 5, .. })));
        assert!(Arc::ptr_eq(&stored, &left));
    }
}

#[test]
fn an_update_of_another_version_is_merged_or_refused() {
    for (base, stored) in [(3, 4), (5, 4)] {
        let case = Case {
            base,
            stored,
            ..Case::default()
        };
        let (updated, stored, left) = applied(&case);
        assert!(matches!(updated, Ok(Updated::Saved { version: 5, .. })));
        assert!(!Arc::ptr_eq(&stored, &left));
        assert_eq!(shown(&stored), "a=1 b=2");
        assert_eq!(stored.version(), 5);
        let refused = Case {
            expected: Some(base),
            ..case
        };
        assert_eq!(outcome(&refused), "conflict");
    }
}

#[test]
fn what_has_ended_is_gone_before_all_else() {
    let over = |seconds| Case {
        now: at(seconds),
        expected: Some(99),
        ..Case::default()
    };
    assert_eq!(outcome(&over(109)), "conflict");
    assert_eq!(outcome(&over(110)), "gone");
    let renewed = Case {
        epoch: 1,
        expected: Some(99),
        ..Case::default()
    };
    assert_eq!(outcome(&renewed), "gone");
    assert_eq!(
        outcome(&Case {
            epoch: 1,
            ..Case::default()
        }),
        "gone"
    );
    assert_eq!(outcome(&over(110)), "gone");
}

#[test]
fn limits_hold_on_what_results() {
    let result = record(&[("a", "1"), ("b", "2")]);
    let case = |record_bytes, keys| Case {
        limits: Limits::default()
            .with_record_bytes(record_bytes)
            .with_keys(keys),
        base: 3,
        ..Case::default()
    };
    assert_eq!(outcome(&case(result.size(), 2)), "saved");
    let refused = |case| match applied(&case).0 {
        Err(StoreError::TooLarge(limit)) => limit,
        other => unreachable!("{other:?}"),
    };
    let (size, limit) = (result.size(), result.size() - 1);
    assert_eq!(
        refused(case(limit, 2)),
        LimitExceeded::new(Limit::RecordBytes, size, limit)
    );
    assert_eq!(
        refused(case(size, 1)),
        LimitExceeded::new(Limit::Keys, 2, 1)
    );
    let conflict = Case {
        expected: Some(3),
        ..case(0, 0)
    };
    assert_eq!(outcome(&conflict), "conflict", "limits are looked at last");
}

#[test]
fn a_base_version_is_never_negative() {
    let changes = Changes::new();
    let limits = Limits::default();
    for (version, base) in [(0, 0), (1, 0), (2, 1)] {
        let record = Arc::new(record(&[]).with_version(version));
        let update = Update::new(Arc::clone(&record), changes.clone(), 0).with_limits(limits);
        assert_eq!(update.base_version(), base);
    }
}

proptest! {
    /// Against the plainest model there is: a sorted map.
    #[test]
    fn merging_is_what_a_map_would_do(
        stored in collection::btree_map(0_u8..20, 0_u8..9, 0..12),
        changed in collection::vec((0_u8..20, option::of(0_u8..9)), 0..12),
        clear in any::<bool>(),
    ) {
        let name = |key: &u8| format!("{key:02}");
        let before = stored.iter().fold(record(&[]), |record, (key, n)| {
            record.with_value(name(key), json(&n.to_string()))
        });
        let mut model = if clear { Default::default() } else { stored.clone() };
        let mut changes = Changes::new();
        if clear {
            changes = changes.clear();
        }
        for (key, n) in &changed {
            (changes, _) = match n {
                Some(n) => (changes.set(name(key), json(&n.to_string())), model.insert(*key, *n)),
                None => (changes.remove(name(key)), model.remove(key)),
            };
        }
        let expected: Vec<_> = model.iter().map(|(key, n)| format!("{}={n}", name(key))).collect();
        prop_assert_eq!(shown(&changes.apply(&before)), expected.join(" "));
    }
}
