//! What every server of this kit is: a process that may be down, its files and its port.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::child::Process;
use super::dir::TempDir;
use super::{Port, wait_until};

/// A server's process, files and port, whichever server it is. All of it ends with this value.
#[derive(Debug)]
pub struct Daemon {
    name: &'static str,
    // Dropped first: the process, then the files, then the port.
    process: Mutex<Option<Process>>,
    dir: TempDir,
    port: Port,
}

impl Daemon {
    /// One that is down.
    pub(super) const fn new(name: &'static str, dir: TempDir, port: Port) -> Self {
        Self {
            name,
            process: Mutex::new(None),
            dir,
            port,
        }
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

    /// Kills it at once, as a power cut would.
    pub fn kill(&self) {
        drop(self.process().take());
    }

    /// Ends it at once, but lets it end its children and give back what it has of the system.
    pub(super) fn quit(&self) {
        if let Some(mut process) = self.process().take() {
            process.quit();
        }
    }

    /// Stops it where it is: it holds its connections and answers nothing.
    pub fn pause(&self) {
        self.running(Process::pause);
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.running(Process::resume);
    }

    /// What it has written about itself since its last start.
    pub fn log(&self) -> String {
        let bytes = fs::read(self.dir.join("log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Starts it, and returns within `limit` when it answers, or with its log when it has ended
    /// instead.
    pub(super) fn launch(
        &self,
        binary: &Path,
        args: &[String],
        limit: Duration,
        answers: impl Fn() -> bool,
    ) -> Result<(), String> {
        *self.process() = Some(Process::start(binary, args, &self.dir.join("log")));
        let mut ended = false;
        wait_until(&format!("{} to answer", self.name), limit, || {
            ended = self.running(Process::has_ended);
            ended || answers()
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
            .unwrap_or_else(|| panic!("{} is down", self.name)))
    }
}
