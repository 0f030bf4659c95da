//! A real hyper server on a loopback port, over HTTP/1 and HTTP/2.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::convert::Infallible;
use std::net::SocketAddr;

use bytes::Bytes;
use common::{BoxError, Call, Fault, TestStore};
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;
use hyper::client::conn;
use hyper::service::{Service, service_fn};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use session_http::{SessionExt, SessionLayer, with_session};
use tokio::net::{TcpListener, TcpStream};

type Page = Response<Full<Bytes>>;

/// The five-line embedding.
async fn handler(request: Request<Incoming>) -> Result<Page, BoxError> {
    let session = request.session().await?;
    let visits = session.get::<u64>("visits")?.unwrap_or(0) + 1;
    session.insert("visits", visits)?;
    Ok(Response::new(format!("visit {visits}\n").into()))
}

/// Serves until the test is over.
async fn serve<S>(service: S) -> SocketAddr
where
    S: Service<Request<Incoming>, Response = Page> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send + 'static,
{
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let service = service.clone();
            tokio::spawn(async move {
                let server = auto::Builder::new(TokioExecutor::new());
                let _ = server.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    address
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Version {
    One,
    Two,
}

const BOTH: [Version; 2] = [Version::One, Version::Two];

/// Status, body, and the cookie as a browser would send it back.
#[derive(Debug)]
struct Got {
    status: StatusCode,
    body: String,
    cookie: Option<String>,
}

async fn get(address: SocketAddr, version: Version, cookies: &[&str]) -> Got {
    let io = TokioIo::new(TcpStream::connect(address).await.unwrap());
    let mut request = Request::get("/").header("host", "localhost");
    if version == Version::Two {
        request = Request::get(format!("http://{address}/"));
    }
    for cookie in cookies {
        request = request.header("cookie", *cookie);
    }
    let request = request.body(Empty::<Bytes>::new()).unwrap();
    let response = match version {
        Version::One => {
            let (mut sender, connection) = conn::http1::handshake(io).await.unwrap();
            tokio::spawn(connection);
            sender.send_request(request).await.unwrap()
        }
        Version::Two => {
            let (mut sender, connection) = conn::http2::handshake(TokioExecutor::new(), io)
                .await
                .unwrap();
            tokio::spawn(connection);
            sender.send_request(request).await.unwrap()
        }
    };
    let status = response.status();
    let mut cookies = response.headers().get_all("set-cookie").iter();
    let cookie = cookies.next().map(|value| {
        value
            .to_str()
            .unwrap()
            .split(';')
            .next()
            .unwrap()
            .to_owned()
    });
    assert!(cookies.next().is_none());
    let body = response.into_body().collect().await.unwrap().to_bytes();
    Got {
        status,
        body: String::from_utf8(body.to_vec()).unwrap(),
        cookie,
    }
}

#[tokio::test]
async fn visits_are_counted() {
    let sessions = SessionLayer::new(TestStore::new());
    let address = serve(sessions.layer(service_fn(handler))).await;
    for version in BOTH {
        let first = get(address, version, &[]).await;
        assert_eq!(
            (first.status, first.body.as_str()),
            (StatusCode::OK, "visit 1\n")
        );
        let cookie = first.cookie.unwrap();
        for visit in 2..6 {
            let next = get(address, version, &["a=1", &cookie, "b=2"]).await;
            assert_eq!(next.body, format!("visit {visit}\n"), "{version:?}");
            assert_eq!(next.cookie, None);
        }
    }
}

#[tokio::test]
async fn one_session_over_both_protocols() {
    let address = serve(SessionLayer::new(TestStore::new()).layer(service_fn(handler))).await;
    let cookie = get(address, Version::One, &[]).await.cookie.unwrap();
    assert_eq!(
        get(address, Version::Two, &[&cookie]).await.body,
        "visit 2\n"
    );
    assert_eq!(
        get(address, Version::One, &[&cookie]).await.body,
        "visit 3\n"
    );
}

#[tokio::test]
async fn a_store_that_is_down_is_a_503_and_no_dropped_connection() {
    let store = TestStore::new();
    let address = serve(SessionLayer::new(store.clone()).layer(service_fn(handler))).await;
    let cookie = get(address, Version::One, &[]).await.cookie.unwrap();
    for call in [Call::Load, Call::Create, Call::Update] {
        store.fail(call, Fault::Down);
        for version in BOTH {
            let cookies: &[&str] = if call == Call::Create {
                &[]
            } else {
                &[&cookie]
            };
            let got = get(address, version, cookies).await;
            assert_eq!(
                (got.status, got.cookie),
                (StatusCode::SERVICE_UNAVAILABLE, None),
                "{call:?}"
            );
            assert_eq!(got.body, "");
        }
        store.repair();
    }
    assert_eq!(
        get(address, Version::Two, &[&cookie]).await.body,
        "visit 2\n"
    );
}

/// Law 1 through the whole server.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_updates_at_once_are_all_there() {
    let store = TestStore::new();
    let count = async |request: Request<Incoming>| -> Result<Page, BoxError> {
        let session = request.session().await?;
        session.update("visits", |visits: Option<u64>| visits.unwrap_or(0) + 1)?;
        Ok(Response::new(Full::default()))
    };
    let layer = SessionLayer::new(store.clone());
    let address = serve(layer.layer(service_fn(count))).await;
    let cookie = get(address, Version::One, &[]).await.cookie.unwrap();
    let requests = (1..50).map(|at| {
        let cookie = cookie.clone();
        tokio::spawn(async move { get(address, BOTH[at % 2], &[&cookie]).await.status })
    });
    for request in requests.collect::<Vec<_>>() {
        assert_eq!(request.await.unwrap(), StatusCode::OK);
    }
    let token = cookie.strip_prefix("__Host-id=").unwrap();
    let session = layer.manager().begin(&[token]).await.unwrap();
    assert_eq!(session.get::<u64>("visits").unwrap(), Some(50));
    assert_eq!(store.len(), 1);
}

/// The same handler as a hyper service and as a tower service.
#[tokio::test]
async fn a_session_for_one_handler() {
    let layer = SessionLayer::new(TestStore::new());
    let service = with_session(
        &layer,
        async |_: Request<Incoming>, session: session_core::Session| {
            let visits = session.update("visits", |visits: Option<u64>| visits.unwrap_or(0) + 1)?;
            Ok::<Page, session_core::SessionError>(Response::new(
                format!("visit {visits}\n").into(),
            ))
        },
    );
    let address = serve(service).await;
    for version in BOTH {
        let first = get(address, version, &[]).await;
        assert_eq!(first.body, "visit 1\n");
        assert_eq!(
            get(address, version, &[&first.cookie.unwrap()]).await.body,
            "visit 2\n"
        );
    }

    let service = with_session(
        &layer,
        async |_: Request<()>, session: session_core::Session| {
            let visits = session.update("visits", |visits: Option<u64>| visits.unwrap_or(0) + 1)?;
            Ok::<_, session_core::SessionError>(Response::new(format!("visit {visits}\n")))
        },
    );
    let response = tower::ServiceExt::oneshot(service, common::plain())
        .await
        .unwrap();
    assert_eq!(response.body(), "visit 1\n");
    assert_eq!(common::token(&response).len(), 43);
}

#[tokio::test]
async fn a_handler_that_fails_drops_the_connection_and_nothing_is_stored() {
    let store = TestStore::new();
    let failing = async |request: Request<Incoming>| -> Result<Page, BoxError> {
        request.session().await?.insert("visits", 1)?;
        Err("on purpose".into())
    };
    let address = serve(SessionLayer::new(store.clone()).layer(service_fn(failing))).await;
    let io = TokioIo::new(TcpStream::connect(address).await.unwrap());
    let (mut sender, connection) = conn::http1::handshake(io).await.unwrap();
    tokio::spawn(connection);
    let request = Request::get("/").body(Empty::<Bytes>::new()).unwrap();
    assert!(sender.send_request(request).await.is_err());
    assert_eq!((store.calls(), store.len()), ([0; 4], 0));
}

/// The service's error type stays the inner one's.
#[test]
fn the_error_type_is_the_inner_one() {
    fn error_of<S>(_: &S) -> &'static str
    where
        S: Service<Request<Incoming>>,
    {
        std::any::type_name::<S::Error>()
    }
    let inner = service_fn(async |_: Request<Incoming>| {
        Ok::<Page, Infallible>(Response::new(Full::default()))
    });
    let service = SessionLayer::new(TestStore::new()).layer(inner);
    assert_eq!(error_of(&service), std::any::type_name::<Infallible>());
}
