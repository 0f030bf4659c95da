//! Databases, and what is really in them.

use std::collections::BTreeSet;

use session_core::SessionId;
use session_tests::PATIENCE;
use session_tests::servers::{PostgresServer, TempDir};
use sql_store::SqlStore;
use sqlx::AnyPool;
use tokio::runtime::Handle;
use tokio::task::block_in_place;

/// A database of a test's own.
pub(crate) enum Site {
    Sqlite(TempDir),
    Postgres(Box<PostgresServer>),
}

impl Site {
    pub(crate) fn sqlite() -> Self {
        Self::Sqlite(TempDir::new())
    }

    pub(crate) fn postgres() -> Self {
        Self::Postgres(Box::new(PostgresServer::start()))
    }

    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "SQLite",
            Self::Postgres(_) => "Postgres",
        }
    }

    fn url(&self) -> String {
        match self {
            Self::Sqlite(directory) => {
                format!(
                    "sqlite:{}?mode=rwc",
                    directory.join("sessions.db").display()
                )
            }
            Self::Postgres(server) => server.url(),
        }
    }

    /// A store with connections of its own, as another process has.
    pub(crate) async fn store(&self, _: &str) -> SqlStore {
        SqlStore::connect(&self.url(), PATIENCE).await.unwrap()
    }

    /// Away with what an earlier load has left.
    pub(crate) fn empty(&self) {
        self.ask(async |pool| {
            sqlx::query("DELETE FROM sessions")
                .execute(&pool)
                .await
                .unwrap();
        });
    }

    pub(crate) fn truth(&self, _: &str) -> Truth {
        // Not what only says that a session has ended: no session has so high an epoch.
        let ids = self.ask(async |pool| {
            let query = sqlx::query_as("SELECT id FROM sessions WHERE epoch < 35184372088832");
            let ids: Vec<(Vec<u8>,)> = query.fetch_all(&pool).await.unwrap();
            ids
        });
        let ids = ids
            .into_iter()
            .map(|(id,)| SessionId::from_bytes(id.try_into().unwrap()));
        Truth {
            sessions: ids.collect(),
        }
    }

    fn ask<T>(&self, what: impl AsyncFnOnce(AnyPool) -> T) -> T {
        block_in_place(|| {
            Handle::current().block_on(async {
                // It makes the table.
                drop(self.store("").await);
                let pool = AnyPool::connect(&self.url()).await.unwrap();
                let answer = what(pool.clone()).await;
                pool.close().await;
                answer
            })
        })
    }
}

/// What is in the table.
#[derive(Debug)]
pub(crate) struct Truth {
    pub(crate) sessions: BTreeSet<SessionId>,
}

impl Truth {
    /// No session is outside of the index: the database keeps it with the row.
    #[allow(
        clippy::unused_self,
        reason = "other stores have an index of their own"
    )]
    pub(crate) const fn lost(&self, _probation: i64) -> [SessionId; 0] {
        []
    }
}
