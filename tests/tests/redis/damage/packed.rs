//! Sessions that lie in Redis as one text, damaged; each met by stores of both layouts.

use std::cell::RefCell;
use std::collections::BTreeMap;

use proptest::prelude::{any, prop_assert};
use proptest::test_runner::TestRunner;
use session_core::store::{Changes, SessionStore, StoreError};
use session_redis::Layout;
use session_tests::cases;
use session_tests::servers::Engine;

use super::bench::key as session_key;
use super::bench::{Absent, Bench, Corrupt, Done, INDEX, Outcome, key, set};

/// What another program made of a text.
type Damage = (&'static str, fn(Vec<u8>) -> Vec<u8>);

/// The line ends here.
fn end(text: &[u8]) -> usize {
    text.iter().position(|byte| *byte == b'\n').unwrap()
}

/// Another word in the place of one of the line.
fn with_word(text: &[u8], at: usize, word: &str) -> Vec<u8> {
    let (line, rest) = text.split_at(end(text));
    let line = std::str::from_utf8(line).unwrap();
    let mut words: Vec<_> = line.split(' ').collect();
    words[at] = word;
    [words.join(" ").as_bytes(), rest].concat()
}

const DAMAGES: &[Damage] = &[
    ("empty", |_| Vec::new()),
    ("a line break", |_| b"\n".to_vec()),
    ("another text", |_| b"text".to_vec()),
    ("no line", |text| text[end(&text) + 1..].to_vec()),
    ("half a line", |text| text[..20].to_vec()),
    ("no version", |text| with_word(&text, 1, "")),
    ("a negative version", |text| with_word(&text, 1, "-1")),
    ("a version that nobody counts to", |text| {
        with_word(&text, 1, "99999999999999999999")
    }),
    ("no tag", |text| with_word(&text, 2, "")),
    ("no number", |text| with_word(&text, 3, "1e9")),
    ("a principal of any length", |text| {
        with_word(&text, 7, "999999999999")
    }),
    ("a word more", |text| with_word(&text, 7, "6 6")),
];

/// What the server does not look at: it can be written anew by whoever has read it before.
const UNSEEN: &[Damage] = &[
    ("a line alone", |text| text[..=end(&text)].to_vec()),
    ("a record cut short", |text| text[..text.len() - 1].to_vec()),
    ("a record that goes on", |text| [&text[..], b"x"].concat()),
    ("a record of a newer format", |mut text| {
        let at = end(&text) + 1 + "user:1".len();
        assert_eq!(text[at], 1);
        text[at] = 255;
        text
    }),
    ("another time last seen", |text| {
        with_word(&text, 3, "9999999999999")
    }),
    ("a principal with a longer name", |text| {
        with_word(&text, 7, "7")
    }),
];

fn updated(bench: &Bench, record: &std::sync::Arc<session_core::store::Record>) -> [Outcome; 3] {
    [
        bench.update(record, &set(), true),
        bench.update(record, &set(), false),
        bench.update(record, &Changes::new().clear(), false),
    ]
}

#[test]
fn damaged_texts() {
    for engine in [Engine::Redis7, Engine::Valkey9] {
        let (mut bench, other) = (Bench::over(engine, Layout::Packed), Layout::Fields);
        let url = bench.url();
        let fields = session_redis::RedisStore::builder(url)
            .layout(other)
            .cache_bytes(0);
        let fields = bench.runtime.block_on(fields.connect()).unwrap();
        let packed = bench.store.clone();
        for store in [packed.clone(), fields] {
            for (name, damage) in DAMAGES.iter().chain(UNSEEN) {
                bench.store = packed.clone();
                let record = bench.create();
                let (id, key) = (record.id(), key(record.id()));
                let text: Vec<u8> = bench.run("GET", &key);
                let damaged = damage(text);
                bench.run::<()>("SET", (&key, &damaged));
                bench.store = store.clone();

                assert_eq!(bench.load(id), Corrupt, "{name}");
                let says_another = *name == "a principal with a longer name";
                let listed = if says_another {
                    vec![]
                } else {
                    vec![(id, false)]
                };
                assert_eq!(bench.list_all(), listed, "{name}");
                // Nobody creates over it.
                let again = bench
                    .runtime
                    .block_on(bench.store.create(&record, bench.now));
                assert!(
                    matches!(again, Err(StoreError::IdTaken)),
                    "{name}: {again:?}"
                );
                assert_eq!(bench.run::<Vec<u8>>("GET", &key), damaged, "{name}");
                if DAMAGES.iter().any(|(other, _)| other == name) {
                    assert_eq!(updated(&bench, &record), [Corrupt; 3], "{name}");
                    assert_eq!(bench.run::<Vec<u8>>("GET", &key), damaged, "{name}");
                } else {
                    assert_eq!(bench.update(&record, &set(), false), Done, "{name}");
                    assert_eq!(bench.load(id), Done, "{name}");
                }
                bench.delete(id);
                assert_eq!(bench.run::<u64>("EXISTS", &key), 0, "{name}");
                bench.delete_all();
                assert_eq!(bench.run::<u64>("EXISTS", INDEX), 0, "{name}");

                // Its owner ends it, by its id or with all others.
                bench.store = packed.clone();
                let ids = [bench.create().id(), bench.create().id()];
                for id in ids {
                    let text: Vec<u8> = bench.run("GET", session_key(id));
                    bench.run::<()>("SET", (session_key(id), damage(text)));
                }
                bench.store = store.clone();
                assert_eq!(bench.delete_one(ids[0]), !says_another, "{name}");
                assert_eq!(bench.delete_all(), 1 + u64::from(says_another), "{name}");
                for key in ids
                    .map(session_key)
                    .iter()
                    .map(String::as_str)
                    .chain([INDEX])
                {
                    assert_eq!(bench.run::<u64>("EXISTS", key), 0, "{name}");
                }
            }
        }
    }
}

#[test]
fn what_is_no_text_and_no_hash() {
    let mut bench = Bench::over(Engine::Redis7, Layout::Packed);
    for (command, member) in [("RPUSH", "a"), ("SADD", "a")] {
        let record = bench.create();
        let key = key(record.id());
        bench.run::<()>("DEL", &key);
        bench.run::<()>(command, (&key, member));
        assert_eq!(bench.load(record.id()), Corrupt, "{command}");
        assert_eq!(updated(&bench, &record), [Corrupt; 3], "{command}");
        let again = bench
            .runtime
            .block_on(bench.store.create(&record, bench.now));
        assert!(matches!(again, Err(StoreError::IdTaken)), "{command}");
        bench.delete(record.id());
    }
    // A hash of another program is no session.
    let record = bench.create();
    let key = key(record.id());
    bench.run::<()>("DEL", &key);
    bench.run::<()>("HSET", (&key, "name", "Ann"));
    assert_eq!(bench.load(record.id()), Absent);
    assert_eq!(updated(&bench, &record), [Absent; 3]);
    let again = bench
        .runtime
        .block_on(bench.store.create(&record, bench.now));
    assert!(matches!(again, Err(StoreError::IdTaken)));
    assert_eq!(bench.run::<String>("HGET", (&key, "name")), "Ann");
}

/// A byte more, less, or another one, anywhere.
#[test]
fn random_bytes_in_a_text_do_no_harm() {
    let bench = RefCell::new(Bench::over(Engine::Redis7, Layout::Packed));
    let outcomes = RefCell::new(BTreeMap::new());
    let damage = (
        0..3_u8,
        any::<u16>(),
        any::<bool>(),
        any::<u8>(),
        any::<bool>(),
    );
    let ran = TestRunner::new(cases(3_000)).run(&damage, |(what, at, in_line, byte, exact)| {
        let mut bench = bench.borrow_mut();
        let record = bench.create();
        let (id, key) = (record.id(), key(record.id()));
        let mut text: Vec<u8> = bench.run("GET", &key);
        let at = usize::from(at) % if in_line { end(&text) + 8 } else { text.len() };
        match what {
            0 => text[at] = byte,
            1 => text.insert(at, b"0123456789 -+\n"[usize::from(byte) % 14]),
            _ => drop(text.remove(at)),
        }
        bench.run::<()>("SET", (&key, text));
        let found = bench.find(id);
        let base = found.clone().ok().flatten().unwrap_or(record);
        let updated = bench.update(&base, &set(), exact);
        let loaded = found.map(|found| found.is_some());
        if loaded == Ok(true) {
            prop_assert!(updated == Done, "it can be read, and then: {updated:?}");
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
    // It can be read, where what was changed is a value or a time, or it is corrupt; never absent.
    let outcomes = outcomes.into_inner();
    assert!(
        outcomes.len() == 2 && outcomes.values().all(|count| *count > 5),
        "{outcomes:?}"
    );
}
