//! The recorder behind a manager, and the page that it makes.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt;
use session_core::{
    Directive, ManualClock, MemoryStore, Outcome, SessionError, SessionManager, Timestamp,
};

use super::page::{self, Index, View};
use super::recorder::Recorder;
use super::ring::INTERVALS;
use super::sign_ins::State;
use super::tally::{KINDS, OPENED};

const NOON: Timestamp = Timestamp::from_millis(1_764_504_000_000);

struct Site {
    clock: Arc<ManualClock>,
    recorder: Recorder,
    manager: SessionManager,
}

impl Site {
    fn new() -> Self {
        let clock = ManualClock::new(NOON);
        let recorder = Recorder::new(Arc::clone(&clock));
        let manager = SessionManager::builder(MemoryStore::new())
            .clock(Arc::clone(&clock))
            .observer(recorder.clone())
            .build()
            .unwrap();
        Self {
            clock,
            recorder,
            manager,
        }
    }

    async fn sign_in(&self, principal: &str, label: &str) -> Result<String, SessionError> {
        let session = self.manager.begin(&[]).await?;
        session.sign_in(principal)?;
        session.set_label(label)?;
        match session.finish(Outcome::Success).await? {
            Directive::Hold(token) => Ok(token.as_str().to_owned()),
            directive => panic!("{directive:?}"),
        }
    }

    /// What the page would do before it is shown.
    async fn look_up(&self, principal: &str) -> Result<(), SessionError> {
        let listed = self.manager.sessions_of(principal).await?;
        let listed: Vec<_> = listed
            .iter()
            .map(|info| (info.id().short(), info.label().map(str::to_owned)))
            .collect();
        let asked: Vec<_> = self.recorder.sign_ins();
        let asked: Vec<_> = asked.iter().map(|known| known.session).collect();
        self.recorder.learn(&asked, &listed);
        Ok(())
    }

    async fn page(&self, view: View, index: Index) -> String {
        let snapshot = self.recorder.snapshot(self.manager.now());
        let page = page::page(&snapshot, view, index).unwrap();
        let body = page.into_body().collect().await.unwrap().to_bytes();
        String::from_utf8(body.to_vec()).unwrap()
    }

    /// The counts of a kind of event that are not zero, each with its interval.
    fn events(&self, label: &str) -> Vec<(usize, u32)> {
        let snapshot = self.recorder.snapshot(self.manager.now());
        let kinds = KINDS.iter().zip(snapshot.events);
        let of_kind = kinds.filter(|(kind, _)| kind.label() == label);
        let counts = of_kind.flat_map(|(_, series)| series.into_iter().enumerate());
        counts.filter(|(_, count)| *count > 0).collect()
    }
}

const LAST: usize = INTERVALS - 1;

#[tokio::test]
async fn requests_are_counted_when_they_happen() -> Result<(), SessionError> {
    let site = Site::new();
    let token = site.sign_in("ann", "phone").await?;
    site.clock.advance(Duration::from_secs(30));
    for token in [&token[..], "forged"] {
        let request = site.manager.begin(&[token]).await?;
        request.finish(Outcome::Success).await?;
    }
    assert_eq!(site.events("created"), [(LAST - 2, 1)]);
    assert_eq!(site.events("loaded"), [(LAST, 1)]);
    assert_eq!(site.events("refused"), [(LAST, 1)]);
    let snapshot = site.recorder.snapshot(site.manager.now());
    let opened = OPENED.iter().zip(snapshot.opened);
    let last: Vec<_> = opened
        .map(|(of, series)| (of.label(), series[LAST]))
        .collect();
    assert_eq!(
        last[..4],
        [
            ("session", 1),
            ("no_token", 0),
            ("expired", 0),
            ("refused", 1)
        ]
    );
    assert_eq!(snapshot.calls[LAST - 2..], [1, 0, 1]);
    site.clock.advance(Duration::from_secs(15 * 60));
    assert_eq!(site.events("created"), []);
    Ok(())
}

#[tokio::test]
async fn sign_ins_are_listed_until_they_end() -> Result<(), SessionError> {
    let site = Site::new();
    let [phone, _] = [
        site.sign_in("ann", "phone").await?,
        site.sign_in("ann", "desk").await?,
    ];
    site.look_up("ann").await?;
    let states = |site: &Site| -> Vec<_> {
        let sign_ins = site.recorder.sign_ins();
        sign_ins.into_iter().map(|known| known.state).collect()
    };
    assert_eq!(states(&site), [State::Live, State::Live]);
    let session = site.manager.begin(&[&phone]).await?;
    session.destroy()?;
    session.finish(Outcome::Success).await?;
    assert_eq!(states(&site), [State::Live, State::Ended]);
    site.manager.sign_out_everywhere("ann").await?; // says how many, and not which
    assert_eq!(states(&site), [State::Unseen, State::Ended]);
    site.look_up("ann").await?;
    assert_eq!(states(&site), [State::Ended, State::Ended]);
    let labels = site
        .recorder
        .sign_ins()
        .into_iter()
        .map(|known| known.label);
    assert_eq!(labels.flatten().collect::<Vec<_>>(), ["desk", "phone"]);
    Ok(())
}

#[tokio::test]
async fn hostile_names_are_text() -> Result<(), SessionError> {
    let site = Site::new();
    let name = "\"><script>alert('1')</script>&\u{202e}";
    site.sign_in(name, "<img src=x onerror=alert(2)>").await?;
    site.look_up(name).await?;
    let page = site.page(View::Live, Index::Present).await;
    for raw in ["<script", "<img", "\">alert", "'1'"] {
        assert!(!page.contains(raw), "{raw}");
    }
    let escaped = "&quot;&gt;&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&amp;\u{202e}";
    assert!(page.contains(&format!("<bdi>{escaped}</bdi>")));
    assert!(page.contains(&format!(" of {escaped}\">End session</button>")));
    assert!(page.contains("<bdi>&lt;img src=x onerror=alert(2)&gt;</bdi>"));
    Ok(())
}

#[tokio::test]
async fn the_page_says_what_it_cannot_do() -> Result<(), SessionError> {
    let site = Site::new();
    let empty = site.page(View::Live, Index::Present).await;
    assert!(empty.contains("No operation was called"));
    assert!(empty.contains("Nobody has signed in yet"));
    site.sign_in("ann", "phone").await?;
    let page = site.page(View::Live, Index::Present).await;
    assert!(page.contains("These calls are not timed"));
    assert!(page.contains("<button"));
    let sealed = site.page(View::Live, Index::Absent).await;
    assert!(sealed.contains("live in their browsers"));
    assert!(!sealed.contains("<button"));
    Ok(())
}

#[test]
fn only_a_live_page_loads_itself_again() {
    let site = Site::new();
    let snapshot = site.recorder.snapshot(NOON);
    let live = page::page(&snapshot, View::Live, Index::Present).unwrap();
    let paused = page::page(&snapshot, View::Paused, Index::Present).unwrap();
    assert_eq!(live.headers()["refresh"], "5");
    assert!(!paused.headers().contains_key("refresh"));
    for page in [live, paused] {
        assert_eq!(page.headers()["cache-control"], "no-store");
        let policy = page.headers()["content-security-policy"].to_str().unwrap();
        assert!(
            policy.starts_with("default-src 'none'; style-src 'sha256-"),
            "{policy}"
        );
        assert!(!policy.contains("unsafe"), "{policy}");
    }
}
