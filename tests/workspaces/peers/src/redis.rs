//! The driver of Redis alone: the very commands that our store sends, and nothing around them.

use std::sync::Arc;

use http::header::COOKIE;
use http::{Request, Response};
use redis::aio::MultiplexedConnection;
use redis::{Client, Cmd, Value};

use session_http::redis::Layout;

use crate::monitor;
use crate::ours::Cache;
use crate::subject::{Job, Subject, Tower, service};
use crate::{BoxError, ours};

/// For each session the commands of a request that reads, and of one that writes.
struct Script {
    read: Vec<Cmd>,
    write: Vec<Cmd>,
}

/// What our store sends, sent again by the driver alone.
pub fn raw(url: &str, layout: Layout, tasks: usize) -> Result<Box<dyn Subject>, BoxError> {
    let ours = || ours::redis(url, layout, Cache::Default, 1);
    let scripts: Result<Arc<[Script]>, _> = (0..tasks).map(|_| record(url, &*ours()?)).collect();
    let scripts = scripts?;
    let jobs: &[Job] = match layout {
        // A text is replaced by version, so the second time is another thing.
        Layout::Packed => &[Job::Read],
        _ => &[Job::Read, Job::Write],
    };
    let tower = Tower::with_cookies("redis driver", tasks, jobs, async || {
        let connection = Client::open(url)?
            .get_multiplexed_async_connection()
            .await?;
        let handle =
            move |request, job| handle(request, job, connection.clone(), Arc::clone(&scripts));
        Ok(move |job| service(job, handle.clone()))
    });
    Ok(Box::new(tower?))
}

fn record(url: &str, ours: &dyn Subject) -> Result<Script, BoxError> {
    let watch = |job| {
        let commands = monitor::commands(address(url), || _ = ours.run(job, 1))?;
        let again = |command: monitor::Command| {
            let mut again = Cmd::new();
            for argument in command {
                again.arg(argument);
            }
            again
        };
        Ok::<_, BoxError>(commands.into_iter().map(again).collect())
    };
    // A script is sent whole when the server has not seen it yet.
    ours.run(Job::Write, 1);
    Ok(Script {
        read: watch(Job::Read)?,
        write: watch(Job::Write)?,
    })
}

async fn handle(
    request: Request<()>,
    job: Job,
    mut connection: MultiplexedConnection,
    scripts: Arc<[Script]>,
) -> Result<Response<()>, BoxError> {
    let index: usize = request.headers()[COOKIE].to_str()?.parse()?;
    let script = &scripts[index];
    let commands = if job == Job::Read {
        &script.read
    } else {
        &script.write
    };
    for command in commands {
        match connection.send_packed_command(command).await? {
            Value::Nil | Value::Int(0) => return Err("the session is gone".into()),
            _ => {}
        }
    }
    Ok(Response::new(()))
}

/// How many commands some work sends to the server: what scripts do is part of the scripts.
pub fn commands(url: &str, work: impl FnOnce()) -> Result<u64, BoxError> {
    Ok(monitor::commands(address(url), work)?.len() as u64)
}

/// What some work has asked of a server.
pub struct Traffic {
    /// Commands of clients.
    pub commands: u64,
    /// How often a whole session was read, also by scripts.
    pub loads: u64,
}

pub fn traffic(url: &str, work: impl FnOnce()) -> Result<Traffic, BoxError> {
    let asked = monitor::asked(address(url), work)?;
    let loads = |commands: &[monitor::Command]| {
        let load = |command: &&monitor::Command| match command.first() {
            Some(name) => {
                name.eq_ignore_ascii_case(b"GET") || name.eq_ignore_ascii_case(b"HGETALL")
            }
            None => false,
        };
        commands.iter().filter(load).count() as u64
    };
    Ok(Traffic {
        commands: asked.commands.len() as u64,
        loads: loads(&asked.commands) + loads(&asked.by_scripts),
    })
}

fn address(url: &str) -> &str {
    url.trim_start_matches("redis://").trim_end_matches('/')
}

/// The server's memory for a session: the mean of all keys, since only sessions are there.
pub fn server_bytes(url: &str) -> Result<u64, BoxError> {
    let mut connection = Client::open(url)?.get_connection()?;
    let keys: Vec<Vec<u8>> = redis::cmd("KEYS").arg("*").query(&mut connection)?;
    let mut sum = 0;
    for key in &keys {
        let bytes: u64 = redis::cmd("MEMORY")
            .arg("USAGE")
            .arg(key)
            // All fields of a hash, or it is guessed from five.
            .arg("SAMPLES")
            .arg(0)
            .query(&mut connection)?;
        sum += bytes;
    }
    Ok(sum / keys.len().max(1) as u64)
}

pub fn clear(url: &str) -> Result<(), BoxError> {
    redis::cmd("FLUSHALL").exec(&mut Client::open(url)?.get_connection()?)?;
    Ok(())
}
