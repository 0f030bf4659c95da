//! Handlers share a session by its clones, and requests meet what was left behind by others: a
//! save that nobody polls, a write without an answer, limits that were lowered, planted tokens.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use session_core::store::{
    Changes, FormatError, Record, RecordKey, RecordLocation, SessionStore, StoreError, Update,
    Updated, async_trait,
};
use session_core::{
    Directive, Ended, KeyRing, Lifetime, Limits, ManualClock, MemoryStore, OnCorrupt, Outcome,
    Session, SessionError, SessionId, SessionManager, Timeouts, Timestamp,
};
use session_tests::story::clock;
use session_tests::{
    Backend, Call, CountingStore, Counts, Fault, FaultStore, anonymous, create, open, token_of,
};

/// A store that counts what is asked of it, then fails as planned; two faults to a call if need be.
struct Stage {
    manager: SessionManager,
    clock: Arc<ManualClock>,
    counted: Arc<CountingStore<Arc<Faults>>>,
    faults: Arc<Faults>,
    then: Arc<FaultStore<Arc<MemoryStore>>>,
    records: Arc<MemoryStore>,
}

type Faults = FaultStore<Arc<FaultStore<Arc<MemoryStore>>>>;

fn stage() -> Stage {
    let records = Arc::new(MemoryStore::new());
    let then = FaultStore::new(Arc::clone(&records));
    let faults = FaultStore::new(Arc::clone(&then));
    let counted = CountingStore::new(Arc::clone(&faults));
    let clock = clock();
    let builder = SessionManager::builder(Arc::clone(&counted)).clock(Arc::clone(&clock));
    Stage {
        manager: builder.build().unwrap(),
        clock,
        counted,
        faults,
        then,
        records,
    }
}

fn now<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().unwrap()
}

/// Polls a future once that goes on to live; what it has ended with, if it has.
fn poll<F: Future>(future: &mut Pin<Box<F>>) -> Option<F::Output> {
    future.as_mut().now_or_never()
}

#[test]
fn a_destroy_while_the_commit_confirms_is_carried_out() {
    let stage = stage();
    let session = now(anonymous(&stage.manager));
    session.insert("n", 1).unwrap();
    now(session.save()).unwrap();

    stage.faults.plan(Call::Load, Fault::Slow);
    let mut commit = Box::pin(session.finish(Outcome::Success));
    assert!(poll(&mut commit).is_none());
    session.clone().destroy().unwrap();
    assert_eq!(
        now(commit).unwrap(),
        Directive::Nothing,
        "the client never held it"
    );
    assert!(stage.records.is_empty());
}

#[test]
fn a_destroy_while_a_touch_fails_is_carried_out() {
    let stage = stage();
    let token = now(create(&stage.manager, [("n", 1)]));
    stage.clock.advance(Duration::from_secs(61));
    let session = now(open(&stage.manager, &token));

    stage.faults.plan(Call::Update, Fault::Slow);
    stage.then.plan(Call::Update, Fault::Unavailable);
    let mut commit = Box::pin(session.finish(Outcome::Success));
    assert!(poll(&mut commit).is_none());
    session.clone().destroy().unwrap();
    assert_eq!(now(commit).unwrap(), Directive::Forget);
    assert!(stage.records.is_empty());
}

#[test]
fn a_save_while_the_commit_confirms_waits_and_is_detached() {
    let stage = stage();
    let session = now(anonymous(&stage.manager));
    session.insert("n", 1).unwrap();
    now(session.save()).unwrap();

    stage.faults.plan(Call::Load, Fault::Slow);
    let mut commit = Box::pin(session.finish(Outcome::Success));
    assert!(poll(&mut commit).is_none());
    // The clone begins a new session, of which this commit could no longer tell.
    let clone = session.clone();
    clone.destroy().unwrap();
    clone.insert("n", 2).unwrap();
    stage.counted.take();
    let mut save = Box::pin(clone.save());
    assert!(poll(&mut save).is_none(), "it waits for its turn");
    assert_eq!(stage.counted.take(), Counts::NONE);

    assert_eq!(poll(&mut commit).unwrap().unwrap(), Directive::Nothing);
    let saved = poll(&mut save).unwrap();
    assert!(matches!(saved, Err(SessionError::Detached)), "{saved:?}");
    assert_eq!(stage.counted.take().creates, 0);
    assert!(stage.records.is_empty(), "nothing is orphaned");
}

#[test]
fn a_suspended_save_does_not_hang_the_commit() {
    let stage = stage();
    let token = now(create(&stage.manager, [("n", 1)]));
    let session = now(open(&stage.manager, &token));
    session.insert("n", 2).unwrap();
    stage.faults.plan(Call::Update, Fault::Hang);
    stage.counted.take();
    let mut save = Box::pin(session.save());
    assert!(poll(&mut save).is_none());

    // It lives on, as in the body of a response, and nobody polls it.
    let timeouts = Timeouts::default();
    let mut finish = Box::pin(session.finish(Outcome::Success));
    assert!(poll(&mut finish).is_none());
    stage.clock.advance(timeouts.commit());
    assert!(poll(&mut finish).is_none(), "the abort waits for it too");
    stage.clock.advance(timeouts.call());
    let failed = poll(&mut finish).unwrap().unwrap_err();
    let error = failed.error;
    assert!(matches!(error, SessionError::Contended), "{error:?}");
    assert_eq!(failed.directive, Directive::Nothing);

    assert_eq!(stage.counted.take().updates, 1, "only the one that hangs");
    drop(save);
    let after = now(open(&stage.manager, &token));
    assert_eq!(after.get("n").unwrap(), Some(1));
}

#[test]
fn after_an_unknown_outcome_nothing_is_sent_again_and_the_commit_fails_with_it() {
    for fault in [Fault::LostRequest, Fault::LostAnswer] {
        let stage = stage();
        let token = now(create(&stage.manager, [("n", 0)]));
        let session = now(open(&stage.manager, &token));
        stage.faults.plan(Call::Update, fault);
        let add = |n: Option<u64>| n.unwrap_or(0) + 1;
        let error = now(session.update_now("n", add)).unwrap_err();
        assert!(is_unknown(&error), "{error:?}");

        stage.counted.take();
        let error = now(session.clone().save()).unwrap_err();
        assert!(is_unknown(&error), "{error:?}");
        let error = now(session.finish(Outcome::Success)).unwrap_err().error;
        assert!(is_unknown(&error), "{error:?}");
        assert_eq!(stage.counted.take(), Counts::NONE);
        let applied = u64::from(fault == Fault::LostAnswer);
        let after = now(open(&stage.manager, &token));
        assert_eq!(after.get("n").unwrap(), Some(applied), "{fault:?}");
    }
}

fn is_unknown(error: &SessionError) -> bool {
    matches!(error, SessionError::Store(StoreError::OutcomeUnknown(_)))
}

#[test]
fn what_could_not_be_saved_stays_pending_and_the_commit_tries_once_more() {
    let stage = stage();
    let token = now(create(&stage.manager, [("n", 0)]));
    let session = now(open(&stage.manager, &token));
    stage.faults.plan(Call::Update, Fault::Unavailable);
    let add = |n: Option<u64>| n.unwrap_or(0) + 1;
    let error = now(session.update_now("n", add)).unwrap_err();
    let unavailable = matches!(error, SessionError::Store(StoreError::Unavailable(_)));
    assert!(unavailable, "{error:?}");

    stage.counted.take();
    now(session.finish(Outcome::Success)).unwrap();
    assert_eq!(stage.counted.take().updates, 1);
    assert_eq!(now(open(&stage.manager, &token)).get("n").unwrap(), Some(1));
}

#[test]
fn finish_now_leaves_a_session_with_pending_work_open() {
    let work: [fn(&Session); 5] = [
        |session| session.insert("n", 2).unwrap(),
        |session| session.set_label("phone").unwrap(),
        |session| session.renew().unwrap(),
        |session| session.sign_in("user:1").unwrap(),
        |session| session.destroy().unwrap(),
    ];
    for backend in Backend::ALL {
        let manager = SessionManager::new(backend.store());
        let token = now(create(&manager, [("n", 1)]));
        for (at, work) in work.iter().enumerate() {
            let session = now(open(&manager, &token));
            work(&session);
            // What an open session alone may do it still may.
            assert_eq!(
                session.finish_now(Outcome::Success),
                None,
                "{backend:?}, {at}"
            );
            session.destroy().unwrap();
        }
        let session = now(open(&manager, &token));
        assert_eq!(
            session.finish_now(Outcome::Success),
            Some(Directive::Nothing),
            "{backend:?}: there is nothing to do"
        );
        assert!(matches!(session.destroy(), Err(SessionError::Detached)));
    }
}

#[test]
fn lowered_limits_break_no_session_that_is_larger() {
    for backend in Backend::SERVER {
        let store = backend.store();
        let clock = clock();
        let builder = || SessionManager::builder(Arc::clone(&store)).clock(Arc::clone(&clock));
        let before = builder().build().unwrap();
        let names: Vec<_> = (0..10).map(|n| n.to_string()).collect();
        let token = now(create(&before, names.iter().map(|name| (name.as_str(), 1))));

        let fewer = Limits::default().with_keys(5);
        let manager = builder().limits(fewer).build().unwrap();
        // It may be read, and touched.
        clock.advance(Duration::from_secs(61));
        let session = now(open(&manager, &token));
        assert_eq!(session.get("0").unwrap(), Some(1));
        now(session.finish(Outcome::Success)).unwrap();
        // It may shrink, and not grow.
        let session = now(open(&manager, &token));
        assert!(session.remove("9"));
        assert!(matches!(
            session.insert("new", 1),
            Err(SessionError::Limit(_))
        ));
        now(session.finish(Outcome::Success)).unwrap();
        assert_eq!(now(open(&manager, &token)).len(), 9, "{backend:?}");
    }
}

#[test]
fn what_is_larger_than_lowered_limits_can_still_be_changed_and_shrink() {
    for backend in Backend::SERVER {
        let store = backend.store();
        let before = SessionManager::new(Arc::clone(&store));
        let token = now(create(&before, [("a", 10), ("b", 10), ("c", 10)]));
        let fewer = Limits::default().with_keys(1);
        let builder = SessionManager::builder(Arc::clone(&store)).limits(fewer);
        let manager = builder.build().unwrap();
        let session = now(open(&manager, &token));
        // As large as it was, smaller, and another in the place of one that went.
        session.insert("a", 11).unwrap();
        session.insert("b", 1).unwrap();
        assert!(session.remove("c"));
        session.insert("d", 1).unwrap();
        assert!(matches!(
            session.insert("e", 1),
            Err(SessionError::Limit(_))
        ));
        now(session.finish(Outcome::Success)).unwrap();
        let session = now(open(&manager, &token));
        assert_eq!(session.keys(), ["a", "b", "d"], "{backend:?}");
        assert_eq!(session.get("a").unwrap(), Some(11));
    }
}

#[test]
fn a_full_session_can_still_renew_its_token() {
    for backend in Backend::SERVER {
        let limits = Limits::default().with_record_bytes(1_000);
        let builder = SessionManager::builder(backend.store()).limits(limits);
        let manager = builder.build().unwrap();
        let session = now(anonymous(&manager));
        let fits = |length: &usize| session.insert("a", "x".repeat(*length)).is_ok();
        let most = (0..1_000).rev().find(fits).unwrap();
        let token = token_of(&now(session.finish(Outcome::Success)).unwrap());

        let session = now(open(&manager, &token));
        assert!(
            session.insert("a", "x".repeat(most + 1)).is_err(),
            "it is full"
        );
        session.renew().unwrap();
        let renewed = token_of(&now(session.finish(Outcome::Success)).unwrap());
        assert!(!now(open(&manager, &renewed)).is_new(), "{backend:?}");
        assert!(now(open(&manager, &token)).is_new(), "{backend:?}");
    }
}

#[test]
fn metadata_that_is_there_already_is_no_write() {
    for backend in Backend::ALL {
        let store = CountingStore::new(backend.store());
        let manager = SessionManager::new(Arc::clone(&store));
        let session = now(anonymous(&manager));
        session.insert("n", 1).unwrap();
        session.set_label("phone").unwrap();
        let token = token_of(&now(session.finish(Outcome::Success)).unwrap());

        store.take();
        let session = now(open(&manager, &token));
        session.set_lifetime(Lifetime::default());
        session.set_label("phone").unwrap();
        assert_eq!(
            now(session.finish(Outcome::Success)).unwrap(),
            Directive::Nothing
        );
        assert_eq!(store.take(), Counts::LOAD, "{backend:?}");
    }
}

#[test]
fn a_version_that_nobody_counts_to_is_damage_and_the_last_one_can_be_changed() {
    let id = SessionId::from_bytes([0; 16]);
    let record = Record::new(id, "id", Lifetime::default(), Timestamp::default());
    let last = (1 << 53) - 1;
    for version in [last + 1, u64::MAX] {
        let record = record.clone().with_version(version);
        let damaged = Err(FormatError::Damaged("version or epoch"));
        assert_eq!(Record::decode(record.encode()), damaged);
        assert!(
            Changes::new().apply(&record).version() >= version,
            "no overflow"
        );
    }
    let record = Record::decode(record.with_version(last).encode()).unwrap();
    assert_eq!(Changes::new().apply(&record).version(), last + 1);
}

/// A session of alice, and its token.
fn of_alice(manager: &SessionManager) -> String {
    let session = now(anonymous(manager));
    session.sign_in("alice").unwrap();
    token_of(&now(session.finish(Outcome::Success)).unwrap())
}

#[test]
fn who_fails_to_sign_in_as_another_leaves_the_session() {
    let stage = stage();
    let token = of_alice(&stage.manager);
    let session = now(open(&stage.manager, &token));
    session.sign_in("bob").unwrap();
    assert_eq!(
        now(session.finish(Outcome::Failure)).unwrap(),
        Directive::Nothing
    );

    let session = now(open(&stage.manager, &token));
    assert_eq!(session.principal().as_deref(), Some("alice"));
    assert_eq!(stage.records.len(), 1);
}

#[test]
fn a_sign_in_as_another_that_does_not_fit_leaves_the_session() {
    let limits = Limits::default().with_record_bytes(300);
    let manager = SessionManager::builder(MemoryStore::new()).limits(limits);
    let manager = manager.build().unwrap();
    let session = now(open(&manager, &of_alice(&manager)));
    let refused = session.sign_in(&"b".repeat(200));
    assert!(
        matches!(refused, Err(SessionError::Limit(_))),
        "{refused:?}"
    );
    assert_eq!(session.principal().as_deref(), Some("alice"));
    assert!(!session.is_new());
}

#[test]
fn a_sign_in_as_another_waits_for_the_commit() {
    let stage = stage();
    let token = of_alice(&stage.manager);
    let session = now(open(&stage.manager, &token));
    session.sign_in("bob").unwrap();
    stage.counted.take();
    now(session.save()).unwrap();
    assert_eq!(stage.counted.take(), Counts::NONE);
    assert!(!now(open(&stage.manager, &token)).is_new());

    let other = token_of(&now(session.finish(Outcome::Success)).unwrap());
    let session = now(open(&stage.manager, &other));
    assert_eq!(session.principal().as_deref(), Some("bob"));
    assert!(now(open(&stage.manager, &token)).is_new());
    assert_eq!(stage.records.len(), 1);
}

#[test]
fn who_saves_stays_alive() {
    for backend in Backend::SERVER {
        let clock = clock();
        let builder = SessionManager::builder(backend.store()).clock(Arc::clone(&clock));
        let manager = builder.build().unwrap();
        let token = now(create(&manager, [("n", 0)]));
        // A socket: its response has left, it never commits again.
        let session = now(open(&manager, &token));
        now(session.finish(Outcome::Success)).unwrap();
        for minute in 1..200 {
            clock.advance(Duration::from_secs(60));
            session.insert("n", minute).unwrap();
            now(session.save())
                .unwrap_or_else(|error| panic!("{backend:?}, minute {minute}: {error}"));
        }
        let session = now(open(&manager, &token));
        assert_eq!(session.get("n").unwrap(), Some(199), "{backend:?}");
    }
}

#[test]
fn planted_malformed_tokens_do_not_hide_the_genuine_one() {
    for keys in [None, Some(KeyRing::new([1; 32]).unwrap())] {
        let store = CountingStore::new(MemoryStore::new());
        let builder = SessionManager::builder(Arc::clone(&store));
        let builder = match keys.clone() {
            Some(keys) => builder.keys(keys),
            None => builder,
        };
        let manager = builder.build().unwrap();
        let genuine = now(create(&manager, [("n", 1)]));
        let mut planted = vec![
            String::new(),
            "planted".to_owned(),
            format!("{genuine}="),
            genuine.replace(|_| true, "!"),
        ];
        if keys.is_some() {
            // Right by form, but for the MAC.
            planted = ["A", "B", "C", "D"]
                .map(|c| c.repeat(genuine.len()))
                .to_vec();
        }
        let mut tokens: Vec<_> = planted.iter().map(String::as_str).collect();
        assert_eq!(tokens.len(), 4);
        tokens.push(&genuine);
        store.take();
        let session = now(manager.begin(&tokens)).unwrap();
        assert_eq!(session.get("n").unwrap(), Some(1));
        assert_eq!(store.take(), Counts::LOAD, "the others cost nothing");
    }
}

/// Answers with a record that is the right one in all but its id.
#[derive(Debug, Default)]
struct MixedUpStore(MemoryStore);

#[async_trait]
impl SessionStore for MixedUpStore {
    fn location(&self) -> RecordLocation {
        RecordLocation::Server
    }

    async fn load(
        &self,
        key: &RecordKey,
        now: Timestamp,
    ) -> Result<Option<Arc<Record>>, StoreError> {
        let Some(record) = self.0.load(key, now).await? else {
            return Ok(None);
        };
        let mut bytes = record.encode();
        let id = record.id();
        let at = bytes
            .windows(16)
            .position(|part| part == id.as_bytes())
            .unwrap();
        bytes[at] ^= 1;
        Ok(Some(Arc::new(Record::decode(bytes)?)))
    }

    async fn create(&self, record: &Arc<Record>, now: Timestamp) -> Result<RecordKey, StoreError> {
        self.0.create(record, now).await
    }

    async fn update(
        &self,
        key: &RecordKey,
        update: &Update,
        now: Timestamp,
    ) -> Result<Updated, StoreError> {
        self.0.update(key, update, now).await
    }

    async fn delete(&self, key: &RecordKey, ended: Ended) -> Result<(), StoreError> {
        self.0.delete(key, ended).await
    }
}

#[test]
fn the_record_of_another_id_is_corrupt() {
    for policy in [OnCorrupt::StartEmpty, OnCorrupt::Refuse] {
        let store = Arc::new(MixedUpStore::default());
        let manager = SessionManager::builder(Arc::clone(&store)).on_corrupt(policy);
        let manager = manager.build().unwrap();
        let token = now(create(&manager, [("n", 1)]));
        let opened = now(manager.begin(&[&token]));
        match policy {
            OnCorrupt::StartEmpty => {
                let session = opened.unwrap();
                assert!(session.is_new() && session.is_empty());
                assert_eq!(
                    now(session.finish(Outcome::Success)).unwrap(),
                    Directive::Nothing
                );
            }
            _ => {
                let corrupt = matches!(opened, Err(SessionError::Store(StoreError::Corrupt(_))));
                assert!(corrupt, "{opened:?}");
            }
        }
        assert_eq!(store.0.len(), 1, "it stays until it expires");
    }
}

#[test]
fn a_token_is_not_told_of_a_session_that_has_ended_since_its_save() {
    let store = Arc::new(MemoryStore::new());
    let manager = SessionManager::new(Arc::clone(&store));
    let session = now(manager.begin(&[])).unwrap();
    session.insert("a", 1).unwrap();
    now(session.save()).unwrap();
    now(store.delete(&RecordKey::Id(session.id().unwrap()), Ended::default())).unwrap();
    assert_eq!(
        now(session.finish(Outcome::Success)).unwrap(),
        Directive::Nothing
    );
}

#[test]
fn a_token_is_not_told_once_more_that_was_renewed_since_the_save() {
    let manager = SessionManager::new(MemoryStore::new());
    let session = now(manager.begin(&[])).unwrap();
    session.insert("a", 1).unwrap();
    let Directive::Hold(token) = now(session.finish(Outcome::Success)).unwrap() else {
        panic!("a new session has a token")
    };
    let session = now(manager.begin(&[token.as_str()])).unwrap();
    session.set_lifetime(Lifetime::default().persistent());
    now(session.save()).unwrap(); // so its Max-Age is to be sent
    let login = now(manager.begin(&[token.as_str()])).unwrap();
    login.sign_in("user:1").unwrap();
    assert!(matches!(
        now(login.finish(Outcome::Success)).unwrap(),
        Directive::Hold(_)
    ));
    assert_eq!(
        now(session.finish(Outcome::Success)).unwrap(),
        Directive::Nothing
    );
}
