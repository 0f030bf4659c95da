//! `stacks`: what is around sessions, and what inside.

use std::sync::Arc;

use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use session_frameworks::stacks::{self, Body, Boxed};
use session_http::{MemoryStore, SessionLayer};
use tower::{Service, ServiceExt};

struct Stack {
    service: Boxed,
    store: Arc<MemoryStore>,
}

struct Got {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Got {
    fn cookie(&self) -> Option<String> {
        let cookie = self.headers.get("set-cookie")?.to_str().unwrap();
        Some(cookie.split(';').next().unwrap().to_owned())
    }
}

fn both() -> [(&'static str, Stack); 2] {
    let stack = |make: fn(SessionLayer) -> Boxed| {
        let store = Arc::new(MemoryStore::new());
        let service = make(SessionLayer::new(Arc::clone(&store)));
        Stack { service, store }
    };
    [
        ("around", stack(stacks::around)),
        ("inside", stack(stacks::inside)),
    ]
}

impl Stack {
    async fn ask(
        &mut self,
        path: &str,
        headers: &[(&'static str, &str)],
        body: &'static str,
    ) -> Got {
        let mut request = Request::builder().uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::from(body)).unwrap();
        let response = self
            .service
            .ready()
            .await
            .unwrap()
            .call(request)
            .await
            .unwrap();
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes().to_vec();
        Got {
            status: head.status,
            headers: head.headers,
            body,
        }
    }

    async fn visits(&mut self, cookie: &str) -> String {
        let got = self.ask("/", &[("cookie", cookie)], "").await;
        let text = String::from_utf8(got.body).unwrap();
        text.split(" and").next().unwrap().to_owned()
    }
}

#[tokio::test]
async fn compression_and_cors_leave_the_cookie_alone() {
    for (order, mut stack) in both() {
        let headers = [
            ("accept-encoding", "gzip"),
            ("origin", "https://shop.example"),
        ];
        let got = stack.ask("/", &headers, "").await;
        assert_eq!(got.headers["content-encoding"], "gzip", "{order}");
        assert_eq!(
            got.headers["access-control-allow-credentials"], "true",
            "{order}"
        );
        assert_eq!(got.headers["cache-control"], "no-store", "{order}");
        let vary: Vec<_> = got
            .headers
            .get_all("vary")
            .iter()
            .map(|value| value.to_str().unwrap())
            .collect();
        let vary = vary.join(", ").to_ascii_lowercase();
        for name in ["cookie", "accept-encoding"] {
            assert!(vary.contains(name), "{order}: {vary}");
        }
        assert_eq!(
            stack.visits(&got.cookie().unwrap()).await,
            "visit 2",
            "{order}"
        );
    }
}

#[tokio::test]
async fn a_preflight_touches_no_session() {
    for (order, mut stack) in both() {
        let request = Request::builder()
            .method("OPTIONS")
            .header("origin", "https://shop.example")
            .header("access-control-request-method", "POST")
            .body(Body::default())
            .unwrap();
        let response = stack
            .service
            .ready()
            .await
            .unwrap()
            .call(request)
            .await
            .unwrap();
        assert_eq!(response.status(), 200, "{order}");
        assert!(!response.headers().contains_key("set-cookie"), "{order}");
        assert!(stack.store.is_empty(), "{order}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_timeout_saves_nothing() {
    for (order, mut stack) in both() {
        let cookie = stack.ask("/", &[], "").await.cookie().unwrap();
        let got = stack.ask("/slow", &[("cookie", &cookie)], "").await;
        assert_eq!(got.status, StatusCode::REQUEST_TIMEOUT, "{order}");
        assert_eq!(got.cookie(), None, "{order}");
        assert_eq!(stack.visits(&cookie).await, "visit 2", "{order}");
        let stranger = stack.ask("/slow", &[], "").await;
        assert_eq!((stranger.cookie(), stack.store.len()), (None, 1), "{order}");
    }
}

#[tokio::test]
async fn a_panic_saves_nothing() {
    for (order, mut stack) in both() {
        let cookie = stack.ask("/", &[], "").await.cookie().unwrap();
        let got = stack.ask("/panic", &[("cookie", &cookie)], "").await;
        assert_eq!(got.status, StatusCode::INTERNAL_SERVER_ERROR, "{order}");
        assert_eq!(stack.visits(&cookie).await, "visit 2", "{order}");
        stack.ask("/panic", &[], "").await;
        assert_eq!(stack.store.len(), 1, "{order}");
    }
}

#[tokio::test]
async fn a_body_that_is_too_large_touches_no_session() {
    const LARGE: &str =
        "a body of more than the sixty-four octets that are taken here, by far too many";
    for (order, mut stack) in both() {
        let length = LARGE.len().to_string();
        let got = stack.ask("/", &[("content-length", &length)], LARGE).await;
        assert_eq!(
            (got.status, got.cookie()),
            (StatusCode::PAYLOAD_TOO_LARGE, None),
            "{order}"
        );
        assert!(stack.store.is_empty(), "{order}");
    }
}

#[tokio::test]
async fn who_is_turned_away_saves_nothing() {
    for make in [stacks::shedding, stacks::shedding_inside] {
        let store = Arc::new(MemoryStore::new());
        let service = make(SessionLayer::new(Arc::clone(&store)));
        let ask = |path: &str, cookie: Option<&str>| {
            let mut request = Request::builder().uri(path);
            if let Some(cookie) = cookie {
                request = request.header("cookie", cookie);
            }
            service
                .clone()
                .oneshot(request.body(Body::default()).unwrap())
        };
        let first = ask("/", None).await.unwrap();
        let cookie = first.headers()["set-cookie"].to_str().unwrap();
        let cookie = cookie.split(';').next().unwrap();
        // One that never ends holds the only place; of many more, those beyond the buffer are
        // turned away.
        let slow = tokio::spawn(ask("/slow", Some(cookie)));
        tokio::task::yield_now().await;
        let crowd: Vec<_> = (0..64)
            .map(|_| tokio::spawn(ask("/", Some(cookie))))
            .collect();
        for _ in 0..200 {
            tokio::task::yield_now().await;
        }
        slow.abort();
        let (mut served, mut refused) = (0, 0);
        for one in crowd {
            match one.await.unwrap() {
                Ok(_) => served += 1,
                Err(error) => {
                    assert!(error.is::<tower::load_shed::error::Overloaded>(), "{error}");
                    refused += 1;
                }
            }
        }
        assert!(served > 0 && refused > 0, "{served} {refused}");
        let last = ask("/", Some(cookie)).await.unwrap();
        let body = last.into_body().collect().await.unwrap().to_bytes();
        let expected = format!("visit {} and", served + 2);
        assert!(
            body.starts_with(expected.as_bytes()),
            "{body:?}, not {expected}"
        );
    }
}

#[tokio::test]
async fn a_body_without_default_or_sync() {
    let store = Arc::new(MemoryStore::new());
    let service = stacks::odd(SessionLayer::new(Arc::clone(&store)));
    let response = service.oneshot(stacks::odd_request()).await.unwrap();
    assert!(response.headers().contains_key("set-cookie"));
    assert_eq!(store.len(), 1);

    // The store has no room: the response is made by `on_error`.
    let service = stacks::odd(SessionLayer::new(MemoryStore::with_capacity(0)));
    let response = service.oneshot(stacks::odd_request()).await.unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, "sorry");
}
