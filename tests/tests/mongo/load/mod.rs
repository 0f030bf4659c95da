//! Laws 1 and 2 under load, on MongoDB: many requests at once of few sessions, by several clients
//! of the servers, and logouts in between. Nothing that was acknowledged is lost, and nothing that
//! has ended is back.

#[path = "../../load/client.rs"]
mod client;
#[path = "../../load/load.rs"]
mod load;
mod site;

use session_core::Codec;

use load::seeds;
use site::Site;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_and_nothing_is_back() {
    let loads = [
        (4, 40, 10_000, Codec::Json),
        // Few sessions, and all at once on each of them.
        (2, 4, 1_000, Codec::Postcard),
        (1, 4, 1_000, Codec::Json),
    ];
    seeds(&Site::one(), loads).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_and_nothing_is_back_in_a_replica_set() {
    let loads = [(4, 40, 10_000, Codec::Json), (4, 4, 1_000, Codec::Postcard)];
    seeds(&Site::set(), loads).await;
}

/// Whether there is a session on the server. Marks are not read.
fn is_session(truth: &site::Truth, id: session_core::SessionId) -> bool {
    truth.sessions.contains_key(&id)
}
