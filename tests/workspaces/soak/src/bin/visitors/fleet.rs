//! The site: three servers behind a balancer.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use session_tests::Rng;
use session_tests::servers::{Port, TempDir};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::BoxError;
use crate::process::Process;

pub(crate) const SERVERS: usize = 3;

/// How long a server may take to come up.
const START: Duration = Duration::from_secs(20);
/// How long one may take to end: an upload takes 20 s.
const DRAIN: Duration = Duration::from_secs(30);
/// How long the balancer takes to notice that a server is back.
const NOTICE: Duration = Duration::from_millis(600);

/// A server that runs, by the name that the report has for it.
#[derive(Clone, Debug)]
pub(crate) struct Running {
    pub(crate) name: String,
    pub(crate) pid: u32,
}

#[derive(Debug)]
struct Server {
    port: Port,
    process: Option<Process>,
    starts: usize,
}

#[derive(Debug)]
pub(crate) struct Fleet {
    servers: Vec<Server>,
    ending: Vec<JoinHandle<bool>>,
    running: Arc<Mutex<Vec<Running>>>,
    store: String,
    keys: Vec<String>,
    random: Rng,
    balancer_port: Port,
    balancer: Option<Process>,
    dir: TempDir,
    logs: PathBuf,
}

impl Fleet {
    /// Starts the servers over the store at this URL, and the balancer. They log to `logs`.
    pub(crate) async fn start(store: String, seed: u64, logs: &Path) -> Result<Self, BoxError> {
        let server = || Server {
            port: Port::reserve(),
            process: None,
            starts: 0,
        };
        let _ = fs::remove_dir_all(logs); // of an earlier run
        fs::create_dir_all(logs)?;
        let mut fleet = Self {
            servers: (0..SERVERS).map(|_| server()).collect(),
            ending: Vec::new(),
            running: Arc::default(),
            store,
            keys: Vec::new(),
            random: Rng::new(seed),
            balancer_port: Port::reserve(),
            balancer: None,
            dir: TempDir::new(),
            logs: logs.to_owned(),
        };
        let key = fleet.new_key();
        fleet.set_keys(vec![key])?;
        for i in 0..SERVERS {
            fleet.launch(i).await?;
        }
        fleet.launch_balancer().await?;
        Ok(fleet)
    }

    /// Where visitors go.
    pub(crate) fn base(&self) -> String {
        format!("http://127.0.0.1:{}", self.balancer_port.number())
    }

    /// The servers that run, now and later.
    pub(crate) fn running(&self) -> Arc<Mutex<Vec<Running>>> {
        Arc::clone(&self.running)
    }

    pub(crate) fn keys(&self) -> &[String] {
        &self.keys
    }

    /// A key as `openssl rand -base64 32` makes it.
    pub(crate) fn new_key(&self) -> String {
        let bytes: Vec<u8> = (0..4)
            .flat_map(|_| self.random.next().to_le_bytes())
            .collect();
        STANDARD.encode(bytes)
    }

    /// Writes the file of keys, newest first. Servers read it when they start.
    pub(crate) fn set_keys(&mut self, keys: Vec<String>) -> Result<(), BoxError> {
        fs::write(self.dir.join("keys"), keys.join(","))?;
        self.keys = keys;
        Ok(())
    }

    /// Restarts one server after the other, so that the others always serve.
    pub(crate) async fn roll(&mut self) -> Result<(), BoxError> {
        for i in 0..SERVERS {
            self.replace(i).await?;
        }
        Ok(())
    }

    /// Stops server `i` gently. As soon as its port is free another takes its place, while the old
    /// one answers what it has begun.
    async fn replace(&mut self, i: usize) -> Result<(), BoxError> {
        let port = self.servers[i].port.number();
        let Some(old) = self.servers[i].process.take() else {
            return Err("a server is not running".into());
        };
        old.terminate().await?;
        self.forget(old.pid());
        self.ending.push(tokio::spawn(old.ends_within(DRAIN)));
        let limit = Instant::now() + START;
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port))
            .await
            .is_ok()
        {
            if Instant::now() > limit {
                return Err("a server does not close its port".into());
            }
            sleep(Duration::from_millis(50)).await;
        }
        self.launch(i).await?;
        sleep(NOTICE).await;
        Ok(())
    }

    /// Kills a server, which comes back 2 s later.
    pub(crate) async fn kill(&mut self, i: usize) -> Result<(), BoxError> {
        let Some(old) = self.servers[i].process.take() else {
            return Err("a server is not running".into());
        };
        self.forget(old.pid());
        old.kill().await?;
        sleep(Duration::from_secs(2)).await;
        self.launch(i).await?;
        sleep(NOTICE).await;
        Ok(())
    }

    /// Stops all servers, and says whether each one that was ever asked to end did so in time.
    pub(crate) async fn stop(mut self) -> Result<bool, BoxError> {
        for server in &mut self.servers {
            if let Some(process) = server.process.take() {
                process.terminate().await?;
                self.ending.push(tokio::spawn(process.ends_within(DRAIN)));
            }
        }
        let mut gently = true;
        for end in self.ending {
            gently &= end.await?;
        }
        Ok(gently)
    }

    /// Starts a server, again and again if it ends because the store does not answer in time, as
    /// whatever supervises it would.
    async fn launch(&mut self, i: usize) -> Result<(), BoxError> {
        let limit = Instant::now() + START;
        loop {
            match self.try_launch(i).await {
                Err(_) if Instant::now() < limit => sleep(Duration::from_millis(500)).await,
                result => return result,
            }
        }
    }

    async fn try_launch(&mut self, i: usize) -> Result<(), BoxError> {
        let program = std::env::current_exe()?.with_file_name("site");
        let server = &mut self.servers[i];
        server.starts += 1;
        let name = format!("server {}, start {}", i + 1, server.starts);
        let address = format!("127.0.0.1:{}", server.port.number());
        let keys = self.dir.join("keys").display().to_string();
        let args = [address, self.store.clone(), keys];
        let log = self.logs.join(format!("server-{}.log", i + 1));
        let mut process = Process::start(&program, &args, &log)?;
        let pid = process.pid();
        is_served(server.port.number(), &mut process)
            .await
            .map_err(|error| format!("{error}: see {}", log.display()))?;
        server.process = Some(process);
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.push(Running { name, pid });
        Ok(())
    }

    fn forget(&self, pid: u32) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.retain(|server| server.pid != pid);
    }

    async fn launch_balancer(&mut self) -> Result<(), BoxError> {
        let file = self.dir.join("haproxy.cfg");
        fs::write(&file, self.balancer_settings())?;
        let program = std::env::var_os("HAPROXY").unwrap_or_else(|| "haproxy".into());
        let args = [
            "-db".to_owned(),
            "-f".to_owned(),
            file.display().to_string(),
        ];
        let log = self.logs.join("balancer.log");
        let mut process = Process::start(Path::new(&program), &args, &log)?;
        is_served(self.balancer_port.number(), &mut process)
            .await
            .map_err(|error| format!("{error}: see {}", log.display()))?;
        self.balancer = Some(process);
        sleep(NOTICE).await;
        Ok(())
    }

    /// It sends a request to another server only if the first one took no connection. Connections
    /// to servers are not kept, so none is closed just when a request is sent on it. When a visitor
    /// hangs up, it does so too, or the site would never know. A server that is only slow to say
    /// that it is well, on a busy machine, is not taken for a dead one.
    fn balancer_settings(&self) -> String {
        let mut text = format!(
            "global\n    maxconn 4000\n\
             defaults\n    mode http\n    timeout connect 1s\n    timeout check 2s\n    \
             timeout client 90s\n    timeout server 90s\n    timeout tunnel 1h\n    \
             option http-server-close\n    option abortonclose\n    \
             option redispatch 1\n    retries 3\n    retry-on conn-failure\n\
             frontend visitors\n    bind 127.0.0.1:{}\n    default_backend site\n\
             backend site\n    balance roundrobin\n    option httpchk GET /health\n    \
             http-check expect status 200\n    \
             default-server check inter 200 fastinter 200 downinter 200 fall 1 rise 1\n",
            self.balancer_port.number()
        );
        for (i, server) in self.servers.iter().enumerate() {
            let port = server.port.number();
            text += &format!("    server s{} 127.0.0.1:{port}\n", i + 1);
        }
        text
    }
}

async fn is_served(port: u16, process: &mut Process) -> Result<(), BoxError> {
    let limit = Instant::now() + START;
    while TcpStream::connect((Ipv4Addr::LOCALHOST, port))
        .await
        .is_err()
    {
        if process.has_ended() {
            return Err("a process has ended".into());
        }
        if Instant::now() > limit {
            return Err("a process does not open its port".into());
        }
        sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}
