//! Laws 1 and 2 under load, in SQL: many requests at once of few sessions, and logouts in between.
//! Nothing that was acknowledged is lost, and nothing that has ended is back.

#[path = "../../../../../../tests/tests/load/client.rs"]
mod client;
#[path = "../../../../../../tests/tests/load/load.rs"]
#[allow(
    clippy::module_inception,
    reason = "other programs of tests share the file"
)]
mod load;

use session_core::{Codec, SessionId};

use crate::site::{self, Site};
use load::seeds;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_and_nothing_is_back_in_postgres() {
    let loads = [(4, 40, 10_000, Codec::Json), (2, 4, 1_000, Codec::Postcard)];
    seeds(&Site::postgres(), loads).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_and_nothing_is_back_in_sqlite() {
    let loads = [(2, 40, 4_000, Codec::Json), (2, 4, 1_000, Codec::Postcard)];
    seeds(&Site::sqlite(), loads).await;
}

/// Whether there is a session in the table. Marks are not counted.
fn is_session(truth: &site::Truth, id: SessionId) -> bool {
    truth.sessions.contains(&id)
}
