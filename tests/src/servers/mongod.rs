//! One MongoDB server.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mongodb::bson::{Document, doc};
use mongodb::error::Result;

use super::binary::{find, in_path, in_tools};
use super::child::Process;
use super::dir::TempDir;
use super::mongod_command::ask;
use super::{MongoBuilder, Port, wait_until};

/// How long a server may take to come up.
const START: Duration = Duration::from_secs(30);

/// A running `mongod`. It is killed, and its files are removed, with this value.
#[derive(Debug)]
pub struct MongoServer {
    // Dropped first: the process, then the files, then the port.
    pub(super) process: Mutex<Option<Process>>,
    pub(super) login: Option<Login>,
    pub(super) args: Vec<String>,
    pub(super) dir: TempDir,
    pub(super) port: Port,
}

/// Who may use a server.
#[derive(Clone, Debug)]
pub(super) struct Login {
    pub(super) user: String,
    pub(super) password: String,
}

impl MongoServer {
    /// A server by itself, with nothing in it.
    pub fn start() -> Self {
        Self::builder().start()
    }

    /// The same, with more to say about it.
    pub const fn builder() -> MongoBuilder {
        MongoBuilder::new()
    }

    /// Where clients find it.
    pub fn uri(&self) -> String {
        let login = self.login.as_ref();
        let login = login.map_or_else(String::new, |login| format!("{}:{}@", login.user, login.password));
        format!("mongodb://{login}{}/", self.address())
    }

    /// Its port on 127.0.0.1. It keeps it for as long as this value lives.
    pub const fn port(&self) -> u16 {
        self.port.number()
    }

    /// Its host and port.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port()).into()
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

    /// Kills it at once. What it has answered to a write that must be durable (`j`, or a majority) is on the disk.
    pub fn kill(&self) {
        drop(self.process().take());
    }

    /// Starts it anew, with the same port and files, and returns when it answers. What runs is killed first.
    pub fn restart(&self) {
        self.kill();
        self.launch()
            .unwrap_or_else(|log| panic!("mongod did not start:\n{log}"));
    }

    /// Stops it where it is: it holds its connections and answers nothing.
    pub fn pause(&self) {
        self.running(Process::pause);
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.running(Process::resume);
    }

    /// What this very server answers, on a connection of this call's own. An error, or no answer within some
    /// seconds, fails the test.
    pub fn command(&self, database: &str, command: Document) -> Document {
        let what = command.clone();
        let answer = self.try_command(database, command);
        answer.unwrap_or_else(|error| panic!("mongod to {what}: {error}"))
    }

    /// As [`MongoServer::command`], where an error is an answer too.
    ///
    /// # Errors
    ///
    /// The server's, or the driver's where the server cannot be reached or does not answer.
    pub fn try_command(&self, database: &str, command: Document) -> Result<Document> {
        ask(&self.uri(), database, command)
    }

    /// The same without logging in.
    pub(super) fn ask_as_nobody(&self, database: &str, command: Document) -> Result<Document> {
        ask(&format!("mongodb://{}/", self.address()), database, command)
    }

    /// What it has written about itself since its last start: a line of JSON for each event.
    pub fn log(&self) -> String {
        let bytes = fs::read(self.dir.join("log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Returns when it answers, or with its log when it has ended instead.
    pub(super) fn launch(&self) -> std::result::Result<(), String> {
        let process = Process::start(&binary(), &self.args, &self.dir.join("log"));
        *self.process() = Some(process);
        let mut ended = false;
        wait_until("mongod to answer", START, || {
            ended = self.running(Process::has_ended);
            ended || self.answers()
        });
        if ended { Err(self.log()) } else { Ok(()) }
    }

    /// The driver would wait half a second before it tries anew to connect.
    fn answers(&self) -> bool {
        let ping = doc! { "ping": 1 };
        TcpStream::connect(self.address()).is_ok() && self.ask_as_nobody("admin", ping).is_ok()
    }

    fn process(&self) -> MutexGuard<'_, Option<Process>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn running<T>(&self, act: impl FnOnce(&mut Process) -> T) -> T {
        let mut process = self.process();
        act(process.as_mut().unwrap_or_else(|| panic!("mongod is down")))
    }
}

fn binary() -> PathBuf {
    let fetched = in_tools("mongod").filter(|file| file.is_file());
    find("MONGOD", fetched.or_else(|| in_path("mongod")))
}
