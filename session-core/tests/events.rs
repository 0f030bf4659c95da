//! What the observer is told of a session's life (S44).
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use session_core::{
    Directive, Event, EventKind, KeyRing, ManualClock, MemoryStore, Outcome, Rotation,
    SessionGuard, SessionManager, Timestamp,
};

/// Kind, principal, reason and count of each event, with the short hash of the session.
type Seen = Arc<Mutex<Vec<(EventKind, Option<String>, String, u64, Option<String>)>>>;

fn stage() -> (SessionManager, Arc<ManualClock>, Seen) {
    let (clock, seen) = (
        ManualClock::new(Timestamp::from_millis(1_000_000)),
        Seen::default(),
    );
    let notes = Arc::clone(&seen);
    let manager = SessionManager::builder(MemoryStore::new())
        .clock(Arc::clone(&clock))
        .keys(KeyRing::new([7; 32]).unwrap())
        .rotation(Rotation::hourly())
        .observer(move |event: &Event<'_>| note(&notes, event))
        .build()
        .unwrap();
    (manager, clock, seen)
}

fn note(seen: &Seen, event: &Event<'_>) {
    seen.lock().unwrap().push((
        event.kind,
        event.principal.map(str::to_owned),
        event.reason.to_owned(),
        event.count,
        event.session().map(|id| id.to_string()),
    ));
}

fn kinds(seen: &Seen) -> Vec<EventKind> {
    let seen = std::mem::take(&mut *seen.lock().unwrap());
    seen.into_iter().map(|(kind, ..)| kind).collect()
}

async fn token(session: &SessionGuard) -> String {
    match session.finish(Outcome::Success).await.unwrap() {
        Directive::Hold(token) => token.as_str().to_owned(),
        other => unreachable!("{other:?}"),
    }
}

#[tokio::test]
async fn each_turn_in_a_life_is_told() {
    use EventKind::*;
    let (manager, clock, seen) = stage();
    let session = manager.begin(&[]).await.unwrap();
    assert_eq!(kinds(&seen), []);
    session.insert("n", 1).unwrap();
    let first = token(&session).await;
    assert_eq!(kinds(&seen), [Created]);

    let session = manager.begin(&[&first]).await.unwrap();
    let late = manager.begin(&[&first]).await.unwrap();
    session.sign_in("user:1").unwrap();
    let second = token(&session).await;
    let short = session.id().unwrap().short().to_string();
    let told = std::mem::take(&mut *seen.lock().unwrap());
    assert_eq!((told[0].0, told[1].0, told.len()), (Loaded, Loaded, 3));
    let renewed = (
        Renewed,
        Some("user:1".into()),
        "signed in".into(),
        1,
        Some(short.clone()),
    );
    assert_eq!(told[2], renewed);

    late.insert("n", 2).unwrap();
    late.finish(Outcome::Success).await.unwrap();
    assert_eq!(kinds(&seen), [Gone]);

    clock.advance(Duration::from_secs(3600));
    let session = manager.begin(&[&second]).await.unwrap();
    let third = token(&session).await;
    assert_eq!(kinds(&seen), [Loaded, Rotated]);
    let session = manager.begin(&[&third]).await.unwrap();
    session.finish(Outcome::Success).await.unwrap();
    clock.advance(Duration::from_secs(10));
    kinds(&seen);
    drop(manager.begin(&[&second]).await.unwrap());
    let told = std::mem::take(&mut *seen.lock().unwrap());
    let reused = (
        Reused,
        Some("user:1".into()),
        "the session stays".into(),
        1,
        Some(short),
    );
    assert_eq!(told, [reused]);

    drop(manager.begin(&["nonsense", &first]).await.unwrap());
    assert_eq!(kinds(&seen), [Refused, Refused]);

    let [one, other] = [
        manager.begin(&[&third]).await.unwrap(),
        manager.begin(&[&third]).await.unwrap(),
    ];
    one.renew().unwrap();
    kinds(&seen);
    let fourth = token(&one).await;
    other.insert("n", 3).unwrap();
    other.set_label("phone").unwrap();
    other.finish(Outcome::Success).await.unwrap();
    assert_eq!(kinds(&seen), [Renewed, Gone]);

    let [one, other] = [
        manager.begin(&[&fourth]).await.unwrap(),
        manager.begin(&[&fourth]).await.unwrap(),
    ];
    one.set_label("phone").unwrap();
    other.set_label("laptop").unwrap();
    kinds(&seen);
    one.finish(Outcome::Success).await.unwrap();
    other.finish(Outcome::Success).await.unwrap();
    assert_eq!(kinds(&seen), [Conflict]);

    drop(manager.begin(&[&fourth]).await.unwrap().insert("n", 4));
    assert_eq!(kinds(&seen), [Loaded, Unsaved]);

    let session = manager.begin(&[&fourth]).await.unwrap();
    session.destroy().unwrap();
    session.finish(Outcome::Success).await.unwrap();
    assert_eq!(kinds(&seen), [Loaded, Destroyed]);
}

#[tokio::test]
async fn an_end_from_elsewhere_is_a_revocation() {
    let (manager, _, seen) = stage();
    let mut ids = Vec::new();
    for _ in 0..4 {
        let session = manager.begin(&[]).await.unwrap();
        session.sign_in("user:1").unwrap();
        session.finish(Outcome::Success).await.unwrap();
        ids.push(session);
    }
    kinds(&seen);
    manager.end("user:1", ids[0].id().unwrap()).await.unwrap();
    manager.end("user:2", ids[1].id().unwrap()).await.unwrap();
    manager.sign_out_others(&ids[1]).await.unwrap();
    manager.sign_out_everywhere("user:1").await.unwrap();
    manager.sign_out_everywhere("user:1").await.unwrap();
    let told = std::mem::take(&mut *seen.lock().unwrap());
    let told: Vec<_> = told
        .iter()
        .map(|(kind, who, reason, count, id)| {
            (*kind, who.as_deref(), reason.as_str(), *count, id.is_some())
        })
        .collect();
    let who = Some("user:1");
    let revoked = EventKind::Revoked;
    let expected = [
        (revoked, who, "ended by its owner", 1, true),
        (revoked, who, "signed out by another session", 2, false),
        (revoked, who, "signed out everywhere", 1, false),
    ];
    assert_eq!(told, expected);
}

#[tokio::test]
async fn an_expiry_is_told_once_however_often_its_token_comes() {
    let (manager, clock, seen) = stage();
    let session = manager.begin(&[]).await.unwrap();
    session.sign_in("user:1").unwrap();
    let token = token(&session).await;
    clock.advance(Duration::from_secs(7200));
    kinds(&seen);
    for _ in 0..5 {
        assert!(manager.begin(&[&token]).await.unwrap().is_new());
    }
    let told = std::mem::take(&mut *seen.lock().unwrap());
    let expired = told.iter().filter(|(kind, ..)| *kind == EventKind::Expired);
    let who: Vec<_> = expired.map(|(_, who, ..)| who.as_deref()).collect();
    assert_eq!(who, [Some("user:1")]);
}

/// An observer that panics while another panic unwinds would abort the process.
#[tokio::test]
async fn no_observer_is_notified_while_a_request_that_panicked_is_dropped() {
    let (manager, _, seen) = stage();
    let unsaved = || async {
        let session = manager.begin(&[]).await.unwrap();
        session.insert("n", 1).unwrap();
        session
    };
    drop(unsaved().await);
    assert_eq!(kinds(&seen), [EventKind::Unsaved]);

    let session = unsaved().await;
    let handler = move || {
        let _dropped = session;
        resume_unwind(Box::new("the handler panics"));
    };
    assert!(catch_unwind(AssertUnwindSafe(handler)).is_err());
    assert_eq!(kinds(&seen), []);
}

#[tokio::test]
async fn a_full_store_is_a_store_that_failed() {
    let seen = Seen::default();
    let notes = Arc::clone(&seen);
    let manager = SessionManager::builder(MemoryStore::with_capacity(0))
        .observer(move |event: &Event<'_>| note(&notes, event))
        .build()
        .unwrap();
    let session = manager.begin(&[]).await.unwrap();
    session.insert("n", 1).unwrap();
    assert!(session.finish(Outcome::Success).await.is_err());
    let [(kind, _, reason, ..), ..] = &seen.lock().unwrap()[..] else {
        unreachable!("no event");
    };
    assert_eq!(*kind, EventKind::StoreFailed);
    assert!(reason.contains("full at 0 sessions"), "{reason}");
}
