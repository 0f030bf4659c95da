//! What an application sets: which servers, as whom, and for how long to wait.
//!
//! A URL is read in two steps. [`url`] finds out which kind of servers it names and splits it into
//! addresses; [`address`] reads one address with the driver, after it has refused what the driver
//! would silently take in another meaning. **No text of an error quotes a part of a URL**, since a
//! password with an unexpected character may be anywhere in it.

mod address;
mod credentials;
mod settings;
mod source;
mod timing;
mod tls;
mod url;

pub(crate) use self::address::tuned;
pub(crate) use self::credentials::Credentials;
pub(crate) use self::settings::ConnectionSettings;
pub use self::source::Source;
pub(crate) use self::source::{ApplicationConnection, SourceKind};
pub(crate) use self::timing::Timing;
pub(crate) use self::tls::install_provider_for;
#[cfg(feature = "cluster")]
pub(crate) use self::tls::{Certificates, install_provider};
pub(crate) use self::url::Servers;
