//! Certificates, and the provider of cryptography.

use redis::{Client, ConnectionAddr, ConnectionInfo, RedisResult};

/// The certificates that the server is checked against, and the one that it is shown.
#[derive(Clone, Default, PartialEq, Eq)]
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

impl Certificates {
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub(crate) fn client(&self, info: ConnectionInfo) -> RedisResult<Client> {
        install_provider_for(&info);
        #[cfg(feature = "tls")]
        if !self.is_empty() {
            return Client::build_with_tls(info, self.for_driver());
        }
        Client::open(info)
    }

    #[cfg(feature = "cluster")]
    pub(crate) fn put_into(
        &self,
        builder: redis::cluster::ClusterClientBuilder,
    ) -> redis::cluster::ClusterClientBuilder {
        install_provider();
        #[cfg(feature = "tls")]
        if !self.is_empty() {
            return builder.certs(self.for_driver());
        }
        builder
    }
}

#[cfg(feature = "tls")]
impl Certificates {
    /// The driver accepts a file without certificates, and then trusts nobody. It reads neither a
    /// certificate that is indented nor one on a single line.
    pub(crate) fn check(&self) -> Result<(), session_core::ConfigError> {
        use rustls::pki_types::{CertificateDer, pem::PemObject};

        let client = self.client.as_ref().map(|(certificate, _)| certificate);
        for (name, pem) in [
            ("root_certificates", self.roots.as_ref()),
            ("client_certificate", client),
        ] {
            if pem.is_some_and(|pem| !CertificateDer::pem_slice_iter(pem).any(|it| it.is_ok())) {
                return Err(session_core::ConfigError::new(format!(
                    "{name} holds no certificate in PEM form (-----BEGIN CERTIFICATE-----); \
                     is the file empty, indented, cut off or the wrong one?"
                )));
            }
        }
        Ok(())
    }

    fn for_driver(&self) -> redis::TlsCertificates {
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

/// To be called before the first connection to an address.
pub(crate) fn install_provider_for(info: &ConnectionInfo) {
    if matches!(info.addr(), ConnectionAddr::TcpTls { .. }) {
        install_provider();
    }
}

/// The driver takes rustls' default provider, and panics where there is none. A provider that the
/// application has chosen stays.
pub(crate) fn install_provider() {
    #[cfg(feature = "tls")]
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Another thread may have been faster, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
}
