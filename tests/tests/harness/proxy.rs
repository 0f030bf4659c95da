//! What goes wrong on the way to a server goes wrong as it was told to.

use std::io::ErrorKind;
use std::time::Duration;

use session_tests::Proxy;
use session_tests::servers::{Engine, RedisServer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

struct Client(TcpStream);

impl Client {
    async fn connect(proxy: &Proxy) -> Self {
        Self(
            TcpStream::connect(("127.0.0.1", proxy.port()))
                .await
                .unwrap(),
        )
    }

    async fn send(&mut self, command: &str) {
        let parts: Vec<_> = command.split(' ').collect();
        let mut request = format!("*{}\r\n", parts.len());
        for part in parts {
            request += &format!("${}\r\n{part}\r\n", part.len());
        }
        self.0.write_all(request.as_bytes()).await.unwrap();
    }

    /// What comes within half a second; empty at the end of the connection.
    async fn receive(&mut self) -> Option<String> {
        let mut buffer = [0; 1024];
        let read = timeout(Duration::from_millis(500), self.0.read(&mut buffer))
            .await
            .ok()?;
        Some(String::from_utf8_lossy(&buffer[..read.unwrap_or(0)]).into_owned())
    }

    async fn call(&mut self, command: &str) -> Option<String> {
        self.send(command).await;
        self.receive().await
    }
}

/// A server, a proxy before it, and a client of that.
async fn all() -> (RedisServer, Proxy, Client) {
    let server = RedisServer::start(Engine::Redis7);
    let proxy = Proxy::start(server.address()).await;
    let client = Client::connect(&proxy).await;
    (server, proxy, client)
}

fn ok() -> Option<String> {
    Some("+OK\r\n".to_owned())
}

fn closed() -> Option<String> {
    Some(String::new())
}

#[tokio::test]
async fn requests_and_replies_pass_and_are_counted() {
    let (server, proxy, mut client) = all().await;
    assert_eq!(client.call("SET a 1").await, ok());
    assert_eq!(client.call("SET b 2").await, ok());
    assert_eq!(client.call("GET a").await.unwrap(), "$1\r\n1\r\n");
    assert_eq!(server.command(&["GET", "b"]).text(), "2");
    assert_eq!(
        (
            proxy.passed(b"SET"),
            proxy.passed(b"GET"),
            proxy.passed(b"DEL")
        ),
        (2, 1, 0)
    );
    assert_eq!(
        Client::connect(&proxy).await.call("PING").await.unwrap(),
        "+PONG\r\n"
    );
    assert_eq!(proxy.connections(), 2);
    proxy.forget();
    assert_eq!((proxy.connections(), proxy.passed(b"")), (0, 0));
}

#[tokio::test]
async fn the_server_has_carried_out_what_has_no_reply() {
    let (server, proxy, mut client) = all().await;
    proxy.cut_reply_to(b"victim");
    assert_eq!(client.call("SET other 1").await, ok());
    assert!(!proxy.has_cut_all());
    assert_eq!(client.call("SET victim 1").await, closed());
    assert!(proxy.has_cut_all());
    assert_eq!(server.command(&["GET", "victim"]).text(), "1");
    assert_eq!(proxy.passed(b"victim"), 1);
    assert_eq!(
        Client::connect(&proxy).await.call("SET victim 2").await,
        ok()
    );
}

#[tokio::test]
async fn the_server_has_not_seen_what_was_cut() {
    let (server, proxy, mut client) = all().await;
    proxy.cut_request(b"victim");
    assert_eq!(client.call("SET victim 1").await, closed());
    assert_eq!(server.command(&["EXISTS", "victim"]).integer(), 0);
    assert_eq!(proxy.passed(b"victim"), 0);
}

#[tokio::test]
async fn a_stalled_proxy_holds_everything_until_it_flows() {
    let (server, proxy, mut client) = all().await;
    assert_eq!(client.call("SET a 1").await, ok());
    proxy.stall();
    assert_eq!(client.call("SET a 2").await, None);
    let mut late = Client::connect(&proxy).await;
    assert_eq!(late.call("SET b 1").await, None);
    assert_eq!(server.command(&["MGET", "a", "b"]).text(), "1\n");
    proxy.flow();
    assert_eq!((client.receive().await, late.receive().await), (ok(), ok()));
    assert_eq!(server.command(&["MGET", "a", "b"]).text(), "2\n1");
}

#[tokio::test]
async fn dropped_connections_can_be_made_anew() {
    let (_server, proxy, mut client) = all().await;
    assert_eq!(client.call("SET a 1").await, ok());
    proxy.drop_connections().await;
    assert_eq!(client.receive().await, closed());
    assert_eq!(Client::connect(&proxy).await.call("SET a 2").await, ok());
}

#[tokio::test]
async fn a_proxy_that_refuses_keeps_what_is_connected() {
    let (_server, proxy, mut client) = all().await;
    assert_eq!(client.call("SET a 1").await, ok());
    proxy.refuse().await;
    let refused = TcpStream::connect(("127.0.0.1", proxy.port()))
        .await
        .unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    assert_eq!(client.call("SET a 2").await, ok());
    proxy.accept().await;
    assert_eq!(Client::connect(&proxy).await.call("SET a 3").await, ok());
}

#[tokio::test]
async fn a_server_that_is_down_closes_the_connection() {
    let (server, proxy, mut client) = all().await;
    assert_eq!(client.call("SET a 1").await, ok());
    server.kill();
    assert_eq!(client.receive().await, closed());
    assert_eq!(Client::connect(&proxy).await.receive().await, closed());
    server.restart();
    assert_eq!(Client::connect(&proxy).await.call("SET a 2").await, ok());
}
