//! Sessions whose values this process cannot open: what their clients can do all the same.

use super::*;

const EVERY: Duration = Duration::from_secs(5);

struct Site {
    store: Arc<MemoryStore>,
    clock: Arc<ManualClock>,
    /// Has the key.
    home: SessionManager,
    /// Has another one.
    away: SessionManager,
}

fn site(settings: impl Fn(SessionManagerBuilder) -> SessionManagerBuilder) -> Site {
    let store = Arc::new(MemoryStore::new());
    let clock = ManualClock::new(NOW);
    let manager = |byte| {
        let builder = SessionManager::builder(Arc::clone(&store))
            .clock(clock.clone())
            .keys(ring(9))
            .seal_values(ring(byte));
        settings(builder).build().unwrap()
    };
    Site {
        home: manager(1),
        away: manager(2),
        clock,
        store,
    }
}

async fn ann(site: &Site) -> (SessionId, String) {
    filled(&site.home, |session| {
        session.sign_in("ann").unwrap();
        session.insert("a", "1").unwrap();
    })
    .await
}

/// The token of a session after some rotations, by which `first` was rotated away.
async fn rotate(site: &Site, first: &str) -> String {
    let mut newest = first.to_owned();
    for _ in 0..6 {
        site.clock.advance(EVERY + Duration::from_millis(1));
        let session = site.home.begin(&[&newest]).await.unwrap();
        if let Directive::Hold(token) = session.finish(Outcome::Success).await.unwrap() {
            newest = token.as_str().to_owned();
        }
    }
    newest
}

/// After a key was removed, nobody is locked out of signing in where they had signed in before.
#[tokio::test]
async fn its_principal_signs_in_anew_in_its_place() {
    let site = site(|builder| builder.max_sessions(1, OnMaxSessions::Refuse));
    let (old, token) = ann(&site).await;
    // A failure, and somebody else, leave it as it is.
    for (who, outcome) in [("ann", Outcome::Failure), ("bob", Outcome::Success)] {
        let session = site.away.begin(&[&token]).await.unwrap();
        assert!(session.is_new());
        session.sign_in(who).unwrap();
        session.finish(outcome).await.unwrap();
        assert_eq!(read(&site.home, &token, "a").await.unwrap(), "1");
    }
    let session = site.away.begin(&[&token]).await.unwrap();
    session.sign_in("ann").unwrap();
    session.finish(Outcome::Success).await.unwrap();
    let sessions = site.away.sessions_of("ann").await.unwrap();
    assert_eq!(sessions.len(), 1);
    assert_ne!(sessions[0].id(), old);
    let ended = site.home.why_ended(old).await.unwrap().unwrap();
    assert_eq!(ended.reason, EndReason::Exchanged);
}

/// Nor where they had not.
#[tokio::test]
async fn it_refuses_no_sign_in() {
    let site = site(|builder| builder.max_sessions(1, OnMaxSessions::Refuse));
    let (old, token) = ann(&site).await;
    for _ in 0..2 {
        let (new, _) = filled(&site.away, |session| session.sign_in("ann").unwrap()).await;
        assert!(site.away.end("ann", new).await.unwrap());
    }
    // Who can read it counts it.
    let session = site.home.begin(&[]).await.unwrap();
    session.sign_in("ann").unwrap();
    let refused = session.finish(Outcome::Success).await.unwrap_err();
    assert!(matches!(
        refused.error,
        SessionError::TooManySessions { .. }
    ));
    assert_eq!(read(&site.home, &token, "a").await.unwrap(), "1");
    assert!(site.home.end("ann", old).await.unwrap());
}

/// Where it cannot be used, a token that a neighbour has planted must not take its place.
#[tokio::test]
async fn a_planted_token_does_not_win_over_it() {
    let site = site(|builder| builder);
    let (_, own) = ann(&site).await;
    let (_, planted) = filled(&site.away, |session| session.sign_in("mallory").unwrap()).await;
    for both in [[&*own, &*planted], [&*planted, &*own]] {
        let session = site.away.begin(&both).await.unwrap();
        assert_eq!(session.principal(), None);
        session.insert("note", "of ann").unwrap();
        let answer = session.finish(Outcome::Success).await.unwrap();
        assert_eq!(answer, Directive::Nothing);
    }
    // Whoever signs in ends both, be it somebody else.
    let (_, own_too) = ann(&site).await;
    let (_, planted_too) = filled(&site.away, |session| session.sign_in("mallory").unwrap()).await;
    let session = site.away.begin(&[&own_too, &planted_too]).await.unwrap();
    session.sign_in("carol").unwrap();
    session.finish(Outcome::Success).await.unwrap();
    for token in [&own_too, &planted_too] {
        assert!(site.home.begin(&[token]).await.unwrap().is_new());
    }
    let session = site.away.begin(&[&own, &planted]).await.unwrap();
    session.sign_in("ann").unwrap();
    session.finish(Outcome::Success).await.unwrap();
    assert_eq!(site.away.sessions_of("ann").await.unwrap().len(), 1);
    assert_eq!(site.away.sessions_of("mallory").await.unwrap().len(), 0);
}

#[tokio::test]
async fn its_client_signs_out() {
    let site = site(|builder| builder);
    let (id, token) = ann(&site).await;
    let session = site.away.begin(&[&token]).await.unwrap();
    session.destroy().unwrap();
    let answer = session.finish(Outcome::Success).await.unwrap();
    assert_eq!(answer, Directive::Forget);
    assert!(site.home.begin(&[&token]).await.unwrap().is_new());
    let ended = site.home.why_ended(id).await.unwrap().unwrap();
    assert_eq!(ended.reason, EndReason::Destroyed);
}

/// A good token beside one that was rotated away shows that nobody has stolen it, whether the
/// values open or not.
#[tokio::test]
async fn its_good_token_shows_that_an_old_one_is_no_theft() {
    let site = site(|builder| {
        builder
            .rotation(Rotation::every(EVERY))
            .on_reuse(session_core::OnReuse::Revoke)
    });
    let (_, first) = ann(&site).await;
    let newest = rotate(&site, &first).await;
    assert_ne!(first, newest);
    for both in [[&*first, &*newest], [&*newest, &*first]] {
        assert!(site.away.begin(&both).await.unwrap().is_new());
        assert_eq!(read(&site.home, &newest, "a").await.unwrap(), "1");
    }
    // The old one alone is a theft, and to end the session needs no values.
    assert!(site.away.begin(&[&first]).await.unwrap().is_new());
    assert!(site.home.begin(&[&newest]).await.unwrap().is_new());
    assert_eq!(site.home.sessions_of("ann").await.unwrap().len(), 0);
    drop(site.store);
}

/// A store where somebody else writes to a session just before it is to end.
#[derive(Debug, Default)]
struct Busy {
    inner: Arc<MemoryStore>,
    /// Whether the answer to an update that comes too late has the record.
    tells: bool,
    meetings: Mutex<u32>,
}

#[async_trait]
impl SessionStore for Busy {
    fn location(&self) -> RecordLocation {
        RecordLocation::Server
    }

    async fn load(
        &self,
        key: &RecordKey,
        now: Timestamp,
    ) -> Result<Option<Arc<Record>>, StoreError> {
        self.inner.load(key, now).await
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
        if *self.meetings.lock().unwrap() < 3 {
            *self.meetings.lock().unwrap() += 1;
            let old = self.inner.load(key, now).await?.unwrap();
            let touch = Changes::new().set("n", Codec::Json.encode(&1).unwrap());
            let other = Update::new(Arc::new(touch.apply(&old)), touch, old.epoch());
            self.inner.update(key, &other, now).await?;
        }
        Ok(match self.inner.update(key, update, now).await? {
            Updated::Conflict { .. } if !self.tells => Updated::conflict(None),
            updated => updated,
        })
    }

    async fn delete(&self, key: &RecordKey, ended: Ended) -> Result<(), StoreError> {
        self.inner.delete(key, ended).await
    }
}

#[tokio::test]
async fn it_ends_by_a_stolen_token_whatever_others_write_meanwhile() {
    for tells in [true, false] {
        let site = site(|builder| builder.rotation(Rotation::every(EVERY)));
        let (id, first) = ann(&site).await;
        rotate(&site, &first).await;
        let busy = Arc::new(Busy {
            inner: Arc::clone(&site.store),
            tells,
            ..Busy::default()
        });
        let away = SessionManager::builder(Arc::clone(&busy))
            .clock(site.clock.clone())
            .keys(ring(9))
            .rotation(Rotation::every(EVERY))
            .on_reuse(session_core::OnReuse::RevokeDespiteLostWrites)
            .seal_values(ring(2))
            .build()
            .unwrap();
        assert!(away.begin(&[&first]).await.unwrap().is_new());
        assert_eq!(*busy.meetings.lock().unwrap(), 3);
        let ended = site.home.why_ended(id).await.unwrap().unwrap();
        assert_eq!(ended.reason, EndReason::Reused);
    }
}
