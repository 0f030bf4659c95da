//! What a cache of records takes of the heap: at most its capacity, whatever passes through.

use std::sync::Arc;

use allocation_counter::measure;
use bytes::Bytes;
use futures_util::FutureExt;
use session_core::store::{
    ByteString, CachedStore, Changes, Record, RecordKey, RecordLocation, SessionStore, StoreError,
    Update, Updated, Value, async_trait,
};
use session_core::{Codec, Ended, Lifetime, Outcome, SessionId, SessionManager, Timestamp};

use crate::ran_alone;

const CAPACITY: usize = 16 << 20;
/// What the allocator takes for each piece of memory.
const OVERHEAD: i64 = 16;
const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

/// Keeps nothing, and answers as a store on a server does.
#[derive(Debug)]
struct Replies(fn(SessionId) -> Record);

#[async_trait]
impl SessionStore for Replies {
    fn location(&self) -> RecordLocation {
        RecordLocation::Server
    }

    async fn load(&self, key: &RecordKey, _: Timestamp) -> Result<Option<Arc<Record>>, StoreError> {
        Ok(key.id().map(self.0).map(Arc::new))
    }

    async fn create(&self, record: &Arc<Record>, _: Timestamp) -> Result<RecordKey, StoreError> {
        Ok(record.id().into())
    }

    async fn update(
        &self,
        key: &RecordKey,
        update: &Update,
        _: Timestamp,
    ) -> Result<Updated, StoreError> {
        Ok(Updated::replaced(key.clone(), update.record().version()))
    }

    async fn delete(&self, _: &RecordKey, _: Ended) -> Result<(), StoreError> {
        Ok(())
    }
}

fn id_of(n: u64) -> SessionId {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    SessionId::from_bytes(bytes)
}

fn plain(id: SessionId) -> Record {
    Record::new(id, "__Host-id", Lifetime::default(), NOW).with_principal("user:4711")
}

/// Every key and value is a piece of memory of its own, as in an answer to `HGETALL`.
fn of_fields(id: SessionId, values: impl Iterator<Item = (String, String)>) -> Record {
    let piece = |text: String| Bytes::from(text.into_bytes().into_boxed_slice());
    let values = values.map(|(key, value)| {
        let name = piece(format!(".{key}"));
        let key = ByteString::try_from(name.slice(1..)).unwrap();
        (key, Value::new(Codec::Json, piece(format!("\"{value}\""))))
    });
    let metadata = plain(id).encode_metadata();
    Record::from_parts(metadata, 1, NOW, values.collect()).unwrap()
}

fn of_all_sizes(id: SessionId) -> Record {
    let (count, length) = match id.as_bytes()[7] % 32 {
        0 => (1, 10_000),
        1 | 2 => (14, 40),
        3..=5 => (8, 12),
        _ => (2, 6),
    };
    of_fields(
        id,
        (0..count).map(|n| (format!("k{n}"), "x".repeat(length))),
    )
}

/// One buffer holds a large value and a small one.
fn of_one_buffer(id: SessionId) -> Record {
    let record = plain(id)
        .with_value("large", Codec::Json.encode(&"x".repeat(60_000)).unwrap())
        .with_value("small", Codec::Json.encode(&1).unwrap());
    Record::decode(record.encode()).unwrap()
}

/// What stays on the heap after `fill` has used a cache.
fn heap(what: &str, reply: fn(SessionId) -> Record, fill: impl FnOnce(&Cached)) {
    let mut kept = None;
    let info = measure(|| {
        let cached = Arc::new(CachedStore::new(Replies(reply)));
        fill(&cached);
        kept = Some(cached);
    });
    let stats = kept.unwrap().stats();
    let heap = info.bytes_current + info.count_current * OVERHEAD;
    println!("{what}: {heap} bytes of {CAPACITY} on the heap, and {stats:?}");
    let heap = usize::try_from(heap).unwrap();
    assert!(heap <= CAPACITY, "{what}: {heap} bytes");
    assert!(
        stats.bytes > CAPACITY * 3 / 4,
        "{what}: it is full: {stats:?}"
    );
}

type Cached = Arc<CachedStore<Replies>>;

fn now<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().unwrap()
}

#[test]
fn a_million_sessions_pass_through_a_cache_and_it_stays_within_its_bound() {
    if ran_alone("cached::a_million_sessions_pass_through_a_cache_and_it_stays_within_its_bound") {
        return;
    }
    let pass = |count: u64| {
        move |cached: &Cached| {
            for n in 0..count {
                let key = RecordKey::Id(id_of(n));
                assert!(now(cached.load(&key, NOW)).unwrap().is_some());
            }
        }
    };
    heap(
        "small ones",
        |id| of_fields(id, [("n".into(), "1".into())].into_iter()),
        pass(880_000),
    );
    heap("all sizes", of_all_sizes, pass(60_000));
    heap("without values", plain, pass(100_000));
    let many = |id| of_fields(id, (0..100).map(|n| (format!("{n}"), String::new())));
    heap("many values", many, pass(5_000));
    heap("one buffer", of_one_buffer, pass(2_000));

    heap("own writes", plain, |cached| {
        let manager = SessionManager::builder(Arc::clone(cached)).build().unwrap();
        for n in 0..30_000_u64 {
            let session = now(manager.begin(&[])).unwrap();
            for key in 0..n % 12 {
                session
                    .insert(&format!("k{key}"), "x".repeat(key as usize * 3))
                    .unwrap();
            }
            session.sign_in("user:4711").unwrap();
            now(session.finish(Outcome::Success)).unwrap();
        }
    });
    heap("what is left of a buffer", of_one_buffer, |cached| {
        for n in 0..2_000 {
            let key = RecordKey::Id(id_of(n));
            let base = now(cached.load(&key, NOW)).unwrap().unwrap();
            let changes = Changes::new().remove("large");
            let update = Update::new(Arc::new(changes.apply(&base)), changes, 0);
            now(cached.update(&key, &update, NOW)).unwrap();
        }
    });
}
