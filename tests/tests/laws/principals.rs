//! Every session of a principal: listed, ended from elsewhere, and no more of them than allowed
//! (S20, S21).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use session_core::store::StoreError;
use session_core::{
    Directive, ManualClock, OnMaxSessions, Outcome, SessionError, SessionId, SessionManager,
};
use session_tests::sim::pause;
use session_tests::{Backend, Sim, anonymous, open, sign_in, stage, token_of};

const SECOND: Duration = Duration::from_secs(1);

async fn ids(manager: &SessionManager, name: &str) -> Vec<SessionId> {
    let sessions = manager.sessions_of(name).await.unwrap();
    sessions.iter().map(|session| session.id()).collect()
}

#[test]
fn a_listing_tells_what_an_owner_wants_to_know() {
    for backend in Backend::SERVER {
        let (manager, _, clock) = stage(backend.store(), |builder| builder);
        let run = async {
            let began = clock.now();
            let session = anonymous(&manager).await;
            session.sign_in("user:1").unwrap();
            session.set_label("Anna's phone").unwrap();
            let token = token_of(&session.finish(Outcome::Success).await.unwrap());
            clock.advance(600 * SECOND);
            sign_in(&manager, "user:1").await;
            sign_in(&manager, "user:10").await;
            clock.advance(600 * SECOND);
            let here = open(&manager, &token).await;
            here.finish(Outcome::Success).await.unwrap();

            let sessions = manager.sessions_of("user:1").await.unwrap();
            assert_eq!(sessions.len(), 2, "{backend:?}");
            let [first, second] = [&sessions[0], &sessions[1]];
            assert!(
                first.is(&here) && !second.is(&here),
                "the last active one is first"
            );
            assert_eq!(first.label(), Some("Anna's phone"));
            assert_eq!(second.label(), None);
            assert_eq!(first.created_at(), began);
            assert_eq!(first.last_seen(), clock.now());
            assert_eq!(first.authenticated_at(), Some(began));
            assert_eq!(second.created_at(), began + 600 * SECOND);
            assert_eq!(first.scope(), "__Host-id");
            assert_eq!(first.expires_at(), here.expires_at().unwrap());
            assert!(!format!("{first:?}").contains("Anna"));
            assert!(manager.sessions_of("nobody").await.unwrap().is_empty());
        };
        run.now_or_never().unwrap();
    }
}

#[test]
fn revocation_takes_effect_on_the_very_next_request() {
    for backend in Backend::SERVER {
        let (manager, _, _) = stage(backend.store(), |builder| builder);
        let run = async {
            let (phone, _) = sign_in(&manager, "user:1").await;
            let (laptop, laptop_id) = sign_in(&manager, "user:1").await;
            let (other, other_id) = sign_in(&manager, "user:2").await;

            // What is under way cannot write, sets no cookie and brings nothing back.
            let under_way = open(&manager, &laptop).await;
            under_way.insert("n", 1).unwrap();
            assert!(manager.end("user:1", laptop_id).await.unwrap());
            assert_eq!(
                under_way.finish(Outcome::Success).await.unwrap(),
                Directive::Nothing
            );
            assert!(open(&manager, &laptop).await.is_new(), "{backend:?}");
            assert!(
                !manager.end("user:1", laptop_id).await.unwrap(),
                "only once"
            );

            // Ids are no secret: that of somebody else does no harm.
            assert!(!manager.end("user:1", other_id).await.unwrap());
            assert!(!open(&manager, &other).await.is_new());

            let (third, _) = sign_in(&manager, "user:1").await;
            let here = open(&manager, &phone).await;
            assert_eq!(
                manager.sign_out_others(&here).await.unwrap(),
                1,
                "{backend:?}"
            );
            assert!(open(&manager, &third).await.is_new());
            assert!(!open(&manager, &phone).await.is_new());
            let nobody = anonymous(&manager).await;
            assert_eq!(manager.sign_out_others(&nobody).await.unwrap(), 0);

            assert_eq!(manager.sign_out_everywhere("user:1").await.unwrap(), 1);
            assert!(open(&manager, &phone).await.is_new());
            assert!(!open(&manager, &other).await.is_new(), "{backend:?}");
        };
        run.now_or_never().unwrap();
    }
}

#[test]
fn others_are_signed_out_by_who_has_just_signed_in() {
    for backend in Backend::SERVER {
        let (manager, _, _) = stage(backend.store(), |builder| builder);
        let run = async {
            sign_in(&manager, "user:1").await;
            // A change of password: sign in anew, and everywhere else out.
            let session = anonymous(&manager).await;
            session.sign_in("user:1").unwrap();
            assert_eq!(manager.sign_out_others(&session).await.unwrap(), 1);
            session.finish(Outcome::Success).await.unwrap();
            assert_eq!(
                ids(&manager, "user:1").await,
                [session.id().unwrap()],
                "{backend:?}"
            );
        };
        run.now_or_never().unwrap();
    }
}

#[test]
fn a_sealed_store_says_that_it_cannot() {
    for backend in [Backend::Signed, Backend::Encrypted] {
        let (manager, _, _) = stage(backend.store(), |builder| builder);
        let run = async {
            let unsupported = |error: SessionError| {
                assert!(
                    matches!(error, SessionError::Store(StoreError::Unsupported(_))),
                    "{error}"
                );
            };
            let id = SessionId::from_bytes([1; 16]);
            unsupported(manager.sessions_of("user:1").await.unwrap_err());
            unsupported(manager.sign_out_everywhere("user:1").await.unwrap_err());
            unsupported(manager.end("user:1", id).await.unwrap_err());
            let session = anonymous(&manager).await;
            session.sign_in("user:1").unwrap();
            unsupported(manager.sign_out_others(&session).await.unwrap_err());
        };
        run.now_or_never().unwrap();
        let builder = || SessionManager::builder(backend.store());
        let refused = builder().rotation(session_core::Rotation::hourly()).build();
        assert!(refused.unwrap_err().to_string().contains("cannot rotate"));
        let refused = builder().max_sessions(2, OnMaxSessions::Refuse).build();
        assert!(refused.unwrap_err().to_string().contains("cannot count"));
    }
}

#[test]
fn the_oldest_session_makes_room() {
    for backend in Backend::SERVER {
        let (manager, _, clock) = stage(backend.store(), |builder| {
            builder.max_sessions(2, OnMaxSessions::RevokeOldest)
        });
        let run = async {
            let mut all = Vec::new();
            for _ in 0..4 {
                all.push(sign_in(&manager, "user:1").await);
                clock.advance(SECOND);
            }
            sign_in(&manager, "user:2").await;
            let left: BTreeSet<_> = ids(&manager, "user:1")
                .await
                .into_iter()
                .map(|id| id.encode())
                .collect();
            assert_eq!(
                left,
                [all[2].1.encode(), all[3].1.encode()].into(),
                "{backend:?}"
            );
            assert!(open(&manager, &all[1].0).await.is_new());

            // To sign in again in one of them is no other session, and makes it the latest.
            let session = open(&manager, &all[2].0).await;
            session.sign_in("user:1").unwrap();
            token_of(&session.finish(Outcome::Success).await.unwrap());
            sign_in(&manager, "user:1").await;
            let left = ids(&manager, "user:1").await;
            assert!(
                left.contains(&all[2].1) && !left.contains(&all[3].1),
                "{backend:?}"
            );
        };
        run.now_or_never().unwrap();
    }
}

#[test]
fn a_sign_in_too_many_is_refused() {
    for backend in Backend::SERVER {
        let (manager, _, clock) = stage(backend.store(), |builder| {
            builder.max_sessions(2, OnMaxSessions::Refuse)
        });
        let run = async {
            let (first, _) = sign_in(&manager, "user:1").await;
            sign_in(&manager, "user:1").await;
            let guest = anonymous(&manager).await;
            guest.insert("cart", 3).unwrap();
            let cart = token_of(&guest.finish(Outcome::Success).await.unwrap());
            let guest = open(&manager, &cart).await;
            guest.sign_in("user:1").unwrap();
            let refused = guest.finish(Outcome::Success).await.unwrap_err().error;
            assert!(
                matches!(refused, SessionError::TooManySessions { most: 2, .. }),
                "{backend:?}: {refused}"
            );
            let guest = open(&manager, &cart).await;
            assert_eq!(
                (guest.principal(), guest.get("cart").unwrap()),
                (None, Some(3)),
                "as it was"
            );

            // In a session of one's own one may sign in again.
            let session = open(&manager, &first).await;
            session.sign_in("user:1").unwrap();
            token_of(&session.finish(Outcome::Success).await.unwrap());

            // What died of idleness does not count.
            clock.advance(Duration::from_secs(7200));
            guest.sign_in("user:1").ok();
            sign_in(&manager, "user:1").await;
            assert_eq!(ids(&manager, "user:1").await.len(), 1, "{backend:?}");
        };
        run.now_or_never().unwrap();
    }
}

#[test]
fn the_maximum_counts_the_sessions_of_one_scope() {
    let store = Backend::Memory.store();
    let scoped = |name: &str| {
        let builder = SessionManager::builder(Arc::clone(&store)).scope(name.to_owned());
        builder
            .max_sessions(1, OnMaxSessions::Refuse)
            .build()
            .unwrap()
    };
    let (users, admins) = (scoped("users"), scoped("admins"));
    let run = async {
        sign_in(&users, "user:1").await;
        sign_in(&admins, "user:1").await;
        assert_eq!(
            users.sessions_of("user:1").await.unwrap().len(),
            2,
            "but all are listed"
        );
    };
    run.now_or_never().unwrap();
}

/// Sign-ins at once on processes whose clocks differ; how many of them the cap let through.
fn sign_ins_at_once(backend: Backend, seed: u64, beyond: OnMaxSessions) {
    let mut sim = Sim::new(seed);
    let store = backend.yielding(seed);
    let most = 1 + sim.rng().below(4);
    let late = ManualClock::new(sim.clock().now() + 5 * SECOND);
    let build = |clock: Arc<ManualClock>| {
        let builder = SessionManager::builder(Arc::clone(&store)).clock(clock);
        builder.max_sessions(most, beyond).build().unwrap()
    };
    let processes = [build(sim.clock()), build(late)];
    for _ in 0..sim.rng().below(4) {
        let who = sim.rng().below(2);
        let manager = processes[who].clone();
        sim.block_on(async {
            let session = anonymous(&manager).await;
            session.sign_in("user:1").unwrap();
            session.finish(Outcome::Success).await.ok();
        });
    }
    let count = 2 + sim.rng().below(6);
    let before = sim.block_on(ids(&processes[0], "user:1")).len();
    let outputs: Vec<_> = (0..count)
        .map(|who| {
            let manager = processes[who % 2].clone();
            sim.spawn(async move {
                let session = anonymous(&manager).await;
                session.sign_in("user:1").unwrap();
                let finished = session.finish(Outcome::Success).await;
                match finished.map_err(SessionError::from) {
                    Ok(told) => Some(told),
                    Err(SessionError::TooManySessions { .. }) => None,
                    Err(error) => panic!("{error}"),
                }
            })
        })
        .collect();
    sim.run();
    let tokens: Vec<_> = outputs
        .into_iter()
        .filter_map(|output| match output.take() {
            Some(Directive::Hold(token)) => Some(token.as_str().to_owned()),
            _ => None,
        })
        .collect();
    sim.block_on(async {
        let left = ids(&processes[0], "user:1").await.len();
        assert_eq!(
            left,
            most.min(before + count),
            "{backend:?}, seed {seed}, {beyond:?}"
        );
        let mut live = 0;
        for token in &tokens {
            live += usize::from(!open(&processes[0], token).await.is_new());
        }
        let known = live <= left && live + before >= left;
        assert!(
            known,
            "{backend:?}, seed {seed}: {live} of those {left} are known to their clients"
        );
    });
}

#[test]
fn the_maximum_is_exact_once_all_sign_ins_have_returned() {
    for beyond in [OnMaxSessions::RevokeOldest, OnMaxSessions::Refuse] {
        for backend in Backend::SERVER {
            (0..1_000).for_each(|seed| sign_ins_at_once(backend, seed, beyond));
        }
    }
}

/// A sign-out everywhere in the middle of sign-ins and writes.
fn sign_out_races(backend: Backend, seed: u64) {
    let mut sim = Sim::new(seed);
    let store = backend.yielding(seed);
    let manager = SessionManager::builder(store)
        .clock(sim.clock())
        .build()
        .unwrap();
    let tokens: Vec<_> = (0..3)
        .map(|_| sim.block_on(sign_in(&manager, "user:1")).0)
        .collect();
    let (guest, _) = sim.block_on(sign_in(&manager, "user:2"));
    for token in tokens.iter().chain([&guest]) {
        for who in 0..3 {
            let (manager, token) = (manager.clone(), token.clone());
            sim.spawn(async move {
                let session = open(&manager, &token).await;
                pause().await;
                match who {
                    0 => session.insert("n", 1).unwrap(),
                    1 => session.renew().unwrap(),
                    _ => {
                        session
                            .update("m", |m: Option<u64>| m.unwrap_or(0) + 1)
                            .unwrap();
                    }
                }
                session.finish(Outcome::Success).await.unwrap();
            });
        }
    }
    let signing_in: Vec<_> = (0..2)
        .map(|_| {
            let manager = manager.clone();
            sim.spawn(async move { sign_in(&manager, "user:1").await.1 })
        })
        .collect();
    let out = {
        let manager = manager.clone();
        sim.spawn(async move { manager.sign_out_everywhere("user:1").await.unwrap() })
    };
    sim.run();
    let new: BTreeSet<_> = signing_in
        .into_iter()
        .map(|output| output.take().encode())
        .collect();
    let ended = out.take();
    sim.block_on(async {
        for token in &tokens {
            assert!(
                open(&manager, token).await.is_new(),
                "{backend:?}, seed {seed}"
            );
        }
        let left: BTreeSet<_> = ids(&manager, "user:1")
            .await
            .into_iter()
            .map(|id| id.encode())
            .collect();
        assert!(left.is_subset(&new), "{backend:?}, seed {seed}");
        assert_eq!(ended as usize + left.len(), 5, "{backend:?}, seed {seed}");
        assert_eq!(
            ids(&manager, "user:2").await.len(),
            1,
            "{backend:?}, seed {seed}"
        );
    });
}

#[test]
fn after_a_sign_out_everywhere_only_those_are_there_who_signed_in_after_it() {
    for backend in Backend::SERVER {
        (0..1_000).for_each(|seed| sign_out_races(backend, seed));
    }
}
