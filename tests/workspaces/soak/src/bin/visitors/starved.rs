//! Times at which a process of ours waited for a processor. On a busy machine that is enough to let
//! calls of a store time out, and says nothing about the site.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::world::World;

const EACH: Duration = Duration::from_millis(500);
/// A thread that waits this long in one interval is starved.
const LONG: Duration = Duration::from_millis(200);

/// Looks at all children of this process, until it is dropped.
pub(crate) async fn watch(world: Arc<World>) {
    let mut before = HashMap::new();
    let mut since = Instant::now();
    loop {
        sleep(EACH).await;
        let now = waited();
        let longest = now
            .iter()
            .filter_map(|(thread, waited)| Some(waited.saturating_sub(*before.get(thread)?)))
            .max();
        if longest.is_some_and(|longest| longest > LONG) {
            world.disturbances.starved(since, Instant::now());
        }
        (before, since) = (now, Instant::now());
    }
}

/// How long each thread of each child has waited for a processor since it began.
fn waited() -> HashMap<String, Duration> {
    let mut all = HashMap::new();
    let us = std::process::id().to_string();
    for process in entries(Path::new("/proc")) {
        if parent(&process).as_deref() != Some(us.as_str()) {
            continue;
        }
        for thread in entries(&Path::new(&process).join("task")) {
            if let Some(waited) = waited_by(&thread) {
                all.insert(thread, waited);
            }
        }
    }
    all
}

fn entries(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.path().display().to_string())
        .collect()
}

/// The fourth field; the second may have spaces, and ends with a parenthesis.
fn parent(process: &str) -> Option<String> {
    let stat = fs::read_to_string(format!("{process}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(1).map(str::to_owned)
}

/// The second field, in nanoseconds.
fn waited_by(thread: &str) -> Option<Duration> {
    let stat = fs::read_to_string(format!("{thread}/schedstat")).ok()?;
    let nanos = stat.split_whitespace().nth(1)?.parse().ok()?;
    Some(Duration::from_nanos(nanos))
}
