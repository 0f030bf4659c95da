//! TLS takes the application's provider of cryptography, and one of its own where there is none.

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustls::crypto::{CryptoProvider, GetRandomFailed, SecureRandom, ring};
use session_redis::RedisStore;
use session_tests::servers::{Engine, RedisServer};

use crate::ran_alone;

fn connect() {
    let server = RedisServer::builder(Engine::Redis7).tls().start();
    let roots = fs::read(&server.tls_files().ca).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let builder = RedisStore::builder(server.url()).root_certificates(roots);
    runtime.block_on(builder.connect()).unwrap();
}

#[test]
fn an_application_without_a_provider_does_not_panic() {
    if ran_alone("tls_provider::an_application_without_a_provider_does_not_panic") {
        return;
    }
    assert!(CryptoProvider::get_default().is_none());
    connect();
    assert!(CryptoProvider::get_default().is_some());
}

/// The application's: it counts what is drawn.
#[derive(Debug)]
struct Counted(&'static dyn SecureRandom);

static DRAWN: AtomicUsize = AtomicUsize::new(0);

impl SecureRandom for Counted {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), GetRandomFailed> {
        DRAWN.fetch_add(1, Ordering::Relaxed);
        self.0.fill(bytes)
    }
}

#[test]
fn the_provider_of_the_application_stays() {
    if ran_alone("tls_provider::the_provider_of_the_application_stays") {
        return;
    }
    let mut own = ring::default_provider();
    own.secure_random = Box::leak(Box::new(Counted(own.secure_random)));
    own.cipher_suites.truncate(1);
    own.install_default().unwrap();
    connect();
    assert_eq!(
        CryptoProvider::get_default().unwrap().cipher_suites.len(),
        1
    );
    assert!(
        DRAWN.load(Ordering::Relaxed) > 0,
        "another provider was used"
    );
}
