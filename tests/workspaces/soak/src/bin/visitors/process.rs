//! Processes of ours: the servers of the site, and the balancer. Each ends with its value, and with
//! this program, however that ends.

use std::fs::OpenOptions;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::BoxError;

#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    pid: u32,
}

impl Process {
    /// Starts `program`, which adds to the file `log`. The kernel kills it when the calling thread
    /// ends, so this must not be called on a thread that is lent for a moment.
    pub(crate) fn start(program: &Path, args: &[String], log: &Path) -> Result<Self, BoxError> {
        let log = OpenOptions::new().create(true).append(true).open(log)?;
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "KILL"])
            .arg(program)
            .args(args);
        command.stdin(Stdio::null()).stdout(log.try_clone()?);
        let child = command.stderr(log).kill_on_drop(true).spawn()?;
        let pid = child.id().ok_or("the process has ended at once")?;
        Ok(Self { child, pid })
    }

    pub(crate) const fn pid(&self) -> u32 {
        self.pid
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Asks it to end. It is our child and was not waited for, so its number is still its own.
    pub(crate) async fn terminate(&self) -> Result<(), BoxError> {
        let pid = self.pid.to_string();
        let mut kill = Command::new("sh");
        kill.args(["-c", "kill -s TERM \"$1\"", "sh", &pid]);
        match kill.status().await?.success() {
            true => Ok(()),
            false => Err(format!("process {pid} took no signal").into()),
        }
    }

    /// Kills it, as a power cut would.
    pub(crate) async fn kill(mut self) -> Result<(), BoxError> {
        Ok(self.child.kill().await?)
    }

    /// Waits until it has ended, and says whether it did so in time and without a fault.
    pub(crate) async fn ends_within(mut self, limit: Duration) -> bool {
        let ended = timeout(limit, self.child.wait()).await;
        ended.is_ok_and(|status| status.is_ok_and(|status| status.success()))
    }
}
