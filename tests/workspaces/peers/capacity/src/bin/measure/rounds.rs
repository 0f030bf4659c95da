//! What the requests of each kind cost a server.

use std::sync::Arc;

use session_capacity::{Request, Requests};
use tokio::runtime::Runtime;

use crate::site::{Kind, Site, TASKS};
use crate::{BoxError, next_visit};

/// Requests one after the other, for what is the same each time.
const COUNTED: usize = 1_000;

/// Requests of a round that is timed, and how many rounds there are.
const TIMED: usize = 100 * TASKS;
const ROUNDS: usize = 7;

/// What a server says that it has done since it was started.
#[derive(Clone, Copy, Debug)]
pub struct Counters {
    pub cpu_us: f64,
    pub commands: f64,
    pub bytes_in: f64,
    pub bytes_out: f64,
    pub replicated: f64,
}

impl Counters {
    fn since(self, before: Self) -> Self {
        Self {
            cpu_us: self.cpu_us - before.cpu_us,
            commands: self.commands - before.commands,
            bytes_in: self.bytes_in - before.bytes_in,
            bytes_out: self.bytes_out - before.bytes_out,
            replicated: self.replicated - before.replicated,
        }
    }
}

/// A server with sessions.
pub trait Server {
    fn counters(&self) -> Result<Counters, BoxError>;

    /// How many commands of clients some work takes, if the counters do not say it.
    fn commands(&self, work: &mut dyn FnMut() -> Result<(), BoxError>) -> Result<f64, BoxError>;

    /// Waits until what was written has been counted as replicated.
    fn settle(&self) {}
}

/// Two sites on one server: one that holds no sessions, and one with a cache.
pub struct Bench<'a, S> {
    pub name: &'a str,
    pub runtime: &'a Runtime,
    pub server: &'a S,
    pub direct: Site,
    pub caching: Site,
    pub tokens: Arc<[String]>,
}

impl<S: Server> Bench<'_, S> {
    pub fn requests(&self) -> Result<Requests, BoxError> {
        Ok(Requests {
            load: self.request("load", &self.direct, Kind::Read)?,
            unchanged: self.request("unchanged", &self.caching, Kind::Read)?,
            write: self.request("write", &self.direct, Kind::Write)?,
            sign_in: self.request("sign_in", &self.direct, Kind::SignIn)?,
            sign_out: self.request("sign_out", &self.direct, Kind::SignOut)?,
        })
    }

    fn request(&self, name: &str, site: &Site, kind: Kind) -> Result<Request, BoxError> {
        // Connections are open, scripts are known and caches are full.
        let every = self.tokens.len();
        if kind != Kind::SignOut {
            self.answer(site, kind, &self.tokens, every, TASKS)?;
        }
        let count = |requests, tasks| {
            let tokens = self.tokens_for(kind, requests)?;
            self.server.settle();
            let before = self.server.counters()?;
            // The counting itself is on the server's account.
            let counting = self.server.counters()?.since(before);
            let before = self.server.counters()?;
            self.answer(site, kind, &tokens, requests, tasks)?;
            self.server.settle();
            let mut cost = self.server.counters()?.since(before);
            cost.bytes_in -= counting.bytes_in;
            cost.bytes_out -= counting.bytes_out;
            Ok::<_, BoxError>(cost)
        };
        let counted = count(COUNTED, 1)?;
        let tokens = self.tokens_for(kind, COUNTED)?;
        let commands = self
            .server
            .commands(&mut || self.answer(site, kind, &tokens, COUNTED, 1))?;
        let mut cpu = Vec::new();
        for _ in 0..ROUNDS {
            cpu.push(count(TIMED, TASKS)?.cpu_us / TIMED as f64);
        }
        cpu.sort_unstable_by(f64::total_cmp);
        let each = |sum: f64| rounded(sum / COUNTED as f64);
        let request = Request {
            commands: rounded(commands / COUNTED as f64),
            cpu_us: rounded(cpu[ROUNDS / 2]),
            bytes_in: each(counted.bytes_in),
            bytes_out: each(counted.bytes_out),
            replicated: each(counted.replicated),
        };
        let (low, high) = (cpu[0], cpu[ROUNDS - 1]);
        eprintln!(
            "{} {name}: {request:?}; CPU from {low:.1} to {high:.1} us",
            self.name
        );
        Ok(request)
    }

    /// Each session ends but once.
    fn tokens_for(&self, kind: Kind, requests: usize) -> Result<Arc<[String]>, BoxError> {
        if kind != Kind::SignOut {
            return Ok(Arc::clone(&self.tokens));
        }
        // Principals that nobody has been yet.
        let from = 2_000_000_000 + 1_000_000 * next_visit();
        let fill = self.direct.fill(from, from + requests as u64);
        Ok(self.runtime.block_on(fill)?.into())
    }

    fn answer(
        &self,
        site: &Site,
        kind: Kind,
        tokens: &Arc<[String]>,
        requests: usize,
        tasks: usize,
    ) -> Result<(), BoxError> {
        self.runtime
            .block_on(site.answer(kind, tokens, requests, tasks))
    }
}

/// To a tenth: no figure here is better than that.
fn rounded(value: f64) -> f64 {
    (value.max(0.0) * 10.0).round() / 10.0
}
