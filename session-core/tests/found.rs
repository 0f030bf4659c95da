//! What went wrong once, and must not again.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use session_core::store::{
    Durability, Listed, PrincipalIndex, Record, RecordKey, RecordLocation, SessionStore,
    StoreError, Update, Updated,
};
use session_core::{
    Directive, Ended, Event, EventKind, KeyRing, Lifetime, ManualClock, MemoryStore, OnMaxSessions,
    OnReuse, Outcome, Rotation, SessionGuard, SessionId, SessionManager, SessionManagerBuilder,
    Timestamp,
};

const SECOND: Duration = Duration::from_secs(1);

type Seen = Arc<Mutex<Vec<EventKind>>>;
type Set = fn(SessionManagerBuilder) -> SessionManagerBuilder;

fn over(
    store: impl SessionStore,
    set: impl FnOnce(SessionManagerBuilder) -> SessionManagerBuilder,
) -> (SessionManager, Arc<ManualClock>, Seen) {
    let (clock, seen) = (
        ManualClock::new(Timestamp::from_millis(1_700_000_000_000)),
        Seen::default(),
    );
    let kinds = Arc::clone(&seen);
    let builder = SessionManager::builder(store)
        .clock(Arc::clone(&clock))
        .observer(move |event: &Event<'_>| kinds.lock().unwrap().push(event.kind));
    (set(builder).build().unwrap(), clock, seen)
}

fn rotating(rotation: Rotation) -> (SessionManager, Arc<ManualClock>, Seen) {
    let keys = KeyRing::new([7; 32]).unwrap();
    over(MemoryStore::new(), |builder| {
        builder
            .rotation(rotation)
            .on_reuse(OnReuse::Revoke)
            .keys(keys)
    })
}

async fn open(manager: &SessionManager, token: &str) -> SessionGuard {
    manager.begin(&[token]).await.unwrap()
}

fn token(told: &Directive) -> String {
    match told {
        Directive::Hold(token) => token.as_str().to_owned(),
        other => panic!("expected a token, got {other:?}"),
    }
}

/// Whether a request goes on with its session, and the token that it is told of.
async fn request(manager: &SessionManager, token: &str) -> (bool, Option<String>) {
    let session = open(manager, token).await;
    match session.finish(Outcome::Success).await.unwrap() {
        Directive::Hold(token) => (!session.is_new(), Some(token.as_str().to_owned())),
        _ => (!session.is_new(), None),
    }
}

async fn cart(manager: &SessionManager) -> String {
    let session = manager.begin(&[]).await.unwrap();
    session.insert("cart", 3).unwrap();
    token(&session.finish(Outcome::Success).await.unwrap())
}

#[tokio::test]
async fn of_two_successors_that_are_both_used_one_is_found_out() {
    let (manager, clock, seen) = rotating(Rotation::default());
    let first = cart(&manager).await;
    clock.advance(6 * SECOND);
    let thief = request(&manager, &first).await.1.unwrap();
    clock.advance(6 * SECOND);
    let mut client = request(&manager, &first).await.1.unwrap();
    let mut noticed = false;
    for _ in 0..4 {
        clock.advance(60 * SECOND);
        let (known, next) = request(&manager, &client).await;
        noticed |= !known;
        client = next.unwrap_or(client);
        request(&manager, &client).await;
        // Just after the client, so that nothing is due for this one.
        let (known, told) = request(&manager, &thief).await;
        assert_eq!(told, None);
        noticed |= !known;
    }
    assert!(noticed && seen.lock().unwrap().contains(&EventKind::Reused));
}

#[tokio::test]
async fn whatever_a_renewal_made_void_sets_no_cookie_for_ten_seconds() {
    let long = Rotation::every(60 * SECOND).with_overlap(60 * SECOND);
    let (manager, clock, _) = rotating(long);
    let first = cart(&manager).await;
    clock.advance(60 * SECOND);
    let second = request(&manager, &first).await.1.unwrap();
    assert!(request(&manager, &second).await.0);
    clock.advance(20 * SECOND);
    assert!(request(&manager, &first).await.0, "within its overlap");
    let session = open(&manager, &second).await;
    session.sign_in("user:1").unwrap();
    session.finish(Outcome::Success).await.unwrap();
    for stale in [&first, &second] {
        let late = open(&manager, stale).await;
        late.insert("n", 1).unwrap();
        assert_eq!(
            late.finish(Outcome::Success).await.unwrap(),
            Directive::Nothing
        );
    }

    // However many answers were lost before.
    let (manager, clock, _) = rotating(Rotation::default().with_keep(8));
    let first = cart(&manager).await;
    for _ in 0..12 {
        clock.advance(5 * SECOND);
        assert!(request(&manager, &first).await.0);
    }
    let session = open(&manager, &first).await;
    session.sign_in("user:1").unwrap();
    session.finish(Outcome::Success).await.unwrap();
    let late = open(&manager, &first).await;
    late.insert("n", 1).unwrap();
    assert_eq!(
        late.finish(Outcome::Success).await.unwrap(),
        Directive::Nothing
    );
}

#[tokio::test]
async fn a_successor_that_was_never_presented_is_no_theft_however_late_it_comes() {
    for keep in [1, 3] {
        let (manager, clock, _) = rotating(Rotation::default().with_keep(keep));
        let first = cart(&manager).await;
        let mut successors = Vec::new();
        for _ in 0..20 {
            clock.advance(5 * SECOND);
            successors.extend(request(&manager, &first).await.1);
        }
        assert_eq!(successors.len(), 8, "then it gets no more");
        for successor in &successors {
            assert!(request(&manager, successor).await.0);
        }
    }
}

#[tokio::test]
async fn many_rotations_at_once_are_no_theft() {
    let (manager, clock, seen) = rotating(Rotation::hourly());
    let first = cart(&manager).await;
    let mut newest = first.clone();
    for lifetime in [Lifetime::aal2(), Lifetime::aal3()]
        .into_iter()
        .cycle()
        .take(6)
    {
        clock.advance(SECOND / 10);
        let session = open(&manager, &newest).await;
        session.set_lifetime(lifetime);
        newest = token(&session.finish(Outcome::Success).await.unwrap());
    }
    // A request that was under way for so long is anonymous, and does no harm.
    let late = open(&manager, &first).await;
    assert!(late.is_new());
    late.insert("n", 1).unwrap();
    assert_eq!(
        late.finish(Outcome::Success).await.unwrap(),
        Directive::Nothing
    );
    assert!(request(&manager, &newest).await.0);
    assert!(!seen.lock().unwrap().contains(&EventKind::Reused));
}

#[tokio::test]
async fn each_of_two_thefts_in_one_request_shows() {
    let (manager, clock, seen) = rotating(Rotation::default());
    let old = [cart(&manager).await, cart(&manager).await];
    clock.advance(6 * SECOND);
    for token in &old {
        let next = request(&manager, token).await.1.unwrap();
        assert!(request(&manager, &next).await.0);
    }
    clock.advance(11 * SECOND);
    drop(manager.begin(&[&old[0], &old[1]]).await.unwrap());
    let seen = seen.lock().unwrap();
    assert_eq!(
        seen.iter()
            .filter(|kind| **kind == EventKind::Reused)
            .count(),
        2
    );
}

#[tokio::test]
async fn another_lifetime_reaches_the_client_after_a_save_too() {
    for rotation in [Rotation::off(), Rotation::hourly()] {
        let (manager, ..) = over(MemoryStore::new(), |builder| builder.rotation(rotation));
        let held = cart(&manager).await;
        let session = open(&manager, &held).await;
        session.set_lifetime(Lifetime::aal1().persistent());
        session.save().await.unwrap();
        let told = session.finish(Outcome::Success).await.unwrap();
        assert!(
            matches!(&told, Directive::Hold(token) if token.max_age().is_some()),
            "{rotation:?}"
        );
    }
}

#[tokio::test]
async fn a_stranger_is_no_expiry() {
    let (manager, clock, seen) = over(MemoryStore::new(), |builder| builder);
    let held = cart(&manager).await;
    clock.advance(7201 * SECOND);
    let mut forged = held.clone().into_bytes();
    forged[30] = if forged[30] == b'A' { b'B' } else { b'A' };
    drop(open(&manager, std::str::from_utf8(&forged).unwrap()).await);
    assert!(!seen.lock().unwrap().contains(&EventKind::Expired));
    drop(open(&manager, &held).await);
    assert!(seen.lock().unwrap().contains(&EventKind::Expired));
}

/// Fails as it is told to; `hook` runs before a deletion or an update.
#[derive(Default)]
struct Bad {
    inner: MemoryStore,
    lists: AtomicUsize,
    failing_list: usize,
    loses_creation: AtomicBool,
    hook: Mutex<Option<(SessionManager, String)>>,
}

impl std::fmt::Debug for Bad {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Bad")
    }
}

#[async_trait]
impl SessionStore for Bad {
    fn location(&self) -> RecordLocation {
        self.inner.location()
    }

    fn durability(&self) -> Durability {
        self.inner.durability()
    }

    async fn load(
        &self,
        key: &RecordKey,
        now: Timestamp,
    ) -> Result<Option<Arc<Record>>, StoreError> {
        self.inner.load(key, now).await
    }

    async fn create(&self, record: &Arc<Record>, now: Timestamp) -> Result<RecordKey, StoreError> {
        tokio::task::yield_now().await;
        let created = self.inner.create(record, now).await;
        match self.loses_creation.swap(false, Ordering::Relaxed) {
            true => Err(StoreError::outcome_unknown("lost")),
            false => created,
        }
    }

    async fn update(
        &self,
        key: &RecordKey,
        update: &Update,
        now: Timestamp,
    ) -> Result<Updated, StoreError> {
        let hook = self.hook.lock().unwrap().take();
        if let Some((manager, token)) = hook {
            let session = manager.begin(&[&token]).await.unwrap();
            session.sign_in("user:1").unwrap();
            session.finish(Outcome::Success).await.unwrap();
        }
        self.inner.update(key, update, now).await
    }

    async fn delete(&self, key: &RecordKey, ended: Ended) -> Result<(), StoreError> {
        self.inner.delete(key, ended).await
    }

    fn principals(&self) -> Option<&dyn PrincipalIndex> {
        Some(self)
    }
}

#[async_trait]
impl PrincipalIndex for Bad {
    async fn list_of(&self, principal: &str, now: Timestamp) -> Result<Vec<Listed>, StoreError> {
        if self.lists.fetch_add(1, Ordering::Relaxed) + 1 == self.failing_list {
            return Err(StoreError::unavailable("no list"));
        }
        self.inner.list_of(principal, now).await
    }

    async fn delete_one_of(
        &self,
        principal: &str,
        id: SessionId,
        ended: Ended,
    ) -> Result<bool, StoreError> {
        self.inner.delete_one_of(principal, id, ended).await
    }

    async fn delete_all_of(
        &self,
        principal: &str,
        except: Option<SessionId>,
        ended: Ended,
    ) -> Result<u64, StoreError> {
        self.inner.delete_all_of(principal, except, ended).await
    }
}

#[tokio::test]
async fn a_listing_that_fails_after_a_sign_in_takes_nothing_away() {
    let most: Set = |builder| builder.max_sessions(5, OnMaxSessions::RevokeOldest);
    let failing = |at| Bad {
        failing_list: at,
        ..Bad::default()
    };
    // A guest with a cart.
    let (manager, _, seen) = over(failing(2), most);
    let guest = cart(&manager).await;
    let session = open(&manager, &guest).await;
    session.sign_in("user:1").unwrap();
    let held = token(&session.finish(Outcome::Success).await.unwrap());
    assert_eq!(open(&manager, &held).await.get("cart").unwrap(), Some(3));
    assert!(seen.lock().unwrap().contains(&EventKind::Unsaved));
    // Who confirms a password, and who changes accounts.
    let (manager, ..) = over(failing(4), most);
    let session = manager.begin(&[]).await.unwrap();
    session.sign_in("user:1").unwrap();
    session.insert("draft", "x").unwrap();
    let held = token(&session.finish(Outcome::Success).await.unwrap());
    let session = open(&manager, &held).await;
    session.sign_in("user:1").unwrap();
    let held = token(&session.finish(Outcome::Success).await.unwrap());
    assert!(open(&manager, &held).await.contains_key("draft"));
}

#[tokio::test]
async fn a_listing_that_fails_before_a_sign_in_leaves_all_as_it_was() {
    let (manager, ..) = over(
        Bad {
            failing_list: 3,
            ..Bad::default()
        },
        |builder| builder.max_sessions(5, OnMaxSessions::Refuse),
    );
    let session = manager.begin(&[]).await.unwrap();
    session.sign_in("user:1").unwrap();
    let held = token(&session.finish(Outcome::Success).await.unwrap());
    let session = open(&manager, &held).await;
    session.sign_in("user:2").unwrap();
    let failed = session.finish(Outcome::Success).await.unwrap_err();
    assert_eq!(failed.directive, Directive::Nothing);
    assert_eq!(
        open(&manager, &held).await.principal().as_deref(),
        Some("user:1")
    );
}

#[tokio::test]
async fn a_creation_whose_answer_is_lost_takes_no_place() {
    let bad = Bad::default();
    bad.loses_creation.store(true, Ordering::Relaxed);
    let (manager, ..) = over(bad, |builder| {
        builder.max_sessions(1, OnMaxSessions::Refuse)
    });
    let session = manager.begin(&[]).await.unwrap();
    session.sign_in("user:1").unwrap();
    let failed = session.finish(Outcome::Success).await.unwrap_err();
    assert_eq!(failed.directive, Directive::Nothing);
    let session = manager.begin(&[]).await.unwrap();
    session.sign_in("user:1").unwrap();
    assert!(session.finish(Outcome::Success).await.is_ok());
}

#[tokio::test]
async fn a_sign_in_that_is_faster_than_a_revocation_stays() {
    let bad = Arc::new(Bad::default());
    let keys = KeyRing::new([7; 32]).unwrap();
    let (manager, clock, _) = over(Arc::clone(&bad), |builder| {
        builder
            .rotation(Rotation::default())
            .on_reuse(OnReuse::Revoke)
            .keys(keys)
    });
    let old = cart(&manager).await;
    clock.advance(6 * SECOND);
    let new = request(&manager, &old).await.1.unwrap();
    assert!(request(&manager, &new).await.0);
    clock.advance(11 * SECOND);
    *bad.hook.lock().unwrap() = Some((manager.clone(), new));
    assert!(!request(&manager, &old).await.0);
    assert_eq!(manager.sessions_of("user:1").await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_csrf_token_that_is_asked_for_while_the_session_is_stored_is_good() {
    let (manager, ..) = over(Bad::default(), |builder| builder);
    let session = manager.begin(&[]).await.unwrap();
    session.insert("n", 1).unwrap();
    let asks = async {
        tokio::task::yield_now().await;
        session.csrf_token().unwrap()
    };
    let (saved, csrf) = tokio::join!(session.save(), asks);
    saved.unwrap();
    let held = token(&session.finish(Outcome::Success).await.unwrap());
    assert!(open(&manager, &held).await.verify_csrf(&csrf));
}

#[tokio::test]
async fn a_save_in_between_moves_no_flash_value() {
    let (manager, ..) = over(MemoryStore::new(), |builder| builder);
    let held = cart(&manager).await;
    let session = open(&manager, &held).await;
    session.flash("a", "Saved").unwrap();
    session.save().await.unwrap();
    assert_eq!(
        session.flashed::<String>("a").unwrap(),
        None,
        "not in this request"
    );
    assert_eq!(session.flashed::<String>("b").unwrap(), None);
    session.finish(Outcome::Success).await.unwrap();

    let session = open(&manager, &held).await;
    for _ in 0..2 {
        assert_eq!(
            session.flashed::<String>("a").unwrap().as_deref(),
            Some("Saved")
        );
        session.save().await.unwrap();
    }
    session.finish(Outcome::Success).await.unwrap();
    assert_eq!(open(&manager, &held).await.keys(), ["cart"]);

    let session = open(&manager, &held).await;
    session.flash("a", 1).unwrap();
    session.finish(Outcome::Success).await.unwrap();
    let session = open(&manager, &held).await;
    session.clear();
    assert_eq!(session.flashed::<u32>("a").unwrap(), None);
}

#[tokio::test]
async fn who_is_one_too_many_is_told_of_no_token() {
    // Its clock is behind, and the other one signs in while it does.
    let store = Arc::new(MemoryStore::new());
    let cap: Set = |builder| builder.max_sessions(1, OnMaxSessions::RevokeOldest);
    let (early, _, _) = over(Arc::clone(&store), cap);
    let (late, clock, _) = over(Arc::clone(&store), cap);
    clock.advance(5 * SECOND);
    // One after the other, the last one counts, whatever its clock says.
    for manager in [&late, &early, &late, &early, &early] {
        let session = manager.begin(&[]).await.unwrap();
        session.sign_in("user:1").unwrap();
        let held = token(&session.finish(Outcome::Success).await.unwrap());
        assert!(!open(manager, &held).await.is_new());
        assert_eq!(manager.sessions_of("user:1").await.unwrap().len(), 1);
        let again = open(manager, &held).await;
        again.sign_in("user:1").unwrap();
        let held = token(&again.finish(Outcome::Success).await.unwrap());
        assert!(!open(manager, &held).await.is_new());
    }
    // At the same moment, the one that comes first in the order goes.
    let (manager, ..) = over(Bad::default(), cap);
    let sessions = [
        manager.begin(&[]).await.unwrap(),
        manager.begin(&[]).await.unwrap(),
    ];
    for session in &sessions {
        session.sign_in("user:3").unwrap();
    }
    let (a, b) = tokio::join!(
        sessions[0].finish(Outcome::Success),
        sessions[1].finish(Outcome::Success)
    );
    let told = [a.unwrap(), b.unwrap()];
    let mut live = 0;
    for told in told
        .iter()
        .filter(|told| matches!(told, Directive::Hold(_)))
    {
        live += usize::from(!open(&manager, &token(told)).await.is_new());
    }
    assert_eq!(live, 1);
    assert_eq!(manager.sessions_of("user:3").await.unwrap().len(), 1);
}

/// Whichever the client names first, it goes on with the one that is not superseded.
#[tokio::test]
async fn of_two_tokens_of_one_session_the_newer_one_counts() {
    for newer_first in [false, true] {
        let (manager, clock, _) = rotating(Rotation::default());
        let first = cart(&manager).await;
        clock.advance(6 * SECOND);
        let second = request(&manager, &first).await.1.unwrap();
        clock.advance(SECOND);
        request(&manager, &second).await;
        clock.advance(5 * SECOND);
        let tokens = match newer_first {
            true => [second.as_str(), first.as_str()],
            false => [first.as_str(), second.as_str()],
        };
        let session = manager.begin(&tokens).await.unwrap();
        assert!(!session.is_new());
        let told = session.finish(Outcome::Success).await.unwrap();
        assert!(matches!(told, Directive::Hold(_)), "its successor is due");
    }
}

/// However long ago its token was superseded: a thief is given no other session for it.
#[tokio::test]
async fn a_request_whose_reuse_ends_the_session_is_mute() {
    let (manager, clock, _) = rotating(Rotation::default());
    let first = cart(&manager).await;
    clock.advance(6 * SECOND);
    let second = request(&manager, &first).await.1.unwrap();
    request(&manager, &second).await;
    clock.advance(300 * SECOND);
    let thief = open(&manager, &first).await;
    thief.insert("cart", 1).unwrap();
    assert_eq!(
        thief.finish(Outcome::Success).await.unwrap(),
        Directive::Nothing
    );
    assert!(open(&manager, &second).await.is_new());
}

/// The clock was set back since, so it arrives now.
#[tokio::test]
async fn a_request_does_not_arrive_in_the_future() {
    let (manager, clock, seen) = rotating(Rotation::default());
    let first = cart(&manager).await;
    clock.advance(6 * SECOND);
    let second = request(&manager, &first).await.1.unwrap();
    request(&manager, &second).await;
    let arrived = manager.now() + 3600 * SECOND;
    let late = manager.begin_at(&[first.as_str()], arrived).await.unwrap();
    assert!(!late.is_new());
    assert!(!seen.lock().unwrap().contains(&EventKind::Reused));
}
