//! Redis behind Sentinel: who the primary is, and who has become it.

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::select_ok;
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, ErrorKind, FromRedisValue, RedisError,
    RedisResult, Value, cmd,
};

use crate::connector::{Made, single};
use crate::link::Link;

/// Before another sentinel is asked to tell of changes.
const PAUSE: Duration = Duration::from_millis(500);

/// Sentinels, and the primary that they watch.
pub(crate) struct Sentinel {
    pub(crate) sentinels: Vec<Client>,
    pub(crate) name: String,
    /// How to connect to the primary, wherever it is.
    pub(crate) server: ConnectionInfo,
}

impl Sentinel {
    /// A connection to the primary, by whichever sentinel knows it first: one that hangs, or
    /// still tells of a former primary, keeps nobody waiting.
    pub(crate) async fn connect(
        &self,
        limit: Duration,
        on_drop: impl Fn() + Send + Sync + 'static,
    ) -> RedisResult<Made> {
        let on_drop = Arc::new(on_drop);
        let ways = self.sentinels.iter().map(|sentinel| {
            let on_drop = Arc::clone(&on_drop);
            Box::pin(self.connect_by(sentinel, limit, move || on_drop()))
        });
        let (made, _others) = select_ok(ways).await?;
        Ok(made)
    }

    async fn connect_by(
        &self,
        sentinel: &Client,
        limit: Duration,
        on_drop: impl Fn() + Send + Sync + 'static,
    ) -> RedisResult<Made> {
        let (host, port) = self.primary(sentinel, limit).await?;
        let address = address(&host, port);
        let info = self.server.clone().set_addr(at(self.server.addr(), host, port));
        let connection = single(&Client::open(info)?, limit, on_drop).await?;
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
        Ok(Made {
            connection,
            address: Some(address),
        })
    }

    /// Where this sentinel says that the primary is.
    async fn primary(&self, sentinel: &Client, limit: Duration) -> RedisResult<(String, u16)> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(limit))
            .set_response_timeout(Some(limit));
        let mut connection = sentinel
            .get_multiplexed_async_connection_with_config(&config)
            .await?;
        let answer: Option<(String, u16)> = cmd("SENTINEL")
            .arg("GET-MASTER-ADDR-BY-NAME")
            .arg(&self.name)
            .query_async(&mut connection)
            .await?;
        let unknown = || {
            let text = "the sentinels know no primary of this name; it is what stands behind # in the URL";
            RedisError::from((ErrorKind::InvalidClientConfig, text))
        };
        answer.ok_or_else(unknown)
    }

    /// Listens to one sentinel after the other, for as long as somebody wants to know.
    pub(crate) async fn watch(self: Arc<Self>, link: Weak<Link>) {
        for sentinel in self.sentinels.iter().cycle() {
            let Some(limit) = link.upgrade().map(|link| link.timing().connect) else {
                return;
            };
            if let Err(error) = self.listen(sentinel, &link, limit).await {
                tracing::debug!(target: "session::redis", %error, "a sentinel cannot be listened to");
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn listen(&self, sentinel: &Client, link: &Weak<Link>, limit: Duration) -> RedisResult<()> {
        let late = |_| RedisError::from((ErrorKind::Io, "no answer from a sentinel"));
        let subscribed = async {
            let mut listener = sentinel.get_async_pubsub().await?;
            listener.subscribe("+switch-master").await?;
            RedisResult::Ok(listener)
        };
        let listener = tokio::time::timeout(limit, subscribed).await.map_err(late)??;
        // What changed before anybody listened.
        let (host, port) = self.primary(sentinel, limit).await?;
        let tell = |address: &str| {
            if let Some(link) = link.upgrade() {
                link.moved(address);
            }
        };
        tell(&address(&host, port));
        let mut messages = listener.into_on_message();
        while let Some(message) = messages.next().await {
            // name, old host, old port, new host, new port
            let text: String = message.get_payload()?;
            let words: Vec<_> = text.split(' ').collect();
            if let [name, _, _, host, port] = words[..]
                && name == self.name
            {
                tell(&format!("{host}:{port}"));
            }
        }
        Ok(())
    }
}

fn address(host: &str, port: u16) -> String {
    format!("{host}:{port}")
}

/// An address of the same kind.
fn at(like: &ConnectionAddr, host: String, port: u16) -> ConnectionAddr {
    match like {
        ConnectionAddr::TcpTls {
            insecure, tls_params, ..
        } => ConnectionAddr::TcpTls {
            host,
            port,
            insecure: *insecure,
            tls_params: tls_params.clone(),
        },
        _ => ConnectionAddr::Tcp(host, port),
    }
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
