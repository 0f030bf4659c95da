//! TLS with a certificate that is made when the server starts.
//!
//! Browsers bind sessions only over TLS, even on localhost. A real server has a certificate that
//! browsers trust, or a proxy in front that has one.

use std::io;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertificateParams, KeyPair, PublicKeyData};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;
use sha2::{Digest, Sha256};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tracing::info;

use crate::refusal::BoxError;

/// The versions of HTTP that clients may choose from, in our order.
#[cfg(feature = "http2")]
const PROTOCOLS: &[&[u8]] = &[b"h2", b"http/1.1"];
#[cfg(not(feature = "http2"))]
const PROTOCOLS: &[&[u8]] = &[b"http/1.1"];

#[derive(Clone)]
pub(crate) struct Tls(TlsAcceptor);

impl Tls {
    /// Makes a certificate for `localhost`. The log gets the hash of its public key, by which a
    /// browser can be told to trust it:
    ///
    /// ```text
    /// chromium --user-data-dir=DIRECTORY --ignore-certificate-errors-spki-list=HASH
    /// ```
    pub(crate) fn new() -> Result<Self, BoxError> {
        let key = KeyPair::generate()?;
        let certificate = CertificateParams::new(["localhost".to_owned()])?.self_signed(&key)?;
        let hash = STANDARD.encode(Sha256::digest(key.subject_public_key_info()));
        info!("the SHA-256 of the certificate's public key is {hash}");
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::Pkcs8(key.serialize_der().into()),
            )?;
        config.alpn_protocols = PROTOCOLS.iter().map(|name| name.to_vec()).collect();
        Ok(Self(TlsAcceptor::from(Arc::new(config))))
    }

    pub(crate) async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        self.0.accept(stream).await
    }
}
