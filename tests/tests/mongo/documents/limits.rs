//! Limits: sizes are counted too high, and yet nothing is refused that fits, nor let through what
//! does not.

use std::sync::Arc;

use session_core::store::{Changes, Record, SessionStore, Value, Values};
use session_core::{Codec, Limits};
use tokio::task::JoinSet;

use super::bench::{Bench, Done, TooLarge, json, update};

fn large(bytes: usize) -> Value {
    Value::new(Codec::Json, format!("\"{}\"", "x".repeat(bytes - 2)))
}

#[test]
fn what_is_overwritten_takes_no_room() {
    let bench = Bench::new();
    let base = bench.create();
    let limits = Limits::default();
    let write = |changes: &Changes, limits: &Limits| {
        let update = update(&bench.store, &base, changes, false, limits, bench.now);
        bench.runtime.block_on(update)
    };
    for n in 0..2_000 {
        let changes = Changes::new().set("a", large(100_000 + n % 7));
        assert_eq!(write(&changes, &limits), Done, "{n}");
    }
    // Nor does what was removed or cleared.
    for n in 0..40 {
        let changes = match n % 4 {
            0 => Changes::new().set("c", large(800_000)),
            1 => Changes::new().remove("c"),
            2 => Changes::new().set("c", large(900_000)).clear(),
            _ => Changes::new().clear(),
        };
        assert_eq!(write(&changes, &limits), Done, "{n}");
    }
    let few = limits.with_keys(3);
    for n in 0..500 {
        let changes = Changes::new().set(["a", "b", "c"][n % 3], json("1"));
        assert_eq!(write(&changes, &few), Done, "{n}");
    }
    assert_eq!(write(&Changes::new().set("d", json("1")), &few), TooLarge);
    assert_eq!(
        write(&Changes::new().set("d", json("1")).remove("a"), &few),
        Done
    );
    let there = bench.find(base.id()).unwrap().unwrap();
    assert_eq!(there.values().len(), 3);
    // What is counted is never less than what is there.
    let counted = bench.document(base.id()).unwrap();
    assert!(counted.get_i64("size").unwrap() >= i64::try_from(there.limited_size()).unwrap());
    assert!(counted.get_i64("keys").unwrap() >= 3);
}

/// To the very byte.
#[test]
fn a_limit_itself_is_allowed() {
    let bench = Bench::new();
    for exact in [false, true] {
        let base = bench.create();
        let value = large(10_000);
        let room = base.limited_size() + Values::entry_size("c", &value);
        for (record_bytes, expected) in [(room - 1, TooLarge), (room, Done)] {
            let limits = Limits::default().with_record_bytes(record_bytes);
            let changes = Changes::new().set("c", value.clone());
            // With a stale base: the request's own check, of what it has loaded, is another.
            let stale = Record::clone(&base).with_version(if exact { 1 } else { 9 });
            let done = update(&bench.store, &stale, &changes, false, &limits, bench.now);
            let done = bench.runtime.block_on(done);
            if !exact {
                assert_eq!(done, expected);
            }
        }
    }
}

#[test]
fn writers_that_race_for_the_last_room() {
    let bench = Bench::new();
    for round in 0..10 {
        let base = bench.create();
        let value = large(20_000);
        let entry = Values::entry_size("w00", &value);
        // Room for ten and a half of them; or, in other rounds, for ten keys beside the two.
        let by_size = round % 2 == 0;
        let limits = Limits::default()
            .with_record_bytes(if by_size {
                base.limited_size() + entry * 21 / 2
            } else {
                1 << 20
            })
            .with_keys(if by_size { 1024 } else { 12 });
        let mut done = 0;
        bench.runtime.block_on(async {
            let mut writers = JoinSet::new();
            for writer in 0..24 {
                let (store, base, value) = (bench.store.clone(), Arc::clone(&base), value.clone());
                let now = bench.now;
                writers.spawn(async move {
                    let mut outcomes = Vec::new();
                    // Written over several times: the second and third take no room.
                    for _ in 0..3 {
                        let changes = Changes::new().set(format!("w{writer:02}"), value.clone());
                        outcomes.push(update(&store, &base, &changes, false, &limits, now).await);
                        let size = store.load(&base.id().into(), now).await.unwrap().unwrap();
                        assert!(
                            limits
                                .check(size.limited_size(), size.values().len())
                                .is_ok(),
                            "too large"
                        );
                    }
                    outcomes
                });
            }
            while let Some(outcomes) = writers.join_next().await {
                match outcomes.unwrap()[..] {
                    [Done, Done, Done] => done += 1,
                    [TooLarge, TooLarge, TooLarge] => {}
                    ref other => unreachable!("{other:?}"),
                }
            }
        });
        let there = bench.find(base.id()).unwrap().unwrap();
        assert_eq!((done, there.values().len()), (10, 12), "round {round}");
    }
}
