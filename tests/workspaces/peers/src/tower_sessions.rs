//! tower-sessions, in the versions that run with each of its stores.

use http::{Request, Response};

use crate::missed::Missed;
use crate::subject::{Job, Subject, Tower, service};
use crate::{BoxError, User, next_visit, values};

/// The same for each version: their types are not the same.
macro_rules! version {
    ($module:ident, $package:ident) => {
        pub mod $module {
            use super::*;
            use $package::{Session, SessionManagerLayer, SessionStore};

            pub(super) async fn handle(
                request: Request<()>,
                job: Job,
            ) -> Result<Response<()>, BoxError> {
                let session = || request.extensions().get::<Session>().ok_or("no layer");
                match job {
                    Job::Untouched => {}
                    Job::Read => {
                        session()?.get::<User>("user").await?.ok_or("no user")?;
                    }
                    Job::Write => session()?.insert("visits", next_visit()).await?,
                    Job::Create => {
                        let session = session()?;
                        macro_rules! insert {
                            ($key:literal, $value:expr) => {
                                session.insert($key, $value).await?;
                            };
                        }
                        values!(insert);
                    }
                }
                Ok(Response::new(()))
            }

            pub fn subject<S: SessionStore + Clone>(
                name: &'static str,
                tasks: usize,
                store: impl AsyncFnOnce() -> Result<S, BoxError>,
            ) -> Result<Box<dyn Subject>, BoxError> {
                let tower = Tower::new(name, tasks, async || {
                    let layer = SessionManagerLayer::new(store().await?);
                    Ok(move |job| tower::Layer::layer(&layer, service(job, handle)))
                });
                Ok(Box::new(tower?))
            }
        }
    };
}

version!(v15, tower_sessions);
version!(v14, tower_sessions_14);
version!(v11, tower_sessions_11);

pub fn memory(tasks: usize) -> Result<Box<dyn Subject>, BoxError> {
    v15::subject("tower-sessions 0.15", tasks, async || {
        Ok(tower_sessions::MemoryStore::default())
    })
}

pub fn redis(url: &str, tasks: usize) -> Result<Box<dyn Subject>, BoxError> {
    v14::subject("tower-sessions 0.14", tasks, async || {
        Ok(redis_store(url).await?)
    })
}

/// Over four connections, as its documentation has it.
pub async fn redis_store(
    url: &str,
) -> Result<
    tower_sessions_redis_store::RedisStore<tower_sessions_redis_store::fred::prelude::Pool>,
    BoxError,
> {
    use tower_sessions_redis_store::fred::prelude::{ClientLike, Config, Pool};
    let pool = Pool::new(Config::from_url(url)?, None, None, None, 4)?;
    pool.init().await?;
    Ok(tower_sessions_redis_store::RedisStore::new(pool))
}

/// For reads that find what another process has written.
pub fn redis_missed(url: &str, tasks: usize) -> Result<Box<dyn Subject>, BoxError> {
    let missed = Missed::new("tower-sessions 0.14", tasks, async |_| {
        let layer = tower_sessions_14::SessionManagerLayer::new(redis_store(url).await?);
        Ok(move |job| tower::Layer::layer(&layer, service(job, v14::handle)))
    });
    Ok(Box::new(missed?))
}

pub fn mongo(uri: &str, tasks: usize) -> Result<Box<dyn Subject>, BoxError> {
    use tower_sessions_mongodb_store::{MongoDBStore, mongodb::Client};
    v11::subject("tower-sessions 0.11", tasks, async || {
        let client = Client::with_uri_str(uri).await?;
        Ok(MongoDBStore::new(client, "peer".to_owned()))
    })
}
