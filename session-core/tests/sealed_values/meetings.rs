//! What comes of a request that meets a record which does not open, and of those who need no value.

use super::*;

type Seen = Arc<Mutex<Vec<(EventKind, Option<String>)>>>;

struct Site {
    store: Arc<MemoryStore>,
    manager: SessionManager,
    seen: Seen,
    id: SessionId,
    token: String,
}

async fn site() -> Site {
    let store = Arc::new(MemoryStore::new());
    let seen = Seen::default();
    let notes = Arc::clone(&seen);
    let manager = builder(&store)
        .observer(move |event: &Event<'_>| {
            let session = event.session().map(|id| id.to_string());
            notes.lock().unwrap().push((event.kind, session));
        })
        .seal_values(ring(1))
        .build()
        .unwrap();
    let (id, token) = filled(&manager, |session| session.insert("a", 1).unwrap()).await;
    Site {
        store,
        manager,
        seen,
        id,
        token,
    }
}

impl Site {
    async fn damage(&self) {
        put(&self.store, self.id, "b", Value::new(Codec::Sealed, "?")).await;
        self.seen.lock().unwrap().clear();
    }

    /// Asserts that there was one event, of this session.
    fn assert_told_once(&self) {
        let seen = std::mem::take(&mut *self.seen.lock().unwrap());
        let corrupt = seen
            .into_iter()
            .filter(|(kind, _)| *kind == EventKind::Corrupt);
        let sessions: Vec<_> = corrupt.map(|(_, session)| session).collect();
        assert_eq!(sessions, [Some(self.id.short().to_string())]);
    }
}

fn assert_corrupt(error: &SessionError) {
    let is_corrupt = matches!(error, SessionError::Store(StoreError::Corrupt(_)));
    assert!(is_corrupt, "{error:?}");
}

fn add(session: &Session) {
    let add = |n: Option<u32>| n.unwrap_or(0) + 1;
    session.update("a", add).unwrap();
}

#[tokio::test]
async fn a_load_that_meets_it_is_one_event() {
    let site = site().await;
    site.damage().await;
    refused(&site.manager, &site.token).await;
    site.assert_told_once();
}

/// The store returns what it has along with the conflict.
#[tokio::test]
async fn a_conflict_that_meets_it_is_one_event() {
    let site = site().await;
    let session = site.manager.begin(&[&site.token]).await.unwrap();
    add(&session);
    site.damage().await;
    let failed = session.finish(Outcome::Success).await.unwrap_err();
    assert_corrupt(&failed.error);
    site.assert_told_once();
}

/// The handle has merged with others, so it loads before it relies on a version.
#[tokio::test]
async fn a_reload_that_meets_it_is_one_event() {
    let site = site().await;
    let session = site.manager.begin(&[&site.token]).await.unwrap();
    put(&site.store, site.id, "c", Value::new(Codec::Json, "1")).await;
    session.insert("d", 1).unwrap();
    session.save().await.unwrap();
    add(&session);
    site.damage().await;
    assert_corrupt(&session.save().await.unwrap_err());
    site.assert_told_once();
}

/// The commit looks once more before it sends a token that an earlier save has written.
#[tokio::test]
async fn a_confirmation_that_meets_it_is_one_event() {
    let mut site = site().await;
    let session = site.manager.begin(&[]).await.unwrap();
    session.insert("a", 1).unwrap();
    session.save().await.unwrap();
    site.id = session.id().unwrap();
    site.damage().await;
    let failed = session.finish(Outcome::Success).await.unwrap_err();
    assert_corrupt(&failed.error);
    site.assert_told_once();
}

/// A commit does not go on with the record of another scope, whose values nobody may see here.
#[tokio::test]
async fn a_conflict_with_another_scope_is_an_error_and_writes_nothing() {
    for sealed in [true, false] {
        let site = site().await;
        let manager = match sealed {
            true => site.manager.clone(),
            false => plain(&site.store),
        };
        let (id, token) = filled(&manager, |session| session.insert("a", 1).unwrap()).await;
        let session = manager.begin(&[&token]).await.unwrap();
        add(&session);
        // Somebody who writes to the database puts it into another scope.
        let old = raw(&site.store, id).await;
        let other = Record::new(id, "other", old.lifetime(), old.created_at());
        site.store
            .delete(&id.into(), Ended::default())
            .await
            .unwrap();
        site.store
            .delete_expired(NOW + Duration::from_secs(120))
            .await
            .unwrap();
        let other = other
            .with_value("x", Value::new(Codec::Json, "1"))
            .with_version(7);
        let other = Arc::new(other);
        site.store.create(&other, NOW).await.unwrap();
        let failed = session.finish(Outcome::Success).await.unwrap_err();
        assert_corrupt(&failed.error);
        assert_eq!(raw(&site.store, id).await.values(), other.values());
    }
}

#[tokio::test]
async fn why_a_session_ended_is_known_without_its_values() {
    let site = site().await;
    site.damage().await;
    assert_eq!(site.manager.why_ended(site.id).await.unwrap(), None);
    let ended = Ended::new(EndReason::Revoked, NOW);
    site.store.delete(&site.id.into(), ended).await.unwrap();
    let known = site.manager.why_ended(site.id).await.unwrap();
    assert_eq!(known, Some(ended));
    assert!(site.seen.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_session_is_watched_without_its_values() {
    let site = site().await;
    let session = site.manager.begin(&[&site.token]).await.unwrap();
    site.damage().await;
    let mut ended = Box::pin(session.ended());
    let waits = std::future::poll_fn(|context| {
        std::task::Poll::Ready(ended.as_mut().poll(context).is_pending())
    });
    assert!(waits.await);
    assert!(site.seen.lock().unwrap().is_empty());
    // This process ends it, so it is seen at once.
    let old = raw(&site.store, site.id).await;
    let changes = Changes::new().remove("b");
    let update = Update::new(Arc::new(changes.apply(&old)), changes, old.epoch());
    let key = RecordKey::Id(site.id);
    site.store.update(&key, &update, NOW).await.unwrap();
    change(&site.manager, &site.token, |session| {
        session.destroy().unwrap();
    })
    .await;
    assert_eq!(ended.await.reason, EndReason::Destroyed);
}
