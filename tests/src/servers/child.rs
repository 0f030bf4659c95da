//! A process of ours, and the signals it may get.

use std::fs;
use std::io;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use super::wait_until;

/// A running process. It ends with this value.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    paused: bool,
}

impl Process {
    /// Runs `program`, which writes to the file `log`.
    pub(super) fn start(program: &Path, args: &[String], log: &Path) -> Self {
        let log = fs::File::create(log).unwrap();
        let mut command = that_dies_with_us(program);
        command.args(args).stdin(Stdio::null());
        command.stdout(log.try_clone().unwrap()).stderr(log);
        let child = spawn(command).unwrap_or_else(|error| panic!("{}: {error}", program.display()));
        Self {
            child,
            paused: false,
        }
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(super) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    pub(super) const fn is_paused(&self) -> bool {
        self.paused
    }

    /// Stops it where it is. Its sockets stay open.
    pub(super) fn pause(&mut self) {
        self.signal("STOP");
        let pid = self.pid();
        wait_until("the process to stop", Duration::from_secs(5), || {
            is_stopped(pid)
        });
        self.paused = true;
    }

    /// Lets it go on.
    pub(super) fn resume(&mut self) {
        self.signal("CONT");
        self.paused = false;
    }

    /// Asks it to end at once, and waits until it has ended. If it does not, `drop` kills it.
    pub(super) fn quit(&mut self) {
        if self.has_ended() {
            return;
        }
        self.signal("QUIT");
        let end = Instant::now() + Duration::from_secs(20);
        while !self.has_ended() && Instant::now() < end {
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// The pid is that of our child: it is not reaped before `drop`, or its end is noticed here.
    fn signal(&mut self, name: &str) {
        assert!(!self.has_ended(), "the process has ended by itself");
        let pid = self.pid().to_string();
        let script = "kill -s \"$1\" \"$2\"";
        let done = Command::new("sh")
            .args(["-c", script, "sh", name, &pid])
            .status()
            .unwrap();
        assert!(done.success(), "signal {name} was not sent");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The state `T` in the kernel's list. Where there is no such list, the signal is trusted.
fn is_stopped(pid: u32) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else {
        return true;
    };
    stat.rsplit(')')
        .next()
        .is_some_and(|rest| rest.trim_start().starts_with('T'))
}

/// Where `setpriv` is there, the kernel kills the process if this one ends without dropping it.
fn that_dies_with_us(program: &Path) -> Command {
    static SETPRIV: OnceLock<bool> = OnceLock::new();
    let works = || {
        Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "true"])
            .status()
    };
    if *SETPRIV.get_or_init(|| works().is_ok_and(|status| status.success())) {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL"]).arg(program);
        command
    } else {
        Command::new(program)
    }
}

type Order = (Command, Sender<io::Result<Child>>);

/// Spawns from a thread that lives as long as the process: a child's parent, for `--pdeathsig`, is
/// the thread that made it, and those of tests end early.
fn spawn(command: Command) -> io::Result<Child> {
    static SPAWNER: OnceLock<Mutex<Sender<Order>>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (orders, received) = channel::<Order>();
        thread::spawn(move || {
            for (mut command, answer) in received {
                let _ = answer.send(command.spawn());
            }
        });
        Mutex::new(orders)
    });
    let (answer, child) = channel();
    spawner.lock().unwrap().send((command, answer)).unwrap();
    child.recv().unwrap()
}
