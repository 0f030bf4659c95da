//! Cookies of our name in other places (S29, S30): a browser tells cookies apart by name, domain and path.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use common::*;
use http::{HeaderValue, Request};
use session_core::Session;
use session_http::{CookieConfig, SessionExt, SessionLayer};

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
