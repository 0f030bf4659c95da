//! The examples of this crate over real sockets, and clients that others have written. One program,
//! since each is linked with everything.
#![allow(clippy::unwrap_used, clippy::panic, reason = "these are tests")]

mod axum;
#[cfg(feature = "browser")]
mod browser;
#[cfg(feature = "browser")]
mod chromium;
#[cfg(feature = "browser")]
mod device_bound;
mod guestbook;
mod hyper;
mod layers;
mod server;
mod stacks;
mod tonic;
mod warp;
