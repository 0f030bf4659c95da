//! Law 13: late requests do no harm. A request is judged by the time at which it arrived, and what
//! has ended since, or within the minute before, makes it anonymous and mute.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use session_core::store::RecordKey;
use session_core::{
    Directive, EndReason, Event, EventKind, KeyRing, ManualClock, OnMaxSessions, OnReuse, Outcome,
    Rotation, SessionGuard, SessionManager, SessionManagerBuilder, Timestamp,
};
use session_tests::sim::pause;
use session_tests::story::clock;
use session_tests::{
    Backend, Counted, Counts, Sim, anonymous, create, open, sign_in, stage, token_of,
};

const MILLI: Duration = Duration::from_millis(1);
const MINUTE: Duration = Duration::from_secs(60);

/// A browser's cookie, as the answers change it in the order in which they arrive.
#[derive(Clone, Default)]
struct Jar(Rc<RefCell<Option<String>>>);

impl Jar {
    fn hears(&self, directive: &Directive) {
        match directive {
            Directive::Hold(token) => *self.0.borrow_mut() = Some(token.as_str().to_owned()),
            Directive::Forget => *self.0.borrow_mut() = None,
            Directive::Nothing => {}
        }
    }

    /// Opens the session of the cookie that is there now.
    async fn open(&self, manager: &SessionManager) -> SessionGuard {
        let token = self.0.borrow().clone();
        let tokens: Vec<_> = token.as_deref().into_iter().collect();
        manager.begin(&tokens).await.unwrap()
    }
}

/// Ann's session ends, and Bob signs in, while pages of hers are under way.
fn changes_hands(backend: Backend, seed: u64, views: usize, signs_out: bool) {
    let mut sim = Sim::new(seed);
    let store = backend.yielding(seed);
    let managers = [0, 1].map(|_| {
        let builder = SessionManager::builder(Arc::clone(&store)).clock(sim.clock());
        builder.build().unwrap()
    });
    let jar = Jar::default();
    let (token, _) = sim.block_on(sign_in(&managers[0], "ann"));
    jar.hears(&Directive::Nothing);
    *jar.0.borrow_mut() = Some(token.clone());
    for view in 0..views {
        let (manager, token, jar) = (managers[view % 2].clone(), token.clone(), jar.clone());
        let arrived = manager.now();
        sim.spawn(async move {
            let session = manager.begin_at(&[token.as_str()], arrived).await.unwrap();
            session
                .update("visits", |visits: Option<u64>| visits.unwrap_or(0) + 1)
                .unwrap();
            pause().await;
            jar.hears(&session.finish(Outcome::Success).await.unwrap());
        });
    }
    let (manager, switching) = (managers[0].clone(), jar.clone());
    sim.spawn(async move {
        if signs_out {
            let session = switching.open(&manager).await;
            session.destroy().unwrap();
            switching.hears(&session.finish(Outcome::Success).await.unwrap());
        }
        let session = switching.open(&manager).await;
        session.sign_in("bob").unwrap();
        switching.hears(&session.finish(Outcome::Success).await.unwrap());
    });
    sim.run();
    let signed_in = sim.block_on(jar.open(&managers[1]));
    assert_eq!(
        signed_in.principal().as_deref(),
        Some("bob"),
        "{backend:?}, seed {seed}, {views} views, signs out: {signs_out}"
    );
}

#[test]
fn no_page_of_the_former_principal_takes_the_cookie_of_the_next_one() {
    for backend in Backend::SERVER {
        for views in [1, 3] {
            for signs_out in [false, true] {
                (0..400).for_each(|seed| changes_hands(backend, seed, views, signs_out));
            }
        }
    }
}

/// A manager that rotates, and how often it was told of reuse.
fn rotating(
    backend: Backend,
    ttl: Duration,
    keys: bool,
) -> (SessionManager, Arc<ManualClock>, Arc<AtomicU64>) {
    let (clock, reused) = (clock(), Arc::new(AtomicU64::new(0)));
    let count = Arc::clone(&reused);
    let rotation = Rotation::every(ttl);
    let mut builder = SessionManager::builder(backend.store())
        .clock(Arc::clone(&clock))
        .rotation(rotation)
        .on_reuse(OnReuse::RevokeDespiteLostWrites)
        .observer(move |event: &Event<'_>| {
            count.fetch_add(
                u64::from(event.kind == EventKind::Reused),
                Ordering::Relaxed,
            );
        });
    if keys {
        builder = builder.keys(KeyRing::new([7; 32]).unwrap());
    }
    (builder.build().unwrap(), clock, reused)
}

/// A request with the newest token; the token that is the newest afterwards.
async fn poll(manager: &SessionManager, token: String) -> String {
    let session = open(manager, &token).await;
    assert_eq!(
        session.principal().as_deref(),
        Some("ann"),
        "the owner is out"
    );
    match session.finish(Outcome::Success).await.unwrap() {
        Directive::Hold(token) => token.as_str().to_owned(),
        Directive::Nothing => token,
        Directive::Forget => panic!("told to forget"),
    }
}

/// An upload whose body takes this long, while the same browser polls twice a second.
async fn upload(backend: Backend, ttl: Duration, body: Duration, keys: bool) {
    let (manager, clock, reused) = rotating(backend, ttl, keys);
    let what = format!("{backend:?}, ttl {ttl:?}, body {body:?}, keys {keys}");
    let (token, id) = sign_in(&manager, "ann").await;
    let mut newest = token;
    // A session in full use, whose tokens have rotated for a while.
    for _ in 0..40 {
        clock.advance(Duration::from_millis(500));
        newest = poll(&manager, newest).await;
    }
    let (sent, arrived) = (newest.clone(), manager.now());
    let mut waited = Duration::ZERO;
    while waited < body {
        let step = Duration::from_millis(500).min(body - waited);
        clock.advance(step);
        waited += step;
        newest = poll(&manager, newest).await;
    }
    let late = manager.begin_at(&[sent.as_str()], arrived).await.unwrap();
    if body <= Duration::from_secs(30) {
        assert_eq!(late.id(), Some(id), "{what}");
        late.insert("upload", 1).unwrap();
        let told = late.finish(Outcome::Success).await.unwrap();
        assert!(sent == newest || told == Directive::Nothing, "{what}");
        assert!(
            open(&manager, &newest).await.contains_key("upload"),
            "{what}"
        );
    } else if late.is_new() {
        late.insert("upload", 1).unwrap();
        assert_eq!(
            late.finish(Outcome::Success).await.unwrap(),
            Directive::Nothing,
            "{what}"
        );
    }
    assert_eq!(reused.load(Ordering::Relaxed), 0, "{what}");
    poll(&manager, newest).await;
}

#[test]
fn a_slow_upload_goes_on_with_its_session_and_is_no_theft() {
    let bodies = [
        500, 1_000, 3_000, 5_000, 9_000, 10_000, 11_000, 16_000, 20_000, 30_000, 45_000, 61_000,
        90_000, 300_000,
    ];
    for backend in Backend::SERVER {
        for ttl in [1, 5] {
            for body in bodies {
                for keys in [false, true] {
                    let run = upload(
                        backend,
                        Duration::from_secs(ttl),
                        Duration::from_millis(body),
                        keys,
                    );
                    run.now_or_never().unwrap();
                }
            }
        }
    }
}

/// What was theft when it arrived is theft however late somebody asks.
#[test]
fn a_late_request_with_a_token_that_was_over_when_it_arrived_is_theft() {
    for backend in Backend::SERVER {
        for late in [0, 1, 9, 11, 40] {
            let (manager, clock, reused) = rotating(backend, Duration::from_secs(5), true);
            let run = async {
                let (stolen, _) = sign_in(&manager, "ann").await;
                let mut newest = stolen.clone();
                for _ in 0..20 {
                    clock.advance(Duration::from_secs(1));
                    newest = poll(&manager, newest).await;
                }
                let arrived = manager.now();
                for _ in 0..late {
                    clock.advance(Duration::from_secs(1));
                    newest = poll(&manager, newest).await;
                }
                let thief = manager.begin_at(&[stolen.as_str()], arrived).await.unwrap();
                assert!(thief.is_new());
                assert_eq!(
                    reused.load(Ordering::Relaxed),
                    1,
                    "{backend:?}, {late} s late"
                );
                assert!(
                    open(&manager, &newest).await.is_new(),
                    "the session was revoked"
                );
                thief.insert("a", 1).unwrap();
                assert_eq!(
                    thief.finish(Outcome::Success).await.unwrap(),
                    Directive::Nothing
                );
            };
            run.now_or_never().unwrap();
        }
    }
}

fn plain(
    backend: Backend,
    set: impl FnOnce(SessionManagerBuilder) -> SessionManagerBuilder,
) -> Stage {
    let (manager, store, clock) = stage(backend.store(), set);
    Stage {
        manager,
        store,
        clock,
    }
}

struct Stage {
    manager: SessionManager,
    store: Counted,
    clock: Arc<ManualClock>,
}

/// Whether a request with this token, which arrived then, is mute.
async fn is_mute(stage: &Stage, token: &str, arrived: Timestamp) -> bool {
    stage.store.take();
    let is_mute = is_mute_of(stage, &[token], arrived).await;
    assert!(!is_mute || stage.store.take() == Counts::LOAD);
    is_mute
}

/// The same of a request with several tokens.
async fn is_mute_of(stage: &Stage, tokens: &[&str], arrived: Timestamp) -> bool {
    let session = stage.manager.begin_at(tokens, arrived).await.unwrap();
    assert!(session.is_new() && session.is_empty() && session.principal().is_none());
    session.insert("a", 1).unwrap();
    let told = session.finish(Outcome::Success).await.unwrap();
    assert_ne!(told, Directive::Forget);
    told == Directive::Nothing
}

/// Ends Ann's session, in each way that there is.
async fn end(stage: &Stage, token: &str, reason: EndReason) {
    let Stage { manager, clock, .. } = stage;
    let session = open(manager, token).await;
    match reason {
        EndReason::Destroyed => session.destroy().unwrap(),
        EndReason::Exchanged => session.sign_in("bob").unwrap(),
        EndReason::Revoked => drop(manager.sign_out_everywhere("ann").await.unwrap()),
        EndReason::TooMany => {
            clock.advance(MILLI);
            sign_in(manager, "ann").await;
        }
        other => panic!("{other:?} is shown elsewhere"),
    }
    session.finish(Outcome::Success).await.unwrap();
}

#[test]
fn what_has_ended_makes_requests_mute_for_a_minute_and_says_why() {
    use EndReason::{Destroyed, Exchanged, Revoked, TooMany};
    for backend in Backend::SERVER {
        for reason in [Destroyed, Exchanged, Revoked, TooMany] {
            let stage = plain(backend, |builder| match reason {
                TooMany => builder.max_sessions(1, OnMaxSessions::RevokeOldest),
                _ => builder,
            });
            let (manager, clock) = (&stage.manager, &stage.clock);
            let run = async {
                let (token, id) = sign_in(manager, "ann").await;
                let before = manager.now();
                clock.advance(Duration::from_secs(20));
                assert_eq!(manager.why_ended(id).await.unwrap(), None);
                end(&stage, &token, reason).await;
                let ended = manager.why_ended(id).await.unwrap().unwrap();
                assert_eq!(
                    (ended.reason, ended.at),
                    (reason, manager.now()),
                    "{backend:?}"
                );
                for arrived in [before, ended.at] {
                    assert!(
                        is_mute(&stage, &token, arrived).await,
                        "{backend:?} {reason:?}"
                    );
                }
                clock.advance(MINUTE - MILLI);
                assert!(
                    is_mute(&stage, &token, manager.now()).await,
                    "{backend:?} {reason:?}"
                );
                assert!(manager.why_ended(id).await.unwrap().is_some());
                clock.advance(MILLI);
                assert_eq!(manager.why_ended(id).await.unwrap(), None);
                // A minute later it is a stranger's, and nothing of it is stored.
                let now = manager.now();
                assert!(
                    is_mute(&stage, &token, before).await,
                    "it arrived before the end"
                );
                assert!(
                    !is_mute(&stage, &token, now).await,
                    "{backend:?} {reason:?}"
                );
                manager.store().delete_expired(now).await.unwrap();
                let left = manager
                    .store()
                    .load(&RecordKey::Id(id), ended.at)
                    .await
                    .unwrap();
                assert!(left.is_none(), "{backend:?} {reason:?}");
            };
            run.now_or_never().unwrap();
        }
    }
}

/// However long the request takes.
#[test]
fn who_was_under_way_when_a_session_ended_stays_mute() {
    for backend in Backend::SERVER {
        for seconds in [1, 30, 59, 60, 61, 90, 3_600] {
            let stage = plain(backend, |builder| builder);
            let run = async {
                let (token, _) = sign_in(&stage.manager, "ann").await;
                let arrived = stage.manager.now();
                stage.clock.advance(MILLI);
                end(&stage, &token, EndReason::Destroyed).await;
                stage.clock.advance(Duration::from_secs(seconds));
                assert!(
                    is_mute(&stage, &token, arrived).await,
                    "{backend:?}, {seconds} s"
                );
            };
            run.now_or_never().unwrap();
        }
    }
}

#[test]
fn a_renewal_makes_requests_with_former_tokens_mute_for_a_minute() {
    let all = Backend::SERVER
        .into_iter()
        .flat_map(|backend| [(backend, false), (backend, true)]);
    for (backend, keys) in all {
        let stage = plain(backend, |builder| match keys {
            true => builder.keys(KeyRing::new([7; 32]).unwrap()),
            false => builder,
        });
        let (manager, clock) = (&stage.manager, &stage.clock);
        let run = async {
            let guest = create(manager, [("cart", 1)]).await;
            let before = manager.now();
            clock.advance(MILLI);
            let session = open(manager, &guest).await;
            session.sign_in("ann").unwrap();
            let token = token_of(&session.finish(Outcome::Success).await.unwrap());
            clock.advance(MINUTE - MILLI);
            assert!(is_mute(&stage, &guest, manager.now()).await);
            clock.advance(Duration::from_secs(3_000));
            // With another renewal the record forgets what was renewed long ago.
            let session = open(manager, &token).await;
            session.renew().unwrap();
            let token = token_of(&session.finish(Outcome::Success).await.unwrap());
            assert!(
                is_mute(&stage, &guest, before).await,
                "it arrived before the renewal"
            );
            assert!(!is_mute(&stage, &guest, manager.now()).await);
            assert_eq!(open(manager, &token).await.len(), 1, "{backend:?}");
        };
        run.now_or_never().unwrap();
    }
}

#[test]
fn a_sign_in_in_a_mute_request_begins_a_session_of_its_own() {
    for backend in Backend::SERVER {
        let stage = plain(backend, |builder| builder);
        let run = async {
            let (token, id) = sign_in(&stage.manager, "ann").await;
            end(&stage, &token, EndReason::Revoked).await;
            let session = open(&stage.manager, &token).await;
            session.insert("own", 1).unwrap();
            session.sign_in("ann").unwrap();
            let token = token_of(&session.finish(Outcome::Success).await.unwrap());
            let session = open(&stage.manager, &token).await;
            assert_eq!(session.principal().as_deref(), Some("ann"), "{backend:?}");
            assert_eq!(session.get("own").unwrap(), Some(1));
            assert_ne!(session.id(), Some(id));
        };
        run.now_or_never().unwrap();
    }
}

/// Somebody who was signed out elsewhere sees a sign-in form, and can send it.
#[test]
fn a_form_that_a_mute_request_shows_can_be_sent_by_the_next_one() {
    let stage = plain(Backend::Memory, |builder| builder);
    let run = async {
        let (token, _) = sign_in(&stage.manager, "ann").await;
        let (other, _) = sign_in(&stage.manager, "ann").await;
        end(&stage, &token, EndReason::Revoked).await;
        let form = open(&stage.manager, &token).await.csrf_token().unwrap();
        let session = open(&stage.manager, &token).await;
        assert!(session.verify_csrf(&form));
        session.sign_in("ann").unwrap();
        let new = token_of(&session.finish(Outcome::Success).await.unwrap());
        for elsewhere in [other.as_str(), new.as_str(), "not a token"] {
            assert!(!open(&stage.manager, elsewhere).await.verify_csrf(&form));
        }
        assert!(!anonymous(&stage.manager).await.verify_csrf(&form));
    };
    run.now_or_never().unwrap();
}

/// What is not known of a late request may have ended meanwhile. A new client has nothing that
/// could.
#[test]
fn a_late_request_with_an_unknown_token_is_mute_and_a_new_client_is_not() {
    for backend in Backend::SERVER {
        let stage = plain(backend, |builder| builder);
        let run = async {
            let unknown = "A".repeat(43);
            let arrived = stage.manager.now();
            assert!(!is_mute(&stage, &unknown, arrived).await);
            stage.clock.advance(Duration::from_secs(9));
            assert!(!is_mute(&stage, &unknown, arrived).await);
            stage.clock.advance(Duration::from_secs(1));
            assert!(is_mute(&stage, &unknown, arrived).await, "{backend:?}");
            let session = stage.manager.begin_at(&[], arrived).await.unwrap();
            session.insert("a", 1).unwrap();
            token_of(&session.finish(Outcome::Success).await.unwrap());
            // What is no token of ours says nothing of a session.
            assert!(!is_mute_of_nothing(&stage, "garbage", arrived).await);
        };
        run.now_or_never().unwrap();
    }
}

async fn is_mute_of_nothing(stage: &Stage, token: &str, arrived: Timestamp) -> bool {
    let session = stage.manager.begin_at(&[token], arrived).await.unwrap();
    session.insert("a", 1).unwrap();
    session.finish(Outcome::Success).await.unwrap() == Directive::Nothing
}

/// A clock that differs a little between two servers judges nobody.
#[test]
fn an_arrival_in_the_future_is_one_now() {
    let stage = plain(Backend::Memory, |builder| builder);
    let run = async {
        let (token, id) = sign_in(&stage.manager, "ann").await;
        let ahead = stage.manager.now() + Duration::from_secs(3);
        let session = stage
            .manager
            .begin_at(&[token.as_str()], ahead)
            .await
            .unwrap();
        assert_eq!(session.id(), Some(id));
    };
    run.now_or_never().unwrap();
}

/// It knew of a session when it arrived. Whoever has signed in since has another cookie.
#[test]
fn a_request_whose_session_expired_under_way_is_mute_and_one_that_came_later_is_not() {
    for backend in Backend::SERVER {
        for late in [1, 2_000, 9_999, 10_000, 70_000] {
            let stage = plain(backend, |builder| builder);
            let (manager, clock) = (&stage.manager, &stage.clock);
            let run = async {
                let (token, _) = sign_in(manager, "ann").await;
                clock.advance(Duration::from_secs(2 * 3_600) - MILLI);
                let before = manager.now();
                clock.advance(Duration::from_millis(late));
                let what = format!("{backend:?}, {late} ms late");
                assert!(is_mute(&stage, &token, before).await, "{what}");
                assert!(!is_mute(&stage, &token, manager.now()).await, "{what}");
            };
            run.now_or_never().unwrap();
        }
    }
}

/// A token that was superseded at 6 s, and the newest one.
async fn superseded(stage: &Stage) -> (String, String) {
    let Stage { manager, clock, .. } = stage;
    let (first, _) = sign_in(manager, "ann").await;
    clock.advance(Duration::from_secs(5));
    let second = poll(manager, first.clone()).await;
    assert_ne!(first, second);
    clock.advance(Duration::from_secs(1));
    (first, poll(manager, second).await)
}

#[test]
fn a_rotated_token_makes_requests_mute_for_a_minute_where_reuse_is_only_reported() {
    let unknown = "A".repeat(43);
    for backend in Backend::SERVER {
        let stage = plain(backend, |builder| builder.rotation(Rotation::default()));
        let clock = &stage.clock;
        let run = async {
            let (first, newest) = superseded(&stage).await;
            clock.advance(Duration::from_secs(10));
            for wait in [Duration::ZERO, Duration::from_secs(50) - MILLI] {
                clock.advance(wait);
                let now = stage.manager.now();
                assert!(is_mute(&stage, &first, now).await, "{backend:?}");
                for both in [[&*first, &*unknown], [&*unknown, &*first]] {
                    assert!(is_mute_of(&stage, &both, now).await, "{backend:?}");
                }
            }
            clock.advance(MILLI);
            let now = stage.manager.now();
            assert!(!is_mute(&stage, &first, now).await, "{backend:?}");
            assert!(
                !is_mute_of(&stage, &[&*first, &*unknown], now).await,
                "{backend:?}"
            );
            poll(&stage.manager, newest).await;
        };
        run.now_or_never().unwrap();
    }
}

#[test]
fn a_request_of_several_tokens_is_mute_if_one_of_their_sessions_ended_and_none_is_live() {
    let unknown = "A".repeat(43);
    for backend in Backend::SERVER {
        let stage = plain(backend, |builder| builder);
        let run = async {
            let (over, _) = sign_in(&stage.manager, "ann").await;
            let (live, id) = sign_in(&stage.manager, "bob").await;
            end(&stage, &over, EndReason::Revoked).await;
            let now = stage.manager.now();
            for both in [[&*over, &*unknown], [&*unknown, &*over]] {
                assert!(is_mute_of(&stage, &both, now).await, "{backend:?}");
            }
            for both in [[&*over, &*live], [&*live, &*over]] {
                let session = stage.manager.begin(&both).await.unwrap();
                assert_eq!(session.id(), Some(id), "{backend:?}");
                session.insert("own", both[0]).unwrap();
                session.finish(Outcome::Success).await.unwrap();
                let stored = open(&stage.manager, &live)
                    .await
                    .get::<String>("own")
                    .unwrap();
                assert_eq!(stored.as_deref(), Some(both[0]), "{backend:?}");
            }
        };
        run.now_or_never().unwrap();
    }
}

#[test]
fn a_request_of_several_tokens_that_revokes_its_session_is_mute() {
    let unknown = "A".repeat(43);
    for backend in Backend::SERVER {
        let stage = plain(backend, |builder| {
            builder
                .rotation(Rotation::default())
                .on_reuse(OnReuse::RevokeDespiteLostWrites)
        });
        let run = async {
            let (first, newest) = superseded(&stage).await;
            stage.clock.advance(Duration::from_secs(70));
            let now = stage.manager.now();
            assert!(
                is_mute_of(&stage, &[&*first, &*unknown], now).await,
                "{backend:?}"
            );
            assert!(open(&stage.manager, &newest).await.is_new(), "{backend:?}");
        };
        run.now_or_never().unwrap();
    }
}
