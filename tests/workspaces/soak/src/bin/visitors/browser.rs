//! One visitor's browser: a jar of cookies and some connections.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use reqwest::cookie::{CookieStore, Jar};
use reqwest::header::{COOKIE, HeaderMap, HeaderValue, SET_COOKIE};
use reqwest::{Body, Client, Method, Url};
use session_soak::{ON_PURPOSE, Page};

use crate::BoxError;
use crate::world::{Request, World};

/// Longer than any upload.
const PATIENCE: Duration = Duration::from_secs(60);

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
    /// Each cookie that it has held, and since when.
    held: Mutex<Vec<(String, Instant)>>,
}

impl Browser {
    pub(crate) fn new(world: Arc<World>) -> Result<Self, BoxError> {
        let jar = Arc::new(Jar::default());
        let client = builder().cookie_provider(Arc::clone(&jar)).build()?;
        Ok(Self {
            base: world.base.parse()?,
            world,
            client,
            jar,
            held: Mutex::default(),
        })
    }

    /// What it sends as `Cookie`.
    pub(crate) fn cookie(&self) -> Option<String> {
        let cookies = self.jar.cookies(&self.base)?;
        cookies.to_str().ok().map(str::to_owned)
    }

    /// The cookies that it has held, the newest last.
    pub(crate) fn held(&self) -> Vec<(String, Instant)> {
        self.lock_held().clone()
    }

    /// Whether one of its cookies came when the store may have lost what it acknowledged.
    pub(crate) fn may_be_lost(&self) -> bool {
        let held = self.lock_held();
        let mut since = held.iter().map(|(_, since)| *since);
        since.any(|since| self.world.disturbances.may_lose(since))
    }

    pub(crate) fn forget_held(&self) {
        self.lock_held().clear();
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
        self.note_cookie();
        let (status, answer) = match response {
            Ok(response) => answer(response).await,
            Err(error) => {
                if self
                    .world
                    .disturbances
                    .between(began, Instant::now())
                    .is_none()
                {
                    self.world.note(&format!("{page} was cut: {error:?}"));
                }
                (None, Answer::Unknown)
            }
        };
        note(&self.world, page, began, status, &answer);
        answer
    }

    /// Takes the cookies of an answer that came another way.
    pub(crate) fn take_cookies(&self, headers: &HeaderMap) {
        let mut cookies = headers.get_all(SET_COOKIE).iter();
        self.jar.set_cookies(&mut cookies, &self.base);
        self.note_cookie();
    }

    fn note_cookie(&self) {
        let Some(cookie) = self.cookie() else { return };
        let mut held = self.lock_held();
        if held.last().is_none_or(|(last, _)| *last != cookie) {
            held.push((cookie, Instant::now()));
        }
    }

    fn lock_held(&self) -> MutexGuard<'_, Vec<(String, Instant)>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads the page with a cookie from somewhere, and keeps none.
pub(crate) async fn read_with(world: &World, client: &Client, cookie: &str) -> Answer {
    let began = Instant::now();
    let request = client.get(format!("{}/page", world.base));
    let Ok(value) = HeaderValue::from_str(cookie) else {
        return Answer::Refused;
    };
    let (status, answer) = match request.header(COOKIE, value).send().await {
        Ok(response) => answer(response).await,
        Err(_) => (None, Answer::Unknown),
    };
    note(world, "/page with an old cookie", began, status, &answer);
    answer
}

/// A client without a jar.
pub(crate) fn bare_client() -> Result<Client, BoxError> {
    Ok(builder().build()?)
}

fn builder() -> reqwest::ClientBuilder {
    Client::builder().no_proxy().timeout(PATIENCE)
}

async fn answer(response: reqwest::Response) -> (Option<u16>, Answer) {
    let status = response.status();
    let on_purpose = response.headers().contains_key(ON_PURPOSE);
    let page = response.json::<Page>().await;
    let answer = match page {
        Ok(page) if status.is_success() => Answer::Done(page),
        Ok(page) if on_purpose => Answer::OnPurpose(page),
        _ if status.is_client_error() => Answer::Refused,
        _ => Answer::Unknown,
    };
    (Some(status.as_u16()), answer)
}

fn note(world: &World, page: &'static str, began: Instant, status: Option<u16>, answer: &Answer) {
    let now = Instant::now();
    let is_fault = matches!(answer, Answer::Unknown | Answer::Refused);
    let fault = is_fault.then(|| world.disturbances.between(began, now));
    if fault == Some(None) {
        world.note(&format!(
            "{page} failed with {status:?} outside of disturbances"
        ));
    }
    let took = now - began;
    world.seen().requests.push(Request {
        page,
        status,
        took,
        fault,
    });
}
