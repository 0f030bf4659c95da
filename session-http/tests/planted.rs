//! Cookies of our name that somebody planted in front of the client's own (S30).
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use common::*;
use http::HeaderValue;
use session_core::{KeyRing, MemoryStore, Session, SessionManager};
use session_http::cookie::{CookieStore, Sealing};
use session_http::{HeaderConfig, SessionLayer};

fn ring(key: u8) -> KeyRing {
    KeyRing::new([key; 32]).unwrap()
}

fn paint(session: &Session) {
    session.insert("colour", "blue").unwrap();
}

/// The colour that a client finds whose cookies these are, in this order.
async fn seen(layer: &SessionLayer, values: impl IntoIterator<Item = String>) -> Option<String> {
    let pairs: Vec<_> = values
        .into_iter()
        .map(|value| format!("{NAME}={value}"))
        .collect();
    let found = std::sync::Mutex::new(None);
    let response = visit(layer, with_header("cookie", pairs.join("; ")), |session| {
        *found.lock().unwrap() = session.get("colour").unwrap();
    })
    .await;
    assert!(set_cookies(&response).is_empty());
    found.into_inner().unwrap()
}

/// A token with another character at this place.
fn flipped(token: &str, at: usize) -> String {
    let mut bytes = token.as_bytes().to_vec();
    bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
    String::from_utf8(bytes).unwrap()
}

/// As many cookies as a browser keeps of one site.
const FULL: usize = 180;

/// A jar full of values that are not sealed sessions of this store, of each kind.
async fn planted(real: &str) -> Vec<(&'static str, Vec<String>)> {
    let of = |make: &dyn Fn(usize) -> String| (0..FULL).map(make).collect::<Vec<_>>();
    let server = SessionLayer::new(MemoryStore::new());
    let mut tokens = Vec::new();
    for _ in 0..FULL {
        tokens.push(stored(&server).await);
    }
    let other_keys = SessionLayer::new(CookieStore::signed(ring(9)));
    let mut sealed = Vec::new();
    for at in 0..FULL {
        let response = visit(&other_keys, plain(), |session| {
            session.insert("at", at).unwrap();
        })
        .await;
        sealed.push(token(&response));
    }
    vec![
        ("short", of(&|at| format!("garbage{at}"))),
        (
            "one character",
            of(&|at| char::from(b'a' + (at % 26) as u8).to_string()),
        ),
        ("long", of(&|at| format!("{at}{}", "A".repeat(300 + at)))),
        ("tokens of a store on the server", tokens),
        ("sealed with other keys", sealed),
        ("another version", of(&|at| format!("Ag{}{at}", &real[2..]))),
        (
            "another algorithm",
            of(&|at| format!("AQM{}{at}", &real[3..])),
        ),
        (
            "another key",
            of(&|at| flipped(real, 3 + at % 5) + &"A".repeat(4 * at)),
        ),
        (
            "cut off",
            of(&|at| real[..real.len() - 1 - at % 100].to_owned()),
        ),
        (
            "forged, with the right first bytes",
            of(&|at| flipped(real, 40 + at % (real.len() - 40))),
        ),
        (
            "the first of several pieces",
            of(&|at| format!("{}.{real}", 2 + at % 8)),
        ),
    ]
}

#[tokio::test]
async fn nothing_that_is_not_a_sealed_session_hides_one() {
    for store in [CookieStore::signed, CookieStore::encrypted] {
        let layer = SessionLayer::new(store(ring(1)).with_former_sealing(Sealing::Signed));
        let real = token(&visit(&layer, plain(), paint).await);
        for (kind, garbage) in planted(&real).await {
            assert_eq!(garbage.len(), FULL);
            let in_front = garbage.iter().cloned().chain([real.clone()]);
            assert_eq!(
                seen(&layer, in_front).await.as_deref(),
                Some("blue"),
                "{kind}"
            );
            let behind = [real.clone()].into_iter().chain(garbage.iter().cloned());
            assert_eq!(
                seen(&layer, behind).await.as_deref(),
                Some("blue"),
                "{kind} behind"
            );
            assert_eq!(seen(&layer, garbage).await, None, "{kind} alone");
        }
    }
}

#[tokio::test]
async fn several_headers_of_garbage_hide_no_sealed_session() {
    let layer = SessionLayer::builder(CookieStore::signed(ring(1)))
        .header(HeaderConfig::default())
        .build()
        .unwrap();
    let response = visit(&layer, plain(), paint).await;
    let mut request = plain();
    for at in 0..100 {
        let value = HeaderValue::from_str(&format!("garbage{at}")).unwrap();
        request.headers_mut().append("x-session-token", value);
    }
    let real = response.headers()["x-session-token"].clone();
    request.headers_mut().append("x-session-token", real);
    visit(&layer, request, |session| assert!(!session.is_new())).await;
}

/// Shorter than any token, however many there are; with keys and without.
#[tokio::test]
async fn any_number_of_short_values_hides_nothing() {
    let sealed = SessionLayer::new(CookieStore::signed(ring(1)));
    let plain_tokens = layer().0;
    let signed_tokens = layer_with(|builder| builder.keys(ring(1))).0;
    for layer in [sealed, plain_tokens, signed_tokens] {
        let real = token(&visit(&layer, plain(), paint).await);
        for short in [1, 20, 42] {
            let garbage = |from: usize| (from..from + 500).map(move |at| format!("{at:0short$}"));
            let values = garbage(0).chain([real.clone()]).chain(garbage(500));
            assert_eq!(
                seen(&layer, values).await.as_deref(),
                Some("blue"),
                "{short}"
            );
        }
    }
}

/// A token of a store on the server is ours by its form, and with keys by its MAC.
#[tokio::test]
async fn values_of_another_length_hide_no_token_of_a_store_on_the_server() {
    let plain_tokens = layer().0;
    let signed_tokens = layer_with(|builder| builder.keys(ring(1))).0;
    for (layer, signed) in [(plain_tokens, false), (signed_tokens, true)] {
        let real = token(&visit(&layer, plain(), paint).await);
        let of = |make: &dyn Fn(usize) -> String| (0..FULL).map(make).collect::<Vec<_>>();
        let mut kinds = vec![
            of(&|at| format!("{real}{}", "A".repeat(1 + at))),
            of(&|at| real[..real.len() - 1 - at % 15].to_owned()),
            // Spare bits that are not zero.
            of(&|at| format!("{at:042}B")),
            of(&|at| format!("{at:042}.")),
            of(&|at| "A".repeat(if signed { 43 } else { 65 }) + &"A".repeat(66 * (at % 15))),
        ];
        if signed {
            kinds.push(of(&|at| flipped(&real, at % real.len())));
            kinds.push(of(&|at| format!("{at:0width$}", width = real.len())));
        }
        for garbage in kinds {
            let values = garbage.into_iter().chain([real.clone()]);
            assert_eq!(seen(&layer, values).await.as_deref(), Some("blue"));
        }
    }
}

#[tokio::test]
async fn different_sealed_sessions_still_make_an_anonymous_request() {
    let manager = SessionManager::for_transport(CookieStore::signed(ring(1)), NAME, 4_000);
    let layer = SessionLayer::new(CookieStore::signed(ring(1)));
    let mut tokens = Vec::new();
    for _ in 0..3 {
        tokens.push(token(&visit(&layer, plain(), paint).await));
    }
    let all: Vec<&str> = tokens.iter().map(String::as_str).collect();
    assert!(manager.begin(&all).await.unwrap().is_new());
    assert!(!manager.begin(&all[..1]).await.unwrap().is_new());
}
