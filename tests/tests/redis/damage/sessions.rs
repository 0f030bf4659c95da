//! The operations of the store on damaged sessions.

use session_core::store::{Changes, SessionStore, StoreError};
use session_tests::servers::Engine;

use super::bench::{Absent, Bench, Corrupt, Done, INDEX, json, key, set};
use super::damages::{DAMAGES, put};

fn damaged_sessions_are(engine: Engine) {
    let mut bench = Bench::new(engine);
    for damage in DAMAGES {
        let name = damage.name;
        let mut fresh = || {
            let record = bench.create();
            (damage.done)(&mut bench, &key(record.id()));
            record
        };
        let records: Vec<_> = (0..5).map(|_| fresh()).collect();
        let [loaded, exact, merged, cleared, listed] = &records[..] else {
            unreachable!()
        };
        assert_eq!(bench.load(loaded.id()), damage.load, "{name}");
        let updates = [
            bench.update(exact, &set(), true),
            bench.update(merged, &set(), false),
            bench.update(cleared, &Changes::new().clear(), false),
        ];
        assert_eq!(updates, damage.updates, "{name}");

        // One that cannot be read is listed as that, and ends like any other. (A clear may have
        // repaired another.)
        let id = listed.id();
        let there = damage.load != Absent && !damage.says_another;
        let list = bench.list_all();
        let left = if there { 5 } else { 0 };
        assert_eq!(list.len(), left, "{name}: {list:?}");
        let unreadable = list.contains(&(id, false));
        assert_eq!(
            unreadable,
            there && damage.load == Corrupt,
            "{name}: {list:?}"
        );
        assert_eq!(bench.delete_one(id), there, "{name}");
        assert_eq!(bench.list_all().len(), left.saturating_sub(1), "{name}");
        if there {
            assert_eq!(bench.run::<u64>("EXISTS", key(id)), 0, "{name}");
        }
        let ended = match damage.load {
            Absent => 0,
            _ => 5 - u64::from(there),
        };
        assert_eq!(bench.delete_all(), ended, "{name}");
        assert_eq!(bench.run::<u64>("EXISTS", INDEX), 0, "{name}");
        for record in &records {
            bench.delete(record.id());
            assert_eq!(bench.run::<u64>("EXISTS", key(record.id())), 0, "{name}");
        }
        assert_eq!(bench.list(), Ok(vec![]), "{name}");
    }
}

#[test]
fn damaged_sessions() {
    damaged_sessions_are(Engine::Redis7);
}

#[test]
fn damaged_sessions_on_valkey() {
    damaged_sessions_are(Engine::Valkey9);
}

#[test]
fn a_damaged_session_is_not_created_over() {
    let mut bench = Bench::new(Engine::Redis8);
    for damage in DAMAGES.iter().filter(|damage| damage.name != "deleted") {
        let record = bench.create();
        (damage.done)(&mut bench, &key(record.id()));
        let before = bench.content(&key(record.id()));
        let again = bench
            .runtime
            .block_on(bench.store.create(&record, bench.now));
        // Expired, as far as the server can tell.
        if damage.name == "another deadline in h than in m" {
            again.unwrap();
            continue;
        }
        assert!(
            matches!(again, Err(StoreError::IdTaken)),
            "{}: {again:?}",
            damage.name
        );
        assert_eq!(bench.content(&key(record.id())), before, "{}", damage.name);
    }
}

#[test]
fn a_session_under_the_key_of_another_is_corrupt() {
    let mut bench = Bench::new(Engine::Redis7);
    let (one, two) = (bench.create(), bench.create());
    assert!(bench.run::<bool>("COPY", (key(one.id()), key(two.id()), "REPLACE")));
    assert_eq!(
        (bench.load(one.id()), bench.load(two.id())),
        (Done, Corrupt)
    );
    bench.delete(two.id());
    assert_eq!(bench.load(one.id()), Done);
}

#[test]
fn values_and_fields_of_others_are_readable() {
    let mut bench = Bench::new(Engine::Redis7);
    let record = bench.create();
    let (id, key) = (record.id(), key(record.id()));
    put(&mut bench, &key, ".a", b"{\"by\": \"hand\"}");
    put(&mut bench, &key, ".c", b"[3]");
    put(&mut bench, &key, "name", b"Ann");
    let all = [("a", "{\"by\": \"hand\"}"), ("b", "2"), ("c", "[3]")];
    let text = |all: &[(&str, &str)]| -> Vec<(String, String)> {
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        all.iter().map(owned).collect()
    };
    assert_eq!(bench.values(id), text(&all));

    // What was not counted when it was added takes nothing off when it goes.
    let load = |bench: &Bench| {
        let loaded = bench
            .runtime
            .block_on(bench.store.load(&id.into(), bench.now));
        loaded.unwrap().unwrap()
    };
    assert_eq!(
        bench.update(&load(&bench), &Changes::new().remove("c"), false),
        Done
    );
    assert_eq!(bench.values(id), text(&all[..2]));
    put(&mut bench, &key, ".c", b"[3]");
    let changes = Changes::new().set("d", json("4")).clear();
    assert_eq!(bench.update(&load(&bench), &changes, false), Done);
    assert_eq!(bench.values(id), text(&[("d", "4")]));
    let state: String = bench.run("HGET", (&key, "s"));
    assert!(state.ends_with(" 11 1"), "{state}");
    assert_eq!(bench.run::<String>("HGET", (&key, "name")), "Ann");
}
