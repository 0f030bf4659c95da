//! The guestbook example, as reqwest with its cookie store sees it. GUESTBOOK names the binary.

use std::net::SocketAddr;
use std::process::Stdio;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::server::{client, http2};

/// A server of the example, which ends with this value.
pub(crate) struct Guestbook {
    pub(crate) address: SocketAddr,
    _child: Child,
}

impl Guestbook {
    pub(crate) async fn start(options: &[&str]) -> Self {
        let binary =
            std::env::var("GUESTBOOK").expect("GUESTBOOK names the example's binary; tests/run sets it");
        let mut child = Command::new(binary)
            .args(["--listen", "127.0.0.1:0"])
            .args(options)
            .env_remove("SESSION_KEYS")
            .env_remove("RUST_LOG")
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = loop {
            let line = lines.next_line().await.unwrap().expect("it listens");
            if let Some((_, address)) = line.split_once("listening on http://") {
                break address.trim().parse().unwrap();
            }
        };
        // What it says later is read too, or the pipe would be full one day.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Self {
            address,
            _child: child,
        }
    }
}

async fn summary(client: &reqwest::Client, at: SocketAddr) -> Value {
    client
        .get(format!("http://{at}/session.json"))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap()
}

async fn send(
    client: &reqwest::Client,
    at: SocketAddr,
    path: &str,
    form: &[(&str, &str)],
) -> reqwest::Response {
    let response = client
        .post(format!("http://{at}{path}"))
        .form(form)
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 200, "{path}");
    response
}

#[tokio::test]
async fn a_round_trip_with_a_cookie_store() {
    for store in ["memory", "cookie"] {
        let guestbook = Guestbook::start(&["--store", store]).await;
        let at = guestbook.address;
        for client in [client(), http2()] {
            assert_eq!(summary(&client, at).await["new"], true);
            send(&client, at, "/entries", &[("entry", "mine")]).await;
            send(&client, at, "/sign-in", &[("name", "Ann")]).await;
            let seen = summary(&client, at).await;
            assert_eq!(
                (&seen["principal"], &seen["entries"][0]),
                (&"user:Ann".into(), &"mine".into()),
                "{store}"
            );
            send(&client, at, "/entries", &[("entry", "another")]).await;
            assert_eq!(summary(&client, at).await["entries"].as_array().unwrap().len(), 2);
            send(&client, at, "/sign-out", &[]).await;
            let seen = summary(&client, at).await;
            // Signing out leads to the first page, which counts a visit in a session of its own.
            assert_eq!(
                (&seen["principal"], &seen["visits"]),
                (&Value::Null, &1.into()),
                "{store}"
            );
            assert_eq!(seen["entries"].as_array().unwrap().len(), 0);
        }
    }
}
