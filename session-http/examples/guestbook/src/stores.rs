//! The store that the command line names.

use session_core::store::SessionStore;
use session_core::{KeyRing, MemoryStore};
use session_http::layer::SessionLayerBuilder;

use crate::failing::FailingStore;
use crate::refusal::BoxError;

type Opened = Result<Box<dyn SessionStore>, BoxError>;

/// Opens the store, and connects to its server if it has one.
pub(crate) async fn open(name: &str) -> Opened {
    match name {
        "memory" => Ok(Box::new(MemoryStore::new())),
        "failing" => Ok(Box::new(FailingStore)),
        uri if uri.starts_with("mongodb") => mongo(uri).await,
        url if url.contains("://") => redis(url).await,
        other => Err(format!(
            "{other:?} is not a store; use memory, cookie, failing, or a URL of Redis or MongoDB"
        )
        .into()),
    }
}

/// Sessions in signed cookies.
#[cfg(feature = "cookie")]
pub(crate) fn cookie(keys: KeyRing) -> Result<SessionLayerBuilder, BoxError> {
    let store = session_http::cookie::CookieStore::signed(keys);
    Ok(session_http::SessionLayer::builder(store))
}

#[cfg(feature = "redis")]
async fn redis(url: &str) -> Opened {
    let store = session_http::redis::RedisStore::connect(url).await?;
    Ok(Box::new(store))
}

#[cfg(feature = "mongo")]
async fn mongo(uri: &str) -> Opened {
    let store = session_http::mongo::MongoStore::connect(uri).await?;
    Ok(Box::new(store))
}

#[cfg(not(feature = "cookie"))]
pub(crate) fn cookie(_: KeyRing) -> Result<SessionLayerBuilder, BoxError> {
    Err(not_built("cookie", "cookie"))
}

#[cfg(not(feature = "redis"))]
async fn redis(_: &str) -> Opened {
    Err(not_built("redis", "redis://.."))
}

#[cfg(not(feature = "mongo"))]
async fn mongo(_: &str) -> Opened {
    Err(not_built("mongo", "mongodb://.."))
}

#[cfg(not(all(feature = "cookie", feature = "redis", feature = "mongo")))]
fn not_built(feature: &str, store: &str) -> BoxError {
    format!(
        "this guestbook was built without {feature}; run this instead:\n\n    \
         cargo run -p guestbook --features {feature} -- --store {store}\n"
    )
    .into()
}
