//! Two stores on one server, as two processes have them.

use std::sync::Arc;

use session_core::store::SessionStore;
use session_mongo::MongoStore;
use session_redis::{Layout, RedisStore};
use session_tests::servers::{Engine, MongoServer, RedisServer};

pub(crate) type TwoStores = [Arc<dyn SessionStore>; 2];

/// The server stops when it is dropped.
pub(crate) async fn on_redis(layout: Layout) -> (RedisServer, TwoStores) {
    let server = RedisServer::start(Engine::Redis7);
    let store = async || {
        let builder = RedisStore::builder(server.url()).layout(layout);
        Arc::new(builder.connect().await.unwrap()) as Arc<dyn SessionStore>
    };
    let stores = [store().await, store().await];
    (server, stores)
}

/// The server stops when it is dropped.
pub(crate) async fn on_mongodb() -> (MongoServer, TwoStores) {
    let server = MongoServer::start();
    let store = async || {
        let builder = MongoStore::builder(server.patient_uri());
        Arc::new(builder.connect().await.unwrap()) as Arc<dyn SessionStore>
    };
    let stores = [store().await, store().await];
    (server, stores)
}
