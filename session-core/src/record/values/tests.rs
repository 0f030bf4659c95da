//! Values under changes, against plain lists.
#![allow(clippy::unwrap_used, reason = "these are tests")]

use super::*;
use crate::record::{Codec, Lifetime, Record, SessionId};
use crate::time::Timestamp;

fn json(text: &str) -> Value {
    Value::new(Codec::Json, text.to_owned())
}

fn entries(list: &[(&str, &str)]) -> Values {
    list.iter()
        .map(|(key, text)| ((*key).into(), json(text)))
        .collect()
}

#[test]
fn of_one_key_the_last_value_stays() {
    let values = entries(&[
        ("b", "1"),
        ("a", "2"),
        ("b", "33"),
        ("a", "4"),
        ("b", "555"),
    ]);
    assert_eq!(values, entries(&[("a", "4"), ("b", "555")]));
    let list: Vec<_> = values
        .iter()
        .map(|(key, value)| (key, value.bytes()))
        .collect();
    assert_eq!(list, [("a", &b"4"[..]), ("b", b"555")]);
}

#[test]
fn keys_are_sorted_by_their_bytes() {
    let values = entries(&[("é", "1"), ("z", "1"), ("", "1"), ("Z", "1"), ("zz", "1")]);
    let keys: Vec<_> = values.iter().map(|(key, _)| key).collect();
    assert_eq!(keys, ["", "Z", "z", "zz", "é"]);
}

#[test]
fn lookups() {
    let values = entries(&[("a", "1"), ("c", "3")]);
    assert_eq!(values.len(), 2);
    assert!(!values.is_empty());
    assert!(Values::default().is_empty());
    assert_eq!(Values::default().len(), 0);
    assert_eq!(values.get("a"), Some(&json("1")));
    assert_eq!(values.get("b"), None);
    assert_eq!(values.get("c"), Some(&json("3")));
    assert_eq!(values.iter().count(), 2);
    let stored = values.key("c").unwrap();
    assert_eq!(stored.as_ptr(), values.iter().nth(1).unwrap().0.as_ptr());
    assert_eq!(values.key("b"), None);
}

/// Against a plain list, whatever the changes are and however they are laid over each other.
#[test]
fn changes_come_out_as_in_a_plain_list() {
    let mut number = 1_u32;
    let mut draw = |below: u32| {
        number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (number >> 16) % below
    };
    let (mut overlaid, mut compact) = (0, 0);
    for round in 0..500 {
        let mut plain: std::collections::BTreeMap<String, Value> = (0..draw(12))
            .map(|n| (format!("key-{n}"), json(&"1".repeat(draw(30) as usize))))
            .collect();
        let mut values: Values = plain
            .iter()
            .map(|(key, value)| (key.as_str().into(), value.clone()))
            .collect();
        for _ in 0..10 {
            let changes: std::collections::BTreeMap<_, _> = (0..draw(4))
                .map(|_| {
                    let value = (draw(3) > 0).then(|| json(&"2".repeat(draw(30) as usize)));
                    (format!("key-{}", draw(14)), value)
                })
                .collect();
            for (key, value) in &changes {
                match value {
                    Some(value) => drop(plain.insert(key.clone(), value.clone())),
                    None => drop(plain.remove(key)),
                }
            }
            let changes: Vec<Change> = changes
                .into_iter()
                .map(|(key, value)| (key.into(), value))
                .collect();
            let before = values
                .iter()
                .map(|(key, value)| (key.to_owned(), value.clone()))
                .collect::<Vec<_>>();
            let after = values.with(&changes);
            assert!(
                values
                    .iter()
                    .eq(before.iter().map(|(key, value)| (&**key, value))),
                "{round}: the old one stays"
            );
            values = after;
            assert!(
                values
                    .iter()
                    .eq(plain.iter().map(|(key, value)| (&**key, value))),
                "{round}"
            );
            let anew = Values::from_iter(
                plain
                    .iter()
                    .map(|(key, value)| (key.as_str().into(), value.clone())),
            );
            assert_eq!(
                (values.len(), values.size()),
                (anew.len(), anew.size()),
                "{round}"
            );
            assert!(values == anew, "{round}");
            assert!(anew == values, "{round}");
            for n in 0..14 {
                let key = format!("key-{n}");
                assert_eq!(values.get(&key), plain.get(&key), "{round}");
                assert_eq!(
                    values.key(&key).map(|key| &**key),
                    plain.get_key_value(&key).map(|(key, _)| &**key)
                );
            }
            assert!(
                values.hidden <= values.size() && values.overlay.len() * 2 <= values.base().len()
            );
            *if values.overlay.is_empty() {
                &mut compact
            } else {
                &mut overlaid
            } += 1;
        }
    }
    assert!(overlaid > 500 && compact > 500, "{overlaid} {compact}");
}

#[test]
fn one_change_of_many_copies_one() {
    let keys: Vec<_> = (0..64).map(|n| format!("key-{n:02}")).collect();
    let values = entries(
        &keys
            .iter()
            .map(|key| (key.as_str(), "1"))
            .collect::<Vec<_>>(),
    );
    let after = values.with(&[("key-07".into(), Some(json("2")))]);
    assert!(Arc::ptr_eq(
        values.base.as_ref().unwrap(),
        after.base.as_ref().unwrap()
    ));
    assert_eq!(after.overlay.len(), 1);
    // Nothing large is held on to that nobody can see.
    let heavy = after.with(&[("key-08".into(), Some(json(&"1".repeat(100_000))))]);
    let compact = heavy.with(&[]).with(&[("key-08".into(), None)]);
    assert_eq!(
        (compact.len(), compact.size()),
        (63, after.size() - Values::entry_size("key-08", &json("1")))
    );
}

/// What a request has replaced or removed is nobody's any more.
#[test]
fn a_large_value_that_was_replaced_is_not_held_on_to() {
    let large = bytes::Bytes::from("1".repeat(500_000));
    let values: Values = [
        ("large".into(), Value::new(Codec::Json, large.clone())),
        ("small".into(), json("1")),
    ]
    .into_iter()
    .collect();
    let mut after = values.with(&[("large".into(), Some(json(&"2".repeat(500_000))))]);
    drop(values);
    for round in 0..100 {
        let next = format!("{round}{}", "3".repeat(500_000));
        after = after.with(&[("large".into(), Some(json(&next)))]);
    }
    assert!(
        large.is_unique(),
        "{} bytes are hidden, {} visible",
        after.hidden,
        after.bytes
    );
}

/// What is removed again, or was never there, hides no entry, so nothing of it stays.
#[test]
fn a_removal_leaves_nothing_where_there_is_nothing_to_hide() {
    let base = entries(&[("a", "1"), ("b", "2"), ("c", "3"), ("d", "4")]);
    let added = base.with(&[("new".into(), Some(json("5")))]);
    assert_eq!(added.overlay.len(), 1);
    for removed in [&base, &added].map(|values| values.with(&[("new".into(), None)])) {
        assert!(removed.overlay.is_empty(), "{:?}", removed.overlay);
        assert!(Arc::ptr_eq(
            removed.base.as_ref().unwrap(),
            base.base.as_ref().unwrap()
        ));
        assert_eq!((removed.size(), removed), (base.size(), base.clone()));
    }
}

#[test]
fn sizes_are_summed() {
    assert_eq!(Values::entry_size("key", &json("12345")), 3 + 5 + 9);
    assert_eq!(Values::entry_size("", &json("")), 9);
    assert_eq!(Values::default().size(), 0);
    assert_eq!(entries(&[("a", "1")]).size(), 11);
    assert_eq!(
        entries(&[("a", "1"), ("b", "22"), ("b", "333")]).size(),
        11 + 13
    );
}

#[test]
fn decoding_reserves_room_once() {
    let id = SessionId::from_bytes([0; 16]);
    let mut record = Record::new(id, "id", Lifetime::default(), Timestamp::from_millis(0));
    for key in ["a", "b", "c", "d", "e"] {
        record = record.with_value(key, json("1"));
    }
    let again = Record::decode(record.encode()).unwrap();
    assert_eq!(again.values().base.as_ref().unwrap().capacity(), 5);
    // Only as many entries as the bytes can hold, whatever their number says.
    let empty = record.encode_metadata();
    let mut forged = empty.clone();
    forged.push(2);
    forged.extend_from_slice(b"\x00\x00\x00\x01a\x00\x00");
    assert_eq!(
        Record::decode(forged)
            .unwrap()
            .values()
            .base
            .as_ref()
            .unwrap()
            .capacity(),
        2
    );
}
