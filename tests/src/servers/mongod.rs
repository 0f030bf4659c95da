//! One MongoDB server.

use std::net::TcpStream;
use std::ops::Deref;
use std::path::PathBuf;
use std::time::Duration;

use mongodb::bson::{Document, doc};
use mongodb::error::Result;

use super::binary::{find, in_path, in_tools};
use super::mongod_command::ask;
use super::{Daemon, MongoBuilder};

/// How long a server may take to come up.
const START: Duration = Duration::from_secs(30);
/// What a patient client's URI says.
pub const PATIENTLY: &str = "connectTimeoutMS=20000";

/// A running `mongod`. It is killed, and its files are removed, with this value. What it answered,
/// when killed, to a write that must be durable (`j`, or a majority) is on the disk; its log has a
/// line of JSON for each event.
#[derive(Debug)]
pub struct MongoServer {
    pub(super) daemon: Daemon,
    pub(super) login: Option<Login>,
    pub(super) args: Vec<String>,
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
        let login = login.map_or_else(String::new, |login| {
            format!("{}:{}@", login.user, login.password)
        });
        format!("mongodb://{login}{}/", self.address())
    }

    /// The same, for clients that are patient: the server has 20 s to accept a connection or to
    /// answer a heartbeat of the driver. By default the store gives it 1 s. A heartbeat that takes
    /// longer closes all connections to the server, and the outcome of the writes on them is
    /// unknown.
    pub fn patient_uri(&self) -> String {
        format!("{}?{PATIENTLY}", self.uri())
    }

    /// Starts it anew, with the same port and files, and returns when it answers. What runs is
    /// killed first.
    pub fn restart(&self) {
        self.kill();
        self.launch()
            .unwrap_or_else(|log| panic!("mongod did not start:\n{log}"));
    }

    /// What this very server answers, on a connection of this call's own. An error, or no answer
    /// within some seconds, fails the test.
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

    /// Returns when it answers, or with its log when it has ended instead.
    pub(super) fn launch(&self) -> std::result::Result<(), String> {
        self.daemon
            .launch(&binary(), &self.args, START, || self.answers())
    }

    /// The driver would wait half a second before it tries anew to connect.
    fn answers(&self) -> bool {
        let ping = doc! { "ping": 1 };
        TcpStream::connect(self.address()).is_ok() && self.ask_as_nobody("admin", ping).is_ok()
    }
}

impl Deref for MongoServer {
    type Target = Daemon;

    fn deref(&self) -> &Daemon {
        &self.daemon
    }
}

fn binary() -> PathBuf {
    let fetched = in_tools("mongod").filter(|file| file.is_file());
    find("MONGOD", fetched.or_else(|| in_path("mongod")))
}
