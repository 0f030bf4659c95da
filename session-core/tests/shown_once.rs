//! CSRF tokens (S46) and flash values.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use session_core::{
    Codec, Directive, KeyRing, ManualClock, MemoryStore, Outcome, Rotation, SessionError,
    SessionGuard, SessionManager, SessionManagerBuilder, Timestamp,
};

fn with(
    set: impl FnOnce(SessionManagerBuilder) -> SessionManagerBuilder,
) -> (SessionManager, Arc<ManualClock>) {
    let clock = ManualClock::new(Timestamp::from_millis(1_000_000));
    let builder = SessionManager::builder(Arc::new(MemoryStore::new())).clock(Arc::clone(&clock));
    (set(builder).build().unwrap(), clock)
}

async fn token(session: &SessionGuard) -> String {
    match session.finish(Outcome::Success).await.unwrap() {
        Directive::Hold(token) => token.as_str().to_owned(),
        other => unreachable!("{other:?}"),
    }
}

async fn open(manager: &SessionManager, token: &str) -> SessionGuard {
    manager.begin(&[token]).await.unwrap()
}

#[tokio::test]
async fn a_csrf_token_differs_each_time_and_is_good_for_its_session_only() {
    let (manager, _) = with(|builder| builder);
    let session = manager.begin(&[]).await.unwrap();
    session.insert("n", 1).unwrap();
    let holds = token(&session).await;
    let session = open(&manager, &holds).await;
    let tokens: HashSet<_> = (0..100).map(|_| session.csrf_token().unwrap()).collect();
    assert_eq!(tokens.len(), 100);
    for token in &tokens {
        assert_eq!(token.len(), 43);
        assert!(session.verify_csrf(token));
        // Half of it is drawn, so any character may be wrong.
        for at in [0, 21, 30, 42] {
            let mut wrong = token.clone().into_bytes();
            wrong[at] = if wrong[at] == b'A' { b'E' } else { b'A' };
            assert!(!session.verify_csrf(&String::from_utf8(wrong).unwrap()));
        }
    }
    assert_eq!(
        session.finish(Outcome::Success).await.unwrap(),
        Directive::Nothing,
        "it costs no write"
    );

    let other = manager.begin(&[]).await.unwrap();
    other.insert("n", 1).unwrap();
    let other = open(&manager, &token(&other).await).await;
    assert!(tokens.iter().all(|token| !other.verify_csrf(token)));
    let nobody = manager.begin(&[]).await.unwrap();
    assert!(tokens.iter().all(|token| !nobody.verify_csrf(token)));
    for nonsense in [
        "",
        "A",
        &"A".repeat(42),
        &"A".repeat(43),
        &"A".repeat(44),
        "\u{fc}",
    ] {
        assert!(!session.verify_csrf(nonsense), "{nonsense}");
    }
}

#[tokio::test]
async fn to_ask_for_a_csrf_token_stores_the_session() {
    let (manager, _) = with(|builder| builder);
    let session = manager.begin(&[]).await.unwrap();
    let [one, two] = [session.csrf_token().unwrap(), session.csrf_token().unwrap()];
    assert!(!session.verify_csrf(&one), "it is for the next request");
    let holds = token(&session).await;
    let session = open(&manager, &holds).await;
    assert!(session.verify_csrf(&one) && session.verify_csrf(&two));

    let late = manager.begin(&[]).await.unwrap();
    late.finish(Outcome::Success).await.unwrap();
    assert!(matches!(late.csrf_token(), Err(SessionError::Detached)));
    assert!(session.csrf_token().is_ok());
}

#[tokio::test]
async fn a_csrf_token_survives_a_rotation_and_not_a_renewal() {
    let (manager, clock) = with(|builder| builder.rotation(Rotation::hourly()));
    let session = manager.begin(&[]).await.unwrap();
    let csrf = session.csrf_token().unwrap();
    let first = token(&session).await;
    clock.advance(Duration::from_secs(3600));
    let session = open(&manager, &first).await;
    let second = token(&session).await;
    assert_ne!(first, second);
    let session = open(&manager, &second).await;
    assert!(session.verify_csrf(&csrf));

    let before = session.csrf_token().unwrap();
    session.sign_in("user:1").unwrap();
    let after = session.csrf_token().unwrap();
    // Whatever is saved on the way.
    session.insert("n", 1).unwrap();
    session.save().await.unwrap();
    let third = token(&session).await;
    let session = open(&manager, &third).await;
    assert!(!session.verify_csrf(&csrf) && !session.verify_csrf(&before));
    assert!(session.verify_csrf(&after));
}

#[tokio::test]
async fn a_csrf_token_of_a_guest_who_signs_in_in_the_same_request() {
    let (manager, _) = with(|builder| builder);
    let session = manager.begin(&[]).await.unwrap();
    session.insert("n", 1).unwrap();
    session.sign_in("user:1").unwrap();
    let csrf = session.csrf_token().unwrap();
    session.save().await.unwrap();
    let holds = token(&session).await;
    assert!(open(&manager, &holds).await.verify_csrf(&csrf));
}

#[tokio::test]
async fn forms_that_are_out_survive_a_new_key() {
    let keys = KeyRing::new([1; 32]).unwrap();
    let newer = || KeyRing::new([2; 32]).unwrap();
    let store = Arc::new(MemoryStore::new());
    let manager = |keys| {
        SessionManager::builder(Arc::clone(&store))
            .keys(keys)
            .build()
            .unwrap()
    };
    let old = manager(keys);
    let session = old.begin(&[]).await.unwrap();
    let csrf = session.csrf_token().unwrap();
    let holds = token(&session).await;
    let both = manager(newer().with_older([1; 32]).unwrap());
    assert!(open(&both, &holds).await.verify_csrf(&csrf));
    // Who can read the store and not the keys makes no token.
    let without = SessionManager::builder(Arc::clone(&store)).build().unwrap();
    let session = open(&without, &holds[..43]).await;
    assert!(!session.is_new() && !session.verify_csrf(&csrf));
}

#[tokio::test]
async fn a_flash_value_is_for_the_next_request_that_reads() {
    let (manager, _) = with(|builder| builder);
    let session = manager.begin(&[]).await.unwrap();
    session.flash("notice", "saved").unwrap();
    session.flash("other", 2).unwrap();
    assert_eq!(session.flashed::<String>("notice").unwrap(), None);
    let holds = token(&session).await;

    // One that reads none leaves them.
    let session = open(&manager, &holds).await;
    assert_eq!(
        session.finish(Outcome::Success).await.unwrap(),
        Directive::Nothing
    );

    // One that fails leaves them too.
    let session = open(&manager, &holds).await;
    assert_eq!(
        session.flashed::<String>("notice").unwrap().as_deref(),
        Some("saved")
    );
    session.finish(Outcome::Failure).await.unwrap();

    let session = open(&manager, &holds).await;
    for _ in 0..2 {
        assert_eq!(
            session.flashed::<String>("notice").unwrap().as_deref(),
            Some("saved")
        );
    }
    assert!(session.flashed::<String>("other").is_err());
    session.flash("notice", "saved").unwrap();
    assert!(session.flashed::<String>("notice").unwrap().is_some());
    session.finish(Outcome::Success).await.unwrap();

    let session = open(&manager, &holds).await;
    assert_eq!(
        session.keys(),
        ["_flash.notice"],
        "that of the last request, equal as it is"
    );
    assert_eq!(
        session.flashed::<String>("notice").unwrap().as_deref(),
        Some("saved")
    );
    session.finish(Outcome::Success).await.unwrap();
    assert!(open(&manager, &holds).await.is_empty());
}

/// The messages that a request is shown.
fn shown(session: &SessionGuard) -> Vec<String> {
    session.flashed("notices").unwrap().unwrap_or_default()
}

#[tokio::test]
async fn messages_of_several_requests_are_shown_together_and_once() {
    for codec in [Codec::Json, Codec::Postcard] {
        let (manager, _) = with(|builder| builder.codec(codec));
        let session = manager.begin(&[]).await.unwrap();
        session.flash_push("notices", "a").unwrap();
        session.flash_push("notices", "b]").unwrap();
        assert!(shown(&session).is_empty(), "they are for the next request");
        let holds = token(&session).await;
        let session = open(&manager, &holds).await;
        session.flash_push("notices", "c\",").unwrap();
        session.finish(Outcome::Success).await.unwrap();

        let session = open(&manager, &holds).await;
        assert_eq!(shown(&session), ["a", "b]", "c\","]);
        session.finish(Outcome::Failure).await.unwrap();
        let session = open(&manager, &holds).await;
        assert_eq!(shown(&session).len(), 3, "a request that fails leaves them");
        session.finish(Outcome::Success).await.unwrap();
        assert!(open(&manager, &holds).await.is_empty());
    }
}

#[tokio::test]
async fn a_message_of_the_request_that_shows_them_is_for_the_next_one() {
    for codec in [Codec::Json, Codec::Postcard] {
        for pushes_first in [true, false] {
            let (manager, _) = with(|builder| builder.codec(codec));
            let session = manager.begin(&[]).await.unwrap();
            session.flash_push("notices", "a").unwrap();
            let holds = token(&session).await;
            let session = open(&manager, &holds).await;
            if pushes_first {
                session.flash_push("notices", "a").unwrap();
            }
            assert_eq!(shown(&session), ["a"]);
            if !pushes_first {
                session.flash_push("notices", "a").unwrap();
            }
            session.save().await.unwrap();
            assert_eq!(shown(&session), ["a"]);
            session.finish(Outcome::Success).await.unwrap();
            let session = open(&manager, &holds).await;
            assert_eq!(shown(&session), ["a"], "the new one");
            session.finish(Outcome::Success).await.unwrap();
            assert!(open(&manager, &holds).await.is_empty());
        }
    }
}

#[tokio::test]
async fn a_flash_value_and_messages_under_one_key_replace_each_other() {
    let (manager, _) = with(|builder| builder);
    let session = manager.begin(&[]).await.unwrap();
    session.flash("notices", "alone").unwrap();
    let holds = token(&session).await;
    let session = open(&manager, &holds).await;
    session.flash_push("notices", "a").unwrap();
    session.finish(Outcome::Success).await.unwrap();

    let session = open(&manager, &holds).await;
    session.flash("notices", ["a"]).unwrap();
    assert_eq!(shown(&session), ["a"]);
    session.finish(Outcome::Success).await.unwrap();
    let session = open(&manager, &holds).await;
    assert_eq!(shown(&session), ["a"], "that of the last request");
    session.finish(Outcome::Success).await.unwrap();
    assert!(open(&manager, &holds).await.is_empty());
}

#[tokio::test]
async fn a_message_that_cannot_be_kept_leaves_the_others() {
    let (manager, _) = with(|builder| builder);
    let session = manager.begin(&[]).await.unwrap();
    session.flash_push("notices", "a").unwrap();
    let refused = session.flash_push("notices", f64::NAN);
    assert!(matches!(refused, Err(SessionError::Encode { .. })));
    let refused = session.flash_push("notices", "x".repeat(2 << 20));
    assert!(matches!(refused, Err(SessionError::Limit(_))));
    let holds = token(&session).await;
    assert_eq!(shown(&open(&manager, &holds).await), ["a"]);
}
