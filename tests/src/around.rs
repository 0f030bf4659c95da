//! A store around another: all its calls are passed on, and a hook sees each of them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use session_core::store::{
    Durability, Listed, PrincipalIndex, Record, RecordKey, RecordLocation, RecordScan, Revalidated,
    SessionStore, StoreError, Update, Updated, index_of,
};
use session_core::{Ended, SessionId, Timestamp};

/// A kind of call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// `load` or `revalidate`.
    Load,
    /// `create`.
    Create,
    /// `update`.
    Update,
    /// `delete`.
    Delete,
    /// `list_of`.
    List,
    /// `delete_one_of`, `delete_all_of` or `delete_expired`.
    DeleteMany,
}

/// What happens around the calls of a store.
pub trait Hook: fmt::Debug + Send + Sync + 'static {
    /// One call, which `inner` makes. By default nothing happens around it.
    fn around<T: Send>(
        &self,
        _call: Call,
        inner: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> impl Future<Output = Result<T, StoreError>> + Send {
        inner
    }

    /// What to answer to the next update without making it, if anything.
    fn instead_of_update(&self) -> Option<Updated> {
        None
    }

    /// The deadline of a call, by that of the store.
    fn call_timeout(&self, inner: Option<Duration>) -> Option<Duration> {
        inner
    }

    /// The time that the store is given.
    fn now(&self, now: Timestamp) -> Timestamp {
        now
    }
}

/// A store with a hook around it.
#[derive(Debug)]
pub struct Around<S, H> {
    pub(crate) inner: S,
    pub(crate) hook: H,
}

impl<S, H> Around<S, H> {
    /// A store with this hook around it.
    pub const fn with_hook(inner: S, hook: H) -> Self {
        Self { inner, hook }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: SessionStore, H: Hook> SessionStore for Around<S, H> {
    fn location(&self) -> RecordLocation {
        self.inner.location()
    }

    fn call_timeout(&self) -> Option<Duration> {
        self.hook.call_timeout(self.inner.call_timeout())
    }

    fn durability(&self) -> Durability {
        self.inner.durability()
    }

    async fn load(
        &self,
        key: &RecordKey,
        now: Timestamp,
    ) -> Result<Option<Arc<Record>>, StoreError> {
        let inner = self.inner.load(key, self.hook.now(now));
        self.hook.around(Call::Load, inner).await
    }

    async fn revalidate(
        &self,
        key: &RecordKey,
        known: &Arc<Record>,
        now: Timestamp,
    ) -> Result<Revalidated, StoreError> {
        let inner = self.inner.revalidate(key, known, self.hook.now(now));
        self.hook.around(Call::Load, inner).await
    }

    async fn create(&self, record: &Arc<Record>, now: Timestamp) -> Result<RecordKey, StoreError> {
        let inner = self.inner.create(record, self.hook.now(now));
        self.hook.around(Call::Create, inner).await
    }

    async fn update(
        &self,
        key: &RecordKey,
        update: &Update,
        now: Timestamp,
    ) -> Result<Updated, StoreError> {
        if let Some(answer) = self.hook.instead_of_update() {
            return Ok(answer);
        }
        let inner = self.inner.update(key, update, self.hook.now(now));
        self.hook.around(Call::Update, inner).await
    }

    async fn delete(&self, key: &RecordKey, ended: Ended) -> Result<(), StoreError> {
        let inner = self.inner.delete(key, ended);
        self.hook.around(Call::Delete, inner).await
    }

    fn principals(&self) -> Option<&dyn PrincipalIndex> {
        self.inner.principals().map(|_| self as _)
    }

    /// That of the inner store: no test has something happen around a scan.
    fn scan(&self) -> Option<&dyn RecordScan> {
        self.inner.scan()
    }

    async fn delete_expired(&self, now: Timestamp) -> Result<u64, StoreError> {
        let inner = self.inner.delete_expired(self.hook.now(now));
        self.hook.around(Call::DeleteMany, inner).await
    }
}

#[async_trait]
impl<S: SessionStore, H: Hook> PrincipalIndex for Around<S, H> {
    async fn list_of(&self, principal: &str, now: Timestamp) -> Result<Vec<Listed>, StoreError> {
        let inner = index_of(&self.inner)?.list_of(principal, self.hook.now(now));
        self.hook.around(Call::List, inner).await
    }

    async fn delete_one_of(
        &self,
        principal: &str,
        id: SessionId,
        ended: Ended,
    ) -> Result<bool, StoreError> {
        let inner = index_of(&self.inner)?.delete_one_of(principal, id, ended);
        self.hook.around(Call::DeleteMany, inner).await
    }

    async fn delete_all_of(
        &self,
        principal: &str,
        except: Option<SessionId>,
        ended: Ended,
    ) -> Result<u64, StoreError> {
        let inner = index_of(&self.inner)?.delete_all_of(principal, except, ended);
        self.hook.around(Call::DeleteMany, inner).await
    }
}
