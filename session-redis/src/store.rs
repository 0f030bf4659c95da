//! The store.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use redis::{Cmd, Value as Reply};
use session_core::{
    Capability, Durability, Ended, Key, Listed, Record, SessionId, SessionStore, StoreError,
    Timestamp, Update, Updated, async_trait,
};
use tokio::time::Instant;

use crate::ConnectError;
use crate::builder::RedisStoreBuilder;
use crate::change::{Answer, put_principal};
use crate::fault::{Fault, Reason};
use crate::layout::{self, Layout, Names};
use crate::link::{Link, Twice};
use crate::script::{CREATE, DELETE, READ};
use crate::source::Source;

/// How much longer than the session the server keeps it: clocks differ, and commands take their
/// time.
pub(crate) const GRACE: Duration = Duration::from_secs(60);
/// As long as the server can count, for a session that never ends.
pub(crate) const LONGEST: u64 = 1 << 52;

/// Sessions in Redis or Valkey. Cheap to clone; all clones are one store.
///
/// The crate's documentation says how sessions lie there, which servers and permissions it needs,
/// and what happens when a server fails.
#[derive(Clone)]
pub struct RedisStore {
    pub(crate) inner: Arc<Inner>,
}

/// What a task of its own needs.
pub(crate) struct Inner {
    pub(crate) link: Arc<Link>,
    pub(crate) names: Names,
    pub(crate) layout: Layout,
}

impl RedisStore {
    /// A store with default settings over what a URL names; see [`Source`] for its forms.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), session_redis::ConnectError> {
    /// use session_redis::RedisStore;
    ///
    /// let store = RedisStore::connect("redis://127.0.0.1/").await?;
    /// # let _ = store;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ConnectError`], which says what to do.
    pub async fn connect(url: impl AsRef<str>) -> Result<Self, ConnectError> {
        Self::builder(url.as_ref()).connect().await
    }

    /// A store with settings.
    ///
    /// [`RedisStoreBuilder`] has an example.
    pub fn builder(source: impl Into<Source>) -> RedisStoreBuilder {
        RedisStoreBuilder::new(source.into())
    }

    pub(crate) fn new(link: Arc<Link>, names: Names, layout: Layout) -> Self {
        Self {
            inner: Arc::new(Inner {
                link,
                names,
                layout,
            }),
        }
    }

    /// Connects, reads what is not there and deletes it: that shows whether the user may, and
    /// whether this is a server to write to.
    pub(crate) async fn try_out(&self) -> Result<(), ConnectError> {
        let reason = self.inner.link.connect().await;
        reason
            .map_err(|reason| ConnectError::failed(&StoreError::Unavailable(Arc::new(reason))))?;
        let nobody = SessionId::from_bytes([0; 16]);
        let until = self.inner.link.until();
        let read = self.inner.load(nobody, until).await;
        read.map_err(|error| ConnectError::failed(&error))?;
        let deleted = self
            .inner
            .delete(nobody, None, Ended::default(), until)
            .await;
        deleted
            .map(drop)
            .map_err(|error| ConnectError::failed(&error))
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore")
            .field("link", &self.inner.link)
            .field("prefix", &self.inner.names.prefix)
            .field("layout", &self.inner.layout)
            .finish_non_exhaustive()
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl SessionStore for RedisStore {
    fn capability(&self) -> Capability {
        Capability::Server
    }

    fn deadline(&self) -> Option<Duration> {
        Some(self.inner.link.timing().deadline)
    }

    /// Replication is asynchronous, and what is on disk may be a second old: a fail-over or a
    /// restart can lose the last writes.
    fn durability(&self) -> Durability {
        Durability::MayLoseWrites
    }

    /// An expired one too while it is there, so that its expiry can be told.
    async fn load(&self, key: &Key, now: Timestamp) -> Result<Option<Arc<Record>>, StoreError> {
        let Some(id) = key.id() else { return Ok(None) };
        let record = self.inner.load(id, self.inner.link.until()).await?;
        Ok(record.filter(|record| record.is_live(now) || record.ended().is_none()))
    }

    async fn create(&self, record: &Arc<Record>, now: Timestamp) -> Result<Key, StoreError> {
        let until = self.inner.link.until();
        if record.principal().is_some() {
            let (inner, record) = (Arc::clone(&self.inner), Arc::clone(record));
            // Boxed, as all that few calls need: each call's future is on the heap, and no larger
            // than it has to be.
            return Box::pin(inner.create_indexed(record, now, until)).await;
        }
        self.inner.create(record, now, None, until).await?;
        Ok(Key::Id(record.id()))
    }

    async fn update(
        &self,
        key: &Key,
        update: Update<'_>,
        now: Timestamp,
    ) -> Result<Updated, StoreError> {
        let Some(id) = key.id() else {
            return Ok(Updated::Gone);
        };
        let until = self.inner.link.until();
        match self.inner.update(id, &update, now, None, until).await? {
            Answer::Saved { version, former } => {
                if let Some(former) = former {
                    Box::pin(self.inner.leave(&former, id, until)).await;
                }
                Ok(Updated::Saved {
                    key: key.clone(),
                    version,
                })
            }
            Answer::Conflict(fresh) => Ok(Updated::Conflict(fresh)),
            Answer::Gone => Ok(Updated::Gone),
            Answer::IndexFirst => {
                let inner = Arc::clone(&self.inner);
                Box::pin(inner.update_indexed(id, update.into(), now, until)).await
            }
        }
    }

    async fn delete(&self, key: &Key, ended: Ended) -> Result<(), StoreError> {
        let Some(id) = key.id() else { return Ok(()) };
        let until = self.inner.link.until();
        let deleted = self.inner.delete(id, None, ended, until).await?;
        if let Some(principal) = deleted.principal {
            self.inner.forget(&principal, id, until).await;
        }
        Ok(())
    }

    async fn list(&self, principal: &str, now: Timestamp) -> Result<Vec<Listed>, StoreError> {
        self.inner.list(principal, now).await
    }

    /// Where an answer was lost it is asked again, and what the first time has ended is not there
    /// any more: then this is `false`.
    async fn delete_one(
        &self,
        principal: &str,
        id: SessionId,
        ended: Ended,
    ) -> Result<bool, StoreError> {
        let until = self.inner.link.until();
        let count = self.inner.end_one(principal, id, ended, until).await?;
        if count > 0 {
            self.inner.forget(principal, id, until).await;
        }
        Ok(count > 0)
    }

    async fn delete_all(
        &self,
        principal: &str,
        except: Option<SessionId>,
        ended: Ended,
    ) -> Result<u64, StoreError> {
        self.inner.delete_all(principal, except, ended).await
    }

    /// The server expires sessions by itself.
    async fn delete_expired(&self, now: Timestamp) -> Result<u64, StoreError> {
        let _ = now;
        Ok(0)
    }
}

/// What came of ending a session.
pub(crate) struct Deletion {
    /// How many there were.
    pub(crate) count: u64,
    /// Whose it was, or is.
    pub(crate) principal: Option<String>,
    pub(crate) spared: Spared,
}

/// What is there and was not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spared {
    Nothing,
    /// It says another principal.
    AnothersOwn,
    /// It says none.
    Unowned,
}

/// Milliseconds for which the server keeps a record.
pub(crate) fn ttl(record: &Record, now: Timestamp) -> u64 {
    let rest = record.expires().since(now) + GRACE;
    u64::try_from(rest.as_millis())
        .unwrap_or(LONGEST)
        .min(LONGEST)
}

impl Inner {
    pub(crate) async fn load(
        &self,
        id: SessionId,
        until: Instant,
    ) -> Result<Option<Arc<Record>>, StoreError> {
        let name = self.names.session(id);
        let mut command = Cmd::with_capacity(2, 8 + name.len());
        command.arg(self.layout.read()).arg(&name);
        let reply = match self.link.call(&command, Twice::Harmless, until).await {
            // It is of the other layout.
            Err(Fault::WrongType) => {
                let call = READ.on(&name, 0, 0);
                Box::pin(READ.run(&self.link, &call, Twice::Harmless, until)).await
            }
            reply => reply,
        };
        layout::read_record(id, reply.map_err(Fault::of_read)?)
    }

    /// Adds a session; on probation for so many milliseconds, if it has a principal.
    pub(crate) async fn create(
        &self,
        record: &Record,
        now: Timestamp,
        probation: Option<u64>,
        until: Instant,
    ) -> Result<(), StoreError> {
        let (arguments, size) = self.layout.sizes(record);
        let mut call = CREATE.on(&self.names.session(record.id()), 4 + arguments, 64 + size);
        call.arg(now.as_millis())
            .arg(probation.unwrap_or_else(|| ttl(record, now)));
        match probation {
            Some(_) => call.arg(record.version()),
            None => call.arg(""),
        };
        self.layout.put_record(record, &mut call);
        let reply = CREATE.run(&self.link, &call, Twice::Never, until).await;
        match reply.map_err(|fault| fault.of_write())? {
            Reply::Int(1) => Ok(()),
            Reply::Int(0) => Err(StoreError::IdTaken),
            _ => Err(strange()),
        }
    }

    /// Ends a session, of this principal only if one is given, and leaves a mark in its place.
    pub(crate) async fn delete(
        &self,
        id: SessionId,
        principal: Option<&str>,
        ended: Ended,
        until: Instant,
    ) -> Result<Deletion, StoreError> {
        let reply = self.end(id, principal, ended, until).await;
        let Reply::Array(parts) = reply.map_err(|fault| fault.of_write())? else {
            return Err(strange());
        };
        let mut parts = parts.into_iter();
        let (Some(Reply::Int(count)), principal) = (parts.next(), parts.next().and_then(text))
        else {
            return Err(strange());
        };
        let spared = match parts.next() {
            Some(Reply::Int(1)) => Spared::Unowned,
            Some(Reply::Int(0)) if principal.is_some() => Spared::AnothersOwn,
            _ => Spared::Nothing,
        };
        Ok(Deletion {
            count: u64::try_from(count).unwrap_or(0),
            principal,
            spared,
        })
    }

    pub(crate) async fn end(
        &self,
        id: SessionId,
        principal: Option<&str>,
        ended: Ended,
        until: Instant,
    ) -> Result<Reply, Fault> {
        let mark = ended.mark(id);
        let (arguments, size) = self.layout.sizes(&mark);
        let size = 64 + size + principal.map_or(0, str::len);
        let mut call = DELETE.on(&self.names.session(id), 4 + arguments, size);
        call.arg(self.layout.hint());
        put_principal(principal, &mut call);
        // What is said to have ended at the beginning of time is not to be remembered.
        if ended.at == Timestamp::default() {
            call.arg("");
        } else {
            call.arg(mark.expires().as_millis());
            call.arg(mark.lifetime().absolute().as_millis());
            self.layout.put_record(&mark, &mut call);
        }
        DELETE.run(&self.link, &call, Twice::Harmless, until).await
    }
}

/// A text that may be missing.
pub(crate) fn text(reply: Reply) -> Option<String> {
    match reply {
        Reply::BulkString(bytes) => String::from_utf8(bytes).ok(),
        Reply::SimpleString(text) => Some(text),
        _ => None,
    }
}

/// An answer to a write that no server gives: what became of it is not known.
pub(crate) fn strange() -> StoreError {
    StoreError::OutcomeUnknown(Arc::new(Reason::Strange))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fail_over_can_lose_what_redis_has_acknowledged() {
        let store = RedisStore::builder("redis://127.0.0.1/").lazy().unwrap();
        assert_eq!(store.durability(), Durability::MayLoseWrites);
    }
}
