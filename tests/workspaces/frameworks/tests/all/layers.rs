//! Two sessions side by side, and what proxies make of their cookies.

use std::sync::Arc;

use axum::extract::Request;
use axum::response::IntoResponse;
use axum::{Router, routing::get};
use session_http::{CookieConfig, Error, MemoryStore, Session, SessionExt, SessionLayer};
use tower::ServiceExt;

use crate::server::{client, listen, page};

const USER: &str = "__Host-user";
const ADMIN: &str = "__Host-admin";

fn layer(name: &str) -> SessionLayer {
    let builder = SessionLayer::builder(MemoryStore::new());
    builder
        .cookie(CookieConfig::new(name.to_owned()))
        .build()
        .unwrap()
}

/// Who lends the request out instead, lends its body too, which is not to be shared between
/// threads.
async fn count(session: impl Future<Output = Result<Session, Error>>) -> Result<u64, Error> {
    let session = session.await?;
    Ok(session.update("n", |n: Option<u64>| n.unwrap_or(0) + 1)?)
}

/// Users everywhere; admins under a path of their own, where both are.
fn app() -> Router {
    let admin = Router::new()
        .route(
            "/",
            get(|request: Request| async move {
                let (user, admin) = (
                    count(request.session_named(USER)).await?,
                    count(request.session_named(ADMIN)).await?,
                );
                Ok::<_, Error>(format!("user {user} admin {admin}"))
            }),
        )
        .route(
            "/leave",
            get(|request: Request| async move {
                request.session_named(ADMIN).await?.destroy()?;
                Ok::<_, Error>("left")
            }),
        )
        .layer(layer(ADMIN));
    let user = Router::new()
        .route(
            "/",
            get(|request: Request| async move {
                Ok::<_, Error>(format!(
                    "user {}",
                    count(request.session_named(USER)).await?
                ))
            }),
        )
        .route(
            "/admin-here",
            get(|request: Request| async move {
                request
                    .session_named(ADMIN)
                    .await
                    .map_or_else(IntoResponse::into_response, |_| "found".into_response())
            }),
        );
    Router::new()
        .nest("/site", user.nest("/admin", admin))
        .layer(layer(USER))
}

#[tokio::test]
async fn two_sessions_of_one_browser_side_by_side_under_a_path() {
    let (listener, address) = listen().await;
    tokio::spawn(async move { axum::serve(listener, app()).await });
    let client = client();
    assert_eq!(page(&client, address, "/site").await, "user 1");
    assert_eq!(
        page(&client, address, "/site/admin").await,
        "user 2 admin 1"
    );
    assert_eq!(
        page(&client, address, "/site/admin").await,
        "user 3 admin 2"
    );
    assert_eq!(page(&client, address, "/site/admin/leave").await, "left");
    assert_eq!(
        page(&client, address, "/site").await,
        "user 4",
        "the user stays"
    );
    assert_eq!(
        page(&client, address, "/site/admin").await,
        "user 5 admin 1"
    );
    let outside = client
        .get(format!("http://{address}/site/admin-here"))
        .send()
        .await
        .unwrap();
    assert_eq!(outside.status(), 500, "no such layer there");
}

/// Asks with these Cookie headers; the body, and the cookies that were set.
async fn ask(app: &Router, path: &str, cookies: &[String]) -> (String, Vec<String>) {
    let mut request = Request::builder().uri(path);
    for cookie in cookies {
        request = request.header("cookie", cookie);
    }
    let request = request.body(axum::body::Body::empty()).unwrap();
    let response = app.clone().oneshot(request).await.unwrap();
    let set = response.headers().get_all("set-cookie").iter();
    let set = set
        .map(|value| {
            value
                .to_str()
                .unwrap()
                .split(';')
                .next()
                .unwrap()
                .to_owned()
        })
        .collect();
    let body = axum::body::to_bytes(response.into_body(), 1000)
        .await
        .unwrap();
    (String::from_utf8(body.to_vec()).unwrap(), set)
}

#[tokio::test]
async fn what_proxies_do_to_cookie_headers() {
    let app = app();
    let (_, set) = ask(&app, "/site/admin", &[]).await;
    let find = |name: &str| {
        set.iter()
            .find(|pair| pair.starts_with(name))
            .unwrap()
            .clone()
    };
    let (user, admin) = (find(USER), find(ADMIN));
    let mut users = 1;
    let mut check = async |cookies: Vec<String>, admins: u64, what: &str| {
        users += 1;
        let (body, set) = ask(&app, "/site/admin", &cookies).await;
        assert_eq!(body, format!("user {users} admin {admins}"), "{what}");
        assert!(set.is_empty(), "{what}: {set:?}");
    };
    check(vec![format!("{user}; {admin}")], 2, "one header").await;
    check(vec![user.clone(), admin.clone()], 3, "split, as HTTP/2 may").await;
    check(
        vec![format!("{user}; {admin}"), format!("{admin}; {user}")],
        4,
        "sent twice",
    )
    .await;
    check(
        vec![user.clone(), user.clone(), user.clone(), admin.clone()],
        5,
        "one of them thrice",
    )
    .await;

    let mut noise: Vec<_> = (0..200)
        .map(|n| format!("other-{n}={}", "v".repeat(20)))
        .collect();
    noise.insert(60, admin.clone());
    noise.insert(150, user.clone());
    check(vec![noise.join("; ")], 6, "among 200 others").await;
    check(noise.clone(), 7, "among 200 others, each in a header").await;

    let lower = |pair: &str| {
        let (name, _) = pair.split_once('=').unwrap();
        format!("{}=AAAA", name.to_ascii_lowercase())
    };
    let upper = |pair: &str| pair.replacen(pair.split('=').next().unwrap(), "__HOST-USER", 1);
    let others = format!("{}; {}; {user}; {admin}", lower(&user), upper(&admin));
    check(vec![others], 8, "names that differ in case").await;
}

#[tokio::test]
async fn a_cookie_that_a_proxy_took_away_is_a_new_visitor_and_ends_nothing() {
    let app = app();
    let (_, set) = ask(&app, "/site/admin", &[]).await;
    let (body, fresh) = ask(&app, "/site/admin", &set[..1]).await;
    assert_eq!(fresh.len(), 1, "{body}: only what was taken away is new");
    let (body, set_again) = ask(&app, "/site/admin", &set).await;
    let kept = if set[0].starts_with(USER) {
        "user 3 admin 2"
    } else {
        "user 2 admin 3"
    };
    assert_eq!((&*body, set_again.len()), (kept, 0), "both are still there");
}

#[tokio::test]
async fn names_that_differ_in_case_only_are_two_sessions() {
    let store = Arc::new(MemoryStore::new());
    let named = |name: &'static str| {
        let builder = SessionLayer::builder(Arc::clone(&store));
        builder.cookie(CookieConfig::new(name)).build().unwrap()
    };
    let app = Router::new()
        .route(
            "/",
            get(|request: Request| async move {
                let (lower, upper) = (
                    count(request.session_named("__Host-id")).await?,
                    count(request.session_named("__Host-ID")).await?,
                );
                Ok::<_, Error>(format!("{lower} {upper}"))
            }),
        )
        .layer(named("__Host-id"))
        .layer(named("__Host-ID"));
    let (body, set) = ask(&app, "/", &[]).await;
    assert_eq!((&*body, set.len()), ("1 1", 2));
    let (body, none) = ask(&app, "/", &set).await;
    assert_eq!((&*body, none.len()), ("2 2", 0));
    let one = set
        .iter()
        .find(|pair| pair.starts_with("__Host-id"))
        .unwrap();
    let (body, set) = ask(&app, "/", std::slice::from_ref(one)).await;
    assert_eq!((&*body, set.len()), ("3 1", 1));
    // The token of one is none of the other's, though both are in one store.
    let swapped = one.replacen("__Host-id", "__Host-ID", 1);
    let (body, set) = ask(&app, "/", &[swapped]).await;
    assert_eq!((&*body, set.len()), ("1 1", 2));
}
