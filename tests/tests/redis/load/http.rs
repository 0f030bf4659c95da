//! The load, by way of the layer: requests and responses with cookies.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use ::http::header::{COOKIE, SET_COOKIE};
use ::http::{Request, Response};
use hyper::service::{Service, service_fn};
use session_core::SessionId;
use session_core::store::RecordKey;
use session_core::{Clock, SystemClock};
use session_http::{SessionExt, SessionLayer};
use session_redis::Layout;
use session_tests::{Rng, numbers, open, patient_timeouts};
use tokio::task::JoinSet;

use super::is_session;
use super::load::PREFIX;
use super::site::Site;

const TASKS: u64 = 64;
const REQUESTS: u64 = 4_000;
const SESSIONS: usize = 12;
/// Of those, how many nobody ends.
const STAY: usize = 6;

type BoxError = Box<dyn Error + Send + Sync>;

/// Adds to the number that all share, inserts one of its own, and goes.
async fn handler(request: Request<String>) -> Result<Response<String>, BoxError> {
    let session = request.session().await?;
    if session.is_new() && request.uri().path() != "/new" {
        return Ok(Response::new("stranger".to_owned()));
    }
    match request.uri().path() {
        "/new" => session.insert("n", 0)?,
        "/out" => session.destroy()?,
        key => {
            session.update("n", |n: Option<u64>| n.unwrap_or(0) + 1)?;
            session.insert(key, 1)?;
        }
    }
    let id = session.id().map(|id| id.encode()).unwrap_or_default();
    Ok(Response::new(id))
}

async fn layer(site: &Site) -> SessionLayer {
    let builder = SessionLayer::builder(site.store(PREFIX).await);
    builder.timeouts(patient_timeouts()).build().unwrap()
}

/// The response to a request with this token, and the cookie that it sets.
async fn visit(
    layer: &SessionLayer,
    path: &str,
    token: &str,
) -> (Response<String>, Option<String>) {
    let service = layer.layer(service_fn(handler));
    let cookie = format!("__Host-id={token}");
    let request = Request::builder()
        .uri(path)
        .header(COOKIE, cookie)
        .body(String::new())
        .unwrap();
    let response = service.call(request).await.unwrap();
    assert_eq!(response.status(), 200);
    let cookie = response.headers().get(SET_COOKIE).map(|cookie| {
        let cookie = cookie.to_str().unwrap().strip_prefix("__Host-id=").unwrap();
        cookie.split(';').next().unwrap().to_owned()
    });
    (response, cookie)
}

struct Client {
    token: String,
    added: AtomicU64,
    inserted: Vec<AtomicU64>,
    /// 0: lives. 1: somebody ends it. 2: that has been answered.
    end: AtomicU64,
}

async fn task(layers: Arc<Vec<SessionLayer>>, clients: Arc<Vec<Client>>, who: u64) {
    let rng = Rng::new(who);
    for _ in 0..REQUESTS / TASKS {
        let layer = &layers[rng.below(layers.len())];
        let at = rng.below(clients.len());
        let client = &clients[at];
        if at >= STAY && rng.below(60) == 0 {
            client.end.fetch_max(1, Ordering::SeqCst);
            let (response, cookie) = visit(layer, "/out", &client.token).await;
            assert!(
                cookie.is_none_or(|cookie| cookie.is_empty()),
                "a token at the end"
            );
            if response.body() != "stranger" {
                client.end.store(2, Ordering::SeqCst);
            }
            continue;
        }
        let key = format!("/key{}", rng.below(client.inserted.len()));
        let ended = client.end.load(Ordering::SeqCst);
        let (response, cookie) = visit(layer, &key, &client.token).await;
        assert_eq!(
            cookie, None,
            "a cookie, though nothing was renewed; ended: {ended}"
        );
        match response.body().as_str() {
            "stranger" => assert!(client.end.load(Ordering::SeqCst) > 0, "nobody has ended it"),
            _ => {
                assert!(ended < 2, "opened after its end");
                client.added.fetch_add(1, Ordering::SeqCst);
                let key: usize = key["/key".len()..].parse().unwrap();
                client.inserted[key].store(1, Ordering::SeqCst);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_over_http_lose_nothing_and_bring_nothing_back() {
    let site = Site::one(Layout::Fields);
    let layers = [layer(&site).await, layer(&site).await];
    let mut clients = Vec::new();
    let mut ids: Vec<SessionId> = Vec::new();
    for _ in 0..SESSIONS {
        let (_, token) = visit(&layers[0], "/new", "").await;
        let token = token.unwrap();
        ids.extend(open(layers[0].manager(), &token).await.id());
        clients.push(Client {
            token,
            added: AtomicU64::new(0),
            inserted: (0..8).map(|_| AtomicU64::new(0)).collect(),
            end: AtomicU64::new(0),
        });
    }
    let (layers, clients) = (Arc::new(Vec::from(layers)), Arc::new(clients));
    let begin = Instant::now();
    let mut tasks = JoinSet::new();
    for who in 0..TASKS {
        tasks.spawn(task(layers.clone(), clients.clone(), who));
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    println!(
        "over http: {:.0} requests/s",
        REQUESTS as f64 / begin.elapsed().as_secs_f64()
    );
    let manager = layers[0].manager();
    let truth = site.truth(PREFIX);
    let mut ended = 0;
    for (client, id) in clients.iter().zip(ids) {
        let found = manager
            .store()
            .load(&RecordKey::Id(id), SystemClock.now())
            .await
            .unwrap();
        if client.end.load(Ordering::SeqCst) > 0 {
            let over = found.is_none_or(|record| record.ended().is_some());
            assert!(over && !is_session(&truth, id), "it is back");
            ended += 1;
            continue;
        }
        let stored = numbers(open(manager, &client.token).await.session());
        assert_eq!(
            stored["n"],
            client.added.load(Ordering::SeqCst),
            "an update is lost"
        );
        for (key, inserted) in client.inserted.iter().enumerate() {
            let there = u64::from(stored.contains_key(&format!("/key{key}")));
            assert_eq!(there, inserted.load(Ordering::SeqCst), "key {key}");
        }
    }
    assert!(ended > 0, "nobody logged out");
}
