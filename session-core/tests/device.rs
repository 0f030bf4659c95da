//! Sessions that are bound to a device, without a transport.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::sync::Arc;
use std::time::Duration;

use session_core::{
    BoundSession, ClientToken, DeviceBinding, DeviceKey, Directive, EndReason, KeyRing,
    ManualClock, MemoryStore, OnMaxSessions, Outcome, Rotation, SessionError, SessionGuard,
    SessionManager, Timestamp,
};

const START: Timestamp = Timestamp::from_millis(1_700_000_000_000);
const MINUTE: Duration = Duration::from_secs(60);

fn key(number: u8) -> DeviceKey {
    DeviceKey::from_bytes([number; 64])
}

fn site(binding: DeviceBinding) -> (SessionManager, Arc<ManualClock>) {
    over(Arc::new(MemoryStore::new()), binding)
}

fn over(store: Arc<MemoryStore>, binding: DeviceBinding) -> (SessionManager, Arc<ManualClock>) {
    let clock = ManualClock::new(START);
    let manager = SessionManager::builder(store)
        .keys(KeyRing::new([7; 32]).unwrap())
        .clock(clock.clone())
        .bound(binding)
        .build()
        .unwrap();
    (manager, clock)
}

async fn finish(guard: SessionGuard) -> ClientToken {
    match guard.finish(Outcome::Success).await.unwrap() {
        Directive::Hold(token) => token,
        other => panic!("{other:?}"),
    }
}

async fn sign_in(manager: &SessionManager, principal: &str) -> ClientToken {
    let guard = manager.begin(&[]).await.unwrap();
    guard.sign_in(principal).unwrap();
    finish(guard).await
}

async fn bind(
    manager: &SessionManager,
    token: &ClientToken,
    key: DeviceKey,
) -> Result<BoundSession, SessionError> {
    let guard = manager.begin(&[token.as_str()]).await.unwrap();
    let challenge = token.device_challenge().unwrap();
    guard.bind_device_now(key, challenge).await
}

async fn who(manager: &SessionManager, token: &ClientToken, proofs: &[&str]) -> Option<String> {
    let now = manager.now();
    let begun = manager
        .begin_with_proofs(&[token.as_str()], proofs, now)
        .await;
    begun.unwrap().principal()
}

#[tokio::test]
async fn only_what_signs_in_or_renews_is_offered() {
    let (manager, _) = site(DeviceBinding::observe());
    let guest = manager.begin(&[]).await.unwrap();
    guest.insert("cart", 1).unwrap();
    let guest = finish(guest).await;
    assert_eq!(guest.device_challenge(), None);

    let renewed = manager.begin(&[guest.as_str()]).await.unwrap();
    renewed.renew().unwrap();
    let renewed = finish(renewed).await;
    assert_eq!(renewed.device_challenge(), None, "nobody is signed in");

    let signed_in = manager.begin(&[renewed.as_str()]).await.unwrap();
    signed_in.sign_in("ann").unwrap();
    let signed_in = finish(signed_in).await;
    assert_eq!(signed_in.device_challenge().unwrap().len(), 54);

    let renewed = manager.begin(&[signed_in.as_str()]).await.unwrap();
    renewed.renew().unwrap();
    let renewed = finish(renewed).await;
    assert!(renewed.device_challenge().is_some());
    assert!(!format!("{renewed:?}").contains(renewed.device_challenge().unwrap()));

    let (off, _) = site(DeviceBinding::off());
    assert_eq!(sign_in(&off, "ann").await.device_challenge(), None);
    let token = sign_in(&off, "ann").await;
    let session = off.begin(&[token.as_str()]).await.unwrap();
    let refused = session.bind_device_now(key(1), "x").await;
    assert!(matches!(refused, Err(SessionError::NotBound(_))));
    let none = off.bound_session(&[token.as_str()], "", off.now()).await;
    assert!(none.unwrap().is_none());
}

#[tokio::test]
async fn a_request_is_judged_by_the_time_at_which_it_arrived() {
    let (manager, clock) = site(DeviceBinding::require());
    let token = sign_in(&manager, "ann").await;
    let before = manager.now();
    clock.advance(MINUTE);
    let bound = bind(&manager, &token, key(1)).await.unwrap();
    let proof = bound.proof();

    // An upload that began before the session was bound, and one whose proof ran out meanwhile.
    clock.advance(20 * MINUTE);
    let upload = manager.begin_at(&[token.as_str()], before).await.unwrap();
    assert_eq!(upload.principal().as_deref(), Some("ann"));
    let arrived = START + 11 * MINUTE;
    for (arrived, expected) in [(arrived, Some("ann")), (arrived + MINUTE, None)] {
        let begun = manager
            .begin_with_proofs(&[token.as_str()], &[&proof], arrived)
            .await;
        assert_eq!(begun.unwrap().principal().as_deref(), expected);
    }
}

/// Two requests bind the same session at once: the store decides.
#[tokio::test]
async fn of_two_devices_at_once_one_is_bound() {
    let (manager, clock) = site(DeviceBinding::require());
    let token = sign_in(&manager, "ann").await;
    let challenge = token.device_challenge().unwrap();
    let one = manager.begin(&[token.as_str()]).await.unwrap();
    let two = manager.begin(&[token.as_str()]).await.unwrap();
    two.insert("colour", "red").unwrap();
    let same = manager.begin(&[token.as_str()]).await.unwrap();
    let bound = one.bind_device_now(key(1), challenge).await.unwrap();
    let refused = two.bind_device_now(key(2), challenge).await.unwrap_err();
    assert!(matches!(
        refused,
        SessionError::NotBound("another device is bound to it")
    ));
    assert_eq!(
        same.bind_device_now(key(1), challenge).await.unwrap().key(),
        key(1)
    );

    // What else that request has to write is not lost with it.
    two.finish(Outcome::Success).await.unwrap();
    clock.advance(2 * MINUTE);
    let begun = manager
        .begin_with_proofs(&[token.as_str()], &[&bound.proof()], clock.now())
        .await;
    let begun = begun.unwrap();
    assert_eq!(
        begun.get::<String>("colour").unwrap().as_deref(),
        Some("red")
    );
    assert_eq!(begun.bound_at(), Some(START));
    let listed = manager.sessions_of("ann").await.unwrap();
    assert_eq!(listed[0].bound_at(), Some(START));
}

#[tokio::test]
async fn a_session_that_ends_or_is_renewed_meanwhile_is_not_bound() {
    let (manager, _) = site(DeviceBinding::require());
    for renews in [true, false] {
        let token = sign_in(&manager, "ann").await;
        let late = manager.begin(&[token.as_str()]).await.unwrap();
        let other = manager.begin(&[token.as_str()]).await.unwrap();
        match renews {
            true => other.renew().unwrap(),
            false => other.destroy().unwrap(),
        }
        other.finish(Outcome::Success).await.unwrap();
        let bound = late
            .bind_device_now(key(1), token.device_challenge().unwrap())
            .await;
        assert!(matches!(bound, Err(SessionError::Gone)), "{bound:?}");
    }
}

#[tokio::test]
async fn who_has_signed_in_in_this_request_is_not_bound_yet() {
    let (manager, _) = site(DeviceBinding::require());
    let token = sign_in(&manager, "ann").await;
    let challenge = token.device_challenge().unwrap();
    let guard = manager.begin(&[token.as_str()]).await.unwrap();
    guard.sign_in("ann").unwrap();
    guard.bind_device_now(key(1), challenge).await.unwrap();
    // The sign-in comes with the commit, and unbinds.
    let renewed = finish(guard).await;
    assert!(renewed.device_challenge().is_some());
    assert_eq!(who(&manager, &renewed, &[]).await.as_deref(), Some("ann"));
    let begun = manager.begin(&[renewed.as_str()]).await.unwrap();
    assert_eq!(begun.bound_at(), None);
}

#[tokio::test]
async fn proofs_and_challenges_are_for_one_session_scope_and_purpose() {
    let store = Arc::new(MemoryStore::new());
    let (manager, clock) = over(Arc::clone(&store), DeviceBinding::require());
    let (ann, bob) = (
        sign_in(&manager, "ann").await,
        sign_in(&manager, "bob").await,
    );
    let of_ann = bind(&manager, &ann, key(1)).await.unwrap();
    let of_bob = bind(&manager, &bob, key(1)).await.unwrap();
    clock.advance(2 * MINUTE);
    assert_eq!(
        who(&manager, &ann, &[&of_ann.proof()]).await.as_deref(),
        Some("ann")
    );
    assert_eq!(who(&manager, &ann, &[&of_bob.proof()]).await, None);
    let challenge = of_ann.challenge().unwrap();
    assert_eq!(who(&manager, &ann, &[&challenge]).await, None);
    assert!(of_ann.accepts_challenge(&challenge));
    assert!(!of_bob.accepts_challenge(&challenge));
    assert!(!of_ann.accepts_challenge(&of_ann.proof()));
    assert_ne!(
        of_ann.challenge().unwrap(),
        challenge,
        "each one is another"
    );
    for at in 0..challenge.len() {
        let changed = if &challenge[at..=at] == "A" { "B" } else { "A" };
        let mut text = challenge.clone();
        text.replace_range(at..=at, changed);
        assert!(!of_ann.accepts_challenge(&text), "{at}");
    }
    assert!(!of_ann.accepts_challenge(&challenge[1..]) && !of_ann.accepts_challenge(""));
    clock.advance(11 * MINUTE - Duration::from_millis(1));
    assert!(of_ann.accepts_challenge(&challenge));
    clock.advance(Duration::from_millis(1));
    assert!(!of_ann.accepts_challenge(&challenge));
    assert_ne!(of_ann.name(), of_bob.name());
    assert!(!format!("{of_ann:?}").contains(&challenge));
}

#[tokio::test]
async fn of_several_sessions_the_named_one_is_proved() {
    let (manager, clock) = site(DeviceBinding::require());
    let (ann, bob) = (
        sign_in(&manager, "ann").await,
        sign_in(&manager, "bob").await,
    );
    let bound = bind(&manager, &ann, key(1)).await.unwrap();
    let other = bind(&manager, &bob, key(2)).await.unwrap();
    clock.advance(2 * MINUTE);
    let now = manager.now();
    let both = [ann.as_str(), bob.as_str()];
    for of in [&bound, &other] {
        let found = manager.bound_session(&both, &of.name(), now).await;
        let found = found.unwrap().unwrap();
        assert_eq!((found.id(), found.key()), (of.id(), of.key()));
    }
    for (tokens, name) in [
        (&both[1..], bound.name()),
        (&both, String::new()),
        (&[], bound.name()),
    ] {
        let found = manager.bound_session(tokens, &name, now).await;
        assert!(found.unwrap().is_none(), "{name}");
    }
    // Four tokens are looked up, each once. With more of them the client has to try again.
    let mut guests = Vec::new();
    for _ in 0..4 {
        let guest = manager.begin(&[]).await.unwrap();
        guest.insert("cart", 1).unwrap();
        guests.push(finish(guest).await);
    }
    let guests: Vec<_> = guests.iter().map(ClientToken::as_str).collect();
    for (planted, is_found) in [(3, true), (4, false)] {
        let mut tokens = guests[..planted].repeat(2);
        tokens.push(ann.as_str());
        let found = manager.bound_session(&tokens, &bound.name(), now).await;
        match is_found {
            true => assert_eq!(found.unwrap().unwrap().id(), bound.id()),
            false => assert!(found.unwrap_err().is_temporary()),
        }
    }

    // Of two sessions only the one that is proved counts.
    let begun = manager
        .begin_with_proofs(&both, &[&bound.proof()], now)
        .await;
    assert_eq!(begun.unwrap().principal().as_deref(), Some("ann"));
    // And four proofs are tried.
    let proof = bound.proof();
    for (planted, expected) in [(3, Some("ann")), (4, None)] {
        let mut proofs = vec!["x"; planted];
        proofs.push(&proof);
        assert_eq!(who(&manager, &ann, &proofs).await.as_deref(), expected);
    }
}

/// What is not known may be a passing fault, and the client must not give up its key for that.
#[tokio::test]
async fn a_client_that_asks_too_late_is_to_ask_again() {
    let (manager, clock) = site(DeviceBinding::require());
    let token = sign_in(&manager, "ann").await;
    let bound = bind(&manager, &token, key(1)).await.unwrap();
    let arrived = manager.now();
    let guard = manager.begin(&[token.as_str()]).await.unwrap();
    guard.destroy().unwrap();
    guard.finish(Outcome::Success).await.unwrap();
    let ask = async || {
        manager
            .bound_session(&[token.as_str()], &bound.name(), arrived)
            .await
    };
    assert!(ask().await.unwrap().is_none());
    clock.advance(10 * Duration::from_secs(1));
    assert!(ask().await.unwrap_err().is_temporary());
}

#[tokio::test]
async fn a_request_whose_response_has_left_binds_nothing() {
    let (manager, _) = site(DeviceBinding::require());
    let token = sign_in(&manager, "ann").await;
    let guard = manager.begin(&[token.as_str()]).await.unwrap();
    guard.finish(Outcome::Success).await.unwrap();
    let challenge = token.device_challenge().unwrap();
    let bound = guard.bind_device_now(key(1), challenge).await;
    assert!(matches!(bound, Err(SessionError::Detached)), "{bound:?}");
}

/// Two clones of one session: the one is not told that the other's device was bound.
#[tokio::test]
async fn of_two_clones_each_hears_of_its_own_device() {
    let (manager, _) = site(DeviceBinding::require());
    let token = sign_in(&manager, "ann").await;
    let challenge = token.device_challenge().unwrap();
    let guard = manager.begin(&[token.as_str()]).await.unwrap();
    let (one, two) = tokio::join!(
        guard.bind_device_now(key(1), challenge),
        guard.bind_device_now(key(2), challenge),
    );
    let keys = [one, two].map(|bound| bound.map(|bound| bound.key()));
    let bound = guard.bind_device_now(key(1), challenge).await.is_ok();
    match keys {
        [Ok(first), Err(SessionError::NotBound(_))] => assert!(first == key(1) && bound),
        [Err(SessionError::NotBound(_)), Ok(second)] => assert!(second == key(2) && !bound),
        other => panic!("{other:?}"),
    }
}

/// Who has lost the proof signs in again: the session that nobody can use any more ends.
#[tokio::test]
async fn a_sign_in_without_proof_ends_the_session_of_the_same_principal() {
    let clock = ManualClock::new(START);
    let manager = SessionManager::builder(MemoryStore::new())
        .keys(KeyRing::new([7; 32]).unwrap())
        .clock(clock.clone())
        .bound(DeviceBinding::require())
        .max_sessions(1, OnMaxSessions::Refuse)
        .build()
        .unwrap();
    let lost = sign_in(&manager, "ann").await;
    bind(&manager, &lost, key(1)).await.unwrap();
    clock.advance(2 * MINUTE);
    // As somebody else, it stays; and it does if a sign-in comes to nothing.
    for (last, outcome) in [("bob", Outcome::Success), ("ann", Outcome::Failure)] {
        let guard = manager.begin(&[lost.as_str()]).await.unwrap();
        guard.sign_in("ann").unwrap();
        guard.sign_in(last).unwrap();
        guard.finish(outcome).await.unwrap();
        assert_eq!(manager.sessions_of("ann").await.unwrap().len(), 1);
    }
    // To sign out takes a proof.
    let guard = manager.begin(&[lost.as_str()]).await.unwrap();
    guard.destroy().unwrap();
    guard.finish(Outcome::Success).await.unwrap();
    let former = manager.sessions_of("ann").await.unwrap()[0].id();
    let guard = manager.begin(&[lost.as_str()]).await.unwrap();
    guard.sign_in("ann").unwrap();
    let found = finish(guard).await;
    let sessions = manager.sessions_of("ann").await.unwrap();
    assert_eq!(sessions.len(), 1);
    assert_ne!(sessions[0].id(), former);
    let ended = manager.why_ended(former).await.unwrap().unwrap();
    assert_eq!(ended.reason, EndReason::Unproven);
    assert_eq!(who(&manager, &found, &[]).await.as_deref(), Some("ann"));
}

/// While its owner has no proof, the token of a neighbour must not take the place of the session.
/// Nobody can plant a proof, so a session that is proved is the client's own.
#[tokio::test]
async fn a_planted_token_does_not_win_over_a_session_without_proof() {
    let (manager, clock) = site(DeviceBinding::require());
    let own = sign_in(&manager, "ann").await;
    let bound = bind(&manager, &own, key(1)).await.unwrap();
    clock.advance(2 * MINUTE);
    let planted = sign_in(&manager, "mallory").await;
    for both in [
        [own.as_str(), planted.as_str()],
        [planted.as_str(), own.as_str()],
    ] {
        let now = manager.now();
        let guard = manager.begin_with_proofs(&both, &[], now).await.unwrap();
        assert_eq!(guard.principal(), None);
        guard.insert("note", "of ann").unwrap();
        let answer = guard.finish(Outcome::Success).await.unwrap();
        assert_eq!(answer, Directive::Nothing);
        // With its proof the planted one counts as another live session, as ever.
        let proofs = [bound.proof()];
        let proofs = proofs.each_ref().map(String::as_str);
        let begun = manager.begin_with_proofs(&both, &proofs, now).await;
        assert_eq!(begun.unwrap().principal(), None);
    }
    // To sign out ends the planted one, and the client keeps the token of the other.
    let other = sign_in(&manager, "mallory").await;
    let both = [own.as_str(), other.as_str()];
    let guard = manager.begin(&both).await.unwrap();
    guard.destroy().unwrap();
    let answer = guard.finish(Outcome::Success).await.unwrap();
    assert_eq!(answer, Directive::Nothing);
    assert!(manager.begin(&[other.as_str()]).await.unwrap().is_new());
    let proofs = [bound.proof()];
    let proofs = proofs.each_ref().map(String::as_str);
    assert_eq!(who(&manager, &own, &proofs).await.as_deref(), Some("ann"));

    // A session of the neighbour that is bound too, and in its grace, is no better.
    bind(&manager, &planted, key(2)).await.unwrap();
    let both = [own.as_str(), planted.as_str()];
    let guard = manager.begin_with_proofs(&both, &[], manager.now()).await;
    let guard = guard.unwrap();
    assert_eq!(guard.principal(), None);
    // Who signs in there ends both.
    guard.sign_in("ann").unwrap();
    let found = finish(guard).await;
    assert_eq!(who(&manager, &found, &[]).await.as_deref(), Some("ann"));
    assert_eq!(manager.sessions_of("ann").await.unwrap().len(), 1);
    assert_eq!(manager.sessions_of("mallory").await.unwrap().len(), 0);
}

#[tokio::test]
async fn of_several_sessions_without_proof_those_of_the_principal_end() {
    let (manager, clock) = site(DeviceBinding::require());
    let mut tokens = Vec::new();
    for (number, principal) in [(1, "ann"), (2, "bob"), (3, "ann")] {
        let token = sign_in(&manager, principal).await;
        bind(&manager, &token, key(number)).await.unwrap();
        tokens.push(token);
    }
    clock.advance(2 * MINUTE);
    let all: Vec<_> = tokens.iter().map(ClientToken::as_str).collect();
    let guard = manager.begin(&all).await.unwrap();
    guard.sign_in("ann").unwrap();
    finish(guard).await;
    assert_eq!(manager.sessions_of("ann").await.unwrap().len(), 1);
    assert_eq!(manager.sessions_of("bob").await.unwrap().len(), 1);

    // The same if it is not a new session that she signs in to.
    let (manager, clock) = site(DeviceBinding::require());
    let one = sign_in(&manager, "ann").await;
    let two = sign_in(&manager, "ann").await;
    let bound = bind(&manager, &one, key(1)).await.unwrap();
    bind(&manager, &two, key(2)).await.unwrap();
    clock.advance(2 * MINUTE);
    let (both, now) = ([one.as_str(), two.as_str()], manager.now());
    let guard = manager
        .begin_with_proofs(&both, &[&bound.proof()], now)
        .await;
    let guard = guard.unwrap();
    assert_eq!(guard.principal().as_deref(), Some("ann"));
    // A sign-out of the one that is proved leaves the other, and the client forgets its token.
    let (third, now) = (sign_in(&manager, "ann").await, manager.now());
    let proved = bind(&manager, &third, key(3)).await.unwrap();
    let tokens = [third.as_str(), two.as_str()];
    let proof = proved.proof();
    let other = manager.begin_with_proofs(&tokens, &[&proof], now).await;
    let other = other.unwrap();
    other.destroy().unwrap();
    let answer = other.finish(Outcome::Success).await.unwrap();
    assert_eq!(answer, Directive::Forget);

    guard.sign_in("ann").unwrap();
    finish(guard).await;
    let left = manager.sessions_of("ann").await.unwrap();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].id(), bound.id());
}

/// A refresh may be overtaken by requests that rotate the token. Its client has the newer token,
/// and must not give up its key.
#[tokio::test]
async fn a_refresh_whose_token_was_rotated_away_is_to_be_tried_again() {
    for every in [Duration::from_secs(1), Duration::from_secs(5)] {
        let clock = ManualClock::new(START);
        let manager = SessionManager::builder(MemoryStore::new())
            .keys(KeyRing::new([7; 32]).unwrap())
            .clock(clock.clone())
            .rotation(Rotation::every(every))
            .bound(DeviceBinding::require())
            .build()
            .unwrap();
        let first = sign_in(&manager, "ann").await;
        let bound = bind(&manager, &first, key(1)).await.unwrap();
        let mut tokens = vec![first];
        for _ in 0..8 {
            clock.advance(every + Duration::from_millis(1));
            let newest = tokens.last().unwrap().as_str().to_owned();
            let proof = bound.proof();
            let now = manager.now();
            let guard = manager.begin_with_proofs(&[&newest], &[&proof], now).await;
            match guard.unwrap().finish(Outcome::Success).await.unwrap() {
                Directive::Hold(token) => tokens.push(token),
                Directive::Nothing => {}
                other => panic!("{other:?}"),
            }
        }
        assert!(tokens.len() > 4, "{}", tokens.len());
        let mut again = 0;
        for token in &tokens {
            let asked = manager
                .bound_session(&[token.as_str()], &bound.name(), manager.now())
                .await;
            match asked {
                Ok(found) => assert_eq!(found.unwrap().id(), bound.id()),
                Err(error) => {
                    assert!(error.is_temporary(), "{error:?}");
                    again += 1;
                }
            }
            // Another binding is none of this session's, whatever its token.
            let other = manager
                .bound_session(&[token.as_str()], "another", manager.now())
                .await;
            assert!(other.unwrap().is_none());
        }
        assert!(again > 0);
    }
}
