//! The connections that all calls of a store share.

use std::fmt;
use std::ops::DerefMut;
use std::pin::{Pin, pin};
use std::sync::{Arc, Weak};

use redis::{Cmd, ErrorKind, RedisError, RedisResult, Value};
use session_core::SessionId;
use session_core::store::Invalidations;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::active::ActiveConnection;
use super::common::{Common, Peer};
use super::connector::Connector;
use super::fault::{Fault, Reason};
use super::jitter::jitter;
use super::key::{key_of, share};
use super::near::Near;
use super::reconnect::{FIRST_PAUSE, LAST_PAUSE, REST, Reconnecting};
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

/// Sends commands. Dropping it closes the connections.
pub(crate) struct Link {
    common: Arc<Common>,
    /// At least one.
    pub(super) connections: Box<[Arc<Reconnecting>]>,
}

impl Link {
    /// A link by this many connections, or one.
    pub(crate) fn new(connector: Connector, timing: Timing, connections: usize) -> Self {
        let common = Common::new(connector, timing);
        let connections: Box<[_]> = (0..connections.max(1))
            .map(|place| Reconnecting::new(&common, place))
            .collect();
        let peers = connections.iter().map(Arc::downgrade);
        common.set_peers(peers.map(|peer| peer as Weak<dyn Peer>).collect());
        Self {
            common,
            connections,
        }
    }

    /// Has a cache told of changes to the sessions whose names begin with `prefix`, by connections
    /// that are made from now on. Without leases it needs to know nothing.
    pub(crate) fn tell(&self, cache: Invalidations, prefix: String) {
        let places = match &self.common.connector {
            // One more connection to each primary tells, whatever the calls use.
            #[cfg(feature = "cluster")]
            Connector::Cluster(_) => 1,
            _ => self.connections.len(),
        };
        if let Some(near) = Near::new(cache, prefix, places) {
            self.common.tell(near);
        }
    }

    pub(crate) fn timing(&self) -> Timing {
        self.common.timing
    }

    /// How many connections there are.
    pub(crate) fn count(&self) -> usize {
        self.connections.len()
    }

    /// The place of the connection that the commands on a session take.
    pub(crate) fn place_of(&self, id: SessionId) -> usize {
        match self.connections.len() {
            1 => 0,
            count => share(id.encode_to(&mut [0; 22]).as_bytes(), count),
        }
    }

    /// The connection of a command, by its key. Few instructions choose it, and no lock.
    fn connection_of(&self, command: &Cmd) -> &Arc<Reconnecting> {
        let number = match self.connections.len() {
            1 => 0,
            count => share(key_of(command), count),
        };
        &self.connections[number]
    }

    /// Whether one server has all keys, so that a command may name many.
    pub(crate) fn leads_to_one_server(&self) -> bool {
        self.common.connector.leads_to_one_server()
    }

    /// When an operation that begins now has to be over.
    pub(crate) fn until(&self) -> Instant {
        Instant::now() + self.timing().deadline
    }

    /// Makes all connections.
    pub(crate) async fn connect(&self) -> Result<(), Reason> {
        let until = Instant::now() + self.timing().connect + LAST_PAUSE;
        self.connections
            .iter()
            .for_each(|connection| Arc::clone(connection).begin());
        for connection in &self.connections {
            connection.active(until).await?;
        }
        #[cfg(feature = "cluster")]
        if let (Connector::Cluster(cluster), Some(near)) =
            (&self.common.connector, self.common.near())
        {
            let began = Instant::now();
            let tried = super::near::try_out(cluster, near, self.timing().connect).await;
            return tried.map_err(|last| Reason::NoConnection {
                servers: cluster.to_string(),
                after: began.elapsed(),
                last,
            });
        }
        Ok(())
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
        let shared = self.connection_of(command);
        let active = shared.active(until).await;
        let active = active.map_err(|reason| Fault::Unsent(Arc::new(reason)))?;
        let mut waiting = Waiting::begin(shared, &active, idempotency, until);
        // In its place for as long as it runs: it is most of the future of a call.
        let answer = pin!(active.connection.send(command));
        let error = match waiting.answer(answer).await? {
            Ok(answer) => {
                active.hear();
                return Ok(answer);
            }
            Err(error) => error,
        };
        let fault = fault(shared, &active, &error);
        #[cfg(feature = "cluster")]
        if let Fault::Ask { node, .. } = &fault {
            let asking = Box::pin(active.connection.send_asking(command, node));
            return match waiting.answer(asking).await? {
                // Once this node has taken over, the driver knows it.
                Err(error) if super::cluster::is_unknown_node(&error) => Err(fault),
                Err(error) => Err(Fault::of(&error, active.connection.topology())),
                Ok(answer) => Ok(answer),
            };
        }
        Err(fault)
    }
}

/// What an error says about the command; and about the connection, which is replaced if it is
/// of no use.
fn fault(shared: &Arc<Reconnecting>, active: &ActiveConnection, error: &RedisError) -> Fault {
    let young = active.born.elapsed() < REST;
    let read_only = RedactedError::of(error).code() == "READONLY";
    match error.kind() {
        ErrorKind::Io
        | ErrorKind::Parse
        | ErrorKind::AuthenticationFailed
        | ErrorKind::ClusterConnectionNotFound => {
            let why = format!("it failed: {}", RedactedError::of(error));
            shared.replace(active, &why);
        }
        _ => {
            active.hear();
            if read_only && !young {
                // The server was a primary. Its address may lead to the new one by now.
                shared.replace(active, "it leads to a replica");
            }
        }
    }
    match Fault::of(error, active.connection.topology()) {
        // The store has connected again a moment ago, and that did not help.
        Fault::RefusedForNow(reason) if read_only && young => Fault::Refused(reason),
        fault => fault,
    }
}

/// A command that waits for its answer. A call that gives up, by its deadline or because its caller
/// was cancelled, looks whether the connection hangs.
struct Waiting<'a> {
    shared: &'a Arc<Reconnecting>,
    active: &'a ActiveConnection,
    idempotency: Idempotency,
    since: Instant,
    /// The end of the call.
    until: Instant,
    answered: bool,
}

impl<'a> Waiting<'a> {
    fn begin(
        shared: &'a Arc<Reconnecting>,
        active: &'a ActiveConnection,
        idempotency: Idempotency,
        until: Instant,
    ) -> Self {
        Self {
            shared,
            active,
            idempotency,
            since: Instant::now(),
            until,
            answered: false,
        }
    }

    /// Waits for the answer, or for the error that came instead of one.
    async fn answer(
        &mut self,
        mut answer: Pin<impl DerefMut<Target: Future<Output = RedisResult<Value>>>>,
    ) -> Result<RedisResult<Value>, Fault> {
        self.answered = false;
        let mut end = self.end();
        loop {
            if let Ok(answer) = timeout_at(end, answer.as_mut()).await {
                self.answered = true;
                // There are none inside of an answer, but in that of a proxy to `MGET`: who asks
                // looks for them.
                return Ok(answer.and_then(|answer| match answer {
                    Value::ServerError(error) => Err(error.into()),
                    answer => Ok(answer),
                }));
            }
            // Answers to earlier commands came meanwhile. The connection does not count as silent
            // yet, so this would be sent again on the same one, into the same silence.
            let later = self.end();
            if later <= end || !self.shared.uses(self.active) {
                let silent = self.since.elapsed();
                return Err(Fault::Lost(Arc::new(Reason::Silent(silent))));
            }
            end = later;
        }
    }

    /// When it gives up. An answer to an earlier command can move that to later.
    fn end(&self) -> Instant {
        match self.idempotency {
            // A connection to one server is replaced then, and as a rule there is time to send this
            // again on the new one. A connection to many nodes may stay in use.
            Idempotency::Idempotent => {
                let silence = self.shared.common.timing.silence();
                let since = self.active.silent_since(self.since);
                self.until.min(since + silence + FIRST_PAUSE)
            }
            Idempotency::AtMostOnce => self.until,
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let silence = self.shared.common.timing.silence();
        if !self.answered && self.active.give_up(self.since, silence) >= silence {
            self.shared.replace(self.active, "it does not answer");
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.connections
            .iter()
            .for_each(|connection| connection.close());
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("servers", &format_args!("{}", self.common.connector))
            .field("timing", &self.common.timing)
            .field("connections", &self.connections.len())
            .finish_non_exhaustive()
    }
}
