//! Sessions on their way from one store to another. (Interleavings are in the crate `tests`.)
#![cfg(feature = "conformance")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use std::sync::Arc;

use session_core::store::conformance::check;
use session_core::store::{MigratingStore, PrincipalIndex, SessionStore};
use session_core::{
    Directive, Ended, MemoryStore, Outcome, SessionGuard, SessionManager, Timestamp,
};

type Moving = MigratingStore<Arc<MemoryStore>, Arc<MemoryStore>>;

/// The new store, the old one, and what moves sessions.
fn stores() -> (Arc<MemoryStore>, Arc<MemoryStore>, Moving) {
    let (new, old) = (Arc::new(MemoryStore::new()), Arc::new(MemoryStore::new()));
    let moving = MigratingStore::new(Arc::clone(&new), Arc::clone(&old)).unwrap();
    (new, old, moving)
}

fn manager(store: impl SessionStore) -> SessionManager {
    SessionManager::new(store)
}

async fn commit(session: &SessionGuard) -> String {
    match session.finish(Outcome::Success).await.unwrap() {
        Directive::Hold(token) => token.as_str().to_owned(),
        other => panic!("expected a token, got {other:?}"),
    }
}

/// A session that was begun before anybody thought of another store.
async fn begun(old: &Arc<MemoryStore>) -> String {
    let manager = manager(Arc::clone(old));
    let session = manager.begin(&[]).await.unwrap();
    session.sign_in("user:1").unwrap();
    session.insert("cart", 3).unwrap();
    commit(&session).await
}

#[tokio::test]
async fn it_keeps_the_contract() {
    check(|| async { stores().2 }).await;
    check(|| async { stores().2.standing_by() }).await;
}

#[tokio::test]
async fn a_session_moves_whole_with_its_first_write_and_keeps_its_token() {
    let (new, old, moving) = stores();
    let token = begun(&old).await;
    let manager = manager(moving);
    let session = manager.begin(&[&token]).await.unwrap();
    let (id, created) = (session.id(), session.created_at());
    assert_eq!(session.get("cart").unwrap(), Some(3));
    session.finish(Outcome::Success).await.unwrap();
    assert_eq!((new.len(), old.len()), (0, 1), "a read moves nothing");

    let session = manager.begin(&[&token]).await.unwrap();
    session.insert("paid", true).unwrap();
    assert!(matches!(
        session.finish(Outcome::Success).await.unwrap(),
        Directive::Nothing
    ));
    assert_eq!((new.len(), old.len()), (1, 0));

    // The node after the last step knows the new store only.
    let session = SessionManager::new(new).begin(&[&token]).await.unwrap();
    assert_eq!((session.id(), session.created_at()), (id, created));
    assert_eq!(session.principal().as_deref(), Some("user:1"));
    assert_eq!(session.get("cart").unwrap(), Some(3));
    assert_eq!(session.get("paid").unwrap(), Some(true));
}

#[tokio::test]
async fn who_stands_by_finds_both_and_moves_none() {
    let (new, old, moving) = stores();
    let waiting = MigratingStore::new(Arc::clone(&new), Arc::clone(&old))
        .unwrap()
        .standing_by();
    let (waiting, moving) = (manager(waiting), manager(moving));
    let session = waiting.begin(&[]).await.unwrap();
    session.insert("n", 1).unwrap();
    let token = commit(&session).await;
    assert_eq!((new.len(), old.len()), (0, 1));
    for (manager, lengths) in [(&waiting, (0, 1)), (&moving, (1, 0)), (&waiting, (1, 0))] {
        let session = manager.begin(&[&token]).await.unwrap();
        session
            .update("n", |n: Option<u64>| n.unwrap_or(0) + 1)
            .unwrap();
        session.finish(Outcome::Success).await.unwrap();
        assert_eq!((new.len(), old.len()), lengths);
    }
    let session = waiting.begin(&[&token]).await.unwrap();
    assert_eq!(session.get("n").unwrap(), Some(4));
}

#[tokio::test]
async fn signing_out_ends_both() {
    for moves in [false, true] {
        let (new, old, moving) = stores();
        let tokens = [begun(&old).await, begun(&old).await];
        let manager = manager(moving);
        if moves {
            let session = manager.begin(&[&tokens[0]]).await.unwrap();
            session.insert("seen", true).unwrap();
            session.finish(Outcome::Success).await.unwrap();
            assert_eq!((new.len(), old.len()), (1, 1));
        }
        let store = MigratingStore::new(Arc::clone(&new), Arc::clone(&old)).unwrap();
        let now = Timestamp::from(std::time::SystemTime::now());
        assert_eq!(store.list_of("user:1", now).await.unwrap().len(), 2);
        assert_eq!(
            store
                .delete_all_of("user:1", None, Ended::default())
                .await
                .unwrap(),
            2
        );
        assert_eq!((new.len(), old.len()), (0, 0));
        for token in &tokens {
            assert!(manager.begin(&[token]).await.unwrap().is_new());
        }
    }
}

#[test]
fn sealed_stores_are_refused() {
    #[derive(Debug)]
    struct Sealed(MemoryStore);

    #[session_core::store::async_trait]
    impl SessionStore for Sealed {
        fn location(&self) -> session_core::store::RecordLocation {
            session_core::store::RecordLocation::client(0, 1)
        }
        async fn load(
            &self,
            key: &session_core::store::RecordKey,
            now: Timestamp,
        ) -> Result<Option<Arc<session_core::store::Record>>, session_core::store::StoreError>
        {
            self.0.load(key, now).await
        }
        async fn create(
            &self,
            record: &Arc<session_core::store::Record>,
            now: Timestamp,
        ) -> Result<session_core::store::RecordKey, session_core::store::StoreError> {
            self.0.create(record, now).await
        }
        async fn update(
            &self,
            key: &session_core::store::RecordKey,
            update: &session_core::store::Update,
            now: Timestamp,
        ) -> Result<session_core::store::Updated, session_core::store::StoreError> {
            self.0.update(key, update, now).await
        }
        async fn delete(
            &self,
            key: &session_core::store::RecordKey,
            ended: Ended,
        ) -> Result<(), session_core::store::StoreError> {
            self.0.delete(key, ended).await
        }
    }

    for (new, old) in [(true, false), (false, true)] {
        let store = |sealed| -> Box<dyn SessionStore> {
            match sealed {
                true => Box::new(Sealed(MemoryStore::new())),
                false => Box::new(MemoryStore::new()),
            }
        };
        let refused = MigratingStore::new(store(new), store(old)).unwrap_err();
        assert!(refused.to_string().contains("cannot be moved"), "{refused}");
    }
}
