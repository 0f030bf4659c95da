//! The driver of MongoDB alone, and what a server says that it did.

use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt;
use http::header::COOKIE;
use http::{Request, Response};
use mongodb::bson::{DateTime, Document, RawDocumentBuf, doc};
use mongodb::options::{ClientOptions, ReturnDocument};
use mongodb::{Client, Collection};

use crate::BoxError;
use crate::subject::{Job, Subject, Tower, runtime, service};

/// How the driver writes.
#[derive(Clone, Copy)]
pub enum Way {
    /// One field and nothing else: the least that a write can be.
    Least,
    /// With the conditions and the answer that our store asks for.
    Same,
}

/// Works on the sessions of our store, at least one for each task.
pub fn raw(uri: &str, tasks: usize, way: Way) -> Result<Box<dyn Subject>, BoxError> {
    let jobs = &[Job::Read, Job::Write];
    let name = match way {
        Way::Least => "mongodb driver",
        Way::Same => "mongodb driver, same commands",
    };
    let tower = Tower::with_cookies(name, tasks, jobs, async || {
        let mut options = ClientOptions::parse(uri).await?;
        // As our store has it.
        options.max_pool_size = Some(64);
        options.max_connecting = Some(8);
        let sessions = Client::with_options(options)?
            .database("sessions")
            .collection::<RawDocumentBuf>("sessions");
        let ids: Vec<Document> = sessions
            .clone_with_type::<Document>()
            .find(doc! {})
            .projection(doc! { "_id": 1 })
            .limit(i64::try_from(tasks)?)
            .await?
            .try_collect()
            .await?;
        let ids: Arc<[Document]> = ids.into();
        let handle =
            move |request, job| handle(request, job, sessions.clone(), Arc::clone(&ids), way);
        Ok(move |job| service(job, handle.clone()))
    });
    Ok(Box::new(tower?))
}

async fn handle(
    request: Request<()>,
    job: Job,
    sessions: Collection<RawDocumentBuf>,
    ids: Arc<[Document]>,
    way: Way,
) -> Result<Response<()>, BoxError> {
    let index: usize = request.headers()[COOKIE].to_str()?.parse()?;
    let id = &ids[index];
    let gone = "the session is gone";
    sessions.find_one(id.clone()).await?.ok_or(gone)?;
    if job == Job::Read {
        return Ok(Response::new(()));
    }
    let visits = crate::next_visit().to_string();
    match way {
        Way::Least => {
            let change = doc! { "$set": { "data.visits": visits } };
            sessions.update_one(id.clone(), change).await?;
        }
        Way::Same => {
            let mut filter = id.clone();
            filter.insert("epoch", doc! { "$gte": 0_i64 });
            filter.insert("ends", doc! { "$gt": DateTime::now() });
            filter.insert("v", doc! { "$type": "long" });
            filter.insert("size", doc! { "$lte": 1_i64 << 40 });
            filter.insert("keys", doc! { "$lte": 1_i64 << 40 });
            let change = doc! {
                "$set": { "data.visits": visits },
                "$inc": { "v": 1_i64, "size": 0_i64, "keys": 0_i64 },
            };
            let saved = sessions
                .find_one_and_update(filter, change)
                .projection(doc! { "v": 1, "_id": 0 })
                .return_document(ReturnDocument::After);
            saved.await?.ok_or(gone)?;
        }
    }
    Ok(Response::new(()))
}

fn admin<T>(
    uri: &str,
    work: impl AsyncFnOnce(Client) -> Result<T, BoxError>,
) -> Result<T, BoxError> {
    runtime(1)?.block_on(async { work(Client::with_uri_str(uri).await?).await })
}

/// Makes a replica set of a server, unless it is one, and waits until it takes writes.
pub fn initiate(uri: &str) -> Result<(), BoxError> {
    let mut options = runtime(1)?.block_on(async { ClientOptions::parse(uri).await })?;
    let host = options.hosts.first().ok_or("no host")?.to_string();
    // As long as it has no set, it is found only directly.
    (options.direct_connection, options.repl_set_name) = (Some(true), None);
    runtime(1)?.block_on(async {
        let admin = Client::with_options(options)?.database("admin");
        let members = vec![doc! { "_id": 0, "host": host }];
        let set = doc! { "replSetInitiate": { "_id": "bench", "members": members } };
        // It refuses where there is a set already; if it has another reason, nothing follows.
        _ = admin.run_command(set).await;
        for _ in 0..200 {
            let hello = admin.run_command(doc! { "hello": 1 }).await?;
            if hello.get_bool("isWritablePrimary")? {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Err("no primary after 20 s".into())
    })
}

/// How many commands about sessions the server has had.
pub fn server_counts(uri: &str) -> Result<u64, BoxError> {
    let status = admin(uri, async |client| {
        Ok(client
            .database("admin")
            .run_command(doc! { "serverStatus": 1 })
            .await?)
    })?;
    let commands = status.get_document("metrics")?.get_document("commands")?;
    let mut sum = 0;
    for name in [
        "find",
        "insert",
        "update",
        "findAndModify",
        "delete",
        "aggregate",
    ] {
        let total = commands.get_document(name)?.get_i64("total")?;
        sum += u64::try_from(total)?;
    }
    Ok(sum)
}

/// The mean size of a document in the collection of this database.
pub fn server_bytes(uri: &str, database: &str) -> Result<u64, BoxError> {
    let stats = admin(uri, async |client| {
        Ok(client
            .database(database)
            .run_command(doc! { "collStats": "sessions" })
            .await?)
    })?;
    let size = stats.get("avgObjSize");
    let size = size.and_then(|size| size.as_i32().map(f64::from).or_else(|| size.as_f64()));
    Ok(size.ok_or("no size")? as u64)
}

pub fn clear(uri: &str) -> Result<(), BoxError> {
    admin(uri, async |client| {
        for database in ["sessions", "peer"] {
            client
                .database(database)
                .collection::<Document>("sessions")
                .delete_many(doc! {})
                .await?;
        }
        Ok(())
    })
}
