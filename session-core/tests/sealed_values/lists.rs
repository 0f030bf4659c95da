//! Sessions with values that do not open, in lists and under a limit: they let nobody in.

use super::*;

type Seen = Arc<Mutex<Vec<(EventKind, Option<String>)>>>;

struct Site {
    store: Arc<MemoryStore>,
    manager: SessionManager,
    clock: Arc<ManualClock>,
    seen: Seen,
}

fn site(limit: Option<(usize, OnMaxSessions)>) -> Site {
    let store = Arc::new(MemoryStore::new());
    let clock = ManualClock::new(NOW);
    let seen = Seen::default();
    let notes = Arc::clone(&seen);
    let builder = SessionManager::builder(Arc::clone(&store))
        .clock(clock.clone())
        .observer(move |event: &Event<'_>| {
            let session = event.session().map(|id| id.to_string());
            notes.lock().unwrap().push((event.kind, session));
        })
        .seal_values(ring(1));
    let builder = match limit {
        Some((most, beyond)) => builder.max_sessions(most, beyond),
        None => builder,
    };
    Site {
        store,
        manager: builder.build().unwrap(),
        clock,
        seen,
    }
}

impl Site {
    async fn sign_in(&self) -> Result<SessionId, SessionError> {
        self.clock.advance(Duration::from_secs(1));
        let session = self.manager.begin(&[]).await?;
        session.sign_in("ann")?;
        session.insert("a", 1)?;
        let committed = session.finish(Outcome::Success).await;
        committed.map_err(|error| error.error)?;
        Ok(session.id().unwrap())
    }

    /// Changes the sealed value of a session, which then does not open.
    async fn damage(&self, id: SessionId) {
        let bytes = raw(&self.store, id)
            .await
            .values()
            .get("a")
            .unwrap()
            .bytes()
            .to_vec();
        let changed = Value::new(Codec::Sealed, bytes[..bytes.len() - 1].to_vec());
        put(&self.store, id, "a", changed).await;
    }

    /// The sessions of ann that can be read, and those that cannot.
    async fn listed(&self) -> (Vec<SessionId>, Vec<SessionId>) {
        let sessions = self.manager.sessions_of("ann").await.unwrap();
        let (good, bad): (Vec<_>, Vec<_>) =
            sessions.iter().partition(|session| session.is_readable());
        let ids = |sessions: Vec<&session_core::SessionInfo>| {
            sessions.iter().map(|session| session.id()).collect()
        };
        (ids(good), ids(bad))
    }
}

#[tokio::test]
async fn a_session_that_does_not_open_locks_nobody_out() {
    let site = site(Some((1, OnMaxSessions::Refuse)));
    let dead = site.sign_in().await.unwrap();
    let refused = site.sign_in().await.unwrap_err();
    assert!(matches!(
        refused,
        SessionError::TooManySessions { most: 1, .. }
    ));
    site.damage(dead).await;
    let good = site.sign_in().await.unwrap();
    assert_eq!(site.listed().await, (vec![good], vec![]));
}

#[tokio::test]
async fn a_session_that_does_not_open_is_the_first_to_go() {
    let site = site(Some((2, OnMaxSessions::RevokeOldest)));
    let good = site.sign_in().await.unwrap();
    let dead = site.sign_in().await.unwrap();
    site.damage(dead).await;
    let newest = site.sign_in().await.unwrap();
    assert_eq!(site.listed().await, (vec![newest, good], vec![]));
}

#[tokio::test]
async fn a_session_that_does_not_open_is_listed_as_unreadable_and_can_be_ended() {
    let site = site(None);
    let good = site.sign_in().await.unwrap();
    let dead = site.sign_in().await.unwrap();
    site.damage(dead).await;
    site.seen.lock().unwrap().clear();
    assert_eq!(site.listed().await, (vec![good], vec![dead]));
    let event = (EventKind::Corrupt, Some(dead.short().to_string()));
    assert_eq!(*site.seen.lock().unwrap(), [event]);
    assert!(site.manager.end("ann", dead).await.unwrap());
    assert_eq!(site.listed().await, (vec![good], vec![]));

    // What has expired is not listed, whether it opens or not.
    let dead = site.sign_in().await.unwrap();
    site.damage(dead).await;
    site.clock.advance(Lifetime::default().idle());
    assert_eq!(site.listed().await, (vec![], vec![]));
}

/// While keys rotate, not every process has all of them. One that lacks a key ends nobody's session
/// before its time.
#[tokio::test]
async fn a_session_of_a_key_that_is_missing_here_keeps_its_place() {
    for sealing in [
        ValueSealing::new(ring(2)),
        ValueSealing::new(ring(2)).sealed_only(),
    ] {
        let site = site(None);
        let first = site.sign_in().await.unwrap();
        let (second, token) = {
            site.clock.advance(Duration::from_secs(1));
            filled(&site.manager, |session| {
                session.sign_in("ann").unwrap();
                session.insert("a", "1").unwrap();
            })
            .await
        };
        site.clock.advance(Duration::from_secs(1));
        let other = SessionManager::builder(Arc::clone(&site.store))
            .clock(site.clock.clone())
            .max_sessions(2, OnMaxSessions::RevokeOldest)
            .seal_values(sealing)
            .build()
            .unwrap();
        let listed = other.sessions_of("ann").await.unwrap();
        assert!(listed.iter().all(session_core::SessionInfo::is_readable));
        let (third, _) = filled(&other, |session| session.sign_in("ann").unwrap()).await;
        let (kept, unreadable) = site.listed().await;
        assert_eq!((kept, unreadable), (vec![third, second], vec![]));
        assert_ne!(first, second);
        assert_eq!(read(&site.manager, &token, "a").await.unwrap(), "1");
    }
}

/// A store that several applications share: each judges its own.
#[tokio::test]
async fn the_sessions_of_another_scope_are_not_opened() {
    let site = site(Some((1, OnMaxSessions::RevokeOldest)));
    let good = site.sign_in().await.unwrap();
    let elsewhere = [
        builder(&site.store).scope("sealed").seal_values(ring(2)),
        builder(&site.store).scope("plain"),
    ];
    let mut all = vec![good];
    for builder in elsewhere {
        let manager = builder.build().unwrap();
        let (id, token) = filled(&manager, |session| {
            session.sign_in("ann").unwrap();
            session.insert("a", "1").unwrap();
        })
        .await;
        all.push(id);
        assert_eq!(read(&manager, &token, "a").await.unwrap(), "1");
        let sessions = manager.sessions_of("ann").await.unwrap();
        assert_eq!(sessions.len(), all.len());
        assert!(sessions.iter().all(|session| session.is_readable()));
    }
    let (readable, unreadable) = site.listed().await;
    assert_eq!((readable.len(), unreadable), (3, vec![]));
}
