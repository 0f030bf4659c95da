//! Pages for people who put this to work. There is no code here, only pages:
//!
//! - [`moving`]: from tower-sessions, axum_session, actix-session or express-session, and from one
//!   store to another.
//! - [`backends`]: which store to choose; what each guarantees, costs and cannot do.
//! - [`handlers`]: requests that take long, values that are used once, large sessions, timeouts.
//! - [`types`]: types that change between two deployments.
//! - [`testing`]: tests of handlers, without a server.
//! - [`stores`]: writing a store.
//! - [`transports`]: sessions over something other than HTTP.
//! - [`security`]: what standards ask of sessions, and where it is met.
//! - [`operating`]: what to watch, how much space sessions take, how to change keys.

#[doc = include_str!("../docs/backends.md")]
pub mod backends {}

#[doc = include_str!("../docs/handlers.md")]
pub mod handlers {}

#[doc = include_str!("../docs/moving.md")]
pub mod moving {}

#[doc = include_str!("../docs/operating.md")]
pub mod operating {}

#[doc = include_str!("../docs/security.md")]
pub mod security {}

#[doc = include_str!("../docs/stores.md")]
pub mod stores {}

#[doc = include_str!("../docs/testing.md")]
pub mod testing {}

#[doc = include_str!("../docs/transports.md")]
pub mod transports {}

#[doc = include_str!("../docs/types.md")]
pub mod types {}
