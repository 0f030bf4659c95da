//! Cookie headers as clients, and those who mean harm, send them.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use common::*;
use http::{HeaderValue, Request};
use session_core::KeyRing;
use session_http::SessionLayer;

/// The colour that a handler finds, and what the response sets.
async fn seen(layer: &SessionLayer, request: Request<()>) -> (Option<String>, Vec<String>) {
    let found = std::sync::Mutex::new(None);
    let response = visit(layer, request, |session| {
        *found.lock().unwrap() = session.get("colour").unwrap();
    })
    .await;
    (found.into_inner().unwrap(), set_cookies(&response))
}

/// Asserts that these Cookie headers open the session, or none, and set nothing.
async fn assert_seen(layer: &SessionLayer, headers: &[&str], expected: Option<&str>) {
    let mut request = plain();
    for header in headers {
        let value = HeaderValue::from_bytes(header.as_bytes()).unwrap();
        request.headers_mut().append("cookie", value);
    }
    let (colour, cookies) = seen(layer, request).await;
    assert_eq!(colour.as_deref(), expected);
    assert!(cookies.is_empty());
}

#[tokio::test]
async fn the_cookie_is_found_among_others() {
    let (layer, _) = layer();
    let token = stored(&layer).await;
    let own = format!("__Host-id={token}");
    let blue = Some("blue");
    assert_seen(&layer, &[&format!("a=1; {own}; b=2")], blue).await;
    assert_seen(&layer, &[&format!("a=1;{own};b=2")], blue).await;
    assert_seen(&layer, &[&format!(" \t{own}\t ;; ;")], blue).await;
    assert_seen(&layer, &[&format!("__Host-id \t= \t{token}")], blue).await;
    assert_seen(&layer, &[&format!("a=\"x; {own}; y\"")], blue).await;
    // HTTP/2 may split the header.
    assert_seen(&layer, &["a=1", &own, "b=2"], blue).await;
    assert_seen(&layer, &["a=1; b=2", "c=3", &format!("d=4; {own}")], blue).await;
    let others = |from: u32| {
        (from..from + 100)
            .map(|n| format!("cookie{n}=value{n}; "))
            .collect::<String>()
    };
    assert_seen(
        &layer,
        &[&format!("{}{own}; {}last=1", others(0), others(100))],
        blue,
    )
    .await;
}

/// S27.
#[tokio::test]
async fn only_the_very_name_counts() {
    let (layer, store) = layer();
    let token = stored(&layer).await;
    store.calls();
    for name in [
        "__host-id",
        "__HOST-ID",
        "__Host-Id",
        "__Host-id2",
        "__Host-i",
        "x__Host-id",
        "__Host-id-1",
        "id",
        "=__Host-id",
        "\"__Host-id\"",
        "$__Host-id",
        "__Host-id;",
        "__Host_id",
        "__Host-id[]",
        "__Host-id%20",
    ] {
        assert_seen(&layer, &[&format!("{name}={token}")], None).await;
        assert_eq!(store.calls(), [0; 4], "{name}");
    }
    assert_seen(&layer, &[&format!("__Host-id{token}")], None).await;
    assert_seen(&layer, &[&format!("a=__Host-id={token}")], None).await;
    assert_seen(&layer, &[&format!("a={token}, __Host-id={token}")], None).await;
    assert_eq!(store.calls(), [0; 4]);
}

#[tokio::test]
async fn values_that_are_no_token_are_a_clean_miss() {
    let (layer, store) = layer();
    let token = stored(&layer).await;
    store.calls();
    let long = "A".repeat(100 * 1024);
    for value in [
        "".to_owned(),
        "\"\"".to_owned(),
        format!("\"{token}\""),
        format!("{token}="),
        format!("{token}A"),
        token[..42].to_owned(),
        token[1..].to_owned(),
        format!("{} {}", &token[..20], &token[20..]),
        format!("{token}{token}"),
        format!("1.{token}"),
        format!("2.{token}"),
        "%00".to_owned(),
        "../../etc/passwd".to_owned(),
        long,
    ] {
        assert_seen(&layer, &[&format!("__Host-id={value}")], None).await;
        assert_eq!(store.calls(), [0; 4], "{} characters", value.len());
    }
}

#[tokio::test]
async fn bytes_that_are_no_text_are_a_clean_miss() {
    let (layer, store) = layer();
    let token = stored(&layer).await;
    store.calls();
    let own = format!("__Host-id={token}");
    for (bytes, expected) in [
        (b"__Host-id=\xff\xfe".to_vec(), None),
        ([own.as_bytes(), b"\xe9"].concat(), None),
        // Those of other cookies do not matter.
        ([b"a=\xff; ", own.as_bytes()].concat(), Some("blue")),
        (
            [b"\xff=1; ", own.as_bytes(), b"; b=\xe9"].concat(),
            Some("blue"),
        ),
    ] {
        let (colour, cookies) = seen(&layer, with_header("cookie", bytes)).await;
        assert_eq!((colour.as_deref(), cookies.len()), (expected, 0));
    }
}

/// S3 and S4: whatever comes, what is stored gets a token of our own.
#[tokio::test]
async fn no_token_is_adopted() {
    let (layer, store) = layer();
    let truncated = &UNKNOWN[..42];
    for value in [UNKNOWN, "garbage", "", truncated] {
        let before = store.len();
        let response = visit(&layer, holding(value), |session| {
            assert!(session.is_new() && session.is_empty());
        })
        .await;
        assert!(
            set_cookies(&response).is_empty(),
            "law 4: a miss removes nothing"
        );
        assert_eq!(store.len(), before);

        let response = visit(&layer, holding(value), |session| {
            session.insert("colour", "red").unwrap();
        })
        .await;
        let new = token(&response);
        assert_ne!(new, value);
        assert_ne!(new[..21], UNKNOWN[..21], "another id");
        assert_eq!(colour(&layer, &new).await.as_deref(), Some("red"));
        assert_eq!(colour(&layer, value).await, None);
    }
}

/// S30: a live one among garbage is found.
#[tokio::test]
async fn duplicates() {
    let (layer, store) = layer();
    let live = format!("__Host-id={}", stored(&layer).await);
    let blue = Some("blue");
    let garbage = "__Host-id=garbage";
    let unknown = format!("__Host-id={UNKNOWN}");
    assert_seen(&layer, &[&format!("{garbage}; {live}")], blue).await;
    assert_seen(&layer, &[&format!("{live}; {garbage}")], blue).await;
    assert_seen(&layer, &[&unknown, &live], blue).await;
    assert_seen(&layer, &[garbage, &unknown, garbage, &live], blue).await;
    store.calls();
    assert_seen(&layer, &[&live, &live, &live], blue).await;
    assert_eq!(
        store.calls(),
        [1, 0, 0, 0],
        "one token three times is loaded once"
    );
}

#[tokio::test]
async fn up_to_four_are_tried() {
    let (layer, store) = layer();
    let live = format!("__Host-id={}", stored(&layer).await);
    let unknown = |n: usize| format!("__Host-id={n}{}", &UNKNOWN[1..]);
    let list = |misses: usize| {
        let mut all: Vec<_> = (0..misses).map(unknown).collect();
        all.push(live.clone());
        all.extend((5..9).map(unknown));
        all.join("; ")
    };
    store.calls();
    assert_seen(&layer, &[&list(3)], Some("blue")).await;
    assert_eq!(store.calls(), [4, 0, 0, 0]);
    assert_seen(&layer, &[&list(4)], None).await;
    assert_eq!(store.calls(), [4, 0, 0, 0]);
}

/// S5 and law 6: with keys, a token that we did not issue costs no call.
#[tokio::test]
async fn a_forged_token_never_reaches_the_store() {
    let keys = KeyRing::new([1; 32]).unwrap();
    let (layer, store, _) = layer_with(|builder| builder.keys(keys));
    let token = stored(&layer).await;
    assert_eq!(token.len(), 65);
    store.calls();
    assert_seen(&layer, &[&format!("__Host-id={token}")], Some("blue")).await;
    assert_eq!(store.calls(), [1, 0, 0, 0]);
    let flipped = |at: usize| {
        let mut bytes = token.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        String::from_utf8(bytes).unwrap()
    };
    for value in [
        flipped(0),
        flipped(21),
        flipped(30),
        flipped(43),
        flipped(60),
        token[..43].to_owned(),
        token[..64].to_owned(),
        format!("{token}A"),
        format!("{UNKNOWN}{}", &token[43..]),
        UNKNOWN.to_owned(),
    ] {
        assert_seen(&layer, &[&format!("__Host-id={value}")], None).await;
        assert_eq!(store.calls(), [0; 4]);
    }
}

/// S6: what stands in the address is not looked at.
#[tokio::test]
async fn a_token_in_the_address_is_none() {
    let (layer, store) = layer();
    let token = stored(&layer).await;
    store.calls();
    let mut request = plain();
    *request.uri_mut() = format!("/path;__Host-id={token}?__Host-id={token}")
        .parse()
        .unwrap();
    assert_eq!(seen(&layer, request).await, (None, vec![]));
    assert_eq!(store.calls(), [0; 4]);
    for name in [
        "__Host-id",
        "x-session-token",
        "authorization",
        "set-cookie",
        "cookie2",
    ] {
        assert_eq!(
            seen(&layer, with_header(name, format!("__Host-id={token}")))
                .await
                .0,
            None
        );
        assert_eq!(seen(&layer, with_header(name, &token)).await.0, None);
    }
    assert_eq!(store.calls(), [0; 4]);
}
