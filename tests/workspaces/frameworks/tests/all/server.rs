//! Servers on loopback, and a client with a cookie jar for them.

use std::convert::Infallible;
use std::net::SocketAddr;

use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tower::Service;

/// A listener on a free port.
pub(crate) async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Serves a tower service, HTTP/1 and HTTP/2, until the test is over.
pub(crate) async fn serve<S, B>(service: S) -> SocketAddr
where
    S: Service<
            http::Request<Incoming>,
            Response = http::Response<B>,
            Error = Infallible,
            Future: Send,
        >,
    S: Clone + Send + 'static,
    B: http_body::Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>>
        + Send
        + 'static,
{
    let (listener, address) = listen().await;
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let service = TowerToHyperService::new(service.clone());
            tokio::spawn(async move {
                let server = auto::Builder::new(TokioExecutor::new());
                let _ = server.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    address
}

/// A browser without a face.
pub(crate) fn client() -> reqwest::Client {
    reqwest::Client::builder()
        .cookie_store(true)
        .build()
        .unwrap()
}

/// The same, for servers that speak HTTP/2 only.
pub(crate) fn http2() -> reqwest::Client {
    let builder = reqwest::Client::builder().cookie_store(true);
    builder.http2_prior_knowledge().build().unwrap()
}

/// The body of a page.
pub(crate) async fn page(client: &reqwest::Client, address: SocketAddr, path: &str) -> String {
    let response = client
        .get(format!("http://{address}{path}"))
        .send()
        .await
        .unwrap();
    response.text().await.unwrap()
}

/// The body of what a form leads to.
pub(crate) async fn post(client: &reqwest::Client, address: SocketAddr, path: &str) -> String {
    let response = client
        .post(format!("http://{address}{path}"))
        .send()
        .await
        .unwrap();
    response.text().await.unwrap()
}
