//! How to connect, whatever the source is.

use super::credentials::Credentials;
use super::timing::Timing;
use super::tls::Certificates;

#[derive(Debug, Default)]
pub(crate) struct ConnectionSettings {
    pub(crate) timing: Timing,
    /// How many to each server, if the application has said so.
    pub(crate) connections: Option<usize>,
    /// Instead of what a URL says.
    pub(crate) credentials: Credentials,
    /// What the sentinels want. The credentials in a URL are the server's.
    pub(crate) sentinel_credentials: Credentials,
    pub(crate) certificates: Certificates,
}
