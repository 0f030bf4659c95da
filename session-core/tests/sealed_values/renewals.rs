//! A sign-in moves the deadline of a session and keeps its values, so it seals them too. Otherwise
//! a plain value, or one of an old key, would never have to expire.

use super::*;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Nodes of one site over the years: one store, one clock, sessions of 14 days.
struct Site {
    store: Arc<MemoryStore>,
    clock: Arc<ManualClock>,
}

impl Site {
    fn new() -> Self {
        Self {
            store: Arc::new(MemoryStore::new()),
            clock: ManualClock::new(NOW),
        }
    }

    fn builder(&self) -> SessionManagerBuilder {
        builder(&self.store)
            .clock(self.clock.clone())
            .lifetime(Lifetime::new(14 * DAY, 14 * DAY).unwrap())
    }

    fn node(&self, sealing: impl Into<ValueSealing>) -> SessionManager {
        self.builder().seal_values(sealing).build().unwrap()
    }

    fn day(&self, day: u32) {
        let left = (NOW + day * DAY).duration_since(self.clock.now());
        self.clock.advance(left);
    }

    async fn raw(&self, id: SessionId) -> Arc<Record> {
        let now = self.clock.now();
        self.store.load(&id.into(), now).await.unwrap().unwrap()
    }
}

/// A request that is sent another token.
async fn renewed(manager: &SessionManager, token: &str, change: impl FnOnce(&Session)) -> String {
    let session = manager.begin(&[token]).await.unwrap();
    assert!(!session.is_new());
    change(&session);
    match session.finish(Outcome::Success).await.unwrap() {
        Directive::Hold(token) => token.as_str().to_owned(),
        other => panic!("no token: {other:?}"),
    }
}

fn fill(session: &Session) {
    session.sign_in("ann").unwrap();
    for key in ["a", "b", "c"] {
        session.insert(key, key).unwrap();
    }
}

fn sign_in(session: &Session) {
    session.sign_in("ann").unwrap();
}

async fn assert_filled(manager: &SessionManager, token: &str) {
    for key in ["a", "b", "c"] {
        assert_eq!(read(manager, token, key).await.as_deref(), Some(key));
    }
}

#[tokio::test]
async fn no_plain_value_outlives_the_absolute_timeout() {
    let site = Site::new();
    let (id, token) = filled(&site.builder().build().unwrap(), fill).await;
    site.day(10);
    let token = renewed(&site.node(ring(1)), &token, sign_in).await;
    let sealed = named(["a", "b", "c"].map(|key| (key, Codec::Sealed)));
    assert_eq!(codecs(&*site.raw(id).await), sealed);
    site.day(15);
    let strict = site.node(ValueSealing::new(ring(1)).sealed_only());
    assert_filled(&strict, &token).await;
}

#[tokio::test]
async fn no_value_of_an_old_key_outlives_the_absolute_timeout() {
    let site = Site::new();
    let (_, token) = filled(&site.node(ring(1)), fill).await;
    site.day(10);
    let both = site.node(ring(2).with_older([1; 32]).unwrap());
    let token = renewed(&both, &token, sign_in).await;
    site.day(15);
    assert_filled(&site.node(ring(2)), &token).await;
}

/// To stop sealing: the keys may be removed in the end.
#[tokio::test]
async fn no_sealed_value_outlives_the_absolute_timeout_once_values_are_written_plain() {
    let site = Site::new();
    let (_, token) = filled(&site.node(ring(1)), fill).await;
    site.day(10);
    let stops = site.node(ValueSealing::new(ring(1)).writing_plain());
    let token = renewed(&stops, &token, sign_in).await;
    site.day(15);
    assert_filled(&site.builder().build().unwrap(), &token).await;
}

#[tokio::test]
async fn a_renewal_alone_seals_too_along_with_what_the_request_changes() {
    let site = Site::new();
    let (id, token) = filled(&site.builder().build().unwrap(), fill).await;
    let manager = site.node(ring(1));
    let token = renewed(&manager, &token, |session| {
        session.renew().unwrap();
        session.remove("b");
        session.insert("c", "other").unwrap();
        session.insert("d", "d").unwrap();
    })
    .await;
    let sealed = named(["a", "c", "d"].map(|key| (key, Codec::Sealed)));
    assert_eq!(codecs(&*site.raw(id).await), sealed);
    for (key, value) in [
        ("a", Some("a")),
        ("b", None),
        ("c", Some("other")),
        ("d", Some("d")),
    ] {
        assert_eq!(read(&manager, &token, key).await.as_deref(), value);
    }
    let token = renewed(&manager, &token, |session| {
        session.renew().unwrap();
        session.clear();
        session.insert("e", "e").unwrap();
    })
    .await;
    assert_eq!(codecs(&*site.raw(id).await), named([("e", Codec::Sealed)]));
    assert_eq!(read(&manager, &token, "e").await.as_deref(), Some("e"));
}

/// Somebody else writes between the load and the sign-in, which then meets what is there.
#[tokio::test]
async fn a_sign_in_that_meets_another_writer_loses_nothing() {
    let site = Site::new();
    let plain = site.builder().build().unwrap();
    let (id, token) = filled(&plain, fill).await;
    let manager = site.node(ring(1));
    let session = manager.begin(&[&token]).await.unwrap();
    session.sign_in("ann").unwrap();
    change(&plain, &token, |session| {
        session.insert("b", "new").unwrap();
    })
    .await;
    let directive = session.finish(Outcome::Success).await.unwrap();
    let Directive::Hold(token) = directive else {
        panic!("no token")
    };
    assert_eq!(read(&manager, token.as_str(), "b").await.unwrap(), "new");
    let sealed = named(["a", "b", "c"].map(|key| (key, Codec::Sealed)));
    assert_eq!(codecs(&*site.raw(id).await), sealed);
}

/// A full session may sign in all the same, and nothing of it stays plain.
#[tokio::test]
async fn a_renewal_of_a_full_session_seals_all_of_it() {
    let site = Site::new();
    let limits = Limits::default().with_record_bytes(1_000);
    let build = |builder: SessionManagerBuilder| builder.limits(limits).build().unwrap();
    let plain = build(site.builder());
    let (id, token) = filled(&plain, |session| {
        for key in ["b", "c"] {
            session.insert(key, "x").unwrap();
        }
        let fits = |length: &usize| session.insert("a", "x".repeat(*length)).is_ok();
        (0..1_000).rev().find(fits).unwrap();
    })
    .await;
    assert_eq!(site.raw(id).await.limited_size(), 1_000);
    let manager = build(site.builder().seal_values(ring(1)));
    let token = renewed(&manager, &token, |session| session.renew().unwrap()).await;
    let record = site.raw(id).await;
    assert_eq!(record.limited_size(), 1_000 + 3 * OVERHEAD);
    let sealed = named(["a", "b", "c"].map(|key| (key, Codec::Sealed)));
    assert_eq!(codecs(&record), sealed);
    assert_eq!(read(&manager, &token, "b").await.unwrap(), "x");
}

#[tokio::test]
async fn a_rotation_of_the_token_writes_no_value() {
    let site = Site::new();
    let manager = site.builder().rotation(Rotation::default());
    let manager = manager.seal_values(ring(1)).build().unwrap();
    let (id, token) = filled(&manager, fill).await;
    let before = site.raw(id).await;
    // The client has its token, which the first request with it confirms.
    site.clock.advance(Duration::from_secs(60));
    let rotated = renewed(&manager, &token, |_| {}).await;
    let after = site.raw(id).await;
    assert!(after.version() > before.version() && after.epoch() == before.epoch());
    assert_ne!(rotated, token);
    assert_eq!(after.values(), before.values());
    assert_filled(&manager, &rotated).await;
}
