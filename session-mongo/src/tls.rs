//! Files of certificates that cannot serve the purpose they are named for.

use std::path::Path;

use mongodb::options::TlsOptions;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use session_core::ConfigError;

/// Refuses files without a certificate: the driver skips what is none, and would then trust no
/// server.
pub(crate) fn check(options: &TlsOptions) -> Result<(), ConfigError> {
    if let Some(file) = &options.ca_file_path {
        let certificates = read("tlsCAFile", file)?;
        let mut trusted = RootCertStore::empty();
        let (added, _) = trusted.add_parsable_certificates(certificates);
        if added == 0 {
            return Err(ConfigError::new(format!(
                "tlsCAFile cannot be used: there is no certificate in {}, so no server would be \
                 trusted; it holds `-----BEGIN CERTIFICATE-----`, and what is in that is base64",
                file.display()
            )));
        }
    }
    if let Some(file) = &options.cert_key_file_path
        && read("tlsCertificateKeyFile", file)?.is_empty()
    {
        return Err(ConfigError::new(format!(
            "tlsCertificateKeyFile cannot be used: there is no certificate in {}; it holds the \
             client's certificate and its key, both as PEM",
            file.display()
        )));
    }
    Ok(())
}

fn read(option: &str, file: &Path) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
    let text = std::fs::read(file).map_err(|error| {
        ConfigError::new(format!(
            "{option} cannot be used: the certificate file {} cannot be read ({})",
            file.display(),
            error.kind()
        ))
    })?;
    Ok(CertificateDer::pem_slice_iter(&text).flatten().collect())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use crate::MongoStore;

    /// Removed with this value.
    struct File(PathBuf);

    impl File {
        fn new(name: &str, content: &[u8]) -> Self {
            let name = format!("session-mongo-{}-{name}.pem", std::process::id());
            let path = std::env::temp_dir().join(name);
            std::fs::write(&path, content).unwrap();
            Self(path)
        }
    }

    impl Drop for File {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }

    async fn said(option: &str, file: &str) -> String {
        let uri = format!("mongodb://user:opensesame@host/?tls=true&{option}={file}");
        match MongoStore::builder(uri).lazy().await {
            Err(error) => error.to_string(),
            Ok(store) => format!("{store:?}"),
        }
    }

    #[tokio::test]
    async fn a_file_without_a_certificate_is_refused() {
        let key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        let nonsense = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let files = [
            ("empty", &b""[..], "no certificate"),
            ("text", b"hello", "no certificate"),
            ("bytes", b"\xff\x00\x30", "no certificate"),
            ("key", key.as_bytes(), "no certificate"),
            (
                "cut",
                b"-----BEGIN CERTIFICATE-----\nAAAA\n",
                "no certificate",
            ),
        ];
        for (name, content, reason) in files {
            let file = File::new(name, content);
            for option in ["tlsCAFile", "tlsCertificateKeyFile"] {
                let said = said(option, &file.0.display().to_string()).await;
                assert!(
                    said.contains(reason) && said.contains(option),
                    "{name}: {said}"
                );
                assert!(!said.contains("opensesame"), "{said}");
            }
        }
        let file = File::new("nonsense", nonsense.as_bytes());
        let said = said("tlsCAFile", &file.0.display().to_string()).await;
        assert!(said.contains("no certificate"), "{said}");
    }

    #[tokio::test]
    async fn a_file_that_cannot_be_read_is_named() {
        let directory = std::env::temp_dir().display().to_string();
        for option in ["tlsCAFile", "tlsCertificateKeyFile"] {
            for file in ["/nope", "", &directory] {
                let said = said(option, file).await;
                assert!(
                    said.contains("cannot be read") && said.contains(option),
                    "{file}: {said}"
                );
            }
        }
    }
}
