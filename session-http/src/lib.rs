//! Sessions for any http service.

#[cfg(feature = "axum")]
pub mod axum;
mod cookie_config;
mod error;
mod ext;
mod future;
mod handler;
mod layer;
mod service;
mod slot;
mod transport;

#[cfg(feature = "cookie")]
pub use session_cookie as cookie;
pub use session_core as core;

pub use cookie_config::{CookieConfig, SameSite};
pub use error::{DefaultResponse, Error, OnError};
pub use ext::SessionExt;
pub use future::ResponseFuture;
pub use handler::{HandlerFuture, WithSession, with_session};
pub use layer::{LayerBuilder, SessionLayer, commit_by_default};
pub use service::SessionService;
pub use transport::HeaderConfig;
