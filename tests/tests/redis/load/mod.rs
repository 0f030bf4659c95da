//! Laws 1 and 2 under load: many requests at once of few sessions, on several server processes, and
//! logouts in between. Nothing that was acknowledged is lost, and nothing that has ended is back.

#[path = "../../load/client.rs"]
mod client;
mod http;
#[path = "../../load/load.rs"]
mod load;
mod loads;

use crate::index::site;

/// Marks of sessions that have ended live for a minute at most, the sessions here for hours.
const MARK: i64 = 60_000;

/// Whether there is a session on the servers, and not only the mark of one.
fn is_session(truth: &site::Truth, id: session_core::SessionId) -> bool {
    truth
        .sessions
        .get(&id)
        .is_some_and(|stored| stored.ttl > MARK)
}
