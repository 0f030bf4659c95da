//! Our layer.

use std::sync::Once;
use std::time::Duration;

use http::{Request, Response};
use metrics_exporter_prometheus::PrometheusBuilder;
use session_core::store::{NearCache, SessionStore};
use session_http::cookie::CookieStore;
use session_http::manager::Timeouts;
use session_http::mongo::MongoStore;
use session_http::redis::{Layout, RedisStore};
use session_http::{Codec, KeyRing, MemoryStore, MetricsObserver, SessionExt, SessionLayer};

use crate::missed::{Missed, Role};
use crate::subject::{Job, Subject, Tower, service};
use crate::{BoxError, User, next_visit, values};

const NAME: &str = "ours";
const SEALED: &str = "ours, sealed values";
const METERED: &str = "ours, with metrics";

/// Of near caches.
const LEASE: Duration = Duration::from_secs(1);

pub async fn handle(request: Request<()>, job: Job) -> Result<Response<()>, BoxError> {
    match job {
        Job::Untouched => {}
        Job::Read => {
            let session = request.session().await?;
            session.get::<User>("user")?.ok_or("no user")?;
        }
        Job::Write => request.session().await?.insert("visits", next_visit())?,
        Job::Create => {
            let session = request.session().await?;
            macro_rules! insert {
                ($key:literal, $value:expr) => {
                    session.insert($key, $value)?;
                };
            }
            values!(insert);
        }
    }
    Ok(Response::new(()))
}

fn subject(
    name: &'static str,
    tasks: usize,
    layer: impl AsyncFnOnce() -> Result<SessionLayer, BoxError>,
) -> Result<Box<dyn Subject>, BoxError> {
    let tower = Tower::new(name, tasks, async || {
        let layer = layer().await?;
        Ok(move |job| layer.layer(service(job, handle)))
    });
    Ok(Box::new(tower?))
}

/// The bare service: no sessions at all.
pub fn bare(tasks: usize) -> Result<Box<dyn Subject>, BoxError> {
    let handle = |_: Request<()>, _| async { Ok(Response::new(())) };
    let tower = Tower::new("no sessions", tasks, async || {
        Ok(move |job| service(job, handle))
    });
    Ok(Box::new(tower?))
}

pub fn memory(tasks: usize) -> Result<Box<dyn Subject>, BoxError> {
    subject(NAME, tasks, async || {
        Ok(SessionLayer::new(MemoryStore::new()))
    })
}

/// What a process holds of the sessions that it has read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cache {
    /// As a store is made: each read asks whether its session is unchanged.
    Default,
    /// Nothing.
    Off,
    /// It serves them itself while a lease holds.
    Near,
    /// The same, and a logout waits for the leases of others.
    NearWaiting,
}

impl Cache {
    fn name(self) -> &'static str {
        match self {
            Self::Default => NAME,
            Self::Off => "ours without a cache",
            Self::Near | Self::NearWaiting => "ours, near cache",
        }
    }

    pub async fn redis(self, url: &str, layout: Layout) -> Result<RedisStore, BoxError> {
        let builder = RedisStore::builder(url).layout(layout);
        let builder = match self {
            Self::Default => builder,
            Self::Off => builder.cache_bytes(0),
            Self::Near => builder.near_cache(NearCache::new(LEASE)),
            Self::NearWaiting => builder.near_cache(NearCache::new(LEASE).with_waiting_ends()),
        };
        Ok(builder.connect().await?)
    }
}

pub fn redis(
    url: &str,
    layout: Layout,
    cache: Cache,
    tasks: usize,
) -> Result<Box<dyn Subject>, BoxError> {
    subject(cache.name(), tasks, async || {
        Ok(SessionLayer::new(cache.redis(url, layout).await?))
    })
}

/// The same, with sealed values.
pub fn redis_sealed(url: &str, tasks: usize) -> Result<Box<dyn Subject>, BoxError> {
    subject(SEALED, tasks, async || {
        sealed(Cache::Default.redis(url, Layout::Fields).await?)
    })
}

pub fn memory_sealed(tasks: usize) -> Result<Box<dyn Subject>, BoxError> {
    subject(SEALED, tasks, async || sealed(MemoryStore::new()))
}

fn sealed(store: impl SessionStore) -> Result<SessionLayer, BoxError> {
    let keys = KeyRing::new([1; 32])?;
    Ok(SessionLayer::builder(store).seal_values(keys).build()?)
}

/// The same, with everything counted for Prometheus.
pub fn redis_metered(url: &str, tasks: usize) -> Result<Box<dyn Subject>, BoxError> {
    subject(METERED, tasks, async || {
        metered(Cache::Default.redis(url, Layout::Fields).await?)
    })
}

pub fn memory_metered(tasks: usize) -> Result<Box<dyn Subject>, BoxError> {
    subject(METERED, tasks, async || metered(MemoryStore::new()))
}

fn metered(store: impl SessionStore) -> Result<SessionLayer, BoxError> {
    static RECORDER: Once = Once::new();
    RECORDER.call_once(|| {
        let recorder = PrometheusBuilder::new().build_recorder();
        // There is no other.
        let _ = metrics::set_global_recorder(recorder);
    });
    let observer = MetricsObserver::new();
    Ok(SessionLayer::builder(store).observer(observer).build()?)
}

/// The same, for reads that find what another process has written.
pub fn redis_missed(
    url: &str,
    layout: Layout,
    cache: Cache,
    tasks: usize,
) -> Result<Box<dyn Subject>, BoxError> {
    let missed = Missed::new(cache.name(), tasks, async |role| {
        let cache = match role {
            Role::Reader => cache,
            Role::Writer => Cache::Off,
        };
        let layer = SessionLayer::new(cache.redis(url, layout).await?);
        Ok(move |job| layer.layer(service(job, handle)))
    });
    Ok(Box::new(missed?))
}

/// As small as a session can be: packed, with postcard values.
pub fn redis_small(url: &str) -> Result<Box<dyn Subject>, BoxError> {
    subject(NAME, 1, async || {
        let store = RedisStore::builder(url)
            .layout(Layout::Packed)
            .connect()
            .await?;
        Ok(SessionLayer::builder(store)
            .codec(Codec::Postcard)
            .build()?)
    })
}

/// With a near cache or without any: its store has no other.
pub fn mongo(uri: &str, cache: Cache, tasks: usize) -> Result<Box<dyn Subject>, BoxError> {
    subject(cache.name(), tasks, async || {
        // A disk that stalls for a moment is to cost time, and not to end the run.
        let patience = Duration::from_secs(20);
        let builder = MongoStore::builder(uri).call_timeout(patience);
        let builder = match cache {
            Cache::Near => builder.near_cache(NearCache::new(LEASE)),
            _ => builder,
        };
        let store = builder.connect().await?;
        let timeouts = Timeouts::default().with_call(patience);
        let layer = SessionLayer::builder(store).timeouts(timeouts);
        Ok(layer.build()?)
    })
}

pub fn cookie(tasks: usize) -> Result<Box<dyn Subject>, BoxError> {
    subject(NAME, tasks, async || {
        let keys = KeyRing::new([1; 32])?;
        Ok(SessionLayer::new(CookieStore::signed(keys)))
    })
}
