//! A master and a replica, watched by three sentinels.

use std::collections::HashMap;
use std::time::Duration;

use super::replication::{is_in_step, is_master};
use super::{Builder, Engine, RedisServer, Reply, wait_until};

/// How long sentinels may take to know each other, or to get over a death.
const LIMIT: Duration = Duration::from_secs(60);
const NAME: &str = "mymaster";

/// Two servers and three sentinels. They end with this value.
///
/// A server that does not answer for 1 s is given up, and the other takes its place some seconds
/// later.
#[derive(Debug)]
pub struct RedisSentinel {
    servers: [RedisServer; 2],
    sentinels: [RedisServer; 3],
}

impl RedisSentinel {
    /// Starts all five of `engine`, and returns when the sentinels know the replica and each other.
    /// Server 0 is the first master.
    pub fn start(engine: Engine) -> Self {
        Self::start_from(&RedisServer::builder(engine))
    }

    /// The same, of two servers with more to say about them. They have no password and no TLS.
    pub fn start_from(server: &Builder) -> Self {
        let master = server.clone().start();
        let replicaof = format!("replicaof 127.0.0.1 {}", master.port());
        let replica = server.clone().config(replicaof).start();
        wait_until("the replica", LIMIT, || is_in_step(&replica) == Some(true));
        let sentinels = [(); 3].map(|()| sentinel(master.engine(), master.port()));
        let all = Self {
            servers: [master, replica],
            sentinels,
        };
        all.wait_ok();
        all
    }

    /// The name by which sentinels know the master.
    pub const fn master_name(&self) -> &'static str {
        NAME
    }

    /// The ports of the sentinels.
    pub fn sentinel_ports(&self) -> Vec<u16> {
        self.sentinels
            .iter()
            .map(|sentinel| sentinel.port())
            .collect()
    }

    /// Where clients find the sentinels.
    pub fn sentinel_urls(&self) -> Vec<String> {
        self.sentinels.iter().map(RedisServer::url).collect()
    }

    /// The sentinels, which can be killed and paused as any server.
    pub const fn sentinels(&self) -> &[RedisServer] {
        &self.sentinels
    }

    /// The two servers. Which of them is the master changes.
    pub const fn servers(&self) -> &[RedisServer] {
        &self.servers
    }

    /// Which server is the master, says a sentinel.
    pub fn master(&self) -> usize {
        let port = self.master_port();
        self.index_of(port)
            .unwrap_or_else(|| panic!("port {port} is none of ours"))
    }

    /// The master's port, says a sentinel.
    pub fn master_port(&self) -> u16 {
        let sentinel = self
            .sentinels_up()
            .next()
            .unwrap_or_else(|| panic!("no sentinel is up"));
        master_port(sentinel).unwrap_or_else(|| panic!("no sentinel knows a master"))
    }

    /// Kills server `i`.
    pub fn kill(&self, i: usize) {
        self.servers[i].kill();
    }

    /// Starts server `i` anew. The sentinels make a replica of it some seconds later; see
    /// [`RedisSentinel::wait_ok`].
    pub fn restart(&self, i: usize) {
        self.servers[i].restart();
    }

    /// Stops server `i` where it is.
    pub fn pause(&self, i: usize) {
        self.servers[i].pause();
    }

    /// Lets server `i` go on.
    pub fn resume(&self, i: usize) {
        self.servers[i].resume();
    }

    /// Makes the replica the master, while both are well, and returns when all know.
    pub fn failover(&self) {
        let old = self.master_port();
        // Refused as long as the sentinel thinks that no replica is fit.
        self.sentinels[0].wait_until(&["SENTINEL", "FAILOVER", NAME], |reply| !reply.is_error());
        self.wait_for_failover(old);
    }

    /// Waits at most 60 s until all sentinels that are up agree on a master other than the one on
    /// port `old`, and it is one.
    pub fn wait_for_failover(&self, old: u16) {
        wait_until("the failover", LIMIT, || {
            let ports: Vec<_> = self.sentinels_up().map(master_port).collect();
            let [Some(new), ..] = ports[..] else {
                return false;
            };
            let agree = ports.iter().all(|port| *port == Some(new));
            agree
                && new != old
                && self
                    .index_of(new)
                    .is_some_and(|i| is_master(&self.servers[i]))
        });
    }

    /// Waits at most 60 s until all five are up and know each other, and the replica has what the
    /// master has.
    pub fn wait_ok(&self) {
        wait_until("the sentinels to be content", LIMIT, || {
            let masters = self
                .servers
                .iter()
                .filter(|server| is_master(server))
                .count();
            let in_step = self
                .servers
                .iter()
                .all(|server| is_in_step(server) == Some(true));
            let content = || {
                self.sentinels
                    .iter()
                    .all(|sentinel| is_content(sentinel) == Some(true))
            };
            masters == 1 && in_step && content()
        });
    }

    fn sentinels_up(&self) -> impl Iterator<Item = &RedisServer> {
        self.sentinels.iter().filter(|sentinel| sentinel.is_up())
    }

    fn index_of(&self, port: u16) -> Option<usize> {
        self.servers.iter().position(|server| server.port() == port)
    }
}

fn sentinel(engine: Engine, master: u16) -> RedisServer {
    let sentinel = RedisServer::builder(engine)
        .config(format!("sentinel monitor {NAME} 127.0.0.1 {master} 2"))
        .config(format!("sentinel down-after-milliseconds {NAME} 1000"))
        .config(format!("sentinel failover-timeout {NAME} 5000"))
        .config(format!("sentinel parallel-syncs {NAME} 1"))
        .start_with(&["--sentinel"]);
    // They ask and tell each other every 10 and 2 s, which only makes tests slow.
    let set = sentinel.command(&[
        "SENTINEL",
        "DEBUG",
        "info-period",
        "1000",
        "publish-period",
        "500",
    ]);
    assert_eq!(set.text(), "OK");
    sentinel
}

fn master_port(sentinel: &RedisServer) -> Option<u16> {
    let address = sentinel
        .try_command(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME])
        .ok()?;
    let Reply::Array(address) = address else {
        return None;
    };
    address.get(1)?.text().parse().ok()
}

/// It knows a healthy master, a healthy replica and two sentinels.
fn is_content(sentinel: &RedisServer) -> Option<bool> {
    let master = fields(&sentinel.try_command(&["SENTINEL", "MASTER", NAME]).ok()?)?;
    let known = master.get("num-slaves")? == "1" && master.get("num-other-sentinels")? == "2";
    let replicas = sentinel.try_command(&["SENTINEL", "REPLICAS", NAME]).ok()?;
    let Reply::Array(replicas) = replicas else {
        return None;
    };
    let replica = fields(replicas.first()?)?;
    let fit = replica.get("flags")? == "slave" && replica.get("master-link-status")? == "ok";
    Some(known && master.get("flags")? == "master" && fit)
}

/// Names and values by turns, as sentinels answer.
fn fields(reply: &Reply) -> Option<HashMap<String, String>> {
    let Reply::Array(items) = reply else {
        return None;
    };
    Some(
        items
            .chunks_exact(2)
            .map(|pair| (pair[0].text(), pair[1].text()))
            .collect(),
    )
}
