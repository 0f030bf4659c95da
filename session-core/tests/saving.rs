//! What a save asks of the store, and what becomes of it where the store or another request is in
//! the way.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::future::{pending, ready};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use session_core::store::{
    Durability, Listed, PrincipalIndex, Record, RecordKey, RecordLocation, SessionStore,
    StoreError, Update, Updated,
};
use session_core::{
    Clock, Directive, EndReason, Ended, Event, EventKind, ManualClock, MemoryStore, OnMaxSessions,
    Outcome, Session, SessionError, SessionGuard, SessionId, SessionManager, SessionManagerBuilder,
    Sleep, Timestamp,
};

const SECOND: Duration = Duration::from_secs(1);
const START: Timestamp = Timestamp::from_millis(1_700_000_000_000);

/// What the store does instead of what it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    IdTaken,
    Unavailable,
    Unknown,
    Hangs,
}

impl Fault {
    async fn answer<T>(self) -> Result<T, StoreError> {
        match self {
            Self::IdTaken => Err(StoreError::IdTaken),
            Self::Unavailable => Err(StoreError::unavailable("down")),
            Self::Unknown => Err(StoreError::outcome_unknown("lost")),
            Self::Hangs => pending().await,
        }
    }
}

type Hook = Box<dyn FnOnce() + Send>;

/// A store that counts its calls by name, and fails those that it was told to.
#[derive(Default)]
struct Script {
    inner: MemoryStore,
    calls: Mutex<Vec<&'static str>>,
    faults: Mutex<Vec<(&'static str, Fault)>>,
    /// Runs when a record was created, before anybody knows.
    created: Mutex<Option<Hook>>,
    /// Runs before a load.
    loading: Mutex<Option<Hook>>,
    /// What a load finds, whatever is there.
    found: Mutex<Option<Arc<Record>>>,
    /// What updates come to, whatever is there.
    conflicts: Mutex<Vec<Option<Arc<Record>>>>,
    deadline: Option<Duration>,
}

impl std::fmt::Debug for Script {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Script")
    }
}

impl Script {
    fn fails(&self, call: &'static str, fault: Fault, times: usize) {
        let faults = std::iter::repeat_n((call, fault), times);
        self.faults.lock().unwrap().extend(faults);
    }

    fn count(&self, call: &str) -> usize {
        let calls = self.calls.lock().unwrap();
        calls.iter().filter(|other| **other == call).count()
    }

    async fn call<T>(
        &self,
        name: &'static str,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        self.calls.lock().unwrap().push(name);
        let fault = {
            let mut faults = self.faults.lock().unwrap();
            let at = faults.iter().position(|(call, _)| *call == name);
            at.map(|at| faults.remove(at).1)
        };
        match fault {
            Some(fault) => fault.answer().await,
            None => work.await,
        }
    }
}

#[async_trait]
impl SessionStore for Script {
    fn location(&self) -> RecordLocation {
        self.inner.location()
    }

    fn durability(&self) -> Durability {
        self.inner.durability()
    }

    fn call_timeout(&self) -> Option<Duration> {
        self.deadline
    }

    async fn load(
        &self,
        key: &RecordKey,
        now: Timestamp,
    ) -> Result<Option<Arc<Record>>, StoreError> {
        if let Some(hook) = self.loading.lock().unwrap().take() {
            hook();
        }
        let found = self.found.lock().unwrap().clone();
        let loaded = self.call("load", self.inner.load(key, now)).await?;
        Ok(found.or(loaded))
    }

    async fn create(&self, record: &Arc<Record>, now: Timestamp) -> Result<RecordKey, StoreError> {
        let key = self.call("create", self.inner.create(record, now)).await?;
        if let Some(hook) = self.created.lock().unwrap().take() {
            hook();
        }
        Ok(key)
    }

    async fn update(
        &self,
        key: &RecordKey,
        update: &Update,
        now: Timestamp,
    ) -> Result<Updated, StoreError> {
        let conflict = self.conflicts.lock().unwrap().pop();
        let work = async {
            match conflict {
                Some(fresh) => Ok(Updated::conflict(fresh)),
                None => self.inner.update(key, update, now).await,
            }
        };
        self.call("update", work).await
    }

    async fn delete(&self, key: &RecordKey, ended: Ended) -> Result<(), StoreError> {
        self.call("delete", self.inner.delete(key, ended)).await
    }

    fn principals(&self) -> Option<&dyn PrincipalIndex> {
        Some(self)
    }
}

#[async_trait]
impl PrincipalIndex for Script {
    async fn list_of(&self, principal: &str, now: Timestamp) -> Result<Vec<Listed>, StoreError> {
        // It leaves to the manager what has expired.
        let _ = now;
        self.call("list", self.inner.list_of(principal, START))
            .await
    }

    async fn delete_one_of(
        &self,
        principal: &str,
        id: SessionId,
        ended: Ended,
    ) -> Result<bool, StoreError> {
        self.call("delete_one", self.inner.delete_one_of(principal, id, ended))
            .await
    }

    async fn delete_all_of(
        &self,
        principal: &str,
        except: Option<SessionId>,
        ended: Ended,
    ) -> Result<u64, StoreError> {
        let all = self.inner.delete_all_of(principal, except, ended);
        self.call("delete_all", all).await
    }
}

struct Site {
    store: Arc<Script>,
    clock: Arc<ManualClock>,
    manager: SessionManager,
    seen: Arc<Mutex<Vec<EventKind>>>,
}

fn site() -> Site {
    site_with(Script::default(), |builder| builder)
}

/// A site whose principals may have one session.
fn limited() -> Site {
    site_with(Script::default(), |builder| {
        builder.max_sessions(1, OnMaxSessions::Refuse)
    })
}

fn site_with(
    script: Script,
    set: impl FnOnce(SessionManagerBuilder) -> SessionManagerBuilder,
) -> Site {
    let (store, seen) = (Arc::new(script), Arc::<Mutex<Vec<EventKind>>>::default());
    let clock = ManualClock::new(START);
    let kinds = Arc::clone(&seen);
    let builder = SessionManager::builder(Arc::clone(&store))
        .clock(Arc::clone(&clock))
        .observer(move |event: &Event<'_>| kinds.lock().unwrap().push(event.kind));
    let manager = set(builder).build().unwrap();
    Site {
        store,
        clock,
        manager,
        seen,
    }
}

impl Site {
    async fn open(&self, tokens: &[&str]) -> SessionGuard {
        self.manager.begin(tokens).await.unwrap()
    }

    /// A handle of a request that is over.
    async fn late(&self, token: &str) -> Session {
        self.open(&[token]).await.session().clone()
    }

    /// The token of a stored session, of this principal if there is one.
    async fn stored(&self, principal: Option<&str>) -> String {
        let session = self.open(&[]).await;
        session.insert("a", 1).unwrap();
        if let Some(principal) = principal {
            session.sign_in(principal).unwrap();
        }
        match session.finish(Outcome::Success).await.unwrap() {
            Directive::Hold(token) => token.as_str().to_owned(),
            other => unreachable!("{other:?}"),
        }
    }

    fn events(&self) -> Vec<EventKind> {
        std::mem::take(&mut *self.seen.lock().unwrap())
    }

    /// Runs a call that the store does not answer until its deadline has passed.
    async fn after<T>(&self, deadline: Duration, call: impl Future<Output = T>) -> T {
        let mut call = std::pin::pin!(call);
        let early = std::future::poll_fn(|context| {
            std::task::Poll::Ready(call.as_mut().poll(context).is_ready())
        });
        assert!(!early.await, "nobody answers");
        self.clock.advance(deadline - SECOND);
        let mut call = std::pin::pin!(call);
        let early = std::future::poll_fn(|context| {
            std::task::Poll::Ready(call.as_mut().poll(context).is_ready())
        });
        assert!(!early.await, "the deadline is later");
        self.clock.advance(SECOND);
        call.await
    }
}

/// Its response has left, so nobody else would tell the handle.
#[tokio::test]
async fn a_handle_whose_session_was_renewed_by_another_learns_it_at_its_next_save() {
    let on = site();
    let token = on.stored(None).await;
    let late = on.late(&token).await;
    late.save().await.unwrap();
    let session = on.open(&[&token]).await;
    session.renew().unwrap();
    session.finish(Outcome::Success).await.unwrap();
    assert!(matches!(late.save().await, Err(SessionError::Gone)));
    assert!(late.is_new());
    assert!(
        matches!(late.save().await, Err(SessionError::Gone)),
        "it stays so"
    );
}

/// What was loaded before a renewal must not be written after it, also where the next write loads
/// the session anew.
#[tokio::test]
async fn a_reload_that_finds_another_epoch_writes_nothing() {
    let on = site();
    let token = on.stored(None).await;
    let session = on.open(&[&token]).await;
    let other = on.open(&[&token]).await;
    other.insert("b", 2).unwrap();
    other.save().await.unwrap();
    session.insert("c", 3).unwrap();
    session.save().await.unwrap(); // merged, so what it knows of the rest is stale
    other.renew().unwrap();
    other.finish(Outcome::Success).await.unwrap();
    let before = on.store.count("update");
    session.set_label("phone").unwrap();
    assert!(matches!(session.save().await, Err(SessionError::Gone)));
    assert_eq!(on.store.count("update"), before);
}

#[tokio::test]
async fn what_an_abort_or_a_commit_leaves_undeleted_stays_for_good() {
    let on = site();
    let token = on.stored(Some("alice")).await;
    for keeps_token in [false, true] {
        let session = on.open(&[&token]).await;
        session.sign_in("bob").unwrap();
        match keeps_token {
            true => session.finish(Outcome::SuccessWithoutToken).await.unwrap(),
            false => session.finish(Outcome::Failure).await.unwrap(),
        };
        assert!(!session.needs_commit());
        session.save().await.unwrap();
        let alice = on.open(&[&token]).await;
        assert_eq!(alice.principal().as_deref(), Some("alice"));
    }
    on.store.fails("delete", Fault::Unavailable, 1);
    let session = on.open(&[&token]).await;
    session.destroy().unwrap();
    session.finish(Outcome::Failure).await.unwrap();
    assert!(!session.needs_commit());
    session.save().await.ok();
    assert_eq!(on.store.count("delete"), 1, "the response has left");
}

#[tokio::test]
async fn a_save_deletes_what_it_created_for_a_session_that_was_destroyed_meanwhile() {
    let on = site();
    let session = on.open(&[]).await;
    session.insert("a", 1).unwrap();
    let clone = session.clone();
    *on.store.created.lock().unwrap() = Some(Box::new(move || clone.destroy().unwrap()));
    session.save().await.unwrap();
    assert_eq!(on.store.count("delete"), 1);
    assert_eq!(on.store.inner.len(), 0);
}

#[tokio::test]
async fn only_a_late_save_looks_whether_its_session_still_is() {
    let on = site();
    let token = on.stored(None).await;
    let session = on.open(&[&token]).await;
    let loads = || on.store.count("load");
    let before = loads();
    session.save().await.unwrap();
    session.finish(Outcome::Success).await.unwrap();
    session.finish(Outcome::Success).await.unwrap();
    assert_eq!(loads(), before);
    session.save().await.unwrap();
    assert_eq!(loads(), before + 1);
}

#[tokio::test]
async fn a_save_does_not_ask_for_room_that_only_the_commit_needs() {
    let on = limited();
    on.stored(Some("alice")).await;
    let lists = on.store.count("list");
    let session = on.open(&[]).await;
    session.insert("a", 1).unwrap();
    session.sign_in("alice").unwrap();
    session.save().await.unwrap();
    assert_eq!(on.store.count("list"), lists);
    let refused = session.finish(Outcome::Success).await.unwrap_err();
    assert!(matches!(
        refused.error,
        SessionError::TooManySessions { most: 1, .. }
    ));
}

#[tokio::test]
async fn what_is_withheld_is_dropped() {
    let on = site();
    let session = on.open(&[]).await;
    session.insert("a", 1).unwrap();
    session.finish(Outcome::SuccessWithoutToken).await.unwrap();
    assert!(session.is_empty());
    assert_eq!(on.events(), [EventKind::Unsaved]);
}

#[tokio::test]
async fn an_id_that_is_taken_is_drawn_again_and_not_for_ever() {
    let on = site();
    on.store.fails("create", Fault::IdTaken, 4);
    on.stored(None).await;
    assert_eq!(on.store.count("create"), 5);
    on.store.fails("create", Fault::IdTaken, 6);
    let session = on.open(&[]).await;
    session.insert("a", 1).unwrap();
    let failed = session.finish(Outcome::Success).await.unwrap_err();
    assert!(matches!(
        failed.error,
        SessionError::Store(StoreError::IdTaken)
    ));
    assert_eq!(on.store.count("create"), 10);
}

/// It would take the place of another one, if sessions are counted and it may be there.
#[tokio::test]
async fn only_a_session_that_counts_and_may_be_there_is_deleted_unseen() {
    for (on, principal, fault, deletions) in [
        (limited(), Some("alice"), Fault::Unknown, 1),
        (limited(), Some("alice"), Fault::Unavailable, 0),
        (limited(), None, Fault::Unknown, 0),
        (site(), Some("alice"), Fault::Unknown, 0),
    ] {
        on.store.fails("create", fault, 1);
        let session = on.open(&[]).await;
        session.insert("a", 1).unwrap();
        if let Some(principal) = principal {
            session.sign_in(principal).unwrap();
        }
        session.finish(Outcome::Success).await.unwrap_err();
        let said = format!("{principal:?}, {fault:?}");
        assert_eq!(on.store.count("delete"), deletions, "{said}");
    }
}

#[tokio::test]
async fn activity_that_is_not_written_is_an_event_and_no_failure() {
    let on = site();
    let token = on.stored(None).await;
    on.clock.advance(3600 * SECOND);
    on.store.fails("update", Fault::Unavailable, 1);
    let session = on.open(&[&token]).await;
    on.events();
    session.finish(Outcome::Success).await.unwrap();
    assert_eq!(on.events(), [EventKind::StoreFailed, EventKind::Unsaved]);

    // The session was ended: that is what is said.
    let session = on.open(&[&token]).await;
    on.manager.sign_out_everywhere("nobody").await.unwrap();
    let key = RecordKey::Id(session.id().unwrap());
    on.store.inner.delete(&key, ended(&on)).await.unwrap();
    on.events();
    session.finish(Outcome::Success).await.unwrap();
    assert_eq!(on.events(), [EventKind::Gone]);

    // A late save is what keeps the session alive: its failure is told.
    let token = on.stored(None).await;
    let late = on.late(&token).await;
    on.clock.advance(3600 * SECOND);
    on.store.fails("update", Fault::Unavailable, 1);
    let failed = late.save().await;
    assert!(matches!(
        failed,
        Err(SessionError::Store(StoreError::Unavailable(_)))
    ));
}

fn ended(on: &Site) -> Ended {
    Ended::new(EndReason::Revoked, on.manager.now())
}

#[tokio::test]
async fn whoever_signs_in_goes_on_and_the_end_of_the_session_before_is_told() {
    let on = site();
    let token = on.stored(None).await;
    let session = on.open(&[&token]).await;
    let key = RecordKey::Id(session.id().unwrap());
    on.store.inner.delete(&key, ended(&on)).await.unwrap();
    session.sign_in("alice").unwrap();
    on.events();
    session.finish(Outcome::Success).await.unwrap();
    let kinds = on.events();
    assert_eq!(
        kinds,
        [EventKind::Gone, EventKind::Created, EventKind::Renewed]
    );
}

#[tokio::test]
async fn a_deletion_that_fails_is_one_event() {
    let on = site();
    let token = on.stored(None).await;
    on.store.fails("delete", Fault::Unavailable, 1);
    let session = on.open(&[&token]).await;
    session.destroy().unwrap();
    on.events();
    session.save().await.unwrap_err();
    assert_eq!(on.events(), [EventKind::StoreFailed]);
}

#[tokio::test]
async fn a_call_that_is_not_answered_is_known_by_what_it_may_have_done() {
    let call = 2 * SECOND;
    let many = 10 * SECOND;
    // A store that keeps its own time does so for one record, and not for many.
    let keeps_time = || Script {
        deadline: Some(SECOND),
        ..Script::default()
    };
    let on = site_with(keeps_time(), |builder| builder);
    on.store.fails("list", Fault::Hangs, 1);
    let error = on.after(many, on.manager.sessions_of("alice")).await;
    assert!(matches!(
        error.unwrap_err(),
        SessionError::Store(StoreError::Unavailable(_))
    ));
    on.store.fails("delete_all", Fault::Hangs, 1);
    let error = on.after(many, on.manager.sign_out_everywhere("alice"));
    assert!(matches!(
        error.await.unwrap_err(),
        SessionError::Store(StoreError::OutcomeUnknown(_))
    ));

    let on = site();
    let token = on.stored(None).await;
    on.store.fails("load", Fault::Hangs, 1);
    let error = on.after(call, on.manager.begin(&[&token])).await;
    assert!(matches!(
        error.unwrap_err(),
        SessionError::Store(StoreError::Unavailable(_))
    ));
    for (fault, tokens) in [("create", vec![]), ("update", vec![token.as_str()])] {
        on.store.fails(fault, Fault::Hangs, 1);
        let session = on.open(&tokens).await;
        session.insert("b", 2).unwrap();
        let error = on.after(call, session.save()).await;
        assert!(matches!(
            error.unwrap_err(),
            SessionError::Store(StoreError::OutcomeUnknown(_))
        ));
    }
}

#[tokio::test]
async fn a_list_leaves_out_what_has_expired() {
    let on = site();
    on.stored(Some("alice")).await;
    let hours = 3600 * SECOND;
    assert_eq!(on.manager.sessions_of("alice").await.unwrap().len(), 1);
    on.clock.advance(2 * hours);
    assert!(on.manager.sessions_of("alice").await.unwrap().is_empty());
}

async fn saved(on: &Site) -> SessionGuard {
    let session = on.open(&[]).await;
    session.insert("a", 1).unwrap();
    session.save().await.unwrap();
    session
}

/// The record of another session, which was renewed.
async fn renewed(on: &Site) -> Arc<Record> {
    let token = on.stored(None).await;
    let session = on.open(&[&token]).await;
    session.renew().unwrap();
    session.finish(Outcome::Success).await.unwrap();
    let key = RecordKey::Id(session.id().unwrap());
    on.store.inner.load(&key, START).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_token_is_sent_of_a_session_that_is_and_has_it() {
    let on = site();
    let session = saved(&on).await;
    on.clock.advance(100 * 24 * 3600 * SECOND);
    on.events();
    assert_eq!(
        session.finish(Outcome::Failure).await.unwrap(),
        Directive::Nothing
    );
    assert_eq!(on.events(), [EventKind::Gone], "it has expired");

    let on = site();
    let session = saved(&on).await;
    // A mark is live for a minute, and of an epoch of its own.
    let mark = Ended::new(EndReason::Revoked, on.clock.now()).mark(session.id().unwrap());
    *on.store.found.lock().unwrap() = Some(Arc::new(mark));
    assert_eq!(
        session.finish(Outcome::Success).await.unwrap(),
        Directive::Nothing
    );
    assert!(session.is_new(), "the token is of an epoch that is over");
}

/// Nobody knows whether the session still is.
#[tokio::test]
async fn an_abort_that_cannot_look_sends_no_token() {
    let on = site();
    let session = saved(&on).await;
    on.store.fails("load", Fault::Unavailable, 1);
    assert_eq!(
        session.finish(Outcome::Failure).await.unwrap(),
        Directive::Nothing
    );
}

#[tokio::test]
async fn what_a_failed_request_changed_is_dropped_on_purpose_also_once_it_is_over() {
    let on = site();
    let guard = on.open(&[]).await;
    guard.finish(Outcome::Failure).await.unwrap();
    let session = guard.session().clone();
    drop(guard);
    session.insert("a", 1).unwrap();
    on.events();
    drop(session);
    assert_eq!(on.events(), []);
}

#[tokio::test]
async fn whoever_signs_in_with_tokens_of_several_sessions_ends_them() {
    let on = site();
    let (one, other) = (on.stored(None).await, on.stored(Some("alice")).await);
    let session = on.open(&[&one, &other]).await;
    assert!(session.is_new());
    session.sign_in("bob").unwrap();
    let told = session.finish(Outcome::Success).await.unwrap();
    assert!(matches!(told, Directive::Hold(_)));
    assert_eq!(on.store.count("delete"), 2);
    for token in [one, other] {
        assert!(on.open(&[&token]).await.is_new());
    }
}

/// The load was for the session that it has left.
#[tokio::test]
async fn a_handler_that_turns_to_another_session_while_the_commit_looks_is_not_mute() {
    let on = site();
    let session = saved(&on).await;
    let key = RecordKey::Id(session.id().unwrap());
    on.store.inner.delete(&key, ended(&on)).await.unwrap();
    let clone = session.clone();
    *on.store.loading.lock().unwrap() = Some(Box::new(move || clone.destroy().unwrap()));
    session.finish(Outcome::Success).await.unwrap();
    session.insert("b", 2).unwrap();
    assert!(matches!(session.save().await, Err(SessionError::Detached)));
}

#[tokio::test]
async fn who_gets_no_turn_says_so() {
    let on = site();
    let session = on.open(&[]).await;
    session.insert("a", 1).unwrap();
    on.store.fails("create", Fault::Hangs, 1);
    let mut stuck = Box::pin(session.save());
    std::future::poll_fn(|context| {
        assert!(stuck.as_mut().poll(context).is_pending());
        std::task::Poll::Ready(())
    })
    .await;
    // The deadline of a commit, and then that of a call: it takes no turn away from a save that may
    // still be at work.
    let mut finish = std::pin::pin!(session.finish(Outcome::Success));
    for wait in [10, 2] {
        std::future::poll_fn(|context| {
            assert!(finish.as_mut().poll(context).is_pending());
            std::task::Poll::Ready(())
        })
        .await;
        on.clock.advance(wait * SECOND);
    }
    let failed = finish.await.unwrap_err();
    assert!(matches!(failed.error, SessionError::Contended));
    assert_eq!(on.events(), [EventKind::Contended]);
}

/// A closure runs without the lock. What another clone adds meanwhile is not lost.
#[tokio::test]
async fn a_key_that_changes_while_its_closures_run_again_is_computed_once_more() {
    let on = site();
    let token = on.stored(None).await;
    let session = on.open(&[&token]).await;
    let (clone, runs) = (session.clone(), Mutex::new(0));
    let add = |n: u64| move |old: Option<u64>| old.unwrap_or(0) + n;
    let update = move |old: Option<u64>| {
        let run = {
            let mut runs = runs.lock().unwrap();
            *runs += 1;
            *runs
        };
        if run == 2 {
            clone.update("a", add(10)).unwrap();
        }
        old.unwrap_or(0) + 1
    };
    session.update("a", update).unwrap();
    let other = on.open(&[&token]).await;
    other.insert("a", 5).unwrap();
    other.save().await.unwrap();
    session.save().await.unwrap();
    assert_eq!(session.get("a").unwrap(), Some(16));
    let stored = on.open(&[&token]).await;
    assert_eq!(stored.get("a").unwrap(), Some(16));
}

/// A store that can only replace meets the version in any case.
#[tokio::test]
async fn activity_that_conflicts_is_tried_again_and_a_rotation_is_left_to_the_next_request() {
    let on = site();
    let token = on.stored(None).await;
    on.clock.advance(600 * SECOND);
    on.store.conflicts.lock().unwrap().push(None);
    let session = on.open(&[&token]).await;
    session.finish(Outcome::Success).await.unwrap();
    assert_eq!(on.store.count("update"), 2);

    let on = site_with(Script::default(), |builder| {
        builder.rotation(session_core::Rotation::hourly())
    });
    let token = on.stored(None).await;
    on.clock.advance(3600 * SECOND);
    on.store.conflicts.lock().unwrap().push(None);
    let session = on.open(&[&token]).await;
    let told = session.finish(Outcome::Success).await.unwrap();
    assert_eq!((told, on.store.count("update")), (Directive::Nothing, 1));
    // Somebody else has written, so what relies on the version loads it first.
    let loads = on.store.count("load");
    session.set_label("phone").unwrap();
    session.save().await.unwrap();
    let calls = (on.store.count("load") - loads, on.store.count("update"));
    assert_eq!(calls, (1, 2));
}

#[tokio::test]
async fn a_conflict_that_brings_the_newest_record_needs_no_load_and_an_old_one_does() {
    let on = site();
    let token = on.stored(None).await;
    let labels = |text: &'static str| {
        let token = &token;
        let on = &on;
        async move {
            let session = on.open(&[token]).await;
            session.set_label(text).unwrap();
            session
        }
    };
    let (first, second) = (labels("1").await, labels("2").await);
    let old = first.id().map(RecordKey::Id).unwrap();
    let old = on.store.inner.load(&old, START).await.unwrap();
    first.save().await.unwrap();
    let loads = on.store.count("load");
    second.save().await.unwrap();
    assert_eq!(on.store.count("load"), loads);

    let updates = on.store.count("update");
    on.store.conflicts.lock().unwrap().push(old);
    second.set_label("3").unwrap();
    second.save().await.unwrap();
    let calls = (on.store.count("load"), on.store.count("update"));
    assert_eq!(calls, (loads + 1, updates + 2));
    let session = on.open(&[&token]).await;
    let listed = session.id().map(RecordKey::Id).unwrap();
    let stored = on.store.inner.load(&listed, START).await.unwrap().unwrap();
    assert_eq!(stored.label(), Some("3"));
}

/// A clock that stands still.
#[derive(Debug)]
struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        START
    }

    fn sleep(&self, _: Duration) -> Sleep {
        Box::pin(pending())
    }

    fn pause(&self, _: Duration) -> Sleep {
        Box::pin(ready(()))
    }
}

#[tokio::test]
async fn a_save_that_conflicts_for_ever_gives_up_by_time_or_where_none_passes() {
    let still = site_with(Script::default(), |builder| builder.clock(Still));
    for (on, most) in [(site(), 2_000), (still, 300)] {
        let token = on.stored(None).await;
        let conflicts = vec![None; 10_000];
        on.store.conflicts.lock().unwrap().extend(conflicts);
        let session = on.open(&[&token]).await;
        session.set_label("phone").unwrap();
        assert!(matches!(session.save().await, Err(SessionError::Contended)));
        assert!(on.store.count("update") < most);
        assert!(on.clock.now() <= START + 11 * SECOND);
        assert_eq!(on.events().last(), Some(&EventKind::Contended));
    }
}

#[tokio::test]
async fn the_record_of_another_session_is_an_event() {
    let on = site();
    let other = renewed(&on).await;
    let token = on.stored(None).await;
    on.events();
    *on.store.found.lock().unwrap() = Some(other);
    assert!(on.open(&[&token]).await.is_new());
    assert_eq!(on.events()[0], EventKind::Corrupt);
}
