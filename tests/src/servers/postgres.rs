//! One Postgres server.

use std::fs;
use std::net::TcpStream;
use std::ops::Deref;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::binary::find;
use super::dir::TempDir;
use super::{Daemon, Port};

/// How long a server may take to come up.
const START: Duration = Duration::from_secs(30);
/// Debian's `nobody`: Postgres refuses to run as root.
const NOBODY: u32 = 65534;

/// A running `postgres` with an empty database. It ends, and its files are removed, with this
/// value.
#[derive(Debug)]
pub struct PostgresServer {
    daemon: Daemon,
}

impl PostgresServer {
    /// A server by itself.
    pub fn start() -> Self {
        let server = Self {
            daemon: Daemon::new("postgres", TempDir::new(), Port::reserve()),
        };
        let data = server.dir().join("data");
        fs::create_dir(&data).unwrap();
        if is_root() {
            chown(&data, Some(NOBODY), Some(NOBODY)).unwrap();
        }
        let (program, args) = as_other(&binary().with_file_name("initdb"));
        let made = Command::new(program)
            .args(args)
            .args([
                "--auth=trust",
                "--username=postgres",
                "--encoding=UTF8",
                "--locale=C",
            ])
            .args(["--no-sync", "--pgdata"])
            .arg(&data)
            .current_dir(&data)
            .output()
            .unwrap();
        assert!(made.status.success(), "initdb: {made:?}");
        server.restart();
        server
    }

    /// Where clients find it.
    pub fn url(&self) -> String {
        format!("postgres://postgres@{}/postgres", self.address())
    }

    /// Starts it again, with the same port and files, and returns when it answers. What runs is
    /// ended first, and writes nothing more to its files.
    pub fn restart(&self) {
        self.daemon.quit();
        let (program, mut args) = as_other(&binary());
        let own = [
            "-D",
            &self.dir().join("data").display().to_string(),
            "-p",
            &self.port().to_string(),
            "-c",
            "listen_addresses=127.0.0.1",
            "-c",
            "unix_socket_directories=",
            // What it has acknowledged outlives its process, and that is all that a test can end.
            "-c",
            "fsync=off",
            // Nothing of a server that is killed with its test stays in `/dev/shm`.
            "-c",
            "dynamic_shared_memory_type=mmap",
        ];
        args.extend(own.map(str::to_owned));
        let answers = || TcpStream::connect(self.address()).is_ok() && self.log_says_ready();
        self.daemon
            .launch(&program, &args, START, answers)
            .unwrap_or_else(|log| panic!("postgres did not start:\n{log}"));
    }

    fn log_says_ready(&self) -> bool {
        self.log().contains("ready to accept connections")
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        self.daemon.quit();
    }
}

impl Deref for PostgresServer {
    type Target = Daemon;

    fn deref(&self) -> &Daemon {
        &self.daemon
    }
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

/// How to run a program as somebody else than root: another program, and its first arguments.
fn as_other(program: &Path) -> (PathBuf, Vec<String>) {
    if !is_root() {
        return (program.to_owned(), Vec::new());
    }
    let (id, path) = (NOBODY.to_string(), program.display().to_string());
    let args = [
        "--reuid",
        &id,
        "--regid",
        &id,
        "--clear-groups",
        "--pdeathsig",
        "KILL",
        &path,
    ];
    ("setpriv".into(), args.map(str::to_owned).into())
}

fn binary() -> PathBuf {
    find("POSTGRES", newest_of_debian())
}

/// Debian keeps a directory for each version.
fn newest_of_debian() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?;
    let found = versions.filter_map(|entry| Some(entry.ok()?.path().join("bin/postgres")));
    found.filter(|file| file.is_file()).max()
}
