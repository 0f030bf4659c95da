//! The loads.

use session_core::Codec;
use session_redis::Layout;

use super::load::seeds;
use super::site::Site;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_and_nothing_is_back() {
    let loads = [
        (4, 40, 10_000, Codec::Json),
        (2, 40, 10_000, Codec::Postcard),
        // Few sessions, and all at once on each of them.
        (4, 4, 2_000, Codec::Json),
        (2, 4, 2_000, Codec::Postcard),
        (1, 4, 2_000, Codec::Json),
    ];
    seeds(&Site::one(Layout::Fields), loads).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_and_nothing_is_back_in_a_cluster() {
    let loads = [
        (4, 40, 10_000, Codec::Postcard),
        (2, 40, 10_000, Codec::Json),
        (4, 4, 2_000, Codec::Json),
    ];
    seeds(&Site::cluster(Layout::Fields), loads).await;
}
