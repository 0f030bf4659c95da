//! Certificates, and the provider of cryptography.

use redis::{Client, ConnectionAddr, ConnectionInfo, RedisResult};
#[cfg(feature = "tls")]
use rustls::pki_types::{CertificateDer, pem::PemObject};
use session_core::ConfigError;

/// What a server is checked against, and what it is shown.
#[derive(Default)]
pub(crate) struct Certificates {
    #[cfg(feature = "tls")]
    pub(crate) roots: Option<Vec<u8>>,
    #[cfg(feature = "tls")]
    pub(crate) client: Option<(Vec<u8>, Vec<u8>)>,
}

impl std::fmt::Debug for Certificates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificates").finish_non_exhaustive()
    }
}

#[cfg(feature = "tls")]
impl Certificates {
    /// The driver takes a file without certificates, and then trusts nobody. What is indented, or
    /// on one line, is none.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let has_one =
            |pem: &Vec<u8>| CertificateDer::pem_slice_iter(pem).any(|found| found.is_ok());
        let settings = [
            ("root_certificates", self.roots.as_ref()),
            (
                "client_certificate",
                self.client.as_ref().map(|(certificate, _)| certificate),
            ),
        ];
        for (name, pem) in settings {
            if !pem.is_none_or(has_one) {
                return Err(ConfigError::new(format!(
                    "{name} holds no certificate in PEM form (-----BEGIN CERTIFICATE-----); is the file empty, indented, cut off or the wrong one?"
                )));
            }
        }
        Ok(())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.roots.is_none() && self.client.is_none()
    }

    pub(crate) fn client(&self, info: ConnectionInfo) -> RedisResult<Client> {
        prepare(&info);
        if self.is_empty() {
            return Client::open(info);
        }
        Client::build_with_tls(info, self.of_driver())
    }

    #[cfg(feature = "cluster")]
    pub(crate) fn of_cluster(
        &self,
        builder: redis::cluster::ClusterClientBuilder,
    ) -> redis::cluster::ClusterClientBuilder {
        install();
        if self.is_empty() {
            builder
        } else {
            builder.certs(self.of_driver())
        }
    }

    fn of_driver(&self) -> redis::TlsCertificates {
        let client = self.client.clone();
        redis::TlsCertificates {
            client_tls: client.map(|(client_cert, client_key)| redis::ClientTlsConfig {
                client_cert,
                client_key,
            }),
            root_cert: self.roots.clone(),
        }
    }
}

#[cfg(not(feature = "tls"))]
impl Certificates {
    #[allow(
        clippy::unnecessary_wraps,
        clippy::unused_self,
        reason = "as with the feature"
    )]
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        Ok(())
    }

    pub(crate) fn is_empty(&self) -> bool {
        true
    }

    pub(crate) fn client(&self, info: ConnectionInfo) -> RedisResult<Client> {
        prepare(&info);
        Client::open(info)
    }

    #[cfg(feature = "cluster")]
    pub(crate) fn of_cluster(
        &self,
        builder: redis::cluster::ClusterClientBuilder,
    ) -> redis::cluster::ClusterClientBuilder {
        builder
    }
}

/// Before the first connection over TLS.
pub(crate) fn prepare(info: &ConnectionInfo) {
    if matches!(info.addr(), ConnectionAddr::TcpTls { .. }) {
        install();
    }
}

/// The driver takes rustls' default provider, and panics where there is none. Where the application
/// has chosen one, it stays.
pub(crate) fn install() {
    #[cfg(feature = "tls")]
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Another thread may have been faster, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
}
