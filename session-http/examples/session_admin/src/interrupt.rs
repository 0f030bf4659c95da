//! Ctrl-C while sessions are written: what was begun is finished, and the counts are printed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::output::Failure;

/// Whether somebody wants to stop. It listens until the program ends.
pub(crate) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// From now on the first Ctrl-C is only noted. The second one ends the program at once.
    pub(crate) fn listen() -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let noted = Arc::clone(&stop);
        tokio::spawn(async move {
            while tokio::signal::ctrl_c().await.is_ok() {
                if noted.swap(true, Ordering::Relaxed) {
                    std::process::exit(Failure::INTERRUPTED.into());
                }
            }
        });
        Self(stop)
    }

    pub(crate) fn check(&self) -> Result<(), Failure> {
        match self.0.load(Ordering::Relaxed) {
            true => Err(Failure::Interrupted),
            false => Ok(()),
        }
    }
}
