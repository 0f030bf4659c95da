//! `grpc`: tonic.

use session_frameworks::grpc::shop_client::ShopClient;
use session_frameworks::grpc::shop_server::ShopServer;
use session_frameworks::grpc::{Carts, Item, sessions};
use tonic::metadata::MetadataMap;
use tonic::transport::{Channel, Server};
use tonic::{Code, Request};

use crate::server::listen;

async fn connect() -> ShopClient<Channel> {
    let (listener, address) = listen().await;
    let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
    let server = Server::builder()
        .layer(sessions())
        .add_service(ShopServer::new(Carts));
    tokio::spawn(server.serve_with_incoming(incoming));
    ShopClient::connect(format!("http://{address}"))
        .await
        .unwrap()
}

fn item(name: &str, token: Option<&str>) -> Request<Item> {
    with(
        Item {
            name: name.to_owned(),
        },
        token,
    )
}

fn with<T>(message: T, token: Option<&str>) -> Request<T> {
    let mut request = Request::new(message);
    if let Some(token) = token {
        request
            .metadata_mut()
            .insert("x-session-token", token.parse().unwrap());
    }
    request
}

fn token(metadata: &MetadataMap) -> Option<String> {
    let token = metadata.get("x-session-token")?;
    Some(token.to_str().unwrap().to_owned())
}

#[tokio::test]
async fn calls_share_a_session_and_a_failed_one_leaves_it_alone() {
    let mut client = connect().await;
    let first = client.add(item("tea", None)).await.unwrap();
    let token = token(first.metadata()).unwrap();
    let refused = client.add(item("", Some(&token))).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    let second = client.add(item("cups", Some(&token))).await.unwrap();
    assert_eq!(
        super::tonic::token(second.metadata()),
        None,
        "an unchanged token is not sent again"
    );
    assert_eq!(second.into_inner().items, ["tea", "cups"]);
}

#[tokio::test]
async fn a_failed_first_call_begins_no_session() {
    let refused = connect().await.add(item("", None)).await.unwrap_err();
    assert_eq!(token(refused.metadata()), None);
}

#[tokio::test]
async fn a_stream_of_answers_saves_as_it_goes() {
    let mut client = connect().await;
    let mut stream = client.watch(item("tea", None)).await.unwrap();
    // The head came with the token of a session that was saved before the first answer.
    let token = token(stream.metadata()).unwrap();
    let first = stream.get_mut().message().await.unwrap().unwrap();
    assert_eq!(first.items, ["tea"]);
    while stream.get_mut().message().await.unwrap().is_some() {}
    let cart = client
        .add(item("cups", Some(&token)))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(cart.items, ["tea", "tea", "tea", "cups"]);
}

#[tokio::test]
async fn a_stream_of_questions_is_saved_as_a_whole() {
    let mut client = connect().await;
    let items = ["tea", "cups"].map(|name| Item {
        name: name.to_owned(),
    });
    let filled = client.fill(tokio_stream::iter(items)).await.unwrap();
    let token = token(filled.metadata()).unwrap();
    let cart = client
        .add(item("milk", Some(&token)))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(cart.items, ["tea", "cups", "milk"]);
}
