//! The index of a principal: damaged, and healed.

use std::time::Duration;

use session_core::store::{PrincipalIndex, SessionStore};
use session_core::{Ended, SessionId};
use session_tests::servers::Engine;

use super::bench::{Absent, Bench, Corrupt, Done, INDEX, OWNER, corrupt, key, key_of_another};

#[test]
fn a_damaged_index() {
    let mut bench = Bench::new(Engine::Redis7);
    for (command, arguments) in [
        ("SET", vec![INDEX, "x"]),
        ("RPUSH", vec![INDEX, "x"]),
        ("HSET", vec![INDEX, "f", "x"]),
    ] {
        bench.run::<()>("DEL", INDEX);
        bench.run::<()>(command, arguments);
        assert_eq!(bench.list(), Err(Corrupt), "{command}");
        let ended =
            bench
                .runtime
                .block_on(bench.store.delete_all_of(OWNER, None, Ended::default()));
        corrupt(&ended.unwrap_err());
        // Nobody signs in where nobody could be signed out; and nothing is left behind.
        let record = bench.record();
        let created = bench
            .runtime
            .block_on(bench.store.create(&record, bench.now));
        corrupt(&created.unwrap_err());
        assert_eq!(bench.load(record.id()), Absent);
    }
    bench.run::<()>("DEL", INDEX);

    // With one entry, the others are no ids; sessions that do not exist, or are another's.
    let record = bench.create();
    let foreign = key_of_another(&bench);
    let foreign = foreign.strip_prefix("session:").unwrap();
    let missing = SessionId::random().unwrap().encode();
    for entry in [
        &b"no id"[..],
        b"",
        b"\xff\xfe",
        foreign.as_bytes(),
        missing.as_bytes(),
    ] {
        bench.run::<()>("ZADD", (INDEX, 4_000_000_000_000_u64, entry));
    }
    assert_eq!(bench.list(), Ok(vec![record.id()]));
    assert_eq!(bench.delete_all(), 1);
    assert_eq!(bench.load(record.id()), Absent);
    assert_eq!(bench.load(foreign.parse().unwrap()), Done);
}

#[test]
fn an_index_heals_after_a_minute() {
    let mut bench = Bench::new(Engine::Valkey9);
    let kept = bench.create();
    let [gone, again] = [(); 2].map(|()| bench.record());
    let later = |seconds| bench.now + Duration::from_secs(seconds);
    let (start, soon, minute, more) = (bench.now, later(58), later(62), later(124));
    let enter = |bench: &mut Bench, id: SessionId| {
        bench.run::<()>(
            "ZADD",
            (INDEX, kept.absolute_expiry().as_millis(), id.encode()),
        );
    };
    enter(&mut bench, gone.id());
    enter(&mut bench, again.id());
    let entries = |bench: &mut Bench, now| {
        let listed = bench
            .runtime
            .block_on(bench.store.list_of(OWNER, now))
            .unwrap();
        let ids: Vec<_> = listed.iter().map(|record| record.id()).collect();
        let mut entries: Vec<String> = bench.run("ZRANGE", (INDEX, 0, -1));
        entries.sort();
        (ids, entries)
    };
    let sorted = |ids: &[SessionId]| {
        let mut all: Vec<_> = ids.iter().map(SessionId::encode).collect();
        all.sort();
        all
    };
    let all = sorted(&[kept.id(), gone.id(), again.id()]);
    for now in [start, soon] {
        assert_eq!(entries(&mut bench, now), (vec![kept.id()], all.clone()));
    }
    // Its session was on its way.
    let created = bench.store.create(&again, bench.now);
    bench.runtime.block_on(created).unwrap();
    let (mut ids, left) = entries(&mut bench, minute);
    ids.sort();
    let mut both = vec![kept.id(), again.id()];
    both.sort();
    assert_eq!((ids, left), (both.clone(), sorted(&both)));
    // And once more: it has been missed for a minute only since now.
    bench.run::<()>("DEL", key(again.id()));
    for (now, left) in [(minute, &both[..]), (more, &[kept.id()])] {
        assert_eq!(entries(&mut bench, now), (vec![kept.id()], sorted(left)));
    }
}
