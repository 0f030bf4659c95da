//! How a token travels: in a cookie, in a header for clients without cookies, or either way.
//!
//! | file | one idea |
//! |---|---|
//! | `transport.rs` | the trait, and what both transports need |
//! | `transports.rs` | those of one layer, and which of them serves a request |
//! | `cookie.rs`, `header.rs` | the two transports (and, in `header.rs`, its settings) |
//! | `cookie_config.rs`, `place.rs` | the settings of the cookie; where a browser can send one |
//! | `grammar.rs` | the texts of `Cookie` and `Set-Cookie`, and the pieces of a large session |
//! | `caching.rs` | no cache keeps a response that carries a token |

mod caching;
mod cookie;
mod cookie_config;
mod grammar;
mod header;
mod place;
#[cfg(test)]
mod tests;
mod transport;
mod transports;

use self::cookie::CookieTransport;
pub use self::cookie_config::{CookieConfig, SameSite};
pub use self::header::HeaderConfig;
#[cfg(feature = "testing")]
pub(crate) use self::transports::Carrier;
pub(crate) use self::transports::{Carried, Transports};
