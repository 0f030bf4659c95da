//! Law 9: timeouts hold (S11, S12, S14).

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use session_core::{
    Directive, Lifetime, ManualClock, Outcome, Session, SessionManager, SessionManagerBuilder,
};
use session_tests::story::clock;
use session_tests::{Backend, TimelessStore, anonymous, create, open, stage, token_of};

const IDLE: Duration = Duration::from_millis(10_007);
const ABSOLUTE: Duration = Duration::from_millis(30_011);
const MILLI: Duration = Duration::from_millis(1);

fn lifetime() -> Lifetime {
    Lifetime::new(IDLE, ABSOLUTE).unwrap()
}

fn living(builder: SessionManagerBuilder) -> SessionManagerBuilder {
    builder.lifetime(lifetime())
}

/// Every store as it is, and as one that leaves all timeouts to others.
fn stages() -> Vec<(String, SessionManager, Arc<ManualClock>)> {
    let with_time = Backend::ALL.map(|backend| {
        let (manager, _, clock) = stage(backend.store(), living);
        (format!("{backend:?}"), manager, clock)
    });
    let timeless = Backend::ALL.map(|backend| {
        let (manager, _, clock) = stage(TimelessStore::new(backend.store()), living);
        (format!("{backend:?} that ignores time"), manager, clock)
    });
    with_time.into_iter().chain(timeless).collect()
}

/// One request; the token that the client then holds.
async fn request(manager: &SessionManager, token: &str, handler: impl FnOnce(&Session)) -> String {
    let session = open(manager, token).await;
    assert!(!session.is_new(), "it has ended early");
    handler(&session);
    match session.finish(Outcome::Success).await.unwrap() {
        Directive::Hold(new) => new.as_str().to_owned(),
        _ => token.to_owned(),
    }
}

#[test]
fn idle_expiry_strikes_at_the_exact_millisecond() {
    for (name, manager, clock) in stages() {
        let run = async {
            let token = create(&manager, [("n", 1)]).await;
            let expires = open(&manager, &token).await.expires_at().unwrap();
            assert_eq!(expires, clock.now() + IDLE);
            clock.advance(IDLE - MILLI);
            assert!(
                !open(&manager, &token).await.is_new(),
                "{name}: one millisecond before"
            );
            clock.advance(MILLI);
            assert!(
                open(&manager, &token).await.is_new(),
                "{name}: at the instant"
            );
            clock.advance(ABSOLUTE);
            assert!(open(&manager, &token).await.is_new(), "{name}: long after");
        };
        run.now_or_never().unwrap();
    }
}

/// Keeps a session busy by `handler` until its absolute deadline, to the millisecond.
fn busy(what: &str, handler: impl Fn(&Session, u64)) {
    for (name, manager, clock) in stages() {
        let run = async {
            let begin = clock.now();
            let mut token = create(&manager, [("n", 1)]).await;
            let step = Duration::from_secs(3);
            for round in 0..10 {
                clock.advance(step);
                token = request(&manager, &token, |session| handler(session, round)).await;
            }
            clock.advance((begin + ABSOLUTE).duration_since(clock.now()) - MILLI);
            token = request(&manager, &token, |session| handler(session, 99)).await;
            clock.advance(MILLI);
            assert!(
                open(&manager, &token).await.is_new(),
                "{name}: moved by {what}"
            );
        };
        run.now_or_never().unwrap();
    }
}

#[test]
fn the_absolute_deadline_is_not_moved_by_activity() {
    busy("reading", |session, _| assert!(session.contains_key("n")));
    busy("writing", |session, round| {
        session.insert("n", round).unwrap();
    });
}

#[test]
fn the_absolute_deadline_is_not_moved_by_a_renewal_a_label_or_a_save() {
    busy("a renewal", |session, _| session.renew().unwrap());
    busy("a label", |session, _| session.set_label("phone").unwrap());
    busy("a save", |session, round| {
        session.insert("n", round).unwrap();
        session.save().now_or_never().unwrap().unwrap();
    });
    busy("all of them", |session, round| {
        session.insert("n", round).unwrap();
        session.set_label("phone").unwrap();
        session.renew().unwrap();
        session.save().now_or_never().unwrap().unwrap();
        session.clear();
    });
}

#[test]
fn the_absolute_deadline_is_not_moved_by_a_longer_lifetime() {
    let long = Lifetime::new(IDLE, ABSOLUTE * 100).unwrap();
    busy("set_lifetime", move |session, _| session.set_lifetime(long));
}

#[test]
fn set_lifetime_shortens() {
    for (name, manager, clock) in stages() {
        let run = async {
            let begin = clock.now();
            let token = create(&manager, [("n", 1)]).await;
            clock.advance(IDLE / 2);
            let short = Lifetime::new(IDLE, Duration::from_secs(12)).unwrap();
            let token = request(&manager, &token, |session| session.set_lifetime(short)).await;
            let long = Lifetime::new(IDLE, ABSOLUTE * 100).unwrap();
            let token = request(&manager, &token, |session| session.set_lifetime(long)).await;
            let expires = open(&manager, &token).await.expires_at().unwrap();
            assert_eq!(expires, begin + Duration::from_secs(12), "{name}");
            clock.advance(expires.duration_since(clock.now()) - MILLI);
            assert!(!open(&manager, &token).await.is_new());
            clock.advance(MILLI);
            assert!(open(&manager, &token).await.is_new(), "{name}");
        };
        run.now_or_never().unwrap();
    }
}

#[test]
fn set_lifetime_below_the_age_ends_the_session_at_once() {
    for (name, manager, clock) in stages() {
        let run = async {
            let token = create(&manager, [("n", 1)]).await;
            clock.advance(IDLE / 2);
            let short = Lifetime::new(Duration::from_secs(1), Duration::from_secs(2)).unwrap();
            let session = open(&manager, &token).await;
            session.set_lifetime(short);
            let held = match session.finish(Outcome::Success).await.unwrap() {
                Directive::Hold(new) => Some(new.as_str().to_owned()),
                Directive::Forget => None,
                Directive::Nothing => Some(token),
            };
            if let Some(token) = held {
                assert!(
                    open(&manager, &token).await.is_new(),
                    "{name}: the client still holds it"
                );
            }
        };
        run.now_or_never().unwrap();
    }
}

#[test]
fn a_sign_in_resets_both_clocks() {
    for (name, manager, clock) in stages() {
        let run = async {
            let mut token = create(&manager, [("n", 1)]).await;
            for _ in 0..10 {
                clock.advance(Duration::from_secs(3));
                token = request(&manager, &token, |_| {}).await;
            }
            // The deadline is eleven milliseconds off by now.
            token = request(&manager, &token, |session| {
                session.sign_in("user:1").unwrap();
            })
            .await;
            let again = clock.now();
            let session = open(&manager, &token).await;
            assert_eq!(session.authenticated_at(), Some(again), "{name}");
            assert_eq!(session.expires_at(), Some(again + IDLE), "{name}");
            for _ in 0..9 {
                clock.advance(Duration::from_secs(3));
                token = request(&manager, &token, |_| {}).await;
            }
            clock.advance((again + ABSOLUTE).duration_since(clock.now()) - MILLI);
            assert!(!open(&manager, &token).await.is_new(), "{name}");
            clock.advance(MILLI);
            assert!(open(&manager, &token).await.is_new(), "{name}");
        };
        run.now_or_never().unwrap();
    }
}

#[test]
fn a_request_that_outlives_its_session_writes_nothing() {
    type Handler = fn(&Session);
    let handlers: [(&str, Handler); 5] = [
        ("a read", |_| {}),
        ("an insert", |session| session.insert("n", 2).unwrap()),
        ("an update", |session| {
            session
                .update("n", |n: Option<u64>| n.unwrap() + 1)
                .unwrap();
        }),
        ("a renewal", |session| session.renew().unwrap()),
        ("a label", |session| session.set_label("phone").unwrap()),
    ];
    for (what, handler) in handlers {
        for (name, manager, clock) in stages() {
            let run = async {
                let token = create(&manager, [("n", 1)]).await;
                let session = open(&manager, &token).await;
                clock.advance(IDLE);
                handler(&session);
                let directive = session.finish(Outcome::Success).await.unwrap();
                assert_eq!(directive, Directive::Nothing, "{name}: {what}");
                assert!(
                    open(&manager, &token).await.is_new(),
                    "{name}: {what} brought it back"
                );
            };
            run.now_or_never().unwrap();
        }
    }
}

#[test]
fn a_sign_in_in_a_request_that_outlives_its_session_starts_another() {
    for (name, manager, clock) in stages() {
        let run = async {
            let token = create(&manager, [("old", 1)]).await;
            let session = open(&manager, &token).await;
            let former = session.id().unwrap();
            clock.advance(IDLE);
            session.insert("mine", 1).unwrap();
            session.sign_in("user:1").unwrap();
            let token = token_of(&session.finish(Outcome::Success).await.unwrap());
            let session = open(&manager, &token).await;
            assert_ne!(session.id().unwrap(), former, "{name}");
            assert_eq!(session.keys(), ["mine"], "{name}");
        };
        run.now_or_never().unwrap();
    }
}

#[test]
fn what_the_client_is_told_of_time_is_what_holds() {
    for backend in Backend::ALL {
        let clock = clock();
        let manager = SessionManager::builder(backend.store())
            .clock(Arc::clone(&clock))
            .lifetime(lifetime().persistent())
            .build()
            .unwrap();
        let run = async {
            let session = anonymous(&manager).await;
            session.insert("n", 1).unwrap();
            let Directive::Hold(token) = session.finish(Outcome::Success).await.unwrap() else {
                panic!()
            };
            assert_eq!(token.max_age(), Some(IDLE), "{backend:?}");
            // Each touch moves it, up to the absolute deadline.
            let mut text = token.as_str().to_owned();
            for expected in [10_007, 10_007, 6_011, 2_011] {
                clock.advance(Duration::from_secs(if expected == 10_007 { 10 } else { 4 }));
                let session = open(&manager, &text).await;
                let Directive::Hold(token) = session.finish(Outcome::Success).await.unwrap() else {
                    panic!()
                };
                assert_eq!(
                    token.max_age(),
                    Some(Duration::from_millis(expected)),
                    "{backend:?}"
                );
                text = token.as_str().to_owned();
            }
        };
        run.now_or_never().unwrap();
    }
}
