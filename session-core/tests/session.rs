//! The session's face: what each method says before and after a commit.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Deserializer};
use session_core::store::{
    Record, RecordKey, RecordLocation, SessionStore, StoreError, Update, Updated,
};
use session_core::{
    Clock, Codec, Directive, Ended, KeyRing, Lifetime, Limit, LimitExceeded, Limits, ManualClock,
    MemoryStore, Outcome, Session, SessionError, SessionGuard, SessionManager,
    SessionManagerBuilder, Timeouts, Timestamp,
};

const SECOND: Duration = Duration::from_secs(1);
const MILLI: Duration = Duration::from_millis(1);
const START: Timestamp = Timestamp::from_millis(1_700_000_000_000);

struct Fixture {
    clock: Arc<ManualClock>,
    store: Arc<MemoryStore>,
    manager: SessionManager,
}

fn fixture() -> Fixture {
    with(|builder| builder)
}

fn with(settings: impl FnOnce(SessionManagerBuilder) -> SessionManagerBuilder) -> Fixture {
    let clock = ManualClock::new(START);
    let store = Arc::new(MemoryStore::new());
    let builder = SessionManager::builder(Arc::clone(&store)).clock(Arc::clone(&clock));
    let manager = settings(builder).build().unwrap();
    Fixture {
        clock,
        store,
        manager,
    }
}

impl Fixture {
    async fn open(&self, token: &str) -> SessionGuard {
        self.manager.begin(&[token]).await.unwrap()
    }

    async fn new_session(&self) -> SessionGuard {
        self.manager.begin(&[]).await.unwrap()
    }

    async fn commit(&self, session: &SessionGuard) -> Directive {
        session.finish(Outcome::Success).await.unwrap()
    }

    /// The token that a commit sends.
    async fn token(&self, session: &SessionGuard) -> String {
        match self.commit(session).await {
            Directive::Hold(token) => token.as_str().to_owned(),
            other => unreachable!("{other:?}"),
        }
    }

    /// The token of a session that holds `a` = 1.
    async fn stored(&self) -> String {
        let session = self.new_session().await;
        session.insert("a", 1).unwrap();
        self.token(&session).await
    }

    async fn record(&self, session: &Session) -> Arc<Record> {
        let key = RecordKey::Id(session.id().unwrap());
        self.store
            .load(&key, self.clock.now())
            .await
            .unwrap()
            .unwrap()
    }
}

#[tokio::test]
async fn a_new_session_has_no_name() {
    let on = fixture();
    let session = on.new_session().await;
    assert!(session.is_new());
    assert_eq!(session.id(), None);
    assert_eq!((session.created_at(), session.expires_at()), (None, None));
    assert_eq!(
        (session.principal(), session.authenticated_at()),
        (None, None)
    );
    assert_eq!(session.authenticated_within(Duration::MAX), None);
    assert!(session.is_empty() && session.keys().is_empty());
    assert!(!session.needs_commit());
    session.insert("a", 1).unwrap();
    assert!(session.is_new() && session.id().is_none());
    assert!(session.needs_commit());
    assert_eq!(
        format!("{:?}", session.session()),
        "Session { id: None, values: 1, .. }"
    );
}

#[tokio::test]
async fn a_stored_session_has_one() {
    let on = fixture();
    let session = on.new_session().await;
    session.insert("a", 1).unwrap();
    session.save().await.unwrap();
    let id = session.id().unwrap();
    assert!(!session.is_new());
    assert_eq!(session.created_at(), Some(START));
    assert_eq!(session.expires_at(), Some(START + SECOND * 7_200));
    assert!(session.needs_commit(), "the client has not heard of it");
    let token = on.token(&session).await;
    assert!(!session.needs_commit());
    on.clock.advance(SECOND * 59);
    let again = on.open(&token).await;
    assert_eq!(again.id(), Some(id));
    assert_eq!(again.created_at(), Some(START));
    assert_eq!(again.expires_at(), Some(START + SECOND * 7_200));
    assert!(!again.is_new() && !again.needs_commit());
    on.clock.advance(SECOND);
    assert!(again.needs_commit(), "activity is due");
    assert_eq!(on.commit(&again).await, Directive::Nothing);
    assert_eq!(again.expires_at(), Some(START + SECOND * 7_260));
    assert_eq!(
        format!("{:?}", again.session()),
        format!("Session {{ id: Some({id:?}), values: 1, .. }}")
    );
}

#[tokio::test]
async fn a_dictionary() {
    let on = fixture();
    let session = on.new_session().await;
    session.insert("b", "two").unwrap();
    session.insert("a", 1).unwrap();
    session.insert("é", true).unwrap();
    assert_eq!(session.keys(), ["a", "b", "é"]);
    assert_eq!(session.len(), 3);
    assert!(!session.is_empty());
    assert_eq!(session.get::<u8>("a").unwrap(), Some(1));
    assert_eq!(session.get::<String>("b").unwrap().as_deref(), Some("two"));
    assert_eq!(session.get::<u8>("c").unwrap(), None);
    assert!(session.contains_key("a") && !session.contains_key("c"));
    assert_eq!(session.take::<u8>("a").unwrap(), Some(1));
    assert_eq!(session.take::<u8>("a").unwrap(), None);
    assert!(!session.contains_key("a"));
    assert!(session.remove("b"));
    assert!(!session.remove("b"));
    assert_eq!(session.keys(), ["é"]);
    let token = on.token(&session).await;
    let again = on.open(&token).await;
    assert_eq!((again.keys(), again.len()), (vec!["é".to_owned()], 1));
    assert!(again.contains_key("é"));
    again.clear();
    assert!(again.is_empty() && again.keys().is_empty() && !again.contains_key("é"));
    assert_eq!(again.get::<bool>("é").unwrap(), None);
    assert!(again.id().is_some(), "the session stays");
    on.commit(&again).await;
    assert!(on.open(&token).await.is_empty());
}

#[tokio::test]
async fn clones_are_one_session() {
    let on = fixture();
    let session = on.new_session().await;
    let other = session.clone();
    session.insert("a", 1).unwrap();
    assert_eq!(other.get::<u8>("a").unwrap(), Some(1));
    other.remove("a");
    assert!(session.is_empty());
}

#[tokio::test]
async fn a_value_of_another_type() {
    let on = fixture();
    let session = on.new_session().await;
    session.insert("a", "hunter2").unwrap();
    let errors = [
        session.get::<u8>("a").unwrap_err(),
        session.take::<u8>("a").unwrap_err(),
        session
            .update("a", |n: Option<u8>| n.unwrap_or(0))
            .unwrap_err(),
        session
            .update_now("a", |n: Option<u8>| n.unwrap_or(0))
            .await
            .unwrap_err(),
    ];
    for error in errors {
        assert_eq!(
            error.to_string(),
            "the value under key \"a\" is not a u8; ask for the type that was inserted, or remove \
             the key"
        );
        let SessionError::Decode {
            key,
            type_name,
            fault,
            ..
        } = error
        else {
            unreachable!("{error:?}")
        };
        assert_eq!((key.as_str(), type_name), ("a", "u8"));
        assert_eq!(fault.position(), Some((1, 9)));
    }
    assert_eq!(
        session.get::<String>("a").unwrap().as_deref(),
        Some("hunter2"),
        "it stays"
    );
}

#[tokio::test]
async fn a_value_that_cannot_be_encoded() {
    type Odd = HashMap<Vec<u8>, u8>;
    let odd = || Odd::from([(vec![1], 1)]);
    let on = fixture();
    let session = on.new_session().await;
    session.insert("b", 1).unwrap();
    for error in [
        session.insert("a", odd()).unwrap_err(),
        session.insert("b", odd()).unwrap_err(),
        session
            .update("a", move |_: Option<Odd>| odd())
            .unwrap_err(),
    ] {
        let SessionError::Encode {
            key,
            type_name,
            fault,
            ..
        } = error
        else {
            unreachable!("{error:?}")
        };
        assert!(key == "a" || key == "b");
        assert_eq!(type_name, std::any::type_name::<Odd>());
        assert_eq!(fault.codec(), Codec::Json);
    }
    assert_eq!(session.keys(), ["b"]);
    assert_eq!(session.get::<u8>("b").unwrap(), Some(1));
}

#[tokio::test]
async fn names_of_at_most_a_kibibyte() {
    let on = fixture();
    let session = on.new_session().await;
    let (longest, longer) = ("k".repeat(1_024), "k".repeat(1_025));
    session.insert(&longest, 1).unwrap();
    session
        .update(&longest, |n: Option<u8>| n.unwrap_or(0) + 1)
        .unwrap();
    session.set_label(&longest).unwrap();
    session.sign_in(&longest).unwrap();
    let errors = [
        session.insert(&longer, 1).unwrap_err(),
        session.update(&longer, |_: Option<u8>| 1).unwrap_err(),
        session.set_label(&longer).unwrap_err(),
        session.sign_in(&longer).unwrap_err(),
    ];
    for error in errors {
        let SessionError::Limit(limit) = error else {
            unreachable!("{error:?}")
        };
        assert_eq!(limit, LimitExceeded::new(Limit::KeyBytes, 1_025, 1_024));
    }
    assert_eq!(session.principal().as_deref(), Some(longest.as_str()));
    assert_eq!(session.get::<u8>(&longest).unwrap(), Some(2));
}

#[tokio::test]
async fn no_more_keys_than_allowed() {
    let on = with(|builder| builder.limits(Limits::default().with_keys(2)));
    let session = on.new_session().await;
    session.insert("a", 1).unwrap();
    session.insert("b", 1).unwrap();
    for error in [
        session.insert("c", 1).unwrap_err(),
        session.update("c", |_: Option<u8>| 1).unwrap_err(),
    ] {
        let SessionError::Limit(limit) = error else {
            unreachable!("{error:?}")
        };
        assert_eq!(limit, LimitExceeded::new(Limit::Keys, 3, 2));
    }
    assert_eq!(session.keys(), ["a", "b"]);
    session.remove("a");
    session.insert("c", 1).unwrap();
}

#[tokio::test]
async fn updates_build_on_what_is_there() {
    let on = fixture();
    let session = on.new_session().await;
    let count = |n: Option<u32>| n.map_or(10, |n| n + 1);
    assert_eq!(session.update("n", count).unwrap(), 10);
    assert_eq!(session.update("n", count).unwrap(), 11);
    assert_eq!(session.get::<u32>("n").unwrap(), Some(11));
    assert_eq!(session.update_now("n", count).await.unwrap(), 12);
    assert_eq!(
        on.record(&session).await.values().get("n").unwrap().bytes(),
        b"12"
    );
    let token = on.token(&session).await;
    let (one, other) = (on.open(&token).await, on.open(&token).await);
    assert_eq!(one.update_now("n", count).await.unwrap(), 13);
    assert_eq!(other.update("n", count).unwrap(), 13, "for now");
    assert_eq!(
        other.update_now("n", count).await.unwrap(),
        15,
        "both were applied"
    );
    assert_eq!(other.get::<u32>("n").unwrap(), Some(15));
}

#[tokio::test]
async fn signing_in() {
    let on = fixture();
    let token = on.stored().await;
    on.clock.advance(SECOND * 10);
    let session = on.open(&token).await;
    session.sign_in("user:42").unwrap();
    assert_eq!(session.principal().as_deref(), Some("user:42"));
    assert_eq!(session.authenticated_at(), None, "not yet stored");
    assert!(session.needs_commit());
    let next = on.token(&session).await;
    assert_ne!(next, token);
    assert_eq!(session.authenticated_at(), Some(START + SECOND * 10));
    assert_eq!(
        session.authenticated_within(Duration::ZERO),
        Some(Duration::ZERO)
    );
    on.clock.advance(SECOND * 30);
    let session = on.open(&next).await;
    assert_eq!(session.principal().as_deref(), Some("user:42"));
    assert_eq!(session.authenticated_within(SECOND * 30), Some(SECOND * 30));
    assert_eq!(session.authenticated_within(SECOND * 30 - MILLI), None);
    assert_eq!(session.authenticated_within(SECOND * 31), Some(SECOND * 30));
    assert_eq!(
        session.get::<u8>("a").unwrap(),
        Some(1),
        "what it held stays"
    );
    session.sign_in("user:42").unwrap();
    assert_eq!(session.len(), 1);
    session.sign_in("user:43").unwrap();
    assert_eq!(
        (session.len(), session.is_new()),
        (0, true),
        "nobody inherits data"
    );
    assert_eq!(session.principal().as_deref(), Some("user:43"));
    session.sign_in("user:44").unwrap();
    assert_eq!(session.principal().as_deref(), Some("user:44"));
}

#[tokio::test]
async fn a_label_and_a_lifetime_are_stored() {
    let on = fixture();
    let session = on.new_session().await;
    session.insert("a", 1).unwrap();
    session.set_label("phone").unwrap();
    session.set_lifetime(Lifetime::aal3().persistent());
    let Directive::Hold(held) = on.commit(&session).await else {
        unreachable!("it is new")
    };
    assert_eq!(held.max_age(), Some(SECOND * 900));
    assert_eq!(
        format!("{held:?}"),
        "ClientToken { max_age: Some(900s), .. }"
    );
    let record = on.record(&session).await;
    assert_eq!(record.label(), Some("phone"));
    assert_eq!(record.lifetime(), Lifetime::aal3().persistent());
    assert_eq!(record.absolute_expiry(), START + SECOND * 43_200);
    let again = on.open(held.as_str()).await;
    again.set_label("tablet").unwrap();
    assert!(again.needs_commit());
    again.save().await.unwrap();
    assert_eq!(on.record(&again).await.label(), Some("tablet"));
    assert_eq!(on.record(&again).await.version(), 2);
    again.set_lifetime(Lifetime::aal2());
    assert!(again.needs_commit());
    again.save().await.unwrap();
    let record = on.record(&again).await;
    assert_eq!(record.lifetime(), Lifetime::aal2());
    assert_eq!(
        record.absolute_expiry(),
        START + SECOND * 43_200,
        "it never moves away"
    );
}

#[tokio::test]
async fn a_renewal_makes_a_new_token() {
    let on = fixture();
    let new = on.new_session().await;
    new.renew().unwrap();
    assert!(!new.needs_commit(), "it has no token");
    let token = on.stored().await;
    let session = on.open(&token).await;
    session.renew().unwrap();
    assert!(session.needs_commit());
    let next = on.token(&session).await;
    assert_ne!(next, token);
    assert_eq!(on.record(&session).await.epoch(), 1);
    assert_eq!(on.open(&next).await.len(), 1);

    // For a minute the old one is answered as anonymous and stores nothing.
    on.clock.advance(SECOND * 60 - MILLI);
    let late = on.open(&token).await;
    assert!(late.is_new() && late.is_empty());
    late.insert("b", 2).unwrap();
    assert!(matches!(late.save().await, Err(SessionError::Gone)));
    assert_eq!(on.commit(&late).await, Directive::Nothing);
    assert_eq!(on.store.len(), 1);
    // From then on it is a stranger's.
    on.clock.advance(MILLI);
    let stranger = on.open(&token).await;
    stranger.insert("b", 2).unwrap();
    assert!(matches!(on.commit(&stranger).await, Directive::Hold(_)));
    assert_eq!(on.store.len(), 2);
}

#[tokio::test]
async fn destroyed_sessions() {
    let on = fixture();
    let token = on.stored().await;
    let session = on.open(&token).await;
    session.destroy().unwrap();
    assert!(session.is_new() && session.is_empty());
    assert!(session.needs_commit());
    assert_eq!(on.commit(&session).await, Directive::Forget);
    assert!(on.store.is_empty());
    let never = on.new_session().await;
    never.destroy().unwrap();
    assert!(!never.needs_commit());
    assert_eq!(on.commit(&never).await, Directive::Nothing);
}

fn assert_detached(session: &Session) {
    assert!(matches!(
        session.sign_in("user:42"),
        Err(SessionError::Detached)
    ));
    assert!(matches!(session.renew(), Err(SessionError::Detached)));
    assert!(matches!(session.destroy(), Err(SessionError::Detached)));
}

#[tokio::test]
async fn after_the_response_has_left() {
    let on = fixture();
    let token = on.stored().await;
    let session = on.open(&token).await;
    assert_eq!(on.commit(&session).await, Directive::Nothing);
    assert_detached(&session);
    session.insert("late", 1).unwrap();
    session.save().await.unwrap();
    assert!(
        on.open(&token).await.contains_key("late"),
        "data of a known session is still saved"
    );

    let unknown = on.new_session().await;
    assert_eq!(on.commit(&unknown).await, Directive::Nothing);
    unknown.insert("late", 1).unwrap();
    assert!(matches!(unknown.save().await, Err(SessionError::Detached)));
    let error = unknown
        .update_now("n", |_: Option<u8>| 1)
        .await
        .unwrap_err();
    assert!(matches!(error, SessionError::Detached));

    let closed = on.open(&token).await;
    assert_eq!(
        closed.finish_now(Outcome::Success),
        Some(Directive::Nothing)
    );
    assert_detached(&closed);
    assert_eq!(on.store.len(), 1);
}

#[tokio::test]
async fn after_a_failure() {
    let on = fixture();
    let token = on.stored().await;
    let session = on.open(&token).await;
    session.insert("b", 2).unwrap();
    session.renew().unwrap();
    assert_eq!(
        session.finish(Outcome::Failure).await.unwrap(),
        Directive::Nothing
    );
    assert_detached(&session);
    assert_eq!(session.keys(), ["a"], "as it was");
    assert_eq!(on.open(&token).await.keys(), ["a"]);
    let doomed = on.open(&token).await;
    doomed.destroy().unwrap();
    assert_eq!(
        doomed.finish(Outcome::Failure).await.unwrap(),
        Directive::Forget
    );
    assert!(on.store.is_empty());
}

thread_local! {
    static BYSTANDER: RefCell<Option<Session>> = const { RefCell::new(None) };
}

/// A number; while it is decoded, another clone of the session takes it.
struct TakenMeanwhile(u8);

impl<'de> Deserialize<'de> for TakenMeanwhile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = u8::deserialize(deserializer)?;
        if let Some(session) = BYSTANDER.take() {
            assert_eq!(session.take::<u8>("once").unwrap(), Some(1));
        }
        Ok(Self(number))
    }
}

/// A number; while it is decoded, another clone of the session puts the next one there.
struct ReplacedMeanwhile(u8);

impl<'de> Deserialize<'de> for ReplacedMeanwhile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = u8::deserialize(deserializer)?;
        if let Some(session) = BYSTANDER.take() {
            session.insert("once", number + 1).unwrap();
        }
        Ok(Self(number))
    }
}

#[tokio::test]
async fn a_value_is_taken_once() {
    let on = fixture();
    let session = on.new_session().await;
    session.insert("once", 1).unwrap();
    BYSTANDER.set(Some(session.clone()));
    let second = session.take::<TakenMeanwhile>("once").unwrap();
    assert!(second.is_none(), "{} was taken already", second.unwrap().0);
}

#[tokio::test]
async fn what_is_taken_is_what_is_returned() {
    let on = fixture();
    let session = on.new_session().await;
    session.insert("once", 1).unwrap();
    BYSTANDER.set(Some(session.clone()));
    let taken = session
        .take::<ReplacedMeanwhile>("once")
        .unwrap()
        .unwrap()
        .0;
    let left = session.get::<u8>("once").unwrap();
    assert!(
        (taken, left) == (2, None) || (taken, left) == (1, Some(2)),
        "{taken}, {left:?}"
    );
}

mod building {
    use super::*;

    /// A sealed store that seals nothing: it counts what reaches it.
    #[derive(Debug, Default)]
    struct Sealed {
        loads: AtomicUsize,
    }

    #[async_trait]
    impl SessionStore for Sealed {
        fn location(&self) -> RecordLocation {
            RecordLocation::client(40, 2)
        }

        async fn load(
            &self,
            key: &RecordKey,
            _: Timestamp,
        ) -> Result<Option<Arc<Record>>, StoreError> {
            assert!(matches!(key, RecordKey::Sealed { scope, .. } if scope == "__Host-id"));
            self.loads.fetch_add(1, Ordering::Relaxed);
            Ok(None)
        }

        async fn create(&self, _: &Arc<Record>, _: Timestamp) -> Result<RecordKey, StoreError> {
            Err(StoreError::unavailable("never"))
        }

        async fn update(
            &self,
            _: &RecordKey,
            _: &Update,
            _: Timestamp,
        ) -> Result<Updated, StoreError> {
            Ok(Updated::Gone)
        }

        async fn delete(&self, _: &RecordKey, _: Ended) -> Result<(), StoreError> {
            Ok(())
        }
    }

    fn refusal(builder: SessionManagerBuilder) -> String {
        builder.build().unwrap_err().to_string()
    }

    fn builder() -> SessionManagerBuilder {
        SessionManager::builder(MemoryStore::new())
    }

    #[test]
    fn settings_that_cannot_be() {
        assert_eq!(
            refusal(builder().scope("")),
            "the scope is empty; give the sessions a name"
        );
        let long = "the scope is longer than a key may be; use a shorter name";
        assert_eq!(refusal(builder().scope("s".repeat(1_025))), long);
        builder().scope("s".repeat(1_024)).build().unwrap();
        let five = Limits::default().with_key_bytes(5);
        assert_eq!(refusal(builder().limits(five).scope("123456")), long);
        let sealed = SessionManager::builder(Sealed::default());
        assert_eq!(
            refusal(sealed.keys(KeyRing::generate().unwrap())),
            "a sealed store has keys of its own; give the keys to the store only"
        );
        SessionManager::builder(Sealed::default()).build().unwrap();
        let zero = "a timeout is zero; nothing could ever succeed";
        let timeouts = |call, commit| {
            builder().timeouts(Timeouts::default().with_call(call).with_commit(commit))
        };
        assert_eq!(refusal(timeouts(Duration::ZERO, SECOND)), zero);
        assert_eq!(refusal(timeouts(SECOND, Duration::ZERO)), zero);
        timeouts(MILLI, MILLI).build().unwrap();
        assert_eq!(
            refusal(builder().watch_interval(Duration::from_nanos(999_999))),
            "the watch interval is less than a millisecond, so the store would be asked all the \
             time; use some seconds"
        );
        builder().watch_interval(MILLI).build().unwrap();
    }

    #[test]
    fn what_a_manager_says_of_itself() {
        let plain = SessionManager::new(MemoryStore::new());
        assert_eq!(plain.scope(), "__Host-id");
        assert_eq!(plain.lifetime(), Lifetime::default());
        assert_eq!(plain.store().location(), RecordLocation::Server);
        let other = builder()
            .scope("admin")
            .lifetime(Lifetime::aal2())
            .keys(KeyRing::new([0x41; 32]).unwrap())
            .build()
            .unwrap();
        assert_eq!(
            (other.scope(), other.lifetime()),
            ("admin", Lifetime::aal2())
        );
        assert!(other.is_same(&other.clone()));
        assert!(!other.is_same(&plain));
        assert!(format!("{other:?}").contains("tokens: Tokens { keys: 1 }"));
        assert_eq!(builder().location(), RecordLocation::Server);
        let sealed = SessionManager::builder(Sealed::default());
        assert_eq!(sealed.location(), Sealed::default().location());
    }

    #[tokio::test]
    async fn the_codec_and_the_keys_are_used() {
        let on = with(|builder| {
            builder
                .codec(Codec::Postcard)
                .keys(KeyRing::new([1; 32]).unwrap())
                .lifetime(Lifetime::aal1())
                .scope("other")
        });
        let session = on.new_session().await;
        session.insert("a", 300_u16).unwrap();
        let token = on.token(&session).await;
        assert_eq!(token.len(), 65);
        let record = on.record(&session).await;
        assert_eq!(record.scope(), "other");
        assert_eq!(record.lifetime(), Lifetime::aal1());
        let value = record.values().get("a").unwrap();
        assert_eq!(
            (value.codec(), value.bytes()),
            (Codec::Postcard, &b"\xac\x02"[..])
        );
        assert_eq!(fixture().stored().await.len(), 43);
        assert!(on.open(&token[..43]).await.is_new());
        assert!(!on.open(&token).await.is_new());
    }

    async fn loads(max_token: Option<usize>, token: &str) -> usize {
        let store = Arc::new(Sealed::default());
        let mut builder = SessionManager::builder(Arc::clone(&store));
        if let Some(characters) = max_token {
            builder = builder.max_token(characters);
        }
        let manager = builder.build().unwrap();
        assert!(manager.begin(&[token]).await.unwrap().is_new());
        store.loads.load(Ordering::Relaxed)
    }

    #[tokio::test]
    async fn a_sealed_token_is_checked_before_the_store() {
        assert_eq!(loads(None, &"A".repeat(8_192)).await, 1);
        assert_eq!(loads(None, &"A".repeat(8_193)).await, 0);
        assert_eq!(loads(Some(10), "0123456789").await, 1);
        assert_eq!(loads(Some(10), "0123456789A").await, 0);
        assert_eq!(loads(None, "").await, 0);
        assert_eq!(loads(None, "azAZ09-_").await, 1);
        for other in ["+", "/", "=", ".", " ", "a=", "é", "\0"] {
            assert_eq!(loads(None, other).await, 0, "{other:?}");
        }
    }

    #[tokio::test]
    async fn sealed_tokens_are_tried_once_each() {
        let store = Arc::new(Sealed::default());
        let manager = SessionManager::new(Arc::clone(&store));
        let loads = || store.loads.swap(0, Ordering::Relaxed);
        drop(manager.begin(&["a", "b", "c", "d"]).await.unwrap());
        assert_eq!(loads(), 4);
        // What does not open was not sealed by us, and takes no place of one that was.
        drop(manager.begin(&["a", "b", "c", "d", "e"]).await.unwrap());
        assert_eq!(loads(), 5);
        drop(manager.begin(&["a", "a", "b", "a"]).await.unwrap());
        assert_eq!(loads(), 2);
        drop(manager.begin(&[]).await.unwrap());
        assert_eq!(loads(), 0);
    }
}
