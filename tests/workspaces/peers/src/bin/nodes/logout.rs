//! A logout on one node, and how long another still answers as signed in.
//!
//! BENCH_LOGOUT (15) is for how many seconds it is watched.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use session_peers::{BoxError, Client};

use crate::{
    ACTIX, AXUM_SESSION, AXUM_SESSION_UNHELD, OURS, OURS_NEAR, OURS_WAITING, Party, TASKS,
    TOWER_SESSIONS, expect, micros, row, setting,
};

pub async fn compare(url: &str) -> Result<(), BoxError> {
    let ours = [
        ("logout elsewhere", logout(&OURS, url).await?),
        ("near logout elsewhere", logout(&OURS_NEAR, url).await?),
        (
            "near waiting logout elsewhere",
            logout(&OURS_WAITING, url).await?,
        ),
    ];
    for peer in [TOWER_SESSIONS, ACTIX, AXUM_SESSION, AXUM_SESSION_UNHELD] {
        let theirs = logout(&peer, url).await?;
        for (scenario, ours) in &ours {
            row(scenario, "stale_ms", (ours.stale, theirs.stale), peer.name);
            row(scenario, "undone", (ours.undone, theirs.undone), peer.name);
            row(scenario, "logout_ms", (ours.took, theirs.took), peer.name);
        }
    }
    Ok(())
}

struct Logout {
    /// The longest time in milliseconds from the answer to a logout to a later request that another
    /// node answered as signed in; 0 if it answered none so.
    stale: f64,
    /// The share of logouts after which, in the end, the node that did it answers as signed in.
    undone: f64,
    /// Milliseconds that a logout takes in the mean.
    took: f64,
}

/// Signs in on one node, reads on another with all sessions at once, and signs out on the first.
async fn logout(party: &Party, url: &str) -> Result<Logout, BoxError> {
    let watch = Duration::from_secs(setting("BENCH_LOGOUT", 15)?);
    let (here, elsewhere) = (party.start(url)?, party.start(url)?);
    let mut client = Client::connect(&here.address).await?;
    let (began, stop) = (Instant::now(), Arc::new(AtomicBool::new(false)));
    let mut sessions = Vec::new();
    for _ in 0..TASKS {
        let cookie = client.get("/create", "").await?.cookie;
        let out = Arc::new(AtomicU64::new(u64::MAX));
        let reader = Reader {
            client: Client::connect(&elsewhere.address).await?,
            cookie: cookie.clone(),
            began,
            out: Arc::clone(&out),
            stop: Arc::clone(&stop),
        };
        sessions.push((cookie, out, tokio::spawn(reader.read())));
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let mut logouts = Vec::new();
    for (cookie, out, _) in &sessions {
        let mut client = Client::connect(&here.address).await?;
        let (cookie, out) = (cookie.clone(), Arc::clone(out));
        // All at about the same time: each of them may wait.
        logouts.push(tokio::spawn(async move {
            let asked = micros(began);
            expect(client.get("/logout", &cookie).await?.status, 200)?;
            let answered = micros(began);
            out.store(answered, Ordering::SeqCst);
            Ok::<_, BoxError>(answered - asked)
        }));
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let mut took = 0;
    for logout in logouts {
        took += logout.await??;
    }
    tokio::time::sleep(watch).await;
    stop.store(true, Ordering::SeqCst);
    // A connection that was idle for so long may have been closed.
    let mut client = Client::connect(&here.address).await?;
    let (mut stale, mut undone) = (0, 0_u32);
    for (cookie, _, reader) in sessions {
        stale = stale.max(reader.await??);
        undone += u32::from(client.get("/read", &cookie).await?.status == 200);
    }
    Ok(Logout {
        stale: stale as f64 / 1000.0,
        undone: f64::from(undone) / TASKS as f64,
        took: took as f64 / 1000.0 / TASKS as f64,
    })
}

/// Reads one session all the time.
struct Reader {
    client: Client,
    cookie: String,
    began: Instant,
    /// When the answer to the logout had come, in microseconds since the beginning.
    out: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
}

impl Reader {
    /// Says how long after the logout it was still answered, in microseconds.
    async fn read(mut self) -> Result<u64, BoxError> {
        expect(self.client.get("/read", &self.cookie).await?.status, 200)?;
        let mut stale = 0;
        while !self.stop.load(Ordering::SeqCst) {
            let asked = micros(self.began);
            let status = self.client.get("/read", &self.cookie).await?.status;
            let since = asked.saturating_sub(self.out.load(Ordering::SeqCst));
            if status == 200 {
                stale = stale.max(since);
            }
            // At full speed at first; later it is only seen whether the session comes back.
            if since > 1_000_000 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        Ok(stale)
    }
}
