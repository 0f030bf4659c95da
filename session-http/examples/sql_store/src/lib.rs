//! Sessions in SQLite or Postgres, over sqlx: a complete store, to be copied into an application.
//!
//! There is one table, with a row for each session (see `migrations`). Every call is one statement,
//! or a read and then one statement. No transaction is ever open between two of them, so a request
//! that is cancelled leaves nothing behind in a pooled connection.

use std::sync::Arc;
use std::time::Duration;

use session_core::store::{
    Durability, Listed, PrincipalIndex, Record, RecordKey, RecordLocation, SessionStore,
    StoreError, Tag, Update, Updated, async_trait,
};
use session_core::{Ended, SessionId, Timestamp};
use sqlx::any::{AnyArguments, AnyPoolOptions, AnyRow};
use sqlx::error::DatabaseError;
use sqlx::pool::PoolConnection;
use sqlx::query::{Query, QueryAs};
use sqlx::{Any, AnyPool};
use tokio::time::timeout;

type Result<T> = std::result::Result<T, StoreError>;

/// Writes the row of a new session, unless a live session has its id.
const CREATE: &str = "
    INSERT INTO sessions (id, tag, epoch, expires, principal, record)
    VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT (id) DO UPDATE SET
        tag = excluded.tag, epoch = excluded.epoch, expires = excluded.expires,
        principal = excluded.principal, record = excluded.record
    WHERE sessions.expires <= $7";

/// Replaces a live record, if it still has this tag and this epoch.
const REPLACE: &str = "
    UPDATE sessions SET tag = $2, epoch = $3, expires = $4, principal = $5, record = $6
    WHERE id = $1 AND tag = $7 AND epoch = $8 AND expires > $9";

/// Ends a session. Where there is a `$7`, only if it belongs to this principal.
const END: &str = "
    UPDATE sessions SET tag = $2, epoch = $3, expires = $4, principal = $5, record = $6
    WHERE id = $1 AND ($7 IS NULL OR principal = $7)";

/// Deletes some of the sessions that have expired, so that other statements do not wait for long.
const SWEEP: &str = "
    DELETE FROM sessions WHERE expires <= $1
    AND id IN (SELECT id FROM sessions WHERE expires <= $1 LIMIT 500)";

/// Sessions in a table.
#[derive(Clone, Debug)]
pub struct SqlStore {
    pool: AnyPool,
    durability: Durability,
    timeout: Duration,
}

impl SqlStore {
    /// Connects to `sqlite:sessions.db?mode=rwc` or `postgres://user@host/database`, and creates
    /// the table where it is missing. A call waits at most for `timeout` until it has a connection,
    /// and then as long for each of its statements.
    pub async fn connect(url: &str, timeout: Duration) -> sqlx::Result<Self> {
        sqlx::any::install_default_drivers();
        let options = AnyPoolOptions::new().acquire_timeout(timeout);
        let (pool, durability, mut migrations);
        if url.starts_with("sqlite:") {
            // For one process. SQLite's lock is not fair, but the pool's queue is.
            pool = options.max_connections(1).connect(url).await?;
            let wal = sqlx::raw_sql("PRAGMA journal_mode = WAL");
            wal.execute(&pool).await?;
            durability = Durability::Durable;
            migrations = sqlx::migrate!("migrations/sqlite");
        } else {
            pool = options.connect(url).await?;
            // A replica that lags may take over. If there is none, this too is `Durable`.
            durability = Durability::MayLoseWrites;
            migrations = sqlx::migrate!("migrations/postgres");
        }
        // By default, sqlx has its list in the same table as the application's own migrations.
        migrations.dangerous_set_table_name("session_migrations");
        migrations.run(&pool).await?;
        Ok(Self {
            pool,
            durability,
            timeout,
        })
    }

    /// Runs a statement that writes, and returns how many rows it wrote.
    async fn write(&self, statement: Query<'_, Any, AnyArguments>) -> Result<u64> {
        let mut busy = self.connection().await?;
        let answer = timeout(self.timeout, statement.execute(&mut *busy.connection)).await;
        busy.is_answered = answer.is_ok();
        match answer {
            Ok(Ok(done)) => Ok(done.rows_affected()),
            // The database refused it, so nothing was written.
            Ok(Err(sqlx::Error::Database(error))) if !may_have_written(&*error) => {
                Err(StoreError::unavailable(error))
            }
            Ok(Err(error)) => Err(StoreError::outcome_unknown(error)),
            Err(elapsed) => Err(StoreError::outcome_unknown(elapsed)),
        }
    }

    /// Runs a statement that reads.
    async fn read<T>(&self, statement: QueryAs<'_, Any, T, AnyArguments>) -> Result<Vec<T>>
    where
        T: for<'r> sqlx::FromRow<'r, AnyRow> + Send + Unpin,
    {
        let mut busy = self.connection().await?;
        let answer = timeout(self.timeout, statement.fetch_all(&mut *busy.connection)).await;
        busy.is_answered = answer.is_ok();
        match answer {
            Ok(rows) => rows.map_err(StoreError::unavailable),
            Err(elapsed) => Err(StoreError::unavailable(elapsed)),
        }
    }

    /// A connection that works. If there is none, nothing was sent.
    async fn connection(&self) -> Result<Busy> {
        let connection = self.pool.acquire().await.map_err(StoreError::unavailable)?;
        let is_answered = false;
        Ok(Busy {
            connection,
            is_answered,
        })
    }

    async fn find(&self, id: SessionId) -> Result<Option<Arc<Record>>> {
        let statement = sqlx::query_as("SELECT record, tag FROM sessions WHERE id = $1");
        let rows = self.read(statement.bind(id.as_bytes().to_vec())).await?;
        rows.into_iter().next().map(decode).transpose()
    }

    /// Writes `record` if the stored one has this tag and epoch, and is live.
    async fn replace(&self, record: &Record, tag: Tag, epoch: u64, now: Timestamp) -> Result<bool> {
        let statement = bind(REPLACE, record).bind(tag.to_bits().cast_signed());
        let statement = statement.bind(epoch.cast_signed()).bind(millis(now));
        Ok(self.write(statement).await? == 1)
    }
}

/// A connection for one statement. It is closed if nobody waits for the answer any more.
struct Busy {
    connection: PoolConnection<Any>,
    is_answered: bool,
}

impl Drop for Busy {
    fn drop(&mut self) {
        if !self.is_answered {
            self.connection.close_on_drop();
        }
    }
}

/// The columns of a record, as `$1` to `$6`.
fn bind(statement: &'static str, record: &Record) -> Query<'static, Any, AnyArguments> {
    let tag = record.tag().unwrap_or_else(Tag::draw);
    sqlx::query(statement)
        .bind(record.id().as_bytes().to_vec())
        .bind(tag.to_bits().cast_signed())
        .bind(record.epoch().cast_signed())
        .bind(millis(record.expires_at()))
        .bind(record.principal().map(|name| name.as_bytes().to_vec()))
        .bind(record.encode())
}

fn decode((record, tag): (Vec<u8>, i64)) -> Result<Arc<Record>> {
    let record = Record::decode(record).map_err(StoreError::corrupt)?;
    let tag = Tag::from_bits(tag.cast_unsigned());
    Ok(Arc::new(record.with_tag(Some(tag))))
}

fn millis(time: Timestamp) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

/// Whether a write may have happened despite this error: connection or server ended meanwhile.
fn may_have_written(error: &dyn DatabaseError) -> bool {
    let (state, unknown) = (error.code().unwrap_or_default(), ["08", "40003", "57P"]);
    unknown.iter().any(|class| state.starts_with(class))
}

#[async_trait]
impl SessionStore for SqlStore {
    fn location(&self) -> RecordLocation {
        RecordLocation::Server
    }

    fn durability(&self) -> Durability {
        self.durability
    }

    async fn load(&self, key: &RecordKey, _: Timestamp) -> Result<Option<Arc<Record>>> {
        match key.id() {
            Some(id) => self.find(id).await,
            None => Ok(None),
        }
    }

    async fn create(&self, record: &Arc<Record>, now: Timestamp) -> Result<RecordKey> {
        match self.write(bind(CREATE, record).bind(millis(now))).await? {
            0 => Err(StoreError::IdTaken),
            _ => Ok(record.id().into()),
        }
    }

    async fn update(&self, key: &RecordKey, update: &Update, now: Timestamp) -> Result<Updated> {
        let Some(id) = key.id() else {
            return Ok(Updated::Gone);
        };
        // Usually the record is still the one that the request has loaded: one statement.
        let record = update.record();
        if let Some(tag) = update.base_tag()
            && self.replace(record, tag, update.epoch(), now).await?
        {
            return Ok(Updated::replaced(id, record.version()));
        }
        // Otherwise, load the record, let the update decide, and write the result in its place. If
        // the record has changed again by then, another writer was faster: load it again.
        loop {
            let Some(seen) = self.find(id).await? else {
                return Ok(Updated::Gone);
            };
            let mut record = Arc::clone(&seen);
            let updated = update.replace_in(&mut record, now)?;
            let (Updated::Saved { .. }, Some(tag)) = (&updated, seen.tag()) else {
                return Ok(updated);
            };
            if self.replace(&record, tag, seen.epoch(), now).await? {
                return Ok(updated);
            }
        }
    }

    async fn delete(&self, key: &RecordKey, ended: Ended) -> Result<()> {
        if let Some(id) = key.id() {
            let statement = bind(END, &ended.mark(id));
            self.write(statement.bind(None::<Vec<u8>>)).await?;
        }
        Ok(())
    }

    fn principals(&self) -> Option<&dyn PrincipalIndex> {
        Some(self)
    }

    async fn delete_expired(&self, now: Timestamp) -> Result<u64> {
        let mut deleted = 0;
        loop {
            match self.write(sqlx::query(SWEEP).bind(millis(now))).await? {
                0 => return Ok(deleted),
                count => deleted += count,
            }
        }
    }
}

#[async_trait]
impl PrincipalIndex for SqlStore {
    async fn list_of(&self, principal: &str, now: Timestamp) -> Result<Vec<Listed>> {
        let sql = "SELECT id, record, tag FROM sessions WHERE principal = $1 AND expires > $2";
        let name = principal.as_bytes().to_vec();
        let statement = sqlx::query_as(sql).bind(name).bind(millis(now));
        let rows: Vec<(Vec<u8>, Vec<u8>, i64)> = self.read(statement).await?;
        let listed = rows.into_iter().filter_map(|(id, record, tag)| {
            let id = SessionId::from_bytes(id.try_into().ok()?);
            Some(match decode((record, tag)) {
                Ok(record) => Listed::from(record),
                Err(error) => Listed::unreadable(id, error),
            })
        });
        Ok(listed.collect())
    }

    async fn delete_one_of(&self, principal: &str, id: SessionId, ended: Ended) -> Result<bool> {
        let statement = bind(END, &ended.mark(id)).bind(principal.as_bytes().to_vec());
        Ok(self.write(statement).await? == 1)
    }

    async fn delete_all_of(
        &self,
        principal: &str,
        except: Option<SessionId>,
        ended: Ended,
    ) -> Result<u64> {
        let statement = sqlx::query_as("SELECT id FROM sessions WHERE principal = $1");
        let name = principal.as_bytes().to_vec();
        let rows: Vec<(Vec<u8>,)> = self.read(statement.bind(name)).await?;
        let mut count = 0;
        for (id,) in rows {
            let id = id.try_into().ok().map(SessionId::from_bytes);
            if let Some(id) = id.filter(|id| Some(*id) != except) {
                // This checks the principal again: by now, the session may belong to another one.
                count += u64::from(self.delete_one_of(principal, id, ended).await?);
            }
        }
        Ok(count)
    }
}
