//! What a browser makes of what we send.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::Path;
use axum::response::Html;
use axum::routing::{any, get};
use fantoccini::Locator;
use serde_json::Value;
use session_http::axum::CurrentSession;
use session_http::cookie::CookieStore;
use session_http::{Error, KeyRing, Lifetime, MemoryStore, Rotation, SessionLayer};

use crate::chromium::Browser;
use crate::guestbook::Guestbook;
use crate::server::listen;

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
    assert_eq!(
        (cookie.http_only(), cookie.secure()),
        (Some(true), Some(true))
    );
    assert_eq!(format!("{:?}", cookie.same_site()), "Some(Lax)");
    assert_eq!(
        (cookie.path(), cookie.expires()),
        (Some("/"), None),
        "it ends with the browser"
    );
    assert_eq!(cookie.value().len(), 43);
    assert_eq!(browser.script("return document.cookie").await, "");

    browser
        .fill(
            "form[action='/entries']",
            "entry",
            "It works in a real browser.",
        )
        .await;
    assert_eq!(
        browser.text("#entries li").await,
        "It works in a real browser."
    );
    browser.fill("form[action='/sign-in']", "name", "Ada").await;
    assert_eq!(browser.text("#who strong").await, "Ada");
    browser.photograph("signed-in").await;
    let member = browser.cookie("__Host-id").await.unwrap();
    assert_ne!(member.value(), cookie.value(), "a new token");
    assert_eq!(
        browser.text("#entries li").await,
        "It works in a real browser."
    );

    browser.press("form[action='/sign-out'] button").await;
    assert_eq!(browser.text("#who").await, "Not signed in");
    assert_eq!(
        browser.text("#visits").await,
        "1",
        "the page after it begins a new session"
    );
    assert_ne!(
        browser.cookie("__Host-id").await.unwrap().value(),
        member.value()
    );
    browser.photograph("signed-out").await;
    for (path, title, name) in [
        ("/nowhere", "There is no such page", "nowhere"),
        ("/entries", "Not this way", "not-this-way"),
    ] {
        browser.go(at, path).await;
        assert_eq!(browser.text("h1").await, title);
        browser.photograph(name).await;
    }
    browser.press("a").await;
    assert_eq!(browser.text("#visits").await, "2");
}

/// Two profiles of one person, each signing the other out.
#[tokio::test]
async fn the_sessions_of_one_person() {
    let guestbook = Guestbook::start(&[]).await;
    let at = guestbook.address;
    let (laptop, phone) = tokio::join!(Browser::start("laptop"), Browser::start("phone"));
    for browser in [&laptop, &phone] {
        browser.sign_in(at, "Ada").await;
    }
    laptop.press("a[href='/sessions']").await;
    let rows = laptop.rows().await;
    assert_eq!(rows.len(), 2, "{rows:?}");
    assert!(
        rows.iter().all(|row| row.starts_with("Chrome on Linux")),
        "{rows:?}"
    );
    assert_eq!(
        rows.iter().filter(|row| row.contains("this one")).count(),
        1
    );
    laptop.photograph("sessions").await;

    let held = phone.cookie("__Host-id").await.unwrap();
    laptop
        .press("form[action='/sessions/revoke-others'] button")
        .await;
    assert_eq!(laptop.text("#notice").await, "Signed out 1 other session.");
    assert_eq!(laptop.rows().await.len(), 1);
    laptop.photograph("signed-out-others").await;
    // Its jar knows nothing of that, and its very next request finds out.
    assert_eq!(
        phone.cookie("__Host-id").await.unwrap().value(),
        held.value()
    );
    phone.go(at, "/sessions").await;
    assert_eq!(phone.text("h1").await, "You are not signed in");
    phone.photograph("not-signed-in").await;

    // The other way round, by the button of one row.
    phone.sign_in(at, "Ada").await;
    assert_ne!(
        phone.cookie("__Host-id").await.unwrap().value(),
        held.value()
    );
    phone.go(at, "/sessions").await;
    let other = "return [...document.querySelectorAll('#sessions tbody tr')]\
                 .findIndex(row => !row.textContent.includes('this one'))";
    let other = phone.script(other).await.as_u64().unwrap() + 1;
    phone
        .press(&format!("#sessions tbody tr:nth-child({other}) button"))
        .await;
    assert_eq!(phone.text("#notice").await, "Signed out 1 other session.");
    laptop.go(at, "/").await;
    assert_eq!(laptop.text("#who").await, "Not signed in");

    // Her own row, and with that she is out everywhere.
    phone.press("#sessions tbody tr button").await;
    assert_eq!(phone.text("#who").await, "Not signed in");
}

#[tokio::test]
async fn forms_that_are_not_ours() {
    let guestbook = Guestbook::start(&[]).await;
    let at = guestbook.address;
    let browser = Browser::start("forms").await;
    browser.sign_in(at, "Ada").await;
    let held = browser.cookie("__Host-id").await.unwrap();
    for change in ["remove()", "value = 'A'.repeat(43)"] {
        browser.go(at, "/").await;
        let script = format!(
            "document.querySelector(\"form[action='/entries'] input[name=csrf]\").{change}"
        );
        browser.script(&script).await;
        browser
            .fill("form[action='/entries']", "entry", "forged")
            .await;
        assert_eq!(
            browser.text("h1").await,
            "This page is out of date",
            "{change}"
        );
    }
    browser.photograph("forbidden").await;

    // From another site, whose form brings no cookie; and from another port, which to cookies is
    // the same site.
    let form = format!(
        "<form method=post action=http://localhost:{}/entries><input name=entry value=forged>\
         <input name=csrf value={}><button>go</button></form>",
        at.port(),
        "A".repeat(43)
    );
    let evil = serve(Router::new().route("/", get(|| async { Html(form) }))).await;
    for host in ["127.0.0.1", "localhost"] {
        let url = format!("http://{host}:{}/", evil.port());
        browser.client.goto(&url).await.unwrap();
        browser.press("button").await;
        assert_eq!(
            browser.text("h1").await,
            "This page is out of date",
            "{host}"
        );
    }
    browser.go(at, "/").await;
    assert_eq!(browser.text("#who strong").await, "Ada");
    assert!(browser.client.find(Locator::Css("#entries")).await.is_err());
    assert_eq!(
        browser.cookie("__Host-id").await.unwrap().value(),
        held.value()
    );
}

/// A page that asks for much at once, at the moment when its token rotates.
#[tokio::test]
async fn twenty_fetches_while_the_token_rotates() {
    let guestbook = Guestbook::start(&["--rotate", "1"]).await;
    let at = guestbook.address;
    let browser = Browser::start("rotation").await;
    browser.sign_in(at, "Ada").await;
    browser.bypass_policy().await;
    browser.go(at, "/").await;
    let mut held = vec![
        browser
            .cookie("__Host-id")
            .await
            .unwrap()
            .value()
            .to_owned(),
    ];
    let fetches = "const done = arguments[arguments.length - 1];\
        const ask = n => fetch('/session.json?' + n, {cache: 'no-store'})\
            .then(a => a.json()).then(a => a.principal);\
        Promise.all([...Array(20).keys()].map(ask)).then(done, error => done([String(error)]))";
    for round in 0..4 {
        tokio::time::sleep(Duration::from_millis(1100)).await;
        let seen = browser
            .client
            .execute_async(fetches, Vec::new())
            .await
            .unwrap();
        assert_eq!(seen, Value::from(vec!["user:Ada"; 20]), "round {round}");
        let now = browser
            .cookie("__Host-id")
            .await
            .unwrap()
            .value()
            .to_owned();
        assert!(!held.contains(&now), "round {round}: the token has rotated");
        held.push(now);
    }
    browser.go(at, "/sessions").await;
    assert_eq!(
        browser.rows().await.len(),
        1,
        "one session, and the jar opens it"
    );
    assert_eq!(browser.names().await, ["__Host-id"]);
}

/// Every attribute, and the value that was sent last.
#[tokio::test]
async fn the_jar_holds_what_was_sent() {
    let sent: Arc<Mutex<Vec<String>>> = Arc::default();
    let seen = Arc::clone(&sent);
    let rotation = Rotation::every(Duration::from_secs(1));
    let lifetime = Lifetime::default().persistent();
    let layer = SessionLayer::builder(MemoryStore::new())
        .lifetime(lifetime)
        .rotation(rotation);
    let app = app(layer.build().unwrap()).layer(axum::middleware::map_response(
        move |response: axum::response::Response| {
            let cookies = response.headers().get_all("set-cookie").iter();
            let cookies = cookies.map(|cookie| cookie.to_str().unwrap().to_owned());
            seen.lock().unwrap().extend(cookies);
            async { response }
        },
    ));
    let at = serve(app).await;
    let browser = Browser::start("jar").await;
    browser.go(at, "/fill/10").await;
    for round in 1..4 {
        let last = {
            let sent = sent.lock().unwrap();
            assert_eq!(sent.len(), round, "{sent:?}");
            sent[round - 1].clone()
        };
        let (pair, attributes) = last.split_once("; ").unwrap();
        let cookie = browser.cookie("__Host-id").await.unwrap();
        assert_eq!(pair, format!("{}={}", cookie.name(), cookie.value()));
        let (flags, age) = attributes.rsplit_once("; Max-Age=").unwrap();
        assert_eq!(flags, "HttpOnly; SameSite=Lax; Secure; Path=/");
        let held = (cookie.http_only(), cookie.secure(), cookie.path());
        assert_eq!(held, (Some(true), Some(true), Some("/")));
        assert_eq!(format!("{:?}", cookie.same_site()), "Some(Lax)");
        let expires = cookie.expires_datetime().unwrap().unix_timestamp();
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap();
        let left = expires - i64::try_from(now.as_secs()).unwrap();
        let age: i64 = age.parse().unwrap();
        assert!((age - 60..=age + 1).contains(&left), "{left} of {age}");
        tokio::time::sleep(Duration::from_millis(1100)).await;
        browser.go(at, "/read").await;
        assert_eq!(browser.text("body").await, "10");
    }
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
            any(|session: CurrentSession| async move {
                if session.is_new() {
                    "stranger"
                } else {
                    "known"
                }
            }),
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
                (
                    [("set-cookie", format!("planted={value}; Path=/"))],
                    "planted",
                )
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
    assert_eq!(
        browser.names().await,
        ["__Host-id", "__Host-id~1", "__Host-id~2"]
    );
    browser.go(at, "/read").await;
    assert_eq!(browser.text("body").await, "7000");
    assert_eq!(browser.script("return document.cookie").await, "");
    browser.go(at, "/fill/100").await;
    assert_eq!(
        browser.names().await,
        ["__Host-id"],
        "what is left over is gone"
    );
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
        browser
            .client
            .goto(&format!("http://{evil}/"))
            .await
            .unwrap();
        browser.press(element).await;
        browser
            .client
            .wait()
            .for_url(
                &format!("http://localhost:{}/who", at.port())
                    .parse()
                    .unwrap(),
            )
            .await
            .unwrap();
        assert_eq!(
            browser.text("body").await,
            expected,
            "{element}: SameSite=Lax"
        );
    }
    browser.go(at, "/who").await;
    assert_eq!(browser.text("body").await, "known", "and it is still there");
}
