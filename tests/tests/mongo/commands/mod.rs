//! Which commands a request sends to MongoDB, and what is in them, as the driver tells.

mod all;
mod concerns;
mod explain;
mod requests;
mod together;
mod watch;

use mongodb::Client;
use session_mongo::MongoStore;
use session_tests::PATIENCE;

pub(crate) use watch::Watch;

/// A store on the server at `uri` that has its indexes, and all that it sends from now on.
async fn watched(uri: &str) -> (Client, Watch, MongoStore) {
    let (client, watch) = Watch::client(uri).await;
    let builder = MongoStore::builder(client.clone()).call_timeout(PATIENCE);
    let store = builder.connect().await.unwrap();
    watch.take();
    (client, watch, store)
}
