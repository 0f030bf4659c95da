//! What sessions cost MongoDB.

use std::time::Duration;

use mongodb::Client;
use mongodb::bson::{Bson, Document, doc};
use session_capacity::{Mongo, MongoSpace};
use session_mongo::MongoStore;
use session_tests::servers::{MongoServer, wait_until};
use tokio::runtime::Runtime;

use crate::BoxError;
use crate::rounds::{Bench, Counters, Server};
use crate::site::{LEAST, PATIENCE, Site};

const NAME: &str = "rs0";
const DATABASE: &str = "sessions";
const COLLECTION: &str = "sessions";

/// Enough for all that is measured, so that nothing leaves the cache.
const CACHE: &str = "cache_size=6G";

/// Commands of the driver itself, and of who counts.
const OWN: [&str; 7] = [
    "hello",
    "isMaster",
    "ping",
    "serverStatus",
    "collStats",
    "endSessions",
    "replSetGetStatus",
];

/// A replica set of one member, so that what is written is journaled and kept for others.
struct Primary(MongoServer);

pub fn measure(runtime: &Runtime, sizes: &[u64]) -> Result<Mongo, BoxError> {
    let mut space = Vec::new();
    for size in sizes {
        let primary = Primary::start()?;
        let site = runtime.block_on(primary.connect())?;
        runtime.block_on(site.fill(0, *size))?;
        drop(site);
        let at = primary.space(runtime, *size)?;
        eprintln!(
            "mongo: {at:?}, {} bytes a session",
            at.cache_made / at.sessions
        );
        space.push(at);
    }

    let primary = Primary::start()?;
    let direct = runtime.block_on(primary.connect())?;
    let tokens = runtime.block_on(direct.fill(0, LEAST))?.into();
    let bench = Bench {
        name: "mongo",
        runtime,
        server: &primary,
        // Without a near cache it holds no sessions.
        caching: direct.clone(),
        direct,
        tokens,
    };
    Ok(Mongo {
        space: space.leak(),
        requests: bench.requests()?,
    })
}

impl Primary {
    fn start() -> Result<Self, BoxError> {
        let builder = MongoServer::builder();
        let server = ["--replSet", NAME, "--oplogSize", "990"]
            .into_iter()
            .fold(builder, |builder, argument| builder.arg(argument))
            .start();
        let member = doc! { "_id": 0, "host": server.address().to_string() };
        let settings = doc! { "_id": NAME, "members": [member] };
        server.command("admin", doc! { "replSetInitiate": settings });
        let primary = Self(server);
        primary.ready();
        Ok(primary)
    }

    /// Waits until it takes writes, and gives it a cache for all of them.
    fn ready(&self) {
        wait_until("a primary", Duration::from_secs(60), || {
            let hello = self.0.try_command("admin", doc! { "hello": 1 });
            hello.is_ok_and(|hello| hello.get_bool("isWritablePrimary").unwrap_or(false))
        });
        self.0.command(
            "admin",
            doc! { "setParameter": 1, "wiredTigerEngineRuntimeConfig": CACHE },
        );
    }

    async fn connect(&self) -> Result<Site, BoxError> {
        let uri = format!("{}&replicaSet={NAME}", self.0.patient_uri());
        let builder = MongoStore::builder(uri).database(DATABASE);
        let builder = builder.collection(COLLECTION).call_timeout(PATIENCE);
        Site::new(builder.connect().await?)
    }

    fn space(&self, runtime: &Runtime, sessions: u64) -> Result<MongoSpace, BoxError> {
        let cache_made = cache(&self.stats())?;
        runtime.block_on(self.ask("admin", doc! { "fsync": 1 }))?;
        self.0.restart();
        self.ready();
        // It reads all documents and all indexes.
        let validate = doc! { "validate": COLLECTION };
        let valid = runtime.block_on(self.ask(DATABASE, validate))?;
        if !valid.get_bool("valid")? {
            return Err("the collection is damaged".into());
        }
        let stats = self.stats();
        let of = |field| number(&stats, &[field]);
        if of("count")? != sessions as f64 {
            return Err(format!("there are {} documents", of("count")?).into());
        }
        Ok(MongoSpace {
            sessions,
            data: of("size")? as u64,
            storage: of("storageSize")? as u64,
            indexes: of("totalIndexSize")? as u64,
            cache_made,
            cache_read: cache(&stats)?,
        })
    }

    /// Asks for what may take long.
    async fn ask(&self, database: &str, command: Document) -> Result<Document, BoxError> {
        let uri = format!("{}&directConnection=true", self.0.patient_uri());
        let client = Client::with_uri_str(uri).await?;
        Ok(client.database(database).run_command(command).await?)
    }

    fn stats(&self) -> Document {
        self.0.command(DATABASE, doc! { "collStats": COLLECTION })
    }
}

/// Bytes of a collection and its indexes that are in the cache.
fn cache(stats: &Document) -> Result<u64, BoxError> {
    let path = ["cache", "bytes currently in the cache"];
    let mut sum = number(stats.get_document("wiredTiger")?, &path)?;
    for index in stats.get_document("indexDetails")?.values() {
        let index = index.as_document().ok_or("an index has no details")?;
        sum += number(index, &path)?;
    }
    Ok(sum as u64)
}

fn number(of: &Document, path: &[&str]) -> Result<f64, BoxError> {
    let missing = || format!("the server does not say {}", path.join("."));
    let (last, parents) = path.split_last().ok_or_else(missing)?;
    let mut at = of;
    for parent in parents {
        at = at.get_document(parent)?;
    }
    match at.get(last) {
        Some(Bson::Int32(value)) => Ok(f64::from(*value)),
        Some(Bson::Int64(value)) => Ok(*value as f64),
        Some(Bson::Double(value)) => Ok(*value),
        _ => Err(missing().into()),
    }
}

impl Server for Primary {
    fn counters(&self) -> Result<Counters, BoxError> {
        let status = self.0.command("admin", doc! { "serverStatus": 1 });
        let of = |path: &[&str]| number(&status, path);
        let mut commands = 0.0;
        let all = status.get_document("metrics")?.get_document("commands")?;
        for (name, counts) in all {
            if let Some(counts) = counts.as_document().filter(|_| !OWN.contains(&&**name)) {
                commands += number(counts, &["total"])?;
            }
        }
        let oplog = doc! { "collStats": "oplog.rs" };
        let replicated = number(&self.0.command("local", oplog), &["size"])?;
        Ok(Counters {
            cpu_us: of(&["extra_info", "user_time_us"])? + of(&["extra_info", "system_time_us"])?,
            commands,
            bytes_in: of(&["network", "bytesIn"])?,
            bytes_out: of(&["network", "bytesOut"])?,
            replicated,
        })
    }

    fn commands(&self, work: &mut dyn FnMut() -> Result<(), BoxError>) -> Result<f64, BoxError> {
        let before = self.counters()?.commands;
        work()?;
        Ok(self.counters()?.commands - before)
    }
}
