//! Behind a proxy that spreads keys over several servers, by the first key of each command.

use std::io::{BufRead, BufReader, Result, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

use session_core::store::{Record, SessionStore};
use session_core::{Clock, Lifetime, SessionId, SystemClock};
use session_redis::{Layout, RedisStore};
use session_tests::servers::{Engine, RedisServer};
use tokio::task::JoinSet;

use crate::connect;

/// A proxy in front of these servers, as Envoy and twemproxy are. It knows RESP2 alone. Returns its
/// URL.
fn proxy(servers: [SocketAddr; 2]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            // It ends when the client has gone.
            std::thread::spawn(move || serve(client, servers));
        }
    });
    format!("redis://127.0.0.1:{port}/?protocol=resp2")
}

fn serve(client: TcpStream, servers: [SocketAddr; 2]) -> Result<()> {
    let mut servers = servers.map(|server| BufReader::new(TcpStream::connect(server).unwrap()));
    let mut client = BufReader::new(client);
    loop {
        let mut words = Vec::new();
        let command = message(&mut client, &mut words)?;
        let key = match words[0].to_ascii_uppercase().as_slice() {
            b"EVAL" | b"EVALSHA" => words.get(3),
            _ => words.get(1),
        };
        let sum: usize = key
            .into_iter()
            .flatten()
            .map(|&byte| usize::from(byte))
            .sum();
        let server = &mut servers[sum % 2];
        server.get_mut().write_all(&command)?;
        let answer = message(server, &mut Vec::new())?;
        client.get_mut().write_all(&answer)?;
    }
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
        let store = connect(RedisStore::builder(proxy(addresses)).layout(layout)).await;
        let now = SystemClock.now();
        let mut keys = Vec::new();
        for _ in 0..40 {
            let id = SessionId::random().unwrap();
            let record = Record::new(id, "id", Lifetime::default(), now);
            keys.push(store.create(&Arc::new(record), now).await.unwrap());
        }
        let mut all = JoinSet::new();
        for key in keys {
            let store = store.clone();
            all.spawn(async move { store.load(&key, now).await });
        }
        for found in all.join_all().await {
            assert!(found.unwrap().is_some(), "{layout:?}");
        }
    }
}
