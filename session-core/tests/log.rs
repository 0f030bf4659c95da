//! What the log gets, and how much of it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use session_core::{
    Directive, KeyRing, ManualClock, MemoryStore, OnMaxSessions, Outcome, SessionGuard,
    SessionManager, Timestamp,
};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// One line: its level and message, why, and how many were left out before it.
#[derive(Clone, Debug, Default)]
struct Line {
    level: Option<Level>,
    message: String,
    reason: String,
    suppressed: u64,
}

impl Visit for Line {
    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "suppressed" {
            self.suppressed = value;
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        match field.name() {
            "message" => self.message = format!("{value:?}"),
            "reason" | "signed_in" => self.reason = format!("{value:?}"),
            _ => {}
        }
    }
}

/// Keeps the lines of the target `session`.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<Line>>>);

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "session"
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line {
            level: Some(*event.metadata().level()),
            ..Line::default()
        };
        event.record(&mut line);
        self.0.lock().unwrap().push(line);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

impl Log {
    /// How many lines of each message and reason, but for those that only a person who looks for a
    /// fault has.
    fn take(&self) -> BTreeMap<(String, String), (usize, u64)> {
        let mut counts = BTreeMap::new();
        for line in std::mem::take(&mut *self.0.lock().unwrap()) {
            if line.level.is_some_and(|level| level <= Level::INFO) {
                let (count, suppressed) =
                    counts.entry((line.message, line.reason)).or_insert((0, 0));
                *count += 1;
                *suppressed += line.suppressed;
            }
        }
        counts
    }
}

struct Site {
    manager: SessionManager,
    clock: Arc<ManualClock>,
    log: Log,
    _scope: tracing::subscriber::DefaultGuard,
}

fn site() -> Site {
    let log = Log::default();
    let clock = ManualClock::new(Timestamp::from_millis(1_700_000_000_000));
    let manager = SessionManager::builder(MemoryStore::new())
        .clock(Arc::clone(&clock))
        .keys(KeyRing::new([7; 32]).unwrap())
        .max_sessions(1, OnMaxSessions::RevokeOldest)
        .build()
        .unwrap();
    Site {
        manager,
        clock,
        _scope: tracing::subscriber::set_default(log.clone()),
        log,
    }
}

impl Site {
    async fn open(&self, token: &str) -> SessionGuard {
        self.manager.begin(&[token]).await.unwrap()
    }

    async fn commit(&self, session: &SessionGuard) -> String {
        match session.finish(Outcome::Success).await.unwrap() {
            Directive::Hold(token) => token.as_str().to_owned(),
            other => unreachable!("{other:?}"),
        }
    }

    async fn create(&self) -> String {
        let session = self.manager.begin(&[]).await.unwrap();
        session.insert("n", 1).unwrap();
        self.commit(&session).await
    }
}

/// Forged tokens come all the time, and each of the rare ones is seen.
#[tokio::test]
async fn forged_tokens_silence_no_other_refusal() {
    let site = site();
    let [one, other] = [site.create().await, site.create().await];
    for round in 0..20 {
        for _ in 0..100 {
            drop(site.open("forged").await);
        }
        drop(site.manager.begin(&[&one, &other]).await.unwrap());
        site.clock.advance(Duration::from_secs(1 + round % 3));
    }
    let refused: Vec<_> = site
        .log
        .take()
        .into_iter()
        .filter(|((message, _), _)| message.contains("refused a token"))
        .map(|((_, reason), count)| (reason, count))
        .collect();
    let [(ambiguous, (20, 0)), (malformed, (lines, _))] = &refused[..] else {
        panic!("{refused:?}")
    };
    assert!(ambiguous.contains("Ambiguous") && malformed.contains("Malformed"));
    assert!((60..=120).contains(lines), "one or two minutes: {lines}");
}

/// Whatever a client can do again and again is at most 60 lines a minute, and the first line of a
/// later minute says how many were left out.
#[tokio::test]
async fn a_client_fills_no_log_whatever_it_does() {
    let site = site();
    let manager = &site.manager;
    for n in 0..200 {
        if n == 199 {
            // The next minute.
            site.clock.advance(Duration::from_secs(60));
        }
        let token = site.create().await;
        let session = site.open(&token).await;
        session.renew().unwrap();
        let token = site.commit(&session).await;

        // Ended and renewed under a request, dropped with changes, destroyed.
        let [late, dropped, session] = [
            site.open(&token).await,
            site.open(&token).await,
            site.open(&token).await,
        ];
        dropped.insert("n", 2).unwrap();
        drop(dropped);
        session.destroy().unwrap();
        session.finish(Outcome::Success).await.unwrap();
        late.insert("n", 3).unwrap();
        late.finish(Outcome::Success).await.unwrap();

        // Signed in beyond the maximum, which revokes one, and signed out everywhere.
        for _ in 0..2 {
            let session = manager.begin(&[]).await.unwrap();
            session.sign_in("user:1").unwrap();
            site.commit(&session).await;
        }
        manager.sign_out_everywhere("user:1").await.unwrap();
        drop(site.open("forged").await);
        drop(site.open(&token).await);
    }
    let log = site.log.take();
    for (what, (lines, suppressed)) in &log {
        let provoked = *lines as u64 + suppressed;
        // Of the last round, which has a minute to itself, all.
        assert!((61..=63).contains(lines), "{what:?}: {lines}");
        assert!(provoked >= 200, "{what:?}: {provoked}");
    }
    assert!(log.len() >= 8, "{log:?}");
}

/// Of many sessions that have expired each is told once, and not all of them in the log.
#[tokio::test]
async fn expired_sessions_fill_no_log() {
    let site = site();
    let mut tokens = Vec::new();
    for _ in 0..100 {
        tokens.push(site.create().await);
    }
    site.clock.advance(Duration::from_secs(7_200));
    site.log.take();
    for token in &tokens {
        drop(site.open(token).await);
    }
    let log = site.log.take();
    assert_eq!(log.values().collect::<Vec<_>>(), [&(60, 0)], "{log:?}");
}
