//! `web`: axum.

use std::net::SocketAddr;
use std::sync::Arc;

use futures_util::{SinkExt, StreamExt};
use session_frameworks::web;
use session_http::{MemoryStore, SessionLayer};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::server::{client, listen, page, post};

async fn serve(store: &Arc<MemoryStore>) -> SocketAddr {
    let (listener, address) = listen().await;
    let app = web::app(SessionLayer::new(Arc::clone(store)));
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

/// What a browser would send back.
async fn cookie(address: SocketAddr) -> String {
    let response = reqwest::get(format!("http://{address}/")).await.unwrap();
    let cookie = response.headers()["set-cookie"].to_str().unwrap();
    cookie.split(';').next().unwrap().to_owned()
}

#[tokio::test]
async fn signing_in_shopping_and_signing_out() {
    let store = Arc::new(MemoryStore::new());
    let address = serve(&store).await;
    let client = client();
    assert_eq!(page(&client, address, "/health").await, "well");
    assert_eq!(page(&client, address, "/shop/cart").await, "");
    assert!(store.is_empty(), "nothing was stored yet");
    assert_eq!(page(&client, address, "/").await, "visit 1 by a guest");
    assert_eq!(post(&client, address, "/shop/cart/tea").await, "tea");
    assert_eq!(
        post(&client, address, "/sign-in/ann").await,
        "visit 2 by user:ann"
    );
    assert_eq!(post(&client, address, "/shop/cart/cups").await, "tea cups");
    assert_eq!(page(&client, address, "/shop/cart").await, "tea cups");
    assert_eq!(store.len(), 1);
    assert_eq!(
        post(&client, address, "/sign-out").await,
        "visit 1 by a guest"
    );
    assert_eq!(page(&client, address, "/shop/cart").await, "");
    assert_eq!(store.len(), 1, "the one that began after signing out");
}

#[tokio::test]
async fn a_web_socket_uses_the_session_after_the_upgrade() {
    let address = serve(&Arc::new(MemoryStore::new())).await;
    let cookie = cookie(address).await;
    for (connection, expected) in [["1: a", "2: b"], ["3: a", "4: b"]].into_iter().enumerate() {
        let mut request = format!("ws://{address}/socket")
            .into_client_request()
            .unwrap();
        request
            .headers_mut()
            .insert("cookie", cookie.parse().unwrap());
        let (mut socket, response) = tokio_tungstenite::connect_async(request).await.unwrap();
        assert_eq!(response.status(), 101);
        assert!(
            !response.headers().contains_key("set-cookie"),
            "{connection}"
        );
        for (text, expected) in ["a", "b"].into_iter().zip(expected) {
            socket.send(Message::text(text)).await.unwrap();
            let answer = socket.next().await.unwrap().unwrap();
            assert_eq!(answer.to_text().unwrap(), expected);
        }
    }
}

#[tokio::test]
async fn a_web_socket_of_a_stranger_begins_no_session() {
    let store = Arc::new(MemoryStore::new());
    let address = serve(&store).await;
    let (mut socket, _) = tokio_tungstenite::connect_async(format!("ws://{address}/socket"))
        .await
        .unwrap();
    socket.send(Message::text("a")).await.unwrap();
    let answer = socket.next().await.unwrap().unwrap();
    assert!(
        answer.to_text().unwrap().starts_with("no session: "),
        "{answer}"
    );
    assert!(store.is_empty());
    drop(socket.close(None).await.or_else(|error| match error {
        Error::ConnectionClosed => Ok(()),
        error => Err(error),
    }));
}

#[tokio::test]
async fn a_web_socket_is_closed_when_somebody_signs_out() {
    let store = Arc::new(MemoryStore::new());
    let address = serve(&store).await;
    let cookie = cookie(address).await;
    let mut request = format!("ws://{address}/socket")
        .into_client_request()
        .unwrap();
    request
        .headers_mut()
        .insert("cookie", cookie.parse().unwrap());
    let (mut socket, _) = tokio_tungstenite::connect_async(request).await.unwrap();
    socket.send(Message::text("a")).await.unwrap();
    assert_eq!(
        socket.next().await.unwrap().unwrap().to_text().unwrap(),
        "1: a"
    );
    let client = reqwest::Client::new();
    let leave = client
        .post(format!("http://{address}/sign-out"))
        .header("cookie", &cookie);
    leave.send().await.unwrap();
    // Nothing is sent: the server closes by itself.
    let Message::Close(Some(close)) = socket.next().await.unwrap().unwrap() else {
        panic!("it was not closed");
    };
    assert_eq!(close.code, CloseCode::Policy);
    assert_eq!(close.reason.as_str(), "Destroyed");
}

#[tokio::test]
async fn server_sent_events_save_in_mid_stream() {
    let address = serve(&Arc::new(MemoryStore::new())).await;
    let cookie = cookie(address).await;
    let client = reqwest::Client::new();
    let events = client
        .get(format!("http://{address}/events"))
        .header("cookie", &cookie);
    let text = events.send().await.unwrap().text().await.unwrap();
    assert_eq!(text, "data: 1 true\n\ndata: 2 true\n\ndata: 3 true\n\n");
    let stranger = client.get(format!("http://{address}/events"));
    let text = stranger.send().await.unwrap().text().await.unwrap();
    assert!(text.starts_with("data: 1 false"), "{text}");
}
