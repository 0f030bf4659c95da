//! What the tests of this crate share.
#![allow(dead_code, reason = "not every test uses everything")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::sync::Arc;

use session_cookie::CookieStore;
use session_core::store::{Changes, Record, RecordKey, SessionStore, StoreError, Update, Updated};
use session_core::{Codec, KeyRing, Lifetime, SessionId, Timestamp};

pub(crate) type Make = fn(KeyRing) -> CookieStore;

pub(crate) const SCOPE: &str = "__Host-id";
pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

pub(crate) fn ring(key: u8) -> KeyRing {
    KeyRing::new([key; 32]).unwrap()
}

pub(crate) fn both(key: u8) -> [CookieStore; 2] {
    [
        CookieStore::signed(ring(key)),
        CookieStore::encrypted(ring(key)),
    ]
}

pub(crate) fn record() -> Arc<Record> {
    let id = SessionId::from_bytes(*b"0123456789abcdef");
    let record = Record::new(id, SCOPE, Lifetime::default(), NOW)
        .with_principal("principal-secret")
        .with_value("key-secret", Codec::Json.encode("value-secret").unwrap());
    Arc::new(record)
}

pub(crate) fn key(token: impl Into<String>) -> RecordKey {
    RecordKey::sealed(SCOPE, token.into())
}

pub(crate) fn token(key: &RecordKey) -> &str {
    match key {
        RecordKey::Sealed { token, .. } => token,
        _ => panic!("a sealed store hands out sealed keys"),
    }
}

pub(crate) async fn seal(store: &CookieStore, record: &Arc<Record>) -> String {
    token(&store.create(record, NOW).await.unwrap()).to_owned()
}

pub(crate) async fn opens(store: &CookieStore, key: &RecordKey) -> bool {
    opens_at(store, key, NOW).await
}

/// Whether the key lets somebody in, which `load` and `update` have to agree on.
pub(crate) async fn opens_at(store: &CookieStore, key: &RecordKey, now: Timestamp) -> bool {
    let loaded = store.load(key, now).await.unwrap();
    let loaded = loaded.is_some_and(|record| record.is_live(now));
    let later = Record::new(
        SessionId::from_bytes([0; 16]),
        SCOPE,
        Lifetime::default(),
        now,
    );
    let updated = update(store, key, &Arc::new(later), now).await.unwrap();
    assert_eq!(matches!(updated, Updated::Saved { .. }), loaded);
    assert_eq!(matches!(updated, Updated::Gone), !loaded);
    loaded
}

pub(crate) async fn update(
    store: &CookieStore,
    key: &RecordKey,
    record: &Arc<Record>,
    now: Timestamp,
) -> Result<Updated, StoreError> {
    let update = Update::new(Arc::clone(record), Changes::new(), record.epoch());
    store.update(key, &update, now).await
}
