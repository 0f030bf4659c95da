//! One visitor's browser: a jar of cookies and some connections.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use reqwest::cookie::{CookieStore, Jar};
use reqwest::header::{COOKIE, HeaderMap, HeaderValue, SET_COOKIE};
use reqwest::{Body, Client, Method, StatusCode, Url};
use session_http::SessionId;
use session_soak::{ON_PURPOSE, Page};

use crate::BoxError;
use crate::disturbances::{Cause, Failure, Fault, Write};
use crate::slot::session_in;
use crate::upload::UPLOAD;
use crate::world::{Request, Tally, Visit, World};

/// Longer than any upload.
const PATIENCE: Duration = Duration::from_secs(60);
/// A connection that is idle for so long is closed, before the balancer closes it at 90 s. On one
/// that just closes, a request fails that nothing disturbs.
const IDLE: Duration = Duration::from_secs(20);

/// What a request came to.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    Done(Page),
    /// A page that fails on purpose, and stores nothing.
    OnPurpose(Page),
    /// A 4xx, which stores nothing here.
    Refused,
    /// A 5xx or a cut connection.
    Unknown,
}

#[derive(Debug)]
pub(crate) struct Browser {
    pub(crate) world: Arc<World>,
    base: Url,
    client: Client,
    jar: Arc<Jar>,
    visit: Mutex<Current>,
}

/// The visit that it is used for, the cookies that it was sent in it, the newest last, and the
/// writes without which its session is another one.
#[derive(Debug, Default)]
struct Current {
    visit: Visit,
    cookies: Vec<String>,
    writes: Vec<Write>,
}

impl Browser {
    pub(crate) fn new(world: Arc<World>, visit: Visit) -> Result<Self, BoxError> {
        let jar = Arc::new(Jar::default());
        let client = builder().cookie_provider(Arc::clone(&jar)).build()?;
        Ok(Self {
            base: world.base.parse()?,
            world,
            client,
            jar,
            visit: Mutex::new(Current {
                visit,
                ..Current::default()
            }),
        })
    }

    /// What it sends as `Cookie`.
    pub(crate) fn cookie(&self) -> Option<String> {
        let cookies = self.jar.cookies(&self.base)?;
        cookies.to_str().ok().map(str::to_owned)
    }

    /// The cookies that it was sent in this visit, the newest last.
    pub(crate) fn held(&self) -> Vec<String> {
        self.current().cookies.clone()
    }

    /// The session of its cookie, also if no page has named it yet.
    pub(crate) fn session(&self) -> Option<SessionId> {
        let current = self.current();
        current.cookies.last().and_then(|cookie| session_in(cookie))
    }

    pub(crate) fn visit(&self) -> Visit {
        self.current().visit
    }

    /// The creation of its session, sign-ins, rotations and the sign-out.
    pub(crate) fn writes(&self) -> Arc<[Write]> {
        self.current().writes.as_slice().into()
    }

    /// Whether the store may have lost one of them. It can turn out later: a primary may still be
    /// alive that has not replicated everything.
    pub(crate) fn lost_a_write(&self) -> bool {
        self.world.disturbances.may_lose_any(&self.current().writes)
    }

    /// The site has acknowledged the sign-out.
    pub(crate) fn note_sign_out(&self, began: Instant) {
        let mut current = self.current();
        if let Some(session) = current.cookies.last().and_then(|cookie| session_in(cookie)) {
            let at = Instant::now();
            let write = Write { session, began, at };
            current.writes.push(write);
            drop(current);
            self.world.seen().writes.push(write);
        }
    }

    pub(crate) fn begin_visit(&self, visit: Visit) {
        *self.current() = Current {
            visit,
            ..Current::default()
        };
    }

    pub(crate) async fn get(&self, page: &'static str) -> Answer {
        self.send(Method::GET, page, "", None).await
    }

    pub(crate) async fn post(&self, page: &'static str, query: &str) -> Answer {
        self.send(Method::POST, page, query, None).await
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        page: &'static str,
        query: &str,
        body: Option<Body>,
    ) -> Answer {
        let mut request = self
            .client
            .request(method, format!("{}{page}?{query}", self.world.base));
        if let Some(body) = body {
            request = request.body(body);
        }
        let began = Instant::now();
        let response = request.send().await;
        if let Ok(response) = &response {
            self.note_cookies(response.headers(), began);
        }
        let received = receive(response).await;
        let cause = note(&self.world, page, began, &received, || self.lost_a_write());
        if cause == Some(Cause::LostWrite) {
            let count = |tally: &mut Tally| tally.refused_by_fail_over += 1;
            self.world.excuse(self.visit(), count);
        }
        if let Answer::Done(page) | Answer::OnPurpose(page) = &received.answer {
            self.world.inspect(page, self.visit().visitor);
        }
        received.answer
    }

    /// Takes the cookies of an answer that came another way, to a request that began then.
    pub(crate) fn take_cookies(&self, headers: &HeaderMap, began: Instant) {
        let mut cookies = headers.get_all(SET_COOKIE).iter();
        self.jar.set_cookies(&mut cookies, &self.base);
        self.note_cookies(headers, began);
    }

    fn note_cookies(&self, headers: &HeaderMap, began: Instant) {
        let at = Instant::now();
        for cookie in headers.get_all(SET_COOKIE) {
            let Some(cookie) = cookie.to_str().ok().and_then(|text| text.split(';').next()) else {
                continue;
            };
            let Some(session) = session_in(cookie) else {
                continue;
            };
            let write = Write { session, began, at };
            self.world.seen().writes.push(write);
            let mut current = self.current();
            current.cookies.push(cookie.to_owned());
            current.writes.push(write);
        }
    }

    fn current(&self) -> MutexGuard<'_, Current> {
        self.visit.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads the page with a cookie from a visit, and keeps none.
pub(crate) async fn read_with(
    world: &World,
    client: &Client,
    cookie: &str,
    visit: Visit,
) -> Answer {
    let began = Instant::now();
    let request = client.get(format!("{}/page", world.base));
    let Ok(value) = HeaderValue::from_str(cookie) else {
        return Answer::Refused;
    };
    let received = receive(request.header(COOKIE, value).send().await).await;
    note(world, "/page with an old cookie", began, &received, || {
        false
    });
    if let Answer::Done(page) = &received.answer {
        world.inspect(page, visit.visitor);
    }
    received.answer
}

/// A client without a jar.
pub(crate) fn bare_client() -> Result<Client, BoxError> {
    Ok(builder().build()?)
}

fn builder() -> reqwest::ClientBuilder {
    Client::builder()
        .no_proxy()
        .timeout(PATIENCE)
        .pool_idle_timeout(IDLE)
}

struct Received {
    status: Option<u16>,
    answer: Answer,
    fault: Option<Fault>,
    /// Why there is no answer.
    error: Option<reqwest::Error>,
}

async fn receive(response: reqwest::Result<reqwest::Response>) -> Received {
    match read(response).await {
        Ok((status, answer)) => Received {
            status: Some(status.as_u16()),
            fault: fault(&answer, status),
            answer,
            error: None,
        },
        Err(error) => Received {
            status: None,
            answer: Answer::Unknown,
            fault: Some(match error.is_timeout() {
                true => Fault::Hung,
                false => Fault::Broken,
            }),
            error: Some(error),
        },
    }
}

async fn read(
    response: reqwest::Result<reqwest::Response>,
) -> reqwest::Result<(StatusCode, Answer)> {
    let response = response?;
    let status = response.status();
    let on_purpose = response.headers().contains_key(ON_PURPOSE);
    let answer = if status.is_success() {
        Answer::Done(response.json().await?)
    } else if on_purpose {
        Answer::OnPurpose(response.json().await?)
    } else if status.is_client_error() {
        Answer::Refused
    } else {
        Answer::Unknown
    };
    Ok((status, answer))
}

fn fault(answer: &Answer, status: StatusCode) -> Option<Fault> {
    match answer {
        Answer::Done(_) | Answer::OnPurpose(_) => None,
        Answer::Refused => Some(Fault::Refused),
        Answer::Unknown => Some(fault_of(status.as_u16())),
    }
}

/// The fault that an answer with a 4xx or a 5xx is.
pub(crate) const fn fault_of(status: u16) -> Fault {
    match status {
        400..500 => Fault::Refused,
        503 | 504 => Fault::TimedOut,
        _ => Fault::Broken,
    }
}

/// How long the body of a request for this page takes to send.
fn body_of(page: &str) -> Duration {
    match page {
        "/upload" => UPLOAD,
        _ => Duration::ZERO,
    }
}

fn note(
    world: &World,
    page: &'static str,
    began: Instant,
    received: &Received,
    lost_a_write: impl Fn() -> bool,
) -> Option<Cause> {
    let now = Instant::now();
    let cause = |fault| {
        world.disturbances.cause(&Failure {
            fault,
            from: began,
            to: now,
            body: body_of(page),
            lost_write: fault == Fault::Refused && lost_a_write(),
        })
    };
    let fault = received.fault.map(cause);
    if let Some(cause) = fault {
        let (status, error, took) = (received.status, &received.error, now - began);
        let what = format!("{page} failed with {status:?} after {took:.1?}: {error:?}");
        world.note_failure(&what, cause);
    }
    world.seen().requests.push(Request {
        page,
        status: received.status,
        took: now - began,
        fault,
    });
    fault
}
