//! A client hears of its token again once a write has moved what it is to know of it: another
//! `Max-Age`, the signature of a newer key. What a write could not tell, the next answer does.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::time::Duration;

use session_core::store::{Record, RecordKey, SessionStore};
use session_core::{
    Directive, KeyRing, Lifetime, ManualClock, MemoryStore, Outcome, Rotation, SessionGuard,
    SessionManager, SessionManagerBuilder, Timestamp,
};

const SECOND: Duration = Duration::from_secs(1);
const START: Timestamp = Timestamp::from_millis(1_700_000_000_000);

/// A browser and a server: its cookie is gone when its `Max-Age` is over.
struct Browser {
    clock: Arc<ManualClock>,
    store: Arc<MemoryStore>,
    manager: SessionManager,
    token: String,
    until: Option<Timestamp>,
}

impl Browser {
    async fn new(settings: impl FnOnce(SessionManagerBuilder) -> SessionManagerBuilder) -> Self {
        let (clock, store) = (ManualClock::new(START), Arc::new(MemoryStore::new()));
        let builder = SessionManager::builder(Arc::clone(&store)).clock(Arc::clone(&clock));
        let manager = settings(builder).build().unwrap();
        let session = manager.begin(&[]).await.unwrap();
        session.insert("a", 1).unwrap();
        let directive = session.finish(Outcome::Success).await.unwrap();
        let mut browser = Self {
            clock,
            store,
            manager,
            token: String::new(),
            until: None,
        };
        assert!(browser.hears(directive));
        browser
    }

    /// The same browser before a server with other settings.
    fn before(
        mut self,
        settings: impl FnOnce(SessionManagerBuilder) -> SessionManagerBuilder,
    ) -> Self {
        let builder =
            SessionManager::builder(Arc::clone(&self.store)).clock(Arc::clone(&self.clock));
        self.manager = settings(builder).build().unwrap();
        self
    }

    /// Whether an answer has told the client of its token.
    fn hears(&mut self, directive: Directive) -> bool {
        let Directive::Hold(token) = directive else {
            return false;
        };
        self.token = token.as_str().to_owned();
        self.until = token.max_age().map(|left| self.clock.now() + left);
        true
    }

    async fn open(&self) -> SessionGuard {
        let now = self.clock.now();
        assert!(
            self.until.is_none_or(|until| now < until),
            "the cookie ran out"
        );
        let session = self.manager.begin(&[&self.token]).await.unwrap();
        assert!(!session.is_new(), "signed out");
        session
    }

    async fn record(&self) -> Arc<Record> {
        let id = self.open().await.id().unwrap();
        let found = self.store.load(&RecordKey::Id(id), self.clock.now()).await;
        found.unwrap().unwrap()
    }

    /// A request that only reads, with a 200: whether its answer told the client of its token, and
    /// how many writes it took.
    async fn reads(&mut self) -> (bool, u64) {
        let before = self.record().await.version();
        let session = self.open().await;
        let directive = match session.finish_now(Outcome::Success) {
            Some(directive) => directive,
            None => session.finish(Outcome::Success).await.unwrap(),
        };
        (
            self.hears(directive),
            self.record().await.version() - before,
        )
    }

    async fn not_modified(&mut self) {
        let session = self.open().await;
        if session.finish_now(Outcome::SuccessWithoutToken).is_none() {
            let directive = session.finish(Outcome::SuccessWithoutToken).await.unwrap();
            assert!(!self.hears(directive), "a 304 carries no token");
        }
    }
}

/// A request whose write moves the time last seen, and whose answer tells nothing.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Untold {
    NotModified,
    /// A stream that saves after its response has left.
    SavedAfterwards,
    /// The handler saves, and the answer is a 5xx.
    SavedAndRefused,
    /// The handler saves, and the client hangs up.
    SavedAndCancelled,
    /// The handler saves, and the answer is a 304.
    SavedAndNotModified,
    /// A stream names its session.
    NamedAfterwards,
    /// A stream that has nothing to write saves: that is activity too.
    AliveAfterwards,
}

use Untold::{
    AliveAfterwards, NamedAfterwards, NotModified, SavedAfterwards, SavedAndCancelled,
    SavedAndNotModified, SavedAndRefused,
};

const ALL: [Untold; 7] = [
    AliveAfterwards,
    NotModified,
    SavedAfterwards,
    SavedAndRefused,
    SavedAndCancelled,
    SavedAndNotModified,
    NamedAfterwards,
];

async fn untold(browser: &mut Browser, kind: Untold, round: u64) {
    if kind == NotModified {
        return browser.not_modified().await;
    }
    let guard = browser.open().await;
    let session = guard.session().clone();
    let is_over = matches!(kind, SavedAfterwards | NamedAfterwards | AliveAfterwards);
    let guard = Some(guard).filter(|_| !is_over);
    match kind {
        AliveAfterwards => {}
        NamedAfterwards => session.set_label(&format!("tab {round}")).unwrap(),
        _ => session.insert("round", round).unwrap(),
    }
    session.save().await.unwrap();
    let outcome = match kind {
        SavedAndRefused => Some(Outcome::Failure),
        SavedAndNotModified => Some(Outcome::SuccessWithoutToken),
        _ => None,
    };
    let directive = match guard.zip(outcome) {
        Some((guard, outcome)) => guard.finish(outcome).await.unwrap(),
        None => Directive::Nothing,
    };
    assert!(!browser.hears(directive), "{kind:?}");
}

fn half_an_hour() -> Lifetime {
    Lifetime::new(SECOND * 1_800, SECOND * 86_400).unwrap()
}

/// Two hours of use with idle timeouts of half an hour. Every 62 s activity is written by what
/// cannot tell; one second later a page is shown.
#[tokio::test]
async fn who_is_active_keeps_the_cookie() {
    for kind in ALL {
        let mut browser =
            Browser::new(|builder| builder.lifetime(half_an_hour().persistent())).await;
        for round in 1..=116 {
            browser.clock.advance(SECOND * 62);
            untold(&mut browser, kind, round).await;
            let case = format!("{kind:?}, round {round}");
            assert_eq!(
                browser.reads().await,
                (true, 1),
                "{case}: what is owed is told, by one write"
            );
            let expires = browser.record().await.expires_at();
            assert_eq!(browser.until, Some(expires), "{case}");
            assert_eq!(browser.reads().await, (false, 0), "{case}: once");
        }
    }
}

/// However many writes cannot tell, they are told together, and all but the first one merge.
#[tokio::test]
async fn what_is_owed_stays_owed_until_it_is_told() {
    for kind in ALL {
        let mut browser =
            Browser::new(|builder| builder.lifetime(half_an_hour().persistent())).await;
        for round in 1..=20 {
            browser.clock.advance(SECOND * 61);
            let before = browser.record().await.version();
            untold(&mut browser, kind, round).await;
            assert_eq!(browser.record().await.version(), before + 1, "{kind:?}");
        }
        assert_eq!(browser.reads().await, (true, 1), "{kind:?}");
        assert_eq!(
            browser.until,
            Some(browser.record().await.expires_at()),
            "{kind:?}"
        );
        assert_eq!(browser.reads().await, (false, 0), "{kind:?}");
    }
}

fn keys(number: u8) -> KeyRing {
    KeyRing::new([number; 32]).unwrap()
}

/// A token that an old key has signed is signed with the newest one by the first answer that
/// follows an untold write; then nothing is owed.
#[tokio::test]
async fn a_token_of_an_old_key_is_signed_again_after_an_untold_write() {
    for lifetime in [half_an_hour(), half_an_hour().persistent()] {
        for kind in ALL {
            let browser = Browser::new(|builder| builder.lifetime(lifetime).keys(keys(1))).await;
            let old = browser.token.clone();
            let mut browser = browser.before(|builder| {
                let ring = keys(2).with_older([1; 32]).unwrap();
                builder.lifetime(lifetime).keys(ring)
            });
            assert_eq!(
                browser.reads().await,
                (false, 0),
                "with the next touch, not at once"
            );
            browser.clock.advance(SECOND * 62);
            untold(&mut browser, kind, 0).await;
            assert_eq!(browser.reads().await, (true, 1), "{kind:?}");
            assert_ne!(browser.token, old, "{kind:?}");
            assert_eq!(browser.reads().await, (false, 0), "{kind:?}");
            // Without the old key.
            let mut browser = browser.before(|builder| builder.lifetime(lifetime).keys(keys(2)));
            assert_eq!(browser.reads().await, (false, 0), "{kind:?}");
        }
    }
}

/// Where tokens rotate none is told twice: what is owed rotates it, long before its time.
#[tokio::test]
async fn where_tokens_rotate_what_is_owed_rotates() {
    let rotation = Rotation::hourly();
    for kind in ALL {
        let browser = Browser::new(|builder| builder.keys(keys(1)).rotation(rotation)).await;
        let mut browser = browser.before(|builder| {
            let ring = keys(2).with_older([1; 32]).unwrap();
            builder.keys(ring).rotation(rotation)
        });
        browser.clock.advance(SECOND * 62);
        let old = browser.token.clone();
        untold(&mut browser, kind, 0).await;
        assert_eq!(browser.reads().await, (true, 1), "{kind:?}");
        assert_ne!(browser.token, old, "{kind:?}");
        assert_eq!(
            browser.reads().await,
            (false, 1),
            "{kind:?}: its successor is confirmed"
        );
        assert_eq!(browser.reads().await, (false, 0), "{kind:?}");
    }
}

/// Another lifetime that a save or a 304 has stored: the cookie hears of it from the next page.
#[tokio::test]
async fn another_lifetime_is_told_by_the_next_answer_that_may() {
    for rotation in [Rotation::off(), Rotation::hourly()] {
        for saves in [true, false] {
            let mut browser = Browser::new(|builder| builder.rotation(rotation)).await;
            assert_eq!(browser.until, None, "it ends with the browser");
            let guard = browser.open().await;
            guard.set_lifetime(half_an_hour().persistent());
            if saves {
                let session = guard.session().clone();
                drop(guard);
                session.save().await.unwrap();
            } else {
                guard.finish(Outcome::SuccessWithoutToken).await.unwrap();
            }
            browser.not_modified().await;
            assert_eq!(browser.reads().await, (true, 1), "{rotation:?}, {saves}");
            assert!(
                browser.until >= Some(browser.record().await.expires_at()),
                "{rotation:?}, {saves}"
            );
        }
    }
}

/// As other upkeep, it gives way to whoever writes, and stays owed.
#[tokio::test]
async fn a_conflict_leaves_it_owed() {
    let mut browser = Browser::new(|builder| builder.lifetime(half_an_hour().persistent())).await;
    browser.clock.advance(SECOND * 62);
    browser.not_modified().await;
    let late = browser.open().await;
    let other = browser.open().await;
    other.insert("b", 1).unwrap();
    other.finish(Outcome::SuccessWithoutToken).await.unwrap();
    assert_eq!(
        late.finish(Outcome::Success).await.unwrap(),
        Directive::Nothing
    );
    assert_eq!(browser.reads().await, (true, 1));

    // A handler's change is written and tells, whoever else wrote.
    browser.clock.advance(SECOND * 62);
    browser.not_modified().await;
    let late = browser.open().await;
    late.insert("c", 1).unwrap();
    let other = browser.open().await;
    other.insert("b", 2).unwrap();
    other.finish(Outcome::SuccessWithoutToken).await.unwrap();
    let directive = late.finish(Outcome::Success).await.unwrap();
    assert!(browser.hears(directive));
    assert_eq!(browser.open().await.get("c").unwrap(), Some(1));
    assert_eq!(browser.reads().await, (false, 0));
}

/// Whoever ends with the browser has nothing to hear of.
#[tokio::test]
async fn a_token_that_ends_with_the_browser_is_told_once() {
    for kind in ALL {
        let mut browser = Browser::new(|builder| builder.lifetime(half_an_hour())).await;
        for round in 1..=60 {
            browser.clock.advance(SECOND * 62);
            untold(&mut browser, kind, round).await;
            assert_eq!(browser.reads().await, (false, 0), "{kind:?}, round {round}");
        }
    }
}
