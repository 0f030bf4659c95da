//! What tests of handlers are given: clients, a clock, and a store that fails on demand.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::time::Duration;

use http::{Request, Response, StatusCode};
use session_core::store::StoreError;
use session_http::cookie::CookieStore;
use session_http::testing::{StoreFault, TestClient, TestSessions, TestStore};
use session_http::{
    Codec, CookieConfig, Error, HeaderConfig, KeyRing, Lifetime, OnReuse, Rotation, SessionError,
    SessionExt, SessionLayer, SessionManager, with_session,
};
use tower::{Service, service_fn};

const HEADER: &str = "x-session-token";
const HOUR: Duration = Duration::from_secs(3600);

fn plain() -> Request<()> {
    Request::new(())
}

async fn visit<B>(request: Request<B>) -> Result<Response<String>, Error> {
    let session = request.session().await?;
    let visits = session.update("visits", |visits: Option<u32>| visits.unwrap_or(0) + 1)?;
    Ok(Response::new(visits.to_string()))
}

async fn visits(client: &TestClient) -> Option<u32> {
    client.session().await.unwrap().get("visits").unwrap()
}

/// A request's only header of this name.
fn header(request: &Request<()>, name: &str) -> Option<String> {
    let values: Vec<_> = request.headers().get_all(name).iter().collect();
    assert!(values.len() <= 1);
    values
        .first()
        .map(|value| value.to_str().unwrap().to_owned())
}

fn is_unavailable(error: &Error) -> bool {
    matches!(
        error,
        Error::Session(SessionError::Store(StoreError::Unavailable(_)))
    )
}

fn is_unknown(error: &Error) -> bool {
    matches!(
        error,
        Error::Session(SessionError::Store(StoreError::OutcomeUnknown(_)))
    )
}

#[tokio::test]
async fn a_browser_comes_back_with_its_cookie() {
    let sessions = TestSessions::default();
    let mut service = sessions.layer().layer(service_fn(visit));
    let browser = sessions.client();
    assert_eq!(browser.token(), None);
    assert_eq!(header(&browser.request(plain()), "cookie"), None);
    for expected in ["1", "2", "3"] {
        let response = browser.call(&mut service, plain()).await.unwrap();
        assert_eq!(response.body(), expected);
    }
    let token = browser.token().unwrap();
    let cookie = header(&browser.request(plain()), "cookie");
    assert_eq!(cookie.unwrap(), format!("__Host-id={token}"));
    assert_eq!(visits(&browser).await, Some(3));
    // Another one is somebody else, and a clone has the same cookie.
    assert_eq!(visits(&sessions.client()).await, None);
    assert_eq!(visits(&browser.clone()).await, Some(3));
}

#[tokio::test]
async fn cookies_of_others_are_kept_beside_and_removed_by_name() {
    let sessions = TestSessions::new();
    let mut answers = service_fn(async |request: Request<()>| {
        let mut response = Response::new(());
        let cookies: &[&str] = match request.uri().path() {
            "/set" => &[
                "theme=dark; Path=/",
                "short=1; Max-Age=60",
                "no cookie",
                "dated=1; Expires=Tue, 14 Nov 2023 22:15:00 GMT",
                "both=1; Max-Age=10; Expires=Tue, 14 Nov 2033 22:15:00 GMT",
            ],
            "/remove" => &[
                "theme=; Max-Age=0",
                "dated=; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
            ],
            _ => &["theme=light"],
        };
        for cookie in cookies {
            let value = cookie.parse().unwrap();
            response.headers_mut().append("set-cookie", value);
        }
        Ok::<_, Error>(response)
    });
    let browser = sessions.client();
    let mut ask = async |path: &str| {
        let request = Request::get(path).body(()).unwrap();
        browser.call(&mut answers, request).await.unwrap();
        header(&browser.request(plain()), "cookie").unwrap_or_default()
    };
    assert_eq!(ask("/set").await, "both=1; dated=1; short=1; theme=dark");
    assert_eq!(ask("/other").await, "both=1; dated=1; short=1; theme=light");
    assert_eq!(ask("/remove").await, "both=1; short=1");
    sessions.advance(Duration::from_secs(10));
    let cookies = header(&browser.request(plain()), "cookie");
    assert_eq!(cookies.unwrap(), "short=1");
    sessions.advance(Duration::from_secs(50));
    assert_eq!(header(&browser.request(plain()), "cookie"), None);
    // A cookie of the request itself stays.
    browser.receive(
        &Response::builder()
            .header("set-cookie", "a=1")
            .body(())
            .unwrap(),
    );
    let request = Request::builder().header("cookie", "b=2").body(()).unwrap();
    assert_eq!(
        header(&browser.request(request), "cookie").unwrap(),
        "b=2; a=1"
    );
}

#[tokio::test]
async fn who_signs_out_has_no_cookie() {
    let sessions = TestSessions::new();
    let ann = sessions.signed_in("user:ann").await.unwrap();
    assert_eq!(
        ann.session().await.unwrap().principal().as_deref(),
        Some("user:ann")
    );
    ann.change(|session| session.destroy()).await.unwrap();
    assert_eq!(ann.token(), None);
    assert_eq!(header(&ann.request(plain()), "cookie"), None);
    assert!(
        sessions
            .manager()
            .sessions_of("user:ann")
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn an_app_has_its_token_in_the_header() {
    let sessions = TestSessions::with(|settings| settings.header(HeaderConfig::default())).unwrap();
    let mut service = sessions.layer().layer(service_fn(visit));
    let app = sessions.client();
    assert_eq!(header(&app.request(plain()), HEADER).unwrap(), "");
    app.call(&mut service, plain()).await.unwrap();
    app.call(&mut service, plain()).await.unwrap();
    assert_eq!(visits(&app).await, Some(2));
    assert_eq!(header(&app.request(plain()), HEADER), app.token());
    let request = Request::builder().header(HEADER, "own").body(()).unwrap();
    assert_eq!(header(&app.request(request), HEADER).unwrap(), "own");
    app.change(|session| session.destroy()).await.unwrap();
    assert_eq!(app.token(), None);
}

#[tokio::test]
async fn a_browser_and_an_app_of_one_layer() {
    let sessions = TestSessions::with(|settings| {
        let settings = settings.cookie(CookieConfig::default());
        settings.header(HeaderConfig::default())
    });
    let sessions = sessions.unwrap();
    let mut service = sessions.layer().layer(service_fn(visit));
    let (browser, app) = (sessions.client(), sessions.client().by_header());
    for client in [&browser, &app] {
        client.call(&mut service, plain()).await.unwrap();
        client.call(&mut service, plain()).await.unwrap();
        assert_eq!(visits(client).await, Some(2));
    }
    assert_ne!(browser.token(), app.token());
    assert!(header(&browser.request(plain()), HEADER).is_none());
    assert!(header(&app.request(plain()), "cookie").is_none());
    // Without a header there is nothing but cookies.
    let sessions = TestSessions::new();
    let browser = sessions.client().by_header();
    browser
        .change(|session| session.sign_in("user:ann"))
        .await
        .unwrap();
    assert!(header(&browser.request(plain()), "cookie").is_some());
}

#[tokio::test]
async fn to_look_is_no_request() {
    let sessions = TestSessions::with(|settings| settings.rotation(Rotation::hourly())).unwrap();
    let ann = sessions.signed_in("user:ann").await.unwrap();
    ann.change(|session| session.flash("notice", "Welcome."))
        .await
        .unwrap();
    let (token, seen) = (ann.token(), sessions.manager().now());
    sessions.advance(HOUR);
    for _ in 0..2 {
        let session = ann.session().await.unwrap();
        let notice: Option<String> = session.flashed("notice").unwrap();
        assert_eq!(notice.as_deref(), Some("Welcome."));
        assert!(matches!(session.renew(), Err(SessionError::Detached)));
    }
    assert_eq!(ann.token(), token);
    let infos = sessions.manager().sessions_of("user:ann").await.unwrap();
    assert_eq!(infos[0].last_seen(), seen);

    // A request is activity, uses it up, and is given the next token of the same session.
    let id = ann.session().await.unwrap().id();
    let read = |session: &session_http::Session| session.flashed::<String>("notice");
    assert!(ann.change(read).await.unwrap().is_some());
    assert!(ann.change(read).await.unwrap().is_none());
    assert_ne!(ann.token(), token);
    assert_eq!(ann.session().await.unwrap().id(), id);
    let infos = sessions.manager().sessions_of("user:ann").await.unwrap();
    assert_eq!(infos[0].last_seen(), seen + HOUR);
}

#[tokio::test]
async fn a_change_that_fails_saves_nothing() {
    let sessions = TestSessions::new();
    let ann = sessions.signed_in("user:ann").await.unwrap();
    let failed = ann.change(|session| {
        session.insert("visits", 7)?;
        session.get::<String>("visits")
    });
    let error = failed.await.unwrap_err();
    assert!(
        matches!(error, Error::Session(SessionError::Decode { .. })),
        "{error}"
    );
    assert_eq!(visits(&ann).await, None);
    assert_eq!(ann.change(|_| Ok("fine")).await.unwrap(), "fine");
}

#[tokio::test]
async fn a_thief_is_found_out() {
    let sessions = TestSessions::with(|settings| {
        let settings = settings.keys(KeyRing::new([1; 32]).unwrap());
        settings
            .rotation(Rotation::hourly())
            .on_reuse(OnReuse::Revoke)
    });
    let sessions = sessions.unwrap();
    let ann = sessions.signed_in("user:ann").await.unwrap();
    let thief = ann.clone();
    for _ in 0..2 {
        sessions.advance(HOUR);
        ann.change(|_| Ok(())).await.unwrap();
    }
    assert_ne!(thief.token(), ann.token());
    sessions.advance(Duration::from_secs(11)); // beyond the overlap
    assert!(thief.session().await.unwrap().is_new());
    assert!(ann.session().await.unwrap().is_new(), "revoked");
}

#[tokio::test]
async fn sessions_and_cookies_expire_as_time_is_moved() {
    let short = Lifetime::new(HOUR, 2 * HOUR).unwrap().persistent();
    let sessions = TestSessions::with(|settings| settings.lifetime(short)).unwrap();
    let ann = sessions.signed_in("user:ann").await.unwrap();
    sessions.advance(HOUR - Duration::from_secs(1));
    assert!(ann.token().is_some() && !ann.session().await.unwrap().is_new());
    sessions.advance(Duration::from_secs(1));
    assert!(ann.token().is_none(), "its Max-Age has passed");
    assert!(ann.session().await.unwrap().is_new());
}

#[tokio::test]
async fn a_store_that_is_unavailable() {
    let sessions = TestSessions::new();
    let mut service = sessions.layer().layer(service_fn(visit));
    let ann = sessions.signed_in("user:ann").await.unwrap();
    sessions.fail_store(StoreFault::Unavailable);
    for _ in 0..3 {
        let response = ann.call(&mut service, plain()).await.unwrap();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(is_unavailable(&ann.session().await.unwrap_err()));
        assert!(is_unavailable(
            &sessions.signed_in("user:bob").await.unwrap_err()
        ));
    }
    sessions.repair_store();
    assert_eq!(ann.call(&mut service, plain()).await.unwrap().body(), "1");
}

#[tokio::test]
async fn a_store_that_is_read_only() {
    let sessions = TestSessions::new();
    let mut service = sessions.layer().layer(service_fn(visit));
    let ann = sessions.signed_in("user:ann").await.unwrap();
    sessions.fail_store(StoreFault::ReadOnly);
    let response = ann.call(&mut service, plain()).await.unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(visits(&ann).await, None);
    let out = sessions.manager().sign_out_everywhere("user:ann").await;
    assert!(matches!(
        out,
        Err(SessionError::Store(StoreError::Unavailable(_)))
    ));
    assert_eq!(
        sessions
            .manager()
            .sessions_of("user:ann")
            .await
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn a_store_whose_answers_are_lost() {
    let sessions = TestSessions::new();
    let mut service = sessions.layer().layer(service_fn(visit));
    let ann = sessions.signed_in("user:ann").await.unwrap();
    sessions.fail_store(StoreFault::OutcomeUnknown);
    let response = ann.call(&mut service, plain()).await.unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(visits(&ann).await, Some(1), "it was written all the same");
    assert!(is_unknown(
        &sessions.signed_in("user:bob").await.unwrap_err()
    ));
}

#[tokio::test]
async fn only_the_next_calls_fail() {
    let sessions = TestSessions::new();
    let ann = sessions.signed_in("user:ann").await.unwrap();
    sessions.fail_store_next(2, StoreFault::Unavailable);
    for fails in [true, true, false, false] {
        assert_eq!(ann.session().await.is_err(), fails);
    }
    // Loads are not counted where they do not fail.
    sessions.fail_store_next(1, StoreFault::ReadOnly);
    assert!(ann.session().await.is_ok() && ann.session().await.is_ok());
    let insert = |session: &session_http::Session| session.insert("visits", 1);
    assert!(is_unavailable(&ann.change(insert).await.unwrap_err()));
    assert!(ann.change(insert).await.is_ok());
    sessions.fail_store_next(0, StoreFault::Unavailable);
    assert!(ann.session().await.is_ok());
}

#[tokio::test]
async fn sealed_sessions_in_several_cookies() {
    let store = CookieStore::signed(KeyRing::new([1; 32]).unwrap());
    let store = TestStore::over(store.with_chunks(3).unwrap());
    let layer = SessionLayer::builder(store.clone())
        .codec(Codec::Postcard)
        .build()
        .unwrap();
    let browser = TestClient::signed_in(&layer, "user:ann").await.unwrap();
    let text = "x".repeat(5_000);
    browser
        .change(|session| session.insert("text", &text))
        .await
        .unwrap();
    let cookies = header(&browser.request(plain()), "cookie").unwrap();
    assert!(cookies.contains("__Host-id~1=") && browser.token().unwrap().len() > 5_000);
    let found: Option<String> = browser.session().await.unwrap().get("text").unwrap();
    assert_eq!(found, Some(text));
    store.fail(StoreFault::Unavailable);
    assert!(browser.session().await.is_err());
}

/// A layer with a page of its own for errors is made by the application.
#[tokio::test]
async fn a_layer_of_the_application() {
    let sessions = TestSessions::made_by(|store, clock| {
        let builder = SessionLayer::builder(store).cookie(CookieConfig::new("__Host-shop"));
        let layer = builder.clock(clock).build().unwrap();
        layer.on_error(|_: &Error| Response::new("sorry".to_owned()))
    });
    let mut service = sessions.layer().layer(service_fn(visit));
    let browser = sessions.client();
    browser.call(&mut service, plain()).await.unwrap();
    sessions.fail_store(StoreFault::Unavailable);
    let response = browser.call(&mut service, plain()).await.unwrap();
    assert_eq!(response.body(), "sorry");
    sessions.repair_store();
    sessions.advance(3 * HOUR);
    assert!(browser.session().await.unwrap().is_new());
}

/// Two requests of one browser at the same time, as of two tabs.
#[tokio::test]
async fn one_client_calls_twice_at_once() {
    let sessions = TestSessions::new();
    let ann = sessions.signed_in("user:ann").await.unwrap();
    let service = sessions.layer().layer(service_fn(visit));
    let (mut one, mut two) = (service.clone(), service);
    let (one, two) = tokio::join!(ann.call(&mut one, plain()), ann.call(&mut two, plain()));
    assert!(one.is_ok() && two.is_ok());
    assert_eq!(visits(&ann).await, Some(2));
}

#[tokio::test]
async fn a_service_is_called_when_it_is_ready() {
    struct Counts(u32);
    impl Service<Request<()>> for Counts {
        type Response = Response<u32>;
        type Error = u32;
        type Future = std::future::Ready<Result<Response<u32>, u32>>;

        fn poll_ready(
            &mut self,
            context: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Result<(), u32>> {
            self.0 += 1;
            context.waker().wake_by_ref();
            match self.0 {
                1 => std::task::Poll::Pending,
                2 => std::task::Poll::Ready(Ok(())),
                _ => std::task::Poll::Ready(Err(3)),
            }
        }

        fn call(&mut self, _: Request<()>) -> Self::Future {
            std::future::ready(Ok(Response::new(self.0)))
        }
    }
    let client = TestSessions::new().client();
    let mut service = Counts(0);
    assert_eq!(*client.call(&mut service, plain()).await.unwrap().body(), 2);
    assert_eq!(client.call(&mut service, plain()).await.unwrap_err(), 3);
}

#[tokio::test]
async fn services_of_hyper() {
    let sessions = TestSessions::new();
    let service = sessions.layer().layer(hyper::service::service_fn(visit));
    let browser = sessions.client();
    for expected in ["1", "2"] {
        let request = Request::new(String::new());
        let response = browser.call_hyper(&service, request).await.unwrap();
        assert_eq!(response.body(), expected);
    }
    let handler = with_session(&sessions.layer(), async |_: Request<()>, session| {
        Ok::<_, SessionError>(Response::new(session.get::<u32>("visits")?))
    });
    let response = browser.call_hyper(&handler, plain()).await.unwrap();
    assert_eq!(*response.body(), Some(2));
}

#[tokio::test]
async fn nothing_secret_is_shown() {
    let sessions = TestSessions::new();
    let ann = sessions.signed_in("user:ann").await.unwrap();
    let token = ann.token().unwrap();
    let shown = format!("{ann:?} {sessions:?}");
    assert!(shown.contains("__Host-id") && !shown.contains(&token) && !shown.contains("ann\""));
    let sessions = TestSessions::with(|settings| settings.header(HeaderConfig::default())).unwrap();
    let app = sessions.signed_in("user:ann").await.unwrap();
    let shown = format!("{app:?}");
    assert!(shown.contains(HEADER) && !shown.contains(&app.token().unwrap()));
}

/// It keeps the contract of stores while it does not fail.
#[tokio::test]
async fn a_manager_over_the_store() {
    let store = TestStore::default();
    let manager = SessionManager::new(store.clone());
    let layer = SessionLayer::over(&manager).build().unwrap();
    let ann = TestClient::signed_in(&layer, "user:ann").await.unwrap();
    let bob = TestClient::signed_in(&layer, "user:bob").await.unwrap();
    assert_eq!(manager.sign_out_everywhere("user:ann").await.unwrap(), 1);
    assert!(ann.session().await.unwrap().is_new() && !bob.session().await.unwrap().is_new());
    store.fail_next(1, StoreFault::Unavailable);
    assert!(manager.sign_out_everywhere("user:bob").await.is_err());
    assert_eq!(manager.sign_out_everywhere("user:bob").await.unwrap(), 1);
}

/// A client's own changes are no responses that the application's policy could judge.
#[tokio::test]
async fn a_change_is_saved_whatever_the_policy_of_the_layer() {
    let sessions = TestSessions::with(|settings| {
        settings.commit_if(|_, headers| headers.contains_key("x-saved"))
    });
    let sessions = sessions.unwrap();
    let ann = sessions.signed_in("user:ann").await.unwrap();
    ann.change(|session| session.insert("visits", 7))
        .await
        .unwrap();
    assert_eq!(visits(&ann).await, Some(7));
    // The service under test keeps the policy.
    let mut service = sessions.layer().layer(service_fn(visit));
    assert_eq!(ann.call(&mut service, plain()).await.unwrap().body(), "8");
    assert_eq!(visits(&ann).await, Some(7));
}
