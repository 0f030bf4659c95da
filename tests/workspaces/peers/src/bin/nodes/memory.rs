//! A node through which many sessions pass, each read once.
//!
//! BENCH_PASSING (50000) is how many.

use session_peers::{BoxError, Client, clear_redis};

use crate::{
    AXUM_SESSION, OURS, OURS_UNCACHED, Party, TASKS, TOWER_SESSIONS, expect, row, setting,
};

pub async fn compare(url: &str) -> Result<(), BoxError> {
    let sessions = setting("BENCH_PASSING", 50_000)? as usize;
    let scenario = "memory of passing sessions";
    let ours = growth(&OURS, url, sessions).await?;
    for peer in [TOWER_SESSIONS, AXUM_SESSION, OURS_UNCACHED] {
        let theirs = growth(&peer, url, sessions).await?;
        row(scenario, "node_bytes", (ours, theirs), peer.name);
    }
    Ok(())
}

/// By how many bytes the process of a node grows that reads sessions which another one has made.
async fn growth(party: &Party, url: &str, sessions: usize) -> Result<f64, BoxError> {
    clear_redis(url)?;
    let (maker, reader) = (party.start(url)?, party.start(url)?);
    // The first ones warm the reader up: its buffers and connections are not the sessions'.
    pass(&maker.address, &reader.address, TASKS * 16).await?;
    let before = reader.memory()?;
    pass(&maker.address, &reader.address, sessions).await?;
    Ok(reader.memory()?.saturating_sub(before) as f64)
}

/// Makes sessions on one node and reads each on another.
async fn pass(maker: &str, reader: &str, sessions: usize) -> Result<(), BoxError> {
    let mut tasks = Vec::new();
    for _ in 0..TASKS {
        let mut maker = Client::connect(maker).await?;
        let mut reader = Client::connect(reader).await?;
        tasks.push(tokio::spawn(async move {
            for _ in 0..sessions / TASKS {
                let cookie = maker.get("/create", "").await?.cookie;
                expect(reader.get("/read", &cookie).await?.status, 200)?;
            }
            Ok::<_, BoxError>(())
        }));
    }
    for task in tasks {
        task.await??;
    }
    Ok(())
}
