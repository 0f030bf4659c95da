//! Cookies of our name in other places (S29, S30): a browser tells cookies apart by name, domain
//! and path.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use common::*;
use http::{HeaderValue, Request};
use session_core::Session;
use session_http::{CookieConfig, SameSite, SessionExt, SessionLayer};

/// What the layer makes of a handler's own Set-Cookie headers beside its own.
async fn answer(layer: &SessionLayer, own: &[&'static str], act: impl Fn(&Session)) -> Vec<String> {
    let act = &act;
    let answer: Answer = run(layer, plain(), move |request: Request<()>| async move {
        act(&request.session().await?);
        let mut response = fine()?;
        for value in own {
            let value = HeaderValue::from_static(value);
            response.headers_mut().append("set-cookie", value);
        }
        Ok(response)
    })
    .await;
    set_cookies(&answer.unwrap())
}

fn layer_of(cookie: CookieConfig) -> SessionLayer {
    layer_with(|builder| builder.cookie(cookie)).0
}

fn paint(session: &Session) {
    session.insert("colour", "blue").unwrap();
}

/// Asserts which of these Set-Cookie headers stay beside ours, which comes last.
async fn assert_beside(cookie: CookieConfig, stays: bool, all: &[&'static str]) {
    let layer = layer_of(cookie);
    for own in all {
        let cookies = answer(&layer, &[own], paint).await;
        let (last, others) = cookies.split_last().unwrap();
        assert!(
            last.starts_with("id=") && !last.starts_with("id=;"),
            "ours comes last"
        );
        let expected: &[&str] = if stays { &[own] } else { &[] };
        assert_eq!(others, expected, "{own:?}");
    }
}

#[tokio::test]
async fn a_removal_in_another_place_stays() {
    let removals = [
        "id=; Path=/old; Max-Age=0",
        "id=; Max-Age=0; Path=/old/",
        "id=gone; path=/old; MAX-AGE=-1",
        "id=deleted; Path=/old; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
        "id=; expires=Thu, 01-Jan-1970 00:00:01 GMT; path=/old; secure; httponly",
        "id=; Path=/old; Expires=Wed, 21 Oct 2015 07:28:00 GMT",
        "id =; Path=/old; Max-Age=0",
        "id=; Domain=example.com; Path=/; Max-Age=0",
        "id=; Domain=.example.com; Max-Age=0",
        "id=; Domain=example.com; Path=/old; Max-Age=0",
    ];
    assert_beside(CookieConfig::new("id"), true, &removals).await;
    // Of the cookie that the host alone had, before it was given to a whole domain.
    let wide = || CookieConfig::new("id").domain("Example.com").path("/shop");
    let removals = [
        "id=; Path=/shop; Max-Age=0",
        "id=; Max-Age=0",
        "id=; Domain=example.com; Path=/; Max-Age=0",
        "id=; Domain=shop.example.com; Path=/shop; Max-Age=0",
        "id=; Domain=example.org; Path=/shop; Max-Age=0",
    ];
    assert_beside(wide(), true, &removals).await;
}

/// A browser keeps one cookie of a name for each top-level site, and one without. A site that moves
/// from the one to the other removes the former.
#[tokio::test]
async fn a_removal_of_the_cookie_in_another_partition_stays() {
    let of = |partitioned| {
        let cookie = CookieConfig::new("id").same_site(SameSite::None);
        cookie.partitioned(partitioned)
    };
    let without = "id=; Path=/; Secure; SameSite=None; Max-Age=0";
    let with = "id=; Path=/; Secure; SameSite=None; Partitioned; Max-Age=0";
    let valued = "id=; Secure; partitioned=1; Max-Age=0";
    assert_beside(of(true), true, &[without]).await;
    assert_beside(of(true), false, &[with, valued]).await;
    assert_beside(of(false), true, &[with, valued]).await;
    assert_beside(of(false), false, &[without]).await;
}

/// One that is about the very cookie, or that gives another value to our name.
#[tokio::test]
async fn what_would_undo_our_cookie_is_replaced() {
    let others = [
        "id=; Max-Age=0",
        "id=; Path=/; Max-Age=0",
        "id=; Path=; Max-Age=0",
        "id=; Path=old; Max-Age=0",
        "id=; Domain=; Path=/; Max-Age=0",
        "id=; Path=/old; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
        "id=other; Path=/old",
        "id=other; Path=/old; Max-Age=60",
        "id=other; Path=/old; Max-Age=60; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
        "id=other; Path=/old; Max-Age=soon",
        "id=other; Path=/old; Expires=Fri, 01 Jan 2100 00:00:00 GMT",
        "id=other; Path=/old; Expires=yesterday",
        "id=other; Domain=example.com",
        "id=; Path=/old",
    ];
    assert_beside(CookieConfig::new("id"), false, &others).await;
    let wide = || CookieConfig::new("id").domain(".example.com").path("/shop");
    let others = [
        "id=; Domain=EXAMPLE.com; Path=/shop; Max-Age=0",
        "id=; Domain=.example.com; Path=/shop; Max-Age=0",
        "id=; Domain=example.com; Max-Age=0",
    ];
    assert_beside(wide(), false, &others).await;
}

#[tokio::test]
async fn removals_of_several_places_stay_in_their_order() {
    let own = [
        "id=; Path=/a; Max-Age=0",
        "theme=dark",
        "id=stale",
        "id=; Path=/b; Max-Age=0",
        "id=; Path=/; Max-Age=0",
    ];
    let layer = layer_of(CookieConfig::new("id"));
    let cookies = answer(&layer, &own, paint).await;
    assert_eq!(cookies.len(), 4);
    assert_eq!(cookies[..3], [own[0], own[1], own[3]]);
    // With nothing to say of our own, nothing is replaced.
    assert_eq!(answer(&layer, &own, |_| ()).await, own);
}

/// Two cookies of our name, both of which open a session: somebody may have planted one of them.
async fn rivals(layer: &SessionLayer) -> ([String; 2], Request<()>) {
    let tokens = [stored(layer).await, stored(layer).await];
    let request = both(&tokens);
    (tokens, request)
}

fn both([one, other]: &[String; 2]) -> Request<()> {
    with_header(
        "cookie",
        format!("{NAME}={one}; theme=dark; {NAME}={other}"),
    )
}

#[tokio::test]
async fn with_two_live_sessions_nothing_is_created_and_neither_is_touched() {
    let (layer, store) = layer();
    let (tokens, _) = rivals(&layer).await;
    store.calls();
    for act in [|_: &Session| (), paint] {
        for _ in 0..3 {
            let response = visit(&layer, both(&tokens), |session| {
                assert!(session.is_new() && session.is_empty());
                act(session);
            })
            .await;
            assert!(set_cookies(&response).is_empty());
            assert_eq!(header(&response, "vary"), ["Cookie"]);
            assert_eq!(store.calls(), [2, 0, 0, 0]);
        }
    }
    assert_eq!(store.len(), 2);
    for token in &tokens {
        assert_eq!(colour(&layer, token).await.as_deref(), Some("blue"));
    }
}

#[tokio::test]
async fn with_two_live_sessions_a_sign_in_leads_back_to_one() {
    let (layer, _) = layer();
    let (tokens, request) = rivals(&layer).await;
    let response = visit(&layer, request, |session| {
        session.sign_in("user:1").unwrap();
    })
    .await;
    let new = token(&response);
    assert!(!tokens.contains(&new));
    for token in &tokens {
        assert_eq!(
            colour(&layer, token).await,
            None,
            "it could be the neighbour's"
        );
    }
    // Only one of the two places can be written: the other cookie still comes along, and opens
    // nothing.
    for other in tokens {
        visit(&layer, both(&[new.clone(), other.clone()]), |session| {
            assert_eq!(session.principal().as_deref(), Some("user:1"));
        })
        .await;
        visit(&layer, both(&[other, new.clone()]), |session| {
            assert_eq!(session.principal().as_deref(), Some("user:1"));
        })
        .await;
    }
}

#[tokio::test]
async fn with_two_live_sessions_a_sign_out_ends_both() {
    let (layer, _) = layer();
    let (tokens, request) = rivals(&layer).await;
    let response = visit(&layer, request, |session| session.destroy().unwrap()).await;
    assert!(is_removal(&response));
    for token in &tokens {
        assert_eq!(colour(&layer, token).await, None);
    }
}

/// Sealed sessions cannot be ended. The client gets another one, in the place that can be written.
#[tokio::test]
async fn with_two_sealed_sessions_a_sign_in_is_told_and_so_is_a_sign_out() {
    use session_http::cookie::CookieStore;
    let keys = session_core::KeyRing::new([1; 32]).unwrap();
    let layer = SessionLayer::new(CookieStore::signed(keys));
    let (tokens, request) = rivals(&layer).await;
    let response = visit(&layer, request, paint).await;
    assert!(set_cookies(&response).is_empty());
    let response = visit(&layer, both(&tokens), |session| {
        session.sign_in("user:1").unwrap();
    })
    .await;
    let new = token(&response);
    visit(&layer, holding(&new), |session| {
        assert_eq!(session.principal().as_deref(), Some("user:1"));
    })
    .await;
    let response = visit(&layer, both(&tokens), |session| session.destroy().unwrap()).await;
    assert!(is_removal(&response));
}

/// The form of a page that such a request gets can be sent by the next one.
#[tokio::test]
async fn with_two_live_sessions_a_form_can_be_shown_and_sent() {
    let keys = || session_core::KeyRing::new([1; 32]).unwrap();
    for layer in [layer().0, layer_with(|builder| builder.keys(keys())).0] {
        let (tokens, request) = rivals(&layer).await;
        let shown = std::sync::Mutex::new(String::new());
        let response = visit(&layer, request, |session| {
            *shown.lock().unwrap() = session.csrf_token().unwrap();
        })
        .await;
        assert!(set_cookies(&response).is_empty());
        let form = shown.into_inner().unwrap();
        let response = visit(&layer, both(&tokens), |session| {
            assert!(session.verify_csrf(&form));
            session.sign_in("user:1").unwrap();
        })
        .await;
        assert_eq!(token(&response).len(), tokens[0].len());
    }
}

/// A handler that knows where the other cookie came from can remove it, with the sign-in.
#[tokio::test]
async fn with_two_live_sessions_a_handler_removes_the_other_cookie() {
    let layer = layer_of(CookieConfig::new("id"));
    let mut tokens = Vec::new();
    for _ in 0..2 {
        let cookie = answer(&layer, &[], paint).await.remove(0);
        tokens.push(cookie.split(';').next().unwrap().to_owned());
    }
    let answer: Answer = run(
        &layer,
        with_header("cookie", tokens.join("; ")),
        async |request: Request<()>| {
            request.session().await?.sign_in("user:1")?;
            let mut response = fine()?;
            let removal = HeaderValue::from_static("id=; Domain=example.com; Path=/; Max-Age=0");
            response.headers_mut().append("set-cookie", removal);
            Ok(response)
        },
    )
    .await;
    let cookies = set_cookies(&answer.unwrap());
    assert_eq!(cookies[0], "id=; Domain=example.com; Path=/; Max-Age=0");
    assert!(cookies.len() == 2 && cookies[1].starts_with("id=") && !tokens.contains(&cookies[1]));
}
