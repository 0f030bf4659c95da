//! Law 1: no lost update.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use futures_util::FutureExt;
use session_core::{
    KeyRing, MemoryStore, Outcome, SessionError, SessionManager, SessionManagerBuilder, Timeouts,
    ValueSealing,
};
use session_tests::script::{Kinds, Numbers, draw, outcomes};
use session_tests::sim::pause;
use session_tests::{
    Backend, Call, CountingStore, Counts, Fault, FaultStore, Sim, SlowStore, anonymous, create,
    numbers, open, token_of,
};

/// Requests of one session at once must leave what some order of them would have left.
fn interleave(backend: Backend, seed: u64, kinds: Kinds) {
    interleave_with(backend, seed, kinds, |builder, _| builder);
}

/// The same on two processes with settings of their own.
fn interleave_with(
    backend: Backend,
    seed: u64,
    kinds: Kinds,
    set: impl Fn(SessionManagerBuilder, usize) -> SessionManagerBuilder,
) {
    let mut sim = Sim::new(seed);
    let store = backend.yielding(seed);
    let processes =
        [0, 1].map(|process| sim.manager_with(Arc::clone(&store), |builder| set(builder, process)));
    let count = 2 + sim.rng().below(3);
    let names: Vec<_> = (0..count).map(|who| format!("own{who}")).collect();
    let start: Numbers = names
        .iter()
        .enumerate()
        .map(|(who, name)| (name.clone(), who as u64 + 1))
        .chain([("shared".to_owned(), 0), ("untouched".to_owned(), 9)])
        .collect();
    let values = start.iter().map(|(key, value)| (key.as_str(), *value));
    let token = sim.block_on(create(&processes[0], values));

    let requests: Vec<_> = (0..count).map(|who| draw(sim.rng(), who, kinds)).collect();
    for (who, request) in requests.clone().into_iter().enumerate() {
        let manager = processes[who % 2].clone();
        let token = token.clone();
        sim.spawn(async move {
            let session = open(&manager, &token).await;
            for op in request {
                op.on(&session);
                pause().await;
            }
            session.finish(Outcome::Success).await.unwrap();
        });
    }
    sim.run();

    let after = sim.block_on(async { numbers(open(&processes[0], &token).await.session()) });
    let possible = outcomes(&start, &requests);
    let after: Vec<_> = after.into_iter().collect();
    assert!(
        possible.contains(&after),
        "{backend:?}, seed {seed}: {after:?} after {requests:?}"
    );
}

#[test]
fn requests_that_write_different_keys_all_survive_in_any_interleaving() {
    for backend in Backend::SERVER {
        (0..1_500).for_each(|seed| interleave(backend, seed, Kinds::Plain));
    }
}

#[test]
fn a_clear_is_one_of_the_changes_in_any_interleaving() {
    for backend in Backend::SERVER {
        (0..1_500).for_each(|seed| interleave(backend, seed, Kinds::Clears));
    }
}

#[test]
fn changes_in_place_and_removals_by_a_closure_survive_in_any_interleaving() {
    for backend in Backend::SERVER {
        (0..1_500).for_each(|seed| interleave(backend, seed, Kinds::Changes));
    }
}

/// In both processes, or in one while the other one still writes values as they are.
#[test]
fn sealed_values_survive_in_any_interleaving() {
    let keys = || KeyRing::new([1; 32]).unwrap();
    for backend in Backend::SERVER {
        for seed in 0..100 {
            for kinds in [Kinds::Plain, Kinds::Clears, Kinds::Changes] {
                interleave_with(backend, seed, kinds, |builder, process| {
                    let sealing = ValueSealing::new(keys());
                    builder.seal_values(match (process, seed % 2) {
                        (1, 1) => sealing.writing_plain(),
                        _ => sealing,
                    })
                });
            }
        }
    }
}

/// A hundred requests at once that add to one number, spread over these many processes.
fn hundred_at_once(backend: Backend, processes: usize, seed: u64) -> Counts {
    let mut sim = Sim::new(seed);
    let store = CountingStore::new(backend.yielding(seed));
    let managers: Vec<_> = (0..processes)
        .map(|_| sim.manager(Arc::clone(&store)))
        .collect();
    let token = sim.block_on(create(&managers[0], [("n", 0)]));
    store.take();
    for who in 0..100 {
        let manager = managers[who % processes].clone();
        let token = token.clone();
        sim.spawn(async move {
            let session = open(&manager, &token).await;
            session
                .update("n", |n: Option<u64>| n.unwrap() + 1)
                .unwrap();
            session.finish(Outcome::Success).await.unwrap();
        });
    }
    sim.run();
    let counts = store.take();
    let after = sim.block_on(async { numbers(open(&managers[0], &token).await.session()) });
    assert_eq!(after["n"], 100, "{backend:?} over {processes}");
    counts
}

#[test]
fn a_hundred_updates_of_one_key_at_once_all_succeed() {
    // Without any order each of them would conflict with all others: 10,000 attempts.
    for (processes, bound) in [(1, 300), (4, 900), (100, 4_000)] {
        for backend in Backend::SERVER {
            for seed in 0..3 {
                let counts = hundred_at_once(backend, processes, seed);
                println!("{backend:?} over {processes}: {counts:?}");
                assert!(counts.updates >= 100);
                assert!(
                    counts.updates <= bound,
                    "{backend:?} over {processes}: {counts:?}"
                );
                assert!(
                    counts.loads <= bound,
                    "{backend:?} over {processes}: {counts:?}"
                );
            }
        }
    }
}

/// The same on a store that takes its time; how long it took, on the clock.
fn hundred_at_once_on_a_slow_store(
    backend: Backend,
    processes: usize,
    latency: Duration,
) -> Duration {
    let mut sim = Sim::new(latency.as_millis() as u64);
    let slow = Arc::new(SlowStore::new(backend.store(), sim.clock(), latency));
    let managers: Vec<_> = (0..processes)
        .map(|_| sim.manager(Arc::clone(&slow)))
        .collect();
    let token = sim.block_on(create(&managers[0], [("n", 0)]));
    let begin = sim.clock().now();
    for who in 0..100 {
        let manager = managers[who % processes].clone();
        let token = token.clone();
        sim.spawn(async move {
            let session = open(&manager, &token).await;
            session
                .update("n", |n: Option<u64>| n.unwrap() + 1)
                .unwrap();
            let outcome = session.finish(Outcome::Success).await;
            outcome.unwrap_or_else(|error| {
                panic!("{backend:?} over {processes}, {latency:?}: {error}")
            });
        });
    }
    sim.run();
    let took = sim.clock().now().duration_since(begin);
    let after = sim.block_on(async { numbers(open(&managers[0], &token).await.session()) });
    assert_eq!(after["n"], 100);
    took
}

#[test]
fn a_hundred_updates_at_once_all_succeed_on_a_store_that_takes_its_time() {
    for backend in [Backend::Memory, Backend::Replace] {
        for latency in [4, 40] {
            for processes in [1, 4, 100] {
                let latency = Duration::from_millis(latency);
                let took = hundred_at_once_on_a_slow_store(backend, processes, latency);
                println!("{backend:?} over {processes}, {latency:?}: {took:?}");
            }
        }
    }
}

#[test]
fn update_now_returns_the_final_value() {
    for backend in Backend::SERVER {
        for seed in 0..50 {
            let mut sim = Sim::new(seed);
            let manager = sim.manager(backend.yielding(seed));
            let token = sim.block_on(create(&manager, [("n", 0)]));
            let outputs: Vec<_> = (0..12)
                .map(|_| {
                    let manager = manager.clone();
                    let token = token.clone();
                    sim.spawn(async move {
                        let session = open(&manager, &token).await;
                        let add = |n: Option<u64>| n.unwrap() + 1;
                        session.update_now("n", add).await.unwrap()
                    })
                })
                .collect();
            sim.run();
            let returned: BTreeSet<u64> = outputs.into_iter().map(|output| output.take()).collect();
            assert_eq!(returned, (1..=12).collect(), "{backend:?}, seed {seed}");
        }
    }
}

#[test]
fn the_last_of_plain_inserts_wins() {
    for backend in Backend::SERVER {
        let mut sim = Sim::new(1);
        let manager = sim.manager(backend.store());
        sim.block_on(async {
            let token = create(&manager, [("n", 0)]).await;
            let first = open(&manager, &token).await;
            let second = open(&manager, &token).await;
            first.insert("n", 1).unwrap();
            second.insert("n", 2).unwrap();
            second.finish(Outcome::Success).await.unwrap();
            first.finish(Outcome::Success).await.unwrap();
            assert_eq!(
                numbers(open(&manager, &token).await.session())["n"],
                1,
                "{backend:?}"
            );
        });
    }
}

#[test]
fn beyond_the_bound_comes_contended_and_nothing_is_written() {
    let mut sim = Sim::new(1);
    let store = FaultStore::new(MemoryStore::new());
    let counted = CountingStore::new(Arc::clone(&store));
    let timeouts = Timeouts::default().with_commit(Duration::from_secs(3));
    let manager = SessionManager::builder(Arc::clone(&counted))
        .clock(sim.clock())
        .timeouts(timeouts)
        .build()
        .unwrap();
    let token = sim.block_on(create(&manager, [("n", 0)]));
    store.always(Call::Update, Fault::Conflict);
    let begin = sim.clock().now();
    counted.take();

    let session = sim.block_on(open(&manager, &token));
    session
        .update("n", |n: Option<u64>| n.unwrap() + 1)
        .unwrap();
    session.insert("other", 1).unwrap();
    let outcome = sim.block_on(session.finish(Outcome::Success));

    let error = outcome.unwrap_err().error;
    assert!(matches!(error, SessionError::Contended), "{error:?}");
    assert!(error.is_temporary());
    let attempts = counted.take().updates;
    assert!((64..=256).contains(&attempts), "{attempts} attempts");
    let took = sim.clock().now().duration_since(begin);
    assert!(took <= timeouts.commit() + timeouts.call(), "{took:?}");
    store.repair();
    let after = sim.block_on(async { numbers(open(&manager, &token).await.session()) });
    assert_eq!(after.into_iter().collect::<Vec<_>>(), [("n".to_owned(), 0)]);
}

#[test]
fn the_deadline_of_a_commit_ends_a_wait_in_the_queue() {
    let mut sim = Sim::new(1);
    let store = FaultStore::new(MemoryStore::new());
    let timeouts = Timeouts::default()
        .with_call(Duration::from_secs(30))
        .with_commit(Duration::from_secs(3));
    let manager = SessionManager::builder(Arc::clone(&store))
        .clock(sim.clock())
        .timeouts(timeouts)
        .build()
        .unwrap();
    let token = sim.block_on(create(&manager, [("n", 0)]));
    let [first, second] = [0, 1].map(|_| {
        let session = sim.block_on(open(&manager, &token));
        session
            .update("n", |n: Option<u64>| n.unwrap() + 1)
            .unwrap();
        session
    });
    // The first one has its turn and hangs in it.
    store.plan(Call::Update, Fault::Conflict);
    store.plan(Call::Update, Fault::Hang);
    let mut holder = Box::pin(first.finish(Outcome::Success));
    assert!((&mut holder).now_or_never().is_none());
    store.plan(Call::Update, Fault::Conflict);
    let begin = sim.clock().now();
    let error = sim.block_on(second.save()).unwrap_err();
    assert!(matches!(error, SessionError::Contended), "{error:?}");
    assert_eq!(sim.clock().now().duration_since(begin), timeouts.commit());
    // Whoever is cancelled in the queue, or in a turn, leaves it to the others.
    drop(holder);
    store.plan(Call::Update, Fault::Conflict);
    sim.block_on(second.finish(Outcome::Success)).unwrap();
    let after = sim.block_on(async { numbers(open(&manager, &token).await.session()) });
    assert_eq!(after["n"], 1);
}

#[test]
fn a_closure_that_uses_the_session_does_not_deadlock() {
    let mut sim = Sim::new(1);
    for backend in Backend::SERVER {
        let manager = sim.manager(backend.store());
        sim.block_on(async {
            let token = create(&manager, [("n", 0), ("step", 5)]).await;
            let session = open(&manager, &token).await;
            let other = session.clone();
            session
                .update("n", move |n: Option<u64>| {
                    other.insert("seen", other.len()).unwrap();
                    n.unwrap() + other.get::<u64>("step").unwrap().unwrap()
                })
                .unwrap();
            let rival = open(&manager, &token).await;
            rival
                .update("n", |n: Option<u64>| n.unwrap() + 100)
                .unwrap();
            rival.finish(Outcome::Success).await.unwrap();
            session.finish(Outcome::Success).await.unwrap();
            let after = numbers(open(&manager, &token).await.session());
            assert_eq!((after["n"], after["seen"]), (105, 3), "{backend:?}");
        });
    }
}

#[test]
fn two_clones_on_two_threads_lose_no_update() {
    let manager = SessionManager::new(MemoryStore::new());
    let session = anonymous(&manager).now_or_never().unwrap();
    thread::scope(|scope| {
        for _ in 0..2 {
            let session = session.clone();
            scope.spawn(move || {
                for _ in 0..10_000 {
                    session
                        .update("n", |n: Option<u64>| n.unwrap_or(0) + 1)
                        .unwrap();
                }
            });
        }
    });
    assert_eq!(session.get::<u64>("n").unwrap(), Some(20_000));
}

#[test]
fn clones_lose_no_update_while_another_one_saves() {
    let manager = SessionManager::new(MemoryStore::new());
    let session = anonymous(&manager).now_or_never().unwrap();
    session.insert("n", 0).unwrap();
    let (token, done) = thread::scope(|scope| {
        let workers: Vec<_> = (0..2)
            .map(|_| {
                let session = session.clone();
                scope.spawn(move || {
                    for _ in 0..2_000 {
                        session
                            .update("n", |n: Option<u64>| n.unwrap_or(0) + 1)
                            .unwrap();
                    }
                })
            })
            .collect();
        let mut saves = 0;
        while !workers.iter().all(|worker| worker.is_finished()) {
            session.save().now_or_never().unwrap().unwrap();
            saves += 1;
        }
        let directive = session
            .finish(Outcome::Success)
            .now_or_never()
            .unwrap()
            .unwrap();
        (token_of(&directive), saves)
    });
    let stored = numbers(open(&manager, &token).now_or_never().unwrap().session());
    assert_eq!(stored["n"], 4_000, "after {done} saves");
}

#[test]
fn an_insert_after_an_update_is_not_undone_by_its_replay() {
    // The log is: update, then insert. So the inserted value is what must remain.
    for backend in Backend::SERVER {
        let mut sim = Sim::new(1);
        let manager = sim.manager(backend.store());
        sim.block_on(async {
            let token = create(&manager, [("n", 0)]).await;
            let session = open(&manager, &token).await;
            let provisional = session
                .update("n", |n: Option<u64>| n.unwrap() + 1)
                .unwrap();
            session.insert("n", provisional).unwrap();
            let rival = open(&manager, &token).await;
            rival.insert("n", 50).unwrap();
            rival.finish(Outcome::Success).await.unwrap();
            session.finish(Outcome::Success).await.unwrap();
            assert_eq!(
                numbers(open(&manager, &token).await.session())["n"],
                1,
                "{backend:?}"
            );
        });
    }
}

#[test]
fn an_update_made_while_a_clear_is_saved_loses_to_nobody() {
    for backend in Backend::SERVER {
        let mut sim = Sim::new(1);
        let store = FaultStore::new(backend.store());
        let manager = sim.manager(Arc::clone(&store));
        sim.block_on(async {
            let token = create(&manager, [("n", 1), ("old", 1)]).await;
            let session = open(&manager, &token).await;
            session.clear();
            store.plan(Call::Update, Fault::Slow);
            let mut save = Box::pin(session.save());
            assert!((&mut save).now_or_never().is_none());
            // The clear is on its way; this comes on top of it.
            session
                .update("n", |n: Option<u64>| n.unwrap_or(0) + 1)
                .unwrap();
            save.await.unwrap();
            let rival = open(&manager, &token).await;
            rival.insert("n", 10).unwrap();
            rival.finish(Outcome::Success).await.unwrap();
            session.finish(Outcome::Success).await.unwrap();
            assert_eq!(
                numbers(open(&manager, &token).await.session())["n"],
                11,
                "{backend:?}"
            );
        });
    }
}

#[test]
fn a_second_save_builds_on_what_the_first_one_was_merged_with() {
    for backend in Backend::SERVER {
        let mut sim = Sim::new(1);
        let manager = sim.manager(backend.store());
        sim.block_on(async {
            let token = create(&manager, [("n", 0)]).await;
            let session = open(&manager, &token).await;
            let rival = open(&manager, &token).await;
            rival.update("n", |n: Option<u64>| n.unwrap() + 10).unwrap();
            rival.insert("theirs", 1).unwrap();
            rival.finish(Outcome::Success).await.unwrap();
            session.insert("mine", 1).unwrap();
            session.save().await.unwrap();
            session
                .update("n", |n: Option<u64>| n.unwrap() + 1)
                .unwrap();
            session.finish(Outcome::Success).await.unwrap();
            let after = numbers(open(&manager, &token).await.session());
            assert_eq!(
                (after["n"], after["theirs"], after["mine"]),
                (11, 1, 1),
                "{backend:?}"
            );
        });
    }
}
