//! What a server is started with.

use std::fs;

use super::dir::TempDir;
use super::server::{Way, socket};
use super::{Daemon, Engine, Port, RedisServer, TlsFiles};

/// What a server is started with.
#[derive(Clone, Debug)]
pub struct Builder {
    engine: Engine,
    config: Vec<String>,
    args: Vec<String>,
    password: Option<String>,
    way: Way,
}

impl Builder {
    /// A server of `engine` that saves nothing.
    pub const fn new(engine: Engine) -> Self {
        Self {
            engine,
            config: Vec::new(),
            args: Vec::new(),
            password: None,
            way: Way::Tcp,
        }
    }

    /// An argument of the command line, after all others. An option and its value are two.
    pub fn arg(mut self, arg: impl Into<String>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// A line of the server's file of settings, after those of this kit.
    pub fn config(mut self, line: impl Into<String>) -> Self {
        self.config.push(line.into());
        self
    }

    /// Clients must state a password. It goes into the URL as it is.
    pub fn password(mut self, password: impl Into<String>) -> Self {
        self.password = Some(password.into());
        self
    }

    /// Clients come by a socket file, and by no port.
    pub const fn unix_socket(mut self) -> Self {
        self.way = Way::Unix;
        self
    }

    /// Clients come by TLS only; they may show a certificate. [`Engine::Redis7`] alone is built for
    /// it.
    pub const fn tls(mut self) -> Self {
        self.way = Way::Tls;
        self
    }

    /// What was answered outlives the server's death: every write is on the disk first.
    pub fn persistent(self) -> Self {
        self.config("appendonly yes").config("appendfsync always")
    }

    /// Starts it, and returns when it answers.
    pub fn start(self) -> RedisServer {
        self.start_with(&[])
    }

    /// With further arguments that are no options, such as `--sentinel`.
    pub(super) fn start_with(self, extra: &[&str]) -> RedisServer {
        loop {
            let server = self.server(extra);
            match server.launch() {
                Ok(()) => return server,
                // Somebody was faster; the next one gets another port.
                Err(log) if log.contains("Address already in use") => {}
                Err(log) => panic!("{} did not start:\n{log}", self.engine),
            }
        }
    }

    /// What is to be started.
    fn server(&self, extra: &[&str]) -> RedisServer {
        let dir = TempDir::new();
        let port = Port::reserve();
        let tls = (self.way == Way::Tls).then(|| TlsFiles::make(dir.path()));
        let config = dir.join("redis.conf");
        fs::write(&config, self.settings(&dir, port.number(), tls.as_ref())).unwrap();
        let mut args = vec![config.display().to_string()];
        args.extend(extra.iter().map(|arg| (*arg).to_owned()));
        args.extend(self.args.iter().cloned());
        RedisServer {
            daemon: Daemon::new(self.engine.name(), dir, port),
            engine: self.engine,
            password: self.password.clone(),
            way: self.way,
            args,
            tls,
        }
    }

    /// A file and not arguments, so that sentinels and clusters can rewrite it.
    fn settings(&self, dir: &TempDir, port: u16, tls: Option<&TlsFiles>) -> String {
        let mut lines = vec![
            "bind 127.0.0.1".to_owned(),
            format!("port {}", if self.way == Way::Tcp { port } else { 0 }),
            format!("dir {}", dir.path().display()),
            format!("unixsocket {}", socket(dir.path()).display()),
            "save \"\"".to_owned(),
            "appendonly no".to_owned(),
            // A replica is served at once, not after 5 s.
            "repl-diskless-sync-delay 0".to_owned(),
        ];
        if let Some(files) = tls {
            lines.push(format!("tls-port {port}"));
            lines.push(format!("tls-cert-file {}", files.cert.display()));
            lines.push(format!("tls-key-file {}", files.key.display()));
            lines.push(format!("tls-ca-cert-file {}", files.ca.display()));
            lines.push("tls-auth-clients optional".to_owned());
        }
        if let Some(password) = &self.password {
            lines.push(format!("requirepass {password}"));
            lines.push(format!("masterauth {password}"));
        }
        lines.extend(self.config.iter().cloned());
        lines.join("\n") + "\n"
    }
}
