//! Sealed sessions in one cookie, and spread over several.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use common::{BoxError, Jar, run, text};
use http::{Request, Response};
use session_core::{Codec, KeyRing, Limit, Limits, Session, SessionError};
use session_http::cookie::CookieStore;
use session_http::layer::SessionLayerBuilder;
use session_http::{CookieConfig, HeaderConfig, SessionExt, SessionLayer};

const LARGEST: usize = 4_096;

fn store(chunks: usize) -> CookieStore {
    let store = CookieStore::signed(KeyRing::new([1; 32]).unwrap());
    store.with_chunks(chunks).unwrap()
}

/// Postcard, so that a text of N bytes takes N bytes and a few.
fn builder(chunks: usize) -> SessionLayerBuilder {
    SessionLayer::builder(store(chunks)).codec(Codec::Postcard)
}

fn layer(chunks: usize) -> SessionLayer {
    builder(chunks).build().unwrap()
}

/// The longest text that a new session takes.
async fn largest(layer: &SessionLayer) -> usize {
    let (mut fits, mut fails) = (0, 100_000);
    while fails - fits > 1 {
        let middle = (fits + fails) / 2;
        match Jar::default().write(layer, middle).await {
            Ok(()) => fits = middle,
            Err(_) => fails = middle,
        }
    }
    fits
}

/// S28 and S41: whatever insert accepts, a browser keeps; and the estimate wastes little.
#[tokio::test]
async fn the_largest_session_of_one_cookie() {
    for cookie in [
        CookieConfig::default(),
        CookieConfig::new("a".repeat(256)),
        CookieConfig::new("a"),
    ] {
        let layer = builder(1).cookie(cookie).build().unwrap();
        let largest = largest(&layer).await;
        let mut jar = Jar::default();
        jar.write(&layer, largest).await.unwrap();
        assert!(
            (LARGEST - 200..=LARGEST).contains(&jar.sizes()[0]),
            "{:?}",
            jar.sizes()
        );
        assert_eq!(jar.read(&layer).await, Some(largest));
        let before = jar.clone();
        let error = jar.write(&layer, largest + 1).await.unwrap_err();
        let limit = LARGEST - layer.name().len();
        assert!(
            matches!(
                error,
                SessionError::Limit(exceeded) if exceeded.which() == Limit::TokenBytes
                    && exceeded.limit() == limit && exceeded.size() > limit
            ),
            "{error}"
        );
        let text = error.to_string();
        assert!(
            text.contains(&limit.to_string()) && text.contains("bytes"),
            "{text}"
        );
        assert_eq!(jar, before, "nothing is sent");
        assert_eq!(
            jar.read(&layer).await,
            Some(largest),
            "the session is as it was"
        );
    }
}

#[tokio::test]
async fn the_largest_session_of_several_cookies() {
    for chunks in [2, 3, 8] {
        let layer = layer(chunks);
        let largest = largest(&layer).await;
        let mut jar = Jar::default();
        jar.write(&layer, largest).await.unwrap();
        assert_eq!(jar.0.len(), chunks);
        assert!(
            jar.sizes().iter().sum::<usize>() >= LARGEST * chunks - 200,
            "{:?}",
            jar.sizes()
        );
        assert_eq!(jar.read(&layer).await, Some(largest));
        let error = jar.write(&layer, largest + 1).await.unwrap_err();
        let limit = chunks * (LARGEST - "__Host-id~1".len());
        assert!(matches!(
            error,
            SessionError::Limit(exceeded) if exceeded.limit() == limit
        ));
        assert_eq!(jar.read(&layer).await, Some(largest));
    }
}

/// Around each boundary, byte by byte.
#[tokio::test]
async fn just_fits_and_one_more() {
    let layer = layer(3);
    let mut counts = Vec::new();
    for around in [2_900, 5_950] {
        for bytes in around..around + 150 {
            let mut jar = Jar::default();
            jar.write(&layer, bytes).await.unwrap();
            assert_eq!(jar.read(&layer).await, Some(bytes));
            counts.push((jar.0.len(), jar.sizes()[0]));
        }
    }
    assert!(counts.is_sorted_by_key(|(count, _)| *count));
    assert_eq!(counts.first().unwrap().0, 1);
    assert_eq!(counts.last().unwrap().0, 3);
    // A base64 text grows by one or two characters a byte, so the last that fits fills its cookie.
    let fullest = counts
        .iter()
        .filter(|(count, _)| *count == 1)
        .map(|(_, size)| *size)
        .max();
    assert!(fullest >= Some(LARGEST - 1), "{fullest:?}");
}

#[tokio::test]
async fn names_of_chunks() {
    let (layer, mut jar) = (layer(3), Jar::default());
    jar.write(&layer, 7_000).await.unwrap();
    assert_eq!(jar.names(), ["__Host-id", "__Host-id~1", "__Host-id~2"]);
    assert!(jar.0["__Host-id"].starts_with("3."));
}

#[tokio::test]
async fn a_smaller_session_removes_the_chunks_that_are_left_over() {
    let (layer, mut jar) = (layer(3), Jar::default());
    for (bytes, names) in [
        (7_000, &["__Host-id", "__Host-id~1", "__Host-id~2"][..]),
        (4_000, &["__Host-id", "__Host-id~1"]),
        (10, &["__Host-id"]),
        (7_000, &["__Host-id", "__Host-id~1", "__Host-id~2"]),
        (10, &["__Host-id"]),
    ] {
        jar.write(&layer, bytes).await.unwrap();
        assert_eq!(jar.names(), names);
        assert_eq!(jar.read(&layer).await, Some(bytes));
    }
}

#[tokio::test]
async fn the_end_of_a_session_removes_all_chunks() {
    let (layer, mut jar) = (layer(3), Jar::default());
    jar.write(&layer, 7_000).await.unwrap();
    jar.visit(&layer, Session::destroy).await.unwrap();
    assert_eq!(jar, Jar::default());
}

/// S30: half-evicted chunks are survived.
#[tokio::test]
async fn a_chunk_that_is_missing_swapped_or_stale_is_a_clean_miss() {
    let layer = layer(3);
    let (mut jar, mut later) = (Jar::default(), Jar::default());
    jar.write(&layer, 7_000).await.unwrap();
    later.write(&layer, 6_990).await.unwrap();
    let names = ["__Host-id", "__Host-id~1", "__Host-id~2"];
    for (at, name) in names.into_iter().enumerate() {
        let mut missing = jar.clone();
        missing.0.remove(name);
        let mut stale = jar.clone();
        stale.0.insert(name.to_owned(), later.0[name].clone());
        let mut swapped = jar.clone();
        let other = names[(at + 1) % 3];
        swapped.0.insert(name.to_owned(), jar.0[other].clone());
        swapped.0.insert(other.to_owned(), jar.0[name].clone());
        for (how, mut damaged) in [("missing", missing), ("stale", stale), ("swapped", swapped)] {
            let before = damaged.clone();
            assert_eq!(damaged.read(&layer).await, None, "{name} is {how}");
            assert_eq!(damaged, before, "law 4: a miss removes nothing");
            // What is stored next is whole again.
            damaged.write(&layer, 20).await.unwrap();
            assert_eq!(damaged.read(&layer).await, Some(20));
            assert_eq!(damaged.names(), ["__Host-id"]);
        }
    }
    assert_eq!(jar.read(&layer).await, Some(7_000));
}

#[tokio::test]
async fn counts_that_are_none() {
    let (layer, mut jar) = (layer(3), Jar::default());
    jar.write(&layer, 7_000).await.unwrap();
    let head = jar.0["__Host-id"].strip_prefix("3.").unwrap().to_owned();
    for count in [
        "",
        "0.",
        "1.",
        "2.",
        "4.",
        "9.",
        "-3.",
        "+3.",
        "03.",
        "99999999999999999999999.",
        "3..",
        ".",
        "x.",
    ] {
        let mut forged = jar.clone();
        forged
            .0
            .insert("__Host-id".to_owned(), format!("{count}{head}"));
        assert_eq!(forged.read(&layer).await, None, "{count:?}");
    }
}

#[tokio::test]
async fn fewer_chunks_than_before_end_what_is_too_long() {
    let (three, one, mut jar) = (layer(3), layer(1), Jar::default());
    jar.write(&three, 7_000).await.unwrap();
    assert_eq!(jar.read(&one).await, None);
    let mut jar = Jar::default();
    jar.write(&three, 100).await.unwrap();
    assert_eq!(jar.read(&one).await, Some(100));
}

#[tokio::test]
async fn a_token_limit_beyond_what_the_cookies_hold_is_no_way_around_it() {
    for chunks in [1, 2] {
        let expected = largest(&layer(chunks)).await;
        let wide = builder(chunks).max_token(20_000);
        if let Ok(layer) = wide.build() {
            assert_eq!(largest(&layer).await, expected);
        }
    }
}

/// The size is checked with the metadata that the session will have.
#[tokio::test]
async fn a_sign_in_before_the_largest_insert_is_found_at_the_insert() {
    let layer = layer(1);
    let (largest, principal) = (largest(&layer).await, "user:".repeat(40));
    let mut jar = Jar::default();
    let inserted = jar.visit(&layer, |session| {
        session.sign_in(&principal)?;
        session.insert("text", text(largest))
    });
    assert!(matches!(inserted.await, Err(SessionError::Limit(_))));
}

#[tokio::test]
async fn a_sign_in_that_does_not_fit_is_found_at_the_sign_in() {
    let layer = layer(1);
    let (largest, principal) = (largest(&layer).await, "user:".repeat(40));
    let mut jar = Jar::default();
    jar.write(&layer, largest).await.unwrap();
    let signed_in = jar
        .visit(&layer, |session| session.sign_in(&principal))
        .await;
    assert!(matches!(signed_in, Err(SessionError::Limit(_))));
    let labelled = jar
        .visit(&layer, |session| session.set_label(&principal))
        .await;
    assert!(matches!(labelled, Err(SessionError::Limit(_))));
    assert_eq!(jar.read(&layer).await, Some(largest));
}

#[tokio::test]
async fn signing_in_again_takes_no_more_room() {
    let (layer, principal) = (layer(1), "user:".repeat(40));
    let fits = largest(&layer).await - principal.len();
    let mut jar = Jar::default();
    for _ in 0..2 {
        let outcome = jar.visit(&layer, |session| {
            session.sign_in(&principal)?;
            session.insert("text", text(fits))
        });
        outcome.await.unwrap();
        assert_eq!(jar.read(&layer).await, Some(fits));
    }
}

#[tokio::test]
async fn a_sealed_session_in_a_header_has_the_room_of_one_cookie() {
    let layer = builder(3).header(HeaderConfig::default()).build().unwrap();
    let fits = async |bytes: usize| {
        let response = run(&layer, Request::new(()), async |request: Request<()>| {
            let inserted = request.session().await?.insert("text", text(bytes)).is_ok();
            Ok::<_, BoxError>(Response::new(inserted))
        });
        let response = response.await.unwrap();
        let sent = response
            .headers()
            .get("x-session-token")
            .map(|token| token.len());
        (*response.body(), sent)
    };
    let (inserted, sent) = fits(2_800).await;
    assert!(inserted && sent.is_some_and(|length| length <= LARGEST));
    assert_eq!(fits(3_200).await, (false, None));
}

#[tokio::test]
async fn other_limits_still_hold() {
    let small = Limits::default().with_record_bytes(1_000);
    let layer = builder(3).limits(small).build().unwrap();
    let error = Jar::default().write(&layer, 1_000).await.unwrap_err();
    assert!(
        matches!(
            error,
            SessionError::Limit(exceeded) if exceeded.limit() == 1_000
        ),
        "{error}"
    );
}
