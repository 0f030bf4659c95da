//! A live page for whoever runs the site, at `/admin`.
//!
//! It exists only if the environment variable `GUESTBOOK_ADMIN_PASSWORD` is set and not empty. A
//! browser asks for the password (HTTP Basic authentication), so it needs TLS anywhere but on
//! localhost.
//!
//! `recorder` is an observer that feeds `tally` and `sign_ins`, which keep the last 15 minutes in
//! `ring`s of fixed size. `page`, `figures` and `plot` make HTML and SVG of them, without a
//! script. `routes` and `gate` decide who gets that.
//!
//! The page knows one process. For a site of several, or for more than 15 minutes, send figures to
//! a monitoring system: `MetricsObserver` does that.

mod figures;
mod gate;
mod latency;
mod page;
mod plot;
mod recorder;
mod ring;
mod routes;
mod sign_ins;
mod tally;
#[cfg(test)]
mod tests;

use std::env::{self, VarError};

use session_core::{SessionManager, SystemClock};
use tracing::warn;

use crate::refusal::BoxError;
use gate::Gate;
pub(crate) use recorder::Recorder;
pub(crate) use routes::AdminRoutes;

const VARIABLE: &str = "GUESTBOOK_ADMIN_PASSWORD";
/// A shorter password is worth a warning.
const SHORT: usize = 12;

/// What the page needs before there is a manager.
pub(crate) struct Admin {
    gate: Gate,
    recorder: Recorder,
}

impl Admin {
    /// `None` if there is no password, and so no page.
    pub(crate) fn from_env() -> Result<Option<Self>, BoxError> {
        match env::var(VARIABLE) {
            Ok(password) if password.is_empty() => Ok(None),
            Ok(password) => {
                if password.len() < SHORT {
                    warn!("{VARIABLE} is short; `openssl rand -base64 18` makes a better one");
                }
                Ok(Some(Self {
                    gate: Gate::new(&password),
                    recorder: Recorder::new(SystemClock),
                }))
            }
            Err(VarError::NotPresent) => Ok(None),
            Err(VarError::NotUnicode(_)) => Err(format!("{VARIABLE} is not UTF-8").into()),
        }
    }

    /// The observer for the manager.
    pub(crate) fn recorder(&self) -> Recorder {
        self.recorder.clone()
    }

    pub(crate) fn routes(self, manager: SessionManager) -> AdminRoutes {
        AdminRoutes::new(self, manager)
    }
}
