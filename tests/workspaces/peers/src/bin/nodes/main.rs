//! Several servers that share sessions over one Redis.
//!
//! `nodes logout URL`: a logout on one node, and how long another still answers as signed in.
//! `nodes shared URL`: 1, 4 and 16 nodes that are asked at random. `nodes memory URL`: a node
//! through which many sessions pass.

mod logout;
mod memory;
mod shared;

use std::time::Instant;

use session_peers::{BoxError, Row, Server};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match *arguments {
        ["logout", url] => logout::compare(url).await,
        ["shared", url] => shared::compare(url).await,
        ["memory", url] => memory::compare(url).await,
        _ => Err("nodes logout|shared|memory URL".into()),
    }
}

/// Who is asked, and what `server` calls it.
struct Party {
    name: &'static str,
    server: [&'static str; 2],
}

impl Party {
    fn start(&self, url: &str) -> Result<Server, BoxError> {
        let [who, store] = self.server;
        Server::start(&[who, store, url])
    }
}

const OURS: Party = Party {
    name: "ours",
    server: ["ours", "redis"],
};
const OURS_NEAR: Party = Party {
    name: "ours, near cache",
    server: ["ours", "redis-near"],
};
/// A logout waits until the leases of other nodes have run out.
const OURS_WAITING: Party = Party {
    name: "ours, near cache, waiting logouts",
    server: ["ours", "redis-near-waiting"],
};
const OURS_UNCACHED: Party = Party {
    name: "ours without a cache",
    server: ["ours", "redis-uncached"],
};
const TOWER_SESSIONS: Party = Party {
    name: "tower-sessions 0.14",
    server: ["tower-sessions", "redis"],
};
const ACTIX: Party = Party {
    name: "actix-session 0.11",
    server: ["actix-session", "redis"],
};
const AXUM_SESSION: Party = Party {
    name: "axum_session 0.22",
    server: ["axum_session", "redis"],
};
/// It holds a session only for as long as a request takes.
const AXUM_SESSION_UNHELD: Party = Party {
    name: "axum_session 0.22, memory lifetime 0",
    server: ["axum_session", "redis-unheld"],
};

/// Sessions, and tasks that use them.
const TASKS: usize = 64;

fn row(scenario: &str, measure: &'static str, (ours, peer): (f64, f64), peer_name: &str) {
    let row = Row {
        scenario: scenario.to_owned(),
        measure,
        ours,
        peer,
        peer_name: peer_name.to_owned(),
    };
    println!("{row}");
}

/// A number from the environment.
fn setting(name: &str, default: u64) -> Result<u64, BoxError> {
    Ok(std::env::var(name).map_or(Ok(default), |text| text.parse())?)
}

fn micros(began: Instant) -> u64 {
    u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX)
}

fn expect(status: u16, expected: u16) -> Result<(), BoxError> {
    match status == expected {
        true => Ok(()),
        false => Err(format!("a server answered {status} and not {expected}").into()),
    }
}
