//! The guestbook example, as reqwest with its cookie store sees it. GUESTBOOK names the binary.

use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use reqwest::cookie::{CookieStore, Jar};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::server::{client, http2, page};

/// A server of the example, which ends with this value.
pub(crate) struct Guestbook {
    pub(crate) address: SocketAddr,
    /// With `--bind`, the hash of its certificate's public key.
    #[cfg_attr(not(feature = "browser"), expect(dead_code))]
    pub(crate) key: Option<String>,
    _child: Child,
}

impl Guestbook {
    pub(crate) async fn start(options: &[&str]) -> Self {
        let binary = std::env::var("GUESTBOOK")
            .expect("GUESTBOOK names the example's binary; tests/run sets it");
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
        let mut key = None;
        let address = loop {
            let line = lines.next_line().await.unwrap().expect("it listens");
            if let Some((_, hash)) = line.split_once("certificate's public key is ") {
                key = Some(hash.trim().to_owned());
            }
            if let Some((_, address)) = line.split_once("listening on http://") {
                break address.trim().parse().unwrap();
            }
            if let Some((_, port)) = line.split_once("listening on https://localhost:") {
                break SocketAddr::from(([127, 0, 0, 1], port.trim().parse().unwrap()));
            }
        };
        // What it says later is read too, or the pipe would be full one day.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Self {
            address,
            key,
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

async fn post(client: &reqwest::Client, at: SocketAddr, path: &str, form: &[(&str, &str)]) -> u16 {
    let post = client.post(format!("http://{at}{path}")).form(form);
    post.send().await.unwrap().status().as_u16()
}

/// Sends a form as from a page that was just opened.
async fn send(client: &reqwest::Client, at: SocketAddr, path: &str, form: &[(&str, &str)]) {
    let csrf = page(client, at, "/csrf").await;
    let form = [form, &[("csrf", &*csrf)]].concat();
    assert_eq!(post(client, at, path, &form).await, 200, "{path}");
}

#[tokio::test]
async fn a_round_trip_with_a_cookie_store() {
    for store in ["memory", "cookie"] {
        let guestbook = Guestbook::start(&["--store", store]).await;
        let at = guestbook.address;
        for client in [client(), http2()] {
            assert_eq!(summary(&client, at).await["new"], true);
            assert_eq!(
                post(&client, at, "/entries", &[("entry", "forged")]).await,
                403,
                "{store}"
            );
            send(&client, at, "/entries", &[("entry", "mine")]).await;
            send(&client, at, "/sign-in", &[("name", "Ann")]).await;
            let seen = summary(&client, at).await;
            assert_eq!(
                (&seen["principal"], &seen["entries"][0]),
                (&"user:Ann".into(), &"mine".into()),
                "{store}"
            );
            send(&client, at, "/entries", &[("entry", "another")]).await;
            assert_eq!(
                summary(&client, at).await["entries"]
                    .as_array()
                    .unwrap()
                    .len(),
                2
            );
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

#[tokio::test]
async fn a_round_trip_while_tokens_rotate() {
    let guestbook = Guestbook::start(&["--rotate", "1"]).await;
    let at = guestbook.address;
    let jar = Arc::new(Jar::default());
    let client = reqwest::Client::builder().cookie_provider(Arc::clone(&jar));
    let client = client.build().unwrap();
    let held = || jar.cookies(&format!("http://{at}").parse().unwrap());
    send(&client, at, "/sign-in", &[("name", "Ann")]).await;
    let csrf = page(&client, at, "/csrf").await;
    let mut all = vec![held()];
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(1100)).await;
        assert_eq!(summary(&client, at).await["principal"], "user:Ann");
        assert!(!all.contains(&held()), "the jar follows");
        all.push(held());
    }
    let form = [("csrf", &*csrf), ("entry", "mine")];
    assert_eq!(
        post(&client, at, "/entries", &form).await,
        200,
        "a rotation voids no form"
    );
    assert_eq!(summary(&client, at).await["entries"][0], "mine");
    send(&client, at, "/sign-out", &[]).await;
    assert_eq!(summary(&client, at).await["principal"], Value::Null);
    assert!(all.iter().all(Option::is_some) && !all.contains(&held()));
}
