//! Which commands a request sends to MongoDB, and what is in them, as the driver tells.

mod all;
mod concerns;
mod explain;
mod requests;
mod watch;

use std::time::Duration;

use mongodb::Client;
use session_core::{Deadlines, SessionManager};
use session_mongo::MongoStore;

use watch::Watch;

/// A busy machine is no reason to fail.
const PATIENCE: Duration = Duration::from_secs(20);

/// A store on the server at `uri` that has its indexes, and all that it sends from now on.
async fn watched(uri: &str) -> (Client, Watch, MongoStore) {
    let (client, watch) = Watch::client(uri).await;
    let builder = MongoStore::builder(client.clone()).deadline(PATIENCE);
    let store = builder.connect().await.unwrap();
    watch.take();
    (client, watch, store)
}

fn patient() -> Deadlines {
    Deadlines {
        call: PATIENCE * 2,
        commit: PATIENCE * 2,
    }
}

fn manager(store: &MongoStore) -> SessionManager {
    let builder = SessionManager::builder(store.clone()).deadlines(patient());
    builder.build().unwrap()
}
