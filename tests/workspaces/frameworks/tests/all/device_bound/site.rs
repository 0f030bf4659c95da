//! A site over TLS on loopback, and a log of what a browser asked it.

use std::convert::Infallible;
use std::fmt;
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderMap, Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rcgen::{CertificateParams, KeyPair, PublicKeyData};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;
use sha2::{Digest, Sha256};
use tokio_rustls::TlsAcceptor;
use tower::{Service, ServiceExt};

use crate::server::listen;

/// The cookie of the session, and the one that proves the device.
pub(crate) const SESSION: &str = "__Host-id";
pub(crate) const BOUND: &str = "__Host-id-bound";

/// A server that ends with the test.
pub(crate) struct Site {
    port: u16,
    /// The hash of the certificate's public key.
    key: String,
    log: Arc<Mutex<Vec<Entry>>>,
}

/// One request and its answer.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) method: String,
    pub(crate) path: String,
    /// The values of the two cookies that it came with.
    pub(crate) session: Option<String>,
    pub(crate) bound: Option<String>,
    /// The headers of the protocol that it came with.
    pub(crate) headers: Vec<String>,
    /// None while the answer is awaited.
    pub(crate) status: Option<u16>,
    /// The cookies that were set, and the headers of the protocol.
    pub(crate) answer: Vec<String>,
}

impl Entry {
    fn new(request: &Request<Incoming>) -> Self {
        let headers = request.headers();
        Self {
            method: request.method().to_string(),
            path: request.uri().path().to_owned(),
            session: cookie(headers, SESSION),
            bound: cookie(headers, BOUND),
            headers: of_protocol(headers),
            status: None,
            answer: Vec::new(),
        }
    }

    /// `POST /dbsc/refresh 403`.
    pub(crate) fn short(&self) -> String {
        let status = self.status.map(|status| status.to_string());
        let status = status.as_deref().unwrap_or("unanswered");
        format!("{} {} {status}", self.method, self.path)
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let held = |name, value: &Option<String>| match value {
            Some(value) => format!(" {name}={}..", &value[..value.len().min(6)]),
            None => String::new(),
        };
        write!(
            f,
            "{}{}{} {:?} -> {:?}",
            self.short(),
            held("session", &self.session),
            held("bound", &self.bound),
            self.headers,
            self.answer
        )
    }
}

impl Site {
    /// Serves a service, HTTP/1 and HTTP/2, under a certificate of its own.
    pub(crate) async fn start<S, B>(service: S) -> Self
    where
        S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>,
        S: Clone + Send + Sync + 'static,
        S::Future: Send,
        B: http_body::Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>>,
        B: Send + 'static,
    {
        let (tls, key) = tls();
        let (listener, address) = listen().await;
        let log = Arc::<Mutex<Vec<Entry>>>::default();
        let kept = Arc::clone(&log);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (tls, service, log) = (tls.clone(), service.clone(), Arc::clone(&kept));
                let logged = service_fn(move |request: Request<Incoming>| {
                    let at = {
                        let mut log = log.lock().unwrap();
                        log.push(Entry::new(&request));
                        log.len() - 1
                    };
                    let (answer, log) = (service.clone().oneshot(request), Arc::clone(&log));
                    async move {
                        let answer = answer.await;
                        if let Ok(answer) = &answer
                            && let Some(entry) = log.lock().unwrap().get_mut(at)
                        {
                            entry.status = Some(answer.status().as_u16());
                            entry.answer = of_protocol(answer.headers());
                            entry.answer.extend(set(answer.headers()));
                        }
                        answer
                    }
                });
                tokio::spawn(async move {
                    // A browser opens connections that it then does not use.
                    let Ok(stream) = tls.accept(stream).await else {
                        return;
                    };
                    let server = auto::Builder::new(TokioExecutor::new());
                    let _ = server.serve_connection(TokioIo::new(stream), logged).await;
                });
            }
        });
        Self {
            port: address.port(),
            key,
            log,
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.port)
    }

    /// What makes Chromium trust this server.
    pub(crate) fn trust(&self) -> String {
        trust(&self.key)
    }

    /// The same for this server and another one.
    pub(crate) fn trust_with(&self, other: &Self) -> String {
        trust(&format!("{},{}", self.key, other.key))
    }

    /// What was asked since the `from`th request.
    pub(crate) fn log(&self, from: usize) -> Vec<Entry> {
        self.log.lock().unwrap()[from..].to_vec()
    }

    /// How many requests there were.
    pub(crate) fn asked(&self) -> usize {
        self.log.lock().unwrap().len()
    }
}

impl Drop for Site {
    /// The log of a test that fails says why.
    fn drop(&mut self) {
        if std::thread::panicking() {
            for entry in self.log(0) {
                eprintln!("{entry}");
            }
        }
    }
}

/// What makes Chromium trust a certificate whose public key has this hash. With the other ways to
/// ignore a certificate, it loads the pages and binds nothing.
pub(crate) fn trust(key: &str) -> String {
    format!("--ignore-certificate-errors-spki-list={key}")
}

/// A certificate for localhost, and the hash of its public key.
fn tls() -> (TlsAcceptor, String) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let hash = STANDARD.encode(Sha256::digest(key.subject_public_key_info()));
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::Pkcs8(key.serialize_der().into()),
        )
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    (TlsAcceptor::from(Arc::new(config)), hash)
}

/// The value of a request's cookie.
pub(crate) fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    let lines = headers.get_all(COOKIE).iter();
    let mut pairs = lines.flat_map(|line| line.to_str().unwrap_or_default().split("; "));
    let value = pairs.find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    value.map(str::to_owned)
}

/// The cookies that an answer sets and, with a `-`, those that it removes.
fn set(headers: &HeaderMap) -> Vec<String> {
    let lines = headers.get_all(SET_COOKIE).iter();
    let names = lines.map(|line| {
        let line = line.to_str().unwrap_or_default();
        let name = line.split('=').next().unwrap_or_default();
        let sign = if line.contains("Max-Age=0") { "-" } else { "" };
        format!("{sign}{name}")
    });
    names.collect()
}

fn of_protocol(headers: &HeaderMap) -> Vec<String> {
    let names = headers.keys().map(http::HeaderName::as_str);
    let names = names.filter(|name| name.contains("secure-session"));
    names.map(str::to_owned).collect()
}
