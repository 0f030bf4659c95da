//! What a cache of records takes of the heap: at most its capacity, whatever passes through.

use std::sync::Arc;

use allocation_counter::measure;
use bytes::{Bytes, BytesMut};
use futures_util::FutureExt;
use session_core::store::{
    ByteString, CachedStore, Changes, Record, RecordKey, RecordLocation, SessionStore, StoreError,
    Update, Updated, Value, async_trait,
};
use session_core::{
    Codec, Ended, KeyRing, Lifetime, Outcome, SessionId, SessionManager, SessionManagerBuilder,
    Timestamp,
};

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

/// Short keys and values are in one piece of memory, and each longer one in its own, as the store
/// on Redis has them.
fn of_fields(id: SessionId, values: impl Iterator<Item = (String, String)>) -> Record {
    let texts: Vec<_> = values
        .flat_map(|(key, value)| [format!(".{key}"), format!("\"{value}\"")])
        .collect();
    let short = texts
        .iter()
        .map(String::len)
        .filter(|len| *len <= 256)
        .sum();
    let mut all = BytesMut::with_capacity(short);
    let mut keep = |text: &String| match text.len() {
        0..=256 => {
            all.extend_from_slice(text.as_bytes());
            all.split().freeze()
        }
        _ => Bytes::copy_from_slice(text.as_bytes()),
    };
    let values = texts.chunks_exact(2).map(|pair| {
        let key = ByteString::try_from(keep(&pair[0]).slice(1..)).unwrap();
        (key, Value::new(Codec::Json, keep(&pair[1])))
    });
    let values = values.collect();
    Record::from_parts(plain(id).encode_metadata(), 1, NOW, values).unwrap()
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

/// What stays on the heap after `fill` has used a cache, and has filled it.
fn heap(what: &str, reply: fn(SessionId) -> Record, fill: impl FnOnce(&Cached)) {
    let (_, counted) = measured(what, reply, fill);
    assert!(counted > CAPACITY * 3 / 4, "{what}: it is full");
}

/// What is left after writes is not more than the cache counts.
fn left(what: &str, reply: fn(SessionId) -> Record, fill: impl FnOnce(&Cached)) {
    let (heap, counted) = measured(what, reply, fill);
    assert!(heap <= counted, "{what}: {heap} bytes, {counted} counted");
}

/// Bytes on the heap, and those that the cache counts.
fn measured(
    what: &str,
    reply: fn(SessionId) -> Record,
    fill: impl FnOnce(&Cached),
) -> (usize, usize) {
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
    (heap, stats.bytes)
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

    let builder = |cached: &Cached| SessionManager::builder(Arc::clone(cached));
    heap("own writes", plain, |cached| {
        own_writes(builder(cached));
    });
    // What a manager opens of them is kept too.
    heap("own writes, sealed", plain, |cached| {
        own_writes(builder(cached).seal_values(KeyRing::new([1; 32]).unwrap()));
    });
    left("what is left of a buffer", of_one_buffer, |cached| {
        for n in 0..2_000 {
            write(cached, n, &[Changes::new().remove("large")]);
        }
    });
    // Half of what is left, each time.
    let many = |id| of_fields(id, (0..128).map(|n| (format!("{n}"), "x".repeat(200))));
    left("what is left of it after a while", many, |cached| {
        for n in 0..600 {
            let half = |from: u32| {
                (from..2 * from).fold(Changes::new(), |all, n| all.remove(n.to_string()))
            };
            write(cached, n, &[half(64), half(32), half(16), half(8), half(4)]);
        }
    });
    // One value of each write stays. It keeps the memory of the others alive.
    left("what is left of many writes", plain, |cached| {
        for n in 0..600 {
            let writes: Vec<_> = (0..12)
                .map(|first| {
                    let values = (first..12).map(|n| (format!("k{n}"), "y".repeat(200)));
                    let written = of_fields(id_of(n), values);
                    let all = written.values().iter();
                    all.fold(Changes::new(), |all, (key, value)| {
                        all.set(key, value.clone())
                    })
                })
                .collect();
            write(cached, n, &writes);
        }
    });
}

/// Writes sessions as handlers do.
fn own_writes(builder: SessionManagerBuilder) {
    let manager = builder.build().unwrap();
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
}

/// Writes a session, each time from what is cached.
fn write(cached: &Cached, n: u64, writes: &[Changes]) {
    let key = RecordKey::Id(id_of(n));
    let mut base = now(cached.load(&key, NOW)).unwrap().unwrap();
    for changes in writes {
        let next = Arc::new(changes.apply(&base));
        let update = Update::new(Arc::clone(&next), changes.clone(), 0);
        now(cached.update(&key, &update, NOW)).unwrap();
        base = next;
    }
}

#[test]
fn stubs_stay_within_the_bound_and_leave_their_room() {
    if ran_alone("cached::stubs_stay_within_the_bound_and_leave_their_room") {
        return;
    }
    // Each answer has a tag of its own, so each second one leaves a stub.
    heap("stubs", plain, |cached| {
        for n in 0..200_000 {
            let key = RecordKey::Id(id_of(n));
            for _ in 0..2 {
                assert!(now(cached.load(&key, NOW)).unwrap().is_some());
            }
        }
        assert_eq!(cached.stats().changed, 200_000);
    });
    heap("records after stubs", plain, |cached| {
        for n in 0..200_000 {
            let key = RecordKey::Id(id_of(n));
            for _ in 0..if n < 100_000 { 2 } else { 1 } {
                assert!(now(cached.load(&key, NOW)).unwrap().is_some());
            }
        }
        assert!(cached.stats().records > 10_000);
    });
}
