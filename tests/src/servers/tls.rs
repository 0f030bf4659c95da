//! Certificates for one test.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where the PEM files of a server with TLS lie.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The certificate that the others are signed with.
    pub ca: PathBuf,
    /// The server's certificate, for `localhost` and 127.0.0.1.
    pub cert: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// A client's certificate.
    pub client_cert: PathBuf,
    /// Its key.
    pub client_key: PathBuf,
}

const EXTENSIONS: &str = "
[req]
distinguished_name = name
[name]
[ca]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign
subjectKeyIdentifier = hash
[server]
basicConstraints = critical, CA:FALSE
subjectAltName = DNS:localhost, IP:127.0.0.1
extendedKeyUsage = serverAuth
[client]
basicConstraints = critical, CA:FALSE
extendedKeyUsage = clientAuth
";

impl TlsFiles {
    /// Makes them in `dir`, by the command `openssl`.
    pub(super) fn make(dir: &Path) -> Self {
        fs::write(dir.join("openssl.cnf"), EXTENSIONS).unwrap();
        for name in ["ca", "server", "client"] {
            certificate(dir, name);
        }
        Self {
            ca: dir.join("ca.pem"),
            cert: dir.join("server.pem"),
            key: dir.join("server.key"),
            client_cert: dir.join("client.pem"),
            client_key: dir.join("client.key"),
        }
    }
}

/// A key `NAME.key` and a certificate `NAME.pem`, signed by `ca`, which signs itself.
fn certificate(dir: &Path, name: &str) {
    let mut command = Command::new("openssl");
    command.current_dir(dir);
    command.args([
        "req",
        "-x509",
        "-config",
        "openssl.cnf",
        "-days",
        "2",
        "-sha256",
    ]);
    command.args([
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
    ]);
    command.args([
        "-extensions",
        name,
        "-subj",
        &format!("/CN=session-tests {name}"),
    ]);
    command.args([
        "-keyout",
        &format!("{name}.key"),
        "-out",
        &format!("{name}.pem"),
    ]);
    if name != "ca" {
        command.args(["-CA", "ca.pem", "-CAkey", "ca.key"]);
    }
    let done = command
        .output()
        .unwrap_or_else(|error| panic!("openssl: {error}"));
    assert!(
        done.status.success(),
        "openssl: {}",
        String::from_utf8_lossy(&done.stderr)
    );
}
