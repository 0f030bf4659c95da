//! Nodes that are asked for the same sessions at random: nine reads for each write.
//!
//! BENCH_SHARED (3) is for how many seconds.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use session_peers::{BoxError, Client, Server, Traffic, clear_redis, traffic};
use tokio::sync::Mutex;

use crate::{
    AXUM_SESSION, OURS, OURS_NEAR, OURS_UNCACHED, Party, TASKS, TOWER_SESSIONS, expect, micros,
    row, setting,
};

const NODES: [usize; 3] = [1, 4, 16];
const SESSIONS: usize = 1000;

pub async fn compare(url: &str) -> Result<(), BoxError> {
    for nodes in NODES {
        let ours = [
            ("", shared(&OURS, url, nodes).await?),
            ("near ", shared(&OURS_NEAR, url, nodes).await?),
        ];
        for peer in [TOWER_SESSIONS, AXUM_SESSION, OURS_UNCACHED] {
            let theirs = shared(&peer, url, nodes).await?;
            for (near, ours) in &ours {
                let scenario = format!("{near}shared by {nodes}");
                for ((measure, ours), (_, theirs)) in ours.iter().zip(theirs) {
                    row(&scenario, measure, (*ours, theirs), peer.name);
                }
            }
        }
    }
    Ok(())
}

type Measures = [(&'static str, f64); 5];

async fn shared(party: &Party, url: &str, nodes: usize) -> Result<Measures, BoxError> {
    clear_redis(url)?;
    let servers: Result<Vec<Server>, _> = (0..nodes).map(|_| party.start(url)).collect();
    let servers = servers?;
    let all = Arc::new(All {
        sessions: create(&servers).await?,
        began: Instant::now(),
        stop: AtomicBool::new(false),
        requests: AtomicU64::new(0),
    });
    let mut tasks = Vec::new();
    for task in 0..TASKS {
        let mut clients = Vec::new();
        for server in &servers {
            clients.push(Client::connect(&server.address).await?);
        }
        let random = Random(0x9e37_79b9_7f4a_7c15 ^ (task as u64 + 1));
        tasks.push(tokio::spawn(Arc::clone(&all).ask(clients, random)));
    }
    // Until each node has met most sessions.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let time = Duration::from_secs(setting("BENCH_SHARED", 3)?);
    let before = all.requests.load(Ordering::SeqCst);
    tokio::time::sleep(time).await;
    let rps = (all.requests.load(Ordering::SeqCst) - before) as f64 / time.as_secs_f64();
    // Whoever watches a server slows it down, so commands are counted by themselves.
    let (url, counting) = (url.to_owned(), Arc::clone(&all));
    let counted = move || count(&url, &counting);
    let (requests, traffic) = tokio::task::spawn_blocking(counted).await??;
    all.stop.store(true, Ordering::SeqCst);
    let (mut reads, mut sum, mut longest) = (0, 0, 0);
    for task in tasks {
        let staleness = task.await??;
        reads += staleness.reads;
        sum += staleness.sum;
        longest = longest.max(staleness.longest);
    }
    let each = |number: u64| number as f64 / requests.max(1) as f64;
    Ok([
        ("rps", rps),
        ("commands", each(traffic.commands)),
        ("hits", (1.0 - each(traffic.loads)).max(0.0)),
        ("stale_ms", longest as f64 / 1000.0),
        ("stale_mean_ms", sum as f64 / 1000.0 / reads.max(1) as f64),
    ])
}

/// Requests within a second, and what the server of the store was sent meanwhile.
fn count(url: &str, all: &All) -> Result<(u64, Traffic), BoxError> {
    let mut requests = 0;
    let traffic = traffic(url, || {
        let before = all.requests.load(Ordering::SeqCst);
        std::thread::sleep(Duration::from_secs(1));
        requests = all.requests.load(Ordering::SeqCst) - before;
    })?;
    Ok((requests, traffic))
}

async fn create(servers: &[Server]) -> Result<Vec<Session>, BoxError> {
    let mut sessions = Vec::new();
    for server in servers.iter().cycle().take(servers.len().min(SESSIONS)) {
        let mut client = Client::connect(&server.address).await?;
        for _ in 0..SESSIONS / servers.len() {
            let cookie = client.get("/create", "").await?.cookie;
            let written = std::sync::Mutex::default();
            sessions.push(Session {
                cookie,
                writing: Mutex::new(()),
                written,
            });
        }
    }
    Ok(sessions)
}

struct Session {
    cookie: String,
    /// One writes at a time, so that it is known which value comes after which.
    writing: Mutex<()>,
    /// When each write was acknowledged, in microseconds since the beginning: the n-th one sets the
    /// number n.
    written: std::sync::Mutex<Vec<u64>>,
}

struct All {
    sessions: Vec<Session>,
    began: Instant,
    stop: AtomicBool,
    requests: AtomicU64,
}

/// What reads have seen: by how many microseconds they were too old.
#[derive(Default)]
struct Staleness {
    reads: u64,
    sum: u64,
    longest: u64,
}

impl All {
    /// One task: asks any node for any session.
    async fn ask(
        self: Arc<Self>,
        mut clients: Vec<Client>,
        mut random: Random,
    ) -> Result<Staleness, BoxError> {
        let mut staleness = Staleness::default();
        while !self.stop.load(Ordering::SeqCst) {
            let session = &self.sessions[random.below(self.sessions.len())];
            let index = random.below(clients.len());
            let client = &mut clients[index];
            let alone = match random.below(10) {
                0 => session.writing.try_lock().ok(),
                _ => None,
            };
            match alone {
                Some(_alone) => self.write(client, session).await?,
                None => {
                    let old = self.read(client, session).await?;
                    staleness.reads += 1;
                    staleness.sum += old;
                    staleness.longest = staleness.longest.max(old);
                }
            }
            self.requests.fetch_add(1, Ordering::SeqCst);
        }
        Ok(staleness)
    }

    async fn write(&self, client: &mut Client, session: &Session) -> Result<(), BoxError> {
        let next = lock(session).len() + 1;
        let answer = client.get(&format!("/set/{next}"), &session.cookie).await?;
        expect(answer.status, 200)?;
        lock(session).push(micros(self.began));
        Ok(())
    }

    /// How long ago the number that was read had been replaced by another, when it was asked for.
    async fn read(&self, client: &mut Client, session: &Session) -> Result<u64, BoxError> {
        let asked = micros(self.began);
        let answer = client.get("/number", &session.cookie).await?;
        expect(answer.status, 200)?;
        let number: usize = std::str::from_utf8(client.body())?.parse()?;
        let replaced = lock(session).get(number).copied();
        Ok(replaced.map_or(0, |replaced| asked.saturating_sub(replaced)))
    }
}

fn lock(session: &Session) -> std::sync::MutexGuard<'_, Vec<u64>> {
    session.written.lock().expect("a task panicked")
}

/// Xorshift: the same choices in each run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize % end
    }
}
