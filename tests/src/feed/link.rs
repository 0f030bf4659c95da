//! The store of a node.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;
use futures_util::future::{Either, select};
use session_core::store::{
    Durability, Listed, PrincipalIndex, Record, RecordKey, RecordLocation, RecordScan, Revalidated,
    SessionStore, StoreError, Update, Updated, index_of,
};
use session_core::{Clock, Ended, ManualClock, SessionId, Timestamp};
use tokio::sync::oneshot;

use super::server::Server;
use super::wire::Wire;

/// Sends each call over the present connection, and gives up after a while.
pub struct Link<S>(Arc<Inner<S>>);

struct Inner<S> {
    server: Arc<Server<S>>,
    clock: Arc<ManualClock>,
    timeout: Duration,
    wire: Mutex<Option<Arc<Wire>>>,
}

impl<S> Clone for Link<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S> fmt::Debug for Link<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").finish_non_exhaustive()
    }
}

impl<S: SessionStore> Link<S> {
    pub(super) fn new(server: Arc<Server<S>>, clock: Arc<ManualClock>, timeout: Duration) -> Self {
        Self(Arc::new(Inner {
            server,
            clock,
            timeout,
            wire: Mutex::default(),
        }))
    }

    /// The present connection.
    pub fn wire(&self) -> Option<Arc<Wire>> {
        let wire = self.0.wire.lock().unwrap_or_else(PoisonError::into_inner);
        wire.clone()
    }

    pub(super) fn set_wire(&self, new: Option<Arc<Wire>>) {
        let mut wire = self.0.wire.lock().unwrap_or_else(PoisonError::into_inner);
        *wire = new;
    }

    pub(super) fn server(&self) -> &Arc<Server<S>> {
        &self.0.server
    }

    async fn call<T: Send + 'static>(
        &self,
        reads: Option<SessionId>,
        run: impl FnOnce(&S) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let lost = |why: &'static str| match reads {
            Some(_) => StoreError::unavailable(why),
            None => StoreError::outcome_unknown(why),
        };
        let Some(wire) = self.wire() else {
            return Err(StoreError::unavailable("there is no connection"));
        };
        let (send, answered) = oneshot::channel();
        let server = Arc::clone(&self.0.server);
        wire.request(Box::new(move |wire| {
            server.serve(wire, reads, run, move |answer| drop(send.send(answer)));
        }));
        let timeout = self.0.clock.sleep(self.0.timeout);
        match select(answered, timeout).await {
            Either::Left((Ok(answer), _)) => answer,
            Either::Left((Err(_), _)) => Err(lost("the connection was lost")),
            Either::Right(_) => Err(lost("there was no answer")),
        }
    }
}

/// Calls of a store that answers at once.
fn now<T>(call: impl Future<Output = T>) -> T {
    call.now_or_never().unwrap()
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: SessionStore> SessionStore for Link<S> {
    fn location(&self) -> RecordLocation {
        RecordLocation::Server
    }

    fn call_timeout(&self) -> Option<Duration> {
        Some(self.0.timeout)
    }

    fn durability(&self) -> Durability {
        self.0.server.store().durability()
    }

    async fn load(
        &self,
        key: &RecordKey,
        at: Timestamp,
    ) -> Result<Option<Arc<Record>>, StoreError> {
        let (id, key) = (key.id(), key.clone());
        self.call(id, move |store| now(store.load(&key, at))).await
    }

    async fn revalidate(
        &self,
        key: &RecordKey,
        known: &Arc<Record>,
        at: Timestamp,
    ) -> Result<Revalidated, StoreError> {
        let (id, key, known) = (key.id(), key.clone(), Arc::clone(known));
        self.call(id, move |store| now(store.revalidate(&key, &known, at)))
            .await
    }

    async fn create(&self, record: &Arc<Record>, at: Timestamp) -> Result<RecordKey, StoreError> {
        let record = Arc::clone(record);
        self.call(None, move |store| now(store.create(&record, at)))
            .await
    }

    async fn update(
        &self,
        key: &RecordKey,
        update: &Update,
        at: Timestamp,
    ) -> Result<Updated, StoreError> {
        let (key, update) = (key.clone(), update.clone());
        self.call(None, move |store| now(store.update(&key, &update, at)))
            .await
    }

    async fn delete(&self, key: &RecordKey, ended: Ended) -> Result<(), StoreError> {
        let key = key.clone();
        self.call(None, move |store| now(store.delete(&key, ended)))
            .await
    }

    fn principals(&self) -> Option<&dyn PrincipalIndex> {
        self.0.server.store().principals().map(|_| self as _)
    }

    /// None: what the server tells of is changes, and a scan makes none.
    fn scan(&self) -> Option<&dyn RecordScan> {
        None
    }

    async fn delete_expired(&self, at: Timestamp) -> Result<u64, StoreError> {
        self.call(None, move |store| now(store.delete_expired(at)))
            .await
    }
}

#[async_trait]
impl<S: SessionStore> PrincipalIndex for Link<S> {
    async fn list_of(&self, principal: &str, at: Timestamp) -> Result<Vec<Listed>, StoreError> {
        let principal = principal.to_owned();
        self.call(None, move |store| {
            now(index_of(store)?.list_of(&principal, at))
        })
        .await
    }

    async fn delete_one_of(
        &self,
        principal: &str,
        id: SessionId,
        ended: Ended,
    ) -> Result<bool, StoreError> {
        let principal = principal.to_owned();
        self.call(None, move |store| {
            now(index_of(store)?.delete_one_of(&principal, id, ended))
        })
        .await
    }

    async fn delete_all_of(
        &self,
        principal: &str,
        except: Option<SessionId>,
        ended: Ended,
    ) -> Result<u64, StoreError> {
        let principal = principal.to_owned();
        self.call(None, move |store| {
            now(index_of(store)?.delete_all_of(&principal, except, ended))
        })
        .await
    }
}
