//! What sessions cost Redis.

use std::time::Duration;

use session_capacity::{Redis, RedisMemory};
use session_redis::{Layout, RedisStore};
use session_tests::servers::{Builder, Engine, RedisServer, Reply};
use tokio::runtime::Runtime;

use crate::rounds::{Bench, Counters, Server};
use crate::site::{LEAST, PATIENCE, Site};
use crate::{BoxError, monitor};

/// Of the site that caches: enough for all sessions that requests use.
const CACHE: usize = 256 << 20;

pub fn measure(runtime: &Runtime, layout: Layout, sizes: &[u64]) -> Result<Redis, BoxError> {
    let name = match layout {
        Layout::Packed => "packed",
        _ => "fields",
    };
    let mut memory = Vec::new();
    // As a node of a Cluster, which keeps more for each key than a server by itself.
    let server = start_cluster()?;
    let site = runtime.block_on(connect(&server, layout, 0))?;
    let mut made = 0;
    for size in sizes {
        runtime.block_on(site.fill(made, *size))?;
        made = *size;
        let at = read_memory(&server, made)?;
        eprintln!("{name}: {at:?}, {} bytes a session", at.used / made);
        memory.push(at);
    }
    drop((site, server));

    // By itself, with a replica that is sent what is written.
    let server = RedisServer::start(Engine::Redis7);
    let direct = runtime.block_on(connect(&server, layout, 0))?;
    let tokens = runtime.block_on(direct.fill(0, LEAST))?.into();
    let caching = runtime.block_on(connect(&server, layout, CACHE))?;
    let follow = format!("replicaof 127.0.0.1 {}", server.port());
    let replica = Builder::new(Engine::Redis7).config(follow).start();
    replica.wait_until(&["INFO", "replication"], |info| {
        info.field("master_link_status").as_deref() == Some("up")
    });
    let bench = Bench {
        name,
        runtime,
        server: &server,
        direct,
        caching,
        tokens,
    };
    Ok(Redis {
        memory: memory.leak(),
        requests: bench.requests()?,
    })
}

/// One node that serves all slots.
fn start_cluster() -> Result<RedisServer, BoxError> {
    let server = Builder::new(Engine::Redis7)
        .config("cluster-enabled yes")
        .start();
    let answer = server.command(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
    if answer.is_error() {
        return Err(format!("the node takes no slots: {answer}").into());
    }
    server.wait_until(&["CLUSTER", "INFO"], |info| {
        info.field("cluster_state").as_deref() == Some("ok")
    });
    Ok(server)
}

async fn connect(server: &RedisServer, layout: Layout, cache: usize) -> Result<Site, BoxError> {
    let builder = RedisStore::builder(server.url())
        .layout(layout)
        .cache_bytes(cache)
        .call_timeout(PATIENCE);
    Site::new(builder.connect().await?)
}

fn read_memory(server: &RedisServer, sessions: u64) -> Result<RedisMemory, BoxError> {
    // The tables finish growing in the background.
    std::thread::sleep(Duration::from_secs(5));
    let info = server.command(&["INFO", "everything"]);
    let keyspace = info.field("db0").ok_or("the server has no keys")?;
    let of_keyspace = |name: &str| {
        let parts = keyspace.split(',');
        let mut values = parts.filter_map(|part| part.strip_prefix(name)?.strip_prefix('='));
        Ok::<u64, BoxError>(values.next().ok_or("no number of keys")?.parse()?)
    };
    Ok(RedisMemory {
        sessions,
        keys: of_keyspace("keys")?,
        expires: of_keyspace("expires")?,
        used: number(&info, "used_memory")? as u64,
        dataset: number(&info, "used_memory_dataset")? as u64,
        rss: number(&info, "used_memory_rss")? as u64,
    })
}

fn number(info: &Reply, field: &str) -> Result<f64, BoxError> {
    let value = info.field(field);
    Ok(value
        .ok_or_else(|| format!("INFO has no {field}"))?
        .parse()?)
}

impl Server for RedisServer {
    fn counters(&self) -> Result<Counters, BoxError> {
        let info = self.command(&["INFO", "everything"]);
        let of = |field| number(&info, field);
        Ok(Counters {
            cpu_us: 1e6 * (of("used_cpu_user")? + of("used_cpu_sys")?),
            // With those of scripts, which are part of the client's call of them.
            commands: of("total_commands_processed")?,
            bytes_in: of("total_net_input_bytes")? - of("total_net_repl_input_bytes")?,
            bytes_out: of("total_net_output_bytes")? - of("total_net_repl_output_bytes")?,
            replicated: of("master_repl_offset")?,
        })
    }

    fn commands(&self, work: &mut dyn FnMut() -> Result<(), BoxError>) -> Result<f64, BoxError> {
        let mut done = Ok(());
        let address = format!("127.0.0.1:{}", self.port());
        let commands = monitor::commands(&address, || done = work())?;
        done?;
        Ok(commands.len() as f64)
    }
}
