//! Sessions in the frameworks that people use. Each module is an example to copy; `tests/all` runs
//! them over real sockets.
//!
//! - [`plain`] - hyper alone, HTTP/1 and HTTP/2.
//! - [`web`] - axum, with an extractor, nested routers, a WebSocket and server-sent events.
//! - [`grpc`] - tonic, the token in metadata; calls and streams.
//! - [`filters`] - warp.
//! - [`stacks`] - what to put around sessions, and what inside.

pub mod filters;
pub mod grpc;
pub mod plain;
pub mod stacks;
pub mod web;
