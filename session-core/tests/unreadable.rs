//! Records that cannot be read: their owner signs in, looks at their sessions and ends them all the
//! same.
#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use session_core::store::{
    Listed, MigratingStore, PrincipalIndex, Record, RecordKey, RecordLocation, SessionStore,
    StoreError, Update, Updated,
};
use session_core::{
    Ended, Event, EventKind, ManualClock, MemoryStore, OnMaxSessions, Outcome, SessionError,
    SessionId, SessionManager, Timestamp,
};

/// A memory store some of whose records cannot be read.
#[derive(Debug, Default)]
struct Damaged {
    inner: MemoryStore,
    ids: Mutex<HashSet<SessionId>>,
}

impl Damaged {
    fn damage(&self, id: SessionId) {
        self.ids.lock().unwrap().insert(id);
    }

    fn is_damaged(&self, id: SessionId) -> bool {
        self.ids.lock().unwrap().contains(&id)
    }
}

fn corrupt() -> StoreError {
    StoreError::corrupt("the checksum differs")
}

#[async_trait]
impl SessionStore for Damaged {
    fn location(&self) -> RecordLocation {
        self.inner.location()
    }

    async fn load(
        &self,
        key: &RecordKey,
        now: Timestamp,
    ) -> Result<Option<Arc<Record>>, StoreError> {
        match self.inner.load(key, now).await? {
            Some(record) if self.is_damaged(record.id()) => Err(corrupt()),
            found => Ok(found),
        }
    }

    async fn create(&self, record: &Arc<Record>, now: Timestamp) -> Result<RecordKey, StoreError> {
        self.inner.create(record, now).await
    }

    async fn update(
        &self,
        key: &RecordKey,
        update: &Update,
        now: Timestamp,
    ) -> Result<Updated, StoreError> {
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
impl PrincipalIndex for Damaged {
    async fn list_of(&self, principal: &str, now: Timestamp) -> Result<Vec<Listed>, StoreError> {
        let listed = self.inner.list_of(principal, now).await?.into_iter();
        let seen = |listed: Listed| match listed.id() {
            id if self.is_damaged(id) => Listed::unreadable(id, corrupt()),
            _ => listed,
        };
        Ok(listed.map(seen).collect())
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

/// Of an event: its kind, session and principal.
type Seen = (EventKind, Option<String>, Option<String>);

struct Site {
    store: Arc<Damaged>,
    manager: SessionManager,
    clock: Arc<ManualClock>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

fn site(most: usize, beyond: OnMaxSessions) -> Site {
    let store = Arc::new(Damaged::default());
    let clock = ManualClock::new(Timestamp::from_millis(1_800_000_000_000));
    let seen = Arc::new(Mutex::new(Vec::new()));
    let events = Arc::clone(&seen);
    let manager = SessionManager::builder(Arc::clone(&store))
        .clock(Arc::clone(&clock))
        .max_sessions(most, beyond)
        .observer(move |event: &Event<'_>| {
            let session = event.session().map(|id| id.to_string());
            let principal = event.principal.map(str::to_owned);
            events
                .lock()
                .unwrap()
                .push((event.kind, session, principal));
        })
        .build()
        .unwrap();
    Site {
        store,
        manager,
        clock,
        seen,
    }
}

impl Site {
    async fn sign_in(&self) -> Result<SessionId, SessionError> {
        self.clock.advance(std::time::Duration::from_secs(1));
        let session = self.manager.begin(&[]).await?;
        session.sign_in("ann")?;
        session.finish(Outcome::Success).await?;
        Ok(session.id().unwrap())
    }

    async fn ids(&self) -> Vec<SessionId> {
        let sessions = self.manager.sessions_of("ann").await.unwrap();
        sessions.iter().map(|info| info.id()).collect()
    }
}

#[tokio::test]
async fn an_unreadable_record_is_listed_last_with_its_id_alone_and_an_event() {
    let site = site(5, OnMaxSessions::RevokeOldest);
    let one = site.sign_in().await.unwrap();
    let two = site.sign_in().await.unwrap();
    site.store.damage(two);
    site.seen.lock().unwrap().clear();

    let sessions = site.manager.sessions_of("ann").await.unwrap();
    let [readable, damaged] = &sessions[..] else {
        unreachable!("{sessions:?}")
    };
    assert_eq!((readable.id(), readable.is_readable()), (one, true));
    assert_eq!((damaged.id(), damaged.is_readable()), (two, false));
    assert_eq!(damaged.created_at(), Timestamp::default());
    assert_eq!(damaged.last_seen(), Timestamp::default());
    assert_eq!(damaged.expires_at(), Timestamp::default());
    assert_eq!((damaged.authenticated_at(), damaged.label()), (None, None));
    assert_eq!(damaged.scope(), "");

    let event = (
        EventKind::Corrupt,
        Some(two.short().to_string()),
        Some("ann".into()),
    );
    assert_eq!(*site.seen.lock().unwrap(), [event]);
}

#[tokio::test]
async fn an_unreadable_record_ends_by_its_id_and_with_all_others() {
    let site = site(5, OnMaxSessions::RevokeOldest);
    let (one, two) = (site.sign_in().await.unwrap(), site.sign_in().await.unwrap());
    for id in [one, two] {
        site.store.damage(id);
    }
    assert!(!site.manager.end("bob", one).await.unwrap());
    assert!(site.manager.end("ann", one).await.unwrap());
    assert_eq!(site.ids().await, [two]);
    let three = site.sign_in().await.unwrap();
    assert_eq!(site.ids().await, [three, two]);
    assert_eq!(site.manager.sign_out_everywhere("ann").await.unwrap(), 2);
    assert!(site.ids().await.is_empty());
}

#[tokio::test]
async fn the_maximum_counts_unreadable_records_and_ends_them_first() {
    let site = site(3, OnMaxSessions::RevokeOldest);
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(site.sign_in().await.unwrap());
    }
    // The newest, and not the oldest, ends: it lets nobody in.
    site.store.damage(ids[2]);
    let four = site.sign_in().await.unwrap();
    assert_eq!(site.ids().await, [four, ids[1], ids[0]]);
    // All that there are.
    for id in [ids[0], ids[1], four] {
        site.store.damage(id);
    }
    let five = site.sign_in().await.unwrap();
    assert_eq!(site.ids().await.len(), 3);
    let six = site.sign_in().await.unwrap();
    let seven = site.sign_in().await.unwrap();
    assert_eq!(site.ids().await, [seven, six, five]);
}

#[tokio::test]
async fn unreadable_records_refuse_no_sign_in() {
    let site = site(2, OnMaxSessions::Refuse);
    let (one, two) = (site.sign_in().await.unwrap(), site.sign_in().await.unwrap());
    assert!(matches!(
        site.sign_in().await,
        Err(SessionError::TooManySessions { most: 2, .. })
    ));
    site.store.damage(one);
    let three = site.sign_in().await.unwrap();
    assert_eq!(site.ids().await, [three, two]);
    assert!(site.sign_in().await.is_err());
    for id in [two, three] {
        site.store.damage(id);
    }
    let four = site.sign_in().await.unwrap();
    let five = site.sign_in().await.unwrap();
    assert_eq!(site.ids().await, [five, four]);
}

/// Without the feature a program cannot open a sealed value, so it does not write beside it either.
#[cfg(not(feature = "sealed-values"))]
#[tokio::test]
async fn a_session_with_sealed_values_is_not_used() {
    use session_core::Codec;
    use session_core::store::{Changes, Value};

    let store = Arc::new(MemoryStore::new());
    let manager = SessionManager::new(Arc::clone(&store));
    let session = manager.begin(&[]).await.unwrap();
    session.sign_in("ann").unwrap();
    let directive = session.finish(Outcome::Success).await.unwrap();
    let session_core::Directive::Hold(token) = directive else {
        unreachable!()
    };
    let (key, now) = (session.id().unwrap().into(), manager.now());
    let old = store.load(&key, now).await.unwrap().unwrap();
    let changes = Changes::new().set("a", Value::new(Codec::Sealed, "?"));
    let update = Update::new(Arc::new(changes.apply(&old)), changes, old.epoch());
    store.update(&key, &update, now).await.unwrap();

    assert!(manager.begin(&[token.as_str()]).await.unwrap().is_new());
    let sessions = manager.sessions_of("ann").await.unwrap();
    assert!(sessions[0].is_readable());
}

#[tokio::test]
async fn a_store_that_migrates_lists_what_either_store_cannot_read() {
    let (old, new) = (Arc::new(Damaged::default()), Arc::new(Damaged::default()));
    let moving = MigratingStore::new(Arc::clone(&new), Arc::clone(&old)).unwrap();
    let managers = [
        SessionManager::new(Arc::clone(&old)),
        SessionManager::new(Arc::clone(&new)),
    ];
    let mut ids = Vec::new();
    for manager in &managers {
        for _ in 0..2 {
            let session = manager.begin(&[]).await.unwrap();
            session.sign_in("ann").unwrap();
            session.finish(Outcome::Success).await.unwrap();
            ids.push(session.id().unwrap());
        }
    }
    old.damage(ids[0]);
    new.damage(ids[2]);
    let manager = SessionManager::new(moving);
    let sessions = manager.sessions_of("ann").await.unwrap();
    assert_eq!(sessions.len(), 4);
    for info in &sessions {
        let damaged = [ids[0], ids[2]].contains(&info.id());
        assert_eq!(info.is_readable(), !damaged);
    }
    assert!(manager.end("ann", ids[0]).await.unwrap());
    assert!(manager.end("ann", ids[2]).await.unwrap());
    assert_eq!(manager.sign_out_everywhere("ann").await.unwrap(), 2);
}
