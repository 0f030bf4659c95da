//! Sessions that are bound to a device, in Chromium, which makes the keys and the proofs.
//!
//! DEVICE_BOUND_RUNS says how often each test runs, to show that none depends on luck.

mod app;
mod site;

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::chromium::Browser;
use crate::guestbook::Guestbook;
use app::{Time, app, neighbour};
use site::{BOUND, Entry, SESSION, Site, trust};

/// Debian's Chromium binds sessions only with both features; the second makes keys without a TPM.
/// Without the parameter it refreshes six times in nine minutes at most.
const BINDS: &str = "--enable-features=DeviceBoundSessions:RefreshQuota/false,\
                     EnableBoundSessionCredentialsSoftwareKeysForManualTesting";

const REGISTERED: &str = "POST /dbsc/register 200";
const REFUSED: &str = "POST /dbsc/refresh 403";
const REFRESHED: &str = "POST /dbsc/refresh 200";
const PAGE: &str = "GET / 200";

/// The site of one test, and its time.
async fn site() -> (Site, Time) {
    let (app, time) = app(&[]);
    (Site::start(app).await, time)
}

/// A browser that can bind sessions.
async fn binding(site: &Site, name: &str) -> Browser {
    Browser::start_with(name, &[BINDS.to_owned(), site.trust()]).await
}

/// Runs a test as often as DEVICE_BOUND_RUNS says.
async fn repeat(test: impl AsyncFn()) {
    let runs = std::env::var("DEVICE_BOUND_RUNS").map_or(1, |runs| runs.parse().unwrap());
    for run in 1..=runs {
        let start = Instant::now();
        test().await;
        if runs > 1 {
            println!("run {run} of {runs}: {:?}", start.elapsed());
        }
    }
}

/// What a question finally answers. It is asked again until then.
async fn until<T>(what: &str, question: impl AsyncFn() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = question().await {
            return answer;
        }
        assert!(start.elapsed() < Duration::from_secs(20), "never: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The value of the bound cookie, which comes a moment after the answer to the sign-in.
async fn bound(browser: &Browser) -> String {
    until("the jar has the bound cookie", async || {
        let cookie = browser.cookie(BOUND).await?;
        Some(cookie.value().to_owned())
    })
    .await
}

/// A person with a browser, on a site.
struct Visitor<'a> {
    site: &'a Site,
    browser: Browser,
}

impl<'a> Visitor<'a> {
    /// Somebody whose browser binds sessions.
    async fn new(site: &'a Site, name: &str) -> Self {
        let browser = binding(site, name).await;
        Self { site, browser }
    }

    /// Who the server says that this is.
    async fn who(&self) -> String {
        self.browser.client.goto(&self.site.url("/")).await.unwrap();
        self.browser.text("#who").await
    }

    /// Signs in, by the form.
    async fn sign_in(&self) {
        assert_eq!(self.who().await, "nobody");
        self.browser.press("form[action='/sign-in'] button").await;
        assert_eq!(self.browser.text("#who").await, "Ada");
    }

    async fn bound(&self) -> String {
        bound(&self.browser).await
    }

    /// Signs in with a browser that binds the session, until a request without a proof is refused.
    async fn sign_in_bound(&self, time: &Time) {
        self.sign_in().await;
        self.bound().await;
        time.pass_grace();
    }

    /// Ends the bound cookie before its time, and says what its value was.
    async fn expire(&self) -> String {
        let value = self.bound().await;
        self.browser.client.delete_cookie(BOUND).await.unwrap();
        assert_eq!(self.browser.names().await, [SESSION]);
        value
    }
}

fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn shorts(log: &[Entry]) -> Vec<String> {
    log.iter().map(Entry::short).collect()
}

#[tokio::test]
async fn a_sign_in_is_bound() {
    repeat(async || {
        let (site, time) = site().await;
        let ada = Visitor::new(&site, "bound").await;
        ada.sign_in_bound(&time).await;
        assert_eq!(ada.browser.names().await, [SESSION, BOUND]);
        let cookie = ada.browser.cookie(BOUND).await.unwrap();
        let flags = (cookie.http_only(), cookie.secure(), cookie.path());
        assert_eq!(flags, (Some(true), Some(true), Some("/")));
        assert_eq!(ada.who().await, "Ada");
        let log = site.log(0);
        let devices = log.iter().filter(|entry| entry.path.starts_with("/dbsc/"));
        let devices: Vec<_> = devices.map(Entry::short).collect();
        assert_eq!(devices, [REGISTERED], "there was nothing to refresh");
    })
    .await;
}

#[tokio::test]
async fn a_request_waits_for_the_refresh() {
    repeat(async || {
        let (site, time) = site().await;
        let ada = Visitor::new(&site, "refresh").await;
        ada.sign_in_bound(&time).await;
        // The browser was given the first challenge together with the cookie. When it signs that
        // much later, it is given another one.
        for expected in [&[REFRESHED][..], &[REFUSED, REFRESHED], &[REFRESHED]] {
            if expected.len() == 2 {
                time.outlive_challenges();
            }
            let old = ada.expire().await;
            time.tick();
            let from = site.asked();
            assert_eq!(ada.who().await, "Ada");
            let new = ada.bound().await;
            assert_ne!(new, old);
            let log = site.log(from);
            assert_eq!(shorts(&log), [expected, &["GET / 200"]].concat());
            assert_eq!(log[expected.len()].bound, Some(new));
        }
    })
    .await;
}

#[tokio::test]
async fn six_requests_share_a_refresh() {
    let fetches = "const done = arguments[arguments.length - 1];\
        const ask = n => fetch('/who?' + n, {cache: 'no-store'}).then(a => a.text());\
        Promise.all([...Array(6).keys()].map(ask)).then(done, error => done([String(error)]))";
    repeat(async || {
        let (site, time) = site().await;
        let ada = Visitor::new(&site, "six").await;
        ada.sign_in_bound(&time).await;
        ada.expire().await;
        time.outlive_challenges();
        let from = site.asked();
        let client = &ada.browser.client;
        let seen = client.execute_async(fetches, Vec::new()).await.unwrap();
        assert_eq!(seen, Value::from(vec!["Ada"; 6]));
        let new = ada.bound().await;
        let log = site.log(from);
        assert_eq!(shorts(&log[..2]), [REFUSED, REFRESHED]);
        assert_eq!(shorts(&log[2..]), ["GET /who 200"; 6]);
        let mut bound = log[2..].iter().map(|entry| &entry.bound);
        assert!(bound.all(|bound| bound.as_ref() == Some(&new)));
    })
    .await;
}

#[tokio::test]
async fn a_copy_of_the_session_cookie_opens_nothing() {
    repeat(async || {
        let (site, time) = site().await;
        let ada = Visitor::new(&site, "owner").await;
        let thief = Visitor::new(&site, "thief").await;
        ada.sign_in_bound(&time).await;
        let token = ada.browser.cookie(SESSION).await.unwrap();
        let token = token.value();

        assert_eq!(thief.who().await, "nobody");
        thief.browser.plant(&site.url("/"), SESSION, token).await;
        let from = site.asked();
        assert_eq!(thief.who().await, "nobody");
        let log = site.log(from);
        assert_eq!(shorts(&log), ["GET / 200"]);
        assert_eq!(log[0].session.as_deref(), Some(token), "it was sent");
        assert!(log[0].answer.is_empty(), "and is neither removed nor bound");

        assert_eq!(ada.who().await, "Ada");
        ada.expire().await;
        assert_eq!(ada.who().await, "Ada");
        assert_eq!(thief.who().await, "nobody");
    })
    .await;
}

/// A page of another origin must not learn by the time that an answer takes whether somebody is
/// signed in here. So the browser proves the device only for those that the site lists.
#[tokio::test]
async fn a_link_of_another_origin_proves_the_device_if_the_site_says_so() {
    repeat(async || {
        for listed in [false, true] {
            let initiators: &[&str] = if listed { &["localhost"] } else { &[] };
            let (app, time) = app(initiators);
            let site = Site::start(app).await;
            let other = Site::start(neighbour(&site.url("/"))).await;
            let flags = [BINDS.to_owned(), site.trust_with(&other)];
            let browser = Browser::start_with("neighbour", &flags).await;
            let ada = Visitor {
                site: &site,
                browser,
            };
            ada.sign_in_bound(&time).await;
            ada.expire().await;
            let client = &ada.browser.client;
            client.goto(&other.url("/")).await.unwrap();
            let from = site.asked();
            ada.browser.press("#link").await;
            let seen = ada.browser.text("#who").await;
            let log = shorts(&site.log(from));
            match listed {
                true => assert_eq!((&*seen, log), ("Ada", strings(&[REFRESHED, PAGE]))),
                false => {
                    assert_eq!((&*seen, log), ("nobody", strings(&[PAGE])));
                    // The cookies stay, and the page may load itself.
                    assert_eq!(ada.browser.names().await, [SESSION]);
                    client
                        .execute("location.replace('/')", vec![])
                        .await
                        .unwrap();
                    ada.bound().await;
                    until("the page is hers", async || {
                        (ada.browser.text("#who").await == "Ada").then_some(())
                    })
                    .await;
                    let log = shorts(&site.log(from + 1));
                    assert_eq!(log, [REFRESHED, PAGE]);
                    // A form of that page signs nobody out. Where it leads is not proved either.
                    ada.expire().await;
                    client.goto(&other.url("/")).await.unwrap();
                    let from = site.asked();
                    ada.browser.press("form button").await;
                    assert_eq!(ada.browser.text("#who").await, "nobody");
                    let log = shorts(&site.log(from));
                    assert_eq!(log, ["POST /sign-out 303", PAGE]);
                    assert_eq!(ada.who().await, "Ada");
                }
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_sign_out_removes_both_cookies() {
    repeat(async || {
        let (site, time) = site().await;
        let ada = Visitor::new(&site, "sign-out").await;
        // She can come back.
        for _ in 0..2 {
            ada.sign_in_bound(&time).await;
            ada.expire().await;
            assert_eq!(ada.who().await, "Ada");
            ada.browser.press("form[action='/sign-out'] button").await;
            assert_eq!(ada.browser.text("#who").await, "nobody");
            assert!(ada.browser.names().await.is_empty());
            assert_eq!(ada.who().await, "nobody");
            assert!(ada.browser.names().await.is_empty());
        }
    })
    .await;
}

#[tokio::test]
async fn a_browser_that_cannot_bind_notices_nothing() {
    repeat(async || {
        let (site, time) = site().await;
        let browser = Browser::start_with("unbound", &[site.trust()]).await;
        let ada = Visitor {
            site: &site,
            browser,
        };
        ada.sign_in().await;
        for _ in 0..3 {
            time.pass_grace();
            assert_eq!(ada.who().await, "Ada");
        }
        assert_eq!(ada.browser.names().await, [SESSION]);
        ada.browser.press("form[action='/sign-out'] button").await;
        assert_eq!(ada.browser.text("#who").await, "nobody");
        assert!(ada.browser.names().await.is_empty());
        let log = site.log(0);
        assert!(log.iter().all(|entry| !entry.path.starts_with("/dbsc/")));
    })
    .await;
}

/// The example, whose pages have a policy that allows nothing but forms.
#[tokio::test]
async fn the_guestbook_shows_what_is_bound() {
    repeat(async || {
        let guestbook = Guestbook::start(&["--bind"]).await;
        let url = |path| format!("https://localhost:{}{path}", guestbook.address.port());
        let trust = trust(guestbook.key.as_deref().unwrap());
        let browser = Browser::start_with("guestbook-bound", &[BINDS.to_owned(), trust]).await;
        browser.client.goto(&url("/")).await.unwrap();
        browser.fill("form[action='/sign-in']", "name", "Ada").await;
        let first = bound(&browser).await;
        for _ in 0..2 {
            browser.client.goto(&url("/sessions")).await.unwrap();
            let rows = browser.rows().await;
            assert!(rows[0].contains("bound to its device"), "{rows:?}");
            browser.photograph("bound").await;
            browser.client.delete_cookie(BOUND).await.unwrap();
        }
        browser.client.goto(&url("/")).await.unwrap();
        assert_eq!(browser.text("#who strong").await, "Ada");
        assert_ne!(bound(&browser).await, first);
        browser.press("form[action='/sign-out'] button").await;
        assert_eq!(browser.text("#who").await, "Not signed in");
        assert_eq!(browser.names().await, [SESSION]);
    })
    .await;
}
