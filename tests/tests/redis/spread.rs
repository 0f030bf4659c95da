//! Behind a proxy that spreads keys over several servers, by the first key of each command.

use std::io::{BufRead, BufReader, Result, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use session_core::store::{Record, SessionStore, StoreError};
use session_core::{Clock, Lifetime, SessionId, SystemClock};
use session_redis::{Layout, RedisStore};
use session_tests::servers::{Engine, RedisServer};
use tokio::task::JoinSet;

use crate::connect;

/// A proxy in front of two servers, as Envoy and twemproxy are. It knows RESP2 alone.
struct Proxy {
    servers: [SocketAddr; 2],
    /// The second one cannot be reached.
    is_half: AtomicBool,
}

impl Proxy {
    /// Returns its URL too.
    fn start(servers: [SocketAddr; 2]) -> (Arc<Self>, String) {
        let proxy = Arc::new(Self {
            servers,
            is_half: AtomicBool::new(false),
        });
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let all = Arc::clone(&proxy);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let proxy = Arc::clone(&all);
                // It ends when the client has gone.
                std::thread::spawn(move || proxy.serve(client));
            }
        });
        let url = format!("redis://127.0.0.1:{port}/?protocol=resp2");
        (proxy, url)
    }

    fn serve(&self, client: TcpStream) -> Result<()> {
        let servers = self.servers;
        let mut servers = servers.map(|server| BufReader::new(TcpStream::connect(server).unwrap()));
        let mut client = BufReader::new(client);
        loop {
            let mut words = Vec::new();
            let command = message(&mut client, &mut words)?;
            let name = words[0].to_ascii_uppercase();
            if name == b"MGET" {
                // Each key is asked for where it is.
                let mut answer = format!("*{}\r\n", words.len() - 1).into_bytes();
                for key in &words[1..] {
                    let mut get = format!("*2\r\n$3\r\nGET\r\n${}\r\n", key.len()).into_bytes();
                    get.extend_from_slice(key);
                    get.extend_from_slice(b"\r\n");
                    answer.extend(self.ask(&mut servers, Some(key), &get)?);
                }
                client.get_mut().write_all(&answer)?;
                continue;
            }
            let key = match name.as_slice() {
                b"EVAL" | b"EVALSHA" => words.get(3),
                _ => words.get(1),
            };
            let answer = self.ask(&mut servers, key, &command)?;
            client.get_mut().write_all(&answer)?;
        }
    }

    fn ask(
        &self,
        servers: &mut [BufReader<TcpStream>; 2],
        key: Option<&Vec<u8>>,
        command: &[u8],
    ) -> Result<Vec<u8>> {
        let at = key.map_or(0, |key| server_of(key));
        if at == 1 && self.is_half.load(Ordering::Relaxed) {
            return Ok(b"-upstream failure\r\n".to_vec());
        }
        servers[at].get_mut().write_all(command)?;
        message(&mut servers[at], &mut Vec::new())
    }
}

fn server_of(key: &[u8]) -> usize {
    let sum: usize = key.iter().map(|&byte| usize::from(byte)).sum();
    sum % 2
}

/// One message of RESP2 as it came, and the texts in it.
fn message(from: &mut impl BufRead, texts: &mut Vec<Vec<u8>>) -> Result<Vec<u8>> {
    let mut all = Vec::new();
    if from.read_until(b'\n', &mut all)? == 0 {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    let length = || {
        std::str::from_utf8(&all[1..all.len() - 2])
            .unwrap()
            .parse::<i64>()
    };
    match all[0] {
        b'$' => {
            if let Ok(length) = usize::try_from(length().unwrap()) {
                let mut text = vec![0; length + 2];
                from.read_exact(&mut text)?;
                all.extend_from_slice(&text);
                text.truncate(length);
                texts.push(text);
            }
        }
        b'*' => {
            for _ in 0..length().unwrap() {
                let part = message(from, texts)?;
                all.extend_from_slice(&part);
            }
        }
        _ => {}
    }
    Ok(all)
}

#[tokio::test]
async fn readers_that_ask_together_find_sessions_of_all_servers() {
    for layout in [Layout::Fields, Layout::Packed] {
        let servers = [(); 2].map(|()| RedisServer::start(Engine::Redis7));
        let addresses = [servers[0].address(), servers[1].address()];
        let (proxy, url) = Proxy::start(addresses);
        let store = connect(RedisStore::builder(url).layout(layout)).await;
        let now = SystemClock.now();
        let mut keys = Vec::new();
        for _ in 0..40 {
            let id = SessionId::random().unwrap();
            let record = Record::new(id, "id", Lifetime::default(), now);
            keys.push(store.create(&Arc::new(record), now).await.unwrap());
        }
        let load_all = async || {
            let mut all = JoinSet::new();
            for key in keys.clone() {
                let store = store.clone();
                all.spawn(async move { (key.id().unwrap(), store.load(&key, now).await) });
            }
            all.join_all().await
        };
        for (_, found) in load_all().await {
            assert!(found.unwrap().is_some(), "{layout:?}");
        }
        // Of those that are not there now, nobody says that they are gone or damaged.
        proxy.is_half.store(true, Ordering::Relaxed);
        for (id, found) in load_all().await {
            match server_of(format!("session:{}", id.encode()).as_bytes()) {
                0 => assert!(found.unwrap().is_some(), "{layout:?}"),
                _ => assert!(
                    matches!(found, Err(StoreError::Unavailable(_))),
                    "{layout:?}: {found:?}"
                ),
            }
        }
    }
}
