use std::net::SocketAddr;

use futures_util::{SinkExt, StreamExt};
use session_http::testing::TestClient;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error as SocketError, Message as Sent};

use super::*;

async fn start(sessions: SessionLayer) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async { axum::serve(listener, app(sessions)).await });
    address
}

#[tokio::test]
async fn a_socket_is_closed_when_its_person_signs_out_elsewhere() {
    let sessions = SessionLayer::new(MemoryStore::new());
    let url = format!("ws://{}/socket", start(sessions.clone()).await);
    let Err(SocketError::Http(refused)) = connect_async(&url).await else {
        panic!("a guest is let in");
    };
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);

    let ann = TestClient::signed_in(&sessions, "ann").await.unwrap();
    let request = ann.request(url.into_client_request().unwrap());
    let (mut socket, _) = connect_async(request).await.unwrap();
    for expected in ["1: hello", "2: hello"] {
        socket.send(Sent::from("hello")).await.unwrap();
        let answer = socket.next().await.unwrap().unwrap();
        assert_eq!(answer.to_text().unwrap(), expected);
    }

    sessions.manager().sign_out_everywhere("ann").await.unwrap();
    let Sent::Close(Some(frame)) = socket.next().await.unwrap().unwrap() else {
        panic!("the socket is open");
    };
    assert_eq!(frame.reason, "Revoked");
}
