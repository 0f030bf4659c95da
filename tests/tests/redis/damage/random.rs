//! Random bytes in random fields.

use std::cell::RefCell;
use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_assert, prop_oneof};
use proptest::test_runner::TestRunner;
use session_tests::cases;
use session_tests::servers::Engine;

use super::bench::{Bench, Done, TooLarge, key, set};

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let number = prop_oneof![
        any::<u64>().prop_map(|n| n.to_string()),
        "[0-9]{0,25}",
        "-?[0-9.e+]{1,5}"
    ];
    let numbers = vec(number, 0..6).prop_map(|numbers| numbers.join(" ").into_bytes());
    prop_oneof![vec(any::<u8>(), 0..120), numbers]
}

fn field() -> impl Strategy<Value = Vec<u8>> {
    let known = |name: &'static str| Just(name.as_bytes().to_vec());
    prop_oneof![
        known("m"),
        known("s"),
        known("h"),
        known("p"),
        known(".a"),
        vec(any::<u8>(), 0..4).prop_map(|rest| [b".", &rest[..]].concat()),
        vec(any::<u8>(), 0..4),
    ]
}

/// What becomes of a field.
#[derive(Clone, Debug)]
enum Damage {
    Other(Vec<u8>),
    /// One byte more, somewhere.
    More(usize, u8),
    /// One byte less.
    Less(usize),
}

fn damage() -> impl Strategy<Value = Damage> {
    let byte = prop_oneof![
        any::<u8>(),
        Just(b'0'),
        Just(b'+'),
        Just(b'-'),
        Just(b' '),
        b'1'..=b'9'
    ];
    prop_oneof![
        bytes().prop_map(Damage::Other),
        (0..24_usize, byte).prop_map(|(at, byte)| Damage::More(at, byte)),
        (0..24_usize).prop_map(Damage::Less),
    ]
}

impl Damage {
    fn of(&self, mut content: Vec<u8>) -> Vec<u8> {
        let length = content.len();
        match self {
            Self::Other(bytes) => return bytes.clone(),
            Self::More(at, byte) => content.insert(at % (length + 1), *byte),
            Self::Less(_) if length == 0 => {}
            Self::Less(at) => drop(content.remove(at % length)),
        }
        content
    }
}

#[test]
fn random_bytes_in_random_fields_do_no_harm() {
    let bench = RefCell::new(Bench::new(Engine::Redis7));
    let outcomes = RefCell::new(BTreeMap::new());
    let damage = (vec((field(), damage()), 1..4), any::<bool>(), any::<bool>());
    let ran = TestRunner::new(cases(3_000)).run(&damage, |(fields, exact, clear)| {
        let mut bench = bench.borrow_mut();
        let record = bench.create();
        let (id, key) = (record.id(), key(record.id()));
        for (name, damage) in &fields {
            let before: Option<Vec<u8>> = bench.run("HGET", (&key, name));
            bench.run::<()>("HSET", (&key, name, damage.of(before.unwrap_or_default())));
        }
        let changes = if clear { set().clear() } else { set() };
        // What can be read can be written, as it was read: nobody else has written.
        let found = bench.find(id);
        let base = found.clone().ok().flatten().unwrap_or(record);
        let updated = bench.update(&base, &changes, exact);
        let loaded = found.map(|found| found.is_some());
        if loaded == Ok(true) {
            prop_assert!(
                matches!(updated, Done | TooLarge),
                "it can be read, and then: {updated:?}"
            );
        }
        *outcomes
            .borrow_mut()
            .entry(format!("{loaded:?}"))
            .or_insert(0) += 1;
        let _ = bench.list();
        bench.delete(id);
        bench.delete_all();
        Ok(())
    });
    ran.unwrap();
    // Each of the three has been seen: read, absent, corrupt.
    let outcomes = outcomes.into_inner();
    assert!(
        outcomes.len() == 3 && outcomes.values().all(|count| *count > 5),
        "{outcomes:?}"
    );
}
