//! One server.

use std::fs;
use std::io;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::resp::Connection;
use super::{Builder, Daemon, Engine, Reply, TlsFiles, wait_until};

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
    pub(super) daemon: Daemon,
    pub(super) engine: Engine,
    pub(super) password: Option<String>,
    pub(super) way: Way,
    pub(super) args: Vec<String>,
    pub(super) tls: Option<TlsFiles>,
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

    /// Where clients find it: `redis://`, `rediss://` with TLS, or `redis+unix://` by a socket
    /// file.
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
        socket(self.dir())
    }

    /// Where its certificates lie. A server without TLS fails the test.
    pub fn tls_files(&self) -> &TlsFiles {
        self.tls
            .as_ref()
            .unwrap_or_else(|| panic!("a server without TLS"))
    }

    /// Starts it anew, with the same port and files, and returns when it answers. What runs is
    /// killed first.
    pub fn restart(&self) {
        self.kill();
        self.launch()
            .unwrap_or_else(|log| panic!("{} did not start:\n{log}", self.engine));
    }

    /// What it answers, on a connection of this call's own to its socket file. No answer within 5 s
    /// fails the test.
    ///
    /// What belongs to one connection (`MULTI`, and `WAIT` after a write) is for
    /// [`RedisServer::commands`].
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
        commands
            .iter()
            .map(|command| connection.call(command))
            .collect()
    }

    /// Waits at most 30 s until it answers `command` as `is` likes it. No answer is none that is
    /// liked.
    pub fn wait_until(&self, command: &[&str], mut is: impl FnMut(&Reply) -> bool) {
        wait_until(
            &format!("{command:?} on {}", self.engine),
            Duration::from_secs(30),
            || self.try_command(command).is_ok_and(|reply| is(&reply)),
        );
    }

    /// Returns when it answers, or with its log when it has ended instead.
    pub(super) fn launch(&self) -> Result<(), String> {
        let _ = fs::remove_file(self.socket_path());
        self.daemon
            .launch(&self.engine.binary(), &self.args, START, || self.answers())
    }

    fn answers(&self) -> bool {
        self.try_command(&["PING"])
            .is_ok_and(|reply| reply.text() == "PONG")
    }
}

impl Deref for RedisServer {
    type Target = Daemon;

    fn deref(&self) -> &Daemon {
        &self.daemon
    }
}

pub(super) fn socket(dir: &Path) -> PathBuf {
    dir.join("socket")
}
