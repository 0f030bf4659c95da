//! What a MongoDB server is started with.

use mongodb::bson::doc;

use super::dir::TempDir;
use super::mongod::Login;
use super::{Daemon, MongoServer, Port};

/// Files of 16 MB and none made in advance, where 300 MB are usual.
///
/// A server without any journal is no choice: to a write that must be durable, which one for a
/// majority is, it answers after a checkpoint of all it has.
const SMALL_JOURNAL: &str = "log=(prealloc=false,file_max=16MB)";

/// What a MongoDB server is started with.
#[derive(Clone, Debug)]
pub struct MongoBuilder {
    args: Vec<String>,
    login: Option<Login>,
}

impl MongoBuilder {
    /// A server by itself.
    pub(super) const fn new() -> Self {
        Self {
            args: Vec::new(),
            login: None,
        }
    }

    /// An argument of the command line, after all others. An option and its value are two.
    pub fn arg(mut self, arg: impl Into<String>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// A parameter of the server, such as `ttlMonitorSleepSecs`.
    pub fn parameter(self, name: &str, value: &str) -> Self {
        self.arg("--setParameter").arg(format!("{name}={value}"))
    }

    /// Clients must log in, as this user, who may do everything. Both go into the URI as they are.
    pub fn login(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.login = Some(Login {
            user: user.into(),
            password: password.into(),
        });
        self.arg("--auth")
    }

    /// Starts it, and returns when it answers.
    pub fn start(self) -> MongoServer {
        loop {
            let server = self.server();
            match server.launch() {
                Ok(()) => {
                    self.make_user(&server);
                    return server;
                }
                // Somebody was faster; the next one gets another port.
                Err(log) if log.contains("Address already in use") => {}
                Err(log) => panic!("mongod did not start:\n{log}"),
            }
        }
    }

    /// What is to be started.
    fn server(&self) -> MongoServer {
        let dir = TempDir::new();
        let port = Port::reserve();
        let mut args = Vec::new();
        let mut add = |more: &[&str]| args.extend(more.iter().map(|arg| (*arg).to_owned()));
        add(&[
            "--bind_ip",
            "127.0.0.1",
            "--port",
            &port.number().to_string(),
        ]);
        add(&[
            "--dbpath",
            &dir.path().display().to_string(),
            "--nounixsocket",
        ]);
        add(&["--wiredTigerCacheSizeGB", "0.25", "--quiet"]);
        // Of itself, once a second, on the disk.
        add(&["--setParameter", "diagnosticDataCollectionEnabled=false"]);
        add(&["--wiredTigerEngineConfigString", SMALL_JOURNAL]);
        args.extend(self.args.iter().cloned());
        MongoServer {
            daemon: Daemon::new("mongod", dir, port),
            login: self.login.clone(),
            args,
        }
    }

    /// A server without users lets those of its own machine in, to make the first one.
    fn make_user(&self, server: &MongoServer) {
        let Some(Login { user, password }) = &self.login else {
            return;
        };
        let make = doc! {
            "createUser": user,
            "pwd": password,
            "roles": ["root"],
            "writeConcern": { "j": true },
        };
        server.ask_as_nobody("admin", make).unwrap();
    }
}
