//! The near cache: what a process serves without asking is never older than its lease, whatever
//! happens to the servers and to the ways there.

mod cluster;
mod faults;
mod order;
mod racing;
mod sentinel;
mod told;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use session_core::store::{
    Changes, NearCache, Record, RecordKey, SessionStore, StoreError, Update, Updated,
};
use session_core::{Codec, Lifetime, SessionId, Timestamp};
use session_redis::{RedisStore, RedisStoreBuilder};
use session_tests::servers::RedisServer;
use tokio::time::sleep;

/// For what should happen soon.
const LIMIT: Duration = Duration::from_secs(20);
/// Between two reads.
const PAUSE: Duration = Duration::from_millis(1);

fn now() -> Timestamp {
    SystemTime::now().into()
}

/// A store that reads from its memory within leases of this length.
fn near(builder: RedisStoreBuilder, lease: Duration) -> RedisStoreBuilder {
    builder.near_cache(NearCache::new(lease))
}

/// A session of another process.
struct Written {
    /// What writes. It has no near cache.
    writer: RedisStore,
    key: RecordKey,
    id: SessionId,
}

impl Written {
    async fn by(writer: &RedisStore) -> Self {
        let id = SessionId::random().unwrap();
        let record = Record::new(id, "id", Lifetime::default(), now());
        let key = writer.create(&Arc::new(record), now()).await.unwrap();
        Self {
            writer: writer.clone(),
            key,
            id,
        }
    }

    /// The name of its key.
    fn name(&self) -> String {
        format!("session:{}", self.id.encode())
    }

    /// Writes; the new version.
    async fn write(&self) -> u64 {
        let base = self.writer.load(&self.key, now()).await.unwrap().unwrap();
        let value = Codec::Json.encode(&base.version()).unwrap();
        let changes = Changes::new().set("n", value);
        let after = Arc::new(changes.apply(&base));
        let update = Update::new(after, changes, base.epoch());
        match self.writer.update(&self.key, &update, now()).await {
            Ok(Updated::Saved {
                key: _, version, ..
            }) => version,
            other => panic!("{other:?}"),
        }
    }

    /// The same after a fault: until it succeeds.
    async fn write_again(&self) -> u64 {
        let began = Instant::now();
        while self.writer.load(&self.key, now()).await.is_err() {
            assert!(began.elapsed() < LIMIT, "it cannot be written");
        }
        self.write().await
    }

    /// What a store reads: a version, or none.
    async fn read(&self, store: &RedisStore) -> Result<Option<u64>, StoreError> {
        let record = store.load(&self.key, now()).await?;
        Ok(record
            .filter(|record| record.ended().is_none())
            .map(|record| record.version()))
    }

    /// Reads until a store serves this session without asking.
    async fn is_leased_to(&self, store: &RedisStore) {
        let began = Instant::now();
        loop {
            let before = store.cache_stats().leased;
            let _ = self.read(store).await;
            if store.cache_stats().leased > before {
                return;
            }
            assert!(began.elapsed() < LIMIT, "it is never leased");
            sleep(PAUSE).await;
        }
    }

    /// Reads until a store has what was written, or deleted (`None`), which was acknowledged at
    /// that time. It may serve what was before for one lease. Returns for how long it did.
    async fn is_seen_by(
        &self,
        store: &RedisStore,
        written: Option<u64>,
        acknowledged: Instant,
        lease: Duration,
    ) -> Duration {
        let mut stale = Duration::ZERO;
        loop {
            let began = Instant::now();
            let old = match self.read(store).await {
                Ok(read) if written.is_none() && read.is_none() => return stale,
                Ok(Some(read)) if written.is_some_and(|written| written <= read) => return stale,
                Ok(_) => true,
                // Whoever cannot ask serves nothing.
                Err(_) => false,
            };
            let age = began.saturating_duration_since(acknowledged);
            if old {
                assert!(age < lease, "served what is {age:?} old");
                stale = age;
            }
            assert!(age < LIMIT, "it is never seen");
            sleep(PAUSE).await;
        }
    }
}

/// Waits until a replica has what its primary has of this session.
fn is_replicated(primary: &RedisServer, session: &Written) {
    // In the same slot. A client waits for its own writes, and so for those before them.
    let other = format!("{{{}}}", session.name());
    let write = ["SET", &other, "", "PX", "60000"];
    let replies = primary.commands(&[&write, &["WAIT", "1", "10000"]]);
    assert_eq!(replies[1].integer(), 1);
}

/// A session of a principal.
async fn principal(writer: &RedisStore, principal: &str) -> Written {
    let id = SessionId::random().unwrap();
    let record = Record::new(id, "id", Lifetime::default(), now()).with_principal(principal);
    let key = writer.create(&Arc::new(record), now()).await.unwrap();
    Written {
        writer: writer.clone(),
        key,
        id,
    }
}
