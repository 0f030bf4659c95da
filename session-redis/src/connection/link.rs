//! The connection that all calls of a store share.

use std::fmt;
use std::sync::Arc;

use redis::{Cmd, ErrorKind, RedisError, RedisResult, Value};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::active::ActiveConnection;
use super::connector::Connector;
use super::fault::{Fault, Reason};
use super::reconnect::{FIRST_PAUSE, LAST_PAUSE, REST, Reconnecting, jitter};
use super::redacted::RedactedError;
use crate::config::Timing;

/// Whether a command may be sent again if its answer was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Idempotency {
    /// Twice has the same effect as once: reads, deletions.
    Idempotent,
    /// It would be applied twice.
    AtMostOnce,
}

/// Sends commands. Dropping it closes the connection.
pub(crate) struct Link {
    pub(super) shared: Arc<Reconnecting>,
}

impl Link {
    pub(crate) fn new(connector: Connector, timing: Timing) -> Self {
        Self {
            shared: Reconnecting::new(connector, timing),
        }
    }

    pub(crate) fn timing(&self) -> Timing {
        self.shared.timing
    }

    /// When an operation that begins now has to be over.
    pub(crate) fn until(&self) -> Instant {
        Instant::now() + self.timing().deadline
    }

    /// Makes the first connection.
    pub(crate) async fn connect(&self) -> Result<(), Reason> {
        let until = Instant::now() + self.timing().connect + LAST_PAUSE;
        self.shared.active(until).await.map(drop)
    }

    /// Sends a command and waits for the answer. It is sent again where that is safe and may help.
    pub(crate) async fn call(
        &self,
        command: &Cmd,
        idempotency: Idempotency,
        until: Instant,
    ) -> Result<Value, Fault> {
        let (mut pause, mut lost, mut refusal) = (FIRST_PAUSE, None, None);
        loop {
            let fault = match self.attempt(command, idempotency, until).await {
                Ok(answer) => return Ok(answer),
                // The script sends itself again, with its code.
                Err(Fault::NoScript) => return Err(Fault::NoScript),
                Err(fault) => fault,
            };
            let again = match &fault {
                Fault::Lost(_) => {
                    lost = Some(fault.clone());
                    idempotency == Idempotency::Idempotent
                }
                // It has waited for a connection already.
                Fault::Unsent(_) => false,
                Fault::Refused(reason) | Fault::RefusedForNow(reason) => {
                    refusal = Some(Arc::clone(reason));
                    fault.may_pass()
                }
                other => other.may_pass(),
            };
            let wake = Instant::now() + jitter(pause);
            if !again || wake >= until {
                // If an attempt was lost it may have been applied, whatever the last one says.
                return Err(lost.unwrap_or(fault).or_earlier(refusal));
            }
            sleep_until(wake).await;
            pause = (pause * 2).min(LAST_PAUSE);
        }
    }

    async fn attempt(
        &self,
        command: &Cmd,
        idempotency: Idempotency,
        until: Instant,
    ) -> Result<Value, Fault> {
        let active = self.shared.active(until).await;
        let active = active.map_err(|reason| Fault::Unsent(Arc::new(reason)))?;
        let mut waiting = Waiting::begin(&self.shared, &active);
        let until = match idempotency {
            // This leaves time to send it again, on another connection.
            Idempotency::Idempotent => {
                until.min(waiting.since + self.timing().silence() + FIRST_PAUSE)
            }
            Idempotency::AtMostOnce => until,
        };
        let error = match waiting
            .answer(active.connection.send(command), until)
            .await?
        {
            Ok(answer) => {
                active.hear();
                return Ok(answer);
            }
            Err(error) => error,
        };
        let fault = self.fault(&active, &error);
        #[cfg(feature = "cluster")]
        if let Fault::Ask { node, .. } = &fault {
            let asking = active.connection.send_asking(command, node);
            return match waiting.answer(asking, until).await? {
                // Once this node has taken over, the driver knows it.
                Err(error) if super::cluster::is_unknown_node(&error) => Err(fault),
                Err(error) => Err(Fault::of(&error, active.connection.topology())),
                Ok(answer) => Ok(answer),
            };
        }
        Err(fault)
    }

    /// What an error says about the command; and about the connection, which is replaced if it is
    /// of no use.
    fn fault(&self, active: &ActiveConnection, error: &RedisError) -> Fault {
        let young = active.born.elapsed() < REST;
        let read_only = RedactedError::of(error).code() == "READONLY";
        match error.kind() {
            ErrorKind::Io
            | ErrorKind::Parse
            | ErrorKind::AuthenticationFailed
            | ErrorKind::ClusterConnectionNotFound => {
                let why = format!("it failed: {}", RedactedError::of(error));
                self.shared.replace(active, &why);
            }
            _ => {
                active.hear();
                if read_only && !young {
                    // The server was a primary. Its address may lead to the new one by now.
                    self.shared.replace(active, "it leads to a replica");
                }
            }
        }
        match Fault::of(error, active.connection.topology()) {
            // The store has connected anew a moment ago, and that did not help.
            Fault::RefusedForNow(reason) if read_only && young => Fault::Refused(reason),
            fault => fault,
        }
    }
}

/// A command that waits for its answer. A call that gives up, by its deadline or because its caller
/// was cancelled, looks whether the connection hangs.
struct Waiting<'a> {
    shared: &'a Arc<Reconnecting>,
    active: &'a ActiveConnection,
    since: Instant,
    answered: bool,
}

impl<'a> Waiting<'a> {
    fn begin(shared: &'a Arc<Reconnecting>, active: &'a ActiveConnection) -> Self {
        Self {
            shared,
            active,
            since: Instant::now(),
            answered: false,
        }
    }

    /// Waits until then for the answer, or for the error that came instead of one.
    async fn answer(
        &mut self,
        answer: impl Future<Output = RedisResult<Value>>,
        until: Instant,
    ) -> Result<RedisResult<Value>, Fault> {
        self.answered = false;
        match timeout_at(until, answer).await {
            Err(_) => Err(Fault::Lost(Arc::new(Reason::Silent(self.since.elapsed())))),
            Ok(answer) => {
                self.answered = true;
                // None of our commands and scripts answers with an error inside of an answer.
                Ok(answer.and_then(|answer| match answer {
                    Value::ServerError(error) => Err(error.into()),
                    answer => Ok(answer),
                }))
            }
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let silence = self.shared.timing.silence();
        if !self.answered && self.active.give_up(self.since, silence) >= silence {
            self.shared.replace(self.active, "it does not answer");
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.shared.close();
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("servers", &format_args!("{}", self.shared.connector))
            .field("timing", &self.shared.timing)
            .finish_non_exhaustive()
    }
}
