//! What a layer puts into responses, and that its commit comes first.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::collections::BTreeSet;
use std::time::Duration;

use common::*;
use http::{HeaderValue, Response};
use session_core::{Lifetime, Session};
use session_http::{CookieConfig, SameSite, SessionExt, SessionLayer};

const UNTOUCHED: Calls = [0, 0, 0, 0];
const LOADED: Calls = [1, 0, 0, 0];
const CREATED: Calls = [0, 1, 0, 0];

fn paint(session: &Session) {
    session.insert("colour", "red").unwrap();
}

/// Name with value, and attributes.
fn parts(cookie: &str) -> (String, BTreeSet<String>) {
    let mut parts = cookie.split("; ").map(str::to_owned);
    (parts.next().unwrap(), parts.collect())
}

fn attributes(list: &[&str]) -> BTreeSet<String> {
    list.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn the_default_cookie() {
    let (layer, _) = layer();
    let response = visit(&layer, plain(), paint).await;
    let [cookie] = &set_cookies(&response)[..] else {
        panic!()
    };
    let (pair, set) = parts(cookie);
    assert_eq!(pair.len(), "__Host-id=".len() + 43);
    assert_eq!(
        set,
        attributes(&["HttpOnly", "SameSite=Lax", "Secure", "Path=/"])
    );
    assert!(response.headers()["set-cookie"].is_sensitive());
    assert!(!format!("{:?}", response.headers()).contains(&token(&response)));
}

#[tokio::test]
async fn a_persistent_cookie_says_how_long() {
    let lifetime = Lifetime::aal2().persistent();
    let (layer, _, _) = layer_with(|builder| builder.lifetime(lifetime));
    let response = visit(&layer, plain(), paint).await;
    let (_, set) = parts(&set_cookies(&response)[0]);
    let expected = [
        "HttpOnly",
        "SameSite=Lax",
        "Secure",
        "Path=/",
        "Max-Age=3600",
    ];
    assert_eq!(set, attributes(&expected));
}

#[tokio::test]
async fn max_age_moves_with_activity_and_stops_at_the_deadline() {
    let (minute, hour) = (Duration::from_secs(60), Duration::from_secs(3600));
    let lifetime = Lifetime::new(hour, hour + 30 * minute)
        .unwrap()
        .persistent();
    let (layer, _, clock) = layer_with(|builder| builder.lifetime(lifetime));
    let token = stored(&layer).await;

    // Within the touch interval nothing is sent.
    clock.advance(Duration::from_secs(59));
    assert!(set_cookies(&visit(&layer, holding(&token), |_| ()).await).is_empty());

    clock.advance(Duration::from_secs(1));
    let again = visit(&layer, holding(&token), |_| ()).await;
    assert_eq!(common::token(&again), token, "the token itself stays");
    assert!(set_cookies(&again)[0].contains("; Max-Age=3600"));

    clock.advance(50 * minute);
    let late = visit(&layer, holding(&token), |_| ()).await;
    assert!(
        set_cookies(&late)[0].contains("; Max-Age=2340"),
        "39 of the 90 minutes are left"
    );
}

#[tokio::test]
async fn activity_of_a_session_that_ends_with_the_browser_sends_no_cookie() {
    let (layer, store, clock) = layer_with(|builder| builder);
    let token = stored(&layer).await;
    clock.advance(Duration::from_secs(60));
    store.calls();
    let response = visit(&layer, holding(&token), |_| ()).await;
    assert_eq!(store.calls(), [1, 0, 1, 0]);
    assert!(set_cookies(&response).is_empty());
}

fn custom() -> SessionLayer {
    let cookie = CookieConfig::new("shop")
        .path("/shop")
        .domain("example.com")
        .same_site(SameSite::None)
        .http_only(false)
        .partitioned(true);
    layer_with(|builder| builder.cookie(cookie)).0
}

const CUSTOM: [&str; 5] = [
    "SameSite=None",
    "Partitioned",
    "Secure",
    "Path=/shop",
    "Domain=example.com",
];

#[tokio::test]
async fn a_custom_cookie() {
    let response = visit(&custom(), plain(), paint).await;
    let (pair, set) = parts(&set_cookies(&response)[0]);
    assert!(pair.starts_with("shop=") && pair.len() == 5 + 43);
    assert_eq!(set, attributes(&CUSTOM));
}

/// S34.
#[tokio::test]
async fn a_removal_repeats_every_attribute() {
    let layer = custom();
    let response = visit(&layer, plain(), paint).await;
    let (pair, _) = parts(&set_cookies(&response)[0]);
    let response = visit(&layer, with_header("cookie", pair), |session| {
        session.destroy().unwrap();
    })
    .await;
    let (pair, mut set) = parts(&set_cookies(&response)[0]);
    assert_eq!(pair, "shop=");
    assert!(set.remove("Max-Age=0"));
    let expires = set
        .iter()
        .find(|word| word.starts_with("Expires="))
        .cloned()
        .unwrap();
    assert!(set.remove(&expires) && expires.ends_with(" GMT"));
    assert_eq!(set, attributes(&CUSTOM));
    assert!(response.headers()["set-cookie"].is_sensitive());
    assert_eq!(header(&response, "cache-control"), ["no-store"]);
}

#[tokio::test]
async fn a_cookie_without_secure_where_that_is_asked_for() {
    let cookie = CookieConfig::new("id")
        .secure(false)
        .same_site(SameSite::Strict);
    let (layer, _, _) = layer_with(|builder| builder.cookie(cookie));
    let response = visit(&layer, plain(), paint).await;
    let (_, set) = parts(&set_cookies(&response)[0]);
    assert_eq!(set, attributes(&["HttpOnly", "SameSite=Strict", "Path=/"]));
}

#[tokio::test]
async fn the_commit_is_done_when_the_response_is_there() {
    let (layer, store) = layer();
    let response = visit(&layer, plain(), paint).await;
    assert_eq!((store.calls(), store.len()), (CREATED, 1));
    assert_eq!(
        colour(&layer, &token(&response)).await.as_deref(),
        Some("red")
    );
}

/// S37 and law 5.
#[tokio::test]
async fn an_untouched_session_costs_nothing() {
    let (layer, store) = layer();
    let token = stored(&layer).await;
    store.calls();
    for request in [plain(), holding(&token), holding(UNKNOWN)] {
        let response = run(&layer, request, |_| async { fine() }).await.unwrap();
        assert!(response.headers().is_empty());
        assert_eq!(store.calls(), UNTOUCHED);
    }
}

#[tokio::test]
async fn what_is_only_read_is_not_written() {
    let (layer, store) = layer();
    let token = stored(&layer).await;
    store.calls();
    let response = visit(&layer, holding(&token), |session| {
        assert_eq!(
            session.get::<String>("colour").unwrap().as_deref(),
            Some("blue")
        );
        session.insert("colour", "blue").unwrap();
        assert!(!session.remove("nothing"));
    })
    .await;
    assert_eq!(store.calls(), LOADED);
    assert_eq!(header(&response, "vary"), ["Cookie"]);
    assert_eq!(response.headers().len(), 1);
}

#[tokio::test]
async fn a_new_client_that_stores_nothing_costs_no_call_and_gets_no_cookie() {
    let (layer, store) = layer();
    let response = visit(&layer, plain(), |session| {
        paint(session);
        session.clear();
        session.renew().unwrap();
        assert!(session.is_new() && session.is_empty());
    })
    .await;
    assert_eq!(store.calls(), UNTOUCHED);
    assert!(set_cookies(&response).is_empty());
    assert_eq!(header(&response, "vary"), ["Cookie"]);
}

/// S35.
#[tokio::test]
async fn no_store_replaces_what_the_handler_said() {
    let (layer, _) = layer();
    let handler = async |request: http::Request<()>| -> Answer {
        paint(&request.session().await?);
        let mut response = fine()?;
        for value in ["public, max-age=3600", "immutable"] {
            response
                .headers_mut()
                .append("cache-control", HeaderValue::from_static(value));
        }
        Ok(response)
    };
    let response = run(&layer, plain(), handler).await.unwrap();
    assert_eq!(header(&response, "cache-control"), ["no-store"]);

    // Without a cookie of ours the handler's word stands.
    let read = run(&layer, holding(&token(&response)), handler)
        .await
        .unwrap();
    assert!(set_cookies(&read).is_empty());
    assert_eq!(
        header(&read, "cache-control"),
        ["public, max-age=3600", "immutable"]
    );
}

/// S36.
#[tokio::test]
async fn vary_stands_beside_the_handlers_own() {
    let (layer, _) = layer();
    for (own, expected) in [
        (&["Accept-Encoding"][..], &["Accept-Encoding", "Cookie"][..]),
        (&["accept-encoding, cookie"], &["accept-encoding, cookie"]),
        (
            &["Origin", "COOKIE , Accept"],
            &["Origin", "COOKIE , Accept"],
        ),
        (&["X-Cookie"], &["X-Cookie", "Cookie"]),
        (&["*"], &["*"]),
        (&["Origin, *"], &["Origin, *"]),
        (&[], &["Cookie"]),
    ] {
        let handler = |request: http::Request<()>| async move {
            paint(&request.session().await?);
            let mut response = fine()?;
            for value in own {
                response
                    .headers_mut()
                    .append("vary", HeaderValue::from_static(value));
            }
            Ok::<_, BoxError>(response)
        };
        let response = run(&layer, plain(), handler).await.unwrap();
        assert_eq!(header(&response, "vary"), expected);
    }
}

/// S29.
#[tokio::test]
async fn one_set_cookie_for_our_name_and_others_stay() {
    let (layer, _) = layer();
    let handler = async |request: http::Request<()>| -> Answer {
        paint(&request.session().await?);
        let mut response = fine()?;
        for value in [
            "theme=dark; Path=/",
            "__Host-id=stale; Secure; Path=/",
            "__Host-id2=other",
            " __Host-id =stale",
            "theme=light; Path=/shop",
            "__host-id=other",
        ] {
            response
                .headers_mut()
                .append("set-cookie", HeaderValue::from_static(value));
        }
        Ok(response)
    };
    let response = run(&layer, plain(), handler).await.unwrap();
    let cookies = set_cookies(&response);
    let others = [
        "theme=dark; Path=/",
        "__Host-id2=other",
        "theme=light; Path=/shop",
        "__host-id=other",
    ];
    assert_eq!(cookies[..4], others);
    let value = cookies[4].strip_prefix("__Host-id=").unwrap();
    assert!(
        colour(&layer, value.split(';').next().unwrap())
            .await
            .is_some()
    );
    assert_eq!(cookies.len(), 5);

    // With nothing of our own to say, nothing is replaced.
    let token = value.split(';').next().unwrap().to_owned();
    let response = run(&layer, holding(&token), handler).await.unwrap();
    assert_eq!(set_cookies(&response).len(), 6);
}

#[tokio::test]
async fn renewal_sends_a_new_token_and_the_old_one_is_dead() {
    let (layer, store) = layer();
    let old = stored(&layer).await;
    let response = visit(&layer, holding(&old), |session| {
        session.sign_in("user:1").unwrap();
    })
    .await;
    let new = token(&response);
    assert_ne!(old, new);
    assert_eq!(colour(&layer, &old).await, None);
    assert_eq!(colour(&layer, &new).await.as_deref(), Some("blue"));

    // Law 11: with the token that was just retired nothing is stored and nothing sent.
    store.calls();
    let response = visit(&layer, holding(&old), paint).await;
    assert!(set_cookies(&response).is_empty());
    assert_eq!((store.calls(), store.len()), (LOADED, 1));
}

#[tokio::test]
async fn a_destroyed_session_is_forgotten_and_an_insert_after_it_begins_anew() {
    let (layer, store) = layer();
    let old = stored(&layer).await;
    let response = visit(&layer, holding(&old), |session| session.destroy().unwrap()).await;
    assert!(is_removal(&response));
    assert_eq!(store.len(), 0);

    let old = stored(&layer).await;
    let response = visit(&layer, holding(&old), |session| {
        session.destroy().unwrap();
        paint(session);
    })
    .await;
    let new = token(&response);
    assert_ne!(new[..21], old[..21], "another id");
    assert_eq!(
        (colour(&layer, &old).await, colour(&layer, &new).await),
        (None, Some("red".to_owned()))
    );
}

/// Law 4.
#[tokio::test]
async fn only_a_session_that_this_request_destroyed_is_forgotten() {
    let (layer, _) = layer();
    for request in [plain(), holding(UNKNOWN), holding("garbage")] {
        let response = visit(&layer, request, |session| session.destroy().unwrap()).await;
        assert!(set_cookies(&response).is_empty());
    }
}

#[tokio::test]
async fn a_request_that_destroys_what_it_saved_itself_tells_nothing() {
    let (layer, store) = layer();
    let handler = async |request: http::Request<()>| -> Answer {
        let session = request.session().await?;
        paint(&session);
        session.save().await?;
        session.destroy()?;
        fine()
    };
    let response: Response<String> = run(&layer, plain(), handler).await.unwrap();
    assert_eq!((store.calls(), store.len()), ([0, 1, 0, 1], 0));
    assert!(set_cookies(&response).is_empty());
}
