//! What `connect` says of servers that do not serve: the most telling cause, however the last
//! attempt ended.

use std::time::Duration;

use session_redis::RedisStore;
use session_tests::servers::{Engine, RedisServer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// A server that greets, says to so many commands that it is loading, and nothing from then on.
async fn loading(answers: usize) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("redis://{}/?protocol=resp2", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let mut left = answers;
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut bytes = [0; 4096];
            while let Ok(read @ 1..) = stream.read(&mut bytes).await {
                let text = String::from_utf8_lossy(&bytes[..read]).into_owned();
                for command in text.split('*').skip(1) {
                    let answer = match command.contains("SETINFO") {
                        true => "+OK\r\n",
                        false if left == 0 => continue,
                        false => {
                            left -= 1;
                            "-LOADING Redis is loading the dataset in memory\r\n"
                        }
                    };
                    stream.write_all(answer.as_bytes()).await.unwrap();
                }
            }
        }
    });
    url
}

#[tokio::test]
async fn a_server_that_is_loading_is_told_whenever_its_answers_end() {
    for answers in [1, 2, 3, 5, 1_000] {
        let url = loading(answers).await;
        let builder = RedisStore::builder(url).call_timeout(Duration::from_millis(400));
        let refused = builder.connect().await.unwrap_err().to_string();
        assert!(refused.contains("LOADING"), "{answers}: {refused}");
    }
}

#[tokio::test]
async fn a_server_that_takes_no_more_clients_is_told() {
    let server = RedisServer::start(Engine::Redis7);
    assert_eq!(
        server.command(&["CONFIG", "SET", "maxclients", "1"]).text(),
        "OK"
    );
    let held = tokio::net::TcpStream::connect(server.address())
        .await
        .unwrap();
    let builder = RedisStore::builder(server.url()).connect_timeout(Duration::from_millis(400));
    let refused = builder.connect().await.unwrap_err().to_string();
    assert!(refused.contains("maxclients"), "{refused}");
    drop(held);
}
