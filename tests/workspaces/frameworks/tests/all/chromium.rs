//! Chromium, headless, driven through chromedriver.
//!
//! With SCREENSHOTS, a directory, pages are photographed.

use std::ffi::OsString;
use std::fs::DirEntry;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use fantoccini::{Client, ClientBuilder, Locator};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

const ARGUMENTS: [&str; 9] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=900,700",
];

/// One profile of a browser, empty at first.
pub(crate) struct Browser {
    pub(crate) client: Client,
    _driver: Child,
    /// Where the driver is, and what it calls this session of ours.
    driven: (u16, String),
    profile: PathBuf,
}

/// A driver that listens, and its port. It looks for one by itself, and ends if the port turns out
/// to be taken.
async fn driver() -> (Child, u16) {
    let mut said = Vec::new();
    for _ in 0..5 {
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("chromedriver is needed: Debian's package chromium-driver");
        let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines();
        while let Some(line) = lines.next_line().await.unwrap() {
            if let Some((_, port)) = line.split_once("successfully on port ") {
                let port = port.trim_end_matches('.').parse().unwrap();
                tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
                return (driver, port);
            }
            said.push(line);
        }
        eprintln!("chromedriver did not start: {said:?}");
    }
    panic!("chromedriver does not start: {said:?}");
}

fn data_argument(profile: &Path) -> String {
    format!("--user-data-dir={}", profile.display())
}

/// The ids of the processes that were started with this argument.
fn processes(argument: &str) -> Vec<OsString> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let has_it = |entry: &DirEntry| {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0)
            .any(|word| word == argument.as_bytes())
    };
    entries
        .filter(has_it)
        .map(|entry| entry.file_name())
        .collect()
}

impl Drop for Browser {
    /// The driver ends the browser; without it, and be it after a panic, the browser would stay.
    fn drop(&mut self) {
        let (port, session) = &self.driven;
        let ended = TcpStream::connect(("127.0.0.1", *port)).and_then(|mut driver| {
            driver.set_read_timeout(Some(Duration::from_secs(10)))?;
            write!(
                driver,
                "DELETE /session/{session} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
            )?;
            driver.read(&mut [0; 256])
        });
        drop(ended);
        // On a busy machine the driver may not come to it in time.
        let left = processes(&data_argument(&self.profile));
        if !left.is_empty() {
            let ended = std::process::Command::new("kill")
                .arg("-KILL")
                .args(left)
                .status();
            drop(ended);
        }
        // A browser that has ended may have processes that still write.
        for _ in 0..100 {
            match std::fs::remove_dir_all(&self.profile) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    std::thread::sleep(Duration::from_millis(50));
                }
                _ => break,
            }
        }
    }
}

impl Browser {
    pub(crate) async fn start(name: &str) -> Self {
        Self::start_with(name, &[]).await
    }

    /// The same, with more arguments for Chromium.
    pub(crate) async fn start_with(name: &str, arguments: &[String]) -> Self {
        let (driver, port) = driver().await;
        let profile =
            std::env::temp_dir().join(format!("browser-{name}-{}-{port}", std::process::id()));
        std::fs::create_dir_all(&profile).unwrap();
        let data = data_argument(&profile);
        let mut all = ARGUMENTS.map(str::to_owned).to_vec();
        all.push(data);
        all.extend_from_slice(arguments);
        let options = json!({ "args": all });
        let capabilities = [("goog:chromeOptions".to_owned(), options)]
            .into_iter()
            .collect();
        let connector = hyper_util::client::legacy::connect::HttpConnector::new();
        let client = ClientBuilder::new(connector)
            .capabilities(capabilities)
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .unwrap();
        let session = client.session_id().await.unwrap().unwrap();
        Self {
            client,
            _driver: driver,
            driven: (port, session),
            profile,
        }
    }

    pub(crate) async fn go(&self, at: SocketAddr, path: &str) {
        // By name: only so is it a secure context whose cookies are of another site than those of
        // 127.0.0.1.
        let url = format!("http://localhost:{}{path}", at.port());
        self.client.goto(&url).await.unwrap();
    }

    pub(crate) async fn text(&self, css: &str) -> String {
        let element = self.client.wait().for_element(Locator::Css(css)).await;
        element.unwrap().text().await.unwrap()
    }

    pub(crate) async fn fill(&self, form: &str, field: &str, value: &str) {
        let css = format!("{form} input[name={field}]");
        let input = self.client.find(Locator::Css(&css)).await.unwrap();
        input.send_keys(value).await.unwrap();
        self.press(&format!("{form} button")).await;
    }

    /// Clicks, and waits until another page is there.
    pub(crate) async fn press(&self, css: &str) {
        let page = self.client.find(Locator::Css("html")).await.unwrap();
        self.client
            .find(Locator::Css(css))
            .await
            .unwrap()
            .click()
            .await
            .unwrap();
        for _ in 0..500 {
            if page.tag_name().await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{css} leads nowhere");
    }

    /// What the jar holds of this name.
    pub(crate) async fn cookie(&self, name: &str) -> Option<fantoccini::cookies::Cookie<'static>> {
        let all = self.client.get_all_cookies().await.unwrap();
        all.into_iter().find(|cookie| cookie.name() == name)
    }

    pub(crate) async fn names(&self) -> Vec<String> {
        let all = self.client.get_all_cookies().await.unwrap();
        let mut names: Vec<_> = all.iter().map(|cookie| cookie.name().to_owned()).collect();
        names.sort();
        names
    }

    pub(crate) async fn script(&self, script: &str) -> Value {
        self.client.execute(script, Vec::new()).await.unwrap()
    }

    /// A command of the DevTools protocol, for what WebDriver cannot do.
    async fn command(&self, name: &str, params: Value) {
        let (port, session) = &self.driven;
        let url = format!("http://127.0.0.1:{port}/session/{session}/goog/cdp/execute");
        let command = json!({ "cmd": name, "params": params });
        let done = reqwest::Client::new().post(url).json(&command).send().await;
        assert!(done.unwrap().status().is_success());
    }

    /// Lets scripts of the test do what the policy of a page does not let its own do.
    pub(crate) async fn bypass_policy(&self) {
        let params = json!({ "enabled": true });
        self.command("Page.setBypassCSP", params).await;
    }

    /// Puts a cookie into the jar, as if this page had set it. WebDriver's command of this kind
    /// needs a domain, which no `__Host-` cookie may have.
    pub(crate) async fn plant(&self, page: &str, name: &str, value: &str) {
        let cookie = json!({
            "url": page, "name": name, "value": value, "path": "/", "secure": true,
            "httpOnly": true, "sameSite": "Lax",
        });
        self.command("Network.setCookie", cookie).await;
    }

    pub(crate) async fn sign_in(&self, at: SocketAddr, name: &str) {
        self.go(at, "/").await;
        self.fill("form[action='/sign-in']", "name", name).await;
        assert_eq!(self.text("#who strong").await, name);
    }

    /// The rows of the page of all sessions.
    pub(crate) async fn rows(&self) -> Vec<String> {
        let rows = self
            .client
            .find_all(Locator::Css("#sessions tbody tr"))
            .await;
        let mut texts = Vec::new();
        for row in rows.unwrap() {
            texts.push(row.text().await.unwrap());
        }
        texts
    }

    pub(crate) async fn photograph(&self, name: &str) {
        if let Some(dir) = std::env::var_os("SCREENSHOTS") {
            let png = self.client.screenshot().await.unwrap();
            std::fs::write(PathBuf::from(dir).join(format!("{name}.png")), png).unwrap();
        }
    }
}
