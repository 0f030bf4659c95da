//! Reads that find another session than the one which this process has read before.

use std::fmt::Debug;
use std::time::Duration;

use http::{Request, Response};
use tower::Service;

use crate::BoxError;
use crate::subject::{Job, Subject, Tower};

/// Sessions of each task: so many that their reading takes longer than starting the tasks.
const EACH: usize = 50;

/// Who makes a store.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Reader,
    /// It would be on another machine. Here it is to take as little of the processor's caches as it
    /// can.
    Writer,
}

/// Two that share sessions, each with a store and a runtime of its own. Before each reading the
/// other one writes all sessions, and only the reading is timed.
pub struct Missed<M> {
    reader: Tower<M>,
    writer: Tower<M>,
    sessions: u32,
}

impl<M, S> Missed<M>
where
    M: Fn(Job) -> S,
    S: Service<Request<()>, Response = Response<()>>,
    S::Error: Debug,
{
    pub fn new<F>(name: &'static str, tasks: usize, make: F) -> Result<Self, BoxError>
    where
        F: AsyncFn(Role) -> Result<M, BoxError>,
    {
        let sessions = tasks * EACH;
        let reader =
            Tower::with_sessions(name, tasks, sessions, async || make(Role::Reader).await)?;
        let writer = reader.sharing(async || make(Role::Writer).await)?;
        Ok(Self {
            reader,
            writer,
            sessions: u32::try_from(sessions)?,
        })
    }
}

impl<M, S> Subject for Missed<M>
where
    M: Fn(Job) -> S,
    S: Service<Request<()>, Response = Response<()>> + Send + 'static,
    S::Future: Send,
    S::Error: Debug,
{
    fn name(&self) -> &'static str {
        self.reader.name()
    }

    /// Reads each session equally often, so at least so many times in all; the time is that of so
    /// many.
    fn run(&self, job: Job, requests: u32) -> Duration {
        let (mut time, mut done) = (Duration::ZERO, 0);
        while done < requests {
            self.writer.run(Job::Write, self.sessions);
            time += self.reader.run(job, self.sessions);
            done += self.sessions;
        }
        time.mul_f64(f64::from(requests) / f64::from(done))
    }
}
