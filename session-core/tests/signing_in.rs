//! What a request asks for beside a sign-in, and what of it the session has in the end.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::time::Duration;

use session_core::{
    Directive, Lifetime, ManualClock, MemoryStore, OnMaxSessions, Outcome, Session, SessionError,
    SessionGuard, SessionManager, SessionManagerBuilder, Timestamp,
};

const START: Timestamp = Timestamp::from_millis(1_700_000_000_000);

fn with(settings: impl FnOnce(SessionManagerBuilder) -> SessionManagerBuilder) -> SessionManager {
    let clock = ManualClock::new(START);
    let builder = SessionManager::builder(Arc::new(MemoryStore::new())).clock(clock);
    settings(builder).build().unwrap()
}

fn manager() -> SessionManager {
    with(|builder| builder)
}

async fn open(manager: &SessionManager, token: &str) -> SessionGuard {
    manager.begin(&[token]).await.unwrap()
}

async fn token(session: &SessionGuard) -> String {
    match session.finish(Outcome::Success).await.unwrap() {
        Directive::Hold(token) => token.as_str().to_owned(),
        other => unreachable!("{other:?}"),
    }
}

/// The token of ann's session with this lifetime, a label and some values.
async fn ann(manager: &SessionManager, lifetime: Lifetime) -> String {
    let session = manager.begin(&[]).await.unwrap();
    session.sign_in("ann").unwrap();
    session.set_lifetime(lifetime);
    session.set_label("phone").unwrap();
    session.insert("a", 1).unwrap();
    session.insert("b", 2).unwrap();
    token(&session).await
}

/// The token of a guest with a cart.
async fn guest(manager: &SessionManager) -> String {
    let session = manager.begin(&[]).await.unwrap();
    session.insert("cart", 3).unwrap();
    token(&session).await
}

/// What others do to the session of a request, so that its commit has to begin another one.
#[derive(Clone, Copy, Debug)]
enum Meanwhile {
    SignedOutEverywhere,
    Renewed,
}

async fn happens(manager: &SessionManager, token: &str, what: Meanwhile) {
    match what {
        Meanwhile::SignedOutEverywhere => {
            manager.sign_out_everywhere("ann").await.unwrap();
        }
        Meanwhile::Renewed => {
            let other = open(manager, token).await;
            other.renew().unwrap();
            other.finish(Outcome::Success).await.unwrap();
        }
    }
}

type Asks = fn(&Session);

/// In each order, with a save in between or without.
#[tokio::test]
async fn what_is_stored_already_is_asked_for_a_new_session_too() {
    let asks: [Asks; 5] = [
        |session| session.set_lifetime(Lifetime::aal3()),
        |session| session.set_label("phone").unwrap(),
        |session| session.insert("a", 1).unwrap(),
        |session| session.insert("b", 2).unwrap(),
        |session| session.sign_in("ann").unwrap(),
    ];
    for meanwhile in [Meanwhile::SignedOutEverywhere, Meanwhile::Renewed] {
        for turn in 0..asks.len() {
            for saves in [false, true] {
                for before in 0..=asks.len() {
                    let case =
                        format!("{meanwhile:?} after {before}, from {turn} on, saves: {saves}");
                    let manager = manager();
                    let held = ann(&manager, Lifetime::aal3()).await;
                    let session = open(&manager, &held).await;
                    for at in 0..asks.len() {
                        if at == before {
                            happens(&manager, &held, meanwhile).await;
                        }
                        asks[(turn + at) % asks.len()](&session);
                        if saves && at < before {
                            session.save().await.unwrap();
                        }
                    }
                    if before == asks.len() {
                        happens(&manager, &held, meanwhile).await;
                    }
                    let old = session.id();
                    let new = open(&manager, &token(&session).await).await;
                    assert_ne!(new.id(), old, "{case}");
                    let idle = new.expires_at().unwrap().duration_since(START);
                    assert_eq!(idle, Duration::from_secs(900), "{case}");
                    assert_eq!(
                        (new.get("a").unwrap(), new.get("b").unwrap()),
                        (Some(1), Some(2)),
                        "{case}"
                    );
                    let devices = manager.sessions_of("ann").await.unwrap();
                    let ours = devices.iter().find(|info| info.is(&new)).unwrap();
                    assert_eq!(ours.label(), Some("phone"), "{case}");
                }
            }
        }
    }
}

/// Nothing of an earlier request, and nothing that this one took back, is in the new session.
#[tokio::test]
async fn a_new_session_has_only_what_this_request_asked_for() {
    let manager = manager();
    let held = ann(&manager, Lifetime::aal3()).await;
    let session = open(&manager, &held).await;
    session.insert("a", 1).unwrap();
    session.remove("a");
    session.insert("c", 1).unwrap();
    session.save().await.unwrap();
    session.insert("c", 1).unwrap();
    session.insert("c", 2).unwrap();
    session
        .update("d", |n: Option<u32>| n.unwrap_or(7) + 1)
        .unwrap();
    manager.sign_out_everywhere("ann").await.unwrap();
    session.sign_in("ann").unwrap();
    let new = open(&manager, &token(&session).await).await;
    assert_eq!(new.keys(), ["c", "d"]);
    assert_eq!(
        (new.get("c").unwrap(), new.get("d").unwrap()),
        (Some(2), Some(8))
    );
    assert_eq!(
        new.expires_at().unwrap().duration_since(START),
        Duration::from_secs(7_200)
    );
}

#[tokio::test]
async fn a_clear_is_asked_for_too() {
    let manager = manager();
    let held = ann(&manager, Lifetime::default()).await;
    let session = open(&manager, &held).await;
    session.insert("a", 1).unwrap();
    session.clear();
    session.insert("b", 2).unwrap();
    session.sign_in("ann").unwrap();
    manager.sign_out_everywhere("ann").await.unwrap();
    assert_eq!(open(&manager, &token(&session).await).await.keys(), ["b"]);
}

/// What others wrote since is not overwritten by what was equal when it was inserted.
#[tokio::test]
async fn an_equal_insert_is_no_write_after_a_conflict() {
    let manager = manager();
    let held = ann(&manager, Lifetime::default()).await;
    let session = open(&manager, &held).await;
    session.insert("a", 1).unwrap();
    assert!(!session.needs_commit());
    session
        .update("n", |n: Option<u32>| n.unwrap_or(0) + 1)
        .unwrap();
    let other = open(&manager, &held).await;
    other.insert("a", 5).unwrap();
    other.insert("n", 10).unwrap();
    other.finish(Outcome::Success).await.unwrap();
    session.finish(Outcome::Success).await.unwrap();
    let session = open(&manager, &held).await;
    assert_eq!(
        (session.get("a").unwrap(), session.get("n").unwrap()),
        (Some(5), Some(11))
    );
}

#[tokio::test]
async fn a_lifetime_goes_with_a_change_of_the_principal() {
    for stored in [Lifetime::aal3(), Lifetime::default()] {
        let manager = manager();
        let held = ann(&manager, stored).await;
        let session = open(&manager, &held).await;
        session.set_lifetime(Lifetime::aal3());
        session.set_label("phone").unwrap();
        session.insert("a", 1).unwrap();
        session.sign_in("bob").unwrap();
        let new = open(&manager, &token(&session).await).await;
        assert_eq!(
            new.expires_at().unwrap().duration_since(START),
            Duration::from_secs(900)
        );
        assert!(new.is_empty(), "values are not another principal's");
        assert_eq!(manager.sessions_of("bob").await.unwrap()[0].label(), None);
    }
}

#[tokio::test]
async fn the_last_one_who_signs_in_is_signed_in_and_has_the_guest_s_cart() {
    let manager = manager();
    let held = guest(&manager).await;
    let session = open(&manager, &held).await;
    let id = session.id();
    session.insert("colour", "blue").unwrap();
    session.sign_in("1").unwrap();
    session.sign_in("2").unwrap();
    assert_eq!(session.principal().as_deref(), Some("2"));
    let new = open(&manager, &token(&session).await).await;
    assert_eq!(new.id(), id, "nobody was signed in before");
    assert_eq!(new.keys(), ["cart", "colour"]);
    assert_eq!(new.principal().as_deref(), Some("2"));
    assert!(manager.sessions_of("1").await.unwrap().is_empty());
}

/// Back and forth, and what each of them was given stays with nobody else.
#[tokio::test]
async fn what_was_set_for_one_principal_is_not_the_next_one_s() {
    for stored in [true, false] {
        let manager = manager();
        let session = match stored {
            true => open(&manager, &guest(&manager).await).await,
            false => manager.begin(&[]).await.unwrap(),
        };
        session.insert("cart", 3).unwrap();
        session.set_label("kiosk").unwrap();
        session
            .update("steps", |n: Option<u32>| n.unwrap_or(0) + 1)
            .unwrap();
        for principal in ["1", "2", "1"] {
            session.sign_in(principal).unwrap();
            assert_eq!(session.keys(), ["cart", "steps"]);
            assert_eq!(session.get::<String>("mail").unwrap(), None);
            assert_eq!(session.len(), 2);
            session
                .insert("mail", format!("{principal}@example.org"))
                .unwrap();
            session.insert("cart", 4).unwrap();
            session.set_label(principal).unwrap();
            session.flash("notice", principal).unwrap();
            session
                .update("steps", |n: Option<u32>| n.unwrap_or(0) + 10)
                .unwrap();
        }
        session.sign_in("3").unwrap();
        session.set_lifetime(Lifetime::aal3());
        let new = open(&manager, &token(&session).await).await;
        assert_eq!(new.keys(), ["cart", "steps"]);
        assert_eq!(
            (new.get("cart").unwrap(), new.get("steps").unwrap()),
            (Some(3), Some(1))
        );
        assert_eq!(
            manager.sessions_of("3").await.unwrap()[0].label(),
            Some("kiosk")
        );
    }
}

/// A save stores what was set for the first one: the second begins an empty session.
#[tokio::test]
async fn what_was_saved_for_one_principal_is_not_the_next_one_s() {
    let manager = manager();
    let held = guest(&manager).await;
    let session = open(&manager, &held).await;
    session.sign_in("1").unwrap();
    session.insert("mail", "1@example.org").unwrap();
    session.save().await.unwrap();
    session.sign_in("2").unwrap();
    session.insert("seen", true).unwrap();
    let new = open(&manager, &token(&session).await).await;
    assert_eq!(new.keys(), ["seen"]);
    assert!(
        open(&manager, &held).await.is_new(),
        "the old one has ended"
    );
}

#[tokio::test]
async fn a_sign_out_between_two_sign_ins_leaves_nothing() {
    let manager = manager();
    let held = guest(&manager).await;
    let session = open(&manager, &held).await;
    session.sign_in("1").unwrap();
    session.destroy().unwrap();
    session.sign_in("2").unwrap();
    let new = open(&manager, &token(&session).await).await;
    assert!(new.is_empty());
    assert!(open(&manager, &held).await.is_new());
}

/// Sessions that the request ends do not count, whether it says so or signs somebody else in.
#[tokio::test]
async fn a_session_that_ends_with_the_request_takes_no_place() {
    let ends: [Asks; 3] = [
        |session| session.destroy().unwrap(),
        |session| session.sign_in("bob").unwrap(),
        |session| {
            session.sign_in("bob").unwrap();
            session.destroy().unwrap();
        },
    ];
    for beyond in [OnMaxSessions::Refuse, OnMaxSessions::RevokeOldest] {
        for end in ends {
            let manager = with(|builder| builder.max_sessions(2, beyond));
            let other = ann(&manager, Lifetime::default()).await;
            let held = ann(&manager, Lifetime::default()).await;
            let session = open(&manager, &held).await;
            end(&session);
            session.sign_in("ann").unwrap();
            let new = token(&session).await;
            assert!(!open(&manager, &new).await.is_new(), "{beyond:?}");
            assert!(!open(&manager, &other).await.is_new(), "{beyond:?}");
            assert!(open(&manager, &held).await.is_new(), "{beyond:?}");
            assert_eq!(
                manager.sessions_of("ann").await.unwrap().len(),
                2,
                "{beyond:?}"
            );
        }
    }
}

/// One too many without those is one too many.
#[tokio::test]
async fn a_session_of_another_device_keeps_its_place() {
    let manager = with(|builder| builder.max_sessions(1, OnMaxSessions::Refuse));
    let other = ann(&manager, Lifetime::default()).await;
    let held = guest(&manager).await;
    let session = open(&manager, &held).await;
    session.destroy().unwrap();
    session.sign_in("ann").unwrap();
    let refused = session.finish(Outcome::Success).await.unwrap_err();
    assert!(matches!(
        refused.error,
        SessionError::TooManySessions { most: 1, .. }
    ));
    assert!(!open(&manager, &other).await.is_new());
}
