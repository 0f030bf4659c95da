//! In which order replies and what the server tells arrive.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use session_redis::RedisStore;
use session_tests::servers::{Engine, RedisServer};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};

use super::{Written, near};
use crate::connect;

/// So long that no question is asked meanwhile.
const LEASE: Duration = Duration::from_secs(60);

/// A way to a server. Behind the next reply, in the same packet, it tells once that this key has
/// changed.
struct Way {
    port: u16,
    tells: Arc<Mutex<Option<String>>>,
}

impl Way {
    async fn to(server: &RedisServer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let upstream = server.address();
        let way = Self {
            port: listener.local_addr().unwrap().port(),
            tells: Arc::default(),
        };
        let tells = Arc::clone(&way.tells);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(upstream).await.unwrap();
                let (mut from_client, mut to_client) = client.into_split();
                let (mut from_server, mut to_server) = server.into_split();
                tokio::spawn(async move { copy(&mut from_client, &mut to_server).await });
                let tells = Arc::clone(&tells);
                tokio::spawn(async move {
                    let mut buffer = vec![0; 1 << 16];
                    while let Ok(read @ 1..) = from_server.read(&mut buffer).await {
                        let mut packet = buffer[..read].to_vec();
                        let told = tells.lock().unwrap().take();
                        if let Some(key) = told {
                            packet.extend_from_slice(push(&key).as_bytes());
                        }
                        to_client.write_all(&packet).await.unwrap();
                    }
                });
            }
        });
        way
    }
}

fn push(key: &str) -> String {
    let length = key.len();
    format!(">2\r\n$10\r\ninvalidate\r\n*1\r\n${length}\r\n{key}\r\n")
}

/// The reply is on its way to its reader still when the server tells that it is old. (On one
/// thread: with more, a reader may be faster than the rest of the packet, and is a moment early.)
#[tokio::test]
async fn what_is_told_right_behind_a_reply_ends_its_lease() {
    let server = RedisServer::start(Engine::Redis7);
    let direct = connect(RedisStore::builder(server.url())).await;
    let way = Way::to(&server).await;
    let url = format!("redis://127.0.0.1:{}", way.port);
    let store = connect(near(RedisStore::builder(url).connections(1), LEASE)).await;
    Written::by(&direct).await.is_leased_to(&store).await;
    for told in [true, false].repeat(200) {
        let session = Written::by(&direct).await;
        if told {
            *way.tells.lock().unwrap() = Some(session.name());
        }
        let reader = store.clone();
        // A task, which takes its turn as others do.
        let served = tokio::spawn(async move {
            let before = reader.cache_stats().leased;
            for _ in 0..2 {
                session.read(&reader).await.unwrap();
            }
            reader.cache_stats().leased - before
        });
        assert_eq!(served.await.unwrap(), u64::from(!told), "told: {told}");
    }
}
