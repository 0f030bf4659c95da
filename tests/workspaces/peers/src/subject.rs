//! Somebody's sessions behind a service, on a runtime of their own.

use std::fmt::Debug;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderValue, Request, Response};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Barrier;
use tower::Service;

use crate::BoxError;

/// What a request does with its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Job {
    /// Brings a cookie and asks for nothing.
    Untouched,
    /// Reads one value, a struct.
    Read,
    /// Writes one value, a number.
    Write,
    /// Brings no cookie and stores eight values.
    Create,
}

impl Job {
    pub const ALL: [Self; 4] = [Self::Untouched, Self::Read, Self::Write, Self::Create];

    pub fn name(self) -> &'static str {
        match self {
            Self::Untouched => "untouched",
            Self::Read => "read",
            Self::Write => "write",
            Self::Create => "create",
        }
    }
}

/// Something that answers requests with sessions.
pub trait Subject {
    /// Who it is.
    fn name(&self) -> &'static str;

    /// Answers so many requests in all, and says how long it took.
    fn run(&self, job: Job, requests: u32) -> Duration;

    /// Lets what goes on in its runtime go on for a moment: nobody drives it while others have
    /// their turn, and a driver's monitor that then finds its time over takes the server for
    /// dead until it has asked again.
    fn awake(&self) {}

    /// Whether it can do this at all.
    fn does(&self, job: Job) -> bool {
        let _ = job;
        true
    }
}

/// A tower service for each job, and the cookies of its sessions: as many for each task.
pub struct Tower<M> {
    name: &'static str,
    jobs: &'static [Job],
    runtime: Runtime,
    make: M,
    tasks: usize,
    cookies: Vec<HeaderValue>,
}

/// A runtime for so many tasks: of one thread if there is one.
pub fn runtime(tasks: usize) -> Result<Runtime, BoxError> {
    let mut builder = match tasks {
        1 => Builder::new_current_thread(),
        _ => Builder::new_multi_thread(),
    };
    Ok(builder.enable_all().build()?)
}

impl<M, S> Tower<M>
where
    M: Fn(Job) -> S,
    S: Service<Request<()>, Response = Response<()>>,
    S::Error: Debug,
{
    /// `make` says what to serve, on the runtime; sessions are made by the service itself.
    pub fn new<F>(name: &'static str, tasks: usize, make: F) -> Result<Self, BoxError>
    where
        F: AsyncFnOnce() -> Result<M, BoxError>,
    {
        Self::with_sessions(name, tasks, tasks, make)
    }

    /// The same for so many sessions in all, a multiple of the tasks.
    pub fn with_sessions<F>(
        name: &'static str,
        tasks: usize,
        sessions: usize,
        make: F,
    ) -> Result<Self, BoxError>
    where
        F: AsyncFnOnce() -> Result<M, BoxError>,
    {
        let runtime = runtime(tasks)?;
        let (make, cookies) = runtime.block_on(async {
            let make = make().await?;
            let mut create = make(Job::Create);
            let mut cookies = Vec::new();
            for _ in 0..sessions {
                let response = create.call(Request::new(())).await;
                cookies.push(cookie(&response.map_err(|error| format!("{error:?}"))?)?);
            }
            Ok::<_, BoxError>((make, cookies))
        })?;
        Ok(Self {
            name,
            jobs: &Job::ALL,
            runtime,
            make,
            tasks,
            cookies,
        })
    }

    /// Another one with the same sessions.
    pub fn sharing<F>(&self, make: F) -> Result<Self, BoxError>
    where
        F: AsyncFnOnce() -> Result<M, BoxError>,
    {
        let runtime = runtime(self.tasks)?;
        let make = runtime.block_on(make())?;
        Ok(Self {
            runtime,
            make,
            cookies: self.cookies.clone(),
            ..*self
        })
    }

    /// The same for a service that makes no sessions, and is given what names them.
    pub fn with_cookies<F>(
        name: &'static str,
        tasks: usize,
        jobs: &'static [Job],
        make: F,
    ) -> Result<Self, BoxError>
    where
        F: AsyncFnOnce() -> Result<M, BoxError>,
    {
        let runtime = runtime(tasks)?;
        let make = runtime.block_on(make())?;
        let cookies = (0..tasks).map(HeaderValue::from).collect();
        Ok(Self {
            name,
            jobs,
            runtime,
            make,
            tasks,
            cookies,
        })
    }
}

impl<M, S> Subject for Tower<M>
where
    M: Fn(Job) -> S,
    S: Service<Request<()>, Response = Response<()>> + Send + 'static,
    S::Future: Send,
    S::Error: Debug,
{
    fn name(&self) -> &'static str {
        self.name
    }

    fn run(&self, job: Job, requests: u32) -> Duration {
        if self.tasks == 1 {
            let service = (self.make)(job);
            return self
                .runtime
                .block_on(answer(service, job, &self.cookies, requests));
        }
        self.runtime.block_on(async {
            let barrier = Arc::new(Barrier::new(self.tasks + 1));
            let each = requests.div_ceil(self.tasks as u32);
            let task = |cookies: &[HeaderValue]| {
                let (service, cookies, barrier) =
                    ((self.make)(job), cookies.to_vec(), Arc::clone(&barrier));
                tokio::spawn(async move {
                    barrier.wait().await;
                    answer(service, job, &cookies, each).await
                })
            };
            let chunks = self.cookies.chunks(self.cookies.len() / self.tasks);
            let tasks: Vec<_> = chunks.map(task).collect();
            barrier.wait().await;
            let began = Instant::now();
            for task in tasks {
                task.await.expect("a task panicked");
            }
            began.elapsed()
        })
    }

    fn awake(&self) {
        self.runtime
            .block_on(async { tokio::time::sleep(Duration::from_secs(1)).await });
    }

    fn does(&self, job: Job) -> bool {
        self.jobs.contains(&job)
    }
}

/// Answers so many requests, one after the other, for each session in turn.
async fn answer<S>(mut service: S, job: Job, cookies: &[HeaderValue], requests: u32) -> Duration
where
    S: Service<Request<()>, Response = Response<()>>,
    S::Error: Debug,
{
    let began = Instant::now();
    for cookie in cookies.iter().cycle().take(requests as usize) {
        let mut request = Request::new(());
        if job != Job::Create {
            request.headers_mut().insert(COOKIE, cookie.clone());
        }
        let response = service.call(request).await.expect("a service failed");
        assert!(response.status().is_success(), "{}", response.status());
    }
    began.elapsed()
}

/// The cookies of a response as a request brings them: with shared bytes, as hyper's parser makes
/// them.
fn cookie(response: &Response<()>) -> Result<HeaderValue, BoxError> {
    let mut pairs = Vec::new();
    for header in response.headers().get_all(SET_COOKIE) {
        pairs.extend(header.to_str()?.split(';').next());
    }
    let pairs = match &*pairs {
        // A service without sessions gets one to ignore.
        [] => "id=nobody".to_owned(),
        pairs => pairs.join("; "),
    };
    Ok(HeaderValue::from_maybe_shared(Bytes::from_owner(pairs))?)
}

/// Lets one future be the service of a job.
pub fn service<H, F>(
    job: Job,
    handle: H,
) -> impl Service<Request<()>, Response = Response<()>, Error = BoxError, Future = F> + Clone
where
    H: Fn(Request<()>, Job) -> F + Clone,
    F: Future<Output = Result<Response<()>, BoxError>>,
{
    tower::service_fn(move |request| handle(request, job))
}
