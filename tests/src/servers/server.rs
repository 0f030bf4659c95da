//! One server.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::child::Process;
use super::dir::TempDir;
use super::resp::Connection;
use super::{Builder, Engine, Port, Reply, TlsFiles, wait_until};

/// How long a server may take to come up.
const START: Duration = Duration::from_secs(20);

/// How clients get to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Tcp,
    Tls,
    Unix,
}

/// A running server. It is killed, and its files are removed, with this value.
#[derive(Debug)]
pub struct RedisServer {
    // Dropped first: the process, then the files, then the port.
    pub(super) process: Mutex<Option<Process>>,
    pub(super) engine: Engine,
    pub(super) password: Option<String>,
    pub(super) way: Way,
    pub(super) args: Vec<String>,
    pub(super) tls: Option<TlsFiles>,
    pub(super) dir: TempDir,
    pub(super) port: Port,
}

impl RedisServer {
    /// A server of `engine` with nothing in it that saves nothing.
    pub fn start(engine: Engine) -> Self {
        Self::builder(engine).start()
    }

    /// The same, with more to say about it.
    pub const fn builder(engine: Engine) -> Builder {
        Builder::new(engine)
    }

    /// Its engine.
    pub const fn engine(&self) -> Engine {
        self.engine
    }

    /// Its port on 127.0.0.1. It keeps it for as long as this value lives.
    pub const fn port(&self) -> u16 {
        self.port.number()
    }

    /// Its host and port.
    pub fn address(&self) -> std::net::SocketAddr {
        (std::net::Ipv4Addr::LOCALHOST, self.port()).into()
    }

    /// Where clients find it: `redis://`, `rediss://` with TLS, or `redis+unix://` by a socket file.
    pub fn url(&self) -> String {
        let port = self.port();
        let secret = self.password.as_deref();
        let login = secret.map_or_else(String::new, |password| format!(":{password}@"));
        match self.way {
            Way::Tcp => format!("redis://{login}127.0.0.1:{port}/"),
            Way::Tls => format!("rediss://{login}localhost:{port}/"),
            Way::Unix => {
                let query = secret.map_or_else(String::new, |password| format!("?pass={password}"));
                format!("redis+unix://{}{query}", self.socket_path().display())
            }
        }
    }

    /// Its socket file, which every server has.
    pub fn socket_path(&self) -> PathBuf {
        socket(&self.dir)
    }

    /// Where its certificates lie. A server without TLS fails the test.
    pub fn tls_files(&self) -> &TlsFiles {
        self.tls
            .as_ref()
            .unwrap_or_else(|| panic!("a server without TLS"))
    }

    /// The directory of its files.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The number of its process. One that is down fails the test.
    pub fn pid(&self) -> u32 {
        self.running(|process| process.pid())
    }

    /// Whether it was started, and neither killed nor paused since.
    pub fn is_up(&self) -> bool {
        self.process()
            .as_ref()
            .is_some_and(|process| !process.is_paused())
    }

    /// Kills it at once, as a power cut would.
    pub fn kill(&self) {
        drop(self.process().take());
    }

    /// Starts it anew, with the same port and files, and returns when it answers. What runs is killed first.
    pub fn restart(&self) {
        self.kill();
        self.launch()
            .unwrap_or_else(|log| panic!("{} did not start:\n{log}", self.engine));
    }

    /// Stops it where it is: it holds its connections and answers nothing.
    pub fn pause(&self) {
        self.running(Process::pause);
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.running(Process::resume);
    }

    /// What it answers, on a connection of this call's own to its socket file. No answer within 5 s fails the
    /// test.
    ///
    /// What belongs to one connection (`MULTI`, and `WAIT` after a write) is for [`RedisServer::commands`].
    pub fn command(&self, command: &[&str]) -> Reply {
        let answer = self.try_command(command);
        answer.unwrap_or_else(|error| panic!("{} to {command:?}: {error}", self.engine))
    }

    /// What it answers to several commands, one after the other on one connection.
    pub fn commands(&self, commands: &[&[&str]]) -> Vec<Reply> {
        let answers = self.try_commands(commands);
        answers.unwrap_or_else(|error| panic!("{} to {commands:?}: {error}", self.engine))
    }

    /// As [`RedisServer::command`], where no answer is one too.
    ///
    /// # Errors
    ///
    /// It cannot be reached, or does not answer within 5 s.
    pub fn try_command(&self, command: &[&str]) -> io::Result<Reply> {
        Ok(self.try_commands(&[command])?.remove(0))
    }

    fn try_commands(&self, commands: &[&[&str]]) -> io::Result<Vec<Reply>> {
        let mut connection = Connection::open(&self.socket_path())?;
        if let Some(password) = &self.password {
            connection.call(&["AUTH", password])?;
        }
        commands.iter().map(|command| connection.call(command)).collect()
    }

    /// Waits at most 30 s until it answers `command` as `is` likes it. No answer is none that is liked.
    pub fn wait_until(&self, command: &[&str], mut is: impl FnMut(&Reply) -> bool) {
        wait_until(
            &format!("{command:?} on {}", self.engine),
            Duration::from_secs(30),
            || self.try_command(command).is_ok_and(|reply| is(&reply)),
        );
    }

    /// What it has written about itself since its last start.
    pub fn log(&self) -> String {
        let bytes = fs::read(self.dir.join("log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Returns when it answers, or with its log when it has ended instead.
    pub(super) fn launch(&self) -> Result<(), String> {
        let _ = fs::remove_file(self.socket_path());
        let process = Process::start(&self.engine.binary(), &self.args, &self.dir.join("log"));
        *self.process() = Some(process);
        let mut ended = false;
        wait_until(&format!("{} to answer", self.engine), START, || {
            ended = self.running(Process::has_ended);
            ended
                || self
                    .try_command(&["PING"])
                    .is_ok_and(|reply| reply.text() == "PONG")
        });
        if ended { Err(self.log()) } else { Ok(()) }
    }

    fn process(&self) -> MutexGuard<'_, Option<Process>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn running<T>(&self, act: impl FnOnce(&mut Process) -> T) -> T {
        let mut process = self.process();
        act(process
            .as_mut()
            .unwrap_or_else(|| panic!("{} is down", self.engine)))
    }
}

pub(super) fn socket(dir: &TempDir) -> PathBuf {
    dir.join("socket")
}
