//! Sessions on their way from one store to another: laws 1 and 2 in many
//! interleavings.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use futures_util::FutureExt;
use session_core::store::PrincipalIndex;
use session_core::store::conformance::{self, Suite};
use session_core::{Directive, Ended, Outcome, SessionError, SessionManager};
use session_tests::sim::pause;
use session_tests::{Backend, MigratingSite, Rng, Sim, anonymous, create, numbers, open, token_of};

const PAIRS: [(Backend, Backend); 5] = [
    (Backend::Memory, Backend::Memory),
    (Backend::Fields, Backend::Replace),
    (Backend::ReplaceHandsBack, Backend::Fields),
    (Backend::Memory, Backend::Fields),
    (Backend::Fields, Backend::Fields),
];

/// What passes the suite by itself.
const CONFORM: [Backend; 2] = [Backend::Memory, Backend::Fields];

#[tokio::test]
async fn the_contract_holds_wherever_records_lie_and_whoever_moves_them() {
    let pairs = PAIRS
        .into_iter()
        .filter(|pair| [pair.0, pair.1].iter().all(|one| CONFORM.contains(one)));
    for (new, old) in pairs {
        // Of ten: creations in the new store; other calls by a node that moves sessions.
        for (created, moving) in [(10, 10), (0, 10), (0, 0), (5, 5), (0, 3), (0, 8)] {
            let factory =
                || async move { MigratingSite::new(new, old, created << 8).with(created, moving) };
            let report = Suite::new(factory).run().await;
            assert!(
                report.is_success(),
                "{new:?} {old:?} {created} {moving}: {report}"
            );
            for case in [
                "list_of",
                "delete_one_of",
                "delete_one_of_race",
                "delete_all_of",
                "delete_all_of_race",
                "cancelled",
                "sweep_race",
            ] {
                assert_eq!(
                    report.outcome(case),
                    Some(&conformance::CaseOutcome::Passed),
                    "{case}"
                );
            }
        }
    }
}

/// What one round was about, so that it is known that all of it happens.
#[derive(Default)]
struct Seen {
    lived: u32,
    ended: u32,
    gone: u32,
    cut: u32,
}

/// Requests of one session on nodes of both kinds; some are cut off, and in half of the rounds
/// somebody signs out meanwhile.
fn round(backends: (Backend, Backend), seed: u64, seen: &mut Seen) {
    let mut sim = Sim::new(seed);
    let site = Arc::new(MigratingSite::new(backends.0, backends.1, seed));
    let managers: Vec<_> = [&site.waiting, &site.moving, &site.moving]
        .into_iter()
        .map(|store| {
            let builder = SessionManager::builder(Arc::clone(store)).clock(sim.clock());
            builder.build().unwrap()
        })
        .collect();
    let (token, id) = sim.block_on(async {
        let token = create(&managers[0], [("n", 0)]).await;
        let session = open(&managers[0], &token).await;
        (token, session.id().unwrap())
    });
    let ends = seed.is_multiple_of(2);
    let ended = Rc::new(Cell::new(false));
    let mut writers = Vec::new();
    for at in 0..sim.rng().below(4) + 2 {
        let manager = managers[sim.rng().below(3)].clone();
        let (token, ended) = (token.clone(), Rc::clone(&ended));
        let cut = (sim.rng().below(4) == 0).then(|| sim.rng().below(30));
        let own = format!("own-{at}");
        let write = async move {
            let already = ended.get();
            let session = open(&manager, &token).await;
            assert!(
                !already || session.is_new(),
                "seed {seed}: a session is back"
            );
            assert!(
                ends || !session.is_new(),
                "seed {seed}: somebody was signed out"
            );
            if session.is_new() {
                return None;
            }
            session.insert(&own, at as u64).unwrap();
            session
                .update("n", |n: Option<u64>| n.unwrap_or(0) + 1)
                .unwrap();
            match session.save().await {
                Ok(()) => Some(own),
                Err(SessionError::Gone) if ends => None,
                Err(error) => panic!("seed {seed}: {error:?}"),
            }
        };
        writers.push(sim.spawn(async move {
            match cut {
                None => Some(write.await),
                // Dropped after so many steps, wherever it is.
                Some(steps) => {
                    let clock = async {
                        for _ in 0..steps {
                            pause().await;
                        }
                    };
                    let (write, clock) = (write.boxed_local(), clock.boxed_local());
                    match futures_util::future::select(write, clock).await {
                        futures_util::future::Either::Left((done, _)) => Some(done),
                        futures_util::future::Either::Right(_) => None,
                    }
                }
            }
        }));
    }
    if ends {
        let manager = managers[sim.rng().below(3)].clone();
        let (token, ended, site) = (token.clone(), Rc::clone(&ended), Arc::clone(&site));
        let after = sim.rng().below(40);
        sim.spawn(async move {
            for _ in 0..after {
                pause().await;
            }
            let session = open(&manager, &token).await;
            session.destroy().unwrap();
            assert_eq!(
                session.finish(Outcome::Success).await.unwrap(),
                Directive::Forget
            );
            ended.set(true);
            assert!(!site.is_live(id).await, "seed {seed}: it is still there");
        });
    }
    sim.run();
    let outcomes: Vec<_> = writers.into_iter().map(|writer| writer.take()).collect();
    sim.block_on(async {
        for manager in &managers {
            let session = open(manager, &token).await;
            assert_eq!(session.is_new(), ends, "seed {seed}");
            if ends {
                continue;
            }
            let found = numbers(&session);
            let acknowledged: Vec<_> = outcomes.iter().flatten().flatten().collect();
            for own in &acknowledged {
                assert!(
                    found.contains_key(*own),
                    "seed {seed}: {own} is lost, of {found:?}"
                );
            }
            // Who was cut off may have written, wholly or not at all.
            assert_eq!(
                found["n"] as usize,
                found.len() - 1,
                "seed {seed}: {found:?}"
            );
            assert!(found.len() > acknowledged.len(), "seed {seed}");
        }
        assert!(
            ends || !site.is_doubled(id).await,
            "seed {seed}: it is in both"
        );
    });
    seen.cut += outcomes.iter().filter(|outcome| outcome.is_none()).count() as u32;
    seen.gone += outcomes
        .iter()
        .filter(|outcome| matches!(outcome, Some(None)))
        .count() as u32;
    *if ends {
        &mut seen.ended
    } else {
        &mut seen.lived
    } += 1;
}

#[test]
fn nothing_is_lost_and_nothing_is_back_in_any_interleaving() {
    let rounds = std::env::var("MIGRATING_ROUNDS").map_or(1000, |rounds| rounds.parse().unwrap());
    let mut seen = Seen::default();
    for backends in PAIRS {
        for seed in 0..rounds {
            round(backends, seed, &mut seen);
        }
    }
    assert!(seen.lived > 0 && seen.ended > 0 && seen.gone > 0 && seen.cut > 0);
}

/// "Sign out everywhere" while the sessions move.
#[test]
fn ending_all_of_a_principal_ends_them_in_both_stores() {
    for backends in [
        (Backend::Memory, Backend::Memory),
        (Backend::Fields, Backend::Fields),
    ] {
        for seed in 0..500 {
            let mut sim = Sim::new(seed);
            let site = Arc::new(MigratingSite::new(backends.0, backends.1, seed));
            let manager = |store| {
                SessionManager::builder(store)
                    .clock(sim.clock())
                    .build()
                    .unwrap()
            };
            let (waiting, moving) = (
                manager(Arc::clone(&site.waiting)),
                manager(Arc::clone(&site.moving)),
            );
            let tokens: Vec<_> = (0..3)
                .map(|_| {
                    sim.block_on(async {
                        let session = anonymous(&waiting).await;
                        session.sign_in("ann").unwrap();
                        session.insert("n", 1).unwrap();
                        token_of(&session.finish(Outcome::Success).await.unwrap())
                    })
                })
                .collect();
            for token in &tokens {
                let (moving, token) = (moving.clone(), token.clone());
                sim.spawn(async move {
                    let session = open(&moving, &token).await;
                    if !session.is_new() {
                        session.insert("n", 2).unwrap();
                        let saved = session.save().await;
                        assert!(
                            matches!(saved, Ok(()) | Err(SessionError::Gone)),
                            "seed {seed}: {saved:?}"
                        );
                    }
                });
            }
            let after = Rng::new(seed).below(30);
            let store = Arc::clone(&site.moving);
            let count = sim.spawn(async move {
                for _ in 0..after {
                    pause().await;
                }
                store
                    .delete_all_of("ann", None, Ended::default())
                    .await
                    .unwrap()
            });
            sim.run();
            assert_eq!(count.take(), 3, "seed {seed}");
            sim.block_on(async {
                for token in &tokens {
                    for manager in [&waiting, &moving] {
                        assert!(
                            open(manager, token).await.is_new(),
                            "seed {seed}: a session is back"
                        );
                    }
                }
            });
        }
    }
}

/// "Sign out that device", twice at once, while the session moves and others write it.
#[test]
fn ending_one_of_a_principal_ends_it_in_both_stores() {
    let mut by_waiting = 0;
    for backends in PAIRS {
        for seed in 0..300 {
            let mut sim = Sim::new(seed);
            let site = Arc::new(MigratingSite::new(backends.0, backends.1, seed));
            let manager = |store| {
                SessionManager::builder(store)
                    .clock(sim.clock())
                    .build()
                    .unwrap()
            };
            let managers = [
                manager(Arc::clone(&site.waiting)),
                manager(Arc::clone(&site.moving)),
            ];
            let (token, id) = sim.block_on(async {
                let session = anonymous(&managers[0]).await;
                session.sign_in("ann").unwrap();
                session.insert("n", 1).unwrap();
                (
                    token_of(&session.finish(Outcome::Success).await.unwrap()),
                    session.id().unwrap(),
                )
            });
            for at in 0..3 {
                let (manager, token) = (managers[at % 2].clone(), token.clone());
                sim.spawn(async move {
                    let session = open(&manager, &token).await;
                    if !session.is_new() {
                        session.insert("n", at).unwrap();
                        let saved = session.save().await;
                        assert!(
                            matches!(saved, Ok(()) | Err(SessionError::Gone)),
                            "seed {seed}: {saved:?}"
                        );
                    }
                });
            }
            let enders: Vec<_> = managers
                .iter()
                .map(|manager| {
                    let (manager, after) = (manager.clone(), sim.rng().below(30));
                    sim.spawn(async move {
                        for _ in 0..after {
                            pause().await;
                        }
                        assert!(
                            !manager.end("bob", id).await.unwrap(),
                            "seed {seed}: not his"
                        );
                        manager.end("ann", id).await.unwrap()
                    })
                })
                .collect();
            sim.run();
            let ended: Vec<_> = enders.into_iter().map(|ender| ender.take()).collect();
            assert_eq!(
                ended.iter().filter(|ended| **ended).count(),
                1,
                "seed {seed}: {ended:?}"
            );
            by_waiting += u32::from(ended[0]);
            sim.block_on(async {
                for manager in &managers {
                    assert!(
                        open(manager, &token).await.is_new(),
                        "seed {seed}: a session is back"
                    );
                    assert!(
                        manager.sessions_of("ann").await.unwrap().is_empty(),
                        "seed {seed}"
                    );
                }
            });
        }
    }
    assert!((100..1400).contains(&by_waiting), "{by_waiting}");
}
