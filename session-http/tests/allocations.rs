//! What a session costs in allocations over the bare service: budgets that hold.
//!
//! The request is built before counting starts. Its cookie header has shared bytes, as
//! hyper's parser makes them, so that to clone it allocates nothing.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "the counts are worth seeing")]

use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderValue, Request, Response};
use serde::{Deserialize, Serialize};
use session_core::{Codec, KeyRing, MemoryStore, Session};
use session_http::cookie::CookieStore;
use session_http::{SessionExt, SessionLayer};
use tower::{Service, service_fn};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct User {
    name: String,
    mail: String,
    street: String,
    city: String,
    roles: Box<str>,
}

fn user() -> User {
    User {
        name: "Ann Example".into(),
        mail: "ann@example.org".into(),
        street: "1 Long Street".into(),
        city: "Springfield".into(),
        roles: "author,editor".into(),
    }
}

/// Eight keys.
fn fill(session: &Session) -> Result<(), session_core::SessionError> {
    session.insert("user", user())?;
    session.insert("cart", vec![("an item in the cart", 3_u32, 1999_u64); 5])?;
    session.insert("visits", 1_u64)?;
    session.insert("theme", "dark")?;
    session.insert("locale", "en-GB")?;
    session.insert("zone", "Europe/London")?;
    session.insert("seen_banner", true)?;
    session.insert("last_search", "a red bicycle")
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

fn run<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
    }
}

/// Allocations of one call of a service with this cookie.
fn count<S, E>(service: &mut S, cookie: Option<&HeaderValue>) -> (u64, Response<()>)
where
    S: Service<Request<()>, Response = Response<()>, Error = E>,
    E: std::fmt::Debug,
{
    let mut request = Request::new(());
    if let Some(cookie) = cookie {
        request.headers_mut().insert(COOKIE, cookie.clone());
    }
    let mut response = None;
    let info = allocation_counter::measure(|| response = Some(run(service.call(request)).unwrap()));
    (info.count_total, response.unwrap())
}

/// The cookie of a response, as a request brings it.
fn cookie(response: &Response<()>) -> HeaderValue {
    let cookie = response.headers()[SET_COOKIE].to_str().unwrap();
    let pair = cookie.split(';').next().unwrap().to_owned();
    HeaderValue::from_maybe_shared(Bytes::from_owner(pair)).unwrap()
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Job {
    Nothing,
    Read,
    Write,
    Update,
    Create,
}
use Job::{Create, Nothing, Read, Update, Write};

/// A number that no session holds yet.
static NEXT: AtomicU64 = AtomicU64::new(10);

async fn handle(request: Request<()>, job: Job) -> Result<Response<()>, BoxError> {
    match job {
        Nothing => {}
        // A struct of five heap fields.
        Read => assert!(request.session().await?.get::<User>("user")?.is_some()),
        Write => request
            .session()
            .await?
            .insert("visits", NEXT.fetch_add(1, Ordering::Relaxed))?,
        Update => {
            let session = request.session().await?;
            session.update("visits", |n: Option<u64>| n.unwrap_or(0) + 1)?;
        }
        Create => fill(&request.session().await?)?,
    }
    Ok(Response::new(()))
}

/// Allocations of a job over the bare service.
fn measure(layer: &SessionLayer, job: Job) -> u64 {
    let mut bare = service_fn(|_: Request<()>| async { Ok::<_, Infallible>(Response::new(())) });
    let mut create = layer.layer(service_fn(|request| handle(request, Create)));
    let mut service = layer.layer(service_fn(move |request| handle(request, job)));
    let cookie = cookie(&count(&mut create, None).1);
    let cookie = (job != Create).then_some(&cookie);
    // What is set up once (thread locals, derived keys) does not count.
    count(&mut service, cookie);
    let (base, _) = count(&mut bare, cookie);
    let (with, _) = count(&mut service, cookie);
    with - base
}

#[track_caller]
fn within_budget(layer: &SessionLayer, name: &str, budgets: [(Job, u64); 5]) {
    let counts = budgets.map(|(job, budget)| (job, measure(layer, job), budget));
    println!("allocations, {name}: (job, counted, budget) {counts:?}");
    assert!(
        counts.iter().all(|(_, n, budget)| n <= budget),
        "{name}: {counts:?}"
    );
}

#[test]
fn memory_store() {
    let budgets = [
        (Nothing, 4),
        (Read, 13),
        (Write, 16),
        (Update, 18),
        (Create, 29),
    ];
    for codec in [Codec::Json, Codec::Postcard] {
        let builder = || SessionLayer::builder(MemoryStore::new()).codec(codec);
        let plain = builder().build().unwrap();
        within_budget(&plain, &format!("memory, {codec:?}"), budgets);
        let signed = builder()
            .keys(KeyRing::new([1; 32]).unwrap())
            .build()
            .unwrap();
        within_budget(&signed, &format!("memory with MACs, {codec:?}"), budgets);
        // A store that only hands its calls on adds nothing.
        let pointed = SessionLayer::builder(Arc::new(MemoryStore::new())).codec(codec);
        let pointed = pointed.build().unwrap();
        within_budget(&pointed, &format!("memory in an Arc, {codec:?}"), budgets);
    }
}

#[test]
fn cookie_store() {
    let budgets = [
        (Nothing, 4),
        (Read, 19),
        (Write, 29),
        (Update, 31),
        (Create, 31),
    ];
    let ring = || KeyRing::new([1; 32]).unwrap();
    within_budget(
        &SessionLayer::new(CookieStore::signed(ring())),
        "signed cookie",
        budgets,
    );
    within_budget(
        &SessionLayer::new(CookieStore::encrypted(ring())),
        "encrypted cookie",
        budgets,
    );
}

/// One buffer for all values of a record, whatever their number.
#[cfg(feature = "sealed-values")]
#[test]
fn sealed_values() {
    let budgets = [
        (Nothing, 4),
        (Read, 14),
        (Write, 29),
        (Update, 31),
        (Create, 37),
    ];
    for codec in [Codec::Json, Codec::Postcard] {
        let builder = SessionLayer::builder(MemoryStore::new()).codec(codec);
        let keys = KeyRing::new([1; 32]).unwrap();
        let layer = builder.seal_values(keys).build().unwrap();
        within_budget(&layer, &format!("memory, sealed, {codec:?}"), budgets);
    }
}
