//! The near cache: a change stream says what others have written, and until when that is all.
//!
//! # What leases rest on
//!
//! A few times in each lease this process writes a *beat*: a document of its own, in the collection
//! of sessions, that states when it was sent. A change stream has the order in which a majority
//! took the writes. So a beat that comes back on it says that every write has been reported that
//! was acknowledged before the beat was sent, and leases hold for one lease from then on. If no
//! beat comes back (a connection hangs or is cut, there is no primary), leases run out.
//!
//! The driver resumes a stream by itself when the primary has changed. That is as good as one
//! stream: it goes on behind the last event, in the same order, and misses nothing.
//!
//! # What may be held under a lease
//!
//! A load can find an older state than the stream has reported: a primary that was replaced and
//! does not know it yet still answers. If such a record were held, nobody would ever report that it
//! has changed. So with a near cache each load asks
//!
//! - with read concern `majority`. What only some nodes have can be rolled back, and no stream
//!   reports that;
//! - for a state no older than the last event that was reported when the load began
//!   (`afterClusterTime`). What is reported later ends the lease that the load would bring. So it
//!   makes no difference which node answers, or what it takes itself for;
//! - for a state no older than the last write of this process, in the same way. A majority may not
//!   have that yet: a write of activity waits for one node.

use std::convert::Infallible;
use std::error::Error as _;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::StreamExt;
use mongodb::bson::{DateTime, RawDocument, RawDocumentBuf, doc, rawdoc};
use mongodb::change_stream::ChangeStream;
use mongodb::error::Error;
use mongodb::options::ReadConcern;
use session_core::store::{ChangeFeed, Invalidations, StoreError};
use session_core::{ConfigError, SessionId};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use crate::bson::number;
use crate::detach::within;
use crate::error::ConnectError;
use crate::fault::{self, Reason};
use crate::sessions::{BEAT, Sessions};

/// Beats in each lease.
const BEATS: u32 = 3;
/// A beat may be removed so long after it was written, at least; twice that at most. It is written
/// again by then.
const KEPT: Duration = Duration::from_secs(3600);

/// The task that reads the stream and writes the beats. It ends with this value.
pub(crate) struct Near {
    task: JoinHandle<()>,
    state: watch::Receiver<State>,
}

/// What came of the last attempt.
#[derive(Clone)]
enum State {
    Trying,
    ChangeFeed,
    Failed(StoreError),
}

impl Near {
    /// Starts the task. Where a stream fails it begins another one.
    pub(crate) fn start(
        sessions: Arc<Sessions>,
        invalidations: Invalidations,
        lease: Duration,
    ) -> Result<Self, ConfigError> {
        let name = SessionId::random().map_err(|_| ConfigError::new("no random numbers"))?;
        let (states, state) = watch::channel(State::Trying);
        let teller = Teller {
            beat: format!("{BEAT}{name}", name = name.encode()),
            sessions,
            invalidations,
            lease,
            states,
        };
        let task = tokio::spawn(async move {
            loop {
                let Err(failed) = teller.tell().await;
                let cause = failed.source().map(ToString::to_string);
                let before = teller.states.send_replace(State::Failed(failed));
                // Once for each outage.
                if !matches!(before, State::Failed(_)) {
                    tracing::warn!(
                        target: "session::mongo",
                        cause,
                        "the near cache serves nothing until changes are reported again"
                    );
                }
                sleep(teller.lease).await;
            }
        });
        Ok(Self { task, state })
    }

    /// Waits until changes are reported, or for the reason why they are not.
    pub(crate) async fn first(&self) -> Result<(), ConnectError> {
        let mut state = self.state.clone();
        let state = state
            .wait_for(|state| !matches!(state, State::Trying))
            .await;
        match state.as_deref() {
            Ok(State::Failed(error)) => Err(refused(error)),
            Ok(_) => Ok(()),
            Err(_) => Err(refused(&StoreError::unavailable(Reason::NoRuntime))),
        }
    }
}

impl Drop for Near {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Why there is none.
fn refused(error: &StoreError) -> ConnectError {
    /// There is no history of writes.
    const NO_CHANGE_STREAM: i32 = 40573;

    let reason = match fault::code_of(error) {
        Some(NO_CHANGE_STREAM) => {
            "changes are reported by replica sets alone, and this server is none; start it \
             with `--replSet` (one node will do), or leave out `near_cache`"
        }
        Some(fault::UNAUTHORIZED) => {
            "the user lacks the permission changeStream on the collection; grant it, or leave \
             out `near_cache`"
        }
        Some(fault::INVALID) => {
            "the validator of the collection refuses beats; let it allow documents that have but \
             `asked` and `expires`"
        }
        _ => return ConnectError::failed(error),
    };
    ConnectError::NearCache { reason }
}

struct Teller {
    sessions: Arc<Sessions>,
    invalidations: Invalidations,
    lease: Duration,
    /// The name of this process' beat.
    beat: String,
    states: watch::Sender<State>,
}

impl Teller {
    /// Reports changes for as long as there is a stream and beats can be written.
    async fn tell(&self) -> Result<Infallible, StoreError> {
        let stream = within(self.sessions.deadline, self.open()).await;
        let stream = stream.map_err(StoreError::unavailable)?;
        let stream = stream.map_err(fault::of_read)?;
        tokio::select! {
            failed = self.read(stream) => failed,
            failed = self.write_beats() => failed,
        }
    }

    /// Only what says that a session has changed comes over the wire, and of it only the id.
    fn open(&self) -> impl Future<Output = Result<Stream, Error>> + Send + 'static {
        let collection = self.sessions.collection.clone();
        let beats = doc! { "$regex": format!("^{BEAT}") };
        // A mark replaces its session. What others' beats say is nothing to this process.
        let marks = doc! { "operationType": "replace", "documentKey._id": { "$not": beats } };
        let pipeline = [
            doc! { "$match": { "$or": [
                { "operationType": { "$nin": ["insert", "replace"] } },
                marks,
                { "documentKey._id": &self.beat },
            ] } },
            doc! { "$project": {
                "operationType": 1,
                "clusterTime": 1,
                "documentKey": 1,
                "asked": "$fullDocument.asked",
            } },
        ];
        async move {
            let stream = collection
                .watch()
                .pipeline(pipeline)
                .read_concern(ReadConcern::majority())
                .await?;
            Ok(stream.with_type())
        }
    }

    async fn read(&self, mut stream: Stream) -> Result<Infallible, StoreError> {
        let broken = |what| StoreError::unavailable(Reason::Driver(what));
        let mut feed = None;
        loop {
            // The own beats come all the time. Where nothing comes a connection hangs, and the
            // driver may wait for it for a long time.
            let silence = self.lease * 2 + self.sessions.deadline;
            let event = timeout(silence, stream.next()).await;
            let event = event.map_err(|_| StoreError::unavailable(Reason::Late(silence)))?;
            let event = event.ok_or_else(|| broken("the change stream has ended"))?;
            let event = event.map_err(fault::of_read)?;
            if !self.report(&event, &mut feed) {
                return Err(broken("the collection was dropped or renamed"));
            }
        }
    }

    /// `false` if the event is not about one document.
    fn report(&self, event: &RawDocument, feed: &mut Option<ChangeFeed>) -> bool {
        let Ok(key) = event.get_document("documentKey") else {
            return false;
        };
        // First of all, since a load that begins after the report must not find an older state.
        if let (Ok(time), Some(known)) = (event.get_timestamp("clusterTime"), &self.sessions.known)
        {
            known.note(time);
        }
        // Another program's document may have a name of any type.
        let name = key.get_str("_id").unwrap_or_default();
        if name == self.beat {
            if let Ok(asked) = event.get_i64("asked") {
                // From its first beat on this stream reports all that comes after the beat, and
                // loads find all that came before.
                let feed = feed.get_or_insert_with(|| self.invalidations.begin());
                feed.renew(Duration::from_nanos(asked.unsigned_abs()));
                self.states.send_if_modified(|state| {
                    let first = !matches!(state, State::ChangeFeed);
                    *state = State::ChangeFeed;
                    first
                });
            }
        } else if let (Some(feed), Ok(id)) = (feed, name.parse()) {
            feed.changed(id);
        }
        true
    }

    async fn write_beats(&self) -> Result<Infallible, StoreError> {
        let mut ticks = interval(self.lease / BEATS);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let collection = self.sessions.collection.clone();
            let name = doc! { "_id": &self.beat };
            let beat = rawdoc! {
                "asked": number(self.invalidations.now().as_nanos()),
                "expires": expiry(SystemTime::now()),
            };
            let write = async move { collection.replace_one(name, beat).upsert(true).await };
            let written = within(self.sessions.deadline, write).await;
            let written = written.map_err(StoreError::unavailable)?;
            written.map_err(fault::of_write)?;
        }
    }
}

type Stream = ChangeStream<RawDocumentBuf>;

/// When a beat may be removed. It moves once an hour: the field has an index, and to write that
/// takes the server longer than all the rest.
fn expiry(now: SystemTime) -> DateTime {
    let since = now
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let hours = since.as_secs() / KEPT.as_secs() + 2;
    DateTime::from_millis(number(u128::from(hours) * KEPT.as_millis()))
}
