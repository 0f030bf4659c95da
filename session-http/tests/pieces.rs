//! Cookies that hold pieces of a session: what removes or replaces it removes them all, and
//! nobody else's.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use common::{Jar, TestStore, header, holding, visit, with_header};
use http::Response;
use session_core::{Codec, KeyRing, Session};
use session_http::cookie::{CookieStore, Sealing};
use session_http::layer::SessionLayerBuilder;
use session_http::{CookieConfig, HeaderConfig, SessionLayer};

fn signed() -> CookieStore {
    CookieStore::signed(KeyRing::new([1; 32]).unwrap())
}

/// Postcard, so that a text of N bytes takes N bytes and a few.
fn builder(chunks: usize) -> SessionLayerBuilder {
    SessionLayer::builder(signed().with_chunks(chunks).unwrap()).codec(Codec::Postcard)
}

fn layer(chunks: usize) -> SessionLayer {
    builder(chunks).build().unwrap()
}

/// A browser with a session of 7,000 bytes, which takes three cookies.
async fn large() -> Jar {
    let mut jar = Jar::default();
    jar.write(&layer(3), 7_000).await.unwrap();
    assert_eq!(jar.0.len(), 3);
    jar
}

#[tokio::test]
async fn a_write_under_fewer_chunks_removes_the_pieces_of_before() {
    for chunks in [1, 2] {
        let mut jar = large().await;
        jar.write(&layer(chunks), 100).await.unwrap();
        assert_eq!(jar.names(), ["__Host-id"], "{chunks} chunks");
        assert_eq!(jar.read(&layer(chunks)).await, Some(100));
        assert_eq!(jar.read(&layer(8)).await, Some(100));
    }
}

#[tokio::test]
async fn a_sign_out_under_fewer_chunks_removes_all_pieces_so_a_rollback_finds_nothing() {
    for chunks in [1, 2] {
        let mut jar = large().await;
        jar.visit(&layer(chunks), Session::destroy).await.unwrap();
        assert_eq!(jar.read(&layer(3)).await, None);
        assert_eq!(jar, Jar::default(), "{chunks} chunks");
    }
}

#[tokio::test]
async fn a_sign_in_under_fewer_chunks_replaces_all_pieces() {
    let mut jar = large().await;
    let one = layer(1);
    let signed_in = jar.visit(&one, |session| session.sign_in("user:1"));
    signed_in.await.unwrap();
    assert_eq!(jar.names(), ["__Host-id"]);
}

/// Law 4: what cannot be read is not removed before a handler says so.
#[tokio::test]
async fn a_read_under_fewer_chunks_removes_nothing() {
    let mut jar = large().await;
    let before = jar.clone();
    assert_eq!(jar.read(&layer(1)).await, None);
    assert_eq!(jar, before);
    assert_eq!(jar.read(&layer(3)).await, Some(7_000), "after a rollback");
}

#[tokio::test]
async fn more_chunks_than_before_go_on() {
    let mut jar = Jar::default();
    jar.write(&layer(1), 1_000).await.unwrap();
    assert_eq!(jar.read(&layer(8)).await, Some(1_000));
    jar.write(&layer(8), 20_000).await.unwrap();
    assert_eq!(jar.0.len(), 7);
    jar.write(&layer(2), 4_000).await.unwrap();
    assert_eq!(jar.0.len(), 2);
    jar.visit(&layer(1), Session::destroy).await.unwrap();
    assert_eq!(jar, Jar::default());
}

/// S30: some of them were evicted, the first one too.
#[tokio::test]
async fn a_sign_out_removes_what_is_left_of_half_evicted_pieces() {
    for chunks in [1, 2, 3] {
        for evicted in large().await.names() {
            let mut jar = large().await;
            jar.0.remove(evicted);
            jar.visit(&layer(chunks), Session::destroy).await.unwrap();
            assert_eq!(jar, Jar::default(), "{evicted} with {chunks} chunks");
        }
    }
}

/// Nothing but pieces, and some beyond what any store would write.
#[tokio::test]
async fn pieces_that_only_the_client_knows_of_go_with_the_session() {
    for chunks in [1, 3] {
        let layer = layer(chunks);
        for act in [Session::destroy as fn(&Session) -> _, |session| {
            session.insert("small", 1)
        }] {
            let mut jar = Jar::default();
            jar.write(&layer, 100).await.unwrap();
            for at in 1..=8 {
                jar.0.insert(format!("__Host-id~{at}"), format!("left{at}"));
            }
            jar.0.insert("__Host-id~4".to_owned(), String::new());
            jar.visit(&layer, act).await.unwrap();
            assert!(
                jar.0.keys().all(|name| name == "__Host-id"),
                "{:?}",
                jar.names()
            );
        }
    }
}

/// A site that has moved from the cookie store to one on the server.
#[tokio::test]
async fn a_store_on_the_server_tidies_the_pieces_of_a_cookie_store() {
    let server = SessionLayer::new(TestStore::new());
    let mut jar = large().await;
    jar.visit(&server, |session| session.insert("colour", "blue"))
        .await
        .unwrap();
    assert_eq!(jar.names(), ["__Host-id"]);
    jar.0.insert("__Host-id~1".to_owned(), "left".to_owned());
    jar.visit(&server, Session::destroy).await.unwrap();
    assert_eq!(jar, Jar::default());
}

/// The client holds the only copy of a sealed session: signed out is who holds none, also of one
/// that opens nothing for now.
#[tokio::test]
async fn a_sign_out_removes_a_sealed_session_that_does_not_open() {
    let ring = |key: u8| KeyRing::new([key; 32]).unwrap();
    let other_keys = SessionLayer::new(CookieStore::signed(ring(2)));
    let encrypted = SessionLayer::new(CookieStore::encrypted(ring(1)));
    let both = CookieStore::encrypted(ring(1)).with_former_sealing(Sealing::Signed);
    for now in [other_keys, encrypted] {
        let mut jar = Jar::default();
        jar.write(&layer(1), 100).await.unwrap();
        jar.visit(&now, Session::destroy).await.unwrap();
        assert_eq!(jar, Jar::default());
    }
    let mut jar = Jar::default();
    jar.write(&SessionLayer::new(signed()), 100).await.unwrap();
    assert_eq!(jar.read(&SessionLayer::new(both)).await, Some(100));
}

/// A sign-out and a visit of somebody else, in one request.
#[tokio::test]
async fn what_is_stored_after_the_sign_out_replaces_what_does_not_open() {
    let mut jar = large().await;
    let layer = layer(1);
    let visited = jar.visit(&layer, |session| {
        session.destroy()?;
        session.insert("text", "another")
    });
    visited.await.unwrap();
    assert_eq!(jar.names(), ["__Host-id"]);
    let found = jar.visit(&layer, |session| session.get::<String>("text"));
    assert_eq!(found.await.unwrap().as_deref(), Some("another"));
}

#[tokio::test]
async fn a_sign_out_of_a_client_without_a_sealed_session_tells_nothing() {
    let mut jar = Jar::default();
    jar.visit(&layer(3), Session::destroy).await.unwrap();
    assert_eq!(jar, Jar::default());
}

#[tokio::test]
async fn a_sealed_session_in_a_header_that_does_not_open_is_signed_out() {
    let build = |key: u8| {
        SessionLayer::builder(CookieStore::signed(KeyRing::new([key; 32]).unwrap()))
            .header(HeaderConfig::default())
            .build()
            .unwrap()
    };
    let response = visit(&build(1), common::plain(), |session| {
        session.insert("colour", "blue").unwrap();
    })
    .await;
    let token = header(&response, "x-session-token").remove(0);
    let request = with_header("x-session-token", &token);
    let response = visit(&build(2), request, |session| session.destroy().unwrap()).await;
    assert_eq!(header(&response, "x-session-token"), [""]);
    let request = with_header("x-session-token", "");
    let response = visit(&build(2), request, |session| session.destroy().unwrap()).await;
    assert!(header(&response, "x-session-token").is_empty());
}

/// A store on the server has the session itself: law 4 as ever.
#[tokio::test]
async fn a_sign_out_with_an_unknown_token_of_a_store_on_the_server_tells_nothing() {
    let server = SessionLayer::new(TestStore::new());
    for token in [common::UNKNOWN, "3.garbage"] {
        let response: Response<_> = visit(&server, holding(token), |session| {
            session.destroy().unwrap();
        })
        .await;
        assert!(common::set_cookies(&response).is_empty());
    }
}

fn shop(chunks: usize) -> SessionLayer {
    let cookie = CookieConfig::new("shop");
    builder(chunks).cookie(cookie).build().unwrap()
}

/// Cookies of the application whose names begin with ours.
#[tokio::test]
async fn cookies_of_the_application_stay() {
    let mut jar = Jar::default();
    let others = [
        "shop-1", "shop-2", "shop_1", "shop.1", "shop1", "shop-", "shop~", "shop~0", "shop~9",
        "shop~10", "shop~1x", "shop~a", "Shop~1", "shop-1-2",
    ];
    for name in others {
        jar.0.insert(name.to_owned(), "dark".to_owned());
    }
    let layer = shop(3);
    for bytes in [7_000, 10, 4_000] {
        jar.write(&layer, bytes).await.unwrap();
        assert_eq!(jar.read(&layer).await, Some(bytes));
    }
    jar.visit(&layer, Session::destroy).await.unwrap();
    assert_eq!(jar.0.len(), others.len(), "{:?}", jar.names());
    assert!(jar.0.values().all(|value| value == "dark"));
}

#[tokio::test]
async fn a_layer_whose_name_goes_on_with_a_number_keeps_its_session() {
    let cookie = CookieConfig::new("shop-1");
    let (shop, neighbour) = (shop(3), builder(3).cookie(cookie).build().unwrap());
    let mut jar = Jar::default();
    jar.write(&neighbour, 5_000).await.unwrap();
    for bytes in [7_000, 10] {
        jar.write(&shop, bytes).await.unwrap();
        assert_eq!(jar.read(&neighbour).await, Some(5_000));
    }
    jar.visit(&shop, Session::destroy).await.unwrap();
    assert_eq!(jar.read(&neighbour).await, Some(5_000));
    assert_eq!(jar.0.len(), 2);
}

#[test]
fn names_of_pieces_are_nobodys_name() {
    for name in ["shop~1", "shop~9", "__Host-id~2", "~1", "shop~1~1"] {
        let built = builder(1).cookie(CookieConfig::new(name)).build();
        let text = built
            .err()
            .map(|error| error.to_string())
            .unwrap_or_default();
        assert!(
            text.contains("pieces") && text.contains(name),
            "{name}: {text:?}"
        );
    }
    for name in ["shop~", "shop~12", "shop~x", "shop-1", "~1x"] {
        assert!(
            builder(1).cookie(CookieConfig::new(name)).build().is_ok(),
            "{name}"
        );
    }
}
