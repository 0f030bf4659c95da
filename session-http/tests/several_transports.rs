//! One set of sessions by a cookie and by a header: two layers, or one with both.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::*;
use http::{HeaderName, HeaderValue, Request, Response};
use session_core::{KeyRing, Lifetime, MemoryStore, Rotation, Session, SessionManager};
use session_http::cookie::CookieStore;
use session_http::layer::commit_by_default;
use session_http::{CookieConfig, Error, HeaderConfig, SessionExt, SessionLayer, with_session};
use tower::{ServiceExt, service_fn};

const HEADER: &str = "x-session-token";

fn both() -> (SessionLayer, Arc<TestStore>) {
    let (layer, store, _) = layer_with(|builder| {
        builder
            .header(HeaderConfig::default())
            .cookie(CookieConfig::default())
    });
    (layer, store)
}

/// A layer for pages and one for apps, over one manager.
fn pair() -> (SessionLayer, SessionLayer, Arc<TestStore>) {
    let (pages, store) = layer();
    let api = SessionLayer::over(pages.manager()).header(HeaderConfig::default());
    (pages, api.build().unwrap(), store)
}

/// A request with these headers, in this order.
fn with(headers: &[(&'static str, &str)]) -> Request<()> {
    let mut request = plain();
    for (name, value) in headers {
        let name = HeaderName::from_static(name);
        let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
        request.headers_mut().append(name, value);
    }
    request
}

fn cookie(token: &str) -> String {
    format!("{NAME}={token}")
}

/// The only token of a response in the header, where no cookie is set.
fn header_token(response: &Response<String>) -> String {
    assert!(set_cookies(response).is_empty());
    let tokens = header(response, HEADER);
    assert_eq!(tokens.len(), 1);
    tokens[0].clone()
}

/// A session of this colour, created by a request that has the header or not.
async fn painted(layer: &SessionLayer, request: Request<()>, colour: &str) -> Response<String> {
    visit(layer, request, |session| {
        session.insert("colour", colour).unwrap();
    })
    .await
}

async fn seen(layer: &SessionLayer, request: Request<()>) -> Option<String> {
    let found = std::sync::Mutex::new(None);
    visit(layer, request, |session| {
        *found.lock().unwrap() = session.get("colour").unwrap();
    })
    .await;
    found.into_inner().unwrap()
}

fn sign_in(session: &Session) {
    session.sign_in("user:42").unwrap();
}

#[tokio::test]
async fn a_token_of_one_layer_opens_in_the_other() {
    let (pages, api, store) = pair();
    assert_eq!((pages.name(), api.name()), (NAME, HEADER));
    let by_cookie = token(&painted(&pages, plain(), "blue").await);
    let by_header = header_token(&painted(&api, plain(), "red").await);
    assert_eq!(store.len(), 2);
    let request = with(&[(HEADER, &by_cookie)]);
    assert_eq!(seen(&api, request).await.as_deref(), Some("blue"));
    assert_eq!(
        seen(&pages, holding(&by_header)).await.as_deref(),
        Some("red")
    );
    // What the one writes the other reads.
    painted(&api, with(&[(HEADER, &by_cookie)]), "green").await;
    assert_eq!(
        seen(&pages, holding(&by_cookie)).await.as_deref(),
        Some("green")
    );
    // And each looks only where it was told to.
    assert_eq!(seen(&pages, with(&[(HEADER, &by_cookie)])).await, None);
    assert_eq!(seen(&api, holding(&by_cookie)).await, None);
}

#[tokio::test]
async fn to_sign_out_everywhere_ends_sessions_of_both() {
    let store = Arc::new(MemoryStore::new()); // the other one lists no sessions
    let pages = SessionLayer::new(Arc::clone(&store));
    let api = SessionLayer::over(pages.manager()).header(HeaderConfig::default());
    let api = api.build().unwrap();
    let browser = token(&visit(&pages, plain(), sign_in).await);
    let app = header_token(&visit(&api, plain(), sign_in).await);
    let ended = api.manager().sign_out_everywhere("user:42").await.unwrap();
    assert_eq!((ended, store.len()), (2, 0));
    visit(&pages, holding(&browser), |session| {
        assert!(session.is_new());
    })
    .await;
    visit(&api, with(&[(HEADER, &app)]), |session| {
        assert!(session.is_new());
    })
    .await;
}

#[tokio::test]
async fn what_one_destroys_is_destroyed_for_the_other() {
    let (pages, api, store) = pair();
    let token = token(&painted(&pages, plain(), "blue").await);
    let response = visit(&api, with(&[(HEADER, &token)]), |session| {
        session.destroy().unwrap();
    })
    .await;
    assert_eq!((header_token(&response), store.len()), (String::new(), 0));
    let response = visit(&pages, holding(&token), |session| {
        assert!(session.is_new());
    })
    .await;
    // Law 4: that request has not destroyed it.
    assert!(set_cookies(&response).is_empty());
}

#[tokio::test]
async fn one_layer_answers_each_client_the_way_it_asked() {
    let (layer, store) = both();
    assert_eq!(layer.name(), NAME);
    let browser = painted(&layer, plain(), "blue").await;
    assert!(header(&browser, HEADER).is_empty());
    let app = painted(&layer, with(&[(HEADER, "")]), "red").await;
    assert_eq!(header(&app, "cache-control"), ["no-store"]);
    let (browser, app) = (token(&browser), header_token(&app));
    assert_eq!(store.len(), 2);

    store.calls();
    let request = with(&[(HEADER, &app)]);
    assert_eq!(seen(&layer, request).await.as_deref(), Some("red"));
    assert_eq!(
        seen(&layer, holding(&browser)).await.as_deref(),
        Some("blue")
    );
    assert_eq!(store.calls(), [2, 0, 0, 0], "each is one load");
}

#[tokio::test]
async fn either_order_of_the_settings_gives_both_and_a_header_alone_no_cookie() {
    let (cookie, header) = (CookieConfig::default, HeaderConfig::default);
    let builder = || SessionLayer::builder(MemoryStore::new());
    for layer in [
        builder().cookie(cookie()).header(header()),
        builder().header(header()).cookie(cookie()),
    ] {
        let layer = layer.build().unwrap();
        assert_eq!(layer.manager().scope(), NAME);
        token(&painted(&layer, plain(), "blue").await);
        header_token(&painted(&layer, with(&[(HEADER, "")]), "blue").await);
    }
    let layer = builder().header(header()).build().unwrap();
    assert_eq!(layer.manager().scope(), HEADER);
    let app = header_token(&painted(&layer, plain(), "blue").await);
    assert_eq!(seen(&layer, holding(&app)).await, None);
}

/// A cookie decides nothing where there is a header, whatever either of them holds.
#[tokio::test]
async fn the_header_wins_whatever_is_in_it() {
    let (layer, store) = both();
    let live = |response: &Response<String>| token(response);
    let red = live(&painted(&layer, plain(), "red").await);
    let blue = live(&painted(&layer, plain(), "blue").await);
    let long = "A".repeat(5_000);
    let values = [
        "", &red, &blue, UNKNOWN, "garbage", &long, "\u{e9}", "a=b; c=d",
    ];
    let colour = |token: &str| match token {
        token if token == red => Some("red"),
        token if token == blue => Some("blue"),
        _ => None,
    };
    for by_header in values {
        for by_cookie in values {
            let (ours, theirs) = ((HEADER, by_header), ("cookie", &*cookie(by_cookie)));
            for headers in [[ours, theirs], [theirs, ours]] {
                let request = with(&headers);
                let found = seen(&layer, request).await;
                assert_eq!(found.as_deref(), colour(by_header), "{headers:?}");

                let response = painted(&layer, with(&headers), "green").await;
                let tokens = header(&response, HEADER);
                // A new session for a client whose token opens nothing.
                assert_eq!(tokens.len(), usize::from(colour(by_header).is_none()));
                assert!(set_cookies(&response).is_empty(), "{headers:?}");
                for (token, colour) in [(&red, "red"), (&blue, "blue")] {
                    painted(&layer, with(&[(HEADER, token)]), colour).await;
                }
            }
        }
    }
    // Two headers are one request by header, and two live tokens are none (as in two cookies).
    let request = with(&[(HEADER, &red), (HEADER, &blue), ("cookie", &cookie(&red))]);
    assert_eq!(seen(&layer, request).await, None);
    store.calls();
    let request = with(&[(HEADER, ""), ("cookie", &cookie(&red))]);
    assert_eq!(seen(&layer, request).await, None);
    assert_eq!(store.calls(), [0; 4], "the cookie is not looked up");
}

#[tokio::test]
async fn a_renewal_by_header_does_not_touch_the_cookie() {
    let (layer, _) = both();
    let browser = token(&painted(&layer, plain(), "blue").await);
    let app = header_token(&painted(&layer, with(&[(HEADER, "")]), "red").await);
    let request = with(&[(HEADER, &app), ("cookie", &cookie(&browser))]);
    let response = visit(&layer, request, sign_in).await;
    let renewed = header_token(&response);
    assert_ne!(renewed, app);
    assert_eq!(
        seen(&layer, holding(&browser)).await.as_deref(),
        Some("blue")
    );
    let request = with(&[(HEADER, &renewed)]);
    assert_eq!(seen(&layer, request).await.as_deref(), Some("red"));

    // Nor does a sign-out.
    let request = with(&[(HEADER, &renewed), ("cookie", &cookie(&browser))]);
    let response = visit(&layer, request, |session| session.destroy().unwrap()).await;
    assert_eq!(header_token(&response), "");
    assert_eq!(
        seen(&layer, holding(&browser)).await.as_deref(),
        Some("blue")
    );
}

#[tokio::test]
async fn tokens_rotate_where_they_came_from() {
    let ttl = Duration::from_secs(3600);
    let (layer, store, clock) = layer_with(|builder| {
        builder
            .cookie(CookieConfig::default())
            .header(HeaderConfig::default())
            .keys(KeyRing::new([1; 32]).unwrap())
            .rotation(Rotation::hourly())
    });
    let browser = token(&visit(&layer, plain(), sign_in).await);
    let app = header_token(&visit(&layer, with(&[(HEADER, "")]), sign_in).await);
    clock.advance(ttl);
    let look = |session: &Session| assert!(session.principal().is_some());
    let next_browser = token(&visit(&layer, holding(&browser), look).await);
    let response = visit(&layer, with(&[(HEADER, &app)]), look).await;
    let next_app = header_token(&response);
    assert!(next_browser != browser && next_app != app);
    assert_eq!(store.len(), 2);

    // The successors are good, and are confirmed without being sent again.
    clock.advance(Duration::from_secs(1));
    let response = visit(&layer, holding(&next_browser), look).await;
    assert!(set_cookies(&response).is_empty() && header(&response, HEADER).is_empty());
    let response = visit(&layer, with(&[(HEADER, &next_app)]), look).await;
    assert!(set_cookies(&response).is_empty() && header(&response, HEADER).is_empty());
}

#[tokio::test]
async fn caches_are_told_of_both() {
    let (layer, _) = both();
    for request in [plain(), with(&[(HEADER, "")])] {
        let response = visit(&layer, request, |session| assert!(session.is_empty())).await;
        assert_eq!(header(&response, "vary"), ["Cookie", HEADER]);
    }
    let (layer, _, _) = layer_with(|builder| {
        let header = HeaderConfig::default().bearer(true);
        builder.header(header).cookie(CookieConfig::default())
    });
    let response = visit(&layer, plain(), |session| assert!(session.is_empty())).await;
    assert_eq!(
        header(&response, "vary"),
        ["Cookie", HEADER, "Authorization"]
    );
}

#[tokio::test]
async fn a_304_and_a_101_carry_a_token_neither_way() {
    let (layer, store) = both();
    for code in [304, 101] {
        for request in [plain(), with(&[(HEADER, "")])] {
            let answer: Answer = run(&layer, request, async |request: Request<()>| {
                request.session().await?.insert("colour", "blue")?;
                status(code)
            })
            .await;
            let response = answer.unwrap();
            assert!(set_cookies(&response).is_empty() && header(&response, HEADER).is_empty());
            assert_eq!(store.len(), 0);
        }
    }
}

#[tokio::test]
async fn bearer_is_the_header_too_and_other_schemes_are_not() {
    let (layer, store, _) = layer_with(|builder| {
        let header = HeaderConfig::default().bearer(true);
        builder.header(header).cookie(CookieConfig::default())
    });
    let browser = token(&painted(&layer, plain(), "blue").await);
    let app = header_token(&painted(&layer, with(&[(HEADER, "")]), "red").await);
    let cookie = cookie(&browser);
    let by = |authorization: &str| with(&[("authorization", authorization), ("cookie", &cookie)]);
    assert_eq!(
        seen(&layer, by(&format!("Bearer {app}"))).await.as_deref(),
        Some("red")
    );
    // A bearer token of somebody else is a request by header as well: it never falls back.
    store.calls();
    assert_eq!(seen(&layer, by("Bearer e30.e30.c2ln")).await, None);
    assert_eq!(store.calls(), [0; 4]);
    for other in ["Basic dTpw", "Digest username=u", "Bearer", "", &app] {
        assert_eq!(seen(&layer, by(other)).await.as_deref(), Some("blue"));
    }
    // Where bearers are not asked for, they are not ours.
    let (layer, _) = both();
    let browser = token(&painted(&layer, plain(), "blue").await);
    let cookie = self::cookie(&browser);
    let request = with(&[("authorization", "Bearer abc"), ("cookie", &cookie)]);
    assert_eq!(seen(&layer, request).await.as_deref(), Some("blue"));
}

#[tokio::test]
async fn a_commit_that_fails_is_an_error_either_way() {
    let (layer, store) = both();
    store.fail(Call::Create, Fault::Down);
    for request in [plain(), with(&[(HEADER, "")])] {
        let response = painted(&layer, request, "blue").await;
        assert_eq!(response.status(), 503);
        assert!(set_cookies(&response).is_empty() && header(&response, HEADER).is_empty());
    }
}

/// Layers over one manager around one request: the outermost serves it.
#[tokio::test]
async fn stacked_layers_share_the_session_of_the_outermost() {
    for header_is_outer in [false, true] {
        let (pages, api, store) = pair();
        let (outer, inner) = match header_is_outer {
            true => (api, pages),
            false => (pages, api),
        };
        let paint = service_fn(async |request: Request<()>| -> Answer {
            let session = request.session().await?;
            session.update("count", |count: Option<u32>| count.unwrap_or(0) + 1)?;
            fine()
        });
        // A service in between has the same session, and its changes are saved as well.
        let inside = inner.layer(paint);
        let between = service_fn(move |request: Request<()>| {
            let inside = inside.clone();
            async move {
                let session = request.session().await?;
                session.insert("colour", "blue")?;
                let answer = inside.oneshot(request).await;
                assert_eq!(session.get::<u32>("count")?.unwrap() % 10, 1);
                answer
            }
        });
        let service = outer.layer(between);
        let response = service.clone().oneshot(plain()).await.unwrap();
        assert_eq!((store.calls(), store.len()), ([0, 1, 0, 0], 1));
        let token = match header_is_outer {
            true => header_token(&response),
            false => {
                assert!(header(&response, HEADER).is_empty());
                token(&response)
            }
        };
        let session = outer.manager().begin(&[&token]).await.unwrap();
        assert_eq!(session.keys(), ["colour", "count"]);

        // The inner one's token is not looked at.
        store.calls();
        let request = match header_is_outer {
            true => holding(&token),
            false => with(&[(HEADER, &token)]),
        };
        service.oneshot(request).await.unwrap();
        assert_eq!(store.calls(), [0, 1, 0, 0]);
    }
}

#[tokio::test]
async fn a_handler_made_with_the_inner_layer_gets_the_session_of_the_outer_one() {
    let (pages, api, store) = pair();
    let handler = with_session(&api, async |request: Request<()>, session| {
        session.insert("colour", "blue")?;
        // By name there is the one that serves it.
        let missing = request.session_named(HEADER).await;
        assert!(matches!(missing, Err(Error::NoSuchName(_))));
        let shared = request.session_named(NAME).await?;
        assert!(shared.contains_key("colour"));
        fine()
    });
    let response = pages.layer(handler).oneshot(plain()).await.unwrap();
    assert_eq!(store.len(), 1);
    token(&response);
}

#[tokio::test]
async fn a_session_is_found_by_either_name() {
    let (layer, _) = both();
    let answer: Answer = run(&layer, plain(), async |request: Request<()>| {
        request.session_named(NAME).await?.insert("colour", "red")?;
        let other = request.session_named("X-Session-Token").await?;
        assert!(other.contains_key("colour"));
        fine()
    })
    .await;
    answer.unwrap();
}

/// Layers of other managers may have none of the names.
#[tokio::test]
async fn another_manager_clashes_with_either_name() {
    let (layer, _) = both();
    let (cookie, _) = common::layer();
    let (header, _, _) = layer_with(|builder| builder.header(HeaderConfig::default()));
    for other in [cookie, header] {
        for (outer, inner) in [(&layer, &other), (&other, &layer)] {
            let service = outer.layer(inner.layer(service_fn(async |_: Request<()>| fine())));
            assert_eq!(service.oneshot(plain()).await.unwrap().status(), 500);
        }
    }
}

#[tokio::test]
async fn a_layer_over_a_manager_has_a_policy_of_its_own() {
    let (pages, _) = layer();
    let strict = SessionLayer::over(pages.manager())
        .commit_if(|status, headers| status != 404 && commit_by_default(status, headers))
        .build()
        .unwrap();
    for (layer, is_saved) in [(&pages, true), (&strict, false)] {
        let answer: Answer = run(layer, plain(), async |request: Request<()>| {
            request.session().await?.insert("colour", "blue")?;
            status(404)
        })
        .await;
        assert_eq!(!set_cookies(&answer.unwrap()).is_empty(), is_saved);
    }
}

/// What is refused for a layer with sessions of its own is refused over a manager.
#[test]
fn settings_that_do_not_fit_are_refused() {
    let manager = SessionManager::new(MemoryStore::new());
    let over = || SessionLayer::over(&manager);
    let wrong = CookieConfig::new("__Host-id").path("/app");
    assert!(over().cookie(wrong.clone()).build().is_err());
    let taken = HeaderConfig::new(http::header::AUTHORIZATION);
    assert!(over().header(taken.clone()).build().is_err());
    assert!(over().build().is_ok());
    // Either of two is looked at.
    let builder = || SessionLayer::builder(MemoryStore::new());
    let (cookie, header) = (CookieConfig::default(), HeaderConfig::default());
    assert!(
        builder()
            .cookie(wrong)
            .header(header.clone())
            .build()
            .is_err()
    );
    assert!(
        builder()
            .cookie(cookie.clone())
            .header(taken)
            .build()
            .is_err()
    );

    let days = |days: u32| Duration::from_secs(24 * 3600) * days;
    let long = Lifetime::new(days(401), days(401)).unwrap().persistent();
    let long = SessionManager::builder(MemoryStore::new()).lifetime(long);
    let long = long.build().unwrap();
    let over = || SessionLayer::over(&long);
    assert!(over().header(header.clone()).build().is_ok());
    for refused in [over().build(), over().cookie(cookie).header(header).build()] {
        let text = refused.unwrap_err().to_string();
        assert!(text.contains("400 days"), "{text}");
    }
}

#[tokio::test]
async fn sealed_sessions_fit_every_transport_or_are_refused() {
    let store = || CookieStore::signed(KeyRing::new([1; 32]).unwrap());
    let (cookie, header) = (CookieConfig::default(), HeaderConfig::default());
    // Three cookies carry more than a header.
    let pages = SessionLayer::builder(store().with_chunks(3).unwrap());
    let pages = pages.build().unwrap();
    let api = SessionLayer::over(pages.manager()).header(header.clone());
    let text = api.build().unwrap_err().to_string();
    assert!(text.contains("max_token(4096)"), "{text}");
    // A manager knows no cookie's name, which takes some of the room.
    let manager = SessionManager::builder(store());
    let manager = manager.build().unwrap();
    let text = SessionLayer::over(&manager)
        .build()
        .unwrap_err()
        .to_string();
    assert!(text.contains("max_token(4087)"), "{text}");

    let manager = SessionManager::builder(store()).max_token(4087);
    let manager = manager.build().unwrap();
    let pages = SessionLayer::over(&manager).build().unwrap();
    let api = SessionLayer::over(&manager).header(header.clone());
    let api = api.build().unwrap();
    let by_cookie = token(&painted(&pages, plain(), "blue").await);
    let request = with(&[(HEADER, &by_cookie)]);
    assert_eq!(seen(&api, request).await.as_deref(), Some("blue"));

    // One layer with both limits itself.
    let both = SessionLayer::builder(store().with_chunks(3).unwrap());
    let both = both.cookie(cookie).header(header).build().unwrap();
    assert_eq!(both.manager().max_token(), 4096);
    let app = header_token(&painted(&both, with(&[(HEADER, "")]), "red").await);
    assert_eq!(seen(&both, holding(&app)).await.as_deref(), Some("red"));
}

/// The name that two layers share is the one to change, and not always that of the layer.
#[tokio::test]
async fn a_clash_names_what_the_layers_share() {
    let text = |error: &Error| Response::new(error.to_string());
    let (by_header, _, _) = layer_with(|builder| builder.header(HeaderConfig::default()));
    let (other, _, _) = layer_with(|builder| {
        let other = HeaderConfig::new(HeaderName::from_static("x-other"));
        builder
            .header(other)
            .cookie(CookieConfig::new("X-Session-Token"))
    });
    for (layer, other, name) in [
        (both().0, layer().0, NAME),
        (both().0, by_header.clone(), HEADER),
        (by_header.clone(), both().0, HEADER),
        (other, by_header, HEADER),
    ] {
        let inner = other.on_error(text);
        let handler = inner.layer(service_fn(async |_: Request<()>| fine()));
        let service = layer.on_error(text).layer(handler);
        let body = service.oneshot(plain()).await.unwrap().into_body();
        assert!(
            body.to_lowercase()
                .contains(&format!("{name:?}").to_lowercase()),
            "{body}"
        );
    }
}

/// A refusal names what has too little room, and not whatever has the name of the layer.
#[test]
fn a_sealed_session_that_does_not_fit_names_the_transport() {
    let store = CookieStore::signed(KeyRing::new([1; 32]).unwrap());
    let manager = SessionManager::builder(store.with_chunks(3).unwrap());
    let manager = manager.max_token(8_000).build().unwrap();
    let over = || SessionLayer::over(&manager).cookie(CookieConfig::default());
    assert!(over().build().is_ok());
    let refused = over().header(HeaderConfig::default()).build();
    let text = refused.unwrap_err().to_string();
    assert!(text.contains(HEADER) && !text.contains(NAME), "{text}");
}

/// A page of another site may send some headers without being asked, and a browser adds others by
/// itself. Such a header says nothing of whoever made the request.
#[test]
fn a_header_that_any_page_can_send_carries_no_token() {
    for name in [
        "accept",
        "accept-encoding",
        "accept-language",
        "content-language",
        "content-type",
        "if-none-match",
        "origin",
        "range",
        "referer",
        "user-agent",
        "sec-fetch-site",
        "proxy-authorization",
    ] {
        let header = HeaderConfig::new(HeaderName::from_static(name));
        let refused = SessionLayer::builder(MemoryStore::new())
            .header(header)
            .build();
        let text = refused.map(drop).unwrap_err().to_string();
        assert!(text.contains(name), "{text}");
    }
}

/// An app that presents a token from before a renewal is late, and a cookie does not help it.
#[tokio::test]
async fn a_former_token_in_the_header_beside_a_live_cookie_is_mute() {
    let (layer, store) = both();
    let browser = token(&painted(&layer, plain(), "blue").await);
    let app = header_token(&painted(&layer, with(&[(HEADER, "")]), "red").await);
    header_token(&visit(&layer, with(&[(HEADER, &app)]), sign_in).await);
    let cookie = cookie(&browser);
    let request = with(&[(HEADER, &app), ("cookie", &cookie)]);
    let response = painted(&layer, request, "green").await;
    assert!(header(&response, HEADER).is_empty() && set_cookies(&response).is_empty());
    assert_eq!(store.len(), 2);
    assert_eq!(
        seen(&layer, holding(&browser)).await.as_deref(),
        Some("blue")
    );
    // And garbage beside a live token in the same header does no harm.
    let request = with(&[(HEADER, "garbage"), (HEADER, &browser), ("cookie", &cookie)]);
    assert_eq!(seen(&layer, request).await.as_deref(), Some("blue"));
}
