//! How a token travels: in a cookie, in a header for clients without cookies, or either way.
//!
//! | file | one idea |
//! |---|---|
//! | `transport.rs` | the trait, and what both transports need |
//! | `transports.rs` | those of one layer, and which of them serves a request |
//! | `cookie.rs`, `header.rs` | the two transports (and, in `header.rs`, its settings) |
//! | `cookie_config.rs`, `place.rs` | the settings of the cookie; where a browser can send one |
//! | `grammar.rs` | the texts of `Cookie` and `Set-Cookie`, and the pieces of a large session |
//! | `devices.rs` | the cookie that proves a device, beside the one that carries the token |
//! | `caching.rs` | no cache keeps a response that carries a token |

mod caching;
mod cookie;
mod cookie_config;
#[cfg(feature = "device-binding")]
mod devices;
mod grammar;
mod header;
mod place;
#[cfg(test)]
mod tests;
mod transport;
mod transports;

use self::cookie::CookieTransport;
pub use self::cookie_config::{CookieConfig, SameSite};
#[cfg(feature = "device-binding")]
pub(crate) use self::devices::{DeviceRouting, Devices};
pub use self::header::HeaderConfig;
#[cfg(feature = "device-binding")]
pub(crate) use self::transport::sensitive;
#[cfg(feature = "testing")]
pub(crate) use self::transports::Carrier;
pub(crate) use self::transports::{Carried, Transports};
