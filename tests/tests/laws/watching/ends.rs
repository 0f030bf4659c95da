//! Each end, here and on another node.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use session_core::store::{RecordKey, SessionStore};
use session_core::{
    Directive, EndReason, Ended, ManualClock, MemoryStore, OnMaxSessions, OnReuse, Outcome,
    Rotation, SessionManager, SessionManagerBuilder,
};
use session_tests::sim::pause;
use session_tests::story::clock;
use session_tests::{
    Backend, CountingStore, MigratingSite, Sim, YieldStore, open, sign_in, token_of,
};

use crate::watching::{IDLE, INTERVAL, MILLI, Socket, now};

/// Two processes over one store, by one clock.
struct Site {
    store: Arc<CountingStore<Arc<dyn SessionStore>>>,
    clock: Arc<ManualClock>,
    here: SessionManager,
    there: SessionManager,
}

fn site(
    store: Arc<dyn SessionStore>,
    set: impl Fn(SessionManagerBuilder) -> SessionManagerBuilder,
) -> Site {
    let (store, clock) = (CountingStore::new(store), clock());
    let manager = || {
        let builder = SessionManager::builder(Arc::clone(&store)).clock(Arc::clone(&clock));
        set(builder).build().unwrap()
    };
    let (here, there) = (manager(), manager());
    Site {
        store,
        clock,
        here,
        there,
    }
}

fn settings(reason: EndReason) -> impl Fn(SessionManagerBuilder) -> SessionManagerBuilder {
    move |builder| match reason {
        EndReason::TooMany => builder.max_sessions(1, OnMaxSessions::RevokeOldest),
        EndReason::Reused => builder
            .rotation(Rotation::every(INTERVAL).with_overlap(INTERVAL))
            .on_reuse(OnReuse::RevokeDespiteLostWrites),
        _ => builder,
    }
}

/// Ends the session of this token, or renews it, by this manager.
async fn end(site: &Site, manager: &SessionManager, token: &str, reason: EndReason) {
    let session = open(manager, token).await;
    let id = session.id();
    match reason {
        EndReason::Destroyed => session.destroy().unwrap(),
        EndReason::Exchanged => session.sign_in("bob").unwrap(),
        EndReason::Renewed => session.renew().unwrap(),
        EndReason::Revoked => {
            assert_eq!(manager.sign_out_everywhere("ann").await.unwrap(), 1);
        }
        EndReason::TooMany => {
            site.clock.advance(MILLI);
            sign_in(manager, "ann").await;
        }
        // To present the token once more was enough.
        EndReason::Reused => return,
        EndReason::Moved => {
            let moved = Ended::new(reason, manager.now());
            let store = manager.store();
            store
                .delete(&RecordKey::Id(id.unwrap()), moved)
                .await
                .unwrap();
        }
        EndReason::Unknown => {
            let (store, now) = (manager.store(), manager.now());
            let ended = Ended::new(EndReason::Revoked, now);
            store
                .delete(&RecordKey::Id(id.unwrap()), ended)
                .await
                .unwrap();
            store.delete_expired(now + INTERVAL * 20).await.unwrap();
        }
        other => panic!("{other:?} is shown elsewhere"),
    }
    drop(session.finish(Outcome::Success).await);
}

/// Rotates a token twice, so that the next one who presents it has a copy.
async fn rotate_away(site: &Site, token: &str) {
    site.clock.advance(INTERVAL);
    let session = open(&site.there, token).await;
    let next = token_of(&session.finish(Outcome::Success).await.unwrap());
    let session = open(&site.there, &next).await;
    session.finish(Outcome::Success).await.unwrap();
    site.clock.advance(INTERVAL);
}

#[test]
fn each_end_resolves_at_once_here_and_within_an_interval_elsewhere() {
    use EndReason::{Destroyed, Exchanged, Moved, Renewed, Reused, Revoked, TooMany, Unknown};
    for backend in Backend::SERVER {
        for reason in [
            Destroyed, Exchanged, Renewed, Revoked, TooMany, Reused, Moved, Unknown,
        ] {
            for is_here in [true, false] {
                let case = format!("{backend:?} {reason:?} here: {is_here}");
                let site = site(backend.store(), settings(reason));
                let (token, _) = now(sign_in(&site.here, "ann"));
                let session = now(open(&site.here, &token));
                drop(now(session.finish(Outcome::Success)));
                let mut socket = Socket::of(&session);
                assert_eq!(socket.poll(), None, "{case}");
                if reason == Reused {
                    now(rotate_away(&site, &token));
                    assert_eq!(socket.poll(), None, "{case}");
                }
                let by = if is_here { &site.here } else { &site.there };
                let began = site.clock.now();
                now(end(&site, by, &token, reason));
                // What the store was told behind the manager's back is seen by nobody at once.
                if matches!(reason, Moved | Unknown) || !is_here {
                    assert_eq!(socket.poll(), None, "{case}");
                    site.clock.advance(INTERVAL);
                }
                let ended = socket.poll().unwrap_or_else(|| panic!("{case}"));
                // The mark of a move is over at once, so few stores keep one.
                let unmarked = reason == Moved && ended.reason == Unknown;
                assert!(ended.reason == reason || unmarked, "{case}: {ended:?}");
                assert!(began <= ended.at && ended.at <= site.clock.now(), "{case}");
            }
        }
    }
}

#[test]
fn every_way_to_sign_out_wakes_who_has_to_know_and_nobody_else() {
    for backend in Backend::SERVER {
        let site = site(backend.store(), |builder| builder);
        let ids = ["ann", "ann", "ann", "bob"].map(|name| now(sign_in(&site.here, name)));
        let sessions = ids.clone().map(|(token, _)| now(open(&site.here, &token)));
        let mut sockets = sessions.each_ref().map(|session| Socket::of(session));
        for socket in &mut sockets {
            assert_eq!(socket.poll(), None);
        }
        let ended = |sockets: &mut [Socket; 4]| sockets.each_mut().map(|socket| socket.reason());
        let revoked = Some(EndReason::Revoked);
        site.store.take();
        assert!(now(site.here.end("ann", ids[0].1)).unwrap());
        assert_eq!(ended(&mut sockets), [revoked, None, None, None]);
        assert_eq!(now(site.here.sign_out_others(&sessions[1])).unwrap(), 1);
        sockets[0] = Socket::of(&sessions[0]);
        assert_eq!(ended(&mut sockets), [revoked, None, revoked, None]);
        // Three deletions, and the looks of those that they concern.
        assert_eq!((site.store.take().loads), 3, "{backend:?}");
    }
}

#[test]
fn it_expires_with_its_last_activity_wherever_that_was() {
    for backend in Backend::SERVER {
        let site = site(backend.store(), |builder| builder);
        let (token, _) = now(sign_in(&site.here, "ann"));
        let session = now(open(&site.here, &token));
        let mut socket = Socket::of(&session);
        assert_eq!(socket.poll(), None);
        let last = Duration::from_secs(3_600);
        site.clock.advance(last);
        let elsewhere = now(open(&site.there, &token));
        now(elsewhere.finish(Outcome::Success)).unwrap();
        let expires = site.clock.now() + IDLE;
        // Just before the end it looks at the very moment, and not an interval later.
        for advance in [MILLI, IDLE - MILLI * 2] {
            site.clock.advance(advance);
            assert_eq!(socket.poll(), None, "{backend:?}");
        }
        site.clock.advance(MILLI);
        let ended = socket.poll().unwrap();
        assert_eq!(
            ended,
            Ended::new(EndReason::Expired, expires),
            "{backend:?}"
        );
        // And for who comes later.
        let late = Socket::of(&session).poll();
        assert_eq!(late.map(|ended| ended.reason), Some(EndReason::Expired));
    }
}

#[test]
fn an_expired_session_that_was_swept_has_expired_all_the_same() {
    let site = site(Backend::Memory.store(), |builder| builder);
    let (token, _) = now(sign_in(&site.here, "ann"));
    let session = now(open(&site.here, &token));
    let expires = session.expires_at().unwrap();
    let mut socket = Socket::of(&session);
    assert_eq!(socket.poll(), None);
    site.clock.advance(IDLE * 2);
    assert_eq!(
        now(site.here.store().delete_expired(site.clock.now())).unwrap(),
        1
    );
    assert_eq!(socket.poll(), Some(Ended::new(EndReason::Expired, expires)));
    assert_eq!(
        Socket::of(&session).poll(),
        Some(Ended::new(EndReason::Expired, expires)),
        "by what the handle knows"
    );
}

/// Watchers, writers and sign-outs in many orders of their steps: each socket ends, with the reason
/// that the store has, and none before.
#[test]
fn in_any_order_of_steps_each_socket_ends_and_none_before_its_session() {
    for seed in 0..400 {
        let mut sim = Sim::new(seed);
        // Half of them in a store from which sessions move to another.
        let store: Arc<dyn SessionStore> = match seed % 2 {
            0 => Arc::new(MemoryStore::new()),
            _ => Arc::new(MigratingSite::new(Backend::Memory, Backend::Fields, seed).with(0, 5)),
        };
        let managers = [0, 1].map(|n| {
            let store = YieldStore::new(Arc::clone(&store), seed * 2 + n);
            sim.manager(store)
        });
        let signed_out = Rc::new(Cell::new(false));
        let (token, _) = sim.block_on(sign_in(&managers[0], "ann"));
        let mut sockets = Vec::new();
        for n in 0..4 {
            let manager = managers[n % 2].clone();
            let (token, signed_out) = (token.clone(), Rc::clone(&signed_out));
            sockets.push(sim.spawn(async move {
                let session = open(&manager, &token).await;
                let ended = session.ended();
                if session.is_new() {
                    assert!(signed_out.get(), "seed {seed}");
                    return;
                }
                session.insert("n", n).unwrap();
                drop(session.finish(Outcome::Success).await);
                let ended = ended.await;
                assert!(signed_out.get(), "seed {seed}: {ended:?}");
                assert_eq!(ended.reason, EndReason::Revoked, "seed {seed}");
            }));
        }
        let last = managers[0].clone();
        sim.spawn(async move {
            pause().await;
            signed_out.set(true);
            last.sign_out_everywhere("ann").await.unwrap();
        });
        sim.run();
        sockets.into_iter().for_each(|socket| socket.take());
    }
}

/// The look that is shared may be older than the handle that joins.
#[test]
fn a_look_from_before_a_renewal_elsewhere_ends_nobody_who_came_after_it() {
    let site = site(Backend::Memory.store(), |builder| builder);
    let (token, _) = now(sign_in(&site.here, "ann"));
    let mut before = Socket::of(&now(open(&site.here, &token)));
    assert_eq!(before.poll(), None);
    let renewing = now(open(&site.there, &token));
    renewing.renew().unwrap();
    let token = token_of(&now(renewing.finish(Outcome::Success)).unwrap());
    let mut after = Socket::of(&now(open(&site.here, &token)));
    assert_eq!((before.poll(), after.poll()), (None, None));
    site.clock.advance(INTERVAL);
    assert_eq!(before.reason(), Some(EndReason::Renewed));
    site.clock.advance(INTERVAL * 2);
    assert_eq!(after.poll(), None);
}

/// It is the same session, wherever its record lies and whichever token opens it.
#[test]
fn neither_a_move_nor_a_rotation_ends_a_session() {
    for seed in 0..200 {
        let mut sim = Sim::new(seed);
        let site = MigratingSite::new(Backend::Fields, Backend::Replace, seed);
        let managers = [&site.waiting, &site.moving].map(|node| {
            let builder = SessionManager::builder(Arc::clone(node)).clock(sim.clock());
            let builder = builder.rotation(Rotation::every(MILLI));
            builder.watch_interval(MILLI).build().unwrap()
        });
        let (token, _) = sim.block_on(sign_in(&managers[0], "ann"));
        let signed_out = Rc::new(Cell::new(false));
        let mut sockets = Vec::new();
        for manager in managers.clone() {
            let (token, signed_out) = (token.clone(), Rc::clone(&signed_out));
            sockets.push(sim.spawn(async move {
                let session = open(&manager, &token).await;
                if session.is_new() {
                    assert!(signed_out.get(), "seed {seed}");
                    return;
                }
                let ended = session.ended().await;
                assert!(signed_out.get(), "seed {seed}: {ended:?}");
                assert_eq!(ended.reason, EndReason::Revoked, "seed {seed}");
            }));
        }
        let (last, clock) = (managers[1].clone(), sim.clock());
        sim.spawn(async move {
            let mut token = token;
            for n in 0..3 {
                clock.advance(MILLI);
                pause().await;
                let session = open(&last, &token).await;
                session.insert("n", n).unwrap();
                if let Directive::Hold(next) = session.finish(Outcome::Success).await.unwrap() {
                    token = next.as_str().to_owned();
                }
            }
            signed_out.set(true);
            last.sign_out_everywhere("ann").await.unwrap();
        });
        sim.run();
        sockets.into_iter().for_each(|socket| socket.take());
    }
}
