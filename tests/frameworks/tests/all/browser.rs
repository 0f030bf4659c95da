//! Chromium, headless, driven through chromedriver: what a browser makes of what we send.
//!
//! With SCREENSHOTS, a directory, each page is photographed.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use axum::Router;
use axum::extract::Path;
use axum::response::Html;
use axum::routing::{any, get};
use fantoccini::{Client, ClientBuilder, Locator};
use serde_json::{Value, json};
use session_http::axum::CurrentSession;
use session_http::cookie::CookieStore;
use session_http::core::{KeyRing, Lifetime, MemoryStore};
use session_http::{Error, SessionLayer};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::guestbook::Guestbook;
use crate::server::listen;

/// One profile of a browser, empty at first.
struct Browser {
    client: Client,
    _driver: Child,
    /// Where the driver is, and what it calls this session of ours.
    driven: (u16, String),
    profile: PathBuf,
}

impl Drop for Browser {
    /// The driver ends the browser; without it, and be it after a panic, the browser would stay.
    fn drop(&mut self) {
        let (port, session) = &self.driven;
        let ended = TcpStream::connect(("127.0.0.1", *port)).and_then(|mut driver| {
            driver.set_read_timeout(Some(Duration::from_secs(10)))?;
            write!(
                driver,
                "DELETE /session/{session} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
            )?;
            driver.read(&mut [0; 256])
        });
        drop(ended);
        let _ = std::fs::remove_dir_all(&self.profile);
    }
}

impl Browser {
    async fn start(name: &str) -> Self {
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("chromedriver is needed: Debian's package chromium-driver");
        let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines();
        let port: u16 = loop {
            let line = lines.next_line().await.unwrap().expect("it starts");
            if let Some((_, port)) = line.split_once("successfully on port ") {
                break port.trim_end_matches('.').parse().unwrap();
            }
        };
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let profile = std::env::temp_dir().join(format!("browser-{name}-{}-{port}", std::process::id()));
        std::fs::create_dir_all(&profile).unwrap();
        let data = format!("--user-data-dir={}", profile.display());
        let options = json!({ "args": [
            "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            "--window-size=900,700", data,
        ]});
        let capabilities = [("goog:chromeOptions".to_owned(), options)].into_iter().collect();
        let connector = hyper_util::client::legacy::connect::HttpConnector::new();
        let client = ClientBuilder::new(connector)
            .capabilities(capabilities)
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .unwrap();
        let session = client.session_id().await.unwrap().unwrap();
        Self {
            client,
            _driver: driver,
            driven: (port, session),
            profile,
        }
    }

    async fn go(&self, at: SocketAddr, path: &str) {
        // By name: only so is it a secure context whose cookies are of another site than those of 127.0.0.1.
        let url = format!("http://localhost:{}{path}", at.port());
        self.client.goto(&url).await.unwrap();
    }

    async fn text(&self, css: &str) -> String {
        let element = self.client.wait().for_element(Locator::Css(css)).await;
        element.unwrap().text().await.unwrap()
    }

    async fn fill(&self, form: &str, field: &str, value: &str) {
        let css = format!("{form} input[name={field}]");
        let input = self.client.find(Locator::Css(&css)).await.unwrap();
        input.send_keys(value).await.unwrap();
        self.press(&format!("{form} button")).await;
    }

    /// Clicks, and waits until another page is there.
    async fn press(&self, css: &str) {
        let page = self.client.find(Locator::Css("html")).await.unwrap();
        self.client
            .find(Locator::Css(css))
            .await
            .unwrap()
            .click()
            .await
            .unwrap();
        for _ in 0..500 {
            if page.tag_name().await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{css} leads nowhere");
    }

    /// What the jar holds of this name.
    async fn cookie(&self, name: &str) -> Option<fantoccini::cookies::Cookie<'static>> {
        let all = self.client.get_all_cookies().await.unwrap();
        all.into_iter().find(|cookie| cookie.name() == name)
    }

    async fn names(&self) -> Vec<String> {
        let all = self.client.get_all_cookies().await.unwrap();
        let mut names: Vec<_> = all.iter().map(|cookie| cookie.name().to_owned()).collect();
        names.sort();
        names
    }

    async fn script(&self, script: &str) -> Value {
        self.client.execute(script, Vec::new()).await.unwrap()
    }

    async fn photograph(&self, name: &str) {
        if let Some(dir) = std::env::var_os("SCREENSHOTS") {
            let png = self.client.screenshot().await.unwrap();
            std::fs::write(PathBuf::from(dir).join(format!("{name}.png")), png).unwrap();
        }
    }
}

#[tokio::test]
async fn the_guestbook() {
    let guestbook = Guestbook::start(&[]).await;
    let at = guestbook.address;
    let browser = Browser::start("guestbook").await;
    for visits in ["1", "2", "3"] {
        browser.go(at, "/").await;
        assert_eq!(browser.text("#visits").await, visits);
    }
    browser.photograph("anonymous").await;

    let cookie = browser.cookie("__Host-id").await.unwrap();
    assert_eq!((cookie.http_only(), cookie.secure()), (Some(true), Some(true)));
    assert_eq!(format!("{:?}", cookie.same_site()), "Some(Lax)");
    assert_eq!(
        (cookie.path(), cookie.expires()),
        (Some("/"), None),
        "it ends with the browser"
    );
    assert_eq!(cookie.value().len(), 43);
    assert_eq!(browser.script("return document.cookie").await, "");

    browser
        .fill("form[action='/entries']", "entry", "It works in a real browser.")
        .await;
    assert_eq!(browser.text("#entries li").await, "It works in a real browser.");
    browser.fill("form[action='/sign-in']", "name", "Ada").await;
    assert_eq!(browser.text("#who strong").await, "Ada");
    browser.photograph("signed-in").await;
    let member = browser.cookie("__Host-id").await.unwrap();
    assert_ne!(member.value(), cookie.value(), "a new token");
    assert_eq!(browser.text("#entries li").await, "It works in a real browser.");

    browser.press("form[action='/sign-out'] button").await;
    assert_eq!(browser.text("#who").await, "Not signed in");
    assert_eq!(
        browser.text("#visits").await,
        "1",
        "the page after it begins a new session"
    );
    assert_ne!(browser.cookie("__Host-id").await.unwrap().value(), member.value());
    browser.photograph("signed-out").await;
    browser.go(at, "/nowhere").await;
    browser.photograph("nowhere").await;
}

#[tokio::test]
async fn a_page_while_the_store_is_down() {
    let guestbook = Guestbook::start(&["--store", "failing"]).await;
    let browser = Browser::start("failing").await;
    browser.go(guestbook.address, "/").await;
    assert_eq!(browser.text("h1").await, "Back in a moment");
    browser.photograph("unavailable").await;
    assert!(browser.names().await.is_empty());
}

/// What the tests below are about: who asks, and a session to fill and to end.
fn app(sessions: SessionLayer) -> Router {
    Router::new()
        .route(
            "/who",
            any(|session: CurrentSession| async move { if session.is_new() { "stranger" } else { "known" } }),
        )
        .route(
            "/fill/{bytes}",
            get(|session: CurrentSession, bytes: Path<usize>| async move {
                session.insert("text", "x".repeat(*bytes))?;
                Ok::<_, Error>("filled")
            }),
        )
        .route(
            "/read",
            get(|session: CurrentSession| async move {
                Ok::<_, Error>(
                    session
                        .get::<String>("text")?
                        .unwrap_or_default()
                        .len()
                        .to_string(),
                )
            }),
        )
        .route(
            "/end",
            get(|session: CurrentSession| async move {
                session.destroy()?;
                Ok::<_, Error>("ended")
            }),
        )
        .layer(sessions)
        // Outside of the layer: a cookie as large as the path says, name and value together.
        .route(
            "/plant/{bytes}",
            get(|bytes: Path<usize>| async move {
                let value = "v".repeat(*bytes - "planted".len());
                ([("set-cookie", format!("planted={value}; Path=/"))], "planted")
            }),
        )
}

async fn serve(app: Router) -> SocketAddr {
    let (listener, address) = listen().await;
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

#[tokio::test]
async fn lifetimes_and_removal() {
    let lifetime = Lifetime::default().persistent();
    let layer = SessionLayer::builder(MemoryStore::new())
        .lifetime(lifetime)
        .build()
        .unwrap();
    let at = serve(app(layer)).await;
    let browser = Browser::start("lifetimes").await;
    browser.go(at, "/fill/10").await;
    let cookie = browser.cookie("__Host-id").await.unwrap();
    let expires = cookie.expires_datetime().unwrap().unix_timestamp();
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    let left = expires - i64::try_from(now.as_secs()).unwrap();
    let idle = i64::try_from(lifetime.idle().as_secs()).unwrap();
    assert!((idle - 60..=idle + 1).contains(&left), "{left} of {idle}");
    browser.go(at, "/end").await;
    assert!(browser.names().await.is_empty());
    browser.go(at, "/who").await;
    assert_eq!(browser.text("body").await, "stranger");
}

#[tokio::test]
async fn a_session_over_several_cookies() {
    let store = CookieStore::encrypted(KeyRing::generate().unwrap())
        .with_chunks(3)
        .unwrap();
    let at = serve(app(SessionLayer::new(store))).await;
    let browser = Browser::start("chunks").await;
    browser.go(at, "/fill/7000").await;
    assert_eq!(browser.text("body").await, "filled");
    assert_eq!(browser.names().await, ["__Host-id", "__Host-id-1", "__Host-id-2"]);
    browser.go(at, "/read").await;
    assert_eq!(browser.text("body").await, "7000");
    assert_eq!(browser.script("return document.cookie").await, "");
    browser.go(at, "/fill/100").await;
    assert_eq!(browser.names().await, ["__Host-id"], "what is left over is gone");
    browser.go(at, "/end").await;
    assert!(browser.names().await.is_empty());
}

#[tokio::test]
async fn a_cookie_of_4096_octets_and_one_more() {
    let at = serve(app(SessionLayer::new(MemoryStore::new()))).await;
    let browser = Browser::start("sizes").await;
    browser.go(at, "/plant/4096").await;
    assert_eq!(browser.names().await, ["planted"]);
    browser.client.delete_all_cookies().await.unwrap();
    browser.go(at, "/plant/4097").await;
    assert!(
        browser.names().await.is_empty(),
        "a browser drops it without a word, so we never send one"
    );

    // The largest session that is ours to send is kept, and read again.
    let store = CookieStore::encrypted(KeyRing::generate().unwrap());
    let at = serve(app(SessionLayer::new(store))).await;
    let (mut fits, mut not) = (1, 4096);
    while not - fits > 1 {
        let middle = (fits + not) / 2;
        browser.client.delete_all_cookies().await.unwrap();
        browser.go(at, &format!("/fill/{middle}")).await;
        match &*browser.text("body").await {
            "filled" => fits = middle,
            _ => not = middle,
        }
    }
    browser.client.delete_all_cookies().await.unwrap();
    browser.go(at, &format!("/fill/{fits}")).await;
    let cookie = browser.cookie("__Host-id").await.unwrap();
    let size = cookie.name().len() + cookie.value().len();
    assert!((3900..=4096).contains(&size), "{size}");
    browser.go(at, "/read").await;
    assert_eq!(browser.text("body").await, fits.to_string());
}

#[tokio::test]
async fn a_post_from_another_site_does_not_carry_the_cookie() {
    let at = serve(app(SessionLayer::new(MemoryStore::new()))).await;
    let form = format!(
        "<form id=post method=post action=http://localhost:{0}/who><button>go</button></form>\
         <a id=link href=http://localhost:{0}/who>go</a>",
        at.port()
    );
    let evil = serve(Router::new().route("/", get(|| async { Html(form) }))).await;
    let browser = Browser::start("other-site").await;
    browser.go(at, "/fill/10").await;
    browser.go(at, "/who").await;
    assert_eq!(browser.text("body").await, "known");
    for (element, expected) in [("#post button", "stranger"), ("#link", "known")] {
        browser.client.goto(&format!("http://{evil}/")).await.unwrap();
        browser.press(element).await;
        browser
            .client
            .wait()
            .for_url(&format!("http://localhost:{}/who", at.port()).parse().unwrap())
            .await
            .unwrap();
        assert_eq!(browser.text("body").await, expected, "{element}: SameSite=Lax");
    }
    browser.go(at, "/who").await;
    assert_eq!(browser.text("body").await, "known", "and it is still there");
}
