//! Redis behind Sentinel: who the primary is, and who has become it.
//!
//! The store asks the sentinels itself, all at once, and believes the one that knows of the latest
//! change. The driver asks them one after the other: one that hangs would hold up all, and one that
//! is late would lead back to the former primary.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use redis::{
    AsyncConnectionConfig, Client, ConnectionInfo, ErrorKind, FromRedisValue, RedisError,
    RedisResult, Value, cmd,
};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::connection::{Hooks, NewConnection, connect_single, with_host};
use super::near::Question;

/// The pause before the store subscribes to a sentinel again.
const PAUSE: Duration = Duration::from_millis(500);

/// Sentinels, and the primary that they watch.
pub(crate) struct Sentinel {
    pub(super) sentinels: Vec<Client>,
    pub(super) name: String,
    /// How to connect to the primary, wherever it is.
    pub(super) server: ConnectionInfo,
}

/// The primary, according to one sentinel.
struct Primary {
    host: String,
    port: u16,
    /// How often the primary has changed.
    epoch: u64,
}

impl Sentinel {
    /// A connection to the primary.
    pub(super) async fn connect(
        &self,
        limit: Duration,
        hooks: Hooks,
    ) -> RedisResult<NewConnection> {
        let Primary { host, port, .. } = self.primary(limit).await?;
        let address = address(&host, port);
        let info = self
            .server
            .clone()
            .set_addr(with_host(self.server.addr(), host, port));
        let client = Client::open(info)?;
        let connection = connect_single(&client, limit, Question::Role, hooks).await?;
        let role = connection.send(&cmd("ROLE")).await?.extract_error()?;
        let role = Vec::<Value>::from_redis_value(role)?
            .into_iter()
            .next()
            .unwrap_or(Value::Nil);
        if String::from_redis_value(role)? != "master" {
            return Err((
                ErrorKind::Client,
                "the sentinels name a primary that is none (yet)",
            )
                .into());
        }
        Ok(NewConnection {
            connection,
            address: Some(address),
        })
    }

    /// Where the primary is. All sentinels are asked, because after a fail-over some still name the
    /// former primary, and that server may believe it is one. Once one has answered, the others
    /// have a quarter of the time.
    async fn primary(&self, limit: Duration) -> RedisResult<Primary> {
        let mut asked: FuturesUnordered<_> = self
            .sentinels
            .iter()
            .map(|sentinel| self.ask(sentinel, limit))
            .collect();
        let mut latest: Option<Primary> = None;
        let mut failure = (ErrorKind::Io, "no answer from the sentinels").into();
        let mut until = Instant::now() + limit;
        while let Ok(Some(answer)) = timeout_at(until, asked.next()).await {
            match answer {
                Ok(word) => {
                    until = until.min(Instant::now() + limit / 4);
                    if latest
                        .as_ref()
                        .is_none_or(|latest| latest.epoch < word.epoch)
                    {
                        latest = Some(word);
                    }
                }
                Err(error) => failure = error,
            }
        }
        latest.ok_or(failure)
    }

    async fn ask(&self, sentinel: &Client, limit: Duration) -> RedisResult<Primary> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(limit))
            .set_response_timeout(Some(limit));
        let mut connection = sentinel
            .get_multiplexed_async_connection_with_config(&config)
            .await?;
        let mut ask = cmd("SENTINEL");
        ask.arg("GET-MASTER-ADDR-BY-NAME").arg(&self.name);
        let answer: Option<(String, u16)> = ask.query_async(&mut connection).await?;
        let unknown = || {
            let text =
                "the sentinels know no primary of this name; it is what stands behind # in the URL";
            RedisError::from((ErrorKind::InvalidClientConfig, text))
        };
        let (host, port) = answer.ok_or_else(unknown)?;
        let mut ask = cmd("SENTINEL");
        ask.arg("MASTER").arg(&self.name);
        // Without an epoch this answer counts only if no other sentinel has one.
        let facts: HashMap<String, String> =
            ask.query_async(&mut connection).await.unwrap_or_default();
        let epoch = facts
            .get("config-epoch")
            .and_then(|epoch| epoch.parse().ok());
        Ok(Primary {
            host,
            port,
            epoch: epoch.unwrap_or(0),
        })
    }

    /// Reports where the primary is whenever that changes, until the task is aborted. It listens
    /// to all sentinels, since any of them may hang unnoticed.
    pub(super) async fn watch(self: Arc<Self>, limit: Duration, report: impl Fn(&str)) {
        let each = |sentinel| self.follow(sentinel, limit, &report);
        join_all(self.sentinels.iter().map(each)).await;
    }

    async fn follow(&self, sentinel: &Client, limit: Duration, report: &impl Fn(&str)) {
        loop {
            if let Err(error) = self.listen(sentinel, limit, report).await {
                tracing::debug!(
                    target: "session::redis", %error, "a sentinel cannot be listened to"
                );
            }
            sleep(PAUSE).await;
        }
    }

    async fn listen(
        &self,
        sentinel: &Client,
        limit: Duration,
        report: &impl Fn(&str),
    ) -> RedisResult<()> {
        let late = |_| RedisError::from((ErrorKind::Io, "no answer from a sentinel"));
        let subscribed = async {
            let mut listener = sentinel.get_async_pubsub().await?;
            listener.subscribe("+switch-master").await?;
            RedisResult::Ok(listener)
        };
        let listener = timeout(limit, subscribed).await.map_err(late)??;
        // What changed before the subscription.
        let Primary { host, port, .. } = self.primary(limit).await?;
        report(&address(&host, port));
        let mut messages = listener.into_on_message();
        while let Some(message) = messages.next().await {
            // name, old host, old port, new host, new port
            let text: String = message.get_payload()?;
            let words: Vec<_> = text.split(' ').collect();
            if let [name, _, _, host, port] = words[..]
                && name == self.name
            {
                report(&format!("{host}:{port}"));
            }
        }
        Ok(())
    }
}

fn address(host: &str, port: u16) -> String {
    format!("{host}:{port}")
}

impl fmt::Display for Sentinel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of the sentinels", self.name)?;
        for sentinel in &self.sentinels {
            write!(f, " {}", sentinel.get_connection_info().addr())?;
        }
        Ok(())
    }
}
