//! What applications do with sessions and principals, straight on a store.

use std::sync::Arc;
use std::time::Duration;

use session_core::store::{
    Changes, Metadata, Record, RecordKey, SessionStore, StoreError, Update, Updated,
};
use session_core::{Codec, Lifetime, SessionId, Timestamp};

pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);
/// After as long an entry without a session may be taken out, and a little more.
pub(crate) const LATER: Duration = Duration::from_secs(61);

pub(crate) fn id() -> SessionId {
    SessionId::random().unwrap()
}

pub(crate) fn anonymous(id: SessionId) -> Record {
    Record::new(id, "test", Lifetime::default(), NOW)
}

pub(crate) fn of(id: SessionId, principal: &str) -> Record {
    anonymous(id).with_principal(principal.to_owned())
}

/// With a deadline that is later by as much.
pub(crate) fn of_later(id: SessionId, principal: &str, later: Duration) -> Record {
    let record = Record::new(id, "test", Lifetime::default(), NOW + later);
    record.with_principal(principal.to_owned())
}

pub(crate) async fn create(store: &dyn SessionStore, record: Record) -> Result<(), StoreError> {
    store.create(&Arc::new(record), NOW).await.map(drop)
}

/// Puts this metadata into the place of what is there, on top of `version`.
pub(crate) async fn replace(
    store: &dyn SessionStore,
    record: Record,
    version: u64,
) -> Result<Updated, StoreError> {
    let update = Update::new(
        Arc::new(record.with_version(version + 1)),
        Changes::new().with_metadata(Metadata::Replaced),
        0,
    )
    .with_expected_version(version);
    let id = update.record().id();
    store.update(&RecordKey::Id(id), &update, NOW).await
}

/// Signs in, on whatever version is there; whether the session was there and has stayed.
pub(crate) async fn sign_in(store: &dyn SessionStore, record: Record) -> Result<bool, StoreError> {
    loop {
        let Some(stored) = store.load(&RecordKey::Id(record.id()), NOW).await? else {
            return Ok(false);
        };
        match replace(store, record.clone(), stored.version()).await? {
            Updated::Saved { .. } => return Ok(true),
            Updated::Conflict { .. } => {}
            _ => return Ok(false),
        }
    }
}

/// Leaves an entry for a session that is not the principal's, as a sign-in does that was indexed
/// and then refused.
pub(crate) async fn leave_an_entry(store: &dyn SessionStore, id: SessionId, principal: &str) {
    let refused = create(store, of(id, principal)).await;
    assert!(matches!(refused, Err(StoreError::IdTaken)), "{refused:?}");
}

/// A write that has nothing to do with principals.
pub(crate) async fn insert(store: &dyn SessionStore, id: SessionId) -> Result<(), StoreError> {
    let Some(stored) = store.load(&RecordKey::Id(id), NOW).await? else {
        return Ok(());
    };
    let changes = Changes::new().set("n", Codec::Json.encode(&1).unwrap());
    let update = Update::new(Arc::new(changes.apply(&stored)), changes.clone(), 0);
    store
        .update(&RecordKey::Id(id), &update, NOW)
        .await
        .map(drop)
}

/// Activity.
pub(crate) async fn touch(
    store: &dyn SessionStore,
    id: SessionId,
    seen: Timestamp,
) -> Result<(), StoreError> {
    let Some(stored) = store.load(&RecordKey::Id(id), NOW).await? else {
        return Ok(());
    };
    let changes = Changes::new().with_metadata(Metadata::Touched(seen));
    let update = Update::new(Arc::new(changes.apply(&stored)), changes.clone(), 0);
    store
        .update(&RecordKey::Id(id), &update, NOW)
        .await
        .map(drop)
}

/// Takes out of an index what has no session: seen once, and once more a minute later than
/// anybody's clock has been.
pub(crate) async fn heal(store: &dyn SessionStore, principal: &str) -> Vec<SessionId> {
    let mut listed = Vec::new();
    for minutes in [10, 20] {
        let now = NOW + Duration::from_secs(60 * minutes);
        listed = store
            .principals()
            .unwrap()
            .list_of(principal, now)
            .await
            .unwrap();
    }
    listed.iter().map(|record| record.id()).collect()
}
